//! Runs other programs. An error is one line that names the program.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};

use crate::{Outcome, root};

/// Returns a call of the cargo that runs this program, in the repository's root.
pub fn cargo<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    without_cargo_variables(&mut command);
    command
}

/// Removes the variables that cargo sets for the package that it runs (here xtask), so that a cargo that is started does not take
/// them for its own.
pub fn without_cargo_variables(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|n| n.starts_with("CARGO_PKG_") || n.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a program to its end. Its output goes to the terminal.
///
/// # Errors
/// If it cannot be run, or fails.
pub fn run(command: &mut Command) -> Outcome {
    let status = command.status().map_err(|e| cannot_run(command, &e))?;
    if status.success() { Ok(()) } else { Err(format!("`{}` failed ({status})", command_line(command)).into()) }
}

/// Runs a program to its end and returns its standard output.
///
/// # Errors
/// If it cannot be run, or fails.
pub fn output(command: &mut Command) -> Outcome<String> {
    let output = command.stderr(Stdio::inherit()).output().map_err(|e| cannot_run(command, &e))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("`{}` failed ({})", command_line(command), output.status).into())
    }
}

/// Runs a program to its end and passes each line of its standard output to `take` as it comes. Returns the exit status.
///
/// # Errors
/// If it cannot be run.
pub fn run_with_lines(command: &mut Command, mut take: impl FnMut(&str)) -> Outcome<ExitStatus> {
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(|e| cannot_run(command, &e))?;
    let mut output = BufReader::new(child.stdout.take().expect("the output is piped"));
    let mut bytes = Vec::new();
    while output.read_until(b'\n', &mut bytes)? > 0 {
        take(String::from_utf8_lossy(&bytes).trim_end_matches(['\r', '\n']));
        bytes.clear();
    }
    Ok(child.wait()?)
}

/// Returns true if `command` runs and succeeds. Nothing is shown.
pub fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Returns the path at which the shell would find a program.
pub fn find(program: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    let name = format!("{program}{}", std::env::consts::EXE_SUFFIX);
    std::env::split_paths(&folders).map(|folder| folder.join(&name)).find(|path| path.is_file())
}

/// Returns cargo's target folder: `target`, unless the user moved it.
///
/// # Errors
/// If cargo does not tell.
pub fn target_dir() -> Outcome<PathBuf> {
    let metadata = output(&mut cargo(["metadata", "--no-deps", "--format-version", "1"]))?;
    let strings = json_strings(&metadata);
    let name = strings.iter().position(|text| text == "target_directory").ok_or("cargo metadata names no target_directory")?;
    Ok(strings.get(name + 1).ok_or("cargo metadata ends within target_directory")?.into())
}

/// Returns all string literals of a JSON text in order, names of members included: enough to read cargo's output.
pub fn json_strings(json: &str) -> Vec<String> {
    let (mut strings, mut characters) = (Vec::new(), json.chars());
    while characters.any(|c| c == '"') {
        let mut text = String::new();
        while let Some(c) = characters.next().filter(|&c| c != '"') {
            text.push(if c == '\\' { escaped(&mut characters) } else { c });
        }
        strings.push(text);
    }
    strings
}

/// Returns the character of an escape; `characters` begins after its backslash.
fn escaped(characters: &mut std::str::Chars) -> char {
    match characters.next() {
        Some('n') => '\n',
        Some('t') => '\t',
        Some('r') => '\r',
        Some('u') => {
            let digits: String = characters.take(4).collect();
            u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
        }
        other => other.unwrap_or(char::REPLACEMENT_CHARACTER),
    }
}

fn cannot_run(command: &Command, error: &std::io::Error) -> String {
    format!("cannot run `{}`: {error}", command_line(command))
}

/// Returns a command as a user would type it.
pub fn command_line(command: &Command) -> String {
    let program = PathBuf::from(command.get_program());
    let program = program.file_name().unwrap_or(command.get_program()).to_owned();
    let words = std::iter::once(program.as_os_str()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strings_of_a_json_text_are_read_with_their_escapes() {
        let json = r#"{"a": ["C:\\x \"y\"", 3, null, "\u00e9\n"], "b": {"": true}}"#;
        assert_eq!(json_strings(json), ["a", "C:\\x \"y\"", "\u{e9}\n", "b", ""]);
        assert_eq!(json_strings("no json"), [""; 0]);
    }
}
