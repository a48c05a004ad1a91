//! The recorder's bar, and the panel with the setup of takes. They show a [`TakeView`] and return a [`TakeAction`]; the owner of
//! the window does all else.

use egui::{Align2, Color32, Id, Rect, Role, ScrollArea, Sense, Ui, UiBuilder, WidgetInfo, pos2, vec2};

use super::{
    hold_button::HoldButton,
    theme, widgets,
    widgets::{ButtonSpec, TextEntry, TextFieldSpec},
};
use crate::view::{StemView, TakeAction, TakeLight, TakeSetup, TakeStart, TakeView};

/// Height of the bar.
pub(super) const BAR_HEIGHT: f32 = 32.0;
const GAP: f32 = 6.0;
const ROW_HEIGHT: f32 = 26.0;
/// Width of the label at the left of a row.
const LABEL_WIDTH: f32 = 72.0;
/// Width of a channel's number.
const NUMBER_WIDTH: f32 = 26.0;
/// Width of the field for a channel's name.
const NAME_WIDTH: f32 = 130.0;
/// Width of the button that keeps a recorder ready.
const STANDBY_WIDTH: f32 = 64.0;
/// Width of the button that starts and stops takes: that of its longer text.
const RECORD_WIDTH: f32 = 84.0;
/// Lower end of the stems' meters, in dBFS.
const FLOOR_DB: f32 = -60.0;
/// Fall of a meter: 20 dB in 1.7 s (IEC 60268-18).
const FALL_DB_PER_SECOND: f32 = 20.0 / 1.7;
/// Names of the sources that can be recorded, in the order of [`TakeSetup::sources`].
const SOURCE_NAMES: [&str; 4] = ["Input", "Slot A", "Slot B", "Output"];
/// The triggers that start takes, with their names.
const TRIGGERS: [(TakeStart, &str); 3] =
    [(TakeStart::Manual, "By hand"), (TakeStart::Transport, "Transport"), (TakeStart::Level, "Level")];

impl TakeView {
    /// Merges in the peaks of an earlier view that was read and not shown.
    pub(super) fn absorb(&mut self, earlier: &Self) {
        self.stems.iter_mut().zip(&earlier.stems).for_each(|(stem, earlier)| stem.peak = stem.peak.max(earlier.peak));
    }

    /// True if a panel that is at rest and shows `shown` would look the same with this view.
    pub(super) fn is_shown_by(&self, shown: &Self) -> bool {
        // The time left on the disk changes all the time, so only the text that shows it is compared.
        let all_but_disk = |view: &Self| Self { disk_seconds_left: None, ..view.clone() };
        let disk_text = |view: &Self| view.disk_seconds_left.map(rough_time_text);
        all_but_disk(self) == all_but_disk(shown) && disk_text(self) == disk_text(shown)
    }
}

/// A text field of the panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum TakeField {
    Folder,
    /// The name of takes.
    Name,
    /// The level that starts a take.
    Level,
    /// The quiet time that ends a take.
    Quiet,
    /// The seconds of pre-roll.
    PreRoll,
    /// The minutes after which a take goes on in new files.
    Split,
    /// The name of a channel, by its index.
    Channel(usize),
}

/// The meter of a stem.
#[derive(Clone, Copy, Debug)]
struct StemMeter {
    /// The level that it shows, in dBFS.
    level_db: f32,
    /// True from a clip until the meter is clicked.
    clipped: bool,
}

/// The recorder's bar and the panel, with the state that only they have.
#[derive(Debug, Default)]
pub struct TakePanel {
    /// True if the panel is shown in addition to the bar.
    is_open: bool,
    text_entry: TextEntry<TakeField>,
    /// The button that ends a take.
    stop: HoldButton,
    /// True if a take ran in the last frame.
    was_recording: bool,
    /// One for each of [`TakeView::stems`].
    meters: Vec<StemMeter>,
    /// Time of the last frame, in seconds of the window.
    last_frame: f64,
}

impl TakePanel {
    /// True if the user has opened the panel.
    #[must_use]
    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Folds the panel, so that only the bar is shown.
    pub(super) fn fold(&mut self) {
        self.is_open = false;
        self.text_entry.cancel();
    }

    /// True if something moves, so that the window has to be drawn about 30 times a second. [control thread]
    #[must_use]
    pub fn needs_frames(&self, view: &TakeView) -> bool {
        let is_falling = self.meters.iter().any(|meter| meter.level_db > FLOOR_DB);
        view.recording || is_falling || view.standby && view.stems.iter().any(|stem| stem.peak > 0.0)
    }

    /// Drops a text that is being typed. The owner calls it when its window closes. [control thread]
    pub fn close(&mut self) {
        self.text_entry.cancel();
        // The time of a window that is opened again begins at 0.
        self.stop = HoldButton::default();
        self.last_frame = 0.0;
    }

    /// Draws the bar, and the panel below it if it is open, into all of `ui`'s space, for a window that shows nothing else.
    /// Returns the action of the user. [control thread]
    pub fn show(&mut self, ui: &mut Ui, view: &TakeView) -> Option<TakeAction> {
        theme::apply(ui);
        let all = ui.available_rect_before_wrap();
        ui.painter().rect_filled(all, 0, theme::BACKGROUND);
        let (bar, below) = all.split_top_bottom_at_y(all.top() + BAR_HEIGHT);
        let action = self.draw_bar(ui, bar, view);
        let changed = if self.is_open { self.draw_panel(ui, below.with_min_y(below.top() + GAP), view) } else { None };
        action.or(changed)
    }

    /// Draws the bar: buttons for standby, record and mark; length and health of the take, time left on the disk, button of the panel.
    pub(super) fn draw_bar(&mut self, ui: &Ui, rect: Rect, view: &TakeView) -> Option<TakeAction> {
        self.update_meters(ui, view);
        let mut action = None;
        ui.painter().rect_filled(rect, theme::RADIUS, theme::CARD);
        let inside = rect.shrink(3.0);
        let mut left = inside.left();
        let mut next_rect = |width: f32| {
            left += width + GAP;
            Rect::from_min_size(pos2(left - width - GAP, inside.top()), vec2(width, inside.height()))
        };
        // In a take it is of no use, and in a host it would end one that follows the transport.
        let spec = ButtonSpec {
            label: "Standby",
            text: "Standby",
            down: Some(view.standby),
            enabled: !view.recording,
            role: Role::CheckBox,
            ..ButtonSpec::default()
        };
        let standby = widgets::button(ui, next_rect(STANDBY_WIDTH), Id::unique("isotherm take standby"), &spec);
        if standby.clicked() {
            action = Some(TakeAction::Standby(!view.standby));
        }
        standby.on_hover_text("Keeps a recorder ready, so that takes start exactly at their frame and with their pre-roll");
        action = self.draw_record_button(ui, next_rect(RECORD_WIDTH), view).or(action);
        let spec = ButtonSpec { label: "Mark", text: "Mark", enabled: view.recording, ..ButtonSpec::default() };
        let mark = widgets::button(ui, next_rect(48.0), Id::unique("isotherm take mark"), &spec);
        if mark.clicked() {
            action = Some(TakeAction::Mark);
        }
        mark.on_hover_text("Puts a marker into the take");
        let time = next_rect(78.0);
        let color = if view.recording { theme::TEXT } else { theme::MUTED };
        theme::draw_status(ui, time, "Take time", &take_time_text(view.seconds), color, "Length of the take");

        let open = Rect::from_min_max(pos2(inside.right() - 60.0, inside.top()), inside.max);
        let spec = ButtonSpec { label: "Takes", text: "Takes", down: Some(self.is_open), ..ButtonSpec::default() };
        let button = widgets::button(ui, open, Id::unique("isotherm takes"), &spec);
        if button.clicked() {
            self.is_open = !self.is_open;
            self.text_entry.cancel();
        }
        button.on_hover_text("What is recorded, and where");
        let disk = open.translate(vec2(-96.0, 0.0)).with_max_x(open.left() - GAP);
        let left_on_disk = view.disk_seconds_left.map_or(String::new(), |s| format!("{} left", rough_time_text(s)));
        theme::draw_status(ui, disk, "Disk left", &left_on_disk, theme::MUTED, "Time that the disk has room for");

        let status = Rect::from_min_max(pos2(time.right() + GAP, inside.top()), pos2(disk.left() - GAP, inside.bottom()));
        let (lamp, color) = health_colors(view);
        let center = pos2(status.left() + 7.0, status.center().y);
        ui.painter().circle_filled(center, 5.0, lamp.unwrap_or(theme::RAISED));
        let text = status_text(view);
        let tip = match view.lost_frames {
            0 => text.clone(),
            frames => format!("{text}\n{frames} frames are silence in the files"),
        };
        theme::draw_status(ui, status.with_min_x(status.left() + 18.0), "Take health", &text, color, &tip);
        action
    }

    /// Draws the button that starts a take with a click, and stops it when it is held.
    fn draw_record_button(&mut self, ui: &Ui, rect: Rect, view: &TakeView) -> Option<TakeAction> {
        let spec = ButtonSpec {
            label: "Record take",
            text: if view.recording { "Hold to stop" } else { "Record" },
            down: Some(view.recording),
            accent: theme::ALARM,
            role: Role::CheckBox,
            ..ButtonSpec::default()
        };
        let id = Id::unique("isotherm take record");
        let recorded = if view.chosen_per_channel { "what is armed" } else { "what is chosen under Takes" };
        let tip = format!("Records {recorded}, a file for each channel");
        // A press that began on *Stop* does not start a take when that one has ended meanwhile.
        if std::mem::replace(&mut self.was_recording, view.recording) && !view.recording && self.stop.is_pressed() {
            self.stop.ignore_press();
        }
        if view.recording {
            let hint = "Hold Stop for a second to end the take";
            let (button, is_held) = self.stop.show(ui, rect, id, &spec, hint);
            button.on_hover_text(hint);
            return is_held.then_some(TakeAction::Record(false));
        }
        let button = widgets::button(ui, rect, id, &spec);
        self.stop.follow_press(ui, &button, ui.input(|i| i.time));
        // A key that is still down after it has ended a take does not start another one.
        let starts = button.clicked() && !self.stop.is_spent();
        if starts {
            self.stop.ignore_press();
        }
        button.on_hover_text(tip);
        starts.then_some(TakeAction::Record(true))
    }

    /// Draws the panel: sources, trigger, folder and names of takes, and the meters. The setup cannot be changed during a take.
    pub(super) fn draw_panel(&mut self, ui: &mut Ui, rect: Rect, view: &TakeView) -> Option<TakeAction> {
        ui.painter().rect_filled(rect, theme::RADIUS, theme::CARD);
        let mut ui = ui.new_child(UiBuilder::new().max_rect(rect.shrink(10.0)).id_salt("takes"));
        let mut setup = view.setup.clone();
        ScrollArea::vertical().auto_shrink(false).show(&mut ui, |ui| {
            let width = ui.available_width();
            let channels = if view.chosen_per_channel { 0 } else { view.channels };
            let rows = 5 + usize::from(!view.chosen_per_channel) + channels;
            let (area, _) = ui.allocate_exact_size(vec2(width, rows as f32 * (ROW_HEIGHT + GAP)), Sense::hover());
            let mut top = area.top();
            let mut next_row = || {
                top += ROW_HEIGHT + GAP;
                Rect::from_min_size(pos2(area.left(), top - ROW_HEIGHT - GAP), vec2(width - GAP, ROW_HEIGHT))
            };
            let enabled = !view.recording;
            if !view.chosen_per_channel {
                self.draw_source_row(ui, next_row(), &mut setup, enabled);
            }
            self.draw_trigger_row(ui, next_row(), &mut setup, view);
            if let Some(text) =
                self.draw_text_row(ui, next_row(), TakeField::Folder, "Folder", &setup.folder.display().to_string(), enabled)
            {
                setup.folder = text.trim().into();
            }
            if let Some(text) = self.draw_text_row(ui, next_row(), TakeField::Name, "Name", &setup.name.clone(), enabled) {
                text.trim().clone_into(&mut setup.name);
            }
            self.draw_times_row(ui, next_row(), &mut setup, enabled);
            let folder = view.folder.as_ref().map_or(String::new(), |f| f.display().to_string());
            let (text, color) = view.error.as_ref().map_or((folder.as_str(), theme::MUTED), |e| (e.as_str(), theme::ALARM));
            theme::draw_status(ui, next_row(), "Last take", text, color, text);
            for channel in 0..channels {
                self.draw_channel_row(ui, next_row(), channel, view, &mut setup, enabled);
            }
        });
        (setup != view.setup).then_some(TakeAction::Setup(setup))
    }

    /// Draws the row of the sources that are recorded.
    fn draw_source_row(&self, ui: &Ui, row: Rect, setup: &mut TakeSetup, enabled: bool) {
        draw_label(ui, row, "Record");
        let width = (row.width() - LABEL_WIDTH - 3.0 * GAP) / 4.0;
        for (n, (name, on)) in SOURCE_NAMES.iter().zip(&mut setup.sources).enumerate() {
            let at = pos2(row.left() + LABEL_WIDTH + n as f32 * (width + GAP), row.top());
            let label = format!("Record {name}");
            let spec =
                ButtonSpec { label: &label, text: name, down: Some(*on), enabled, role: Role::CheckBox, ..ButtonSpec::default() };
            let rect = Rect::from_min_size(at, vec2(width.min(110.0), ROW_HEIGHT));
            if widgets::button(ui, rect, Id::unique(("isotherm take source", n)), &spec).clicked() {
                *on = !*on;
            }
        }
    }

    /// Draws the row of the triggers that start takes.
    fn draw_trigger_row(&mut self, ui: &mut Ui, row: Rect, setup: &mut TakeSetup, view: &TakeView) {
        let enabled = !view.recording;
        draw_label(ui, row, "Start");
        let mut left = row.left() + LABEL_WIDTH;
        for (start, name) in TRIGGERS {
            if view.chosen_per_channel && start == TakeStart::Transport {
                continue;
            }
            let label = format!("Start: {name}");
            let on = setup.start == start;
            let spec = ButtonSpec {
                label: &label,
                text: name,
                down: Some(on),
                enabled,
                role: Role::RadioButton,
                ..ButtonSpec::default()
            };
            let rect = Rect::from_min_size(pos2(left, row.top()), vec2(76.0, ROW_HEIGHT));
            if widgets::button(ui, rect, Id::unique(&label), &spec).clicked() {
                setup.start = start;
            }
            left += 76.0 + GAP;
        }
        if setup.start == TakeStart::Level {
            let half = ((row.right() - left - GAP) / 2.0).max(0.0);
            let rect = Rect::from_min_size(pos2(left, row.top()), vec2(half, ROW_HEIGHT));
            if let Some(db) =
                self.draw_number_field(ui, rect, TakeField::Level, "Level in dBFS", f64::from(setup.level_db), enabled)
            {
                setup.level_db = db.clamp(f64::from(FLOOR_DB) * 2.0, 0.0) as f32;
            }
            let rect = rect.translate(vec2(half + GAP, 0.0));
            if let Some(seconds) =
                self.draw_number_field(ui, rect, TakeField::Quiet, "Quiet seconds to end", setup.quiet_seconds, enabled)
            {
                setup.quiet_seconds = seconds.clamp(0.1, 3600.0);
            }
        }
    }

    /// Draws the row of pre-roll and split.
    fn draw_times_row(&mut self, ui: &mut Ui, row: Rect, setup: &mut TakeSetup, enabled: bool) {
        let (left, right) = row.split_left_right_at_fraction(0.5);
        draw_label(ui, left, "Pre-roll s");
        let rect = left.with_min_x(left.left() + LABEL_WIDTH).with_max_x(left.right() - GAP);
        if let Some(seconds) =
            self.draw_number_field(ui, rect, TakeField::PreRoll, "Pre-roll seconds", setup.pre_roll_seconds, enabled)
        {
            setup.pre_roll_seconds = seconds.clamp(0.0, 60.0);
        }
        draw_label(ui, right, "Split min");
        let rect = right.with_min_x(right.left() + LABEL_WIDTH);
        let split = setup.split_minutes.unwrap_or(0.0);
        if let Some(minutes) = self.draw_number_field(ui, rect, TakeField::Split, "Split after minutes", split, enabled) {
            setup.split_minutes = (minutes > 0.0).then(|| minutes.clamp(0.01, 1440.0));
        }
    }

    /// Draws the row of a channel: number, name, and a meter for each source that is recorded.
    fn draw_channel_row(
        &mut self,
        ui: &mut Ui,
        row: Rect,
        channel: usize,
        view: &TakeView,
        setup: &mut TakeSetup,
        enabled: bool,
    ) {
        let number = TakeSetup::channel_name(channel, view.channels);
        let at = pos2(row.left() + NUMBER_WIDTH / 2.0, row.center().y);
        ui.painter().text(at, Align2::CENTER_CENTER, &number, theme::font(12.0), theme::MUTED);
        let field = row.with_min_x(row.left() + NUMBER_WIDTH).with_max_x(row.left() + NUMBER_WIDTH + NAME_WIDTH);
        let name = setup.channels.get(channel).cloned().unwrap_or_default();
        let label = format!("Name of channel {}", channel + 1);
        if let Some(text) = self.draw_text_field(ui, field, TakeField::Channel(channel), &label, &name, enabled) {
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
            let (Some(stem), Some(meter)) = (view.stems.get(index), self.meters.get_mut(index)) else { continue };
            let at = pos2(meters.left() + nth as f32 * (width + GAP), meters.top());
            draw_stem_meter(ui, Rect::from_min_size(at, vec2(width, ROW_HEIGHT)), stem, meter);
        }
    }

    /// Draws a row with a label and a text field. Returns the text that was entered.
    fn draw_text_row(
        &mut self,
        ui: &mut Ui,
        row: Rect,
        field: TakeField,
        name: &str,
        value: &str,
        enabled: bool,
    ) -> Option<String> {
        draw_label(ui, row, name);
        self.draw_text_field(
            ui,
            row.with_min_x(row.left() + LABEL_WIDTH),
            field,
            &format!("Take {}", name.to_lowercase()),
            value,
            enabled,
        )
    }

    /// Draws a field for a number. Returns the number that was entered, if it is finite.
    fn draw_number_field(
        &mut self,
        ui: &mut Ui,
        rect: Rect,
        field: TakeField,
        name: &str,
        value: f64,
        enabled: bool,
    ) -> Option<f64> {
        let text = self.draw_text_field(ui, rect, field, name, &format!("{value}"), enabled)?;
        crate::dsp::parse_number(&text).filter(|number| number.is_finite())
    }

    /// Draws a text field. Returns the text that was entered.
    fn draw_text_field(
        &mut self,
        ui: &mut Ui,
        rect: Rect,
        field: TakeField,
        name: &str,
        value: &str,
        enabled: bool,
    ) -> Option<String> {
        self.text_entry.draw_field(ui, rect, field, &TextFieldSpec { label: name, value, enabled, ..TextFieldSpec::default() })
    }

    /// Moves the meters to the levels of this frame.
    fn update_meters(&mut self, ui: &Ui, view: &TakeView) {
        let now = ui.input(|i| i.time);
        let fall_db = FALL_DB_PER_SECOND * (now - self.last_frame).clamp(0.0, 10.0) as f32;
        self.last_frame = now;
        self.meters.resize(view.stems.len(), StemMeter { level_db: FLOOR_DB, clipped: false });
        for (meter, stem) in self.meters.iter_mut().zip(&view.stems) {
            // NaN is shown as a clip.
            let peak = if stem.peak.is_nan() { f32::INFINITY } else { stem.peak };
            meter.level_db = (20.0 * peak.log10()).clamp(FLOOR_DB, 6.0).max(meter.level_db - fall_db);
            meter.clipped |= peak > 1.0;
        }
    }
}

/// Draws a meter with the stem's name in it and a clip light at its right; a click resets the light.
fn draw_stem_meter(ui: &Ui, rect: Rect, stem: &StemView, meter: &mut StemMeter) {
    let track = rect.shrink2(vec2(0.0, 5.0)).with_max_x(rect.right() - 12.0);
    let light = Rect::from_min_max(pos2(rect.right() - 9.0, track.top()), track.right_bottom() + vec2(12.0, 0.0));
    let level = egui::remap_clamp(meter.level_db, FLOOR_DB..=0.0, track.x_range());
    let clipped = meter.clipped || stem.overs > 0;
    let painter = ui.painter();
    painter.rect_filled(track, 2, theme::SUNKEN);
    painter.rect_filled(track.with_max_x(level), 2, theme::mix(theme::SUNKEN, theme::NEUTRAL, 0.38));
    painter.rect_filled(light, 2, if clipped { theme::ALARM } else { theme::RAISED });
    let text = theme::fit_text(ui, &stem.name, &[11.0, 10.0], theme::TEXT, track.width() - 8.0);
    painter.galley(pos2(track.left() + 4.0, track.center().y - text.size().y / 2.0), text, theme::TEXT);
    let response = ui.interact(rect, Id::unique(("isotherm take stem", &stem.name)), Sense::click());
    if response.clicked() {
        meter.clipped = false;
    }
    let overs = if stem.overs > 0 { format!(", {} samples beyond full scale", stem.overs) } else { String::new() };
    response.widget_info(|| {
        let mut info = WidgetInfo::selected(Role::Button, true, clipped, format!("Stem {}", stem.name));
        info.current_text_value = Some(format!("{:.0} dBFS{overs}", meter.level_db));
        info
    });
    response.on_hover_text(format!("{}{overs}. Red: clipped; click to reset", stem.name));
}

/// Returns the colours of the lamp and of the text that show the health of a take. With neither a recorder nor a fault the lamp
/// is off: None.
fn health_colors(view: &TakeView) -> (Option<Color32>, Color32) {
    if view.error.is_some() || view.light == TakeLight::Red {
        return (Some(theme::ALARM), theme::ALARM);
    }
    match view.light {
        TakeLight::Yellow => (Some(theme::YELLOW), theme::YELLOW),
        _ if view.recording || view.ready => (Some(theme::GREEN), theme::MUTED),
        _ => (None, theme::MUTED),
    }
}

/// Returns the health of the recorder or of the take in one line.
fn status_text(view: &TakeView) -> String {
    if view.lost_frames > 0 {
        return format!("{} lost", short_time_text(view.lost_seconds));
    }
    if let Some(error) = &view.error {
        return error.clone();
    }
    let markers = match view.markers {
        0 => String::new(),
        1 => ", 1 marker".into(),
        n => format!(", {n} markers"),
    };
    let take = if view.recording { "Recording" } else { "Last take" };
    match (view.recording || view.folder.is_some(), view.stretched) {
        (true, 0) => format!("{take}: nothing lost{markers}"),
        (true, times) => format!("{take}: buffer stretched {times} times, nothing lost{markers}"),
        (false, _) if view.ready => "On standby".into(),
        (false, _) if view.standby => "Getting ready".into(),
        (false, _) => "Not recording".into(),
    }
}

/// Returns a time as text, in hours, minutes, seconds and tenths: `1:02:03.4`.
fn take_time_text(seconds: f64) -> String {
    let tenths = if seconds.is_finite() { (seconds.max(0.0) * 10.0) as u64 } else { 0 };
    let (minutes, rest) = (tenths / 600, tenths % 600);
    format!("{}:{:02}:{:02}.{}", minutes / 60, minutes % 60, rest / 10, rest % 10)
}

/// Returns a time as text: `12 ms`, `2.3 s`, `1 min 5 s`.
fn short_time_text(seconds: f64) -> String {
    match seconds {
        s if s < 0.1 => format!("{:.0} ms", (1e3 * s).max(1.0)),
        s if s < 60.0 => format!("{s:.1} s"),
        s => format!("{:.0} min {:.0} s", (s / 60.0).floor(), (s % 60.0).floor()),
    }
}

/// Returns a time in hours, minutes or seconds, whichever is the largest unit that fits.
fn rough_time_text(seconds: f64) -> String {
    match seconds {
        s if s >= 7200.0 => format!("{:.0} h", s / 3600.0),
        s if s >= 120.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.0} s", s.max(0.0)),
    }
}

/// Draws a row's label.
fn draw_label(ui: &Ui, row: Rect, text: &str) {
    let at = pos2(row.left(), row.center().y);
    ui.painter().text(at, Align2::LEFT_CENTER, text, theme::font(12.0), theme::MUTED);
}
