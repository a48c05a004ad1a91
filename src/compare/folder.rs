//! The report's folder: it is written under a hidden name beside its target and renamed when it is complete.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The reason why a report's folder cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The folder is there already.
    #[error("{}: exists already; expected a new name, or --force to replace the report in it", .0.display())]
    Exists(PathBuf),
    /// The folder holds something else than a report, so it is not replaced.
    #[error("{}: holds no report of an earlier comparison, so it is not replaced; expected a new name", .0.display())]
    NotAReport(PathBuf),
    /// The path has no name for a folder.
    #[error("{}: no name for a folder", .0.display())]
    NoName(PathBuf),
    /// The file system refused.
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The action that failed.
        action: &'static str,
        /// The reason.
        source: io::Error,
    },
}

/// The file by which the folder of a report is recognised.
const MARK: &str = "report.json";

/// A folder that grows under a hidden name. If it is dropped before [`Self::finish`], it is removed.
#[derive(Debug)]
pub struct ReportFolder {
    target: PathBuf,
    part: Option<PathBuf>,
}

impl ReportFolder {
    /// Checks that a report may be written at `target`. [control thread: does I/O]
    ///
    /// # Errors
    /// [`FolderError::Exists`], [`FolderError::NotAReport`], [`FolderError::NoName`].
    pub fn check(target: &Path, force: bool) -> Result<(), FolderError> {
        if target.file_name().is_none() {
            return Err(FolderError::NoName(target.into()));
        }
        match target.symlink_metadata() {
            Err(_) => Ok(()),
            Ok(_) if !force => Err(FolderError::Exists(target.into())),
            Ok(_) if target.is_dir() && (target.join(MARK).is_file() || is_empty(target)) => Ok(()),
            Ok(_) => Err(FolderError::NotAReport(target.into())),
        }
    }

    /// Creates the hidden folder beside `target`, and the folders above it. [control thread: does I/O]
    ///
    /// # Errors
    /// Those of [`Self::check`], and [`FolderError::Io`].
    pub fn create(target: &Path, force: bool) -> Result<Self, FolderError> {
        Self::check(target, force)?;
        let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let failed = |path: &Path| {
            let path = path.to_path_buf();
            move |source| FolderError::Io { path, action: "make the folder", source }
        };
        fs::create_dir_all(parent).map_err(failed(parent))?;
        let part = parent.join(format!(".isotherm-{}-report.part", std::process::id()));
        fs::create_dir(&part).map_err(failed(&part))?;
        Ok(Self { target: target.into(), part: Some(part) })
    }

    /// Writes a file of the report. [control thread: does I/O]
    ///
    /// # Errors
    /// [`FolderError::Io`].
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), FolderError> {
        let Some(part) = &self.part else { return Ok(()) };
        let path = part.join(name);
        fs::write(&path, bytes).map_err(|source| FolderError::Io { path, action: "write", source })
    }

    /// Makes the folder appear under its name, in the place of an earlier report. [control thread: does I/O]
    ///
    /// # Errors
    /// [`FolderError::Io`]; then the earlier report is still there.
    pub fn finish(mut self) -> Result<(), FolderError> {
        let Some(part) = self.part.take() else { return Ok(()) };
        let old = part.with_extension("old");
        let had_old = self.target.symlink_metadata().is_ok();
        let failed = |source| FolderError::Io { path: self.target.clone(), action: "rename the report to it", source };
        if had_old {
            fs::rename(&self.target, &old).map_err(failed)?;
        }
        if let Err(source) = fs::rename(&part, &self.target) {
            if had_old {
                let _ = fs::rename(&old, &self.target);
            }
            let _ = fs::remove_dir_all(&part);
            return Err(failed(source));
        }
        let _ = fs::remove_dir_all(old);
        Ok(())
    }
}

impl Drop for ReportFolder {
    fn drop(&mut self) {
        if let Some(part) = &self.part {
            let _ = fs::remove_dir_all(part);
        }
    }
}

/// True if a folder has no entries.
fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_appears_whole_or_not_at_all() {
        let home = tempfile::tempdir().unwrap();
        let target = home.path().join("deep/report");
        let entries = || fs::read_dir(home.path().join("deep")).map_or(0, Iterator::count);
        let folder = ReportFolder::create(&target, false).unwrap();
        folder.write(MARK, b"1").unwrap();
        assert!(!target.exists());
        drop(folder);
        assert_eq!(entries(), 0);
        let folder = ReportFolder::create(&target, false).unwrap();
        folder.write(MARK, b"1").unwrap();
        folder.finish().unwrap();
        assert_eq!((fs::read(target.join(MARK)).unwrap(), entries()), (b"1".to_vec(), 1));
    }

    #[test]
    fn an_earlier_report_is_replaced_only_by_force_and_anything_else_never() {
        let home = tempfile::tempdir().unwrap();
        let target = home.path().join("report");
        fs::create_dir(&target).unwrap();
        fs::write(target.join(MARK), "old").unwrap();
        fs::write(target.join("old.png"), "old").unwrap();
        assert!(matches!(ReportFolder::create(&target, false), Err(FolderError::Exists(_))));
        let folder = ReportFolder::create(&target, true).unwrap();
        folder.write(MARK, b"new").unwrap();
        folder.finish().unwrap();
        assert_eq!((fs::read(target.join(MARK)).unwrap(), target.join("old.png").exists()), (b"new".to_vec(), false));
        let other = home.path().join("music");
        fs::create_dir(&other).unwrap();
        fs::write(other.join("song.wav"), "x").unwrap();
        assert!(matches!(ReportFolder::create(&other, true), Err(FolderError::NotAReport(_))));
        assert!(matches!(ReportFolder::check(&other.join("song.wav"), true), Err(FolderError::NotAReport(_))));
        assert!(matches!(ReportFolder::check(Path::new("/"), true), Err(FolderError::NoName(_))));
    }
}
