//! The activations over vectors, fast and exact.

use super::simd::Simd;

/// How tanh and the logistic function are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// By rational approximations: [`tanh`] within 4e-7, [`sigmoid`] within 2e-7.
    #[default]
    Fast,
    /// By the standard library in f64, rounded: for comparisons, many times slower.
    Exact,
}

/// A precision that is known when a kernel is compiled.
pub trait Accuracy: Copy + 'static {
    fn tanh<S: Simd>(s: S, x: S::F) -> S::F;
    fn sigmoid<S: Simd>(s: S, x: S::F) -> S::F;
    fn exp<S: Simd>(s: S, x: S::F) -> S::F;
}

/// [`Precision::Fast`]
#[derive(Clone, Copy)]
pub struct Fast;
/// [`Precision::Exact`]
#[derive(Clone, Copy)]
pub struct Exact;

impl Accuracy for Fast {
    #[inline(always)]
    fn tanh<S: Simd>(s: S, x: S::F) -> S::F {
        tanh(s, x)
    }
    #[inline(always)]
    fn sigmoid<S: Simd>(s: S, x: S::F) -> S::F {
        sigmoid(s, x)
    }
    #[inline(always)]
    fn exp<S: Simd>(s: S, x: S::F) -> S::F {
        s.map(x, f32::exp)
    }
}

impl Accuracy for Exact {
    #[inline(always)]
    fn tanh<S: Simd>(s: S, x: S::F) -> S::F {
        s.map(x, |x| f64::from(x).tanh() as f32)
    }
    #[inline(always)]
    fn sigmoid<S: Simd>(s: S, x: S::F) -> S::F {
        s.map(x, |x| (1.0 / (1.0 + (-f64::from(x)).exp())) as f32)
    }
    #[inline(always)]
    fn exp<S: Simd>(s: S, x: S::F) -> S::F {
        s.map(x, |x| f64::from(x).exp() as f32)
    }
}

/// Beyond this the nearest f32 to tanh is ±1 within 3e-8.
const TANH_CLAMP: f32 = 9.0;
/// tanh x = x P(x²) / Q(x²) on 0..9, absolute error of the fit 1.9e-8; the origin of the numbers stands in `dsp/approximate.rs`.
const TANH_P: [f32; 5] = [0.999_999_9, 0.133_731_92, 0.003_486_574_2, 2.047_170_3e-5, 1.318_404_9e-8];
const TANH_Q: [f32; 5] = [1.0, 0.467_064_9, 0.025_841_95, 0.000_327_137_27, 7.702_591_3e-7];

#[inline(always)]
fn polynomial<S: Simd, const N: usize>(s: S, c: &[f32; N], x: S::F) -> S::F {
    let mut y = s.splat(c[N - 1]);
    for k in (0..N - 1).rev() {
        y = s.mul_add(y, x, s.splat(c[k]));
    }
    y
}

/// Hyperbolic tangent within 4e-7, odd. What is no number becomes one. [audio thread]
#[inline(always)]
#[must_use]
pub fn tanh<S: Simd>(s: S, x: S::F) -> S::F {
    let x = s.max(s.min(x, s.splat(TANH_CLAMP)), s.splat(-TANH_CLAMP));
    let t = s.mul(x, x);
    s.div(s.mul(x, polynomial(s, &TANH_P, t)), polynomial(s, &TANH_Q, t))
}

/// 1 / (1 + exp(-x)) within 2e-7. [audio thread]
#[inline(always)]
#[must_use]
pub fn sigmoid<S: Simd>(s: S, x: S::F) -> S::F {
    let half = s.splat(0.5);
    s.mul_add(tanh(s, s.mul(x, half)), half, half)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::neural::simd::{Kernel, Level};

    struct Run<'a, F>(&'a mut [f32], F);
    trait Function: Copy {
        fn call<S: Simd>(s: S, x: S::F) -> S::F;
    }
    #[derive(Clone, Copy)]
    struct Tanh;
    #[derive(Clone, Copy)]
    struct Sigmoid;
    impl Function for Tanh {
        #[inline(always)]
        fn call<S: Simd>(s: S, x: S::F) -> S::F {
            tanh(s, x)
        }
    }
    impl Function for Sigmoid {
        #[inline(always)]
        fn call<S: Simd>(s: S, x: S::F) -> S::F {
            sigmoid(s, x)
        }
    }
    impl<F: Function> Kernel for Run<'_, F> {
        type Output = ();
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            let _ = self.1;
            for part in self.0.chunks_exact_mut(S::LANES) {
                // SAFETY: `part` has that many values.
                unsafe { s.store(part.as_mut_ptr(), F::call(s, s.load(part.as_ptr()))) };
            }
        }
    }

    fn worst<F: Function>(level: Level, f: F, exact: impl Fn(f64) -> f64) -> f64 {
        let x: Vec<f32> = (-2_000_000..2_000_000).map(|i| i as f32 * 1e-5).chain([1e30, -1e30, 1e-30, 0.0].repeat(4)).collect();
        let mut y = x.clone();
        level.run(Run(&mut y, f));
        x.iter().zip(&y).map(|(x, y)| (exact(f64::from(*x)) - f64::from(*y)).abs()).fold(0.0, f64::max)
    }

    #[test]
    fn tanh_and_sigmoid_are_within_their_stated_errors_at_every_level() {
        for level in Level::available() {
            let error = worst(level, Tanh, f64::tanh);
            assert!(error < 4e-7, "{level:?} tanh {error:e}");
            let error = worst(level, Sigmoid, |x| 1.0 / (1.0 + (-x).exp()));
            assert!(error < 2e-7, "{level:?} sigmoid {error:e}");
        }
    }

    #[test]
    fn what_is_no_number_does_not_get_through() {
        for level in Level::available() {
            let mut x = vec![f32::NAN; 16];
            level.run(Run(&mut x, Tanh));
            assert!(x.iter().all(|x| x.is_finite()), "{level:?}");
        }
    }
}
