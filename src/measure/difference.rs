//! The difference of two sounds, and the latency in an impulse response.

use super::spectrum::decibels;

/// Energy of an error and energy of its reference signal, added up sample by sample; the sums of several sounds can be joined.
/// [any thread]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ErrorToSignal {
    /// Sum of the squared differences.
    error: f64,
    /// Sum of the reference's squares.
    signal: f64,
}

impl ErrorToSignal {
    /// The sums over the frames that both sounds have.
    #[must_use]
    pub fn of(reference: &[f32], test: &[f32]) -> Self {
        let mut sums = Self::default();
        reference.iter().zip(test).for_each(|(y, z)| sums.add(*y, *z));
        sums
    }

    /// Adds a sample of each sound.
    pub fn add(&mut self, reference: f32, test: f32) {
        let (y, z) = (f64::from(reference), f64::from(test));
        self.error += (y - z) * (y - z);
        self.signal += y * y;
    }

    /// Adds the sums of another sound.
    pub fn add_sums(&mut self, other: Self) {
        self.error += other.error;
        self.signal += other.signal;
    }

    /// Sum of the squared differences.
    #[must_use]
    pub fn error(self) -> f64 {
        self.error
    }

    /// Sum of the reference's squares.
    #[must_use]
    pub fn signal(self) -> f64 {
        self.signal
    }

    /// Error to signal as a ratio of energies, as [`esr`] defines it.
    #[must_use]
    pub fn ratio(self) -> f64 {
        if self.error == 0.0 { 0.0 } else { self.error / self.signal }
    }

    /// Error to signal in dB, as [`null_db`] defines it.
    #[must_use]
    pub fn db(self) -> f32 {
        decibels(self.ratio())
    }
}

/// Error to signal as a ratio of energies: sum (y - ŷ)² / sum y² (Wright et al., DAFx-19), without pre-emphasis and without
/// alignment, over the frames that both have. 0 if there is no error, infinite for an error against silence.
/// [control thread]
#[must_use]
pub fn esr(reference: &[f32], test: &[f32]) -> f32 {
    ErrorToSignal::of(reference, test).ratio() as f32
}

/// Null depth in dB: the energy that is left of `test` when `reference` is subtracted, relative to the reference's energy,
/// which is 10 log10 of [`esr`]. [`super::SILENCE_DB`] if they are equal. [control thread]
#[must_use]
pub fn null_db(reference: &[f32], test: &[f32]) -> f32 {
    ErrorToSignal::of(reference, test).db()
}

/// Latency in frames from the response to an impulse at frame 0: the frame of the largest magnitude, the first of equals. 0 if
/// all is silent. [control thread]
#[must_use]
pub fn latency(impulse_response: &[f32]) -> usize {
    let largest = |best: (usize, f32), (at, x): (usize, &f32)| if x.abs() > best.1 { (at, x.abs()) } else { best };
    impulse_response.iter().enumerate().fold((0, 0.0), largest).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gain_and_delay_give_the_expected_error() {
        let x: Vec<f32> = (0..48_000).map(|i| (std::f32::consts::TAU * (i % 48) as f32 / 48.0).sin()).collect();
        let louder: Vec<f32> = x.iter().map(|x| x * 10f32.powf(0.5 / 20.0)).collect();
        assert!((esr(&x, &louder) - 0.003_5).abs() < 1e-4);
        assert!((esr(&x[..47_999], &x[1..]) - 0.017).abs() < 2e-4);
        assert!((null_db(&x, &louder) + 24.5).abs() < 0.1);
        assert_eq!((esr(&x, &x), null_db(&x, &x)), (0.0, super::super::SILENCE_DB));
        assert_eq!(esr(&[0.0], &[1.0]), f32::INFINITY);
    }

    #[test]
    fn latency_is_the_frame_of_the_largest_magnitude() {
        assert_eq!(latency(&[0.0, 0.1, -0.9, 0.5]), 2);
        assert_eq!(latency(&[]), 0);
    }
}
