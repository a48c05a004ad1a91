//! Training: twins with a knob, their material and their model files; the circuit as a target.

use std::sync::Arc;

use isotherm::algorithm::find;
use isotherm::audio::Audio;
use isotherm::dsp::{ProcessSpec, Settings};
use isotherm::effect::Effect;
use isotherm::neural::Model;
#[cfg(feature = "onnx")]
use isotherm::neural::engine::StateSpec;
use isotherm::render::render;
use isotherm::train::export::{self, ModelMetadata};
use isotherm::train::trainer::{play, play_with_knob};
use isotherm::train::triode::TriodeStage;
use isotherm::train::{Condition, Design, Material, SoundPair, Target, Trainer, TrainingConfig, TrainingConfigError};

const RATE: u32 = 8000;

fn saturator() -> Settings {
    Settings::new(find("saturator").unwrap()).with("oversampling", 0.0).with("dc_blocker", 0.0)
}

/// Material with a knob for the drive.
fn conditioned() -> Material {
    with_knob(saturator(), "drive=0..24")
}

/// Material of these settings with a knob.
fn with_knob(settings: Settings, condition: &str) -> Material {
    let condition = Condition::parse(condition, &settings).unwrap();
    Material::of_target(&Target::Effect(settings.into()), Some(condition), RATE, (20.0, 1), &|| true).unwrap()
}

fn config(name: &str, inputs: usize, steps: u64) -> TrainingConfig {
    let mut design = Design::parse(name).unwrap();
    if let Design::Recurrent(shape) = &mut design {
        shape.inputs = inputs;
    }
    TrainingConfig { frames: 256, ..TrainingConfig::new(design, steps) }
}

fn trained(name: &str, steps: u64, material: &Arc<Material>) -> Trainer {
    let mut trainer = Trainer::new(config(name, 2, steps), material.clone()).unwrap();
    while trainer.progress() < 1.0 {
        trainer.step();
    }
    trainer
}

fn metadata(knob: &str) -> ModelMetadata {
    ModelMetadata { name: "A twin".into(), sample_rate: RATE, esr: 0.25, late_frames: 0, knob: Some(knob.into()) }
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn a_condition_is_a_ramped_number_and_a_rising_range() {
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
        let error = Condition::parse(text, &settings).unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn each_passage_has_its_own_position_of_the_knob_and_in_some_it_moves() {
    let material = conditioned();
    let SoundPair { dry, wet, knob, .. } = &material.train;
    assert_eq!((dry.len(), wet.len(), knob.len()), (160_000, 160_000, 160_000));
    assert!(knob.iter().all(|k| (0.0..=1.0).contains(k)));
    let standing = knob.windows(2).filter(|k| k[0] == k[1]).count();
    assert!((80_000..155_000).contains(&standing), "{standing}");
    let mut positions: Vec<u32> = knob.chunks(400).map(|k| (10.0 * k[0]) as u32).collect();
    positions.sort_unstable();
    positions.dedup();
    assert!(positions.len() >= 6, "{positions:?}");
    // While the knob does not move, the wet sound is that of the algorithm with the parameter at its value.
    let held: Vec<&str> = material.held_out.iter().map(|p| p.name.as_str()).collect();
    for (i, drive) in [0.0, 6.0, 12.0, 18.0, 24.0].into_iter().enumerate() {
        let pair = &material.held_out[i];
        assert_eq!(pair.name, format!("other passages, drive {drive:.2} dB"), "{held:?}");
        assert_eq!(pair.knob, vec![i as f32 / 4.0; pair.dry.len()]);
        assert_eq!(
            pair.wet,
            render(&saturator().with("drive", drive).into(), &Audio::from_mono(RATE, &pair.dry).unwrap()).unwrap().channel(0)
        );
    }
    assert_eq!(material.held_out[5].name, "other passages, turning");
    assert!(material.held_out[5].knob.windows(2).any(|k| k[0] != k[1]));
    assert_ne!(material.held_out[5].dry[..20_000], material.train.dry[..20_000]);
    assert_eq!(material.knob.unwrap().parameter, "drive");
}

#[test]
fn a_network_has_a_knob_input_exactly_if_the_material_has_a_knob() {
    let (with, without) = (Arc::new(conditioned()), Material::of_effect(&saturator().into(), RATE, 20.0, 1).unwrap());
    let error = |config: TrainingConfig, material: &Arc<Material>| Trainer::new(config, material.clone()).err();
    assert_eq!(error(config("lstm-4", 1, 1), &with), Some(TrainingConfigError::Inputs { found: 1, expected: 2 }));
    assert_eq!(error(config("tcn-4x4", 1, 1), &with), Some(TrainingConfigError::Inputs { found: 1, expected: 2 }));
    assert_eq!(error(config("lstm-4", 2, 1), &Arc::new(without)), Some(TrainingConfigError::Inputs { found: 2, expected: 1 }));
}

#[test]
fn a_twin_learns_the_effect_of_its_knob() {
    let material = Arc::new(with_knob(saturator().with("drive", 0.0), "output=-12..6"));
    let trainer = trained("lstm-8", 1500, &material);
    let found = trainer.evaluate();
    let positions: Vec<f32> = found.knob_positions.iter().map(|(position, _)| *position).collect();
    assert_eq!(positions, [0.0, 0.25, 0.5, 0.75, 1.0]);
    // With the knob at the other end the twin is another effect: the gain differs by 18 dB.
    let esr = |pair: &SoundPair, position: f32| {
        let out = play_with_knob(&trainer.architecture(), RATE, &pair.dry, &vec![position; pair.dry.len()]);
        let error: f64 = out.iter().zip(&pair.wet).map(|(y, t)| f64::from(y - t).powi(2)).sum();
        error / pair.wet.iter().map(|t| f64::from(*t).powi(2)).sum::<f64>()
    };
    for (pair, position) in [(0, 0.0), (4, 1.0)] {
        let (right, wrong) = (esr(&material.held_out[pair], position), esr(&material.held_out[pair], 1.0 - position));
        assert!(right < 0.4 && wrong > 2.0 * right, "{position}: {right}, {wrong}");
    }
}

#[test]
fn a_model_file_keeps_the_knob_and_the_algorithm_neural_turns_it() {
    let material = Arc::new(conditioned());
    for name in ["lstm-5", "gru-3"] {
        let trainer = trained(name, 30, &material);
        let architecture = trainer.architecture();
        let metadata = metadata("Drive 0 to 24 dB");
        assert_eq!(export::nam(&architecture, &metadata), None);
        let model = Model::read(export::keras(&architecture, &metadata).unwrap().into_bytes()).unwrap();
        assert_eq!(model.info().knobs, ["Drive 0 to 24 dB"]);
        assert_eq!(model.knob_count(0), 1);
        let SoundPair { dry, .. } = &material.held_out[0];
        // The knob is at 0.25, and goes to 1 at a frame within a block.
        let effect = Effect::from_id("neural").unwrap().with("output_mode", 0.0).with("knob_1", 0.25).with_model(model.clone());
        let mut slot = effect.prepare(ProcessSpec::new(RATE as f32, 1, 4096)).unwrap();
        let mut out = dry[..4000].to_vec();
        slot.process(&mut [&mut out[..1000]]);
        slot.set(effect.settings.index("knob_1").unwrap(), 1.0);
        slot.process(&mut [&mut out[1000..]]);
        // 20 ms of glide.
        let knob: Vec<f32> =
            (0..4000).map(|t| if t < 1000 { 0.25 } else { (0.25 + 0.75 * (t - 999) as f32 / 160.0).min(1.0) }).collect();
        let expected = play_with_knob(&architecture, RATE, &dry[..4000], &knob);
        assert!(largest_difference(&expected, &out) < 1e-5, "{name}: {:e}", largest_difference(&expected, &out));
        let standing = play_with_knob(&architecture, RATE, &dry[..4000], &vec![0.25; 4000]);
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
        let metadata = metadata("Drive");
        let model = Model::read(export::onnx(&trainer.architecture(), &metadata).unwrap()).unwrap();
        assert_eq!(model.info().knobs, ["Drive"]);
        for position in [0.0, 0.8] {
            // In a second of silence the network forgets the knob's position at which it was settled.
            let mut input = vec![0.0; RATE as usize];
            input.extend_from_slice(&material.held_out[0].dry[..2000]);
            let expected = play_with_knob(&trainer.architecture(), RATE, &input, &vec![position; input.len()]);
            let mut state = model.network(0).clone().state(StateSpec::new(1)).unwrap();
            state.set_offline(true);
            let latency = state.latency();
            let mut out = input.clone();
            out.resize(input.len() + latency, 0.0);
            for block in out.chunks_mut(64) {
                let knob = vec![position; block.len()];
                state.process(&mut [block], &[&knob]);
            }
            let difference = largest_difference(&expected[RATE as usize..], &out[RATE as usize + latency..]);
            assert!(difference < 1e-5, "{name} at {position}: {difference:e}");
        }
    }
}

#[test]
fn a_network_without_a_knob_takes_no_positions() {
    let material = Arc::new(Material::of_effect(&saturator().into(), RATE, 20.0, 1).unwrap());
    let trainer = Trainer::new(config("lstm-4", 1, 1), material.clone()).unwrap();
    let dry = &material.held_out[0].dry[..1000];
    assert_eq!(play(&trainer.architecture(), RATE, dry), play_with_knob(&trainer.architecture(), RATE, dry, &[]));
    assert!(trainer.evaluate().knob_positions.is_empty() && material.knob.is_none() && material.train.knob.is_empty());
}

#[test]
fn the_circuit_is_a_target_like_an_algorithm() {
    let target = Target::Triode(TriodeStage { volts: 2.0, oversampling: 2 });
    let mut material = Material::of_target(&target, None, RATE, (20.0, 1), &|| true).unwrap();
    assert_eq!((material.train.dry.len(), material.held_out.len()), (160_000, 11));
    assert!(material.origin.contains("12AX7 stage, 2 V for full scale"), "{}", material.origin);
    let again = TriodeStage { volts: 2.0, oversampling: 2 }.render(RATE, &material.held_out[0].dry).unwrap();
    assert_eq!(material.held_out[0].wet, again);
    material.hold_out(&target, None, "mine", &[0.1; 100]).unwrap();
    assert_eq!((material.held_out[11].name.as_str(), material.held_out[11].wet.len()), ("mine", 100));
}
