//! A session: the state of a test, which follows from the entries of its log alone.
//!
//! The parts are training (not for a preference, which has no right answer), the positive control (unless there is none), and the
//! test. Each is introduced. What happens is an [`Entry`]; [`Session::apply`] takes it in. So a session that was left goes on by
//! reading its log.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::blinding::{Blinding, Mapping, part_name};
use super::ladder::Rung;
use super::outcome::{Outcome, ScoredTrial};
use super::player::FIRST_RUNG;
use super::protocol::form_name;
use super::staircase::{Staircase, Track};
use super::statistics::{Decision, decide};
use crate::view::{Answer, Button, ControlTrial, Form, Protocol, Question, Rule, TestPart, TestStep};

/// Trials of the test after which a pause is offered.
pub const PAUSE_AFTER: u32 = 15;
/// Trials of a round of the positive control, all of which must be right: 1 in 32 by guessing.
pub const CONTROL_TRIALS: u32 = 5;
/// Rounds of the positive control: the first and one retry.
pub const CONTROL_ROUNDS: u32 = 2;
/// The highest confidence.
pub const MOST_CONFIDENT: u8 = 4;

/// A press of a button during a trial.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Switch {
    /// The button.
    pub button: Button,
    /// Seconds after the trial's start.
    pub at: f64,
}

/// A fault during a trial, which does not make it void. The result is given with and without such trials.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "flag", rename_all = "kebab-case")]
pub enum Flag {
    /// Blocks of sound came too late or were lost.
    DropOuts {
        /// Number of blocks.
        blocks: u64,
    },
    /// On live sound, the sides differed in loudness by more than 0.3 LU.
    Loudness {
        /// Side B less side A in LU; NaN, which JSON has as null, if it is no number.
        #[serde(deserialize_with = "number_or_nan")]
        difference_lu: f64,
    },
    /// On live sound, a side had a true peak beyond -1 dBTP.
    Peak {
        /// The higher true peak of both sides in dBTP.
        true_peak_dbtp: f64,
    },
    /// On live sound, loudness and peaks were not measured all the time.
    NotMeasured {
        /// Frames that the meter lost.
        lost_frames: u64,
    },
}

/// Reads a number; null is the NaN that JSON cannot have.
fn number_or_nan<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Option::<f64>::deserialize(deserializer).map(|number| number.unwrap_or(f64::NAN))
}

/// An answer to a trial, and how it came about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnswerRecord {
    /// The part.
    pub part: TestPart,
    /// Number of the trial within its part, from 1; void trials count.
    pub trial: u32,
    /// The answer.
    pub answer: Answer,
    /// Seconds from the trial's start to the answer.
    pub seconds: f64,
    /// Every press, in order.
    pub switches: Vec<Switch>,
    /// Faults.
    pub flags: Vec<Flag>,
}

/// The way in which a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// By its rule.
    Complete,
    /// Early, by the listener.
    Aborted,
}

/// Something that happens in a session, as its log has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Entry {
    /// The listener goes on after an introduction, feedback or a pause.
    Continue,
    /// The listener leaves the training.
    EndTraining,
    /// An answer.
    Answer(AnswerRecord),
    /// The confidence in the answer before.
    Confidence {
        /// From 1 (a guess) to 4 (certain).
        confidence: u8,
    },
    /// The present trial does not count. It is repeated under a new number, with a new mapping.
    Void {
        /// The part.
        part: TestPart,
        /// Number of the trial.
        trial: u32,
        /// The reason.
        reason: String,
    },
    /// The session was left and goes on. From here on, mappings follow from a new secret.
    Resume(Resumption),
}

/// The circumstances under which a session that was left goes on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Resumption {
    /// The commitment to the new secret: SHA-256 of its seed, its nonce and the hash of the line before, as hexadecimal digits in
    /// ASCII. In hexadecimal digits.
    pub commitment: String,
    /// Bytes of a half-written last line that was cut off.
    pub cut_bytes: u64,
    /// Name and version of the program.
    pub program: String,
    /// The place where the test goes on: a host, a device.
    pub venue: String,
    /// Channels of the stream.
    pub channels: usize,
    /// Longest block of the stream in frames.
    pub max_frames: usize,
}

/// The result of the positive control.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ControlResult {
    /// There is none.
    None,
    /// It is not finished.
    Open,
    /// The listener heard it in the first round.
    Passed,
    /// The listener heard it in the retry.
    PassedRetry,
    /// The listener did not hear it.
    Failed,
}

/// An entry that does not fit the state of a session.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{found} while the session waits for {expected}")]
pub struct OutOfPlace {
    /// The entry.
    pub found: String,
    /// The step that the session waits for.
    pub expected: String,
}

/// Subject of a session.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Question, form, rule and number of trials.
    pub protocol: Protocol,
    /// The positive control.
    pub control: ControlTrial,
    /// Both sides are bit for bit the same: the test shows bias only.
    pub is_aa: bool,
    /// Tests of the same sides that were taken before.
    pub earlier: Earlier,
    /// The rungs of the ladder of a staircase, from the smallest error to the largest; else empty.
    pub ladder: Vec<Rung>,
}

/// Tests of the same sides that stood in the folder of sessions when a test began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earlier {
    /// Tests that ended by their rule.
    pub complete: u32,
    /// Tests that were aborted.
    pub aborted: u32,
    /// Tests that were left, and run in other windows.
    pub left: u32,
    /// Hash of the last line of the newest one's log.
    pub newest: Option<String>,
}

impl Earlier {
    /// Number of tests. [any thread]
    #[must_use]
    pub fn count(&self) -> u32 {
        self.complete + self.aborted + self.left
    }
}

/// An answer to a trial of the test with its confidence.
#[derive(Clone, Debug)]
struct Answered {
    record: AnswerRecord,
    mapping: Mapping,
    confidence: Option<u8>,
    /// The rung of a staircase, from 0.
    rung: Option<usize>,
}

/// The state of a test. The score stays hidden until [`Self::outcome`].
#[derive(Clone)]
pub struct Session {
    plan: Plan,
    /// The secret of the start and that of each resumption, and the one of the next if it is drawn.
    blindings: Vec<Blinding>,
    part: TestPart,
    /// The step that the test waits for; None when it has ended by its rule.
    step: Option<TestStep>,
    /// Number of the present trial within its part.
    trial: u32,
    /// Trials of this part (of this round of the control) that are answered.
    counted: u32,
    /// Round of the control, from 1.
    round: u32,
    /// True while every answer of this round was right.
    round_is_right: bool,
    control: ControlResult,
    answers: Vec<Answered>,
    /// Right answers of the test.
    right: u32,
    /// The staircase that answers a question for a threshold.
    staircase: Option<Staircase>,
    /// Parts, numbers and mappings of all trials of control and test that were answered.
    mappings: Vec<(TestPart, u32, Mapping)>,
    /// Trials of control and test that were void. What they played is told nowhere.
    voids: u32,
    resumes: u32,
}

/// The place in the test; nothing of mappings and score.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("part", &self.part).field("trial", &self.trial).finish_non_exhaustive()
    }
}

impl Session {
    /// A session before its first introduction. [control thread: allocates]
    #[must_use]
    pub fn new(plan: Plan, blinding: Blinding) -> Self {
        let control = if plan.control == ControlTrial::None { ControlResult::None } else { ControlResult::Open };
        let part = match (plan.protocol.question, control) {
            (Question::Preference, ControlResult::None) => TestPart::Test,
            (Question::Preference, _) => TestPart::Control,
            _ => TestPart::Training,
        };
        let staircase = match plan.protocol.rule {
            Rule::Staircase { reversals } => Some(Staircase::new(plan.ladder.len(), reversals, plan.protocol.trials)),
            Rule::Fixed | Rule::Sprt | Rule::EValue => None,
        };
        Self {
            staircase,
            plan,
            blindings: vec![blinding],
            part,
            step: Some(TestStep::Introduction),
            trial: 1,
            counted: 0,
            round: 1,
            round_is_right: true,
            control,
            answers: Vec::new(),
            right: 0,
            mappings: Vec::new(),
            voids: 0,
            resumes: 0,
        }
    }

    /// Subject of the session. [any thread]
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The secrets that were used so far, which are for the log's last line only. [any thread]
    #[must_use]
    pub(super) fn blindings(&self) -> &[Blinding] {
        &self.blindings[..=self.resumes as usize]
    }

    /// Takes the secret of the next resumption, in the place of one that was not used. [control thread: allocates]
    pub(super) fn draw(&mut self, blinding: Blinding) {
        self.blindings.truncate(self.resumes as usize + 1);
        self.blindings.push(blinding);
    }

    /// The mapping of the present trial.
    fn mapping(&self) -> Mapping {
        self.blindings[self.resumes as usize].mapping(self.part, self.trial)
    }

    /// The part that runs. [any thread]
    #[must_use]
    pub fn part(&self) -> TestPart {
        self.part
    }

    /// The step that the test waits for; None when it has ended by its rule. [any thread]
    #[must_use]
    pub fn step(&self) -> Option<TestStep> {
        self.step
    }

    /// Number of the present trial within its part, from 1; void trials count. [any thread]
    #[must_use]
    pub fn trial(&self) -> u32 {
        self.trial
    }

    /// Trials of this part that are answered; of the control: of this round. [any thread]
    #[must_use]
    pub fn counted(&self) -> u32 {
        self.counted
    }

    /// Trials of this part; the most if the rule is sequential; None in training. [any thread]
    #[must_use]
    pub fn of(&self) -> Option<u32> {
        match self.part {
            TestPart::Training => None,
            TestPart::Control => Some(CONTROL_TRIALS),
            TestPart::Test => Some(self.plan.protocol.trials),
        }
    }

    /// The form of this part's trials. [any thread]
    #[must_use]
    pub fn form(&self) -> Form {
        if self.part == TestPart::Control { Form::Abx } else { self.plan.protocol.form }
    }

    /// The answer that waits for its confidence. [any thread]
    #[must_use]
    pub fn answer(&self) -> Option<Answer> {
        (self.step == Some(TestStep::Confidence)).then(|| self.answers.last().map(|answered| answered.record.answer)).flatten()
    }

    /// Result of the positive control. [any thread]
    #[must_use]
    pub fn control(&self) -> ControlResult {
        self.control
    }

    /// Times that the session was left and resumed. [any thread]
    #[must_use]
    pub fn resumes(&self) -> u32 {
        self.resumes
    }

    /// The path of the stimuli that a button plays in the present trial: 0 is side A, 1 side B, 2 the positive control, from
    /// [`FIRST_RUNG`] on a rung of the ladder. None if no trial runs or the form has no such button. Only what plays may learn it. [control thread]
    #[must_use]
    pub fn path(&self, button: Button) -> Option<usize> {
        if self.step != Some(TestStep::Answer) {
            return None;
        }
        let side = self.mapping().side(self.form(), button)?;
        Some(match (self.part, &self.staircase) {
            (TestPart::Control, _) => 2 * side,
            // The training has the error that the test begins with.
            (TestPart::Training, Some(_)) if side == 1 => FIRST_RUNG + self.plan.ladder.len().saturating_sub(1),
            (TestPart::Test, Some(staircase)) if side == 1 => FIRST_RUNG + staircase.rung(),
            _ => side,
        })
    }

    /// The course of the staircase up to now, which tells the score; None of other rules.
    pub(super) fn track(&self) -> Option<&Track> {
        self.staircase.as_ref().map(Staircase::track)
    }

    /// The entry for an answer to the present trial. [control thread: allocates]
    #[must_use]
    pub fn answered(&self, answer: Answer, seconds: f64, switches: Vec<Switch>, flags: Vec<Flag>) -> Entry {
        Entry::Answer(AnswerRecord { part: self.part, trial: self.trial, answer, seconds, switches, flags })
    }

    /// The entry that makes the present trial void. [control thread: allocates]
    #[must_use]
    pub fn void(&self, reason: impl Into<String>) -> Entry {
        Entry::Void { part: self.part, trial: self.trial, reason: reason.into() }
    }

    /// Checks that an entry fits. [any thread]
    ///
    /// # Errors
    /// [`OutOfPlace`].
    pub fn check(&self, entry: &Entry) -> Result<(), OutOfPlace> {
        let is_present = |part: TestPart, trial: u32| (part, trial) == (self.part, self.trial);
        let fits = match entry {
            Entry::Continue => {
                matches!(self.step, Some(TestStep::Introduction | TestStep::Feedback { .. } | TestStep::Pause))
            }
            Entry::EndTraining => self.part == TestPart::Training,
            Entry::Answer(record) => {
                self.step == Some(TestStep::Answer) && is_present(record.part, record.trial) && self.can_answer(record.answer)
            }
            Entry::Confidence { confidence } => {
                self.step == Some(TestStep::Confidence) && (1..=MOST_CONFIDENT).contains(confidence)
            }
            Entry::Void { part, trial, .. } => self.step == Some(TestStep::Answer) && is_present(*part, *trial),
            // Its secret is drawn before it is written.
            Entry::Resume(_) => self.blindings.len() > self.resumes as usize + 1,
        };
        if fits { Ok(()) } else { Err(OutOfPlace { found: entry_name(entry), expected: self.expected() }) }
    }

    /// True if the form of this part has this answer. [any thread]
    #[must_use]
    pub fn can_answer(&self, answer: Answer) -> bool {
        let is_sameness = matches!(answer, Answer::Same | Answer::Different);
        is_sameness == (self.form() == Form::SameDifferent)
    }

    /// Takes in an entry. [control thread: allocates]
    ///
    /// # Errors
    /// [`OutOfPlace`]; then the session is as before.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), OutOfPlace> {
        self.check(entry)?;
        match entry {
            Entry::Continue => {
                if matches!(self.step, Some(TestStep::Feedback { .. })) {
                    self.trial += 1;
                }
                self.step = Some(TestStep::Answer);
            }
            Entry::EndTraining => {
                self.begin(if self.control == ControlResult::None { TestPart::Test } else { TestPart::Control })
            }
            Entry::Answer(record) => self.take_answer(record),
            Entry::Confidence { confidence } => {
                if let Some(answered) = self.answers.last_mut() {
                    answered.confidence = Some(*confidence);
                }
                self.end_trial();
            }
            Entry::Void { .. } => {
                if self.part != TestPart::Training {
                    self.voids += 1;
                }
                self.trial += 1;
            }
            Entry::Resume(_) => self.resumes += 1,
        }
        Ok(())
    }

    /// Introduces a part.
    fn begin(&mut self, part: TestPart) {
        (self.part, self.step) = (part, Some(TestStep::Introduction));
        (self.trial, self.counted) = (1, 0);
    }

    /// Takes in the answer of a trial.
    fn take_answer(&mut self, record: &AnswerRecord) {
        // A preference has no right answer; it is asked for in the test only.
        let mapping = self.mapping();
        let right = mapping.is_right(self.form(), record.answer).unwrap_or(false);
        if self.part != TestPart::Training {
            self.mappings.push((self.part, self.trial, mapping));
        }
        match self.part {
            TestPart::Training => {
                self.counted += 1;
                self.step = Some(TestStep::Feedback { right });
            }
            TestPart::Control => {
                self.counted += 1;
                self.trial += 1;
                self.round_is_right &= right;
                if self.counted == CONTROL_TRIALS {
                    self.end_round();
                }
            }
            TestPart::Test => {
                self.right += u32::from(right);
                let rung = self.staircase.as_ref().map(Staircase::rung);
                if let Some(staircase) = &mut self.staircase {
                    staircase.answer(right);
                }
                self.answers.push(Answered { record: record.clone(), mapping, confidence: None, rung });
                self.step = Some(TestStep::Confidence);
            }
        }
    }

    /// Ends a round of the control.
    fn end_round(&mut self) {
        let first = self.round == 1;
        if self.round_is_right {
            self.control = if first { ControlResult::Passed } else { ControlResult::PassedRetry };
            self.begin(TestPart::Test);
        } else if self.round < CONTROL_ROUNDS {
            self.round += 1;
            self.round_is_right = true;
            self.counted = 0;
            // The numbers go on, as the mappings of the round are known to a listener who failed it.
            self.step = Some(TestStep::Introduction);
        } else {
            self.control = ControlResult::Failed;
            self.begin(TestPart::Test);
        }
    }

    /// Ends a trial of the test.
    fn end_trial(&mut self) {
        self.counted += 1;
        self.trial += 1;
        let decision = match &self.staircase {
            Some(staircase) if staircase.is_over() => Decision::LastTrial,
            Some(_) => Decision::GoOn,
            None => decide(&self.plan.protocol, self.right, self.counted),
        };
        self.step = match decision {
            Decision::GoOn if self.counted.is_multiple_of(PAUSE_AFTER) => Some(TestStep::Pause),
            Decision::GoOn => Some(TestStep::Answer),
            _ => None,
        };
    }

    /// The answered trials with their mappings.
    fn scored(&self) -> Vec<ScoredTrial> {
        let form = self.plan.protocol.form;
        let scored = |answered: &Answered| ScoredTrial {
            form,
            mapping: answered.mapping,
            record: answered.record.clone(),
            confidence: answered.confidence,
            rung: answered.rung,
        };
        self.answers.iter().map(scored).collect()
    }

    /// Parts, numbers and mappings of all trials of control and test that were answered, for the log's last line.
    pub(super) fn mappings(&self) -> Vec<(TestPart, u32, [u8; 2])> {
        self.mappings.iter().map(|(part, trial, mapping)| (*part, *trial, mapping.bits())).collect()
    }

    /// Trials of control and test that were answered or void.
    pub(super) fn trials(&self) -> u32 {
        self.mappings.len() as u32 + self.voids
    }

    /// The result. It opens the score, so it is for the end only. [control thread: allocates]
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let end = if self.step.is_none() { End::Complete } else { End::Aborted };
        Outcome::new(&self.plan, end, &self.scored(), self.track(), self.control, self.voids, self.resumes)
    }

    /// A few words on what the session waits for.
    fn expected(&self) -> String {
        let part = part_name(self.part);
        match self.step {
            None => "its end".into(),
            Some(TestStep::Answer) => format!("an answer to {part} {} in the form {}", self.trial, form_name(self.form())),
            Some(TestStep::Confidence) => format!("the confidence in {part} {}", self.trial),
            Some(TestStep::Feedback { .. }) => "the listener to go on after feedback".into(),
            Some(TestStep::Pause) => "the end of the pause".into(),
            Some(TestStep::Introduction) => format!("the beginning of the {part}"),
        }
    }

    /// A sentence on what the listener is to do now. [control thread: allocates]
    #[must_use]
    pub fn instruction(&self) -> String {
        let form = self.form();
        match (self.step, self.part) {
            (None, _) => "The test has ended.".into(),
            (Some(TestStep::Introduction), TestPart::Training) => {
                "First some training: you are told after each answer if it was right. Nothing is scored. Leave it when you like.".into()
            }
            (Some(TestStep::Introduction), TestPart::Control) if self.round > 1 => {
                "At least one of the five answers was wrong. One more round of five; then the test comes.".into()
            }
            (Some(TestStep::Introduction), TestPart::Control) => {
                "Now five trials with a difference that everybody hears. They prove that room, device and ears are fit for a test.".into()
            }
            (Some(TestStep::Introduction), TestPart::Test) => {
                let before = match self.control {
                    ControlResult::Passed | ControlResult::PassedRetry => "You heard the control. ",
                    ControlResult::Failed => "You did not hear the control, so the result will say that sensitivity was not proven. ",
                    ControlResult::None | ControlResult::Open => "",
                };
                let how = match self.plan.protocol.question {
                    Question::Threshold => {
                        "The difference becomes smaller while you hear it, so it is hard most of the time: guess if you are not \
                         sure. You see no score until the end."
                    }
                    Question::Preference => "Take your time, and say what you like better; every answer is right.",
                    _ => "You see no score until the end. Take your time, and guess if you are not sure.",
                };
                format!("{before}Now the test. {how}")
            }
            (Some(TestStep::Answer), _) => match form {
                Form::Abx => "Listen to A, B and X as often as you like. Is X the same as A, or as B?".into(),
                Form::Preference => "Listen to 1 and 2 as often as you like. Which do you prefer?".into(),
                Form::SameDifferent => "Listen to 1 and 2 as often as you like. Are they the same, or different?".into(),
            },
            (Some(TestStep::Confidence), _) => "Are you sure? 1 is a guess, 4 is certain.".into(),
            (Some(TestStep::Feedback { right: true }), _) => "That was right.".into(),
            (Some(TestStep::Feedback { right: false }), _) => "That was wrong.".into(),
            (Some(TestStep::Pause), _) => "Rest your ears for a while. Go on when you like.".into(),
        }
    }
}

/// A few words on an entry.
fn entry_name(entry: &Entry) -> String {
    match entry {
        Entry::Continue => "going on".into(),
        Entry::EndTraining => "the end of the training".into(),
        Entry::Answer(record) => {
            let answer = match record.answer {
                Answer::First => "first",
                Answer::Second => "second",
                Answer::Same => "same",
                Answer::Different => "different",
            };
            format!("the answer '{answer}' to {} {}", part_name(record.part), record.trial)
        }
        Entry::Confidence { confidence } => format!("the confidence {confidence}"),
        Entry::Void { part, trial, .. } => format!("the void {} {trial}", part_name(*part)),
        Entry::Resume(_) => "a resumption".into(),
    }
}
