//! Laws of the program that captures a device: without a window, with a file in the device's place and a desk that is not there.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use isotherm::desk::osc::Value as Osc;
use isotherm::desk::{Fake, Fault};
use isotherm::record::{Manifest, verify};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

const CHANNELS: u16 = 32;
const RATE: u32 = 48_000;
/// Frames of the file, which comes again and again.
const TURN: usize = 4800;
/// On a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(40);

struct Place {
    folder: TempDir,
    device: String,
}

impl Place {
    /// With a file of 24-bit codes that tell channel and frame.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("device.wav");
        let spec = hound::WavSpec {
            channels: CHANNELS,
            sample_rate: RATE,
            bits_per_sample: 24,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(&path, spec).unwrap();
        for frame in 0..TURN {
            (0..CHANNELS.into()).for_each(|channel| writer.write_sample(code(channel, frame)).unwrap());
        }
        writer.finalize().unwrap();
        Self { device: path.display().to_string(), folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn app(&self, options: &[&str]) -> Program {
        let mut command = Command::new(env!("CARGO_BIN_EXE_isotherm"));
        command.args(["app", "--no-window", "--settings"]).arg(self.path("app.json")).args(options);
        command.current_dir(self.folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Program(Some(command.spawn().unwrap()))
    }

    fn file(&self, options: &[&str]) -> Program {
        self.app(&[&["--host", "file", "--device", &self.device, "--out", "takes"], options].concat())
    }

    /// The only take, once it is so long.
    fn take(&self, frames: usize) -> PathBuf {
        let begun = Instant::now();
        loop {
            let take = fs::read_dir(self.path("takes")).into_iter().flatten().flatten().next().map(|entry| entry.path());
            let first = |take: &Path| {
                fs::read_dir(take).ok()?.flatten().map(|e| e.path()).find(|p| p.extension().is_some_and(|e| e == "wav"))
            };
            let length = take.as_deref().and_then(first).and_then(|stem| fs::metadata(stem).ok()).map_or(0, |file| file.len());
            match take {
                Some(take) if length as usize >= 3 * frames => return take,
                _ => assert!(begun.elapsed() < PATIENCE, "no take of {frames} frames"),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn settings(&self) -> Value {
        serde_json::from_slice(&fs::read(self.path("app.json")).unwrap()).unwrap()
    }
}

fn code(channel: usize, frame: usize) -> i32 {
    ((frame + 1) << 6 | channel) as i32
}

/// Ends with its owner.
struct Program(Option<Child>);

impl Program {
    /// By a signal, or the end that it comes to by itself.
    fn end(mut self, signal: impl Into<Option<Signal>>) -> Output {
        let child = self.0.take().unwrap();
        if let Some(signal) = signal.into() {
            kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
        }
        child.wait_with_output().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn check(take: &Path, names: &[(usize, &str)]) -> Manifest {
    let verified = verify(take).unwrap();
    assert_eq!(verified.problems, Vec::<String>::new());
    let manifest = Manifest::load(take).unwrap();
    assert_eq!(manifest.gaps.len(), 0);
    for (channel, name) in names {
        let number = manifest.stems.iter().position(|stem| stem.name == *name).unwrap_or_else(|| panic!("no stem '{name}'"));
        let path = take.join(format!("{:02} {name}.wav", number + 1));
        let mut reader = hound::WavReader::open(&path).unwrap();
        let samples: Vec<i32> = reader.samples().map(Result::unwrap).collect();
        assert_eq!(samples.len() as u64, manifest.frames);
        let first = (samples[0] as usize >> 6) - 1;
        let right = samples.iter().enumerate().all(|(i, x)| *x == code(*channel, (first + i) % TURN));
        assert!(right, "{name}: not channel {channel}, or a frame is missing");
    }
    manifest
}

#[test]
fn armed_channels_are_recorded_bit_for_bit_under_the_desks_names_and_what_is_set_is_kept() {
    let place = Place::new();
    let fake = Fake::start("127.0.0.1:0", Fault::None).unwrap();
    let strips: Vec<Value> = (0..CHANNELS)
        .map(
            |channel| json!({ "armed": channel % 2 == 0, "name": if channel == 4 { "Vox/1" } else if channel == 8 { "kick" } else { "" }, "left": channel == 0 }),
        )
        .collect();
    fs::write(
        place.path("app.json"),
        json!({ "strips": strips, "rack": { "parameters": { "a_saturator_drive": 18.0 } } }).to_string(),
    )
    .unwrap();
    let program = place.file(&["--record", "--desk", &fake.address().to_string()]);
    place.take(2 * TURN);
    let output = program.end(Signal::SIGINT);
    assert!(output.status.success(), "{output:?}");
    let manifest = check(&place.take(0), &[(0, "Kick"), (4, "Vox-1"), (8, "kick (2)"), (30, "Main L")]);
    assert_eq!(manifest.stems.len(), 16);
    assert!(manifest.source.contains("desk X32"), "{}", manifest.source);
    let flagged = manifest.stems.iter().find(|stem| stem.name == "Main L").unwrap();
    assert!(flagged.desk.as_ref().unwrap().note.as_ref().unwrap().contains("Main L"));
    assert!(said(&output).contains(", 0 lost frames in 0 gaps"), "{}", said(&output));
    assert_eq!(fake.writes(), 0, "it only reads");

    let kept = place.settings();
    assert_eq!(kept["strips"][4]["name"], "Vox/1");
    assert_eq!(kept["rack"]["parameters"]["a_saturator_drive"], 18.0);
    assert_eq!(kept["device"]["desk"], fake.address().to_string());
    fs::remove_dir_all(place.path("takes")).unwrap();
    // The same once more, with nothing said.
    let program = place.app(&["--record"]);
    place.take(TURN);
    assert!(program.end(Signal::SIGINT).status.success());
    assert_eq!(check(&place.take(0), &[(2, "Snare Bot")]).stems.len(), 16);
}

#[test]
fn a_desk_that_is_lost_never_touches_the_recording() {
    let place = Place::new();
    let fake = Fake::start("127.0.0.1:0", Fault::None).unwrap();
    let program = place.file(&["--record", "--desk", &fake.address().to_string()]);
    place.take(TURN);
    fake.set_fault(Fault::Silent);
    place.take(15 * RATE as usize);
    let output = program.end(Signal::SIGINT);
    assert!(output.status.success() && said(&output).contains("desk: lost"), "{output:?}");
    check(&place.take(0), &[(0, "Kick")]);
}

#[test]
fn a_routing_change_is_said_and_stands_in_the_take_at_its_frame() {
    let place = Place::new();
    let fake = Fake::start("127.0.0.1:0", Fault::None).unwrap();
    let program = place.file(&["--record", "--desk", &fake.address().to_string()]);
    place.take(TURN);
    let written = fs::metadata(place.take(TURN).join("09 OH (2).wav")).unwrap().len() / 3;
    fake.set("/config/routing/CARD/9-16", Osc::Int(5));
    place.take(written as usize + 2 * RATE as usize);
    let output = program.end(Signal::SIGINT);
    let manifest = check(&place.take(0), &[(8, "OH (2)")]);
    let sources: Vec<_> = manifest.changes.iter().filter(|change| change.what == "source").collect();
    assert_eq!(sources.iter().map(|change| change.stem).collect::<Vec<_>>(), (9..=16).collect::<Vec<_>>());
    assert_eq!(sources[0].from.as_deref(), Some("User Out 9 > Local 9"));
    assert_eq!(sources[0].to.as_deref(), Some("AES50-A 9"));
    let (position, frames) = (sources[0].position, manifest.frames);
    assert!(position + 1000 > written && position < frames, "{position} of {frames} with {written} written");
    let line = "desk: channel 9: the source was 'User Out 9 > Local 9' and is 'AES50-A 9' (and ";
    assert!(output.status.success() && said(&output).contains(line), "{}", said(&output));
}

/// A take of the program that was killed.
fn killed(place: &Place) -> PathBuf {
    let mut program = place.file(&["--record"]);
    let take = place.take(2 * TURN);
    let child = program.0.as_mut().unwrap();
    // SIGKILL.
    child.kill().unwrap();
    child.wait().unwrap();
    take
}

#[test]
fn what_a_kill_left_unfinished_is_said_and_what_is_being_recorded_is_not() {
    let place = Place::new();
    let take = killed(&place);
    let name = take.file_name().unwrap().to_str().unwrap().to_owned();
    let mut program = place.file(&["--record"]);
    let (tell, said_lines) = std::sync::mpsc::channel();
    let stdout = program.0.as_mut().unwrap().stdout.take().unwrap();
    std::thread::spawn(move || BufReader::new(stdout).lines().map_while(Result::ok).for_each(|line| drop(tell.send(line))));
    // Once there is another take, and what was there has been found.
    let begun = Instant::now();
    let mut app = Vec::new();
    while !app.iter().any(|line: &String| line.contains("unfinished")) {
        app.push(said_lines.recv_timeout(PATIENCE).expect("a line of the unfinished take"));
    }
    let takes = || fs::read_dir(place.path("takes")).unwrap().flatten().map(|entry| entry.path()).collect::<Vec<_>>();
    while !takes().iter().any(|other| *other != take && other.join("take.json").exists()) {
        assert!(begun.elapsed() < PATIENCE, "no second take");
        std::thread::sleep(Duration::from_millis(20));
    }
    // One more looks into the same folder.
    let beside = Command::new(env!("CARGO_BIN_EXE_isotherm"))
        .args(["record", "--host", "file", "--device", &place.device, "--duration", "300ms", "--name", "beside", "--out"])
        .arg(place.path("takes"))
        .output()
        .unwrap();
    assert!(program.end(Signal::SIGINT).status.success());
    app.extend(said_lines);
    for (text, what) in [(app.join("\n"), "the app"), (said(&beside), "record")] {
        assert_eq!(text.matches("is unfinished, as a crash left it").count(), 1, "{what}: {text}");
        assert!(text.contains(&format!("the take '{name}' is unfinished")), "{what}: {text}");
        assert!(
            text.contains("`isotherm recover '") && text.contains(&format!("takes/{name}'` makes it whole")),
            "{what}: {text}"
        );
    }
    // As it says.
    let recovered = Command::new(env!("CARGO_BIN_EXE_isotherm")).arg("recover").arg(&take).output().unwrap();
    assert!(recovered.status.success() && said(&recovered).contains("and verified"), "{recovered:?}");
    let verified = Command::new(env!("CARGO_BIN_EXE_isotherm")).arg("verify").arg(&take).output().unwrap();
    let text = said(&verified);
    assert!(verified.status.success() && text.contains("not known: what came in the last second"), "{text}");
    assert!(!text.contains("nothing was lost"), "{text}");
}

#[test]
fn an_end_that_is_asked_for_twice_at_once_finishes_the_take() {
    let place = Place::new();
    let mut program = place.file(&["--record"]);
    place.take(TURN);
    let pid = Pid::from_raw(program.0.as_mut().unwrap().id().cast_signed());
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        kill(pid, signal).unwrap();
    }
    let output = program.end(None);
    assert!(output.status.success(), "{output:?}");
    check(&place.take(0), &[(5, "Channel 6")]);
}

#[test]
fn what_cannot_be_opened_is_one_line_and_leaves_nothing() {
    let place = Place::new();
    let refused = |options: &[&str], code: i32, words: &str| {
        let output = place.app(options).end(None);
        let line = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{line}");
        assert!(line.contains(words) && line.lines().count() == 1, "{line}");
        assert!(!place.path("takes").exists());
    };
    let file = ["--host", "file", "--out", "takes", "--record", "--device"];
    refused(&[&file[..], &["nowhere.wav"]].concat(), 1, "nowhere.wav: ");
    refused(&[&file[..], &[&place.device, "--rate", "44100"]].concat(), 1, "asked for 44100 Hz, the device gave 48000");
    // It was kept.
    refused(&["--record"], 1, "asked for 44100 Hz, the device gave 48000");
    fs::remove_file(place.path("app.json")).unwrap();
    let nowhere = ["--host", "file", "--device", &place.device, "--out", "device.wav/takes", "--record"];
    refused(&nowhere, 1, "device.wav/takes");
    fs::write(place.path("app.json"), json!({ "strips": vec![json!({ "armed": false }); 32] }).to_string()).unwrap();
    refused(&[&file[..], &[&place.device]].concat(), 1, "no channel is armed");
    fs::remove_file(place.path("app.json")).unwrap();
    refused(&["--host", "file", "--outputs", "1,2,3"], 2, "--outputs: found 3 outputs; expected two");
    let fake = Fake::start("127.0.0.1:0", Fault::None).unwrap();
    fake.set("/-prefs/clockrate", Osc::Int(1));
    let address = fake.address().to_string();
    refused(&[&file[..], &[&place.device, "--desk", &address]].concat(), 1, "desk: ");
}

#[test]
fn settings_that_cannot_be_read_are_set_aside_and_said() {
    let place = Place::new();
    fs::write(place.path("app.json"), "no settings").unwrap();
    let program = place.file(&["--record"]);
    place.take(TURN);
    let output = program.end(Signal::SIGINT);
    assert!(said(&output).contains("app.json.broken"), "{}", said(&output));
    assert_eq!(fs::read(place.path("app.json.broken")).unwrap(), b"no settings");
    assert_eq!(check(&place.take(0), &[(31, "Channel 32")]).stems.len(), 32);
}

#[test]
fn being_told_to_end_finishes_the_take() {
    for signal in [Signal::SIGTERM, Signal::SIGHUP] {
        let place = Place::new();
        let program = place.file(&["--record"]);
        place.take(TURN);
        assert!(program.end(signal).status.success());
        check(&place.take(0), &[(5, "Channel 6")]);
    }
}

#[test]
fn names_and_arms_are_a_devices() {
    let place = Place::new();
    fs::copy(&place.device, place.path("other.wav")).unwrap();
    fs::write(place.path("app.json"), json!({ "strips": [{ "name": "Kick" }, { "armed": false }] }).to_string()).unwrap();
    let record = |device: &str| {
        let program = place.app(&["--host", "file", "--device", device, "--out", "takes", "--record"]);
        place.take(TURN);
        assert!(program.end(Signal::SIGINT).status.success());
        let manifest = Manifest::load(&place.take(0)).unwrap();
        fs::remove_dir_all(place.path("takes")).unwrap();
        (manifest.stems.len(), manifest.stems[0].name.clone())
    };
    // What nobody said whose it is is the first one's.
    assert_eq!(record("device.wav"), (31, "Kick".into()));
    assert_eq!(record("other.wav"), (32, "Channel 1".into()));
    assert_eq!(record("device.wav"), (31, "Kick".into()));
}
