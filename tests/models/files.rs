//! The laws of model files: what is written is read, every option of it, and what is not sound is an error in one line that names
//! the field.

use std::path::{Path, PathBuf};

use isotherm::audio::wav;
use isotherm::neural::description::{
    Activation, Architecture, ConditionModel, Conv1d, Films, Gating, Gru, Layer, LayerArray, Lstm, Sequence, WaveNet,
    WaveNetLayer,
};
use isotherm::neural::engine::Mode;
use isotherm::neural::{Loaded, Model};
use proptest::prelude::*;
use serde_json::{Value, json};

/// SplitMix64 (Steele et al., OOPSLA 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }
    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
    /// `least` to `most`.
    fn from(&mut self, least: usize, most: usize) -> usize {
        least + self.below(most - least + 1)
    }
    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }
    fn weight(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
    fn weights(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.weight()).collect()
    }
    /// A divisor of both.
    fn groups(&mut self, a: usize, b: usize) -> usize {
        let all: Vec<usize> = (1..=a.min(b)).filter(|g| a.is_multiple_of(*g) && b.is_multiple_of(*g)).collect();
        all[self.below(all.len())]
    }
    fn conv(&mut self, inputs: usize, outputs: usize, taps: usize, dilation: usize, groups: usize, bias: bool) -> Conv1d {
        let weights = self.weights(outputs * inputs / groups * taps);
        let bias = bias.then(|| self.weights(outputs));
        Conv1d { inputs, outputs, taps, dilation, groups, weights, bias }
    }
    /// An activation and as `.nam` writes it.
    fn activation(&mut self, channels: usize) -> (Activation, Value) {
        let slope = self.weight();
        match self.below(13) {
            0 => (Activation::Tanh, json!("Tanh")),
            1 => (Activation::HardTanh, json!({"type": "Hardtanh"})),
            2 => (Activation::Tanh, json!("Fasttanh")),
            3 => (Activation::Relu, json!("ReLU")),
            4 => (Activation::LeakyRelu(vec![0.01]), json!("LeakyReLU")),
            5 => (Activation::LeakyRelu(vec![slope]), json!({"type": "LeakyReLU", "negative_slope": slope})),
            6 => (Activation::LeakyRelu(vec![slope]), json!({"type": "PReLU", "negative_slope": slope})),
            7 => {
                let slopes = self.weights(channels);
                (Activation::LeakyRelu(slopes.clone()), json!({"type": "PReLU", "negative_slopes": slopes}))
            }
            8 => (Activation::Sigmoid, json!({"type": "Sigmoid"})),
            9 => (Activation::Silu, json!("SiLU")),
            10 => (Activation::HardSwish, json!("Hardswish")),
            11 => (
                Activation::LeakyHardTanh { min: -0.5, max: slope, min_slope: 0.01, max_slope: 0.25 },
                json!({"type": "LeakyHardtanh", "min_val": -0.5, "max_val": slope, "max_slope": 0.25}),
            ),
            _ => (Activation::Softsign, json!("Softsign")),
        }
    }
}

fn read(file: &Value) -> Loaded {
    Loaded::read(file.to_string().as_bytes()).unwrap_or_else(|e| panic!("{e}\n{file}"))
}

/// The error of a file; there must be one, in one line.
fn error(bytes: &[u8]) -> String {
    let error = Loaded::read(bytes).expect_err("an error").to_string();
    assert!(!error.is_empty() && !error.contains(['\n', '\r']) && error.len() < 500, "{error}");
    error
}

fn only(loaded: Loaded) -> Architecture {
    assert_eq!(loaded.sizes.len(), 1);
    loaded.sizes.into_iter().next().and_then(|s| s.architecture).expect("an architecture")
}

fn sequence(layers: Vec<Layer>) -> Architecture {
    Architecture::Sequence(Sequence { layers, input_gain: 1.0, output_gain: 1.0, skip: false })
}

fn nam(architecture: &str, config: Value, weights: &[f32]) -> Value {
    json!({"version": "0.5.4", "architecture": architecture, "config": config, "weights": weights})
}

// What `.nam` writes.

fn put(to: &mut Vec<f32>, conv: &Conv1d) {
    to.extend(&conv.weights);
    to.extend(conv.bias.iter().flatten());
}

/// A WaveNet with whatever the format allows, and its file.
fn random_wavenet(random: &mut Random, outputs: usize, depth: usize) -> (WaveNet, Value) {
    let mut weights = Vec::new();
    let (condition, condition_size, condition_json) = match (depth, random.below(3)) {
        (0, 0) => {
            let size = random.from(1, 3);
            let (wavenet, file) = random_wavenet(random, size, 1);
            (Some(Box::new(ConditionModel::WaveNet(wavenet))), size, file)
        }
        (0, 1) => {
            let size = random.from(1, 2);
            let (conv, head) = (random.conv(1, 3, 2, 5, 1, true), random.conv(3, size, 1, 1, 1, true));
            let mut weights = Vec::new();
            put(&mut weights, &conv);
            put(&mut weights, &head);
            let config = json!({"channels": 3, "dilations": [5], "batchnorm": false, "activation": "SiLU", "out_channels": size});
            let layers = vec![Layer::Conv1d(conv, Activation::Silu), Layer::Conv1d(head, Activation::Identity)];
            let model = Sequence { layers, input_gain: 1.0, output_gain: 1.0, skip: false };
            (Some(Box::new(ConditionModel::Sequence(model))), size, nam("ConvNet", config, &weights))
        }
        _ => (None, 1, Value::Null),
    };
    let count = random.from(1, 3);
    let (mut arrays, mut arrays_json) = (Vec::new(), Vec::new());
    let (mut inputs, mut accumulated) = (1, None);
    for index in 0..count {
        let channels = [1, 2, 4, 6][random.below(4)];
        let with_layer1x1 = random.below(4) > 0;
        let head1x1 = random.coin();
        let bottleneck = match accumulated {
            Some(n) if !head1x1 && with_layer1x1 => n,
            _ if with_layer1x1 => [1, 2, 4][random.below(3)],
            _ => channels,
        };
        let head1x1 = head1x1 || accumulated.is_some_and(|n| n != bottleneck);
        let to_head = if head1x1 { accumulated.unwrap_or_else(|| [1, 2, 4][random.below(3)]) } else { bottleneck };
        let layers = random.from(1, 3);
        let head_outputs = if index + 1 < count { [1, 2, 4][random.below(3)] } else { outputs };
        let modes: Vec<usize> = (0..layers).map(|_| random.below(3)).collect();
        // All layers share these, so they must divide the outputs of each.
        let groups = random.groups(channels, bottleneck);
        let mixin_groups = random.groups(condition_size, bottleneck);
        let (groups1x1, groups_head) = (random.groups(bottleneck, channels), random.groups(bottleneck, to_head));
        let films: Vec<Option<(bool, usize)>> = (0..8)
            .map(|i| {
                let sizes = [channels, bottleneck, condition_size, bottleneck, bottleneck, bottleneck, channels, to_head];
                let there = random.below(3) == 0 && (i != 6 || with_layer1x1) && (i != 7 || head1x1);
                there.then(|| (random.coin(), random.groups(condition_size, sizes[i])))
            })
            .collect();
        let rechannel = random.conv(inputs, channels, 1, 1, 1, false);
        put(&mut weights, &rechannel);
        let (mut made, mut activations, mut secondary, mut taps, mut dilations) = (vec![], vec![], vec![], vec![], vec![]);
        for mode in &modes {
            let z = if *mode == 0 { bottleneck } else { 2 * bottleneck };
            let (k, d) = (random.from(1, 4), random.from(1, 9));
            let (activation, activation_json) = random.activation(bottleneck);
            let (gate, gate_json) = random.activation(bottleneck);
            let film = |random: &mut Random, i: usize, size: usize| {
                films[i].map(|(shift, groups)| random.conv(condition_size, if shift { 2 } else { 1 } * size, 1, 1, groups, true))
            };
            let layer = WaveNetLayer {
                conv: random.conv(channels, z, k, d, groups, true),
                mixin: random.conv(condition_size, z, 1, 1, mixin_groups, false),
                activation,
                gating: [Gating::None, Gating::Gated(gate.clone()), Gating::Blended(gate)][*mode].clone(),
                layer1x1: with_layer1x1.then(|| random.conv(bottleneck, channels, 1, 1, groups1x1, true)),
                head1x1: head1x1.then(|| random.conv(bottleneck, to_head, 1, 1, groups_head, true)),
                film: Films {
                    conv_pre: film(random, 0, channels),
                    conv_post: film(random, 1, z),
                    mixin_pre: film(random, 2, condition_size),
                    mixin_post: film(random, 3, z),
                    activation_pre: film(random, 4, z),
                    activation_post: film(random, 5, bottleneck),
                    layer1x1_post: film(random, 6, channels),
                    head1x1_post: film(random, 7, to_head),
                },
            };
            put(&mut weights, &layer.conv);
            put(&mut weights, &layer.mixin);
            let f = &layer.film;
            let films = [&f.conv_pre, &f.conv_post, &f.mixin_pre, &f.mixin_post];
            let more = [&f.activation_pre, &f.activation_post, &f.layer1x1_post, &f.head1x1_post];
            for conv in [&layer.layer1x1, &layer.head1x1].into_iter().chain(films).chain(more).flatten() {
                put(&mut weights, conv);
            }
            made.push(layer);
            activations.push(activation_json);
            secondary.push(if *mode == 0 { Value::Null } else { gate_json });
            taps.push(k);
            dilations.push(d);
        }
        let (head_taps, head_dilation, head_bias) = (random.from(1, 3), random.from(1, 3), random.coin());
        let head = random.conv(to_head, head_outputs, head_taps, head_dilation, 1, head_bias);
        put(&mut weights, &head);
        let mut json = json!({
            "input_size": inputs, "condition_size": condition_size, "channels": channels, "bottleneck": bottleneck,
            "dilations": dilations, "kernel_sizes": taps, "activation": activations, "secondary_activation": secondary,
            "gating_mode": modes.iter().map(|m| ["none", "gated", "blended"][*m]).collect::<Vec<_>>(),
            "groups_input": groups, "groups_input_mixin": mixin_groups,
            "layer1x1": {"active": with_layer1x1, "groups": groups1x1},
            "head1x1": {"active": head1x1, "out_channels": to_head, "groups": groups_head},
            "head": {"out_channels": head_outputs, "kernel_size": head_taps, "bias": head_bias, "head_dilation": head_dilation},
        });
        let names = ["conv_pre", "conv_post", "input_mixin_pre", "input_mixin_post", "activation_pre", "activation_post"];
        for (name, film) in names.into_iter().chain(["layer1x1_post", "head1x1_post"]).zip(&films) {
            json[format!("{name}_film")] = match film {
                Some((shift, groups)) => json!({"active": true, "shift": shift, "groups": groups}),
                None if random.coin() => json!(false),
                None => json!({"active": false, "shift": true, "groups": 1}),
            };
        }
        arrays.push(LayerArray { rechannel, layers: made, head });
        arrays_json.push(json);
        (inputs, accumulated) = (channels, Some(head_outputs));
    }
    let mut head_json = Value::Null;
    let mut post = Vec::new();
    if random.below(3) == 0 {
        let (activation, activation_json) = random.activation(1);
        // Slopes for each channel would have to fit every one of the head's convolutions.
        let activation = match activation {
            Activation::LeakyRelu(slopes) => Activation::LeakyRelu(vec![slopes[0]]),
            other => other,
        };
        let taps: Vec<usize> = (0..random.from(1, 3)).map(|_| random.from(1, 3)).collect();
        let mut from = outputs;
        for (i, k) in taps.iter().enumerate() {
            let to = if i + 1 == taps.len() { outputs } else { 3 };
            let conv = random.conv(from, to, *k, 1, 1, true);
            put(&mut weights, &conv);
            post.push((activation.clone(), conv));
            from = to;
        }
        head_json = json!({"channels": 3, "out_channels": outputs, "kernel_sizes": taps, "activation": activation_json});
    }
    let head_scale = random.weight();
    weights.push(head_scale);
    let config = json!({"layers": arrays_json, "head": head_json, "head_scale": 0.02, "condition_dsp": condition_json});
    (WaveNet { condition, arrays, post, head_scale }, nam("WaveNet", config, &weights))
}

fn random_lstm(random: &mut Random, inputs: usize, hidden: usize) -> Lstm {
    Lstm {
        inputs,
        hidden,
        input_weights: random.weights(4 * hidden * inputs),
        hidden_weights: random.weights(4 * hidden * hidden),
        bias: random.weights(4 * hidden),
        h0: random.weights(hidden),
        c0: random.weights(hidden),
    }
}

fn lstm_file(layers: &[Lstm], head: &Conv1d) -> Value {
    let mut weights = Vec::new();
    for l in layers {
        for row in 0..4 * l.hidden {
            weights.extend(&l.input_weights[row * l.inputs..][..l.inputs]);
            weights.extend(&l.hidden_weights[row * l.hidden..][..l.hidden]);
        }
        weights.extend(l.bias.iter().chain(&l.h0).chain(&l.c0));
    }
    put(&mut weights, head);
    let config =
        json!({"num_layers": layers.len(), "input_size": 1, "hidden_size": layers[0].hidden, "out_channels": head.outputs});
    nam("LSTM", config, &weights)
}

#[test]
fn every_option_of_a_nam_wavenet_is_read_as_it_is_written() {
    for seed in 0..400 {
        let (wavenet, file) = random_wavenet(&mut Random(seed), 1, 0);
        let loaded = read(&file);
        assert_eq!(loaded.info.format, "nam");
        let count = |file: &Value| file["weights"].as_array().expect("weights").len();
        let inner = &file["config"]["condition_dsp"];
        assert_eq!(loaded.info.parameters, count(&file) + if inner.is_null() { 0 } else { count(inner) });
        assert_eq!(only(loaded), Architecture::WaveNet(Box::new(wavenet)), "seed {seed}");
    }
}

/// The form that files of 0.5 have.
fn old_wavenet(random: &mut Random) -> (WaveNet, Value) {
    let mut weights = Vec::new();
    let mut arrays = Vec::new();
    for (inputs, channels, outputs, bias) in [(1, 3, 2, false), (3, 2, 1, true)] {
        let rechannel = random.conv(inputs, channels, 1, 1, 1, false);
        put(&mut weights, &rechannel);
        let layers: Vec<_> = [1, 2]
            .into_iter()
            .map(|dilation| {
                let layer = WaveNetLayer {
                    conv: random.conv(channels, 2 * channels, 3, dilation, 1, true),
                    mixin: random.conv(1, 2 * channels, 1, 1, 1, false),
                    activation: Activation::Tanh,
                    gating: Gating::Gated(Activation::Sigmoid),
                    layer1x1: Some(random.conv(channels, channels, 1, 1, 1, true)),
                    head1x1: None,
                    film: Films::default(),
                };
                put(&mut weights, &layer.conv);
                put(&mut weights, &layer.mixin);
                layer.layer1x1.iter().for_each(|c| put(&mut weights, c));
                layer
            })
            .collect();
        let head = random.conv(channels, outputs, 1, 1, 1, bias);
        put(&mut weights, &head);
        arrays.push(LayerArray { rechannel, layers, head });
    }
    weights.push(0.25);
    let array = |inputs: usize, channels: usize, outputs: usize, bias: bool| {
        json!({
            "input_size": inputs, "condition_size": 1, "head_size": outputs, "channels": channels, "kernel_size": 3,
            "dilations": [1, 2], "activation": "Tanh", "gated": true, "head_bias": bias,
        })
    };
    let config = json!({"layers": [array(1, 3, 2, false), array(3, 2, 1, true)], "head": null, "head_scale": 0.02});
    (WaveNet { condition: None, arrays, post: Vec::new(), head_scale: 0.25 }, nam("WaveNet", config, &weights))
}

#[test]
fn a_wavenet_in_the_form_of_0_5_is_read_and_its_last_weight_is_the_scale() {
    let (wavenet, file) = old_wavenet(&mut Random(1));
    assert_eq!(only(read(&file)), Architecture::WaveNet(Box::new(wavenet)));
}

#[test]
fn a_linear_models_first_weight_is_on_the_newest_sample() {
    let file = nam("Linear", json!({"receptive_field": 3, "bias": true}), &[1.0, 2.0, 3.0, 4.0]);
    let weights = vec![3.0, 2.0, 1.0];
    let conv = Conv1d { inputs: 1, outputs: 1, taps: 3, dilation: 1, groups: 1, weights, bias: Some(vec![4.0]) };
    assert_eq!(only(read(&file)), sequence(vec![Layer::Conv1d(conv, Activation::Identity)]));
}

#[test]
fn a_nam_lstm_is_read_as_it_is_written() {
    let mut random = Random(3);
    for layers in 1..4 {
        let hidden = random.from(1, 9);
        let lstms: Vec<Lstm> = (0..layers).map(|i| random_lstm(&mut random, if i == 0 { 1 } else { hidden }, hidden)).collect();
        let head = random.conv(hidden, 1, 1, 1, 1, true);
        let file = lstm_file(&lstms, &head);
        let all = lstms.into_iter().map(Layer::Lstm).chain([Layer::Conv1d(head, Activation::Identity)]).collect();
        assert_eq!(only(read(&file)), sequence(all));
    }
}

#[test]
fn a_conv_net_without_batch_normalisation_is_read_as_it_is_written() {
    let mut random = Random(4);
    let mut weights = Vec::new();
    let mut layers = Vec::new();
    for (inputs, dilation) in [(1, 1), (4, 2), (4, 64)] {
        let conv = random.conv(inputs, 4, 2, dilation, 1, true);
        put(&mut weights, &conv);
        layers.push(Layer::Conv1d(conv, Activation::Relu));
    }
    let head = random.conv(4, 1, 1, 1, 1, true);
    put(&mut weights, &head);
    layers.push(Layer::Conv1d(head, Activation::Identity));
    let config = json!({"channels": 4, "dilations": [1, 2, 64], "batchnorm": false, "activation": "ReLU"});
    assert_eq!(only(read(&nam("ConvNet", config, &weights))), sequence(layers));
}

/// A causal convolution, in f64.
fn convolve(conv: &Conv1d, x: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let (ins, outs) = (conv.inputs / conv.groups, conv.outputs / conv.groups);
    (0..x.len())
        .map(|t| {
            (0..conv.outputs)
                .map(|o| {
                    let mut y = conv.bias.as_ref().map_or(0.0, |b| f64::from(b[o]));
                    for i in 0..ins {
                        for k in 0..conv.taps {
                            let Some(at) = t.checked_sub((conv.taps - 1 - k) * conv.dilation) else { continue };
                            let w = f64::from(conv.weights[(o * ins + i) * conv.taps + k]);
                            y += w * x[at][o / outs * ins + i];
                        }
                    }
                    y
                })
                .collect()
        })
        .collect()
}

#[test]
fn batch_normalisation_folded_in_gives_what_it_gives_behind() {
    let mut random = Random(5);
    let conv = random.conv(1, 4, 2, 3, 1, false);
    let [mean, gamma, beta] = std::array::from_fn(|_| random.weights(4));
    let variance: Vec<f32> = random.weights(4).iter().map(|w| w.abs() + 0.1).collect();
    let eps = 1e-5f32;
    let head = random.conv(4, 1, 1, 1, 1, true);
    let mut weights = Vec::new();
    put(&mut weights, &conv);
    weights.extend(mean.iter().chain(&variance).chain(&gamma).chain(&beta).chain([&eps]));
    put(&mut weights, &head);
    let config = json!({"channels": 4, "dilations": [3], "batchnorm": true, "activation": "Tanh"});
    let Architecture::Sequence(read) = only(read(&nam("ConvNet", config, &weights))) else { panic!("no sequence") };
    let Layer::Conv1d(folded, Activation::Tanh) = &read.layers[0] else { panic!("{read:?}") };
    let x: Vec<Vec<f64>> = (0..50).map(|_| vec![f64::from(random.weight())]).collect();
    for (plain, folded) in convolve(&conv, &x).iter().zip(convolve(folded, &x)) {
        for o in 0..4 {
            let scale = f64::from(gamma[o]) / (f64::from(variance[o]) + f64::from(eps)).sqrt();
            let expected = (plain[o] - f64::from(mean[o])) * scale + f64::from(beta[o]);
            assert!((expected - folded[o]).abs() < 1e-6, "{expected} {}", folded[o]);
        }
    }
}

#[test]
fn metadata_are_read_and_what_a_file_does_not_say_is_absent() {
    let mut file = old_wavenet(&mut Random(6)).1;
    let bare = read(&file).info;
    assert_eq!((bare.sample_rate, bare.sample_rate_given, bare.loudness_db, bare.name), (48_000.0, false, None, None));
    file["sample_rate"] = json!(44100);
    file["metadata"] = json!({
        "loudness": -20.5, "gain": 0.2, "name": " An amp ", "modeled_by": "Somebody", "gear_make": "Maker", "gear_model": "A 1",
        "gear_type": "amp", "tone_type": "", "input_level_dbu": 18.25, "output_level_dbu": null,
        "training": {"validation_esr": 0.0125, "settings": {}},
    });
    let info = read(&file).info;
    assert_eq!((info.sample_rate, info.sample_rate_given), (44_100.0, true));
    assert_eq!((info.loudness_db, info.input_level_dbu, info.output_level_dbu), (Some(-20.5), Some(18.25), None));
    assert_eq!(
        (info.name.as_deref(), info.author.as_deref(), info.tone_type.as_deref()),
        (Some("An amp"), Some("Somebody"), None)
    );
    assert_eq!(
        (info.gear_make.as_deref(), info.gear_model.as_deref(), info.gear_type.as_deref()),
        (Some("Maker"), Some("A 1"), Some("amp"))
    );
    assert_eq!((info.esr, info.version.as_deref()), (Some(0.0125), Some("0.5.4")));
    assert_eq!(info.architecture, "WaveNet, 2 arrays of 3 and 2 channels");
}

#[test]
fn versions_from_0_5_0_to_0_7_are_read_and_others_refused() {
    let file = |version: Value| {
        let mut file = old_wavenet(&mut Random(6)).1;
        file["version"] = version;
        file.to_string()
    };
    for version in ["0.5.0", "0.5.4", "0.6.12", "0.7.0", "0.7.99"] {
        Loaded::read(file(json!(version)).as_bytes()).unwrap();
    }
    for version in ["0.4.9", "0.8.0", "1.5.0", "0.5", "0.5.0.1", "0.5.x", "v0.5.0", "", "0.5.-1", "0.5.+1", "0.99999999999.0"] {
        assert_eq!(error(file(json!(version)).as_bytes()), format!("version: '{version}'; expected 0.5.0 to 0.7"));
    }
    assert!(error(file(json!(0.5)).as_bytes()).starts_with("version: 0.5; expected a text"));
    assert_eq!(error(file(Value::Null).as_bytes()), "version is missing");
}

#[test]
fn a_container_holds_its_submodels_smallest_first() {
    let small = random_lstm(&mut Random(7), 1, 2);
    let mut first = lstm_file(&[small], &Random(8).conv(2, 1, 1, 1, 1, true));
    first["metadata"] = json!({"loudness": -24.0});
    let (wavenet, mut second) = old_wavenet(&mut Random(9));
    second["metadata"] = json!({"loudness": -26.5, "name": "Large"});
    let submodels = json!([{"max_value": 0.5, "model": first}, {"max_value": 1.0, "model": second}]);
    let file = nam("SlimmableContainer", json!({"submodels": submodels}), &[]);
    let loaded = read(&file);
    let sizes: Vec<_> = loaded.sizes.iter().map(|s| (s.below, s.loudness_db)).collect();
    assert_eq!(sizes, [(0.5, Some(-24.0)), (1.0, Some(-26.5))]);
    assert_eq!(loaded.sizes[1].architecture, Some(Architecture::WaveNet(Box::new(wavenet))));
    assert_eq!((loaded.info.loudness_db, loaded.info.name.as_deref()), (Some(-26.5), Some("Large")));
    let parameters = second["weights"].as_array().map(Vec::len);
    assert_eq!(Some(loaded.info.parameters), parameters);

    for (change, expected) in [
        (
            ("/config/submodels/0/max_value", json!(1.0)),
            "config.submodels[1].max_value: 1; expected more than 1, that of the one before",
        ),
        (("/config/submodels/1/max_value", json!(0.9)), "config.submodels[1].max_value: 0.9; expected 1 or more for the last"),
        (("/config/submodels/0/model/weights/3", json!("x")), "config.submodels[0].model.weights[3]: 'x'; expected a number"),
        (("/config/submodels", json!([])), "config.submodels: 0 values; expected 1 to 256"),
        (("/weights", json!([1.0])), "weights: 1 numbers; expected 0"),
    ] {
        assert_eq!(error(changed(&file, change.0, change.1).to_string().as_bytes()), expected);
    }
    let mut other = file.clone();
    other["sample_rate"] = json!(48000);
    other["config"]["submodels"][1]["model"]["sample_rate"] = json!(44100);
    assert!(error(other.to_string().as_bytes()).starts_with("config.submodels[1].model.sample_rate: 44100; expected 48000"));
}

fn changed(file: &Value, pointer: &str, value: Value) -> Value {
    let mut file = file.clone();
    *file.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = value;
    file
}

#[test]
fn a_slimmable_wavenet_has_the_first_channels_of_everything() {
    // One array of 4 channels, two layers; the second gated.
    let mut random = Random(10);
    let full = LayerArray {
        rechannel: random.conv(1, 4, 1, 1, 1, false),
        layers: [4, 8]
            .map(|z| WaveNetLayer {
                conv: random.conv(4, z, 3, 2, 1, true),
                mixin: random.conv(1, z, 1, 1, 1, false),
                activation: Activation::LeakyRelu(vec![0.1, 0.2, 0.3, 0.4]),
                gating: if z == 4 { Gating::None } else { Gating::Gated(Activation::Sigmoid) },
                layer1x1: Some(random.conv(4, 4, 1, 1, 1, true)),
                head1x1: None,
                film: Films { activation_post: Some(random.conv(1, 8, 1, 1, 1, true)), ..Films::default() },
            })
            .into(),
        head: random.conv(4, 1, 2, 1, 1, true),
    };
    let mut weights = Vec::new();
    put(&mut weights, &full.rechannel);
    for l in &full.layers {
        [&l.conv, &l.mixin].into_iter().chain(&l.layer1x1).chain(&l.film.activation_post).for_each(|c| put(&mut weights, c));
    }
    put(&mut weights, &full.head);
    weights.push(0.5);
    let config = json!({"layers": [{
        "input_size": 1, "condition_size": 1, "channels": 4, "kernel_size": 3, "dilations": [2, 2], "gating_mode": ["none", "gated"],
        "activation": {"type": "PReLU", "negative_slopes": [0.1, 0.2, 0.3, 0.4]}, "activation_post_film": {"active": true, "shift": true},
        "head": {"out_channels": 1, "kernel_size": 2, "bias": true},
        "slimmable": {"method": "slice_channels_uniform", "kwargs": {"allowed_channels": [1, 3, 4]}},
    }], "head": null, "head_scale": 1.0});
    let file = nam("WaveNet", config, &weights);
    let loaded = read(&file);
    let below: Vec<f32> = loaded.sizes.iter().map(|s| s.below).collect();
    assert_eq!(below, [1.0 / 3.0, 2.0 / 3.0, 1.0]);
    // By index, plainly: the numbers at [output][input][tap] of the full one.
    let part = |c: &Conv1d, inputs: usize, outputs: usize| {
        let mut weights = Vec::new();
        for o in 0..outputs {
            for i in 0..inputs {
                for k in 0..c.taps {
                    weights.push(c.weights[(o * c.inputs + i) * c.taps + k]);
                }
            }
        }
        Conv1d { inputs, outputs, weights, bias: c.bias.as_ref().map(|b| b[..outputs].to_vec()), ..c.clone() }
    };
    for (size, n) in [1, 3, 4].into_iter().enumerate() {
        let layers = full.layers.iter().map(|l| {
            let z = if l.gating == Gating::None { n } else { 2 * n };
            WaveNetLayer {
                conv: part(&l.conv, n, z),
                mixin: part(&l.mixin, 1, z),
                activation: Activation::LeakyRelu([0.1, 0.2, 0.3, 0.4][..n].into()),
                gating: l.gating.clone(),
                layer1x1: l.layer1x1.as_ref().map(|c| part(c, n, n)),
                head1x1: None,
                film: Films { activation_post: l.film.activation_post.as_ref().map(|c| part(c, 1, 2 * n)), ..Films::default() },
            }
        });
        let array = LayerArray { rechannel: part(&full.rechannel, 1, n), layers: layers.collect(), head: part(&full.head, n, 1) };
        let expected = WaveNet { condition: None, arrays: vec![array], post: Vec::new(), head_scale: 0.5 };
        assert_eq!(loaded.sizes[size].architecture, Some(Architecture::WaveNet(Box::new(expected))), "{n} channels");
    }
    for (value, expected) in [
        (json!([1, 3]), "config.layers[0].slimmable.kwargs.allowed_channels[1]: 3; expected 4, all channels, for the last"),
        (json!([3, 1, 4]), "config.layers[0].slimmable.kwargs.allowed_channels[1]: 1; expected more than 3"),
        (json!([0, 4]), "config.layers[0].slimmable.kwargs.allowed_channels[0]: 0; expected a whole number from 1 to 4"),
    ] {
        let file = changed(&file, "/config/layers/0/slimmable/kwargs/allowed_channels", value);
        assert_eq!(error(file.to_string().as_bytes()), expected);
    }
    let other = changed(&file, "/config/layers/0/slimmable/method", json!("prune"));
    assert_eq!(
        error(other.to_string().as_bytes()),
        "config.layers[0].slimmable.method: 'prune'; expected slice_channels_uniform"
    );
    let all = read(&changed(&file, "/config/layers/0/slimmable/kwargs", json!({})));
    assert_eq!(all.sizes.len(), 4);
}

#[test]
fn the_sizes_of_a_slimmable_wavenet_play_whatever_its_arrays_add_up() {
    let mut random = Random(12);
    // The second array has 8 channels, of which its layers add up 4 or, behind a head1x1, 3.
    for head1x1 in [None, Some(3)] {
        let accumulated = head1x1.unwrap_or(4);
        let mut weights = Vec::new();
        let mut put = |inputs, outputs, taps, bias| put(&mut weights, &random.conv(inputs, outputs, taps, 1, 1, bias));
        for (inputs, channels, head) in [(1, 4, accumulated), (4, 8, 1)] {
            put(inputs, channels, 1, false);
            put(channels, 4, 3, true);
            put(1, 4, 1, false);
            put(4, channels, 1, true);
            if let Some(outputs) = head1x1 {
                put(4, outputs, 1, true);
            }
            put(accumulated, head, 1, true);
        }
        weights.push(0.5);
        let array = |inputs: usize, channels: usize, head: usize| {
            json!({
                "input_size": inputs, "condition_size": 1, "channels": channels, "bottleneck": 4, "kernel_size": 3, "dilations": [1],
                "activation": "Tanh", "head_size": head, "head_bias": true,
                "head1x1": {"active": head1x1.is_some(), "out_channels": accumulated, "groups": 1},
                "slimmable": {"method": "slice_channels_uniform", "kwargs": {}},
            })
        };
        let config = json!({"layers": [array(1, 4, accumulated), array(4, 8, 1)], "head": null, "head_scale": 1.0});
        let model = Model::read(nam("WaveNet", config, &weights).to_string().into_bytes()).unwrap();
        assert!(model.sizes().len() > 4);
        for size in 0..model.sizes().len() {
            let mut voices = model.network(size).clone().voices(Mode::new(1)).unwrap();
            let mut output = [0.1; 64];
            voices.process(&mut [&mut output], &[]);
            assert!(output.iter().all(|x| x.is_finite() && *x != 0.1), "size {size}");
        }
    }
}

// What Keras and RTNeural write.

/// `[rows][columns]` of an index.
fn matrix(rows: usize, columns: usize, at: impl Fn(usize, usize) -> f32) -> Value {
    (0..rows).map(|r| (0..columns).map(|c| json!(at(r, c))).collect::<Value>()).collect()
}

fn keras_dense(random: &mut Random, inputs: usize, outputs: usize) -> (Conv1d, Value) {
    let conv = random.conv(inputs, outputs, 1, 1, 1, true);
    let kernel = matrix(inputs, outputs, |i, o| conv.weights[o * inputs + i]);
    let json = json!({"type": "dense", "activation": "", "shape": [null, null, outputs], "weights": [kernel, conv.bias]});
    (conv, json)
}

#[test]
fn a_keras_lstm_is_read_as_it_is_written_with_gains_skip_and_batch() {
    let mut random = Random(11);
    let lstm = Lstm { h0: vec![0.0; 5], c0: vec![0.0; 5], ..random_lstm(&mut random, 1, 5) };
    let (dense, dense_json) = keras_dense(&mut random, 5, 1);
    let layer = json!({
        "type": "lstm", "activation": "", "shape": [null, null, 5],
        "weights": [matrix(1, 20, |i, g| lstm.input_weights[g + i]), matrix(5, 20, |i, g| lstm.hidden_weights[g * 5 + i]), lstm.bias],
    });
    let file = json!({
        "in_shape": [null, null, 1], "in_skip": 1, "in_gain": -6.0, "out_gain": 3, "layers": [layer, dense_json],
        "input_batch": [1.0, 0.5, -0.25], "output_batch": [0.5, 0.25, 0.125],
        "metadata": {"name": "Amp", "samplerate": "44100", "author": "A", "based": "B", "style": "clean", "esr": 0.02},
    });
    let loaded = read(&file);
    let info = loaded.info.clone();
    assert_eq!((info.format, info.sample_rate, info.sample_rate_given), ("keras", 44_100.0, true));
    assert_eq!((info.name.as_deref(), info.author.as_deref(), info.gear_model.as_deref()), (Some("Amp"), Some("A"), Some("B")));
    assert_eq!((info.esr, info.parameters, info.knobs.len()), (Some(0.02), 20 + 100 + 20 + 6, 0));
    // The batch is recorded without the gains.
    let golden = loaded.golden.clone().unwrap();
    let (a, b) = (10f32.powf(-6.0 / 20.0), 10f32.powf(3.0 / 20.0));
    assert!(golden.input.iter().zip([1.0, 0.5, -0.25]).all(|(x, y)| (x * a - y).abs() < 1e-6));
    assert!(golden.output.iter().zip([0.5, 0.25, 0.125]).all(|(x, y)| (x - b * y).abs() < 1e-6));
    let layers = vec![Layer::Lstm(lstm), Layer::Conv1d(dense, Activation::Identity)];
    assert_eq!(only(loaded), Architecture::Sequence(Sequence { layers, input_gain: a, output_gain: b, skip: true }));
    assert_eq!(
        error(changed(&file, "/output_batch", json!([0.5])).to_string().as_bytes()),
        "output_batch: 1 values; expected 3, as many as input_batch has"
    );
    assert_eq!(read(&changed(&file, "/metadata/samplerate", json!(96000))).info.sample_rate, 96_000.0);
    assert!(
        error(changed(&file, "/metadata/samplerate", json!("fast")).to_string().as_bytes())
            .starts_with("metadata.samplerate: 'fast'")
    );
    assert_eq!(
        error(changed(&file, "/in_skip", json!(2)).to_string().as_bytes()),
        "in_skip: 2; expected a whole number from 0 to 1"
    );
}

#[test]
fn a_keras_grus_gates_z_r_h_are_read_as_r_z_n() {
    let mut random = Random(12);
    let gru = Gru {
        inputs: 2,
        hidden: 3,
        input_weights: random.weights(18),
        hidden_weights: random.weights(27),
        input_bias: random.weights(9),
        hidden_bias: random.weights(9),
        h0: vec![0.0; 3],
    };
    // Keras' place of a gate's unit among the 9 to ours.
    let place = |g: usize| [1, 0, 2][g / 3] * 3 + g % 3;
    let (dense, dense_json) = keras_dense(&mut random, 3, 1);
    let layer = json!({"type": "gru", "activation": "tanh", "shape": [null, null, 3], "weights": [
        matrix(2, 9, |i, g| gru.input_weights[place(g) * 2 + i]),
        matrix(3, 9, |i, g| gru.hidden_weights[place(g) * 3 + i]),
        matrix(2, 9, |b, g| if b == 0 { gru.input_bias[place(g)] } else { gru.hidden_bias[place(g)] }),
    ]});
    let file = json!({"in_shape": [null, null, 2], "layers": [layer, dense_json]});
    let loaded = read(&file);
    assert_eq!(loaded.info.knobs, ["Param 1"]);
    assert_eq!((loaded.info.sample_rate, loaded.info.sample_rate_given), (48_000.0, false));
    assert_eq!(only(loaded), sequence(vec![Layer::Gru(gru), Layer::Conv1d(dense, Activation::Identity)]));
    let other = changed(&file, "/layers/0/activation", json!("relu"));
    assert_eq!(error(other.to_string().as_bytes()), "layers[0].activation: 'relu'; expected tanh or none");
}

#[test]
fn keras_convolutions_activations_and_normalisations_are_folded_into_few_layers() {
    let mut random = Random(13);
    let conv = random.conv(4, 6, 3, 2, 2, true);
    let (dense, mut first) = keras_dense(&mut random, 1, 4);
    first["activation"] = json!("tanh");
    let kernel: Value = (0..3).map(|k| matrix(2, 6, |i, o| conv.weights[(o * 2 + i) * 3 + k])).collect();
    let second = json!({
        "type": "conv1d", "activation": "", "shape": [null, null, 6], "kernel_size": [3], "dilation": [2], "groups": 2,
        "weights": [kernel, conv.bias],
    });
    let [gamma, beta, mean] = std::array::from_fn(|_| random.weights(6));
    let variance: Vec<f32> = random.weights(6).iter().map(|w| w.abs() + 0.5).collect();
    let shape = json!([null, null, 6]);
    let norm =
        json!({"type": "batchnorm", "activation": "", "shape": shape, "epsilon": 0.01, "weights": [gamma, beta, mean, variance]});
    let slopes = random.weights(6);
    let prelu = json!({"type": "prelu", "activation": "", "shape": shape, "weights": [[slopes]]});
    let plain = json!({"type": "batchnorm", "activation": "", "shape": shape, "epsilon": 0.01, "weights": [mean, variance]});
    let (_, mut last) = keras_dense(&mut random, 6, 1);
    last["type"] = json!("time-distributed-dense");
    let elu = json!({"type": "activation", "activation": "elu", "shape": [null, null, 1], "weights": []});
    let file = json!({"in_shape": [null, 100, 1], "layers": [first, second, norm, prelu, plain, last, elu]});
    let Architecture::Sequence(read) = only(read(&file)) else { panic!("no sequence") };
    let [
        Layer::Conv1d(a, Activation::Tanh),
        Layer::Conv1d(b, prelu),
        Layer::Conv1d(c, Activation::Identity),
        Layer::Conv1d(_, d),
    ] = &read.layers[..]
    else {
        panic!("{:?}", read.layers)
    };
    assert_eq!((a, prelu, d), (&dense, &Activation::LeakyRelu(slopes), &Activation::Elu { alpha: 1.0 }));
    let x: Vec<Vec<f64>> = (0..30).map(|_| random.weights(4).into_iter().map(f64::from).collect()).collect();
    let norm = |y: f64, o: usize, gamma: f32, beta: f32| {
        (y - f64::from(mean[o])) * f64::from(gamma) / (f64::from(variance[o]) + 0.01).sqrt() + f64::from(beta)
    };
    for (plain, folded) in convolve(&conv, &x).iter().zip(convolve(b, &x)) {
        assert!((0..6).all(|o| (norm(plain[o], o, gamma[o], beta[o]) - folded[o]).abs() < 1e-6));
        let again = convolve(c, std::slice::from_ref(&folded));
        assert!((0..6).all(|o| (norm(folded[o], o, 1.0, 0.0) - again[0][o]).abs() < 1e-6));
    }
}

#[test]
fn what_keras_can_say_and_this_engine_cannot_run_is_refused_with_the_field() {
    let (_, dense) = keras_dense(&mut Random(14), 1, 1);
    let file = json!({"in_shape": [null, null, 1], "layers": [dense]});
    for (pointer, value, expected) in [
        (
            "/layers/0/activation",
            json!("softmax"),
            "layers[0].activation: softmax, which of one channel is always 1; expected tanh",
        ),
        ("/layers/0/activation", json!("gelu"), "layers[0].activation: 'gelu'; expected tanh, relu"),
        ("/layers/0/type", json!("conv2d"), "layers[0].type: 'conv2d'; expected dense"),
        ("/layers/0/shape", json!([null, null, 2]), "layers[0].weights[0][0]: 1 numbers; expected 2"),
        ("/layers/0/shape", json!([]), "layers[0].shape: 0 values; expected 1 to 8"),
        ("/layers/0/weights", json!([[[1.0], [2.0]], [0.0]]), "layers[0].weights[0]: 2 values; expected 1"),
        ("/layers/0/weights", json!([[[1e39]], [0.0]]), "layers[0].weights[0][0][0]: 1e39; expected a finite 32-bit number"),
        ("/in_shape", json!([null, null, 2]), "layers[0].weights[0]: 1 values; expected 2"),
        ("/in_shape", json!([0]), "in_shape[0]: 0; expected a whole number from 1 to 16"),
        ("/layers", json!([]), "layers: 0 values; expected 1 to 256"),
        ("/layers", json!({}), "layers: an object of 0 keys; expected a list"),
    ] {
        let found = error(changed(&file, pointer, value).to_string().as_bytes());
        assert!(found.starts_with(expected), "{found}\n{expected}");
    }
    let two = keras_dense(&mut Random(14), 1, 2).1;
    let found = error(json!({"in_shape": [1], "layers": [two]}).to_string().as_bytes());
    assert_eq!(found, "layers[0]: 2 outputs of the last layer; expected 1");
}

fn proteus(random: &mut Random, kind: &str, inputs: usize, hidden: usize, layers: usize) -> (Vec<Layer>, Value) {
    let gates = if kind == "LSTM" { 4 } else { 3 };
    let (mut made, mut state) = (Vec::new(), serde_json::Map::new());
    for layer in 0..layers {
        let n = if layer == 0 { inputs } else { hidden };
        let (w, u) = (random.weights(gates * hidden * n), random.weights(gates * hidden * hidden));
        let (a, b) = (random.weights(gates * hidden), random.weights(gates * hidden));
        state.insert(format!("rec.weight_ih_l{layer}"), matrix(gates * hidden, n, |r, c| w[r * n + c]));
        state.insert(format!("rec.weight_hh_l{layer}"), matrix(gates * hidden, hidden, |r, c| u[r * hidden + c]));
        state.insert(format!("rec.bias_ih_l{layer}"), json!(a));
        state.insert(format!("rec.bias_hh_l{layer}"), json!(b));
        let h0 = vec![0.0; hidden];
        let bias = a.iter().zip(&b).map(|(a, b)| a + b).collect();
        made.push(match kind {
            "LSTM" => Layer::Lstm(Lstm { inputs: n, hidden, input_weights: w, hidden_weights: u, bias, c0: h0.clone(), h0 }),
            _ => Layer::Gru(Gru { inputs: n, hidden, input_weights: w, hidden_weights: u, input_bias: a, hidden_bias: b, h0 }),
        });
    }
    let head = random.conv(hidden, 1, 1, 1, 1, true);
    state.insert("lin.weight".into(), json!([head.weights]));
    state.insert("lin.bias".into(), json!(head.bias));
    made.push(Layer::Conv1d(head, Activation::Identity));
    let data = json!({
        "model": "SimpleRNN", "input_size": inputs, "skip": 1, "output_size": 1, "unit_type": kind, "num_layers": layers,
        "hidden_size": hidden, "bias_fl": true,
    });
    (made, json!({"model_data": data, "state_dict": state}))
}

#[test]
fn proteus_files_are_read_as_they_are_written() {
    for (kind, inputs, hidden, layers) in [("LSTM", 1, 40, 1), ("LSTM", 2, 5, 2), ("GRU", 3, 4, 2)] {
        let (expected, file) = proteus(&mut Random(15), kind, inputs, hidden, layers);
        let loaded = read(&file);
        assert_eq!((loaded.info.format, loaded.info.sample_rate, loaded.info.sample_rate_given), ("proteus", 44_100.0, false));
        assert_eq!(loaded.info.knobs.len(), inputs - 1);
        assert_eq!(
            only(loaded),
            Architecture::Sequence(Sequence { layers: expected, input_gain: 1.0, output_gain: 1.0, skip: true })
        );
    }
    let (_, file) = proteus(&mut Random(16), "LSTM", 1, 3, 1);
    for (pointer, value, expected) in [
        ("/model_data/unit_type", json!("RNN"), "model_data.unit_type: 'RNN'; expected LSTM or GRU"),
        ("/model_data/hidden_size", json!(4), "state_dict.rec.weight_ih_l0: 12 values; expected 16"),
        ("/model_data/hidden_size", json!(1e9), "model_data.hidden_size: 1000000000; expected a whole number from 1 to 65536"),
        ("/model_data/num_layers", json!(2), "state_dict.rec.weight_ih_l1 is missing"),
        ("/model_data/input_size", json!(-1), "model_data.input_size: -1; expected a whole number from 1 to 16"),
        ("/model_data/output_size", json!(2), "model_data.output_size: 2; expected a whole number from 1 to 1"),
        ("/state_dict/lin.bias", json!([0, 0]), "state_dict.lin.bias: 2 numbers; expected 1"),
        ("/state_dict/rec.bias_hh_l0/2", json!(null), "state_dict.rec.bias_hh_l0[2]: null; expected a number"),
    ] {
        assert_eq!(error(changed(&file, pointer, value).to_string().as_bytes()), expected);
    }
}

#[test]
fn a_nam_file_with_one_wrong_field_is_an_error_that_names_it() {
    let (_, file) = old_wavenet(&mut Random(17));
    let count = file["weights"].as_array().unwrap().len();
    let mut more = file["weights"].clone();
    more.as_array_mut().unwrap().push(json!(0.5));
    let fewer: Vec<Value> = file["weights"].as_array().unwrap()[1..].to_vec();
    let object = json!({});
    for (pointer, value, expected) in [
        ("/weights", more, format!("weights: {} numbers; expected {count}", count + 1)),
        ("/weights", json!(fewer), format!("weights: {} numbers; expected {count}", count - 1)),
        ("/weights", json!([]), format!("weights: 0 numbers; expected {count}")),
        ("/weights/5", json!("0.5"), "weights[5]: '0.5'; expected a number".into()),
        ("/weights/5", json!(1e300), "weights[5]: 1e300; expected a finite 32-bit number".into()),
        ("/weights/5", json!([1.0]), "weights[5]: a list of 1; expected a number".into()),
        ("/weights", object.clone(), "weights: an object of 0 keys; expected a list of numbers".into()),
        (
            "/architecture",
            json!("CatLSTM"),
            "architecture: 'CatLSTM'; expected Linear, ConvNet, LSTM, WaveNet or SlimmableContainer".into(),
        ),
        ("/architecture", json!(["WaveNet"]), "architecture: a list of 1; expected a text".into()),
        ("/config", json!(null), "config is missing".into()),
        ("/config", json!("x"), "config: 'x'; expected an object with 'condition_dsp'".into()),
        ("/config/layers", json!([]), "config.layers: 0 values; expected 1 to 64".into()),
        (
            "/config/layers/1/dilations/1",
            json!(0),
            "config.layers[1].dilations[1]: 0; expected a whole number from 1 to 16777216".into(),
        ),
        ("/config/layers/1/dilations/1", json!(1_000_000_000), "config.layers[1].dilations[1]: 1000000000; expected".into()),
        ("/config/layers/1/dilations/1", json!(-1), "config.layers[1].dilations[1]: -1; expected".into()),
        ("/config/layers/1/dilations/1", json!(1.5), "config.layers[1].dilations[1]: 1.5; expected".into()),
        ("/config/layers/1/dilations/1", json!("1"), "config.layers[1].dilations[1]: '1'; expected".into()),
        ("/config/layers/0/dilations", json!([]), "config.layers[0].dilations: 0 values; expected 1 to 1024".into()),
        (
            "/config/layers/0/dilations",
            json!(vec![1; 5000]),
            "config.layers[0].dilations: 5000 values; expected 1 to 1024".into(),
        ),
        ("/config/layers/0/channels", json!(0), "config.layers[0].channels: 0; expected a whole number from 1 to 65536".into()),
        ("/config/layers/0/channels", json!(1_000_000_000), "config.layers[0].channels: 1000000000; expected".into()),
        ("/config/layers/0/channels", json!(true), "config.layers[0].channels: true; expected a whole number".into()),
        (
            "/config/layers/0/kernel_size",
            json!(0),
            "config.layers[0].kernel_size: 0; expected a whole number from 1 to 1048576".into(),
        ),
        ("/config/layers/0/kernel_size", json!(1e18), "config.layers[0].kernel_size: 1e18; expected".into()),
        ("/config/layers/0/input_size", json!(2), "config.layers[0].input_size: 2; expected 1, the audio".into()),
        (
            "/config/layers/1/input_size",
            json!(2),
            "config.layers[1].input_size: 2; expected 3, the channels of the array before".into(),
        ),
        ("/config/layers/1/condition_size", json!(2), "config.layers[1].condition_size: 2; expected 1, the channels of".into()),
        (
            "/config/layers/0/head_size",
            json!(3),
            "config.layers[1]: a head that accumulates 2 channels; expected 3, as many".into(),
        ),
        ("/config/layers/1/head_size", json!(2), "weights".into()),
        ("/config/layers/0/activation", json!("GELU"), "config.layers[0].activation: 'GELU'; expected Tanh, Hardtanh".into()),
        ("/config/layers/0/activation", json!(["Tanh"]), "config.layers[0].activation: 1 values; expected 2".into()),
        ("/config/layers/0/activation", json!(5), "config.layers[0].activation: 5; expected an object with 'type'".into()),
        ("/config/layers/0/gated", json!("yes"), "config.layers[0].gated: 'yes'; expected true or false".into()),
        ("/config/head", json!(5), "config.head: 5; expected an object with 'in_channels'".into()),
        ("/config/layers/0/head_bias", json!(null), "config.layers[0].head_bias is missing".into()),
    ] {
        let found = error(changed(&file, pointer, value).to_string().as_bytes());
        assert!(found.starts_with(&expected), "{pointer}: {found}\nexpected {expected}");
    }
    for (key, value, expected) in [
        ("sample_rate", json!(0), "sample_rate: 0; expected 1000 to 768000"),
        ("sample_rate", json!("48000"), "sample_rate: '48000'; expected a number"),
        ("metadata", json!({"loudness": "loud"}), "metadata.loudness: 'loud'; expected a number"),
        ("metadata", json!({"name": ["a"]}), "metadata.name: a list of 1; expected a text"),
        ("metadata", json!([]), "metadata: a list of 0; expected an object with 'loudness'"),
    ] {
        let mut file = file.clone();
        file[key] = value;
        assert_eq!(error(file.to_string().as_bytes()), expected);
    }
    let array = |key: &str, value: Value| {
        let mut file = file.clone();
        file["config"]["layers"][0][key] = value;
        error(file.to_string().as_bytes())
    };
    for (key, value, expected) in [
        ("kernel_sizes", json!([3, 3]), "config.layers[0]: kernel_size and kernel_sizes; expected one of them"),
        ("gating_mode", json!("sometimes"), "config.layers[0].gating_mode: 'sometimes'; expected none, gated or blended"),
        ("gating_mode", json!(["none"]), "config.layers[0].gating_mode: 1 values; expected 2"),
        (
            "secondary_activation",
            json!(["Tanh", "Nothing"]),
            "config.layers[0].secondary_activation[1]: 'Nothing'; expected Tanh",
        ),
        (
            "groups_input",
            json!(2),
            "config.layers[0]: the convolution in 2 groups; expected a divisor of its 3 inputs and 6 outputs",
        ),
        ("layer1x1", json!({"active": false, "groups": 1}), "weights"),
        ("layer1x1", json!({"active": 1}), "config.layers[0].layer1x1.active: 1; expected true or false"),
        ("head1x1_post_film", json!({}), "config.layers[0].head1x1_post_film: active; expected inactive, as head1x1 is"),
        ("conv_pre_film", json!(true), "config.layers[0].conv_pre_film: true; expected an object with 'active'"),
        ("bottleneck", json!(1e10), "config.layers[0].bottleneck: 10000000000; expected"),
        ("head", json!({"out_channels": 2, "kernel_size": 0, "bias": false}), "config.layers[0].head.kernel_size: 0; expected"),
    ] {
        let found = array(key, value);
        assert!(found.starts_with(expected), "{key}: {found}\nexpected {expected}");
    }
    let stereo = random_wavenet(&mut Random(2), 2, 1).1;
    assert_eq!(error(stereo.to_string().as_bytes()), "config: 2 outputs; expected 1");
    for (key, value) in [("in_channels", json!(2)), ("in_channels", json!(0))] {
        let mut file = file.clone();
        file["config"][key] = value.clone();
        assert_eq!(error(file.to_string().as_bytes()), format!("config.in_channels: {value}; expected 1: a mono model"));
    }
}

#[test]
fn shapes_that_would_need_terabytes_are_refused_before_anything_is_allocated() {
    let huge = 65_536;
    let wavenet = |array: Value| nam("WaveNet", json!({"layers": [array], "head_scale": 1.0}), &[0.0; 10]);
    let base = json!({
        "input_size": 1, "condition_size": 1, "head_size": 1, "channels": huge, "kernel_size": 1_048_576, "dilations": vec![1; 1024],
        "activation": "Tanh", "head_bias": true,
    });
    for (file, part) in [
        (wavenet(base.clone()), "weights: 10 numbers; expected 46"),
        (wavenet(changed(&base, "/dilations/3", json!(17))), "look back 17825775 frames; expected at most 16777216"),
        (
            nam("LSTM", json!({"num_layers": 1024, "input_size": 1, "hidden_size": huge}), &[0.0]),
            "weights: 1 numbers; expected 351",
        ),
        (
            nam("ConvNet", json!({"channels": huge, "dilations": vec![1; 1024], "batchnorm": true, "activation": "ReLU"}), &[]),
            "weights: 0",
        ),
        (nam("Linear", json!({"receptive_field": 1_048_577, "bias": false}), &[]), "config.receptive_field: 1048577; expected"),
    ] {
        let found = error(file.to_string().as_bytes());
        assert!(found.contains(part), "{found}");
    }
    // All weights are there, but the rings are too long: 16 layers of 16 channels, each of which looks back 16 million frames.
    let channels = 16;
    let layers = 16;
    let weights =
        channels + layers * (channels * channels * 2 + channels + channels + channels * channels + channels) + channels + 1;
    let array = json!({
        "input_size": 1, "condition_size": 1, "head_size": 1, "channels": channels, "kernel_size": 2,
        "dilations": vec![16_777_216; layers], "activation": "Tanh", "head_bias": false,
    });
    let file = nam("WaveNet", json!({"layers": [array], "head_scale": 1.0}), &vec![0.0; weights]);
    assert_eq!(error(file.to_string().as_bytes()), "the file: a model of 32773 MiB or more; expected at most 1024 MiB");
    // Few weights, but what every channel would keep of wide layers without any is 51 GB.
    let wide = 65_536;
    let mut layers = vec![keras_dense(&mut Random(1), 1, wide).1];
    layers.extend(
        (0..254).map(|_| json!({"type": "activation", "activation": "tanh", "shape": [null, null, wide], "weights": []})),
    );
    layers.push(keras_dense(&mut Random(2), wide, 1).1);
    let found = error(json!({"in_shape": [null, null, 1], "layers": layers}).to_string().as_bytes());
    assert!(found.ends_with("MiB or more; expected at most 1024 MiB"), "{found}");
    // Short enough to be stored, and far too long to be prewarmed.
    let array = json!({
        "input_size": 1, "condition_size": 1, "head_size": 1, "channels": 1, "kernel_size": 2, "dilations": vec![1_000_000; 110],
        "activation": "Tanh", "head_bias": false,
    });
    let file = nam("WaveNet", json!({"layers": [array], "head_scale": 1.0}), &vec![0.0; 1 + 110 * 6 + 2]);
    assert_eq!(
        error(file.to_string().as_bytes()),
        "the file: 663 weights over 110000001 frames, 72930000663 multiply-adds before the first sound; expected at most 68719476736"
    );
}

#[test]
fn models_in_models_end_somewhere() {
    let (_, plain) = old_wavenet(&mut Random(18));
    let mut nested = plain.clone();
    for _ in 0..20 {
        let mut outer = plain.clone();
        outer["config"]["condition_dsp"] = nested;
        nested = outer;
    }
    let found = error(nested.to_string().as_bytes());
    assert!(found.contains("a model 5 models deep; expected at most 4"), "{found}");
    let mut nested = plain;
    for _ in 0..20 {
        nested = nam("SlimmableContainer", json!({"submodels": [{"max_value": 1.0, "model": nested}]}), &[]);
    }
    let found = error(nested.to_string().as_bytes());
    assert!(found.contains("a model 5 models deep; expected at most 4"), "{found}");
}

#[test]
fn a_recurrent_condition_model_is_refused() {
    let mut random = Random(22);
    let (_, mut file) = old_wavenet(&mut random);
    let lstm = random_lstm(&mut random, 1, 2);
    file["config"]["condition_dsp"] = lstm_file(&[lstm], &random.conv(2, 1, 1, 1, 1, true));
    let expected = "config.condition_dsp: a recurrent condition model; expected WaveNet, ConvNet or Linear";
    assert_eq!(error(file.to_string().as_bytes()), expected);
}

#[test]
fn hostile_json_is_an_error() {
    let (_, file) = old_wavenet(&mut Random(19));
    let text = file.to_string();
    for (bytes, part) in [
        (text.replacen("\"weights\"", "\"weights\": [1], \"weights\"", 1).into_bytes(), "the key 'weights' twice"),
        (text.replacen("\"head_scale\":0.02", "\"head_scale\":NaN", 1).into_bytes(), "NaN"),
        (text.replacen("\"head_scale\":0.02", "\"head_scale\":1e999", 1).into_bytes(), "number out of range"),
        (format!("{}1{}", "[".repeat(5000), "]".repeat(5000)).into_bytes(), "recursion limit"),
        (format!("{}1", "{\"a\":".repeat(5000)).into_bytes(), "recursion limit"),
        (b"{\"layers\": \"\xff\xfe\"}".to_vec(), "unicode"),
        (b"[1, 2, 3]".to_vec(), "the file: a list of 3; expected architecture and weights (.nam)"),
        (b"{\"a\": 1}".to_vec(), "the file: an object of 1 keys; expected architecture and weights (.nam)"),
        (b"{".to_vec(), "EOF"),
        (format!("{{\"layers\": [{}0]}}", "[],".repeat(2_000_000)).into_bytes(), "more than 1048576 values"),
    ] {
        let found = error(&bytes);
        assert!(found.contains(part), "{found}");
    }
    for end in 0..text.len() {
        error(&text.as_bytes()[..end]);
    }
}

#[test]
fn what_is_no_model_says_what_was_found_and_what_was_expected() {
    let fails = |bytes: &[u8]| Model::read(bytes.to_vec()).expect_err("an error").to_string();
    assert_eq!(fails(b""), "an empty file; expected a model: .nam, Proteus JSON, Keras JSON or ONNX");
    assert_eq!(
        fails(b"RIFF\x10\0\0\0WAVE"),
        "a file that starts with 'RIFF\\x10\\x00\\x00\\x00'; expected a model: .nam, Proteus JSON, Keras JSON or ONNX"
    );
    assert!(fails(b"\xef\xbb\xbf {\"a\": 1}").starts_with("the file: an object of 1 keys; expected architecture"));
    // ir_version 8, producer_name, an empty graph: as ONNX starts.
    let onnx = b"\x08\x08\x12\x07pytorch\x3a\x00";
    assert_ne!(fails(onnx), fails(b"RIFF"));
    assert!(fails(&onnx[..8]).starts_with("a file that starts with"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("no.nam");
    let text = Model::open(&path).expect_err("an error").to_string();
    assert!(text.starts_with(&path.display().to_string()), "{text}");
    assert!(Model::open(folder.path()).expect_err("an error").to_string().ends_with("no file; expected one"));
    std::fs::write(&path, b"{\"layers\": []}").unwrap();
    assert_eq!(
        Model::open(&path).expect_err("an error").to_string(),
        format!("{}: layers: 0 values; expected 1 to 256", path.display())
    );
    let large = std::fs::File::create(folder.path().join("large.onnx")).unwrap();
    large.set_len(10 << 30).unwrap();
    let text = Model::open(&folder.path().join("large.onnx")).expect_err("an error").to_string();
    assert!(text.ends_with("10737418240 bytes; expected a model of at most 268435456"), "{text}");
}

/// Files of every kind, small.
fn seeds() -> Vec<String> {
    let mut random = Random(20);
    let (_, dense) = keras_dense(&mut random, 1, 1);
    let lstm = random_lstm(&mut random, 1, 2);
    let head = random.conv(2, 1, 1, 1, 1, true);
    let (_, mut slim) = old_wavenet(&mut random);
    slim["config"]["layers"][0]["slimmable"] =
        json!({"method": "slice_channels_uniform", "kwargs": {"allowed_channels": [1, 3]}});
    let (_, wavenet) = random_wavenet(&mut Random(21), 1, 0);
    let conv_net = json!({"channels": 1, "dilations": [1, 2], "batchnorm": true, "activation": "ReLU"});
    let container = json!({"submodels": [{"max_value": 1, "model": lstm_file(std::slice::from_ref(&lstm), &head)}]});
    [
        nam("Linear", json!({"receptive_field": 3, "bias": true}), &[1.0, 2.0, 3.0, 4.0]),
        nam("ConvNet", conv_net, &[0.5; 2 + 5 + 2 + 5 + 2]),
        lstm_file(std::slice::from_ref(&lstm), &head),
        slim,
        wavenet,
        nam("SlimmableContainer", container, &[]),
        json!({"in_shape": [null, 1], "in_skip": 1, "layers": [dense], "input_batch": [[1]], "output_batch": [1]}),
        proteus(&mut random, "LSTM", 1, 2, 1).1,
        proteus(&mut random, "GRU", 2, 1, 1).1,
    ]
    .map(|file| file.to_string())
    .into()
}

/// One change of a text.
#[derive(Clone, Debug)]
enum Change {
    Byte(usize, u8),
    Cut(usize),
    Remove(usize, usize),
    Repeat(usize, usize),
    /// The n-th number becomes this.
    Number(usize, &'static str),
}

fn change() -> impl Strategy<Value = Change> {
    let numbers = [
        "0", "1", "-1", "2", "7", "1.5", "1e9", "1e18", "1e308", "-1e39", "65536", "1048576", "16777216", "null", "true", "[]",
        "\"\"",
    ];
    prop_oneof![
        (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Change::Byte(at, byte)),
        any::<usize>().prop_map(Change::Cut),
        (any::<usize>(), 1..20usize).prop_map(|(at, n)| Change::Remove(at, n)),
        (any::<usize>(), 1..40usize).prop_map(|(at, n)| Change::Repeat(at, n)),
        (any::<usize>(), prop::sample::select(numbers.to_vec())).prop_map(|(at, number)| Change::Number(at, number)),
        (any::<usize>(), prop::sample::select(numbers.to_vec())).prop_map(|(at, number)| Change::Number(at, number)),
    ]
}

fn apply(text: &mut Vec<u8>, change: &Change) {
    let length = text.len().max(1);
    match *change {
        Change::Byte(at, byte) => {
            if let Some(b) = text.get_mut(at % length) {
                *b = byte;
            }
        }
        Change::Cut(at) => text.truncate(at % length),
        Change::Remove(at, n) => {
            let at = (at % length).min(text.len());
            text.drain(at..(at + n).min(text.len()));
        }
        Change::Repeat(at, n) => {
            let at = (at % length).min(text.len());
            let part = text[at..(at + n).min(text.len())].to_vec();
            text.splice(at..at, part);
        }
        Change::Number(n, number) => {
            let part = |b: u8| b.is_ascii_digit() || b"-+.eE".contains(&b);
            let starts: Vec<usize> = (1..text.len())
                .filter(|i| (text[*i].is_ascii_digit() || text[*i] == b'-') && b"[,:".contains(&text[i - 1]))
                .collect();
            let Some(start) = (!starts.is_empty()).then(|| starts[n % starts.len()]) else { return };
            let end = (start..text.len()).find(|i| !part(text[*i])).unwrap_or(text.len());
            text.splice(start..end, number.bytes());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_damaged_file_is_read_or_is_an_error_in_one_line(which in any::<usize>(), changes in prop::collection::vec(change(), 1..4)) {
        thread_local!(static SEEDS: Vec<String> = seeds());
        let mut text = SEEDS.with(|seeds| seeds[which % seeds.len()].clone()).into_bytes();
        changes.iter().for_each(|c| apply(&mut text, c));
        match Loaded::read(&text) {
            Ok(loaded) => prop_assert!(!loaded.sizes.is_empty() && loaded.sizes.iter().all(|s| s.architecture.is_some())),
            Err(e) => {
                let line = e.to_string();
                prop_assert!(!line.is_empty() && !line.contains(['\n', '\r']) && line.len() < 500, "{}", line);
            }
        }
    }
}

// Other makers' files.

/// The folder of reference renders, if it is there.
fn peers() -> Option<PathBuf> {
    let shared = std::env::var_os("ISOTHERM_SHARED").map(PathBuf::from);
    let folder = shared.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared")).join("peer-models");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no {}", folder.display());
    None
}

#[test]
fn the_peers_models_have_as_many_weights_as_their_makers_say() {
    let Some(folder) = peers() else { return };
    for (name, weights, reach) in [("lstm", 70, None), ("wavenet", 131, Some(23)), ("wavenet_a1_standard", 13_802, Some(4093))] {
        let loaded = Loaded::read(&std::fs::read(folder.join(format!("{name}.nam"))).unwrap()).unwrap();
        assert_eq!(loaded.info.parameters, weights, "{name}");
        assert_eq!(only(loaded).receptive_field(), reach, "{name}");
    }
}

/// What a network of one channel gives, in blocks of different lengths.
fn render(model: &Model, input: &[f32]) -> Vec<f32> {
    let mut voices = model.network(0).clone().voices(Mode::new(1)).unwrap();
    let mut output = input.to_vec();
    let (mut rest, mut block) = (output.as_mut_slice(), 1);
    while !rest.is_empty() {
        let (part, behind) = rest.split_at_mut(block.min(rest.len()));
        voices.process(&mut [part], &[]);
        (rest, block) = (behind, block % 512 + 37);
    }
    output
}

#[test]
fn the_peers_models_sound_as_their_makers_implementation_renders_them() {
    let Some(folder) = peers() else { return };
    let input = wav::read(folder.join("input.wav")).unwrap();
    for (name, bound) in [("lstm", 1e-6), ("wavenet", 1e-6), ("wavenet_a1_standard", 5e-6)] {
        let model = Model::open(&folder.join(format!("{name}.nam"))).unwrap();
        let reference = wav::read(folder.join(format!("{name}_reference.wav"))).unwrap();
        let output = render(&model, input.channel(0));
        let worst = output.iter().zip(reference.channel(0)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("{name}: within {worst:e}");
        assert!(worst <= bound && output.len() == reference.frames(), "{name}: {worst:e}");
    }
}
