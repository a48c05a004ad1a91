//! A delay of one channel by a whole number of frames.

/// Longest delay in frames that is processed by moving whole blocks.
const MAX_BLOCK_MOVE: usize = 64;

/// A delay of one channel by a fixed number of frames.
#[derive(Clone, Debug, Default)]
pub struct Delay {
    /// Circular buffer; the oldest sample is at `position`.
    line: Vec<f32>,
    position: usize,
}

impl Delay {
    /// A delay by `frames` frames that holds silence; 0 is allowed. [control thread: allocates]
    #[must_use]
    pub fn new(frames: usize) -> Self {
        Self { line: vec![0.0; frames], position: 0 }
    }

    /// Length of the delay in frames. [any thread]
    #[must_use]
    pub fn frames(&self) -> usize {
        self.line.len()
    }

    /// Fills the delay with silence. [audio thread]
    pub fn reset(&mut self) {
        self.line.fill(0.0);
        self.position = 0;
    }

    /// Fills the delay with a constant, as if it had come in for ever. [audio thread]
    pub fn settle_at(&mut self, value: f32) {
        self.line.fill(value);
        self.position = 0;
    }

    /// Delays a block of any length, in place. [audio thread]
    pub fn process(&mut self, samples: &mut [f32]) {
        if self.line.is_empty() {
            return;
        }
        let (n, length) = (samples.len(), self.line.len());
        if length <= n && length <= MAX_BLOCK_MOVE {
            // The delay is shorter than the block: the block moves at once instead of in steps of the delay's length.
            let mut last = [0.0; MAX_BLOCK_MOVE];
            last[..length].copy_from_slice(&samples[n - length..]);
            samples.copy_within(..n - length, length);
            self.line.rotate_left(self.position);
            samples[..length].copy_from_slice(&self.line);
            self.line.copy_from_slice(&last[..length]);
            self.position = 0;
            return;
        }
        let mut rest = samples;
        while !rest.is_empty() {
            let n = rest.len().min(self.line.len() - self.position);
            let (now, later) = rest.split_at_mut(n);
            now.swap_with_slice(&mut self.line[self.position..self.position + n]);
            self.position = (self.position + n) % self.line.len();
            rest = later;
        }
    }

    /// Bytes on the heap. [any thread]
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of_val(self.line.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_shifts_by_its_length_whatever_the_block_sizes() {
        for length in [0usize, 1, 5, 64, 100] {
            for cut in [1usize, 3, 64, 333] {
                let mut delay = Delay::new(length);
                let mut x: Vec<f32> = (1..=500).map(|i| i as f32).collect();
                for chunk in x.chunks_mut(cut) {
                    delay.process(chunk);
                }
                let expected: Vec<f32> = (1..=500i32).map(|i| (i - length as i32).max(0) as f32).collect();
                assert_eq!(x, expected, "length {length}, cut {cut}");
            }
        }
    }
}
