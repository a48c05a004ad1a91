//! The host's side of CLAP: the calls that a plug-in may make. They only note a request; [`crate::ClapInstance::grant_requests`]
//! grants it later.

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
    /// True on a thread that [`on_audio_thread`] started.
    static IS_AUDIO_THREAD: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` on a thread of its own, which the plug-in sees as the audio thread, and waits for it.
pub fn on_audio_thread<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    beside_audio_thread(work, || {})
}

/// Runs `work` as [`on_audio_thread`], while the calling thread runs `meanwhile`.
pub fn beside_audio_thread<R: Send>(work: impl FnOnce() -> R + Send, meanwhile: impl FnOnce()) -> R {
    let done = thread::scope(|scope| {
        let audio = scope.spawn(|| {
            IS_AUDIO_THREAD.set(true);
            work()
        });
        meanwhile();
        audio.join()
    });
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// The requests of the plug-in: those not granted yet, and counts.
#[derive(Default)]
pub struct PluginRequests {
    /// A restart is asked for.
    pub restart: AtomicBool,
    /// Blocks are asked for.
    pub process: AtomicBool,
    /// A call on the main thread is asked for.
    pub callback: AtomicBool,
    /// A flush of parameter events is asked for.
    pub flush: AtomicBool,
    /// Number of times that the plug-in said that its latency changed.
    pub latency_changed: AtomicUsize,
    /// Number of times that it asked for its parameters to be read again.
    pub rescans: AtomicUsize,
    /// Number of times that the plug-in said that its state is no longer the saved one.
    pub dirty: AtomicUsize,
    /// Sizes that it asked for its window, in their order.
    pub sizes: Mutex<Vec<(u32, u32)>>,
}

/// The host, for clack.
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

/// The calls that a plug-in may make from any thread.
pub struct Shared {
    requests: Arc<PluginRequests>,
    main_thread: ThreadId,
}

impl Shared {
    /// Handler for a plug-in whose main thread is the calling one.
    pub fn new(requests: Arc<PluginRequests>) -> Self {
        Self { requests, main_thread: thread::current().id() }
    }
}

impl SharedHandler<'_> for Shared {
    fn request_restart(&self) {
        self.requests.restart.store(true, Ordering::SeqCst);
    }

    /// Only notes it: the test decides when sound runs.
    fn request_process(&self) {
        self.requests.process.store(true, Ordering::SeqCst);
    }

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

    /// Refuses: the test decides when the window is shown.
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

/// The calls that a plug-in may make on the main thread only.
pub struct MainThread {
    requests: Arc<PluginRequests>,
}

impl MainThread {
    /// Handler that notes calls in `requests`.
    pub fn new(requests: Arc<PluginRequests>) -> Self {
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
