//! Runs other programs; when one fails, says in one line which.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};

use crate::{Outcome, root};

/// The `cargo` that runs this program, in the repository's root.
pub fn cargo<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    outside(&mut command);
    command
}

/// Takes from a command's environment what cargo tells about the package that it runs, here this one: another cargo must not take
/// that for its own.
pub fn outside(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|n| n.starts_with("CARGO_PKG_") || n.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
    command
}

/// Runs to the end; what the program writes is the user's to read.
///
/// # Errors
/// If it cannot be run, or fails.
pub fn run(command: &mut Command) -> Outcome {
    let status = command.status().map_err(|e| cannot_run(command, &e))?;
    if status.success() { Ok(()) } else { Err(format!("`{}` failed ({status})", line(command)).into()) }
}

/// Runs to the end and returns what the program wrote to its output.
///
/// # Errors
/// If it cannot be run, or fails.
pub fn output(command: &mut Command) -> Outcome<String> {
    let output = command.stderr(Stdio::inherit()).output().map_err(|e| cannot_run(command, &e))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("`{}` failed ({})", line(command), output.status).into())
    }
}

/// Runs to the end and hands over every line of output as it comes. Returns how the program ended.
///
/// # Errors
/// If it cannot be run.
pub fn lines(command: &mut Command, mut take: impl FnMut(&str)) -> Outcome<ExitStatus> {
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(|e| cannot_run(command, &e))?;
    let mut output = BufReader::new(child.stdout.take().expect("the output is piped"));
    let mut bytes = Vec::new();
    while output.read_until(b'\n', &mut bytes)? > 0 {
        take(String::from_utf8_lossy(&bytes).trim_end_matches(['\r', '\n']));
        bytes.clear();
    }
    Ok(child.wait()?)
}

/// Whether `command` runs and succeeds; it stays silent.
pub fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Where the shell would find a program.
pub fn find(program: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    let name = format!("{program}{}", std::env::consts::EXE_SUFFIX);
    std::env::split_paths(&folders).map(|folder| folder.join(&name)).find(|path| path.is_file())
}

/// Cargo's target folder: `target`, unless the user moved it.
///
/// # Errors
/// If cargo does not tell.
pub fn target_dir() -> Outcome<PathBuf> {
    let metadata = output(&mut cargo(["metadata", "--no-deps", "--format-version", "1"]))?;
    let texts = texts(&metadata);
    let name = texts.iter().position(|text| text == "target_directory").ok_or("cargo metadata names no target_directory")?;
    Ok(texts.get(name + 1).ok_or("cargo metadata ends within target_directory")?.into())
}

/// All texts in JSON in their order, names of members among them: enough for what cargo tells.
pub fn texts(json: &str) -> Vec<String> {
    let (mut texts, mut characters) = (Vec::new(), json.chars());
    while characters.any(|c| c == '"') {
        let mut text = String::new();
        while let Some(c) = characters.next().filter(|&c| c != '"') {
            text.push(if c == '\\' { escaped(&mut characters) } else { c });
        }
        texts.push(text);
    }
    texts
}

/// What stands behind a backslash.
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
    format!("cannot run `{}`: {error}", line(command))
}

/// A command as a user would type it.
pub fn line(command: &Command) -> String {
    let program = PathBuf::from(command.get_program());
    let program = program.file_name().unwrap_or(command.get_program()).to_owned();
    let words = std::iter::once(program.as_os_str()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_of_json_are_read_as_they_were_meant() {
        let json = r#"{"a": ["C:\\x \"y\"", 3, null, "\u00e9\n"], "b": {"": true}}"#;
        assert_eq!(texts(json), ["a", "C:\\x \"y\"", "\u{e9}\n", "b", ""]);
        assert_eq!(texts("no json"), [""; 0]);
    }
}
