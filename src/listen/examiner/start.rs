//! The start of a test, and of a session that was left.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::running::{Heard, Running, WARMING_UP, hear, nan_resets, underruns};
use super::{Examiner, HOLD_TICKS, NO_INPUT, NO_SOUND, Purpose, Stage, check_rate, of_width};
use crate::dsp::ProcessSpec;
use crate::listen::blinding::Blinding;
use crate::listen::course::{configuration_of, gate_views, result_view, resume_session, with_ladder, write_sounds};
use crate::listen::folder::{FolderError, Reopened, SessionFolder};
use crate::listen::gates::{LIVE_GAIN_LIMIT_DB, gain_gate};
use crate::listen::log::Configuration;
use crate::listen::matching::{LOOP_SECONDS, MatchError};
use crate::listen::preparation::{Job, Preparation, Ready};
use crate::listen::protocol::validate;
use crate::listen::session::Session;
use crate::view::{GateView, SideChoice, SoundSource, TestSetup};

impl Examiner {
    /// Prepares a new test.
    pub(super) fn start(&mut self) -> Result<(), String> {
        if !matches!(self.stage, Stage::Setup) {
            return Ok(());
        }
        validate(&self.setup.protocol).map_err(|error| error.to_string())?;
        self.stop_preview()?;
        let spec = self.venue.spec().map_err(|error| error.to_string())?;
        let (setup, ladder) = with_ladder(self.setup.clone())?;
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
            choices: setup.sides.clone(),
            slots: Box::new(self.venue.slots()),
            control: setup.control,
            ladder,
        };
        let setup = Box::new(TestSetup { range, ..setup });
        let purpose = Purpose::New { setup, spec, generation: self.venue.generation() };
        let preparation = Preparation::start(job).map_err(|error| error.to_string())?;
        self.stage = Stage::Preparing { preparation, purpose };
        Ok(())
    }

    /// Begins a test that is prepared, or refuses it.
    pub(super) fn begin(&mut self, setup: TestSetup, spec: ProcessSpec, generation: u64, ready: Ready) -> Result<(), String> {
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
    pub(super) fn resume(&mut self, path: &Path) -> Result<(), String> {
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
    pub(super) fn go_on(&mut self, reopened: Reopened, ready: Ready) -> Result<(), String> {
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
