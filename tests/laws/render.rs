//! Tests of offline rendering: as many frames out as in, without latency, independent of block sizes, the same samples as from
//! slots.

use isotherm::algorithm::REGISTRY;
use isotherm::audio::{Audio, generate};
use isotherm::dsp::{MAX_CHANNELS, ProcessSpec, db_to_gain};
use isotherm::effect::Effect;
use isotherm::render::{AutomationPoint, RenderError, Renderer, render};
use isotherm::slots::{Listen, Slots};

use crate::test_models::{TEST_MODELS, plays};

/// Every algorithm, and every stable model that plays at a rate.
fn effects(rate: f32) -> Vec<Effect> {
    let models = TEST_MODELS.iter().filter(|model| model.stable).map(|model| model.effect());
    REGISTRY.iter().map(|row| Effect::new(row)).chain(models).filter(|effect| plays(effect, rate)).collect()
}

#[test]
fn a_render_equals_the_output_of_slots_without_their_latency() {
    let sound = generate::guitar(44_100, 2, 1).unwrap().slice(0..20_001).unwrap();
    for effect in effects(44_100.0) {
        let wet = render(&effect, &sound).unwrap();
        assert_eq!((wet.frames(), wet.channels(), wet.sample_rate()), (20_001, 2, 44_100));
        let spec = ProcessSpec::new(44_100.0, 2, 4096);
        let mut slots = Slots::compile(spec, std::slice::from_ref(&effect), Listen::Slot(0), None).unwrap();
        let latency = slots.latency();
        let mut long: Vec<Vec<f32>> = sound.iter().map(|c| [c, &vec![0.0; latency]].concat()).collect();
        let mut views: Vec<&mut [f32]> = long.iter_mut().map(Vec::as_mut_slice).collect();
        slots.process(&mut views);
        for (channel, expected) in wet.iter().zip(&long) {
            assert!(channel == &expected[latency..], "{:?}", effect.algorithm().id);
        }
    }
}

#[test]
fn a_render_at_its_own_oversampling_equals_one_at_that_oversampling() {
    let sound = generate::guitar(48_000, 2, 1).unwrap().slice(0..10_000).unwrap();
    for id in ["saturator", "clipper"] {
        let set = |value: f32| Effect::from_id(id).unwrap().with("oversampling", value);
        let alone = [0.0, 1.0, 2.0, 3.0].map(|value| render(&set(value), &sound).unwrap());
        assert!(alone[0] != alone[3]);
        for (live, other) in (0..4).flat_map(|live| (0..4).map(move |other| (live, other))) {
            let effect = set(live as f32).with("render_oversampling", other as f32 + 1.0);
            assert!(render(&effect, &sound).unwrap() == alone[other], "{id}: {other} while {live} is set");
            let latency = |effect: &Effect| Renderer::for_sound(effect, &sound).unwrap().latency();
            assert_eq!(latency(&effect), latency(&set(live.max(other) as f32)), "{id}: {other} while {live} is set");
        }
    }
}

#[test]
fn block_sizes_change_no_sample() {
    let sound = generate::drums(48_000, 1, 1).unwrap().slice(0..10_000).unwrap();
    for effect in effects(48_000.0) {
        let whole = render(&effect, &sound).unwrap();
        for max_frames in [1, 63, 1000, 20_000] {
            let spec = ProcessSpec::new(48_000.0, 1, max_frames);
            let again = Renderer::new(&effect, spec).unwrap().render(&sound, |_| true).unwrap();
            assert!(again == whole, "{} frames, {}", max_frames, effect.algorithm().id);
        }
    }
}

#[test]
fn automation_points_take_effect_at_their_frame() {
    let sound = Audio::from_mono(48_000, &vec![0.25; 4000]).unwrap();
    let effect = Effect::from_id("clipper").unwrap().with("oversampling", 0.0).with("threshold", 0.0).with("shape", 0.0);
    let output = effect.settings.index("output").unwrap();
    let points = vec![
        AutomationPoint { frame: 2001, parameter: output, value: -20.0 },
        AutomationPoint { frame: 0, parameter: output, value: 6.0 },
        AutomationPoint { frame: 9000, parameter: output, value: 0.0 },
    ];
    let wet = Renderer::for_sound(&effect, &sound).unwrap().with_automation(points).render(&sound, |_| true).unwrap();
    let wet = wet.channel(0);
    // The first point takes effect at the first frame; the second begins a glide of 20 ms at frame 2001.
    assert!(wet[..2001].iter().all(|x| (x - 0.25 * db_to_gain(6.0)).abs() < 1e-6), "{}", wet[0]);
    assert!(wet[2001] < wet[2000] && wet[2001] > 0.3);
    assert!(wet[2001 + 960..].iter().all(|x| (x - 0.25 * db_to_gain(-20.0)).abs() < 1e-6));
}

#[test]
fn a_render_can_be_cancelled_and_refuses_too_many_channels() {
    let sound = Audio::silence(48_000, 1, 100_000);
    let effect = Effect::from_id("saturator").unwrap();
    let mut seen = Vec::new();
    let renderer = Renderer::for_sound(&effect, &sound).unwrap();
    let done = renderer.render(&sound, |frames| {
        seen.push(frames);
        frames < 2000
    });
    assert_eq!(done, Err(RenderError::Cancelled));
    assert_eq!(seen, [0, 512, 1024, 1536, 2048]);
    let wide = Audio::silence(48_000, MAX_CHANNELS + 1, 10);
    let error = render(&effect, &wide).unwrap_err().to_string();
    assert!(
        error.contains(&format!("{} channels", MAX_CHANNELS + 1)) && error.contains(&format!("1 to {MAX_CHANNELS}")),
        "{error}"
    );
    // A sound without frames does not panic.
    assert_eq!(render(&effect, &Audio::silence(48_000, 2, 0)).unwrap().frames(), 0);
}

#[test]
fn effects_in_a_row_render_as_one_after_the_other_and_without_any_the_sound_passes() {
    let sound = generate::guitar(48_000, 2, 1).unwrap().slice(0..20_000).unwrap();
    let effects = [-12.0, -20.0].map(|threshold| Effect::from_id("clipper").unwrap().with("threshold", threshold));
    let spec = ProcessSpec::new(48_000.0, 2, 512);
    let chain = Renderer::chain(&effects, spec).unwrap();
    let latencies = effects.each_ref().map(|effect| Renderer::new(effect, spec).unwrap().latency());
    assert_eq!(chain.latency(), latencies.iter().sum::<usize>());
    let wet = chain.render(&sound, |_| true).unwrap();
    let after_another = render(&effects[1], &render(&effects[0], &sound).unwrap()).unwrap();
    // In a row, the second effect also hears what the first one's filters give before the first and after the last frame.
    let inside = latencies[1]..20_000 - latencies[1];
    assert!(wet.slice(inside.clone()).unwrap() == after_another.slice(inside).unwrap());
    assert!(Renderer::chain(&[], spec).unwrap().render(&sound, |_| true).unwrap() == sound);
    assert!(Renderer::chain(&[], ProcessSpec { channels: 0, ..spec }).is_err());
}
