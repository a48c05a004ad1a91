//! Copies the bundles to the user's plug-in folders.

use std::fs;
use std::path::{Path, PathBuf};

use crate::bundle::{Build, bundle};
use crate::{Outcome, unknown};

pub fn task(options: &[String]) -> Outcome {
    if let Some(option) = options.first() {
        return Err(unknown("install", option).into());
    }
    let (clap, vst3) = folders()?;
    let bundles = bundle(Build::Release)?;
    let beside_clap = bundles.beside_clap.map(|bundle| (bundle, clap.clone()));
    for (bundle, folder) in [(bundles.clap, clap), (bundles.vst3, vst3)].into_iter().chain(beside_clap) {
        println!("installed {}", install(&bundle, &folder)?.display());
    }
    println!("Let your host scan for plug-ins again if it does not show Isotherm.");
    Ok(())
}

/// Returns the folders in which hosts look for this user's CLAP and VST3 plug-ins.
fn folders() -> Outcome<(PathBuf, PathBuf)> {
    let from = |variable: &str| {
        std::env::var_os(variable).map(PathBuf::from).ok_or_else(|| format!("the environment has no {variable}"))
    };
    Ok(if cfg!(windows) {
        let common = from("COMMONPROGRAMFILES")?;
        (common.join("CLAP"), common.join("VST3"))
    } else if cfg!(target_os = "macos") {
        let plug_ins = from("HOME")?.join("Library/Audio/Plug-Ins");
        (plug_ins.join("CLAP"), plug_ins.join("VST3"))
    } else {
        let home = from("HOME")?;
        (home.join(".clap"), home.join(".vst3"))
    })
}

/// Copies a bundle beside its target and then renames it: a running host keeps the old file and never sees half a plug-in.
fn install(bundle: &Path, folder: &Path) -> Outcome<PathBuf> {
    let name = bundle.file_name().ok_or("the bundle has no name")?;
    let target = folder.join(name);
    let error = |e: std::io::Error| format!("cannot install {}: {e}", target.display());
    fs::create_dir_all(folder).map_err(error)?;
    let fresh = folder.join(format!(".{}.new", name.to_string_lossy()));
    remove(&fresh).map_err(error)?;
    copy(bundle, &fresh).map_err(error)?;
    remove(&target).map_err(error)?;
    fs::rename(&fresh, &target).map_err(error)?;
    Ok(target)
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    if !from.is_dir() {
        return fs::copy(from, to).map(drop);
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

fn remove(path: &Path) -> std::io::Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    removed.or_else(|e| if e.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(e) })
}
