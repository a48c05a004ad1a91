//! The panel after a test, and after a refusal: sentences, figures and gates.

use egui::{Grid, Id, Rect, Role, ScrollArea, Sense, Stroke, Ui, WidgetInfo, pos2, vec2};

use super::{GAP, ListenPanel, ROW_HEIGHT, add_text, column, draw_title};
use crate::ui::theme;
use crate::ui::widgets::{self, ButtonSpec};
use crate::view::{GateView, ListenAction, ResultView};

/// Height of the title.
const TITLE_HEIGHT: f32 = 34.0;

/// Draws the gates of a test that was refused.
pub(super) fn draw_refusal(ui: &mut Ui, rect: Rect, gates: &[GateView], error: Option<&str>, actions: &mut Vec<ListenAction>) {
    draw_title(ui, rect, "The test does not start: the sides are not equal enough to be fair");
    let (body, foot) = rect.split_top_bottom_at_y(rect.bottom() - ROW_HEIGHT - GAP);
    let mut ui_column = column(ui, body.with_min_y(rect.top() + TITLE_HEIGHT), "listening gates");
    ScrollArea::vertical().auto_shrink(false).show(&mut ui_column, |ui| {
        for (n, gate) in gates.iter().enumerate() {
            draw_gate(ui, n, gate);
        }
        if let Some(error) = error {
            add_text(ui, error, 13.0, theme::ALARM);
        }
    });
    draw_done(ui, foot, "Back (Enter)", actions);
}

/// Draws a line with a tick or a cross.
fn draw_gate(ui: &mut Ui, number: usize, gate: &GateView) {
    let color = if gate.passed { theme::GREEN } else { theme::ALARM };
    let width = ui.available_width() - 16.0;
    let galley = ui.painter().layout(gate.text.clone(), theme::font(14.0), theme::TEXT, width - 96.0);
    let (rect, _) = ui.allocate_exact_size(vec2(width, galley.size().y.max(20.0) + 4.0), Sense::hover());
    let mark = Rect::from_center_size(pos2(rect.left() + 10.0, rect.center().y), vec2(12.0, 12.0));
    let stroke = Stroke::new(2.5, color);
    let painter = ui.painter();
    if gate.passed {
        painter.line_segment([mark.left_center(), pos2(mark.left() + 4.0, mark.bottom())], stroke);
        painter.line_segment([pos2(mark.left() + 4.0, mark.bottom()), mark.right_top()], stroke);
    } else {
        painter.line_segment([mark.left_top(), mark.right_bottom()], stroke);
        painter.line_segment([mark.left_bottom(), mark.right_top()], stroke);
    }
    let word = if gate.passed { "passed" } else { "failed" };
    let text = painter.layout_no_wrap(word.into(), theme::font(14.0), color);
    painter.galley(pos2(rect.left() + 26.0, rect.center().y - text.size().y / 2.0), text, color);
    painter.galley(pos2(rect.left() + 84.0, rect.center().y - galley.size().y / 2.0), galley, theme::TEXT);
    let response = ui.interact(rect, Id::unique(("isotherm listening gate", number)), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, format!("{word}: {}", gate.text)));
}

impl ListenPanel {
    /// Draws the result of a test, and what went wrong at its end.
    pub(super) fn draw_result(
        &mut self,
        ui: &mut Ui,
        rect: Rect,
        result: &ResultView,
        error: Option<&str>,
        actions: &mut Vec<ListenAction>,
    ) {
        draw_title(ui, rect, "Result");
        let (body, foot) = rect.split_top_bottom_at_y(rect.bottom() - ROW_HEIGHT - GAP);
        let mut ui_column = column(ui, body.with_min_y(rect.top() + TITLE_HEIGHT), "listening result");
        // Each session's result begins at its top.
        ScrollArea::vertical().id_salt(&result.receipt).auto_shrink(false).show(&mut ui_column, |ui| {
            if let Some(error) = error {
                add_text(ui, error, 14.0, theme::ALARM);
            }
            for sentence in &result.sentences {
                add_text(ui, sentence, 22.0, theme::TEXT);
            }
            for remark in &result.remarks {
                add_text(ui, remark, 14.0, theme::YELLOW);
            }
            add_figures(ui, "Figures", &result.figures);
            ui.add_space(GAP);
            add_text(ui, "Record", 15.0, theme::TEXT);
            self.add_copied(ui, "Folder", &result.folder.display().to_string());
            self.add_copied(ui, "Receipt", &result.receipt);
            add_text(
                ui,
                "Keep the receipt apart from the folder: with it, isotherm listen verify proves that the record was not replaced.",
                12.0,
                theme::MUTED,
            );
            add_figures(ui, "Measures of the same two sides on the same sound", &result.measures);
        });
        draw_done(ui, foot, "Done (Enter)", actions);
    }

    /// Adds a line of text with a button that copies it.
    fn add_copied(&mut self, ui: &mut Ui, name: &str, text: &str) {
        let (row, _) = ui.allocate_exact_size(vec2(ui.available_width() - 16.0, ROW_HEIGHT), Sense::hover());
        let button = row.with_max_x(row.left() + 64.0);
        let is_copied = self.copied.as_deref() == Some(text);
        let label = format!("Copy {}", name.to_lowercase());
        let spec = ButtonSpec { label: &label, text: if is_copied { "Copied" } else { "Copy" }, ..ButtonSpec::default() };
        if widgets::button(ui, button, Id::unique(("isotherm listening copy", name)), &spec).clicked() {
            ui.ctx().copy_text(text.to_owned());
            self.copied = Some(text.to_owned());
        }
        let status = row.with_min_x(button.right() + GAP);
        theme::draw_status(ui, status, name, &format!("{name}: {text}"), theme::MUTED, text);
    }
}

/// Adds a table of names and figures under a heading; nothing if there are none.
fn add_figures(ui: &mut Ui, heading: &str, figures: &[(String, String)]) {
    if figures.is_empty() {
        return;
    }
    ui.add_space(GAP);
    add_text(ui, heading, 15.0, theme::TEXT);
    Grid::new(heading).num_columns(4).spacing(vec2(16.0, 3.0)).show(ui, |ui| {
        for pair in figures.chunks(2) {
            for (name, figure) in pair {
                ui.colored_label(theme::MUTED, name);
                ui.colored_label(theme::TEXT, figure);
            }
            ui.end_row();
        }
    });
}

/// Draws the button that leads back to the setup.
fn draw_done(ui: &Ui, foot: Rect, text: &str, actions: &mut Vec<ListenAction>) {
    let rect = Rect::from_min_max(pos2(foot.right() - 150.0, foot.bottom() - ROW_HEIGHT), foot.max);
    let spec = ButtonSpec { label: "Back to the setup", text, ..ButtonSpec::default() };
    if widgets::button(ui, rect, Id::unique("isotherm listening done"), &spec).clicked() {
        actions.push(ListenAction::Done);
    }
}
