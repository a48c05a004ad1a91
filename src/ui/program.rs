//! The panels of the program's window: the editor, and around it a bar for the device, a strip for each of its channels, a log.
//!
//! The owner of the window fills a [`ProgramView`] for each frame and carries out the [`ProgramAction`]s. [control thread]

mod channel_strips;
mod device_bar;
mod log;
mod stage_band;
mod unfinished_take;

use std::path::PathBuf;

use egui::{Id, Key, Modal, Rect, RichText, Sense, Ui, UiBuilder, pos2, vec2};

use super::hold_button::HoldButton;
use super::take_panel::BAR_HEIGHT;
use super::widgets::{self, ButtonSpec};
use super::{Editor, FRAME_INTERVAL, GAP, MIN_SIZE, WatchedView, theme};
use crate::dsp::Algorithm;
use crate::view::{ChannelLevel, Controls, InstanceView, TakeView};
use channel_strips::ChannelStrips;
use device_bar::DeviceBar;
use log::LogPanel;

/// Width and height in logical pixels that the layout of the program's window is made for.
pub const PROGRAM_SIZE: (u32, u32) = (1260, 840);

/// The device to open and its parameters. The program's settings hold it by these names, so fields are only ever added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize), serde(default))]
pub struct DeviceSetup {
    /// Name of the audio host, as on the command line: `alsa`, `jack`, `file`.
    pub host: String,
    /// Name of the device; with the host `file`, path of a file.
    pub device: String,
    /// Sample rate in hertz; None for the device's own.
    pub sample_rate: Option<u32>,
    /// Length of a period in frames; None for about 256.
    pub period_frames: Option<usize>,
    /// Indices of the device's outputs on which the left and right side of the monitor are played; None for no monitor.
    pub outputs: Option<[usize; 2]>,
    /// Address of an X32 or M32 desk; `find` for the only one in the local network; empty for none.
    pub desk: String,
}

/// The stage of the device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DeviceStage {
    /// The device is closed. Its setup can be changed only in this stage.
    #[default]
    Stopped,
    /// The device is being opened.
    Starting,
    /// The device is open.
    Running,
    /// The device is disconnected and is being opened again.
    Disconnected {
        /// The reason, in one line.
        reason: String,
        /// Time since then, in whole seconds.
        seconds: u64,
    },
}

/// The state of the device, for one frame of the window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeviceView {
    /// The device to open and its parameters.
    pub setup: DeviceSetup,
    /// Stage of the device.
    pub stage: DeviceStage,
    /// Names of the hosts that can be chosen.
    pub hosts: Vec<String>,
    /// Names of the devices that the chosen host lists; another name can be typed.
    pub devices: Vec<String>,
    /// Sample rates that can be chosen, in hertz.
    pub rates: Vec<u32>,
    /// Lengths of a period that can be chosen, in frames.
    pub periods: Vec<usize>,
    /// The channels, format, rate and period that the open device has granted, in one line; None unless it runs.
    pub granted: Option<String>,
    /// Latency of the monitor from an input to its output, in seconds: the device's periods and the slots; None without a
    /// monitor.
    pub monitor_seconds: Option<f64>,
    /// Number of times that the device lost input frames.
    pub overruns: u64,
    /// Number of times that the device had nothing to play, because the monitor was late.
    pub underruns: u64,
    /// The reason why the device does not run, in one line.
    pub error: Option<String>,
    /// The state of the desk in one line, and true if all is well with it; None without a desk.
    pub desk: Option<(String, bool)>,
}

/// A channel of the device, as its strip shows it.
#[derive(Clone, Debug, Default)]
pub struct StripView {
    /// The name that the user or the desk has given; empty for none.
    pub name: String,
    /// True if takes record the channel.
    pub armed: bool,
    /// True if the channel is monitored on the left side, through the slots.
    pub monitor_left: bool,
    /// True if the channel is monitored on the right side, through the slots.
    pub monitor_right: bool,
    /// Level of the channel.
    pub level: ChannelLevel,
    /// The desk's colour of the channel: red, green, blue.
    pub colour: Option<[u8; 3]>,
    /// A warning about the channel, in one line, such as that the desk sends a bus on it.
    pub note: Option<String>,
}

/// A line of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogLine {
    /// Time of day, as the user reads it.
    pub time: String,
    /// The message.
    pub text: String,
    /// True for a fault, which is shown in the alarm colour.
    pub alarm: bool,
}

/// A take that a crash left unfinished.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UnfinishedTakeView {
    /// Name of the take.
    pub name: String,
    /// Folder of the take.
    pub folder: PathBuf,
    /// Progress of its recovery, 0 to 1; None if it is not being recovered.
    pub progress: Option<f32>,
    /// True while its recovery waits for the end of the take that is being recorded.
    pub is_waiting: bool,
}

/// The state that the panels around the editor show, for one frame of the window.
#[derive(Clone, Debug, Default)]
pub struct ProgramView {
    /// The device.
    pub device: DeviceView,
    /// True while a take runs; arms and names of channels cannot be changed then.
    pub recording: bool,
    /// The strips of the device's channels, in the order of the channels.
    pub strips: Vec<StripView>,
    /// Takes that a crash left unfinished and that can be recovered.
    pub unfinished_takes: Vec<UnfinishedTakeView>,
    /// Lines of the log, oldest first.
    pub log: Vec<LogLine>,
}

impl WatchedView for ProgramView {
    fn absorb(&mut self, earlier: &Self) {
        self.strips.iter_mut().zip(&earlier.strips).for_each(|(strip, earlier)| strip.level.absorb(&earlier.level));
    }

    fn is_shown_by(&self, shown: &Self) -> bool {
        // Without `..`, so that a new field cannot be forgotten here.
        let Self { device, recording, strips, unfinished_takes, log } = self;
        *device == shown.device
            && *recording == shown.recording
            && *unfinished_takes == shown.unfinished_takes
            && *log == shown.log
            && strips.len() == shown.strips.len()
            && strips.iter().zip(&shown.strips).all(|(strip, shown)| channel_strips::is_at_rest(strip, shown))
    }
}

impl ProgramView {
    /// True if a window that shows `shown` during a listening test would look the same with this view: only the stage of the device
    /// and that of a take are shown then. [any thread]
    #[must_use]
    pub fn is_shown_in_test_by(&self, shown: &Self) -> bool {
        self.device.stage == shown.device.stage && self.recording == shown.recording
    }

    /// Returns the title of the window with this view and the state of the take: what is read while the window is minimised. It
    /// has ASCII characters only. [any thread]
    #[must_use]
    pub fn title(&self, take: &TakeView) -> String {
        let mut title = String::new();
        if let DeviceStage::Disconnected { seconds, .. } = self.device.stage {
            title += &format!("{} - ", stage_band::gone_text(seconds));
        }
        if self.recording {
            title += &format!("{} - ", stage_band::recording_text(take));
        }
        title + "Isotherm"
    }
}

/// An action of the user in the panels around the editor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProgramAction {
    /// Changes the device or its parameters. It is sent only while the device is stopped.
    Setup(DeviceSetup),
    /// Lists the host's devices again.
    ListDevices,
    /// Opens the device.
    Start,
    /// Closes the device.
    Stop,
    /// Recovers the unfinished take in this folder.
    Recover(PathBuf),
    /// Arms a channel for takes, or disarms it.
    Arm {
        /// Index of the channel.
        channel: usize,
        /// True to arm it.
        on: bool,
    },
    /// Arms all channels, or disarms all.
    ArmAll(bool),
    /// Names a channel.
    Rename {
        /// Index of the channel.
        channel: usize,
        /// The new name; empty for none.
        name: String,
    },
    /// Sets the sides on which a channel is monitored.
    Monitor {
        /// Index of the channel.
        channel: usize,
        /// True for the left side.
        left: bool,
        /// True for the right side.
        right: bool,
    },
}

/// The panels of the program's window, with the state that only they have.
pub struct Program {
    editor: Editor,
    device_bar: DeviceBar,
    strips: ChannelStrips,
    log: LogPanel,
    /// The question before a window is closed in a take; None unless it is asked.
    close_question: Option<CloseQuestion>,
}

/// The question whether a take may end because the window is closed, with its answer.
#[derive(Default)]
struct CloseQuestion {
    /// The button that ends the take.
    stop: HoldButton,
    /// True once that button was held.
    may_close: bool,
}

/// Space between the edge of a panel and its contents.
const PADDING: f32 = 4.0;
/// Width of the question before a window is closed in a take.
const QUESTION_WIDTH: f32 = 380.0;
/// Height of the buttons of that question.
const QUESTION_BUTTON_HEIGHT: f32 = 36.0;

impl Program {
    /// Makes the panels. A slot's algorithm is an index in `registry`. [control thread]
    #[must_use]
    pub fn new(registry: &'static [&'static Algorithm]) -> Self {
        Self {
            editor: Editor::new(registry).without_host(),
            device_bar: DeviceBar::default(),
            strips: ChannelStrips::default(),
            log: LogPanel::default(),
            close_question: None,
        }
    }

    /// Asks in the next frames if the window may be closed, which would end the take that runs. [control thread]
    pub fn ask_to_close(&mut self) {
        self.close_question.get_or_insert_default();
    }

    /// True if the user has answered that the take may end and the window close. [control thread]
    #[must_use]
    pub fn may_close(&self) -> bool {
        self.close_question.as_ref().is_some_and(|question| question.may_close)
    }

    /// Draws one frame into all of `ui`'s space. The user's actions in the editor go to `controls`. Those in the other panels are
    /// returned, in the order in which they have to be carried out. [control thread]
    pub fn show(
        &mut self,
        ui: &mut Ui,
        controls: &dyn Controls,
        instance: &InstanceView,
        view: &ProgramView,
    ) -> Vec<ProgramAction> {
        theme::apply(ui);
        let window = ui.available_rect_before_wrap();
        ui.painter().rect_filled(window, 0, theme::BACKGROUND);
        let inside = window.shrink(GAP);
        let (device_bar, rest) = inside.split_top_bottom_at_y(inside.top() + device_bar::HEIGHT);
        if instance.listen.is_blind() {
            return self.show_test(ui, [window, device_bar, rest], controls, instance, view);
        }
        let (rest, log) = rest.split_top_bottom_at_y(rest.bottom() - self.log.height());
        let (rest, unfinished_take) = rest.split_top_bottom_at_y(rest.bottom() - unfinished_take::height(view));
        let right = inside.left() + channel_strips::WIDTH;
        let strips = Rect::from_min_max(pos2(inside.left(), rest.top() + GAP), pos2(right, rest.bottom() - GAP));
        // No gap here, as the editor leaves one around itself.
        let editor = Rect::from_min_max(pos2(strips.right(), rest.top()), pos2(window.right(), rest.bottom()));
        // In a narrow window the recorder's bar is as wide as the window, and its panel takes the place of strips and editor.
        let is_narrow = editor.width() < MIN_SIZE.0 as f32;
        let bar = Rect::from_min_size(pos2(inside.left(), rest.top() + GAP), vec2(inside.width(), BAR_HEIGHT));
        let below = if is_narrow { bar.bottom() } else { rest.top() };
        let (strips, editor) = (strips.with_min_y(below + GAP), editor.with_min_y(below));
        let panel = inside.with_min_y(below + GAP).with_max_y(rest.bottom() - GAP);
        let hides_strips = is_narrow && self.editor.shows_take_panel(controls, instance);

        let mut actions = Vec::new();
        if stage_band::is_shown(view) {
            stage_band::show(ui, device_bar, view, &instance.take, &mut actions);
        } else {
            self.device_bar.show(ui, device_bar, &view.device, &mut actions);
        }
        let strips_move = !hides_strips && self.strips.show(ui, strips, view, &mut actions);
        unfinished_take::show(ui, unfinished_take.with_max_y(unfinished_take.bottom() - GAP), view, &mut actions);
        self.log.show(ui, log, &view.log);
        if is_narrow {
            self.editor.show_apart(ui, controls, instance, [bar, panel, editor]);
        } else {
            let mut ui = ui.new_child(UiBuilder::new().max_rect(editor).id_salt("editor"));
            ui.set_clip_rect(editor.intersect(ui.clip_rect()));
            self.editor.show(&mut ui, controls, instance);
        }
        self.ask_before_close(ui, view.recording);
        if strips_move || !actions.is_empty() {
            ui.ctx().request_repaint_after(FRAME_INTERVAL);
        }
        actions
    }

    /// Draws one frame during a listening test: the test, and above it the band of a take or of a device that is gone. `[window, band, below]`: the
    /// whole window, the band, and what is below it.
    fn show_test(
        &mut self,
        ui: &mut Ui,
        [window, band, below]: [Rect; 3],
        controls: &dyn Controls,
        instance: &InstanceView,
        view: &ProgramView,
    ) -> Vec<ProgramAction> {
        let mut actions = Vec::new();
        let mut test = window;
        if stage_band::is_shown(view) {
            stage_band::show(ui, band, view, &instance.take, &mut actions);
            test = window.with_min_y(below.top());
        }
        let mut ui = ui.new_child(UiBuilder::new().max_rect(test).id_salt("editor"));
        ui.set_clip_rect(test.intersect(ui.clip_rect()));
        self.editor.show(&mut ui, controls, instance);
        self.ask_before_close(&ui, view.recording);
        actions
    }

    /// Asks if the window may be closed, while there is such a question. Without a take there is none.
    fn ask_before_close(&mut self, ui: &Ui, recording: bool) {
        let Some(question) = self.close_question.as_mut().filter(|question| !question.may_close) else { return };
        let mut goes_on = !recording;
        let modal = Modal::new(Id::unique("isotherm close")).show(ui.ctx(), |ui| {
            ui.set_width(QUESTION_WIDTH);
            ui.label(RichText::new("A take is being recorded").font(theme::font(20.0)));
            ui.label("Closing the window ends the take. What is recorded so far is kept.");
            ui.add_space(GAP);
            let (row, _) = ui.allocate_exact_size(vec2(QUESTION_WIDTH, QUESTION_BUTTON_HEIGHT), Sense::hover());
            let (left, right) = row.split_left_right_at_fraction(0.5);
            let spec = ButtonSpec { label: "Keep recording", text: "Keep recording", ..ButtonSpec::default() };
            let keep = widgets::button(ui, left.with_max_x(left.right() - GAP / 2.0), Id::unique("isotherm keep"), &spec);
            goes_on |= keep.clicked();
            let text = "Hold to stop and close";
            let spec =
                ButtonSpec { label: "Stop and close", text, down: Some(true), accent: theme::ALARM, ..ButtonSpec::default() };
            let rect = right.with_min_x(right.left() + GAP / 2.0);
            let hint = "Hold the button for a second to end the take";
            question.may_close = question.stop.show(ui, rect, Id::unique("isotherm close take"), &spec, hint).1;
        });
        goes_on |= modal.should_close() || ui.input(|i| i.key_pressed(Key::Escape));
        if goes_on && !question.may_close {
            self.close_question = None;
        }
    }

    /// Ends a gesture that is still under way and drops a text that is being typed. The owner calls it when its window closes.
    /// [control thread]
    pub fn close(&mut self, controls: &dyn Controls) {
        self.editor.close(controls);
        self.device_bar = DeviceBar::default();
        self.strips.close();
        self.close_question = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_any_part_of_the_view_wakes_the_window() {
        let shown = ProgramView {
            strips: vec![StripView::default()],
            unfinished_takes: vec![UnfinishedTakeView::default()],
            ..ProgramView::default()
        };
        assert!(shown.is_shown_by(&shown));
        let changes: [fn(&mut ProgramView); 6] = [
            |view| view.device.setup.host = "jack".into(),
            |view| view.recording = true,
            |view| view.strips.clear(),
            |view| view.unfinished_takes.clear(),
            |view| view.unfinished_takes[0].progress = Some(0.5),
            |view| view.log.push(LogLine::default()),
        ];
        for (number, change) in changes.iter().enumerate() {
            let mut changed = shown.clone();
            change(&mut changed);
            assert!(!changed.is_shown_by(&shown), "change {number}");
        }
    }
}
