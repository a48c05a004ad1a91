//! WaveNet: arrays of layers, and convolutions behind them.

use super::activation::activation;
use super::array::{Before, Config};
use super::weights::{Weights, channels, mono, shape};
use crate::neural::ModelError;
use crate::neural::budget::{Budget, MOST_TAPS};
use crate::neural::description::{ConditionModel, WaveNet};
use crate::neural::json::Field;

/// Arrays of a WaveNet, and convolutions behind it.
pub const MOST_ARRAYS: usize = 64;

/// With how many outputs it has. `condition_size`: channels of the condition, 1 for the audio.
pub fn wavenet(
    config: &Field<'_>,
    condition: Option<Box<ConditionModel>>,
    condition_size: usize,
    weights: &mut Weights<'_>,
    budget: &mut Budget,
) -> Result<(WaveNet, usize), ModelError> {
    mono(config, "in_channels")?;
    let mut arrays = Vec::new();
    let mut before = None;
    for at in config.get("layers")?.list(1, MOST_ARRAYS)? {
        let array = Config::read(&at, before.as_ref(), condition_size)?.take(weights, budget)?;
        before = Some(Before { channels: array.rechannel.outputs, head: array.head.outputs });
        arrays.push(array);
    }
    let mut outputs = before.map_or(1, |b| b.head);
    let mut post = Vec::new();
    if let Some(head) = config.find("head")? {
        if let Some(field) = head.find("in_channels")?
            && channels(&field)? != outputs
        {
            return Err(field.unexpected(format!("{outputs}, the outputs of the last array's head")));
        }
        let (middle, last) = (channels(&head.get("channels")?)?, channels(&head.get("out_channels")?)?);
        let taps = head.get("kernel_sizes")?.list(1, MOST_ARRAYS)?;
        for (i, at) in taps.iter().enumerate() {
            budget.layer(at)?;
            let activation = activation(&head.get("activation")?, outputs)?;
            let to = if i + 1 == taps.len() { last } else { middle };
            let conv = weights.conv(at, "head", shape(outputs, to, at.whole(1, MOST_TAPS)?, 1, 1), true)?;
            post.push((activation, conv));
            outputs = to;
        }
    }
    Ok((WaveNet { condition, arrays, post, head_scale: weights.one() }, outputs))
}

/// In one line, for a user.
pub fn summary(wavenet: &WaveNet) -> String {
    let sizes: Vec<String> = wavenet.arrays.iter().map(|a| a.rechannel.outputs.to_string()).collect();
    let summary = match sizes.as_slice() {
        [one] => format!("WaveNet, 1 array of {one} channels"),
        [first @ .., last] => format!("WaveNet, {} arrays of {} and {last} channels", sizes.len(), first.join(", ")),
        [] => "WaveNet".into(),
    };
    if wavenet.condition.is_some() { summary + ", with a condition model" } else { summary }
}
