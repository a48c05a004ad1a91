//! Model files: a file is read with what was written to it, with every option of its format, and an invalid file is an error in
//! one line that names the field.

mod damage;
mod keras;
mod metadata;
mod nam;
mod oversample;
mod oversampling;
mod peers;
mod proteus;
mod refused;
mod sizes;

use std::path::{Path, PathBuf};

use isotherm::audio::wav;
use isotherm::neural::description::{
    Activation, Architecture, ConditionModel, Conv1d, Films, Gating, Gru, Layer, LayerArray, Lstm, Sequence, WaveNet,
    WaveNetLayer,
};
use isotherm::neural::engine::StateSpec;
use isotherm::neural::{Model, ParsedModel};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A generator of random models.
struct RandomModels(isotherm::audio::Random);

impl RandomModels {
    fn new(seed: u64) -> Self {
        Self(isotherm::audio::Random::new(seed))
    }
    fn below(&mut self, n: usize) -> usize {
        (self.0.bits() % n as u64) as usize
    }
    /// A number from `min` to `max`.
    fn between(&mut self, min: usize, max: usize) -> usize {
        min + self.below(max - min + 1)
    }
    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }
    fn weight(&mut self) -> f32 {
        (self.0.bits() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
    fn weights(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.weight()).collect()
    }
    /// A common divisor of both.
    fn groups(&mut self, a: usize, b: usize) -> usize {
        let all: Vec<usize> = (1..=a.min(b)).filter(|g| a.is_multiple_of(*g) && b.is_multiple_of(*g)).collect();
        all[self.below(all.len())]
    }
    fn conv(&mut self, inputs: usize, outputs: usize, taps: usize, dilation: usize, groups: usize, bias: bool) -> Conv1d {
        let weights = self.weights(outputs * inputs / groups * taps);
        let bias = bias.then(|| self.weights(outputs));
        Conv1d { inputs, outputs, taps, dilation, groups, weights, bias }
    }
    /// An activation, and its JSON in a `.nam` file.
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

fn read(file: &Value) -> ParsedModel {
    ParsedModel::read(file.to_string().as_bytes()).unwrap_or_else(|e| panic!("{e}\n{file}"))
}

/// The error for a file that must be invalid; it is checked to be one line.
fn error(bytes: &[u8]) -> String {
    let error = ParsedModel::read(bytes).expect_err("an error").to_string();
    assert!(!error.is_empty() && !error.contains(['\n', '\r']) && error.len() < 500, "{error}");
    error
}

/// The architecture of a model with one size.
fn only_architecture(parsed: ParsedModel) -> Architecture {
    assert_eq!(parsed.sizes.len(), 1);
    parsed.sizes.into_iter().next().and_then(|s| s.architecture).expect("an architecture")
}

fn sequence(layers: Vec<Layer>) -> Architecture {
    Architecture::Sequence(Sequence { layers, input_gain: 1.0, output_gain: 1.0, skip: false })
}

fn nam(architecture: &str, config: Value, weights: &[f32]) -> Value {
    json!({"version": "0.5.4", "architecture": architecture, "config": config, "weights": weights})
}

/// Appends the weights and the bias of a convolution to a list of weights.
fn append(to: &mut Vec<f32>, conv: &Conv1d) {
    to.extend(&conv.weights);
    to.extend(conv.bias.iter().flatten());
}

/// A WaveNet with random options of the format, and its file.
fn random_wavenet(random: &mut RandomModels, outputs: usize, depth: usize) -> (WaveNet, Value) {
    let mut weights = Vec::new();
    let (condition, condition_size, condition_json) = match (depth, random.below(3)) {
        (0, 0) => {
            let size = random.between(1, 3);
            let (wavenet, file) = random_wavenet(random, size, 1);
            (Some(Box::new(ConditionModel::WaveNet(wavenet))), size, file)
        }
        (0, 1) => {
            let size = random.between(1, 2);
            let (conv, head) = (random.conv(1, 3, 2, 5, 1, true), random.conv(3, size, 1, 1, 1, true));
            let mut weights = Vec::new();
            append(&mut weights, &conv);
            append(&mut weights, &head);
            let config = json!({"channels": 3, "dilations": [5], "batchnorm": false, "activation": "SiLU", "out_channels": size});
            let layers = vec![Layer::Conv1d(conv, Activation::Silu), Layer::Conv1d(head, Activation::Identity)];
            let model = Sequence { layers, input_gain: 1.0, output_gain: 1.0, skip: false };
            (Some(Box::new(ConditionModel::Sequence(model))), size, nam("ConvNet", config, &weights))
        }
        _ => (None, 1, Value::Null),
    };
    let count = random.between(1, 3);
    let (mut arrays, mut arrays_json) = (Vec::new(), Vec::new());
    let (mut inputs, mut accumulator_channels) = (1, None);
    for index in 0..count {
        let channels = [1, 2, 4, 6][random.below(4)];
        let with_layer1x1 = random.below(4) > 0;
        let head1x1 = random.coin();
        let bottleneck = match accumulator_channels {
            Some(n) if !head1x1 && with_layer1x1 => n,
            _ if with_layer1x1 => [1, 2, 4][random.below(3)],
            _ => channels,
        };
        let head1x1 = head1x1 || accumulator_channels.is_some_and(|n| n != bottleneck);
        let to_head = if head1x1 { accumulator_channels.unwrap_or_else(|| [1, 2, 4][random.below(3)]) } else { bottleneck };
        let layers = random.between(1, 3);
        let head_outputs = if index + 1 < count { [1, 2, 4][random.below(3)] } else { outputs };
        let modes: Vec<usize> = (0..layers).map(|_| random.below(3)).collect();
        // All layers have the same groups, so these must divide the outputs of each layer.
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
        append(&mut weights, &rechannel);
        let (mut made, mut activations, mut secondary, mut taps, mut dilations) = (vec![], vec![], vec![], vec![], vec![]);
        for mode in &modes {
            let z = if *mode == 0 { bottleneck } else { 2 * bottleneck };
            let (k, d) = (random.between(1, 4), random.between(1, 9));
            let (activation, activation_json) = random.activation(bottleneck);
            let (gate, gate_json) = random.activation(bottleneck);
            let film = |random: &mut RandomModels, i: usize, size: usize| {
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
            append(&mut weights, &layer.conv);
            append(&mut weights, &layer.mixin);
            let f = &layer.film;
            let films = [&f.conv_pre, &f.conv_post, &f.mixin_pre, &f.mixin_post];
            let more = [&f.activation_pre, &f.activation_post, &f.layer1x1_post, &f.head1x1_post];
            for conv in [&layer.layer1x1, &layer.head1x1].into_iter().chain(films).chain(more).flatten() {
                append(&mut weights, conv);
            }
            made.push(layer);
            activations.push(activation_json);
            secondary.push(if *mode == 0 { Value::Null } else { gate_json });
            taps.push(k);
            dilations.push(d);
        }
        let (head_taps, head_dilation, head_bias) = (random.between(1, 3), random.between(1, 3), random.coin());
        let head = random.conv(to_head, head_outputs, head_taps, head_dilation, 1, head_bias);
        append(&mut weights, &head);
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
        (inputs, accumulator_channels) = (channels, Some(head_outputs));
    }
    let mut head_json = Value::Null;
    let mut post = Vec::new();
    if random.below(3) == 0 {
        let (activation, activation_json) = random.activation(1);
        // One slope for all channels, since the head's convolutions have different counts of channels.
        let activation = match activation {
            Activation::LeakyRelu(slopes) => Activation::LeakyRelu(vec![slopes[0]]),
            other => other,
        };
        let taps: Vec<usize> = (0..random.between(1, 3)).map(|_| random.between(1, 3)).collect();
        let mut from = outputs;
        for (i, k) in taps.iter().enumerate() {
            let to = if i + 1 == taps.len() { outputs } else { 3 };
            let conv = random.conv(from, to, *k, 1, 1, true);
            append(&mut weights, &conv);
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

fn random_lstm(random: &mut RandomModels, inputs: usize, hidden: usize) -> Lstm {
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
    append(&mut weights, head);
    let config =
        json!({"num_layers": layers.len(), "input_size": 1, "hidden_size": layers[0].hidden, "out_channels": head.outputs});
    nam("LSTM", config, &weights)
}

/// A WaveNet, and its file in the form of version 0.5.
fn wavenet_of_0_5(random: &mut RandomModels) -> (WaveNet, Value) {
    let mut weights = Vec::new();
    let mut arrays = Vec::new();
    for (inputs, channels, outputs, bias) in [(1, 3, 2, false), (3, 2, 1, true)] {
        let rechannel = random.conv(inputs, channels, 1, 1, 1, false);
        append(&mut weights, &rechannel);
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
                append(&mut weights, &layer.conv);
                append(&mut weights, &layer.mixin);
                layer.layer1x1.iter().for_each(|c| append(&mut weights, c));
                layer
            })
            .collect();
        let head = random.conv(channels, outputs, 1, 1, 1, bias);
        append(&mut weights, &head);
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

/// The output of a causal convolution, computed in f64.
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

/// A file with the value at a JSON pointer replaced.
fn changed(file: &Value, pointer: &str, value: Value) -> Value {
    let mut file = file.clone();
    *file.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = value;
    file
}

/// A JSON matrix `[rows][columns]` with the number `at(row, column)` at each place.
fn matrix(rows: usize, columns: usize, at: impl Fn(usize, usize) -> f32) -> Value {
    (0..rows).map(|r| (0..columns).map(|c| json!(at(r, c))).collect::<Value>()).collect()
}

fn keras_dense(random: &mut RandomModels, inputs: usize, outputs: usize) -> (Conv1d, Value) {
    let conv = random.conv(inputs, outputs, 1, 1, 1, true);
    let kernel = matrix(inputs, outputs, |i, o| conv.weights[o * inputs + i]);
    let json = json!({"type": "dense", "activation": "", "shape": [null, null, outputs], "weights": [kernel, conv.bias]});
    (conv, json)
}

fn proteus(random: &mut RandomModels, kind: &str, inputs: usize, hidden: usize, layers: usize) -> (Vec<Layer>, Value) {
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

/// One random change of a file. Positions are taken modulo the length.
#[derive(Clone, Debug)]
enum Damage {
    Byte(usize, u8),
    Cut(usize),
    Remove(usize, usize),
    Repeat(usize, usize),
    /// Replaces the n-th number by this text.
    Number(usize, &'static str),
}

fn damage() -> impl Strategy<Value = Damage> {
    let numbers = [
        "0", "1", "-1", "2", "7", "1.5", "1e9", "1e18", "1e308", "-1e39", "65536", "1048576", "16777216", "null", "true", "[]",
        "\"\"",
    ];
    prop_oneof![
        (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        any::<usize>().prop_map(Damage::Cut),
        (any::<usize>(), 1..20usize).prop_map(|(at, n)| Damage::Remove(at, n)),
        (any::<usize>(), 1..40usize).prop_map(|(at, n)| Damage::Repeat(at, n)),
        (any::<usize>(), prop::sample::select(numbers.to_vec())).prop_map(|(at, number)| Damage::Number(at, number)),
        (any::<usize>(), prop::sample::select(numbers.to_vec())).prop_map(|(at, number)| Damage::Number(at, number)),
    ]
}
