//! The thread beside the audio thread: reads models, makes slots of another structure and frees what the audio thread is done with.
//!
//! It is our own, not the framework's: an instance that a host removes while the framework's thread works for it would be freed on
//! that very thread, which then waits for itself.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{JoinHandle, Thread};

/// Makes slots for what is set now.
pub const REMAKE: u8 = 1;
/// Frees what the audio thread has sent back.
pub const FREE: u8 = 2;
/// Tosses the coin of the blind comparison anew.
pub const TOSS: u8 = 4;
/// Does what the slots' models are asked for.
pub const LOAD: u8 = 8;
/// Opens or closes the recorder, as it is set now.
pub const RECORD: u8 = 16;

/// What is to be done, as the other threads say it.
#[derive(Debug, Default)]
pub struct Orders {
    jobs: AtomicU8,
    /// Slots are asked for and not made yet.
    making: AtomicBool,
    /// How often models were asked for, and how many of these wishes are done.
    models_asked: AtomicU32,
    models_done: AtomicU32,
    stop: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Orders {
    /// Asks for slots, unless they are being made. [audio thread]
    pub fn ask_for_slots(&self) {
        if !self.making.swap(true, Ordering::AcqRel) {
            self.ask(REMAKE);
        }
    }

    /// Whether slots are being made. [audio thread]
    #[must_use]
    pub fn is_making(&self) -> bool {
        self.making.load(Ordering::Acquire)
    }

    /// Slots were made. [workshop thread]
    pub fn made(&self) {
        self.making.store(false, Ordering::Release);
    }

    /// Asks for [`LOAD`]. [any thread but the audio thread]
    pub fn ask_for_models(&self) {
        self.models_asked.fetch_add(1, Ordering::AcqRel);
        self.ask(LOAD);
    }

    /// How often models were asked for. [any thread]
    #[must_use]
    pub fn models_asked(&self) -> u32 {
        self.models_asked.load(Ordering::Acquire)
    }

    /// What was asked for up to `asked` is done, and slots with it are sent. [workshop thread]
    pub fn models_are_there(&self, asked: u32) {
        self.models_done.store(asked, Ordering::Release);
    }

    /// Whether models were asked for and do not run yet. [audio thread]
    #[must_use]
    pub fn is_loading(&self) -> bool {
        self.models_asked() != self.models_done.load(Ordering::Acquire)
    }

    /// Asks for jobs; does not wait for them. [audio thread]
    pub fn ask(&self, jobs: u8) {
        self.jobs.fetch_or(jobs, Ordering::Release);
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}

/// Works until it is dropped, which waits for the job at hand.
#[derive(Debug)]
pub struct Workshop {
    orders: Arc<Orders>,
    thread: Option<JoinHandle<()>>,
}

impl Workshop {
    /// `work` gets the jobs that were asked for. [control thread]
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn open(orders: Arc<Orders>, work: impl Fn(u8) + Send + 'static) -> std::io::Result<Self> {
        let mine = orders.clone();
        let thread = std::thread::Builder::new().name("isotherm-workshop".into()).spawn(move || {
            while !mine.stop.load(Ordering::Acquire) {
                match mine.jobs.swap(0, Ordering::AcqRel) {
                    0 => std::thread::park(),
                    // A panic has been reported; who waits for slots waits no longer.
                    jobs if catch_unwind(AssertUnwindSafe(|| work(jobs))).is_err() => {
                        mine.models_are_there(mine.models_asked());
                        mine.made();
                    }
                    _ => {}
                }
            }
        })?;
        let _ = orders.thread.set(thread.thread().clone());
        // What was asked before there was anybody to wake.
        thread.thread().unpark();
        Ok(Self { orders, thread: Some(thread) })
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        self.orders.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic in there has been reported; nothing is left to do for it.
            let _ = thread.join();
        }
    }
}
