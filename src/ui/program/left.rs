//! A line above the log, while there is a take that a crash left behind.

use egui::{Id, Rect, Ui, pos2};

use super::{LeftView, PADDING, ProgramAction, ProgramView};
use crate::ui::{GAP, choice, choice::Face, theme};

/// Height of the line, and of the gap below it.
const HEIGHT: f32 = 26.0 + GAP;
const BUTTON_WIDTH: f32 = 78.0;

/// What the line takes of the window: nothing if there is nothing to say.
pub(super) fn height(view: &ProgramView) -> f32 {
    if view.left.is_empty() { 0.0 } else { HEIGHT }
}

pub(super) fn show(ui: &Ui, rect: Rect, view: &ProgramView, actions: &mut Vec<ProgramAction>) {
    // The one that is being recovered, or the first.
    let Some(left) = view.left.iter().find(|left| left.done.is_some()).or(view.left.first()) else { return };
    ui.painter().rect_filled(rect, theme::RADIUS, theme::CARD);
    let inside = rect.shrink2(egui::vec2(PADDING, 2.0));
    let button = inside.with_min_x(inside.right() - BUTTON_WIDTH);
    let text = text(left, view.left.len());
    let line = Rect::from_min_max(pos2(inside.left() + 4.0, inside.top()), pos2(button.left() - 8.0, inside.bottom()));
    theme::said(ui, line, "Unfinished take", &text, theme::ALARM, &left.folder.display().to_string());
    let enabled = left.done.is_none() && !view.recording;
    let face = Face { label: "Recover take", text: "Recover", enabled, ..Face::default() };
    let response = choice::button(ui, button, Id::unique("isotherm recover"), &face);
    if response.clicked() {
        actions.push(ProgramAction::Recover(left.folder.clone()));
    }
    response.on_hover_text("Makes it whole and checks it, beside all else; a take that is recorded goes first");
}

fn text(left: &LeftView, count: usize) -> String {
    let LeftView { name, done, waits, .. } = left;
    let others = if count > 1 { format!(" (and {} more)", count - 1) } else { String::new() };
    match done {
        Some(_) if *waits => format!("{name}: its recovery waits for the take that is recorded"),
        Some(done) => format!("{name}: being recovered, {:.0} %", done * 100.0),
        None => format!("{name} is unfinished, as a crash left it{others}"),
    }
}
