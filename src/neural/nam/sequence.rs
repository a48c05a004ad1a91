//! Architectures that run one layer after another: Linear, ConvNet and LSTM.

use super::activation::activation;
use super::weights::{Weights, channels, channels_or_one, dense, mono, shape};
use crate::neural::budget::{Budget, MOST_DILATION, MOST_TAPS};
use crate::neural::description::{Activation, Conv1d, Layer, Lstm};
use crate::neural::json::Field;
use crate::neural::{ModelError, batch_norm};

/// Layers of a ConvNet or LSTM.
const MOST_LAYERS: usize = 1024;

pub fn linear(config: &Field<'_>, weights: &mut Weights<'_>) -> Result<Vec<Layer>, ModelError> {
    mono(config, "in_channels")?;
    mono(config, "out_channels")?;
    let taps = config.get("receptive_field")?.whole(1, MOST_TAPS)?;
    let mut conv = weights.conv(config, "Linear", shape(1, 1, taps, 1, 1), config.get("bias")?.bool()?)?;
    // The first belongs to the newest sample.
    conv.weights.reverse();
    Ok(vec![Layer::Conv1d(conv, Activation::Identity)])
}

pub fn conv_net(config: &Field<'_>, weights: &mut Weights<'_>, budget: &mut Budget) -> Result<Vec<Layer>, ModelError> {
    mono(config, "in_channels")?;
    let channels = channels(&config.get("channels")?)?;
    let outputs = channels_or_one(config, "out_channels")?;
    let groups = channels_or_one(config, "groups")?;
    let batch_norm = config.get("batchnorm")?.bool()?;
    let activation = activation(&config.get("activation")?, channels)?;
    let mut layers = Vec::new();
    let mut inputs = 1;
    for at in config.get("dilations")?.list(1, MOST_LAYERS)? {
        budget.layer(&at)?;
        let dilation = at.whole(1, MOST_DILATION)?;
        let mut conv = weights.conv(&at, "convolution", shape(inputs, channels, 2, dilation, groups), !batch_norm)?;
        if batch_norm {
            fold(weights, &mut conv)?;
        }
        layers.push(Layer::Conv1d(conv, activation.clone()));
        inputs = channels;
    }
    layers.push(Layer::Conv1d(weights.conv(config, "head", dense(channels, outputs, 1), true)?, Activation::Identity));
    Ok(layers)
}

/// Takes a batch normalisation's numbers and folds them into the convolution before it, in f64.
fn fold(weights: &mut Weights<'_>, conv: &mut Conv1d) -> Result<(), ModelError> {
    let first = weights.used;
    let [mean, variance, gamma, beta] = std::array::from_fn(|_| weights.take(conv.outputs));
    let eps = weights.one();
    if weights.short() {
        return Ok(());
    }
    conv.bias = Some(batch_norm::fold(conv, &mean, &variance, &gamma, &beta, f64::from(eps)).map_err(|output| {
        let at = first as usize + conv.outputs + output;
        let found = format!("[{at}], a variance, is {} with {eps} to be added", variance[output]);
        weights.at.error(found, "a positive sum and a finite result")
    })?);
    Ok(())
}

pub fn lstm(config: &Field<'_>, weights: &mut Weights<'_>, budget: &mut Budget) -> Result<Vec<Layer>, ModelError> {
    mono(config, "in_channels")?;
    mono(config, "input_size")?;
    let outputs = channels_or_one(config, "out_channels")?;
    let hidden = channels(&config.get("hidden_size")?)?;
    let mut layers = Vec::new();
    let mut inputs = config.get("input_size")?.whole(1, 1)?;
    for _ in 0..config.get("num_layers")?.whole(1, MOST_LAYERS)? {
        budget.layer(config)?;
        let both = weights.take(4 * hidden * (inputs + hidden));
        let rows = || both.chunks_exact(inputs + hidden);
        layers.push(Layer::Lstm(Lstm {
            inputs,
            hidden,
            input_weights: rows().flat_map(|row| &row[..inputs]).copied().collect(),
            hidden_weights: rows().flat_map(|row| &row[inputs..]).copied().collect(),
            bias: weights.take(4 * hidden),
            h0: weights.take(hidden),
            c0: weights.take(hidden),
        }));
        inputs = hidden;
    }
    layers.push(Layer::Conv1d(weights.conv(config, "head", dense(hidden, outputs, 1), true)?, Activation::Identity));
    Ok(layers)
}

/// In one line, for a user.
pub fn summary(layers: &[Layer], kind: &str) -> String {
    let plural = |n: usize| if n == 1 { "1 layer".into() } else { format!("{n} layers") };
    // The last of several is the head.
    let n = layers.len().saturating_sub(1);
    match layers.first() {
        Some(Layer::Lstm(l)) => format!("{kind}, {} of {}", plural(n), l.hidden),
        Some(Layer::Conv1d(c, _)) if n > 0 => format!("{kind}, {} of {} channels", plural(n), c.outputs),
        Some(Layer::Conv1d(c, _)) => format!("{kind}, {} taps", c.taps),
        _ => kind.into(),
    }
}
