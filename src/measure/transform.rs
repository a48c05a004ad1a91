//! Fourier transforms: of windowed frames of a sound, without allocation for each, and of whole sounds in double precision.

use std::cell::RefCell;
use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

thread_local! {
    /// Planners of transforms in single and in double precision, which keep their plans: a prime length takes longer to plan than
    /// to transform.
    static PLANNERS: RefCell<(RealFftPlanner<f32>, RealFftPlanner<f64>)> =
        RefCell::new((RealFftPlanner::new(), RealFftPlanner::new()));
}

/// Discrete Fourier transform of all samples, of any length, without scaling: the bins from DC to Nyquist.
pub(super) fn transform(samples: &[f64]) -> Vec<Complex<f64>> {
    if samples.is_empty() {
        return Vec::new();
    }
    let plan = PLANNERS.with_borrow_mut(|(_, planner)| planner.plan_fft_forward(samples.len()));
    let (mut input, mut output) = (samples.to_vec(), plan.make_output_vec());
    plan.process(&mut input, &mut output).expect("both vectors are of the plan's length");
    output
}

/// Inverse of [`transform`] for an even number of samples: those whose transform the bins are. What of the bins of DC and
/// Nyquist is not real is ignored.
pub(super) fn inverse_transform(mut bins: Vec<Complex<f64>>) -> Vec<f64> {
    let frames = 2 * (bins.len() - 1);
    let plan = PLANNERS.with_borrow_mut(|(_, planner)| planner.plan_fft_inverse(frames));
    bins[0].im = 0.0;
    bins[frames / 2].im = 0.0;
    let mut output = plan.make_output_vec();
    plan.process(&mut bins, &mut output).expect("both vectors are of the plan's length");
    output.iter_mut().for_each(|x| *x /= frames as f64);
    output
}

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
        let plan = PLANNERS.with_borrow_mut(|(planner, _)| planner.plan_fft_forward(frames));
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
