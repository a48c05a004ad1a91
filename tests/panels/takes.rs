//! Tests of the recorder's bar and the take panel: the texts that they show, and the actions that they return.

use egui::{Key, Modifiers, Rect, pos2, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};
use isotherm::ui::TakePanel;
use isotherm::view::{StemView, TakeAction, TakeLight, TakeSetup, TakeStart, TakeView};

/// The panel, the view that it shows, and the actions that it has returned.
#[derive(Default)]
struct PanelWindow {
    panel: TakePanel,
    view: TakeView,
    actions: Vec<TakeAction>,
}

const SIZE: (f32, f32) = (640.0, 500.0);

/// The bar with the closed panel.
fn window(view: TakeView) -> Harness<'static, PanelWindow> {
    let state = PanelWindow { view, ..PanelWindow::default() };
    let mut harness = Harness::builder()
        .with_size(vec2(SIZE.0 + 16.0, SIZE.1 + 16.0))
        .with_step_dt(1.0 / 60.0)
        .build_ui_state(|ui, state: &mut PanelWindow| state.actions.extend(state.panel.show(ui, &state.view)), state);
    harness.run();
    harness
}

/// The bar with the open panel.
fn window_with_open_panel(view: TakeView) -> Harness<'static, PanelWindow> {
    let mut harness = window(view);
    click(&mut harness, "Takes");
    harness
}

fn click(harness: &mut Harness<'_, PanelWindow>, name: &str) {
    harness.get_by_label(name).click();
    harness.run();
}

/// Returns the actions since the last call of this function.
fn drain_actions(harness: &mut Harness<'_, PanelWindow>) -> Vec<TakeAction> {
    std::mem::take(&mut harness.state_mut().actions)
}

fn value(harness: &Harness<'_, PanelWindow>, name: &str) -> String {
    harness.get_by_label(name).accesskit_node().value().unwrap_or_default()
}

/// A view of a recorder with two channels, which is not on standby.
fn stereo_view() -> TakeView {
    TakeView { channels: 2, ..TakeView::default() }
}

/// The stems of a setup, each with a peak of 0.5.
fn stems(setup: &TakeSetup, channels: usize) -> Vec<StemView> {
    let stem = |source, channel| StemView { name: setup.stem_name(source, channel, channels), peak: 0.5, overs: 0 };
    setup.chosen().flat_map(|source| (0..channels).map(move |channel| stem(source, channel))).collect()
}

#[test]
fn each_button_of_the_bar_is_one_action() {
    let mut harness = window(stereo_view());
    click(&mut harness, "Standby");
    click(&mut harness, "Record take");
    click(&mut harness, "Mark");
    assert_eq!(drain_actions(&mut harness), [TakeAction::Standby(true), TakeAction::Record(true)], "no mark without a take");
    let mut harness = window_in_take();
    for name in ["Standby", "Mark"] {
        harness.get_by_label(name).click();
        harness.run_steps(3);
    }
    assert_eq!(drain_actions(&mut harness), [TakeAction::Mark], "standby ends no take");
}

/// The bar in a take.
fn window_in_take() -> Harness<'static, PanelWindow> {
    let mut harness = window(stereo_view());
    harness.state_mut().view = TakeView { standby: true, ready: true, recording: true, ..stereo_view() };
    harness.run_steps(3);
    harness
}

/// Runs frames for a time in seconds.
fn run_for(harness: &mut Harness<'_, PanelWindow>, seconds: f64) {
    let end = harness.ctx.input(|i| i.time) + seconds;
    while harness.ctx.input(|i| i.time) < end {
        harness.step();
    }
}

/// Returns the width of the part of the record button that is filled because it is held.
fn filled_width(harness: &Harness<'_, PanelWindow>) -> f32 {
    let button = harness.get_by_label("Record take").rect();
    let fills = harness.output().shapes.iter().filter_map(|shape| match &shape.shape {
        egui::Shape::Rect(rect) if rect.fill == egui::Color32::from_black_alpha(110) => Some(rect.rect),
        _ => None,
    });
    fills.filter(|fill| fill.left() == button.left()).map(|fill| fill.width()).fold(0.0, f32::max)
}

#[test]
fn a_take_ends_by_a_button_that_is_held_and_a_click_on_it_only_says_so() {
    let mut harness = window_in_take();
    let hints = |harness: &Harness<'_, PanelWindow>| harness.query_all_by_label_contains("Hold Stop for a second").count();
    harness.get_by_label("Record take").click();
    run_for(&mut harness, 0.3);
    assert_eq!((drain_actions(&mut harness), hints(&harness)), (vec![], 1));
    harness.remove_cursor();
    run_for(&mut harness, 4.0);
    assert_eq!(hints(&harness), 0);

    let at = harness.get_by_label("Record take").rect().center();
    harness.drag_at(at);
    run_for(&mut harness, 0.4);
    let early = filled_width(&harness);
    run_for(&mut harness, 0.4);
    let late = filled_width(&harness);
    assert!(early > 10.0 && late > 1.5 * early, "{early} {late}");
    assert_eq!(drain_actions(&mut harness), []);
    // An unsteady hand.
    harness.hover_at(at + vec2(9.0, 3.0));
    run_for(&mut harness, 2.0);
    assert_eq!(drain_actions(&mut harness), [TakeAction::Record(false)], "one press is one action");
    harness.state_mut().view.recording = false;
    harness.run_steps(3);
    harness.drop_at(at + vec2(9.0, 3.0));
    run_for(&mut harness, 0.5);
    assert_eq!(drain_actions(&mut harness), [], "the release starts no take");
    click(&mut harness, "Record take");
    assert_eq!(drain_actions(&mut harness), [TakeAction::Record(true)]);
}

#[test]
fn a_press_that_began_in_a_take_starts_none_when_the_take_has_ended_meanwhile() {
    let mut harness = window_in_take();
    let at = harness.get_by_label("Record take").rect().center();
    harness.drag_at(at);
    run_for(&mut harness, 0.3);
    harness.state_mut().view.recording = false;
    harness.run_steps(2);
    harness.drop_at(at);
    run_for(&mut harness, 0.5);
    assert_eq!(drain_actions(&mut harness), []);
    click(&mut harness, "Record take");
    assert_eq!(drain_actions(&mut harness), [TakeAction::Record(true)]);
}

#[test]
fn a_take_does_not_end_if_the_mouse_leaves_the_button() {
    let mut harness = window_in_take();
    let at = harness.get_by_label("Record take").rect().center();
    harness.drag_at(at);
    run_for(&mut harness, 0.6);
    harness.hover_at(at + vec2(0.0, 100.0));
    run_for(&mut harness, 2.0);
    harness.drop_at(at + vec2(0.0, 100.0));
    run_for(&mut harness, 0.3);
    assert_eq!(drain_actions(&mut harness), []);
}

#[test]
fn a_key_that_is_held_ends_a_take_but_neither_starts_one_again_nor_ends_the_one_that_it_started() {
    for key in [Key::Enter, Key::Space] {
        let mut harness = window_in_take();
        harness.get_by_label("Record take").focus();
        harness.run_steps(2);
        harness.key_press(key);
        run_for(&mut harness, 2.0);
        assert_eq!(drain_actions(&mut harness), [], "a press is not enough");
        // As X11 repeats a key: releases and presses.
        let hold = |harness: &mut Harness<'_, PanelWindow>, repeats: usize| {
            for _ in 0..repeats {
                harness.key_down(key);
                run_for(harness, 0.02);
                harness.key_up(key);
                harness.step();
            }
        };
        harness.key_down(key);
        run_for(&mut harness, 0.5);
        harness.key_up(key);
        harness.step();
        hold(&mut harness, 20);
        let ended = drain_actions(&mut harness);
        assert_eq!(ended, [TakeAction::Record(false)], "{key:?}");
        harness.state_mut().view.recording = false;
        hold(&mut harness, 20);
        assert_eq!(drain_actions(&mut harness), [], "{key:?} goes on");
        run_for(&mut harness, 0.5);
        harness.key_down(key);
        harness.run_steps(2);
        assert_eq!(drain_actions(&mut harness), [TakeAction::Record(true)], "{key:?} again");
        harness.state_mut().view.recording = true;
        run_for(&mut harness, 2.0);
        assert_eq!(drain_actions(&mut harness), [], "{key:?} that started the take");
    }
}

/// The view of a take that has lost frames.
fn lossy(lost_frames: u64, lost_seconds: f64) -> TakeView {
    TakeView { recording: true, light: TakeLight::Red, lost_frames, lost_seconds, ..stereo_view() }
}

#[test]
fn the_bar_shows_length_health_markers_and_room_on_the_disk() {
    for (view, health) in [
        (stereo_view(), "Not recording"),
        (TakeView { standby: true, ..stereo_view() }, "Getting ready"),
        (TakeView { standby: true, ready: true, ..stereo_view() }, "On standby"),
        (TakeView { recording: true, markers: 2, ..stereo_view() }, "Recording: nothing lost, 2 markers"),
        (TakeView { folder: Some("x".into()), ..stereo_view() }, "Last take: nothing lost"),
        (
            TakeView { recording: true, light: TakeLight::Yellow, stretched: 3, ..stereo_view() },
            "Recording: buffer stretched 3 times, nothing lost",
        ),
        (lossy(512, 0.0107), "11 ms lost"),
        (lossy(110_400, 2.3), "2.3 s lost"),
        (lossy(3_120_000, 65.0), "1 min 5 s lost"),
        (TakeView { error: Some("the disk is full".into()), ..stereo_view() }, "the disk is full"),
    ] {
        assert_eq!(value(&window(view), "Take health"), health);
    }
    for (seconds, clock) in [(0.0, "0:00:00.0"), (3723.46, "1:02:03.4"), (f64::NAN, "0:00:00.0")] {
        assert_eq!(value(&window(TakeView { seconds, ..stereo_view() }), "Take time"), clock);
    }
    for (left, text) in [(None, ""), (Some(36_000.0), "10 h left"), (Some(600.0), "10 min left"), (Some(-1.0), "0 s left")] {
        assert_eq!(value(&window(TakeView { disk_seconds_left: left, ..stereo_view() }), "Disk left"), text);
    }
}

#[test]
fn sources_and_trigger_can_be_chosen_but_not_during_a_take() {
    let mut harness = window_with_open_panel(stereo_view());
    click(&mut harness, "Record Output");
    click(&mut harness, "Start: Transport");
    let setup = TakeSetup::default();
    let outputs = TakeSetup { sources: [true; 4], ..setup.clone() };
    let transport = TakeSetup { start: TakeStart::Transport, ..setup };
    assert_eq!(drain_actions(&mut harness), [TakeAction::Setup(outputs), TakeAction::Setup(transport)]);
    let mut harness = window_with_open_panel(TakeView { recording: true, ..stereo_view() });
    click(&mut harness, "Record Output");
    click(&mut harness, "Start: Transport");
    assert_eq!(drain_actions(&mut harness), []);
}

#[test]
fn a_typed_text_is_applied_when_its_field_is_left_unless_by_escape() {
    let mut harness = window_with_open_panel(stereo_view());
    let type_into = |harness: &mut Harness<'_, PanelWindow>, name: &str, text: &str, key: Key| {
        harness.get_by_label(name).focus();
        harness.run();
        harness.key_press_modifiers(Modifiers::COMMAND, Key::A);
        harness.get_by_label(name).type_text(text);
        harness.run();
        harness.key_press(key);
        harness.run();
        drain_actions(harness)
    };
    let action = |setup: TakeSetup| vec![TakeAction::Setup(setup)];
    let setup = TakeSetup::default;
    let named = TakeSetup { channels: vec![String::new(), "Snare".into()], ..setup() };
    assert_eq!(type_into(&mut harness, "Name of channel 2", "Snare", Key::Enter), action(named));
    assert_eq!(type_into(&mut harness, "Name of channel 1", "Kick", Key::Escape), []);
    assert_eq!(
        type_into(&mut harness, "Take folder", "/tmp/x", Key::Enter),
        action(TakeSetup { folder: "/tmp/x".into(), ..setup() })
    );
    assert_eq!(type_into(&mut harness, "Take name", "Show", Key::Enter), action(TakeSetup { name: "Show".into(), ..setup() }));
    for (text, seconds) in [("2.5", 2.5), ("999", 60.0)] {
        let expected = TakeSetup { pre_roll_seconds: seconds, ..setup() };
        assert_eq!(type_into(&mut harness, "Pre-roll seconds", text, Key::Enter), action(expected));
    }
    assert_eq!(type_into(&mut harness, "Pre-roll seconds", "long", Key::Enter), []);
    let split = TakeSetup { split_minutes: Some(30.0), ..setup() };
    assert_eq!(type_into(&mut harness, "Split after minutes", "30", Key::Enter), action(split));
}

#[test]
fn the_panel_leaves_out_the_choices_that_are_made_per_channel() {
    let setup = TakeSetup::default();
    let view = TakeView { chosen_per_channel: true, stems: stems(&setup, 2), setup: setup.clone(), ..stereo_view() };
    let mut harness = window_with_open_panel(view);
    for name in ["Record Input", "Record Output", "Start: Transport", "Name of channel 1", "Stem Dry L"] {
        assert!(harness.query_by_label(name).is_none(), "{name}");
    }
    for name in ["Start: By hand", "Take folder", "Take name", "Pre-roll seconds", "Split after minutes", "Last take"] {
        assert!(harness.query_by_label(name).is_some(), "{name}");
    }
    click(&mut harness, "Start: Level");
    let level = TakeSetup { start: TakeStart::Level, ..setup };
    assert_eq!(drain_actions(&mut harness), [TakeAction::Setup(level.clone())]);
    harness.state_mut().view.setup = level;
    harness.run();
    assert!(harness.query_by_label("Level in dBFS").is_some() && harness.query_by_label("Quiet seconds to end").is_some());
}

#[test]
fn a_text_that_is_being_typed_when_a_take_begins_is_dropped() {
    let mut harness = window_with_open_panel(stereo_view());
    harness.get_by_label("Take name").focus();
    harness.run();
    harness.get_by_label("Take name").type_text("Show");
    harness.run();
    assert_eq!(value(&harness, "Take name"), "Show");
    harness.state_mut().view.recording = true;
    harness.run_steps(4);
    harness.state_mut().view.recording = false;
    harness.run();
    assert_eq!((value(&harness, "Take name"), drain_actions(&mut harness)), (String::new(), vec![]));
}

#[test]
fn every_stem_has_a_meter_and_a_clip_light_that_stays_until_it_is_clicked() {
    let setup = TakeSetup::default();
    let mut view = TakeView { stems: stems(&setup, 2), ready: true, ..stereo_view() };
    view.stems[3].peak = 1.5;
    let mut harness = window_with_open_panel(view);
    let clipped = |harness: &Harness<'_, PanelWindow>, name: &str| {
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
fn stems_are_named_by_the_user_or_else_by_source_and_channel() {
    let mut setup = TakeSetup::default();
    assert_eq!(setup.stem_name(0, 0, 1), "Dry");
    assert_eq!([setup.stem_name(0, 0, 2), setup.stem_name(1, 1, 2), setup.stem_name(3, 31, 32)], ["Dry L", "A R", "Out 32"]);
    setup.channels = vec![String::new(), "Snare".into()];
    assert_eq!([setup.stem_name(2, 0, 2), setup.stem_name(2, 1, 2)], ["B L", "B Snare"]);
    setup.sources = [false, false, true, false];
    assert_eq!([setup.stem_name(2, 0, 2), setup.stem_name(2, 1, 2)], ["B L", "Snare"]);
}

#[test]
fn the_parts_of_the_bar_and_the_panel_do_not_overlap() {
    let setup = TakeSetup { start: TakeStart::Level, sources: [true; 4], ..TakeSetup::default() };
    let view = TakeView { stems: stems(&setup, 2), setup, recording: true, disk_seconds_left: Some(36_000.0), ..stereo_view() };
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
