//! Small networks whose answer is known, and small ones of the engine with random weights, as models, so that the laws can be tried on the algorithm that plays them.

use std::sync::{Arc, LazyLock};

use isotherm::audio::Random;
use isotherm::dsp::Block;
use isotherm::effect::Effect;
use isotherm::neural::description::{
    Activation, Architecture, Conv1d, Films, Gating, Layer, LayerArray, Lstm, Sequence, WaveNet, WaveNetLayer,
};
use isotherm::neural::engine::{Mode, Network, Voices};
use isotherm::neural::{Info, Loaded, Model, Size};

/// A channel of a network.
trait Cell: Copy + Send + Sync + 'static {
    fn next(&mut self, x: f32, knobs: &[&[f32]], frame: usize) -> f32;
    fn rests(&self) -> bool {
        true
    }
}

struct Cells<C>(C);

struct Running<C> {
    start: C,
    channels: Vec<C>,
}

impl<C: Cell> Network for Cells<C> {
    fn voices(self: Arc<Self>, mode: Mode) -> Result<Box<dyn Voices>, String> {
        Ok(Box::new(Running { start: self.0, channels: vec![self.0; mode.channels] }))
    }

    fn bytes(&self) -> usize {
        0
    }
}

impl<C: Cell> Voices for Running<C> {
    fn process(&mut self, block: &mut Block<'_>, knobs: &[&[f32]]) {
        assert_eq!(block.len(), self.channels.len());
        for (samples, cell) in block.iter_mut().zip(&mut self.channels) {
            for (i, x) in samples.iter_mut().enumerate() {
                assert!(x.is_finite(), "{x} went into the network");
                *x = cell.next(*x, knobs, i);
            }
        }
    }

    fn settle(&mut self, knobs: &[f32]) -> f32 {
        self.reset();
        let knobs: arrayvec::ArrayVec<&[f32], 4> = knobs.iter().map(std::slice::from_ref).collect();
        let mut one = self.start;
        one.next(0.0, &knobs, 0)
    }

    fn reset(&mut self) {
        self.channels.fill(self.start);
    }

    fn rests(&self) -> bool {
        self.channels.iter().all(Cell::rests)
    }

    fn bytes(&self) -> usize {
        size_of_val(self.channels.as_slice())
    }
}

/// y = a x + b
#[derive(Clone, Copy)]
struct Straight(f32, f32);

impl Cell for Straight {
    fn next(&mut self, x: f32, _: &[&[f32]], _: usize) -> f32 {
        self.0 * x + self.1
    }
}

/// A one-pole low-pass into a curve that a knob drives.
#[derive(Clone, Copy, Default)]
struct Warm {
    low: f32,
    moves: bool,
}

impl Cell for Warm {
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

/// What comes in grows without end.
#[derive(Clone, Copy, Default)]
struct Explosive(f32);

impl Cell for Explosive {
    fn next(&mut self, x: f32, _: &[&[f32]], _: usize) -> f32 {
        self.0 = 1.05 * self.0 + x;
        self.0
    }

    fn rests(&self) -> bool {
        self.0 == 0.0
    }
}

/// A model and which laws it can obey.
pub struct Double {
    pub model: Arc<Model>,
    /// A gain and nothing else: shows latency and phase.
    pub plain: bool,
    /// Nothing comes out when nothing goes in.
    pub silent: bool,
    /// Its output follows its input, and one channel's nothing else: it does not explode.
    pub sane: bool,
}

impl Double {
    fn new<C: Cell>(name: &str, cell: C, sample_rate: f32, knobs: &[&str]) -> Self {
        let model = Model::from_network(info(name, sample_rate, knobs), Arc::new(Cells(cell)), Vec::new());
        Self { model, plain: false, silent: true, sane: true }
    }

    /// What the engine runs, with random weights.
    fn real(name: &str, architecture: Architecture, sample_rate: f32) -> Self {
        let knobs = &["Drive", "Colour"][..architecture.inputs() - 1];
        let size = Size { below: 1.0, architecture: Some(architecture), loudness_db: Some(-15.0) };
        let loaded = Loaded { info: info(name, sample_rate, knobs), sizes: vec![size], golden: None };
        Self { model: Model::new(loaded, Vec::new()), plain: false, silent: false, sane: true }
    }

    /// The defaults of the algorithm that plays it, with it.
    pub fn effect(&self) -> Effect {
        Effect::from_id("neural").unwrap().with_model(self.model.clone())
    }
}

fn info(name: &str, sample_rate: f32, knobs: &[&str]) -> Info {
    Info {
        name: Some(name.into()),
        sample_rate_given: true,
        loudness_db: Some(-21.0),
        input_level_dbu: Some(8.0),
        output_level_dbu: Some(16.0),
        knobs: knobs.iter().map(|k| (*k).into()).collect(),
        ..Info::new("double", name, 0, sample_rate)
    }
}

/// Weights within `most`, always the same.
fn weights(count: usize, most: f32) -> Vec<f32> {
    let mut random = Random::new(count as u64);
    (0..count).map(|_| random.within(-most, most)).collect()
}

fn conv(inputs: usize, outputs: usize, taps: usize, dilation: usize, bias: bool) -> Conv1d {
    let weights = |n: usize| weights(n, 0.8);
    let bias = bias.then(|| weights(outputs));
    Conv1d { inputs, outputs, taps, dilation, groups: 1, weights: weights(inputs * outputs * taps), bias }
}

fn sequence(layers: Vec<Layer>) -> Architecture {
    Architecture::Sequence(Sequence { layers, input_gain: 1.0, output_gain: 1.0, skip: false })
}

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

pub static DOUBLES: LazyLock<Vec<Double>> = LazyLock::new(|| {
    vec![
        Double { plain: true, ..Double::new("gain", Straight(0.5, 0.0), 48_000.0, &[]) },
        Double { plain: true, ..Double::new("gain at another rate", Straight(0.5, 0.0), 44_100.0, &[]) },
        Double::new("warm", Warm::default(), 48_000.0, &["Drive"]),
        Double { silent: false, ..Double::new("offset", Straight(0.5, 0.1), 48_000.0, &[]) },
        Double::real("lstm", lstm(0), 48_000.0),
        Double::real("lstm with knobs", lstm(2), 44_100.0),
        Double::real("convnet", conv_net(), 44_100.0),
        Double::real("wavenet", wave_net(), 48_000.0),
        Double { sane: false, ..Double::new("explosive", Explosive(0.0), 48_000.0, &[]) },
    ]
});

/// The one of [`DOUBLES`] that an effect plays, if it does.
pub fn double(effect: &Effect) -> Option<&'static Double> {
    DOUBLES.iter().find(|d| Some(d.model.id()) == effect.played().map(|model| model.id()))
}

/// Whether something plays at a host's rate: without the feature `models`, a model plays at its own only.
pub fn plays(effect: &Effect, rate: f32) -> bool {
    cfg!(feature = "models") || double(effect).is_none_or(|d| d.model.info().sample_rate == rate)
}
