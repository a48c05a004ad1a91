//! The log of a session: JSON lines, each with the hash of the one before, each on the disk before the test goes on.

use std::fs::{File, Metadata, metadata};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::blinding::sha256;
use super::outcome::Score;
use super::session::{Earlier, End, Entry, Plan};
use super::staircase::Track;
use crate::view::{TestPart, TestSetup};

/// Version of the format.
pub const LOG_VERSION: u64 = 1;
/// The hash before the first line.
pub const NO_HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The reason why a log cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A newer version wrote it.
    #[error("the log has version {found}, which a newer version of Isotherm wrote; expected {LOG_VERSION} or older")]
    Newer {
        /// The version.
        found: u64,
    },
    /// A line is no line of a log.
    #[error("line {line}: {reason}")]
    Line {
        /// Number of the line, from 1.
        line: u64,
        /// The reason.
        reason: String,
    },
    /// There is not even a first line.
    #[error("the log has no first line: the test was left before it began; take a new one")]
    Empty,
    /// The file cannot be written.
    #[error("{}: cannot be written ({source}); nothing of this step is kept, so make room and do it again, or resume later", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The file is not the one that the last line was written to.
    #[error("{found} by another program; this test cannot go on")]
    Lost {
        /// Words on the file as it is now.
        found: String,
    },
    /// A value has no JSON.
    #[error("no JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// Everything about a session that is fixed before the first trial: the first line of its log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Configuration {
    /// Version of the format.
    pub version: u64,
    /// Name and version of the program.
    pub program: String,
    /// The place where the test is taken: a host, a device.
    pub venue: String,
    /// Question, form, rule, number of trials, sides, sound, control, listener.
    pub setup: TestSetup,
    /// The p and the error of bounds that are used.
    pub alpha: f64,
    /// Sample rate in hertz.
    pub sample_rate: f64,
    /// Channels of the stream.
    pub channels: usize,
    /// Longest block of the stream in frames.
    pub max_frames: usize,
    /// Both sides are bit for bit the same.
    pub is_aa: bool,
    /// Error to signal of the two sides in dB, as they are played; None if they are the same.
    pub esr_db: Option<f64>,
    /// Tests of the same sides that stood in the folder of sessions when this one began.
    pub earlier: Earlier,
    /// Gain, delay, polarity and gates, as they were applied.
    pub matching: Value,
    /// SHA-256 of each file of the session's folder, by name.
    pub files: std::collections::BTreeMap<String, String>,
}

impl Configuration {
    /// Subject of the session. [any thread]
    #[must_use]
    pub fn plan(&self) -> Plan {
        // Rungs that cannot be read are none, and no threshold is found on them: `verify` names them.
        let ladder = serde_json::from_value(self.matching["rungs"].clone()).unwrap_or_default();
        let Self { setup, is_aa, earlier, .. } = self;
        Plan { protocol: setup.protocol, control: setup.control, is_aa: *is_aa, earlier: earlier.clone(), ladder }
    }
}

/// The mapping of a trial, as the log's last line has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingRecord {
    /// The part.
    pub part: TestPart,
    /// Number of the trial within its part.
    pub trial: u32,
    /// 1 if button 1 played side B; 1 if X was button 2, or if the buttons played different sides.
    pub bits: [u8; 2],
}

/// A secret that is opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenedSeed {
    /// The seed in hexadecimal digits.
    pub seed: String,
    /// The nonce in hexadecimal digits.
    pub nonce: String,
}

/// The end of a session: the last line of its log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Closing {
    /// The way in which the test ended.
    pub end: End,
    /// Seed and nonce of the start and of each resumption, in order.
    pub seeds: Vec<OpenedSeed>,
    /// Trials of control and test, void ones too.
    pub trials: u32,
    /// The mappings of those that were answered.
    pub mappings: Vec<MappingRecord>,
    /// The result.
    pub result: Score,
    /// The course of a staircase, which would tell the score before the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub track: Option<Track>,
}

/// Content of a line, besides its number, time and the hash of the line before.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// The first line.
    Configuration(Box<Configuration>),
    /// The second line: the commitment in hexadecimal digits.
    Commitment(String),
    /// Something that happened.
    Entry(Entry),
    /// The last line.
    Close(Box<Closing>),
}

/// A line of a log.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Its number, from 1, as it says itself.
    pub number: u64,
    /// The hash of the line before, as it says itself.
    pub previous: String,
    /// The time (UTC, RFC 3339).
    pub time: String,
    /// Its content.
    pub body: Body,
    /// Its own hash: SHA-256 of its bytes without the end of line.
    pub hash: String,
}

/// A line as it is written.
#[derive(Serialize)]
struct LineOut<'a> {
    line: u64,
    previous: &'a str,
    time: &'a str,
    #[serde(flatten)]
    body: BodyOut<'a>,
}

/// A body as it is written.
#[derive(Serialize)]
#[serde(untagged)]
enum BodyOut<'a> {
    Entry(&'a Entry),
    Other(OtherOut<'a>),
}

/// The bodies of the first and last lines as they are written.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum OtherOut<'a> {
    Configuration(&'a Configuration),
    Commitment { commitment: &'a str },
    Close(&'a Closing),
}

/// The text of a line, without its end.
fn line_text(number: u64, previous: &str, time: &str, body: &Body) -> Result<String, serde_json::Error> {
    let body = match body {
        Body::Entry(entry) => BodyOut::Entry(entry),
        Body::Configuration(configuration) => BodyOut::Other(OtherOut::Configuration(configuration)),
        Body::Commitment(commitment) => BodyOut::Other(OtherOut::Commitment { commitment }),
        Body::Close(closing) => BodyOut::Other(OtherOut::Close(closing)),
    };
    serde_json::to_string(&LineOut { line: number, previous, time, body })
}

/// The hash of a line, without its end, by which the next line names it: SHA-256 in hexadecimal digits. [control thread:
/// allocates]
#[must_use]
pub fn line_hash(line: &[u8]) -> String {
    sha256(line)
}

/// Splits a log into its whole lines and a half-written rest.
pub(super) fn split(bytes: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let rest = lines.pop().unwrap_or_default();
    (lines, rest)
}

/// Reads a line, which is the `place`th of its log, from 1.
///
/// # Errors
/// [`LogError::Newer`] for the first line of a newer version; [`LogError::Line`].
pub(super) fn parse(bytes: &[u8], place: u64) -> Result<Line, LogError> {
    let failed = |reason: String| LogError::Line { line: place, reason };
    let mut value: Value = serde_json::from_slice(bytes).map_err(|error| failed(format!("no JSON ({error})")))?;
    let object = value.as_object_mut().ok_or_else(|| failed("no JSON object".into()))?;
    let mut text = |key: &str| match object.remove(key) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(failed(format!("no text '{key}'"))),
    };
    let (previous, time, kind) = (text("previous")?, text("time")?, text("kind")?);
    let number = object.remove("line").and_then(|number| number.as_u64()).ok_or_else(|| failed("no number 'line'".into()))?;
    let unreadable = |error: serde_json::Error| failed(format!("'{kind}' cannot be read: {error}"));
    let body = match kind.as_str() {
        "configuration" => {
            let version = object.get("version").and_then(Value::as_u64).ok_or_else(|| failed("no number 'version'".into()))?;
            if version > LOG_VERSION {
                return Err(LogError::Newer { found: version });
            }
            Body::Configuration(serde_json::from_value(value).map_err(unreadable)?)
        }
        "commitment" => {
            let commitment = object.get("commitment").and_then(Value::as_str);
            Body::Commitment(commitment.ok_or_else(|| failed("no text 'commitment'".into()))?.into())
        }
        "close" => Body::Close(serde_json::from_value(value).map_err(unreadable)?),
        _ => {
            object.insert("kind".into(), Value::String(kind.clone()));
            Body::Entry(serde_json::from_value(value).map_err(unreadable)?)
        }
    };
    Ok(Line { number, previous, time, body, hash: sha256(bytes) })
}

/// The file that a log is written to: one of the system's, or a test's replacement. [control thread]
pub trait LogFile: Write + Send {
    /// Waits until everything written so far is on the disk itself.
    ///
    /// # Errors
    /// The system's error.
    fn sync(&mut self) -> io::Result<()>;

    /// Makes the file `length` bytes long and goes to its end.
    ///
    /// # Errors
    /// The system's error.
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

impl LogFile for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)?;
        self.seek(SeekFrom::Start(length)).map(|_| ())
    }
}

/// The end of a log at which lines are added. [control thread]
pub struct LogWriter {
    path: PathBuf,
    file: Box<dyn LogFile>,
    /// Bytes of the whole lines.
    length: u64,
    /// Number of whole lines.
    lines: u64,
    /// Hash of the last line.
    hash: String,
    /// There may be something after the whole lines.
    is_torn: bool,
    /// The file itself, whatever its name, where the system tells.
    identity: Option<[u64; 2]>,
}

/// The file itself: device and inode.
#[cfg(unix)]
fn identity(metadata: &Metadata) -> Option<[u64; 2]> {
    use std::os::unix::fs::MetadataExt;
    Some([metadata.dev(), metadata.ino()])
}

/// The file itself, which this system does not tell.
#[cfg(not(unix))]
fn identity(_: &Metadata) -> Option<[u64; 2]> {
    None
}

impl std::fmt::Debug for LogWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogWriter").field("path", &self.path).field("lines", &self.lines).finish_non_exhaustive()
    }
}

impl LogWriter {
    /// A writer behind `lines` whole lines of `length` bytes, the last of which has the hash `hash`. `file` is the one at `path`.
    #[must_use]
    pub fn new(path: &Path, file: Box<dyn LogFile>, length: u64, lines: u64, hash: String) -> Self {
        let identity = metadata(path).ok().as_ref().and_then(identity);
        Self { path: path.into(), file, length, lines, hash, is_torn: true, identity }
    }

    /// Gives the file its lasting name.
    ///
    /// # Errors
    /// The system's error.
    pub(super) fn rename(&mut self, path: &Path) -> io::Result<()> {
        std::fs::rename(&self.path, path)?;
        self.path = path.into();
        Ok(())
    }

    /// Checks that the file is there, and as long as this writer left it: what is written behind the end of a shorter one would
    /// stand after a hole.
    fn check(&self) -> Result<(), LogError> {
        let lost = |found: String| LogError::Lost { found };
        let file = match metadata(&self.path) {
            Ok(file) => file,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Err(lost("the log was deleted or moved".into()));
            }
            Err(source) => return Err(LogError::Write { path: self.path.clone(), source }),
        };
        if identity(&file) != self.identity {
            return Err(lost("another file was put in the place of the log".into()));
        }
        // What follows the whole lines may be the half of a line that could not be written.
        if file.len() < self.length || file.len() > self.length && !self.is_torn {
            let how = if file.len() < self.length { "shortened" } else { "lengthened" };
            return Err(lost(format!("the log was {how} from {} to {} bytes", self.length, file.len())));
        }
        Ok(())
    }

    /// Hash of the last line: the receipt.
    #[must_use]
    pub fn receipt(&self) -> &str {
        &self.hash
    }

    /// Writes a line and waits until it is on the disk. Returns the line's bytes, without its end, and its time. [control thread:
    /// does I/O]
    ///
    /// # Errors
    /// [`LogError::Write`], [`LogError::Json`]; then the log is as before: what was written of the line is cut off, at once or
    /// before the next line. [`LogError::Lost`]; then nothing is written.
    pub fn append(&mut self, body: &Body) -> Result<(Vec<u8>, String), LogError> {
        let time = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
        let mut bytes = line_text(self.lines + 1, &self.hash, &time, body)?.into_bytes();
        let hash = sha256(&bytes);
        bytes.push(b'\n');
        self.check()?;
        let mut write = || -> io::Result<()> {
            if self.is_torn {
                self.file.cut(self.length)?;
            }
            self.is_torn = true;
            self.file.write_all(&bytes)?;
            self.file.sync()?;
            self.is_torn = false;
            Ok(())
        };
        if let Err(source) = write() {
            if self.file.cut(self.length).is_ok() {
                self.is_torn = false;
            }
            return Err(LogError::Write { path: self.path.clone(), source });
        }
        self.length += bytes.len() as u64;
        self.lines += 1;
        self.hash = hash;
        bytes.pop();
        Ok((bytes, time))
    }
}
