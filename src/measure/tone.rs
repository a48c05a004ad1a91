//! Distortion and aliasing of a sine through an effect. The sine must lie on the centre of a bin of the Fourier transform: its
//! samples hold whole periods.

use serde::Serialize;

use super::harmonics::ORDERS;
use super::spectrum::{bin_powers, decibels};
use super::{MeasureError, check_rate};
use crate::audio::{Audio, db_to_gain};
use crate::effect::Effect;
use crate::render::Renderer;

/// The band of hearing, in hertz.
pub(super) const AUDIBLE_HZ: (f64, f64) = (20.0, 20_000.0);
/// The highest tone of which figures are told, as a share of the sample rate.
const HIGHEST_SHARE: f64 = 0.45;

/// A prime number of frames: at this length no alias of a tone on a bin's centre falls on the bin of a harmonic. 341 ms at 48
/// kHz.
pub const PRIME_FRAMES: usize = 16_381;

/// Seconds for which the tone plays before an effect's output is measured: 30 time constants of a 10 Hz high-pass.
const SETTLE_SECONDS: f32 = 0.5;

/// A sine, or the output of an effect for one.
#[derive(Clone, Debug, PartialEq)]
pub struct Tone {
    /// Mono samples that hold whole periods.
    pub samples: Vec<f32>,
    /// In hertz.
    pub sample_rate: f32,
    /// The sine's exact frequency in hertz.
    pub hz: f32,
}

/// The figures of an effect's output for a steady sine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ToneFigures {
    /// Exact frequency of the sine in hertz.
    pub hz: f64,
    /// Amplitude of the sine in dBFS.
    pub level_dbfs: f64,
    /// Level of each harmonic from 1 (the fundamental) to 7, in dB of a sine of amplitude 1; `None` above 20 kHz or half the
    /// sample rate.
    pub orders_db: Vec<Option<f64>>,
    /// [`thd`] in percent.
    pub thd_percent: f64,
    /// [`thd_noise`] in percent.
    pub thd_noise_percent: f64,
    /// [`aliasing`] in dB.
    pub aliasing_db: f64,
}

impl ToneFigures {
    /// Measures the figures of an effect for a sine near `near_hz` with the amplitude `level_dbfs`. [control thread: allocates]
    ///
    /// # Errors
    /// If the effect cannot be prepared for this sample rate, or the sine would be above 0.45 of it.
    pub fn measure(effect: &Effect, sample_rate: u32, near_hz: f64, level_dbfs: f64) -> Result<Self, MeasureError> {
        check_rate(sample_rate)?;
        let highest_hz = highest_tone_hz(sample_rate);
        if !(near_hz > 0.0 && near_hz <= highest_hz) {
            return Err(MeasureError::Frequency { found_hz: near_hz, highest_hz });
        }
        let tone = tone_response(effect, sample_rate, near_hz as f32, db_to_gain(level_dbfs) as f32)?;
        let (powers, first) = audible_bins(&tone);
        // A sine of amplitude 1 has power ½.
        let orders_db = (1..=ORDERS).map(|order| powers.get(order * first).map(|power| decibels(2.0 * power).into()));
        Ok(Self {
            hz: bin_hz(tone.samples.len(), tone.sample_rate, tone.hz),
            level_dbfs,
            orders_db: orders_db.collect(),
            thd_percent: 100.0 * thd_of(&powers, first),
            thd_noise_percent: 100.0 * thd_noise_of(&powers, first, &tone),
            aliasing_db: aliasing_of(&powers, first, bottom_bin(tone.samples.len(), tone.sample_rate)).into(),
        })
    }
}

/// A sine of `frames` frames with the frequency nearest to `near_hz` that gives whole periods. [control thread: allocates]
#[must_use]
pub fn coherent_tone(sample_rate: f32, near_hz: f32, amplitude: f32, frames: usize) -> Tone {
    let periods = bin(frames, sample_rate, near_hz);
    let at = |i: usize| (i * periods % frames) as f64 / frames as f64;
    let samples = (0..frames).map(|i| (f64::from(amplitude) * (std::f64::consts::TAU * at(i)).sin()) as f32).collect();
    Tone { samples, sample_rate, hz: (periods as f64 * f64::from(sample_rate) / frames as f64) as f32 }
}

/// The output of an effect for a steady sine near `near_hz`, after it has settled: [`PRIME_FRAMES`] frames. `amplitude` is that
/// of the sine at the input. [control thread: allocates]
///
/// # Errors
/// If the effect cannot be prepared for this sample rate.
pub fn tone_response(effect: &Effect, sample_rate: u32, near_hz: f32, amplitude: f32) -> Result<Tone, MeasureError> {
    let mut tones = tone_responses(effect, sample_rate, &[near_hz], amplitude, || true)?;
    Ok(tones.pop().expect("a tone for each frequency"))
}

/// The outputs of an effect whose channels are independent for one sine each, all rendered at once, as [`tone_response`]. Before
/// each block `watch` returns false to cancel.
pub(super) fn tone_responses(
    effect: &Effect,
    sample_rate: u32,
    near_hz: &[f32],
    amplitude: f32,
    watch: impl Fn() -> bool,
) -> Result<Vec<Tone>, MeasureError> {
    let tones: Vec<Tone> = near_hz.iter().map(|hz| coherent_tone(sample_rate as f32, *hz, amplitude, PRIME_FRAMES)).collect();
    let settle = (SETTLE_SECONDS * sample_rate as f32) as usize;
    // The last repetition is dropped, too: there, a filter with latency already sees the silence after the end.
    let times = settle.div_ceil(PRIME_FRAMES) + 2;
    let dry: Vec<Vec<f32>> = tones.iter().map(|tone| tone.samples.repeat(times)).collect();
    let dry = Audio::from_channels(sample_rate, &dry.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
    let wet = Renderer::for_sound(effect, &dry)?.render(&dry, |_| watch())?;
    let last = wet.frames() - 2 * PRIME_FRAMES..wet.frames() - PRIME_FRAMES;
    let outputs = tones.into_iter().zip(wet.iter());
    Ok(outputs.map(|(tone, wet)| Tone { samples: wet[last.clone()].to_vec(), ..tone }).collect())
}

/// Frequency in hertz of the centre of the bin that is nearest to `hz`.
pub(super) fn bin_hz(frames: usize, sample_rate: f32, hz: f32) -> f64 {
    bin(frames, sample_rate, hz) as f64 * f64::from(sample_rate) / frames as f64
}

/// The bin whose centre is nearest to `hz`, at least 1.
fn bin(frames: usize, sample_rate: f32, hz: f32) -> usize {
    ((f64::from(hz) * frames as f64 / f64::from(sample_rate)).round() as usize).max(1)
}

/// The highest frequency of a tone of which figures are told, in hertz. [any thread]
#[must_use]
pub fn highest_tone_hz(sample_rate: u32) -> f64 {
    HIGHEST_SHARE * f64::from(sample_rate)
}

/// The first bin from 20 Hz on.
fn bottom_bin(frames: usize, sample_rate: f32) -> usize {
    (AUDIBLE_HZ.0 * frames as f64 / f64::from(sample_rate)).ceil() as usize
}

/// Powers of the bins from DC up to 20 kHz, and the index of the fundamental's bin.
fn audible_bins(tone: &Tone) -> (Vec<f64>, usize) {
    let Tone { samples, sample_rate, hz } = tone;
    let wide: Vec<f64> = samples.iter().map(|x| f64::from(*x)).collect();
    let mut powers = bin_powers(&wide);
    let top = (AUDIBLE_HZ.1 * samples.len() as f64 / f64::from(*sample_rate)) as usize;
    powers.truncate(top + 1);
    (powers, bin(samples.len(), *sample_rate, *hz))
}

/// Total harmonic distortion as a ratio (0.01 is 1 %): sqrt(sum of V_h², h from 2 up to 20 kHz) / V_1 (IEC 60268-3). 0 without
/// a fundamental. [control thread: allocates]
#[must_use]
pub fn thd(tone: &Tone) -> f32 {
    let (powers, first) = audible_bins(tone);
    thd_of(&powers, first) as f32
}

fn thd_of(powers: &[f64], first: usize) -> f64 {
    let fundamental = powers.get(first).copied().unwrap_or(0.0);
    if fundamental == 0.0 {
        return 0.0;
    }
    let harmonics: f64 = powers.iter().skip(2 * first).step_by(first).sum();
    (harmonics / fundamental).sqrt()
}

/// Total harmonic distortion and noise as a ratio: sqrt(total² - V_1²) / total, 20 Hz to 20 kHz (AES17). 0 for silence.
/// [control thread: allocates]
#[must_use]
pub fn thd_noise(tone: &Tone) -> f32 {
    let (powers, first) = audible_bins(tone);
    thd_noise_of(&powers, first, tone) as f32
}

fn thd_noise_of(powers: &[f64], first: usize, tone: &Tone) -> f64 {
    let bottom = bottom_bin(tone.samples.len(), tone.sample_rate);
    let total: f64 = powers.iter().skip(bottom).sum();
    if total == 0.0 {
        return 0.0;
    }
    // The rest is summed, as subtracting the fundamental from the total would cancel digits.
    let rest: f64 = powers.iter().enumerate().skip(bottom).filter(|(bin, _)| *bin != first).map(|(_, power)| power).sum();
    (rest / total).sqrt()
}

/// Aliasing to signal in dB: energy of all components but the harmonics over the energy of the harmonics, from 20 Hz to
/// 20 kHz. The length must be prime ([`PRIME_FRAMES`]), the tone on a bin's centre ([`coherent_tone`]).
/// [control thread: allocates]
///
/// # Panics
/// If the number of samples is not prime: harmonics and aliases would share bins.
#[must_use]
pub fn aliasing(tone: &Tone) -> f32 {
    let count = tone.samples.len();
    assert!(is_prime(count), "{count} samples; expected a prime number of them");
    let (powers, first) = audible_bins(tone);
    aliasing_of(&powers, first, bottom_bin(count, tone.sample_rate))
}

/// [`aliasing`] of a tone of [`PRIME_FRAMES`] frames; `None` if none of its harmonics, from 20 Hz to 20 kHz, is there.
pub(super) fn audible_aliasing(tone: &Tone) -> Option<f64> {
    let (powers, first) = audible_bins(tone);
    let has_harmonics = powers.iter().skip(first).step_by(first).any(|power| *power > 0.0);
    has_harmonics.then(|| aliasing_of(&powers, first, bottom_bin(tone.samples.len(), tone.sample_rate)).into())
}

fn aliasing_of(powers: &[f64], first: usize, bottom: usize) -> f32 {
    let (mut harmonics, mut others) = (0.0, 0.0);
    for (bin, power) in powers.iter().enumerate().skip(bottom) {
        *(if bin % first == 0 { &mut harmonics } else { &mut others }) += power;
    }
    decibels(others / f64::max(harmonics, f64::MIN_POSITIVE))
}

fn is_prime(n: usize) -> bool {
    n >= 2 && (2..).take_while(|k| k * k <= n).all(|k| !n.is_multiple_of(k))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: f32 = 48_000.0;

    fn shaped(near_hz: f32, shape: impl Fn(f64) -> f64) -> Tone {
        let tone = coherent_tone(RATE, near_hz, 1.0, PRIME_FRAMES);
        Tone { samples: tone.samples.iter().map(|x| shape(f64::from(*x)) as f32).collect(), ..tone }
    }

    #[test]
    fn distortion_of_known_harmonics_is_measured_exactly() {
        // Chebyshev: 2x² - 1 is the second harmonic, 4x³ - 3x the third (of cosines; the power is the same for sines).
        let y = shaped(1000.0, |x| x + 0.03 * (2.0 * x * x - 1.0) + 0.04 * (4.0 * x * x * x - 3.0 * x));
        assert!((thd(&y) - 0.05).abs() < 1e-5, "{}", thd(&y));
        assert!((thd_noise(&y) - 0.05 / 1.0025f32.sqrt()).abs() < 1e-5);
        let y = shaped(1000.0, |x| x);
        assert!(thd(&y) < 1e-6 && thd_noise(&y) < 1e-6);
        let silence = Tone { samples: vec![0.0; 97], sample_rate: RATE, hz: 1000.0 };
        assert_eq!((thd(&silence), thd_noise(&silence)), (0.0, 0.0));
    }

    #[test]
    fn aliasing_of_a_plain_tanh_is_as_published() {
        for (near_hz, drive_db, expected) in [(1244.0, 24.0f64, -30.0f32), (5000.0, 24.0, -14.0), (5000.0, 12.0, -25.0)] {
            let k = 10f64.powf(drive_db / 20.0);
            let y = shaped(near_hz, |x| (k * x).tanh());
            let found = aliasing(&y);
            assert!((found - expected).abs() < 1.5, "{near_hz} Hz, {drive_db} dB: {found}");
        }
        let y = shaped(5000.0, |x| x);
        assert!(aliasing(&y) < -130.0);
    }

    #[test]
    fn an_alias_that_nobody_hears_is_not_counted() {
        // The second harmonic of a third of the rate folds beside the tone, the third one beside 0 Hz.
        let hz = RATE / 3.0 - 1.0;
        let low = coherent_tone(RATE, 12.0, 0.5, PRIME_FRAMES);
        let mut y = shaped(hz, |x| x);
        y.samples.iter_mut().zip(&low.samples).for_each(|(x, low)| *x += low);
        assert!(aliasing(&y) < -130.0, "{}", aliasing(&y));
        let heard = coherent_tone(RATE, 24.0, 0.5, PRIME_FRAMES);
        y.samples.iter_mut().zip(&heard.samples).for_each(|(x, heard)| *x += heard);
        assert!((aliasing(&y) + 6.02).abs() < 0.01, "{}", aliasing(&y));
    }

    #[test]
    #[should_panic(expected = "expected a prime number")]
    fn aliasing_refuses_a_length_that_is_not_prime() {
        let _ = aliasing(&Tone { samples: vec![0.0; 100], sample_rate: RATE, hz: 480.0 });
    }
}
