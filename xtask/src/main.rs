//! `cargo xtask`: builds, bundles, installs, tests and measures this repository on any machine that has Rust and a C linker.

mod bundle;
mod demo;
mod install;
mod onnxruntime;
mod process;
mod python;
mod setup;
mod stage;
mod test;
mod tools;
mod wheel;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The result of a task; an error is one line for its user.
pub type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

struct Task {
    name: &'static str,
    /// The options, as help shows them.
    options: &'static str,
    about: &'static str,
    run: fn(&[String]) -> Outcome,
}

const TASKS: &[Task] = &[
    Task {
        name: "setup",
        options: "[--build-only]",
        about: "Install what building and testing need: system packages, ONNX Runtime",
        run: setup::task,
    },
    Task {
        name: "bundle",
        options: "[--dev]",
        about: "Build Isotherm.clap and Isotherm.vst3 into target/bundled",
        run: bundle::task,
    },
    Task {
        name: "install",
        options: "",
        about: "Bundle, then copy the plug-ins into the folders in which hosts look",
        run: install::task,
    },
    Task {
        name: "demo",
        options: "[--input FILE] [--model FILE] [--out DIR]",
        about: "Bundle, play a sound through every algorithm and show what each does to it, and compare a twin with its original",
        run: demo::task,
    },
    Task {
        name: "test",
        options: "[--quick | --python | --long]",
        about: "Set up, then run everything that continuous integration runs; --quick: a choice for the inner loop; --python: the \
                Python package; --long: more",
        run: test::task,
    },
    Task {
        name: "wheel",
        options: "[--dev]",
        about: "Build the Python package into target/wheels, for Python 3.11 and later",
        run: wheel::task,
    },
    Task {
        name: "stage",
        options: "",
        about: "Act as an X32 with a band on 32 channels, to try recording and the window without a desk (Linux)",
        run: stage::task,
    },
    Task {
        name: "train-models",
        options: "[--page | NAME ...]",
        about: "Train the models that ship (or only the named ones) and write the page about them",
        run: tools::train_models,
    },
    Task {
        name: "bench",
        options: "[--python]",
        about: "Run all benchmarks; --python: those of the Python package",
        run: test::bench,
    },
    Task {
        name: "docs",
        options: "",
        about: "Build the documentation and a reference page of all parameters and measures",
        run: tools::docs,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (name, options) = match arguments.split_first() {
        None => return help(),
        Some((name, _)) if matches!(name.as_str(), "-h" | "--help" | "help") => return help(),
        Some(split) => split,
    };
    let Some(task) = TASKS.iter().find(|task| task.name == name) else {
        eprintln!("error: no task '{name}'; `cargo xtask --help` lists them");
        return ExitCode::FAILURE;
    };
    if options.iter().any(|option| option == "-h" || option == "--help") {
        println!("{}\n\ncargo xtask {} {}", task.about, task.name, task.options);
        return ExitCode::SUCCESS;
    }
    match (task.run)(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn help() -> ExitCode {
    println!("cargo xtask <task>\n");
    let usages: Vec<String> = TASKS.iter().map(|task| format!("{} {}", task.name, task.options)).collect();
    let width = usages.iter().map(String::len).max().unwrap_or(0);
    for (task, usage) in TASKS.iter().zip(usages) {
        println!("  {usage:width$}  {}", task.about);
    }
    ExitCode::SUCCESS
}

/// Returns the repository's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this package lies in the repository")
}

/// Returns a path as the user would type it in the current folder.
pub fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    path.strip_prefix(here).unwrap_or(path).display().to_string()
}

/// Returns true if `flag`, the only option of the task, was given.
///
/// # Errors
/// If anything else was given.
pub fn only_flag(task: &str, options: &[String], flag: &str) -> Outcome<bool> {
    match options {
        [] => Ok(false),
        [option] if option == flag => Ok(true),
        [option, ..] => Err(unknown(task, option).into()),
    }
}

/// Returns the error for an option that a task does not have.
pub fn unknown(task: &str, option: &str) -> String {
    format!("'{option}' is no option of {task}; see `cargo xtask {task} --help`")
}
