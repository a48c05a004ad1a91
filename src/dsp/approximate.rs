//! Fast approximations of functions, without branches, so that loops over them vectorise.
//!
//! The functions use no fused multiply-add and no library call: every machine and every SIMD level gives the same bits. The
//! coefficients are minimax fits (Lawson's iteratively reweighted least squares on 600 to 1500 Chebyshev nodes, in f64,
//! against references of 40 digits), rounded to f32; the tests check the stated errors.

/// Magnitude from which tanh is ±1 within 3e-8.
const TANH_CLAMP: f32 = 9.0;
/// tanh x = x P(x²) / Q(x²) on 0..9, absolute error of the fit 1.9e-8.
const TANH_P: [f32; 5] = [0.999_999_9, 0.133_731_92, 0.003_486_574_2, 2.047_170_3e-5, 1.318_404_9e-8];
const TANH_Q: [f32; 5] = [1.0, 0.467_064_9, 0.025_841_95, 0.000_327_137_27, 7.702_591_3e-7];
/// ln(1 + t) = t P(t) on 0..1, error of the fit 4e-9.
const LN_1P: [f32; 10] = [
    1.0,
    -0.499_999_14,
    0.333_302_77,
    -0.249_573_47,
    0.196_924_54,
    -0.153_532_76,
    0.106_845_334,
    -0.057_759_102,
    0.020_277_748,
    -0.003_338_726,
];
/// atanh(p) / p = P(p²) for |p| up to tanh ½, error of the fit 7e-9.
const ATANH: [f32; 6] = [1.0, 0.333_335_7, 0.199_875_5, 0.145_235_17, 0.091_023_25, 0.164_653_97];

/// The polynomial with coefficients `c`, constant first, at `x`, by Horner's scheme.
#[inline(always)]
fn polynomial<const N: usize>(c: &[f32; N], x: f32) -> f32 {
    let mut y = c[N - 1];
    for k in (0..N - 1).rev() {
        y = y * x + c[k];
    }
    y
}

/// tanh(x) / x for |x| up to [`TANH_CLAMP`]; 1 at 0.
#[inline(always)]
fn tanh_over_x(x: f32) -> f32 {
    let t = x * x;
    polynomial(&TANH_P, t) / polynomial(&TANH_Q, t)
}

/// Hyperbolic tangent: absolute error below 4e-7 for every finite `x`, odd, never beyond ±1. [any thread]
#[inline(always)]
#[must_use]
pub fn tanh(x: f32) -> f32 {
    let x = x.clamp(-TANH_CLAMP, TANH_CLAMP);
    (x * tanh_over_x(x)).clamp(-1.0, 1.0)
}

/// Largest half difference of two arguments for which the product form of [`mean_tanh`] is used.
const NEAR: f32 = 0.5;

/// The mean of tanh between `u0` and `u1`, for first-order antiderivative antialiasing (Parker et al., DAFx-16), without the
/// numerical cancellation of the textbook formula. Absolute error below 1e-6 for arguments up to a thousand. [any thread]
///
/// With m and d the half sum and half difference, ln(cosh u1 / cosh u0) / 2d = atanh(tanh m · tanh d) / d, which needs no
/// difference of large numbers and no special case where u1 is near u0. For |d| above ½ the textbook formula is accurate enough
/// if ln cosh u = |u| - ln(1 + tanh |u|) + constant is split, so that the difference of |u| is taken before anything is rounded.
#[inline(always)]
#[must_use]
pub fn mean_tanh(u0: f32, u1: f32) -> f32 {
    let m = 0.5 * (u0 + u1);
    let d = 0.5 * (u1 - u0);
    let near = {
        let d = d.clamp(-NEAR, NEAR);
        let ratio = tanh_over_x(d);
        let tanh_m = tanh(m);
        let p = tanh_m * (d * ratio);
        tanh_m * ratio * polynomial(&ATANH, p * p)
    };
    let far = {
        let (a0, a1) = (u0.abs(), u1.abs());
        let (t0, t1) = (tanh(a0), tanh(a1));
        let logs = t1 * polynomial(&LN_1P, t1) - t0 * polynomial(&LN_1P, t0);
        ((a1 - a0) - logs) / (2.0 * if d.abs() > NEAR { d } else { 1.0 })
    };
    if d.abs() > NEAR { far } else { near }
}

/// Limits `x` to `low..=high`, like `f32::clamp` without its assertion, which keeps loops from vectorising. [any thread]
#[inline(always)]
#[must_use]
pub fn limit(x: f32, low: f32, high: f32) -> f32 {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

/// The nearest integer, ties to even, for every finite `x`, like `f32::round_ties_even` without its library call on baseline
/// x86-64. [any thread]
#[inline(always)]
#[must_use]
pub fn round_ties_even(x: f32) -> f32 {
    /// 2^23, the magnitude from which every f32 is an integer: adding and subtracting it rounds a smaller number.
    const ALL_INTEGERS: f32 = 8_388_608.0;
    let t = x.abs();
    let r = (t + ALL_INTEGERS) - ALL_INTEGERS;
    (if t < ALL_INTEGERS { r } else { t }).copysign(x)
}

/// The largest integer not above `x`, for |x| below 2³¹. [any thread]
#[inline(always)]
#[must_use]
pub fn floor(x: f32) -> f32 {
    let r = round_ties_even(x);
    if r > x { r - 1.0 } else { r }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(limit: f32, n: usize) -> impl Iterator<Item = f32> {
        (0..=n).map(move |i| limit * (2.0 * i as f32 / n as f32 - 1.0))
    }

    #[test]
    fn tanh_is_within_its_stated_error_and_odd() {
        let mut worst = 0.0f64;
        for x in grid(12.0, 1_000_000).chain([1e30, 300.0, 1e-20, 0.0]) {
            worst = worst.max((f64::from(tanh(x)) - f64::from(x).tanh()).abs());
            assert_eq!(tanh(-x), -tanh(x));
            assert!(tanh(x).abs() <= 1.0);
        }
        assert!(worst < 4e-7, "{worst:e}");
    }

    /// The mean of tanh in f64, by the textbook formula where it is accurate and by Simpson's rule where it cancels.
    fn mean_tanh_f64(a: f64, b: f64) -> f64 {
        let ln_cosh = |u: f64| u.abs() + (-2.0 * u.abs()).exp().ln_1p() - std::f64::consts::LN_2;
        if (b - a).abs() > 0.1 {
            (ln_cosh(b) - ln_cosh(a)) / (b - a)
        } else {
            let n = 16;
            let h = (b - a) / f64::from(n);
            let f = |i: i32| (a + h * f64::from(i)).tanh();
            let inner: f64 = (1..n).map(|i| f(i) * if i % 2 == 1 { 4.0 } else { 2.0 }).sum();
            (f(0) + inner + f(n)) / (3.0 * f64::from(n))
        }
    }

    #[test]
    fn the_mean_of_tanh_is_within_its_stated_error() {
        let mut worst = (0.0f64, 0.0, 0.0);
        let differences = [0.0f32, 1e-30, 1e-9, 1e-6, 1e-4, 0.01, 0.3, 0.999, 0.9999, 1.0001, 1.5, 3.0, 17.0, 250.0];
        for u0 in grid(20.0, 4000).chain(grid(500.0, 400)) {
            for d in differences.iter().flat_map(|d| [*d, -*d]) {
                let u1 = u0 + d;
                let error = (f64::from(mean_tanh(u0, u1)) - mean_tanh_f64(u0.into(), u1.into())).abs();
                if error > worst.0 {
                    worst = (error, u0, u1);
                }
            }
        }
        assert!(worst.0 < 1e-6, "{worst:?}");
    }

    #[test]
    fn rounding_is_to_nearest_ties_to_even() {
        for x in grid(40.0, 3200).chain(grid(1e7, 100_001)).chain([0.5, 1.5, 2.5, 8_388_607.5, 8_388_609.0, 3e9, f32::MAX]) {
            assert_eq!(round_ties_even(x), x.round_ties_even(), "{x}");
            if x.abs() < 1e9 {
                assert_eq!(floor(x), x.floor(), "{x}");
            }
        }
    }
}
