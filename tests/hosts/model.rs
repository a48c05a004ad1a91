//! Models in the bundled CLAP plug-in, in a real host. Needs `ISOTHERM_CLAP` and `ISOTHERM_CLAP_DEV`, which `cargo xtask test` sets
//! after it has bundled.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use isotherm::algorithm::REGISTRY;
use isotherm::audio::wav::{Format, read as read_wav, write as write_wav};
use isotherm::audio::{Audio, generate};
use isotherm::dsp::{Settings, Spec};
use isotherm::effect::Effect;
use isotherm::neural::Model;
use isotherm::slots::{Heard, Slots};
use isotherm_host::{Plugin, nice_state};
use serde_json::json;

fn load(variable: &str) -> Plugin {
    let path = std::env::var_os(variable);
    let path = path.unwrap_or_else(|| panic!("{variable} is not set: run `cargo xtask test`, or name a bundle in it"));
    Plugin::load(&PathBuf::from(path)).unwrap()
}

/// An impulse response of two taps.
fn linear(folder: &Path, name: &str, taps: [f32; 2]) -> PathBuf {
    write(folder, name, "Linear", &json!({ "receptive_field": 2, "bias": false }), &taps)
}

/// An LSTM of three units with weights from a formula.
fn lstm(folder: &Path, name: &str, seed: usize) -> PathBuf {
    let weights: Vec<f32> = (0..70).map(|i| 0.8 * ((i * 37 + seed * 101) as f32).sin()).collect();
    write(folder, name, "LSTM", &json!({ "input_size": 1, "hidden_size": 3, "num_layers": 1 }), &weights)
}

fn write(folder: &Path, name: &str, architecture: &str, config: &serde_json::Value, weights: &[f32]) -> PathBuf {
    let path = folder.join(name);
    let file = json!({
        "version": "0.5.4", "architecture": architecture, "config": config, "weights": weights, "sample_rate": 48_000,
        "metadata": { "name": name },
    });
    std::fs::write(&path, file.to_string()).unwrap();
    path
}

/// A state's field that names a file, without its bytes.
fn named(path: &Path) -> String {
    json!({ "name": path.file_name().unwrap().to_str(), "folder": path.parent().unwrap().to_str() }).to_string()
}

/// The plug-in's state with the neural algorithm in both slots and these fields.
fn state(plugin: &mut Plugin, a: &str, b: &str) -> Vec<u8> {
    for slot in ["A", "B"] {
        plugin.set_text(&format!("{slot} Algorithm"), isotherm::neural::ALGORITHM.name).unwrap();
    }
    let state = nice_state::with_field(&plugin.save().unwrap(), "a_model", a).unwrap();
    nice_state::with_field(&state, "b_model", b).unwrap()
}

fn sound(frames: usize) -> Vec<Vec<f32>> {
    (0..2).map(|c| generate::pink(48_000, 0.2, frames, c as u64 + 1).unwrap().channel(0).to_vec()).collect()
}

fn settings(plugin: &Plugin, slot: &str) -> Settings {
    let values = nice_state::parameters(&plugin.save().unwrap()).unwrap();
    let row = REGISTRY[values[&format!("{slot}_algorithm")] as usize];
    let mut settings = Settings::new(row);
    for (index, parameter) in row.parameters.iter().enumerate() {
        settings.set(index, values[&format!("{slot}_{}_{}", row.id, parameter.id)]);
    }
    settings
}

/// What the core gives for the first of some slots.
fn run(effects: &[Effect], input: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let spec = Spec { sample_rate: 48_000.0, channels: input.len(), max_frames: 4096 };
    let mut slots = Slots::compile(spec, effects, Heard::Slot(0), None).unwrap();
    let mut output = input.to_vec();
    let mut views: Vec<&mut [f32]> = output.iter_mut().map(Vec::as_mut_slice).collect();
    slots.process(&mut views);
    output
}

/// What the core gives for a slot of the plug-in with a model.
fn core(plugin: &Plugin, slot: &str, model: Option<&Arc<Model>>, input: &[Vec<f32>]) -> Vec<Vec<f32>> {
    run(&[Effect { settings: settings(plugin, slot), model: model.cloned() }], input)
}

fn play(plugin: &mut Plugin, input: &[Vec<f32>]) -> Vec<Vec<f32>> {
    plugin.activate(48_000.0, 256).unwrap();
    plugin.render(input, [256], &[]).unwrap()
}

#[test]
fn a_state_loaded_before_activation_is_heard_from_the_first_sample_in_both_slots() {
    let folder = tempfile::tempdir().unwrap();
    let files = [lstm(folder.path(), "one.nam", 1), lstm(folder.path(), "two.nam", 2)];
    let models = files.clone().map(|f| Model::open(&f).unwrap());
    let input = sound(5000);
    let mut outputs = Vec::new();
    for (listen, slot) in ["a", "b"].into_iter().enumerate() {
        let mut plugin = load("ISOTHERM_CLAP");
        let state = state(&mut plugin, &named(&files[0]), &named(&files[1]));
        plugin.load_state(&state).unwrap();
        plugin.set("Listen", listen as f64);
        let output = play(&mut plugin, &input);
        assert!(output == core(&plugin, slot, Some(&models[listen]), &input), "slot {slot}");
        outputs.push(output);
    }
    assert!(outputs[0] != outputs[1] && outputs[0] != input);
}

#[test]
fn a_project_opens_on_another_machine() {
    let folder = tempfile::tempdir().unwrap();
    let file = lstm(folder.path(), "amp.nam", 3);
    let input = sound(4000);
    let mut one = load("ISOTHERM_CLAP");
    let named = state(&mut one, &named(&file), "null");
    one.load_state(&named).unwrap();
    let before = play(&mut one, &input);
    let project = one.save().unwrap();
    folder.close().unwrap();
    let mut two = load("ISOTHERM_CLAP");
    two.load_state(&project).unwrap();
    assert!(play(&mut two, &input) == before);
    assert!(two.save().unwrap() == project);
    // And from there to a third.
    let mut three = load("ISOTHERM_CLAP");
    three.load_state(&two.save().unwrap()).unwrap();
    assert!(play(&mut three, &input) == before);
}

#[test]
fn a_state_whose_model_cannot_be_read_holds_in_all_else_and_loses_nothing() {
    let input = sound(3000);
    for field in [
        "",
        "no json",
        "[]",
        "{}",
        r#"{"deflate":5}"#,
        r#"{"deflate":"%%%"}"#,
        r#"{"deflate":"AAAA"}"#,
        // "abc" in a stored block.
        r#"{"deflate":"AQMA/P9hYmM=","name":"abc.nam"}"#,
        r#"{"name":"gone.nam","folder":"/nowhere"}"#,
    ] {
        let mut one = load("ISOTHERM_CLAP");
        one.set_text("A Neural model Input", "6 dB").unwrap();
        let state = state(&mut one, field, "null");
        let mut two = load("ISOTHERM_CLAP");
        two.load_state(&state).unwrap();
        // Also before anybody could read it.
        let saves_it =
            |plugin: &Plugin| nice_state::to_json(&plugin.save().unwrap()).unwrap() == nice_state::to_json(&state).unwrap();
        assert!(saves_it(&two), "{field}");
        let output = play(&mut two, &input);
        assert!(output == core(&two, "a", None, &input), "{field}");
        assert!(output != input, "{field}");
        assert!(saves_it(&two), "{field}");
    }
}

/// Plays `input` again and again until it comes out as `expected` from a reset on.
fn plays_at_last(plugin: &mut Plugin, input: &[Vec<f32>], expected: &[Vec<f32>]) {
    for _ in 0..400 {
        plugin.render(input, [256], &[]).unwrap();
        plugin.serve().unwrap();
        plugin.reset();
        if plugin.render(input, [256], &[]).unwrap() == expected {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("it never came");
}

#[test]
fn a_broken_model_leaves_the_old_one_playing_and_no_model_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let files = [1, 2].map(|seed| lstm(folder.path(), &format!("{seed}.nam"), seed));
    let models = files.clone().map(|f| Model::open(&f).unwrap());
    let input = sound(2000);
    let mut plugin = load("ISOTHERM_CLAP");
    let first = state(&mut plugin, &named(&files[0]), "null");
    plugin.load_state(&first).unwrap();
    let old = play(&mut plugin, &input);
    assert!(old == core(&plugin, "a", Some(&models[0]), &input));
    let whole = nice_state::field(&plugin.save().unwrap(), "a_model").unwrap().unwrap();

    let broken = nice_state::with_field(&first, "a_model", r#"{"deflate":"AAAA"}"#).unwrap();
    plugin.load_state(&broken).unwrap();
    // What comes behind it is read when it was read.
    plugin.load_state(&nice_state::with_field(&broken, "b_model", &named(&files[1])).unwrap()).unwrap();
    plugin.set("Listen", 1.0);
    let expected = core(&plugin, "b", Some(&models[1]), &input);
    plays_at_last(&mut plugin, &input, &expected);
    plugin.set("Listen", 0.0);
    plays_at_last(&mut plugin, &input, &old);
    let saved = plugin.save().unwrap();
    assert_eq!(nice_state::field(&saved, "a_model").unwrap().as_deref(), Some(r#"{"deflate":"AAAA"}"#));

    plugin.load_state(&nice_state::with_field(&saved, "a_model", "null").unwrap()).unwrap();
    let expected = core(&plugin, "a", None, &input);
    plays_at_last(&mut plugin, &input, &expected);
    plugin.load_state(&nice_state::with_field(&saved, "a_model", &whole).unwrap()).unwrap();
    plays_at_last(&mut plugin, &input, &old);
}

/// The development bundle aborts the process when the audio thread allocates or frees.
#[test]
fn a_model_is_swapped_while_sound_runs_without_a_click_or_an_allocation() {
    let folder = tempfile::tempdir().unwrap();
    let gains = [0.9f32, -0.5];
    let files = gains.map(|gain| linear(folder.path(), &format!("{gain}.nam"), [gain, 0.0]));
    // A sine of whole periods has no steps of its own, also played again and again.
    let sine: Vec<f32> = (0..4800).map(|i| 0.5 * (std::f32::consts::TAU * (i % 480) as f32 / 480.0).sin()).collect();
    for bundle in ["ISOTHERM_CLAP", "ISOTHERM_CLAP_DEV"] {
        let mut plugin = load(bundle);
        plugin.select_layout(1).unwrap();
        let states = [0, 1].map(|i| state(&mut plugin, &named(&files[i]), "null"));
        plugin.load_state(&states[0]).unwrap();
        plugin.activate(48_000.0, 256).unwrap();
        let mut output = Vec::new();
        for turn in 0..6 {
            let gain = gains[turn % 2];
            let came = (0..400).any(|_| {
                let now = plugin.render(std::slice::from_ref(&sine), [256, 31, 1], &[]).unwrap().remove(0);
                output.extend_from_slice(&now);
                plugin.run_main_thread_callbacks();
                std::thread::sleep(Duration::from_millis(1));
                // At the quarter of a late period.
                (now[4440] - gain * sine[4440]).abs() < 1e-5
            });
            assert!(came, "turn {turn}");
            plugin.load_state(&states[(turn + 1) % 2]).unwrap();
        }
        let step = output.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max);
        assert!(step < 0.02, "a step of {step}");
    }
}

#[test]
fn what_is_set_before_the_first_sound_holds_from_its_first_sample() {
    let input = sound(2000);
    // Other slots are made beside: a slow machine gets more time.
    for pause_ms in [20, 100, 500, 2500] {
        let mut plugin = load("ISOTHERM_CLAP");
        plugin.activate(48_000.0, 256).unwrap();
        plugin.set_text("A Algorithm", "Clipper").unwrap();
        std::thread::sleep(Duration::from_millis(pause_ms));
        if plugin.render(&input, [256], &[]).unwrap() == both(&plugin, &input) {
            return;
        }
    }
    panic!("the first samples are another algorithm's");
}

/// What the core gives for slot A beside slot B.
fn both(plugin: &Plugin, input: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let effects = ["a", "b"].map(|slot| settings(plugin, slot).into());
    run(&effects, input)
}

#[test]
fn the_plugin_gives_the_samples_of_isotherm_render_also_at_another_rate() {
    let folder = tempfile::tempdir().unwrap();
    let file = lstm(folder.path(), "amp.nam", 4);
    let (from, to) = (folder.path().join("in.wav"), folder.path().join("out.wav"));
    for rate in [48_000u32, 44_100] {
        let input = sound(9000);
        write_wav(&from, &Audio::from_channels(rate, &[&input[0], &input[1]]).unwrap(), Format::Float32).unwrap();
        let mut plugin = load("ISOTHERM_CLAP");
        let state = state(&mut plugin, &named(&file), "null");
        plugin.load_state(&state).unwrap();
        plugin.activate(f64::from(rate), 512).unwrap();
        let latency = plugin.latency() as usize;
        let flushed: Vec<Vec<f32>> = input.iter().map(|c| c.iter().copied().chain(vec![0.0; latency]).collect()).collect();
        let output = plugin.render(&flushed, [333, 64, 1, 512], &[]).unwrap();

        let mut render = Command::new(env!("CARGO_BIN_EXE_isotherm"));
        render.arg("render").args([&from, &to]).args(["--algorithm", "neural", "--format", "32f", "--model"]).arg(&file);
        let done = render.output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let rendered = read_wav(&to).unwrap();
        for (c, channel) in output.iter().enumerate() {
            assert!(rendered.channel(c) == &channel[latency..], "at {rate}, channel {c}");
        }
    }
}
