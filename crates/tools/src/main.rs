//! The tasks of `cargo xtask` that need the library: the demo, the models that ship, the reference page. `xtask` builds this
//! program and passes on its user's arguments.

mod demo;
mod models;
mod oversampling_comparison;
mod page;
mod picture;
mod png;
mod reference;
mod setting;
mod sound;
mod table;
mod twin_comparison;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Result of a task. An error is shown to the user as one line.
pub type TaskResult<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        ["demo", plugin, model, out, input @ ..] if input.len() <= 1 => {
            demo::play(Path::new(plugin), Path::new(model), Path::new(out), input.first().map(Path::new))
        }
        ["reference", page] => reference::write(Path::new(page)),
        ["train-models", names @ ..] => models::task(names),
        _ => Err("expected demo PLUGIN MODEL OUT [INPUT], reference PAGE or train-models [--page | NAME ...]".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Root folder of the repository.
pub fn root() -> &'static Path {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    packages.and_then(Path::parent).expect("this package lies two folders deep in the repository")
}

/// A path for messages: relative to the current folder if it is within it.
pub fn display_path(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    path.strip_prefix(here).unwrap_or(path).display().to_string()
}
