//! `isotherm model oversample`: exports a model at a multiple of its sample rate, for players without oversampling.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command, value_parser};

use super::super::output;
use super::super::{Failure, examples, force_argument, parse_integer, print_line};
use super::{open, rate_argument};
use crate::neural::Model;

/// The largest factor that is parsed; the rate of the result limits it further.
const MAX_FACTOR: usize = 1024;

/// The ending of the result's name.
const EXTENSION: &str = "nam";

/// Describes the command; `file` is the argument for the model's file.
pub fn command(file: Arg) -> Command {
    Command::new("oversample")
        .about("Writes a .nam that runs at a multiple of its sample rate and aliases less, for players without oversampling")
        .arg(file)
        .arg(
            Arg::new("out")
                .required(true)
                .value_name("OUT.nam")
                .value_parser(value_parser!(PathBuf))
                .help("The new file; the old one stays"),
        )
        .arg(
            Arg::new("factor")
                .long("factor")
                .required(true)
                .value_name("N")
                .help("How many times the sample rate: 2, 4 or a higher power of two"),
        )
        .arg(rate_argument())
        .arg(force_argument())
        .after_help(examples(&[
            "isotherm model oversample amp.nam --factor 2 amp-2x.nam",
            "isotherm model oversample amp.nam --factor 4 amp-4x.nam --force",
        ]))
}

pub fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let out = matches.get_one::<PathBuf>("out").ok_or_else(|| Failure::Usage("no output file".into()))?;
    let factor = matches.get_one::<String>("factor").map_or("", String::as_str);
    let factor = parse_integer("factor", factor, 2, MAX_FACTOR)?;
    if !factor.is_power_of_two() {
        return Err(Failure::Usage(format!("--factor: {factor}; expected a power of two: 2, 4 and so on")));
    }
    if !out.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(EXTENSION)) {
        return Err(Failure::Usage(format!("{}: expected a name that ends in .{EXTENSION}", out.display())));
    }
    let (path, model) = open(matches)?;
    if output::is_same(&path, out) {
        return Err(Failure::Usage(format!("{}: the model itself; expected another name for the new file", out.display())));
    }
    output::check(out, matches.get_flag("force"))?;
    let failed = |error: &dyn std::fmt::Display| Failure::Failed(format!("{}: {error}", path.display()));
    let exported = model.oversampled(factor).map_err(|error| failed(&error))?;
    let mut frames = 0;
    output::write_checked(out, exported.bytes(), |written| {
        let read_back = Model::open(written).map_err(Failure::failed)?;
        if read_back.bytes() != exported.bytes() {
            return Err(Failure::Failed(format!("{}: reads otherwise than it was written", out.display())));
        }
        frames = model.check_oversampled(&read_back, factor).map_err(|error| failed(&error))?;
        if frames == 0 {
            Err(failed(&"gives NaN or infinite numbers from the first frame on; expected finite ones"))
        } else {
            Ok(())
        }
    })?;
    print_line(format_args!(
        "{}: {factor}x, {} Hz; {frames} frames of noise come out as from {} at {factor}x, bit for bit",
        out.display(),
        exported.info().sample_rate,
        path.display()
    ));
    if exported.has_head_dilation() {
        print_line(
            "its head has a dilation, which NeuralAmpModelerCore knows from 0.5.5 on: older players ignore it and sound wrong",
        );
    }
    Ok(())
}
