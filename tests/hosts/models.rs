//! Models in the bundled CLAP plug-in. Needs `ISOTHERM_CLAP` and `ISOTHERM_CLAP_DEV`, which `cargo xtask test` sets.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use isotherm::algorithm::REGISTRY;
use isotherm::audio::wav::{WavFormat, read as read_wav, write as write_wav};
use isotherm::audio::{Audio, generate};
use isotherm::dsp::{ProcessSpec, Settings};
use isotherm::effect::Effect;
use isotherm::neural::Model;
use isotherm::slots::{Listen, Slots};
use isotherm_host::{ClapInstance, ParameterEvent, nice_state};
use serde_json::json;

fn load(variable: &str) -> ClapInstance {
    let path = std::env::var_os(variable);
    let path = path.unwrap_or_else(|| panic!("{variable} is not set: run `cargo xtask test`, or name a bundle in it"));
    ClapInstance::load(&PathBuf::from(path)).unwrap()
}

/// Writes a NAM file with an impulse response of two taps.
fn linear(folder: &Path, name: &str, taps: [f32; 2]) -> PathBuf {
    write(folder, name, "Linear", &json!({ "receptive_field": 2, "bias": false }), &taps)
}

/// Writes a NAM file with an LSTM of three units, whose weights come from a formula.
fn lstm(folder: &Path, name: &str, seed: usize) -> PathBuf {
    let weights: Vec<f32> = (0..70).map(|i| 0.8 * ((i * 37 + seed * 101) as f32).sin()).collect();
    write(folder, name, "LSTM", &json!({ "input_size": 1, "hidden_size": 3, "num_layers": 1 }), &weights)
}

/// Writes a NAM file.
fn write(folder: &Path, name: &str, architecture: &str, config: &serde_json::Value, weights: &[f32]) -> PathBuf {
    let path = folder.join(name);
    let file = json!({
        "version": "0.5.4", "architecture": architecture, "config": config, "weights": weights, "sample_rate": 48_000,
        "metadata": { "name": name },
    });
    std::fs::write(&path, file.to_string()).unwrap();
    path
}

/// The state's text for a model that holds the file's path only, without its bytes.
fn path_field(path: &Path) -> String {
    json!({ "name": path.file_name().unwrap().to_str(), "folder": path.parent().unwrap().to_str() }).to_string()
}

/// The plug-in's state with the neural algorithm in both slots and these texts for their models.
fn state(plugin: &mut ClapInstance, a: &str, b: &str) -> Vec<u8> {
    for slot in ["A", "B"] {
        plugin.set_text(&format!("{slot} Algorithm"), isotherm::neural::ALGORITHM.name).unwrap();
    }
    let state = nice_state::with_field(&plugin.save().unwrap(), "a_model", a).unwrap();
    nice_state::with_field(&state, "b_model", b).unwrap()
}

fn sound(frames: usize) -> Vec<Vec<f32>> {
    (0..2).map(|c| generate::pink(48_000, 0.2, frames, c as u64 + 1).unwrap().channel(0).to_vec()).collect()
}

/// The settings of a slot's algorithm, from the plug-in's state.
fn settings(plugin: &ClapInstance, slot: &str) -> Settings {
    let values = nice_state::parameters(&plugin.save().unwrap()).unwrap();
    let row = REGISTRY[values[&format!("{slot}_algorithm")] as usize];
    let mut settings = Settings::new(row);
    for (index, parameter) in row.parameters.iter().enumerate() {
        settings.set(index, values[&format!("{slot}_{}_{}", row.id, parameter.id)]);
    }
    settings
}

/// The output of the library's slots for effects, of which the first is let through.
fn run(effects: &[Effect], input: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let spec = ProcessSpec::new(48_000.0, input.len(), 4096);
    let mut slots = Slots::compile(spec, effects, Listen::Slot(0), None).unwrap();
    let mut output = input.to_vec();
    let mut views: Vec<&mut [f32]> = output.iter_mut().map(Vec::as_mut_slice).collect();
    slots.process(&mut views);
    output
}

/// The output of the library's slots for a slot of the plug-in with a model.
fn library_output(plugin: &ClapInstance, slot: &str, model: Option<&Arc<Model>>, input: &[Vec<f32>]) -> Vec<Vec<f32>> {
    run(&[Effect { settings: settings(plugin, slot), model: model.cloned() }], input)
}

fn play(plugin: &mut ClapInstance, input: &[Vec<f32>]) -> Vec<Vec<f32>> {
    plugin.activate(48_000.0, 256).unwrap();
    plugin.render(input, [256], &[]).unwrap()
}

#[test]
fn a_state_loaded_before_activation_plays_from_the_first_sample_in_both_slots() {
    let folder = tempfile::tempdir().unwrap();
    let files = [lstm(folder.path(), "one.nam", 1), lstm(folder.path(), "two.nam", 2)];
    let models = files.clone().map(|f| Model::open(&f).unwrap());
    let input = sound(5000);
    let mut outputs = Vec::new();
    for (listen, slot) in ["a", "b"].into_iter().enumerate() {
        let mut plugin = load("ISOTHERM_CLAP");
        let state = state(&mut plugin, &path_field(&files[0]), &path_field(&files[1]));
        plugin.load_state(&state).unwrap();
        plugin.set("Listen", listen as f64);
        let output = play(&mut plugin, &input);
        assert!(output == library_output(&plugin, slot, Some(&models[listen]), &input), "slot {slot}");
        outputs.push(output);
    }
    assert!(outputs[0] != outputs[1] && outputs[0] != input);
}

#[test]
fn a_state_plays_its_model_also_where_the_file_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let file = lstm(folder.path(), "amp.nam", 3);
    let input = sound(4000);
    let mut one = load("ISOTHERM_CLAP");
    let with_path = state(&mut one, &path_field(&file), "null");
    one.load_state(&with_path).unwrap();
    let before = play(&mut one, &input);
    let project = one.save().unwrap();
    folder.close().unwrap();
    let mut two = load("ISOTHERM_CLAP");
    two.load_state(&project).unwrap();
    assert!(play(&mut two, &input) == before);
    assert!(two.save().unwrap() == project);
    // The state that the second instance saved loads in a third.
    let mut three = load("ISOTHERM_CLAP");
    three.load_state(&two.save().unwrap()).unwrap();
    assert!(play(&mut three, &input) == before);
}

#[test]
fn a_state_whose_model_cannot_be_read_restores_all_else_and_is_saved_again_unchanged() {
    let input = sound(3000);
    for field in [
        "",
        "no json",
        "[]",
        "{}",
        r#"{"deflate":5}"#,
        r#"{"deflate":"%%%"}"#,
        r#"{"deflate":"AAAA"}"#,
        // Valid deflate data ("abc" in a stored block), which is not a model.
        r#"{"deflate":"AQMA/P9hYmM=","name":"abc.nam"}"#,
        r#"{"name":"gone.nam","folder":"/nowhere"}"#,
    ] {
        let mut one = load("ISOTHERM_CLAP");
        one.set_text("A Neural model Input", "6 dB").unwrap();
        let state = state(&mut one, field, "null");
        let mut two = load("ISOTHERM_CLAP");
        two.load_state(&state).unwrap();
        // The state is the same also before the model was read.
        let saves_it =
            |plugin: &ClapInstance| nice_state::to_json(&plugin.save().unwrap()).unwrap() == nice_state::to_json(&state).unwrap();
        assert!(saves_it(&two), "{field}");
        let output = play(&mut two, &input);
        assert!(output == library_output(&two, "a", None, &input), "{field}");
        assert!(output != input, "{field}");
        assert!(saves_it(&two), "{field}");
    }
}

/// Plays `input` again and again until the output after a reset is `expected`.
fn wait_for_output(plugin: &mut ClapInstance, input: &[Vec<f32>], expected: &[Vec<f32>]) {
    for _ in 0..400 {
        plugin.render(input, [256], &[]).unwrap();
        plugin.grant_requests().unwrap();
        plugin.reset();
        if plugin.render(input, [256], &[]).unwrap() == expected {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("the expected output never came");
}

#[test]
fn a_broken_model_leaves_the_old_one_playing_and_a_state_without_one_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let files = [1, 2].map(|seed| lstm(folder.path(), &format!("{seed}.nam"), seed));
    let models = files.clone().map(|f| Model::open(&f).unwrap());
    let input = sound(2000);
    let mut plugin = load("ISOTHERM_CLAP");
    let first = state(&mut plugin, &path_field(&files[0]), "null");
    plugin.load_state(&first).unwrap();
    let old = play(&mut plugin, &input);
    assert!(old == library_output(&plugin, "a", Some(&models[0]), &input));
    let whole = nice_state::field(&plugin.save().unwrap(), "a_model").unwrap().unwrap();

    let broken = nice_state::with_field(&first, "a_model", r#"{"deflate":"AAAA"}"#).unwrap();
    plugin.load_state(&broken).unwrap();
    // Once the model of slot B plays, the broken one of slot A has been read.
    plugin.load_state(&nice_state::with_field(&broken, "b_model", &path_field(&files[1])).unwrap()).unwrap();
    plugin.set("Listen", 1.0);
    let expected = library_output(&plugin, "b", Some(&models[1]), &input);
    wait_for_output(&mut plugin, &input, &expected);
    plugin.set("Listen", 0.0);
    wait_for_output(&mut plugin, &input, &old);
    let saved = plugin.save().unwrap();
    assert_eq!(nice_state::field(&saved, "a_model").unwrap().as_deref(), Some(r#"{"deflate":"AAAA"}"#));

    plugin.load_state(&nice_state::with_field(&saved, "a_model", "null").unwrap()).unwrap();
    let expected = library_output(&plugin, "a", None, &input);
    wait_for_output(&mut plugin, &input, &expected);
    plugin.load_state(&nice_state::with_field(&saved, "a_model", &whole).unwrap()).unwrap();
    wait_for_output(&mut plugin, &input, &old);
}

/// The development bundle aborts the process when the audio thread allocates or frees.
#[test]
fn a_model_is_swapped_while_sound_runs_without_a_click_or_an_allocation() {
    let folder = tempfile::tempdir().unwrap();
    let gains = [0.9f32, -0.5];
    let files = gains.map(|gain| linear(folder.path(), &format!("{gain}.nam"), [gain, 0.0]));
    // A sine of whole periods has no steps, even when it is repeated.
    let sine: Vec<f32> = (0..4800).map(|i| 0.5 * (std::f32::consts::TAU * (i % 480) as f32 / 480.0).sin()).collect();
    for bundle in ["ISOTHERM_CLAP", "ISOTHERM_CLAP_DEV"] {
        let mut plugin = load(bundle);
        plugin.select_layout(1).unwrap();
        let states = [0, 1].map(|i| state(&mut plugin, &path_field(&files[i]), "null"));
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
                // The frame is at the peak of a late period.
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
fn a_value_set_before_the_first_block_takes_effect_at_its_first_sample() {
    let input = sound(2000);
    // The other slots are made on the builder thread: a slow machine gets more time.
    for pause_ms in [20, 100, 500, 2500] {
        let mut plugin = load("ISOTHERM_CLAP");
        plugin.activate(48_000.0, 256).unwrap();
        plugin.set_text("A Algorithm", "Clipper").unwrap();
        std::thread::sleep(Duration::from_millis(pause_ms));
        if plugin.render(&input, [256], &[]).unwrap() == both_slots_output(&plugin, &input) {
            return;
        }
    }
    panic!("the first samples are another algorithm's");
}

/// The output of the library's slots for both slots of the plug-in, of which A is let through.
fn both_slots_output(plugin: &ClapInstance, input: &[Vec<f32>]) -> Vec<Vec<f32>> {
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
        write_wav(&from, &Audio::from_channels(rate, &[&input[0], &input[1]]).unwrap(), WavFormat::Float32).unwrap();
        let mut plugin = load("ISOTHERM_CLAP");
        let state = state(&mut plugin, &path_field(&file), "null");
        plugin.load_state(&state).unwrap();
        plugin.activate(f64::from(rate), 512).unwrap();
        let latency = plugin.latency() as usize;
        let flushed: Vec<Vec<f32>> = input.iter().map(|c| c.iter().copied().chain(vec![0.0; latency]).collect()).collect();
        let output = plugin.render(&flushed, [333, 64, 1, 512], &[]).unwrap();

        let mut render = Command::new(env!("CARGO_BIN_EXE_isotherm"));
        render
            .arg("render")
            .args([&from, &to])
            .args(["--algorithm", "neural", "--force", "--format", "32f", "--model"])
            .arg(&file);
        let done = render.output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let rendered = read_wav(&to).unwrap();
        for (c, channel) in output.iter().enumerate() {
            assert!(rendered.channel(c) == &channel[latency..], "at {rate}, channel {c}");
        }
    }
}

#[test]
fn a_model_changes_its_oversampling_while_it_plays_with_a_dip_and_the_new_latency() {
    let folder = tempfile::tempdir().unwrap();
    let file = lstm(folder.path(), "amp.nam", 5);
    let model = Model::open(&file).unwrap();
    let mut plugin = load("ISOTHERM_CLAP");
    let state = state(&mut plugin, &path_field(&file), "null");
    plugin.load_state(&state).unwrap();
    plugin.activate(48_000.0, 256).unwrap();
    // A sine of whole periods has no steps, even when it is repeated.
    let sine: Vec<f32> = (0..48_000).map(|i| 0.5 * (std::f32::consts::TAU * (i % 480) as f32 / 480.0).sin()).collect();
    let input = vec![sine.clone(), sine];
    let largest_step = |sound: &[f32]| sound.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max);
    let steady = largest_step(&plugin.render(&input, [256], &[]).unwrap()[0]);
    let id = plugin.parameter("A Neural model Oversampling").id;
    for setting in [2.0, 1.0, 2.0, 0.0] {
        let before = plugin.latency();
        let mut output = Vec::new();
        let mut events = vec![ParameterEvent { frame: 100, id, value: setting }];
        for _ in 0..500 {
            output.extend(plugin.render(&input, [256], &events).unwrap().remove(0));
            events.clear();
            plugin.run_main_thread_callbacks();
            if plugin.restart_requested() {
                break;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        assert!(plugin.restart_requested(), "the host is asked to restart for setting {setting}");
        // The dip takes 5 ms from the loudest sample to silence: 1/240 a frame, on top of the sine's own steps.
        let step = largest_step(&output);
        assert!(step < 1.5 * steady + 0.01, "a step of {step}, {steady} before, setting {setting}");
        assert_eq!(plugin.latency(), before, "constant while active");
        plugin.grant_requests().unwrap();
        let expected = library_output(&plugin, "a", Some(&model), &input);
        plugin.reset();
        assert!(plugin.render(&input, [256], &[]).unwrap() == expected, "setting {setting}");
        assert_eq!(plugin.latency() > 0, setting > 0.0, "setting {setting}");
    }
}

#[test]
fn an_oversampled_model_comes_back_with_the_state_and_has_its_own_oversampling_in_a_bounce() {
    let folder = tempfile::tempdir().unwrap();
    let file = lstm(folder.path(), "amp.nam", 6);
    let input = sound(6000);
    let played = |set: &str, render: &str, offline: bool| {
        let mut one = load("ISOTHERM_CLAP");
        let state = state(&mut one, &path_field(&file), "null");
        one.load_state(&state).unwrap();
        one.set_text("A Neural model Oversampling", set).unwrap();
        one.set_text("A Neural model Render oversampling", render).unwrap();
        let saved = one.save().unwrap();
        let mut two = load("ISOTHERM_CLAP");
        two.load_state(&saved).unwrap();
        two.set_offline(offline).unwrap();
        two.activate(48_000.0, 256).unwrap();
        (two.latency() as usize, two.render(&input, [256], &[]).unwrap())
    };
    let [one, four] = ["1x", "4x"].map(|set| played(set, "As set", false));
    assert!(one.0 == 0 && four.0 > 0 && one.1 != four.1);
    assert!(played("4x", "As set", true) == four && played("4x", "4x", true) == four, "a bounce as set is the live sound");
    assert!(played("1x", "4x", true) == four);
    // Live, the sound of 1x has the latency of 4x.
    let (latency, late) = played("1x", "4x", false);
    assert_eq!(latency, four.0);
    for (late, one) in late.iter().zip(&one.1) {
        assert!(late[latency..] == one[..one.len() - latency]);
    }
}
