//! A whole listening test in the window of the plug-in in a CLAP host, on a display without a screen: by keys alone, taken by a
//! scripted listener who hears the host's output.
//!
//! The test runs in a process of its own, whose home folder gets the session. Leaves pictures in `target/tmp`.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use egui::{Pos2, Rect, UiBuilder, vec2};
use egui_kittest::Harness;
use isotherm::algorithm::REGISTRY;
use isotherm::audio::generate::guitar;
use isotherm::instance::Instance;
use isotherm::listen::verify;
use isotherm::ui::{Editor, SIZE};
use isotherm::view::{InstanceView, ListenView};
use isotherm_host::{ClapInstance, nice_state};
use isotherm_support::display::{is_on_display_at_home, output};
use serde_json::json;
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{ConnectionExt as _, CreateWindowAux, WindowClass};
use x11rb::rust_connection::RustConnection;

use crate::editor_windows::clap_entry;
use crate::listener::{Listener, Place, Points, pixel};
use crate::panels::Panels;

/// Time that the whole test may take, on a machine that is busy with other things.
const TIMEOUT: Duration = Duration::from_secs(420);
const RATE: usize = 48_000;
const BLOCK: usize = 512;
/// The theme's colour of controls that are switched on in slot A.
const SLOT_A_COLOR: [u8; 3] = [0x5c, 0xb8, 0xf2];
/// Trials of the positive control.
const CONTROLS: usize = 5;
/// The answers in the test: true for a right one. 14 of 16.
const SCRIPT: [bool; 16] = [true, true, true, false, true, true, true, true, true, true, false, true, true, true, true, true];

/// The plug-in's window in a host that runs sound.
struct PluginPlace {
    plugin: ClapInstance,
    connection: RustConnection,
    window: u32,
    /// A sound that repeats.
    input: Vec<Vec<f32>>,
    /// Frames that ran so far.
    at: usize,
}

impl PluginPlace {
    fn open() -> Self {
        let (connection, screen) = RustConnection::connect(None).unwrap();
        let root = connection.setup().roots[screen].root;
        let window = connection.generate_id().unwrap();
        let attributes = CreateWindowAux::new().background_pixel(0).override_redirect(1);
        let (width, height) = (SIZE.0 as u16, SIZE.1 as u16);
        connection
            .create_window(0, window, root, 0, 0, width, height, 0, WindowClass::INPUT_OUTPUT, 0, &attributes)
            .unwrap()
            .check()
            .unwrap();
        connection.map_window(window).unwrap().check().unwrap();

        // SAFETY: the entry is a static of this program.
        let mut plugin = unsafe { ClapInstance::linked((&raw const clap_entry).cast()) }.unwrap();
        // The saturator in A, and its twin in B.
        let twin = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/models/saturator-24db-lstm16.nam");
        let field = json!({ "name": twin.file_name().unwrap().to_str(), "folder": twin.parent().unwrap().to_str() });
        plugin.set_text("B Algorithm", isotherm::neural::ALGORITHM.name).unwrap();
        plugin.set_text("A Saturator Drive", "24").unwrap();
        // Far enough from full scale for the gate on clipping.
        plugin.set_text("A Saturator Output", "-9").unwrap();
        let state = nice_state::with_field(&plugin.save().unwrap(), "b_model", &field.to_string()).unwrap();
        plugin.load_state(&state).unwrap();
        plugin.activate(RATE as f64, BLOCK as u32).unwrap();
        plugin.create_window().unwrap();
        plugin.show_window(window).unwrap();
        let sound = guitar(RATE as u32, 2, 5).unwrap();
        let input = (0..2).map(|c| sound.channel(c).iter().map(|x| 0.5 * x).collect()).collect();
        Self { plugin, connection, window, input, at: 0 }
    }

    /// Runs blocks of sound. Returns the left channel of the output.
    fn play(&mut self, blocks: usize) -> Vec<f32> {
        let period = self.input[0].len();
        let part: Vec<Vec<f32>> =
            self.input.iter().map(|channel| (self.at..self.at + blocks * BLOCK).map(|n| channel[n % period]).collect()).collect();
        self.at += blocks * BLOCK;
        self.plugin.run_main_thread_callbacks();
        self.plugin.render(&part, [BLOCK], &[]).unwrap().swap_remove(0)
    }

    fn click(&mut self, area: Rect) {
        let at = area.center();
        let words = [format!("mousemove {} {}", at.x.round(), at.y.round()), "click 1".into(), "mousemove 4 4".into()];
        for words in words {
            self.xdotool(&words.split(' ').collect::<Vec<_>>());
            // Several frames of a slow machine.
            self.pass(Duration::from_millis(500));
        }
    }

    fn xdotool(&self, words: &[&str]) {
        let deadline = Instant::now() + Duration::from_secs(20);
        output(Command::new("xdotool").args(words), deadline).unwrap_or_else(|| panic!("xdotool {words:?} failed"));
    }
}

impl Place for PluginPlace {
    fn press(&mut self, key: &str) {
        self.xdotool(&["key", key]);
    }

    fn color(&mut self, at: Pos2) -> [u8; 3] {
        pixel(&self.connection, self.window, at)
    }

    fn hear(&mut self, frames: usize) -> (u64, Vec<f32>) {
        let start = self.at as u64;
        let mut heard = self.play(frames.div_ceil(BLOCK));
        heard.truncate(frames);
        (start, heard)
    }

    fn pass(&mut self, time: Duration) {
        let begun = Instant::now();
        let mut frames = 0;
        while begun.elapsed() < time {
            let due = (begun.elapsed().as_secs_f64() * RATE as f64) as usize;
            while frames < due {
                self.play(1);
                frames += BLOCK;
            }
            std::thread::sleep(Duration::from_millis(4));
        }
    }

    fn save_picture(&mut self, name: &str) {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("listening-plugin-{name}.png"));
        let deadline = Instant::now() + Duration::from_secs(20);
        let _ = output(Command::new("import").args(["-silent", "-window", "root", &format!("png:{}", file.display())]), deadline);
    }
}

/// The points of the plug-in's window.
fn points() -> Points {
    let size = vec2(SIZE.0 as f32, SIZE.1 as f32);
    let mut harness = Harness::builder().with_size(size).build_ui_state(
        move |ui, (editor, instance, listen): &mut (Editor, Instance, ListenView)| {
            // The whole area is used, as a window has no margin; the harness has one.
            let whole = Rect::from_min_size(Pos2::ZERO, size);
            let mut ui = ui.new_child(UiBuilder::new().max_rect(whole));
            ui.set_clip_rect(whole);
            let view = InstanceView { listen: listen.clone(), ..instance.view() };
            instance.with_controls(&|_| {}, |controls| editor.show(&mut ui, controls, &view));
        },
        (Editor::new(REGISTRY), Instance::default(), ListenView::default()),
    );
    Points::find(&mut harness, |state, view| state.2 = view)
}

#[test]
fn a_test_of_16_trials_is_taken_by_keys_and_hearing_alone_and_verified() {
    let home = tempfile::tempdir().unwrap();
    let name = "a_test_of_16_trials_is_taken_by_keys_and_hearing_alone_and_verified";
    let screen = (SIZE.0, SIZE.1);
    if !is_on_display_at_home(module_path!(), name, screen, TIMEOUT, Some(home.path()), |_| ()) {
        return;
    }
    let mut place = PluginPlace::open();
    let deadline = Instant::now() + TIMEOUT;
    while place.color(Pos2::new(126.0, 32.0)) != SLOT_A_COLOR {
        assert!(Instant::now() < deadline, "the editor is not painted");
        place.pass(Duration::from_millis(200));
    }
    // The twin is read, and encoded for the state.
    place.pass(Duration::from_secs(3));
    assert!(!place.plugin.process_requested());
    place.click(Panels::default().area("Listening tests"));
    // A host that lets the plug-in sleep in silence is asked to wake it.
    while !place.plugin.process_requested() {
        assert!(Instant::now() < deadline, "the host was not asked for blocks");
        place.pass(Duration::from_millis(100));
    }
    // Enough for a loop.
    place.play(4 * RATE / BLOCK);
    // The panel leaves the keys to the host until it is clicked.
    let points = points();
    place.click(Rect::from_center_size(points.title, egui::Vec2::ZERO));
    place.press("l");
    place.pass(Duration::from_secs(1));
    place.save_picture("setup");
    let before = place.plugin.save().unwrap();
    place.press("Return");
    let sessions = isotherm::listen::default_folder();
    let mut listener = Listener { place, points, sessions, deadline };
    let folder = listener.take_test(&SCRIPT, CONTROLS);
    let verified = verify(&folder, None).unwrap();
    assert!(verified.passed(), "{verified:?}");
    assert!(verified.sentences.iter().any(|sentence| sentence.contains("14 of 16")), "{:?}", verified.sentences);
    // The host would save the same state as before the test.
    assert_eq!(listener.place.plugin.save().unwrap(), before);
    // The output is the slots' again.
    listener.place.press("Return");
    listener.place.pass(Duration::from_secs(1));
    listener.place.save_picture("after");
    assert!(listener.place.play(20).iter().any(|x| x.abs() > 0.01));
}
