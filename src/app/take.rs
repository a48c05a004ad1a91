//! The keeper's recorder: opened, closed and told what to do.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use crate::device::{Feed, Granted};
use crate::plugin::{take_settings, take_view};
use crate::record::{Channel, Health, Manifest, Phase, Recorder, Settings, Start};
use crate::source::SourceChange;
use crate::ui::{TakeSetup, TakeStart, TakeView};

/// A take that was asked for begins within this time, or something is wrong.
const PATIENCE: Duration = Duration::from_secs(5);

/// A take that is finished: its folder and what it says.
pub type Finished = (PathBuf, Manifest);

struct Open {
    recorder: Recorder,
    settings: Settings,
    /// Takes of it that have been told.
    told: usize,
    /// As it was at the last look.
    phase: Phase,
    /// A take was asked for, when, and what was wrong before; until it runs, or fails.
    starting: Option<(Instant, Option<String>)>,
}

/// What has happened since the last look.
#[derive(Default)]
pub struct Seen {
    /// A take has begun: its folder and its number of channels.
    pub began: Option<(PathBuf, usize)>,
    pub ended: Vec<Finished>,
    /// Why a take has not begun.
    pub failed: Option<String>,
}

/// What there is to record.
pub struct Given<'a> {
    pub granted: &'a Granted,
    pub asked: &'a str,
    pub source: String,
    /// Those that are armed.
    pub channels: Vec<Channel>,
}

/// Whether nothing but what takes are called, and where they are, tells two settings apart.
fn is_renamed(old: &Settings, new: &Settings) -> bool {
    let sources = |settings: &Settings| settings.channels.iter().map(|channel| channel.source).collect::<Vec<_>>();
    let Settings { folder, name, source, channels, .. } = new.clone();
    sources(old) == sources(new) && Settings { folder, name, source, channels, ..old.clone() } == *new
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

    /// Whether a take runs, or is about to.
    pub fn is_recording(&self) -> bool {
        let runs = |open: &Open| open.starting.is_some() || open.recorder.health().phase == Phase::Recording;
        self.open.as_ref().is_some_and(runs)
    }

    /// Opens, closes or leaves the recorder, so that it is what is wanted. During a take all stays as it is. Returns why there is no
    /// recorder, once.
    pub fn fit(&mut self, setup: &TakeSetup, given: Given<'_>, feed: &mut Feed) -> Option<String> {
        if self.is_recording() {
            return None;
        }
        if !(self.armed || self.wanted) {
            self.refused = None;
            self.close(Some(feed));
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
        // Other names leave the pre-roll as it is, and the ear for a level.
        let renamed = self.open.as_mut().filter(|open| is_renamed(&open.settings, &settings)).map(|open| {
            open.recorder.describe(&settings).map_err(|e| e.to_string())?;
            open.settings.clone_from(&settings);
            Ok(())
        });
        let done: Result<(), String> = renamed.unwrap_or_else(|| {
            self.close(Some(feed));
            let recorder = Self::recorder(&settings, feed)?;
            let settings = settings.clone();
            self.open = Some(Open { recorder, settings, told: 0, phase: Phase::Armed, starting: None });
            Ok(())
        });
        let Err(error) = done else {
            self.refused = None;
            return None;
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
        if let Some(open) = &mut self.open {
            open.starting = Some((Instant::now(), open.recorder.health().error));
            open.recorder.start();
        }
    }

    /// The take ends now. Levels start no other one until the recorder is armed again.
    pub fn stop(&mut self) {
        self.wanted = false;
        if let Some(open) = &mut self.open {
            open.starting = None;
            open.recorder.stop();
            self.armed &= !matches!(open.settings.start, Start::Level { .. });
        }
    }

    /// The device has ended for this reason: so does the take.
    pub fn source_ended(&self, why: &str) {
        if let Some(open) = &self.open {
            open.recorder.source_ended(why);
        }
    }

    pub fn mark(&self) {
        if let Some(open) = &self.open {
            open.recorder.mark(None);
        }
    }

    /// A desk changed something of channels.
    pub fn change(&self, changes: Vec<SourceChange>) {
        if let Some(open) = &self.open {
            open.recorder.change(changes);
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
        let close = move || {
            let takes = recorder.close();
            let _ = done.send(takes.into_iter().skip(told).collect());
        };
        // Without a thread the recorder is dropped, which finishes the take as well.
        if std::thread::Builder::new().name("isotherm-close".into()).spawn(close).is_err() {
            self.closing -= 1;
        }
    }

    /// Seconds that the disk has room for.
    pub fn seconds_left(&self) -> Option<f64> {
        self.open.as_ref()?.recorder.health().disk_seconds_left
    }

    /// Whether [`Self::finish`] waits.
    pub fn is_closing(&self) -> bool {
        self.closing > 0
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

    /// To be called several times a second.
    pub fn attend(&mut self) -> Seen {
        let mut seen = Seen::default();
        while let Ok(closed) = self.closed.try_recv() {
            seen.ended.extend(self.take_over(closed));
        }
        let Some(open) = &mut self.open else { return seen };
        // In this order: what has ended is known to have ended.
        let new = open.recorder.takes_since(open.told);
        let health = open.recorder.health();
        if health.phase == Phase::Recording && open.phase != Phase::Recording {
            seen.began = health.folder.clone().map(|folder| (folder, open.settings.channels.len()));
        }
        open.phase = health.phase;
        open.told += new.len();
        if let Some((since, before)) = &open.starting {
            let late = since.elapsed() > PATIENCE;
            if health.phase == Phase::Recording || !new.is_empty() {
                open.starting = None;
            } else if late || health.error.is_some() && health.error != *before {
                open.recorder.stop();
                seen.failed = Some(health.error.clone().unwrap_or_else(|| "no sound comes from the device".into()));
                (open.starting, self.wanted) = (None, false);
            }
        }
        if !new.is_empty() && health.phase == Phase::Armed {
            self.wanted = false;
        }
        seen.ended.extend(new);
        seen
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
            recording: self.is_recording(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{Capture, Client, Host, Input, SampleFormat};
    use crate::graph::Meter;

    const RATE: usize = 48_000;

    fn granted() -> Granted {
        Granted {
            host: Host::File,
            device: "x".into(),
            sample_rate: RATE as u32,
            format: SampleFormat::Float,
            channels: 2,
            period_frames: 480,
            buffer_frames: 480,
            outputs: 0,
        }
    }

    struct Place {
        deck: Deck,
        capture: Capture,
        feed: Feed,
        setup: TakeSetup,
        _folder: tempfile::TempDir,
    }

    impl Place {
        fn new(setup: TakeSetup) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let (capture, feed) = Capture::fed(&Meter::new(2), &granted());
            Self { deck: Deck::new(), capture, feed, setup: TakeSetup { folder: folder.path().into(), ..setup }, _folder: folder }
        }

        fn fit(&mut self, name: &str) -> Option<String> {
            let granted = granted();
            let given = Given { granted: &granted, asked: "", source: String::new(), channels: vec![Channel::new(0, name)] };
            self.deck.fit(&self.setup, given, &mut self.feed)
        }

        fn play(&mut self, level: f32, blocks: usize) {
            for _ in 0..blocks {
                self.capture.process(0, Input::Floats(&[&[level; 480], &[level; 480]]), &mut []);
            }
        }

        /// Looks until something is as it should be.
        fn until(&mut self, is: impl Fn(&Seen) -> bool) -> Seen {
            let begun = Instant::now();
            loop {
                let seen = self.deck.attend();
                if is(&seen) {
                    return seen;
                }
                assert!(begun.elapsed() < Duration::from_secs(30), "waited too long");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }

    #[test]
    fn a_take_that_is_about_to_begin_is_left_alone_whatever_changes() {
        let mut place = Place::new(TakeSetup { pre_roll_seconds: 5.0, ..TakeSetup::default() });
        place.deck.armed = true;
        assert_eq!(place.fit("One"), None);
        place.play(0.25, 500);
        place.deck.want();
        place.fit("One");
        place.deck.record();
        assert!(place.deck.is_recording(), "from the press on");
        place.fit("Two");
        place.deck.armed = false;
        place.fit("Three");
        place.play(0.25, 10);
        assert_eq!(place.until(|seen| seen.began.is_some()).began.unwrap().1, 1);
        place.play(0.25, 10);
        place.deck.stop();
        let ended = place.until(|seen| !seen.ended.is_empty()).ended;
        assert_eq!((ended.len(), ended[0].1.stems[0].name.as_str(), ended[0].1.lost_frames()), (1, "One", 0));
        assert_eq!(ended[0].1.frames, 5 * RATE as u64 + 20 * 480);
        // Neither armed nor wanted: nothing is kept ready.
        place.fit("Four");
        assert!(place.deck.open.is_none());
        assert!(place.deck.finish().is_empty(), "told once");
    }

    #[test]
    fn a_take_to_which_nothing_came_is_told_as_a_loss() {
        let mut place = Place::new(TakeSetup::default());
        place.deck.want();
        assert_eq!(place.fit("One"), None);
        place.deck.record();
        place.until(|seen| seen.began.is_some());
        place.deck.end();
        let ended = place.deck.finish();
        assert_eq!((ended.len(), ended[0].1.frames), (1, 0));
        assert!(ended[0].1.loss().unwrap().contains("no frames"));
        assert!(!crate::record::verify(&ended[0].0).unwrap().problems.is_empty());
    }

    #[test]
    fn a_source_that_ended_is_the_takes_error_and_costs_no_frame() {
        let mut place = Place::new(TakeSetup::default());
        place.deck.want();
        assert_eq!(place.fit("One"), None);
        place.deck.record();
        place.play(0.25, 10);
        place.until(|seen| seen.began.is_some());
        place.deck.source_ended("the clock was changed");
        let ended = place.until(|seen| !seen.ended.is_empty()).ended;
        assert_eq!((ended[0].1.frames, ended[0].1.ended.as_str()), (4800, "by its source"));
        assert!(ended[0].1.loss().unwrap().starts_with("the clock was changed; the take is 0.100 s long and whole"));
        assert_eq!(crate::record::verify(&ended[0].0).unwrap().problems, Vec::<String>::new());
    }

    #[test]
    fn a_name_that_changes_while_armed_costs_no_pre_roll() {
        let mut place = Place::new(TakeSetup { pre_roll_seconds: 1.0, ..TakeSetup::default() });
        place.deck.armed = true;
        assert_eq!(place.fit("One"), None);
        place.play(0.25, 100);
        assert_eq!(place.fit("Two"), None);
        place.play(0.25, 50);
        place.deck.want();
        assert_eq!(place.fit("Three"), None);
        place.deck.record();
        place.play(0.25, 10);
        place.deck.stop();
        let ended = place.until(|seen| !seen.ended.is_empty()).ended;
        assert_eq!((ended[0].1.frames, ended[0].1.stems[0].name.as_str()), (RATE as u64 + 10 * 480, "Three"));
        let problems = crate::record::verify(&ended[0].0).unwrap().problems;
        assert_eq!(problems, Vec::<String>::new());
    }

    #[test]
    fn a_take_that_silence_ended_leaves_nothing_that_would_start_another() {
        let setup = TakeSetup { start: TakeStart::Level, level_db: -20.0, quiet_seconds: 0.2, ..TakeSetup::default() };
        for _ in 0..10 {
            let mut place = Place::new(setup.clone());
            place.deck.want();
            assert_eq!(place.fit("One"), None);
            place.deck.record();
            place.play(0.5, 10);
            place.play(0.0, 40);
            place.until(|seen| !seen.ended.is_empty());
            place.fit("One");
            assert!(place.deck.open.is_none(), "it was not armed");
        }
    }

    #[test]
    fn why_there_is_no_take_is_said_once_and_again_when_it_is_asked_for_again() {
        let mut place = Place::new(TakeSetup::default());
        std::fs::write(place.setup.folder.join("file"), "").unwrap();
        place.setup.folder = place.setup.folder.join("file");
        place.deck.want();
        assert!(place.fit("One").unwrap().contains("file"));
        assert_eq!(place.fit("One"), None);
        place.deck.want();
        assert!(place.fit("One").is_some());
        assert!(place.deck.view(&place.setup, 1).error.unwrap().contains("file"));
    }
}
