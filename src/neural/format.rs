//! The types of the rows of the registry of model formats ([`super::formats`]), and the recognition of ONNX files.

use std::sync::Arc;

use super::engine::Network;
use super::json::Field;
use super::{ModelError, ModelInfo, ParsedModel};

/// A format of model files.
pub struct ModelFormat {
    /// Stable id in reports, in lower case.
    pub id: &'static str,
    /// Name of the format for users.
    pub name: &'static str,
    /// Programs that write such files, for users.
    pub written_by: &'static str,
    /// Extensions of the names of such files, in lower case without the dot. They only filter lists of files; the format of a
    /// file is recognised by its content.
    pub extensions: &'static [&'static str],
    /// The recognition and the reader of the content.
    pub content: Content,
}

/// The information in a file, and its network, which an engine other than the native one runs.
pub type ForeignNetwork = (ModelInfo, Arc<dyn Network>);

/// The content of a format's files: how it is recognised and read. [control thread]
pub enum Content {
    /// A JSON object with the description of networks for the native engine.
    Json {
        /// Keys by which the format is recognised: the outermost object has all of them.
        keys: &'static [&'static str],
        /// Reads the outermost object.
        read: fn(&Field<'_>) -> Result<ParsedModel, ModelError>,
    },
    /// Any other content, with a network that brings its own engine.
    Bytes {
        /// True if the bytes are of this format.
        probe: fn(&[u8]) -> bool,
        /// Reads the bytes of the file.
        read: fn(&[u8]) -> Result<ForeignNetwork, ModelError>,
    },
}

/// A kind of file that is recognised and that this build cannot play.
pub struct UnsupportedFormat {
    /// Description of such a file for the error, perhaps with advice.
    pub description: &'static str,
    /// The recognition of the content.
    pub mark: Mark,
}

/// The recognition of a kind of file that cannot be played.
pub enum Mark {
    /// The bytes with which such files begin.
    Start(&'static [u8]),
    /// The outermost object of the file's JSON has all of these keys.
    Keys(&'static [&'static str]),
    /// True if the bytes are of this kind.
    Probe(fn(&[u8]) -> bool),
}

impl UnsupportedFormat {
    /// True if the bytes of a file that is not JSON are of this kind.
    pub(super) fn is_bytes(&self, bytes: &[u8]) -> bool {
        match self.mark {
            Mark::Start(start) => bytes.starts_with(start),
            Mark::Keys(_) => false,
            Mark::Probe(probe) => probe(bytes),
        }
    }

    /// True if the outermost JSON object of a file is of this kind.
    pub(super) fn is_json(&self, root: &Field<'_>) -> bool {
        matches!(self.mark, Mark::Keys(keys) if keys.iter().all(|key| root.has(key)))
    }
}

/// True if a file begins like a web page.
pub(super) fn is_web_page(bytes: &[u8]) -> bool {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    [b"<!doctype".as_slice(), b"<html", b"<?xml", b"<head", b"<!--"]
        .into_iter()
        .any(|start| text.get(..start.len()).is_some_and(|found| found.eq_ignore_ascii_case(start)))
}

/// True if a file begins with UTF-16's byte order mark, or is JSON in UTF-16 without one.
pub(super) fn is_utf16(bytes: &[u8]) -> bool {
    [b"\xff\xfe".as_slice(), b"\xfe\xff", b"{\0", b"\0{", b"[\0", b"\0["].into_iter().any(|start| bytes.starts_with(start))
}

/// True if a file is a ZIP archive in which PyTorch keeps weights.
pub(super) fn is_pytorch(bytes: &[u8]) -> bool {
    let first_entry = &bytes[..bytes.len().min(128)];
    bytes.starts_with(b"PK\x03\x04") && first_entry.windows(8).any(|name| name == b"data.pkl")
}

/// The first line of a file that is plain text, cut off if it is long.
pub(super) fn first_line_of_text(bytes: &[u8]) -> Option<String> {
    let start = &bytes[..bytes.len().min(4096)];
    let text = match std::str::from_utf8(start) {
        Ok(text) => text,
        // A character may be cut in two at the end.
        Err(error) if error.error_len().is_none() => std::str::from_utf8(&start[..error.valid_up_to()]).ok()?,
        Err(_) => return None,
    };
    if text.contains(|c: char| c.is_control() && !c.is_whitespace()) {
        return None;
    }
    let line = text.split(char::is_control).map(str::trim).find(|line| !line.is_empty())?;
    let mut short: String = line.chars().take(MAX_TEXT_CHARACTERS).collect();
    if line.chars().nth(MAX_TEXT_CHARACTERS).is_some() {
        short.push_str("...");
    }
    Some(short)
}

/// Characters of a text that are quoted in an error.
const MAX_TEXT_CHARACTERS: usize = 40;

/// True if the bytes are ONNX's `ModelProto`, a protobuf message: nothing but fields with the numbers 1 to 25, each of the wire
/// type varint or length-delimited, with a graph (field 7) among them.
pub(super) fn is_onnx(mut bytes: &[u8]) -> bool {
    let mut graph = false;
    while !bytes.is_empty() {
        let (Some(tag), Some(value)) = (varint(&mut bytes), varint(&mut bytes)) else { return false };
        match (tag >> 3, tag & 7) {
            (1..=25, 0) => {}
            (field @ 1..=25, 2) => {
                let Some(rest) = usize::try_from(value).ok().and_then(|length| bytes.get(length..)) else { return false };
                bytes = rest;
                graph |= field == 7;
            }
            _ => return false,
        }
    }
    graph
}

/// Reads a varint of protobuf (seven bits in each byte, the lowest first), and moves `bytes` past it. `None` if it is cut off
/// or too long.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
