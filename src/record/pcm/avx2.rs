//! Conversion to 24-bit files with AVX2: 256-bit vectors and byte shuffles of x86-64.

use super::ConversionCounts;
use std::arch::x86_64::{
    __m256i, _CMP_NEQ_UQ, _CMP_ORD_Q, _mm256_add_epi32, _mm256_and_ps, _mm256_and_si256, _mm256_cmp_ps, _mm256_cmpgt_epi32,
    _mm256_cvtps_epi32, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_maskstore_epi32, _mm256_max_ps, _mm256_min_epi32,
    _mm256_min_ps, _mm256_movemask_ps, _mm256_mul_ps, _mm256_permutevar8x32_epi32, _mm256_set1_epi32, _mm256_set1_ps,
    _mm256_setr_epi8, _mm256_setr_epi32, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_slli_epi32, _mm256_srai_epi32,
    _mm256_srli_epi32, _mm256_storeu_si256, _mm256_sub_epi32,
};

/// Samples per vector.
const LANES: usize = 8;

/// Sum of the lanes as unsigned integers.
#[target_feature(enable = "avx2")]
fn sum(lanes: __m256i) -> u64 {
    let mut out = [0_u32; LANES];
    // SAFETY: the array is one vector long.
    unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), lanes) };
    out.iter().map(|n| u64::from(*n)).sum()
}

/// Moves the low 3 bytes of each lane together into the low 24 bytes.
#[target_feature(enable = "avx2")]
fn pack(codes: __m256i) -> __m256i {
    let low_bytes = _mm256_setr_epi8(
        0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1, 0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1,
    );
    _mm256_permutevar8x32_epi32(_mm256_shuffle_epi8(codes, low_bytes), _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 3, 7))
}

/// Stores packed vector `i` of `n`. All 32 bytes are written, of which the next vector overwrites the last 8; of the last vector
/// only 24 bytes are written.
///
/// # Safety
/// `out` must have 24 bytes for each of the `n` vectors, and `i` must be below `n`.
#[target_feature(enable = "avx2")]
unsafe fn store(out: &mut [u8], i: usize, n: usize, packed: __m256i) {
    // SAFETY: `i` is below `n`; 32 bytes from any vector but the last end within the next one's 24.
    unsafe {
        let to = out.as_mut_ptr().add(i * 3 * LANES);
        if i + 1 < n {
            _mm256_storeu_si256(to.cast(), packed);
        } else {
            _mm256_maskstore_epi32(to.cast(), _mm256_setr_epi32(-1, -1, -1, -1, -1, -1, 0, 0), packed);
        }
    }
}

/// Converts floats, as many as fill whole vectors. Returns their number and the counts.
///
/// # Safety
/// `out` must have 3 bytes for each word.
#[target_feature(enable = "avx2")]
pub unsafe fn float_to_24(words: &[u32], out: &mut [u8]) -> (usize, ConversionCounts) {
    const FULL_SCALE: f32 = 8_388_608.0;
    let (scale, lowest, highest) = (_mm256_set1_ps(FULL_SCALE), _mm256_set1_ps(-FULL_SCALE), _mm256_set1_ps(FULL_SCALE - 1.0));
    let mut counts = ConversionCounts::default();
    let n = words.len() / LANES;
    for i in 0..n {
        // SAFETY: `n` vectors lie within the words.
        let x = _mm256_mul_ps(unsafe { _mm256_loadu_ps(words.as_ptr().add(i * LANES).cast()) }, scale);
        let mut limited = _mm256_max_ps(_mm256_min_ps(x, highest), lowest);
        let changed = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_NEQ_UQ>(limited, x)).count_ones();
        if changed > 0 {
            // `min` made a NaN the highest code; the mask makes it 0.
            let is_number = _mm256_cmp_ps::<_CMP_ORD_Q>(x, x);
            limited = _mm256_and_ps(limited, is_number);
            let nans = (!_mm256_movemask_ps(is_number) & 0xFF).count_ones();
            counts += ConversionCounts { overs: (changed - nans).into(), nans: nans.into() };
        }
        // Rounds halves to even: the processor's default mode, which Rust does not allow to change.
        let codes = _mm256_cvtps_epi32(limited);
        // SAFETY: `out` has 3 bytes per word.
        unsafe { store(out, i, n, pack(codes)) };
    }
    (n * LANES, counts)
}

/// Like [`float_to_24`], for integers that are shifted left by `UP` bits, 0 or 8, to the top of their word.
///
/// # Safety
/// `out` must have 3 bytes for each word.
#[target_feature(enable = "avx2")]
pub unsafe fn int_to_24<const UP: i32>(words: &[u32], out: &mut [u8]) -> (usize, ConversionCounts) {
    let (highest, half, one) = (_mm256_set1_epi32(0x7FFF_FF00), _mm256_set1_epi32(0x7F), _mm256_set1_epi32(1));
    let mut overs = _mm256_setzero_si256();
    let n = words.len() / LANES;
    for i in 0..n {
        // SAFETY: `n` vectors lie within the words.
        let x = _mm256_slli_epi32::<UP>(unsafe { _mm256_loadu_si256(words.as_ptr().add(i * LANES).cast()) });
        overs = _mm256_sub_epi32(overs, _mm256_cmpgt_epi32(x, highest));
        let limited = _mm256_min_epi32(x, highest);
        let even = _mm256_and_si256(_mm256_srli_epi32::<8>(limited), one);
        let codes = _mm256_srai_epi32::<8>(_mm256_add_epi32(_mm256_add_epi32(limited, half), even));
        // SAFETY: `out` has 3 bytes per word.
        unsafe { store(out, i, n, pack(codes)) };
    }
    (n * LANES, ConversionCounts { overs: sum(overs), nans: 0 })
}
