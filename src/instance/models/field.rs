//! A slot's model as a state keeps it: its file's name and folder, and its bytes, as text.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde_json::{Value, json};

use crate::neural::MOST_BYTES;

/// Bytes of a file that a slot puts into the state: in base64 two of them stay below the 256 MiB that nice-plug reads of a state.
/// A larger model is kept by its path only.
const MOST_KEPT: usize = 64 << 20;
/// A state's field for a slot without a model.
pub const NOTHING: &str = "null";

/// The state's field for a model: its file's name and folder, if it has one, and its bytes, compressed.
pub fn pack(path: Option<&Path>, bytes: &[u8]) -> String {
    let text = |part: Option<&OsStr>| part.and_then(OsStr::to_str).map(str::to_owned);
    let deflate = || {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).and_then(|()| encoder.finish()).ok().map(|deflated| BASE64.encode(deflated))
    };
    json!({
        "name": text(path.and_then(Path::file_name)),
        "folder": text(path.and_then(Path::parent).map(Path::as_os_str)),
        "deflate": if bytes.len() <= MOST_KEPT { deflate() } else { None },
    })
    .to_string()
}

/// What a state keeps of a model.
#[derive(Debug, PartialEq)]
pub struct Kept {
    pub path: Option<PathBuf>,
    pub bytes: Option<Vec<u8>>,
}

pub fn unpack(field: &str) -> Result<Option<Kept>, String> {
    let error = |what: &str| format!("state's model: {what}");
    let value: Value = serde_json::from_str(field).map_err(|e| error(&e.to_string()))?;
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
            DeflateDecoder::new(&deflated[..]).take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(|e| error(&e.to_string()))?;
            if bytes.len() as u64 > MOST_BYTES {
                return Err(error(&format!("more than {MOST_BYTES} bytes; expected at most that")));
            }
            Some(bytes)
        }
    };
    Ok(Some(Kept { path: name.map(|name| Path::new(folder.unwrap_or("")).join(name)), bytes }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_back() {
        let bytes: Vec<u8> = (0..10_000u32).map(|i| (i * i % 251) as u8).collect();
        let path = Path::new("/a folder/b \"c\".nam");
        let kept = unpack(&pack(Some(path), &bytes)).unwrap().unwrap();
        assert_eq!(kept, Kept { path: Some(path.to_owned()), bytes: Some(bytes) });
        let kept = unpack(&pack(None, b"abc")).unwrap().unwrap();
        assert_eq!(kept, Kept { path: None, bytes: Some(b"abc".to_vec()) });
        assert_eq!(unpack(NOTHING), Ok(None));
    }

    #[test]
    fn a_field_that_is_none_is_refused_in_one_line() {
        for (field, words) in [
            ("", "EOF"),
            (r#"{"name": 5}"#, "'name' is no text"),
            (r#"{"deflate": "%"}"#, "state's model: "),
            (r#"{"deflate": "AAAA"}"#, "state's model: "),
        ] {
            let error = unpack(field).unwrap_err();
            assert!(error.contains(words) && error.lines().count() == 1, "{field}: {error}");
        }
    }
}
