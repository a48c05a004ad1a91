//! `isotherm compare`: output, exit codes, and calls that cannot be done.

use std::path::Path;

use isotherm::audio::wav::{WavFormat, write};
use isotherm::audio::{Audio, generate};
use serde_json::Value;

use crate::run::{failure_line, isotherm, run_failing};

/// Writes a second of noise and returns its path.
fn noise(folder: &Path) -> String {
    let path = folder.join("noise.wav");
    write(&path, &generate::pink(48_000, 0.1, 48_000, 1).unwrap(), WavFormat::Float32).unwrap();
    path.display().to_string()
}

/// Files and folders, also hidden ones.
fn entries(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn json_goes_to_standard_output_and_a_report_only_where_it_is_asked_for() {
    let home = tempfile::tempdir().unwrap();
    let sound = noise(home.path());
    let out = home.path().join("report").display().to_string();
    let sides = ["--a", "saturator", "--b", "saturator drive=3", "--cost-seconds", "0"];
    let done = isotherm(&[&["compare", &sound][..], &sides, &["--json"]].concat());
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let report: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(report["schema"], "isotherm-comparison");
    assert!(report["command"].as_str().unwrap().contains("--b 'saturator drive=3'"), "{}", report["command"]);
    assert_eq!(entries(home.path()), ["noise.wav"]);
    let with_out = [&["compare", &sound][..], &sides, &["--out", &out]].concat();
    let done = isotherm(&with_out);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(String::from_utf8(done.stdout).unwrap().trim_end().ends_with("index.html"));
    assert_eq!(entries(home.path()), ["noise.wav", "report"]);
    assert!(run_failing(&with_out, 1).contains("exists already; expected a new name, or --force"));
    assert!(isotherm(&[&with_out[..], &["--force"]].concat()).status.success());
    assert_eq!(entries(home.path()), ["noise.wav", "report"]);
}

#[test]
fn each_limit_that_is_passed_over_has_a_line_and_the_exit_code_is_4() {
    let home = tempfile::tempdir().unwrap();
    let sound = noise(home.path());
    let call = |limits: &[&str]| {
        let sides = ["--a", "saturator drive=24", "--b", "dry", "--cost-seconds", "0", "--json"];
        isotherm(&[&["compare", &sound][..], &sides, limits].concat())
    };
    assert!(call(&["--limit", "esr=1000", "--limit=null_db=50"]).status.success());
    let done = call(&["--limit", "esr=1e-9", "--limit", "null_db=50", "--limit", "null_db=-90"]);
    assert_eq!(done.status.code(), Some(4));
    let lines = String::from_utf8(done.stderr).unwrap();
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("isotherm: esr of noise: ") && lines[0].ends_with("expected 0.000000001 or less"), "{lines:?}");
    assert!(lines[1].starts_with("isotherm: null_db of noise: ") && lines[1].ends_with("expected -90 or less"), "{lines:?}");
    let limits: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(limits["limits"][1]["passed"], true);
}

#[test]
fn a_call_that_cannot_be_done_is_one_line_and_leaves_nothing() {
    let home = tempfile::tempdir().unwrap();
    let sound = noise(home.path());
    let out = home.path().join("report").display().to_string();
    let empty = home.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let silent = home.path().join("silent.wav").display().to_string();
    write(&silent, &Audio::<f32>::silence(48_000, 1, 48_000), WavFormat::Int16).unwrap();
    let before = entries(home.path());
    let line = |sounds: &[&str], a: &str, b: &str, more: &[&str], code: i32| {
        let sides = ["--a", a, "--b", b, "--cost-seconds", "0", "--out", &out];
        let arguments = [&["compare"][..], sounds, &sides, more].concat();
        let line = failure_line(isotherm(&arguments), &arguments, code);
        assert_eq!(entries(home.path()), before, "{line}");
        line
    };
    assert!(line(&[&sound], "saturatr", "dry", &[], 2).contains("--a: "));
    assert!(line(&[&sound], "dry", "neural model=/nowhere.nam", &[], 2).contains("/nowhere.nam"));
    assert!(line(&[&sound], "dry", "file:/nowhere.wav", &[], 1).contains("/nowhere.wav"));
    assert!(line(&[&silent], "dry", "saturator", &[], 1).contains("silent"));
    assert!(line(&["/nowhere.wav"], "dry", "saturator", &[], 1).contains("no such file or folder"));
    assert!(line(&[&empty.display().to_string()], "dry", "saturator", &[], 1).contains("no sound in this folder"));
    assert!(line(&[&sound], "dry", "saturator", &["--limit", "esrr=1"], 2).contains("did you mean 'esr'?"));
    assert!(line(&[&sound], "dry", "saturator", &["--limit", "esr"], 2).contains("expected MEASURE=NUMBER"));
    assert!(line(&[&sound, &sound], "dry", "saturator", &[], 1).contains("two sounds of this name"));
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_at_once_and_leaves_nothing() {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;
    let home = tempfile::tempdir().unwrap();
    let child = std::process::Command::new(env!("CARGO_BIN_EXE_isotherm"))
        .current_dir(home.path())
        .args(["compare", "--a", "saturator", "--b", "clipper", "--cost-seconds", "3600"])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // The handler is set before the first sound is read; until then the signal would end the program as well.
    std::thread::sleep(std::time::Duration::from_secs(2));
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    let done = child.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(1));
    assert!(String::from_utf8(done.stderr).unwrap().contains("interrupted; nothing was written"));
    assert_eq!(entries(home.path()), Vec::<String>::new());
}
