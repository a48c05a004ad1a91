//! The device's bar: a row with its setup, and below it a row with its state.

use egui::{Align2, Color32, Id, Popup, Rect, RectAlign, ScrollArea, Shape, Stroke, Ui, UiBuilder, pos2, vec2};

use super::{DeviceSetup, DeviceStage, DeviceView, ProgramAction};
use crate::ui::{
    theme, widgets,
    widgets::{ButtonSpec, TextEntry, TextFieldSpec},
};

/// Height of a row.
pub(super) const ROW_HEIGHT: f32 = 26.0;
const GAP: f32 = 6.0;
const PADDING: f32 = 5.0;
/// Height of the bar.
pub(super) const HEIGHT: f32 = 2.0 * (ROW_HEIGHT + PADDING) + GAP;
const HOST_WIDTH: f32 = 76.0;
/// Smallest width of the field for the device. It gets all the width that the other parts leave.
const MIN_DEVICE_WIDTH: f32 = 110.0;
const RATE_WIDTH: f32 = 92.0;
const PERIOD_WIDTH: f32 = 146.0;
const OUTPUTS_WIDTH: f32 = 54.0;
const DESK_WIDTH: f32 = 108.0;
/// Width of the button that lists the devices again.
const LIST_WIDTH: f32 = 36.0;
const START_WIDTH: f32 = 76.0;
/// Largest height of the drop-down list of devices.
const LIST_HEIGHT: f32 = 320.0;
/// Width of the monitor's latency in the second row.
const LATENCY_WIDTH: f32 = 128.0;
/// Width of the counts of overruns and underruns in the second row.
const COUNTS_WIDTH: f32 = 168.0;
/// Share of the second row that the desk's state takes.
const DESK_SHARE: f32 = 0.3;

/// A text field of the bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum DeviceField {
    Device,
    Outputs,
    Desk,
}

/// The bar, with the state that only it has.
#[derive(Default)]
pub(super) struct DeviceBar {
    text_entry: TextEntry<DeviceField>,
    /// The text that was entered as outputs and is not a pair of channels.
    bad_outputs: Option<String>,
}

/// A row whose parts are placed from the left to the right.
struct RowLayout {
    rect: Rect,
    /// Left edge of the next part.
    left: f32,
}

impl RowLayout {
    /// Returns the rectangle of the next part.
    fn next_rect(&mut self, width: f32) -> Rect {
        let rect = Rect::from_min_size(pos2(self.left, self.rect.top()), vec2(width, self.rect.height()));
        self.left += width + GAP;
        rect
    }

    /// Draws a label as the next part.
    fn draw_label(&mut self, ui: &Ui, text: &str) {
        let galley = theme::fit_text(ui, text, &[12.0], theme::MUTED, f32::INFINITY);
        let rect = self.next_rect(galley.size().x);
        ui.painter().galley(Align2::LEFT_CENTER.align_size_within_rect(galley.size(), rect).min, galley, theme::MUTED);
    }
}

impl DeviceBar {
    /// Draws the bar. It is not shown during a take, in which the device cannot be stopped.
    pub fn show(&mut self, ui: &mut Ui, rect: Rect, view: &DeviceView, actions: &mut Vec<ProgramAction>) {
        ui.painter().rect_filled(rect, theme::RADIUS, theme::CARD);
        let inside = rect.shrink(PADDING);
        let (upper, lower) = inside.split_top_bottom_at_y(inside.top() + ROW_HEIGHT);
        let lower = lower.with_min_y(lower.bottom() - ROW_HEIGHT);
        let mut setup = view.setup.clone();
        let action = self.draw_setup(ui, upper, view, &mut setup);
        // The setup comes before the action, because a click on Start also ends the typing in a field. A choice from a list that
        // was still open when the device started is ignored.
        if setup != view.setup && view.stage == DeviceStage::Stopped {
            actions.push(ProgramAction::Setup(setup));
        }
        actions.extend(action);
        self.draw_state(ui, lower, view);
    }

    /// Draws the row with the setup, and puts the user's changes into `setup`. Returns the action of the button that was clicked.
    fn draw_setup(&mut self, ui: &mut Ui, rect: Rect, view: &DeviceView, setup: &mut DeviceSetup) -> Option<ProgramAction> {
        let enabled = view.stage == DeviceStage::Stopped;
        if !enabled {
            self.bad_outputs = None;
        }
        let mut action = None;
        // The button at the right edge is there however narrow the window is; the other parts shrink.
        let (rect, start) = rect.split_left_right_at_x(rect.right() - START_WIDTH);
        let rect = rect.with_max_x(rect.right() - GAP);
        let outer = ui;
        let ui = &mut outer.new_child(UiBuilder::new().max_rect(rect).id_salt("setup"));
        ui.set_clip_rect(rect.expand(2.0).intersect(outer.clip_rect()));
        let labels = ["Outputs", "Desk"].map(|text| theme::fit_text(ui, text, &[12.0], theme::MUTED, f32::INFINITY).size().x);
        let label_widths = labels.iter().sum::<f32>() + 2.0 * GAP;
        let widths = [HOST_WIDTH, MIN_DEVICE_WIDTH, RATE_WIDTH, PERIOD_WIDTH, OUTPUTS_WIDTH, DESK_WIDTH];
        let fixed = LIST_WIDTH + ROW_HEIGHT + 7.0 * GAP;
        let has_labels = rect.width() >= fixed + label_widths + widths.iter().sum::<f32>();
        let room = rect.width() - fixed - if has_labels { label_widths } else { 0.0 };
        let [host_width, device_width, rate_width, period_width, outputs_width, desk_width] = part_widths(room, widths);
        let mut row = RowLayout { rect, left: rect.left() };
        if let Some(host) = drop_down(
            ui,
            row.next_rect(host_width),
            "Host",
            &setup.host,
            &view.hosts,
            enabled,
            "The audio system that opens the device",
        ) {
            setup.host.clone_from(&view.hosts[host]);
        }

        let field = row.next_rect(device_width);
        let spec = TextFieldSpec {
            label: "Device name",
            value: &view.setup.device,
            hint: "a name or a file",
            enabled,
            ..TextFieldSpec::default()
        };
        if let Some(text) = self.text_entry.draw_field(ui, field, DeviceField::Device, &spec) {
            text.trim().clone_into(&mut setup.device);
        }
        if let Some(device) = device_menu(ui, row.next_rect(ROW_HEIGHT), field.width(), view, enabled) {
            setup.device = device;
        }
        let spec = ButtonSpec { label: "List devices anew", text: "List", font_size: 12.0, enabled, ..ButtonSpec::default() };
        let list_button = widgets::button(ui, row.next_rect(LIST_WIDTH), Id::unique("isotherm devices anew"), &spec);
        if list_button.clicked() {
            action = Some(ProgramAction::ListDevices);
        }
        list_button.on_hover_text("Lists the host's devices anew");

        let shown = setup.sample_rate.map_or("Auto rate".into(), rate_text);
        let names: Vec<_> = std::iter::once("Auto rate".into()).chain(view.rates.iter().copied().map(rate_text)).collect();
        if let Some(n) = drop_down(ui, row.next_rect(rate_width), "Rate", &shown, &names, enabled, "Frames a second") {
            setup.sample_rate = n.checked_sub(1).map(|n| view.rates[n]);
        }
        let hertz = setup.sample_rate;
        let shown = setup.period_frames.map_or("Auto period".into(), |frames| period_text(frames, hertz));
        let names = view.periods.iter().map(|frames| period_text(*frames, hertz));
        let names: Vec<_> = std::iter::once("Auto period".into()).chain(names).collect();
        let tip = "Frames that the device hands over at once: fewer mean less latency, more mean fewer dropouts";
        if let Some(n) = drop_down(ui, row.next_rect(period_width), "Period", &shown, &names, enabled, tip) {
            setup.period_frames = n.checked_sub(1).map(|n| view.periods[n]);
        }

        if has_labels {
            row.draw_label(ui, "Outputs");
        }
        let value = setup.outputs.map_or(String::new(), |[left, right]| format!("{},{}", left + 1, right + 1));
        let spec = TextFieldSpec {
            label: "Outputs",
            value: &value,
            hint: if has_labels { "none" } else { "outs" },
            enabled,
            ..TextFieldSpec::default()
        };
        if let Some(text) = self.text_entry.draw_field(ui, row.next_rect(outputs_width), DeviceField::Outputs, &spec) {
            match parse_outputs(&text) {
                Some(outputs) => (setup.outputs, self.bad_outputs) = (outputs, None),
                None => self.bad_outputs = Some(text),
            }
        }
        if has_labels {
            row.draw_label(ui, "Desk");
        }
        let spec = TextFieldSpec {
            label: "Desk",
            value: &view.setup.desk,
            hint: if has_labels { "none" } else { "desk" },
            enabled,
            ..TextFieldSpec::default()
        };
        if let Some(text) = self.text_entry.draw_field(ui, row.next_rect(desk_width), DeviceField::Desk, &spec) {
            text.trim().clone_into(&mut setup.desk);
        }

        let text = if enabled { "Start" } else { "Stop" };
        let spec = ButtonSpec { label: text, text, down: Some(!enabled), ..ButtonSpec::default() };
        let button = widgets::button(outer, start, Id::unique("isotherm device start"), &spec);
        if button.clicked() {
            action = Some(if enabled { ProgramAction::Start } else { ProgramAction::Stop });
        }
        button.on_hover_text(if enabled { "Opens the device" } else { "Closes the device" });
        action
    }

    /// Draws the state of the device, its counts, the latency of the monitor and the state of the desk.
    fn draw_state(&self, ui: &Ui, rect: Rect, view: &DeviceView) {
        let mut right = rect.right();
        let mut next_rect = |width: f32| {
            right -= width + GAP;
            Rect::from_min_size(pos2(right + GAP, rect.top()), vec2(width, rect.height()))
        };
        if let Some((text, is_well)) = &view.desk {
            let color = if *is_well { theme::MUTED } else { theme::ALARM };
            let lamp = if *is_well { theme::GREEN } else { theme::ALARM };
            draw_lamp_and_text(ui, next_rect(rect.width() * DESK_SHARE), "Desk state", text, Some(lamp), color);
        }
        if let Some(seconds) = view.monitor_seconds.filter(|s| s.is_finite()) {
            let tip = "From an input to the output on which it is heard: the device's periods and the slots";
            theme::draw_status(
                ui,
                next_rect(LATENCY_WIDTH),
                "Heard",
                &format!("Heard after {:.1} ms", 1e3 * seconds),
                theme::MUTED,
                tip,
            );
        }
        let (text, tip) = counts_text(view);
        if !text.is_empty() {
            let color = if view.overruns > 0 { theme::ALARM } else { theme::YELLOW };
            theme::draw_status(ui, next_rect(COUNTS_WIDTH), "Device health", &text, color, tip);
        }
        let rect = rect.with_max_x(right);
        let (text, lamp, color) = self.status(view);
        draw_lamp_and_text(ui, rect, "Device state", &text, lamp, color);
    }

    /// Returns the state of the device in one line, and the colours of the lamp (None: it is off) and of the text.
    fn status(&self, view: &DeviceView) -> (String, Option<Color32>, Color32) {
        let alarm = |text| (text, Some(theme::ALARM), theme::ALARM);
        match (&view.stage, &self.bad_outputs, &view.error) {
            // The band in place of this bar tells more.
            (DeviceStage::Disconnected { reason, .. }, ..) => alarm(reason.clone()),
            (_, Some(text), _) => alarm(format!("The outputs are a pair such as 1,2 or none, not {text:?}")),
            (_, _, Some(error)) => alarm(error.clone()),
            (DeviceStage::Starting, ..) => ("Starting".into(), Some(theme::YELLOW), theme::TEXT),
            (DeviceStage::Running, ..) => {
                (view.granted.clone().unwrap_or_else(|| "Running".into()), Some(theme::GREEN), theme::TEXT)
            }
            (DeviceStage::Stopped, ..) => ("Stopped".into(), None, theme::MUTED),
        }
    }
}

/// Returns the widths of host, device, rate, period, outputs and desk in `room`. `widths` are the usual ones. The device gets what
/// is left over; if there is too little room, all shrink by the same share, down to a half.
fn part_widths(room: f32, widths: [f32; 6]) -> [f32; 6] {
    let usual: f32 = widths.iter().sum();
    let share = (room / usual).clamp(0.5, 1.0);
    let mut widths = widths.map(|width| width * share);
    widths[1] += (room - usual).max(0.0);
    widths
}

/// Draws a drop-down list into `rect`. Returns the index in `names` of the entry that was chosen, if it is not the shown one.
fn drop_down(ui: &mut Ui, rect: Rect, label: &str, shown: &str, names: &[String], enabled: bool, tip: &str) -> Option<usize> {
    let mut ui = ui.new_child(UiBuilder::new().max_rect(rect).id_salt(label));
    if !enabled {
        ui.disable();
    }
    let chosen = names.iter().position(|name| name == shown).unwrap_or(usize::MAX);
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    widgets::drop_down(&mut ui, label, rect.width(), shown, &names, chosen, |ui| {
        ui.label(tip);
    })
}

/// Draws the button that opens the list of devices below their field, which is `width` wide. Returns the device that was chosen.
fn device_menu(ui: &Ui, rect: Rect, width: f32, view: &DeviceView, enabled: bool) -> Option<String> {
    let spec = ButtonSpec { label: "Devices", enabled, ..ButtonSpec::default() };
    let button = widgets::button(ui, rect, Id::unique("isotherm devices"), &spec);
    let corners = [vec2(-4.0, -2.0), vec2(4.0, -2.0), vec2(0.0, 3.0)].map(|to| rect.center() + to);
    let text_color = if enabled { theme::TEXT } else { theme::OUTLINE };
    ui.painter().add(Shape::convex_polygon(corners.into(), text_color, Stroke::NONE));
    let mut chosen = None;
    Popup::menu(&button).align(RectAlign::BOTTOM_END).show(|ui| {
        // As wide as the field with its button.
        ui.set_min_width(width + GAP);
        if view.devices.is_empty() {
            ui.label("No device is listed");
        }
        ScrollArea::vertical().max_height(LIST_HEIGHT).show(ui, |ui| {
            for name in &view.devices {
                if ui.selectable_label(*name == view.setup.device, name).clicked() {
                    chosen = Some(name.clone());
                }
            }
        });
    });
    button.on_hover_text("The devices of the host");
    chosen
}

/// Draws a lamp with a line of text. `name` is the accessible name.
fn draw_lamp_and_text(ui: &Ui, rect: Rect, name: &str, text: &str, lamp: Option<Color32>, color: Color32) {
    ui.painter().circle_filled(pos2(rect.left() + 7.0, rect.center().y), 5.0, lamp.unwrap_or(theme::RAISED));
    theme::draw_status(ui, rect.with_min_x(rect.left() + 18.0), name, text, color, text);
}

/// Returns the counts of overruns and underruns as text, and its tooltip.
pub(super) fn counts_text(view: &DeviceView) -> (String, &'static str) {
    let times = |n: u64, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let text = match (view.overruns, view.underruns) {
        (0, 0) => String::new(),
        (over, 0) => times(over, "overrun"),
        (0, under) => times(under, "underrun"),
        (over, under) => format!("{}, {}", times(over, "overrun"), times(under, "underrun")),
    };
    (text, "Overruns: the device lost frames. Underruns: there was nothing to play, which harms no take")
}

/// Returns a sample rate as text.
fn rate_text(hertz: u32) -> String {
    format!("{} kHz", f64::from(hertz) / 1e3)
}

/// Returns the length of a period as text: frames, and time if the rate is known.
fn period_text(frames: usize, hertz: Option<u32>) -> String {
    match hertz {
        Some(hertz) if hertz > 0 => format!("{frames} frames, {:.1} ms", 1e3 * frames as f64 / f64::from(hertz)),
        _ => format!("{frames} frames"),
    }
}

/// Parses a pair of channel numbers, which count from 1, into indices. `Some(None)` means no outputs, and `None` a text
/// that is neither.
fn parse_outputs(text: &str) -> Option<Option<[usize; 2]>> {
    let text = text.trim();
    if text.is_empty() || text.eq_ignore_ascii_case("none") {
        return Some(None);
    }
    let (left, right) = text.split_once([',', '-', ' '])?;
    let channel = |text: &str| text.trim().parse::<usize>().ok()?.checked_sub(1);
    Some(Some([channel(left)?, channel(right)?]))
}
