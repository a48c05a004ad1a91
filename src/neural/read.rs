//! From a file to a model: its format shows in the content.

use std::fs::File;
use std::io::{Error, Read as _};
use std::path::Path;
use std::sync::Arc;

use super::formats;
use super::json::{self, Field};
use super::{Loaded, Model, ModelError};

/// Bytes that a model file may have at the most.
pub const MOST_BYTES: u64 = 256 << 20;

impl Loaded {
    /// Reads a file of one of the formats that are JSON. [control thread]
    ///
    /// # Errors
    /// If it is none of them, not sound, or needs more than a gigabyte.
    pub fn read(text: &[u8]) -> Result<Self, ModelError> {
        let value = json::parse(text)?;
        formats::read_json(&Field::root(&value))
    }
}

impl Model {
    /// Reads a file of any format. [control thread]
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
        let (info, network) = formats::read_bytes(&bytes)?;
        Ok(Self::from_network(info, network, bytes))
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
