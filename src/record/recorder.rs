//! The recorder's end for an interface: what can be asked and told while the disk thread works.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Instant;

use chrono::Local;

use super::TakeError;
use super::disk::{Disk, System};
use super::event::{Description, Event};
use super::exchange::Exchange;
use super::health::{Health, Light, Phase};
use super::manifest::Manifest;
use super::pcm::{Converter, Level};
use super::ring::{Shared, Writer, ring, ring_words};
use super::settings::{Settings, Start, check_folder};
use super::take::Take;
use super::track::BATCH_FRAMES;
use super::worker::Worker;
use crate::source::SourceChange;

/// The recorder's end for the interface. Dropped, it finishes the take. All of it: [control thread]
pub struct Recorder {
    exchange: Arc<Exchange>,
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
        let exchange = Arc::new(Exchange::default());
        let level = Converter::new(settings.words, settings.format).level();
        let shared = reader.shared.clone();
        let sources = settings.channels.iter().map(|channel| channel.source).collect();
        let sample_rate = settings.sample_rate;
        let mut worker = Worker::new(settings, disk, exchange.clone(), shared.clone(), take);
        worker.publish();
        let thread = std::thread::Builder::new().name("isotherm-disk".into()).spawn(move || worker.run(reader, events));
        let thread = thread.map_err(|e| TakeError::io("start a thread to write", &folder, e))?;
        Ok((Self { exchange, shared, thread: Some(thread), level, ring_frames, sample_rate, sources }, writer))
    }

    /// Bytes that a recorder with these settings keeps: ring, pre-roll and batches. [any thread]
    #[must_use]
    pub fn memory_bytes(settings: &Settings) -> usize {
        let channels = settings.channels.len();
        let words = ring_words(channels, settings.frames(settings.buffer_seconds) as usize)
            + channels * settings.frames(settings.pre_roll_seconds) as usize;
        4 * words + channels * BATCH_FRAMES * settings.format.bytes() * (1 + usize::from(settings.interleaved))
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
        self.exchange.tell(position, event);
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
        let mut health = self.exchange.health();
        // In this order: what is taken was given before.
        let taken = self.shared.taken.load(Ordering::Acquire);
        let waiting = self.shared.position.load(Ordering::Acquire) - taken;
        health.fill = (waiting as f32 / self.ring_frames as f32).min(1.0);
        if health.phase == Phase::Recording {
            let lost = self.shared.lost.load(Ordering::Relaxed).saturating_sub(self.exchange.lost_before.load(Ordering::Relaxed));
            health.lost_frames = health.lost_frames.max(lost);
            let stretched = self.shared.stretched.load(Ordering::Relaxed);
            health.stretched = stretched.saturating_sub(self.exchange.stretched_before.load(Ordering::Relaxed));
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
        self.takes_since(0)
    }

    /// Those of them behind the first `known`.
    #[must_use]
    pub fn takes_since(&self, known: usize) -> Vec<(PathBuf, Manifest)> {
        self.exchange.takes_since(known)
    }

    /// Finishes the take with everything that was given, waits for the disk and returns all takes.
    #[must_use]
    pub fn close(mut self) -> Vec<(PathBuf, Manifest)> {
        self.end();
        self.takes()
    }

    fn end(&mut self) {
        self.exchange.close.store(true, Ordering::Release);
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
