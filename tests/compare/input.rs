//! Sides and sounds that cannot be compared, and those that need a remark.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use isotherm::audio::wav::{WavFormat, write};
use isotherm::audio::{Audio, generate};
use isotherm::compare::{BuiltIn, CompareError, Limit, Request, Side, Sound, SoundSource, compare};

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
    assert!(against("short.wav", &noise(1).slice(..RATE as usize).unwrap()).contains("1.00 s long; expected 1.80 s or more"));
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
    assert!(has("at full scale, probably clipped") && has("A has a random part: two runs"), "{:?}", report.warnings);
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

/// A sound after seconds of silence.
fn silence_then(seconds: f64, sound: &Audio) -> Audio {
    Audio::concatenate(&[&Audio::silence(RATE, 1, (seconds * f64::from(RATE)) as usize), sound]).unwrap()
}

#[test]
fn a_reference_that_is_late_is_compared_over_its_whole_sound_and_the_input_is_heard_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let sound = noise(1).slice(..RATE as usize).unwrap();
    let (dry, late) = (file(folder.path(), "s.wav", &sound), file(folder.path(), "late.wav", &silence_then(1.25, &sound)));
    let finished = finish(&format!("file:{}", late.display()), "dry", vec![SoundSource::File(dry)]);
    let found = &finished.report.sounds[0];
    assert_eq!((found.first_frame, found.compared_frames), (60_000, 48_000));
    assert!((found.alignment.as_ref().unwrap().delay_frames + 60_000.0).abs() < 0.01, "{:?}", found.alignment);
    assert_eq!(finished.report.verdict.id, "delay");
    let tracks = &finished.players[0].tracks;
    assert_eq!(tracks.iter().map(|track| track.id).collect::<Vec<_>>(), ["input", "a", "b", "difference"]);
    assert!(tracks[0].file == tracks[1].file, "the input is played at the time of A");
}

#[test]
fn a_sound_is_found_in_a_file_of_minutes_and_only_its_part_counts() {
    let folder = tempfile::tempdir().unwrap();
    let sound = noise(1);
    let before = generate::pink(RATE, 0.2, 100 * RATE as usize, 5).unwrap();
    let after = generate::pink(RATE, 0.2, 80 * RATE as usize, 6).unwrap();
    let session = Audio::concatenate(&[&before, &sound.multiply(0.5).unwrap(), &after]).unwrap();
    let (dry, session) = (file(folder.path(), "dry.wav", &sound), file(folder.path(), "session.wav", &session));
    let session = format!("file:{}", session.display());
    let found = &finish("dry", &session, vec![SoundSource::File(dry.clone())]).report.sounds[0];
    let alignment = found.alignment.as_ref().unwrap();
    assert_eq!((alignment.delay_frames, alignment.ambiguous), (f64::from(100 * RATE), false));
    assert!((alignment.gain_db + 6.02).abs() < 0.01, "{alignment:?}");
    assert_eq!((found.b_frames, found.first_frame, found.compared_frames), (182 * RATE as usize, 0, sound.frames()));
    assert!(found.aligned["null_db"].unwrap() < -90.0, "{:?}", found.aligned);
    // Without alignment the beginning of the file is compared: noise of its own.
    assert!(found.raw["null_db"].unwrap() > 3.0, "{:?}", found.raw);
    // The long file as the reference.
    let found = &finish(&session, "dry", vec![SoundSource::File(dry)]).report.sounds[0];
    assert_eq!(found.alignment.as_ref().unwrap().delay_frames, -f64::from(100 * RATE));
    assert_eq!((found.a_frames, found.first_frame), (182 * RATE as usize, 100 * RATE as usize));
    // A sound that is not in it has nothing in common with it.
    let other = file(folder.path(), "other.wav", &noise(9));
    assert_eq!(finish("dry", &session, vec![SoundSource::File(other)]).report.verdict.id, "unrelated");
}

#[test]
fn sides_that_share_fewer_than_512_frames_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let short = file(folder.path(), "short.wav", &noise(1).slice(..500).unwrap());
    assert!(line("dry", "dry", vec![SoundSource::File(short)]).contains("short: the sides have 500 frames at the same time"));
}

#[test]
fn a_refused_sound_passes_no_limit_of_sounds_and_the_verdict_counts_it() {
    let folder = tempfile::tempdir().unwrap();
    file(folder.path(), "good.wav", &noise(1));
    file(folder.path(), "silent.wav", &Audio::silence(RATE, 1, 48_000));
    let sounds = SoundSource::of_paths(&[folder.path().into()]).unwrap();
    let limits = ["esr=1", "aliasing=100"].iter().flat_map(|text| Limit::parse(text).unwrap()).collect();
    let report = compare(&Request { limits, ..request("saturator", "saturator", sounds) }, &|_| true).unwrap().report;
    assert!(report.verdict.sentences[1].ends_with("1 of 2 sounds could not be compared."), "{:?}", report.verdict);
    let [of_sounds, of_effect] = report.limits.as_slice() else { panic!("{:?}", report.limits) };
    assert!(!of_sounds.passed && of_effect.passed, "{:?}", report.limits);
    assert_eq!(of_sounds.line(), "esr of silent: no figure; expected 1 or less");
}

#[test]
fn a_limit_of_a_measure_that_only_describes_holds_for_the_figures_of_b_and_one_without_a_figure_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let dry = file(folder.path(), "dry.wav", &noise(1));
    let texts = ["thd=0", "peak_dbfs=0", "peak_dbfs=-1..0", "imd_smpte=1000", "rtf=1"];
    let limits = texts.iter().flat_map(|text| Limit::parse(text).unwrap()).collect();
    let request = request("dry", "saturator drive=24", vec![SoundSource::File(dry)]);
    let report = compare(&Request { limits, ..request }, &|_| true).unwrap().report;
    let figure = |index: usize| report.limits[index].found;
    assert_eq!(figure(0), report.alone.b.as_ref().unwrap().figures["thd"]);
    assert_eq!(figure(1), report.sounds[0].b["peak_dbfs"]);
    assert_eq!(report.limits.iter().map(|limit| limit.passed).collect::<Vec<_>>(), [false, true, false, true, true, false]);
    // No time was measured.
    assert_eq!((figure(5), report.limits[5].line().as_str()), (None, "rtf: no figure; expected 1 or less"));
    let dry_b = super::request("saturator", "dry", vec![SoundSource::BuiltIn(BuiltIn::Noise, -3.0, 1)]);
    let limits = Limit::parse("thd=100").unwrap();
    let report = compare(&Request { limits, ..dry_b }, &|_| true).unwrap().report;
    assert_eq!((report.limits[0].found, report.limits[0].passed), (None, false));
}

#[test]
fn the_first_compared_sounds_have_rulers_and_every_sound_has_the_floor_of_a() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.wav", "b.wav", "c.wav"] {
        file(folder.path(), name, &Audio::silence(RATE, 1, 48_000));
    }
    let names = ["d", "e", "f", "g"];
    for (seed, name) in names.iter().enumerate() {
        file(folder.path(), &format!("{name}.wav"), &noise(seed as u64));
    }
    let sounds = SoundSource::of_paths(&[folder.path().into()]).unwrap();
    let random = "bitcrusher bits=8 dither=tpdf";
    let finished = finish(random, random, sounds.clone());
    assert_eq!(finished.report.rulers.iter().map(|ruler| ruler.sound.as_str()).collect::<Vec<_>>(), names[..3]);
    assert_eq!(finished.players.iter().map(|player| player.sound.as_str()).collect::<Vec<_>>(), names[..3]);
    for sound in &finished.report.sounds {
        let floor = sound.floor_db.unwrap();
        assert!((-80.0..-20.0).contains(&floor), "{}: {floor}", sound.name);
    }
    let exact = finish("saturator", "clipper", sounds).report;
    assert!(exact.sounds.iter().all(|sound| sound.floor_db.is_none()));
}

#[test]
fn a_longer_side_is_not_identical() {
    let folder = tempfile::tempdir().unwrap();
    let longer = Audio::concatenate(&[&noise(1), &noise(2)]).unwrap();
    let (dry, longer) = (file(folder.path(), "dry.wav", &noise(1)), file(folder.path(), "longer.wav", &longer));
    let report = finish("dry", &format!("file:{}", longer.display()), vec![SoundSource::File(dry)]).report;
    assert_eq!((report.sounds[0].a_frames, report.sounds[0].b_frames), (96_000, 192_000));
    assert_eq!(report.verdict.id, "aligned");
    assert!(report.warnings.iter().any(|text| text.contains("A has 96000 frames and B 192000")), "{:?}", report.warnings);
}

#[test]
fn a_side_that_cannot_be_measured_alone_stays_blank_and_the_sounds_are_compared() {
    let folder = tempfile::tempdir().unwrap();
    let low = file(folder.path(), "low.wav", &generate::pink(6_000, 0.1, 12_000, 1).unwrap());
    let report = finish("saturator", "clipper", vec![SoundSource::File(low)]).report;
    assert!(report.alone.a.is_none() && report.alone.b.is_none());
    assert_eq!(report.sounds.len(), 1);
    assert!(report.warnings[0].starts_with("A is not measured alone: sample rate is 6000 Hz"), "{:?}", report.warnings);
}

#[test]
fn each_sound_names_the_file_of_a_side_with_its_hash() {
    let home = tempfile::tempdir().unwrap();
    let (dry, wet) = (home.path().join("dry"), home.path().join("wet"));
    for folder in [&dry, &wet] {
        std::fs::create_dir(folder).unwrap();
        file(folder, "one.wav", &noise(1));
        file(folder, "two.wav", &noise(2));
    }
    let report = finish("dry", &format!("file:{}", wet.display()), SoundSource::of_paths(&[dry]).unwrap()).report;
    let hashes: Vec<String> = report
        .sounds
        .iter()
        .map(|sound| {
            let facts = sound.b_file.as_ref().unwrap();
            assert_eq!(Path::new(&facts.path), wet.join(format!("{}.wav", sound.name)));
            assert!(sound.a_file.is_none());
            facts.sha256.clone().unwrap()
        })
        .collect();
    assert!(hashes.len() == 2 && hashes[0] != hashes[1], "{hashes:?}");
}

#[test]
fn the_progress_moves_within_a_sound() {
    let seen = std::sync::Mutex::new(Vec::new());
    let sounds = vec![SoundSource::BuiltIn(BuiltIn::Noise, -3.0, 1)];
    let watch = |share: f64| {
        seen.lock().unwrap().push(share);
        true
    };
    compare(&request("dry", "saturator", sounds), &watch).unwrap();
    let seen = seen.into_inner().unwrap();
    assert!(seen.is_sorted() && seen.iter().all(|share| (0.0..=1.0).contains(share)), "{seen:?}");
    // One sound of four units of work: its stages lie below a quarter.
    let within = seen.iter().filter(|share| **share > 0.0 && **share < 0.24).count();
    assert!(within >= 3, "{seen:?}");
}

#[test]
fn a_comparison_that_is_cancelled_ends_as_such() {
    let sounds = vec![SoundSource::BuiltIn(BuiltIn::Noise, -3.0, 1)];
    assert!(matches!(compare(&request("dry", "saturator", sounds), &|_| false), Err(CompareError::Cancelled)));
}

#[test]
fn effects_do_not_drift_apart() {
    let sweep = vec![SoundSource::BuiltIn(BuiltIn::Sweep, -3.0, 1)];
    let report = finish("saturator drive=24", "dry", sweep).report;
    let alignment = report.sounds[0].alignment.as_ref().unwrap();
    assert_eq!((alignment.is_drifting, alignment.drift_ppm), (false, None), "{alignment:?}");
    assert!(!report.warnings.iter().any(|warning| warning.contains("ppm")), "{:?}", report.warnings);
}

#[test]
fn an_uncertain_delay_is_said_to_be_uncertain() {
    let folder = tempfile::tempdir().unwrap();
    // Dull noise with as much of another.
    let dull = |seed: u64| {
        let mut sound = noise(seed);
        let (mut once, mut twice) = (0.0, 0.0);
        for x in sound.channel_mut(0) {
            once += 0.15 * (*x - once);
            twice += 0.15 * (once - twice);
            *x = twice;
        }
        sound
    };
    let path = file(folder.path(), "dry.wav", &dull(1));
    let wet = file(folder.path(), "wet.wav", &dull(1).add(&dull(3)).unwrap());
    let report = finish("dry", &format!("file:{}", wet.display()), vec![SoundSource::File(path)]).report;
    let error = report.sounds[0].alignment.as_ref().unwrap().delay_uncertainty_frames;
    let is_said = report.warnings.iter().any(|warning| warning.contains("the delay is uncertain, by"));
    assert!(error > 0.1 && is_said, "{error}: {:?}", report.warnings);
}

#[test]
fn sounds_in_memory_give_the_figures_of_files() {
    let folder = tempfile::tempdir().unwrap();
    let (dry, wet) = (noise(1), noise(1).slice(100..).unwrap());
    let given = |name: &str, audio: &Audio| Arc::new(Sound::new(name.into(), audio.clone()).unwrap());
    let (dry_file, wet_file) = (file(folder.path(), "dry.wav", &dry), file(folder.path(), "wet.wav", &wet));
    let files = finish("dry", &format!("file:{}", wet_file.display()), vec![SoundSource::File(dry_file)]).report;
    let sounds = vec![SoundSource::Given(given("dry", &dry))];
    let request = Request { b: Side::Sound(given("wet", &wet)), ..request("dry", "dry", sounds) };
    let memory = compare(&request, &|_| true).unwrap().report;
    let (of_file, of_memory) = (&files.sounds[0], &memory.sounds[0]);
    assert_eq!((&of_file.aligned, &of_file.alignment), (&of_memory.aligned, &of_memory.alignment));
    assert_eq!((&of_file.name, &of_file.sha256), (&of_memory.name, &of_memory.sha256));
    assert_eq!((of_memory.path.as_ref(), memory.b.text.as_str(), files.verdict.id), (None, "wet", memory.verdict.id));
    let refused = |side: &Audio, sounds: Vec<SoundSource>| {
        compare(&Request { b: Side::Sound(given("wet", side)), sounds, ..request.clone() }, &|_| true).unwrap_err().to_string()
    };
    let two = vec![request.sounds[0].clone(), SoundSource::Given(given("other", &noise(2)))];
    assert!(refused(&wet, two).contains("wet: one sound of a side for 2 sounds"));
    assert!(refused(&wet.slice(..RATE as usize).unwrap(), request.sounds.clone()).contains("wet: 1.00 s long"));
}
