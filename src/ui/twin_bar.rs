//! The bar below the slot cards, which trains the neural twin of slot A and loads it into slot B.

use egui::{Align2, Id, Rect, Role, Sense, Ui, UiBuilder, WidgetInfo, pos2, vec2};

use super::{gestures::Gestures, theme, widgets, widgets::ButtonSpec};
use crate::view::{Controls, TWIN_SIZES, TwinRequest, TwinStage, TwinView};

/// Height of the bar.
pub(super) const HEIGHT: f32 = 38.0;
const PADDING: f32 = 5.0;
const GAP: f32 = 6.0;
/// Width of the list of twin sizes.
const SIZE_WIDTH: f32 = 176.0;
/// Text of the button that starts a training.
const TRAIN_TEXT: &str = "Train twin of A into B";
/// Status while slot A plays a model: twins of models are not trained.
const A_PLAYS_MODEL_TEXT: &str = "A runs a model already: choose another algorithm for A";

/// Returns an error-to-signal ratio (a power ratio) as text: `ESR 0.0123 (-19.1 dB)`.
fn esr_text(esr: f64) -> String {
    format!("ESR {esr:.4} ({:.1} dB)", 10.0 * esr.max(1e-12).log10())
}

/// Returns an error-to-signal ratio (a power ratio) as words on how alike two sounds are. The limits are those of the trainer of
/// neural-amp-modeler (`nam/train/core.py`): below 0.01 it is "great", below 0.035 "not bad", below 0.1 it "might sound ok".
fn likeness_text(esr: f64) -> &'static str {
    match esr {
        esr if esr < 0.01 => "sounds the same, or nearly",
        esr if esr < 0.035 => "sounds a little different",
        esr if esr < 0.1 => "sounds different",
        _ => "sounds clearly different",
    }
}

/// Returns the estimated time left as text: `1 min 05 s left`.
fn time_left_text(seconds: f32) -> String {
    let seconds = seconds.round() as u32;
    if seconds < 60 { format!("{seconds} s left") } else { format!("{} min {:02} s left", seconds / 60, seconds % 60) }
}

/// Joins the parts that are not empty, with dots between them.
fn join_parts(parts: &[&str]) -> String {
    let parts: Vec<&str> = parts.iter().copied().filter(|p| !p.is_empty()).collect();
    parts.join(" \u{b7} ")
}

/// Draws the bar. `size` is the chosen index in [`TWIN_SIZES`]; `a_plays_model` is true if slot A plays a model.
pub(super) fn show(
    ui: &mut Ui,
    gestures: &mut Gestures,
    controls: &dyn Controls,
    rect: Rect,
    view: &TwinView,
    a_plays_model: bool,
    size: &mut usize,
) {
    ui.painter().rect_filled(rect, theme::RADIUS, theme::CARD);
    let inside = rect.shrink(PADDING);
    let mut clicked = None;
    // Buttons are placed from the right to the left; `end` is the right edge of the next one.
    let mut end = inside.right();
    let mut button = |ui: &Ui, width: f32, label: &str, text: &str, tip: &str, request: TwinRequest| {
        let rect = Rect::from_min_max(pos2(end - width, inside.top()), pos2(end, inside.bottom()));
        end = rect.left() - GAP;
        let spec = ButtonSpec { label, text, ..ButtonSpec::default() };
        let response = widgets::button(ui, rect, Id::unique(("isotherm twin", label)), &spec);
        if response.clicked() {
            clicked = Some(request);
        }
        response.on_hover_text(tip);
    };
    match &view.stage {
        TwinStage::Idle | TwinStage::Failed(_) => {
            let train = inside.with_max_x(inside.left() + 176.0);
            let spec = ButtonSpec { label: TRAIN_TEXT, text: TRAIN_TEXT, enabled: !a_plays_model, ..ButtonSpec::default() };
            let response = widgets::button(ui, train, Id::unique("isotherm twin train"), &spec);
            if response.clicked() {
                clicked = Some(TwinRequest::Train(*size));
            }
            response.on_hover_text("Trains a neural network in the background to do what slot A does as it is set now");
            let list = Rect::from_min_size(pos2(train.right() + GAP, inside.top()), vec2(SIZE_WIDTH, inside.height()));
            let mut child = ui.new_child(UiBuilder::new().max_rect(list).id_salt("twin size"));
            let names = TWIN_SIZES.map(|s| s.name);
            let tip = |ui: &mut Ui| {
                ui.label("A larger network comes closer to A, takes longer to train and costs more to play");
            };
            if let Some(new) = widgets::drop_down(&mut child, "Twin size", SIZE_WIDTH, names[*size], &names, *size, tip) {
                *size = new;
                gestures.needs_frame = true;
            }
            let text_rect = inside.with_min_x(list.right() + 2.0 * GAP);
            match (&view.stage, a_plays_model) {
                (_, true) => draw_status(ui, text_rect, A_PLAYS_MODEL_TEXT, A_PLAYS_MODEL_TEXT, theme::MUTED),
                (TwinStage::Failed(reason), false) => draw_status(ui, text_rect, reason, reason, theme::ALARM),
                _ => {}
            }
        }
        TwinStage::Training { name, note, done, left_seconds, esr } => {
            gestures.needs_frame = true;
            button(ui, 70.0, "Cancel twin", "Cancel", "Ends the training; nothing is kept", TwinRequest::Cancel);
            let bar = inside.with_max_x(end);
            ui.painter().rect_filled(bar, 4, theme::SUNKEN);
            let filled = bar.with_max_x(bar.left() + bar.width() * done.clamp(0.0, 1.0));
            ui.painter().rect_filled(filled, 4, theme::mix(theme::SUNKEN, theme::WARM, 0.45));
            let progress = if *done > 0.0 { format!("{:.0} %", 100.0 * done) } else { "Playing A to learn from \u{2026}".into() };
            let time_left = left_seconds.map_or_else(String::new, time_left_text);
            let likeness = esr.map_or("", likeness_text);
            let text = join_parts(&[&progress, &time_left, likeness, name, note]);
            let figure = esr.map_or_else(String::new, esr_text);
            draw_status(ui, bar.shrink2(vec2(8.0, 0.0)), &text, &join_parts(&[&text, &figure]), theme::TEXT);
        }
        TwinStage::Done { name, note, esr, size, plays_in_b, saved, error } => {
            button(ui, 24.0, "Dismiss twin", "\u{d7}", "Forgets the result; what slot B has stays", TwinRequest::Dismiss);
            if saved.is_none() {
                button(ui, 54.0, "Save twin", "Save", "Saves the model as a file in your folder of twins", TwinRequest::Save);
            }
            if !plays_in_b && !view.starting_in_b {
                let next_size = size + 1;
                if next_size < TWIN_SIZES.len() {
                    let tip = format!("Trains again, with A as it is set now: {}", TWIN_SIZES[next_size].name);
                    button(ui, 96.0, "Train twin longer", "Train longer", &tip, TwinRequest::Train(next_size));
                }
                button(ui, 96.0, "Use twin anyway", "Use it in B", "Slot B gets this model as it is", TwinRequest::LoadIntoB);
            }
            let text_rect = inside.with_min_x(inside.left() + 4.0).with_max_x(end);
            let place = match (plays_in_b, view.starting_in_b) {
                (true, _) => "in slot B",
                (false, true) => "on its way into slot B",
                (false, false) => "not in slot B",
            };
            let file = saved.as_ref().map_or_else(String::new, |p| format!("saved as {}", p.display()));
            match error {
                Some(error) => draw_status(ui, text_rect, error, error, theme::ALARM),
                None => {
                    let is_good = *plays_in_b || view.starting_in_b;
                    let advice = if is_good || size + 1 >= TWIN_SIZES.len() { "" } else { ": train longer" };
                    let likeness = format!("{}{advice}", likeness_text(*esr));
                    let text = join_parts(&[&likeness, place, name, note, &file]);
                    draw_status(ui, text_rect, &text, &join_parts(&[&text, &esr_text(*esr)]), theme::TEXT);
                }
            }
        }
    }
    if let Some(request) = clicked {
        send_request(gestures, controls, request);
    }
}

/// Passes a request about the twin on to the owner of the window.
pub(super) fn send_request(gestures: &mut Gestures, controls: &dyn Controls, request: TwinRequest) {
    // The owner may answer with gestures of its own, and gestures must not nest.
    gestures.end_drag(controls);
    gestures.needs_frame = true;
    controls.request_twin(request);
}

/// Draws the bar's text, in two lines if it is long; `tip` is its tooltip.
fn draw_status(ui: &Ui, rect: Rect, text: &str, tip: &str, color: egui::Color32) {
    let galley = theme::fit_lines(ui, text, &[12.0, 11.0, 10.0], color, rect.size());
    let at = Align2::LEFT_CENTER.align_size_within_rect(galley.size(), rect).min;
    ui.painter().galley(at, galley, color);
    let response = ui.interact(rect, Id::unique("isotherm twin status"), Sense::hover());
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(Role::Status, true, "Twin");
        info.current_text_value = Some(text.to_owned());
        info
    });
    response.on_hover_text(tip);
}
