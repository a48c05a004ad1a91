//! WAV files on the command line: standard input and output, joined pieces, mended copies.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use isotherm::audio::wav::{WavFormat, read, read_exact, write};
use isotherm::audio::{Audio, I24, generate};

use crate::run::{failure_line, isotherm, run_failing};

/// Runs the program with these bytes on standard input.
fn isotherm_with_input(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_isotherm"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that refuses its input closes the pipe.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A tenth of a second of two channels, in a 24-bit file at `path`.
fn write_sound(path: &Path) -> Audio<f32> {
    let [left, right] = [440.0, 1000.0].map(|hz| generate::sine(48_000, hz, 0.5, 4800).unwrap());
    let sound = Audio::from_channels(48_000, &[left.channel(0), right.channel(0)]).unwrap();
    write(path, &sound, WavFormat::Int24).unwrap();
    read(path).unwrap()
}

#[test]
fn render_reads_standard_input_and_writes_standard_output_with_the_samples_of_files() {
    let folder = tempfile::tempdir().unwrap();
    let [dry, wet, piped] = ["dry.wav", "wet.wav", "piped.wav"].map(|name| folder.path().join(name));
    write_sound(&dry);
    let rest = ["--algorithm", "clipper", "--json"];
    assert!(isotherm(&[&["render", text(&dry), text(&wet)], &rest[..]].concat()).status.success());
    let done = isotherm_with_input(&[&["render", "-", "-"], &rest[..]].concat(), &fs::read(&dry).unwrap());
    assert!(done.status.success());
    fs::write(&piped, &done.stdout).unwrap();
    assert_eq!(read(&piped).unwrap(), read(&wet).unwrap());
    // Only the sound is on standard output; the report is on standard error.
    assert_eq!(done.stdout[4..8], [0xFF; 4]);
    let report: serde_json::Value =
        serde_json::from_str(String::from_utf8(done.stderr).unwrap().strip_prefix("isotherm: ").unwrap()).unwrap();
    assert_eq!((&report["frames"], &report["notes"]), (&4800.into(), &serde_json::json!([])));
    // A stream that ends too early is rendered as far as it goes, and said.
    let half = &fs::read(&dry).unwrap()[..68 + 6 * 1000];
    let done = isotherm_with_input(&["render", "-", text(&piped), "--algorithm", "clipper", "--force"], half);
    assert!(done.status.success());
    assert_eq!(String::from_utf8(done.stderr).unwrap(), "isotherm: standard input: cut short: 3800 of 4800 frames are missing\n");
    assert_eq!(read(&piped).unwrap().frames(), 1000);
}

#[test]
fn record_takes_a_wav_on_standard_input_for_one_and_no_sound_file_for_raw_samples() {
    let folder = tempfile::tempdir().unwrap();
    let (dry, out) = (folder.path().join("dry.wav"), folder.path().join("takes"));
    write_sound(&dry);
    let codes = read_exact::<I24>(&dry).unwrap();
    for input in [&["--input", "-"][..], &[]] {
        let arguments = [&["record", "--out", text(&out), "--fast", "--json"], input].concat();
        let done = isotherm_with_input(&arguments, &fs::read(&dry).unwrap());
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let report: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
        let take = Path::new(report["takes"][0]["folder"].as_str().unwrap());
        for (channel, stem) in report["takes"][0]["manifest"]["stems"].as_array().unwrap().iter().enumerate() {
            let file = stem["parts"][0]["file"].as_str().unwrap();
            assert_eq!(read_exact::<I24>(take.join(file)).unwrap().channel(0), codes.channel(channel));
        }
        for (start, kind) in [(&b"fLaC"[..], "FLAC"), (b"OggS", "Ogg"), (b"FORM", "AIFF"), (b"riff", "Sony Wave64 (W64)")] {
            let line = failure_line(isotherm_with_input(&arguments, &[start, &[0; 400]].concat()), &arguments, 1);
            assert!(
                line.trim_end().ends_with(&format!("not a WAV file: expected RIFF or RF64 with WAVE, found {kind}")),
                "{line}"
            );
        }
    }
}

#[test]
fn joined_pieces_are_one_sound() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let sound = write_sound(&path("whole.wav"));
    for (name, range) in [("00000001.WAV", 0..2000), ("00000002.WAV", 2000..2001), ("00000003.WAV", 2001..4800)] {
        write(path(name), &sound.slice(range).unwrap(), WavFormat::Int24).unwrap();
    }
    let [whole, first, second, third] = ["whole.wav", "00000001.WAV", "00000002.WAV", "00000003.WAV"].map(path);
    let render = |inputs: &[&Path], name: &str, options: &[&str]| {
        let (inputs, out): (Vec<&str>, _) = (inputs.iter().copied().map(text).collect(), path(name));
        let done = isotherm(&[&["render"], &inputs[..], &[text(&out), "--algorithm", "clipper"], options].concat());
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        read(out).unwrap()
    };
    let expected = render(&[&whole], "expected.wav", &[]);
    assert_eq!(render(&[&first], "numbered.wav", &["--join"]), expected);
    assert_eq!(render(&[&first, &second, &third], "named.wav", &["--join"]), expected);
    let out = path("other.wav");
    let line = run_failing(&["render", text(&first), text(&second), text(&out), "--algorithm", "clipper"], 2);
    assert!(line.contains("found 2 input files; expected one, or --join"), "{line}");
    let line = run_failing(&["render", text(&first), text(&first), "--algorithm", "clipper", "--join"], 2);
    assert!(line.contains("is both input and output"), "{line}");
    let takes = path("takes");
    let done = isotherm(&["record", "--input", text(&first), "--join", "--fast", "--json", "--out", text(&takes)]);
    let report: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    let take = Path::new(report["takes"][0]["folder"].as_str().unwrap());
    let stem = report["takes"][0]["manifest"]["stems"][1]["parts"][0]["file"].as_str().unwrap();
    assert_eq!(read(take.join(stem)).unwrap().channel(0), sound.channel(1));
}

#[test]
fn recover_copies_a_damaged_wav_file_and_overwrites_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let sound = write_sound(&path("whole.wav"));
    let mut bytes = fs::read(path("whole.wav")).unwrap();
    bytes[4..8].fill(0);
    bytes[64..68].fill(0);
    let (crashed, copy, named) = (path("crashed.wav"), path("crashed-recovered.wav"), path("named.wav"));
    fs::write(&crashed, &bytes).unwrap();
    assert!(isotherm(&["recover", text(&crashed)]).status.success());
    assert_eq!(read(&copy).unwrap(), sound);
    let done = isotherm(&["recover", text(&crashed), "--out", text(&named), "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!((&report["frames"], report["notes"].as_array().unwrap().len()), (&4800.into(), 1));
    assert_eq!(fs::read(&named).unwrap(), fs::read(&copy).unwrap());
    assert_eq!(fs::read(&crashed).unwrap(), bytes);
    assert!(run_failing(&["recover", text(&crashed)], 1).contains("cannot create"));
    assert!(run_failing(&["recover", text(&copy)], 1).contains("found a whole one"));
    assert!(run_failing(&["recover", text(&crashed), text(&copy), "--out", text(&named)], 2).starts_with("isotherm: --out:"));
    // Of several files, a whole one is skipped.
    fs::remove_file(&copy).unwrap();
    assert!(isotherm(&["recover", text(&named), text(&crashed)]).status.success());
    assert_eq!(read(&copy).unwrap(), sound);
}
