//! The panel while a test runs: nothing but the buttons, the question and the progress.

use egui::{Id, Key, Modal, Rect, RichText, Role, Sense, Stroke, StrokeKind, Ui, WidgetInfo, pos2, vec2};

use super::{GAP, HOST_KEYS, ListenPanel, PROGRAM_KEYS, ROW_HEIGHT, draw_title};
use crate::ui::widgets::{self, ButtonSpec};
use crate::ui::{FRAME_INTERVAL, theme};
use crate::view::{Answer, Button, Form, ListenAction, TestPart, TestStep, TestView};

/// The levels of confidence, from 1.
pub(super) const CONFIDENCES: [&str; 4] = ["a guess", "unsure", "rather sure", "certain"];
/// Least and largest height of the buttons that play.
const PLAY_HEIGHTS: [f32; 2] = [32.0, 96.0];
/// Height of a line of text as a multiple of its font's size, with some space.
const LINE_HEIGHT: f32 = 1.25;
/// Height of the other rows above the foot, with their gaps.
const OTHER_ROWS: f32 = 34.0 + 46.0 + ROW_HEIGHT + 24.0 + ANSWER_HEIGHT + 20.0 + 6.0 * GAP;
/// Height of the line above the lowest row: the note, or the keys of hosts.
const FOOT_LINE: f32 = 62.0;
/// Height of the buttons that answer.
const ANSWER_HEIGHT: f32 = 60.0;
/// Width of the question before an abort.
const QUESTION_WIDTH: f32 = 400.0;

/// The buttons of a form, with their texts and the keys that press them.
fn buttons(form: Form) -> &'static [(Button, &'static str, &'static str)] {
    match form {
        Form::Abx => &[(Button::First, "A", "key A or 1"), (Button::Second, "B", "key B or 2"), (Button::X, "X", "key X or 3")],
        Form::Preference | Form::SameDifferent => &[(Button::First, "1", "key 1 or A"), (Button::Second, "2", "key 2 or B")],
    }
}

/// The answers of a form, with their texts.
pub(super) fn answers(form: Form) -> [(Answer, &'static str); 2] {
    match form {
        Form::Abx => [(Answer::First, "X is A"), (Answer::Second, "X is B")],
        Form::Preference => [(Answer::First, "1 is better"), (Answer::Second, "2 is better")],
        Form::SameDifferent => [(Answer::Same, "The same"), (Answer::Different, "Different")],
    }
}

/// True if the buttons that play are shown.
pub(super) fn can_listen(test: &TestView) -> bool {
    matches!(test.step, TestStep::Answer | TestStep::Confidence | TestStep::Feedback { .. })
}

/// True if the buttons that play do so: until a trial is answered.
pub(super) fn plays(test: &TestView) -> bool {
    test.step == TestStep::Answer
}

/// True if the test can be started from its training.
pub(super) fn is_training(test: &TestView) -> bool {
    test.part == TestPart::Training
}

/// The button that a key presses.
pub(super) fn button_of_key(key: Key, test: &TestView) -> Option<Button> {
    match key {
        _ if !plays(test) => None,
        Key::A | Key::Num1 => Some(Button::First),
        Key::B | Key::Num2 => Some(Button::Second),
        Key::X | Key::Num3 if test.form == Form::Abx => Some(Button::X),
        _ => None,
    }
}

/// The number of the trial in words.
fn progress_text(test: &TestView) -> String {
    let part = match test.part {
        TestPart::Training => "Training",
        TestPart::Control => "Control",
        TestPart::Test => "Test",
    };
    match (test.step, test.of) {
        (TestStep::Introduction, _) => part.into(),
        (TestStep::Pause, _) => format!("{part}: pause"),
        (_, Some(of)) => format!("{part}: trial {} of {of}", test.number),
        (_, None) => format!("{part}: trial {}", test.number),
    }
}

impl ListenPanel {
    /// Draws a running test.
    pub(super) fn draw_test(
        &mut self,
        ui: &mut Ui,
        rect: Rect,
        test: &TestView,
        error: Option<&str>,
        actions: &mut Vec<ListenAction>,
    ) {
        self.follow_question(test);
        let progress = progress_text(test);
        draw_title(ui, rect, &progress);
        let mut top = rect.top() + 34.0;
        if let Some(of) = test.of {
            let done = test.number.saturating_sub(u32::from(test.step != TestStep::Pause)) as f32 / of.max(1) as f32;
            let bar = Rect::from_min_size(pos2(rect.left(), top - 6.0), vec2(rect.width(), 4.0));
            ui.painter().rect_filled(bar, 2, theme::SUNKEN);
            ui.painter().rect_filled(bar.with_max_x(bar.left() + done.clamp(0.0, 1.0) * bar.width()), 2, theme::NEUTRAL);
        }
        let foot = rect.bottom() - ROW_HEIGHT - FOOT_LINE;
        let play_height = (foot - rect.top() - OTHER_ROWS).clamp(PLAY_HEIGHTS[0], PLAY_HEIGHTS[1]);
        let mut next = |height: f32| {
            top += height + GAP;
            Rect::from_min_size(pos2(rect.left(), top - height - GAP), vec2(rect.width(), height))
        };
        let instruction = next(46.0);
        // Feedback says all in a word of its own.
        if !matches!(test.step, TestStep::Feedback { .. }) {
            draw_line(ui, instruction, "Instruction", &test.instruction, &[16.0, 14.0, 12.0], theme::TEXT);
        }
        if can_listen(test) {
            self.draw_play_buttons(ui, next(play_height), test, actions);
            let row = next(ROW_HEIGHT);
            let spec = ButtonSpec {
                label: "Switch back",
                text: "Switch back and forth (Space)",
                enabled: plays(test),
                ..ButtonSpec::default()
            };
            let button = Rect::from_center_size(row.center(), vec2(240.0, ROW_HEIGHT));
            if widgets::button(ui, button, Id::unique("isotherm listening back"), &spec).clicked() {
                actions.push(ListenAction::SwitchBack);
            }
        }
        let question = next(24.0);
        match test.step {
            TestStep::Answer => {
                // The instruction asks the question.
                draw_line(ui, question, "Keys", "Arrows choose, Enter answers", &[12.0, 11.0], theme::MUTED);
                let texts = answers(test.form).map(|(_, text)| text.to_owned());
                if let Some(at) = self.draw_choices(ui, next(ANSWER_HEIGHT), &texts) {
                    actions.push(ListenAction::Answer(answers(test.form)[at].0));
                }
            }
            TestStep::Confidence => {
                let given = answers(test.form).into_iter().find(|(answer, _)| Some(*answer) == test.answer);
                let given = given.map_or(String::new(), |(_, text)| format!("Your answer: {text}. "));
                draw_line(ui, question, "Question", &format!("{given}How sure are you?"), &[15.0, 13.0], theme::TEXT);
                let texts: Vec<String> = CONFIDENCES.iter().enumerate().map(|(n, text)| format!("{}: {text}", n + 1)).collect();
                if let Some(at) = self.draw_choices(ui, next(ANSWER_HEIGHT), &texts) {
                    actions.push(ListenAction::Confidence(at as u8 + 1));
                }
                draw_line(ui, next(20.0), "Keys", "Keys 1 to 4, or arrows and Enter", &[12.0, 11.0], theme::MUTED);
            }
            TestStep::Feedback { right } => {
                let (text, color) = if right { ("Right", theme::GREEN) } else { ("Wrong", theme::ALARM) };
                draw_line(ui, question, "Feedback", text, &[18.0], color);
                draw_continue(ui, next(ANSWER_HEIGHT), "Next (Enter)", actions);
            }
            TestStep::Pause | TestStep::Introduction => draw_continue(ui, next(ANSWER_HEIGHT), "Go on (Enter)", actions),
        }
        let note = error.or(test.note.as_deref());
        self.draw_foot(ui, Rect::from_min_max(pos2(rect.left(), foot), rect.max), test, note, actions);
        self.ask_before_abort(ui, actions);
    }

    /// Draws the buttons that play.
    fn draw_play_buttons(&self, ui: &Ui, row: Rect, test: &TestView, actions: &mut Vec<ListenAction>) {
        let buttons = buttons(test.form);
        let width = (row.width() + GAP) / buttons.len() as f32 - GAP;
        for (n, (button, text, keys)) in buttons.iter().enumerate() {
            let rect = Rect::from_min_size(pos2(row.left() + n as f32 * (width + GAP), row.top()), vec2(width, row.height()));
            let label = format!("Play {text}");
            let spec = ButtonSpec {
                label: &label,
                text,
                second_line: keys,
                // Both lines have room in a low button.
                font_size: ((0.5 * row.height() + 3.0) / LINE_HEIGHT).clamp(12.0, 40.0),
                down: Some(test.playing == Some(*button)),
                accent: theme::NEUTRAL,
                enabled: plays(test),
                ..ButtonSpec::default()
            };
            if widgets::button(ui, rect, Id::unique(("isotherm listening play", *button)), &spec).clicked() {
                actions.push(ListenAction::Press(*button));
            }
        }
    }

    /// Draws a row of answers. Returns the number of the one that was clicked.
    fn draw_choices(&self, ui: &Ui, row: Rect, texts: &[String]) -> Option<usize> {
        let width = (row.width() + GAP) / texts.len().max(1) as f32 - GAP;
        let mut clicked = None;
        for (n, text) in texts.iter().enumerate() {
            let rect = Rect::from_min_size(pos2(row.left() + n as f32 * (width + GAP), row.top()), vec2(width, row.height()));
            let spec = ButtonSpec { label: text, text, font_size: 18.0, ..ButtonSpec::default() };
            let response = widgets::button(ui, rect, Id::unique(("isotherm listening answer", text)), &spec);
            if self.selected == Some(n) {
                ui.painter().rect_stroke(rect, theme::RADIUS, Stroke::new(3.0, theme::TEXT), StrokeKind::Inside);
            }
            if response.clicked() {
                clicked = Some(n);
            }
        }
        clicked
    }

    /// Draws the end of the training, the abort, the commitment and the receipt; above them the note, or the keys of hosts.
    fn draw_foot(&mut self, ui: &Ui, rect: Rect, test: &TestView, note: Option<&str>, actions: &mut Vec<ListenAction>) {
        let (upper, lower) = rect.split_top_bottom_at_y(rect.bottom() - ROW_HEIGHT);
        let keys = upper.with_max_y(upper.bottom() - GAP);
        let has_focus = ui.input(|i| i.focused);
        if let Some(note) = note {
            draw_line(ui, keys, "Note", note, &[13.0, 12.0, 11.0], theme::YELLOW);
        } else if !self.has_no_host || !has_focus {
            let color = if has_focus { theme::MUTED } else { theme::YELLOW };
            let text = if self.has_no_host { PROGRAM_KEYS } else { HOST_KEYS };
            draw_line(ui, keys, "Keys of the host", text, &[11.0], color);
        }
        let abort = lower.with_min_x(lower.right() - 130.0);
        let spec = ButtonSpec { label: "Abort test", text: "Abort (Esc)", ..ButtonSpec::default() };
        if widgets::button(ui, abort, Id::unique("isotherm listening abort"), &spec).clicked() {
            self.asks_to_abort = true;
        }
        let mut right = abort.left() - GAP;
        if is_training(test) {
            let end = lower.with_min_x(right - 150.0).with_max_x(right);
            let spec = ButtonSpec { label: "End training", text: "End training (E)", ..ButtonSpec::default() };
            if widgets::button(ui, end, Id::unique("isotherm listening end training"), &spec).clicked() {
                actions.push(ListenAction::EndTraining);
            }
            right = end.left() - GAP;
        }
        let start = |text: &str| text.chars().take(16).collect::<String>();
        let hashes = format!("Commitment {}   Receipt {}", start(&test.commitment), start(&test.receipt));
        let at = lower.with_max_x(right);
        theme::draw_status(
            ui,
            at,
            "Commitment and receipt",
            &hashes,
            theme::MUTED,
            &format!("{}\n{}", test.commitment, test.receipt),
        );
    }

    /// Asks if the test is to be aborted, while there is that question.
    fn ask_before_abort(&mut self, ui: &Ui, actions: &mut Vec<ListenAction>) {
        if !self.asks_to_abort {
            return;
        }
        let mut goes_on = false;
        let modal = Modal::new(Id::unique("isotherm listening question")).show(ui.ctx(), |ui| {
            ui.set_width(QUESTION_WIDTH);
            ui.label(RichText::new("Abort the test?").font(theme::font(20.0)));
            ui.label("An aborted test counts: its answers stay in the log, which says that it was aborted.");
            ui.add_space(GAP);
            let (row, _) = ui.allocate_exact_size(vec2(QUESTION_WIDTH, 36.0), Sense::hover());
            let (left, right) = row.split_left_right_at_fraction(0.5);
            let spec = ButtonSpec { label: "Go on with the test", text: "Go on (Esc)", ..ButtonSpec::default() };
            let button = widgets::button(ui, left.with_max_x(left.right() - GAP), Id::unique("isotherm listening go on"), &spec);
            goes_on |= button.clicked();
            let spec = ButtonSpec {
                label: "Abort the test",
                text: "Abort the test",
                down: Some(true),
                accent: theme::ALARM,
                ..ButtonSpec::default()
            };
            if widgets::button(ui, right, Id::unique("isotherm listening abort now"), &spec).clicked() {
                actions.push(ListenAction::Abort);
                goes_on = true;
            }
        });
        if goes_on || modal.should_close() {
            self.asks_to_abort = false;
            // A modal keeps the focus for the rest of this frame and the next one.
            self.focus_frames = 3;
        }
        ui.ctx().request_repaint_after(FRAME_INTERVAL);
    }
}

/// Draws the button that goes on.
fn draw_continue(ui: &Ui, row: Rect, text: &str, actions: &mut Vec<ListenAction>) {
    let rect = Rect::from_center_size(row.center(), vec2(row.width().min(280.0), row.height().min(44.0)));
    let spec = ButtonSpec { label: "Go on", text, font_size: 16.0, ..ButtonSpec::default() };
    if widgets::button(ui, rect, Id::unique("isotherm listening continue"), &spec).clicked() {
        actions.push(ListenAction::Continue);
    }
}

/// Draws a text in the middle of `rect`, in more than one line if it is long. Screen readers find it as the value of a status
/// called `name`.
fn draw_line(ui: &Ui, rect: Rect, name: &str, text: &str, sizes: &[f32], color: egui::Color32) {
    let galley = theme::fit_lines(ui, text, sizes, color, rect.size());
    let at = rect.center() - galley.size() / 2.0;
    ui.painter().galley(at, galley, color);
    let response = ui.interact(rect, Id::unique(("isotherm listening line", name)), Sense::hover());
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(Role::Status, true, name);
        info.current_text_value = Some(text.to_owned());
        info
    });
}
