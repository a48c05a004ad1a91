//! What an effect gives for silence: noise and DC.

use serde::Serialize;

use super::measures::{Measure, MeasureFn, Preference, Unit};
use super::{MeasureError, check_rate};
use crate::audio::{Audio, gain_to_db};
use crate::effect::Effect;
use crate::render::render;

/// Seconds of silence before the output counts: 30 time constants of a 10 Hz high-pass.
const SETTLE_SECONDS: f64 = 0.5;
/// Seconds of output that count.
const SECONDS: f64 = 1.0;

/// The output for silence, half a second after its beginning, for a second.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Idle {
    /// RMS of the output less its mean, in dB of a full-scale square wave; `None` if the output is constant.
    pub noise_rms_dbfs: Option<f64>,
    /// Mean of the output, where 1 is full scale.
    pub dc: f64,
    /// True if all samples of the output are equal.
    pub is_constant: bool,
    /// True if all samples of the output are 0.
    pub is_silent: bool,
}

/// Noise of an effect for silence.
pub static NOISE: Measure = Measure {
    id: "idle_noise_dbfs",
    name: "Noise for silence",
    heading: "Idle noise dBFS",
    unit: Unit::Dbfs,
    definition: "RMS of what an effect gives for silence, without its mean, in dB of a full-scale square wave; blank if it is \
                 constant.",
    better: Preference::Lower,
    function: MeasureFn::Effect(|figures| figures.idle.noise_rms_dbfs.unwrap_or(f64::NAN)),
};

/// Mean of an effect's output for silence.
pub static DC: Measure = Measure {
    id: "idle_dc",
    name: "DC for silence",
    heading: "Idle DC",
    unit: Unit::Amplitude,
    definition: "Mean of what an effect gives for silence, where 1 is full scale.",
    better: Preference::Neither,
    function: MeasureFn::Effect(|figures| figures.idle.dc),
};

/// Measures the output for silence. [control thread: allocates]
///
/// # Errors
/// If the effect cannot be prepared for this sample rate.
pub fn idle(effect: &Effect, sample_rate: u32) -> Result<Idle, MeasureError> {
    check_rate(sample_rate)?;
    let frames = |seconds: f64| (seconds * f64::from(sample_rate)) as usize;
    let silence = Audio::silence(sample_rate, 1, frames(SETTLE_SECONDS) + frames(SECONDS));
    let wet = render(effect, &silence)?;
    let output = &wet.channel(0)[frames(SETTLE_SECONDS)..];
    let is_constant = output.iter().all(|y| *y == output[0]);
    let count = output.len() as f64;
    // The mean of equal samples may differ from them in the last digit.
    let dc = if is_constant { output[0].into() } else { output.iter().map(|y| f64::from(*y)).sum::<f64>() / count };
    let variance = output.iter().map(|y| (f64::from(*y) - dc).powi(2)).sum::<f64>() / count;
    let noise_rms_dbfs = (!is_constant).then(|| gain_to_db(variance.sqrt()));
    Ok(Idle { noise_rms_dbfs, dc, is_constant, is_silent: is_constant && output[0] == 0.0 })
}

#[cfg(test)]
mod tests {
    use super::super::test_effects::{RATE, effect, shaper};
    use super::*;

    #[test]
    fn noise_and_dc_of_a_known_source_are_told() {
        let noisy = || {
            let mut random = crate::audio::Random::new(1);
            move |x: f64| x + 0.25 + 0.01 * random.bipolar()
        };
        let found = idle(&effect(0, noisy), RATE).unwrap();
        // Uniform noise of +-a has the RMS a / sqrt 3.
        let expected = 20.0 * (0.01 / 3f64.sqrt()).log10();
        assert!((found.noise_rms_dbfs.unwrap() - expected).abs() < 0.05, "{found:?}; expected {expected}");
        assert!((found.dc - 0.25).abs() < 1e-4 && !found.is_constant && !found.is_silent, "{found:?}");
    }

    #[test]
    fn a_constant_has_no_noise_and_silence_is_told_as_such() {
        let constant = idle(&shaper(|x| x + 0.1), RATE).unwrap();
        assert_eq!(constant, Idle { noise_rms_dbfs: None, dc: 0.1f32.into(), is_constant: true, is_silent: false });
        let silent = idle(&shaper(|x| x), RATE).unwrap();
        assert_eq!(silent, Idle { noise_rms_dbfs: None, dc: 0.0, is_constant: true, is_silent: true });
    }
}
