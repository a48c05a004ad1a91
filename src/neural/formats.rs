//! The registry of model formats: every format is one file in `neural` and one row here.
//!
//! Loading, messages, the filters of file lists and `isotherm model` are made from the rows. To add a format: write its file
//! with its `FORMAT` row, declare the file in `neural.rs`, append the row here, and name its file extensions in
//! `docs/models.md`. A format that is only recognised, for a clear error, has a row in [`UNSUPPORTED`] instead.

use std::path::Path;
use std::sync::LazyLock;

#[cfg(not(feature = "onnx"))]
use super::format::is_onnx;
use super::format::{
    Content, ForeignNetwork, Mark, ModelFormat, UnsupportedFormat, first_line_of_text, is_pytorch, is_utf16, is_web_page,
};
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

/// Kinds of files that are recognised and cannot be played. They are tried after all of [`FORMATS`], the first that fits counts.
pub static UNSUPPORTED: &[UnsupportedFormat] = &[
    #[cfg(not(feature = "onnx"))]
    UnsupportedFormat { description: "an ONNX model, but this build has no ONNX Runtime support", mark: Mark::Probe(is_onnx) },
    UnsupportedFormat {
        description: "a PyTorch checkpoint, which only its own trainer reads: export a model with the trainer",
        mark: Mark::Probe(is_pytorch),
    },
    UnsupportedFormat {
        description: "a ZIP archive: unpack it and open the model that is in it",
        mark: Mark::Start(b"PK\x03\x04"),
    },
    UnsupportedFormat { description: "an empty ZIP archive", mark: Mark::Start(b"PK\x05\x06") },
    UnsupportedFormat {
        description: "a RAR archive: unpack it and open the model that is in it",
        mark: Mark::Start(b"Rar!\x1a\x07"),
    },
    UnsupportedFormat {
        description: "a 7z archive: unpack it and open the model that is in it",
        mark: Mark::Start(b"7z\xbc\xaf\x27\x1c"),
    },
    UnsupportedFormat {
        description: "a file compressed with gzip: unpack it and open the model that is in it",
        mark: Mark::Start(b"\x1f\x8b"),
    },
    UnsupportedFormat { description: "a web page: download the model itself", mark: Mark::Probe(is_web_page) },
    UnsupportedFormat {
        description: "a Git LFS pointer in place of the model: run 'git lfs pull' or download the model again",
        mark: Mark::Start(b"version https://git-lfs"),
    },
    UnsupportedFormat {
        description: "an HDF5 file, as Keras saves its own models: export it for RTNeural",
        mark: Mark::Start(b"\x89HDF\r\n\x1a\n"),
    },
    UnsupportedFormat { description: "a text in UTF-16: save it as UTF-8", mark: Mark::Probe(is_utf16) },
    UnsupportedFormat {
        description: "an array of NumPy, as Neural Amp Modeler before 0.5 kept weights: export a .nam with a newer trainer",
        mark: Mark::Start(b"\x93NUMPY"),
    },
    UnsupportedFormat { description: "a WAV file, a sound or an impulse response", mark: Mark::Start(b"RIFF") },
    UnsupportedFormat {
        description: "a WaveNet of GuitarML's PedalNet or SmartPedal, which is not supported",
        mark: Mark::Keys(&["residual_channels", "filter_width", "dilations", "variables"]),
    },
    UnsupportedFormat {
        description: "a model of GuitarML's SmartAmpPro (convolutions and an LSTM), which is not supported",
        mark: Mark::Keys(&["conv1d", "conv1d_stride"]),
    },
    UnsupportedFormat {
        description: "a Neural Amp Modeler file without weights, as config.json before 0.5: export a .nam with a newer trainer",
        mark: Mark::Keys(&["architecture", "config"]),
    },
    UnsupportedFormat {
        description: "the description of a Keras network without its weights: export it for RTNeural",
        mark: Mark::Keys(&["class_name", "config"]),
    },
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

/// The end of the names of reports on trained twins, which are JSON and no models.
const REPORT: &str = "card.json";

/// True if a file's name has the extension of a model format, in lower or upper case, and is not that of a report on a trained
/// twin (`card.json`, `amp.card.json`). [any thread]
#[must_use]
pub fn is_model_file(name: &Path) -> bool {
    let extension = name.extension().and_then(|extension| extension.to_str());
    let mut known = FORMATS.iter().flat_map(|format| format.extensions);
    let name = name.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    if name == REPORT || name.strip_suffix(REPORT).is_some_and(|stem| stem.ends_with('.')) {
        return false;
    }
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
    if let Some(unsupported) = UNSUPPORTED.iter().find(|unsupported| unsupported.is_json(root) && !has_format(root)) {
        return Err(not_a_model(unsupported.description));
    }
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

/// True if the outermost JSON object of a file has the keys of a format.
fn has_format(root: &Field<'_>) -> bool {
    let has_keys = |format: &&ModelFormat| match format.content {
        Content::Json { keys, .. } => keys.iter().all(|key| root.has(key)),
        Content::Bytes { .. } => false,
    };
    FORMATS.iter().any(has_keys)
}

/// The error for a file that is no model.
pub(super) fn not_a_model(found: impl std::fmt::Display) -> ModelError {
    ModelError::Invalid(format!("{found}; expected a model: {}", names()))
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
    Err(not_a_model(match UNSUPPORTED.iter().find(|unsupported| unsupported.is_bytes(bytes)) {
        Some(unsupported) => unsupported.description.into(),
        None if bytes.is_empty() => "an empty file".into(),
        None if bytes.trim_ascii().is_empty() => "a file of blanks".into(),
        None => match first_line_of_text(bytes) {
            Some(line) => format!("a text that begins with '{line}'"),
            None => format!("a file that starts with '{}'", bytes[..bytes.len().min(8)].escape_ascii()),
        },
    }))
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
        assert!(["card.json", "amp.card.json", "/a/AMP.Card.JSON"].iter().all(|name| !is_model_file(Path::new(name))));
        assert!(["discard.json", "card.nam", "card.json.nam"].iter().all(|name| is_model_file(Path::new(name))));
        assert!(!is_model_file(Path::new("nam")) && !is_model_file(Path::new("a.nam.txt")));
        assert_eq!(either(vec!["a".into(), "b".into(), "c".into()]), "a, b or c");
        assert_eq!((either(vec!["a".into()]), either(Vec::new())), ("a".into(), String::new()));
    }

    #[test]
    fn a_file_of_another_kind_is_named() {
        let text = "404: Not Found";
        let long = "x".repeat(5000);
        for (bytes, found) in [
            (b"PK\x03\x04\x14\0\0\0\x08\0pack/a.nam".as_slice(), "a ZIP archive: unpack it"),
            (b"PK\x03\x04\0\0\x08\x08\0\0archive/data.pkl", "a PyTorch checkpoint"),
            (b"Rar!\x1a\x07\x01\0", "a RAR archive: unpack it"),
            (b"7z\xbc\xaf\x27\x1c\0", "a 7z archive: unpack it"),
            (b"\x1f\x8b\x08\0", "a file compressed with gzip: unpack it"),
            (b"\n\n <!DOCTYPE html>\n<html>", "a web page: download the model itself"),
            (b"<HTML><body>", "a web page"),
            (b"version https://git-lfs.github.com/spec/v1\noid", "a Git LFS pointer"),
            (b"\x89HDF\r\n\x1a\n\0", "an HDF5 file"),
            (b"\xff\xfe{\0\"\0", "a text in UTF-16: save it as UTF-8"),
            (b"\xfe\xff\0{\0\"", "a text in UTF-16"),
            (b"\x93NUMPY\x01\0", "an array of NumPy"),
            (b"RIFF\x10\0\0\0WAVE", "a WAV file"),
            (b" \r\n", "a file of blanks"),
            (b"null", "a text that begins with 'null'"),
            (text.as_bytes(), "a text that begins with '404: Not Found'"),
            ("\n  \u{e9}t\u{e9}\nb".as_bytes(), "a text that begins with '\u{e9}t\u{e9}'"),
            (b"one\rtwo", "a text that begins with 'one'"),
            (long.as_bytes(), "a text that begins with 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...'"),
        ] {
            let error = read_bytes(bytes).err().expect("an error").to_string();
            assert!(error.starts_with(found) && error.ends_with(&format!("; expected a model: {}", names())), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn the_error_for_an_unknown_format_lists_all_formats() {
        let error = |bytes: &[u8]| read_bytes(bytes).err().expect("an error").to_string();
        assert_eq!(error(b"\xffabc"), format!("a file that starts with '\\xffabc'; expected a model: {}", names()));
        assert_eq!(error(b""), format!("an empty file; expected a model: {}", names()));
        // The shortest file that counts as ONNX has an empty graph.
        assert!(is_onnx(b"\x3a\x00") && !is_onnx(b"\x08\x01") && !is_onnx(b"\x3a\x05"));
        #[cfg(not(feature = "onnx"))]
        assert!(
            error(b"\x3a\x00").starts_with("an ONNX model, but this build has no ONNX Runtime support; expected a model: .nam")
        );
    }
}
