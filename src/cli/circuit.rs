//! `isotherm circuit`: a file through a circuit that is solved, as a reference for its twins.

use std::path::PathBuf;
use std::time::Instant;

use clap::{Arg, ArgMatches, Command, value_parser};

use super::{Failure, format, format_argument, number, say, whole};
use crate::audio::Audio;
use crate::audio::wav::{read, write};
use crate::train::triode::{OUTPUT_VOLTS, OVERSAMPLING, Stage};

/// The circuits by name; there is one.
pub const TRIODE: &str = "triode";
/// Volts at the input for full scale, where nothing is said: a guitar's pickup at its loudest.
const VOLTS: &str = "2";

pub fn command() -> Command {
    let file = |name: &'static str, value: &'static str| {
        Arg::new(name).required(true).value_name(value).value_parser(value_parser!(PathBuf))
    };
    Command::new("circuit")
        .about("Renders a WAV file through a circuit: a 12AX7 stage with coupling capacitors, solved in f64; takes its time")
        .arg(Arg::new("circuit").required(true).value_name("CIRCUIT").value_parser([TRIODE]).help("Which circuit"))
        .arg(file("in", "IN.wav"))
        .arg(file("out", "OUT.wav"))
        .arg(volts_argument())
        .arg(
            Arg::new("oversampling")
                .long("oversampling")
                .value_name("N")
                .help(format!("Steps for each frame, 1 to 256 [{OVERSAMPLING}]")),
        )
        .arg(format_argument())
}

/// `--volts`
pub fn volts_argument() -> Arg {
    Arg::new("volts").long("volts").value_name("V").help(format!(
        "Of the triode: volts at its input for full scale, 0.001 to 100 [{VOLTS}]; {OUTPUT_VOLTS} V come out as full scale"
    ))
}

/// The stage that `--volts` tells of.
pub fn stage(matches: &ArgMatches) -> Result<Stage, Failure> {
    let volts = matches.get_one::<String>("volts").map_or(VOLTS, String::as_str);
    Ok(Stage { volts: number("volts", volts, 0.001, 100.0)?, oversampling: OVERSAMPLING })
}

pub fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let path = |name: &str| matches.get_one::<PathBuf>(name).ok_or_else(|| Failure::Usage(format!("no {name} file")));
    let (from, to, format) = (path("in")?, path("out")?, format(matches)?);
    let mut stage = stage(matches)?;
    if let Some(text) = matches.get_one::<String>("oversampling") {
        stage.oversampling = whole("oversampling", text, 1, 256)?;
    }
    let dry = read(from).map_err(Failure::failed)?;
    let start = Instant::now();
    let rendered: Result<Vec<_>, _> = dry.iter().map(|channel| stage.render(dry.sample_rate(), channel)).collect();
    let channels = rendered.map_err(|error| Failure::Failed(format!("{}: {error}", from.display())))?;
    let speed = dry.seconds() / start.elapsed().as_secs_f64().max(1e-9);
    let slices: Vec<&[f32]> = channels.iter().map(Vec::as_slice).collect();
    let wet = Audio::from_channels(dry.sample_rate(), &slices).map_err(Failure::failed)?;
    write(to, &wet, format).map_err(Failure::failed)?;
    say(format_args!(
        "{}: {:.2} s, {} Hz, {} channels, {format}, peak {:.1} dBFS, {speed:.1} x real time",
        to.display(),
        wet.seconds(),
        wet.sample_rate(),
        wet.channels(),
        wet.levels().peak_db()
    ));
    Ok(())
}
