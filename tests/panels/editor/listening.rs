//! Tests of bypass, blind comparisons and the take panel within the editor.

use super::*;

#[test]
fn bypass_and_blind_switch_on_and_off() {
    for (name, control) in [("Bypass", Control::Bypass), ("Blind", Control::Blind)] {
        let mut harness = window();
        click(&mut harness, name);
        assert_eq!(drain_calls(&mut harness), gesture(control, 1.0));
        click(&mut harness, name);
        assert_eq!(drain_calls(&mut harness), gesture(control, 0.0));
    }
}

#[test]
fn a_comparison_that_is_switched_on_is_hidden_at_once() {
    let mut harness = window();
    click(&mut harness, "Blind");
    assert_eq!(harness.state().view.blind, BlindView::Off);
    harness.get_by_label("Listen X");
    assert!(harness.query_by_label("A Drive").is_none());
}

#[test]
fn reveal_shows_which_slot_was_which() {
    let mut harness = window();
    click(&mut harness, "Reveal");
    assert_eq!(drain_calls(&mut harness), [], "nothing to reveal");
    harness.state_mut().view.blind = BlindView::Hidden;
    harness.run();
    click(&mut harness, "Reveal");
    assert_eq!(drain_calls(&mut harness), [ControlCall::Reveal]);
    harness.state_mut().view.blind = BlindView::Revealed { left: Slot::B };
    harness.run();
    harness.get_by_label("Listen X, B");
    harness.get_by_label("Listen Y, A");
    harness.get_by_label("A Drive");
    // Slot A is heard; Y, the right button, is A in this comparison.
    assert_eq!(harness.get_by_label("Listen Y, A").accesskit_node().toggled(), Some(Toggled::True));
    click(&mut harness, "Listen X, B");
    assert_eq!(drain_calls(&mut harness), [ControlCall::PressListen(0)]);
}

#[test]
fn the_take_panel_replaces_the_cards_and_its_actions_reach_the_owner() {
    let mut harness = window();
    click(&mut harness, "Takes");
    assert!(harness.query_by_label("A algorithm").is_none());
    assert_no_overlap(&inputs(&harness));
    click(&mut harness, "Standby");
    click(&mut harness, "Record Output");
    let mut setup = isotherm::view::TakeSetup::default();
    setup.sources[3] = true;
    assert_eq!(
        drain_calls(&mut harness),
        [ControlCall::RequestTake(TakeAction::Standby(true)), ControlCall::RequestTake(TakeAction::Setup(setup))]
    );
    click(&mut harness, "Takes");
    harness.get_by_label("A algorithm");
}

#[test]
fn a_blind_comparison_hides_the_take_panel_and_leaves_its_bar() {
    let mut harness = window();
    click(&mut harness, "Takes");
    harness.state_mut().view.blind = BlindView::Hidden;
    harness.run();
    assert!(harness.query_by_label("Record Slot A").is_none());
    click(&mut harness, "Standby");
    assert_eq!(drain_calls(&mut harness), [ControlCall::RequestTake(TakeAction::Standby(true))]);
}
