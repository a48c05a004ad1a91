//! The line above the log about a take that a crash left unfinished, with the button that recovers it.

use egui::{Id, Rect, Ui, pos2};

use super::{PADDING, ProgramAction, ProgramView, UnfinishedTakeView};
use crate::ui::{GAP, theme, widgets, widgets::ButtonSpec};

/// Height of the line, and of the gap below it.
const HEIGHT: f32 = 26.0 + GAP;
const BUTTON_WIDTH: f32 = 78.0;

/// Returns the height of the line with its gap; 0 without an unfinished take.
pub(super) fn height(view: &ProgramView) -> f32 {
    if view.unfinished_takes.is_empty() { 0.0 } else { HEIGHT }
}

/// Draws the line about the take that is being recovered, or about the first unfinished take.
pub(super) fn show(ui: &Ui, rect: Rect, view: &ProgramView, actions: &mut Vec<ProgramAction>) {
    let takes = &view.unfinished_takes;
    let Some(take) = takes.iter().find(|take| take.progress.is_some()).or(takes.first()) else { return };
    ui.painter().rect_filled(rect, theme::RADIUS, theme::CARD);
    let inside = rect.shrink2(egui::vec2(PADDING, 2.0));
    let button = inside.with_min_x(inside.right() - BUTTON_WIDTH);
    let text = status_text(take, takes.len());
    let line = Rect::from_min_max(pos2(inside.left() + 4.0, inside.top()), pos2(button.left() - 8.0, inside.bottom()));
    theme::draw_status(ui, line, "Unfinished take", &text, theme::ALARM, &take.folder.display().to_string());
    let enabled = take.progress.is_none() && !view.recording;
    let spec = ButtonSpec { label: "Recover take", text: "Recover", enabled, ..ButtonSpec::default() };
    let response = widgets::button(ui, button, Id::unique("isotherm recover"), &spec);
    if response.clicked() {
        actions.push(ProgramAction::Recover(take.folder.clone()));
    }
    response.on_hover_text("Recovers and verifies the take in the background; a take that is being recorded goes first");
}

/// Returns the state of a take in one line. `count` is the number of unfinished takes.
fn status_text(take: &UnfinishedTakeView, count: usize) -> String {
    let UnfinishedTakeView { name, progress, is_waiting, .. } = take;
    let others = if count > 1 { format!(" (and {} more)", count - 1) } else { String::new() };
    match progress {
        Some(_) if *is_waiting => format!("{name}: its recovery waits for the take that is recorded"),
        Some(progress) => format!("{name}: being recovered, {:.0} %", progress * 100.0),
        None => format!("{name} is unfinished, as a crash left it{others}"),
    }
}
