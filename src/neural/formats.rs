//! The registry of model formats: every format is one file in this room and one row here.
//!
//! Loading, messages, the filters of file lists and `isotherm model` come from the rows. To add a format: write its file with its
//! `FORMAT` row, name the file in `neural.rs`, append the row, and name its endings in `docs/models.md`. A file that is known by sight and is no model has a row in
//! [`REFUSED`] instead.

use std::path::Path;
use std::sync::LazyLock;

#[cfg(not(feature = "onnx"))]
use super::format::is_onnx;
use super::format::{Content, Foreign, Format, Refused};
use super::json::Field;
use super::{Loaded, ModelError};
use super::{keras, nam, proteus};

/// Every format; the first that fits a file reads it.
pub static FORMATS: &[&Format] = &[
    &nam::FORMAT,
    &proteus::FORMAT,
    &keras::FORMAT,
    #[cfg(feature = "onnx")]
    &super::onnx::FORMAT,
];

/// Looked at behind all formats.
pub static REFUSED: &[Refused] = &[
    #[cfg(not(feature = "onnx"))]
    Refused { what: "an ONNX model, but this build has no ONNX Runtime support", probe: is_onnx },
];

/// `.nam, .json or .onnx`: what names of model files end with. [any thread]
#[must_use]
pub fn endings() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        let mut all: Vec<String> = Vec::new();
        for ending in FORMATS.iter().flat_map(|format| format.endings) {
            let ending = format!(".{ending}");
            if !all.contains(&ending) {
                all.push(ending);
            }
        }
        either(all)
    });
    &TEXT
}

/// Whether a file's name is that of a model file. [any thread]
#[must_use]
pub fn is_model_file(name: &Path) -> bool {
    let ending = name.extension().and_then(|ending| ending.to_str());
    let mut known = FORMATS.iter().flat_map(|format| format.endings);
    ending.is_some_and(|ending| known.any(|known| ending.eq_ignore_ascii_case(known)))
}

/// `.nam, Keras JSON, Proteus JSON or ONNX`. [any thread]
#[must_use]
pub fn names() -> String {
    either(FORMATS.iter().map(|format| format.name.to_owned()).collect())
}

/// [`names`], each with the programs that write such files. [any thread]
#[must_use]
pub fn names_and_origins() -> String {
    either(FORMATS.iter().map(|format| format!("{} ({})", format.name, format.from)).collect())
}

/// Reads JSON.
///
/// # Errors
/// If it is of no format, or what the format's reader says.
pub(super) fn read_json(root: &Field<'_>) -> Result<Loaded, ModelError> {
    let mut marks = Vec::new();
    for format in FORMATS {
        let Content::Json { keys, read } = format.content else { continue };
        if keys.iter().all(|key| root.has(key)) {
            return read(root);
        }
        marks.push(format!("{} ({})", keys.join(" and "), format.name));
    }
    Err(root.unexpected(format!("{} in it", either(marks))))
}

/// Reads what is no JSON.
///
/// # Errors
/// If it is of no format, or what the format's reader says.
pub(super) fn read_bytes(bytes: &[u8]) -> Result<Foreign, ModelError> {
    for format in FORMATS {
        if let Content::Bytes { probe, read } = format.content
            && probe(bytes)
        {
            return read(bytes);
        }
    }
    let start = bytes[..bytes.len().min(8)].escape_ascii();
    let found = match REFUSED.iter().find(|refused| (refused.probe)(bytes)) {
        Some(refused) => refused.what.into(),
        None if bytes.is_empty() => "an empty file".into(),
        None => format!("a file that starts with '{start}'"),
    };
    Err(ModelError::Invalid(format!("{found}; expected a model: {}", names())))
}

/// `a, b or c`
fn either(mut words: Vec<String>) -> String {
    match words.pop() {
        Some(last) if !words.is_empty() => format!("{} or {last}", words.join(", ")),
        last => last.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::format::is_onnx;
    use super::*;

    #[test]
    fn every_row_is_well_formed_and_told_from_the_others() {
        for (i, row) in FORMATS.iter().enumerate() {
            assert!(row.id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()), "{}", row.id);
            assert!(!row.endings.is_empty() && !row.name.is_empty() && !row.from.is_empty(), "{}", row.id);
            assert!(row.endings.iter().all(|e| !e.contains('.') && e.to_lowercase() == **e), "{}", row.id);
            for other in &FORMATS[..i] {
                assert!(other.id != row.id && other.name != row.name, "{}", row.id);
                if let (Content::Json { keys, .. }, Content::Json { keys: before, .. }) = (&row.content, &other.content) {
                    assert!(
                        !keys.is_empty() && !before.iter().all(|key| keys.contains(key)),
                        "{} is read as {}",
                        row.id,
                        other.id
                    );
                }
            }
        }
    }

    #[test]
    fn what_a_user_reads_names_every_row() {
        for row in FORMATS {
            assert!(names().contains(row.name) && names_and_origins().contains(&format!("{} ({})", row.name, row.from)));
            for ending in row.endings {
                assert!(endings().contains(&format!(".{ending}")));
                assert!(is_model_file(Path::new(&format!("/a/b.{}", ending.to_uppercase()))));
            }
            let page = include_str!("../../docs/models.md");
            assert!(row.endings.iter().all(|ending| page.contains(&format!("`.{ending}`"))), "docs/models.md: {}", row.id);
        }
        assert_eq!(endings().matches(".json").count(), 1);
        assert!(!is_model_file(Path::new("nam")) && !is_model_file(Path::new("a.nam.txt")));
        assert_eq!(either(vec!["a".into(), "b".into(), "c".into()]), "a, b or c");
        assert_eq!((either(vec!["a".into()]), either(Vec::new())), ("a".into(), String::new()));
    }

    #[test]
    fn what_is_of_no_format_is_said_with_all_that_there_are() {
        let error = |bytes: &[u8]| read_bytes(bytes).err().expect("an error").to_string();
        assert_eq!(error(b"PK\x03\x04"), format!("a file that starts with 'PK\\x03\\x04'; expected a model: {}", names()));
        assert_eq!(error(b""), format!("an empty file; expected a model: {}", names()));
        // A graph of no bytes.
        assert!(is_onnx(b"\x3a\x00") && !is_onnx(b"\x08\x01") && !is_onnx(b"\x3a\x05"));
        #[cfg(not(feature = "onnx"))]
        assert!(
            error(b"\x3a\x00").starts_with("an ONNX model, but this build has no ONNX Runtime support; expected a model: .nam")
        );
    }
}
