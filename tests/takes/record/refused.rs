//! Settings that are refused, and takes whose manifest does not match their files.

use super::*;

#[test]
fn invalid_settings_are_refused_in_one_line_and_leave_no_file() {
    for (text, expected) in [
        (open_error(|s| s.name = "a/b".into()), "name: found 'a/b'; expected a name without /"),
        (open_error(|s| s.name = "x".repeat(300)), "; expected 1 to 120 bytes, these are 300"),
        (open_error(|s| s.channels[1].name = "..".into()), "channel name: found '..'; expected no space or dot at its ends"),
        (
            open_error(|s| s.channels[2].name = "Channel 1".into()),
            "channel name: found 'Channel 1' for stems 1 and 3; expected a name of its own for each stem",
        ),
        (open_error(|s| s.channels.clear()), "channels: found 0; expected 1 to 512"),
        (open_error(|s| s.pre_roll_seconds = 61.0), "pre-roll: found 61 s; expected 0 to 60 s"),
        (open_error(|s| s.buffer_seconds = f64::NAN), "buffer: found NaN s"),
        (open_error(|s| s.split_seconds = Some(0.0)), "split: found 0 s"),
        (open_error(|s| s.sample_rate = 0), "sample rate: found 0; expected 1 to 10000000 Hz"),
        (open_error(|s| s.folder = "/dev/null/takes".into()), "cannot create /dev/null/takes: "),
    ] {
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn takes_of_the_same_name_in_the_same_second_get_numbers() {
    loop {
        let folder = tempfile::tempdir().unwrap();
        let mut names = Vec::new();
        for n in 0..3 {
            let (recorder, mut writer) = Recorder::open(settings(&folder, 1)).unwrap();
            writer.set_blocking(true);
            writer.write(&block(1, n * 1000, 480));
            let (path, manifest) = only(recorder.close());
            assert_eq!(manifest.frames, 480);
            names.push((n, path));
        }
        for (n, path) in &names {
            assert_take_is_exact(path, &Manifest::load(path).unwrap(), n * 1000);
        }
        let first = names[0].1.display().to_string();
        // If the takes did not begin in the same second, they have no numbers: try again.
        if names[2].1.display().to_string().starts_with(&first) {
            let numbered: Vec<String> = names.iter().map(|(_, path)| path.display().to_string()).collect();
            assert_eq!(numbered, [first.clone(), format!("{first} 2"), format!("{first} 3")]);
            return;
        }
    }
}

#[test]
fn a_manifest_or_files_that_were_changed_do_not_verify() {
    let folder = tempfile::tempdir().unwrap();
    let (path, manifest) = take_with_all_features(&folder);
    assert_eq!(verify(&path).unwrap().problems, [""; 0]);
    assert_eq!((manifest.stems[0].overs, manifest.stems[0].nans), (1, 1));
    let text = fs::read_to_string(path.join("take.json")).unwrap();
    let problems_with = |change: fn(&mut Manifest)| {
        let mut false_manifest = manifest.clone();
        change(&mut false_manifest);
        false_manifest.save(&path).unwrap();
        let problems = verify(&path).unwrap().problems;
        fs::write(path.join("take.json"), &text).unwrap();
        assert!(problems.iter().all(|p| !p.contains('\n')));
        problems.join("; ")
    };
    for (found, expected) in [
        (problems_with(|m| m.frames += 1), "frames, its parts have"),
        (problems_with(|m| m.stems[0].parts.iter_mut().for_each(|part| part.frames = u64::MAX)), "01 Channel 1.wav: it has"),
        (problems_with(|m| m.stems[1].parts[0].frames -= 1), "02 Channel 2.wav: the manifest has"),
        (problems_with(|m| m.stems[1].parts[0].sha256 = Some("0".repeat(64))), "02 Channel 2.wav: its sound has SHA-256"),
        (
            problems_with(|m| m.sample_rate = 44_100),
            "it is 1 x 24-bit integer at 48000 Hz; expected 1 x 24-bit integer at 44100 Hz",
        ),
        (problems_with(|m| m.format = WavFormat::Int16), "it is 1 x 24-bit integer at 48000 Hz; expected 1 x 16-bit integer"),
        (problems_with(|m| m.time_reference += 1), "01 Channel 1.wav: it is of take"),
        (problems_with(|m| m.gaps[0].frames += 1), "there is sound in the gap at frame"),
        (problems_with(|m| m.gaps[0].position -= 1), "there is sound in the gap at frame"),
        (problems_with(|m| m.gaps[0].position = u64::MAX), "is not within"),
        (problems_with(|m| m.markers[0].position = m.frames + 1), "marker 'Marker 1'"),
        (problems_with(|m| m.stems[1].overs = 7), "stem 2: the manifest has 7 overs"),
        (problems_with(|m| m.stems[0].nans = 1_000_000), "stem 1: the manifest has 1 overs and 1000000 NaNs"),
        (problems_with(|m| drop(m.stems.pop())), "03 Channel 3.wav: it is not in the manifest"),
        (problems_with(|m| m.stems.swap(0, 1)), "the manifest has stem 2 in place of stem 1"),
        (
            problems_with(|m| m.stems[0].parts[0].file = "../x.wav".into()),
            "the manifest calls a file '../x.wav'; expected '01 Channel 1.wav'",
        ),
        (problems_with(|m| drop(m.stems[2].parts.pop())), "stem 3 has"),
        (problems_with(|m| m.state = isotherm::record::manifest::TakeState::Recording), "it was left unfinished"),
    ] {
        assert!(found.contains(expected), "'{found}' lacks '{expected}'");
    }
    for (broken, expected) in [
        ("{", "EOF"),
        ("[]", "expected struct"),
        ("{\"version\": 2}", "version: found 2, expected 1"),
        ("{\"version\": 1}", "missing field"),
        (&text.replace("\"24\"", "\"25\""), "format: found '25', expected 16, 24, 32 or 32f"),
    ] {
        fs::write(path.join("take.json"), broken).unwrap();
        let found = verify(&path).unwrap_err().to_string();
        assert!(found.contains(expected) && !found.contains('\n'), "{found}");
    }
    fs::write(path.join("take.json"), &text).unwrap();

    let [a, b] = ["01 Channel 1.wav", "02 Channel 2.wav"].map(|file| path.join(file));
    let swap = || {
        fs::rename(&a, path.join("x")).unwrap();
        fs::rename(&b, &a).unwrap();
        fs::rename(path.join("x"), &b).unwrap();
    };
    swap();
    let problems = verify(&path).unwrap().problems;
    assert_eq!(problems[0], "01 Channel 1.wav: its sound is that of '02 Channel 2.wav'");
    assert_eq!(problems[1], "02 Channel 2.wav: its sound is that of '01 Channel 1.wav'");
    swap();
    let whole = fs::read(&a).unwrap();
    for (bytes, expected) in [
        (&whole[..whole.len() - 1], "its header says"),
        (&whole[..1000], "it has 103 frames; expected 33600"),
        (&whole[..100], "it has no data chunk"),
        (b"RIFX", "it is no WAV file"),
    ] {
        fs::write(&a, bytes).unwrap();
        let problems = verify(&path).unwrap().problems;
        assert!(problems[0].starts_with("01 Channel 1.wav: ") && problems[0].contains(expected), "{problems:?}");
    }
    let mut flipped = whole.clone();
    flipped[5000] ^= 1;
    fs::write(&a, flipped).unwrap();
    assert!(only(verify(&path).unwrap().problems).contains("01 Channel 1.wav: its sound has SHA-256"));
    fs::remove_file(&a).unwrap();
    assert!(only(verify(&path).unwrap().problems).contains("01 Channel 1.wav: cannot open it"));
    fs::write(&a, whole).unwrap();
    assert_eq!(verify(&path).unwrap().problems, [""; 0]);
}
