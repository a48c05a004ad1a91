//! Frames of interleaved samples to columns of one channel each.

/// Channels that are turned at a time.
pub const GROUP: usize = 8;

/// Frames that are turned, and then converted, at a time: with 32 channels they fit into the processor's first cache.
pub const TILE: usize = 256;

/// Samples of [`GROUP`] channels, one column each; the first samples of each column are used.
pub type Columns = [[u32; TILE]; GROUP];

/// Copies [`GROUP`] neighbouring channels of `frames` frames to the columns. `stride` is the distance of two frames in bytes.
///
/// # Panics
/// If there are more frames than a column holds.
///
/// # Safety
/// `from` points to the first channel's sample in the first frame. Each frame has [`GROUP`] samples of 4 bytes, one after the
/// other, which may be read; they need not be aligned.
pub unsafe fn transpose(from: *const u8, stride: isize, frames: usize, columns: &mut Columns) {
    assert!(frames <= TILE, "{frames} frames in a column of {TILE}");
    #[allow(unused_mut)]
    let mut done = 0;
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: AVX2 is there; the caller vouches for the samples.
        done = unsafe { avx2(from, stride, frames, columns) };
    }
    for (channel, column) in columns.iter_mut().enumerate() {
        for (frame, sample) in column[..frames].iter_mut().enumerate().skip(done) {
            // SAFETY: the caller vouches for the samples; the distances do not overflow, because they lie within one array.
            *sample = unsafe { from.offset(frame.cast_signed() * stride).add(4 * channel).cast::<u32>().read_unaligned() };
        }
    }
}

/// Does the work of [`transpose`] for whole groups of 8 frames, and returns the number of frames in them.
///
/// # Safety
/// As of [`transpose`]; a column has room for the frames.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn avx2(from: *const u8, stride: isize, frames: usize, columns: &mut Columns) -> usize {
    use std::arch::x86_64::{
        __m256, _mm_loadu_ps, _mm256_castps128_ps256, _mm256_insertf128_ps, _mm256_shuffle_ps, _mm256_storeu_ps,
        _mm256_unpackhi_ps, _mm256_unpacklo_ps,
    };

    let whole = frames / 8 * 8;
    for first in (0..whole).step_by(8) {
        for half in 0..2 {
            // Frames `row` and `row + 4`, four channels of each: unpacking and shuffling stay within these halves of a vector.
            let pair = |row: usize| -> __m256 {
                // SAFETY: the caller vouches for 8 samples in each frame, and 4 of them are read from channel 0 or 4 on.
                unsafe {
                    let at = |frame: usize| _mm_loadu_ps(from.offset(frame.cast_signed() * stride).add(16 * half).cast());
                    _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(at(first + row)), at(first + row + 4))
                }
            };
            let (a, b, c, d) = (pair(0), pair(1), pair(2), pair(3));
            let (ab_low, ab_high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
            let (cd_low, cd_high) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
            let turned = [
                _mm256_shuffle_ps::<0x44>(ab_low, cd_low),
                _mm256_shuffle_ps::<0xEE>(ab_low, cd_low),
                _mm256_shuffle_ps::<0x44>(ab_high, cd_high),
                _mm256_shuffle_ps::<0xEE>(ab_high, cd_high),
            ];
            for (column, samples) in columns[4 * half..].iter_mut().zip(turned) {
                // SAFETY: the 8 frames from `first` on lie within the column.
                unsafe { _mm256_storeu_ps(column.as_mut_ptr().add(first).cast(), samples) };
            }
        }
    }
    whole
}
