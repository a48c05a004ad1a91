//! A whole-frame delay of one channel.

/// Delays up to this many frames move whole blocks.
const SHORT: usize = 64;

/// Delays a channel by a fixed number of frames.
#[derive(Clone, Debug, Default)]
pub struct Delay {
    line: Vec<f32>,
    at: usize,
}

impl Delay {
    /// [control thread: allocates]
    #[must_use]
    pub fn new(frames: usize) -> Self {
        Self { line: vec![0.0; frames], at: 0 }
    }

    /// [any thread]
    #[must_use]
    pub fn frames(&self) -> usize {
        self.line.len()
    }

    /// Forgets what it holds. [audio thread]
    pub fn reset(&mut self) {
        self.line.fill(0.0);
        self.at = 0;
    }

    /// In place: what came `frames` ago goes out. [audio thread]
    pub fn process(&mut self, samples: &mut [f32]) {
        if self.line.is_empty() {
            return;
        }
        let (n, length) = (samples.len(), self.line.len());
        if length <= n && length <= SHORT {
            // Shorter than the block: the block moves at once, not in steps of the line's length.
            let mut last = [0.0; SHORT];
            last[..length].copy_from_slice(&samples[n - length..]);
            samples.copy_within(..n - length, length);
            self.line.rotate_left(self.at);
            samples[..length].copy_from_slice(&self.line);
            self.line.copy_from_slice(&last[..length]);
            self.at = 0;
            return;
        }
        let mut rest = samples;
        while !rest.is_empty() {
            let n = rest.len().min(self.line.len() - self.at);
            let (now, later) = rest.split_at_mut(n);
            now.swap_with_slice(&mut self.line[self.at..self.at + n]);
            self.at = (self.at + n) % self.line.len();
            rest = later;
        }
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of_val(self.line.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_shifts_by_its_length_however_it_is_cut() {
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
