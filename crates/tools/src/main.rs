//! The tasks of `cargo xtask` that need the library. It builds this program and passes on the words of its user.

mod demo;
mod models;
mod picture;
mod png;
mod reference;
mod sound;
mod table;
mod tone;
mod twin;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The result of a task; an error is one line for its user.
pub type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["demo", plugin, model, out, input @ ..] if input.len() <= 1 => {
            demo::play(Path::new(plugin), Path::new(model), Path::new(out), input.first().map(Path::new))
        }
        ["reference", page] => reference::write(Path::new(page)),
        ["train-models", names @ ..] => models::task(names),
        _ => Err("expected demo PLUGIN MODEL OUT [INPUT], reference PAGE or train-models [--page | NAME ...]".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The repository's root.
pub fn root() -> &'static Path {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    packages.and_then(Path::parent).expect("this package lies two folders deep in the repository")
}

/// A path as a user would type it where they are.
pub fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    path.strip_prefix(here).unwrap_or(path).display().to_string()
}
