//! Splits, markers and triggers.

use super::*;

#[test]
fn a_split_loses_no_frame_wherever_the_take_ends() {
    for frames in [30_000u64, 29_999, 30_001, 4_800, 4_799, 1, 9_600] {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = settings(&folder, 2);
        settings.split_seconds = Some(0.1);
        settings.interleaved = true;
        let (recorder, mut writer) = Recorder::open(settings).unwrap();
        writer.set_blocking(true);
        for at in (0..frames).step_by(700) {
            writer.write(&block(2, at, 700.min(frames - at) as usize));
        }
        let (folder, manifest) = only(recorder.close());
        assert_eq!(manifest.frames, frames);
        assert_eq!(manifest.stems[0].parts.len() as u64, frames.div_ceil(4_800));
        assert!(manifest.stems.iter().all(|s| s.parts.iter().rev().skip(1).all(|p| p.frames == 4_800)));
        assert_take_is_exact(&folder, &manifest, 0);
        assert_eq!(fs::read_dir(&folder).unwrap().count() as u64, 3 * frames.div_ceil(4_800) + 1);
    }
}

#[test]
fn starts_stops_and_marks_of_the_audio_thread_are_frame_exact() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(&folder, 2);
    settings.start = StartTrigger::Manual;
    let (recorder, mut writer) = Recorder::open(settings).unwrap();
    writer.set_blocking(true);
    let mut at = 0;
    let mut give = |writer: &mut isotherm::record::Writer, n: usize| {
        writer.write(&block(2, at, n));
        at += n as u64;
    };
    give(&mut writer, 1000);
    writer.start();
    give(&mut writer, 50);
    writer.mark();
    writer.start();
    give(&mut writer, 450);
    writer.stop();
    give(&mut writer, 77);
    writer.stop();
    writer.mark();
    writer.start();
    give(&mut writer, 300);
    let takes = recorder.close();
    assert_eq!(takes.len(), 2);
    assert_eq!(takes.iter().map(|(_, m)| m.frames).collect::<Vec<_>>(), [500, 300]);
    let markers: Vec<_> = takes[0].1.markers.iter().map(|m| (m.position, m.name.as_str())).collect();
    assert_eq!(markers, [(50, "Marker 1")]);
    assert_eq!(takes[0].1.ended, "by hand");
    assert_take_is_exact(&takes[0].0, &takes[0].1, 1000);
    assert_take_is_exact(&takes[1].0, &takes[1].1, 1577);
    assert_ne!(takes[0].0, takes[1].0);
}

#[test]
fn starts_stops_and_marks_of_the_interface_happen_after_the_frames_given_so_far() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(&folder, 1);
    settings.start = StartTrigger::Manual;
    settings.pre_roll_seconds = 0.01;
    let (recorder, mut writer) = Recorder::open(settings).unwrap();
    assert_eq!((recorder.health().phase, recorder.health().folder), (RecorderPhase::Standby, None));
    writer.write(&block(1, 0, 1000));
    recorder.start();
    wait_until(|| recorder.health().phase == RecorderPhase::Recording);
    writer.write(&block(1, 1000, 500));
    recorder.mark(Some("Chorus <&>".into()));
    writer.write(&block(1, 1500, 500));
    recorder.stop();
    wait_until(|| recorder.health().phase == RecorderPhase::Standby);
    writer.write(&block(1, 2000, 500));
    let health = recorder.health();
    assert_eq!((health.light, health.frames, health.markers), (StatusLight::Green, 1480, 1));
    assert!(health.disk_seconds_left.unwrap() > 0.0);
    let (folder, manifest) = only(recorder.close());
    assert_eq!((manifest.frames, manifest.pre_roll_frames), (1480, 480));
    assert_eq!((manifest.markers[0].position, manifest.markers[0].name.as_str()), (980, "Chorus <&>"));
    assert_take_is_exact(&folder, &manifest, 520);
}

#[test]
fn level_and_silence_start_and_stop_takes_frame_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(&folder, 2);
    settings.start = StartTrigger::Level { db: -20.0 };
    settings.stop = StopConditions { after_seconds: None, below: Some((-20.0, 0.05)) };
    settings.pre_roll_seconds = 0.02;
    let (recorder, mut writer) = Recorder::open(settings).unwrap();
    writer.set_blocking(true);
    // One channel is loud from 5000 to 6999, at 8000 and at 20000; 2400 quiet frames end a take.
    let is_loud = |i: u64| (5000..7000).contains(&i) || i == 8000 || i == 20_000;
    let sound: Vec<f32> = (0..30_000).map(|i| if is_loud(i) { -0.5 } else { 0.01 }).collect();
    for part in sound.chunks(333) {
        let quiet = vec![0.0; part.len()];
        writer.write(&[part, &quiet[..]]);
    }
    let takes = recorder.close();
    let found: Vec<_> = takes.iter().map(|(_, m)| (m.frames, m.pre_roll_frames, m.ended.as_str())).collect();
    assert_eq!(found, [(960 + 3001 + 2400, 960, "by silence"), (960 + 1 + 2400, 960, "by silence")]);
    for ((folder, manifest), first) in takes.iter().zip([5000 - 960, 20_000 - 960]) {
        let codes = stem_codes(folder, manifest, 0);
        let expected = |i: u64| if is_loud(i) { -4_194_304 } else { 83_886 };
        assert!((first..).zip(codes).all(|(i, x)| x == expected(i)));
        assert_eq!(verify(folder).unwrap().problems, [""; 0]);
    }
}

#[test]
fn a_take_ends_after_the_set_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(&folder, 1);
    settings.stop.after_seconds = Some(0.25);
    let (recorder, mut writer) = Recorder::open(settings).unwrap();
    writer.set_blocking(true);
    for at in 0..100 {
        writer.write(&block(1, at * 256, 256));
    }
    let (folder, manifest) = only(recorder.close());
    assert_eq!((manifest.frames, manifest.ended.as_str()), (12_000, "after the time that was set"));
    assert_take_is_exact(&folder, &manifest, 0);
}
