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

/// A format that is recognised and that this build cannot play.
pub struct UnsupportedFormat {
    /// Description of such a file for the error, perhaps with advice.
    pub description: &'static str,
    /// True if the bytes are of this format.
    pub probe: fn(&[u8]) -> bool,
}

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
