//! `isotherm generate`: writes a generated sound to a WAV file.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command, value_parser};

use super::{
    Failure, check_output, examples, force_argument, format_argument, parse_format, parse_integer, parse_number, print_line,
};
use crate::audio::wav::write;
use crate::audio::{Audio, AudioError, generate};
use crate::dsp::db_to_gain;

/// The sounds that can be generated.
const KINDS: [&str; 12] =
    ["guitar", "drums", "speech", "sine", "square", "saw", "triangle", "noise", "pink", "sweep", "impulse", "silence"];

pub fn command() -> Command {
    let option = |name: &'static str, value: &'static str, default: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).default_value(default).allow_hyphen_values(true).help(help)
    };
    Command::new("generate")
        .about("Writes a generated sound")
        .arg(Arg::new("kind").required(true).value_name("KIND").value_parser(KINDS).help("What to generate"))
        .arg(Arg::new("out").required(true).value_name("OUT.wav").value_parser(value_parser!(PathBuf)).help("The file to write"))
        .arg(option("rate", "HZ", "48000", "Sample rate, 8000 to 768000"))
        .arg(option("channels", "N", "1", "1 to 128, all alike; guitar and drums: 1 or 2"))
        .arg(option("seconds", "S", "5", "Length; guitar, drums and speech have their own"))
        .arg(option("frequency", "HZ", "440", "Frequency of sine, square, saw and triangle"))
        .arg(option("from", "HZ", "20", "Where the sweep begins"))
        .arg(option("to", "HZ", "20000", "Where the sweep ends"))
        .arg(option("level", "DB", "-6", "Peak (of pink noise: RMS) in dBFS; guitar, drums and speech have their own"))
        .arg(option("seed", "N", "1", "Seed of the random numbers: the same seed, the same sound"))
        .arg(format_argument())
        .arg(force_argument())
        .after_help(examples(&[
            "isotherm generate guitar riff.wav",
            "isotherm generate sine tone.wav --frequency 1k --level -12 --seconds 2",
            "isotherm generate sweep sweep.wav --rate 96000 --format 32f",
        ]))
}

pub fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let text = |name: &str| matches.get_one::<String>(name).map_or("", String::as_str);
    let out = matches.get_one::<PathBuf>("out").ok_or_else(|| Failure::Usage("no output file".into()))?;
    check_output(matches, out)?;
    let format = parse_format(matches)?;
    let rate = parse_integer("rate", text("rate"), 8000, 768_000)? as u32;
    let nyquist = f64::from(rate) / 2.0;
    let (kind, seed) = (text("kind"), parse_number("seed", text("seed"), 0.0, 1e15)? as u64);
    let musical = matches!(kind, "guitar" | "drums");
    let channels = parse_integer("channels", text("channels"), 1, if musical { 2 } else { 128 })?;
    let frames = (parse_number("seconds", text("seconds"), 1e-6, 86_400.0)? * f64::from(rate)).round().max(1.0) as usize;
    let amplitude = f64::from(db_to_gain(parse_number("level", text("level"), -300.0, 0.0)? as f32));
    let frequency = parse_number("frequency", text("frequency"), 0.001, nyquist)?;
    let (from, to) = (parse_number("from", text("from"), 0.001, nyquist)?, parse_number("to", text("to"), 0.001, nyquist)?);
    let mono = |sound: Result<Audio<f32>, AudioError>| sound.and_then(|s| s.repeat_channels(channels));
    let sound = match kind {
        "guitar" => generate::guitar(rate, channels, seed),
        "drums" => generate::drums(rate, channels, seed),
        "speech" => mono(generate::speech(rate, seed)),
        "sine" => mono(generate::sine(rate, frequency, amplitude, frames)),
        "square" => mono(generate::square(rate, frequency, amplitude, frames)),
        "saw" => mono(generate::saw(rate, frequency, amplitude, frames)),
        "triangle" => mono(generate::triangle(rate, frequency, amplitude, frames)),
        "noise" => mono(generate::white(rate, amplitude, frames, seed)),
        "pink" => mono(generate::pink(rate, amplitude, frames, seed)),
        "sweep" => mono(generate::sweep(rate, from, to, amplitude, frames)),
        "impulse" => mono(generate::impulse(rate, amplitude, 0, frames)),
        _ => generate::silence(rate, channels, frames),
    }
    .map_err(Failure::failed)?;
    write(out, &sound, format).map_err(Failure::failed)?;
    let levels = sound.levels();
    print_line(format_args!(
        "{}: {:.2} s, {} Hz, {} channels, {format}, peak {:.1} dBFS, RMS {:.1} dBFS",
        out.display(),
        sound.seconds(),
        rate,
        sound.channels(),
        levels.peak_db(),
        levels.rms_db()
    ));
    Ok(())
}
