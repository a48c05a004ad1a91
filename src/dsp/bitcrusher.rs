//! The bitcrusher: low-pass, sample and hold, quantise, low-pass.

use multiversion::multiversion;

use super::approximate::{floor, limit, round_ties_even};
use super::blend::Blend;
use super::filter::{LowPass, Slope};
use super::parameter::{Change, Index, Parameter, Unit};
use super::random::{stream, uniform};
use super::{Algorithm, Block, CHUNK, Chunk, Processor, Ramp, Settings, Spec};

/// The registry's row.
pub static ALGORITHM: Algorithm = Algorithm {
    id: "bitcrusher",
    name: "Bitcrusher",
    description: "Coarser numbers and a lower sample rate, as from early samplers",
    parameters: &PARAMETERS,
    model: false,
    prepare: |spec, settings| Ok(Box::new(Bitcrusher::new(spec, settings))),
};

const BITS: Index = Parameter::place(&PARAMETERS, "bits");
const RATE: Index = Parameter::place(&PARAMETERS, "rate");
const QUANTISER: Index = Parameter::place(&PARAMETERS, "quantiser");
const DITHER: Index = Parameter::place(&PARAMETERS, "dither");
const JITTER: Index = Parameter::place(&PARAMETERS, "jitter");
const PRE_FILTER: Index = Parameter::place(&PARAMETERS, "pre_filter");
const POST_FILTER: Index = Parameter::place(&PARAMETERS, "post_filter");
const OUTPUT: Index = Parameter::place(&PARAMETERS, "output");
const MIX: Index = Parameter::place(&PARAMETERS, "mix");

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

/// Purposes of the random streams.
const DITHER_STREAM: u32 = 1;
const SECOND_DITHER_STREAM: u32 = 2;
const JITTER_STREAM: u32 = 3;

/// One hold of the sample rate reducer, in units of its phase (32 bits behind the point).
const HOLD: u64 = 1 << 32;

/// See [`ALGORITHM`].
#[derive(Clone)]
pub struct Bitcrusher {
    sample_rate: f32,
    fresh: bool,
    quantiser: Quantiser,
    /// Steps in half the full scale, 2^(bits - 1).
    steps: Ramp,
    /// Holds a frame; 1 or more is every frame: the reducer is off.
    pace: Ramp,
    jitter: Ramp,
    channels: Vec<Channel>,
    pre: LowPass,
    post: LowPass,
    blend: Blend,
    wet: Vec<Chunk>,
    positions: Box<[u32; CHUNK]>,
    steps_now: Chunk,
    paces: Chunk,
    jitters: Chunk,
}

#[derive(Clone, Copy)]
struct Quantiser {
    mid_rise: bool,
    /// 0 none, 1 rectangular (one uniform number), 2 triangular (two).
    dither: u32,
}

/// Sample and hold of one channel.
#[derive(Clone, Debug)]
struct Channel {
    dither: [u32; 2],
    jitter: u32,
    /// Holds since `reset`: the position in the random streams.
    position: u32,
    /// How far the present hold has come.
    phase: u64,
    /// Where it ends.
    end: u64,
    held: f32,
    before: f32,
    /// Whether a first sample has been taken.
    started: bool,
}

impl Channel {
    fn new(index: usize) -> Self {
        Self {
            dither: [stream(DITHER_STREAM, index), stream(SECOND_DITHER_STREAM, index)],
            jitter: stream(JITTER_STREAM, index),
            position: 0,
            phase: 0,
            end: HOLD,
            held: 0.0,
            before: 0.0,
            started: false,
        }
    }

    fn reset(&mut self) {
        (self.position, self.phase, self.end) = (0, 0, HOLD);
        (self.held, self.before, self.started) = (0.0, 0.0, false);
    }

    /// Length of the hold at `position`.
    #[inline]
    fn hold(&self, jitter: f32) -> u64 {
        if jitter == 0.0 {
            return HOLD;
        }
        let stretch = 1.0 + jitter * uniform(self.jitter, self.position);
        (f64::from(stretch) * HOLD as f64) as u64
    }

    /// Samples at the end of each hold, between two frames by the line through them; each frame gets what is held.
    fn sample_and_hold(&mut self, samples: &mut [f32], positions: &mut [u32], paces: &[f32], jitters: &[f32]) {
        for (((sample, position), pace), jitter) in samples.iter_mut().zip(positions).zip(paces).zip(jitters) {
            let x = *sample;
            if *pace >= 1.0 || !self.started {
                self.started = true;
                self.held = x;
                self.position = self.position.wrapping_add(1);
                self.phase = 0;
                self.end = self.hold(*jitter);
            } else {
                let step = (f64::from(*pace) * HOLD as f64) as u64;
                self.phase += step;
                if self.phase >= self.end {
                    let late = self.phase - self.end;
                    let back = (late as f64 / step as f64).min(1.0) as f32;
                    self.held = x + back * (self.before - x);
                    self.position = self.position.wrapping_add(1);
                    self.phase = late;
                    self.end = self.hold(*jitter).max(step);
                }
            }
            self.before = x;
            *sample = self.held;
            *position = self.position;
        }
    }
}

impl Bitcrusher {
    fn new(spec: Spec, settings: &Settings) -> Self {
        let (rate, channels) = (spec.sample_rate, spec.channels);
        let mut new = Self {
            sample_rate: rate,
            fresh: true,
            quantiser: Quantiser { mid_rise: settings.get(QUANTISER) >= 1.0, dither: settings.get(DITHER) as u32 },
            steps: Ramp::new(128.0, rate),
            pace: Ramp::new(1.0, rate),
            jitter: Ramp::new(0.0, rate),
            channels: (0..channels).map(Channel::new).collect(),
            pre: LowPass::new(rate, channels, Slope::Twelve, None),
            post: LowPass::new(rate, channels, Slope::Twelve, None),
            blend: Blend::new(rate, channels, 0, 100.0, 0.0),
            wet: vec![[0.0; CHUNK]; channels],
            positions: Box::new([0; CHUNK]),
            steps_now: [0.0; CHUNK],
            paces: [0.0; CHUNK],
            jitters: [0.0; CHUNK],
        };
        for (index, parameter) in ALGORITHM.parameters.iter().enumerate() {
            if parameter.change == Change::Ramped {
                new.set(index, settings.get(index));
            }
        }
        new.reset();
        new
    }

    /// Before the first frame: the filter behind the crusher as silence leaves it that came in for long. A mid-rise quantiser makes
    /// a constant of that; of dither nothing is known.
    fn settle(&mut self) {
        if self.quantiser.dither == 0 {
            let mut rest = [0.0];
            quantise(&mut rest, &[self.steps.target()], self.quantiser, [0; 2], &[0]);
            self.post.rest_at(rest[0]);
        }
    }
}

/// To the nearest of 2 * `steps` levels in -1..1 (mid-tread: zero is one; mid-rise: zero lies between two), after dither.
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
            let whole = floor(*steps);
            *x = (limit(floor(*x * *steps), -whole, whole - 1.0) + 0.5) / *steps;
        }
    } else {
        for (x, steps) in samples.iter_mut().zip(steps) {
            let whole = floor(*steps);
            *x = limit(round_ties_even(*x * *steps), -whole, whole - 1.0) / *steps;
        }
    }
}

impl Processor for Bitcrusher {
    fn set(&mut self, index: Index, value: f32) {
        let Some(value) = ALGORITHM.ramped(index, value) else { return };
        let (now, off) = (self.fresh, PARAMETERS[index].is_off(value));
        match index {
            BITS => self.steps.set((value - 1.0).exp2(), now),
            RATE => self.pace.set(if off { 1.0 } else { (value / self.sample_rate).min(1.0) }, now),
            JITTER => self.jitter.set(value / 100.0, now),
            PRE_FILTER => self.pre.set((!off).then_some(value), now),
            POST_FILTER => self.post.set((!off).then_some(value), now),
            OUTPUT => self.blend.set_output(value, now),
            MIX => self.blend.set_mix(value, now),
            _ => {}
        }
    }

    fn reset(&mut self) {
        self.fresh = true;
        self.steps.finish();
        self.pace.finish();
        self.jitter.finish();
        for channel in &mut self.channels {
            channel.reset();
        }
        self.pre.reset();
        self.post.reset();
        self.blend.reset();
    }

    fn process(&mut self, block: &mut Block<'_>) {
        let frames = block.first().map_or(0, |c| c.len());
        if frames > 0 && std::mem::take(&mut self.fresh) {
            self.settle();
        }
        let mut at = 0;
        while at < frames {
            let n = CHUNK.min(frames - at);
            self.blend.split(block, at, n, &mut self.wet);
            self.pre.process(&mut self.wet, n);
            let every_frame = self.pace.rests_at(1.0);
            self.steps.fill(&mut self.steps_now[..n]);
            self.pace.fill(&mut self.paces[..n]);
            self.jitter.fill(&mut self.jitters[..n]);
            for (channel, wet) in self.channels.iter_mut().zip(&mut self.wet) {
                let wet = &mut wet[..n];
                let positions = &mut self.positions[..n];
                if every_frame {
                    // As `sample_and_hold` at that pace, without its steps.
                    for (i, position) in (1..).zip(positions.iter_mut()) {
                        *position = channel.position.wrapping_add(i);
                    }
                    channel.position = channel.position.wrapping_add(n as u32);
                    (channel.held, channel.before) = (wet[n - 1], wet[n - 1]);
                    channel.started = true;
                    channel.phase = 0;
                    channel.end = channel.hold(self.jitters[n - 1]);
                } else {
                    channel.sample_and_hold(wet, positions, &self.paces[..n], &self.jitters[..n]);
                }
                quantise(wet, &self.steps_now[..n], self.quantiser, channel.dither, positions);
            }
            self.post.process(&mut self.wet, n);
            self.blend.join(&self.wet, block, at, n);
            at += n;
        }
    }

    fn skip(&mut self, frames: usize) -> bool {
        // Dither and jitter draw numbers on.
        if self.quantiser.dither > 0 || !self.jitter.rests_at(0.0) {
            return false;
        }
        let Some(pace) = self.pace.resting().filter(|_| self.pre.can_skip() && self.post.can_skip()) else { return false };
        for channel in &mut self.channels {
            if pace >= 1.0 {
                channel.position = channel.position.wrapping_add(frames as u32);
            } else {
                let step = (f64::from(pace) * HOLD as f64) as u64;
                for _ in 0..frames {
                    channel.phase += step;
                    if channel.phase >= channel.end {
                        channel.phase -= channel.end;
                        channel.position = channel.position.wrapping_add(1);
                        channel.end = HOLD;
                    }
                }
            }
        }
        self.steps.advance(frames);
        self.pre.skip(frames);
        self.post.skip(frames);
        self.blend.skip(frames);
        true
    }

    fn duplicate(&self) -> Option<Box<dyn Processor>> {
        Some(Box::new(self.clone()))
    }

    fn bytes(&self) -> usize {
        self.pre.bytes()
            + self.post.bytes()
            + self.blend.bytes()
            + size_of_val(self.wet.as_slice())
            + size_of_val(self.channels.as_slice())
            + size_of_val(&*self.positions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crush(x: &[f32], settings: Settings) -> Vec<f32> {
        let mut crusher = Bitcrusher::new(Spec { sample_rate: 48_000.0, channels: 1, max_frames: x.len() }, &settings);
        let mut y = x.to_vec();
        crusher.process(&mut [&mut y]);
        y
    }

    fn noise(n: usize) -> Vec<f32> {
        (0..n as u32).map(|i| 2.0 * uniform(77, i)).collect()
    }

    #[test]
    fn eight_bits_and_nothing_else_is_quantising_to_8_bit_integers_and_back() {
        let x: Vec<f32> = noise(10_000).iter().map(|v| v * 1.2).chain([0.0, 1.0, -1.0, 0.5 / 128.0, 1.5 / 128.0]).collect();
        let expected: Vec<f32> =
            x.iter().map(|v| f32::from((v * 128.0).round_ties_even().clamp(-128.0, 127.0) as i8) / 128.0).collect();
        assert_eq!(crush(&x, Settings::new(&ALGORITHM).with("bits", 8.0)), expected);
    }

    #[test]
    fn whole_bits_give_as_many_levels_and_24_bits_give_back_24_bit_samples() {
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
    fn a_lowered_rate_holds_as_long_as_it_says_on_average() {
        let ramp: Vec<f32> = (0..48_000).map(|i| i as f32 / 96_000.0).collect();
        let y = crush(&ramp, Settings::new(&ALGORITHM).with("bits", 24.0).with("rate", 11_025.0));
        let changes = y.windows(2).filter(|w| w[0] != w[1]).count();
        assert!((changes as i32 - 11_025).abs() <= 1, "{changes}");
        // Samples are taken at even instants, between frames: the differences are all alike.
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
        // Quantiser 1/12, triangular dither 2/12.
        assert!((power - 0.25).abs() < 0.01, "{power}");
        let against_signal = e.iter().zip(&x).map(|(e, x)| e * f64::from(*x)).sum::<f64>() / e.len() as f64;
        assert!(against_signal.abs() < 0.002, "{against_signal}");
    }
}
