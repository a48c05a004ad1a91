//! Test signals and music. All are `f32`, deterministic, and made at once: [control thread].
//!
//! Test signals have one channel; [`Audio::repeat_channels`] makes more of it. Amplitudes are linear, 1 is full scale.
//! What is random takes a seed, and the same seed gives the same samples.
//!
//! Square, saw and triangle are *additive*: the sum of their harmonics below half the sample rate, each with the amplitude of
//! the Fourier series, and nothing else. They therefore have no aliasing at all (a corrected naive wave, as PolyBLEP,
//! still has some), which an instrument that measures aliasing needs. The price is ringing at the edges (Gibbs):
//! the peak of a square or a saw is up to 18 % above `amplitude`, which is that of the ideal wave. Waves below
//! 1/20000 of the sample rate stop at their harmonic 10000.

mod drums;
mod filter;
mod guitar;

pub use drums::drums;
pub use guitar::guitar;

use super::{Audio, AudioError, Random, Sample as _};
use filter::Pinking;
use std::f64::consts::{PI, TAU};

/// Lowest sample rate in Hz of [`guitar`] and [`drums`]: below, their notes would not fit under half of it.
const LOWEST_MUSIC_RATE_HZ: u32 = 8_000;
/// Tempo of [`guitar`] and [`drums`], which fit together.
const BEATS_PER_MINUTE: f64 = 100.0;
/// Length of [`guitar`] and [`drums`]: three bars of four beats, and a tail.
const MUSIC_SECONDS: f64 = 8.0;
/// Peak of [`guitar`] and [`drums`] in dB of full scale.
const MUSIC_PEAK_DB: f64 = -3.0;
/// Harmonics after which a wave is left as it is: all there are for 2.4 Hz and more at 48 kHz.
const MOST_HARMONICS: usize = 10_000;
/// Frames after which a rotating phasor is computed anew, so that its error stays below 10^-12.
const PHASOR_FRAMES: usize = 1_024;

fn parameter(name: &'static str, found: f64, low: f64, high: f64) -> Result<f64, AudioError> {
    if (low..=high).contains(&found) { Ok(found) } else { Err(AudioError::Parameter { name, low, high, found }) }
}

fn rate(sample_rate: u32) -> Result<f64, AudioError> {
    if sample_rate == 0 { Err(AudioError::ZeroRate) } else { Ok(f64::from(sample_rate)) }
}

/// Highest amplitude: what leaves room for a sum of harmonics in `f32`.
const HIGHEST_AMPLITUDE: f64 = 1e6;

fn amplitude(found: f64) -> Result<f64, AudioError> {
    parameter("amplitude", found, 0.0, HIGHEST_AMPLITUDE)
}

/// A frequency above 0 and below half the sample rate.
fn frequency(name: &'static str, found_hz: f64, rate: f64) -> Result<f64, AudioError> {
    let limit_hz = rate / 2.0;
    if found_hz > 0.0 && found_hz < limit_hz {
        Ok(found_hz)
    } else {
        Err(AudioError::Frequency { name, limit: "below", limit_hz, found_hz })
    }
}

fn mono(sample_rate: u32, values: impl Iterator<Item = f64>) -> Result<Audio<f32>, AudioError> {
    Audio::from_planar(sample_rate, 1, values.map(f32::from_f64).collect())
}

/// Zeros: `channels` x `frames` at `sample_rate` Hz.
///
/// # Errors
/// [`AudioError::ZeroRate`], [`AudioError::NoChannels`].
pub fn silence(sample_rate: u32, channels: usize, frames: usize) -> Result<Audio<f32>, AudioError> {
    rate(sample_rate)?;
    if channels == 0 {
        return Err(AudioError::NoChannels);
    }
    Ok(Audio::silence(sample_rate, channels, frames))
}

/// One sample of height `amplitude` (of either sign) at frame `at`, zeros elsewhere.
///
/// # Errors
/// [`AudioError::OutOfRange`] if there is no frame `at`, [`AudioError::Parameter`], [`AudioError::ZeroRate`].
pub fn impulse(sample_rate: u32, amplitude: f64, at: usize, frames: usize) -> Result<Audio<f32>, AudioError> {
    parameter("amplitude", amplitude, -HIGHEST_AMPLITUDE, HIGHEST_AMPLITUDE)?;
    let mut audio = silence(sample_rate, 1, frames)?;
    match audio.channel_mut(0).get_mut(at) {
        Some(sample) => *sample = f32::from_f64(amplitude),
        None => {
            return Err(AudioError::OutOfRange { start: at, end: at.saturating_add(1), frames });
        }
    }
    Ok(audio)
}

/// `amplitude * sin(2 pi frequency_hz t)`, beginning at 0 and rising. `frequency_hz`: above 0, below half the sample
/// rate.
///
/// # Errors
/// [`AudioError::Frequency`], [`AudioError::Parameter`], [`AudioError::ZeroRate`].
pub fn sine(sample_rate: u32, frequency_hz: f64, amplitude: f64, frames: usize) -> Result<Audio<f32>, AudioError> {
    harmonics(sample_rate, frequency_hz, amplitude, frames, |k| if k == 1 { Some(1.0) } else { None })
}

/// A square wave, +`amplitude` in the first half of a period: odd harmonics, each 4 / (pi k).
///
/// Additive, see [the module](self). `frequency_hz`: above 0, below half the sample rate.
///
/// # Errors
/// [`AudioError::Frequency`], [`AudioError::Parameter`], [`AudioError::ZeroRate`].
pub fn square(sample_rate: u32, frequency_hz: f64, amplitude: f64, frames: usize) -> Result<Audio<f32>, AudioError> {
    harmonics(sample_rate, frequency_hz, amplitude, frames, |k| Some(if k % 2 == 1 { 4.0 / (PI * k as f64) } else { 0.0 }))
}

/// A saw wave that rises from 0 to +`amplitude`, jumps to -`amplitude` in the middle of the period and rises again:
/// all harmonics, each 2 / (pi k) with alternating sign.
///
/// Additive, see [the module](self). `frequency_hz`: above 0, below half the sample rate.
///
/// # Errors
/// [`AudioError::Frequency`], [`AudioError::Parameter`], [`AudioError::ZeroRate`].
pub fn saw(sample_rate: u32, frequency_hz: f64, amplitude: f64, frames: usize) -> Result<Audio<f32>, AudioError> {
    harmonics(sample_rate, frequency_hz, amplitude, frames, |k| {
        let sign = if k % 2 == 1 { 1.0 } else { -1.0 };
        Some(sign * 2.0 / (PI * k as f64))
    })
}

/// A triangle wave that rises from 0 to +`amplitude` in the first quarter of a period: odd harmonics, each
/// 8 / (pi k)^2 with alternating sign. Its peak never exceeds `amplitude`.
///
/// Additive, see [the module](self). `frequency_hz`: above 0, below half the sample rate.
///
/// # Errors
/// [`AudioError::Frequency`], [`AudioError::Parameter`], [`AudioError::ZeroRate`].
pub fn triangle(sample_rate: u32, frequency_hz: f64, amplitude: f64, frames: usize) -> Result<Audio<f32>, AudioError> {
    harmonics(sample_rate, frequency_hz, amplitude, frames, |k| {
        let sign = [0.0, 1.0, 0.0, -1.0][k % 4];
        Some(sign * 8.0 / (PI * k as f64).powi(2))
    })
}

/// Sines in phase at multiples `k` of `frequency_hz` below half the sample rate, with amplitudes `weight(k)`, up to the
/// first `k` for which there is none.
fn harmonics(
    sample_rate: u32,
    frequency_hz: f64,
    amplitude: f64,
    frames: usize,
    weight: impl Fn(usize) -> Option<f64>,
) -> Result<Audio<f32>, AudioError> {
    let rate = rate(sample_rate)?;
    let frequency_hz = frequency("frequency_hz", frequency_hz, rate)?;
    let amplitude = self::amplitude(amplitude)?;
    let mut sum = vec![0.0; frames];
    for k in (1..=MOST_HARMONICS).take_while(|&k| k as f64 * frequency_hz < rate / 2.0) {
        let Some(weight) = weight(k) else { break };
        if weight == 0.0 {
            continue;
        }
        let turns_per_frame = k as f64 * frequency_hz / rate;
        let (step_sin, step_cos) = (TAU * turns_per_frame).sin_cos();
        for (index, chunk) in sum.chunks_mut(PHASOR_FRAMES).enumerate() {
            let turns = (index * PHASOR_FRAMES) as f64 * turns_per_frame;
            let (mut sin, mut cos) = (TAU * turns.fract()).sin_cos();
            for value in chunk {
                *value += weight * sin;
                (sin, cos) = (sin * step_cos + cos * step_sin, cos * step_cos - sin * step_sin);
            }
        }
    }
    mono(sample_rate, sum.into_iter().map(|value| amplitude * value))
}

/// White noise: independent samples, evenly spread from -`amplitude` to +`amplitude`, so its RMS is `amplitude / sqrt 3`.
///
/// # Errors
/// [`AudioError::Parameter`], [`AudioError::ZeroRate`].
pub fn white(sample_rate: u32, amplitude: f64, frames: usize, seed: u64) -> Result<Audio<f32>, AudioError> {
    let amplitude = self::amplitude(amplitude)?;
    let mut random = Random::new(seed);
    mono(sample_rate, (0..frames).map(|_| amplitude * random.bipolar()))
}

/// Pink noise of an expected RMS `rms`: -3 dB per octave from 20 Hz to half the sample rate, level below 5 Hz.
///
/// White noise through poles and zeros that alternate every half octave; the slope keeps within 0.4 dB from 20 Hz to 0.45 of the
/// sample rate. The noise is stationary from its first frame on. Peaks come to about 4.5 times the RMS.
///
/// # Errors
/// [`AudioError::Parameter`], [`AudioError::ZeroRate`].
pub fn pink(sample_rate: u32, rms: f64, frames: usize, seed: u64) -> Result<Audio<f32>, AudioError> {
    let hz = rate(sample_rate)?;
    let rms = parameter("rms", rms, 0.0, HIGHEST_AMPLITUDE)?;
    // The lowest pole is at 5 Hz or above: after two seconds less than 10^-27 of it is left.
    let settled = 2 * sample_rate as usize;
    let mut response = Pinking::new(hz);
    let energy: f64 = (0..settled).map(|n| response.next(if n == 0 { 1.0 } else { 0.0 }).powi(2)).sum();
    // Evenly spread noise of +-1 has an RMS of 1 / sqrt 3.
    let gain = rms * (3.0 / energy).sqrt();
    let mut filter = Pinking::new(hz);
    let mut random = Random::new(seed);
    let noise = (0..settled + frames).map(|_| gain * filter.next(random.bipolar()));
    mono(sample_rate, noise.skip(settled))
}

/// A sine whose frequency goes from `from_hz` to `to_hz` over `frames` frames, by equal ratios in equal times
/// (A. Farina, "Simultaneous Measurement of Impulse Response and Distortion with a Swept-Sine Technique", AES 108
/// (2000)). Upwards or downwards; both frequencies above 0 and at most half the sample rate. Begins at 0, with no fade.
///
/// # Errors
/// [`AudioError::Frequency`], [`AudioError::Parameter`], [`AudioError::ZeroRate`].
pub fn sweep(sample_rate: u32, from_hz: f64, to_hz: f64, amplitude: f64, frames: usize) -> Result<Audio<f32>, AudioError> {
    let rate = rate(sample_rate)?;
    let half = rate / 2.0;
    for (name, found_hz) in [("from_hz", from_hz), ("to_hz", to_hz)] {
        if !(found_hz > 0.0 && found_hz <= half) {
            return Err(AudioError::Frequency { name, limit: "at most", limit_hz: half, found_hz });
        }
    }
    let amplitude = self::amplitude(amplitude)?;
    let seconds = frames as f64 / rate;
    let octaves = (to_hz / from_hz).ln();
    mono(
        sample_rate,
        (0..frames).map(|n| {
            let time = n as f64 / rate;
            // The integral of from_hz * exp(octaves * t / seconds); without a slope, of from_hz.
            let turns =
                if octaves == 0.0 { from_hz * time } else { from_hz * seconds / octaves * (octaves * time / seconds).exp_m1() };
            amplitude * (TAU * turns.fract()).sin()
        }),
    )
}

/// Checks what [`guitar`] and [`drums`] have in common; the sample rate as a float.
fn music(sample_rate: u32, channels: usize) -> Result<f64, AudioError> {
    /// Above any converter's.
    const HIGHEST_RATE_HZ: f64 = 1_536_000.0;
    parameter("channels", channels as f64, 1.0, 2.0)?;
    parameter("sample_rate", f64::from(sample_rate), f64::from(LOWEST_MUSIC_RATE_HZ), HIGHEST_RATE_HZ)
}

/// Gains of left and right for `pan` from -1 (left) to 1 (right), of equal power; for one channel always 1.
fn pan_gains(channels: usize, pan: f64) -> Vec<f64> {
    if channels == 1 {
        return vec![1.0];
    }
    let (right, left) = ((pan + 1.0) * PI / 4.0).sin_cos();
    vec![left, right]
}

/// Brings music to its peak and gives it its rate.
fn finished(sample_rate: u32, channels: &[Vec<f64>]) -> Result<Audio<f32>, AudioError> {
    let slices: Vec<&[f64]> = channels.iter().map(Vec::as_slice).collect();
    let mut audio = Audio::from_channels(sample_rate, &slices)?;
    audio.normalise_peak(MUSIC_PEAK_DB)?;
    Ok(audio.convert())
}
