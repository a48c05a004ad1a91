//! Limits of the memory and the work that a model may need. A file is checked against them before anything of that size is
//! allocated.
#![warn(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]

use super::ModelError;
use super::description::{Architecture, ConditionModel, Conv1d, Layer, LayerArray, Sequence, WaveNet};
use super::json::Field;

/// Bytes of everything that is made from a file: weights as read and as packed, layers, the state of two channels.
pub const MAX_MODEL_BYTES: u64 = 1 << 30;
/// Multiply-adds for settling and measuring a network: some ten seconds of work.
const MAX_WORK: u64 = 1 << 36;
/// Inputs or outputs of a layer.
pub const MAX_LAYER_CHANNELS: usize = 1 << 16;
/// Taps of a convolution.
pub const MAX_TAPS: usize = 1 << 20;
/// Frames from one tap of a convolution to the next.
pub const MAX_DILATION: usize = 1 << 24;
/// Frames that a convolution looks back (its reach).
const MAX_REACH: usize = 1 << 24;
/// Levels of models that contain models.
pub const MAX_DEPTH: usize = 4;
/// The lowest and the highest sample rate, in Hz.
pub const SAMPLE_RATES: (f64, f64) = (1000.0, 768_000.0);

/// Bytes of a number in a description and of its packed copy.
const WEIGHT_BYTES: u64 = 8;
/// Bytes of a layer's description without its weights, at most.
const LAYER_BYTES: u64 = 2048;
/// Largest number of input frames that a convolution keeps beyond its reach.
const INPUT_FRAMES: u64 = 1024;
/// Frames of its output that a convolution keeps, at most.
const OUTPUT_FRAMES: u64 = 128;

/// The bytes that the parts of a model need so far. Each part is added before it is allocated. If the sum exceeds
/// [`MAX_MODEL_BYTES`], that is an error about the field that the methods get as `at`.
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
        if self.spent > MAX_MODEL_BYTES {
            return Err(at.error(
                format!("a model of {} MiB or more", self.spent >> 20),
                format!("at most {} MiB", MAX_MODEL_BYTES >> 20),
            ));
        }
        Ok(())
    }

    /// Adds `count` weights.
    pub fn spend_weights(&mut self, at: &Field<'_>, count: u64) -> Result<(), ModelError> {
        self.spend(at, count.saturating_mul(WEIGHT_BYTES))
    }

    /// Adds a layer without its weights.
    pub fn spend_layer(&mut self, at: &Field<'_>) -> Result<(), ModelError> {
        self.spend(at, LAYER_BYTES)
    }

    /// Adds the state of two channels, and checks the work of settling and measuring the network against [`MAX_WORK`].
    pub fn spend_state(&mut self, at: &Field<'_>, architecture: &Architecture, sample_rate: f32) -> Result<(), ModelError> {
        let (state, work) = match architecture {
            Architecture::Sequence(s) => (sequence_state_bytes(s), sequence_weight_count(s)),
            Architecture::WaveNet(w) => (wavenet_state_bytes(w), wavenet_weight_count(w)),
            // The states of the parts were added with the parts.
            Architecture::Series(_) => (0, weight_count(architecture)),
        };
        self.spend(at, 2 * state)?;
        check_work(architecture, work, sample_rate).map_err(|found| at.error(found, format!("at most {MAX_WORK}")))
    }
}

/// Checks the multiply-adds of settling and measuring a network of `work` weights at a sample rate in Hz against [`MAX_WORK`].
///
/// # Errors
/// A description of the work, if it is more.
fn check_work(architecture: &Architecture, work: u64, sample_rate: f32) -> Result<(), String> {
    // A recurrent network is settled over half a second of silence, any other over its receptive field. All are measured
    // with half a second of sound.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "SAMPLE_RATES are positive and fit into a usize")]
    let half_a_second = (sample_rate * 0.5) as usize;
    let frames = architecture.receptive_field().unwrap_or(0).max(half_a_second) as u64;
    let adds = frames.saturating_mul(work);
    if adds > MAX_WORK {
        return Err(format!("{work} weights over {frames} frames, {adds} multiply-adds before the first sound"));
    }
    Ok(())
}

/// Checks the work of settling and measuring a network at another sample rate, in Hz, than that of its file.
///
/// # Errors
/// If it is more than [`MAX_WORK`].
pub fn check_rate(architecture: &Architecture, sample_rate: f32) -> Result<(), ModelError> {
    check_work(architecture, weight_count(architecture), sample_rate)
        .map_err(|found| ModelError::Invalid(format!("{found} at {sample_rate} Hz; expected at most {MAX_WORK}")))
}

/// Checks the frames that a convolution looks back.
///
/// # Errors
/// If they are more than [`MAX_REACH`].
pub fn check_reach(at: &Field<'_>, taps: usize, dilation: usize) -> Result<(), ModelError> {
    let reach = (taps - 1).saturating_mul(dilation);
    if reach > MAX_REACH {
        return Err(
            at.error(format!("{taps} taps with dilation {dilation} look back {reach} frames"), format!("at most {MAX_REACH}"))
        );
    }
    Ok(())
}

/// Bytes that a convolution keeps of one channel of audio.
fn conv_state_bytes(c: &Conv1d) -> u64 {
    4 * ((c.reach() as u64 + INPUT_FRAMES) * c.inputs as u64 + OUTPUT_FRAMES * c.outputs as u64)
}

fn sequence_state_bytes(s: &Sequence) -> u64 {
    let layer = |layer: &Layer| match layer {
        // The buffer is twice as long as the part that is read, so that it is seldom moved.
        Layer::Conv1d(c, _) => conv_state_bytes(c) + 4 * c.reach() as u64 * c.inputs as u64,
        Layer::Lstm(l) => 8 * l.hidden as u64,
        Layer::Gru(g) => 4 * g.hidden as u64,
    };
    s.layers.iter().map(layer).sum()
}

/// All convolutions of a WaveNet's array of layers.
pub fn array_convolutions(array: &LayerArray) -> impl Iterator<Item = &Conv1d> {
    let layers = array.layers.iter().flat_map(|l| {
        let f = &l.film;
        let films = [&f.conv_pre, &f.conv_post, &f.mixin_pre, &f.mixin_post, &f.activation_pre, &f.activation_post];
        let more = [&f.layer1x1_post, &f.head1x1_post];
        [&l.conv, &l.mixin].into_iter().chain(&l.layer1x1).chain(&l.head1x1).chain(films.into_iter().chain(more).flatten())
    });
    layers.chain([&array.rechannel, &array.head])
}

/// All convolutions of a WaveNet without those of its condition model.
fn all_convolutions(w: &WaveNet) -> impl Iterator<Item = &Conv1d> {
    w.arrays.iter().flat_map(array_convolutions).chain(w.post.iter().map(|(_, c)| c))
}

fn wavenet_state_bytes(w: &WaveNet) -> u64 {
    let condition = match w.condition.as_deref() {
        None => 0,
        Some(ConditionModel::Sequence(s)) => sequence_state_bytes(s),
        Some(ConditionModel::WaveNet(w)) => wavenet_state_bytes(w),
    };
    condition + all_convolutions(w).map(conv_state_bytes).sum::<u64>()
}

fn conv_weight_count(c: &Conv1d) -> u64 {
    (c.weights.len() + c.bias.as_ref().map_or(0, Vec::len)) as u64
}

fn sequence_weight_count(s: &Sequence) -> u64 {
    let layer = |layer: &Layer| match layer {
        Layer::Conv1d(c, _) => conv_weight_count(c),
        Layer::Lstm(l) => (l.input_weights.len() + l.hidden_weights.len() + l.bias.len()) as u64,
        Layer::Gru(g) => (g.input_weights.len() + g.hidden_weights.len() + g.input_bias.len() + g.hidden_bias.len()) as u64,
    };
    s.layers.iter().map(layer).sum()
}

fn wavenet_weight_count(w: &WaveNet) -> u64 {
    let condition = match w.condition.as_deref() {
        None => 0,
        Some(ConditionModel::Sequence(s)) => sequence_weight_count(s),
        Some(ConditionModel::WaveNet(w)) => wavenet_weight_count(w),
    };
    // The last weight is the factor after the head.
    condition + all_convolutions(w).map(conv_weight_count).sum::<u64>() + 1
}

/// Count of the trained numbers of a network. The initial states of recurrent layers are not counted.
pub fn weight_count(architecture: &Architecture) -> u64 {
    match architecture {
        Architecture::Sequence(s) => sequence_weight_count(s),
        Architecture::WaveNet(w) => wavenet_weight_count(w),
        Architecture::Series(parts) => parts.iter().map(weight_count).sum(),
    }
}

/// [`weight_count`] as [`ModelInfo::parameters`](super::ModelInfo) has it.
pub fn parameter_count(architecture: &Architecture) -> usize {
    // A network whose weights are in memory has no more than fit into a usize.
    usize::try_from(weight_count(architecture)).unwrap_or(usize::MAX)
}

/// Description of the layers for users: `LSTM of 40, dense of 1`.
pub fn summary(s: &Sequence) -> String {
    let layer = |layer: &Layer| match layer {
        Layer::Conv1d(c, _) if c.taps == 1 => format!("dense of {}", c.outputs),
        Layer::Conv1d(c, _) => format!("convolution of {}", c.outputs),
        Layer::Lstm(l) => format!("LSTM of {}", l.hidden),
        Layer::Gru(g) => format!("GRU of {}", g.hidden),
    };
    s.layers.iter().map(layer).collect::<Vec<_>>().join(", ")
}
