//! Knobs: gestures, text, keys, the wheel, tooltips.

use isotherm::audio::Random;

use super::*;

fn drag(harness: &mut Harness<'_, State>, name: &str, up: &[f32]) {
    let from = harness.get_by_label(name).rect().center();
    harness.hover_at(from);
    harness.drag_at(from);
    harness.run();
    for &up in up {
        harness.hover_at(from - vec2(0.0, up));
        harness.run();
    }
    let last = from - vec2(0.0, up.last().copied().unwrap_or(0.0));
    harness.drop_at(last);
    harness.run();
}

#[test]
fn a_drag_is_one_gesture_that_begins_sets_and_ends_in_range() {
    for (name, control) in [("A Drive", tube(Slot::A, "drive")), ("B Tone", tube(Slot::B, "tone"))] {
        let Control::Parameter { index, .. } = control else { unreachable!() };
        let (min, max) = TUBE.parameters[index].range();
        for (up, end) in [([10.0, 20.0, 2000.0], max), ([-10.0, -20.0, -2000.0], min)] {
            let mut harness = window();
            drag(&mut harness, name, &up);
            let did = did(&mut harness);
            assert_eq!(did.first(), Some(&Did::Begin(control)));
            assert_eq!(did.last(), Some(&Did::End(control)));
            for step in &did[1..did.len() - 1] {
                assert!(matches!(step, Did::Set(c, v) if *c == control && (min..=max).contains(v)), "{did:?}");
            }
            assert_eq!(harness.state().desk.get(control), end, "{name} by {up:?}");
        }
    }
}

#[test]
fn dragging_up_is_more_and_shift_is_finer() {
    let travel = |shift: bool| {
        let mut harness = window();
        if shift {
            harness.event(Event::ModifiersChanged(Modifiers::SHIFT));
        }
        drag(&mut harness, "A Drive", &[10.0, 30.0, 50.0]);
        harness.state().desk.get(tube(Slot::A, "drive")) - 6.0
    };
    let (coarse, fine) = (travel(false), travel(true));
    assert!(coarse > 5.0, "{coarse}");
    assert!(fine > 0.0 && fine < coarse / 5.0, "{fine} of {coarse}");
}

#[test]
fn a_logarithmic_knob_travels_by_ratios() {
    let control = tube(Slot::A, "tone");
    let mut values = Vec::new();
    for up in [-60.0, -100.0, -140.0] {
        let mut harness = window();
        drag(&mut harness, "A Tone", &[up]);
        values.push(harness.state().desk.get(control));
    }
    let (first, second) = (values[0] / values[1], values[1] / values[2]);
    assert!((first / second - 1.0).abs() < 1e-3, "{values:?}");
}

#[test]
fn a_double_click_restores_the_default() {
    let control = tube(Slot::B, "drive");
    let mut harness = window();
    harness.state_mut().desk.values.borrow_mut().insert(control, 30.0);
    harness.run();
    harness.get_by_label("B Drive").click();
    harness.get_by_label("B Drive").click();
    harness.run();
    assert_eq!(did(&mut harness), once(control, 6.0));
}

#[test]
fn a_typed_value_is_parsed() {
    for (name, text, control, value) in [
        ("A Drive value", "-3.5 dB", tube(Slot::A, "drive"), -3.5),
        ("B Tone value", "1.2 kHz", tube(Slot::B, "tone"), 1200.0),
        ("B Tone value", "off", tube(Slot::B, "tone"), 20_000.0),
    ] {
        let mut harness = window();
        click(&mut harness, name);
        harness.get_by_role(Role::TextInput).type_text(text);
        harness.key_press(Key::Enter);
        harness.run();
        assert_eq!(did(&mut harness), once(control, value), "{name}: {text}");
        assert!(harness.query_by_role(Role::TextInput).is_none());
    }
}

#[test]
fn a_bad_text_leaves_the_value_and_says_why() {
    for (text, why) in [("loud", "'loud' is not a number"), ("99", "99 is out of range")] {
        let mut harness = window();
        click(&mut harness, "A Drive value");
        harness.get_by_role(Role::TextInput).type_text(text);
        harness.key_press(Key::Enter);
        harness.run();
        let said = said(&harness);
        assert!(said.iter().any(|s| s.contains(why) && s.contains("-12 to 48 dB")), "{said:?}");
        assert_eq!(did(&mut harness), []);
        // The field is still open: a better text goes through.
        harness.get_by_role(Role::TextInput).type_text("7");
        harness.key_press(Key::Enter);
        harness.run();
        assert_eq!(did(&mut harness), once(tube(Slot::A, "drive"), 7.0));
    }
}

#[test]
fn escape_leaves_the_value() {
    let mut harness = window();
    click(&mut harness, "A Drive value");
    harness.get_by_role(Role::TextInput).type_text("12");
    harness.key_press(Key::Escape);
    harness.run();
    assert!(harness.query_by_role(Role::TextInput).is_none());
    assert_eq!(did(&mut harness), []);
}

#[test]
fn off_is_written_as_off() {
    let harness = window();
    let value = harness.get_by_label("A Tone").value();
    assert_eq!(value.as_deref(), Some("off"));
    assert_eq!(harness.get_by_label("A Drive").value().as_deref(), Some("6.00 dB"));
}

#[test]
fn a_focused_knob_obeys_the_keyboard() {
    let control = tube(Slot::A, "drive");
    for (key, value) in [
        (Key::ArrowUp, 6.6),
        (Key::ArrowRight, 6.6),
        (Key::ArrowDown, 5.4),
        (Key::ArrowLeft, 5.4),
        (Key::PageUp, 12.0),
        (Key::Home, -12.0),
        (Key::End, 48.0),
    ] {
        let mut harness = window();
        harness.get_by_label("A Drive").focus();
        harness.run();
        harness.key_press(key);
        harness.run();
        assert!(harness.get_by_label("A Drive").is_focused(), "{key:?}");
        let did = did(&mut harness);
        assert!(
            matches!(did[..], [Did::Begin(_), Did::Set(c, v), Did::End(_)] if c == control && (v - value).abs() < 1e-3),
            "{did:?}"
        );
    }
}

#[test]
fn an_assistive_tool_sets_a_knob() {
    let mut harness = window();
    harness.get_by_label("A Drive").set_value_accesskit(12.5);
    harness.run();
    assert_eq!(did(&mut harness), once(tube(Slot::A, "drive"), 12.5));
    harness.get_by_label("A Drive").set_value_accesskit(1e9);
    harness.run();
    assert_eq!(did(&mut harness), once(tube(Slot::A, "drive"), 48.0));
}

#[test]
fn the_wheel_turns_the_knob_under_the_pointer() {
    let control = tube(Slot::A, "drive");
    let mut harness = window();
    harness.run_steps(60);
    harness.get_by_label("A Drive").hover();
    harness.run();
    wheel(&harness, 1.0);
    harness.run_steps(60);
    let did = did(&mut harness);
    assert!(matches!(did[..], [Did::Begin(_), Did::Set(c, v), Did::End(_)] if c == control && v > 6.0), "{did:?}");
}

#[test]
fn an_editor_works_again_in_another_window() {
    let mut first = window();
    first.run_steps(600);
    first.get_by_label("A Drive").hover();
    wheel(&first, 1.0);
    first.run_steps(60);
    first.get_by_label("A Drive value").click();
    first.run_steps(60);
    let mut state = first.into_state();
    state.editor.close(&state.desk);
    state.desk.did.borrow_mut().clear();
    let mut second = Harness::builder()
        .with_size(vec2(916.0, 576.0))
        .with_step_dt(1.0 / 60.0)
        .build_ui_state(|ui, state: &mut State| state.editor.show(ui, &state.desk, &state.snapshot), state);
    second.run_steps(60);
    assert!(second.query_by_role(Role::TextInput).is_none());
    second.get_by_label("A Drive").hover();
    wheel(&second, 1.0);
    second.run_steps(60);
    assert_eq!(did(&mut second).len(), 3);
}

#[test]
fn the_same_listen_button_pressed_twice_is_two_presses() {
    let mut harness = window();
    click(&mut harness, "Listen B");
    click(&mut harness, "Listen B");
    click(&mut harness, "Listen A");
    assert_eq!(did(&mut harness), [Did::Press(1), Did::Press(1), Did::Press(0)]);
    let toggled = |name| harness.get_by_label(name).accesskit_node().toggled();
    assert_eq!(toggled("Listen A"), Some(Toggled::True));
    assert_eq!(toggled("Listen B"), Some(Toggled::False));
}

#[test]
fn a_gesture_ends_when_its_knob_goes() {
    let control = tube(Slot::A, "drive");
    type Loss = fn(&mut State);
    let losses: [Loss; 3] = [
        |state| state.snapshot.blind = BlindView::Hidden,
        |state| {
            state.desk.values.borrow_mut().insert(Control::Algorithm(Slot::A), 1.0);
        },
        |state| state.editor.close(&state.desk),
    ];
    for lose in losses {
        let mut harness = window();
        let from = harness.get_by_label("A Drive").rect().center();
        harness.hover_at(from);
        harness.drag_at(from);
        harness.hover_at(from - vec2(0.0, 20.0));
        harness.run();
        assert_eq!(harness.state().desk.did.borrow()[0], Did::Begin(control));
        lose(harness.state_mut());
        if harness.state().snapshot.blind == BlindView::Off && harness.state().desk.get(Control::Algorithm(Slot::A)) == 0.0 {
            assert_eq!(did(&mut harness).last(), Some(&Did::End(control)));
            continue;
        }
        harness.run();
        harness.drop_at(from);
        harness.run();
        let did = did(&mut harness);
        assert_eq!(did.iter().filter(|d| matches!(d, Did::Begin(_))).count(), 1);
        assert_eq!(did.last(), Some(&Did::End(control)));
    }
}

#[test]
fn a_tooltip_says_what_a_parameter_does_its_range_and_how_it_changes() {
    for (name, words) in [
        ("A Drive", &["More of it.", "-12 to 48 dB", "default 6.00"][..]),
        ("A Tone", &["Brighter.", "200 to 20000 Hz or off"]),
        ("B Oversampling: 1x", &["Which of some.", "1, 2, 4 or 8", "short dip; not automatable"]),
    ] {
        let mut harness = window();
        harness.get_by_label(name).hover();
        harness.run_steps(90);
        let said = said(&harness);
        for word in words {
            assert!(said.iter().any(|s| s.contains(word)), "{name}: no '{word}' in {said:?}");
        }
    }
}

#[test]
fn gestures_never_nest_whatever_the_hands_do() {
    for seed in 0..8_u64 {
        let mut source = Random::new(seed);
        let mut random = |below: usize| source.below(below);
        let mut harness = window();
        for turn in 0..1000 {
            // The panel of takes hides all knobs, and hands find its small button again only by chance.
            if turn % 50 == 0 && harness.query_by_label("Record Input").is_some() {
                harness.get_by_label("Takes").click();
            }
            let at = pos2(random(SIZE.0 as usize) as f32, random(SIZE.1 as usize) as f32);
            match random(9) {
                0..=2 => harness.hover_at(at),
                3 | 4 => harness.drag_at(at),
                5 => harness.drop_at(at),
                6 => wheel(&harness, random(3) as f32 - 1.0),
                7 => harness.key_press([Key::Tab, Key::ArrowUp, Key::Enter, Key::Escape, Key::Num7][random(5)]),
                _ => {
                    harness.state_mut().snapshot.blind = if random(8) == 0 { BlindView::Hidden } else { BlindView::Off };
                    harness.state_mut().desk.values.borrow_mut().remove(&Control::Blind);
                }
            }
            harness.step();
        }
        harness.state_mut().snapshot.blind = BlindView::Hidden;
        harness.run_steps(2);
        let mut open = None;
        let did = did(&mut harness);
        assert!(did.len() > 10, "seed {seed} does nothing: {did:?}");
        for step in did {
            match step {
                Did::Begin(control) => assert_eq!(open.replace(control), None, "seed {seed}"),
                Did::Set(control, _) => assert_eq!(open, Some(control), "seed {seed}"),
                Did::End(control) => assert_eq!(open.take(), Some(control), "seed {seed}"),
                _ => assert_eq!(open, None, "seed {seed}"),
            }
            if let Did::Set(Control::Parameter { algorithm, index, .. }, value) = step {
                let parameter = &REGISTRY[algorithm].parameters[index];
                assert_eq!(parameter.clamp(value), value, "seed {seed}: {}", parameter.id);
            }
        }
        assert_eq!(open, None, "seed {seed}");
    }
}
