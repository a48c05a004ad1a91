//! The harmonics of an effect against frequency, by a synchronised sweep, and against level, by tones.

use std::f64::consts::{FRAC_PI_4, PI, TAU};

use realfft::num_complex::Complex;
use serde::Serialize;

use super::spectrum::decibels;
use super::tone::{AUDIBLE_HZ, ToneFigures};
use super::transform::{inverse_transform, transform};
use super::{MeasureError, check_rate};
use crate::audio::{Audio, db_to_gain};
use crate::effect::Effect;
use crate::render::render;

/// The highest harmonic that is told.
pub const ORDERS: usize = 7;
/// The first frequency of the sweep in hertz, three octaves below the lowest point.
const SWEEP_FROM_HZ: f64 = 2.5;
/// The last frequency of the sweep in hertz, a little above the highest point; less at low sample rates.
const SWEEP_TO_HZ: f64 = 22_000.0;
/// The last frequency of the sweep as a share of the sample rate, if that is lower.
const SWEEP_TO_SHARE: f64 = 0.46;
/// The sweep fades out over the last part, from this share of its last frequency on.
const FADE_OUT_SHARE: f64 = 0.93;
/// The sweep fades in up to this multiple of its first frequency.
const FADE_IN_RATIO: f64 = 4.0;
/// Seconds of the sweep and the silence after it, at least.
const SWEEP_SECONDS: f64 = 4.0;
/// The sweep's share of that time.
const SWEEP_SHARE: f64 = 0.8;
/// Points of the curves in an octave.
const POINTS_PER_OCTAVE: f64 = 12.0;
/// Share of the distance to the next harmonic's response that a window reaches before a response; the rest is after it.
const PRE_SHARE: f64 = 0.5;
/// Share of a window's side over which it falls to 0.
const EDGE_SHARE: f64 = 0.3;
/// Level in dB up to which a fundamental is silent: a little above [`SILENCE_DB`](super::SILENCE_DB).
const SILENT_FUNDAMENTAL_DB: f64 = -290.0;
/// Input levels of [`harmonics_over_level`] in dBFS: from the lowest to 0 in steps.
const LOWEST_LEVEL_DBFS: i32 = -60;
/// Step of these levels in dB.
const LEVEL_STEP_DB: usize = 3;

/// Harmonics against the frequency of the fundamental, at one level.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HarmonicSweep {
    /// Amplitude of the sweep in dBFS.
    pub level_dbfs: f64,
    /// Frequencies of the fundamental in hertz, ascending, 12 an octave, from 20 Hz to 20 kHz or nearly half the sample rate.
    pub hz: Vec<f64>,
    /// For each order, 1 (the fundamental) to 7, its level at each frequency, in dB of a sine of amplitude 1; `None` where the
    /// harmonic is above 20 kHz or above the sweep.
    pub orders: Vec<Vec<Option<f64>>>,
    /// Total distortion by the harmonics 2 to 7 that have a level, in percent of the fundamental; `None` where none has, or the
    /// fundamental is silent.
    pub thd_percent: Vec<Option<f64>>,
}

/// Harmonics and distortion against the level of a sine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HarmonicsOverLevel {
    /// Frequency of the sine in hertz.
    pub hz: f64,
    /// Amplitudes of the sine in dBFS, ascending, -60 to 0.
    pub input_dbfs: Vec<f64>,
    /// For each order, 1 (the fundamental) to 7, its level for each amplitude, in dB of a sine of amplitude 1; `None` if the
    /// harmonic is above 20 kHz.
    pub orders: Vec<Vec<Option<f64>>>,
    /// Total harmonic distortion for each amplitude, in percent, as [`super::thd`] defines it.
    pub thd_percent: Vec<f64>,
    /// Total harmonic distortion and noise for each amplitude, in percent, as [`super::thd_noise`] defines it.
    pub thd_noise_percent: Vec<f64>,
    /// Aliasing for each amplitude, in dB, as [`super::aliasing`] defines it.
    pub aliasing_db: Vec<f64>,
}

/// Measures the harmonics against frequency with a synchronised sweep, in which the response of each order stands apart (Novak,
/// Lotton and Simon, "Synchronized Swept-Sine: Theory, Application, and Implementation", JAES 63(10), 2015). `level_dbfs` is
/// the amplitude of the sweep. The aliases of an effect that has some disturb its curves a little. [control thread: allocates]
///
/// # Errors
/// If the effect cannot be prepared for this sample rate.
pub fn harmonic_sweep(effect: &Effect, sample_rate: u32, level_dbfs: f64) -> Result<HarmonicSweep, MeasureError> {
    check_rate(sample_rate)?;
    let sweep = Sweep::new(sample_rate);
    let amplitude = db_to_gain(level_dbfs);
    let dry: Vec<f32> = sweep.samples().map(|x| (amplitude * x) as f32).collect();
    let wet = render(effect, &Audio::from_mono(sample_rate, &dry)?)?;
    let wide: Vec<f64> = wet.channel(0).iter().map(|y| f64::from(*y)).collect();
    let response = sweep.deconvolve(&wide);
    let highest = sweep.highest_hz();
    let hz: Vec<f64> =
        (0..).map(|index| AUDIBLE_HZ.0 * (f64::from(index) / POINTS_PER_OCTAVE).exp2()).take_while(|hz| *hz <= highest).collect();
    let orders: Vec<Vec<Option<f64>>> = (1..=ORDERS)
        .map(|order| {
            let (start, part) = sweep.window(&response, order);
            let level = |hz: &f64| {
                let harmonic_hz = hz * order as f64;
                (harmonic_hz <= highest).then(|| f64::from(decibels(sweep.magnitude_squared(start, &part, harmonic_hz))))
            };
            hz.iter().map(level).collect()
        })
        .collect();
    let thd_percent = (0..hz.len())
        .map(|point| {
            let power = |order: &Vec<Option<f64>>| order[point].map(|db| 10f64.powf(db / 10.0));
            let harmonics: Vec<f64> = orders[1..].iter().filter_map(power).collect();
            let fundamental = orders[0][point].filter(|db| *db > SILENT_FUNDAMENTAL_DB).map(|db| 10f64.powf(db / 10.0))?;
            (!harmonics.is_empty()).then(|| 100.0 * (harmonics.iter().sum::<f64>() / fundamental).sqrt())
        })
        .collect();
    Ok(HarmonicSweep { level_dbfs, hz, orders, thd_percent })
}

/// Measures harmonics, distortion and aliasing against level with steady sines near `hz`. [control thread: allocates]
///
/// # Errors
/// If the effect cannot be prepared for this sample rate, or the sine would be above 0.45 of it.
pub fn harmonics_over_level(effect: &Effect, sample_rate: u32, hz: f64) -> Result<HarmonicsOverLevel, MeasureError> {
    let levels = (LOWEST_LEVEL_DBFS..=0).step_by(LEVEL_STEP_DB).map(f64::from);
    let figures = levels.map(|level| ToneFigures::measure(effect, sample_rate, hz, level)).collect::<Result<Vec<_>, _>>()?;
    let all = |figure: fn(&ToneFigures) -> f64| figures.iter().map(figure).collect();
    Ok(HarmonicsOverLevel {
        hz: figures.first().map_or(hz, |figures| figures.hz),
        input_dbfs: all(|figures| figures.level_dbfs),
        orders: (0..ORDERS).map(|order| figures.iter().map(|figures| figures.orders_db[order]).collect()).collect(),
        thd_percent: all(|figures| figures.thd_percent),
        thd_noise_percent: all(|figures| figures.thd_noise_percent),
        aliasing_db: all(|figures| figures.aliasing_db),
    })
}

/// A synchronised sweep, sin(2 pi f1 L e^(t / L)) with a whole number f1 L: harmonic n is the sweep itself, L ln n earlier.
struct Sweep {
    sample_rate: f64,
    /// L in seconds: the time in which the frequency grows e times.
    rate_seconds: f64,
    /// The last frequency in hertz.
    to_hz: f64,
    /// Frames of the sweep and the silence after it.
    frames: usize,
}

impl Sweep {
    fn new(sample_rate: u32) -> Self {
        let sample_rate = f64::from(sample_rate);
        let to_hz = SWEEP_TO_HZ.min(SWEEP_TO_SHARE * sample_rate);
        // The sweep with f1 L = 1 is the shortest that is synchronised.
        let shortest_seconds = (to_hz / SWEEP_FROM_HZ).ln() / SWEEP_FROM_HZ;
        let least_seconds = SWEEP_SECONDS.max(shortest_seconds / SWEEP_SHARE);
        let frames = ((least_seconds * sample_rate).ceil() as usize).next_power_of_two();
        let seconds = SWEEP_SHARE * frames as f64 / sample_rate;
        let rate_seconds = (SWEEP_FROM_HZ * seconds / (to_hz / SWEEP_FROM_HZ).ln()).floor() / SWEEP_FROM_HZ;
        Self { sample_rate, rate_seconds, to_hz, frames }
    }

    /// The highest frequency in hertz of which a level is told.
    fn highest_hz(&self) -> f64 {
        AUDIBLE_HZ.1.min(FADE_OUT_SHARE * self.to_hz)
    }

    /// The sweep at amplitude 1, faded in and out, and silence up to the last frame.
    fn samples(&self) -> impl Iterator<Item = f64> {
        let Self { sample_rate, rate_seconds, to_hz, frames } = *self;
        let rise = |position: f64| 0.5 - 0.5 * (PI * position.clamp(0.0, 1.0)).cos();
        (0..frames).map(move |frame| {
            let hz = SWEEP_FROM_HZ * (frame as f64 / sample_rate / rate_seconds).exp();
            let fade_in = rise((hz / SWEEP_FROM_HZ).ln() / FADE_IN_RATIO.ln());
            let fade_out = rise((to_hz / hz).ln() / -FADE_OUT_SHARE.ln());
            if hz < to_hz { fade_in * fade_out * (TAU * (hz * rate_seconds).fract()).sin() } else { 0.0 }
        })
    }

    /// The response with the sweep divided out: that of order n stands L ln n before frame 0, counted round.
    fn deconvolve(&self, wet: &[f64]) -> Vec<f64> {
        let length = self.rate_seconds;
        let mut bins = transform(wet);
        for (k, bin) in bins.iter_mut().enumerate() {
            let hz = k as f64 * self.sample_rate / self.frames as f64;
            // The spectrum of the inverse filter, as the paper has it; below the sweep nothing is known.
            *bin = if hz >= SWEEP_FROM_HZ {
                let phase = -TAU * hz * length * (1.0 - (hz / SWEEP_FROM_HZ).ln()) + FRAC_PI_4;
                *bin * Complex::from_polar(2.0 * (hz / length).sqrt() / self.sample_rate, phase)
            } else {
                Complex::ZERO
            };
        }
        inverse_transform(bins)
    }

    /// The response of an order, windowed, with the frame of its first sample relative to the place of the order's response at
    /// frame -L ln n.
    fn window(&self, response: &[f64], order: usize) -> (f64, Vec<f64>) {
        let place = |order: usize| self.rate_seconds * (order as f64).ln() * self.sample_rate;
        let to_next = place(order + 1) - place(order);
        // No order stands after the linear response: what is much later are aliases.
        let to_last = place(order.max(2)) - place(order.max(2) - 1);
        let (before, after) = (PRE_SHARE * to_next, (1.0 - PRE_SHARE) * to_last);
        let centre = -place(order);
        let first = (centre - before).ceil();
        let count = (centre + after - first) as usize;
        let rise = |position: f64| 0.5 - 0.5 * (PI * position.clamp(0.0, 1.0)).cos();
        let part = (0..count).map(|i| {
            let at = first + i as f64;
            let frame = (at as i64).rem_euclid(self.frames as i64) as usize;
            let weight =
                rise((before + at - centre) / (EDGE_SHARE * before)) * rise((after - at + centre) / (EDGE_SHARE * after));
            response[frame] * weight
        });
        (first - centre, part.collect())
    }

    /// The squared magnitude of a windowed response at a frequency.
    fn magnitude_squared(&self, start: f64, part: &[f64], hz: f64) -> f64 {
        let step = Complex::from_polar(1.0, -TAU * hz / self.sample_rate);
        let mut turn = Complex::from_polar(1.0, -TAU * hz / self.sample_rate * start);
        let mut sum = Complex::ZERO;
        for x in part {
            sum += turn * x;
            turn *= step;
        }
        sum.norm_sqr()
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_effects::{RATE, delay, effect, harmonic, shaper};
    use super::*;

    /// Checks the levels of all orders of a function without memory against their Fourier coefficients. `highest` is the order
    /// of its highest harmonic: where that is above half the sample rate, an alias is in the way.
    fn check_sweep(function: fn(f64) -> f64, level_dbfs: f64, highest: f64) {
        let found = harmonic_sweep(&shaper(function), RATE, level_dbfs).unwrap();
        assert!(found.orders.len() == ORDERS && found.hz.len() > 100 && found.hz[0] == 20.0);
        assert!(found.hz.last().is_some_and(|hz| *hz > 18_000.0));
        let exact: Vec<f64> = (1..=ORDERS).map(|order| harmonic(function, db_to_gain(level_dbfs), order)).collect();
        for (order, levels) in found.orders.iter().enumerate() {
            for (hz, db) in found.hz.iter().zip(levels) {
                assert_eq!(db.is_some(), hz * (order + 1) as f64 <= 20_000.0);
                let Some(db) = db.filter(|_| hz * highest < 0.5 * f64::from(RATE)) else { continue };
                let expected = 20.0 * exact[order].log10();
                // Of what is not there little is found.
                let is_right = if expected < -110.0 { db < -70.0 } else { (db - expected).abs() < 0.1 };
                assert!(is_right, "order {} at {hz} Hz: {db} dB; expected {expected} dB", order + 1);
            }
        }
        let thd = 100.0 * exact[1..].iter().map(|v| v * v).sum::<f64>().sqrt() / exact[0];
        let at_1_khz = found.hz.iter().position(|hz| *hz >= 1000.0).unwrap();
        assert!((found.thd_percent[at_1_khz].unwrap() / thd - 1.0).abs() < 0.01, "{:?}; expected {thd}", found.thd_percent);
        assert_eq!(found.thd_percent.last(), Some(&None));
    }

    #[test]
    fn a_sweep_separates_the_harmonics_of_a_polynomial() {
        check_sweep(|x| x + 0.2 * x * x + 0.1 * x.powi(3), -6.0, 3.0);
        check_sweep(|x| x + 0.05 * x.powi(7) - 0.1 * x.powi(6) + 0.1 * x.powi(5) + 0.2 * x.powi(4), 0.0, 7.0);
    }

    #[test]
    fn a_sweep_finds_the_harmonics_of_tanh_that_quadrature_gives() {
        // The harmonics above the ninth are below -90 dB.
        check_sweep(|x| (1.5 * x).tanh(), -3.0, 9.0);
    }

    #[test]
    fn a_sweep_through_a_late_filter_follows_the_filter_with_every_order() {
        const A: f64 = 0.3;
        let shaped_and_filtered = || {
            let (mut last, mut line) = (0.0, delay(40));
            move |x: f64| {
                last += A * (line(x + 0.5 * x * x) - last);
                last
            }
        };
        let found = harmonic_sweep(&effect(40, shaped_and_filtered), RATE, -6.0).unwrap();
        let gain = |hz: f64| {
            let turn = Complex::from_polar(1.0 - A, -TAU * hz / f64::from(RATE));
            20.0 * (A / (Complex::<f64>::ONE - turn).norm()).log10()
        };
        let amplitude = db_to_gain(-6.0);
        let exact = [20.0 * amplitude.log10(), 20.0 * (0.25 * amplitude * amplitude).log10()];
        for (order, exact) in exact.into_iter().enumerate() {
            for (hz, db) in found.hz.iter().zip(&found.orders[order]) {
                // Above 12 kHz the second harmonic has an alias.
                let Some(db) = db.filter(|_| *hz < 12_000.0) else { continue };
                let expected = exact + gain(hz * (order + 1) as f64);
                assert!((db - expected).abs() < 0.1, "order {} at {hz} Hz: {db} dB; expected {expected} dB", order + 1);
            }
        }
    }

    #[test]
    fn tones_at_each_level_have_the_harmonics_of_tanh_that_quadrature_gives() {
        let tanh = |x: f64| (2.0 * x).tanh();
        let found = harmonics_over_level(&shaper(|x| (2.0 * x).tanh()), RATE, 300.0).unwrap();
        assert_eq!((found.input_dbfs.first(), found.input_dbfs.last()), (Some(&-60.0), Some(&0.0)));
        for (index, level) in found.input_dbfs.iter().enumerate() {
            let exact: Vec<f64> = (1..=66).map(|order| harmonic(tanh, db_to_gain(*level), order)).collect();
            for order in [1, 3, 5, 7] {
                let (db, expected) = (found.orders[order - 1][index].unwrap(), 20.0 * exact[order - 1].log10());
                assert!((db - expected).abs() < 0.01 || expected < -130.0, "{level} dBFS, {order}: {db} dB; expected {expected}");
            }
            let thd = 100.0 * exact[1..].iter().map(|v| v * v).sum::<f64>().sqrt() / exact[0];
            assert!((found.thd_percent[index] - thd).abs() < 1e-3 * thd + 1e-4, "{level}: {}", found.thd_percent[index]);
        }
    }

    #[test]
    fn sweep_and_tones_agree_on_the_saturator() {
        let saturator = Effect::from_id("saturator").unwrap().with("drive", 12.0).with("bias", 0.2);
        let (sweep, tones) =
            (harmonic_sweep(&saturator, RATE, -12.0).unwrap(), harmonics_over_level(&saturator, RATE, 1000.0).unwrap());
        let near = |points: &[f64], at: f64| {
            (0..points.len()).min_by(|a, b| (points[*a] - at).abs().total_cmp(&(points[*b] - at).abs()))
        };
        let (hz, level) = (near(&sweep.hz, tones.hz).unwrap(), near(&tones.input_dbfs, -12.0).unwrap());
        for order in 0..ORDERS {
            let (a, b) = (sweep.orders[order][hz].unwrap(), tones.orders[order][level].unwrap());
            assert!((a - b).abs() < 0.2, "order {}: {a} dB by the sweep, {b} dB by a tone", order + 1);
        }
    }

    #[test]
    fn a_sine_above_the_sample_rates_room_is_an_error() {
        let text = harmonics_over_level(&shaper(|x| x), RATE, 22_000.0).unwrap_err().to_string();
        assert!(text.contains("22000 Hz") && text.contains("21600 Hz"), "{text}");
    }

    #[test]
    fn a_sweep_finds_the_harmonics_at_any_rate() {
        let function = |x: f64| x + 0.2 * x * x;
        for rate in [32_000, 44_100, 64_000, 96_000, 128_000] {
            let sweep = Sweep::new(rate);
            let wet: Vec<f64> = sweep.samples().map(|x| function(0.5 * x)).collect();
            let response = sweep.deconvolve(&wet);
            for order in [1, 2] {
                let (start, part) = sweep.window(&response, order);
                let expected = 20.0 * harmonic(function, 0.5, order).log10();
                // Above a quarter of the rate the second harmonic has an alias.
                for hz in [40.0, 200.0, 1000.0, 5000.0] {
                    let db = decibels(sweep.magnitude_squared(start, &part, hz * order as f64));
                    assert!((f64::from(db) - expected).abs() < 0.1, "{rate} Hz, order {order}, {hz} Hz: {db} dB; {expected}");
                }
            }
        }
    }

    #[test]
    fn a_muted_effect_has_no_distortion_to_tell() {
        let found = harmonic_sweep(&shaper(|_| 0.0), RATE, 0.0).unwrap();
        assert!(found.thd_percent.iter().all(Option::is_none), "{:?}", found.thd_percent);
    }
}
