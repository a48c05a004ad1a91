//! Files that a command writes besides its result, such as tables and plots: checked before the work, written after it.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::Failure;

/// Checks that a file can be written at `path` later: that its folder takes files, and that nothing is there yet, or a regular
/// file and `force` is set. Leaves nothing.
pub fn check(path: &Path, force: bool) -> Result<(), Failure> {
    let wrong = |text: &str| Err(Failure::Failed(format!("{}: {text}", path.display())));
    match path.metadata() {
        Ok(found) if found.is_dir() => return wrong("a folder; expected the name of a file"),
        Ok(_) if !force => return wrong("exists already; expected a new name, or --force to overwrite it"),
        Ok(found) if !found.is_file() => return wrong("no regular file, so it is not replaced; expected the name of a file"),
        _ => {}
    }
    let partial = partial_name(path)?;
    let tried = OpenOptions::new().write(true).create_new(true).open(&partial).and_then(|_| fs::remove_file(&partial));
    tried.map_err(|error| failure(path, &error))
}

/// Writes a whole file under a hidden name and renames it, so that it is complete if it is there. After a failure nothing is
/// left.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    write_checked(path, bytes, |_| Ok(()))
}

/// Writes a whole file as [`write`], and renames it only if `check`, which gets its hidden name, finds nothing wrong with it.
pub fn write_checked(path: &Path, bytes: &[u8], check: impl FnOnce(&Path) -> Result<(), Failure>) -> Result<(), Failure> {
    let partial = partial_name(path)?;
    let written = fs::write(&partial, bytes).map_err(|error| failure(path, &error));
    let renamed =
        written.and_then(|()| check(&partial)).and_then(|()| fs::rename(&partial, path).map_err(|error| failure(path, &error)));
    if renamed.is_err() {
        // It may not be there.
        let _ = fs::remove_file(&partial);
    }
    renamed
}

/// True if both paths lead to the same file, also to one that is not there yet.
pub fn is_same(a: &Path, b: &Path) -> bool {
    let place = |path: &Path| {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        path.canonicalize().or_else(|_| Ok::<_, io::Error>(parent.canonicalize()?.join(path.file_name().unwrap_or_default())))
    };
    a == b || place(a).is_ok_and(|a| place(b).is_ok_and(|b| a == b))
}

/// The hidden name beside `path` under which the file grows.
fn partial_name(path: &Path) -> Result<PathBuf, Failure> {
    let Some(name) = path.file_name() else {
        return Err(Failure::Failed(format!("{}: no name for a file", path.display())));
    };
    let mut partial = std::ffi::OsString::from(".");
    partial.push(name);
    partial.push(format!("-{}.part", std::process::id()));
    Ok(path.with_file_name(partial))
}

/// The failure of the file system.
fn failure(path: &Path, error: &io::Error) -> Failure {
    Failure::Failed(format!("{}: cannot be written: {error}", path.display()))
}
