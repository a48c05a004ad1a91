//! How far one sound is from another.

use super::transform::decibels;

/// Energies of an error and of the signal that it is an error of, added up sample by sample, of as many sounds as are to count
/// together. [any thread]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ErrorToSignal {
    error: f64,
    signal: f64,
}

impl ErrorToSignal {
    /// Over the frames that both have.
    #[must_use]
    pub fn of(reference: &[f32], rendered: &[f32]) -> Self {
        let mut sums = Self::default();
        reference.iter().zip(rendered).for_each(|(y, z)| sums.add(*y, *z));
        sums
    }

    /// One more sample of each.
    pub fn add(&mut self, reference: f32, rendered: f32) {
        let (y, z) = (f64::from(reference), f64::from(rendered));
        self.error += (y - z) * (y - z);
        self.signal += y * y;
    }

    /// Another sound, so that both count together.
    pub fn join(&mut self, other: Self) {
        self.error += other.error;
        self.signal += other.signal;
    }

    /// Sum of the reference's squares.
    #[must_use]
    pub fn signal(self) -> f64 {
        self.signal
    }

    /// See [`esr`].
    #[must_use]
    pub fn ratio(self) -> f64 {
        if self.error == 0.0 { 0.0 } else { self.error / self.signal }
    }

    /// See [`null_db`].
    #[must_use]
    pub fn db(self) -> f32 {
        decibels(self.ratio())
    }
}

/// Error to signal as a ratio of energies: sum (y - ŷ)² / sum y² (Wright et al., DAFx-19), without pre-emphasis and without
/// alignment, over the frames that both have. 0 if there is no error, infinite for an error against silence.
/// [analysis thread]
#[must_use]
pub fn esr(reference: &[f32], rendered: &[f32]) -> f32 {
    ErrorToSignal::of(reference, rendered).ratio() as f32
}

/// What is left of `rendered` when `reference` is subtracted, in dB of the reference's energy: [`esr`] as 10 log10. Exact
/// equality is [`super::SILENCE_DB`]. [analysis thread]
#[must_use]
pub fn null_db(reference: &[f32], rendered: &[f32]) -> f32 {
    ErrorToSignal::of(reference, rendered).db()
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
