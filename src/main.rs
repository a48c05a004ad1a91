//! The `isotherm` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    isotherm::cli::run(std::env::args_os())
}
