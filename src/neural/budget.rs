//! What a model may need at most. A file is held to it before anything of that size is allocated.

use super::ModelError;
use super::description::{Architecture, ConditionModel, Conv1d, Layer, LayerArray, Sequence, WaveNet};
use super::json::Field;

/// Bytes of everything that a file makes: weights as read and as packed, layers, the state of two channels.
pub const MOST_BYTES: u64 = 1 << 30;
/// Multiply-adds of what a network is prewarmed and looked at with: some ten seconds' work.
const MOST_WORK: u64 = 1 << 36;
/// Channels of anything.
pub const MOST_CHANNELS: usize = 1 << 16;
/// Taps of a convolution, and frames between two of them.
pub const MOST_TAPS: usize = 1 << 20;
pub const MOST_DILATION: usize = 1 << 24;
/// Frames that a convolution looks back.
const MOST_REACH: usize = 1 << 24;
/// Models in a model in a model.
pub const MOST_DEPTH: usize = 4;
/// Hertz.
pub const RATES: (f64, f64) = (1000.0, 768_000.0);

/// Bytes of a number in a description and of its packed copy.
const WEIGHT_BYTES: u64 = 8;
/// Bytes of a layer's description without its weights, at most.
const LAYER_BYTES: u64 = 2048;
/// Frames that a channel keeps of a convolution's input beyond what it looks back, and of its output, at most.
const INPUT_FRAMES: u64 = 1024;
const OUTPUT_FRAMES: u64 = 128;

/// What is left.
#[derive(Debug)]
pub struct Budget {
    spent: u64,
}

impl Budget {
    pub fn new() -> Self {
        Self { spent: 0 }
    }

    fn spend(&mut self, at: &Field<'_>, bytes: u64) -> Result<(), ModelError> {
        self.spent = self.spent.saturating_add(bytes);
        if self.spent > MOST_BYTES {
            return Err(
                at.error(format!("a model of {} MiB or more", self.spent >> 20), format!("at most {} MiB", MOST_BYTES >> 20))
            );
        }
        Ok(())
    }

    /// For numbers that will be kept.
    pub fn weights(&mut self, at: &Field<'_>, count: u64) -> Result<(), ModelError> {
        self.spend(at, count.saturating_mul(WEIGHT_BYTES))
    }

    /// For a layer.
    pub fn layer(&mut self, at: &Field<'_>) -> Result<(), ModelError> {
        self.spend(at, LAYER_BYTES)
    }

    /// For the state of two channels, and the time of prewarming.
    pub fn run(&mut self, at: &Field<'_>, architecture: &Architecture, sample_rate: f32) -> Result<(), ModelError> {
        let (state, work) = match architecture {
            Architecture::Sequence(s) => (sequence_state(s), sequence_weights(s)),
            Architecture::WaveNet(w) => (wavenet_state(w), wavenet_weights(w)),
        };
        self.spend(at, 2 * state)?;
        // All are looked at, and recurrent networks prewarmed, with half a second; the others with what they look back on.
        let frames = architecture.receptive_field().unwrap_or(0).max((sample_rate * 0.5) as usize) as u64;
        let adds = frames.saturating_mul(work);
        if adds > MOST_WORK {
            let found = format!("{work} weights over {frames} frames, {adds} multiply-adds before the first sound");
            return Err(at.error(found, format!("at most {MOST_WORK}")));
        }
        Ok(())
    }
}

/// Whether a convolution's taps reach too far back.
pub fn check_reach(at: &Field<'_>, taps: usize, dilation: usize) -> Result<(), ModelError> {
    let reach = (taps - 1).saturating_mul(dilation);
    if reach > MOST_REACH {
        return Err(
            at.error(format!("{taps} taps with dilation {dilation} look back {reach} frames"), format!("at most {MOST_REACH}"))
        );
    }
    Ok(())
}

fn conv_state(c: &Conv1d) -> u64 {
    4 * ((c.reach() as u64 + INPUT_FRAMES) * c.inputs as u64 + OUTPUT_FRAMES * c.outputs as u64)
}

fn sequence_state(s: &Sequence) -> u64 {
    let layer = |layer: &Layer| match layer {
        // The past is kept twice as long as it is read, so that it is seldom moved.
        Layer::Conv1d(c, _) => conv_state(c) + 4 * c.reach() as u64 * c.inputs as u64,
        Layer::Lstm(l) => 8 * l.hidden as u64,
        Layer::Gru(g) => 4 * g.hidden as u64,
    };
    s.layers.iter().map(layer).sum()
}

/// All convolutions of an array.
pub fn convs(array: &LayerArray) -> impl Iterator<Item = &Conv1d> {
    let layers = array.layers.iter().flat_map(|l| {
        let f = &l.film;
        let films = [&f.conv_pre, &f.conv_post, &f.mixin_pre, &f.mixin_post, &f.activation_pre, &f.activation_post];
        let more = [&f.layer1x1_post, &f.head1x1_post];
        [&l.conv, &l.mixin].into_iter().chain(&l.layer1x1).chain(&l.head1x1).chain(films.into_iter().chain(more).flatten())
    });
    layers.chain([&array.rechannel, &array.head])
}

/// All convolutions of a WaveNet but its condition model's.
fn all_convs(w: &WaveNet) -> impl Iterator<Item = &Conv1d> {
    w.arrays.iter().flat_map(convs).chain(w.post.iter().map(|(_, c)| c))
}

fn wavenet_state(w: &WaveNet) -> u64 {
    let condition = match w.condition.as_deref() {
        None => 0,
        Some(ConditionModel::Sequence(s)) => sequence_state(s),
        Some(ConditionModel::WaveNet(w)) => wavenet_state(w),
    };
    condition + all_convs(w).map(conv_state).sum::<u64>()
}

fn conv_weights(c: &Conv1d) -> u64 {
    (c.weights.len() + c.bias.as_ref().map_or(0, Vec::len)) as u64
}

fn sequence_weights(s: &Sequence) -> u64 {
    let layer = |layer: &Layer| match layer {
        Layer::Conv1d(c, _) => conv_weights(c),
        Layer::Lstm(l) => (l.input_weights.len() + l.hidden_weights.len() + l.bias.len()) as u64,
        Layer::Gru(g) => (g.input_weights.len() + g.hidden_weights.len() + g.input_bias.len() + g.hidden_bias.len()) as u64,
    };
    s.layers.iter().map(layer).sum()
}

fn wavenet_weights(w: &WaveNet) -> u64 {
    let condition = match w.condition.as_deref() {
        None => 0,
        Some(ConditionModel::Sequence(s)) => sequence_weights(s),
        Some(ConditionModel::WaveNet(w)) => wavenet_weights(w),
    };
    // The last is the factor behind the head.
    condition + all_convs(w).map(conv_weights).sum::<u64>() + 1
}

/// Numbers that training found. States before the first sample count as none.
pub fn weights(architecture: &Architecture) -> u64 {
    match architecture {
        Architecture::Sequence(s) => sequence_weights(s),
        Architecture::WaveNet(w) => wavenet_weights(w),
    }
}

/// `LSTM of 40, dense of 1`
pub fn summary(s: &Sequence) -> String {
    let layer = |layer: &Layer| match layer {
        Layer::Conv1d(c, _) if c.taps == 1 => format!("dense of {}", c.outputs),
        Layer::Conv1d(c, _) => format!("convolution of {}", c.outputs),
        Layer::Lstm(l) => format!("LSTM of {}", l.hidden),
        Layer::Gru(g) => format!("GRU of {}", g.hidden),
    };
    s.layers.iter().map(layer).collect::<Vec<_>>().join(", ")
}
