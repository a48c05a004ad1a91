//! The dip: a short fade-out and fade-in around a change, so that it makes no click.

use super::DIP_SECONDS;
use crate::dsp::dry_wet::flush_denormals;

/// A raised-cosine fade-out followed by its mirror image. Between them, at the bottom, the change takes place.
pub(crate) struct Dip {
    /// Gains of the fade-out, frame by frame. The fade-in has them in reverse order.
    gains: Vec<f32>,
    /// Position of the next frame in fade-out and fade-in together; `None` while no dip is under way.
    at: Option<usize>,
    /// Remaining frames of silence at the bottom.
    hold: usize,
}

impl Dip {
    /// A dip that is not under way; `sample_rate` in hertz. [control thread: allocates]
    pub(crate) fn new(sample_rate: f32) -> Self {
        let n = ((DIP_SECONDS * sample_rate).round() as usize).max(1);
        let gain = |i| 0.5 * (1.0 + (std::f32::consts::PI * i as f32 / (n + 1) as f32).cos());
        Self { gains: (1..=n).map(gain).collect(), at: None, hold: 0 }
    }

    /// Begins a fade-out at the present gain. [audio thread]
    pub(crate) fn begin(&mut self) {
        let n = self.gains.len();
        self.hold = 0;
        self.at = Some(match self.at {
            None => 0,
            Some(at) if at < n => at,
            Some(at) => (2 * n - at).min(n - 1),
        });
    }

    /// Adds `frames` frames of silence; called at the bottom. [audio thread]
    pub(crate) fn hold(&mut self, frames: usize) {
        self.hold = frames;
    }

    /// Ends the dip at once. [audio thread]
    pub(crate) fn end(&mut self) {
        (self.at, self.hold) = (None, 0);
    }

    /// True until the end of the fade-in. [audio thread]
    #[cfg(feature = "listen")]
    pub(crate) fn is_under_way(&self) -> bool {
        self.at.is_some()
    }

    fn is_holding(&self) -> bool {
        self.hold > 0 && self.at == Some(self.gains.len())
    }

    /// Length of the next span: the part of the next `frames` frames before the dip's bottom or end. Within it the dip is in one
    /// phase: fade-out, silence, fade-in or none. [audio thread]
    pub(crate) fn span(&self, frames: usize) -> usize {
        let n = self.gains.len();
        if self.is_holding() {
            return self.hold.min(frames);
        }
        self.at.map_or(frames, |at| (if at < n { n } else { 2 * n } - at).min(frames))
    }

    /// Multiplies a span of a channel by the gains; denormal numbers become 0. [audio thread]
    pub(crate) fn apply(&self, samples: &mut [f32]) {
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
        flush_denormals(samples);
    }

    /// Moves on by a span. Returns true at the bottom, where the change takes place. [audio thread]
    pub(crate) fn advance(&mut self, frames: usize) -> bool {
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
