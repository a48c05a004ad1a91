//! Gets ONNX Runtime's shared library, which runs `.onnx` models, from its Python package.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::run;
use crate::{Outcome, shown};

const PACKAGE: &str = "onnxruntime==1.31.1";
/// The Python version whose package is downloaded. The library is the same in all of them, whatever Python is installed.
const FOR_PYTHON: &str = "3.12";

/// The file name under which the plug-in looks for the library.
pub const LIBRARY: &str = if cfg!(windows) {
    "onnxruntime.dll"
} else if cfg!(target_os = "macos") {
    "libonnxruntime.dylib"
} else {
    "libonnxruntime.so.1"
};
/// The folder beside the plug-in in which it looks for the library.
pub const FOLDER: &str = "Isotherm";
/// Files that the license requires to be shipped: their names in the package and in the bundle.
const LICENSES: [(&str, &str); 2] =
    [("LICENSE", "onnxruntime-LICENSE.txt"), ("ThirdPartyNotices.txt", "onnxruntime-ThirdPartyNotices.txt")];

/// Returns the library's path; downloads it with pip if it is missing.
///
/// # Errors
/// If there is no Python with `venv`, or no network.
pub fn get(target: &Path) -> Outcome<PathBuf> {
    let folder = target.join("onnxruntime");
    let (library, made_with) = (folder.join(LIBRARY), folder.join("made-with"));
    if library.exists() && fs::read_to_string(&made_with).is_ok_and(|found| found == PACKAGE) {
        return Ok(library);
    }
    println!("getting {PACKAGE} into {}", shown(&folder));
    let work = folder.join("work");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&work)?;
    let system = if cfg!(windows) { "python" } else { "python3" };
    run(Command::new(system).args(["-m", "venv"]).arg(work.join("venv")))?;
    let python = work.join("venv").join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    let wheels = work.join("wheels");
    let pip = ["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"];
    run(Command::new(&python).args(pip).args(["--python-version", FOR_PYTHON, PACKAGE, "--dest"]).arg(&wheels))?;
    let wheel = fs::read_dir(&wheels)?.next().ok_or("pip brought no package")??.path();
    run(Command::new(&python).args(["-m", "zipfile", "--extract"]).arg(wheel).arg(&work))?;
    let package = work.join("onnxruntime");
    fs::copy(find(&package.join("capi"))?, &library)?;
    for (theirs, ours) in LICENSES {
        fs::copy(package.join(theirs), folder.join(ours))?;
    }
    fs::remove_dir_all(&work)?;
    fs::write(made_with, PACKAGE)?;
    Ok(library)
}

/// Returns the library in the unpacked package. Its name holds its version: `libonnxruntime.so.1.31.1`.
fn find(folder: &Path) -> Outcome<PathBuf> {
    let stem = format!("{}onnxruntime.", std::env::consts::DLL_PREFIX);
    let mut files = fs::read_dir(folder)?.flatten().map(|entry| entry.path());
    let found = files.find(|file| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(&stem) && name.contains(std::env::consts::DLL_SUFFIX)
    });
    found.ok_or_else(|| format!("{PACKAGE} has no library named {stem}*").into())
}

/// Copies the library and its licenses into [`FOLDER`] beside a plug-in's library. Returns that folder.
///
/// # Errors
/// If something cannot be copied.
pub fn copy_beside(library: &Path, beside: &Path) -> Outcome<PathBuf> {
    let (from, to) = (library.parent().ok_or("the library is in no folder")?, beside.join(FOLDER));
    fs::create_dir_all(&to)?;
    for name in LICENSES.map(|(_, name)| name).into_iter().chain([LIBRARY]) {
        fs::copy(from.join(name), to.join(name)).map_err(|e| format!("{name}: {e}"))?;
    }
    Ok(to)
}
