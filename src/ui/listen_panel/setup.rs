//! The panel before a test: the question first, then what a test can show, the sides, the sound and the control.

use egui::{Id, Rect, Role, ScrollArea, Sense, Ui, pos2, vec2};

use super::{GAP, HOST_KEYS, ListenPanel, ROW_HEIGHT, add_text, column, draw_title, power, waveform};
use crate::ui::widgets::{self, ButtonSpec, TextFieldSpec};
use crate::ui::{FRAME_INTERVAL, theme};
use crate::view::{
    Change, ControlTrial, Form, ListenAction, ListenView, Protocol, Question, Rule, SideChoice, SoundSource, TestSetup,
};

/// Width of the name at the left of a row.
const LABEL_WIDTH: f32 = 76.0;
/// Height of the buttons of the question.
const QUESTION_HEIGHT: f32 = 46.0;
/// Height of the picture of what a test can show.
const CURVE_HEIGHT: f32 = 112.0;
/// Height of the waveform.
const WAVE_HEIGHT: f32 = 72.0;
/// Height of the row with the button that starts the test, and the line above it.
const FOOT_HEIGHT: f32 = 64.0;
/// The questions, with a second line each.
const QUESTIONS: [(Question, &str, &str); 4] = [
    (Question::Difference, "Is there a difference?", "Do you hear one at all?"),
    (Question::Equivalence, "Are they the same?", "Up to a chosen margin"),
    (Question::Preference, "Which do you prefer?", "Every answer is right"),
    (Question::Threshold, "How small an error?", "The largest that you do not hear"),
];
/// The numbers of reversals that are offered.
const REVERSALS: [u32; 3] = [16, 24, 32];
/// The mark between two rungs in their text.
const RUNG_MARK: char = ';';
/// The margins of an equivalence that are offered: shares of right answers.
const MARGINS: [f64; 4] = [0.75, 0.7, 0.65, 0.6];
/// The most trials of a test.
const MOST_TRIALS: f64 = 1000.0;
/// The choices for a side.
const SIDES: [&str; 6] = ["Slot A", "Slot B", "Dry input", "An effect, as text", "A WAV file", "The other side, changed"];
/// The changes by which a side can differ from the other one.
const CHANGES: [&str; 3] = ["A setting", "Gain in dB", "Delay in samples"];

/// A text field of the setup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum SetupField {
    /// Number of trials.
    Trials,
    /// The rungs of a measured ladder.
    Rungs,
    /// Text, file or change of a side.
    Side(usize),
    /// The file of the loop's sound.
    Sound,
    /// Start or end of the loop.
    LoopEnd(usize),
    /// Name of the listener.
    Listener,
}

/// The length and memory of the kept input in words.
pub(super) fn kept_text(view: &ListenView) -> String {
    let mebibytes = view.kept_bytes as f64 / f64::from(1 << 20);
    format!("{:.0} s of the input are kept ({mebibytes:.1} MiB)", view.kept_seconds.floor())
}

/// The protocol with which a question begins.
fn first_protocol(question: Question) -> Protocol {
    match question {
        Question::Difference => Protocol::QUICK,
        Question::Equivalence => Protocol { question, trials: 53, ..Protocol::QUICK },
        Question::Preference => Protocol { question, form: Form::Preference, ..Protocol::QUICK },
        Question::Threshold => Protocol::staircase(REVERSALS[0]),
    }
}

/// Numbers of trials that are offered.
fn offered_trials(protocol: &Protocol) -> &'static [u32] {
    match (protocol.question, protocol.rule) {
        (Question::Difference, Rule::Sprt) => &[30, 60],
        (Question::Difference, Rule::EValue) => &[30, 100],
        (Question::Equivalence, _) => &[33, 53, 96],
        _ => &[10, 16, 20, 30],
    }
}

/// Number of a side among [`SIDES`].
fn side_number(side: &SideChoice) -> usize {
    match side {
        SideChoice::Slot(0) => 0,
        SideChoice::Slot(_) => 1,
        SideChoice::Dry => 2,
        SideChoice::Effect(_) => 3,
        SideChoice::File(_) => 4,
        SideChoice::Changed(_) => 5,
    }
}

/// The side with a number among [`SIDES`].
fn side_of_number(number: usize) -> SideChoice {
    match number {
        0 | 1 => SideChoice::Slot(number),
        2 => SideChoice::Dry,
        3 => SideChoice::Effect(String::new()),
        4 => SideChoice::File(Default::default()),
        _ => SideChoice::Changed(Change::GainDb(0.5)),
    }
}

/// A row with its name at the left; returns the rest.
fn named_row(ui: &mut Ui, name: &str) -> Rect {
    let (row, _) = ui.allocate_exact_size(vec2(ui.available_width() - 14.0, ROW_HEIGHT), Sense::hover());
    let at = pos2(row.left(), row.center().y);
    ui.painter().text(at, egui::Align2::LEFT_CENTER, name, theme::font(12.0), theme::MUTED);
    row.with_min_x(row.left() + LABEL_WIDTH)
}

/// Draws radio buttons side by side in `row`, each `width` wide. Returns the one that was clicked, and the rest of the row.
fn draw_radios(ui: &Ui, row: Rect, name: &str, width: f32, texts: &[String], chosen: Option<usize>) -> (Option<usize>, Rect) {
    let mut left = row.left();
    let mut clicked = None;
    for (n, text) in texts.iter().enumerate() {
        let label = format!("{name}: {text}");
        let spec = ButtonSpec {
            label: &label,
            text,
            down: Some(chosen == Some(n)),
            role: Role::RadioButton,
            font_size: 12.0,
            ..ButtonSpec::default()
        };
        let rect = Rect::from_min_size(pos2(left, row.top()), vec2(width, row.height()));
        if widgets::button(ui, rect, Id::unique(("isotherm listening", &label)), &spec).clicked() {
            clicked = Some(n);
        }
        left += width + GAP;
    }
    (clicked, row.with_min_x(left))
}

impl ListenPanel {
    /// Draws the setup.
    pub(super) fn draw_setup(&mut self, ui: &mut Ui, rect: Rect, view: &ListenView, actions: &mut Vec<ListenAction>) {
        draw_title(ui, rect, "Listening test");
        let close = Rect::from_min_size(pos2(rect.right() - 64.0, rect.top()), vec2(64.0, ROW_HEIGHT));
        let spec = ButtonSpec { label: "Close listening test", text: "Close", ..ButtonSpec::default() };
        if widgets::button(ui, close, Id::unique("isotherm listening close"), &spec).clicked() {
            actions.push(ListenAction::Close);
        }
        let before = self.shown_setup(ui, view);
        let mut setup = before.clone();
        let (body, foot) = rect.split_top_bottom_at_y(rect.bottom() - FOOT_HEIGHT);
        let mut ui_column = column(ui, body.with_min_y(rect.top() + 32.0), "listening setup");
        ScrollArea::vertical().auto_shrink(false).show(&mut ui_column, |ui| {
            self.add_unfinished(ui, view, actions);
            add_question(ui, &mut setup.protocol);
            add_power(ui, view);
            self.add_protocol(ui, &mut setup.protocol);
            self.add_side(ui, 0, &mut setup, view);
            // The last rung of a measured ladder is side B.
            let asks_threshold = setup.protocol.question == Question::Threshold;
            if !asks_threshold || setup.rungs.is_empty() {
                self.add_side(ui, 1, &mut setup, view);
            }
            if asks_threshold {
                self.add_rungs(ui, &mut setup);
            }
            self.add_sound(ui, &mut setup, view, actions);
            self.add_control(ui, &mut setup);
            if !self.has_no_host {
                add_text(ui, HOST_KEYS, 11.0, theme::MUTED);
            }
        });
        if setup != before {
            self.pending = Some((setup.clone(), ui.input(|i| i.time)));
            actions.push(ListenAction::Set(setup));
        }
        draw_start(ui, foot, view, actions);
        if view.position.is_some() {
            ui.ctx().request_repaint_after(FRAME_INTERVAL);
        }
    }

    /// Adds the offer to go on with a session that was left.
    fn add_unfinished(&mut self, ui: &mut Ui, view: &ListenView, actions: &mut Vec<ListenAction>) {
        let Some(folder) = &view.unfinished else { return };
        let row = named_row(ui, "Left");
        let buttons = row.with_min_x(row.right() - 236.0);
        let text = format!("A test was left before its end: {}", folder.display());
        theme::draw_status(ui, row.with_max_x(buttons.left() - GAP), "Unfinished test", &text, theme::YELLOW, &text);
        let (resume, close) = buttons.split_left_right_at_x(buttons.left() + 90.0);
        let spec = ButtonSpec { label: "Resume test", text: "Resume", ..ButtonSpec::default() };
        if widgets::button(ui, resume, Id::unique("isotherm listening resume"), &spec).clicked() {
            actions.push(ListenAction::Resume(folder.clone()));
        }
        let close = close.with_min_x(close.left() + GAP);
        // The score is opened, and nobody can go on: a second click says that this is meant.
        let asks = self.asks_to_close.as_ref() == Some(folder);
        let spec = if asks {
            ButtonSpec {
                label: "Close for good",
                text: "Close for good?",
                down: Some(true),
                accent: theme::ALARM,
                ..ButtonSpec::default()
            }
        } else {
            ButtonSpec { label: "Close test as aborted", text: "Close as aborted", ..ButtonSpec::default() }
        };
        let button = widgets::button(ui, close, Id::unique("isotherm listening close aborted"), &spec);
        if button.clicked() {
            self.asks_to_close = (!asks).then(|| folder.clone());
            if asks {
                actions.push(ListenAction::CloseAborted(folder.clone()));
            }
        }
    }

    /// Adds the form, the rule, the number of trials and the margin.
    fn add_protocol(&mut self, ui: &mut Ui, protocol: &mut Protocol) {
        if protocol.question != Question::Preference {
            let forms = [Form::Abx, Form::SameDifferent];
            let row = named_row(ui, "Form");
            let texts = ["ABX: is X A or B?".into(), "Same or different?".into()];
            let chosen = forms.iter().position(|form| *form == protocol.form);
            if let (Some(n), _) = draw_radios(ui, row, "Form", 150.0, &texts, chosen) {
                protocol.form = forms[n];
            }
        }
        if protocol.question == Question::Difference {
            let rules = [Rule::Fixed, Rule::Sprt, Rule::EValue];
            let row = named_row(ui, "Ends");
            let texts = ["After n trials".into(), "When it is clear (SPRT)".into(), "When it is clear (e-value)".into()];
            let chosen = rules.iter().position(|rule| *rule == protocol.rule);
            if let (Some(n), _) = draw_radios(ui, row, "Ends", 160.0, &texts, chosen)
                && protocol.rule != rules[n]
            {
                protocol.rule = rules[n];
                protocol.trials = match protocol.rule {
                    // A staircase is no rule of this question.
                    Rule::Fixed | Rule::Staircase { .. } => Protocol::QUICK.trials,
                    Rule::Sprt => 60,
                    Rule::EValue => 30,
                };
            }
        }
        if let Rule::Staircase { reversals } = protocol.rule {
            let row = named_row(ui, "Reversals");
            let texts: Vec<String> = REVERSALS.iter().map(u32::to_string).collect();
            let chosen = REVERSALS.iter().position(|n| *n == reversals);
            if let (Some(n), _) = draw_radios(ui, row, "Reversals", 44.0, &texts, chosen) {
                *protocol = Protocol { form: protocol.form, ..Protocol::staircase(REVERSALS[n]) };
            }
            return;
        }
        let row = named_row(ui, if protocol.rule == Rule::Fixed { "Trials" } else { "At most" });
        let offered = offered_trials(protocol);
        let texts: Vec<String> = offered.iter().map(u32::to_string).collect();
        let chosen = offered.iter().position(|n| *n == protocol.trials);
        let (clicked, rest) = draw_radios(ui, row, "Trials", 44.0, &texts, chosen);
        if let Some(n) = clicked {
            protocol.trials = offered[n];
        }
        let field = rest.with_max_x(rest.left() + 64.0);
        let spec = TextFieldSpec { label: "Number of trials", value: &protocol.trials.to_string(), ..TextFieldSpec::default() };
        if let Some(number) = self.text_entry.draw_field(ui, field, SetupField::Trials, &spec).and_then(number)
            && number >= 1.0
        {
            protocol.trials = number.min(MOST_TRIALS) as u32;
        }
        if protocol.question == Question::Equivalence {
            let row = named_row(ui, "Same if");
            let texts: Vec<String> = MARGINS.iter().map(|margin| format!("below {:.0} % right", 100.0 * margin)).collect();
            let chosen = MARGINS.iter().position(|margin| (margin - protocol.margin).abs() < 1e-9);
            if let (Some(n), _) = draw_radios(ui, row, "Margin", 120.0, &texts, chosen) {
                protocol.margin = MARGINS[n];
            }
        }
    }

    /// Adds the row of a side.
    fn add_side(&mut self, ui: &mut Ui, side: usize, setup: &mut TestSetup, view: &ListenView) {
        let name = ["Side A", "Side B"][side];
        let row = named_row(ui, name);
        let names: Vec<String> = SIDES
            .iter()
            .enumerate()
            .map(|(n, text)| match view.slot_names.get(n).filter(|name| !name.is_empty()) {
                Some(name) => format!("{text}: {name}"),
                None => (*text).into(),
            })
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let chosen = side_number(&setup.sides[side]);
        let list = row.with_max_x(row.left() + 200.0);
        let mut list_ui = ui.new_child(egui::UiBuilder::new().max_rect(list).id_salt(name));
        let hover = |ui: &mut Ui| {
            ui.label("What this side of the test is");
        };
        if let Some(n) = widgets::drop_down(&mut list_ui, name, list.width(), names[chosen], &names, chosen, hover) {
            setup.sides[side] = side_of_number(n);
            // One side is a change of the other, so they cannot both be.
            if matches!(setup.sides, [SideChoice::Changed(_), SideChoice::Changed(_)]) {
                setup.sides[1 - side] = SideChoice::Slot(0);
            }
        }
        let rest = row.with_min_x(list.right() + GAP);
        let field = SetupField::Side(side);
        match &mut setup.sides[side] {
            SideChoice::Slot(_) | SideChoice::Dry => {}
            SideChoice::Effect(text) => {
                let label = format!("{name}: effect");
                let spec = TextFieldSpec {
                    label: &label,
                    value: text,
                    hint: "saturator drive=24 oversampling=4",
                    ..TextFieldSpec::default()
                };
                if let Some(new) = self.text_entry.draw_field(ui, rest, field, &spec) {
                    new.trim().clone_into(text);
                }
            }
            SideChoice::File(path) => {
                let label = format!("{name}: file");
                let value = path.display().to_string();
                let spec = TextFieldSpec { label: &label, value: &value, hint: "path of a WAV file", ..TextFieldSpec::default() };
                if let Some(new) = self.text_entry.draw_field(ui, rest, field, &spec) {
                    *path = new.trim().into();
                }
            }
            SideChoice::Changed(change) => self.draw_change(ui, rest, side, change),
        }
    }

    /// Adds the rungs of a measured ladder.
    fn add_rungs(&mut self, ui: &mut Ui, setup: &mut TestSetup) {
        let row = named_row(ui, "Ladder");
        let value = rungs_text(&setup.rungs);
        let spec = TextFieldSpec {
            label: "Rungs",
            value: &value,
            hint: "the error of B in steps of 1 dB; or six or more effects, the smallest error first: bitcrusher bits=14; ...",
            ..TextFieldSpec::default()
        };
        if let Some(text) = self.text_entry.draw_field(ui, row, SetupField::Rungs, &spec) {
            setup.rungs = rungs_of_text(&text);
        }
    }

    /// Draws the kind and the amount of a change.
    fn draw_change(&mut self, ui: &mut Ui, row: Rect, side: usize, change: &mut Change) {
        let name = ["Side A", "Side B"][side];
        let chosen = match change {
            Change::Setting(_) => 0,
            Change::GainDb(_) => 1,
            Change::DelayFrames(_) => 2,
        };
        let texts = CHANGES.map(String::from);
        let (clicked, rest) = draw_radios(ui, row, &format!("{name} change"), 106.0, &texts, Some(chosen));
        match clicked.filter(|n| *n != chosen) {
            Some(0) => *change = Change::Setting(String::new()),
            Some(1) => *change = Change::GainDb(0.5),
            Some(_) => *change = Change::DelayFrames(1.0),
            None => {}
        }
        let (value, hint) = match change {
            Change::Setting(text) => (text.clone(), "oversampling=2"),
            Change::GainDb(amount) | Change::DelayFrames(amount) => (amount.to_string(), ""),
        };
        let label = format!("{name}: change");
        let spec = TextFieldSpec { label: &label, value: &value, hint, ..TextFieldSpec::default() };
        let Some(text) = self.text_entry.draw_field(ui, rest, SetupField::Side(side), &spec) else { return };
        match change {
            Change::Setting(setting) => text.trim().clone_into(setting),
            Change::GainDb(amount) | Change::DelayFrames(amount) => *amount = number(text).map_or(*amount, |n| n as f32),
        }
    }

    /// Adds the source of the sound; for a loop its waveform and ends.
    fn add_sound(&mut self, ui: &mut Ui, setup: &mut TestSetup, view: &ListenView, actions: &mut Vec<ListenAction>) {
        let row = named_row(ui, "Sound");
        let sources = [SoundSource::Loop, SoundSource::Live];
        let texts = ["A loop".into(), "What comes in".into()];
        let chosen = sources.iter().position(|source| *source == setup.source);
        let (clicked, rest) = draw_radios(ui, row, "Sound", 96.0, &texts, chosen);
        if let Some(n) = clicked {
            setup.source = sources[n];
        }
        let kept = kept_text(view);
        theme::draw_status(ui, rest, "Kept input", &kept, theme::MUTED, "Kept while this panel is open");
        if setup.source == SoundSource::Live {
            return;
        }
        let row = named_row(ui, "Loop");
        let (capture, rest) = row.split_left_right_at_x(row.left() + 130.0);
        let spec = ButtonSpec { label: "Capture", text: "Take the input (L)", font_size: 12.0, ..ButtonSpec::default() };
        let button = widgets::button(ui, capture, Id::unique("isotherm listening capture"), &spec);
        if button.clicked() {
            actions.push(ListenAction::Capture);
        }
        button.on_hover_text("Takes the last 30 s of the input as the sound of the loop");
        let (preview, rest) = rest.with_min_x(rest.left() + GAP).split_left_right_at_x(rest.left() + GAP + 104.0);
        let plays = view.position.is_some();
        let spec = ButtonSpec {
            label: "Preview",
            text: "Play (Space)",
            font_size: 12.0,
            down: Some(plays),
            enabled: view.sound.is_some(),
            role: Role::CheckBox,
            ..ButtonSpec::default()
        };
        if widgets::button(ui, preview, Id::unique("isotherm listening preview"), &spec).clicked() {
            actions.push(ListenAction::Preview(!plays));
        }
        let mut rest = rest.with_min_x(rest.left() + GAP);
        for (end, name) in ["Loop start in seconds", "Loop end in seconds"].into_iter().enumerate() {
            let field = rest.with_max_x(rest.left() + 58.0);
            rest = rest.with_min_x(field.right() + GAP);
            let value = format!("{:.2}", setup.range[end]);
            let spec = TextFieldSpec { label: name, value: &value, ..TextFieldSpec::default() };
            if let Some(time) = self.text_entry.draw_field(ui, field, SetupField::LoopEnd(end), &spec).and_then(number) {
                setup.range[end] = time.max(0.0);
            }
        }
        let spec = TextFieldSpec { label: "Sound file", hint: "or the path of a WAV file", ..TextFieldSpec::default() };
        if let Some(path) = self.text_entry.draw_field(ui, rest, SetupField::Sound, &spec) {
            actions.push(ListenAction::OpenSound(path.trim().into()));
        }
        if let Some(sound) = &view.sound {
            let (wave, _) = ui.allocate_exact_size(vec2(ui.available_width() - 14.0, WAVE_HEIGHT), Sense::hover());
            if let Some(range) = waveform::show(ui, wave, sound, setup.range, view.position, &mut self.dragged_end) {
                setup.range = range;
            }
        }
    }

    /// Adds the positive control and the name of the listener.
    fn add_control(&mut self, ui: &mut Ui, setup: &mut TestSetup) {
        let row = named_row(ui, "Control");
        let controls = [ControlTrial::LowPass, ControlTrial::Louder, ControlTrial::None];
        let texts = ["3.5 kHz low-pass".into(), "3 dB louder".into(), "None".into()];
        let chosen = controls.iter().position(|control| *control == setup.control);
        let (clicked, rest) = draw_radios(ui, row, "Control", 116.0, &texts, chosen);
        if let Some(n) = clicked {
            setup.control = controls[n];
        }
        let spec =
            TextFieldSpec { label: "Listener", value: &setup.listener, hint: "name of the listener", ..TextFieldSpec::default() };
        if let Some(name) = self.text_entry.draw_field(ui, rest, SetupField::Listener, &spec) {
            name.trim().clone_into(&mut setup.listener);
        }
    }
}

/// The rungs of a measured ladder as text.
fn rungs_text(rungs: &[SideChoice]) -> String {
    let text = |rung: &SideChoice| match rung {
        SideChoice::Effect(text) => text.clone(),
        SideChoice::Dry => "dry".into(),
        // No other rung can be written here.
        SideChoice::Slot(_) | SideChoice::File(_) | SideChoice::Changed(_) => String::new(),
    };
    rungs.iter().map(text).collect::<Vec<_>>().join("; ")
}

/// The rungs that a text names.
fn rungs_of_text(text: &str) -> Vec<SideChoice> {
    let texts = text.split(RUNG_MARK).map(str::trim).filter(|text| !text.is_empty());
    texts.map(|text| if text == "dry" { SideChoice::Dry } else { SideChoice::Effect(text.into()) }).collect()
}

/// The number that a text is; None if it is none.
fn number(text: String) -> Option<f64> {
    crate::dsp::parse_number(&text).filter(|number| number.is_finite())
}

/// Adds the questions.
fn add_question(ui: &mut Ui, protocol: &mut Protocol) {
    let (row, _) = ui.allocate_exact_size(vec2(ui.available_width() - 14.0, QUESTION_HEIGHT), Sense::hover());
    let width = (row.width() + GAP) / QUESTIONS.len() as f32 - GAP;
    for (n, (question, text, second_line)) in QUESTIONS.into_iter().enumerate() {
        let rect = Rect::from_min_size(pos2(row.left() + n as f32 * (width + GAP), row.top()), vec2(width, row.height()));
        let spec = ButtonSpec {
            label: text,
            text,
            second_line,
            font_size: 16.0,
            down: Some(protocol.question == question),
            role: Role::RadioButton,
            ..ButtonSpec::default()
        };
        let is_new = protocol.question != question;
        if widgets::button(ui, rect, Id::unique(("isotherm listening question", n)), &spec).clicked() && is_new {
            *protocol = first_protocol(question);
        }
    }
}

/// Adds the words and the picture of what the test can show.
fn add_power(ui: &mut Ui, view: &ListenView) {
    let width = ui.available_width() - 14.0;
    let texts: Vec<_> = view
        .power
        .iter()
        .map(|line| ui.painter().layout(line.clone(), theme::font(12.0), theme::TEXT, 0.6 * width - GAP))
        .collect();
    // A staircase has no curve.
    let least = if view.power_curve.is_empty() { 0.0 } else { CURVE_HEIGHT };
    let height = texts.iter().map(|galley| galley.size().y + 3.0).sum::<f32>().max(least);
    let (row, _) = ui.allocate_exact_size(vec2(width, height), Sense::hover());
    let (left, right) = row.split_left_right_at_fraction(0.6);
    let mut top = left.top();
    for (galley, line) in texts.into_iter().zip(&view.power) {
        let line_rect = Rect::from_min_size(pos2(left.left(), top), galley.size());
        top += galley.size().y + 3.0;
        ui.painter().galley(line_rect.min, galley, theme::TEXT);
        let response = ui.interact(line_rect, Id::unique(("isotherm listening power", line)), Sense::hover());
        response.widget_info(|| egui::WidgetInfo::labeled(Role::Label, true, line));
    }
    if view.power_curve.is_empty() {
        return;
    }
    let axis = if view.setup.protocol.question == Question::Preference { "% for one side" } else { "% right answers" };
    power::draw_curve(ui, right.with_max_y(right.top() + CURVE_HEIGHT), &view.power_curve, axis);
}

/// Draws the line on what went wrong, and the button that starts the test.
fn draw_start(ui: &Ui, foot: Rect, view: &ListenView, actions: &mut Vec<ListenAction>) {
    let foot = foot.with_min_y(foot.top() + GAP);
    let start = Rect::from_min_max(pos2(foot.right() - 190.0, foot.bottom() - 40.0), foot.max);
    let spec = ButtonSpec {
        label: "Start test",
        text: "Match and start (Enter)",
        font_size: 15.0,
        down: Some(true),
        accent: theme::NEUTRAL,
        ..ButtonSpec::default()
    };
    if widgets::button(ui, start, Id::unique("isotherm listening start"), &spec).clicked() {
        actions.push(ListenAction::Start);
    }
    let status = Rect::from_min_max(pos2(foot.left(), start.top()), pos2(start.left() - GAP, foot.bottom()));
    let text = view.error.as_deref().unwrap_or(
        "The sides are rendered, matched in loudness and time, and checked. Everything is fixed and logged before the first trial.",
    );
    let color = if view.error.is_some() { theme::ALARM } else { theme::MUTED };
    theme::draw_status(ui, status, "Listening test status", text, color, text);
}
