//! The band in place of the device's bar while a take runs or the device is gone: what has to be read from two metres.

use egui::{Color32, Id, Rect, Role, Sense, Ui, WidgetInfo, pos2, vec2};

use super::{DeviceStage, ProgramAction, ProgramView, device_bar};
use crate::ui::{theme, widgets, widgets::ButtonSpec};
use crate::view::TakeView;

/// Font sizes of the large texts, of which the first that fits is used. At the first, capitals are more than 9.3 mm high on a
/// screen of 96 dots an inch: 16 arc minutes at two metres, the least that ISO 9241-303 allows for reading.
const LARGE_SIZES: [f32; 5] = [52.0, 44.0, 36.0, 28.0, 20.0];
const GAP: f32 = 14.0;
const PADDING: f32 = 5.0;
/// Smallest width of the texts beside the large ones.
const FACTS_WIDTH: f32 = 150.0;
const STOP_WIDTH: f32 = 76.0;
/// Radius of the dot before the time.
const DOT_RADIUS: f32 = 14.0;

/// True if the band is shown.
pub(super) const fn is_shown(view: &ProgramView) -> bool {
    view.recording || matches!(view.device.stage, DeviceStage::Disconnected { .. })
}

/// Returns the text of a running take: its length in hours, minutes and seconds.
pub(super) fn recording_text(take: &TakeView) -> String {
    // `as` saturates: NaN and negative values become 0.
    let seconds = take.seconds as u64;
    format!("REC {}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// Returns the text of a device that has been gone for this time.
pub(super) fn gone_text(seconds: u64) -> String {
    if seconds < 60 { format!("CARD GONE {seconds} s") } else { format!("CARD GONE {} min {} s", seconds / 60, seconds % 60) }
}

/// Draws the band: the alarm of a device that is gone, the length of the take, and beside them the states of device and desk.
pub(super) fn show(ui: &Ui, rect: Rect, view: &ProgramView, take: &TakeView, actions: &mut Vec<ProgramAction>) {
    let gone = match &view.device.stage {
        DeviceStage::Disconnected { reason, seconds } => Some((reason, *seconds)),
        _ => None,
    };
    let (fill, color) = match gone {
        Some(_) => (theme::ALARM, theme::TEXT_ON_ACCENT),
        None => (theme::mix(theme::CARD, theme::ALARM, 0.4), theme::TEXT),
    };
    ui.painter().rect_filled(rect, theme::RADIUS, fill);
    let mut rest = rect.shrink2(vec2(GAP, PADDING));
    if !view.recording {
        let (left, button) = rest.split_left_right_at_x(rest.right() - STOP_WIDTH);
        let spec = ButtonSpec { label: "Stop", text: "Stop", ..ButtonSpec::default() };
        let button = Rect::from_center_size(button.center(), vec2(STOP_WIDTH, device_bar::ROW_HEIGHT));
        let button = widgets::button(ui, button, Id::unique("isotherm device start"), &spec);
        if button.clicked() {
            actions.push(ProgramAction::Stop);
        }
        button.on_hover_text("Closes the device");
        rest = left.with_max_x(left.right() - GAP);
    }
    if let Some((_, seconds)) = gone {
        rest = draw_large(ui, rest, "Card gone", &gone_text(seconds), color);
    }
    if view.recording {
        if gone.is_none() {
            ui.painter().circle_filled(pos2(rest.left() + DOT_RADIUS, rest.center().y), DOT_RADIUS, theme::ALARM);
            rest.set_left(rest.left() + 2.0 * DOT_RADIUS + GAP);
        }
        rest = draw_large(ui, rest, "Recording", &recording_text(take), color);
    }

    let (text, tip) = match gone {
        Some((reason, _)) => (format!("{reason}. Trying again"), reason.clone()),
        None => {
            let granted = view.device.granted.clone().unwrap_or_else(|| "Running".into());
            (granted.clone(), granted)
        }
    };
    let (upper, lower) = rest.split_top_bottom_at_fraction(0.5);
    // A reason may need both lines.
    let (first, desk) = if gone.is_some() { (rest, None) } else { (upper, view.device.desk.as_ref()) };
    theme::draw_status(ui, first, "Device state", &text, color, &tip);
    let (counts, tip) = device_bar::counts_text(&view.device);
    let half = if counts.is_empty() { 0.0 } else { 0.5 };
    let (left, right) = lower.split_left_right_at_fraction(half);
    if gone.is_none() && !counts.is_empty() {
        theme::draw_status(ui, left, "Device health", &counts, color, tip);
    }
    if let Some((text, is_well)) = desk {
        let mark = if *is_well { "" } else { "! " };
        theme::draw_status(ui, right, "Desk state", &format!("{mark}{text}"), color, text);
    }
}

/// Draws a large text at the left of `rect`, as large as fits beside the small ones. Returns the rest of `rect`.
fn draw_large(ui: &Ui, rect: Rect, name: &str, text: &str, color: Color32) -> Rect {
    let galley = theme::fit_text(ui, text, &LARGE_SIZES, color, rect.width() - FACTS_WIDTH - GAP);
    let size = galley.size();
    ui.painter().galley(pos2(rect.left(), rect.center().y - size.y / 2.0), galley, color);
    let (text_rect, rest) = rect.split_left_right_at_x(rect.left() + size.x);
    let response = ui.interact(text_rect, Id::unique(("isotherm band", name)), Sense::hover());
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(Role::Status, true, name);
        info.current_text_value = Some(text.to_owned());
        info
    });
    rest.with_min_x(rest.left() + GAP)
}
