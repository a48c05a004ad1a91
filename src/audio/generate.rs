//! Generators of test signals and music. All return whole `f32` buffers and are deterministic. [control thread]
//!
//! Test signals have one channel; [`Audio::repeat_channels`] makes more of them. Amplitudes are linear, 1 is full scale.
//! Random signals take a seed, and the same seed gives the same samples.
//!
//! Square, saw and triangle use *additive synthesis*: the sum of their harmonics below half the sample rate, each with its
//! amplitude in the Fourier series. They therefore have no aliasing at all (a corrected naive wave, such as PolyBLEP,
//! still has some), which measurements of aliasing need. The price is ringing at the edges (Gibbs phenomenon):
//! the peak of a square or a saw is up to 18 % above `amplitude`, which is the amplitude of the ideal wave. Waves below
//! 1/20000 of the sample rate have only their first 10000 harmonics.

mod drums;
mod filter;
mod guitar;
mod speech;

pub use drums::drums;
pub use guitar::guitar;
pub use speech::speech;

use super::{Audio, AudioError, Random, Sample as _};
use filter::PinkFilter;
use std::f64::consts::{PI, TAU};

/// Lowest sample rate in Hz of [`guitar`], [`drums`] and [`speech`]: at a lower one, their notes would reach half the sample rate.
const LOWEST_MUSIC_RATE_HZ: u32 = 8_000;
/// Tempo of [`guitar`] and [`drums`]: the same, so that they can be played together.
const BEATS_PER_MINUTE: f64 = 100.0;
/// Length of [`guitar`], [`drums`] and [`speech`] in seconds: three bars of four beats, and a tail.
const MUSIC_SECONDS: f64 = 8.0;
/// Peak of [`guitar`], [`drums`] and [`speech`] in dB of full scale.
const MUSIC_PEAK_DB: f64 = -3.0;
/// Largest number of harmonics of a wave; at 48 kHz enough for all harmonics of waves from 2.4 Hz up.
const MAX_HARMONICS: usize = 10_000;
/// Frames after which a rotating phasor (a sine by complex rotation) is computed exactly again, so that its error stays below
/// 10^-12.
const PHASOR_FRAMES: usize = 1_024;

/// Checks that a parameter is within `low..=high`; returns it.
fn check_parameter(name: &'static str, found: f64, low: f64, high: f64) -> Result<f64, AudioError> {
    if (low..=high).contains(&found) { Ok(found) } else { Err(AudioError::Parameter { name, low, high, found }) }
}

/// Checks that a sample rate is not 0; returns it as a float.
fn check_rate(sample_rate: u32) -> Result<f64, AudioError> {
    if sample_rate == 0 { Err(AudioError::ZeroRate) } else { Ok(f64::from(sample_rate)) }
}

/// Highest amplitude that generators accept; leaves room for a sum of harmonics in `f32`.
const HIGHEST_AMPLITUDE: f64 = 1e6;

/// Checks that an amplitude is from 0 to [`HIGHEST_AMPLITUDE`]; returns it.
fn check_amplitude(found: f64) -> Result<f64, AudioError> {
    check_parameter("amplitude", found, 0.0, HIGHEST_AMPLITUDE)
}

/// Checks that a frequency is above 0 and below half the sample rate; returns it.
fn check_frequency(name: &'static str, found_hz: f64, rate: f64) -> Result<f64, AudioError> {
    let limit_hz = rate / 2.0;
    if found_hz > 0.0 && found_hz < limit_hz {
        Ok(found_hz)
    } else {
        Err(AudioError::Frequency { name, limit: "below", limit_hz, found_hz })
    }
}

/// A buffer of one channel with the samples `values`.
fn mono(sample_rate: u32, values: impl Iterator<Item = f64>) -> Result<Audio<f32>, AudioError> {
    Audio::from_planar(sample_rate, 1, values.map(f32::from_f64).collect())
}

/// Silence: `channels` x `frames` zeros at `sample_rate` Hz.
///
/// # Errors
/// [`AudioError::ZeroRate`], [`AudioError::NoChannels`].
pub fn silence(sample_rate: u32, channels: usize, frames: usize) -> Result<Audio<f32>, AudioError> {
    check_rate(sample_rate)?;
    if channels == 0 {
        return Err(AudioError::NoChannels);
    }
    Ok(Audio::silence(sample_rate, channels, frames))
}

/// An impulse: one sample of height `amplitude` (positive or negative) at frame `at`, zeros elsewhere.
///
/// # Errors
/// [`AudioError::OutOfRange`] if there is no frame `at`, [`AudioError::Parameter`], [`AudioError::ZeroRate`].
pub fn impulse(sample_rate: u32, amplitude: f64, at: usize, frames: usize) -> Result<Audio<f32>, AudioError> {
    check_parameter("amplitude", amplitude, -HIGHEST_AMPLITUDE, HIGHEST_AMPLITUDE)?;
    let mut audio = silence(sample_rate, 1, frames)?;
    match audio.channel_mut(0).get_mut(at) {
        Some(sample) => *sample = f32::from_f64(amplitude),
        None => {
            return Err(AudioError::OutOfRange { start: at, end: at.saturating_add(1), frames });
        }
    }
    Ok(audio)
}

/// A sine wave, `amplitude * sin(2 pi frequency_hz t)`, which begins at 0 and rises. `frequency_hz`: above 0, below half the
/// sample rate.
///
/// # Errors
/// [`AudioError::Frequency`], [`AudioError::Parameter`], [`AudioError::ZeroRate`].
pub fn sine(sample_rate: u32, frequency_hz: f64, amplitude: f64, frames: usize) -> Result<Audio<f32>, AudioError> {
    harmonics(sample_rate, frequency_hz, amplitude, frames, |k| if k == 1 { Some(1.0) } else { None })
}

/// A square wave, +`amplitude` in the first half of a period: odd harmonics, each with the amplitude 4 / (pi k).
///
/// Additive, see [the module](self). `frequency_hz`: above 0, below half the sample rate.
///
/// # Errors
/// [`AudioError::Frequency`], [`AudioError::Parameter`], [`AudioError::ZeroRate`].
pub fn square(sample_rate: u32, frequency_hz: f64, amplitude: f64, frames: usize) -> Result<Audio<f32>, AudioError> {
    harmonics(sample_rate, frequency_hz, amplitude, frames, |k| Some(if k % 2 == 1 { 4.0 / (PI * k as f64) } else { 0.0 }))
}

/// A saw wave that rises from 0 to +`amplitude`, jumps to -`amplitude` in the middle of the period and rises again:
/// all harmonics, each with the amplitude 2 / (pi k) and alternating sign.
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

/// A triangle wave that rises from 0 to +`amplitude` in the first quarter of a period: odd harmonics, each with the amplitude
/// 8 / (pi k)^2 and alternating sign. Its peak never exceeds `amplitude`.
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

/// A sum of sines at multiples `k` of `frequency_hz` below half the sample rate, all with phase 0 at the first frame and with
/// amplitudes `amplitude * weight(k)`. The first `k` for which `weight` gives `None` ends the sum.
fn harmonics(
    sample_rate: u32,
    frequency_hz: f64,
    amplitude: f64,
    frames: usize,
    weight: impl Fn(usize) -> Option<f64>,
) -> Result<Audio<f32>, AudioError> {
    let rate = check_rate(sample_rate)?;
    let frequency_hz = check_frequency("frequency_hz", frequency_hz, rate)?;
    let amplitude = check_amplitude(amplitude)?;
    let mut sum = vec![0.0; frames];
    for k in (1..=MAX_HARMONICS).take_while(|&k| k as f64 * frequency_hz < rate / 2.0) {
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

/// White noise: independent samples, uniform from -`amplitude` to +`amplitude`, so its RMS is `amplitude / sqrt 3`.
///
/// # Errors
/// [`AudioError::Parameter`], [`AudioError::ZeroRate`].
pub fn white(sample_rate: u32, amplitude: f64, frames: usize, seed: u64) -> Result<Audio<f32>, AudioError> {
    let amplitude = check_amplitude(amplitude)?;
    let mut random = Random::new(seed);
    mono(sample_rate, (0..frames).map(|_| amplitude * random.bipolar()))
}

/// Pink noise with the RMS `rms` on average: -3 dB per octave from 20 Hz to half the sample rate, flat below 5 Hz.
///
/// White noise through a filter whose poles and zeros alternate every half octave; the slope is within 0.4 dB from 20 Hz to 0.45
/// of the sample rate. The noise is stationary already at its first frame. Peaks reach about 4.5 times the RMS.
///
/// # Errors
/// [`AudioError::Parameter`], [`AudioError::ZeroRate`].
pub fn pink(sample_rate: u32, rms: f64, frames: usize, seed: u64) -> Result<Audio<f32>, AudioError> {
    let hz = check_rate(sample_rate)?;
    let rms = check_parameter("rms", rms, 0.0, HIGHEST_AMPLITUDE)?;
    // The lowest pole is at 5 Hz or above: after two seconds less than 10^-27 of its response is left.
    let response_frames = 2 * sample_rate as usize;
    let mut response = PinkFilter::new(hz);
    let energy: f64 = (0..response_frames).map(|n| response.next(if n == 0 { 1.0 } else { 0.0 }).powi(2)).sum();
    // Uniform noise of +-1 has an RMS of 1 / sqrt 3.
    let gain = rms * (3.0 / energy).sqrt();
    let mut filter = PinkFilter::new(hz);
    let mut random = Random::new(seed);
    let noise = (0..response_frames + frames).map(|_| gain * filter.next(random.bipolar()));
    mono(sample_rate, noise.skip(response_frames))
}

/// An exponential sine sweep from `from_hz` to `to_hz` over `frames` frames: equal frequency ratios in equal times
/// (A. Farina, "Simultaneous Measurement of Impulse Response and Distortion with a Swept-Sine Technique", AES 108
/// (2000)). Upwards or downwards; both frequencies above 0 and at most half the sample rate. Begins at 0, without a fade.
///
/// # Errors
/// [`AudioError::Frequency`], [`AudioError::Parameter`], [`AudioError::ZeroRate`].
pub fn sweep(sample_rate: u32, from_hz: f64, to_hz: f64, amplitude: f64, frames: usize) -> Result<Audio<f32>, AudioError> {
    let rate = check_rate(sample_rate)?;
    let half = rate / 2.0;
    for (name, found_hz) in [("from_hz", from_hz), ("to_hz", to_hz)] {
        if !(found_hz > 0.0 && found_hz <= half) {
            return Err(AudioError::Frequency { name, limit: "at most", limit_hz: half, found_hz });
        }
    }
    let amplitude = check_amplitude(amplitude)?;
    let seconds = frames as f64 / rate;
    let log_ratio = (to_hz / from_hz).ln();
    mono(
        sample_rate,
        (0..frames).map(|n| {
            let time = n as f64 / rate;
            // The integral of from_hz * exp(log_ratio * t / seconds); with equal frequencies, of from_hz.
            let turns = if log_ratio == 0.0 {
                from_hz * time
            } else {
                from_hz * seconds / log_ratio * (log_ratio * time / seconds).exp_m1()
            };
            amplitude * (TAU * turns.fract()).sin()
        }),
    )
}

/// Checks the parameters of [`guitar`], [`drums`] and [`speech`]; returns the sample rate as a float.
fn check_music(sample_rate: u32, channels: usize) -> Result<f64, AudioError> {
    /// Above the rate of any converter.
    const HIGHEST_RATE_HZ: f64 = 1_536_000.0;
    check_parameter("channels", channels as f64, 1.0, 2.0)?;
    check_parameter("sample_rate", f64::from(sample_rate), f64::from(LOWEST_MUSIC_RATE_HZ), HIGHEST_RATE_HZ)
}

/// Equal-power gains of left and right for `pan` from -1 (left) to 1 (right); for one channel always 1.
fn pan_gains(channels: usize, pan: f64) -> Vec<f64> {
    if channels == 1 {
        return vec![1.0];
    }
    let (right, left) = ((pan + 1.0) * PI / 4.0).sin_cos();
    vec![left, right]
}

/// A buffer of these channels, normalised to [`MUSIC_PEAK_DB`].
fn finish_music(sample_rate: u32, channels: &[Vec<f64>]) -> Result<Audio<f32>, AudioError> {
    let slices: Vec<&[f64]> = channels.iter().map(Vec::as_slice).collect();
    let mut audio = Audio::from_channels(sample_rate, &slices)?;
    audio.normalise_peak(MUSIC_PEAK_DB)?;
    Ok(audio.convert())
}
