//! Descriptions of networks, as plain data: a loader fills one from a model's file and checks it, the engine packs it for the
//! machine ([`crate::engine::build`]).
//!
//! Weights have the same order for all formats, PyTorch's: matrices are row-major `[outputs][inputs]`, convolutions
//! `[outputs][inputs / groups][taps]` with the last tap on the newest sample. Shapes such as `[outputs][taps]` are written
//! slowest index first. Formulas leave out the multiplication sign: `w x` is w times x.

/// A network of one of the kinds that the engine runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Architecture {
    /// Layers one after another: NAM's Linear, ConvNet and LSTM, and the networks of RTNeural and Proteus files.
    Sequence(Sequence),
    /// NAM's WaveNet.
    WaveNet(Box<WaveNet>),
    /// Networks one after another, at least one: NAM's Sequential. Each has one input and one output, which is the audio of the
    /// next.
    Series(Vec<Architecture>),
}

/// Layers one after another. The first reads the audio and, if it has more inputs, the knobs after it; the last has one output.
#[derive(Clone, Debug, PartialEq)]
pub struct Sequence {
    /// The layers, at least one. Each has as many inputs as the previous one has outputs.
    pub layers: Vec<Layer>,
    /// Factor on the audio (not the knobs) before the first layer.
    pub input_gain: f32,
    /// Factor on the output, after the skip is added.
    pub output_gain: f32,
    /// True if the audio (after `input_gain`) is added to the last layer's output (before `output_gain`).
    pub skip: bool,
}

/// A layer of a [`Sequence`].
#[derive(Clone, Debug, PartialEq)]
pub enum Layer {
    /// A convolution and the activation of its output; also a dense layer (one tap) or an impulse response (one input and
    /// output). Loaders fold batch normalisation into the weights.
    Conv1d(Conv1d, Activation),
    /// Long short-term memory; its outputs are the units' h.
    Lstm(Lstm),
    /// A gated recurrent unit layer; its outputs are the units' h.
    Gru(Gru),
}

/// A causal convolution over time: y\[o\](t) = bias\[o\] + sum over i, k of w\[o\]\[i\]\[k\] x\[i\](t - (taps - 1 - k) dilation),
/// with x = 0 before the first frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv1d {
    /// Feature channels that it reads, at least 1.
    pub inputs: usize,
    /// Feature channels that it computes, at least 1.
    pub outputs: usize,
    /// Frames that are weighted for each output frame (the kernel size), at least 1.
    pub taps: usize,
    /// Frames from one tap to the next, at least 1.
    pub dilation: usize,
    /// Groups of inputs and outputs; a divisor of both counts. An output reads only the inputs of its group.
    pub groups: usize,
    /// Weights w, `[outputs][inputs / groups][taps]`.
    pub weights: Vec<f32>,
    /// Bias of each output; `None` stands for zeros.
    pub bias: Option<Vec<f32>>,
}

/// A layer of long short-term memory. The gates i, f, g, o are W x + U h + bias (input weights W, hidden weights U), in this
/// order. Each frame c = s(f) c + s(i) tanh(g) and h = s(o) tanh(c), with s the logistic function.
#[derive(Clone, Debug, PartialEq)]
pub struct Lstm {
    /// Feature channels that it reads.
    pub inputs: usize,
    /// Units, which are also its outputs.
    pub hidden: usize,
    /// W, `[4 hidden][inputs]`.
    pub input_weights: Vec<f32>,
    /// U, `[4 hidden][hidden]`.
    pub hidden_weights: Vec<f32>,
    /// Biases, `[4 hidden]`.
    pub bias: Vec<f32>,
    /// The units' h before the first frame, `[hidden]`.
    pub h0: Vec<f32>,
    /// The units' c before the first frame, `[hidden]`.
    pub c0: Vec<f32>,
}

/// A layer of gated recurrent units, in PyTorch's form. The gates r, z, n are in this order; r and z are W x + b + U h + b'
/// (input weights W and biases b, hidden weights U and biases b'). Each frame n = tanh(W x + b + s(r) (U h + b')) and h = (1 -
/// s(z)) n + s(z) h, with s the logistic function.
#[derive(Clone, Debug, PartialEq)]
pub struct Gru {
    /// Feature channels that it reads.
    pub inputs: usize,
    /// Units, which are also its outputs.
    pub hidden: usize,
    /// W, `[3 hidden][inputs]`.
    pub input_weights: Vec<f32>,
    /// U, `[3 hidden][hidden]`.
    pub hidden_weights: Vec<f32>,
    /// b, `[3 hidden]`.
    pub input_bias: Vec<f32>,
    /// b', `[3 hidden]`.
    pub hidden_bias: Vec<f32>,
    /// The units' h before the first frame, `[hidden]`.
    pub h0: Vec<f32>,
}

/// A function that is applied to every sample of a layer's output.
#[derive(Clone, Debug, PartialEq)]
pub enum Activation {
    /// x.
    Identity,
    /// tanh(x).
    Tanh,
    /// x clamped to -1..1.
    HardTanh,
    /// max(x, 0).
    Relu,
    /// x if it is 0 or more, slope x below. The slopes are one for all feature channels (LeakyReLU) or one for each (PReLU).
    LeakyRelu(Vec<f32>),
    /// The logistic function, 1 / (1 + exp(-x)).
    Sigmoid,
    /// x sigmoid(x), also called Swish.
    Silu,
    /// x clamp(x + 3, 0, 6) / 6.
    HardSwish,
    /// x within `min`..`max`, and straight lines beyond.
    LeakyHardTanh {
        /// The lower limit.
        min: f32,
        /// The upper limit.
        max: f32,
        /// Slope below `min`.
        min_slope: f32,
        /// Slope above `max`.
        max_slope: f32,
    },
    /// x / (1 + |x|).
    Softsign,
    /// x if it is 0 or more, alpha (exp(x) - 1) below.
    Elu {
        /// Minus the limit for x towards minus infinity.
        alpha: f32,
    },
}

/// A WaveNet as Neural Amp Modeler (NAM) has it, with everything that its files can express. Each layer also reads the
/// *condition*, a signal that is the audio itself or the output of the condition model. Besides the signal that goes from layer
/// to layer there is the *head accumulator*, a sum to which every layer adds; the output is made from it.
#[derive(Clone, Debug, PartialEq)]
pub struct WaveNet {
    /// The model that makes the condition from the audio. If there is none, the audio is the condition.
    pub condition: Option<Box<ConditionModel>>,
    /// The layer arrays, at least one. The first reads the audio; each other one reads the output of the last layer of the array
    /// before it, and its head accumulator starts from that array's head output.
    pub arrays: Vec<LayerArray>,
    /// Convolutions after the last array's head (NAM's `head`), each with the activation before it. Often empty.
    pub post: Vec<(Activation, Conv1d)>,
    /// Factor after the last array's head, before `post`.
    pub head_scale: f32,
}

/// The network in a file's `condition_dsp`: its outputs are the channels of the condition.
#[derive(Clone, Debug, PartialEq)]
pub enum ConditionModel {
    /// Convolutions one after another. Unlike elsewhere, the last layer may have more than one output.
    Sequence(Sequence),
    /// A WaveNet, perhaps with a condition model of its own and with more than one output.
    WaveNet(WaveNet),
}

/// Layers of one width, with a convolution before and one after them.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerArray {
    /// Convolution from the array's inputs to the layers' channels: 1 tap, no bias.
    pub rechannel: Conv1d,
    /// The layers, at least one.
    pub layers: Vec<WaveNetLayer>,
    /// Convolution from the head accumulator's channels to the array's head outputs.
    pub head: Conv1d,
}

/// A layer of a WaveNet. With its input x and the condition c: z = conv(x) + mixin(c), then y = activation(z), gated or blended
/// with half of z. The next layer's input is x + layer1x1(y), and head1x1(y) is added to the head accumulator.
#[derive(Clone, Debug, PartialEq)]
pub struct WaveNetLayer {
    /// Dilated convolution from the layer's channels to as many rows as y has (the *bottleneck*), or to twice as many if the
    /// layer is gated or blended; then the second half is the gate.
    pub conv: Conv1d,
    /// Convolution from the condition to as many outputs as `conv` has: 1 tap, no bias.
    pub mixin: Conv1d,
    /// The activation of z, or of its first half if the layer is gated or blended.
    pub activation: Activation,
    /// The use of the second half of z.
    pub gating: Gating,
    /// Convolution of 1 tap from the bottleneck to the channels. Without it the next layer's input is x, as in
    /// NeuralAmpModelerCore.
    pub layer1x1: Option<Conv1d>,
    /// Convolution of 1 tap from the bottleneck to the head accumulator's channels. Without it y itself is added there.
    pub head1x1: Option<Conv1d>,
    /// Modulations by the condition.
    pub film: Films,
}

/// The way in which a layer makes y from z. With a the layer's activation, b the gate's, `top` the first half of z and `gate` the
/// second:
#[derive(Clone, Debug, PartialEq)]
pub enum Gating {
    /// y = a(z); z has no second half.
    None,
    /// y = a(top) b(gate). Holds b.
    Gated(Activation),
    /// y = k a(top) + (1 - k) top with k = b(gate). Holds b.
    Blended(Activation),
}

/// A layer's FiLMs (feature-wise linear modulations): places where the condition scales a signal x, which becomes scale x (+
/// shift). Each is a convolution of the condition with 1 tap and bias. Its outputs are one scale for each row of x and then, if
/// there are twice as many outputs as rows, the shifts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Films {
    /// On the input of `conv`.
    pub conv_pre: Option<Conv1d>,
    /// On the output of `conv`.
    pub conv_post: Option<Conv1d>,
    /// On the condition before `mixin`.
    pub mixin_pre: Option<Conv1d>,
    /// On the output of `mixin`.
    pub mixin_post: Option<Conv1d>,
    /// On z before the activation.
    pub activation_pre: Option<Conv1d>,
    /// On y, after activation and gate.
    pub activation_post: Option<Conv1d>,
    /// On the output of `layer1x1`. Ignored unless the layer is blended, as in NeuralAmpModelerCore.
    pub layer1x1_post: Option<Conv1d>,
    /// On the output of `head1x1`.
    pub head1x1_post: Option<Conv1d>,
}

impl Architecture {
    /// Number of inputs: 1 for the audio, and the knobs. [any thread]
    #[must_use]
    pub fn inputs(&self) -> usize {
        match self {
            Self::Sequence(s) => s.inputs(),
            Self::WaveNet(_) | Self::Series(_) => 1,
        }
    }

    /// Frames of input that an output frame depends on, or `None` for recurrent networks, where it depends on all. [any thread]
    #[must_use]
    pub fn receptive_field(&self) -> Option<usize> {
        match self {
            Self::Sequence(s) => s.receptive_field(),
            Self::WaveNet(w) => w.receptive_field(),
            Self::Series(parts) => parts.iter().try_fold(1, |sum, part| Some(sum + part.receptive_field()? - 1)),
        }
    }
}

impl Architecture {
    /// True if the output is a convolution of the input plus a constant: such a network makes no new frequencies. [any thread]
    #[must_use]
    pub fn is_linear(&self) -> bool {
        match self {
            Self::Sequence(s) => s.layers.iter().all(|layer| matches!(layer, Layer::Conv1d(_, Activation::Identity))),
            Self::WaveNet(_) => false,
            Self::Series(parts) => parts.iter().all(Self::is_linear),
        }
    }
}

impl Conv1d {
    /// Frames that it reads before the newest one: (taps - 1) dilation. [any thread]
    #[must_use]
    pub fn reach(&self) -> usize {
        (self.taps - 1) * self.dilation
    }
}

impl Layer {
    /// Feature channels that the layer reads. [any thread]
    #[must_use]
    pub fn inputs(&self) -> usize {
        match self {
            Self::Conv1d(c, _) => c.inputs,
            Self::Lstm(l) => l.inputs,
            Self::Gru(g) => g.inputs,
        }
    }

    /// Feature channels that the layer computes. [any thread]
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
    /// Number of inputs: 1 for the audio, and the knobs. [any thread]
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.layers.first().map_or(1, Layer::inputs)
    }

    /// Frames of input that an output frame depends on, or `None` if a layer is recurrent. [any thread]
    #[must_use]
    pub fn receptive_field(&self) -> Option<usize> {
        self.layers.iter().try_fold(1, |sum, layer| match layer {
            Layer::Conv1d(c, _) => Some(sum + c.reach()),
            Layer::Lstm(_) | Layer::Gru(_) => None,
        })
    }
}

impl WaveNet {
    /// Frames of input that an output frame depends on, or `None` if the condition model is recurrent. [any thread]
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
