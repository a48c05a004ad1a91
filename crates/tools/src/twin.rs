//! The demo's model beside the algorithm that it is the twin of, with the settings that its card tells.

use std::path::Path;

use isotherm::algorithm::find;
use isotherm::audio::Audio;
use isotherm::dsp::{Parameter, Settings};
use isotherm::effect::Effect;
use isotherm::measure::measures::{ESR, NULL};
use isotherm::measure::{Measure, Pair, bench};
use isotherm::neural::Model;
use serde_json::{Value, json};

use crate::sound::Sound;
use crate::tone::Setting;
use crate::{Outcome, models, picture};

/// What the time of both is measured with.
const RATE: f32 = 48_000.0;
const BLOCK: usize = 64;
/// Measurements in turn, of which the fastest counts.
const TURNS: usize = 5;

/// A model, and what it is the twin of.
pub struct Twin {
    reference: Settings,
    /// Nanoseconds for a sample, alone: of the algorithm and of the model.
    costs: [f32; 2],
}

/// A sound through both.
pub struct Compared {
    sound: String,
    esr: f64,
    null_db: f64,
    png: String,
}

impl Twin {
    /// None for a model without a card of an algorithm.
    ///
    /// # Errors
    /// If the card or the model is not sound.
    pub fn of(model: &Path) -> Outcome<Option<Self>> {
        let Some(card) = models::card_of(model) else { return Ok(None) };
        let source = &card["data"]["source"];
        let Some(id) = source["algorithm"].as_str() else { return Ok(None) };
        let mut reference = Settings::new(find(id)?);
        for (id, value) in source["settings"].as_object().into_iter().flatten() {
            reference.parse(id, &words(value)).map_err(|error| format!("the card of {}: {error}", model.display()))?;
        }
        // A knob is in its middle.
        let condition = &source["condition"];
        if let (Some(id), Some(from), Some(to)) =
            (condition["parameter"].as_str(), condition["from"].as_f64(), condition["to"].as_f64())
        {
            reference = reference.with(id, (0.5 * (from + to)) as f32);
        }
        let neural = Effect::from_id("neural")?.with_model(Model::open(model)?);
        let mut costs = [f32::INFINITY; 2];
        for _ in 0..TURNS {
            for (cost, effect) in costs.iter_mut().zip([&reference.into(), &neural]) {
                *cost = cost.min(bench::measure(effect, RATE, 1, BLOCK, bench::Length::Blocks(1000))?.ns_per_sample);
            }
        }
        Ok(Some(Self { reference, costs }))
    }

    /// What it is the twin of, for the plug-in.
    pub fn setting(&self) -> Setting {
        let algorithm = self.reference.algorithm();
        let changed: Vec<(&'static Parameter, String)> =
            self.reference.iter().filter(|(p, v)| *v != p.default()).map(|(p, v)| (p, p.text(v))).collect();
        let text: Vec<String> = changed.iter().map(|(p, text)| format!("{} {text}", p.name)).collect();
        let text = if text.is_empty() { "default".into() } else { text.join(", ") };
        Setting { algorithm, model: None, changed: None, typed: changed, text }
    }

    /// Measures what came out of both, and draws it.
    ///
    /// # Errors
    /// If the picture cannot be written.
    pub fn compare(&self, out: &Path, sound: &Sound, reference: &[Vec<f32>], twin: &[Vec<f32>]) -> Outcome<Compared> {
        let of = |channels: &[Vec<f32>]| {
            let slices: Vec<&[f32]> = channels.iter().map(Vec::as_slice).collect();
            Audio::from_channels(sound.audio.sample_rate(), &slices)
        };
        let (all, own) = (of(reference)?, of(twin)?);
        let pair = Pair::new(&all, &own)?;
        let figure = |row: &Measure| row.pair(&pair).ok_or_else(|| format!("{} compares no sounds", row.name));
        let png = format!("{}-twin.png", sound.name);
        let title = format!("{} through {} and its twin", sound.name, self.reference.algorithm().name);
        picture::difference(&out.join(&png), &title, sound.audio.sample_rate(), &reference[0], &twin[0])?;
        Ok(Compared { sound: sound.name.clone(), esr: figure(&ESR)?, null_db: figure(&NULL)?, png })
    }

    /// A line for each sound, under a head.
    pub fn text(&self, compared: &[Compared]) -> String {
        let [algorithm, twin] = self.costs;
        let mut text = format!(
            "The twin beside {} ({}), which takes {algorithm:.1} ns/sample, the twin {twin:.1}:\n{:<10}{:>10}{:>10}\n",
            self.reference.algorithm().name,
            self.setting().text,
            "Sound",
            ESR.head,
            NULL.head
        );
        text.extend(compared.iter().map(|c| format!("{:<10}{:>10}{:>10}\n", c.sound, ESR.text(c.esr), NULL.text(c.null_db))));
        text
    }

    /// The same as a table of Markdown, with links to the pictures.
    pub fn markdown(&self, compared: &[Compared]) -> String {
        let [algorithm, twin] = self.costs;
        let name = self.reference.algorithm().name;
        let mut text = format!(
            "\n## The twin beside {name} ({})\n\n{name} takes {algorithm:.1} ns/sample, the twin {twin:.1}.\n\n\
             | Sound | {} | {} | Difference |\n|---|---:|---:|---|\n",
            self.setting().text,
            ESR.head,
            NULL.head
        );
        text.extend(
            compared
                .iter()
                .map(|c| format!("| {} | {} | {} | [{}]({}) |\n", c.sound, ESR.text(c.esr), NULL.text(c.null_db), c.png, c.png)),
        );
        text
    }

    pub fn json(&self, compared: &[Compared]) -> Value {
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

/// A setting in a card as a user would type it.
fn words(value: &Value) -> String {
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
    fn the_card_tells_the_settings() {
        let folder = std::env::temp_dir().join(format!("isotherm-twin-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let model = folder.join("a.nam");
        assert!(Twin::of(&model).unwrap().is_none());
        let weights = [0.1; 16];
        let lstm = json!({ "num_layers": 1, "input_size": 1, "hidden_size": 1 });
        let file = json!({ "version": "0.5.4", "architecture": "LSTM", "config": lstm, "weights": weights });
        std::fs::write(&model, file.to_string()).unwrap();
        let settings = json!({ "drive": 24.0, "dc_blocker": false, "oversampling": "2", "tone": "off" });
        let card = json!({ "data": { "source": { "algorithm": "saturator", "settings": settings } } });
        std::fs::write(folder.join("a.card.json"), card.to_string()).unwrap();
        let twin = Twin::of(&model).unwrap().unwrap();
        assert_eq!(twin.setting().text, "Drive 24.00, Tone off, DC blocker off, Oversampling 2x");
        assert!(twin.costs.iter().all(|ns| *ns > 0.0));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
