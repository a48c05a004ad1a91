//! The panel of listening tests. It shows a [`ListenView`] and returns the listener's [`ListenAction`]s.
//!
//! While a test runs, the panel draws from the [`TestView`] alone, which is the same for all hidden mappings. Colours of the slots
//! do not occur.

mod power;
mod result;
mod running;
mod setup;
mod waveform;

use std::path::PathBuf;

use egui::{Event, EventFilter, Id, Key, Modifiers, Rect, RichText, Role, Sense, Ui, UiBuilder, WidgetInfo, pos2, vec2};

use super::widgets::{self, ButtonSpec, TextEntry};
use super::{FRAME_INTERVAL, theme};
use crate::view::{ListenAction, ListenStage, ListenView, TestSetup, TestStep, TestView};
use setup::SetupField;

/// Space between two widgets.
const GAP: f32 = 6.0;
/// Space between the edge of the panel and its contents.
const PADDING: f32 = 12.0;
/// Height of a row of small buttons.
const ROW_HEIGHT: f32 = 26.0;
/// Longest time in seconds for which the panel shows a setup that the owner has not taken over.
const PENDING_SECONDS: f64 = 1.0;
/// The way to the keys in hosts that keep them.
const HOST_KEYS: &str = "Click here if the keys do nothing. If the host keeps them: in REAPER choose \"Send all keyboard input to \
                         plug-in\" in the menu of the FX window; in Ardour and Mixbus press the keyboard button above the plug-in.";

/// Words for keys that do nothing, in a program of its own.
const PROGRAM_KEYS: &str = "Click here: the keys go to another window now.";

impl ListenView {
    /// True if a panel that is at rest and shows `shown` would look the same with this view. During a test only what the test
    /// shows is compared.
    pub(super) fn is_shown_by(&self, shown: &Self) -> bool {
        if self.is_blind() && shown.is_blind() {
            return self.stage == shown.stage && self.error == shown.error;
        }
        // The time that is kept grows all the time, so only the text that shows it is compared.
        let all_but_kept = |view: &Self| Self { kept_seconds: 0.0, ..view.clone() };
        setup::kept_text(self) == setup::kept_text(shown) && all_but_kept(self) == all_but_kept(shown)
    }
}

/// The panel, with the state that only it has.
#[derive(Debug, Default)]
pub(super) struct ListenPanel {
    /// True in a program of its own, where no host keeps keys.
    pub has_no_host: bool,
    text_entry: TextEntry<SetupField>,
    /// The setup that was sent and is not in the view yet, with the time of the window at which it was sent.
    pending: Option<(TestSetup, f64)>,
    /// The end of the loop, 0 or 1, that is being dragged.
    dragged_end: Option<usize>,
    /// The answer or confidence on which the arrow keys stand: its number from 0.
    selected: Option<usize>,
    /// Part, number and step of the trial at the last frame.
    last_question: Option<(u8, u32, TestStep)>,
    /// The session that was left for which the question is asked that precedes its closing.
    asks_to_close: Option<PathBuf>,
    /// True while the question is asked that precedes an abort.
    asks_to_abort: bool,
    /// Number of the next frames in which the panel takes the focus.
    focus_frames: u8,
    /// True if a test ran in the last frame.
    was_running: bool,
    /// The receipt that was copied last.
    copied: Option<String>,
}

impl ListenPanel {
    /// Forgets all that is under way: the panel is not shown.
    pub fn hide(&mut self) {
        *self = Self { has_no_host: self.has_no_host, ..Self::default() };
    }

    /// Draws the panel into `rect`. Returns the listener's actions, in their order. `rect` must have the same place and size for all
    /// mappings of a test.
    pub fn show(&mut self, ui: &mut Ui, rect: Rect, view: &ListenView) -> Vec<ListenAction> {
        let mut actions = Vec::new();
        let is_running = view.is_blind();
        ui.painter().rect_filled(rect, theme::RADIUS, theme::CARD);
        let root = Id::unique("isotherm listening test");
        let response = ui.interact(rect, root, Sense::focusable_noninteractive());
        response.widget_info(|| WidgetInfo::labeled(Role::Group, true, "Listening test"));
        // A panel that opens leaves the keys where they are: a host's Space starts the sound that a loop is taken from. A test that
        // starts or ends takes them.
        if std::mem::replace(&mut self.was_running, is_running) != is_running {
            self.asks_to_abort = false;
            self.focus_frames = 1;
        }
        if self.focus_frames > 0 && !self.asks_to_abort {
            self.focus_frames -= 1;
            response.request_focus();
            ui.ctx().request_repaint_after(FRAME_INTERVAL);
        }
        if response.has_focus() {
            let filter = EventFilter { horizontal_arrows: true, vertical_arrows: true, escape: true, tab: false };
            ui.memory_mut(|m| m.set_focus_lock_filter(root, filter));
        }
        if !self.asks_to_abort {
            let keys = take_keys(ui, rect, response.has_focus(), |key| has_key(key, view));
            match &view.stage {
                ListenStage::Running(test) => self.press_test_keys(&keys, test, &mut actions),
                ListenStage::Setup => self.press_setup_keys(&keys, view, &mut actions),
                ListenStage::Preparing { .. } if keys.contains(&Key::Escape) => actions.push(ListenAction::Abort),
                ListenStage::Refused { .. } | ListenStage::Ended(_) if keys.contains(&Key::Enter) => {
                    actions.push(ListenAction::Done)
                }
                _ => {}
            }
        }
        let inside = rect.shrink(PADDING);
        match &view.stage {
            ListenStage::Setup => self.draw_setup(ui, inside, view, &mut actions),
            ListenStage::Preparing { text, share } => draw_progress(ui, inside, text, *share, &mut actions),
            ListenStage::Refused { gates } => result::draw_refusal(ui, inside, gates, view.error.as_deref(), &mut actions),
            ListenStage::Running(test) => self.draw_test(ui, inside, test, view.error.as_deref(), &mut actions),
            ListenStage::Ended(result) => self.draw_result(ui, inside, result, view.error.as_deref(), &mut actions),
        }
        // A press anywhere in the panel gives it the keys, unless a widget in it has taken them.
        let pressed = ui.input(|i| {
            let is_press = i.pointer.any_pressed() || i.pointer.any_released();
            is_press.then(|| i.pointer.interact_pos()).flatten()
        });
        let is_free = ui.memory(|m| m.focused().is_none());
        if is_free && pressed.is_some_and(|at| rect.contains(at)) && !self.asks_to_abort {
            response.request_focus();
        }
        if self.pending.is_some() || self.dragged_end.is_some() || !actions.is_empty() {
            ui.ctx().request_repaint_after(FRAME_INTERVAL);
        }
        actions
    }

    /// The setup to show and to change: the one that was sent last, until the owner has taken it over.
    fn shown_setup(&mut self, ui: &Ui, view: &ListenView) -> TestSetup {
        let now = ui.input(|i| i.time);
        self.pending.take_if(|(pending, sent)| *pending == view.setup || now - *sent > PENDING_SECONDS);
        self.pending.as_ref().map_or_else(|| view.setup.clone(), |(pending, _)| pending.clone())
    }

    /// Acts on the keys of a running test.
    fn press_test_keys(&mut self, keys: &[Key], test: &TestView, actions: &mut Vec<ListenAction>) {
        self.follow_question(test);
        let choices = choices(test);
        for key in keys {
            if let Some(button) = running::button_of_key(*key, test) {
                actions.push(ListenAction::Press(button));
                continue;
            }
            match key {
                Key::Space | Key::S if running::plays(test) => actions.push(ListenAction::SwitchBack),
                Key::ArrowLeft | Key::ArrowUp if choices > 0 => {
                    self.selected = Some(self.selected.map_or(0, |at| at.saturating_sub(1)));
                }
                Key::ArrowRight | Key::ArrowDown if choices > 0 => {
                    self.selected = Some(self.selected.map_or(choices - 1, |at| (at + 1).min(choices - 1)));
                }
                Key::Num1 | Key::Num2 | Key::Num3 | Key::Num4 if test.step == TestStep::Confidence => {
                    let level = [Key::Num1, Key::Num2, Key::Num3, Key::Num4].iter().position(|k| k == key).unwrap_or(0);
                    actions.push(ListenAction::Confidence(level as u8 + 1));
                }
                Key::Enter => match test.step {
                    TestStep::Answer => actions.extend(
                        self.selected
                            .and_then(|at| running::answers(test.form).get(at).copied())
                            .map(|(answer, _)| ListenAction::Answer(answer)),
                    ),
                    TestStep::Confidence => actions.extend(self.selected.map(|at| ListenAction::Confidence(at as u8 + 1))),
                    TestStep::Feedback { .. } | TestStep::Pause | TestStep::Introduction => actions.push(ListenAction::Continue),
                },
                Key::E if running::is_training(test) => actions.push(ListenAction::EndTraining),
                Key::Escape => self.asks_to_abort = true,
                _ => {}
            }
        }
    }

    /// Forgets the choice of the arrow keys when another question is asked.
    fn follow_question(&mut self, test: &TestView) {
        let question = Some((test.part as u8, test.number, test.step));
        if self.last_question != question {
            self.last_question = question;
            self.selected = None;
        }
    }

    /// Acts on the keys of the setup.
    fn press_setup_keys(&mut self, keys: &[Key], view: &ListenView, actions: &mut Vec<ListenAction>) {
        for key in keys {
            match key {
                Key::L => actions.push(ListenAction::Capture),
                Key::Space if view.sound.is_some() => actions.push(ListenAction::Preview(view.position.is_none())),
                Key::Enter => actions.push(ListenAction::Start),
                _ => {}
            }
        }
    }
}

/// Number of answers among which the arrow keys choose.
fn choices(test: &TestView) -> usize {
    match test.step {
        TestStep::Answer => 2,
        TestStep::Confidence => running::CONFIDENCES.len(),
        TestStep::Feedback { .. } | TestStep::Pause | TestStep::Introduction => 0,
    }
}

/// True if a key does something in a stage of the panel. All keys of a test are its own in all of its steps: none of them may start
/// a host's transport because it came too early.
fn has_key(key: Key, view: &ListenView) -> bool {
    match &view.stage {
        ListenStage::Setup => match key {
            Key::Space => view.sound.is_some(),
            key => matches!(key, Key::L | Key::Enter),
        },
        ListenStage::Preparing { .. } => key == Key::Escape,
        ListenStage::Refused { .. } | ListenStage::Ended(_) => key == Key::Enter,
        ListenStage::Running(test) => match key {
            Key::E => running::is_training(test),
            Key::A | Key::B | Key::X | Key::S | Key::Space | Key::Enter | Key::Escape => true,
            Key::Num1 | Key::Num2 | Key::Num3 | Key::Num4 => true,
            key => matches!(key, Key::ArrowLeft | Key::ArrowRight | Key::ArrowUp | Key::ArrowDown),
        },
    }
}

/// The key that was pressed: a digit by its place, where the window tells it, as on French keyboards digits need Shift; any other key
/// by its letter.
fn pressed_key(key: Key, place: Option<Key>) -> Key {
    place.filter(|place| matches!(place, Key::Num1 | Key::Num2 | Key::Num3 | Key::Num4)).unwrap_or(key)
}

/// The keys that were pressed in this frame and that are `wanted`, without repetitions by holding, taken from egui. Unless the panel,
/// which fills `rect`, or a widget in it has the focus, there are none: they are the host's. The widget keeps space, enter and arrows;
/// a text field keeps all.
fn take_keys(ui: &Ui, rect: Rect, has_focus: bool, wanted: impl Fn(Key) -> bool) -> Vec<Key> {
    let focused = ui.memory(|m| m.focused()).and_then(|id| ui.ctx().read_response(id));
    let is_inside = has_focus || focused.is_some_and(|widget| rect.contains_rect(widget.rect));
    if !is_inside || ui.ctx().text_edit_focused() {
        return Vec::new();
    }
    let belongs_to_widget = |key: Key| {
        matches!(key, Key::Space | Key::Enter | Key::Escape | Key::ArrowLeft | Key::ArrowRight | Key::ArrowUp | Key::ArrowDown)
    };
    ui.input_mut(|i| {
        let mut taken = Vec::new();
        i.events.retain(|event| match event {
            Event::Key { key, physical_key, pressed: true, repeat, modifiers } => {
                let key = pressed_key(*key, *physical_key);
                let is_taken = (has_focus || !belongs_to_widget(key)) && is_plain(*modifiers) && wanted(key);
                if is_taken && !*repeat {
                    taken.push(key);
                }
                !is_taken
            }
            _ => true,
        });
        taken
    })
}

/// True if none of the modifiers is down that make a shortcut of a key.
fn is_plain(modifiers: Modifiers) -> bool {
    !(modifiers.alt || modifiers.ctrl || modifiers.command || modifiers.mac_cmd)
}

/// Draws the progress of the preparation.
fn draw_progress(ui: &Ui, rect: Rect, text: &str, share: f32, actions: &mut Vec<ListenAction>) {
    draw_title(ui, rect, "Preparing the test");
    let center = rect.center();
    let bar = Rect::from_center_size(center, vec2(rect.width().min(420.0), 10.0));
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    ui.painter().rect_filled(bar, 5, theme::SUNKEN);
    ui.painter().rect_filled(bar.with_max_x(bar.left() + share * bar.width()), 5, theme::NEUTRAL);
    let status = Rect::from_min_size(pos2(bar.left(), bar.top() - 34.0), vec2(bar.width(), 26.0));
    theme::draw_status(ui, status, "Preparation", &format!("{text} ({:.0} %)", 100.0 * share), theme::TEXT, "");
    let button = Rect::from_center_size(pos2(center.x, bar.bottom() + 34.0), vec2(140.0, 30.0));
    let spec = ButtonSpec { label: "Cancel preparation", text: "Cancel (Esc)", ..ButtonSpec::default() };
    if widgets::button(ui, button, Id::unique("isotherm listening cancel"), &spec).clicked() {
        actions.push(ListenAction::Abort);
    }
}

/// Draws the title of the panel at the top of `rect`.
fn draw_title(ui: &Ui, rect: Rect, text: &str) {
    let galley = theme::fit_text(ui, text, &[20.0, 16.0], theme::TEXT, rect.width());
    let size = galley.size();
    ui.painter().galley(rect.min, galley, theme::TEXT);
    let response =
        ui.interact(Rect::from_min_size(rect.min, size), Id::unique(("isotherm listening title", text)), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Heading, true, text));
}

/// A column of text and rows within `rect`, for parts that flow.
fn column(ui: &mut Ui, rect: Rect, name: &str) -> Ui {
    let mut ui = ui.new_child(UiBuilder::new().max_rect(rect).id_salt(name));
    ui.set_clip_rect(rect.intersect(ui.clip_rect()));
    ui.spacing_mut().item_spacing = vec2(GAP, GAP);
    ui
}

/// Adds a text that wraps.
fn add_text(ui: &mut Ui, text: &str, size: f32, color: egui::Color32) {
    ui.add(egui::Label::new(RichText::new(text).font(theme::font(size)).color(color)).wrap());
}
