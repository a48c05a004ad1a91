//! Two vectors of a level as one vector. Each operation is done to both in turn, so that the processor works on one while the
//! result for the other is not ready yet.

use crate::simd::{Simd, SimdLevel, sealed};

/// Vectors of twice the lanes of `S`, each a pair of vectors of `S`.
#[derive(Clone, Copy)]
pub struct VectorPair<S>(pub S);

impl<S: Simd> sealed::Sealed for VectorPair<S> {}

impl<S: Simd> Simd for VectorPair<S> {
    type F = [S::F; 2];
    const LANES: usize = 2 * S::LANES;
    const LEVEL: SimdLevel = S::LEVEL;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::F {
        [self.0.splat(x); 2]
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> Self::F {
        // SAFETY: the caller promises twice the lanes of `S`.
        unsafe { [self.0.load(from), self.0.load(from.add(S::LANES))] }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32, v: Self::F) {
        // SAFETY: the caller promises twice the lanes of `S`.
        unsafe {
            self.0.store(to, v[0]);
            self.0.store(to.add(S::LANES), v[1]);
        }
    }
    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        [self.0.add(a[0], b[0]), self.0.add(a[1], b[1])]
    }
    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        [self.0.sub(a[0], b[0]), self.0.sub(a[1], b[1])]
    }
    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        [self.0.mul(a[0], b[0]), self.0.mul(a[1], b[1])]
    }
    #[inline(always)]
    fn div(self, a: Self::F, b: Self::F) -> Self::F {
        [self.0.div(a[0], b[0]), self.0.div(a[1], b[1])]
    }
    #[inline(always)]
    fn mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        [self.0.mul_add(a[0], b[0], c[0]), self.0.mul_add(a[1], b[1], c[1])]
    }
    #[inline(always)]
    fn min(self, a: Self::F, b: Self::F) -> Self::F {
        [self.0.min(a[0], b[0]), self.0.min(a[1], b[1])]
    }
    #[inline(always)]
    fn max(self, a: Self::F, b: Self::F) -> Self::F {
        [self.0.max(a[0], b[0]), self.0.max(a[1], b[1])]
    }
    #[inline(always)]
    fn where_negative(self, x: Self::F, then: Self::F, otherwise: Self::F) -> Self::F {
        [self.0.where_negative(x[0], then[0], otherwise[0]), self.0.where_negative(x[1], then[1], otherwise[1])]
    }
    #[inline(always)]
    fn map(self, x: Self::F, mut f: impl FnMut(f32) -> f32) -> Self::F {
        [self.0.map(x[0], &mut f), self.0.map(x[1], &mut f)]
    }
    #[inline(always)]
    fn swap_halves(self, x: Self::F) -> Self::F {
        [x[1], x[0]]
    }
}
