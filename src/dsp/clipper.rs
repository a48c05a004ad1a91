//! The clipper: limits samples to a threshold, hard or with a cubic soft knee.

use multiversion::multiversion;

use super::approximate::limit;
use super::dry_wet::DryWet;
use super::oversample::{Factors, Oversampler};
use super::parameter::{Parameter, ParameterIndex, Unit};
use super::{Algorithm, Block, CHUNK, Chunk, ProcessSpec, Processor, Ramp, Settings, db_to_gain};

/// The row of the clipper in the registry.
pub static ALGORITHM: Algorithm = Algorithm {
    id: "clipper",
    name: "Clipper",
    description: "Cuts peaks off at a threshold, hard or with a cubic knee",
    parameters: &PARAMETERS,
    plays_model: false,
    prepare: |spec, settings| Ok(Box::new(Clipper::new(spec, settings))),
};

const THRESHOLD: ParameterIndex = Parameter::index_of(&PARAMETERS, "threshold");
const SHAPE: ParameterIndex = Parameter::index_of(&PARAMETERS, "shape");
const OUTPUT: ParameterIndex = Parameter::index_of(&PARAMETERS, "output");
const MIX: ParameterIndex = Parameter::index_of(&PARAMETERS, "mix");
const OVERSAMPLING: ParameterIndex = Parameter::index_of(&PARAMETERS, "oversampling");
const RENDER_OVERSAMPLING: ParameterIndex = Parameter::index_of(&PARAMETERS, "render_oversampling");

static PARAMETERS: [Parameter; 6] = [
    Parameter::number("threshold", "Threshold", (-48.0, 0.0), -6.0, Unit::Decibel, "The level that no peak passes"),
    Parameter::choice(
        "shape",
        "Shape",
        &["Hard", "Cubic"],
        1,
        "Hard leaves all below the threshold alone; cubic bends towards it",
    ),
    Parameter::output(),
    Parameter::mix("Dry at 0, clipped at 100; both stay in phase"),
    Parameter::choice(
        "oversampling",
        "Oversampling",
        &["1x", "2x", "4x", "8x"],
        3,
        "Runs the curve at a higher rate: less aliasing, more latency and work, and peaks may pass by a little",
    ),
    Parameter::render_oversampling(&["As set", "1x", "2x", "4x", "8x"]),
];

/// The processor of [`ALGORITHM`].
#[derive(Clone)]
pub struct Clipper {
    /// True until the first frame after `reset`: values then change at once.
    at_start: bool,
    /// True for the cubic curve, false for the hard one.
    cubic: bool,
    /// Threshold, linear.
    threshold: Ramp,
    oversamplers: Vec<Oversampler>,
    dry_wet: DryWet,
    /// The chunk of each channel on the wet path.
    wet: Vec<Chunk>,
    /// Values of `threshold` in this chunk.
    thresholds: Chunk,
}

impl Clipper {
    fn new(spec: ProcessSpec, settings: &Settings) -> Self {
        let (rate, channels) = (spec.sample_rate, spec.channels);
        let factors = Factors::new(settings.get(OVERSAMPLING), settings.get(RENDER_OVERSAMPLING), &spec);
        let oversamplers = vec![Oversampler::of_factors(factors, false); channels];
        Self {
            at_start: true,
            cubic: settings.get(SHAPE) >= 1.0,
            threshold: Ramp::new(db_to_gain(settings.get(THRESHOLD)), rate),
            dry_wet: DryWet::new(rate, channels, oversamplers[0].latency(), settings.get(MIX), settings.get(OUTPUT)),
            oversamplers,
            wet: vec![[0.0; CHUNK]; channels],
            thresholds: [0.0; CHUNK],
        }
    }
}

/// Clips samples at the oversampled rate. `thresholds` has one value per frame of the base rate, which applies to as many samples
/// as the oversampling factor.
#[multiversion(targets("x86_64+avx2"))]
fn clip(samples: &mut [f32], thresholds: &[f32], cubic: bool) {
    let cubic_at = |x: f32, t: f32| {
        // u - 4/27 u³ has slope 1 at 0, and reaches 1 with slope 0 at u = 3/2.
        let u = (x / t).clamp(-1.5, 1.5);
        t * (u - (4.0 / 27.0) * (u * u * u))
    };
    let factor = samples.len() / thresholds.len();
    if factor == 1 {
        // The same as below, vectorised over frames.
        for (x, t) in samples.iter_mut().zip(thresholds) {
            *x = if cubic { cubic_at(*x, *t) } else { limit(*x, -*t, *t) };
        }
        return;
    }
    if cubic {
        for (samples, t) in samples.chunks_exact_mut(factor).zip(thresholds) {
            for x in samples {
                *x = cubic_at(*x, *t);
            }
        }
    } else {
        for (samples, t) in samples.chunks_exact_mut(factor).zip(thresholds) {
            for x in samples {
                *x = limit(*x, -*t, *t);
            }
        }
    }
}

impl Processor for Clipper {
    fn set(&mut self, parameter: ParameterIndex, value: f32) {
        let Some(value) = ALGORITHM.clamp_ramped(parameter, value) else { return };
        match parameter {
            THRESHOLD => self.threshold.set(db_to_gain(value), self.at_start),
            OUTPUT => self.dry_wet.set_output(value, self.at_start),
            MIX => self.dry_wet.set_mix(value, self.at_start),
            _ => {}
        }
    }

    fn reset(&mut self) {
        self.at_start = true;
        self.threshold.finish();
        for oversampler in &mut self.oversamplers {
            oversampler.reset();
        }
        self.dry_wet.reset();
    }

    fn process(&mut self, block: &mut Block<'_>) {
        let frames = block.first().map_or(0, |c| c.len());
        if frames > 0 {
            self.at_start = false;
        }
        let mut at = 0;
        while at < frames {
            let n = CHUNK.min(frames - at);
            self.dry_wet.split(block, at, n, &mut self.wet);
            self.threshold.fill(&mut self.thresholds[..n]);
            for (wet, oversampler) in self.wet.iter_mut().zip(&mut self.oversamplers) {
                oversampler.process(&mut wet[..n], |u| clip(u, &self.thresholds[..n], self.cubic));
            }
            self.dry_wet.join(&self.wet, block, at, n);
            at += n;
        }
    }

    fn latency(&self) -> usize {
        self.oversamplers[0].latency()
    }

    fn skip(&mut self, frames: usize) -> bool {
        self.threshold.advance(frames);
        self.dry_wet.skip(frames);
        true
    }

    fn duplicate(&self) -> Option<Box<dyn Processor>> {
        Some(Box::new(self.clone()))
    }

    fn bytes(&self) -> usize {
        self.oversamplers.iter().map(|o| o.bytes() + size_of::<Oversampler>()).sum::<usize>()
            + self.dry_wet.bytes()
            + size_of_val(self.wet.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_1x_no_sample_exceeds_the_threshold_and_hard_leaves_samples_below_it_unchanged() {
        for shape in [0.0, 1.0] {
            let settings = Settings::new(&ALGORITHM).with("shape", shape).with("oversampling", 0.0).with("threshold", -6.0);
            let mut clipper = Clipper::new(ProcessSpec::new(48_000.0, 1, 4001), &settings);
            let x: Vec<f32> = (0..4001).map(|i| (i - 2000) as f32 / 1000.0).collect();
            let mut y = x.clone();
            clipper.process(&mut [&mut y]);
            let t = db_to_gain(-6.0);
            for (x, y) in x.iter().zip(&y) {
                assert!(y.abs() <= t * 1.000_001, "{x} became {y}");
                if shape == 0.0 {
                    assert_eq!(*y, x.clamp(-t, t));
                }
            }
            assert!(y.windows(2).all(|w| w[1] >= w[0]), "monotonic");
        }
    }
}
