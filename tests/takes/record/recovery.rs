//! What a crash leaves.

use super::*;

#[test]
fn what_a_crash_leaves_at_any_moment_becomes_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(&folder, 5);
    settings.split_seconds = Some(0.9);
    settings.interleaved = true;
    let (recorder, mut writer) = Recorder::open(settings).unwrap();
    writer.wait(true);
    let path = recorder.health().folder.unwrap();
    let running = recover(&path).unwrap_err().to_string();
    assert!(running.ends_with("it is being recorded; stop that first"), "{running}");
    let mut left = Vec::new();
    for at in 0..40 {
        writer.write(&block(5, at * 4801, 4801));
        until(|| recorder.health().frames == (at + 1) * 4801);
        // Files are copied one after another while they grow: worse than any crash, which stops all at once.
        let to = folder.path().join(format!("left {at}"));
        copy(&path, &to);
        left.push(to);
    }
    drop(recorder);
    let mut longest = 0;
    for path in left {
        let before = verify(&path).unwrap().problems;
        assert_eq!(before, ["it was left unfinished; `isotherm recover` makes it whole"]);
        let recovered = recover(&path).unwrap();
        if recovered.manifest.frames > 0 {
            assert_good(&path, &recovered.manifest, 0);
        } else {
            assert_eq!(verify(&path).unwrap().problems, ["the take has no frames: nothing came to be recorded"]);
        }
        assert!(recovered.notes.iter().all(|note| !note.contains('\n')));
        assert!(recover(&path).unwrap_err().to_string().contains("the take is finished"));
        longest = longest.max(recovered.manifest.frames);
    }
    assert!(longest > 100_000, "{longest}");
}

#[test]
fn a_stem_whose_name_ends_like_a_part_is_recovered_under_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(&folder, 2);
    settings.channels[1].name = "Horn part 2".into();
    let (recorder, mut writer) = Recorder::open(settings).unwrap();
    for at in 0..10 {
        writer.write(&block(2, at * 480, 480));
    }
    let (path, _) = only(recorder.close());
    fs::remove_file(path.join("take.json")).unwrap();
    let recovered = recover(&path).unwrap().manifest;
    assert_eq!(recovered.stems.iter().map(|s| &*s.name).collect::<Vec<_>>(), ["Channel 1", "Horn part 2"]);
    assert_eq!(recovered.frames, 4_800);
    assert_good(&path, &recovered, 0);
}

#[test]
fn a_stem_that_is_short_gets_listed_silence_and_a_lost_manifest_is_rebuilt() {
    let folder = tempfile::tempdir().unwrap();
    let (recorder, mut writer) = Recorder::open(settings(&folder, 3)).unwrap();
    writer.wait(true);
    for at in 0..100 {
        writer.write(&block(3, at * 480, 480));
    }
    let path = recorder.health().folder.unwrap();
    until(|| fs::metadata(path.join("03 Channel 3.wav")).unwrap().len() > 100_000);
    for without_manifest in [false, true] {
        let left = folder.path().join(format!("2026-11-20T20-15-03 left {without_manifest}"));
        copy(&path, &left);
        let length = fs::metadata(left.join("02 Channel 2.wav")).unwrap().len();
        fs::OpenOptions::new().write(true).open(left.join("02 Channel 2.wav")).unwrap().set_len(length - 3001).unwrap();
        if without_manifest {
            fs::remove_file(left.join("take.json")).unwrap();
        }
        let recovered = recover(&left).unwrap();
        let gap = &only(recovered.manifest.gaps.clone());
        assert_eq!((gap.stem, gap.frames, gap.position + gap.frames), (Some(2), 1001, recovered.manifest.frames));
        assert!(recovered.notes.iter().any(|note| note.contains("02 Channel 2.wav: 1001 frames")), "{:?}", recovered.notes);
        assert_good(&left, &recovered.manifest, 0);
    }
    drop(recorder);
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    assert!(recover(&empty).unwrap_err().to_string().ends_with("there is no take.json and no stem to recover"));
}

#[test]
fn what_a_cut_keeps_from_being_known_stands_in_the_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let (takes, path) = left_behind(&folder, settings(&folder, 2), |_| {}, "");
    assert_eq!(unfinished(&takes), [path.as_path()]);
    let bare = takes.join("bare");
    copy(&path, &bare);
    fs::remove_file(bare.join("take.json")).unwrap();
    let recovered = recover(&path).unwrap();
    let told = Manifest::load(&path).unwrap();
    assert_eq!(told, recovered.manifest);
    let unknown = &only(told.unknown.clone());
    assert_eq!((unknown.position, unknown.frames), (told.frames, u64::from(RATE)));
    for text in [told.not_known().unwrap(), told.summary(), recovered.notes.concat()] {
        assert!(text.contains("the last second before the recording was cut off"), "{text}");
    }
    assert!(unfinished(&takes).is_empty() && verify(&path).unwrap().problems.is_empty());
    // One that was recovered before manifests said so.
    let file = path.join("take.json");
    let mut old: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert!(old.as_object_mut().unwrap().remove("unknown").is_some() && old.get("changes").is_none());
    fs::write(&file, old.to_string()).unwrap();
    assert_eq!(Manifest::load(&path).unwrap(), told);
    // Without a manifest less is known.
    let unknown = recover(&bare).unwrap().manifest.unknown;
    assert_eq!((unknown.len(), unknown[0].position, unknown[0].frames), (2, 0, told.frames));
    assert!(unknown[0].reason.contains("gaps, overs"), "{}", unknown[0].reason);
    // Of a take that ended well all is known.
    let (recorder, mut writer) = Recorder::open(settings(&folder, 1)).unwrap();
    writer.write(&block(1, 0, 480));
    let (path, manifest) = only(recorder.close());
    assert_eq!((manifest.not_known(), fs::read_to_string(path.join("take.json")).unwrap().contains("unknown")), (None, false));
}

#[test]
fn a_take_is_its_recorders_until_it_is_finished() {
    let folder = tempfile::tempdir().unwrap();
    // Files are synced when they are finished; the manifest is saved behind that.
    let disk = Faulty { only_sync: true, ..Faulty::new(u64::MAX) };
    let (recorder, mut writer) = Recorder::open_on(Box::new(disk.clone()), settings(&folder, 2)).unwrap();
    writer.write(&block(2, 0, 4800));
    let path = recorder.health().folder.unwrap();
    disk.set_open(false);
    recorder.stop();
    until(|| disk.waiting.load(Ordering::Relaxed) > 0);
    let found = unfinished(folder.path());
    let refused = recover(&path).map_or_else(|error| error.to_string(), |_| "recovered".into());
    disk.set_open(true);
    assert_eq!(found, Vec::<PathBuf>::new());
    assert!(refused.ends_with("it is being recorded; stop that first"), "{refused}");
    let (path, manifest) = only(recorder.close());
    assert_eq!(manifest.frames, 4800);
    assert_good(&path, &manifest, 0);
    assert!(!path.join(".reserve").exists());
}
