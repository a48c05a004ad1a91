//! Recovery of takes that a crash left behind.

use super::*;

#[test]
fn a_take_that_crashed_at_any_moment_is_recovered() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(&folder, 5);
    settings.split_seconds = Some(0.9);
    settings.interleaved = true;
    let (recorder, mut writer) = Recorder::open(settings).unwrap();
    writer.set_blocking(true);
    let path = recorder.health().folder.unwrap();
    let running = recover(&path).unwrap_err().to_string();
    assert!(running.ends_with("it is being recorded; stop that first"), "{running}");
    let mut copies = Vec::new();
    for index in 0..40 {
        writer.write(&block(5, index * 4801, 4801));
        wait_until(|| recorder.health().frames == (index + 1) * 4801);
        // The files are copied one after another while they grow: worse than a crash, which stops all of them at once.
        let to = folder.path().join(format!("copy {index}"));
        copy(&path, &to);
        copies.push(to);
    }
    drop(recorder);
    let mut longest = 0;
    for path in copies {
        let before = verify(&path).unwrap().problems;
        assert_eq!(before, ["it was left unfinished; `isotherm recover` makes it whole"]);
        let recovered = recover(&path).unwrap();
        if recovered.manifest.frames > 0 {
            assert_take_is_exact(&path, &recovered.manifest, 0);
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
fn a_stem_whose_name_ends_like_a_part_keeps_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(&folder, 2);
    settings.channels[1].name = "Horn part 2".into();
    let (recorder, mut writer) = Recorder::open(settings).unwrap();
    for index in 0..10 {
        writer.write(&block(2, index * 480, 480));
    }
    let (path, _) = only(recorder.close());
    fs::remove_file(path.join("take.json")).unwrap();
    let recovered = recover(&path).unwrap().manifest;
    assert_eq!(recovered.stems.iter().map(|s| &*s.name).collect::<Vec<_>>(), ["Channel 1", "Horn part 2"]);
    assert_eq!(recovered.frames, 4_800);
    assert_take_is_exact(&path, &recovered, 0);
}

#[test]
fn a_short_stem_is_extended_with_a_listed_gap_and_a_missing_manifest_is_rebuilt() {
    let folder = tempfile::tempdir().unwrap();
    let (recorder, mut writer) = Recorder::open(settings(&folder, 3)).unwrap();
    writer.set_blocking(true);
    for index in 0..100 {
        writer.write(&block(3, index * 480, 480));
    }
    let path = recorder.health().folder.unwrap();
    wait_until(|| fs::metadata(path.join("03 Channel 3.wav")).unwrap().len() > 100_000);
    for without_manifest in [false, true] {
        // Named as a take is: without a manifest, the name of the take is what follows the first space.
        let crashed = folder.path().join(format!("2026-11-20T20-15-03 crashed {without_manifest}"));
        copy(&path, &crashed);
        // A frame has 3 bytes: 1000 whole frames and a part of one are cut off.
        let length = fs::metadata(crashed.join("02 Channel 2.wav")).unwrap().len();
        fs::OpenOptions::new().write(true).open(crashed.join("02 Channel 2.wav")).unwrap().set_len(length - 3001).unwrap();
        if without_manifest {
            fs::remove_file(crashed.join("take.json")).unwrap();
        }
        let recovered = recover(&crashed).unwrap();
        let gap = &only(recovered.manifest.gaps.clone());
        assert_eq!((gap.stem, gap.frames, gap.position + gap.frames), (Some(2), 1001, recovered.manifest.frames));
        assert!(recovered.notes.iter().any(|note| note.contains("02 Channel 2.wav: 1001 frames")), "{:?}", recovered.notes);
        assert_take_is_exact(&crashed, &recovered.manifest, 0);
    }
    drop(recorder);
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    assert!(recover(&empty).unwrap_err().to_string().ends_with("there is no take.json and no stem to recover"));
}

#[test]
fn the_unknown_facts_about_an_interrupted_take_are_in_its_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let (takes, path) = interrupted_take(&folder, settings(&folder, 2), |_| {}, "");
    assert_eq!(unfinished_takes(&takes), [path.as_path()]);
    let without_manifest = takes.join("bare");
    copy(&path, &without_manifest);
    fs::remove_file(without_manifest.join("take.json")).unwrap();
    let recovered = recover(&path).unwrap();
    let saved = Manifest::load(&path).unwrap();
    assert_eq!(saved, recovered.manifest);
    let unknown = &only(saved.unknown.clone());
    assert_eq!((unknown.position, unknown.frames), (saved.frames, u64::from(RATE)));
    for text in [saved.unknown_text().unwrap(), saved.summary(), recovered.notes.concat()] {
        assert!(text.contains("the last second before the recording was cut off"), "{text}");
    }
    assert!(unfinished_takes(&takes).is_empty() && verify(&path).unwrap().problems.is_empty());
    // A take that an older program recovered has no `unknown`; loading adds it.
    let file = path.join("take.json");
    let mut old: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert!(old.as_object_mut().unwrap().remove("unknown").is_some());
    assert!(old.get("changes").is_none(), "an empty list of changes is not written");
    fs::write(&file, old.to_string()).unwrap();
    assert_eq!(Manifest::load(&path).unwrap(), saved);
    // Without the manifest more is unknown.
    let unknown = recover(&without_manifest).unwrap().manifest.unknown;
    assert_eq!((unknown.len(), unknown[0].position, unknown[0].frames), (2, 0, saved.frames));
    assert!(unknown[0].reason.contains("gaps, overs"), "{}", unknown[0].reason);
    // Nothing is unknown about a take that its recorder finished.
    let (recorder, mut writer) = Recorder::open(settings(&folder, 1)).unwrap();
    writer.write(&block(1, 0, 480));
    let (path, manifest) = only(recorder.close());
    assert_eq!((manifest.unknown_text(), fs::read_to_string(path.join("take.json")).unwrap().contains("unknown")), (None, false));
}

#[test]
fn a_take_cannot_be_recovered_while_its_recorder_finishes_it() {
    let folder = tempfile::tempdir().unwrap();
    // Files are synced when they are finished, before the manifest is saved.
    let file_system = FaultyFileSystem { only_sync: true, ..FaultyFileSystem::new(u64::MAX) };
    let (recorder, mut writer) = Recorder::open_on(Box::new(file_system.clone()), settings(&folder, 2)).unwrap();
    writer.write(&block(2, 0, 4800));
    let path = recorder.health().folder.unwrap();
    file_system.set_running(false);
    recorder.stop();
    wait_until(|| file_system.stalled.load(Ordering::Relaxed) > 0);
    let found = unfinished_takes(folder.path());
    let refused = recover(&path).map_or_else(|error| error.to_string(), |_| "recovered".into());
    file_system.set_running(true);
    assert_eq!(found, Vec::<PathBuf>::new());
    assert!(refused.ends_with("it is being recorded; stop that first"), "{refused}");
    let (path, manifest) = only(recorder.close());
    assert_eq!(manifest.frames, 4800);
    assert_take_is_exact(&path, &manifest, 0);
    assert!(!path.join(".reserve").exists());
}
