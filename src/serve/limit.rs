//! How many requests each listener, and all strangers together, may make: token buckets, whose memory never grows.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Requests that may come at once, and those for each second after them. A trial has about six.
const BURST: f64 = 40.0;
const PER_SECOND: f64 = 10.0;

/// A bucket that fills with time.
#[derive(Debug)]
struct Bucket {
    filled: f64,
    at: Instant,
}

/// The buckets of all listeners and, last, that of strangers.
#[derive(Debug)]
pub(super) struct Limits(Vec<Mutex<Bucket>>);

impl Limits {
    /// Full buckets for a number of listeners.
    pub fn new(listeners: usize) -> Self {
        let full = || Mutex::new(Bucket { filled: BURST, at: Instant::now() });
        Self((0..=listeners).map(|_| full()).collect())
    }

    /// Takes a request of the listener with an index, or of a stranger. False if there were too many. [any thread]
    pub fn take(&self, listener: Option<usize>) -> bool {
        let strangers = self.0.len() - 1;
        let bucket = &self.0[listener.unwrap_or(strangers).min(strangers)];
        let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        bucket.take(now)
    }
}

impl Bucket {
    fn take(&mut self, now: Instant) -> bool {
        let seconds = now.saturating_duration_since(self.at).as_secs_f64();
        (self.filled, self.at) = ((self.filled + PER_SECOND * seconds).min(BURST), now);
        let is_enough = self.filled >= 1.0;
        if is_enough {
            self.filled -= 1.0;
        }
        is_enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_burst_is_taken_and_then_ten_in_a_second_of_each_listener_alone() {
        let limits = Limits::new(2);
        let now = Instant::now();
        let taken = |index: usize, now: Instant| {
            let mut bucket = limits.0[index].lock().unwrap();
            (0..1000).filter(|_| bucket.take(now)).count()
        };
        assert_eq!(taken(0, now), 40);
        assert_eq!(taken(0, now + Duration::from_secs(2)), 20);
        assert_eq!(taken(0, now + Duration::from_secs(100)), 40);
        assert_eq!(taken(1, now), 40);
        assert!(limits.take(None) && !limits.take(Some(1)));
    }
}
