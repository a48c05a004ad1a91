//! Tasks that need the library. They build `isotherm-tools` and call it.

use std::ffi::OsStr;
use std::process::Command;

use crate::process::{cargo, run, target_dir, without_cargo_variables};
use crate::{Outcome, shown, unknown};

/// Builds `isotherm-tools`.
///
/// # Errors
/// If it does not build.
pub fn build() -> Outcome {
    run(&mut cargo(["build", "--release", "--package", "isotherm-tools"]))
}

/// Runs `isotherm-tools`, which must have been built, with these arguments, in the user's folder.
///
/// # Errors
/// If it fails.
pub fn call<S: AsRef<OsStr>>(words: impl IntoIterator<Item = S>) -> Outcome {
    let program = target_dir()?.join("release").join(format!("isotherm-tools{}", std::env::consts::EXE_SUFFIX));
    let status =
        without_cargo_variables(Command::new(&program).args(words)).status().map_err(|e| format!("{}: {e}", shown(&program)))?;
    // The program has printed its own error.
    if status.success() { Ok(()) } else { std::process::exit(1) }
}

pub fn docs(options: &[String]) -> Outcome {
    if let Some(option) = options.first() {
        return Err(unknown("docs", option).into());
    }
    run(&mut cargo(["doc", "--workspace", "--no-deps"]))?;
    let folder = target_dir()?.join("doc");
    println!("{}", shown(&folder.join("isotherm/index.html")));
    build()?;
    call([OsStr::new("reference"), folder.join("reference.md").as_os_str()])
}

pub fn train_models(options: &[String]) -> Outcome {
    build()?;
    call(["train-models"].into_iter().chain(options.iter().map(String::as_str)))
}
