//! Takes: the recorder's bar, and the panel of what is recorded. Both are given a [`TakeView`] and give a [`TakeAction`]; they know
//! nothing else.

use egui::{Align2, Color32, Id, Rect, Role, ScrollArea, Sense, Ui, UiBuilder, WidgetInfo, pos2, vec2};

use super::{
    choice,
    choice::{Face, Typing},
    theme,
};
use crate::view::{StemView, TakeAction, TakeLight, TakeSetup, TakeStart, TakeView};

/// Height of the bar.
pub(super) const BAR_HEIGHT: f32 = 32.0;
const GAP: f32 = 6.0;
const ROW_HEIGHT: f32 = 26.0;
const LABEL_WIDTH: f32 = 72.0;
const NUMBER_WIDTH: f32 = 26.0;
const NAME_WIDTH: f32 = 130.0;
/// Levels below it are not shown.
const FLOOR_DB: f32 = -60.0;
/// How fast a meter falls: 20 dB in 1.7 s (IEC 60268-18).
const FALL_DB_PER_SECOND: f32 = 20.0 / 1.7;
/// What can be recorded, in the order of [`TakeSetup::sources`].
const SOURCES: [&str; 4] = ["Input", "Slot A", "Slot B", "Output"];
const STARTS: [(TakeStart, &str); 3] =
    [(TakeStart::Hand, "By hand"), (TakeStart::Transport, "Transport"), (TakeStart::Level, "Level")];

impl TakeView {
    /// Takes in peaks that were seen earlier and not shown.
    pub(super) fn absorb(&mut self, earlier: &Self) {
        self.stems.iter_mut().zip(&earlier.stems).for_each(|(stem, earlier)| stem.peak = stem.peak.max(earlier.peak));
    }

    /// Whether a panel at rest that shows `shown` would look the same.
    pub(super) fn is_shown_by(&self, shown: &Self) -> bool {
        // What moves while it is looked at is painted as long as it moves; room on the disk is told in minutes.
        let told = |view: &Self| Self { disk_seconds_left: None, ..view.clone() };
        told(self) == told(shown) && self.disk_seconds_left.map(long) == shown.disk_seconds_left.map(long)
    }
}

/// A text that can be typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Field {
    Folder,
    Name,
    Level,
    Quiet,
    PreRoll,
    Split,
    Channel(usize),
}

/// A stem's meter.
#[derive(Clone, Copy, Debug)]
struct Bar {
    db: f32,
    /// Until it is clicked.
    clipped: bool,
}

/// State of the view only.
#[derive(Debug, Default)]
pub struct TakePanel {
    open: bool,
    typing: Typing<Field>,
    bars: Vec<Bar>,
    time: f64,
}

impl TakePanel {
    /// Whether the panel is wanted beside its bar.
    #[must_use]
    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// Whether something moves and the window shall be drawn often.
    #[must_use]
    pub fn is_busy(&self, view: &TakeView) -> bool {
        let falls = self.bars.iter().any(|bar| bar.db > FLOOR_DB);
        view.recording || falls || view.armed && view.stems.iter().any(|stem| stem.peak > 0.0)
    }

    /// Forgets what is being typed, for an owner whose window closes.
    pub fn close(&mut self) {
        self.typing.forget();
        self.time = 0.0;
    }

    /// The bar, and the panel below it if it is wanted, in all of `ui`'s space: for a window that shows nothing else. [control thread]
    pub fn show(&mut self, ui: &mut Ui, view: &TakeView) -> Option<TakeAction> {
        theme::apply(ui);
        let all = ui.available_rect_before_wrap();
        ui.painter().rect_filled(all, 0, theme::BACKGROUND);
        let (bar, below) = all.split_top_bottom_at_y(all.top() + BAR_HEIGHT);
        let action = self.bar(ui, bar, view);
        let changed = if self.open { self.panel(ui, below.with_min_y(below.top() + GAP), view) } else { None };
        action.or(changed)
    }

    /// Arm, record, mark; time, health, room on the disk; the panel's button.
    pub(super) fn bar(&mut self, ui: &Ui, rect: Rect, view: &TakeView) -> Option<TakeAction> {
        self.fall(ui, view);
        let mut action = None;
        ui.painter().rect_filled(rect, theme::RADIUS, theme::CARD);
        let inside = rect.shrink(3.0);
        let mut left = inside.left();
        let mut place = |width: f32| {
            left += width + GAP;
            Rect::from_min_size(pos2(left - width - GAP, inside.top()), vec2(width, inside.height()))
        };
        let arm = Face { label: "Arm", text: "Arm", down: Some(view.armed), role: Role::CheckBox, ..Face::default() };
        let arm = choice::button(ui, place(48.0), Id::unique("isotherm take arm"), &arm);
        if arm.clicked() {
            action = Some(TakeAction::Arm(!view.armed));
        }
        arm.on_hover_text("Keeps a recorder ready: takes then start at the very frame, with their pre-roll");
        let text = if view.recording { "Stop" } else { "Record" };
        let face = Face {
            label: "Record take",
            text,
            down: Some(view.recording),
            accent: theme::ALARM,
            role: Role::CheckBox,
            ..Face::default()
        };
        let record = choice::button(ui, place(78.0), Id::unique("isotherm take record"), &face);
        if record.clicked() {
            action = Some(TakeAction::Record(!view.recording));
        }
        let what = if view.by_strip { "what is armed" } else { "what is chosen under Takes" };
        record.on_hover_text(format!("Records {what}, a file for each channel"));
        let face = Face { label: "Mark", text: "Mark", enabled: view.recording, ..Face::default() };
        let mark = choice::button(ui, place(48.0), Id::unique("isotherm take mark"), &face);
        if mark.clicked() {
            action = Some(TakeAction::Mark);
        }
        mark.on_hover_text("Puts a marker into the take");
        let time = place(78.0);
        let color = if view.recording { theme::TEXT } else { theme::MUTED };
        theme::said(ui, time, "Take time", &clock(view.seconds), color, "Length of the take");

        let open = Rect::from_min_max(pos2(inside.right() - 60.0, inside.top()), inside.max);
        let face = Face { label: "Takes", text: "Takes", down: Some(self.open), ..Face::default() };
        let button = choice::button(ui, open, Id::unique("isotherm takes"), &face);
        if button.clicked() {
            self.open = !self.open;
            self.typing.forget();
        }
        button.on_hover_text("What is recorded, and where");
        let disk = open.translate(vec2(-96.0, 0.0)).with_max_x(open.left() - GAP);
        let left_on_disk = view.disk_seconds_left.map_or(String::new(), |s| format!("{} left", long(s)));
        theme::said(ui, disk, "Disk left", &left_on_disk, theme::MUTED, "Time that the disk has room for");

        let status = Rect::from_min_max(pos2(time.right() + GAP, inside.top()), pos2(disk.left() - GAP, inside.bottom()));
        let (light, color) = light(view);
        let lamp = pos2(status.left() + 7.0, status.center().y);
        ui.painter().circle_filled(lamp, 5.0, light.unwrap_or(theme::RAISED));
        let text = status_text(view);
        theme::said(ui, status.with_min_x(status.left() + 18.0), "Take health", &text, color, &text);
        action
    }

    /// What is recorded, and where; names and meters. Nothing of it can be changed during a take.
    pub(super) fn panel(&mut self, ui: &mut Ui, rect: Rect, view: &TakeView) -> Option<TakeAction> {
        ui.painter().rect_filled(rect, theme::RADIUS, theme::CARD);
        let mut ui = ui.new_child(UiBuilder::new().max_rect(rect.shrink(10.0)).id_salt("takes"));
        let mut setup = view.setup.clone();
        ScrollArea::vertical().auto_shrink(false).show(&mut ui, |ui| {
            let width = ui.available_width();
            let channels = if view.by_strip { 0 } else { view.channels };
            let rows = 5 + usize::from(!view.by_strip) + channels;
            let (area, _) = ui.allocate_exact_size(vec2(width, rows as f32 * (ROW_HEIGHT + GAP)), Sense::hover());
            let mut top = area.top();
            let mut row = || {
                top += ROW_HEIGHT + GAP;
                Rect::from_min_size(pos2(area.left(), top - ROW_HEIGHT - GAP), vec2(width - GAP, ROW_HEIGHT))
            };
            let enabled = !view.recording;
            if !view.by_strip {
                self.sources(ui, row(), &mut setup, enabled);
            }
            self.starts(ui, row(), &mut setup, view);
            if let Some(text) = self.text(ui, row(), Field::Folder, "Folder", &setup.folder.display().to_string(), enabled) {
                setup.folder = text.trim().into();
            }
            if let Some(text) = self.text(ui, row(), Field::Name, "Name", &setup.name.clone(), enabled) {
                text.trim().clone_into(&mut setup.name);
            }
            self.times(ui, row(), &mut setup, enabled);
            let folder = view.folder.as_ref().map_or(String::new(), |f| f.display().to_string());
            let (text, color) = view.error.as_ref().map_or((folder.as_str(), theme::MUTED), |e| (e.as_str(), theme::ALARM));
            theme::said(ui, row(), "Last take", text, color, text);
            for channel in 0..channels {
                self.channel(ui, row(), channel, view, &mut setup, enabled);
            }
        });
        (setup != view.setup).then_some(TakeAction::Setup(setup))
    }

    fn sources(&self, ui: &Ui, row: Rect, setup: &mut TakeSetup, enabled: bool) {
        label(ui, row, "Record");
        let width = (row.width() - LABEL_WIDTH - 3.0 * GAP) / 4.0;
        for (n, (name, on)) in SOURCES.iter().zip(&mut setup.sources).enumerate() {
            let at = pos2(row.left() + LABEL_WIDTH + n as f32 * (width + GAP), row.top());
            let label = format!("Record {name}");
            let face = Face { label: &label, text: name, down: Some(*on), enabled, role: Role::CheckBox, ..Face::default() };
            let rect = Rect::from_min_size(at, vec2(width.min(110.0), ROW_HEIGHT));
            if choice::button(ui, rect, Id::unique(("isotherm take source", n)), &face).clicked() {
                *on = !*on;
            }
        }
    }

    fn starts(&mut self, ui: &mut Ui, row: Rect, setup: &mut TakeSetup, view: &TakeView) {
        let enabled = !view.recording;
        label(ui, row, "Start");
        let mut left = row.left() + LABEL_WIDTH;
        for (start, name) in STARTS {
            if view.by_strip && start == TakeStart::Transport {
                continue;
            }
            let label = format!("Start: {name}");
            let on = setup.start == start;
            let face = Face { label: &label, text: name, down: Some(on), enabled, role: Role::RadioButton, ..Face::default() };
            let rect = Rect::from_min_size(pos2(left, row.top()), vec2(76.0, ROW_HEIGHT));
            if choice::button(ui, rect, Id::unique(&label), &face).clicked() {
                setup.start = start;
            }
            left += 76.0 + GAP;
        }
        if setup.start == TakeStart::Level {
            let half = ((row.right() - left - GAP) / 2.0).max(0.0);
            let rect = Rect::from_min_size(pos2(left, row.top()), vec2(half, ROW_HEIGHT));
            if let Some(db) = self.figure(ui, rect, Field::Level, "Level in dBFS", f64::from(setup.level_db), enabled) {
                setup.level_db = db.clamp(f64::from(FLOOR_DB) * 2.0, 0.0) as f32;
            }
            let rect = rect.translate(vec2(half + GAP, 0.0));
            if let Some(seconds) = self.figure(ui, rect, Field::Quiet, "Quiet seconds to end", setup.quiet_seconds, enabled) {
                setup.quiet_seconds = seconds.clamp(0.1, 3600.0);
            }
        }
    }

    fn times(&mut self, ui: &mut Ui, row: Rect, setup: &mut TakeSetup, enabled: bool) {
        let (left, right) = row.split_left_right_at_fraction(0.5);
        label(ui, left, "Pre-roll s");
        let rect = left.with_min_x(left.left() + LABEL_WIDTH).with_max_x(left.right() - GAP);
        if let Some(seconds) = self.figure(ui, rect, Field::PreRoll, "Pre-roll seconds", setup.pre_roll_seconds, enabled) {
            setup.pre_roll_seconds = seconds.clamp(0.0, 60.0);
        }
        label(ui, right, "Split min");
        let rect = right.with_min_x(right.left() + LABEL_WIDTH);
        let split = setup.split_minutes.unwrap_or(0.0);
        if let Some(minutes) = self.figure(ui, rect, Field::Split, "Split after minutes", split, enabled) {
            setup.split_minutes = (minutes > 0.0).then(|| minutes.clamp(0.01, 1440.0));
        }
    }

    /// Number, name, and a meter for each source that is recorded.
    fn channel(&mut self, ui: &mut Ui, row: Rect, channel: usize, view: &TakeView, setup: &mut TakeSetup, enabled: bool) {
        let number = TakeSetup::number(channel, view.channels);
        let at = pos2(row.left() + NUMBER_WIDTH / 2.0, row.center().y);
        ui.painter().text(at, Align2::CENTER_CENTER, &number, theme::font(12.0), theme::MUTED);
        let field = row.with_min_x(row.left() + NUMBER_WIDTH).with_max_x(row.left() + NUMBER_WIDTH + NAME_WIDTH);
        let name = setup.channels.get(channel).cloned().unwrap_or_default();
        let label = format!("Name of channel {}", channel + 1);
        if let Some(text) = self.edit(ui, field, Field::Channel(channel), &label, &name, enabled) {
            if setup.channels.len() <= channel {
                setup.channels.resize(channel + 1, String::new());
            }
            text.trim().clone_into(&mut setup.channels[channel]);
        }
        let count = view.setup.chosen().count();
        let meters = row.with_min_x(field.right() + GAP);
        let width = (meters.width() + GAP) / count.max(1) as f32 - GAP;
        for nth in 0..count {
            let index = nth * view.channels + channel;
            let (Some(stem), Some(bar)) = (view.stems.get(index), self.bars.get_mut(index)) else { continue };
            let at = pos2(meters.left() + nth as f32 * (width + GAP), meters.top());
            meter(ui, Rect::from_min_size(at, vec2(width, ROW_HEIGHT)), stem, bar);
        }
    }

    fn text(&mut self, ui: &mut Ui, row: Rect, field: Field, name: &str, value: &str, enabled: bool) -> Option<String> {
        label(ui, row, name);
        self.edit(ui, row.with_min_x(row.left() + LABEL_WIDTH), field, &format!("Take {}", name.to_lowercase()), value, enabled)
    }

    /// A number that was typed and is one.
    fn figure(&mut self, ui: &mut Ui, rect: Rect, field: Field, name: &str, value: f64, enabled: bool) -> Option<f64> {
        let text = self.edit(ui, rect, field, name, &format!("{value}"), enabled)?;
        text.trim().replace('\u{2212}', "-").parse().ok().filter(|number: &f64| number.is_finite())
    }

    fn edit(&mut self, ui: &mut Ui, rect: Rect, field: Field, name: &str, value: &str, enabled: bool) -> Option<String> {
        self.typing.field(ui, rect, field, &choice::Text { label: name, value, enabled, ..choice::Text::default() })
    }

    /// Lets the meters fall and rise.
    fn fall(&mut self, ui: &Ui, view: &TakeView) {
        let now = ui.input(|i| i.time);
        let fallen = FALL_DB_PER_SECOND * (now - self.time).clamp(0.0, 10.0) as f32;
        self.time = now;
        self.bars.resize(view.stems.len(), Bar { db: FLOOR_DB, clipped: false });
        for (bar, stem) in self.bars.iter_mut().zip(&view.stems) {
            // What is no number has no level: it is shown as too much.
            let peak = if stem.peak.is_nan() { f32::INFINITY } else { stem.peak };
            bar.db = (20.0 * peak.log10()).clamp(FLOOR_DB, 6.0).max(bar.db - fallen);
            bar.clipped |= peak > 1.0;
        }
    }
}

/// A level with its clip light on the right; a click puts the light out.
fn meter(ui: &Ui, rect: Rect, stem: &StemView, bar: &mut Bar) {
    let track = rect.shrink2(vec2(0.0, 5.0)).with_max_x(rect.right() - 12.0);
    let light = Rect::from_min_max(pos2(rect.right() - 9.0, track.top()), track.right_bottom() + vec2(12.0, 0.0));
    let level = egui::remap_clamp(bar.db, FLOOR_DB..=0.0, track.x_range());
    let clipped = bar.clipped || stem.overs > 0;
    let painter = ui.painter();
    painter.rect_filled(track, 2, theme::SUNKEN);
    painter.rect_filled(track.with_max_x(level), 2, theme::mix(theme::SUNKEN, theme::NEUTRAL, 0.38));
    painter.rect_filled(light, 2, if clipped { theme::ALARM } else { theme::RAISED });
    let text = theme::line(ui, &stem.name, &[11.0, 10.0], theme::TEXT, track.width() - 8.0);
    painter.galley(pos2(track.left() + 4.0, track.center().y - text.size().y / 2.0), text, theme::TEXT);
    let response = ui.interact(rect, Id::unique(("isotherm take stem", &stem.name)), Sense::click());
    if response.clicked() {
        bar.clipped = false;
    }
    let overs = if stem.overs > 0 { format!(", {} samples beyond full scale", stem.overs) } else { String::new() };
    response.widget_info(|| {
        let mut info = WidgetInfo::selected(Role::Button, true, clipped, format!("Stem {}", stem.name));
        info.current_text_value = Some(format!("{:.0} dBFS{overs}", bar.db));
        info
    });
    response.on_hover_text(format!("{}{overs}. Red: clipped; click to reset", stem.name));
}

fn light(view: &TakeView) -> (Option<Color32>, Color32) {
    if view.error.is_some() || view.light == TakeLight::Red {
        return (Some(theme::ALARM), theme::ALARM);
    }
    match view.light {
        TakeLight::Yellow => (Some(theme::YELLOW), theme::YELLOW),
        _ if view.recording || view.ready => (Some(theme::GREEN), theme::MUTED),
        _ => (None, theme::MUTED),
    }
}

fn status_text(view: &TakeView) -> String {
    if view.lost_frames > 0 {
        return format!("{} frames lost", view.lost_frames);
    }
    if let Some(error) = &view.error {
        return error.clone();
    }
    let markers = match view.markers {
        0 => String::new(),
        1 => ", 1 marker".into(),
        n => format!(", {n} markers"),
    };
    let done = if view.recording { "Recording" } else { "Last take" };
    match (view.recording || view.folder.is_some(), view.stretched) {
        (true, 0) => format!("{done}: nothing lost{markers}"),
        (true, times) => format!("{done}: buffer stretched {times} times, nothing lost{markers}"),
        (false, _) if view.ready => "Ready".into(),
        (false, _) if view.armed => "Getting ready".into(),
        (false, _) => "Not armed".into(),
    }
}

/// `1:02:03.4`
fn clock(seconds: f64) -> String {
    let tenths = if seconds.is_finite() { (seconds.max(0.0) * 10.0) as u64 } else { 0 };
    let (minutes, rest) = (tenths / 600, tenths % 600);
    format!("{}:{:02}:{:02}.{}", minutes / 60, minutes % 60, rest / 10, rest % 10)
}

/// A time that need not be exact.
fn long(seconds: f64) -> String {
    match seconds {
        s if s >= 7200.0 => format!("{:.0} h", s / 3600.0),
        s if s >= 120.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.0} s", s.max(0.0)),
    }
}

fn label(ui: &Ui, row: Rect, text: &str) {
    let at = pos2(row.left(), row.center().y);
    ui.painter().text(at, Align2::LEFT_CENTER, text, theme::font(12.0), theme::MUTED);
}
