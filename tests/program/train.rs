//! Tests of `isotherm train` and `isotherm circuit`.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use isotherm::audio::wav::{WavFormat, write};
use isotherm::audio::{Audio, Random};
use serde_json::Value;

use crate::run::failure_line;

/// Returns the command `isotherm train`.
fn train_command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_isotherm"));
    command.arg("train").args(arguments);
    command
}

/// Runs `isotherm train`, checks that it succeeds, and returns its output.
fn run_ok(arguments: &[&str]) -> Output {
    let done = train_command(arguments).output().unwrap();
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    done
}

/// Runs `isotherm train`, checks that it fails with this exit code and one line on standard error, and returns the line.
fn run_failing(arguments: &[&str], code: i32) -> String {
    failure_line(train_command(arguments).output().unwrap(), arguments, code)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Returns the arguments of a short training: the lowest rate and the shortest material.
fn short_training<'a>(out: &'a str, steps: &'a str) -> Vec<&'a str> {
    let base = ["--target", "saturator", "--drive", "24", "--sample-rate", "8000", "--material", "20", "--network", "lstm-4"];
    base.into_iter().chain(["--steps", steps, "--out", out]).collect()
}

#[test]
fn a_training_writes_models_and_a_card() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("new").join("twin");
    let shown = run_ok(&[short_training(text(&out), "20").as_slice(), &["--json"]].concat());
    let card: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!((&card["network"], &card["parameters"]), (&"lstm-4".into(), &101.into()));
    assert_eq!((&card["training"]["steps"], &card["sample_rate"]), (&20.into(), &8000.into()));
    assert_eq!(card["data"]["source"]["settings"]["drive"], 24.0);
    for key in ["esr", "esr_pre_emphasis_0.85", "mr_stft", "ns_per_sample"] {
        assert!(card[key].as_f64().unwrap() > 0.0, "{key}");
    }
    assert_eq!(card["esr_by_sound"].as_array().unwrap().len(), 11);
    assert_eq!(card["esr_by_level"].as_array().unwrap().len(), 4);
    assert_eq!(card["training"]["loss"]["octaves"], 0.0);
    let octaves = card["octaves_by_sound"].as_array().unwrap();
    let first = octaves[0]["octaves"].as_array().unwrap();
    let middles: Vec<f64> = first.iter().map(|octave| octave["hz"].as_f64().unwrap().round()).collect();
    assert_eq!((octaves.len(), &octaves[0]["sound"]), (11, &"other passages".into()));
    assert_eq!(middles, [32.0, 63.0, 126.0, 251.0, 501.0, 1000.0, 1995.0]);
    for octave in first {
        assert!(octave["error_db"].is_f64() && octave["signal_db"].as_f64().unwrap() < 0.0, "{octave}");
    }
    let file = std::fs::read(out.join("card.json")).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&file).unwrap(), card);
    let curve = std::fs::read(out.join("curve.png")).unwrap();
    assert!(curve.starts_with(b"\x89PNG\r\n\x1a\n") && curve[12..24] == *b"IHDR\0\0\x02\x80\0\0\x01\x90");
    let page = std::fs::read_to_string(out.join("card.md")).unwrap();
    assert!(page.starts_with("# Twin: lstm-4\n") && page.contains("| guitar, peak -1 dBFS |"), "{page}");
    assert!(page.contains("\n| error in dB, by octave (Hz) | 31.5 | 63 | 125 | 250 | 500 | 1000 | 2000 |\n"), "{page}");
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
fn loss_and_batches_are_those_of_the_flags_and_others_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("twin");
    let with = |more: &[&'static str]| [short_training(text(&out), "5").as_slice(), more].concat();
    let flags = ["--loss", "octaves", "--frames", "64", "--sequences", "16", "--json"];
    let card: Value = serde_json::from_slice(&run_ok(&with(&flags)).stdout).unwrap();
    let training = &card["training"];
    assert_eq!((&training["frames"], &training["sequences"]), (&64.into(), &16.into()));
    assert_eq!(training["loss"]["octaves"], 1.0);
    std::fs::remove_dir_all(&out).unwrap();
    for (flags, part) in [
        (["--loss", "loud"], "--loss: 'loud' is no loss; expected emphasis or octaves"),
        (["--frames", "0"], "--frames: '0' is no number from 16 to 16384"),
        (["--sequences", "2000"], "--sequences: '2000' is no number from 1 to 1024"),
    ] {
        let line = run_failing(&with(&flags), 2);
        assert!(line.contains(part), "{line}");
    }
}

#[test]
fn an_interrupted_training_resumes_to_the_same_weights() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, interrupted) = (folder.path().join("whole"), folder.path().join("interrupted"));
    // Long enough that the training cannot end before it is interrupted.
    let steps = "3000";
    run_ok(&short_training(text(&whole), steps));
    let mut child = train_command(&short_training(text(&interrupted), steps)).stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    // The training can be interrupted once the first checkpoint is written.
    while !interrupted.join("checkpoint.bin").exists() && start.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(300));
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(1), "the training ended before it was interrupted");
    run_ok(&[short_training(text(&interrupted), steps).as_slice(), &["--resume"]].concat());
    let read = |folder: &Path| -> Value { serde_json::from_slice(&std::fs::read(folder.join("twin.nam")).unwrap()).unwrap() };
    assert_eq!(read(&whole)["weights"], read(&interrupted)["weights"]);
    let other = [short_training(text(&interrupted), "9").as_slice(), &["--resume"]].concat();
    assert!(run_failing(&other, 1).contains("expected"), "another plan");
}

#[test]
fn wrong_arguments_are_refused_before_the_training() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let base =
        |extra: &[&'static str]| [&["--out", text(&out)], extra].concat().iter().map(ToString::to_string).collect::<Vec<_>>();
    let check = |arguments: Vec<String>, code: i32, part: &str| {
        let line = run_failing(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), code);
        assert!(line.contains(part), "{part}: {line}");
    };
    check(base(&["--target", "nothing"]), 2, "invalid value 'nothing' for '--target <ID>'");
    check(base(&["--target", "neural"]), 2, "[possible values: saturator, bitcrusher, clipper, triode]");
    check(base(&["--target", "saturator", "--network", "lstm-0"]), 2, "--network: 'lstm-0'");
    check(base(&["--target", "saturator", "--minutes", "0"]), 2, "--minutes");
    check(base(&["--target", "saturator", "--max-minutes", "0"]), 2, "--max-minutes");
    check(base(&["--target", "saturator", "--bits", "4"]), 2, "--bits is no parameter of saturator");
    check(base(&["--target", "saturator", "--network", "gru-4", "--slow"]), 2, "--slow");
    check(base(&["--target", "saturator", "--resume"]), 1, "no checkpoint.bin");
    check(base(&["--target", "triode", "--drive", "3"]), 2, "--drive is none of triode's; expected --volts");
    check(base(&["--target", "triode", "--volts", "0"]), 2, "--volts");
    check(base(&["--target", "saturator", "--volts", "2"]), 2, "--volts is for --target triode");
    check(base(&["--target", "saturator", "--condition", "drive=36..0"]), 2, "a range that rises");
    check(base(&["--target", "triode", "--condition", "volts=1..2"]), 2, "--condition is none of triode's");
    check(base(&["--target", "saturator", "--condition", "drive=0..36", "--network", "tcn-4x4"]), 2, "lstm-N and gru-N");
    check(base(&["--dry", "x.wav"]), 2, "--wet");
    check(base(&[]), 2, "--target");
    std::fs::create_dir_all(&out).unwrap();
    std::fs::write(out.join("mine"), "keep").unwrap();
    check(base(&["--target", "saturator"]), 1, "not empty");
    assert_eq!(std::fs::read_to_string(out.join("mine")).unwrap(), "keep");
    let file = folder.path().join("file");
    std::fs::write(&file, "keep").unwrap();
    let line = run_failing(&["--target", "saturator", "--out", text(&file)], 1);
    assert!(line.contains("no folder"), "{line}");
}

#[test]
fn pairs_of_other_rates_or_lengths_are_refused_with_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, rate: u32, frames: usize| {
        let sound: Vec<f32> = (0..frames).map(|t| 0.5 * (t as f32 * 0.1 + (t as f32 * 0.001).sin()).sin()).collect();
        let path = folder.path().join(name);
        write(&path, &Audio::from_mono(rate, &sound).unwrap(), WavFormat::Float32).unwrap();
        path
    };
    let (dry, wet) = (put("dry.wav", 8000, 90_000), put("wet.wav", 16_000, 90_000));
    let (short, out) = (put("short.wav", 8000, 8000), folder.path().join("out"));
    let arguments = |wet: &Path| ["--dry", text(&dry), "--wet", text(wet), "--out", text(&out)].map(str::to_owned);
    let fails_with = |wet: &Path, part: &str| {
        let arguments = arguments(wet);
        let line = run_failing(&arguments.each_ref().map(String::as_str), 1);
        assert!(line.contains("dry.wav") && line.contains(part), "{line}");
        let _ = std::fs::remove_dir_all(&out);
    };
    fails_with(&wet, "8000 Hz, wet has 16000 Hz");
    fails_with(&short, "90000 frames, wet has 8000; expected as many, or up to 1 s more");
}

#[test]
fn the_card_of_a_twin_with_a_knob_has_the_error_at_each_knob_position() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("twin");
    let call = [short_training(text(&out), "10").as_slice(), &["--condition", "bias=-0.5..0.5", "--json"]].concat();
    let card: Value = serde_json::from_slice(&run_ok(&call).stdout).unwrap();
    assert_eq!(card["data"]["source"]["condition"], serde_json::json!({ "parameter": "bias", "from": -0.5, "to": 0.5 }));
    let values: Vec<f64> = card["esr_by_place"].as_array().unwrap().iter().map(|p| p["value"].as_f64().unwrap()).collect();
    assert_eq!(values, [-0.5, -0.25, 0.0, 0.25, 0.5]);
    assert_eq!(card["command"].as_str().unwrap(), format!("isotherm train {}", call.join(" ")));
    assert!(out.join("twin.json").exists() && out.join("twin.onnx").exists() && !out.join("twin.nam").exists());
    let page = std::fs::read_to_string(out.join("card.md")).unwrap();
    assert!(page.contains("| bias | knob | ESR |") && page.contains("| other passages, turning |"), "{page}");
}

#[test]
fn the_triode_is_rendered_and_trained() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let sound: Vec<f32> = (0..800).map(|t| 0.5 * (t as f32 * 0.3).sin()).collect();
    write(at("in.wav"), &Audio::from_mono(8000, &sound).unwrap().repeat_channels(2).unwrap(), WavFormat::Float32).unwrap();
    let circuit = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_isotherm")).args(["circuit", "triode"]).args(arguments).output().unwrap()
    };
    let (from, to) = (at("in.wav"), at("out.wav"));
    let call = [text(&from), text(&to), "--volts", "5", "--format", "32f"];
    assert!(circuit(&call).status.success());
    let wet = isotherm::audio::wav::read(&to).unwrap();
    let expected = isotherm::train::triode::TriodeStage { volts: 5.0, oversampling: 16 }.render(8000, &sound).unwrap();
    assert_eq!((wet.channels(), wet.channel(0), wet.channel(1)), (2, expected.as_slice(), expected.as_slice()));
    assert_eq!(circuit(&[text(&from), text(&to), "--volts", "x"]).status.code(), Some(2));
    assert_eq!(circuit(&[text(&at("none.wav")), text(&to)]).status.code(), Some(1));
    let out = at("twin");
    let base = ["--target", "triode", "--sample-rate", "8000", "--material", "20", "--network", "lstm-4", "--steps", "5"];
    let card: Value =
        serde_json::from_slice(&run_ok(&[&base, ["--json", "--out", text(&out)].as_slice()].concat()).stdout).unwrap();
    assert_eq!((&card["data"]["source"]["circuit"], &card["data"]["source"]["volts"]), (&"triode".into(), &2.0.into()));
}

#[test]
fn pairs_that_cannot_be_learnt_are_refused_with_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let put = |name: &str, sound: &Audio<f32>| {
        let path = folder.path().join(name);
        write(&path, sound, WavFormat::Float32).unwrap();
        path
    };
    let mono = |sound: &[f32]| Audio::from_mono(8000, sound).unwrap();
    let mut random = Random::new(1);
    let mut noise = || -> Vec<f32> { (0..160_000).map(|_| random.within(-0.3, 0.3)).collect() };
    let (dry, other) = (noise(), noise());
    let wet: Vec<f32> = dry.iter().map(|x| (3.0 * x).tanh()).collect();
    // Half-second pieces in another order, each moved by at most a second and a half.
    let shuffled: Vec<f32> =
        wet.chunks(4000).collect::<Vec<_>>().chunks(4).flat_map(|p| [p[2], p[0], p[3], p[1]].concat()).collect();
    let clipped: Vec<f32> = wet.iter().map(|y| (9.0 * y).clamp(-1.0, 1.0)).collect();
    let good = put("dry.wav", &mono(&dry));
    let refused = |dry: &Path, wet: &Path, part: &str| {
        let line = run_failing(&["--dry", text(dry), "--wet", text(wet), "--steps", "1", "--out", text(&out)], 1);
        assert!(line.contains(part) && line.contains("expected") && line.len() < 400, "{part}: {line}");
    };
    let stereo = Audio::from_channels(8000, &[&wet, &dry]).unwrap();
    for (name, sound, part) in [
        ("silence.wav", &mono(&vec![0.0; 160_000]), "wet is silent"),
        ("clipped.wav", &mono(&clipped), "wet is clipped"),
        ("shuffled.wav", &mono(&shuffled), "parts are missing or moved"),
        ("unrelated.wav", &mono(&other), "wet does not come from dry"),
        ("stereo.wav", &stereo, "wet has 2 channels"),
        ("shorter.wav", &mono(&wet[1..]), "wet has 159999"),
        ("longer.wav", &mono(&[wet.as_slice(), &[0.1; 8001]].concat()), "wet has 168001"),
        ("rate.wav", &Audio::from_mono(44_100, &wet).unwrap(), "wet has 44100 Hz"),
    ] {
        refused(&good, &put(name, sound), part);
    }
    refused(&put("stereo-dry.wav", &stereo), &good, "dry has 2 channels");
    refused(&folder.path().join("silence.wav"), &good, "dry is silent");
    refused(&folder.path().join("clipped.wav"), &good, "dry is clipped");
    let second = |name: &str, sound: &[f32]| put(name, &mono(&sound[..8000]));
    refused(&second("short-dry.wav", &dry), &second("short-wet.wav", &wet), "1.0 s");
    let none = folder.path().join("none.wav");
    assert!(run_failing(&["--dry", text(&good), "--wet", text(&none), "--out", text(&out)], 1).contains("none.wav"));
}

#[test]
fn a_pair_of_which_something_is_left_out_is_trained_and_it_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, sound: &Audio<f32>| {
        let path = folder.path().join(name);
        write(&path, sound, WavFormat::Float32).unwrap();
        path
    };
    let mut random = Random::new(1);
    let dry: Vec<f32> = (0..90_000).map(|_| random.within(-0.3, 0.3)).collect();
    let wet: Vec<f32> = dry.iter().map(|x| (3.0 * x).tanh()).chain([0.0; 100]).collect();
    let dry = put("dry.wav", &Audio::from_mono(8000, &dry).unwrap().repeat_channels(2).unwrap());
    let (wet, out) = (put("wet.wav", &Audio::from_mono(8000, &wet).unwrap()), folder.path().join("out"));
    let short = ["--network", "lstm-4", "--steps", "2", "--json", "--out", text(&out)];
    let done = run_ok(&[&["--dry", text(&dry), "--wet", text(&wet)], &short[..]].concat());
    let said = ["wet is 100 frames longer than dry", "dry has two equal channels"];
    let card: Value = serde_json::from_slice(&done.stdout).unwrap();
    let (lines, page) = (String::from_utf8(done.stderr).unwrap(), std::fs::read_to_string(out.join("card.md")).unwrap());
    for (i, part) in said.iter().enumerate() {
        assert!(lines.contains(part) && page.contains(part), "{part}: {lines} {page}");
        assert!(card["data"]["source"]["remarks"][i].as_str().unwrap().contains(part), "{card}");
    }
    assert_eq!(lines.lines().count(), 2, "{lines}");
}

#[test]
fn a_training_that_the_clock_ends_says_what_it_cut_and_goes_on_with_more_time() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("twin");
    let train = |more: &[&str]| run_ok(&[short_training(text(&out), "1000000000").as_slice(), more].concat()).stdout;
    let cut: Value = serde_json::from_slice(&train(&["--max-minutes", "0.01", "--json"])).unwrap();
    let training = &cut["training"];
    assert_eq!((&training["ended_by"], &training["planned_steps"]), (&"max-minutes".into(), &1_000_000_000.into()));
    assert_eq!(training["remarks"][0], "cut short: the time was over after 0 % of the steps");
    let page = String::from_utf8(train(&["--max-minutes", "0.02", "--resume"])).unwrap();
    assert!(page.contains("of 1000000000 steps are done: --resume goes on") && page.contains("cut short"), "{page}");
    let more: Value = serde_json::from_slice(&std::fs::read(out.join("card.json")).unwrap()).unwrap();
    assert!(more["training"]["steps"].as_u64() > training["steps"].as_u64(), "{more}");
    assert!(more["esr"].as_f64() <= cut["esr"].as_f64(), "the best of before is not forgotten");
}

#[test]
fn resuming_another_training_names_the_difference() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("twin");
    run_ok(&short_training(text(&out), "2"));
    let weights = std::fs::read(out.join("twin.nam")).unwrap();
    for (network, drive, found, expected) in
        [("lstm-8", "24", "hidden: 4", "hidden: 8"), ("gru-4", "24", "cell: Lstm", "cell: Gru"), ("lstm-4", "12", "24.0", "12.0")]
    {
        let mut call = short_training(text(&out), "2");
        for (flag, value) in [("--network", network), ("--drive", drive)] {
            let at = call.iter().position(|word| *word == flag).unwrap();
            call[at + 1] = value;
        }
        call.push("--resume");
        let line = run_failing(&call, 1);
        assert!(line.contains("checkpoint.bin") && line.contains(found) && line.len() < 300, "{line}");
        assert!(line.split("expected").nth(1).is_some_and(|rest| rest.contains(expected)), "{line}");
    }
    assert_eq!(std::fs::read(out.join("twin.nam")).unwrap(), weights);
}

/// A limit on the size of files imitates a disk without room.
#[cfg(unix)]
#[test]
fn a_folder_without_room_is_refused_before_the_training() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("twin");
    let limited = "trap '' XFSZ; ulimit -f 100; exec \"$0\" \"$@\"";
    let mut call = Command::new("sh");
    call.args(["-c", limited, env!("CARGO_BIN_EXE_isotherm"), "train"]).args(short_training(text(&out), "1000000000"));
    let done = call.output().unwrap();
    let line = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(1), "{line}");
    assert!(line.contains(text(&out)) && line.trim_end().lines().count() == 1, "{line}");
    assert_eq!(out.read_dir().unwrap().count(), 0, "something was left in the folder");
}
