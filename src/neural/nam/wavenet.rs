//! Reading the architecture WaveNet: arrays of layers, and convolutions after them.

use super::activation::activation;
use super::array::{ArrayConfig, PreviousArray};
use super::weights::{WeightList, channels, check_mono, shape};
use crate::neural::ModelError;
use crate::neural::budget::{Budget, MAX_TAPS};
use crate::neural::description::{ConditionModel, WaveNet};
use crate::neural::json::Field;

/// Arrays of a WaveNet, and also convolutions after them.
pub const MAX_ARRAYS: usize = 64;

/// Reads a WaveNet. Returns it with the count of its outputs. `condition` is the model that makes the condition, with
/// `condition_size` channels; without one the condition is the audio, with 1 channel.
pub fn wavenet(
    config: &Field<'_>,
    condition: Option<Box<ConditionModel>>,
    condition_size: usize,
    weights: &mut WeightList<'_>,
    budget: &mut Budget,
) -> Result<(WaveNet, usize), ModelError> {
    check_mono(config, "in_channels")?;
    let mut arrays = Vec::new();
    let mut previous = None;
    for at in config.get("layers")?.list(1, MAX_ARRAYS)? {
        let array = ArrayConfig::read(&at, previous.as_ref(), condition_size)?.take_weights(weights, budget)?;
        previous = Some(PreviousArray { channels: array.rechannel.outputs, head: array.head.outputs });
        arrays.push(array);
    }
    let mut outputs = previous.map_or(1, |b| b.head);
    let mut post = Vec::new();
    if let Some(head) = config.find("head")? {
        if let Some(field) = head.find("in_channels")?
            && channels(&field)? != outputs
        {
            return Err(field.unexpected(format!("{outputs}, the outputs of the last array's head")));
        }
        let (middle, last) = (channels(&head.get("channels")?)?, channels(&head.get("out_channels")?)?);
        let taps = head.get("kernel_sizes")?.list(1, MAX_ARRAYS)?;
        for (i, at) in taps.iter().enumerate() {
            budget.spend_layer(at)?;
            let activation = activation(&head.get("activation")?, outputs)?;
            let to = if i + 1 == taps.len() { last } else { middle };
            let conv = weights.conv(at, "head", shape(outputs, to, at.whole(1, MAX_TAPS)?, 1, 1), true)?;
            post.push((activation, conv));
            outputs = to;
        }
    }
    Ok((WaveNet { condition, arrays, post, head_scale: weights.one() }, outputs))
}

/// Description for users, in one line.
pub fn summary(wavenet: &WaveNet) -> String {
    let sizes: Vec<String> = wavenet.arrays.iter().map(|a| a.rechannel.outputs.to_string()).collect();
    let summary = match sizes.as_slice() {
        [one] => format!("WaveNet, 1 array of {one} channels"),
        [first @ .., last] => format!("WaveNet, {} arrays of {} and {last} channels", sizes.len(), first.join(", ")),
        [] => "WaveNet".into(),
    };
    if wavenet.condition.is_some() { summary + ", with a condition model" } else { summary }
}
