//! Convolution with taps. No operation is fused, so every instruction set gives the same bits.

/// Outputs that are summed side by side.
const LANES: usize = 32;

/// Sets each output to the sum of the products of the taps with as many inputs from its own on: `out[n]` is the sum over `i` of
/// `taps[i] * x[n + i]`. [any thread]
///
/// # Panics
/// If `x` has fewer than `out.len() + taps.len() - 1` inputs.
pub fn convolve(x: &[f32], taps: &[f32], out: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the feature was detected.
        unsafe { convolve_avx2(x, taps, out) };
        return;
    }
    convolve_lanes(x, taps, out);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn convolve_avx2(x: &[f32], taps: &[f32], out: &mut [f32]) {
    convolve_lanes(x, taps, out);
}

#[inline(always)]
fn convolve_lanes(x: &[f32], taps: &[f32], out: &mut [f32]) {
    let mut chunks = out.chunks_exact_mut(LANES);
    let mut at = 0;
    for out in &mut chunks {
        let x = &x[at..at + LANES + taps.len() - 1];
        let mut sums = [0.0f32; LANES];
        for (i, tap) in taps.iter().enumerate() {
            for (sum, x) in sums.iter_mut().zip(&x[i..i + LANES]) {
                *sum += tap * x;
            }
        }
        out.copy_from_slice(&sums);
        at += LANES;
    }
    for out in chunks.into_remainder() {
        *out = taps.iter().zip(&x[at..at + taps.len()]).map(|(tap, x)| tap * x).sum();
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_set_gives_the_sums_in_the_order_of_the_taps() {
        let x: Vec<f32> = (0..120u16).map(|n| (f32::from(n) * 0.7).sin()).collect();
        let taps: Vec<f32> = (0..37u16).map(|n| (f32::from(n) * 1.3).cos()).collect();
        let expected: Vec<f32> =
            (0..84).map(|n| taps.iter().zip(&x[n..]).fold(0.0, |sum: f32, (tap, x)| sum + tap * x)).collect();
        let (mut out, mut plain) = ([0.0; 84], [0.0; 84]);
        convolve(&x, &taps, &mut out);
        convolve_lanes(&x, &taps, &mut plain);
        assert_eq!((&out[..], &plain[..]), (&expected[..], &expected[..]));
    }
}
