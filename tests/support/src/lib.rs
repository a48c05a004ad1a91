//! Helpers that test programs share. They know nothing of Isotherm: a helper that does is a module of the program that it serves.

pub mod counting;
#[cfg(target_os = "linux")]
pub mod display;

/// The name by which `--exact` finds a test of a module, which is told by `module_path!()`.
pub fn test_name(module: &str, test: &str) -> String {
    match module.split_once("::") {
        Some((_, inner)) => format!("{inner}::{test}"),
        None => test.into(),
    }
}
