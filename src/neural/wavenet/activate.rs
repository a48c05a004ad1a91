//! Activations over rows.

use super::memory::Rows;
use crate::neural::activation::Accuracy;
use crate::neural::description::Activation;
use crate::neural::simd::Simd;

/// `to` = activation(`from`), which may be the same rows.
///
/// # Safety
/// Both have `rows` rows with room for that many vectors.
#[inline(always)]
pub unsafe fn activate<S: Simd, A: Accuracy>(s: S, activation: &Activation, from: Rows, to: Rows, rows: usize, vectors: usize) {
    for row in 0..rows {
        // SAFETY: the caller's.
        unsafe { activate_row::<S, A>(s, activation, row, from.skip(row).at, to.skip(row).at, vectors) };
    }
}

/// # Safety
/// Both have room for that many vectors.
#[inline(always)]
unsafe fn each<S: Simd>(s: S, from: *const f32, to: *mut f32, vectors: usize, f: impl Fn(S::F) -> S::F) {
    for v in 0..vectors {
        // SAFETY: the caller's.
        unsafe { s.store(to.add(v * S::LANES), f(s.load(from.add(v * S::LANES)))) };
    }
}

/// # Safety
/// Both have room for that many vectors.
#[inline(always)]
unsafe fn activate_row<S: Simd, A: Accuracy>(
    s: S,
    activation: &Activation,
    row: usize,
    from: *const f32,
    to: *mut f32,
    vectors: usize,
) {
    let zero = s.splat(0.0);
    let one = s.splat(1.0);
    // SAFETY, for all: the caller's.
    unsafe {
        match activation {
            Activation::Identity => each(s, from, to, vectors, |x| x),
            Activation::Tanh => each(s, from, to, vectors, |x| A::tanh(s, x)),
            Activation::HardTanh => each(s, from, to, vectors, |x| s.max(s.min(x, one), s.splat(-1.0))),
            Activation::Relu => each(s, from, to, vectors, |x| s.max(x, zero)),
            Activation::LeakyRelu(slopes) => {
                let slope = s.splat(slopes[if slopes.len() == 1 { 0 } else { row }]);
                each(s, from, to, vectors, |x| s.where_negative(x, s.mul(slope, x), x));
            }
            Activation::Sigmoid => each(s, from, to, vectors, |x| A::sigmoid(s, x)),
            Activation::Silu => each(s, from, to, vectors, |x| s.mul(x, A::sigmoid(s, x))),
            Activation::HardSwish => each(s, from, to, vectors, |x| {
                let clamped = s.max(s.min(s.add(x, s.splat(3.0)), s.splat(6.0)), zero);
                s.mul(s.mul(x, clamped), s.splat(1.0 / 6.0))
            }),
            Activation::LeakyHardTanh { min, max, min_slope, max_slope } => {
                let (min, max) = (s.splat(*min), s.splat(*max));
                let (below, above) = (s.splat(*min_slope), s.splat(*max_slope));
                each(s, from, to, vectors, |x| {
                    let under = s.sub(x, min);
                    let over = s.sub(max, x);
                    let high = s.where_negative(over, s.sub(max, s.mul(above, over)), x);
                    s.where_negative(under, s.mul_add(below, under, min), high)
                });
            }
            Activation::Softsign => each(s, from, to, vectors, |x| s.div(x, s.add(one, s.max(x, s.sub(zero, x))))),
            Activation::Elu { alpha } => {
                let alpha = s.splat(*alpha);
                each(s, from, to, vectors, |x| s.where_negative(x, s.mul(alpha, s.sub(A::exp(s, x), one)), x));
            }
        }
    }
}
