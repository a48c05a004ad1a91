//! Reading and writing effects as text and as JSON.

use std::str::FromStr;
use std::sync::Arc;

use super::{Effect, EffectError};
use crate::algorithm::find;
use crate::dsp::{Parameter, ParameterKind, SettingError, Settings, parse_number};
use crate::neural::{self, Model};

/// The value of `model=` for an effect without a model.
const NO_MODEL: &str = "none";
/// The name of the setting, and of the key in JSON, that gives the sample rate of a model whose file has none.
const MODEL_RATE: &str = "model_rate";

impl Effect {
    /// The text that [`Self::from_str`] reads as this effect: the algorithm's id, then the parameters that are not at their
    /// default. [control thread]
    ///
    /// # Errors
    /// If the model was not opened from a file, or its path is not Unicode.
    pub fn to_text(&self) -> Result<String, EffectError> {
        let mut text = self.algorithm().id.to_owned();
        let mut add = |id: &str, value: &str| {
            text += &format!(" {id}={}", quoted(value));
        };
        if self.algorithm().plays_model {
            match &self.model {
                None => add("model", NO_MODEL),
                // The folder before the name distinguishes a file called `none` from no model.
                Some(model) if model_path(model)? == NO_MODEL => add("model", &format!("./{NO_MODEL}")),
                Some(model) => add("model", model_path(model)?),
            }
            if let Some(rate) = self.model.as_ref().and_then(|model| model.user_rate()) {
                add(MODEL_RATE, &rate.to_string());
            }
        }
        for (parameter, value) in self.settings.iter().filter(|(parameter, value)| *value != parameter.default()) {
            add(parameter.id, &value_text(parameter, value));
        }
        Ok(text)
    }
}

/// A value as [`split_words`] reads it: in quotation marks if it has white space or characters that mean something there.
pub(super) fn quoted(value: &str) -> String {
    let is_plain = !value.is_empty() && !value.contains(|c: char| c.is_whitespace() || c == '"' || c == '\\');
    if is_plain { value.to_owned() } else { format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")) }
}

/// A knob of a model, as effects name it.
struct Knob {
    /// Id of the parameter that turns it.
    parameter: &'static str,
    /// The name in the model's file without the range, in lower case and with `_` for spaces.
    id: String,
    /// The values in the knob's unit where it is at 0 and at 1.
    range: (f64, f64),
    /// The range as the model's file tells it; `0 to 1` if it does not.
    expected: String,
}

/// The knobs of a model. A name as training writes it ends with a linear range: `Drive 0.00 to 36.00 dB`.
fn knobs(model: &Model) -> Vec<Knob> {
    let parameters = Settings::new(&neural::ALGORITHM);
    let parameters = neural::knob_parameters().map(|index| parameters.algorithm().parameters[index].id);
    let knob = |(name, parameter): (&String, &'static str)| {
        let ranged = name.split_once(" to ").and_then(|(start, end)| {
            let (name, from) = start.rsplit_once(' ')?;
            let to = end.split_whitespace().next()?;
            let range = (from.parse().ok()?, to.parse().ok()?);
            (range.0 < range.1).then(|| (name, range, format!("{from} to {end}")))
        });
        let (name, range, expected) = ranged.unwrap_or_else(|| (name, (0.0, 1.0), "0 to 1".into()));
        Knob { parameter, id: name.trim().to_lowercase().replace([' ', '-'], "_"), range, expected }
    };
    model.info().knobs.iter().zip(parameters).map(knob).collect()
}

impl Knob {
    /// The position of the knob, 0 to 1, at a value in its unit, which may stand behind the number.
    fn position(&self, text: &str) -> Result<f64, EffectError> {
        let (from, to) = self.range;
        let unit = self.expected.rsplit(' ').next().unwrap_or_default();
        let number = text.trim();
        let number = number.strip_suffix(unit).filter(|_| unit.parse::<f64>().is_err()).unwrap_or(number);
        let value = parse_number(number).filter(|value| (from..=to).contains(value));
        let value = value.ok_or_else(|| EffectError::Knob {
            knob: self.id.clone(),
            found: text.into(),
            expected: self.expected.clone(),
        })?;
        Ok((value - from) / (to - from))
    }
}

/// Path of the file that a model was opened from.
fn model_path(model: &Model) -> Result<&str, EffectError> {
    let path = model.path().ok_or(EffectError::ModelWithoutFile)?;
    path.to_str().ok_or_else(|| EffectError::NonUnicodePath { found: path.display().to_string() })
}

/// A value as text from which exactly the same value is read.
fn value_text(parameter: &Parameter, value: f32) -> String {
    let (_, max) = parameter.range();
    match parameter.kind {
        ParameterKind::Float { off_at_max: true, .. } if value >= max => "off".into(),
        ParameterKind::Float { .. } => value.to_string(),
        ParameterKind::Choice { .. } | ParameterKind::Toggle { .. } => parameter.text(value).to_lowercase().replace(' ', "-"),
    }
}

/// The model at the rate that a user gives for it, as text.
fn model_at_rate(model: &Arc<Model>, rate: &str) -> Result<Arc<Model>, EffectError> {
    let wrong = |reason: String| EffectError::Model(format!("{MODEL_RATE}: {reason}"));
    let rate = parse_number(rate).ok_or_else(|| wrong(format!("'{rate}' is no number; expected a sample rate in Hz")))?;
    #[cfg(feature = "models")]
    {
        model.at_rate(rate as f32).map_err(|error| wrong(error.to_string()))
    }
    #[cfg(not(feature = "models"))]
    {
        Err(wrong(format!("{rate} Hz for {model:?}: this build reads no model files")))
    }
}

/// Splits a text into words at white space. Within quotation marks white space is part of the word, and `\` escapes `"` and
/// `\`.
fn split_words(text: &str) -> Result<Vec<String>, EffectError> {
    let (mut words, mut word, mut quoted, mut in_word) = (Vec::new(), String::new(), false, false);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' => (quoted, in_word) = (!quoted, true),
            '\\' if quoted => {
                let next = rest.next_if(|next| matches!(next, '"' | '\\'));
                word.push(next.unwrap_or(c));
            }
            c if c.is_whitespace() && !quoted => {
                if std::mem::take(&mut in_word) {
                    words.push(std::mem::take(&mut word));
                }
            }
            c => {
                word.push(c);
                in_word = true;
            }
        }
    }
    if quoted {
        return Err(EffectError::UnclosedQuote { found: text.into() });
    }
    if in_word {
        words.push(word);
    }
    Ok(words)
}

/// Opens a model's file. [control thread]
fn open_model(path: &str) -> Result<Arc<Model>, EffectError> {
    #[cfg(feature = "models")]
    {
        Model::open(path.as_ref()).map_err(|error| EffectError::Model(error.to_string()))
    }
    #[cfg(not(feature = "models"))]
    {
        Err(EffectError::Model(format!("{path}: this build reads no model files")))
    }
}

/// Reads an algorithm's id and settings as a user writes them: `saturator drive=24 oversampling=4x`, `neural model=FILE
/// input=3`. Parameters that are not set have their default. An algorithm that plays a model needs `model=FILE`, which opens
/// the file, or `model=none`; `model_rate=HZ` gives the sample rate of a model whose file has none. A knob of the model may be set by
/// its own name in its own unit, as in `drive=24`. Values with white space are put in quotation marks. [control thread]
impl FromStr for Effect {
    type Err = EffectError;

    fn from_str(text: &str) -> Result<Self, EffectError> {
        let words = split_words(text)?;
        let (id, settings) = words.split_first().ok_or(EffectError::Empty)?;
        let mut effect = match find(id) {
            Ok(algorithm) => Self::new(algorithm),
            Err(_) if is_model_name(text) => return Err(EffectError::BareModel { found: text.trim().into() }),
            Err(error) => return Err(error.into()),
        };
        let names_model = effect.apply(settings)?;
        if effect.algorithm().plays_model && !names_model {
            return Err(EffectError::ModelMissing { algorithm: effect.algorithm().id });
        }
        Ok(effect)
    }
}

impl Effect {
    /// This effect with one setting changed, as [`Self::from_str`] reads it: `drive=12`, `model=smaller.nam`. [control thread:
    /// opens models]
    ///
    /// # Errors
    /// [`EffectError::NotASetting`] for none or more than one, and those of [`Self::from_str`] for a setting.
    pub fn with_setting(&self, setting: &str) -> Result<Self, EffectError> {
        let words = split_words(setting)?;
        if words.len() != 1 {
            return Err(EffectError::NotASetting { found: setting.trim().into() });
        }
        let mut effect = self.clone();
        effect.apply(&words)?;
        Ok(effect)
    }

    /// Applies settings that a user wrote. Returns true if a model, or none, is named.
    fn apply(&mut self, settings: &[String]) -> Result<bool, EffectError> {
        let algorithm = self.algorithm();
        let (mut seen, mut model, mut rate) = (Vec::new(), None, None);
        // Words that no parameter takes; they may be knobs of the model, which is not open yet.
        let mut others: Vec<(&str, &str, SettingError)> = Vec::new();
        for word in settings {
            let (id, value) = word.split_once('=').ok_or_else(|| EffectError::NotASetting { found: word.clone() })?;
            if seen.contains(&id.replace('-', "_")) {
                return Err(EffectError::DuplicateParameter { id: id.into() });
            }
            seen.push(id.replace('-', "_"));
            if id == "model" {
                model = Some(value);
            } else if id.replace('-', "_") == MODEL_RATE {
                rate = Some(value);
            } else {
                match self.settings.parse(id, value) {
                    Err(error @ SettingError::Parameter { .. }) if algorithm.plays_model => {
                        others.push((id, value, error));
                    }
                    result => result?,
                }
            }
        }
        // Without a model there are no knobs.
        let no_model = matches!(model, Some(NO_MODEL)) || model.is_none() && self.model.is_none();
        match model {
            None | Some(NO_MODEL) if no_model && !others.is_empty() => return Err(others.swap_remove(0).2.into()),
            Some(_) if !algorithm.plays_model => return Err(EffectError::ModelNotAllowed { algorithm: algorithm.id }),
            Some(NO_MODEL) => self.model = None,
            Some(path) => self.model = Some(open_model(path)?),
            None => {}
        }
        match (rate, &self.model) {
            (None, _) => {}
            (Some(rate), Some(model)) => self.model = Some(model_at_rate(model, rate)?),
            (Some(_), None) => return Err(EffectError::Model(format!("{MODEL_RATE}: no model; expected model=FILE before it"))),
        }
        let knobs = self.model.as_deref().map(knobs).unwrap_or_default();
        for (id, value, mut error) in others {
            let Some(knob) = knobs.iter().find(|knob| knob.id == id.replace('-', "_").to_lowercase()) else {
                if let SettingError::Parameter { expected, .. } = &mut error {
                    knobs.iter().for_each(|knob| *expected += &format!(", {}", knob.id));
                }
                return Err(error.into());
            };
            if seen.iter().any(|seen| seen == knob.parameter) {
                return Err(EffectError::DuplicateParameter { id: id.into() });
            }
            self.settings.parse(knob.parameter, &knob.position(value)?.to_string())?;
        }
        Ok(model.is_some())
    }
}

/// True if a text is the name of a model's file, and no effect with settings.
fn is_model_name(text: &str) -> bool {
    #[cfg(feature = "models")]
    {
        crate::neural::formats::is_model_file(text.trim().as_ref()) && !text.contains('=')
    }
    #[cfg(not(feature = "models"))]
    {
        let _ = text;
        false
    }
}

#[cfg(feature = "models")]
mod json {
    use serde_json::{Map, Value, json};

    use super::{Effect, EffectError, MODEL_RATE, find, model_at_rate, model_path, open_model};
    use crate::dsp::{ParameterKind, Settings, choice_id};

    impl Settings {
        /// An object with the value of each parameter: a number or `"off"`, a choice's id, or true or false for a toggle.
        /// [control thread]
        #[must_use]
        pub fn to_json(&self) -> Value {
            let value = |(parameter, value): (&'static crate::dsp::Parameter, f32)| {
                let value = match parameter.kind {
                    ParameterKind::Float { max, off_at_max: true, .. } if value >= max => json!("off"),
                    ParameterKind::Float { .. } => json!(value),
                    ParameterKind::Choice { .. } => json!(choice_id(&parameter.text(value))),
                    ParameterKind::Toggle { .. } => json!(value >= 0.5),
                };
                (parameter.id.to_owned(), value)
            };
            self.iter().map(value).collect::<Map<_, _>>().into()
        }
    }

    impl Effect {
        /// The object `{"algorithm": "neural", "model": "FILE", "settings": {"input": 3.0, ...}}`.
        /// It has the key `model` only if the algorithm plays one; the value is null for none. It has the key `model_rate` only
        /// if a user gave the model's sample rate, in Hz. [control thread]
        ///
        /// # Errors
        /// If the model was not opened from a file, or its path is not Unicode.
        pub fn to_json(&self) -> Result<Value, EffectError> {
            let mut object = json!({ "algorithm": self.algorithm().id, "settings": self.settings.to_json() });
            if self.algorithm().plays_model {
                object["model"] = match &self.model {
                    None => Value::Null,
                    Some(model) => json!(model_path(model)?),
                };
                if let Some(rate) = self.model.as_ref().and_then(|model| model.user_rate()) {
                    object[MODEL_RATE] = json!(rate);
                }
            }
            Ok(object)
        }

        /// Reads an object as [`Self::to_json`] writes it, and opens the model's file. Missing settings have their defaults.
        /// [control thread]
        ///
        /// # Errors
        /// The first key or value that is not as expected.
        pub fn from_json(value: &Value) -> Result<Self, EffectError> {
            let wrong = |found: &Value, expected| EffectError::Json { found: found.to_string(), expected };
            let object = value.as_object().ok_or_else(|| wrong(value, "an object with algorithm and settings"))?;
            if let Some(key) = object.keys().find(|key| !["algorithm", "settings", "model", MODEL_RATE].contains(&key.as_str())) {
                return Err(EffectError::Json { found: key.clone(), expected: "algorithm, settings, model and model_rate" });
            }
            let id = object
                .get("algorithm")
                .and_then(Value::as_str)
                .ok_or(EffectError::Json { found: "no algorithm".into(), expected: "an algorithm's id" })?;
            let mut effect = Self::new(find(id)?);
            let settings =
                object.get("settings").map(|found| found.as_object().ok_or_else(|| wrong(found, "an object of settings")));
            let mut seen = Vec::new();
            for (id, value) in settings.transpose()?.into_iter().flatten() {
                if seen.contains(&id.replace('-', "_")) {
                    return Err(EffectError::DuplicateParameter { id: id.clone() });
                }
                seen.push(id.replace('-', "_"));
                let text = match value {
                    Value::String(text) => text.clone(),
                    // Through f32, the type of settings: its text is the one that was written.
                    Value::Number(number) => match number.as_f64().map(|n| n as f32) {
                        Some(n) if n.is_finite() => n.to_string(),
                        _ => return Err(wrong(value, "a number of 32 bits")),
                    },
                    Value::Bool(on) => if *on { "on" } else { "off" }.into(),
                    other => return Err(wrong(other, "a number, a name, true or false")),
                };
                effect.settings.parse(id, &text)?;
            }
            match object.get("model") {
                None if effect.algorithm().plays_model => {
                    return Err(EffectError::ModelMissing { algorithm: effect.algorithm().id });
                }
                None | Some(Value::Null) => {}
                Some(_) if !effect.algorithm().plays_model => {
                    return Err(EffectError::ModelNotAllowed { algorithm: effect.algorithm().id });
                }
                Some(Value::String(path)) => effect.model = Some(open_model(path)?),
                Some(other) => return Err(wrong(other, "a model's file or null")),
            }
            match (object.get(MODEL_RATE), &effect.model) {
                (None | Some(Value::Null), _) => {}
                (Some(Value::Number(rate)), Some(model)) => effect.model = Some(model_at_rate(model, &rate.to_string())?),
                (Some(rate), _) => return Err(wrong(rate, "model_rate as a number, beside a model's file")),
            }
            Ok(effect)
        }
    }
}
