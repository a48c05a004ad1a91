//! Listening tests of an instance: the examiner on a thread of its own while the panel is open, and the instance as its venue.

mod insert;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub use insert::{TestInsert, TestLink};

use super::SharedInstance;
use crate::audio::Audio;
use crate::dsp::ProcessSpec;
use crate::effect::{Effect, EffectSnapshot};
use crate::listen::{Capture, Examiner, Player, Venue, VenueError, default_folder};
use crate::view::{ListenAction, ListenView, TestSetup};

/// Time between two ticks of the examiner.
const TICK: Duration = Duration::from_millis(50);

/// The listening tests of an instance, on the side of the control threads. All methods: [control thread]
#[derive(Default)]
pub struct ListeningTests {
    link: Arc<TestLink>,
    /// The name of the venue for the log; empty for the instance's own.
    venue: Mutex<String>,
    /// Folder in which sessions are made; None for the default.
    folder: Mutex<Option<PathBuf>>,
    /// The setup of the panel when it was closed last.
    setup: Mutex<Option<TestSetup>>,
    /// The state of the panel.
    view: Arc<Mutex<ListenView>>,
    /// The thread of the examiner; None before the panel was opened.
    thread: Mutex<Option<ExaminerThread>>,
}

/// The running thread of an examiner.
struct ExaminerThread {
    actions: mpsc::Sender<ListenAction>,
    thread: JoinHandle<()>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ListeningTests {
    /// The way to the audio thread.
    pub fn link(&self) -> &Arc<TestLink> {
        &self.link
    }

    /// The state of the panel.
    pub fn view(&self) -> ListenView {
        lock(&self.view).clone()
    }

    /// Names the place where tests are taken for their logs: a host, a device.
    pub fn set_venue(&self, name: &str) {
        name.clone_into(&mut lock(&self.venue));
    }

    /// Sets the folder in which sessions are made, from the next opening of the panel on.
    pub fn set_folder(&self, folder: PathBuf) {
        *lock(&self.folder) = Some(folder);
    }

    /// Carries out an action of a listener: the examiner gets it.
    fn act(&self, shared: &Arc<SharedInstance>, action: ListenAction) {
        let mut running = lock(&self.thread);
        if action == ListenAction::Open {
            if running.as_ref().is_some_and(|running| !running.thread.is_finished()) && lock(&self.view).is_open {
                return;
            }
            if let Some(old) = running.take() {
                old.end();
            }
            let (actions, received) = mpsc::channel();
            let (thread_shared, view) = (shared.clone(), self.view.clone());
            *lock(&view) = ListenView { is_open: true, ..ListenView::default() };
            self.link.set_open(true);
            let run = move || run_examiner(&thread_shared, &received, &view);
            match std::thread::Builder::new().name("isotherm-examiner".into()).spawn(run) {
                Ok(thread) => *running = Some(ExaminerThread { actions, thread }),
                Err(error) => {
                    self.link.set_open(false);
                    let mut view = lock(&self.view);
                    view.error = Some(format!("no thread for listening tests: {error}"));
                }
            }
            return;
        }
        if action == ListenAction::Close {
            lock(&self.view).is_open = false;
        }
        if let Some(running) = &*running {
            // A thread that has ended has closed the panel.
            let _ = running.actions.send(action);
        }
    }

    /// Leaves a running test, which can be resumed, and ends the thread.
    pub fn shut_down(&self) {
        if let Some(running) = lock(&self.thread).take() {
            running.end();
        }
    }
}

impl ExaminerThread {
    /// Ends the thread and waits for it.
    fn end(self) {
        let Self { actions, thread } = self;
        drop(actions);
        // A panic of the thread has been reported already.
        let _ = thread.join();
    }
}

impl SharedInstance {
    /// Passes on an action of a listener on listening tests. [control thread]
    pub fn listen(self: &Arc<Self>, action: ListenAction) {
        self.tests.act(self, action);
    }
}

/// Runs an examiner until the panel is closed or its owner goes; then the output is the slots' again, and nothing is kept of the
/// input. [examiner thread]
fn run_examiner(shared: &Arc<SharedInstance>, actions: &mpsc::Receiver<ListenAction>, view: &Mutex<ListenView>) {
    let capture = Arc::new(Mutex::new(KeptInput::default()));
    let examined = catch_unwind(AssertUnwindSafe(|| examine(shared, &capture, actions, view)));
    let link = &shared.tests.link;
    // Without a stream there is nothing to give back.
    let _ = link.install(None);
    *lock(&capture) = KeptInput::default();
    link.keep_input(None);
    link.set_open(false);
    // The builder thread frees what the audio thread sends back from now on.
    link.maintain();
    *lock(view) = match examined {
        Ok(()) => ListenView::default(),
        // The panic has been reported.
        Err(_) => ListenView { is_open: true, error: Some(BROKEN.into()), ..ListenView::default() },
    };
}

/// The error of an examiner that panicked.
const BROKEN: &str = "the listening test broke; what was answered is on the disk. Close this panel and open it again";

/// Runs an examiner until the panel is closed or its owner goes. A test that runs is left then: its session is on the disk and can be
/// resumed, as a window that closes must abort nothing.
fn examine(
    shared: &Arc<SharedInstance>,
    capture: &Arc<Mutex<KeptInput>>,
    actions: &mpsc::Receiver<ListenAction>,
    view: &Mutex<ListenView>,
) {
    let link = &shared.tests.link;
    let folder = lock(&shared.tests.folder).clone().unwrap_or_else(default_folder);
    let venue = InstanceVenue { shared: shared.clone(), capture: capture.clone(), generation: RefCell::default() };
    let mut examiner = Examiner::new(Box::new(venue), folder);
    examiner.act(ListenAction::Open);
    if let Some(setup) = lock(&shared.tests.setup).clone() {
        examiner.act(ListenAction::Set(setup));
    }
    let mut next_tick = Instant::now();
    loop {
        let now = Instant::now();
        if now >= next_tick {
            lock(capture).follow(link);
            examiner.tick();
            link.maintain();
            next_tick = now + TICK;
        }
        publish(&examiner, view);
        match actions.recv_timeout(next_tick.saturating_duration_since(Instant::now())) {
            Ok(ListenAction::Close) | Err(RecvTimeoutError::Disconnected) => break,
            Ok(action) => examiner.act(action),
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
    *lock(&shared.tests.setup) = Some(examiner.view().setup);
}

/// Publishes the examiner's view for the window.
fn publish(examiner: &Examiner, view: &Mutex<ListenView>) {
    let new = examiner.view();
    let mut view = lock(view);
    // A panel that was closed stays closed until it is opened again.
    *view = ListenView { is_open: view.is_open, ..new };
}

/// The capture of the stream that runs; none without a stream, or if nothing is to be kept.
#[derive(Default)]
struct KeptInput {
    is_wanted: bool,
    capture: Option<(ProcessSpec, Capture)>,
}

impl KeptInput {
    /// Makes a capture, another one if the stream has changed, or frees it.
    fn follow(&mut self, link: &TestLink) {
        let spec = link.prepared_spec().filter(|_| self.is_wanted);
        let key = |spec: ProcessSpec| (spec.sample_rate.to_bits(), spec.channels);
        if self.capture.as_ref().map(|(of, _)| key(*of)) == spec.map(key) {
            return;
        }
        self.capture = None;
        let Some(spec) = spec else { return link.keep_input(None) };
        // The ring is full only while no block runs.
        if link.has_room_for_capture() {
            let (capture, writer) = Capture::new(spec);
            self.capture = Some((spec, capture));
            link.keep_input(Some(writer));
        }
    }
}

/// An instance as the place where a test is taken.
struct InstanceVenue {
    shared: Arc<SharedInstance>,
    capture: Arc<Mutex<KeptInput>>,
    /// The slots' effects when they were looked at last, and the count of their changes.
    generation: RefCell<(Option<[EffectSnapshot; 2]>, u64)>,
}

impl Venue for InstanceVenue {
    fn name(&self) -> String {
        let name = lock(&self.shared.tests.venue).clone();
        if name.is_empty() { format!("Isotherm {}", env!("CARGO_PKG_VERSION")) } else { name }
    }

    fn spec(&self) -> Result<ProcessSpec, VenueError> {
        self.shared.tests.link.spec()
    }

    fn slots(&self) -> [Effect; 2] {
        self.shared.requested_effects()
    }

    /// Changes of the blind switch, of the recorder and of the slot that is let through do not count.
    fn generation(&self) -> u64 {
        let now = self.shared.requested_snapshots();
        let mut last = self.generation.borrow_mut();
        if last.0 != Some(now) {
            *last = (Some(now), last.1 + 1);
        }
        last.1
    }

    fn captured(&self) -> Option<Audio> {
        lock(&self.capture).capture.as_ref()?.1.sound()
    }

    fn keep(&mut self, keep: bool) {
        let mut capture = lock(&self.capture);
        capture.is_wanted = keep;
        capture.follow(&self.shared.tests.link);
    }

    fn kept(&self) -> (f32, usize) {
        lock(&self.capture).capture.as_ref().map_or((0.0, 0), |(_, capture)| (capture.seconds(), capture.bytes()))
    }

    fn install(&mut self, player: Option<Box<Player>>) -> Result<(), VenueError> {
        self.shared.tests.link.install(player)
    }

    fn drop_outs(&self) -> u64 {
        self.shared.tests.link.drop_outs()
    }
}
