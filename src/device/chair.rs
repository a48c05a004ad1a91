//! A client on its way into a callback that a library owns, and back when that is dropped, whatever happens in between.

use rtrb::{Consumer, Producer, RingBuffer};

/// Sits in the callback. [device thread]
pub struct Chair<C> {
    coming: Consumer<C>,
    client: Option<C>,
    leaving: Producer<C>,
}

/// A chair, what seats a client on it, and where the client comes out again. [control thread]
pub fn chair<C>() -> (Producer<C>, Chair<C>, Consumer<C>) {
    let (send, coming) = RingBuffer::new(1);
    let (leaving, back) = RingBuffer::new(1);
    (send, Chair { coming, client: None, leaving }, back)
}

impl<C> Chair<C> {
    /// The client, if it has come. [device thread]
    pub fn client(&mut self) -> Option<&mut C> {
        if self.client.is_none() {
            self.client = self.coming.pop().ok();
        }
        self.client.as_mut()
    }
}

impl<C> Drop for Chair<C> {
    /// [control thread]
    fn drop(&mut self) {
        if let Some(client) = self.client.take().or_else(|| self.coming.pop().ok()) {
            // There is room for the one that there is.
            let _ = self.leaving.push(client);
        }
    }
}
