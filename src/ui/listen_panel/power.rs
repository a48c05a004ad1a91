//! The picture of what a test can show: how often it finds a listener.

use egui::{Align2, Id, Rect, Role, Sense, Shape, Stroke, Ui, WidgetInfo, pos2};

use crate::ui::theme;

/// Draws a curve of pairs of the share of right answers (of the chosen side, for a preference) and the probability that the test
/// finds it.
pub(super) fn draw_curve(ui: &Ui, rect: Rect, curve: &[(f64, f64)], axis: &str) {
    ui.painter().rect_filled(rect, 4, theme::SUNKEN);
    let plot = rect.shrink2(egui::vec2(8.0, 6.0)).with_min_x(rect.left() + 38.0).with_max_y(rect.bottom() - 32.0);
    let small = theme::font(10.0);
    let painter = ui.painter().with_clip_rect(rect.intersect(ui.clip_rect()));
    for (share, text) in [(0.0, "0 %"), (0.5, "50 %"), (1.0, "100 %")] {
        let y = egui::lerp(plot.bottom()..=plot.top(), share);
        painter.line_segment([pos2(plot.left(), y), pos2(plot.right(), y)], Stroke::new(1.0, theme::OUTLINE));
        painter.text(pos2(plot.left() - 4.0, y), Align2::RIGHT_CENTER, text, small.clone(), theme::MUTED);
    }
    let is_drawable = |(x, y): &&(f64, f64)| x.is_finite() && y.is_finite();
    let points: Vec<_> = curve.iter().filter(is_drawable).collect();
    let (low, high) = points.iter().fold((0.5_f64, 1.0_f64), |(low, high), (x, _)| (low.min(*x), high.max(*x)));
    let place = |(x, y): &(f64, f64)| {
        let across = ((x - low) / (high - low)) as f32;
        pos2(egui::lerp(plot.x_range(), across), egui::lerp(plot.bottom()..=plot.top(), y.clamp(0.0, 1.0) as f32))
    };
    painter.add(Shape::line(points.iter().map(|point| place(point)).collect(), Stroke::new(2.0, theme::NEUTRAL)));
    for percent in [60_u32, 70, 80, 90] {
        let x = f64::from(percent) / 100.0;
        let Some(point) = points.iter().min_by(|a, b| (a.0 - x).abs().total_cmp(&(b.0 - x).abs())) else { continue };
        let at = place(point);
        painter.circle_filled(at, 3.0, theme::TEXT);
        painter.text(pos2(at.x, plot.bottom() + 2.0), Align2::CENTER_TOP, percent.to_string(), small.clone(), theme::MUTED);
    }
    painter.text(pos2(plot.right(), rect.bottom() - 4.0), Align2::RIGHT_BOTTOM, axis, small, theme::MUTED);
    let response = ui.interact(rect, Id::unique("isotherm listening power"), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, "How often this test finds a listener"));
    response.on_hover_text(format!("How often this test succeeds (up), by the {axis} (across)"));
}
