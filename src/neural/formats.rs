//! The registry of model formats: every format is one file in `neural` and one row here.
//!
//! Loading, messages, the filters of file lists and `isotherm model` are made from the rows. To add a format: write its file
//! with its `FORMAT` row, declare the file in `neural.rs`, append the row here, and name its file extensions in
//! `docs/models.md`. A format that is only recognised, for a clear error, has a row in [`UNSUPPORTED`] instead.

use std::path::Path;
use std::sync::LazyLock;

#[cfg(not(feature = "onnx"))]
use super::format::is_onnx;
use super::format::{Content, ForeignNetwork, ModelFormat, UnsupportedFormat};
use super::json::Field;
use super::{ModelError, ParsedModel};
use super::{keras, nam, proteus};

/// All formats. The first that recognises a file reads it.
pub static FORMATS: &[&ModelFormat] = &[
    &nam::FORMAT,
    &proteus::FORMAT,
    &keras::FORMAT,
    #[cfg(feature = "onnx")]
    &super::onnx::FORMAT,
];

/// Formats that are recognised and cannot be played. They are tried after all of [`FORMATS`].
pub static UNSUPPORTED: &[UnsupportedFormat] = &[
    #[cfg(not(feature = "onnx"))]
    UnsupportedFormat { description: "an ONNX model, but this build has no ONNX Runtime support", probe: is_onnx },
];

/// The file extensions of all formats as a user reads them: `.nam, .json or .onnx`. [any thread]
#[must_use]
pub fn extensions() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        let mut all: Vec<String> = Vec::new();
        for extension in FORMATS.iter().flat_map(|format| format.extensions) {
            let extension = format!(".{extension}");
            if !all.contains(&extension) {
                all.push(extension);
            }
        }
        either(all)
    });
    &TEXT
}

/// True if a file's name has the extension of a model format, in lower or upper case. [any thread]
#[must_use]
pub fn is_model_file(name: &Path) -> bool {
    let extension = name.extension().and_then(|extension| extension.to_str());
    let mut known = FORMATS.iter().flat_map(|format| format.extensions);
    extension.is_some_and(|found| known.any(|known| found.eq_ignore_ascii_case(known)))
}

/// The names of all formats as a user reads them: `.nam, Proteus JSON, Keras JSON or ONNX`. [any thread]
#[must_use]
pub fn names() -> String {
    either(FORMATS.iter().map(|format| format.name.to_owned()).collect())
}

/// The text of [`names`], with the programs that write such files after each name. [any thread]
#[must_use]
pub fn names_and_origins() -> String {
    either(FORMATS.iter().map(|format| format!("{} ({})", format.name, format.written_by)).collect())
}

/// Reads the outermost JSON object of a file with the first format whose keys it has.
///
/// # Errors
/// If it has the keys of no format, or the error of the format's reader.
pub(super) fn read_json(root: &Field<'_>) -> Result<ParsedModel, ModelError> {
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

/// Reads a file that is not JSON with the first format that recognises it.
///
/// # Errors
/// If no format recognises it, or the error of the format's reader.
pub(super) fn read_bytes(bytes: &[u8]) -> Result<ForeignNetwork, ModelError> {
    for format in FORMATS {
        if let Content::Bytes { probe, read } = format.content
            && probe(bytes)
        {
            return read(bytes);
        }
    }
    let start = bytes[..bytes.len().min(8)].escape_ascii();
    let found = match UNSUPPORTED.iter().find(|unsupported| (unsupported.probe)(bytes)) {
        Some(unsupported) => unsupported.description.into(),
        None if bytes.is_empty() => "an empty file".into(),
        None => format!("a file that starts with '{start}'"),
    };
    Err(ModelError::Invalid(format!("{found}; expected a model: {}", names())))
}

/// Joins words as in `a, b or c`.
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
    fn every_row_is_well_formed_and_hides_no_other() {
        for (i, row) in FORMATS.iter().enumerate() {
            assert!(row.id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()), "{}", row.id);
            assert!(!row.extensions.is_empty() && !row.name.is_empty() && !row.written_by.is_empty(), "{}", row.id);
            assert!(row.extensions.iter().all(|e| !e.contains('.') && e.to_lowercase() == **e), "{}", row.id);
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
    fn texts_for_users_name_every_format() {
        for row in FORMATS {
            assert!(names().contains(row.name) && names_and_origins().contains(&format!("{} ({})", row.name, row.written_by)));
            for extension in row.extensions {
                assert!(extensions().contains(&format!(".{extension}")));
                assert!(is_model_file(Path::new(&format!("/a/b.{}", extension.to_uppercase()))));
            }
            let page = include_str!("../../docs/models.md");
            assert!(
                row.extensions.iter().all(|extension| page.contains(&format!("`.{extension}`"))),
                "docs/models.md: {}",
                row.id
            );
        }
        assert_eq!(extensions().matches(".json").count(), 1);
        assert!(!is_model_file(Path::new("nam")) && !is_model_file(Path::new("a.nam.txt")));
        assert_eq!(either(vec!["a".into(), "b".into(), "c".into()]), "a, b or c");
        assert_eq!((either(vec!["a".into()]), either(Vec::new())), ("a".into(), String::new()));
    }

    #[test]
    fn the_error_for_an_unknown_format_lists_all_formats() {
        let error = |bytes: &[u8]| read_bytes(bytes).err().expect("an error").to_string();
        assert_eq!(error(b"PK\x03\x04"), format!("a file that starts with 'PK\\x03\\x04'; expected a model: {}", names()));
        assert_eq!(error(b""), format!("an empty file; expected a model: {}", names()));
        // The shortest file that counts as ONNX has an empty graph.
        assert!(is_onnx(b"\x3a\x00") && !is_onnx(b"\x08\x01") && !is_onnx(b"\x3a\x05"));
        #[cfg(not(feature = "onnx"))]
        assert!(
            error(b"\x3a\x00").starts_with("an ONNX model, but this build has no ONNX Runtime support; expected a model: .nam")
        );
    }
}
