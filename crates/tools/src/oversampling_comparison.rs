//! Comparison of the demo's model with itself at 4x: the difference is what folds at 1x.

use std::path::{Path, PathBuf};

use isotherm::audio::generate;
use isotherm::audio::wav::{self, WavFormat};
use isotherm::compare::{Side, SoundSource};
use isotherm::effect::Effect;
use isotherm::neural::{Model, uses_oversampling};

use crate::{TaskResult, page};

/// The words that tell what to listen for.
pub const LISTEN_FOR: &str = "Listen to the difference in the sweep: while the tone rises, fainter tones fall towards it and past \
                              it; those are aliases, of which A (4x) has far less.";
/// Name of the sweep's file.
const SWEEP: &str = "sweep.wav";
/// Sample rate of the sweep in hertz.
const SAMPLE_RATE: u32 = 48_000;
/// Ends of the sweep in hertz: up to where the second harmonic leaves the band of hearing.
const SWEEP_HZ: (f64, f64) = (200.0, 10_000.0);
/// Length of the sweep in seconds: slow enough to follow an alias by ear.
const SWEEP_SECONDS: f64 = 6.0;
/// Amplitude of the sweep: that of the sines of which aliasing is told.
const SWEEP_AMPLITUDE: f64 = 0.9;

/// Compares a model at 4x (A) with itself at 1x (B) on a sweep and on `sound`, writes the report into the folder `oversampling`
/// in `out`, and returns the path of its page; `None` for a model that cannot be oversampled.
///
/// # Errors
/// If the model or the sound cannot be read, or the report cannot be written.
pub fn write_page(model: &Path, out: &Path, sound: &Path) -> TaskResult<Option<PathBuf>> {
    let model = Model::open(model)?;
    if !uses_oversampling(&model, model.sizes().len() - 1) {
        return Ok(None);
    }
    let sweep = out.join(SWEEP);
    let frames = (SWEEP_SECONDS * f64::from(SAMPLE_RATE)) as usize;
    let audio = generate::sweep(SAMPLE_RATE, SWEEP_HZ.0, SWEEP_HZ.1, SWEEP_AMPLITUDE, frames)?;
    wav::write(&sweep, &audio, WavFormat::Int24)?;
    let effect = Effect::from_id("neural")?.with_model(model);
    let (a, b) = (Side::Effect(effect.with("oversampling", 2.0)), Side::Effect(effect));
    let paths = format!("'{}' '{}' ", sweep.display(), sound.display());
    let sounds = SoundSource::of_paths(&[sweep, sound.into()])?;
    page::write(&out.join("oversampling"), a, b, sounds, &paths).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use isotherm::measure::ModelAliasing;

    #[test]
    fn the_model_of_the_demo_folds_something_that_oversampling_takes_away() {
        let model = Model::open(&crate::root().join("assets/models/saturator-24db-lstm16.nam")).unwrap();
        let found = ModelAliasing::of_model(&model, 0, || true).unwrap().tones[1];
        assert!(found.at_1x_db.unwrap() - found.at_4x_db.unwrap() > 20.0, "{found:?}");
    }

    #[test]
    fn a_model_that_cannot_alias_has_no_page() {
        let folder = std::env::temp_dir().join(format!("isotherm-oversampling-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let model = folder.join("linear.nam");
        let config = serde_json::json!({ "receptive_field": 1, "bias": false });
        let file = serde_json::json!({ "version": "0.5.4", "architecture": "Linear", "config": config, "weights": [0.5] });
        std::fs::write(&model, file.to_string()).unwrap();
        assert!(write_page(&model, &folder, Path::new("none.wav")).unwrap().is_none());
        assert!(!folder.join("oversampling").exists() && !folder.join(SWEEP).exists());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
