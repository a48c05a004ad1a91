//! A test in a terminal: shows what the examiner shows, and turns keys into actions.

use std::io::Write;
use std::time::Duration;

use super::keys::{Key, Keys, TerminalSettings};
use super::mark;
use crate::cli::record::interrupt_flag_with;
use crate::cli::{Failure, print_line};
use crate::listen::Examiner;
use crate::view::{Answer, Button, Form, ListenAction, ListenStage, ResultView, TestPart, TestStep, TestView};

/// Time between two looks at the test: 20 a second.
const TICK: Duration = Duration::from_millis(50);

/// The listener's keys, as the terminal remembers them.
#[derive(Default)]
struct Pad {
    /// The answer that the arrows have chosen.
    chosen: Option<Answer>,
    /// True after an answer was given without a choice, until the next key.
    lacks_choice: bool,
    /// True while the listener is asked whether to abort.
    asks_abort: bool,
    /// The receipt that was shown last, which is another one after each step; empty before the test.
    receipt: String,
    /// The lines that were shown last: heading and status.
    shown: (String, String),
}

/// Digits of a receipt that are shown while a test runs; they do for `verify`.
const RECEIPT_DIGITS: usize = 16;
/// The keys of a test.
const KEYS: &str =
    "keys: a b x play; space goes back; left and right choose; enter answers; 1 to 4 tell how sure you are; q aborts";

/// Takes the test that an examiner prepares or runs, to its end.
pub fn take(examiner: &mut Examiner) -> Result<(), Failure> {
    let settings = TerminalSettings::read();
    let before = settings.clone();
    let interrupted = interrupt_flag_with(move || before.restore());
    let keys = Keys::start(settings);
    let mut pad = Pad::default();
    loop {
        if interrupted.load(std::sync::atomic::Ordering::Relaxed) {
            pad.end();
            return Err(Failure::Failed(pad.left("interrupted")));
        }
        let key = keys.next(TICK);
        if key == Some(Key::End) {
            pad.end();
            return Err(Failure::Failed(pad.left("the input has ended")));
        }
        let view = examiner.view();
        if let Some(key) = key
            && let Some(action) = pad.action(&view.stage, key)
        {
            examiner.act(action);
        }
        examiner.tick();
        let view = examiner.view();
        let error = view.error.as_deref();
        match &view.stage {
            // A test that cannot start goes back to the setup, with its reason.
            ListenStage::Setup => {
                pad.end();
                return Err(Failure::Failed(view.error.unwrap_or_else(|| "no test runs".into())));
            }
            ListenStage::Preparing { text, share } => pad.show(&format!("{text} ..."), &format!("{:.0} %", share * 100.0)),
            ListenStage::Refused { gates } => {
                pad.end();
                gates.iter().for_each(|gate| print_line(format_args!("{} {}", mark(gate.passed), gate.text)));
                let failed = gates.iter().find(|gate| !gate.passed);
                let reason = failed.map_or("both sides are equal", |gate| gate.text.as_str());
                return Err(Failure::Failed(format!("the test does not start: {reason}")));
            }
            ListenStage::Running(test) => {
                if pad.receipt.is_empty() {
                    view.power.iter().for_each(|line| pad.line(line));
                    examiner.session().into_iter().for_each(|folder| pad.line(&format!("session: {}", folder.display())));
                    pad.line(KEYS);
                }
                pad.turn(test);
                let (heading, status) = pad.lines(test);
                // An error stands in the place of the status until the next key.
                pad.show(&heading, error.unwrap_or(&status));
            }
            ListenStage::Ended(result) => {
                pad.end();
                print_result(result);
                return error.map_or(Ok(()), |error| Err(Failure::Failed(error.into())));
            }
        }
    }
}

/// The two answers of a form, in the order of the arrows, with their words.
fn answers(form: Form) -> [(Answer, &'static str); 2] {
    match form {
        Form::Abx => [(Answer::First, "X is A"), (Answer::Second, "X is B")],
        Form::Preference => [(Answer::First, "1 is better"), (Answer::Second, "2 is better")],
        Form::SameDifferent => [(Answer::Same, "same"), (Answer::Different, "different")],
    }
}

impl Pad {
    /// Forgets the choice at each new trial, also in the place of one that was void, and shows what is to be noted.
    fn turn(&mut self, test: &TestView) {
        if self.receipt.is_empty() {
            self.line(&format!("commitment: {}", test.commitment));
        }
        if self.receipt != test.receipt {
            self.chosen = None;
            self.receipt.clone_from(&test.receipt);
        }
    }

    /// Words on a test that is left.
    fn left(&self, reason: &str) -> String {
        if self.receipt.is_empty() {
            return format!("{reason}; no test ran");
        }
        format!("{reason}; every answer so far is on the disk; receipt: {}", self.receipt)
    }

    /// The action of a key; `None` if it has none here.
    fn action(&mut self, stage: &ListenStage, key: Key) -> Option<ListenAction> {
        let test = match stage {
            ListenStage::Running(test) => test,
            ListenStage::Preparing { .. } if key == Key::Char('q') => return Some(ListenAction::Abort),
            _ => return None,
        };
        self.lacks_choice = false;
        if self.asks_abort {
            self.asks_abort = false;
            return (key == Key::Char('y')).then_some(ListenAction::Abort);
        }
        match (test.step, key) {
            (_, Key::Char('q')) => {
                self.asks_abort = true;
                None
            }
            (_, Key::Char('e')) if test.part == TestPart::Training => Some(ListenAction::EndTraining),
            (TestStep::Introduction | TestStep::Pause | TestStep::Feedback { .. }, Key::Enter) => Some(ListenAction::Continue),
            (TestStep::Answer, key) => self.answer_action(test, key),
            (TestStep::Confidence, Key::Char(digit @ '1'..='4')) => Some(ListenAction::Confidence(digit as u8 - b'0')),
            _ => None,
        }
    }

    /// The action of a key while the answer is waited for.
    fn answer_action(&mut self, test: &TestView, key: Key) -> Option<ListenAction> {
        let answers = answers(test.form);
        match key {
            Key::Char('a' | '1') => Some(ListenAction::Press(Button::First)),
            Key::Char('b' | '2') => Some(ListenAction::Press(Button::Second)),
            Key::Char('x' | '3') if test.form == Form::Abx => Some(ListenAction::Press(Button::X)),
            Key::Char(' ' | 's') => Some(ListenAction::SwitchBack),
            Key::Left => {
                self.chosen = Some(answers[0].0);
                None
            }
            Key::Right => {
                self.chosen = Some(answers[1].0);
                None
            }
            Key::Enter => {
                self.lacks_choice = self.chosen.is_none();
                self.chosen.map(ListenAction::Answer)
            }
            Key::Char(_) | Key::End => None,
        }
    }

    /// The heading and the status of a running test.
    fn lines(&self, test: &TestView) -> (String, String) {
        let part = match test.part {
            TestPart::Training => "Training",
            TestPart::Control => "Positive control",
            TestPart::Test => "Test",
        };
        let of = test.of.map_or_else(String::new, |of| format!(" of {of}"));
        let note = test.note.as_ref().map_or_else(String::new, |note| format!(" {note}"));
        let receipt = test.receipt.get(..RECEIPT_DIGITS).unwrap_or(&test.receipt);
        let heading = format!("{part}, trial {}{of}. {}{note} [receipt {receipt}]", test.number, test.instruction);
        if self.asks_abort {
            return (heading, "Abort the test? y: yes; any other key: no".into());
        }
        let status = match test.step {
            TestStep::Answer if self.lacks_choice => "choose an answer first: left or right".into(),
            TestStep::Answer => {
                let names: &[(Button, &str)] = match test.form {
                    Form::Abx => &[(Button::First, "A"), (Button::Second, "B"), (Button::X, "X")],
                    _ => &[(Button::First, "1"), (Button::Second, "2")],
                };
                let playing = names.iter().find(|(button, _)| Some(*button) == test.playing).map_or("-", |(_, name)| *name);
                let chosen = answers(test.form).into_iter().find(|(answer, _)| Some(*answer) == self.chosen);
                let keys: Vec<&str> = names.iter().map(|(_, name)| *name).collect();
                // Within the 80 columns of a narrow terminal, as a longer line cannot be written over.
                format!(
                    "plays {playing}; answer: {} | {} space <- -> enter{}",
                    chosen.map_or("-", |(_, words)| words),
                    keys.join(" ").to_lowercase(),
                    if test.part == TestPart::Training { "" } else { ", q: abort" }
                )
            }
            TestStep::Confidence => "how sure? 1 (a guess) 2 3 4 (certain)".into(),
            TestStep::Feedback { right } => format!("{}; enter: go on", if right { "right" } else { "wrong" }),
            TestStep::Pause | TestStep::Introduction => "enter: go on".into(),
        };
        let training = if test.part == TestPart::Training { ", e: end training" } else { "" };
        (heading, format!("{status}{training}"))
    }

    /// Shows a heading on a line of its own, and a status that is written over.
    fn show(&mut self, heading: &str, status: &str) {
        if (heading, status) == (&self.shown.0, &self.shown.1) {
            return;
        }
        let mut error = std::io::stderr();
        if heading != self.shown.0 && !heading.is_empty() {
            let _ = write!(error, "\r\x1b[K{heading}\n");
        }
        let _ = write!(error, "\r\x1b[K{status}");
        let _ = error.flush();
        self.shown = (heading.into(), status.into());
    }

    /// Writes a line that stays.
    fn line(&mut self, text: &str) {
        let _ = write!(std::io::stderr(), "\r\x1b[K{text}\n");
        self.shown.1.clear();
    }

    /// Leaves the line of the status.
    fn end(&mut self) {
        let _ = write!(std::io::stderr(), "\r\x1b[K");
    }
}

fn print_result(result: &ResultView) {
    result.sentences.iter().for_each(print_line);
    result.figures.iter().chain(&result.measures).for_each(|(name, figure)| print_line(format_args!("  {name}: {figure}")));
    result.remarks.iter().for_each(print_line);
    print_line(format_args!("session: {}", result.folder.display()));
    print_line(format_args!("receipt: {}", result.receipt));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_is_for_one_trial_only() {
        let mut test = TestView {
            part: TestPart::Control,
            form: Form::Abx,
            step: TestStep::Answer,
            number: 1,
            of: Some(5),
            playing: None,
            answer: None,
            instruction: "Listen.".into(),
            note: None,
            commitment: "c0".into(),
            receipt: "01".into(),
        };
        let mut pad = Pad::default();
        let enter = |pad: &mut Pad, test: &TestView| pad.action(&ListenStage::Running(test.clone()), Key::Enter);
        for (number, receipt) in [(2, "02"), (1, "03"), (1, "04")] {
            pad.turn(&test);
            assert_eq!(enter(&mut pad, &test), None);
            assert_eq!(pad.lines(&test).1, "choose an answer first: left or right");
            assert_eq!(pad.action(&ListenStage::Running(test.clone()), Key::Right), None);
            pad.turn(&test);
            assert_eq!(enter(&mut pad, &test), Some(ListenAction::Answer(Answer::Second)));
            // The next trial, the next part, and a trial in the place of one that was void.
            (test.number, test.receipt) = (number, receipt.into());
        }
        for form in [Form::Abx, Form::Preference, Form::SameDifferent] {
            for part in [TestPart::Training, TestPart::Test] {
                for (answer, _) in answers(form) {
                    pad.chosen = Some(answer);
                    let status = pad.lines(&TestView { part, form, ..test.clone() }).1;
                    assert!(status.len() < 80, "{status}");
                }
            }
        }
        assert!(pad.lines(&test).0.ends_with("[receipt 04]") && pad.left("interrupted").ends_with("receipt: 03"));
    }
}
