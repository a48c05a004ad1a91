//! The part of a sound that the page plays: an excerpt and the worst windows, of the input, both sides and their difference.

use std::io::Cursor;
use std::ops::Range;

use base64::Engine as _;
use flacenc::bitsink::ByteSink;
use flacenc::component::BitRepr as _;
use flacenc::error::Verify as _;
use flacenc::source::MemSource;
use hound::{SampleFormat, WavSpec, WavWriter};
use rayon::prelude::*;
use serde::Serialize;

use super::ruler::loudest;
use crate::audio::Audio;
use crate::audio::db_to_gain;
use crate::measure::WorstWindow;

/// Length of the excerpt in seconds.
const EXCERPT_SECONDS: f64 = 5.0;
/// Channels that are played.
const MAX_CHANNELS: usize = 2;
/// Bits of a sample of a track.
const BITS: u16 = 16;
/// Gain of the difference in dB; less if it would clip.
const DIFFERENCE_DB: f64 = 20.0;

/// A part of a player's tracks. Parts may overlap.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Region {
    /// The place in the sound and, for a worst window, its error.
    pub name: String,
    /// Begin within the tracks, in seconds.
    pub start: f64,
    /// Length in seconds.
    pub seconds: f64,
}

/// A track: a file of 16 bits in base64.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Track {
    /// Key: `input`, `a`, `b` or `difference`.
    pub id: &'static str,
    /// Name for users, with the gain at which the track is played if that is not 1.
    pub name: String,
    /// The file: FLAC, or WAV above 96 kHz, which the encoder does not take.
    pub file: String,
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
    /// The tracks, all of one length: the frames of all regions in the order of time, each once.
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
        let stored = union(parts.iter().map(|(start, frames, _)| *start..start + frames).collect());
        let regions = parts
            .iter()
            .map(|(start, frames, name)| {
                let place = (heard.offset + start) as f64 / rate;
                let (minutes, seconds) = ((place / 60.0).floor(), place % 60.0);
                let before: usize = stored.iter().map(|part| part.end.min(*start).saturating_sub(part.start)).sum();
                Region {
                    name: format!("{name}, at {minutes:.0}:{seconds:04.1}"),
                    start: before as f64 / rate,
                    seconds: *frames as f64 / rate,
                }
            })
            .collect();
        let cut = |sample: &dyn Fn(usize, usize) -> f32| -> Vec<Vec<f32>> {
            let frames = || stored.iter().cloned().flatten();
            (0..channels).map(|channel| frames().map(|frame| sample(channel, frame)).collect()).collect()
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
        sounds.push(("difference", "", difference));
        let tracks = sounds
            .par_iter()
            .map(|(id, name, samples)| {
                let name = if *id == "difference" { gain_text.clone() } else { format!("{name}{said}") };
                Track { id, name, file: file_base64(rate, samples) }
            })
            .collect();
        Self { sound: sound.into(), channels, regions, tracks }
    }
}

/// Ranges without those parts that are in another one, in order.
fn union(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| range.start);
    let mut joined: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

/// A file of 16 bits in base64.
fn file_base64(sample_rate: u32, channels: &[Vec<f32>]) -> String {
    let full_scale = f64::from(i16::MAX);
    let code = |x: f32| (f64::from(x) * full_scale).round().clamp(i16::MIN.into(), i16::MAX.into()) as i32;
    let frames = channels.first().map_or(0, Vec::len);
    let codes: Vec<i32> = (0..frames).flat_map(|frame| channels.iter().map(move |channel| code(channel[frame]))).collect();
    let file = flac(sample_rate, channels.len(), &codes).unwrap_or_else(|| wav(sample_rate, channels.len(), &codes));
    base64::engine::general_purpose::STANDARD.encode(file)
}

/// A FLAC file of interleaved samples; `None` if the encoder does not take them, as above 96 kHz.
fn flac(sample_rate: u32, channels: usize, codes: &[i32]) -> Option<Vec<u8>> {
    let config = flacenc::config::Encoder::default().into_verified().ok()?;
    let source = MemSource::from_samples(codes, channels, BITS.into(), sample_rate as usize);
    let stream = flacenc::encode_with_fixed_block_size(&config, source, config.block_size).ok()?;
    let mut file = ByteSink::new();
    stream.write(&mut file).ok()?;
    Some(file.into_inner())
}

/// A WAV file of interleaved samples.
fn wav(sample_rate: u32, channels: usize, codes: &[i32]) -> Vec<u8> {
    let spec = WavSpec { channels: channels as u16, sample_rate, bits_per_sample: BITS, sample_format: SampleFormat::Int };
    let mut file = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut file, spec).expect("memory takes every byte");
    for code in codes {
        writer.write_sample(*code).expect("memory takes every byte");
    }
    writer.finalize().expect("memory takes every byte");
    file.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of a track's file.
    fn bytes(track: &Track) -> Vec<u8> {
        base64::engine::general_purpose::STANDARD.decode(&track.file).unwrap()
    }

    /// The samples of the first channel of a track, by another FLAC reader.
    fn samples(track: &Track) -> Vec<i32> {
        let bytes = bytes(track);
        assert!(bytes.starts_with(b"fLaC"));
        let mut reader = claxon::FlacReader::new(Cursor::new(bytes)).unwrap();
        let channels = reader.streaminfo().channels as usize;
        reader.samples().map(Result::unwrap).step_by(channels).collect()
    }

    /// A sound of pink noise.
    fn noise(frames: usize) -> Audio {
        crate::audio::generate::pink(48_000, 0.1, frames, 1).unwrap()
    }

    #[test]
    fn tracks_hold_each_frame_of_the_loudest_part_and_of_the_windows_once_and_the_difference_does_not_clip() {
        let level = |x: f32| Audio::from_mono(48_000, &vec![x; 480_000]).unwrap();
        let (mut a, mut b) = (level(0.5), level(0.25));
        // The loudest part is in the middle.
        a.channel_mut(0)[120_000..360_000].fill(0.75);
        b.channel_mut(0)[120_000..360_000].fill(0.5);
        let window = |start_frame: usize| WorstWindow { start_frame, frames: 4800, error_db: -6.0, error_dbfs: -12.0 };
        let windows = [window(48_000), window(130_000), window(358_000)];
        let player = Player::new("x", &Heard { input: Some(&a), a: &a, b: &b, offset: 48_000 }, &windows);
        assert_eq!(player.regions[1].name, "Worst 1, error -6.0 dB, at 0:02.0");
        let regions: Vec<(usize, usize)> = player
            .regions
            .iter()
            .map(|r| ((r.start * 48_000.0).round() as usize, (r.seconds * 48_000.0).round() as usize))
            .collect();
        assert_eq!(regions, [(4800, 240_000), (0, 4800), (14_800, 4800), (242_800, 4800)]);
        // A difference of -0.25 has room for 12 dB.
        assert_eq!(player.tracks[3].name, "Difference +12 dB");
        let found = samples(&player.tracks[1]);
        assert_eq!((found.len(), found[2400], found[100_000], found[247_000]), (247_600, 16_384, 24_575, 16_384));
    }

    #[test]
    fn a_track_has_the_samples_of_its_sound_in_16_bits_without_loss() {
        let a = noise(4321);
        let player = Player::new("x", &Heard { input: None, a: &a, b: &a, offset: 0 }, &[]);
        let expected: Vec<i32> = a.channel(0).iter().map(|x| (f64::from(*x) * 32_767.0).round() as i32).collect();
        assert_eq!(samples(&player.tracks[0]), expected);
    }

    #[test]
    fn a_track_above_96_khz_is_a_wav_file() {
        let a = Audio::from_mono(192_000, noise(5000).channel(0)).unwrap();
        let player = Player::new("x", &Heard { input: None, a: &a, b: &a, offset: 0 }, &[]);
        let reader = hound::WavReader::new(Cursor::new(bytes(&player.tracks[0]))).unwrap();
        assert_eq!((reader.spec().sample_rate, reader.duration()), (192_000, 5000));
    }

    #[test]
    fn overlapping_ranges_are_joined() {
        assert_eq!(union(vec![5..9, 0..2, 8..12, 2..3, 6..7]), [0..3, 5..12]);
    }

    #[test]
    fn sounds_above_full_scale_are_played_with_one_gain_that_is_stated() {
        let of = |x: f32| Audio::from_mono(48_000, &vec![x; 4800]).unwrap();
        let (a, b) = (of(0.5), of(2.0));
        let player = Player::new("x", &Heard { input: Some(&a), a: &a, b: &b, offset: 0 }, &[]);
        let names: Vec<&str> = player.tracks.iter().map(|track| track.name.as_str()).collect();
        assert_eq!(names[..3], ["Input -6.0 dB", "A -6.0 dB", "B -6.0 dB"]);
        let middle: Vec<i32> = player.tracks[..3].iter().map(|track| samples(track)[2400]).collect();
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
