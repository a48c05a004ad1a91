//! `isotherm app`: a device of one's own, a window around the plug-in's editor, and takes of all armed channels.
//!
//! Three threads beside the device's: the keeper (`app/keeper.rs`) owns device, recorder and desk and is all that touches them; the
//! window (`app/window.rs`) shows what the keeper tells and sends it what the user wants, so that a window that hangs changes
//! nothing; the instance's builder thread makes slots.

mod keeper;
mod leftovers;
mod settings;
mod take;
mod window;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use crate::instance::Instance;
use crate::ui::{DeviceSetup, ProgramAction};
use keeper::Keeper;

/// A window that was told to close has so long before the program ends without it.
const CLOSING: Duration = Duration::from_secs(3);

/// How the program is started.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Without a window: what is told goes to standard output, and an interrupt ends it.
    pub windowless: bool,
    /// Where settings are kept; without it, where the system has such files.
    pub settings: Option<PathBuf>,
    /// In place of what was kept.
    pub setup: Setup,
    /// Where takes are made, in place of what was kept.
    pub folder: Option<PathBuf>,
    /// The device starts at once.
    pub start: bool,
    /// A take starts at once.
    pub record: bool,
}

/// What is said of the device; the rest is as it was kept.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    pub host: Option<String>,
    pub device: Option<String>,
    pub sample_rate: Option<u32>,
    pub period_frames: Option<usize>,
    pub outputs: Option<[usize; 2]>,
    pub desk: Option<String>,
}

impl Setup {
    fn over(&self, kept: &mut DeviceSetup) {
        // Another device has other rates, periods and outputs.
        let other = |said: &Option<String>, kept: &str| said.as_ref().is_some_and(|said| said != kept);
        if other(&self.host, &kept.host) || other(&self.device, &kept.device) {
            let (host, desk) = (std::mem::take(&mut kept.host), std::mem::take(&mut kept.desk));
            let device = if other(&self.host, &host) { String::new() } else { std::mem::take(&mut kept.device) };
            *kept = DeviceSetup { host, device, desk, ..DeviceSetup::default() };
        }
        let Self { host, device, sample_rate, period_frames, outputs, desk } = self.clone();
        kept.host = host.unwrap_or(std::mem::take(&mut kept.host));
        kept.device = device.unwrap_or(std::mem::take(&mut kept.device));
        kept.desk = desk.unwrap_or(std::mem::take(&mut kept.desk));
        kept.sample_rate = sample_rate.or(kept.sample_rate);
        kept.period_frames = period_frames.or(kept.period_frames);
        kept.outputs = outputs.or(kept.outputs);
    }
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// What its takes lack, in one line.
    pub lost: Option<String>,
    /// Why the device does not run, if it should have.
    pub error: Option<String>,
}

/// Runs until the window is closed or the program is interrupted; takes are finished then. [main thread]
///
/// `interrupted` becomes true when the user asks for an end.
///
/// # Errors
/// One line: there is no window or no thread to be had.
pub fn run(options: &Options, interrupted: &Arc<AtomicBool>) -> Result<Ended, String> {
    let instance = Arc::new(Instance::default());
    instance.open().map_err(|e| format!("no thread to make slots on: {e}"))?;
    let path = options.settings.clone().unwrap_or_else(settings::path);
    let (mut kept, trouble) = settings::load(&path);
    options.setup.over(&mut kept.device);
    if let Some(folder) = &options.folder {
        kept.takes.folder.clone_from(folder);
    }
    let keeper = Arc::new(Keeper::start(instance.clone(), kept, path).map_err(|e| format!("no thread for the device: {e}"))?);
    if let Some(trouble) = trouble {
        keeper.report(trouble);
    }
    keeper.tell(ProgramAction::List);
    if options.start || options.record {
        keeper.tell(ProgramAction::Start);
    }
    if options.record {
        keeper.record_soon();
    }
    end_at_exit(&keeper);
    let windowless = || {
        while !interrupted.load(Ordering::Relaxed) && !keeper.failed() {
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    let mut error = None;
    if options.windowless {
        windowless();
    } else {
        end_without_window(&keeper, interrupted);
        let seen = Arc::<AtomicBool>::default();
        let shown = catch_unwind(AssertUnwindSafe(|| window::run(&keeper, &instance, interrupted, &seen)));
        error = shown.unwrap_or_else(|_| Err("the window broke".into())).err();
        if let Some(why) = error.take_if(|_| seen.load(Ordering::Relaxed) && keeper.is_recording()) {
            keeper.report(format!("{why}; the recording goes on without a window; Ctrl-C finishes it"));
            windowless();
        }
    }
    let ended = keeper.finish();
    match (error, ended.lost) {
        (Some(error), None) => Err(error),
        // A loss is worse news than a window that failed, but needs it as its reason.
        (Some(error), Some(lost)) => Ok(Ended { lost: Some(format!("{error}; {lost}")), ..ended }),
        (None, lost) => Ok(Ended { lost, ..ended }),
    }
}

/// Lets the program end without waiting for the disk: a take is left as it is. [any thread]
pub fn abandon() {
    *KEEPER.lock().unwrap_or_else(PoisonError::into_inner) = Weak::new();
}

/// The keeper of this program, for its end.
static KEEPER: Mutex<Weak<Keeper>> = Mutex::new(Weak::new());

/// Xlib ends the program when its display is gone: the take is finished then, too.
fn end_at_exit(keeper: &Arc<Keeper>) {
    *KEEPER.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(keeper);
    #[cfg(unix)]
    {
        extern "C" fn finish() {
            let keeper = KEEPER.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
            if let Some(keeper) = keeper {
                keeper.finish();
                // Not freed here: this may be the thread that holds the other end.
                std::mem::forget(keeper);
            }
        }
        // SAFETY: the function is there as long as the program, unwinds nowhere and needs nothing of the thread that ends.
        unsafe { libc::atexit(finish) };
    }
}

/// An interrupt finishes the take whatever the window does, and ends the program if the window does nothing.
fn end_without_window(keeper: &Arc<Keeper>, interrupted: &Arc<AtomicBool>) {
    let (keeper, interrupted) = (Arc::downgrade(keeper), interrupted.clone());
    std::thread::spawn(move || {
        while !interrupted.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(50));
        }
        let Some(keeper) = keeper.upgrade() else { return };
        let ended = keeper.finish();
        std::thread::sleep(CLOSING);
        std::process::exit(if ended.lost.is_some() { 3 } else { 0 });
    });
}
