//! Laws of the program's window: the device's bar, the strips of its channels and the log around the editor.

use std::path::Path;

use egui::accesskit::{Role, Toggled};
use egui::{Key, Modifiers, Rect, pos2, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};
use isotherm::dsp::{Algorithm, PrepareError, Processor, Settings, Spec};
use isotherm::ui::{
    BlindView, Control, Controls, DeviceSetup, DeviceStage, DeviceView, LeftView, Level, LogLine, PROGRAM_SIZE, Program,
    ProgramAction, ProgramView, Slot, Snapshot, StripView, TakeAction, TakeView, TwinView, TwinWish,
};

/// The panels make no sound.
fn prepare(_: Spec, _: &Settings) -> Result<Box<dyn Processor>, PrepareError> {
    Err(PrepareError::Engine("a row for its looks".into()))
}

static EMPTY: Algorithm =
    Algorithm { id: "empty", name: "Empty", description: "Nothing.", parameters: &[], model: false, prepare };
static REGISTRY: [&Algorithm; 1] = [&EMPTY];

/// Values that nobody turns.
struct Still;

impl Controls for Still {
    fn get(&self, _: Control) -> f32 {
        0.0
    }
    fn begin(&self, _: Control) {}
    fn set(&self, _: Control, _: f32) {}
    fn end(&self, _: Control) {}
    fn press_listen(&self, _: u8) {}
    fn reveal(&self) {}
    fn open_model(&self, _: Slot, _: &Path) {}
    fn browse_models(&self, _: Slot) {}
    fn step_model(&self, _: Slot, _: i32) {}
    fn clear_model(&self, _: Slot) {}
    fn twin(&self, _: TwinWish) {}
    fn take(&self, _: TakeAction) {}
}

struct State {
    program: Program,
    view: ProgramView,
    snapshot: Snapshot,
    asked: Vec<ProgramAction>,
}

type Window = Harness<'static, State>;

fn snapshot() -> Snapshot {
    Snapshot {
        channels: 2,
        input: vec![Level::default(); 2],
        output: vec![Level::default(); 2],
        sample_rate: 48_000.0,
        latency_frames: 64,
        load: 0.12,
        blind: BlindView::Off,
        models: Default::default(),
        twin: TwinView::default(),
        take: TakeView { by_strip: true, channels: 2, ..TakeView::default() },
    }
}

/// The program in a window of `size`; the harness itself keeps 8 px around it.
fn window_of(size: (u32, u32), view: ProgramView) -> Window {
    let state = State { program: Program::new(&REGISTRY), view, snapshot: snapshot(), asked: Vec::new() };
    let mut harness = Harness::builder().with_size(vec2(size.0 as f32 + 16.0, size.1 as f32 + 16.0)).build_ui_state(
        |ui, state: &mut State| state.asked.extend(state.program.show(ui, &Still, &state.snapshot, &state.view)),
        state,
    );
    harness.run_steps(4);
    harness
}

fn window(view: ProgramView) -> Window {
    window_of(PROGRAM_SIZE, view)
}

fn click(harness: &mut Window, name: &str) {
    harness.get_by_label(name).click();
    harness.run_steps(4);
}

fn asked(harness: &mut Window) -> Vec<ProgramAction> {
    std::mem::take(&mut harness.state_mut().asked)
}

/// What is asked for when something else is typed into a field, which `key` leaves.
fn type_into(harness: &mut Window, name: &str, text: &str, key: Key) -> Vec<ProgramAction> {
    harness.get_by_label(name).focus();
    harness.run_steps(2);
    harness.key_press_modifiers(Modifiers::COMMAND, Key::A);
    harness.get_by_label(name).type_text(text);
    harness.run_steps(2);
    harness.key_press(key);
    harness.run_steps(4);
    asked(harness)
}

fn value(harness: &Window, name: &str) -> String {
    harness.get_by_label(name).accesskit_node().value().unwrap_or_default()
}

fn is_down(harness: &Window, name: &str) -> bool {
    harness.get_by_label(name).accesskit_node().toggled() == Some(Toggled::True)
}

fn setup() -> DeviceSetup {
    DeviceSetup { host: "alsa".into(), device: "hw:X32".into(), sample_rate: Some(48_000), ..DeviceSetup::default() }
}

fn device() -> DeviceView {
    DeviceView {
        setup: setup(),
        hosts: vec!["alsa".into(), "jack".into(), "file".into()],
        devices: vec!["hw:X32".into(), "hw:Intel".into()],
        rates: vec![44_100, 48_000],
        periods: vec![64, 256],
        ..DeviceView::default()
    }
}

/// A view of a device that stands and has so many channels.
fn stopped(channels: usize) -> ProgramView {
    ProgramView { device: device(), strips: vec![StripView::default(); channels], ..ProgramView::default() }
}

fn at(stage: DeviceStage, channels: usize) -> ProgramView {
    ProgramView { device: DeviceView { stage, ..device() }, ..stopped(channels) }
}

fn running(channels: usize) -> ProgramView {
    at(DeviceStage::Running, channels)
}

/// All there is to show, of 32 channels.
fn full() -> ProgramView {
    let strip = |n: usize| StripView {
        name: format!("A channel's long name {n}"),
        armed: !n.is_multiple_of(3),
        left: n == 1,
        right: n == 2,
        level: Level { peak: 1.2, rms: 0.3, clipped: true },
        colour: Some([200, 40, 40]),
        note: Some("carries Main L".into()),
    };
    let line = |n: usize| LogLine { time: format!("12:00:{n:02}"), text: format!("happening {n}"), alarm: n.is_multiple_of(2) };
    let mut view = running(0);
    view.strips = (0..32).map(strip).collect();
    view.log = (0..40).map(line).collect();
    view.device.granted = Some("hw:X32: 32 in, 32 out, S24_3LE, 48000 Hz, 256 frames in 2 periods".into());
    view.device.setup.period_frames = Some(256);
    view.device.setup.outputs = Some([30, 31]);
    view.device.setup.desk = "192.168.100.120".into();
    view.device.monitor_seconds = Some(0.008);
    (view.device.overruns, view.device.underruns) = (12, 345);
    view.device.desk = Some(("X32 FOH at 192.168.100.120: 48 kHz, 32/32, card tracks 1-32".into(), true));
    view
}

fn is_setup(change: impl FnOnce(&mut DeviceSetup)) -> Vec<ProgramAction> {
    let mut setup = setup();
    change(&mut setup);
    vec![ProgramAction::Setup(setup)]
}

#[test]
fn every_choice_of_the_bar_is_one_whole_setup() {
    let mut harness = window(stopped(0));
    let mut choose = |list: &str, entry: &str| {
        click(&mut harness, list);
        // Of two with the name, the list's own face is the first.
        harness.get_all_by_label(entry).last().expect("an entry").click();
        harness.run_steps(4);
        asked(&mut harness)
    };
    assert_eq!(choose("Host", "jack"), is_setup(|s| s.host = "jack".into()));
    assert_eq!(choose("Devices", "hw:Intel"), is_setup(|s| s.device = "hw:Intel".into()));
    assert_eq!(choose("Rate", "44.1 kHz"), is_setup(|s| s.sample_rate = Some(44_100)));
    assert_eq!(choose("Rate", "Auto rate"), is_setup(|s| s.sample_rate = None));
    assert_eq!(choose("Period", "256 frames, 5.3 ms"), is_setup(|s| s.period_frames = Some(256)));
    assert_eq!(choose("Devices", "hw:X32"), [], "what is chosen already");
}

#[test]
fn a_period_has_a_time_if_the_rate_is_known() {
    let mut view = stopped(0);
    view.device.setup.period_frames = Some(64);
    let mut harness = window(view);
    assert_eq!(value(&harness, "Period"), "64 frames, 1.3 ms");
    harness.state_mut().view.device.setup.sample_rate = None;
    harness.run_steps(2);
    assert_eq!(value(&harness, "Period"), "64 frames");
}

#[test]
fn a_setup_that_is_not_among_the_choices_is_shown() {
    let mut view = stopped(0);
    view.device.setup =
        DeviceSetup { host: "asio".into(), sample_rate: Some(96_000), period_frames: Some(96), ..DeviceSetup::default() };
    let harness = window(view);
    assert_eq!(value(&harness, "Host"), "asio");
    assert_eq!(value(&harness, "Rate"), "96 kHz");
    assert_eq!(value(&harness, "Period"), "96 frames, 1.0 ms");
}

#[test]
fn what_is_typed_into_the_bar_counts_with_enter_and_not_with_escape() {
    let mut harness = window(stopped(0));
    let device = is_setup(|s| s.device = "/tmp/loop.wav".into());
    assert_eq!(type_into(&mut harness, "Device name", " /tmp/loop.wav ", Key::Enter), device);
    assert_eq!(type_into(&mut harness, "Device name", "hw:9", Key::Escape), []);
    assert_eq!(type_into(&mut harness, "Desk", "find", Key::Enter), is_setup(|s| s.desk = "find".into()));
    assert_eq!(type_into(&mut harness, "Desk", "find", Key::Tab), is_setup(|s| s.desk = "find".into()));
    for text in ["31,32", "31-32", " 31, 32 ", "31 32"] {
        assert_eq!(type_into(&mut harness, "Outputs", text, Key::Enter), is_setup(|s| s.outputs = Some([30, 31])), "{text}");
    }
    harness.state_mut().view.device.setup.outputs = Some([0, 1]);
    harness.run_steps(2);
    assert_eq!(value(&harness, "Outputs"), "1,2");
    assert_eq!(type_into(&mut harness, "Outputs", "none", Key::Enter), is_setup(|s| s.outputs = None));
}

#[test]
fn outputs_that_are_no_pair_are_refused_in_words_until_others_are_typed() {
    let mut harness = window(stopped(0));
    for text in ["1", "0,1", "a,b", "1,2,3", "1,-2"] {
        assert_eq!(type_into(&mut harness, "Outputs", text, Key::Enter), [], "{text}");
        assert_eq!(value(&harness, "Device state"), format!("The outputs are a pair such as 1,2 or none, not {text:?}"));
    }
    assert_eq!(type_into(&mut harness, "Outputs", "1,2", Key::Enter).len(), 1);
    assert_eq!(value(&harness, "Device state"), "Stopped");
}

#[test]
fn start_stop_and_list_are_one_action_each() {
    let mut harness = window(stopped(0));
    click(&mut harness, "List devices anew");
    click(&mut harness, "Start");
    assert_eq!(asked(&mut harness), [ProgramAction::List, ProgramAction::Start]);
    for stage in [DeviceStage::Starting, DeviceStage::Running, DeviceStage::Away("unplugged".into())] {
        let mut harness = window(at(stage.clone(), 2));
        assert!(harness.query_by_label("Start").is_none());
        click(&mut harness, "Stop");
        assert_eq!(asked(&mut harness), [ProgramAction::Stop], "{stage:?}");
    }
    let mut harness = window(ProgramView { recording: true, ..at(DeviceStage::Running, 2) });
    click(&mut harness, "Stop");
    assert_eq!(asked(&mut harness), [], "not while a take runs");
}

#[test]
fn what_is_typed_when_start_is_pressed_comes_before_the_start() {
    let mut harness = window(stopped(0));
    harness.get_by_label("Device name").focus();
    harness.run_steps(2);
    harness.key_press_modifiers(Modifiers::COMMAND, Key::A);
    harness.get_by_label("Device name").type_text("hw:9");
    harness.run_steps(2);
    let start = harness.get_by_label("Start").rect().center();
    press_at(&mut harness, start);
    let wanted = ProgramAction::Setup(DeviceSetup { device: "hw:9".into(), ..setup() });
    assert_eq!(asked(&mut harness), [wanted, ProgramAction::Start]);
}

#[test]
fn nothing_of_the_setup_can_be_changed_unless_the_device_is_stopped() {
    for stage in [DeviceStage::Starting, DeviceStage::Running, DeviceStage::Away("unplugged".into())] {
        let mut harness = window(at(stage.clone(), 2));
        for name in ["Host", "Device name", "Devices", "List devices anew", "Rate", "Period", "Outputs", "Desk"] {
            assert!(harness.get_by_label(name).accesskit_node().is_disabled(), "{name} {stage:?}");
            click(&mut harness, name);
        }
        for name in ["Device name", "Outputs", "Desk"] {
            assert_eq!(type_into(&mut harness, name, "1,2", Key::Enter), [], "{name} {stage:?}");
        }
        assert!(harness.query_by_label("hw:Intel").is_none() && harness.query_by_label("jack").is_none());
        assert_eq!(asked(&mut harness), []);
    }
}

#[test]
fn a_list_that_was_open_when_the_device_started_changes_nothing() {
    for (list, entry) in [("Devices", "hw:Intel"), ("Host", "jack"), ("Rate", "44.1 kHz")] {
        let mut harness = window(stopped(0));
        click(&mut harness, list);
        harness.state_mut().view.device.stage = DeviceStage::Starting;
        harness.step();
        harness.get_by_label(entry).click();
        harness.run_steps(4);
        assert_eq!(asked(&mut harness), [], "{list}");
    }
}

#[test]
fn the_bar_tells_how_the_device_and_the_desk_are() {
    let error = "no device hw:X32: expected hw:Intel".to_owned();
    for (stage, granted, error, state) in [
        (DeviceStage::Stopped, None, None, "Stopped"),
        (DeviceStage::Stopped, None, Some(error.clone()), error.as_str()),
        (DeviceStage::Starting, None, None, "Starting"),
        (DeviceStage::Running, Some("32 in, 48000 Hz".to_owned()), None, "32 in, 48000 Hz"),
        (DeviceStage::Away("unplugged".into()), None, Some(error.clone()), "Away: unplugged, trying again"),
    ] {
        let mut view = at(stage, 2);
        (view.device.granted, view.device.error) = (granted, error);
        assert_eq!(value(&window(view), "Device state"), state);
    }
    for name in ["Heard", "Device health", "Desk state"] {
        assert!(window(running(2)).query_by_label(name).is_none(), "{name}");
    }
    let mut view = running(2);
    view.device.monitor_seconds = Some(0.008);
    view.device.desk = Some(("The desk does not answer".into(), false));
    let mut harness = window(view);
    assert_eq!(value(&harness, "Heard"), "Heard after 8.0 ms");
    assert_eq!(value(&harness, "Desk state"), "The desk does not answer");
    for (over, under, text) in [(1, 0, "1 overrun"), (0, 2, "2 underruns"), (3, 1, "3 overruns, 1 underrun")] {
        let device = &mut harness.state_mut().view.device;
        (device.overruns, device.underruns) = (over, under);
        harness.run_steps(2);
        assert_eq!(value(&harness, "Device health"), text);
    }
}

#[test]
fn a_strip_asks_for_its_own_channel_only() {
    let mut view = running(3);
    view.strips[1] = StripView { armed: true, left: true, ..StripView::default() };
    let mut harness = window(view);
    let arm = |channel, on| ProgramAction::Arm { channel, on };
    let hear = |channel, left, right| ProgramAction::Hear { channel, left, right };
    for (label, action) in [
        ("Arm channel 1", arm(0, true)),
        ("Arm channel 2", arm(1, false)),
        ("Arm all", ProgramAction::ArmAll(true)),
        ("Arm none", ProgramAction::ArmAll(false)),
        ("Hear channel 3 left", hear(2, true, false)),
        ("Hear channel 3 right", hear(2, false, true)),
        ("Hear channel 2 left", hear(1, false, false)),
        ("Hear channel 2 right", hear(1, true, true)),
    ] {
        click(&mut harness, label);
        assert_eq!(asked(&mut harness), [action], "{label}");
    }
    for n in 1..=3 {
        assert_eq!(is_down(&harness, &format!("Arm channel {n}")), n == 2);
        assert_eq!(is_down(&harness, &format!("Hear channel {n} left")), n == 2);
        assert!(!is_down(&harness, &format!("Hear channel {n} right")));
    }
    assert_eq!(value(&harness, "Channels"), "3 channels, 1 armed");
}

#[test]
fn a_name_counts_with_enter_and_not_with_escape() {
    let mut view = running(3);
    view.strips[2].name = "Bass".into();
    let mut harness = window(view);
    let name = |channel, name: &str| vec![ProgramAction::Name { channel, name: name.into() }];
    assert_eq!(type_into(&mut harness, "Name of channel 2", " Snare ", Key::Enter), name(1, "Snare"));
    assert_eq!(type_into(&mut harness, "Name of channel 2", "Kick", Key::Tab), name(1, "Kick"));
    assert_eq!(type_into(&mut harness, "Name of channel 1", "Kick", Key::Escape), []);
    assert_eq!(type_into(&mut harness, "Name of channel 3", "Bass", Key::Enter), [], "as it was");
    assert_eq!(value(&harness, "Name of channel 3"), "Bass");
    assert_eq!(value(&harness, "Name of channel 1"), "");
}

#[test]
fn names_and_arms_stay_while_a_take_runs_and_hearing_does_not() {
    let mut harness = window(ProgramView { recording: true, ..running(2) });
    for name in ["Arm channel 1", "Arm all", "Arm none", "Name of channel 1"] {
        assert!(harness.get_by_label(name).accesskit_node().is_disabled(), "{name}");
        click(&mut harness, name);
    }
    assert_eq!(type_into(&mut harness, "Name of channel 1", "Kick", Key::Enter), []);
    click(&mut harness, "Hear channel 1 left");
    assert_eq!(asked(&mut harness), [ProgramAction::Hear { channel: 0, left: true, right: false }]);
}

#[test]
fn a_clip_light_stays_until_it_is_clicked() {
    let mut view = running(3);
    view.strips[0].level = Level { peak: 0.5, rms: 0.1, clipped: false };
    view.strips[1].level = Level { peak: 1.5, rms: 0.1, clipped: true };
    view.strips[2].level = Level { peak: f32::NAN, rms: f32::NAN, clipped: false };
    let mut harness = window(view);
    for strip in &mut harness.state_mut().view.strips {
        strip.level = Level::default();
    }
    harness.run_steps(60);
    let lit = |harness: &Window| [1, 2, 3].map(|n| is_down(harness, &format!("Clip of channel {n}")));
    assert_eq!(lit(&harness), [false, true, true]);
    let peaks = [1, 2, 3].map(|n| value(&harness, &format!("Clip of channel {n}")));
    assert_eq!(peaks, ["\u{2212}6.0 dBFS", "3.5 dBFS", "\u{221e} dBFS"]);
    click(&mut harness, "Clip of channel 2");
    assert_eq!(lit(&harness), [false, false, true]);
    assert_eq!(value(&harness, "Clip of channel 2"), "\u{2212}\u{221e} dBFS");
    assert_eq!(value(&harness, "Clip of channel 1"), "\u{2212}6.0 dBFS");
    click(&mut harness, "Reset all peaks");
    assert_eq!(lit(&harness), [false; 3]);
    assert_eq!(value(&harness, "Clip of channel 1"), "\u{2212}\u{221e} dBFS");
}

#[test]
fn a_meters_peak_rises_at_once_and_falls_20_db_in_1_7_seconds() {
    let mut view = running(1);
    view.strips[0].level.peak = 0.1;
    let mut harness = window(view);
    assert_eq!(value(&harness, "Level of channel 1"), "-20 dBFS");
    let frames = (1.7 / step_seconds(&mut harness)).round() as usize;
    harness.state_mut().view.strips[0].level.peak = 0.0;
    harness.run_steps(frames);
    let db: f32 = value(&harness, "Level of channel 1").trim_end_matches(" dBFS").parse().expect("a number");
    assert!((db + 40.0).abs() <= 2.0, "{db}");
}

/// Length of a frame here.
fn step_seconds(harness: &mut Window) -> f64 {
    let before = harness.ctx.input(|i| i.time);
    harness.step();
    harness.ctx.input(|i| i.time) - before
}

#[test]
fn a_note_and_the_lack_of_channels_are_words() {
    let mut view = running(31);
    view.strips[30].note = Some("carries Main L".into());
    let harness = window(view);
    assert_eq!(value(&harness, "Note on channel 31"), "carries Main L");
    assert!(harness.query_by_label("Note on channel 1").is_none());
    let harness = window(stopped(0));
    assert!(value(&harness, "Channels").contains("Choose a device and press Start"));
    assert!(harness.query_by_label("Arm all").is_none());
}

fn lines(harness: &Window) -> Vec<(f32, String)> {
    let nodes = harness.query_all_by_role(Role::Label).filter(|node| node.rect().top() > 500.0);
    let mut lines: Vec<_> = nodes
        .filter_map(|node| Some((node.rect().top(), node.accesskit_node().label().or(node.accesskit_node().value())?)))
        .filter(|(_, text)| text.contains("happening"))
        .collect();
    lines.sort_by(|a, b| a.0.total_cmp(&b.0));
    lines
}

#[test]
fn the_log_shows_its_last_three_lines_and_more_on_demand_newest_at_the_bottom() {
    let mut view = full();
    let mut harness = window(view.clone());
    let last = |harness: &Window, count: usize| {
        let lines = lines(harness);
        let from = lines.len().saturating_sub(count);
        lines[from..].iter().map(|(_, text)| text.clone()).collect::<Vec<_>>()
    };
    let is = |from: usize, to: usize| (from..to).map(|n| format!("12:00:{n:02} happening {n}")).collect::<Vec<_>>();
    assert_eq!(last(&harness, 100), is(37, 40));
    click(&mut harness, "More of the log");
    harness.run_steps(4);
    assert_eq!(last(&harness, 10), is(30, 40));
    let bottom = lines(&harness).last().expect("a line").0;
    assert!(bottom > PROGRAM_SIZE.1 as f32 - 30.0, "{bottom}");
    // It stays at the bottom when a line comes.
    view.log.push(LogLine { time: "12:00:40".into(), text: "happening 40".into(), alarm: false });
    harness.state_mut().view = view;
    harness.run_steps(4);
    assert_eq!(last(&harness, 10), is(31, 41));
    click(&mut harness, "More of the log");
    assert_eq!(last(&harness, 100), is(38, 41));
}

/// All that has a name and a place.
fn named(harness: &Window) -> Vec<(String, Rect)> {
    let nodes = harness.root().children_recursive();
    let name = |node: egui_kittest::kittest::AccessKitNode<'_>| match node.role() {
        Role::Label => node.value(),
        _ => node.label(),
    };
    nodes.filter_map(|n| Some((name(n.accesskit_node())?, n.rect()))).filter(|(_, rect)| rect.is_positive()).collect()
}

/// Whether it is of a strip; the editor's own have other names.
fn is_of_a_strip(name: &str) -> bool {
    name.contains("channel ")
}

fn assert_apart(all: &[(String, Rect)]) {
    for (i, (a, ra)) in all.iter().enumerate() {
        for (b, rb) in &all[..i] {
            assert!(!ra.shrink(0.5).intersects(rb.shrink(0.5)), "{a} {ra:?} covers {b} {rb:?}");
        }
    }
}

#[test]
fn all_of_32_channels_fits_the_windows_own_size_and_nothing_overlaps() {
    let harness = window(full());
    let inside = Rect::from_min_size(pos2(8.0, 8.0), vec2(PROGRAM_SIZE.0 as f32, PROGRAM_SIZE.1 as f32));
    let all = named(&harness);
    for n in 1..=32 {
        for label in ["Name of", "Note on", "Arm", "Level of", "Clip of"] {
            assert!(all.iter().any(|(name, _)| *name == format!("{label} channel {n}")), "{label} {n}");
        }
    }
    for (name, rect) in &all {
        assert!(inside.contains_rect(*rect), "{name} at {rect:?} leaves {inside:?}");
    }
    assert_apart(&all);
    // The strips end where the editor and the log begin.
    let top = |name: &str| all.iter().find(|(n, _)| n == name).expect("a name").1;
    for (name, rect) in all.iter().filter(|(name, _)| is_of_a_strip(name)) {
        assert!(rect.right() < top("Listen A").left() && rect.bottom() < top("More of the log").top(), "{name} {rect:?}");
    }
    assert!(harness.query_by_role(Role::ScrollBar).is_none());
}

#[test]
fn an_unfinished_take_is_named_above_the_log_and_can_be_recovered_while_none_is_recorded() {
    let left = |name: &str| LeftView { name: name.into(), folder: format!("/takes/{name}").into(), ..LeftView::default() };
    let mut view = full();
    let mut harness = window(view.clone());
    assert!(harness.query_by_label("Recover take").is_none());
    view.left = vec![left("2026-11-20T20-15-03 Show"), left("Other")];
    harness.state_mut().view = view.clone();
    harness.run_steps(4);
    assert_eq!(value(&harness, "Unfinished take"), "2026-11-20T20-15-03 Show is unfinished, as a crash left it (and 1 more)");
    click(&mut harness, "Recover take");
    assert_eq!(asked(&mut harness), [ProgramAction::Recover("/takes/2026-11-20T20-15-03 Show".into())]);
    // The strips scroll, and nothing covers anything.
    let all = named(&harness);
    let of = |name: &str| all.iter().find(|(n, _)| n == name).expect("a name").1;
    let (button, log) = (of("Recover take"), of("More of the log"));
    assert!(button.bottom() <= log.top() && log.bottom() <= PROGRAM_SIZE.1 as f32 + 8.0, "{button:?} {log:?}");
    for name in ["Channels", "Arm all", "Device state", "More of the log", "Listen A", "Record take"] {
        assert!(!of(name).intersects(button) && !of(name).intersects(of("Unfinished take")), "{name}");
    }
    for (done, waits, expected) in [(0.456, false, "being recovered, 46 %"), (0.0, true, "waits for the take that is recorded")] {
        view.left[1] = LeftView { done: Some(done), waits, ..left("Other") };
        harness.state_mut().view = view.clone();
        harness.run_steps(4);
        assert!(value(&harness, "Unfinished take").contains(expected), "{}", value(&harness, "Unfinished take"));
        click(&mut harness, "Recover take");
        assert_eq!(asked(&mut harness), []);
    }
    view.left.pop();
    view.recording = true;
    harness.state_mut().view = view;
    harness.run_steps(4);
    click(&mut harness, "Recover take");
    assert_eq!(asked(&mut harness), []);
}

/// What is around the editor, by what it belongs to.
const BAR: [&str; 13] = [
    "Host",
    "Device name",
    "Devices",
    "List devices anew",
    "Rate",
    "Period",
    "Outputs",
    "Desk",
    "Stop",
    "Device state",
    "Device health",
    "Heard",
    "Desk state",
];
const HEAD: [&str; 4] = ["Channels", "Arm all", "Arm none", "Reset all peaks"];

#[test]
fn nothing_around_the_editor_overlaps_or_leaves_a_small_window() {
    for (size, channels) in [((900, 560), 0), ((900, 560), 2), ((900, 560), 64), ((1024, 700), 32), ((1800, 1000), 32)] {
        let mut view = full();
        view.strips.resize(channels, view.strips[0].clone());
        let mut harness = window_of(size, view);
        for large in [false, true] {
            if large {
                click(&mut harness, "More of the log");
            }
            let inside = Rect::from_min_size(pos2(8.0, 8.0), vec2(size.0 as f32, size.1 as f32));
            let all = named(&harness);
            let is_log = |name: &str| name == "More of the log" || name.contains("happening");
            let (log, button) =
                (all.iter().filter(|(name, _)| name.contains("happening")), harness.get_by_label("More of the log").rect());
            // What scrolls counts where it is seen.
            let lines: Vec<_> = log.map(|(name, rect)| (name.clone(), rect.with_min_y(rect.top().max(button.top())))).collect();
            let head = harness.get_by_label("Channels").rect();
            let strips = inside.with_min_y(head.bottom()).with_max_y(button.top() - 18.0);
            let strips =
                all.iter().filter(|(name, _)| is_of_a_strip(name)).map(|(name, rect)| (name.clone(), rect.intersect(strips)));
            let fixed = all
                .iter()
                .filter(|(name, _)| BAR.contains(&name.as_str()) || HEAD.contains(&name.as_str()) || name == "More of the log");
            let around: Vec<_> = fixed.cloned().chain(lines).chain(strips).filter(|(_, rect)| rect.is_positive()).collect();
            assert!(around.len() >= BAR.len() + 5, "{around:?}");
            for (name, rect) in &around {
                assert!(inside.contains_rect(*rect), "{name} at {rect:?} leaves {inside:?}");
            }
            assert_apart(&around);
            // The editor begins beside the strips and below the bar.
            let edge = around.iter().filter(|(name, _)| is_of_a_strip(name) || HEAD.contains(&name.as_str()));
            let edge = edge.map(|(_, rect)| rect.right()).fold(0.0, f32::max);
            for (name, rect) in &all {
                if !is_log(name) && around.iter().all(|(other, _)| other != name) && !is_of_a_strip(name) {
                    assert!(rect.left() >= edge && rect.top() >= 8.0 + 10.0 + 68.0, "{name} {rect:?}");
                }
            }
        }
    }
}

fn press_at(harness: &mut Window, pos: egui::Pos2) {
    for pressed in [true, false] {
        harness.event(egui::Event::PointerMoved(pos));
        let button = egui::PointerButton::Primary;
        harness.event(egui::Event::PointerButton { pos, button, pressed, modifiers: Modifiers::NONE });
        harness.run_steps(2);
    }
}

#[test]
fn what_is_scrolled_out_of_sight_is_not_pressed_and_hides_nothing() {
    let mut harness = window_of((900, 560), full());
    let log = harness.get_by_label("More of the log").rect();
    let hidden: Vec<_> = (1..=32).map(|n| harness.get_by_label(&format!("Arm channel {n}")).rect().center()).collect();
    let hidden: Vec<_> = hidden.into_iter().filter(|at| at.y > log.top() - 4.0).collect();
    assert!(hidden.len() > 5);
    for at in hidden {
        press_at(&mut harness, at);
    }
    assert_eq!(asked(&mut harness), []);
    press_at(&mut harness, log.center());
    harness.run_steps(4);
    assert!(harness.get_by_label("More of the log").rect().top() < log.top() - 50.0);
    let stop = harness.get_by_label("Stop").rect().center();
    press_at(&mut harness, stop);
    assert_eq!(asked(&mut harness), [ProgramAction::Stop]);
}

#[test]
fn strips_that_do_not_fit_are_scrolled_to() {
    let mut harness = window_of((900, 560), full());
    let log = harness.get_by_label("More of the log").rect().top();
    let strip = |harness: &Window| harness.get_by_label("Hear channel 32 left").rect();
    assert!(strip(&harness).top() > log);
    harness.get_by_label("Level of channel 5").hover();
    harness.run_steps(2);
    harness.event(egui::Event::MouseWheel {
        unit: egui::MouseWheelUnit::Point,
        delta: vec2(0.0, -2000.0),
        phase: egui::TouchPhase::Move,
        modifiers: Modifiers::NONE,
        source: egui::MouseWheelSource::Unknown,
    });
    harness.run_steps(60);
    assert!(strip(&harness).bottom() < log, "{:?}", strip(&harness));
    click(&mut harness, "Hear channel 32 left");
    assert_eq!(asked(&mut harness), [ProgramAction::Hear { channel: 31, left: true, right: false }]);
}

#[test]
fn a_tiny_window_and_any_values_are_drawn() {
    for size in [(300, 200), (40, 40)] {
        window_of(size, full()).run_steps(2);
    }
    let mut view = full();
    view.device.monitor_seconds = Some(f64::NAN);
    view.device.setup.sample_rate = Some(0);
    view.device.setup.outputs = Some([usize::MAX - 1; 2]);
    for (strip, peak) in view.strips.iter_mut().zip([f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -1.0, f32::MIN_POSITIVE]) {
        strip.level = Level { peak, rms: peak, clipped: false };
    }
    window(view).run_steps(3);
}

#[test]
fn the_window_is_drawn_often_only_while_something_moves() {
    let delay = |harness: &Harness<'_, State>| {
        let output = harness.output().viewport_output.values().next().expect("a window");
        output.repaint_delay.as_millis()
    };
    let mut harness = window(running(2));
    harness.run_steps(60);
    let rest = delay(&harness);
    assert!(rest > 60_000, "{rest} ms");
    harness.state_mut().view.strips[0].level = Level { peak: 0.5, rms: 0.1, clipped: false };
    harness.step();
    assert_eq!(delay(&harness), 33);
    // A level that stays moves nothing.
    harness.run_steps(60);
    assert_eq!(delay(&harness), rest);
    harness.state_mut().view.strips[0].level = Level::default();
    harness.step();
    assert_eq!(delay(&harness), 33);
    // 60 dB take 5.1 s.
    harness.run_steps(200);
    assert_eq!(delay(&harness), rest);
}
