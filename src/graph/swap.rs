//! Replacement of an object on the audio thread by one that was made on another thread, with a dip. The old object is sent back
//! to be freed there.

use rtrb::{Consumer, Producer, RingBuffer};

use super::dip::Dip;
use super::plan::sub_block;
use crate::dsp::Block;

/// Largest number of replacements that are sent and not yet received.
const MAX_SENT: usize = 4;

/// The side of the audio thread: owns the running object and receives replacements.
pub struct Swap<T> {
    /// The running object.
    current: Box<T>,
    /// The replacement that waits for the end of the fade-out.
    pending: Option<Box<T>>,
    incoming: Consumer<Box<T>>,
    /// Takes old objects back to the sender.
    back: Producer<Box<T>>,
    dip: Dip,
}

/// The side of the control thread: sends replacements and frees the old objects.
pub struct SwapSender<T> {
    outgoing: Producer<Box<T>>,
    /// Old objects that the audio thread sent back.
    returned: Consumer<Box<T>>,
}

impl<T> SwapSender<T> {
    /// Sends a replacement, and frees the objects that were sent back. [control thread]
    ///
    /// # Errors
    /// The replacement itself, if too many are waiting because the audio thread does not run.
    pub fn send(&mut self, next: Box<T>) -> Result<(), Box<T>> {
        self.free();
        self.outgoing.push(next).map_err(|rtrb::PushError::Full(next)| next)
    }

    /// Frees the objects that the audio thread has sent back. [control thread]
    pub fn free(&mut self) {
        while self.returned.pop().is_ok() {}
    }
}

impl<T> Swap<T> {
    /// Makes both sides, with a first object to run; `sample_rate` in hertz. [control thread: allocates]
    #[must_use]
    pub fn new(current: Box<T>, sample_rate: f32) -> (Self, SwapSender<T>) {
        let (outgoing, incoming) = RingBuffer::new(MAX_SENT);
        // Has room for every object that can be under way.
        let (back, returned) = RingBuffer::new(2 * MAX_SENT + 2);
        let swap = Self { current, pending: None, incoming, back, dip: Dip::new(sample_rate) };
        (swap, SwapSender { outgoing, returned })
    }

    /// The running object. [audio thread]
    pub fn current(&mut self) -> &mut T {
        &mut self.current
    }

    /// The replacement that will run after the fade-out, if there is one. [audio thread]
    pub fn pending(&mut self) -> Option<&mut T> {
        self.pending.as_deref_mut()
    }

    /// Takes the newest replacement at once, without a dip; for use right after a reset. [audio thread]
    pub fn replace_now(&mut self) {
        while let Some(next) = self.pending.take().or_else(|| self.incoming.pop().ok()) {
            self.replace(next);
        }
        self.dip.end();
    }

    /// Makes `next` the running object and sends the old one back.
    fn replace(&mut self, next: Box<T>) {
        let old = std::mem::replace(&mut self.current, next);
        if let Err(rtrb::PushError::Full(old)) = self.back.push(old) {
            // Unreachable: the ring has room for every object. Otherwise a leak would be better than freeing here.
            std::mem::forget(old);
        }
    }

    /// Processes a block with `run`, by the running object and, with a dip, by a replacement. The dip stays at silence for the
    /// replacement's `latency` in frames, because the replacement's output begins only then, and perhaps at a high level. Returns
    /// true if the running object was replaced. [audio thread]
    pub fn run(
        &mut self,
        block: &mut Block<'_>,
        latency: impl Fn(&T) -> usize,
        mut run: impl FnMut(&mut T, &mut Block<'_>),
    ) -> bool {
        let frames = block.first().map_or(0, |c| c.len());
        if let Ok(newer) = self.incoming.pop() {
            // An older replacement that never ran is sent back.
            if let Some(older) = self.pending.replace(newer)
                && let Err(rtrb::PushError::Full(older)) = self.back.push(older)
            {
                std::mem::forget(older);
            }
            self.dip.begin();
        }
        let mut replaced = false;
        let mut at = 0;
        while at < frames {
            let n = self.dip.span(frames - at);
            let mut part = sub_block(block, at, n);
            run(&mut self.current, &mut part);
            for channel in &mut part {
                self.dip.apply(channel);
            }
            if self.dip.advance(n)
                && let Some(next) = self.pending.take()
            {
                self.dip.hold(latency(&next));
                self.replace(next);
                replaced = true;
            }
            at += n;
        }
        replaced
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replacement_runs_after_a_dip_and_the_old_object_is_sent_back() {
        let (mut swap, mut sender) = Swap::new(Box::new(1.0f32), 48_000.0);
        let play = |swap: &mut Swap<f32>, n: usize| {
            let mut y = vec![1.0f32; n];
            let replaced = swap.run(&mut [&mut y], |_| 0, |gain, block| block[0].iter_mut().for_each(|x| *x *= *gain));
            (y, replaced)
        };
        assert_eq!(play(&mut swap, 100), (vec![1.0; 100], false));
        sender.send(Box::new(-1.0)).unwrap();
        let (mut y, mut count) = (Vec::new(), 0);
        for n in [100, 50, 200, 300] {
            let (part, replaced) = play(&mut swap, n);
            y.extend(part);
            count += u32::from(replaced);
        }
        assert_eq!(count, 1);
        assert!(y.windows(2).all(|w| (w[1] - w[0]).abs() < 0.01), "no click");
        assert!(y[239].abs() < 1e-4 && y[240].abs() < 1e-4);
        assert!(y[..239].iter().all(|x| *x > 0.0) && y[241..].iter().all(|x| *x < 0.0));
        assert_eq!(y[480..], vec![-1.0; 170]);
        assert_eq!(sender.returned.slots(), 1);
    }

    #[test]
    fn a_replacement_fades_in_after_its_latency() {
        // A delay line, filled with silence.
        type DelayLine = std::collections::VecDeque<f32>;
        let delay = |n: usize| Box::new(DelayLine::from(vec![0.0; n]));
        for (latency, block) in [(1, 64), (60, 64), (300, 100), (5000, 512)] {
            let (mut swap, mut sender) = Swap::new(delay(0), 48_000.0);
            let mut out = Vec::new();
            for i in 0..10_000 / block {
                if i == 2 {
                    sender.send(delay(latency)).unwrap();
                }
                let mut y = vec![1.0; block];
                swap.run(&mut [&mut y], DelayLine::len, |line, block| {
                    for x in block[0].iter_mut() {
                        line.push_back(*x);
                        *x = line.pop_front().unwrap();
                    }
                });
                out.extend(y);
            }
            assert!(out.windows(2).all(|w| (w[1] - w[0]).abs() < 0.01), "a click with {latency} frames of latency");
            assert_eq!(out.last(), Some(&1.0));
        }
    }
}
