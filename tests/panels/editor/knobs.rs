//! Tests of knobs: gestures, typed values, keys, the wheel and tooltips; also of the listen buttons.

use isotherm::audio::Random;

use super::*;

/// Presses the mouse on a knob, moves it to each of the distances `up` above the knob's middle, in pixels, and releases it.
fn drag(harness: &mut Harness<'_, EditorWindow>, name: &str, up: &[f32]) {
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
    for (name, control) in [("A Drive", tube_parameter(Slot::A, "drive")), ("B Tone", tube_parameter(Slot::B, "tone"))] {
        let Control::Parameter { index, .. } = control else { unreachable!() };
        let (min, max) = TUBE.parameters[index].range();
        for (up, end) in [([10.0, 20.0, 2000.0], max), ([-10.0, -20.0, -2000.0], min)] {
            let mut harness = window();
            drag(&mut harness, name, &up);
            let calls = drain_calls(&mut harness);
            assert_eq!(calls.first(), Some(&ControlCall::Begin(control)));
            assert_eq!(calls.last(), Some(&ControlCall::End(control)));
            for call in &calls[1..calls.len() - 1] {
                assert!(matches!(call, ControlCall::Set(c, v) if *c == control && (min..=max).contains(v)), "{calls:?}");
            }
            assert_eq!(harness.state().controls.get(control), end, "{name} by {up:?}");
        }
    }
}

#[test]
fn dragging_up_increases_the_value_and_shift_makes_it_finer() {
    let change_db = |shift: bool| {
        let mut harness = window();
        if shift {
            harness.event(Event::ModifiersChanged(Modifiers::SHIFT));
        }
        drag(&mut harness, "A Drive", &[10.0, 30.0, 50.0]);
        harness.state().controls.get(tube_parameter(Slot::A, "drive")) - 6.0
    };
    let (coarse, fine) = (change_db(false), change_db(true));
    assert!(coarse > 5.0, "{coarse}");
    assert!(fine > 0.0 && fine < coarse / 5.0, "{fine} of {coarse}");
}

#[test]
fn equal_drags_of_a_logarithmic_knob_change_the_value_by_equal_ratios() {
    let control = tube_parameter(Slot::A, "tone");
    let mut values = Vec::new();
    for up in [-60.0, -100.0, -140.0] {
        let mut harness = window();
        drag(&mut harness, "A Tone", &[up]);
        values.push(harness.state().controls.get(control));
    }
    let (first, second) = (values[0] / values[1], values[1] / values[2]);
    assert!((first / second - 1.0).abs() < 1e-3, "{values:?}");
}

#[test]
fn a_double_click_restores_the_default() {
    let control = tube_parameter(Slot::B, "drive");
    let mut harness = window();
    harness.state_mut().controls.values.borrow_mut().insert(control, 30.0);
    harness.run();
    harness.get_by_label("B Drive").click();
    harness.get_by_label("B Drive").click();
    harness.run();
    assert_eq!(drain_calls(&mut harness), gesture(control, 6.0));
}

#[test]
fn a_typed_value_is_parsed() {
    for (name, text, control, value) in [
        ("A Drive value", "-3.5 dB", tube_parameter(Slot::A, "drive"), -3.5),
        ("B Tone value", "1.2 kHz", tube_parameter(Slot::B, "tone"), 1200.0),
        ("B Tone value", "2.5k", tube_parameter(Slot::B, "tone"), 2500.0),
        ("A Drive value", "7,5", tube_parameter(Slot::A, "drive"), 7.5),
        ("B Tone value", "off", tube_parameter(Slot::B, "tone"), 20_000.0),
    ] {
        let mut harness = window();
        click(&mut harness, name);
        harness.get_by_role(Role::TextInput).type_text(text);
        harness.key_press(Key::Enter);
        harness.run();
        assert_eq!(drain_calls(&mut harness), gesture(control, value), "{name}: {text}");
        assert!(harness.query_by_role(Role::TextInput).is_none());
    }
}

#[test]
fn a_double_click_on_a_value_opens_a_field_that_takes_text_and_goes_when_it_is_left() {
    // Frames after each press and release of a mouse, and between the clicks of slow and quick hands.
    for (between_events, between_clicks) in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 3), (3, 6)] {
        for leaves_by_click in [false, true] {
            let mut harness = window();
            let at = harness.get_by_label("A Drive value").rect().center();
            harness.hover_at(at);
            harness.run();
            for _ in 0..2 {
                for pressed in [true, false] {
                    let button = egui::PointerButton::Primary;
                    // All that came since the last frame is in one input, as in a real window.
                    let event = Event::PointerButton { pos: at, button, pressed, modifiers: Modifiers::NONE };
                    harness.input_mut().events.push(event);
                    harness.run_steps(between_events);
                }
                harness.run_steps(between_clicks);
            }
            harness.run();
            let case = format!("{between_events} {between_clicks}");
            assert!(harness.get_by_role(Role::TextInput).is_focused(), "{case}");
            harness.event(Event::Text("7".into()));
            harness.run();
            if leaves_by_click {
                harness.get_by_label_contains("Latency").click();
            } else {
                harness.key_press(Key::Enter);
            }
            harness.run();
            assert!(harness.query_by_role(Role::TextInput).is_none(), "{case}");
            assert_eq!(drain_calls(&mut harness).len(), 3, "one gesture: {case}");
        }
    }
}

#[test]
fn a_text_that_is_not_a_value_leaves_the_value_and_shows_the_reason() {
    for (text, reason) in [("loud", "'loud' is not a number"), ("1,2,3", "'1,2,3' is not a number")] {
        let mut harness = window();
        click(&mut harness, "A Drive value");
        harness.get_by_role(Role::TextInput).type_text(text);
        harness.key_press(Key::Enter);
        harness.run();
        let texts = accessible_texts(&harness);
        assert!(texts.iter().any(|s| s.contains(reason) && s.contains("-12 to 48 dB")), "{texts:?}");
        assert_eq!(drain_calls(&mut harness), []);
        // The field is still open, and a valid text is accepted.
        harness.get_by_role(Role::TextInput).type_text("7");
        harness.key_press(Key::Enter);
        harness.run();
        assert_eq!(drain_calls(&mut harness), gesture(tube_parameter(Slot::A, "drive"), 7.0));
    }
}

#[test]
fn a_typed_value_out_of_range_becomes_the_nearest_one_and_the_window_says_so() {
    let mut harness = window();
    click(&mut harness, "A Drive value");
    harness.get_by_role(Role::TextInput).type_text("99");
    harness.key_press(Key::Enter);
    harness.run();
    assert_eq!(drain_calls(&mut harness), gesture(tube_parameter(Slot::A, "drive"), 48.0));
    assert!(harness.query_by_role(Role::TextInput).is_none());
    let note =
        |harness: &_| accessible_texts(harness).iter().any(|s| s.contains("99 is out of range: set to 48.00 dB; -12 to 48 dB"));
    assert!(note(&harness), "{:?}", accessible_texts(&harness));
    click(&mut harness, "A Drive value");
    assert!(!note(&harness));
}

#[test]
fn escape_leaves_the_value() {
    let mut harness = window();
    click(&mut harness, "A Drive value");
    harness.get_by_role(Role::TextInput).type_text("12");
    harness.key_press(Key::Escape);
    harness.run();
    assert!(harness.query_by_role(Role::TextInput).is_none());
    assert_eq!(drain_calls(&mut harness), []);
}

#[test]
fn a_value_that_means_off_is_shown_as_off() {
    let harness = window();
    let value = harness.get_by_label("A Tone").value();
    assert_eq!(value.as_deref(), Some("off"));
    assert_eq!(harness.get_by_label("A Drive").value().as_deref(), Some("6.00 dB"));
}

#[test]
fn keys_turn_the_knob_that_has_the_focus() {
    let control = tube_parameter(Slot::A, "drive");
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
        let calls = drain_calls(&mut harness);
        let [ControlCall::Begin(_), ControlCall::Set(set, new_value), ControlCall::End(_)] = calls[..] else {
            panic!("{key:?}: {calls:?}")
        };
        assert!(set == control && (new_value - value).abs() < 1e-3, "{key:?}: {calls:?}");
    }
}

#[test]
fn an_assistive_tool_sets_a_knob() {
    let mut harness = window();
    harness.get_by_label("A Drive").set_value_accesskit(12.5);
    harness.run();
    assert_eq!(drain_calls(&mut harness), gesture(tube_parameter(Slot::A, "drive"), 12.5));
    harness.get_by_label("A Drive").set_value_accesskit(1e9);
    harness.run();
    assert_eq!(drain_calls(&mut harness), gesture(tube_parameter(Slot::A, "drive"), 48.0));
}

#[test]
fn the_wheel_turns_the_knob_under_the_pointer() {
    let control = tube_parameter(Slot::A, "drive");
    let mut harness = window();
    harness.run_steps(60);
    harness.get_by_label("A Drive").hover();
    harness.run();
    turn_wheel(&harness, 1.0);
    harness.run_steps(60);
    let calls = drain_calls(&mut harness);
    assert!(
        matches!(calls[..], [ControlCall::Begin(_), ControlCall::Set(c, v), ControlCall::End(_)] if c == control && v > 6.0),
        "{calls:?}"
    );
}

#[test]
fn a_closed_editor_works_again_in_another_window() {
    let mut first = window();
    first.run_steps(600);
    first.get_by_label("A Drive").hover();
    turn_wheel(&first, 1.0);
    first.run_steps(60);
    first.get_by_label("A Drive value").click();
    first.run_steps(60);
    let mut state = first.into_state();
    state.editor.close(&state.controls);
    state.controls.calls.borrow_mut().clear();
    let mut second = Harness::builder()
        .with_size(vec2(916.0, 576.0))
        .with_step_dt(1.0 / 60.0)
        .build_ui_state(|ui, state: &mut EditorWindow| state.editor.show(ui, &state.controls, &state.view), state);
    second.run_steps(60);
    assert!(second.query_by_role(Role::TextInput).is_none());
    second.get_by_label("A Drive").hover();
    turn_wheel(&second, 1.0);
    second.run_steps(60);
    assert_eq!(drain_calls(&mut second).len(), 3);
}

#[test]
fn the_same_listen_button_pressed_twice_is_two_presses() {
    let mut harness = window();
    click(&mut harness, "Listen B");
    click(&mut harness, "Listen B");
    click(&mut harness, "Listen A");
    assert_eq!(
        drain_calls(&mut harness),
        [ControlCall::PressListen(1), ControlCall::PressListen(1), ControlCall::PressListen(0)]
    );
    let toggled = |name| harness.get_by_label(name).accesskit_node().toggled();
    assert_eq!(toggled("Listen A"), Some(Toggled::True));
    assert_eq!(toggled("Listen B"), Some(Toggled::False));
}

#[test]
fn a_gesture_ends_when_its_knob_disappears() {
    let control = tube_parameter(Slot::A, "drive");
    type HideKnob = fn(&mut EditorWindow);
    let ways: [HideKnob; 3] = [
        |state| state.view.blind = BlindView::Hidden,
        |state| {
            state.controls.values.borrow_mut().insert(Control::Algorithm(Slot::A), 1.0);
        },
        |state| state.editor.close(&state.controls),
    ];
    for hide in ways {
        let mut harness = window();
        let from = harness.get_by_label("A Drive").rect().center();
        harness.hover_at(from);
        harness.drag_at(from);
        harness.hover_at(from - vec2(0.0, 20.0));
        harness.run();
        assert_eq!(harness.state().controls.calls.borrow()[0], ControlCall::Begin(control));
        hide(harness.state_mut());
        if harness.state().view.blind == BlindView::Off && harness.state().controls.get(Control::Algorithm(Slot::A)) == 0.0 {
            assert_eq!(drain_calls(&mut harness).last(), Some(&ControlCall::End(control)));
            continue;
        }
        harness.run();
        harness.drop_at(from);
        harness.run();
        let calls = drain_calls(&mut harness);
        assert_eq!(calls.iter().filter(|call| matches!(call, ControlCall::Begin(_))).count(), 1);
        assert_eq!(calls.last(), Some(&ControlCall::End(control)));
    }
}

#[test]
fn a_tooltip_has_a_parameters_purpose_its_range_and_how_a_change_takes_effect() {
    for (name, words) in [
        ("A Drive", &["More of it.", "-12 to 48 dB", "default 6.00"][..]),
        ("A Tone", &["Brighter.", "200 to 20000 Hz or off"]),
        ("B Oversampling: 1x", &["Which of some.", "1, 2, 4 or 8", "short dip; not automatable"]),
    ] {
        let mut harness = window();
        harness.get_by_label(name).hover();
        harness.run_steps(90);
        let texts = accessible_texts(&harness);
        for word in words {
            assert!(texts.iter().any(|s| s.contains(word)), "{name}: no '{word}' in {texts:?}");
        }
    }
}

#[test]
fn gestures_never_nest_whatever_the_user_does() {
    for seed in 0..8_u64 {
        let mut generator = Random::new(seed);
        let mut random = |below: usize| generator.below(below);
        let mut harness = window();
        for action in 0..1000 {
            // The take panel hides all knobs, and random clicks rarely hit the small button that closes it.
            if action % 50 == 0 && harness.query_by_label("Record Input").is_some() {
                harness.get_by_label("Takes").click();
            }
            let at = pos2(random(SIZE.0 as usize) as f32, random(SIZE.1 as usize) as f32);
            match random(9) {
                0..=2 => harness.hover_at(at),
                3 | 4 => harness.drag_at(at),
                5 => harness.drop_at(at),
                6 => turn_wheel(&harness, random(3) as f32 - 1.0),
                7 => harness.key_press([Key::Tab, Key::ArrowUp, Key::Enter, Key::Escape, Key::Num7][random(5)]),
                _ => {
                    harness.state_mut().view.blind = if random(8) == 0 { BlindView::Hidden } else { BlindView::Off };
                    harness.state_mut().controls.values.borrow_mut().remove(&Control::Blind);
                }
            }
            harness.step();
        }
        harness.state_mut().view.blind = BlindView::Hidden;
        harness.run_steps(2);
        let mut open = None;
        let calls = drain_calls(&mut harness);
        assert!(calls.len() > 10, "seed {seed} does nothing: {calls:?}");
        for call in calls {
            match call {
                ControlCall::Begin(control) => assert_eq!(open.replace(control), None, "seed {seed}"),
                ControlCall::Set(control, _) => assert_eq!(open, Some(control), "seed {seed}"),
                ControlCall::End(control) => assert_eq!(open.take(), Some(control), "seed {seed}"),
                _ => assert_eq!(open, None, "seed {seed}"),
            }
            if let ControlCall::Set(Control::Parameter { algorithm, index, .. }, value) = call {
                let parameter = &REGISTRY[algorithm].parameters[index];
                assert_eq!(parameter.clamp(value), value, "seed {seed}: {}", parameter.id);
            }
        }
        assert_eq!(open, None, "seed {seed}");
    }
}
