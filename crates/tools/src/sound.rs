//! The sounds of the demo: reading, generating, writing, spectrum and levels.

use std::path::Path;

use isotherm::audio::{Audio, WavFormat, generate, wav};
use isotherm::measure::{self, Tone};

use crate::TaskResult;

/// Rate of the generated sounds, in hertz.
const SAMPLE_RATE: u32 = 48_000;

/// Seed of the generated sounds.
const SEED: u64 = 1;

/// A sound of the demo.
pub struct Sound {
    /// Name for its files and tables.
    pub name: String,
    pub audio: Audio<f32>,
}

/// Reads a WAV file.
///
/// # Errors
/// If it cannot be read or has no frames.
pub fn read(path: &Path) -> TaskResult<Sound> {
    let audio = wav::read(path).map_err(|e| {
        let text = e.to_string();
        let path = path.display().to_string();
        if text.contains(&path) { text } else { format!("{path}: {text}") }
    })?;
    if audio.frames() == 0 {
        return Err(format!("{}: no sound in it", path.display()).into());
    }
    let name = path.file_stem().map_or_else(|| "input".into(), |stem| stem.to_string_lossy().into_owned());
    Ok(Sound { name, audio })
}

/// A guitar phrase and a drum pattern, in stereo.
///
/// # Errors
/// Never with these constants.
pub fn generated() -> TaskResult<Vec<Sound>> {
    Ok(vec![
        Sound { name: "guitar".into(), audio: generate::guitar(SAMPLE_RATE, 2, SEED)? },
        Sound { name: "drums".into(), audio: generate::drums(SAMPLE_RATE, 2, SEED)? },
    ])
}

/// Writes a WAV file with 24-bit samples.
///
/// # Errors
/// If the file cannot be written.
pub fn write(path: &Path, sample_rate: u32, channels: &[Vec<f32>]) -> TaskResult {
    let slices: Vec<&[f32]> = channels.iter().map(Vec::as_slice).collect();
    Ok(wav::write(path, &Audio::from_channels(sample_rate, &slices)?, WavFormat::Int24)?)
}

/// The samples of a sound, a vector for each channel.
pub fn channels(audio: &Audio<f32>) -> Vec<Vec<f32>> {
    (0..audio.channels()).map(|channel| audio.channel(channel).to_vec()).collect()
}

/// Spectrum of a sound: pairs of hertz and dBFS.
pub fn spectrum(samples: &[f32], sample_rate: u32) -> Vec<(f32, f32)> {
    measure::spectrum(samples, sample_rate as f32)
}

/// Whole periods of a sine near `near_hz`.
pub fn tone(sample_rate: u32, near_hz: f32, amplitude: f32) -> Tone {
    measure::coherent_tone(sample_rate as f32, near_hz, amplitude, measure::PRIME_FRAMES)
}

/// RMS level and peak over all channels, in dB of full scale, which is 1.
pub fn levels_db(channels: &[Vec<f32>]) -> (f64, f64) {
    let count = channels.iter().map(Vec::len).sum::<usize>().max(1);
    let samples = || channels.iter().flatten().map(|&sample| f64::from(sample));
    let mean_square = samples().map(|sample| sample * sample).sum::<f64>() / count as f64;
    let peak = samples().map(f64::abs).fold(0.0, f64::max);
    (10.0 * mean_square.log10(), 20.0 * peak.log10())
}
