//! The page of a panel in Chromium: whole tests by finger, pointer and keys. Needs `ISOTHERM_PYTHON`, which `cargo xtask test` sets.

use std::path::Path;
use std::process::Command;

use isotherm::listen::verify;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::serve::{Running, TRIALS, create};

/// Listeners: by finger, by pointer, by keys, without audio, with a context that resamples.
const LISTENERS: usize = 5;
/// Frames of half a dip at 48 kHz.
const HALF: usize = 240;

#[test]
fn listeners_in_browsers_get_to_the_end_by_finger_pointer_and_keys() {
    let Some(python) = std::env::var_os("ISOTHERM_PYTHON") else {
        println!("skipped: ISOTHERM_PYTHON is not set");
        return;
    };
    let home = TempDir::new().unwrap();
    let server = Running::start(create(&home.path().join("panel"), LISTENERS));
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("panel-page");
    std::fs::create_dir_all(&pictures).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/listen/serve_page.py");
    let address = format!("http://{}", server.address);
    let done = Command::new(python).arg(script).arg(address).arg(&pictures).args(&server.tokens).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let seen: Value = serde_json::from_slice(&done.stdout).unwrap();

    for (name, listener) in seen["listeners"].as_object().unwrap() {
        for what in ["errors", "foreign", "wide", "unnamed"] {
            // A browser notes each refusal of the server, which is wanted here, as an error of its own.
            let is_fault = |line: &&Value| !["status of 401", "status of 409"].iter().any(|s| line.as_str().unwrap().contains(s));
            let found: Vec<&Value> = listener[what].as_array().unwrap().iter().filter(is_fault).collect();
            assert!(found.is_empty(), "{name}, {what}: {found:?}");
        }
    }
    assert_eq!(seen["resumed"][0], seen["resumed"][1], "a closed tab goes on at the same trial");
    let token = &server.tokens[0];
    assert_eq!([&seen["taken_over"][0], &seen["taken_over"][2]], [&json!("again"), &json!(format!("#{token}"))]);
    assert!(seen["taken_over"][1].as_str().unwrap().starts_with("the test goes on in another window"));
    assert!(seen["wrong_browser"][0].as_str().unwrap().starts_with("this link was opened in another browser already"));
    assert_eq!(seen["wrong_browser"][1], "start");
    assert!(seen["guessed"].as_str().unwrap().starts_with("this link is not one of this test"));
    assert_eq!(
        seen["no_audio"][0],
        "This browser plays no sound by script (Web Audio), so the test cannot be taken here. Take another browser."
    );
    let resampling = seen["resampling"][0].as_str().unwrap();
    assert!(resampling.starts_with("This browser plays at 44100 Hz and the sound has 48000 Hz"), "{resampling}");
    assert_eq!([&seen["no_audio"][1], &seen["resampling"][1]], ["start", "start"]);
    assert_eq!(seen["keys"], json!({ "focused": "begin", "outline": "solid", "presses": 4, "plays_after_back": "second" }));

    for (index, result) in seen["results"].as_array().unwrap().iter().enumerate() {
        let checked = verify(&server.session(index), result["receipt"].as_str()).unwrap();
        assert!(checked.passed(), "{:?}", checked.checks.iter().filter(|check| !check.passed).collect::<Vec<_>>());
        assert_eq!(json!(checked.sentences), result["sentences"]);
        let log = std::fs::read_to_string(server.session(index).join("log.jsonl")).unwrap();
        let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.last().unwrap()["result"]["count"], TRIALS, "whoever hears everything is right");
        assert!(lines[0]["venue"].as_str().unwrap().contains("Chrome/"), "{}", lines[0]["venue"]);
        let answers: Vec<&Value> = lines.iter().filter(|line| line["kind"] == "answer").collect();
        assert!(answers.iter().all(|answer| answer["switches"].as_array().unwrap().len() >= 3));
        assert!(lines.iter().all(|line| line["kind"] != "resume" && line["kind"] != "void"), "a closed tab is no fault");
    }
    dips_have_their_shape(&seen["dips"]);
}

/// The page's player: each press, also of the button that plays, is 5 ms down and 5 ms up by a raised cosine, and nothing else.
fn dips_have_their_shape(samples: &Value) {
    let samples: Vec<f64> = samples.as_array().unwrap().iter().map(|sample| sample.as_f64().unwrap()).collect();
    assert_eq!(samples.len(), 48_000);
    let at = |seconds: f64| samples[(seconds * 48_000.0) as usize];
    // Silence, the first, the first again, a press that another one replaced during the fade-out, the second for the time of its
    // fade-in, the first, silence.
    for (seconds, level) in [(0.05, 0.0), (0.25, 0.25), (0.45, 0.25), (0.6, 0.25), (0.8, 0.25), (0.95, 0.0)] {
        assert!((at(seconds) - level).abs() < 1e-6, "{seconds} s: {}", at(seconds));
    }
    let part = |from: f64, to: f64| &samples[(from * 48_000.0) as usize..(to * 48_000.0) as usize];
    let lowest = |part: &[f64]| part.iter().copied().fold(f64::MAX, f64::min);
    for from in [0.3, 0.5, 0.7] {
        assert!(lowest(part(from, from + 0.04)).abs() < 1e-9, "no dip at {from} s");
    }
    let replaced = part(0.5, 0.6).iter().copied().fold(f64::MIN, f64::max);
    assert!(replaced < 0.25 + 1e-6, "a press during a fade-out takes the place of the one before: {replaced}");
    let highest = part(0.7, 0.74).iter().copied().fold(f64::MIN, f64::max);
    assert!(highest > 0.49, "the fade-in of the second has its full shape: {highest}");
    let step = samples.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f64::max);
    assert!(step < 0.5 * 0.5 * std::f64::consts::PI / HALF as f64 * 1.01, "a click of {step}");
    let begin = (0.3 * 48_000.0) as usize + part(0.3, 0.4).iter().position(|sample| *sample < 0.25 - 1e-7).unwrap() - 1;
    for frame in 0..=HALF {
        let expected = 0.25 * (0.5 + 0.5 * (std::f64::consts::PI * frame as f64 / HALF as f64).cos());
        let (down, up) = (samples[begin + frame], samples[begin + 2 * HALF + 1 - frame]);
        assert!((down - expected).abs() < 1e-5 && (up - expected).abs() < 1e-5, "{frame}: {down} {up} {expected}");
    }
}
