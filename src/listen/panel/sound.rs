//! The sounds that browsers play, as WAV files of 24 bits that are made while they are sent.

use std::f64::consts::{PI, SQRT_2, TAU};
use std::sync::Arc;

use crate::audio::wav::{WavFormat, file_header};
use crate::audio::{Audio, Random, WavError};
use crate::listen::player::{MAX_PATHS, Stimuli};

/// Frames that are made at a time.
const PIECE_FRAMES: usize = 4096;
/// A sample of 24 bits whose value is full scale.
const FULL_SCALE: f64 = 8_388_608.0;
/// Fewest and most pulses of a sound check.
pub(super) const PULSES: [u8; 2] = [2, 9];
/// Seconds from one pulse to the next, of a pulse, and of its fades.
const PULSE_SECONDS: [f64; 3] = [0.6, 0.3, 0.02];
/// Frequency of the pulses in hertz, which the smallest loudspeakers play.
const PULSE_HZ: f64 = 1_000.0;
/// Largest amplitude of the pulses.
const MOST_AMPLITUDE: f64 = 0.5;

/// A sound on its way to a browser: an iterator over the pieces of a WAV file.
///
/// Each sample has its own triangular dither of 1 least significant bit to either side, drawn anew for each file. So no two files are equal, even if they hold
/// one side, and neither hashes nor caches tell which side a file has. All paths are read for each frame and multiplied by 1 or 0,
/// as [`Player`](crate::listen::Player) does, so the work is the same whichever side it is. What dither cannot do: the difference of
/// two files of one side is that dither (-141 dBFS), and whoever computes it knows.
#[derive(Debug)]
pub struct PanelSound {
    stimuli: Arc<Stimuli>,
    gains: [f32; MAX_PATHS],
    random: Random,
    /// The bytes before the samples, until they are sent.
    header: Option<Vec<u8>>,
    frame: usize,
    frames: usize,
    bytes: u64,
}

impl PanelSound {
    /// The file of one of the paths or rungs of stimuli, by its number; `seed` is that of its dither. [control thread: allocates]
    pub(super) fn new(stimuli: Arc<Stimuli>, path: usize, seed: u64) -> Result<Self, WavError> {
        let frames = stimuli.paths.iter().map(Audio::frames).min().unwrap_or(0);
        let (rate, channels) = stimuli.paths.first().map_or((1, 1), |path| (path.sample_rate(), path.channels()));
        let header = file_header(rate, channels, WavFormat::Int24, frames)?;
        let data_bytes = frames * channels * WavFormat::Int24.bytes();
        let bytes = (header.len() + data_bytes + data_bytes % 2) as u64;
        let gains = stimuli.gains(path);
        Ok(Self { stimuli, gains, random: Random::new(seed), header: Some(header), frame: 0, frames, bytes })
    }

    /// Bytes of the whole file, which are the same for all paths. [any thread]
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// A sample of 24 bits, with dither.
    fn code(&mut self, sample: f32) -> i32 {
        let dither = self.random.unit() - self.random.unit();
        (f64::from(sample) * FULL_SCALE + dither).round().clamp(-FULL_SCALE, FULL_SCALE - 1.0) as i32
    }
}

impl Iterator for PanelSound {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        if let Some(header) = self.header.take() {
            return Some(header);
        }
        if self.frame == self.frames {
            return None;
        }
        let stimuli = self.stimuli.clone();
        let channels = stimuli.paths[0].channels();
        let end = self.frames.min(self.frame + PIECE_FRAMES);
        let mut piece = Vec::with_capacity((end - self.frame) * channels * WavFormat::Int24.bytes() + 1);
        for frame in self.frame..end {
            for channel in 0..channels {
                let sample = stimuli.paths.iter().zip(self.gains).map(|(path, gain)| gain * path.channel(channel)[frame]).sum();
                piece.extend(&self.code(sample).to_le_bytes()[..3]);
            }
        }
        self.frame = end;
        if end == self.frames && !self.bytes_of_data().is_multiple_of(2) {
            piece.push(0);
        }
        Some(piece)
    }
}

impl PanelSound {
    /// Bytes of the samples.
    fn bytes_of_data(&self) -> usize {
        self.frames * self.stimuli.paths[0].channels() * WavFormat::Int24.bytes()
    }
}

/// The sound of a sound check: pulses of a tone, as loud as the sound of the test by its RMS. Its length does not depend on their
/// number.
pub(super) fn pulses(like: &Audio, count: u8) -> Audio {
    let rate = f64::from(like.sample_rate());
    let [spacing, length, fade] = PULSE_SECONDS;
    let amplitude = (SQRT_2 * like.rms()).min(MOST_AMPLITUDE);
    let frames = (f64::from(PULSES[1]) * spacing * rate) as usize;
    let mut sound = Audio::silence(like.sample_rate(), like.channels(), frames);
    for channel in sound.iter_mut() {
        for (frame, sample) in channel.iter_mut().enumerate() {
            let seconds = frame as f64 / rate;
            let (pulse, at) = ((seconds / spacing).floor(), seconds % spacing);
            if pulse < f64::from(count) && at < length {
                let edge = (at.min(length - at) / fade).min(1.0);
                let envelope = 0.5 - 0.5 * (PI * edge).cos();
                *sample = (amplitude * envelope * (TAU * PULSE_HZ * seconds).sin()) as f32;
            }
        }
    }
    sound
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::wav::read;

    /// Stimuli of two sides, one of which is silent.
    fn stimuli(channels: usize, frames: usize) -> Arc<Stimuli> {
        let mut tone = Audio::silence(48_000, channels, frames);
        for channel in tone.iter_mut() {
            channel.iter_mut().enumerate().for_each(|(frame, sample)| *sample = (frame as f32 * 0.05).sin() * 0.5);
        }
        Arc::new(Stimuli { paths: vec![tone, Audio::silence(48_000, channels, frames)], rungs: Vec::new() })
    }

    #[test]
    fn a_file_is_read_as_the_side_and_no_two_files_are_equal() {
        for (channels, frames) in [(1, 5001), (2, 9000)] {
            let stimuli = stimuli(channels, frames);
            let file = |path, seed| {
                let sound = PanelSound::new(stimuli.clone(), path, seed).unwrap();
                let bytes = sound.bytes();
                let file: Vec<u8> = sound.flatten().collect();
                assert_eq!(file.len() as u64, bytes);
                file
            };
            let (first, second, other) = (file(0, 1), file(0, 2), file(1, 3));
            assert!(first != second && first.len() == second.len() && first.len() == other.len());
            let folder = tempfile::tempdir().unwrap();
            for (path, bytes) in [(0, &first), (0, &second), (1, &other)] {
                let name = folder.path().join("sound.wav");
                std::fs::write(&name, bytes).unwrap();
                let read = read(&name).unwrap();
                assert_eq!((read.sample_rate(), read.channels(), read.frames()), (48_000, channels, frames));
                let samples = read.iter().flatten().zip(stimuli.paths[path].iter().flatten());
                // Rounding and dither: at most a step and a half.
                let largest = samples.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(largest > 0.0 && largest <= 1.6 / 8_388_608.0, "{largest}");
            }
        }
    }

    #[test]
    fn pulses_can_be_counted_and_their_number_is_not_in_the_length() {
        let like = stimuli(2, 48_000).paths[0].clone();
        let lengths: Vec<usize> = (PULSES[0]..=PULSES[1])
            .map(|count| {
                let sound = pulses(&like, count);
                let slots = (0.6 * 48_000.0) as usize;
                let is_heard = |part: &[f32]| part.iter().any(|sample| sample.abs() > 0.1);
                let heard = sound.channel(1).chunks(slots).filter(|part| is_heard(part)).count();
                assert_eq!(heard, usize::from(count));
                sound.frames()
            })
            .collect();
        assert!(lengths.iter().all(|length| *length == lengths[0]));
    }
}
