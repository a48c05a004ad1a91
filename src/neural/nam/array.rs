//! One array of a WaveNet's layers: first all that its config says, then the weights.

use super::activation::activation;
use super::weights::{Weights, channels, channels_or_one, dense, shape};
use crate::neural::ModelError;
use crate::neural::budget::{Budget, MOST_DILATION, MOST_TAPS};
use crate::neural::description::{Activation, Conv1d, Films, Gating, LayerArray, WaveNetLayer};
use crate::neural::json::Field;

/// Layers of an array.
const MOST_LAYERS: usize = 1024;

/// The array before.
pub struct Before {
    pub channels: usize,
    /// Outputs of its head.
    pub head: usize,
}

/// An array without its weights.
pub struct Config<'a> {
    at: Field<'a>,
    inputs: usize,
    condition: usize,
    channels: usize,
    bottleneck: usize,
    /// Of each layer, as the next four are.
    dilations: Vec<Field<'a>>,
    taps: Vec<Field<'a>>,
    activations: Vec<Field<'a>>,
    modes: Vec<Mode>,
    /// Absent if no layer has a gate, or the gates have the usual one.
    secondary: Option<Vec<Field<'a>>>,
    groups: usize,
    mixin_groups: usize,
    /// Its groups, if it is there.
    layer1x1: Option<usize>,
    /// Its outputs and groups, if it is there.
    head1x1: Option<(usize, usize)>,
    /// Channels that the layers add up for the head.
    accumulated: usize,
    films: [Film; FILMS.len()],
    head: Conv1d,
    head_bias: bool,
}

/// Places of FiLM, in the order of the weights.
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

impl<'a> Config<'a> {
    /// `condition`: channels of the condition.
    pub fn read(at: &Field<'a>, before: Option<&Before>, condition: usize) -> Result<Self, ModelError> {
        let is = |key: &str, expected: usize, what: &str| -> Result<(), ModelError> {
            let field = at.get(key)?;
            if channels(&field)? == expected { Ok(()) } else { Err(field.unexpected(format!("{expected}, {what}"))) }
        };
        let inputs = before.map_or(1, |b| b.channels);
        is("input_size", inputs, if before.is_some() { "the channels of the array before" } else { "the audio" })?;
        is("condition_size", condition, "the channels of the condition")?;
        let channels_at = at.get("channels")?;
        let width = channels(&channels_at)?;
        let bottleneck = at.find("bottleneck")?.map_or(Ok(width), |f| channels(&f))?;

        let dilations = at.get("dilations")?.list(1, MOST_LAYERS)?;
        let layers = dilations.len();
        let taps = match (at.find("kernel_size")?, at.find("kernel_sizes")?) {
            (Some(one), None) => vec![one; layers],
            (None, Some(many)) => many.list(layers, layers)?,
            (Some(_), Some(_)) => return Err(at.error("kernel_size and kernel_sizes", "one of them")),
            (None, None) => return Err(at.error("no kernel_size", "kernel_size or kernel_sizes")),
        };
        let activations = for_each_layer(&at.get("activation")?, layers)?;
        let modes = modes(at, layers)?;
        let secondary = match at.find("secondary_activation")? {
            Some(field) if modes.iter().any(|m| *m != Mode::None) => Some(for_each_layer(&field, layers)?),
            _ => None,
        };
        let groups = channels_or_one(at, "groups_input")?;
        let mixin_groups = channels_or_one(at, "groups_input_mixin")?;
        let layer1x1 = one_by_one(at, "layer1x1", true)?.map(|(_, groups)| groups);
        let head1x1 = match one_by_one(at, "head1x1", false)? {
            Some((Some(field), groups)) => Some((channels(&field.get("out_channels")?)?, groups)),
            _ => None,
        };
        if layer1x1.is_none() && bottleneck != width {
            return Err(at.get("bottleneck")?.unexpected(format!("{width}, the channels, as there is no layer1x1")));
        }
        let accumulated = head1x1.map_or(bottleneck, |(outputs, _)| outputs);
        if let Some(before) = before
            && before.head != accumulated
        {
            let expected = format!("{}, as many as the head of the array before has", before.head);
            return Err(at.error(format!("a head that accumulates {accumulated} channels"), expected));
        }
        let mut films = [Film { name: "", active: false, shift: true, groups: 1 }; FILMS.len()];
        for (film, name) in films.iter_mut().zip(FILMS) {
            *film = Film::read(at, name)?;
        }
        let [.., layer1x1_post, head1x1_post] = films;
        for (film, there, of) in [(layer1x1_post, layer1x1.is_some(), "layer1x1"), (head1x1_post, head1x1.is_some(), "head1x1")] {
            if film.active && !there {
                return Err(at.get(film.name)?.error("active", format!("inactive, as {of} is")));
            }
        }
        let (head, head_bias) = head(at, accumulated)?;
        Ok(Self {
            at: at.clone(),
            inputs,
            condition,
            channels: width,
            bottleneck,
            dilations,
            taps,
            activations,
            modes,
            secondary,
            groups,
            mixin_groups,
            layer1x1,
            head1x1,
            accumulated,
            films,
            head,
            head_bias,
        })
    }

    /// With the next weights.
    pub fn take(&self, weights: &mut Weights<'_>, budget: &mut Budget) -> Result<LayerArray, ModelError> {
        let at = &self.at;
        let rechannel = weights.conv(at, "rechannel", dense(self.inputs, self.channels, 1), false)?;
        let mut layers = Vec::new();
        for layer in 0..self.dilations.len() {
            budget.layer(&self.dilations[layer])?;
            layers.push(self.layer(layer, weights)?);
        }
        let head = weights.conv(at, "the head", self.head.clone(), self.head_bias)?;
        Ok(LayerArray { rechannel, layers, head })
    }

    fn layer(&self, layer: usize, weights: &mut Weights<'_>) -> Result<WaveNetLayer, ModelError> {
        let Self { at, condition, channels: width, bottleneck, .. } = self;
        let (condition, width, bottleneck) = (*condition, *width, *bottleneck);
        let mode = self.modes[layer];
        let gate = match mode {
            Mode::None => Activation::Identity,
            Mode::Gated | Mode::Blended => {
                self.secondary.as_ref().map_or(Ok(Activation::Sigmoid), |s| activation(&s[layer], bottleneck))?
            }
        };
        let z = if mode == Mode::None { bottleneck } else { 2 * bottleneck };
        let dilation = self.dilations[layer].whole(1, MOST_DILATION)?;
        let conv = shape(width, z, self.taps[layer].whole(1, MOST_TAPS)?, dilation, self.groups);
        let activation = activation(&self.activations[layer], bottleneck)?;
        let gating = match mode {
            Mode::None => Gating::None,
            Mode::Gated => Gating::Gated(gate),
            Mode::Blended => Gating::Blended(gate),
        };
        // From here on in the order of the weights.
        let conv = weights.conv(at, "the convolution", conv, true)?;
        let mixin = weights.conv(at, "the input mixin", dense(condition, z, self.mixin_groups), false)?;
        let layer1x1 = self.layer1x1.map(|groups| weights.conv(at, "layer1x1", dense(bottleneck, width, groups), true));
        let layer1x1 = layer1x1.transpose()?;
        let head1x1 = self.head1x1.map(|(outputs, groups)| weights.conv(at, "head1x1", dense(bottleneck, outputs, groups), true));
        let head1x1 = head1x1.transpose()?;
        let [conv_pre, conv_post, mixin_pre, mixin_post, activation_pre, activation_post, layer1x1_post, head1x1_post] =
            self.films;
        let mut film = |film: Film, size: usize| film.take(at, weights, condition, size);
        let film = Films {
            conv_pre: film(conv_pre, width)?,
            conv_post: film(conv_post, z)?,
            mixin_pre: film(mixin_pre, condition)?,
            mixin_post: film(mixin_post, z)?,
            activation_pre: film(activation_pre, z)?,
            activation_post: film(activation_post, bottleneck)?,
            layer1x1_post: film(layer1x1_post, width)?,
            head1x1_post: film(head1x1_post, self.accumulated)?,
        };
        Ok(WaveNetLayer { conv, mixin, activation, gating, layer1x1, head1x1, film })
    }
}

/// A value for each of `layers` layers: a list of as many, or one for all.
fn for_each_layer<'a>(at: &Field<'a>, layers: usize) -> Result<Vec<Field<'a>>, ModelError> {
    if at.is_list() { at.list(layers, layers) } else { Ok(vec![at.clone(); layers]) }
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    None,
    Gated,
    Blended,
}

fn modes(at: &Field<'_>, layers: usize) -> Result<Vec<Mode>, ModelError> {
    if let Some(field) = at.find("gating_mode")? {
        let mode = |f: Field<'_>| match f.text()? {
            "none" => Ok(Mode::None),
            "gated" => Ok(Mode::Gated),
            "blended" => Ok(Mode::Blended),
            _ => Err(f.unexpected("none, gated or blended")),
        };
        return for_each_layer(&field, layers)?.into_iter().map(mode).collect();
    }
    let gated = at.find("gated")?.map(|f| f.bool()).transpose()?.unwrap_or(false);
    Ok(vec![if gated { Mode::Gated } else { Mode::None }; layers])
}

/// Outputs and groups of an active 1x1.
fn one_by_one<'a>(at: &Field<'a>, key: &str, otherwise: bool) -> Result<Option<(Option<Field<'a>>, usize)>, ModelError> {
    let Some(field) = at.find(key)? else { return Ok(otherwise.then_some((None, 1))) };
    if !field.get("active")?.bool()? {
        return Ok(None);
    }
    let groups = channels_or_one(&field, "groups")?;
    Ok(Some((Some(field), groups)))
}

/// What a FiLM block says of itself.
#[derive(Clone, Copy)]
struct Film {
    name: &'static str,
    active: bool,
    shift: bool,
    groups: usize,
}

impl Film {
    fn read(at: &Field<'_>, name: &'static str) -> Result<Self, ModelError> {
        let none = Self { name, active: false, shift: true, groups: 1 };
        let Some(field) = at.find(name)? else { return Ok(none) };
        if matches!(field.bool(), Ok(false)) {
            return Ok(none);
        }
        let flag = |key: &str| field.find(key)?.map_or(Ok(true), |f| f.bool());
        Ok(Self { active: flag("active")?, shift: flag("shift")?, groups: channels_or_one(&field, "groups")?, ..none })
    }

    /// The next weights, if it is active, for `size` channels.
    fn take(
        self,
        at: &Field<'_>,
        weights: &mut Weights<'_>,
        condition: usize,
        size: usize,
    ) -> Result<Option<Conv1d>, ModelError> {
        let outputs = if self.shift { 2 * size } else { size };
        self.active.then(|| weights.conv(at, self.name, dense(condition, outputs, self.groups), true)).transpose()
    }
}

/// The head without its weights, and whether it has a bias.
fn head(at: &Field<'_>, accumulated: usize) -> Result<(Conv1d, bool), ModelError> {
    Ok(match (at.find("head")?, at.find("head_size")?) {
        (Some(head), _) => {
            let taps = head.get("kernel_size")?.whole(1, MOST_TAPS)?;
            let dilation = head.find("head_dilation")?.map_or(Ok(1), |f| f.whole(1, MOST_DILATION))?;
            (shape(accumulated, channels(&head.get("out_channels")?)?, taps, dilation, 1), head.get("bias")?.bool()?)
        }
        (None, Some(size)) => (dense(accumulated, channels(&size)?, 1), at.get("head_bias")?.bool()?),
        (None, None) => return Err(at.error("no head", "head, or head_size and head_bias")),
    })
}
