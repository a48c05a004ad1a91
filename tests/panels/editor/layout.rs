//! Nothing covers anything, and all is reached.

use super::*;

#[test]
fn nothing_overlaps_and_all_is_inside_the_window_at_its_size() {
    for algorithm in 0..REGISTRY.len() {
        let desk = Desk::default();
        for slot in Slot::ALL {
            desk.values.borrow_mut().insert(Control::Algorithm(slot), algorithm as f32);
        }
        let harness = window_of(SIZE, desk, silence(2));
        let inside = Rect::from_min_size(pos2(8.0, 8.0), vec2(SIZE.0 as f32, SIZE.1 as f32));
        let all = reachable(&harness);
        assert!(all.len() >= 9);
        for (name, rect) in &all {
            assert!(inside.contains_rect(*rect), "{name} at {rect:?} leaves {inside:?}");
        }
        assert_apart(&all);
    }
}

#[test]
fn all_is_reached_by_scrolling_in_the_smallest_window_and_in_smaller_ones() {
    for (size, channels) in [(MIN_SIZE, 2), (MIN_SIZE, 32), ((400, 300), 2)] {
        let desk = Desk::default();
        for slot in Slot::ALL {
            desk.values.borrow_mut().insert(Control::Algorithm(slot), 1.0);
        }
        let mut harness = window_of(size, desk, silence(channels));
        assert_apart(&seen(&harness));
        let inside = Rect::from_min_size(pos2(8.0, 8.0), vec2(size.0 as f32, size.1 as f32));
        let names: Vec<String> = reachable(&harness).into_iter().map(|(name, _)| name).collect();
        assert!(names.iter().any(|n| n == "B Output"));
        for name in names {
            harness.get_by_label(&name).scroll_to_me();
            harness.run_steps(60);
            let rect = harness.get_by_label(&name).rect();
            assert!(inside.contains_rect(rect), "{name} at {rect:?} is not reached in {inside:?} with {channels} channels");
        }
    }
}

#[test]
fn the_header_fits_the_smallest_window() {
    let snapshot = Snapshot { latency_frames: 123_456, ..silence(2) };
    let harness = window_of(MIN_SIZE, Desk::default(), snapshot);
    let latency = harness.get_by_label_contains("Latency").rect();
    let bypass = harness.get_by_label("Bypass").rect();
    assert!(latency.left() > bypass.right() && latency.right() <= 8.0 + MIN_SIZE.0 as f32, "{latency:?}");
}
