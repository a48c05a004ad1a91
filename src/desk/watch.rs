//! A thread that follows the changes on a desk while something else runs, such as a recording.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::connection::DeskConnection;
use super::state::{Acceptance, DeskState, XINFO, questions};
use super::track::{Track, changes, tracks};
use super::{Desk, DeskError, Timeouts};
use crate::source::SourceChange;

/// Longest time that the thread waits for a message before it checks what is due.
const TICK: Duration = Duration::from_millis(50);

/// State of the connection to a watched desk, with counts since the watch started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchStatus {
    /// True while the desk answers.
    pub connected: bool,
    /// Time since the desk's last message.
    pub last_seen: Duration,
    /// Number of times that the desk was lost.
    pub losses: u64,
    /// Number of changes seen on the desk: of names, colours, icons, routing, sample rate, USB mode. Changes that are read
    /// together may count as one.
    pub changes: u64,
}

/// Data that the watch's thread shares with the control thread. The lock is held for a copy only.
struct SharedWatchState {
    state: DeskState,
    connected: bool,
    last_seen: Instant,
    losses: u64,
    changes: u64,
    /// Changes of the card's tracks that [`DeskWatch::changes`] has not returned yet.
    new_track_changes: Vec<SourceChange>,
}

/// A [`Desk`] that a thread keeps up to date. The thread notices when the desk is lost and when it is back.
pub struct DeskWatch {
    desk: Desk,
    shared: Arc<Mutex<SharedWatchState>>,
    stop: Arc<AtomicBool>,
}

impl DeskWatch {
    /// Starts to follow a desk. [control thread]
    ///
    /// # Errors
    /// [`DeskError::Io`] if the operating system gives no socket or no thread.
    pub fn start(desk: Desk, timeouts: Timeouts) -> Result<Self, DeskError> {
        let connection = DeskConnection::open(desk.address, timeouts)?;
        let (state, tracks, last_known) = (desk.state.clone(), desk.tracks(), Instant::now());
        let shared = SharedWatchState {
            state,
            connected: true,
            last_seen: Instant::now(),
            losses: 0,
            changes: 0,
            new_track_changes: Vec::new(),
        };
        let (shared, stop) = (Arc::new(Mutex::new(shared)), Arc::new(AtomicBool::new(false)));
        let worker = WatchThread { connection, timeouts, shared: shared.clone(), stop: stop.clone(), tracks, last_known };
        let spawned = thread::Builder::new().name("desk".into()).spawn(move || worker.run());
        spawned.map_err(|source| DeskError::Io { action: "start a thread for", address: desk.address, source })?;
        Ok(Self { desk, shared, stop })
    }

    /// Returns the status of the connection. [control thread]
    #[must_use]
    pub fn status(&self) -> WatchStatus {
        let shared = lock(&self.shared);
        WatchStatus {
            connected: shared.connected,
            last_seen: shared.last_seen.elapsed(),
            losses: shared.losses,
            changes: shared.changes,
        }
    }

    /// Returns the changes of the tracks' sources, names, colours and notes since the last call, in the order of time.
    /// [control thread]
    #[must_use]
    pub fn changes(&self) -> Vec<SourceChange> {
        std::mem::take(&mut lock(&self.shared).new_track_changes)
    }

    /// Returns the desk as it is now, or as it was when it was lost. [control thread]
    #[must_use]
    pub fn desk(&self) -> Desk {
        Desk { address: self.desk.address, state: lock(&self.shared).state.clone() }
    }
}

impl Drop for DeskWatch {
    /// Tells the thread to end, and does not wait for it.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn lock(shared: &Mutex<SharedWatchState>) -> MutexGuard<'_, SharedWatchState> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread of a watch.
struct WatchThread {
    connection: DeskConnection,
    timeouts: Timeouts,
    shared: Arc<Mutex<SharedWatchState>>,
    stop: Arc<AtomicBool>,
    /// The tracks at the last comparison.
    tracks: Vec<Track>,
    /// Last time at which the desk was known to have the values that were read.
    last_known: Instant,
}

impl WatchThread {
    /// Follows the desk until it is told to end.
    fn run(mut self) {
        // Finds what changed between the first reading and the subscription to changes.
        self.connection.send("/xremote");
        self.read_again();
        let (mut next_xremote, mut next_ping) = (Instant::now(), Instant::now());
        while !self.stop.load(Ordering::Relaxed) {
            let now = Instant::now();
            if now >= next_xremote {
                self.connection.send("/xremote");
                next_xremote = now + self.timeouts.xremote_interval;
            }
            if now >= next_ping {
                self.connection.send(XINFO);
                next_ping = now + self.timeouts.ping_interval;
            }
            let Some(message) = self.connection.receive(now + TICK) else {
                self.check_connection();
                continue;
            };
            let now = Instant::now();
            let mut shared = lock(&self.shared);
            let last_seen = std::mem::replace(&mut shared.last_seen, now);
            let is_back = !std::mem::replace(&mut shared.connected, true);
            let is_new = shared.state.accept(&message) == Acceptance::New;
            shared.changes += u64::from(is_new);
            drop(shared);
            if is_back {
                self.last_known = last_seen;
                self.read_again();
                next_xremote = Instant::now();
            } else if is_new {
                self.compare(now, None);
            }
        }
    }

    /// Counts the desk as lost if it has been silent for too long.
    fn check_connection(&self) {
        let mut shared = lock(&self.shared);
        if shared.connected && shared.last_seen.elapsed() > self.timeouts.lost_after {
            shared.connected = false;
            shared.losses += 1;
        }
    }

    /// Asks everything again, to find changes that the desk could not report.
    fn read_again(&mut self) {
        let mut state = lock(&self.shared).state.clone();
        let all = questions(&state.firmware());
        let (shared, stop) = (self.shared.clone(), self.stop.clone());
        // An error is ignored: if the desk is silent again, `check_connection` notices it.
        let _ = self.connection.ask(&all, &mut state, |state| {
            let mut shared = lock(&shared);
            if shared.state != *state {
                shared.state = state.clone();
                shared.changes += 1;
            }
            shared.last_seen = Instant::now();
            !stop.load(Ordering::Relaxed)
        });
        self.compare(Instant::now(), Some(self.last_known));
    }

    /// Adds the changes of the tracks since the last comparison. For `at` and `since` see [`changes`].
    fn compare(&mut self, at: Instant, since: Option<Instant>) {
        let state = lock(&self.shared).state.clone();
        let tracks = tracks(&state);
        let mut changes = changes(&self.tracks, &tracks, at, since);
        self.tracks = tracks;
        lock(&self.shared).new_track_changes.append(&mut changes);
    }
}
