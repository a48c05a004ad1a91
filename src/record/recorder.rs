//! The recorder: settings, the thread that writes, and what can be asked and told while it runs.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use chrono::{Local, TimeDelta};

use super::TakeError;
use super::disk::{Disk, System};
use super::manifest::{DeskTrack, Manifest};
use super::name::check_name;
use super::pcm::{Converter, Level, Words};
use super::ring::{Description, Event, Events, Reader, Shared, View, Writer, ring, ring_words};
use super::take::{BATCH_FRAMES, Take};
use crate::audio::{Format, db_to_gain};

/// The disk thread looks for sound this often.
const LOOK: Duration = Duration::from_millis(50);
/// What waits goes to the files, and their headers say so, this often: twice as often as promised.
const REFRESH: Duration = Duration::from_millis(500);
/// Everything is brought to the disk this often, if it shall be.
const SYNC: Duration = Duration::from_secs(1);
/// Seconds that can be kept in front of a take.
const LONGEST_PRE_ROLL_SECONDS: f64 = 60.0;
/// Channels of a take.
const MOST_CHANNELS: usize = 512;
/// Frames that are taken out of the pre-roll at a time.
const REPLAY_FRAMES: usize = 1024;
/// Why frames are lost.
const RING_FULL: &str = "the buffer was full";
/// Why takes end.
const AFTER_TIME: &str = "after the time that was set";
const QUIET: &str = "by silence";
const BY_HAND: &str = "by hand";
const CLOSED: &str = "with its recorder";
const BY_ERROR: &str = "by an error";
const BY_SOURCE: &str = "by its source";

/// A channel that is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// The channel of the blocks that the writer is given, from 0.
    pub source: usize,
    /// The stem's name.
    pub name: String,
    /// For the manifest.
    pub desk: Option<DeskTrack>,
}

impl Channel {
    /// A channel of no desk.
    #[must_use]
    pub fn new(source: usize, name: impl Into<String>) -> Self {
        Self { source, name: name.into(), desk: None }
    }
}

/// Something that became different about a channel of the source, as a desk told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceChange {
    /// The channel of the blocks that the writer is given, from 0.
    pub source: usize,
    /// `source`, `name`, `colour` or `note`.
    pub what: &'static str,
    /// None for nothing.
    pub from: Option<String>,
    pub to: Option<String>,
    /// When it was told.
    pub at: Instant,
    /// Since when it may have been so, if nobody could tell it earlier.
    pub since: Option<Instant>,
}

impl SourceChange {
    /// Brings what is said of a channel up to date; its stem keeps its name.
    fn apply(&self, channels: &mut [Channel]) {
        let tracks = channels.iter_mut().filter(|channel| channel.source == self.source);
        for track in tracks.filter_map(|channel| channel.desk.as_mut()) {
            match self.what {
                "source" => track.source = self.to.clone().unwrap_or_default(),
                "colour" => track.colour.clone_from(&self.to),
                "note" => track.note.clone_from(&self.to),
                _ => {}
            }
        }
    }
}

/// What starts a take, besides [`Recorder::start`] and [`Writer::start`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Start {
    /// Nothing.
    Hand,
    /// The first frame that is given.
    Now,
    /// A sample of at least this level on any recorded channel; then again after every stop.
    Level { db: f32 },
}

/// What ends a take, besides [`Recorder::stop`], [`Writer::stop`] and the recorder's end.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stop {
    /// This time after its start; the pre-roll comes on top.
    pub after_seconds: Option<f64>,
    /// No sample of at least `db` on any recorded channel for so many seconds.
    pub below: Option<(f32, f64)>,
}

/// What is recorded, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Takes are made in this folder; it is created if it does not exist.
    pub folder: PathBuf,
    /// Of the take: [`check_name`].
    pub name: String,
    /// For the manifest: where the sound comes from, which form of it was asked for and which one is given.
    pub source: String,
    pub asked: String,
    pub granted: String,
    /// Hertz.
    pub sample_rate: u32,
    /// What the writer is given.
    pub words: Words,
    /// What the files get.
    pub format: Format,
    pub channels: Vec<Channel>,
    /// One more file, with all channels.
    pub interleaved: bool,
    /// Time that the ring holds: 4 bytes for each sample.
    pub buffer_seconds: f64,
    /// Time that is kept and put in front of a take, 0 to 60: 4 bytes for each sample.
    pub pre_roll_seconds: f64,
    pub start: Start,
    pub stop: Stop,
    /// New files after each such time.
    pub split_seconds: Option<f64>,
    /// Whether everything is brought to the disk itself every second: keeps a take through a loss of power.
    pub sync: bool,
    /// Whether the manifest has a SHA-256 of every file's sound.
    pub hashes: bool,
}

impl Settings {
    /// All of `channels` named by their numbers, as 24-bit stems, from the first frame to the end.
    #[must_use]
    pub fn new(folder: PathBuf, name: &str, sample_rate: u32, channels: usize) -> Self {
        Self {
            folder,
            name: name.into(),
            source: String::new(),
            asked: String::new(),
            granted: String::new(),
            sample_rate,
            words: Words::Float,
            format: Format::Int24,
            channels: (0..channels).map(|source| Channel::new(source, format!("Channel {}", source + 1))).collect(),
            interleaved: false,
            buffer_seconds: 10.0,
            pre_roll_seconds: 0.0,
            start: Start::Now,
            stop: Stop::default(),
            split_seconds: None,
            sync: true,
            hashes: true,
        }
    }

    fn frames(&self, seconds: f64) -> u64 {
        (seconds * f64::from(self.sample_rate)).round() as u64
    }

    /// Bytes that a recorder with these settings keeps: ring, pre-roll and batches. [any thread]
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let channels = self.channels.len();
        let words = ring_words(channels, self.frames(self.buffer_seconds) as usize)
            + channels * self.frames(self.pre_roll_seconds) as usize;
        4 * words + channels * BATCH_FRAMES * self.format.bytes() * (1 + usize::from(self.interleaved))
    }

    fn check(&self) -> Result<(), TakeError> {
        check_name("name", &self.name)?;
        if !(1..=MOST_CHANNELS).contains(&self.channels.len()) {
            return Err(TakeError::setting("channels", self.channels.len(), format!("1 to {MOST_CHANNELS}")));
        }
        for (index, channel) in self.channels.iter().enumerate() {
            check_name("channel name", &channel.name)?;
            if let Some(other) = self.channels[..index].iter().position(|c| c.name == channel.name) {
                let found = format!("'{}' for stems {} and {}", channel.name, other + 1, index + 1);
                return Err(TakeError::setting("channel name", found, "a name of its own for each stem"));
            }
        }
        if !(1..=10_000_000).contains(&self.sample_rate) {
            return Err(TakeError::setting("sample rate", self.sample_rate, "1 to 10000000 Hz"));
        }
        let seconds = |field, found: f64, least: f64, most: f64| {
            if (least..=most).contains(&found) {
                return Ok(());
            }
            Err(TakeError::setting(field, format_args!("{found} s"), format!("{least} to {most} s")))
        };
        const LONGEST: f64 = 1e9;
        seconds("buffer", self.buffer_seconds, 0.01, 600.0)?;
        seconds("pre-roll", self.pre_roll_seconds, 0.0, LONGEST_PRE_ROLL_SECONDS)?;
        seconds("split", self.split_seconds.unwrap_or(1.0), 1e-3, LONGEST)?;
        seconds("duration", self.stop.after_seconds.unwrap_or(1.0), 1e-3, LONGEST)?;
        seconds("silence", self.stop.below.map_or(1.0, |(_, seconds)| seconds), 1e-3, LONGEST)
    }
}

/// Whether the folder can be written shall be known before the start, not after it.
fn check_folder(folder: &Path) -> Result<(), TakeError> {
    std::fs::create_dir_all(folder).map_err(|e| TakeError::io("create", folder, e))?;
    let probe = folder.join(format!(".isotherm-{}", std::process::id()));
    std::fs::write(&probe, b"").map_err(|e| TakeError::io("write to", folder, e))?;
    let _ = std::fs::remove_file(probe);
    Ok(())
}

/// What the recorder does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Waits for a start; keeps the pre-roll.
    #[default]
    Armed,
    Recording,
}

/// How the take of now, or the last one, is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Light {
    #[default]
    Green,
    /// The disk was slow and the buffer was stretched; nothing is missing.
    Yellow,
    /// Frames are lost, or the take ended in an error.
    Red,
}

/// What an interface shows. Counts are of the take of now, or of the last one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Health {
    pub phase: Phase,
    pub light: Light,
    /// The folder of the take.
    pub folder: Option<PathBuf>,
    /// The length of the take, pre-roll included.
    pub frames: u64,
    pub seconds: f64,
    pub lost_frames: u64,
    pub gaps: usize,
    /// Times that the buffer was stretched.
    pub stretched: u64,
    /// Samples beyond full scale, stem by stem.
    pub overs: Vec<u64>,
    pub markers: usize,
    /// The part of the buffer that is full, 0 to 1.
    pub fill: f32,
    /// Time that the disk has room for.
    pub disk_seconds_left: Option<f64>,
    /// What ended the last take, or kept one from starting.
    pub error: Option<String>,
}

/// What the interface and the disk thread share.
#[derive(Default)]
struct Desk {
    events: Mutex<VecDeque<(u64, Event)>>,
    health: Mutex<Health>,
    takes: Mutex<Vec<(PathBuf, Manifest)>>,
    /// An event waits.
    told: AtomicBool,
    close: AtomicBool,
    /// The counts of the ring when the take of now began.
    lost_before: AtomicU64,
    stretched_before: AtomicU64,
}

/// What is behind the lock, whatever a thread that held it did.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The recorder's end for the interface. Dropped, it finishes the take. All of it: [control thread]
pub struct Recorder {
    desk: Arc<Desk>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    level: Level,
    ring_frames: usize,
    sample_rate: u32,
    /// Channels that are recorded.
    sources: Vec<usize>,
}

impl Recorder {
    /// Allocates everything and starts the disk thread. With [`Start::Now`] the take's folder exists afterwards.
    ///
    /// # Errors
    /// A setting that cannot be, a folder that cannot be written.
    pub fn open(settings: Settings) -> Result<(Self, Writer), TakeError> {
        Self::open_on(Box::new(System), settings)
    }

    /// As [`Self::open`], on a disk of one's own.
    ///
    /// # Errors
    /// Those of [`Self::open`].
    pub fn open_on(disk: Box<dyn Disk>, settings: Settings) -> Result<(Self, Writer), TakeError> {
        settings.check()?;
        let folder = settings.folder.clone();
        check_folder(&folder)?;
        let take = match settings.start {
            Start::Now => Some(Take::create(&settings, &*disk, Local::now(), 0)?),
            _ => None,
        };
        let ring_frames = settings.frames(settings.buffer_seconds).max(1) as usize;
        let (writer, reader, events) = ring(settings.channels.iter().map(|c| c.source).collect(), ring_frames);
        let desk = Arc::new(Desk::default());
        let level = Converter::new(settings.words, settings.format).level();
        let shared = reader.shared.clone();
        let sources = settings.channels.iter().map(|channel| channel.source).collect();
        let sample_rate = settings.sample_rate;
        let mut worker = Worker::new(settings, disk, desk.clone(), shared.clone(), take);
        worker.publish();
        let thread = std::thread::Builder::new().name("isotherm-disk".into()).spawn(move || worker.run(reader, events));
        let thread = thread.map_err(|e| TakeError::io("start a thread to write", &folder, e))?;
        Ok((Self { desk, shared, thread: Some(thread), level, ring_frames, sample_rate, sources }, writer))
    }

    /// The conversion that runs.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// A take starts now, if none is running.
    pub fn start(&self) {
        self.tell(Event::Start);
    }

    /// The take ends now; the recorder waits for the next start.
    pub fn stop(&self) {
        self.tell(Event::Stop);
    }

    /// The source has ended for this reason, which is the take's error: it is whole up to the last frame that was given.
    pub fn source_ended(&self, why: impl Into<String>) {
        self.tell(Event::End(why.into()));
    }

    /// A marker, now; without a name it gets a number.
    pub fn mark(&self, name: Option<String>) {
        self.tell(Event::Mark(name));
    }

    /// Folder, name, source and channels' names of the takes that begin from now on are those of `settings`; all else stays, so that a
    /// pre-roll is kept.
    ///
    /// # Errors
    /// As those of [`Self::open`]; or if other channels are recorded.
    pub fn describe(&self, settings: &Settings) -> Result<(), TakeError> {
        settings.check()?;
        let sources: Vec<usize> = settings.channels.iter().map(|channel| channel.source).collect();
        if sources != self.sources {
            return Err(TakeError::setting(
                "channels",
                format!("{sources:?}"),
                format!("{:?}, which are recorded", self.sources),
            ));
        }
        check_folder(&settings.folder)?;
        let Settings { folder, name, source, channels, .. } = settings.clone();
        self.tell(Event::Describe(Box::new(Description { folder, name, source, channels })));
        Ok(())
    }

    /// What a desk changed goes into the manifest of the take that runs, at the frame that was given when it was told. What is said of the
    /// channels of later takes follows it.
    pub fn change(&self, changes: Vec<SourceChange>) {
        // One look at the clock: what came together stays together.
        let (position, now) = (self.shared.position.load(Ordering::Acquire), Instant::now());
        let frame = |then: Instant| {
            let ago = now.saturating_duration_since(then).as_secs_f64();
            position.saturating_sub((ago * f64::from(self.sample_rate)).round() as u64)
        };
        for change in changes {
            let (at, since) = (frame(change.at), change.since.map(frame));
            self.tell_at(at, Event::Change(Box::new(change), since));
        }
    }

    fn tell(&self, event: Event) {
        self.tell_at(self.shared.position.load(Ordering::Acquire), event);
    }

    fn tell_at(&self, position: u64, event: Event) {
        lock(&self.desk.events).push_back((position, event));
        self.desk.told.store(true, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    /// How it goes. Losses and the buffer are of this moment; the rest is at most 50 ms old, unless the disk is slow.
    #[must_use]
    pub fn health(&self) -> Health {
        let mut health = lock(&self.desk.health).clone();
        // In this order: what is taken was given before.
        let taken = self.shared.taken.load(Ordering::Acquire);
        let waiting = self.shared.position.load(Ordering::Acquire) - taken;
        health.fill = (waiting as f32 / self.ring_frames as f32).min(1.0);
        if health.phase == Phase::Recording {
            let lost = self.shared.lost.load(Ordering::Relaxed).saturating_sub(self.desk.lost_before.load(Ordering::Relaxed));
            health.lost_frames = health.lost_frames.max(lost);
            let stretched = self.shared.stretched.load(Ordering::Relaxed);
            health.stretched = stretched.saturating_sub(self.desk.stretched_before.load(Ordering::Relaxed));
        }
        health.light = match &health {
            Health { error: Some(_), .. } => Light::Red,
            Health { lost_frames: 1.., .. } => Light::Red,
            Health { stretched: 1.., .. } => Light::Yellow,
            _ => Light::Green,
        };
        health
    }

    /// The takes that are finished: folder and manifest.
    #[must_use]
    pub fn takes(&self) -> Vec<(PathBuf, Manifest)> {
        lock(&self.desk.takes).clone()
    }

    /// Those of them behind the first `known`.
    #[must_use]
    pub fn takes_since(&self, known: usize) -> Vec<(PathBuf, Manifest)> {
        lock(&self.desk.takes).get(known..).unwrap_or(&[]).to_vec()
    }

    /// Finishes the take with everything that was given, waits for the disk and returns all takes.
    #[must_use]
    pub fn close(mut self) -> Vec<(PathBuf, Manifest)> {
        self.end();
        self.takes()
    }

    fn end(&mut self) {
        self.desk.close.store(true, Ordering::Release);
        self.wake();
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed; what it left is on disk.
            let _ = thread.join();
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.end();
    }
}

/// What was given last: planar, a ring per channel.
struct PreRoll {
    words: Vec<u32>,
    frames: usize,
    /// Frames that are held, up to the last one.
    held: usize,
    /// Where the next frame goes.
    next: usize,
    /// Positions and lengths of what was lost, and why.
    gaps: VecDeque<(u64, u64, &'static str)>,
}

impl PreRoll {
    fn new(channels: usize, frames: usize) -> Self {
        Self { words: vec![0; channels * frames], frames, held: 0, next: 0, gaps: VecDeque::new() }
    }

    /// Keeps the frames `from` to `from + n`, as far as there is room.
    fn push(&mut self, view: &View<'_>, from: usize, n: usize) {
        let (from, n) = (from + n - n.min(self.frames), n.min(self.frames));
        let first = n.min(self.frames - self.next);
        for (channel, words) in self.words.chunks_exact_mut(self.frames.max(1)).enumerate() {
            view.copy(channel, from, &mut words[self.next..self.next + first]);
            view.copy(channel, from + first, &mut words[..n - first]);
        }
        self.advance(n);
    }

    /// Keeps silence of a gap at `position`.
    fn lose(&mut self, position: u64, frames: u64, reason: &'static str) {
        let n = frames.min(self.frames as u64) as usize;
        let first = n.min(self.frames - self.next);
        for words in self.words.chunks_exact_mut(self.frames.max(1)) {
            words[self.next..self.next + first].fill(0);
            words[..n - first].fill(0);
        }
        self.advance(n);
        self.gaps.push_back((position, frames, reason));
        let oldest = (position + frames).saturating_sub(self.frames as u64);
        self.gaps.retain(|(at, length, _)| at + length > oldest);
    }

    fn advance(&mut self, n: usize) {
        self.next = (self.next + n) % self.frames.max(1);
        self.held = (self.held + n).min(self.frames);
    }

    /// Copies `n` of the frames that are held, from the `at`-th oldest on, channel after channel.
    fn read(&self, at: usize, n: usize, out: &mut [u32]) {
        let start = (self.next + self.frames - self.held + at) % self.frames;
        let first = n.min(self.frames - start);
        for (words, out) in self.words.chunks_exact(self.frames).zip(out.chunks_exact_mut(n)) {
            out[..first].copy_from_slice(&words[start..start + first]);
            out[first..].copy_from_slice(&words[..n - first]);
        }
    }
}

/// The take of now.
struct Running {
    take: Take,
    /// Position of its first frame.
    first: u64,
    /// Where it ends by itself.
    end: Option<u64>,
    /// Behind the last loud frame, or its start.
    loud: u64,
    /// The buffer's count when it began.
    stretched_before: u64,
}

/// The disk thread.
struct Worker {
    settings: Settings,
    disk: Box<dyn Disk>,
    desk: Arc<Desk>,
    shared: Arc<Shared>,
    /// The next frame.
    position: u64,
    pre_roll: PreRoll,
    running: Option<Running>,
    /// What the next take is called, once the one that runs has ended.
    described: Option<Box<Description>>,
    /// Up to this position frames are missing for a reason that was told.
    known_gap: (u64, &'static str),
    /// What was told and is not done yet, by position.
    pending: VecDeque<(u64, Event)>,
    /// What became different since what the settings say of the channels, and the positions: now, and from when on it may have been so.
    changes: VecDeque<(u64, Option<u64>, SourceChange)>,
    refreshed: Instant,
    synced: Instant,
    published: Instant,
    /// Of the last take, for the interface.
    last: Option<(PathBuf, Manifest)>,
    error: Option<String>,
    disk_bytes_left: Option<u64>,
}

impl Worker {
    fn new(settings: Settings, disk: Box<dyn Disk>, desk: Arc<Desk>, shared: Arc<Shared>, take: Option<Take>) -> Self {
        let pre_roll = PreRoll::new(settings.channels.len(), settings.frames(settings.pre_roll_seconds) as usize);
        let now = Instant::now();
        let mut worker = Self {
            settings,
            disk,
            desk,
            shared,
            position: 0,
            pre_roll,
            running: None,
            described: None,
            known_gap: (0, RING_FULL),
            pending: VecDeque::new(),
            changes: VecDeque::new(),
            refreshed: now,
            synced: now,
            published: now,
            last: None,
            error: None,
            disk_bytes_left: None,
        };
        worker.look_at_disk();
        if let Some(take) = take {
            worker.run_take(take, 0);
        }
        worker
    }

    fn run(mut self, mut reader: Reader, mut events: Events) {
        let mut close_at = None;
        loop {
            if close_at.is_none() && self.desk.close.load(Ordering::Acquire) {
                close_at = Some(self.shared.position.load(Ordering::Acquire));
            }
            // Before the ring is looked into: what was given by now is in there, or lost.
            let given = self.shared.position.load(Ordering::Acquire);
            let mut idle = true;
            while self.position < close_at.unwrap_or(u64::MAX) {
                let Some(record) = reader.next() else { break };
                idle = false;
                self.hear(&mut events);
                self.catch_up(record.position);
                self.consume(&record.view());
                drop(record);
                self.tick();
            }
            self.hear(&mut events);
            self.catch_up(given.min(close_at.unwrap_or(u64::MAX)));
            self.obey();
            self.tick();
            if close_at.is_some_and(|end| self.position >= end) {
                self.finish(CLOSED, None);
                self.publish();
                return;
            }
            if idle {
                std::thread::park_timeout(LOOK);
            }
        }
    }

    /// Collects what was told.
    fn hear(&mut self, events: &mut Events) {
        let known = self.pending.len();
        while let Ok(event) = events.pop() {
            self.pending.push_back(event);
        }
        if self.desk.told.swap(false, Ordering::Acquire) {
            self.pending.append(&mut lock(&self.desk.events));
        }
        if self.pending.len() > known {
            self.pending.make_contiguous().sort_by_key(|(position, _)| *position);
        }
    }

    /// Does what was told up to this position.
    fn obey(&mut self) {
        while let Some((told, event)) = self.pending.pop_front_if(|(position, _)| *position <= self.position) {
            match (event, &mut self.running) {
                (Event::Start, None) => self.start(),
                (Event::Stop, Some(_)) => self.finish(BY_HAND, None),
                (Event::Mark(name), Some(running)) => running.take.mark(self.position - running.first, name),
                (Event::End(what), Some(running)) => {
                    // First: an error takes along what is in no file yet.
                    let written = running.take.refresh(false);
                    self.finish(BY_SOURCE, Some(written.err().unwrap_or(TakeError::Source { what })));
                }
                (Event::Gap(frames, reason), _) => self.known_gap = (self.position + frames, reason),
                (Event::Change(change, since), _) => self.change(told, since, *change),
                (Event::Describe(description), None) => self.describe(*description),
                (Event::Describe(description), Some(_)) => self.described = Some(description),
                (Event::Start, Some(_)) | (Event::Stop | Event::Mark(_) | Event::End(_), None) => {}
            }
        }
    }

    /// Frames up to the next thing to do, at most `n`.
    fn uneventful(&self, n: u64) -> u64 {
        self.pending.front().map_or(n, |(position, _)| n.min(position - self.position))
    }

    /// What lies before `position` and has not come is lost.
    fn catch_up(&mut self, position: u64) {
        while self.position < position {
            self.obey();
            let mut n = self.uneventful(position - self.position);
            let mut reason = RING_FULL;
            if self.position < self.known_gap.0 {
                n = n.min(self.known_gap.0 - self.position);
                reason = self.known_gap.1;
            }
            let mut ended = false;
            let mut result = Ok(());
            if let Some(running) = &mut self.running {
                let left = running.end.map_or(u64::MAX, |end| end - self.position);
                n = n.min(left);
                ended = n == left;
                // Nobody knows whether it was loud.
                running.loud += n;
                result = running.take.lose(&*self.disk, n, reason);
            }
            self.pre_roll.lose(self.position, n, reason);
            self.position += n;
            self.end_if(ended, AFTER_TIME, result);
        }
    }

    fn consume(&mut self, view: &View<'_>) {
        let mut from = 0;
        while from < view.frames {
            self.obey();
            let n = self.uneventful((view.frames - from) as u64) as usize;
            from += match self.running {
                None => self.listen(view, from, n),
                Some(_) => self.record(view, from, n),
            };
        }
    }

    /// Waits for the level. Returns the frames that are done.
    fn listen(&mut self, view: &View<'_>, from: usize, mut n: usize) -> usize {
        if let (Start::Level { db }, None) = (self.settings.start, &self.error)
            && let Some((loud, _)) = view.loud(self.settings.words, db_to_gain(db.into()) as f32, from, n)
        {
            n = loud - from;
            if n == 0 {
                self.start();
                return 0;
            }
        }
        self.pre_roll.push(view, from, n);
        self.position += n as u64;
        n
    }

    /// Appends to the take. Returns the frames that are done.
    fn record(&mut self, view: &View<'_>, from: usize, mut n: usize) -> usize {
        let Some(running) = &mut self.running else { return 0 };
        let (mut ended, mut why) = (false, AFTER_TIME);
        if let Some((db, seconds)) = self.settings.stop.below {
            let loud = view.loud(self.settings.words, db_to_gain(db.into()) as f32, from, n);
            // Quiet frames until the take ends.
            let left = (running.loud + self.settings.frames(seconds)).saturating_sub(self.position) as usize;
            let quiet = loud.map_or(n, |(first, _)| first - from);
            if quiet >= left {
                n = left;
                (ended, why) = (true, QUIET);
            } else if let Some((_, last)) = loud {
                running.loud = self.position + (last - from) as u64 + 1;
            }
        }
        if let Some(end) = running.end {
            let left = usize::try_from(end - self.position).unwrap_or(usize::MAX);
            if left <= n {
                n = left;
                (ended, why) = (true, AFTER_TIME);
            }
        }
        let result = running.take.append(&*self.disk, view, from, n);
        self.pre_roll.push(view, from, n);
        self.position += n as u64;
        self.end_if(ended, why, result);
        n
    }

    fn end_if(&mut self, ended: bool, why: &str, result: Result<(), TakeError>) {
        match result {
            Err(error) => self.finish(BY_ERROR, Some(error)),
            Ok(()) if ended => self.finish(why, None),
            Ok(()) => {}
        }
    }

    /// Makes a take, with the pre-roll in front.
    fn start(&mut self) {
        let held = self.pre_roll.held as u64;
        let first = self.position - held;
        // The frame that is given now is now.
        let ago = self.shared.position.load(Ordering::Acquire).saturating_sub(first);
        let ago = TimeDelta::from_std(Duration::from_secs_f64(ago as f64 / f64::from(self.settings.sample_rate)));
        let started = Local::now() - ago.unwrap_or_default();
        self.error = None;
        self.settle(first);
        match Take::create(&self.settings, &*self.disk, started, held) {
            Ok(take) => self.run_take(take, first),
            Err(error) => {
                self.error = Some(error.to_string());
                return;
            }
        }
        // Who asks shall know it before all of the pre-roll is written.
        self.publish();
        let Some(running) = &mut self.running else { return };
        // Some may have left the pre-roll since the last loss.
        self.pre_roll.gaps.retain(|(position, frames, _)| position + frames > first);
        for (position, frames, reason) in &self.pre_roll.gaps {
            let from = (*position).max(first);
            running.take.note_gap(from - first, position + frames - from, reason);
        }
        for (position, since, change) in &self.changes {
            running.take.change(position - first, since.map(|since| since.saturating_sub(first)), change);
        }
        let channels = self.settings.channels.len();
        let mut words = vec![0; channels * REPLAY_FRAMES];
        let mut result = Ok(());
        let mut at = 0;
        while at < self.pre_roll.held && result.is_ok() {
            let n = REPLAY_FRAMES.min(self.pre_roll.held - at);
            self.pre_roll.read(at, n, &mut words);
            result = running.take.append(&*self.disk, &View::planar(&words[..channels * n], channels, n), 0, n);
            at += n;
        }
        self.end_if(false, "", result);
    }

    /// From now on the take, whose first frame is at `first`, gets what comes.
    fn run_take(&mut self, take: Take, first: u64) {
        let end = self.settings.stop.after_seconds.map(|s| self.position + self.settings.frames(s).max(1));
        self.desk.lost_before.store(self.shared.lost.load(Ordering::Relaxed), Ordering::Relaxed);
        let stretched_before = self.shared.stretched.load(Ordering::Relaxed);
        self.desk.stretched_before.store(stretched_before, Ordering::Relaxed);
        self.running = Some(Running { take, first, end, loud: self.position, stretched_before });
        self.refreshed = Instant::now();
        self.synced = self.refreshed;
    }

    /// Something became different at `position`, which may lie before now.
    fn change(&mut self, position: u64, since: Option<u64>, change: SourceChange) {
        match &mut self.running {
            Some(running) => {
                let of_take = |position: u64| position.saturating_sub(running.first);
                running.take.change(of_take(position), since.map(of_take), &change);
            }
            None => self.settle(self.position.saturating_sub(self.pre_roll.frames as u64)),
        }
        self.changes.push_back((position, since, change));
    }

    /// What changed up to the frame `first` is how things are then.
    fn settle(&mut self, first: u64) {
        while let Some((_, _, change)) = self.changes.pop_front_if(|(position, ..)| *position <= first) {
            change.apply(&mut self.settings.channels);
        }
    }

    fn describe(&mut self, description: Description) {
        let Description { folder, name, source, mut channels } = description;
        // What is said of a channel follows what is told of it: in a pre-roll it may have been otherwise.
        for (new, old) in channels.iter_mut().zip(&self.settings.channels) {
            if new.desk.is_some() && old.desk.is_some() {
                new.desk.clone_from(&old.desk);
            }
        }
        self.settings = Settings { folder, name, source, channels, ..self.settings.clone() };
    }

    fn finish(&mut self, why: &str, error: Option<TakeError>) {
        let Some(mut running) = self.running.take() else { return };
        running.take.stretched(self.shared.stretched.load(Ordering::Relaxed) - running.stretched_before);
        let (folder, manifest) = running.take.finish(why, error);
        self.error.clone_from(&manifest.error);
        if let Some(description) = self.described.take() {
            self.describe(*description);
        }
        self.last = Some((folder.clone(), manifest.clone()));
        // First that it has ended, then what it was.
        self.publish();
        lock(&self.desk.takes).push((folder, manifest));
    }

    /// What is done after every block, and by the clock.
    fn tick(&mut self) {
        self.shared.taken.store(self.position, Ordering::Release);
        if self.refreshed.elapsed() >= REFRESH {
            self.refreshed = Instant::now();
            let mut result = Ok(());
            if let Some(running) = &mut self.running {
                running.take.stretched(self.shared.stretched.load(Ordering::Relaxed) - running.stretched_before);
                let sync = self.settings.sync && self.synced.elapsed() >= SYNC;
                if sync {
                    self.synced = Instant::now();
                }
                result = running.take.refresh(sync);
            }
            self.end_if(false, "", result);
            self.look_at_disk();
        }
        if self.published.elapsed() >= LOOK {
            self.publish();
        }
    }

    fn look_at_disk(&mut self) {
        self.disk_bytes_left = self.disk.available(&self.settings.folder).ok();
    }

    fn publish(&mut self) {
        self.published = Instant::now();
        let s = &self.settings;
        let (phase, folder, manifest, frames) = match (&self.running, &self.last) {
            (Some(running), _) => {
                (Phase::Recording, Some(running.take.folder().into()), Some(running.take.manifest()), running.take.frames())
            }
            (None, Some((folder, manifest))) => (Phase::Armed, Some(folder.clone()), Some(manifest), manifest.frames),
            (None, None) => (Phase::Armed, None, None, 0),
        };
        let second = s.channels.len() * s.format.bytes() * (1 + usize::from(s.interleaved)) * s.sample_rate as usize;
        let health = Health {
            phase,
            light: Light::Green,
            folder,
            frames,
            seconds: frames as f64 / f64::from(s.sample_rate),
            lost_frames: manifest.map_or(0, Manifest::lost_frames),
            gaps: manifest.map_or(0, |m| m.gaps.len()),
            stretched: manifest.map_or(0, |m| m.stretched),
            overs: manifest.map_or_else(Vec::new, |m| m.stems.iter().map(|stem| stem.overs).collect()),
            markers: manifest.map_or(0, |m| m.markers.len()),
            fill: 0.0,
            disk_seconds_left: self.disk_bytes_left.map(|bytes| bytes as f64 / second as f64),
            error: self.error.clone(),
        };
        *lock(&self.desk.health) = health;
    }
}
