//! Tests of the panels of the program's window: the device's bar, the strips of its channels, and the log.

use std::path::Path;

use egui::accesskit::{Role, Toggled};
use egui::{Key, Modifiers, Rect, pos2, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};
use isotherm::dsp::{Algorithm, PrepareError, ProcessSpec, Processor, Settings};
use isotherm::ui::{
    DeviceSetup, DeviceStage, DeviceView, LogLine, PROGRAM_SIZE, Program, ProgramAction, ProgramView, StripView,
    UnfinishedTakeView,
};
use isotherm::view::{
    BlindView, ChannelLevel, Control, Controls, InstanceView, ListenAction, Slot, TakeAction, TakeView, TestPart, TestStep,
    TwinRequest, TwinView,
};

use crate::running_view::running_test;

/// Never called, as the panels make no sound.
fn prepare(_: ProcessSpec, _: &Settings) -> Result<Box<dyn Processor>, PrepareError> {
    Err(PrepareError::Other("an algorithm for tests of panels".into()))
}

static EMPTY: Algorithm =
    Algorithm { id: "empty", name: "Empty", description: "Nothing.", parameters: &[], plays_model: false, prepare };
static REGISTRY: [&Algorithm; 1] = [&EMPTY];

/// Controls that are all 0 and ignore every call.
struct IgnoredControls;

impl Controls for IgnoredControls {
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
    fn set_model_rate(&self, _: Slot, _: f32) {}
    fn clear_model(&self, _: Slot) {}
    fn request_twin(&self, _: TwinRequest) {}
    fn request_take(&self, _: TakeAction) {}
    fn listen(&self, _: ListenAction) {}
}

/// The panels, the views that they show, and the actions that they have returned.
struct ProgramWindow {
    program: Program,
    view: ProgramView,
    instance: InstanceView,
    actions: Vec<ProgramAction>,
}

type Window = Harness<'static, ProgramWindow>;

/// A view of an instance without sound.
fn instance_view() -> InstanceView {
    InstanceView {
        channels: 2,
        input: vec![ChannelLevel::default(); 2],
        output: vec![ChannelLevel::default(); 2],
        sample_rate: 48_000.0,
        latency_frames: 64,
        load: 0.12,
        blind: BlindView::Off,
        models: Default::default(),
        twin: TwinView::default(),
        take: TakeView { chosen_per_channel: true, channels: 2, ..TakeView::default() },
        listen: Default::default(),
    }
}

/// The program in a window of `size`; the harness adds 8 px on each side.
fn window_of(size: (u32, u32), view: ProgramView) -> Window {
    let state = ProgramWindow { program: Program::new(&REGISTRY), view, instance: instance_view(), actions: Vec::new() };
    let mut harness = Harness::builder().with_size(vec2(size.0 as f32 + 16.0, size.1 as f32 + 16.0)).build_ui_state(
        |ui, state: &mut ProgramWindow| {
            state.actions.extend(state.program.show(ui, &IgnoredControls, &state.instance, &state.view))
        },
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

/// Returns the actions since the last call of this function.
fn drain_actions(harness: &mut Window) -> Vec<ProgramAction> {
    std::mem::take(&mut harness.state_mut().actions)
}

/// Replaces the text of a field by `text` and presses `key`. Returns the actions that follow.
fn type_into(harness: &mut Window, name: &str, text: &str, key: Key) -> Vec<ProgramAction> {
    harness.get_by_label(name).focus();
    harness.run_steps(2);
    harness.key_press_modifiers(Modifiers::COMMAND, Key::A);
    harness.get_by_label(name).type_text(text);
    harness.run_steps(2);
    harness.key_press(key);
    harness.run_steps(4);
    drain_actions(harness)
}

fn value(harness: &Window, name: &str) -> String {
    harness.get_by_label(name).accesskit_node().value().unwrap_or_default()
}

fn is_down(harness: &Window, name: &str) -> bool {
    harness.get_by_label(name).accesskit_node().toggled() == Some(Toggled::True)
}

/// The stage of a device that was unplugged this number of seconds ago.
fn gone(seconds: u64) -> DeviceStage {
    DeviceStage::Disconnected { reason: "unplugged".into(), seconds }
}

/// The setup of a device at 48 kHz.
fn setup() -> DeviceSetup {
    DeviceSetup { host: "alsa".into(), device: "hw:X32".into(), sample_rate: Some(48_000), ..DeviceSetup::default() }
}

/// A view of a stopped device, with choices in every list.
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

/// A view of a stopped device with this number of channels.
fn stopped(channels: usize) -> ProgramView {
    ProgramView { device: device(), strips: vec![StripView::default(); channels], ..ProgramView::default() }
}

fn view_at_stage(stage: DeviceStage, channels: usize) -> ProgramView {
    ProgramView { device: DeviceView { stage, ..device() }, ..stopped(channels) }
}

/// A view of a running device with this number of channels.
fn running(channels: usize) -> ProgramView {
    view_at_stage(DeviceStage::Running, channels)
}

/// A view of 32 channels with everything that can be shown.
fn full_view() -> ProgramView {
    let strip = |n: usize| StripView {
        name: format!("A channel's long name {n}"),
        armed: !n.is_multiple_of(3),
        monitor_left: n == 1,
        monitor_right: n == 2,
        level: ChannelLevel { peak: 1.2, rms: 0.3, clipped: true },
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

/// The actions after a change of the setup: one, which sends the whole new setup.
fn changed_setup(change: impl FnOnce(&mut DeviceSetup)) -> Vec<ProgramAction> {
    let mut setup = setup();
    change(&mut setup);
    vec![ProgramAction::Setup(setup)]
}

#[test]
fn every_choice_in_the_bar_sends_a_whole_setup() {
    let mut harness = window(stopped(0));
    let mut choose = |list: &str, entry: &str| {
        click(&mut harness, list);
        // The closed list shows the chosen entry, so it may have the same label; the entry comes after it.
        harness.get_all_by_label(entry).last().expect("an entry").click();
        harness.run_steps(4);
        drain_actions(&mut harness)
    };
    assert_eq!(choose("Host", "jack"), changed_setup(|s| s.host = "jack".into()));
    assert_eq!(choose("Devices", "hw:Intel"), changed_setup(|s| s.device = "hw:Intel".into()));
    assert_eq!(choose("Rate", "44.1 kHz"), changed_setup(|s| s.sample_rate = Some(44_100)));
    assert_eq!(choose("Rate", "Auto rate"), changed_setup(|s| s.sample_rate = None));
    assert_eq!(choose("Period", "256 frames, 5.3 ms"), changed_setup(|s| s.period_frames = Some(256)));
    assert_eq!(choose("Devices", "hw:X32"), [], "it is chosen already");
}

#[test]
fn a_period_is_shown_with_its_time_if_the_rate_is_known() {
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
fn a_text_typed_into_the_bar_is_applied_by_enter_or_tab_and_not_by_escape() {
    let mut harness = window(stopped(0));
    let device = changed_setup(|s| s.device = "/tmp/loop.wav".into());
    assert_eq!(type_into(&mut harness, "Device name", " /tmp/loop.wav ", Key::Enter), device);
    assert_eq!(type_into(&mut harness, "Device name", "hw:9", Key::Escape), []);
    assert_eq!(type_into(&mut harness, "Desk", "find", Key::Enter), changed_setup(|s| s.desk = "find".into()));
    assert_eq!(type_into(&mut harness, "Desk", "find", Key::Tab), changed_setup(|s| s.desk = "find".into()));
    for text in ["31,32", "31-32", " 31, 32 ", "31 32"] {
        assert_eq!(type_into(&mut harness, "Outputs", text, Key::Enter), changed_setup(|s| s.outputs = Some([30, 31])), "{text}");
    }
    harness.state_mut().view.device.setup.outputs = Some([0, 1]);
    harness.run_steps(2);
    assert_eq!(value(&harness, "Outputs"), "1,2");
    assert_eq!(type_into(&mut harness, "Outputs", "none", Key::Enter), changed_setup(|s| s.outputs = None));
}

#[test]
fn outputs_that_are_not_a_pair_are_refused_with_a_message_until_others_are_typed() {
    let mut harness = window(stopped(0));
    for text in ["1", "0,1", "a,b", "1,2,3", "1,-2"] {
        assert_eq!(type_into(&mut harness, "Outputs", text, Key::Enter), [], "{text}");
        assert_eq!(value(&harness, "Device state"), format!("The outputs are a pair such as 1,2 or none, not {text:?}"));
    }
    assert_eq!(type_into(&mut harness, "Outputs", "1,2", Key::Enter).len(), 1);
    assert_eq!(value(&harness, "Device state"), "Stopped");
}

#[test]
fn each_button_of_the_bar_is_one_action() {
    let mut harness = window(stopped(0));
    click(&mut harness, "List devices anew");
    click(&mut harness, "Start");
    assert_eq!(drain_actions(&mut harness), [ProgramAction::ListDevices, ProgramAction::Start]);
    for stage in [DeviceStage::Starting, DeviceStage::Running, gone(0)] {
        let mut harness = window(view_at_stage(stage.clone(), 2));
        assert!(harness.query_by_label("Start").is_none());
        click(&mut harness, "Stop");
        assert_eq!(drain_actions(&mut harness), [ProgramAction::Stop], "{stage:?}");
    }
    for stage in [DeviceStage::Running, gone(0)] {
        let harness = window(ProgramView { recording: true, ..view_at_stage(stage, 2) });
        assert!(harness.query_by_label("Stop").is_none(), "not while a take runs");
    }
}

#[test]
fn a_text_that_is_being_typed_when_start_is_clicked_changes_the_setup_first() {
    let mut harness = window(stopped(0));
    harness.get_by_label("Device name").focus();
    harness.run_steps(2);
    harness.key_press_modifiers(Modifiers::COMMAND, Key::A);
    harness.get_by_label("Device name").type_text("hw:9");
    harness.run_steps(2);
    let start = harness.get_by_label("Start").rect().center();
    click_at(&mut harness, start);
    let setup_action = ProgramAction::Setup(DeviceSetup { device: "hw:9".into(), ..setup() });
    assert_eq!(drain_actions(&mut harness), [setup_action, ProgramAction::Start]);
}

#[test]
fn the_setup_can_be_changed_only_while_the_device_is_stopped() {
    for stage in [DeviceStage::Starting, DeviceStage::Running] {
        let mut harness = window(view_at_stage(stage.clone(), 2));
        for name in ["Host", "Device name", "Devices", "List devices anew", "Rate", "Period", "Outputs", "Desk"] {
            assert!(harness.get_by_label(name).accesskit_node().is_disabled(), "{name} {stage:?}");
            click(&mut harness, name);
        }
        for name in ["Device name", "Outputs", "Desk"] {
            assert_eq!(type_into(&mut harness, name, "1,2", Key::Enter), [], "{name} {stage:?}");
        }
        assert!(harness.query_by_label("hw:Intel").is_none() && harness.query_by_label("jack").is_none());
        assert_eq!(drain_actions(&mut harness), []);
    }
    assert!(window(view_at_stage(gone(0), 2)).query_by_label("Device name").is_none());
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
        assert_eq!(drain_actions(&mut harness), [], "{list}");
    }
}

#[test]
fn the_bar_shows_the_states_of_device_monitor_and_desk() {
    let error = "no device hw:X32: expected hw:Intel".to_owned();
    for (stage, granted, error, state) in [
        (DeviceStage::Stopped, None, None, "Stopped"),
        (DeviceStage::Stopped, None, Some(error.clone()), error.as_str()),
        (DeviceStage::Starting, None, None, "Starting"),
        (DeviceStage::Running, Some("32 in, 48000 Hz".to_owned()), None, "32 in, 48000 Hz"),
        (gone(0), None, Some(error.clone()), "unplugged. Trying again"),
    ] {
        let mut view = view_at_stage(stage, 2);
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
fn a_strip_acts_on_its_own_channel_only() {
    let mut view = running(3);
    view.strips[1] = StripView { armed: true, monitor_left: true, ..StripView::default() };
    let mut harness = window(view);
    let arm = |channel, on| ProgramAction::Arm { channel, on };
    let monitor = |channel, left, right| ProgramAction::Monitor { channel, left, right };
    for (label, action) in [
        ("Arm channel 1", arm(0, true)),
        ("Arm channel 2", arm(1, false)),
        ("Arm all", ProgramAction::ArmAll(true)),
        ("Arm none", ProgramAction::ArmAll(false)),
        ("Hear channel 3 left", monitor(2, true, false)),
        ("Hear channel 3 right", monitor(2, false, true)),
        ("Hear channel 2 left", monitor(1, false, false)),
        ("Hear channel 2 right", monitor(1, true, true)),
    ] {
        click(&mut harness, label);
        assert_eq!(drain_actions(&mut harness), [action], "{label}");
    }
    for n in 1..=3 {
        assert_eq!(is_down(&harness, &format!("Arm channel {n}")), n == 2);
        assert_eq!(is_down(&harness, &format!("Hear channel {n} left")), n == 2);
        assert!(!is_down(&harness, &format!("Hear channel {n} right")));
    }
    assert_eq!(value(&harness, "Channels"), "3 channels, 1 armed");
}

#[test]
fn a_name_is_applied_by_enter_or_tab_and_not_by_escape() {
    let mut view = running(3);
    view.strips[2].name = "Bass".into();
    let mut harness = window(view);
    let name = |channel, name: &str| vec![ProgramAction::Rename { channel, name: name.into() }];
    assert_eq!(type_into(&mut harness, "Name of channel 2", " Snare ", Key::Enter), name(1, "Snare"));
    assert_eq!(type_into(&mut harness, "Name of channel 2", "Kick", Key::Tab), name(1, "Kick"));
    assert_eq!(type_into(&mut harness, "Name of channel 1", "Kick", Key::Escape), []);
    assert_eq!(type_into(&mut harness, "Name of channel 3", "Bass", Key::Enter), [], "it has not changed");
    assert_eq!(value(&harness, "Name of channel 3"), "Bass");
    assert_eq!(value(&harness, "Name of channel 1"), "");
}

#[test]
fn while_a_take_runs_channels_can_be_monitored_but_not_named_or_armed() {
    let mut harness = window(ProgramView { recording: true, ..running(2) });
    for name in ["Arm channel 1", "Arm all", "Arm none", "Name of channel 1"] {
        assert!(harness.get_by_label(name).accesskit_node().is_disabled(), "{name}");
        click(&mut harness, name);
    }
    assert_eq!(type_into(&mut harness, "Name of channel 1", "Kick", Key::Enter), []);
    click(&mut harness, "Hear channel 1 left");
    assert_eq!(drain_actions(&mut harness), [ProgramAction::Monitor { channel: 0, left: true, right: false }]);
}

/// Returns the mean brightness of what is painted within an area: 0 is black, 255 white.
fn brightness(harness: &Window, area: Rect) -> f32 {
    /// Points in each direction.
    const POINTS: usize = 40;
    let luma = |color: egui::Color32| 0.299 * f32::from(color.r()) + 0.587 * f32::from(color.g()) + 0.114 * f32::from(color.b());
    let fills: Vec<_> = harness
        .output()
        .shapes
        .iter()
        .filter_map(|shape| match &shape.shape {
            egui::Shape::Rect(rect) => Some((rect.rect.intersect(shape.clip_rect), rect.fill)),
            _ => None,
        })
        .collect();
    let share = |n: usize| (n as f32 + 0.5) / POINTS as f32;
    let points = (0..POINTS * POINTS).map(|n| area.lerp_inside(vec2(share(n % POINTS), share(n / POINTS))));
    // Each fill covers what was painted before it, as far as it is opaque. Colours are premultiplied.
    let seen = points.map(|point| {
        let covering = fills.iter().filter(|(rect, _)| rect.contains(point));
        covering.fold(0.0, |below, (_, fill)| luma(*fill) + below * (1.0 - f32::from(fill.a()) / 255.0))
    });
    seen.sum::<f32>() / (POINTS * POINTS) as f32
}

/// Returns the brightness of the text that is painted within an area, at most that of its brightest part.
fn text_brightness(harness: &Window, area: Rect) -> f32 {
    let texts = harness.output().shapes.iter().filter_map(|shape| match &shape.shape {
        egui::Shape::Text(text) if area.contains(text.pos + text.galley.size() / 2.0) => Some(text),
        _ => None,
    });
    let colors = texts.flat_map(|text| text.galley.rows.iter().flat_map(|row| row.visuals.mesh.vertices.iter().map(|v| v.color)));
    colors.map(|color| f32::from(color.r().max(color.g()).max(color.b()))).fold(0.0, f32::max)
}

#[test]
fn recording_makes_the_strips_of_armed_channels_brighter() {
    let mut view = running(3);
    for (strip, armed) in view.strips.iter_mut().zip([true, false, true]) {
        *strip = StripView { name: "Snare".into(), armed, ..StripView::default() };
    }
    let mut harness = window(view);
    let part = |harness: &Window, part: &str, n: usize| harness.get_by_label(&format!("{part} channel {n}")).rect();
    let hear = |harness: &Window, n: usize| harness.get_by_label(&format!("Hear channel {n} right")).rect();
    let look = |harness: &Window| {
        [1, 2, 3].map(|n| {
            let name = part(harness, "Name of", n);
            let whole = name.union(hear(harness, n));
            (brightness(harness, whole), brightness(harness, part(harness, "Arm", n)), text_brightness(harness, name))
        })
    };
    let before = look(&harness);
    harness.state_mut().view.recording = true;
    harness.run_steps(4);
    let during = look(&harness);
    for n in [0, 2] {
        assert!(during[n].0 > 1.3 * before[n].0, "strip {n}: {} after {}", during[n].0, before[n].0);
        assert!(during[n].1 >= before[n].1, "arm button {n}: {} after {}", during[n].1, before[n].1);
        assert!(during[n].2 >= before[n].2 && before[n].2 > 100.0, "name {n}: {} after {}", during[n].2, before[n].2);
    }
    assert!(during[1].2 <= before[1].2, "the name of a strip that is not recorded: {} after {}", during[1].2, before[1].2);
    assert!(during[1].0 < 0.7 * during[0].0);
}

/// Returns the height in logical pixels of the ink of a painted text that begins with `start`.
fn ink_height(harness: &Window, start: &str) -> f32 {
    let heights = harness.output().shapes.iter().filter_map(|shape| match &shape.shape {
        egui::Shape::Text(text) if text.galley.text().starts_with(start) => Some(text.galley.mesh_bounds.height()),
        _ => None,
    });
    heights.fold(0.0, f32::max)
}

/// Smallest height of capitals that can be read from two metres (16 arc minutes, ISO 9241-303), in pixels of a screen of 96 dots
/// an inch.
const TWO_METRES_PIXELS: f32 = 35.2;

#[test]
fn in_a_take_rec_and_its_time_can_be_read_from_two_metres_and_are_in_the_title() {
    for size in [PROGRAM_SIZE, (700, 480)] {
        let mut harness = window_of(size, full_view());
        assert!(harness.query_by_label("Recording").is_none());
        assert_eq!(harness.state().view.title(&harness.state().instance.take), "Isotherm");
        harness.state_mut().view.recording = true;
        for (seconds, text) in [(0.0, "REC 0:00:00"), (3723.9, "REC 1:02:03"), (f64::NAN, "REC 0:00:00")] {
            harness.state_mut().instance.take.seconds = seconds;
            harness.run_steps(2);
            assert_eq!(value(&harness, "Recording"), text);
            assert!(ink_height(&harness, "REC") >= TWO_METRES_PIXELS, "{} px in {size:?}", ink_height(&harness, "REC"));
            let title = harness.state().view.title(&harness.state().instance.take);
            assert_eq!(title, format!("{text} - Isotherm"));
        }
    }
}

#[test]
fn a_device_that_is_gone_is_an_alarm_of_that_size_which_counts_seconds() {
    for size in [PROGRAM_SIZE, (700, 480)] {
        for recording in [false, true] {
            let mut harness = window_of(size, ProgramView { recording, ..view_at_stage(gone(12), 2) });
            assert_eq!(value(&harness, "Card gone"), "CARD GONE 12 s");
            assert_eq!(value(&harness, "Device state"), "unplugged. Trying again");
            assert!(ink_height(&harness, "CARD") >= TWO_METRES_PIXELS, "{} px", ink_height(&harness, "CARD"));
            assert_eq!(harness.query_by_label("Recording").is_some(), recording);
            let title = harness.state().view.title(&TakeView { seconds: 9.0, ..TakeView::default() });
            assert_eq!(title, if recording { "CARD GONE 12 s - REC 0:00:09 - Isotherm" } else { "CARD GONE 12 s - Isotherm" });
            let bar = harness.get_by_label("Card gone").rect().union(harness.get_by_label("Device state").rect());
            // The ground of the band is the alarm's red.
            assert!(brightness(&harness, bar) > 120.0, "{}", brightness(&harness, bar));
            harness.state_mut().view.device.stage = gone(72);
            harness.run_steps(2);
            assert_eq!(value(&harness, "Card gone"), "CARD GONE 1 min 12 s");
            harness.state_mut().view.device.stage = DeviceStage::Running;
            harness.run_steps(2);
            assert!(harness.query_by_label("Card gone").is_none());
        }
    }
}

/// Presses the mouse on a button for a time in seconds.
fn hold(harness: &mut Window, name: &str, seconds: f64) {
    let at = harness.get_by_label(name).rect().center();
    harness.drag_at(at);
    let end = harness.ctx.input(|i| i.time) + seconds;
    while harness.ctx.input(|i| i.time) < end {
        harness.step();
    }
    harness.drop_at(at);
    harness.run_steps(4);
}

#[test]
fn closing_the_window_in_a_take_asks_and_only_a_button_that_is_held_lets_it_close() {
    let asked = || {
        let mut harness = window(ProgramView { recording: true, ..running(2) });
        harness.state_mut().program.ask_to_close();
        harness.run_steps(4);
        assert!(harness.query_by_label("A take is being recorded").is_some());
        harness
    };
    let is_asked = |harness: &Window| harness.query_by_label("Stop and close").is_some();
    let mut harness = asked();
    // What is behind the question cannot be clicked.
    click(&mut harness, "Hear channel 1 left");
    assert_eq!(drain_actions(&mut harness), []);
    let mut harness = asked();
    click(&mut harness, "Stop and close");
    assert!(is_asked(&harness) && !harness.state().program.may_close());
    hold(&mut harness, "Stop and close", 1.3);
    assert!(harness.state().program.may_close());
    let mut harness = asked();
    click(&mut harness, "Keep recording");
    assert!(!is_asked(&harness) && !harness.state().program.may_close());
    let mut harness = asked();
    harness.key_press(Key::Escape);
    harness.run_steps(4);
    assert!(!is_asked(&harness) && !harness.state().program.may_close());
    let mut harness = asked();
    harness.state_mut().view.recording = false;
    harness.run_steps(4);
    assert!(!is_asked(&harness) && !harness.state().program.may_close(), "there is nothing to ask any more");
}

#[test]
fn start_stop_and_takes_are_inside_a_window_of_700_by_480() {
    let size = (700, 480);
    let inside = Rect::from_min_size(pos2(8.0, 8.0), vec2(size.0 as f32, size.1 as f32));
    let mut view = full_view();
    let mut harness = window_of(
        size,
        ProgramView { device: DeviceView { stage: DeviceStage::Stopped, ..view.device.clone() }, ..view.clone() },
    );
    let check = |harness: &Window, names: &[&str]| {
        for name in names {
            let rect = harness.get_by_label(name).rect();
            assert!(inside.contains_rect(rect) && rect.width() > 30.0, "{name} {rect:?}");
        }
        let all: Vec<_> = names.iter().map(|name| ((*name).to_owned(), harness.get_by_label(name).rect())).collect();
        assert_no_overlap(&all);
    };
    let device = ["Host", "Device name", "List devices anew", "Rate", "Period", "Outputs", "Desk"];
    let bar = ["Standby", "Record take", "Mark", "Take time", "Take health", "Takes"];
    check(&harness, &[&device[..], &["Start"], &bar].concat());
    click(&mut harness, "Start");
    assert_eq!(drain_actions(&mut harness), [ProgramAction::Start]);
    harness.state_mut().view = view.clone();
    harness.run_steps(4);
    check(&harness, &[&device[..], &["Stop"], &bar].concat());
    click(&mut harness, "Stop");
    assert_eq!(drain_actions(&mut harness), [ProgramAction::Stop]);
    // The panel has all the room between the recorder's bar and the log.
    click(&mut harness, "Takes");
    check(
        &harness,
        &[&["Stop", "Take folder", "Take name", "Pre-roll seconds", "Start: By hand", "More of the log"], &bar[..]].concat(),
    );
    assert!(harness.query_by_label("Arm channel 1").is_none());
    click(&mut harness, "Takes");
    harness.get_by_label("Arm channel 1");
    view.recording = true;
    harness.state_mut().view = view;
    harness.state_mut().instance.take.recording = true;
    harness.run_steps(4);
    check(&harness, &[&["Recording", "Channels"], &bar[..]].concat());
}

#[test]
fn armed_is_a_word_for_channels_only_and_no_two_buttons_of_a_strip_have_the_same_letter() {
    let mut view = full_view();
    view.strips[0].armed = false;
    let harness = window(view);
    let texts: Vec<String> = harness
        .output()
        .shapes
        .iter()
        .filter_map(|shape| match &shape.shape {
            egui::Shape::Text(text) => Some(text.galley.text().to_owned()),
            _ => None,
        })
        .collect();
    let count = |letter: &str| texts.iter().filter(|text| *text == letter).count();
    assert_eq!((count("L"), count("R")), (32, 32));
    let with_arm: Vec<_> = texts.iter().filter(|text| text.to_lowercase().contains("arm")).collect();
    assert_eq!(with_arm, ["Arm all", "32 channels, 21 armed"]);
}

#[test]
fn a_long_error_of_the_device_is_shown_in_two_lines() {
    let mut view = stopped(0);
    view.device.error = Some("the device grants 44100 Hz; expected 48000 Hz. ".repeat(5));
    let harness = window_of((900, 560), view);
    let rows = harness.output().shapes.iter().filter_map(|shape| match &shape.shape {
        egui::Shape::Text(text) if text.galley.text().starts_with("the device grants") => Some(text.galley.rows.len()),
        _ => None,
    });
    assert_eq!(rows.max(), Some(2));
}

#[test]
fn a_clip_light_stays_until_it_is_clicked() {
    let mut view = running(3);
    view.strips[0].level = ChannelLevel { peak: 0.5, rms: 0.1, clipped: false };
    view.strips[1].level = ChannelLevel { peak: 1.5, rms: 0.1, clipped: true };
    view.strips[2].level = ChannelLevel { peak: f32::NAN, rms: f32::NAN, clipped: false };
    let mut harness = window(view);
    for strip in &mut harness.state_mut().view.strips {
        strip.level = ChannelLevel::default();
    }
    harness.run_steps(60);
    let are_lit = |harness: &Window| [1, 2, 3].map(|n| is_down(harness, &format!("Clip of channel {n}")));
    assert_eq!(are_lit(&harness), [false, true, true]);
    let peaks = [1, 2, 3].map(|n| value(&harness, &format!("Clip of channel {n}")));
    assert_eq!(peaks, ["\u{2212}6.0 dBFS", "3.5 dBFS", "\u{221e} dBFS"]);
    click(&mut harness, "Clip of channel 2");
    assert_eq!(are_lit(&harness), [false, false, true]);
    assert_eq!(value(&harness, "Clip of channel 2"), "\u{2212}\u{221e} dBFS");
    assert_eq!(value(&harness, "Clip of channel 1"), "\u{2212}6.0 dBFS");
    click(&mut harness, "Reset all peaks");
    assert_eq!(are_lit(&harness), [false; 3]);
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

/// Returns the time from one frame of the harness to the next.
fn step_seconds(harness: &mut Window) -> f64 {
    let before = harness.ctx.input(|i| i.time);
    harness.step();
    harness.ctx.input(|i| i.time) - before
}

#[test]
fn a_note_and_the_lack_of_channels_are_accessible_texts() {
    let mut view = running(31);
    view.strips[30].note = Some("carries Main L".into());
    let harness = window(view);
    assert_eq!(value(&harness, "Note on channel 31"), "carries Main L");
    assert!(harness.query_by_label("Note on channel 1").is_none());
    let harness = window(stopped(0));
    assert!(value(&harness, "Channels").contains("Choose a device and press Start"));
    assert!(harness.query_by_label("Arm all").is_none());
}

/// Returns the visible lines of the log with their tops, from the top to the bottom.
fn log_lines(harness: &Window) -> Vec<(f32, String)> {
    let nodes = harness.query_all_by_role(Role::Label).filter(|node| node.rect().top() > 500.0);
    let mut lines: Vec<_> = nodes
        .filter_map(|node| Some((node.rect().top(), node.accesskit_node().label().or(node.accesskit_node().value())?)))
        .filter(|(_, text)| text.contains("happening"))
        .collect();
    lines.sort_by(|a, b| a.0.total_cmp(&b.0));
    lines
}

#[test]
fn the_log_shows_its_last_three_lines_or_ten_with_the_newest_at_the_bottom() {
    let mut view = full_view();
    let mut harness = window(view.clone());
    let last = |harness: &Window, count: usize| {
        let lines = log_lines(harness);
        let from = lines.len().saturating_sub(count);
        lines[from..].iter().map(|(_, text)| text.clone()).collect::<Vec<_>>()
    };
    let expected = |from: usize, to: usize| (from..to).map(|n| format!("12:00:{n:02} happening {n}")).collect::<Vec<_>>();
    assert_eq!(last(&harness, 100), expected(37, 40));
    click(&mut harness, "More of the log");
    harness.run_steps(4);
    assert_eq!(last(&harness, 10), expected(30, 40));
    let bottom = log_lines(&harness).last().expect("a line").0;
    assert!(bottom > PROGRAM_SIZE.1 as f32 - 30.0, "{bottom}");
    // The log stays at its bottom when a line is added.
    view.log.push(LogLine { time: "12:00:40".into(), text: "happening 40".into(), alarm: false });
    harness.state_mut().view = view;
    harness.run_steps(4);
    assert_eq!(last(&harness, 10), expected(31, 41));
    click(&mut harness, "More of the log");
    assert_eq!(last(&harness, 100), expected(38, 41));
}

/// Returns the name and rectangle of every widget that has both.
fn named_rects(harness: &Window) -> Vec<(String, Rect)> {
    let nodes = harness.root().children_recursive();
    let name = |node: egui_kittest::kittest::AccessKitNode<'_>| match node.role() {
        Role::Label => node.value(),
        _ => node.label(),
    };
    nodes.filter_map(|n| Some((name(n.accesskit_node())?, n.rect()))).filter(|(_, rect)| rect.is_positive()).collect()
}

/// True if this is the name of a part of a strip. No part of the editor has such a name.
fn is_of_a_strip(name: &str) -> bool {
    name.contains("channel ")
}

/// Fails if two of the rectangles overlap.
fn assert_no_overlap(all: &[(String, Rect)]) {
    for (i, (a, ra)) in all.iter().enumerate() {
        for (b, rb) in &all[..i] {
            assert!(!ra.shrink(0.5).intersects(rb.shrink(0.5)), "{a} {ra:?} covers {b} {rb:?}");
        }
    }
}

#[test]
fn at_the_windows_own_size_32_strips_fit_and_nothing_overlaps() {
    let harness = window(full_view());
    let inside = Rect::from_min_size(pos2(8.0, 8.0), vec2(PROGRAM_SIZE.0 as f32, PROGRAM_SIZE.1 as f32));
    let all = named_rects(&harness);
    for n in 1..=32 {
        for label in ["Name of", "Note on", "Arm", "Level of", "Clip of"] {
            assert!(all.iter().any(|(name, _)| *name == format!("{label} channel {n}")), "{label} {n}");
        }
    }
    for (name, rect) in &all {
        assert!(inside.contains_rect(*rect), "{name} at {rect:?} leaves {inside:?}");
    }
    assert_no_overlap(&all);
    // The strips are left of the editor and above the log.
    let rect_of = |name: &str| all.iter().find(|(n, _)| n == name).expect("a name").1;
    for (name, rect) in all.iter().filter(|(name, _)| is_of_a_strip(name)) {
        assert!(rect.right() < rect_of("Listen A").left() && rect.bottom() < rect_of("More of the log").top(), "{name} {rect:?}");
    }
    assert!(harness.query_by_role(Role::ScrollBar).is_none());
}

#[test]
fn an_unfinished_take_is_shown_above_the_log_and_can_be_recovered_while_no_take_runs() {
    let unfinished = |name: &str| UnfinishedTakeView {
        name: name.into(),
        folder: format!("/takes/{name}").into(),
        ..UnfinishedTakeView::default()
    };
    let mut view = full_view();
    let mut harness = window(view.clone());
    assert!(harness.query_by_label("Recover take").is_none());
    view.unfinished_takes = vec![unfinished("2026-11-20T20-15-03 Show"), unfinished("Other")];
    harness.state_mut().view = view.clone();
    harness.run_steps(4);
    assert_eq!(value(&harness, "Unfinished take"), "2026-11-20T20-15-03 Show is unfinished, as a crash left it (and 1 more)");
    click(&mut harness, "Recover take");
    assert_eq!(drain_actions(&mut harness), [ProgramAction::Recover("/takes/2026-11-20T20-15-03 Show".into())]);
    // The line about the take makes the strips shorter, which then scroll, and overlaps nothing.
    let all = named_rects(&harness);
    let rect_of = |name: &str| all.iter().find(|(n, _)| n == name).expect("a name").1;
    let (button, log) = (rect_of("Recover take"), rect_of("More of the log"));
    assert!(button.bottom() <= log.top() && log.bottom() <= PROGRAM_SIZE.1 as f32 + 8.0, "{button:?} {log:?}");
    for name in ["Channels", "Arm all", "Device state", "More of the log", "Listen A", "Record take"] {
        assert!(!rect_of(name).intersects(button) && !rect_of(name).intersects(rect_of("Unfinished take")), "{name}");
    }
    for (progress, is_waiting, expected) in
        [(0.456, false, "being recovered, 46 %"), (0.0, true, "waits for the take that is recorded")]
    {
        view.unfinished_takes[1] = UnfinishedTakeView { progress: Some(progress), is_waiting, ..unfinished("Other") };
        harness.state_mut().view = view.clone();
        harness.run_steps(4);
        assert!(value(&harness, "Unfinished take").contains(expected), "{}", value(&harness, "Unfinished take"));
        click(&mut harness, "Recover take");
        assert_eq!(drain_actions(&mut harness), []);
    }
    view.unfinished_takes.pop();
    view.recording = true;
    harness.state_mut().view = view;
    harness.run_steps(4);
    click(&mut harness, "Recover take");
    assert_eq!(drain_actions(&mut harness), []);
}

/// Names of the parts of the device's bar.
const DEVICE_BAR: [&str; 13] = [
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
/// Names of the parts of the recorder's bar.
const TAKE_BAR: [&str; 7] = ["Standby", "Record take", "Mark", "Take time", "Take health", "Disk left", "Takes"];
/// Names of the parts of the strips' head.
const STRIPS_HEAD: [&str; 4] = ["Channels", "Arm all", "Arm none", "Reset all peaks"];

#[test]
fn the_panels_around_the_editor_neither_overlap_nor_leave_the_window_at_any_size() {
    for (size, channels) in [((900, 560), 0), ((900, 560), 2), ((900, 560), 64), ((1024, 700), 32), ((1800, 1000), 32)] {
        let mut view = full_view();
        view.strips.resize(channels, view.strips[0].clone());
        let mut harness = window_of(size, view);
        for large in [false, true] {
            if large {
                click(&mut harness, "More of the log");
            }
            let inside = Rect::from_min_size(pos2(8.0, 8.0), vec2(size.0 as f32, size.1 as f32));
            let all = named_rects(&harness);
            let is_log = |name: &str| name == "More of the log" || name.contains("happening");
            let (log, button) =
                (all.iter().filter(|(name, _)| name.contains("happening")), harness.get_by_label("More of the log").rect());
            // Parts that scroll are compared by their visible area only.
            let lines: Vec<_> = log.map(|(name, rect)| (name.clone(), rect.with_min_y(rect.top().max(button.top())))).collect();
            let head = harness.get_by_label("Channels").rect();
            let strips = inside.with_min_y(head.bottom()).with_max_y(button.top() - 18.0);
            let strips =
                all.iter().filter(|(name, _)| is_of_a_strip(name)).map(|(name, rect)| (name.clone(), rect.intersect(strips)));
            let fixed = all.iter().filter(|(name, _)| {
                DEVICE_BAR.contains(&name.as_str())
                    || TAKE_BAR.contains(&name.as_str())
                    || STRIPS_HEAD.contains(&name.as_str())
                    || name == "More of the log"
            });
            let around: Vec<_> = fixed.cloned().chain(lines).chain(strips).filter(|(_, rect)| rect.is_positive()).collect();
            assert!(around.len() >= DEVICE_BAR.len() + 5, "{around:?}");
            for (name, rect) in &around {
                assert!(inside.contains_rect(*rect), "{name} at {rect:?} leaves {inside:?}");
            }
            assert_no_overlap(&around);
            // The editor is right of the strips and below the device's bar.
            let edge = around.iter().filter(|(name, _)| is_of_a_strip(name) || STRIPS_HEAD.contains(&name.as_str()));
            let edge = edge.map(|(_, rect)| rect.right()).fold(0.0, f32::max);
            for (name, rect) in &all {
                if !is_log(name) && around.iter().all(|(other, _)| other != name) && !is_of_a_strip(name) {
                    assert!(rect.left() >= edge && rect.top() >= 8.0 + 10.0 + 68.0, "{name} {rect:?}");
                }
            }
        }
    }
}

/// Clicks at a position.
fn click_at(harness: &mut Window, pos: egui::Pos2) {
    for pressed in [true, false] {
        harness.event(egui::Event::PointerMoved(pos));
        let button = egui::PointerButton::Primary;
        harness.event(egui::Event::PointerButton { pos, button, pressed, modifiers: Modifiers::NONE });
        harness.run_steps(2);
    }
}

#[test]
fn parts_that_are_scrolled_out_of_sight_get_no_clicks_and_cover_nothing() {
    let mut harness = window_of((900, 560), full_view());
    let log = harness.get_by_label("More of the log").rect();
    let hidden: Vec<_> = (1..=32).map(|n| harness.get_by_label(&format!("Arm channel {n}")).rect().center()).collect();
    let hidden: Vec<_> = hidden.into_iter().filter(|at| at.y > log.top() - 4.0).collect();
    assert!(hidden.len() > 5);
    for at in hidden {
        click_at(&mut harness, at);
    }
    assert_eq!(drain_actions(&mut harness), []);
    click_at(&mut harness, log.center());
    harness.run_steps(4);
    assert!(harness.get_by_label("More of the log").rect().top() < log.top() - 50.0);
    let stop = harness.get_by_label("Stop").rect().center();
    click_at(&mut harness, stop);
    assert_eq!(drain_actions(&mut harness), [ProgramAction::Stop]);
}

#[test]
fn strips_that_do_not_fit_can_be_scrolled_to() {
    let mut harness = window_of((900, 560), full_view());
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
    assert_eq!(drain_actions(&mut harness), [ProgramAction::Monitor { channel: 31, left: true, right: false }]);
}

#[test]
fn tiny_windows_and_values_out_of_range_are_drawn() {
    for size in [(300, 200), (40, 40)] {
        window_of(size, full_view()).run_steps(2);
    }
    let mut view = full_view();
    view.device.monitor_seconds = Some(f64::NAN);
    view.device.setup.sample_rate = Some(0);
    view.device.setup.outputs = Some([usize::MAX - 1; 2]);
    for (strip, peak) in view.strips.iter_mut().zip([f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -1.0, f32::MIN_POSITIVE]) {
        strip.level = ChannelLevel { peak, rms: peak, clipped: false };
    }
    window(view).run_steps(3);
}

#[test]
fn frames_come_quickly_only_while_something_moves() {
    let delay = |harness: &Harness<'_, ProgramWindow>| {
        let output = harness.output().viewport_output.values().next().expect("a window");
        output.repaint_delay.as_millis()
    };
    let mut harness = window(running(2));
    harness.run_steps(60);
    let idle = delay(&harness);
    assert!(idle > 60_000, "{idle} ms");
    harness.state_mut().view.strips[0].level = ChannelLevel { peak: 0.5, rms: 0.1, clipped: false };
    harness.step();
    assert_eq!(delay(&harness), 33);
    // A constant level moves nothing.
    harness.run_steps(60);
    assert_eq!(delay(&harness), idle);
    harness.state_mut().view.strips[0].level = ChannelLevel::default();
    harness.step();
    assert_eq!(delay(&harness), 33);
    // A fall by 60 dB takes 5.1 s.
    harness.run_steps(200);
    assert_eq!(delay(&harness), idle);
}

#[test]
fn a_listening_test_hides_everything_but_the_band_of_a_take_and_of_a_device_that_is_gone() {
    let mut harness = window(view_at_stage(DeviceStage::Running, 2));
    for name in ["Stop", "Arm all", "More of the log", "Listen A", "Bypass", "Standby", "Takes"] {
        harness.get_by_label(name);
    }
    harness.state_mut().instance.listen = running_test(TestPart::Test, TestStep::Answer);
    harness.run_steps(4);
    for name in ["Stop", "Arm all", "More of the log", "Listen A", "Bypass", "Standby", "Takes"] {
        assert!(harness.query_by_label(name).is_none(), "{name}");
    }
    harness.get_by_label("Play X");
    let quiet = format!("{:?}", harness.output().shapes);
    // A level, a line of the log, an overrun: the window looks the same.
    let view = &mut harness.state_mut().view;
    view.strips[0].level = ChannelLevel { peak: 1.0, rms: 0.9, clipped: true };
    view.log.push(LogLine { text: "an overrun".into(), ..LogLine::default() });
    view.device.overruns = 7;
    harness.run_steps(4);
    assert!(format!("{:?}", harness.output().shapes) == quiet);
    harness.state_mut().view.device.stage = gone(12);
    harness.run_steps(4);
    assert!(format!("{:?}", harness.output().shapes) != quiet, "the alarm is shown");
    let shown = view_at_stage(DeviceStage::Running, 2);
    let mut later = shown.clone();
    later.device.overruns = 7;
    later.strips.clear();
    assert!(later.is_shown_in_test_by(&shown) && !view_at_stage(gone(12), 2).is_shown_in_test_by(&shown));
}
