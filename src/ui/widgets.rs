//! Widgets at given places: buttons, switches, choices, drop-down lists and text fields.

use std::any::TypeId;
use std::fmt::Debug;
use std::hash::Hash;

use egui::{
    Align2, Color32, ComboBox, Id, Key, Margin, Rect, Response, Role, Sense, Stroke, StrokeKind, TextEdit, Ui, UiBuilder,
    WidgetInfo, pos2, vec2,
};

use super::{
    Control, Controls,
    gestures::Gestures,
    knob::{self, ParameterView},
    theme,
};
use crate::dsp::{Parameter, ParameterKind};

/// Height of the row of a switch or choice, with its name on the left.
pub(super) const ROW_HEIGHT: f32 = 28.0;
/// Share of a row's width that the name takes.
const NAME_SHARE: f32 = 0.34;
/// Smallest width of the name: that of a long one ("Render oversampling") in the smallest font, with the mark of structural
/// parameters.
const MIN_NAME_WIDTH: f32 = 113.0;
/// Space at each side of the text in a segment of a choice.
const SEGMENT_PADDING: f32 = 5.0;

/// The text, look and state of a button.
pub(super) struct ButtonSpec<'a> {
    /// The accessible name, which screen readers read.
    pub label: &'a str,
    pub text: &'a str,
    /// A second line of text in a small font; may be empty.
    pub second_line: &'a str,
    /// Size of the font of `text`, in logical pixels.
    pub font_size: f32,
    /// True while a button that can stay down is down; None for a button that cannot.
    pub down: Option<bool>,
    /// The button's colour while it is down.
    pub accent: Color32,
    pub enabled: bool,
    /// True if the button keeps its colours while it is not enabled, because they tell something, such as what a take records.
    pub stays_bright: bool,
    /// The accessible role.
    pub role: Role,
}

impl Default for ButtonSpec<'_> {
    fn default() -> Self {
        Self {
            label: "",
            text: "",
            second_line: "",
            font_size: 13.0,
            down: None,
            accent: theme::NEUTRAL,
            enabled: true,
            stays_bright: false,
            role: Role::Button,
        }
    }
}

/// Draws a flat button into `rect`.
pub(super) fn button(ui: &Ui, rect: Rect, id: Id, spec: &ButtonSpec<'_>) -> Response {
    let response = ui.interact(rect, id, if spec.enabled { Sense::click() } else { Sense::hover() });
    draw_button(ui, &response, spec);
    response
}

/// Draws the button that `response` is of.
pub(super) fn draw_button(ui: &Ui, response: &Response, spec: &ButtonSpec<'_>) {
    let rect = response.rect;
    let down = spec.down == Some(true);
    let (fill, text_color) = match (spec.enabled || spec.stays_bright, down) {
        (false, false) => (theme::CARD, theme::mix(theme::CARD, theme::MUTED, 0.5)),
        (false, true) => (theme::mix(theme::CARD, spec.accent, 0.45), theme::TEXT_ON_ACCENT),
        (true, true) => (spec.accent, theme::TEXT_ON_ACCENT),
        (true, false) if response.hovered() || response.is_pointer_button_down_on() => (theme::RAISED_HOVER, theme::TEXT),
        (true, false) => (theme::RAISED, theme::TEXT),
    };
    let painter = ui.painter();
    painter.rect_filled(rect, theme::RADIUS, fill);
    if response.has_focus() {
        painter.rect_stroke(rect, theme::RADIUS, Stroke::new(1.5, theme::TEXT), StrokeKind::Inside);
    }
    let clipped = painter.with_clip_rect(rect.intersect(ui.clip_rect()));
    if spec.second_line.is_empty() {
        clipped.text(rect.center(), Align2::CENTER_CENTER, spec.text, theme::font(spec.font_size), text_color);
    } else {
        let middle = rect.center();
        clipped.text(middle + vec2(0.0, 3.0), Align2::CENTER_BOTTOM, spec.text, theme::font(spec.font_size), text_color);
        clipped.text(middle + vec2(0.0, 3.0), Align2::CENTER_TOP, spec.second_line, theme::font(11.0), text_color);
    }
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(spec.role, spec.enabled, spec.label);
        info.selected = spec.down;
        info
    });
}

/// Draws a row for a parameter that is on or off or a choice among names.
pub(super) fn parameter_row(ui: &mut Ui, gestures: &mut Gestures, controls: &dyn Controls, rect: Rect, view: &ParameterView<'_>) {
    let parameter = view.parameter;
    let value = parameter.clamp(gestures.shown_value(controls, view.control));
    let rect = rect.shrink2(vec2(3.0, 2.0));
    let (left, right) = rect.split_left_right_at_x(rect.left() + (rect.width() * NAME_SHARE).max(MIN_NAME_WIDTH).round());
    let name = ui.interact(left, Gestures::id(view.control).with("name"), Sense::hover());
    knob::draw_name(ui, left.with_max_x(left.right() - 6.0), view, false);
    name.on_hover_ui(|ui| knob::draw_tooltip(ui, parameter));
    match parameter.kind {
        ParameterKind::Toggle { .. } => draw_switch(ui, gestures, controls, right, view, value >= 0.5),
        ParameterKind::Choice { names, .. } => draw_choice(ui, gestures, controls, right, view, names, value as usize),
        ParameterKind::Float { .. } => {}
    }
}

/// Draws a switch. A click sets the other value in a gesture of its own.
fn draw_switch(ui: &Ui, gestures: &mut Gestures, controls: &dyn Controls, rect: Rect, view: &ParameterView<'_>, on: bool) {
    let rect = rect.with_max_x(rect.left() + 36.0).shrink2(vec2(0.0, 3.0));
    let response = ui.interact(rect, Gestures::id(view.control), Sense::click());
    let fill = match (on, response.hovered()) {
        (true, _) => view.accent,
        (false, true) => theme::RAISED_HOVER,
        (false, false) => theme::RAISED,
    };
    let radius = rect.height() / 2.0;
    ui.painter().rect_filled(rect, radius, fill);
    let x = if on { rect.right() - radius } else { rect.left() + radius };
    let thumb = if on { theme::TEXT_ON_ACCENT } else { theme::MUTED };
    ui.painter().circle_filled(pos2(x, rect.center().y), radius - 3.0, thumb);
    if response.has_focus() {
        ui.painter().rect_stroke(rect.expand(1.5), radius + 1.5, Stroke::new(1.0, theme::TEXT), StrokeKind::Outside);
    }
    response.widget_info(|| WidgetInfo::selected(Role::CheckBox, true, on, view.label));
    if response.clicked() {
        gestures.set(controls, view.control, if on { 0.0 } else { 1.0 });
    }
    response.on_hover_ui(|ui| knob::draw_tooltip(ui, view.parameter));
}

/// Draws a choice: as segments if all names fit side by side, otherwise as a drop-down list. `chosen` is the index in `names`.
fn draw_choice(
    ui: &mut Ui,
    gestures: &mut Gestures,
    controls: &dyn Controls,
    rect: Rect,
    view: &ParameterView<'_>,
    names: &'static [&'static str],
    chosen: usize,
) {
    let widths: Vec<f32> = names.iter().map(|n| text_width(ui, n) + 2.0 * SEGMENT_PADDING).collect();
    let spare = rect.width() - widths.iter().sum::<f32>();
    if spare < 0.0 {
        let mut ui = ui.new_child(UiBuilder::new().max_rect(rect).id_salt(view.control));
        let hover = |ui: &mut Ui| knob::draw_tooltip(ui, view.parameter);
        if let Some(i) = drop_down(&mut ui, view.label, rect.width(), names[chosen.min(names.len() - 1)], names, chosen, hover) {
            gestures.set(controls, view.control, i as f32);
        }
        return;
    }
    let group = UiBuilder::new()
        .max_rect(rect)
        .id_salt(view.control)
        .accessibility_role(Role::RadioGroup)
        .accessibility_label(view.label);
    let ui = ui.new_child(group);
    ui.painter().rect_filled(rect, 4, theme::SUNKEN);
    let mut x = rect.left();
    for (i, (name, width)) in names.iter().zip(widths).enumerate() {
        let width = width + spare / names.len() as f32;
        let segment = Rect::from_min_max(pos2(x, rect.top()), pos2(x + width, rect.bottom())).shrink(1.0);
        x += width;
        let on = i == chosen;
        let response = ui.interact(segment, Gestures::id(view.control).with(i), Sense::click());
        let (fill, text_color) = match (on, response.hovered()) {
            (true, _) => (view.accent, theme::TEXT_ON_ACCENT),
            (false, true) => (theme::RAISED_HOVER, theme::TEXT),
            (false, false) => (theme::RAISED, theme::MUTED),
        };
        ui.painter().rect_filled(segment, 4, fill);
        if response.has_focus() {
            ui.painter().rect_stroke(segment, 4, Stroke::new(1.5, theme::TEXT), StrokeKind::Inside);
        }
        ui.painter().text(segment.center(), Align2::CENTER_CENTER, name, theme::font(12.0), text_color);
        let label = format!("{}: {name}", view.label);
        response.widget_info(|| WidgetInfo::selected(Role::RadioButton, true, on, &label));
        if response.clicked() && !on {
            gestures.set(controls, view.control, i as f32);
        }
        response.on_hover_ui(|ui| knob::draw_tooltip(ui, view.parameter));
    }
}

/// Draws a drop-down list and returns the index in `names` if another one was chosen. Closed, it shows the text `shown`; an index
/// `chosen` outside of `names` marks none. `hover` draws its tooltip.
pub(super) fn drop_down(
    ui: &mut Ui,
    label: &str,
    width: f32,
    shown: &str,
    names: &[&str],
    chosen: usize,
    hover: impl FnOnce(&mut Ui),
) -> Option<usize> {
    let mut new = None;
    ui.spacing_mut().interact_size.y = ui.max_rect().height();
    let response = ComboBox::from_id_salt(label).width(width).truncate().selected_text(shown).show_ui(ui, |ui| {
        for (i, name) in names.iter().enumerate() {
            if ui.selectable_label(i == chosen, *name).clicked() && i != chosen {
                new = Some(i);
            }
        }
    });
    response.response.accessible_name(label).on_hover_ui(hover);
    new
}

/// Returns the width of a text in a segment of a choice.
fn text_width(ui: &Ui, text: &str) -> f32 {
    ui.painter().layout_no_wrap(text.into(), theme::font(12.0), theme::TEXT).size().x
}

/// True if a parameter has a knob; the others have a row.
pub(super) const fn has_knob(parameter: &Parameter) -> bool {
    matches!(parameter.kind, ParameterKind::Float { .. })
}

/// Draws a button that stays down while `control` is 1, and switches it between 0 and 1.
pub(super) fn toggle_button(
    ui: &Ui,
    gestures: &mut Gestures,
    controls: &dyn Controls,
    rect: Rect,
    control: Control,
    name: &str,
) -> Response {
    let on = gestures.shown_value(controls, control) >= 0.5;
    let spec = ButtonSpec { label: name, text: name, down: Some(on), role: Role::CheckBox, ..ButtonSpec::default() };
    let response = button(ui, rect, Gestures::id(control), &spec);
    if response.clicked() {
        gestures.set(controls, control, if on { 0.0 } else { 1.0 });
    }
    response
}

/// The text, look and state of a text field.
pub(super) struct TextFieldSpec<'a> {
    /// The accessible name, which screen readers read, and the tooltip.
    pub label: &'a str,
    /// The text while nobody types.
    pub value: &'a str,
    /// The text in grey while the field is empty.
    pub hint: &'a str,
    /// Size of the font in logical pixels.
    pub font_size: f32,
    pub enabled: bool,
    /// True if the text keeps its brightness while the field is not enabled.
    pub stays_bright: bool,
}

impl Default for TextFieldSpec<'_> {
    fn default() -> Self {
        Self { label: "", value: "", hint: "", font_size: 13.0, enabled: true, stays_bright: false }
    }
}

/// The text that is being typed into one of several fields, and the `F` that identifies the field; None while nobody types.
#[derive(Debug)]
pub(super) struct TextEntry<F>(Option<(F, String)>);

impl<F> Default for TextEntry<F> {
    fn default() -> Self {
        Self(None)
    }
}

impl<F: Copy + Debug + Eq + Hash + 'static> TextEntry<F> {
    /// Draws a text field. When the keyboard focus leaves it, returns its text if that is new; Escape restores the old text.
    pub fn draw_field(&mut self, ui: &mut Ui, rect: Rect, field: F, spec: &TextFieldSpec<'_>) -> Option<String> {
        let id = Id::unique((TypeId::of::<F>(), field));
        // If the field was not drawn or was disabled for a while, the text that was being typed is dropped.
        let has_focus = ui.memory(|m| m.has_focus(id)) || ui.ctx().read_response(id).is_some_and(|r| r.lost_focus());
        let is_typing = spec.enabled && has_focus;
        let mut text = match &self.0 {
            Some((edited, text)) if *edited == field && is_typing => text.clone(),
            _ => spec.value.to_owned(),
        };
        let margin = if spec.font_size < 13.0 { Margin::symmetric(4, 1) } else { Margin::symmetric(4, 2) };
        let edit = TextEdit::singleline(&mut text).id(id).hint_text(spec.hint).font(theme::font(spec.font_size)).margin(margin);
        let edit = edit.align(Align2::LEFT_CENTER);
        let mut ui = ui.new_child(UiBuilder::new().max_rect(rect));
        // Without a minimum, the field is as high as `rect` even if that is low.
        ui.spacing_mut().interact_size.y = 0.0;
        if spec.stays_bright {
            ui.visuals_mut().disabled_alpha = 1.0;
        }
        let response = ui.add_enabled_ui(spec.enabled, |ui| ui.put(rect, edit)).inner.accessible_name(spec.label);
        if response.changed() {
            self.0 = Some((field, text));
        }
        let is_cancelled = ui.input(|i| i.key_pressed(Key::Escape));
        let lost_focus = response.lost_focus();
        response.on_hover_text(spec.label);
        let (_, text) = self.0.take_if(|(edited, _)| *edited == field && (lost_focus || !is_typing))?;
        (is_typing && !is_cancelled && text != spec.value).then_some(text)
    }

    /// Drops the text that is being typed.
    pub fn cancel(&mut self) {
        self.0 = None;
    }
}
