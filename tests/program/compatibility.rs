//! The table of model files in `docs/compatibility.md`: a file of each kind, and the words of `isotherm model inspect` for it.
//!
//! With `ISOTHERM_BLESS=1` the test writes the table anew.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::run::isotherm;

/// The page with the table.
const PAGE: &str = "docs/compatibility.md";
/// The lines around the table.
const MARKS: (&str, &str) =
    ("<!-- table of models: made by tests/program/compatibility.rs -->\n", "<!-- end of the table of models -->\n");

/// A NAM file.
fn nam(architecture: &str, config: Value, weights: &[f32]) -> Value {
    json!({"version": "0.5.4", "architecture": architecture, "config": config, "weights": weights, "sample_rate": 48_000})
}

/// An impulse response of one tap.
fn linear() -> Value {
    nam("Linear", json!({"receptive_field": 1, "bias": false}), &[0.5])
}

/// An LSTM of one unit: gates, initial state, head.
fn lstm() -> Value {
    nam("LSTM", json!({"num_layers": 1, "input_size": 1, "hidden_size": 1}), &[0.1; 4 * 2 + 4 + 2 + 2])
}

/// A WaveNet of one layer of one channel.
fn wavenet() -> Value {
    let array = json!({
        "input_size": 1, "condition_size": 1, "channels": 1, "kernel_size": 2, "dilations": [1], "activation": "ReLU",
        "head_size": 1, "head_bias": false,
    });
    nam("WaveNet", json!({"layers": [array], "head": null, "head_scale": 1.0}), &[0.1; 9])
}

/// A Keras file of one dense layer, as RTNeural reads it.
fn keras() -> Value {
    let dense = json!({"type": "dense", "activation": "tanh", "shape": [null, null, 1], "weights": [[[0.5]], [0.0]]});
    json!({"in_shape": [null, null, 1], "layers": [dense]})
}

/// A Proteus file of an LSTM of one unit.
fn proteus() -> Value {
    let (gates, biases) = ([[0.1]; 4], [0.1; 4]);
    json!({
        "model_data": {"unit_type": "LSTM", "input_size": 1, "output_size": 1, "hidden_size": 1, "num_layers": 1, "skip": 1,
                       "bias_fl": true},
        "state_dict": {"rec.weight_ih_l0": gates, "rec.weight_hh_l0": gates, "rec.bias_ih_l0": biases, "rec.bias_hh_l0": biases,
                       "lin.weight": [[0.1]], "lin.bias": [0.0]},
    })
}

/// The text of a value, with a change.
fn changed(mut value: Value, change: impl FnOnce(&mut Value)) -> Vec<u8> {
    change(&mut value);
    value.to_string().into_bytes()
}

/// A file of every kind: a description, a name and the content.
fn kinds() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let text = |value: &Value| value.to_string().into_bytes();
    let submodel = |max: f32, model: Value| json!({"max_value": max, "model": model});
    let container = nam("SlimmableContainer", json!({"submodels": [submodel(0.5, linear()), submodel(1.0, lstm())]}), &[]);
    let conv_net = json!({"channels": 1, "dilations": [1, 2], "batchnorm": false, "activation": "ReLU"});
    let aida_x = |value: &mut Value| {
        (value["in_skip"], value["in_gain"], value["out_gain"]) = (json!(true), json!(-3.0), json!(1.0));
        value["metadata"] = json!({"name": "Amp", "samplerate": "48000"});
    };
    let onnx = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx/lstm8.onnx")).unwrap();
    let utf_16 = linear().to_string().encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let trailing = |end: &[u8]| [linear().to_string().as_bytes(), end].concat();
    vec![
        ("NAM: WaveNet", "wavenet.nam", text(&wavenet())),
        ("NAM: LSTM", "lstm.nam", text(&lstm())),
        ("NAM: ConvNet", "convnet.nam", text(&nam("ConvNet", conv_net, &[0.1; 8]))),
        ("NAM: Linear", "linear.nam", text(&linear())),
        ("NAM: SlimmableContainer", "slimmable.nam", text(&container)),
        ("NAM: Sequential", "sequential.nam", text(&nam("Sequential", json!({"models": [linear(), lstm()]}), &[]))),
        (
            "NAM: Sequential of models at two rates",
            "rates.nam",
            text(&nam("Sequential", json!({"models": [linear(), changed_rate(lstm(), 44_100)]}), &[])),
        ),
        ("NAM with odd metadata", "odd.nam", changed(linear(), |value| value["metadata"] = json!({"name": 5, "training": []}))),
        ("NAM with `metadata: []`", "list.nam", changed(linear(), |value| value["metadata"] = json!([]))),
        ("NAM with NULs after the JSON", "nuls.nam", trailing(b"\0\0\0")),
        ("NAM with a second JSON value", "second.nam", trailing(b" {\"more\": 1}")),
        ("NAM with a rate as text", "rate.nam", changed(linear(), |value| value["sample_rate"] = json!("44.1 kHz"))),
        ("NAM with a version that is none", "version.nam", changed(linear(), |value| value["version"] = json!("five"))),
        (
            "NAM: config.json of a version before 0.5",
            "config.json",
            changed(json!({}), |value| {
                *value = json!({"version": "0.4.0", "architecture": "WaveNet", "config": {}});
            }),
        ),
        ("Keras, for RTNeural", "keras.json", text(&keras())),
        ("AIDA-X", "amp.aidax", changed(keras(), aida_x)),
        (
            "Keras' own `to_json`",
            "to_json.json",
            text(&json!({
                "class_name": "Sequential", "config": {"name": "sequential", "layers": []}, "keras_version": "2.4.0", "backend": "tensorflow",
            })),
        ),
        ("Proteus", "proteus.json", text(&proteus())),
        ("SmartAmpPro", "smartamppro.json", text(&json!({"conv1d": {}, "conv1d_stride": 12, "lstm": {}}))),
        (
            "PedalNet, SmartPedal",
            "pedalnet.json",
            text(&json!({
                "residual_channels": 16, "filter_width": 3, "dilations": [1, 2], "variables": [], "activation": "gated",
                "input_channels": 1, "output_channels": 1,
            })),
        ),
        ("ONNX", "lstm8.onnx", onnx),
        ("a ZIP archive", "pack.nam", b"PK\x03\x04\x14\0\0\0".to_vec()),
        ("a gzip file", "gz.nam", b"\x1f\x8b\x08\0\0\0\0\0".to_vec()),
        ("a RAR archive", "rar.nam", b"Rar!\x1a\x07\0".to_vec()),
        ("a 7z archive", "7z.nam", b"7z\xbc\xaf\x27\x1c".to_vec()),
        ("a web page", "page.nam", b"<!DOCTYPE html>\n<html><body>Log in</body></html>".to_vec()),
        ("a Git LFS pointer", "lfs.nam", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n".to_vec()),
        ("HDF5", "keras.h5", b"\x89HDF\r\n\x1a\n".to_vec()),
        ("UTF-16", "utf16.nam", [b"\xff\xfe".to_vec(), utf_16].concat()),
        ("NumPy", "weights.npy", b"\x93NUMPY\x01\0".to_vec()),
        ("a sound", "ir.wav", b"RIFF\x24\0\0\0WAVEfmt ".to_vec()),
        ("plain text", "readme.nam", b"This is a capture of my amplifier.\n".to_vec()),
        ("an empty file", "empty.nam", Vec::new()),
    ]
}

/// A NAM file of another sample rate.
fn changed_rate(mut value: Value, rate: u32) -> Value {
    value["sample_rate"] = json!(rate);
    value
}

/// The table in Markdown, of what the program says of each kind.
fn table() -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut lines = String::from("| file | what Isotherm does |\n|---|---|\n");
    for (kind, name, content) in kinds() {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        let path = path.to_str().unwrap();
        let done = isotherm(&["model", "inspect", path, "--json"]);
        let result = if done.status.success() {
            let shown: Value = serde_json::from_slice(&done.stdout).unwrap();
            let ignored: Vec<&str> = shown["ignored"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            let left_out = if ignored.is_empty() { String::new() } else { format!("; leaves out `{}`", ignored.join("`, `")) };
            format!(
                "plays it: {} at {} Hz{left_out}",
                shown["architecture"].as_str().unwrap(),
                shown["sample_rate"].as_f64().unwrap()
            )
        } else {
            let line = String::from_utf8(done.stderr).unwrap();
            let reason = line.trim_end().strip_prefix(&format!("isotherm: {path}: ")).unwrap_or_else(|| panic!("{kind}: {line}"));
            format!("refuses it: `{}`", reason.replace('`', "'").replace('|', "\\|"))
        };
        lines += &format!("| {kind} | {result} |\n");
    }
    lines
}

#[test]
fn the_table_of_model_files_in_the_documentation_is_what_the_program_says() {
    if std::env::var_os("ORT_DYLIB_PATH").is_none() {
        println!("skipped: ORT_DYLIB_PATH, which names ONNX Runtime, is not set");
        return;
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let text = fs::read_to_string(&page).unwrap();
    let (before, rest) = text.split_once(MARKS.0).expect("the line before the table");
    let (written, after) = rest.split_once(MARKS.1).expect("the line after the table");
    let found = table();
    if std::env::var_os("ISOTHERM_BLESS").is_some() {
        fs::write(&page, [before, MARKS.0, &found, MARKS.1, after].concat()).unwrap();
    } else {
        assert_eq!(written, found, "ISOTHERM_BLESS=1 makes the table anew");
    }
}
