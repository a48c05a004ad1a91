//! `isotherm app`: the standalone program with a device, a window and takes.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::record::{interrupt_flag_with, parse_ranges};
use super::{Failure, examples, parse_integer};
use crate::app::{self, DeviceOverrides, Options};
use crate::device::{Host, MAX_CHANNELS};

pub fn command() -> Command {
    let text =
        |name: &'static str, value: &'static str, help: &'static str| Arg::new(name).long(name).value_name(value).help(help);
    let flag = |name: &'static str, help: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    let path = |argument: Arg| argument.value_parser(value_parser!(PathBuf));
    Command::new("app")
        .about("Opens the window: records a device's channels and plays them through the slots. Settings are kept between runs")
        .arg(flag(
            "no-window",
            "Without a window: lines on standard output; Ctrl-C finishes the take. Exit code 3 if anything was lost",
        ))
        .arg(text("host", "HOST", "How the device is reached").value_parser(Host::ALL.iter().map(|h| h.id()).collect::<Vec<_>>()))
        .arg(text("device", "NAME", "The device (`isotherm devices` lists them)"))
        .arg(text("rate", "HZ", "Sample rate that the device must have"))
        .arg(text("period", "FRAMES", "Period that the device must have"))
        .arg(text("outputs", "PAIR", "The device's outputs on which left and right are heard, such as 1,2"))
        .arg(text("desk", "ADDRESS", "The X32 or M32 whose card the device is; 'find' looks for it on the local net"))
        .arg(path(text("out", "DIR", "The folder in which takes are made")))
        .arg(path(text("settings", "FILE", "Where settings are kept, in place of the user's")))
        .arg(path(text("monitor-file", "FILE.wav", "What is heard goes to this file, too, until the device is stopped")))
        .arg(flag("start", "Start the device at once"))
        .arg(flag("record", "Start a take at once"))
        .after_help(examples(&[
            "isotherm app",
            "isotherm app --host jack --device X-USB --outputs 1,2 --desk find --start",
            "isotherm app --no-window --record --out takes",
        ]))
}

pub fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let text = |name: &str| matches.get_one::<String>(name).cloned();
    let number = |name: &str, max: usize| text(name).map(|text| parse_integer(name, &text, 1, max)).transpose();
    let outputs = text("outputs").map(|pair| {
        let outputs = parse_ranges("outputs", &pair, MAX_CHANNELS)?;
        match outputs[..] {
            [left, right] => Ok([left - 1, right - 1]),
            _ => Err(Failure::Usage(format!("--outputs: found {} outputs; expected two, such as 1,2", outputs.len()))),
        }
    });
    let options = Options {
        windowless: matches.get_flag("no-window"),
        settings: matches.get_one::<PathBuf>("settings").cloned(),
        device: DeviceOverrides {
            host: text("host"),
            device: text("device"),
            sample_rate: number("rate", 10_000_000)?.map(|rate| rate as u32),
            period_frames: number("period", 1 << 16)?,
            outputs: outputs.transpose()?,
            desk: text("desk"),
        },
        folder: matches.get_one::<PathBuf>("out").cloned(),
        monitor_file: matches.get_one::<PathBuf>("monitor-file").cloned(),
        start: matches.get_flag("start"),
        record: matches.get_flag("record"),
    };
    let report = app::run(&options, &interrupt_flag_with(app::abandon)).map_err(Failure::failed)?;
    match (report.lost, report.error) {
        (Some(lost), _) => Err(Failure::Lost(lost)),
        (None, Some(error)) if options.windowless => Err(Failure::Failed(error)),
        _ => Ok(()),
    }
}
