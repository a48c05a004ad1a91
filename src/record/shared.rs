//! State that a recorder's interface and its disk thread share.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::event::RecorderEvent;
use super::health::Health;
use super::manifest::Manifest;

/// State that [`Recorder`](super::Recorder) and the disk thread share. Its locks are held only to copy and to move values.
#[derive(Default)]
pub struct SharedState {
    events: Mutex<VecDeque<(u64, RecorderEvent)>>,
    health: Mutex<Health>,
    takes: Mutex<Vec<(PathBuf, Manifest)>>,
    /// True if `events` is not empty: spares the disk thread the lock.
    has_events: AtomicBool,
    /// True once the recorder is closed: the disk thread finishes the take and ends.
    pub closing: AtomicBool,
    /// The ring's count of lost frames when the current take began.
    pub lost_before: AtomicU64,
    /// The ring's count of stretches when the current take began.
    pub stretched_before: AtomicU64,
}

/// Locks, even if a thread panicked while it held the lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SharedState {
    /// Queues an event for the disk thread, to happen at this position. [control thread]
    pub fn push_event(&self, position: u64, event: RecorderEvent) {
        lock(&self.events).push_back((position, event));
        self.has_events.store(true, Ordering::Release);
    }

    /// Moves the queued events to the end of `pending`. [disk thread]
    pub fn take_events(&self, pending: &mut VecDeque<(u64, RecorderEvent)>) {
        if self.has_events.swap(false, Ordering::Acquire) {
            pending.append(&mut lock(&self.events));
        }
    }

    /// The health that the disk thread set last. [control thread]
    pub fn health(&self) -> Health {
        lock(&self.health).clone()
    }

    /// Replaces the health that interfaces see. [disk thread]
    pub fn set_health(&self, health: Health) {
        *lock(&self.health) = health;
    }

    /// Adds a finished take. [disk thread]
    pub fn add_take(&self, folder: PathBuf, manifest: Manifest) {
        lock(&self.takes).push((folder, manifest));
    }

    /// The finished takes without the first `known`. [control thread]
    pub fn takes_since(&self, known: usize) -> Vec<(PathBuf, Manifest)> {
        lock(&self.takes).get(known..).unwrap_or(&[]).to_vec()
    }
}
