//! Tests of the bar of a slot's model, and of the browser of a folder's models.

use super::*;

/// Facts about a model, of which none is missing.
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
        delay: Some(ModelDelay { frames: 2.5, inverted: true, ambiguous: false }),
        aliasing: vec![
            ModelAliasingFacts { hz: 1245.0, aliasing_db: [Some(-33.4), Some(-60.2), Some(-104.0)] },
            ModelAliasingFacts { hz: 5000.0, aliasing_db: [Some(-19.8), Some(-33.1), Some(-45.0)] },
        ],
        parameter_uses: vec![],
    }
}

/// A folder with an absolute path.
fn folder() -> FolderView {
    let path = if cfg!(windows) { "C:/models" } else { "/models" };
    FolderView {
        path: path.into(),
        folders: vec!["Bass".into(), "clean".into()],
        files: vec!["plexi.nam".into(), "twin.json".into(), "Zinky.onnx".into()],
        error: None,
    }
}

/// The editor with an algorithm that plays models in slot B, and one that does not in slot A.
fn model_window(view: ModelView) -> Harness<'static, EditorWindow> {
    let controls = TestControls::default();
    controls.values.borrow_mut().insert(Control::Algorithm(Slot::B), 3.0);
    let models = [ModelView::default(), view];
    window_of(SIZE, controls, InstanceView { models, ..silent_view(2) })
}

/// The view of a slot with a model and the list of its folder.
fn with_model() -> ModelView {
    ModelView { model: Some(Arc::new(facts())), can_step: true, folder: Some(Arc::new(folder())), ..ModelView::default() }
}

#[test]
fn only_a_slot_whose_algorithm_plays_models_has_a_model_bar() {
    let harness = model_window(ModelView::default());
    assert!(value(&harness, "B model").unwrap().starts_with("No model"));
    for name in ["model", "open model", "previous model", "next model", "remove model"] {
        harness.get_by_label(&format!("B {name}"));
        assert!(harness.query_by_label(&format!("A {name}")).is_none(), "{name}");
    }
    harness.get_by_label("B Input");
}

#[test]
fn a_models_bar_shows_the_facts_that_are_known_and_no_others() {
    let mut harness = model_window(with_model());
    assert_eq!(value(&harness, "B model").as_deref(), Some("Plexi on ten"));
    let short = value(&harness, "B model facts").unwrap();
    assert!(short.starts_with("4 % CPU \u{b7} late by 0.1 ms \u{b7} 48 kHz") && !short.contains("ns"), "{short}");
    harness.get_by_label("B model").hover();
    harness.run_steps(90);
    let words = accessible_texts(&harness).join("\n");
    for word in [
        "plexi.nam",
        "A. Tone",
        "Marshall 1959",
        "16 and 8 channels",
        "13\u{2009}802",
        "-17.2 dB",
        "0.0123",
        "2.50 samples, polarity inverted",
        "382 ns a sample and channel",
        "Aliasing at 1245 Hz: -33 dB; at 2x -60 dB; at 4x below -100 dB",
        "Aliasing at 5 kHz: -20 dB; at 2x -33 dB; at 4x -45 dB",
    ] {
        assert!(words.contains(word), "no '{word}' in {words}");
    }
    let bare = ModelFacts { name: "x".into(), architecture: "LSTM".into(), sample_rate: 44_100.0, ..ModelFacts::default() };
    let mut harness = model_window(ModelView { model: Some(Arc::new(bare)), ..ModelView::default() });
    harness.get_by_label("B model").hover();
    harness.run_steps(90);
    let words = accessible_texts(&harness).join("\n");
    assert!(words.contains("44.1 kHz (not given)"), "{words}");
    for word in ["Author", "Gear", "Loudness", "Error to signal", "Cost", "Delay", "File", "liasing"] {
        assert!(!words.contains(word), "{word} in {words}");
    }
}

/// The line of the bar that tells the aliasing, if there is one.
fn aliasing_line(harness: &Harness<'_, EditorWindow>) -> Option<String> {
    harness.query_by_label("B model aliasing").and_then(|line| line.value())
}

#[test]
fn a_models_aliasing_is_told_below_its_facts_as_far_as_it_is_known() {
    let (figure, none) = (Some(-19.8), None);
    for (aliasing_db, expected) in [
        ([figure, Some(-33.1), Some(-45.0)], Some("aliasing at 5 kHz: -20 dB; at 2x -33 dB")),
        ([figure, none, none], Some("aliasing at 5 kHz: -20 dB")),
        ([Some(-131.0), none, none], Some("aliasing at 5 kHz: below -100 dB")),
        ([none, none, none], None),
    ] {
        let aliasing = vec![ModelAliasingFacts { hz: 5000.0, aliasing_db }];
        let facts = ModelFacts { aliasing, ..facts() };
        let harness = model_window(ModelView { model: Some(Arc::new(facts)), ..with_model() });
        assert_eq!(aliasing_line(&harness).as_deref(), expected);
    }
}

#[test]
fn a_card_does_not_move_when_its_models_aliasing_is_known() {
    let mut harness = model_window(with_model());
    let top = |harness: &Harness<'_, EditorWindow>| harness.get_by_label("B Input").rect().top();
    let before = top(&harness);
    let unmeasured = ModelFacts { aliasing: Vec::new(), ..facts() };
    harness.state_mut().view.models[1] = ModelView { model: Some(Arc::new(unmeasured)), ..with_model() };
    harness.run();
    assert_eq!((aliasing_line(&harness), top(&harness)), (None, before));
}

#[test]
fn a_models_aliasing_is_readable_in_whole_in_a_narrow_window() {
    for size in [(640, 480), (700, 480)] {
        let controls = TestControls::default();
        controls.values.borrow_mut().insert(Control::Algorithm(Slot::B), 3.0);
        let models = [ModelView::default(), with_model()];
        let harness = window_of(size, controls, InstanceView { models, ..silent_view(2) });
        let card = harness.get_by_label("B model aliasing").rect();
        let drawn = harness.output().shapes.iter().find_map(|shape| match &shape.shape {
            egui::Shape::Text(text) if text.galley.text().starts_with("aliasing") => Some(text),
            _ => None,
        });
        let text = drawn.expect("the line is drawn");
        assert!(!text.galley.elided && text.galley.rows.len() == 1, "{size:?}");
        assert!(card.contains_rect(text.visual_bounding_rect()), "{size:?}: {card:?}, {:?}", text.visual_bounding_rect());
        let below = harness.get_by_label("B Input").rect();
        assert!(card.bottom() <= below.top() && card.right() <= size.0 as f32, "{size:?}: {card:?}, {below:?}");
    }
}

#[test]
fn a_models_cost_is_a_share_of_the_processor_and_its_delay_a_time() {
    let summary = |facts: ModelFacts, channels: usize| {
        let models = [ModelView::default(), ModelView { model: Some(Arc::new(facts)), ..ModelView::default() }];
        let controls = TestControls::default();
        controls.values.borrow_mut().insert(Control::Algorithm(Slot::B), 3.0);
        let harness = window_of(SIZE, controls, InstanceView { models, ..silent_view(channels) });
        value(&harness, "B model facts").unwrap()
    };
    let with_delay = |frames, ambiguous| {
        let delay = Some(ModelDelay { frames, inverted: false, ambiguous });
        ModelFacts { cost_ns: Some(258.0), delay, sample_rate: 48_000.0, ..ModelFacts::default() }
    };
    for (facts, channels, expected) in [
        (with_delay(84.24, false), 2, "2 % CPU \u{b7} late by 1.8 ms \u{b7} "),
        (with_delay(84.24, true), 4, "5 % CPU \u{b7} late by about 1.8 ms \u{b7} "),
        (with_delay(-84.24, false), 1, "1 % CPU \u{b7} early by 1.8 ms \u{b7} "),
        (ModelFacts { cost_ns: Some(20.0), ..with_delay(1.0, false) }, 2, "under 1 % CPU \u{b7} 48 kHz"),
        (ModelFacts { cost_ns: Some(f32::NAN), ..with_delay(f32::NAN, false) }, 2, "48 kHz"),
    ] {
        let text = summary(facts, channels);
        assert!(text.starts_with(expected), "{text}; expected {expected}");
    }
}

#[test]
fn parameters_without_effect_are_hidden_and_knobs_have_the_names_that_the_model_gives_them() {
    let unused = || vec![ParameterUse::Unused, ParameterUse::Used];
    let mut harness = model_window(ModelView { uses_without_model: unused(), ..ModelView::default() });
    assert!(harness.query_by_label("B Input").is_none());
    harness.get_by_label("B Mode");
    let height = |harness: &Harness<'_, EditorWindow>| harness.get_by_label("B Mode: Raw").rect().top();
    let without = height(&harness);
    for (parameter_uses, name) in [(vec![ParameterUse::Named("Presence".into())], "B Presence"), (vec![], "B Input")] {
        let model = Some(Arc::new(ModelFacts { parameter_uses, ..facts() }));
        harness.state_mut().view.models[1] = ModelView { model, uses_without_model: unused(), ..ModelView::default() };
        harness.run();
        harness.get_by_label(name);
        harness.get_by_label(&format!("{name} value"));
        assert_eq!(harness.query_all_by_label("B Input").count(), usize::from(name == "B Input"));
        assert!(height(&harness) > without + 50.0, "the knobs need room");
    }
    // Hidden or renamed, it is the same parameter.
    let control = parameter(Slot::B, 3, "input");
    harness.get_by_label("B Input").set_value_accesskit(3.0);
    harness.run();
    assert_eq!(drain_calls(&mut harness), gesture(control, 3.0));
}

#[test]
fn a_long_error_is_shown_in_two_lines() {
    let error =
        "weights: 3 numbers; expected 13802 for 2 arrays of 16 and 8 channels: /home/someone/models/amplifiers/plexi on ten.nam";
    let harness = model_window(ModelView { error: Some(error.into()), ..with_model() });
    let rows = harness.output().shapes.iter().filter_map(|shape| match &shape.shape {
        egui::Shape::Text(text) if text.galley.text().starts_with("weights") => Some(text.galley.rows.len()),
        _ => None,
    });
    assert_eq!(rows.max(), Some(2));
    assert_no_overlap(&inputs(&harness));
}

#[test]
fn each_button_of_the_model_bar_is_one_action() {
    let mut harness = model_window(with_model());
    click(&mut harness, "B previous model");
    click(&mut harness, "B next model");
    click(&mut harness, "B remove model");
    assert_eq!(
        drain_calls(&mut harness),
        [ControlCall::StepModel(Slot::B, -1), ControlCall::StepModel(Slot::B, 1), ControlCall::ClearModel(Slot::B)]
    );
    // Without a model there is nothing to step from and nothing to remove.
    let mut harness = model_window(ModelView::default());
    for name in ["B previous model", "B next model", "B remove model"] {
        click(&mut harness, name);
    }
    assert_eq!(drain_calls(&mut harness), []);
}

#[test]
fn an_error_is_shown_beside_the_model_that_goes_on_playing() {
    let error = "/models/broken.nam: weights: 3 numbers; expected 13802";
    let mut harness = model_window(ModelView { error: Some(error.into()), ..with_model() });
    assert_eq!(value(&harness, "B model error").as_deref(), Some(error));
    assert_eq!(value(&harness, "B model").as_deref(), Some("Plexi on ten"));
    harness.state_mut().view.models[1].error = None;
    harness.run();
    assert!(harness.query_by_label("B model error").is_none());
}

#[test]
fn loading_is_shown() {
    let harness = model_window(ModelView { loading: true, ..ModelView::default() });
    assert!(value(&harness, "B model facts").unwrap().starts_with("Loading"));
}

#[test]
fn a_click_in_the_browser_loads_a_file_or_opens_a_folder_and_leaves_it_open() {
    let mut harness = model_window(with_model());
    click(&mut harness, "B open model");
    assert_eq!(drain_calls(&mut harness), [ControlCall::BrowseModels(Slot::B)]);
    assert!(harness.query_by_label("B Input").is_none(), "the browser is in the place of the knobs");
    let path = folder().path;
    click(&mut harness, "B file twin.json");
    click(&mut harness, "B folder Bass");
    assert_eq!(
        drain_calls(&mut harness),
        [ControlCall::OpenModel(Slot::B, path.join("twin.json")), ControlCall::OpenModel(Slot::B, path.join("Bass"))]
    );
    click(&mut harness, "B folder up");
    assert_eq!(drain_calls(&mut harness), [ControlCall::OpenModel(Slot::B, path.parent().unwrap().to_owned())]);
    let playing = |name: &str| harness.get_by_label(name).accesskit_node().toggled() == Some(Toggled::True);
    assert_eq!((playing("B file plexi.nam"), playing("B file twin.json")), (!cfg!(windows), false));
    click(&mut harness, "B close browser");
    harness.get_by_label("B Input");
    assert_eq!(drain_calls(&mut harness), []);
}

#[test]
fn typing_in_the_browser_filters_and_enter_opens() {
    let path = folder().path;
    let mut harness = model_window(with_model());
    click(&mut harness, "B open model");
    drain_calls(&mut harness);
    // The text field has the focus already.
    harness.get_by_role(Role::TextInput).type_text("ZI");
    harness.run();
    harness.get_by_label("B file Zinky.onnx");
    assert!(harness.query_by_label("B file plexi.nam").is_none());
    harness.key_press(Key::Enter);
    harness.run();
    assert_eq!(drain_calls(&mut harness), [ControlCall::OpenModel(Slot::B, path.join("Zinky.onnx"))]);
    harness.get_by_label("B file plexi.nam");

    let typed = path.join("elsewhere/amp.nam");
    harness.get_by_role(Role::TextInput).focus();
    harness.run();
    harness.get_by_role(Role::TextInput).type_text(typed.to_str().unwrap());
    harness.run();
    harness.key_press(Key::Enter);
    harness.run();
    assert_eq!(drain_calls(&mut harness), [ControlCall::OpenModel(Slot::B, typed)]);
    harness.key_press(Key::Escape);
    harness.run();
    harness.get_by_label("B Input");
}

#[test]
fn the_browser_works_for_a_folder_that_is_not_or_cannot_be_listed() {
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
        turn_wheel(&harness, -3.0);
        harness.run_steps(30);
    }
    assert!(harness.query_by_label("B file model 0000.nam").is_none());
}

/// A file that is dropped on the window.
#[derive(Debug)]
struct TestFile(PathBuf);

impl egui::DroppedFile for TestFile {
    fn path(&self) -> &Path {
        &self.0
    }
    fn bytes(&self) -> Result<Vec<u8>, String> {
        Err("never read here".into())
    }
}

#[test]
fn a_dropped_file_is_loaded_by_the_card_that_plays_models() {
    let mut harness = model_window(ModelView::default());
    harness.input_mut().dropped_files.push(Arc::new(TestFile("/tmp/amp.nam".into())));
    harness.run();
    assert_eq!(drain_calls(&mut harness), [ControlCall::OpenModel(Slot::B, "/tmp/amp.nam".into())]);
    // If both cards play models, the card under the pointer gets the file.
    harness.state_mut().controls.values.borrow_mut().insert(Control::Algorithm(Slot::A), 3.0);
    harness.run();
    for slot in Slot::ALL {
        harness.get_by_label(&format!("{} Input", slot.name())).hover();
        harness.run_steps(90);
        harness.input_mut().dropped_files.push(Arc::new(TestFile("/tmp/amp.nam".into())));
        harness.run_steps(3);
        assert_eq!(drain_calls(&mut harness), [ControlCall::OpenModel(slot, "/tmp/amp.nam".into())]);
    }
    // If no card plays models, the file is ignored.
    let mut harness = window();
    harness.input_mut().dropped_files.push(Arc::new(TestFile("/tmp/amp.nam".into())));
    harness.run();
    assert_eq!(drain_calls(&mut harness), []);
}

#[test]
fn a_blind_comparison_hides_every_model() {
    let mut pictures = Vec::new();
    let error = ModelView { error: Some("no model".into()), loading: true, ..ModelView::default() };
    for view in [ModelView::default(), with_model(), error] {
        let hidden = InstanceView { blind: BlindView::Hidden, models: [view.clone(), view.clone()], ..silent_view(2) };
        let controls = TestControls::default();
        controls.values.borrow_mut().insert(Control::Algorithm(Slot::B), 3.0);
        controls.values.borrow_mut().insert(Control::Blind, 1.0);
        let mut harness = window_of(SIZE, controls, hidden);
        harness.input_mut().dropped_files.push(Arc::new(TestFile("/tmp/amp.nam".into())));
        harness.run_steps(60);
        assert_eq!(drain_calls(&mut harness), []);
        pictures.push((painted_shapes(&harness), accessible_texts(&harness), repaint_delay_ms(&harness)));

        // A blind comparison that begins while the browser is open hides that, too.
        let mut harness = model_window(view);
        click(&mut harness, "B open model");
        harness.state_mut().view.blind = BlindView::Hidden;
        harness.run_steps(60);
        let texts = accessible_texts(&harness);
        for word in ["model", "Plexi", "file", "folder", "filter"] {
            assert!(!texts.iter().any(|s| s.contains(word)), "{word} in {texts:?}");
        }
    }
    for other in &pictures[1..] {
        assert_eq!(pictures[0].1, other.1);
        assert_eq!(pictures[0].2, other.2);
        assert!(pictures[0].0 == other.0, "the window differs with the model");
    }
}

#[test]
fn an_algorithm_that_plays_no_model_closes_the_browser() {
    let mut harness = model_window(with_model());
    click(&mut harness, "B open model");
    harness.state_mut().controls.values.borrow_mut().insert(Control::Algorithm(Slot::B), 0.0);
    harness.run();
    harness.get_by_label("B Drive");
    harness.state_mut().controls.values.borrow_mut().insert(Control::Algorithm(Slot::B), 3.0);
    harness.run();
    harness.get_by_label("B Input");
}

#[test]
fn the_rate_of_a_model_whose_file_has_none_is_a_button_that_steps_through_the_usual_rates() {
    let window = |sample_rate: f32, sample_rate_given: bool| {
        let facts = ModelFacts { sample_rate, sample_rate_given, ..facts() };
        model_window(ModelView { model: Some(Arc::new(facts)), ..ModelView::default() })
    };
    for (rate, next) in [(44_100.0, 48_000.0), (48_000.0, 88_200.0), (88_200.0, 96_000.0), (96_000.0, 44_100.0)] {
        let mut harness = window(rate, false);
        harness.get_by_label("B model rate").click();
        harness.run_steps(2);
        assert_eq!(drain_calls(&mut harness), [ControlCall::SetModelRate(Slot::B, next)]);
    }
    assert!(window(48_000.0, true).query_by_label("B model rate").is_none());
}
