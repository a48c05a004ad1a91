//! The disk thread: empties the ring, does what was told at its frame and writes the takes.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use chrono::{Local, TimeDelta};

use super::TakeError;
use super::disk::Disk;
use super::event::{Description, Event};
use super::exchange::Exchange;
use super::health::{Health, Light, Phase};
use super::manifest::Manifest;
use super::pre_roll::PreRoll;
use super::ring::{Events, Reader, Shared};
use super::settings::{Settings, Start};
use super::take::Take;
use super::view::View;
use crate::audio::db_to_gain;
use crate::source::SourceChange;

/// The disk thread looks for sound this often.
const LOOK: Duration = Duration::from_millis(50);
/// What waits goes to the files, and their headers say so, this often: twice as often as promised.
const REFRESH: Duration = Duration::from_millis(500);
/// Everything is brought to the disk this often, if it shall be.
const SYNC: Duration = Duration::from_secs(1);
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
pub struct Worker {
    settings: Settings,
    disk: Box<dyn Disk>,
    exchange: Arc<Exchange>,
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
    pub fn new(
        settings: Settings,
        disk: Box<dyn Disk>,
        exchange: Arc<Exchange>,
        shared: Arc<Shared>,
        take: Option<Take>,
    ) -> Self {
        let pre_roll = PreRoll::new(settings.channels.len(), settings.frames(settings.pre_roll_seconds) as usize);
        let now = Instant::now();
        let mut worker = Self {
            settings,
            disk,
            exchange,
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

    pub fn run(mut self, mut reader: Reader, mut events: Events) {
        let mut close_at = None;
        loop {
            if close_at.is_none() && self.exchange.close.load(Ordering::Acquire) {
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
        self.exchange.hear(&mut self.pending);
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
        self.exchange.lost_before.store(self.shared.lost.load(Ordering::Relaxed), Ordering::Relaxed);
        let stretched_before = self.shared.stretched.load(Ordering::Relaxed);
        self.exchange.stretched_before.store(stretched_before, Ordering::Relaxed);
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
            self.settings.channels.iter_mut().for_each(|channel| channel.follow(&change));
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
        self.exchange.add(folder, manifest);
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

    pub fn publish(&mut self) {
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
        self.exchange.publish(Health {
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
        });
    }
}
