//! The strip below the cards: trains the neural twin of slot A into slot B.

use egui::{Align2, Id, Rect, Role, Sense, Ui, UiBuilder, WidgetInfo, pos2, vec2};

use super::{choice, choice::Face, hands::Hands, theme};
use crate::view::{Controls, TWIN_SIZES, TwinStage, TwinView, TwinWish};

pub(super) const HEIGHT: f32 = 38.0;
const PADDING: f32 = 5.0;
const GAP: f32 = 6.0;
const SIZE_WIDTH: f32 = 176.0;
const TRAIN: &str = "Train twin of A into B";
const RUNS_A_MODEL: &str = "A runs a model already: choose another algorithm for A";

/// `ESR 0.0123 (-19.1 dB)`.
fn ratio(esr: f64) -> String {
    format!("ESR {esr:.4} ({:.1} dB)", 10.0 * esr.max(1e-12).log10())
}

fn left(seconds: f32) -> String {
    let seconds = seconds.round() as u32;
    if seconds < 60 { format!("{seconds} s left") } else { format!("{} min {:02} s left", seconds / 60, seconds % 60) }
}

fn joined(parts: &[&str]) -> String {
    let parts: Vec<&str> = parts.iter().copied().filter(|p| !p.is_empty()).collect();
    parts.join(" \u{b7} ")
}

/// Draws the strip. `size` is what is chosen in its list.
pub(super) fn show(
    ui: &mut Ui,
    hands: &mut Hands,
    controls: &dyn Controls,
    rect: Rect,
    view: &TwinView,
    a_runs_model: bool,
    size: &mut usize,
) {
    ui.painter().rect_filled(rect, theme::RADIUS, theme::CARD);
    let inside = rect.shrink(PADDING);
    let mut wish = None;
    // From the right to the left.
    let mut end = inside.right();
    let mut button = |ui: &Ui, width: f32, label: &str, text: &str, tip: &str, asks: TwinWish| {
        let rect = Rect::from_min_max(pos2(end - width, inside.top()), pos2(end, inside.bottom()));
        end = rect.left() - GAP;
        let face = Face { label, text, ..Face::default() };
        let response = choice::button(ui, rect, Id::unique(("isotherm twin", label)), &face);
        if response.clicked() {
            wish = Some(asks);
        }
        response.on_hover_text(tip);
    };
    match &view.stage {
        TwinStage::Idle | TwinStage::Failed(_) => {
            let train = inside.with_max_x(inside.left() + 176.0);
            let face = Face { label: TRAIN, text: TRAIN, enabled: !a_runs_model, ..Face::default() };
            let response = choice::button(ui, train, Id::unique("isotherm twin train"), &face);
            if response.clicked() {
                wish = Some(TwinWish::Train(*size));
            }
            response.on_hover_text("Trains a neural network, beside the sound, to do what slot A does as it is set now");
            let list = Rect::from_min_size(pos2(train.right() + GAP, inside.top()), vec2(SIZE_WIDTH, inside.height()));
            let mut child = ui.new_child(UiBuilder::new().max_rect(list).id_salt("twin size"));
            let names = TWIN_SIZES.map(|s| s.name);
            let tip = |ui: &mut Ui| {
                ui.label("Larger and longer comes closer to A, and costs more to play");
            };
            if let Some(new) = choice::list(&mut child, "Twin size", SIZE_WIDTH, names[*size], &names, *size, tip) {
                *size = new;
                hands.busy = true;
            }
            let text = inside.with_min_x(list.right() + 2.0 * GAP);
            match (&view.stage, a_runs_model) {
                (_, true) => said(ui, text, RUNS_A_MODEL, theme::MUTED),
                (TwinStage::Failed(why), false) => said(ui, text, why, theme::ALARM),
                _ => {}
            }
        }
        TwinStage::Training { name, note, done, left_seconds, esr } => {
            hands.busy = true;
            button(ui, 70.0, "Cancel twin", "Cancel", "Ends the training; nothing is kept", TwinWish::Cancel);
            let bar = inside.with_max_x(end);
            ui.painter().rect_filled(bar, 4, theme::SUNKEN);
            let filled = bar.with_max_x(bar.left() + bar.width() * done.clamp(0.0, 1.0));
            ui.painter().rect_filled(filled, 4, theme::mix(theme::SUNKEN, theme::WARM, 0.45));
            let how_far = if *done > 0.0 { format!("{:.0} %", 100.0 * done) } else { "Playing A to learn from \u{2026}".into() };
            let parts =
                [&how_far, &left_seconds.map_or_else(String::new, left), &esr.map_or_else(String::new, ratio), name, note];
            said(ui, bar.shrink2(vec2(8.0, 0.0)), &joined(&parts.map(String::as_str)), theme::TEXT);
        }
        TwinStage::Done { name, note, esr, size, placed, saved, error } => {
            button(ui, 24.0, "Dismiss twin", "\u{d7}", "Forgets the result; what slot B has stays", TwinWish::Dismiss);
            if saved.is_none() {
                button(ui, 54.0, "Save twin", "Save", "As a file among your twins", TwinWish::Save);
            }
            if !placed && !view.coming {
                let longer = size + 1;
                if longer < TWIN_SIZES.len() {
                    let tip = format!("A as it is set now, anew: {}", TWIN_SIZES[longer].name);
                    button(ui, 96.0, "Train twin longer", "Train longer", &tip, TwinWish::Train(longer));
                }
                button(ui, 96.0, "Use twin anyway", "Use it in B", "Slot B gets this model as it is", TwinWish::Use);
            }
            let text = inside.with_min_x(inside.left() + 4.0).with_max_x(end);
            let place = match (placed, view.coming) {
                (true, _) => "in slot B",
                (false, true) => "on its way into slot B",
                (false, false) => "not in slot B",
            };
            let file = saved.as_ref().map_or_else(String::new, |p| format!("saved as {}", p.display()));
            match error {
                Some(error) => said(ui, text, error, theme::ALARM),
                None => said(ui, text, &joined(&[&ratio(*esr), place, name, note, &file]), theme::TEXT),
            }
        }
    }
    if let Some(wish) = wish {
        act(hands, controls, wish);
    }
}

/// An owner may tell its host by gestures of its own.
pub(super) fn act(hands: &mut Hands, controls: &dyn Controls, wish: TwinWish) {
    hands.let_go(controls);
    hands.busy = true;
    controls.twin(wish);
}

/// A line of text, cut to its place; all of it is in the tip.
fn said(ui: &Ui, rect: Rect, text: &str, color: egui::Color32) {
    let galley = theme::line(ui, text, &[12.0, 11.0, 10.0], color, rect.width());
    let at = Align2::LEFT_CENTER.align_size_within_rect(galley.size(), rect).min;
    ui.painter().galley(at, galley, color);
    let response = ui.interact(rect, Id::unique("isotherm twin says"), Sense::hover());
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(Role::Status, true, "Twin");
        info.current_text_value = Some(text.to_owned());
        info
    });
    response.on_hover_text(text);
}
