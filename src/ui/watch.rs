//! A look at the audio side between frames, so that a window is painted only when it would look different.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::MOVING;

/// Something that a window shows of a side that does not tell when it changes.
pub trait Look: Clone + Send + 'static {
    /// Takes in what an earlier look saw of things that are seen once only: peaks and clips.
    fn absorb(&mut self, earlier: &Self);

    /// Whether a window that shows `shown` and is at rest would look the same if it showed this.
    fn is_shown_by(&self, shown: &Self) -> bool;
}

/// Looks about 30 times a second and wakes the window if what it sees is not what the window shows. Dropped, it ends. [control thread]
pub struct Watch<T> {
    shared: Arc<Shared<T>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared<T> {
    look: Box<dyn Fn() -> T + Send + Sync>,
    seen: Mutex<Seen<T>>,
    stop: AtomicBool,
}

struct Seen<T> {
    /// All that was seen since the last frame.
    waiting: Option<T>,
    shown: Option<T>,
}

impl<T: Look> Shared<T> {
    fn seen(&self) -> MutexGuard<'_, Seen<T>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A look, with what waits.
    fn look(&self, seen: &mut Seen<T>) -> T {
        let mut now = (self.look)();
        if let Some(earlier) = seen.waiting.take() {
            now.absorb(&earlier);
        }
        now
    }
}

impl<T: Look> Watch<T> {
    /// `look` sees each peak once; `wake` asks the window for a frame.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(look: impl Fn() -> T + Send + Sync + 'static, wake: impl Fn() + Send + 'static) -> std::io::Result<Self> {
        let seen = Mutex::new(Seen { waiting: None, shown: None });
        let shared = Arc::new(Shared { look: Box::new(look), seen, stop: AtomicBool::new(false) });
        let mine = shared.clone();
        let thread = std::thread::Builder::new().name("isotherm-watch".into()).spawn(move || {
            while !mine.stop.load(Ordering::Acquire) {
                let mut seen = mine.seen();
                let now = mine.look(&mut seen);
                let news = seen.shown.as_ref().is_none_or(|shown| !now.is_shown_by(shown));
                seen.waiting = Some(now);
                drop(seen);
                if news {
                    wake();
                }
                std::thread::park_timeout(MOVING);
            }
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// What a frame shows: as it is now, with all peaks since the frame before.
    #[must_use]
    pub fn frame(&self) -> T {
        let mut seen = self.shared.seen();
        let now = self.shared.look(&mut seen);
        seen.shown = Some(now.clone());
        now
    }
}

impl<T> Drop for Watch<T> {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic in there has been reported.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, AtomicUsize};
    use std::time::{Duration, Instant};

    use super::*;

    /// A value that is shown, and a peak that is seen once.
    #[derive(Clone)]
    struct Both(u32, u32);

    impl Look for Both {
        fn absorb(&mut self, earlier: &Self) {
            self.1 = self.1.max(earlier.1);
        }

        fn is_shown_by(&self, shown: &Self) -> bool {
            self.0 == shown.0 && self.1 <= shown.1
        }
    }

    fn wait_until(is: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is() {
            assert!(begun.elapsed() < Duration::from_secs(30), "waited too long");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn the_window_is_woken_for_news_only_and_no_peak_is_lost() {
        let (value, peak) = (Arc::new(AtomicU32::new(1)), Arc::new(AtomicU32::new(7)));
        let (looks, wakes) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let look = {
            let (value, peak, looks) = (value.clone(), peak.clone(), looks.clone());
            move || {
                looks.fetch_add(1, Ordering::SeqCst);
                Both(value.load(Ordering::SeqCst), peak.swap(0, Ordering::SeqCst))
            }
        };
        let woken = wakes.clone();
        let wake = move || {
            woken.fetch_add(1, Ordering::SeqCst);
        };
        let watch = Watch::start(look, wake).unwrap();
        // Nothing is shown yet.
        wait_until(|| wakes.load(Ordering::SeqCst) > 0 && looks.load(Ordering::SeqCst) >= 3);
        let frame = watch.frame();
        assert_eq!((frame.0, frame.1), (1, 7), "the peak of the first look is in the first frame");

        let pause = || {
            let seen = looks.load(Ordering::SeqCst);
            wait_until(|| looks.load(Ordering::SeqCst) >= seen + 4);
        };
        // The look that was under way when the frame was made may have woken.
        pause();
        let before = wakes.load(Ordering::SeqCst);
        pause();
        assert_eq!(wakes.load(Ordering::SeqCst), before, "nothing is new");
        value.store(2, Ordering::SeqCst);
        wait_until(|| wakes.load(Ordering::SeqCst) > before);
        assert_eq!(watch.frame().0, 2);
        drop(watch);
        let last = looks.load(Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(looks.load(Ordering::SeqCst), last, "it has ended");
    }
}
