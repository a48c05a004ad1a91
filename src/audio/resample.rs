//! Another sample rate for a whole sound, without a delay.
//!
//! A model that runs at another rate than its host's has resamplers of its own (`neural/resampler_pair.rs`), which stream and have
//! a latency of whole frames. A whole sound needs neither: each frame is the sum of the frames around its exact position, under a
//! Kaiser window.

use std::f64::consts::PI;

use multiversion::multiversion;

use super::buffer::Audio;
use super::error::AudioError;
use super::sample::Sample;

/// Positions between two frames for which each tap is in a table. Rates with more of them interpolate the taps.
const MAX_PHASES: u64 = 1024;
/// The most taps in a table: 16 MB.
const MAX_TABLE: u64 = 1 << 21;
/// Points of the impulse response, per frame of the lower rate, between which taps are interpolated linearly: the error is below
/// (pi / 4096)^2 / 8 = -142 dB.
const POINTS: usize = 4096;

/// Modified Bessel function of the first kind and order 0, by its power series.
fn bessel_i0(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let (mut term, mut sum) = (1.0, 1.0);
    for k in 1..100 {
        term *= quarter / f64::from(k * k);
        sum += term;
        if term < 1e-17 * sum {
            break;
        }
    }
    sum
}

/// The value of the Kaiser window of the shape `beta` at `x`, -1 to 1; 0 outside. [any thread]
pub(crate) fn kaiser(x: f64, beta: f64) -> f64 {
    if x.abs() < 1.0 { bessel_i0(beta * (1.0 - x * x).sqrt()) / bessel_i0(beta) } else { 0.0 }
}

/// The length of the filter between two sample rates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Resampling {
    /// 64 taps at the lower rate: flat within 0.001 dB up to 0.83 of half the lower rate, -80 dB from half of it on.
    Medium,
    /// 256 taps at the lower rate: flat within 0.001 dB up to 0.93 of half the lower rate (20.5 kHz at 44.1 kHz), -120 dB from half
    /// of it on.
    #[default]
    High,
}

impl Resampling {
    /// Taps on each side of a position, at the lower rate.
    fn reach(self) -> usize {
        match self {
            Self::Medium => 32,
            Self::High => 128,
        }
    }

    /// Attenuation of what must not be folded, in dB: 2 more than promised, as Kaiser's formulas are approximate.
    fn attenuation_db(self) -> f64 {
        match self {
            Self::Medium => 82.0,
            Self::High => 122.0,
        }
    }

    /// The shape of the window, by Kaiser's formula.
    fn beta(self) -> f64 {
        0.1102 * (self.attenuation_db() - 8.7)
    }

    /// The cutoff as a ratio of half the lower rate: the middle of the transition, by Kaiser's formula for its width, which ends
    /// at half the lower rate.
    fn cutoff(self) -> f64 {
        1.0 - (self.attenuation_db() - 7.95) / (14.36 * 2.0 * self.reach() as f64)
    }

    /// The impulse response at a distance of `frames` of the lower rate.
    fn response(self, frames: f64) -> f64 {
        let x = PI * self.cutoff() * frames;
        let sinc = if x == 0.0 { 1.0 } else { x.sin() / x };
        self.cutoff() * sinc * kaiser(frames / self.reach() as f64, self.beta())
    }
}

/// The taps for the positions between two frames.
#[derive(Debug)]
enum Taps {
    /// Those of each position, one after another.
    Phases(Vec<f64>),
    /// The impulse response at multiples of 1 / [`POINTS`] frames of the lower rate, from its middle on.
    Response(Vec<f64>),
}

/// Reads a sound at another sample rate, any part of it at a time.
#[derive(Debug)]
pub struct Resampler {
    /// Frames of the sound for `up` frames at the other rate; both without a common divisor.
    down: u64,
    up: u64,
    /// Frames of the sound on each side of a position.
    reach: usize,
    /// Frames of the lower rate per frame of the sound: at most 1.
    scale: f64,
    taps: Taps,
}

/// Sum of the products of two slices of one length.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn dot(x: &[f64], taps: &[f64]) -> f64 {
    /// Sums side by side.
    const LANES: usize = 16;
    let (mut xs, mut ts) = (x.chunks_exact(LANES), taps.chunks_exact(LANES));
    let mut sums = [0.0; LANES];
    for (x, taps) in (&mut xs).zip(&mut ts) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * taps[lane];
        }
    }
    let rest: f64 = xs.remainder().iter().zip(ts.remainder()).map(|(x, tap)| x * tap).sum();
    sums.iter().sum::<f64>() + rest
}

impl Resampler {
    /// Makes a resampler between two rates in Hz. [control thread]
    ///
    /// # Errors
    /// [`AudioError::ZeroRate`].
    pub fn new(from: u32, to: u32, quality: Resampling) -> Result<Self, AudioError> {
        if from == 0 || to == 0 {
            return Err(AudioError::ZeroRate);
        }
        let (mut divisor, mut rest) = (u64::from(from), u64::from(to));
        while rest > 0 {
            (divisor, rest) = (rest, divisor % rest);
        }
        let (down, up) = (u64::from(from) / divisor, u64::from(to) / divisor);
        let scale = (f64::from(to) / f64::from(from)).min(1.0);
        let reach = (quality.reach() as f64 / scale).ceil() as usize;
        let taps = if up <= MAX_PHASES && up * 2 * reach as u64 <= MAX_TABLE {
            let row = |phase: u64| {
                let fraction = phase as f64 / up as f64;
                (0..2 * reach).map(move |i| scale * quality.response((i as f64 - (reach - 1) as f64 - fraction).abs() * scale))
            };
            Taps::Phases((0..up).flat_map(row).collect())
        } else {
            let points = quality.reach() * POINTS + 2;
            Taps::Response((0..points).map(|n| scale * quality.response(n as f64 / POINTS as f64)).collect())
        };
        Ok(Self { down, up, reach, scale, taps })
    }

    /// Frames at the other rate that last as long as `frames` of the sound, rounded up. [any thread]
    pub fn frames(&self, frames: usize) -> usize {
        let exact = (frames as u128 * u128::from(self.up)).div_ceil(u128::from(self.down));
        usize::try_from(exact).unwrap_or(usize::MAX)
    }

    /// Fills `out` with the frames from `first` on at the other rate. Beyond the ends of `sound` is silence. [any thread: nothing
    /// allocated]
    pub fn read(&self, sound: &[f64], first: usize, out: &mut [f64]) {
        let end = sound.len() as i128;
        for (n, out) in out.iter_mut().enumerate() {
            let position = (first + n) as u128 * u128::from(self.down);
            let (whole, phase) = ((position / u128::from(self.up)) as i128, (position % u128::from(self.up)) as usize);
            // The frame of the first tap, and the taps of frames that the sound has.
            let start = whole - (self.reach as i128 - 1);
            let skipped = (-start).clamp(0, 2 * self.reach as i128) as usize;
            let taken = (end - start).clamp(skipped as i128, 2 * self.reach as i128) as usize;
            let from = (start + skipped as i128).clamp(0, end) as usize;
            let frames = &sound[from..from + (taken - skipped)];
            *out = match &self.taps {
                Taps::Phases(table) => dot(frames, &table[phase * 2 * self.reach..][skipped..taken]),
                Taps::Response(response) => {
                    let fraction = phase as f64 / self.up as f64 + (self.reach - 1) as f64;
                    let product = |(i, frame): (usize, &f64)| {
                        let at = ((skipped + i) as f64 - fraction).abs() * self.scale * POINTS as f64;
                        let point = at as usize;
                        match response.get(point..point + 2) {
                            Some(near) => frame * (near[0] + at.fract() * (near[1] - near[0])),
                            None => 0.0,
                        }
                    };
                    frames.iter().enumerate().map(product).sum()
                }
            };
        }
    }
}

impl<S: Sample> Audio<S> {
    /// The sound at `sample_rate` Hz: without a delay, as many frames as last as long, rounded up. [control thread]
    ///
    /// # Errors
    /// [`AudioError::ZeroRate`].
    pub fn resample(&self, sample_rate: u32, quality: Resampling) -> Result<Self, AudioError> {
        let resampler = Resampler::new(self.sample_rate(), sample_rate, quality)?;
        let mut resampled = Self::silence(sample_rate, self.channels(), resampler.frames(self.frames()));
        let mut frames = vec![0.0; resampled.frames()];
        for (channel, samples) in self.iter().enumerate() {
            let sound: Vec<f64> = samples.iter().map(|sample| sample.to_f64()).collect();
            resampler.read(&sound, 0, &mut frames);
            for (to, from) in resampled.channel_mut(channel).iter_mut().zip(&frames) {
                *to = S::from_f64(*from);
            }
        }
        Ok(resampled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tone of `hz` at `rate`, at its frame `at`.
    fn tone(hz: f64, rate: u32, at: usize) -> f64 {
        (std::f64::consts::TAU * hz / f64::from(rate) * at as f64 + 0.3).sin()
    }

    /// The rates of the tests: whole ratios, usual ones, and one without a table.
    const RATES: [(u32, u32); 7] = [
        (44_100, 48_000),
        (48_000, 44_100),
        (44_100, 22_050),
        (22_050, 44_100),
        (96_000, 8_000),
        (44_101, 48_000),
        (8_000, 192_000),
    ];

    /// The frames of a second at `rate` of a tone of a second at `from`.
    fn resampled(hz: f64, from: u32, to: u32, quality: Resampling) -> Vec<f64> {
        let resampler = Resampler::new(from, to, quality).unwrap();
        let sound: Vec<f64> = (0..from as usize).map(|n| tone(hz, from, n)).collect();
        let mut out = vec![0.0; resampler.frames(sound.len())];
        resampler.read(&sound, 0, &mut out);
        out
    }

    #[test]
    fn a_tone_below_the_transition_is_the_same_tone_without_a_delay() {
        for (from, to) in RATES {
            for (quality, edge, bound) in [(Resampling::Medium, 0.83, 1e-4), (Resampling::High, 0.93, 1e-6)] {
                let half = f64::from(from.min(to)) / 2.0;
                for hz in [30.0, 0.5 * half, edge * half] {
                    let out = resampled(hz, from, to, quality);
                    assert_eq!(out.len(), to as usize);
                    // Away from the ends, beyond which is silence.
                    let reach = 200 * to.max(from) as usize / from as usize;
                    for n in (reach..out.len() - reach).step_by(7) {
                        let error = (out[n] - tone(hz, to, n)).abs();
                        assert!(error < bound, "{from} to {to}, {quality:?}, {hz} Hz, frame {n}: {error:e}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_tone_above_half_the_lower_rate_is_not_folded() {
        for (from, to) in RATES.into_iter().filter(|(from, to)| from > to) {
            for (quality, bound) in [(Resampling::Medium, 1e-4), (Resampling::High, 1e-6)] {
                let half = f64::from(to) / 2.0;
                for hz in [half * 1.001, (half + f64::from(from) / 2.0) / 2.0] {
                    let out = resampled(hz, from, to, quality);
                    let worst = out[200..out.len() - 200].iter().fold(0.0_f64, |worst, y| worst.max(y.abs()));
                    assert!(worst < bound, "{from} to {to}, {quality:?}, {hz} Hz: {worst:e}");
                }
            }
        }
    }

    #[test]
    fn a_part_is_that_of_the_whole_and_short_and_empty_sounds_are_read() {
        for (from, to) in RATES {
            let resampler = Resampler::new(from, to, Resampling::High).unwrap();
            let sound: Vec<f64> = (0..500).map(|n| tone(997.0, from, n)).collect();
            let mut whole = vec![0.0; resampler.frames(sound.len())];
            resampler.read(&sound, 0, &mut whole);
            let mut part = vec![0.0; whole.len() / 2];
            resampler.read(&sound, whole.len() / 3, &mut part);
            assert_eq!(part, whole[whole.len() / 3..][..part.len()]);
            let mut far = [1.0; 3];
            resampler.read(&sound, 10_000_000, &mut far);
            resampler.read(&[], 0, &mut far[..2]);
            assert_eq!(far, [0.0; 3]);
            assert_eq!((resampler.frames(0), resampler.frames(1)), (0, (to as usize).div_ceil(from as usize)));
        }
    }

    #[test]
    fn audio_keeps_its_type_channels_and_level_at_another_rate() {
        let sound =
            Audio::from_planar(44_100, 2, (0..8820).map(|n| i16::from_f64(0.5 * tone(440.0, 44_100, n))).collect()).unwrap();
        let other = sound.resample(48_000, Resampling::Medium).unwrap();
        assert_eq!((other.sample_rate(), other.channels(), other.frames()), (48_000, 2, 4800));
        assert!((other.rms() - sound.rms()).abs() < 1e-3, "{} and {}", other.rms(), sound.rms());
        assert_eq!(sound.resample(44_100, Resampling::High).unwrap().frames(), sound.frames());
        assert_eq!(sound.resample(0, Resampling::High), Err(AudioError::ZeroRate));
    }
}
