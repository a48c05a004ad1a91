//! All pairs of words and formats, in loops that become vectors of any width.

use super::{Counts, Words};
use crate::audio::Format;

/// Samples that are converted before they are packed; both loops then become vectors of any width.
pub const TILE: usize = 64;

/// 2^23: a float of [2^23, 2^24] has no fraction, so adding this rounds to nearest even.
const NO_FRACTION: f32 = 8_388_608.0;

pub fn convert(words: Words, format: Format, samples: &[u32], out: &mut [u8]) -> Counts {
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
