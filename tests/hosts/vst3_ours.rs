//! The bundled VST3 plug-in in a host of our own, which does what hosts do and others do not: it passes on only what it lists, it
//! does not call `process`, and it tells late what it did. Needs `ISOTHERM_VST3` and `ISOTHERM_CLAP`, which `cargo xtask test` sets.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use isotherm::algorithm::REGISTRY;
use isotherm::audio::generate;
use isotherm::dsp::{Kind, Parameter, Unit};
use isotherm_host::vst3::{Passes, Point, Vst3, Vst3Parameter};
use isotherm_host::{Plugin, nice_state};

const RATE: f64 = 48_000.0;
const FRAMES: usize = 512;

fn path(variable: &str) -> PathBuf {
    PathBuf::from(std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} is not set: run `cargo xtask test`")))
}

/// A VST3 state as CLAP has it: its length stands before it there.
fn framed(state: &[u8]) -> Vec<u8> {
    [&(state.len() as u64).to_le_bytes(), state].concat()
}

/// A state whose takes, if all switches are on, go where tests leave what they write.
fn harmless(state: &[u8]) -> Vec<u8> {
    let setup = serde_json::json!({ "folder": Path::new(env!("CARGO_TARGET_TMPDIR")).join("takes_of_hosts") });
    nice_state::with_field(state, "takes", &setup.to_string()).unwrap()
}

fn load(passes: Passes) -> Vst3 {
    let mut plugin = Vst3::load(&path("ISOTHERM_VST3"), passes).unwrap();
    let state = harmless(&framed(&plugin.save().unwrap()));
    plugin.load_state(&state[size_of::<u64>()..]).unwrap();
    plugin
}

fn load_clap() -> Plugin {
    let mut plugin = Plugin::load(&path("ISOTHERM_CLAP")).unwrap();
    let state = harmless(&plugin.save().unwrap());
    plugin.load_state(&state).unwrap();
    plugin
}

/// An instance that believes that it processes.
fn active(passes: Passes) -> Vst3 {
    let mut plugin = load(passes);
    plugin.activate(RATE, FRAMES, 2).unwrap();
    plugin
}

fn sound() -> Vec<Vec<f32>> {
    (0..2).map(|c| generate::pink(48_000, 0.2, FRAMES, c as u64 + 5).unwrap().channel(0).to_vec()).collect()
}

/// Each parameter of an algorithm with its slot and row, by the title that a host reads.
fn declared() -> BTreeMap<String, &'static Parameter> {
    let all = |slot: &'static str| {
        REGISTRY.iter().flat_map(move |row| row.parameters.iter().map(move |p| (format!("{slot} {} {}", row.name, p.name), p)))
    };
    all("A").chain(all("B")).collect()
}

/// What the plug-in says that it has for one that was set.
fn quantised(parameter: &Vst3Parameter, value: f64) -> f64 {
    if parameter.steps == 0 { value } else { (value * f64::from(parameter.steps)).round() / f64::from(parameter.steps) }
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-6
}

/// A value that each parameter does not have.
fn other(parameter: &Vst3Parameter) -> f64 {
    if parameter.default < 0.5 { 0.83 } else { 0.17 }
}

/// Plain values by id, from a state.
fn plain(plugin: &Vst3) -> BTreeMap<String, f32> {
    nice_state::parameters(&framed(&plugin.save().unwrap())).unwrap()
}

#[test]
fn a_value_of_the_host_counts_at_once_and_is_saved_though_no_block_comes() {
    // Before it is active, while no block comes yet, and while none comes any more.
    for blocks in [None, Some(0), Some(3)] {
        let mut plugin = load(Passes::Everything);
        let fresh = plugin.save().unwrap();
        if let Some(blocks) = blocks {
            plugin.activate(RATE, FRAMES, 2).unwrap();
            for _ in 0..blocks {
                // All were set in a block just before.
                let points = |p: &Vst3Parameter| Point { frame: 0, id: p.id, value: p.default };
                let points: Vec<Point> = plugin.parameters().iter().map(points).collect();
                plugin.process(&sound(), &points);
            }
        }
        let parameters = plugin.parameters().to_vec();
        for p in &parameters {
            plugin.set_normalized(p.id, other(p));
            let (found, expected) = (plugin.normalized(p.id), quantised(p, other(p)));
            assert!(near(found, expected), "{}, {blocks:?} blocks: {found}, expected {expected}", p.title);
        }
        let state = plugin.save().unwrap();
        assert!(state != fresh);
        let mut again = load(Passes::Everything);
        again.load_state(&state).unwrap();
        for p in &parameters {
            let (found, expected) = (again.normalized(p.id), quantised(p, other(p)));
            assert!(near(found, expected), "{}, {blocks:?} blocks, restored: {found}, expected {expected}", p.title);
        }
    }
}

#[test]
fn clap_saves_what_a_host_flushed_though_no_block_comes() {
    for active in [false, true] {
        let mut plugin = load_clap();
        if active {
            plugin.activate(RATE, FRAMES as u32).unwrap();
        }
        let parameters = plugin.parameters().to_vec();
        let other = |p: &isotherm_host::ParameterInfo| {
            let value = p.min + (p.max - p.min) * if p.default < 0.5 * p.max { 0.83 } else { 0.17 };
            if p.stepped { value.round() } else { value }
        };
        for p in &parameters {
            plugin.set(p.id, other(p));
            assert!(near(plugin.value(p.id), other(p)), "{}: {}", p.path(), plugin.value(p.id));
        }
        let state = plugin.save().unwrap();
        let mut again = Plugin::load(&path("ISOTHERM_CLAP")).unwrap();
        again.load_state(&state).unwrap();
        for p in &parameters {
            assert!(near(again.value(p.id), other(p)), "{}, restored: {}", p.path(), again.value(p.id));
        }
    }
}

#[test]
fn every_parameter_is_quantised_as_it_is_declared_in_vst3_and_clap() {
    const VALUES: [f64; 7] = [0.0, 0.07, 0.3, 0.4999, 0.51, 0.93, 1.0];
    let mut plugin = active(Passes::Everything);
    let mut clap = load_clap();
    let parameters = plugin.parameters().to_vec();
    let declared = declared();
    for p in &parameters {
        if let Some(descriptor) = declared.get(&p.title) {
            let steps = if let Kind::Float { .. } = descriptor.kind { 0 } else { descriptor.range().1 as i32 };
            assert_eq!(p.steps, steps, "{}", p.title);
        }
        let clap_p = clap.parameter(p.title.as_str()).clone();
        assert_eq!(clap_p.stepped, p.steps > 0, "{}", p.title);
        for value in VALUES {
            let expected = quantised(p, value);
            plugin.set_normalized(p.id, value);
            assert!(near(plugin.normalized(p.id), expected), "{} set to {value}: {}", p.title, plugin.normalized(p.id));
            plugin.process(&sound(), &[Point { frame: 7, id: p.id, value }]);
            assert!(near(plugin.normalized(p.id), expected), "{} in a block: {}", p.title, plugin.normalized(p.id));
            clap.set(p.id, value * clap_p.max);
            let found = clap.value(p.id);
            assert!(near(found, expected * clap_p.max), "{} in CLAP, set to {}: {found}", p.title, value * clap_p.max);
        }
    }
}

/// A host may show what it set until it is told to look again.
#[test]
fn a_host_that_sets_a_value_between_two_steps_is_told_to_look_again() {
    /// Of the standard: `kParamValuesChanged`.
    const VALUES_CHANGED: i32 = 1 << 2;
    let mut plugin = load(Passes::Everything);
    let parameters = plugin.parameters().to_vec();
    for p in &parameters {
        plugin.set_normalized(p.id, 1.0);
        assert!(plugin.take_restarts().is_empty(), "{}", p.title);
        plugin.set_normalized(p.id, 0.3);
        let expected: &[i32] = if p.steps == 0 || near(quantised(p, 0.3), 0.3) { &[] } else { &[VALUES_CHANGED] };
        assert_eq!(plugin.take_restarts(), expected, "{}", p.title);
    }
}

#[test]
fn each_number_has_its_declared_unit_once_and_a_word_has_none() {
    let plugin = load(Passes::Everything);
    let clap = Plugin::load(&path("ISOTHERM_CLAP")).unwrap();
    let declared = declared();
    let mut with_unit = 0;
    for p in plugin.parameters() {
        let unit = declared.get(&p.title).map_or("", |d| d.unit().suffix().trim());
        assert_eq!(p.units, unit, "{}", p.title);
        with_unit += usize::from(!unit.is_empty());
        let steps = f64::from(p.steps.max(1));
        for value in [0.0, 0.4, 1.0].map(|v| quantised(p, v)) {
            let (bare, whole) = (plugin.text(p.id, value), clap.text(p.title.as_str(), value * steps));
            let is_word = !bare.contains(|c: char| c.is_ascii_digit()) || p.steps > 0;
            let expected = if is_word || unit.is_empty() { bare.clone() } else { format!("{bare} {unit}") };
            assert_eq!(whole, expected, "{}", p.title);
            assert!(unit.is_empty() || !bare.ends_with(unit), "{}: '{bare}' and '{unit}'", p.title);
            // Both ways of writing it are read.
            for text in [&bare, &whole, &format!("{bare} {unit}")] {
                if text.trim() == bare || !is_word {
                    let found = plugin.value_of_text(p.id, text.trim()).unwrap_or_else(|| panic!("{}: '{text}'", p.title));
                    assert!((found - value).abs() < 0.01, "{}: '{text}' is {found}, expected {value}", p.title);
                }
            }
        }
    }
    assert_eq!(with_unit, declared.values().filter(|d| d.unit() != Unit::None).count());
}

#[test]
fn a_host_that_asks_for_one_parameter_too_many_gets_none() {
    assert!(load(Passes::Everything).parameter_behind_the_last().is_none());
    assert!(!Plugin::load(&path("ISOTHERM_CLAP")).unwrap().has_parameter_behind_the_last());
}

/// Points of a ramp, every 64 frames of a block.
fn ramp(id: u32, block: usize, blocks: usize) -> Vec<Point> {
    let at = |frame: usize| (block * FRAMES + frame) as f64 / (blocks * FRAMES) as f64;
    (0..FRAMES).step_by(64).map(|frame| Point { frame, id, value: at(frame) }).collect()
}

/// What a host says of a parameter that it automates comes late, and may come while no point does.
#[test]
fn automation_is_exact_whatever_a_host_echoes_beside_the_blocks() {
    const BLOCKS: usize = 40;
    /// A parameter belongs to the blocks for a second behind its last point.
    const PROMPT: Duration = Duration::from_millis(500);
    // None if the machine did something else meanwhile.
    let play = |echoes: bool| {
        let mut plugin = active(Passes::Everything);
        let id = plugin.id("A Saturator Drive");
        let (mut output, mut last) = (Vec::new(), Instant::now());
        for block in 0..BLOCKS {
            // In some blocks the last value holds, without a point.
            let points = if block % 4 == 3 { Vec::new() } else { ramp(id, block, BLOCKS) };
            let begin = Instant::now();
            output.push(plugin.process(&sound(), &points));
            if last.elapsed() > PROMPT {
                return None;
            }
            last = if points.is_empty() { last } else { begin };
            if echoes {
                let late = 0.9 * block.saturating_sub(5) as f64 / BLOCKS as f64;
                plugin.set_normalized(id, late);
                assert!(near(plugin.normalized(id), late), "what the host says is what it reads");
            }
        }
        Some(output)
    };
    let run = |echoes: bool| (0..200).find_map(|_| play(echoes)).expect("the machine has a second for this");
    let (quiet, echoed) = (run(false), run(true));
    let differs = (0..BLOCKS).find(|i| quiet[*i] != echoed[*i]);
    assert!(differs.is_none(), "from block {differs:?}");
}

/// The framework's own part, with a parameter of two fields as the framework has it.
#[allow(dead_code)]
#[path = "../../vendor/nice-plug/src/wrapper/vst3/param_values.rs"]
mod param_values;

#[test]
fn a_parameter_that_two_threads_set_at_once_is_whole() {
    use param_values::{ParamValues, Source};
    const ROUNDS: u32 = 2_000;
    const SETS: u32 = 7;
    let values = ParamValues::new(&[7]);
    let (value, copy) = (AtomicU32::new(0), AtomicU32::new(0));
    let set = |new: u32, source: Source| {
        values.set(7, new as f32, source, || {
            if value.swap(new, Ordering::Relaxed) != new {
                // Interrupted in between, as may happen.
                if new.is_multiple_of(7) {
                    thread::yield_now();
                }
                copy.store(new, Ordering::Relaxed);
            }
        });
    };
    let (together, mut torn) = (Barrier::new(2), None);
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..=ROUNDS {
                together.wait();
                (0..SETS).for_each(|i| set(2 * (SETS * round + i), Source::Block));
                together.wait();
            }
        });
        for round in 1..=ROUNDS {
            together.wait();
            (0..SETS).for_each(|i| set(2 * (SETS * round + i) + 1, Source::Editor));
            together.wait();
            let (value, copy) = (value.load(Ordering::Relaxed), copy.load(Ordering::Relaxed));
            torn = torn.or((value != copy).then_some((round, value, copy)));
        }
    });
    assert!(torn.is_none(), "round, value and its copy: {torn:?}");
}

/// The plug-in's window on a display without a screen, and a hand on the mouse.
#[cfg(target_os = "linux")]
mod window {
    use std::process::Command;
    use std::thread;
    use std::time::{Duration, Instant};

    use isotherm::algorithm::REGISTRY;
    use isotherm::dsp::Settings;
    use isotherm::dsp::Spec;
    use isotherm::effect::Effect;
    use isotherm::slots::{Heard, Slots};
    use isotherm::ui::SIZE;
    use isotherm_host::vst3::{Passes, Point, Vst3};
    use x11rb::connection::Connection;
    use x11rb::protocol::xproto::{ConnectionExt, CreateWindowAux, WindowClass};
    use x11rb::rust_connection::RustConnection;

    use super::{FRAMES, RATE, active, near, plain, sound};
    use crate::panels::Panels;
    use isotherm_support::display::is_on_display;

    /// For a whole test, on a machine that does much else.
    const PATIENCE: Duration = Duration::from_secs(240);
    fn has_display(test: &str) -> bool {
        is_on_display(module_path!(), test, (1280, 860), PATIENCE, |_| ())
    }

    /// A plug-in that plays, its window, and where things are in it.
    struct Window {
        plugin: Vst3,
        display: RustConnection,
        screen: usize,
        panels: Panels,
        end: Instant,
    }

    impl Window {
        fn open(passes: Passes) -> Self {
            let mut plugin = active(passes);
            let (display, screen) = RustConnection::connect(None).unwrap();
            let id = display.generate_id().unwrap();
            let root = display.setup().roots[screen].root;
            let (width, height) = (SIZE.0 as u16, SIZE.1 as u16);
            let looks = CreateWindowAux::new().override_redirect(1);
            display.create_window(0, id, root, 0, 0, width, height, 0, WindowClass::INPUT_OUTPUT, 0, &looks).unwrap();
            display.map_window(id).unwrap().check().unwrap();
            plugin.open_window(id).unwrap();
            Self { plugin, display, screen, panels: Panels::default(), end: Instant::now() + PATIENCE }
        }

        /// The host does what it does all the time.
        fn live(&mut self, time: Duration) -> Vec<Vec<f32>> {
            let begin = Instant::now();
            loop {
                self.plugin.turn();
                let output = self.plugin.process(&sound(), &[]);
                if begin.elapsed() >= time {
                    return output;
                }
                thread::sleep(Duration::from_millis(5));
            }
        }

        /// Where the editor's own picture has this.
        fn place(&self, label: &str) -> (i32, i32) {
            let middle = self.panels.area(label).center();
            (middle.x.round() as i32, middle.y.round() as i32)
        }

        fn xdotool(&self, words: &[&str]) {
            assert!(
                Command::new("xdotool").args(words).status().expect("run `cargo xtask setup`").success(),
                "xdotool {words:?}"
            );
        }

        fn click(&mut self, (x, y): (i32, i32)) {
            self.xdotool(&["mousemove", &x.to_string(), &y.to_string()]);
            self.live(Duration::from_millis(300));
            self.xdotool(&["click", "1"]);
            self.live(Duration::from_millis(500));
        }

        /// Clicks what these labels name, one after the other, until the value of the parameter is the expected one. A slow machine
        /// may miss a click.
        fn choose(&mut self, title: &str, labels: &[&str], expected: f64) {
            let id = self.plugin.id(title);
            assert!(!near(self.plugin.normalized(id), expected), "{title} is another at first");
            let mut places = Vec::new();
            for label in labels {
                places.push(self.place(label));
                self.panels.click(label);
            }
            loop {
                for place in &places {
                    self.click(*place);
                }
                let begin = Instant::now();
                while begin.elapsed() < Duration::from_secs(5) {
                    if near(self.plugin.normalized(id), expected) {
                        return;
                    }
                    self.live(Duration::from_millis(50));
                }
                let alive = self.display.get_input_focus().is_ok() && self.screen < 8;
                assert!(alive && Instant::now() < self.end, "{title} did not follow {labels:?}: {}", self.plugin.normalized(id));
                self.xdotool(&["key", "Escape"]);
                self.live(Duration::from_millis(300));
            }
        }
    }

    /// What the core gives for the saved settings of slot A, once it has come to rest on a sound that repeats.
    fn at_rest(plugin: &Vst3) -> Vec<Vec<f32>> {
        let state = plain(plugin);
        let row = REGISTRY[state["a_algorithm"] as usize];
        let mut settings = Settings::new(row);
        for (index, parameter) in row.parameters.iter().enumerate() {
            settings.set(index, state[&format!("a_{}_{}", row.id, parameter.id)]);
        }
        let spec = Spec { sample_rate: RATE as f32, channels: 2, max_frames: FRAMES };
        let mut slots = Slots::compile(spec, &[settings.into(), Effect::new(REGISTRY[1])], Heard::Slot(0), None).unwrap();
        let mut output = Vec::new();
        for _ in 0..200 {
            output = sound();
            let mut views: Vec<&mut [f32]> = output.iter_mut().map(Vec::as_mut_slice).collect();
            slots.process(&mut views);
        }
        output
    }

    fn differ(a: &[Vec<f32>], b: &[Vec<f32>]) -> f32 {
        a.iter().zip(b).flat_map(|(a, b)| a.iter().zip(b)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn what_is_chosen_in_the_window_plays_also_in_a_host_that_passes_on_only_what_can_be_automated() {
        if !has_display("what_is_chosen_in_the_window_plays_also_in_a_host_that_passes_on_only_what_can_be_automated") {
            return;
        }
        let mut window = Window::open(Passes::Automatable);
        let listed = |title: &str| window.plugin.parameters().iter().find(|p| p.title == title).unwrap().clone();
        let (algorithm, shape, blind) = (listed("A Algorithm"), listed("A Clipper Shape"), listed("Blind"));
        assert!(!algorithm.automatable && !shape.automatable && !blind.automatable);
        let clipper = REGISTRY.iter().position(|row| row.id == "clipper").unwrap();
        let before = at_rest(&window.plugin);

        let step = clipper as f64 / f64::from(algorithm.steps);
        window.choose("A Algorithm", &["A algorithm", REGISTRY[clipper].name], step);
        let edits = window.plugin.take_edits();
        assert!(edits.contains(&(algorithm.id, f64::from(step as f32))), "the host is told as well: {edits:?}");
        window.choose("A Clipper Shape", &["A Shape: Hard"], 1.0 - shape.default);
        let after = at_rest(&window.plugin);
        assert!(differ(&before, &after) > 1e-2);
        let end = Instant::now() + PATIENCE;
        loop {
            let output = window.live(Duration::from_millis(200));
            if differ(&output, &after) < 1e-4 {
                break;
            }
            assert!(Instant::now() < end, "what was chosen is not heard: off by {}", differ(&output, &after));
        }
        window.choose("Blind", &["Blind"], 1.0);
    }

    #[test]
    fn in_one_block_the_host_has_the_last_word_and_what_comes_back_to_the_window_changes_nothing() {
        if !has_display("in_one_block_the_host_has_the_last_word_and_what_comes_back_to_the_window_changes_nothing") {
            return;
        }
        for passes in [Passes::Everything, Passes::Automatable] {
            let mut window = Window::open(passes);
            let id = window.plugin.id("A Saturator Drive");
            let (x, y) = window.place("A Drive");
            // The hand turns until the host has heard of it, and no block comes meanwhile.
            let turn = |window: &mut Window| {
                window.plugin.take_edits();
                loop {
                    window.xdotool(&["mousemove", &x.to_string(), &y.to_string()]);
                    thread::sleep(Duration::from_millis(300));
                    window.xdotool(&["click", "4"]);
                    for _ in 0..20 {
                        thread::sleep(Duration::from_millis(100));
                        window.plugin.turn();
                    }
                    if let Some((_, value)) = window.plugin.take_edits().into_iter().rfind(|edit| edit.0 == id) {
                        return value;
                    }
                    assert!(Instant::now() < window.end, "the window did not follow the wheel");
                }
            };
            let by_hand = turn(&mut window);
            assert!(near(window.plugin.normalized(id), by_hand), "what the hand does counts at once");
            // It comes back and is there already.
            window.plugin.process(&sound(), &[]);
            assert!(near(window.plugin.normalized(id), by_hand));

            for frame in [0, FRAMES / 2] {
                let by_hand = turn(&mut window);
                assert!(near(window.plugin.normalized(id), by_hand));
                window.plugin.process(&sound(), &[Point { frame, id, value: 0.11 }]);
                assert!(near(window.plugin.normalized(id), 0.11), "the host's word in the block is the last, at frame {frame}");
                window.plugin.process(&sound(), &[]);
                assert!(near(window.plugin.normalized(id), 0.11));
            }
            // The hand comes behind a block: now it is the last.
            let by_hand = turn(&mut window);
            window.plugin.process(&sound(), &[]);
            assert!(near(window.plugin.normalized(id), by_hand));
        }
    }
}
