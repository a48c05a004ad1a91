//! `cargo xtask demo`: says how long each step takes, builds the plug-in, and lets `isotherm-tools` play a sound through it.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use crate::bundle::{Build, bundle};
use crate::process::target_dir;
use crate::setup::{Purpose, ensure};
use crate::{Outcome, root, shown, tools, unknown};

/// The model that is played if no `--model` is given.
const MODEL: &str = "assets/models/saturator-24db-lstm16.nam";

/// The way to the first listening test.
const FIRST_TEST: &str = "\nThe numbers are there; now judge by ear, without knowing which is which (docs/listening.md).
In a DAW: `cargo xtask install`, load Isotherm, and press *Listening test*. In a terminal:
  cargo run --release -- generate guitar riff.wav
  cargo run --release -- listen run --a 'saturator drive=24' --b 'neural model=assets/models/saturator-24db-lstm16.nam' --sound riff.wav";

/// CPU seconds of each step, measured on a virtualised Xeon.
const PLUGIN_SECONDS: f64 = 320.0;
const TOOLS_SECONDS: f64 = 15.0;
const PLAY_SECONDS: f64 = 80.0;

/// Cores that a build can keep busy; with more, it waits for its largest packages.
const BUILD_CORES: usize = 6;

struct Options {
    input: Option<PathBuf>,
    model: PathBuf,
    out: PathBuf,
}

pub fn task(options: &[String]) -> Outcome {
    let options = parse(options)?;
    // A missing file is reported before anything is built.
    for file in options.input.iter().chain([&options.model]) {
        fs::File::open(file).map_err(|e| format!("{}: {e}", file.display()))?;
    }
    let out = &options.out;
    fs::create_dir_all(out).map_err(|e| format!("--out: cannot make the folder {}: {e}", out.display()))?;

    let release = target_dir()?.join("release");
    let is_built = |name: &str| release.join(name).exists();
    let plugin_built = is_built(&format!("{}isotherm_plugin{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX));
    let tools_built = is_built(&format!("isotherm-tools{}", std::env::consts::EXE_SUFFIX));
    println!("The demo has four steps; the sounds, pictures, tables and the pages of two comparisons go to {}.", shown(out));
    step(1, "Look whether this system has a C linker, and install it if not: a moment");
    ensure(Purpose::Bundle)?;
    step(2, &format!("Build the plug-in: {}", build_time(PLUGIN_SECONDS, plugin_built)));
    let begin = Instant::now();
    let plugin = bundle(Build::Release)?.clap;
    step(3, &format!("Build the host that plays it: {}", build_time(TOOLS_SECONDS, tools_built)));
    tools::build()?;
    println!("Built in {}.", duration(begin.elapsed().as_secs_f64()));
    step(
        4,
        &format!(
            "Play through {}, and compare a twin with its original and with itself oversampled: about {}",
            shown(&plugin),
            duration(PLAY_SECONDS)
        ),
    );
    let files = [&plugin, &options.model, out].into_iter().chain(&options.input).map(|path| path.as_os_str());
    tools::call([OsStr::new("demo")].into_iter().chain(files))?;
    println!("{FIRST_TEST}");
    Ok(())
}

fn step(number: usize, text: &str) {
    println!("\n{number}/4 {text}.");
}

/// Returns the expected time of a build, in words.
fn build_time(seconds: f64, was_built: bool) -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if was_built {
        return "seconds, as it was built before; more if much has changed".into();
    }
    let cores_text = if cores == 1 { "one core".into() } else { format!("{cores} cores") };
    let time = duration(seconds / cores.min(BUILD_CORES) as f64);
    format!("about {time} the first time on {cores_text}, seconds from then on")
}

/// Returns a time in words, rounded.
fn duration(seconds: f64) -> String {
    if seconds < 60.0 {
        let tens = (seconds / 10.0).ceil().max(1.0) * 10.0;
        return format!("{tens} seconds");
    }
    let minutes = (seconds / 60.0).round();
    if minutes == 1.0 { "a minute".into() } else { format!("{minutes} minutes") }
}

fn parse(options: &[String]) -> Outcome<Options> {
    let mut parsed = Options { input: None, model: root().join(MODEL), out: root().join("demo") };
    let mut options = options.iter();
    while let Some(option) = options.next() {
        let (name, attached) = option.split_once('=').map_or((option.as_str(), None), |(name, value)| (name, Some(value)));
        if !matches!(name, "--input" | "--model" | "--out") {
            return Err(unknown("demo", option).into());
        }
        let value = attached.or_else(|| options.next().map(String::as_str)).filter(|value| !value.is_empty());
        let value = std::path::absolute(value.ok_or_else(|| format!("{name} needs a value"))?)?;
        match name {
            "--input" => parsed.input = Some(value),
            "--model" => parsed.model = value,
            _ => parsed.out = value,
        }
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(options: &[&str]) -> Outcome<Options> {
        super::parse(&options.iter().map(|&option| option.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_taken_in_both_forms() {
        let options = parse(&["--input", "/a.wav", "--out=/b", "--model", "/c.nam"]).unwrap();
        assert_eq!((options.input, options.out, options.model), (Some("/a.wav".into()), "/b".into(), "/c.nam".into()));
        let options = parse(&[]).unwrap();
        assert_eq!(options.out, root().join("demo"));
        assert!(options.model.is_file(), "{}", options.model.display());
    }

    #[test]
    fn a_wrong_option_is_named() {
        let error = |options: &[&str]| parse(options).map(drop).unwrap_err().to_string();
        assert_eq!(error(&["--input"]), "--input needs a value");
        assert!(error(&["--inptu", "x"]).starts_with("'--inptu' is no option of demo"));
    }

    #[test]
    fn times_are_printed_in_round_numbers() {
        let told = [4.0, 31.0, 61.0, 200.0].map(duration);
        assert_eq!(told, ["10 seconds", "40 seconds", "a minute", "3 minutes"]);
        assert!(build_time(300.0, true).starts_with("seconds") && build_time(300.0, false).contains("the first time"));
    }
}
