//! Figures of a pure tone through an effect. The tone must lie on a bin's centre: `samples` hold whole periods.

use super::MeasureError;
use super::transform::{decibels, powers};
use crate::audio::Audio;
use crate::effect::Effect;
use crate::render::render;

/// The band of hearing, in hertz.
const HEARING_HZ: (f64, f64) = (20.0, 20_000.0);

/// A length that is prime, so that no harmonic and no alias of a tone on a bin's centre share a bin: 341 ms at 48 kHz.
pub const PRIME_FRAMES: usize = 16_381;

/// Time for an effect to come to rest before it is measured: 30 time constants of a 10 Hz high-pass.
const SETTLE_SECONDS: f32 = 0.5;

/// A sine of `frames` frames that holds a whole number of periods, next to `near_hz`, and its exact frequency in hertz.
/// [analysis thread: allocates]
#[must_use]
pub fn coherent_tone(sample_rate: f32, near_hz: f32, amplitude: f32, frames: usize) -> (Vec<f32>, f32) {
    let periods = bin(frames, sample_rate, near_hz);
    let at = |i: usize| (i * periods % frames) as f64 / frames as f64;
    let tone = (0..frames).map(|i| (f64::from(amplitude) * (std::f64::consts::TAU * at(i)).sin()) as f32).collect();
    (tone, (periods as f64 * f64::from(sample_rate) / frames as f64) as f32)
}

/// What an effect makes of a steady tone next to `near_hz`, after it has settled: [`PRIME_FRAMES`] frames, and the tone's exact
/// frequency in hertz. [analysis thread: allocates]
///
/// # Errors
/// If the effect cannot be prepared for this sample rate.
pub fn tone_response(effect: &Effect, sample_rate: u32, near_hz: f32, amplitude: f32) -> Result<(Vec<f32>, f32), MeasureError> {
    let (tone, hz) = coherent_tone(sample_rate as f32, near_hz, amplitude, PRIME_FRAMES);
    let settle = (SETTLE_SECONDS * sample_rate as f32) as usize;
    // The end is flushed with silence behind it, which a filter that looks ahead would see: one more time is cut off.
    let times = settle.div_ceil(PRIME_FRAMES) + 2;
    let wet = render(effect, &Audio::from_mono(sample_rate, &tone.repeat(times))?)?;
    let last = wet.frames() - 2 * PRIME_FRAMES..wet.frames() - PRIME_FRAMES;
    Ok((wet.channel(0)[last].to_vec(), hz))
}

/// The bin whose centre is nearest to `hz`, at least 1.
fn bin(frames: usize, sample_rate: f32, hz: f32) -> usize {
    ((f64::from(hz) * frames as f64 / f64::from(sample_rate)).round() as usize).max(1)
}

/// Powers of the bins from DC up to 20 kHz, and the bin of the fundamental.
fn heard(samples: &[f32], sample_rate: f32, fundamental_hz: f32) -> (Vec<f64>, usize) {
    let wide: Vec<f64> = samples.iter().map(|x| f64::from(*x)).collect();
    let mut powers = powers(&wide);
    let top = (HEARING_HZ.1 * samples.len() as f64 / f64::from(sample_rate)) as usize;
    powers.truncate(top + 1);
    (powers, bin(samples.len(), sample_rate, fundamental_hz))
}

/// Total harmonic distortion as a ratio (0.01 is 1 %): sqrt(sum of V_h², h from 2 up to 20 kHz) / V_1 (IEC 60268-3). `samples`
/// hold whole periods. 0 without a fundamental. [analysis thread: allocates]
#[must_use]
pub fn thd(samples: &[f32], sample_rate: f32, fundamental_hz: f32) -> f32 {
    let (powers, first) = heard(samples, sample_rate, fundamental_hz);
    let fundamental = powers.get(first).copied().unwrap_or(0.0);
    if fundamental == 0.0 {
        return 0.0;
    }
    let harmonics: f64 = powers.iter().skip(2 * first).step_by(first).sum();
    (harmonics / fundamental).sqrt() as f32
}

/// Total harmonic distortion and noise as a ratio: sqrt(total² - V_1²) / total, 20 Hz to 20 kHz (AES17). `samples` hold whole
/// periods. 0 for silence. [analysis thread: allocates]
#[must_use]
pub fn thd_noise(samples: &[f32], sample_rate: f32, fundamental_hz: f32) -> f32 {
    let (powers, first) = heard(samples, sample_rate, fundamental_hz);
    let bottom = (HEARING_HZ.0 * samples.len() as f64 / f64::from(sample_rate)).ceil() as usize;
    let total: f64 = powers.iter().skip(bottom).sum();
    if total == 0.0 {
        return 0.0;
    }
    // Summed without the fundamental rather than subtracted: no cancellation.
    let rest: f64 = powers.iter().enumerate().skip(bottom).filter(|(bin, _)| *bin != first).map(|(_, power)| power).sum();
    (rest / total).sqrt() as f32
}

/// Aliasing to signal in dB: energy of all that is no harmonic over the energy of the harmonics, above 0 Hz up to 20 kHz. Offset
/// counts as neither. The length must be prime ([`PRIME_FRAMES`]), the tone on a bin's centre ([`coherent_tone`]).
/// [analysis thread: allocates]
///
/// # Panics
/// If the number of samples is not prime: harmonics and aliases would share bins.
#[must_use]
pub fn aliasing(samples: &[f32], sample_rate: f32, fundamental_hz: f32) -> f32 {
    assert!(is_prime(samples.len()), "{} samples; expected a prime number of them", samples.len());
    let (powers, first) = heard(samples, sample_rate, fundamental_hz);
    let (mut harmonics, mut others) = (0.0, 0.0);
    for (bin, power) in powers.iter().enumerate().skip(1) {
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

    fn shaped(near_hz: f32, shape: impl Fn(f64) -> f64) -> (Vec<f32>, f32) {
        let (tone, hz) = coherent_tone(RATE, near_hz, 1.0, PRIME_FRAMES);
        (tone.iter().map(|x| shape(f64::from(*x)) as f32).collect(), hz)
    }

    #[test]
    fn distortion_of_known_harmonics_is_what_was_put_in() {
        // Chebyshev: 2x² - 1 is the second harmonic, 4x³ - 3x the third (of cosines; the power is the same for sines).
        let (y, hz) = shaped(1000.0, |x| x + 0.03 * (2.0 * x * x - 1.0) + 0.04 * (4.0 * x * x * x - 3.0 * x));
        assert!((thd(&y, RATE, hz) - 0.05).abs() < 1e-5, "{}", thd(&y, RATE, hz));
        assert!((thd_noise(&y, RATE, hz) - 0.05 / 1.0025f32.sqrt()).abs() < 1e-5);
        let (y, hz) = shaped(1000.0, |x| x);
        assert!(thd(&y, RATE, hz) < 1e-6 && thd_noise(&y, RATE, hz) < 1e-6);
        assert_eq!((thd(&[0.0; 97], RATE, 1000.0), thd_noise(&[0.0; 97], RATE, 1000.0)), (0.0, 0.0));
    }

    #[test]
    fn aliasing_of_a_plain_tanh_is_that_of_the_literature() {
        for (near_hz, drive_db, expected) in [(1244.0, 24.0f64, -30.0f32), (5000.0, 24.0, -14.0), (5000.0, 12.0, -25.0)] {
            let k = 10f64.powf(drive_db / 20.0);
            let (y, hz) = shaped(near_hz, |x| (k * x).tanh());
            let found = aliasing(&y, RATE, hz);
            assert!((found - expected).abs() < 1.5, "{near_hz} Hz, {drive_db} dB: {found}");
        }
        let (y, hz) = shaped(5000.0, |x| x);
        assert!(aliasing(&y, RATE, hz) < -130.0);
    }

    #[test]
    #[should_panic(expected = "expected a prime number")]
    fn aliasing_refuses_a_length_at_which_aliases_hide() {
        let _ = aliasing(&[0.0; 100], RATE, 480.0);
    }
}
