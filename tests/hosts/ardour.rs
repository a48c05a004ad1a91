//! The bundled VST3 plug-in in Ardour, which passes on only what can be automated: a hand on the mouse in the plug-in's window, and a
//! look at the session that Ardour saves. Needs `ISOTHERM_VST3`, which `cargo xtask test` sets.
//!
//! Ardour lives in a home of its own here. Leaves a picture of the screen, and what Ardour said, in `target/tmp`.

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
use isotherm::dsp::{Algorithm, Change, Kind, Parameter};
use isotherm::ui::{SIZE, Slot};
use isotherm_host::nice_state;
use isotherm_support::display::{Display, PAUSE, Running, output, wait};
use tempfile::TempDir;
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{AtomEnum, ConfigureWindowAux, ConnectionExt as _, ImageFormat, MapState, StackMode};
use x11rb::rust_connection::RustConnection;

/// For the whole test, on a machine that does much else: Ardour takes its time, and there is much to click.
const PATIENCE: Duration = Duration::from_secs(600);
/// For what follows a click.
const PROMPT: Duration = Duration::from_secs(60);
/// Room for the plug-in's window beside the session's.
const SCREEN: (u32, u32) = (1600, 1000);
/// Nothing answers to the mouse here.
const NOWHERE: (i32, i32) = (4, 4);
/// Of the editor's theme: what is switched on in slot A.
const COOL: [u8; 3] = [0x5c, 0xb8, 0xf2];

/// Sound without a sound card and without a question, and no plug-ins but the one that was scanned.
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

/// A stereo track with the plug-in, in a session.
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

/// An Ardour that is installed.
struct Ardour {
    /// The number in the names of its files.
    version: String,
    programs: PathBuf,
    /// Where it keeps programs that only it runs.
    libraries: PathBuf,
    home: TempDir,
}

impl Ardour {
    /// None, said aloud, where there is none.
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

    /// One of its programs, which finds nothing of the user's.
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

    /// Makes a session that opens with the plug-in's window; gives its folder.
    fn session(&self, bundle: &Path, end: Instant) -> PathBuf {
        let home = self.home.path();
        let plugins = home.join(".vst3");
        fs::create_dir(&plugins).unwrap();
        let bundle_here = plugins.join("Isotherm.vst3");
        std::os::unix::fs::symlink(bundle.canonicalize().unwrap(), &bundle_here).unwrap();
        let settings = home.join(format!(".config/ardour{}", self.version));
        fs::create_dir_all(&settings).unwrap();
        fs::write(settings.join("config"), CONFIG).unwrap();
        // It has been started before, and says nothing of its new version.
        for seen in [".been_here".into(), format!(".a{}", self.version)] {
            fs::write(settings.join(seen), "").unwrap();
        }

        let mut scanner = self.command(&self.libraries.join("ardour-vst3-scanner"));
        output(scanner.arg("-f").arg(&bundle_here), end).expect("Ardour's scanner takes the plug-in");
        let (folder, lua) = (home.join("isotherm"), home.join("session.lua"));
        fs::write(&lua, script(&folder)).unwrap();
        let program = self.programs.join(format!("ardour{}-lua", self.version));
        let said = output(self.command(&program).arg(&lua), end).expect("Ardour makes a session with the plug-in");
        let said = String::from_utf8_lossy(&said).into_owned();
        let window = said.lines().find_map(|line| line.split_once("window ")).unwrap_or_else(|| panic!("no plug-in: {said}")).1;
        let file = session_file(&folder);
        let session = fs::read_to_string(&file).unwrap();
        let shown =
            format!("<Extra><UI><Window name=\"{window}\" visible=\"1\" x-off=\"40\" y-off=\"40\"/></UI></Extra></Session>");
        assert!(session.contains("</Session>"));
        fs::write(&file, session.replace("</Session>", &shown)).unwrap();
        folder
    }
}

fn session_file(folder: &Path) -> PathBuf {
    folder.join("isotherm.ardour")
}

/// What the plug-in gave Ardour to save, by parameter; none while the file is not whole.
fn saved(session: &Path) -> Option<BTreeMap<String, f32>> {
    let text = fs::read_to_string(session_file(session)).ok()?;
    let (_, plugin) = text.split_once("type=\"vst3\"")?;
    let (_, chunk) = plugin.split_once("<chunk")?;
    let (_, chunk) = chunk.split_once('>')?;
    let (chunk, _) = chunk.split_once('<')?;
    let bytes = STANDARD.decode(chunk.split_whitespace().collect::<String>()).ok()?;
    // Ardour's own lies around the plug-in's, which is JSON.
    let begin = bytes.iter().position(|byte| *byte == b'{')?;
    let mut values = serde_json::Deserializer::from_slice(&bytes[begin..]).into_iter();
    let json: serde_json::Value = values.next()?.ok()?;
    Some(nice_state::parameters(&nice_state::from_json(&json)).unwrap())
}

/// The plug-in's window in a running Ardour, and a hand on the mouse.
struct Window {
    session: PathBuf,
    display: Display,
    connection: RustConnection,
    id: u32,
    panels: Panels,
    log: PathBuf,
    // Goes before its home.
    _program: Running,
    _ardour: Ardour,
}

impl Window {
    fn open(ardour: Ardour) -> Self {
        let bundle = std::env::var_os("ISOTHERM_VST3").expect("ISOTHERM_VST3 is not set: run `cargo xtask test`");
        let end = Instant::now() + PATIENCE;
        let session = ardour.session(Path::new(&bundle), end);
        let display = Display::open(SCREEN, end);
        let (connection, _) = RustConnection::connect(Some(&display.name)).unwrap();
        let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ardour.log");
        let said = File::create(&log).unwrap();
        let named = [format!("ardour{}", ardour.version), "ardour".into()].map(|name| ardour.programs.join(name));
        let program = named.iter().find(|program| program.exists()).expect("Ardour beside its Lua");
        let mut command = ardour.command(program);
        command.env("DISPLAY", &display.name).env_remove("XAUTHORITY").env_remove("WAYLAND_DISPLAY");
        command.env("LIBGL_ALWAYS_SOFTWARE", "1").stdout(said.try_clone().unwrap()).stderr(said);
        // No splash, and no asking for a session.
        let mut program = Running::start(command.args(["-n", "-a"]).arg(&session));
        let id = wait("the plug-in's window in Ardour", end, || {
            if let Some(status) = program.ended() {
                panic!("Ardour ended: {status}\n{}", fs::read_to_string(&log).unwrap());
            }
            editor(&connection)
        });
        let window =
            Self { session, display, connection, id, panels: Panels::default(), log, _program: program, _ardour: ardour };
        window.point(NOWHERE);
        let heard = window.panels.area("Listen A");
        window.settled("the plug-in's window to be painted", heard, |picture| share(picture, COOL) > 0.5);
        window
    }

    /// For those who want to see what was tested.
    fn keep(&self) {
        let mut import = self.display.command("import");
        let file = format!("png:{}", self.log.with_extension("png").display());
        let _ = output(import.args(["-silent", "-window", "root", &file]), Instant::now() + Duration::from_secs(20));
    }

    fn xdotool(&self, words: &[&str]) {
        assert!(self.display.xdotool(words).is_some(), "xdotool {words:?} failed; see {}", self.log.display());
    }

    /// Moves the hand there, with nothing of Ardour's above the window.
    fn point(&self, (x, y): (i32, i32)) {
        let top = ConfigureWindowAux::new().stack_mode(StackMode::ABOVE);
        self.connection.configure_window(outermost(&self.connection, self.id), &top).unwrap().check().unwrap();
        self.xdotool(&["mousemove", "--window", &self.id.to_string(), &x.to_string(), &y.to_string()]);
    }

    fn picture(&self, area: Rect) -> Vec<u8> {
        let (at, size) = (area.min.round(), area.size().round());
        let image =
            self.connection.get_image(ImageFormat::Z_PIXMAP, self.id, at.x as i16, at.y as i16, size.x as u16, size.y as u16, !0);
        image.unwrap().reply().unwrap().data
    }

    /// Looks until an area is as it should be, and stays so for a while: a frame may be painted bit by bit.
    fn settled(&self, what: &str, area: Rect, is: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        const WHILE: usize = 5;
        let (mut last, mut same) = (Vec::new(), 0);
        let end = self.display.end.min(Instant::now() + PROMPT);
        loop {
            let picture = self.picture(area);
            same = if picture == last { same + 1 } else { 0 };
            if same >= WHILE && is(&picture) {
                return picture;
            }
            last = picture;
            if Instant::now() > end {
                self.keep();
                panic!("waited too long for {what}; see {}", self.log.with_extension("png").display());
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Puts the hand on a control, and looks whether the window saw it: moves and clicks that fall into one frame of a slow machine
    /// would not be told apart. Gives the control's area, and its picture before and under the hand.
    fn touch(&self, label: &str) -> (Rect, [Vec<u8>; 2]) {
        let area = self.panels.area(label);
        let (before, middle) = (self.settled(label, area, |_| true), area.center().round());
        self.point((middle.x as i32, middle.y as i32));
        let hovered = self.settled(&format!("{label} to see the hand"), area, |picture| picture != before);
        (area, [before, hovered])
    }

    /// Clicks a control in this window, looks whether that did something, and clicks it in the panels.
    fn click(&mut self, label: &str) {
        let (area, known) = self.touch(label);
        self.xdotool(&["click", "1"]);
        self.settled(&format!("{label} to follow a click"), area, |picture| {
            known.iter().all(|known| picture != known.as_slice())
        });
        self.point(NOWHERE);
        self.panels.click(label);
    }

    /// Turns a knob of this window by one notch of the wheel.
    fn turn_down(&self, label: &str) {
        let (area, known) = self.touch(label);
        self.xdotool(&["click", "5"]);
        self.settled(&format!("{label} to follow the wheel"), area, |picture| {
            known.iter().all(|known| picture != known.as_slice())
        });
        self.point(NOWHERE);
    }

    /// Lets Ardour save until the session is as it should be, or for a while; gives what is in it.
    fn save(&self, is: impl Fn(&BTreeMap<String, f32>) -> bool) -> BTreeMap<String, f32> {
        let end = self.display.end.min(Instant::now() + PROMPT);
        loop {
            // A click gives the keys to the plug-in's window.
            self.xdotool(&["search", "--onlyvisible", "--name", "isotherm - Ardour", "windowfocus", "--sync", "key", "ctrl+s"]);
            std::thread::sleep(Duration::from_secs(1));
            let late = Instant::now() > end;
            match saved(&self.session) {
                Some(found) if late || is(&found) => {
                    self.keep();
                    return found;
                }
                None if late => panic!("no plug-in in {}", session_file(&self.session).display()),
                _ => {}
            }
        }
    }

    /// Chooses by a name: a segment, or in a list that opens.
    fn choose(&mut self, label: &str, name: &str) {
        let segment = format!("{label}: {name}");
        if self.panels.has(&segment) {
            self.click(&segment);
        } else {
            // An open list looks like one under the hand, but for what it lists.
            self.touch(label);
            self.panels.click(label);
            let area = self.panels.area(name);
            let before = self.settled(name, area, |_| true);
            self.xdotool(&["click", "1"]);
            self.settled(&format!("{label} to open"), area, |picture| picture != before.as_slice());
            self.click(name);
        }
    }
}

/// The editor's window among those of the display.
fn editor(connection: &RustConnection) -> Option<u32> {
    let embedded = connection.intern_atom(false, b"_XEMBED_INFO").ok()?.reply().ok()?.atom;
    let mut windows = vec![connection.setup().roots[0].root];
    while let Some(window) = windows.pop() {
        // Windows come and go meanwhile.
        let found = || {
            let told = connection.get_property(false, window, embedded, AtomEnum::ANY, 0, 2).ok()?.reply().ok()?;
            let size = connection.get_geometry(window).ok()?.reply().ok()?;
            let looks = connection.get_window_attributes(window).ok()?.reply().ok()?;
            let is_ours = told.value_len > 0 && (u32::from(size.width), u32::from(size.height)) == SIZE;
            Some(is_ours && looks.map_state == MapState::VIEWABLE)
        };
        if found() == Some(true) {
            return Some(window);
        }
        let tree = connection.query_tree(window).ok().and_then(|cookie| cookie.reply().ok());
        windows.extend(tree.into_iter().flat_map(|tree| tree.children));
    }
    None
}

/// The window around others that a window is in.
fn outermost(connection: &RustConnection, mut window: u32) -> u32 {
    loop {
        let tree = connection.query_tree(window).unwrap().reply().unwrap();
        if tree.parent == tree.root {
            return window;
        }
        window = tree.parent;
    }
}

/// Share of a picture's pixels that have a colour.
fn share(picture: &[u8], color: [u8; 3]) -> f32 {
    let pixels = picture.as_chunks::<4>().0;
    let is = |[b, g, r, _]: &&[u8; 4]| [*r, *g, *b].iter().zip(color).all(|(a, b)| a.abs_diff(b) <= 6);
    pixels.iter().filter(is).count() as f32 / pixels.len() as f32
}

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
    let begin = saved(&window.session).expect("the plug-in in the session");
    assert_eq!(begin, window.panels.values(), "a new instance");

    let mut turned = Vec::new();
    for slot in Slot::ALL {
        let chooser = format!("{} algorithm", slot.name());
        let id_of_algorithm = format!("{}_algorithm", slot.name().to_lowercase());
        let first = begin[&id_of_algorithm] as usize;
        for step in 0..REGISTRY.len() {
            let row = REGISTRY[(first + step) % REGISTRY.len()];
            if step > 0 {
                window.choose(&chooser, row.name);
            }
            for parameter in row.parameters.iter().filter(|parameter| parameter.change == Change::Structural) {
                let label = format!("{} {}", slot.name(), parameter.name);
                match parameter.kind {
                    Kind::Toggle { .. } => window.click(&label),
                    // The last, or the first if that is the last.
                    Kind::Choice { names, default } => {
                        window.choose(&label, names[(names.len() - 1) * usize::from(default + 1 < names.len())])
                    }
                    Kind::Float { .. } => {
                        window.turn_down(&label);
                        turned.push(id(slot, row, parameter));
                    }
                }
            }
        }
    }
    window.click("Arm");
    window.click("Blind");

    // The panels leave takes to their owner.
    let mut clicked = window.panels.values();
    clicked.insert("record_arm".into(), 1.0);
    clicked.retain(|id, value| begin[id] != *value);
    let missed = |found: &BTreeMap<String, f32>| {
        let off = clicked.iter().filter(|(id, value)| found.get(*id) != Some(*value));
        off.map(|(id, value)| format!("{id}: clicked {value}, saved {:?}", found.get(id))).collect::<Vec<_>>()
    };
    let found = window.save(|found| missed(found).is_empty());
    assert!(missed(&found).is_empty(), "{:?}", missed(&found));
    for id in turned {
        assert!(found[&id] < begin[&id], "{id}");
    }
}
