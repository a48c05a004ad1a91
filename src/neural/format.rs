//! A row of the registry of model formats.

use std::sync::Arc;

use super::engine::Network;
use super::json::Field;
use super::{Info, Loaded, ModelError};

/// A format of model files.
pub struct Format {
    /// Stable: part of reports. Lower case.
    pub id: &'static str,
    /// What a user reads.
    pub name: &'static str,
    /// Programs that write such files.
    pub from: &'static str,
    /// Names of such files end with one of them, behind a dot, in lower case. What a file is shows in its content alone.
    pub endings: &'static [&'static str],
    pub content: Content,
}

/// A network that is not the native engine's, and what its file says of it.
pub type Foreign = (Info, Arc<dyn Network>);

/// Content of a file of a format, with its reader. [control thread]
pub enum Content {
    /// Numbers for the native engine, as JSON.
    Json {
        /// Keys that the outermost object has, all of them.
        keys: &'static [&'static str],
        /// Takes the outermost object.
        read: fn(&Field<'_>) -> Result<Loaded, ModelError>,
    },
    /// Another engine's network.
    Bytes { probe: fn(&[u8]) -> bool, read: fn(&[u8]) -> Result<Foreign, ModelError> },
}

/// A kind of file that is known by sight and cannot be played.
pub struct Refused {
    /// What such a file is, for an error, and perhaps what to do with it.
    pub what: &'static str,
    pub probe: fn(&[u8]) -> bool,
}

/// Whether bytes are ONNX's `ModelProto`: to the end fields of known numbers (1 to 25), each a number or of a length, with a graph
/// (7) among them.
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

/// Protobuf's number of seven bits a byte, lowest first.
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
