//! Conversion of samples from 32-bit words to the bytes of a file.
//!
//! A word holds a float's bits or an integer ([`WordFormat`]); its value is that of [`Sample`](crate::audio::Sample). The
//! integer that a file stores for a sample is its code: with n bits, the value times 2^(n-1), rounded to the nearest integer,
//! halves to even, and limited to the range of codes; NaN becomes 0. A sample beyond the highest or lowest code is an over. There
//! is no dither, since it would break bit-exactness.
//!
//! All instruction sets give the same bytes and counts. All functions: [any thread] unless they say otherwise; nothing is
//! allocated.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod portable;

use crate::audio::WavFormat;
use portable::TILE;

/// Encoding of a sample in a 32-bit word, as a source delivers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WordFormat {
    /// A float; full scale is 1.
    Float,
    /// An integer of 32 bits, or of fewer in the top bits of 32, as most devices deliver it.
    Int32,
    /// An integer of 24 bits in the low bits of 32; the top byte is ignored.
    Int24,
}

impl WordFormat {
    /// Value of a word, rounded to a float; full scale is 1.
    #[inline]
    #[must_use]
    #[allow(clippy::cast_possible_wrap, reason = "the words hold signed integers")]
    pub fn value(self, word: u32) -> f32 {
        const STEP: f32 = 1.0 / 2_147_483_648.0;
        match self {
            Self::Float => f32::from_bits(word),
            Self::Int32 => word as i32 as f32 * STEP,
            Self::Int24 => (word << 8) as i32 as f32 * STEP,
        }
    }
}

impl std::fmt::Display for WordFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Float => "32-bit float",
            Self::Int32 => "32-bit integer",
            Self::Int24 => "24-bit integer in 32 bits",
        })
    }
}

/// Instruction set of a conversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstructionSet {
    /// Plain Rust, compiled for what every processor of the target has (SSE2, NEON).
    Portable,
    /// 256-bit vectors and byte shuffles of x86-64, for 24-bit files.
    Avx2,
}

impl InstructionSet {
    /// The fastest instruction set that this processor has. [any thread but the audio thread]
    #[must_use]
    pub fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            return Self::Avx2;
        }
        Self::Portable
    }
}

impl std::fmt::Display for InstructionSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Portable => "portable",
            Self::Avx2 => "AVX2",
        })
    }
}

/// Numbers of samples that a conversion could not represent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConversionCounts {
    /// Samples beyond the highest or lowest code, written as that code; in a float file infinities, written as the largest float.
    pub overs: u64,
    /// NaNs, written as 0.
    pub nans: u64,
}

impl std::ops::AddAssign for ConversionCounts {
    fn add_assign(&mut self, other: Self) {
        self.overs += other.overs;
        self.nans += other.nans;
    }
}

/// Returns true if a sample is the highest or the lowest code, or the largest or the smallest float: the values that overs
/// become.
pub(super) fn is_full_scale(format: WavFormat, sample: &[u8]) -> bool {
    match format {
        WavFormat::Int16 => matches!(sample, [0xFF, 0x7F] | [0, 0x80]),
        WavFormat::Int24 => matches!(sample, [0xFF, 0xFF, 0x7F] | [0, 0, 0x80]),
        WavFormat::Int32 => matches!(sample, [0xFF, 0xFF, 0xFF, 0x7F] | [0, 0, 0, 0x80]),
        WavFormat::Float32 => matches!(sample, [0xFF, 0xFF, 0x7F, 0x7F | 0xFF]),
    }
}

/// A conversion from one word format to one file format.
#[derive(Clone, Copy, Debug)]
pub struct Converter {
    /// The allowed instruction set, which this processor has.
    instruction_set: InstructionSet,
    word_format: WordFormat,
    format: WavFormat,
}

impl Converter {
    /// A conversion with the fastest instruction set.
    #[must_use]
    pub fn new(word_format: WordFormat, format: WavFormat) -> Self {
        Self { instruction_set: InstructionSet::best(), word_format, format }
    }

    /// A conversion with this instruction set, or the portable one if this processor lacks it.
    #[must_use]
    pub fn with_instruction_set(instruction_set: InstructionSet, word_format: WordFormat, format: WavFormat) -> Self {
        let has_it = InstructionSet::best() != InstructionSet::Portable;
        let instruction_set = if has_it { instruction_set } else { InstructionSet::Portable };
        Self { instruction_set, word_format, format }
    }

    /// The file format.
    #[must_use]
    pub fn format(&self) -> WavFormat {
        self.format
    }

    /// The instruction set that is used: only conversions to 24 bits have an AVX2 version, all others are portable.
    #[must_use]
    pub fn instruction_set(&self) -> InstructionSet {
        if self.format == WavFormat::Int24 { self.instruction_set } else { InstructionSet::Portable }
    }

    /// Converts the samples of one channel, or of all channels interleaved, to as many samples in `out`.
    ///
    /// # Panics
    /// If `out` has room for more or fewer samples.
    pub fn convert(&self, words: &[u32], out: &mut [u8]) -> ConversionCounts {
        let bytes = self.format.bytes();
        assert_eq!(out.len(), words.len() * bytes, "bytes for {} samples of {}", words.len(), self.format);
        #[allow(unused_mut)]
        let (mut done, mut counts) = (0, ConversionCounts::default());
        #[cfg(target_arch = "x86_64")]
        if self.instruction_set() == InstructionSet::Avx2 {
            // SAFETY: a converter has this instruction set only if AVX2 was detected, and `out` has three bytes for each word.
            (done, counts) = unsafe {
                match self.word_format {
                    WordFormat::Float => avx2::float_to_24(words, out),
                    WordFormat::Int32 => avx2::int_to_24::<0>(words, out),
                    WordFormat::Int24 => avx2::int_to_24::<8>(words, out),
                }
            };
        }
        counts += portable::convert(self.word_format, self.format, &words[done..], &mut out[done * bytes..]);
        counts
    }

    /// Converts every `stride`-th word, beginning with the first, to as many samples as `out` holds: one channel of interleaved
    /// ones.
    ///
    /// # Panics
    /// If `stride` is 0 or there are too few words.
    pub fn convert_strided(&self, words: &[u32], stride: usize, out: &mut [u8]) -> ConversionCounts {
        let bytes = self.format.bytes();
        let mut counts = ConversionCounts::default();
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

/// The bits of floats, as words of [`WordFormat::Float`].
#[must_use]
pub fn float_words(samples: &[f32]) -> &[u32] {
    // SAFETY: both types have 4 bytes, the same alignment and no invalid values.
    unsafe { std::slice::from_raw_parts(samples.as_ptr().cast(), samples.len()) }
}

/// The bits of integers, as words of [`WordFormat::Int32`] or [`WordFormat::Int24`].
#[must_use]
pub fn int_words(samples: &[i32]) -> &[u32] {
    // SAFETY: both types have 4 bytes, the same alignment and no invalid values.
    unsafe { std::slice::from_raw_parts(samples.as_ptr().cast(), samples.len()) }
}

#[cfg(test)]
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "the tests build words and codes bit by bit"
)]
mod tests {
    use super::*;
    use crate::audio::{I24, Sample};
    use proptest::prelude::*;

    const WORD_FORMATS: [WordFormat; 3] = [WordFormat::Float, WordFormat::Int32, WordFormat::Int24];

    /// The bytes and counts of a word by the rule of the module's documentation, computed in f64 without the code above.
    fn expected(word_format: WordFormat, format: WavFormat, word: u32) -> (Vec<u8>, ConversionCounts) {
        let value = match word_format {
            WordFormat::Float => f64::from(f32::from_bits(word)),
            WordFormat::Int32 => f64::from(word as i32) / 2f64.powi(31),
            WordFormat::Int24 => f64::from((word << 8) as i32) / 2f64.powi(31),
        };
        let bits = i32::from(format.bits());
        let mut counts = ConversionCounts { overs: 0, nans: u64::from(value.is_nan()) };
        let (low, high) = if format == WavFormat::Float32 {
            (f64::from(f32::MIN), f64::from(f32::MAX))
        } else {
            (-1.0, 1.0 - 2f64.powi(1 - bits))
        };
        // The highest 32-bit code cannot be written as a float; the smallest float above it, 1, is the first over.
        counts.overs = u64::from(value < low || value > high);
        let bytes = match format {
            WavFormat::Int16 => i16::from_f64(value).to_le_bytes().to_vec(),
            WavFormat::Int24 => I24::from_f64(value).inner().to_le_bytes()[..3].to_vec(),
            WavFormat::Int32 => i32::from_f64(value).to_le_bytes().to_vec(),
            WavFormat::Float32 if value.is_nan() => vec![0; 4],
            WavFormat::Float32 => (value.clamp(low, high) as f32).to_le_bytes().to_vec(),
        };
        (bytes, counts)
    }

    /// Asserts that all instruction sets convert `samples`, contiguous and with a stride, as [`expected`] says.
    fn check(word_format: WordFormat, format: WavFormat, samples: &[u32]) {
        let mut expected_bytes = Vec::new();
        let mut expected_counts = ConversionCounts::default();
        for word in samples {
            let (bytes, counts) = expected(word_format, format, *word);
            expected_bytes.extend(bytes);
            expected_counts += counts;
        }
        for set in [InstructionSet::Portable, InstructionSet::Avx2] {
            let converter = Converter::with_instruction_set(set, word_format, format);
            // One more byte on each side, which must not change.
            let mut out = vec![0xA5; expected_bytes.len() + 2];
            let end = out.len() - 1;
            assert_eq!(converter.convert(samples, &mut out[1..end]), expected_counts, "{set} {word_format} to {format}");
            assert!(out[1..end] == expected_bytes, "{set} {word_format} to {format}");
            assert_eq!((out[0], out[end]), (0xA5, 0xA5));
            for stride in [1, 3] {
                out.fill(0xA5);
                let interleaved: Vec<u32> = samples.iter().flat_map(|w| (0..stride as u32).map(move |c| w ^ c)).collect();
                assert_eq!(converter.convert_strided(&interleaved, stride, &mut out[1..end]), expected_counts);
                assert!(out[1..end] == expected_bytes);
            }
        }
    }

    /// Words near all special cases: codes, halves between codes, full scale, NaN, infinities, denormals.
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
        fn all_instruction_sets_give_the_bytes_of_the_rule(samples in prop::collection::vec(word(), 0..300)) {
            for word_format in WORD_FORMATS {
                for format in WavFormat::ALL {
                    check(word_format, format, &samples);
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
        for (word_format, word) in [
            (WordFormat::Float, (|code| (code as f32 / 8_388_608.0).to_bits()) as fn(i32) -> u32),
            (WordFormat::Int32, |code| (code << 8) as u32),
            (WordFormat::Int24, |code| (code & 0xFF_FFFF) as u32),
        ] {
            let samples: Vec<u32> = codes.clone().map(word).collect();
            for set in [InstructionSet::Portable, InstructionSet::Avx2] {
                out.fill(0);
                let converter = Converter::with_instruction_set(set, word_format, WavFormat::Int24);
                assert_eq!(converter.convert(&samples, &mut out), ConversionCounts::default());
                assert!(out == bytes, "{set} {word_format}");
            }
        }
    }

    #[test]
    fn a_stride_selects_one_channel_of_interleaved_samples() {
        let samples: Vec<i32> = (0..8 * 1000).map(|i| (i % 8) << 24 | (i / 8) << 8).collect();
        let mut out = vec![0; 3 * 1000];
        for channel in [0, 2, 4] {
            Converter::new(WordFormat::Int32, WavFormat::Int24).convert_strided(&int_words(&samples)[channel..], 8, &mut out);
            let back: Vec<i32> = out.chunks(3).map(|b| i32::from_le_bytes([0, b[0], b[1], b[2]])).collect();
            assert!(back.iter().zip(0..).all(|(x, frame)| *x == (channel as i32) << 24 | frame << 8));
        }
    }
}
