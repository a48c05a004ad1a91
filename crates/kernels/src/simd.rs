//! Vectors of f32 whose width the machine decides at run time.
//!
//! A kernel is written once, over [`Simd`], and compiled for each [`Level`]; [`Level::run`] enters the one that was chosen. Every
//! level does the same operations on a lane in the same order; AVX2 and AVX-512 give the same bits, the portable level rounds
//! products that the others do not, since it has no fused multiply-add.

/// Instruction sets that kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Eight lanes of plain arithmetic, which the compiler makes into what the target surely has (SSE2, NEON).
    Portable,
    /// 256 bits and fused multiply-add.
    Avx2,
    /// 512 bits.
    Avx512,
}

impl Level {
    /// Every level that this machine can run, slowest first. [any thread but the audio thread]
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

    /// The highest of [`Self::available`] up to `highest`. [any thread but the audio thread]
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
    /// If this machine cannot run the level. Checked on every call; the check is a load and a test.
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

/// Work that is compiled for every level. `run`, and what it calls, must be `#[inline(always)]`: code gets a level's
/// instructions only by being inlined into that level's entry.
pub trait Kernel {
    type Output;
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

/// Vectors of one level. Having a value of this type proves that the machine can run it: only [`Level::run`] makes one.
pub trait Simd: Copy + 'static {
    /// A vector.
    type F: Copy;
    /// Lanes of a vector.
    const LANES: usize;
    const LEVEL: Level;

    fn splat(self, x: f32) -> Self::F;
    /// # Safety
    /// `from` must be good for reading [`Self::LANES`] values; no alignment is needed.
    unsafe fn load(self, from: *const f32) -> Self::F;
    /// # Safety
    /// `to` must be good for writing [`Self::LANES`] values; no alignment is needed.
    unsafe fn store(self, to: *mut f32, v: Self::F);
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    fn div(self, a: Self::F, b: Self::F) -> Self::F;
    /// a b + c, rounded once where the machine can.
    fn mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// The smaller one; `b` if either is no number.
    fn min(self, a: Self::F, b: Self::F) -> Self::F;
    /// The larger one; `b` if either is no number.
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
    /// `then` in the lanes where `x` is below 0, else `otherwise`.
    fn where_negative(self, x: Self::F, then: Self::F, otherwise: Self::F) -> Self::F;
    /// Lane by lane through plain code: for what need not be fast.
    fn map(self, x: Self::F, f: impl FnMut(f32) -> f32) -> Self::F;
    /// The upper half of the lanes in the place of the lower one, and the other way round.
    fn swap_halves(self, x: Self::F) -> Self::F;
}

/// Lanes of [`Portable`].
const PORTABLE_LANES: usize = 8;

#[derive(Clone, Copy)]
pub struct Portable(());

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
    const LEVEL: Level = Level::Portable;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::F {
        [x; PORTABLE_LANES]
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> Self::F {
        // SAFETY: the caller's.
        unsafe { from.cast::<Self::F>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32, v: Self::F) {
        // SAFETY: the caller's.
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
    /// On ARM the fused instruction is always there; elsewhere `f32::mul_add` would be a library call.
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
    use super::{Level, Simd};
    use std::arch::x86_64::{
        __m256, __m512, _CMP_LT_OQ, _mm256_add_ps, _mm256_blendv_ps, _mm256_cmp_ps, _mm256_div_ps, _mm256_fmadd_ps,
        _mm256_loadu_ps, _mm256_max_ps, _mm256_min_ps, _mm256_mul_ps, _mm256_permute2f128_ps, _mm256_set1_ps, _mm256_setzero_ps,
        _mm256_storeu_ps, _mm256_sub_ps, _mm512_add_ps, _mm512_cmp_ps_mask, _mm512_div_ps, _mm512_fmadd_ps, _mm512_loadu_ps,
        _mm512_mask_blend_ps, _mm512_max_ps, _mm512_min_ps, _mm512_mul_ps, _mm512_set1_ps, _mm512_setzero_ps,
        _mm512_shuffle_f32x4, _mm512_storeu_ps, _mm512_sub_ps,
    };

    #[derive(Clone, Copy)]
    pub struct Avx2(pub(super) ());
    #[derive(Clone, Copy)]
    pub struct Avx512(pub(super) ());

    #[inline]
    #[target_feature(enable = "avx2")]
    fn swap256(x: __m256) -> __m256 {
        _mm256_permute2f128_ps::<1>(x, x)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn swap512(x: __m512) -> __m512 {
        _mm512_shuffle_f32x4::<0b01_00_11_10>(x, x)
    }

    macro_rules! level {
        ($level:ident, $vector:ty, $lanes:literal, $splat:ident, $load:ident, $store:ident, $add:ident, $sub:ident, $mul:ident,
         $div:ident, $fma:ident, $min:ident, $max:ident, $swap:ident, |$x:ident, $then:ident, $otherwise:ident| $blend:expr) => {
            // SAFETY, for every block below: a value of this type is only made where its instructions were detected.
            impl Simd for $level {
                type F = $vector;
                const LANES: usize = $lanes;
                const LEVEL: Level = Level::$level;

                #[inline(always)]
                fn splat(self, x: f32) -> Self::F {
                    unsafe { $splat(x) }
                }
                #[inline(always)]
                unsafe fn load(self, from: *const f32) -> Self::F {
                    unsafe { $load(from) }
                }
                #[inline(always)]
                unsafe fn store(self, to: *mut f32, v: Self::F) {
                    unsafe { $store(to, v) }
                }
                #[inline(always)]
                fn add(self, a: Self::F, b: Self::F) -> Self::F {
                    unsafe { $add(a, b) }
                }
                #[inline(always)]
                fn sub(self, a: Self::F, b: Self::F) -> Self::F {
                    unsafe { $sub(a, b) }
                }
                #[inline(always)]
                fn mul(self, a: Self::F, b: Self::F) -> Self::F {
                    unsafe { $mul(a, b) }
                }
                #[inline(always)]
                fn div(self, a: Self::F, b: Self::F) -> Self::F {
                    unsafe { $div(a, b) }
                }
                #[inline(always)]
                fn mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
                    unsafe { $fma(a, b, c) }
                }
                #[inline(always)]
                fn min(self, a: Self::F, b: Self::F) -> Self::F {
                    unsafe { $min(a, b) }
                }
                #[inline(always)]
                fn max(self, a: Self::F, b: Self::F) -> Self::F {
                    unsafe { $max(a, b) }
                }
                #[inline(always)]
                fn where_negative(self, $x: Self::F, $then: Self::F, $otherwise: Self::F) -> Self::F {
                    unsafe { $blend }
                }
                #[inline(always)]
                fn map(self, x: Self::F, f: impl FnMut(f32) -> f32) -> Self::F {
                    let mut lanes = [0.0; $lanes];
                    unsafe {
                        $store(lanes.as_mut_ptr(), x);
                        lanes = lanes.map(f);
                        $load(lanes.as_ptr())
                    }
                }
                #[inline(always)]
                fn swap_halves(self, x: Self::F) -> Self::F {
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
