//! Tests of listening tests in an instance: the player takes the place of the output and gives it back, and the audio thread
//! allocates nothing meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use isotherm::audio::Audio;
use isotherm::audio::generate::guitar;
use isotherm::dsp::ProcessSpec;
use isotherm::instance::{Instance, InstanceProcessor, InstanceState};
use isotherm::listen::{Player, PlayerControl, Stimuli, VenueError};
use isotherm::view::{
    Button, Change, ControlTrial, ListenAction, ListenStage, ListenView, SideChoice, SoundSource, TestPart, TestSetup, TestStep,
};
use isotherm_support::counting::allocations;

const SPEC: ProcessSpec = ProcessSpec::new(48_000.0, 2, 256);
/// Time in which another thread must have done its work, also on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A loop of half a second, and a player of it.
fn player() -> (Arc<Stimuli>, PlayerControl, Box<Player>) {
    let loud = guitar(48_000, 2, 1).unwrap();
    let path = |gain: f32| {
        let channels: Vec<Vec<f32>> =
            (0..2).map(|c| loud.channel(c)[12_000..36_000].iter().map(|x| gain * x).collect()).collect();
        Audio::from_channels(48_000, &[&channels[0], &channels[1]]).unwrap()
    };
    let stimuli = Arc::new(Stimuli { paths: vec![path(1.0), path(-0.5)], ..Stimuli::default() });
    let (control, player) = Player::of_loop(stimuli.clone(), SPEC.channels);
    (stimuli, control, Box::new(player))
}

/// An instance in a host that runs sound.
struct Host {
    instance: Instance,
    processor: InstanceProcessor,
    /// Frames that ran so far.
    at: usize,
    input: Audio,
}

impl Host {
    fn new() -> Self {
        let (instance, mut processor) = Instance::with_takes();
        processor.prepare(SPEC).unwrap();
        Self { instance, processor, at: 0, input: guitar(48_000, 2, 7).unwrap() }
    }

    /// Runs a block of the input, which repeats. Returns its output and the count of allocations.
    fn run(&mut self, frames: usize) -> ([Vec<f32>; 2], usize) {
        let period = self.input.frames();
        let mut out: [Vec<f32>; 2] =
            [0, 1].map(|c| (self.at..self.at + frames).map(|n| self.input.channel(c)[n % period]).collect());
        self.at += frames;
        let [left, right] = &mut out;
        let counted = allocations(|| {
            self.processor.process(&mut [left, right], true);
        });
        (out, counted)
    }

    fn listen(&self, action: ListenAction) {
        self.instance.with_controls(&|_| (), |controls| controls.listen(action));
    }

    /// Runs blocks until the panel's view is as expected. Returns it and the count of allocations meanwhile.
    fn run_until(&mut self, what: &str, is_expected: impl Fn(&ListenView) -> bool) -> (ListenView, usize) {
        let begun = Instant::now();
        let mut counted = 0;
        loop {
            let view = self.instance.view().listen;
            if is_expected(&view) {
                return (view, counted);
            }
            assert!(begun.elapsed() < TIMEOUT, "waited too long for {what}: {view:?}");
            counted += self.run(256).1;
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

#[test]
fn a_player_takes_the_place_of_the_output_and_gives_it_back_as_if_it_had_not_been_there() {
    let (mut with, mut without) = (Host::new(), Host::new());
    let (stimuli, control, player) = player();
    let link = with.instance.listening_tests().link().clone();
    for _ in 0..20 {
        assert_eq!(with.run(256).0, without.run(256).0);
    }
    link.install(Some(player)).unwrap();
    // The dip to the player, which is silent.
    for _ in 0..4 {
        with.run(256);
        without.run(256);
    }
    assert!(with.run(256).0.iter().flatten().all(|x| *x == 0.0), "silent until a path is asked for");
    without.run(256);
    control.play(Some(1));
    let mut played: [Vec<f32>; 2] = Default::default();
    for _ in 0..150 {
        let (block, _) = with.run(256);
        without.run(256);
        played.iter_mut().zip(block).for_each(|(all, part)| all.extend(part));
    }
    // From silence the loop begins at its beginning, at the bottom of a dip.
    let (path, start) = (&stimuli.paths[1], 240);
    for (c, played) in played.iter().enumerate() {
        let same = (500..30_000).all(|n| played[n] == path.channel(c)[(n - start) % path.frames()]);
        assert!(same, "channel {c} is the path");
    }
    link.install(None).unwrap();
    for _ in 0..4 {
        with.run(256);
        without.run(256);
    }
    for _ in 0..20 {
        assert_eq!(with.run(256).0, without.run(256).0, "the slots ran on");
    }
    assert_eq!(with.instance.latency_frames(), without.instance.latency_frames());
}

#[test]
fn the_audio_thread_allocates_nothing_while_players_come_and_go() {
    let mut host = Host::new();
    let link = host.instance.listening_tests().link().clone();
    host.run(256);
    // Control: what the other threads do allocates.
    assert!(allocations(|| drop(std::hint::black_box(player()))) > 0);
    let mut counted = 0;
    for round in 0..40 {
        let (_, control, player) = player();
        link.install((round % 3 != 2).then_some(player)).unwrap();
        control.play(Some(round % 2));
        for frames in [0, 1, 7, 64, 65, 256, 256, 256] {
            counted += host.run(frames).1;
        }
        // A second one before the dip to the first is over.
        if round % 4 == 0 {
            let (_, _, player) = self::player();
            link.install(Some(player)).unwrap();
            counted += host.run(64).1;
        }
        link.maintain();
    }
    assert_eq!(counted, 0);
}

#[test]
fn the_input_is_kept_only_while_the_panel_is_open_and_nothing_is_allocated_for_it() {
    let mut host = Host::new();
    host.run(256);
    assert_eq!(host.instance.view().listen, ListenView::default());
    host.listen(ListenAction::Open);
    let (view, counted) = host.run_until("half a second of input", |view| view.is_open && view.kept_seconds > 0.5);
    assert_eq!((view.kept_bytes, counted), (2 * 31 * 48_000 * 2 * 4, 0));
    host.listen(ListenAction::Close);
    let (view, counted) = host.run_until("the panel to close", |view| !view.is_open && view.kept_bytes == 0);
    assert_eq!((view, counted), (ListenView::default(), 0));
    for _ in 0..3 {
        host.listen(ListenAction::Open);
        let (_, counted) = host.run_until("the panel", |view| view.is_open && view.kept_seconds > 0.0);
        host.listen(ListenAction::Close);
        assert_eq!(counted, 0);
    }
}

#[test]
fn an_offline_render_never_has_the_sound_of_a_test() {
    let (mut with, mut without) = (Host::new(), Host::new());
    let (_, control, player) = player();
    with.instance.listening_tests().link().install(Some(player)).unwrap();
    control.play(Some(0));
    for host in [&mut with, &mut without] {
        host.processor.prepare(SPEC.offline()).unwrap();
    }
    for _ in 0..40 {
        assert_eq!(with.run(256).0, without.run(256).0);
    }
    // In real time again, the test goes on.
    for host in [&mut with, &mut without] {
        host.processor.prepare(SPEC).unwrap();
    }
    let differ = (0..40).filter(|_| with.run(256).0 != without.run(256).0).count();
    assert!(differ > 30, "{differ} of 40 blocks");
}

#[test]
fn a_player_outlives_a_device_that_is_opened_again_with_the_same_rate_and_width() {
    let instance = Instance::default();
    let link = instance.listening_tests().link().clone();
    let (_, control, player) = player();
    let run = |insert: &mut isotherm::instance::MonitorInsert, channels: usize| -> f32 {
        let mut loudest = 0.0_f32;
        for _ in 0..60 {
            let mut block = vec![vec![0.0_f32; 256]; channels];
            let mut slices: Vec<&mut [f32]> = block.iter_mut().map(Vec::as_mut_slice).collect();
            insert.process(&mut slices);
            loudest = block.iter().flatten().fold(loudest, |peak, x| peak.max(x.abs()));
        }
        loudest
    };
    assert!(link.install(None).is_ok() && link.spec().is_err(), "no stream yet");
    let mut insert = instance.monitor_insert(SPEC).unwrap();
    run(&mut insert, 2);
    assert_eq!(link.spec().map(|spec| spec.channels), Ok(2));
    link.install(Some(player)).unwrap();
    control.play(Some(0));
    assert!(run(&mut insert, 2) > 0.05, "silence comes in, the loop goes out");
    drop(insert);
    assert!(link.spec().is_err(), "the device is gone");
    let mut insert = instance.monitor_insert(SPEC).unwrap();
    assert!(run(&mut insert, 2) > 0.05, "the loop goes on");
    drop(insert);
    let mut insert = instance.monitor_insert(ProcessSpec { sample_rate: 44_100.0, ..SPEC }).unwrap();
    link.maintain();
    let loudest = run(&mut insert, 2);
    assert!(loudest < 1e-3, "the loop is at another rate: {loudest}");
}

/// Starts a test through the panel's actions, up to the first trial that counts. Its side B is side A, a little louder.
fn start_test(host: &mut Host) {
    start_test_of(host, SideChoice::Slot(0), SoundSource::Loop);
}

/// Starts a test as [`start_test`] does, with another side A and on another sound.
fn start_test_of(host: &mut Host, side: SideChoice, source: SoundSource) {
    host.listen(ListenAction::Open);
    host.run_until("a second of input", |view| view.is_open && view.kept_seconds > 1.0);
    host.listen(ListenAction::Capture);
    let (view, _) = host.run_until("the sound", |view| view.sound.is_some());
    let setup =
        TestSetup { sides: [side, SideChoice::Changed(Change::GainDb(1.0))], source, control: ControlTrial::None, ..view.setup };
    host.listen(ListenAction::Set(setup));
    host.listen(ListenAction::Start);
    let is_running = |view: &ListenView| !matches!(view.stage, ListenStage::Setup | ListenStage::Preparing { .. });
    host.run_until("the test", is_running);
    loop {
        let view = host.instance.view().listen;
        let ListenStage::Running(test) = &view.stage else { panic!("{view:?}") };
        match (test.part, test.step) {
            (TestPart::Test, TestStep::Answer) => return,
            (_, TestStep::Introduction) => host.listen(ListenAction::Continue),
            _ => host.listen(ListenAction::EndTraining),
        }
        let before = view.stage.clone();
        host.run_until("the next step", |view| view.stage != before);
    }
}

/// Presses a button and returns what it plays, with the number of the first frame. Nothing is allocated meanwhile.
fn hear(host: &mut Host, button: Button, frames: usize) -> (usize, Vec<f32>) {
    host.listen(ListenAction::Press(button));
    let is_down = |view: &ListenView| matches!(&view.stage, ListenStage::Running(test) if test.playing == Some(button));
    let (_, counted) = host.run_until("the press", is_down);
    assert_eq!(counted, 0);
    (0..8).for_each(|_| drop(host.run(256)));
    let start = host.at;
    let mut heard = Vec::new();
    for _ in 0..frames.div_ceil(256) {
        let ([left, _], counted) = host.run(256);
        assert_eq!(counted, 0, "the audio thread in a test");
        heard.extend(left);
    }
    (start, heard)
}

/// State, latency, panel and parameters' generation: all of an instance that something outside can see.
type Visible = (InstanceState, usize, ListenView, u32);

/// Everything that a host, a screen and a listener can know of an instance during a test.
fn visible(host: &Host) -> Visible {
    let mut view = host.instance.view().listen;
    let ListenStage::Running(test) = &mut view.stage else { panic!("{view:?}") };
    // Both are hashes of the seed, which differs in every session.
    (test.commitment, test.receipt) = (String::new(), String::new());
    (view.position, view.kept_seconds) = (None, 0.0);
    view.sound = None;
    view.setup.range = [0.0; 2];
    (host.instance.state(), host.instance.latency_frames(), view, host.instance.parameters().generation())
}

#[test]
fn nothing_that_a_host_a_screen_or_a_state_can_show_depends_on_what_is_behind_the_buttons() {
    let folder = tempfile::tempdir().unwrap();
    // By the path behind A, louder or not, and by the path behind X.
    let mut seen: BTreeMap<[bool; 2], Vec<Visible>> = BTreeMap::new();
    for session in 0..60 {
        if seen.len() == 4 {
            break;
        }
        let mut host = Host::new();
        host.instance.listening_tests().set_folder(folder.path().join(session.to_string()));
        start_test(&mut host);
        let mut shown = vec![visible(&host)];
        let peak = |heard: &[f32]| heard.iter().fold(0.0_f32, |peak, x| peak.max(x.abs()));
        let [a, b, x] = [Button::First, Button::Second, Button::X].map(|button| {
            // More than a loop.
            let (_, heard) = hear(&mut host, button, 192_000);
            shown.push(visible(&host));
            peak(&heard)
        });
        let x_is_a = (a.ln() - x.ln()).abs() < (b.ln() - x.ln()).abs();
        seen.entry([a > b, x_is_a]).or_insert(shown);
        host.listen(ListenAction::Close);
        host.run_until("the panel to close", |view| !view.is_open);
    }
    assert_eq!(seen.len(), 4, "every mapping came: {:?}", seen.keys());
    let all: Vec<_> = seen.values().collect();
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn a_setting_that_is_changed_in_a_trial_makes_it_void_and_the_output_comes_back_when_the_panel_closes() {
    let folder = tempfile::tempdir().unwrap();
    let (mut with, mut without) = (Host::new(), Host::new());
    with.instance.listening_tests().set_folder(folder.path().into());
    start_test(&mut with);
    hear(&mut with, Button::X, 2560);
    let drive = isotherm::instance::parameters::descriptors().iter().position(|d| d.id == "a_saturator_drive").unwrap();
    with.instance.parameters().set(drive, 30.0);
    let note = |view: &ListenView| match &view.stage {
        ListenStage::Running(test) => test.note.clone(),
        _ => None,
    };
    let (view, _) = with.run_until("the note", |view| note(view).is_some());
    assert!(note(&view).unwrap().contains("setting"), "{:?}", note(&view));
    with.listen(ListenAction::Close);
    with.run_until("the panel to close", |view| !view.is_open);
    // The session was left, and another panel offers to go on with it.
    with.listen(ListenAction::Open);
    let (view, _) = with.run_until("the session that was left", |view| view.unfinished.is_some());
    assert!(matches!(view.stage, ListenStage::Setup));
    with.instance.parameters().set(drive, without.instance.parameters().get(drive));
    without.at = with.at;
    // The filters and ramps forget where they came from.
    for _ in 0..400 {
        with.run(256);
        without.run(256);
    }
    let (ours, theirs) = (with.run(256).0, without.run(256).0);
    let apart = ours.iter().flatten().zip(theirs.iter().flatten()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(apart < 1e-4, "{apart}");
}

/// A period of an endless sound behind the first-order high-pass at 10 Hz that all paths of live sound have.
fn high_passed_period(period: &[f32]) -> Vec<f32> {
    let w = (std::f64::consts::PI * 10.0 / f64::from(SPEC.sample_rate)).tan();
    let (gain, pole) = (1.0 / (1.0 + w), (1.0 - w) / (1.0 + w));
    let (mut before, mut y) = (0.0, 0.0);
    let mut out = Vec::new();
    for x in period.iter().chain(period) {
        y = gain * (f64::from(*x) - before) + pole * y;
        before = f64::from(*x);
        out.push(y as f32);
    }
    out.split_off(period.len())
}

#[test]
fn a_test_on_live_sound_plays_the_input_and_not_what_the_slots_made_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut host = Host::new();
    host.instance.listening_tests().set_folder(folder.path().into());
    start_test_of(&mut host, SideChoice::Dry, SoundSource::Live);
    // Both sides warm up for a second.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(2) {
        host.run(256);
        std::thread::sleep(Duration::from_millis(2));
    }
    // Both are heard before either is looked at: while no block runs, the sound is gone, which makes a trial void.
    let heard = [Button::First, Button::Second].map(|button| hear(&mut host, button, 48_000));
    let stage = host.instance.view().listen.stage;
    assert!(matches!(&stage, ListenStage::Running(test) if test.playing == Some(Button::Second)), "{stage:?}");
    let input = high_passed_period(host.input.channel(0));
    let gains = heard.map(|(start, heard)| {
        // Side A is the input itself, side B the input with a gain; both are late by a whole number of frames.
        let (heard, input) = (&heard[..], &input[..]);
        let pairs = |late: usize| (0..heard.len()).map(move |n| (n, (start + n - late) % input.len()));
        let fit = |late: usize| {
            let sum = |term: &dyn Fn(f64, f64) -> f64| -> f64 {
                pairs(late).map(|(n, m)| term(f64::from(heard[n]), f64::from(input[m]))).sum()
            };
            let gain = sum(&|y, x| y * x) / sum(&|_, x| x * x);
            (sum(&|y, x| (y - gain * x).powi(2)) / sum(&|y, _| y * y), gain)
        };
        let (residual, gain) = (0..512).map(fit).min_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
        assert!(residual < 1e-6, "{residual:e} from the input at any delay");
        gain
    });
    let apart_db = 20.0 * (gains[0] / gains[1]).log10();
    assert!((apart_db.abs() - 1.0).abs() < 1e-3, "{apart_db} dB");
}

#[test]
fn a_player_that_was_given_back_is_freed_without_a_panel() {
    let mut host = Host::new();
    let link = host.instance.listening_tests().link().clone();
    let (stimuli, _, player) = player();
    host.run(256);
    link.install(Some(player)).unwrap();
    (0..8).for_each(|_| drop(host.run(256)));
    assert_eq!(Arc::strong_count(&stimuli), 2);
    link.install(None).unwrap();
    let begun = Instant::now();
    while Arc::strong_count(&stimuli) > 1 {
        assert!(begun.elapsed() < TIMEOUT, "the stimuli are still in memory");
        host.run(256);
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_player_that_could_not_be_taken_back_is_not_heard_when_the_stream_goes_on() {
    let (mut with, mut without) = (Host::new(), Host::new());
    let link = with.instance.listening_tests().link().clone();
    with.run(256);
    without.run(256);
    // The stream stands still, until no more players can be sent.
    let control = loop {
        let (_, control, player) = player();
        control.play(Some(0));
        if link.install(Some(player)).is_err() {
            break control;
        }
    };
    assert!(link.install(None).is_err(), "the audio thread takes nothing");
    for _ in 0..40 {
        with.run(256);
        without.run(256);
        control.play(Some(0));
    }
    for _ in 0..20 {
        assert_eq!(with.run(256).0, without.run(256).0);
    }
    // The next one is heard.
    let (_, control, player) = player();
    link.install(Some(player)).unwrap();
    control.play(Some(0));
    (0..8).for_each(|_| drop((with.run(256), without.run(256))));
    assert_ne!(with.run(256).0, without.run(256).0);
}

#[test]
fn the_bypass_takes_the_output_from_a_test_through_a_dip_and_gives_it_back() {
    let (mut with, mut without) = (Host::new(), Host::new());
    let bypass = isotherm::instance::parameters::descriptors().iter().position(|d| d.id == "bypass").unwrap();
    let (stimuli, control, player) = player();
    let link = with.instance.listening_tests().link().clone();
    with.run(256);
    without.run(256);
    link.install(Some(player)).unwrap();
    control.play(Some(0));
    (0..20).for_each(|_| drop((with.run(256), without.run(256))));
    assert!(link.spec().is_ok());
    for host in [&with, &without] {
        host.instance.parameters().set(bypass, 1.0);
    }
    (0..40).for_each(|_| drop((with.run(256), without.run(256))));
    for _ in 0..20 {
        assert_eq!(with.run(256).0, without.run(256).0, "what comes without a test");
    }
    assert_eq!(link.spec(), Err(VenueError::Bypassed));
    with.instance.parameters().set(bypass, 0.0);
    let mut heard: Vec<f32> = Vec::new();
    for _ in 0..100 {
        heard.extend(&with.run(256).0[0]);
    }
    let path = stimuli.paths[0].channel(0);
    let end = &heard[heard.len() - 64..];
    assert!((0..path.len()).any(|at| (0..64).all(|n| end[n] == path[(at + n) % path.len()])), "the test goes on");
    assert!(link.spec().is_ok());
}

#[test]
fn an_open_panel_keeps_the_plug_in_awake() {
    let mut host = Host::new();
    let link = host.instance.listening_tests().link().clone();
    assert!(!link.is_open());
    host.listen(ListenAction::Open);
    assert!(link.is_open(), "at once, so that the next block tells the host");
    host.run_until("the panel", |view| view.is_open && view.kept_seconds > 0.0);
    host.listen(ListenAction::Close);
    let begun = Instant::now();
    while link.is_open() {
        assert!(begun.elapsed() < TIMEOUT, "still awake");
        host.run(256);
    }
}

#[test]
fn drop_outs_of_a_device_that_is_opened_anew_add_to_those_before() {
    let instance = Instance::default();
    let link = instance.listening_tests().link().clone();
    let counts = [0, 3, 3, 5, 0, 0, 2, 4, 1];
    let sums = [0, 3, 3, 5, 5, 5, 7, 9, 10];
    for (count, sum) in counts.into_iter().zip(sums) {
        link.set_device_drop_outs(count);
        assert_eq!(link.drop_outs(), sum, "{count}");
    }
}

#[test]
fn a_test_is_refused_where_nobody_hears_it() {
    let mut host = Host::new();
    host.run(256);
    let link = host.instance.listening_tests().link();
    assert!(link.spec().is_ok());
    link.set_heard(false);
    assert_eq!(link.spec(), Err(VenueError::Unheard));
    link.set_heard(true);
    assert!(link.spec().is_ok());
}
