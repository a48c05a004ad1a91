//! All that is told of one effect alone.

use serde::Serialize;

use super::response::SmallSignal;
use super::{
    AliasingCurve, HarmonicSweep, HarmonicsOverLevel, Idle, Intermodulation, LatencyCheck, LinearResponse, MeasureError,
    ModelAliasing, TransferCurve, aliasing_curve, harmonic_sweep, harmonics_over_level, idle, intermodulation, transfer_curve,
};
use crate::effect::Effect;

/// The level of test sounds that stand for music, in dB of a full-scale sine: as loud as the noise of a measurement of cost.
pub const WORKING_LEVEL_DBFS: f64 = -12.0;
/// Frequency of the tone against level in hertz.
const TONE_HZ: f64 = 1000.0;

/// The measured characteristics of an effect, for one channel.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Characteristics {
    /// Sample rate in hertz.
    pub sample_rate: u32,
    /// Magnitude, phase and group delay for small signals.
    pub response: LinearResponse,
    /// Reported and measured latency.
    pub latency: LatencyCheck,
    /// Harmonics against frequency at -12 dBFS.
    pub sweep: HarmonicSweep,
    /// Harmonics, THD and THD+N against level at 1 kHz.
    pub levels: HarmonicsOverLevel,
    /// Intermodulation at -12 dBFS.
    pub intermodulation: Intermodulation,
    /// Output against input, with hysteresis.
    pub transfer: TransferCurve,
    /// Aliasing against frequency and against level, with THD and THD+N of the same tones.
    pub aliasing: AliasingCurve,
    /// Aliasing of the model at each oversampling; `None` if the effect plays none.
    pub model_aliasing: Option<ModelAliasing>,
    /// Noise and DC for silence.
    pub idle: Idle,
}

/// Measures all characteristics of an effect, one after the other. [control thread: allocates, takes its time]
///
/// # Errors
/// If the effect cannot be prepared for this sample rate, or the rate is below 8 kHz or above 768 kHz.
pub fn characterise(effect: &Effect, sample_rate: u32) -> Result<Characteristics, MeasureError> {
    let small_signal = SmallSignal::measure(effect, sample_rate)?;
    Ok(Characteristics {
        sample_rate,
        response: small_signal.response(),
        latency: small_signal.latency(),
        sweep: harmonic_sweep(effect, sample_rate, WORKING_LEVEL_DBFS)?,
        levels: harmonics_over_level(effect, sample_rate, TONE_HZ)?,
        intermodulation: intermodulation(effect, sample_rate)?,
        transfer: transfer_curve(effect, sample_rate)?,
        aliasing: aliasing_curve(effect, sample_rate)?,
        model_aliasing: ModelAliasing::of_effect(effect, sample_rate, || true)?,
        idle: idle(effect, sample_rate)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithm::REGISTRY;

    #[test]
    fn every_algorithm_is_characterised_at_every_common_rate_and_at_the_lowest() {
        for algorithm in REGISTRY {
            for rate in [8000, 44_100, 96_000] {
                let found = characterise(&Effect::new(algorithm), rate).unwrap();
                assert!(!found.response.hz.is_empty() && !found.sweep.hz.is_empty(), "{}: {rate} Hz", algorithm.id);
                assert!(found.levels.input_dbfs.len() > 10 && !found.aliasing.over_frequency.is_empty());
                assert!(found.response.magnitude_db.iter().all(|db| db.is_finite()), "{}: {rate} Hz", algorithm.id);
            }
        }
    }

    #[test]
    fn the_same_effect_has_the_same_characteristics_again() {
        let effect = Effect::from_id("saturator").expect("a row of the registry").with("drive", 24.0);
        assert_eq!(characterise(&effect, 48_000).unwrap(), characterise(&effect, 48_000).unwrap());
    }
}
