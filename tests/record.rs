//! Laws of takes: every frame is there, bit for bit, or listed as lost; nothing else is ever said.
#![cfg(feature = "record")]

use std::fs;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use isotherm::audio::{Format, I24, Sample};
use isotherm::record::disk::{Disk, Medium, System};
use isotherm::record::pcm::Words;
use isotherm::record::{Channel, Light, Manifest, Phase, Recorder, Settings, Start, Stop, recover, unfinished, verify};
use isotherm::source::{DeskTrack, SourceChange};
use tempfile::TempDir;

const RATE: u32 = 48_000;

fn settings(folder: &TempDir, channels: usize) -> Settings {
    let mut settings = Settings::new(folder.path().into(), "take", RATE, channels);
    settings.sync = false;
    settings
}

/// A 24-bit code for every channel and frame: all differ, none is 0, none is full scale.
fn code(channel: usize, frame: u64) -> i32 {
    let x = (frame * 977 + channel as u64 * 131_071 + 1) % 8_388_607;
    if (frame + channel as u64).is_multiple_of(2) { x.max(1) as i32 } else { -(x.max(1) as i32) }
}

fn block(channels: usize, from: u64, frames: usize) -> Vec<Vec<f32>> {
    let channel = |c| (from..from + frames as u64).map(|i| code(c, i) as f32 / 8_388_608.0).collect();
    (0..channels).map(channel).collect()
}

/// The 24-bit codes of a file, as hound reads them.
fn codes(path: &Path) -> Vec<i32> {
    hound::WavReader::open(path).unwrap().samples::<i32>().map(Result::unwrap).collect()
}

/// The codes of a stem, all parts one after another.
fn stem(folder: &Path, manifest: &Manifest, index: usize) -> Vec<i32> {
    manifest.stems[index].parts.iter().flat_map(|part| codes(&folder.join(&part.file))).collect()
}

/// Asserts that stems are the source from frame `first` on, silent in the gaps, and that the take verifies.
fn assert_good(folder: &Path, manifest: &Manifest, first: u64) {
    assert_eq!(verify(folder).unwrap().problems, [""; 0]);
    for (index, described) in manifest.stems.iter().enumerate() {
        let found = stem(folder, manifest, index);
        assert_eq!(found.len() as u64, manifest.frames, "{}", described.name);
        let lost = |i: u64| {
            let of = |g: &&isotherm::record::manifest::Gap| g.stem.is_none_or(|number| number == index + 1);
            manifest.gaps.iter().filter(of).any(|g| (g.position..g.position + g.frames).contains(&i))
        };
        for (i, x) in (0..).zip(found) {
            let expected = if lost(i) { 0 } else { code(described.channel - 1, first + i) };
            assert_eq!(x, expected, "{} at frame {i}", described.name);
        }
    }
}

fn only<T: std::fmt::Debug>(mut all: Vec<T>) -> T {
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

/// Waits for what the disk thread does in its own time.
fn until(mut done: impl FnMut() -> bool) {
    while !done() {
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn stems_hold_every_code_that_was_given_in_blocks_of_any_size() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(&folder, 7);
    settings.interleaved = true;
    settings.channels = [6, 0, 3].map(|source| settings.channels[source].clone()).to_vec();
    let (recorder, mut writer) = Recorder::open(settings).unwrap();
    writer.wait(true);
    let mut at = 0;
    for n in [1, 16, 255, 256, 7, 4096, 50_000, 3, 40_001] {
        assert_eq!(writer.write(&block(7, at, n)), 0);
        at += n as u64;
    }
    let (folder, manifest) = only(recorder.close());
    assert_eq!((manifest.frames, manifest.gaps.len(), manifest.error.clone()), (at, 0, None));
    assert_eq!(manifest.stems.iter().map(|s| s.channel).collect::<Vec<_>>(), [7, 1, 4]);
    assert_good(&folder, &manifest, 0);
    let all = codes(&folder.join("00 All.wav"));
    assert!((0..at).all(|i| (0..3).all(|s| all[i as usize * 3 + s] == code([6, 0, 3][s], i))));
}

#[test]
fn every_format_holds_what_the_rule_of_samples_says() {
    let values = [0.0, 0.1, -0.1, 0.5, -1.0, 0.999_999_9, 1.0, 1.5, -2.0, f32::NAN, f32::INFINITY, 1e-30, 3.0 / 65536.0];
    for format in Format::ALL {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = settings(&folder, 1);
        settings.format = format;
        let (recorder, mut writer) = Recorder::open(settings).unwrap();
        writer.write(&[values]);
        let (folder, manifest) = only(recorder.close());
        let found = isotherm::audio::wav::read_exact::<f64>(folder.join(&manifest.stems[0].parts[0].file)).unwrap();
        let finite = |x: f32| if x.is_nan() { 0.0 } else { f64::from(x.clamp(f32::MIN, f32::MAX)) };
        let expected = values.map(|x| match format {
            Format::Int16 => i16::from_f64(x.into()).to_f64(),
            Format::Int24 => I24::from_f64(x.into()).to_f64(),
            Format::Int32 => i32::from_f64(x.into()).to_f64(),
            Format::Float32 => finite(x),
        });
        assert_eq!(found.channel(0), expected, "{format}");
        // Below full scale by half a code of 24 bits is an over of 16 bits.
        let overs = match format {
            Format::Float32 => 1,
            Format::Int16 => 5,
            Format::Int24 | Format::Int32 => 4 + u64::from(format == Format::Int24 && 0.999_999_9f32 > 1.0 - 2f32.powi(-23)),
        };
        assert_eq!((manifest.stems[0].overs, manifest.stems[0].nans), (overs, 1), "{format}");
        assert_eq!(verify(&folder).unwrap().problems, [""; 0]);
    }
}

#[test]
fn integers_of_a_device_stay_as_they_are() {
    for (words, shift) in [(Words::Int32, 8), (Words::Int24, 0)] {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = settings(&folder, 8);
        settings.words = words;
        settings.channels = [0, 2, 4].map(|source| settings.channels[source].clone()).to_vec();
        let (recorder, mut writer) = Recorder::open(settings).unwrap();
        writer.wait(true);
        for at in 0..200 {
            let rows: Vec<i32> = (at * 100..at * 100 + 100).flat_map(|i| (0..8).map(move |c| code(c, i) << shift)).collect();
            assert_eq!(writer.write_interleaved(&rows, 8), 0);
        }
        let (folder, manifest) = only(recorder.close());
        assert_eq!(manifest.frames, 20_000);
        assert_good(&folder, &manifest, 0);
    }
}

#[test]
fn a_wide_and_fast_take_holds() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = Settings::new(folder.path().into(), "wide", 96_000, 128);
    settings.buffer_seconds = 1.0;
    let (recorder, mut writer) = Recorder::open(settings).unwrap();
    writer.wait(true);
    for at in 0..100 {
        assert_eq!(writer.write(&block(128, at * 256, 256)), 0);
    }
    let (folder, manifest) = only(recorder.close());
    assert_eq!((manifest.frames, manifest.stems.len()), (25_600, 128));
    assert_good(&folder, &manifest, 0);
}

#[test]
fn the_memory_that_is_stated_is_the_memory_of_ten_seconds() {
    let settings = Settings::new("x".into(), "x", RATE, 32);
    // 10 s of 32 channels of 4 bytes, the heads of records, and a batch of every stem.
    assert_eq!(Recorder::memory_bytes(&settings), 4 * (32 * 480_000 + 4 * 30_001) + 32 * 32_768 * 3);
}

// ---- split, markers, triggers

#[test]
fn a_split_loses_no_frame_wherever_it_falls_and_wherever_the_take_ends() {
    for frames in [30_000u64, 29_999, 30_001, 4_800, 4_799, 1, 9_600] {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = settings(&folder, 2);
        settings.split_seconds = Some(0.1);
        settings.interleaved = true;
        let (recorder, mut writer) = Recorder::open(settings).unwrap();
        writer.wait(true);
        for at in (0..frames).step_by(700) {
            writer.write(&block(2, at, 700.min(frames - at) as usize));
        }
        let (folder, manifest) = only(recorder.close());
        assert_eq!(manifest.frames, frames);
        assert_eq!(manifest.stems[0].parts.len() as u64, frames.div_ceil(4_800));
        assert!(manifest.stems.iter().all(|s| s.parts.iter().rev().skip(1).all(|p| p.frames == 4_800)));
        assert_good(&folder, &manifest, 0);
        assert_eq!(fs::read_dir(&folder).unwrap().count() as u64, 3 * frames.div_ceil(4_800) + 1);
    }
}

#[test]
fn what_the_audio_thread_tells_happens_at_its_frame() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(&folder, 2);
    settings.start = Start::Hand;
    let (recorder, mut writer) = Recorder::open(settings).unwrap();
    writer.wait(true);
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
    assert_good(&takes[0].0, &takes[0].1, 1000);
    assert_good(&takes[1].0, &takes[1].1, 1577);
    assert_ne!(takes[0].0, takes[1].0);
}

#[test]
fn what_the_interface_tells_happens_between_what_was_given_and_what_was_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(&folder, 1);
    settings.start = Start::Hand;
    settings.pre_roll_seconds = 0.01;
    let (recorder, mut writer) = Recorder::open(settings).unwrap();
    assert_eq!((recorder.health().phase, recorder.health().folder), (Phase::Armed, None));
    writer.write(&block(1, 0, 1000));
    recorder.start();
    until(|| recorder.health().phase == Phase::Recording);
    writer.write(&block(1, 1000, 500));
    recorder.mark(Some("Chorus <&>".into()));
    writer.write(&block(1, 1500, 500));
    recorder.stop();
    until(|| recorder.health().phase == Phase::Armed);
    writer.write(&block(1, 2000, 500));
    let health = recorder.health();
    assert_eq!((health.light, health.frames, health.markers), (Light::Green, 1480, 1));
    assert!(health.disk_seconds_left.unwrap() > 0.0);
    let (folder, manifest) = only(recorder.close());
    assert_eq!((manifest.frames, manifest.pre_roll_frames), (1480, 480));
    assert_eq!((manifest.markers[0].position, manifest.markers[0].name.as_str()), (980, "Chorus <&>"));
    assert_good(&folder, &manifest, 520);
}

#[test]
fn level_and_silence_start_and_stop_at_their_frames() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(&folder, 2);
    settings.start = Start::Level { db: -20.0 };
    settings.stop = Stop { after_seconds: None, below: Some((-20.0, 0.05)) };
    settings.pre_roll_seconds = 0.02;
    let (recorder, mut writer) = Recorder::open(settings).unwrap();
    writer.wait(true);
    // Loud from 5000 to 6999 and at 8000 and 20000 on one channel: 2400 quiet frames end a take.
    let loud = |i: u64| (5000..7000).contains(&i) || i == 8000 || i == 20_000;
    let sound: Vec<f32> = (0..30_000).map(|i| if loud(i) { -0.5 } else { 0.01 }).collect();
    for part in sound.chunks(333) {
        let quiet = vec![0.0; part.len()];
        writer.write(&[part, &quiet[..]]);
    }
    let takes = recorder.close();
    let found: Vec<_> = takes.iter().map(|(_, m)| (m.frames, m.pre_roll_frames, m.ended.as_str())).collect();
    assert_eq!(found, [(960 + 3001 + 2400, 960, "by silence"), (960 + 1 + 2400, 960, "by silence")]);
    for ((folder, manifest), first) in takes.iter().zip([5000 - 960, 20_000 - 960]) {
        let left = stem(folder, manifest, 0);
        let expected = |i: u64| if loud(i) { -4_194_304 } else { 83_886 };
        assert!((first..).zip(left).all(|(i, x)| x == expected(i)));
        assert_eq!(verify(folder).unwrap().problems, [""; 0]);
    }
}

#[test]
fn a_take_ends_after_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(&folder, 1);
    settings.stop.after_seconds = Some(0.25);
    let (recorder, mut writer) = Recorder::open(settings).unwrap();
    writer.wait(true);
    for at in 0..100 {
        writer.write(&block(1, at * 256, 256));
    }
    let (folder, manifest) = only(recorder.close());
    assert_eq!((manifest.frames, manifest.ended.as_str()), (12_000, "after the time that was set"));
    assert_good(&folder, &manifest, 0);
}

// ---- slow and full disks

/// A disk whose files wait at a gate, and which has room for so many bytes of sound.
#[derive(Clone)]
struct Faulty {
    open: Arc<(Mutex<bool>, Condvar)>,
    room: Arc<AtomicU64>,
    /// Writes that came to a closed gate.
    waiting: Arc<AtomicU64>,
    /// The path of the next files that cannot be made contains this.
    refused: &'static str,
    /// The gate is in front of syncs alone.
    only_sync: bool,
}

impl Faulty {
    fn new(room: u64) -> Self {
        Self {
            open: Arc::new((Mutex::new(true), Condvar::new())),
            room: Arc::new(AtomicU64::new(room)),
            waiting: Arc::default(),
            refused: "\0",
            only_sync: false,
        }
    }

    fn wait(&self) {
        let closed = self.open.0.lock().unwrap();
        self.waiting.fetch_add(u64::from(!*closed), Ordering::Relaxed);
        drop(self.open.1.wait_while(closed, |open| !*open).unwrap());
    }

    fn set_open(&self, open: bool) {
        *self.open.0.lock().unwrap() = open;
        self.open.1.notify_all();
    }
}

struct FaultyMedium(Box<dyn Medium>, Faulty);

impl Write for FaultyMedium {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.1.only_sync {
            self.1.wait();
        }
        // Only what makes the file longer takes room.
        let at = self.0.stream_position()?;
        let end = self.0.seek(SeekFrom::End(0))?;
        self.0.seek(SeekFrom::Start(at))?;
        let room = self.1.room.load(Ordering::Relaxed);
        let n = (end - at).saturating_add(room).min(bytes.len() as u64);
        if n == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.1.room.fetch_sub((at + n).saturating_sub(end), Ordering::Relaxed);
        self.0.write(&bytes[..n as usize])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Seek for FaultyMedium {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

impl Medium for FaultyMedium {
    fn sync(&mut self) -> io::Result<()> {
        if self.1.only_sync {
            self.1.wait();
        }
        self.0.sync()
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        let before = self.0.seek(SeekFrom::End(0))?;
        self.1.room.fetch_add(before.saturating_sub(length), Ordering::Relaxed);
        self.0.cut(length)
    }
}

impl Disk for Faulty {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Medium>> {
        if path.to_string_lossy().contains(self.refused) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(Box::new(FaultyMedium(System.create(path)?, self.clone())))
    }

    fn available(&self, _: &Path) -> io::Result<u64> {
        Ok(self.room.load(Ordering::Relaxed))
    }
}

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

// ---- recovery

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        // What is being renamed may be gone.
        let _ = fs::copy(entry.path(), to.join(entry.file_name()));
    }
}

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

/// The folder of takes in `folder`, and a take in it that a crash left: a copy of one that grows, whose manifest has the word `saved`.
fn left_behind(folder: &TempDir, settings: Settings, tell: impl FnOnce(&Recorder), saved: &str) -> (PathBuf, PathBuf) {
    let (recorder, mut writer) = Recorder::open(settings).unwrap();
    writer.wait(true);
    for at in 0..100 {
        writer.write(&block(2, at * 480, 480));
    }
    let path = recorder.health().folder.unwrap();
    tell(&recorder);
    writer.write(&block(2, 48_000, 480));
    until(|| fs::metadata(path.join("02 Channel 2.wav")).unwrap().len() > 3 * 48_000);
    until(|| fs::read_to_string(path.join("take.json")).unwrap().contains(saved));
    let takes = folder.path().join("takes");
    fs::create_dir_all(&takes).unwrap();
    let left = takes.join(path.file_name().unwrap());
    copy(&path, &left);
    (takes, left)
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

// ---- what a desk changes

fn tracked(folder: &TempDir) -> Settings {
    let mut settings = settings(folder, 2);
    let track = DeskTrack { source: "Local 1".into(), colour: Some("red".into()), note: None };
    settings.channels[0].desk = Some(track);
    settings
}

/// Told at the very frame that is given next.
fn change(what: &'static str, from: &str, to: Option<&str>) -> SourceChange {
    // Later than now is now.
    let at = Instant::now() + Duration::from_secs(3600);
    SourceChange { source: 0, what, from: Some(from.into()), to: to.map(Into::into), at, since: None }
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

// ---- bad input

fn refused(change: impl FnOnce(&mut Settings)) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(&folder, 3);
    change(&mut settings);
    let text = Recorder::open(settings).map(|_| ()).unwrap_err().to_string();
    assert!(!text.contains('\n') && fs::read_dir(&folder).unwrap().count() == 0, "{text}");
    text
}

#[test]
fn what_cannot_be_recorded_is_refused_in_one_line_and_leaves_nothing() {
    for (text, expected) in [
        (refused(|s| s.name = "a/b".into()), "name: found 'a/b'; expected a name without /"),
        (refused(|s| s.name = "x".repeat(300)), "; expected 1 to 120 bytes, these are 300"),
        (refused(|s| s.channels[1].name = "..".into()), "channel name: found '..'; expected no space or dot at its ends"),
        (
            refused(|s| s.channels[2].name = "Channel 1".into()),
            "channel name: found 'Channel 1' for stems 1 and 3; expected a name of its own for each stem",
        ),
        (refused(|s| s.channels.clear()), "channels: found 0; expected 1 to 512"),
        (refused(|s| s.pre_roll_seconds = 61.0), "pre-roll: found 61 s; expected 0 to 60 s"),
        (refused(|s| s.buffer_seconds = f64::NAN), "buffer: found NaN s"),
        (refused(|s| s.split_seconds = Some(0.0)), "split: found 0 s"),
        (refused(|s| s.sample_rate = 0), "sample rate: found 0; expected 1 to 10000000 Hz"),
        (refused(|s| s.folder = "/dev/null/takes".into()), "cannot create /dev/null/takes: "),
    ] {
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn takes_of_one_name_in_one_second_get_numbers_and_leave_each_other_alone() {
    loop {
        let folder = tempfile::tempdir().unwrap();
        let mut names = Vec::new();
        for n in 0..3 {
            let (recorder, mut writer) = Recorder::open(settings(&folder, 1)).unwrap();
            writer.wait(true);
            writer.write(&block(1, n * 1000, 480));
            let (path, manifest) = only(recorder.close());
            assert_eq!(manifest.frames, 480);
            names.push((n, path));
        }
        for (n, path) in &names {
            assert_good(path, &Manifest::load(path).unwrap(), n * 1000);
        }
        let first = names[0].1.display().to_string();
        // In another second they need no number.
        if names[2].1.display().to_string().starts_with(&first) {
            let numbered: Vec<String> = names.iter().map(|(_, path)| path.display().to_string()).collect();
            assert_eq!(numbered, [first.clone(), format!("{first} 2"), format!("{first} 3")]);
            return;
        }
    }
}

/// A take with two parts, a gap, a marker, overs and NaNs.
fn eventful(folder: &TempDir) -> (PathBuf, Manifest) {
    let disk = Faulty::new(u64::MAX);
    let mut settings = settings(folder, 3);
    settings.buffer_seconds = 0.5;
    settings.split_seconds = Some(0.7);
    let (recorder, mut writer) = Recorder::open_on(Box::new(disk.clone()), settings).unwrap();
    disk.set_open(false);
    let mut lost = 0;
    for at in 0..200 {
        lost += writer.write(&block(3, at * 480, 480));
    }
    assert!(lost > 0);
    writer.mark();
    disk.set_open(true);
    until(|| recorder.health().fill < 0.01);
    writer.write(&[[2.0, f32::NAN], [0.5, 0.5], [0.25, 0.25]]);
    only(recorder.close())
}

#[test]
fn a_manifest_that_lies_and_stems_that_are_not_the_takes_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let (path, manifest) = eventful(&folder);
    assert_eq!(verify(&path).unwrap().problems, [""; 0]);
    assert_eq!((manifest.stems[0].overs, manifest.stems[0].nans), (1, 1));
    let text = fs::read_to_string(path.join("take.json")).unwrap();
    let lie = |change: fn(&mut Manifest)| {
        let mut lying = manifest.clone();
        change(&mut lying);
        lying.save(&path).unwrap();
        let problems = verify(&path).unwrap().problems;
        fs::write(path.join("take.json"), &text).unwrap();
        assert!(problems.iter().all(|p| !p.contains('\n')));
        problems.join("; ")
    };
    for (found, expected) in [
        (lie(|m| m.frames += 1), "frames, its parts have"),
        (lie(|m| m.stems[0].parts.iter_mut().for_each(|part| part.frames = u64::MAX)), "01 Channel 1.wav: it has"),
        (lie(|m| m.stems[1].parts[0].frames -= 1), "02 Channel 2.wav: the manifest has"),
        (lie(|m| m.stems[1].parts[0].sha256 = Some("0".repeat(64))), "02 Channel 2.wav: its sound has SHA-256"),
        (lie(|m| m.sample_rate = 44_100), "it is 1 x 24-bit integer at 48000 Hz; expected 1 x 24-bit integer at 44100 Hz"),
        (lie(|m| m.format = Format::Int16), "it is 1 x 24-bit integer at 48000 Hz; expected 1 x 16-bit integer"),
        (lie(|m| m.time_reference += 1), "01 Channel 1.wav: it is of take"),
        (lie(|m| m.gaps[0].frames += 1), "there is sound in the gap at frame"),
        (lie(|m| m.gaps[0].position -= 1), "there is sound in the gap at frame"),
        (lie(|m| m.gaps[0].position = u64::MAX), "is not within"),
        (lie(|m| m.markers[0].position = m.frames + 1), "marker 'Marker 1'"),
        (lie(|m| m.stems[1].overs = 7), "stem 2: the manifest has 7 overs"),
        (lie(|m| m.stems[0].nans = 1_000_000), "stem 1: the manifest has 1 overs and 1000000 NaNs"),
        (lie(|m| drop(m.stems.pop())), "03 Channel 3.wav: it is not in the manifest"),
        (lie(|m| m.stems.swap(0, 1)), "the manifest has stem 2 in place of stem 1"),
        (
            lie(|m| m.stems[0].parts[0].file = "../x.wav".into()),
            "the manifest calls a file '../x.wav'; expected '01 Channel 1.wav'",
        ),
        (lie(|m| drop(m.stems[2].parts.pop())), "stem 3 has"),
        (lie(|m| m.state = isotherm::record::manifest::State::Recording), "it was left unfinished"),
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

// ---- other readers

/// The names of the chunks of a file.
fn chunks(path: &Path) -> Vec<String> {
    let bytes = fs::read(path).unwrap();
    let mut at = 12;
    let mut names = Vec::new();
    while at + 8 <= bytes.len() {
        let size = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap()) as usize;
        names.push(String::from_utf8(bytes[at..at + 4].to_vec()).unwrap());
        at += 8 + size + size % 2;
    }
    assert_eq!(at, bytes.len());
    names
}

/// What a program prints; none if it is not installed.
fn output(program: &str, arguments: &[&std::ffi::OsStr]) -> Option<(Vec<u8>, String)> {
    match Command::new(program).args(arguments).output() {
        Ok(output) => {
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{program}: {told}");
            Some((output.stdout, told))
        }
        Err(_) => {
            println!("skipped: {program} is not installed");
            None
        }
    }
}

#[test]
fn files_are_read_alike_by_libsndfile_sox_and_ffmpeg() {
    let folder = tempfile::tempdir().unwrap();
    let (path, manifest) = eventful(&folder);
    for part in &manifest.stems[0].parts {
        let file = path.join(&part.file);
        let names = chunks(&file);
        assert_eq!(names[..4], ["JUNK", "fmt ", "bext", "data"], "readers of desk sessions take no other");
        assert!(names.contains(&"iXML".into()));
        let bytes: Vec<u8> = codes(&file).into_iter().flat_map(|x| x.to_le_bytes()[..3].to_vec()).collect();
        let name = file.as_os_str();
        if let Some((told, _)) = output("sndfile-info", &[name]) {
            let told = String::from_utf8_lossy(&told);
            assert!(told.contains(&format!("Frames      : {}\n", part.frames)), "{told}");
            assert!(told.contains("bext : 602") && !told.contains("***"), "{told}");
        }
        let raw = ["-t", "raw", "-e", "signed", "-b", "24", "-"].map(std::ffi::OsStr::new);
        if let Some((sound, told)) = output("sox", &[&[name][..], &raw].concat()) {
            assert!(sound == bytes && told.is_empty(), "{told}");
        }
        let options = ["-v", "error", "-i"].map(std::ffi::OsStr::new);
        let raw = ["-f", "s24le", "-"].map(std::ffi::OsStr::new);
        if let Some((sound, told)) = output("ffmpeg", &[&options[..], &[name], &raw].concat()) {
            assert!(sound == bytes && told.is_empty(), "{told}");
        }
    }
    // The gap and the marker.
    let all = manifest.stems[0].parts.iter().flat_map(|part| chunks(&path.join(&part.file)));
    assert!(all.filter(|name| name == "cue ").count() >= 1);
}
