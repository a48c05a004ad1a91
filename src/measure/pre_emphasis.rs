//! Error to signal with pre-emphasis.

use super::ErrorToSignal;
use super::measures::{Comparison, Measure, MeasureFn, Preference, Unit};

/// Coefficient of the pre-emphasis: the habit of the field. Wright and Välimäki (ICASSP 2020) compare weightings.
const COEFFICIENT: f32 = 0.85;

/// Error to signal of y[n] - 0.85 y[n - 1], all channels together.
fn error(comparison: &Comparison<'_>) -> ErrorToSignal {
    let mut sums = ErrorToSignal::default();
    for (reference, test) in comparison.channels() {
        let mut before = (0.0, 0.0);
        for (y, z) in reference.iter().zip(test) {
            sums.add(y - COEFFICIENT * before.0, z - COEFFICIENT * before.1);
            before = (*y, *z);
        }
    }
    sums
}

/// Error to signal with pre-emphasis as a ratio.
pub static ESR_PRE_EMPHASIS: Measure = Measure {
    id: "esr_pre_emphasis",
    name: "Error to signal with pre-emphasis",
    heading: "ESR 0.85",
    unit: Unit::Ratio,
    definition: "Energy of the difference divided by the energy of the reference, both through the filter 1 - 0.85 z^-1, all channels \
                 together.",
    better: Preference::Lower,
    function: MeasureFn::Comparison(|comparison| error(comparison).ratio()),
};

/// Error to signal with pre-emphasis in dB.
pub static ESR_PRE_EMPHASIS_DB: Measure = Measure {
    id: "esr_pre_emphasis_db",
    name: "Error to signal with pre-emphasis, in dB",
    heading: "ESR 0.85 dB",
    unit: Unit::Decibel,
    definition: "10 log10 of the error to signal with pre-emphasis 1 - 0.85 z^-1; -300 if nothing is left.",
    better: Preference::Lower,
    function: MeasureFn::Comparison(|comparison| error(comparison).db().into()),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::generate;

    #[test]
    fn an_error_at_another_frequency_counts_by_the_gains_of_the_filter_at_any_rate() {
        for rate in [44_100, 48_000, 96_000] {
            let [low, high] = [200.0, 8000.0].map(|hz| generate::sine(rate, hz, 0.5, rate as usize).unwrap());
            let test = low.add(&high).unwrap();
            let power = |hz: f64| 1.0 + 0.85 * 0.85 - 1.7 * (std::f64::consts::TAU * hz / f64::from(rate)).cos();
            let found = ESR_PRE_EMPHASIS.compare(&Comparison::new(&low, &test).unwrap()).unwrap();
            assert!((found / (power(8000.0) / power(200.0)) - 1.0).abs() < 1e-3, "{found}");
        }
    }

    #[test]
    fn a_gain_has_the_error_that_it_has_without_pre_emphasis() {
        let sound = generate::pink(48_000, 0.1, 48_000, 1).unwrap();
        let other = sound.multiply(0.99).unwrap();
        let comparison = Comparison::new(&sound, &other).unwrap();
        assert!((ESR_PRE_EMPHASIS.compare(&comparison).unwrap() / 1e-4 - 1.0).abs() < 1e-3);
        assert!((ESR_PRE_EMPHASIS_DB.compare(&comparison).unwrap() + 40.0).abs() < 1e-2);
        assert_eq!(ESR_PRE_EMPHASIS.compare(&Comparison::new(&sound, &sound).unwrap()), Some(0.0));
    }
}
