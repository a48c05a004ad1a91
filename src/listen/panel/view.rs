//! The messages of a panel: the steps that a page posts, and the views that it shows.

use serde::{Deserialize, Serialize};

use crate::listen::session::Switch;
use crate::view::{Answer, Button, Form, TestPart};

/// A listener's action, as a page posts it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum PanelAction {
    /// The answer to the present trial.
    Answer {
        /// The answer.
        answer: Answer,
        /// Seconds from the trial's start to the answer, by the page's clock.
        seconds: f64,
        /// Every press, in order.
        switches: Vec<Switch>,
        /// Blocks of sound that came too late or were lost, as far as the page could tell.
        drop_outs: u64,
    },
    /// The confidence in the answer before.
    Confidence {
        /// From 1 (a guess) to 4 (certain).
        confidence: u8,
    },
    /// The listener goes on after an introduction, feedback or a pause.
    Continue,
    /// The listener leaves the training.
    EndTraining,
    /// The listener ends the test early.
    Abort,
}

/// An action with the receipt that was shown when it was taken, so that a repeated or late one is known.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PanelStep {
    /// The receipt: hash of the log's last line.
    pub after: String,
    /// The action.
    pub action: PanelAction,
}

/// The state of a listener's test, as the page shows it. Nothing here differs between the hidden mappings.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PanelView {
    /// Number of the listener, from 1.
    pub listener: usize,
    /// Sample rate of the sounds in hertz.
    pub sample_rate: u32,
    /// Channels of the sounds.
    pub channels: usize,
    /// Hash of the log's last line.
    pub receipt: String,
    /// The stage.
    #[serde(flatten)]
    pub stage: PanelStage,
}

/// The stage of a listener's test.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "stage", rename_all = "kebab-case")]
pub enum PanelStage {
    /// The listener counts pulses.
    SoundCheck {
        /// Id of the sound with the pulses.
        sound: String,
        /// Fewest and most pulses.
        pulses: [u8; 2],
        /// A line on the answer before.
        note: Option<String>,
    },
    /// A test runs.
    Test(Box<PanelTest>),
    /// The test has ended.
    Ended(PanelResult),
}

/// A running test, as the page shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PanelTest {
    /// The part that runs.
    pub part: TestPart,
    /// The form of this part's trials.
    pub form: Form,
    /// The step that the test waits for: introduction, answer, confidence, feedback or pause.
    pub step: &'static str,
    /// Number of this trial in its part, from 1.
    pub number: u32,
    /// Number of trials in this part; none in training.
    pub of: Option<u32>,
    /// The answer that was given, while its confidence is asked for.
    pub answer: Option<Answer>,
    /// A sentence on what to do now.
    pub instruction: String,
    /// A line on what happened.
    pub note: Option<String>,
    /// The commitment to seed and configuration.
    pub commitment: String,
    /// The play buttons of this trial, with the id of each one's sound; empty unless an answer is waited for.
    pub sounds: Vec<ButtonSound>,
}

/// A button and its sound.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ButtonSound {
    /// The button.
    pub button: Button,
    /// The id of the sound, which can be fetched once.
    pub sound: String,
}

/// The result of a listener's test.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PanelResult {
    /// The result in one sentence or two.
    pub sentences: Vec<String>,
    /// Names and figures.
    pub figures: Vec<(String, String)>,
    /// Remarks on what makes the result weaker.
    pub remarks: Vec<String>,
}
