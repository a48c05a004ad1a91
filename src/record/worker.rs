//! The disk thread: empties the ring, applies events at their positions and writes the takes.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use chrono::{Local, TimeDelta};

use super::block_view::BlockView;
use super::event::{RecorderEvent, TakeDescription};
use super::file_system::FileSystem;
use super::health::{Health, RecorderPhase, StatusLight};
use super::manifest::Manifest;
use super::pre_roll::PreRoll;
use super::ring::{EventConsumer, RingCounters, RingReader};
use super::settings::{RecorderSettings, StartTrigger};
use super::shared::SharedState;
use super::take::Take;
use super::{TakeError, to_usize};
use crate::audio::db_to_gain;
use crate::source::SourceChange;

/// Time that the disk thread sleeps while nothing comes, and between two updates of the health.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Time between two writes of everything that is gathered, headers included. Half a second, so that a crash costs at
/// most one second of sound.
const REFRESH_INTERVAL: Duration = Duration::from_millis(500);
/// Time between two flushes of the system's cache to the disk, with [`RecorderSettings::sync`].
const SYNC_INTERVAL: Duration = Duration::from_secs(1);
/// Frames that are copied out of the pre-roll at a time.
const PRE_ROLL_CHUNK_FRAMES: usize = 1024;
/// Reason of a gap in the manifest: the disk was too slow for the ring.
const RING_FULL: &str = "the buffer was full";
/// [`Manifest::ended`] of a take that reached [`StopConditions::after_seconds`](super::StopConditions::after_seconds).
const AFTER_TIME: &str = "after the time that was set";
/// [`Manifest::ended`] of a take that [`StopConditions::below`](super::StopConditions::below) ended.
const BY_SILENCE: &str = "by silence";
/// [`Manifest::ended`] of a take that the user or the host stopped.
const BY_USER: &str = "by hand";
/// [`Manifest::ended`] of a take that ran when the recorder was closed.
const BY_CLOSING: &str = "with its recorder";
/// [`Manifest::ended`] of a take whose files could not be written.
const BY_ERROR: &str = "by an error";
/// [`Manifest::ended`] of a take whose source ended.
const BY_SOURCE: &str = "by its source";

/// The running take.
struct RunningTake {
    take: Take,
    /// Position of the take's first frame.
    first: u64,
    /// Position at which the take ends by itself, if its length is limited.
    end: Option<u64>,
    /// Position of the frame after the last loud one; at first, that of the start.
    quiet_from: u64,
    /// The ring's count of stretches when the take began.
    stretched_before: u64,
}

/// The disk thread's state.
pub struct Worker {
    settings: RecorderSettings,
    file_system: Box<dyn FileSystem>,
    shared: Arc<SharedState>,
    counters: Arc<RingCounters>,
    /// Position of the next frame to process.
    position: u64,
    pre_roll: PreRoll,
    running: Option<RunningTake>,
    /// Description for the takes after the running one.
    next_description: Option<Box<TakeDescription>>,
    /// End and reason of the last gap that the writer reported: frames that are missing before this position have this reason.
    reported_gap: (u64, &'static str),
    /// Events that have not happened yet, sorted by position.
    pending: VecDeque<(u64, RecorderEvent)>,
    /// Changes of the source that `settings` does not contain yet: the position of the report, the earliest position of the
    /// change if it was reported late, and the change.
    changes: VecDeque<(u64, Option<u64>, SourceChange)>,
    last_refresh: Instant,
    last_sync: Instant,
    last_publish: Instant,
    /// Folder and manifest of the last finished take, for the health.
    last_take: Option<(PathBuf, Manifest)>,
    /// Error that ended the last take or kept one from starting.
    error: Option<String>,
    disk_bytes_left: Option<u64>,
}

impl Worker {
    /// Makes the state of a disk thread. `take`, if there is one, runs from the first frame.
    pub fn new(
        settings: RecorderSettings,
        file_system: Box<dyn FileSystem>,
        shared: Arc<SharedState>,
        counters: Arc<RingCounters>,
        take: Option<Take>,
    ) -> Self {
        let pre_roll = PreRoll::new(settings.channels.len(), to_usize(settings.frames(settings.pre_roll_seconds)));
        let now = Instant::now();
        let mut worker = Self {
            settings,
            file_system,
            shared,
            counters,
            position: 0,
            pre_roll,
            running: None,
            next_description: None,
            reported_gap: (0, RING_FULL),
            pending: VecDeque::new(),
            changes: VecDeque::new(),
            last_refresh: now,
            last_sync: now,
            last_publish: now,
            last_take: None,
            error: None,
            disk_bytes_left: None,
        };
        worker.update_disk_space();
        if let Some(take) = take {
            worker.run_take(take, 0);
        }
        worker
    }

    /// Runs until the recorder is closed and all frames up to then are written.
    pub fn run(mut self, mut reader: RingReader, mut events: EventConsumer) {
        let mut close_at = None;
        loop {
            if close_at.is_none() && self.shared.closing.load(Ordering::Acquire) {
                close_at = Some(self.counters.position.load(Ordering::Acquire));
            }
            // Loaded before the ring is read: all frames that were given by now are in the ring or lost.
            let given = self.counters.position.load(Ordering::Acquire);
            let mut idle = true;
            while self.position < close_at.unwrap_or(u64::MAX) {
                let Some(ring_block) = reader.next() else { break };
                idle = false;
                self.collect_events(&mut events);
                self.fill_gap_until(ring_block.position);
                self.consume(&ring_block.view());
                drop(ring_block);
                self.tick();
            }
            self.collect_events(&mut events);
            self.fill_gap_until(given.min(close_at.unwrap_or(u64::MAX)));
            self.apply_events();
            self.tick();
            if close_at.is_some_and(|end| self.position >= end) {
                self.finish(BY_CLOSING, None);
                self.publish();
                return;
            }
            if idle {
                std::thread::park_timeout(POLL_INTERVAL);
            }
        }
    }

    /// Moves the events of the writer and of the interface to `pending`.
    fn collect_events(&mut self, events: &mut EventConsumer) {
        let known = self.pending.len();
        while let Ok(event) = events.pop() {
            self.pending.push_back(event);
        }
        self.shared.take_events(&mut self.pending);
        if self.pending.len() > known {
            self.pending.make_contiguous().sort_by_key(|(position, _)| *position);
        }
    }

    /// Applies the pending events up to the current position.
    fn apply_events(&mut self) {
        while let Some((event_position, event)) = self.pending.pop_front_if(|(position, _)| *position <= self.position) {
            match (event, &mut self.running) {
                (RecorderEvent::Start, None) => self.start(),
                (RecorderEvent::Stop, Some(_)) => self.finish(BY_USER, None),
                (RecorderEvent::Mark(name), Some(running)) => running.take.mark(self.position - running.first, name),
                (RecorderEvent::End(what), Some(running)) => {
                    // The batches are written first, because finishing with an error drops the frames that are in no file yet.
                    let written = running.take.refresh(false);
                    self.finish(BY_SOURCE, Some(written.err().unwrap_or(TakeError::SourceEnded { what })));
                }
                (RecorderEvent::Gap(frames, reason), _) => self.reported_gap = (self.position + frames, reason),
                (RecorderEvent::Change(change, since), _) => self.handle_change(event_position, since, *change),
                (RecorderEvent::Describe(description), None) => self.apply_description(*description),
                (RecorderEvent::Describe(description), Some(_)) => self.next_description = Some(description),
                (RecorderEvent::Start, Some(_))
                | (RecorderEvent::Stop | RecorderEvent::Mark(_) | RecorderEvent::End(_), None) => {}
            }
        }
    }

    /// Frames up to the next event, at most `n`.
    fn frames_until_event(&self, n: u64) -> u64 {
        self.pending.front().map_or(n, |(position, _)| n.min(position - self.position))
    }

    /// Treats the frames from the current position to `position` as lost.
    fn fill_gap_until(&mut self, position: u64) {
        while self.position < position {
            self.apply_events();
            let mut n = self.frames_until_event(position - self.position);
            let mut reason = RING_FULL;
            if self.position < self.reported_gap.0 {
                n = n.min(self.reported_gap.0 - self.position);
                reason = self.reported_gap.1;
            }
            let mut ended = false;
            let mut result = Ok(());
            if let Some(running) = &mut self.running {
                let left = running.end.map_or(u64::MAX, |end| end - self.position);
                n = n.min(left);
                ended = n == left;
                // Lost frames may have been loud, so they do not count as silence.
                running.quiet_from += n;
                result = running.take.append_gap(&*self.file_system, n, reason);
            }
            self.pre_roll.push_gap(self.position, n, reason);
            self.position += n;
            self.finish_if(ended, AFTER_TIME, result);
        }
    }

    /// Records a block, or keeps it in the pre-roll.
    fn consume(&mut self, view: &BlockView<'_>) {
        let mut from = 0;
        while from < view.frames {
            self.apply_events();
            let n = to_usize(self.frames_until_event((view.frames - from) as u64));
            from += match self.running {
                None => self.wait_for_level(view, from, n),
                Some(_) => self.append_to_take(view, from, n),
            };
        }
    }

    /// Keeps up to `n` frames in the pre-roll, and starts a take at the first frame that reaches the start level. Returns the
    /// number of frames that are processed.
    fn wait_for_level(&mut self, view: &BlockView<'_>, from: usize, mut n: usize) -> usize {
        if let (StartTrigger::Level { db }, None) = (self.settings.start, &self.error)
            && let Some((loud, _)) = view.loud_range(self.settings.word_format, level_from_db(db), from, n)
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

    /// Appends up to `n` frames to the take, and ends it where a stop condition is met. Returns the number of frames that are
    /// processed.
    fn append_to_take(&mut self, view: &BlockView<'_>, from: usize, mut n: usize) -> usize {
        let Some(running) = &mut self.running else { return 0 };
        let (mut ended, mut why) = (false, AFTER_TIME);
        if let Some((db, seconds)) = self.settings.stop.below {
            let loud = view.loud_range(self.settings.word_format, level_from_db(db), from, n);
            // Quiet frames until the take ends.
            let left = to_usize((running.quiet_from + self.settings.frames(seconds)).saturating_sub(self.position));
            let quiet = loud.map_or(n, |(first, _)| first - from);
            if quiet >= left {
                n = left;
                (ended, why) = (true, BY_SILENCE);
            } else if let Some((_, last)) = loud {
                running.quiet_from = self.position + (last - from) as u64 + 1;
            }
        }
        if let Some(end) = running.end {
            let left = to_usize(end - self.position);
            if left <= n {
                n = left;
                (ended, why) = (true, AFTER_TIME);
            }
        }
        let result = running.take.append(&*self.file_system, view, from, n);
        self.pre_roll.push(view, from, n);
        self.position += n as u64;
        self.finish_if(ended, why, result);
        n
    }

    /// Finishes the take if `ended` is true or `result` is an error.
    fn finish_if(&mut self, ended: bool, why: &str, result: Result<(), TakeError>) {
        match result {
            Err(error) => self.finish(BY_ERROR, Some(error)),
            Ok(()) if ended => self.finish(why, None),
            Ok(()) => {}
        }
    }

    /// Finishes the take if `result` is an error.
    fn finish_on_error(&mut self, result: Result<(), TakeError>) {
        self.finish_if(false, "", result);
    }

    /// Starts a take that begins with the pre-roll.
    fn start(&mut self) {
        let held = self.pre_roll.held as u64;
        let first = self.position - held;
        // The newest frame that the ring was given has the present wall-clock time; the take began `ago` before it.
        let ago = self.counters.position.load(Ordering::Acquire).saturating_sub(first);
        let ago = TimeDelta::from_std(Duration::from_secs_f64(ago as f64 / f64::from(self.settings.sample_rate)));
        let started = Local::now() - ago.unwrap_or_default();
        self.error = None;
        self.apply_changes_until(first);
        match Take::create(&self.settings, &*self.file_system, started, held) {
            Ok(take) => self.run_take(take, first),
            Err(error) => {
                self.error = Some(error.to_string());
                return;
            }
        }
        // Published before the pre-roll is written, which may take a while.
        self.publish();
        let Some(running) = &mut self.running else { return };
        // The list is only trimmed when a gap is added, so it may have gaps that are older than the pre-roll.
        self.pre_roll.gaps.retain(|(position, frames, _)| position + frames > first);
        for (position, frames, reason) in &self.pre_roll.gaps {
            let from = (*position).max(first);
            running.take.list_gap(from - first, position + frames - from, reason);
        }
        for (position, since, change) in &self.changes {
            running.take.add_change(position - first, since.map(|since| since.saturating_sub(first)), change);
        }
        let channels = self.settings.channels.len();
        let mut words = vec![0; channels * PRE_ROLL_CHUNK_FRAMES];
        let mut result = Ok(());
        let mut at = 0;
        while at < self.pre_roll.held && result.is_ok() {
            let n = PRE_ROLL_CHUNK_FRAMES.min(self.pre_roll.held - at);
            self.pre_roll.read(at, n, &mut words);
            result = running.take.append(&*self.file_system, &BlockView::planar(&words[..channels * n], channels, n), 0, n);
            at += n;
        }
        self.finish_on_error(result);
    }

    /// Makes `take`, whose first frame is at position `first`, the running one.
    fn run_take(&mut self, take: Take, first: u64) {
        let end = self.settings.stop.after_seconds.map(|s| self.position + self.settings.frames(s).max(1));
        self.shared.lost_before.store(self.counters.lost.load(Ordering::Relaxed), Ordering::Relaxed);
        let stretched_before = self.counters.stretched.load(Ordering::Relaxed);
        self.shared.stretched_before.store(stretched_before, Ordering::Relaxed);
        self.running = Some(RunningTake { take, first, end, quiet_from: self.position, stretched_before });
        self.last_refresh = Instant::now();
        self.last_sync = self.last_refresh;
    }

    /// Handles a change of the source at `position`, which may lie before the current one: lists it in the running take and keeps
    /// it for later ones.
    fn handle_change(&mut self, position: u64, since: Option<u64>, change: SourceChange) {
        match &mut self.running {
            Some(running) => {
                let in_take = |position: u64| position.saturating_sub(running.first);
                running.take.add_change(in_take(position), since.map(in_take), &change);
            }
            None => self.apply_changes_until(self.position.saturating_sub(self.pre_roll.capacity_frames as u64)),
        }
        // A late report can be of an earlier frame than those before it.
        let place = self.changes.partition_point(|(earlier, ..)| *earlier <= position);
        self.changes.insert(place, (position, since, change));
    }

    /// Applies all changes up to position `first`, so that the settings describe the source at the start of a take that begins
    /// there.
    fn apply_changes_until(&mut self, first: u64) {
        while let Some((_, _, change)) = self.changes.pop_front_if(|(position, ..)| *position <= first) {
            self.settings.channels.iter_mut().for_each(|channel| channel.apply(&change));
        }
    }

    /// Replaces the settings that a description contains.
    fn apply_description(&mut self, description: TakeDescription) {
        let TakeDescription { folder, name, source, mut channels } = description;
        // The desk's metadata stays as it is here: only `changes` updates it, since it may have been different during the
        // pre-roll.
        for (new, old) in channels.iter_mut().zip(&self.settings.channels) {
            if new.desk.is_some() && old.desk.is_some() {
                new.desk.clone_from(&old.desk);
            }
        }
        self.settings = RecorderSettings { folder, name, source, channels, ..self.settings.clone() };
    }

    /// Finishes the running take; `why` becomes [`Manifest::ended`].
    fn finish(&mut self, why: &str, error: Option<TakeError>) {
        let Some(mut running) = self.running.take() else { return };
        running.take.set_stretched(self.counters.stretched.load(Ordering::Relaxed) - running.stretched_before);
        let (folder, manifest) = running.take.finish(why, error);
        self.error.clone_from(&manifest.error);
        if let Some(description) = self.next_description.take() {
            self.apply_description(*description);
        }
        self.last_take = Some((folder.clone(), manifest.clone()));
        // The health is published first: once the take is listed as finished, the health no longer says that it is running.
        self.publish();
        self.shared.add_take(folder, manifest);
    }

    /// Work after every block: publishes the position and, when their time has come, refreshes the files and the health.
    fn tick(&mut self) {
        self.counters.consumed.store(self.position, Ordering::Release);
        if self.last_refresh.elapsed() >= REFRESH_INTERVAL {
            self.last_refresh = Instant::now();
            let mut result = Ok(());
            if let Some(running) = &mut self.running {
                running.take.set_stretched(self.counters.stretched.load(Ordering::Relaxed) - running.stretched_before);
                let sync = self.settings.sync && self.last_sync.elapsed() >= SYNC_INTERVAL;
                if sync {
                    self.last_sync = Instant::now();
                }
                result = running.take.refresh(sync);
            }
            self.finish_on_error(result);
            self.update_disk_space();
        }
        if self.last_publish.elapsed() >= POLL_INTERVAL {
            self.publish();
        }
    }

    /// Asks how many bytes the disk has left.
    fn update_disk_space(&mut self) {
        self.disk_bytes_left = self.file_system.available(&self.settings.folder).ok();
    }

    /// Updates the health that interfaces see.
    pub fn publish(&mut self) {
        self.last_publish = Instant::now();
        let s = &self.settings;
        let (phase, folder, manifest, frames) = match (&self.running, &self.last_take) {
            (Some(running), _) => (
                RecorderPhase::Recording,
                Some(running.take.folder().into()),
                Some(running.take.manifest()),
                running.take.frames(),
            ),
            (None, Some((folder, manifest))) => (RecorderPhase::Standby, Some(folder.clone()), Some(manifest), manifest.frames),
            (None, None) => (RecorderPhase::Standby, None, None, 0),
        };
        let bytes_per_second = s.channels.len() * s.format.bytes() * (1 + usize::from(s.interleaved)) * s.sample_rate as usize;
        // `light` and `fill` are placeholders: `Recorder::health` sets them when the health is read.
        self.shared.set_health(Health {
            phase,
            light: StatusLight::Green,
            folder,
            frames,
            seconds: frames as f64 / f64::from(s.sample_rate),
            lost_frames: manifest.map_or(0, Manifest::lost_frames),
            gaps: manifest.map_or(0, |m| m.gaps.len()),
            stretched: manifest.map_or(0, |m| m.stretched),
            overs: manifest.map_or_else(Vec::new, |m| m.stems.iter().map(|stem| stem.overs).collect()),
            markers: manifest.map_or(0, |m| m.markers.len()),
            fill: 0.0,
            disk_seconds_left: self.disk_bytes_left.map(|bytes| bytes as f64 / bytes_per_second as f64),
            error: self.error.clone(),
        });
    }
}

/// Linear level of a level in dBFS.
#[allow(clippy::cast_possible_truncation, reason = "an `f32` is exact enough for a threshold")]
fn level_from_db(db: f32) -> f32 {
    db_to_gain(db.into()) as f32
}
