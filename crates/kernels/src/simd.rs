//! Vectors of f32 whose width is chosen at run time, by the instruction sets that the machine has.
//!
//! A [`Kernel`] is written once, over the trait [`Simd`], and compiled for each [`SimdLevel`]; [`SimdLevel::run`] enters the one
//! that was chosen. Every level does the same operations on a lane in the same order. AVX2 and AVX-512 give the same bits. The
//! portable level does not on x86: it has no fused multiply-add there and rounds the product, too.

/// Instruction sets that kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SimdLevel {
    /// Eight lanes of plain arithmetic, compiled to what every machine of the target has (SSE2, NEON).
    Portable,
    /// AVX2 and FMA: eight lanes (256 bits), fused multiply-add.
    Avx2,
    /// AVX-512F: sixteen lanes (512 bits), fused multiply-add.
    Avx512,
}

impl SimdLevel {
    /// Returns every level that this machine can run, slowest first. [any thread but the audio thread: allocates]
    #[must_use]
    pub fn available() -> Vec<Self> {
        #[allow(unused_mut)]
        let mut levels = vec![Self::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                levels.push(Self::Avx2);
                if is_x86_feature_detected!("avx512f") {
                    levels.push(Self::Avx512);
                }
            }
        }
        levels
    }

    /// Returns the highest level of [`Self::available`] that is not above `highest`. [any thread but the audio thread: allocates]
    #[must_use]
    pub fn best_up_to(highest: Self) -> Self {
        Self::available().into_iter().rfind(|level| *level <= highest).unwrap_or(Self::Portable)
    }

    /// Lanes of a vector. [any thread]
    #[must_use]
    pub fn lanes(self) -> usize {
        match self {
            Self::Portable | Self::Avx2 => 8,
            Self::Avx512 => 16,
        }
    }

    /// Runs a kernel at this level. [audio thread]
    ///
    /// # Panics
    /// If this machine cannot run the level. This is checked on every call; the check is a load and a test.
    #[inline]
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self {
            Self::Portable => kernel.run(Portable(())),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => {
                assert!(is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"), "no AVX2");
                // SAFETY: the features were detected.
                unsafe { run_avx2(kernel) }
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                assert!(is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("fma"), "no AVX-512");
                // SAFETY: the features were detected.
                unsafe { run_avx512(kernel) }
            }
            #[cfg(not(target_arch = "x86_64"))]
            _ => panic!("{self:?} is of another processor"),
        }
    }
}

/// Work that is compiled for every level. [`run`](Self::run), and what it calls, must be `#[inline(always)]`: code gets a level's
/// instructions only by being inlined into that level's entry ([`SimdLevel::run`]).
pub trait Kernel {
    /// The result of the work.
    type Output;
    /// Does the work with vectors of type [`Simd::F`]. [`SimdLevel::run`] calls it.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn run_avx2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx2(()))
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2,fma")]
fn run_avx512<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx512(()))
}

/// Seals [`Simd`]: only this package can implement it, since kernels with `unsafe` code rely on what its implementations do.
pub(crate) mod sealed {
    /// The supertrait that no other package can name.
    pub trait Sealed {}
}

/// Arithmetic on the vectors of one level. A value of an implementing type proves that the machine can run the level: only
/// [`SimdLevel::run`] makes one. The trait is sealed. All methods are for [any thread].
pub trait Simd: sealed::Sealed + Copy + 'static {
    /// A vector of [`Self::LANES`] f32 values.
    type F: Copy;
    /// Lanes (values) of a vector.
    const LANES: usize;
    /// The level that the instructions belong to.
    const LEVEL: SimdLevel;

    /// Returns `x` in every lane.
    fn splat(self, x: f32) -> Self::F;
    /// Reads a vector from memory.
    ///
    /// # Safety
    /// `from` must be valid for reading [`Self::LANES`] values; no alignment beyond that of f32 is needed.
    unsafe fn load(self, from: *const f32) -> Self::F;
    /// Writes a vector to memory.
    ///
    /// # Safety
    /// `to` must be valid for writing [`Self::LANES`] values; no alignment beyond that of f32 is needed.
    unsafe fn store(self, to: *mut f32, v: Self::F);
    /// Returns a + b, lane by lane.
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    /// Returns a - b, lane by lane.
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    /// Returns a b, lane by lane.
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    /// Returns a / b, lane by lane.
    fn div(self, a: Self::F, b: Self::F) -> Self::F;
    /// Returns a b + c, lane by lane, rounded once where the level has a fused multiply-add, else twice.
    fn mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// Returns the smaller value of each lane; the value of `b` if either is NaN.
    fn min(self, a: Self::F, b: Self::F) -> Self::F;
    /// Returns the larger value of each lane; the value of `b` if either is NaN.
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
    /// Returns `then` in the lanes where `x` is below 0, and `otherwise` in the others (0, -0 and NaN, too).
    fn where_negative(self, x: Self::F, then: Self::F, otherwise: Self::F) -> Self::F;
    /// Returns `f` of every lane, computed one after another in scalar code, which is slow.
    fn map(self, x: Self::F, f: impl FnMut(f32) -> f32) -> Self::F;
    /// Returns `x` with the lower and the upper half of its lanes exchanged.
    fn swap_halves(self, x: Self::F) -> Self::F;
}

/// Lanes of [`Portable`].
const PORTABLE_LANES: usize = 8;

/// The vectors of [`SimdLevel::Portable`]: arrays of eight values.
#[derive(Clone, Copy)]
pub struct Portable(());

impl sealed::Sealed for Portable {}

/// Returns `f` of the values of `a` and `b`, lane by lane.
#[inline(always)]
fn zip(a: [f32; PORTABLE_LANES], b: [f32; PORTABLE_LANES], f: impl Fn(f32, f32) -> f32) -> [f32; PORTABLE_LANES] {
    let mut out = a;
    for i in 0..PORTABLE_LANES {
        out[i] = f(a[i], b[i]);
    }
    out
}

impl Simd for Portable {
    type F = [f32; PORTABLE_LANES];
    const LANES: usize = PORTABLE_LANES;
    const LEVEL: SimdLevel = SimdLevel::Portable;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::F {
        [x; PORTABLE_LANES]
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> Self::F {
        // SAFETY: the caller promises what this function's own `# Safety` asks for.
        unsafe { from.cast::<Self::F>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32, v: Self::F) {
        // SAFETY: the caller promises what this function's own `# Safety` asks for.
        unsafe { to.cast::<Self::F>().write_unaligned(v) }
    }
    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a / b)
    }
    /// Rounds once on 64-bit ARM, where every machine has the instruction. Elsewhere `f32::mul_add` would be a library call.
    #[inline(always)]
    fn mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        let mut out = c;
        for i in 0..PORTABLE_LANES {
            out[i] = if cfg!(target_arch = "aarch64") { a[i].mul_add(b[i], c[i]) } else { a[i] * b[i] + c[i] };
        }
        out
    }
    #[inline(always)]
    fn min(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn max(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn where_negative(self, x: Self::F, then: Self::F, otherwise: Self::F) -> Self::F {
        let mut out = x;
        for i in 0..PORTABLE_LANES {
            out[i] = if x[i] < 0.0 { then[i] } else { otherwise[i] };
        }
        out
    }
    #[inline(always)]
    fn map(self, x: Self::F, f: impl FnMut(f32) -> f32) -> Self::F {
        x.map(f)
    }
    #[inline(always)]
    fn swap_halves(self, [a, b, c, d, e, f, g, h]: Self::F) -> Self::F {
        [e, f, g, h, a, b, c, d]
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Simd, SimdLevel, sealed};
    use std::arch::x86_64::{
        __m256, __m512, _CMP_LT_OQ, _mm256_add_ps, _mm256_blendv_ps, _mm256_cmp_ps, _mm256_div_ps, _mm256_fmadd_ps,
        _mm256_loadu_ps, _mm256_max_ps, _mm256_min_ps, _mm256_mul_ps, _mm256_permute2f128_ps, _mm256_set1_ps, _mm256_setzero_ps,
        _mm256_storeu_ps, _mm256_sub_ps, _mm512_add_ps, _mm512_cmp_ps_mask, _mm512_div_ps, _mm512_fmadd_ps, _mm512_loadu_ps,
        _mm512_mask_blend_ps, _mm512_max_ps, _mm512_min_ps, _mm512_mul_ps, _mm512_set1_ps, _mm512_setzero_ps,
        _mm512_shuffle_f32x4, _mm512_storeu_ps, _mm512_sub_ps,
    };

    /// The vectors of [`SimdLevel::Avx2`]: 256-bit registers.
    #[derive(Clone, Copy)]
    pub struct Avx2(pub(super) ());
    /// The vectors of [`SimdLevel::Avx512`]: 512-bit registers.
    #[derive(Clone, Copy)]
    pub struct Avx512(pub(super) ());

    /// Returns `x` with its 128-bit halves exchanged.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn swap256(x: __m256) -> __m256 {
        _mm256_permute2f128_ps::<1>(x, x)
    }

    /// Returns `x` with its 256-bit halves exchanged.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn swap512(x: __m512) -> __m512 {
        _mm512_shuffle_f32x4::<0b01_00_11_10>(x, x)
    }

    /// Implements [`Simd`] for a level by its instructions.
    macro_rules! level {
        ($level:ident, $vector:ty, $lanes:literal, $splat:ident, $load:ident, $store:ident, $add:ident, $sub:ident, $mul:ident,
         $div:ident, $fma:ident, $min:ident, $max:ident, $swap:ident, |$x:ident, $then:ident, $otherwise:ident| $blend:expr) => {
            impl sealed::Sealed for $level {}

            impl Simd for $level {
                type F = $vector;
                const LANES: usize = $lanes;
                const LEVEL: SimdLevel = SimdLevel::$level;

                #[inline(always)]
                fn splat(self, x: f32) -> Self::F {
                    // SAFETY: a value of this type is only made where its instructions were detected.
                    unsafe { $splat(x) }
                }
                #[inline(always)]
                unsafe fn load(self, from: *const f32) -> Self::F {
                    // SAFETY: a value of this type is only made where its instructions were detected; the pointer is valid (see
                    // the trait).
                    unsafe { $load(from) }
                }
                #[inline(always)]
                unsafe fn store(self, to: *mut f32, v: Self::F) {
                    // SAFETY: a value of this type is only made where its instructions were detected; the pointer is valid (see
                    // the trait).
                    unsafe { $store(to, v) }
                }
                #[inline(always)]
                fn add(self, a: Self::F, b: Self::F) -> Self::F {
                    // SAFETY: a value of this type is only made where its instructions were detected.
                    unsafe { $add(a, b) }
                }
                #[inline(always)]
                fn sub(self, a: Self::F, b: Self::F) -> Self::F {
                    // SAFETY: a value of this type is only made where its instructions were detected.
                    unsafe { $sub(a, b) }
                }
                #[inline(always)]
                fn mul(self, a: Self::F, b: Self::F) -> Self::F {
                    // SAFETY: a value of this type is only made where its instructions were detected.
                    unsafe { $mul(a, b) }
                }
                #[inline(always)]
                fn div(self, a: Self::F, b: Self::F) -> Self::F {
                    // SAFETY: a value of this type is only made where its instructions were detected.
                    unsafe { $div(a, b) }
                }
                #[inline(always)]
                fn mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
                    // SAFETY: a value of this type is only made where its instructions were detected.
                    unsafe { $fma(a, b, c) }
                }
                #[inline(always)]
                fn min(self, a: Self::F, b: Self::F) -> Self::F {
                    // SAFETY: a value of this type is only made where its instructions were detected.
                    unsafe { $min(a, b) }
                }
                #[inline(always)]
                fn max(self, a: Self::F, b: Self::F) -> Self::F {
                    // SAFETY: a value of this type is only made where its instructions were detected.
                    unsafe { $max(a, b) }
                }
                #[inline(always)]
                fn where_negative(self, $x: Self::F, $then: Self::F, $otherwise: Self::F) -> Self::F {
                    // SAFETY: a value of this type is only made where its instructions were detected.
                    unsafe { $blend }
                }
                #[inline(always)]
                fn map(self, x: Self::F, f: impl FnMut(f32) -> f32) -> Self::F {
                    let mut lanes = [0.0; $lanes];
                    // SAFETY: a value of this type is only made where its instructions were detected; `lanes` has as many values.
                    unsafe {
                        $store(lanes.as_mut_ptr(), x);
                        lanes = lanes.map(f);
                        $load(lanes.as_ptr())
                    }
                }
                #[inline(always)]
                fn swap_halves(self, x: Self::F) -> Self::F {
                    // SAFETY: a value of this type is only made where its instructions were detected.
                    unsafe { $swap(x) }
                }
            }
        };
    }

    level!(
        Avx2,
        __m256,
        8,
        _mm256_set1_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_add_ps,
        _mm256_sub_ps,
        _mm256_mul_ps,
        _mm256_div_ps,
        _mm256_fmadd_ps,
        _mm256_min_ps,
        _mm256_max_ps,
        swap256,
        |x, then, otherwise| _mm256_blendv_ps(otherwise, then, _mm256_cmp_ps::<_CMP_LT_OQ>(x, _mm256_setzero_ps()))
    );
    level!(
        Avx512,
        __m512,
        16,
        _mm512_set1_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_add_ps,
        _mm512_sub_ps,
        _mm512_mul_ps,
        _mm512_div_ps,
        _mm512_fmadd_ps,
        _mm512_min_ps,
        _mm512_max_ps,
        swap512,
        |x, then, otherwise| _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(x, _mm512_setzero_ps()), otherwise, then)
    );
}
#[cfg(target_arch = "x86_64")]
pub use x86::{Avx2, Avx512};
