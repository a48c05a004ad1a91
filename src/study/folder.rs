//! The folder of a study: its plan, the results of its cells, the twins, and the table.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::cell::CellResult;
use super::plan::{Cell, PLAN_VERSION, Plan};
use super::write_whole;

/// The file of the plan, by which the folder of a study is recognised.
const PLAN: &str = "plan.json";
/// The folder of the cells' results.
const CELLS: &str = "cells";
/// The folder of the twins.
const TWINS: &str = "twins";
/// The file whose lock keeps a second process from the study.
const LOCK: &str = ".lock";
/// Bytes of the hash that tells the twins of different trainings apart.
const HASH_BYTES: usize = 4;

/// The folder of a study, with its plan.
#[derive(Debug)]
pub struct StudyFolder {
    /// The folder; absolute.
    pub path: PathBuf,
    /// The plan.
    pub plan: Plan,
    /// The lock of the process that made the study's folder.
    _lock: Option<File>,
}

/// The reason why a study's folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StudyFolderError {
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The folder holds something else than a study.
    #[error("{}: holds no study; expected a new or empty folder, or that of a study", .0.display())]
    NotAStudy(PathBuf),
    /// The folder has no plan.
    #[error("{}: no plan.json in it; expected the folder of a study, as 'isotherm study plan' makes it", .0.display())]
    NoPlan(PathBuf),
    /// The plan cannot be read.
    #[error("{}: no plan of a study: {reason}", path.display())]
    BadPlan {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The plan is of another version.
    #[error("{}: a plan of version {found}; expected {PLAN_VERSION}", path.display())]
    OtherVersion {
        /// The file.
        path: PathBuf,
        /// The version.
        found: u64,
    },
    /// Another process makes or runs the study.
    #[error("{}: another process runs this study; expected it to end first", .0.display())]
    Busy(PathBuf),
    /// The plan has no such cell.
    #[error("no cell '{found}' in {}; expected one of {count} cells, which 'isotherm study plan' lists", path.display())]
    NoCell {
        /// The name.
        found: String,
        /// The folder.
        path: PathBuf,
        /// Number of cells.
        count: usize,
    },
}

/// An error of the file system at a path.
fn failed(path: &Path) -> impl FnOnce(io::Error) -> StudyFolderError {
    let path = path.to_path_buf();
    |source| StudyFolderError::Io { path, source }
}

impl StudyFolder {
    /// Makes the folder for a plan, or takes one that has a study: results that are there count for the cells that are the same in
    /// both plans. No other process can make or run the study as long as the result lives. After a failure the folder is as it was.
    /// [control thread: does I/O]
    ///
    /// # Errors
    /// [`StudyFolderError::Io`], [`StudyFolderError::NotAStudy`], [`StudyFolderError::Busy`].
    pub fn create(path: &Path, plan: Plan) -> Result<Self, StudyFolderError> {
        let is_study = path.join(PLAN).is_file();
        if path.exists() && !is_study && !(path.is_dir() && is_begun(path).map_err(failed(path))?) {
            return Err(StudyFolderError::NotAStudy(path.into()));
        }
        fs::create_dir_all(path.join(CELLS)).map_err(failed(path))?;
        Self::write_plan(path, plan).inspect_err(|error| {
            if !is_study && !matches!(error, StudyFolderError::Busy(_)) {
                // A folder that holds something else stays.
                let _ = fs::remove_file(path.join(LOCK));
                let _ = fs::remove_dir(path.join(CELLS)).and_then(|()| fs::remove_dir(path));
            }
        })
    }

    /// Locks the folder and writes the plan into it.
    fn write_plan(path: &Path, plan: Plan) -> Result<Self, StudyFolderError> {
        let lock = lock(path)?;
        let file = path.join(PLAN);
        let text = serde_json::to_string_pretty(&plan).map_err(io::Error::from).map_err(failed(&file))?;
        write_whole(&file, text.as_bytes()).map_err(failed(&file))?;
        Ok(Self { path: path.canonicalize().map_err(failed(path))?, plan, _lock: Some(lock) })
    }

    /// Opens the folder of a study. [control thread: does I/O]
    ///
    /// # Errors
    /// Every [`StudyFolderError`] but [`StudyFolderError::NotAStudy`], [`StudyFolderError::Busy`] and
    /// [`StudyFolderError::NoCell`].
    pub fn open(path: &Path) -> Result<Self, StudyFolderError> {
        let file = path.join(PLAN);
        if !file.is_file() {
            return Err(StudyFolderError::NoPlan(path.into()));
        }
        let text = fs::read_to_string(&file).map_err(failed(&file))?;
        let bad = |error: serde_json::Error| StudyFolderError::BadPlan { path: file.clone(), reason: error.to_string() };
        let value: serde_json::Value = serde_json::from_str(&text).map_err(bad)?;
        match value["version"].as_u64() {
            Some(version) if version == u64::from(PLAN_VERSION) => {}
            Some(found) => return Err(StudyFolderError::OtherVersion { path: file, found }),
            None => return Err(StudyFolderError::BadPlan { path: file, reason: "no version".into() }),
        }
        let plan = serde_json::from_value(value).map_err(bad)?;
        Ok(Self { path: path.canonicalize().map_err(failed(path))?, plan, _lock: None })
    }

    /// The cell of a name. [any thread]
    ///
    /// # Errors
    /// [`StudyFolderError::NoCell`].
    pub fn cell(&self, name: &str) -> Result<&Cell, StudyFolderError> {
        let none = || StudyFolderError::NoCell { found: name.into(), path: self.path.clone(), count: self.plan.cells.len() };
        self.plan.cell(name).ok_or_else(none)
    }

    /// The file of a cell's result.
    fn result_file(&self, cell: &Cell) -> PathBuf {
        self.path.join(CELLS).join(format!("{}.json", cell.name))
    }

    /// The result of a cell; `None` if there is none that can be read, as of a cell that was never run. [control thread]
    #[must_use]
    pub fn result(&self, cell: &Cell) -> Option<CellResult> {
        let text = fs::read_to_string(self.result_file(cell)).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// True if a cell has its rows. [control thread]
    #[must_use]
    pub fn is_done(&self, cell: &Cell) -> bool {
        self.result(cell).is_some_and(|result| result.cell == *cell && result.error.is_none())
    }

    /// Removes the result of a cell that is not done, so that the next one is not taken for it. [control thread]
    ///
    /// # Errors
    /// [`StudyFolderError::Io`].
    pub fn forget(&self, cell: &Cell) -> Result<(), StudyFolderError> {
        let path = self.result_file(cell);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&path)(error)),
            _ => Ok(()),
        }
    }

    /// Writes a cell's result, whole or not at all. [control thread]
    ///
    /// # Errors
    /// [`StudyFolderError::Io`].
    pub fn keep(&self, result: &CellResult) -> Result<(), StudyFolderError> {
        let path = self.result_file(&result.cell);
        let text = serde_json::to_string_pretty(result).map_err(io::Error::from).map_err(failed(&path))?;
        write_whole(&path, text.as_bytes()).map_err(failed(&path))
    }

    /// Writes a file of the table, whole or not at all. [control thread]
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StudyFolderError> {
        let path = self.path.join(name);
        write_whole(&path, bytes).map_err(failed(&path))
    }

    /// The folder of a cell's twin. Cells that train otherwise, as after a change of the plan, have another one. [any thread]
    #[must_use]
    pub fn twin_folder(&self, cell: &Cell) -> PathBuf {
        let text = serde_json::to_string(&cell.work).unwrap_or_default();
        let hash = Sha256::digest(format!("{text} {:?}", cell.seed));
        let hash: String = hash[..HASH_BYTES].iter().map(|byte| format!("{byte:02x}")).collect();
        self.path.join(TWINS).join(format!("{}-{hash}", cell.name))
    }

    /// Waits until no other process runs a cell, and keeps others waiting as long as the result lives. [control thread]
    ///
    /// # Errors
    /// [`StudyFolderError::Io`].
    pub fn lock_cell(&self, cell: &Cell) -> Result<File, StudyFolderError> {
        let path = self.path.join(CELLS).join(format!(".{}.lock", cell.name));
        let file = File::create(&path).map_err(failed(&path))?;
        file.lock().map_err(failed(&path))?;
        Ok(file)
    }
}

/// True if a folder holds nothing, or only what a process leaves that ended before it wrote the plan.
fn is_begun(path: &Path) -> io::Result<bool> {
    for entry in path.read_dir()? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name != CELLS && name != LOCK && !name.starts_with(&format!(".{PLAN}-")) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Keeps other processes from making or running a study as long as the result lives.
fn lock(path: &Path) -> Result<File, StudyFolderError> {
    let place = path.join(LOCK);
    let file = File::create(&place).map_err(failed(&place))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(StudyFolderError::Busy(path.into())),
        Err(fs::TryLockError::Error(source)) => Err(failed(&place)(source)),
    }
}
