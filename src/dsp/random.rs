//! Random numbers as a function of a position: independent of block sizes, and vectorisable.

/// Integer hash of 32 bits (C. Wellons' lowbias32).
#[inline(always)]
fn hash(counter: u32) -> u32 {
    let mut x = counter;
    x ^= x >> 16;
    x = x.wrapping_mul(0x7feb_352d);
    x ^= x >> 15;
    x = x.wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

/// A uniform random number in -½..½ for a `stream` (a seed) and a position in it. [any thread]
#[inline(always)]
#[must_use]
pub fn uniform(stream: u32, position: u32) -> f32 {
    // 24 bits are exact in f32; the offset of half a step makes the mean zero.
    let bits = hash(position.wrapping_add(stream)) >> 8;
    (bits as f32 + 0.5) * (1.0 / 16_777_216.0) - 0.5
}

/// The stream of a channel for a purpose (dither, jitter ...): independent of other channels and purposes, and the same in every
/// run and in every slot. [any thread]
#[must_use]
pub fn stream(purpose: u32, channel: usize) -> u32 {
    hash(hash(purpose.wrapping_mul(0x9e37_79b9)).wrapping_add(channel as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_uniform_white_and_independent() {
        let n = 100_000u32;
        let draw = |channel| -> Vec<f64> { (0..n).map(|i| f64::from(uniform(stream(1, channel), i))).collect() };
        let (a, b) = (draw(0), draw(1));
        let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>() / x.len() as f64;
        assert!((dot(&a, &vec![1.0; a.len()])).abs() < 0.004);
        assert!((dot(&a, &a) - 1.0 / 12.0).abs() < 0.001);
        assert!(dot(&a, &b).abs() < 0.001);
        for lag in 1..50 {
            assert!(dot(&a[lag..], &a[..a.len() - lag]).abs() < 0.0015, "lag {lag}");
        }
        assert!(a.iter().all(|x| x.abs() < 0.5));
    }
}
