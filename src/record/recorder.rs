//! [`Recorder`]: the control thread's end of a recorder.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Instant;

use chrono::Local;

use super::event::{RecorderEvent, TakeDescription};
use super::file_system::{FileSystem, OsFileSystem};
use super::health::{Health, RecorderPhase, StatusLight};
use super::manifest::Manifest;
use super::output_file::BATCH_FRAMES;
use super::pcm::{Converter, InstructionSet};
use super::ring::{RingCounters, Writer, ring, ring_words};
use super::settings::{RecorderSettings, StartTrigger, check_folder, seconds_to_frames};
use super::shared::SharedState;
use super::take::Take;
use super::worker::Worker;
use super::{TakeError, to_usize};
use crate::source::SourceChange;

/// A running recorder: starts, stops and marks takes and reports their health. Dropping it finishes the take. All methods:
/// [control thread], unless they say otherwise.
///
/// # Examples
///
/// ```
/// use isotherm::record::{Recorder, RecorderSettings, verify};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let folder = tempfile::tempdir()?;
/// // Two channels at 48 kHz, written as 24-bit files; the take starts with the first frame.
/// let settings = RecorderSettings::new(folder.path().into(), "Rehearsal", 48_000, 2);
/// let (recorder, mut writer) = Recorder::open(settings)?;
///
/// // The audio thread writes a slice per channel. The returned count is of frames that found the ring full.
/// for _ in 0..10 {
///     let lost = writer.write(&[[0.25_f32; 480], [-0.25; 480]]);
///     assert_eq!(lost, 0);
/// }
///
/// // `close` waits for the disk and returns the folder and the manifest of every take.
/// let takes = recorder.close();
/// let (take, manifest) = &takes[0];
/// assert_eq!((manifest.frames, manifest.lost_frames()), (4800, 0));
/// assert_eq!(manifest.stems[1].parts[0].file, "02 Channel 2.wav");
/// assert!(take.join("02 Channel 2.wav").is_file() && take.join("take.json").is_file());
/// assert!(verify(take)?.problems.is_empty());
/// # Ok(())
/// # }
/// ```
pub struct Recorder {
    shared: Arc<SharedState>,
    counters: Arc<RingCounters>,
    /// The disk thread; `None` once it has been joined.
    thread: Option<JoinHandle<()>>,
    instruction_set: InstructionSet,
    ring_frames: usize,
    sample_rate: u32,
    /// Recorded channels of the writer's blocks, from 0.
    source_channels: Vec<usize>,
}

impl Recorder {
    /// Allocates all memory and starts the disk thread. With [`StartTrigger::Now`] the take's folder exists afterwards.
    ///
    /// # Errors
    /// If a setting is out of range or the folder cannot be written to.
    pub fn open(settings: RecorderSettings) -> Result<(Self, Writer), TakeError> {
        Self::open_on(Box::new(OsFileSystem), settings)
    }

    /// Like [`Self::open`], but writes the files through `file_system`, as tests of slow and full disks do.
    ///
    /// # Errors
    /// The errors of [`Self::open`].
    pub fn open_on(file_system: Box<dyn FileSystem>, settings: RecorderSettings) -> Result<(Self, Writer), TakeError> {
        settings.check()?;
        let folder = settings.folder.clone();
        check_folder(&folder)?;
        let take = match settings.start {
            StartTrigger::Now => Some(Take::create(&settings, &*file_system, Local::now(), 0)?),
            _ => None,
        };
        let ring_frames = to_usize(settings.frames(settings.buffer_seconds).max(1));
        let source_channels: Vec<usize> = settings.channels.iter().map(|channel| channel.source_channel).collect();
        let (writer, reader, events) = ring(source_channels.clone(), ring_frames);
        let shared = Arc::new(SharedState::default());
        let instruction_set = Converter::new(settings.word_format, settings.format).instruction_set();
        let counters = reader.counters.clone();
        let sample_rate = settings.sample_rate;
        let mut worker = Worker::new(settings, file_system, shared.clone(), counters.clone(), take);
        worker.publish();
        let thread = std::thread::Builder::new().name("isotherm-disk".into()).spawn(move || worker.run(reader, events));
        let thread = thread.map_err(|e| TakeError::io("start a thread to write", &folder, e))?;
        let recorder =
            Self { shared, counters, thread: Some(thread), instruction_set, ring_frames, sample_rate, source_channels };
        Ok((recorder, writer))
    }

    /// Bytes of memory that a recorder with these settings needs: ring, pre-roll and batches. [any thread]
    #[must_use]
    pub fn memory_bytes(settings: &RecorderSettings) -> usize {
        let channels = settings.channels.len();
        let words = ring_words(channels, to_usize(settings.frames(settings.buffer_seconds)))
            + channels * to_usize(settings.frames(settings.pre_roll_seconds));
        4 * words + channels * BATCH_FRAMES * settings.format.bytes() * (1 + usize::from(settings.interleaved))
    }

    /// The instruction set that the samples are converted with.
    #[must_use]
    pub fn instruction_set(&self) -> InstructionSet {
        self.instruction_set
    }

    /// Starts a take now, unless one is running.
    pub fn start(&self) {
        self.send(RecorderEvent::Start);
    }

    /// Ends the take now; the recorder then waits for the next start.
    pub fn stop(&self) {
        self.send(RecorderEvent::Stop);
    }

    /// Ends the take because its source has ended; `why` becomes the take's error. The take is complete up to the last frame that
    /// was given to the writer.
    pub fn source_ended(&self, why: impl Into<String>) {
        self.send(RecorderEvent::End(why.into()));
    }

    /// Sets a marker now; without a name it gets a number.
    pub fn mark(&self, name: Option<String>) {
        self.send(RecorderEvent::Mark(name));
    }

    /// Replaces folder, name, source and channel names for takes that begin later. The other fields of `settings` are
    /// not applied, so the recorder goes on and its pre-roll is kept.
    ///
    /// # Errors
    /// The errors of [`Self::open`]; also if `settings` records other channels.
    pub fn set_description(&self, settings: &RecorderSettings) -> Result<(), TakeError> {
        settings.check()?;
        let source_channels: Vec<usize> = settings.channels.iter().map(|channel| channel.source_channel).collect();
        if source_channels != self.source_channels {
            return Err(TakeError::setting(
                "channels",
                format!("{source_channels:?}"),
                format!("{:?}, which are recorded", self.source_channels),
            ));
        }
        check_folder(&settings.folder)?;
        let RecorderSettings { folder, name, source, channels, .. } = settings.clone();
        self.send(RecorderEvent::Describe(Box::new(TakeDescription { folder, name, source, channels })));
        Ok(())
    }

    /// Lists changes of a desk's metadata in the manifest of the running take, each at the frame that was given when the desk
    /// reported it. Later takes begin with the changed metadata.
    pub fn source_changed(&self, changes: Vec<SourceChange>) {
        // The clock is read once: changes that were reported together stay together.
        let (position, now) = (self.counters.position.load(Ordering::Acquire), Instant::now());
        let frame = |then: Instant| {
            let ago = now.saturating_duration_since(then).as_secs_f64();
            position.saturating_sub(seconds_to_frames(ago, self.sample_rate))
        };
        for change in changes {
            let (at, since) = (frame(change.at), change.since.map(frame));
            self.send_at(at, RecorderEvent::Change(Box::new(change), since));
        }
    }

    fn send(&self, event: RecorderEvent) {
        self.send_at(self.counters.position.load(Ordering::Acquire), event);
    }

    fn send_at(&self, position: u64, event: RecorderEvent) {
        self.shared.push_event(position, event);
        self.wake();
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    /// The recorder's status. Losses and the ring's fill are current; the rest is at most 50 ms old, unless the disk is slow.
    #[must_use]
    pub fn health(&self) -> Health {
        let mut health = self.shared.health();
        // Loaded in this order, `consumed` is never ahead of `position`.
        let consumed = self.counters.consumed.load(Ordering::Acquire);
        let waiting = self.counters.position.load(Ordering::Acquire) - consumed;
        health.fill = (waiting as f32 / self.ring_frames as f32).min(1.0);
        if health.phase == RecorderPhase::Recording {
            let lost = self.counters.lost.load(Ordering::Relaxed).saturating_sub(self.shared.lost_before.load(Ordering::Relaxed));
            health.lost_frames = health.lost_frames.max(lost);
            let stretched = self.counters.stretched.load(Ordering::Relaxed);
            health.stretched = stretched.saturating_sub(self.shared.stretched_before.load(Ordering::Relaxed));
        }
        health.light = match &health {
            Health { error: Some(_), .. } => StatusLight::Red,
            Health { lost_frames: 1.., .. } => StatusLight::Red,
            Health { stretched: 1.., .. } => StatusLight::Yellow,
            _ => StatusLight::Green,
        };
        health
    }

    /// Folder and manifest of each finished take, in order.
    #[must_use]
    pub fn takes(&self) -> Vec<(PathBuf, Manifest)> {
        self.takes_since(0)
    }

    /// Like [`Self::takes`], without the first `known` takes.
    #[must_use]
    pub fn takes_since(&self, known: usize) -> Vec<(PathBuf, Manifest)> {
        self.shared.takes_since(known)
    }

    /// Finishes the take with all frames that were given, waits for the disk and returns all takes of this recorder.
    #[must_use]
    pub fn close(mut self) -> Vec<(PathBuf, Manifest)> {
        self.end();
        self.takes()
    }

    fn end(&mut self) {
        self.shared.closing.store(true, Ordering::Release);
        self.wake();
        if let Some(thread) = self.thread.take() {
            // A panic of the disk thread has been printed; the take can be recovered from what is on disk.
            let _ = thread.join();
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.end();
    }
}
