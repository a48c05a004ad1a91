//! `isotherm man`: writes the manual pages, one for each command.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command, value_parser};

use super::{Failure, examples, print_line};

pub fn command() -> Command {
    Command::new("man")
        .about("Writes the manual pages, one for each command, into a folder")
        .arg(
            Arg::new("out")
                .required(true)
                .value_name("DIR")
                .value_parser(value_parser!(PathBuf))
                .help("The folder, which is made if it is not there"),
        )
        .after_help(examples(&["isotherm man ~/.local/share/man/man1"]))
}

pub fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let folder = matches.get_one::<PathBuf>("out").ok_or_else(|| Failure::Usage("no folder".into()))?;
    let written = std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(super::command(), folder));
    written.map_err(|error| Failure::Failed(format!("{}: cannot write the pages: {error}", folder.display())))?;
    print_line(format_args!("{}: the manual pages of isotherm and of its commands", folder.display()));
    Ok(())
}
