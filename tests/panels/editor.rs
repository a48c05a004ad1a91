//! Laws of the editor's panels, over a registry and values of their own.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use egui::accesskit::{Role, Toggled};
use egui::{Event, Key, Modifiers, MouseWheelSource, MouseWheelUnit, Rect, TouchPhase, Vec2, ViewportId, pos2, vec2};
use egui_kittest::kittest::{NodeT, Queryable};
use egui_kittest::{Harness, Node};
use isotherm::dsp::{Algorithm, Block, Change, Index, Kind, Parameter, PrepareError, Processor, Scale, Settings, Spec, Unit};
use isotherm::ui::{
    BlindView, Control, Controls, Editor, FolderView, Level, MIN_SIZE, ModelFacts, ModelView, SIZE, Slot, Snapshot, TakeAction,
    TwinStage, TwinView, TwinWish,
};

struct Nothing;

impl Processor for Nothing {
    fn prepare(&mut self, _: Spec, _: &Settings) -> Result<(), PrepareError> {
        Ok(())
    }
    fn set(&mut self, _: Index, _: f32) {}
    fn reset(&mut self) {}
    fn process(&mut self, _: &mut Block<'_>) {}
    fn bytes(&self) -> usize {
        0
    }
}

const fn number(id: &'static str, name: &'static str, min: f32, max: f32, default: f32, unit: Unit) -> Parameter {
    let kind = Kind::Float { min, max, default, unit, scale: Scale::Linear, off_at_max: false };
    Parameter { id, name, kind, change: Change::Ramped, doc: "More of it." }
}

const fn choice(id: &'static str, name: &'static str, names: &'static [&'static str], default: usize) -> Parameter {
    let kind = Kind::Choice { names, default };
    Parameter { id, name, kind, change: Change::Structural, doc: "Which of some." }
}

const fn toggle(id: &'static str, name: &'static str, default: bool) -> Parameter {
    Parameter { id, name, kind: Kind::Toggle { default }, change: Change::Ramped, doc: "On or off." }
}

const TONE: Kind =
    Kind::Float { min: 200.0, max: 20_000.0, default: 20_000.0, unit: Unit::Hertz, scale: Scale::Logarithmic, off_at_max: true };
const CURVES: &[&str] = &["Soft", "Medium rare", "Hard", "Fold over", "Sine", "Diode pair", "Rectified"];

fn create() -> Box<dyn Processor> {
    Box::new(Nothing)
}

/// Every kind of parameter.
static TUBE: Algorithm = Algorithm {
    id: "tube",
    name: "Tube saturator",
    description: "Warms.",
    model: false,
    parameters: &[
        number("drive", "Drive", -12.0, 48.0, 6.0, Unit::Decibel),
        number("bias", "Bias", -1.0, 1.0, 0.0, Unit::None),
        Parameter { id: "tone", name: "Tone", kind: TONE, change: Change::Ramped, doc: "Brighter." },
        number("mix", "Mix", 0.0, 100.0, 100.0, Unit::Percent),
        number("output", "Output", -24.0, 24.0, 0.0, Unit::Decibel),
        number("sag", "Sag", 0.0, 100.0, 0.0, Unit::Percent),
        choice("oversampling", "Oversampling", &["1x", "2x", "4x", "8x"], 2),
        choice("curve", "Curve", CURVES, 0),
        toggle("dc_blocker", "DC blocker", true),
        toggle("auto_gain", "Auto gain", false),
    ],
    create,
};

/// As many knobs as any row has.
static KNOBS: Algorithm = Algorithm {
    id: "knobs",
    name: "Knobs",
    description: "Turns.",
    model: false,
    parameters: &[
        number("k0", "Bits", 1.0, 24.0, 8.0, Unit::Bit),
        number("k1", "Downsampling", 0.0, 1.0, 0.5, Unit::None),
        number("k2", "Jitter", 0.0, 1.0, 0.5, Unit::None),
        number("k3", "Dither", 0.0, 1.0, 0.5, Unit::None),
        number("k4", "Pre-emphasis", 0.0, 1.0, 0.5, Unit::None),
        number("k5", "Threshold", -60.0, 0.0, -6.0, Unit::Decibel),
        number("k6", "Knee", 0.0, 24.0, 6.0, Unit::Decibel),
        number("k7", "Asymmetry", -1.0, 1.0, 0.0, Unit::None),
        number("k8", "Mix", 0.0, 100.0, 100.0, Unit::Percent),
        number("k9", "Output", -24.0, 24.0, 0.0, Unit::Decibel),
    ],
    create,
};

static EMPTY: Algorithm =
    Algorithm { id: "empty", name: "Empty", description: "Nothing.", parameters: &[], model: false, create };

/// Runs a model.
static NEURAL: Algorithm = Algorithm {
    id: "neural",
    name: "Neural",
    description: "Plays.",
    parameters: &[number("input", "Input", -24.0, 24.0, 0.0, Unit::Decibel), choice("mode", "Mode", &["Raw", "Normalised"], 0)],
    model: true,
    create,
};

static REGISTRY: [&Algorithm; 4] = [&TUBE, &KNOBS, &EMPTY, &NEURAL];

#[derive(Clone, Debug, PartialEq)]
enum Did {
    Begin(Control),
    Set(Control, f32),
    End(Control),
    Press(u8),
    Reveal,
    Open(Slot, PathBuf),
    Browse(Slot),
    Step(Slot, i32),
    Clear(Slot),
    Twin(TwinWish),
    Take(TakeAction),
}

/// Values in a map, and a record of what was done to them.
#[derive(Default)]
struct Desk {
    values: RefCell<HashMap<Control, f32>>,
    did: RefCell<Vec<Did>>,
    read: RefCell<Vec<Control>>,
    /// What every value is instead, if any.
    broken: Option<f32>,
}

impl Controls for Desk {
    fn get(&self, control: Control) -> f32 {
        self.read.borrow_mut().push(control);
        if let Some(value) = self.broken {
            return value;
        }
        let default = match control {
            Control::Parameter { algorithm, index, .. } => REGISTRY[algorithm].parameters[index].default(),
            _ => 0.0,
        };
        self.values.borrow().get(&control).copied().unwrap_or(default)
    }
    fn begin(&self, control: Control) {
        self.did.borrow_mut().push(Did::Begin(control));
    }
    fn set(&self, control: Control, value: f32) {
        self.did.borrow_mut().push(Did::Set(control, value));
        self.values.borrow_mut().insert(control, value);
    }
    fn end(&self, control: Control) {
        self.did.borrow_mut().push(Did::End(control));
    }
    fn press_listen(&self, side: u8) {
        self.did.borrow_mut().push(Did::Press(side));
        self.values.borrow_mut().insert(Control::Listen, f32::from(side));
    }
    fn reveal(&self) {
        self.did.borrow_mut().push(Did::Reveal);
    }
    fn open_model(&self, slot: Slot, path: &Path) {
        self.did.borrow_mut().push(Did::Open(slot, path.to_owned()));
    }
    fn browse_models(&self, slot: Slot) {
        self.did.borrow_mut().push(Did::Browse(slot));
    }
    fn step_model(&self, slot: Slot, step: i32) {
        self.did.borrow_mut().push(Did::Step(slot, step));
    }
    fn clear_model(&self, slot: Slot) {
        self.did.borrow_mut().push(Did::Clear(slot));
    }
    fn twin(&self, wish: TwinWish) {
        self.did.borrow_mut().push(Did::Twin(wish));
    }
    fn take(&self, action: TakeAction) {
        self.did.borrow_mut().push(Did::Take(action));
    }
}

struct State {
    editor: Editor,
    desk: Desk,
    snapshot: Snapshot,
}

fn silence(channels: usize) -> Snapshot {
    Snapshot {
        channels,
        input: vec![Level::default(); channels],
        output: vec![Level::default(); channels],
        sample_rate: 48_000.0,
        latency_frames: 64,
        load: 0.12,
        blind: BlindView::Off,
        models: Default::default(),
        twin: TwinView::default(),
        take: Default::default(),
    }
}

/// The editor in a window of `size`; the harness itself keeps 8 px around it.
fn window_of(size: (u32, u32), desk: Desk, snapshot: Snapshot) -> Harness<'static, State> {
    let state = State { editor: Editor::new(&REGISTRY), desk, snapshot };
    let mut harness = Harness::builder()
        .with_size(vec2(size.0 as f32, size.1 as f32) + Vec2::splat(16.0))
        .with_step_dt(1.0 / 60.0)
        .build_ui_state(|ui, state: &mut State| state.editor.show(ui, &state.desk, &state.snapshot), state);
    harness.run();
    harness
}

fn window() -> Harness<'static, State> {
    window_of(SIZE, Desk::default(), silence(2))
}

fn did(harness: &mut Harness<'_, State>) -> Vec<Did> {
    std::mem::take(&mut *harness.state_mut().desk.did.borrow_mut())
}

fn tube(slot: Slot, id: &str) -> Control {
    parameter(slot, 0, id)
}

fn parameter(slot: Slot, algorithm: usize, id: &str) -> Control {
    let index = REGISTRY[algorithm].parameters.iter().position(|p| p.id == id).unwrap();
    Control::Parameter { slot, algorithm, index }
}

/// A gesture of one value.
fn once(control: Control, value: f32) -> Vec<Did> {
    vec![Did::Begin(control), Did::Set(control, value), Did::End(control)]
}

fn drag(harness: &mut Harness<'_, State>, name: &str, up: &[f32]) {
    let from = harness.get_by_label(name).rect().center();
    harness.hover_at(from);
    harness.drag_at(from);
    harness.run();
    for &up in up {
        harness.hover_at(from - vec2(0.0, up));
        harness.run();
    }
    let last = from - vec2(0.0, up.last().copied().unwrap_or(0.0));
    harness.drop_at(last);
    harness.run();
}

fn click(harness: &mut Harness<'_, State>, name: &str) {
    harness.get_by_label(name).click();
    harness.run();
}

fn wheel(harness: &Harness<'_, State>, lines: f32) {
    harness.event(Event::MouseWheel {
        unit: MouseWheelUnit::Line,
        delta: vec2(0.0, lines),
        phase: TouchPhase::Move,
        source: MouseWheelSource::Unknown,
        modifiers: Modifiers::NONE,
    });
}

/// Everything that the tree says.
fn said(harness: &Harness<'_, State>) -> Vec<String> {
    let nodes = harness.root().children_recursive();
    nodes.flat_map(|n| [n.accesskit_node().label(), n.accesskit_node().value()]).flatten().collect()
}

fn shapes(harness: &Harness<'_, State>) -> String {
    format!("{:?}", harness.output().shapes)
}

fn repaint_delay_ms(harness: &Harness<'_, State>) -> u128 {
    harness.output().viewport_output[&ViewportId::ROOT].repaint_delay.as_millis()
}

#[test]
fn every_parameter_of_the_chosen_algorithm_is_found_by_name_in_both_slots() {
    for (algorithm, row) in REGISTRY.iter().enumerate() {
        let desk = Desk::default();
        for slot in Slot::ALL {
            desk.values.borrow_mut().insert(Control::Algorithm(slot), algorithm as f32);
        }
        let harness = window_of(SIZE, desk, silence(2));
        for slot in Slot::ALL {
            harness.get_by_label(&format!("{} algorithm", slot.name()));
            for parameter in row.parameters {
                harness.get_by_label(&format!("{} {}", slot.name(), parameter.name));
            }
        }
        for name in
            ["Listen A", "Listen B", "Bypass", "Blind", "Reveal", "Input level", "Output level", "Input clip", "Output clip"]
        {
            harness.get_by_label(name);
        }
    }
}

#[test]
fn the_slots_show_their_own_algorithms() {
    let desk = Desk::default();
    desk.values.borrow_mut().insert(Control::Algorithm(Slot::B), 1.0);
    let harness = window_of(SIZE, desk, silence(2));
    harness.get_by_label("A Drive");
    harness.get_by_label("B Bits");
    assert!(harness.query_by_label("B Drive").is_none());
    assert!(harness.query_by_label("A Bits").is_none());
}

#[test]
fn a_drag_is_one_gesture_that_begins_sets_and_ends_in_range() {
    for (name, control) in [("A Drive", tube(Slot::A, "drive")), ("B Tone", tube(Slot::B, "tone"))] {
        let Control::Parameter { index, .. } = control else { unreachable!() };
        let (min, max) = TUBE.parameters[index].range();
        for (up, end) in [([10.0, 20.0, 2000.0], max), ([-10.0, -20.0, -2000.0], min)] {
            let mut harness = window();
            drag(&mut harness, name, &up);
            let did = did(&mut harness);
            assert_eq!(did.first(), Some(&Did::Begin(control)));
            assert_eq!(did.last(), Some(&Did::End(control)));
            for step in &did[1..did.len() - 1] {
                assert!(matches!(step, Did::Set(c, v) if *c == control && (min..=max).contains(v)), "{did:?}");
            }
            assert_eq!(harness.state().desk.get(control), end, "{name} by {up:?}");
        }
    }
}

#[test]
fn dragging_up_is_more_and_shift_is_finer() {
    let travel = |shift: bool| {
        let mut harness = window();
        if shift {
            harness.event(Event::ModifiersChanged(Modifiers::SHIFT));
        }
        drag(&mut harness, "A Drive", &[10.0, 30.0, 50.0]);
        harness.state().desk.get(tube(Slot::A, "drive")) - 6.0
    };
    let (coarse, fine) = (travel(false), travel(true));
    assert!(coarse > 5.0, "{coarse}");
    assert!(fine > 0.0 && fine < coarse / 5.0, "{fine} of {coarse}");
}

#[test]
fn a_logarithmic_knob_travels_by_ratios() {
    let control = tube(Slot::A, "tone");
    let mut values = Vec::new();
    for up in [-60.0, -100.0, -140.0] {
        let mut harness = window();
        drag(&mut harness, "A Tone", &[up]);
        values.push(harness.state().desk.get(control));
    }
    let (first, second) = (values[0] / values[1], values[1] / values[2]);
    assert!((first / second - 1.0).abs() < 1e-3, "{values:?}");
}

#[test]
fn a_double_click_restores_the_default() {
    let control = tube(Slot::B, "drive");
    let mut harness = window();
    harness.state_mut().desk.values.borrow_mut().insert(control, 30.0);
    harness.run();
    harness.get_by_label("B Drive").click();
    harness.get_by_label("B Drive").click();
    harness.run();
    assert_eq!(did(&mut harness), once(control, 6.0));
}

#[test]
fn a_typed_value_is_parsed() {
    for (name, text, control, value) in [
        ("A Drive value", "-3.5 dB", tube(Slot::A, "drive"), -3.5),
        ("B Tone value", "1.2 kHz", tube(Slot::B, "tone"), 1200.0),
        ("B Tone value", "off", tube(Slot::B, "tone"), 20_000.0),
    ] {
        let mut harness = window();
        click(&mut harness, name);
        harness.get_by_role(Role::TextInput).type_text(text);
        harness.key_press(Key::Enter);
        harness.run();
        assert_eq!(did(&mut harness), once(control, value), "{name}: {text}");
        assert!(harness.query_by_role(Role::TextInput).is_none());
    }
}

#[test]
fn a_bad_text_leaves_the_value_and_says_why() {
    for (text, why) in [("loud", "'loud' is not a number"), ("99", "99 is out of range")] {
        let mut harness = window();
        click(&mut harness, "A Drive value");
        harness.get_by_role(Role::TextInput).type_text(text);
        harness.key_press(Key::Enter);
        harness.run();
        let said = said(&harness);
        assert!(said.iter().any(|s| s.contains(why) && s.contains("-12 to 48 dB")), "{said:?}");
        assert_eq!(did(&mut harness), []);
        // The field is still open: a better text goes through.
        harness.get_by_role(Role::TextInput).type_text("7");
        harness.key_press(Key::Enter);
        harness.run();
        assert_eq!(did(&mut harness), once(tube(Slot::A, "drive"), 7.0));
    }
}

#[test]
fn escape_leaves_the_value() {
    let mut harness = window();
    click(&mut harness, "A Drive value");
    harness.get_by_role(Role::TextInput).type_text("12");
    harness.key_press(Key::Escape);
    harness.run();
    assert!(harness.query_by_role(Role::TextInput).is_none());
    assert_eq!(did(&mut harness), []);
}

#[test]
fn off_is_written_as_off() {
    let harness = window();
    let value = harness.get_by_label("A Tone").value();
    assert_eq!(value.as_deref(), Some("off"));
    assert_eq!(harness.get_by_label("A Drive").value().as_deref(), Some("6.00 dB"));
}

#[test]
fn a_focused_knob_obeys_the_keyboard() {
    let control = tube(Slot::A, "drive");
    for (key, value) in [
        (Key::ArrowUp, 6.6),
        (Key::ArrowRight, 6.6),
        (Key::ArrowDown, 5.4),
        (Key::ArrowLeft, 5.4),
        (Key::PageUp, 12.0),
        (Key::Home, -12.0),
        (Key::End, 48.0),
    ] {
        let mut harness = window();
        harness.get_by_label("A Drive").focus();
        harness.run();
        harness.key_press(key);
        harness.run();
        assert!(harness.get_by_label("A Drive").is_focused(), "{key:?}");
        let did = did(&mut harness);
        assert!(
            matches!(did[..], [Did::Begin(_), Did::Set(c, v), Did::End(_)] if c == control && (v - value).abs() < 1e-3),
            "{did:?}"
        );
    }
}

#[test]
fn an_assistive_tool_sets_a_knob() {
    let mut harness = window();
    harness.get_by_label("A Drive").set_value_accesskit(12.5);
    harness.run();
    assert_eq!(did(&mut harness), once(tube(Slot::A, "drive"), 12.5));
    harness.get_by_label("A Drive").set_value_accesskit(1e9);
    harness.run();
    assert_eq!(did(&mut harness), once(tube(Slot::A, "drive"), 48.0));
}

#[test]
fn the_wheel_turns_the_knob_under_the_pointer() {
    let control = tube(Slot::A, "drive");
    let mut harness = window();
    harness.run_steps(60);
    harness.get_by_label("A Drive").hover();
    harness.run();
    wheel(&harness, 1.0);
    harness.run_steps(60);
    let did = did(&mut harness);
    assert!(matches!(did[..], [Did::Begin(_), Did::Set(c, v), Did::End(_)] if c == control && v > 6.0), "{did:?}");
}

#[test]
fn an_editor_works_again_in_another_window() {
    let mut first = window();
    first.run_steps(600);
    first.get_by_label("A Drive").hover();
    wheel(&first, 1.0);
    first.run_steps(60);
    first.get_by_label("A Drive value").click();
    first.run_steps(60);
    let mut state = first.into_state();
    state.editor.close(&state.desk);
    state.desk.did.borrow_mut().clear();
    let mut second = Harness::builder()
        .with_size(vec2(916.0, 576.0))
        .with_step_dt(1.0 / 60.0)
        .build_ui_state(|ui, state: &mut State| state.editor.show(ui, &state.desk, &state.snapshot), state);
    second.run_steps(60);
    assert!(second.query_by_role(Role::TextInput).is_none());
    second.get_by_label("A Drive").hover();
    wheel(&second, 1.0);
    second.run_steps(60);
    assert_eq!(did(&mut second).len(), 3);
}

#[test]
fn a_scrolled_page_turns_no_knob() {
    let desk = Desk::default();
    desk.values.borrow_mut().insert(Control::Algorithm(Slot::A), 1.0);
    let mut harness = window_of(MIN_SIZE, desk, silence(2));
    harness.run_steps(60);
    // On a name the wheel belongs to the page, also when a knob comes by.
    let knob = harness.get_by_label("A Bits").rect();
    harness.hover_at(pos2(knob.center().x, knob.top() - 12.0));
    harness.run();
    let before = knob.top();
    for _ in 0..20 {
        wheel(&harness, -1.0);
        harness.step();
    }
    harness.run_steps(60);
    assert!(harness.get_by_label("A Bits").rect().top() < before);
    assert_eq!(did(&mut harness), []);
}

#[test]
fn the_same_listen_button_pressed_twice_is_two_presses() {
    let mut harness = window();
    click(&mut harness, "Listen B");
    click(&mut harness, "Listen B");
    click(&mut harness, "Listen A");
    assert_eq!(did(&mut harness), [Did::Press(1), Did::Press(1), Did::Press(0)]);
    let toggled = |name| harness.get_by_label(name).accesskit_node().toggled();
    assert_eq!(toggled("Listen A"), Some(Toggled::True));
    assert_eq!(toggled("Listen B"), Some(Toggled::False));
}

#[test]
fn bypass_and_blind_switch_on_and_off() {
    for (name, control) in [("Bypass", Control::Bypass), ("Blind", Control::Blind)] {
        let mut harness = window();
        click(&mut harness, name);
        assert_eq!(did(&mut harness), once(control, 1.0));
        click(&mut harness, name);
        assert_eq!(did(&mut harness), once(control, 0.0));
    }
}

#[test]
fn a_toggle_and_a_choice_are_gestures_of_one_value() {
    let mut harness = window();
    click(&mut harness, "A DC blocker");
    assert_eq!(did(&mut harness), once(tube(Slot::A, "dc_blocker"), 0.0));
    click(&mut harness, "B Oversampling: 8x");
    assert_eq!(did(&mut harness), once(tube(Slot::B, "oversampling"), 3.0));
    // Chosen already.
    click(&mut harness, "B Oversampling: 8x");
    assert_eq!(did(&mut harness), []);
    // Too many names for segments: a list.
    click(&mut harness, "A Curve");
    click(&mut harness, "Fold over");
    assert_eq!(did(&mut harness), once(tube(Slot::A, "curve"), 3.0));
}

#[test]
fn the_algorithm_is_chosen_from_a_list() {
    let mut harness = window();
    click(&mut harness, "B algorithm");
    click(&mut harness, "Knobs");
    assert_eq!(did(&mut harness), once(Control::Algorithm(Slot::B), 1.0));
    harness.run();
    harness.get_by_label("B Bits");
}

#[test]
fn a_blind_comparison_hides_what_could_tell_the_slots_apart() {
    let mut pictures = Vec::new();
    for (listen, algorithm, level) in [(0.0, 0.0, 0.1), (1.0, 1.0, 0.9)] {
        let desk = Desk::default();
        {
            let mut values = desk.values.borrow_mut();
            values.insert(Control::Blind, 1.0);
            values.insert(Control::Listen, listen);
            values.insert(Control::Algorithm(Slot::A), algorithm);
        }
        let level = Level { peak: level, rms: level, clipped: listen > 0.5 };
        let snapshot =
            Snapshot { blind: BlindView::Hidden, input: vec![level; 2], output: vec![level; 2], load: listen, ..silence(2) };
        let mut harness = window_of(SIZE, desk, snapshot);
        click(&mut harness, "Listen Y");
        assert_eq!(did(&mut harness), [Did::Press(1)]);
        harness.remove_cursor();
        harness.run();
        let said = said(&harness);
        for word in ["Listen A", "Listen B", "Tube", "Knobs", "Drive", "level", "clip", "Load", "algorithm"] {
            assert!(!said.iter().any(|s| s.contains(word)), "{word} in {said:?}");
        }
        let toggled = |name| harness.get_by_label(name).accesskit_node().toggled();
        assert_eq!((toggled("Listen X"), toggled("Listen Y")), (Some(Toggled::False), Some(Toggled::True)));
        let read = harness.state().desk.read.borrow();
        assert!(read.iter().all(|c| matches!(c, Control::Blind | Control::Bypass)), "{read:?}");
        pictures.push((shapes(&harness), said, repaint_delay_ms(&harness)));
    }
    assert!(pictures[0] == pictures[1], "the window differs with what is heard");
}

#[test]
fn a_comparison_that_is_switched_on_is_hidden_at_once() {
    let mut harness = window();
    click(&mut harness, "Blind");
    assert_eq!(harness.state().snapshot.blind, BlindView::Off);
    harness.get_by_label("Listen X");
    assert!(harness.query_by_label("A Drive").is_none());
}

#[test]
fn reveal_tells_which_slot_was_which() {
    let mut harness = window();
    click(&mut harness, "Reveal");
    assert_eq!(did(&mut harness), [], "nothing to reveal");
    harness.state_mut().snapshot.blind = BlindView::Hidden;
    harness.run();
    click(&mut harness, "Reveal");
    assert_eq!(did(&mut harness), [Did::Reveal]);
    harness.state_mut().snapshot.blind = BlindView::Revealed { left: Slot::B };
    harness.run();
    harness.get_by_label("Listen X, B");
    harness.get_by_label("Listen Y, A");
    harness.get_by_label("A Drive");
    // A is heard, on the right.
    assert_eq!(harness.get_by_label("Listen Y, A").accesskit_node().toggled(), Some(Toggled::True));
    click(&mut harness, "Listen X, B");
    assert_eq!(did(&mut harness), [Did::Press(0)]);
}

#[test]
fn a_gesture_ends_when_its_knob_goes() {
    let control = tube(Slot::A, "drive");
    type Loss = fn(&mut State);
    let losses: [Loss; 3] = [
        |state| state.snapshot.blind = BlindView::Hidden,
        |state| {
            state.desk.values.borrow_mut().insert(Control::Algorithm(Slot::A), 1.0);
        },
        |state| state.editor.close(&state.desk),
    ];
    for lose in losses {
        let mut harness = window();
        let from = harness.get_by_label("A Drive").rect().center();
        harness.hover_at(from);
        harness.drag_at(from);
        harness.hover_at(from - vec2(0.0, 20.0));
        harness.run();
        assert_eq!(harness.state().desk.did.borrow()[0], Did::Begin(control));
        lose(harness.state_mut());
        if harness.state().snapshot.blind == BlindView::Off && harness.state().desk.get(Control::Algorithm(Slot::A)) == 0.0 {
            assert_eq!(did(&mut harness).last(), Some(&Did::End(control)));
            continue;
        }
        harness.run();
        harness.drop_at(from);
        harness.run();
        let did = did(&mut harness);
        assert_eq!(did.iter().filter(|d| matches!(d, Did::Begin(_))).count(), 1);
        assert_eq!(did.last(), Some(&Did::End(control)));
    }
}

#[test]
fn values_and_levels_that_are_no_numbers_are_drawn() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN_POSITIVE, -1.0] {
        let level = Level { peak: bad, rms: bad, clipped: true };
        for channels in [0, 1, 2, 33] {
            let mut snapshot = silence(channels);
            snapshot.input = vec![level; channels];
            // Fewer than there are channels.
            snapshot.output = vec![level; channels / 2];
            snapshot.sample_rate = bad;
            snapshot.load = bad;
            snapshot.latency_frames = usize::MAX;
            let desk = Desk { broken: Some(bad), ..Desk::default() };
            let mut harness = window_of(SIZE, desk, snapshot);
            harness.run_steps(3);
            harness.state_mut().snapshot.input.iter_mut().for_each(|l| *l = Level { peak: 0.5, rms: 0.25, clipped: false });
            harness.run_steps(3);
            let drawn = shapes(&harness);
            assert!(!drawn.contains("NaN") && !drawn.contains("-inf"), "{bad} with {channels} channels");
        }
    }
}

#[test]
fn a_clip_light_stays_until_it_is_clicked() {
    let mut harness = window();
    let lit =
        |harness: &Harness<'_, State>| harness.get_by_label("Output clip").accesskit_node().toggled() == Some(Toggled::True);
    assert!(!lit(&harness));
    harness.state_mut().snapshot.output[1] = Level { peak: 1.2, rms: 0.7, clipped: true };
    harness.run();
    harness.state_mut().snapshot.output[1] = Level::default();
    harness.run();
    assert!(lit(&harness));
    assert_eq!(harness.get_by_label("Output clip").value().as_deref(), Some("1.6"));
    assert_eq!(harness.get_by_label("Input clip").accesskit_node().toggled(), Some(Toggled::False));
    click(&mut harness, "Output clip");
    harness.run();
    assert!(!lit(&harness));
}

#[test]
fn the_window_is_drawn_often_only_while_something_moves() {
    let mut harness = window();
    harness.run_steps(120);
    let idle = repaint_delay_ms(&harness);
    assert!(idle >= 100, "{idle} ms");
    harness.state_mut().snapshot.input[0] = Level { peak: 1.0, rms: 0.5, clipped: false };
    harness.step();
    assert!(repaint_delay_ms(&harness) <= 34);
    harness.state_mut().snapshot.input[0] = Level::default();
    // One second is 20 dB: a third of the scale.
    harness.run_steps(60);
    assert!(repaint_delay_ms(&harness) <= 34);
    harness.run_steps(180);
    assert_eq!(repaint_delay_ms(&harness), idle);
    // A value that the host moves.
    harness.state_mut().desk.values.borrow_mut().insert(tube(Slot::B, "mix"), 12.0);
    harness.step();
    assert!(repaint_delay_ms(&harness) <= 34);
}

#[test]
fn a_folded_slot_leaves_its_room_to_the_other() {
    let mut harness = window();
    let narrow = harness.get_by_label("B algorithm").rect().width();
    click(&mut harness, "Fold A");
    assert!(harness.query_by_label("A Drive").is_none());
    assert!(harness.get_by_label("B algorithm").rect().width() > narrow + 100.0);
    click(&mut harness, "Open A");
    harness.get_by_label("A Drive");
}

#[test]
fn a_tooltip_says_what_a_parameter_does_its_range_and_how_it_changes() {
    for (name, words) in [
        ("A Drive", &["More of it.", "-12 to 48 dB", "default 6.00"][..]),
        ("A Tone", &["Brighter.", "200 to 20000 Hz or off"]),
        ("B Oversampling: 1x", &["Which of some.", "1, 2, 4 or 8", "short dip; not automatable"]),
    ] {
        let mut harness = window();
        harness.get_by_label(name).hover();
        harness.run_steps(90);
        let said = said(&harness);
        for word in words {
            assert!(said.iter().any(|s| s.contains(word)), "{name}: no '{word}' in {said:?}");
        }
    }
}

#[test]
fn gestures_never_nest_whatever_the_hands_do() {
    for seed in 0..8_u64 {
        // Knuth's linear congruential generator, MMIX.
        let mut state = seed;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let mut harness = window();
        for _ in 0..1000 {
            let at = pos2(random(u64::from(SIZE.0)) as f32, random(u64::from(SIZE.1)) as f32);
            match random(9) {
                0..=2 => harness.hover_at(at),
                3 | 4 => harness.drag_at(at),
                5 => harness.drop_at(at),
                6 => wheel(&harness, random(3) as f32 - 1.0),
                7 => harness.key_press([Key::Tab, Key::ArrowUp, Key::Enter, Key::Escape, Key::Num7][random(5) as usize]),
                _ => {
                    harness.state_mut().snapshot.blind = if random(8) == 0 { BlindView::Hidden } else { BlindView::Off };
                    harness.state_mut().desk.values.borrow_mut().remove(&Control::Blind);
                }
            }
            harness.step();
        }
        harness.state_mut().snapshot.blind = BlindView::Hidden;
        harness.run_steps(2);
        let mut open = None;
        let did = did(&mut harness);
        assert!(did.len() > 10, "seed {seed} does nothing");
        for step in did {
            match step {
                Did::Begin(control) => assert_eq!(open.replace(control), None, "seed {seed}"),
                Did::Set(control, _) => assert_eq!(open, Some(control), "seed {seed}"),
                Did::End(control) => assert_eq!(open.take(), Some(control), "seed {seed}"),
                _ => assert_eq!(open, None, "seed {seed}"),
            }
            if let Did::Set(Control::Parameter { algorithm, index, .. }, value) = step {
                let parameter = &REGISTRY[algorithm].parameters[index];
                assert_eq!(parameter.clamp(value), value, "seed {seed}: {}", parameter.id);
            }
        }
        assert_eq!(open, None, "seed {seed}");
    }
}

/// What can be reached with a pointer and is not one of the window's own scroll bars.
fn reachable<'h>(harness: &'h Harness<'_, State>) -> Vec<(String, Rect)> {
    let is_input = |n: &Node<'h>| {
        matches!(n.accesskit_node().role(), Role::Slider | Role::Button | Role::CheckBox | Role::RadioButton | Role::ComboBox)
    };
    let nodes = harness.root().children_recursive().filter(is_input);
    nodes.map(|n| (n.accesskit_node().label().unwrap_or_default(), n.rect())).collect()
}

/// The parts of it that are seen: the strip below the cards hides what is scrolled behind it.
fn seen(harness: &Harness<'_, State>) -> Vec<(String, Rect)> {
    let is_strips = |name: &str| name.to_lowercase().contains("twin");
    let all = reachable(harness);
    let top = all.iter().filter(|(name, _)| is_strips(name)).map(|(_, rect)| rect.top()).fold(f32::INFINITY, f32::min);
    let part = |name: &str, rect: Rect| if is_strips(name) { rect } else { rect.with_max_y(rect.bottom().min(top)) };
    all.into_iter()
        .map(|(name, rect)| (part(&name, rect), name))
        .filter(|(rect, _)| rect.is_positive())
        .map(|(rect, name)| (name, rect))
        .collect()
}

fn assert_apart(all: &[(String, Rect)]) {
    for (i, (a, ra)) in all.iter().enumerate() {
        for (b, rb) in &all[..i] {
            assert!(!ra.shrink(0.5).intersects(rb.shrink(0.5)), "{a} {ra:?} covers {b} {rb:?}");
        }
    }
}

#[test]
fn nothing_overlaps_and_all_is_inside_the_window_at_its_size() {
    for algorithm in 0..REGISTRY.len() {
        let desk = Desk::default();
        for slot in Slot::ALL {
            desk.values.borrow_mut().insert(Control::Algorithm(slot), algorithm as f32);
        }
        let harness = window_of(SIZE, desk, silence(2));
        let inside = Rect::from_min_size(pos2(8.0, 8.0), vec2(SIZE.0 as f32, SIZE.1 as f32));
        let all = reachable(&harness);
        assert!(all.len() >= 9);
        for (name, rect) in &all {
            assert!(inside.contains_rect(*rect), "{name} at {rect:?} leaves {inside:?}");
        }
        assert_apart(&all);
    }
}

#[test]
fn all_is_reached_by_scrolling_in_the_smallest_window_and_in_smaller_ones() {
    for (size, channels) in [(MIN_SIZE, 2), (MIN_SIZE, 32), ((400, 300), 2)] {
        let desk = Desk::default();
        for slot in Slot::ALL {
            desk.values.borrow_mut().insert(Control::Algorithm(slot), 1.0);
        }
        let mut harness = window_of(size, desk, silence(channels));
        assert_apart(&seen(&harness));
        let inside = Rect::from_min_size(pos2(8.0, 8.0), vec2(size.0 as f32, size.1 as f32));
        let names: Vec<String> = reachable(&harness).into_iter().map(|(name, _)| name).collect();
        assert!(names.iter().any(|n| n == "B Output"));
        for name in names {
            harness.get_by_label(&name).scroll_to_me();
            harness.run_steps(60);
            let rect = harness.get_by_label(&name).rect();
            assert!(inside.contains_rect(rect), "{name} at {rect:?} is not reached in {inside:?} with {channels} channels");
        }
    }
}

#[test]
fn the_header_fits_the_smallest_window() {
    let snapshot = Snapshot { latency_frames: 123_456, ..silence(2) };
    let harness = window_of(MIN_SIZE, Desk::default(), snapshot);
    let latency = harness.get_by_label_contains("Latency").rect();
    let bypass = harness.get_by_label("Bypass").rect();
    assert!(latency.left() > bypass.right() && latency.right() <= 8.0 + MIN_SIZE.0 as f32, "{latency:?}");
}

/// A model of which everything is known.
fn facts() -> ModelFacts {
    ModelFacts {
        name: "Plexi on ten".into(),
        path: Some("/models/plexi.nam".into()),
        author: Some("A. Tone".into()),
        gear: Some("Marshall 1959".into()),
        architecture: "WaveNet, 2 arrays of 16 and 8 channels".into(),
        parameters: 13_802,
        sample_rate: 48_000.0,
        sample_rate_given: true,
        loudness_db: Some(-17.25),
        esr: Some(0.0123),
        cost_ns: Some(381.6),
        delay: Some("2.50 samples, polarity inverted".into()),
    }
}

/// Files and folders with a path that the machine takes for absolute.
fn folder() -> FolderView {
    let path = if cfg!(windows) { "C:/models" } else { "/models" };
    FolderView {
        path: path.into(),
        folders: vec!["Bass".into(), "clean".into()],
        files: vec!["plexi.nam".into(), "twin.json".into(), "Zinky.onnx".into()],
        error: None,
    }
}

/// Slot B runs models, slot A none.
fn model_window(view: ModelView) -> Harness<'static, State> {
    let desk = Desk::default();
    desk.values.borrow_mut().insert(Control::Algorithm(Slot::B), 3.0);
    let models = [ModelView::default(), view];
    window_of(SIZE, desk, Snapshot { models, ..silence(2) })
}

fn with_model() -> ModelView {
    ModelView { model: Some(Arc::new(facts())), steps: true, folder: Some(Arc::new(folder())), ..ModelView::default() }
}

fn value(harness: &Harness<'_, State>, name: &str) -> Option<String> {
    harness.get_by_label(name).value()
}

#[test]
fn only_a_slot_whose_algorithm_runs_models_has_a_model_bar() {
    let harness = model_window(ModelView::default());
    assert!(value(&harness, "B model").unwrap().starts_with("No model"));
    for name in ["model", "open model", "previous model", "next model", "remove model"] {
        harness.get_by_label(&format!("B {name}"));
        assert!(harness.query_by_label(&format!("A {name}")).is_none(), "{name}");
    }
    harness.get_by_label("B Input");
}

#[test]
fn a_models_bar_says_what_is_known_and_nothing_that_is_not() {
    let mut harness = model_window(with_model());
    assert_eq!(value(&harness, "B model").as_deref(), Some("Plexi on ten"));
    let short = value(&harness, "B model facts").unwrap();
    assert!(short.contains("382 ns") && short.contains("48 kHz"), "{short}");
    harness.get_by_label("B model").hover();
    harness.run_steps(90);
    let words = said(&harness).join("\n");
    for word in
        ["plexi.nam", "A. Tone", "Marshall 1959", "16 and 8 channels", "13\u{2009}802", "-17.2 dB", "0.0123", "2.50 samples"]
    {
        assert!(words.contains(word), "no '{word}' in {words}");
    }
    let bare = ModelFacts { name: "x".into(), architecture: "LSTM".into(), sample_rate: 44_100.0, ..ModelFacts::default() };
    let mut harness = model_window(ModelView { model: Some(Arc::new(bare)), ..ModelView::default() });
    harness.get_by_label("B model").hover();
    harness.run_steps(90);
    let words = said(&harness).join("\n");
    assert!(words.contains("44.1 kHz (not given)"), "{words}");
    for word in ["Author", "Gear", "Loudness", "Error to signal", "Cost", "Delay", "File"] {
        assert!(!words.contains(word), "{word} in {words}");
    }
}

#[test]
fn steps_open_and_remove_are_one_action_each() {
    let mut harness = model_window(with_model());
    click(&mut harness, "B previous model");
    click(&mut harness, "B next model");
    click(&mut harness, "B remove model");
    assert_eq!(did(&mut harness), [Did::Step(Slot::B, -1), Did::Step(Slot::B, 1), Did::Clear(Slot::B)]);
    // Nothing to step from, nothing to remove.
    let mut harness = model_window(ModelView::default());
    for name in ["B previous model", "B next model", "B remove model"] {
        click(&mut harness, name);
    }
    assert_eq!(did(&mut harness), []);
}

#[test]
fn an_error_is_shown_beside_the_model_that_goes_on_playing() {
    let error = "/models/broken.nam: weights: 3 numbers; expected 13802";
    let mut harness = model_window(ModelView { error: Some(error.into()), ..with_model() });
    assert_eq!(value(&harness, "B model error").as_deref(), Some(error));
    assert_eq!(value(&harness, "B model").as_deref(), Some("Plexi on ten"));
    harness.state_mut().snapshot.models[1].error = None;
    harness.run();
    assert!(harness.query_by_label("B model error").is_none());
}

#[test]
fn loading_is_said() {
    let harness = model_window(ModelView { loading: true, ..ModelView::default() });
    assert!(value(&harness, "B model facts").unwrap().starts_with("Loading"));
}

#[test]
fn the_browser_lists_loads_on_a_click_and_stays_open() {
    let mut harness = model_window(with_model());
    click(&mut harness, "B open model");
    assert_eq!(did(&mut harness), [Did::Browse(Slot::B)]);
    assert!(harness.query_by_label("B Input").is_none(), "it stands where the knobs were");
    let path = folder().path;
    click(&mut harness, "B file twin.json");
    click(&mut harness, "B folder Bass");
    assert_eq!(did(&mut harness), [Did::Open(Slot::B, path.join("twin.json")), Did::Open(Slot::B, path.join("Bass"))]);
    click(&mut harness, "B folder up");
    assert_eq!(did(&mut harness), [Did::Open(Slot::B, path.parent().unwrap().to_owned())]);
    let playing = |name: &str| harness.get_by_label(name).accesskit_node().toggled() == Some(Toggled::True);
    assert_eq!((playing("B file plexi.nam"), playing("B file twin.json")), (!cfg!(windows), false));
    click(&mut harness, "B close browser");
    harness.get_by_label("B Input");
    assert_eq!(did(&mut harness), []);
}

#[test]
fn typing_in_the_browser_filters_and_enter_opens() {
    let path = folder().path;
    let mut harness = model_window(with_model());
    click(&mut harness, "B open model");
    did(&mut harness);
    // The keyboard is there already.
    harness.get_by_role(Role::TextInput).type_text("ZI");
    harness.run();
    harness.get_by_label("B file Zinky.onnx");
    assert!(harness.query_by_label("B file plexi.nam").is_none());
    harness.key_press(Key::Enter);
    harness.run();
    assert_eq!(did(&mut harness), [Did::Open(Slot::B, path.join("Zinky.onnx"))]);
    harness.get_by_label("B file plexi.nam");

    let typed = path.join("elsewhere/amp.nam");
    harness.get_by_role(Role::TextInput).focus();
    harness.run();
    harness.get_by_role(Role::TextInput).type_text(typed.to_str().unwrap());
    harness.run();
    harness.key_press(Key::Enter);
    harness.run();
    assert_eq!(did(&mut harness), [Did::Open(Slot::B, typed)]);
    harness.key_press(Key::Escape);
    harness.run();
    harness.get_by_label("B Input");
}

#[test]
fn a_folder_that_cannot_be_listed_says_why() {
    let broken = FolderView { error: Some("/models: permission denied".into()), folders: vec![], files: vec![], ..folder() };
    for view in [ModelView::default(), ModelView { folder: Some(Arc::new(broken)), ..ModelView::default() }] {
        let mut harness = model_window(view);
        click(&mut harness, "B open model");
        harness.get_by_label("B filter");
        click(&mut harness, "B close browser");
    }
}

#[test]
fn a_long_folder_scrolls_within_its_card() {
    let files = (0..5000).map(|i| format!("model {i:04}.nam")).collect();
    let mut harness =
        model_window(ModelView { folder: Some(Arc::new(FolderView { files, ..folder() })), ..ModelView::default() });
    click(&mut harness, "B open model");
    harness.get_by_label("B file model 0000.nam");
    assert!(harness.query_by_label("B file model 4999.nam").is_none());
    harness.get_by_label("B file model 0000.nam").hover();
    for _ in 0..4 {
        wheel(&harness, -3.0);
        harness.run_steps(30);
    }
    assert!(harness.query_by_label("B file model 0000.nam").is_none());
}

#[derive(Debug)]
struct Dropped(PathBuf);

impl egui::DroppedFile for Dropped {
    fn path(&self) -> &Path {
        &self.0
    }
    fn bytes(&self) -> Result<Vec<u8>, String> {
        Err("never read here".into())
    }
}

#[test]
fn a_dropped_file_goes_to_the_card_that_runs_models() {
    let mut harness = model_window(ModelView::default());
    harness.input_mut().dropped_files.push(Arc::new(Dropped("/tmp/amp.nam".into())));
    harness.run();
    assert_eq!(did(&mut harness), [Did::Open(Slot::B, "/tmp/amp.nam".into())]);
    // Under the pointer, if both do.
    harness.state_mut().desk.values.borrow_mut().insert(Control::Algorithm(Slot::A), 3.0);
    harness.run();
    for slot in Slot::ALL {
        harness.get_by_label(&format!("{} Input", slot.name())).hover();
        harness.run_steps(90);
        harness.input_mut().dropped_files.push(Arc::new(Dropped("/tmp/amp.nam".into())));
        harness.run_steps(3);
        assert_eq!(did(&mut harness), [Did::Open(slot, "/tmp/amp.nam".into())]);
    }
    // Nowhere, if none does.
    let mut harness = window();
    harness.input_mut().dropped_files.push(Arc::new(Dropped("/tmp/amp.nam".into())));
    harness.run();
    assert_eq!(did(&mut harness), []);
}

#[test]
fn a_blind_comparison_hides_every_model() {
    let mut pictures = Vec::new();
    let error = ModelView { error: Some("no model".into()), loading: true, ..ModelView::default() };
    for view in [ModelView::default(), with_model(), error] {
        let hidden = Snapshot { blind: BlindView::Hidden, models: [view.clone(), view.clone()], ..silence(2) };
        let desk = Desk::default();
        desk.values.borrow_mut().insert(Control::Algorithm(Slot::B), 3.0);
        desk.values.borrow_mut().insert(Control::Blind, 1.0);
        let mut harness = window_of(SIZE, desk, hidden);
        harness.input_mut().dropped_files.push(Arc::new(Dropped("/tmp/amp.nam".into())));
        harness.run_steps(60);
        assert_eq!(did(&mut harness), []);
        pictures.push((shapes(&harness), said(&harness), repaint_delay_ms(&harness)));

        // Also one that begins while a model is looked for.
        let mut harness = model_window(view);
        click(&mut harness, "B open model");
        harness.state_mut().snapshot.blind = BlindView::Hidden;
        harness.run_steps(60);
        let said = said(&harness);
        for word in ["model", "Plexi", "file", "folder", "filter"] {
            assert!(!said.iter().any(|s| s.contains(word)), "{word} in {said:?}");
        }
    }
    for other in &pictures[1..] {
        assert_eq!(pictures[0].1, other.1);
        assert_eq!(pictures[0].2, other.2);
        assert!(pictures[0].0 == other.0, "the window differs with the model");
    }
}

#[test]
fn an_algorithm_that_runs_no_model_closes_the_browser() {
    let mut harness = model_window(with_model());
    click(&mut harness, "B open model");
    harness.state_mut().desk.values.borrow_mut().insert(Control::Algorithm(Slot::B), 0.0);
    harness.run();
    harness.get_by_label("B Drive");
    harness.state_mut().desk.values.borrow_mut().insert(Control::Algorithm(Slot::B), 3.0);
    harness.run();
    harness.get_by_label("B Input");
}

/// The editor with the strip of the twin at some stage.
fn strip(stage: TwinStage) -> Harness<'static, State> {
    window_of(SIZE, Desk::default(), Snapshot { twin: TwinView { stage, ..TwinView::default() }, ..silence(2) })
}

fn strip_says(harness: &Harness<'_, State>) -> String {
    harness.get_by_label("Twin").value().unwrap()
}

fn done(placed: bool, size: usize) -> TwinStage {
    let name = "Tube saturator (Drive 24 dB) twin, lstm-8".into();
    TwinStage::Done { name, note: String::new(), esr: 0.0158, size, placed, saved: None, error: None }
}

#[test]
fn the_twin_of_a_is_trained_in_the_chosen_size() {
    let mut harness = window();
    click(&mut harness, "Train twin of A into B");
    assert_eq!(did(&mut harness), [Did::Twin(TwinWish::Train(0))]);
    click(&mut harness, "Twin size");
    click(&mut harness, "Good: lstm-16, 60 s");
    assert_eq!(did(&mut harness), []);
    click(&mut harness, "Train twin of A into B");
    assert_eq!(did(&mut harness), [Did::Twin(TwinWish::Train(1))]);
}

#[test]
fn no_twin_is_trained_of_a_model() {
    let desk = Desk::default();
    desk.values.borrow_mut().insert(Control::Algorithm(Slot::A), 3.0);
    let mut harness = window_of(SIZE, desk, silence(2));
    assert!(strip_says(&harness).contains("A runs a model already"));
    click(&mut harness, "Train twin of A into B");
    assert_eq!(did(&mut harness), []);
}

#[test]
fn a_training_shows_how_far_it_is_and_can_be_called_off() {
    let note = "Dither is chance: the twin learns the rest";
    let stage = |done, esr, left_seconds| TwinStage::Training {
        name: "Knobs twin, lstm-8".into(),
        note: note.into(),
        done,
        left_seconds,
        esr,
    };
    assert!(strip_says(&strip(stage(0.0, None, None))).starts_with("Playing A to learn from"));
    let mut harness = strip(stage(0.42, Some(0.0158), Some(71.0)));
    let says = strip_says(&harness);
    for part in ["42 %", "1 min 11 s left", "ESR 0.0158 (-18.0 dB)", "Knobs twin, lstm-8", note] {
        assert!(says.contains(part), "{part} in {says}");
    }
    assert!(harness.query_by_label("Train twin of A into B").is_none());
    click(&mut harness, "Cancel twin");
    assert_eq!(did(&mut harness), [Did::Twin(TwinWish::Cancel)]);
}

#[test]
fn a_twin_that_is_not_good_enough_is_offered_and_one_in_b_is_not() {
    let mut harness = strip(done(false, 0));
    let says = strip_says(&harness);
    for part in ["ESR 0.0158 (-18.0 dB)", "not in slot B", "Tube saturator (Drive 24 dB) twin, lstm-8"] {
        assert!(says.contains(part), "{part} in {says}");
    }
    for (button, wish) in [
        ("Use twin anyway", TwinWish::Use),
        ("Train twin longer", TwinWish::Train(1)),
        ("Save twin", TwinWish::Save),
        ("Dismiss twin", TwinWish::Dismiss),
    ] {
        click(&mut harness, button);
        assert_eq!(did(&mut harness), [Did::Twin(wish)]);
    }
    let harness = strip(done(true, 0));
    assert!(harness.query_by_label("Use twin anyway").is_none() && harness.query_by_label("Train twin longer").is_none());
    assert!(strip(done(false, 2)).query_by_label("Train twin longer").is_none());
}

#[test]
fn a_twin_that_came_into_b_is_seated_but_not_in_a_blind_comparison() {
    let twin = TwinView { stage: done(false, 0), arrived: true, coming: true };
    let mut harness = window_of(SIZE, Desk::default(), Snapshot { twin: twin.clone(), ..silence(2) });
    assert!(did(&mut harness).contains(&Did::Twin(TwinWish::Seat)));
    let mut harness = window_of(SIZE, Desk::default(), Snapshot { twin, blind: BlindView::Hidden, ..silence(2) });
    assert_eq!(did(&mut harness), []);
}

#[test]
fn a_twin_is_said_to_be_in_slot_b_only_while_slot_b_plays_it() {
    let says = |placed, coming| {
        let twin = TwinView { stage: done(placed, 0), arrived: false, coming };
        let harness = window_of(SIZE, Desk::default(), Snapshot { twin, ..silence(2) });
        (strip_says(&harness), harness.query_by_label("Use twin anyway").is_some())
    };
    let (said, offered) = says(true, false);
    assert!(said.contains("in slot B") && !said.contains("not in slot B") && !offered, "{said}");
    let (said, offered) = says(false, true);
    assert!(said.contains("on its way into slot B") && !offered, "{said}");
    let (said, offered) = says(false, false);
    assert!(said.contains("not in slot B") && offered, "{said}");
}

#[test]
fn every_stage_of_a_training_stays_apart_from_the_rest() {
    for stage in [TwinStage::Failed("no".into()), done(false, 0), done(true, 2)] {
        for size in [SIZE, MIN_SIZE] {
            let harness = window_of(
                size,
                Desk::default(),
                Snapshot { twin: TwinView { stage: stage.clone(), ..TwinView::default() }, ..silence(2) },
            );
            assert_apart(&seen(&harness));
        }
    }
}

#[test]
fn the_takes_panel_stands_in_the_place_of_the_cards_and_its_actions_reach_the_owner() {
    let mut harness = window();
    click(&mut harness, "Takes");
    assert!(harness.query_by_label("A algorithm").is_none());
    assert_apart(&reachable(&harness));
    click(&mut harness, "Arm");
    click(&mut harness, "Record Output");
    let mut setup = isotherm::ui::TakeSetup::default();
    setup.sources[3] = true;
    assert_eq!(did(&mut harness), [Did::Take(TakeAction::Arm(true)), Did::Take(TakeAction::Setup(setup))]);
    click(&mut harness, "Takes");
    harness.get_by_label("A algorithm");
}

#[test]
fn a_blind_comparison_hides_the_takes_panel_and_leaves_its_bar() {
    let mut harness = window();
    click(&mut harness, "Takes");
    harness.state_mut().snapshot.blind = BlindView::Hidden;
    harness.run();
    assert!(harness.query_by_label("Record Slot A").is_none());
    click(&mut harness, "Arm");
    assert_eq!(did(&mut harness), [Did::Take(TakeAction::Arm(true))]);
}
