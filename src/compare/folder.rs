//! The report's folder: it is written under a hidden name beside its target and renamed when it is complete.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::plot::ALONE_PLOTS;
use super::report::SCHEMA;

/// The reason why a report's folder cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The folder is there already.
    #[error("{}: exists already; expected a new name, or --force to replace the report in it", .0.display())]
    Exists(PathBuf),
    /// The folder holds something else than a report, so it is not replaced.
    #[error("{}: holds no report of this kind, so it is not replaced; expected a new name", .0.display())]
    NotAReport(PathBuf),
    /// The folder holds a report and something that no report has, which would be lost.
    #[error("{}: holds {found}, which is no part of a report, so it is not replaced; expected a new name", path.display())]
    HoldsMore {
        /// The folder.
        path: PathBuf,
        /// Name of the entry.
        found: String,
    },
    /// The path is a link, which is not followed.
    #[error("{}: a link, so it is not replaced; expected a new name, or the folder to which it leads", .0.display())]
    Link(PathBuf),
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

/// A kind of report, by which its folder is known as one that may be replaced.
#[derive(Clone, Copy, Debug)]
pub struct ReportKind {
    /// Name of the JSON file that each folder of the kind has.
    pub mark: &'static str,
    /// The `schema` in that file.
    pub schema: &'static str,
    /// True if a report of the kind may have a file of this name.
    pub is_file: fn(&str) -> bool,
}

/// The report of a comparison.
pub const COMPARISON: ReportKind = ReportKind { mark: MARK, schema: SCHEMA, is_file: is_of_report };

/// The file by which the folder of a comparison is recognised.
const MARK: &str = "report.json";
/// The other files of a report, but for the pictures of plots.
const PAGE: &str = "index.html";
const TABLE: &str = "measures.csv";
/// Names of the pictures: of plots that are there once, and of those with a number.
const PLOT: &str = "cost";
const NUMBERED_PLOTS: [&str; 2] = ["octaves-", "mask-"];
/// Number of the hidden folders that this process has made, so that each has a name of its own.
static FOLDERS: AtomicUsize = AtomicUsize::new(0);

/// A folder that grows under a hidden name. If it is dropped before [`Self::finish`], it is removed.
#[derive(Debug)]
pub struct ReportFolder {
    target: PathBuf,
    part: Option<PathBuf>,
}

impl ReportFolder {
    /// Checks that a report may and can be written at `target`: a folder is made beside it, or in the nearest folder above that is
    /// there, and removed. [control thread: does I/O]
    ///
    /// # Errors
    /// Every [`FolderError`].
    pub fn check(kind: &ReportKind, target: &Path, force: bool) -> Result<(), FolderError> {
        Self::check_target(kind, target, force)?;
        // The last one of a relative path is empty, which is the working folder.
        let nearest = parent(target).ancestors().find(|above| above.exists()).unwrap_or(Path::new(""));
        let probe = nearest.join(hidden_name(target));
        let failed = |source| FolderError::Io { path: target.into(), action: "be written", source };
        fs::create_dir(&probe).and_then(|()| fs::remove_dir(&probe)).map_err(failed)
    }

    /// Checks that what is at `target` may be replaced.
    fn check_target(kind: &ReportKind, target: &Path, force: bool) -> Result<(), FolderError> {
        if target.file_name().is_none() {
            return Err(FolderError::NoName(target.into()));
        }
        match target.symlink_metadata() {
            Err(_) => Ok(()),
            Ok(_) if !force => Err(FolderError::Exists(target.into())),
            Ok(metadata) if metadata.is_dir() => check_replaceable(kind, target),
            Ok(metadata) if metadata.is_symlink() => Err(FolderError::Link(target.into())),
            Ok(_) => Err(FolderError::NotAReport(target.into())),
        }
    }

    /// Creates the hidden folder beside `target`, and the folders above it. [control thread: does I/O]
    ///
    /// # Errors
    /// Every [`FolderError`].
    pub fn create(kind: &ReportKind, target: &Path, force: bool) -> Result<Self, FolderError> {
        Self::check_target(kind, target, force)?;
        let parent = parent(target);
        let failed = |path: &Path| {
            let path = path.to_path_buf();
            move |source| FolderError::Io { path, action: "make the folder", source }
        };
        fs::create_dir_all(parent).map_err(failed(parent))?;
        let part = parent.join(hidden_name(target));
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
        // Until the end the hidden folder belongs to `self`, which removes it after a failure.
        let Some(part) = self.part.clone() else { return Ok(()) };
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
            return Err(failed(source));
        }
        self.part = None;
        if had_old {
            let _ = fs::remove_dir_all(old);
        }
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

/// The folder in which `target` is.
fn parent(target: &Path) -> &Path {
    target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A hidden name for the folder `target`, another one at each call.
fn hidden_name(target: &Path) -> String {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
    format!(".isotherm-{name}-{}-{number}.part", std::process::id())
}

/// Checks that a folder is empty, or a report of a kind and nothing else.
fn check_replaceable(kind: &ReportKind, folder: &Path) -> Result<(), FolderError> {
    let failed = |source| FolderError::Io { path: folder.into(), action: "list", source };
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let is_file = entry.file_type().map_err(failed)?.is_file();
        names.push((entry.file_name().to_string_lossy().into_owned(), is_file));
    }
    if names.is_empty() {
        return Ok(());
    }
    if !is_mark(kind, folder) {
        return Err(FolderError::NotAReport(folder.into()));
    }
    match names.into_iter().find(|(name, is_file)| !is_file || !(kind.is_file)(name)) {
        None => Ok(()),
        Some((found, _)) => Err(FolderError::HoldsMore { path: folder.into(), found }),
    }
}

/// True if a folder has the file that marks a report of a kind.
fn is_mark(kind: &ReportKind, folder: &Path) -> bool {
    let json = fs::read(folder.join(kind.mark)).ok().and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok());
    json.is_some_and(|json| json["schema"] == kind.schema)
}

/// True if a report has a file of this name.
fn is_of_report(name: &str) -> bool {
    let Some(plot) = name.strip_suffix(".png") else { return [MARK, PAGE, TABLE].contains(&name) };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_numbered = NUMBERED_PLOTS.iter().any(|start| plot.strip_prefix(start).is_some_and(is_number));
    plot == PLOT || ALONE_PLOTS.contains(&plot) || is_numbered
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The least that is a report.
    const OLD: &str = r#"{ "schema": "isotherm-comparison" }"#;

    #[test]
    fn a_report_appears_whole_or_not_at_all() {
        let home = tempfile::tempdir().unwrap();
        let target = home.path().join("deep/report");
        let entries = || fs::read_dir(home.path().join("deep")).map_or(0, Iterator::count);
        let folder = ReportFolder::create(&COMPARISON, &target, false).unwrap();
        folder.write(MARK, b"1").unwrap();
        assert!(!target.exists());
        drop(folder);
        assert_eq!(entries(), 0);
        let folder = ReportFolder::create(&COMPARISON, &target, false).unwrap();
        folder.write(MARK, b"1").unwrap();
        folder.finish().unwrap();
        assert_eq!((fs::read(target.join(MARK)).unwrap(), entries()), (b"1".to_vec(), 1));
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_told_before_and_a_check_leaves_nothing() {
        let home = tempfile::tempdir().unwrap();
        let entries = || fs::read_dir(home.path()).unwrap().count();
        assert!(ReportFolder::check(&COMPARISON, &home.path().join("deep/er/report"), false).is_ok());
        assert_eq!(entries(), 0);
        fs::write(home.path().join("file"), "x").unwrap();
        for inside in ["file/report", "file/deep/report"] {
            assert!(
                matches!(ReportFolder::check(&COMPARISON, &home.path().join(inside), false), Err(FolderError::Io { .. })),
                "{inside}"
            );
        }
        assert_eq!(entries(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_not_replaced_and_called_a_link() {
        let home = tempfile::tempdir().unwrap();
        let (target, link) = (home.path().join("report"), home.path().join("link"));
        fs::create_dir(&target).unwrap();
        fs::write(target.join(MARK), OLD).unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(matches!(ReportFolder::check(&COMPARISON, &link, true), Err(FolderError::Link(_))));
        assert!(ReportFolder::check(&COMPARISON, &target, true).is_ok());
    }

    #[test]
    fn an_earlier_report_is_replaced_only_by_force_and_anything_else_never() {
        let home = tempfile::tempdir().unwrap();
        let target = home.path().join("report");
        fs::create_dir(&target).unwrap();
        fs::write(target.join(MARK), OLD).unwrap();
        fs::write(target.join("mask-2.png"), "old").unwrap();
        assert!(matches!(ReportFolder::create(&COMPARISON, &target, false), Err(FolderError::Exists(_))));
        let folder = ReportFolder::create(&COMPARISON, &target, true).unwrap();
        folder.write(MARK, b"new").unwrap();
        folder.finish().unwrap();
        assert_eq!((fs::read(target.join(MARK)).unwrap(), target.join("mask-2.png").exists()), (b"new".to_vec(), false));
        let other = home.path().join("music");
        fs::create_dir(&other).unwrap();
        fs::write(other.join("song.wav"), "x").unwrap();
        assert!(matches!(ReportFolder::create(&COMPARISON, &other, true), Err(FolderError::NotAReport(_))));
        assert!(matches!(ReportFolder::check(&COMPARISON, &other.join("song.wav"), true), Err(FolderError::NotAReport(_))));
        assert!(matches!(ReportFolder::check(&COMPARISON, Path::new("/"), true), Err(FolderError::NoName(_))));
    }

    #[test]
    fn a_folder_with_a_report_of_something_else_or_with_more_than_a_report_is_not_replaced() {
        let home = tempfile::tempdir().unwrap();
        let check = |text: &str, more: Option<&str>| {
            let folder = tempfile::tempdir_in(home.path()).unwrap();
            fs::write(folder.path().join(MARK), text).unwrap();
            if let Some(name) = more {
                fs::write(folder.path().join(name), "x").unwrap();
            }
            ReportFolder::check(&COMPARISON, folder.path(), true)
        };
        assert!(check(OLD, None).is_ok());
        for name in [PAGE, TABLE, "cost.png", "magnitude.png", "octaves-0.png"] {
            assert!(check(OLD, Some(name)).is_ok(), "{name}");
        }
        for text in ["", "no JSON", "[]", r#"{ "schema": "other" }"#] {
            assert!(matches!(check(text, None), Err(FolderError::NotAReport(_))), "{text}");
        }
        for name in ["song.wav", "photo.png", "mask-x.png", "mask-.png", "index.html.bak"] {
            assert!(matches!(check(OLD, Some(name)), Err(FolderError::HoldsMore { found, .. }) if found == name), "{name}");
        }
        let target = home.path().join("report");
        fs::create_dir_all(target.join("index.html")).unwrap();
        fs::write(target.join(MARK), OLD).unwrap();
        assert!(
            matches!(ReportFolder::check(&COMPARISON, &target, true), Err(FolderError::HoldsMore { .. })),
            "a folder is no file"
        );
    }

    #[test]
    fn two_reports_beside_each_other_do_not_meet_and_a_failure_leaves_no_hidden_folder() {
        let home = tempfile::tempdir().unwrap();
        let target = home.path().join("report");
        let one = ReportFolder::create(&COMPARISON, &target, false).unwrap();
        let other = ReportFolder::create(&COMPARISON, &home.path().join("other"), false).unwrap();
        other.write(MARK, OLD.as_bytes()).unwrap();
        other.finish().unwrap();
        one.write(MARK, OLD.as_bytes()).unwrap();
        one.finish().unwrap();
        // The place to which the earlier report is moved is taken, so it cannot be moved.
        let folder = ReportFolder::create(&COMPARISON, &target, true).unwrap();
        let old = folder.part.clone().unwrap().with_extension("old");
        fs::create_dir_all(old.join("taken")).unwrap();
        assert!(matches!(folder.finish(), Err(FolderError::Io { .. })));
        fs::remove_dir_all(old).unwrap();
        let mut names: Vec<_> = fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["other", "report"]);
    }
}
