//! `isotherm app`: the plug-in in a window of its own.

use clap::{Arg, ArgMatches, Command};

use super::Failure;

pub fn command() -> Command {
    Command::new("app")
        .about(
            "Opens the plug-in in a window of its own (JACK, ALSA, CoreAudio or WASAPI); 'isotherm app --help' lists its options",
        )
        .disable_help_flag(true)
        .arg(Arg::new("options").num_args(0..).trailing_var_arg(true).allow_hyphen_values(true))
}

pub fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let options = matches.get_many::<String>("options").into_iter().flatten().cloned();
    let arguments = std::iter::once("isotherm app".to_string()).chain(options);
    if nice_plug::prelude::nice_export_standalone_with_args::<crate::plugin::Isotherm, _>(arguments) {
        Ok(())
    } else {
        Err(Failure::Failed("the window or the sound device could not be opened".into()))
    }
}
