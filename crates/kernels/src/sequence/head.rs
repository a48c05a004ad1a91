//! The output head of a recurrent network: a dense layer with one output that reads the units of a recurrent layer.
//!
//! In both layouts of the units (see [`super::recurrent`]) there are eight partial sums, over every eighth unit each; they are
//! added pairwise at the end, then the bias. So both give the same bits.

use super::aligned::{AlignedBuffer, LINE_FLOATS};
use super::recurrent::SignalView;
use crate::description::Conv1d;
use crate::simd::{Kernel, Simd, SimdLevel};

/// Number of partial sums.
const PARTIAL_SUMS: usize = 8;

/// The packed weights of a head.
pub struct PackedHead {
    /// Units that the head reads.
    pub inputs: usize,
    /// One weight for each unit, and zeros up to whole vectors.
    weights: AlignedBuffer,
    bias: f32,
}

impl PackedHead {
    /// Packs a convolution of one tap and one output.
    pub fn new(conv: &Conv1d) -> Self {
        let mut weights = AlignedBuffer::new(conv.inputs.next_multiple_of(LINE_FLOATS));
        weights[..conv.inputs].copy_from_slice(&conv.weights);
        Self { inputs: conv.inputs, weights, bias: conv.bias.as_ref().map_or(0.0, |b| b[0]) }
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        self.weights.bytes()
    }

    /// Computes `frames` outputs of every channel from the units in `from`, the outputs of a
    /// [`super::recurrent::RecurrentState`]. Writes them to `to` as `[lane_groups][frames][width]` with `stride` floats from lane
    /// group to lane group; `width` is the number of channels side by side. [audio thread]
    pub fn run(&self, level: SimdLevel, width: usize, from: SignalView<'_>, to: &mut [f32], stride: usize, frames: usize) {
        // With units in the lanes, a unit's lane must be its number modulo eight, so vectors must not be wider than eight lanes.
        let level = if width == 1 { level.min(SimdLevel::Avx2) } else { level };
        level.run(HeadKernel { head: self, width, from, to, stride, frames });
    }
}

/// The arguments of [`PackedHead::run`].
struct HeadKernel<'a> {
    head: &'a PackedHead,
    width: usize,
    from: SignalView<'a>,
    to: &'a mut [f32],
    stride: usize,
    frames: usize,
}

/// Returns the sum of the partial sums, added pairwise.
#[inline(always)]
fn pairwise_sum<T: Copy>(x: [T; PARTIAL_SUMS], add: impl Fn(T, T) -> T) -> T {
    let [a, b, c, d] = [0, 1, 2, 3].map(|k| add(x[k], x[k + 4]));
    add(add(a, c), add(b, d))
}

impl Kernel for HeadKernel<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { head, width, from, to, stride, frames } = self;
        for (lane_group, to) in to.chunks_exact_mut(stride).enumerate() {
            for (t, to) in to.chunks_exact_mut(width).take(frames).enumerate() {
                let from = &from.data[lane_group * from.lane_group_stride + t * from.frame_stride..];
                if width == 1 {
                    let mut sums = s.splat(0.0);
                    for (w, x) in head.weights.chunks_exact(PARTIAL_SUMS).zip(from.chunks_exact(PARTIAL_SUMS)) {
                        // SAFETY: the level has eight lanes here (see `run`), and there are eight values.
                        unsafe { sums = s.mul_add(s.load(w.as_ptr()), s.load(x.as_ptr()), sums) };
                    }
                    let mut lanes = [0.0; PARTIAL_SUMS];
                    // SAFETY: the level has eight lanes here (see `run`), and there are eight values.
                    unsafe { s.store(lanes.as_mut_ptr(), sums) };
                    to[0] = pairwise_sum(lanes, |a, b| a + b) + head.bias;
                } else {
                    let from = &from[..head.inputs * width];
                    for first in (0..width).step_by(S::LANES) {
                        let mut sums = [s.splat(0.0); PARTIAL_SUMS];
                        for (k, x) in from.chunks_exact(width).enumerate() {
                            // SAFETY: `width` is a multiple of the lanes, and `x` is `width` long.
                            let x = unsafe { s.load(x.as_ptr().add(first)) };
                            sums[k % PARTIAL_SUMS] = s.mul_add(s.splat(head.weights[k]), x, sums[k % PARTIAL_SUMS]);
                        }
                        let y = s.add(pairwise_sum(sums, |a, b| s.add(a, b)), s.splat(head.bias));
                        // SAFETY: `width` is a multiple of the lanes, and `to` is `width` long.
                        unsafe { s.store(to.as_mut_ptr().add(first), y) };
                    }
                }
            }
        }
    }
}
