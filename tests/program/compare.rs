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
fn each_limit_that_is_exceeded_has_a_line_and_the_exit_code_is_4() {
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
    // A figure has four digits at most.
    let figure = lines[0].trim_start_matches("isotherm: esr of noise: ").split(';').next().unwrap();
    assert!(
        figure.parse::<f64>().unwrap() > 1e-9
            && figure.trim_start_matches(['0', '.']).chars().filter(char::is_ascii_digit).count() <= 4,
        "{figure}"
    );
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
    let line_2 = |a: &str, b: &str| line(&[&sound], a, b, &[], 2);
    assert!(line_2("saturatr", "dry").trim_end().ends_with("; did you mean 'saturator'?"));
    assert!(line_2("drry", "dry").contains("neural, dry or file:PATH; did you mean 'dry'?"));
    assert!(line_2("dry", "saturator drve=3").contains("--b: 'drve' is no parameter of saturator"));
    assert!(line_2("dry", "saturator drve=3").trim_end().ends_with("; did you mean 'drive'?"));
    assert!(line_2("dry", "wet.wav").contains("--b: 'wet.wav' is the name of a sound; expected 'file:wet.wav'"));
    assert!(line_2("dry", "amp.nam").contains("--b: 'amp.nam' is the name of a model; expected 'neural model=amp.nam'"));
    assert!(line(&[], "saturator", "file:wet.wav", &[], 2).contains("expected the dry sound that wet.wav was made from"));
    let both = line(&[], "file:1.wav", "file:2.wav", &[], 2);
    assert!(both.contains("no sound was named") && both.contains("isotherm compare 1.wav --a dry --b file:2.wav"), "{both}");
    let no_time = line(&[&sound], "dry", "saturator", &["--limit", "rtf=1"], 2);
    assert!(no_time.contains("--limit rtf: no time is measured with --cost-seconds 0"), "{no_time}");
}

#[test]
fn a_folder_that_cannot_be_written_is_told_before_the_work() {
    let home = tempfile::tempdir().unwrap();
    let sound = noise(home.path());
    let out = home.path().join("noise.wav/report").display().to_string();
    // An hour of measuring time would pass before.
    let line = run_failing(&["compare", &sound, "--a", "dry", "--b", "saturator", "--cost-seconds", "3600", "--out", &out], 1);
    assert!(line.contains("report: cannot be written: "), "{line}");
    assert_eq!(entries(home.path()), ["noise.wav"]);
}

#[cfg(target_os = "linux")]
#[test]
fn the_file_of_a_side_may_have_a_name_that_is_not_utf8_and_other_texts_are_named() {
    use std::ffi::{OsStr, OsString};
    use std::os::unix::ffi::OsStrExt;
    let home = tempfile::tempdir().unwrap();
    let sound = noise(home.path());
    let wet = home.path().join(OsStr::from_bytes(b"m\xe9.wav"));
    std::fs::copy(&sound, &wet).unwrap();
    let call = |b: OsString| {
        let words = ["compare", &sound, "--a", "dry", "--cost-seconds", "0", "--json", "--b"].map(OsString::from);
        isotherm(&[&words[..], &[b]].concat())
    };
    let done = call(OsString::from_iter([OsStr::new("file:"), wet.as_os_str()]));
    let report: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!((report["verdict"]["id"].as_str(), done.status.code()), (Some("identical"), Some(0)));
    let line = failure_line(call(OsStr::from_bytes(b"neural model=m\xe9.nam").into()), &[], 2);
    assert!(line.contains("--b: 'neural model=m\u{FFFD}.nam' is not UTF-8"), "{line}");
}

#[test]
fn the_knob_of_a_model_is_set_by_its_name_in_its_unit() {
    let home = tempfile::tempdir().unwrap();
    let sound = noise(home.path());
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/models/saturator-drive-lstm16.json");
    let call = |knob: &str| {
        let (a, b) = (format!("neural model={model} knob-1=0.25"), format!("neural model={model} {knob}"));
        isotherm(&["compare", &sound, "--a", &a, "--b", &b, "--cost-seconds", "0", "--json"])
    };
    for knob in ["drive=9", "Drive=9dB", "drive=\"9 dB\""] {
        let done = call(knob);
        let report: Value = serde_json::from_slice(&done.stdout).unwrap();
        assert_eq!(report["verdict"]["id"], "identical", "{knob}");
    }
    for (knob, expected) in [
        ("drive=37", "drive: '37' is no value of this knob of the model; expected 0.00 to 36.00 dB"),
        ("drive=loud", "drive: 'loud' is no value"),
        ("drive=9 knob-1=0.5", "drive is given twice"),
        ("drve=9", "did you mean 'drive'?"),
    ] {
        let line = failure_line(call(knob), &[knob], 2);
        assert!(line.contains(expected), "{line}");
    }
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
