//! Intermodulation: what two tones at once give that neither gives alone.

use serde::Serialize;

use super::measures::{Measure, MeasureFn, Preference, Unit};
use super::spectrum::bin_powers;
use super::{MeasureError, WORKING_LEVEL_DBFS, check_rate};
use crate::audio::{Audio, db_to_gain};
use crate::effect::Effect;
use crate::render::render;

/// The low and the high tone of the SMPTE method, in hertz.
const SMPTE_HZ: (usize, usize) = (60, 7000);
/// Amplitude of the low tone divided by that of the high one, by the SMPTE method.
const SMPTE_RATIO: f64 = 4.0;
/// The two tones of the CCIF method, in hertz.
const CCIF_HZ: (usize, usize) = (19_000, 20_000);

/// Intermodulation distortion at a peak of -12 dBFS.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Intermodulation {
    /// Peak of the two tones together, in dBFS.
    pub peak_dbfs: f64,
    /// Modulation distortion of 60 Hz and 7 kHz, amplitudes 4 to 1 (SMPTE RP 120, IEC 60268-3), in percent. `None` if the
    /// tones are missing in the output, or the sample rate is too low.
    pub smpte_percent: Option<f64>,
    /// Difference-frequency distortion of 19 and 20 kHz, amplitudes 1 to 1 (CCIF, IEC 60268-3), in percent. `None` as above.
    pub ccif_percent: Option<f64>,
}

/// Modulation distortion by the SMPTE method.
pub static SMPTE: Measure = Measure {
    id: "imd_smpte",
    name: "Intermodulation, SMPTE",
    heading: "IMD SMPTE %",
    unit: Unit::Percent,
    definition: "60 Hz and 7 kHz with amplitudes 4 to 1 and a peak of -12 dBFS: the sum of the amplitudes at 7 kHz +- 60 Hz and \
                 that at 7 kHz +- 120 Hz, the root of both squares, divided by the amplitude at 7 kHz (IEC 60268-3).",
    better: Preference::Neither,
    function: MeasureFn::Effect(|figures| figures.intermodulation.smpte_percent.unwrap_or(f64::NAN)),
};

/// Difference-frequency distortion by the CCIF method.
pub static CCIF: Measure = Measure {
    id: "imd_ccif",
    name: "Intermodulation, CCIF",
    heading: "IMD CCIF %",
    unit: Unit::Percent,
    definition: "19 and 20 kHz with equal amplitudes and a peak of -12 dBFS: the amplitude at 1 kHz and the sum of those at 18 and \
                 21 kHz, the root of both squares, divided by the sum of the amplitudes at 19 and 20 kHz (IEC 60268-3).",
    better: Preference::Neither,
    function: MeasureFn::Effect(|figures| figures.intermodulation.ccif_percent.unwrap_or(f64::NAN)),
};

/// Measures the intermodulation of two pairs of tones, each with a peak of -12 dBFS. [control thread: allocates]
///
/// # Errors
/// If the effect cannot be prepared for this sample rate.
pub fn intermodulation(effect: &Effect, sample_rate: u32) -> Result<Intermodulation, MeasureError> {
    check_rate(sample_rate)?;
    let root = |a: f64, b: f64| (a * a + b * b).sqrt();
    let (low, high) = SMPTE_HZ;
    let smpte_percent = match amplitudes(effect, sample_rate, [low, high], SMPTE_RATIO, high + 2 * low)? {
        Some(at) if at(high) > 0.0 => {
            let order = |n: usize| at(high - n * low) + at(high + n * low);
            Some(100.0 * root(order(1), order(2)) / at(high))
        }
        _ => None,
    };
    let (low, high) = CCIF_HZ;
    let ccif_percent = match amplitudes(effect, sample_rate, [low, high], 1.0, 2 * high - low)? {
        Some(at) if at(low) + at(high) > 0.0 => {
            Some(100.0 * root(at(high - low), at(2 * low - high) + at(2 * high - low)) / (at(low) + at(high)))
        }
        _ => None,
    };
    Ok(Intermodulation { peak_dbfs: WORKING_LEVEL_DBFS, smpte_percent, ccif_percent })
}

/// The amplitude at each whole number of hertz of an effect's output for two tones, the first one `ratio` times as strong as the
/// second. `None` if the sample rate is too low for `highest_hz`.
fn amplitudes(
    effect: &Effect,
    sample_rate: u32,
    tones_hz: [usize; 2],
    ratio: f64,
    highest_hz: usize,
) -> Result<Option<impl Fn(usize) -> f64>, MeasureError> {
    // A second is a whole number of periods of both tones, and its bins are 1 Hz apart.
    let frames = sample_rate as usize;
    if 2 * highest_hz >= frames {
        return Ok(None);
    }
    let second = db_to_gain(WORKING_LEVEL_DBFS) / (1.0 + ratio);
    let sine = |hz: usize, frame: usize| (std::f64::consts::TAU * (hz * frame % frames) as f64 / frames as f64).sin();
    let period: Vec<f32> =
        (0..frames).map(|frame| (second * (ratio * sine(tones_hz[0], frame) + sine(tones_hz[1], frame))) as f32).collect();
    // The effect settles in the first second. At the end of the third it already sees the silence that follows.
    let wet = render(effect, &Audio::from_mono(sample_rate, &period.repeat(3))?)?;
    let steady: Vec<f64> = wet.channel(0)[frames..2 * frames].iter().map(|y| f64::from(*y)).collect();
    let powers = bin_powers(&steady);
    Ok(Some(move |hz: usize| (2.0 * powers[hz]).sqrt()))
}

#[cfg(test)]
mod tests {
    use super::super::test_effects::{RATE, shaper};
    use super::*;

    #[test]
    fn a_polynomial_has_the_intermodulation_that_follows_from_its_coefficients() {
        const A: f64 = 0.2;
        const B: f64 = 0.3;
        let found = intermodulation(&shaper(|x| x + A * x * x + B * x.powi(3)), RATE).unwrap();
        let peak = db_to_gain(WORKING_LEVEL_DBFS);
        // Of two cosines p and q: a x^2 has a p q at q +- p; b x^3 has 3/4 b p^2 q at q +- 2 p, and
        // b (3/4 q^3 + 3/2 p^2 q) at q.
        let (p, q) = (0.8 * peak, 0.2 * peak);
        let (second, third) = (2.0 * A * p * q, 2.0 * 0.75 * B * p * p * q);
        let expected = 100.0 * (second * second + third * third).sqrt() / (q + B * (0.75 * q.powi(3) + 1.5 * p * p * q));
        assert!((found.smpte_percent.unwrap() / expected - 1.0).abs() < 1e-4, "{found:?}; expected {expected}");
        let p = 0.5 * peak;
        let (second, third) = (A * p * p, 2.0 * 0.75 * B * p.powi(3));
        let expected = 100.0 * (second * second + third * third).sqrt() / (2.0 * (p + B * 2.25 * p.powi(3)));
        assert!((found.ccif_percent.unwrap() / expected - 1.0).abs() < 1e-4, "{found:?}; expected {expected}");
    }

    #[test]
    fn a_gain_has_no_intermodulation_and_silence_has_no_figure() {
        let found = intermodulation(&shaper(|x| 0.5 * x), RATE).unwrap();
        assert!(found.smpte_percent.unwrap() < 1e-4 && found.ccif_percent.unwrap() < 1e-4, "{found:?}");
        let found = intermodulation(&shaper(|_| 0.0), RATE).unwrap();
        assert_eq!((found.smpte_percent, found.ccif_percent), (None, None));
        let low = intermodulation(&crate::effect::Effect::from_id("clipper").unwrap(), 32_000).unwrap();
        assert!(low.smpte_percent.is_some() && low.ccif_percent.is_none(), "no room for 21 kHz: {low:?}");
    }
}
