//! The window: the program's panels over what the keeper tells.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nice_plug_egui::baseview::dpi::LogicalSize;
use nice_plug_egui::{App, EguiWindow, EguiWindowSettings, Frame};

use super::keeper::Keeper;
use crate::algorithm::REGISTRY;
use crate::plugin::Rack;
use crate::ui::{PROGRAM_SIZE, Program};

/// The window's smallest size in logical pixels.
const LEAST: (f64, f64) = (640.0, 400.0);

struct Pane {
    keeper: Arc<Keeper>,
    rack: Arc<Rack>,
    interrupted: Arc<AtomicBool>,
    seen: Arc<AtomicBool>,
    program: Program,
}

/// Shows the window until it is closed; `seen` becomes true when it has been drawn. [main thread]
///
/// # Errors
/// One line: there is no window to be had.
pub fn run(keeper: &Arc<Keeper>, rack: &Arc<Rack>, interrupted: &Arc<AtomicBool>, seen: &Arc<AtomicBool>) -> Result<(), String> {
    let size = LogicalSize::new(f64::from(PROGRAM_SIZE.0), f64::from(PROGRAM_SIZE.1));
    let settings = EguiWindowSettings::new()
        .with_title("Isotherm")
        .with_size(size)
        .with_min_size(Some(LogicalSize::new(LEAST.0, LEAST.1)))
        .with_resizable(true);
    let pane = Pane {
        keeper: keeper.clone(),
        rack: rack.clone(),
        interrupted: interrupted.clone(),
        seen: seen.clone(),
        program: Program::new(REGISTRY),
    };
    EguiWindow::create(settings, pane).and_then(|window| window.run_until_closed()).map_err(|error| {
        let error = error.to_string().replace('\n', " ");
        format!("no window: {error}; --no-window runs without one")
    })
}

impl App for Pane {
    fn ui(&mut self, ui: &mut egui::Ui, frame: &mut Frame) {
        if self.interrupted.load(Ordering::Relaxed) {
            frame.baseview_window().request_close();
            return;
        }
        self.seen.store(true, Ordering::Relaxed);
        let view = self.keeper.view();
        let mut snapshot = self.rack.snapshot();
        snapshot.take = self.keeper.take_view();
        let Self { keeper, rack, program, .. } = self;
        let wishes = rack.with_controls(&|take| keeper.tell_take(take), |controls| program.show(ui, controls, &snapshot, &view));
        wishes.into_iter().for_each(|wish| keeper.tell(wish));
    }
}
