//! The program's window: a device's bar, a strip for each of its channels and a log around the editor.
//!
//! Whoever owns the window fills a [`ProgramView`] once a frame and does the [`ProgramAction`]s. [control thread]

mod bar;
mod left;
mod log;
mod strips;

use std::path::PathBuf;

use egui::{Rect, Ui, UiBuilder, pos2};

use super::{Editor, GAP, Look, MOVING, theme};
use crate::dsp::Algorithm;
use crate::view::{Controls, Level, Snapshot};
use bar::Bar;
use log::Log;
use strips::Strips;

/// Width and height in logical pixels that the layout is made for.
pub const PROGRAM_SIZE: (u32, u32) = (1260, 840);

/// What device is wanted, and how. Kept between runs: fields are only ever added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "record", derive(serde::Serialize, serde::Deserialize), serde(default))]
pub struct DeviceSetup {
    /// As on the command line: `alsa`, `jack`, `file`.
    pub host: String,
    /// A name, or a file.
    pub device: String,
    /// Hertz; without it, the device's own.
    pub sample_rate: Option<u32>,
    /// Frames; without it, about 256.
    pub period_frames: Option<usize>,
    /// The device's outputs, from 0, on which left and right are heard.
    pub outputs: Option<[usize; 2]>,
    /// The address of an X32 or M32; `find` for the only one of the local net; empty for none.
    pub desk: String,
}

/// How the device is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DeviceStage {
    #[default]
    Stopped,
    Starting,
    Running,
    /// It has gone, for this reason, and is tried again.
    Away(String),
}

/// What is known of the device, once a frame of the window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeviceView {
    pub setup: DeviceSetup,
    pub stage: DeviceStage,
    /// What can be chosen.
    pub hosts: Vec<String>,
    /// What the chosen host lists; another name can be typed.
    pub devices: Vec<String>,
    pub rates: Vec<u32>,
    pub periods: Vec<usize>,
    /// While it runs: what it gives, in one line.
    pub granted: Option<String>,
    /// From an input to the output on which it is heard, in seconds: the device's periods and the slots.
    pub monitor_seconds: Option<f64>,
    /// Times that the device lost frames, and times that there was nothing to play.
    pub overruns: u64,
    pub underruns: u64,
    /// Why it does not run, in one line.
    pub error: Option<String>,
    /// How the desk is, in one line, and whether that is well; nothing without a desk.
    pub desk: Option<(String, bool)>,
}

/// A channel of the device.
#[derive(Clone, Debug, Default)]
pub struct StripView {
    /// Typed, or a desk's; empty for none.
    pub name: String,
    pub armed: bool,
    /// Heard on the left, on the right, or on both.
    pub left: bool,
    pub right: bool,
    pub level: Level,
    /// A desk's colour.
    pub colour: Option<[u8; 3]>,
    /// What stands out about it, in one line.
    pub note: Option<String>,
}

/// A line of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogLine {
    /// Of the day, as the user reads it.
    pub time: String,
    pub text: String,
    pub alarm: bool,
}

/// A take that a crash left behind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LeftView {
    pub name: String,
    pub folder: PathBuf,
    /// The part of its recovery that is done, 0 to 1; none if it is not being recovered.
    pub done: Option<f32>,
    /// The recovery waits for a take that is recorded.
    pub waits: bool,
}

/// All that is around the editor, once a frame of the window.
#[derive(Clone, Debug, Default)]
pub struct ProgramView {
    pub device: DeviceView,
    /// While a take runs, what is armed and what it is called stays.
    pub recording: bool,
    /// Of the device's channels, in their order.
    pub strips: Vec<StripView>,
    /// Takes that are unfinished and can be recovered.
    pub left: Vec<LeftView>,
    /// Oldest first.
    pub log: Vec<LogLine>,
}

impl Look for ProgramView {
    fn absorb(&mut self, earlier: &Self) {
        self.strips.iter_mut().zip(&earlier.strips).for_each(|(strip, earlier)| strip.level.absorb(&earlier.level));
    }

    fn is_shown_by(&self, shown: &Self) -> bool {
        self.device == shown.device
            && self.recording == shown.recording
            && self.log == shown.log
            && self.strips.len() == shown.strips.len()
            && self.strips.iter().zip(&shown.strips).all(|(strip, shown)| strips::is_at_rest(strip, shown))
    }
}

/// What the user wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProgramAction {
    /// Another device, or another way of it.
    Setup(DeviceSetup),
    /// The host's devices are to be listed anew.
    List,
    Start,
    Stop,
    /// The unfinished take in this folder is to be made whole.
    Recover(PathBuf),
    Arm {
        channel: usize,
        on: bool,
    },
    ArmAll(bool),
    Name {
        channel: usize,
        name: String,
    },
    Hear {
        channel: usize,
        left: bool,
        right: bool,
    },
}

/// State of the view only.
pub struct Program {
    editor: Editor,
    bar: Bar,
    strips: Strips,
    log: Log,
}

/// Inside a panel.
const PADDING: f32 = 4.0;

impl Program {
    #[must_use]
    pub fn new(registry: &'static [&'static Algorithm]) -> Self {
        Self { editor: Editor::new(registry), bar: Bar::default(), strips: Strips::default(), log: Log::default() }
    }

    /// Draws one frame into all of `ui`'s space, hands what the user did in the editor to `controls`, and gives what the user wants
    /// around it.
    pub fn show(&mut self, ui: &mut Ui, controls: &dyn Controls, snapshot: &Snapshot, view: &ProgramView) -> Vec<ProgramAction> {
        theme::apply(ui);
        let window = ui.available_rect_before_wrap();
        ui.painter().rect_filled(window, 0, theme::BACKGROUND);
        let inside = window.shrink(GAP);
        let (bar, rest) = inside.split_top_bottom_at_y(inside.top() + bar::HEIGHT);
        let (rest, log) = rest.split_top_bottom_at_y(rest.bottom() - self.log.height());
        let (rest, left) = rest.split_top_bottom_at_y(rest.bottom() - left::height(view));
        let strips =
            Rect::from_min_max(pos2(inside.left(), rest.top() + GAP), pos2(inside.left() + strips::WIDTH, rest.bottom() - GAP));
        // The editor has gaps of its own.
        let editor = Rect::from_min_max(pos2(strips.right(), rest.top()), pos2(window.right(), rest.bottom()));

        let mut actions = Vec::new();
        self.bar.show(ui, bar, &view.device, view.recording, &mut actions);
        let busy = self.strips.show(ui, strips, view, &mut actions);
        left::show(ui, left.with_max_y(left.bottom() - GAP), view, &mut actions);
        self.log.show(ui, log, &view.log);
        let mut ui = ui.new_child(UiBuilder::new().max_rect(editor).id_salt("editor"));
        ui.set_clip_rect(editor.intersect(ui.clip_rect()));
        self.editor.show(&mut ui, controls, snapshot);
        if busy || !actions.is_empty() {
            ui.ctx().request_repaint_after(MOVING);
        }
        actions
    }

    /// Ends a gesture that is still under way. For an owner whose window closes.
    pub fn close(&mut self, controls: &dyn Controls) {
        self.editor.close(controls);
        self.bar = Bar::default();
        self.strips.close();
    }
}
