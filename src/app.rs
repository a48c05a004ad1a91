//! The standalone program, `isotherm app`: an audio device, a window around the plug-in's editor, and takes of all armed
//! channels.
//!
//! Three threads run beside the device's own. The controller thread (`app/controller.rs`) alone owns and uses the device, the
//! recorder and the desk. The window (`app/window.rs`) shows what the controller publishes and sends it the user's actions, so a
//! window that hangs does not affect a recording. The instance's builder thread makes slots.

mod controller;
mod recorder;
mod settings;
mod unfinished;
mod window;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use thiserror::Error;

use crate::instance::Instance;
use crate::ui::{DeviceSetup, ProgramAction};
use controller::Controller;

/// Time that an interrupted program gives its window to close; then it exits without it.
const WINDOW_CLOSE_TIMEOUT: Duration = Duration::from_secs(3);
/// Interval at which a waiting thread checks whether the program was interrupted.
const INTERRUPT_POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Start options of the program. Options that are `None` leave the saved settings unchanged.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// True to run without a window: the log goes to standard output, and an interrupt ends the program.
    pub windowless: bool,
    /// Path of the settings file; without it, `app.json` in the user's folder of settings.
    pub settings: Option<PathBuf>,
    /// Values that replace those of the saved device setup.
    pub device: DeviceOverrides,
    /// Folder in which takes are made, in place of the saved one.
    pub folder: Option<PathBuf>,
    /// WAV file that gets what the monitor plays, complete once the device is stopped.
    pub monitor_file: Option<PathBuf>,
    /// True to start the device at once.
    pub start: bool,
    /// True to start the device and a take at once.
    pub record: bool,
}

/// Values for the device setup from the command line. `None` leaves the saved value unchanged; if host or device differ from the
/// saved ones, the saved rate, period and outputs are forgotten.
#[derive(Clone, Debug, Default)]
pub struct DeviceOverrides {
    /// The id of the audio system through which the device is reached (ALSA, JACK ...), see [`crate::device::Host`].
    pub host: Option<String>,
    /// The device's name at that host.
    pub device: Option<String>,
    /// Sample rate in Hz that the device must have.
    pub sample_rate: Option<u32>,
    /// Period in frames that the device must have.
    pub period_frames: Option<usize>,
    /// The device's outputs, counted from 0, that play left and right.
    pub outputs: Option<[usize; 2]>,
    /// The address of the desk whose card the device is, or `find` to search the local network.
    pub desk: Option<String>,
}

impl DeviceOverrides {
    fn apply_to(&self, saved: &mut DeviceSetup) {
        // Another device has other rates, periods and outputs.
        let differs = |given: &Option<String>, saved: &str| given.as_ref().is_some_and(|given| given != saved);
        if differs(&self.host, &saved.host) || differs(&self.device, &saved.device) {
            let (host, desk) = (std::mem::take(&mut saved.host), std::mem::take(&mut saved.desk));
            let device = if differs(&self.host, &host) { String::new() } else { std::mem::take(&mut saved.device) };
            *saved = DeviceSetup { host, device, desk, ..DeviceSetup::default() };
        }
        let Self { host, device, sample_rate, period_frames, outputs, desk } = self.clone();
        saved.host = host.unwrap_or(std::mem::take(&mut saved.host));
        saved.device = device.unwrap_or(std::mem::take(&mut saved.device));
        saved.desk = desk.unwrap_or(std::mem::take(&mut saved.desk));
        saved.sample_rate = sample_rate.or(saved.sample_rate);
        saved.period_frames = period_frames.or(saved.period_frames);
        saved.outputs = outputs.or(saved.outputs);
    }
}

/// The outcome of a run of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShutdownReport {
    /// The losses of its takes in one line; `None` if nothing was lost.
    pub lost: Option<String>,
    /// The reason why the device did not run although it should have, in one line.
    pub error: Option<String>,
}

/// An error that keeps the program from running. Its text is one line.
#[derive(Debug, Error)]
pub enum AppError {
    /// The system cannot start the thread of the instance's builder.
    #[error("no thread to make slots on: {0}")]
    BuilderThread(#[source] io::Error),
    /// The system cannot start the thread of the controller.
    #[error("no thread for the device: {0}")]
    ControllerThread(#[source] io::Error),
    /// The system cannot start the thread that tells the window when to repaint.
    #[error("no thread to watch with: {0}")]
    WatchThread(#[source] io::Error),
    /// The window could not be opened, or ended with an error; the value is the window system's reason.
    #[error("no window: {0}; --no-window runs without one")]
    NoWindow(String),
    /// The code of the window panicked.
    #[error("the window broke")]
    WindowPanicked,
}

/// Runs the program until its window is closed or it is interrupted, then finishes the takes. [main thread]
///
/// The caller sets `interrupted` to true when the user asks the program to end.
///
/// # Errors
/// If a thread cannot be started, or the window cannot be opened or fails. A window that fails while a take runs is not an error:
/// the take goes on until an interrupt.
pub fn run(options: &Options, interrupted: &Arc<AtomicBool>) -> Result<ShutdownReport, AppError> {
    let instance = Arc::new(Instance::default());
    instance.open().map_err(AppError::BuilderThread)?;
    let path = options.settings.clone().unwrap_or_else(settings::path);
    let (mut saved, load_error) = settings::load(&path);
    options.device.apply_to(&mut saved.device);
    if let Some(folder) = &options.folder {
        saved.takes.folder.clone_from(folder);
    }
    let controller = Arc::new(
        Controller::start(instance.clone(), saved, path, options.monitor_file.clone()).map_err(AppError::ControllerThread)?,
    );
    if let Some(load_error) = load_error {
        controller.log_alarm(load_error);
    }
    controller.send(ProgramAction::ListDevices);
    if options.start || options.record {
        controller.send(ProgramAction::Start);
    }
    if options.record {
        controller.record_when_ready();
    }
    finish_at_exit(&controller);
    let wait_for_interrupt_or_failure = || {
        while !interrupted.load(Ordering::Relaxed) && !controller.has_failed() {
            std::thread::sleep(INTERRUPT_POLL_INTERVAL);
        }
    };
    let mut error = None;
    if options.windowless {
        wait_for_interrupt_or_failure();
    } else {
        finish_on_interrupt(&controller, interrupted);
        let was_drawn = Arc::<AtomicBool>::default();
        let result = catch_unwind(AssertUnwindSafe(|| window::run(&controller, &instance, interrupted, &was_drawn)));
        error = result.unwrap_or(Err(AppError::WindowPanicked)).err();
        if let Some(error) = error.take_if(|_| was_drawn.load(Ordering::Relaxed) && controller.is_recording()) {
            controller.log_alarm(format!("{error}; the recording goes on without a window; Ctrl-C finishes it"));
            wait_for_interrupt_or_failure();
        }
    }
    let report = controller.finish();
    match (error, report.lost) {
        (Some(error), None) => Err(error),
        // The loss decides the exit code; the window's error is told as its cause.
        (Some(error), Some(lost)) => Ok(ShutdownReport { lost: Some(format!("{error}; {lost}")), ..report }),
        (None, lost) => Ok(ShutdownReport { lost, ..report }),
    }
}

/// Lets the process exit without finishing a running take, which stays unfinished on the disk. [any thread]
pub fn abandon() {
    *CONTROLLER.lock().unwrap_or_else(PoisonError::into_inner) = Weak::new();
}

/// The program's controller, for the function that runs when the process exits.
static CONTROLLER: Mutex<Weak<Controller>> = Mutex::new(Weak::new());

/// Makes sure that the take is finished when the process exits, as Xlib calls `exit` when its display is gone.
fn finish_at_exit(controller: &Arc<Controller>) {
    *CONTROLLER.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(controller);
    #[cfg(unix)]
    {
        extern "C" fn finish() {
            let controller = CONTROLLER.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
            if let Some(controller) = controller {
                controller.finish();
                // Not freed here: the thread that exits may be the one that owns the other reference.
                std::mem::forget(controller);
            }
        }
        // SAFETY: `finish` lives as long as the program, does not unwind and uses no thread-local state of the exiting thread.
        unsafe { libc::atexit(finish) };
    }
}

/// Starts a thread that finishes the take at an interrupt, whatever the window does, and exits the process if the window does not
/// close.
fn finish_on_interrupt(controller: &Arc<Controller>, interrupted: &Arc<AtomicBool>) {
    let (controller, interrupted) = (Arc::downgrade(controller), interrupted.clone());
    std::thread::spawn(move || {
        while !interrupted.load(Ordering::Relaxed) {
            std::thread::sleep(INTERRUPT_POLL_INTERVAL);
        }
        let Some(controller) = controller.upgrade() else { return };
        let report = controller.finish();
        std::thread::sleep(WINDOW_CLOSE_TIMEOUT);
        std::process::exit(if report.lost.is_some() { 3 } else { 0 });
    });
}
