//! Laws of takes: every frame is there, bit for bit, or listed as lost; nothing else is ever said.

mod desk;
mod disks;
mod events;
mod readers;
mod recovery;
mod refused;

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

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        // What is being renamed may be gone.
        let _ = fs::copy(entry.path(), to.join(entry.file_name()));
    }
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

/// Told at the very frame that is given next.
fn change(what: &'static str, from: &str, to: Option<&str>) -> SourceChange {
    // Later than now is now.
    let at = Instant::now() + Duration::from_secs(3600);
    SourceChange { source: 0, what, from: Some(from.into()), to: to.map(Into::into), at, since: None }
}

fn refused(change: impl FnOnce(&mut Settings)) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(&folder, 3);
    change(&mut settings);
    let text = Recorder::open(settings).map(|_| ()).unwrap_err().to_string();
    assert!(!text.contains('\n') && fs::read_dir(&folder).unwrap().count() == 0, "{text}");
    text
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
