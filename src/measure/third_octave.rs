//! The error of each third octave against the signal there.

use super::a_weighting::power_gain;
use super::measures::{Comparison, Measure, MeasureFn, Preference, Unit};
use super::spectrum::decibels;

/// The error in a third octave.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct BandError {
    /// Exact middle frequency in hertz: 1000 * 10^(n / 10) (IEC 61260-1).
    pub hz: f64,
    /// Level of the reference in the band, in dB of a full-scale sine, the mean of time and channels; -300 for silence.
    pub signal_db: f64,
    /// Energy of the difference in dB of the reference's energy in the band; -300 without a difference, `None` without a signal.
    pub error_db: Option<f64>,
}

/// Bands, counted from the one of 1 kHz: those whose middles are 20 Hz and 20 kHz.
const BANDS: std::ops::RangeInclusive<i32> = -17..=13;
/// Octaves, counted from the one of 1 kHz: those whose middles are 31.5 Hz and 16 kHz.
const OCTAVES: std::ops::RangeInclusive<i32> = -5..=4;
/// Level in dB below the loudest band, both A-weighted, from which on a band is faint and does not count: about the distance from
/// loud music to a third octave of the noise of a quiet room.
const FAINT_DB: f64 = -70.0;

/// The error of each third octave from 20 Hz to 20 kHz (IEC 61260-1, base 10) whose upper edge is below half the sample rate, from
/// transforms of 0.3 s or more. Below 50 Hz the bands are not much wider than a bin of 3 Hz and leak into their neighbours.
/// [control thread: allocates]
#[must_use]
pub fn third_octaves(comparison: &Comparison<'_>) -> Vec<BandError> {
    band_errors(comparison, BANDS.map(|n| 1000.0 * 10f64.powf(f64::from(n) / 10.0)), 10f64.powf(0.05))
}

/// The error of each octave from 31.5 Hz to 16 kHz (IEC 61260-1, base 10) whose upper edge is below half the sample rate.
/// [control thread: allocates]
#[must_use]
pub fn octaves(comparison: &Comparison<'_>) -> Vec<BandError> {
    band_errors(comparison, OCTAVES.map(|n| 1000.0 * 10f64.powf(0.3 * f64::from(n))), 10f64.powf(0.15))
}

/// The errors of bands of these middles in hertz, each of which reaches from its middle divided by `half_width` to its middle
/// times `half_width`.
fn band_errors(comparison: &Comparison<'_>, middles: impl Iterator<Item = f64>, half_width: f64) -> Vec<BandError> {
    let spectrum = comparison.error_spectrum();
    let nyquist = f64::from(comparison.sample_rate()) / 2.0;
    let samples = (comparison.frames() * comparison.channel_count()) as f64;
    middles
        .map(|hz| (hz, hz / half_width, hz * half_width))
        .filter(|(_, _, high)| *high < nyquist)
        .map(|(hz, low, high)| {
            let (signal, error) = spectrum.band(low, high);
            // A full-scale sine has a mean square of a half.
            let signal_db = decibels(if samples > 0.0 { 2.0 * signal / samples } else { 0.0 }).into();
            BandError { hz, signal_db, error_db: (signal > 0.0).then(|| decibels(error / signal).into()) }
        })
        .collect()
}

/// The bands that are not faint: at most 70 dB below the loudest, with A-weighting, so that a loud bass does not hide the treble.
/// `bands`: middle frequency in hertz and level in dB of each band. [control thread: allocates]
#[must_use]
pub fn audible_bands(bands: &[(f64, f64)]) -> Vec<bool> {
    let weighted: Vec<f64> = bands.iter().map(|(hz, db)| db + 10.0 * power_gain(*hz).log10()).collect();
    let loudest = weighted.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    weighted.iter().map(|db| *db >= loudest + FAINT_DB).collect()
}

/// The largest error of the third octaves that are not faint; NaN for silence.
fn worst(comparison: &Comparison<'_>) -> f64 {
    let bands = third_octaves(comparison);
    let audible = audible_bands(&bands.iter().map(|band| (band.hz, band.signal_db)).collect::<Vec<_>>());
    let counting = bands.iter().zip(audible).filter(|(_, is_audible)| *is_audible);
    counting.filter_map(|(band, _)| band.error_db).fold(f64::NAN, f64::max)
}

/// The worst third octave.
pub static THIRD_OCTAVE_ERROR: Measure = Measure {
    id: "third_octave_error_db",
    name: "Error of the worst third octave",
    heading: "Worst 1/3 octave dB",
    unit: Unit::Decibel,
    definition: "Energy of the difference in dB of the reference's energy in the same third octave (IEC 61260-1, 20 Hz to 20 kHz), in the \
                 worst of those that are, A-weighted, at most 70 dB below the loudest.",
    better: Preference::Lower,
    function: MeasureFn::Comparison(worst),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{Audio, Window, generate};

    /// A sine without edges: its level is that of the window's mean square, 10 log10(3/8), lower.
    fn tone(rate: u32, hz: f64, amplitude: f64) -> Audio {
        let mut tone = generate::sine(rate, hz, amplitude, 4 * rate as usize).unwrap();
        tone.window(Window::Hann);
        tone
    }

    #[test]
    fn a_band_that_a_filter_attenuates_has_the_error_of_that_gain() {
        for rate in [44_100, 48_000, 96_000] {
            // Two tones in two bands; the second one changes by 1 dB and its polarity.
            let [low, high] = [250.0, 4000.0].map(|hz| tone(rate, hz, 0.25));
            let changed = high.multiply(-(10f64.powf(0.05))).unwrap();
            let (reference, test) = (low.add(&high).unwrap(), low.add(&changed).unwrap());
            let comparison = Comparison::new(&reference, &test).unwrap();
            let bands = third_octaves(&comparison);
            assert_eq!(bands.len(), if rate == 44_100 { 30 } else { 31 });
            let band = |hz: f64| bands.iter().find(|band| (band.hz / hz).log2().abs() < 0.1).unwrap();
            for hz in [250.0, 4000.0] {
                assert!((band(hz).signal_db + 12.04 + 4.26).abs() < 0.05, "{:?}", band(hz));
            }
            let expected = 20.0 * (1.0 + 10f64.powf(0.05)).log10();
            assert!((band(4000.0).error_db.unwrap() - expected).abs() < 0.01, "{:?}", band(4000.0));
            assert!(band(250.0).error_db.unwrap() < -100.0, "{:?}", band(250.0));
            assert!((THIRD_OCTAVE_ERROR.compare(&comparison).unwrap() - expected).abs() < 0.01);
        }
    }

    #[test]
    fn an_octave_has_the_energy_of_its_three_thirds() {
        for (rate, count) in [(44_100, 9), (48_000, 10), (96_000, 10)] {
            let reference = generate::white(rate, 0.5, 100_000, 1).unwrap();
            let test = reference.add(&generate::pink(rate, 0.01, 100_000, 2).unwrap()).unwrap();
            let comparison = Comparison::new(&reference, &test).unwrap();
            let (octaves, thirds) = (octaves(&comparison), third_octaves(&comparison));
            assert_eq!(octaves.len(), count, "{rate}");
            let power = |db: f64| 10f64.powf(db / 10.0);
            for octave in &octaves {
                let own: Vec<_> = thirds.iter().filter(|third| (third.hz / octave.hz).log2().abs() < 0.4).collect();
                let signal: f64 = own.iter().map(|third| power(third.signal_db)).sum();
                let error: f64 = own.iter().map(|third| power(third.signal_db + third.error_db.unwrap())).sum();
                assert_eq!(own.len(), 3, "{}", octave.hz);
                assert!((10.0 * signal.log10() - octave.signal_db).abs() < 0.01, "{octave:?}");
                assert!((10.0 * (error / signal).log10() - octave.error_db.unwrap()).abs() < 0.01, "{octave:?}");
            }
        }
    }

    #[test]
    fn white_noise_has_a_level_that_rises_by_one_decibel_per_band() {
        let noise = generate::white(48_000, 0.5, 480_000, 1).unwrap();
        let louder = noise.multiply(1.1).unwrap();
        let bands = third_octaves(&Comparison::new(&noise, &louder).unwrap());
        for pair in bands.windows(2).filter(|pair| pair[0].hz > 300.0) {
            assert!((pair[1].signal_db - pair[0].signal_db - 1.0).abs() < 0.4, "{pair:?}");
        }
        // A gain of a tenth is an error of -20 dB in every band.
        assert!(bands.iter().all(|band| (band.error_db.unwrap() + 20.0).abs() < 1e-3));
    }

    #[test]
    fn a_loud_bass_does_not_make_the_treble_faint() {
        // A-weighting takes 26 dB from 63 Hz, next to nothing from 6.3 kHz.
        assert_eq!(audible_bands(&[(63.1, 0.0), (6310.0, -80.0), (6310.0, -97.0), (31.6, -60.0)]), [true, true, false, false]);
        assert_eq!(audible_bands(&[(1000.0, 0.0), (1000.0, -69.9), (1000.0, -70.1)]), [true, true, false]);
    }

    #[test]
    fn an_error_in_a_faint_band_is_in_the_table_but_not_the_figure() {
        let loud = tone(48_000, 1000.0, 0.5);
        let faint = tone(48_000, 8000.0, 0.0001);
        let reference = loud.add(&faint).unwrap();
        let comparison = Comparison::new(&reference, &loud).unwrap();
        let band = third_octaves(&comparison).into_iter().find(|band| (band.hz - 7943.0).abs() < 1.0).unwrap();
        assert!((band.error_db.unwrap()).abs() < 0.1, "{band:?}");
        assert!(THIRD_OCTAVE_ERROR.compare(&comparison).unwrap() < -40.0);
    }

    #[test]
    fn silence_has_no_error_in_any_band() {
        let silence = Audio::silence(48_000, 1, 48_000);
        let comparison = Comparison::new(&silence, &silence).unwrap();
        assert!(third_octaves(&comparison).iter().all(|band| band.error_db.is_none() && band.signal_db == -300.0));
        assert!(THIRD_OCTAVE_ERROR.compare(&comparison).unwrap().is_nan());
    }
}
