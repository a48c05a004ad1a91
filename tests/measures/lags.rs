//! The lag of sounds that repeat themselves.

use isotherm::audio::{Audio, generate};
use isotherm::measure::{Alignment, nearest_lag};

/// A pattern of `period` frames of noise, a number of times, from frame `start` on.
fn pattern(period: usize, start: usize, frames: usize) -> Audio {
    let noise = generate::white(48_000, 0.2, period, 1).unwrap();
    let samples: Vec<f32> = (0..frames).map(|n| noise.channel(0)[(n + period - start % period) % period]).collect();
    Audio::from_mono(48_000, &samples).unwrap()
}

#[test]
fn of_equal_lags_the_nearest_is_found_and_none_that_turns_the_polarity() {
    let reference = pattern(6_000, 0, 48_000);
    for (late, expected) in [(480, 480.0), (5_900, -100.0), (6_000, 0.0), (12_003, 3.0)] {
        let found = nearest_lag(&reference, &pattern(6_000, late, 96_000), 0, 24_000).unwrap();
        assert!((found.delay_frames - expected).abs() < 0.01, "{late}: {found:?}");
        assert!(found.correlation > 0.999, "{late}: {found:?}");
    }
    let inverted = pattern(6_000, 480, 96_000).multiply(-1.0).unwrap();
    let found = nearest_lag(&reference, &inverted, 0, 2_000).unwrap();
    assert!((found.delay_frames - 480.0).abs() < 0.01 && found.correlation < -0.999, "{found:?}");
}

#[test]
fn parts_of_a_frame_are_found_in_noise_and_in_a_tone() {
    let noise = generate::white(48_000, 0.2, 48_000, 1).unwrap();
    let tone = generate::sine(48_000, 110.0, 0.3, 48_000).unwrap();
    for sound in [noise, tone] {
        for late in [0.1, 0.3, 0.5, -0.25] {
            let way = Alignment { delay_frames: -late, ..Alignment::NONE };
            let inner = 4_800..43_200;
            let [reference, test] = [sound.clone(), way.apply(&sound, 48_000)].map(|sound| sound.slice(inner.clone()).unwrap());
            let found = nearest_lag(&reference, &test, 0, 400).unwrap();
            assert!((found.delay_frames - late).abs() < 0.03, "{late}: {found:?}");
        }
    }
}

#[test]
fn a_sound_around_the_reference_begins_before_it() {
    let test = pattern(30_000, 500, 96_000);
    let reference = pattern(30_000, 0, 96_000).slice(24_000..72_000).unwrap();
    let found = nearest_lag(&reference, &test, 24_000, 2_000).unwrap();
    assert!((found.delay_frames - 500.0).abs() < 0.01, "{found:?}");
}
