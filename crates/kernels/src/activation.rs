//! The activation functions of networks over SIMD vectors, in two precisions: fast and exact.

use super::description::Activation;
use super::simd::Simd;

/// The way in which tanh and the logistic function are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// A rational approximation: [`tanh`] within 2.2e-7, [`sigmoid`] within 2e-7 of the exact value.
    #[default]
    Fast,
    /// The standard library's functions in f64, rounded to f32. Many times slower; for comparisons.
    Exact,
}

/// A [`Precision`] as a type, for kernels that are compiled for one: [`Fast`] or [`Exact`]. All functions are for [any thread].
///
/// Pairs of vectors are the numerator and the denominator of a ratio, so that a product or a sum of several functions needs only
/// one division.
pub trait StaticPrecision: Copy + 'static {
    /// Returns tanh(x) / 2 as a ratio.
    fn half_tanh<S: Simd>(s: S, x: S::F) -> (S::F, S::F);
    /// Returns `scale` / (1 + exp(-x)) as a ratio. `scale` is 1 or 2.
    fn scaled_sigmoid<S: Simd>(s: S, x: S::F, scale: f32) -> (S::F, S::F);

    /// Returns tanh(x).
    #[inline(always)]
    fn tanh<S: Simd>(s: S, x: S::F) -> S::F {
        let (n, d) = Self::half_tanh(s, x);
        s.div(s.add(n, n), d)
    }
    /// Returns the logistic function, 1 / (1 + exp(-x)).
    #[inline(always)]
    fn sigmoid<S: Simd>(s: S, x: S::F) -> S::F {
        let (n, d) = Self::scaled_sigmoid(s, x, 1.0);
        s.div(n, d)
    }
    /// Returns exp(x) - 1 for x up to 0, computed as 2 t / (1 - t) with t = tanh(x / 2).
    #[inline(always)]
    fn exp_m1<S: Simd>(s: S, x: S::F) -> S::F {
        let (n, d) = Self::half_tanh(s, s.mul(x, s.splat(0.5)));
        let n = s.add(n, n);
        s.div(s.add(n, n), s.sub(d, n))
    }
}

/// [`Precision::Fast`] as a type.
#[derive(Clone, Copy)]
pub struct Fast;
/// [`Precision::Exact`] as a type.
#[derive(Clone, Copy)]
pub struct Exact;

impl StaticPrecision for Fast {
    #[inline(always)]
    fn half_tanh<S: Simd>(s: S, x: S::F) -> (S::F, S::F) {
        half_tanh_ratio(s, x, TANH_CLAMP, &P, &Q)
    }
    #[inline(always)]
    fn scaled_sigmoid<S: Simd>(s: S, x: S::F, scale: f32) -> (S::F, S::F) {
        let (product, squares) = half_tanh_ratio(s, x, 2.0 * TANH_CLAMP, &P_HALVED, &Q_HALVED);
        if scale == 1.0 {
            (s.mul_add(squares, s.splat(0.5), product), squares)
        } else {
            (s.mul_add(product, s.splat(2.0), squares), squares)
        }
    }
}

impl StaticPrecision for Exact {
    #[inline(always)]
    fn half_tanh<S: Simd>(s: S, x: S::F) -> (S::F, S::F) {
        (s.map(x, |x| 0.5 * f64::from(x).tanh() as f32), s.splat(1.0))
    }
    #[inline(always)]
    fn scaled_sigmoid<S: Simd>(s: S, x: S::F, scale: f32) -> (S::F, S::F) {
        (s.map(x, |x| scale * (1.0 / (1.0 + (-f64::from(x)).exp())) as f32), s.splat(1.0))
    }
    #[inline(always)]
    fn exp_m1<S: Simd>(s: S, x: S::F) -> S::F {
        s.map(x, |x| f64::from(x).exp_m1() as f32)
    }
}

/// Inputs beyond ±9 are clamped: tanh is ±1 within 3e-8 there.
const TANH_CLAMP: f32 = 9.0;
/// Coefficients of the polynomial P, by rising powers of x². With [`Q`]: u = x P(x²) / Q(x²) approximates tanh(x / 2) on 0..9,
/// and 2 u / (1 + u²) is tanh x within 6.8e-9. An error of u hardly matters where tanh x is near ±1, which allows a lower degree
/// and less rounding. Fitted by Lawson's iteratively reweighted least squares on 3000 Chebyshev nodes in f64, weighted by the
/// derivative of tanh x with respect to u; then rounded to f32.
const P: [f32; 3] = [0.5, 0.014_875_917, 5.690_369e-5];
/// Coefficients of the polynomial Q, by rising powers of x²; see [`P`].
const Q: [f32; 4] = [1.0, 0.113_085_08, 0.001_204_288_9, 1.220_306_8e-6];
/// Coefficients of P for half the argument: x P_HALVED(x²) is x / 2 P((x / 2)²), exactly, since only powers of two are
/// multiplied. With them and [`Q_HALVED`], [`half_tanh_ratio`] of x is tanh(x / 2) / 2.
const P_HALVED: [f32; 3] = [P[0] / 2.0, P[1] / 8.0, P[2] / 32.0];
/// Coefficients of Q for half the argument; see [`P_HALVED`].
const Q_HALVED: [f32; 4] = [Q[0], Q[1] / 4.0, Q[2] / 16.0, Q[3] / 64.0];

/// Returns the polynomial with coefficients `c` (by rising powers) at `x`, by Horner's rule.
#[inline(always)]
fn polynomial<S: Simd, const N: usize>(s: S, c: &[f32; N], x: S::F) -> S::F {
    let mut y = s.splat(c[N - 1]);
    for k in (0..N - 1).rev() {
        y = s.mul_add(y, x, s.splat(c[k]));
    }
    y
}

/// Returns tanh(x) / 2 as a ratio. `p` and `q` are the coefficients of P and Q; x is clamped to ±`clamp`. With u = n / d near
/// tanh(x / 2), the numerator is n d and the denominator n² + d², since u / (1 + u²) = tanh(x) / 2.
#[inline(always)]
fn half_tanh_ratio<S: Simd>(s: S, x: S::F, clamp: f32, p: &[f32; 3], q: &[f32; 4]) -> (S::F, S::F) {
    // The square is clamped on its own, so that the processor need not compute the clamped x first.
    let t = s.min(s.mul(x, x), s.splat(clamp * clamp));
    let x = s.max(s.min(x, s.splat(clamp)), s.splat(-clamp));
    let n = s.mul(x, polynomial(s, p, t));
    let d = polynomial(s, q, t);
    (s.mul(n, d), s.mul_add(n, n, s.mul(d, d)))
}

/// Returns tanh(x) within 2.2e-7. The result is odd in x, exceeds ±1 by rounding at most, and is finite for NaN. [any thread]
#[inline(always)]
#[must_use]
pub fn tanh<S: Simd>(s: S, x: S::F) -> S::F {
    Fast::tanh(s, x)
}

/// Returns 1 / (1 + exp(-x)) within 2e-7. The result leaves 0..1 by rounding at most, and is finite for NaN. [any thread]
#[inline(always)]
#[must_use]
pub fn sigmoid<S: Simd>(s: S, x: S::F) -> S::F {
    Fast::sigmoid(s, x)
}

/// Applies an activation in place to samples of one feature channel of a layer. `channel` chooses the slope of a LeakyReLU that
/// has one for each channel. [any thread]
#[inline(always)]
pub fn activate<S: Simd, A: StaticPrecision>(s: S, activation: &Activation, channel: usize, samples: &mut [f32]) {
    let (zero, one) = (s.splat(0.0), s.splat(1.0));
    match activation {
        Activation::Identity => {}
        Activation::Tanh => map_samples(s, samples, |x| A::tanh(s, x)),
        Activation::HardTanh => map_samples(s, samples, |x| s.max(s.min(x, one), s.splat(-1.0))),
        Activation::Relu => map_samples(s, samples, |x| s.max(x, zero)),
        Activation::LeakyRelu(slopes) => {
            let slope = s.splat(slopes[if slopes.len() == 1 { 0 } else { channel }]);
            map_samples(s, samples, |x| s.where_negative(x, s.mul(x, slope), x));
        }
        Activation::Sigmoid => map_samples(s, samples, |x| A::sigmoid(s, x)),
        Activation::Silu => map_samples(s, samples, |x| s.mul(x, A::sigmoid(s, x))),
        Activation::HardSwish => {
            let (three, six, sixth) = (s.splat(3.0), s.splat(6.0), s.splat(1.0 / 6.0));
            map_samples(s, samples, |x| s.mul(s.mul(x, s.max(s.min(s.add(x, three), six), zero)), sixth));
        }
        Activation::LeakyHardTanh { min, max, min_slope, max_slope } => {
            let (min, max, below, above) = (s.splat(*min), s.splat(*max), s.splat(*min_slope), s.splat(*max_slope));
            map_samples(s, samples, |x| {
                let low = s.sub(x, min);
                let high = s.sub(max, x);
                let x = s.where_negative(low, s.mul_add(low, below, min), x);
                s.where_negative(high, s.sub(max, s.mul(high, above)), x)
            });
        }
        Activation::Softsign => map_samples(s, samples, |x| s.div(x, s.add(one, s.max(x, s.sub(zero, x))))),
        Activation::Elu { alpha } => {
            let alpha = s.splat(*alpha);
            map_samples(s, samples, |x| s.where_negative(x, s.mul(alpha, A::exp_m1(s, s.min(x, zero))), x));
        }
    }
}

/// Replaces every sample by `f` of it. Samples at the end that fill no vector go through a padded copy.
#[inline(always)]
fn map_samples<S: Simd>(s: S, samples: &mut [f32], f: impl Fn(S::F) -> S::F) {
    let mut parts = samples.chunks_exact_mut(S::LANES);
    for part in &mut parts {
        // SAFETY: `part` has as many values as a vector.
        unsafe { s.store(part.as_mut_ptr(), f(s.load(part.as_ptr()))) };
    }
    let rest = parts.into_remainder();
    if !rest.is_empty() {
        let mut copy = [0.0; MAX_LANES];
        copy[..rest.len()].copy_from_slice(rest);
        // SAFETY: no level has more lanes than `copy` has values.
        unsafe { s.store(copy.as_mut_ptr(), f(s.load(copy.as_ptr()))) };
        rest.copy_from_slice(&copy[..rest.len()]);
    }
}

/// Lanes of the widest level, [`crate::simd::SimdLevel::Avx512`].
const MAX_LANES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Kernel, SimdLevel};

    /// [`activate`] with an activation, for a channel, on samples, in a precision.
    struct ActivateKernel<'a, A>(&'a Activation, usize, &'a mut [f32], A);
    impl<A: StaticPrecision> Kernel for ActivateKernel<'_, A> {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            activate::<S, A>(s, self.0, self.1, self.2);
        }
    }

    /// -20 to 20 in steps of 1e-5, and values far outside and near 0.
    fn grid() -> Vec<f32> {
        (-2_000_000..2_000_000).map(|i| i as f32 * 1e-5).chain([1e30, -1e30, 1e-30, -1e-30, 0.0]).collect()
    }

    fn sigmoid_f64(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    #[test]
    fn tanh_and_sigmoid_are_within_their_stated_errors_at_every_level() {
        let x = grid();
        for level in SimdLevel::available() {
            for (activation, bound, low, exact) in
                [(Activation::Tanh, 2.2e-7, -1.0, f64::tanh as fn(f64) -> f64), (Activation::Sigmoid, 2e-7, 0.0, sigmoid_f64)]
            {
                let mut y = x.clone();
                level.run(ActivateKernel(&activation, 0, &mut y, Fast));
                let error = x.iter().zip(&y).map(|(x, y)| (exact(f64::from(*x)) - f64::from(*y)).abs()).fold(0.0, f64::max);
                assert!(error < bound, "{level:?} {activation:?} {error:e}");
                let beyond = y.iter().map(|y| (y - 1.0).max(low - y)).fold(0.0, f32::max);
                assert!(beyond <= f32::EPSILON, "{level:?} {activation:?} {beyond:e}");
            }
        }
    }

    #[test]
    fn tanh_is_odd() {
        for level in SimdLevel::available() {
            let mut y: Vec<f32> = grid();
            let mut z: Vec<f32> = y.iter().map(|x| -x).collect();
            level.run(ActivateKernel(&Activation::Tanh, 0, &mut y, Fast));
            level.run(ActivateKernel(&Activation::Tanh, 0, &mut z, Fast));
            assert!(y.iter().zip(&z).all(|(y, z)| *y == -z), "{level:?}");
        }
    }

    #[test]
    fn exact_tanh_and_sigmoid_are_f64_rounded_once() {
        let x = grid();
        for (activation, exact) in [(Activation::Tanh, f64::tanh as fn(f64) -> f64), (Activation::Sigmoid, sigmoid_f64)] {
            let mut y = x.clone();
            SimdLevel::Portable.run(ActivateKernel(&activation, 0, &mut y, Exact));
            assert!(x.iter().zip(&y).all(|(x, y)| exact(f64::from(*x)) as f32 == *y), "{activation:?}");
        }
    }

    #[test]
    fn every_activation_equals_its_formula_for_any_number_of_samples() {
        let silu = |x: f64| x * sigmoid_f64(x);
        let leaky_hard_tanh = |x: f64| match x {
            x if x < -0.75 => -0.75 + 0.125 * (x + 0.75),
            x if x > 0.5 => 0.5 + 0.25 * (x - 0.5),
            x => x,
        };
        let rows: [(Activation, &dyn Fn(f64) -> f64); 11] = [
            (Activation::Identity, &|x| x),
            (Activation::Tanh, &f64::tanh),
            (Activation::HardTanh, &|x| x.clamp(-1.0, 1.0)),
            (Activation::Relu, &|x| x.max(0.0)),
            (Activation::LeakyRelu(vec![0.5, 0.25, 0.125]), &|x| if x < 0.0 { 0.125 * x } else { x }),
            (Activation::Sigmoid, &sigmoid_f64),
            (Activation::Silu, &silu),
            (Activation::HardSwish, &|x| x * (x + 3.0).clamp(0.0, 6.0) / 6.0),
            (Activation::LeakyHardTanh { min: -0.75, max: 0.5, min_slope: 0.125, max_slope: 0.25 }, &leaky_hard_tanh),
            (Activation::Softsign, &|x| x / (1.0 + x.abs())),
            (Activation::Elu { alpha: 1.5 }, &|x| if x < 0.0 { 1.5 * x.exp_m1() } else { x }),
        ];
        for level in SimdLevel::available() {
            for (activation, formula) in &rows {
                for length in [0, 1, 7, 8, 9, 16, 31, 1001] {
                    let x: Vec<f32> = (0..length).map(|i| (i as f32 - 0.5 * length as f32) * 12.0 / length as f32).collect();
                    let (mut fast, mut exact) = (x.clone(), x.clone());
                    level.run(ActivateKernel(activation, 2, &mut fast, Fast));
                    level.run(ActivateKernel(activation, 2, &mut exact, Exact));
                    for (x, y) in x.iter().zip(&fast).chain(x.iter().zip(&exact)) {
                        let error = (formula(f64::from(*x)) - f64::from(*y)).abs();
                        assert!(error < 3e-7 * f64::from(x.abs().max(1.0)), "{level:?} {activation:?} at {x}: {error:e}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_single_slope_is_used_for_every_channel() {
        let mut x = [-2.0; 3];
        SimdLevel::Portable.run(ActivateKernel(&Activation::LeakyRelu(vec![0.01]), 7, &mut x, Fast));
        assert_eq!(x, [-0.02; 3]);
    }

    #[test]
    fn tanh_and_sigmoid_of_nan_are_finite() {
        for level in SimdLevel::available() {
            for activation in [Activation::Tanh, Activation::Sigmoid] {
                let mut x = vec![f32::NAN; 16];
                level.run(ActivateKernel(&activation, 0, &mut x, Fast));
                assert!(x.iter().all(|x| x.is_finite()), "{level:?}");
            }
        }
    }
}
