//! What is pressed and typed: buttons, switches, one of some names, and fields.

use std::any::TypeId;
use std::fmt::Debug;
use std::hash::Hash;

use egui::{
    Align2, Color32, ComboBox, Id, Key, Margin, Rect, Response, Role, Sense, Stroke, StrokeKind, TextEdit, Ui, UiBuilder,
    WidgetInfo, pos2, vec2,
};

use super::{
    Control, Controls,
    hands::Hands,
    knob::{self, View},
    theme,
};
use crate::dsp::{Kind, Parameter};

/// A row with a name on its left.
pub(super) const ROW_HEIGHT: f32 = 28.0;
/// Share of a row for the name, and the least width: a long name ("Oversampling") with its mark.
const NAME_SHARE: f32 = 0.34;
const NAME_WIDTH: f32 = 92.0;
/// Space at both sides of a segment's text.
const SEGMENT_PADDING: f32 = 5.0;

/// A button's face.
pub(super) struct Face<'a> {
    /// For those who hear the screen.
    pub label: &'a str,
    pub text: &'a str,
    /// A second, smaller line.
    pub below: &'a str,
    pub size: f32,
    /// `None` for a button that does not stay down.
    pub down: Option<bool>,
    pub accent: Color32,
    pub enabled: bool,
    pub role: Role,
}

impl Default for Face<'_> {
    fn default() -> Self {
        Self { label: "", text: "", below: "", size: 13.0, down: None, accent: theme::NEUTRAL, enabled: true, role: Role::Button }
    }
}

/// A flat button at a given place.
pub(super) fn button(ui: &Ui, rect: Rect, id: Id, face: &Face<'_>) -> Response {
    let response = ui.interact(rect, id, if face.enabled { Sense::click() } else { Sense::hover() });
    let down = face.down == Some(true);
    let (fill, ink) = match (face.enabled, down) {
        (false, false) => (theme::CARD, theme::mix(theme::CARD, theme::MUTED, 0.5)),
        (false, true) => (theme::mix(theme::CARD, face.accent, 0.45), theme::INK),
        (true, true) => (face.accent, theme::INK),
        (true, false) if response.hovered() || response.is_pointer_button_down_on() => (theme::RAISED_HOVER, theme::TEXT),
        (true, false) => (theme::RAISED, theme::TEXT),
    };
    let painter = ui.painter();
    painter.rect_filled(rect, theme::RADIUS, fill);
    if response.has_focus() {
        painter.rect_stroke(rect, theme::RADIUS, Stroke::new(1.5, theme::TEXT), StrokeKind::Inside);
    }
    let inside = painter.with_clip_rect(rect.intersect(ui.clip_rect()));
    if face.below.is_empty() {
        inside.text(rect.center(), Align2::CENTER_CENTER, face.text, theme::font(face.size), ink);
    } else {
        let middle = rect.center();
        inside.text(middle + vec2(0.0, 3.0), Align2::CENTER_BOTTOM, face.text, theme::font(face.size), ink);
        inside.text(middle + vec2(0.0, 3.0), Align2::CENTER_TOP, face.below, theme::font(11.0), ink);
    }
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(face.role, face.enabled, face.label);
        info.selected = face.down;
        info
    });
    response
}

/// A row for a parameter that is no number.
pub(super) fn row(ui: &mut Ui, hands: &mut Hands, controls: &dyn Controls, rect: Rect, view: &View<'_>) {
    let parameter = view.parameter;
    let value = parameter.clamp(hands.watch(controls, view.control));
    let rect = rect.shrink2(vec2(3.0, 2.0));
    let (left, right) = rect.split_left_right_at_x(rect.left() + (rect.width() * NAME_SHARE).max(NAME_WIDTH).round());
    let named = ui.interact(left, Hands::id(view.control).with("name"), Sense::hover());
    knob::name(ui, left.with_max_x(left.right() - 6.0), parameter, false);
    named.on_hover_ui(|ui| knob::tooltip(ui, parameter));
    match parameter.kind {
        Kind::Toggle { .. } => switch(ui, hands, controls, right, view, value >= 0.5),
        Kind::Choice { names, .. } => one_of(ui, hands, controls, right, view, names, value as usize),
        Kind::Float { .. } => {}
    }
}

fn switch(ui: &Ui, hands: &mut Hands, controls: &dyn Controls, rect: Rect, view: &View<'_>, on: bool) {
    let rect = rect.with_max_x(rect.left() + 36.0).shrink2(vec2(0.0, 3.0));
    let response = ui.interact(rect, Hands::id(view.control), Sense::click());
    let fill = match (on, response.hovered()) {
        (true, _) => view.accent,
        (false, true) => theme::RAISED_HOVER,
        (false, false) => theme::RAISED,
    };
    let radius = rect.height() / 2.0;
    ui.painter().rect_filled(rect, radius, fill);
    let x = if on { rect.right() - radius } else { rect.left() + radius };
    let knob = if on { theme::INK } else { theme::MUTED };
    ui.painter().circle_filled(pos2(x, rect.center().y), radius - 3.0, knob);
    if response.has_focus() {
        ui.painter().rect_stroke(rect.expand(1.5), radius + 1.5, Stroke::new(1.0, theme::TEXT), StrokeKind::Outside);
    }
    response.widget_info(|| WidgetInfo::selected(Role::CheckBox, true, on, view.label));
    if response.clicked() {
        hands.set(controls, view.control, if on { 0.0 } else { 1.0 });
    }
    response.on_hover_ui(|ui| knob::tooltip(ui, view.parameter));
}

/// Segments if all names fit side by side, else a list to open.
fn one_of(
    ui: &mut Ui,
    hands: &mut Hands,
    controls: &dyn Controls,
    rect: Rect,
    view: &View<'_>,
    names: &'static [&'static str],
    chosen: usize,
) {
    let widths: Vec<f32> = names.iter().map(|n| text_width(ui, n) + 2.0 * SEGMENT_PADDING).collect();
    let spare = rect.width() - widths.iter().sum::<f32>();
    if spare < 0.0 {
        let mut ui = ui.new_child(UiBuilder::new().max_rect(rect).id_salt(view.control));
        let hover = |ui: &mut Ui| knob::tooltip(ui, view.parameter);
        if let Some(i) = list(&mut ui, view.label, rect.width(), names[chosen.min(names.len() - 1)], names, chosen, hover) {
            hands.set(controls, view.control, i as f32);
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
        let response = ui.interact(segment, Hands::id(view.control).with(i), Sense::click());
        let (fill, ink) = match (on, response.hovered()) {
            (true, _) => (view.accent, theme::INK),
            (false, true) => (theme::RAISED_HOVER, theme::TEXT),
            (false, false) => (theme::RAISED, theme::MUTED),
        };
        ui.painter().rect_filled(segment, 4, fill);
        if response.has_focus() {
            ui.painter().rect_stroke(segment, 4, Stroke::new(1.5, theme::TEXT), StrokeKind::Inside);
        }
        ui.painter().text(segment.center(), Align2::CENTER_CENTER, name, theme::font(12.0), ink);
        let label = format!("{}: {name}", view.label);
        response.widget_info(|| WidgetInfo::selected(Role::RadioButton, true, on, &label));
        if response.clicked() && !on {
            hands.set(controls, view.control, i as f32);
        }
        response.on_hover_ui(|ui| knob::tooltip(ui, view.parameter));
    }
}

/// A list to open; gives what was chosen anew.
pub(super) fn list(
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

fn text_width(ui: &Ui, text: &str) -> f32 {
    ui.painter().layout_no_wrap(text.into(), theme::font(12.0), theme::TEXT).size().x
}

/// Whether a parameter has a knob; others have a row.
pub(super) const fn has_knob(parameter: &Parameter) -> bool {
    matches!(parameter.kind, Kind::Float { .. })
}

/// A button of the header that switches a control of 0 or 1.
pub(super) fn toggle(ui: &Ui, hands: &mut Hands, controls: &dyn Controls, rect: Rect, control: Control, name: &str) -> Response {
    let on = hands.watch(controls, control) >= 0.5;
    let face = Face { label: name, text: name, down: Some(on), role: Role::CheckBox, ..Face::default() };
    let response = button(ui, rect, Hands::id(control), &face);
    if response.clicked() {
        hands.set(controls, control, if on { 0.0 } else { 1.0 });
    }
    response
}

/// A field's face.
pub(super) struct Text<'a> {
    /// For those who hear the screen, and the tip.
    pub label: &'a str,
    pub value: &'a str,
    /// What is read while it is empty.
    pub hint: &'a str,
    pub size: f32,
    pub enabled: bool,
}

impl Default for Text<'_> {
    fn default() -> Self {
        Self { label: "", value: "", hint: "", size: 13.0, enabled: true }
    }
}

/// What is being typed, into one of the fields that an `F` tells apart.
#[derive(Debug)]
pub(super) struct Typing<F>(Option<(F, String)>);

impl<F> Default for Typing<F> {
    fn default() -> Self {
        Self(None)
    }
}

impl<F: Copy + Debug + Eq + Hash + 'static> Typing<F> {
    /// What was typed, once the field is left; Escape leaves it as it was.
    pub fn field(&mut self, ui: &mut Ui, rect: Rect, field: F, face: &Text<'_>) -> Option<String> {
        let id = Id::unique((TypeId::of::<F>(), field));
        // It may have been out of sight, or disabled, while it was typed into.
        let typed = ui.memory(|m| m.has_focus(id)) || ui.ctx().read_response(id).is_some_and(|r| r.lost_focus());
        let typed = face.enabled && typed;
        let mut text = match &self.0 {
            Some((edited, text)) if *edited == field && typed => text.clone(),
            _ => face.value.to_owned(),
        };
        let margin = if face.size < 13.0 { Margin::symmetric(4, 1) } else { Margin::symmetric(4, 2) };
        let edit = TextEdit::singleline(&mut text).id(id).hint_text(face.hint).font(theme::font(face.size)).margin(margin);
        let edit = edit.align(Align2::LEFT_CENTER);
        let mut ui = ui.new_child(UiBuilder::new().max_rect(rect));
        // A field is as high as its place, however low.
        ui.spacing_mut().interact_size.y = 0.0;
        let response = ui.add_enabled_ui(face.enabled, |ui| ui.put(rect, edit)).inner.accessible_name(face.label);
        if response.changed() {
            self.0 = Some((field, text));
        }
        let escaped = ui.input(|i| i.key_pressed(Key::Escape));
        let left = response.lost_focus();
        response.on_hover_text(face.label);
        let (_, text) = self.0.take_if(|(edited, _)| *edited == field && (left || !typed))?;
        (typed && !escaped && text != face.value).then_some(text)
    }

    pub fn forget(&mut self) {
        self.0 = None;
    }
}
