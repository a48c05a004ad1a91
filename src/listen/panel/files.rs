//! The files of a panel: its plan, its links, its sounds, and the lock.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::PanelError;
use crate::listen::blinding::{hex, sha256};
use crate::listen::folder::{failed, sync_folder};
use crate::listen::log::Configuration;

/// Name of the file with a panel's plan.
pub const PANEL: &str = "panel.json";
/// Name of the file with the links, readable by its owner only.
pub const LINKS: &str = "links.json";
/// Name of the folder with the loop and both sides, of which each session gets a copy.
pub const SOUNDS: &str = "sounds";
/// Name of the file that the program locks which serves the panel.
const LOCK: &str = "lock";
/// Version of the format.
pub const PANEL_VERSION: u64 = 1;
/// Bytes of a token and of the id of a visit or sound: 128 bits.
const ID_BYTES: usize = 16;
/// Bytes of a browser's secret: 256 bits.
const SECRET_BYTES: usize = 32;

/// The plan of a panel, which never changes.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Plan {
    /// Version of the format.
    pub version: u64,
    /// Number of listeners.
    pub listeners: usize,
    /// The first line of each listener's log, but for listener, venue and files of the session.
    pub configuration: Configuration,
}

/// A listener's link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Link {
    /// The token in hexadecimal digits.
    pub token: String,
    /// SHA-256 of the secret of the browser that opened the link; none before.
    pub secret_sha256: Option<String>,
}

/// Random hexadecimal digits of 128 bits.
pub(super) fn new_id() -> Result<String, PanelError> {
    let mut bytes = [0; ID_BYTES];
    fill(&mut bytes)?;
    Ok(hex(&bytes))
}

/// Fills bytes from the system's random source.
pub(super) fn fill(bytes: &mut [u8]) -> Result<(), PanelError> {
    getrandom::fill(bytes).map_err(|error| PanelError::Random(error.to_string()))
}

/// True for a secret as a page makes it: 64 hexadecimal digits.
pub(super) fn is_secret(text: &str) -> bool {
    text.len() == 2 * SECRET_BYTES && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl Link {
    /// A link that nobody has opened.
    pub fn new() -> Result<Self, PanelError> {
        Ok(Self { token: new_id()?, secret_sha256: None })
    }

    /// True if `secret` is that of the browser that opened the link. Hashes are compared, so the time tells nothing of the secret.
    pub fn is_bound_to(&self, secret: &str) -> bool {
        self.secret_sha256.as_deref() == Some(sha256(secret.as_bytes()).as_str())
    }
}

/// Locks a panel for this program, until the file is dropped.
pub(super) fn lock(panel: &Path) -> Result<File, PanelError> {
    let path = panel.join(LOCK);
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(failed(&path, "open it"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(PanelError::InUse(panel.into())),
        Err(TryLockError::Error(source)) => Err(failed(&path, "lock it")(source).into()),
    }
}

/// Writes a value as JSON under another name, readable by its owner only, and renames it. When this returns, it is on the disk.
pub(super) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), PanelError> {
    let parent = path.parent().unwrap_or(Path::new("."));
    let part = path.with_extension("part");
    let write = || -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&part)?;
        file.write_all(serde_json::to_string_pretty(value)?.as_bytes())?;
        file.sync_all()?;
        fs::rename(&part, path)?;
        sync_folder(parent)
    };
    write().map_err(failed(path, "write it")).map_err(Into::into)
}

/// Reads a JSON file of a panel.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, PanelError> {
    let bytes = fs::read(path).map_err(failed(path, "read it"))?;
    serde_json::from_slice(&bytes).map_err(|error| PanelError::File { path: path.into(), reason: error.to_string() })
}

/// Reads the plan of a panel.
pub(super) fn read_plan(panel: &Path) -> Result<Plan, PanelError> {
    let path = panel.join(PANEL);
    if !path.is_file() {
        return Err(PanelError::NotAPanel(panel.into()));
    }
    let value: serde_json::Value = read_json(&path)?;
    match value.get("version").and_then(serde_json::Value::as_u64) {
        Some(found) if found > PANEL_VERSION => return Err(PanelError::Newer { path, found }),
        Some(_) => {}
        None => return Err(PanelError::File { path, reason: "no number 'version'".into() }),
    }
    serde_json::from_value(value).map_err(|error| PanelError::File { path, reason: error.to_string() })
}

/// Copies all files of a folder.
pub(super) fn copy_files(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        fs::copy(&path, to.join(path.file_name().unwrap_or_default()))?;
    }
    Ok(())
}

/// The folder of a listener's session, who is counted from 1.
pub(super) fn session_folder(panel: &Path, listener: usize) -> PathBuf {
    panel.join(format!("listener-{listener:02}"))
}
