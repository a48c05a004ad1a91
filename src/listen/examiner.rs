//! The examiner: runs a test in a venue, driven by the listener's actions, and owns the session.

mod running;
mod start;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::course::result_view;
use super::folder::{Reopened, SessionFolder, unfinished};
use super::player::{Player, PlayerControl, Stimuli};
use super::preparation::Preparation;
use super::protocol::{power_curve, power_lines};
use super::session::{AnswerRecord, Entry, Flag};
use super::venue::Venue;
use crate::audio::Audio;
use crate::audio::wav::read;
use crate::dsp::ProcessSpec;
use crate::render::render;
use crate::view::{GateView, ListenAction, ListenStage, ListenView, ResultView, TestSetup, TestStep, Waveform};
use running::{Heard, Running, SETTINGS_MOVE, SOUND_LOST, WARMING_UP, WOULD_CLIP, hear, nan_resets};

/// Parts of a sound that a [`Waveform`] has.
const COLUMNS: usize = 800;
/// Ticks for which a test waits after a setting has moved, or after the effects of live sound have begun anew: about a second.
const HOLD_TICKS: u32 = 20;
/// Longest loop in seconds that a new sound is given.
const DEFAULT_SECONDS: f64 = 10.0;

/// Runs listening tests in a venue. It belongs to one control thread, which calls [`Self::tick`] about 20 times a second. Dropped
/// while a test runs, it leaves the session on disk, where it can be resumed. All methods: [control thread]
pub struct Examiner {
    venue: Box<dyn Venue + Send>,
    /// The folder in which sessions are made.
    sessions: PathBuf,
    is_open: bool,
    setup: TestSetup,
    power: Vec<String>,
    power_curve: Vec<(f64, f64)>,
    sound: Option<Arc<Audio>>,
    waveform: Option<Arc<Waveform>>,
    /// The player of a preview.
    preview: Option<(PlayerControl, u32)>,
    unfinished: Option<PathBuf>,
    /// The session that was left last because the stream changed.
    left: Option<PathBuf>,
    stage: Stage,
    error: Option<String>,
}

/// The stage, with what belongs to it.
enum Stage {
    Setup,
    Preparing { preparation: Preparation, purpose: Purpose },
    Refused(Vec<GateView>),
    Running(Box<Running>),
    Ended(ResultView),
}

/// Purpose of a preparation.
enum Purpose {
    /// A new test; the stream and the settings as they were at its start.
    New { setup: Box<TestSetup>, spec: ProcessSpec, generation: u64 },
    /// A session that was left.
    Resume(Box<Reopened>),
}

impl Examiner {
    /// An examiner whose panel is closed. Sessions are made in the folder `sessions`, which need not exist.
    #[must_use]
    pub fn new(venue: Box<dyn Venue + Send>, sessions: PathBuf) -> Self {
        let setup = TestSetup::default();
        Self {
            venue,
            sessions,
            is_open: false,
            power: power_lines(&setup.protocol),
            power_curve: power_curve(&setup.protocol),
            setup,
            sound: None,
            waveform: None,
            preview: None,
            unfinished: None,
            left: None,
            stage: Stage::Setup,
            error: None,
        }
    }

    /// Does what a listener asks for. What does not fit the stage does nothing.
    pub fn act(&mut self, action: ListenAction) {
        // An error stands until the next action.
        self.error = None;
        let done = match action {
            ListenAction::Open => {
                self.is_open = true;
                self.venue.keep(true);
                self.look_for_unfinished();
                Ok(())
            }
            ListenAction::Close => self.close(),
            ListenAction::Set(setup) => {
                self.set(setup);
                Ok(())
            }
            ListenAction::Capture => self.capture(),
            ListenAction::OpenSound(path) => self.open_sound(&path),
            ListenAction::Preview(wanted) => self.preview(wanted),
            ListenAction::Start => self.start(),
            ListenAction::Resume(path) => self.resume(&path),
            ListenAction::CloseAborted(path) => self.close_aborted(&path),
            ListenAction::Abort => self.abort(),
            ListenAction::Done => {
                if matches!(self.stage, Stage::Refused(_) | Stage::Ended(_)) {
                    self.stage = Stage::Setup;
                    self.look_for_unfinished();
                }
                Ok(())
            }
            ListenAction::Press(_)
            | ListenAction::SwitchBack
            | ListenAction::Answer(_)
            | ListenAction::Confidence(_)
            | ListenAction::Continue
            | ListenAction::EndTraining => self.act_in_test(&action),
        };
        if let Err(error) = done {
            self.error = Some(error);
        }
        self.leave_lost();
    }

    /// Notices what happens by itself: the end of a preparation, changes of the stream or of settings.
    pub fn tick(&mut self) {
        let result = match &self.stage {
            Stage::Preparing { preparation, .. } => preparation.poll(),
            Stage::Running(_) => {
                self.watch();
                self.leave_lost();
                return;
            }
            _ => None,
        };
        if let Some(result) = result
            && let Stage::Preparing { purpose, .. } = std::mem::replace(&mut self.stage, Stage::Setup)
        {
            let done = result.and_then(|ready| match purpose {
                Purpose::New { setup, spec, generation } => self.begin(*setup, spec, generation, *ready),
                Purpose::Resume(reopened) => self.go_on(*reopened, *ready),
            });
            if let Err(error) = done {
                self.error = Some(error);
                self.look_for_unfinished();
            }
        }
    }

    /// The folder of the session that runs or is prepared to go on.
    #[must_use]
    pub fn session(&self) -> Option<&Path> {
        match &self.stage {
            Stage::Running(running) => Some(running.folder.path()),
            Stage::Preparing { purpose: Purpose::Resume(reopened), .. } => Some(reopened.folder.path()),
            _ => None,
        }
    }

    /// The session that was left last because the stream changed, and can be resumed.
    #[must_use]
    pub fn left(&self) -> Option<&Path> {
        self.left.as_deref()
    }

    /// The state of the panel.
    #[must_use]
    pub fn view(&self) -> ListenView {
        let (kept_seconds, kept_bytes) = self.venue.kept();
        let slot_names = self.venue.slots().map(|effect| {
            let model = effect.active_model().and_then(|model| model.info().name.clone());
            model.unwrap_or_else(|| effect.algorithm().name.into())
        });
        ListenView {
            is_open: self.is_open,
            setup: self.setup.clone(),
            power: self.power.clone(),
            power_curve: self.power_curve.clone(),
            slot_names,
            sound: self.waveform.clone(),
            kept_seconds,
            kept_bytes,
            position: self.position(),
            unfinished: self.unfinished.clone(),
            stage: match &self.stage {
                Stage::Setup => ListenStage::Setup,
                Stage::Preparing { preparation, .. } => ListenStage::Preparing {
                    text: "Rendering, matching and measuring both sides".into(),
                    share: preparation.share(),
                },
                Stage::Refused(gates) => ListenStage::Refused { gates: gates.clone() },
                Stage::Running(running) => ListenStage::Running(running.view()),
                Stage::Ended(result) => ListenStage::Ended(result.clone()),
            },
            error: self.error.clone(),
        }
    }

    /// The position that plays, in seconds of the loop.
    fn position(&self) -> Option<f64> {
        match (&self.stage, &self.preview) {
            (Stage::Running(running), _) if running.playing.is_some() && running.meter.is_none() => {
                Some(running.control.position() as f64 / f64::from(running.prepared.matching.sample_rate))
            }
            (Stage::Setup, Some((control, rate))) => Some(control.position() as f64 / f64::from(*rate)),
            _ => None,
        }
    }

    /// Replaces the setup.
    fn set(&mut self, setup: TestSetup) {
        if !matches!(self.stage, Stage::Setup | Stage::Refused(_) | Stage::Ended(_)) {
            return;
        }
        if setup.protocol != self.setup.protocol {
            self.power = power_lines(&setup.protocol);
            self.power_curve = power_curve(&setup.protocol);
        }
        self.setup = setup;
    }

    /// Finds a session that was left.
    fn look_for_unfinished(&mut self) {
        self.unfinished = unfinished(&self.sessions).into_iter().next();
    }

    /// Takes a sound for the loop, and the last of it as the loop.
    fn take_sound(&mut self, sound: Audio, name: String) {
        let seconds = sound.seconds();
        self.waveform = Some(Arc::new(waveform(&sound, name)));
        self.sound = Some(Arc::new(sound));
        self.setup.range = [(seconds - DEFAULT_SECONDS).max(0.0), seconds];
    }

    /// Takes the last of the input as the sound.
    fn capture(&mut self) -> Result<(), String> {
        if !matches!(self.stage, Stage::Setup) {
            return Ok(());
        }
        self.stop_preview()?;
        let sound = self.venue.captured().filter(|sound| sound.frames() > 0);
        let sound = sound.ok_or(NO_INPUT)?;
        let name = format!("the last {:.0} s of the input", sound.seconds());
        self.take_sound(sound, name);
        Ok(())
    }

    /// Reads a sound.
    fn open_sound(&mut self, path: &Path) -> Result<(), String> {
        if !matches!(self.stage, Stage::Setup) {
            return Ok(());
        }
        self.stop_preview()?;
        let sound = read(path).map_err(|error| error.to_string())?;
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        self.take_sound(sound, name);
        Ok(())
    }

    /// Plays the loop through slot A, or ends it.
    fn preview(&mut self, wanted: bool) -> Result<(), String> {
        self.stop_preview()?;
        if !wanted || !matches!(self.stage, Stage::Setup) {
            return Ok(());
        }
        let sound = self.sound.clone().ok_or(NO_SOUND)?;
        let spec = self.venue.spec().map_err(|error| error.to_string())?;
        check_rate(&sound, spec)?;
        let sound = of_width(sound, spec.channels)?;
        let frames = self.setup.range.map(|seconds| (seconds * f64::from(sound.sample_rate())).round() as usize);
        let part = sound.slice(frames[0]..frames[1].min(sound.frames())).map_err(|error| error.to_string())?;
        let heard = render(&self.venue.slots()[0], &part).map_err(|error| error.to_string())?;
        let rate = heard.sample_rate();
        let (control, player) = Player::of_loop(Arc::new(Stimuli { paths: vec![heard], ..Stimuli::default() }), spec.channels);
        self.venue.install(Some(Box::new(player))).map_err(|error| error.to_string())?;
        control.play(Some(0));
        self.preview = Some((control, rate));
        Ok(())
    }

    /// Ends a preview.
    fn stop_preview(&mut self) -> Result<(), String> {
        match self.preview.take() {
            Some(_) => self.venue.install(None).map_err(|error| error.to_string()),
            None => Ok(()),
        }
    }

    /// Closes a session that was left.
    fn close_aborted(&mut self, path: &Path) -> Result<(), String> {
        if !matches!(self.stage, Stage::Setup) {
            return Ok(());
        }
        let closed = SessionFolder::open(path).and_then(|mut reopened| {
            if !reopened.folder.is_closed() {
                reopened.folder.close(&reopened.session)?;
            }
            Ok(reopened)
        });
        self.look_for_unfinished();
        let Reopened { folder, session, .. } = closed.map_err(|error| error.to_string())?;
        self.stage = Stage::Ended(result_view(&folder, &session, Vec::new()));
        Ok(())
    }

    /// Ends the running test early, or a preparation.
    fn abort(&mut self) -> Result<(), String> {
        match self.stage {
            Stage::Preparing { .. } => {
                self.stage = Stage::Setup;
                self.look_for_unfinished();
                Ok(())
            }
            Stage::Running(_) => self.end(),
            _ => Ok(()),
        }
    }

    /// Closes the panel.
    fn close(&mut self) -> Result<(), String> {
        self.abort()?;
        self.stop_preview()?;
        self.stage = Stage::Setup;
        self.is_open = false;
        (self.sound, self.waveform) = (None, None);
        self.venue.keep(false);
        Ok(())
    }

    /// Closes the session of the running test, opens its score, and gives the output back.
    fn end(&mut self) -> Result<(), String> {
        let Stage::Running(running) = &mut self.stage else { return Ok(()) };
        running.control.play(None);
        running.playing = None;
        let closed = running.folder.close(&running.session).map_err(|error| error.to_string());
        // Without its last line the test can still go on. With it the seed is open; a table that is missing is written when the
        // session is opened again.
        if !running.folder.is_closed() {
            return closed.map(drop);
        }
        let result = result_view(&running.folder, &running.session, std::mem::take(&mut running.measures));
        self.stage = Stage::Ended(result);
        let given_back = self.venue.install(None).map_err(|error| error.to_string());
        closed.and(given_back)
    }

    /// Does what a listener asks for in a running test.
    fn act_in_test(&mut self, action: &ListenAction) -> Result<(), String> {
        let Stage::Running(running) = &mut self.stage else { return Ok(()) };
        if matches!(action, ListenAction::Press(_) | ListenAction::SwitchBack | ListenAction::Answer(_))
            && let Some(reason) = running.waits_for()
        {
            running.note = Some(reason.into());
            return Ok(());
        }
        let entry = match action {
            ListenAction::Press(button) => {
                running.press(*button);
                return Ok(());
            }
            ListenAction::SwitchBack => {
                running.switch_back();
                return Ok(());
            }
            ListenAction::Answer(answer) => match running.answer(*answer, self.venue.drop_outs()) {
                Some(entry) => entry,
                None => return Ok(()),
            },
            ListenAction::Confidence(confidence) => Entry::Confidence { confidence: *confidence },
            ListenAction::Continue => Entry::Continue,
            ListenAction::EndTraining => Entry::EndTraining,
            _ => return Ok(()),
        };
        if running.session.step().is_none() {
            // The last line could not be written; it is tried again.
            return self.end();
        }
        if running.session.check(&entry).is_err() {
            return Ok(());
        }
        if matches!(entry, Entry::Answer(_)) && running.is_clipping() && running.pending_void.is_none() {
            running.pending_void = Some(WOULD_CLIP.into());
        }
        // A trial that is void must not be answered, though that could not be written yet.
        if matches!(entry, Entry::Answer(_)) && running.pending_void.is_some() {
            return running.write_void(self.venue.drop_outs());
        }
        running.control.play(None);
        running.playing = None;
        running.folder.enter(&mut running.session, entry.clone()).map_err(|error| error.to_string())?;
        // All paths run alike, so lost sound tells nothing of what was played.
        let has_lost = |record: &AnswerRecord| record.flags.iter().any(|flag| matches!(flag, Flag::DropOuts { .. }));
        running.note = matches!(&entry, Entry::Answer(record) if has_lost(record)).then(|| SOUND_LOST.into());
        if running.session.step() == Some(TestStep::Answer) {
            running.begin_trial(self.venue.drop_outs());
        }
        if running.session.step().is_none() { self.end() } else { Ok(()) }
    }

    /// Makes a trial void during which the stream or a setting changed.
    fn watch(&mut self) {
        let Stage::Running(running) = &mut self.stage else { return };
        if let Some(meter) = &mut running.meter {
            meter.poll();
        }
        let generation = self.venue.generation();
        let reason = match self.venue.spec() {
            Err(error) if !running.is_gone => {
                running.is_gone = true;
                Some(format!("the sound went: {error}"))
            }
            Err(_) => None,
            Ok(spec) if spec.sample_rate != running.spec.sample_rate => {
                let before = running.spec.sample_rate;
                self.leave(format!(
                    "the sample rate changed from {before} to {} Hz, so the test was left; it can be resumed at the first rate",
                    spec.sample_rate
                ));
                return;
            }
            Ok(spec) if running.prepared.matching.channels > spec.channels.max(1) => {
                let width = running.prepared.matching.channels;
                self.leave(format!(
                    "the stream has {} channels now, and the test {width}, so the test was left; it can be resumed with as many",
                    spec.channels
                ));
                return;
            }
            Ok(_) if running.retry > 0 => {
                running.retry -= 1;
                None
            }
            Ok(spec) if spec != running.spec || running.is_gone => {
                let reason = (!running.is_gone).then(|| "the stream's block size or width changed".into());
                let source = running.folder.configuration().setup.source;
                match hear(&running.prepared, source, spec) {
                    Ok(Heard { control, player, meter }) => {
                        // It is tried again later if the stream does not take it.
                        if self.venue.install(Some(player)).is_ok() {
                            (running.control, running.meter) = (control, meter);
                            (running.spec, running.is_gone) = (spec, false);
                            running.hold = running.meter.as_ref().map(|_| (HOLD_TICKS, WARMING_UP));
                            running.begin_trial(self.venue.drop_outs());
                        } else {
                            (running.is_gone, running.retry) = (true, HOLD_TICKS);
                        }
                    }
                    Err(error) => self.error = Some(error),
                }
                reason
            }
            Ok(_) if generation != running.generation && running.has_moved(self.venue.slots()) => {
                let is_first = running.hold.is_none() && !running.switches.is_empty();
                running.hold = Some((HOLD_TICKS, SETTINGS_MOVE));
                // A setting that moves on and on makes one trial void, and none that nobody has listened to yet.
                is_first.then(|| "a setting was changed from outside".into())
            }
            // A loop was rendered before the test, so nothing of it can fail.
            Ok(_) if running.meter.is_some() && nan_resets(&running.prepared) != running.nan_resets => {
                Some("a model gave NaN or infinity".into())
            }
            Ok(_) if running.is_clipping() => Some(WOULD_CLIP.into()),
            Ok(_) => {
                running.wait(self.venue.drop_outs());
                None
            }
        };
        running.generation = generation;
        running.nan_resets = nan_resets(&running.prepared);
        running.pending_void = reason.or(running.pending_void.take());
        if let Err(error) = running.write_void(self.venue.drop_outs()) {
            self.error = Some(error);
        }
    }

    /// Leaves the running test if its log is gone, so that nothing can be written any more; the error stays.
    fn leave_lost(&mut self) {
        if !matches!(&self.stage, Stage::Running(running) if running.folder.is_lost()) {
            return;
        }
        self.stage = Stage::Setup;
        // The output is given back if there is still one.
        let _ = self.venue.install(None);
        self.look_for_unfinished();
    }

    /// Leaves the running test, which can be resumed.
    fn leave(&mut self, reason: String) {
        let Stage::Running(running) = &mut self.stage else { return };
        self.error = Some(running.void(&reason, 0).err().unwrap_or(reason));
        self.left = Some(running.folder.path().into());
        self.stage = Stage::Setup;
        // The output is given back if there is still one.
        let _ = self.venue.install(None);
        self.look_for_unfinished();
    }
}

/// The error of a test without input.
const NO_INPUT: &str = "no input is kept yet; play something first";
/// The error of a test without a sound.
const NO_SOUND: &str = "no sound yet; take the last 30 s of the input, or open a file";

/// A sound of the width that a stream plays: a wider one is mixed down for one channel, and mono is heard in all channels.
fn of_width(sound: Arc<Audio>, channels: usize) -> Result<Arc<Audio>, String> {
    match sound.channels() {
        width if width <= channels.max(1) => Ok(sound),
        _ if channels == 1 => Ok(Arc::new(sound.mix_down())),
        width => Err(format!("the sound has {width} channels and the stream {channels}; expected as many, or mono")),
    }
}

/// Checks that a sound has the stream's sample rate.
fn check_rate(sound: &Audio, spec: ProcessSpec) -> Result<(), String> {
    if f64::from(sound.sample_rate()) == f64::from(spec.sample_rate) {
        return Ok(());
    }
    Err(format!(
        "the sound has {} Hz and the stream {} Hz; expected the same rate, as nothing is converted in a test",
        sound.sample_rate(),
        spec.sample_rate
    ))
}

/// The picture of a sound.
fn waveform(sound: &Audio, name: String) -> Waveform {
    let frames = sound.frames();
    let columns = COLUMNS.min(frames);
    let column = |index: usize| {
        let part = index * frames / columns..(index + 1) * frames / columns;
        sound
            .iter()
            .flat_map(|channel| &channel[part.clone()])
            .fold((f32::MAX, f32::MIN), |(low, high), sample| (low.min(*sample), high.max(*sample)))
    };
    Waveform { columns: (0..columns).map(column).collect(), seconds: sound.seconds(), name }
}
