//! State that a recorder's interface and its disk thread share.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::event::Event;
use super::health::Health;
use super::manifest::Manifest;

/// See the module. Its locks are held to copy and to move.
#[derive(Default)]
pub struct Exchange {
    events: Mutex<VecDeque<(u64, Event)>>,
    health: Mutex<Health>,
    takes: Mutex<Vec<(PathBuf, Manifest)>>,
    /// An event waits.
    told: AtomicBool,
    pub close: AtomicBool,
    /// The counts of the ring when the take of now began.
    pub lost_before: AtomicU64,
    pub stretched_before: AtomicU64,
}

/// What is behind the lock, whatever a thread that held it did.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Exchange {
    /// [control thread]
    pub fn tell(&self, position: u64, event: Event) {
        lock(&self.events).push_back((position, event));
        self.told.store(true, Ordering::Release);
    }

    /// Moves what was told behind `pending`. [disk thread]
    pub fn hear(&self, pending: &mut VecDeque<(u64, Event)>) {
        if self.told.swap(false, Ordering::Acquire) {
            pending.append(&mut lock(&self.events));
        }
    }

    /// How it went when the disk thread said so last. [control thread]
    pub fn health(&self) -> Health {
        lock(&self.health).clone()
    }

    /// [disk thread]
    pub fn publish(&self, health: Health) {
        *lock(&self.health) = health;
    }

    /// A take is finished. [disk thread]
    pub fn add(&self, folder: PathBuf, manifest: Manifest) {
        lock(&self.takes).push((folder, manifest));
    }

    /// The finished takes behind the first `known`. [control thread]
    pub fn takes_since(&self, known: usize) -> Vec<(PathBuf, Manifest)> {
        lock(&self.takes).get(known..).unwrap_or(&[]).to_vec()
    }
}
