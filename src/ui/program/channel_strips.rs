//! A strip for each channel of the device: name, arm button, level meter, clip light, and the sides on which it is monitored.

use egui::{Align2, Color32, Id, Rect, Role, ScrollArea, Sense, Stroke, Ui, UiBuilder, WidgetInfo, pos2, vec2};

use super::{DeviceStage, PADDING, ProgramAction, ProgramView, StripView};
use crate::ui::{
    ChannelLevel, meter_seconds, theme, widgets,
    widgets::{ButtonSpec, TextEntry, TextFieldSpec},
};

/// Width of the column of strips.
pub(super) const WIDTH: f32 = 338.0;
/// Height of a strip. 32 strips and the header fit into a window of [`PROGRAM_SIZE`](super::PROGRAM_SIZE).
const ROW_HEIGHT: f32 = 20.0;
/// Height of the header above the strips, with counts of channels and buttons for all of them.
const HEADER_HEIGHT: f32 = 24.0;
const GAP: f32 = 3.0;
/// Width of the scroll bar.
const SCROLL_BAR_WIDTH: f32 = 10.0;
const NUMBER_WIDTH: f32 = 20.0;
/// Width of the patch in the desk's colour.
const COLOUR_WIDTH: f32 = 6.0;
const NAME_WIDTH: f32 = 96.0;
/// Width of the mark of a channel with a note.
const NOTE_WIDTH: f32 = 10.0;
const BUTTON_WIDTH: f32 = 19.0;
/// Radius of the dot on the button that arms a channel.
const DOT_RADIUS: f32 = 4.5;
/// Width of the largest peak as a number.
const PEAK_WIDTH: f32 = 34.0;
/// Width of the clip light.
const LIGHT_WIDTH: f32 = 9.0;
/// Width of a strip without its meter. Nine gaps separate its ten parts (the meter included).
const FIXED_WIDTH: f32 =
    NUMBER_WIDTH + COLOUR_WIDTH + NAME_WIDTH + NOTE_WIDTH + 3.0 * BUTTON_WIDTH + PEAK_WIDTH + LIGHT_WIDTH + 9.0 * GAP;
/// Lower end of the meters in dBFS; the upper end is full scale.
const FLOOR_DB: f32 = -60.0;
/// Fall of the line that shows the peak: 20 dB in 1.7 s (IEC 60268-18).
const FALL_DB_PER_SECOND: f32 = 20.0 / 1.7;
/// Time constant of the RMS bar (63 % of a step): that of a VU meter, which reaches 99 % in 300 ms (IEC 60268-17).
const RMS_SECONDS: f32 = 0.065;
/// Smallest change of a meter that can be seen: half a pixel.
const VISIBLE_DB: f32 = 0.4;

/// The text field for a channel's name, by the index of the channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct NameField(usize);

/// The strips of all channels, with the state that only they have.
#[derive(Default)]
pub(super) struct ChannelStrips {
    text_entry: TextEntry<NameField>,
    /// One meter for each channel.
    meters: Vec<StripMeter>,
    /// Time of the last frame, in seconds of the window.
    last_frame: f64,
    /// True if no meter moved in the last frame.
    is_at_rest: bool,
}

/// True if the screen needs no new frame: `strip` (new) looks like `shown`, once the meter has settled.
pub(super) fn is_at_rest(strip: &StripView, shown: &StripView) -> bool {
    let fields = |strip: &StripView| (strip.armed, strip.monitor_left, strip.monitor_right, strip.colour);
    fields(strip) == fields(shown)
        && (&strip.name, &strip.note) == (&shown.name, &shown.note)
        && strip.level.is_at_rest(&shown.level, FLOOR_DB, VISIBLE_DB)
}

/// The meter of a channel as it is drawn.
#[derive(Clone, Copy)]
struct StripMeter {
    /// Peak in dBFS, within the meter's range.
    peak_db: f32,
    /// RMS level in dBFS, within the meter's range.
    rms_db: f32,
    /// The largest peak since the last reset, in dBFS; infinite if a sample was NaN.
    held_peak_db: f32,
    /// True from a clip or NaN until the next reset.
    clipped: bool,
}

impl Default for StripMeter {
    fn default() -> Self {
        Self { peak_db: FLOOR_DB, rms_db: FLOOR_DB, held_peak_db: f32::NEG_INFINITY, clipped: false }
    }
}

impl StripMeter {
    /// Moves the meter towards a new level, `seconds` after the last call. Returns true if something moves.
    fn update(&mut self, level: &ChannelLevel, seconds: f32) -> bool {
        // NaN is shown as a clip.
        let decibels = |level: f32| if level.is_nan() { f32::INFINITY } else { 20.0 * level.max(0.0).log10() };
        let in_range = |db: f32| db.clamp(FLOOR_DB, 0.0);
        let (peak_db, rms_db) = (decibels(level.peak), decibels(level.rms));
        let before = *self;
        self.peak_db = in_range(peak_db).max(self.peak_db - FALL_DB_PER_SECOND * seconds);
        self.rms_db += (in_range(rms_db) - self.rms_db) * (1.0 - (-seconds / RMS_SECONDS).exp());
        self.held_peak_db = self.held_peak_db.max(peak_db);
        self.clipped |= level.clipped || level.peak.is_nan();
        let is_moving = (self.rms_db - in_range(rms_db)).abs() > VISIBLE_DB || self.peak_db > in_range(peak_db) + VISIBLE_DB;
        if !is_moving {
            (self.peak_db, self.rms_db) = (in_range(peak_db), in_range(rms_db));
        }
        is_moving
            || (self.peak_db - before.peak_db).abs() > VISIBLE_DB
            || self.clipped != before.clipped
            || self.held_peak_db > before.held_peak_db
    }

    /// Returns the largest peak as text.
    fn held_peak_text(&self) -> String {
        match self.held_peak_db {
            db if db == f32::INFINITY => "\u{221e}".into(),
            // Peaks below half a step of 24 bits (-144.5 dBFS) count as silence.
            db if db < -144.5 => "\u{2212}\u{221e}".into(),
            db => format!("{:.1}", if db.abs() < 0.05 { 0.0 } else { db }).replace('-', "\u{2212}"),
        }
    }

    /// Forgets the largest peak and the clip.
    fn reset(&mut self) {
        (self.held_peak_db, self.clipped) = (f32::NEG_INFINITY, false);
    }
}

impl ChannelStrips {
    /// Draws the strips. Returns true if a meter moves.
    pub fn show(&mut self, ui: &mut Ui, rect: Rect, view: &ProgramView, actions: &mut Vec<ProgramAction>) -> bool {
        let now = ui.input(|i| i.time);
        let seconds = meter_seconds(now - self.last_frame, self.is_at_rest);
        self.last_frame = now;
        self.meters.resize(view.strips.len(), StripMeter::default());
        let mut is_moving = false;
        for (meter, strip) in self.meters.iter_mut().zip(&view.strips) {
            is_moving |= meter.update(&strip.level, seconds);
        }
        self.is_at_rest = !is_moving;

        ui.painter().rect_filled(rect, theme::RADIUS, theme::CARD);
        let inside = rect.shrink(PADDING);
        if view.strips.is_empty() {
            let text = match view.device.stage {
                DeviceStage::Stopped => "Choose a device and press Start: its channels are here then.",
                _ => "No channels yet",
            };
            let line = Rect::from_center_size(inside.center(), vec2(inside.width() - 8.0, ROW_HEIGHT));
            theme::draw_status(ui, line, "Channels", text, theme::MUTED, "");
            return is_moving;
        }
        let (header, body) = inside.split_top_bottom_at_y(inside.top() + HEADER_HEIGHT);
        let body = body.with_min_y(body.top() + PADDING);
        let height = view.strips.len() as f32 * ROW_HEIGHT;
        let scroll_bar = if height > body.height() { SCROLL_BAR_WIDTH } else { 0.0 };
        self.draw_header(ui, header.with_max_x(header.right() - scroll_bar), view, actions);

        let mut ui = ui.new_child(UiBuilder::new().max_rect(body).id_salt("strips"));
        ScrollArea::vertical().auto_shrink(false).show(&mut ui, |ui| {
            let (area, _) = ui.allocate_exact_size(vec2(body.width(), height), Sense::hover());
            for (n, strip) in view.strips.iter().enumerate() {
                let at = pos2(area.left(), area.top() + n as f32 * ROW_HEIGHT);
                let row = Rect::from_min_size(at, vec2(area.width() - scroll_bar, ROW_HEIGHT)).shrink2(vec2(0.0, 1.0));
                self.draw_strip(ui, row, n, strip, view.recording, actions);
            }
        });
        is_moving
    }

    /// Drops a text that is being typed. It is called when the window closes.
    pub fn close(&mut self) {
        self.text_entry.cancel();
        self.last_frame = 0.0;
    }

    /// Draws the header: counts of channels, and buttons for all of them.
    fn draw_header(&mut self, ui: &Ui, rect: Rect, view: &ProgramView, actions: &mut Vec<ProgramAction>) {
        let mut right = rect.right();
        let mut next_rect = |width: f32| {
            right -= width + GAP;
            Rect::from_min_size(pos2(right + GAP, rect.top()), vec2(width, rect.height()))
        };
        let sides = next_rect(2.0 * BUTTON_WIDTH + GAP);
        ui.painter().text(sides.center(), Align2::CENTER_CENTER, "Hear", theme::font(11.0), theme::MUTED);
        let spec = ButtonSpec { label: "Reset all peaks", text: "Reset", font_size: 11.0, ..ButtonSpec::default() };
        let reset = widgets::button(ui, next_rect(LIGHT_WIDTH + GAP + PEAK_WIDTH), Id::unique("isotherm peaks"), &spec);
        if reset.clicked() {
            self.meters.iter_mut().for_each(StripMeter::reset);
        }
        reset.on_hover_text("Forgets all peaks and puts all clip lights out");
        for (text, label, on) in [("None", "Arm none", false), ("Arm all", "Arm all", true)] {
            let enabled = !view.recording;
            let spec = ButtonSpec { label, text, font_size: 11.0, enabled, ..ButtonSpec::default() };
            let button = widgets::button(ui, next_rect(46.0), Id::unique(("isotherm arm all", on)), &spec);
            if button.clicked() {
                actions.push(ProgramAction::ArmAll(on));
            }
            button.on_hover_text(if on { "Every channel is recorded" } else { "No channel is recorded" });
        }
        let count = view.strips.len();
        let armed = view.strips.iter().filter(|strip| strip.armed).count();
        let text = format!("{count} channel{}, {armed} armed", if count == 1 { "" } else { "s" });
        let rect = rect.with_min_x(rect.left() + 4.0).with_max_x(right);
        theme::draw_status(ui, rect, "Channels", &text, theme::TEXT, "Armed channels are recorded as they come from the device");
    }

    /// Draws the strip of the channel with index `n`. While `recording`, what is recorded is bright.
    fn draw_strip(
        &mut self,
        ui: &mut Ui,
        rect: Rect,
        n: usize,
        strip: &StripView,
        recording: bool,
        actions: &mut Vec<ProgramAction>,
    ) {
        let number = n + 1;
        let is_recorded = recording && strip.armed;
        let enabled = !recording;
        if is_recorded {
            ui.painter().rect_filled(rect, 3, theme::RECORDED);
        }
        let number_color = if is_recorded { theme::TEXT } else { theme::MUTED };
        let mut left = rect.left();
        let mut next_rect = |width: f32| {
            left += width + GAP;
            Rect::from_min_size(pos2(left - width - GAP, rect.top()), vec2(width, rect.height()))
        };
        let at = next_rect(NUMBER_WIDTH).center();
        ui.painter().text(at, Align2::CENTER_CENTER, number, theme::font(11.0), number_color);
        let colour = strip.colour.map_or(theme::SUNKEN, |[r, g, b]| Color32::from_rgb(r, g, b));
        ui.painter().rect_filled(next_rect(COLOUR_WIDTH), 2, colour);

        let label = format!("Name of channel {number}");
        let hint = format!("Channel {number}");
        let spec =
            TextFieldSpec { label: &label, value: &strip.name, hint: &hint, font_size: 11.0, enabled, stays_bright: is_recorded };
        if let Some(name) = self.text_entry.draw_field(ui, next_rect(NAME_WIDTH), NameField(n), &spec) {
            actions.push(ProgramAction::Rename { channel: n, name: name.trim().to_owned() });
        }
        let note_rect = next_rect(NOTE_WIDTH);
        if let Some(note) = &strip.note {
            draw_note_mark(ui, note_rect, number, note);
        }
        let label = format!("Arm channel {number}");
        let spec = ButtonSpec {
            label: &label,
            down: Some(strip.armed),
            accent: theme::ALARM,
            enabled,
            stays_bright: is_recorded,
            role: Role::CheckBox,
            ..ButtonSpec::default()
        };
        let arm = widgets::button(ui, next_rect(BUTTON_WIDTH), Id::unique(("isotherm arm", n)), &spec);
        if arm.clicked() {
            actions.push(ProgramAction::Arm { channel: n, on: !strip.armed });
        }
        // A dot, as a letter would be that of the right side.
        let dot_color = match (strip.armed, enabled) {
            (true, _) => theme::TEXT_ON_ACCENT,
            (false, true) => theme::ALARM,
            (false, false) => theme::OUTLINE,
        };
        ui.painter().circle_filled(arm.rect.center(), DOT_RADIUS, dot_color);
        arm.on_hover_text(format!("Records channel {number} as it comes from the device"));

        let meter_rect = next_rect((rect.width() - FIXED_WIDTH).max(NUMBER_WIDTH));
        let peak_rect = next_rect(PEAK_WIDTH + GAP + LIGHT_WIDTH);
        let meter = &mut self.meters[n];
        draw_meter(ui, meter_rect, number, meter);
        draw_peak_and_clip_light(ui, peak_rect, number, meter, number_color);
        let (on_left, on_right) = (strip.monitor_left, strip.monitor_right);
        for (text, side, on, left, right) in
            [("L", "left", on_left, !on_left, on_right), ("R", "right", on_right, on_left, !on_right)]
        {
            let label = format!("Hear channel {number} {side}");
            let spec = ButtonSpec {
                label: &label,
                text,
                font_size: 11.0,
                down: Some(on),
                role: Role::CheckBox,
                ..ButtonSpec::default()
            };
            let button = widgets::button(ui, next_rect(BUTTON_WIDTH), Id::unique(("isotherm hear", n, text)), &spec);
            if button.clicked() {
                actions.push(ProgramAction::Monitor { channel: n, left, right });
            }
            button.on_hover_text(format!("Plays channel {number} through the slots on the {side}"));
        }
    }
}

/// Draws the mark of a channel that has a note. The note is its tooltip.
fn draw_note_mark(ui: &Ui, rect: Rect, number: usize, note: &str) {
    ui.painter().text(rect.center(), Align2::CENTER_CENTER, "!", theme::font(14.0), theme::ALARM);
    let response = ui.interact(rect, Id::unique(("isotherm note", number)), Sense::hover());
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(Role::Status, true, format!("Note on channel {number}"));
        info.current_text_value = Some(note.to_owned());
        info
    });
    response.on_hover_text(note);
}

/// Draws the meter of a channel: a bar for the RMS level, a line for the peak.
fn draw_meter(ui: &Ui, rect: Rect, number: usize, meter: &StripMeter) {
    let track = rect.shrink2(vec2(0.0, 4.0));
    let x = |db: f32| egui::remap_clamp(db, FLOOR_DB..=0.0, track.x_range());
    let painter = ui.painter();
    painter.rect_filled(track, 2, theme::SUNKEN);
    painter.rect_filled(track.with_max_x(x(meter.rms_db)), 2, theme::mix(theme::SUNKEN, theme::NEUTRAL, 0.6));
    if meter.peak_db > FLOOR_DB {
        let color = if meter.peak_db >= 0.0 { theme::ALARM } else { theme::TEXT };
        painter.vline(x(meter.peak_db), track.y_range(), Stroke::new(1.5, color));
    }
    let response = ui.interact(rect, Id::unique(("isotherm level", number)), Sense::hover());
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(Role::Meter, true, format!("Level of channel {number}"));
        info.current_text_value = Some(format!("{:.0} dBFS", meter.peak_db));
        info
    });
    response.on_hover_text(format!("Level of channel {number}: RMS bright, peak as a line; {FLOOR_DB:.0} to 0 dBFS"));
}

/// Draws the largest peak as a number in `color`, and the clip light; a click resets both.
fn draw_peak_and_clip_light(ui: &Ui, rect: Rect, number: usize, meter: &mut StripMeter, color: Color32) {
    let response = ui.interact(rect, Id::unique(("isotherm strip clip", number)), Sense::click());
    if response.clicked() {
        meter.reset();
    }
    let (peak, clip_light) = rect.split_left_right_at_x(rect.right() - LIGHT_WIDTH);
    let held_peak = meter.held_peak_text();
    let color = if meter.clipped { theme::ALARM } else { color };
    let text = theme::fit_text(ui, &held_peak, &[11.0, 10.0], color, PEAK_WIDTH);
    let at = Align2::RIGHT_CENTER.align_size_within_rect(text.size(), peak.with_max_x(peak.right() - GAP)).min;
    ui.painter().galley(at, text, color);
    let light_color = if meter.clipped { theme::ALARM } else { theme::RAISED };
    ui.painter().rect_filled(clip_light.shrink2(vec2(0.0, 4.0)), 2, light_color);
    if response.has_focus() || response.hovered() {
        ui.painter().rect_stroke(rect, 3, Stroke::new(1.0, theme::OUTLINE), egui::StrokeKind::Inside);
    }
    response.widget_info(|| {
        let mut info = WidgetInfo::selected(Role::Button, true, meter.clipped, format!("Clip of channel {number}"));
        info.current_text_value = Some(format!("{held_peak} dBFS"));
        info
    });
    response.on_hover_text("The largest peak in dBFS; red: clipped. Click to reset");
}
