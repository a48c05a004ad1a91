//! How late a model is and whether it is upside down: a sweep through it, correlated with what comes out. And the undoing of it.

use std::sync::Arc;

use multiversion::multiversion;

use super::engine::{Mode, Network};
use crate::dsp::{CHUNK, Chunk};

/// What a sweep through a model shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alignment {
    /// Frames at the model's rate by which its output lags its input, beyond the latency that the network reports.
    pub delay_frames: f32,
    /// Whether its polarity is inverted.
    pub inverted: bool,
    /// Whether another delay or the other polarity explains the output nearly as well.
    pub ambiguous: bool,
}

/// Length of the sweep: an octave takes 56 ms.
const SWEEP_SECONDS: f64 = 0.5;
/// No rate makes it longer, in frames.
const MOST_FRAMES: f64 = 131_072.0;
/// From here to [`HIGHEST`] of the sample rate. Equal energy in each octave, as music has.
const LOWEST_HZ: f64 = 40.0;
const HIGHEST: f64 = 0.4;
/// Loud enough that a high-gain model opens, in dB of full scale.
const PEAK_DB: f64 = -15.0;
/// Fades at both ends.
const FADE_SECONDS: f64 = 0.01;
/// Delays that are looked at. No causal network is early by more than its phase; later ones would be heard as an echo.
const EARLIEST: isize = -16;
const LATEST: isize = 512;
/// Frames around a peak from which the correlation between frames is made.
const AROUND: isize = 32;
/// Another peak of this part of the largest makes a result ambiguous.
const NEARLY: f64 = 0.9;
/// Frames of silence behind the sweep.
const TAIL: usize = LATEST as usize + AROUND as usize;

/// An exponential sine sweep (Farina, AES 108, 2000).
fn sweep(sample_rate: f64) -> Vec<f32> {
    let frames = (SWEEP_SECONDS * sample_rate).min(MOST_FRAMES);
    let octaves = (HIGHEST * sample_rate / LOWEST_HZ).max(2.0).ln();
    let peak = 10f64.powf(PEAK_DB / 20.0);
    let scale = std::f64::consts::TAU * LOWEST_HZ.min(HIGHEST * sample_rate / 2.0) / sample_rate * frames / octaves;
    let fade = FADE_SECONDS * sample_rate;
    (0..frames as usize)
        .map(|i| {
            let i = i as f64;
            let edge = (i.min(frames - i) / fade).min(1.0);
            (peak * edge * (scale * ((i / frames * octaves).exp() - 1.0)).sin()) as f32
        })
        .collect()
}

/// Sends a sweep through fresh voices at the model's own rate, all knobs in the middle. [control thread: allocates, takes its time]
///
/// # Errors
/// If the network cannot run here.
pub(super) fn measure(network: &Arc<dyn Network>, sample_rate: f32, knobs: usize) -> Result<Alignment, String> {
    let mut voices = network.clone().voices(Mode::new(1))?;
    voices.set_offline(true);
    let x = sweep(f64::from(sample_rate));
    let latency = voices.latency();
    let mut y = x.clone();
    y.resize(x.len() + latency + TAIL, 0.0);
    let middle = [0.5; CHUNK];
    let mut rest = y.as_mut_slice();
    while !rest.is_empty() {
        let (now, later) = rest.split_at_mut(CHUNK.min(rest.len()));
        let values: Vec<&[f32]> = (0..knobs).map(|_| &middle[..now.len()]).collect();
        voices.process(&mut [&mut *now], &values);
        rest = later;
    }
    y.drain(..latency);
    Ok(compare(&x, &y))
}

/// Where the correlation of output and input is largest. `y` has [`TAIL`] frames more than `x`.
fn compare(x: &[f32], y: &[f32]) -> Alignment {
    let unknown = Alignment { delay_frames: 0.0, inverted: false, ambiguous: true };
    if y.iter().any(|v| !v.is_finite()) {
        return unknown;
    }
    let mean = y.iter().map(|v| f64::from(*v)).sum::<f64>() / y.len() as f64;
    let y: Vec<f32> = y.iter().map(|v| (f64::from(*v) - mean) as f32).collect();
    let (first, last) = (EARLIEST - AROUND, LATEST + AROUND);
    let correlation: Vec<f64> = (first..last)
        .map(|lag| {
            let (x, y) = if lag < 0 { (x.get(lag.unsigned_abs()..).unwrap_or(&[]), &y[..]) } else { (x, &y[lag as usize..]) };
            correlate(x, y)
        })
        .collect();
    let at = |lag: isize| correlation[(lag - first) as usize];
    let Some(peak) = (EARLIEST..LATEST).max_by(|a, b| at(*a).abs().total_cmp(&at(*b).abs())) else { return unknown };
    let height = at(peak).abs();
    if height.is_nan() || height <= 0.0 {
        return unknown;
    }
    // Peaks of both signs; what belongs to the largest itself is none.
    let second = (EARLIEST..LATEST)
        .filter(|lag| {
            let (before, here, after) = (at(lag - 1), at(*lag), at(lag + 1));
            let is_peak = (here >= before && here >= after && here > 0.0) || (here <= before && here <= after && here < 0.0);
            is_peak && (lag - peak).abs() > 1
        })
        .map(|lag| at(lag).abs())
        .fold(0.0, f64::max);
    Alignment { delay_frames: refine(&at, peak) as f32, inverted: at(peak) < 0.0, ambiguous: second >= NEARLY * height }
}

/// Sum of x y over the frames that both have.
fn correlate(x: &[f32], y: &[f32]) -> f64 {
    // Sums of a thousand f32 products lose nothing that matters; eight side by side need not wait for each other.
    x.chunks(1024)
        .zip(y.chunks(1024))
        .map(|(x, y)| {
            let mut sums = [0.0f32; 8];
            for (x, y) in x.chunks(8).zip(y.chunks(8)) {
                for ((sum, x), y) in sums.iter_mut().zip(x).zip(y) {
                    *sum += x * y;
                }
            }
            sums.iter().map(|s| f64::from(*s)).sum::<f64>()
        })
        .sum()
}

/// The largest magnitude within a frame of `peak`: the correlation of what has no frequencies above [`HIGHEST`] is known between frames
/// too, by a windowed sinc.
fn refine(at: &impl Fn(isize) -> f64, peak: isize) -> f64 {
    let value = |delay: f64| {
        let sum: f64 =
            (peak - AROUND + 1..peak + AROUND).map(|lag| at(lag) * windowed_sinc(delay - lag as f64, (AROUND - 1) as f64)).sum();
        sum.abs()
    };
    // Golden section (Kiefer 1953) between both neighbours.
    let golden = (5f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (peak as f64 - 1.0, peak as f64 + 1.0);
    for _ in 0..60 {
        let width = golden * (high - low);
        if value(high - width) > value(low + width) {
            high = low + width;
        } else {
            low = high - width;
        }
    }
    (low + high) / 2.0
}

/// Shape of the Kaiser window: side lobes at -100 dB (Kaiser 1974).
const BETA: f64 = 10.0;

/// sinc under a Kaiser window that ends at `half`.
fn windowed_sinc(t: f64, half: f64) -> f64 {
    let u = 1.0 - (t / half) * (t / half);
    if u <= 0.0 {
        return 0.0;
    }
    let sinc = if t == 0.0 { 1.0 } else { (std::f64::consts::PI * t).sin() / (std::f64::consts::PI * t) };
    sinc * bessel(BETA * u.sqrt()) / bessel(BETA)
}

/// Modified Bessel function of the first kind and order 0, by its series.
fn bessel(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1..64 {
        term *= (x / (2.0 * f64::from(k))).powi(2);
        sum += term;
    }
    sum
}

/// Taps of the delay that makes a model's whole.
const TAPS: usize = 64;
/// Its middle.
const CENTRE: usize = TAPS / 2 - 1;
/// A delay this close to a whole number of frames is one: as close as the measure is for what bends (`tests`).
const WHOLE: f32 = 0.01;

/// Delays all channels so that a model's delay becomes a whole number of frames: a windowed sinc. Flat within -80 dB up to 0.8 of
/// Nyquist.
#[derive(Clone)]
pub(super) struct Aligner {
    taps: [f32; TAPS],
    /// Of each channel: the last frames and room for a chunk.
    lines: Vec<[f32; TAPS - 1 + CHUNK]>,
}

impl Aligner {
    /// For a delay of `frames` at the rate that it runs at. Also the latency of both together; a delay that is whole needs no
    /// `Aligner`. [control thread: allocates]
    pub fn new(frames: f32, channels: usize) -> (Option<Self>, usize) {
        let frames = frames.max(EARLIEST as f32);
        if frames > -WHOLE && (frames - frames.round()).abs() < WHOLE {
            return (None, frames.round() as usize);
        }
        let whole = frames.ceil();
        let delay = CENTRE as f64 + f64::from(whole - frames);
        // The newest frame is the last of a line, so the first tap is the latest.
        let raw: [f64; TAPS] = std::array::from_fn(|k| windowed_sinc((TAPS - 1 - k) as f64 - delay, CENTRE as f64 + 1.0));
        let sum: f64 = raw.iter().sum();
        let new = Self { taps: raw.map(|t| (t / sum) as f32), lines: vec![[0.0; TAPS - 1 + CHUNK]; channels] };
        (Some(new), (CENTRE as f32 + whole) as usize)
    }

    /// [audio thread]
    pub fn reset(&mut self) {
        self.lines.iter_mut().for_each(|l| l.fill(0.0));
    }

    /// [audio thread]
    pub fn process(&mut self, wet: &mut [Chunk], frames: usize) {
        for (wet, line) in wet.iter_mut().zip(&mut self.lines) {
            line[TAPS - 1..TAPS - 1 + frames].copy_from_slice(&wet[..frames]);
            convolve(&self.taps, line, &mut wet[..frames]);
            line.copy_within(frames..frames + TAPS - 1, 0);
        }
    }

    /// Whether all that it holds back is the same. [audio thread]
    pub fn rests(&self) -> bool {
        self.lines.iter().all(|l| l[..TAPS - 1].iter().all(|x| *x == l[0]))
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        size_of_val(self.lines.as_slice())
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn convolve(taps: &[f32; TAPS], line: &[f32; TAPS - 1 + CHUNK], out: &mut [f32]) {
    out.fill(0.0);
    for (k, tap) in taps.iter().enumerate() {
        for (y, x) in out.iter_mut().zip(&line[k..]) {
            *y += tap * x;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::neural::engine::Voices;

    /// Convolves with an impulse response, then bends.
    struct Fir(Vec<f64>, fn(f64) -> f64);
    struct State(Arc<Fir>, Vec<f64>);

    impl Network for Fir {
        fn voices(self: Arc<Self>, _: Mode) -> Result<Box<dyn Voices>, String> {
            Ok(Box::new(State(self.clone(), vec![0.0; self.0.len()])))
        }
        fn bytes(&self) -> usize {
            0
        }
    }

    impl Voices for State {
        fn process(&mut self, block: &mut crate::dsp::Block<'_>, _: &[&[f32]]) {
            for x in block[0].iter_mut() {
                self.1.rotate_right(1);
                self.1[0] = f64::from(*x);
                *x = self.0.1(self.1.iter().zip(&self.0.0).map(|(x, h)| x * h).sum()) as f32;
            }
        }
        fn settle(&mut self, _: &[f32]) -> f32 {
            0.0
        }
        fn reset(&mut self) {}
        fn rests(&self) -> bool {
            false
        }
        fn bytes(&self) -> usize {
            0
        }
    }

    fn found(taps: Vec<f64>, bend: fn(f64) -> f64, rate: f32) -> Alignment {
        let network: Arc<dyn Network> = Arc::new(Fir(taps, bend));
        measure(&network, rate, 0).unwrap()
    }

    /// A pure delay, by a long sinc of its own.
    fn delay(frames: f64, gain: f64) -> Vec<f64> {
        (0..128).map(|k| gain * windowed_sinc(f64::from(k) - frames, 40.0)).collect()
    }

    #[test]
    fn delays_are_found_within_a_hundredth_of_a_frame_and_polarity_with_them() {
        for rate in [44_100.0, 48_000.0] {
            for frames in [0.0, 8.0, 45.25, 45.5, 45.75, 60.1] {
                for gain in [1.0, -0.3] {
                    let taps = if frames == 0.0 { vec![gain] } else { delay(frames, gain) };
                    // A curve's harmonics are folded at the sample rate and correlate a little.
                    let bends =
                        [((|x| x) as fn(f64) -> f64, 1e-3), (|x| (20.0 * x).tanh(), 0.01), (|x| (5.0 * x + 0.5).tanh(), 0.01)];
                    for (bend, within) in bends {
                        let found = found(taps.clone(), bend, rate);
                        assert!((f64::from(found.delay_frames) - frames).abs() < within, "{frames}: {found:?}");
                        assert_eq!((found.inverted, found.ambiguous), (gain < 0.0, false), "{frames}: {found:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_has_two_peaks_or_none_is_ambiguous() {
        let echo = |second: f64| {
            (0..200)
                .map(|k| {
                    if k == 3 {
                        1.0
                    } else if k == 150 {
                        second
                    } else {
                        0.0
                    }
                })
                .collect::<Vec<_>>()
        };
        assert!(found(echo(0.97), |x| x, 48_000.0).ambiguous);
        assert!(found(echo(-0.97), |x| x, 48_000.0).ambiguous);
        let clear = found(echo(0.5), |x| x, 48_000.0);
        assert!(!clear.ambiguous && (clear.delay_frames - 3.0).abs() < 0.02, "{clear:?}");
        assert!(found(vec![0.0], |x| x, 48_000.0).ambiguous);
        assert!(found(vec![1.0], |x| x, 1.0).ambiguous);
        assert!(found(vec![1.0], |_| f64::NAN, 48_000.0).ambiguous);
    }

    #[test]
    fn a_delay_made_whole_is_late_by_what_is_said() {
        for frames in [0.0f32, 7.0, 0.25, 3.5, 8.75, -0.4, -3.0] {
            let (aligner, latency) = Aligner::new(frames, 1);
            let Some(mut aligner) = aligner else {
                assert_eq!(latency as f32, frames);
                continue;
            };
            let (w, mut line) = (0.7 * std::f64::consts::PI, Vec::new());
            for start in (0..1024).step_by(CHUNK) {
                // What the model's delay leaves of a sine.
                let mut wet = [std::array::from_fn(|i| (w * ((start + i) as f64 - f64::from(frames))).sin() as f32)];
                aligner.process(&mut wet, CHUNK);
                line.extend(wet[0]);
            }
            let worst =
                (200..1024).map(|i| (f64::from(line[i]) - (w * (i as f64 - latency as f64)).sin()).abs()).fold(0.0, f64::max);
            assert!(worst < 1e-4, "{frames}: {worst}");
        }
    }
}
