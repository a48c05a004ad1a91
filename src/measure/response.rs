//! The response of an effect to small signals: magnitude, phase, group delay, and the latency that is really there.

use std::f64::consts::TAU;

use realfft::num_complex::Complex;
use serde::Serialize;

use super::measures::{Measure, MeasureFn, Preference, Unit};
use super::spectrum::decibels;
use super::transform::{inverse_transform, transform};
use super::{MeasureError, check_rate};
use crate::audio::{Audio, Random, db_to_gain};
use crate::effect::Effect;
use crate::render::render;

/// Seconds that a period of the test signal lasts at least: its lines are less than 2 Hz apart.
const PERIOD_SECONDS: f64 = 0.5;
/// Peaks of the test signal in dBFS, tried in this order: a quantiser gives nothing, or noise, for the lowest.
const LEVELS_DBFS: [f64; 3] = [-60.0, -40.0, -20.0];
/// The level is taken at which two test signals agree to this energy of their difference, in dB of the response's.
const AGREEMENT_DB: f64 = -40.0;
/// Points of the curves in an octave.
const POINTS_PER_OCTAVE: f64 = 24.0;
/// The lowest point of the curves, in hertz.
const LOWEST_HZ: f64 = 20.0;
/// The highest point of the curves as a share of the sample rate.
const HIGHEST_SHARE: f64 = 0.48;

/// The response to small signals: the curves have a value for each frequency. The latency that the effect reports is taken out
/// of phase and group delay.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LinearResponse {
    /// Peak of the test signal in dBFS: the lowest of -60, -40 and -20 at which the response can be told.
    pub level_dbfs: f64,
    /// Difference of the responses to two test signals, in dB of the response's energy: what is noise or no linear response.
    pub disagreement_db: f64,
    /// Frequencies in hertz, ascending, 24 an octave, from 20 Hz to 0.48 of the sample rate.
    pub hz: Vec<f64>,
    /// Gain in dB.
    pub magnitude_db: Vec<f64>,
    /// Phase in degrees, continuous from the lowest frequency on.
    pub phase_degrees: Vec<f64>,
    /// Group delay in frames, beyond the reported latency.
    pub group_delay_frames: Vec<f64>,
}

/// Reported and measured latency.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LatencyCheck {
    /// Frames of latency that the effect reports, and that rendering removes.
    pub reported_frames: f64,
    /// Frames to the largest magnitude of the band-limited impulse response, to a hundredth of a frame; `None` if the effect
    /// gives no response. Filters of the effect delay it, too.
    pub measured_frames: Option<f64>,
}

/// Difference of measured and reported latency.
pub static ROW: Measure = Measure {
    id: "latency_error_frames",
    name: "Latency beyond the reported one",
    heading: "Latency error",
    unit: Unit::Number,
    definition: "Frames from the reported latency to the largest magnitude of the band-limited impulse response for small \
                 signals; blank without a response.",
    better: Preference::Neither,
    function: MeasureFn::Effect(|figures| {
        figures.latency.measured_frames.map_or(f64::NAN, |frames| frames - figures.latency.reported_frames)
    }),
};

/// Measures the response to small signals: the best linear approximation for two noises with periods of half a second or more,
/// each with both polarities, so that even orders cancel (Pintelon and Schoukens, "System Identification", 2nd edition, 2012,
/// chapter 4). At steady state, without windows: the response of a linear effect is exact. [control thread: allocates]
///
/// # Errors
/// If the effect cannot be prepared for this sample rate.
pub fn linear_response(effect: &Effect, sample_rate: u32) -> Result<LinearResponse, MeasureError> {
    Ok(SmallSignal::measure(effect, sample_rate)?.response())
}

/// Measures the latency: where the impulse response for small signals has its largest magnitude. [control thread: allocates]
///
/// # Errors
/// If the effect cannot be prepared for this sample rate.
pub fn latency_check(effect: &Effect, sample_rate: u32) -> Result<LatencyCheck, MeasureError> {
    Ok(SmallSignal::measure(effect, sample_rate)?.latency())
}

/// The transfer function for small signals.
pub(super) struct SmallSignal {
    sample_rate: f64,
    /// The reported latency, which the transfer function lacks.
    reported_frames: usize,
    level_dbfs: f64,
    disagreement_db: f64,
    /// The transfer function at each line of the test signal, from DC to Nyquist; the lines at both ends carry no signal, and
    /// have the value of their neighbours.
    bins: Vec<Complex<f64>>,
}

impl SmallSignal {
    /// Measures the transfer function at the lowest level at which it can be told.
    pub(super) fn measure(effect: &Effect, sample_rate: u32) -> Result<Self, MeasureError> {
        check_rate(sample_rate)?;
        let reported_frames = crate::render::Renderer::for_sound(effect, &Audio::silence(sample_rate, 1, 0))?.latency();
        let frames = ((PERIOD_SECONDS * f64::from(sample_rate)) as usize).next_power_of_two();
        let mut best: Option<Self> = None;
        for level_dbfs in LEVELS_DBFS {
            let first = transfer_function(effect, sample_rate, &noise(frames, level_dbfs, 1))?;
            let second = transfer_function(effect, sample_rate, &noise(frames, level_dbfs, 2))?;
            let audible = 1..bin(20_000.0f64.min(HIGHEST_SHARE * f64::from(sample_rate)), frames, sample_rate);
            let energy = |value: fn(Complex<f64>, Complex<f64>) -> Complex<f64>| -> f64 {
                audible.clone().map(|k| value(first[k], second[k]).norm_sqr()).sum()
            };
            let (difference, sum) = (energy(|a, b| a - b), energy(|a, b| a + b));
            let disagreement_db = if sum > 0.0 { f64::from(decibels(difference / sum)) } else { f64::INFINITY };
            if best.as_ref().is_none_or(|best| disagreement_db < best.disagreement_db) {
                let bins = first.iter().zip(&second).map(|(a, b)| (a + b) * 0.5).collect();
                let sample_rate = f64::from(sample_rate);
                best = Some(Self { sample_rate, reported_frames, level_dbfs, disagreement_db, bins });
            }
            if disagreement_db < AGREEMENT_DB {
                break;
            }
        }
        // Without any response at all levels no one is better than the first.
        let mut best = best.expect("infinity is kept if there is nothing yet");
        best.disagreement_db = best.disagreement_db.min(0.0);
        Ok(best)
    }

    /// Frames of a period of the test signal.
    fn frames(&self) -> usize {
        2 * (self.bins.len() - 1)
    }

    /// The curves.
    pub(super) fn response(&self) -> LinearResponse {
        let Self { sample_rate, level_dbfs, disagreement_db, .. } = *self;
        let frames = self.frames() as f64;
        let mut curves = LinearResponse {
            level_dbfs,
            disagreement_db,
            hz: Vec::new(),
            magnitude_db: Vec::new(),
            phase_degrees: Vec::new(),
            group_delay_frames: Vec::new(),
        };
        let mut phases = vec![self.bins[1].arg(); 2];
        for pair in self.bins[1..].windows(2) {
            phases.push(phases[phases.len() - 1] + (pair[1] * pair[0].conj()).arg());
        }
        let mut last = 0;
        for index in 0.. {
            let hz = LOWEST_HZ * (f64::from(index) / POINTS_PER_OCTAVE).exp2();
            if hz > HIGHEST_SHARE * sample_rate {
                break;
            }
            let k = (hz * frames / sample_rate).round() as usize;
            if k == last {
                continue;
            }
            last = k;
            // The phase's slope over the lines that are nearer to this point than to others, weighted with their energy.
            let reach = (0.5 * k as f64 * ((1.0 / POINTS_PER_OCTAVE).exp2() - 1.0)) as usize;
            let slope: Complex<f64> = (k - reach..=k + reach).map(|k| self.bins[k + 1] * self.bins[k - 1].conj()).sum();
            curves.hz.push(k as f64 * sample_rate / frames);
            curves.magnitude_db.push(decibels(self.bins[k].norm_sqr()).into());
            curves.phase_degrees.push(phases[k].to_degrees());
            curves.group_delay_frames.push(-slope.arg() * frames / (2.0 * TAU));
        }
        curves
    }

    /// Reported and measured latency.
    pub(super) fn latency(&self) -> LatencyCheck {
        let frames = self.frames();
        let response = inverse_transform(self.bins.clone());
        let larger = |best: usize, at: usize| if response[at].abs() > response[best].abs() { at } else { best };
        let largest = (0..frames).fold(0, larger);
        let reported_frames = self.reported_frames as f64;
        if response[largest] == 0.0 {
            return LatencyCheck { reported_frames, measured_frames: None };
        }
        let near = if largest > frames / 2 { largest as f64 - frames as f64 } else { largest as f64 };
        let peak = maximum(near - 1.0, near + 1.0, |at| self.impulse_response(at).abs());
        LatencyCheck { reported_frames, measured_frames: Some(reported_frames + peak) }
    }

    /// The band-limited impulse response at a time in frames, which may lie between two frames.
    fn impulse_response(&self, at: f64) -> f64 {
        let frames = self.frames() as f64;
        let step = Complex::from_polar(1.0, TAU * at / frames);
        let mut turn = step;
        let mut sum = 0.0;
        for bin in &self.bins[1..self.bins.len() - 1] {
            sum += (bin * turn).re;
            turn *= step;
        }
        2.0 * sum / frames
    }
}

/// The bin of a frequency.
fn bin(hz: f64, frames: usize, sample_rate: u32) -> usize {
    (hz * frames as f64 / f64::from(sample_rate)).round() as usize
}

/// Place of the largest value between two places, to a thousandth, by golden-section search: there must be one hill.
fn maximum(mut low: f64, mut high: f64, value: impl Fn(f64) -> f64) -> f64 {
    let golden = (5f64.sqrt() - 1.0) / 2.0;
    let inner = |low: f64, high: f64| (high - golden * (high - low), low + golden * (high - low));
    let (mut left, mut right) = inner(low, high);
    let (mut at_left, mut at_right) = (value(left), value(right));
    while high - low > 1e-3 {
        if at_left > at_right {
            (high, right, at_right) = (right, left, at_left);
            left = inner(low, high).0;
            at_left = value(left);
        } else {
            (low, left, at_left) = (left, right, at_right);
            right = inner(low, high).1;
            at_right = value(right);
        }
    }
    0.5 * (low + high)
}

/// A period of noise whose lines all have one magnitude and random phases, without DC and Nyquist; its peak is at `level_dbfs`.
fn noise(frames: usize, level_dbfs: f64, seed: u64) -> Vec<f32> {
    let mut random = Random::new(seed);
    let mut bins = vec![Complex::ZERO; frames / 2 + 1];
    for bin in &mut bins[1..frames / 2] {
        *bin = Complex::from_polar(1.0, TAU * random.unit());
    }
    let wave = inverse_transform(bins);
    let peak = wave.iter().fold(0.0f64, |peak, x| peak.max(x.abs()));
    let gain = db_to_gain(level_dbfs) / peak;
    wave.iter().map(|x| (gain * x) as f32).collect()
}

/// Transfer function of an effect at each line of a periodic signal.
fn transfer_function(effect: &Effect, sample_rate: u32, period: &[f32]) -> Result<Vec<Complex<f64>>, MeasureError> {
    let frames = period.len();
    let negative: Vec<f32> = period.iter().map(|x| -x).collect();
    // The effect settles in the first period. At the end of the third it already sees the silence that follows.
    let responses = [period, &negative]
        .map(|period| -> Result<_, MeasureError> { Ok(render(effect, &Audio::from_mono(sample_rate, &period.repeat(3))?)?) });
    let [positive, negative] = responses;
    let (positive, negative) = (positive?, negative?);
    let second = frames..2 * frames;
    let odd: Vec<f64> = positive.channel(0)[second.clone()]
        .iter()
        .zip(&negative.channel(0)[second])
        .map(|(y, z)| 0.5 * (f64::from(*y) - f64::from(*z)))
        .collect();
    let input = transform(&period.iter().map(|x| f64::from(*x)).collect::<Vec<_>>());
    let mut bins: Vec<Complex<f64>> = transform(&odd).iter().zip(&input).map(|(y, x)| y / x).collect();
    bins[0] = bins[1].re.into();
    bins[frames / 2] = bins[frames / 2 - 1].re.into();
    Ok(bins)
}

#[cfg(test)]
mod tests {
    use super::super::test_effects::{RATE, delay, effect, shaper};
    use super::*;

    /// The largest distance of a curve from a closed form, which gets the angular frequency in radians per frame.
    fn worst(response: &LinearResponse, curve: &[f64], expected: impl Fn(f64) -> f64) -> f64 {
        assert!(curve.len() == response.hz.len() && curve.len() > 200);
        let omega = |hz: &f64| TAU * hz / f64::from(RATE);
        response.hz.iter().zip(curve).map(|(hz, y)| (y - expected(omega(hz))).abs()).fold(0.0, f64::max)
    }

    #[test]
    fn an_allpass_is_flat_and_has_the_group_delay_of_its_formula() {
        const C: f64 = -0.7;
        let allpass = || {
            let (mut before, mut last) = (0.0, 0.0);
            move |x: f64| {
                last = C * x + before - C * last;
                before = x;
                last
            }
        };
        let found = linear_response(&effect(0, allpass), RATE).unwrap();
        assert!((found.hz[0] - 20.0).abs() < 1.0 && found.hz.is_sorted());
        assert!(worst(&found, &found.magnitude_db, |_| 0.0) < 1e-3);
        let delay = |omega: f64| (1.0 - C * C) / (1.0 + 2.0 * C * omega.cos() + C * C);
        assert!(worst(&found, &found.group_delay_frames, delay) < 0.02, "{found:?}");
    }

    #[test]
    fn a_low_pass_has_the_magnitude_and_phase_of_its_formula() {
        const A: f64 = 0.2;
        let low_pass = || {
            let mut last = 0.0;
            move |x: f64| {
                last += A * (x - last);
                last
            }
        };
        let response = |omega: f64| A / (Complex::<f64>::ONE - Complex::from_polar(1.0 - A, -omega));
        let found = linear_response(&effect(0, low_pass), RATE).unwrap();
        assert_eq!(found.level_dbfs, LEVELS_DBFS[0]);
        assert!(worst(&found, &found.magnitude_db, |omega| 20.0 * response(omega).norm().log10()) < 1e-3);
        assert!(worst(&found, &found.phase_degrees, |omega| response(omega).arg().to_degrees()) < 1e-2);
    }

    #[test]
    fn delay_is_told_beyond_the_reported_latency_and_polarity_is_in_the_phase() {
        for (frames, reported) in [(0, 0), (5, 0), (5, 5), (5, 7)] {
            let late = effect(reported, move || delay(frames));
            let found = linear_response(&late, RATE).unwrap();
            let extra = frames as f64 - reported as f64;
            assert!(worst(&found, &found.group_delay_frames, |_| extra) < 1e-4);
            assert!(worst(&found, &found.phase_degrees, |omega| -(extra * omega).to_degrees()) < 1e-2);
            let LatencyCheck { reported_frames, measured_frames } = latency_check(&late, RATE).unwrap();
            assert_eq!(reported_frames, reported as f64);
            assert!((measured_frames.unwrap() - frames as f64).abs() < 0.01, "{measured_frames:?}");
        }
        let found = linear_response(&shaper(|x| -0.5 * x), RATE).unwrap();
        assert!(worst(&found, &found.phase_degrees.iter().map(|x| x.abs()).collect::<Vec<_>>(), |_| 180.0) < 1e-3);
        assert!(worst(&found, &found.magnitude_db, |_| 20.0 * 0.5f64.log10()) < 1e-3);
        // A fraction of a frame: the mean of two delays, symmetric about 3.5 frames.
        let between = effect(0, || {
            let (mut three, mut four) = (delay(3), delay(4));
            move |x| 0.5 * (three(x) + four(x))
        });
        let found = latency_check(&between, RATE).unwrap().measured_frames.unwrap();
        assert!((found - 3.5).abs() < 0.01, "{found}");
    }

    #[test]
    fn the_saturator_has_the_latency_that_it_reports() {
        for oversampling in 0..4 {
            let saturator = Effect::from_id("saturator").unwrap().with("oversampling", oversampling as f32);
            let found = latency_check(&saturator.with("tone", 20_000.0), RATE).unwrap();
            let measured = found.measured_frames.unwrap();
            assert!((measured - found.reported_frames).abs() < 0.01, "{oversampling}: {found:?}");
        }
    }

    #[test]
    fn small_signals_see_the_slope_of_a_curve_at_rest_and_neither_even_orders_nor_dc() {
        let found = linear_response(&shaper(|x| 0.1 + 2.0 * x + 5.0 * x * x), RATE).unwrap();
        assert!(worst(&found, &found.magnitude_db, |_| 20.0 * 2f64.log10()) < 1e-3);
    }

    #[test]
    fn a_quantiser_is_measured_above_its_steps_and_silence_has_no_response() {
        let coarse = linear_response(&shaper(|x| (x * 64.0).round() / 64.0), RATE).unwrap();
        assert!(coarse.level_dbfs > LEVELS_DBFS[0] && coarse.disagreement_db > AGREEMENT_DB, "{coarse:?}");
        assert!(coarse.magnitude_db.iter().sum::<f64>().abs() / (coarse.hz.len() as f64) < 0.5);
        let silent = linear_response(&shaper(|_| 0.0), RATE).unwrap();
        assert!(worst(&silent, &silent.magnitude_db, |_| super::super::SILENCE_DB.into()) == 0.0);
        assert_eq!(latency_check(&shaper(|_| 0.0), RATE).unwrap().measured_frames, None);
    }

    #[test]
    fn a_sample_rate_without_room_is_an_error() {
        let text = linear_response(&shaper(|x| x), 7999).unwrap_err().to_string();
        assert!(text.contains("7999 Hz; expected 8000 to 768000"), "{text}");
    }
}
