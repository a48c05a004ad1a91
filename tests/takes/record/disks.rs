//! Slow and full disks.

use super::*;

/// Records while the disk stalls for so many seconds of sound, in real time if `paced`. Returns the folder, the take, its
/// manifest and the number of lost frames.
fn record_while_disk_stalls(seconds: u64, paced: bool) -> (TempDir, PathBuf, Manifest, u64) {
    let folder = tempfile::tempdir().unwrap();
    let file_system = FaultyFileSystem::new(u64::MAX);
    let settings = settings(&folder, 3);
    assert_eq!(settings.buffer_seconds, 10.0);
    let (recorder, mut writer) = Recorder::open_on(Box::new(file_system.clone()), settings).unwrap();
    let (mut at, mut lost) = (0, 0);
    // Blocks that are given faster than real time may be too fast even for a disk that does not stall, so `give` waits for the
    // disk thread after each tenth of a second.
    let mut give = |seconds: u64, running: bool| {
        for n in 0..seconds * 100 {
            lost += writer.write(&block(3, at, 480)) as u64;
            at += 480;
            if paced {
                std::thread::sleep(Duration::from_millis(10));
            }
            if running && n % 10 == 9 {
                wait_until(|| recorder.health().fill < 0.04);
            }
        }
    };
    give(1, true);
    wait_until(|| recorder.health().frames == 48_000);
    file_system.set_running(false);
    give(seconds, false);
    let health = recorder.health();
    assert!(health.stretched >= 1 && health.light != StatusLight::Green, "{health:?}");
    file_system.set_running(true);
    wait_until(|| recorder.health().fill < 0.04);
    give(1, true);
    let (path, manifest) = only(recorder.close());
    assert_eq!((manifest.frames, manifest.lost_frames()), (at, lost));
    (folder, path, manifest, lost)
}

#[test]
fn a_disk_that_stalls_for_5_seconds_stretches_the_buffer_and_loses_nothing() {
    let (_folder, path, manifest, lost) = record_while_disk_stalls(5, false);
    assert_eq!((lost, manifest.stretched), (0, 1));
    assert_take_is_exact(&path, &manifest, 0);
}

#[test]
fn a_disk_that_stalls_for_15_seconds_loses_the_same_frames_of_all_stems_and_lists_them() {
    let (_folder, path, manifest, lost) = record_while_disk_stalls(15, false);
    // The buffer holds 10 s, and a little more of blocks larger than the smallest; the disk thread holds a batch.
    let kept = (120_004 / 3) + 32_768 + 480;
    assert!((5 * 48_000 - kept..=5 * 48_000).contains(&lost), "{lost}");
    assert_eq!((manifest.gaps.len(), manifest.gaps[0].stem), (1, None));
    assert_take_is_exact(&path, &manifest, 0);
}

#[test]
fn a_disk_that_stalls_in_real_time_gives_the_same_takes() {
    if std::env::var_os("ISOTHERM_LONG").is_none() {
        println!("skipped: takes 25 s; ISOTHERM_LONG=1 runs it");
        return;
    }
    for (seconds, min_lost) in [(5, 0), (15, 1)] {
        let (_folder, path, manifest, lost) = record_while_disk_stalls(seconds, true);
        assert!(lost >= min_lost && (min_lost > 0 || lost == 0));
        assert_take_is_exact(&path, &manifest, 0);
    }
}

#[test]
fn a_gap_that_has_left_the_pre_roll_is_not_in_the_next_take() {
    let folder = tempfile::tempdir().unwrap();
    let file_system = FaultyFileSystem::new(u64::MAX);
    let mut settings = settings(&folder, 2);
    (settings.start, settings.buffer_seconds, settings.pre_roll_seconds) = (StartTrigger::Manual, 0.1, 0.1);
    let (recorder, mut writer) = Recorder::open_on(Box::new(file_system.clone()), settings).unwrap();
    let (mut at, mut lost) = (0, 0);
    let give = |writer: &mut isotherm::record::Writer, at: &mut u64, frames: usize| {
        let n = writer.write(&block(2, *at, frames));
        *at += frames as u64;
        n
    };
    writer.start();
    file_system.set_running(false);
    while file_system.stalled.load(Ordering::Relaxed) == 0 {
        lost += give(&mut writer, &mut at, 480);
        std::thread::sleep(Duration::from_millis(1));
    }
    for _ in 0..50 {
        lost += give(&mut writer, &mut at, 480);
    }
    assert!(lost > 0, "the ring overflowed");
    file_system.set_running(true);
    writer.set_blocking(true);
    for _ in 0..100 {
        assert_eq!(give(&mut writer, &mut at, 480), 0);
    }
    writer.stop();
    for _ in 0..50 {
        give(&mut writer, &mut at, 480);
    }
    writer.start();
    let first = at - 4_800;
    for _ in 0..50 {
        give(&mut writer, &mut at, 480);
    }
    let takes = recorder.close();
    let [(first_folder, with_gap), (second_folder, without_gap)] = &takes[..] else { panic!("{takes:?}") };
    assert_eq!(with_gap.lost_frames(), lost as u64);
    assert_take_is_exact(first_folder, with_gap, 0);
    assert_eq!((without_gap.frames, without_gap.gaps.len()), (at - first, 0));
    assert_take_is_exact(second_folder, without_gap, first);
}

#[test]
fn frames_lost_at_the_very_end_are_listed_too() {
    let folder = tempfile::tempdir().unwrap();
    let file_system = FaultyFileSystem::new(u64::MAX);
    let mut settings = settings(&folder, 2);
    settings.buffer_seconds = 0.1;
    let (recorder, mut writer) = Recorder::open_on(Box::new(file_system.clone()), settings).unwrap();
    file_system.set_running(false);
    let (mut at, mut lost) = (0, 0);
    let mut give = |frames: usize| {
        let n = writer.write(&block(2, at, frames));
        at += frames as u64;
        lost += n;
        n
    };
    while file_system.stalled.load(Ordering::Relaxed) == 0 {
        give(480);
        std::thread::sleep(Duration::from_millis(1));
    }
    while give(480) == 0 {}
    assert_eq!(give(4_800), 4_800, "the ring is still full");
    let closing = std::thread::spawn(move || recorder.close());
    file_system.set_running(true);
    let (path, manifest) = only(closing.join().unwrap());
    assert_eq!((manifest.frames, manifest.lost_frames()), (at, lost as u64));
    assert_take_is_exact(&path, &manifest, 0);
}

/// Asserts that the take ended because the disk was full, with the last frames that all stems have.
fn assert_ended_by_full_disk(folder: &Path, manifest: &Manifest) {
    let error = manifest.error.as_ref().unwrap();
    let length = format!("the take is {:.3} s long", manifest.seconds());
    assert!(error.contains(&length) && !error.contains('\n'), "{error}");
    assert_eq!(manifest.ended, "by an error");
    assert_take_is_exact(folder, manifest, 0);
    let files = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    assert!(files.into_iter().all(|name| name.ends_with(".wav") || name == "take.json"));
}

#[test]
fn a_full_disk_ends_all_stems_at_one_length_with_an_error() {
    for (room, split, refused) in [
        (400_000, None, "\0"),
        (1_000_003, None, "\0"),
        (1_000_000, Some(0.3), "\0"),
        (u64::MAX, Some(0.5), "02 Channel 2 part 3"),
        (u64::MAX, Some(0.5), "01 Channel 1 part 2"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file_system = FaultyFileSystem { refused, ..FaultyFileSystem::new(room) };
        let mut settings = settings(&folder, 4);
        settings.split_seconds = split;
        settings.interleaved = room == 1_000_003;
        let (recorder, mut writer) = Recorder::open_on(Box::new(file_system), settings).unwrap();
        writer.set_blocking(true);
        for at in 0..500 {
            writer.write(&block(4, at * 480, 480));
        }
        wait_until(|| recorder.health().error.is_some());
        assert_eq!((recorder.health().light, recorder.health().phase), (StatusLight::Red, RecorderPhase::Standby));
        let (folder, manifest) = only(recorder.close());
        assert!(manifest.frames > 0 && manifest.frames < 240_000, "{}", manifest.frames);
        assert_ended_by_full_disk(&folder, &manifest);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_small_real_disk_that_is_full_ends_all_stems_at_one_length() {
    let folder = tempfile::tempdir().unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=3m", "none"]).arg(folder.path()).output();
    if !mounted.as_ref().is_ok_and(|o| o.status.success()) {
        println!("skipped: only root may mount a small disk: {mounted:?}");
        return;
    }
    let mut settings = settings(&folder, 4);
    settings.sync = true;
    let (recorder, mut writer) = Recorder::open(settings).unwrap();
    writer.set_blocking(true);
    for at in 0..1000 {
        writer.write(&block(4, at * 480, 480));
    }
    let (path, manifest) = only(recorder.close());
    let checked = std::panic::catch_unwind(|| {
        assert!(manifest.frames > 100_000, "{}", manifest.frames);
        assert_ended_by_full_disk(&path, &manifest);
    });
    assert!(Command::new("umount").arg(folder.path()).status().unwrap().success());
    if let Err(panic) = checked {
        std::panic::resume_unwind(panic);
    }
}
