//! The five sample types and the rule that converts between them.

use std::fmt::Debug;

/// A 24-bit integer sample, -8 388 608 to 8 388 607, in four bytes (dasp's).
pub use dasp::sample::types::I24;

mod sealed {
    pub trait Sealed {}
    impl Sealed for i16 {}
    impl Sealed for super::I24 {}
    impl Sealed for i32 {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// A type of sample: `i16`, [`I24`], `i32`, `f32` or `f64`.
///
/// A sample of any type represents a value, where 1 is full scale:
/// - an integer of `n` bits represents its code (the integer) divided by 2^(n-1), so -1 to 1 - 2^(1-n),
/// - a float represents itself.
///
/// A value becomes an integer sample by multiplication with 2^(n-1), rounding to the nearest code (halves to the even one) and
/// limiting to the range of codes; NaN becomes 0. It becomes a float sample by rounding to the nearest float. Conversions go
/// through `f64`, which holds every value of every type exactly. Hence conversion to a wider type is exact: `i16` to [`I24`] to
/// `i32` are shifts, every 24-bit code survives `f32`, every 32-bit code survives `f64`.
///
/// The crate `dasp` has another rule: it truncates towards zero and overflows above full scale.
///
/// All methods: [any thread], nothing allocated.
pub trait Sample: sealed::Sealed + Copy + Debug + Default + PartialEq + PartialOrd + Send + Sync + 'static {
    /// The type's name in messages, such as `24-bit integer`.
    const NAME: &'static str;
    /// Significant bits: 16, 24 or 32 of an integer, 24 (`f32`) or 53 (`f64`) of a float's mantissa.
    const BITS: u32;
    /// True if the type is a float, which may exceed full scale.
    const FLOAT: bool;
    /// Silence.
    const ZERO: Self;

    /// The value, where 1 is full scale; exact.
    fn to_f64(self) -> f64;

    /// The sample nearest to `value`, where 1 is full scale, by the rule above.
    fn from_f64(value: f64) -> Self;

    /// True if the sample is neither NaN nor infinite; true for every integer.
    fn is_finite(self) -> bool {
        self.to_f64().is_finite()
    }
}

/// The code of full scale, one above the highest code: 2^15, 2^23 and 2^31.
const FULL_SCALE_16: f64 = 32_768.0;
const FULL_SCALE_24: f64 = 8_388_608.0;
const FULL_SCALE_32: f64 = 2_147_483_648.0;

/// The nearest code, ties to even, limited to the range of codes. `as` makes NaN 0.
#[inline]
fn code(value: f64, full_scale: f64) -> i32 {
    (value * full_scale).round_ties_even().clamp(-full_scale, full_scale - 1.0) as i32
}

impl Sample for i16 {
    const NAME: &'static str = "16-bit integer";
    const BITS: u32 = 16;
    const FLOAT: bool = false;
    const ZERO: Self = 0;

    #[inline]
    fn to_f64(self) -> f64 {
        f64::from(self) / FULL_SCALE_16
    }

    #[inline]
    fn from_f64(value: f64) -> Self {
        code(value, FULL_SCALE_16) as i16
    }
}

impl Sample for I24 {
    const NAME: &'static str = "24-bit integer";
    const BITS: u32 = 24;
    const FLOAT: bool = false;
    const ZERO: Self = dasp::sample::types::i24::EQUILIBRIUM;

    #[inline]
    fn to_f64(self) -> f64 {
        f64::from(self.inner()) / FULL_SCALE_24
    }

    #[inline]
    fn from_f64(value: f64) -> Self {
        // `code` stays within 24 bits.
        I24::new_unchecked(code(value, FULL_SCALE_24))
    }
}

impl Sample for i32 {
    const NAME: &'static str = "32-bit integer";
    const BITS: u32 = 32;
    const FLOAT: bool = false;
    const ZERO: Self = 0;

    #[inline]
    fn to_f64(self) -> f64 {
        f64::from(self) / FULL_SCALE_32
    }

    #[inline]
    fn from_f64(value: f64) -> Self {
        code(value, FULL_SCALE_32)
    }
}

impl Sample for f32 {
    const NAME: &'static str = "32-bit float";
    const BITS: u32 = 24;
    const FLOAT: bool = true;
    const ZERO: Self = 0.0;

    #[inline]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }

    #[inline]
    fn from_f64(value: f64) -> Self {
        value as f32
    }
}

impl Sample for f64 {
    const NAME: &'static str = "64-bit float";
    const BITS: u32 = 53;
    const FLOAT: bool = true;
    const ZERO: Self = 0.0;

    #[inline]
    fn to_f64(self) -> f64 {
        self
    }

    #[inline]
    fn from_f64(value: f64) -> Self {
        value
    }
}
