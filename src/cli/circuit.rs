//! `isotherm circuit`: renders a file through a circuit that is solved numerically, as a reference for the circuit's twins.

use std::path::PathBuf;
use std::time::Instant;

use clap::{Arg, ArgMatches, Command, value_parser};

use super::input::read_wav;
use super::{
    Failure, check_output, examples, force_argument, format_argument, parse_format, parse_integer, parse_number, print_line,
};
use crate::audio::Audio;
use crate::audio::wav::write;
use crate::train::triode::{OUTPUT_VOLTS, OVERSAMPLING, TriodeStage};

/// The name of the only circuit, a 12AX7 stage.
pub const TRIODE: &str = "triode";
/// The default of `--volts`: volts at the input for full scale, as a guitar's pickup gives at its loudest.
const DEFAULT_VOLTS: &str = "2";

pub fn command() -> Command {
    let file = |name: &'static str, value: &'static str| {
        Arg::new(name).required(true).value_name(value).value_parser(value_parser!(PathBuf))
    };
    Command::new("circuit")
        .about("Renders a WAV file through a circuit: a 12AX7 stage with coupling capacitors, solved in f64; takes its time")
        .arg(Arg::new("circuit").required(true).value_name("CIRCUIT").value_parser([TRIODE]).help("Which circuit"))
        .arg(file("in", "IN.wav").help("The sound to render"))
        .arg(file("out", "OUT.wav").help("The file to write"))
        .arg(volts_argument())
        .arg(
            Arg::new("oversampling")
                .long("oversampling")
                .value_name("N")
                .help(format!("Steps for each frame, 1 to 256 [{OVERSAMPLING}]")),
        )
        .arg(format_argument())
        .arg(force_argument())
        .after_help(examples(&[
            "isotherm circuit triode riff.wav warm.wav",
            "isotherm circuit triode riff.wav hot.wav --volts 10",
        ]))
}

/// The flag `--volts`.
pub fn volts_argument() -> Arg {
    Arg::new("volts").long("volts").value_name("V").help(format!(
        "Volts at the triode's input for full scale, 0.001 to 100 [{DEFAULT_VOLTS}]; {OUTPUT_VOLTS} V come out as full scale"
    ))
}

/// Returns the triode stage with the value of `--volts` and the usual oversampling.
pub fn parse_stage(matches: &ArgMatches) -> Result<TriodeStage, Failure> {
    let volts = matches.get_one::<String>("volts").map_or(DEFAULT_VOLTS, String::as_str);
    Ok(TriodeStage { volts: parse_number("volts", volts, 0.001, 100.0)?, oversampling: OVERSAMPLING })
}

pub fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let path = |name: &str| matches.get_one::<PathBuf>(name).ok_or_else(|| Failure::Usage(format!("no {name} file")));
    let (from, to, format) = (path("in")?, path("out")?, parse_format(matches)?);
    let mut stage = parse_stage(matches)?;
    if let Some(text) = matches.get_one::<String>("oversampling") {
        stage.oversampling = parse_integer("oversampling", text, 1, 256)?;
    }
    check_output(matches, to)?;
    let dry = read_wav(from).map_err(Failure::failed)?;
    let start = Instant::now();
    let rendered: Result<Vec<_>, _> = dry.iter().map(|channel| stage.render(dry.sample_rate(), channel)).collect();
    let channels = rendered.map_err(|error| Failure::Failed(format!("{}: {error}", from.display())))?;
    let speed = dry.seconds() / start.elapsed().as_secs_f64().max(1e-9);
    let slices: Vec<&[f32]> = channels.iter().map(Vec::as_slice).collect();
    let wet = Audio::from_channels(dry.sample_rate(), &slices).map_err(Failure::failed)?;
    write(to, &wet, format).map_err(Failure::failed)?;
    print_line(format_args!(
        "{}: {:.2} s, {} Hz, {} channels, {format}, peak {:.1} dBFS, {speed:.1} x real time",
        to.display(),
        wet.seconds(),
        wet.sample_rate(),
        wet.channels(),
        wet.levels().peak_db()
    ));
    Ok(())
}
