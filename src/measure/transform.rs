//! Fourier transforms of windowed frames of a sound, without allocation for each.

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

/// A transform of frames of one length with one window.
pub(super) struct Transform {
    plan: Arc<dyn RealToComplex<f32>>,
    window: Vec<f32>,
    /// Frames of zeros before the window.
    before: usize,
    input: Vec<f32>,
    scratch: Vec<Complex<f32>>,
    /// Bins of the last frame, from DC to Nyquist.
    pub bins: Vec<Complex<f32>>,
}

impl Transform {
    /// A transform of `frames` frames; a shorter window lies in their middle.
    ///
    /// # Panics
    /// If the window is longer.
    pub fn new(frames: usize, window: Vec<f32>) -> Self {
        let plan = RealFftPlanner::new().plan_fft_forward(frames);
        Self {
            before: (frames - window.len()) / 2,
            window,
            input: plan.make_input_vec(),
            scratch: plan.make_scratch_vec(),
            bins: plan.make_output_vec(),
            plan,
        }
    }

    /// Frames of a transform.
    pub fn frames(&self) -> usize {
        self.input.len()
    }

    /// Transforms the frame that begins at `start` of a sound, which is silent outside; then [`Self::bins`] are those of this
    /// frame.
    pub fn run(&mut self, sound: &[f32], start: isize) {
        self.input.fill(0.0);
        // Positions of the window in the sound.
        let first = start + self.before as isize;
        let skipped = first.min(0).unsigned_abs().min(self.window.len());
        let sound = sound.get((first + skipped as isize).max(0) as usize..).unwrap_or(&[]);
        let into = self.input[self.before + skipped..].iter_mut();
        for ((x, sound), w) in into.zip(sound).zip(&self.window[skipped..]) {
            *x = sound * w;
        }
        self.plan.process_with_scratch(&mut self.input, &mut self.bins, &mut self.scratch).expect("lengths of the plan");
    }
}
