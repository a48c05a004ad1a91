//! Slimmable WaveNets: the smaller networks that the first channels of the full one make.

use super::wavenet::MAX_ARRAYS;
use crate::neural::budget::{self, Budget};
use crate::neural::description::{Activation, Architecture, Conv1d, Films, Gating, LayerArray, WaveNet, WaveNetLayer};
use crate::neural::json::{Field, to_f32};
use crate::neural::{ModelError, ModelSize};

/// Sizes of a slimmable model or of a container.
pub const MAX_SIZES: usize = 256;

/// The smaller networks in a slimmable WaveNet, the smallest first, without the full one. Empty if the WaveNet is not
/// slimmable.
pub fn smaller_sizes(config: &Field<'_>, full: &WaveNet, budget: &mut Budget) -> Result<Vec<ModelSize>, ModelError> {
    let mut allowed: Vec<Vec<usize>> = Vec::new();
    for (at, array) in config.get("layers")?.list(1, MAX_ARRAYS)?.iter().zip(&full.arrays) {
        let channels = array.rechannel.outputs;
        let Some(slimmable) = at.find("slimmable")? else {
            allowed.push(vec![channels]);
            continue;
        };
        let method = slimmable.get("method")?;
        if method.text()? != "slice_channels_uniform" {
            return Err(method.unexpected("slice_channels_uniform"));
        }
        if budget::array_convolutions(array).any(|c| c.groups != 1) {
            return Err(slimmable.error("an array with groups", "none, as its channels are sliced"));
        }
        if !full.post.is_empty() {
            return Err(config.get("head")?.error("a head behind a slimmable array", "none"));
        }
        let list = slimmable.find("kwargs")?.map(|k| k.find("allowed_channels")).transpose()?.flatten();
        let Some(list) = list else {
            allowed.push((1..=channels).collect());
            continue;
        };
        let fields = list.list(1, MAX_SIZES)?;
        let counts = fields.iter().map(|f| f.whole(1, channels)).collect::<Result<Vec<_>, _>>()?;
        if let Some(i) = counts.windows(2).position(|w| w[0] >= w[1]) {
            return Err(fields[i + 1].unexpected(format!("more than {}", counts[i])));
        }
        if counts.last() != Some(&channels) {
            return Err(fields[fields.len() - 1].unexpected(format!("{channels}, all channels, for the last")));
        }
        allowed.push(counts);
    }
    // The values of the parameter *Size* at which one network follows another. A list of n allowed counts divides 0 to 1 into n
    // equal parts.
    let mut ends: Vec<f64> = allowed.iter().flat_map(|a| (1..a.len()).map(|i| i as f64 / a.len() as f64)).collect();
    ends.sort_by(f64::total_cmp);
    ends.dedup();
    if ends.len() >= MAX_SIZES {
        return Err(config.error(format!("{} sizes", ends.len() + 1), format!("at most {MAX_SIZES}")));
    }
    let mut sizes = Vec::new();
    let mut start = 0.0;
    for end in ends {
        let middle = (start + end) / 2.0;
        let index = |counts: usize| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`middle` is from 0 to 1")]
            let index = (middle * counts as f64) as usize;
            index.min(counts - 1)
        };
        let channels: Vec<usize> = allowed.iter().map(|a| a[index(a.len())]).collect();
        let small = slice(full, &channels);
        let architecture = Architecture::WaveNet(Box::new(small));
        budget.spend_weights(config, budget::weight_count(&architecture))?;
        sizes.push(ModelSize::new(to_f32(end), Some(architecture)));
        start = end;
    }
    Ok(sizes)
}

/// A smaller WaveNet: each array has the first channels of the full network's array. `channels` is their number for each array.
fn slice(full: &WaveNet, channels: &[usize]) -> WaveNet {
    let last = channels.len() - 1;
    let layers: Vec<Vec<_>> = full
        .arrays
        .iter()
        .zip(channels)
        .map(|(array, n)| array.layers.iter().map(|l| slice_layer(l, array.rechannel.outputs, *n)).collect())
        .collect();
    // Channels of an array's head accumulator. It begins with the output of the previous array's head.
    let accumulator_channels = |i: usize| {
        layers[i].first().map_or(channels[i], |l| match &l.head1x1 {
            Some(conv) => conv.outputs,
            None => bottleneck(l),
        })
    };
    let arrays = full.arrays.iter().enumerate().map(|(i, array)| {
        let inputs = if i == 0 { array.rechannel.inputs } else { channels[i - 1] };
        let head = if i == last { array.head.outputs } else { accumulator_channels(i + 1) };
        LayerArray {
            rechannel: slice_conv(&array.rechannel, inputs, channels[i]),
            head: slice_conv(&array.head, accumulator_channels(i), head),
            layers: layers[i].clone(),
        }
    });
    WaveNet { condition: full.condition.clone(), arrays: arrays.collect(), post: Vec::new(), head_scale: full.head_scale }
}

/// Channels of a layer after its activation.
fn bottleneck(layer: &WaveNetLayer) -> usize {
    if layer.gating == Gating::None { layer.conv.outputs } else { layer.conv.outputs / 2 }
}

/// A layer with the first `channels` of its array's `full` channels.
fn slice_layer(l: &WaveNetLayer, full: usize, channels: usize) -> WaveNetLayer {
    let wide = bottleneck(l);
    let narrow = if l.layer1x1.is_some() { (wide * channels / full).max(1) } else { channels };
    // A gated layer also keeps its first outputs, as in the trainer and in NeuralAmpModelerCore.
    let (conv_outputs, full_conv_outputs) = (l.conv.outputs / wide * narrow, l.conv.outputs);
    let film = |c: &Option<Conv1d>, from: usize, to: usize| c.as_ref().map(|c| slice_conv(c, c.inputs, c.outputs / from * to));
    let slopes = |a: &Activation| match a {
        Activation::LeakyRelu(slopes) if slopes.len() > narrow => Activation::LeakyRelu(slopes[..narrow].to_vec()),
        other => other.clone(),
    };
    WaveNetLayer {
        conv: slice_conv(&l.conv, channels, conv_outputs),
        mixin: slice_conv(&l.mixin, l.mixin.inputs, conv_outputs),
        activation: slopes(&l.activation),
        gating: match &l.gating {
            Gating::None => Gating::None,
            Gating::Gated(a) => Gating::Gated(slopes(a)),
            Gating::Blended(a) => Gating::Blended(slopes(a)),
        },
        layer1x1: l.layer1x1.as_ref().map(|c| slice_conv(c, narrow, channels)),
        head1x1: l.head1x1.as_ref().map(|c| slice_conv(c, narrow, c.outputs)),
        film: Films {
            conv_pre: film(&l.film.conv_pre, full, channels),
            conv_post: film(&l.film.conv_post, full_conv_outputs, conv_outputs),
            mixin_pre: l.film.mixin_pre.clone(),
            mixin_post: film(&l.film.mixin_post, full_conv_outputs, conv_outputs),
            activation_pre: film(&l.film.activation_pre, full_conv_outputs, conv_outputs),
            activation_post: film(&l.film.activation_post, wide, narrow),
            layer1x1_post: film(&l.film.layer1x1_post, full, channels),
            head1x1_post: l.film.head1x1_post.clone(),
        },
    }
}

/// The part of a convolution without groups that computes its first outputs from its first inputs.
fn slice_conv(conv: &Conv1d, inputs: usize, outputs: usize) -> Conv1d {
    let rows = conv.weights.chunks_exact(conv.inputs * conv.taps).take(outputs);
    Conv1d {
        inputs,
        outputs,
        weights: rows.flat_map(|row| &row[..inputs * conv.taps]).copied().collect(),
        bias: conv.bias.as_ref().map(|b| b[..outputs].to_vec()),
        taps: conv.taps,
        dilation: conv.dilation,
        groups: 1,
    }
}
