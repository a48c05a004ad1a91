//! The waveform of the loop's sound, with a handle at each end of the loop.

use egui::{Align2, EventFilter, Id, Key, Rect, Sense, Stroke, Ui, WidgetInfo, accesskit, pos2};

use crate::ui::theme;
use crate::view::Waveform;

/// Shortest and longest loop in seconds.
const LENGTHS: [f64; 2] = [0.5, 30.0];
/// Step of an arrow key in seconds, and with shift.
const STEPS: [f64; 2] = [0.1, 0.01];
/// Half of a handle's width.
const HANDLE: f32 = 6.0;

/// Moves one end of a loop, 0 or 1, to a time. The other end stays, and the loop keeps a length that is allowed.
fn moved(range: [f64; 2], end: usize, to: f64, seconds: f64) -> [f64; 2] {
    let [start, stop] = range;
    match end {
        0 => [to.clamp((stop - LENGTHS[1]).max(0.0), (stop - LENGTHS[0]).max(0.0)), stop],
        _ => [start, to.min(seconds).clamp((start + LENGTHS[0]).min(seconds), (start + LENGTHS[1]).max(start))],
    }
}

/// Draws the waveform, the loop in it and the position that plays. `dragged`: the end that is being dragged. Returns the loop if the
/// listener has changed it.
pub(super) fn show(
    ui: &Ui,
    rect: Rect,
    sound: &Waveform,
    range: [f64; 2],
    position: Option<f64>,
    dragged: &mut Option<usize>,
) -> Option<[f64; 2]> {
    let painter = ui.painter().with_clip_rect(rect.intersect(ui.clip_rect()));
    painter.rect_filled(rect, 4, theme::SUNKEN);
    let seconds = sound.seconds.max(1e-3);
    let x_of = |time: f64| rect.left() + (time / seconds).clamp(0.0, 1.0) as f32 * rect.width();
    let inside = Rect::from_x_y_ranges(x_of(range[0])..=x_of(range[1]), rect.y_range());
    painter.rect_filled(inside, 0, theme::RAISED);
    let columns = sound.columns.len();
    let half = rect.height() / 2.0 - 2.0;
    for (n, (low, high)) in sound.columns.iter().enumerate() {
        let x = rect.left() + (n as f32 + 0.5) / columns as f32 * rect.width();
        let y = |sample: f32| rect.center().y - half * if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 };
        let color = if inside.x_range().contains(x) { theme::NEUTRAL } else { theme::mix(theme::SUNKEN, theme::MUTED, 0.6) };
        painter.line_segment([pos2(x, y(*high) - 0.5), pos2(x, y(*low) + 0.5)], Stroke::new(1.0, color));
    }
    if let Some(position) = position.filter(|position| position.is_finite()) {
        let x = x_of(range[0] + position);
        painter.line_segment([pos2(x, rect.top()), pos2(x, rect.bottom())], Stroke::new(1.5, theme::GREEN));
    }
    painter.text(rect.left_top() + egui::vec2(6.0, 4.0), Align2::LEFT_TOP, &sound.name, theme::font(11.0), theme::MUTED);

    let mut changed = None;
    *dragged = None;
    for (end, name) in ["Loop start", "Loop end"].into_iter().enumerate() {
        let x = x_of(range[end]);
        let handle = Rect::from_x_y_ranges(x - HANDLE..=x + HANDLE, rect.y_range());
        let response = ui.interact(handle, Id::unique(("isotherm listening handle", end)), Sense::click_and_drag());
        if response.clicked() || response.drag_started() {
            response.request_focus();
        }
        let mut to = None;
        if response.dragged() {
            *dragged = Some(end);
            let pointer = response.interact_pointer_pos();
            to = pointer.map(|at| f64::from((at.x - rect.left()) / rect.width()) * seconds);
        }
        if response.has_focus() {
            ui.memory_mut(|m| {
                m.set_focus_lock_filter(response.id, EventFilter { horizontal_arrows: true, ..EventFilter::default() })
            });
            let (presses, fine) = ui.input(|i| {
                let count = |key| i.num_presses(key) as f64;
                (count(Key::ArrowRight) - count(Key::ArrowLeft), i.modifiers.shift)
            });
            if presses != 0.0 {
                to = Some(range[end] + presses * STEPS[usize::from(fine)]);
            }
        }
        let steps = ui.input(|i| {
            let count = |action| i.num_accesskit_action_requests(response.id, action) as f64;
            count(accesskit::Action::Increment) - count(accesskit::Action::Decrement)
        });
        if steps != 0.0 {
            to = Some(range[end] + steps * STEPS[0]);
        }
        if let Some(to) = to.filter(|to| to.is_finite()) {
            changed = Some(moved(changed.unwrap_or(range), end, to, seconds)).filter(|new| *new != range).or(changed);
        }
        let color = if response.has_focus() || response.hovered() || response.dragged() { theme::TEXT } else { theme::NEUTRAL };
        painter.line_segment([pos2(x, rect.top()), pos2(x, rect.bottom())], Stroke::new(2.0, color));
        painter.circle_filled(pos2(x, if end == 0 { rect.top() + 5.0 } else { rect.bottom() - 5.0 }), 5.0, color);
        response.widget_info(|| WidgetInfo::slider(true, range[end], name));
        ui.ctx().accesskit_node_builder(response.id, |node| {
            node.set_value(format!("{:.2} s", range[end]));
            node.set_min_numeric_value(0.0);
            node.set_max_numeric_value(seconds);
            node.add_action(accesskit::Action::Increment);
            node.add_action(accesskit::Action::Decrement);
        });
        response.on_hover_text(format!("{name}: {:.2} s. Drag, or arrow keys; with shift in small steps", range[end]));
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_keeps_the_loop_within_the_sound_and_its_lengths() {
        assert_eq!(moved([1.0, 5.0], 0, 2.0, 10.0), [2.0, 5.0]);
        assert_eq!(moved([1.0, 5.0], 0, 4.9, 10.0), [4.5, 5.0]);
        assert_eq!(moved([1.0, 5.0], 0, -3.0, 10.0), [0.0, 5.0]);
        assert_eq!(moved([1.0, 5.0], 1, 99.0, 10.0), [1.0, 10.0]);
        assert_eq!(moved([1.0, 5.0], 1, 0.0, 10.0), [1.0, 1.5]);
        assert_eq!(moved([1.0, 5.0], 1, 99.0, 60.0), [1.0, 31.0]);
        assert_eq!(moved([20.0, 45.0], 0, 0.0, 60.0), [15.0, 45.0]);
        // A sound that is shorter than the shortest loop.
        assert_eq!(moved([0.0, 0.2], 1, 0.1, 0.2), [0.0, 0.2]);
    }
}
