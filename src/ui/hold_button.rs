//! A button that acts only once it was held for a while: for what a slip of the hand must not do, such as the end of a take.

use egui::{Color32, Id, Key, Rect, Response, Sense, Tooltip, Ui};

use super::{theme, widgets, widgets::ButtonSpec};

/// Time for which the button has to be held, in seconds: longer than a slip or a long click (egui counts up to 0.8 s as one).
const HOLD_SECONDS: f64 = 1.0;
/// Longest pause in which a held key may seem to be released, in seconds. X11 repeats a held key as releases and presses.
const KEY_PAUSE_SECONDS: f64 = 0.1;
/// Time for which the hint is shown after a press that was too short, in seconds.
const HINT_SECONDS: f64 = 3.0;

/// The button's state from frame to frame. Times are in seconds of the window.
#[derive(Debug, Default)]
pub(super) struct HoldButton {
    /// Time of the press that is going on.
    pressed_at: Option<f64>,
    /// Time at which it was seen pressed last.
    last_pressed: f64,
    /// True from the action, or from [`Self::ignore_press`], until the release: one press is one action.
    is_spent: bool,
    /// Time until which the hint is shown.
    hint_until: f64,
}

impl HoldButton {
    /// Draws the button into `rect`, with a fill that grows while it is held. Returns the response, and true once it was held long
    /// enough. After a shorter press `hint` is shown below it for a while.
    pub fn show(&mut self, ui: &Ui, rect: Rect, id: Id, spec: &ButtonSpec<'_>, hint: &str) -> (Response, bool) {
        // A drag keeps the press alive, however long it lasts and however unsteady the hand is.
        let response = ui.interact(rect, id, Sense::click_and_drag());
        if response.clicked() || response.drag_started() {
            response.request_focus();
        }
        let now = ui.input(|i| i.time);
        let is_down = self.follow_press(ui, &response, now);
        let held = self.pressed_at.filter(|_| !self.is_spent).map(|since| now - since);
        let acts = is_down && held.is_some_and(|held| held >= HOLD_SECONDS);
        self.is_spent |= acts;
        widgets::draw_button(ui, &response, spec);
        if let Some(held) = held {
            let share = (held / HOLD_SECONDS).clamp(0.0, 1.0) as f32;
            let fill = rect.with_max_x(rect.left() + share * rect.width());
            ui.painter().rect_filled(fill, theme::RADIUS, Color32::from_black_alpha(110));
        }
        // A press and a release in one frame.
        if response.clicked() && self.pressed_at.is_none() && !self.is_spent {
            self.hint_until = now + HINT_SECONDS;
        }
        if now < self.hint_until {
            Tooltip::always_open(ui.ctx().clone(), ui.layer_id(), id.with("hint"), rect)
                .show(|ui| ui.colored_label(theme::TEXT, hint));
        }
        if self.pressed_at.is_some() || now < self.hint_until {
            ui.ctx().request_repaint_after(super::FRAME_INTERVAL);
        }
        (response, acts)
    }

    /// Lets the press that is going on do nothing, such as one that has just started what the button ends.
    pub fn ignore_press(&mut self) {
        self.is_spent = true;
        self.pressed_at = None;
    }

    /// True while a press is going on.
    pub fn is_pressed(&self) -> bool {
        self.pressed_at.is_some()
    }

    /// True from an action until the release of what was pressed.
    pub fn is_spent(&self) -> bool {
        self.is_spent
    }

    /// Follows presses of the mouse on the button, and of the keys that press it while it has the focus. Returns true while it is
    /// pressed.
    pub fn follow_press(&mut self, ui: &Ui, response: &Response, now: f64) -> bool {
        let (is_over, is_key_down) = ui.input(|i| {
            let is_over = i.pointer.latest_pos().is_some_and(|at| response.rect.contains(at));
            (is_over, i.key_down(Key::Space) || i.key_down(Key::Enter))
        });
        let by_mouse = is_over && response.is_pointer_button_down_on();
        let by_key = is_key_down && response.has_focus();
        if by_mouse || by_key {
            self.last_pressed = now;
            self.pressed_at.get_or_insert(now);
        } else if now - self.last_pressed > KEY_PAUSE_SECONDS {
            if self.pressed_at.take().is_some() && !self.is_spent {
                self.hint_until = now + HINT_SECONDS;
            }
            self.is_spent = false;
        }
        by_mouse || by_key
    }
}
