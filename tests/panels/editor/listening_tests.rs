//! Tests of the panel of listening tests: setup, refusal, a running test by keys and by mouse, and the result.

use egui::OutputCommand;
use isotherm::ui::WatchedView;
use isotherm::view::{
    Answer, Button, Change, ControlTrial, Form, GateView, ListenStage, ListenView, Protocol, Question, ResultView, Rule,
    SideChoice, SoundSource, TestPart, TestSetup, TestStep, TestView, Waveform,
};

use super::*;

/// A view of an instance with the open panel.
fn open_view() -> InstanceView {
    let sound = Waveform { columns: vec![(-0.5, 0.5); 300], seconds: 30.0, name: "the last 30 s of the input".into() };
    let power = vec!["16 trials find a listener of 90 % in 98 % of tests.".into(), "A listener of 60 %: 17 %.".into()];
    let listen = ListenView {
        is_open: true,
        power,
        power_curve: (0..=10).map(|n| (0.5 + 0.05 * f64::from(n), 0.1 * f64::from(n))).collect(),
        slot_names: ["Tube saturator".into(), "Knobs".into()],
        sound: Some(Arc::new(sound)),
        kept_seconds: 30.0,
        kept_bytes: 11_520_000,
        ..ListenView::default()
    };
    InstanceView { listen, ..silent_view(2) }
}

/// A trial of ABX that waits for something.
fn trial(step: TestStep) -> TestView {
    TestView {
        part: TestPart::Test,
        form: Form::Abx,
        step,
        number: 3,
        of: Some(16),
        playing: Some(Button::X),
        answer: (step == TestStep::Confidence).then_some(Answer::Second),
        instruction: "Listen to A, B and X as often as you like.".into(),
        note: None,
        commitment: "c0ffee".repeat(10),
        receipt: "5eed".repeat(16),
    }
}

fn view_of_test(test: TestView) -> InstanceView {
    let mut view = open_view();
    view.listen.stage = ListenStage::Running(test);
    view
}

fn test_window(test: TestView) -> Harness<'static, EditorWindow> {
    let mut harness = window_of(SIZE, TestControls::default(), view_of_test(test));
    harness.run_steps(3);
    harness
}

/// Returns the actions of the listener since the last call, and fails if anything else was called.
fn drain_actions(harness: &mut Harness<'_, EditorWindow>) -> Vec<ListenAction> {
    let calls = drain_calls(harness);
    calls
        .into_iter()
        .map(|call| match call {
            ControlCall::Listen(action) => action,
            other => panic!("{other:?} is no action of a listener"),
        })
        .collect()
}

fn press(harness: &mut Harness<'_, EditorWindow>, key: Key) -> Vec<ListenAction> {
    harness.key_press(key);
    harness.run_steps(3);
    drain_actions(harness)
}

/// Takes over the setup that the panel sends, as an owner does. Returns all that it sent.
fn follow(harness: &mut Harness<'_, EditorWindow>) -> Vec<ListenAction> {
    let actions = drain_actions(harness);
    for action in &actions {
        if let ListenAction::Set(setup) = action {
            harness.state_mut().view.listen.setup = setup.clone();
        }
    }
    harness.run_steps(3);
    actions
}

/// Clicks a control and takes over the setup.
fn click_and_follow(harness: &mut Harness<'_, EditorWindow>, name: &str) -> Vec<ListenAction> {
    harness.get_by_label(name).click();
    harness.run_steps(4);
    follow(harness)
}

/// Replaces the text of a field, leaves it with Enter and takes over the setup.
fn type_and_follow(harness: &mut Harness<'_, EditorWindow>, name: &str, text: &str) -> Vec<ListenAction> {
    harness.get_by_label(name).focus();
    harness.run_steps(2);
    harness.key_press_modifiers(Modifiers::COMMAND, Key::A);
    harness.get_by_label(name).type_text(text);
    harness.run_steps(2);
    harness.key_press(Key::Enter);
    harness.run_steps(4);
    follow(harness)
}

fn set(change: impl FnOnce(&mut TestSetup)) -> Vec<ListenAction> {
    let mut setup = TestSetup::default();
    change(&mut setup);
    vec![ListenAction::Set(setup)]
}

fn setup_window() -> Harness<'static, EditorWindow> {
    let mut harness = window_of(SIZE, TestControls::default(), open_view());
    harness.run_steps(3);
    harness
}

fn is_down(harness: &Harness<'_, EditorWindow>, name: &str) -> bool {
    harness.get_by_label(name).accesskit_node().toggled() == Some(Toggled::True)
}

#[test]
fn the_button_in_the_header_opens_and_closes_the_panel() {
    for size in [SIZE, MIN_SIZE] {
        let mut harness = window_of(size, TestControls::default(), silent_view(2));
        click(&mut harness, "Listening tests");
        assert_eq!(drain_actions(&mut harness), [ListenAction::Open]);
        harness.state_mut().view = open_view();
        harness.run_steps(3);
        assert!(harness.query_by_label("A algorithm").is_none() && harness.query_by_label("Start test").is_some());
        // The setup of takes covers the panel without closing it.
        click(&mut harness, "Takes");
        assert!(harness.query_by_label("Start test").is_none());
        click(&mut harness, "Listening tests");
        assert!(harness.query_by_label("Start test").is_some());
        assert_eq!(drain_actions(&mut harness), []);
        click(&mut harness, "Listening tests");
        click(&mut harness, "Close listening test");
        assert_eq!(drain_actions(&mut harness), [ListenAction::Close, ListenAction::Close]);
    }
}

#[test]
fn the_question_comes_first_and_shows_what_the_test_can_show() {
    let mut harness = setup_window();
    assert!(is_down(&harness, "Is there a difference?"));
    harness.get_by_label("16 trials find a listener of 90 % in 98 % of tests.");
    harness.get_by_label("How often this test finds a listener");
    let equivalence = Protocol { question: Question::Equivalence, trials: 53, ..Protocol::QUICK };
    assert_eq!(click_and_follow(&mut harness, "Are they the same?"), set(|setup| setup.protocol = equivalence));
    assert!(is_down(&harness, "Are they the same?") && is_down(&harness, "Margin: below 70 % right"));
    let narrow = Protocol { margin: 0.65, ..equivalence };
    assert_eq!(click_and_follow(&mut harness, "Margin: below 65 % right"), set(|setup| setup.protocol = narrow));
    let preference = Protocol { question: Question::Preference, form: Form::Preference, ..Protocol::QUICK };
    assert_eq!(click_and_follow(&mut harness, "Which do you prefer?"), set(|setup| setup.protocol = preference));
    assert!(harness.query_by_label("Form: ABX: is X A or B?").is_none(), "a preference has one form");
    assert_eq!(click_and_follow(&mut harness, "Is there a difference?"), set(|_| {}));
    let same_different = Protocol { form: Form::SameDifferent, ..Protocol::QUICK };
    assert_eq!(click_and_follow(&mut harness, "Form: Same or different?"), set(|setup| setup.protocol = same_different));
    let sprt = Protocol { rule: Rule::Sprt, trials: 60, ..same_different };
    assert_eq!(click_and_follow(&mut harness, "Ends: When it is clear (SPRT)"), set(|setup| setup.protocol = sprt));
    let short = Protocol { trials: 30, ..sprt };
    assert_eq!(click_and_follow(&mut harness, "Trials: 30"), set(|setup| setup.protocol = short));
    let typed = Protocol { trials: 47, ..sprt };
    assert_eq!(type_and_follow(&mut harness, "Number of trials", "47"), set(|setup| setup.protocol = typed));
    assert_eq!(type_and_follow(&mut harness, "Number of trials", "many"), []);
}

#[test]
fn a_threshold_has_a_staircase_and_a_ladder_in_the_place_of_trials_and_a_curve() {
    let mut harness = setup_window();
    // An owner tells other lines for another question, and a staircase has no curve.
    harness.state_mut().view.listen.power = vec!["The test ends after 16 reversals.".into()];
    harness.state_mut().view.listen.power_curve.clear();
    harness.run_steps(3);
    let protocol = Protocol::staircase(16);
    assert_eq!(click_and_follow(&mut harness, "How small an error?"), set(|setup| setup.protocol = protocol));
    assert!(is_down(&harness, "How small an error?") && is_down(&harness, "Reversals: 16"));
    harness.get_by_label("The test ends after 16 reversals.");
    for absent in [
        "How often this test finds a listener",
        "Number of trials",
        "Trials: 16",
        "Ends: After n trials",
        "Margin: below 70 % right",
    ] {
        assert!(harness.query_by_label(absent).is_none(), "{absent}");
    }
    let form = Protocol { form: Form::SameDifferent, ..protocol };
    assert_eq!(click_and_follow(&mut harness, "Form: Same or different?"), set(|setup| setup.protocol = form));
    let long = Protocol { form: Form::SameDifferent, ..Protocol::staircase(24) };
    assert_eq!(click_and_follow(&mut harness, "Reversals: 24"), set(|setup| setup.protocol = long));
    // Measured rungs, the last of which is side B.
    let effect = |bits: u32| SideChoice::Effect(format!("bitcrusher bits={bits}"));
    let rungs: Vec<SideChoice> = (6..12).rev().map(effect).collect();
    let text =
        "bitcrusher bits=11; bitcrusher bits=10;bitcrusher bits=9 ; bitcrusher bits=8; bitcrusher bits=7; bitcrusher bits=6;";
    let ladder = |setup: &mut TestSetup| {
        setup.protocol = long;
        setup.rungs.clone_from(&rungs);
    };
    assert!(harness.query_by_label("Side B").is_some());
    assert_eq!(type_and_follow(&mut harness, "Rungs", text), set(ladder));
    assert!(harness.query_by_label("Side B").is_none(), "the last rung is side B");
    // Another question asks for its number of trials again.
    let plain = |setup: &mut TestSetup| setup.rungs.clone_from(&rungs);
    assert_eq!(click_and_follow(&mut harness, "Is there a difference?"), set(plain));
    assert!(harness.query_by_label("Side B").is_some() && harness.query_by_label("Number of trials").is_some());
}

#[test]
fn each_side_is_a_slot_the_input_an_effect_a_file_or_the_other_side_with_a_change() {
    let mut harness = setup_window();
    let choose = |harness: &mut Harness<'_, EditorWindow>, side: &str, choice: &str| {
        harness.get_by_label(side).click();
        harness.run_steps(4);
        click_and_follow(harness, choice)
    };
    assert_eq!(choose(&mut harness, "Side B", "Dry input"), set(|setup| setup.sides[1] = SideChoice::Dry));
    choose(&mut harness, "Side B", "An effect, as text");
    let effect = SideChoice::Effect("saturator drive=12".into());
    assert_eq!(
        type_and_follow(&mut harness, "Side B: effect", "saturator drive=12"),
        set(|setup| setup.sides[1] = effect.clone())
    );
    choose(&mut harness, "Side B", "A WAV file");
    let file = SideChoice::File("/tmp/b.wav".into());
    assert_eq!(type_and_follow(&mut harness, "Side B: file", "/tmp/b.wav"), set(|setup| setup.sides[1] = file.clone()));
    let changed = |change| SideChoice::Changed(change);
    let gain = changed(Change::GainDb(0.5));
    assert_eq!(choose(&mut harness, "Side B", "The other side, changed"), set(|setup| setup.sides[1] = gain.clone()));
    let quiet = changed(Change::GainDb(-1.5));
    assert_eq!(type_and_follow(&mut harness, "Side B: change", "-1.5"), set(|setup| setup.sides[1] = quiet.clone()));
    let delay = changed(Change::DelayFrames(1.0));
    assert_eq!(click_and_follow(&mut harness, "Side B change: Delay in samples"), set(|setup| setup.sides[1] = delay.clone()));
    click_and_follow(&mut harness, "Side B change: A setting");
    let setting = changed(Change::Setting("oversampling=1".into()));
    assert_eq!(type_and_follow(&mut harness, "Side B: change", "oversampling=1"), set(|setup| setup.sides[1] = setting.clone()));
    // Only one side can be a change of the other.
    let sides = [changed(Change::GainDb(0.5)), SideChoice::Slot(0)];
    assert_eq!(choose(&mut harness, "Side A", "The other side, changed"), set(|setup| setup.sides = sides.clone()));
}

#[test]
fn sound_loop_control_and_listener_are_chosen_and_the_test_is_started_by_mouse() {
    let mut harness = setup_window();
    for (name, action) in
        [("Capture", ListenAction::Capture), ("Preview", ListenAction::Preview(true)), ("Start test", ListenAction::Start)]
    {
        assert_eq!(click_and_follow(&mut harness, name), [action]);
    }
    assert_eq!(value(&harness, "Kept input").as_deref(), Some("30 s of the input are kept (11.0 MiB)"));
    assert_eq!(type_and_follow(&mut harness, "Sound file", "/tmp/x.wav"), [ListenAction::OpenSound("/tmp/x.wav".into())]);
    assert_eq!(type_and_follow(&mut harness, "Loop end in seconds", "7.5"), set(|setup| setup.range = [0.0, 7.5]));
    harness.get_by_label("Control: 3 dB louder").scroll_to_me();
    harness.run_steps(30);
    let louder = |setup: &mut TestSetup| (setup.range, setup.control) = ([0.0, 7.5], ControlTrial::Louder);
    assert_eq!(click_and_follow(&mut harness, "Control: 3 dB louder"), set(louder));
    let named = |setup: &mut TestSetup| {
        louder(setup);
        setup.listener = "Ada".into();
    };
    assert_eq!(type_and_follow(&mut harness, "Listener", "Ada"), set(named));
    let live = |setup: &mut TestSetup| {
        named(setup);
        setup.source = SoundSource::Live;
    };
    harness.get_by_label("Sound: What comes in").scroll_to_me();
    harness.run_steps(30);
    assert_eq!(click_and_follow(&mut harness, "Sound: What comes in"), set(live));
    assert!(harness.query_by_label("Capture").is_none(), "live sound has no loop");
}

#[test]
fn the_ends_of_the_loop_move_by_mouse_and_by_keys() {
    let mut harness = setup_window();
    harness.get_by_label("Loop end").scroll_to_me();
    harness.run_steps(30);
    let at = harness.get_by_label("Loop end").rect().center();
    harness.drag_at(at);
    harness.run_steps(2);
    harness.hover_at(at + vec2(80.0, 0.0));
    harness.run_steps(2);
    harness.drop_at(at + vec2(80.0, 0.0));
    harness.run_steps(3);
    let actions = drain_actions(&mut harness);
    let Some(ListenAction::Set(setup)) = actions.last() else { panic!("{actions:?}") };
    assert!(setup.range[0] == 0.0 && (12.0..15.0).contains(&setup.range[1]), "{:?}", setup.range);
    harness.state_mut().view.listen.setup = setup.clone();
    let before = setup.range[1];
    harness.run_steps(90);
    harness.get_by_label("Loop end").focus();
    harness.run_steps(2);
    let actions = press(&mut harness, Key::ArrowLeft);
    let [ListenAction::Set(setup)] = &actions[..] else { panic!("{actions:?}") };
    assert!((setup.range[1] - (before - 0.1)).abs() < 1e-9, "{:?} after {before}", setup.range);
}

#[test]
fn keys_capture_preview_and_start() {
    let mut harness = setup_window();
    give_keys(&mut harness);
    assert_eq!(press(&mut harness, Key::L), [ListenAction::Capture]);
    assert_eq!(press(&mut harness, Key::Space), [ListenAction::Preview(true)]);
    harness.state_mut().view.listen.position = Some(1.5);
    harness.run_steps(2);
    assert_eq!(press(&mut harness, Key::Space), [ListenAction::Preview(false)]);
    assert_eq!(press(&mut harness, Key::Enter), [ListenAction::Start]);
}

#[test]
fn a_setup_that_the_owner_refuses_is_shown_for_a_second_only() {
    let mut harness = setup_window();
    harness.get_by_label("Which do you prefer?").click();
    harness.run_steps(4);
    assert!(is_down(&harness, "Which do you prefer?"));
    harness.run_steps(90);
    assert!(is_down(&harness, "Is there a difference?"));
}

#[test]
fn a_refused_test_names_every_gate_with_its_figure() {
    let mut view = open_view();
    let gate = |passed, text: &str| GateView { passed, text: text.into() };
    let gates = vec![gate(true, "Time: 0.02 samples apart, at most 0.1"), gate(false, "Loudness: 0.31 LU apart, at most 0.10")];
    view.listen.stage = ListenStage::Refused { gates };
    let mut harness = window_of(SIZE, TestControls::default(), view);
    harness.get_by_label("passed: Time: 0.02 samples apart, at most 0.1");
    harness.get_by_label("failed: Loudness: 0.31 LU apart, at most 0.10");
    assert_eq!(click_and_follow(&mut harness, "Back to the setup"), [ListenAction::Done]);
    assert_eq!(press(&mut harness, Key::Enter), [ListenAction::Done]);
}

#[test]
fn a_preparation_shows_its_progress_and_can_be_cancelled() {
    let mut view = open_view();
    view.listen.stage = ListenStage::Preparing { text: "side B is rendered".into(), share: 0.4 };
    let mut harness = window_of(SIZE, TestControls::default(), view);
    assert_eq!(value(&harness, "Preparation").as_deref(), Some("side B is rendered (40 %)"));
    assert_eq!(click_and_follow(&mut harness, "Cancel preparation"), [ListenAction::Abort]);
    assert_eq!(press(&mut harness, Key::Escape), [ListenAction::Abort]);
}

#[test]
fn a_test_is_taken_by_keys_alone() {
    let mut harness = test_window(trial(TestStep::Answer));
    for (keys, button) in
        [([Key::A, Key::Num1], Button::First), ([Key::B, Key::Num2], Button::Second), ([Key::X, Key::Num3], Button::X)]
    {
        for key in keys {
            assert_eq!(press(&mut harness, key), [ListenAction::Press(button)], "{key:?}");
        }
    }
    for key in [Key::Space, Key::S] {
        assert_eq!(press(&mut harness, key), [ListenAction::SwitchBack], "{key:?}");
    }
    assert_eq!(press(&mut harness, Key::Enter), [], "no answer is chosen yet");
    for (arrow, answer) in [(Key::ArrowLeft, Answer::First), (Key::ArrowRight, Answer::Second), (Key::ArrowUp, Answer::First)] {
        assert_eq!(press(&mut harness, arrow), []);
        assert_eq!(press(&mut harness, Key::Enter), [ListenAction::Answer(answer)], "{arrow:?}");
    }
    harness.state_mut().view = view_of_test(trial(TestStep::Confidence));
    harness.run_steps(3);
    assert_eq!(press(&mut harness, Key::Enter), [], "the choice of the last question is forgotten");
    for (n, key) in [Key::Num1, Key::Num2, Key::Num3, Key::Num4].into_iter().enumerate() {
        assert_eq!(press(&mut harness, key), [ListenAction::Confidence(n as u8 + 1)]);
    }
    for (presses, level) in [(1, 1), (2, 3)] {
        (0..presses).for_each(|_| drop(press(&mut harness, Key::ArrowRight)));
        drop(press(&mut harness, Key::ArrowLeft));
        let actions = press(&mut harness, Key::Enter);
        assert!(matches!(actions[..], [ListenAction::Confidence(_)]), "{presses} {level} {actions:?}");
    }
    for step in [TestStep::Introduction, TestStep::Pause, TestStep::Feedback { right: true }] {
        harness.state_mut().view = view_of_test(TestView { part: TestPart::Training, of: None, ..trial(step) });
        harness.run_steps(3);
        assert_eq!(press(&mut harness, Key::Enter), [ListenAction::Continue], "{step:?}");
        assert_eq!(press(&mut harness, Key::E), [ListenAction::EndTraining]);
    }
}

#[test]
fn a_test_is_taken_by_mouse_alone_and_every_button_has_a_name() {
    let mut harness = test_window(trial(TestStep::Answer));
    assert!(is_down(&harness, "Play X") && !is_down(&harness, "Play A"));
    for (name, action) in [
        ("Play A", ListenAction::Press(Button::First)),
        ("Play B", ListenAction::Press(Button::Second)),
        ("Play X", ListenAction::Press(Button::X)),
        ("Switch back", ListenAction::SwitchBack),
        ("X is A", ListenAction::Answer(Answer::First)),
        ("X is B", ListenAction::Answer(Answer::Second)),
    ] {
        assert_eq!(click_and_follow(&mut harness, name), [action], "{name}");
    }
    harness.get_by_label("Test: trial 3 of 16");
    assert_eq!(value(&harness, "Instruction").as_deref(), Some("Listen to A, B and X as often as you like."));
    harness.state_mut().view = view_of_test(trial(TestStep::Confidence));
    harness.run_steps(3);
    assert_eq!(value(&harness, "Question").as_deref(), Some("Your answer: X is B. How sure are you?"));
    assert!(harness.query_by_label("X is A").is_none(), "one question at a time");
    for (level, name) in ["1: a guess", "2: unsure", "3: rather sure", "4: certain"].into_iter().enumerate() {
        assert_eq!(click_and_follow(&mut harness, name), [ListenAction::Confidence(level as u8 + 1)]);
    }
    for (form, buttons, answers) in [
        (Form::Preference, ["Play 1", "Play 2"], [("1 is better", Answer::First), ("2 is better", Answer::Second)]),
        (Form::SameDifferent, ["Play 1", "Play 2"], [("The same", Answer::Same), ("Different", Answer::Different)]),
    ] {
        harness.state_mut().view = view_of_test(TestView { form, ..trial(TestStep::Answer) });
        harness.run_steps(3);
        for (name, button) in buttons.into_iter().zip([Button::First, Button::Second]) {
            assert_eq!(click_and_follow(&mut harness, name), [ListenAction::Press(button)]);
        }
        assert!(harness.query_by_label("Play X").is_none());
        assert_eq!(press(&mut harness, Key::X), []);
        for (name, answer) in answers {
            assert_eq!(click_and_follow(&mut harness, name), [ListenAction::Answer(answer)]);
        }
    }
    harness.state_mut().view = view_of_test(TestView { part: TestPart::Training, ..trial(TestStep::Feedback { right: false }) });
    harness.run_steps(3);
    assert_eq!(value(&harness, "Feedback").as_deref(), Some("Wrong"));
    assert_eq!(click_and_follow(&mut harness, "Go on"), [ListenAction::Continue]);
    assert_eq!(click_and_follow(&mut harness, "End training"), [ListenAction::EndTraining]);
}

#[test]
fn a_test_is_aborted_only_after_a_question() {
    let mut harness = test_window(trial(TestStep::Answer));
    assert_eq!(press(&mut harness, Key::Escape), []);
    assert_eq!(press(&mut harness, Key::A), [], "the question keeps the keys");
    assert_eq!(click_and_follow(&mut harness, "Go on with the test"), []);
    assert_eq!(press(&mut harness, Key::A), [ListenAction::Press(Button::First)], "the test has the keys again");
    assert_eq!(click_and_follow(&mut harness, "Abort test"), []);
    assert_eq!(click_and_follow(&mut harness, "Abort the test"), [ListenAction::Abort]);
    assert!(harness.query_by_label("Abort the test").is_none());
}

#[test]
fn keys_are_the_hosts_unless_the_panel_has_the_focus() {
    let mut harness = test_window(trial(TestStep::Answer));
    harness.ctx.memory_mut(|m| m.stop_text_input());
    harness.run_steps(2);
    assert!(!harness.ctx.egui_wants_keyboard_input(), "egui gives the keys to the host");
    for key in [Key::Space, Key::A, Key::Enter] {
        assert_eq!(press(&mut harness, key), [], "{key:?}");
    }
    // A press beside the buttons gives them back.
    harness.get_by_label("Instruction").click();
    harness.run_steps(3);
    assert!(harness.ctx.egui_wants_keyboard_input());
    assert_eq!(press(&mut harness, Key::Space), [ListenAction::SwitchBack]);
    // A button that the tab key reached is pressed by space, and letters still play.
    harness.get_by_label("Play B").focus();
    harness.run_steps(2);
    assert_eq!(press(&mut harness, Key::Space), [ListenAction::Press(Button::Second)]);
    assert_eq!(press(&mut harness, Key::X), [ListenAction::Press(Button::X)]);
    // Shortcuts are not letters.
    harness.key_press_modifiers(Modifiers::COMMAND, Key::A);
    harness.run_steps(3);
    assert_eq!(drain_actions(&mut harness), []);
}

#[test]
fn a_panel_that_opens_leaves_the_keys_to_the_host_until_it_is_clicked_or_a_test_starts() {
    let mut harness = window_of(SIZE, TestControls::default(), open_view());
    harness.run_steps(4);
    assert!(!harness.ctx.egui_wants_keyboard_input(), "egui gives the keys to the host");
    for key in [Key::Space, Key::L, Key::Enter] {
        assert_eq!(press(&mut harness, key), [], "{key:?}");
    }
    give_keys(&mut harness);
    harness.run_steps(3);
    assert_eq!(press(&mut harness, Key::L), [ListenAction::Capture]);
    let mut harness = window_of(SIZE, TestControls::default(), open_view());
    harness.run_steps(4);
    harness.state_mut().view = view_of_test(trial(TestStep::Answer));
    harness.run_steps(4);
    assert_eq!(press(&mut harness, Key::Space), [ListenAction::SwitchBack]);
}

/// Clicks into the panel, beside its buttons, which gives it the keys.
fn give_keys(harness: &mut Harness<'_, EditorWindow>) {
    harness.get_by_role_and_label(Role::Heading, "Listening test").click();
    harness.run_steps(3);
}

/// The keys that the panel left to others in a frame in which they were pressed.
fn left_keys(harness: &mut Harness<'_, EditorWindow>, keys: &[Key]) -> Vec<Key> {
    keys.iter()
        .copied()
        .filter(|key| {
            harness.key_down(*key);
            harness.step();
            let is_left =
                harness.ctx.input(|i| i.events.iter().any(|event| matches!(event, Event::Key { key: k, .. } if k == key)));
            harness.key_up(*key);
            harness.run_steps(2);
            is_left
        })
        .collect()
}

#[test]
fn the_panel_takes_only_keys_that_it_has() {
    // Escape asks a question, which keeps the keys, so it comes last.
    let all = [Key::A, Key::L, Key::Q, Key::Space, Key::Enter, Key::F1, Key::ArrowUp, Key::Num4, Key::Escape];
    let mut view = open_view();
    view.listen.sound = None;
    let mut harness = window_of(SIZE, TestControls::default(), view);
    harness.run_steps(3);
    give_keys(&mut harness);
    harness.run_steps(3);
    let left = left_keys(&mut harness, &all);
    assert_eq!(left, [Key::A, Key::Q, Key::Space, Key::F1, Key::ArrowUp, Key::Num4, Key::Escape]);
    let mut harness = test_window(trial(TestStep::Confidence));
    assert_eq!(left_keys(&mut harness, &all), [Key::L, Key::Q, Key::F1]);
}

#[test]
fn a_digit_is_the_key_at_its_place_where_the_window_tells_it() {
    let mut harness = test_window(trial(TestStep::Confidence));
    // The key of the digit 2 on a French keyboard has another sign without Shift.
    for pressed in [true, false] {
        let modifiers = Modifiers::NONE;
        let physical_key = Some(Key::Num2);
        harness.event(Event::Key { key: Key::Quote, physical_key, pressed, repeat: false, modifiers });
    }
    harness.run_steps(3);
    assert_eq!(drain_actions(&mut harness), [ListenAction::Confidence(2)]);
    // Letters are by their sign: A is where Q is on an English one.
    let mut harness = test_window(trial(TestStep::Answer));
    for pressed in [true, false] {
        let physical_key = Some(Key::Q);
        harness.event(Event::Key { key: Key::A, physical_key, pressed, repeat: false, modifiers: Modifiers::NONE });
    }
    harness.run_steps(3);
    assert_eq!(drain_actions(&mut harness), [ListenAction::Press(Button::First)]);
}

#[test]
fn buttons_that_play_are_off_when_the_trial_is_answered() {
    for step in [TestStep::Confidence, TestStep::Feedback { right: true }] {
        let mut harness = test_window(trial(step));
        for name in ["Play A", "Play B", "Play X", "Switch back"] {
            assert!(harness.get_by_label(name).accesskit_node().is_disabled(), "{name}, {step:?}");
            harness.get_by_label(name).click();
            harness.run_steps(2);
            assert_eq!(drain_actions(&mut harness), [], "{name}, {step:?}");
        }
        for key in [Key::A, Key::B, Key::X, Key::Space, Key::S] {
            assert_eq!(press(&mut harness, key), [], "{key:?}, {step:?}");
        }
    }
    let harness = test_window(trial(TestStep::Answer));
    assert!(!harness.get_by_label("Play A").accesskit_node().is_disabled());
    assert!(harness.query_by_label("Question").is_none(), "the instruction asks it");
}

#[test]
fn a_result_begins_with_its_sentence_however_far_the_last_one_was_scrolled() {
    let mut view = open_view();
    let result = |number: usize| ResultView {
        sentences: vec![format!("Finding {number}.")],
        figures: (0..60).map(|n| (format!("figure {n}"), n.to_string())).collect(),
        measures: Vec::new(),
        remarks: Vec::new(),
        folder: "/tmp/listening/1".into(),
        receipt: format!("{number}").repeat(64),
    };
    view.listen.stage = ListenStage::Ended(result(1));
    let mut harness = window_of(SIZE, TestControls::default(), view);
    harness.run_steps(3);
    let top = harness.get_by_label("Finding 1.").rect().top();
    harness.get_by_label("figure 59").scroll_to_me();
    harness.run_steps(30);
    assert!(harness.query_by_label("Finding 1.").is_none_or(|node| node.rect().top() < top - 50.0));
    harness.state_mut().view.listen.stage = ListenStage::Setup;
    harness.run_steps(5);
    harness.state_mut().view.listen.stage = ListenStage::Ended(result(2));
    harness.run_steps(5);
    assert_eq!(harness.get_by_label("Finding 2.").rect().top(), top);
}

#[test]
fn what_went_wrong_at_the_end_stands_in_the_result() {
    let mut view = open_view();
    let result = ResultView {
        sentences: vec!["14 of 16: you heard a difference.".into()],
        figures: Vec::new(),
        measures: Vec::new(),
        remarks: Vec::new(),
        folder: "/tmp/listening/1".into(),
        receipt: "5eed".repeat(16),
    };
    view.listen.stage = ListenStage::Ended(result);
    view.listen.error = Some("cannot write trials.csv: the disk is full".into());
    let mut harness = window_of(SIZE, TestControls::default(), view);
    harness.run_steps(3);
    harness.get_by_label("cannot write trials.csv: the disk is full");
}

#[test]
fn a_running_test_shows_nothing_of_the_instance() {
    let mut pictures = Vec::new();
    let mut views = Vec::new();
    for (listen, level) in [(0.0, 0.1), (1.0, 0.9)] {
        let controls = TestControls::default();
        controls.values.borrow_mut().insert(Control::Listen, listen);
        controls.values.borrow_mut().insert(Control::Algorithm(Slot::A), listen);
        let mut view = view_of_test(trial(TestStep::Answer));
        let level = ChannelLevel { peak: level, rms: level, clipped: listen > 0.5 };
        (view.input, view.output) = (vec![level; 2], vec![level; 2]);
        (view.load, view.latency_frames) = (listen, if listen > 0.5 { 64 } else { 512 });
        view.models[0].loading = listen > 0.5;
        view.twin.play_pending = listen > 0.5;
        view.take.stems = vec![isotherm::view::StemView { name: "A L".into(), peak: listen, overs: 0 }];
        view.take.standby = true;
        view.listen.slot_names = [format!("name {listen}"), String::new()];
        view.listen.power = vec![format!("line {listen}")];
        let mut harness = window_of(SIZE, controls, view.clone());
        harness.run_steps(10);
        assert_eq!(drain_calls(&mut harness), [], "a twin that waits is not loaded during a test");
        let texts = accessible_texts(&harness);
        for word in ["Listen A", "Listen B", "Tube", "Knobs", "Drive", "level", "Load", "Latency", "algorithm", "Standby"] {
            assert!(!texts.iter().any(|text| text.contains(word)), "{word} in {texts:?}");
        }
        assert_eq!(*harness.state().controls.reads.borrow(), [], "no value is read");
        pictures.push((painted_shapes(&harness), texts, repaint_delay_ms(&harness)));
        views.push(view);
    }
    assert!(pictures[0] == pictures[1], "the window differs");
    assert!(views[0].is_shown_by(&views[1]) && views[1].is_shown_by(&views[0]), "the window is painted at different times");
}

#[test]
fn the_window_is_painted_for_every_change_of_the_test_it_shows() {
    let shown = view_of_test(trial(TestStep::Answer));
    assert!(shown.is_shown_by(&shown));
    let changes: [fn(&mut ListenView); 6] = [
        |view| view.error = Some("the disk is full".into()),
        |view| view.stage = ListenStage::Setup,
        |view| view.stage = ListenStage::Running(TestView { number: 4, ..trial(TestStep::Answer) }),
        |view| view.stage = ListenStage::Running(trial(TestStep::Confidence)),
        |view| view.stage = ListenStage::Running(TestView { playing: None, ..trial(TestStep::Answer) }),
        |view| view.stage = ListenStage::Running(TestView { note: Some("void".into()), ..trial(TestStep::Answer) }),
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut changed = shown.clone();
        change(&mut changed.listen);
        assert!(!changed.is_shown_by(&shown), "change {number}");
    }
    let setup = open_view();
    let changes: [fn(&mut ListenView); 5] = [
        |view| view.setup.protocol.trials = 30,
        |view| view.power.clear(),
        |view| view.sound = None,
        |view| view.kept_seconds = 12.0,
        |view| view.is_open = false,
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut changed = setup.clone();
        change(&mut changed.listen);
        assert!(!changed.is_shown_by(&setup), "change {number} of the setup");
    }
    let mut later = setup.clone();
    later.listen.kept_seconds += 0.4;
    assert!(later.is_shown_by(&setup), "less than a second");
}

#[test]
fn the_result_is_shown_in_sentences_with_a_receipt_to_copy() {
    let mut view = open_view();
    view.listen.stage = ListenStage::Ended(ResultView {
        sentences: vec!["14 of 16: you heard a difference (p = .0021).".into()],
        figures: vec![("p_c".into(), ".875".into()), ("d'".into(), "3.1".into()), ("p_d".into(), ".75".into())],
        measures: vec![("ESR".into(), "-31 dB".into())],
        remarks: vec!["Sensitivity was not proven.".into()],
        folder: "/tmp/listening/1".into(),
        receipt: "abcd".into(),
    });
    let mut harness = window_of(SIZE, TestControls::default(), view);
    for text in ["14 of 16: you heard a difference (p = .0021).", "p_c", ".875", "ESR", "-31 dB", "Sensitivity was not proven."] {
        harness.get_by_label(text);
    }
    assert_eq!(value(&harness, "Folder").as_deref(), Some("Folder: /tmp/listening/1"));
    harness.get_by_label("Copy receipt").click();
    harness.step();
    let copied = harness
        .output()
        .platform_output
        .commands
        .iter()
        .any(|command| matches!(command, OutputCommand::CopyText(text) if text == "abcd"));
    assert!(copied, "{:?}", harness.output().platform_output.commands);
    assert_eq!(click_and_follow(&mut harness, "Back to the setup"), [ListenAction::Done]);
}

#[test]
fn a_session_that_was_left_can_be_resumed_or_closed() {
    let mut view = open_view();
    view.listen.unfinished = Some("/tmp/listening/2".into());
    let mut harness = window_of(SIZE, TestControls::default(), view);
    assert_eq!(click_and_follow(&mut harness, "Resume test"), [ListenAction::Resume("/tmp/listening/2".into())]);
    assert_eq!(click_and_follow(&mut harness, "Close test as aborted"), [], "it cannot be undone");
    assert_eq!(click_and_follow(&mut harness, "Close for good"), [ListenAction::CloseAborted("/tmp/listening/2".into())]);
    harness.get_by_label("Close test as aborted");
}

#[test]
fn nothing_of_a_running_test_overlaps_or_leaves_the_window() {
    for size in [SIZE, MIN_SIZE] {
        for step in [TestStep::Answer, TestStep::Confidence, TestStep::Feedback { right: true }, TestStep::Pause] {
            let test = TestView { part: TestPart::Training, note: Some("The last trial was void.".into()), ..trial(step) };
            let mut harness = window_of(size, TestControls::default(), view_of_test(test));
            harness.run_steps(5);
            let all = inputs(&harness);
            let inside = Rect::from_min_size(pos2(8.0, 8.0), vec2(size.0 as f32, size.1 as f32));
            assert!(all.len() >= 3, "{all:?}");
            for (name, rect) in &all {
                assert!(inside.contains_rect(*rect), "{name} at {rect:?} leaves {inside:?}, {step:?}");
            }
            assert_no_overlap(&all);
            // Neither do the lines between the buttons.
            for name in ["Instruction", "Keys", "Question", "Feedback", "Note", "Keys of the host", "Commitment and receipt"] {
                let Some(line) = harness.query_by_label(name).map(|node| node.rect()) else { continue };
                assert!(inside.contains_rect(line), "{name} at {line:?} leaves {inside:?}, {step:?}");
                let covered: Vec<_> = all.iter().filter(|(_, rect)| rect.shrink(0.5).intersects(line)).collect();
                assert!(covered.is_empty(), "{name} at {line:?} covers {covered:?}, {step:?}");
            }
        }
    }
}

#[test]
fn nothing_of_the_setup_overlaps() {
    for protocol in [
        Protocol::QUICK,
        Protocol { question: Question::Equivalence, ..Protocol::QUICK },
        Protocol { question: Question::Preference, form: Form::Preference, ..Protocol::QUICK },
    ] {
        let mut view = open_view();
        view.listen.setup.protocol = protocol;
        view.listen.setup.sides[1] = SideChoice::Changed(Change::GainDb(0.5));
        view.listen.unfinished = Some("/tmp/listening/2".into());
        let mut harness = window_of(SIZE, TestControls::default(), view);
        harness.run_steps(5);
        let above = harness.get_by_label("Start test").rect().top();
        let visible: Vec<_> =
            inputs(&harness).into_iter().filter(|(name, rect)| name == "Start test" || rect.bottom() <= above).collect();
        assert!(visible.len() > 20, "{visible:?}");
        assert_no_overlap(&visible);
    }
}

#[test]
fn a_window_that_is_closed_closes_the_panel() {
    // A blind comparison may lie over it.
    let covered = InstanceView { blind: BlindView::Hidden, ..open_view() };
    let close = vec![ListenAction::Close];
    for (view, closed) in [(open_view(), close.clone()), (covered, close), (silent_view(2), vec![])] {
        let mut harness = window_of(SIZE, TestControls::default(), view);
        harness.run_steps(3);
        let EditorWindow { editor, controls, .. } = harness.state_mut();
        editor.close(controls);
        assert_eq!(drain_actions(&mut harness), closed);
    }
}
