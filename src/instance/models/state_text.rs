//! The text of a slot's model in a saved state: JSON with the file's name and folder, and its bytes (deflate, then base64).

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde_json::{Value, json};

use crate::neural::MAX_FILE_BYTES;

/// Size in bytes up to which a model's bytes are put into the state. In base64, two models of this size stay below the 256 MiB
/// that nice-plug reads of a state. Of a larger model only the path is saved.
const MAX_SAVED_BYTES: usize = 64 << 20;
/// The text for a slot without a model.
pub(crate) const NO_MODEL: &str = "null";

/// The text for a model: the name and folder of its file, if it has one, its bytes, compressed, and the sample rate in Hz if a
/// user gave it. [any thread but the audio thread]
pub(crate) fn encode(path: Option<&Path>, bytes: &[u8], user_rate: Option<f32>) -> String {
    let text = |part: Option<&OsStr>| part.and_then(OsStr::to_str).map(str::to_owned);
    let deflate = || {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).and_then(|()| encoder.finish()).ok().map(|deflated| BASE64.encode(deflated))
    };
    let mut value = json!({
        "name": text(path.and_then(Path::file_name)),
        "folder": text(path.and_then(Path::parent).map(Path::as_os_str)),
        "deflate": if bytes.len() <= MAX_SAVED_BYTES { deflate() } else { None },
    });
    if let Some(rate) = user_rate {
        value["rate"] = json!(rate);
    }
    value.to_string()
}

/// A model as a state holds it.
#[derive(Debug, PartialEq)]
pub(crate) struct SavedModel {
    /// The file that it was loaded from, perhaps on another machine; None for a model without a file.
    pub path: Option<PathBuf>,
    /// The file's bytes; None if they were too many to be saved.
    pub bytes: Option<Vec<u8>>,
    /// The sample rate in Hz that a user gave because the file has none.
    pub user_rate: Option<f32>,
}

/// Reads the text of [`encode`]; `None` if it is the text of a slot without a model.
///
/// # Errors
/// If it is not such a text, in one line for the user.
pub(crate) fn decode(state_text: &str) -> Result<Option<SavedModel>, String> {
    let error = |reason: &str| format!("state's model: {reason}");
    let value: Value = serde_json::from_str(state_text).map_err(|e| error(&e.to_string()))?;
    if value.is_null() {
        return Ok(None);
    }
    let text = |key: &str| match &value[key] {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.as_str())),
        _ => Err(error(&format!("'{key}' is no text; expected text or null"))),
    };
    let (name, folder, deflate) = (text("name")?, text("folder")?, text("deflate")?);
    let bytes = match deflate {
        None => None,
        Some(encoded) => {
            let deflated = BASE64.decode(encoded).map_err(|e| error(&e.to_string()))?;
            let mut bytes = Vec::new();
            let mut decoder = DeflateDecoder::new(&deflated[..]).take(MAX_FILE_BYTES + 1);
            decoder.read_to_end(&mut bytes).map_err(|e| error(&e.to_string()))?;
            if bytes.len() as u64 > MAX_FILE_BYTES {
                return Err(error(&format!("more than {MAX_FILE_BYTES} bytes; expected at most that")));
            }
            Some(bytes)
        }
    };
    let user_rate = match &value["rate"] {
        Value::Null => None,
        rate => Some(rate.as_f64().ok_or_else(|| error("'rate' is no number; expected a sample rate in Hz"))? as f32),
    };
    Ok(Some(SavedModel { user_rate, path: name.map(|name| Path::new(folder.unwrap_or("")).join(name)), bytes }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoded_model_comes_back() {
        let bytes: Vec<u8> = (0..10_000u32).map(|i| (i * i % 251) as u8).collect();
        let path = Path::new("/a folder/b \"c\".nam");
        let saved = decode(&encode(Some(path), &bytes, Some(44_100.0))).unwrap().unwrap();
        assert_eq!(saved, SavedModel { path: Some(path.to_owned()), bytes: Some(bytes), user_rate: Some(44_100.0) });
        let saved = decode(&encode(None, b"abc", None)).unwrap().unwrap();
        assert_eq!(saved, SavedModel { path: None, bytes: Some(b"abc".to_vec()), user_rate: None });
        assert_eq!(decode(NO_MODEL), Ok(None));
    }

    #[test]
    fn a_text_that_is_not_of_a_model_is_refused_in_one_line() {
        for (state_text, words) in [
            ("", "EOF"),
            (r#"{"name": 5}"#, "'name' is no text"),
            (r#"{"rate": "fast"}"#, "'rate' is no number"),
            (r#"{"deflate": "%"}"#, "state's model: "),
            (r#"{"deflate": "AAAA"}"#, "state's model: "),
        ] {
            let error = decode(state_text).unwrap_err();
            assert!(error.contains(words) && error.lines().count() == 1, "{state_text}: {error}");
        }
    }
}
