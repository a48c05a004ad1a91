//! What a model is, as plain data: the loaders fill it from a file and check it, the engine packs it for the machine.
//!
//! One order of weights for all formats, PyTorch's: matrices are row-major `[outputs][inputs]`, convolutions
//! `[outputs][inputs / groups][taps]` with the last tap on the newest sample.

/// What can be run.
#[derive(Clone, Debug, PartialEq)]
pub enum Architecture {
    /// Layers one after another: Linear, ConvNet, LSTM, GRU, dense, and what RTNeural and Proteus files hold.
    Sequence(Sequence),
    WaveNet(Box<WaveNet>),
}

/// Layers one after another. The first reads the audio and, if it has more inputs, the knobs behind it; the last has one output.
#[derive(Clone, Debug, PartialEq)]
pub struct Sequence {
    /// Not empty; each has as many inputs as the one before has outputs.
    pub layers: Vec<Layer>,
    /// Factor on the audio (not the knobs) before the first layer.
    pub input_gain: f32,
    /// Factor behind the last layer and behind the skip.
    pub output_gain: f32,
    /// Whether the audio (behind `input_gain`) is added to the output (before `output_gain`).
    pub skip: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Layer {
    /// Also a dense layer (one tap) and an impulse response (one input and output). Batch normalisation is folded in.
    Conv1d(Conv1d, Activation),
    Lstm(Lstm),
    Gru(Gru),
}

/// y\[o\](t) = bias\[o\] + sum over i, k of w\[o\]\[i\]\[k\] x\[i\](t - (taps - 1 - k) dilation), before which all was silent.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv1d {
    pub inputs: usize,
    pub outputs: usize,
    pub taps: usize,
    pub dilation: usize,
    /// Divides inputs and outputs; an output reads only the inputs of its group.
    pub groups: usize,
    /// `[outputs][inputs / groups][taps]`
    pub weights: Vec<f32>,
    /// One for each output.
    pub bias: Option<Vec<f32>>,
}

/// Gates in the order i, f, g, o: c = s(f) c + s(i) tanh(g), h = s(o) tanh(c), with s the logistic function.
#[derive(Clone, Debug, PartialEq)]
pub struct Lstm {
    pub inputs: usize,
    pub hidden: usize,
    /// `[4 hidden][inputs]`
    pub input_weights: Vec<f32>,
    /// `[4 hidden][hidden]`
    pub hidden_weights: Vec<f32>,
    /// `[4 hidden]`
    pub bias: Vec<f32>,
    /// Of before the first sample; `[hidden]` each.
    pub h0: Vec<f32>,
    pub c0: Vec<f32>,
}

/// Gates in the order r, z, n: n = tanh(W x + b + s(r) (U h + b')), h = (1 - s(z)) n + s(z) h.
#[derive(Clone, Debug, PartialEq)]
pub struct Gru {
    pub inputs: usize,
    pub hidden: usize,
    /// `[3 hidden][inputs]`
    pub input_weights: Vec<f32>,
    /// `[3 hidden][hidden]`
    pub hidden_weights: Vec<f32>,
    /// `[3 hidden]`
    pub input_bias: Vec<f32>,
    /// `[3 hidden]`
    pub hidden_bias: Vec<f32>,
    /// `[hidden]`
    pub h0: Vec<f32>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Activation {
    /// x
    Identity,
    Tanh,
    /// x clamped to -1..1
    HardTanh,
    /// max(x, 0)
    Relu,
    /// Below 0: slope x, with one slope or one for each channel (PReLU).
    LeakyRelu(Vec<f32>),
    /// 1 / (1 + exp(-x))
    Sigmoid,
    /// x sigmoid(x)
    Silu,
    /// x clamp(x + 3, 0, 6) / 6
    HardSwish,
    /// x within min..max; beyond it, straight on with the slopes.
    LeakyHardTanh {
        min: f32,
        max: f32,
        min_slope: f32,
        max_slope: f32,
    },
    /// x / (1 + |x|)
    Softsign,
    /// Below 0: alpha (exp(x) - 1)
    Elu {
        alpha: f32,
    },
}

/// NAM's WaveNet with everything that its files may say. `c` is the condition: the audio, or the output of `condition`.
#[derive(Clone, Debug, PartialEq)]
pub struct WaveNet {
    /// A model of its own that makes the condition from the audio.
    pub condition: Option<Box<ConditionModel>>,
    /// Not empty. The first reads the audio, each other one the last layer's output of the one before, and starts its head
    /// accumulator from that one's head output.
    pub arrays: Vec<LayerArray>,
    /// Convolutions behind the last array's head, the activation before each.
    pub post: Vec<(Activation, Conv1d)>,
    /// Factor behind the last array's head, before `post`.
    pub head_scale: f32,
}

/// What `condition_dsp` holds: its outputs are the condition's channels.
#[derive(Clone, Debug, PartialEq)]
pub enum ConditionModel {
    /// Its last layer may have more than one output.
    Sequence(Sequence),
    WaveNet(WaveNet),
}

#[derive(Clone, Debug, PartialEq)]
pub struct LayerArray {
    /// Taps 1, no bias: inputs to `channels`.
    pub rechannel: Conv1d,
    /// Not empty.
    pub layers: Vec<WaveNetLayer>,
    /// From the head accumulator's channels to the array's head outputs.
    pub head: Conv1d,
}

/// z = conv(x) + mixin(c), gated or blended, then the next layer's x += layer1x1(z) and the head accumulator += head1x1(z).
#[derive(Clone, Debug, PartialEq)]
pub struct WaveNetLayer {
    /// `channels` to `bottleneck`, or to twice that if gated or blended (the second half is the gate).
    pub conv: Conv1d,
    /// Taps 1, no bias: condition to as many as `conv` has outputs.
    pub mixin: Conv1d,
    pub activation: Activation,
    pub gating: Gating,
    /// Taps 1: bottleneck to channels. Without it x stays, as NeuralAmpModelerCore has it.
    pub layer1x1: Option<Conv1d>,
    /// Taps 1: bottleneck to the head's channels. Without it z itself goes there.
    pub head1x1: Option<Conv1d>,
    pub film: Films,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Gating {
    None,
    /// a(top) b(gate)
    Gated(Activation),
    /// k a(top) + (1 - k) top, k = b(gate)
    Blended(Activation),
}

/// Places where the condition scales and shifts: x becomes scale x (+ shift). Each a 1x1 of the condition, with bias, whose outputs
/// are the scales and, if there are twice as many as what is modulated, then the shifts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Films {
    /// On the convolution's input.
    pub conv_pre: Option<Conv1d>,
    /// On the convolution's output.
    pub conv_post: Option<Conv1d>,
    /// On the condition before the mixin.
    pub mixin_pre: Option<Conv1d>,
    /// On the mixin's output.
    pub mixin_post: Option<Conv1d>,
    /// On z before the activation.
    pub activation_pre: Option<Conv1d>,
    /// On z behind the activation and gate.
    pub activation_post: Option<Conv1d>,
    /// On the output of layer1x1; only done when the layer is blended, as NeuralAmpModelerCore does.
    pub layer1x1_post: Option<Conv1d>,
    /// On the output of head1x1.
    pub head1x1_post: Option<Conv1d>,
}

impl Architecture {
    /// Inputs: the audio and the knobs behind it. [any thread]
    #[must_use]
    pub fn inputs(&self) -> usize {
        match self {
            Self::Sequence(s) => s.inputs(),
            Self::WaveNet(_) => 1,
        }
    }

    /// Frames that an output depends on, or nothing if it depends on all before. [any thread]
    #[must_use]
    pub fn receptive_field(&self) -> Option<usize> {
        match self {
            Self::Sequence(s) => s.receptive_field(),
            Self::WaveNet(w) => w.receptive_field(),
        }
    }
}

impl Conv1d {
    /// Frames before the newest that it reads.
    #[must_use]
    pub fn reach(&self) -> usize {
        (self.taps - 1) * self.dilation
    }
}

impl Layer {
    #[must_use]
    pub fn inputs(&self) -> usize {
        match self {
            Self::Conv1d(c, _) => c.inputs,
            Self::Lstm(l) => l.inputs,
            Self::Gru(g) => g.inputs,
        }
    }

    #[must_use]
    pub fn outputs(&self) -> usize {
        match self {
            Self::Conv1d(c, _) => c.outputs,
            Self::Lstm(l) => l.hidden,
            Self::Gru(g) => g.hidden,
        }
    }
}

impl Sequence {
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.layers.first().map_or(1, Layer::inputs)
    }

    #[must_use]
    pub fn receptive_field(&self) -> Option<usize> {
        self.layers.iter().try_fold(1, |sum, layer| match layer {
            Layer::Conv1d(c, _) => Some(sum + c.reach()),
            Layer::Lstm(_) | Layer::Gru(_) => None,
        })
    }
}

impl WaveNet {
    #[must_use]
    pub fn receptive_field(&self) -> Option<usize> {
        let condition = match self.condition.as_deref() {
            None => 1,
            Some(ConditionModel::Sequence(s)) => s.receptive_field()?,
            Some(ConditionModel::WaveNet(w)) => w.receptive_field()?,
        };
        let arrays = self.arrays.iter().map(|a| a.head.reach() + a.layers.iter().map(|l| l.conv.reach()).sum::<usize>());
        Some(condition + arrays.sum::<usize>() + self.post.iter().map(|(_, c)| c.reach()).sum::<usize>())
    }
}
