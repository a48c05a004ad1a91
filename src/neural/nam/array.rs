//! Reading one array of a WaveNet's layers: first its config ([`ArrayConfig`]), then its weights.

use super::activation::activation;
use super::weights::{WeightList, channels, channels_or_one, dense, shape};
use crate::neural::ModelError;
use crate::neural::budget::{Budget, MAX_DILATION, MAX_TAPS};
use crate::neural::description::{Activation, Conv1d, Films, Gating, LayerArray, WaveNetLayer};
use crate::neural::json::Field;

/// Layers of an array.
const MAX_LAYERS: usize = 1024;

/// The sizes of the previous array, which the next one must fit.
pub struct PreviousArray {
    pub channels: usize,
    /// Outputs of its head.
    pub head: usize,
}

/// The config of an array, checked. Makes the array when it takes the weights.
pub struct ArrayConfig<'a> {
    /// The array's field, for errors.
    at: Field<'a>,
    inputs: usize,
    condition_channels: usize,
    channels: usize,
    /// Channels inside a layer, after its activation.
    bottleneck: usize,
    /// The dilation of each layer. The next four fields also have one value for each layer.
    dilations: Vec<Field<'a>>,
    taps: Vec<Field<'a>>,
    activations: Vec<Field<'a>>,
    modes: Vec<GatingMode>,
    /// The gates' activations; `None` if no layer has a gate, or all gates have the usual one (the logistic function).
    gate_activations: Option<Vec<Field<'a>>>,
    groups: usize,
    mixin_groups: usize,
    /// The groups of the layer's 1x1 convolution, if it is active.
    layer1x1: Option<usize>,
    /// The outputs and groups of the 1x1 convolution to the head, if it is active.
    head1x1: Option<(usize, usize)>,
    /// Channels of the head accumulator, the sum to which every layer adds and which the head reads.
    accumulator_channels: usize,
    films: [FilmConfig; FILMS.len()],
    head: Conv1d,
    head_bias: bool,
}

/// Keys of the FiLM blocks (feature-wise linear modulation by the condition) of a layer, in the order of their weights.
const FILMS: [&str; 8] = [
    "conv_pre_film",
    "conv_post_film",
    "input_mixin_pre_film",
    "input_mixin_post_film",
    "activation_pre_film",
    "activation_post_film",
    "layer1x1_post_film",
    "head1x1_post_film",
];

impl<'a> ArrayConfig<'a> {
    /// Reads the config of an array after the previous one, if there is one.
    pub fn read(at: &Field<'a>, previous: Option<&PreviousArray>, condition_channels: usize) -> Result<Self, ModelError> {
        let check = |key: &str, expected: usize, description: &str| -> Result<(), ModelError> {
            let field = at.get(key)?;
            if channels(&field)? == expected { Ok(()) } else { Err(field.unexpected(format!("{expected}, {description}"))) }
        };
        let inputs = previous.map_or(1, |p| p.channels);
        check("input_size", inputs, if previous.is_some() { "the channels of the array before" } else { "the audio" })?;
        check("condition_size", condition_channels, "the channels of the condition")?;
        let channels_at = at.get("channels")?;
        let width = channels(&channels_at)?;
        let bottleneck = at.find("bottleneck")?.map_or(Ok(width), |f| channels(&f))?;

        let dilations = at.get("dilations")?.list(1, MAX_LAYERS)?;
        let layers = dilations.len();
        let taps = match (at.find("kernel_size")?, at.find("kernel_sizes")?) {
            (Some(one), None) => vec![one; layers],
            (None, Some(many)) => many.list(layers, layers)?,
            (Some(_), Some(_)) => return Err(at.error("kernel_size and kernel_sizes", "one of them")),
            (None, None) => return Err(at.error("no kernel_size", "kernel_size or kernel_sizes")),
        };
        let activations = per_layer(&at.get("activation")?, layers)?;
        let modes = gating_modes(at, layers)?;
        let gate_activations = match at.find("secondary_activation")? {
            Some(field) if modes.iter().any(|m| *m != GatingMode::None) => Some(per_layer(&field, layers)?),
            _ => None,
        };
        let groups = channels_or_one(at, "groups_input")?;
        let mixin_groups = channels_or_one(at, "groups_input_mixin")?;
        let layer1x1 = active_1x1(at, "layer1x1", true)?.map(|(_, groups)| groups);
        let head1x1 = match active_1x1(at, "head1x1", false)? {
            Some((Some(field), groups)) => Some((channels(&field.get("out_channels")?)?, groups)),
            _ => None,
        };
        if layer1x1.is_none() && bottleneck != width {
            return Err(at.get("bottleneck")?.unexpected(format!("{width}, the channels, as there is no layer1x1")));
        }
        let accumulator_channels = head1x1.map_or(bottleneck, |(outputs, _)| outputs);
        if let Some(previous) = previous
            && previous.head != accumulator_channels
        {
            let expected = format!("{}, as many as the head of the array before has", previous.head);
            return Err(at.error(format!("a head that accumulates {accumulator_channels} channels"), expected));
        }
        let mut films = [FilmConfig { name: "", active: false, shift: true, groups: 1 }; FILMS.len()];
        for (film, name) in films.iter_mut().zip(FILMS) {
            *film = FilmConfig::read(at, name)?;
        }
        let [.., layer1x1_post, head1x1_post] = films;
        for (film, there, of) in [(layer1x1_post, layer1x1.is_some(), "layer1x1"), (head1x1_post, head1x1.is_some(), "head1x1")] {
            if film.active && !there {
                return Err(at.get(film.name)?.error("active", format!("inactive, as {of} is")));
            }
        }
        let (head, head_bias) = head(at, accumulator_channels)?;
        Ok(Self {
            at: at.clone(),
            inputs,
            condition_channels,
            channels: width,
            bottleneck,
            dilations,
            taps,
            activations,
            modes,
            gate_activations,
            groups,
            mixin_groups,
            layer1x1,
            head1x1,
            accumulator_channels,
            films,
            head,
            head_bias,
        })
    }

    /// Makes the array with the next weights of the list.
    pub fn take_weights(&self, weights: &mut WeightList<'_>, budget: &mut Budget) -> Result<LayerArray, ModelError> {
        let at = &self.at;
        let rechannel = weights.conv(at, "rechannel", dense(self.inputs, self.channels, 1), false)?;
        let mut layers = Vec::new();
        for layer in 0..self.dilations.len() {
            budget.spend_layer(&self.dilations[layer])?;
            layers.push(self.layer(layer, weights)?);
        }
        let head = weights.conv(at, "the head", self.head.clone(), self.head_bias)?;
        Ok(LayerArray { rechannel, layers, head })
    }

    /// Makes the layer with this index, with the next weights of the list.
    fn layer(&self, layer: usize, weights: &mut WeightList<'_>) -> Result<WaveNetLayer, ModelError> {
        let Self { at, condition_channels, channels: width, bottleneck, .. } = self;
        let (condition, width, bottleneck) = (*condition_channels, *width, *bottleneck);
        let mode = self.modes[layer];
        let gate = match mode {
            GatingMode::None => Activation::Identity,
            GatingMode::Gated | GatingMode::Blended => {
                self.gate_activations.as_ref().map_or(Ok(Activation::Sigmoid), |s| activation(&s[layer], bottleneck))?
            }
        };
        let conv_outputs = if mode == GatingMode::None { bottleneck } else { 2 * bottleneck };
        let dilation = self.dilations[layer].whole(1, MAX_DILATION)?;
        let conv = shape(width, conv_outputs, self.taps[layer].whole(1, MAX_TAPS)?, dilation, self.groups);
        let activation = activation(&self.activations[layer], bottleneck)?;
        let gating = match mode {
            GatingMode::None => Gating::None,
            GatingMode::Gated => Gating::Gated(gate),
            GatingMode::Blended => Gating::Blended(gate),
        };
        // All further weights are taken in the order of the list.
        let conv = weights.conv(at, "the convolution", conv, true)?;
        let mixin = weights.conv(at, "the input mixin", dense(condition, conv_outputs, self.mixin_groups), false)?;
        let layer1x1 = self.layer1x1.map(|groups| weights.conv(at, "layer1x1", dense(bottleneck, width, groups), true));
        let layer1x1 = layer1x1.transpose()?;
        let head1x1 = self.head1x1.map(|(outputs, groups)| weights.conv(at, "head1x1", dense(bottleneck, outputs, groups), true));
        let head1x1 = head1x1.transpose()?;
        let [conv_pre, conv_post, mixin_pre, mixin_post, activation_pre, activation_post, layer1x1_post, head1x1_post] =
            self.films;
        let mut film = |film: FilmConfig, size: usize| film.take_weights(at, weights, condition, size);
        let film = Films {
            conv_pre: film(conv_pre, width)?,
            conv_post: film(conv_post, conv_outputs)?,
            mixin_pre: film(mixin_pre, condition)?,
            mixin_post: film(mixin_post, conv_outputs)?,
            activation_pre: film(activation_pre, conv_outputs)?,
            activation_post: film(activation_post, bottleneck)?,
            layer1x1_post: film(layer1x1_post, width)?,
            head1x1_post: film(head1x1_post, self.accumulator_channels)?,
        };
        Ok(WaveNetLayer { conv, mixin, activation, gating, layer1x1, head1x1, film })
    }
}

/// A field for each of `layers` layers: the items of a list of this length, or the same field for all.
fn per_layer<'a>(at: &Field<'a>, layers: usize) -> Result<Vec<Field<'a>>, ModelError> {
    if at.is_list() { at.list(layers, layers) } else { Ok(vec![at.clone(); layers]) }
}

/// The kind of a layer's gate.
#[derive(Clone, Copy, PartialEq)]
enum GatingMode {
    None,
    Gated,
    Blended,
}

/// The gating mode of each layer. Older files have only a flag for all.
fn gating_modes(at: &Field<'_>, layers: usize) -> Result<Vec<GatingMode>, ModelError> {
    if let Some(field) = at.find("gating_mode")? {
        let mode = |f: Field<'_>| match f.text()? {
            "none" => Ok(GatingMode::None),
            "gated" => Ok(GatingMode::Gated),
            "blended" => Ok(GatingMode::Blended),
            _ => Err(f.unexpected("none, gated or blended")),
        };
        return per_layer(&field, layers)?.into_iter().map(mode).collect();
    }
    let gated = at.find("gated")?.map(|f| f.bool()).transpose()?.unwrap_or(false);
    Ok(vec![if gated { GatingMode::Gated } else { GatingMode::None }; layers])
}

/// The field and the groups of a 1x1 convolution; `None` if it is inactive. Without the key it is `active_by_default` or not.
fn active_1x1<'a>(at: &Field<'a>, key: &str, active_by_default: bool) -> Result<Option<(Option<Field<'a>>, usize)>, ModelError> {
    let Some(field) = at.find(key)? else { return Ok(active_by_default.then_some((None, 1))) };
    if !field.get("active")?.bool()? {
        return Ok(None);
    }
    let groups = channels_or_one(&field, "groups")?;
    Ok(Some((Some(field), groups)))
}

/// The config of a FiLM block.
#[derive(Clone, Copy)]
struct FilmConfig {
    /// The block's key.
    name: &'static str,
    active: bool,
    /// True if the block also adds a value to each channel; otherwise it only scales.
    shift: bool,
    groups: usize,
}

impl FilmConfig {
    fn read(at: &Field<'_>, name: &'static str) -> Result<Self, ModelError> {
        let none = Self { name, active: false, shift: true, groups: 1 };
        let Some(field) = at.find(name)? else { return Ok(none) };
        if matches!(field.bool(), Ok(false)) {
            return Ok(none);
        }
        let flag = |key: &str| field.find(key)?.map_or(Ok(true), |f| f.bool());
        Ok(Self { active: flag("active")?, shift: flag("shift")?, groups: channels_or_one(&field, "groups")?, ..none })
    }

    /// Makes the block's convolution for `channels` channels with the next weights of the list; `None` if the block is
    /// inactive.
    fn take_weights(
        self,
        at: &Field<'_>,
        weights: &mut WeightList<'_>,
        condition_channels: usize,
        channels: usize,
    ) -> Result<Option<Conv1d>, ModelError> {
        let outputs = if self.shift { 2 * channels } else { channels };
        self.active.then(|| weights.conv(at, self.name, dense(condition_channels, outputs, self.groups), true)).transpose()
    }
}

/// Reads the config of the head. Returns its convolution without weights, and true if it has a bias.
fn head(at: &Field<'_>, accumulator_channels: usize) -> Result<(Conv1d, bool), ModelError> {
    Ok(match (at.find("head")?, at.find("head_size")?) {
        (Some(head), _) => {
            let taps = head.get("kernel_size")?.whole(1, MAX_TAPS)?;
            let dilation = head.find("head_dilation")?.map_or(Ok(1), |f| f.whole(1, MAX_DILATION))?;
            (shape(accumulator_channels, channels(&head.get("out_channels")?)?, taps, dilation, 1), head.get("bias")?.bool()?)
        }
        (None, Some(size)) => (dense(accumulator_channels, channels(&size)?, 1), at.get("head_bias")?.bool()?),
        (None, None) => return Err(at.error("no head", "head, or head_size and head_bias")),
    })
}
