//! Samples as a source gives them, as the bytes of a file.
//!
//! Both sources are 32-bit words: a float's bits or an integer. A value is what [`Sample`](crate::audio::Sample) says it is. Back
//! from a value: times 2^(n-1), rounded to the nearest code, halves to even, limited to the codes there are; NaN becomes 0. A
//! sample beyond the highest or lowest code is an over. No dither: it would break bit-exactness.
//!
//! Every level gives the same bytes and counts. All functions: [any thread], nothing allocated.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod portable;

use crate::audio::Format;
use portable::TILE;

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

/// The highest and the lowest code of a sample, or the largest floats: what overs become.
pub fn is_full_scale(format: Format, sample: &[u8]) -> bool {
    match format {
        Format::Int16 => matches!(sample, [0xFF, 0x7F] | [0, 0x80]),
        Format::Int24 => matches!(sample, [0xFF, 0xFF, 0x7F] | [0, 0, 0x80]),
        Format::Int32 => matches!(sample, [0xFF, 0xFF, 0xFF, 0x7F] | [0, 0, 0, 0x80]),
        Format::Float32 => matches!(sample, [0xFF, 0xFF, 0x7F, 0x7F | 0xFF]),
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
        counts += portable::convert(self.words, self.format, &words[done..], &mut out[done * bytes..]);
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
