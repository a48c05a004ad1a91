//! Models for testing the algorithm that plays models: simple functions in a network's place, and small real networks with random
//! weights.

use std::sync::{Arc, LazyLock};

use isotherm::audio::Random;
use isotherm::dsp::Block;
use isotherm::effect::Effect;
use isotherm::neural::description::{
    Activation, Architecture, Conv1d, Films, Gating, Layer, LayerArray, Lstm, Sequence, WaveNet, WaveNetLayer,
};
use isotherm::neural::engine::{EngineError, Network, NetworkState, StateSpec};
use isotherm::neural::{Model, ModelInfo, ModelSize, ParsedModel};

/// A function in a network's place, with its state for one channel.
trait TestFunction: Copy + Send + Sync + 'static {
    /// The output for one sample; `knobs[k][frame]` is the value of knob `k`.
    fn next(&mut self, x: f32, knobs: &[&[f32]], frame: usize) -> f32;
    /// True if the state has stopped changing.
    fn rests(&self) -> bool {
        true
    }
}

/// A network made of a function.
struct FunctionNetwork<F>(F);

/// The state of a [`FunctionNetwork`].
struct FunctionState<F> {
    /// The function in its initial state.
    initial: F,
    channels: Vec<F>,
}

impl<F: TestFunction> Network for FunctionNetwork<F> {
    fn state(self: Arc<Self>, spec: StateSpec) -> Result<Box<dyn NetworkState>, EngineError> {
        Ok(Box::new(FunctionState { initial: self.0, channels: vec![self.0; spec.channels] }))
    }

    fn bytes(&self) -> usize {
        0
    }
}

impl<F: TestFunction> NetworkState for FunctionState<F> {
    fn process(&mut self, block: &mut Block<'_>, knobs: &[&[f32]]) {
        assert_eq!(block.len(), self.channels.len());
        for (samples, function) in block.iter_mut().zip(&mut self.channels) {
            for (i, x) in samples.iter_mut().enumerate() {
                assert!(x.is_finite(), "{x} went into the network");
                *x = function.next(*x, knobs, i);
            }
        }
    }

    fn settle(&mut self, knobs: &[f32]) -> f32 {
        self.reset();
        let knobs: arrayvec::ArrayVec<&[f32], 4> = knobs.iter().map(std::slice::from_ref).collect();
        let mut function = self.initial;
        function.next(0.0, &knobs, 0)
    }

    fn reset(&mut self) {
        self.channels.fill(self.initial);
    }

    fn rests(&self) -> bool {
        self.channels.iter().all(TestFunction::rests)
    }

    fn bytes(&self) -> usize {
        size_of_val(self.channels.as_slice())
    }
}

/// The function y = gain x + offset.
#[derive(Clone, Copy)]
struct GainAndOffset {
    gain: f32,
    offset: f32,
}

impl TestFunction for GainAndOffset {
    fn next(&mut self, x: f32, _: &[&[f32]], _: usize) -> f32 {
        self.gain * x + self.offset
    }
}

/// A one-pole low-pass into tanh, with a knob for the drive.
#[derive(Clone, Copy, Default)]
struct LowPassTanh {
    /// Output of the low-pass.
    low: f32,
    /// True if the last sample changed it.
    moves: bool,
}

impl TestFunction for LowPassTanh {
    fn next(&mut self, x: f32, knobs: &[&[f32]], frame: usize) -> f32 {
        let next = self.low + 0.3 * (x - self.low);
        self.moves = next.to_bits() != self.low.to_bits();
        self.low = next;
        ((1.0 + 4.0 * knobs[0][frame]) * next).tanh()
    }

    fn rests(&self) -> bool {
        !self.moves
    }
}

/// A one-pole low-pass.
#[derive(Clone, Copy, Default)]
struct OnePole(f32);

impl TestFunction for OnePole {
    fn next(&mut self, x: f32, _: &[&[f32]], _: usize) -> f32 {
        self.0 += 0.3 * (x - self.0);
        self.0
    }
}

/// An unstable filter: its state grows without limit.
#[derive(Clone, Copy, Default)]
struct Unstable(f32);

impl TestFunction for Unstable {
    fn next(&mut self, x: f32, _: &[&[f32]], _: usize) -> f32 {
        self.0 = 1.05 * self.0 + x;
        self.0
    }

    fn rests(&self) -> bool {
        self.0 == 0.0
    }
}

/// A model, and the properties by which the laws for it are selected.
pub struct TestModel {
    pub model: Arc<Model>,
    /// True if it is a gain and nothing else, so that latency and phase can be measured.
    pub gain_only: bool,
    /// True if its output for silence is silence.
    pub silent: bool,
    /// True if its state stays finite. An unstable model is reset in all channels when one becomes NaN.
    pub stable: bool,
}

impl TestModel {
    /// A model with a function in the network's place.
    fn new<F: TestFunction>(name: &str, function: F, sample_rate: f32, knobs: &[&str]) -> Self {
        let network = Arc::new(FunctionNetwork(function));
        let model = Model::from_network(info(name, sample_rate, knobs), network, Vec::new());
        Self { model, gain_only: false, silent: true, stable: true }
    }

    /// A model with a network of the engine.
    fn real(name: &str, architecture: Architecture, sample_rate: f32) -> Self {
        let knobs = &["Drive", "Colour"][..architecture.inputs() - 1];
        let size = ModelSize { loudness_db: Some(-15.0), ..ModelSize::new(1.0, Some(architecture)) };
        let loaded = ParsedModel { info: info(name, sample_rate, knobs), sizes: vec![size], test_vector: None };
        Self { model: Model::new(loaded, Vec::new()), gain_only: false, silent: false, stable: true }
    }

    /// The neural algorithm at its defaults, with this model.
    pub fn effect(&self) -> Effect {
        Effect::from_id("neural").unwrap().with_model(self.model.clone())
    }
}

/// Metadata of a model, with levels and loudness.
fn info(name: &str, sample_rate: f32, knobs: &[&str]) -> ModelInfo {
    ModelInfo {
        name: Some(name.into()),
        sample_rate_given: true,
        loudness_db: Some(-21.0),
        input_level_dbu: Some(8.0),
        output_level_dbu: Some(16.0),
        knobs: knobs.iter().map(|k| (*k).into()).collect(),
        ..ModelInfo::new("test model", name, 0, sample_rate)
    }
}

/// Random weights in -`limit`..`limit`, the same in every run.
fn weights(count: usize, limit: f32) -> Vec<f32> {
    let mut random = Random::new(count as u64);
    (0..count).map(|_| random.within(-limit, limit)).collect()
}

/// A convolution with random weights.
fn conv(inputs: usize, outputs: usize, taps: usize, dilation: usize, bias: bool) -> Conv1d {
    let weights = |n: usize| weights(n, 0.8);
    let bias = bias.then(|| weights(outputs));
    Conv1d { inputs, outputs, taps, dilation, groups: 1, weights: weights(inputs * outputs * taps), bias }
}

fn sequence(layers: Vec<Layer>) -> Architecture {
    Architecture::Sequence(Sequence { layers, input_gain: 1.0, output_gain: 1.0, skip: false })
}

/// An LSTM of 4 units with knobs as further inputs.
fn lstm(knobs: usize) -> Architecture {
    let lstm = Lstm {
        inputs: 1 + knobs,
        hidden: 4,
        input_weights: weights(16 * (1 + knobs), 1.0),
        hidden_weights: weights(64, 0.5),
        bias: weights(17, 0.5)[..16].to_vec(),
        h0: weights(4, 0.1),
        c0: weights(5, 0.1)[..4].to_vec(),
    };
    sequence(vec![Layer::Lstm(lstm), Layer::Conv1d(conv(4, 1, 1, 1, true), Activation::Identity)])
}

fn conv_net() -> Architecture {
    let layer = |inputs, dilation| Layer::Conv1d(conv(inputs, 3, 2, dilation, true), Activation::Tanh);
    sequence(vec![layer(1, 1), layer(3, 2), layer(3, 4), Layer::Conv1d(conv(3, 1, 1, 1, true), Activation::Identity)])
}

fn wave_net() -> Architecture {
    let layer = |dilation| WaveNetLayer {
        conv: conv(2, 2, 3, dilation, true),
        mixin: conv(1, 2, 1, 1, false),
        activation: Activation::Tanh,
        gating: Gating::None,
        layer1x1: Some(conv(2, 2, 1, 1, true)),
        head1x1: None,
        film: Films::default(),
    };
    let array = LayerArray {
        rechannel: conv(1, 2, 1, 1, false),
        layers: vec![layer(1), layer(2), layer(8)],
        head: conv(2, 1, 1, 1, true),
    };
    Architecture::WaveNet(Box::new(WaveNet { condition: None, arrays: vec![array], post: Vec::new(), head_scale: 0.5 }))
}

/// Every test model.
pub static TEST_MODELS: LazyLock<Vec<TestModel>> = LazyLock::new(|| {
    vec![
        TestModel { gain_only: true, ..TestModel::new("gain", GainAndOffset { gain: 0.5, offset: 0.0 }, 48_000.0, &[]) },
        TestModel {
            gain_only: true,
            ..TestModel::new("gain at another rate", GainAndOffset { gain: 0.5, offset: 0.0 }, 44_100.0, &[])
        },
        TestModel::new("low-pass into tanh", LowPassTanh::default(), 48_000.0, &["Drive"]),
        TestModel { silent: false, ..TestModel::new("offset", GainAndOffset { gain: 0.5, offset: 0.1 }, 48_000.0, &[]) },
        TestModel::real("lstm", lstm(0), 48_000.0),
        TestModel::real("lstm with knobs", lstm(2), 44_100.0),
        TestModel::real("convnet", conv_net(), 44_100.0),
        TestModel::real("wavenet", wave_net(), 48_000.0),
        TestModel { stable: false, ..TestModel::new("unstable", Unstable(0.0), 48_000.0, &[]) },
    ]
});

/// A linear model with a memory, of a kind that is not known to be linear: it is oversampled.
pub fn one_pole(sample_rate: f32) -> TestModel {
    TestModel::new("one-pole", OnePole::default(), sample_rate, &[])
}

/// A model without memory: y = tanh(`drive` x).
#[cfg(feature = "measure")]
pub fn shaper(drive: f32, sample_rate: f32) -> TestModel {
    let dense =
        |weight: f32| Conv1d { inputs: 1, outputs: 1, taps: 1, dilation: 1, groups: 1, weights: vec![weight], bias: None };
    let layers = [(drive, Activation::Tanh), (1.0, Activation::Identity)];
    let layers = layers.map(|(weight, activation)| Layer::Conv1d(dense(weight), activation)).to_vec();
    TestModel::real("tanh", sequence(layers), sample_rate)
}

/// A model with an impulse response in the network's place, as files of Neural Amp Modeler's *Linear* have it.
pub fn impulse_response(sample_rate: f32) -> TestModel {
    TestModel::real("linear", sequence(vec![Layer::Conv1d(conv(1, 1, 30, 1, true), Activation::Identity)]), sample_rate)
}

/// The test model that an effect plays, if it plays one.
pub fn test_model(effect: &Effect) -> Option<&'static TestModel> {
    TEST_MODELS.iter().find(|test| Some(test.model.id()) == effect.active_model().map(|model| model.id()))
}

/// True if an effect can be prepared for a sample rate in hertz: without the feature `models`, a model plays at its own rate
/// only.
pub fn plays(effect: &Effect, rate: f32) -> bool {
    cfg!(feature = "models") || test_model(effect).is_none_or(|test| test.model.info().sample_rate == rate)
}
