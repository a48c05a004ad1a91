//! A model and the browser of its folder.

use super::*;

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
