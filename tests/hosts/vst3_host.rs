//! The bundled VST3 plug-in in the host of `isotherm_host::vst3`, which does what only some hosts do: it passes on only
//! parameters that it lists, it does not call `process`, and it notifies the plug-in late. Needs `ISOTHERM_VST3` and
//! `ISOTHERM_CLAP`, which `cargo xtask test` sets.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use isotherm::algorithm::REGISTRY;
use isotherm::audio::generate;
use isotherm::dsp::{Parameter, ParameterKind, Unit};
use isotherm_host::vst3::{AutomationPoint, ForwardedEdits, Vst3Instance, Vst3Parameter};
use isotherm_host::{ClapInstance, nice_state};

const RATE: f64 = 48_000.0;
const FRAMES: usize = 512;

fn path(variable: &str) -> PathBuf {
    PathBuf::from(std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} is not set: run `cargo xtask test`")))
}

/// A VST3 state as one for CLAP, which begins with its length.
fn framed(state: &[u8]) -> Vec<u8> {
    [&(state.len() as u64).to_le_bytes(), state].concat()
}

/// A state whose takes go to a folder for tests, as tests may switch the recorder on.
fn with_test_folder(state: &[u8]) -> Vec<u8> {
    let setup = serde_json::json!({ "folder": Path::new(env!("CARGO_TARGET_TMPDIR")).join("takes_of_hosts") });
    nice_state::with_field(state, "takes", &setup.to_string()).unwrap()
}

fn load(forwarded: ForwardedEdits) -> Vst3Instance {
    let mut plugin = Vst3Instance::load(&path("ISOTHERM_VST3"), forwarded).unwrap();
    let state = with_test_folder(&framed(&plugin.save().unwrap()));
    plugin.load_state(&state[size_of::<u64>()..]).unwrap();
    plugin
}

fn load_clap() -> ClapInstance {
    let mut plugin = ClapInstance::load(&path("ISOTHERM_CLAP")).unwrap();
    let state = with_test_folder(&plugin.save().unwrap());
    plugin.load_state(&state).unwrap();
    plugin
}

/// An active instance.
fn active(forwarded: ForwardedEdits) -> Vst3Instance {
    let mut plugin = load(forwarded);
    plugin.activate(RATE, FRAMES, 2).unwrap();
    plugin
}

fn sound() -> Vec<Vec<f32>> {
    (0..2).map(|c| generate::pink(48_000, 0.2, FRAMES, c as u64 + 5).unwrap().channel(0).to_vec()).collect()
}

/// The parameters of all algorithms in both slots, by the title that a host reads.
fn declared() -> BTreeMap<String, &'static Parameter> {
    let all = |slot: &'static str| {
        REGISTRY.iter().flat_map(move |row| row.parameters.iter().map(move |p| (format!("{slot} {} {}", row.name, p.name), p)))
    };
    all("A").chain(all("B")).collect()
}

/// The normalised value that the plug-in should have after `value` was set.
fn quantised(parameter: &Vst3Parameter, value: f64) -> f64 {
    if parameter.steps == 0 { value } else { (value * f64::from(parameter.steps)).round() / f64::from(parameter.steps) }
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-6
}

/// A normalised value that is not the parameter's default.
fn other_value(parameter: &Vst3Parameter) -> f64 {
    if parameter.default < 0.5 { 0.83 } else { 0.17 }
}

/// The plain values of the plug-in's parameters, by id, from its state.
fn plain(plugin: &Vst3Instance) -> BTreeMap<String, f32> {
    nice_state::parameters(&framed(&plugin.save().unwrap())).unwrap()
}

#[test]
fn a_value_that_the_host_sets_takes_effect_at_once_and_is_saved_though_no_block_is_processed() {
    // Inactive, active without a block yet, and active after the last block.
    for blocks in [None, Some(0), Some(3)] {
        let mut plugin = load(ForwardedEdits::All);
        let fresh = plugin.save().unwrap();
        if let Some(blocks) = blocks {
            plugin.activate(RATE, FRAMES, 2).unwrap();
            for _ in 0..blocks {
                // All parameters are set in these blocks.

                let points = |p: &Vst3Parameter| AutomationPoint { frame: 0, id: p.id, value: p.default };
                let points: Vec<AutomationPoint> = plugin.parameters().iter().map(points).collect();
                plugin.process(&sound(), &points);
            }
        }
        let parameters = plugin.parameters().to_vec();
        for p in &parameters {
            plugin.set_normalized(p.id, other_value(p));
            let (found, expected) = (plugin.normalized(p.id), quantised(p, other_value(p)));
            assert!(near(found, expected), "{}, {blocks:?} blocks: {found}, expected {expected}", p.title);
        }
        let state = plugin.save().unwrap();
        assert!(state != fresh);
        let mut again = load(ForwardedEdits::All);
        again.load_state(&state).unwrap();
        for p in &parameters {
            let (found, expected) = (again.normalized(p.id), quantised(p, other_value(p)));
            assert!(near(found, expected), "{}, {blocks:?} blocks, restored: {found}, expected {expected}", p.title);
        }
    }
}

#[test]
fn clap_saves_values_that_a_host_flushed_though_no_block_is_processed() {
    for active in [false, true] {
        let mut plugin = load_clap();
        if active {
            plugin.activate(RATE, FRAMES as u32).unwrap();
        }
        let parameters = plugin.parameters().to_vec();
        let other_value = |p: &isotherm_host::ParameterInfo| {
            let value = p.min + (p.max - p.min) * if p.default < 0.5 * p.max { 0.83 } else { 0.17 };
            if p.stepped { value.round() } else { value }
        };
        for p in &parameters {
            plugin.set(p.id, other_value(p));
            assert!(near(plugin.value(p.id), other_value(p)), "{}: {}", p.path(), plugin.value(p.id));
        }
        let state = plugin.save().unwrap();
        let mut again = ClapInstance::load(&path("ISOTHERM_CLAP")).unwrap();
        again.load_state(&state).unwrap();
        for p in &parameters {
            assert!(near(again.value(p.id), other_value(p)), "{}, restored: {}", p.path(), again.value(p.id));
        }
    }
}

#[test]
fn every_parameter_is_quantised_as_it_is_declared_in_vst3_and_clap() {
    const VALUES: [f64; 7] = [0.0, 0.07, 0.3, 0.4999, 0.51, 0.93, 1.0];
    let mut plugin = active(ForwardedEdits::All);
    let mut clap = load_clap();
    let parameters = plugin.parameters().to_vec();
    let declared = declared();
    for p in &parameters {
        if let Some(descriptor) = declared.get(&p.title) {
            let steps = if let ParameterKind::Float { .. } = descriptor.kind { 0 } else { descriptor.range().1 as i32 };
            assert_eq!(p.steps, steps, "{}", p.title);
        }
        let clap_parameter = clap.parameter(p.title.as_str()).clone();
        assert_eq!(clap_parameter.stepped, p.steps > 0, "{}", p.title);
        for value in VALUES {
            let expected = quantised(p, value);
            plugin.set_normalized(p.id, value);
            assert!(near(plugin.normalized(p.id), expected), "{} set to {value}: {}", p.title, plugin.normalized(p.id));
            plugin.process(&sound(), &[AutomationPoint { frame: 7, id: p.id, value }]);
            assert!(near(plugin.normalized(p.id), expected), "{} in a block: {}", p.title, plugin.normalized(p.id));
            clap.set(p.id, value * clap_parameter.max);
            let found = clap.value(p.id);
            let clap_expected = expected * clap_parameter.max;
            assert!(near(found, clap_expected), "{} in CLAP: {found}, expected {clap_expected}", p.title);
        }
    }
}

/// A host may show the value that it set until it is told to read it again.
#[test]
fn a_host_that_sets_a_value_between_two_steps_is_told_to_read_values_again() {
    /// The standard's flag `kParamValuesChanged`.
    const VALUES_CHANGED: i32 = 1 << 2;
    let mut plugin = load(ForwardedEdits::All);
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
fn a_bounce_has_the_oversampling_of_renders_and_the_latency_of_real_time() {
    for name in ["Saturator", "Clipper"] {
        let mut plugin = load(ForwardedEdits::All);
        let mut play = |set: &str, render: &str, offline: bool| {
            let (set_title, render_title) = (format!("A {name} Oversampling"), format!("A {name} Render oversampling"));
            for (title, text) in [("A Algorithm", name), (&*set_title, set), (&*render_title, render)] {
                let id = plugin.id(title);
                plugin.set_normalized(id, plugin.value_of_text(id, text).unwrap());
            }
            // One instance, as in a host: the mode of one activation says nothing about the next one.
            plugin.set_offline(offline);
            plugin.activate(RATE, FRAMES, 2).unwrap();
            let played = (plugin.latency(), plugin.process(&sound(), &[]));
            plugin.deactivate();
            played
        };
        let [one, two, eight] = ["1x", "2x", "8x"].map(|set| play(set, "As set", false));
        assert!(one.0 < two.0 && two.0 < eight.0 && one.1 != two.1, "{name}");
        for render in ["As set", "2x"] {
            assert!([false, true].iter().all(|offline| play("2x", render, *offline) == two), "{name}: render at {render}");
        }
        let late = eight.0 - one.0;
        let late_one: Vec<Vec<f32>> = one.1.iter().map(|c| [&vec![0.0; late][..], &c[..FRAMES - late]].concat()).collect();
        for _ in 0..2 {
            assert!(play("1x", "8x", true) == eight, "{name}");
            assert!(play("1x", "8x", false) == (eight.0, late_one.clone()), "{name}");
        }
    }
}

#[test]
fn each_number_is_shown_with_its_unit_once_and_a_choice_without() {
    let plugin = load(ForwardedEdits::All);
    let clap = ClapInstance::load(&path("ISOTHERM_CLAP")).unwrap();
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
            // The plug-in reads a text with and without the unit.
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
fn a_parameter_index_past_the_end_is_refused() {
    assert!(load(ForwardedEdits::All).parameter_past_the_end().is_none());
    assert!(!ClapInstance::load(&path("ISOTHERM_CLAP")).unwrap().has_parameter_past_the_end());
}

/// Points of a ramp over all blocks, every 64 frames, for one of the blocks.
fn ramp(id: u32, block: usize, blocks: usize) -> Vec<AutomationPoint> {
    let at = |frame: usize| (block * FRAMES + frame) as f64 / (blocks * FRAMES) as f64;
    (0..FRAMES).step_by(64).map(|frame| AutomationPoint { frame, id, value: at(frame) }).collect()
}

/// A host that automates a parameter also sets it through the controller, which may happen late and without a point.
#[test]
fn automation_is_exact_also_if_the_host_sets_its_values_through_the_controller_too() {
    const BLOCKS: usize = 40;
    /// Longest time between two blocks: for a second after its last point, only blocks can set a parameter.
    const LONGEST_PAUSE: Duration = Duration::from_millis(500);
    // None if the machine was too slow.
    let play = |echoes: bool| {
        let mut plugin = active(ForwardedEdits::All);
        let id = plugin.id("A Saturator Drive");
        let (mut output, mut last) = (Vec::new(), Instant::now());
        for block in 0..BLOCKS {
            // Every fourth block has no point, so the last value holds.
            let points = if block % 4 == 3 { Vec::new() } else { ramp(id, block, BLOCKS) };
            let begin = Instant::now();
            output.push(plugin.process(&sound(), &points));
            if last.elapsed() > LONGEST_PAUSE {
                return None;
            }
            last = if points.is_empty() { last } else { begin };
            if echoes {
                let late = 0.9 * block.saturating_sub(5) as f64 / BLOCKS as f64;
                plugin.set_normalized(id, late);
                assert!(near(plugin.normalized(id), late), "the host reads the value that it set");
            }
        }
        Some(output)
    };
    let run = |echoes: bool| (0..200).find_map(|_| play(echoes)).expect("the machine is fast enough at least once");
    let (quiet, echoed) = (run(false), run(true));
    let differs = (0..BLOCKS).find(|i| quiet[*i] != echoed[*i]);
    assert!(differs.is_none(), "from block {differs:?}");
}

/// A notification from an instance's audio thread to the host goes through a thread that all instances share. It may be under
/// way when the host removes the instance.
#[test]
fn an_instance_that_is_removed_while_it_notifies_the_host_does_not_break_others() {
    /// The standard's flag `kLatencyChanged`.
    const LATENCY_CHANGED: i32 = 1 << 3;
    let mut staying = active(ForwardedEdits::All);
    for _ in 0..100 {
        let mut removed = active(ForwardedEdits::All);
        let all = |value: f64| removed.parameters().iter().map(move |p| AutomationPoint { frame: 0, id: p.id, value });
        let points: Vec<AutomationPoint> = all(0.3).chain(all(0.7)).collect();
        removed.process(&sound(), &points);
        drop(removed);
    }
    // The instance that stays can still notify the host.
    let oversampling = staying.id("A Saturator Oversampling");
    let begin = Instant::now();
    for turn in 0.. {
        staying.process(&sound(), &[AutomationPoint { frame: 0, id: oversampling, value: f64::from(turn / 50 % 2) }]);
        if staying.take_restarts().iter().any(|flags| flags & LATENCY_CHANGED != 0) {
            return;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "the host is no longer notified");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The source of nice-plug's store of values, tested here with a parameter that has two fields as nice-plug's parameters have.
#[allow(dead_code)]
#[path = "../../vendor/nice-plug/src/wrapper/vst3/param_values.rs"]
mod param_values;

#[test]
fn a_parameter_that_two_threads_set_at_once_is_consistent() {
    use param_values::{ParamValues, Source};
    const ROUNDS: u32 = 2_000;
    const SETS: u32 = 7;
    let values = ParamValues::new(&[7]);
    let (value, copy) = (AtomicU32::new(0), AtomicU32::new(0));
    let set = |new: u32, source: Source| {
        values.set(7, new as f32, source, || {
            if value.swap(new, Ordering::Relaxed) != new {
                // The thread is interrupted between the two stores, as may happen.
                if new.is_multiple_of(7) {
                    thread::yield_now();
                }
                copy.store(new, Ordering::Relaxed);
            }
        });
    };
    let (barrier, mut torn) = (Barrier::new(2), None);
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..=ROUNDS {
                barrier.wait();
                (0..SETS).for_each(|i| set(2 * (SETS * round + i), Source::Block));
                barrier.wait();
            }
        });
        for round in 1..=ROUNDS {
            barrier.wait();
            (0..SETS).for_each(|i| set(2 * (SETS * round + i) + 1, Source::Editor));
            barrier.wait();
            let (value, copy) = (value.load(Ordering::Relaxed), copy.load(Ordering::Relaxed));
            torn = torn.or((value != copy).then_some((round, value, copy)));
        }
    });
    assert!(torn.is_none(), "round, value and its copy: {torn:?}");
}

/// Tests with the plug-in's window on a display without a screen, and a simulated mouse.
#[cfg(target_os = "linux")]
mod window {
    use std::process::Command;
    use std::thread;
    use std::time::{Duration, Instant};

    use isotherm::algorithm::REGISTRY;
    use isotherm::dsp::ProcessSpec;
    use isotherm::dsp::Settings;
    use isotherm::effect::Effect;
    use isotherm::slots::{Listen, Slots};
    use isotherm::ui::SIZE;
    use isotherm_host::vst3::{AutomationPoint, ForwardedEdits, Vst3Instance};
    use x11rb::connection::Connection;
    use x11rb::protocol::xproto::{ConnectionExt, CreateWindowAux, WindowClass};
    use x11rb::rust_connection::RustConnection;

    use super::{FRAMES, RATE, active, near, plain, sound};
    use crate::panels::Panels;
    use isotherm_support::display::is_on_display;

    /// Longest time for a whole test, on a busy machine.
    const TEST_TIMEOUT: Duration = Duration::from_secs(240);

    /// True in a process of its own that has a display; runs the test in one otherwise.
    fn has_display(test: &str) -> bool {
        is_on_display(module_path!(), test, (1280, 860), TEST_TIMEOUT, |_| ())
    }

    /// An active plug-in, its open window, and panels that give the positions of its controls.
    struct Window {
        plugin: Vst3Instance,
        display: RustConnection,
        screen: usize,
        panels: Panels,
        deadline: Instant,
    }

    impl Window {
        fn open(forwarded: ForwardedEdits) -> Self {
            let mut plugin = active(forwarded);
            let (display, screen) = RustConnection::connect(None).unwrap();
            let id = display.generate_id().unwrap();
            let root = display.setup().roots[screen].root;
            let (width, height) = (SIZE.0 as u16, SIZE.1 as u16);
            let attributes = CreateWindowAux::new().override_redirect(1);
            display.create_window(0, id, root, 0, 0, width, height, 0, WindowClass::INPUT_OUTPUT, 0, &attributes).unwrap();
            display.map_window(id).unwrap().check().unwrap();
            plugin.open_window(id).unwrap();
            Self { plugin, display, screen, panels: Panels::default(), deadline: Instant::now() + TEST_TIMEOUT }
        }

        /// Runs event loop and blocks for a time, as a host does all the time. Returns the output of the last block.
        fn run_host(&mut self, time: Duration) -> Vec<Vec<f32>> {
            let begin = Instant::now();
            loop {
                self.plugin.run_event_loop();
                let output = self.plugin.process(&sound(), &[]);
                if begin.elapsed() >= time {
                    return output;
                }
                thread::sleep(Duration::from_millis(5));
            }
        }

        /// The position of the control with a label.
        fn position(&self, label: &str) -> (i32, i32) {
            let middle = self.panels.area(label).center();
            (middle.x.round() as i32, middle.y.round() as i32)
        }

        /// Runs `xdotool`, which moves the mouse and types.
        fn xdotool(&self, words: &[&str]) {
            assert!(
                Command::new("xdotool").args(words).status().expect("run `cargo xtask setup`").success(),
                "xdotool {words:?}"
            );
        }

        fn click(&mut self, (x, y): (i32, i32)) {
            self.xdotool(&["mousemove", &x.to_string(), &y.to_string()]);
            self.run_host(Duration::from_millis(300));
            self.xdotool(&["click", "1"]);
            self.run_host(Duration::from_millis(500));
        }

        /// Clicks the controls with these labels, one after the other, until the parameter has the expected value. It does so
        /// again and again, as a slow machine may miss a click.
        fn choose(&mut self, title: &str, labels: &[&str], expected: f64) {
            let id = self.plugin.id(title);
            assert!(!near(self.plugin.normalized(id), expected), "{title} is another at first");
            let mut positions = Vec::new();
            for label in labels {
                positions.push(self.position(label));
                self.panels.click(label);
            }
            loop {
                for position in &positions {
                    self.click(*position);
                }
                let begin = Instant::now();
                while begin.elapsed() < Duration::from_secs(5) {
                    if near(self.plugin.normalized(id), expected) {
                        return;
                    }
                    self.run_host(Duration::from_millis(50));
                }
                let alive = self.display.get_input_focus().is_ok() && self.screen < 8;
                let found = self.plugin.normalized(id);
                assert!(alive && Instant::now() < self.deadline, "{title} did not follow {labels:?}: {found}");
                self.xdotool(&["key", "Escape"]);
                self.run_host(Duration::from_millis(300));
            }
        }
    }

    /// The output of the library's slots for the saved settings of slot A and a block of sound that is repeated until all ramps
    /// are over.
    fn settled_output(plugin: &Vst3Instance) -> Vec<Vec<f32>> {
        let state = plain(plugin);
        let row = REGISTRY[state["a_algorithm"] as usize];
        let mut settings = Settings::new(row);
        for (index, parameter) in row.parameters.iter().enumerate() {
            settings.set(index, state[&format!("a_{}_{}", row.id, parameter.id)]);
        }
        let spec = ProcessSpec::new(RATE as f32, 2, FRAMES);
        let mut slots = Slots::compile(spec, &[settings.into(), Effect::new(REGISTRY[1])], Listen::Slot(0), None).unwrap();
        let mut output = Vec::new();
        for _ in 0..200 {
            output = sound();
            let mut views: Vec<&mut [f32]> = output.iter_mut().map(Vec::as_mut_slice).collect();
            slots.process(&mut views);
        }
        output
    }

    /// The largest difference of two outputs.
    fn largest_difference(a: &[Vec<f32>], b: &[Vec<f32>]) -> f32 {
        a.iter().zip(b).flat_map(|(a, b)| a.iter().zip(b)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn a_choice_in_the_window_plays_also_in_a_host_that_forwards_only_automatable_parameters() {
        if !has_display("a_choice_in_the_window_plays_also_in_a_host_that_forwards_only_automatable_parameters") {
            return;
        }
        let mut window = Window::open(ForwardedEdits::Automatable);
        let listed = |title: &str| window.plugin.parameters().iter().find(|p| p.title == title).unwrap().clone();
        let (algorithm, shape, blind) = (listed("A Algorithm"), listed("A Clipper Shape"), listed("Blind"));
        assert!(!algorithm.automatable && !shape.automatable && !blind.automatable);
        let clipper = REGISTRY.iter().position(|row| row.id == "clipper").unwrap();
        let before = settled_output(&window.plugin);

        let step = clipper as f64 / f64::from(algorithm.steps);
        window.choose("A Algorithm", &["A algorithm", REGISTRY[clipper].name], step);
        let edits = window.plugin.take_edits();
        assert!(edits.contains(&(algorithm.id, f64::from(step as f32))), "the host is told as well: {edits:?}");
        window.choose("A Clipper Shape", &["A Shape: Hard"], 1.0 - shape.default);
        let after = settled_output(&window.plugin);
        assert!(largest_difference(&before, &after) > 1e-2);
        let deadline = Instant::now() + TEST_TIMEOUT;
        loop {
            let output = window.run_host(Duration::from_millis(200));
            if largest_difference(&output, &after) < 1e-4 {
                break;
            }
            assert!(Instant::now() < deadline, "what was chosen is not heard: off by {}", largest_difference(&output, &after));
        }
        window.choose("Blind", &["Blind"], 1.0);
    }

    #[test]
    fn within_a_block_the_hosts_value_wins_and_an_edit_that_comes_back_changes_nothing() {
        if !has_display("within_a_block_the_hosts_value_wins_and_an_edit_that_comes_back_changes_nothing") {
            return;
        }
        for forwarded in [ForwardedEdits::All, ForwardedEdits::Automatable] {
            let mut window = Window::open(forwarded);
            let id = window.plugin.id("A Saturator Drive");
            let (x, y) = window.position("A Drive");
            // Turns the knob with the mouse wheel until the host is told; no block is processed meanwhile. Returns the value.
            let turn = |window: &mut Window| {
                window.plugin.take_edits();
                loop {
                    window.xdotool(&["mousemove", &x.to_string(), &y.to_string()]);
                    thread::sleep(Duration::from_millis(300));
                    window.xdotool(&["click", "4"]);
                    for _ in 0..20 {
                        thread::sleep(Duration::from_millis(100));
                        window.plugin.run_event_loop();
                    }
                    if let Some((_, value)) = window.plugin.take_edits().into_iter().rfind(|edit| edit.0 == id) {
                        return value;
                    }
                    assert!(Instant::now() < window.deadline, "the window did not follow the wheel");
                }
            };
            let edited = turn(&mut window);
            assert!(near(window.plugin.normalized(id), edited), "an edit counts at once");
            // The host sends the edit back, which changes nothing.
            window.plugin.process(&sound(), &[]);
            assert!(near(window.plugin.normalized(id), edited));

            for frame in [0, FRAMES / 2] {
                let edited = turn(&mut window);
                assert!(near(window.plugin.normalized(id), edited));
                window.plugin.process(&sound(), &[AutomationPoint { frame, id, value: 0.11 }]);
                assert!(near(window.plugin.normalized(id), 0.11), "the host's value in the block wins, at frame {frame}");
                window.plugin.process(&sound(), &[]);
                assert!(near(window.plugin.normalized(id), 0.11));
            }
            // An edit after the block wins over it.
            let edited = turn(&mut window);
            window.plugin.process(&sound(), &[]);
            assert!(near(window.plugin.normalized(id), edited));
        }
    }
}
