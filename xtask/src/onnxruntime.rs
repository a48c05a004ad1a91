//! ONNX Runtime's shared library, from its Python package: what runs `.onnx` models.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::run;
use crate::{Outcome, shown};

const PACKAGE: &str = "onnxruntime==1.31.1";
/// The library in all these packages is the same; the one for this Python is taken, whatever runs here.
const FOR_PYTHON: &str = "3.12";

/// What the plug-in looks for.
pub const LIBRARY: &str = if cfg!(windows) {
    "onnxruntime.dll"
} else if cfg!(target_os = "macos") {
    "libonnxruntime.dylib"
} else {
    "libonnxruntime.so.1"
};
/// The folder beside a plug-in in which it looks.
pub const FOLDER: &str = "Isotherm";
/// What its license wants to go along, in the package and here.
const LICENSES: [(&str, &str); 2] =
    [("LICENSE", "onnxruntime-LICENSE.txt"), ("ThirdPartyNotices.txt", "onnxruntime-ThirdPartyNotices.txt")];

/// Returns the library; gets it with pip if it is not there.
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

/// The library in the package has its version in its name: `libonnxruntime.so.1.31.1`, `libonnxruntime.1.31.1.dylib`.
fn find(folder: &Path) -> Outcome<PathBuf> {
    let stem = format!("{}onnxruntime.", std::env::consts::DLL_PREFIX);
    let mut files = fs::read_dir(folder)?.flatten().map(|entry| entry.path());
    let found = files.find(|file| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(&stem) && name.contains(std::env::consts::DLL_SUFFIX)
    });
    found.ok_or_else(|| format!("{PACKAGE} has no library named {stem}*").into())
}

/// Puts the library and its licenses into [`FOLDER`] beside a plug-in's own library. Returns that folder.
///
/// # Errors
/// If something cannot be copied.
pub fn carry(library: &Path, beside: &Path) -> Outcome<PathBuf> {
    let (from, to) = (library.parent().ok_or("the library is in no folder")?, beside.join(FOLDER));
    fs::create_dir_all(&to)?;
    for name in LICENSES.map(|(_, name)| name).into_iter().chain([LIBRARY]) {
        fs::copy(from.join(name), to.join(name)).map_err(|e| format!("{name}: {e}"))?;
    }
    Ok(to)
}
