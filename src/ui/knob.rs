//! A rotary knob with its name above and its value below.

use std::f32::consts::PI;

use egui::{
    Align2, Color32, EventFilter, Key, PointerButton, Pos2, Rect, Role, Sense, Shape, Stroke, StrokeKind, TextEdit, Tooltip, Ui,
    UiBuilder, WidgetInfo, accesskit, pos2, text::CCursorRange, vec2,
};

use super::{
    Control, Controls,
    hands::{Edit, Hands},
    theme,
};
use crate::dsp::{Change, Parameter};

/// Narrowest cell: a long name ("Downsampling") at 10 px.
pub(super) const MIN_WIDTH: f32 = 72.0;
/// With space below, so that a value is nearer to its own knob than to the next name.
pub(super) const HEIGHT: f32 = 98.0;
const NAME_HEIGHT: f32 = 18.0;
const VALUE_HEIGHT: f32 = 20.0;
const RADIUS: f32 = 22.0;
/// Of a name and a value, the first that fits.
const TEXT_SIZES: [f32; 3] = [12.0, 11.0, 10.0];
/// Half the angle that a knob turns, from the top: the usual gap of 90 degrees at the bottom.
const HALF_TURN: f32 = 0.75 * PI;
/// Drag for the whole travel: a hand's comfortable movement, and 0.5 % a pixel.
const TRAVEL_PIXELS: f32 = 200.0;
/// Shift: 0.05 % a pixel.
const FINE: f32 = 0.1;
/// Travel of an arrow key and of a notch of the wheel.
const STEP: f32 = 0.01;
const NOTCH: f32 = 0.02;
/// Travel of a page key.
const PAGE: f32 = 0.1;

/// What a structural parameter says of itself.
pub(super) const STRUCTURAL: &str = "Takes effect with a short dip; not automatable.";

/// What a parameter does, what it can be, and how a change takes effect.
pub(super) fn tooltip(ui: &mut Ui, parameter: &Parameter) {
    ui.label(parameter.doc);
    ui.colored_label(theme::MUTED, format!("{} (default {})", parameter.expected(), parameter.text(parameter.default())));
    if parameter.change == Change::Structural {
        ui.colored_label(theme::MUTED, STRUCTURAL);
    }
}

/// The mark of a structural parameter: a small diamond.
pub(super) fn structural_mark(ui: &Ui, center: Pos2) {
    let corners = [vec2(0.0, -3.5), vec2(3.5, 0.0), vec2(0.0, 3.5), vec2(-3.5, 0.0)].map(|v| center + v);
    ui.painter().add(Shape::closed_line(corners.to_vec(), Stroke::new(1.0, theme::MUTED)));
}

/// A parameter's name in one line of `rect`, with its mark; `align` says from where.
pub(super) fn name(ui: &Ui, rect: Rect, parameter: &Parameter, centered: bool) {
    let structural = parameter.change == Change::Structural;
    let mark = if structural { 10.0 } else { 0.0 };
    let galley = theme::line(ui, parameter.name, &TEXT_SIZES, theme::MUTED, rect.width() - mark);
    let width = galley.size().x + mark;
    let left = if centered { rect.center().x - width / 2.0 } else { rect.left() };
    let top = rect.center().y - galley.size().y / 2.0;
    let end = left + galley.size().x;
    ui.painter().galley(pos2(left, top), galley, theme::MUTED);
    if structural {
        structural_mark(ui, pos2(end + 6.5, rect.center().y + 0.5));
    }
}

/// What one knob shows.
pub(super) struct View<'a> {
    pub control: Control,
    pub parameter: &'static Parameter,
    /// For those who hear the screen: "A Drive".
    pub label: &'a str,
    pub accent: Color32,
}

pub(super) fn show(ui: &mut Ui, hands: &mut Hands, controls: &dyn Controls, cell: Rect, view: &View<'_>) {
    let &View { control, parameter, label, accent } = view;
    let cell = cell.shrink2(vec2(2.0, 0.0));
    let name_rect = cell.with_max_y(cell.top() + NAME_HEIGHT);
    let dial = Rect::from_center_size(pos2(cell.center().x, name_rect.bottom() + RADIUS + 3.0), vec2(RADIUS, RADIUS) * 2.0);
    let value_rect = Rect::from_min_size(pos2(cell.left(), dial.bottom() + 1.0), vec2(cell.width(), VALUE_HEIGHT));

    name(ui, name_rect, parameter, true);
    turn(ui, hands, controls, dial, view);
    let value = parameter.clamp(controls.get(control));

    let typing = hands.edit.as_ref().is_some_and(|e| e.control == control);
    if typing {
        type_in(ui, hands, controls, value_rect, view);
    } else {
        let response = ui.interact(value_rect, Hands::id(control).with("value"), Sense::click());
        let fill = if response.hovered() || response.has_focus() { theme::RAISED } else { Color32::TRANSPARENT };
        ui.painter().rect_filled(value_rect, 4, fill);
        let text = parameter.text_with_unit(value);
        let galley = theme::line(ui, &text, &TEXT_SIZES, theme::TEXT, value_rect.width());
        ui.painter().galley(value_rect.center() - galley.size() / 2.0, galley, accent);
        response.widget_info(|| {
            let mut info = WidgetInfo::labeled(Role::Button, true, format!("{label} value"));
            info.current_text_value = Some(text.clone());
            info
        });
        if response.clicked() {
            open(hands, control, parameter, value);
        }
        response.on_hover_text("Click to type a value");
    }
}

fn open(hands: &mut Hands, control: Control, parameter: &Parameter, value: f32) {
    hands.edit = Some(Edit { control, text: parameter.text(value), error: None, opened: true, seen: true });
}

/// The dial: everything that turns it.
fn turn(ui: &mut Ui, hands: &mut Hands, controls: &dyn Controls, dial: Rect, view: &View<'_>) {
    let &View { control, parameter, label, accent } = view;
    let mut response = ui.interact(dial, Hands::id(control), Sense::click_and_drag());
    let value = parameter.clamp(hands.watch(controls, control));
    let here = parameter.position(value);
    let fine = |shift: bool| if shift { FINE } else { 1.0 };
    let shift = ui.input(|i| i.modifiers.shift);

    let mut wanted = None;
    if response.dragged_by(PointerButton::Primary) {
        let place = hands.drag(controls, control, here);
        // Up is more.
        *place = (*place - response.drag_delta().y / TRAVEL_PIXELS * fine(shift)).clamp(0.0, 1.0);
        let next = parameter.value_at(*place);
        if next != value {
            controls.set(control, next);
            response.mark_changed();
        }
    } else {
        hands.release(controls, control);
        if response.double_clicked() {
            wanted = Some(parameter.default());
        }
    }
    if response.clicked() || response.drag_started() {
        response.request_focus();
    }
    if response.hovered() {
        let notches = hands.wheel(ui, control);
        if notches != 0.0 {
            wanted = Some(parameter.value_at(here + notches * NOTCH * fine(shift)));
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
            wanted = Some(parameter.value_at(here + steps * STEP * fine(shift) + pages * PAGE + ends));
        }
        if reset {
            wanted = Some(parameter.default());
        }
        if enter {
            open(hands, control, parameter, value);
        }
    }
    let (steps, given) = ui.input(|i| {
        use accesskit::{Action, ActionData};
        let count = |action| i.num_accesskit_action_requests(response.id, action) as f32;
        let given = i.accesskit_action_requests(response.id, Action::SetValue).filter_map(|request| match &request.data {
            Some(ActionData::NumericValue(value)) => Some(*value as f32),
            Some(ActionData::Value(text)) => parameter.parse(text).ok(),
            _ => None,
        });
        (count(Action::Increment) - count(Action::Decrement), given.last())
    });
    if steps != 0.0 {
        wanted = Some(parameter.value_at(here + steps * STEP));
    }
    if let Some(next) = given.or(wanted).map(|v| parameter.clamp(v))
        && next != value
    {
        hands.set(controls, control, next);
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
        paint(ui, dial, parameter, value, accent, response.hovered() || response.dragged(), response.has_focus());
    }
    if !response.dragged() {
        response.on_hover_ui(|ui| {
            tooltip(ui, parameter);
            ui.colored_label(theme::MUTED, "Shift: fine. Double-click: default.");
        });
    }
}

fn paint(ui: &Ui, dial: Rect, parameter: &Parameter, value: f32, accent: Color32, lit: bool, focus: bool) {
    let painter = ui.painter();
    let center = dial.center();
    let radius = RADIUS - 2.5;
    let angle = |position: f32| (2.0 * position - 1.0) * HALF_TURN;
    let at = |angle: f32, radius: f32| center + vec2(angle.sin(), -angle.cos()) * radius;
    let arc = |from: f32, to: f32| -> Vec<Pos2> {
        // A point each 5 degrees looks round at this size.
        let steps = ((to - from).abs() / (PI / 36.0)).ceil().max(1.0) as usize;
        (0..=steps).map(|i| at(from + (to - from) * i as f32 / steps as f32, radius)).collect()
    };
    let here = parameter.position(value);
    // The arc grows from zero where the range has a zero inside.
    let (min, max) = parameter.range();
    let origin = if min < 0.0 && max > 0.0 { parameter.position(0.0) } else { 0.0 };
    let off = parameter.is_off(value);
    let color = if off { theme::LINE } else { accent };

    painter.add(Shape::line(arc(-HALF_TURN, HALF_TURN), Stroke::new(3.5, theme::SUNKEN)));
    if (here - origin).abs() > 1e-3 {
        painter.add(Shape::line(arc(angle(origin), angle(here)), Stroke::new(3.5, color)));
    }
    let face = if lit { theme::RAISED_HOVER } else { theme::RAISED };
    painter.circle_filled(center, radius - 5.0, face);
    let pointer = if off { theme::MUTED } else { theme::TEXT };
    painter.line_segment([at(angle(here), 5.0), at(angle(here), radius - 6.5)], Stroke::new(2.0, pointer));
    if focus {
        painter.rect_stroke(dial.expand(1.0), theme::RADIUS, Stroke::new(1.0, theme::NEUTRAL), StrokeKind::Outside);
    }
}

/// The text field in place of the value.
fn type_in(ui: &mut Ui, hands: &mut Hands, controls: &dyn Controls, rect: Rect, view: &View<'_>) {
    let Some(edit) = &mut hands.edit else { return };
    edit.seen = true;
    let id = Hands::id(view.control).with("edit");
    if edit.opened {
        edit.opened = false;
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
    if response.lost_focus() {
        let (enter, escape) = ui.input(|i| (i.key_pressed(Key::Enter), i.key_pressed(Key::Escape)));
        match view.parameter.parse(&edit.text) {
            _ if escape => hands.edit = None,
            Ok(value) => {
                hands.edit = None;
                hands.set(controls, view.control, value);
            }
            Err(error) if enter => {
                edit.error = Some(error.to_string());
                edit.opened = true;
            }
            // Left without a word: the value stays.
            Err(_) => hands.edit = None,
        }
    }
    if let Some(error) = hands.edit.as_ref().and_then(|e| e.error.as_deref()) {
        Tooltip::always_open(ui.ctx().clone(), ui.layer_id(), id.with("error"), rect)
            .show(|ui| ui.colored_label(theme::ALARM, error));
    }
}
