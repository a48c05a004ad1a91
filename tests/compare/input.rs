//! Sides and sounds that cannot be compared, and those that need a remark.

use std::path::{Path, PathBuf};

use isotherm::audio::wav::{WavFormat, write};
use isotherm::audio::{Audio, generate};
use isotherm::compare::{BuiltIn, CompareError, SoundSource, compare};

use super::{finish, request};

const RATE: u32 = 48_000;

/// Writes a sound to a file of a folder.
fn file(folder: &Path, name: &str, audio: &Audio) -> PathBuf {
    let path = folder.join(name);
    write(&path, audio, WavFormat::Float32).unwrap();
    path
}

/// Two seconds of noise.
fn noise(seed: u64) -> Audio {
    generate::pink(RATE, 0.1, 2 * RATE as usize, seed).unwrap()
}

/// The line of a comparison that fails.
fn line(a: &str, b: &str, sounds: Vec<SoundSource>) -> String {
    let error = compare(&request(a, b, sounds), &|_| true).unwrap_err().to_string();
    assert!(!error.is_empty() && !error.contains('\n'), "{error}");
    error
}

#[test]
fn a_side_that_cannot_be_compared_gives_one_line_with_both_sides() {
    let folder = tempfile::tempdir().unwrap();
    let dry = file(folder.path(), "dry.wav", &noise(1));
    let against = |name: &str, audio: &Audio| {
        let path = file(folder.path(), name, audio);
        line("dry", &format!("file:{}", path.display()), vec![SoundSource::File(dry.clone())])
    };
    assert!(against("rate.wav", &generate::pink(44_100, 0.1, 88_200, 1).unwrap()).contains("44100 Hz; expected 48000 Hz"));
    assert!(against("wide.wav", &noise(1).repeat_channels(2).unwrap()).contains("2 channels; expected 1 channel"));
    assert!(against("short.wav", &noise(1).slice(..RATE as usize).unwrap()).contains("1.00 s long; expected 2.00 s or more"));
    assert!(against("silent.wav", &Audio::silence(RATE, 1, 2 * RATE as usize)).contains("silent"));
    let missing = line("dry", "file:/nowhere/wet.wav", vec![SoundSource::File(dry.clone())]);
    assert!(missing.contains("/nowhere/wet.wav"), "{missing}");
    let mut broken = noise(1);
    broken.channel_mut(0)[10] = f32::NAN;
    // A float file holds no NaN when this program writes it, so the bytes are changed.
    let path = file(folder.path(), "nan.wav", &noise(1));
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.len() - 400;
    bytes[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    let found = line("dry", &format!("file:{}", path.display()), vec![SoundSource::File(dry.clone())]);
    assert!(found.contains("nan.wav") && found.contains("NaN"), "{found}");
    let found = line("dry", "saturator", vec![SoundSource::File(path)]);
    assert!(found.contains("nan.wav") && found.contains("NaN"), "{found}");
}

#[test]
fn sounds_that_cannot_be_read_are_listed_and_the_others_compared() {
    let folder = tempfile::tempdir().unwrap();
    file(folder.path(), "good.wav", &noise(1));
    file(folder.path(), "silent.wav", &Audio::silence(RATE, 1, 48_000));
    std::fs::write(folder.path().join("text.wav"), "no sound").unwrap();
    let sounds = SoundSource::of_paths(&[folder.path().into()]).unwrap();
    let report = finish("saturator", "saturator drive=3", sounds).report;
    assert_eq!(report.sounds.iter().map(|sound| sound.name.as_str()).collect::<Vec<_>>(), ["good"]);
    assert_eq!(report.refused.iter().map(|refused| refused.sound.as_str()).collect::<Vec<_>>(), ["silent", "text"]);
    let only = vec![SoundSource::File(folder.path().join("silent.wav"))];
    assert!(line("dry", "saturator", only).contains("silent: silent; expected a sound"));
    assert!(matches!(compare(&request("dry", "dry", Vec::new()), &|_| true), Err(CompareError::NoSounds)));
}

#[test]
fn sides_with_nothing_in_common_have_no_figures() {
    let folder = tempfile::tempdir().unwrap();
    let (dry, other) = (file(folder.path(), "dry.wav", &noise(1)), file(folder.path(), "other.wav", &noise(2)));
    let report = finish("dry", &format!("file:{}", other.display()), vec![SoundSource::File(dry)]).report;
    let sound = &report.sounds[0];
    assert!(sound.unrelated_correlation.is_some() && sound.raw.is_empty() && sound.aligned.is_empty());
    assert_eq!((report.verdict.id, report.verdict.deciding.len()), ("unrelated", 0));
    assert!(report.warnings[0].contains("nothing in common"), "{:?}", report.warnings);
}

#[test]
fn clipping_and_random_parts_are_remarked() {
    let folder = tempfile::tempdir().unwrap();
    let mut hot = noise(1);
    hot.normalise_peak(12.0).unwrap();
    hot.iter_mut().flatten().for_each(|x| *x = x.clamp(-1.0, 1.0));
    let hot = file(folder.path(), "hot.wav", &hot);
    let report = finish("bitcrusher bits=8 dither=tpdf", "bitcrusher bits=8 dither=tpdf", vec![SoundSource::File(hot)]).report;
    let has = |text: &str| report.warnings.iter().any(|warning| warning.contains(text));
    assert!(has("at full scale, probably clipped") && has("gives another sound when it starts later"), "{:?}", report.warnings);
}

#[test]
fn a_delayed_file_is_aligned_and_compared_where_both_have_sound() {
    let folder = tempfile::tempdir().unwrap();
    let sound = noise(1);
    let dry = file(folder.path(), "dry.wav", &sound);
    let late = Audio::concatenate(&[&Audio::silence(RATE, 1, 480), &sound]).unwrap();
    let late = file(folder.path(), "late.wav", &late.slice(..sound.frames()).unwrap());
    let report = finish("dry", &format!("file:{}", late.display()), vec![SoundSource::File(dry)]).report;
    let sound = &report.sounds[0];
    assert!((sound.alignment.as_ref().unwrap().delay_frames - 480.0).abs() < 0.01, "{:?}", sound.alignment);
    assert_eq!((sound.first_frame, sound.compared_frames), (0, sound.frames - 480));
    assert!(sound.aligned["null_db"].unwrap() < -80.0 && sound.raw["null_db"].unwrap() > -10.0);
}

#[test]
fn a_comparison_that_is_cancelled_ends_as_such() {
    let sounds = vec![SoundSource::BuiltIn(BuiltIn::Noise, -3.0)];
    assert!(matches!(compare(&request("dry", "saturator", sounds), &|_| false), Err(CompareError::Cancelled)));
}
