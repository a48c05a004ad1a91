//! Portable conversion between all word formats and file formats, in loops that the compiler can vectorise.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "codes are built bit by bit in 32-bit words, signed or not; casts of floats to integers saturate"
)]

use super::{ConversionCounts, WordFormat};
use crate::audio::WavFormat;

/// Samples that are converted to codes before these are packed into bytes: as two loops, both can be vectorised.
pub const TILE: usize = 64;

/// 2^23: floats of this size or more have no fraction, so adding this number rounds a smaller one to the nearest integer, halves
/// to even.
const NO_FRACTION: f32 = 8_388_608.0;

/// Converts samples to as many samples in `out`.
pub fn convert(word_format: WordFormat, format: WavFormat, samples: &[u32], out: &mut [u8]) -> ConversionCounts {
    // Each pair is a call of its own, so that the compiler can make a loop without branches from it.
    match (word_format, format) {
        (WordFormat::Float, WavFormat::Int16) => tiles(samples, out, float_to_code::<15>, pack_16),
        (WordFormat::Float, WavFormat::Int24) => tiles(samples, out, float_to_code::<23>, pack_24),
        (WordFormat::Float, WavFormat::Int32) => tiles(samples, out, float_to_32, pack_32),
        (WordFormat::Float, WavFormat::Float32) => tiles(samples, out, float_to_float, pack_32),
        (WordFormat::Int32, WavFormat::Int16) => tiles(samples, out, int_to_code::<16>, pack_16),
        (WordFormat::Int32, WavFormat::Int24) => tiles(samples, out, int_to_code::<8>, pack_24),
        (WordFormat::Int32, WavFormat::Int32) => tiles(samples, out, |w| (w, 0, 0), pack_32),
        (WordFormat::Int32, WavFormat::Float32) => tiles(samples, out, int_to_float, pack_32),
        (WordFormat::Int24, WavFormat::Int16) => tiles(samples, out, |w| int_to_code::<16>(w << 8), pack_16),
        (WordFormat::Int24, WavFormat::Int24) => tiles(samples, out, |w| (w, 0, 0), pack_24),
        (WordFormat::Int24, WavFormat::Int32) => tiles(samples, out, |w| (w << 8, 0, 0), pack_32),
        (WordFormat::Int24, WavFormat::Float32) => tiles(samples, out, |w| int_to_float(w << 8), pack_32),
    }
}

/// The code of a sample; 1 if the sample is an over; 1 if it is a NaN.
type Code = (u32, u32, u32);

/// Converts samples tile by tile: `convert` turns a word into a code, `pack` turns [`TILE`] codes into bytes.
#[inline(always)]
fn tiles<const BYTES: usize>(
    samples: &[u32],
    out: &mut [u8],
    convert: impl Fn(u32) -> Code,
    pack: impl Fn(&[u32; TILE]) -> [[u8; BYTES]; TILE / 4],
) -> ConversionCounts {
    let mut counts = ConversionCounts::default();
    let mut tile = |words: &[u32; TILE]| {
        let mut codes = [0; TILE];
        let (mut overs, mut nans) = (0, 0);
        for (code, word) in codes.iter_mut().zip(words) {
            let (c, over, nan) = convert(*word);
            *code = c;
            overs += over;
            nans += nan;
        }
        counts += ConversionCounts { overs: overs.into(), nans: nans.into() };
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

/// Code of a float in an integer of `BITS` bits and a sign, 15 or 23.
#[inline(always)]
fn float_to_code<const BITS: u32>(word: u32) -> Code {
    let full_scale = (1_u32 << BITS) as f32;
    let x = f32::from_bits(word) * full_scale;
    // A NaN becomes the highest code here, and 0 at the end.
    let limited = if x < full_scale - 1.0 { x } else { full_scale - 1.0 };
    let limited = if limited > -full_scale { limited } else { -full_scale };
    let nan = u32::from(x.is_nan());
    let over = u32::from(limited != x) - nan;
    let size = (limited.abs() + NO_FRACTION).to_bits().wrapping_sub(NO_FRACTION.to_bits());
    let sign = (limited.to_bits() as i32 >> 31) as u32;
    let code = (size ^ sign).wrapping_sub(sign);
    (code & nan.wrapping_sub(1), over, nan)
}

/// Code of a float in a 32-bit integer.
#[inline(always)]
fn float_to_32(word: u32) -> Code {
    const FULL_SCALE: f32 = 2_147_483_648.0;
    let x = f32::from_bits(word) * FULL_SCALE;
    let rounded = if x.abs() < NO_FRACTION { (x.abs() + NO_FRACTION - NO_FRACTION).copysign(x) } else { x };
    // `as` saturates and makes NaN 0. The highest code cannot be written as a float; the smallest float above it, `FULL_SCALE`,
    // is the first over.
    (rounded as i32 as u32, u32::from(x.abs() > FULL_SCALE || x == FULL_SCALE), u32::from(x.is_nan()))
}

/// Bits of a float, finite and not NaN.
#[inline(always)]
fn float_to_float(word: u32) -> Code {
    let x = f32::from_bits(word);
    if x.is_nan() { (0, 0, 1) } else { (x.clamp(f32::MIN, f32::MAX).to_bits(), u32::from(x.is_infinite()), 0) }
}

/// Code of a 32-bit integer in a file with `DROPPED` bits fewer: the lowest ones are rounded away.
#[inline(always)]
fn int_to_code<const DROPPED: u32>(word: u32) -> Code {
    let highest = i32::MAX >> DROPPED << DROPPED;
    let x = word as i32;
    let limited = x.min(highest);
    // Adds slightly less than a half, plus the lowest bit that stays: a half is rounded up only if this makes the code even.
    let half = (1 << (DROPPED - 1)) - 1 + (limited >> DROPPED & 1);
    (((limited + half) >> DROPPED) as u32, u32::from(x > highest), 0)
}

/// Bits of the float of a 32-bit integer.
#[inline(always)]
fn int_to_float(word: u32) -> Code {
    (WordFormat::Int32.value(word).to_bits(), 0, 0)
}

/// The low 16 bits of codes, four to a row.
#[inline(always)]
fn pack_16(codes: &[u32; TILE]) -> [[u8; 8]; TILE / 4] {
    let (fours, _) = codes.as_chunks::<4>();
    std::array::from_fn(|i| {
        let [a, b, c, d] = fours[i].map(|code| u64::from(code as u16));
        (a | b << 16 | c << 32 | d << 48).to_le_bytes()
    })
}

/// The low 24 bits of codes, four to a row.
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

/// All bits of codes, four to a row.
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
