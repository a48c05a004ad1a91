//! Slow and full disks.

use super::*;

/// A disk that stands still while so many seconds come, and then goes on. Returns what became of the take.
fn stalled(seconds: u64, paced: bool) -> (TempDir, PathBuf, Manifest, u64) {
    let folder = tempfile::tempdir().unwrap();
    let disk = Faulty::new(u64::MAX);
    let settings = settings(&folder, 3);
    assert_eq!(settings.buffer_seconds, 10.0);
    let (recorder, mut writer) = Recorder::open_on(Box::new(disk.clone()), settings).unwrap();
    let (mut at, mut lost) = (0, 0);
    // As fast as it goes, even a disk that is open may be late: then its thread is waited for, tenth by tenth of a second.
    let mut give = |seconds: u64, open: bool| {
        for n in 0..seconds * 100 {
            lost += writer.write(&block(3, at, 480)) as u64;
            at += 480;
            if paced {
                std::thread::sleep(Duration::from_millis(10));
            }
            if open && n % 10 == 9 {
                until(|| recorder.health().fill < 0.04);
            }
        }
    };
    give(1, true);
    until(|| recorder.health().frames == 48_000);
    disk.set_open(false);
    give(seconds, false);
    let health = recorder.health();
    assert!(health.stretched >= 1 && health.light != Light::Green, "{health:?}");
    disk.set_open(true);
    until(|| recorder.health().fill < 0.04);
    give(1, true);
    let (path, manifest) = only(recorder.close());
    assert_eq!((manifest.frames, manifest.lost_frames()), (at, lost));
    (folder, path, manifest, lost)
}

#[test]
fn a_disk_that_stands_still_for_5_seconds_stretches_the_buffer_and_loses_nothing() {
    let (_folder, path, manifest, lost) = stalled(5, false);
    assert_eq!((lost, manifest.stretched), (0, 1));
    assert_good(&path, &manifest, 0);
}

#[test]
fn a_disk_that_stands_still_for_15_seconds_loses_the_same_frames_of_all_stems_and_lists_them() {
    let (_folder, path, manifest, lost) = stalled(15, false);
    // The buffer holds 10 s, and more if blocks are larger than the smallest; a batch is with the disk thread.
    let kept = (120_004 / 3) + 32_768 + 480;
    assert!((5 * 48_000 - kept..=5 * 48_000).contains(&lost), "{lost}");
    assert_eq!((manifest.gaps.len(), manifest.gaps[0].stem), (1, None));
    assert_good(&path, &manifest, 0);
}

#[test]
fn a_disk_that_really_stands_still_for_5_and_15_seconds_does_no_other() {
    if std::env::var_os("ISOTHERM_LONG").is_none() {
        println!("skipped: takes 25 s; ISOTHERM_LONG=1 runs it");
        return;
    }
    for (seconds, least) in [(5, 0), (15, 1)] {
        let (_folder, path, manifest, lost) = stalled(seconds, true);
        assert!(lost >= least && (least > 0 || lost == 0));
        assert_good(&path, &manifest, 0);
    }
}

#[test]
fn a_loss_that_has_left_the_pre_roll_is_not_the_next_takes() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Faulty::new(u64::MAX);
    let mut settings = settings(&folder, 2);
    (settings.start, settings.buffer_seconds, settings.pre_roll_seconds) = (Start::Hand, 0.1, 0.1);
    let (recorder, mut writer) = Recorder::open_on(Box::new(disk.clone()), settings).unwrap();
    let (mut at, mut lost) = (0, 0);
    let give = |writer: &mut isotherm::record::Writer, at: &mut u64, frames: usize| {
        let n = writer.write(&block(2, *at, frames));
        *at += frames as u64;
        n
    };
    writer.start();
    disk.set_open(false);
    while disk.waiting.load(Ordering::Relaxed) == 0 {
        lost += give(&mut writer, &mut at, 480);
        std::thread::sleep(Duration::from_millis(1));
    }
    for _ in 0..50 {
        lost += give(&mut writer, &mut at, 480);
    }
    assert!(lost > 0, "the ring overflowed");
    disk.set_open(true);
    writer.wait(true);
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
    let [(one, with_loss), (two, whole)] = &takes[..] else { panic!("{takes:?}") };
    assert_eq!(with_loss.lost_frames(), lost as u64);
    assert_good(one, with_loss, 0);
    assert_eq!((whole.frames, whole.gaps.len()), (at - first, 0));
    assert_good(two, whole, first);
}

#[test]
fn what_is_lost_at_the_very_end_is_listed_too() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Faulty::new(u64::MAX);
    let mut settings = settings(&folder, 2);
    settings.buffer_seconds = 0.1;
    let (recorder, mut writer) = Recorder::open_on(Box::new(disk.clone()), settings).unwrap();
    disk.set_open(false);
    let (mut at, mut lost) = (0, 0);
    let mut give = |frames: usize| {
        let n = writer.write(&block(2, at, frames));
        at += frames as u64;
        lost += n;
        n
    };
    while disk.waiting.load(Ordering::Relaxed) == 0 {
        give(480);
        std::thread::sleep(Duration::from_millis(1));
    }
    while give(480) == 0 {}
    assert_eq!(give(4_800), 4_800, "the ring is still full");
    let closing = std::thread::spawn(move || recorder.close());
    disk.set_open(true);
    let (path, manifest) = only(closing.join().unwrap());
    assert_eq!((manifest.frames, manifest.lost_frames()), (at, lost as u64));
    assert_good(&path, &manifest, 0);
}

/// A full disk ends the take with the last frames that all stems have.
fn assert_full(folder: &Path, manifest: &Manifest) {
    let error = manifest.error.as_ref().unwrap();
    let length = format!("the take is {:.3} s long", manifest.seconds());
    assert!(error.contains(&length) && !error.contains('\n'), "{error}");
    assert_eq!(manifest.ended, "by an error");
    assert_good(folder, manifest, 0);
    let left = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    assert!(left.into_iter().all(|name| name.ends_with(".wav") || name == "take.json"));
}

#[test]
fn a_full_disk_finishes_every_stem_at_one_length_and_says_so() {
    for (room, split, refused) in [
        (400_000, None, "\0"),
        (1_000_003, None, "\0"),
        (1_000_000, Some(0.3), "\0"),
        (u64::MAX, Some(0.5), "02 Channel 2 part 3"),
        (u64::MAX, Some(0.5), "01 Channel 1 part 2"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let disk = Faulty { refused, ..Faulty::new(room) };
        let mut settings = settings(&folder, 4);
        settings.split_seconds = split;
        settings.interleaved = room == 1_000_003;
        let (recorder, mut writer) = Recorder::open_on(Box::new(disk), settings).unwrap();
        writer.wait(true);
        for at in 0..500 {
            writer.write(&block(4, at * 480, 480));
        }
        until(|| recorder.health().error.is_some());
        assert_eq!((recorder.health().light, recorder.health().phase), (Light::Red, Phase::Armed));
        let (folder, manifest) = only(recorder.close());
        assert!(manifest.frames > 0 && manifest.frames < 240_000, "{}", manifest.frames);
        assert_full(&folder, &manifest);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_really_full_disk_does_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=3m", "none"]).arg(folder.path()).output();
    if !mounted.as_ref().is_ok_and(|o| o.status.success()) {
        println!("skipped: only root may mount a small disk: {mounted:?}");
        return;
    }
    let mut settings = settings(&folder, 4);
    settings.sync = true;
    let (recorder, mut writer) = Recorder::open(settings).unwrap();
    writer.wait(true);
    for at in 0..1000 {
        writer.write(&block(4, at * 480, 480));
    }
    let (path, manifest) = only(recorder.close());
    let checked = std::panic::catch_unwind(|| {
        assert!(manifest.frames > 100_000, "{}", manifest.frames);
        assert_full(&path, &manifest);
    });
    assert!(Command::new("umount").arg(folder.path()).status().unwrap().success());
    if let Err(panic) = checked {
        std::panic::resume_unwind(panic);
    }
}
