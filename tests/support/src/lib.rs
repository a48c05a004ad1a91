//! Helpers that the test programs share. They know nothing of Isotherm; a helper that does belongs to the test program that it
//! serves.

#![allow(clippy::unwrap_used)]

pub mod counting;
#[cfg(target_os = "linux")]
pub mod display;

/// Name by which `--exact` finds the test `test` of `module`, given as `module_path!()`.
pub fn test_name(module: &str, test: &str) -> String {
    match module.split_once("::") {
        Some((_, inner)) => format!("{inner}::{test}"),
        None => test.into(),
    }
}
