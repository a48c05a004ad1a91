//! The program's recorder: it is opened and closed as settings and armed channels require, and makes the takes.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use crate::device::{GrantedConfig, WriterFeed};
use crate::instance::takes;
use crate::record::{Channel, Health, Manifest, Recorder, RecorderPhase, RecorderSettings, StartTrigger};
use crate::source::SourceChange;
use crate::view::{TakeSetup, TakeStart, TakeView};

/// A take that was requested and has not started within this time has failed.
const START_TIMEOUT: Duration = Duration::from_secs(5);

/// The folder and the manifest of a finished take.
pub type FinishedTake = (PathBuf, Manifest);

/// A recorder that is open, with what is known of it.
struct OpenRecorder {
    recorder: Recorder,
    settings: RecorderSettings,
    /// Number of its takes that [`ProgramRecorder::poll`] has returned.
    reported_takes: usize,
    /// The phase at the last poll.
    phase: RecorderPhase,
    /// The time at which the recorder was told to start a take, and its error before that; `None` once the take runs or
    /// has failed.
    starting: Option<(Instant, Option<String>)>,
}

/// The events since the last poll.
#[derive(Default)]
pub struct TakeEvents {
    /// The folder and the number of channels of a take that has started.
    pub started: Option<(PathBuf, usize)>,
    /// The takes that have ended and are written.
    pub ended: Vec<FinishedTake>,
    /// The reason why a requested take has not started.
    pub failed: Option<String>,
}

/// The source of takes: a running device with its armed channels.
pub struct TakeSource<'a> {
    pub granted: &'a GrantedConfig,
    /// The request that opened the device, for the manifest.
    pub requested: &'a str,
    /// Device and desk, for the manifest.
    pub description: String,
    /// The armed channels.
    pub channels: Vec<Channel>,
}

/// True if two settings record the same and differ only in names and folder.
fn differs_in_names_only(old: &RecorderSettings, new: &RecorderSettings) -> bool {
    let sources =
        |settings: &RecorderSettings| settings.channels.iter().map(|channel| channel.source_channel).collect::<Vec<_>>();
    let RecorderSettings { folder, name, source, channels, .. } = new.clone();
    sources(old) == sources(new) && RecorderSettings { folder, name, source, channels, ..old.clone() } == *new
}

/// The program's recorder: open while it is on standby or a take is requested, else closed.
pub struct ProgramRecorder {
    /// True if a recorder is to be kept open, for pre-roll and for starts by level.
    pub standby: bool,
    /// True from the user's request for a take until that take ends.
    take_requested: bool,
    open: Option<OpenRecorder>,
    /// The settings with which no recorder could be opened, and the error.
    refused: Option<(RecorderSettings, String)>,
    /// The last state of the recorder that was closed.
    last_health: Health,
    /// Number of recorders that are being closed, each on a thread of its own.
    closing_count: usize,
    /// Both ends of the channel through which these threads send the takes that are not reported yet.
    closed_sender: Sender<Vec<FinishedTake>>,
    closed_receiver: Receiver<Vec<FinishedTake>>,
}

impl ProgramRecorder {
    pub fn new() -> Self {
        let (closed_sender, closed_receiver) = channel();
        Self {
            standby: false,
            take_requested: false,
            open: None,
            refused: None,
            last_health: Health::default(),
            closing_count: 0,
            closed_sender,
            closed_receiver,
        }
    }

    /// True if a take runs or is about to start.
    pub fn is_recording(&self) -> bool {
        let runs = |open: &OpenRecorder| open.starting.is_some() || open.recorder.health().phase == RecorderPhase::Recording;
        self.open.as_ref().is_some_and(runs)
    }

    /// Opens, closes or changes the recorder so that it fits setup, source, `standby` and requests. Changes nothing during a take.
    /// Returns the error if the recorder cannot be opened, once for the same settings.
    pub fn update(&mut self, setup: &TakeSetup, source: TakeSource<'_>, feed: &mut WriterFeed) -> Option<String> {
        if self.is_recording() {
            return None;
        }
        if !(self.standby || self.take_requested) {
            self.refused = None;
            self.close(Some(feed));
            return None;
        }
        // A start that follows a host's transport counts as a manual one: a device has no transport.
        let manual = TakeSetup { start: TakeStart::Manual, ..setup.clone() };
        let setup = if setup.start == TakeStart::Level { setup } else { &manual };
        let mut settings = takes::settings(setup, source.granted.sample_rate);
        settings.source = source.description;
        settings.requested = source.requested.into();
        settings.granted = source.granted.to_string();
        settings.word_format = source.granted.format.word_format();
        settings.channels = source.channels;
        if self.open.as_ref().is_some_and(|open| open.settings == settings)
            || self.refused.as_ref().is_some_and(|(refused, _)| *refused == settings)
        {
            return None;
        }
        // New names are given to the open recorder, which keeps its pre-roll and still waits for a level.
        let renamed = self.open.as_mut().filter(|open| differs_in_names_only(&open.settings, &settings)).map(|open| {
            open.recorder.set_description(&settings).map_err(|e| e.to_string())?;
            open.settings.clone_from(&settings);
            Ok(())
        });
        let result: Result<(), String> = renamed.unwrap_or_else(|| {
            self.close(Some(feed));
            let recorder = Self::open_recorder(&settings, feed)?;
            let settings = settings.clone();
            self.open =
                Some(OpenRecorder { recorder, settings, reported_takes: 0, phase: RecorderPhase::Standby, starting: None });
            Ok(())
        });
        let Err(error) = result else {
            self.refused = None;
            return None;
        };
        self.take_requested = false;
        self.refused = Some((settings, error.clone()));
        Some(error)
    }

    /// Opens a recorder and gives its writer to the capture.
    fn open_recorder(settings: &RecorderSettings, feed: &mut WriterFeed) -> Result<Recorder, String> {
        if settings.channels.is_empty() {
            return Err("no channel is armed".into());
        }
        let (recorder, writer) = Recorder::open(settings.clone()).map_err(|e| e.to_string())?;
        feed.replace(Some(writer)).map_err(|_| "the device gives no sound to record".to_string())?;
        Ok(recorder)
    }

    /// Requests a take: [`Self::update`] then opens a recorder, [`Self::start_take`] starts the take.
    pub fn request_take(&mut self) {
        self.take_requested = true;
        self.refused = None;
    }

    /// Starts a take now, if the recorder is open.
    pub fn start_take(&mut self) {
        if let Some(open) = &mut self.open {
            open.starting = Some((Instant::now(), open.recorder.health().error));
            open.recorder.start();
        }
    }

    /// Ends the take now. If takes start by level, this also ends the standby.
    pub fn stop_take(&mut self) {
        self.take_requested = false;
        if let Some(open) = &mut self.open {
            open.starting = None;
            open.recorder.stop();
            self.standby &= !matches!(open.settings.start, StartTrigger::Level { .. });
        }
    }

    /// Ends the take because the device has ended; the reason becomes the take's error.
    pub fn device_failed(&self, reason: &str) {
        if let Some(open) = &self.open {
            open.recorder.source_ended(reason);
        }
    }

    /// Sets a marker in the running take.
    pub fn mark(&self) {
        if let Some(open) = &self.open {
            open.recorder.mark(None);
        }
    }

    /// Notes changes that a desk made to channels in the running take.
    pub fn source_changed(&self, changes: Vec<SourceChange>) {
        if let Some(open) = &self.open {
            open.recorder.source_changed(changes);
        }
    }

    /// Ends the take with its last frame and closes the recorder, because the device has been stopped.
    pub fn close_for_stopped_device(&mut self) {
        self.take_requested = false;
        self.close(None);
    }

    /// Closes the recorder on a thread of its own, which waits for the disk. `feed` takes the recorder's writer away from a
    /// running capture; it is `None` if the capture has ended.
    fn close(&mut self, feed: Option<&mut WriterFeed>) {
        let Some(OpenRecorder { recorder, reported_takes, .. }) = self.open.take() else { return };
        if let Some(feed) = feed {
            // The feed is full only while the device is disconnected; nothing is captured then.
            let _ = feed.replace(None);
        }
        self.last_health = Health { phase: RecorderPhase::Standby, ..recorder.health() };
        self.closing_count += 1;
        let sender = self.closed_sender.clone();
        let close = move || {
            let takes = recorder.close();
            let _ = sender.send(takes.into_iter().skip(reported_takes).collect());
        };
        // If the system cannot start a thread, the recorder is dropped, which finishes the take as well.
        if std::thread::Builder::new().name("isotherm-close".into()).spawn(close).is_err() {
            self.closing_count -= 1;
        }
    }

    /// Returns the seconds of takes that the disk has room for; `None` if unknown or without an open recorder.
    pub fn seconds_left(&self) -> Option<f64> {
        self.open.as_ref()?.recorder.health().disk_seconds_left
    }

    /// True if [`Self::finish`] has to wait for the disk.
    pub fn is_closing(&self) -> bool {
        self.closing_count > 0
    }

    /// Waits until the closed recorders have written their takes. Returns the takes that were not reported yet.
    pub fn finish(&mut self) -> Vec<FinishedTake> {
        let mut takes = Vec::new();
        while self.closing_count > 0
            && let Ok(closed) = self.closed_receiver.recv()
        {
            takes.extend(self.recorder_closed(closed));
        }
        takes
    }

    /// Notes that a recorder has been closed, and returns its takes.
    fn recorder_closed(&mut self, takes: Vec<FinishedTake>) -> Vec<FinishedTake> {
        self.closing_count = self.closing_count.saturating_sub(1);
        if let Some((folder, manifest)) = takes.last() {
            self.last_health = Health {
                folder: Some(folder.clone()),
                frames: manifest.frames,
                seconds: manifest.seconds(),
                lost_frames: manifest.lost_frames(),
                error: manifest.error.clone(),
                ..self.last_health.clone()
            };
        }
        takes
    }

    /// Returns the events since the last poll. To be called several times a second.
    pub fn poll(&mut self) -> TakeEvents {
        let mut events = TakeEvents::default();
        while let Ok(takes) = self.closed_receiver.try_recv() {
            events.ended.extend(self.recorder_closed(takes));
        }
        let Some(open) = &mut self.open else { return events };
        // Read in this order: `health` is then at least as new as the finished takes.
        let finished = open.recorder.takes_since(open.reported_takes);
        let health = open.recorder.health();
        if health.phase == RecorderPhase::Recording && open.phase != RecorderPhase::Recording {
            events.started = health.folder.clone().map(|folder| (folder, open.settings.channels.len()));
        }
        open.phase = health.phase;
        open.reported_takes += finished.len();
        if let Some((since, error_before)) = &open.starting {
            let is_late = since.elapsed() > START_TIMEOUT;
            if health.phase == RecorderPhase::Recording || !finished.is_empty() {
                open.starting = None;
            } else if is_late || health.error.is_some() && health.error != *error_before {
                open.recorder.stop();
                events.failed = Some(health.error.clone().unwrap_or_else(|| "no sound comes from the device".into()));
                (open.starting, self.take_requested) = (None, false);
            }
        }
        if !finished.is_empty() && health.phase == RecorderPhase::Standby {
            self.take_requested = false;
        }
        events.ended.extend(finished);
        events
    }

    /// Returns the take's state as the panel shows it. `channels` is the number of armed channels.
    pub fn view(&self, setup: &TakeSetup, channels: usize) -> TakeView {
        let health = match self.open.as_ref().map(|open| open.recorder.health()) {
            Some(health) if health.folder.is_some() => health,
            Some(health) => {
                Health { disk_seconds_left: health.disk_seconds_left, error: health.error, ..self.last_health.clone() }
            }
            None => Health { disk_seconds_left: None, ..self.last_health.clone() },
        };
        let view = takes::view(&health);
        TakeView {
            recording: self.is_recording(),
            setup: setup.clone(),
            channels,
            // The sources are the channels of the device, which are armed one by one.
            chosen_per_channel: true,
            standby: self.standby,
            ready: self.open.is_some(),
            error: self.refused.as_ref().map(|(_, error)| error.clone()).or(view.error),
            ..view
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{Capture, Client, Host, InputBlock, SampleFormat};
    use crate::graph::Meter;

    const RATE: usize = 48_000;

    fn granted() -> GrantedConfig {
        GrantedConfig {
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

    /// A recorder with the capture that feeds it, and its folder of takes.
    struct Fixture {
        recorder: ProgramRecorder,
        capture: Capture,
        feed: WriterFeed,
        setup: TakeSetup,
        _folder: tempfile::TempDir,
    }

    impl Fixture {
        fn new(setup: TakeSetup) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let (capture, feed) = Capture::with_feed(&Meter::new(2), &granted());
            let setup = TakeSetup { folder: folder.path().into(), ..setup };
            Self { recorder: ProgramRecorder::new(), capture, feed, setup, _folder: folder }
        }

        /// Updates the recorder for one armed channel of this name.
        fn update(&mut self, name: &str) -> Option<String> {
            let granted = granted();
            let (description, channels) = (String::new(), vec![Channel::new(0, name)]);
            let source = TakeSource { granted: &granted, requested: "", description, channels };
            self.recorder.update(&self.setup, source, &mut self.feed)
        }

        /// Captures blocks of 480 frames with a constant sample value.
        fn capture(&mut self, level: f32, blocks: usize) {
            for _ in 0..blocks {
                self.capture.process(0, InputBlock::Floats(&[&[level; 480], &[level; 480]]), &mut []);
            }
        }

        /// Polls until the events are as expected, and returns them.
        fn poll_until(&mut self, is_expected: impl Fn(&TakeEvents) -> bool) -> TakeEvents {
            let started = Instant::now();
            loop {
                let events = self.recorder.poll();
                if is_expected(&events) {
                    return events;
                }
                assert!(started.elapsed() < Duration::from_secs(30), "waited too long");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }

    #[test]
    fn a_take_that_is_about_to_start_keeps_its_settings_whatever_changes() {
        let mut fixture = Fixture::new(TakeSetup { pre_roll_seconds: 5.0, ..TakeSetup::default() });
        fixture.recorder.standby = true;
        assert_eq!(fixture.update("One"), None);
        fixture.capture(0.25, 500);
        fixture.recorder.request_take();
        fixture.update("One");
        fixture.recorder.start_take();
        assert!(fixture.recorder.is_recording(), "from the start on");
        fixture.update("Two");
        fixture.recorder.standby = false;
        fixture.update("Three");
        fixture.capture(0.25, 10);
        assert_eq!(fixture.poll_until(|events| events.started.is_some()).started.unwrap().1, 1);
        fixture.capture(0.25, 10);
        fixture.recorder.stop_take();
        let ended = fixture.poll_until(|events| !events.ended.is_empty()).ended;
        assert_eq!((ended.len(), ended[0].1.stems[0].name.as_str(), ended[0].1.lost_frames()), (1, "One", 0));
        assert_eq!(ended[0].1.frames, 5 * RATE as u64 + 20 * 480);
        // Neither on standby nor requested: the recorder is closed.
        fixture.update("Four");
        assert!(fixture.recorder.open.is_none());
        assert!(fixture.recorder.finish().is_empty(), "each take is reported once");
    }

    #[test]
    fn a_take_without_frames_is_reported_as_a_loss() {
        let mut fixture = Fixture::new(TakeSetup::default());
        fixture.recorder.request_take();
        assert_eq!(fixture.update("One"), None);
        fixture.recorder.start_take();
        fixture.poll_until(|events| events.started.is_some());
        fixture.recorder.close_for_stopped_device();
        let ended = fixture.recorder.finish();
        assert_eq!((ended.len(), ended[0].1.frames), (1, 0));
        assert!(ended[0].1.loss_text().unwrap().contains("no frames"));
        assert!(!crate::record::verify(&ended[0].0).unwrap().problems.is_empty());
    }

    #[test]
    fn the_end_of_the_source_is_the_takes_error_and_loses_no_frame() {
        let mut fixture = Fixture::new(TakeSetup::default());
        fixture.recorder.request_take();
        assert_eq!(fixture.update("One"), None);
        fixture.recorder.start_take();
        fixture.capture(0.25, 10);
        fixture.poll_until(|events| events.started.is_some());
        fixture.recorder.device_failed("the clock was changed");
        let ended = fixture.poll_until(|events| !events.ended.is_empty()).ended;
        assert_eq!((ended[0].1.frames, ended[0].1.ended.as_str()), (4800, "by its source"));
        assert!(ended[0].1.loss_text().unwrap().starts_with("the clock was changed; the take is 0.100 s long and whole"));
        assert_eq!(crate::record::verify(&ended[0].0).unwrap().problems, Vec::<String>::new());
    }

    #[test]
    fn a_new_name_on_standby_keeps_the_pre_roll() {
        let mut fixture = Fixture::new(TakeSetup { pre_roll_seconds: 1.0, ..TakeSetup::default() });
        fixture.recorder.standby = true;
        assert_eq!(fixture.update("One"), None);
        fixture.capture(0.25, 100);
        assert_eq!(fixture.update("Two"), None);
        fixture.capture(0.25, 50);
        fixture.recorder.request_take();
        assert_eq!(fixture.update("Three"), None);
        fixture.recorder.start_take();
        fixture.capture(0.25, 10);
        fixture.recorder.stop_take();
        let ended = fixture.poll_until(|events| !events.ended.is_empty()).ended;
        assert_eq!((ended[0].1.frames, ended[0].1.stems[0].name.as_str()), (RATE as u64 + 10 * 480, "Three"));
        let problems = crate::record::verify(&ended[0].0).unwrap().problems;
        assert_eq!(problems, Vec::<String>::new());
    }

    #[test]
    fn a_take_that_ended_by_silence_closes_a_recorder_that_is_not_on_standby() {
        let setup = TakeSetup { start: TakeStart::Level, level_db: -20.0, quiet_seconds: 0.2, ..TakeSetup::default() };
        for _ in 0..10 {
            let mut fixture = Fixture::new(setup.clone());
            fixture.recorder.request_take();
            assert_eq!(fixture.update("One"), None);
            fixture.recorder.start_take();
            fixture.capture(0.5, 10);
            fixture.capture(0.0, 40);
            fixture.poll_until(|events| !events.ended.is_empty());
            fixture.update("One");
            assert!(fixture.recorder.open.is_none(), "it was not on standby");
        }
    }

    #[test]
    fn an_error_is_returned_once_for_each_request() {
        let mut fixture = Fixture::new(TakeSetup::default());
        std::fs::write(fixture.setup.folder.join("file"), "").unwrap();
        fixture.setup.folder = fixture.setup.folder.join("file");
        fixture.recorder.request_take();
        assert!(fixture.update("One").unwrap().contains("file"));
        assert_eq!(fixture.update("One"), None);
        fixture.recorder.request_take();
        assert!(fixture.update("One").is_some());
        assert!(fixture.recorder.view(&fixture.setup, 1).error.unwrap().contains("file"));
    }
}
