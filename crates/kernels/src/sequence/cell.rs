//! What one unit of an LSTM or a GRU does with its four sums.

use crate::activation::Accuracy;
use crate::simd::Simd;

/// A kind of unit. Each has four sums over the layer's input and state, and a state of its own beside its output.
pub trait Cell: Copy + 'static {
    /// How many of the sums, from the first, read the layer's state.
    const RECURRENT: usize;
    /// From the sums and the unit's own state to that state and the output, one unit (or channel) in each lane.
    fn step<S: Simd, A: Accuracy>(s: S, sums: [S::F; 4], own: S::F) -> (S::F, S::F);
}

/// Sums i, f, g, o; its own state is c.
#[derive(Clone, Copy)]
pub struct LstmCell;
/// Sums r, z, U h + b' and W x + b of n; its own state is its last output.
#[derive(Clone, Copy)]
pub struct GruCell;

/// What a unit keeps stays within this, far beyond what matters to the functions it goes through, so that no model explodes.
const BOUND: f32 = 1e9;
/// Adding and subtracting this makes less than 6e-17 zero, which keeps a decaying state from becoming denormal. That its lowest bit is
/// set keeps all larger values as they were.
const FLUSH: f32 = f32::from_bits(0x3089_705f); // 1e-9

/// What is kept: within bounds, a number, not denormal.
#[inline(always)]
fn kept<S: Simd>(s: S, x: S::F) -> S::F {
    let x = s.max(s.min(x, s.splat(BOUND)), s.splat(-BOUND));
    flush(s, x)
}

/// `x`, or 0 where it is below 6e-17.
#[inline(always)]
pub fn flush<S: Simd>(s: S, x: S::F) -> S::F {
    let tiny = s.splat(FLUSH);
    s.sub(s.add(x, tiny), tiny)
}

impl Cell for LstmCell {
    const RECURRENT: usize = 4;

    /// c' = s(f) c + s(i) tanh(g) over one denominator, h = s(o) tanh(c'). The order is such that what comes last waits least.
    #[inline(always)]
    fn step<S: Simd, A: Accuracy>(s: S, [i, f, g, o]: [S::F; 4], c: S::F) -> (S::F, S::F) {
        let (i, under_i) = A::scaled_sigmoid(s, i, 2.0);
        let (f, under_f) = A::scaled_sigmoid(s, f, 1.0);
        let (g, under_g) = A::half_tanh(s, g);
        let (o, under_o) = A::scaled_sigmoid(s, o, 2.0);
        let o = s.div(o, under_o);
        let under_ig = s.mul(under_i, under_g);
        let c = s.mul_add(s.mul(f, c), under_ig, s.mul(i, s.mul(g, under_f)));
        let c = s.div(c, s.mul(under_f, under_ig));
        let (t, under_t) = A::half_tanh(s, c);
        (kept(s, c), s.div(s.mul(o, t), under_t))
    }
}

impl Cell for GruCell {
    const RECURRENT: usize = 3;

    /// h' = (1 - s(z)) n + s(z) h, over the denominator of n.
    #[inline(always)]
    fn step<S: Simd, A: Accuracy>(s: S, [r, z, recurrent, input]: [S::F; 4], h: S::F) -> (S::F, S::F) {
        let z = A::sigmoid(s, z);
        let rest = s.sub(s.splat(2.0), s.add(z, z));
        let n = s.mul_add(A::sigmoid(s, r), recurrent, input);
        let (n, under_n) = A::half_tanh(s, n);
        let h = s.div(s.mul_add(s.mul(z, h), under_n, s.mul(rest, n)), under_n);
        (kept(s, h), h)
    }
}
