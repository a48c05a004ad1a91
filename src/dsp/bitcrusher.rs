//! The bitcrusher: low-pass, sample and hold at a lower rate, quantiser, low-pass.

use multiversion::multiversion;

use super::approximate::{floor, limit, round_ties_even};
use super::dry_wet::DryWet;
use super::filter::{LowPass, Slope};
use super::parameter::{ChangeMode, Parameter, ParameterIndex, Unit};
use super::random::{stream, uniform};
use super::{Algorithm, Block, CHUNK, Chunk, ProcessSpec, Processor, Ramp, Settings};

/// The row of the bitcrusher in the registry.
pub static ALGORITHM: Algorithm = Algorithm {
    id: "bitcrusher",
    name: "Bitcrusher",
    description: "Coarser numbers and a lower sample rate, as from early samplers",
    parameters: &PARAMETERS,
    plays_model: false,
    prepare: |spec, settings| Ok(Box::new(Bitcrusher::new(spec, settings))),
};

const BITS: ParameterIndex = Parameter::index_of(&PARAMETERS, "bits");
const RATE: ParameterIndex = Parameter::index_of(&PARAMETERS, "rate");
const QUANTISER: ParameterIndex = Parameter::index_of(&PARAMETERS, "quantiser");
const DITHER: ParameterIndex = Parameter::index_of(&PARAMETERS, "dither");
const JITTER: ParameterIndex = Parameter::index_of(&PARAMETERS, "jitter");
const PRE_FILTER: ParameterIndex = Parameter::index_of(&PARAMETERS, "pre_filter");
const POST_FILTER: ParameterIndex = Parameter::index_of(&PARAMETERS, "post_filter");
const OUTPUT: ParameterIndex = Parameter::index_of(&PARAMETERS, "output");
const MIX: ParameterIndex = Parameter::index_of(&PARAMETERS, "mix");

static PARAMETERS: [Parameter; 9] = [
    Parameter::number(
        "bits",
        "Bits",
        (1.0, 24.0),
        8.0,
        Unit::Bit,
        "Word length, also between whole numbers: fewer bits, coarser steps",
    ),
    Parameter::number(
        "rate",
        "Rate",
        (100.0, 96_000.0),
        96_000.0,
        Unit::Hertz,
        "Sample rate of the crushed sound, also between fractions of the host's: lower is darker and more metallic",
    )
    .logarithmic()
    .off_at_max(),
    Parameter::choice(
        "quantiser",
        "Quantiser",
        &["Mid-tread", "Mid-rise"],
        0,
        "Mid-tread has a step at zero and gates quiet sound, mid-rise has none and lets it buzz",
    ),
    Parameter::choice("dither", "Dither", &["None", "RPDF", "TPDF"], 0, "Noise before the quantiser: distortion becomes hiss"),
    Parameter::number("jitter", "Jitter", (0.0, 100.0), 0.0, Unit::Percent, "Uneven sampling instants at a lowered rate: grit"),
    Parameter::number(
        "pre_filter",
        "Pre filter",
        (200.0, 20_000.0),
        20_000.0,
        Unit::Hertz,
        "Low-pass (12 dB per octave) before the crusher: less aliasing",
    )
    .logarithmic()
    .off_at_max(),
    Parameter::number(
        "post_filter",
        "Post filter",
        (200.0, 20_000.0),
        20_000.0,
        Unit::Hertz,
        "Low-pass (12 dB per octave) behind the crusher: rounder steps",
    )
    .logarithmic()
    .off_at_max(),
    Parameter::output(),
    Parameter::mix("Dry at 0, crushed at 100"),
];

/// Purposes of the random streams ([`stream`]).
const DITHER_STREAM: u32 = 1;
const SECOND_DITHER_STREAM: u32 = 2;
const JITTER_STREAM: u32 = 3;

/// Phase of a sample and hold at the end of a hold without jitter: a fixed-point number with 32 fractional bits.
const HOLD_PHASE: u64 = 1 << 32;

/// The processor of [`ALGORITHM`].
#[derive(Clone)]
pub struct Bitcrusher {
    /// In hertz.
    sample_rate: f32,
    /// True until the first frame after `reset`: values then change at once.
    at_start: bool,
    quantiser: Quantiser,
    /// Quantiser steps from 0 to full scale, 2^(bits - 1).
    steps: Ramp,
    /// Reduced sample rate as a share of the host's, in holds per frame. At 1 or more every frame is taken.
    hold_rate: Ramp,
    /// Variation of the holds' lengths, 0 to 1.
    jitter: Ramp,
    /// Sample and hold of each channel.
    holds: Vec<SampleAndHold>,
    pre_filter: LowPass,
    post_filter: LowPass,
    dry_wet: DryWet,
    /// The chunk of each channel on the wet path.
    wet: Vec<Chunk>,
    /// Position in the random streams at each frame of this chunk.
    positions: Box<[u32; CHUNK]>,
    /// Values of `steps`, `hold_rate` and `jitter` in this chunk.
    chunk_steps: Chunk,
    chunk_hold_rates: Chunk,
    chunk_jitters: Chunk,
}

/// The structural settings of the quantiser.
#[derive(Clone, Copy)]
struct Quantiser {
    mid_rise: bool,
    /// 0 none, 1 rectangular (one uniform random number), 2 triangular (the sum of two).
    dither: u32,
}

/// The sample and hold of one channel, with its random streams.
#[derive(Clone, Debug)]
struct SampleAndHold {
    /// Random streams of dither and jitter.
    dither: [u32; 2],
    jitter: u32,
    /// Holds since `reset`: the position in the random streams.
    position: u32,
    /// Phase of the present hold, from 0 to `end`.
    phase: u64,
    /// Phase at which the present hold ends.
    end: u64,
    /// The held sample.
    held: f32,
    /// The input sample of the last frame.
    previous: f32,
    /// True if a first sample has been taken.
    started: bool,
}

impl SampleAndHold {
    /// The sample and hold of channel `channel`, counted from 0.
    fn new(channel: usize) -> Self {
        Self {
            dither: [stream(DITHER_STREAM, channel), stream(SECOND_DITHER_STREAM, channel)],
            jitter: stream(JITTER_STREAM, channel),
            position: 0,
            phase: 0,
            end: HOLD_PHASE,
            held: 0.0,
            previous: 0.0,
            started: false,
        }
    }

    fn reset(&mut self) {
        (self.position, self.phase, self.end) = (0, 0, HOLD_PHASE);
        (self.held, self.previous, self.started) = (0.0, 0.0, false);
    }

    /// Length of the hold at `position`, varied by `jitter`, as the phase at which it ends.
    #[inline]
    fn hold_length(&self, jitter: f32) -> u64 {
        if jitter == 0.0 {
            return HOLD_PHASE;
        }
        let stretch = 1.0 + jitter * uniform(self.jitter, self.position);
        (f64::from(stretch) * HOLD_PHASE as f64) as u64
    }

    /// Replaces each sample by the held one, in place. A new sample is taken at the end of each hold, between two frames by
    /// linear interpolation. Writes the position in the random streams at each frame to `positions`.
    fn process(&mut self, samples: &mut [f32], positions: &mut [u32], hold_rates: &[f32], jitters: &[f32]) {
        for (((sample, position), hold_rate), jitter) in samples.iter_mut().zip(positions).zip(hold_rates).zip(jitters) {
            let x = *sample;
            if *hold_rate >= 1.0 || !self.started {
                self.started = true;
                self.held = x;
                self.position = self.position.wrapping_add(1);
                self.phase = 0;
                self.end = self.hold_length(*jitter);
            } else {
                let step = (f64::from(*hold_rate) * HOLD_PHASE as f64) as u64;
                self.phase += step;
                if self.phase >= self.end {
                    let late = self.phase - self.end;
                    // Frames since the end of the hold, 0 to 1.
                    let frames_ago = (late as f64 / step as f64).min(1.0) as f32;
                    self.held = x + frames_ago * (self.previous - x);
                    self.position = self.position.wrapping_add(1);
                    self.phase = late;
                    // A hold lasts at least one frame.
                    self.end = self.hold_length(*jitter).max(step);
                }
            }
            self.previous = x;
            *sample = self.held;
            *position = self.position;
        }
    }
}

impl Bitcrusher {
    fn new(spec: ProcessSpec, settings: &Settings) -> Self {
        let (rate, channels) = (spec.sample_rate, spec.channels);
        let mut new = Self {
            sample_rate: rate,
            at_start: true,
            quantiser: Quantiser { mid_rise: settings.get(QUANTISER) >= 1.0, dither: settings.get(DITHER) as u32 },
            steps: Ramp::new(128.0, rate),
            hold_rate: Ramp::new(1.0, rate),
            jitter: Ramp::new(0.0, rate),
            holds: (0..channels).map(SampleAndHold::new).collect(),
            pre_filter: LowPass::new(rate, channels, Slope::Twelve, None),
            post_filter: LowPass::new(rate, channels, Slope::Twelve, None),
            dry_wet: DryWet::new(rate, channels, 0, 100.0, 0.0),
            wet: vec![[0.0; CHUNK]; channels],
            positions: Box::new([0; CHUNK]),
            chunk_steps: [0.0; CHUNK],
            chunk_hold_rates: [0.0; CHUNK],
            chunk_jitters: [0.0; CHUNK],
        };
        for (index, parameter) in ALGORITHM.parameters.iter().enumerate() {
            if parameter.change == ChangeMode::Ramped {
                new.set(index, settings.get(index));
            }
        }
        new.reset();
        new
    }

    /// Settles the post filter, before the first frame: puts it in the state that endless silence at the input would leave. A
    /// mid-rise quantiser turns silence into a constant. With dither that state would be random, so the filter is left alone.
    fn settle(&mut self) {
        if self.quantiser.dither == 0 {
            let mut silence = [0.0];
            quantise(&mut silence, &[self.steps.target()], self.quantiser, [0; 2], &[0]);
            self.post_filter.settle_at(silence[0]);
        }
    }
}

/// Adds dither and rounds each sample to the nearest of 2 * `steps` levels in -1..1. Mid-tread: zero is a level; mid-rise: zero
/// lies between two levels. `streams` and `positions` select the random numbers of the dither.
#[multiversion(targets("x86_64+avx2"))]
fn quantise(samples: &mut [f32], steps: &[f32], quantiser: Quantiser, streams: [u32; 2], positions: &[u32]) {
    match quantiser.dither {
        0 => {}
        1 => {
            for ((x, steps), position) in samples.iter_mut().zip(steps).zip(positions) {
                *x += uniform(streams[0], *position) / *steps;
            }
        }
        _ => {
            for ((x, steps), position) in samples.iter_mut().zip(steps).zip(positions) {
                *x += (uniform(streams[0], *position) + uniform(streams[1], *position)) / *steps;
            }
        }
    }
    if quantiser.mid_rise {
        for (x, steps) in samples.iter_mut().zip(steps) {
            let whole_steps = floor(*steps);
            *x = (limit(floor(*x * *steps), -whole_steps, whole_steps - 1.0) + 0.5) / *steps;
        }
    } else {
        for (x, steps) in samples.iter_mut().zip(steps) {
            let whole_steps = floor(*steps);
            *x = limit(round_ties_even(*x * *steps), -whole_steps, whole_steps - 1.0) / *steps;
        }
    }
}

impl Processor for Bitcrusher {
    fn set(&mut self, index: ParameterIndex, value: f32) {
        let Some(value) = ALGORITHM.clamp_ramped(index, value) else { return };
        let (at_once, off) = (self.at_start, PARAMETERS[index].is_off(value));
        match index {
            BITS => self.steps.set((value - 1.0).exp2(), at_once),
            RATE => self.hold_rate.set(if off { 1.0 } else { (value / self.sample_rate).min(1.0) }, at_once),
            JITTER => self.jitter.set(value / 100.0, at_once),
            PRE_FILTER => self.pre_filter.set((!off).then_some(value), at_once),
            POST_FILTER => self.post_filter.set((!off).then_some(value), at_once),
            OUTPUT => self.dry_wet.set_output(value, at_once),
            MIX => self.dry_wet.set_mix(value, at_once),
            _ => {}
        }
    }

    fn reset(&mut self) {
        self.at_start = true;
        self.steps.finish();
        self.hold_rate.finish();
        self.jitter.finish();
        for hold in &mut self.holds {
            hold.reset();
        }
        self.pre_filter.reset();
        self.post_filter.reset();
        self.dry_wet.reset();
    }

    fn process(&mut self, block: &mut Block<'_>) {
        let frames = block.first().map_or(0, |c| c.len());
        if frames > 0 && std::mem::take(&mut self.at_start) {
            self.settle();
        }
        let mut at = 0;
        while at < frames {
            let n = CHUNK.min(frames - at);
            self.dry_wet.split(block, at, n, &mut self.wet);
            self.pre_filter.process(&mut self.wet, n);
            let every_frame = self.hold_rate.is_steady_at(1.0);
            self.steps.fill(&mut self.chunk_steps[..n]);
            self.hold_rate.fill(&mut self.chunk_hold_rates[..n]);
            self.jitter.fill(&mut self.chunk_jitters[..n]);
            for (hold, wet) in self.holds.iter_mut().zip(&mut self.wet) {
                let wet = &mut wet[..n];
                let positions = &mut self.positions[..n];
                if every_frame {
                    // The result of `SampleAndHold::process` at this rate, without its work for each frame.
                    for (i, position) in (1..).zip(positions.iter_mut()) {
                        *position = hold.position.wrapping_add(i);
                    }
                    hold.position = hold.position.wrapping_add(n as u32);
                    (hold.held, hold.previous) = (wet[n - 1], wet[n - 1]);
                    hold.started = true;
                    hold.phase = 0;
                    hold.end = hold.hold_length(self.chunk_jitters[n - 1]);
                } else {
                    hold.process(wet, positions, &self.chunk_hold_rates[..n], &self.chunk_jitters[..n]);
                }
                quantise(wet, &self.chunk_steps[..n], self.quantiser, hold.dither, positions);
            }
            self.post_filter.process(&mut self.wet, n);
            self.dry_wet.join(&self.wet, block, at, n);
            at += n;
        }
    }

    fn skip(&mut self, frames: usize) -> bool {
        // Dither and jitter give new random numbers in every frame.
        if self.quantiser.dither > 0 || !self.jitter.is_steady_at(0.0) {
            return false;
        }
        let filters_can_skip = self.pre_filter.can_skip() && self.post_filter.can_skip();
        let Some(hold_rate) = self.hold_rate.steady().filter(|_| filters_can_skip) else { return false };
        for hold in &mut self.holds {
            if hold_rate >= 1.0 {
                hold.position = hold.position.wrapping_add(frames as u32);
            } else {
                let step = (f64::from(hold_rate) * HOLD_PHASE as f64) as u64;
                for _ in 0..frames {
                    hold.phase += step;
                    if hold.phase >= hold.end {
                        hold.phase -= hold.end;
                        hold.position = hold.position.wrapping_add(1);
                        hold.end = HOLD_PHASE;
                    }
                }
            }
        }
        self.steps.advance(frames);
        self.pre_filter.skip(frames);
        self.post_filter.skip(frames);
        self.dry_wet.skip(frames);
        true
    }

    fn duplicate(&self) -> Option<Box<dyn Processor>> {
        Some(Box::new(self.clone()))
    }

    fn bytes(&self) -> usize {
        self.pre_filter.bytes()
            + self.post_filter.bytes()
            + self.dry_wet.bytes()
            + size_of_val(self.wet.as_slice())
            + size_of_val(self.holds.as_slice())
            + size_of_val(&*self.positions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crush(x: &[f32], settings: Settings) -> Vec<f32> {
        let mut crusher = Bitcrusher::new(ProcessSpec::new(48_000.0, 1, x.len()), &settings);
        let mut y = x.to_vec();
        crusher.process(&mut [&mut y]);
        y
    }

    fn noise(n: usize) -> Vec<f32> {
        (0..n as u32).map(|i| 2.0 * uniform(77, i)).collect()
    }

    #[test]
    fn default_settings_with_8_bits_quantise_to_8_bit_integers_and_back() {
        let x: Vec<f32> = noise(10_000).iter().map(|v| v * 1.2).chain([0.0, 1.0, -1.0, 0.5 / 128.0, 1.5 / 128.0]).collect();
        let expected: Vec<f32> =
            x.iter().map(|v| f32::from((v * 128.0).round_ties_even().clamp(-128.0, 127.0) as i8) / 128.0).collect();
        assert_eq!(crush(&x, Settings::new(&ALGORITHM).with("bits", 8.0)), expected);
    }

    #[test]
    fn n_bits_give_2_to_the_n_levels_and_24_bits_leave_24_bit_samples_unchanged() {
        for bits in 1..=8 {
            for quantiser in [0.0, 1.0] {
                let mut levels =
                    crush(&noise(20_000), Settings::new(&ALGORITHM).with("bits", bits as f32).with("quantiser", quantiser));
                levels.sort_by(f32::total_cmp);
                levels.dedup();
                assert_eq!(levels.len(), 1 << bits, "{bits} bits, quantiser {quantiser}");
            }
        }
        let x: Vec<f32> = (0..1000).map(|i| (i * 8_388 - 4_194_304) as f32 / 8_388_608.0).collect();
        assert_eq!(crush(&x, Settings::new(&ALGORITHM).with("bits", 24.0)), x);
    }

    #[test]
    fn a_reduced_rate_takes_that_many_samples_per_second_on_average() {
        let ramp: Vec<f32> = (0..48_000).map(|i| i as f32 / 96_000.0).collect();
        let y = crush(&ramp, Settings::new(&ALGORITHM).with("bits", 24.0).with("rate", 11_025.0));
        let changes = y.windows(2).filter(|w| w[0] != w[1]).count();
        assert!((changes as i32 - 11_025).abs() <= 1, "{changes}");
        // Samples are taken at evenly spaced times, between frames: all differences are equal.
        let mut taken = y.clone();
        taken.dedup();
        let step = 1.0 / 11_025.0 / 2.0;
        assert!(taken[2..].windows(2).all(|w| ((w[1] - w[0]) - step).abs() < 1e-6));
        let jittered = crush(&ramp, Settings::new(&ALGORITHM).with("bits", 24.0).with("rate", 11_025.0).with("jitter", 80.0));
        let changes = jittered.windows(2).filter(|w| w[0] != w[1]).count();
        assert!((changes as i32 - 11_025).abs() < 120, "{changes}");
    }

    #[test]
    fn tpdf_dither_makes_the_error_white_and_of_the_right_size() {
        let x: Vec<f32> = (0..48_000).map(|i| 0.4 * (i as f32 * 0.01).sin()).collect();
        let y = crush(&x, Settings::new(&ALGORITHM).with("bits", 8.0).with("dither", 2.0));
        let e: Vec<f64> = x.iter().zip(&y).map(|(x, y)| f64::from(y - x) * 128.0).collect();
        let power = e.iter().map(|e| e * e).sum::<f64>() / e.len() as f64;
        // Noise power in steps squared: quantiser 1/12, triangular dither 2/12.
        assert!((power - 0.25).abs() < 0.01, "{power}");
        let against_signal = e.iter().zip(&x).map(|(e, x)| e * f64::from(*x)).sum::<f64>() / e.len() as f64;
        assert!(against_signal.abs() < 0.002, "{against_signal}");
    }
}
