//! Reading a model from a file or from bytes. The format is recognised by the content.

use std::fs::File;
use std::io::{Error, Read as _};
use std::path::Path;
use std::sync::Arc;

use super::budget::{SAMPLE_RATES, check_rate};
use super::formats;
use super::json::{self, Field};
use super::{Model, ModelError, ParsedModel};

/// The largest model file that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 256 << 20;

impl ParsedModel {
    /// Reads the text of a file in one of the JSON formats. [control thread]
    ///
    /// # Errors
    /// If the text is in none of these formats, is not valid, or describes networks that need more than 1 GiB.
    pub fn read(text: &[u8]) -> Result<Self, ModelError> {
        let value = json::parse(text)?;
        formats::read_json(&Field::root(&value))
    }
}

impl Model {
    /// The same model at the sample rate `rate` in Hz, 1000 to 768 000, which a user gives because the file has none. If the
    /// file has the same rate, the model is returned as it is. [control thread: allocates]
    ///
    /// # Errors
    /// If the file has another rate, `rate` is out of range, or a network would need too much work at it before its first sound.
    pub fn at_rate(self: &Arc<Self>, rate: f32) -> Result<Arc<Self>, ModelError> {
        let (low, high) = SAMPLE_RATES;
        if !(low..=high).contains(&f64::from(rate)) {
            return Err(ModelError::Invalid(format!("a model's rate of {rate} Hz; expected {low} to {high}")));
        }
        match self.info() {
            info if info.sample_rate_given && info.sample_rate != rate => {
                Err(ModelError::OtherRate { found: rate, expected: info.sample_rate })
            }
            info if info.sample_rate_given || self.user_rate == Some(rate) => Ok(self.clone()),
            _ => {
                let mut architectures = self.sizes().iter().filter_map(|size| size.architecture.as_ref());
                architectures.try_for_each(|architecture| check_rate(architecture, rate))?;
                Ok(self.with_user_rate(rate))
            }
        }
    }

    /// Reads the bytes of a file in any of the [formats](super::formats::FORMATS). [control thread]
    ///
    /// # Errors
    /// If the bytes are not a valid model, or one that this build cannot run.
    pub fn read(bytes: Vec<u8>) -> Result<Arc<Self>, ModelError> {
        // A byte order mark may precede JSON.
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        // JSON in UTF-16 has a zero after its first character.
        if matches!(text.trim_ascii_start(), [b'{' | b'[', rest @ ..] if rest.first() != Some(&0)) {
            let parsed = ParsedModel::read(text)?;
            return Ok(Self::new(parsed, bytes));
        }
        let (info, network) = formats::read_bytes(&bytes)?;
        Ok(Self::from_network(info, network, bytes))
    }

    /// Reads a file as [`Self::read`] does, and keeps its path. [control thread]
    ///
    /// # Errors
    /// If the file cannot be read or is larger than [`MAX_FILE_BYTES`], and the errors of [`Self::read`]; all name the path.
    ///
    /// # Examples
    /// ```
    /// use isotherm::neural::Model;
    ///
    /// // A model of the saturator that comes with Isotherm.
    /// let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/models");
    /// let model = Model::open(&folder.join("saturator-lstm8.nam"))?;
    /// assert_eq!((model.info().format, model.info().sample_rate), ("nam", 48_000.0));
    /// println!("{}: {} parameters", model.info().architecture, model.info().parameters);
    ///
    /// // The file of another format is an error in one line.
    /// let error = Model::open(&folder.join("README.md")).unwrap_err();
    /// assert!(error.to_string().contains("expected a model"));
    /// # Ok::<(), isotherm::neural::ModelError>(())
    /// ```
    pub fn open(path: &Path) -> Result<Arc<Self>, ModelError> {
        let unreadable = |source| ModelError::Read { path: path.display().to_string(), source };
        let invalid = |error| ModelError::File { path: path.display().to_string(), error: Box::new(error) };
        let metadata = path.metadata().map_err(unreadable)?;
        if metadata.is_dir() {
            let old = path.join("config.json").is_file() && path.join("weights.npy").is_file();
            let advice = ": export a .nam with a newer trainer";
            let found =
                if old { ["a folder with a model of Neural Amp Modeler before 0.5", advice].concat() } else { "a folder".into() };
            return Err(invalid(formats::not_a_model(found)));
        }
        // A device or a pipe may never end.
        if !metadata.is_file() {
            return Err(unreadable(Error::other("no file; expected one")));
        }
        if metadata.len() > MAX_FILE_BYTES {
            return Err(invalid(ModelError::TooLarge { found: metadata.len(), limit: MAX_FILE_BYTES }));
        }
        let mut bytes = Vec::new();
        File::open(path).and_then(|file| file.take(MAX_FILE_BYTES).read_to_end(&mut bytes)).map_err(unreadable)?;
        let mut model = Self::read(bytes).map_err(invalid)?;
        if let Some(model) = Arc::get_mut(&mut model) {
            model.path = Some(path.to_owned());
        }
        Ok(model)
    }
}
