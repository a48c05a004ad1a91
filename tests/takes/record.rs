//! Tests of takes: every frame is in the files bit for bit, or listed as lost, and the manifest matches the files.

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

use isotherm::audio::{I24, Sample, WavFormat};
use isotherm::record::file_system::{FileSystem, OsFileSystem, WritableFile};
use isotherm::record::pcm::WordFormat;
use isotherm::record::{
    Channel, Manifest, Recorder, RecorderPhase, RecorderSettings, StartTrigger, StatusLight, StopConditions, recover,
    unfinished_takes, verify,
};
use isotherm::source::{DeskChannelInfo, SourceChange};
use tempfile::TempDir;

const RATE: u32 = 48_000;

/// Settings of a take in `folder`, without flushes to the disk.
fn settings(folder: &TempDir, channels: usize) -> RecorderSettings {
    let mut settings = RecorderSettings::new(folder.path().into(), "take", RATE, channels);
    settings.sync = false;
    settings
}

/// A 24-bit code for each channel and frame: successive ones differ, none is 0, none is full scale.
fn code(channel: usize, frame: u64) -> i32 {
    let x = (frame * 977 + channel as u64 * 131_071 + 1) % 8_388_607;
    if (frame + channel as u64).is_multiple_of(2) { x.max(1) as i32 } else { -(x.max(1) as i32) }
}

/// A block of frames that start at `from`, with the codes of [`code`] as floats.
fn block(channels: usize, from: u64, frames: usize) -> Vec<Vec<f32>> {
    let channel = |c| (from..from + frames as u64).map(|i| code(c, i) as f32 / 8_388_608.0).collect();
    (0..channels).map(channel).collect()
}

/// All 24-bit samples of a file, read by the crate hound.
fn codes(path: &Path) -> Vec<i32> {
    hound::WavReader::open(path).unwrap().samples::<i32>().map(Result::unwrap).collect()
}

/// All codes of a stem, part after part.
fn stem_codes(folder: &Path, manifest: &Manifest, index: usize) -> Vec<i32> {
    manifest.stems[index].parts.iter().flat_map(|part| codes(&folder.join(&part.file))).collect()
}

/// Asserts that the take verifies, and that its stems hold the codes of the source, starting at frame `first`, with silence in
/// the gaps.
fn assert_take_is_exact(folder: &Path, manifest: &Manifest, first: u64) {
    assert_eq!(verify(folder).unwrap().problems, [""; 0]);
    for (index, stem) in manifest.stems.iter().enumerate() {
        let found = stem_codes(folder, manifest, index);
        assert_eq!(found.len() as u64, manifest.frames, "{}", stem.name);
        let is_lost = |i: u64| {
            let of_stem = |g: &&isotherm::record::manifest::Gap| g.stem.is_none_or(|number| number == index + 1);
            manifest.gaps.iter().filter(of_stem).any(|g| (g.position..g.position + g.frames).contains(&i))
        };
        for (i, x) in (0..).zip(found) {
            let expected = if is_lost(i) { 0 } else { code(stem.channel - 1, first + i) };
            assert_eq!(x, expected, "{} at frame {i}", stem.name);
        }
    }
}

/// The only element.
fn only<T: std::fmt::Debug>(mut all: Vec<T>) -> T {
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

/// Waits until `done` returns true, for the disk thread's work.
fn wait_until(mut done: impl FnMut() -> bool) {
    while !done() {
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn stems_hold_every_code_in_blocks_of_any_size() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(&folder, 7);
    settings.interleaved = true;
    settings.channels = [6, 0, 3].map(|source| settings.channels[source].clone()).to_vec();
    let (recorder, mut writer) = Recorder::open(settings).unwrap();
    writer.set_blocking(true);
    let mut at = 0;
    for n in [1, 16, 255, 256, 7, 4096, 50_000, 3, 40_001] {
        assert_eq!(writer.write(&block(7, at, n)), 0);
        at += n as u64;
    }
    let (folder, manifest) = only(recorder.close());
    assert_eq!((manifest.frames, manifest.gaps.len(), manifest.error.clone()), (at, 0, None));
    assert_eq!(manifest.stems.iter().map(|s| s.channel).collect::<Vec<_>>(), [7, 1, 4]);
    assert_take_is_exact(&folder, &manifest, 0);
    let all = codes(&folder.join("00 All.wav"));
    assert!((0..at).all(|i| (0..3).all(|s| all[i as usize * 3 + s] == code([6, 0, 3][s], i))));
}

#[test]
fn every_format_holds_the_codes_of_the_conversion_rule() {
    let values = [0.0, 0.1, -0.1, 0.5, -1.0, 0.999_999_9, 1.0, 1.5, -2.0, f32::NAN, f32::INFINITY, 1e-30, 3.0 / 65536.0];
    for format in WavFormat::ALL {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = settings(&folder, 1);
        settings.format = format;
        let (recorder, mut writer) = Recorder::open(settings).unwrap();
        writer.write(&[values]);
        let (folder, manifest) = only(recorder.close());
        let found = isotherm::audio::wav::read_exact::<f64>(folder.join(&manifest.stems[0].parts[0].file)).unwrap();
        let finite = |x: f32| if x.is_nan() { 0.0 } else { f64::from(x.clamp(f32::MIN, f32::MAX)) };
        let expected = values.map(|x| match format {
            WavFormat::Int16 => i16::from_f64(x.into()).to_f64(),
            WavFormat::Int24 => I24::from_f64(x.into()).to_f64(),
            WavFormat::Int32 => i32::from_f64(x.into()).to_f64(),
            WavFormat::Float32 => finite(x),
        });
        assert_eq!(found.channel(0), expected, "{format}");
        // 0.999 999 9 is within half a 16-bit code of full scale, so it is an over in 16 bits.
        let overs = match format {
            WavFormat::Float32 => 1,
            WavFormat::Int16 => 5,
            WavFormat::Int24 | WavFormat::Int32 => {
                4 + u64::from(format == WavFormat::Int24 && 0.999_999_9f32 > 1.0 - 2f32.powi(-23))
            }
        };
        assert_eq!((manifest.stems[0].overs, manifest.stems[0].nans), (overs, 1), "{format}");
        assert_eq!(verify(&folder).unwrap().problems, [""; 0]);
    }
}

#[test]
fn integers_of_a_device_are_not_changed() {
    for (word_format, shift) in [(WordFormat::Int32, 8), (WordFormat::Int24, 0)] {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = settings(&folder, 8);
        settings.word_format = word_format;
        settings.channels = [0, 2, 4].map(|source| settings.channels[source].clone()).to_vec();
        let (recorder, mut writer) = Recorder::open(settings).unwrap();
        writer.set_blocking(true);
        for at in 0..200 {
            let rows: Vec<i32> = (at * 100..at * 100 + 100).flat_map(|i| (0..8).map(move |c| code(c, i) << shift)).collect();
            assert_eq!(writer.write_interleaved(&rows, 8), 0);
        }
        let (folder, manifest) = only(recorder.close());
        assert_eq!(manifest.frames, 20_000);
        assert_take_is_exact(&folder, &manifest, 0);
    }
}

#[test]
fn a_take_of_128_channels_at_96_khz_is_exact() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = RecorderSettings::new(folder.path().into(), "wide", 96_000, 128);
    settings.buffer_seconds = 1.0;
    let (recorder, mut writer) = Recorder::open(settings).unwrap();
    writer.set_blocking(true);
    for at in 0..100 {
        assert_eq!(writer.write(&block(128, at * 256, 256)), 0);
    }
    let (folder, manifest) = only(recorder.close());
    assert_eq!((manifest.frames, manifest.stems.len()), (25_600, 128));
    assert_take_is_exact(&folder, &manifest, 0);
}

#[test]
fn the_default_ring_holds_ten_seconds_and_reports_its_memory() {
    let settings = RecorderSettings::new("x".into(), "x", RATE, 32);
    // 10 s of 32 channels of 4 bytes, the headers of the ring's blocks, and a batch per stem.
    assert_eq!(Recorder::memory_bytes(&settings), 4 * (32 * 480_000 + 4 * 30_001) + 32 * 32_768 * 3);
}

/// A file system that can stall, be full, or refuse to create files.
#[derive(Clone)]
struct FaultyFileSystem {
    /// False while writes (or syncs) stall.
    running: Arc<(Mutex<bool>, Condvar)>,
    /// Bytes that can still be written.
    room: Arc<AtomicU64>,
    /// Number of writes (or syncs) that have stalled so far.
    stalled: Arc<AtomicU64>,
    /// Files whose path contains this text cannot be created. A zero byte, which no path contains, allows all files.
    refused: &'static str,
    /// True if only syncs stall; otherwise only writes.
    only_sync: bool,
}

impl FaultyFileSystem {
    fn new(room: u64) -> Self {
        Self {
            running: Arc::new((Mutex::new(true), Condvar::new())),
            room: Arc::new(AtomicU64::new(room)),
            stalled: Arc::default(),
            refused: "\0",
            only_sync: false,
        }
    }

    /// Waits while the file system stalls.
    fn wait(&self) {
        let running = self.running.0.lock().unwrap();
        self.stalled.fetch_add(u64::from(!*running), Ordering::Relaxed);
        drop(self.running.1.wait_while(running, |running| !*running).unwrap());
    }

    /// Lets operations run, or stall.
    fn set_running(&self, running: bool) {
        *self.running.0.lock().unwrap() = running;
        self.running.1.notify_all();
    }
}

/// A file of a [`FaultyFileSystem`].
struct FaultyFile {
    file: Box<dyn WritableFile>,
    system: FaultyFileSystem,
}

impl Write for FaultyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.system.only_sync {
            self.system.wait();
        }
        // Only bytes after the file's end need room.
        let at = self.file.stream_position()?;
        let end = self.file.seek(SeekFrom::End(0))?;
        self.file.seek(SeekFrom::Start(at))?;
        let room = self.system.room.load(Ordering::Relaxed);
        let n = (end - at).saturating_add(room).min(bytes.len() as u64);
        if n == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.system.room.fetch_sub((at + n).saturating_sub(end), Ordering::Relaxed);
        self.file.write(&bytes[..n as usize])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for FaultyFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

impl WritableFile for FaultyFile {
    fn sync(&mut self) -> io::Result<()> {
        if self.system.only_sync {
            self.system.wait();
        }
        self.file.sync()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let before = self.file.seek(SeekFrom::End(0))?;
        self.system.room.fetch_add(before.saturating_sub(length), Ordering::Relaxed);
        self.file.truncate(length)
    }
}

impl FileSystem for FaultyFileSystem {
    fn create(&self, path: &Path) -> io::Result<Box<dyn WritableFile>> {
        if path.to_string_lossy().contains(self.refused) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(Box::new(FaultyFile { file: OsFileSystem.create(path)?, system: self.clone() }))
    }

    fn available(&self, _: &Path) -> io::Result<u64> {
        Ok(self.room.load(Ordering::Relaxed))
    }
}

/// Copies a folder, perhaps of a take that grows meanwhile.
fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        // The new manifest may just have been renamed.
        let _ = fs::copy(entry.path(), to.join(entry.file_name()));
    }
}

/// Makes a take as a crash leaves it: a copy of a growing one, taken once the manifest contains the text `saved`. `act` is called
/// while the take runs. Returns the folder of the copies, and the take in it.
fn interrupted_take(
    folder: &TempDir,
    settings: RecorderSettings,
    act: impl FnOnce(&Recorder),
    saved: &str,
) -> (PathBuf, PathBuf) {
    let (recorder, mut writer) = Recorder::open(settings).unwrap();
    writer.set_blocking(true);
    for at in 0..100 {
        writer.write(&block(2, at * 480, 480));
    }
    let path = recorder.health().folder.unwrap();
    act(&recorder);
    writer.write(&block(2, 48_000, 480));
    wait_until(|| fs::metadata(path.join("02 Channel 2.wav")).unwrap().len() > 3 * 48_000);
    wait_until(|| fs::read_to_string(path.join("take.json")).unwrap().contains(saved));
    let takes = folder.path().join("takes");
    fs::create_dir_all(&takes).unwrap();
    let copied = takes.join(path.file_name().unwrap());
    copy(&path, &copied);
    (takes, copied)
}

/// A change of the first channel, reported at the frame that is given next.
fn change(what: &'static str, from: &str, to: Option<&str>) -> SourceChange {
    // A time in the future counts as now.
    let at = Instant::now() + Duration::from_secs(3600);
    SourceChange { source_channel: 0, what, from: Some(from.into()), to: to.map(Into::into), at, since: None }
}

/// The error of opening a recorder whose settings `change` has made invalid.
fn open_error(change: impl FnOnce(&mut RecorderSettings)) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(&folder, 3);
    change(&mut settings);
    let text = Recorder::open(settings).map(|_| ()).unwrap_err().to_string();
    assert!(!text.contains('\n') && fs::read_dir(&folder).unwrap().count() == 0, "{text}");
    text
}

/// A take of two parts with a gap, a marker, an over and a NaN.
fn take_with_all_features(folder: &TempDir) -> (PathBuf, Manifest) {
    let file_system = FaultyFileSystem::new(u64::MAX);
    let mut settings = settings(folder, 3);
    settings.buffer_seconds = 0.5;
    settings.split_seconds = Some(0.7);
    let (recorder, mut writer) = Recorder::open_on(Box::new(file_system.clone()), settings).unwrap();
    file_system.set_running(false);
    let mut lost = 0;
    for at in 0..200 {
        lost += writer.write(&block(3, at * 480, 480));
    }
    assert!(lost > 0);
    writer.mark();
    file_system.set_running(true);
    wait_until(|| recorder.health().fill < 0.01);
    writer.write(&[[2.0, f32::NAN], [0.5, 0.5], [0.25, 0.25]]);
    only(recorder.close())
}

/// Names of the chunks of a file.
fn chunk_names(path: &Path) -> Vec<String> {
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

/// Runs a program and returns its standard output and standard error; `None` if it is not installed.
fn output(program: &str, arguments: &[&std::ffi::OsStr]) -> Option<(Vec<u8>, String)> {
    match Command::new(program).args(arguments).output() {
        Ok(output) => {
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{program}: {errors}");
            Some((output.stdout, errors))
        }
        Err(_) => {
            println!("skipped: {program} is not installed");
            None
        }
    }
}
