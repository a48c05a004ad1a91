//! Tests of the twin's bar: the requests that it sends and the status that it shows.

use super::*;

/// The text of the twin's bar.
fn twin_status(harness: &Harness<'_, EditorWindow>) -> String {
    harness.get_by_label("Twin").value().unwrap()
}

#[test]
fn the_twin_of_a_is_trained_in_the_chosen_size() {
    let mut harness = window();
    click(&mut harness, "Train twin of A into B");
    assert_eq!(drain_calls(&mut harness), [ControlCall::RequestTwin(TwinRequest::Train(0))]);
    click(&mut harness, "Twin size");
    click(&mut harness, "Good: lstm-16, 60 s");
    assert_eq!(drain_calls(&mut harness), []);
    click(&mut harness, "Train twin of A into B");
    assert_eq!(drain_calls(&mut harness), [ControlCall::RequestTwin(TwinRequest::Train(1))]);
}

#[test]
fn no_twin_is_trained_of_a_slot_that_plays_a_model() {
    let controls = TestControls::default();
    controls.values.borrow_mut().insert(Control::Algorithm(Slot::A), 3.0);
    let mut harness = window_of(SIZE, controls, silent_view(2));
    assert!(twin_status(&harness).contains("A runs a model already"));
    click(&mut harness, "Train twin of A into B");
    assert_eq!(drain_calls(&mut harness), []);
}

#[test]
fn a_training_shows_its_progress_and_can_be_cancelled() {
    let note = "Dither is chance: the twin learns the rest";
    let stage = |done, esr, left_seconds| TwinStage::Training {
        name: "Knobs twin, lstm-8".into(),
        note: note.into(),
        done,
        left_seconds,
        esr,
    };
    assert!(twin_status(&window_with_twin(stage(0.0, None, None))).starts_with("Playing A to learn from"));
    let mut harness = window_with_twin(stage(0.42, Some(0.0158), Some(71.0)));
    let status = twin_status(&harness);
    for part in ["42 %", "1 min 11 s left", "sounds a little different", "Knobs twin, lstm-8", note] {
        assert!(status.contains(part), "{part} in {status}");
    }
    assert!(!status.contains("ESR"), "{status}");
    harness.get_by_label("Twin").hover();
    harness.run_steps(90);
    assert!(accessible_texts(&harness).iter().any(|s| s.contains("ESR 0.0158 (-18.0 dB)")));
    assert!(harness.query_by_label("Train twin of A into B").is_none());
    click(&mut harness, "Cancel twin");
    assert_eq!(drain_calls(&mut harness), [ControlCall::RequestTwin(TwinRequest::Cancel)]);
}

#[test]
fn a_twin_that_is_not_good_enough_is_offered_for_slot_b_and_one_that_plays_there_is_not() {
    let mut harness = window_with_twin(done_stage(false, 0));
    let status = twin_status(&harness);
    for part in ["sounds a little different: train longer", "not in slot B", "Tube saturator (Drive 24 dB) twin, lstm-8"] {
        assert!(status.contains(part), "{part} in {status}");
    }
    for (button, request) in [
        ("Use twin anyway", TwinRequest::LoadIntoB),
        ("Train twin longer", TwinRequest::Train(1)),
        ("Save twin", TwinRequest::Save),
        ("Dismiss twin", TwinRequest::Dismiss),
    ] {
        click(&mut harness, button);
        assert_eq!(drain_calls(&mut harness), [ControlCall::RequestTwin(request)]);
    }
    let harness = window_with_twin(done_stage(true, 0));
    assert!(harness.query_by_label("Use twin anyway").is_none() && harness.query_by_label("Train twin longer").is_none());
    assert!(window_with_twin(done_stage(false, 2)).query_by_label("Train twin longer").is_none());
}

#[test]
fn a_twins_error_is_told_in_words_and_its_figure_in_the_tooltip() {
    for (esr, words, figure) in [
        (0.8911, "sounds clearly different: train longer", "ESR 0.8911 (-0.5 dB)"),
        (0.05, "sounds different: train longer", "ESR 0.0500 (-13.0 dB)"),
        (0.02, "sounds a little different: train longer", "ESR 0.0200 (-17.0 dB)"),
        (0.001, "sounds the same, or nearly: train longer", "ESR 0.0010 (-30.0 dB)"),
        (f64::NAN, "sounds clearly different: train longer", "ESR NaN"),
    ] {
        let TwinStage::Done { name, note, size, plays_in_b, saved, error, .. } = done_stage(false, 0) else { unreachable!() };
        let mut harness = window_with_twin(TwinStage::Done { name, note, esr, size, plays_in_b, saved, error });
        let status = twin_status(&harness);
        assert!(status.starts_with(words) && !status.contains("ESR"), "{status}");
        harness.get_by_label("Twin").hover();
        harness.run_steps(90);
        assert!(accessible_texts(&harness).iter().any(|s| s.contains(figure)), "{figure}");
    }
    assert!(!twin_status(&window_with_twin(done_stage(false, 2))).contains("train longer"), "it is the largest");
    assert!(!twin_status(&window_with_twin(done_stage(true, 0))).contains("train longer"), "it plays in slot B");
}

#[test]
fn a_twin_whose_model_slot_b_has_is_played_there_but_not_during_a_blind_comparison() {
    let twin = TwinView { stage: done_stage(false, 0), play_pending: true, starting_in_b: true };
    let mut harness = window_of(SIZE, TestControls::default(), InstanceView { twin: twin.clone(), ..silent_view(2) });
    assert!(drain_calls(&mut harness).contains(&ControlCall::RequestTwin(TwinRequest::PlayInB)));
    let mut harness = window_of(SIZE, TestControls::default(), InstanceView { twin, blind: BlindView::Hidden, ..silent_view(2) });
    assert_eq!(drain_calls(&mut harness), []);
}

#[test]
fn a_twin_is_shown_as_in_slot_b_only_while_slot_b_plays_it() {
    let status_and_offer = |plays_in_b, starting_in_b| {
        let twin = TwinView { stage: done_stage(plays_in_b, 0), play_pending: false, starting_in_b };
        let harness = window_of(SIZE, TestControls::default(), InstanceView { twin, ..silent_view(2) });
        (twin_status(&harness), harness.query_by_label("Use twin anyway").is_some())
    };
    let (status, offered) = status_and_offer(true, false);
    assert!(status.contains("in slot B") && !status.contains("not in slot B") && !offered, "{status}");
    let (status, offered) = status_and_offer(false, true);
    assert!(status.contains("on its way into slot B") && !offered, "{status}");
    let (status, offered) = status_and_offer(false, false);
    assert!(status.contains("not in slot B") && offered, "{status}");
}

#[test]
fn at_every_stage_of_a_training_nothing_overlaps() {
    for stage in [TwinStage::Failed("no".into()), done_stage(false, 0), done_stage(true, 2)] {
        for size in [SIZE, MIN_SIZE] {
            let harness = window_of(
                size,
                TestControls::default(),
                InstanceView { twin: TwinView { stage: stage.clone(), ..TwinView::default() }, ..silent_view(2) },
            );
            assert_no_overlap(&visible_inputs(&harness));
        }
    }
}
