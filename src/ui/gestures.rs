//! The interaction of the user with the controls, from frame to frame: at most one drag, one typed value and one turn of the
//! mouse wheel.

use std::hash::{DefaultHasher, Hash, Hasher};

use egui::{Event, Id, MouseWheelUnit, Ui, Vec2};

use crate::view::{Control, Controls};

/// A drag of a knob.
struct Drag {
    control: Control,
    /// Position of the knob, 0 to 1. It is kept here so that slow drags lose nothing when the value is rounded.
    position: f32,
    /// True if the knob was drawn in this frame.
    was_drawn: bool,
}

/// The text field in which the value of a control is being typed.
pub(super) struct ValueEdit {
    pub control: Control,
    pub text: String,
    /// The reason why the text was refused, shown beside the field.
    pub error: Option<String>,
    /// True until the field has taken the keyboard focus and selected its text.
    pub needs_focus: bool,
    /// True if the field was drawn in this frame.
    pub was_drawn: bool,
}

/// The gestures of one window, and the flag by which its widgets request another frame.
#[derive(Default)]
pub(super) struct Gestures {
    drag: Option<Drag>,
    pub edit: Option<ValueEdit>,
    /// The control whose typed value was out of its range, and what became of it; shown until the next click or key.
    pub note: Option<(Control, String)>,
    wheel: WheelTurn,
    /// True if something on the screen changes, so that another frame is drawn soon.
    pub needs_frame: bool,
    /// Hash of all values that this frame shows. It differs from `last_values` if, for example, a host has changed a value.
    values: DefaultHasher,
    /// Hash of all values that the last frame showed.
    last_values: u64,
}

/// A turn of the mouse wheel, from its first notch to a pause. It belongs to the control that was under the pointer when it
/// began. So if it scrolls the page, it does not turn a knob that comes under the pointer.
#[derive(Default)]
struct WheelTurn {
    /// Time of the last wheel event, in seconds of the window.
    last_event: f64,
    /// The control that the turn belongs to; None if the turn scrolls the page.
    control: Option<Control>,
    /// True if a turn begins in this frame and no control has claimed it yet.
    is_unclaimed: bool,
    /// Notches in this frame, positive for up.
    notches: f32,
}

/// Pause after which another turn of the wheel begins: longer than a finger pauses while it keeps turning.
const WHEEL_PAUSE_SECONDS: f64 = 0.4;
/// Points of one notch of the wheel, for window systems that report points: the default of egui's `line_scroll_speed`.
const POINTS_PER_NOTCH: f32 = 40.0;

impl Gestures {
    /// Reads the wheel and forgets what the last frame drew. It is called before any control is drawn.
    pub fn begin_frame(&mut self, ui: &Ui) {
        self.needs_frame = false;
        self.values = DefaultHasher::new();
        if let Some(drag) = &mut self.drag {
            drag.was_drawn = false;
        }
        if let Some(edit) = &mut self.edit {
            edit.was_drawn = false;
        }
        let (now, notches) = ui.input(|i| {
            let notches = i.events.iter().filter_map(|event| match event {
                // With the command key the wheel zooms; with shift the system may turn the wheel's y into x.
                Event::MouseWheel { unit, delta, modifiers, .. } if !modifiers.command => Some(match unit {
                    MouseWheelUnit::Point => (delta.x + delta.y) / POINTS_PER_NOTCH,
                    MouseWheelUnit::Line => delta.x + delta.y,
                    MouseWheelUnit::Page => 10.0 * (delta.x + delta.y),
                }),
                _ => None,
            });
            (i.time, notches.sum::<f32>())
        });
        self.wheel.notches = if notches.is_finite() { notches } else { 0.0 };
        self.wheel.is_unclaimed = false;
        if now - self.wheel.last_event > WHEEL_PAUSE_SECONDS {
            self.wheel.control = None;
            self.wheel.is_unclaimed = self.wheel.notches != 0.0;
        }
        if self.wheel.notches != 0.0 {
            self.wheel.last_event = now;
        }
    }

    /// Ends the gestures of controls that this frame did not draw, and sets `needs_frame` if something still changes. It is
    /// called after all controls are drawn.
    pub fn end_frame(&mut self, ui: &Ui, controls: &dyn Controls) {
        // The dragged knob may be gone: folded, hidden, or of an algorithm that is no longer chosen.
        if self.drag.as_ref().is_some_and(|d| !d.was_drawn) {
            self.end_drag(controls);
        }
        if self.edit.as_ref().is_some_and(|e| !e.was_drawn) {
            self.edit = None;
        }
        if self.wheel.control.is_some() {
            // egui spreads a turn over the next frames; what is left of it must not scroll the page.
            ui.input_mut(|i| i.smooth_scroll_delta = Vec2::ZERO);
        }
        let values = self.values.finish();
        self.needs_frame |= self.drag.is_some() || self.wheel.control.is_some() || values != self.last_values;
        self.last_values = values;
    }

    /// Returns a value that this frame shows, and adds it to the hash that tells if values have changed.
    pub fn shown_value(&mut self, controls: &dyn Controls, control: Control) -> f32 {
        let value = controls.get(control);
        value.to_bits().hash(&mut self.values);
        value
    }

    /// Ends the drag, if there is one, and sets `control` in a gesture of its own.
    pub fn set(&mut self, controls: &dyn Controls, control: Control, value: f32) {
        self.end_drag(controls);
        controls.begin(control);
        controls.set(control, value);
        controls.end(control);
        self.needs_frame = true;
    }

    /// Returns the position of the dragged `control`, 0 to 1, for the caller to move. It is called in every frame of a drag; the
    /// first call begins the gesture at `position_now`.
    pub fn drag(&mut self, controls: &dyn Controls, control: Control, position_now: f32) -> &mut f32 {
        if self.drag.as_ref().is_some_and(|d| d.control != control) {
            self.end_drag(controls);
        }
        let drag = self.drag.get_or_insert_with(|| {
            controls.begin(control);
            Drag { control, position: position_now, was_drawn: true }
        });
        drag.was_drawn = true;
        &mut drag.position
    }

    /// Ends the drag if it is one of `control`.
    pub fn end_drag_of(&mut self, controls: &dyn Controls, control: Control) {
        if self.drag.as_ref().is_some_and(|d| d.control == control) {
            self.end_drag(controls);
        }
    }

    /// Ends the drag, if there is one.
    pub fn end_drag(&mut self, controls: &dyn Controls) {
        if let Some(drag) = self.drag.take() {
            controls.end(drag.control);
        }
    }

    /// Returns the notches of the wheel in this frame that belong to `control`, which is under the pointer; positive for up.
    pub fn wheel_notches(&mut self, ui: &Ui, control: Control) -> f32 {
        if self.wheel.is_unclaimed && self.wheel.control.is_none() {
            self.wheel.control = Some(control);
        }
        if self.wheel.control != Some(control) {
            return 0.0;
        }
        ui.input_mut(|i| i.smooth_scroll_delta = Vec2::ZERO);
        self.wheel.notches
    }

    /// Returns the egui id of a control, which is the same in every frame.
    pub fn id(control: Control) -> Id {
        Id::unique(("isotherm", control))
    }
}
