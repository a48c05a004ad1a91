//! Calls of the built program, for the tests of its commands.

use std::ffi::OsStr;
use std::process::{Command, Output};

/// Runs the program to its end.
pub fn isotherm<S: AsRef<OsStr>>(arguments: &[S]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_isotherm")).args(arguments).output().unwrap()
}

/// Runs the program, checks that it fails with this exit code and one line on standard error, and returns the line.
pub fn run_failing(arguments: &[&str], code: i32) -> String {
    failure_line(isotherm(arguments), arguments, code)
}

/// Checks that a call with these arguments has failed with this exit code and one line on standard error, and returns the line.
pub fn failure_line(done: Output, arguments: &[&str], code: i32) -> String {
    let line = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(code), "{arguments:?}: {line}");
    assert!(line.starts_with("isotherm: ") && line.trim_end().lines().count() == 1, "{line}");
    line
}
