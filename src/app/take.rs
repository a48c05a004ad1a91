//! The keeper's recorder: opened, closed and told what to do.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::device::{Feed, Granted};
use crate::plugin::{take_settings, take_view};
use crate::record::{Channel, Health, Manifest, Phase, Recorder, Settings};
use crate::ui::{TakeSetup, TakeStart, TakeView};

/// A take that is finished: its folder and what it says.
pub type Finished = (PathBuf, Manifest);

struct Open {
    recorder: Recorder,
    settings: Settings,
    /// Takes of it that have been told.
    told: usize,
    /// As it was at the last look.
    phase: Phase,
}

/// What there is to record.
pub struct Given<'a> {
    pub granted: &'a Granted,
    pub asked: &'a str,
    pub source: String,
    /// Those that are armed.
    pub channels: Vec<Channel>,
}

/// See the module.
pub struct Deck {
    /// A recorder is to be kept ready.
    pub armed: bool,
    /// A take is wanted, by hand.
    wanted: bool,
    open: Option<Open>,
    /// Settings that were refused, and why.
    refused: Option<(Settings, String)>,
    /// Of the recorder before.
    last: Health,
    /// Recorders that are being closed, each on a thread of its own, and what they recorded.
    closing: usize,
    done: Sender<Vec<Finished>>,
    closed: Receiver<Vec<Finished>>,
}

impl Deck {
    pub fn new() -> Self {
        let (done, closed) = channel();
        let last = Health::default();
        Self { armed: false, wanted: false, open: None, refused: None, last, closing: 0, done, closed }
    }

    /// Whether a take runs.
    pub fn is_recording(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.recorder.health().phase == Phase::Recording)
    }

    /// Opens, closes or leaves the recorder, so that it is what is wanted. During a take all stays as it is. Returns why there is no
    /// recorder, once.
    pub fn fit(&mut self, setup: &TakeSetup, given: Given<'_>, feed: &mut Feed) -> Option<String> {
        if !(self.armed || self.wanted) {
            self.refused = None;
            self.close(Some(feed));
            return None;
        }
        if self.is_recording() {
            return None;
        }
        // A device has no transport.
        let by_hand = TakeSetup { start: TakeStart::Hand, ..setup.clone() };
        let setup = if setup.start == TakeStart::Level { setup } else { &by_hand };
        let mut settings = take_settings(setup, given.granted.sample_rate);
        settings.source = given.source;
        settings.asked = given.asked.into();
        settings.granted = given.granted.to_string();
        settings.words = given.granted.format.words();
        settings.channels = given.channels;
        if self.open.as_ref().is_some_and(|open| open.settings == settings)
            || self.refused.as_ref().is_some_and(|(refused, _)| *refused == settings)
        {
            return None;
        }
        self.close(Some(feed));
        let error = match Self::recorder(&settings, feed) {
            Ok(recorder) => {
                self.refused = None;
                self.open = Some(Open { recorder, settings, told: 0, phase: Phase::Armed });
                return None;
            }
            Err(error) => error,
        };
        self.wanted = false;
        self.refused = Some((settings, error.clone()));
        Some(error)
    }

    fn recorder(settings: &Settings, feed: &mut Feed) -> Result<Recorder, String> {
        if settings.channels.is_empty() {
            return Err("no channel is armed".into());
        }
        let (recorder, writer) = Recorder::open(settings.clone()).map_err(|e| e.to_string())?;
        feed.replace(Some(writer)).map_err(|_| "the device gives no sound to record".to_string())?;
        Ok(recorder)
    }

    /// Asks for a recorder that is to record: [`Self::fit`] opens it, [`Self::record`] starts the take.
    pub fn want(&mut self) {
        self.wanted = true;
        self.refused = None;
    }

    /// A take starts now. The recorder is open.
    pub fn record(&mut self) {
        if let Some(open) = &self.open {
            open.recorder.start();
        }
    }

    /// The take ends now.
    pub fn stop(&mut self) {
        self.wanted = false;
        if let Some(open) = &self.open {
            open.recorder.stop();
        }
    }

    pub fn mark(&self) {
        if let Some(open) = &self.open {
            open.recorder.mark(None);
        }
    }

    /// There is nothing to record any more: the take ends where the sound did.
    pub fn end(&mut self) {
        self.wanted = false;
        self.close(None);
    }

    /// Closes the recorder on a thread of its own, which waits for the disk.
    fn close(&mut self, feed: Option<&mut Feed>) {
        let Some(Open { recorder, told, .. }) = self.open.take() else { return };
        if let Some(feed) = feed {
            // Full only while the device is away; then what comes next is not there either.
            let _ = feed.replace(None);
        }
        self.last = Health { phase: Phase::Armed, ..recorder.health() };
        self.closing += 1;
        let done = self.done.clone();
        std::thread::spawn(move || {
            let takes = recorder.close();
            let _ = done.send(takes.into_iter().skip(told).collect());
        });
    }

    /// Waits for the disk. Returns what was recorded and not told yet.
    pub fn finish(&mut self) -> Vec<Finished> {
        let mut takes = Vec::new();
        while self.closing > 0
            && let Ok(closed) = self.closed.recv()
        {
            takes.extend(self.take_over(closed));
        }
        takes
    }

    fn take_over(&mut self, closed: Vec<Finished>) -> Vec<Finished> {
        self.closing = self.closing.saturating_sub(1);
        if let Some((folder, manifest)) = closed.last() {
            self.last = Health {
                folder: Some(folder.clone()),
                frames: manifest.frames,
                seconds: manifest.seconds(),
                lost_frames: manifest.lost_frames(),
                error: manifest.error.clone(),
                ..self.last.clone()
            };
        }
        closed
    }

    /// The folder of a take that has begun since the last look with its number of channels, and takes that have ended.
    pub fn attend(&mut self) -> (Option<(PathBuf, usize)>, Vec<Finished>) {
        let mut takes = Vec::new();
        while let Ok(closed) = self.closed.try_recv() {
            takes.extend(self.take_over(closed));
        }
        let Some(open) = &mut self.open else { return (None, takes) };
        let health = open.recorder.health();
        let began = health.phase == Phase::Recording && open.phase != Phase::Recording;
        let began = health.folder.filter(|_| began).map(|folder| (folder, open.settings.channels.len()));
        open.phase = health.phase;
        let all = open.recorder.takes();
        let new = all.get(open.told..).unwrap_or(&[]);
        if !new.is_empty() && health.phase == Phase::Armed {
            self.wanted = false;
        }
        takes.extend_from_slice(new);
        open.told = all.len();
        (began, takes)
    }

    /// For the panel.
    pub fn view(&self, setup: &TakeSetup, channels: usize) -> TakeView {
        let health = match self.open.as_ref().map(|open| open.recorder.health()) {
            Some(health) if health.folder.is_some() => health,
            Some(health) => Health { disk_seconds_left: health.disk_seconds_left, error: health.error, ..self.last.clone() },
            None => Health { disk_seconds_left: None, ..self.last.clone() },
        };
        let told = take_view(&health);
        TakeView {
            setup: setup.clone(),
            channels,
            by_strip: true,
            armed: self.armed,
            ready: self.open.is_some(),
            error: self.refused.as_ref().map(|(_, error)| error.clone()).or(told.error),
            ..told
        }
    }
}
