//! Aliasing of the model that an effect plays, at each oversampling.

use std::sync::Arc;

use serde::Serialize;

use super::measures::{Measure, MeasureFn, Preference, Unit};
use super::tone::{audible_aliasing, bin_hz, highest_tone_hz, tone_responses};
use super::{Characteristics, MeasureError, PRIME_FRAMES, check_rate};
use crate::audio::gain_to_db;
use crate::effect::Effect;
use crate::neural::{ALGORITHM, Model, OVERSAMPLING, RENDER_OVERSAMPLING, SIZE, uses_oversampling};

/// The sines in hertz: a high note, of which only high harmonics fold, and a tone of the treble, of which the fifth does at 48 kHz.
pub const MODEL_TONES_HZ: [f64; 2] = [1245.0, 5000.0];
/// Amplitude of the sines, -0.92 dBFS: that of a loud passage.
const AMPLITUDE: f32 = 0.9;
/// The factors, in the order of the values of the parameter *Oversampling*.
pub const OVERSAMPLING_FACTORS: [usize; 3] = [1, 2, 4];

/// Aliasing to signal of a model for sines at -0.92 dBFS (amplitude 0.9), at each oversampling.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelAliasing {
    /// Sample rate of the sines in hertz.
    pub sample_rate: u32,
    /// Level of the sines in dBFS.
    pub level_dbfs: f64,
    /// The sines near [`MODEL_TONES_HZ`], in that order.
    pub tones: [ToneAliasing; 2],
}

/// Aliasing to signal ([`aliasing`](super::aliasing)) for one sine. `None` where the output is silent, NaN or infinite, or the sine
/// would be above 0.45 of the sample rate; at 2x and 4x also for a model that oversampling does not change or that cannot be
/// oversampled ([`uses_oversampling`]).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ToneAliasing {
    /// Exact frequency of the sine in hertz.
    pub hz: f64,
    /// In dB, as the model is.
    pub at_1x_db: Option<f64>,
    /// In dB, oversampled twice.
    pub at_2x_db: Option<f64>,
    /// In dB, oversampled four times.
    pub at_4x_db: Option<f64>,
}

impl ToneAliasing {
    /// The figures in the order of [`OVERSAMPLING_FACTORS`]. [any thread]
    #[must_use]
    pub fn figures(&self) -> [Option<f64>; 3] {
        [self.at_1x_db, self.at_2x_db, self.at_4x_db]
    }
}

impl ModelAliasing {
    /// Measures the model of an effect at each oversampling, all other settings as they are; `None` if the effect plays no model.
    /// Before each block of 512 frames `watch` returns false to cancel. Takes as long as the model needs for 20 s of sound at 1x.
    /// NaN resets do not count in [`Model::nan_resets`]. [control thread: allocates, takes its time]
    ///
    /// # Errors
    /// If the effect cannot be prepared for this sample rate, or the rate is below 8 kHz or above 768 kHz;
    /// [`RenderError::Cancelled`](crate::render::RenderError::Cancelled) if `watch` cancelled.
    pub fn of_effect(effect: &Effect, sample_rate: u32, watch: impl Fn() -> bool) -> Result<Option<Self>, MeasureError> {
        check_rate(sample_rate)?;
        let Some(model) = effect.active_model() else { return Ok(None) };
        let size = model.size_index(effect.settings.get(SIZE));
        let can_oversample = uses_oversampling(model, size);
        // Each sine is a channel, so that both are rendered at once.
        let is_low_enough = |hz: &&f64| **hz <= highest_tone_hz(sample_rate);
        let near_hz: Vec<f32> = MODEL_TONES_HZ.iter().filter(is_low_enough).map(|hz| *hz as f32).collect();
        let mut figures = [[None; 3]; 2];
        for (index, _) in OVERSAMPLING_FACTORS.iter().enumerate().filter(|(index, _)| *index == 0 || can_oversample) {
            let model = model.with_own_counters();
            let mut oversampled = effect.clone().with_model(model.clone());
            oversampled.settings.set(OVERSAMPLING, index as f32);
            // A measurement is a render, which otherwise has an oversampling of its own.
            oversampled.settings.set(RENDER_OVERSAMPLING, 0.0);
            let tones = tone_responses(&oversampled, sample_rate, &near_hz, AMPLITUDE, &watch)?;
            if model.nan_resets() == 0 {
                figures.iter_mut().zip(&tones).for_each(|(figures, tone)| figures[index] = audible_aliasing(tone));
            }
        }
        let tones = [0, 1].map(|tone: usize| {
            let [at_1x_db, at_2x_db, at_4x_db] = figures[tone];
            let hz = bin_hz(PRIME_FRAMES, sample_rate as f32, MODEL_TONES_HZ[tone] as f32);
            ToneAliasing { hz, at_1x_db, at_2x_db, at_4x_db }
        });
        Ok(Some(Self { sample_rate, level_dbfs: gain_to_db(f64::from(AMPLITUDE)), tones }))
    }

    /// Measures the size with this index of a model at the model's own rate, with its output raw and its knobs in the middle, as
    /// [`Self::of_effect`]. [control thread: allocates, takes its time]
    ///
    /// # Errors
    /// Errors are those of [`Self::of_effect`].
    ///
    /// # Panics
    /// If there is no such size.
    pub fn of_model(model: &Arc<Model>, size: usize, watch: impl Fn() -> bool) -> Result<Self, MeasureError> {
        let effect = Effect::new(&ALGORITHM).with_model(model.clone());
        let effect = effect.with("output_mode", 0.0).with("mix", 100.0).with("size", model.value_of_size(size));
        let aliasing = Self::of_effect(&effect, model.info().sample_rate.round() as u32, watch)?;
        Ok(aliasing.expect("the effect plays a model"))
    }
}

/// A row of the registry: the aliasing of an effect's model for one sine at one oversampling.
const fn row(
    id: &'static str,
    name: &'static str,
    heading: &'static str,
    definition: &'static str,
    function: fn(&Characteristics) -> f64,
) -> Measure {
    Measure {
        id,
        name,
        heading,
        unit: Unit::Decibel,
        definition,
        better: Preference::Lower,
        function: MeasureFn::Effect(function),
    }
}

/// The figure of the sine with this index at the oversampling with this index; NaN if there is none.
fn figure(characteristics: &Characteristics, tone: usize, oversampling: usize) -> f64 {
    let aliasing = characteristics.model_aliasing.as_ref();
    aliasing.and_then(|aliasing| aliasing.tones[tone].figures()[oversampling]).unwrap_or(f64::NAN)
}

/// The rows: for each sine the model as it is, and oversampled twice and four times.
pub static ROWS: [Measure; 6] = [
    row(
        "model_aliasing_1245hz_1x_db",
        "Aliasing of the model at 1245 Hz, 1x",
        "Model 1245 Hz 1x dB",
        "Aliasing to signal of the model that an effect plays, without oversampling, \
         for a sine near 1245 Hz at -0.92 dBFS (amplitude 0.9); blank without a model.",
        |figures| figure(figures, 0, 0),
    ),
    row(
        "model_aliasing_1245hz_2x_db",
        "Aliasing of the model at 1245 Hz, 2x",
        "Model 1245 Hz 2x dB",
        "Aliasing to signal of the model that an effect plays, oversampled twice whatever the effect says, \
         for a sine near 1245 Hz at -0.92 dBFS (amplitude 0.9); blank without a model, and for one that is linear or cannot be oversampled.",
        |figures| figure(figures, 0, 1),
    ),
    row(
        "model_aliasing_1245hz_4x_db",
        "Aliasing of the model at 1245 Hz, 4x",
        "Model 1245 Hz 4x dB",
        "Aliasing to signal of the model that an effect plays, oversampled four times whatever the effect says, \
         for a sine near 1245 Hz at -0.92 dBFS (amplitude 0.9); blank without a model, and for one that is linear or cannot be oversampled.",
        |figures| figure(figures, 0, 2),
    ),
    row(
        "model_aliasing_5khz_1x_db",
        "Aliasing of the model at 5 kHz, 1x",
        "Model 5 kHz 1x dB",
        "Aliasing to signal of the model that an effect plays, without oversampling, \
         for a sine near 5 kHz at -0.92 dBFS (amplitude 0.9); blank without a model.",
        |figures| figure(figures, 1, 0),
    ),
    row(
        "model_aliasing_5khz_2x_db",
        "Aliasing of the model at 5 kHz, 2x",
        "Model 5 kHz 2x dB",
        "Aliasing to signal of the model that an effect plays, oversampled twice whatever the effect says, \
         for a sine near 5 kHz at -0.92 dBFS (amplitude 0.9); blank without a model, and for one that is linear or cannot be oversampled.",
        |figures| figure(figures, 1, 1),
    ),
    row(
        "model_aliasing_5khz_4x_db",
        "Aliasing of the model at 5 kHz, 4x",
        "Model 5 kHz 4x dB",
        "Aliasing to signal of the model that an effect plays, oversampled four times whatever the effect says, \
         for a sine near 5 kHz at -0.92 dBFS (amplitude 0.9); blank without a model, and for one that is linear or cannot be oversampled.",
        |figures| figure(figures, 1, 2),
    ),
];

#[cfg(test)]
mod tests {
    use super::super::{ToneFigures, thd, tone_response};
    use super::*;
    use crate::neural::description::{Activation, Architecture, Conv1d, Gru, Layer, Sequence};
    use crate::neural::{ModelInfo, ModelSize, ParsedModel};
    use crate::render::RenderError;

    const RATE: u32 = 48_000;

    /// A model that gives `activation(gain x)`.
    fn shaper(gain: f32, activation: Activation) -> Arc<Model> {
        shaper_at(RATE, gain, activation)
    }

    fn shaper_at(rate: u32, gain: f32, activation: Activation) -> Arc<Model> {
        let weights = vec![gain];
        let conv = Conv1d { inputs: 1, outputs: 1, taps: 1, dilation: 1, groups: 1, weights, bias: None };
        of_layers(rate, vec![Layer::Conv1d(conv, activation)])
    }

    fn of_layers(rate: u32, layers: Vec<Layer>) -> Arc<Model> {
        let architecture = Architecture::Sequence(Sequence { layers, input_gain: 1.0, output_gain: 1.0, skip: false });
        let info = ModelInfo::new("test", "a network", 1, rate as f32);
        Model::new(ParsedModel { info, sizes: vec![ModelSize::new(1.0, Some(architecture))], test_vector: None }, Vec::new())
    }

    #[test]
    fn aliasing_of_a_tanh_falls_with_oversampling_to_the_published_figures() {
        // The published figures are of amplitude 1, and the sine has 0.9: the gain makes up for it.
        let gain = 10f32.powf(24.0 / 20.0) / AMPLITUDE;
        let found = ModelAliasing::of_model(&shaper(gain, Activation::Tanh), 0, || true).unwrap();
        let expected = [[-30.0, -64.0, -100.0], [-14.0, -25.0, -41.0]];
        for (tone, expected) in found.tones.iter().zip(expected) {
            for (figure, expected) in tone.figures().into_iter().zip(expected) {
                let figure = figure.unwrap();
                // The half-bands leave 100 dB, whatever an ideal filter would.
                let is_near = if expected > -90.0 { (figure - expected).abs() < 1.5 } else { figure < -90.0 };
                assert!(is_near, "{tone:?}: {figure}; expected {expected}");
            }
        }
        assert_eq!((found.sample_rate, (found.level_dbfs * 100.0).round()), (RATE, -92.0));
        assert!((found.tones[1].hz - 5000.0).abs() < 2.0, "{found:?}");
    }

    #[test]
    fn each_figure_is_that_of_the_effect_at_this_oversampling_and_no_other_setting_changes() {
        let gru = Gru {
            inputs: 1,
            hidden: 1,
            input_weights: vec![0.5, -0.25, 4.0],
            hidden_weights: vec![0.1, 0.2, -0.3],
            input_bias: vec![0.0; 3],
            hidden_bias: vec![0.0; 3],
            h0: vec![0.0],
        };
        let model = of_layers(RATE, vec![Layer::Gru(gru)]);
        let effect = Effect::new(&ALGORITHM).with_model(model).with("input", 12.0).with("mix", 80.0).with("oversampling", 2.0);
        let rendered_otherwise = effect.with("render_oversampling", 1.0);
        let found = ModelAliasing::of_effect(&effect, RATE, || true).unwrap().unwrap();
        for (tone, near_hz) in found.tones.iter().zip(MODEL_TONES_HZ) {
            for (index, figure) in tone.figures().into_iter().enumerate() {
                let effect = effect.with("oversampling", index as f32);
                let alone = ToneFigures::measure(&effect, RATE, near_hz, found.level_dbfs).unwrap();
                assert!((figure.unwrap() - alone.aliasing_db).abs() < 0.1, "{tone:?}, {index}: {}", alone.aliasing_db);
                assert!((tone.hz - alone.hz).abs() < 1e-6);
            }
        }
        assert_eq!(ModelAliasing::of_effect(&rendered_otherwise, RATE, || true).unwrap().unwrap(), found);
        let tone = tone_response(&effect, RATE, 1245.0, AMPLITUDE).unwrap();
        assert!(thd(&tone) > 0.01, "a tone that is not distorted has no aliases");
    }

    #[test]
    fn a_linear_model_has_no_figures_of_oversampling_and_no_aliases() {
        let found = ModelAliasing::of_model(&shaper(0.5, Activation::Identity), 0, || true).unwrap();
        for tone in found.tones {
            assert!(tone.at_1x_db.unwrap() < -120.0 && tone.at_2x_db.is_none() && tone.at_4x_db.is_none(), "{tone:?}");
        }
    }

    #[test]
    fn an_effect_without_a_model_has_no_figures_and_one_whose_output_is_none_has_blank_ones() {
        for effect in [Effect::new(&ALGORITHM), Effect::from_id("saturator").unwrap()] {
            assert_eq!(ModelAliasing::of_effect(&effect, RATE, || true).unwrap(), None);
        }
        for model in [shaper(0.0, Activation::Tanh), shaper(f32::INFINITY, Activation::Identity)] {
            let found = ModelAliasing::of_model(&model, 0, || true).unwrap();
            assert!(found.tones.iter().all(|tone| tone.figures() == [None; 3]), "{found:?}");
            assert_eq!(model.nan_resets(), 0, "a user hears nothing of a measurement");
        }
    }

    #[test]
    fn a_sine_that_the_sample_rate_has_no_room_for_has_no_figure() {
        let effect = Effect::new(&ALGORITHM).with_model(shaper_at(8000, 4.0, Activation::Tanh));
        let found = ModelAliasing::of_effect(&effect, 8000, || true).unwrap().unwrap();
        assert!(found.tones[0].figures().iter().all(Option::is_some), "{found:?}");
        assert_eq!(found.tones[1].figures(), [None; 3]);
        assert!(matches!(ModelAliasing::of_effect(&effect, 4000, || true), Err(MeasureError::SampleRate { found: 4000 })));
    }

    #[test]
    fn a_measurement_ends_at_the_next_block_when_it_is_cancelled() {
        let asked = std::cell::Cell::new(0);
        let watch = || {
            asked.set(asked.get() + 1);
            asked.get() < 3
        };
        let cancelled = ModelAliasing::of_model(&shaper(4.0, Activation::Tanh), 0, watch);
        assert!(matches!(cancelled, Err(MeasureError::Render(RenderError::Cancelled))));
        assert_eq!(asked.get(), 3);
    }
}
