//! A dense layer with one output behind a recurrent one.
//!
//! In either layout eight sums, of every eighth unit each, are added pairwise at the end, then the bias.

use super::aligned::{Aligned, LINE};
use super::recurrent::View;
use crate::description::Conv1d;
use crate::simd::{Kernel, Level, Simd};

/// Sums that are kept apart.
const SUMS: usize = 8;

pub struct Head {
    pub inputs: usize,
    /// With zeros up to whole vectors.
    weights: Aligned,
    bias: f32,
}

impl Head {
    pub fn new(conv: &Conv1d) -> Self {
        let mut weights = Aligned::new(conv.inputs.next_multiple_of(LINE));
        weights[..conv.inputs].copy_from_slice(&conv.weights);
        Self { inputs: conv.inputs, weights, bias: conv.bias.as_ref().map_or(0.0, |b| b[0]) }
    }

    pub fn bytes(&self) -> usize {
        self.weights.bytes()
    }

    /// From units as [`super::recurrent::State`] leaves them to `[batches][frames][width]`, a batch every `stride`. [audio thread]
    pub fn run(&self, level: Level, width: usize, from: View<'_>, to: &mut [f32], stride: usize, frames: usize) {
        // A unit's lane must be its number modulo eight, for which the widest vectors are too wide.
        let level = if width == 1 { level.min(Level::Avx2) } else { level };
        level.run(Run { head: self, width, from, to, stride, frames });
    }
}

struct Run<'a> {
    head: &'a Head,
    width: usize,
    from: View<'a>,
    to: &'a mut [f32],
    stride: usize,
    frames: usize,
}

/// Pairwise.
#[inline(always)]
fn total<T: Copy>(x: [T; SUMS], add: impl Fn(T, T) -> T) -> T {
    let [a, b, c, d] = [0, 1, 2, 3].map(|k| add(x[k], x[k + 4]));
    add(add(a, c), add(b, d))
}

impl Kernel for Run<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { head, width, from, to, stride, frames } = self;
        for (batch, to) in to.chunks_exact_mut(stride).enumerate() {
            for (t, to) in to.chunks_exact_mut(width).take(frames).enumerate() {
                let from = &from.data[batch * from.batch + t * from.frame..];
                if width == 1 {
                    let mut sums = s.splat(0.0);
                    for (w, x) in head.weights.chunks_exact(SUMS).zip(from.chunks_exact(SUMS)) {
                        // SAFETY: eight lanes, eight values.
                        unsafe { sums = s.mul_add(s.load(w.as_ptr()), s.load(x.as_ptr()), sums) };
                    }
                    let mut lanes = [0.0; SUMS];
                    // SAFETY: eight lanes, eight values.
                    unsafe { s.store(lanes.as_mut_ptr(), sums) };
                    to[0] = total(lanes, |a, b| a + b) + head.bias;
                } else {
                    let from = &from[..head.inputs * width];
                    for first in (0..width).step_by(S::LANES) {
                        let mut sums = [s.splat(0.0); SUMS];
                        for (k, x) in from.chunks_exact(width).enumerate() {
                            // SAFETY: `width` is a multiple of the lanes, and `x` that long.
                            let x = unsafe { s.load(x.as_ptr().add(first)) };
                            sums[k % SUMS] = s.mul_add(s.splat(head.weights[k]), x, sums[k % SUMS]);
                        }
                        let y = s.add(total(sums, |a, b| s.add(a, b)), s.splat(head.bias));
                        // SAFETY: `to` is `width` long.
                        unsafe { s.store(to.as_mut_ptr().add(first), y) };
                    }
                }
            }
        }
    }
}
