//! Samples as a source gives them, as the bytes of a file.
//!
//! Both sources are 32-bit words: a float's bits or an integer. A value is what [`Sample`](crate::audio::Sample) says it is. Back
//! from a value: times 2^(n-1), rounded to the nearest code, halves to even, limited to the codes there are; NaN becomes 0. A
//! sample beyond the highest or lowest code is an over. No dither: it would break bit-exactness.
//!
//! Every level gives the same bytes and counts. All functions: [any thread], nothing allocated.

use crate::audio::Format;

/// What the 32-bit words of a source are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Words {
    /// Floats, full scale 1.
    Float,
    /// Integers of 32 bits, or of fewer at the top of 32, as most devices give them.
    Int32,
    /// Integers of 24 bits at the bottom of 32; the top byte is ignored.
    Int24,
}

impl Words {
    /// The value of a word, where 1 is full scale; rounded to a float.
    #[inline]
    #[must_use]
    pub fn value(self, word: u32) -> f32 {
        const CODE: f32 = 1.0 / 2_147_483_648.0;
        match self {
            Self::Float => f32::from_bits(word),
            Self::Int32 => word as i32 as f32 * CODE,
            Self::Int24 => (word << 8) as i32 as f32 * CODE,
        }
    }
}

impl std::fmt::Display for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Float => "32-bit float",
            Self::Int32 => "32-bit integer",
            Self::Int24 => "24-bit integer in 32 bits",
        })
    }
}

/// Instruction sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Plain code, which the compiler makes into what the target surely has (SSE2, NEON).
    Portable,
    /// 256-bit vectors and byte shuffles of x86-64, for 24-bit files.
    Avx2,
}

impl Level {
    /// The best one here. [any thread but the audio thread]
    #[must_use]
    pub fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            return Self::Avx2;
        }
        Self::Portable
    }
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Portable => "portable",
            Self::Avx2 => "AVX2",
        })
    }
}

/// What a conversion could not keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Samples beyond the highest or lowest code, limited to it. In a float file: infinities, limited to the largest float.
    pub overs: u64,
    /// NaNs, written as 0.
    pub nans: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.overs += other.overs;
        self.nans += other.nans;
    }
}

/// Words to bytes of one format.
#[derive(Clone, Copy, Debug)]
pub struct Converter {
    level: Level,
    words: Words,
    format: Format,
}

impl Converter {
    /// At the best level.
    #[must_use]
    pub fn new(words: Words, format: Format) -> Self {
        Self { level: Level::best(), words, format }
    }

    /// At `level`, or below if this machine lacks it.
    #[must_use]
    pub fn at(level: Level, words: Words, format: Format) -> Self {
        let level = if Level::best() == Level::Portable { Level::Portable } else { level };
        Self { level, words, format }
    }

    /// The format of the bytes.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// What runs: only 24-bit files have a kernel of their own, all else is portable.
    #[must_use]
    pub fn level(&self) -> Level {
        if self.format == Format::Int24 { self.level } else { Level::Portable }
    }

    /// Converts the samples of one channel, or of all channels interleaved, into as many samples of `out`.
    ///
    /// # Panics
    /// If `out` is not as many samples long.
    pub fn convert(&self, words: &[u32], out: &mut [u8]) -> Counts {
        let bytes = self.format.bytes();
        assert_eq!(out.len(), words.len() * bytes, "bytes for {} samples of {}", words.len(), self.format);
        #[allow(unused_mut)]
        let (mut done, mut counts) = (0, Counts::default());
        #[cfg(target_arch = "x86_64")]
        if self.level() == Level::Avx2 {
            // SAFETY: a converter is only of this level where AVX2 was detected, and `out` has three bytes for each word.
            (done, counts) = unsafe {
                match self.words {
                    Words::Float => avx2::float_to_24(words, out),
                    Words::Int32 => avx2::int_to_24::<0>(words, out),
                    Words::Int24 => avx2::int_to_24::<8>(words, out),
                }
            };
        }
        counts += portable(self.words, self.format, &words[done..], &mut out[done * bytes..]);
        counts
    }

    /// Converts every `stride`-th word from the first on, as one channel of interleaved ones, into as many samples as `out` holds.
    ///
    /// # Panics
    /// If `stride` is 0 or the words are too few.
    pub fn convert_strided(&self, words: &[u32], stride: usize, out: &mut [u8]) -> Counts {
        let bytes = self.format.bytes();
        let mut counts = Counts::default();
        let mut column = [0; 4 * TILE];
        for (i, out) in out.chunks_mut(column.len() * bytes).enumerate() {
            let column = &mut column[..out.len() / bytes];
            let rows = &words[i * 4 * TILE * stride..][..(column.len() - 1) * stride + 1];
            for (word, row) in column.iter_mut().zip(rows.chunks(stride)) {
                *word = row[0];
            }
            counts += self.convert(column, out);
        }
        counts
    }
}

/// The bits of floats.
#[must_use]
pub fn float_words(samples: &[f32]) -> &[u32] {
    // SAFETY: both types have 4 bytes, the same alignment and no invalid values.
    unsafe { std::slice::from_raw_parts(samples.as_ptr().cast(), samples.len()) }
}

/// The bits of integers.
#[must_use]
pub fn int_words(samples: &[i32]) -> &[u32] {
    // SAFETY: both types have 4 bytes, the same alignment and no invalid values.
    unsafe { std::slice::from_raw_parts(samples.as_ptr().cast(), samples.len()) }
}

/// Samples that are converted before they are packed; both loops then become vectors of any width.
const TILE: usize = 64;

/// 2^23: a float of [2^23, 2^24] has no fraction, so adding this rounds to nearest even.
const NO_FRACTION: f32 = 8_388_608.0;

fn portable(words: Words, format: Format, samples: &[u32], out: &mut [u8]) -> Counts {
    // Every pair of its own, so that the compiler makes a loop without branches of each.
    match (words, format) {
        (Words::Float, Format::Int16) => tiles(samples, out, float_to_code::<15>, pack_16),
        (Words::Float, Format::Int24) => tiles(samples, out, float_to_code::<23>, pack_24),
        (Words::Float, Format::Int32) => tiles(samples, out, float_to_32, pack_32),
        (Words::Float, Format::Float32) => tiles(samples, out, float_to_float, pack_32),
        (Words::Int32, Format::Int16) => tiles(samples, out, int_to_code::<16>, pack_16),
        (Words::Int32, Format::Int24) => tiles(samples, out, int_to_code::<8>, pack_24),
        (Words::Int32, Format::Int32) => tiles(samples, out, |w| (w, 0, 0), pack_32),
        (Words::Int32, Format::Float32) => tiles(samples, out, int_to_float, pack_32),
        (Words::Int24, Format::Int16) => tiles(samples, out, |w| int_to_code::<16>(w << 8), pack_16),
        (Words::Int24, Format::Int24) => tiles(samples, out, |w| (w, 0, 0), pack_24),
        (Words::Int24, Format::Int32) => tiles(samples, out, |w| (w << 8, 0, 0), pack_32),
        (Words::Int24, Format::Float32) => tiles(samples, out, |w| int_to_float(w << 8), pack_32),
    }
}

/// `convert` gives a code, whether it is an over and whether it was a NaN; `pack` lays [`TILE`] codes out and returns their bytes.
#[inline(always)]
fn tiles<const BYTES: usize>(
    samples: &[u32],
    out: &mut [u8],
    convert: impl Fn(u32) -> (u32, u32, u32),
    pack: impl Fn(&[u32; TILE]) -> [[u8; BYTES]; TILE / 4],
) -> Counts {
    let mut counts = Counts::default();
    let mut tile = |words: &[u32; TILE]| {
        let mut codes = [0; TILE];
        let (mut overs, mut nans) = (0, 0);
        for (code, word) in codes.iter_mut().zip(words) {
            let (c, over, nan) = convert(*word);
            *code = c;
            overs += over;
            nans += nan;
        }
        counts += Counts { overs: overs.into(), nans: nans.into() };
        pack(&codes)
    };
    let (whole, rest) = samples.as_chunks::<TILE>();
    let (bytes, last) = out.split_at_mut(whole.len() * BYTES * (TILE / 4));
    for (words, bytes) in whole.iter().zip(bytes.chunks_exact_mut(BYTES * (TILE / 4))) {
        bytes.copy_from_slice(tile(words).as_flattened());
    }
    if !rest.is_empty() {
        let mut words = [0; TILE];
        words[..rest.len()].copy_from_slice(rest);
        last.copy_from_slice(&tile(&words).as_flattened()[..last.len()]);
    }
    counts
}

/// To an integer of `BITS` bits and a sign, 15 or 23.
#[inline(always)]
fn float_to_code<const BITS: u32>(word: u32) -> (u32, u32, u32) {
    let full_scale = (1_u32 << BITS) as f32;
    let x = f32::from_bits(word) * full_scale;
    // A NaN becomes the highest code here and 0 at the end.
    let limited = if x < full_scale - 1.0 { x } else { full_scale - 1.0 };
    let limited = if limited > -full_scale { limited } else { -full_scale };
    let nan = u32::from(x.is_nan());
    let over = u32::from(limited != x) - nan;
    let size = (limited.abs() + NO_FRACTION).to_bits().wrapping_sub(NO_FRACTION.to_bits());
    let sign = (limited.to_bits() as i32 >> 31) as u32;
    let code = (size ^ sign).wrapping_sub(sign);
    (code & nan.wrapping_sub(1), over, nan)
}

#[inline(always)]
fn float_to_32(word: u32) -> (u32, u32, u32) {
    const FULL_SCALE: f32 = 2_147_483_648.0;
    let x = f32::from_bits(word) * FULL_SCALE;
    let rounded = if x.abs() < NO_FRACTION { (x.abs() + NO_FRACTION - NO_FRACTION).copysign(x) } else { x };
    // `as` limits, and makes NaN 0. The highest code is no float; the nearest one above it is the first over.
    (rounded as i32 as u32, u32::from(x.abs() > FULL_SCALE || x == FULL_SCALE), u32::from(x.is_nan()))
}

#[inline(always)]
fn float_to_float(word: u32) -> (u32, u32, u32) {
    let x = f32::from_bits(word);
    if x.is_nan() { (0, 0, 1) } else { (x.clamp(f32::MIN, f32::MAX).to_bits(), u32::from(x.is_infinite()), 0) }
}

/// To the top 32 - `DROPPED` bits.
#[inline(always)]
fn int_to_code<const DROPPED: u32>(word: u32) -> (u32, u32, u32) {
    let highest = i32::MAX >> DROPPED << DROPPED;
    let x = word as i32;
    let limited = x.min(highest);
    // Just below a half, and the last bit that stays: a half rises to the even code only.
    let half = (1 << (DROPPED - 1)) - 1 + (limited >> DROPPED & 1);
    (((limited + half) >> DROPPED) as u32, u32::from(x > highest), 0)
}

#[inline(always)]
fn int_to_float(word: u32) -> (u32, u32, u32) {
    (Words::Int32.value(word).to_bits(), 0, 0)
}

#[inline(always)]
fn pack_16(codes: &[u32; TILE]) -> [[u8; 8]; TILE / 4] {
    let (fours, _) = codes.as_chunks::<4>();
    std::array::from_fn(|i| {
        let [a, b, c, d] = fours[i].map(|code| u64::from(code as u16));
        (a | b << 16 | c << 32 | d << 48).to_le_bytes()
    })
}

#[inline(always)]
fn pack_24(codes: &[u32; TILE]) -> [[u8; 12]; TILE / 4] {
    let (fours, _) = codes.as_chunks::<4>();
    let mut out = [[0; 12]; TILE / 4];
    for (bytes, [a, b, c, d]) in out.iter_mut().zip(fours) {
        let [a, b, c] = [a & 0xFF_FFFF | b << 24, b >> 8 & 0xFFFF | c << 16, c >> 16 & 0xFF | d << 8];
        bytes[..4].copy_from_slice(&a.to_le_bytes());
        bytes[4..8].copy_from_slice(&b.to_le_bytes());
        bytes[8..].copy_from_slice(&c.to_le_bytes());
    }
    out
}

#[inline(always)]
fn pack_32(codes: &[u32; TILE]) -> [[u8; 16]; TILE / 4] {
    let (fours, _) = codes.as_chunks::<4>();
    let mut out = [[0; 16]; TILE / 4];
    for (bytes, four) in out.iter_mut().zip(fours) {
        for (bytes, code) in bytes.chunks_exact_mut(4).zip(four) {
            bytes.copy_from_slice(&code.to_le_bytes());
        }
    }
    out
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::Counts;
    use std::arch::x86_64::{
        __m256i, _CMP_NEQ_UQ, _CMP_ORD_Q, _mm256_add_epi32, _mm256_and_ps, _mm256_and_si256, _mm256_cmp_ps, _mm256_cmpgt_epi32,
        _mm256_cvtps_epi32, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_maskstore_epi32, _mm256_max_ps, _mm256_min_epi32,
        _mm256_min_ps, _mm256_movemask_ps, _mm256_mul_ps, _mm256_permutevar8x32_epi32, _mm256_set1_epi32, _mm256_set1_ps,
        _mm256_setr_epi8, _mm256_setr_epi32, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_slli_epi32, _mm256_srai_epi32,
        _mm256_srli_epi32, _mm256_storeu_si256, _mm256_sub_epi32,
    };

    /// Samples of a vector.
    const LANES: usize = 8;

    /// The sum of unsigned lanes.
    #[target_feature(enable = "avx2")]
    fn sum(lanes: __m256i) -> u64 {
        let mut out = [0_u32; LANES];
        // SAFETY: the array is one vector long.
        unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), lanes) };
        out.iter().map(|n| u64::from(*n)).sum()
    }

    /// The low 3 bytes of every lane, close together, in the low 24 bytes.
    #[target_feature(enable = "avx2")]
    fn pack(codes: __m256i) -> __m256i {
        let three = _mm256_setr_epi8(
            0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1, 0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1,
        );
        _mm256_permutevar8x32_epi32(_mm256_shuffle_epi8(codes, three), _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 3, 7))
    }

    /// Stores the packed vector `i` of `n`: 32 bytes, of which the next vector replaces the last 8; the last vector, 24 bytes.
    ///
    /// # Safety
    /// `out` has 24 bytes for each of the `n` vectors, and `i` is below `n`.
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

    /// Converts as many words as whole vectors hold. Returns how many.
    ///
    /// # Safety
    /// `out` has 3 bytes for each word.
    #[target_feature(enable = "avx2")]
    pub unsafe fn float_to_24(words: &[u32], out: &mut [u8]) -> (usize, Counts) {
        const FULL_SCALE: f32 = 8_388_608.0;
        let (scale, lowest, highest) =
            (_mm256_set1_ps(FULL_SCALE), _mm256_set1_ps(-FULL_SCALE), _mm256_set1_ps(FULL_SCALE - 1.0));
        let mut counts = Counts::default();
        let n = words.len() / LANES;
        for i in 0..n {
            // SAFETY: `n` vectors lie within the words.
            let x = _mm256_mul_ps(unsafe { _mm256_loadu_ps(words.as_ptr().add(i * LANES).cast()) }, scale);
            let mut limited = _mm256_max_ps(_mm256_min_ps(x, highest), lowest);
            let changed = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_NEQ_UQ>(limited, x)).count_ones();
            if changed > 0 {
                // A NaN became the highest code.
                let number = _mm256_cmp_ps::<_CMP_ORD_Q>(x, x);
                limited = _mm256_and_ps(limited, number);
                let nans = LANES as u32 - _mm256_movemask_ps(number).count_ones();
                counts += Counts { overs: (changed - nans).into(), nans: nans.into() };
            }
            // Rounds to nearest even, as the processor does unless told otherwise, which Rust forbids.
            let codes = _mm256_cvtps_epi32(limited);
            // SAFETY: `out` has 3 bytes per word.
            unsafe { store(out, i, n, pack(codes)) };
        }
        (n * LANES, counts)
    }

    /// As [`float_to_24`], of integers that are moved up by `UP` bits, 0 or 8, to the top of their word.
    ///
    /// # Safety
    /// `out` has 3 bytes for each word.
    #[target_feature(enable = "avx2")]
    pub unsafe fn int_to_24<const UP: i32>(words: &[u32], out: &mut [u8]) -> (usize, Counts) {
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
        (n * LANES, Counts { overs: sum(overs), nans: 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{I24, Sample};
    use proptest::prelude::*;

    const WORDS: [Words; 3] = [Words::Float, Words::Int32, Words::Int24];

    /// A word's value in f64, and what the rule makes of it, without anything of the code above.
    fn expected(words: Words, format: Format, word: u32) -> (Vec<u8>, Counts) {
        let value = match words {
            Words::Float => f64::from(f32::from_bits(word)),
            Words::Int32 => f64::from(word as i32) / 2f64.powi(31),
            Words::Int24 => f64::from((word << 8) as i32) / 2f64.powi(31),
        };
        let bits = i32::from(format.bits());
        let mut counts = Counts { overs: 0, nans: u64::from(value.is_nan()) };
        let (low, high) = if format == Format::Float32 {
            (f64::from(f32::MIN), f64::from(f32::MAX))
        } else {
            (-1.0, 1.0 - 2f64.powi(1 - bits))
        };
        // The highest 32-bit code is no float: only what is above it by more than rounding is over, and no float is less.
        counts.overs = u64::from(value < low || value > high);
        let bytes = match format {
            Format::Int16 => i16::from_f64(value).to_le_bytes().to_vec(),
            Format::Int24 => I24::from_f64(value).inner().to_le_bytes()[..3].to_vec(),
            Format::Int32 => i32::from_f64(value).to_le_bytes().to_vec(),
            Format::Float32 if value.is_nan() => vec![0; 4],
            Format::Float32 => (value.clamp(low, high) as f32).to_le_bytes().to_vec(),
        };
        (bytes, counts)
    }

    fn check(words: Words, format: Format, samples: &[u32]) {
        let mut expected_bytes = Vec::new();
        let mut expected_counts = Counts::default();
        for word in samples {
            let (bytes, counts) = expected(words, format, *word);
            expected_bytes.extend(bytes);
            expected_counts += counts;
        }
        for level in [Level::Portable, Level::Avx2] {
            let converter = Converter::at(level, words, format);
            // A byte more on both sides, which must stay.
            let mut out = vec![0xA5; expected_bytes.len() + 2];
            let end = out.len() - 1;
            assert_eq!(converter.convert(samples, &mut out[1..end]), expected_counts, "{level} {words} to {format}");
            assert!(out[1..end] == expected_bytes, "{level} {words} to {format}");
            assert_eq!((out[0], out[end]), (0xA5, 0xA5));
            for stride in [1, 3] {
                out.fill(0xA5);
                let interleaved: Vec<u32> = samples.iter().flat_map(|w| (0..stride as u32).map(move |c| w ^ c)).collect();
                assert_eq!(converter.convert_strided(&interleaved, stride, &mut out[1..end]), expected_counts);
                assert!(out[1..end] == expected_bytes);
            }
        }
    }

    /// Words around everything that matters: codes, halves between codes, full scale, NaN, infinities, denormals.
    fn word() -> impl Strategy<Value = u32> {
        prop_oneof![
            any::<u32>(),
            (-1.1f32..1.1).prop_map(f32::to_bits),
            (-8_400_000i32..8_400_000, prop::sample::select(vec![0.0f32, 0.25, 0.5, 0.75])).prop_map(|(code, part)| ((code
                as f32
                + part)
                / 8_388_608.0)
                .to_bits()),
            (-33_000i32..33_000, prop::sample::select(vec![0.0f32, 0.25, 0.5, 0.75]))
                .prop_map(|(code, part)| ((code as f32 + part) / 32_768.0).to_bits()),
            prop::sample::select(vec![
                0,
                1 << 31,
                1,
                0x3F80_0000,
                0xBF80_0000,
                0x3F7F_FFFF,
                0xBF80_0001,
                0x7F80_0000,
                0xFF80_0000,
                0x7FC0_0000,
                0x7F80_0001,
                0xFFFF_FFFF,
                0x7FFF_FF00,
                0x7FFF_FF01,
                0x7FFF_FF80,
                0x7FFF_FFFF,
                0x8000_0000,
                0x7FFF_0000,
                0x7FFF_8000,
                0x0000_8000,
                0x0001_8000,
                0x0000_0080,
                0x0000_0180,
            ]),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn every_level_gives_the_bytes_of_the_rule(samples in prop::collection::vec(word(), 0..300)) {
            for words in WORDS {
                for format in Format::ALL {
                    check(words, format, &samples);
                }
            }
        }
    }

    #[test]
    fn every_24_bit_code_survives() {
        let codes = -(1 << 23)..1 << 23;
        let mut bytes = Vec::with_capacity(3 << 24);
        for code in codes.clone() {
            bytes.extend_from_slice(&i32::to_le_bytes(code)[..3]);
        }
        let mut out = vec![0; bytes.len()];
        for (words, word) in [
            (Words::Float, (|code| (code as f32 / 8_388_608.0).to_bits()) as fn(i32) -> u32),
            (Words::Int32, |code| (code << 8) as u32),
            (Words::Int24, |code| (code & 0xFF_FFFF) as u32),
        ] {
            let samples: Vec<u32> = codes.clone().map(word).collect();
            for level in [Level::Portable, Level::Avx2] {
                out.fill(0);
                assert_eq!(Converter::at(level, words, Format::Int24).convert(&samples, &mut out), Counts::default());
                assert!(out == bytes, "{level} {words}");
            }
        }
    }

    #[test]
    fn channels_are_taken_out_of_many() {
        let samples: Vec<i32> = (0..8 * 1000).map(|i| (i % 8) << 24 | (i / 8) << 8).collect();
        let mut out = vec![0; 3 * 1000];
        for channel in [0, 2, 4] {
            Converter::new(Words::Int32, Format::Int24).convert_strided(&int_words(&samples)[channel..], 8, &mut out);
            let back: Vec<i32> = out.chunks(3).map(|b| i32::from_le_bytes([0, b[0], b[1], b[2]])).collect();
            assert!(back.iter().zip(0..).all(|(x, frame)| *x == (channel as i32) << 24 | frame << 8));
        }
    }
}
