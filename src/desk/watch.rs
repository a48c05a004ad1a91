//! Following a desk while something else runs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::link::Link;
use super::state::{Accepted, State, XINFO, questions};
use super::track::{Track, changes, tracks};
use super::{Desk, DeskError, Patience};
use crate::source::SourceChange;

/// The thread looks at the time this often.
const TICK: Duration = Duration::from_millis(50);

/// How the connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    pub connected: bool,
    /// Since the desk last said something.
    pub last_seen: Duration,
    /// Times that it was lost.
    pub losses: u64,
    /// Counts what became different on the desk: names, colours, icons, routing, rate, USB mode.
    pub changes: u64,
}

struct Shared {
    state: State,
    connected: bool,
    last_seen: Instant,
    losses: u64,
    changes: u64,
    /// What became different about the card's tracks, and nobody has asked for yet.
    told: Vec<SourceChange>,
}

/// A thread that keeps a [`Desk`] up to date and sees when it is lost and back. Its lock is held for a copy only.
pub struct Watch {
    desk: Desk,
    shared: Arc<Mutex<Shared>>,
    stop: Arc<AtomicBool>,
}

impl Watch {
    /// Follows the desk. [control thread]
    ///
    /// # Errors
    /// If there is no socket or no thread to be had.
    pub fn start(desk: Desk, patience: Patience) -> Result<Self, DeskError> {
        let link = Link::open(desk.address, patience)?;
        let (state, tracks, known) = (desk.state.clone(), desk.tracks(), Instant::now());
        let shared = Shared { state, connected: true, last_seen: Instant::now(), losses: 0, changes: 0, told: Vec::new() };
        let (shared, stop) = (Arc::new(Mutex::new(shared)), Arc::new(AtomicBool::new(false)));
        let follower = Follower { link, patience, shared: shared.clone(), stop: stop.clone(), tracks, known };
        let spawned = thread::Builder::new().name("desk".into()).spawn(move || follower.run());
        spawned.map_err(|source| DeskError::Io { action: "start a thread for", address: desk.address, source })?;
        Ok(Self { desk, shared, stop })
    }

    /// [control thread]
    #[must_use]
    pub fn status(&self) -> Status {
        let shared = lock(&self.shared);
        Status {
            connected: shared.connected,
            last_seen: shared.last_seen.elapsed(),
            losses: shared.losses,
            changes: shared.changes,
        }
    }

    /// What became different about the card's tracks since the last call: source, name, colour and note of each, in the order of time.
    /// [control thread]
    #[must_use]
    pub fn changes(&self) -> Vec<SourceChange> {
        std::mem::take(&mut lock(&self.shared).told)
    }

    /// The desk as it is now, or was when it was last seen. [control thread]
    #[must_use]
    pub fn desk(&self) -> Desk {
        Desk { address: self.desk.address, state: lock(&self.shared).state.clone() }
    }
}

impl Drop for Watch {
    /// Does not wait: the thread ends at its next look.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Follower {
    link: Link,
    patience: Patience,
    shared: Arc<Mutex<Shared>>,
    stop: Arc<AtomicBool>,
    /// What the tracks carried when it was told last.
    tracks: Vec<Track>,
    /// When the desk was last known to be as it was read.
    known: Instant,
}

impl Follower {
    fn run(mut self) {
        // What changed between the first reading and now.
        self.link.send("/xremote");
        self.read_again();
        let (mut renew, mut ask) = (Instant::now(), Instant::now());
        while !self.stop.load(Ordering::Relaxed) {
            let now = Instant::now();
            if now >= renew {
                self.link.send("/xremote");
                renew = now + self.patience.renew;
            }
            if now >= ask {
                self.link.send(XINFO);
                ask = now + self.patience.ask;
            }
            let Some(message) = self.link.receive(now + TICK) else {
                self.look();
                continue;
            };
            let now = Instant::now();
            let mut shared = lock(&self.shared);
            let seen = std::mem::replace(&mut shared.last_seen, now);
            let is_back = !std::mem::replace(&mut shared.connected, true);
            let is_new = shared.state.accept(&message) == Accepted::New;
            shared.changes += u64::from(is_new);
            drop(shared);
            if is_back {
                self.known = seen;
                self.read_again();
                renew = Instant::now();
            } else if is_new {
                self.compare(now, None);
            }
        }
    }

    /// Whether the desk was silent for too long.
    fn look(&self) {
        let mut shared = lock(&self.shared);
        if shared.connected && shared.last_seen.elapsed() > self.patience.lost {
            shared.connected = false;
            shared.losses += 1;
        }
    }

    /// Asks everything, for changes that nobody told.
    fn read_again(&mut self) {
        let mut state = lock(&self.shared).state.clone();
        let all = questions(&state.firmware());
        let (shared, stop) = (self.shared.clone(), self.stop.clone());
        // A desk that falls silent again is seen to be lost at the next look.
        let _ = self.link.ask(&all, &mut state, |state| {
            let mut shared = lock(&shared);
            if shared.state != *state {
                shared.state = state.clone();
                shared.changes += 1;
            }
            shared.last_seen = Instant::now();
            !stop.load(Ordering::Relaxed)
        });
        self.compare(Instant::now(), Some(self.known));
    }

    /// Tells what became different about the tracks.
    fn compare(&mut self, at: Instant, since: Option<Instant>) {
        let state = lock(&self.shared).state.clone();
        let tracks = tracks(&state);
        let mut changes = changes(&self.tracks, &tracks, at, since);
        self.tracks = tracks;
        lock(&self.shared).told.append(&mut changes);
    }
}
