//! The program's window: the program's panels, which show what the controller publishes and send it the user's actions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nice_plug_egui::baseview::HandlerError;
use nice_plug_egui::baseview::dpi::LogicalSize;
use nice_plug_egui::{App, EguiWindow, EguiWindowSettings, Frame, RepaintNotifier};

use super::AppError;
use super::controller::Controller;
use crate::algorithm::REGISTRY;
use crate::instance::Instance;
use crate::ui::{PROGRAM_SIZE, Program, ProgramView, ViewWatch, WatchedView};
use crate::view::InstanceView;

/// The window's smallest size in logical pixels.
const MIN_SIZE: (f64, f64) = (640.0, 400.0);

/// The window's title when it is opened.
const TITLE: &str = "Isotherm";

/// The window's contents and what they need.
struct ProgramWindow {
    controller: Arc<Controller>,
    instance: Arc<Instance>,
    watch: ViewWatch<WindowView>,
    /// Set to true when the window is drawn.
    was_drawn: Arc<AtomicBool>,
    /// Set to true when the window is to be closed in a take, so that the user is asked.
    close_asked: Arc<AtomicBool>,
    /// The window's title.
    title: String,
    program: Program,
}

/// The data that the window shows; it is painted again when they change.
#[derive(Clone)]
struct WindowView {
    instance: InstanceView,
    program: ProgramView,
    /// The generation of the instance's parameter store.
    generation: u32,
    interrupted: bool,
}

impl WatchedView for WindowView {
    fn absorb(&mut self, earlier: &Self) {
        self.instance.absorb(&earlier.instance);
        self.program.absorb(&earlier.program);
    }

    fn is_shown_by(&self, shown: &Self) -> bool {
        // During a listening test no value of a parameter is shown.
        let is_test = self.instance.listen.is_blind() && shown.instance.listen.is_blind();
        let program_same = match is_test {
            true => self.program.is_shown_in_test_by(&shown.program),
            false => self.generation == shown.generation && self.program.is_shown_by(&shown.program),
        };
        self.interrupted == shown.interrupted && program_same && self.instance.is_shown_by(&shown.instance)
    }
}

/// Shows the window until it is closed or the program is interrupted. `was_drawn` becomes true when it has been drawn. [main
/// thread]
///
/// # Errors
/// If the window cannot be opened or fails.
pub fn run(
    controller: &Arc<Controller>,
    instance: &Arc<Instance>,
    interrupted: &Arc<AtomicBool>,
    was_drawn: &Arc<AtomicBool>,
) -> Result<(), AppError> {
    let size = LogicalSize::new(f64::from(PROGRAM_SIZE.0), f64::from(PROGRAM_SIZE.1));
    let notifier = RepaintNotifier::default();
    let settings = EguiWindowSettings::new()
        .with_title(TITLE)
        .with_size(size)
        .with_min_size(Some(LogicalSize::new(MIN_SIZE.0, MIN_SIZE.1)))
        .with_resizable(true)
        .with_repaint_notifier(notifier.clone());
    let read_view = {
        let (controller, instance, interrupted) = (controller.clone(), instance.clone(), interrupted.clone());
        move || WindowView {
            instance: InstanceView { take: controller.take_view(), ..instance.view() },
            program: controller.view(),
            generation: instance.parameters().generation(),
            interrupted: interrupted.load(Ordering::Relaxed),
        }
    };
    let watch = ViewWatch::start(read_view, move || notifier.request_repaint()).map_err(AppError::WatchThread)?;
    let (controller, instance) = (controller.clone(), instance.clone());
    let contents = ProgramWindow {
        controller,
        instance,
        watch,
        was_drawn: was_drawn.clone(),
        close_asked: Arc::default(),
        title: TITLE.into(),
        program: Program::new(REGISTRY),
    };
    let result = EguiWindow::create(settings, contents).and_then(|window| window.run_until_closed());
    result.map_err(|error| AppError::NoWindow(error.to_string().replace('\n', " ")))
}

impl App for ProgramWindow {
    fn build(&mut self, _: egui::Context, frame: &mut Frame) -> Result<(), HandlerError> {
        // On other systems the window closes at once, which finishes the take.
        #[cfg(target_os = "linux")]
        {
            let (controller, asked) = (self.controller.clone(), self.close_asked.clone());
            let waker = frame.baseview_window().waker();
            frame.baseview_window().set_close_guard(move || {
                let recording = controller.is_recording();
                if recording {
                    asked.store(true, Ordering::Relaxed);
                    waker.request_redraw();
                }
                !recording
            });
        }
        #[cfg(not(target_os = "linux"))]
        let _ = frame;
        Ok(())
    }

    fn ui(&mut self, ui: &mut egui::Ui, frame: &mut Frame) {
        let WindowView { instance: instance_view, program: program_view, interrupted, .. } = self.watch.frame();
        if interrupted {
            frame.baseview_window().request_close();
            return;
        }
        self.was_drawn.store(true, Ordering::Relaxed);
        let Self { controller, instance, program, title, close_asked, .. } = self;
        if close_asked.swap(false, Ordering::Relaxed) {
            program.ask_to_close();
        }
        let actions = instance.with_controls(&|action| controller.send_take_action(action), |controls| {
            program.show(ui, controls, &instance_view, &program_view)
        });
        actions.into_iter().for_each(|action| controller.send(action));
        let new_title = program_view.title(&instance_view.take);
        if *title != new_title {
            #[cfg(target_os = "linux")]
            // A window without the new title still shows all that it says.
            let _ = frame.baseview_window().set_title(&new_title);
            *title = new_title;
        }
        if program.may_close() {
            frame.baseview_window().request_close();
        }
    }
}
