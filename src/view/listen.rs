//! Plain data of listening tests: the setup, the state of a test, and the actions of a listener.

use std::path::PathBuf;
use std::sync::Arc;

use super::Slot;

/// The question of a listening test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "listen", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum Question {
    /// Is there a difference that the listener hears?
    Difference,
    /// Are the sides the same to the listener, up to [`Protocol::margin`]?
    Equivalence,
    /// The side that the listener prefers.
    Preference,
    /// The largest error of side B, re side A, that the listener does not hear.
    Threshold,
}

/// The form of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "listen", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum Form {
    /// Three buttons, A, B and X: is X the same as A, or as B?
    Abx,
    /// Two buttons, 1 and 2: which is better? The form of [`Question::Preference`].
    Preference,
    /// Two buttons, 1 and 2: do they play the same side, or different ones?
    SameDifferent,
}

/// The rule that ends a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "listen", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum Rule {
    /// A number of trials that is fixed before the first.
    Fixed,
    /// Wald's sequential probability ratio test, p_c = .5 against .75, alpha .05, beta .10, with a cap.
    Sprt,
    /// An e-value of 20 or more, with a cap.
    EValue,
    /// A weighted up-down staircase, with a cap: after a right answer the error becomes smaller by a step, after a wrong one larger by
    /// three. The rule of [`Question::Threshold`].
    Staircase {
        /// Number of reversals that end it: the times that the error turns from smaller to larger or back.
        reversals: u32,
    },
}

/// Everything about a test that is fixed before the first trial.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "listen", derive(serde::Serialize, serde::Deserialize))]
pub struct Protocol {
    /// The question.
    pub question: Question,
    /// The form of a trial.
    pub form: Form,
    /// The rule that ends the test.
    pub rule: Rule,
    /// Number of trials; the most trials (the cap) if the rule is sequential.
    pub trials: u32,
    /// Equivalence: the share of right answers, between 0.5 and 1, below which the sides count as the same.
    pub margin: f64,
}

/// One thing by which a side differs from the other side (an *ablation*).
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "listen", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum Change {
    /// A setting of the other side's effect, as in an effect's text: `oversampling=2`, `model=smaller.nam`.
    Setting(String),
    /// A gain in dB, after matching. The loudness gate does not apply.
    GainDb(f32),
    /// A delay in frames, after matching. The time gate does not apply.
    DelayFrames(f32),
}

/// Writes a path as text.
#[cfg(feature = "listen")]
fn path_as_text<S: serde::Serializer>(path: &std::path::Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

/// One of the two sides of a test.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "listen", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum SideChoice {
    /// The effect in slot A (0) or B (1), as it is when the test starts.
    Slot(usize),
    /// The sound itself.
    Dry,
    /// An effect, as its text: `saturator drive=24`.
    Effect(String),
    /// A WAV file that was processed elsewhere, for a loop from a file. In the record, which is UTF-8, what of the path is not
    /// becomes U+FFFD; the file itself is a part of the record.
    File(#[cfg_attr(feature = "listen", serde(serialize_with = "path_as_text"))] PathBuf),
    /// The other side with one thing changed.
    Changed(Change),
}

/// The sound of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "listen", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum SoundSource {
    /// A captured loop, or one from a file: both sides are rendered before the test.
    Loop,
    /// The sound that comes in while the test runs.
    Live,
}

/// The positive control: a change of side A that everybody hears. A listener who does not hear it has proven nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "listen", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum ControlTrial {
    /// A 3.5 kHz low-pass.
    LowPass,
    /// 3 dB louder.
    Louder,
    /// No control: the result says that sensitivity was not proven.
    None,
}

/// The setup of a test, as the listener makes it.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "listen", derive(serde::Serialize, serde::Deserialize))]
pub struct TestSetup {
    /// Question, form, rule and number of trials.
    pub protocol: Protocol,
    /// Side A and side B. At most one of them is [`SideChoice::Changed`].
    pub sides: [SideChoice; 2],
    /// The sound.
    pub source: SoundSource,
    /// Start and end of the loop in the captured sound or file, in seconds; 0.5 to 30 s apart.
    pub range: [f64; 2],
    /// The positive control.
    pub control: ControlTrial,
    /// Name of the listener for the record; may be empty.
    pub listener: String,
    /// [`Question::Threshold`]: the rungs of a measured ladder, from the smallest error re side A to the largest, which is side B too.
    /// Empty for the ladder of B's own error, A + k (B - A).
    #[cfg_attr(feature = "listen", serde(default, skip_serializing_if = "Vec::is_empty"))]
    pub rungs: Vec<SideChoice>,
}

/// A button that a listener can press to hear something. [`Button::X`] is of the form ABX only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "listen", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum Button {
    /// A, or 1.
    First,
    /// B, or 2.
    Second,
    /// X.
    X,
}

/// An answer to a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "listen", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum Answer {
    /// ABX: X is A. Preference: 1 is better.
    First,
    /// ABX: X is B. Preference: 2 is better.
    Second,
    /// Both buttons play the same side.
    Same,
    /// The buttons play different sides.
    Different,
}

/// An action of a listener in the panel of listening tests.
#[derive(Clone, Debug, PartialEq)]
pub enum ListenAction {
    /// Opens the panel: from now on the last 30 s of the input are kept.
    Open,
    /// Closes the panel and frees its memory. A running test is left: it can be resumed.
    Close,
    /// Replaces the setup.
    Set(TestSetup),
    /// Takes the last 30 s of the input as the sound of the loop.
    Capture,
    /// Reads a WAV file as the sound of the loop.
    OpenSound(PathBuf),
    /// Plays the chosen range of the sound through slot A, before the test; false stops it.
    Preview(bool),
    /// Matches the sides, checks the gates and starts a test.
    Start,
    /// Goes on with a session that was left: the folder of the session.
    Resume(PathBuf),
    /// Closes a session that was left as aborted: the folder of the session.
    CloseAborted(PathBuf),
    /// Plays what is behind a button.
    Press(Button),
    /// Plays what was played before the last press.
    SwitchBack,
    /// Gives the answer of the trial.
    Answer(Answer),
    /// Confidence of the listener, from 1 (a guess) to 4 (certain).
    Confidence(u8),
    /// Goes on after training, a pause or feedback.
    Continue,
    /// Leaves the training, which may be as short as the listener likes.
    EndTraining,
    /// Ends the test early. It counts as aborted and is logged.
    Abort,
    /// Leaves the result or the refusal, back to the setup.
    Done,
}

/// A picture of a sound, for choosing a part of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Waveform {
    /// Smallest and largest sample of all channels, for equally long parts of the sound.
    pub columns: Vec<(f32, f32)>,
    /// Duration in seconds.
    pub seconds: f64,
    /// Words on the origin: "the last 30 s of the input", or a file's name.
    pub name: String,
}

/// One fairness gate and how far it was passed.
#[derive(Clone, Debug, PartialEq)]
pub struct GateView {
    /// True if the sides pass.
    pub passed: bool,
    /// A line with the figure and the limit.
    pub text: String,
}

/// The part of a test that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "listen", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum TestPart {
    /// Unscored trials with feedback.
    Training,
    /// The positive control, always as ABX.
    Control,
    /// The trials that count.
    Test,
}

/// Step that a running test waits for. One question at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestStep {
    /// The answer to the trial.
    Answer,
    /// The confidence in that answer.
    Confidence,
    /// Feedback was given (training only); go on.
    Feedback {
        /// True if the answer was right.
        right: bool,
    },
    /// A pause is offered.
    Pause,
    /// The next part is explained; go on.
    Introduction,
}

/// A running test, as the listener may see it. Nothing here differs between the hidden mappings.
#[derive(Clone, Debug, PartialEq)]
pub struct TestView {
    /// The part that runs.
    pub part: TestPart,
    /// The form of this part's trials.
    pub form: Form,
    /// The step that the test waits for.
    pub step: TestStep,
    /// Number of this trial in its part, from 1.
    pub number: u32,
    /// Number of trials in this part; the most if the rule is sequential; None in training.
    pub of: Option<u32>,
    /// The button that plays.
    pub playing: Option<Button>,
    /// The answer that was given, while its confidence is asked for.
    pub answer: Option<Answer>,
    /// A sentence on what to do now.
    pub instruction: String,
    /// A line on what happened: a trial that was void, drop-outs.
    pub note: Option<String>,
    /// The commitment to seed and configuration, in hexadecimal digits.
    pub commitment: String,
    /// Hash of the log's last line, in hexadecimal digits: the receipt.
    pub receipt: String,
}

/// The result of a test.
#[derive(Clone, Debug, PartialEq)]
pub struct ResultView {
    /// The result in one sentence or two.
    pub sentences: Vec<String>,
    /// Names and figures.
    pub figures: Vec<(String, String)>,
    /// Names and figures of the measures of both sides on the same sound.
    pub measures: Vec<(String, String)>,
    /// Remarks on what makes the result weaker.
    pub remarks: Vec<String>,
    /// Folder of the session.
    pub folder: PathBuf,
    /// Hash of the log's last line: the receipt.
    pub receipt: String,
}

/// The state of the panel.
#[derive(Clone, Debug, PartialEq)]
pub enum ListenStage {
    /// The setup.
    Setup,
    /// The sides are rendered, matched and measured.
    Preparing {
        /// A few words on the step.
        text: String,
        /// Share that is done, 0 to 1.
        share: f32,
    },
    /// The gates refused the test.
    Refused {
        /// All gates.
        gates: Vec<GateView>,
    },
    /// A test runs.
    Running(TestView),
    /// A test has ended.
    Ended(ResultView),
}

/// The panel of listening tests.
#[derive(Clone, Debug, PartialEq)]
pub struct ListenView {
    /// True if the panel is open.
    pub is_open: bool,
    /// The setup.
    pub setup: TestSetup,
    /// Lines on what a test with this protocol can show.
    pub power: Vec<String>,
    /// Probabilities with which the test finds a listener: pairs of p_c and probability, for a picture.
    pub power_curve: Vec<(f64, f64)>,
    /// Names of the effects in slot A and slot B.
    pub slot_names: [String; 2],
    /// The sound of the loop.
    pub sound: Option<Arc<Waveform>>,
    /// Seconds of the input that are kept at present, up to 30.
    pub kept_seconds: f32,
    /// Memory of the kept input in bytes.
    pub kept_bytes: usize,
    /// The position in the loop that plays, in seconds; None if nothing plays. The same whatever button plays.
    pub position: Option<f64>,
    /// A session that was left and can be resumed or closed.
    pub unfinished: Option<PathBuf>,
    /// The stage.
    pub stage: ListenStage,
    /// A line on what went wrong.
    pub error: Option<String>,
}

impl ListenView {
    /// True while the window must show nothing that could tell the sides apart: a test runs.
    #[must_use]
    pub fn is_blind(&self) -> bool {
        matches!(self.stage, ListenStage::Running(_))
    }
}

impl Protocol {
    /// 16 trials of ABX: the quick test for a difference.
    pub const QUICK: Self = Self { question: Question::Difference, form: Form::Abx, rule: Rule::Fixed, trials: 16, margin: 0.7 };
    /// Trials of a staircase for each of its reversals, at the most: hardly any listener takes half as many.
    pub const TRIALS_PER_REVERSAL: u32 = 6;

    /// A staircase of ABX trials that ends after so many reversals; 16 are the quick test for a threshold.
    #[must_use]
    pub const fn staircase(reversals: u32) -> Self {
        let trials = Self::TRIALS_PER_REVERSAL * reversals;
        Self { question: Question::Threshold, rule: Rule::Staircase { reversals }, trials, ..Self::QUICK }
    }
}

impl Default for TestSetup {
    fn default() -> Self {
        Self {
            protocol: Protocol::QUICK,
            sides: [SideChoice::Slot(Slot::A as usize), SideChoice::Slot(Slot::B as usize)],
            source: SoundSource::Loop,
            range: [0.0, 10.0],
            control: ControlTrial::LowPass,
            listener: String::new(),
            rungs: Vec::new(),
        }
    }
}

impl Default for ListenView {
    fn default() -> Self {
        Self {
            is_open: false,
            setup: TestSetup::default(),
            power: Vec::new(),
            power_curve: Vec::new(),
            slot_names: [const { String::new() }; 2],
            sound: None,
            kept_seconds: 0.0,
            kept_bytes: 0,
            position: None,
            unfinished: None,
            stage: ListenStage::Setup,
            error: None,
        }
    }
}
