//! The tube saturator: y = LPF(tanh(k x + bias)).

use multiversion::multiversion;

use super::approximate::{mean_tanh, tanh};
use super::dry_wet::{DryWet, flush_tiny, sanitise};
use super::filter::{DcBlocker, LowPass, Slope};
use super::oversample::{Factors, Oversampler};
use super::parameter::{ChangeMode, Parameter, ParameterIndex, Unit};
use super::{Algorithm, Block, CHUNK, Chunk, ProcessSpec, Processor, Ramp, Settings, db_to_gain, gain_to_db};

/// The row of the saturator in the registry.
pub static ALGORITHM: Algorithm = Algorithm {
    id: "saturator",
    name: "Saturator",
    description: "Tube-like soft clipping with drive, asymmetry and a low-pass against fizz",
    parameters: &PARAMETERS,
    plays_model: false,
    prepare: |spec, settings| Ok(Box::new(Saturator::new(spec, settings))),
};

const DRIVE: ParameterIndex = Parameter::index_of(&PARAMETERS, "drive");
const BIAS: ParameterIndex = Parameter::index_of(&PARAMETERS, "bias");
const TONE: ParameterIndex = Parameter::index_of(&PARAMETERS, "tone");
const SLOPE: ParameterIndex = Parameter::index_of(&PARAMETERS, "slope");
const OUTPUT: ParameterIndex = Parameter::index_of(&PARAMETERS, "output");
const MIX: ParameterIndex = Parameter::index_of(&PARAMETERS, "mix");
const COMPENSATION: ParameterIndex = Parameter::index_of(&PARAMETERS, "compensation");
const DC_BLOCKER: ParameterIndex = Parameter::index_of(&PARAMETERS, "dc_blocker");
const OVERSAMPLING: ParameterIndex = Parameter::index_of(&PARAMETERS, "oversampling");
const RENDER_OVERSAMPLING: ParameterIndex = Parameter::index_of(&PARAMETERS, "render_oversampling");
const ANTIALIASING: ParameterIndex = Parameter::index_of(&PARAMETERS, "antialiasing");

static PARAMETERS: [Parameter; 11] = [
    Parameter::number(
        "drive",
        "Drive",
        (-12.0, 48.0),
        12.0,
        Unit::Decibel,
        "Gain into the curve: more harmonics, more compression",
    ),
    Parameter::number(
        "bias",
        "Bias",
        (-1.0, 1.0),
        0.0,
        Unit::None,
        "Shifts the working point: even harmonics, as from a single-ended stage",
    ),
    Parameter::number(
        "tone",
        "Tone",
        (200.0, 20_000.0),
        4000.0,
        Unit::Hertz,
        "Low-pass behind the curve, against fizz; at low sample rates it stays under Nyquist",
    )
    .logarithmic()
    .off_at_max(),
    Parameter::choice("slope", "Slope", &["6 dB/oct", "12 dB/oct"], 0, "Steepness of the tone filter"),
    Parameter::output(),
    Parameter::mix("Dry at 0, saturated at 100; both stay in phase"),
    Parameter::toggle(
        "compensation",
        "Compensation",
        true,
        "Turns the level down as drive turns it up: a tone at -18 dBFS keeps its level",
    ),
    Parameter::toggle(
        "dc_blocker",
        "DC blocker",
        true,
        "High-pass (5 Hz behind a model, 10 Hz in the saturator) against a constant offset",
    ),
    Parameter::choice(
        "oversampling",
        "Oversampling",
        &["1x", "2x", "4x", "8x"],
        3,
        "Runs the curve at a higher rate: less aliasing, more latency and work",
    ),
    Parameter::render_oversampling(&["As set", "1x", "2x", "4x", "8x"]),
    Parameter::choice(
        "antialiasing",
        "Antialiasing",
        &["Off", "First"],
        0,
        "First-order antiderivative: less aliasing yet, at 1x at the price of the highest treble",
    ),
];

/// Corner of the DC blocker in Hz: below the audible range.
const DC_HZ: f64 = 10.0;

/// Width of the drive's range in dB, -12 to 48.
const DRIVE_RANGE_DB: usize = 60;

/// RMS in dBFS of the tone whose level compensation keeps: the alignment level of EBU R 68.
const ALIGNMENT_DB: f32 = -18.0;

/// Output gain that keeps the RMS of a sine at [`ALIGNMENT_DB`] through tanh(k x). Computed by the midpoint rule over a quarter
/// period.
fn compensation(k: f32) -> f32 {
    const POINTS: usize = 32;
    let rms = db_to_gain(ALIGNMENT_DB);
    let mut sum = 0.0;
    for i in 0..POINTS {
        let phase = (i as f32 + 0.5) / POINTS as f32 * std::f32::consts::FRAC_PI_2;
        let y = tanh(k * rms * std::f32::consts::SQRT_2 * phase.sin());
        sum += y * y;
    }
    rms / (sum / POINTS as f32).sqrt()
}

/// Smallest drive in dB.
fn lowest_drive_db() -> f32 {
    PARAMETERS[DRIVE].range().0
}

/// The processor of [`ALGORITHM`]. In its formulas, k is the drive as a linear gain.
#[derive(Clone)]
pub struct Saturator {
    /// Values as they were set, from which the targets of the ramps follow.
    settings: Settings,
    /// True until the first frame after `reset`: values then change at once.
    at_start: bool,
    /// In dB, because a glide over 60 dB with a constant number of dB per frame makes no audible step at its quiet end.
    drive: Ramp,
    bias: Ramp,
    /// Amount of compensation, 0 (none) to 1 (full).
    compensation: Ramp,
    /// [`compensation`] in dB at each whole dB of drive: a table, so that it can follow a gliding drive frame by frame.
    compensations_db: [f32; DRIVE_RANGE_DB + 1],
    /// Drive and make-up gain, both linear, at the targets of `drive` and `compensation`.
    target_gains: (f32, f32),
    /// The constant drive, bias and make-up gain with which the three chunks below are filled; `None` after a glide.
    filled: Option<(f32, f32, f32)>,
    antialiasing: bool,
    /// Last input to the curve of each channel, at the highest rate.
    last: Vec<f32>,
    oversamplers: Vec<Oversampler>,
    dc_blocker: DcBlocker,
    tone: LowPass,
    dry_wet: DryWet,
    /// The chunk of each channel on the wet path.
    wet: Vec<Chunk>,
    /// Drive (linear), bias and make-up gain at each frame of this chunk.
    drives: Chunk,
    biases: Chunk,
    make_ups: Chunk,
}

impl Saturator {
    fn new(spec: ProcessSpec, settings: &Settings) -> Self {
        let (rate, channels) = (spec.sample_rate, spec.channels);
        let antialiasing = settings.get(ANTIALIASING) >= 1.0;
        let factors = Factors::new(settings.get(OVERSAMPLING), settings.get(RENDER_OVERSAMPLING), &spec);
        let oversamplers = vec![Oversampler::of_factors(factors, antialiasing); channels];
        let slope = if settings.get(SLOPE) >= 1.0 { Slope::Twelve } else { Slope::Six };
        let mut new = Self {
            settings: *settings,
            at_start: true,
            drive: Ramp::new(0.0, rate),
            bias: Ramp::new(0.0, rate),
            compensation: Ramp::new(0.0, rate),
            compensations_db: std::array::from_fn(|i| gain_to_db(compensation(db_to_gain(lowest_drive_db() + i as f32)))),
            target_gains: (1.0, 1.0),
            filled: None,
            antialiasing,
            last: vec![0.0; channels],
            dc_blocker: DcBlocker::new(rate, channels, DC_HZ, false),
            tone: LowPass::new(rate, channels, slope, None),
            dry_wet: DryWet::new(rate, channels, oversamplers[0].latency(), 100.0, 0.0),
            oversamplers,
            wet: vec![[0.0; CHUNK]; channels],
            drives: [0.0; CHUNK],
            biases: [0.0; CHUNK],
            make_ups: [0.0; CHUNK],
        };
        for (index, parameter) in ALGORITHM.parameters.iter().enumerate() {
            if parameter.change == ChangeMode::Ramped {
                new.set(index, settings.get(index));
            }
        }
        new.reset();
        new
    }

    /// Settles the state, before the first frame: puts it where endless silence at the input would have left it. With a bias, the
    /// curve then has a constant input.
    fn settle(&mut self) {
        let bias = self.bias.target();
        if bias == 0.0 {
            return;
        }
        // Twice the latency is the length of the oversampler's filters; one more chunk lets rounding errors become constant.
        let chunks = (2 * self.oversamplers[0].latency()).div_ceil(CHUNK) + 1;
        let mut level = 0.0;
        for (oversampler, last) in self.oversamplers.iter_mut().zip(&mut self.last) {
            for _ in 0..chunks {
                let mut chunk = [bias; CHUNK];
                oversampler.process(&mut chunk, |u| if self.antialiasing { curve_antialiased(u, last) } else { curve(u) });
                level = chunk[CHUNK - 1];
            }
        }
        level *= self.target_gains.1;
        self.dc_blocker.settle_at(level);
        self.tone.settle_at(if self.dc_blocker.is_off() { level } else { 0.0 });
    }

    /// Drive and make-up gain, both linear, for a drive in dB and an amount of compensation, 0 to 1.
    fn gains(&self, drive_db: f32, amount: f32) -> (f32, f32) {
        let position = drive_db - lowest_drive_db();
        let i = (position as usize).min(DRIVE_RANGE_DB - 1);
        let (a, b) = (self.compensations_db[i], self.compensations_db[i + 1]);
        let full = db_to_gain(a + (position - i as f32) * (b - a));
        (db_to_gain(drive_db), 1.0 + amount * (full - 1.0))
    }

    /// Drive and make-up gain, both linear, if neither glides.
    fn steady_gains(&self) -> Option<(f32, f32)> {
        (self.drive.steady().is_some() && self.compensation.steady().is_some()).then_some(self.target_gains)
    }

    /// Writes the values of the next `n` frames to `drives`, `biases` and `make_ups`.
    fn fill_gains(&mut self, n: usize) {
        if let (Some((k, make_up)), Some(bias)) = (self.steady_gains(), self.bias.steady()) {
            if self.filled != Some((k, bias, make_up)) {
                self.drives.fill(k);
                self.biases.fill(bias);
                self.make_ups.fill(make_up);
                self.filled = Some((k, bias, make_up));
            }
            return;
        }
        self.filled = None;
        self.bias.fill(&mut self.biases[..n]);
        self.drive.fill(&mut self.drives[..n]);
        self.compensation.fill(&mut self.make_ups[..n]);
        for i in 0..n {
            (self.drives[i], self.make_ups[i]) = self.gains(self.drives[i], self.make_ups[i]);
        }
    }

    /// Drive, bias, make-up gain and output gain, if the effect consists of the curve alone (1x, no antialiasing, no filter,
    /// fully wet) and nothing glides.
    fn curve_only(&self) -> Option<[f32; 4]> {
        let no_filter =
            self.oversamplers[0].latency() == 0 && !self.antialiasing && self.dc_blocker.is_off() && self.tone.is_off();
        if !no_filter {
            return None;
        }
        let (k, make_up) = self.steady_gains()?;
        Some([k, self.bias.steady()?, make_up, self.dry_wet.wet_only()?])
    }
}

/// The whole effect in one pass if it consists of the curve alone: the same operations as in the general case.
#[multiversion(targets("x86_64+avx2"))]
fn saturate(samples: &mut [f32], k: f32, bias: f32, make_up: f32, output: f32) {
    for x in samples {
        *x = flush_tiny((tanh(k * sanitise(*x) + bias) * make_up) * output);
    }
}

/// Drive and bias, the input of the curve: k x + bias.
#[multiversion(targets("x86_64+avx2"))]
fn amplify(samples: &mut [f32], drives: &Chunk, biases: &Chunk) {
    for ((x, k), bias) in samples.iter_mut().zip(drives).zip(biases) {
        *x = k * *x + bias;
    }
}

/// The curve, tanh, in place.
#[multiversion(targets("x86_64+avx2"))]
fn curve(samples: &mut [f32]) {
    for u in samples {
        *u = tanh(*u);
    }
}

/// The curve with first-order antiderivative antialiasing ([`mean_tanh`]), which delays by half a sample. `last` is the last
/// input of the channel.
#[multiversion(targets("x86_64+avx2"))]
fn curve_antialiased(samples: &mut [f32], last: &mut f32) {
    let mut inputs = [0.0; CHUNK + 1];
    for part in samples.chunks_mut(CHUNK) {
        inputs[0] = *last;
        inputs[1..=part.len()].copy_from_slice(part);
        *last = inputs[part.len()];
        for (i, y) in part.iter_mut().enumerate() {
            *y = mean_tanh(inputs[i], inputs[i + 1]);
        }
    }
}

impl Processor for Saturator {
    fn set(&mut self, index: ParameterIndex, value: f32) {
        let Some(value) = ALGORITHM.clamp_ramped(index, value) else { return };
        self.settings.set(index, value);
        let at_once = self.at_start;
        match index {
            DRIVE | COMPENSATION => {
                self.drive.set(self.settings.get(DRIVE), at_once);
                self.compensation.set(self.settings.get(COMPENSATION), at_once);
                self.target_gains = self.gains(self.drive.target(), self.compensation.target());
            }
            BIAS => self.bias.set(value, at_once),
            TONE => self.tone.set((!ALGORITHM.parameters[TONE].is_off(value)).then_some(value), at_once),
            OUTPUT => self.dry_wet.set_output(value, at_once),
            MIX => self.dry_wet.set_mix(value, at_once),
            DC_BLOCKER => self.dc_blocker.set(value >= 0.5, at_once),
            _ => {}
        }
    }

    fn reset(&mut self) {
        self.at_start = true;
        self.drive.finish();
        self.bias.finish();
        self.compensation.finish();
        self.last.fill(0.0);
        for oversampler in &mut self.oversamplers {
            oversampler.reset();
        }
        self.dc_blocker.reset();
        self.tone.reset();
        self.dry_wet.reset();
    }

    fn process(&mut self, block: &mut Block<'_>) {
        let frames = block.first().map_or(0, |c| c.len());
        if frames > 0 && std::mem::take(&mut self.at_start) {
            self.settle();
        }
        if let Some([k, bias, make_up, output]) = self.curve_only() {
            for samples in block.iter_mut() {
                saturate(samples, k, bias, make_up, output);
            }
            self.tone.skip(frames);
            self.dc_blocker.skip(frames);
            return;
        }
        let mut at = 0;
        while at < frames {
            let n = CHUNK.min(frames - at);
            self.dry_wet.split(block, at, n, &mut self.wet);
            self.fill_gains(n);
            for ((wet, oversampler), last) in self.wet.iter_mut().zip(&mut self.oversamplers).zip(&mut self.last) {
                let wet = &mut wet[..n];
                amplify(wet, &self.drives, &self.biases);
                oversampler.process(wet, |u| if self.antialiasing { curve_antialiased(u, last) } else { curve(u) });
                for (y, gain) in wet.iter_mut().zip(&self.make_ups) {
                    *y *= gain;
                }
            }
            self.dc_blocker.process(&mut self.wet, n);
            self.tone.process(&mut self.wet, n);
            self.dry_wet.join(&self.wet, block, at, n);
            at += n;
        }
    }

    fn latency(&self) -> usize {
        self.oversamplers[0].latency()
    }

    fn skip(&mut self, frames: usize) -> bool {
        if !(self.tone.can_skip() && self.dc_blocker.can_skip()) {
            return false;
        }
        self.drive.advance(frames);
        self.bias.advance(frames);
        self.compensation.advance(frames);
        self.dc_blocker.skip(frames);
        self.tone.skip(frames);
        self.dry_wet.skip(frames);
        true
    }

    fn duplicate(&self) -> Option<Box<dyn Processor>> {
        Some(Box::new(self.clone()))
    }

    fn bytes(&self) -> usize {
        self.oversamplers.iter().map(|o| o.bytes() + size_of::<Oversampler>()).sum::<usize>()
            + self.dc_blocker.bytes()
            + self.tone.bytes()
            + self.dry_wet.bytes()
            + size_of_val(self.wet.as_slice())
            + size_of_val(self.last.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compensation_table_covers_the_range_of_drive_and_interpolates_accurately() {
        assert_eq!(PARAMETERS[DRIVE].range(), (-12.0, -12.0 + DRIVE_RANGE_DB as f32));
        let spec = ProcessSpec::new(48_000.0, 1, 1);
        let saturator = Saturator::new(spec, &Settings::new(&ALGORITHM));
        for i in 0..=600 {
            let db = -12.0 + i as f32 * 0.1;
            let (k, make_up) = saturator.gains(db, 1.0);
            assert!(gain_to_db(make_up / compensation(k)).abs() < 0.01, "{db} dB");
        }
    }

    #[test]
    fn compensation_keeps_the_level_of_a_tone_at_alignment_level() {
        for db in [-12.0f32, 0.0, 12.0, 24.0, 48.0] {
            let k = db_to_gain(db);
            let n = 4800;
            let x = |i: usize| db_to_gain(ALIGNMENT_DB) * 2f32.sqrt() * (std::f32::consts::TAU * i as f32 / 480.0).sin();
            let rms = ((0..n).map(|i| (compensation(k) * (k * x(i)).tanh()).powi(2)).sum::<f32>() / n as f32).sqrt();
            assert!((20.0 * rms.log10() - ALIGNMENT_DB).abs() < 0.05, "{db} dB: {rms}");
        }
    }
}
