//! How far one sound is from another.

use super::transform::decibels;

/// Squared error and squared reference, over the frames that both have.
fn sums(reference: &[f32], rendered: &[f32]) -> (f64, f64) {
    reference.iter().zip(rendered).fold((0.0, 0.0), |(error, signal), (y, z)| {
        let (y, z) = (f64::from(*y), f64::from(*z));
        (error + (y - z) * (y - z), signal + y * y)
    })
}

/// Error to signal as a ratio of energies: sum (y - ŷ)² / sum y² (Wright et al., DAFx-19), without pre-emphasis and without
/// alignment, over the frames that both have. 0 if there is no error, infinite for an error against silence.
/// [analysis thread]
#[must_use]
pub fn esr(reference: &[f32], rendered: &[f32]) -> f32 {
    let (error, signal) = sums(reference, rendered);
    if error == 0.0 { 0.0 } else { (error / signal) as f32 }
}

/// What is left of `rendered` when `reference` is subtracted, in dB of the reference's energy: [`esr`] as 10 log10. Exact
/// equality is [`super::SILENCE_DB`]. [analysis thread]
#[must_use]
pub fn null_db(reference: &[f32], rendered: &[f32]) -> f32 {
    let (error, signal) = sums(reference, rendered);
    decibels(if error == 0.0 { 0.0 } else { error / signal })
}

/// Frames by which an impulse at frame 0 comes late: where its response is largest, the first of equals. [analysis thread]
#[must_use]
pub fn latency(impulse_response: &[f32]) -> usize {
    let largest = |best: (usize, f32), (at, x): (usize, &f32)| if x.abs() > best.1 { (at, x.abs()) } else { best };
    impulse_response.iter().enumerate().fold((0, 0.0), largest).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_decibel_of_gain_and_one_sample_of_delay_cost_what_they_should() {
        let x: Vec<f32> = (0..48_000).map(|i| (std::f32::consts::TAU * (i % 48) as f32 / 48.0).sin()).collect();
        let louder: Vec<f32> = x.iter().map(|x| x * 10f32.powf(0.5 / 20.0)).collect();
        assert!((esr(&x, &louder) - 0.003_5).abs() < 1e-4);
        assert!((esr(&x[..47_999], &x[1..]) - 0.017).abs() < 2e-4);
        assert!((null_db(&x, &louder) + 24.5).abs() < 0.1);
        assert_eq!((esr(&x, &x), null_db(&x, &x)), (0.0, super::super::SILENCE_DB));
        assert_eq!(esr(&[0.0], &[1.0]), f32::INFINITY);
    }

    #[test]
    fn latency_is_where_the_response_is_largest() {
        assert_eq!(latency(&[0.0, 0.1, -0.9, 0.5]), 2);
        assert_eq!(latency(&[]), 0);
    }
}
