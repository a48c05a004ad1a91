//! Replaces what runs on the audio thread by something made elsewhere, with a dip, and sends the old one back to be freed.

use rtrb::{Consumer, Producer, RingBuffer};

use super::dip::Dip;
use super::plan::part;
use crate::dsp::Block;

/// How many replacements may be under way: what waits behind the one that fades in.
const WAITING: usize = 4;

/// The side of the audio thread: owns what runs.
pub struct Swap<T> {
    current: Box<T>,
    next: Option<Box<T>>,
    incoming: Consumer<Box<T>>,
    outgoing: Producer<Box<T>>,
    dip: Dip,
}

/// The side of the control thread: sends what shall run and frees what has run.
pub struct SwapSender<T> {
    outgoing: Producer<Box<T>>,
    spent: Consumer<Box<T>>,
}

impl<T> SwapSender<T> {
    /// Sends a replacement; gives it back if too many wait (the audio thread does not run). Frees what was sent back.
    /// [control thread]
    ///
    /// # Errors
    /// The replacement.
    pub fn send(&mut self, next: Box<T>) -> Result<(), Box<T>> {
        self.free();
        self.outgoing.push(next).map_err(|rtrb::PushError::Full(next)| next)
    }

    /// Frees what the audio thread has sent back. [control thread]
    pub fn free(&mut self) {
        while self.spent.pop().is_ok() {}
    }
}

impl<T> Swap<T> {
    /// [control thread: allocates]
    #[must_use]
    pub fn new(current: Box<T>, sample_rate: f32) -> (Self, SwapSender<T>) {
        let (outgoing, incoming) = RingBuffer::new(WAITING);
        // Everything that was sent fits on the way back.
        let (back, spent) = RingBuffer::new(2 * WAITING + 2);
        let swap = Self { current, next: None, incoming, outgoing: back, dip: Dip::new(sample_rate) };
        (swap, SwapSender { outgoing, spent })
    }

    /// What runs. [audio thread]
    pub fn current(&mut self) -> &mut T {
        &mut self.current
    }

    /// What will run once the fade-out is over. [audio thread]
    pub fn waiting(&mut self) -> Option<&mut T> {
        self.next.as_deref_mut()
    }

    /// Takes the newest replacement at once, without a dip: right after a reset. [audio thread]
    pub fn settle(&mut self) {
        while let Some(next) = self.next.take().or_else(|| self.incoming.pop().ok()) {
            self.replace(next);
        }
        self.dip.end();
    }

    fn replace(&mut self, next: Box<T>) {
        let old = std::mem::replace(&mut self.current, next);
        if let Err(rtrb::PushError::Full(old)) = self.outgoing.push(old) {
            // Not reached: the ring holds everything that can be under way. Leaking is better than freeing here.
            std::mem::forget(old);
        }
    }

    /// Runs a block through what runs, and through its replacement behind a dip, which stays down for the replacement's `latency`:
    /// until then it gives silence, and sound would begin in the middle of a wave. Returns whether one was replaced. [audio thread]
    pub fn run(
        &mut self,
        block: &mut Block<'_>,
        latency: impl Fn(&T) -> usize,
        mut run: impl FnMut(&mut T, &mut Block<'_>),
    ) -> bool {
        let frames = block.first().map_or(0, |c| c.len());
        if let Ok(newer) = self.incoming.pop() {
            // One that never ran goes straight back.
            if let Some(older) = self.next.replace(newer)
                && let Err(rtrb::PushError::Full(older)) = self.outgoing.push(older)
            {
                std::mem::forget(older);
            }
            self.dip.begin();
        }
        let mut replaced = false;
        let mut at = 0;
        while at < frames {
            let n = self.dip.span(frames - at);
            let mut now = part(block, at, n);
            run(&mut self.current, &mut now);
            for channel in &mut now {
                self.dip.apply(channel);
            }
            if self.dip.advance(n)
                && let Some(next) = self.next.take()
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
    fn a_replacement_comes_behind_a_dip_and_the_old_one_goes_back() {
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
        assert_eq!(sender.spent.slots(), 1);
    }

    #[test]
    fn a_replacement_is_heard_once_its_latency_is_over() {
        // Delays by as many frames as it holds; what it holds at first is silence.
        type Line = std::collections::VecDeque<f32>;
        let line = |n: usize| Box::new(Line::from(vec![0.0; n]));
        for (latency, block) in [(1, 64), (60, 64), (300, 100), (5000, 512)] {
            let (mut swap, mut sender) = Swap::new(line(0), 48_000.0);
            let mut out = Vec::new();
            for i in 0..10_000 / block {
                if i == 2 {
                    sender.send(line(latency)).unwrap();
                }
                let mut y = vec![1.0; block];
                swap.run(&mut [&mut y], Line::len, |line, block| {
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
