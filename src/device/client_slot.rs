//! A slot for the [`Client`] that a device's callback calls.
//!
//! The callback belongs to a thread of ours or of a library. The control thread can take the client out of the slot at any time,
//! even if the callback is never called again: so a server that does not answer cannot keep the client.

use std::any::Any;
use std::sync::{Mutex, TryLockError};
use std::time::Duration;

use super::Client;

/// Time between two tries of the control thread to lock the slot while the callback runs the client.
const RETRY_PAUSE: Duration = Duration::from_micros(200);

/// A [`Client`] behind a trait object that can be turned back into its own type.
pub trait AnyClient: Client {
    /// Returns the client for a downcast.
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send>;
}

impl<C: Client> AnyClient for C {
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

/// A slot with at most one client. Neither thread ever blocks on the lock: both only try it.
#[derive(Default)]
pub struct ClientSlot(Mutex<Option<Box<dyn AnyClient>>>);

impl ClientSlot {
    /// Puts a client into the slot. Its first call is with the next block. [control thread]
    pub fn put(&self, client: Box<dyn AnyClient>) {
        self.with_content(|content| *content = Some(client));
    }

    /// Takes the client out of the slot, if it is of this type and has not panicked. Waits for the end of its call.
    /// [control thread]
    pub fn take_as<C: Client>(&self) -> Option<C> {
        let client = self.with_content(Option::take).flatten()?;
        client.into_any().downcast().ok().map(|client| *client)
    }

    /// Returns true if there is a client in the slot and no other thread uses it. [device thread: no wait]
    pub fn is_occupied(&self) -> bool {
        self.0.try_lock().is_ok_and(|content| content.is_some())
    }

    /// Passes the client to `work`. Returns false if there is none, or another thread uses the slot. [device thread: no wait]
    pub fn call(&self, work: impl FnOnce(&mut dyn Client)) -> bool {
        let Ok(mut content) = self.0.try_lock() else { return false };
        let Some(client) = content.as_mut() else { return false };
        // A panic poisons the lock, so a client that panicked is never called again.
        work(client.as_mut());
        true
    }

    /// Passes the slot's content to `work`, as soon as the lock is free. Returns `None` if the client has panicked.
    /// [control thread]
    fn with_content<T>(&self, work: impl FnOnce(&mut Option<Box<dyn AnyClient>>) -> T) -> Option<T> {
        loop {
            match self.0.try_lock() {
                Ok(mut content) => return Some(work(&mut content)),
                Err(TryLockError::Poisoned(_)) => return None,
                Err(TryLockError::WouldBlock) => std::thread::sleep(RETRY_PAUSE),
            }
        }
    }
}
