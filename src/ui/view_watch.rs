//! The watch of an open window: it compares the current state with the shown one between frames, so that the window is painted
//! only when it would look different.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::FRAME_INTERVAL;

/// A state that a window shows and that changes without notice, so that it has to be compared.
pub trait WatchedView: Clone + Send + 'static {
    /// Merges in an earlier state that was read and not shown: peaks and clips can be read only once and must not be lost.
    fn absorb(&mut self, earlier: &Self);

    /// True if a window that is at rest and shows `shown` would look the same with this state.
    fn is_shown_by(&self, shown: &Self) -> bool;
}

/// A thread that reads the state about 30 times a second and wakes the window if it would look different. It ends when this is
/// dropped. All methods: [control thread]
pub struct ViewWatch<T> {
    shared: Arc<Shared<T>>,
    thread: Option<JoinHandle<()>>,
}

/// The part that the thread and the window share.
struct Shared<T> {
    /// Reads the current state.
    read: Box<dyn Fn() -> T + Send + Sync>,
    views: Mutex<Views<T>>,
    stop: AtomicBool,
}

/// The states that the watch compares.
struct Views<T> {
    /// The states that were read since the last frame, merged into one.
    pending: Option<T>,
    /// The state that the last frame showed.
    shown: Option<T>,
}

impl<T: WatchedView> Shared<T> {
    fn lock_views(&self) -> MutexGuard<'_, Views<T>> {
        self.views.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the current state and merges the pending one into it.
    fn read_merged(&self, views: &mut Views<T>) -> T {
        let mut now = (self.read)();
        if let Some(earlier) = views.pending.take() {
            now.absorb(&earlier);
        }
        now
    }
}

impl<T: WatchedView> ViewWatch<T> {
    /// Starts the thread. `read` returns the current state, and each peak in only one of its results; `wake` requests a frame of
    /// the window. Both are called on the thread, and `read` in [`Self::frame`], too.
    ///
    /// # Errors
    /// If the system does not start a thread.
    pub fn start(read: impl Fn() -> T + Send + Sync + 'static, wake: impl Fn() + Send + 'static) -> std::io::Result<Self> {
        let views = Mutex::new(Views { pending: None, shown: None });
        let shared = Arc::new(Shared { read: Box::new(read), views, stop: AtomicBool::new(false) });
        let thread_shared = shared.clone();
        let thread = std::thread::Builder::new().name("isotherm-watch".into()).spawn(move || {
            while !thread_shared.stop.load(Ordering::Acquire) {
                let mut views = thread_shared.lock_views();
                let now = thread_shared.read_merged(&mut views);
                let has_changed = views.shown.as_ref().is_none_or(|shown| !now.is_shown_by(shown));
                views.pending = Some(now);
                drop(views);
                if has_changed {
                    wake();
                }
                std::thread::park_timeout(FRAME_INTERVAL);
            }
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Returns the state for the next frame: the current one, with all peaks since the last frame.
    #[must_use]
    pub fn frame(&self) -> T {
        let mut views = self.shared.lock_views();
        let now = self.shared.read_merged(&mut views);
        views.shown = Some(now.clone());
        now
    }
}

impl<T> Drop for ViewWatch<T> {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // If the thread has panicked, the panic hook has already reported it.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, AtomicUsize};
    use std::time::{Duration, Instant};

    use super::*;

    #[derive(Clone)]
    struct TestView {
        value: u32,
        /// A peak that can be read only once.
        peak: u32,
    }

    impl WatchedView for TestView {
        fn absorb(&mut self, earlier: &Self) {
            self.peak = self.peak.max(earlier.peak);
        }

        fn is_shown_by(&self, shown: &Self) -> bool {
            self.value == shown.value && self.peak <= shown.peak
        }
    }

    fn wait_until(condition: impl Fn() -> bool) {
        let start = Instant::now();
        while !condition() {
            assert!(start.elapsed() < Duration::from_secs(30), "waited too long");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn the_window_is_woken_only_for_changes_and_no_peak_is_lost() {
        let (value, peak) = (Arc::new(AtomicU32::new(1)), Arc::new(AtomicU32::new(7)));
        let (read_count, wake_count) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let read = {
            let (value, peak, read_count) = (value.clone(), peak.clone(), read_count.clone());
            move || {
                read_count.fetch_add(1, Ordering::SeqCst);
                TestView { value: value.load(Ordering::SeqCst), peak: peak.swap(0, Ordering::SeqCst) }
            }
        };
        let wake = {
            let wake_count = wake_count.clone();
            move || {
                wake_count.fetch_add(1, Ordering::SeqCst);
            }
        };
        let watch = ViewWatch::start(read, wake).unwrap();
        // Before the first frame every state counts as a change.
        wait_until(|| wake_count.load(Ordering::SeqCst) > 0 && read_count.load(Ordering::SeqCst) >= 3);
        let frame = watch.frame();
        assert_eq!((frame.value, frame.peak), (1, 7), "the peak of the first read is in the first frame");

        let wait_for_four_reads = || {
            let before = read_count.load(Ordering::SeqCst);
            wait_until(|| read_count.load(Ordering::SeqCst) >= before + 4);
        };
        // The read that was under way when the frame was made may still wake the window.
        wait_for_four_reads();
        let before = wake_count.load(Ordering::SeqCst);
        wait_for_four_reads();
        assert_eq!(wake_count.load(Ordering::SeqCst), before, "nothing has changed");
        value.store(2, Ordering::SeqCst);
        wait_until(|| wake_count.load(Ordering::SeqCst) > before);
        assert_eq!(watch.frame().value, 2);
        drop(watch);
        let before = read_count.load(Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(read_count.load(Ordering::SeqCst), before, "the thread has ended");
    }
}
