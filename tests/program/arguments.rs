//! Tests of what all commands have in common: paths, help, suggestions, output files, completions and manual pages.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use isotherm::audio::wav::{WavFormat, write};
use isotherm::audio::{Audio, Random};
use serde_json::Value;

use crate::run::{isotherm, run_failing};

/// Runs the program, checks that it succeeds, and returns its standard output.
fn run_ok<S: AsRef<OsStr> + std::fmt::Debug>(arguments: &[S]) -> String {
    let done = isotherm(arguments);
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// Writes noise at 8 kHz, and returns it.
fn write_sound(path: &Path, seconds: usize) -> Vec<f32> {
    let mut random = Random::new(1);
    let sound: Vec<f32> = (0..8000 * seconds).map(|_| random.within(-0.3, 0.3)).collect();
    write(path, &Audio::from_mono(8000, &sound).unwrap(), WavFormat::Float32).unwrap();
    sound
}

/// The names of all commands, as the help lists them.
fn commands() -> Vec<String> {
    let help = run_ok(&["--help"]);
    let list = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let names = list.lines().filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

#[cfg(target_os = "linux")]
#[test]
fn a_path_that_is_not_utf8_is_lossy_text_in_json() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let odd = |ending: &str| folder.path().join(OsStr::from_bytes(&[b"m\xe9", ending.as_bytes()].concat()));
    let (sound, wet, model, takes, twin) = (odd(".wav"), odd("-wet.wav"), odd(".nam"), odd("-takes"), odd("-twin"));
    let dry = write_sound(&sound, 20);
    let saturated: Vec<f32> = dry.iter().map(|x| (3.0 * x).tanh()).collect();
    write(odd("-pair.wav"), &Audio::from_mono(8000, &saturated).unwrap(), WavFormat::Float32).unwrap();
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/models/saturator-24db-lstm16.nam"), &model).unwrap();
    let call = |arguments: &[&dyn AsRef<OsStr>]| -> Value {
        let arguments: Vec<OsString> = arguments.iter().map(|argument| argument.as_ref().to_owned()).collect();
        let text = run_ok(&arguments);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"))
    };
    let has = |value: &Value, ending: &str| {
        let text = value.as_str().unwrap_or_else(|| panic!("{value}"));
        assert!(text.contains(&format!("m\u{FFFD}{ending}")), "{text}");
    };
    has(&call(&[&"model", &"inspect", &model, &"--json"])["file"], ".nam");
    has(&call(&[&"model", &"verify", &model, &"--json"])["file"], ".nam");
    let report = call(&[&"render", &sound, &wet, &"--algorithm", &"neural", &"--model", &model, &"--json"]);
    has(&report["input"], ".wav");
    has(&report["output"], "-wet.wav");
    has(&report["model"]["file"], ".nam");
    let small: [&dyn AsRef<OsStr>; 6] = [&"--block", &"64", &"--channels", &"1", &"--blocks", &"100"];
    has(
        &call(&[&[&"bench" as &dyn AsRef<OsStr>, &"--json", &"--model", &model][..], &small[..]].concat())["model"]["file"],
        ".nam",
    );
    let report = call(&[&"record", &"--input", &sound, &"--fast", &"--out", &takes, &"--json"]);
    has(&report["takes"][0]["folder"], "-takes");
    let take = takes.read_dir().unwrap().next().unwrap().unwrap().path();
    has(&call(&[&"verify", &take, &"--json"])["folder"], "-takes");
    for listed in call(&[&"recover", &take, &take, &"--json"]).as_array().unwrap() {
        has(&listed["folder"], "-takes");
    }
    let short: [&dyn AsRef<OsStr>; 6] = [&"--network", &"lstm-4", &"--steps", &"2", &"--json", &"--out"];
    let card = call(
        &[&[&"train" as &dyn AsRef<OsStr>, &"--dry", &sound, &"--wet", &odd("-pair.wav")][..], &short[..], &[&twin]].concat(),
    );
    has(&card["data"]["source"]["dry"], ".wav");
    has(&card["data"]["source"]["wet"], "-pair.wav");
    has(&card["command"], "-twin");
    let held: [&dyn AsRef<OsStr>; 9] =
        [&"train", &"--target", &"clipper", &"--sample-rate", &"8000", &"--material", &"20", &"--hold", &sound];
    let card = call(&[&held[..], &short[..], &[&odd("-held")]].concat());
    has(&card["data"]["source"]["held_files"][0], ".wav");
    // Commands without JSON take such paths as well.
    let done: [&[&dyn AsRef<OsStr>]; 3] = [
        &[&"generate", &"sine", &odd("-sine.wav"), &"--seconds", &"0.1"],
        &[&"circuit", &"triode", &odd("-sine.wav"), &odd("-warm.wav"), &"--oversampling", &"1"],
        &[&"man", &odd("-man")],
    ];
    for arguments in done {
        let arguments: Vec<OsString> = arguments.iter().map(|argument| argument.as_ref().to_owned()).collect();
        run_ok(&arguments);
    }
}

#[test]
fn every_help_has_examples_and_the_short_one_leaves_out_parameters() {
    let names = commands();
    assert!(names.len() >= 14, "{names:?}");
    let model = [vec!["model".to_owned(), "inspect".into()], vec!["model".into(), "verify".into()]];
    for command in names.iter().map(|name| vec![name.clone()]).chain(model) {
        for flag in ["-h", "--help"] {
            let help = run_ok(&[&command[..], &[flag.to_owned()]].concat());
            let examples = help.split("\nExamples:\n").nth(1).unwrap_or_else(|| panic!("{command:?}: {help}"));
            let call = format!("  isotherm {}", command.join(" "));
            assert!(examples.lines().next().unwrap().starts_with(&call) || command == ["model"], "{help}");
        }
    }
    for command in ["render", "bench", "train", "record"] {
        let (short, long) = (run_ok(&[command, "-h"]), run_ok(&[command, "--help"]));
        assert!(short.lines().count() < long.lines().count() / 2 || command == "record", "{command}: {short}");
        assert!(short.lines().count() < long.lines().count(), "{command}: {short}");
    }
    let long = run_ok(&["render", "--help"]);
    for heading in ["Parameters of saturator:", "Parameters of bitcrusher:", "Parameters of several algorithms:"] {
        assert!(long.contains(heading), "{heading}: {long}");
    }
    let train = run_ok(&["train", "-h"]);
    for part in ["triode", "--dry", "--wet", "--target", "--volts"] {
        assert!(train.contains(part), "{part}: {train}");
    }
}

#[test]
fn a_misspelt_name_is_answered_with_the_nearest_one() {
    let folder = tempfile::tempdir().unwrap();
    let sound = folder.path().join("in.wav");
    write_sound(&sound, 1);
    let (from, to) = (sound.to_str().unwrap(), folder.path().join("out.wav"));
    let to = to.to_str().unwrap();
    for (arguments, nearest) in [
        (&["rendr", from, to][..], "render"),
        (&["render", from, to, "--algorithm", "saturater"], "saturator"),
        (&["render", from, to, "--algorithm", "saturator", "--drvie", "3"], "--drive"),
        (&["render", from, to, "--algorithm", "bitcrusher", "--dither", "tdpf"], "tpdf"),
        (&["train", "--target", "tirode", "--out", to], "triode"),
        (&["generate", "guitr", to], "guitar"),
        (&["desk", "--fake", "0", "--fault", "silnt"], "silent"),
        (&["record", "--device", "x", "--out", to, "--monitor", "1", "--algorithm", "clipper", "--set", "ouput=1"], "output"),
    ] {
        let line = run_failing(arguments, 2);
        assert!(line.trim_end().ends_with(&format!("; did you mean '{nearest}'?")), "{line}");
    }
    assert!(!run_failing(&["render", from, to, "--algorithm", "zzz"], 2).contains("did you mean"));
}

#[test]
fn an_output_file_is_only_overwritten_by_force_and_must_be_a_wav() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (from, out, mp3) = (path("in.wav"), path("out.wav"), path("out.mp3"));
    write(&from, &Audio::from_mono(8000, &[0.5; 100]).unwrap(), WavFormat::Float32).unwrap();
    for call in [
        &["render", &from, &out, "--algorithm", "clipper"][..],
        &["generate", "sine", &out, "--seconds", "0.01"],
        &["circuit", "triode", &from, &out, "--oversampling", "1"],
    ] {
        std::fs::write(&out, "mine").unwrap();
        let line = run_failing(call, 1);
        assert!(line.contains("out.wav: exists already; expected a new name, or --force"), "{line}");
        assert_eq!(std::fs::read_to_string(&out).unwrap(), "mine");
        run_ok(&[call, &["--force"]].concat());
        assert_eq!(&std::fs::read(&out).unwrap()[..4], b"RIFF");
        let to_mp3: Vec<&str> = call.iter().map(|word| if *word == out { mp3.as_str() } else { word }).collect();
        let line = run_failing(&to_mp3, 2);
        assert!(line.contains("out.mp3: WAV is the only format that is written; expected a name that ends in .wav"), "{line}");
        assert!(!Path::new(&mp3).exists());
    }
}

#[test]
fn numbers_are_read_as_people_write_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (sound, out) = (path("in.wav"), path("out.wav"));
    run_ok(&["generate", "sine", &sound, "--rate", "44,1k", "--frequency", "1k", "--level", "-7,5", "--seconds", "0,5"]);
    let written = isotherm::audio::wav::read(&sound).unwrap();
    assert_eq!((written.sample_rate(), written.frames()), (44_100, 22_050));
    assert!((written.levels().peak_db() + 7.5).abs() < 0.01);
    let call = ["render", &sound, &out, "--algorithm", "saturator", "--drive", "7,5", "--tone", "2.5k", "--json"];
    let report: Value = serde_json::from_str(&run_ok(&call)).unwrap();
    assert_eq!((&report["settings"]["drive"], &report["settings"]["tone"]), (&7.5.into(), &2500.0.into()), "{report}");
    let line = run_failing(&["render", &sound, &path("b.wav"), "--algorithm", "saturator", "--drive", "99"], 2);
    assert!(line.contains("--drive: 99 is out of range; expected -12 to 48 dB"), "{line}");
}

#[test]
fn completions_and_manual_pages_name_every_command() {
    let names = commands();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run_ok(&["completions", shell]);
        for name in names.iter().map(String::as_str).chain(["saturator", "triode", "drive"]) {
            assert!(script.contains(name), "{shell}: {name}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man/man1");
    run_ok(&["man", pages.to_str().unwrap()]);
    for name in names {
        let page = std::fs::read_to_string(pages.join(format!("isotherm-{name}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS") && page.contains("Examples:"), "{name}");
    }
    assert!(pages.join("isotherm.1").exists() && pages.join("isotherm-model-inspect.1").exists());
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(run_failing(&["man", file.to_str().unwrap()], 1).contains("file: cannot write the pages"));
}

#[cfg(target_os = "linux")]
#[test]
fn an_output_that_cannot_be_written_is_a_failure_and_a_closed_pipe_is_none() {
    use std::process::{Command, Stdio};
    for arguments in [&["algorithms", "--json"][..], &["--help"], &["completions", "bash"], &["render", "--help"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let done = Command::new(env!("CARGO_BIN_EXE_isotherm")).args(arguments).stdout(full).output().unwrap();
        let line = crate::run::failure_line(done, arguments, 1);
        assert!(line.starts_with("isotherm: standard output: No space left"), "{line}");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = Command::new(env!("CARGO_BIN_EXE_isotherm"));
        let done = command.args(arguments).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        assert_eq!((done.status.code(), done.stderr), (Some(0), Vec::new()), "{arguments:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_text_that_is_not_utf8_is_named() {
    use std::os::unix::ffi::OsStrExt;
    let arguments = [OsStr::new("bench"), OsStr::from_bytes(b"m\xe9")];
    let line = crate::run::failure_line(isotherm(&arguments), &["bench", "m?"], 2);
    assert!(line.contains("'m\u{FFFD}': not UTF-8 where a text is expected"), "{line}");
}
