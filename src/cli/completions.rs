//! `isotherm completions`: writes the script that completes the program's commands and flags in a shell.

use std::io::Write;

use clap::{Arg, ArgMatches, Command, value_parser};
use clap_complete::Shell;

use super::{Failure, examples, note_output};

pub fn command() -> Command {
    Command::new("completions")
        .about("Writes the script that completes commands and flags in a shell to standard output")
        .arg(Arg::new("shell").required(true).value_name("SHELL").value_parser(value_parser!(Shell)).help("The shell"))
        .after_help(examples(&["isotherm completions bash > ~/.local/share/bash-completion/completions/isotherm"]))
}

pub fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let shell = matches.get_one::<Shell>("shell").ok_or_else(|| Failure::Usage("no shell".into()))?;
    let mut script = Vec::new();
    clap_complete::generate(*shell, &mut super::command(), "isotherm", &mut script);
    note_output(std::io::stdout().write_all(&script));
    Ok(())
}
