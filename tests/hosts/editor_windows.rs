//! The editor in the windows of CLAP and VST3 hosts, on a display without a screen: its size, its scale, its painting, and its
//! traces after it is closed.
//!
//! Each test runs in a process of its own, so that it sees only its own windows. Leaves pictures in `target/tmp`.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use isotherm::plugin::Isotherm;
use isotherm::ui::{MAX_SIZE, MIN_SIZE, SIZE};
use isotherm_host::{ClapInstance, Vst3View};
use isotherm_support::display::{TEST_TIMEOUT, is_on_display, output, repaints};
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{
    AtomEnum, ConfigureWindowAux, ConnectionExt as _, CreateWindowAux, ImageFormat, PropMode, WindowClass,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

// The plug-in is linked into this program, which is also its host.
nice_plug::nice_export_clap!(Isotherm);
nice_plug::nice_export_vst3!(Isotherm);

/// Size of the screen, with room for the editor at scale 2.
const SCREEN: (u32, u32) = (1900, 1500);
const SCALES: [f64; 4] = [1.0, 1.25, 1.5, 2.0];

/// Runs the test `name` in a process that has a display. `dpi`: dots per inch that the display reports; `None` if it reports
/// none.
fn on_display(name: &str, dpi: Option<u32>, test: impl FnOnce(&HostDisplay)) {
    let set_up = |display: &RustConnection| {
        let Some(dpi) = dpi else { return };
        let root = display.setup().roots[0].root;
        let text = format!("Xft.dpi:\t{dpi}\n");
        let set =
            display.change_property8(PropMode::REPLACE, root, AtomEnum::RESOURCE_MANAGER, AtomEnum::STRING, text.as_bytes());
        set.unwrap().check().unwrap();
    };
    if is_on_display(module_path!(), name, SCREEN, TEST_TIMEOUT, set_up) {
        test(&HostDisplay::new(name));
    }
}

/// The display, as the host uses it.
struct HostDisplay {
    name: String,
    connection: RustConnection,
    root: u32,
    deadline: Instant,
}

impl HostDisplay {
    fn new(name: &str) -> Self {
        let (connection, screen) = RustConnection::connect(None).unwrap();
        let root = connection.setup().roots[screen].root;
        Self { name: name.into(), connection, root, deadline: Instant::now() + TEST_TIMEOUT }
    }

    /// Opens a host's window at the corner of the screen, black where the plug-in does not paint.
    fn window(&self, size: (u32, u32)) -> u32 {
        let id = self.connection.generate_id().unwrap();
        let attributes = CreateWindowAux::new().background_pixel(0).override_redirect(1);
        let (width, height) = (size.0 as u16, size.1 as u16);
        self.connection
            .create_window(0, id, self.root, 0, 0, width, height, 0, WindowClass::INPUT_OUTPUT, 0, &attributes)
            .unwrap()
            .check()
            .unwrap();
        self.connection.map_window(id).unwrap().check().unwrap();
        id
    }

    fn resize(&self, window: u32, (width, height): (u32, u32)) {
        let size = ConfigureWindowAux::new().width(width).height(height);
        self.connection.configure_window(window, &size).unwrap().check().unwrap();
    }

    fn destroy(&self, window: u32) {
        self.connection.destroy_window(window).unwrap().check().unwrap();
    }

    /// The plug-in's window inside the host's.
    fn child(&self, window: u32) -> u32 {
        let children = self.connection.query_tree(window).unwrap().reply().unwrap().children;
        assert_eq!(children.len(), 1, "one window of the plug-in's in the host's");
        children[0]
    }

    fn size(&self, window: u32) -> (u32, u32) {
        let geometry = self.connection.get_geometry(window).unwrap().reply().unwrap();
        (geometry.width.into(), geometry.height.into())
    }

    /// The picture of the corner of the screen.
    fn picture(&self, size: (u32, u32)) -> Picture {
        let (width, height) = (size.0 as u16, size.1 as u16);
        let image =
            self.connection.get_image(ImageFormat::Z_PIXMAP, self.root, 0, 0, width, height, !0).unwrap().reply().unwrap();
        let pixels = image.data.as_chunks::<4>().0.iter().map(|[b, g, r, _]| [*r, *g, *b]).collect();
        Picture { size, pixels }
    }

    /// Saves a picture of the screen, to look into a failure.
    fn save_picture(&self, what: &str) {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{what}.png", self.name));
        let mut import = Command::new("import");
        let _ = output(import.args(["-silent", "-window", "root", &format!("png:{}", file.display())]), self.deadline);
    }

    /// Waits until the whole editor is painted in a window of this size, at this scale. Returns the picture.
    fn wait_for_editor(&self, what: &str, size: (u32, u32), scale: f64) -> Picture {
        let mut last = None;
        let is_painted = wait_for(self.deadline.min(Instant::now() + Duration::from_secs(20)), || {
            let picture = self.picture(size);
            let whole = picture.is_whole(scale);
            last = Some(picture);
            whole
        });
        self.save_picture(what);
        assert!(is_painted, "{what}: the editor's edges are not where they should be in {size:?} at scale {scale}");
        last.unwrap()
    }
}

/// Waits until a condition holds; returns false if it does not by the deadline.
fn wait_for(deadline: Instant, mut condition: impl FnMut() -> bool) -> bool {
    while !condition() {
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(isotherm_support::display::POLL_INTERVAL);
    }
    true
}

type Color = [u8; 3];
/// The theme's colour of the background.
const BACKGROUND: Color = [0x13, 0x15, 0x18];
/// The theme's colour of controls that are switched on in slot A.
const SLOT_A_COLOR: Color = [0x5c, 0xb8, 0xf2];

struct Picture {
    size: (u32, u32),
    pixels: Vec<Color>,
}

fn near(a: Color, b: Color) -> bool {
    a.iter().zip(b).all(|(a, b)| a.abs_diff(b) <= 6)
}

impl Picture {
    fn at(&self, x: u32, y: u32) -> Color {
        self.pixels[(y * self.size.0 + x) as usize]
    }

    /// True if the editor is painted completely: its background is a margin of ten logical pixels on each side, and the button
    /// of slot A is at its place.
    fn is_whole(&self, scale: f64) -> bool {
        let (width, height) = self.size;
        let at = |logical: f64| (logical * scale).round() as u32;
        let (near_edge, inside) = (at(5.0), at(14.0));
        let edges = [(near_edge, height / 2), (width - 1 - near_edge, height / 2), (width / 2, near_edge)];
        let margin =
            edges.into_iter().chain([(width / 2, height - 1 - near_edge), (width - 1 - near_edge, height - 1 - near_edge)]);
        // Points inside the margin: a card on the left, the meters on the right, the strip of the twin at the bottom and its
        // right end.
        let panels = [
            (inside, height / 2),
            (width - 1 - inside, height / 2),
            (width / 2, height - 1 - inside),
            (width - 1 - inside, height - 1 - inside),
        ];
        // The button "Listen A", beside its letter.
        let button = self.at(at(126.0), at(32.0));
        let is_margin = |(x, y)| near(self.at(x, y), BACKGROUND);
        margin.into_iter().all(is_margin) && panels.into_iter().all(|at| !is_margin(at)) && near(button, SLOT_A_COLOR)
    }
}

fn clap() -> ClapInstance {
    // SAFETY: the entry is a static of this program.
    unsafe { ClapInstance::linked((&raw const clap_entry).cast()) }.unwrap()
}

fn vst3() -> Vst3View {
    // SAFETY: the factory is that of the plug-in, and its reference is passed on.
    unsafe { Vst3View::linked(GetPluginFactory()) }.unwrap()
}

/// The physical size of a window of this logical size at a scale.
fn scaled((width, height): (u32, u32), scale: f64) -> (u32, u32) {
    ((f64::from(width) * scale).round() as u32, (f64::from(height) * scale).round() as u32)
}

#[test]
fn a_vst3_host_has_the_whole_editor_at_every_scale_and_size() {
    on_display("a_vst3_host_has_the_whole_editor_at_every_scale_and_size", None, |display| {
        for scale in SCALES {
            let view = vst3();
            assert_eq!(view.size(), Some(SIZE));
            assert!(view.set_scale(scale as f32), "a scale of {scale} before there is a window");
            assert_eq!(view.size(), Some(scaled(SIZE, scale)));
            let window = display.window(scaled(SIZE, scale));
            assert!(view.attach(window));
            assert_eq!((view.size(), display.size(display.child(window))), (Some(scaled(SIZE, scale)), scaled(SIZE, scale)));
            display.wait_for_editor(&format!("{scale}"), scaled(SIZE, scale), scale);
            assert_eq!(view.requested_sizes(), [], "the host's window has the right size");

            assert!(view.can_resize());
            assert_eq!(view.adjusted((10, 10)), Some(scaled(MIN_SIZE, scale)));
            assert_eq!(view.adjusted((60_000, 60_000)), Some(scaled(MAX_SIZE, scale)));
            for size in [(940, 700), MIN_SIZE].map(|size| scaled(size, scale)) {
                assert_eq!(view.adjusted(size), Some(size));
                display.resize(window, size);
                assert!(view.set_size(size));
                assert_eq!((view.size(), display.size(display.child(window))), (Some(size), size));
                display.wait_for_editor(&format!("{scale}-{}", size.0), size, scale);
            }
            view.run_event_loop();
            assert_eq!(view.requested_sizes(), [], "the plug-in asks for no size that the host has set");
            view.remove();
            display.destroy(window);
        }
    });
}

#[test]
fn a_vst3_host_that_scales_late_is_asked_for_room() {
    on_display("a_vst3_host_that_scales_late_is_asked_for_room", None, |display| {
        let view = vst3();
        let window = display.window(SIZE);
        assert!(view.attach(window));
        display.wait_for_editor("before", SIZE, 1.0);
        for wrong in [0.0, -1.0, f32::NAN, f32::INFINITY, 1e6] {
            assert!(!view.set_scale(wrong), "a scale of {wrong}");
        }
        assert!(view.set_scale(2.0));
        assert_eq!(view.requested_sizes(), [scaled(SIZE, 2.0)]);
        assert_eq!(view.size(), Some(scaled(SIZE, 2.0)));
        display.resize(window, scaled(SIZE, 2.0));
        display.wait_for_editor("after", scaled(SIZE, 2.0), 2.0);
        assert_eq!(view.adjusted((10, 10)), Some(scaled(MIN_SIZE, 2.0)));
    });
}

#[test]
fn a_vst3_host_that_does_not_scale_is_asked_for_the_room_that_the_display_wants() {
    on_display("a_vst3_host_that_does_not_scale_is_asked_for_the_room_that_the_display_wants", Some(192), |display| {
        let view = vst3();
        let window = display.window(SIZE);
        assert!(view.attach(window));
        assert_eq!(view.requested_sizes(), [scaled(SIZE, 2.0)]);
        display.resize(window, scaled(SIZE, 2.0));
        display.wait_for_editor("after", scaled(SIZE, 2.0), 2.0);
    });
}

#[test]
fn a_clap_host_has_the_whole_editor_at_every_scale_and_size() {
    on_display("a_clap_host_has_the_whole_editor_at_every_scale_and_size", None, |display| {
        for scale in SCALES {
            let plugin = clap();
            plugin.create_window().unwrap();
            assert!(plugin.set_window_scale(0.0).is_err() && plugin.set_window_scale(f64::NAN).is_err());
            plugin.set_window_scale(scale).unwrap();
            assert_eq!(plugin.window_can_resize().unwrap(), Some((true, true)));
            assert_eq!(plugin.window_size().unwrap(), scaled(SIZE, scale));
            let window = display.window(scaled(SIZE, scale));
            plugin.show_window(window).unwrap();
            display.wait_for_editor(&format!("{scale}"), scaled(SIZE, scale), scale);

            assert_eq!(plugin.adjusted_window_size((10, 10)).unwrap(), scaled(MIN_SIZE, scale));
            assert_eq!(plugin.adjusted_window_size((60_000, 60_000)).unwrap(), scaled(MAX_SIZE, scale));
            for size in [(940, 700), MIN_SIZE].map(|size| scaled(size, scale)) {
                assert_eq!(plugin.adjusted_window_size(size).unwrap(), size);
                display.resize(window, size);
                plugin.set_window_size(size).unwrap();
                assert_eq!((plugin.window_size().unwrap(), display.size(display.child(window))), (size, size));
                display.wait_for_editor(&format!("{scale}-{}", size.0), size, scale);
            }
            assert_eq!(plugin.window_requests(), [], "the plug-in asks for no size that the host has set");
            plugin.destroy_window().unwrap();
            display.destroy(window);
        }
    });
}

#[test]
fn a_clap_host_is_told_the_size_that_the_display_wants() {
    on_display("a_clap_host_is_told_the_size_that_the_display_wants", Some(192), |display| {
        let plugin = clap();
        plugin.create_window().unwrap();
        assert_eq!(plugin.window_size().unwrap(), scaled(SIZE, 2.0));
        let window = display.window(scaled(SIZE, 2.0));
        plugin.show_window(window).unwrap();
        display.wait_for_editor("shown", scaled(SIZE, 2.0), 2.0);
        assert_eq!(plugin.adjusted_window_size((10, 10)).unwrap(), scaled(MIN_SIZE, 2.0));
    });
}

#[test]
fn the_window_is_marked_as_embeddable() {
    on_display("the_window_is_marked_as_embeddable", None, |display| {
        let atom = display.connection.intern_atom(false, b"_XEMBED_INFO").unwrap().reply().unwrap().atom;
        let embed_info = |window: u32| {
            let child = display.child(window);
            let property = display.connection.get_property(false, child, atom, atom, 0, 2).unwrap().reply().unwrap();
            property.value32().map(|words| words.collect::<Vec<u32>>())
        };
        // The property holds version 0 and the flag that the window wants to be shown.
        let (window, view) = (display.window(SIZE), vst3());
        assert!(view.attach(window));
        assert_eq!(embed_info(window), Some(vec![0, 1]));
        view.remove();
        let plugin = clap();
        plugin.create_window().unwrap();
        plugin.show_window(window).unwrap();
        assert_eq!(embed_info(window), Some(vec![0, 1]));
    });
}

#[test]
fn a_state_keeps_the_windows_size() {
    on_display("a_state_keeps_the_windows_size", None, |display| {
        let plugin = clap();
        let window = display.window((1000, 750));
        plugin.create_window().unwrap();
        plugin.set_window_scale(1.25).unwrap();
        plugin.set_window_size((1250, 900)).unwrap();
        plugin.show_window(window).unwrap();
        plugin.destroy_window().unwrap();
        plugin.create_window().unwrap();
        assert_eq!(plugin.window_size().unwrap(), (1250, 900));
        plugin.destroy_window().unwrap();
        // The state holds logical pixels, so the size follows the scale of another screen.
        let mut other = clap();
        other.load_state(&plugin.save().unwrap()).unwrap();
        other.create_window().unwrap();
        other.set_window_scale(2.0).unwrap();
        assert_eq!(other.window_size().unwrap(), (2000, 1440));
    });
}

const RATE: usize = 48_000;
const BLOCK: usize = 512;

/// A sine of 1 kHz that starts at frame `from` and is `blocks` blocks long, in two channels. `level`: its linear peak.
fn sound(from: usize, blocks: usize, level: f32) -> Vec<Vec<f32>> {
    let sample = |frame: usize| level * (std::f32::consts::TAU * 1000.0 * frame as f32 / RATE as f32).sin();
    let channel: Vec<f32> = (from..from + blocks * BLOCK).map(sample).collect();
    vec![channel.clone(), channel]
}

/// The editor in a host that runs sound.
struct PlayingHost<'a> {
    display: &'a HostDisplay,
    plugin: ClapInstance,
    window: u32,
    begun: Instant,
    frames: usize,
}

impl<'a> PlayingHost<'a> {
    fn new(display: &'a HostDisplay) -> Self {
        let mut plugin = clap();
        plugin.activate(RATE as f64, BLOCK as u32).unwrap();
        let window = display.window(SIZE);
        plugin.create_window().unwrap();
        plugin.show_window(window).unwrap();
        display.wait_for_editor("begin", SIZE, 1.0);
        Self { display, plugin, window, begun: Instant::now(), frames: 0 }
    }

    /// Runs the blocks that are due by the clock, at a level.
    fn play(&mut self, level: f32) {
        let due = (self.begun.elapsed().as_secs_f64() * RATE as f64) as usize;
        let blocks = due.saturating_sub(self.frames) / BLOCK;
        if blocks > 0 {
            self.plugin.render(&sound(self.frames, blocks, level), [BLOCK], &[]).unwrap();
            self.frames += blocks * BLOCK;
        }
    }

    /// The number of repaints in two seconds. `level`: gives the level to play at a time in seconds; None to run no block.
    fn repaints(&mut self, mut level: impl FnMut(f64) -> Option<f32>) -> usize {
        let child = self.display.child(self.window);
        let begun = Instant::now();
        repaints(None, child, || {
            if let Some(level) = level(begun.elapsed().as_secs_f64()) {
                self.play(level);
            }
        })
    }

    /// The pixels of the meters' bars.
    fn bars(&self) -> Vec<Color> {
        let picture = self.display.picture(SIZE);
        (165..625).flat_map(|y| (770..885).map(move |x| (x, y))).map(|(x, y)| picture.at(x, y)).collect()
    }

    /// Waits, at most 12 seconds, until there are at most two repaints in two seconds. Returns the smallest
    /// number.
    fn wait_for_rest(&mut self, level: Option<f32>) -> usize {
        let mut fewest = usize::MAX;
        for _ in 0..6 {
            fewest = fewest.min(self.repaints(|_| level));
            if fewest <= 2 {
                break;
            }
        }
        fewest
    }
}

#[test]
fn a_window_is_painted_only_while_it_changes() {
    on_display("a_window_is_painted_only_while_it_changes", None, |display| {
        let mut host = PlayingHost::new(display);
        let idle = host.wait_for_rest(None);
        let beating = host.repaints(|at| Some(if at % 0.5 < 0.25 { 0.5 } else { 0.01 }));
        host.wait_for_rest(None);
        let silent = host.wait_for_rest(Some(0.0));
        println!("repaints in 2 s: idle {idle}, silence {silent}, beats {beating}");
        assert!(idle <= 2, "{idle} repaints while nothing changes");
        // The load is shown in whole per cent and may be on the edge between two.
        assert!(silent <= 20, "{silent} repaints while silence is processed");
        assert!(beating >= 6, "{beating} repaints while the meters move");
    });
}

#[test]
fn meters_fall_after_the_last_block() {
    on_display("meters_fall_after_the_last_block", None, |display| {
        let mut host = PlayingHost::new(display);
        host.wait_for_rest(None);
        let rest = host.bars();
        host.repaints(|_| Some(0.5));
        display.save_picture("sounds");
        let high = host.bars();
        let apart = |a: &[Color], b: &[Color]| a.iter().zip(b).filter(|(a, b)| !near(**a, **b)).count();
        assert!(apart(&rest, &high) > 5000, "the bars are high: {}", apart(&rest, &high));
        // The slower of a meter's two bars takes four seconds for 60 dB. No block is processed meanwhile.
        let fell = wait_for(Instant::now() + Duration::from_secs(20), || apart(&rest, &host.bars()) == 0);
        display.save_picture("fell");
        assert!(fell, "the bars did not fall: {} pixels", apart(&rest, &host.bars()));
    });
}

#[test]
fn a_window_that_is_shown_late_is_painted() {
    on_display("a_window_that_is_shown_late_is_painted", None, |display| {
        let plugin = clap();
        let window = display.window(SIZE);
        plugin.create_window().unwrap();
        // Time for some frames before the window is shown.
        std::thread::sleep(Duration::from_millis(300));
        plugin.show_window(window).unwrap();
        display.wait_for_editor("late", SIZE, 1.0);
    });
}

#[test]
fn a_window_that_is_closed_at_once_is_gone() {
    on_display("a_window_that_is_closed_at_once_is_gone", None, |display| {
        let plugin = clap();
        let window = display.window(SIZE);
        let watch_threads = || {
            let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
            tasks
                .filter(|task| {
                    std::fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.trim() == "isotherm-watch")
                })
                .count()
        };
        for round in 0..40 {
            plugin.create_window().unwrap();
            if round % 2 == 1 {
                plugin.show_window(window).unwrap();
            }
            plugin.destroy_window().unwrap();
            assert_eq!(watch_threads(), 0, "a window that is closed has no thread, {round}");
        }
    });
}

/// Resident memory of this process, in MiB.
fn resident() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: f64 = text.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096.0 / 1024.0 / 1024.0
}

#[test]
fn closed_windows_leave_little_memory() {
    on_display("closed_windows_leave_little_memory", None, |display| {
        let plugin = clap();
        let window = display.window(SIZE);
        let open = || {
            plugin.create_window().unwrap();
            plugin.show_window(window).unwrap();
            display.wait_for_editor("open", SIZE, 1.0);
            plugin.destroy_window().unwrap();
            resident()
        };
        // Memory that a driver keeps for ever is allocated by the first window.
        let first = open();
        let mut last = first;
        for _ in 0..20 {
            last = open();
        }
        println!("resident after the first window {first:.0} MiB, after 20 more {last:.0} MiB");
        assert!(last - first < 25.0, "{:.1} MiB a window", (last - first) / 20.0);
    });
}
