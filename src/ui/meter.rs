//! Level meters: input and output with one scale between them.

use egui::{Align2, Id, Rect, Role, Sense, Stroke, Ui, WidgetInfo, pos2, vec2};

use super::{hands::Hands, theme};
use crate::view::Level;

/// Channels that are drawn; 32 bars of 3 px are the most that a window has room for.
pub const MAX_CHANNELS: usize = 32;
/// Lowest and highest mark of the scale, dB to full scale. Values above full scale exist: samples are floats.
const FLOOR_DB: f32 = -60.0;
const CEILING_DB: f32 = 6.0;
const MARKS_DB: [f32; 8] = [0.0, -6.0, -12.0, -18.0, -24.0, -36.0, -48.0, -60.0];
/// Fall of a peak: 20 dB in one second. IEC 60268-18 recommends 20 dB in 1.7 s, DIN 45406 has 20 dB in 1.5 s; with a number that
/// holds the largest peak beside the bar the bar may fall faster, so that single drum beats are seen.
const FALL_DB_PER_SECOND: f32 = 20.0;
/// Time in which the RMS bar covers 63 % of a step: that of a VU meter (IEC 60268-17: 99 % in 300 ms).
const RMS_SECONDS: f32 = 0.065;
/// Change of a bar that is seen: half a pixel of a bar of 330 px.
const VISIBLE_DB: f32 = 0.1;

const SCALE_WIDTH: f32 = 26.0;
const PADDING: f32 = 10.0;
const HEAD_HEIGHT: f32 = 34.0;
const LIGHT_HEIGHT: f32 = 8.0;

/// Meters of one side.
#[derive(Default)]
pub(super) struct Bank {
    bars: Vec<Bar>,
    /// The largest peak since the last click.
    held_db: Option<f32>,
}

#[derive(Clone, Copy)]
struct Bar {
    peak_db: f32,
    rms_db: f32,
    clipped: bool,
}

/// A linear level in dB on the scale. What is no number is silence.
fn decibels(level: f32) -> f32 {
    if level > 0.0 { (20.0 * level.log10()).clamp(FLOOR_DB, CEILING_DB) } else { FLOOR_DB }
}

/// Whether bars that rest at `shown` do not move for `levels`.
pub(super) fn is_at_rest(levels: &[Level], shown: &[Level]) -> bool {
    levels.len() == shown.len()
        && levels.iter().zip(shown).take(MAX_CHANNELS).all(|(level, shown)| level.is_at_rest(shown, FLOOR_DB, VISIBLE_DB))
}

impl Bank {
    pub fn len(&self) -> usize {
        self.bars.len()
    }

    /// Takes new levels in after `seconds`; tells whether a bar moved.
    pub fn update(&mut self, levels: &[Level], seconds: f32) -> bool {
        let silent = Bar { peak_db: FLOOR_DB, rms_db: FLOOR_DB, clipped: false };
        self.bars.resize(levels.len().min(MAX_CHANNELS), silent);
        let mut moved = false;
        for (bar, level) in self.bars.iter_mut().zip(levels) {
            let before = *bar;
            let peak_db = decibels(level.peak);
            bar.peak_db = peak_db.max(bar.peak_db - FALL_DB_PER_SECOND * seconds);
            let rms_db = decibels(level.rms);
            bar.rms_db += (rms_db - bar.rms_db) * (1.0 - (-seconds / RMS_SECONDS).exp());
            bar.clipped |= level.clipped;
            if level.peak > 0.0 {
                let exact_db = (20.0 * level.peak.log10()).min(99.9);
                self.held_db = Some(self.held_db.map_or(exact_db, |held| held.max(exact_db)));
            }
            let far = (bar.rms_db - rms_db).abs() > VISIBLE_DB || bar.peak_db > peak_db + VISIBLE_DB;
            if !far {
                (bar.peak_db, bar.rms_db) = (peak_db, rms_db);
            }
            moved |= far || (bar.peak_db - before.peak_db).abs() > VISIBLE_DB || bar.clipped != before.clipped;
        }
        moved
    }

    /// Forgets everything.
    pub fn rest(&mut self) {
        *self = Self::default();
    }

    fn reset_clip(&mut self) {
        self.held_db = None;
        for bar in &mut self.bars {
            bar.clipped = false;
        }
    }
}

/// Width of a bar with its gap.
fn pitch(channels: usize) -> f32 {
    match channels {
        0..=2 => 16.0,
        3..=8 => 8.0,
        9..=16 => 5.0,
        _ => 3.0,
    }
}

fn group_width(channels: usize) -> f32 {
    // At least the width of "-12.3".
    (channels as f32 * pitch(channels)).max(34.0)
}

/// Width of the panel.
pub(super) fn width(channels: usize) -> f32 {
    2.0 * group_width(channels) + SCALE_WIDTH + 2.0 * PADDING
}

pub(super) fn show(ui: &Ui, hands: &mut Hands, rect: Rect, input: &mut Bank, output: &mut Bank, channels: usize) {
    ui.painter().rect_filled(rect, theme::RADIUS, theme::CARD);
    let inside = rect.shrink(PADDING);
    let width = group_width(input.len().max(output.len()));
    let groups = [
        (inside.with_max_x(inside.left() + width), input, "In", "Input"),
        (inside.with_min_x(inside.right() - width), output, "Out", "Output"),
    ];
    let bars = inside.with_min_y(inside.top() + HEAD_HEIGHT + LIGHT_HEIGHT + 4.0).with_max_y(inside.bottom() - 4.0);
    let y = |db: f32| egui::remap_clamp(db, FLOOR_DB..=CEILING_DB, bars.bottom()..=bars.top());

    let scale = inside.with_min_x(inside.left() + width).with_max_x(inside.right() - width);
    for db in MARKS_DB {
        let text = format!("{db:.0}").replace('-', "\u{2212}");
        ui.painter().text(pos2(scale.center().x, y(db)), Align2::CENTER_CENTER, text, theme::font(10.0), theme::MUTED);
    }
    ui.painter().text(pos2(scale.center().x, inside.top() + 7.0), Align2::CENTER_CENTER, "dBFS", theme::font(9.0), theme::MUTED);

    for (group, bank, short, long) in groups {
        let head = pos2(group.center().x, group.top() + 7.0);
        ui.painter().text(head, Align2::CENTER_CENTER, short, theme::font(12.0), theme::TEXT);
        lights(ui, hands, group, bank, long);
        let count = bank.len();
        let pitch = pitch(count);
        let left = group.center().x - count as f32 * pitch / 2.0;
        let gap = if pitch > 6.0 { 2.0 } else { 1.0 };
        for (i, bar) in bank.bars.iter().enumerate() {
            let x = left + i as f32 * pitch + gap / 2.0..=left + (i + 1) as f32 * pitch - gap / 2.0;
            let part = |top: f32, bottom: f32| Rect::from_x_y_ranges(x.clone(), top..=bottom);
            let painter = ui.painter();
            painter.rect_filled(part(bars.top(), bars.bottom()), 1, theme::SUNKEN);
            painter.rect_filled(part(y(bar.peak_db.min(0.0)), bars.bottom()), 1, theme::mix(theme::SUNKEN, theme::NEUTRAL, 0.38));
            painter.rect_filled(part(y(bar.rms_db.min(0.0)), bars.bottom()), 1, theme::NEUTRAL);
            if bar.peak_db > 0.0 {
                painter.rect_filled(part(y(bar.peak_db), y(0.0)), 1, theme::ALARM);
            }
        }
        ui.painter().hline(group.x_range(), y(0.0), Stroke::new(1.0, theme::LINE));
        let response = ui.interact(
            bars.with_min_x(group.left()).with_max_x(group.right()),
            Id::unique(("isotherm meter", long)),
            Sense::hover(),
        );
        response.widget_info(|| WidgetInfo::labeled(Role::Meter, true, format!("{long} level")));
        let shown = if channels > count { format!(", the first {count} of {channels} channels") } else { String::new() };
        response.on_hover_text(format!("{long} level: RMS bright, peak dim{shown}"));
    }
}

/// The largest peak as a number and a clip light for each channel; a click on either resets both.
fn lights(ui: &Ui, hands: &mut Hands, group: Rect, bank: &mut Bank, long: &str) {
    let top = group.top() + 15.0;
    let area = Rect::from_min_max(pos2(group.left(), top), pos2(group.right(), group.top() + HEAD_HEIGHT + LIGHT_HEIGHT + 1.0));
    let response = ui.interact(area, Id::unique(("isotherm clip", long)), Sense::click());
    if response.clicked() {
        bank.reset_clip();
        hands.busy = true;
    }
    let clipped = bank.bars.iter().any(|b| b.clipped);
    let held = match bank.held_db {
        Some(db) if db > -100.0 => format!("{db:.1}").replace('-', "\u{2212}"),
        _ => "\u{2212}\u{221e}".into(),
    };
    let color = if clipped { theme::ALARM } else { theme::TEXT };
    ui.painter().text(pos2(group.center().x, top + 8.0), Align2::CENTER_CENTER, &held, theme::font(11.0), color);
    let count = bank.bars.len();
    let pitch = pitch(count);
    let left = group.center().x - count as f32 * pitch / 2.0;
    let gap = if pitch > 6.0 { 2.0 } else { 1.0 };
    for (i, bar) in bank.bars.iter().enumerate() {
        let x = left + i as f32 * pitch + gap / 2.0;
        let light = Rect::from_min_size(pos2(x, group.top() + HEAD_HEIGHT), vec2(pitch - gap, LIGHT_HEIGHT - 2.0));
        ui.painter().rect_filled(light, 1, if bar.clipped { theme::ALARM } else { theme::RAISED });
    }
    if response.has_focus() || response.hovered() {
        ui.painter().rect_stroke(area, 3, Stroke::new(1.0, theme::LINE), egui::StrokeKind::Outside);
    }
    response.widget_info(|| {
        let mut info = WidgetInfo::selected(Role::Button, true, clipped, format!("{long} clip"));
        info.current_text_value = Some(held.clone());
        info
    });
    response.on_hover_text("The largest peak; red: clipped. Click to reset");
}
