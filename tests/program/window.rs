//! The program in a real window: `isotherm app` on a display without a screen, with a hand on its mouse and a look at its picture.
//!
//! Leaves the last picture of each test, and what the program said, in `target/tmp`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use isotherm::record::{Manifest, verify};
use isotherm::ui::PROGRAM_SIZE as SIZE;
use isotherm_support::display::{Display, PATIENCE, Running, output, paintings, wait};
use x11rb::connection::Connection;
use x11rb::protocol::xproto::{AtomEnum, ClientMessageEvent, ConnectionExt, EventMask};
use x11rb::rust_connection::RustConnection;

type Color = [u8; 3];
/// Of the editor's theme: slot A, slot B, and what is switched on in general.
const COOL: Color = [0x5c, 0xb8, 0xf2];
const WARM: Color = [0xf2, 0x9a, 0x4a];
const NEUTRAL: Color = [0xc9, 0xce, 0xd6];
const ALARM: Color = [0xff, 0x6b, 0x61];
/// Under the mouse.
const HOVERED: Color = [0x35, 0x3a, 0x43];

/// Left, top, width and height in the window.
#[derive(Clone, Copy, Debug)]
struct Area(usize, usize, usize, usize);

const LISTEN_A: Area = Area(469, 89, 104, 42);
const LISTEN_B: Area = Area(577, 89, 104, 42);
const BYPASS: Area = Area(829, 96, 66, 28);
/// The first dial of each card.
const KNOB_A: Area = Area(381, 248, 60, 46);
const KNOB_B: Area = Area(771, 248, 60, 46);
const HOST: Area = Area(17, 16, 72, 24);
/// The third of the hosts, while they are shown.
const FILE: Area = Area(24, 95, 58, 18);
const DEVICE: Area = Area(100, 16, 480, 24);
const START: Area = Area(1170, 16, 74, 24);
const RECORD: Area = Area(417, 147, 74, 22);
/// Of all strips, a column each.
const ARMED: Area = Area(159, 120, 18, 640);
const LEVELS: Area = Area(182, 120, 68, 640);
/// Above the log, while there is an unfinished take.
const RECOVER: Area = Area(1168, 752, 70, 20);
/// Nothing answers to the mouse here.
const NOWHERE: (usize, usize) = (4, 4);

impl Area {
    fn middle(self) -> (usize, usize) {
        (self.0 + self.2 / 2, self.1 + self.3 / 2)
    }
}

/// One window at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// The program in its window.
struct Window {
    id: u32,
    program: Running,
    log: PathBuf,
    display: Display,
    _alone: MutexGuard<'static, ()>,
}

/// Pixels of the window.
struct Picture(Vec<u8>);

impl Window {
    /// The program with settings of its own, once it shows what it starts with.
    fn open(name: &str, options: &[&str]) -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let end = Instant::now() + PATIENCE;
        let display = Display::open((1280, 860), end);
        let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.log"));
        let said = File::create(&log).unwrap();
        let mut command = display.command(env!("CARGO_BIN_EXE_isotherm"));
        let settings = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.json"));
        let _ = fs::remove_file(&settings);
        command.args(["app", "--settings"]).arg(settings).args(options).env("LIBGL_ALWAYS_SOFTWARE", "1");
        command.stdout(said.try_clone().unwrap()).stderr(said);
        let mut program = Running::start(&mut command);
        let id = wait("the window", end, || {
            if let Some(status) = program.ended() {
                panic!("the program ended: {status}\n{}", fs::read_to_string(&log).unwrap());
            }
            display.xdotool(&["search", "--onlyvisible", "--name", "^Isotherm$"])?.lines().next()?.parse().ok()
        });
        let window = Self { id, program, log, display, _alone: alone };
        window.point(NOWHERE);
        window.until("slot A to be heard", |picture| picture.share(LISTEN_A, COOL) > 0.5);
        window
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    fn xdotool(&self, words: &[&str]) -> String {
        self.display.xdotool(words).unwrap_or_else(|| panic!("xdotool {words:?} failed\n{}", self.said()))
    }

    fn size(&self) -> (u32, u32) {
        let text = self.xdotool(&["getwindowgeometry", "--shell", &self.id.to_string()]);
        let number = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.parse().ok()).unwrap();
        (number("WIDTH="), number("HEIGHT="))
    }

    /// Runs `import`, which writes `to`.
    fn import(&self, to: &str) -> Vec<u8> {
        let mut command = self.display.command("import");
        command.args(["-silent", "-window", &self.id.to_string(), "-depth", "8", to]);
        output(&mut command, self.display.end).unwrap_or_else(|| panic!("no picture of the window\n{}", self.said()))
    }

    fn picture(&self) -> Picture {
        let bytes = self.import("rgb:-");
        assert_eq!(bytes.len(), (3 * SIZE.0 * SIZE.1) as usize);
        Picture(bytes)
    }

    /// Looks until the picture is as it should be.
    fn until(&self, what: &str, is: impl Fn(&Picture) -> bool) -> Picture {
        let picture = wait(&format!("{what} ({})", self.log.display()), self.display.end, || {
            let picture = self.picture();
            is(&picture).then_some(picture)
        });
        self.import(&format!("png:{}", self.log.with_extension("png").display()));
        picture
    }

    fn point(&self, (x, y): (usize, usize)) {
        self.xdotool(&["mousemove", "--window", &self.id.to_string(), &x.to_string(), &y.to_string()]);
    }

    /// Points, looks whether the editor saw it, clicks, and looks whether that did what it should: moves and clicks that fall into
    /// one frame of a slow machine would not be told apart.
    fn click(&self, area: Area, what: &str, is: impl Fn(&Picture) -> bool) {
        self.point(area.middle());
        self.until("the hand to be seen", |picture| picture.share(area, HOVERED) > 0.5);
        self.xdotool(&["click", "1"]);
        self.until(what, is);
        self.point(NOWHERE);
    }

    /// As [`Self::click`], on what does not look otherwise under a hand.
    fn press(&self, area: Area, what: &str, is: impl Fn(&Picture) -> bool) {
        self.point(area.middle());
        // Several frames of a slow machine.
        thread::sleep(Duration::from_secs(1));
        self.xdotool(&["click", "1"]);
        self.point(NOWHERE);
        self.until(what, is);
    }

    /// Drags a dial upwards from its lower edge, and no farther than its upper one, until the picture is as it should be.
    fn drag_up(&self, area: Area, what: &str, is: impl Fn(&Picture) -> bool) {
        let (x, y) = area.middle();
        self.point((x, y + 14));
        self.until("the hand to be seen", |picture| picture.share(area, HOVERED) > 0.1);
        self.xdotool(&["mousedown", "1"]);
        let mut step = 0;
        wait(what, self.display.end, || {
            step = (step + 2).min(28);
            self.point((x, y + 14 - step));
            is(&self.picture()).then_some(())
        });
        self.xdotool(&["mouseup", "1"]);
        self.point(NOWHERE);
    }

    /// Closes the window as a window manager does; the program has to end well.
    fn close(mut self) {
        assert!(self.program.ended().is_none(), "the program ended before its window was closed\n{}", self.said());
        let (connection, screen) = RustConnection::connect(Some(&self.display.name)).unwrap();
        let atom = |name: &[u8]| connection.intern_atom(false, name).unwrap().reply().unwrap().atom;
        let (protocols, delete) = (atom(b"WM_PROTOCOLS"), atom(b"WM_DELETE_WINDOW"));
        let known = connection.get_property(false, self.id, protocols, AtomEnum::ATOM, 0, 8).unwrap().reply().unwrap();
        assert!(known.value32().unwrap().any(|atom| atom == delete), "the window cannot be asked to close");
        let event = ClientMessageEvent::new(32, self.id, protocols, [delete, 0, 0, 0, 0]);
        connection.send_event(false, self.id, EventMask::NO_EVENT, event).unwrap().check().unwrap();
        let status = wait("the program to end", self.display.end, || self.program.ended());
        assert!(status.success(), "{status}\n{}", self.said());
        // The root window is the display's own.
        let left = connection.query_tree(connection.setup().roots[screen].root).unwrap().reply().unwrap().children;
        assert!(!left.contains(&self.id));
    }
}

impl Picture {
    fn pixels(&self, area: Area) -> impl Iterator<Item = Color> {
        let Area(left, top, width, height) = area;
        let row = move |y: usize| 3 * (y * SIZE.0 as usize + left);
        (top..top + height).flat_map(move |y| self.0[row(y)..row(y) + 3 * width].as_chunks::<3>().0).copied()
    }

    /// The share of an area that has about a colour.
    fn share(&self, area: Area, color: Color) -> f32 {
        let near = |pixel: &Color| pixel.iter().zip(color).all(|(a, b)| a.abs_diff(b) <= 8);
        self.pixels(area).filter(near).count() as f32 / (area.2 * area.3) as f32
    }

    fn is_same(&self, other: &Self, area: Area) -> bool {
        self.pixels(area).eq(other.pixels(area))
    }

    fn colors(&self) -> usize {
        let mut colors: Vec<&Color> = self.0.as_chunks::<3>().0.iter().collect();
        colors.sort_unstable();
        colors.dedup();
        colors.len()
    }
}

fn signal(name: &str, running: &Running) {
    let _ = Command::new("kill").args([&format!("-{name}"), &running.0.id().to_string()]).status();
}

#[test]
fn the_editor_answers_a_hand_and_closes() {
    let window = Window::open("editor", &[]);
    assert_eq!(window.size(), SIZE);
    let first = window.until("both knobs", |p| p.share(KNOB_A, COOL) > 0.01 && p.share(KNOB_B, WARM) > 0.01);
    // Smooth edges of text and knobs have very many.
    assert!(first.colors() > 200, "{} colours", first.colors());
    assert!(first.share(LISTEN_B, WARM) < 0.1 && first.share(BYPASS, NEUTRAL) < 0.1);

    let is_b = |p: &Picture| p.share(LISTEN_B, WARM) > 0.5 && p.share(LISTEN_A, COOL) < 0.1;
    window.click(LISTEN_B, "slot B to be heard", is_b);
    // Looking until the rest is as before: a tooltip may lie over it for a moment.
    window.until("nothing else to change", |p| is_b(p) && p.is_same(&first, BYPASS));

    let is_bypassed = |p: &Picture| p.share(BYPASS, NEUTRAL) > 0.5;
    window.click(BYPASS, "the bypass", is_bypassed);
    window
        .until("nothing else to change", |p| is_bypassed(p) && is_b(p) && p.is_same(&first, KNOB_A) && p.is_same(&first, KNOB_B));

    let is_turned = |p: &Picture| p.share(KNOB_A, COOL) > 1.2 * first.share(KNOB_A, COOL);
    window.drag_up(KNOB_A, "a longer arc", is_turned);
    window.until("nothing else to change", |p| is_turned(p) && is_bypassed(p) && p.is_same(&first, KNOB_B));
    window.close();
}

#[test]
fn a_window_at_rest_is_not_painted() {
    let window = Window::open("rest", &[]);
    // It comes to rest when what is painted at the start is done.
    let counts: Vec<usize> = (0..4).map(|_| paintings(Some(&window.display.name), window.id, || ())).collect();
    assert!(counts.iter().min() <= Some(&2), "paintings in 2 s, again and again: {counts:?}");
    // And it is awake at once.
    window.click(BYPASS, "the bypass", |p| p.share(BYPASS, NEUTRAL) > 0.5);
    window.close();
}

const CHANNELS: usize = 32;
const RATE: usize = 48_000;
/// Frames of the file, which comes again and again.
const TURN: usize = 4800;

/// 24 bits that tell channel and frame, at about -20 dBFS and above.
fn code(channel: usize, frame: usize) -> i32 {
    ((frame + 1 + (1 << 13)) << 6 | channel) as i32
}

/// A file in a device's place.
fn device(folder: &Path) -> PathBuf {
    let device = folder.join("desk.wav");
    let sample_format = hound::SampleFormat::Int;
    let spec = hound::WavSpec { channels: CHANNELS as u16, sample_rate: RATE as u32, bits_per_sample: 24, sample_format };
    let mut writer = hound::WavWriter::create(&device, spec).unwrap();
    for frame in 0..TURN {
        (0..CHANNELS).for_each(|channel| writer.write_sample(code(channel, frame)).unwrap());
    }
    writer.finalize().unwrap();
    device
}

/// A device is chosen, started, recorded and stopped by hand, and the window hangs while the take runs.
#[test]
fn a_take_by_hand_has_every_frame_of_every_channel_though_the_window_hangs() {
    let folder = tempfile::tempdir().unwrap();
    let device = device(folder.path());

    let takes = folder.path().join("takes");
    let window = Window::open("take", &["--out", takes.to_str().unwrap()]);
    let first = window.picture();
    window.click(HOST, "the hosts", |p| !p.is_same(&first, FILE));
    window.press(FILE, "the hosts to go", |p| p.is_same(&first, FILE));
    window.press(DEVICE, "the cursor", |p| !p.is_same(&first, DEVICE));
    window.xdotool(&["type", "--delay", "30", device.to_str().unwrap()]);
    window.xdotool(&["key", "Return"]);
    window.point(NOWHERE);
    let runs = |p: &Picture| p.share(START, NEUTRAL) > 0.5 && p.share(ARMED, ALARM) > 0.3;
    window.click(START, "the device to run", runs);
    window.until("levels", |p| !p.is_same(&first, LEVELS));

    window.click(RECORD, "the take to run", |p| p.share(RECORD, ALARM) > 0.3);
    let growing = wait("the take's folder", window.display.end, || fs::read_dir(&takes).ok()?.flatten().next().map(|e| e.path()));
    // Whoever draws now waits for the display.
    signal("STOP", &window.display.server);
    let begun = Instant::now();
    thread::sleep(Duration::from_secs(3));
    signal("CONT", &window.display.server);
    let hung = begun.elapsed().as_secs_f64();
    window.press(RECORD, "the take to end", |p| p.share(RECORD, ALARM) < 0.1);
    window.press(START, "the device to stop", |p| p.share(START, NEUTRAL) < 0.1);
    window.close();

    assert_eq!(verify(&growing).unwrap().problems, Vec::<String>::new());
    let manifest = Manifest::load(&growing).unwrap();
    assert_eq!((manifest.stems.len(), manifest.gaps.len()), (CHANNELS, 0));
    assert!(manifest.seconds() > hung, "{} s of {hung} s", manifest.seconds());
    for channel in 0..CHANNELS {
        let stem = growing.join(format!("{:02} Channel {}.wav", channel + 1, channel + 1));
        let mut frames = hound::WavReader::open(&stem).unwrap().into_samples::<i32>().map(Result::unwrap);
        let first = frames.next().unwrap();
        let at = (first as usize >> 6) - (1 << 13) - 1;
        assert_eq!(first, code(channel, at));
        assert!(frames.enumerate().all(|(i, x)| x == code(channel, (at + 1 + i) % TURN)), "{}", stem.display());
    }
}

/// The program in its window, with a take that has just begun.
fn recording(name: &str, folder: &Path) -> (Window, PathBuf) {
    let (device, takes) = (device(folder), folder.join("takes"));
    let paths = [device.to_str().unwrap(), takes.to_str().unwrap()];
    let window = Window::open(name, &["--host", "file", "--device", paths[0], "--out", paths[1], "--record"]);
    let first = |take: &PathBuf| fs::metadata(take.join("01 Channel 1.wav")).is_ok_and(|file| file.len() > 3 * RATE as u64);
    let find = || fs::read_dir(&takes).ok()?.flatten().next().map(|entry| entry.path()).filter(first);
    let take = wait("the take to grow", window.display.end, find);
    (window, take)
}

fn is_whole(take: &Path) {
    assert_eq!(verify(take).unwrap().problems, Vec::<String>::new());
    assert_eq!((Manifest::load(take).unwrap().stems.len(), Manifest::load(take).unwrap().gaps.len()), (CHANNELS, 0));
}

#[test]
fn an_interrupt_finishes_the_take_though_the_window_hangs() {
    let folder = tempfile::tempdir().unwrap();
    let (mut window, take) = recording("interrupt", folder.path());
    signal("STOP", &window.display.server);
    signal("INT", &window.program);
    let status = wait("the program to end", window.display.end, || window.program.ended());
    assert!(status.success(), "{status}\n{}", window.said());
    is_whole(&take);
}

#[test]
fn a_take_that_a_kill_left_is_recovered_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    let (mut window, take) = recording("killed", folder.path());
    signal("KILL", &window.program);
    wait("the program to end", window.display.end, || window.program.ended());
    drop(window);
    assert_eq!(verify(&take).unwrap().problems.len(), 1);
    let window = Window::open("recovery", &["--out", take.parent().unwrap().to_str().unwrap()]);
    let first = window.picture();
    window.click(RECOVER, "the take to be whole", |p| !p.is_same(&first, RECOVER) && verify(&take).unwrap().problems.is_empty());
    wait("the recovery to be told", window.display.end, || window.said().contains("recovered and verified").then_some(()));
    window.close();
    let manifest = Manifest::load(&take).unwrap();
    assert_eq!((manifest.stems.len(), manifest.unknown.len()), (CHANNELS, 1));
}

#[test]
fn a_display_that_dies_takes_no_take_along() {
    let folder = tempfile::tempdir().unwrap();
    let (mut window, take) = recording("display", folder.path());
    signal("KILL", &window.display.server);
    thread::sleep(Duration::from_secs(2));
    // It may go on without a window.
    if window.program.ended().is_none() {
        signal("INT", &window.program);
    }
    wait("the program to end", window.display.end, || window.program.ended());
    is_whole(&take);
}
