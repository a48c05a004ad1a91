//! Tests of `isotherm app --no-window`, with a file in the device's place and a fake desk.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use isotherm::desk::osc::Value as Osc;
use isotherm::desk::{FakeDesk, Fault};
use isotherm::record::{Manifest, verify};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

const CHANNELS: u16 = 32;
const RATE: u32 = 48_000;
/// Frames of the device's file, which is played in a loop.
const LOOP_FRAMES: usize = 4800;
/// Time that a step may take on a machine that is busy with other things.
const TIMEOUT: Duration = Duration::from_secs(40);

/// A folder for the program's settings and takes, with the file that takes the device's place.
struct Workspace {
    folder: TempDir,
    /// The file's path.
    device: String,
}

impl Workspace {
    /// Makes the folder and the file. Every sample of the file is different, see [`sample`].
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
        for frame in 0..LOOP_FRAMES {
            (0..CHANNELS.into()).for_each(|channel| writer.write_sample(sample(channel, frame)).unwrap());
        }
        writer.finalize().unwrap();
        Self { device: path.display().to_string(), folder }
    }

    /// Returns the path of a file in the folder.
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts `isotherm app` with the settings file of the folder.
    fn start_app(&self, options: &[&str]) -> Program {
        let mut command = Command::new(env!("CARGO_BIN_EXE_isotherm"));
        command.args(["app", "--no-window", "--settings"]).arg(self.path("app.json")).args(options);
        command.current_dir(self.folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Program(Some(command.spawn().unwrap()))
    }

    /// As [`Self::start_app`], with the file as device and takes in `takes`.
    fn start_with_device(&self, options: &[&str]) -> Program {
        self.start_app(&[&["--host", "file", "--device", &self.device, "--out", "takes"], options].concat())
    }

    /// Waits until the only take has at least this many frames, and returns its folder.
    fn take(&self, frames: usize) -> PathBuf {
        let started = Instant::now();
        loop {
            let take = fs::read_dir(self.path("takes")).into_iter().flatten().flatten().next().map(|entry| entry.path());
            let first_stem = |take: &Path| {
                fs::read_dir(take).ok()?.flatten().map(|e| e.path()).find(|p| p.extension().is_some_and(|e| e == "wav"))
            };
            let stem = take.as_deref().and_then(first_stem);
            let length = stem.and_then(|stem| fs::metadata(stem).ok()).map_or(0, |file| file.len());
            match take {
                Some(take) if length as usize >= 3 * frames => return take,
                _ => assert!(started.elapsed() < TIMEOUT, "no take of {frames} frames"),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Returns the settings that the program saved.
    fn settings(&self) -> Value {
        serde_json::from_slice(&fs::read(self.path("app.json")).unwrap()).unwrap()
    }
}

/// Returns the 24-bit sample of a channel's frame in the file.
fn sample(channel: usize, frame: usize) -> i32 {
    ((frame + 1) << 6 | channel) as i32
}

/// A running program. It is killed when this is dropped.
struct Program(Option<Child>);

impl Program {
    /// Sends a signal, if any, waits for the program's end and returns its output.
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

fn stdout_text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Checks that a take has no problems and no gaps, and that the stems of these names have all frames of these channels. Returns
/// its manifest.
fn check_take(take: &Path, names: &[(usize, &str)]) -> Manifest {
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
        let is_right = samples.iter().enumerate().all(|(i, x)| *x == sample(*channel, (first + i) % LOOP_FRAMES));
        assert!(is_right, "{name}: not channel {channel}, or a frame is missing");
    }
    manifest
}

#[test]
fn armed_channels_are_recorded_bit_exactly_with_the_desks_names_and_settings_are_saved() {
    let workspace = Workspace::new();
    let fake = FakeDesk::start("127.0.0.1:0", Fault::None).unwrap();
    let strips: Vec<Value> = (0..CHANNELS)
        .map(|channel| {
            let name = match channel {
                4 => "Vox/1",
                8 => "kick",
                _ => "",
            };
            json!({ "armed": channel % 2 == 0, "name": name, "left": channel == 0 })
        })
        .collect();
    fs::write(
        workspace.path("app.json"),
        json!({ "strips": strips, "rack": { "parameters": { "a_saturator_drive": 18.0 } } }).to_string(),
    )
    .unwrap();
    let program = workspace.start_with_device(&["--record", "--desk", &fake.address().to_string()]);
    workspace.take(2 * LOOP_FRAMES);
    let output = program.end(Signal::SIGINT);
    assert!(output.status.success(), "{output:?}");
    let manifest = check_take(&workspace.take(0), &[(0, "Kick"), (4, "Vox-1"), (8, "kick (2)"), (30, "Main L")]);
    assert_eq!(manifest.stems.len(), 16);
    assert!(manifest.source.contains("desk X32"), "{}", manifest.source);
    let with_note = manifest.stems.iter().find(|stem| stem.name == "Main L").unwrap();
    assert!(with_note.desk.as_ref().unwrap().note.as_ref().unwrap().contains("Main L"));
    assert!(stdout_text(&output).contains(", 0 lost frames in 0 gaps"), "{}", stdout_text(&output));
    assert_eq!(fake.writes(), 0, "it only reads");

    let saved = workspace.settings();
    assert_eq!(saved["strips"][4]["name"], "Vox/1");
    assert_eq!(saved["rack"]["parameters"]["a_saturator_drive"], 18.0);
    assert_eq!(saved["device"]["desk"], fake.address().to_string());
    fs::remove_dir_all(workspace.path("takes")).unwrap();
    // Without options, a second run uses the saved settings.
    let program = workspace.start_app(&["--record"]);
    workspace.take(LOOP_FRAMES);
    assert!(program.end(Signal::SIGINT).status.success());
    assert_eq!(check_take(&workspace.take(0), &[(2, "Snare Bot")]).stems.len(), 16);
}

#[test]
fn a_desk_that_is_lost_does_not_harm_the_recording() {
    let workspace = Workspace::new();
    let fake = FakeDesk::start("127.0.0.1:0", Fault::None).unwrap();
    let program = workspace.start_with_device(&["--record", "--desk", &fake.address().to_string()]);
    workspace.take(LOOP_FRAMES);
    fake.set_fault(Fault::Silent);
    workspace.take(15 * RATE as usize);
    let output = program.end(Signal::SIGINT);
    assert!(output.status.success() && stdout_text(&output).contains("desk: lost"), "{output:?}");
    check_take(&workspace.take(0), &[(0, "Kick")]);
}

#[test]
fn a_routing_change_is_logged_and_in_the_manifest_at_its_frame() {
    let workspace = Workspace::new();
    let fake = FakeDesk::start("127.0.0.1:0", Fault::None).unwrap();
    let program = workspace.start_with_device(&["--record", "--desk", &fake.address().to_string()]);
    workspace.take(LOOP_FRAMES);
    let written = fs::metadata(workspace.take(LOOP_FRAMES).join("09 OH (2).wav")).unwrap().len() / 3;
    fake.set("/config/routing/CARD/9-16", Osc::Int(5));
    workspace.take(written as usize + 2 * RATE as usize);
    let output = program.end(Signal::SIGINT);
    let manifest = check_take(&workspace.take(0), &[(8, "OH (2)")]);
    let sources: Vec<_> = manifest.changes.iter().filter(|change| change.what == "source").collect();
    assert_eq!(sources.iter().map(|change| change.stem).collect::<Vec<_>>(), (9..=16).collect::<Vec<_>>());
    assert_eq!(sources[0].from.as_deref(), Some("User Out 9 > Local 9"));
    assert_eq!(sources[0].to.as_deref(), Some("AES50-A 9"));
    let (position, frames) = (sources[0].position, manifest.frames);
    assert!(position + 1000 > written && position < frames, "{position} of {frames} with {written} written");
    let line = "desk: channel 9: the source was 'User Out 9 > Local 9' and is 'AES50-A 9' (and ";
    assert!(output.status.success() && stdout_text(&output).contains(line), "{}", stdout_text(&output));
}

/// Kills the program during a take and returns the take's folder.
fn killed_take(workspace: &Workspace) -> PathBuf {
    let mut program = workspace.start_with_device(&["--record"]);
    let take = workspace.take(2 * LOOP_FRAMES);
    let child = program.0.as_mut().unwrap();
    // SIGKILL.
    child.kill().unwrap();
    child.wait().unwrap();
    take
}

#[test]
fn an_unfinished_take_is_reported_and_a_running_take_is_not() {
    let workspace = Workspace::new();
    let take = killed_take(&workspace);
    let name = take.file_name().unwrap().to_str().unwrap().to_owned();
    let mut program = workspace.start_with_device(&["--record"]);
    let (sender, receiver) = std::sync::mpsc::channel();
    let stdout = program.0.as_mut().unwrap().stdout.take().unwrap();
    std::thread::spawn(move || BufReader::new(stdout).lines().map_while(Result::ok).for_each(|line| drop(sender.send(line))));
    // Waits for the line on the unfinished take, and for the second take.
    let started = Instant::now();
    let mut app_lines = Vec::new();
    while !app_lines.iter().any(|line: &String| line.contains("unfinished")) {
        app_lines.push(receiver.recv_timeout(TIMEOUT).expect("a line of the unfinished take"));
    }
    let takes = || fs::read_dir(workspace.path("takes")).unwrap().flatten().map(|entry| entry.path()).collect::<Vec<_>>();
    while !takes().iter().any(|other| *other != take && other.join("take.json").exists()) {
        assert!(started.elapsed() < TIMEOUT, "no second take");
        std::thread::sleep(Duration::from_millis(20));
    }
    // `record` searches the same folder while the app records.
    let record = Command::new(env!("CARGO_BIN_EXE_isotherm"))
        .args(["record", "--host", "file", "--device", &workspace.device, "--duration", "300ms", "--name", "beside", "--out"])
        .arg(workspace.path("takes"))
        .output()
        .unwrap();
    assert!(program.end(Signal::SIGINT).status.success());
    app_lines.extend(receiver);
    for (text, what) in [(app_lines.join("\n"), "the app"), (stdout_text(&record), "record")] {
        assert_eq!(text.matches("is unfinished, as a crash left it").count(), 1, "{what}: {text}");
        assert!(text.contains(&format!("the take '{name}' is unfinished")), "{what}: {text}");
        assert!(
            text.contains("`isotherm recover '") && text.contains(&format!("takes/{name}'` makes it whole")),
            "{what}: {text}"
        );
    }
    // The command that the line names recovers the take.
    let recovered = Command::new(env!("CARGO_BIN_EXE_isotherm")).arg("recover").arg(&take).output().unwrap();
    assert!(recovered.status.success() && stdout_text(&recovered).contains("and verified"), "{recovered:?}");
    let verified = Command::new(env!("CARGO_BIN_EXE_isotherm")).arg("verify").arg(&take).output().unwrap();
    let text = stdout_text(&verified);
    assert!(verified.status.success() && text.contains("not known: what came in the last second"), "{text}");
    assert!(!text.contains("nothing was lost"), "{text}");
}

#[test]
fn several_signals_at_once_finish_the_take() {
    let workspace = Workspace::new();
    let mut program = workspace.start_with_device(&["--record"]);
    workspace.take(LOOP_FRAMES);
    let pid = Pid::from_raw(program.0.as_mut().unwrap().id().cast_signed());
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        kill(pid, signal).unwrap();
    }
    let output = program.end(None);
    assert!(output.status.success(), "{output:?}");
    check_take(&workspace.take(0), &[(5, "Channel 6")]);
}

#[test]
fn a_failed_start_is_one_line_and_leaves_no_files() {
    let workspace = Workspace::new();
    let check_failure = |options: &[&str], code: i32, expected: &str| {
        let output = workspace.start_app(options).end(None);
        let line = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{line}");
        assert!(line.contains(expected) && line.lines().count() == 1, "{line}");
        assert!(!workspace.path("takes").exists());
    };
    let file = ["--host", "file", "--out", "takes", "--record", "--device"];
    check_failure(&[&file[..], &["nowhere.wav"]].concat(), 1, "nowhere.wav: ");
    check_failure(&[&file[..], &[&workspace.device, "--rate", "44100"]].concat(), 1, "asked for 44100 Hz, the device gave 48000");
    // The settings of a failed start are saved, too.
    check_failure(&["--record"], 1, "asked for 44100 Hz, the device gave 48000");
    fs::remove_file(workspace.path("app.json")).unwrap();
    let nowhere = ["--host", "file", "--device", &workspace.device, "--out", "device.wav/takes", "--record"];
    check_failure(&nowhere, 1, "device.wav/takes");
    fs::write(workspace.path("app.json"), json!({ "strips": vec![json!({ "armed": false }); 32] }).to_string()).unwrap();
    check_failure(&[&file[..], &[&workspace.device]].concat(), 1, "no channel is armed");
    fs::remove_file(workspace.path("app.json")).unwrap();
    check_failure(&["--host", "file", "--outputs", "1,2,3"], 2, "--outputs: found 3 outputs; expected two");
    let fake = FakeDesk::start("127.0.0.1:0", Fault::None).unwrap();
    fake.set("/-prefs/clockrate", Osc::Int(1));
    let address = fake.address().to_string();
    check_failure(&[&file[..], &[&workspace.device, "--desk", &address]].concat(), 1, "desk: ");
}

#[test]
fn broken_settings_are_renamed_and_reported() {
    let workspace = Workspace::new();
    fs::write(workspace.path("app.json"), "no settings").unwrap();
    let program = workspace.start_with_device(&["--record"]);
    workspace.take(LOOP_FRAMES);
    let output = program.end(Signal::SIGINT);
    assert!(stdout_text(&output).contains("app.json.broken"), "{}", stdout_text(&output));
    assert_eq!(fs::read(workspace.path("app.json.broken")).unwrap(), b"no settings");
    assert_eq!(check_take(&workspace.take(0), &[(31, "Channel 32")]).stems.len(), 32);
}

#[test]
fn sigterm_and_sighup_finish_the_take() {
    for signal in [Signal::SIGTERM, Signal::SIGHUP] {
        let workspace = Workspace::new();
        let program = workspace.start_with_device(&["--record"]);
        workspace.take(LOOP_FRAMES);
        assert!(program.end(signal).status.success());
        check_take(&workspace.take(0), &[(5, "Channel 6")]);
    }
}

#[test]
fn each_device_has_its_own_strip_settings() {
    let workspace = Workspace::new();
    fs::copy(&workspace.device, workspace.path("other.wav")).unwrap();
    fs::write(workspace.path("app.json"), json!({ "strips": [{ "name": "Kick" }, { "armed": false }] }).to_string()).unwrap();
    let record = |device: &str| {
        let program = workspace.start_app(&["--host", "file", "--device", device, "--out", "takes", "--record"]);
        workspace.take(LOOP_FRAMES);
        assert!(program.end(Signal::SIGINT).status.success());
        let manifest = Manifest::load(&workspace.take(0)).unwrap();
        fs::remove_dir_all(workspace.path("takes")).unwrap();
        (manifest.stems.len(), manifest.stems[0].name.clone())
    };
    // Strips that belong to no device yet become the first device's.
    assert_eq!(record("device.wav"), (31, "Kick".into()));
    assert_eq!(record("other.wav"), (32, "Channel 1".into()));
    assert_eq!(record("device.wav"), (31, "Kick".into()));
}
