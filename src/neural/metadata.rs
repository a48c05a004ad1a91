//! Reading what only describes a model: its name, device, levels. Nothing of that kind ever refuses a model. A value that cannot
//! be used is left out, and a line says so ([`ModelInfo::ignored`](super::ModelInfo::ignored)).
#![warn(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]

use super::ModelError;
use super::budget::SAMPLE_RATES;
use super::json::{Field, to_f32};

/// The lines about values of a file that were left out, in the order in which they were met.
#[derive(Debug, Default)]
pub struct Ignored(pub Vec<String>);

impl Ignored {
    /// The value of a result; an error becomes a line.
    pub fn keep<T>(&mut self, result: Result<T, ModelError>) -> Option<T> {
        result.map_err(|error| self.0.push(error.to_string())).ok()
    }

    /// The object at a key, if there is one.
    pub fn object<'a>(&mut self, around: Option<&Field<'a>>, key: &str) -> Option<Field<'a>> {
        let field = around?.find(key).ok()??;
        if field.is_object() { Some(field) } else { self.keep(Err(field.unexpected("an object"))) }
    }

    /// The text at a key without blanks around it, if there is one and it is not empty.
    pub fn text(&mut self, around: Option<&Field<'_>>, key: &str) -> Option<String> {
        let field = around?.find(key).ok()??;
        let text = self.keep(field.text())?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// The number from `min` to `max` at a key, if there is one; it may be written as a text.
    pub fn number(&mut self, around: Option<&Field<'_>>, key: &str, min: f64, max: f64) -> Option<f32> {
        let field = around?.find(key).ok()??;
        let number = self.keep(field.number_or_text())?;
        if (min..=max).contains(&number) {
            return Some(to_f32(number));
        }
        self.keep(Err(field.unexpected(format!("{min} to {max}"))))
    }

    /// The sample rate in Hz at a key, if there is one; it may be written as a text, also as `48000 Hz`, `44.1 kHz` or `48k`. 0,
    /// negative numbers and what is no number count as none, as for Neural Amp Modeler and AIDA-X.
    ///
    /// # Errors
    /// If it is a rate that no model is played at: the sound would be wrong.
    pub fn sample_rate(&mut self, around: &Field<'_>, key: &str) -> Result<Option<f32>, ModelError> {
        let Some(field) = around.find(key)? else { return Ok(None) };
        let rate = field.text().map_or_else(|_| field.number().ok(), rate_of_text);
        let wrong = field.unexpected(format!("{} to {}", SAMPLE_RATES.0, SAMPLE_RATES.1));
        match rate {
            Some(rate) if (SAMPLE_RATES.0..=SAMPLE_RATES.1).contains(&rate) => Ok(Some(to_f32(rate))),
            Some(rate) if rate > 0.0 => Err(wrong),
            _ => Ok(self.keep(Err(wrong))),
        }
    }
}

/// The sample rate in Hz that a text says.
pub(super) fn rate_of_text(text: &str) -> Option<f64> {
    let text = text.trim().to_ascii_lowercase();
    let without_unit = text.strip_suffix("hz").unwrap_or(&text).trim_end();
    let (digits, factor) = without_unit.strip_suffix('k').map_or((without_unit, 1.0), |digits| (digits, 1000.0));
    let number: f64 = digits.trim_end().parse().ok().filter(|number: &f64| number.is_finite())?;
    Some(number * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_rate_is_read_from_every_unambiguous_text() {
        for (text, rate) in [
            ("48000", Some(48_000.0)),
            (" 44100.0 ", Some(44_100.0)),
            ("48000 Hz", Some(48_000.0)),
            ("48000hz", Some(48_000.0)),
            ("48k", Some(48_000.0)),
            ("44.1 kHz", Some(44_100.0)),
            ("96 K", Some(96_000.0)),
            ("", None),
            ("k", None),
            ("Hz", None),
            ("fast", None),
            ("48000 48000", None),
            ("NaN", None),
            ("inf", None),
        ] {
            assert_eq!(rate_of_text(text), rate, "{text}");
        }
    }
}
