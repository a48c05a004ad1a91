//! States that earlier versions saved, in `tests/states`: they load in CLAP and VST3 with the values and the sound that they had.

use std::path::{Path, PathBuf};

use isotherm::algorithm::REGISTRY;
use isotherm::audio::generate;
use isotherm::dsp::{ProcessSpec, Settings};
use isotherm::effect::Effect;
use isotherm::neural::Model;
use isotherm::slots::{Listen, Slots};
use isotherm_host::vst3::{ForwardedEdits, Vst3Instance};
use isotherm_host::{ClapInstance, nice_state};

const RATE: u32 = 48_000;
const FRAMES: usize = 256;

fn bundle(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable);
    PathBuf::from(path.unwrap_or_else(|| panic!("{variable} is not set: run `cargo xtask test`, or name a bundle in it")))
}

fn sound(frames: usize) -> Vec<Vec<f32>> {
    (0..2).map(|c| generate::pink(RATE, 0.2, frames, c + 1).unwrap().channel(0).to_vec()).collect()
}

/// A state for CLAP, which begins with its length.
fn framed(json: &[u8]) -> Vec<u8> {
    [&(json.len() as u64).to_le_bytes(), json].concat()
}

/// The output of the library's slots for the plain values and the models of a state.
fn expected(state: &[u8], models: &[Option<&str>; 2], input: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let values = nice_state::parameters(state).unwrap();
    let effects: [Effect; 2] = ["a", "b"].map(|slot| {
        let row = REGISTRY[values[&format!("{slot}_algorithm")] as usize];
        let mut settings = Settings::new(row);
        for (index, parameter) in row.parameters.iter().enumerate() {
            // A parameter that is younger than the state has its default.
            if let Some(value) = values.get(&format!("{slot}_{}_{}", row.id, parameter.id)) {
                settings.set(index, *value);
            }
        }
        let model = models[usize::from(slot == "b")].map(|name| Model::open(&folder().join(name)).unwrap());
        Effect { settings, model }
    });
    let spec = ProcessSpec::new(RATE as f32, input.len(), FRAMES);
    let mut slots = Slots::compile(spec, &effects, Listen::Slot(values["listen"] as usize), None).unwrap();
    let mut output = input.to_vec();
    let mut views: Vec<&mut [f32]> = output.iter_mut().map(Vec::as_mut_slice).collect();
    slots.process(&mut views);
    output
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/states")
}

/// The saved states: files in `tests/states`, each with the files of its slots' models.
const STATES: [(&str, [Option<&str>; 2]); 3] = [
    ("saturator_and_bitcrusher.json", [None, None]),
    ("clipper_in_b.json", [None, None]),
    ("two_models.json", [Some("three.nam"), Some("two.nam")]),
];

#[test]
fn a_state_that_an_earlier_bundle_saved_gives_the_same_samples_and_is_saved_again_unchanged() {
    for (name, models) in STATES {
        let json = std::fs::read(folder().join(name)).unwrap();
        assert_state_plays(name, &json, &models);
    }
}

#[test]
fn a_state_with_oversampled_models_gives_the_samples_of_the_library() {
    let (name, models) = STATES[2];
    let mut json: serde_json::Value = serde_json::from_slice(&std::fs::read(folder().join(name)).unwrap()).unwrap();
    for (id, setting) in [("a_neural_oversampling", 2), ("b_neural_oversampling", 1), ("b_neural_render_oversampling", 3)] {
        json["params"][id] = serde_json::json!({ "i32": setting });
    }
    assert_state_plays("oversampled models", json.to_string().as_bytes(), &models);
}

/// Asserts that a state, as JSON, plays as the library's slots do in CLAP and VST3, and that CLAP saves it again.
#[track_caller]
fn assert_state_plays(name: &str, json: &[u8], models: &[Option<&str>; 2]) {
    let input = sound(20 * FRAMES);
    let state = framed(json);
    let expected = expected(&state, models, &input);
    assert!(expected != input, "{name}");

    let mut clap = ClapInstance::load(&bundle("ISOTHERM_CLAP")).unwrap();
    clap.load_state(&state).unwrap();
    clap.activate(f64::from(RATE), FRAMES as u32).unwrap();
    let output = clap.render(&input, [FRAMES], &[]).unwrap();
    assert!(output == expected, "{name} in CLAP");
    let saved = clap.save().unwrap();
    let (old, new) = (nice_state::parameters(&state).unwrap(), nice_state::parameters(&saved).unwrap());
    for (id, value) in &old {
        assert_eq!(new.get(id), Some(value), "{name}: {id}");
    }
    let fields = |state: &[u8]| nice_state::to_json(state).unwrap()["fields"].clone();
    assert_eq!(fields(&saved), fields(&state), "{name}");

    let mut vst3 = Vst3Instance::load(&bundle("ISOTHERM_VST3"), ForwardedEdits::All).unwrap();
    vst3.load_state(json).unwrap();
    vst3.activate(f64::from(RATE), FRAMES, 2).unwrap();
    let mut output = vec![Vec::new(); 2];
    for from in (0..input[0].len()).step_by(FRAMES) {
        let block: Vec<Vec<f32>> = input.iter().map(|channel| channel[from..from + FRAMES].to_vec()).collect();
        for (all, part) in output.iter_mut().zip(vst3.process(&block, &[])) {
            all.extend(part);
        }
    }
    assert!(output == expected, "{name} in VST3");
}
