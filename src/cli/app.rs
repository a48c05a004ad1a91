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
    end_on_interrupt();
    if nice_plug::prelude::nice_export_standalone_with_args::<crate::plugin::Isotherm, _>(arguments) {
        Ok(())
    } else {
        Err(Failure::Failed("the window or the sound device could not be opened".into()))
    }
}

/// Makes Ctrl-C end the program: nice-plug takes the signal over and then, with a window open, does nothing about it.
fn end_on_interrupt() {
    #[cfg(unix)]
    {
        use nix::sys::signal::{SigSet, Signal};
        let interrupt = SigSet::from(Signal::SIGINT);
        // All threads start from this one, so that the signal comes to none but the one that waits for it.
        if interrupt.thread_block().is_ok() {
            std::thread::spawn(move || {
                if interrupt.wait().is_ok() {
                    // What a shell reads as "ended by Ctrl-C".
                    std::process::exit(130);
                }
            });
        }
    }
}
