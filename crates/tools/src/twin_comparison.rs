//! Comparison of the demo's model with the algorithm that it is the twin of, at the settings on the model's card.

use std::path::{Path, PathBuf};

use isotherm::algorithm::find;
use isotherm::audio::Audio;
use isotherm::compare::{Side, SoundSource};
use isotherm::dsp::{Parameter, Settings};
use isotherm::effect::Effect;
use isotherm::measure::measures::{ESR, NULL};
use isotherm::measure::{Comparison, Measure, bench};
use isotherm::neural::Model;
use serde_json::{Value, json};

use crate::setting::Setting;
use crate::sound::Sound;
use crate::{TaskResult, models, page, picture};

/// Sample rate at which the time of algorithm and model is measured, in hertz.
const RATE: f32 = 48_000.0;
/// Block size of these measurements, in frames.
const BLOCK: usize = 64;
/// Number of blocks of algorithm and model that are timed, interleaved.
const TIMED_BLOCKS: usize = 5000;

/// A model's reference, the algorithm that it is the twin of, with the time of both.
pub struct TwinComparison {
    reference: Settings,
    /// The neural algorithm with the model.
    twin: Effect,
    /// Nanoseconds for a sample of one channel: of the algorithm, of the model.
    costs: [f64; 2],
}

/// The results for a sound: a model's output compared with its reference's.
pub struct ComparedSound {
    sound: String,
    esr: f64,
    null_db: f64,
    png: String,
}

impl TwinComparison {
    /// The comparison for a model file; `None` if it has no card or the card names no algorithm.
    ///
    /// # Errors
    /// If the card or the model is not valid.
    pub fn open(model: &Path) -> TaskResult<Option<Self>> {
        let Some(card) = models::card_of(model) else { return Ok(None) };
        let source = &card["data"]["source"];
        let Some(id) = source["algorithm"].as_str() else { return Ok(None) };
        let mut reference = Settings::new(find(id)?);
        for (id, value) in source["settings"].as_object().into_iter().flatten() {
            reference.parse(id, &setting_text(value)).map_err(|error| format!("the card of {}: {error}", model.display()))?;
        }
        // The plug-in plays the model with its knob in the middle, so the reference has the parameter there.
        let condition = &source["condition"];
        if let (Some(id), Some(from), Some(to)) =
            (condition["parameter"].as_str(), condition["from"].as_f64(), condition["to"].as_f64())
        {
            reference = reference.with(id, (0.5 * (from + to)) as f32);
        }
        let neural = Effect::from_id("neural")?.with_model(Model::open(model)?);
        let spec = bench::BenchSpec {
            sample_rate: RATE,
            blocks: vec![bench::BlockSize::fixed(BLOCK)],
            max_blocks: TIMED_BLOCKS,
            ..bench::BenchSpec::default()
        };
        let tables = bench::measure_interleaved(&[reference.into(), neural.clone()], &spec, |_| true)?;
        let costs = [0, 1].map(|effect: usize| tables[effect].rows[0].ns_per_sample);
        Ok(Some(Self { reference, twin: neural, costs }))
    }

    /// The plug-in's setting of the reference.
    pub fn setting(&self) -> Setting {
        let algorithm = self.reference.algorithm();
        let changed: Vec<(&'static Parameter, String)> =
            self.reference.iter().filter(|(p, v)| *v != p.default()).map(|(p, v)| (p, p.text(v))).collect();
        let text: Vec<String> = changed.iter().map(|(p, text)| format!("{} {text}", p.name)).collect();
        let text = if text.is_empty() { "default".into() } else { text.join(", ") };
        Setting { algorithm, model: None, changed: None, typed: changed, text }
    }

    /// Compares the outputs of reference and twin, a vector for each channel, and draws them into the folder `out`.
    ///
    /// # Errors
    /// If the picture cannot be written.
    pub fn compare(&self, out: &Path, sound: &Sound, reference: &[Vec<f32>], twin: &[Vec<f32>]) -> TaskResult<ComparedSound> {
        let audio = |channels: &[Vec<f32>]| {
            let slices: Vec<&[f32]> = channels.iter().map(Vec::as_slice).collect();
            Audio::from_channels(sound.audio.sample_rate(), &slices)
        };
        let (reference_audio, twin_audio) = (audio(reference)?, audio(twin)?);
        let comparison = Comparison::new(&reference_audio, &twin_audio)?;
        let figure = |row: &Measure| row.compare(&comparison).ok_or_else(|| format!("{} compares no sounds", row.name));
        let png = format!("{}-twin.png", sound.name);
        let title = format!("{} through {} and its twin", sound.name, self.reference.algorithm().name);
        picture::draw_difference(&out.join(&png), &title, sound.audio.sample_rate(), &reference[0], &twin[0])?;
        Ok(ComparedSound { sound: sound.name.clone(), esr: figure(&ESR)?, null_db: figure(&NULL)?, png })
    }

    /// Compares reference and twin on a file or on the built-in material, writes the report into the folder `report` in `out`,
    /// and returns the path of its page.
    ///
    /// # Errors
    /// If the file cannot be read, or the report cannot be written.
    pub fn write_page(&self, out: &Path, input: Option<&Path>) -> TaskResult<PathBuf> {
        let sounds = match input {
            Some(path) => SoundSource::of_paths(&[path.into()])?,
            None => SoundSource::built_in(),
        };
        let (a, b) = (Side::Effect(self.reference.into()), Side::Effect(self.twin.clone()));
        let input = input.map_or_else(String::new, |path| format!("'{}' ", path.display()));
        page::write(&out.join("report"), a, b, sounds, &input)
    }

    /// The results as text: a line for each sound, under a header.
    pub fn text(&self, compared: &[ComparedSound]) -> String {
        let [algorithm, twin] = self.costs;
        let mut text = format!(
            "The twin beside {} ({}), which takes {algorithm:.1} ns/sample, the twin {twin:.1}:\n{:<10}{:>10}{:>10}\n",
            self.reference.algorithm().name,
            self.setting().text,
            "Sound",
            ESR.heading,
            NULL.heading
        );
        text.extend(compared.iter().map(|c| format!("{:<10}{:>10}{:>10}\n", c.sound, ESR.text(c.esr), NULL.text(c.null_db))));
        text
    }

    /// The results as a table of Markdown, with links to the pictures.
    pub fn markdown(&self, compared: &[ComparedSound]) -> String {
        let [algorithm, twin] = self.costs;
        let name = self.reference.algorithm().name;
        let mut text = format!(
            "\n## The twin beside {name} ({})\n\n{name} takes {algorithm:.1} ns/sample, the twin {twin:.1}.\n\n\
             | Sound | {} | {} | Difference |\n|---|---:|---:|---|\n",
            self.setting().text,
            ESR.heading,
            NULL.heading
        );
        text.extend(
            compared
                .iter()
                .map(|c| format!("| {} | {} | {} | [{}]({}) |\n", c.sound, ESR.text(c.esr), NULL.text(c.null_db), c.png, c.png)),
        );
        text
    }

    /// The results as JSON.
    pub fn json(&self, compared: &[ComparedSound]) -> Value {
        let [algorithm, twin] = self.costs;
        json!({
            "algorithm": self.reference.algorithm().id,
            "setting": self.setting().text,
            "nanoseconds_per_sample": { "algorithm": algorithm, "twin": twin },
            "sounds": compared.iter().map(|c| json!({
                "sound": c.sound, ESR.id: c.esr, NULL.id: c.null_db, "png": c.png,
            })).collect::<Vec<_>>(),
        })
    }
}

/// The text that a user would type for a setting on a card.
fn setting_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(on) => if *on { "on" } else { "off" }.into(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_from_the_card() {
        let folder = std::env::temp_dir().join(format!("isotherm-twin-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let model = folder.join("a.nam");
        assert!(TwinComparison::open(&model).unwrap().is_none());
        let weights = [0.1; 16];
        let lstm = json!({ "num_layers": 1, "input_size": 1, "hidden_size": 1 });
        let file = json!({ "version": "0.5.4", "architecture": "LSTM", "config": lstm, "weights": weights });
        std::fs::write(&model, file.to_string()).unwrap();
        let settings = json!({ "drive": 24.0, "dc_blocker": false, "oversampling": "2", "tone": "off" });
        let card = json!({ "data": { "source": { "algorithm": "saturator", "settings": settings } } });
        std::fs::write(folder.join("a.card.json"), card.to_string()).unwrap();
        let twin = TwinComparison::open(&model).unwrap().unwrap();
        assert_eq!(twin.setting().text, "Drive 24.00, Tone off, DC blocker off, Oversampling 2x");
        assert!(twin.costs.iter().all(|ns| *ns > 0.0));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
