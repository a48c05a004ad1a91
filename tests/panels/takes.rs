//! Laws of the recorder's bar and panel: what they show, and what they ask for.

use egui::{Key, Modifiers, Rect, pos2, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};
use isotherm::ui::{StemView, TakeAction, TakeLight, TakePanel, TakeSetup, TakeStart, TakeView};

#[derive(Default)]
struct State {
    panel: TakePanel,
    view: TakeView,
    asked: Vec<TakeAction>,
}

const SIZE: (f32, f32) = (640.0, 500.0);

fn window(view: TakeView) -> Harness<'static, State> {
    let state = State { view, ..State::default() };
    let mut harness = Harness::builder()
        .with_size(vec2(SIZE.0 + 16.0, SIZE.1 + 16.0))
        .build_ui_state(|ui, state: &mut State| state.asked.extend(state.panel.show(ui, &state.view)), state);
    harness.run();
    harness
}

fn open(view: TakeView) -> Harness<'static, State> {
    let mut harness = window(view);
    click(&mut harness, "Takes");
    harness
}

fn click(harness: &mut Harness<'_, State>, name: &str) {
    harness.get_by_label(name).click();
    harness.run();
}

fn asked(harness: &mut Harness<'_, State>) -> Vec<TakeAction> {
    std::mem::take(&mut harness.state_mut().asked)
}

fn value(harness: &Harness<'_, State>, name: &str) -> String {
    harness.get_by_label(name).accesskit_node().value().unwrap_or_default()
}

fn stereo() -> TakeView {
    TakeView { channels: 2, ..TakeView::default() }
}

fn stems(setup: &TakeSetup, channels: usize) -> Vec<StemView> {
    let stem = |source, channel| StemView { name: setup.stem_name(source, channel, channels), peak: 0.5, overs: 0 };
    setup.chosen().flat_map(|source| (0..channels).map(move |channel| stem(source, channel))).collect()
}

#[test]
fn arm_record_and_mark_are_one_action_each() {
    let mut harness = window(stereo());
    click(&mut harness, "Arm");
    click(&mut harness, "Record take");
    click(&mut harness, "Mark");
    assert_eq!(asked(&mut harness), [TakeAction::Arm(true), TakeAction::Record(true)], "no mark without a take");
    harness.state_mut().view = TakeView { armed: true, ready: true, recording: true, ..stereo() };
    harness.run_steps(3);
    for name in ["Arm", "Record take", "Mark"] {
        harness.get_by_label(name).click();
        harness.run_steps(3);
    }
    assert_eq!(asked(&mut harness), [TakeAction::Arm(false), TakeAction::Record(false), TakeAction::Mark]);
}

#[test]
fn the_bar_tells_time_health_markers_and_room() {
    for (view, health) in [
        (stereo(), "Not armed"),
        (TakeView { armed: true, ..stereo() }, "Getting ready"),
        (TakeView { armed: true, ready: true, ..stereo() }, "Ready"),
        (TakeView { recording: true, markers: 2, ..stereo() }, "Recording: nothing lost, 2 markers"),
        (TakeView { folder: Some("x".into()), ..stereo() }, "Last take: nothing lost"),
        (
            TakeView { recording: true, light: TakeLight::Yellow, stretched: 3, ..stereo() },
            "Recording: buffer stretched 3 times, nothing lost",
        ),
        (TakeView { recording: true, light: TakeLight::Red, lost_frames: 512, ..stereo() }, "512 frames lost"),
        (TakeView { error: Some("the disk is full".into()), ..stereo() }, "the disk is full"),
    ] {
        assert_eq!(value(&window(view), "Take health"), health);
    }
    for (seconds, clock) in [(0.0, "0:00:00.0"), (3723.46, "1:02:03.4"), (f64::NAN, "0:00:00.0")] {
        assert_eq!(value(&window(TakeView { seconds, ..stereo() }), "Take time"), clock);
    }
    for (left, text) in [(None, ""), (Some(36_000.0), "10 h left"), (Some(600.0), "10 min left"), (Some(-1.0), "0 s left")] {
        assert_eq!(value(&window(TakeView { disk_seconds_left: left, ..stereo() }), "Disk left"), text);
    }
}

#[test]
fn sources_and_start_are_chosen_and_nothing_is_changed_during_a_take() {
    let mut harness = open(stereo());
    click(&mut harness, "Record Output");
    click(&mut harness, "Start: Transport");
    let setup = TakeSetup::default();
    let outputs = TakeSetup { sources: [true; 4], ..setup.clone() };
    let transport = TakeSetup { start: TakeStart::Transport, ..setup };
    assert_eq!(asked(&mut harness), [TakeAction::Setup(outputs), TakeAction::Setup(transport)]);
    let mut harness = open(TakeView { recording: true, ..stereo() });
    click(&mut harness, "Record Output");
    click(&mut harness, "Start: Transport");
    assert_eq!(asked(&mut harness), []);
}

#[test]
fn what_is_typed_counts_when_its_field_is_left_and_escape_leaves_it() {
    let mut harness = open(stereo());
    let type_into = |harness: &mut Harness<'_, State>, name: &str, text: &str, key: Key| {
        harness.get_by_label(name).focus();
        harness.run();
        harness.key_press_modifiers(Modifiers::COMMAND, Key::A);
        harness.get_by_label(name).type_text(text);
        harness.run();
        harness.key_press(key);
        harness.run();
        asked(harness)
    };
    let is = |setup: TakeSetup| vec![TakeAction::Setup(setup)];
    let setup = TakeSetup::default;
    let named = TakeSetup { channels: vec![String::new(), "Snare".into()], ..setup() };
    assert_eq!(type_into(&mut harness, "Name of channel 2", "Snare", Key::Enter), is(named));
    assert_eq!(type_into(&mut harness, "Name of channel 1", "Kick", Key::Escape), []);
    assert_eq!(
        type_into(&mut harness, "Take folder", "/tmp/x", Key::Enter),
        is(TakeSetup { folder: "/tmp/x".into(), ..setup() })
    );
    assert_eq!(type_into(&mut harness, "Take name", "Show", Key::Enter), is(TakeSetup { name: "Show".into(), ..setup() }));
    for (text, seconds) in [("2.5", 2.5), ("999", 60.0)] {
        let wanted = TakeSetup { pre_roll_seconds: seconds, ..setup() };
        assert_eq!(type_into(&mut harness, "Pre-roll seconds", text, Key::Enter), is(wanted));
    }
    assert_eq!(type_into(&mut harness, "Pre-roll seconds", "long", Key::Enter), []);
    let split = TakeSetup { split_minutes: Some(30.0), ..setup() };
    assert_eq!(type_into(&mut harness, "Split after minutes", "30", Key::Enter), is(split));
}

#[test]
fn what_is_chosen_by_strip_is_not_in_the_panel() {
    let setup = TakeSetup::default();
    let view = TakeView { by_strip: true, stems: stems(&setup, 2), setup: setup.clone(), ..stereo() };
    let mut harness = open(view);
    for gone in ["Record Input", "Record Output", "Start: Transport", "Name of channel 1", "Stem Dry L"] {
        assert!(harness.query_by_label(gone).is_none(), "{gone}");
    }
    for stays in ["Start: By hand", "Take folder", "Take name", "Pre-roll seconds", "Split after minutes", "Last take"] {
        assert!(harness.query_by_label(stays).is_some(), "{stays}");
    }
    click(&mut harness, "Start: Level");
    let level = TakeSetup { start: TakeStart::Level, ..setup };
    assert_eq!(asked(&mut harness), [TakeAction::Setup(level.clone())]);
    harness.state_mut().view.setup = level;
    harness.run();
    assert!(harness.query_by_label("Level in dBFS").is_some() && harness.query_by_label("Quiet seconds to end").is_some());
}

#[test]
fn what_is_typed_when_a_take_begins_is_dropped() {
    let mut harness = open(stereo());
    harness.get_by_label("Take name").focus();
    harness.run();
    harness.get_by_label("Take name").type_text("Show");
    harness.run();
    assert_eq!(value(&harness, "Take name"), "Show");
    harness.state_mut().view.recording = true;
    harness.run_steps(4);
    harness.state_mut().view.recording = false;
    harness.run();
    assert_eq!((value(&harness, "Take name"), asked(&mut harness)), (String::new(), vec![]));
}

#[test]
fn every_stem_has_a_meter_and_a_clip_light_that_stays_until_it_is_clicked() {
    let setup = TakeSetup::default();
    let mut view = TakeView { stems: stems(&setup, 2), ready: true, ..stereo() };
    view.stems[3].peak = 1.5;
    let mut harness = open(view);
    let clipped = |harness: &Harness<'_, State>, name: &str| {
        harness.get_by_label(&format!("Stem {name}")).accesskit_node().toggled() == Some(egui::accesskit::Toggled::True)
    };
    for name in ["Dry L", "Dry R", "A L", "A R", "B L", "B R"] {
        assert_eq!(clipped(&harness, name), name == "A R", "{name}");
    }
    assert_eq!(value(&harness, "Stem Dry L"), "-6 dBFS");
    harness.state_mut().view.stems[3].peak = f32::NAN;
    harness.run();
    harness.state_mut().view.stems[3].peak = 0.0;
    harness.run();
    assert!(clipped(&harness, "A R"));
    click(&mut harness, "Stem A R");
    assert!(!clipped(&harness, "A R"));
    harness.state_mut().view.stems[0].overs = 7;
    harness.run();
    assert!(clipped(&harness, "Dry L") && value(&harness, "Stem Dry L").ends_with("7 samples beyond full scale"));
}

#[test]
fn the_names_of_stems_are_their_channels_and_the_users_win() {
    let mut setup = TakeSetup::default();
    assert_eq!(setup.stem_name(0, 0, 1), "Dry");
    assert_eq!([setup.stem_name(0, 0, 2), setup.stem_name(1, 1, 2), setup.stem_name(3, 31, 32)], ["Dry L", "A R", "Out 32"]);
    setup.channels = vec![String::new(), "Snare".into()];
    assert_eq!([setup.stem_name(2, 0, 2), setup.stem_name(2, 1, 2)], ["B L", "B Snare"]);
    setup.sources = [false, false, true, false];
    assert_eq!([setup.stem_name(2, 0, 2), setup.stem_name(2, 1, 2)], ["B L", "Snare"]);
}

#[test]
fn nothing_of_the_bar_and_the_panel_overlaps() {
    let setup = TakeSetup { start: TakeStart::Level, sources: [true; 4], ..TakeSetup::default() };
    let view = TakeView { stems: stems(&setup, 2), setup, recording: true, disk_seconds_left: Some(36_000.0), ..stereo() };
    let mut harness = window(view);
    harness.get_by_label("Takes").click();
    harness.run_steps(3);
    let inside = Rect::from_min_size(pos2(8.0, 8.0), vec2(SIZE.0, SIZE.1)).expand(1.0);
    let nodes: Vec<(String, Rect)> = harness
        .root()
        .children_recursive()
        .filter_map(|node| Some((node.accesskit_node().label()?, node.rect())))
        .filter(|(_, rect)| rect.is_positive())
        .collect();
    assert!(nodes.len() > 20, "{nodes:?}");
    for (i, (name, rect)) in nodes.iter().enumerate() {
        assert!(inside.contains_rect(*rect), "{name} {rect:?}");
        for (other, at) in &nodes[..i] {
            assert!(!at.shrink(0.5).intersects(rect.shrink(0.5)), "{other} {at:?} and {name} {rect:?}");
        }
    }
}
