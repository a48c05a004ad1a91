//! A parameter smoother: a value that glides linearly to its target, frame by frame.

/// Duration of a glide: short enough to follow a knob, long enough to make no click.
pub const RAMP_SECONDS: f32 = 0.02;

/// A value that glides linearly to a target. The value at a frame depends only on the start and target of the glide and the
/// frames since its start, never on how the stream is cut into blocks.
#[derive(Clone, Debug)]
pub struct Ramp {
    start: f32,
    target: f32,
    /// Frames since the glide started; `frames` when it has arrived.
    elapsed: u32,
    /// Length of a glide in frames.
    frames: u32,
}

impl Ramp {
    /// A ramp that is steady at `value`; its glides will take [`RAMP_SECONDS`]. [any thread]
    #[must_use]
    pub fn new(value: f32, sample_rate: f32) -> Self {
        let frames = ((RAMP_SECONDS * sample_rate) as u32).max(1);
        Self { start: value, target: value, elapsed: frames, frames }
    }

    /// Sets the target: reached at once if `now`, else by a glide that begins with the next frame. [audio thread]
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

    /// Jumps to the target. [audio thread]
    pub fn finish(&mut self) {
        self.elapsed = self.frames;
    }

    /// The value `elapsed` frames after the start of the glide.
    #[inline]
    fn at(&self, elapsed: u32) -> f32 {
        if elapsed >= self.frames {
            self.target
        } else {
            self.start + (self.target - self.start) * (elapsed as f32 / self.frames as f32)
        }
    }

    /// The value of the last frame. [audio thread]
    #[must_use]
    pub fn value(&self) -> f32 {
        self.at(self.elapsed)
    }

    /// The value at the end of the glide. [audio thread]
    #[must_use]
    pub fn target(&self) -> f32 {
        self.target
    }

    /// The value if it is steady, `None` during a glide. [audio thread]
    #[must_use]
    pub fn steady(&self) -> Option<f32> {
        (self.elapsed >= self.frames).then_some(self.target)
    }

    /// True if there is no glide and the value is `value`. [audio thread]
    #[must_use]
    pub fn is_steady_at(&self, value: f32) -> bool {
        self.steady() == Some(value)
    }

    /// Writes the values of the next frames to `out` and moves on by as many frames. [audio thread]
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

    /// Moves on by `frames` frames. [audio thread]
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
