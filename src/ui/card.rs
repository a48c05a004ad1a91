//! The card of one slot: which algorithm, and all its parameters.

use egui::{Align2, Rect, Role, Sense, Shape, Stroke, StrokeKind, Ui, UiBuilder, WidgetInfo, pos2, vec2};

use super::{choice, hands::Hands, knob, model, model::Browser, theme};
use crate::dsp::Algorithm;
use crate::view::{Control, Controls, ModelView, Slot};

pub(super) const FOLDED_WIDTH: f32 = 44.0;
const PADDING: f32 = 10.0;
const HEAD_HEIGHT: f32 = 28.0;

pub(super) struct View<'a> {
    pub slot: Slot,
    pub registry: &'static [&'static Algorithm],
    /// Position in the registry; `None` if that is empty.
    pub chosen: Option<usize>,
    pub folded: bool,
    pub heard: bool,
    pub model: &'a ModelView,
}

fn columns(width: f32) -> usize {
    ((width - 2.0 * PADDING) / knob::MIN_WIDTH).floor().clamp(1.0, 5.0) as usize
}

/// Height that an algorithm's parameters, or the browser for its models, need at a card's width.
pub(super) fn height(algorithm: &Algorithm, width: f32, browses: bool) -> f32 {
    let bar = if algorithm.model { model::BAR_HEIGHT } else { 0.0 };
    if algorithm.model && browses {
        return 3.0 * PADDING + HEAD_HEIGHT + bar + model::BROWSER_HEIGHT;
    }
    let knobs = algorithm.parameters.iter().filter(|p| choice::has_knob(p)).count();
    let rows = algorithm.parameters.len() - knobs;
    let knob_rows = knobs.div_ceil(columns(width));
    3.0 * PADDING + HEAD_HEIGHT + bar + knob_rows as f32 * knob::HEIGHT + rows as f32 * choice::ROW_HEIGHT
}

/// Draws the card; tells whether the user wants it folded, or open again.
pub(super) fn show(
    ui: &mut Ui,
    hands: &mut Hands,
    controls: &dyn Controls,
    rect: Rect,
    view: &View<'_>,
    browser: &mut Option<Browser>,
) -> bool {
    let accent = theme::accent(view.slot);
    let slot = view.slot.name();
    ui.painter().rect_filled(rect, theme::RADIUS, theme::CARD);
    let edge = if view.heard { accent } else { theme::RAISED };
    ui.painter().rect_stroke(rect, theme::RADIUS, Stroke::new(1.0, edge), StrokeKind::Inside);

    let inside = rect.shrink(PADDING);
    let badge = Rect::from_min_size(inside.min, vec2(24.0, HEAD_HEIGHT)).shrink2(vec2(0.0, 2.0));
    let (fill, ink) = if view.heard { (accent, theme::INK) } else { (theme::RAISED, accent) };
    ui.painter().rect_filled(badge, 4, fill);
    ui.painter().text(badge.center(), Align2::CENTER_CENTER, slot, theme::font(15.0), ink);

    let fold_rect = if view.folded {
        Rect::from_min_size(badge.left_bottom() + vec2(0.0, 6.0), vec2(24.0, 24.0))
    } else {
        Rect::from_min_size(pos2(inside.right() - 20.0, inside.top()), vec2(20.0, HEAD_HEIGHT))
    };
    let fold = fold_button(ui, fold_rect, view);
    if view.folded {
        return fold;
    }
    let Some(chosen) = view.chosen else { return fold };
    let algorithm = view.registry[chosen];

    // Another algorithm from a host or a preset moves the screen too.
    hands.watch(controls, Control::Algorithm(view.slot));
    let chooser = Rect::from_min_max(pos2(badge.right() + 8.0, inside.top() + 2.0), pos2(fold_rect.left() - 6.0, badge.bottom()));
    let mut head = ui.new_child(UiBuilder::new().max_rect(chooser).id_salt(("chooser", slot)));
    let names: Vec<&str> = view.registry.iter().map(|a| a.name).collect();
    let label = format!("{slot} algorithm");
    let hover = |ui: &mut Ui| {
        ui.label(algorithm.description);
        ui.colored_label(theme::MUTED, knob::STRUCTURAL);
    };
    if let Some(i) = choice::list(&mut head, &label, chooser.width(), algorithm.name, &names, chosen, hover) {
        hands.set(controls, Control::Algorithm(view.slot), i as f32);
    }

    let columns = columns(rect.width());
    let cell = vec2(inside.width() / columns as f32, knob::HEIGHT);
    let mut top = inside.top() + HEAD_HEIGHT + PADDING;
    if algorithm.model {
        let bar = Rect::from_min_size(pos2(inside.left(), top), vec2(inside.width(), model::BAR_HEIGHT));
        // From the next frame on: the click that opens it is not one beside its field.
        let browses = browser.as_ref().is_some_and(|b| b.slot == view.slot);
        model::bar(ui, hands, controls, bar, view.slot, view.model, browser);
        top = bar.bottom();
        if browses {
            model::browse(ui, hands, controls, inside.with_min_y(top), view.model, browser);
            return fold;
        }
    }
    let mut knobs = 0;
    for pass_knobs in [true, false] {
        for (index, parameter) in algorithm.parameters.iter().enumerate() {
            if choice::has_knob(parameter) != pass_knobs {
                continue;
            }
            let control = Control::Parameter { slot: view.slot, algorithm: chosen, index };
            let label = format!("{slot} {}", parameter.name);
            let item = knob::View { control, parameter, label: &label, accent };
            if pass_knobs {
                let (row, column) = (knobs / columns, knobs % columns);
                let at = pos2(inside.left() + column as f32 * cell.x, top + row as f32 * cell.y);
                knob::show(ui, hands, controls, Rect::from_min_size(at, cell), &item);
                knobs += 1;
            } else {
                let row = Rect::from_min_size(pos2(inside.left(), top), vec2(inside.width(), choice::ROW_HEIGHT));
                choice::row(ui, hands, controls, row, &item);
                top += choice::ROW_HEIGHT;
            }
        }
        if pass_knobs {
            top += knobs.div_ceil(columns) as f32 * cell.y;
        }
    }
    fold
}

/// A triangle that points to where the card goes.
fn fold_button(ui: &Ui, rect: Rect, view: &View<'_>) -> bool {
    let label = format!("{} {}", if view.folded { "Open" } else { "Fold" }, view.slot.name());
    let response = ui.interact(rect, egui::Id::unique(("isotherm fold", view.slot)), Sense::click());
    let color = if response.hovered() || response.has_focus() { theme::TEXT } else { theme::MUTED };
    let to_right = (view.slot == Slot::A) == view.folded;
    let x = if to_right { 1.0 } else { -1.0 };
    let corners = [vec2(-3.0 * x, -5.0), vec2(4.0 * x, 0.0), vec2(-3.0 * x, 5.0)].map(|v| rect.center() + v);
    ui.painter().add(Shape::convex_polygon(corners.to_vec(), color, Stroke::NONE));
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, &label));
    let clicked = response.clicked();
    let text =
        if view.folded { format!("Open {}", view.slot.name()) } else { format!("More room for {}", view.slot.other().name()) };
    response.on_hover_text(text);
    clicked
}
