//! A strip for each channel of the device: name, arm, level, clip light, and on which side it is heard.

use egui::{Align2, Color32, Id, Rect, Role, ScrollArea, Sense, Stroke, Ui, UiBuilder, WidgetInfo, pos2, vec2};

use super::{DeviceStage, PADDING, ProgramAction, ProgramView, StripView};
use crate::ui::{
    Level, choice,
    choice::{Face, Text, Typing},
    moving_seconds, theme,
};

/// Of the column.
pub(super) const WIDTH: f32 = 338.0;
/// 32 of them and the head have room in the window's own size.
const ROW_HEIGHT: f32 = 20.0;
const HEAD_HEIGHT: f32 = 24.0;
const GAP: f32 = 3.0;
/// A scroll bar's.
const BAR_WIDTH: f32 = 10.0;
const NUMBER_WIDTH: f32 = 20.0;
const CHIP_WIDTH: f32 = 6.0;
const NAME_WIDTH: f32 = 96.0;
const NOTE_WIDTH: f32 = 10.0;
const BUTTON_WIDTH: f32 = 19.0;
const PEAK_WIDTH: f32 = 34.0;
const LIGHT_WIDTH: f32 = 9.0;
/// Of a strip without its meter: a gap behind each of its places, and one within the peak's.
const FIXED_WIDTH: f32 =
    NUMBER_WIDTH + CHIP_WIDTH + NAME_WIDTH + NOTE_WIDTH + 3.0 * BUTTON_WIDTH + PEAK_WIDTH + LIGHT_WIDTH + 9.0 * GAP;
/// Lowest mark of a meter, dB to full scale; the highest is full scale.
const FLOOR_DB: f32 = -60.0;
/// Fall of a peak's line: 20 dB in 1.7 s (IEC 60268-18).
const FALL_DB_PER_SECOND: f32 = 20.0 / 1.7;
/// Time in which the RMS bar covers 63 % of a step: that of a VU meter (IEC 60268-17: 99 % in 300 ms).
const RMS_SECONDS: f32 = 0.065;
/// Change of a meter that is seen: half a pixel.
const VISIBLE_DB: f32 = 0.4;

/// A text that can be typed: a channel's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Name(usize);

/// State of the view only.
#[derive(Default)]
pub(super) struct Strips {
    typing: Typing<Name>,
    meters: Vec<Meter>,
    /// Of the last frame, in seconds of the window.
    time: f64,
    /// Nothing moved in the last frame.
    rests: bool,
}

/// Whether a strip that shows `shown` and is at rest would look the same.
pub(super) fn is_at_rest(strip: &StripView, shown: &StripView) -> bool {
    let told = |strip: &StripView| (strip.armed, strip.left, strip.right, strip.colour);
    told(strip) == told(shown)
        && (&strip.name, &strip.note) == (&shown.name, &shown.note)
        && strip.level.is_at_rest(&shown.level, FLOOR_DB, VISIBLE_DB)
}

#[derive(Clone, Copy)]
struct Meter {
    peak_db: f32,
    rms_db: f32,
    /// The largest peak and whether anything left full scale, until they are clicked.
    held_db: f32,
    clipped: bool,
}

impl Default for Meter {
    fn default() -> Self {
        Self { peak_db: FLOOR_DB, rms_db: FLOOR_DB, held_db: f32::NEG_INFINITY, clipped: false }
    }
}

impl Meter {
    /// Takes a new level in after `seconds`; tells whether something moves.
    fn update(&mut self, level: &Level, seconds: f32) -> bool {
        // What is no number has no level: it is shown as too much.
        let decibels = |level: f32| if level.is_nan() { f32::INFINITY } else { 20.0 * level.max(0.0).log10() };
        let shown = |db: f32| db.clamp(FLOOR_DB, 0.0);
        let (peak_db, rms_db) = (decibels(level.peak), decibels(level.rms));
        let before = *self;
        self.peak_db = shown(peak_db).max(self.peak_db - FALL_DB_PER_SECOND * seconds);
        self.rms_db += (shown(rms_db) - self.rms_db) * (1.0 - (-seconds / RMS_SECONDS).exp());
        self.held_db = self.held_db.max(peak_db);
        self.clipped |= level.clipped || level.peak.is_nan();
        let far = (self.rms_db - shown(rms_db)).abs() > VISIBLE_DB || self.peak_db > shown(peak_db) + VISIBLE_DB;
        if !far {
            (self.peak_db, self.rms_db) = (shown(peak_db), shown(rms_db));
        }
        far || (self.peak_db - before.peak_db).abs() > VISIBLE_DB
            || self.clipped != before.clipped
            || self.held_db > before.held_db
    }

    fn held(&self) -> String {
        match self.held_db {
            db if db == f32::INFINITY => "\u{221e}".into(),
            // Less than a step of 24 bits.
            db if db < -144.5 => "\u{2212}\u{221e}".into(),
            db => format!("{:.1}", if db.abs() < 0.05 { 0.0 } else { db }).replace('-', "\u{2212}"),
        }
    }

    fn reset(&mut self) {
        (self.held_db, self.clipped) = (f32::NEG_INFINITY, false);
    }
}

impl Strips {
    /// Tells whether something moves.
    pub fn show(&mut self, ui: &mut Ui, rect: Rect, view: &ProgramView, actions: &mut Vec<ProgramAction>) -> bool {
        let now = ui.input(|i| i.time);
        let seconds = moving_seconds(now - self.time, self.rests);
        self.time = now;
        self.meters.resize(view.strips.len(), Meter::default());
        let mut busy = false;
        for (meter, strip) in self.meters.iter_mut().zip(&view.strips) {
            busy |= meter.update(&strip.level, seconds);
        }
        self.rests = !busy;

        ui.painter().rect_filled(rect, theme::RADIUS, theme::CARD);
        let inside = rect.shrink(PADDING);
        if view.strips.is_empty() {
            let text = match view.device.stage {
                DeviceStage::Stopped => "Choose a device and press Start: its channels are here then.",
                _ => "No channels yet",
            };
            let line = Rect::from_center_size(inside.center(), vec2(inside.width() - 8.0, ROW_HEIGHT));
            theme::said(ui, line, "Channels", text, theme::MUTED, "");
            return busy;
        }
        let (head, body) = inside.split_top_bottom_at_y(inside.top() + HEAD_HEIGHT);
        let body = body.with_min_y(body.top() + PADDING);
        let height = view.strips.len() as f32 * ROW_HEIGHT;
        let bar = if height > body.height() { BAR_WIDTH } else { 0.0 };
        self.head(ui, head.with_max_x(head.right() - bar), view, actions);

        let mut ui = ui.new_child(UiBuilder::new().max_rect(body).id_salt("strips"));
        ScrollArea::vertical().auto_shrink(false).show(&mut ui, |ui| {
            let (area, _) = ui.allocate_exact_size(vec2(body.width(), height), Sense::hover());
            for (n, strip) in view.strips.iter().enumerate() {
                let at = pos2(area.left(), area.top() + n as f32 * ROW_HEIGHT);
                let row = Rect::from_min_size(at, vec2(area.width() - bar, ROW_HEIGHT)).shrink2(vec2(0.0, 1.0));
                self.strip(ui, row, n, strip, !view.recording, actions);
            }
        });
        busy
    }

    /// Forgets what is being typed.
    pub fn close(&mut self) {
        self.typing.forget();
        self.time = 0.0;
    }

    fn head(&mut self, ui: &Ui, rect: Rect, view: &ProgramView, actions: &mut Vec<ProgramAction>) {
        let mut right = rect.right();
        let mut place = |width: f32| {
            right -= width + GAP;
            Rect::from_min_size(pos2(right + GAP, rect.top()), vec2(width, rect.height()))
        };
        let hear = place(2.0 * BUTTON_WIDTH + GAP);
        ui.painter().text(hear.center(), Align2::CENTER_CENTER, "Hear", theme::font(11.0), theme::MUTED);
        let face = Face { label: "Reset all peaks", text: "Reset", size: 11.0, ..Face::default() };
        let reset = choice::button(ui, place(LIGHT_WIDTH + GAP + PEAK_WIDTH), Id::unique("isotherm peaks"), &face);
        if reset.clicked() {
            self.meters.iter_mut().for_each(Meter::reset);
        }
        reset.on_hover_text("Forgets all peaks and puts all clip lights out");
        for (text, label, on) in [("None", "Arm none", false), ("Arm all", "Arm all", true)] {
            let enabled = !view.recording;
            let face = Face { label, text, size: 11.0, enabled, ..Face::default() };
            let button = choice::button(ui, place(46.0), Id::unique(("isotherm arm all", on)), &face);
            if button.clicked() {
                actions.push(ProgramAction::ArmAll(on));
            }
            button.on_hover_text(if on { "Every channel is recorded" } else { "No channel is recorded" });
        }
        let count = view.strips.len();
        let armed = view.strips.iter().filter(|strip| strip.armed).count();
        let text = format!("{count} channel{}, {armed} armed", if count == 1 { "" } else { "s" });
        let rect = rect.with_min_x(rect.left() + 4.0).with_max_x(right);
        theme::said(ui, rect, "Channels", &text, theme::TEXT, "Armed channels are recorded, each as it came");
    }

    fn strip(&mut self, ui: &mut Ui, rect: Rect, n: usize, strip: &StripView, enabled: bool, actions: &mut Vec<ProgramAction>) {
        let number = n + 1;
        let mut left = rect.left();
        let mut place = |width: f32| {
            left += width + GAP;
            Rect::from_min_size(pos2(left - width - GAP, rect.top()), vec2(width, rect.height()))
        };
        let at = place(NUMBER_WIDTH).center();
        ui.painter().text(at, Align2::CENTER_CENTER, number, theme::font(11.0), theme::MUTED);
        let chip = strip.colour.map_or(theme::SUNKEN, |[r, g, b]| Color32::from_rgb(r, g, b));
        ui.painter().rect_filled(place(CHIP_WIDTH), 2, chip);

        let label = format!("Name of channel {number}");
        let hint = format!("Channel {number}");
        let face = Text { label: &label, value: &strip.name, hint: &hint, size: 11.0, enabled };
        if let Some(name) = self.typing.field(ui, place(NAME_WIDTH), Name(n), &face) {
            actions.push(ProgramAction::Name { channel: n, name: name.trim().to_owned() });
        }
        let mark = place(NOTE_WIDTH);
        if let Some(note) = &strip.note {
            note_mark(ui, mark, number, note);
        }
        let label = format!("Arm channel {number}");
        let arm = Face {
            label: &label,
            text: "R",
            size: 11.0,
            down: Some(strip.armed),
            accent: theme::ALARM,
            enabled,
            role: Role::CheckBox,
            ..Face::default()
        };
        let arm = choice::button(ui, place(BUTTON_WIDTH), Id::unique(("isotherm arm", n)), &arm);
        if arm.clicked() {
            actions.push(ProgramAction::Arm { channel: n, on: !strip.armed });
        }
        arm.on_hover_text(format!("Records channel {number}, as it came"));

        let meter = place((rect.width() - FIXED_WIDTH).max(NUMBER_WIDTH));
        let held = place(PEAK_WIDTH + GAP + LIGHT_WIDTH);
        let level = &mut self.meters[n];
        draw_level(ui, meter, number, level);
        light(ui, held, number, level);
        for (text, side, heard, left, right) in
            [("L", "left", strip.left, !strip.left, strip.right), ("R", "right", strip.right, strip.left, !strip.right)]
        {
            let label = format!("Hear channel {number} {side}");
            let face = Face { label: &label, text, size: 11.0, down: Some(heard), role: Role::CheckBox, ..Face::default() };
            let button = choice::button(ui, place(BUTTON_WIDTH), Id::unique(("isotherm hear", n, text)), &face);
            if button.clicked() {
                actions.push(ProgramAction::Hear { channel: n, left, right });
            }
            button.on_hover_text(format!("Plays channel {number} through the slots on the {side}"));
        }
    }
}

/// What stands out about a channel.
fn note_mark(ui: &Ui, rect: Rect, number: usize, note: &str) {
    ui.painter().text(rect.center(), Align2::CENTER_CENTER, "!", theme::font(14.0), theme::ALARM);
    let response = ui.interact(rect, Id::unique(("isotherm note", number)), Sense::hover());
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(Role::Status, true, format!("Note on channel {number}"));
        info.current_text_value = Some(note.to_owned());
        info
    });
    response.on_hover_text(note);
}

/// RMS bright, peak as a line.
fn draw_level(ui: &Ui, rect: Rect, number: usize, meter: &Meter) {
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

/// The largest peak as a number, and the clip light; a click resets both.
fn light(ui: &Ui, rect: Rect, number: usize, meter: &mut Meter) {
    let response = ui.interact(rect, Id::unique(("isotherm strip clip", number)), Sense::click());
    if response.clicked() {
        meter.reset();
    }
    let (peak, light) = rect.split_left_right_at_x(rect.right() - LIGHT_WIDTH);
    let held = meter.held();
    let color = if meter.clipped { theme::ALARM } else { theme::MUTED };
    let text = theme::line(ui, &held, &[11.0, 10.0], color, PEAK_WIDTH);
    let at = Align2::RIGHT_CENTER.align_size_within_rect(text.size(), peak.with_max_x(peak.right() - GAP)).min;
    ui.painter().galley(at, text, color);
    let lit = if meter.clipped { theme::ALARM } else { theme::RAISED };
    ui.painter().rect_filled(light.shrink2(vec2(0.0, 4.0)), 2, lit);
    if response.has_focus() || response.hovered() {
        ui.painter().rect_stroke(rect, 3, Stroke::new(1.0, theme::LINE), egui::StrokeKind::Inside);
    }
    response.widget_info(|| {
        let mut info = WidgetInfo::selected(Role::Button, true, meter.clipped, format!("Clip of channel {number}"));
        info.current_text_value = Some(format!("{held} dBFS"));
        info
    });
    response.on_hover_text("The largest peak in dBFS; red: clipped. Click to reset");
}
