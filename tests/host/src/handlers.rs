//! The host's side of CLAP: what a plug-in may ask of it. Nothing is done here; [`crate::Plugin::serve`] does it later.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

use clack_extensions::gui::{GuiSize, HostGui, HostGuiImpl};
use clack_extensions::latency::{HostLatency, HostLatencyImpl};
use clack_extensions::params::{HostParams, HostParamsImplMainThread, HostParamsImplShared, ParamClearFlags, ParamRescanFlags};
use clack_extensions::state::{HostState, HostStateImpl};
use clack_extensions::thread_check::{HostThreadCheck, HostThreadCheckImpl};
use clack_host::prelude::*;

thread_local! {
    /// Whether this is a thread that [`on_audio_thread`] made.
    static IS_AUDIO_THREAD: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` on a thread of its own, which the plug-in takes for the audio thread, and waits for it.
pub fn on_audio_thread<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    beside_audio_thread(work, || {})
}

/// As [`on_audio_thread`], while this thread does something `else_`.
pub fn beside_audio_thread<R: Send>(work: impl FnOnce() -> R + Send, else_: impl FnOnce()) -> R {
    let done = thread::scope(|scope| {
        let audio = scope.spawn(|| {
            IS_AUDIO_THREAD.set(true);
            work()
        });
        else_();
        audio.join()
    });
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// What the plug-in asked for and has not got yet, and how often it asked.
#[derive(Default)]
pub struct Requests {
    pub restart: AtomicBool,
    pub callback: AtomicBool,
    pub flush: AtomicBool,
    pub latency_changed: AtomicUsize,
    pub rescans: AtomicUsize,
    pub dirty: AtomicUsize,
    /// Of its window.
    pub sizes: Mutex<Vec<(u32, u32)>>,
}

pub struct Host;

impl HostHandlers for Host {
    type Shared<'a> = Shared;
    type MainThread<'a> = MainThread;
    type AudioProcessor<'a> = ();

    fn declare_extensions(builder: &mut HostExtensions<Self>, _: &Shared) {
        builder
            .register::<HostGui>()
            .register::<HostLatency>()
            .register::<HostParams>()
            .register::<HostState>()
            .register::<HostThreadCheck>();
    }
}

/// What may be called from any thread.
pub struct Shared {
    requests: Arc<Requests>,
    main_thread: ThreadId,
}

impl Shared {
    /// Made on the main thread.
    pub fn new(requests: Arc<Requests>) -> Self {
        Self { requests, main_thread: thread::current().id() }
    }
}

impl SharedHandler<'_> for Shared {
    fn request_restart(&self) {
        self.requests.restart.store(true, Ordering::SeqCst);
    }

    /// Sound flows when the test says so.
    fn request_process(&self) {}

    fn request_callback(&self) {
        self.requests.callback.store(true, Ordering::SeqCst);
    }
}

impl HostParamsImplShared for Shared {
    fn request_flush(&self) {
        self.requests.flush.store(true, Ordering::SeqCst);
    }
}

impl HostGuiImpl for Shared {
    fn resize_hints_changed(&self) {}

    fn request_resize(&self, size: GuiSize) -> Result<(), HostError> {
        self.requests.sizes.lock().expect("nobody panics with it").push((size.width, size.height));
        Ok(())
    }

    /// The window is shown when the test says so.
    fn request_show(&self) -> Result<(), HostError> {
        Err(HostError::Message("it is not for the plug-in to say"))
    }

    fn request_hide(&self) -> Result<(), HostError> {
        self.request_show()
    }

    fn closed(&self, _: bool) {}
}

impl HostThreadCheckImpl for Shared {
    fn is_main_thread(&self) -> bool {
        thread::current().id() == self.main_thread
    }

    fn is_audio_thread(&self) -> bool {
        IS_AUDIO_THREAD.get()
    }
}

/// What is called from the main thread only.
pub struct MainThread {
    requests: Arc<Requests>,
}

impl MainThread {
    pub fn new(requests: Arc<Requests>) -> Self {
        Self { requests }
    }
}

impl MainThreadHandler<'_> for MainThread {}

impl HostLatencyImpl for MainThread {
    fn changed(&self) {
        self.requests.latency_changed.fetch_add(1, Ordering::SeqCst);
    }
}

impl HostParamsImplMainThread for MainThread {
    fn rescan(&self, _: ParamRescanFlags) {
        self.requests.rescans.fetch_add(1, Ordering::SeqCst);
    }

    fn clear(&self, _: ClapId, _: ParamClearFlags) {}
}

impl HostStateImpl for MainThread {
    fn mark_dirty(&self) {
        self.requests.dirty.fetch_add(1, Ordering::SeqCst);
    }
}
