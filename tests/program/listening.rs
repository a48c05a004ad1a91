//! A whole listening test in the window of `isotherm app`, on a display without a screen: by keys alone, taken by a scripted
//! listener who hears what the monitor plays. The record is checked by `isotherm listen verify`.
//!
//! Leaves pictures and the program's output in `target/tmp`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use egui::{Pos2, Rect, UiBuilder, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use isotherm::algorithm::REGISTRY;
use isotherm::audio::generate::guitar;
use isotherm::audio::wav::{WavFormat, write};
use isotherm::instance::Instance;
use isotherm::ui::{PROGRAM_SIZE as SIZE, Program, ProgramView};
use isotherm::view::{InstanceView, ListenView};
use isotherm_support::display::{ChildProcess, VirtualDisplay, output, wait_for};
use serde_json::json;
use x11rb::rust_connection::RustConnection;

use crate::listener::{Listener, Place, Points, pixel};

/// Time that the whole test may take, on a machine that is busy with other things.
const TIMEOUT: Duration = Duration::from_secs(500);
const RATE: usize = 48_000;
/// Trials of the positive control.
const CONTROLS: usize = 5;
/// The answers in the test: true for a right one. 13 of 16.
const SCRIPT: [bool; 16] = [true, true, false, true, true, true, true, false, true, true, true, true, true, false, true, true];
/// Bytes of a frame of the file of what is heard: two channels of 32-bit floats.
const FRAME_BYTES: u64 = 8;

/// The program's window, and the file of what is heard.
struct AppPlace {
    display: VirtualDisplay,
    connection: RustConnection,
    window: u32,
    program: ChildProcess,
    log: PathBuf,
    /// Folder of the file of what is heard, which grows under another name.
    folder: PathBuf,
}

impl AppPlace {
    fn open(folder: &Path) -> Self {
        let device = folder.join("device.wav");
        let sound = guitar(RATE as u32, 2, 5).unwrap();
        write(&device, &sound, WavFormat::Int24).unwrap();
        let twin = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/models/saturator-24db-lstm16.nam");
        let model = json!({ "name": twin.file_name().unwrap().to_str(), "folder": twin.parent().unwrap().to_str() });
        let neural = REGISTRY.iter().position(|row| row.plays_model).unwrap();
        let settings = json!({
            "strips": [{ "left": true, "right": false }, { "left": false, "right": true }],
            "rack": {
                "parameters": { "a_saturator_drive": 24.0, "a_saturator_output": -9.0, "b_algorithm": neural },
                "fields": { "b_model": model.to_string() },
            },
        });
        let file = folder.join("app.json");
        fs::write(&file, settings.to_string()).unwrap();

        let deadline = Instant::now() + TIMEOUT;
        let display = VirtualDisplay::open((1280, 860), deadline);
        let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join("listening-app.log");
        let log_file = File::create(&log).unwrap();
        let mut command = display.command(env!("CARGO_BIN_EXE_isotherm"));
        command.env("HOME", folder).env("LIBGL_ALWAYS_SOFTWARE", "1").args(["app", "--settings"]).arg(file);
        command.args(["--host", "file", "--device"]).arg(&device).args(["--period", "256", "--start", "--monitor-file"]);
        command.arg(folder.join("heard.wav"));
        command.stdout(log_file.try_clone().unwrap()).stderr(log_file);
        let mut program = ChildProcess::start(&mut command);
        let window = wait_for("the window", deadline, || {
            if let Some(status) = program.exit_status() {
                panic!("the program ended: {status}\n{}", fs::read_to_string(&log).unwrap());
            }
            display.xdotool(&["search", "--onlyvisible", "--name", "Isotherm$"])?.lines().next()?.parse().ok()
        });
        let (connection, _) = RustConnection::connect(Some(&display.name)).unwrap();
        Self { display, connection, window, program, log, folder: folder.into() }
    }

    /// The file of what is heard, while it grows.
    fn heard_file(&self) -> PathBuf {
        wait_for("the file of what is heard", self.display.deadline, || {
            let files = fs::read_dir(&self.folder).unwrap().flatten().map(|entry| entry.path());
            files.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "part"))
        })
    }

    /// Frames that are in the file.
    fn heard_frames(&self, file: &Path) -> u64 {
        (fs::metadata(file).unwrap().len().saturating_sub(self.header_bytes(file))) / FRAME_BYTES
    }

    /// Bytes before the first sample.
    fn header_bytes(&self, file: &Path) -> u64 {
        let mut start = vec![0; 4096];
        let length = std::io::Read::read(&mut File::open(file).unwrap(), &mut start).unwrap();
        let at = start[..length].windows(4).position(|four| four == b"data");
        at.map_or(4096, |at| at as u64 + 8)
    }

    fn xdotool(&self, words: &[&str]) {
        let done = self.display.xdotool(words);
        done.unwrap_or_else(|| panic!("xdotool {words:?} failed\n{}", fs::read_to_string(&self.log).unwrap()));
    }

    fn click(&mut self, area: Rect) {
        let (x, y) = (area.center().x.round().to_string(), area.center().y.round().to_string());
        let window = self.window.to_string();
        for words in
            [&["mousemove", "--window", &window, &x, &y][..], &["click", "1"], &["mousemove", "--window", &window, "4", "4"]]
        {
            self.xdotool(words);
            // Several frames of a slow machine.
            std::thread::sleep(Duration::from_millis(700));
        }
    }
}

impl Place for AppPlace {
    fn press(&mut self, key: &str) {
        self.xdotool(&["key", key]);
    }

    fn color(&mut self, at: Pos2) -> [u8; 3] {
        pixel(&self.connection, self.window, at)
    }

    fn hear(&mut self, frames: usize) -> (u64, Vec<f32>) {
        use std::io::{Read as _, Seek as _, SeekFrom};
        let file = self.heard_file();
        let header = self.header_bytes(&file);
        // The file may be late by what its writer gathers.
        let start = self.heard_frames(&file) + RATE as u64 / 2;
        let end = start + frames as u64;
        wait_for("the sound", self.display.deadline, || (self.heard_frames(&file) >= end).then_some(()));
        let mut bytes = vec![0; frames * FRAME_BYTES as usize];
        let mut opened = File::open(&file).unwrap();
        opened.seek(SeekFrom::Start(header + start * FRAME_BYTES)).unwrap();
        opened.read_exact(&mut bytes).unwrap();
        let left = bytes.as_chunks::<8>().0.iter().map(|[a, b, c, d, ..]| f32::from_le_bytes([*a, *b, *c, *d]));
        (start, left.collect())
    }

    fn pass(&mut self, time: Duration) {
        std::thread::sleep(time);
    }

    fn save_picture(&mut self, name: &str) {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("listening-app-{name}.png"));
        let mut command = self.display.command("import");
        command.args(["-silent", "-window", &self.window.to_string(), &format!("png:{}", file.display())]);
        let _ = output(&mut command, Instant::now() + Duration::from_secs(20));
    }
}

/// The program's window without a screen.
fn harness() -> Harness<'static, (Program, Instance, ListenView)> {
    let size = vec2(SIZE.0 as f32, SIZE.1 as f32);
    let mut harness = Harness::builder().with_size(size).build_ui_state(
        move |ui, (program, instance, listen): &mut (Program, Instance, ListenView)| {
            // The whole area is used, as a window has no margin; the harness has one.
            let whole = Rect::from_min_size(Pos2::ZERO, size);
            let mut ui = ui.new_child(UiBuilder::new().max_rect(whole));
            ui.set_clip_rect(whole);
            let view = InstanceView { listen: listen.clone(), ..instance.view() };
            instance.with_controls(&|_| {}, |controls| program.show(&mut ui, controls, &view, &ProgramView::default()));
        },
        (Program::new(REGISTRY), Instance::default(), ListenView::default()),
    );
    harness.run_steps(4);
    harness
}

#[test]
fn a_test_of_16_trials_is_taken_by_keys_and_hearing_alone_and_verified() {
    let folder = tempfile::tempdir().unwrap();
    let mut place = AppPlace::open(folder.path());
    let mut harness = harness();
    let button = harness.get_by_label("Listening tests").rect();
    let points = Points::find(&mut harness, |state, view| state.2 = view);
    place.heard_file();
    // The models are read, and the window is drawn.
    std::thread::sleep(Duration::from_secs(3));
    place.click(button);
    std::thread::sleep(Duration::from_secs(1));
    // The panel leaves the keys where they are until it is clicked.
    place.click(Rect::from_center_size(points.title, egui::Vec2::ZERO));
    place.press("l");
    std::thread::sleep(Duration::from_secs(1));
    place.save_picture("setup");
    place.press("Return");
    let sessions = folder.path().join("Isotherm Listening");
    let mut listener = Listener { place, points, sessions, deadline: Instant::now() + TIMEOUT };
    let session = listener.take_test(&SCRIPT, CONTROLS);
    let mut verify = Command::new(env!("CARGO_BIN_EXE_isotherm"));
    let verified = verify.args(["listen", "verify"]).arg(&session).output().unwrap();
    let text = String::from_utf8_lossy(&verified.stdout);
    assert!(verified.status.success() && text.contains("13 of 16"), "{text}{}", String::from_utf8_lossy(&verified.stderr));
    assert!(listener.place.program.exit_status().is_none());
}
