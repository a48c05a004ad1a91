//! The strip in which a twin is trained.

use super::*;

fn strip_says(harness: &Harness<'_, State>) -> String {
    harness.get_by_label("Twin").value().unwrap()
}

#[test]
fn the_twin_of_a_is_trained_in_the_chosen_size() {
    let mut harness = window();
    click(&mut harness, "Train twin of A into B");
    assert_eq!(did(&mut harness), [Did::Twin(TwinWish::Train(0))]);
    click(&mut harness, "Twin size");
    click(&mut harness, "Good: lstm-16, 60 s");
    assert_eq!(did(&mut harness), []);
    click(&mut harness, "Train twin of A into B");
    assert_eq!(did(&mut harness), [Did::Twin(TwinWish::Train(1))]);
}

#[test]
fn no_twin_is_trained_of_a_model() {
    let desk = Desk::default();
    desk.values.borrow_mut().insert(Control::Algorithm(Slot::A), 3.0);
    let mut harness = window_of(SIZE, desk, silence(2));
    assert!(strip_says(&harness).contains("A runs a model already"));
    click(&mut harness, "Train twin of A into B");
    assert_eq!(did(&mut harness), []);
}

#[test]
fn a_training_shows_how_far_it_is_and_can_be_called_off() {
    let note = "Dither is chance: the twin learns the rest";
    let stage = |done, esr, left_seconds| TwinStage::Training {
        name: "Knobs twin, lstm-8".into(),
        note: note.into(),
        done,
        left_seconds,
        esr,
    };
    assert!(strip_says(&strip(stage(0.0, None, None))).starts_with("Playing A to learn from"));
    let mut harness = strip(stage(0.42, Some(0.0158), Some(71.0)));
    let says = strip_says(&harness);
    for part in ["42 %", "1 min 11 s left", "ESR 0.0158 (-18.0 dB)", "Knobs twin, lstm-8", note] {
        assert!(says.contains(part), "{part} in {says}");
    }
    assert!(harness.query_by_label("Train twin of A into B").is_none());
    click(&mut harness, "Cancel twin");
    assert_eq!(did(&mut harness), [Did::Twin(TwinWish::Cancel)]);
}

#[test]
fn a_twin_that_is_not_good_enough_is_offered_and_one_in_b_is_not() {
    let mut harness = strip(done(false, 0));
    let says = strip_says(&harness);
    for part in ["ESR 0.0158 (-18.0 dB)", "not in slot B", "Tube saturator (Drive 24 dB) twin, lstm-8"] {
        assert!(says.contains(part), "{part} in {says}");
    }
    for (button, wish) in [
        ("Use twin anyway", TwinWish::Use),
        ("Train twin longer", TwinWish::Train(1)),
        ("Save twin", TwinWish::Save),
        ("Dismiss twin", TwinWish::Dismiss),
    ] {
        click(&mut harness, button);
        assert_eq!(did(&mut harness), [Did::Twin(wish)]);
    }
    let harness = strip(done(true, 0));
    assert!(harness.query_by_label("Use twin anyway").is_none() && harness.query_by_label("Train twin longer").is_none());
    assert!(strip(done(false, 2)).query_by_label("Train twin longer").is_none());
}

#[test]
fn a_twin_that_came_into_b_is_seated_but_not_in_a_blind_comparison() {
    let twin = TwinView { stage: done(false, 0), arrived: true, coming: true };
    let mut harness = window_of(SIZE, Desk::default(), Snapshot { twin: twin.clone(), ..silence(2) });
    assert!(did(&mut harness).contains(&Did::Twin(TwinWish::Seat)));
    let mut harness = window_of(SIZE, Desk::default(), Snapshot { twin, blind: BlindView::Hidden, ..silence(2) });
    assert_eq!(did(&mut harness), []);
}

#[test]
fn a_twin_is_said_to_be_in_slot_b_only_while_slot_b_plays_it() {
    let says = |placed, coming| {
        let twin = TwinView { stage: done(placed, 0), arrived: false, coming };
        let harness = window_of(SIZE, Desk::default(), Snapshot { twin, ..silence(2) });
        (strip_says(&harness), harness.query_by_label("Use twin anyway").is_some())
    };
    let (said, offered) = says(true, false);
    assert!(said.contains("in slot B") && !said.contains("not in slot B") && !offered, "{said}");
    let (said, offered) = says(false, true);
    assert!(said.contains("on its way into slot B") && !offered, "{said}");
    let (said, offered) = says(false, false);
    assert!(said.contains("not in slot B") && offered, "{said}");
}

#[test]
fn every_stage_of_a_training_stays_apart_from_the_rest() {
    for stage in [TwinStage::Failed("no".into()), done(false, 0), done(true, 2)] {
        for size in [SIZE, MIN_SIZE] {
            let harness = window_of(
                size,
                Desk::default(),
                Snapshot { twin: TwinView { stage: stage.clone(), ..TwinView::default() }, ..silence(2) },
            );
            assert_apart(&seen(&harness));
        }
    }
}
