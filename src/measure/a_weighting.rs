//! Error to signal with A-weighting, which Wright and Välimäki (ICASSP 2020) found closest to listeners.

use super::measures::{Comparison, Measure, MeasureFn, Preference, Unit};
use super::spectrum::decibels;

/// Pole frequencies of the weighting in hertz: a double one, two single ones, a double one (IEC 61672-1, annex E).
const POLES_HZ: [f64; 4] = [20.598_997, 107.652_65, 737.862_23, 12_194.217];

/// Gain of the A-weighting for a power at `hz`; 1 at 1 kHz.
pub(super) fn power_gain(hz: f64) -> f64 {
    let gain = |hz: f64| {
        let [first, second, third, fourth] = POLES_HZ.map(|pole| hz * hz + pole * pole);
        POLES_HZ[3].powi(2) * hz.powi(4) / (first * (second * third).sqrt() * fourth)
    };
    (gain(hz) / gain(1000.0)).powi(2)
}

/// A-weighted error to signal of all channels together.
fn ratio(comparison: &Comparison<'_>) -> f64 {
    comparison.error_spectrum().weighted_ratio(power_gain)
}

/// A-weighted error to signal as a ratio.
pub static ESR_A_WEIGHTED: Measure = Measure {
    id: "esr_a_weighted",
    name: "Error to signal, A-weighted",
    heading: "ESR A-weighted",
    unit: Unit::Ratio,
    definition: "Energy of the difference divided by the energy of the reference, both with A-weighting (the curve of IEC 61672-1, exact at \
                 any sample rate), all channels together.",
    better: Preference::Lower,
    function: MeasureFn::Comparison(ratio),
};

/// A-weighted error to signal in dB.
pub static ESR_A_WEIGHTED_DB: Measure = Measure {
    id: "esr_a_weighted_db",
    name: "Error to signal, A-weighted, in dB",
    heading: "ESR A-weighted dB",
    unit: Unit::Decibel,
    definition: "10 log10 of the A-weighted error to signal; -300 if nothing is left.",
    better: Preference::Lower,
    function: MeasureFn::Comparison(|comparison| decibels(ratio(comparison)).into()),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::generate;

    #[test]
    fn the_weighting_is_that_of_the_table_in_the_standard() {
        let table =
            [(31.62, -39.4), (100.0, -19.1), (251.2, -8.6), (1000.0, 0.0), (2512.0, 1.3), (10_000.0, -2.5), (19_953.0, -9.3)];
        for (hz, db) in table {
            assert!((10.0 * power_gain(hz).log10() - db).abs() < 0.06, "{hz} Hz: {}", 10.0 * power_gain(hz).log10());
        }
        assert_eq!(power_gain(0.0), 0.0);
    }

    #[test]
    fn an_error_in_the_bass_counts_as_little_as_the_curve_says_at_any_rate() {
        for rate in [44_100, 48_000, 96_000] {
            let [bass, middle] = [100.0, 1000.0].map(|hz| generate::sine(rate, hz, 0.5, 2 * rate as usize).unwrap());
            let reference = middle.clone();
            let test = middle.add(&bass).unwrap();
            let found = ESR_A_WEIGHTED_DB.compare(&Comparison::new(&reference, &test).unwrap()).unwrap();
            assert!((found + 19.14).abs() < 0.1, "{found}");
        }
    }

    #[test]
    fn a_gain_has_the_error_that_it_has_without_weighting() {
        let sound = generate::pink(48_000, 0.1, 48_000, 1).unwrap();
        let comparison = (&sound, &sound.multiply(0.99).unwrap());
        let comparison = Comparison::new(comparison.0, comparison.1).unwrap();
        assert!((ESR_A_WEIGHTED.compare(&comparison).unwrap() / 1e-4 - 1.0).abs() < 1e-3);
        assert_eq!(ESR_A_WEIGHTED.compare(&Comparison::new(&sound, &sound).unwrap()), Some(0.0));
        assert_eq!(ESR_A_WEIGHTED_DB.compare(&Comparison::new(&sound, &sound).unwrap()), Some(-300.0));
    }
}
