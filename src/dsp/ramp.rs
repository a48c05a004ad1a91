//! A value that glides to where it is set, frame by frame, however the stream is cut into blocks.

/// How long a ramped parameter takes to arrive: short enough to follow a hand, long enough to make no click.
pub const RAMP_SECONDS: f32 = 0.02;

/// A linear glide. The value at a frame depends only on where the glide started, where it goes and how many frames ago.
#[derive(Clone, Debug)]
pub struct Ramp {
    start: f32,
    target: f32,
    /// Frames since the glide started; `frames` when it has arrived.
    elapsed: u32,
    frames: u32,
}

impl Ramp {
    /// Resting at `value`; glides take [`RAMP_SECONDS`]. [any thread]
    #[must_use]
    pub fn new(value: f32, sample_rate: f32) -> Self {
        let frames = ((RAMP_SECONDS * sample_rate) as u32).max(1);
        Self { start: value, target: value, elapsed: frames, frames }
    }

    /// Goes to `value`: at once if `now`, else from the next frame on. [audio thread]
    pub fn set(&mut self, value: f32, now: bool) {
        if now {
            self.target = value;
            self.elapsed = self.frames;
        } else if value != self.target {
            self.start = self.value();
            self.target = value;
            self.elapsed = 0;
        }
    }

    /// Arrives at once. [audio thread]
    pub fn finish(&mut self) {
        self.elapsed = self.frames;
    }

    #[inline]
    fn at(&self, elapsed: u32) -> f32 {
        if elapsed >= self.frames {
            self.target
        } else {
            self.start + (self.target - self.start) * (elapsed as f32 / self.frames as f32)
        }
    }

    /// The value that the last frame had. [audio thread]
    #[must_use]
    pub fn value(&self) -> f32 {
        self.at(self.elapsed)
    }

    /// Where it goes. [audio thread]
    #[must_use]
    pub fn target(&self) -> f32 {
        self.target
    }

    /// The resting value, or nothing while it glides. [audio thread]
    #[must_use]
    pub fn resting(&self) -> Option<f32> {
        (self.elapsed >= self.frames).then_some(self.target)
    }

    /// Whether it rests at `value`. [audio thread]
    #[must_use]
    pub fn rests_at(&self, value: f32) -> bool {
        self.resting() == Some(value)
    }

    /// The values of the next frames. [audio thread]
    pub fn fill(&mut self, out: &mut [f32]) {
        if self.elapsed >= self.frames {
            out.fill(self.target);
            return;
        }
        for (i, value) in (1u32..).zip(out.iter_mut()) {
            *value = self.at(self.elapsed.saturating_add(i));
        }
        self.advance(out.len());
    }

    /// Passes over the next frames. [audio thread]
    pub fn advance(&mut self, frames: usize) {
        self.elapsed = self.frames.min(self.elapsed.saturating_add(frames.min(u32::MAX as usize) as u32));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glide_is_linear_ends_exactly_and_ignores_how_it_is_cut() {
        let cut = |sizes: &[usize]| {
            let mut ramp = Ramp::new(1.0, 1000.0); // 20 frames
            ramp.set(-2.0, false);
            let mut all = Vec::new();
            for &n in sizes {
                let mut out = vec![0.0; n];
                ramp.fill(&mut out);
                all.extend(out);
            }
            all
        };
        let whole = cut(&[30]);
        assert_eq!(whole, cut(&[1, 2, 3, 4, 5, 6, 9]));
        assert_eq!(whole[19], -2.0);
        assert_eq!(whole[29], -2.0);
        assert!(whole.windows(2).take(19).all(|w| ((w[0] - w[1]) - 0.15).abs() < 1e-6));
    }
}
