//! Tests of the editor's layout: nothing overlaps, and every control can be reached.

use super::*;

#[test]
fn at_its_own_size_nothing_overlaps_and_everything_is_inside_the_window() {
    let all = |registry: &'static [&'static Algorithm]| (0..registry.len()).map(move |algorithm| (registry, algorithm));
    for (registry, algorithm) in all(&REGISTRY).chain(all(isotherm::algorithm::REGISTRY)) {
        let controls = TestControls::default();
        for slot in Slot::ALL {
            let mut values = controls.values.borrow_mut();
            values.insert(Control::Algorithm(slot), algorithm as f32);
            let parameters = registry[algorithm].parameters.iter().enumerate();
            values.extend(parameters.map(|(index, p)| (Control::Parameter { slot, algorithm, index }, p.default())));
        }
        // A slot shows what it has a use for: as with a model that has no controls, no sizes and no levels in dBu.
        let uses = |p: &Parameter| match p.id {
            "size" | "calibrate_input" | "interface_level" | "knob_1" | "knob_2" | "knob_3" | "knob_4" => ParameterUse::Unused,
            _ => ParameterUse::Used,
        };
        let mut view = silent_view(2);
        for model in &mut view.models {
            model.uses_without_model = registry[algorithm].parameters.iter().map(uses).collect();
        }
        let harness = window_over(registry, SIZE, controls, view);
        let inside = Rect::from_min_size(pos2(8.0, 8.0), vec2(SIZE.0 as f32, SIZE.1 as f32));
        let all = inputs(&harness);
        assert!(all.len() >= 9);
        for (name, rect) in &all {
            assert!(inside.contains_rect(*rect), "{name} at {rect:?} leaves {inside:?}");
        }
        assert_no_overlap(&all);
    }
}

#[test]
fn every_control_can_be_scrolled_to_in_the_smallest_window_and_in_smaller_ones() {
    for (size, channels) in [(MIN_SIZE, 2), (MIN_SIZE, 32), ((400, 300), 2)] {
        let controls = TestControls::default();
        for slot in Slot::ALL {
            controls.values.borrow_mut().insert(Control::Algorithm(slot), 1.0);
        }
        let mut harness = window_of(size, controls, silent_view(channels));
        assert_no_overlap(&visible_inputs(&harness));
        let inside = Rect::from_min_size(pos2(8.0, 8.0), vec2(size.0 as f32, size.1 as f32));
        let names: Vec<String> = inputs(&harness).into_iter().map(|(name, _)| name).collect();
        assert!(names.iter().any(|n| n == "B Output"));
        for name in names {
            harness.get_by_label(&name).scroll_to_me();
            harness.run_steps(60);
            let rect = harness.get_by_label(&name).rect();
            assert!(inside.contains_rect(rect), "{name} at {rect:?} cannot be scrolled into {inside:?} with {channels} channels");
        }
    }
}

#[test]
fn the_header_fits_the_smallest_window() {
    let view = InstanceView { latency_frames: 123_456, ..silent_view(2) };
    let harness = window_of(MIN_SIZE, TestControls::default(), view);
    let latency = harness.get_by_label_contains("Latency").rect();
    let bypass = harness.get_by_label("Bypass").rect();
    assert!(latency.left() > bypass.right() && latency.right() <= 8.0 + MIN_SIZE.0 as f32, "{latency:?}");
}
