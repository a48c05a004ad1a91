//! The cells of recurrent layers: the step of one LSTM or GRU unit, from its four gate sums to its next state and output.
//!
//! Letters are those of [`crate::description::Lstm`] and [`crate::description::Gru`]; `s(x)` is the logistic function.

use crate::activation::StaticPrecision;
use crate::simd::Simd;

/// A kind of recurrent unit. A unit has four sums over the layer's inputs and last outputs, and keeps a cell state besides its
/// output.
pub trait Cell: Copy + 'static {
    /// Number of sums, counted from the first, that read the layer's last outputs; the others read only its inputs.
    const RECURRENT_SUMS: usize;
    /// Returns the next cell state and the output, from the sums and the last cell state. Each lane holds one unit (or one
    /// channel).
    fn step<S: Simd, A: StaticPrecision>(s: S, sums: [S::F; 4], cell: S::F) -> (S::F, S::F);
}

/// The cell of an LSTM. Its sums are the gates i, f, g, o; its cell state is c.
#[derive(Clone, Copy)]
pub struct LstmCell;
/// The cell of a GRU. Its sums are the gates r and z, and the two parts of n: U h + b' and W x + b. Its cell state is its last
/// output h.
#[derive(Clone, Copy)]
pub struct GruCell;

/// Limit of a cell state's magnitude, so that no model diverges to infinity. The functions that read the state have saturated
/// long before.
const MAX_CELL_STATE: f32 = 1e9;
/// 1e-9. Adding and subtracting it turns values below 6e-17 into 0, which keeps a decaying state from becoming denormal. Since
/// its lowest bit is set, all larger values are unchanged.
const FLUSH_OFFSET: f32 = f32::from_bits(0x3089_705f);

/// Returns a cell state as it is stored: within [`MAX_CELL_STATE`], finite also for NaN, not denormal.
#[inline(always)]
fn bounded<S: Simd>(s: S, x: S::F) -> S::F {
    let x = s.max(s.min(x, s.splat(MAX_CELL_STATE)), s.splat(-MAX_CELL_STATE));
    flush_denormals(s, x)
}

/// Returns `x`, or 0 in the lanes where its magnitude is below 6e-17.
#[inline(always)]
pub fn flush_denormals<S: Simd>(s: S, x: S::F) -> S::F {
    let tiny = s.splat(FLUSH_OFFSET);
    s.sub(s.add(x, tiny), tiny)
}

impl Cell for LstmCell {
    const RECURRENT_SUMS: usize = 4;

    /// Computes c' = s(f) c + s(i) tanh(g) over one common denominator, and h = s(o) tanh(c'). The operations are ordered so that
    /// the last ones wait for their operands as briefly as possible.
    #[inline(always)]
    fn step<S: Simd, A: StaticPrecision>(s: S, [i, f, g, o]: [S::F; 4], c: S::F) -> (S::F, S::F) {
        let (i, under_i) = A::scaled_sigmoid(s, i, 2.0);
        let (f, under_f) = A::scaled_sigmoid(s, f, 1.0);
        let (g, under_g) = A::half_tanh(s, g);
        let (o, under_o) = A::scaled_sigmoid(s, o, 2.0);
        let o = s.div(o, under_o);
        let under_ig = s.mul(under_i, under_g);
        let c = s.mul_add(s.mul(f, c), under_ig, s.mul(i, s.mul(g, under_f)));
        let c = s.div(c, s.mul(under_f, under_ig));
        let (t, under_t) = A::half_tanh(s, c);
        (bounded(s, c), s.div(s.mul(o, t), under_t))
    }
}

impl Cell for GruCell {
    const RECURRENT_SUMS: usize = 3;

    /// Computes h' = (1 - s(z)) n + s(z) h over the denominator of n. The numerator of n is that of tanh / 2, so its factor is
    /// doubled: `rest` is 2 (1 - s(z)).
    #[inline(always)]
    fn step<S: Simd, A: StaticPrecision>(s: S, [r, z, recurrent, input]: [S::F; 4], h: S::F) -> (S::F, S::F) {
        let z = A::sigmoid(s, z);
        let rest = s.sub(s.splat(2.0), s.add(z, z));
        let n = s.mul_add(A::sigmoid(s, r), recurrent, input);
        let (n, under_n) = A::half_tanh(s, n);
        let h = s.div(s.mul_add(s.mul(z, h), under_n, s.mul(rest, n)), under_n);
        (bounded(s, h), h)
    }
}
