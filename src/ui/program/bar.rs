//! The device's bar: what is wanted of it, and below that how it is.

use egui::{Align2, Color32, Id, Popup, Rect, RectAlign, ScrollArea, Shape, Stroke, Ui, UiBuilder, pos2, vec2};

use super::{DeviceSetup, DeviceStage, DeviceView, ProgramAction};
use crate::ui::{
    choice,
    choice::{Face, Text, Typing},
    theme,
};

const ROW_HEIGHT: f32 = 26.0;
const GAP: f32 = 6.0;
const PADDING: f32 = 5.0;
pub(super) const HEIGHT: f32 = 2.0 * (ROW_HEIGHT + PADDING) + GAP;
const HOST_WIDTH: f32 = 76.0;
/// The device's is what the others leave, and this at least.
const DEVICE_WIDTH: f32 = 110.0;
const RATE_WIDTH: f32 = 92.0;
const PERIOD_WIDTH: f32 = 146.0;
const OUTPUTS_WIDTH: f32 = 54.0;
const DESK_WIDTH: f32 = 108.0;
const LIST_WIDTH: f32 = 36.0;
const START_WIDTH: f32 = 76.0;
const LIST_HEIGHT: f32 = 320.0;
/// Of the second row: times, counts, the desk's share.
const HEARD_WIDTH: f32 = 128.0;
const COUNTS_WIDTH: f32 = 168.0;
const DESK_SHARE: f32 = 0.3;

/// A text that can be typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Field {
    Device,
    Outputs,
    Desk,
}

/// State of the view only.
#[derive(Default)]
pub(super) struct Bar {
    typing: Typing<Field>,
    /// What was typed as outputs and is none.
    refused: Option<String>,
}

/// Hands out a row's places from the left.
struct Row {
    rect: Rect,
    left: f32,
}

impl Row {
    fn place(&mut self, width: f32) -> Rect {
        let rect = Rect::from_min_size(pos2(self.left, self.rect.top()), vec2(width, self.rect.height()));
        self.left += width + GAP;
        rect
    }

    /// A word, as wide as it is.
    fn word(&mut self, ui: &Ui, text: &str) {
        let galley = theme::line(ui, text, &[12.0], theme::MUTED, f32::INFINITY);
        let rect = self.place(galley.size().x);
        ui.painter().galley(Align2::LEFT_CENTER.align_size_within_rect(galley.size(), rect).min, galley, theme::MUTED);
    }
}

impl Bar {
    /// While `recording`, the device cannot be stopped: first the take is.
    pub fn show(&mut self, ui: &mut Ui, rect: Rect, view: &DeviceView, recording: bool, actions: &mut Vec<ProgramAction>) {
        ui.painter().rect_filled(rect, theme::RADIUS, theme::CARD);
        let inside = rect.shrink(PADDING);
        let (upper, lower) = inside.split_top_bottom_at_y(inside.top() + ROW_HEIGHT);
        let lower = lower.with_min_y(lower.bottom() - ROW_HEIGHT);
        let mut setup = view.setup.clone();
        let asked = self.wanted(ui, upper, view, recording, &mut setup);
        // First how, then go. A list may have been open when the device started.
        if setup != view.setup && view.stage == DeviceStage::Stopped {
            actions.push(ProgramAction::Setup(setup));
        }
        actions.extend(asked);
        self.state(ui, lower, view);
    }

    fn wanted(
        &mut self,
        ui: &mut Ui,
        rect: Rect,
        view: &DeviceView,
        recording: bool,
        setup: &mut DeviceSetup,
    ) -> Option<ProgramAction> {
        let enabled = view.stage == DeviceStage::Stopped;
        if !enabled {
            self.refused = None;
        }
        let mut asked = None;
        let mut row = Row { rect, left: rect.left() };
        if let Some(host) = list(ui, row.place(HOST_WIDTH), "Host", &setup.host, &view.hosts, enabled, "What opens the device") {
            setup.host.clone_from(&view.hosts[host]);
        }

        let words = ["Outputs", "Desk"].map(|text| theme::line(ui, text, &[12.0], theme::MUTED, f32::INFINITY).size().x);
        let others = [RATE_WIDTH, PERIOD_WIDTH, OUTPUTS_WIDTH, DESK_WIDTH, START_WIDTH, LIST_WIDTH, ROW_HEIGHT];
        let others = others.iter().chain(&words).sum::<f32>() + 9.0 * GAP;
        let place = row.place((rect.right() - row.left - others).max(DEVICE_WIDTH));
        let face = Text { label: "Device name", value: &view.setup.device, hint: "a name or a file", enabled, ..Text::default() };
        if let Some(text) = self.typing.field(ui, place, Field::Device, &face) {
            text.trim().clone_into(&mut setup.device);
        }
        if let Some(device) = devices(ui, row.place(ROW_HEIGHT), place.width(), view, enabled) {
            setup.device = device;
        }
        let face = Face { label: "List devices anew", text: "List", size: 12.0, enabled, ..Face::default() };
        let anew = choice::button(ui, row.place(LIST_WIDTH), Id::unique("isotherm devices anew"), &face);
        if anew.clicked() {
            asked = Some(ProgramAction::List);
        }
        anew.on_hover_text("Lists the host's devices anew");

        let shown = setup.sample_rate.map_or("Auto rate".into(), rate);
        let names: Vec<_> = std::iter::once("Auto rate".into()).chain(view.rates.iter().copied().map(rate)).collect();
        if let Some(n) = list(ui, row.place(RATE_WIDTH), "Rate", &shown, &names, enabled, "Frames a second") {
            setup.sample_rate = n.checked_sub(1).map(|n| view.rates[n]);
        }
        let hertz = setup.sample_rate;
        let shown = setup.period_frames.map_or("Auto period".into(), |frames| period(frames, hertz));
        let names = view.periods.iter().map(|frames| period(*frames, hertz));
        let names: Vec<_> = std::iter::once("Auto period".into()).chain(names).collect();
        let tip = "Frames that the device hands over at once: fewer are heard sooner, more forgive more";
        if let Some(n) = list(ui, row.place(PERIOD_WIDTH), "Period", &shown, &names, enabled, tip) {
            setup.period_frames = n.checked_sub(1).map(|n| view.periods[n]);
        }

        row.word(ui, "Outputs");
        let value = setup.outputs.map_or(String::new(), |[left, right]| format!("{},{}", left + 1, right + 1));
        let face = Text { label: "Outputs", value: &value, hint: "none", enabled, ..Text::default() };
        if let Some(text) = self.typing.field(ui, row.place(OUTPUTS_WIDTH), Field::Outputs, &face) {
            match outputs(&text) {
                Some(outputs) => (setup.outputs, self.refused) = (outputs, None),
                None => self.refused = Some(text),
            }
        }
        row.word(ui, "Desk");
        let face = Text { label: "Desk", value: &view.setup.desk, hint: "none", enabled, ..Text::default() };
        if let Some(text) = self.typing.field(ui, row.place(DESK_WIDTH), Field::Desk, &face) {
            text.trim().clone_into(&mut setup.desk);
        }

        let text = if enabled { "Start" } else { "Stop" };
        let face = Face { label: text, text, down: Some(!enabled), enabled: enabled || !recording, ..Face::default() };
        let button = choice::button(ui, row.place(START_WIDTH), Id::unique("isotherm device start"), &face);
        if button.clicked() {
            asked = Some(if enabled { ProgramAction::Start } else { ProgramAction::Stop });
        }
        button.on_hover_text(match (enabled, recording) {
            (true, _) => "Opens the device",
            (false, false) => "Closes the device",
            (false, true) => "Closes the device, once the take is stopped",
        });
        asked
    }

    /// Lamp and line of the device, what it lost, when it is heard; lamp and line of the desk.
    fn state(&self, ui: &Ui, rect: Rect, view: &DeviceView) {
        let mut right = rect.right();
        let mut place = |width: f32| {
            right -= width + GAP;
            Rect::from_min_size(pos2(right + GAP, rect.top()), vec2(width, rect.height()))
        };
        if let Some((text, well)) = &view.desk {
            let color = if *well { theme::MUTED } else { theme::ALARM };
            let light = if *well { theme::GREEN } else { theme::ALARM };
            lamp(ui, place(rect.width() * DESK_SHARE), "Desk state", text, Some(light), color);
        }
        if let Some(seconds) = view.monitor_seconds.filter(|s| s.is_finite()) {
            let tip = "From an input to the output on which it is heard: the device's periods and the slots";
            theme::said(ui, place(HEARD_WIDTH), "Heard", &format!("Heard after {:.1} ms", 1e3 * seconds), theme::MUTED, tip);
        }
        let (text, tip) = counts(view);
        if !text.is_empty() {
            let color = if view.overruns > 0 { theme::ALARM } else { theme::YELLOW };
            theme::said(ui, place(COUNTS_WIDTH), "Device health", &text, color, tip);
        }
        let rect = rect.with_max_x(right);
        let (text, light, color) = self.status(view);
        lamp(ui, rect, "Device state", &text, light, color);
    }

    fn status(&self, view: &DeviceView) -> (String, Option<Color32>, Color32) {
        let alarm = |text| (text, Some(theme::ALARM), theme::ALARM);
        match (&view.stage, &self.refused, &view.error) {
            (DeviceStage::Away(why), ..) => alarm(format!("Away: {why}, trying again")),
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

/// A list to open at a place; gives the position of what was chosen anew.
fn list(ui: &mut Ui, rect: Rect, label: &str, shown: &str, names: &[String], enabled: bool, tip: &str) -> Option<usize> {
    let mut ui = ui.new_child(UiBuilder::new().max_rect(rect).id_salt(label));
    if !enabled {
        ui.disable();
    }
    let chosen = names.iter().position(|name| name == shown).unwrap_or(usize::MAX);
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    choice::list(&mut ui, label, rect.width(), shown, &names, chosen, |ui| {
        ui.label(tip);
    })
}

/// The button that opens the list of devices below a field that is `width` wide; gives the one that was chosen.
fn devices(ui: &Ui, rect: Rect, width: f32, view: &DeviceView, enabled: bool) -> Option<String> {
    let face = Face { label: "Devices", enabled, ..Face::default() };
    let button = choice::button(ui, rect, Id::unique("isotherm devices"), &face);
    let corners = [vec2(-4.0, -2.0), vec2(4.0, -2.0), vec2(0.0, 3.0)].map(|to| rect.center() + to);
    let ink = if enabled { theme::TEXT } else { theme::LINE };
    ui.painter().add(Shape::convex_polygon(corners.into(), ink, Stroke::NONE));
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

/// A lamp and its line.
fn lamp(ui: &Ui, rect: Rect, name: &str, text: &str, light: Option<Color32>, color: Color32) {
    ui.painter().circle_filled(pos2(rect.left() + 7.0, rect.center().y), 5.0, light.unwrap_or(theme::RAISED));
    theme::said(ui, rect.with_min_x(rect.left() + 18.0), name, text, color, text);
}

/// What the device lost, and what that means.
fn counts(view: &DeviceView) -> (String, &'static str) {
    let times = |n: u64, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let text = match (view.overruns, view.underruns) {
        (0, 0) => String::new(),
        (over, 0) => times(over, "overrun"),
        (0, under) => times(under, "underrun"),
        (over, under) => format!("{}, {}", times(over, "overrun"), times(under, "underrun")),
    };
    (text, "Overruns: the device lost frames. Underruns: there was nothing to play, which harms no take")
}

fn rate(hertz: u32) -> String {
    format!("{} kHz", f64::from(hertz) / 1e3)
}

fn period(frames: usize, hertz: Option<u32>) -> String {
    match hertz {
        Some(hertz) if hertz > 0 => format!("{frames} frames, {:.1} ms", 1e3 * frames as f64 / f64::from(hertz)),
        _ => format!("{frames} frames"),
    }
}

/// A pair of numbers from 1 as channels from 0, or none at all.
fn outputs(text: &str) -> Option<Option<[usize; 2]>> {
    let text = text.trim();
    if text.is_empty() || text.eq_ignore_ascii_case("none") {
        return Some(None);
    }
    let (left, right) = text.split_once([',', '-', ' '])?;
    let channel = |text: &str| text.trim().parse::<usize>().ok()?.checked_sub(1);
    Some(Some([channel(left)?, channel(right)?]))
}
