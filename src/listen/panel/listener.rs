//! A listener of a panel: the visit, the session, and the steps that are taken in it.

use std::fs;
use std::path::Path;

use super::error::Refusal;
use super::files;
use super::sound::PULSES;
use super::view::{ButtonSound, PanelAction, PanelResult, PanelStage, PanelStep, PanelTest};
use super::{MOST_PRESSES, MOST_SECONDS};
use crate::listen::course::{result_view, test_view};
use crate::listen::folder::{FolderError, LOG, SessionFolder, failed};
use crate::listen::log::{Body, parse, split};
use crate::listen::session::{Entry, Flag, Session, Switch};
use crate::view::{Button, TestStep, TestView};

/// A listener.
#[derive(Debug)]
pub(super) struct Listener {
    pub progress: Progress,
    pub visit: Option<Visit>,
    /// The last step that was taken: the receipt before it, and its entry.
    pub last: Option<(String, Entry)>,
}

/// The progress of a listener: before, in or after the session.
#[derive(Debug)]
pub(super) enum Progress {
    /// Nothing of the session is open: it is to be made, or to go on.
    Closed,
    Running(Box<Running>),
    Ended {
        result: PanelResult,
        receipt: String,
    },
}

/// A session that runs.
#[derive(Debug)]
pub(super) struct Running {
    pub folder: SessionFolder,
    pub session: Session,
    pub note: Option<String>,
}

/// A load of the page.
#[derive(Debug)]
pub(super) struct Visit {
    pub id: String,
    pub check: Check,
    /// Ids of the sounds that can be fetched.
    pub sounds: Vec<(String, SoundId)>,
}

/// The sound check of a visit.
#[derive(Debug)]
pub(super) enum Check {
    Asked { pulses: u8, note: Option<String> },
    Passed,
}

/// A sound behind an id.
#[derive(Clone, Copy, Debug)]
pub(super) enum SoundId {
    /// The pulses of the sound check.
    Pulses(u8),
    /// A path of the stimuli.
    Path(usize),
}

impl Check {
    /// A check with a new number of pulses.
    pub fn new(note: Option<String>) -> Result<Self, Refusal> {
        let mut byte = [0];
        files::fill(&mut byte).map_err(Refusal::not_written)?;
        let [fewest, most] = PULSES;
        // A byte has a whole number of each of the eight.
        Ok(Self::Asked { pulses: fewest + byte[0] % (most - fewest + 1), note })
    }
}

impl Listener {
    /// The receipt and the stage; draws new ids for sounds.
    pub fn stage(&mut self) -> Result<(String, PanelStage), Refusal> {
        let visit = self.visit.as_mut().ok_or(Refusal::OtherVisit)?;
        visit.sounds.clear();
        let Running { folder, session, note } = match &self.progress {
            Progress::Running(running) => &**running,
            Progress::Ended { result, receipt } => return Ok((receipt.clone(), PanelStage::Ended(result.clone()))),
            Progress::Closed => return Err(Refusal::OtherVisit),
        };
        let receipt = folder.receipt().to_owned();
        let new_id = || files::new_id().map_err(Refusal::not_written);
        if let Check::Asked { pulses, note } = &visit.check {
            let sound = new_id()?;
            visit.sounds.push((sound.clone(), SoundId::Pulses(*pulses)));
            return Ok((receipt, PanelStage::SoundCheck { sound, pulses: PULSES, note: note.clone() }));
        }
        let mut sounds = Vec::new();
        for button in [Button::First, Button::Second, Button::X] {
            if let Some(path) = session.path(button) {
                let sound = new_id()?;
                visit.sounds.push((sound.clone(), SoundId::Path(path)));
                sounds.push(ButtonSound { button, sound });
            }
        }
        let TestView { part, form, step, number, of, answer, instruction, commitment, .. } =
            test_view(folder, session, None, None);
        let step = match step {
            TestStep::Introduction => "introduction",
            TestStep::Answer => "answer",
            TestStep::Confidence => "confidence",
            TestStep::Feedback { .. } => "feedback",
            TestStep::Pause => "pause",
        };
        let note = note.clone();
        let test = PanelTest { part, form, step, number, of, answer, instruction, note, commitment, sounds };
        Ok((receipt, PanelStage::Test(Box::new(test))))
    }

    /// Takes a step.
    pub fn act(&mut self, PanelStep { after, action }: &PanelStep) -> Result<(), Refusal> {
        if self.last.as_ref().is_some_and(|(before, entry)| before == after && action.is_of(entry)) {
            return Ok(());
        }
        let Progress::Running(running) = &mut self.progress else {
            return Err(Refusal::OutOfTurn("the test has ended".into()));
        };
        if !matches!(self.visit, Some(Visit { check: Check::Passed, .. })) {
            return Err(Refusal::SoundCheck);
        }
        if running.folder.receipt() != after {
            return Err(Refusal::OutOfTurn(
                "the test is at another step; this one was taken already, or the trial is void".into(),
            ));
        }
        // If the last line could not be written, anything that the listener does tries it again.
        if *action != PanelAction::Abort && running.session.step().is_some() {
            let entry = action.entry(&running.session)?;
            running.session.check(&entry).map_err(|error| Refusal::OutOfTurn(error.to_string()))?;
            if let Err(error) = running.folder.enter(&mut running.session, entry.clone()) {
                let detail = error.to_string();
                return Err(if running.folder.is_lost() { Refusal::Lost { detail } } else { Refusal::NotWritten { detail } });
            }
            let has_lost = matches!(&entry, Entry::Answer(record) if !record.flags.is_empty());
            running.note = has_lost.then(|| "Sound was lost in this trial, so it is flagged. Close other programs.".into());
            self.last = Some((after.clone(), entry));
            if running.session.step().is_some() {
                return Ok(());
            }
        }
        let closed = running.folder.close(&running.session);
        // Without its last line the test can still go on. With it the seed is open, and a table that is missing is written when the
        // session is opened again.
        if !running.folder.is_closed() {
            // The step itself is kept; the page shows that the result is not.
            return match (action, closed) {
                (PanelAction::Abort, Err(error)) => Err(Refusal::not_written(error)),
                _ => Ok(()),
            };
        }
        self.progress = ended(&running.folder, &running.session);
        Ok(())
    }
}

impl PanelAction {
    /// The entry of this action.
    fn entry(&self, session: &Session) -> Result<Entry, Refusal> {
        match self {
            Self::Answer { answer, seconds, switches, drop_outs } => {
                check_presses(*seconds, switches)?;
                if switches.iter().any(|switch| session.path(switch.button).is_none() && session.step() == Some(TestStep::Answer))
                {
                    return Err(Refusal::Malformed("a press of a button that the trial does not have".into()));
                }
                let flags = if *drop_outs > 0 { vec![Flag::DropOuts { blocks: *drop_outs }] } else { Vec::new() };
                Ok(session.answered(*answer, *seconds, switches.clone(), flags))
            }
            Self::Confidence { confidence } => Ok(Entry::Confidence { confidence: *confidence }),
            Self::Continue => Ok(Entry::Continue),
            Self::EndTraining => Ok(Entry::EndTraining),
            Self::Abort => Err(Refusal::OutOfTurn("the end of a test has no entry".into())),
        }
    }

    /// True if an entry is the one of this action.
    fn is_of(&self, entry: &Entry) -> bool {
        match (self, entry) {
            (Self::Answer { answer, seconds, switches, .. }, Entry::Answer(record)) => {
                (answer, seconds, switches) == (&record.answer, &record.seconds, &record.switches)
            }
            (Self::Confidence { confidence }, Entry::Confidence { confidence: entered }) => confidence == entered,
            (Self::Continue, Entry::Continue) | (Self::EndTraining, Entry::EndTraining) => true,
            _ => false,
        }
    }
}

/// Checks the presses of an answer: at least one, in order, before the answer.
fn check_presses(seconds: f64, switches: &[Switch]) -> Result<(), Refusal> {
    let malformed = |line: String| Err(Refusal::Malformed(line));
    if !(0.0..=MOST_SECONDS).contains(&seconds) {
        return malformed(format!("an answer after {seconds} s; expected 0 to {MOST_SECONDS}"));
    }
    if switches.is_empty() {
        return malformed("listen first: press one of the buttons".into());
    }
    if switches.len() > MOST_PRESSES {
        return malformed(format!("{} presses; expected at most {MOST_PRESSES}", switches.len()));
    }
    let is_in_order = switches.is_sorted_by(|a, b| a.at <= b.at);
    if !is_in_order || !switches.iter().all(|switch| (0.0..=seconds).contains(&switch.at)) {
        return malformed("the times of presses are not in order; expected them between 0 and the time of the answer".into());
    }
    Ok(())
}

/// The progress of a session that is closed.
pub(super) fn ended(folder: &SessionFolder, session: &Session) -> Progress {
    let result = result_view(folder, session, Vec::new());
    Progress::Ended {
        result: PanelResult { sentences: result.sentences, figures: result.figures, remarks: result.remarks },
        receipt: result.receipt,
    }
}

/// The last step of a listener in a log, with the hash of the line before it.
pub(super) fn last_step(session: &Path) -> Result<Option<(String, Entry)>, FolderError> {
    let path = session.join(LOG);
    let bytes = fs::read(&path).map_err(failed(&path, "read it"))?;
    let mut last = None;
    for (place, line) in (1..).zip(split(&bytes).0) {
        let line = parse(line, place).map_err(|source| FolderError::Log { path: session.into(), source })?;
        match line.body {
            Body::Entry(Entry::Resume(_) | Entry::Void { .. })
            | Body::Configuration(_)
            | Body::Commitment(_)
            | Body::Close(_) => {}
            Body::Entry(entry) => last = Some((line.previous, entry)),
        }
    }
    Ok(last)
}
