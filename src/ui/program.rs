//! The panels of the program's window: the editor, and around it a bar for the device, a strip for each of its channels, a log.
//!
//! The owner of the window fills a [`ProgramView`] for each frame and carries out the [`ProgramAction`]s. [control thread]

mod channel_strips;
mod device_bar;
mod log;
mod unfinished_take;

use std::path::PathBuf;

use egui::{Rect, Ui, UiBuilder, pos2};

use super::{Editor, FRAME_INTERVAL, GAP, WatchedView, theme};
use crate::dsp::Algorithm;
use crate::view::{ChannelLevel, Controls, InstanceView};
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
    /// The device is disconnected, for this reason in one line, and is being opened again.
    Disconnected(String),
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
}

/// Space between the edge of a panel and its contents.
const PADDING: f32 = 4.0;

impl Program {
    /// Makes the panels. A slot's algorithm is an index in `registry`. [control thread]
    #[must_use]
    pub fn new(registry: &'static [&'static Algorithm]) -> Self {
        Self {
            editor: Editor::new(registry),
            device_bar: DeviceBar::default(),
            strips: ChannelStrips::default(),
            log: LogPanel::default(),
        }
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
        let (rest, log) = rest.split_top_bottom_at_y(rest.bottom() - self.log.height());
        let (rest, unfinished_take) = rest.split_top_bottom_at_y(rest.bottom() - unfinished_take::height(view));
        let right = inside.left() + channel_strips::WIDTH;
        let strips = Rect::from_min_max(pos2(inside.left(), rest.top() + GAP), pos2(right, rest.bottom() - GAP));
        // No gap here, as the editor leaves one around itself.
        let editor = Rect::from_min_max(pos2(strips.right(), rest.top()), pos2(window.right(), rest.bottom()));

        let mut actions = Vec::new();
        self.device_bar.show(ui, device_bar, &view.device, view.recording, &mut actions);
        let strips_move = self.strips.show(ui, strips, view, &mut actions);
        unfinished_take::show(ui, unfinished_take.with_max_y(unfinished_take.bottom() - GAP), view, &mut actions);
        self.log.show(ui, log, &view.log);
        let mut ui = ui.new_child(UiBuilder::new().max_rect(editor).id_salt("editor"));
        ui.set_clip_rect(editor.intersect(ui.clip_rect()));
        self.editor.show(&mut ui, controls, instance);
        if strips_move || !actions.is_empty() {
            ui.ctx().request_repaint_after(FRAME_INTERVAL);
        }
        actions
    }

    /// Ends a gesture that is still under way and drops a text that is being typed. The owner calls it when its window closes.
    /// [control thread]
    pub fn close(&mut self, controls: &dyn Controls) {
        self.editor.close(controls);
        self.device_bar = DeviceBar::default();
        self.strips.close();
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
