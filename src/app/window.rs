//! The window: the program's panels over what the keeper tells.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nice_plug_egui::baseview::dpi::LogicalSize;
use nice_plug_egui::{App, EguiWindow, EguiWindowSettings, Frame, RepaintNotifier};

use super::keeper::Keeper;
use crate::algorithm::REGISTRY;
use crate::instance::Instance;
use crate::ui::{Look, PROGRAM_SIZE, Program, ProgramView, Watch};
use crate::view::Snapshot;

/// The window's smallest size in logical pixels.
const LEAST: (f64, f64) = (640.0, 400.0);

struct Pane {
    keeper: Arc<Keeper>,
    instance: Arc<Instance>,
    watch: Watch<Seen>,
    seen: Arc<AtomicBool>,
    program: Program,
}

/// What the window shows.
#[derive(Clone)]
struct Seen {
    snapshot: Snapshot,
    view: ProgramView,
    /// The generation of all values.
    values: u32,
    interrupted: bool,
}

impl Look for Seen {
    fn absorb(&mut self, earlier: &Self) {
        self.snapshot.absorb(&earlier.snapshot);
        self.view.absorb(&earlier.view);
    }

    fn is_shown_by(&self, shown: &Self) -> bool {
        (self.values, self.interrupted) == (shown.values, shown.interrupted)
            && self.snapshot.is_shown_by(&shown.snapshot)
            && self.view.is_shown_by(&shown.view)
    }
}

/// Shows the window until it is closed; `seen` becomes true when it has been drawn. [main thread]
///
/// # Errors
/// One line: there is no window to be had.
pub fn run(
    keeper: &Arc<Keeper>,
    instance: &Arc<Instance>,
    interrupted: &Arc<AtomicBool>,
    seen: &Arc<AtomicBool>,
) -> Result<(), String> {
    let size = LogicalSize::new(f64::from(PROGRAM_SIZE.0), f64::from(PROGRAM_SIZE.1));
    let notifier = RepaintNotifier::default();
    let settings = EguiWindowSettings::new()
        .with_title("Isotherm")
        .with_size(size)
        .with_min_size(Some(LogicalSize::new(LEAST.0, LEAST.1)))
        .with_resizable(true)
        .with_repaint_notifier(notifier.clone());
    let look = {
        let (keeper, instance, interrupted) = (keeper.clone(), instance.clone(), interrupted.clone());
        move || Seen {
            snapshot: Snapshot { take: keeper.take_view(), ..instance.snapshot() },
            view: keeper.view(),
            values: instance.parameters().generation(),
            interrupted: interrupted.load(Ordering::Relaxed),
        }
    };
    let watch = Watch::start(look, move || notifier.request_repaint()).map_err(|e| format!("no thread to watch with: {e}"))?;
    let pane =
        Pane { keeper: keeper.clone(), instance: instance.clone(), watch, seen: seen.clone(), program: Program::new(REGISTRY) };
    EguiWindow::create(settings, pane).and_then(|window| window.run_until_closed()).map_err(|error| {
        let error = error.to_string().replace('\n', " ");
        format!("no window: {error}; --no-window runs without one")
    })
}

impl App for Pane {
    fn ui(&mut self, ui: &mut egui::Ui, frame: &mut Frame) {
        let Seen { snapshot, view, interrupted, .. } = self.watch.frame();
        if interrupted {
            frame.baseview_window().request_close();
            return;
        }
        self.seen.store(true, Ordering::Relaxed);
        let Self { keeper, instance, program, .. } = self;
        let wishes =
            instance.with_controls(&|take| keeper.tell_take(take), |controls| program.show(ui, controls, &snapshot, &view));
        wishes.into_iter().for_each(|wish| keeper.tell(wish));
    }
}
