//! The card of a slot: the choice of its algorithm, and all parameters of that algorithm.

use egui::{Align2, Rect, Role, Sense, Shape, Stroke, StrokeKind, Ui, UiBuilder, WidgetInfo, pos2, vec2};

use super::{gestures::Gestures, knob, model_browser, model_browser::ModelBrowser, theme, widgets};
use crate::dsp::Algorithm;
use crate::view::{Control, Controls, ModelView, ParameterUse, Slot};

/// Width of a card that is folded.
pub(super) const FOLDED_WIDTH: f32 = 44.0;
const PADDING: f32 = 10.0;
/// Height of the row of slot letter, algorithm and fold button.
const HEAD_HEIGHT: f32 = 28.0;

/// A slot, as its card shows it.
pub(super) struct CardView<'a> {
    pub slot: Slot,
    pub registry: &'static [&'static Algorithm],
    /// Index of the slot's algorithm in the registry; None if the registry is empty.
    pub algorithm: Option<usize>,
    pub folded: bool,
    /// True if the listen switch lets this slot through.
    pub audible: bool,
    /// The slot's model, which is shown if the algorithm plays one.
    pub model: &'a ModelView,
    /// Number of channels that run.
    pub channels: usize,
}

/// Returns the use that a slot makes of a parameter of its algorithm: without a model there are no knobs and no sizes of one.
fn parameter_use(algorithm: &Algorithm, model: &ModelView, index: usize) -> ParameterUse {
    if !algorithm.plays_model {
        return ParameterUse::Used;
    }
    let uses = model.model.as_ref().map_or(&model.uses_without_model, |facts| &facts.parameter_uses);
    uses.get(index).cloned().unwrap_or_default()
}

/// Returns the indices of the parameters that have an effect in a slot.
fn shown_parameters<'a>(algorithm: &'a Algorithm, model: &'a ModelView) -> impl Iterator<Item = usize> + 'a {
    (0..algorithm.parameters.len()).filter(|index| parameter_use(algorithm, model, *index) != ParameterUse::Unused)
}

/// Returns the number of columns of knobs in a card.
fn columns(width: f32) -> usize {
    ((width - 2.0 * PADDING) / knob::MIN_WIDTH).floor().clamp(1.0, 5.0) as usize
}

/// Returns the height that a card of this width needs for an algorithm's parameters, or for the browser of its models.
pub(super) fn height(algorithm: &Algorithm, model: &ModelView, width: f32, is_browsing: bool) -> f32 {
    let bar = if algorithm.plays_model { model_browser::bar_height(model) } else { 0.0 };
    if algorithm.plays_model && is_browsing {
        return 3.0 * PADDING + HEAD_HEIGHT + bar + model_browser::BROWSER_HEIGHT;
    }
    let knobs = shown_parameters(algorithm, model).filter(|index| widgets::has_knob(&algorithm.parameters[*index])).count();
    let rows = shown_parameters(algorithm, model).count() - knobs;
    let knob_rows = knobs.div_ceil(columns(width));
    3.0 * PADDING + HEAD_HEIGHT + bar + knob_rows as f32 * knob::HEIGHT + rows as f32 * widgets::ROW_HEIGHT
}

/// Draws the card. Returns true if the user clicks the button that folds or opens it.
pub(super) fn show(
    ui: &mut Ui,
    gestures: &mut Gestures,
    controls: &dyn Controls,
    rect: Rect,
    view: &CardView<'_>,
    browser: &mut Option<ModelBrowser>,
) -> bool {
    let accent = theme::accent(view.slot);
    let slot = view.slot.name();
    ui.painter().rect_filled(rect, theme::RADIUS, theme::CARD);
    let edge = if view.audible { accent } else { theme::RAISED };
    ui.painter().rect_stroke(rect, theme::RADIUS, Stroke::new(1.0, edge), StrokeKind::Inside);

    let inside = rect.shrink(PADDING);
    let badge = Rect::from_min_size(inside.min, vec2(24.0, HEAD_HEIGHT)).shrink2(vec2(0.0, 2.0));
    let (fill, text_color) = if view.audible { (accent, theme::TEXT_ON_ACCENT) } else { (theme::RAISED, accent) };
    ui.painter().rect_filled(badge, 4, fill);
    ui.painter().text(badge.center(), Align2::CENTER_CENTER, slot, theme::font(15.0), text_color);

    let fold_rect = if view.folded {
        Rect::from_min_size(badge.left_bottom() + vec2(0.0, 6.0), vec2(24.0, 24.0))
    } else {
        Rect::from_min_size(pos2(inside.right() - 20.0, inside.top()), vec2(20.0, HEAD_HEIGHT))
    };
    let fold_clicked = draw_fold_button(ui, fold_rect, view);
    if view.folded {
        return fold_clicked;
    }
    let Some(index) = view.algorithm else { return fold_clicked };
    let algorithm = view.registry[index];

    // Registers the algorithm as a shown value, so that another frame is drawn if a host or a preset has chosen another one.
    gestures.shown_value(controls, Control::Algorithm(view.slot));
    let chooser = Rect::from_min_max(pos2(badge.right() + 8.0, inside.top() + 2.0), pos2(fold_rect.left() - 6.0, badge.bottom()));
    let mut head = ui.new_child(UiBuilder::new().max_rect(chooser).id_salt(("chooser", slot)));
    let names: Vec<&str> = view.registry.iter().map(|a| a.name).collect();
    let label = format!("{slot} algorithm");
    let hover = |ui: &mut Ui| {
        ui.label(algorithm.description);
        ui.colored_label(theme::MUTED, knob::STRUCTURAL_TIP);
    };
    if let Some(i) = widgets::drop_down(&mut head, &label, chooser.width(), algorithm.name, &names, index, hover) {
        gestures.set(controls, Control::Algorithm(view.slot), i as f32);
    }

    let columns = columns(rect.width());
    let cell = vec2(inside.width() / columns as f32, knob::HEIGHT);
    let mut top = inside.top() + HEAD_HEIGHT + PADDING;
    if algorithm.plays_model {
        let bar = Rect::from_min_size(pos2(inside.left(), top), vec2(inside.width(), model_browser::bar_height(view.model)));
        // A browser that a click opens in this frame is drawn in the next frame. Drawn at once, its text field would lose
        // the focus again, because egui would take the same click for one outside of the field.
        let is_browsing = browser.as_ref().is_some_and(|b| b.slot == view.slot);
        model_browser::draw_bar(ui, gestures, controls, bar, view, browser);
        top = bar.bottom();
        if is_browsing {
            model_browser::draw_browser(ui, gestures, controls, inside.with_min_y(top), view.model, browser);
            return fold_clicked;
        }
    }
    let mut knobs = 0;
    for draw_knobs in [true, false] {
        for parameter_index in shown_parameters(algorithm, view.model) {
            let parameter = &algorithm.parameters[parameter_index];
            if widgets::has_knob(parameter) != draw_knobs {
                continue;
            }
            let control = Control::Parameter { slot: view.slot, algorithm: index, index: parameter_index };
            let use_of = parameter_use(algorithm, view.model, parameter_index);
            let name = if let ParameterUse::Named(name) = &use_of { name } else { parameter.name };
            let label = format!("{slot} {name}");
            let item = knob::ParameterView { control, parameter, name, label: &label, accent };
            if draw_knobs {
                let (row, column) = (knobs / columns, knobs % columns);
                let at = pos2(inside.left() + column as f32 * cell.x, top + row as f32 * cell.y);
                knob::show(ui, gestures, controls, Rect::from_min_size(at, cell), &item);
                knobs += 1;
            } else {
                let row = Rect::from_min_size(pos2(inside.left(), top), vec2(inside.width(), widgets::ROW_HEIGHT));
                widgets::parameter_row(ui, gestures, controls, row, &item);
                top += widgets::ROW_HEIGHT;
            }
        }
        if draw_knobs {
            top += knobs.div_ceil(columns) as f32 * cell.y;
        }
    }
    fold_clicked
}

/// Draws the fold button, a triangle that points the way that the card's edge will move. Returns true if it is clicked.
fn draw_fold_button(ui: &Ui, rect: Rect, view: &CardView<'_>) -> bool {
    let label = format!("{} {}", if view.folded { "Open" } else { "Fold" }, view.slot.name());
    let response = ui.interact(rect, egui::Id::unique(("isotherm fold", view.slot)), Sense::click());
    let color = if response.hovered() || response.has_focus() { theme::TEXT } else { theme::MUTED };
    let points_right = (view.slot == Slot::A) == view.folded;
    let x = if points_right { 1.0 } else { -1.0 };
    let corners = [vec2(-3.0 * x, -5.0), vec2(4.0 * x, 0.0), vec2(-3.0 * x, 5.0)].map(|v| rect.center() + v);
    ui.painter().add(Shape::convex_polygon(corners.to_vec(), color, Stroke::NONE));
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, &label));
    let clicked = response.clicked();
    let text =
        if view.folded { format!("Open {}", view.slot.name()) } else { format!("More room for {}", view.slot.other().name()) };
    response.on_hover_text(text);
    clicked
}
