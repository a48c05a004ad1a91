//! The log at the bottom of the program's window: its last lines, or all of it to scroll through.

use std::sync::Arc;

use egui::text::{LayoutJob, TextFormat, TextWrapping};
use egui::{Color32, FontFamily, FontId, Galley, Id, Rect, Role, ScrollArea, Sense, Ui, UiBuilder, WidgetInfo, pos2, vec2};

use super::{LogLine, PADDING};
use crate::ui::{theme, widgets, widgets::ButtonSpec};

const LINE_HEIGHT: f32 = 15.0;
/// Number of lines that are visible while the log is small.
const SMALL_LINES: usize = 3;
/// Number of lines that are visible while the log is large.
const LARGE_LINES: usize = 10;
const BUTTON_SIZE: (f32, f32) = (46.0, 20.0);

/// The log's panel, with the state that only it has.
#[derive(Default)]
pub(super) struct LogPanel {
    /// True if the user has made the log large. It then shows more lines and scrolls.
    is_large: bool,
}

impl LogPanel {
    /// Returns the height that the panel needs.
    pub fn height(&self) -> f32 {
        (if self.is_large { LARGE_LINES } else { SMALL_LINES }) as f32 * LINE_HEIGHT + 2.0 * PADDING
    }

    /// Draws the panel. `log` has the oldest line first.
    pub fn show(&mut self, ui: &mut Ui, rect: Rect, log: &[LogLine]) {
        ui.painter().rect_filled(rect, theme::RADIUS, theme::CARD);
        let inside = rect.shrink(PADDING);
        let button = Rect::from_min_size(pos2(inside.right() - BUTTON_SIZE.0, inside.top()), BUTTON_SIZE.into());
        let lines = inside.with_max_x(button.left() - 8.0).with_min_x(inside.left() + 4.0);
        let spec = ButtonSpec {
            label: "More of the log",
            text: "Log",
            down: Some(self.is_large),
            font_size: 12.0,
            ..ButtonSpec::default()
        };
        let response = widgets::button(ui, button, Id::unique("isotherm log"), &spec);
        if response.clicked() {
            self.is_large = !self.is_large;
        }
        response.on_hover_text("Shows more of the log, all of which can be scrolled through");
        let mut ui = ui.new_child(UiBuilder::new().max_rect(lines).id_salt("log"));
        if !self.is_large {
            let first = log.len().saturating_sub(SMALL_LINES);
            for (n, line) in log[first..].iter().enumerate() {
                let at = pos2(lines.left(), lines.top() + n as f32 * LINE_HEIGHT);
                draw_line(&ui, Rect::from_min_size(at, vec2(lines.width(), LINE_HEIGHT)), first + n, line);
            }
            return;
        }
        ui.spacing_mut().item_spacing.y = 0.0;
        let area = ScrollArea::vertical().auto_shrink(false).stick_to_bottom(true);
        area.show_rows(&mut ui, LINE_HEIGHT, log.len(), |ui, range| {
            for n in range {
                let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), LINE_HEIGHT), Sense::hover());
                draw_line(ui, rect, n, &log[n]);
            }
        });
    }
}

/// Draws the line with index `n`.
fn draw_line(ui: &Ui, rect: Rect, n: usize, line: &LogLine) {
    let color = if line.alarm { theme::ALARM } else { theme::TEXT };
    let galley = layout_line(ui, line, color, rect.width());
    ui.painter().galley(pos2(rect.left(), rect.center().y - galley.size().y / 2.0), galley, color);
    let response = ui.interact(rect, Id::unique(("isotherm log", n)), Sense::hover());
    let text = format!("{} {}", line.time, line.text);
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &text));
    response.on_hover_text(text);
}

/// Lays out the time and the text of a line. If it is longer than `width`, an ellipsis ends it.
fn layout_line(ui: &Ui, line: &LogLine, color: Color32, width: f32) -> Arc<Galley> {
    let font = |color| TextFormat::simple(FontId::new(11.0, FontFamily::Monospace), color);
    let mut job = LayoutJob { break_on_newline: false, wrap: TextWrapping::truncate_at_width(width), ..LayoutJob::default() };
    job.append(&line.time, 0.0, font(theme::MUTED));
    job.append(&line.text, 8.0, font(color));
    ui.painter().layout_job(job)
}
