//! The builder thread, one per instance: reads models, makes slots of another structure for the audio thread, frees those that
//! the audio thread sends back, opens and closes the recorder.
//!
//! The builder thread is not nice-plug's background thread. If a host removed an instance while that thread worked for it, the
//! instance would be freed on that very thread, which would then wait for itself.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock, PoisonError};
use std::thread::{JoinHandle, Thread};

use super::SharedInstance;
use super::models::ModelSlot;
use crate::dsp::ProcessSpec;
use crate::effect::{Effect, EffectSnapshot};
use crate::graph::SwapSender;
use crate::neural::check_oversampling;
use crate::slots::Slots;

/// The jobs of the builder thread, as bits.
pub mod jobs {
    /// Makes slots for the values that are set now, and sends them to the audio thread.
    pub const BUILD_SLOTS: u8 = 1;
    /// Frees the slots that the audio thread has sent back.
    pub const FREE_SLOTS: u8 = 2;
    /// Tosses the coin of the blind switch: it decides which slot each side plays.
    pub const TOSS_COIN: u8 = 4;
    /// Runs the requests for the slots' models, then makes slots with them.
    pub const LOAD_MODELS: u8 = 8;
    /// Opens or closes the recorder, as the parameters and the setup of takes ask for it.
    pub const OPEN_OR_CLOSE_RECORDER: u8 = 16;
    /// Measures models and encodes them for the state: work that is left until they play.
    pub const MEASURE_AND_ENCODE_MODELS: u8 = 32;
}

/// Requests to the builder thread, and its progress.
#[derive(Debug, Default)]
pub struct BuilderRequests {
    /// Bits of [`jobs`] that are due.
    jobs: AtomicU8,
    /// True while slots are asked for and not built yet.
    building: AtomicBool,
    /// Count of requests for models.
    models_requested: AtomicU32,
    /// The value of `models_requested` up to which all requests are done.
    models_done: AtomicU32,
    /// True when the thread has to end.
    stop: AtomicBool,
    /// The thread to wake; empty before it is started.
    thread: OnceLock<Thread>,
}

impl BuilderRequests {
    /// Asks for slots for the values that are set, unless they are asked for already. [audio thread]
    pub fn request_slots(&self) {
        if !self.building.swap(true, Ordering::AcqRel) {
            self.post(jobs::BUILD_SLOTS);
        }
    }

    /// True while slots are asked for and not built yet. [audio thread]
    #[must_use]
    pub fn is_building_slots(&self) -> bool {
        self.building.load(Ordering::Acquire)
    }

    /// Notes that the slots that were asked for are built, or cannot be built. [builder thread]
    fn mark_slots_built(&self) {
        self.building.store(false, Ordering::Release);
    }

    /// Counts a request for a model and asks for [`jobs::LOAD_MODELS`]. [any thread but the audio thread]
    pub fn request_models(&self) {
        self.models_requested.fetch_add(1, Ordering::AcqRel);
        self.post(jobs::LOAD_MODELS);
    }

    /// The count of requests for models so far. [any thread]
    #[must_use]
    fn models_requested(&self) -> u32 {
        self.models_requested.load(Ordering::Acquire)
    }

    /// Notes that the first `count` requests for models are done and slots with them are sent. [builder thread]
    fn mark_models_done(&self, count: u32) {
        self.models_done.store(count, Ordering::Release);
    }

    /// True while models are asked for and slots with them are not sent yet. [audio thread]
    #[must_use]
    pub fn is_loading_models(&self) -> bool {
        self.models_requested() != self.models_done.load(Ordering::Acquire)
    }

    /// True if jobs are asked for that a user waits for, or the thread has to end. [builder thread]
    fn has_urgent_jobs(&self) -> bool {
        const URGENT: u8 = jobs::BUILD_SLOTS | jobs::TOSS_COIN | jobs::LOAD_MODELS | jobs::OPEN_OR_CLOSE_RECORDER;
        self.jobs.load(Ordering::Acquire) & URGENT != 0 || self.stop.load(Ordering::Acquire)
    }

    /// Asks for `jobs`, bits of [`jobs`](mod@jobs), and wakes the thread; does not wait. [any thread, the audio thread too]
    pub fn post(&self, jobs: u8) {
        self.jobs.fetch_or(jobs, Ordering::Release);
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}

/// The running builder thread. Dropping it ends the thread, after the job that it is doing.
#[derive(Debug)]
pub struct BuilderThread {
    requests: Arc<BuilderRequests>,
    thread: Option<JoinHandle<()>>,
}

impl BuilderThread {
    /// Starts the thread, which calls `run_jobs` with the jobs that were asked for, as bits. [control thread]
    ///
    /// # Errors
    /// If the system cannot start a thread.
    pub fn open(requests: Arc<BuilderRequests>, run_jobs: impl Fn(u8) + Send + 'static) -> std::io::Result<Self> {
        let own_requests = requests.clone();
        let thread = std::thread::Builder::new().name("isotherm-builder".into()).spawn(move || {
            while !own_requests.stop.load(Ordering::Acquire) {
                match own_requests.jobs.swap(0, Ordering::AcqRel) {
                    0 => std::thread::park(),
                    // The panic has been reported. An offline render that waits for slots must not go on waiting.
                    jobs if catch_unwind(AssertUnwindSafe(|| run_jobs(jobs))).is_err() => {
                        own_requests.mark_models_done(own_requests.models_requested());
                        own_requests.mark_slots_built();
                    }
                    _ => {}
                }
            }
        })?;
        let _ = requests.thread.set(thread.thread().clone());
        // Jobs may have been asked for before there was a thread to wake.
        thread.thread().unpark();
        Ok(Self { requests, thread: Some(thread) })
    }
}

impl Drop for BuilderThread {
    fn drop(&mut self) {
        self.requests.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic of the thread has been reported already.
            let _ = thread.join();
        }
    }
}

/// The target of built slots: the format that they are built for and the ring that they are sent through. It is locked by the
/// thread that reads models or makes slots, for as long as that takes.
#[derive(Default)]
pub struct BuildTarget {
    /// The stream: rate, channels, block size and time; None before the first `prepare`.
    pub spec: Option<ProcessSpec>,
    /// The way to the audio thread; None before the first `prepare`.
    pub sender: Option<SwapSender<Slots>>,
    /// The effect snapshots of the slots that were sent last.
    pub newest_snapshots: Option<[EffectSnapshot; 2]>,
}

/// True if slots with the effects `a` can be brought to `b` by setting values, without making other slots.
fn same_structure(a: &[EffectSnapshot; 2], b: &[EffectSnapshot; 2]) -> bool {
    a.iter().zip(b).all(|(a, b)| a.same_structure(b))
}

/// The reason why the model of an effect cannot be oversampled as it is set, in one line.
fn oversampling_limit(effect: &Effect, channels: usize) -> Option<String> {
    let model = effect.active_model()?;
    check_oversampling(&effect.settings, model, channels).err().map(|error| error.to_string())
}

impl SharedInstance {
    /// Slots for the values that are set now. A model that cannot run at `spec` is left out, and its slot shows why. None if
    /// slots cannot be built at all; the log says why. [control thread or builder thread]
    pub(super) fn build_slots(&self, spec: ProcessSpec) -> Option<Box<Slots>> {
        loop {
            let (wanted, listen) = (self.requested_effects(), self.requested_listen());
            // A model that cannot be oversampled as it is set plays at its own rate, and its slot shows why.
            let limits = wanted.each_ref().map(|effect| oversampling_limit(effect, spec.channels));
            let effects: [Effect; 2] = std::array::from_fn(|slot| match limits[slot] {
                Some(_) => wanted[slot].with("oversampling", 0.0).with("render_oversampling", 0.0),
                None => wanted[slot].clone(),
            });
            let error = match Slots::compile(spec, &effects, listen, Some(&self.meters)) {
                Ok(mut slots) => {
                    for (slot, limit) in limits.into_iter().enumerate() {
                        slots.count_as(slot, wanted[slot].snapshot());
                        self.models[slot].accept(limit);
                    }
                    return Some(Box::new(slots));
                }
                Err(error) => error,
            };
            let fails = |slot: &[Effect]| slot[0].model.is_some() && Slots::compile(spec, slot, listen, None).is_err();
            let Some(slot) = effects.chunks(1).position(fails) else {
                tracing::error!("{error}");
                return None;
            };
            // A slot's model is rejected at most twice: for the model that was loaded, then for the previous one.
            self.models[slot].reject(error.to_string());
        }
    }

    /// Runs the jobs that were asked for, given as bits. [builder thread]
    fn run_jobs(&self, jobs: u8) {
        let mut target = self.build_target();
        if jobs & jobs::FREE_SLOTS != 0 {
            if let Some(sender) = &mut target.sender {
                sender.free();
            }
            // The sounds that a test played or kept are freed although its panel may be closed by now.
            self.tests.link().maintain();
        }
        if jobs & jobs::TOSS_COIN != 0 {
            self.blind.toss();
        }
        let requested = self.requests.models_requested();
        if jobs & jobs::LOAD_MODELS != 0 {
            self.models.iter().for_each(ModelSlot::run_requests);
        }
        if jobs & (jobs::LOAD_MODELS | jobs::BUILD_SLOTS) != 0 {
            self.rebuild(&mut target);
        }
        if jobs & jobs::LOAD_MODELS != 0 {
            self.requests.mark_models_done(requested);
            self.requests.post(jobs::MEASURE_AND_ENCODE_MODELS);
        }
        if jobs & jobs::BUILD_SLOTS != 0 {
            self.requests.mark_slots_built();
        }
        if jobs & jobs::OPEN_OR_CLOSE_RECORDER != 0 {
            self.takes.update_recorder(target.spec, self.is_on_standby());
        }
        drop(target);
        // One measurement or encoding at a time: jobs that are asked for meanwhile go first.
        let go_on = || !self.requests.has_urgent_jobs();
        if jobs & jobs::MEASURE_AND_ENCODE_MODELS != 0 && self.models.iter().any(|model| model.do_deferred_work(&go_on)) {
            self.requests.post(jobs::MEASURE_AND_ENCODE_MODELS);
        }
    }

    /// Makes slots for the values that are set now and sends them to the audio thread, unless those that were sent last have
    /// the same structure.
    fn rebuild(&self, target: &mut BuildTarget) {
        let BuildTarget { spec: Some(spec), sender: Some(sender), newest_snapshots } = target else { return };
        for is_last_try in [false, false, true] {
            if newest_snapshots.is_some_and(|newest| same_structure(&newest, &self.requested_snapshots())) {
                return;
            }
            let Some(slots) = self.build_slots(*spec) else { return };
            let built = [*slots.snapshot(0), *slots.snapshot(1)];
            if newest_snapshots.is_some_and(|newest| same_structure(&newest, &built)) {
                return;
            }
            // A host that loads a state sets one value after the other. Slots that are out of date already are not worth a dip.
            if is_last_try || same_structure(&built, &self.requested_snapshots()) {
                // The ring is full only while no block runs; the next block asks again.
                if sender.send(slots).is_ok() {
                    *newest_snapshots = Some(built);
                }
                return;
            }
        }
    }

    /// Starts the builder thread, if it does not run yet and the instance is not dropped. [control thread]
    ///
    /// # Errors
    /// If the system cannot start a thread.
    pub fn open_builder(self: &Arc<Self>) -> std::io::Result<()> {
        let mut builder = self.builder.lock().unwrap_or_else(PoisonError::into_inner);
        if builder.is_none() && !self.is_closed.load(Ordering::Acquire) {
            let shared = self.clone();
            *builder = Some(BuilderThread::open(self.requests.clone(), move |jobs| shared.run_jobs(jobs))?);
        }
        Ok(())
    }
}
