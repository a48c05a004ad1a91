//! The thread beside the audio thread: reads models, makes slots of another structure and frees what the audio thread is done with.
//!
//! It is our own, not a framework's: an instance that a host removes while the framework's thread works for it would be freed on
//! that very thread, which then waits for itself.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock, PoisonError};
use std::thread::{JoinHandle, Thread};

use super::Shared;
use super::models::ModelSlot;
use crate::dsp::Spec;
use crate::effect::{Effect, Outline};
use crate::graph::SwapSender;
use crate::slots::Slots;

/// What the thread can be asked for, as bits.
pub mod jobs {
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
    /// Does what was left when a model began to be heard.
    pub const FINISH: u8 = 32;
}

/// What is to be done, as the other threads say it.
#[derive(Debug, Default)]
pub struct Requests {
    jobs: AtomicU8,
    /// Slots are asked for and not made yet.
    making: AtomicBool,
    /// Counts of requests for models, and of those that are done.
    models_asked: AtomicU32,
    models_done: AtomicU32,
    stop: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Requests {
    /// Asks for slots, unless they are being made. [audio thread]
    pub fn ask_for_slots(&self) {
        if !self.making.swap(true, Ordering::AcqRel) {
            self.ask(jobs::REMAKE);
        }
    }

    /// Whether slots are being made. [audio thread]
    #[must_use]
    pub fn is_making(&self) -> bool {
        self.making.load(Ordering::Acquire)
    }

    /// Slots were made. [builder thread]
    fn made(&self) {
        self.making.store(false, Ordering::Release);
    }

    /// Asks for [`jobs::LOAD`]. [any thread but the audio thread]
    pub fn ask_for_models(&self) {
        self.models_asked.fetch_add(1, Ordering::AcqRel);
        self.ask(jobs::LOAD);
    }

    /// The count of requests for models. [any thread]
    #[must_use]
    fn models_asked(&self) -> u32 {
        self.models_asked.load(Ordering::Acquire)
    }

    /// What was asked for up to `asked` is done, and slots with it are sent. [builder thread]
    fn models_are_there(&self, asked: u32) {
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
pub struct BuilderThread {
    requests: Arc<Requests>,
    thread: Option<JoinHandle<()>>,
}

impl BuilderThread {
    /// `work` gets the jobs that were asked for. [control thread]
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn open(requests: Arc<Requests>, work: impl Fn(u8) + Send + 'static) -> std::io::Result<Self> {
        let mine = requests.clone();
        let thread = std::thread::Builder::new().name("isotherm-builder".into()).spawn(move || {
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
        let _ = requests.thread.set(thread.thread().clone());
        // What was asked before there was anybody to wake.
        thread.thread().unpark();
        Ok(Self { requests, thread: Some(thread) })
    }
}

impl Drop for BuilderThread {
    fn drop(&mut self) {
        self.requests.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic in there has been reported; nothing is left to do for it.
            let _ = thread.join();
        }
    }
}

/// For what the running slots were prepared, and where other slots are sent. Who reads models or makes slots holds it meanwhile.
#[derive(Default)]
pub struct Target {
    pub spec: Option<Spec>,
    pub sender: Option<SwapSender<Slots>>,
    /// What the slots that were sent last run with.
    pub sent: Option<[Outline; 2]>,
}

fn same_structure(a: &[Outline; 2], b: &[Outline; 2]) -> bool {
    a.iter().zip(b).all(|(a, b)| a.same_structure(b))
}

impl Shared {
    /// Slots for what is set now. A model that cannot be prepared for this is left out, and its slot says why. [control thread]
    pub(super) fn make(&self, spec: Spec) -> Option<Box<Slots>> {
        loop {
            let (effects, heard) = (self.effects(), self.heard());
            let error = match Slots::compile(spec, &effects, heard, Some(&self.meters)) {
                Ok(mut slots) => {
                    slots.set_offline(self.offline.load(Ordering::Relaxed));
                    self.models.iter().for_each(ModelSlot::settle);
                    return Some(Box::new(slots));
                }
                Err(error) => error,
            };
            let fails = |slot: &[Effect]| slot[0].model.is_some() && Slots::compile(spec, slot, heard, None).is_err();
            let Some(slot) = effects.chunks(1).position(fails) else {
                tracing::error!("{error}");
                return None;
            };
            // At most twice for each: what was loaded, then what ran before.
            self.models[slot].refuse(error.to_string());
        }
    }

    /// Does what was asked for. [builder thread]
    fn work(&self, jobs: u8) {
        let mut target = self.target();
        if jobs & jobs::FREE != 0
            && let Some(sender) = &mut target.sender
        {
            sender.free();
        }
        if jobs & jobs::TOSS != 0 {
            self.blind.toss();
        }
        let asked = self.requests.models_asked();
        if jobs & jobs::LOAD != 0 {
            self.models.iter().for_each(ModelSlot::work);
        }
        if jobs & (jobs::LOAD | jobs::REMAKE) != 0 {
            self.remake(&mut target);
        }
        if jobs & jobs::LOAD != 0 {
            self.requests.models_are_there(asked);
            self.requests.ask(jobs::FINISH);
        }
        if jobs & jobs::REMAKE != 0 {
            self.requests.made();
        }
        if jobs & jobs::RECORD != 0 {
            self.takes.work(target.spec, self.is_armed());
        }
        drop(target);
        // One thing at a time: what else is asked for meanwhile goes first.
        if jobs & jobs::FINISH != 0 && self.models.iter().any(ModelSlot::finish) {
            self.requests.ask(jobs::FINISH);
        }
    }

    /// Makes slots for what is set now and sends them to the audio thread, unless those that were sent last will do.
    fn remake(&self, target: &mut Target) {
        let Target { spec: Some(spec), sender: Some(sender), sent } = target else { return };
        for last in [false, false, true] {
            if sent.is_some_and(|sent| same_structure(&sent, &self.wanted())) {
                return;
            }
            let Some(slots) = self.make(*spec) else { return };
            let made = [*slots.outline(0), *slots.outline(1)];
            if sent.is_some_and(|sent| same_structure(&sent, &made)) {
                return;
            }
            // A host sets one value after the other: only the last of them is worth a dip.
            if last || same_structure(&made, &self.wanted()) {
                // Too many wait only while nothing runs; the next block asks again.
                if sender.send(slots).is_ok() {
                    *sent = Some(made);
                }
                return;
            }
        }
    }

    /// Lets there be a thread that works. [control thread]
    ///
    /// # Errors
    /// If the system gives none.
    pub fn open_builder(self: &Arc<Self>) -> std::io::Result<()> {
        let mut builder = self.builder.lock().unwrap_or_else(PoisonError::into_inner);
        if builder.is_none() && !self.gone.load(Ordering::Acquire) {
            let shared = self.clone();
            *builder = Some(BuilderThread::open(self.requests.clone(), move |jobs| shared.work(jobs))?);
        }
        Ok(())
    }
}
