//! From a file to a model: the kind is recognised by the content.

use std::fs::File;
use std::io::{Error, Read as _};
use std::path::Path;
use std::sync::Arc;

use super::{Loaded, Model, ModelError, json, keras, nam, proteus};

/// Bytes of a file.
const MOST_BYTES: u64 = 256 << 20;

impl Loaded {
    /// Reads a `.nam`, Keras or Proteus file. [control thread]
    ///
    /// # Errors
    /// If it is none of them, not sound, or needs more than a gigabyte.
    pub fn read(text: &[u8]) -> Result<Self, ModelError> {
        let value = json::parse(text)?;
        let root = json::Field::root(&value);
        if root.has("architecture") && root.has("weights") {
            nam::read(&root)
        } else if root.has("model_data") && root.has("state_dict") {
            proteus::read(&root)
        } else if root.has("layers") {
            keras::read(&root)
        } else {
            let kinds = "architecture and weights (.nam), layers (Keras) or model_data and state_dict (Proteus) in it";
            Err(root.unexpected(kinds))
        }
    }
}

impl Model {
    /// Reads a file of any kind. [control thread]
    ///
    /// # Errors
    /// If it is no sound model, or one that this build cannot run.
    pub fn read(bytes: Vec<u8>) -> Result<Arc<Self>, ModelError> {
        // A byte order mark may stand before JSON.
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        if matches!(text.trim_ascii_start().first(), Some(b'{' | b'[')) {
            let loaded = Loaded::read(text)?;
            return Ok(Self::new(loaded, bytes));
        }
        if is_onnx(&bytes) {
            return onnx(bytes);
        }
        let start = bytes[..bytes.len().min(8)].escape_ascii();
        let found = if bytes.is_empty() { "an empty file".into() } else { format!("a file that starts with '{start}'") };
        Err(ModelError::Invalid(format!("{found}; expected a model: .nam, Keras or Proteus JSON, or ONNX")))
    }

    /// [`Self::read`] of a file; its path stands in the error. [control thread]
    ///
    /// # Errors
    /// If it cannot be read, or as in [`Self::read`].
    pub fn open(path: &Path) -> Result<Arc<Self>, ModelError> {
        let unread = |source| ModelError::Read { path: path.display().to_string(), source };
        let unsound = |error| ModelError::File { path: path.display().to_string(), error: Box::new(error) };
        let found = path.metadata().map_err(unread)?;
        // A folder, a device or a pipe may have no end.
        if !found.is_file() {
            return Err(unread(Error::other("no file; expected one")));
        }
        if found.len() > MOST_BYTES {
            return Err(unsound(ModelError::TooLarge { found: found.len(), most: MOST_BYTES }));
        }
        let mut bytes = Vec::new();
        File::open(path).and_then(|file| file.take(MOST_BYTES).read_to_end(&mut bytes)).map_err(unread)?;
        let mut model = Self::read(bytes).map_err(unsound)?;
        if let Some(model) = Arc::get_mut(&mut model) {
            model.path = Some(path.to_owned());
        }
        Ok(model)
    }
}

fn onnx(bytes: Vec<u8>) -> Result<Arc<Model>, ModelError> {
    #[cfg(feature = "onnx")]
    {
        let (info, network) = super::onnx::load(&bytes)?;
        Ok(Model::from_network(info, network, bytes))
    }
    #[cfg(not(feature = "onnx"))]
    {
        let found = format!("an ONNX model of {} bytes", bytes.len());
        Err(ModelError::Invalid(format!("{found}, but this build has no ONNX Runtime support; expected .nam, Keras or Proteus")))
    }
}

/// Whether bytes are ONNX's `ModelProto`: to the end fields of known numbers (1 to 25), each a number or of a length, with a graph
/// (7) among them.
fn is_onnx(mut bytes: &[u8]) -> bool {
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
