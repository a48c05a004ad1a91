//! Long work on a thread of its own, so that Python stays free and Ctrl-C ends the call at once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

/// Time between two looks at Python's signals.
pub const LOOK: Duration = Duration::from_millis(50);

/// The share of some work that is done, and the wish to end it.
#[derive(Debug, Default)]
pub struct Progress {
    stopped: AtomicBool,
    /// The bits of an `f64` from 0 to 1; those of larger numbers are larger.
    share: AtomicU64,
}

impl Progress {
    /// Tells the share that is done, 0 to 1. Returns false if the work shall end.
    pub fn tell(&self, share: f64) -> bool {
        self.share.fetch_max(share.max(0.0).to_bits(), Ordering::Relaxed);
        !self.stopped.load(Ordering::Relaxed)
    }

    /// False if the work shall end.
    pub fn goes_on(&self) -> bool {
        !self.stopped.load(Ordering::Relaxed)
    }
}

/// Runs work on another thread and waits for it, without holding Python's lock. `tell` is a Python function that gets the share
/// that is done. After Ctrl-C the call ends at once; the thread ends when the work looks at its [`Progress`].
///
/// # Errors
/// `KeyboardInterrupt`, the error of `tell`, and `RuntimeError` if the work panics.
pub fn run<T: Send + 'static>(
    py: Python<'_>,
    tell: Option<&Bound<'_, PyAny>>,
    work: impl FnOnce(&Progress) -> T + Send + 'static,
) -> PyResult<T> {
    let progress = Arc::new(Progress::default());
    let (sender, receiver) = channel();
    let of_thread = progress.clone();
    let thread = std::thread::Builder::new().name("isotherm".into()).spawn(move || {
        // The receiver is gone only if the call has ended.
        let _ = sender.send(catch_unwind(AssertUnwindSafe(|| work(&of_thread))));
    });
    thread.map_err(|error| PyRuntimeError::new_err(format!("no thread for the work: {error}")))?;
    let mut receiver = receiver;
    loop {
        let (back, found) = py.detach(move || {
            let found = receiver.recv_timeout(LOOK);
            (receiver, found)
        });
        receiver = back;
        let looked = || -> PyResult<()> {
            py.check_signals()?;
            if let Some(tell) = tell {
                tell.call1((f64::from_bits(progress.share.load(Ordering::Relaxed)),))?;
            }
            Ok(())
        };
        match found {
            Ok(Ok(result)) => return Ok(result),
            Ok(Err(panic)) => return Err(of_panic(panic.as_ref())),
            Err(RecvTimeoutError::Disconnected) => return Err(PyRuntimeError::new_err("the work ended without a result")),
            Err(RecvTimeoutError::Timeout) => {
                if let Err(error) = looked() {
                    progress.stopped.store(true, Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
    }
}

/// The error for a panic in work: a fault of this package.
pub fn of_panic(panic: &(dyn std::any::Any + Send)) -> PyErr {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    PyRuntimeError::new_err(format!("a fault of isotherm, please report it: {}", text.unwrap_or("no text")))
}

/// A look at Python's signals about every [`LOOK`], from work that runs on the calling thread without Python's lock.
#[derive(Debug)]
pub struct SignalWatch {
    last: Instant,
}

impl SignalWatch {
    /// A watch whose first look is in [`LOOK`].
    pub fn new() -> Self {
        Self { last: Instant::now() }
    }

    /// Looks if it is time.
    ///
    /// # Errors
    /// The exception of a signal's handler: `KeyboardInterrupt` after Ctrl-C.
    pub fn look(&mut self) -> PyResult<()> {
        if self.last.elapsed() < LOOK {
            return Ok(());
        }
        self.last = Instant::now();
        Python::attach(|py| py.check_signals())
    }
}
