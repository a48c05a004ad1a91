//! Effects as text and as JSON.

use std::str::FromStr;

use super::{Effect, EffectError};
use crate::algorithm::find;
use crate::dsp::{Kind, Parameter};

/// The word for no model in a text.
const NONE: &str = "none";

impl Effect {
    /// As [`Self::from_str`] reads it: the algorithm's id, then the values that are not the default. [control thread]
    ///
    /// # Errors
    /// If the model is in no file.
    pub fn to_text(&self) -> Result<String, EffectError> {
        let mut text = self.algorithm().id.to_owned();
        let mut add = |id: &str, value: &str| {
            let plain = !value.is_empty() && !value.contains(|c: char| c.is_whitespace() || c == '"' || c == '\\');
            let value =
                if plain { value.to_owned() } else { format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")) };
            text += &format!(" {id}={value}");
        };
        if self.algorithm().model {
            match &self.model {
                None => add("model", NONE),
                // A file of that name is told from no model.
                Some(model) if file(model)? == NONE => add("model", &format!("./{NONE}")),
                Some(model) => add("model", file(model)?),
            }
        }
        for (parameter, value) in self.settings.iter().filter(|(parameter, value)| *value != parameter.default()) {
            add(parameter.id, &written(parameter, value));
        }
        Ok(text)
    }
}

/// The file that a model was opened from.
fn file(model: &crate::neural::Model) -> Result<&str, EffectError> {
    let path = model.path().ok_or(EffectError::NoFile)?;
    path.to_str().ok_or_else(|| EffectError::Path { found: path.display().to_string() })
}

/// A value that reads back as exactly itself.
fn written(parameter: &Parameter, value: f32) -> String {
    let (_, max) = parameter.range();
    match parameter.kind {
        Kind::Float { off_at_max: true, .. } if value >= max => "off".into(),
        Kind::Float { .. } => value.to_string(),
        Kind::Choice { .. } | Kind::Toggle { .. } => parameter.text(value).to_lowercase().replace(' ', "-"),
    }
}

/// The words of a text: between blanks, and within quotation marks as they stand (`\` before `"` and `\`).
fn words(text: &str) -> Result<Vec<String>, EffectError> {
    let (mut words, mut word, mut quoted, mut begun) = (Vec::new(), String::new(), false, false);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' => (quoted, begun) = (!quoted, true),
            '\\' if quoted => {
                let next = rest.next_if(|next| matches!(next, '"' | '\\'));
                word.push(next.unwrap_or(c));
            }
            c if c.is_whitespace() && !quoted => {
                if std::mem::take(&mut begun) {
                    words.push(std::mem::take(&mut word));
                }
            }
            c => {
                word.push(c);
                begun = true;
            }
        }
    }
    if quoted {
        return Err(EffectError::Open { found: text.into() });
    }
    if begun {
        words.push(word);
    }
    Ok(words)
}

/// Opens what a text or a JSON names as the model. [control thread]
fn open(path: &str) -> Result<std::sync::Arc<crate::neural::Model>, EffectError> {
    #[cfg(feature = "models")]
    {
        crate::neural::Model::open(path.as_ref()).map_err(|error| EffectError::Model(error.to_string()))
    }
    #[cfg(not(feature = "models"))]
    {
        Err(EffectError::Model(format!("{path}: this build reads no model files")))
    }
}

/// Reads `saturator drive=24 oversampling=4x`, `neural model=FILE input=3`: an algorithm's id, then settings as a user writes them. What
/// is not said has its default; a model is said, or is `none`. Values with blanks stand in quotation marks. Opens the model's file.
/// [control thread]
impl FromStr for Effect {
    type Err = EffectError;

    fn from_str(text: &str) -> Result<Self, EffectError> {
        let words = words(text)?;
        let (id, given) = words.split_first().ok_or(EffectError::Empty)?;
        let mut effect = Self::new(find(id)?);
        let (mut seen, mut model) = (Vec::new(), None);
        for word in given {
            let (id, value) = word.split_once('=').ok_or_else(|| EffectError::NotASetting { found: word.clone() })?;
            if seen.contains(&id.replace('-', "_")) {
                return Err(EffectError::Twice { id: id.into() });
            }
            seen.push(id.replace('-', "_"));
            if id == "model" {
                model = Some(value);
            } else {
                effect.settings.parse(id, value)?;
            }
        }
        let algorithm = effect.algorithm();
        match model {
            Some(_) if !algorithm.model => return Err(EffectError::PlaysNone { algorithm: algorithm.id }),
            None if algorithm.model => return Err(EffectError::NoModel { algorithm: algorithm.id }),
            Some(path) if path != NONE => effect.model = Some(open(path)?),
            _ => {}
        }
        Ok(effect)
    }
}

#[cfg(feature = "models")]
mod json {
    use serde_json::{Map, Value, json};

    use super::{Effect, EffectError, file, find, open};
    use crate::dsp::{Kind, Settings, choice_id};

    impl Settings {
        /// An object of all values: numbers, names of choices, `"off"`, and whether switches are on. [control thread]
        #[must_use]
        pub fn to_json(&self) -> Value {
            let value = |(parameter, value): (&'static crate::dsp::Parameter, f32)| {
                let value = match parameter.kind {
                    Kind::Float { max, off_at_max: true, .. } if value >= max => json!("off"),
                    Kind::Float { .. } => json!(value),
                    Kind::Choice { .. } => json!(choice_id(&parameter.text(value))),
                    Kind::Toggle { .. } => json!(value >= 0.5),
                };
                (parameter.id.to_owned(), value)
            };
            self.iter().map(value).collect::<Map<_, _>>().into()
        }
    }

    impl Effect {
        /// `{"algorithm": "neural", "model": "FILE", "settings": {"input": 3.0, ...}}`; `model` only where the algorithm plays one, null
        /// where there is none. [control thread]
        ///
        /// # Errors
        /// If the model is in no file.
        pub fn to_json(&self) -> Result<Value, EffectError> {
            let mut object = json!({ "algorithm": self.algorithm().id, "settings": self.settings.to_json() });
            if self.algorithm().model {
                object["model"] = match &self.model {
                    None => Value::Null,
                    Some(model) => json!(file(model)?),
                };
            }
            Ok(object)
        }

        /// Reads what [`Self::to_json`] writes; settings that are not there have their defaults. Opens the model's file.
        /// [control thread]
        ///
        /// # Errors
        /// The first thing that is not as expected.
        pub fn from_json(value: &Value) -> Result<Self, EffectError> {
            let wrong = |found: &Value, expected| EffectError::Json { found: found.to_string(), expected };
            let object = value.as_object().ok_or_else(|| wrong(value, "an object with algorithm and settings"))?;
            if let Some(key) = object.keys().find(|key| !["algorithm", "settings", "model"].contains(&key.as_str())) {
                return Err(EffectError::Json { found: key.clone(), expected: "algorithm, settings and model" });
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
                    return Err(EffectError::Twice { id: id.clone() });
                }
                seen.push(id.replace('-', "_"));
                let text = match value {
                    Value::String(text) => text.clone(),
                    // By way of f32: as it was written.
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
                None if effect.algorithm().model => return Err(EffectError::NoModel { algorithm: effect.algorithm().id }),
                None | Some(Value::Null) => {}
                Some(_) if !effect.algorithm().model => {
                    return Err(EffectError::PlaysNone { algorithm: effect.algorithm().id });
                }
                Some(Value::String(path)) => effect.model = Some(open(path)?),
                Some(other) => return Err(wrong(other, "a model's file or null")),
            }
            Ok(effect)
        }
    }
}
