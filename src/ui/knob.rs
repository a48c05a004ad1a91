//! A rotary knob with its name above and its value below.

use std::f32::consts::PI;

use egui::{
    Align2, Color32, Event, EventFilter, Key, PointerButton, Pos2, Rect, Role, Sense, Shape, Stroke, StrokeKind, TextEdit,
    Tooltip, Ui, UiBuilder, WidgetInfo, accesskit, pos2, text::CCursorRange, vec2,
};

use super::{
    Control, Controls,
    gestures::{Gestures, ValueEdit},
    theme,
};
use crate::dsp::{ChangeMode, Parameter};

/// Smallest width of a knob's cell: that of a long name ("Downsampling") at 10 px.
pub(super) const MIN_WIDTH: f32 = 72.0;
/// Height of a knob's cell. The space at its bottom keeps a value nearer to its own knob than to the name below.
pub(super) const HEIGHT: f32 = 98.0;
const NAME_HEIGHT: f32 = 18.0;
const VALUE_HEIGHT: f32 = 20.0;
/// Radius of the dial, and half the side of the square in which the mouse can drag it.
const RADIUS: f32 = 22.0;
/// Font sizes of a name or value, of which the first that fits is used.
const TEXT_SIZES: [f32; 3] = [12.0, 11.0, 10.0];
/// Largest angle of the dial's pointer from the top, in radians: 135 degrees, which leave the usual gap of 90 degrees below.
const MAX_ANGLE: f32 = 0.75 * PI;
/// Length in logical pixels of a drag over the whole travel, which is from position 0 to 1: a comfortable movement, in which a
/// pixel is 0.5 % of the travel.
const TRAVEL_PIXELS: f32 = 200.0;
/// Factor by which Shift slows down drags, the wheel and the arrow keys.
const FINE_FACTOR: f32 = 0.1;
/// Share of the travel by which an arrow key or a step of an assistive tool turns the knob.
const ARROW_STEP: f32 = 0.01;
/// Share of the travel by which a notch of the wheel turns the knob.
const WHEEL_STEP: f32 = 0.02;
/// Share of the travel by which Page Up or Page Down turns the knob.
const PAGE_STEP: f32 = 0.1;

/// Line of a tooltip that says how a structural parameter changes.
pub(super) const STRUCTURAL_TIP: &str = "Takes effect with a short dip; not automatable.";

/// Draws a parameter's tooltip: its purpose, its range, its default and how a change takes effect.
pub(super) fn draw_tooltip(ui: &mut Ui, parameter: &Parameter) {
    ui.label(parameter.doc);
    ui.colored_label(theme::MUTED, format!("{} (default {})", parameter.expected(), parameter.text(parameter.default())));
    if parameter.change == ChangeMode::Structural {
        ui.colored_label(theme::MUTED, STRUCTURAL_TIP);
    }
}

/// Draws the mark of a structural parameter (one whose change swaps the slot's processor for another): a small diamond.
fn draw_structural_mark(ui: &Ui, center: Pos2) {
    let corners = [vec2(0.0, -3.5), vec2(3.5, 0.0), vec2(0.0, 3.5), vec2(-3.5, 0.0)].map(|v| center + v);
    ui.painter().add(Shape::closed_line(corners.to_vec(), Stroke::new(1.0, theme::MUTED)));
}

/// Draws a parameter's name in one line of `rect`, in its middle or at its left, with the mark if it is structural.
pub(super) fn draw_name(ui: &Ui, rect: Rect, view: &ParameterView<'_>, centered: bool) {
    let structural = view.parameter.change == ChangeMode::Structural;
    let mark_width = if structural { 10.0 } else { 0.0 };
    let galley = theme::fit_text(ui, view.name, &TEXT_SIZES, theme::MUTED, rect.width() - mark_width);
    let width = galley.size().x + mark_width;
    let left = if centered { rect.center().x - width / 2.0 } else { rect.left() };
    let top = rect.center().y - galley.size().y / 2.0;
    let end = left + galley.size().x;
    ui.painter().galley(pos2(left, top), galley, theme::MUTED);
    if structural {
        draw_structural_mark(ui, pos2(end + 6.5, rect.center().y + 0.5));
    }
}

/// A parameter of a slot, as a knob or a row shows it.
pub(super) struct ParameterView<'a> {
    pub control: Control,
    pub parameter: &'static Parameter,
    /// The name that is shown: the parameter's own, or the one that a model gives it.
    pub name: &'a str,
    /// The accessible name, which screen readers read: slot and parameter, such as `A Drive`.
    pub label: &'a str,
    pub accent: Color32,
}

/// Draws a knob into `cell`: the parameter's name, the dial, and the value, on which a click opens a text field.
pub(super) fn show(ui: &mut Ui, gestures: &mut Gestures, controls: &dyn Controls, cell: Rect, view: &ParameterView<'_>) {
    let &ParameterView { control, parameter, label, accent, .. } = view;
    let cell = cell.shrink2(vec2(2.0, 0.0));
    let name_rect = cell.with_max_y(cell.top() + NAME_HEIGHT);
    let dial = Rect::from_center_size(pos2(cell.center().x, name_rect.bottom() + RADIUS + 3.0), vec2(RADIUS, RADIUS) * 2.0);
    let value_rect = Rect::from_min_size(pos2(cell.left(), dial.bottom() + 1.0), vec2(cell.width(), VALUE_HEIGHT));

    draw_name(ui, name_rect, view, true);
    draw_dial(ui, gestures, controls, dial, view);
    let value = parameter.clamp(controls.get(control));

    let is_typing = gestures.edit.as_ref().is_some_and(|e| e.control == control);
    if is_typing {
        draw_text_field(ui, gestures, controls, value_rect, view);
    } else {
        let response = ui.interact(value_rect, Gestures::id(control).with("value"), Sense::click());
        let fill = if response.hovered() || response.has_focus() { theme::RAISED } else { Color32::TRANSPARENT };
        ui.painter().rect_filled(value_rect, 4, fill);
        let text = parameter.text_with_unit(value);
        let galley = theme::fit_text(ui, &text, &TEXT_SIZES, theme::TEXT, value_rect.width());
        ui.painter().galley(value_rect.center() - galley.size() / 2.0, galley, accent);
        response.widget_info(|| {
            let mut info = WidgetInfo::labeled(Role::Button, true, format!("{label} value"));
            info.current_text_value = Some(text.clone());
            info
        });
        if response.clicked() {
            open_text_field(gestures, control, parameter, value);
        }
        response.on_hover_text("Click to type a value");
        draw_note(ui, gestures, value_rect, control);
    }
}

/// Draws the note on a typed value of this control that was out of range; a click or a key takes it away.
fn draw_note(ui: &Ui, gestures: &mut Gestures, rect: Rect, control: Control) {
    if gestures.note.as_ref().is_none_or(|(of, _)| *of != control) {
        return;
    }
    let is_input = |event: &Event| matches!(event, Event::Key { pressed: true, .. } | Event::PointerButton { pressed: true, .. });
    if ui.input(|i| i.events.iter().any(is_input)) {
        gestures.note = None;
    } else if let Some((_, note)) = &gestures.note {
        Tooltip::always_open(ui.ctx().clone(), ui.layer_id(), Gestures::id(control).with("note"), rect)
            .show(|ui| ui.colored_label(theme::TEXT, note));
    }
}

/// Opens the text field of a control.
fn open_text_field(gestures: &mut Gestures, control: Control, parameter: &Parameter, value: f32) {
    gestures.edit = Some(ValueEdit { control, text: parameter.text(value), error: None, needs_focus: true, was_drawn: true });
}

/// Draws the dial and handles everything that turns it: drags, the wheel, keys and assistive tools.
fn draw_dial(ui: &mut Ui, gestures: &mut Gestures, controls: &dyn Controls, dial: Rect, view: &ParameterView<'_>) {
    let &ParameterView { control, parameter, label, accent, .. } = view;
    let mut response = ui.interact(dial, Gestures::id(control), Sense::click_and_drag());
    let value = parameter.clamp(gestures.shown_value(controls, control));
    let position = parameter.position(value);
    let speed = if ui.input(|i| i.modifiers.shift) { FINE_FACTOR } else { 1.0 };

    let mut new_value = None;
    if response.dragged_by(PointerButton::Primary) {
        let drag_position = gestures.drag(controls, control, position);
        // The y axis points down, and a drag upwards turns the knob up.
        *drag_position = (*drag_position - response.drag_delta().y / TRAVEL_PIXELS * speed).clamp(0.0, 1.0);
        let next = parameter.value_at(*drag_position);
        if next != value {
            controls.set(control, next);
            response.mark_changed();
        }
    } else {
        gestures.end_drag_of(controls, control);
        if response.double_clicked() {
            new_value = Some(parameter.default());
        }
    }
    if response.clicked() || response.drag_started() {
        response.request_focus();
    }
    if response.hovered() {
        let notches = gestures.wheel_notches(ui, control);
        if notches != 0.0 {
            new_value = Some(parameter.value_at(position + notches * WHEEL_STEP * speed));
        }
    }
    if response.has_focus() {
        let arrows = EventFilter { horizontal_arrows: true, vertical_arrows: true, ..EventFilter::default() };
        ui.memory_mut(|m| m.set_focus_lock_filter(response.id, arrows));
        let (steps, pages, ends, reset, enter) = ui.input(|i| {
            let presses = |key| i.num_presses(key) as f32;
            (
                presses(Key::ArrowUp) + presses(Key::ArrowRight) - presses(Key::ArrowDown) - presses(Key::ArrowLeft),
                presses(Key::PageUp) - presses(Key::PageDown),
                presses(Key::End) - presses(Key::Home),
                i.key_pressed(Key::Delete) || i.key_pressed(Key::Backspace),
                i.key_pressed(Key::Enter),
            )
        });
        if steps != 0.0 || pages != 0.0 || ends != 0.0 {
            new_value = Some(parameter.value_at(position + steps * ARROW_STEP * speed + pages * PAGE_STEP + ends));
        }
        if reset {
            new_value = Some(parameter.default());
        }
        if enter {
            open_text_field(gestures, control, parameter, value);
        }
    }
    let (steps, requested) = ui.input(|i| {
        use accesskit::{Action, ActionData};
        let count = |action| i.num_accesskit_action_requests(response.id, action) as f32;
        let requested = i.accesskit_action_requests(response.id, Action::SetValue).filter_map(|request| match &request.data {
            Some(ActionData::NumericValue(value)) => Some(*value as f32),
            Some(ActionData::Value(text)) => parameter.parse_clamped(text).ok().map(|(value, _)| value),
            _ => None,
        });
        (count(Action::Increment) - count(Action::Decrement), requested.last())
    });
    if steps != 0.0 {
        new_value = Some(parameter.value_at(position + steps * ARROW_STEP));
    }
    if let Some(next) = requested.or(new_value).map(|v| parameter.clamp(v))
        && next != value
    {
        gestures.set(controls, control, next);
        response.mark_changed();
    }

    let value = parameter.clamp(controls.get(control));
    response.widget_info(|| WidgetInfo::slider(true, f64::from(value), label));
    let (min, max) = parameter.range();
    ui.ctx().accesskit_node_builder(response.id, |node| {
        node.set_value(parameter.text_with_unit(value));
        node.set_min_numeric_value(f64::from(min));
        node.set_max_numeric_value(f64::from(max));
        node.add_action(accesskit::Action::SetValue);
        node.add_action(accesskit::Action::Increment);
        node.add_action(accesskit::Action::Decrement);
    });
    if ui.is_rect_visible(dial) {
        paint_dial(ui, dial, parameter, value, accent, response.hovered() || response.dragged(), response.has_focus());
    }
    if !response.dragged() {
        response.on_hover_ui(|ui| {
            draw_tooltip(ui, parameter);
            ui.colored_label(theme::MUTED, "Shift: fine. Double-click: default.");
        });
    }
}

/// Paints the dial: track, arc of the value, disc with pointer.
fn paint_dial(ui: &Ui, dial: Rect, parameter: &Parameter, value: f32, accent: Color32, highlighted: bool, focus: bool) {
    let painter = ui.painter();
    let center = dial.center();
    let radius = RADIUS - 2.5;
    let angle = |position: f32| (2.0 * position - 1.0) * MAX_ANGLE;
    let at = |angle: f32, radius: f32| center + vec2(angle.sin(), -angle.cos()) * radius;
    let arc = |from: f32, to: f32| -> Vec<Pos2> {
        // With a point every 5 degrees the arc looks round at this size.
        let steps = ((to - from).abs() / (PI / 36.0)).ceil().max(1.0) as usize;
        (0..=steps).map(|i| at(from + (to - from) * i as f32 / steps as f32, radius)).collect()
    };
    let position = parameter.position(value);
    // The arc begins at zero if the range has negative and positive values.
    let (min, max) = parameter.range();
    let origin = if min < 0.0 && max > 0.0 { parameter.position(0.0) } else { 0.0 };
    let off = parameter.is_off(value);
    let color = if off { theme::OUTLINE } else { accent };

    painter.add(Shape::line(arc(-MAX_ANGLE, MAX_ANGLE), Stroke::new(3.5, theme::SUNKEN)));
    if (position - origin).abs() > 1e-3 {
        painter.add(Shape::line(arc(angle(origin), angle(position)), Stroke::new(3.5, color)));
    }
    let disc = if highlighted { theme::RAISED_HOVER } else { theme::RAISED };
    painter.circle_filled(center, radius - 5.0, disc);
    let pointer = if off { theme::MUTED } else { theme::TEXT };
    painter.line_segment([at(angle(position), 5.0), at(angle(position), radius - 6.5)], Stroke::new(2.0, pointer));
    if focus {
        painter.rect_stroke(dial.expand(1.0), theme::RADIUS, Stroke::new(1.0, theme::NEUTRAL), StrokeKind::Outside);
    }
}

/// Draws the text field in place of the value.
fn draw_text_field(ui: &mut Ui, gestures: &mut Gestures, controls: &dyn Controls, rect: Rect, view: &ParameterView<'_>) {
    let Some(edit) = &mut gestures.edit else { return };
    edit.was_drawn = true;
    let id = Gestures::id(view.control).with("edit");
    if edit.needs_focus {
        edit.needs_focus = false;
        let mut state = TextEdit::load_state(ui.ctx(), id).unwrap_or_default();
        state.cursor.set_char_range(Some(CCursorRange::select_all_str(&edit.text)));
        TextEdit::store_state(ui.ctx(), id, state);
        ui.memory_mut(|m| m.request_focus(id));
    }
    let color = if edit.error.is_some() { theme::ALARM } else { theme::TEXT };
    let mut child = ui.new_child(UiBuilder::new().max_rect(rect).id_salt(id));
    let output = TextEdit::singleline(&mut edit.text)
        .id(id)
        .desired_width(rect.width())
        .align(Align2::CENTER_CENTER)
        .margin(vec2(2.0, 1.0))
        .font(theme::font(12.0))
        .text_color(color)
        .show(&mut child);
    let response = output.response.response.accessible_name(format!("{} value", view.label));
    if response.changed() {
        edit.error = None;
    }
    if !response.has_focus() && !response.lost_focus() {
        // The second click of a double click came before the field was there, and has taken the focus from it.
        edit.needs_focus = true;
        gestures.needs_frame = true;
    } else if response.lost_focus() {
        let (enter, escape) = ui.input(|i| (i.key_pressed(Key::Enter), i.key_pressed(Key::Escape)));
        match view.parameter.parse_clamped(&edit.text) {
            _ if escape => gestures.edit = None,
            Ok((value, note)) => {
                gestures.edit = None;
                gestures.note = note.map(|note| (view.control, note));
                gestures.needs_frame = true;
                gestures.set(controls, view.control, value);
            }
            Err(error) if enter => {
                edit.error = Some(error.to_string());
                edit.needs_focus = true;
            }
            // The user has clicked elsewhere: a text that is not a value is dropped.
            Err(_) => gestures.edit = None,
        }
    }
    if let Some(error) = gestures.edit.as_ref().and_then(|e| e.error.as_deref()) {
        Tooltip::always_open(ui.ctx().clone(), ui.layer_id(), id.with("error"), rect)
            .show(|ui| ui.colored_label(theme::ALARM, error));
    }
}
