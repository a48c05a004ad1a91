//! The bundled VST3 plug-in in Ardour, which passes on only parameters that can be automated. The test clicks in the plug-in's
//! window with a simulated mouse, and reads the session that Ardour saves. Needs `ISOTHERM_VST3`, which `cargo xtask test`
//! sets.
//!
//! Ardour gets a home folder of its own. The test leaves a picture of the screen and Ardour's log in `target/tmp`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::panels::Panels;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use egui::Rect;
use isotherm::algorithm::REGISTRY;
use isotherm::dsp::{Algorithm, ChangeMode, Parameter, ParameterKind};
use isotherm::ui::SIZE;
use isotherm::view::Slot;
use isotherm_host::nice_state;
use isotherm_support::display::{ChildProcess, POLL_INTERVAL, VirtualDisplay, output, wait_for};
use tempfile::TempDir;
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{AtomEnum, ConfigureWindowAux, ConnectionExt as _, ImageFormat, MapState, StackMode};
use x11rb::rust_connection::RustConnection;

/// Longest time for the whole test, on a busy machine: there is much to click.
const TEST_TIMEOUT: Duration = Duration::from_secs(600);
/// Longest time for the effect of a click.
const CLICK_TIMEOUT: Duration = Duration::from_secs(60);
/// Size of the screen, with room for the plug-in's window beside Ardour's.
const SCREEN: (u32, u32) = (1600, 1000);
/// Position in the plug-in's window where there is no control.
const EMPTY_SPOT: (i32, i32) = (4, 4);
/// The theme's colour of controls that are switched on in slot A.
const SLOT_A_COLOR: [u8; 3] = [0x5c, 0xb8, 0xf2];

/// Ardour's settings: no sound card, no questions, and no plug-ins but the one that was scanned.
const CONFIG: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<Ardour>
  <Config>
    <Option name="hide-dummy-backend" value="0"/>
    <Option name="try-autostart-engine" value="1"/>
    <Option name="discover-plugins-on-start" value="0"/>
    <Option name="use-vst3" value="1"/>
    <Option name="use-plugin-own-gui" value="1"/>
  </Config>
  <Extra>
    <AudioMIDISetup>
      <EngineStates>
        <State backend="None (Dummy)" driver="Normal Speed" device="Silence" input-device="" output-device="" sample-rate="48000"
          buffer-size="1024" n-periods="0" input-latency="0" output-latency="0" lm-input="" lm-output="" active="1"
          use-buffered-io="0" midi-option="1 in, 1 out, Silence" lru="1">
          <MIDIDevices/>
        </State>
      </EngineStates>
    </AudioMIDISetup>
  </Extra>
</Ardour>
"#;

/// The Lua script that makes a session with the plug-in on a stereo track.
fn script(session: &Path) -> String {
    format!(
        r#"
AudioEngine:set_backend("None (Dummy)", "", "")
local session = create_session({session:?}, "isotherm", 48000)
assert(session, "no session")
local order = ARDOUR.PresentationInfo.max_order
for track in session:new_audio_track(2, 2, nil, 1, "isotherm", order, ARDOUR.TrackMode.Normal, true):iter() do
  local plugin = ARDOUR.LuaAPI.new_plugin(session, "Isotherm", ARDOUR.PluginType.VST3, "")
  assert(not plugin:isnil(), "no plug-in")
  assert(track:add_processor_by_index(plugin, 0, nil, true) == 0, "the track does not take the plug-in")
  print("window P-" .. track:to_stateful():id():to_s() .. "-" .. plugin:to_stateful():id():to_s())
end
session:save_state("")
close_session()
quit()
"#
    )
}

/// The installed Ardour.
struct Ardour {
    /// The number in the names of Ardour's files.
    version: String,
    /// Folder of the programs.
    programs: PathBuf,
    /// Folder of libraries and of programs that only Ardour runs.
    libraries: PathBuf,
    home: TempDir,
}

impl Ardour {
    /// The Ardour in `PATH`; None with a message if there is none.
    fn find() -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        for programs in std::env::split_paths(&path) {
            for entry in fs::read_dir(&programs).into_iter().flatten().flatten() {
                let name = entry.file_name().into_string().unwrap_or_default();
                let Some(version) = name.strip_prefix("ardour").and_then(|rest| rest.strip_suffix("-lua")) else { continue };
                let libraries = ["lib", "lib64"].map(|lib| programs.join("..").join(lib).join(format!("ardour{version}")));
                let Some(libraries) = libraries.into_iter().find(|folder| folder.join("ardour-vst3-scanner").exists()) else {
                    continue;
                };
                return Some(Self { version: version.into(), programs, libraries, home: tempfile::tempdir().unwrap() });
            }
        }
        println!("skipped: there is no ardour; `cargo xtask test --long` installs it");
        None
    }

    /// A command that runs one of Ardour's programs without the user's own settings.
    fn command(&self, program: &Path) -> Command {
        let home = self.home.path();
        let mut command = Command::new(program);
        command.env("HOME", home).env("LD_LIBRARY_PATH", &self.libraries).current_dir(home);
        for (variable, folder) in
            [("CONFIG", ".config"), ("CACHE", ".cache"), ("DATA", ".local/share"), ("STATE", ".local/state")]
        {
            command.env(format!("XDG_{variable}_HOME"), home.join(folder));
        }
        command.env("XDG_RUNTIME_DIR", home).env_remove("DBUS_SESSION_BUS_ADDRESS").env_remove("VST3_PATH");
        command
    }

    /// Makes a session that opens with the plug-in's window. Returns its folder.
    fn session(&self, bundle: &Path, deadline: Instant) -> PathBuf {
        let home = self.home.path();
        let plugins = home.join(".vst3");
        fs::create_dir(&plugins).unwrap();
        let bundle_here = plugins.join("Isotherm.vst3");
        std::os::unix::fs::symlink(bundle.canonicalize().unwrap(), &bundle_here).unwrap();
        let settings = home.join(format!(".config/ardour{}", self.version));
        fs::create_dir_all(&settings).unwrap();
        fs::write(settings.join("config"), CONFIG).unwrap();
        // With these files Ardour believes that it is not started for the first time, so it shows neither a welcome nor news.
        for marker in [".been_here".into(), format!(".a{}", self.version)] {
            fs::write(settings.join(marker), "").unwrap();
        }

        let mut scanner = self.command(&self.libraries.join("ardour-vst3-scanner"));
        output(scanner.arg("-f").arg(&bundle_here), deadline).expect("Ardour's scanner takes the plug-in");
        let (folder, lua) = (home.join("isotherm"), home.join("session.lua"));
        fs::write(&lua, script(&folder)).unwrap();
        let program = self.programs.join(format!("ardour{}-lua", self.version));
        let printed = output(self.command(&program).arg(&lua), deadline).expect("Ardour makes a session with the plug-in");
        let printed = String::from_utf8_lossy(&printed).into_owned();
        let window = printed.lines().find_map(|line| line.split_once("window "));
        let window = window.unwrap_or_else(|| panic!("no plug-in: {printed}")).1;
        let file = session_file(&folder);
        let session = fs::read_to_string(&file).unwrap();
        let with_window =
            format!("<Extra><UI><Window name=\"{window}\" visible=\"1\" x-off=\"40\" y-off=\"40\"/></UI></Extra></Session>");
        assert!(session.contains("</Session>"));
        fs::write(&file, session.replace("</Session>", &with_window)).unwrap();
        folder
    }
}

fn session_file(folder: &Path) -> PathBuf {
    folder.join("isotherm.ardour")
}

/// The parameters in the plug-in's state that Ardour saved, by id; None while the file is incomplete.
fn saved_parameters(session: &Path) -> Option<BTreeMap<String, f32>> {
    let text = fs::read_to_string(session_file(session)).ok()?;
    let (_, plugin) = text.split_once("type=\"vst3\"")?;
    let (_, chunk) = plugin.split_once("<chunk")?;
    let (_, chunk) = chunk.split_once('>')?;
    let (chunk, _) = chunk.split_once('<')?;
    let bytes = STANDARD.decode(chunk.split_whitespace().collect::<String>()).ok()?;
    // The plug-in's state, which is JSON, is surrounded by Ardour's own data.
    let begin = bytes.iter().position(|byte| *byte == b'{')?;
    let mut values = serde_json::Deserializer::from_slice(&bytes[begin..]).into_iter();
    let json: serde_json::Value = values.next()?.ok()?;
    Some(nice_state::parameters(&nice_state::from_json(&json)).unwrap())
}

/// The plug-in's window in a running Ardour, and the simulated mouse.
struct Window {
    session: PathBuf,
    display: VirtualDisplay,
    connection: RustConnection,
    id: u32,
    /// Panels outside of Ardour, which give the positions of the controls and the values to expect.
    panels: Panels,
    log: PathBuf,
    // Dropped before `_ardour`, whose home folder it uses.
    _program: ChildProcess,
    _ardour: Ardour,
}

impl Window {
    fn open(ardour: Ardour) -> Self {
        let bundle = std::env::var_os("ISOTHERM_VST3").expect("ISOTHERM_VST3 is not set: run `cargo xtask test`");
        let deadline = Instant::now() + TEST_TIMEOUT;
        let session = ardour.session(Path::new(&bundle), deadline);
        let display = VirtualDisplay::open(SCREEN, deadline);
        let (connection, _) = RustConnection::connect(Some(&display.name)).unwrap();
        let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ardour.log");
        let log_file = File::create(&log).unwrap();
        let names = [format!("ardour{}", ardour.version), "ardour".into()].map(|name| ardour.programs.join(name));
        let program = names.iter().find(|program| program.exists()).expect("Ardour beside its Lua");
        let mut command = ardour.command(program);
        command.env("DISPLAY", &display.name).env_remove("XAUTHORITY").env_remove("WAYLAND_DISPLAY");
        command.env("LIBGL_ALWAYS_SOFTWARE", "1").stdout(log_file.try_clone().unwrap()).stderr(log_file);
        // The options: no splash screen, no question for a session.
        let mut program = ChildProcess::start(command.args(["-n", "-a"]).arg(&session));
        let id = wait_for("the plug-in's window in Ardour", deadline, || {
            if let Some(status) = program.exit_status() {
                panic!("Ardour ended: {status}\n{}", fs::read_to_string(&log).unwrap());
            }
            editor(&connection)
        });
        let window =
            Self { session, display, connection, id, panels: Panels::default(), log, _program: program, _ardour: ardour };
        window.move_mouse(EMPTY_SPOT);
        let listen_a = window.panels.area("Listen A");
        window.wait_for_picture("the plug-in's window to be painted", listen_a, |picture| share(picture, SLOT_A_COLOR) > 0.5);
        window
    }

    /// Saves a picture of the screen, to look into a failure.
    fn save_picture(&self) {
        let mut import = self.display.command("import");
        let file = format!("png:{}", self.log.with_extension("png").display());
        let _ = output(import.args(["-silent", "-window", "root", &file]), Instant::now() + Duration::from_secs(20));
    }

    /// Runs `xdotool`, which moves the mouse and types.
    fn xdotool(&self, words: &[&str]) {
        assert!(self.display.xdotool(words).is_some(), "xdotool {words:?} failed; see {}", self.log.display());
    }

    /// Moves the mouse to a position in the window, which is raised above Ardour's own windows.
    fn move_mouse(&self, (x, y): (i32, i32)) {
        let top = ConfigureWindowAux::new().stack_mode(StackMode::ABOVE);
        self.connection.configure_window(outermost(&self.connection, self.id), &top).unwrap().check().unwrap();
        self.xdotool(&["mousemove", "--window", &self.id.to_string(), &x.to_string(), &y.to_string()]);
    }

    /// The pixels of an area of the window.
    fn picture(&self, area: Rect) -> Vec<u8> {
        let (at, size) = (area.min.round(), area.size().round());
        let image =
            self.connection.get_image(ImageFormat::Z_PIXMAP, self.id, at.x as i16, at.y as i16, size.x as u16, size.y as u16, !0);
        image.unwrap().reply().unwrap().data
    }

    /// Waits until the picture of an area is as expected, and stays so for a while, as a frame may be painted bit by bit.
    fn wait_for_picture(&self, what: &str, area: Rect, is_expected: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        const STABLE_PICTURES: usize = 5;
        let (mut last, mut same) = (Vec::new(), 0);
        let deadline = self.display.deadline.min(Instant::now() + CLICK_TIMEOUT);
        loop {
            let picture = self.picture(area);
            same = if picture == last { same + 1 } else { 0 };
            if same >= STABLE_PICTURES && is_expected(&picture) {
                return picture;
            }
            last = picture;
            if Instant::now() > deadline {
                self.save_picture();
                panic!("waited too long for {what}; see {}", self.log.with_extension("png").display());
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// Moves the mouse onto a control and waits until the window shows that: a slow machine could take a move and a click in
    /// one frame for one event. Returns the control's area, and its pictures without and with the mouse on it.
    fn hover(&self, label: &str) -> (Rect, [Vec<u8>; 2]) {
        let area = self.panels.area(label);
        let (before, middle) = (self.wait_for_picture(label, area, |_| true), area.center().round());
        self.move_mouse((middle.x as i32, middle.y as i32));
        let hovered = self.wait_for_picture(&format!("{label} to see the mouse"), area, |picture| picture != before);
        (area, [before, hovered])
    }

    /// Clicks a control in the window, waits until it looks different, and clicks it in the panels, too.
    fn click(&mut self, label: &str) {
        let (area, known) = self.hover(label);
        self.xdotool(&["click", "1"]);
        self.wait_for_picture(&format!("{label} to follow a click"), area, |picture| {
            known.iter().all(|known| picture != known.as_slice())
        });
        self.move_mouse(EMPTY_SPOT);
        self.panels.click(label);
    }

    /// Turns a knob in the window down by one notch of the mouse wheel.
    fn turn_down(&self, label: &str) {
        let (area, known) = self.hover(label);
        self.xdotool(&["click", "5"]);
        self.wait_for_picture(&format!("{label} to follow the wheel"), area, |picture| {
            known.iter().all(|known| picture != known.as_slice())
        });
        self.move_mouse(EMPTY_SPOT);
    }

    /// Lets Ardour save again and again, until the parameters in the session are as they should be or the time is up. Returns
    /// them.
    fn save(&self, is_expected: impl Fn(&BTreeMap<String, f32>) -> bool) -> BTreeMap<String, f32> {
        let deadline = self.display.deadline.min(Instant::now() + CLICK_TIMEOUT);
        loop {
            // A click gave the keyboard to the plug-in's window: Ardour's gets it back.
            self.xdotool(&["search", "--onlyvisible", "--name", "isotherm - Ardour", "windowfocus", "--sync", "key", "ctrl+s"]);
            std::thread::sleep(Duration::from_secs(1));
            let late = Instant::now() > deadline;
            match saved_parameters(&self.session) {
                Some(found) if late || is_expected(&found) => {
                    self.save_picture();
                    return found;
                }
                None if late => panic!("no plug-in in {}", session_file(&self.session).display()),
                _ => {}
            }
        }
    }

    /// Chooses a value by its name: a segment of a control, or an entry of its list.
    fn choose(&mut self, label: &str, name: &str) {
        let segment = format!("{label}: {name}");
        if self.panels.has(&segment) {
            self.click(&segment);
        } else {
            // A control with an open list looks as one under the mouse does: the entry shows that the list is open.
            self.hover(label);
            self.panels.click(label);
            let area = self.panels.area(name);
            let before = self.wait_for_picture(name, area, |_| true);
            self.xdotool(&["click", "1"]);
            self.wait_for_picture(&format!("{label} to open"), area, |picture| picture != before.as_slice());
            self.click(name);
        }
    }
}

/// The plug-in's window among those of the display: the one that is marked as embeddable and has the editor's size.
fn editor(connection: &RustConnection) -> Option<u32> {
    let embedded = connection.intern_atom(false, b"_XEMBED_INFO").ok()?.reply().ok()?.atom;
    let mut windows = vec![connection.setup().roots[0].root];
    while let Some(window) = windows.pop() {
        // An error means that the window is gone already.
        let found = || {
            let mark = connection.get_property(false, window, embedded, AtomEnum::ANY, 0, 2).ok()?.reply().ok()?;
            let size = connection.get_geometry(window).ok()?.reply().ok()?;
            let attributes = connection.get_window_attributes(window).ok()?.reply().ok()?;
            let is_ours = mark.value_len > 0 && (u32::from(size.width), u32::from(size.height)) == SIZE;
            Some(is_ours && attributes.map_state == MapState::VIEWABLE)
        };
        if found() == Some(true) {
            return Some(window);
        }
        let tree = connection.query_tree(window).ok().and_then(|cookie| cookie.reply().ok());
        windows.extend(tree.into_iter().flat_map(|tree| tree.children));
    }
    None
}

/// The outermost window that contains a window.
fn outermost(connection: &RustConnection, mut window: u32) -> u32 {
    loop {
        let tree = connection.query_tree(window).unwrap().reply().unwrap();
        if tree.parent == tree.root {
            return window;
        }
        window = tree.parent;
    }
}

/// Share of the pixels of a picture that have a colour.
fn share(picture: &[u8], color: [u8; 3]) -> f32 {
    let pixels = picture.as_chunks::<4>().0;
    let is_near = |[b, g, r, _]: &&[u8; 4]| [*r, *g, *b].iter().zip(color).all(|(a, b)| a.abs_diff(b) <= 6);
    pixels.iter().filter(is_near).count() as f32 / pixels.len() as f32
}

/// The id of a parameter.
fn id(slot: Slot, row: &Algorithm, parameter: &Parameter) -> String {
    format!("{}_{}_{}", slot.name().to_lowercase(), row.id, parameter.id)
}

#[test]
fn every_control_that_ardour_does_not_automate_works_in_its_window_and_is_saved() {
    if std::env::var_os("ISOTHERM_LONG").is_none() {
        println!("skipped: clicks through Ardour for minutes; ISOTHERM_LONG=1 runs it");
        return;
    }
    let Some(ardour) = Ardour::find() else { return };
    let mut window = Window::open(ardour);
    let begin = saved_parameters(&window.session).expect("the plug-in in the session");
    assert_eq!(begin, window.panels.values(), "a new instance");

    let mut turned_down = Vec::new();
    for slot in Slot::ALL {
        let chooser = format!("{} algorithm", slot.name());
        let id_of_algorithm = format!("{}_algorithm", slot.name().to_lowercase());
        let first = begin[&id_of_algorithm] as usize;
        for step in 0..REGISTRY.len() {
            let row = REGISTRY[(first + step) % REGISTRY.len()];
            if step > 0 {
                window.choose(&chooser, row.name);
            }
            for parameter in row.parameters.iter().filter(|parameter| parameter.change == ChangeMode::Structural) {
                let label = format!("{} {}", slot.name(), parameter.name);
                match parameter.kind {
                    ParameterKind::Toggle { .. } => window.click(&label),
                    // The last value, or the first if the last is the default.
                    ParameterKind::Choice { names, default } => {
                        window.choose(&label, names[(names.len() - 1) * usize::from(default + 1 < names.len())])
                    }
                    ParameterKind::Float { .. } => {
                        window.turn_down(&label);
                        turned_down.push(id(slot, row, parameter));
                    }
                }
            }
        }
    }
    window.click("Arm");
    window.click("Blind");

    // The panels here have no takes, so arming does not show in their values.
    let mut clicked = window.panels.values();
    clicked.insert("record_arm".into(), 1.0);
    clicked.retain(|id, value| begin[id] != *value);
    let missed = |found: &BTreeMap<String, f32>| {
        let off = clicked.iter().filter(|(id, value)| found.get(*id) != Some(*value));
        off.map(|(id, value)| format!("{id}: clicked {value}, saved {:?}", found.get(id))).collect::<Vec<_>>()
    };
    let found = window.save(|found| missed(found).is_empty());
    assert!(missed(&found).is_empty(), "{:?}", missed(&found));
    for id in turned_down {
        assert!(found[&id] < begin[&id], "{id}");
    }
}
