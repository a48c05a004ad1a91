//! Tests of recordings with a desk: a fake desk over UDP, and a file in place of the device.

use std::path::Path;
use std::process::{Command, Output};

use isotherm::desk::osc::Value as Osc;
use isotherm::desk::{FakeDesk, Fault};
use isotherm::record::Manifest;
use serde_json::{Value, json};
use tempfile::TempDir;

const CHANNELS: u16 = 32;

/// Writes a file with ten milliseconds of sound in all channels, to be read as a device. Returns its path.
fn device(folder: &TempDir, rate: u32, channels: u16) -> String {
    let path = folder.path().join(format!("{channels} at {rate}.wav"));
    let spec = hound::WavSpec { channels, sample_rate: rate, bits_per_sample: 24, sample_format: hound::SampleFormat::Int };
    let mut writer = hound::WavWriter::create(&path, spec).unwrap();
    for i in 0..rate as i32 / 100 * i32::from(channels) {
        writer.write_sample(i % 1000 * 100).unwrap();
    }
    writer.finalize().unwrap();
    path.display().to_string()
}

/// Runs `isotherm record` with a desk for 1.5 s.
fn record(folder: &TempDir, device: &str, desk: &str, more: &[&str]) -> Output {
    record_for("1.5s", folder, device, desk, more)
}

/// Runs `isotherm record` with a desk.
fn record_for(duration: &str, folder: &TempDir, device: &str, desk: &str, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_isotherm"))
        .args([
            "record",
            "--host",
            "file",
            "--device",
            device,
            "--desk",
            desk,
            "--duration",
            duration,
            "--json",
            "--no-sync",
            "--out",
        ])
        .arg(folder.path().join("takes"))
        .args(more)
        .output()
        .unwrap()
}

/// Returns the last line of the output as JSON.
fn report(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.lines().last().unwrap_or_default())
        .unwrap_or_else(|e| panic!("{e}: {text}{}", String::from_utf8_lossy(&output.stderr)))
}

/// Returns the error of a run that failed.
fn error(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

/// Verifies the only take and returns the names of its stems.
fn stems(report: &Value) -> Vec<String> {
    let take = &report["takes"][0];
    assert!(isotherm::record::verify(Path::new(take["folder"].as_str().unwrap())).unwrap().problems.is_empty());
    let stems = take["manifest"]["stems"].as_array().unwrap();
    stems.iter().map(|stem| stem["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn stems_have_the_names_of_the_desks_tracks_unless_others_are_given() {
    let folder = tempfile::tempdir().unwrap();
    let (fake, device) = (FakeDesk::start("127.0.0.1:0", Fault::None).unwrap(), device(&folder, 48_000, CHANNELS));
    fake.set("/ch/02/config/name", Osc::Text("Snare/Top".into()));
    let address = fake.address().to_string();
    let all = report(&record(&folder, &device, &address, &["--name", "all"]));
    let names = stems(&all);
    assert_eq!(names.len(), 32);
    assert_eq!((names[0].as_str(), names[30].as_str()), ("Kick", "Main L"));
    assert!(!names[1].contains('/') && names[1].starts_with("Snare"), "{}", names[1]);
    assert!(
        all["takes"][0]["manifest"]["source"].as_str().unwrap().contains("desk X32"),
        "{}",
        all["takes"][0]["manifest"]["source"]
    );
    let notes = all["desk"]["notes"].to_string();
    assert!(notes.contains("track 31") && notes.contains("Main L"), "{notes}");
    let some = report(&record(&folder, &device, &address, &["--name", "some", "--channels", "31,1"]));
    assert_eq!(stems(&some), ["Main L", "Kick"]);
    let own = report(&record(&folder, &device, &address, &["--name", "own", "--channels", "1,2", "--names", "One,Two"]));
    assert_eq!(stems(&own), ["One", "Two"]);
    assert_eq!(fake.writes(), 0, "the desk is only read");
}

#[test]
fn a_take_keeps_the_source_colour_and_note_of_each_track() {
    let folder = tempfile::tempdir().unwrap();
    let (fake, device) = (FakeDesk::start("127.0.0.1:0", Fault::None).unwrap(), device(&folder, 48_000, CHANNELS));
    let address = fake.address().to_string();
    let found = report(&record(&folder, &device, &address, &["--channels", "31,1,9", "--names", "A,B,C"]));
    assert_eq!(stems(&found), ["A", "B", "C"]);
    let take = &found["takes"][0];
    let desk = |index: usize| take["manifest"]["stems"][index]["desk"].clone();
    assert_eq!(desk(0), json!({ "source": "User Out 31 > Output 1", "colour": "off", "note": "carries Main L" }));
    assert_eq!(desk(1), json!({ "source": "User Out 1 > Local 1", "colour": "red" }));
    assert_eq!(desk(2), json!({ "source": "User Out 9 > Local 9", "colour": "red inverted" }));
    let verified = Command::new(env!("CARGO_BIN_EXE_isotherm")).arg("verify").arg(take["folder"].as_str().unwrap()).output();
    let text = String::from_utf8(verified.unwrap().stdout).unwrap();
    assert!(text.ends_with("stem 1 'A': track 31 carries Main L\n"), "{text}");
    // A manifest of a recording without a desk, or of an older version, has no field for it.
    let path = Path::new(take["folder"].as_str().unwrap()).join("take.json");
    let mut old: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    for stem in old["stems"].as_array_mut().unwrap() {
        stem.as_object_mut().unwrap().remove("desk");
    }
    std::fs::write(&path, old.to_string()).unwrap();
    let loaded = Manifest::load(path.parent().unwrap()).unwrap();
    assert_eq!(serde_json::to_value(&loaded).unwrap(), old);
}

#[test]
fn a_desk_that_is_lost_is_reported_and_the_recording_loses_no_frame() {
    let folder = tempfile::tempdir().unwrap();
    let (fake, device) = (FakeDesk::start("127.0.0.1:0", Fault::None).unwrap(), device(&folder, 48_000, CHANNELS));
    let address = fake.address().to_string();
    let found = std::thread::scope(|scope| {
        let recording = scope.spawn(|| record_for("7s", &folder, &device, &address, &[]));
        // Waits until the program follows the desk.
        while fake.renewals() == 0 {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        fake.set_fault(Fault::Silent);
        recording.join().unwrap()
    });
    assert_eq!(found.status.code(), Some(0), "{}", String::from_utf8_lossy(&found.stderr));
    let report = report(&found);
    assert_eq!(report["desk"]["connected"], false);
    assert!(String::from_utf8_lossy(&found.stdout).contains("DESK LOST"));
    assert_eq!(stems(&report).len(), 32);
    assert_eq!(report["takes"][0]["manifest"]["frames"], 7 * 48_000);
    assert_eq!(report["lost"], false);
}

#[test]
fn a_routing_change_is_in_the_take_at_its_frame_with_old_and_new_source() {
    let folder = tempfile::tempdir().unwrap();
    let (fake, device) = (FakeDesk::start("127.0.0.1:0", Fault::None).unwrap(), device(&folder, 48_000, CHANNELS));
    let address = fake.address().to_string();
    let takes = folder.path().join("takes");
    let frames = || {
        let take = std::fs::read_dir(&takes).into_iter().flatten().flatten().next().map(|take| take.path());
        let stem = take.and_then(|take| std::fs::metadata(take.join("01 One.wav")).ok());
        stem.map_or(0, |stem| stem.len() / 3)
    };
    let options = ["--channels", "1,9", "--names", "One,Nine"];
    let (found, written) = std::thread::scope(|scope| {
        let recording = scope.spawn(|| record_for("6s", &folder, &device, &address, &options));
        while fake.renewals() == 0 || frames() < 24_000 {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let written = frames();
        // The card's first block: AES50-A 1-8 in place of User Out 1-8.
        fake.set("/config/routing/CARD/1-8", Osc::Int(4));
        (recording.join().unwrap(), written)
    });
    let report = report(&found);
    assert_eq!(stems(&report), ["One", "Nine"]);
    let take = &report["takes"][0];
    let changes = take["manifest"]["changes"].as_array().unwrap();
    let change =
        |what: &str| changes.iter().find(|change| change["what"] == what).unwrap_or_else(|| panic!("no {what}: {changes:?}"));
    let source = change("source");
    assert_eq!((&source["from"], &source["to"]), (&json!("User Out 1 > Local 1"), &json!("AES50-A 1")));
    assert_eq!((&source["stem"], &change("note")["to"]), (&json!(1), &json!("carries AES50-A 1, which no channel hears")));
    assert!(changes.iter().all(|change| change["stem"] == 1), "{changes:?}");
    // The change happened after the frames that were already on the disk. The header is some hundred frames long.
    let position = source["position"].as_u64().unwrap();
    assert!(position + 1000 > written && position < 6 * 48_000, "{position} with {written} written");
    let verified = Command::new(env!("CARGO_BIN_EXE_isotherm")).arg("verify").arg(take["folder"].as_str().unwrap()).output();
    let text = String::from_utf8(verified.unwrap().stdout).unwrap();
    let line =
        format!("stem 1 'One': at frame {position} the desk changed its source from 'User Out 1 > Local 1' to 'AES50-A 1'\n");
    assert!(text.contains(&line), "{text}");
}

#[test]
fn a_desk_that_does_not_match_the_device_is_an_error_that_names_both() {
    let folder = tempfile::tempdir().unwrap();
    let fake = FakeDesk::start("127.0.0.1:0", Fault::None).unwrap();
    let address = fake.address().to_string();
    let slow = error(&record(&folder, &device(&folder, 44_100, CHANNELS), &address, &[]));
    assert!(slow.contains("48000 Hz") && slow.contains("44100 Hz"), "{slow}");
    let narrow = error(&record(&folder, &device(&folder, 48_000, 8), &address, &[]));
    assert!(narrow.contains("32 channels") && narrow.ends_with("has 8"), "{narrow}");
    fake.set_fault(Fault::Silent);
    let silent = error(&record(&folder, &device(&folder, 48_000, CHANNELS), &address, &[]));
    assert!(silent.contains(&address) && silent.lines().count() == 1, "{silent}");
    assert!(!folder.path().join("takes").exists(), "nothing was begun");
}
