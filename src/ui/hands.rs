//! What the user's hands are doing: one gesture, one typed value and one turn of the wheel at most.

use std::hash::{DefaultHasher, Hash, Hasher};

use egui::{Event, Id, MouseWheelUnit, Ui, Vec2};

use crate::view::{Control, Controls};

/// A drag of a knob.
struct Drag {
    control: Control,
    /// Along the knob's travel, 0 to 1: kept here so that slow drags lose nothing to rounding.
    position: f32,
    seen: bool,
}

/// A value that is being typed.
pub(super) struct Edit {
    pub control: Control,
    pub text: String,
    pub error: Option<String>,
    /// Not shown yet: takes the keyboard and selects all.
    pub opened: bool,
    pub seen: bool,
}

#[derive(Default)]
pub(super) struct Hands {
    drag: Option<Drag>,
    pub edit: Option<Edit>,
    wheel: Wheel,
    /// Whether something moves on the screen.
    pub busy: bool,
    /// Of the values on the screen, to notice those that a host moves.
    values: DefaultHasher,
    values_before: u64,
}

/// A turn of the wheel belongs to what was under the pointer when it began: a knob that a scrolled page brings under the
/// pointer does not turn.
#[derive(Default)]
struct Wheel {
    /// When it turned last, in seconds.
    time: f64,
    owner: Option<Control>,
    free: bool,
    /// Notches in this frame.
    notches: f32,
}

/// Rest after which another turn of the wheel begins: longer than the pauses of a finger that keeps turning.
const WHEEL_REST_SECONDS: f64 = 0.4;
/// A notch of a wheel in points where the window system counts points: egui's own `line_scroll_speed`.
const POINTS_PER_NOTCH: f32 = 40.0;

impl Hands {
    pub fn begin_frame(&mut self, ui: &Ui) {
        self.busy = false;
        self.values = DefaultHasher::new();
        if let Some(drag) = &mut self.drag {
            drag.seen = false;
        }
        if let Some(edit) = &mut self.edit {
            edit.seen = false;
        }
        let (now, notches) = ui.input(|i| {
            let notches = i.events.iter().filter_map(|event| match event {
                // With the command key the wheel zooms.
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
        self.wheel.free = false;
        if now - self.wheel.time > WHEEL_REST_SECONDS {
            self.wheel.owner = None;
            self.wheel.free = self.wheel.notches != 0.0;
        }
        if self.wheel.notches != 0.0 {
            self.wheel.time = now;
        }
    }

    pub fn end_frame(&mut self, ui: &Ui, controls: &dyn Controls) {
        // What was dragged may be gone: folded, hidden, or another algorithm's.
        if self.drag.as_ref().is_some_and(|d| !d.seen) {
            self.let_go(controls);
        }
        if self.edit.as_ref().is_some_and(|e| !e.seen) {
            self.edit = None;
        }
        if self.wheel.owner.is_some() {
            // What is left of it must not scroll the page.
            ui.input_mut(|i| i.smooth_scroll_delta = Vec2::ZERO);
        }
        let values = self.values.finish();
        self.busy |= self.drag.is_some() || self.wheel.owner.is_some() || values != self.values_before;
        self.values_before = values;
    }

    /// Reads a value for the screen.
    pub fn watch(&mut self, controls: &dyn Controls, control: Control) -> f32 {
        let value = controls.get(control);
        value.to_bits().hash(&mut self.values);
        value
    }

    /// A gesture of one value.
    pub fn set(&mut self, controls: &dyn Controls, control: Control, value: f32) {
        self.let_go(controls);
        controls.begin(control);
        controls.set(control, value);
        controls.end(control);
        self.busy = true;
    }

    /// While `control` is dragged: begins the gesture with the first call and gives the place along the travel.
    pub fn drag(&mut self, controls: &dyn Controls, control: Control, position_now: f32) -> &mut f32 {
        if self.drag.as_ref().is_some_and(|d| d.control != control) {
            self.let_go(controls);
        }
        let drag = self.drag.get_or_insert_with(|| {
            controls.begin(control);
            Drag { control, position: position_now, seen: true }
        });
        drag.seen = true;
        &mut drag.position
    }

    /// `control` is on the screen and not dragged.
    pub fn release(&mut self, controls: &dyn Controls, control: Control) {
        if self.drag.as_ref().is_some_and(|d| d.control == control) {
            self.let_go(controls);
        }
    }

    pub fn let_go(&mut self, controls: &dyn Controls) {
        if let Some(drag) = self.drag.take() {
            controls.end(drag.control);
        }
    }

    /// Notches of the wheel that are meant for `control`, which is under the pointer.
    pub fn wheel(&mut self, ui: &Ui, control: Control) -> f32 {
        if self.wheel.free && self.wheel.owner.is_none() {
            self.wheel.owner = Some(control);
        }
        if self.wheel.owner != Some(control) {
            return 0.0;
        }
        ui.input_mut(|i| i.smooth_scroll_delta = Vec2::ZERO);
        self.wheel.notches
    }

    /// The same for one control, from frame to frame.
    pub fn id(control: Control) -> Id {
        Id::unique(("isotherm", control))
    }
}
