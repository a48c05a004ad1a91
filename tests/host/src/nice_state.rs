//! The state that a nice-plug plug-in saves: 8 bytes of length (little-endian), then JSON with `version`, `params` (parameter id
//! to plain value, each tagged with its type) and `fields`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// Size in bytes of the length that precedes the JSON.
const LENGTH_BYTES: usize = size_of::<u64>();

/// The reason why bytes are not a state of nice-plug.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The length does not fit.
    #[error("state of {found} bytes; expected 8 bytes of length and then as many as they say ({said:?})")]
    Length {
        /// Bytes that follow the length.
        found: usize,
        /// Bytes of JSON as the length before it says; `None` if there are not even 8 bytes.
        said: Option<u64>,
    },
    /// The rest is not JSON.
    #[error("state is no JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The JSON has no object with the parameters.
    #[error("state has no object 'params'")]
    NoParameters,
    /// A parameter's value is of no known type.
    #[error("state holds {id} = {found}; expected a tagged f32, i32 or bool")]
    Value {
        /// Id of the parameter.
        id: String,
        /// The JSON in place of its value.
        found: String,
    },
}

/// The JSON of a saved state.
///
/// # Errors
/// If the length does not fit or the rest is not JSON.
pub fn to_json(state: &[u8]) -> Result<Value, StateError> {
    let (length, json) =
        state.split_first_chunk::<LENGTH_BYTES>().ok_or(StateError::Length { found: state.len(), said: None })?;
    let said = u64::from_le_bytes(*length);
    if said != json.len() as u64 {
        return Err(StateError::Length { found: state.len(), said: Some(said) });
    }
    Ok(serde_json::from_slice(json)?)
}

/// A state with this JSON, as tests need for states of older versions and broken ones.
#[must_use]
pub fn from_json(json: &Value) -> Vec<u8> {
    let json = json.to_string();
    let mut state = (json.len() as u64).to_le_bytes().to_vec();
    state.extend_from_slice(json.as_bytes());
    state
}

/// The plain value of each parameter, by its id: numbers exactly as the plug-in holds them, choices as their index, toggles as 0
/// or 1.
///
/// # Errors
/// If the bytes are not a state of nice-plug.
pub fn parameters(state: &[u8]) -> Result<BTreeMap<String, f32>, StateError> {
    let json = to_json(state)?;
    let parameters = json.get("params").and_then(Value::as_object).ok_or(StateError::NoParameters)?;
    parameters.iter().map(|(id, value)| Ok((id.clone(), plain(id, value)?))).collect()
}

/// A state that holds these numbers and no other parameter. When it is loaded, all other parameters keep their values.
#[must_use]
pub fn with_numbers<'a>(version: &str, numbers: impl IntoIterator<Item = (&'a str, f32)>) -> Vec<u8> {
    let parameters: Map<String, Value> =
        numbers.into_iter().map(|(id, value)| (id.to_owned(), json!({ "f32": value }))).collect();
    from_json(&json!({ "version": version, "params": parameters, "fields": {} }))
}

/// The text of a field that the plug-in keeps in addition to its parameters; `None` if the state has no such field.
///
/// # Errors
/// If the bytes are not a state of nice-plug.
pub fn field(state: &[u8], id: &str) -> Result<Option<String>, StateError> {
    Ok(to_json(state)?["fields"][id].as_str().map(str::to_owned))
}

/// The state with another text in a field.
///
/// # Errors
/// If the bytes are not a state of nice-plug.
pub fn with_field(state: &[u8], id: &str, text: &str) -> Result<Vec<u8>, StateError> {
    let mut json = to_json(state)?;
    json["fields"][id] = text.into();
    Ok(from_json(&json))
}

/// The plain value in the tagged JSON of a parameter.
fn plain(id: &str, value: &Value) -> Result<f32, StateError> {
    let tagged = value.as_object().and_then(|object| object.iter().next());
    let number = match tagged.map(|(tag, inner)| (tag.as_str(), inner)) {
        // Both are exact: a number was an f32 before it was written, and an index is small.
        Some(("f32" | "i32", Value::Number(number))) => number.as_f64().map(|number| number as f32),
        Some(("bool", Value::Bool(on))) => Some(f32::from(u8::from(*on))),
        _ => None,
    };
    number.ok_or_else(|| StateError::Value { id: id.to_owned(), found: value.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_bit_for_bit() {
        let values = [0.1_f32, -0.0, f32::MIN_POSITIVE, f32::MAX, 16_777_217.0, 1.0 / 3.0, 1e-45, 0.3e-38];
        let ids: Vec<String> = (0..values.len()).map(|i| i.to_string()).collect();
        let state = with_numbers("1.0.0", ids.iter().map(String::as_str).zip(values));
        let back = parameters(&state).unwrap();
        for (id, value) in ids.iter().zip(values) {
            assert_eq!(back[id].to_bits(), value.to_bits(), "{value}");
        }
    }

    #[test]
    fn every_kind_of_value_is_read() {
        let json =
            json!({ "version": "1", "params": { "a": { "f32": 24.5 }, "b": { "i32": 3 }, "c": { "bool": true } }, "fields": {} });
        let read = parameters(&from_json(&json)).unwrap();
        assert_eq!(read, BTreeMap::from([("a".into(), 24.5), ("b".into(), 3.0), ("c".into(), 1.0)]));
    }

    #[test]
    fn a_field_comes_back_and_leaves_the_rest() {
        let state = with_field(&with_numbers("1", [("a", 0.5)]), "model", "a \"text\"").unwrap();
        assert_eq!(field(&state, "model").unwrap().as_deref(), Some("a \"text\""));
        assert_eq!(field(&state, "other").unwrap(), None);
        assert_eq!(parameters(&state).unwrap(), BTreeMap::from([("a".into(), 0.5)]));
    }

    #[test]
    fn bytes_that_are_not_a_state_are_refused_with_a_reason() {
        let error = |bytes: &[u8]| parameters(bytes).unwrap_err().to_string();
        assert!(error(b"123").starts_with("state of 3 bytes"));
        assert!(error(&[9, 0, 0, 0, 0, 0, 0, 0, b'{']).contains("Some(9)"));
        assert!(error(&[1, 0, 0, 0, 0, 0, 0, 0, b'{']).starts_with("state is no JSON"));
        assert_eq!(error(&from_json(&json!({}))), "state has no object 'params'");
        assert!(error(&from_json(&json!({ "params": { "x": { "f32": null } } }))).starts_with("state holds x"));
    }
}
