//! The examiner: runs a test in a venue, driven by the listener's actions, and owns the session.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::blinding::Blinding;
use super::course::{configuration_of, gate_views, result_view, resume_session, test_view, write_sounds};
use super::folder::{FolderError, Reopened, SessionFolder, unfinished};
use super::gates::{LIVE_GAIN_LIMIT_DB, gain_gate};
use super::live::{TrialMeter, prepare_live};
use super::log::Configuration;
use super::matching::{LOOP_SECONDS, MatchError, Prepared};
use super::player::{Player, PlayerControl, Stimuli};
use super::preparation::{Job, Preparation, Ready};
use super::protocol::{power_curve, power_lines, validate};
use super::session::{AnswerRecord, Entry, Flag, Session, Switch};
use super::side::{ResolvedSide, SideSource};
use super::venue::Venue;
use crate::audio::Audio;
use crate::audio::wav::read;
use crate::dsp::ProcessSpec;
use crate::effect::Effect;
use crate::render::render;
use crate::view::{
    Answer, Button, GateView, ListenAction, ListenStage, ListenView, ResultView, SideChoice, SoundSource, TestPart, TestSetup,
    TestStep, TestView, Waveform,
};

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

/// A test that runs.
struct Running {
    folder: SessionFolder,
    session: Session,
    prepared: Prepared,
    control: PlayerControl,
    /// On live sound: the loudness of both sides in this trial.
    meter: Option<TrialMeter>,
    /// The stream when the player was made.
    spec: ProcessSpec,
    /// True while the venue has no stream, or does not take a player.
    is_gone: bool,
    /// Ticks until a player is made again for a stream that did not take the last one.
    retry: u32,
    /// True if the session was left before: its sides come from its folder, and not from the slots.
    is_resumed: bool,
    generation: u64,
    /// On live sound: times that a model of the sides gave NaN or infinity and was reset.
    nan_resets: u64,
    /// Reason why the present trial is void, until that is written.
    pending_void: Option<String>,
    /// The slots as they were looked at last.
    slots: [Effect; 2],
    /// Ticks for which nothing can be heard or answered yet, and the reason.
    hold: Option<(u32, &'static str)>,
    /// Drop-outs of the venue, and of the sides' models on live sound, when the trial began.
    drop_outs: u64,
    /// The trial's start.
    start: Instant,
    switches: Vec<Switch>,
    playing: Option<Button>,
    /// The button that played before the last press.
    before: Option<Button>,
    note: Option<String>,
    measures: Vec<(String, String)>,
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
        let (control, player) = Player::of_loop(Arc::new(Stimuli { paths: vec![heard] }), spec.channels);
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

    /// Prepares a new test.
    fn start(&mut self) -> Result<(), String> {
        if !matches!(self.stage, Stage::Setup) {
            return Ok(());
        }
        validate(&self.setup.protocol).map_err(|error| error.to_string())?;
        self.stop_preview()?;
        let spec = self.venue.spec().map_err(|error| error.to_string())?;
        let is_file = |choice: &SideChoice| matches!(choice, SideChoice::File(_));
        if let (SoundSource::Live, Some(side)) = (self.setup.source, self.setup.sides.iter().position(is_file)) {
            return Err(MatchError::LiveFile { side: ["A", "B"][side] }.to_string());
        }
        let (sound, range) = match self.setup.source {
            SoundSource::Loop => (self.sound.clone().ok_or(NO_SOUND)?, self.setup.range),
            // The sides are matched on the last of what came in.
            SoundSource::Live => {
                let sound = self.venue.captured().filter(|sound| sound.frames() > 0).ok_or(NO_INPUT)?;
                let seconds = sound.seconds();
                (Arc::new(sound), [(seconds - LOOP_SECONDS[1]).max(0.0), seconds])
            }
        };
        check_rate(&sound, spec)?;
        // The sound that is matched is the one that will be heard.
        let sound = of_width(sound, spec.channels)?;
        let job = Job::New {
            sound,
            range,
            choices: self.setup.sides.clone(),
            slots: Box::new(self.venue.slots()),
            control: self.setup.control,
        };
        let setup = Box::new(TestSetup { range, ..self.setup.clone() });
        let purpose = Purpose::New { setup, spec, generation: self.venue.generation() };
        let preparation = Preparation::start(job).map_err(|error| error.to_string())?;
        self.stage = Stage::Preparing { preparation, purpose };
        Ok(())
    }

    /// Begins a test that is prepared, or refuses it.
    fn begin(&mut self, setup: TestSetup, spec: ProcessSpec, generation: u64, ready: Ready) -> Result<(), String> {
        let mut gates = gate_views(&setup, &ready.prepared.matching);
        let has_changed = self.venue.spec().map_err(|error| error.to_string())? != spec || self.venue.generation() != generation;
        if has_changed {
            gates
                .push(GateView { passed: false, text: "a setting, a model or the stream changed meanwhile; start again".into() });
        }
        if setup.source == SoundSource::Live {
            gates.extend(
                Some(gain_gate(ready.prepared.matching.gain_db, LIVE_GAIN_LIMIT_DB))
                    .filter(|gate| !gate.passed())
                    .as_ref()
                    .map(GateView::from),
            );
        }
        if gates.iter().any(|gate| !gate.passed) {
            self.stage = Stage::Refused(gates);
            return Ok(());
        }
        let configuration = configuration_of(setup, &ready.prepared.matching, ready.esr_db, self.venue.name(), spec)?;
        // A sound that cannot be played makes no session.
        let heard = hear(&ready.prepared, configuration.setup.source, spec)?;
        let blinding = Blinding::new().map_err(|error| error.to_string())?;
        let write_sound = |folder: &Path| write_sounds(&ready.prepared, folder);
        let folder = SessionFolder::create(&self.sessions, configuration, &blinding, write_sound);
        let folder = folder.map_err(|error| error.to_string())?;
        let session = Session::new(folder.configuration().plan(), blinding);
        self.run(folder, session, ready, spec, heard)
    }

    /// Lets a test run.
    fn run(
        &mut self,
        folder: SessionFolder,
        session: Session,
        ready: Ready,
        spec: ProcessSpec,
        Heard { control, player, meter }: Heard,
    ) -> Result<(), String> {
        let is_resumed = session.resumes() > 0;
        // Effects on live sound begin in silence; each needs its own time to forget that.
        let warm_up = meter.as_ref().map(|_| (HOLD_TICKS, WARMING_UP));
        let late_ms = 1e3 * player.latency() as f64 / f64::from(spec.sample_rate);
        let mut notes = ready.prepared.matching.notes.clone();
        if meter.is_some() {
            notes.push(format!("In this test the sound is {late_ms:.1} ms later, on both sides; between trials it is silent."));
        }
        if ready.prepared.matching.identical {
            notes.push("A and B are the same, bit for bit: there is nothing to hear, and the test shows your habits.".into());
        }
        let note = Some(notes.join(" ")).filter(|note| !note.is_empty());
        self.venue.install(Some(player)).map_err(|error| error.to_string())?;
        let nan_resets = nan_resets(&ready.prepared);
        let drop_outs = self.venue.drop_outs() + if meter.is_some() { underruns(&ready.prepared) } else { 0 };
        self.stage = Stage::Running(Box::new(Running {
            folder,
            session,
            prepared: ready.prepared,
            control,
            meter,
            spec,
            is_gone: false,
            retry: 0,
            is_resumed,
            generation: self.venue.generation(),
            nan_resets,
            pending_void: None,
            slots: self.venue.slots(),
            hold: warm_up,
            drop_outs,
            start: Instant::now(),
            switches: Vec::new(),
            playing: None,
            before: None,
            note,
            measures: ready.measures,
        }));
        self.unfinished = None;
        Ok(())
    }

    /// Prepares a session that was left.
    fn resume(&mut self, path: &Path) -> Result<(), String> {
        if !matches!(self.stage, Stage::Setup) {
            return Ok(());
        }
        self.stop_preview()?;
        let reopened = SessionFolder::open(path).map_err(|error| error.to_string())?;
        if reopened.folder.is_closed() {
            // The program went after the last line, before the result was shown.
            self.stage = Stage::Ended(result_view(&reopened.folder, &reopened.session, Vec::new()));
            return Ok(());
        }
        reopened.folder.check_files().map_err(|error| error.to_string())?;
        let configuration = reopened.folder.configuration();
        let spec = self.venue.spec().map_err(|error| error.to_string())?;
        check_stream(configuration, spec)?;
        let job = Job::Saved(path.into(), Box::new(configuration.clone()));
        let preparation = Preparation::start(job).map_err(|error| error.to_string())?;
        self.stage = Stage::Preparing { preparation, purpose: Purpose::Resume(Box::new(reopened)) };
        Ok(())
    }

    /// Goes on with a session that was left.
    fn go_on(&mut self, reopened: Reopened, ready: Ready) -> Result<(), String> {
        let Reopened { mut folder, mut session, cut_bytes } = reopened;
        let spec = self.venue.spec().map_err(|error| error.to_string())?;
        // The stream may be another one than when the preparation began.
        check_stream(folder.configuration(), spec)?;
        let text = |error: FolderError| error.to_string();
        let heard = hear(&ready.prepared, folder.configuration().setup.source, spec)?;
        // The files were read since they were looked at.
        folder.check_files().map_err(text)?;
        resume_session(&mut folder, &mut session, cut_bytes, self.venue.name(), spec).map_err(text)?;
        self.set_setup_of(&folder);
        self.run(folder, session, ready, spec, heard)?;
        if let Stage::Running(running) = &mut self.stage {
            running.note = Some(match cut_bytes {
                0 => "The session goes on where it was left.".into(),
                bytes => format!("The session goes on; {bytes} bytes of a half-written last line were cut off."),
            });
            if running.session.step().is_none() {
                return self.end();
            }
        }
        Ok(())
    }

    /// Shows the setup of a session that goes on.
    fn set_setup_of(&mut self, folder: &SessionFolder) {
        self.set(folder.configuration().setup.clone());
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

/// The reason for a wait while settings move.
const SETTINGS_MOVE: &str =
    "A setting of a slot moves. Stop the automation: the test goes on when nothing has moved for a second.";
/// The note on a trial with drop-outs.
const SOUND_LOST: &str = "Sound was lost in this trial, so it is flagged. Close other programs, or take longer blocks.";
/// The reason for a void trial in which a side went beyond full scale.
const WOULD_CLIP: &str = "a side would clip; play softer";
/// The reason for a wait after the effects have begun anew.
const WARMING_UP: &str = "Both sides are warming up. The test goes on in a second.";
/// The reason for a wait without a stream.
const NO_SOUND_NOW: &str = "No sound comes. The test goes on when the sound is back.";

/// Times that the models of both sides were late, so that dry sound was heard.
fn underruns(prepared: &Prepared) -> u64 {
    let late = |side: &ResolvedSide| match &side.source {
        SideSource::Effect(effect) => effect.active_model().map_or(0, |model| model.underruns()),
        SideSource::File { .. } | SideSource::Dry => 0,
    };
    prepared.sides.iter().map(late).sum()
}

/// A sound of the width that a stream plays: a wider one is mixed down for one channel, and mono is heard in all channels.
fn of_width(sound: Arc<Audio>, channels: usize) -> Result<Arc<Audio>, String> {
    match sound.channels() {
        width if width <= channels.max(1) => Ok(sound),
        _ if channels == 1 => Ok(Arc::new(sound.mix_down())),
        width => Err(format!("the sound has {width} channels and the stream {channels}; expected as many, or mono")),
    }
}

/// Times that the models of both sides gave NaN or infinity and were reset.
fn nan_resets(prepared: &Prepared) -> u64 {
    let resets = |side: &ResolvedSide| match &side.source {
        SideSource::Effect(effect) => effect.active_model().map_or(0, |model| model.nan_resets()),
        SideSource::File { .. } | SideSource::Dry => 0,
    };
    prepared.sides.iter().map(resets).sum()
}

/// Both ends of a player, and the meter.
struct Heard {
    control: PlayerControl,
    player: Box<Player>,
    /// On live sound.
    meter: Option<TrialMeter>,
}

/// A player for a test that is prepared.
fn hear(prepared: &Prepared, source: SoundSource, spec: ProcessSpec) -> Result<Heard, String> {
    match source {
        SoundSource::Loop => {
            let (control, player) = Player::of_loop(prepared.stimuli.clone(), spec.channels);
            Ok(Heard { control, player: Box::new(player), meter: None })
        }
        SoundSource::Live => {
            let live = prepare_live(&prepared.sides, &prepared.matching, spec).map_err(|error| error.to_string())?;
            Ok(Heard { control: live.control, player: Box::new(live.player), meter: Some(live.meter) })
        }
    }
}

/// Checks that a stream has the rate and the width of a session.
fn check_stream(configuration: &Configuration, spec: ProcessSpec) -> Result<(), String> {
    if f64::from(spec.sample_rate) != configuration.sample_rate {
        return Err(format!(
            "the session has {} Hz, and the sound now {} Hz; expected the same rate",
            configuration.sample_rate, spec.sample_rate
        ));
    }
    if spec.channels != configuration.channels {
        return Err(format!(
            "the session has {} channels, and the sound now {}; expected as many",
            configuration.channels, spec.channels
        ));
    }
    Ok(())
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

impl Running {
    /// Plays what is behind a button.
    fn press(&mut self, button: Button) {
        let Some(path) = self.session.path(button) else { return };
        self.control.play(Some(path));
        // Sound that came in before anybody listened does not count.
        if let Some(meter) = self.meter.as_mut().filter(|_| self.switches.is_empty()) {
            meter.begin();
        }
        self.switches.push(Switch { button, at: self.start.elapsed().as_secs_f64() });
        if self.playing != Some(button) {
            self.before = self.playing.or(self.before);
        }
        self.playing = Some(button);
    }

    /// Plays what was played before the last press; at first, the other one of the first two buttons.
    fn switch_back(&mut self) {
        let other = if self.playing == Some(Button::First) { Button::Second } else { Button::First };
        self.press(self.before.filter(|before| Some(*before) != self.playing).unwrap_or(other));
    }

    /// The reason for which nothing can be heard or answered now.
    fn waits_for(&self) -> Option<&'static str> {
        if self.is_gone { Some(NO_SOUND_NOW) } else { self.hold.map(|(_, reason)| reason) }
    }

    /// True if a side went beyond full scale on live sound since the first press of the trial.
    fn is_clipping(&self) -> bool {
        let with_control = self.session.part() == TestPart::Control;
        !self.switches.is_empty() && self.meter.as_ref().is_some_and(|meter| meter.is_clipping(with_control))
    }

    /// Waits for a tick less; the trial begins at the end of the wait.
    fn wait(&mut self, drop_outs: u64) {
        let Some((ticks, reason)) = self.hold else { return };
        self.hold = (ticks > 1).then_some((ticks - 1, reason));
        if self.hold.is_none() {
            if self.note.as_deref() == Some(reason) {
                self.note = None;
            }
            self.begin_trial(drop_outs);
        }
    }

    /// True if a slot that is a side of the test is another one than before.
    fn has_moved(&mut self, slots: [Effect; 2]) -> bool {
        let before = std::mem::replace(&mut self.slots, slots);
        let sides = &self.folder.configuration().setup.sides;
        !self.is_resumed && (0..2).any(|slot| sides.contains(&SideChoice::Slot(slot)) && before[slot] != self.slots[slot])
    }

    /// The entry for an answer; None if nothing was listened to.
    fn answer(&mut self, answer: Answer, drop_outs: u64) -> Option<Entry> {
        if self.session.step() == Some(TestStep::Answer) && self.switches.is_empty() {
            self.note = Some("Listen first: press one of the buttons.".into());
            return None;
        }
        let difference_lu = self.meter.as_mut().map(TrialMeter::difference_lu);
        if self.session.step() == Some(TestStep::Answer) && difference_lu == Some(None) {
            self.note = Some("Listen first: there was no sound, or less than 0.4 s of it.".into());
            return None;
        }
        let blocks = (drop_outs + self.live_underruns()).saturating_sub(self.drop_outs);
        let mut flags = if blocks > 0 { vec![Flag::DropOuts { blocks }] } else { Vec::new() };
        flags.extend(self.meter.iter_mut().flat_map(TrialMeter::flags));
        let seconds = self.start.elapsed().as_secs_f64();
        Some(self.session.answered(answer, seconds, self.switches.clone(), flags))
    }

    /// Begins a trial.
    fn begin_trial(&mut self, drop_outs: u64) {
        self.control.play(None);
        (self.playing, self.before) = (None, None);
        self.switches.clear();
        if let Some(meter) = &mut self.meter {
            meter.begin();
        }
        self.drop_outs = drop_outs + self.live_underruns();
        self.start = Instant::now();
    }

    /// Writes that the present trial is void, if it is so. It is tried again until it is on the disk.
    fn write_void(&mut self, drop_outs: u64) -> Result<(), String> {
        let Some(reason) = self.pending_void.clone() else { return Ok(()) };
        self.void(&reason, drop_outs)?;
        self.pending_void = None;
        Ok(())
    }

    /// Times that a model was late on live sound; a loop was rendered before the test.
    fn live_underruns(&self) -> u64 {
        if self.meter.is_some() { underruns(&self.prepared) } else { 0 }
    }

    /// Makes the present trial void, if one runs.
    fn void(&mut self, reason: &str, drop_outs: u64) -> Result<(), String> {
        if self.session.step() != Some(TestStep::Answer) {
            return Ok(());
        }
        let entry = self.session.void(reason);
        self.folder.enter(&mut self.session, entry).map_err(|error| error.to_string())?;
        self.begin_trial(drop_outs);
        self.note = Some(format!("This trial does not count and is repeated: {reason}."));
        Ok(())
    }

    /// The test as the listener may see it.
    fn view(&self) -> TestView {
        test_view(&self.folder, &self.session, self.playing, self.note.clone())
    }
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
