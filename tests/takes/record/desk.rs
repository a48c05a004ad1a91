//! What a desk changes.

use super::*;

fn tracked(folder: &TempDir) -> Settings {
    let mut settings = settings(folder, 2);
    let track = DeskTrack { source: "Local 1".into(), colour: Some("red".into()), note: None };
    settings.channels[0].desk = Some(track);
    settings
}

#[test]
fn what_a_desk_changes_stands_in_the_take_at_its_frame_for_each_stem_of_the_channel() {
    let folder = tempfile::tempdir().unwrap();
    let (recorder, mut writer) = Recorder::open(tracked(&folder)).unwrap();
    writer.wait(true);
    writer.write(&block(2, 0, 4801));
    let begun = Instant::now();
    recorder.change(vec![change("source", "Local 1", Some("AES50-A 1"))]);
    recorder.change(vec![SourceChange { source: 7, ..change("source", "Local 8", Some("AES50-A 8")) }]);
    writer.write(&block(2, 4801, 480));
    recorder.change(vec![SourceChange { since: Some(begun - Duration::from_millis(50)), ..change("colour", "red", None) }]);
    // Told long after it was heard: at the frame of then, and not before the take.
    recorder.change(vec![SourceChange { at: begun - Duration::from_secs(60), ..change("name", "Kick", Some("Boom")) }]);
    writer.write(&block(2, 5281, 480));
    let (path, manifest) = only(recorder.close());
    assert_good(&path, &manifest, 0);
    let told: Vec<_> = manifest.changes.iter().map(|c| (c.position, c.stem, c.what.as_str(), c.to.as_deref())).collect();
    let told = |index: usize| told[index];
    assert_eq!(manifest.changes.len(), 3);
    // By their frames.
    assert_eq!(told(0), (0, 1, "name", Some("Boom")));
    assert_eq!(told(1), (4801, 1, "source", Some("AES50-A 1")));
    assert_eq!((told(2).0, told(2).2, told(2).3), (5281, "colour", None));
    assert!(manifest.changes[2].since.is_some_and(|since| (1..5281).contains(&since)));
    // The stem says what it began with.
    assert_eq!(manifest.stems[0].desk.as_ref().unwrap().source, "Local 1");
    assert!(manifest.summary().contains(", 3 changes on the desk"), "{}", manifest.summary());
    for (lie, expected) in [
        ((|m: &mut Manifest| m.changes[1].position = 5762) as fn(&mut Manifest), "a change of stem 1 at frame 5762"),
        (|m| m.changes[1].stem = 3, "a change of stem 3 at frame 4801"),
        (|m| m.changes[2].since = Some(5282), "a change of stem 1 at frame 5281"),
    ] {
        let mut lying = manifest.clone();
        lie(&mut lying);
        lying.save(&path).unwrap();
        assert!(only(verify(&path).unwrap().problems).contains(expected), "{expected}");
    }
}

#[test]
fn what_changed_before_a_take_is_what_it_began_with_but_for_its_pre_roll() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = tracked(&folder);
    (settings.start, settings.pre_roll_seconds) = (Start::Hand, 1.0);
    let (recorder, mut writer) = Recorder::open(settings.clone()).unwrap();
    writer.wait(true);
    writer.write(&block(2, 0, 480));
    recorder.change(vec![change("source", "Local 1", Some("Local 2"))]);
    writer.write(&block(2, 480, 48_000));
    recorder.change(vec![change("source", "Local 2", Some("Local 3"))]);
    // The names of the next take; what is said of its channels follows what was told.
    let track = DeskTrack { source: "Local 3".into(), colour: Some("red".into()), note: None };
    settings.channels[0] = Channel { desk: Some(track), ..Channel::new(0, "Boom") };
    recorder.describe(&settings).unwrap();
    writer.write(&block(2, 48_480, 12_000));
    recorder.start();
    writer.write(&block(2, 60_480, 480));
    recorder.stop();
    writer.write(&block(2, 60_960, 96_000));
    recorder.start();
    writer.write(&block(2, 156_960, 480));
    let takes = recorder.close();
    let told: Vec<_> = takes
        .iter()
        .map(|(_, m)| {
            let changes: Vec<_> = m.changes.iter().map(|c| (c.position, c.to.as_deref().unwrap())).collect();
            (m.stems[0].name.as_str(), m.stems[0].desk.as_ref().unwrap().source.as_str(), changes)
        })
        .collect();
    // The first take begins at frame 12480.
    assert_eq!(told, [("Boom", "Local 2", vec![(36_000, "Local 3")]), ("Boom", "Local 3", vec![])]);
    takes.iter().for_each(|(path, _)| assert_eq!(verify(path).unwrap().problems, [""; 0]));
}

#[test]
fn what_a_desk_changed_outlives_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let told = |recorder: &Recorder| recorder.change(vec![change("source", "Local 1", Some("AES50-A 1"))]);
    let (_, path) = left_behind(&folder, tracked(&folder), told, "AES50-A 1");
    let changes = recover(&path).unwrap().manifest.changes;
    assert_eq!((only(changes.clone()).position, changes[0].to.as_deref()), (48_000, Some("AES50-A 1")));
    assert_eq!(verify(&path).unwrap().problems, [""; 0]);
}
