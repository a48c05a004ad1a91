//! Builds the wheel of the Python package, and lays the package out for its tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use crate::process::{output, run};
use crate::python::environment;
use crate::{Outcome, only_flag, root, shown};

/// The program that builds wheels, in the version that is tested.
const MATURIN: [&str; 1] = ["maturin==1.16.0"];

/// The folder of finished wheels, relative to the target folder.
const FOLDER: &str = "wheels";

/// The packages that a wheel and the staged folder consist of, relative to `python`.
const PACKAGES: [&str; 2] = ["isotherm", "audio_writer"];

/// The stem of the native library's file in the package `isotherm`; its ending names the stable interface of CPython.
const MODULE: &str = if cfg!(windows) { "_native.pyd" } else { "_native.abi3.so" };

/// Files of a package that users get. Everything else in the folder (caches, libraries of an earlier build) stays behind.
const ENDINGS: [&str; 3] = ["py", "pyi", "typed"];

pub fn task(options: &[String]) -> Outcome {
    let is_dev = only_flag("wheel", options, "--dev")?;
    let wheel = wheel(is_dev, &crate::process::target_dir()?)?;
    let bytes = fs::metadata(&wheel).map_err(|e| format!("{}: {e}", shown(&wheel)))?.len();
    println!("{} ({:.1} MB)", shown(&wheel), bytes as f64 / 1e6);
    println!("Python 3.11 or later installs it without Rust: pip install {}", shown(&wheel));
    Ok(())
}

/// Builds a wheel for Python 3.11 and later, and returns its path. A wheel for use holds no path of this machine.
///
/// # Errors
/// If maturin cannot be installed, or the wheel does not build.
pub fn wheel(is_dev: bool, target: &Path) -> Outcome<PathBuf> {
    let python = environment(target, "venv-maturin", &MATURIN)?;
    let folder = target.join(FOLDER);
    let mut command = Command::new(&python);
    command.args(["-m", "maturin", "build", "--out"]).arg(&folder).current_dir(root());
    crate::process::without_cargo_variables(&mut command);
    if !is_dev {
        command.args(["--release", "--strip"]).env("CARGO_ENCODED_RUSTFLAGS", flags()?);
    }
    let begin = SystemTime::now();
    run(&mut command)?;
    let wheel = newest(&folder, begin)?;
    if !is_dev {
        let unpacked = target.join("wheel-unpacked");
        remove(&unpacked)?;
        run(Command::new(&python).args(["-m", "zipfile", "--extract"]).arg(&wheel).arg(&unpacked))?;
        check_paths(&unpacked, &[root(), &cargo_home()?])?;
        remove(&unpacked)?;
    }
    Ok(wheel)
}

/// Returns an error if a file in the folder names one of these paths of this machine.
fn check_paths(folder: &Path, paths: &[&Path]) -> Outcome {
    for entry in fs::read_dir(folder).map_err(|e| format!("{}: {e}", shown(folder)))? {
        let file = entry?.path();
        if file.is_dir() {
            check_paths(&file, paths)?;
            continue;
        }
        let bytes = fs::read(&file).map_err(|e| format!("{}: {e}", shown(&file)))?;
        let names = |path: &&&Path| {
            let path = path.as_os_str().as_encoded_bytes();
            bytes.windows(path.len()).any(|window| window == path)
        };
        if let Some(path) = paths.iter().find(names) {
            return Err(format!("{} in the wheel names {}", shown(&file), path.display()).into());
        }
    }
    Ok(())
}

/// Removes a folder if it is there.
fn remove(folder: &Path) -> Outcome {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(format!("{}: {e}", shown(folder)).into()),
        _ => Ok(()),
    }
}

/// Returns cargo's folder of this user.
fn cargo_home() -> Outcome<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    Ok(home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo"))).ok_or("this user has no home folder")?)
}

/// Returns the compiler's flags of this user, and those that shorten the paths of sources in messages.
fn flags() -> Outcome<String> {
    let mut flags: Vec<String> = match (std::env::var("CARGO_ENCODED_RUSTFLAGS"), std::env::var("RUSTFLAGS")) {
        (Ok(encoded), _) => encoded.split('\x1f').map(str::to_owned).collect(),
        (_, Ok(plain)) => plain.split_whitespace().map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    flags.retain(|flag| !flag.is_empty());
    for (path, name) in [(cargo_home()?.join("registry").join("src"), "registry"), (root().to_owned(), "isotherm")] {
        flags.push(format!("--remap-path-prefix={}={name}", path.display()));
    }
    Ok(flags.join("\x1f"))
}

/// Returns the wheel that was written last, after `begin`.
fn newest(folder: &Path, begin: SystemTime) -> Outcome<PathBuf> {
    let entries = fs::read_dir(folder).map_err(|e| format!("{}: {e}", shown(folder)))?;
    let wheels = entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "whl"));
    let dated = wheels.filter_map(|path| Some((fs::metadata(&path).ok()?.modified().ok()?, path)));
    // File systems round times.
    let begin = begin - std::time::Duration::from_secs(2);
    let newest = dated.filter(|(time, _)| *time >= begin).max();
    Ok(newest.ok_or_else(|| format!("{}: no wheel was written", shown(folder)))?.1)
}

/// Lays the package out in `folder` as a wheel installs it, with this native library. The folder is made anew.
///
/// # Errors
/// If a file cannot be read or written.
pub fn stage(library: &Path, folder: &Path) -> Outcome {
    remove(folder)?;
    for package in PACKAGES {
        copy_package(&root().join("python").join(package), &folder.join(package))?;
    }
    let module = folder.join(PACKAGES[0]).join(MODULE);
    fs::copy(library, &module).map_err(|e| format!("{}: {e}", shown(&module)))?;
    Ok(())
}

/// Copies the files of a package that users get, and its folders.
fn copy_package(from: &Path, to: &Path) -> Outcome {
    let error = |e: std::io::Error| format!("{}: {e}", shown(from));
    fs::create_dir_all(to).map_err(|e| format!("{}: {e}", shown(to)))?;
    for entry in fs::read_dir(from).map_err(error)? {
        let path = entry.map_err(error)?.path();
        let Some(name) = path.file_name() else { continue };
        if path.is_dir() && name != "__pycache__" {
            copy_package(&path, &to.join(name))?;
        } else if path.extension().is_some_and(|found| ENDINGS.iter().any(|ending| found == *ending)) {
            fs::copy(&path, to.join(name)).map_err(error)?;
        }
    }
    Ok(())
}

/// Installs a wheel into a fresh environment without Rust, and runs it there.
///
/// # Errors
/// If it cannot be installed, or does not run.
pub fn try_out(wheel: &Path, target: &Path) -> Outcome {
    let folder = target.join("venv-wheel");
    let python = crate::python::fresh(&folder)?;
    let path = std::env::join_paths([python.parent().ok_or("an environment has no folder")?])?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"];
    run(Command::new(&python).args(pip).arg(wheel).env("PATH", &path))?;
    let script = "import isotherm, audio_writer; print(isotherm.__version__, audio_writer.backend)";
    let said = output(Command::new(&python).args(["-I", "-c", script]).env("PATH", &path).current_dir(&folder))?;
    println!("a fresh environment without Rust: isotherm {}", said.trim());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_get_the_files_of_a_package_and_no_caches() {
        let home = std::env::temp_dir().join(format!("isotherm-package-{}", std::process::id()));
        let (from, to) = (home.join("from"), home.join("to"));
        fs::create_dir_all(from.join("__pycache__")).unwrap();
        fs::create_dir_all(from.join("inner")).unwrap();
        for name in ["a.py", "a.pyi", "py.typed", "old.abi3.so", "__pycache__/a.pyc", "inner/b.py"] {
            fs::write(from.join(name), name).unwrap();
        }
        copy_package(&from, &to).unwrap();
        let exists = |name: &str| to.join(name).exists();
        assert!(["a.py", "a.pyi", "py.typed", "inner/b.py"].into_iter().all(exists));
        assert!(!["old.abi3.so", "__pycache__", "a.pyc"].into_iter().any(exists));
        fs::remove_dir_all(home).unwrap();
    }

    #[test]
    fn a_wheel_of_an_earlier_build_is_not_taken() {
        let folder = std::env::temp_dir().join(format!("isotherm-wheels-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("old.whl"), "").unwrap();
        fs::write(folder.join("note.txt"), "").unwrap();
        let later = SystemTime::now() + std::time::Duration::from_secs(60);
        assert!(newest(&folder, later).unwrap_err().to_string().ends_with("no wheel was written"));
        assert_eq!(newest(&folder, SystemTime::now()).unwrap(), folder.join("old.whl"));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_wheel_that_names_this_machine_is_refused() {
        let folder = std::env::temp_dir().join(format!("isotherm-paths-{}", std::process::id()));
        fs::create_dir_all(folder.join("inner")).unwrap();
        fs::write(folder.join("inner/library"), "\u{0}isotherm/src/lib.rs\u{0}").unwrap();
        assert!(check_paths(&folder, &[root()]).is_ok());
        fs::write(folder.join("inner/library"), format!("\u{0}{}/src/lib.rs\u{0}", root().display())).unwrap();
        assert!(check_paths(&folder, &[root()]).unwrap_err().to_string().contains("in the wheel names"));
        remove(&folder).unwrap();
    }

    #[test]
    fn the_sources_of_this_machine_get_other_names_in_a_wheel() {
        let flags = flags().unwrap();
        assert!(flags.contains(&format!("--remap-path-prefix={}=isotherm", root().display())));
        assert!(flags.split('\x1f').all(|flag| !flag.is_empty()));
    }
}
