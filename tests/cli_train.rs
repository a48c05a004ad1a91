//! `isotherm train`: the built program.
#![cfg(feature = "cli")]

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use isotherm::audio::Audio;
use isotherm::audio::wav::{Format, write};
use serde_json::Value;

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_isotherm"));
    command.arg("train").args(arguments);
    command
}

fn works(arguments: &[&str]) -> Output {
    let done = program(arguments).output().unwrap();
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    done
}

/// The one line on standard error of a call that fails with a code.
fn fails(arguments: &[&str], code: i32) -> String {
    let done = program(arguments).output().unwrap();
    let line = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(code), "{arguments:?}: {line}");
    assert!(line.starts_with("isotherm: ") && line.trim_end().lines().count() == 1, "{line}");
    line
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A training of some steps at the lowest rate, on the least material.
fn small<'a>(out: &'a str, steps: &'a str) -> Vec<&'a str> {
    let base = ["--target", "saturator", "--drive", "24", "--sample-rate", "8000", "--material", "20", "--network", "lstm-4"];
    base.into_iter().chain(["--steps", steps, "--out", out]).collect()
}

#[test]
fn a_training_leaves_models_and_a_card() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("new").join("twin");
    let shown = works(&[small(text(&out), "20").as_slice(), &["--json"]].concat());
    let card: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!((&card["network"], &card["parameters"]), (&"lstm-4".into(), &101.into()));
    assert_eq!((&card["training"]["steps"], &card["sample_rate"]), (&20.into(), &8000.into()));
    assert_eq!(card["data"]["source"]["settings"]["drive"], 24.0);
    for key in ["esr", "esr_pre_emphasis_0.85", "mr_stft", "ns_per_sample"] {
        assert!(card[key].as_f64().unwrap() > 0.0, "{key}");
    }
    assert_eq!(card["esr_by_sound"].as_array().unwrap().len(), 11);
    assert_eq!(card["esr_by_level"].as_array().unwrap().len(), 4);
    let file = std::fs::read(out.join("card.json")).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&file).unwrap(), card);
    let curve = std::fs::read(out.join("curve.png")).unwrap();
    assert!(curve.starts_with(b"\x89PNG\r\n\x1a\n") && curve[12..24] == *b"IHDR\0\0\x02\x80\0\0\x01\x90");
    let page = std::fs::read_to_string(out.join("card.md")).unwrap();
    assert!(page.starts_with("# Twin: lstm-4\n") && page.contains("| guitar, peak -1 dBFS |"), "{page}");
    let mut names: Vec<String> = out.read_dir().unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["card.json", "card.md", "checkpoint.bin", "curve.png", "twin.json", "twin.nam", "twin.onnx"]);
    for name in ["twin.nam", "twin.json"] {
        let inspect = ["model", "inspect", text(&out.join(name))].map(str::to_owned);
        let done = Command::new(env!("CARGO_BIN_EXE_isotherm")).args(inspect).output().unwrap();
        assert!(done.status.success(), "{name}");
    }
}

#[test]
fn a_training_that_was_killed_goes_on_to_the_same_weights() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, cut) = (folder.path().join("whole"), folder.path().join("cut"));
    // Long enough that it cannot be done before it is interrupted.
    let steps = "3000";
    works(&small(text(&whole), steps));
    let mut child = program(&small(text(&cut), steps)).stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    // From its first checkpoint on it can be interrupted.
    while !cut.join("checkpoint.bin").exists() && start.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(300));
    let interrupted = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(1), "the training ended before it was interrupted");
    works(&[small(text(&cut), steps).as_slice(), &["--resume"]].concat());
    let read = |folder: &Path| -> Value { serde_json::from_slice(&std::fs::read(folder.join("twin.nam")).unwrap()).unwrap() };
    assert_eq!(read(&whole)["weights"], read(&cut)["weights"]);
    let other = [small(text(&cut), "9").as_slice(), &["--resume"]].concat();
    assert!(fails(&other, 1).contains("expected"), "another plan");
}

#[test]
fn what_cannot_work_is_said_before_any_time_is_spent() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let base =
        |extra: &[&'static str]| [&["--out", text(&out)], extra].concat().iter().map(ToString::to_string).collect::<Vec<_>>();
    let check = |arguments: Vec<String>, code: i32, part: &str| {
        let line = fails(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), code);
        assert!(line.contains(part), "{part}: {line}");
    };
    check(base(&["--target", "nothing"]), 2, "unknown algorithm 'nothing'");
    check(base(&["--target", "neural"]), 2, "runs a model");
    check(base(&["--target", "saturator", "--network", "lstm-0"]), 2, "--network: 'lstm-0'");
    check(base(&["--target", "saturator", "--minutes", "0"]), 2, "--minutes");
    check(base(&["--target", "saturator", "--bits", "4"]), 2, "--bits is no parameter of saturator");
    check(base(&["--target", "saturator", "--network", "gru-4", "--slow"]), 2, "--slow");
    check(base(&["--target", "saturator", "--resume"]), 1, "no checkpoint.bin");
    check(base(&["--dry", "x.wav"]), 2, "--wet");
    check(base(&[]), 2, "--target");
    std::fs::create_dir_all(&out).unwrap();
    std::fs::write(out.join("mine"), "keep").unwrap();
    check(base(&["--target", "saturator"]), 1, "not empty");
    assert_eq!(std::fs::read_to_string(out.join("mine")).unwrap(), "keep");
    let file = folder.path().join("file");
    std::fs::write(&file, "keep").unwrap();
    let line = fails(&["--target", "saturator", "--out", text(&file)], 1);
    assert!(line.contains("no folder"), "{line}");
}

#[test]
fn a_pair_that_is_none_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, rate: u32, frames: usize| {
        let sound: Vec<f32> = (0..frames).map(|t| 0.5 * (t as f32 * 0.1 + (t as f32 * 0.001).sin()).sin()).collect();
        let path = folder.path().join(name);
        write(&path, &Audio::from_mono(rate, &sound).unwrap(), Format::Float32).unwrap();
        path
    };
    let (dry, wet) = (put("dry.wav", 8000, 90_000), put("wet.wav", 16_000, 90_000));
    let (short, out) = (put("short.wav", 8000, 8000), folder.path().join("out"));
    let arguments = |wet: &Path| ["--dry", text(&dry), "--wet", text(wet), "--out", text(&out)].map(str::to_owned);
    let fails_with = |wet: &Path, part: &str| {
        let arguments = arguments(wet);
        let line = fails(&arguments.each_ref().map(String::as_str), 1);
        assert!(line.contains("dry.wav") && line.contains(part), "{line}");
        let _ = std::fs::remove_dir_all(&out);
    };
    fails_with(&wet, "8000 Hz, wet has 16000 Hz");
    fails_with(&short, "90000 frames, wet has 8000");
}
