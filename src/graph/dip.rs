//! The dip that hides a change: down, the change, up.

use super::DIP_SECONDS;
use crate::dsp::blend::flush_subnormal;

/// A raised-cosine fade-out and its mirror image, and how far they have come.
pub(super) struct Dip {
    /// Gains of the fade-out, frame by frame.
    gains: Vec<f32>,
    /// The next frame's place in both fades together; nothing while no dip is under way.
    at: Option<usize>,
    /// Frames of silence still to come at the bottom.
    hold: usize,
}

impl Dip {
    /// [control thread: allocates]
    pub(super) fn new(sample_rate: f32) -> Self {
        let n = ((DIP_SECONDS * sample_rate).round() as usize).max(1);
        let gain = |i| 0.5 * (1.0 + (std::f32::consts::PI * i as f32 / (n + 1) as f32).cos());
        Self { gains: (1..=n).map(gain).collect(), at: None, hold: 0 }
    }

    /// Begins, from the gain that it has. [audio thread]
    pub(super) fn begin(&mut self) {
        let n = self.gains.len();
        self.hold = 0;
        self.at = Some(match self.at {
            None => 0,
            Some(at) if at < n => at,
            Some(at) => (2 * n - at).min(n - 1),
        });
    }

    /// Stays silent for so many frames, at the bottom. [audio thread]
    pub(super) fn hold(&mut self, frames: usize) {
        self.hold = frames;
    }

    /// [audio thread]
    pub(super) fn end(&mut self) {
        (self.at, self.hold) = (None, 0);
    }

    fn is_holding(&self) -> bool {
        self.hold > 0 && self.at == Some(self.gains.len())
    }

    /// How many of the next `frames` belong together: up to the bottom or the end of the dip. [audio thread]
    pub(super) fn span(&self, frames: usize) -> usize {
        let n = self.gains.len();
        if self.is_holding() {
            return self.hold.min(frames);
        }
        self.at.map_or(frames, |at| (if at < n { n } else { 2 * n } - at).min(frames))
    }

    /// The gains of a span over a channel's samples; subnormal numbers become zero. [audio thread]
    pub(super) fn apply(&self, samples: &mut [f32]) {
        let n = self.gains.len();
        match self.at {
            None => return,
            Some(_) if self.is_holding() => samples.fill(0.0),
            Some(at) if at < n => {
                for (x, gain) in samples.iter_mut().zip(&self.gains[at..]) {
                    *x *= gain;
                }
            }
            Some(at) => {
                for (x, gain) in samples.iter_mut().zip(self.gains.iter().rev().skip(at - n)) {
                    *x *= gain;
                }
            }
        }
        flush_subnormal(samples);
    }

    /// Passes over a span; says whether the bottom was reached, where the change belongs. [audio thread]
    pub(super) fn advance(&mut self, frames: usize) -> bool {
        let n = self.gains.len();
        let Some(at) = self.at else { return false };
        if self.is_holding() {
            self.hold -= frames;
            return false;
        }
        self.at = Some(at + frames).filter(|at| *at < 2 * n);
        at < n && at + frames == n
    }
}
