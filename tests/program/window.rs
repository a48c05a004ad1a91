//! Tests of `isotherm app` in a real window, on a virtual display: they move the mouse, click, and compare screenshots.
//!
//! Each test leaves its last screenshot and the program's output in `target/tmp`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use isotherm::record::{Manifest, verify};
use isotherm::ui::PROGRAM_SIZE as SIZE;
use isotherm_support::display::{ChildProcess, TEST_TIMEOUT, VirtualDisplay, output, repaints, wait_for};
use x11rb::connection::Connection;
use x11rb::protocol::xproto::{AtomEnum, ClientMessageEvent, ConnectionExt, EventMask};
use x11rb::rust_connection::RustConnection;

/// Red, green and blue.
type Color = [u8; 3];
/// The theme's colour of slot A.
const COOL: Color = [0x5c, 0xb8, 0xf2];
/// The theme's colour of slot B.
const WARM: Color = [0xf2, 0x9a, 0x4a];
/// The theme's colour of controls that are switched on and belong to no slot.
const NEUTRAL: Color = [0xc9, 0xce, 0xd6];
/// The theme's colour of controls that are armed or record.
const ALARM: Color = [0xff, 0x6b, 0x61];
/// The theme's colour of controls under the mouse.
const HOVERED: Color = [0x35, 0x3a, 0x43];

/// An area of the window, in pixels.
#[derive(Clone, Copy, Debug)]
struct Area {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
}

const fn area(left: usize, top: usize, width: usize, height: usize) -> Area {
    Area { left, top, width, height }
}

const LISTEN_A: Area = area(469, 89, 104, 42);
const LISTEN_B: Area = area(577, 89, 104, 42);
const BYPASS: Area = area(829, 96, 66, 28);
/// The first knob of each slot's card.
const KNOB_A: Area = area(381, 248, 60, 46);
const KNOB_B: Area = area(771, 248, 60, 46);
const HOST: Area = area(17, 16, 72, 24);
/// The third entry of the list of hosts, while the list is open.
const FILE: Area = area(24, 95, 58, 18);
const DEVICE: Area = area(100, 16, 480, 24);
const START: Area = area(1170, 16, 74, 24);
const RECORD: Area = area(433, 147, 78, 22);
/// The column of arm buttons of all strips.
const ARMED: Area = area(159, 120, 18, 640);
/// The column of meters of all strips.
const LEVELS: Area = area(182, 120, 68, 640);
/// The button above the log, while there is an unfinished take.
const RECOVER: Area = area(1168, 752, 70, 20);
/// The middle of the window, where questions are.
const QUESTION: Area = area(430, 320, 400, 200);
/// A point without a control.
const NOWHERE: (usize, usize) = (4, 4);

impl Area {
    fn middle(self) -> (usize, usize) {
        (self.left + self.width / 2, self.top + self.height / 2)
    }
}

/// Held by a test while its window is open: one window at a time.
static ONE_WINDOW: Mutex<()> = Mutex::new(());

/// The program in its window.
struct Window {
    id: u32,
    program: ChildProcess,
    log: PathBuf,
    display: VirtualDisplay,
    _guard: MutexGuard<'static, ()>,
}

/// The window's pixels, three bytes each, row by row.
struct Screenshot(Vec<u8>);

impl Window {
    /// Starts the program with a settings file and a log named after the test, and waits until its window shows the editor.
    fn open(name: &str, options: &[&str]) -> Self {
        let guard = ONE_WINDOW.lock().unwrap_or_else(PoisonError::into_inner);
        let deadline = Instant::now() + TEST_TIMEOUT;
        let display = VirtualDisplay::open((1280, 860), deadline);
        let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.log"));
        let log_file = File::create(&log).unwrap();
        let mut command = display.command(env!("CARGO_BIN_EXE_isotherm"));
        let settings = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.json"));
        let _ = fs::remove_file(&settings);
        command.args(["app", "--settings"]).arg(settings).args(options).env("LIBGL_ALWAYS_SOFTWARE", "1");
        command.stdout(log_file.try_clone().unwrap()).stderr(log_file);
        let mut program = ChildProcess::start(&mut command);
        let id = wait_for("the window", deadline, || {
            if let Some(status) = program.exit_status() {
                panic!("the program ended: {status}\n{}", fs::read_to_string(&log).unwrap());
            }
            display.xdotool(&["search", "--onlyvisible", "--name", "Isotherm$"])?.lines().next()?.parse().ok()
        });
        let window = Self { id, program, log, display, _guard: guard };
        window.move_mouse(NOWHERE);
        window.wait_until("slot A to be heard", |shot| shot.share(LISTEN_A, COOL) > 0.5);
        window
    }

    /// Returns the program's output so far.
    fn output(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    fn xdotool(&self, arguments: &[&str]) -> String {
        self.display.xdotool(arguments).unwrap_or_else(|| panic!("xdotool {arguments:?} failed\n{}", self.output()))
    }

    fn size(&self) -> (u32, u32) {
        let text = self.xdotool(&["getwindowgeometry", "--shell", &self.id.to_string()]);
        let number = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.parse().ok()).unwrap();
        (number("WIDTH="), number("HEIGHT="))
    }

    /// Takes a screenshot with `import`, which writes it to `to`. Returns its output.
    fn import(&self, to: &str) -> Vec<u8> {
        let mut command = self.display.command("import");
        command.args(["-silent", "-window", &self.id.to_string(), "-depth", "8", to]);
        output(&mut command, self.display.deadline).unwrap_or_else(|| panic!("no screenshot\n{}", self.output()))
    }

    fn screenshot(&self) -> Screenshot {
        let bytes = self.import("rgb:-");
        assert_eq!(bytes.len(), (3 * SIZE.0 * SIZE.1) as usize);
        Screenshot(bytes)
    }

    /// Takes screenshots until one is as expected, saves it for people and returns it.
    fn wait_until(&self, what: &str, is_expected: impl Fn(&Screenshot) -> bool) -> Screenshot {
        let screenshot = wait_for(&format!("{what} ({})", self.log.display()), self.display.deadline, || {
            let screenshot = self.screenshot();
            is_expected(&screenshot).then_some(screenshot)
        });
        self.import(&format!("png:{}", self.log.with_extension("png").display()));
        screenshot
    }

    fn move_mouse(&self, (x, y): (usize, usize)) {
        self.xdotool(&["mousemove", "--window", &self.id.to_string(), &x.to_string(), &y.to_string()]);
    }

    /// Moves the mouse to a control, waits until the control is highlighted, clicks, and waits for the expected screenshot.
    /// Without the waits, a slow machine may put move and click into one frame, and the click is lost.
    fn click(&self, area: Area, what: &str, is_expected: impl Fn(&Screenshot) -> bool) {
        self.move_mouse(area.middle());
        self.wait_until("the control to be highlighted", |shot| shot.share(area, HOVERED) > 0.5);
        self.xdotool(&["click", "1"]);
        self.wait_until(what, is_expected);
        self.move_mouse(NOWHERE);
    }

    /// As [`Self::click`], for a control that is not highlighted under the mouse.
    fn click_unhighlighted(&self, area: Area, what: &str, is_expected: impl Fn(&Screenshot) -> bool) {
        self.move_mouse(area.middle());
        // Several frames of a slow machine.
        thread::sleep(Duration::from_secs(1));
        self.xdotool(&["click", "1"]);
        self.move_mouse(NOWHERE);
        self.wait_until(what, is_expected);
    }

    /// Holds the mouse on a control until the screenshot is as expected.
    fn hold(&self, area: Area, what: &str, is_expected: impl Fn(&Screenshot) -> bool) {
        self.move_mouse(area.middle());
        // Several frames of a slow machine.
        thread::sleep(Duration::from_secs(1));
        self.xdotool(&["mousedown", "1"]);
        self.wait_until(what, is_expected);
        self.xdotool(&["mouseup", "1"]);
        self.move_mouse(NOWHERE);
    }

    /// Drags a knob upwards from its lower edge, at most to its upper edge, until the screenshot is as expected.
    fn drag_up(&self, area: Area, what: &str, is_expected: impl Fn(&Screenshot) -> bool) {
        let (x, y) = area.middle();
        self.move_mouse((x, y + 14));
        self.wait_until("the knob to be highlighted", |shot| shot.share(area, HOVERED) > 0.1);
        self.xdotool(&["mousedown", "1"]);
        let mut step = 0;
        wait_for(what, self.display.deadline, || {
            step = (step + 2).min(28);
            self.move_mouse((x, y + 14 - step));
            is_expected(&self.screenshot()).then_some(())
        });
        self.xdotool(&["mouseup", "1"]);
        self.move_mouse(NOWHERE);
    }

    /// Wants to close the window as a window manager does.
    fn ask_to_close(&self) {
        let (connection, _) = RustConnection::connect(Some(&self.display.name)).unwrap();
        let atom = |name: &[u8]| connection.intern_atom(false, name).unwrap().reply().unwrap().atom;
        let (protocols, delete) = (atom(b"WM_PROTOCOLS"), atom(b"WM_DELETE_WINDOW"));
        let supported = connection.get_property(false, self.id, protocols, AtomEnum::ATOM, 0, 8).unwrap().reply().unwrap();
        assert!(supported.value32().unwrap().any(|atom| atom == delete), "the window cannot be asked to close");
        let event = ClientMessageEvent::new(32, self.id, protocols, [delete, 0, 0, 0, 0]);
        connection.send_event(false, self.id, EventMask::NO_EVENT, event).unwrap().check().unwrap();
    }

    /// Closes the window as a window manager does, and checks that the program exits with code 0.
    fn close(mut self) {
        assert!(self.program.exit_status().is_none(), "the program ended before its window was closed\n{}", self.output());
        self.ask_to_close();
        self.wait_for_end();
    }

    /// Waits until the window is closed and the program ends, and checks that it exits with code 0.
    fn wait_for_end(mut self) {
        let status = wait_for("the program to end", self.display.deadline, || self.program.exit_status());
        assert!(status.success(), "{status}\n{}", self.output());
        // The program's window must be gone from the root window's children.
        let (connection, screen) = RustConnection::connect(Some(&self.display.name)).unwrap();
        let children = connection.query_tree(connection.setup().roots[screen].root).unwrap().reply().unwrap().children;
        assert!(!children.contains(&self.id));
    }
}

impl Screenshot {
    fn pixels(&self, area: Area) -> impl Iterator<Item = Color> {
        let Area { left, top, width, height } = area;
        let row = move |y: usize| 3 * (y * SIZE.0 as usize + left);
        (top..top + height).flat_map(move |y| self.0[row(y)..row(y) + 3 * width].as_chunks::<3>().0).copied()
    }

    /// Returns the share of an area's pixels, 0 to 1, that have about this colour.
    fn share(&self, area: Area, color: Color) -> f32 {
        let near = |pixel: &Color| pixel.iter().zip(color).all(|(a, b)| a.abs_diff(b) <= 8);
        self.pixels(area).filter(near).count() as f32 / (area.width * area.height) as f32
    }

    /// Returns the smallest area that has all pixels of about this colour within `area`; None if there are none.
    fn find(&self, within: Area, color: Color) -> Option<Area> {
        let near = |pixel: &Color| pixel.iter().zip(color).all(|(a, b)| a.abs_diff(b) <= 8);
        let at = |n: usize| (within.left + n % within.width, within.top + n / within.width);
        let found: Vec<_> = self.pixels(within).enumerate().filter(|(_, pixel)| near(pixel)).map(|(n, _)| at(n)).collect();
        let left = found.iter().map(|(x, _)| *x).min()?;
        let top = found.iter().map(|(_, y)| *y).min()?;
        let right = found.iter().map(|(x, _)| *x).max()?;
        let bottom = found.iter().map(|(_, y)| *y).max()?;
        Some(area(left, top, right + 1 - left, bottom + 1 - top))
    }

    /// True if the area looks the same in both screenshots.
    fn is_same(&self, other: &Self, area: Area) -> bool {
        self.pixels(area).eq(other.pixels(area))
    }

    /// Returns the number of different colours.
    fn color_count(&self) -> usize {
        let mut colors: Vec<&Color> = self.0.as_chunks::<3>().0.iter().collect();
        colors.sort_unstable();
        colors.dedup();
        colors.len()
    }
}

/// Sends a signal, such as `INT`, to a process.
fn signal(name: &str, process: &ChildProcess) {
    let _ = Command::new("kill").args([&format!("-{name}"), &process.0.id().to_string()]).status();
}

#[test]
fn controls_react_to_the_mouse_and_the_window_closes() {
    let window = Window::open("editor", &[]);
    assert_eq!(window.size(), SIZE);
    let first = window.wait_until("both knobs", |p| p.share(KNOB_A, COOL) > 0.01 && p.share(KNOB_B, WARM) > 0.01);
    // Antialiased edges of text and knobs have many colours.
    assert!(first.color_count() > 200, "{} colours", first.color_count());
    assert!(first.share(LISTEN_B, WARM) < 0.1 && first.share(BYPASS, NEUTRAL) < 0.1);

    let is_b = |p: &Screenshot| p.share(LISTEN_B, WARM) > 0.5 && p.share(LISTEN_A, COOL) < 0.1;
    window.click(LISTEN_B, "slot B to be heard", is_b);
    // Waits, as a tooltip may cover other controls for a moment.
    window.wait_until("nothing else to change", |p| is_b(p) && p.is_same(&first, BYPASS));

    let is_bypassed = |p: &Screenshot| p.share(BYPASS, NEUTRAL) > 0.5;
    window.click(BYPASS, "the bypass", is_bypassed);
    window.wait_until("nothing else to change", |p| {
        is_bypassed(p) && is_b(p) && p.is_same(&first, KNOB_A) && p.is_same(&first, KNOB_B)
    });

    let is_turned = |p: &Screenshot| p.share(KNOB_A, COOL) > 1.2 * first.share(KNOB_A, COOL);
    window.drag_up(KNOB_A, "a longer arc", is_turned);
    window.wait_until("nothing else to change", |p| is_turned(p) && is_bypassed(p) && p.is_same(&first, KNOB_B));
    window.close();
}

#[test]
fn an_idle_window_is_not_repainted() {
    let window = Window::open("rest", &[]);
    // The first counts may include the repaints after the start.
    let counts: Vec<usize> = (0..4).map(|_| repaints(Some(&window.display.name), window.id, || ())).collect();
    assert!(counts.iter().min() <= Some(&2), "repaints in 2 s, again and again: {counts:?}");
    // The window still reacts at once.
    window.click(BYPASS, "the bypass", |p| p.share(BYPASS, NEUTRAL) > 0.5);
    window.close();
}

const CHANNELS: usize = 32;
const RATE: usize = 48_000;
/// Frames of the device's file, which is played in a loop.
const LOOP_FRAMES: usize = 4800;

/// Returns the 24-bit sample of a channel's frame. All samples are different, and their level is about -20 dBFS and above.
fn sample(channel: usize, frame: usize) -> i32 {
    ((frame + 1 + (1 << 13)) << 6 | channel) as i32
}

/// Writes a file that takes a device's place, and returns its path.
fn write_device_file(folder: &Path) -> PathBuf {
    let device = folder.join("desk.wav");
    let sample_format = hound::SampleFormat::Int;
    let spec = hound::WavSpec { channels: CHANNELS as u16, sample_rate: RATE as u32, bits_per_sample: 24, sample_format };
    let mut writer = hound::WavWriter::create(&device, spec).unwrap();
    for frame in 0..LOOP_FRAMES {
        (0..CHANNELS).for_each(|channel| writer.write_sample(sample(channel, frame)).unwrap());
    }
    writer.finalize().unwrap();
    device
}

/// Chooses, starts, records and stops a device with the mouse; the window hangs while the take runs.
#[test]
fn a_take_has_every_frame_of_every_channel_though_the_window_hangs() {
    let folder = tempfile::tempdir().unwrap();
    let device = write_device_file(folder.path());

    let takes = folder.path().join("takes");
    let window = Window::open("take", &["--out", takes.to_str().unwrap()]);
    let first = window.screenshot();
    window.click(HOST, "the hosts", |p| !p.is_same(&first, FILE));
    window.click_unhighlighted(FILE, "the hosts to go", |p| p.is_same(&first, FILE));
    window.click_unhighlighted(DEVICE, "the cursor", |p| !p.is_same(&first, DEVICE));
    window.xdotool(&["type", "--delay", "30", device.to_str().unwrap()]);
    window.xdotool(&["key", "Return"]);
    window.move_mouse(NOWHERE);
    let runs = |p: &Screenshot| p.share(START, NEUTRAL) > 0.5 && p.share(ARMED, ALARM) > 0.3;
    window.click(START, "the device to run", runs);
    window.wait_until("levels", |p| !p.is_same(&first, LEVELS));

    window.click(RECORD, "the take to run", |p| p.share(RECORD, ALARM) > 0.3);
    let growing =
        wait_for("the take's folder", window.display.deadline, || fs::read_dir(&takes).ok()?.flatten().next().map(|e| e.path()));
    // Everything that draws now waits for the display.
    signal("STOP", &window.display.server);
    let started = Instant::now();
    thread::sleep(Duration::from_secs(3));
    signal("CONT", &window.display.server);
    let hang_seconds = started.elapsed().as_secs_f64();
    window.hold(RECORD, "the take to end", |p| p.share(RECORD, ALARM) < 0.1);
    window.click_unhighlighted(START, "the device to stop", |p| p.share(START, NEUTRAL) < 0.1);
    window.close();

    assert_eq!(verify(&growing).unwrap().problems, Vec::<String>::new());
    let manifest = Manifest::load(&growing).unwrap();
    assert_eq!((manifest.stems.len(), manifest.gaps.len()), (CHANNELS, 0));
    assert!(manifest.seconds() > hang_seconds, "{} s of {hang_seconds} s", manifest.seconds());
    for channel in 0..CHANNELS {
        let stem = growing.join(format!("{:02} Channel {}.wav", channel + 1, channel + 1));
        let mut frames = hound::WavReader::open(&stem).unwrap().into_samples::<i32>().map(Result::unwrap);
        let first = frames.next().unwrap();
        let start = (first as usize >> 6) - (1 << 13) - 1;
        assert_eq!(first, sample(channel, start));
        assert!(frames.enumerate().all(|(i, x)| x == sample(channel, (start + 1 + i) % LOOP_FRAMES)), "{}", stem.display());
    }
}

/// Starts the program in its window with a take, and returns the window and the take's folder once it has a second of sound.
fn start_recording(name: &str, folder: &Path) -> (Window, PathBuf) {
    let (device, takes) = (write_device_file(folder), folder.join("takes"));
    let paths = [device.to_str().unwrap(), takes.to_str().unwrap()];
    let window = Window::open(name, &["--host", "file", "--device", paths[0], "--out", paths[1], "--record"]);
    let has_sound = |take: &PathBuf| fs::metadata(take.join("01 Channel 1.wav")).is_ok_and(|file| file.len() > 3 * RATE as u64);
    let find = || fs::read_dir(&takes).ok()?.flatten().next().map(|entry| entry.path()).filter(has_sound);
    let take = wait_for("the take to grow", window.display.deadline, find);
    (window, take)
}

/// Checks that a take has no problems and no gaps, and a stem for each channel.
fn check_take(take: &Path) {
    assert_eq!(verify(take).unwrap().problems, Vec::<String>::new());
    assert_eq!((Manifest::load(take).unwrap().stems.len(), Manifest::load(take).unwrap().gaps.len()), (CHANNELS, 0));
}

#[test]
fn a_window_that_is_closed_in_a_take_asks_first_and_shows_the_take_in_its_title() {
    let folder = tempfile::tempdir().unwrap();
    let (mut window, take) = start_recording("question", folder.path());
    wait_for("the take in the title", window.display.deadline, || {
        let title = window.xdotool(&["getwindowname", &window.id.to_string()]);
        title.trim().strip_prefix("REC 0:00:")?.ends_with(" - Isotherm").then_some(())
    });
    window.ask_to_close();
    let asked = window.wait_until("the question", |p| p.find(QUESTION, ALARM).is_some_and(|button| button.width > 100));
    let button = asked.find(QUESTION, ALARM).unwrap();
    // A click does nothing.
    window.click_unhighlighted(button, "the question to stay", |p| p.find(QUESTION, ALARM).is_some());
    assert!(window.program.exit_status().is_none(), "{}", window.output());
    window.move_mouse(button.middle());
    thread::sleep(Duration::from_secs(1));
    window.xdotool(&["mousedown", "1"]);
    window.wait_for_end();
    check_take(&take);
}

#[test]
fn an_interrupt_finishes_the_take_though_the_window_hangs() {
    let folder = tempfile::tempdir().unwrap();
    let (mut window, take) = start_recording("interrupt", folder.path());
    signal("STOP", &window.display.server);
    signal("INT", &window.program);
    let status = wait_for("the program to end", window.display.deadline, || window.program.exit_status());
    assert!(status.success(), "{status}\n{}", window.output());
    check_take(&take);
}

#[test]
fn an_unfinished_take_is_recovered_with_the_mouse() {
    let folder = tempfile::tempdir().unwrap();
    let (mut window, take) = start_recording("killed", folder.path());
    signal("KILL", &window.program);
    wait_for("the program to end", window.display.deadline, || window.program.exit_status());
    drop(window);
    assert_eq!(verify(&take).unwrap().problems.len(), 1);
    let window = Window::open("recovery", &["--out", take.parent().unwrap().to_str().unwrap()]);
    let first = window.screenshot();
    window.click(RECOVER, "the take to be whole", |p| !p.is_same(&first, RECOVER) && verify(&take).unwrap().problems.is_empty());
    wait_for("the log line of the recovery", window.display.deadline, || {
        window.output().contains("recovered and verified").then_some(())
    });
    window.close();
    let manifest = Manifest::load(&take).unwrap();
    assert_eq!((manifest.stems.len(), manifest.unknown.len()), (CHANNELS, 1));
}

#[test]
fn a_display_that_dies_does_not_harm_the_take() {
    let folder = tempfile::tempdir().unwrap();
    let (mut window, take) = start_recording("display", folder.path());
    signal("KILL", &window.display.server);
    thread::sleep(Duration::from_secs(2));
    // The program may go on without a window.
    if window.program.exit_status().is_none() {
        signal("INT", &window.program);
    }
    wait_for("the program to end", window.display.deadline, || window.program.exit_status());
    check_take(&take);
}
