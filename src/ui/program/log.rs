//! The log at the bottom: its last lines, or more of it to scroll through.

use std::sync::Arc;

use egui::text::{LayoutJob, TextFormat, TextWrapping};
use egui::{Color32, FontFamily, FontId, Galley, Id, Rect, Role, ScrollArea, Sense, Ui, UiBuilder, WidgetInfo, pos2, vec2};

use super::{LogLine, PADDING};
use crate::ui::{choice, choice::Face, theme};

const LINE_HEIGHT: f32 = 15.0;
const FEW: usize = 3;
const MANY: usize = 10;
const BUTTON: (f32, f32) = (46.0, 20.0);

/// State of the view only.
#[derive(Default)]
pub(super) struct Log {
    large: bool,
}

impl Log {
    pub fn height(&self) -> f32 {
        (if self.large { MANY } else { FEW }) as f32 * LINE_HEIGHT + 2.0 * PADDING
    }

    pub fn show(&mut self, ui: &mut Ui, rect: Rect, log: &[LogLine]) {
        ui.painter().rect_filled(rect, theme::RADIUS, theme::CARD);
        let inside = rect.shrink(PADDING);
        let button = Rect::from_min_size(pos2(inside.right() - BUTTON.0, inside.top()), BUTTON.into());
        let lines = inside.with_max_x(button.left() - 8.0).with_min_x(inside.left() + 4.0);
        let face = Face { label: "More of the log", text: "Log", down: Some(self.large), size: 12.0, ..Face::default() };
        let response = choice::button(ui, button, Id::unique("isotherm log"), &face);
        if response.clicked() {
            self.large = !self.large;
        }
        response.on_hover_text("What has happened; all of it to scroll through");
        let mut ui = ui.new_child(UiBuilder::new().max_rect(lines).id_salt("log"));
        if !self.large {
            let first = log.len().saturating_sub(FEW);
            for (n, entry) in log[first..].iter().enumerate() {
                let at = pos2(lines.left(), lines.top() + n as f32 * LINE_HEIGHT);
                line(&ui, Rect::from_min_size(at, vec2(lines.width(), LINE_HEIGHT)), first + n, entry);
            }
            return;
        }
        ui.spacing_mut().item_spacing.y = 0.0;
        let area = ScrollArea::vertical().auto_shrink(false).stick_to_bottom(true);
        area.show_rows(&mut ui, LINE_HEIGHT, log.len(), |ui, range| {
            for n in range {
                let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), LINE_HEIGHT), Sense::hover());
                line(ui, rect, n, &log[n]);
            }
        });
    }
}

fn line(ui: &Ui, rect: Rect, n: usize, entry: &LogLine) {
    let color = if entry.alarm { theme::ALARM } else { theme::TEXT };
    let galley = galley(ui, entry, color, rect.width());
    ui.painter().galley(pos2(rect.left(), rect.center().y - galley.size().y / 2.0), galley, color);
    let response = ui.interact(rect, Id::unique(("isotherm log", n)), Sense::hover());
    let text = format!("{} {}", entry.time, entry.text);
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, &text));
    response.on_hover_text(text);
}

/// Time and text in one line, cut to its place.
fn galley(ui: &Ui, entry: &LogLine, color: Color32, width: f32) -> Arc<Galley> {
    let font = |color| TextFormat::simple(FontId::new(11.0, FontFamily::Monospace), color);
    let mut job = LayoutJob { break_on_newline: false, wrap: TextWrapping::truncate_at_width(width), ..LayoutJob::default() };
    job.append(&entry.time, 0.0, font(theme::MUTED));
    job.append(&entry.text, 8.0, font(color));
    ui.painter().layout_job(job)
}
