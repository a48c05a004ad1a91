//! A client's place in a callback that others own: a library's, or a thread's of our own.
//!
//! The control thread can take the client back at any time, whether the callback still comes or not: a server that stands still keeps
//! nothing of ours.

use std::any::Any;
use std::sync::{Mutex, TryLockError};
use std::time::Duration;

use super::Client;

/// The control thread looks again this often while the callback has the client.
const NAP: Duration = Duration::from_micros(200);

/// A [`Client`] of any type, which can be had back as the one it is.
pub trait Sitter: Client {
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send>;
}

impl<C: Client> Sitter for C {
    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

/// See the module. Neither side ever waits in the lock: both only try it.
#[derive(Default)]
pub struct Chair(Mutex<Option<Box<dyn Sitter>>>);

impl Chair {
    /// Seats a client, which is called from the next block on. [control thread]
    pub fn seat(&self, client: Box<dyn Sitter>) {
        self.enter(|place| *place = Some(client));
    }

    /// The client, if one of this type sits here and has not panicked. It is called no more. [control thread: waits for the end of its
    /// call]
    pub fn leave_as<C: Client>(&self) -> Option<C> {
        let client = self.enter(Option::take).flatten()?;
        client.into_any().downcast().ok().map(|client| *client)
    }

    /// Tells whether a client sits here. [device thread: no wait]
    pub fn is_taken(&self) -> bool {
        self.0.try_lock().is_ok_and(|place| place.is_some())
    }

    /// Lets the client, if there is one, do something. Returns whether there was. [device thread: no wait]
    pub fn call(&self, work: impl FnOnce(&mut dyn Client)) -> bool {
        let Ok(mut place) = self.0.try_lock() else { return false };
        let Some(client) = place.as_mut() else { return false };
        // A panic leaves the lock poisoned: nobody comes in any more.
        work(client.as_mut());
        true
    }

    /// None if the client has panicked.
    fn enter<T>(&self, work: impl FnOnce(&mut Option<Box<dyn Sitter>>) -> T) -> Option<T> {
        loop {
            match self.0.try_lock() {
                Ok(mut place) => return Some(work(&mut place)),
                Err(TryLockError::Poisoned(_)) => return None,
                Err(TryLockError::WouldBlock) => std::thread::sleep(NAP),
            }
        }
    }
}
