//! The editor's level meters: bars of input and output, with one scale between them.

use egui::{Align2, Id, Rect, Role, Sense, Stroke, Ui, WidgetInfo, pos2, vec2};

use super::{gestures::Gestures, theme};
use crate::view::ChannelLevel;

/// Largest number of bars of input or output: a window has room for 32 bars of 3 px. Further channels have no bar.
const MAX_BARS: usize = 32;
/// Lower end of the scale, in dBFS.
const FLOOR_DB: f32 = -60.0;
/// Upper end of the scale, in dBFS. Samples are floats, so levels above full scale exist.
const CEILING_DB: f32 = 6.0;
/// Levels that are written on the scale, in dBFS.
const MARKS_DB: [f32; 8] = [0.0, -6.0, -12.0, -18.0, -24.0, -36.0, -48.0, -60.0];
/// Fall of a peak: 20 dB in one second. IEC 60268-18 recommends 20 dB in 1.7 s, and DIN 45406 20 dB in 1.5 s. These bars fall
/// faster, so that single drum beats can be seen; the number above them keeps the largest peak.
const FALL_DB_PER_SECOND: f32 = 20.0;
/// Time constant of the RMS bar (63 % of a step): that of a VU meter, which reaches 99 % in 300 ms (IEC 60268-17).
const RMS_SECONDS: f32 = 0.065;
/// Smallest change of a level that can be seen: half a pixel of a bar of 330 px.
const VISIBLE_DB: f32 = 0.1;

/// Width of the scale between the bars of the input and those of the output.
const SCALE_WIDTH: f32 = 26.0;
const PADDING: f32 = 10.0;
/// Height of the name and the largest peak above the bars.
const HEAD_HEIGHT: f32 = 34.0;
/// Height of a clip light with the gap below it.
const LIGHT_HEIGHT: f32 = 8.0;

/// The bars of input or output, one for each channel.
#[derive(Default)]
pub(super) struct MeterBank {
    bars: Vec<MeterBar>,
    /// The largest peak of all channels since the last click, in dBFS; None before the first.
    held_peak_db: Option<f32>,
}

/// The bar of one channel as it is drawn. Levels are in dBFS, within the scale.
#[derive(Clone, Copy)]
struct MeterBar {
    peak_db: f32,
    rms_db: f32,
    /// True from a clip until it is reset by a click.
    clipped: bool,
}

/// Returns a linear level in dBFS, limited to the scale; NaN counts as silence.
fn scale_db(level: f32) -> f32 {
    if level > 0.0 { (20.0 * level.log10()).clamp(FLOOR_DB, CEILING_DB) } else { FLOOR_DB }
}

/// True if bars that have reached the levels `shown` would not move visibly for `levels`.
pub(super) fn is_at_rest(levels: &[ChannelLevel], shown: &[ChannelLevel]) -> bool {
    levels.len() == shown.len()
        && levels.iter().zip(shown).take(MAX_BARS).all(|(level, shown)| level.is_at_rest(shown, FLOOR_DB, VISIBLE_DB))
}

impl MeterBank {
    /// Returns the number of bars.
    pub fn len(&self) -> usize {
        self.bars.len()
    }

    /// Moves the bars towards new levels, `seconds` after the last call. Returns true if a bar moves.
    pub fn update(&mut self, levels: &[ChannelLevel], seconds: f32) -> bool {
        let silent = MeterBar { peak_db: FLOOR_DB, rms_db: FLOOR_DB, clipped: false };
        self.bars.resize(levels.len().min(MAX_BARS), silent);
        let mut moved = false;
        for (bar, level) in self.bars.iter_mut().zip(levels) {
            let before = *bar;
            let peak_db = scale_db(level.peak);
            bar.peak_db = peak_db.max(bar.peak_db - FALL_DB_PER_SECOND * seconds);
            let rms_db = scale_db(level.rms);
            bar.rms_db += (rms_db - bar.rms_db) * (1.0 - (-seconds / RMS_SECONDS).exp());
            bar.clipped |= level.clipped;
            if level.peak > 0.0 {
                let exact_db = (20.0 * level.peak.log10()).min(99.9);
                self.held_peak_db = Some(self.held_peak_db.map_or(exact_db, |held| held.max(exact_db)));
            }
            let is_moving = (bar.rms_db - rms_db).abs() > VISIBLE_DB || bar.peak_db > peak_db + VISIBLE_DB;
            if !is_moving {
                (bar.peak_db, bar.rms_db) = (peak_db, rms_db);
            }
            moved |= is_moving || (bar.peak_db - before.peak_db).abs() > VISIBLE_DB || bar.clipped != before.clipped;
        }
        moved
    }

    /// Sets all levels to silence and forgets the largest peak and the clips.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Forgets the largest peak and the clips.
    fn reset_clips(&mut self) {
        self.held_peak_db = None;
        for bar in &mut self.bars {
            bar.clipped = false;
        }
    }
}

/// Returns the distance from one bar to the next.
fn bar_spacing(channels: usize) -> f32 {
    match channels {
        0..=2 => 16.0,
        3..=8 => 8.0,
        9..=16 => 5.0,
        _ => 3.0,
    }
}

/// Returns the width of the bars of input or output.
fn bank_width(channels: usize) -> f32 {
    // The number above them, such as "-12.3", needs 34 pixels.
    (channels as f32 * bar_spacing(channels)).max(34.0)
}

/// Returns the width of the whole panel.
pub(super) fn width(channels: usize) -> f32 {
    2.0 * bank_width(channels) + SCALE_WIDTH + 2.0 * PADDING
}

/// Draws the panel of both meters. `channels` is the number of channels that run, of which the first [`MAX_BARS`] have bars.
pub(super) fn show(ui: &Ui, gestures: &mut Gestures, rect: Rect, input: &mut MeterBank, output: &mut MeterBank, channels: usize) {
    ui.painter().rect_filled(rect, theme::RADIUS, theme::CARD);
    let inside = rect.shrink(PADDING);
    let width = bank_width(input.len().max(output.len()));
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

    for (group, bank, short_name, name) in groups {
        let head = pos2(group.center().x, group.top() + 7.0);
        ui.painter().text(head, Align2::CENTER_CENTER, short_name, theme::font(12.0), theme::TEXT);
        draw_peak_and_clip_lights(ui, gestures, group, bank, name);
        let count = bank.len();
        let spacing = bar_spacing(count);
        let left = group.center().x - count as f32 * spacing / 2.0;
        let gap = if spacing > 6.0 { 2.0 } else { 1.0 };
        for (i, bar) in bank.bars.iter().enumerate() {
            let x = left + i as f32 * spacing + gap / 2.0..=left + (i + 1) as f32 * spacing - gap / 2.0;
            let part = |top: f32, bottom: f32| Rect::from_x_y_ranges(x.clone(), top..=bottom);
            let painter = ui.painter();
            painter.rect_filled(part(bars.top(), bars.bottom()), 1, theme::SUNKEN);
            painter.rect_filled(part(y(bar.peak_db.min(0.0)), bars.bottom()), 1, theme::mix(theme::SUNKEN, theme::NEUTRAL, 0.38));
            painter.rect_filled(part(y(bar.rms_db.min(0.0)), bars.bottom()), 1, theme::NEUTRAL);
            if bar.peak_db > 0.0 {
                painter.rect_filled(part(y(bar.peak_db), y(0.0)), 1, theme::ALARM);
            }
        }
        ui.painter().hline(group.x_range(), y(0.0), Stroke::new(1.0, theme::OUTLINE));
        let response = ui.interact(
            bars.with_min_x(group.left()).with_max_x(group.right()),
            Id::unique(("isotherm meter", name)),
            Sense::hover(),
        );
        response.widget_info(|| WidgetInfo::labeled(Role::Meter, true, format!("{name} level")));
        let shown = if channels > count { format!(", the first {count} of {channels} channels") } else { String::new() };
        response.on_hover_text(format!("{name} level: RMS bright, peak dim{shown}"));
    }
}

/// Draws the largest peak as a number, and a clip light for each channel; a click on them resets both.
fn draw_peak_and_clip_lights(ui: &Ui, gestures: &mut Gestures, group: Rect, bank: &mut MeterBank, name: &str) {
    let top = group.top() + 15.0;
    let area = Rect::from_min_max(pos2(group.left(), top), pos2(group.right(), group.top() + HEAD_HEIGHT + LIGHT_HEIGHT + 1.0));
    let response = ui.interact(area, Id::unique(("isotherm clip", name)), Sense::click());
    if response.clicked() {
        bank.reset_clips();
        gestures.needs_frame = true;
    }
    let clipped = bank.bars.iter().any(|b| b.clipped);
    let held = match bank.held_peak_db {
        Some(db) if db > -100.0 => format!("{db:.1}").replace('-', "\u{2212}"),
        _ => "\u{2212}\u{221e}".into(),
    };
    let color = if clipped { theme::ALARM } else { theme::TEXT };
    ui.painter().text(pos2(group.center().x, top + 8.0), Align2::CENTER_CENTER, &held, theme::font(11.0), color);
    let count = bank.bars.len();
    let spacing = bar_spacing(count);
    let left = group.center().x - count as f32 * spacing / 2.0;
    let gap = if spacing > 6.0 { 2.0 } else { 1.0 };
    for (i, bar) in bank.bars.iter().enumerate() {
        let x = left + i as f32 * spacing + gap / 2.0;
        let light = Rect::from_min_size(pos2(x, group.top() + HEAD_HEIGHT), vec2(spacing - gap, LIGHT_HEIGHT - 2.0));
        ui.painter().rect_filled(light, 1, if bar.clipped { theme::ALARM } else { theme::RAISED });
    }
    if response.has_focus() || response.hovered() {
        ui.painter().rect_stroke(area, 3, Stroke::new(1.0, theme::OUTLINE), egui::StrokeKind::Outside);
    }
    response.widget_info(|| {
        let mut info = WidgetInfo::selected(Role::Button, true, clipped, format!("{name} clip"));
        info.current_text_value = Some(held.clone());
        info
    });
    response.on_hover_text("The largest peak; red: clipped. Click to reset");
}
