//! Changes on a desk during a take.

use super::*;

/// Settings of a take whose first channel has a desk's metadata.
fn settings_with_desk(folder: &TempDir) -> RecorderSettings {
    let mut settings = settings(folder, 2);
    let track = DeskChannelInfo { source: "Local 1".into(), colour: Some("red".into()), note: None };
    settings.channels[0].desk = Some(track);
    settings
}

#[test]
fn changes_on_a_desk_are_listed_at_their_frames_for_each_stem_of_the_channel() {
    let folder = tempfile::tempdir().unwrap();
    let (recorder, mut writer) = Recorder::open(settings_with_desk(&folder)).unwrap();
    writer.set_blocking(true);
    writer.write(&block(2, 0, 4801));
    let begun = Instant::now();
    recorder.source_changed(vec![change("source", "Local 1", Some("AES50-A 1"))]);
    recorder.source_changed(vec![SourceChange { source_channel: 7, ..change("source", "Local 8", Some("AES50-A 8")) }]);
    writer.write(&block(2, 4801, 480));
    recorder
        .source_changed(vec![SourceChange { since: Some(begun - Duration::from_millis(50)), ..change("colour", "red", None) }]);
    // The disk thread has listed the changes of later frames before the next report comes.
    while recorder.health().frames < 5281 {
        std::thread::sleep(Duration::from_millis(1));
    }
    // A report from before the take is listed at its first frame.
    recorder.source_changed(vec![SourceChange { at: begun - Duration::from_secs(60), ..change("name", "Kick", Some("Boom")) }]);
    writer.write(&block(2, 5281, 480));
    let (path, manifest) = only(recorder.close());
    assert_take_is_exact(&path, &manifest, 0);
    let listed: Vec<_> = manifest.changes.iter().map(|c| (c.position, c.stem, c.what.as_str(), c.to.as_deref())).collect();
    assert_eq!(manifest.changes.len(), 3);
    assert_eq!(listed[0], (0, 1, "name", Some("Boom")));
    assert_eq!(listed[1], (4801, 1, "source", Some("AES50-A 1")));
    assert_eq!((listed[2].0, listed[2].2, listed[2].3), (5281, "colour", None));
    assert!(manifest.changes[2].since.is_some_and(|since| (1..5281).contains(&since)));
    // The stem keeps the metadata of the take's start.
    assert_eq!(manifest.stems[0].desk.as_ref().unwrap().source, "Local 1");
    assert!(manifest.summary().contains(", 3 changes on the desk"), "{}", manifest.summary());
    // A manifest with a false change does not verify.
    for (falsify, expected) in [
        ((|m: &mut Manifest| m.changes[1].position = 5762) as fn(&mut Manifest), "a change of stem 1 at frame 5762"),
        (|m| m.changes[1].stem = 3, "a change of stem 3 at frame 4801"),
        (|m| m.changes[2].since = Some(5282), "a change of stem 1 at frame 5281"),
    ] {
        let mut false_manifest = manifest.clone();
        falsify(&mut false_manifest);
        false_manifest.save(&path).unwrap();
        assert!(only(verify(&path).unwrap().problems).contains(expected), "{expected}");
    }
}

#[test]
fn a_take_begins_with_the_metadata_of_its_first_frame_even_in_the_pre_roll() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings_with_desk(&folder);
    (settings.start, settings.pre_roll_seconds) = (StartTrigger::Manual, 1.0);
    let (recorder, mut writer) = Recorder::open(settings.clone()).unwrap();
    writer.set_blocking(true);
    writer.write(&block(2, 0, 480));
    recorder.source_changed(vec![change("source", "Local 1", Some("Local 2"))]);
    writer.write(&block(2, 480, 48_000));
    recorder.source_changed(vec![change("source", "Local 2", Some("Local 3"))]);
    // The new description's names apply to the next take; its metadata does not, since only reported changes apply.
    let track = DeskChannelInfo { source: "Local 3".into(), colour: Some("red".into()), note: None };
    settings.channels[0] = Channel { desk: Some(track), ..Channel::new(0, "Boom") };
    recorder.set_description(&settings).unwrap();
    writer.write(&block(2, 48_480, 12_000));
    recorder.start();
    writer.write(&block(2, 60_480, 480));
    recorder.stop();
    writer.write(&block(2, 60_960, 96_000));
    recorder.start();
    writer.write(&block(2, 156_960, 480));
    let takes = recorder.close();
    let begun: Vec<_> = takes
        .iter()
        .map(|(_, m)| {
            let changes: Vec<_> = m.changes.iter().map(|c| (c.position, c.to.as_deref().unwrap())).collect();
            (m.stems[0].name.as_str(), m.stems[0].desk.as_ref().unwrap().source.as_str(), changes)
        })
        .collect();
    // The first take begins at frame 12480.
    assert_eq!(begun, [("Boom", "Local 2", vec![(36_000, "Local 3")]), ("Boom", "Local 3", vec![])]);
    takes.iter().for_each(|(path, _)| assert_eq!(verify(path).unwrap().problems, [""; 0]));
}

#[test]
fn listed_changes_survive_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let report = |recorder: &Recorder| recorder.source_changed(vec![change("source", "Local 1", Some("AES50-A 1"))]);
    let (_, path) = interrupted_take(&folder, settings_with_desk(&folder), report, "AES50-A 1");
    let changes = recover(&path).unwrap().manifest.changes;
    assert_eq!((only(changes.clone()).position, changes[0].to.as_deref()), (48_000, Some("AES50-A 1")));
    assert_eq!(verify(&path).unwrap().problems, [""; 0]);
}
