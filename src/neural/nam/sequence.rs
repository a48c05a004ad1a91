//! Reading the architectures that run one layer after another: Linear, ConvNet and LSTM.

use super::activation::activation;
use super::weights::{WeightList, channels, channels_or_one, check_mono, dense, shape};
use crate::neural::budget::{Budget, MAX_DILATION, MAX_TAPS};
use crate::neural::description::{Activation, Conv1d, Layer, Lstm};
use crate::neural::json::Field;
use crate::neural::{ModelError, batch_norm};

/// Layers of a ConvNet or LSTM.
const MAX_LAYERS: usize = 1024;

/// Reads the architecture Linear: one convolution, an impulse response.
pub fn linear(config: &Field<'_>, weights: &mut WeightList<'_>) -> Result<Vec<Layer>, ModelError> {
    check_mono(config, "in_channels")?;
    check_mono(config, "out_channels")?;
    let taps = config.get("receptive_field")?.whole(1, MAX_TAPS)?;
    let mut conv = weights.conv(config, "Linear", shape(1, 1, taps, 1, 1), config.get("bias")?.bool()?)?;
    // In the file the first weight is for the newest sample.
    conv.weights.reverse();
    Ok(vec![Layer::Conv1d(conv, Activation::Identity)])
}

/// Reads the architecture ConvNet: convolutions with two taps, and a dense head.
pub fn conv_net(config: &Field<'_>, weights: &mut WeightList<'_>, budget: &mut Budget) -> Result<Vec<Layer>, ModelError> {
    check_mono(config, "in_channels")?;
    let channels = channels(&config.get("channels")?)?;
    let outputs = channels_or_one(config, "out_channels")?;
    let groups = channels_or_one(config, "groups")?;
    let batch_norm = config.get("batchnorm")?.bool()?;
    let activation = activation(&config.get("activation")?, channels)?;
    let mut layers = Vec::new();
    let mut inputs = 1;
    for at in config.get("dilations")?.list(1, MAX_LAYERS)? {
        budget.spend_layer(&at)?;
        let dilation = at.whole(1, MAX_DILATION)?;
        let mut conv = weights.conv(&at, "convolution", shape(inputs, channels, 2, dilation, groups), !batch_norm)?;
        if batch_norm {
            fold_batch_norm(weights, &mut conv)?;
        }
        layers.push(Layer::Conv1d(conv, activation.clone()));
        inputs = channels;
    }
    layers.push(Layer::Conv1d(weights.conv(config, "head", dense(channels, outputs, 1), true)?, Activation::Identity));
    Ok(layers)
}

/// Takes the numbers of a batch normalisation and folds them into the convolution before it.
fn fold_batch_norm(weights: &mut WeightList<'_>, conv: &mut Conv1d) -> Result<(), ModelError> {
    let first = weights.used;
    let [mean, variance, gamma, beta] = std::array::from_fn(|_| weights.take(conv.outputs));
    let eps = weights.one();
    if weights.short() {
        return Ok(());
    }
    conv.bias = Some(batch_norm::fold(conv, &mean, &variance, &gamma, &beta, f64::from(eps)).map_err(|output| {
        let index = first + (conv.outputs + output) as u64;
        let found = format!("[{index}], a variance, is {} with {eps} to be added", variance[output]);
        weights.at.error(found, "a positive sum and a finite result")
    })?);
    Ok(())
}

/// Reads the architecture LSTM: recurrent layers, and a dense head.
pub fn lstm(config: &Field<'_>, weights: &mut WeightList<'_>, budget: &mut Budget) -> Result<Vec<Layer>, ModelError> {
    check_mono(config, "in_channels")?;
    check_mono(config, "input_size")?;
    let outputs = channels_or_one(config, "out_channels")?;
    let hidden = channels(&config.get("hidden_size")?)?;
    let mut layers = Vec::new();
    let mut inputs = config.get("input_size")?.whole(1, 1)?;
    for _ in 0..config.get("num_layers")?.whole(1, MAX_LAYERS)? {
        budget.spend_layer(config)?;
        // Each row has the input weights, then the hidden weights.
        let joined_rows = weights.take(4 * hidden * (inputs + hidden));
        let rows = || joined_rows.chunks_exact(inputs + hidden);
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

/// Description for users, in one line. `kind` is the name of the architecture.
pub fn summary(layers: &[Layer], kind: &str) -> String {
    let plural = |n: usize| if n == 1 { "1 layer".into() } else { format!("{n} layers") };
    // The last of several layers is the head and is not counted.
    let n = layers.len().saturating_sub(1);
    match layers.first() {
        Some(Layer::Lstm(l)) => format!("{kind}, {} of {}", plural(n), l.hidden),
        Some(Layer::Conv1d(c, _)) if n > 0 => format!("{kind}, {} of {} channels", plural(n), c.outputs),
        Some(Layer::Conv1d(c, _)) => format!("{kind}, {} taps", c.taps),
        _ => kind.into(),
    }
}
