//! Tests of `isotherm model`, and of `--model` of `render`, `bench` and `record`, on model files that the tests write.

use std::path::{Path, PathBuf};

use isotherm::audio::Audio;
use isotherm::audio::wav::{WavFormat, read, write};
use serde_json::{Value, json};

use crate::run::{isotherm, run_failing};

/// Runs the program, checks that it succeeds without warnings, and returns its standard output.
fn run_ok(arguments: &[&str]) -> String {
    let done = isotherm(arguments);
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    assert!(done.stderr.is_empty());
    String::from_utf8(done.stdout).unwrap()
}

/// Returns a NAM file: a WaveNet of one layer of one channel whose output is `scale` max(x, 0).
fn rectifier(scale: f32) -> Value {
    let array = json!({
        "input_size": 1, "condition_size": 1, "channels": 1, "kernel_size": 2, "dilations": [48], "activation": "ReLU",
        "head_size": 1, "head_bias": false,
    });
    // Rechannel; convolution (the last tap is on the newest sample) and its bias; mixin; 1x1 and its bias; head; scale.
    let weights = [1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, scale];
    json!({
        "version": "0.5.4", "architecture": "WaveNet", "config": {"layers": [array], "head": null, "head_scale": 1.0},
        "weights": weights, "sample_rate": 48000, "metadata": {
            "name": "Rectifier", "modeled_by": "A test", "gear_make": "None", "loudness": -18.5, "input_level_dbu": 12.0,
            "training": {"validation_esr": 0.5},
        },
    })
}

/// A temporary folder for model and sound files.
struct TestFolder(tempfile::TempDir);

impl TestFolder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
    /// Writes a file and returns its path.
    fn write(&self, name: &str, value: &Value) -> String {
        std::fs::write(self.path(name), value.to_string()).unwrap();
        text(&self.path(name))
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

#[test]
fn inspect_shows_metadata_and_cost() {
    let folder = TestFolder::new();
    // The format is recognised by the content, not by the name.
    let file = folder.write("amp.onnx", &rectifier(0.5));
    let shown: Value = serde_json::from_str(&run_ok(&["model", "inspect", &file, "--json"])).unwrap();
    let expected = json!({
        "file": file, "format": "nam", "version": "0.5.4", "name": "Rectifier", "author": "A test", "gear_make": "None",
        "gear_model": null, "architecture": "WaveNet, 1 array of 1 channels", "parameters": 9, "sample_rate": 48000.0,
        "sample_rate_given": true, "loudness_db": -18.5, "input_level_dbu": 12.0, "output_level_dbu": null, "esr": 0.5,
        "knobs": [], "ignored": [],
        "golden_frames": null,
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&shown[key], value, "{key}");
    }
    let [size] = shown["sizes"].as_array().unwrap().as_slice() else { panic!("{shown}") };
    assert_eq!((&size["receptive_field_frames"], &size["latency_frames"]), (&json!(49), &json!(0)));
    assert!((size["receptive_field_ms"].as_f64().unwrap() - 49.0 / 48.0).abs() < 1e-9);
    for key in ["weights_bytes", "state_bytes_per_channel", "ns_per_sample"] {
        assert!(size[key].as_f64().unwrap() > 0.0, "{key}");
    }
    let lines = run_ok(&["model", "inspect", &file]);
    for part in
        ["WaveNet, 1 array of 1 channels (nam 0.5.4)", "Rectifier", "A test", "-18.50 dB", "12 dBu", "49 frames, 1.0 ms", "0.5"]
    {
        assert!(lines.contains(part), "{part}: {lines}");
    }
}

/// Returns a NAM file with an impulse response of one tap.
fn linear() -> Value {
    json!({
        "version": "0.5.4", "architecture": "Linear", "config": {"receptive_field": 1, "bias": false}, "weights": [0.5],
        "sample_rate": 48000,
    })
}

#[test]
fn inspect_tells_the_aliasing_at_each_oversampling_that_a_model_has() {
    let folder = TestFolder::new();
    let (file, plain) = (folder.write("amp.nam", &rectifier(0.5)), folder.write("linear.nam", &linear()));
    let shown: Value = serde_json::from_str(&run_ok(&["model", "inspect", &file, "--json"])).unwrap();
    let aliasing = &shown["sizes"][0]["aliasing"];
    assert_eq!((&aliasing["sample_rate"], aliasing["tones"].as_array().unwrap().len()), (&json!(48_000), 2));
    let lines = run_ok(&["model", "inspect", &file]);
    for tone in aliasing["tones"].as_array().unwrap() {
        let figure = |key: &str| tone[key].as_f64().unwrap();
        let (plain, twice, four_times) = (figure("at_1x_db"), figure("at_2x_db"), figure("at_4x_db"));
        // Harmonics of half a sine fall by 12 dB an octave.
        assert!(twice < plain - 6.0 && four_times < twice - 6.0, "{tone}");
        let line =
            format!("  aliasing      {:.0} Hz: {plain:.1} dB; at 2x {twice:.1} dB, at 4x {four_times:.1} dB\n", figure("hz"));
        assert!(lines.contains(&line), "{line} in {lines}");
    }
    let lines = run_ok(&["model", "inspect", &plain]);
    assert!(lines.contains(" Hz: below -100 dB\n") && !lines.contains("at 2x"), "{lines}");
}

#[test]
fn aliasing_prints_a_row_for_each_model_with_its_costs() {
    let folder = TestFolder::new();
    let (file, plain) = (folder.write("amp.nam", &rectifier(0.5)), folder.write("linear.nam", &linear()));
    let text = run_ok(&["model", "aliasing", &file, &plain]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "| model | 1245 Hz, 1x | 2x | 4x | 5 kHz, 1x | 2x | 4x | cost, 1x | 2x | 4x |");
    assert_eq!(lines[1], format!("|---|{}", "---:|".repeat(9)));
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let (amp, linear) = (cells(lines[2]), cells(lines[3]));
    assert_eq!((lines.len(), amp.len(), linear.len(), amp[0].as_str(), linear[0].as_str()), (4, 10, 10, "amp.nam", "linear.nam"));
    assert_eq!(linear[1..7], ["< -100", "", "", "< -100", "", ""]);
    assert_eq!(linear[8..], ["", ""]);
    let shown: Value = serde_json::from_str(&run_ok(&["model", "aliasing", &file, &plain, "--json"])).unwrap();
    let keys = ["at_1x_db", "at_2x_db", "at_4x_db"];
    let figures = [0, 1].into_iter().flat_map(|tone| keys.map(|key| (tone, key)));
    for (cell, (tone, key)) in amp[1..7].iter().zip(figures) {
        assert_eq!(*cell, format!("{:.1}", shown[0]["aliasing"]["tones"][tone][key].as_f64().unwrap()), "{tone} {key}");
    }
    let oversamplings = |model: usize| shown[model]["oversamplings"].as_array().unwrap();
    assert_eq!((oversamplings(0).len(), oversamplings(1).len()), (3, 1));
    for (found, factor) in oversamplings(0).iter().zip([1, 2, 4]) {
        assert_eq!(found["factor"], factor);
        assert_eq!(found["latency_frames"] == 0, factor == 1, "{found}");
        assert!(found["ns_per_sample"].as_f64().unwrap() > 0.0 && found["relative_cost"].as_f64().unwrap() > 0.0, "{found}");
    }
}

#[test]
fn inspect_names_what_it_left_out_of_a_file() {
    let folder = TestFolder::new();
    let mut odd = rectifier(0.5);
    odd["metadata"]["name"] = json!(5);
    let file = folder.write("odd.nam", &odd);
    let line = "metadata.name: 5; expected a text";
    assert!(run_ok(&["model", "inspect", &file]).contains(&format!("  ignored       {line}\n")));
    let shown: Value = serde_json::from_str(&run_ok(&["model", "inspect", &file, "--json"])).unwrap();
    assert_eq!((&shown["ignored"], &shown["name"]), (&json!([line]), &Value::Null));
}

#[test]
fn the_latency_of_a_model_has_the_frames_that_it_looks_ahead() {
    let folder = TestFolder::new();
    let mut ahead = rectifier(0.5);
    ahead["metadata"]["late_frames"] = json!(6);
    let (file, plain) = (folder.write("ahead.nam", &ahead), folder.write("amp.nam", &rectifier(0.5)));
    let shown = run_ok(&["model", "inspect", &file]);
    assert!(shown.contains("  latency       6 frames, of them 6 because the model looks ahead\n"), "{shown}");
    assert!(run_ok(&["model", "inspect", &plain]).contains("  latency       0 frames\n"));
}

#[test]
fn the_rate_of_a_file_without_one_can_be_given_and_that_of_another_cannot() {
    let folder = TestFolder::new();
    let mut rateless = rectifier(0.5);
    rateless.as_object_mut().unwrap().remove("sample_rate");
    let (file, with_rate) = (folder.write("rateless.nam", &rateless), folder.write("amp.nam", &rectifier(0.5)));
    let shown = run_ok(&["model", "inspect", &file, "--model-rate", "44.1k", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&shown).unwrap()["sample_rate"], json!(44_100.0));
    assert!(run_ok(&["model", "inspect", &file, "--model-rate", "44100"]).contains("44100 Hz, as --model-rate says"));
    assert!(run_ok(&["model", "inspect", &file]).contains("48000 Hz, as the format has it"));
    let line = run_failing(&["model", "inspect", &with_rate, "--model-rate", "44100"], 2);
    assert!(line.contains("--model-rate: 44100 Hz for a model whose file says 48000 Hz"), "{line}");
}

#[test]
fn verify_passes_a_good_model_and_lists_checks_that_were_not_possible() {
    let folder = TestFolder::new();
    let file = folder.write("amp.nam", &rectifier(0.5));
    let shown: Value = serde_json::from_str(&run_ok(&["model", "verify", &file, "--json"])).unwrap();
    assert_eq!(shown["passed"], true);
    let checks: Vec<_> =
        shown["checks"].as_array().unwrap().iter().map(|c| (c["name"].as_str().unwrap(), &c["passed"])).collect();
    let (passed, not_checked) = (json!(true), Value::Null);
    let expected = [("weights", &passed), ("golden batch", &not_checked), ("finite", &passed), ("loudness", &not_checked)];
    assert_eq!(checks, expected);
    assert!(run_ok(&["model", "verify", &file]).contains("not checked: --loudness-input is missing"));
}

#[test]
fn verify_measures_loudness_with_the_trainers_recording() {
    let folder = TestFolder::new();
    // Half a square wave of 0.8 is 0.8 for half of the time: RMS 0.4 / sqrt 2.
    let sound: Vec<f32> = (0..48_000).map(|i| if i / 100 % 2 == 0 { 0.8 } else { -0.8 }).collect();
    let wav = text(&folder.path("in.wav"));
    write(&wav, &Audio::from_channels(48_000, &[&sound]).unwrap(), WavFormat::Float32).unwrap();
    let mut model = rectifier(0.5);
    model["metadata"]["loudness"] = json!(20.0 * (0.4 / 2f64.sqrt()).log10());
    let file = folder.write("amp.nam", &model);
    assert!(run_ok(&["model", "verify", &file, "--loudness-input", &wav]).contains("-10.969 dB; expected -10.969"));
    model["metadata"]["loudness"] = json!(-11.1);
    let file = folder.write("amp.nam", &model);
    let line = run_failing(&["model", "verify", &file, "--loudness-input", &wav], 1);
    assert!(line.contains("amp.nam: loudness: -10.969 dB; expected -11.100 within 0.05"), "{line}");
}

#[test]
fn verify_fails_a_model_with_infinite_output() {
    let folder = TestFolder::new();
    let mut model = rectifier(3e38);
    model["weights"][2] = json!(3e38);
    let file = folder.write("amp.nam", &model);
    let line = run_failing(&["model", "verify", &file], 1);
    assert!(line.contains("finite: inf at frame") && line.contains("expected finite numbers"), "{line}");
}

/// Returns a Keras file with an LSTM of two units, a dense layer and a test vector, which is computed here in f64.
fn recurrent() -> Value {
    let (w, u) = ([[0.5, -0.25, 0.75, 1.0, -0.5, 0.25, 0.125, -1.0]], [[0.1, -0.2, 0.3, -0.4, 0.5, -0.6, 0.7, -0.8]; 2]);
    let (bias, dense, offset) = ([0.1, -0.1, 0.2, -0.2, 0.3, -0.3, 0.4, -0.4], [0.75, -0.5], 0.25);
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let (mut h, mut c) = ([0.0f64; 2], [0.0f64; 2]);
    let input: Vec<f64> = (0..300).map(|i| (f64::from(i) * 0.1).sin()).collect();
    let output: Vec<f64> = input
        .iter()
        .map(|x| {
            let gates: Vec<f64> = (0..8).map(|g| bias[g] + x * w[0][g] + h[0] * u[0][g] + h[1] * u[1][g]).collect();
            for k in 0..2 {
                c[k] = sigmoid(gates[2 + k]) * c[k] + sigmoid(gates[k]) * gates[4 + k].tanh();
                h[k] = sigmoid(gates[6 + k]) * c[k].tanh();
            }
            offset + h[0] * dense[0] + h[1] * dense[1] + x
        })
        .collect();
    json!({
        "in_shape": [null, null, 1], "in_skip": 1, "in_gain": 6.0, "out_gain": -3.0, "input_batch": input, "output_batch": output,
        "layers": [
            {"type": "lstm", "activation": "", "shape": [null, null, 2], "weights": [w, u, bias]},
            {"type": "dense", "activation": "", "shape": [null, null, 1], "weights": [[[dense[0]], [dense[1]]], [offset]]},
        ],
    })
}

#[test]
fn verify_runs_the_test_vector_from_a_zero_state() {
    let folder = TestFolder::new();
    let mut model = recurrent();
    let file = folder.write("amp.json", &model);
    let lines = run_ok(&["model", "verify", &file]);
    assert!(lines.contains("golden batch  300 frames within"), "{lines}");
    model["output_batch"][250] = json!(model["output_batch"][250].as_f64().unwrap() + 0.001);
    let file = folder.write("amp.json", &model);
    let line = run_failing(&["model", "verify", &file], 1);
    assert!(line.contains("golden batch: 300 frames within") && line.contains("expected 1e-5"), "{line}");
}

#[test]
fn render_runs_the_model_that_is_named() {
    let folder = TestFolder::new();
    let file = folder.write("amp.nam", &rectifier(0.5));
    let sound: Vec<f32> = (0..10_000).map(|i| (i as f32 * 0.37).sin() * 0.9).collect();
    let other: Vec<f32> = sound.iter().map(|x| -x).collect();
    let (from, to) = (text(&folder.path("in.wav")), text(&folder.path("out.wav")));
    write(&from, &Audio::from_channels(48_000, &[&sound, &other]).unwrap(), WavFormat::Float32).unwrap();
    let call =
        ["render", &from, &to, "--algorithm", "neural", "--output-mode", "raw", "--format", "32f", "--json", "--model", &file];
    let report: Value = serde_json::from_str(&run_ok(&call)).unwrap();
    assert_eq!((&report["model"]["name"], &report["model"]["file"]), (&json!("Rectifier"), &json!(file)));
    let rendered = read(&to).unwrap();
    for (channel, input) in [&sound, &other].into_iter().enumerate() {
        let worst = rendered.channel(channel).iter().zip(input).map(|(y, x)| (y - 0.5 * x.max(0.0)).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-6 && rendered.frames() == input.len(), "channel {channel}: {worst:e}");
    }
}

#[test]
fn bench_with_a_model_names_it_and_measures_only_neural() {
    let folder = TestFolder::new();
    let file = folder.write("amp.nam", &rectifier(0.5));
    let call = ["bench", "--block", "64", "--channels", "1", "--blocks", "100", "--model", &file];
    let lines = run_ok(&[&call[..], &["--json"]].concat());
    let figures: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [figures] = figures.as_slice() else { panic!("{lines}") };
    assert_eq!((&figures["algorithm"], &figures["model"]["name"]), (&json!("neural"), &json!("Rectifier")));
    assert!(figures["weights_bytes"].as_u64().unwrap() > 0 && figures["ns_per_sample"].as_f64().unwrap() > 0.0);
    assert!(run_ok(&call).contains("Rectifier: WaveNet, 1 array of 1 channels"));
}

#[test]
fn errors_are_one_line_and_an_exit_code() {
    let folder = TestFolder::new();
    let good = folder.write("amp.nam", &rectifier(0.5));
    let missing = text(&folder.path("none.nam"));
    let mut broken = rectifier(0.5);
    broken["config"]["layers"][0]["dilations"][0] = json!(0);
    let broken = folder.write("broken.nam", &broken);
    let (from, to) = (text(&folder.path("in.wav")), text(&folder.path("out.wav")));
    write(&from, &Audio::from_channels(48_000, &[&[0.5f32; 100]]).unwrap(), WavFormat::Float32).unwrap();
    for command in ["inspect", "verify", "aliasing"] {
        assert!(run_failing(&["model", command, &missing], 1).contains("none.nam: "));
        let line = run_failing(&["model", command, &broken], 1);
        assert!(line.contains("broken.nam: config.layers[0].dilations[0]: 0; expected a whole number from 1 to"), "{line}");
        run_failing(&["model", command], 2);
    }
    run_failing(&["model", "train", &good], 2);
    let line = run_failing(&["render", &from, &to, "--algorithm", "saturator", "--model", &good], 2);
    assert!(line.contains("--model: saturator runs no model; expected an algorithm that does: neural"), "{line}");
    assert!(run_failing(&["bench", "--algorithm", "clipper", "--model", &good], 2).contains("--model: clipper runs no model"));
    assert!(run_failing(&["render", &from, &to, "--algorithm", "neural", "--model", &missing], 1).contains("none.nam: "));
    // An algorithm that runs a model is refused without one, instead of passing the input on.
    let take = text(&folder.path("takes"));
    for command in [
        vec!["render", &from, &to, "--algorithm", "neural"],
        vec!["bench", "--algorithm", "neural"],
        vec!["record", "--device", "none", "--out", &take, "--monitor", "1", "--monitor-to", "1", "--algorithm", "neural"],
    ] {
        let line = run_failing(&command, 2);
        assert!(line.contains("--algorithm neural: no model; expected --model FILE"), "{line}");
    }
    assert!(!folder.path("out.wav").exists());
}

/// Returns a NAM file whose output is infinite for every positive input: its gains of 1e30 multiply.
fn infinite() -> Value {
    let mut model = rectifier(1e30);
    model["config"]["layers"][0]["head_size"] = json!(1);
    model["weights"][7] = json!(1e30);
    model
}

#[test]
fn a_model_with_infinite_output_is_reset_and_reported() {
    let folder = TestFolder::new();
    let file = folder.write("amp.nam", &infinite());
    let (from, to) = (text(&folder.path("in.wav")), text(&folder.path("out.wav")));
    // Silence with 128 frames of sound at about 0.25 s: a reset for each of two runs of 64 frames.
    let mut sound = vec![0.0; 24_000];
    sound[12_032..12_160].fill(0.5);
    write(&from, &Audio::from_channels(48_000, &[&sound]).unwrap(), WavFormat::Float32).unwrap();
    let command = ["render", &from, &to, "--algorithm", "neural", "--block", "64", "--force", "--model", &file];
    let done = isotherm(&command);
    assert!(done.status.success());
    let warning = String::from_utf8(done.stderr).unwrap();
    assert_eq!(warning.trim_end().lines().count(), 1, "{warning}");
    let expected =
        format!("isotherm: warning: {file}: gave NaN or infinite numbers, first within 0.252 s: silenced and begun anew 2 times");
    assert_eq!(warning.trim_end(), expected);
    let done = isotherm(&[&command[..], &["--json"]].concat());
    let report: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(report["nan_resets"], json!({ "count": 2, "first_within_frames": 12_096 }));
    // `bench` warns as well.
    let done = isotherm(&["bench", "--block", "64", "--channels", "1", "--blocks", "100", "--model", &file]);
    assert!(String::from_utf8(done.stderr).unwrap().contains("gave NaN or infinite numbers: silenced and begun anew"));
    // A good model is not warned of; the JSON report has a count of 0.
    let good = folder.write("good.nam", &rectifier(0.5));
    let report: Value =
        serde_json::from_str(&run_ok(&["render", &from, &to, "--algorithm", "neural", "--force", "--json", "--model", &good]))
            .unwrap();
    assert_eq!(report["nan_resets"], json!({ "count": 0, "first_within_frames": null }));
    let report: Value =
        serde_json::from_str(&run_ok(&["render", &from, &to, "--algorithm", "clipper", "--force", "--json"])).unwrap();
    assert_eq!(report["nan_resets"], Value::Null);
}

#[test]
fn inspect_shows_the_constant_on_silence_and_the_dc_blocker_removes_it() {
    let folder = TestFolder::new();
    // A bias of the convolution passes through the rectifier and the head as a constant.
    let mut model = rectifier(0.5);
    model["weights"][3] = json!(0.05);
    for (name, model, constant) in [("quiet.nam", rectifier(0.5), 0.0f64), ("offset.nam", model, 0.025)] {
        let file = folder.write(name, &model);
        let shown: Value = serde_json::from_str(&run_ok(&["model", "inspect", &file, "--json"])).unwrap();
        let size = &shown["sizes"][0];
        assert!((size["dc_on_silence"].as_f64().unwrap() - constant).abs() < 1e-6, "{size}");
        let lines = run_ok(&["model", "inspect", &file]);
        if constant == 0.0 {
            assert_eq!(size["dc_on_silence_dbfs"], Value::Null);
            assert!(lines.contains("on silence    silence"), "{lines}");
        } else {
            assert!((size["dc_on_silence_dbfs"].as_f64().unwrap() - 20.0 * constant.log10()).abs() < 0.01, "{size}");
            assert!(lines.contains("on silence    a constant of +0.025000, -32.0 dBFS"), "{lines}");
        }
        let (from, to) = (text(&folder.path("in.wav")), text(&folder.path("out.wav")));
        for rate in [48_000, 44_100] {
            write(&from, &Audio::from_channels(rate, &[&[0.0f32; 3000]]).unwrap(), WavFormat::Float32).unwrap();
            for (blocker, expected) in [("off", constant), ("on", 0.0)] {
                let command =
                    ["render", &from, &to, "--algorithm", "neural", "--output-mode", "raw", "--format", "32f", "--force"];
                run_ok(&[&command[..], &["--dc-blocker", blocker, "--model", &file]].concat());
                let sound = read(&to).unwrap();
                let all = sound.channel(0).iter().all(|y| (f64::from(*y) - expected).abs() < 1e-6);
                assert!(all, "{name} at {rate} Hz, blocker {blocker}: {:?}", &sound.channel(0)[..9]);
            }
        }
    }
}

/// The names of all files of a folder, also hidden ones.
fn names(folder: &TestFolder) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder.0.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn oversample_writes_a_model_that_renders_as_the_original_with_oversampling() {
    let folder = TestFolder::new();
    let file = folder.write("amp.nam", &rectifier(0.5));
    let out = text(&folder.path("amp-4x.nam"));
    let said = run_ok(&["model", "oversample", &file, "--factor", "4", &out]);
    // 49 frames of receptive field and 1024 more, four times.
    let expected = format!("{out}: 4x, 192000 Hz; 4292 frames of noise come out as from {file} at 4x, bit for bit\n");
    assert_eq!(said, expected);
    assert_eq!(names(&folder), ["amp-4x.nam", "amp.nam"]);
    let written: Value = serde_json::from_slice(&std::fs::read(&out).unwrap()).unwrap();
    let mut model = rectifier(0.5);
    model["config"]["layers"][0]["dilations"][0] = json!(4 * 48);
    model["sample_rate"] = json!(192_000);
    model["metadata"]["oversampled"] = json!(format!("4x by Isotherm {}", env!("CARGO_PKG_VERSION")));
    assert_eq!(written, model);
    assert!(run_ok(&["model", "verify", &out]).contains("weights       9, all used"));

    let sound: Vec<f32> = (0..9000).map(|i| (i as f32 * 0.37).sin() * 0.9).collect();
    let wav = text(&folder.path("in.wav"));
    write(&wav, &Audio::from_channels(192_000, &[&sound]).unwrap(), WavFormat::Float32).unwrap();
    let [plain, oversampled] = [(&out, "1x"), (&file, "4x")].map(|(model, oversampling)| {
        let to = text(&folder.path("out.wav"));
        let call = ["render", &wav, &to, "--algorithm", "neural", "--model", model, "--oversampling", oversampling];
        run_ok(&[&call[..], &["--format", "32f", "--force"]].concat());
        read(&to).unwrap().channel(0).to_vec()
    });
    assert!(plain == oversampled && plain.iter().any(|y| *y > 0.1));
}

#[test]
fn oversample_says_that_older_players_do_not_know_the_dilation_of_a_head() {
    let folder = TestFolder::new();
    let mut model = rectifier(0.5);
    let array = model["config"]["layers"][0].as_object_mut().unwrap();
    array.remove("head_size");
    array.insert("head".into(), json!({"out_channels": 1, "kernel_size": 2, "bias": false}));
    model["weights"].as_array_mut().unwrap().insert(7, json!(0.25));
    let (file, out) = (folder.write("amp.nam", &model), text(&folder.path("out.nam")));
    let said = run_ok(&["model", "oversample", &file, "--factor", "2", &out]);
    assert!(said.ends_with("NeuralAmpModelerCore knows from 0.5.5 on: older players ignore it and sound wrong\n"), "{said}");
}

#[test]
fn oversample_refuses_what_it_cannot_do_in_one_line_and_leaves_every_file_as_it_was() {
    let folder = TestFolder::new();
    let file = folder.write("amp.nam", &rectifier(0.5));
    let lstm = json!({
        "version": "0.5.4", "architecture": "LSTM", "config": {"num_layers": 1, "input_size": 1, "hidden_size": 1},
        "weights": vec![0.5; 4 * 2 + 4 + 2 + 2],
    });
    let lstm = folder.write("lstm.nam", &lstm);
    let keras = folder.write("keras.json", &recurrent());
    // The bias of the convolution makes every sample infinite.
    let mut infinite = infinite();
    infinite["weights"][3] = json!(1e30);
    let infinite = folder.write("infinite.nam", &infinite);
    let there = folder.write("there.nam", &json!("keep me"));
    let before = names(&folder);
    let bytes = |path: &str| std::fs::read(path).unwrap();
    let (original, kept) = (bytes(&file), bytes(&there));
    let out = text(&folder.path("out.nam"));
    for (from, factor, to, more, code, expected) in [
        (&lstm, "2", &out, None, 1, "lstm.nam: architecture: 'LSTM'; expected WaveNet, ConvNet or Linear"),
        (&keras, "2", &out, None, 1, "keras.json: a model in Keras JSON; expected .nam"),
        (&file, "32", &out, None, 1, "amp.nam: a sample rate of 1536000 Hz at 32x; expected at most 768000"),
        (&infinite, "2", &out, None, 1, "infinite.nam: gives NaN or infinite numbers from the first frame on"),
        (&infinite, "2", &there, Some("--force"), 1, "infinite.nam: gives NaN or infinite numbers from the first frame on"),
        (&file, "2", &there, None, 1, "there.nam: exists already; expected a new name, or --force"),
        (&file, "2", &file, Some("--force"), 2, "amp.nam: the model itself; expected another name"),
        (&file, "2", &text(&folder.path("./../")), None, 2, "expected a name that ends in .nam"),
        (&file, "2", &text(&folder.path("none/out.nam")), None, 1, "none/out.nam: cannot be written"),
        (&file, "3", &out, None, 2, "--factor: 3; expected a power of two"),
        (&file, "1", &out, None, 2, "--factor: '1' is no number from 2 to 1024"),
        (&file, "two", &out, None, 2, "--factor: 'two' is no number from 2 to 1024"),
    ] {
        let call = ["model", "oversample", from, "--factor", factor, to];
        let line = run_failing(&[&call[..], more.as_slice()].concat(), code);
        assert!(line.contains(expected), "{line}\nexpected {expected}");
        assert_eq!((names(&folder), bytes(&file), bytes(&there)), (before.clone(), original.clone(), kept.clone()), "{expected}");
    }
    #[cfg(unix)]
    {
        let link = text(&folder.path("link.nam"));
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let line = run_failing(&["model", "oversample", &file, "--factor", "2", &link, "--force"], 2);
        assert!(line.contains("link.nam: the model itself") && bytes(&file) == original, "{line}");
    }
    run_failing(&["model", "oversample", &file, &out], 2);
    run_ok(&["model", "oversample", &file, "--factor", "2", &there, "--force"]);
    assert_ne!(bytes(&there), kept);
    assert_eq!(bytes(&file), original);
}
