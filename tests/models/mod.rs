//! Small networks whose answer is known, as models, so that the laws can be tried on the algorithm that plays them.

use std::sync::{Arc, LazyLock};

use isotherm::algorithm;
use isotherm::dsp::{Block, Settings};
use isotherm::neural::engine::{Mode, Network, Voices};
use isotherm::neural::{Format, Info, Model};

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
        let info = Info {
            format: Format::Nam,
            version: None,
            name: Some(name.into()),
            author: None,
            gear_make: None,
            gear_model: None,
            gear_type: None,
            tone_type: None,
            architecture: name.into(),
            parameters: 0,
            sample_rate,
            sample_rate_given: true,
            loudness_db: Some(-21.0),
            input_level_dbu: Some(8.0),
            output_level_dbu: Some(16.0),
            esr: None,
            knobs: knobs.iter().map(|k| (*k).into()).collect(),
        };
        let model = Model::from_network(info, Arc::new(Cells(cell)), Vec::new());
        Self { model, plain: false, silent: true, sane: true }
    }

    /// The defaults of the algorithm that plays it, with it.
    pub fn settings(&self) -> Settings {
        let mut settings = Settings::new(algorithm::find("neural").unwrap());
        settings.set_model(Some(self.model.key()));
        settings
    }
}

pub static DOUBLES: LazyLock<Vec<Double>> = LazyLock::new(|| {
    vec![
        Double { plain: true, ..Double::new("gain", Straight(0.5, 0.0), 48_000.0, &[]) },
        Double { plain: true, ..Double::new("gain at another rate", Straight(0.5, 0.0), 44_100.0, &[]) },
        Double::new("warm", Warm::default(), 48_000.0, &["Drive"]),
        Double { silent: false, ..Double::new("offset", Straight(0.5, 0.1), 48_000.0, &[]) },
        Double { sane: false, ..Double::new("explosive", Explosive(0.0), 48_000.0, &[]) },
    ]
});

/// What plays in some settings, if one of [`DOUBLES`] does.
pub fn double(settings: &Settings) -> Option<&'static Double> {
    DOUBLES.iter().find(|d| Some(d.model.key()) == settings.model())
}
