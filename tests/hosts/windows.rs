//! The editor in hosts' windows, CLAP and VST3, on a display without a screen: its size, its scale, what it paints, and what is left
//! of it.
//!
//! Each test is a process of its own, so that nothing but its windows counts. Leaves pictures in `target/tmp`.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use isotherm::plugin::Isotherm;
use isotherm::ui::{MAX_SIZE, MIN_SIZE, SIZE};
use isotherm_host::{Plugin, Vst3View};
use isotherm_support::display::{PATIENCE, is_on_display, output, paintings};
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{
    AtomEnum, ConfigureWindowAux, ConnectionExt as _, CreateWindowAux, ImageFormat, PropMode, WindowClass,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

// This program is the plug-in and its hosts.
nice_plug::nice_export_clap!(Isotherm);
nice_plug::nice_export_vst3!(Isotherm);

/// Room for the window at twice its size.
const SCREEN: (u32, u32) = (1900, 1500);
const SCALES: [f64; 4] = [1.0, 1.25, 1.5, 2.0];

/// Runs the test `name` in a process that has a display, whose screen has so many dots per inch if any are given.
fn on_stage(name: &str, dpi: Option<u32>, test: impl FnOnce(&Stage)) {
    let set_up = |display: &RustConnection| {
        let Some(dpi) = dpi else { return };
        let root = display.setup().roots[0].root;
        let text = format!("Xft.dpi:\t{dpi}\n");
        let set =
            display.change_property8(PropMode::REPLACE, root, AtomEnum::RESOURCE_MANAGER, AtomEnum::STRING, text.as_bytes());
        set.unwrap().check().unwrap();
    };
    if is_on_display(module_path!(), name, SCREEN, PATIENCE, set_up) {
        test(&Stage::new(name));
    }
}

/// The host's side of the display.
struct Stage {
    name: String,
    connection: RustConnection,
    root: u32,
    end: Instant,
}

impl Stage {
    fn new(name: &str) -> Self {
        let (connection, screen) = RustConnection::connect(None).unwrap();
        let root = connection.setup().roots[screen].root;
        Self { name: name.into(), connection, root, end: Instant::now() + PATIENCE }
    }

    /// A host's window at the screen's corner, black where the plug-in does not paint.
    fn window(&self, size: (u32, u32)) -> u32 {
        let id = self.connection.generate_id().unwrap();
        let look = CreateWindowAux::new().background_pixel(0).override_redirect(1);
        let (width, height) = (size.0 as u16, size.1 as u16);
        self.connection
            .create_window(0, id, self.root, 0, 0, width, height, 0, WindowClass::INPUT_OUTPUT, 0, &look)
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

    /// The plug-in's window in the host's.
    fn child(&self, window: u32) -> u32 {
        let children = self.connection.query_tree(window).unwrap().reply().unwrap().children;
        assert_eq!(children.len(), 1, "one window of the plug-in's in the host's");
        children[0]
    }

    fn size(&self, window: u32) -> (u32, u32) {
        let geometry = self.connection.get_geometry(window).unwrap().reply().unwrap();
        (geometry.width.into(), geometry.height.into())
    }

    /// The screen's corner.
    fn picture(&self, size: (u32, u32)) -> Picture {
        let (width, height) = (size.0 as u16, size.1 as u16);
        let image =
            self.connection.get_image(ImageFormat::Z_PIXMAP, self.root, 0, 0, width, height, !0).unwrap().reply().unwrap();
        let pixels = image.data.as_chunks::<4>().0.iter().map(|[b, g, r, _]| [*r, *g, *b]).collect();
        Picture { size, pixels }
    }

    /// For those who want to see what was tested.
    fn keep(&self, what: &str) {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{what}.png", self.name));
        let _ = output(Command::new("import").args(["-silent", "-window", "root", &format!("png:{}", file.display())]), self.end);
    }

    /// Waits until all of the editor is painted in a window of this size, at this scale.
    fn whole(&self, what: &str, size: (u32, u32), scale: f64) -> Picture {
        let mut last = None;
        let seen = wait_for(self.end.min(Instant::now() + Duration::from_secs(20)), || {
            let picture = self.picture(size);
            let whole = picture.is_whole(scale);
            last = Some(picture);
            whole
        });
        self.keep(what);
        assert!(seen, "{what}: the editor's edges are not where they should be in {size:?} at scale {scale}");
        last.unwrap()
    }
}

fn wait_for(end: Instant, mut is: impl FnMut() -> bool) -> bool {
    while !is() {
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(isotherm_support::display::PAUSE);
    }
    true
}

type Color = [u8; 3];
/// Of the editor's theme.
const BACKGROUND: Color = [0x13, 0x15, 0x18];
const COOL: Color = [0x5c, 0xb8, 0xf2];

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

    /// Whether the margin is the editor's background all around, ten logical pixels wide and no wider on any side, and the button of
    /// slot A stands where the layout has it.
    fn is_whole(&self, scale: f64) -> bool {
        let (width, height) = self.size;
        let at = |logical: f64| (logical * scale).round() as u32;
        let (near_edge, inside) = (at(5.0), at(14.0));
        let edges = [(near_edge, height / 2), (width - 1 - near_edge, height / 2), (width / 2, near_edge)];
        let margin =
            edges.into_iter().chain([(width / 2, height - 1 - near_edge), (width - 1 - near_edge, height - 1 - near_edge)]);
        // Within: a card on the left, the meters on the right, the twin's strip at the bottom and in its right corner.
        let panels = [
            (inside, height / 2),
            (width - 1 - inside, height / 2),
            (width / 2, height - 1 - inside),
            (width - 1 - inside, height - 1 - inside),
        ];
        // "Listen A": beside its letter.
        let button = self.at(at(126.0), at(32.0));
        let is_margin = |(x, y)| near(self.at(x, y), BACKGROUND);
        margin.into_iter().all(is_margin) && panels.into_iter().all(|at| !is_margin(at)) && near(button, COOL)
    }
}

fn clap() -> Plugin {
    // SAFETY: the entry is part of this program.
    unsafe { Plugin::linked((&raw const clap_entry).cast()) }.unwrap()
}

fn vst3() -> Vst3View {
    // SAFETY: the factory is the plug-in's, and its reference is given away.
    unsafe { Vst3View::linked(GetPluginFactory()) }.unwrap()
}

fn times((width, height): (u32, u32), scale: f64) -> (u32, u32) {
    ((f64::from(width) * scale).round() as u32, (f64::from(height) * scale).round() as u32)
}

#[test]
fn a_vst3_host_has_the_whole_editor_at_every_scale_and_size() {
    on_stage("a_vst3_host_has_the_whole_editor_at_every_scale_and_size", None, |stage| {
        for scale in SCALES {
            let view = vst3();
            assert_eq!(view.size(), Some(SIZE));
            assert!(view.set_scale(scale as f32), "a scale of {scale} before there is a window");
            assert_eq!(view.size(), Some(times(SIZE, scale)));
            let window = stage.window(times(SIZE, scale));
            assert!(view.attach(window));
            assert_eq!((view.size(), stage.size(stage.child(window))), (Some(times(SIZE, scale)), times(SIZE, scale)));
            stage.whole(&format!("{scale}"), times(SIZE, scale), scale);
            assert_eq!(view.asked(), [], "the host had made the right room");

            assert!(view.can_resize());
            assert_eq!(view.adjusted((10, 10)), Some(times(MIN_SIZE, scale)));
            assert_eq!(view.adjusted((60_000, 60_000)), Some(times(MAX_SIZE, scale)));
            for size in [(940, 700), MIN_SIZE].map(|size| times(size, scale)) {
                assert_eq!(view.adjusted(size), Some(size));
                stage.resize(window, size);
                assert!(view.set_size(size));
                assert_eq!((view.size(), stage.size(stage.child(window))), (Some(size), size));
                stage.whole(&format!("{scale}-{}", size.0), size, scale);
            }
            view.serve();
            assert_eq!(view.asked(), [], "what a host did it is not asked for");
            view.remove();
            stage.destroy(window);
        }
    });
}

#[test]
fn a_vst3_host_that_scales_late_is_asked_for_room() {
    on_stage("a_vst3_host_that_scales_late_is_asked_for_room", None, |stage| {
        let view = vst3();
        let window = stage.window(SIZE);
        assert!(view.attach(window));
        stage.whole("before", SIZE, 1.0);
        for wrong in [0.0, -1.0, f32::NAN, f32::INFINITY, 1e6] {
            assert!(!view.set_scale(wrong), "a scale of {wrong}");
        }
        assert!(view.set_scale(2.0));
        assert_eq!(view.asked(), [times(SIZE, 2.0)]);
        assert_eq!(view.size(), Some(times(SIZE, 2.0)));
        stage.resize(window, times(SIZE, 2.0));
        stage.whole("after", times(SIZE, 2.0), 2.0);
        assert_eq!(view.adjusted((10, 10)), Some(times(MIN_SIZE, 2.0)));
    });
}

#[test]
fn a_vst3_host_that_does_not_scale_is_asked_for_the_room_that_the_display_wants() {
    on_stage("a_vst3_host_that_does_not_scale_is_asked_for_the_room_that_the_display_wants", Some(192), |stage| {
        let view = vst3();
        let window = stage.window(SIZE);
        assert!(view.attach(window));
        assert_eq!(view.asked(), [times(SIZE, 2.0)]);
        stage.resize(window, times(SIZE, 2.0));
        stage.whole("after", times(SIZE, 2.0), 2.0);
    });
}

#[test]
fn a_clap_host_has_the_whole_editor_at_every_scale_and_size() {
    on_stage("a_clap_host_has_the_whole_editor_at_every_scale_and_size", None, |stage| {
        for scale in SCALES {
            let plugin = clap();
            plugin.create_window().unwrap();
            assert!(plugin.set_window_scale(0.0).is_err() && plugin.set_window_scale(f64::NAN).is_err());
            plugin.set_window_scale(scale).unwrap();
            assert_eq!(plugin.window_can_resize().unwrap(), Some((true, true)));
            assert_eq!(plugin.window_size().unwrap(), times(SIZE, scale));
            let window = stage.window(times(SIZE, scale));
            plugin.show_window(window).unwrap();
            stage.whole(&format!("{scale}"), times(SIZE, scale), scale);

            assert_eq!(plugin.adjusted_window_size((10, 10)).unwrap(), times(MIN_SIZE, scale));
            assert_eq!(plugin.adjusted_window_size((60_000, 60_000)).unwrap(), times(MAX_SIZE, scale));
            for size in [(940, 700), MIN_SIZE].map(|size| times(size, scale)) {
                assert_eq!(plugin.adjusted_window_size(size).unwrap(), size);
                stage.resize(window, size);
                plugin.set_window_size(size).unwrap();
                assert_eq!((plugin.window_size().unwrap(), stage.size(stage.child(window))), (size, size));
                stage.whole(&format!("{scale}-{}", size.0), size, scale);
            }
            assert_eq!(plugin.window_requests(), [], "what a host did it is not asked for");
            plugin.destroy_window().unwrap();
            stage.destroy(window);
        }
    });
}

#[test]
fn a_clap_host_is_told_the_size_that_the_display_wants() {
    on_stage("a_clap_host_is_told_the_size_that_the_display_wants", Some(192), |stage| {
        let plugin = clap();
        plugin.create_window().unwrap();
        assert_eq!(plugin.window_size().unwrap(), times(SIZE, 2.0));
        let window = stage.window(times(SIZE, 2.0));
        plugin.show_window(window).unwrap();
        stage.whole("shown", times(SIZE, 2.0), 2.0);
        assert_eq!(plugin.adjusted_window_size((10, 10)).unwrap(), times(MIN_SIZE, 2.0));
    });
}

#[test]
fn the_window_says_that_it_may_stand_in_another() {
    on_stage("the_window_says_that_it_may_stand_in_another", None, |stage| {
        let atom = stage.connection.intern_atom(false, b"_XEMBED_INFO").unwrap().reply().unwrap().atom;
        let told = |window: u32| {
            let child = stage.child(window);
            let told = stage.connection.get_property(false, child, atom, atom, 0, 2).unwrap().reply().unwrap();
            told.value32().map(|words| words.collect::<Vec<u32>>())
        };
        // Version 0, and that it wants to be shown.
        let (window, view) = (stage.window(SIZE), vst3());
        assert!(view.attach(window));
        assert_eq!(told(window), Some(vec![0, 1]));
        view.remove();
        let plugin = clap();
        plugin.create_window().unwrap();
        plugin.show_window(window).unwrap();
        assert_eq!(told(window), Some(vec![0, 1]));
    });
}

#[test]
fn a_state_keeps_the_windows_size() {
    on_stage("a_state_keeps_the_windows_size", None, |stage| {
        let plugin = clap();
        let window = stage.window((1000, 750));
        plugin.create_window().unwrap();
        plugin.set_window_scale(1.25).unwrap();
        plugin.set_window_size((1250, 900)).unwrap();
        plugin.show_window(window).unwrap();
        plugin.destroy_window().unwrap();
        plugin.create_window().unwrap();
        assert_eq!(plugin.window_size().unwrap(), (1250, 900));
        plugin.destroy_window().unwrap();
        // In logical pixels: another screen has others.
        let mut other = clap();
        other.load_state(&plugin.save().unwrap()).unwrap();
        other.create_window().unwrap();
        other.set_window_scale(2.0).unwrap();
        assert_eq!(other.window_size().unwrap(), (2000, 1440));
    });
}

const RATE: usize = 48_000;
const BLOCK: usize = 512;

/// So many blocks of a tone at -6 dBFS, or of silence.
fn sound(from: usize, blocks: usize, level: f32) -> Vec<Vec<f32>> {
    let sample = |frame: usize| level * (std::f32::consts::TAU * 1000.0 * frame as f32 / RATE as f32).sin();
    let channel: Vec<f32> = (from..from + blocks * BLOCK).map(sample).collect();
    vec![channel.clone(), channel]
}

/// The editor in a host that plays.
struct Played<'a> {
    stage: &'a Stage,
    plugin: Plugin,
    window: u32,
    begun: Instant,
    frames: usize,
}

impl<'a> Played<'a> {
    fn new(stage: &'a Stage) -> Self {
        let mut plugin = clap();
        plugin.activate(RATE as f64, BLOCK as u32).unwrap();
        let window = stage.window(SIZE);
        plugin.create_window().unwrap();
        plugin.show_window(window).unwrap();
        stage.whole("begin", SIZE, 1.0);
        Self { stage, plugin, window, begun: Instant::now(), frames: 0 }
    }

    /// Plays as much as the clock wants, at a level.
    fn play(&mut self, level: f32) {
        let due = (self.begun.elapsed().as_secs_f64() * RATE as f64) as usize;
        let blocks = due.saturating_sub(self.frames) / BLOCK;
        if blocks > 0 {
            self.plugin.render(&sound(self.frames, blocks, level), [BLOCK], &[]).unwrap();
            self.frames += blocks * BLOCK;
        }
    }

    /// Paintings in two seconds.
    fn paintings(&mut self, mut level: impl FnMut(f64) -> Option<f32>) -> usize {
        let child = self.stage.child(self.window);
        let begun = Instant::now();
        paintings(None, child, || {
            if let Some(level) = level(begun.elapsed().as_secs_f64()) {
                self.play(level);
            }
        })
    }

    /// The meters' bars.
    fn bars(&self) -> Vec<Color> {
        let picture = self.stage.picture(SIZE);
        (165..625).flat_map(|y| (770..885).map(move |x| (x, y))).map(|(x, y)| picture.at(x, y)).collect()
    }

    /// Until nothing is painted any more.
    fn settle(&mut self, level: Option<f32>) -> usize {
        let mut least = usize::MAX;
        for _ in 0..6 {
            least = least.min(self.paintings(|_| level));
            if least <= 2 {
                break;
            }
        }
        least
    }
}

#[test]
fn a_window_is_painted_only_while_it_changes() {
    on_stage("a_window_is_painted_only_while_it_changes", None, |stage| {
        let mut played = Played::new(stage);
        let idle = played.settle(None);
        let beating = played.paintings(|at| Some(if at % 0.5 < 0.25 { 0.5 } else { 0.01 }));
        played.settle(None);
        let silent = played.settle(Some(0.0));
        println!("paintings in 2 s: idle {idle}, silence {silent}, beats {beating}");
        assert!(idle <= 2, "{idle} paintings while nothing changes");
        // The load is shown in whole per cent and may be on the edge between two.
        assert!(silent <= 20, "{silent} paintings while silence is processed");
        assert!(beating >= 6, "{beating} paintings while the meters move");
    });
}

#[test]
fn meters_fall_when_no_sound_comes_any_more() {
    on_stage("meters_fall_when_no_sound_comes_any_more", None, |stage| {
        let mut played = Played::new(stage);
        played.settle(None);
        let rest = played.bars();
        played.paintings(|_| Some(0.5));
        stage.keep("sounds");
        let high = played.bars();
        let apart = |a: &[Color], b: &[Color]| a.iter().zip(b).filter(|(a, b)| !near(**a, **b)).count();
        assert!(apart(&rest, &high) > 5000, "bars stand high: {}", apart(&rest, &high));
        // 60 dB at the pace of the slower of the two needles take four seconds; nothing is processed meanwhile.
        let fell = wait_for(Instant::now() + Duration::from_secs(20), || apart(&rest, &played.bars()) == 0);
        stage.keep("fell");
        assert!(fell, "the bars stand still: {} pixels", apart(&rest, &played.bars()));
    });
}

#[test]
fn a_window_that_is_shown_late_is_painted() {
    on_stage("a_window_that_is_shown_late_is_painted", None, |stage| {
        let plugin = clap();
        let window = stage.window(SIZE);
        plugin.create_window().unwrap();
        // Some frames.
        std::thread::sleep(Duration::from_millis(300));
        plugin.show_window(window).unwrap();
        stage.whole("late", SIZE, 1.0);
    });
}

#[test]
fn a_window_that_is_closed_at_once_is_gone() {
    on_stage("a_window_that_is_closed_at_once_is_gone", None, |stage| {
        let plugin = clap();
        let window = stage.window(SIZE);
        let watches = || {
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
            assert_eq!(watches(), 0, "a window that is closed has no thread, {round}");
        }
    });
}

/// Memory of this process in mebibytes, in pages that are there.
fn resident() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: f64 = text.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096.0 / 1024.0 / 1024.0
}

#[test]
fn windows_that_were_closed_leave_little() {
    on_stage("windows_that_were_closed_leave_little", None, |stage| {
        let plugin = clap();
        let window = stage.window(SIZE);
        let open = || {
            plugin.create_window().unwrap();
            plugin.show_window(window).unwrap();
            stage.whole("open", SIZE, 1.0);
            plugin.destroy_window().unwrap();
            resident()
        };
        // What a driver keeps for ever is there after the first.
        let first = open();
        let mut last = first;
        for _ in 0..20 {
            last = open();
        }
        println!("resident after the first window {first:.0} MiB, after 20 more {last:.0} MiB");
        assert!(last - first < 25.0, "{:.1} MiB a window", (last - first) / 20.0);
    });
}
