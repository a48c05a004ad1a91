//! Delay and polarity of a model, measured by the correlation of a sweep with the model's output for it; and [`Aligner`], which
//! makes the delay a whole number of frames, so that it can be compensated as latency.

use std::sync::Arc;

use multiversion::multiversion;

use super::engine::{EngineError, Network, StateSpec};
use crate::dsp::{CHUNK, Chunk};

/// Delay and polarity of a model, as a sweep shows them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alignment {
    /// Frames, at the model's rate, by which the output lags the input beyond the latency that the network reports. Negative if
    /// the output is early.
    pub delay_frames: f32,
    /// True if the polarity is inverted.
    pub inverted: bool,
    /// True if another delay or the other polarity explains the output nearly as well.
    pub ambiguous: bool,
}

/// Length of the sweep: an octave takes 56 ms.
const SWEEP_SECONDS: f64 = 0.5;
/// Largest length of the sweep at any sample rate, in frames.
const MAX_SWEEP_FRAMES: f64 = 131_072.0;
/// First frequency of the sweep. An exponential sweep has equal energy in each octave, as music has.
const LOWEST_HZ: f64 = 40.0;
/// Last frequency of the sweep, as a ratio of the sample rate.
const HIGHEST_RATIO: f64 = 0.4;
/// Level of the sweep, in dBFS: loud enough that a model of a high-gain amplifier responds.
const PEAK_DB: f64 = -15.0;
/// Length of the fades at both ends of the sweep.
const FADE_SECONDS: f64 = 0.01;
/// Smallest delay that is looked for, in frames. The phase response of a causal network can make its output seem early, but not
/// by more than this.
const MIN_DELAY: isize = -16;
/// End of the delays that are looked for, in frames. A later output would be heard as an echo.
const MAX_DELAY: isize = 512;
/// Frames on each side of a peak from which the correlation at fractional delays is interpolated.
const INTERPOLATION_REACH: isize = 32;
/// A result is ambiguous if the second largest peak is at least this share of the largest.
const AMBIGUOUS_RATIO: f64 = 0.9;
/// Frames of silence after the sweep, so that the latest output is complete.
const TAIL_FRAMES: usize = MAX_DELAY as usize + INTERPOLATION_REACH as usize;

/// Makes an exponential sine sweep (Farina, AES 108, 2000).
fn sweep(sample_rate: f64) -> Vec<f32> {
    let frames = (SWEEP_SECONDS * sample_rate).min(MAX_SWEEP_FRAMES);
    let log_range = (HIGHEST_RATIO * sample_rate / LOWEST_HZ).max(2.0).ln();
    let peak = 10f64.powf(PEAK_DB / 20.0);
    let scale = std::f64::consts::TAU * LOWEST_HZ.min(HIGHEST_RATIO * sample_rate / 2.0) / sample_rate * frames / log_range;
    let fade = FADE_SECONDS * sample_rate;
    (0..frames as usize)
        .map(|i| {
            let i = i as f64;
            let edge = (i.min(frames - i) / fade).min(1.0);
            (peak * edge * (scale * ((i / frames * log_range).exp() - 1.0)).sin()) as f32
        })
        .collect()
}

/// Runs a sweep through a new state of the network at the model's own rate, with all knobs in the middle, and compares the
/// output with the sweep. [control thread: allocates, takes as long as half a second of sound]
///
/// # Errors
/// If the network cannot run on this machine.
pub(super) fn measure(network: &Arc<dyn Network>, sample_rate: f32, knobs: usize) -> Result<Alignment, EngineError> {
    let mut state = network.clone().state(StateSpec::new(1))?;
    state.set_offline(true);
    let x = sweep(f64::from(sample_rate));
    let latency = state.latency();
    let mut y = x.clone();
    y.resize(x.len() + latency + TAIL_FRAMES, 0.0);
    let middle = [0.5; CHUNK];
    let mut rest = y.as_mut_slice();
    while !rest.is_empty() {
        let (now, later) = rest.split_at_mut(CHUNK.min(rest.len()));
        let values: Vec<&[f32]> = (0..knobs).map(|_| &middle[..now.len()]).collect();
        state.process(&mut [&mut *now], &values);
        rest = later;
    }
    y.drain(..latency);
    Ok(find_alignment(&x, &y))
}

/// The delay and polarity at which the correlation of the input `x` and the output `y` is largest. `y` has [`TAIL_FRAMES`]
/// frames more than `x`.
fn find_alignment(x: &[f32], y: &[f32]) -> Alignment {
    let unknown = Alignment { delay_frames: 0.0, inverted: false, ambiguous: true };
    if y.iter().any(|v| !v.is_finite()) {
        return unknown;
    }
    let mean = y.iter().map(|v| f64::from(*v)).sum::<f64>() / y.len() as f64;
    let y: Vec<f32> = y.iter().map(|v| (f64::from(*v) - mean) as f32).collect();
    let (first, last) = (MIN_DELAY - INTERPOLATION_REACH, MAX_DELAY + INTERPOLATION_REACH);
    let correlation: Vec<f64> = (first..last)
        .map(|lag| {
            let (x, y) = if lag < 0 { (x.get(lag.unsigned_abs()..).unwrap_or(&[]), &y[..]) } else { (x, &y[lag as usize..]) };
            correlate(x, y)
        })
        .collect();
    let at = |lag: isize| correlation[(lag - first) as usize];
    let Some(peak) = (MIN_DELAY..MAX_DELAY).max_by(|a, b| at(*a).abs().total_cmp(&at(*b).abs())) else { return unknown };
    let height = at(peak).abs();
    if height.is_nan() || height <= 0.0 {
        return unknown;
    }
    // The second largest peak, of either sign. The neighbours of the largest peak do not count.
    let second = (MIN_DELAY..MAX_DELAY)
        .filter(|lag| {
            let (before, here, after) = (at(lag - 1), at(*lag), at(lag + 1));
            let is_peak = (here >= before && here >= after && here > 0.0) || (here <= before && here <= after && here < 0.0);
            is_peak && (lag - peak).abs() > 1
        })
        .map(|lag| at(lag).abs())
        .fold(0.0, f64::max);
    Alignment { delay_frames: refine(&at, peak) as f32, inverted: at(peak) < 0.0, ambiguous: second >= AMBIGUOUS_RATIO * height }
}

/// Sum of the products of x and y over the frames that both have.
fn correlate(x: &[f32], y: &[f32]) -> f64 {
    // The rounding error of a thousand f32 products is small enough. Eight independent sums let the processor overlap the
    // additions.
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

/// The fractional delay of the largest magnitude within a frame of `peak`. Since the sweep has no frequencies above
/// [`HIGHEST_RATIO`], a windowed sinc interpolates the correlation between frames.
fn refine(at: &impl Fn(isize) -> f64, peak: isize) -> f64 {
    let value = |delay: f64| {
        let sum: f64 = (peak - INTERPOLATION_REACH + 1..peak + INTERPOLATION_REACH)
            .map(|lag| at(lag) * windowed_sinc(delay - lag as f64, (INTERPOLATION_REACH - 1) as f64))
            .sum();
        sum.abs()
    };
    // Golden-section search (Kiefer 1953) between both neighbours.
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

/// Shape parameter of the Kaiser window: side lobes at -100 dB (Kaiser 1974).
const KAISER_BETA: f64 = 10.0;

/// The value at `t` of a sinc under a Kaiser window from `-half` to `half`, both in frames.
fn windowed_sinc(t: f64, half: f64) -> f64 {
    let u = 1.0 - (t / half) * (t / half);
    if u <= 0.0 {
        return 0.0;
    }
    let sinc = if t == 0.0 { 1.0 } else { (std::f64::consts::PI * t).sin() / (std::f64::consts::PI * t) };
    sinc * bessel_i0(KAISER_BETA * u.sqrt()) / bessel_i0(KAISER_BETA)
}

/// Modified Bessel function of the first kind and order 0, by its series.
fn bessel_i0(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1..64 {
        term *= (x / (2.0 * f64::from(k))).powi(2);
        sum += term;
    }
    sum
}

/// Taps of the [`Aligner`]'s fractional delay.
const TAPS: usize = 64;
/// Whole frames of the delay that the taps make.
const CENTRE_TAP: usize = TAPS / 2 - 1;
/// A delay this close to a whole number of frames counts as one. The measurement of nonlinear models is not more precise: the
/// tests below allow it this error.
const WHOLE_TOLERANCE: f32 = 0.01;

/// A fractional delay of all channels, by a windowed sinc, that makes the delay of a model a whole number of frames. Its error
/// is below -80 dB up to 0.8 of the Nyquist frequency.
#[derive(Clone)]
pub(super) struct Aligner {
    taps: [f32; TAPS],
    /// For each channel the frames before the current chunk, oldest first, and room for a chunk.
    histories: Vec<[f32; TAPS - 1 + CHUNK]>,
}

impl Aligner {
    /// Makes an aligner for a model whose delay is `frames`, at the rate at which the aligner runs. Returns `None` if the delay
    /// is a whole number of frames already. Also returns the frames of the model's delay and the aligner's together.
    /// [control thread: allocates]
    pub fn new(frames: f32, channels: usize) -> (Option<Self>, usize) {
        let frames = frames.max(MIN_DELAY as f32);
        if frames > -WHOLE_TOLERANCE && (frames - frames.round()).abs() < WHOLE_TOLERANCE {
            return (None, frames.round() as usize);
        }
        let whole = frames.ceil();
        let delay = CENTRE_TAP as f64 + f64::from(whole - frames);
        // The newest frame is the last of a history, so the taps are in reverse order.
        let raw: [f64; TAPS] = std::array::from_fn(|k| windowed_sinc((TAPS - 1 - k) as f64 - delay, CENTRE_TAP as f64 + 1.0));
        let sum: f64 = raw.iter().sum();
        let new = Self { taps: raw.map(|t| (t / sum) as f32), histories: vec![[0.0; TAPS - 1 + CHUNK]; channels] };
        (Some(new), (CENTRE_TAP as f32 + whole) as usize)
    }

    /// Fills the histories with zeros. [audio thread]
    pub fn reset(&mut self) {
        self.histories.iter_mut().for_each(|history| history.fill(0.0));
    }

    /// Processes the first `frames` frames of every channel in place. [audio thread]
    pub fn process(&mut self, wet: &mut [Chunk], frames: usize) {
        for (wet, history) in wet.iter_mut().zip(&mut self.histories) {
            history[TAPS - 1..TAPS - 1 + frames].copy_from_slice(&wet[..frames]);
            convolve(&self.taps, history, &mut wet[..frames]);
            history.copy_within(frames..frames + TAPS - 1, 0);
        }
    }

    /// True if each channel's history holds one constant value. [audio thread]
    pub fn rests(&self) -> bool {
        self.histories.iter().all(|history| history[..TAPS - 1].iter().all(|x| *x == history[0]))
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        size_of_val(self.histories.as_slice())
    }
}

#[multiversion(targets("x86_64+avx2"))]
fn convolve(taps: &[f32; TAPS], history: &[f32; TAPS - 1 + CHUNK], out: &mut [f32]) {
    out.fill(0.0);
    for (k, tap) in taps.iter().enumerate() {
        for (y, x) in out.iter_mut().zip(&history[k..]) {
            *y += tap * x;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::neural::engine::{EngineError, NetworkState};

    /// A network that convolves with an impulse response and applies a curve.
    struct Fir {
        taps: Vec<f64>,
        curve: fn(f64) -> f64,
    }

    /// The state of a [`Fir`] for one channel.
    struct FirState {
        fir: Arc<Fir>,
        /// The last input frames, newest first.
        history: Vec<f64>,
    }

    impl Network for Fir {
        fn state(self: Arc<Self>, _: StateSpec) -> Result<Box<dyn NetworkState>, EngineError> {
            Ok(Box::new(FirState { history: vec![0.0; self.taps.len()], fir: self }))
        }
        fn bytes(&self) -> usize {
            0
        }
    }

    impl NetworkState for FirState {
        fn process(&mut self, block: &mut crate::dsp::Block<'_>, _: &[&[f32]]) {
            for x in block[0].iter_mut() {
                self.history.rotate_right(1);
                self.history[0] = f64::from(*x);
                *x = (self.fir.curve)(self.history.iter().zip(&self.fir.taps).map(|(x, h)| x * h).sum()) as f32;
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

    fn found(taps: Vec<f64>, curve: fn(f64) -> f64, rate: f32) -> Alignment {
        let network: Arc<dyn Network> = Arc::new(Fir { taps, curve });
        measure(&network, rate, 0).unwrap()
    }

    /// The taps of a pure delay, with a longer sinc than the aligner's.
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
                    let curves =
                        [((|x| x) as fn(f64) -> f64, 1e-3), (|x| (20.0 * x).tanh(), 0.01), (|x| (5.0 * x + 0.5).tanh(), 0.01)];
                    for (curve, within) in curves {
                        let found = found(taps.clone(), curve, rate);
                        assert!((f64::from(found.delay_frames) - frames).abs() < within, "{frames}: {found:?}");
                        assert_eq!((found.inverted, found.ambiguous), (gain < 0.0, false), "{frames}: {found:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn an_output_with_two_peaks_or_none_is_ambiguous() {
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
    fn an_aligned_delay_is_the_reported_whole_number_of_frames() {
        for frames in [0.0f32, 7.0, 0.25, 3.5, 8.75, -0.4, -3.0] {
            let (aligner, latency) = Aligner::new(frames, 1);
            let Some(mut aligner) = aligner else {
                assert_eq!(latency as f32, frames);
                continue;
            };
            let (w, mut output) = (0.7 * std::f64::consts::PI, Vec::new());
            for start in (0..1024).step_by(CHUNK) {
                // A sine as the model delays it.
                let mut wet = [std::array::from_fn(|i| (w * ((start + i) as f64 - f64::from(frames))).sin() as f32)];
                aligner.process(&mut wet, CHUNK);
                output.extend(wet[0]);
            }
            let worst =
                (200..1024).map(|i| (f64::from(output[i]) - (w * (i as f64 - latency as f64)).sin()).abs()).fold(0.0, f64::max);
            assert!(worst < 1e-4, "{frames}: {worst}");
        }
    }
}
