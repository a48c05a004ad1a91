//! Tests of the editor's panels, over a registry and values made for them.

mod knobs;
mod layout;
mod listening;
mod listening_tests;
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
use isotherm::dsp::{
    Algorithm, ChangeMode, Parameter, ParameterKind, PrepareError, ProcessSpec, Processor, Scale, Settings, Unit,
};
use isotherm::ui::{Editor, MIN_SIZE, SIZE};
use isotherm::view::{
    BlindView, ChannelLevel, Control, Controls, FolderView, InstanceView, ListenAction, ModelAliasingFacts, ModelDelay,
    ModelFacts, ModelView, ParameterUse, Slot, TakeAction, TwinRequest, TwinStage, TwinView,
};

/// A parameter with a knob.
const fn knob(id: &'static str, name: &'static str, min: f32, max: f32, default: f32, unit: Unit) -> Parameter {
    let kind = ParameterKind::Float { min, max, default, unit, scale: Scale::Linear, off_at_max: false };
    Parameter { id, name, kind, change: ChangeMode::Ramped, doc: "More of it." }
}

/// A parameter that is a choice among names.
const fn choice(id: &'static str, name: &'static str, names: &'static [&'static str], default: usize) -> Parameter {
    let kind = ParameterKind::Choice { names, default };
    Parameter { id, name, kind, change: ChangeMode::Structural, doc: "Which of some." }
}

/// A parameter that is on or off.
const fn toggle(id: &'static str, name: &'static str, default: bool) -> Parameter {
    Parameter { id, name, kind: ParameterKind::Toggle { default }, change: ChangeMode::Ramped, doc: "On or off." }
}

/// A logarithmic parameter that is off at its upper end.
const TONE: ParameterKind = ParameterKind::Float {
    min: 200.0,
    max: 20_000.0,
    default: 20_000.0,
    unit: Unit::Hertz,
    scale: Scale::Logarithmic,
    off_at_max: true,
};
/// Names that are too long to fit side by side.
const CURVES: &[&str] = &["Soft", "Medium rare", "Hard", "Fold over", "Sine", "Diode pair", "Rectified"];

/// Never called, as the panels make no sound.
fn prepare(_: ProcessSpec, _: &Settings) -> Result<Box<dyn Processor>, PrepareError> {
    Err(PrepareError::Other("an algorithm for tests of panels".into()))
}

/// An algorithm with every kind of parameter.
static TUBE: Algorithm = Algorithm {
    id: "tube",
    name: "Tube saturator",
    description: "Warms.",
    plays_model: false,
    parameters: &[
        knob("drive", "Drive", -12.0, 48.0, 6.0, Unit::Decibel),
        knob("bias", "Bias", -1.0, 1.0, 0.0, Unit::None),
        Parameter { id: "tone", name: "Tone", kind: TONE, change: ChangeMode::Ramped, doc: "Brighter." },
        knob("mix", "Mix", 0.0, 100.0, 100.0, Unit::Percent),
        knob("output", "Output", -24.0, 24.0, 0.0, Unit::Decibel),
        knob("sag", "Sag", 0.0, 100.0, 0.0, Unit::Percent),
        choice("oversampling", "Oversampling", &["1x", "2x", "4x", "8x"], 2),
        choice("render_oversampling", "Render oversampling", &["As set", "1x", "2x", "4x", "8x"], 0),
        choice("curve", "Curve", CURVES, 0),
        toggle("dc_blocker", "DC blocker", true),
        toggle("auto_gain", "Auto gain", false),
    ],
    prepare,
};

/// An algorithm with at least as many knobs as any real one.
static KNOBS: Algorithm = Algorithm {
    id: "knobs",
    name: "Knobs",
    description: "Turns.",
    plays_model: false,
    parameters: &[
        knob("k0", "Bits", 1.0, 24.0, 8.0, Unit::Bit),
        knob("k1", "Downsampling", 0.0, 1.0, 0.5, Unit::None),
        knob("k2", "Jitter", 0.0, 1.0, 0.5, Unit::None),
        knob("k3", "Dither", 0.0, 1.0, 0.5, Unit::None),
        knob("k4", "Pre-emphasis", 0.0, 1.0, 0.5, Unit::None),
        knob("k5", "Threshold", -60.0, 0.0, -6.0, Unit::Decibel),
        knob("k6", "Knee", 0.0, 24.0, 6.0, Unit::Decibel),
        knob("k7", "Asymmetry", -1.0, 1.0, 0.0, Unit::None),
        knob("k8", "Mix", 0.0, 100.0, 100.0, Unit::Percent),
        knob("k9", "Output", -24.0, 24.0, 0.0, Unit::Decibel),
    ],
    prepare,
};

/// An algorithm without parameters.
static EMPTY: Algorithm =
    Algorithm { id: "empty", name: "Empty", description: "Nothing.", parameters: &[], plays_model: false, prepare };

/// An algorithm that plays a model.
static NEURAL: Algorithm = Algorithm {
    id: "neural",
    name: "Neural",
    description: "Plays.",
    parameters: &[knob("input", "Input", -24.0, 24.0, 0.0, Unit::Decibel), choice("mode", "Mode", &["Raw", "Normalised"], 0)],
    plays_model: true,
    prepare,
};

static REGISTRY: [&Algorithm; 4] = [&TUBE, &KNOBS, &EMPTY, &NEURAL];

/// A call of a method of [`Controls`], except `get`.
#[derive(Clone, Debug, PartialEq)]
enum ControlCall {
    Begin(Control),
    Set(Control, f32),
    End(Control),
    PressListen(u8),
    Reveal,
    OpenModel(Slot, PathBuf),
    BrowseModels(Slot),
    StepModel(Slot, i32),
    SetModelRate(Slot, f32),
    ClearModel(Slot),
    RequestTwin(TwinRequest),
    RequestTake(TakeAction),
    Listen(ListenAction),
}

/// Controls over a map of values, which record all calls.
#[derive(Default)]
struct TestControls {
    values: RefCell<HashMap<Control, f32>>,
    calls: RefCell<Vec<ControlCall>>,
    /// The controls whose values were read, in order.
    reads: RefCell<Vec<Control>>,
    /// A value that every control has, in place of those in the map.
    every_value: Option<f32>,
}

impl Controls for TestControls {
    fn get(&self, control: Control) -> f32 {
        self.reads.borrow_mut().push(control);
        if let Some(value) = self.every_value {
            return value;
        }
        self.values.borrow().get(&control).copied().unwrap_or_else(|| match control {
            Control::Parameter { algorithm, index, .. } => REGISTRY[algorithm].parameters[index].default(),
            _ => 0.0,
        })
    }
    fn begin(&self, control: Control) {
        self.calls.borrow_mut().push(ControlCall::Begin(control));
    }
    fn set(&self, control: Control, value: f32) {
        self.calls.borrow_mut().push(ControlCall::Set(control, value));
        self.values.borrow_mut().insert(control, value);
    }
    fn end(&self, control: Control) {
        self.calls.borrow_mut().push(ControlCall::End(control));
    }
    fn press_listen(&self, side: u8) {
        self.calls.borrow_mut().push(ControlCall::PressListen(side));
        self.values.borrow_mut().insert(Control::Listen, f32::from(side));
    }
    fn reveal(&self) {
        self.calls.borrow_mut().push(ControlCall::Reveal);
    }
    fn open_model(&self, slot: Slot, path: &Path) {
        self.calls.borrow_mut().push(ControlCall::OpenModel(slot, path.to_owned()));
    }
    fn browse_models(&self, slot: Slot) {
        self.calls.borrow_mut().push(ControlCall::BrowseModels(slot));
    }
    fn step_model(&self, slot: Slot, step: i32) {
        self.calls.borrow_mut().push(ControlCall::StepModel(slot, step));
    }
    fn set_model_rate(&self, slot: Slot, sample_rate: f32) {
        self.calls.borrow_mut().push(ControlCall::SetModelRate(slot, sample_rate));
    }
    fn clear_model(&self, slot: Slot) {
        self.calls.borrow_mut().push(ControlCall::ClearModel(slot));
    }
    fn request_twin(&self, request: TwinRequest) {
        self.calls.borrow_mut().push(ControlCall::RequestTwin(request));
    }
    fn request_take(&self, action: TakeAction) {
        self.calls.borrow_mut().push(ControlCall::RequestTake(action));
    }
    fn listen(&self, action: ListenAction) {
        self.calls.borrow_mut().push(ControlCall::Listen(action));
    }
}

/// The editor and the state that its frames show.
struct EditorWindow {
    editor: Editor,
    controls: TestControls,
    view: InstanceView,
}

/// A view of an instance without sound.
fn silent_view(channels: usize) -> InstanceView {
    InstanceView {
        channels,
        input: vec![ChannelLevel::default(); channels],
        output: vec![ChannelLevel::default(); channels],
        sample_rate: 48_000.0,
        latency_frames: 64,
        load: 0.12,
        blind: BlindView::Off,
        models: Default::default(),
        twin: TwinView::default(),
        take: Default::default(),
        listen: Default::default(),
    }
}

/// The editor in a window of `size`; the harness adds 8 px on each side.
fn window_of(size: (u32, u32), controls: TestControls, view: InstanceView) -> Harness<'static, EditorWindow> {
    window_over(&REGISTRY, size, controls, view)
}

/// The editor over a registry, in a window of `size`.
fn window_over(
    registry: &'static [&'static Algorithm],
    size: (u32, u32),
    controls: TestControls,
    view: InstanceView,
) -> Harness<'static, EditorWindow> {
    let state = EditorWindow { editor: Editor::new(registry), controls, view };
    let mut harness = Harness::builder()
        .with_size(vec2(size.0 as f32, size.1 as f32) + Vec2::splat(16.0))
        .with_step_dt(1.0 / 60.0)
        .build_ui_state(|ui, state: &mut EditorWindow| state.editor.show(ui, &state.controls, &state.view), state);
    harness.run();
    harness
}

/// The editor in a window of the size that its layout is made for, with default values.
fn window() -> Harness<'static, EditorWindow> {
    window_of(SIZE, TestControls::default(), silent_view(2))
}

/// Returns the recorded calls and forgets them.
fn drain_calls(harness: &mut Harness<'_, EditorWindow>) -> Vec<ControlCall> {
    std::mem::take(&mut *harness.state_mut().controls.calls.borrow_mut())
}

/// A parameter of [`TUBE`].
fn tube_parameter(slot: Slot, id: &str) -> Control {
    parameter(slot, 0, id)
}

fn parameter(slot: Slot, algorithm: usize, id: &str) -> Control {
    let index = REGISTRY[algorithm].parameters.iter().position(|p| p.id == id).unwrap();
    Control::Parameter { slot, algorithm, index }
}

/// The calls of a gesture of one value.
fn gesture(control: Control, value: f32) -> Vec<ControlCall> {
    vec![ControlCall::Begin(control), ControlCall::Set(control, value), ControlCall::End(control)]
}

fn click(harness: &mut Harness<'_, EditorWindow>, name: &str) {
    harness.get_by_label(name).click();
    harness.run();
}

fn turn_wheel(harness: &Harness<'_, EditorWindow>, lines: f32) {
    harness.event(Event::MouseWheel {
        unit: MouseWheelUnit::Line,
        delta: vec2(0.0, lines),
        phase: TouchPhase::Move,
        source: MouseWheelSource::Unknown,
        modifiers: Modifiers::NONE,
    });
}

/// Returns all labels and values in the accessibility tree.
fn accessible_texts(harness: &Harness<'_, EditorWindow>) -> Vec<String> {
    let nodes = harness.root().children_recursive();
    nodes.flat_map(|n| [n.accesskit_node().label(), n.accesskit_node().value()]).flatten().collect()
}

fn painted_shapes(harness: &Harness<'_, EditorWindow>) -> String {
    format!("{:?}", harness.output().shapes)
}

fn repaint_delay_ms(harness: &Harness<'_, EditorWindow>) -> u128 {
    harness.output().viewport_output[&ViewportId::ROOT].repaint_delay.as_millis()
}

#[test]
fn every_parameter_of_the_chosen_algorithm_has_an_accessible_name_in_both_slots() {
    for (algorithm, row) in REGISTRY.iter().enumerate() {
        let controls = TestControls::default();
        for slot in Slot::ALL {
            controls.values.borrow_mut().insert(Control::Algorithm(slot), algorithm as f32);
        }
        let harness = window_of(SIZE, controls, silent_view(2));
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
    let controls = TestControls::default();
    controls.values.borrow_mut().insert(Control::Algorithm(Slot::B), 1.0);
    let harness = window_of(SIZE, controls, silent_view(2));
    harness.get_by_label("A Drive");
    harness.get_by_label("B Bits");
    assert!(harness.query_by_label("B Drive").is_none());
    assert!(harness.query_by_label("A Bits").is_none());
}

#[test]
fn scrolling_the_page_turns_no_knob() {
    let controls = TestControls::default();
    controls.values.borrow_mut().insert(Control::Algorithm(Slot::A), 1.0);
    let mut harness = window_of(MIN_SIZE, controls, silent_view(2));
    harness.run_steps(60);
    // A turn of the wheel that begins on a parameter's name scrolls the page, even if that brings a knob under the pointer.
    let knob = harness.get_by_label("A Bits").rect();
    harness.hover_at(pos2(knob.center().x, knob.top() - 12.0));
    harness.run();
    let before = knob.top();
    for _ in 0..20 {
        turn_wheel(&harness, -1.0);
        harness.step();
    }
    harness.run_steps(60);
    assert!(harness.get_by_label("A Bits").rect().top() < before);
    assert_eq!(drain_calls(&mut harness), []);
}

#[test]
fn a_toggle_and_a_choice_are_gestures_of_one_value() {
    let mut harness = window();
    click(&mut harness, "A DC blocker");
    assert_eq!(drain_calls(&mut harness), gesture(tube_parameter(Slot::A, "dc_blocker"), 0.0));
    click(&mut harness, "B Oversampling: 8x");
    assert_eq!(drain_calls(&mut harness), gesture(tube_parameter(Slot::B, "oversampling"), 3.0));
    // A click on the chosen segment changes nothing.
    click(&mut harness, "B Oversampling: 8x");
    assert_eq!(drain_calls(&mut harness), []);
    // A choice with too many names for segments is a list.
    click(&mut harness, "A Curve");
    click(&mut harness, "Fold over");
    assert_eq!(drain_calls(&mut harness), gesture(tube_parameter(Slot::A, "curve"), 3.0));
}

#[test]
fn the_algorithm_is_chosen_from_a_list() {
    let mut harness = window();
    click(&mut harness, "B algorithm");
    click(&mut harness, "Knobs");
    assert_eq!(drain_calls(&mut harness), gesture(Control::Algorithm(Slot::B), 1.0));
    harness.run();
    harness.get_by_label("B Bits");
}

#[test]
fn a_blind_comparison_hides_everything_that_differs_between_the_slots() {
    let mut pictures = Vec::new();
    for (listen, algorithm, level) in [(0.0, 0.0, 0.1), (1.0, 1.0, 0.9)] {
        let controls = TestControls::default();
        {
            let mut values = controls.values.borrow_mut();
            values.insert(Control::Blind, 1.0);
            values.insert(Control::Listen, listen);
            values.insert(Control::Algorithm(Slot::A), algorithm);
        }
        let level = ChannelLevel { peak: level, rms: level, clipped: listen > 0.5 };
        let view = InstanceView {
            blind: BlindView::Hidden,
            input: vec![level; 2],
            output: vec![level; 2],
            load: listen,
            ..silent_view(2)
        };
        let mut harness = window_of(SIZE, controls, view);
        click(&mut harness, "Listen Y");
        assert_eq!(drain_calls(&mut harness), [ControlCall::PressListen(1)]);
        harness.remove_cursor();
        harness.run();
        let texts = accessible_texts(&harness);
        for word in ["Listen A", "Listen B", "Tube", "Knobs", "Drive", "level", "clip", "Load", "algorithm"] {
            assert!(!texts.iter().any(|s| s.contains(word)), "{word} in {texts:?}");
        }
        let toggled = |name| harness.get_by_label(name).accesskit_node().toggled();
        assert_eq!((toggled("Listen X"), toggled("Listen Y")), (Some(Toggled::False), Some(Toggled::True)));
        let reads = harness.state().controls.reads.borrow();
        assert!(reads.iter().all(|c| matches!(c, Control::Blind | Control::Bypass)), "{reads:?}");
        pictures.push((painted_shapes(&harness), texts, repaint_delay_ms(&harness)));
    }
    assert!(pictures[0] == pictures[1], "the window differs with the slot that is let through");
}

#[test]
fn values_and_levels_that_are_not_finite_or_out_of_range_are_drawn() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN_POSITIVE, -1.0] {
        let level = ChannelLevel { peak: bad, rms: bad, clipped: true };
        for channels in [0, 1, 2, 33] {
            let mut view = silent_view(channels);
            view.input = vec![level; channels];
            // Fewer levels than channels.
            view.output = vec![level; channels / 2];
            view.sample_rate = bad;
            view.load = bad;
            view.latency_frames = usize::MAX;
            let controls = TestControls { every_value: Some(bad), ..TestControls::default() };
            let mut harness = window_of(SIZE, controls, view);
            harness.run_steps(3);
            harness.state_mut().view.input.iter_mut().for_each(|l| *l = ChannelLevel { peak: 0.5, rms: 0.25, clipped: false });
            harness.run_steps(3);
            let drawn = painted_shapes(&harness);
            assert!(!drawn.contains("NaN") && !drawn.contains("-inf"), "{bad} with {channels} channels");
        }
    }
}

#[test]
fn a_clip_light_stays_until_it_is_clicked() {
    let mut harness = window();
    let is_lit = |harness: &Harness<'_, EditorWindow>| {
        harness.get_by_label("Output clip").accesskit_node().toggled() == Some(Toggled::True)
    };
    assert!(!is_lit(&harness));
    harness.state_mut().view.output[1] = ChannelLevel { peak: 1.2, rms: 0.7, clipped: true };
    harness.run();
    harness.state_mut().view.output[1] = ChannelLevel::default();
    harness.run();
    assert!(is_lit(&harness));
    assert_eq!(harness.get_by_label("Output clip").value().as_deref(), Some("1.6"));
    assert_eq!(harness.get_by_label("Input clip").accesskit_node().toggled(), Some(Toggled::False));
    click(&mut harness, "Output clip");
    harness.run();
    assert!(!is_lit(&harness));
}

#[test]
fn frames_come_quickly_only_while_something_moves() {
    let mut harness = window();
    harness.run_steps(120);
    let idle = repaint_delay_ms(&harness);
    assert!(idle >= 100, "{idle} ms");
    harness.state_mut().view.input[0] = ChannelLevel { peak: 1.0, rms: 0.5, clipped: false };
    harness.step();
    assert!(repaint_delay_ms(&harness) <= 34);
    harness.state_mut().view.input[0] = ChannelLevel::default();
    // In one second the peak falls by 20 of the scale's 66 dB.
    harness.run_steps(60);
    assert!(repaint_delay_ms(&harness) <= 34);
    harness.run_steps(180);
    assert_eq!(repaint_delay_ms(&harness), idle);
    // A host changes a value.
    harness.state_mut().controls.values.borrow_mut().insert(tube_parameter(Slot::B, "mix"), 12.0);
    harness.step();
    assert!(repaint_delay_ms(&harness) <= 34);
}

#[test]
fn folding_a_card_widens_the_other() {
    let mut harness = window();
    let narrow = harness.get_by_label("B algorithm").rect().width();
    click(&mut harness, "Fold A");
    assert!(harness.query_by_label("A Drive").is_none());
    assert!(harness.get_by_label("B algorithm").rect().width() > narrow + 100.0);
    click(&mut harness, "Open A");
    harness.get_by_label("A Drive");
}

/// Returns the names and rectangles of all widgets that a pointer can use, without scroll bars.
fn inputs<'h>(harness: &'h Harness<'_, EditorWindow>) -> Vec<(String, Rect)> {
    let is_input = |n: &Node<'h>| {
        matches!(n.accesskit_node().role(), Role::Slider | Role::Button | Role::CheckBox | Role::RadioButton | Role::ComboBox)
    };
    let nodes = harness.root().children_recursive().filter(is_input);
    nodes.map(|n| (n.accesskit_node().label().unwrap_or_default(), n.rect())).collect()
}

/// Returns the visible parts of [`inputs`]: the twin's bar below the cards hides parts that are scrolled behind it.
fn visible_inputs(harness: &Harness<'_, EditorWindow>) -> Vec<(String, Rect)> {
    let is_of_twin_bar = |name: &str| name.to_lowercase().contains("twin");
    let all = inputs(harness);
    let top = all.iter().filter(|(name, _)| is_of_twin_bar(name)).map(|(_, rect)| rect.top()).fold(f32::INFINITY, f32::min);
    let part = |name: &str, rect: Rect| if is_of_twin_bar(name) { rect } else { rect.with_max_y(rect.bottom().min(top)) };
    all.into_iter()
        .map(|(name, rect)| (part(&name, rect), name))
        .filter(|(rect, _)| rect.is_positive())
        .map(|(rect, name)| (name, rect))
        .collect()
}

/// Fails if two of the rectangles overlap.
fn assert_no_overlap(all: &[(String, Rect)]) {
    for (i, (a, ra)) in all.iter().enumerate() {
        for (b, rb) in &all[..i] {
            assert!(!ra.shrink(0.5).intersects(rb.shrink(0.5)), "{a} {ra:?} covers {b} {rb:?}");
        }
    }
}

fn value(harness: &Harness<'_, EditorWindow>, name: &str) -> Option<String> {
    harness.get_by_label(name).value()
}

/// The editor with the twin at this stage.
fn window_with_twin(stage: TwinStage) -> Harness<'static, EditorWindow> {
    window_of(SIZE, TestControls::default(), InstanceView { twin: TwinView { stage, ..TwinView::default() }, ..silent_view(2) })
}

/// The stage of a twin whose training is done.
fn done_stage(plays_in_b: bool, size: usize) -> TwinStage {
    let name = "Tube saturator (Drive 24 dB) twin, lstm-8".into();
    TwinStage::Done { name, note: String::new(), esr: 0.0158, size, plays_in_b, saved: None, error: None }
}
