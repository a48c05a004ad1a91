//! Twins with a knob, and what they are trained on.

use std::sync::Arc;

use isotherm::algorithm::find;
use isotherm::audio::Audio;
use isotherm::dsp::{Settings, Spec};
use isotherm::effect::Effect;
use isotherm::neural::Model;
#[cfg(feature = "onnx")]
use isotherm::neural::engine::Mode;
use isotherm::render::render;
use isotherm::train::export::{self, Label};
use isotherm::train::trainer::{play, play_turning};
use isotherm::train::triode::Stage;
use isotherm::train::{Condition, Design, Limit, Material, Pair, Plan, PlanError, Target, Trainer};

const RATE: u32 = 8000;

fn saturator() -> Settings {
    Settings::new(find("saturator").unwrap()).with("oversampling", 0.0).with("dc_blocker", 0.0)
}

fn conditioned() -> Material {
    with_knob(saturator(), "drive=0..24")
}

fn with_knob(settings: Settings, condition: &str) -> Material {
    let condition = Condition::parse(condition, &settings).unwrap();
    Material::of_target(&Target::Effect(settings.into()), Some(condition), RATE, (20.0, 1), &|| true).unwrap()
}

fn plan(name: &str, inputs: usize, steps: u64) -> Plan {
    let mut design = Design::parse(name).unwrap();
    if let Design::Recurrent(shape) = &mut design {
        shape.inputs = inputs;
    }
    Plan { frames: 256, ..Plan::new(design, Limit::Steps(steps)) }
}

fn trained(name: &str, steps: u64, material: &Arc<Material>) -> Trainer {
    let mut trainer = Trainer::new(plan(name, 2, steps), material.clone()).unwrap();
    while trainer.progress() < 1.0 {
        trainer.step();
    }
    trainer
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn a_condition_is_a_ramped_number_and_a_range_of_it_that_rises() {
    let settings = saturator();
    let condition = Condition::parse("drive=0..36", &settings).unwrap();
    assert_eq!((condition.value(0.0), condition.value(0.25), condition.value(1.0)), (0.0, 9.0, 36.0));
    assert_eq!((condition.knob().name.as_str(), condition.text(0.5).as_str()), ("Drive 0.00 to 36.00 dB", "drive 18.00 dB"));
    for (text, part) in [
        ("drive", "expected a parameter and its range"),
        ("drive=3", "expected a parameter and its range"),
        ("drive=3..x", "not a number"),
        ("drive=-40..0", "out of range"),
        ("drive=9..9", "a range that rises"),
        ("bits=1..4", "no number of saturator"),
        ("oversampling=0..3", "expected drive, bias"),
    ] {
        let error = Condition::parse(text, &settings).unwrap_err();
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn each_passage_has_its_own_place_of_the_knob_and_through_some_it_turns() {
    let material = conditioned();
    let Pair { dry, wet, knob, .. } = &material.train;
    assert_eq!((dry.len(), wet.len(), knob.len()), (160_000, 160_000, 160_000));
    assert!(knob.iter().all(|k| (0.0..=1.0).contains(k)));
    let stands = knob.windows(2).filter(|k| k[0] == k[1]).count();
    assert!((80_000..155_000).contains(&stands), "{stands}");
    let mut places: Vec<u32> = knob.chunks(400).map(|k| (10.0 * k[0]) as u32).collect();
    places.sort_unstable();
    places.dedup();
    assert!(places.len() >= 6, "{places:?}");
    // Where it stands, the sound is that of the parameter standing there.
    let held: Vec<&str> = material.held.iter().map(|p| p.name.as_str()).collect();
    for (place, drive) in [0.0, 6.0, 12.0, 18.0, 24.0].into_iter().enumerate() {
        let pair = &material.held[place];
        assert_eq!(pair.name, format!("other passages, drive {drive:.2} dB"), "{held:?}");
        assert_eq!(pair.knob, vec![place as f32 / 4.0; pair.dry.len()]);
        assert_eq!(
            pair.wet,
            render(&saturator().with("drive", drive).into(), &Audio::from_mono(RATE, &pair.dry).unwrap()).unwrap().channel(0)
        );
    }
    assert_eq!(material.held[5].name, "other passages, turning");
    assert!(material.held[5].knob.windows(2).any(|k| k[0] != k[1]));
    assert_ne!(material.held[5].dry[..20_000], material.train.dry[..20_000]);
    assert_eq!(material.knob.unwrap().parameter, "drive");
}

#[test]
fn a_knob_needs_an_input_and_an_input_a_knob() {
    let (with, without) = (Arc::new(conditioned()), Material::of_effect(&saturator().into(), RATE, 20.0, 1).unwrap());
    let error = |plan: Plan, material: &Arc<Material>| Trainer::new(plan, material.clone()).err();
    assert_eq!(error(plan("lstm-4", 1, 1), &with), Some(PlanError::Inputs { found: 1, expected: 2 }));
    assert_eq!(error(plan("tcn-4x4", 1, 1), &with), Some(PlanError::Inputs { found: 1, expected: 2 }));
    assert_eq!(error(plan("lstm-4", 2, 1), &Arc::new(without)), Some(PlanError::Inputs { found: 2, expected: 1 }));
}

#[test]
fn a_twin_learns_what_its_knob_does() {
    let material = Arc::new(with_knob(saturator().with("drive", 0.0), "output=-12..6"));
    let trainer = trained("lstm-8", 1500, &material);
    let found = trainer.evaluate();
    let places: Vec<f32> = found.places.iter().map(|(place, _)| *place).collect();
    assert_eq!(places, [0.0, 0.25, 0.5, 0.75, 1.0]);
    // With the knob at the other end it is another effect: 18 dB of gain apart.
    let esr = |pair: &Pair, place: f32| {
        let out = play_turning(&trainer.architecture(), RATE, &pair.dry, &vec![place; pair.dry.len()]);
        let error: f64 = out.iter().zip(&pair.wet).map(|(y, t)| f64::from(y - t).powi(2)).sum();
        error / pair.wet.iter().map(|t| f64::from(*t).powi(2)).sum::<f64>()
    };
    for (pair, place) in [(0, 0.0), (4, 1.0)] {
        let (right, wrong) = (esr(&material.held[pair], place), esr(&material.held[pair], 1.0 - place));
        assert!(right < 0.4 && wrong > 2.0 * right, "{place}: {right}, {wrong}");
    }
}

#[test]
fn a_model_file_keeps_the_knob_and_the_slot_turns_it() {
    let material = Arc::new(conditioned());
    for name in ["lstm-5", "gru-3"] {
        let trainer = trained(name, 30, &material);
        let architecture = trainer.architecture();
        let label =
            Label { name: "A twin".into(), sample_rate: RATE, esr: 0.25, late_frames: 0, knob: Some("Drive 0 to 24 dB".into()) };
        assert_eq!(export::nam(&architecture, &label), None);
        let model = Model::read(export::keras(&architecture, &label).unwrap().into_bytes()).unwrap();
        assert_eq!(model.info().knobs, ["Drive 0 to 24 dB"]);
        assert_eq!(model.knobs(0), 1);
        let Pair { dry, .. } = &material.held[0];
        // It stands at 0.25, and goes to 1 at a frame within a block.
        let effect = Effect::from_id("neural").unwrap().with("output_mode", 0.0).with("knob_1", 0.25).with_model(model.clone());
        let mut slot = effect.prepare(Spec { sample_rate: RATE as f32, channels: 1, max_frames: 4096 }).unwrap();
        let mut out = dry[..4000].to_vec();
        slot.process(&mut [&mut out[..1000]]);
        slot.set(effect.settings.index("knob_1").unwrap(), 1.0);
        slot.process(&mut [&mut out[1000..]]);
        // 20 ms of glide.
        let knob: Vec<f32> =
            (0..4000).map(|t| if t < 1000 { 0.25 } else { (0.25 + 0.75 * (t - 999) as f32 / 160.0).min(1.0) }).collect();
        let own = play_turning(&architecture, RATE, &dry[..4000], &knob);
        assert!(largest_difference(&own, &out) < 1e-5, "{name}: {:e}", largest_difference(&own, &out));
        let standing = play_turning(&architecture, RATE, &dry[..4000], &vec![0.25; 4000]);
        assert!(largest_difference(&standing, &out) > 1e-3, "{name}: the knob does nothing");
    }
}

#[cfg(feature = "onnx")]
#[test]
fn an_onnx_file_keeps_the_knob() {
    assert!(std::env::var_os("ORT_DYLIB_PATH").is_some(), "ORT_DYLIB_PATH is not set: run `cargo xtask test`");
    let material = Arc::new(conditioned());
    for name in ["lstm-5", "gru-3"] {
        let trainer = trained(name, 30, &material);
        let label = Label { name: "A twin".into(), sample_rate: RATE, esr: 0.25, late_frames: 0, knob: Some("Drive".into()) };
        let model = Model::read(export::onnx(&trainer.architecture(), &label).unwrap()).unwrap();
        assert_eq!(model.info().knobs, ["Drive"]);
        for place in [0.0, 0.8] {
            // Long enough for the network to forget where the knob stood while it was prewarmed.
            let mut input = vec![0.0; RATE as usize];
            input.extend_from_slice(&material.held[0].dry[..2000]);
            let own = play_turning(&trainer.architecture(), RATE, &input, &vec![place; input.len()]);
            let mut voices = model.network(0).clone().voices(Mode::new(1)).unwrap();
            voices.set_offline(true);
            let latency = voices.latency();
            let mut out = input.clone();
            out.resize(input.len() + latency, 0.0);
            for block in out.chunks_mut(64) {
                let knob = vec![place; block.len()];
                voices.process(&mut [block], &[&knob]);
            }
            let difference = largest_difference(&own[RATE as usize..], &out[RATE as usize + latency..]);
            assert!(difference < 1e-5, "{name} at {place}: {difference:e}");
        }
    }
}

#[test]
fn a_network_without_a_knob_plays_as_before() {
    let material = Arc::new(Material::of_effect(&saturator().into(), RATE, 20.0, 1).unwrap());
    let trainer = Trainer::new(plan("lstm-4", 1, 1), material.clone()).unwrap();
    let dry = &material.held[0].dry[..1000];
    assert_eq!(play(&trainer.architecture(), RATE, dry), play_turning(&trainer.architecture(), RATE, dry, &[]));
    assert!(trainer.evaluate().places.is_empty() && material.knob.is_none() && material.train.knob.is_empty());
}

#[test]
fn the_circuit_is_a_target_like_an_algorithm() {
    let target = Target::Triode(Stage { volts: 2.0, oversampling: 2 });
    let mut material = Material::of_target(&target, None, RATE, (20.0, 1), &|| true).unwrap();
    assert_eq!((material.train.dry.len(), material.held.len()), (160_000, 11));
    assert!(material.origin.contains("12AX7 stage, 2 V for full scale"), "{}", material.origin);
    let again = Stage { volts: 2.0, oversampling: 2 }.render(RATE, &material.held[0].dry).unwrap();
    assert_eq!(material.held[0].wet, again);
    material.hold(&target, None, "mine", &[0.1; 100]).unwrap();
    assert_eq!((material.held[11].name.as_str(), material.held[11].wet.len()), ("mine", 100));
}
