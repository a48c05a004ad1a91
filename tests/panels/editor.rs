//! Laws of the editor's panels, over a registry and values of their own.

mod knobs;
mod layout;
mod listening;
mod models;
mod twins;

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use egui::accesskit::{Role, Toggled};
use egui::{Event, Key, Modifiers, MouseWheelSource, MouseWheelUnit, Rect, TouchPhase, Vec2, ViewportId, pos2, vec2};
use egui_kittest::kittest::{NodeT, Queryable};
use egui_kittest::{Harness, Node};
use isotherm::dsp::{Algorithm, Change, Kind, Parameter, PrepareError, Processor, Scale, Settings, Spec, Unit};
use isotherm::ui::{
    BlindView, Control, Controls, Editor, FolderView, Level, MIN_SIZE, ModelFacts, ModelView, SIZE, Slot, Snapshot, TakeAction,
    TwinStage, TwinView, TwinWish,
};

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

/// The panels make no sound.
fn prepare(_: Spec, _: &Settings) -> Result<Box<dyn Processor>, PrepareError> {
    Err(PrepareError::Engine("a row for its looks".into()))
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
    prepare,
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
    prepare,
};

static EMPTY: Algorithm =
    Algorithm { id: "empty", name: "Empty", description: "Nothing.", parameters: &[], model: false, prepare };

/// Runs a model.
static NEURAL: Algorithm = Algorithm {
    id: "neural",
    name: "Neural",
    description: "Plays.",
    parameters: &[number("input", "Input", -24.0, 24.0, 0.0, Unit::Decibel), choice("mode", "Mode", &["Raw", "Normalised"], 0)],
    model: true,
    prepare,
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

fn value(harness: &Harness<'_, State>, name: &str) -> Option<String> {
    harness.get_by_label(name).value()
}

/// The editor with the strip of the twin at some stage.
fn strip(stage: TwinStage) -> Harness<'static, State> {
    window_of(SIZE, Desk::default(), Snapshot { twin: TwinView { stage, ..TwinView::default() }, ..silence(2) })
}

fn done(placed: bool, size: usize) -> TwinStage {
    let name = "Tube saturator (Drive 24 dB) twin, lstm-8".into();
    TwinStage::Done { name, note: String::new(), esr: 0.0158, size, placed, saved: None, error: None }
}
