//! The part of a sound that the page plays: an excerpt and the worst windows, of the input, both sides and their difference.

use std::io::Cursor;

use base64::Engine as _;
use hound::{SampleFormat, WavSpec, WavWriter};
use serde::Serialize;

use super::ruler::loudest;
use crate::audio::Audio;
use crate::audio::db_to_gain;
use crate::measure::WorstWindow;

/// Length of the excerpt in seconds.
const EXCERPT_SECONDS: f64 = 5.0;
/// Channels that are played.
const MAX_CHANNELS: usize = 2;
/// Silence between two regions, in seconds.
const PAUSE_SECONDS: f64 = 0.1;
/// Fade at both ends of a region, in seconds.
const FADE_SECONDS: f64 = 0.005;
/// Gain of the difference in dB; less if it would clip.
const DIFFERENCE_DB: f64 = 20.0;

/// A part of a player's tracks.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Region {
    /// The place in the sound and, for a worst window, its error.
    pub name: String,
    /// Begin within the tracks, in seconds.
    pub start: f64,
    /// Length in seconds.
    pub seconds: f64,
}

/// A track: a 16-bit WAV file in base64.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Track {
    /// Key: `input`, `a`, `b` or `difference`.
    pub id: &'static str,
    /// Name for users, with the gain at which the track is played if that is not 1.
    pub name: String,
    /// The file.
    pub wav: String,
}

/// The sound of a player.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Player {
    /// Name of the sound.
    pub sound: String,
    /// Number of channels that are played.
    pub channels: usize,
    /// The regions: the loudest part first, then the worst windows.
    pub regions: Vec<Region>,
    /// The tracks, all of one length.
    pub tracks: Vec<Track>,
}

/// Input, A and aligned B, of one length. The input is left out if its place in A is not known.
pub(super) struct Heard<'a> {
    pub input: Option<&'a Audio>,
    pub a: &'a Audio,
    pub b: &'a Audio,
    /// Frame of the sound at which they begin.
    pub offset: usize,
}

impl Player {
    /// The player of a sound. [control thread: allocates]
    pub(super) fn new(sound: &str, heard: &Heard<'_>, windows: &[WorstWindow]) -> Self {
        let rate = f64::from(heard.a.sample_rate());
        let channels = heard.a.channels().min(MAX_CHANNELS);
        let (start, frames) = loudest(heard.a, (EXCERPT_SECONDS * rate) as usize);
        let mut parts = vec![(start, frames, "Loudest part".to_owned())];
        parts.extend(windows.iter().enumerate().map(|(i, window)| {
            let name = format!("Worst {}, error {:.1} dB", i + 1, window.error_db);
            (window.start_frame, window.frames, name)
        }));
        let pause = (PAUSE_SECONDS * rate) as usize;
        let mut regions = Vec::new();
        let mut at = 0;
        for (start, frames, name) in &parts {
            let place = (heard.offset + start) as f64 / rate;
            let (minutes, seconds) = ((place / 60.0).floor(), place % 60.0);
            let name = format!("{name}, at {minutes:.0}:{seconds:04.1}");
            regions.push(Region { name, start: at as f64 / rate, seconds: *frames as f64 / rate });
            at += frames + pause;
        }
        let total = at;
        let cut = |sample: &dyn Fn(usize, usize) -> f32| {
            let mut out = vec![vec![0.0f32; total]; channels];
            for (channel, out) in out.iter_mut().enumerate() {
                let mut at = 0;
                for (start, frames, _) in &parts {
                    let fade = (FADE_SECONDS * rate).min(*frames as f64 / 2.0);
                    for n in 0..*frames {
                        let edge = (n.min(frames - 1 - n) as f64 / fade).min(1.0) as f32;
                        out[at + n] = edge * sample(channel, start + n);
                    }
                    at += frames + pause;
                }
            }
            out
        };
        let input = heard.input.map(|input| cut(&|channel, n| input.channel(channel)[n]));
        let mut sounds = vec![("a", "A", cut(&|channel, n| heard.a.channel(channel)[n]))];
        sounds.push(("b", "B", cut(&|channel, n| heard.b.channel(channel)[n])));
        if let Some(input) = input {
            sounds.insert(0, ("input", "Input", input));
        }
        // One gain for all, so that nothing clips and their levels can still be compared.
        let samples = sounds.iter().flat_map(|(_, _, samples)| samples.iter().flatten());
        let common = 1.0 / f64::from(samples.fold(1.0f32, |peak, x| peak.max(x.abs())));
        let said = if common < 1.0 { format!(" {:+.1} dB", 20.0 * common.log10()) } else { String::new() };
        for (_, _, samples) in &mut sounds {
            samples.iter_mut().flatten().for_each(|x| *x *= common as f32);
        }
        let mut difference = cut(&|channel, n| heard.b.channel(channel)[n] - heard.a.channel(channel)[n]);
        let peak = difference.iter().flatten().fold(0.0f32, |peak, x| peak.max(x.abs()));
        let gain = db_to_gain(DIFFERENCE_DB).min(1.0 / f64::from(peak.max(f32::MIN_POSITIVE)));
        difference.iter_mut().flatten().for_each(|x| *x *= gain as f32);
        let gain_text = format!("Difference {:+.0} dB", 20.0 * gain.log10());
        let rate = heard.a.sample_rate();
        let track = |id, name: &str, samples: &[Vec<f32>]| Track { id, name: name.into(), wav: wav_base64(rate, samples) };
        let mut tracks: Vec<Track> =
            sounds.iter().map(|(id, name, samples)| track(*id, &format!("{name}{said}"), samples)).collect();
        tracks.push(track("difference", &gain_text, &difference));
        Self { sound: sound.into(), channels, regions, tracks }
    }
}

/// A 16-bit WAV file in base64.
fn wav_base64(sample_rate: u32, channels: &[Vec<f32>]) -> String {
    let spec = WavSpec { channels: channels.len() as u16, sample_rate, bits_per_sample: 16, sample_format: SampleFormat::Int };
    let mut file = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut file, spec).expect("memory takes every byte");
    for frame in 0..channels.first().map_or(0, Vec::len) {
        for channel in channels {
            writer
                .write_sample((channel[frame] * 32_767.0).round().clamp(-32_768.0, 32_767.0) as i16)
                .expect("memory takes every byte");
        }
    }
    writer.finalize().expect("memory takes every byte");
    base64::engine::general_purpose::STANDARD.encode(file.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tracks_hold_the_loudest_part_and_each_window_and_the_difference_does_not_clip() {
        let a = Audio::from_mono(48_000, &vec![0.5; 48_000]).unwrap();
        let b = Audio::from_mono(48_000, &vec![0.25; 48_000]).unwrap();
        let windows = [WorstWindow { start_frame: 480, frames: 4800, error_db: -6.0, error_dbfs: -12.0 }];
        let player = Player::new("x", &Heard { input: Some(&a), a: &a, b: &b, offset: 48_000 }, &windows);
        assert_eq!(player.regions[1].name, "Worst 1, error -6.0 dB, at 0:01.0");
        assert!((player.regions[1].start - 1.1).abs() < 1e-9 && (player.regions[1].seconds - 0.1).abs() < 1e-9);
        // A difference of -0.25 has room for 12 dB.
        assert_eq!(player.tracks[3].name, "Difference +12 dB");
        let bytes = base64::engine::general_purpose::STANDARD.decode(&player.tracks[1].wav).unwrap();
        let reader = hound::WavReader::new(Cursor::new(bytes)).unwrap();
        let samples: Vec<i16> = reader.into_samples().map(Result::unwrap).collect();
        assert_eq!(samples.len(), 48_000 + 4800 + 4800 + 4800);
        assert_eq!((samples[24_000], samples[50_000], samples[55_200]), (16_384, 0, 16_384));
    }

    /// The first channel of a track.
    fn samples(track: &Track) -> Vec<i16> {
        let bytes = base64::engine::general_purpose::STANDARD.decode(&track.wav).unwrap();
        hound::WavReader::new(Cursor::new(bytes)).unwrap().into_samples().map(Result::unwrap).collect()
    }

    #[test]
    fn sounds_above_full_scale_are_played_with_one_gain_that_is_stated() {
        let of = |x: f32| Audio::from_mono(48_000, &vec![x; 4800]).unwrap();
        let (a, b) = (of(0.5), of(2.0));
        let player = Player::new("x", &Heard { input: Some(&a), a: &a, b: &b, offset: 0 }, &[]);
        let names: Vec<&str> = player.tracks.iter().map(|track| track.name.as_str()).collect();
        assert_eq!(names[..3], ["Input -6.0 dB", "A -6.0 dB", "B -6.0 dB"]);
        let middle: Vec<i16> = player.tracks[..3].iter().map(|track| samples(track)[2400]).collect();
        assert_eq!(middle, [8192, 8192, 32_767]);
        let without = Player::new("x", &Heard { input: None, a: &a, b: &a, offset: 0 }, &[]);
        assert_eq!(without.tracks.iter().map(|track| track.name.as_str()).collect::<Vec<_>>()[..2], ["A", "B"]);
    }

    #[test]
    fn the_excerpt_has_5_s_at_every_sample_rate() {
        for rate in [8_000, 96_000] {
            let a = Audio::from_mono(rate, &vec![0.5; 6 * rate as usize]).unwrap();
            let player = Player::new("x", &Heard { input: None, a: &a, b: &a, offset: 0 }, &[]);
            assert!((player.regions[0].seconds - 5.0).abs() < 1e-9, "{rate}: {}", player.regions[0].seconds);
        }
    }
}
