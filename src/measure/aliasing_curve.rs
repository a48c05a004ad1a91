//! Aliasing of an effect against frequency and level.

use serde::Serialize;

use super::measures::{Measure, MeasureFn, Preference, Unit};
use super::tone::ToneFigures;
use super::{MeasureError, check_rate};
use crate::effect::Effect;

/// Level of the tones against frequency in dBFS: at full scale an effect aliases most.
const LEVEL_DBFS: f64 = 0.0;
/// The lowest tone in hertz. The others follow in thirds of an octave.
const LOWEST_HZ: f64 = 125.0;
/// The highest tone in hertz.
const HIGHEST_HZ: f64 = 16_000.0;
/// Shares of the sample rate beside which there is no tone: of a tone there, harmonics fold onto the tone itself, its harmonics and
/// 0 Hz, where nobody tells them apart.
const FOLDS: [f64; 2] = [1.0 / 3.0, 1.0 / 4.0];
/// Distance from a fold, as a share of its frequency, within which a tone is moved.
const NEAR_FOLD: f64 = 0.03;
/// Factor that moves a tone away from a fold: 16 kHz at 48 kHz becomes 15 kHz.
const AWAY: f64 = 15.0 / 16.0;
/// Tones in an octave.
const TONES_PER_OCTAVE: f64 = 3.0;
/// The tone against level in hertz, whose first harmonics still are in the band of hearing.
const TONE_HZ: f64 = 5000.0;
/// Levels of that tone in dBFS, from the lowest to 0 in steps.
const LOWEST_LEVEL_DBFS: i32 = -48;
/// Step of these levels in dB.
const LEVEL_STEP_DB: usize = 6;

/// Figures of steady sines: aliasing, and harmonics and distortion beside it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AliasingCurve {
    /// Sines of 0 dBFS from 125 Hz up to 16 kHz, three an octave. A tone within 3 % of a third or a quarter of the sample rate is a
    /// sixteenth lower.
    pub over_frequency: Vec<ToneFigures>,
    /// Sines of 5 kHz from -48 to 0 dBFS; empty if the sample rate is too low for them.
    pub over_level: Vec<ToneFigures>,
}

impl AliasingCurve {
    /// The largest aliasing to signal against frequency, in dB, with its tone's frequency in hertz. [any thread]
    #[must_use]
    pub fn worst(&self) -> Option<(f64, f64)> {
        let all = self.over_frequency.iter().map(|figures| (figures.aliasing_db, figures.hz));
        all.max_by(|a, b| a.0.total_cmp(&b.0))
    }
}

/// The largest aliasing of sines at full scale.
pub static ROW: Measure = Measure {
    id: "aliasing_worst_db",
    name: "Largest aliasing",
    heading: "Largest aliasing dB",
    unit: Unit::Decibel,
    definition: "The largest aliasing to signal of sines at 0 dBFS from 125 Hz to 16 kHz, three an octave. One \
                 that lies within 3 % of a third or a quarter of the sample rate, where aliases meet harmonics, is a sixteenth \
                 lower: 15 kHz at 48 kHz.",
    better: Preference::Lower,
    function: MeasureFn::Effect(|figures| figures.aliasing.worst().map_or(f64::NAN, |(db, _)| db)),
};

/// Measures aliasing against frequency at full scale, and against level at 5 kHz. [control thread: allocates]
///
/// # Errors
/// If the effect cannot be prepared for this sample rate.
pub fn aliasing_curve(effect: &Effect, sample_rate: u32) -> Result<AliasingCurve, MeasureError> {
    check_rate(sample_rate)?;
    let highest_hz = HIGHEST_HZ.min(super::tone::highest_tone_hz(sample_rate));
    let frequencies = (0..).map(|index| LOWEST_HZ * (f64::from(index) / TONES_PER_OCTAVE).exp2());
    let over_frequency = frequencies
        .take_while(|hz| *hz <= highest_hz)
        .map(|hz| ToneFigures::measure(effect, sample_rate, away_from_folds(hz, sample_rate), LEVEL_DBFS))
        .collect::<Result<_, _>>()?;
    let levels = (LOWEST_LEVEL_DBFS..=0).step_by(LEVEL_STEP_DB).map(f64::from);
    let over_level = levels
        .filter(|_| TONE_HZ <= highest_hz)
        .map(|level| ToneFigures::measure(effect, sample_rate, TONE_HZ, level))
        .collect::<Result<_, _>>()?;
    Ok(AliasingCurve { over_frequency, over_level })
}

/// The frequency, or a lower one if it is near a fold.
fn away_from_folds(hz: f64, sample_rate: u32) -> f64 {
    let is_near = |share: &f64| (hz / (share * f64::from(sample_rate)) - 1.0).abs() < NEAR_FOLD;
    if FOLDS.iter().any(is_near) { hz * AWAY } else { hz }
}

#[cfg(test)]
mod tests {
    use super::super::test_effects::{RATE, shaper};
    use super::*;

    #[test]
    fn aliasing_of_a_plain_tanh_rises_with_frequency_and_level_to_the_published_figures() {
        let found = aliasing_curve(&shaper(|x| (10f64.powf(24.0 / 20.0) * x).tanh()), RATE).unwrap();
        assert_eq!((found.over_frequency.len(), found.over_level.len()), (22, 9));
        let at = |hz: f64| found.over_frequency.iter().find(|figures| (figures.hz / hz - 1.0).abs() < 0.02).unwrap();
        // 1244 Hz and 5 kHz at 24 dB: -30 and -14 dB.
        assert!((at(1260.0).aliasing_db + 30.0).abs() < 1.5, "{:?}", at(1260.0));
        assert!((at(5040.0).aliasing_db + 14.0).abs() < 1.5, "{:?}", at(5040.0));
        let top = found.over_level.last().unwrap();
        assert!((top.aliasing_db + 14.0).abs() < 1.5 && top.level_dbfs == 0.0, "{top:?}");
        // 12 dB less input is 12 dB less drive: -25 dB.
        assert!((found.over_level[6].aliasing_db + 25.0).abs() < 1.5, "{:?}", found.over_level[6]);
        assert!(found.over_level[4..].is_sorted_by(|a, b| a.aliasing_db < b.aliasing_db));
        let (db, _) = found.worst().unwrap();
        assert!(found.over_frequency.iter().all(|figures| figures.aliasing_db <= db));
    }

    #[test]
    fn oversampling_lowers_the_curve_at_every_frequency_that_aliases() {
        let saturator = Effect::from_id("saturator").unwrap().with("drive", 24.0).with("tone", 20_000.0);
        let curve = |oversampling: f32| aliasing_curve(&saturator.with("oversampling", oversampling), RATE).unwrap();
        let (plain, oversampled) = (curve(0.0), curve(3.0));
        for (plain, oversampled) in plain.over_frequency.iter().zip(&oversampled.over_frequency) {
            assert!(oversampled.aliasing_db < plain.aliasing_db - 20.0 || plain.aliasing_db < -80.0, "{oversampled:?}");
        }
    }

    #[test]
    fn no_tone_lies_near_a_third_or_a_quarter_of_the_sample_rate() {
        let curve = |rate: u32| aliasing_curve(&shaper(|x| x), rate).unwrap().over_frequency;
        assert!((curve(RATE).last().unwrap().hz - 15_000.0).abs() < 2.0);
        for rate in [8000, 32_000, 44_100, RATE] {
            for tone in curve(rate) {
                let share = tone.hz / f64::from(rate);
                assert!((share * 3.0 - 1.0).abs() > 0.02 && (share * 4.0 - 1.0).abs() > 0.02, "{rate}: {tone:?}");
            }
        }
    }

    #[test]
    fn a_low_sample_rate_leaves_out_tones_that_have_no_room() {
        let found = aliasing_curve(&Effect::from_id("clipper").unwrap(), 8000).unwrap();
        assert!(found.over_frequency.iter().all(|figures| figures.hz < 3610.0) && found.over_level.is_empty());
    }
}
