//! Models of the shapes that are in use, with random weights: as descriptions for the native engine, and as files for other
//! engines.

use std::fs;
use std::io;
use std::path::Path;

use isotherm::audio::Random;
use isotherm::neural::description::{
    Activation, Architecture, Conv1d, Films, Gating, Gru, Layer, LayerArray, Lstm, Sequence, WaveNet, WaveNetLayer,
};
use serde_json::{Value, json};

/// A model, as a description and as a file.
pub struct Model {
    pub name: String,
    pub architecture: Architecture,
    /// Ending of the file's name: `nam`, or `json` for RTNeural's files.
    pub ending: &'static str,
    /// The file's contents.
    pub file: Value,
}

/// Returns a model of every shape, always with the same weights.
pub fn all() -> Vec<Model> {
    let mut models =
        vec![a1("a1-standard", 16, false), a1("a1-lite", 12, true), a1("a1-feather", 8, true), a1("a1-nano", 4, true)];
    models.extend([a2("a2-full", 8), a2("a2-lite", 3)]);
    models.extend([8, 16, 20, 32, 40].map(lstm));
    models.push(gru(16));
    models
}

/// Writes every model into a folder.
pub fn write(models: &[Model], folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    models.iter().try_for_each(|m| fs::write(folder.join(&m.name).with_extension(m.ending), m.file.to_string()))
}

/// A source of random weights, which keeps them in the order of a `.nam` file.
struct Weights {
    random: Random,
    /// All weights so far.
    taken: Vec<f32>,
}

impl Weights {
    fn new() -> Self {
        Self { random: Random::new(1), taken: Vec::new() }
    }

    /// Returns new weights, uniform from -`bound` to `bound`.
    fn take(&mut self, count: usize, bound: f32) -> Vec<f32> {
        let first = self.taken.len();
        for _ in 0..count {
            self.taken.push(self.random.within(-bound, bound));
        }
        self.taken[first..].to_vec()
    }

    /// Returns a convolution with PyTorch's initial weights: uniform, of variance 1 / (3 inputs taps).
    fn conv(&mut self, inputs: usize, outputs: usize, taps: usize, dilation: usize, bias: bool) -> Conv1d {
        let bound = ((inputs * taps) as f32).sqrt().recip();
        let weights = self.take(outputs * inputs * taps, bound);
        let bias = bias.then(|| self.take(outputs, bound));
        Conv1d { inputs, outputs, taps, dilation, groups: 1, weights, bias }
    }

    /// Returns an array of plain layers, given by the taps and the dilation of each.
    fn array(
        &mut self,
        inputs: usize,
        channels: usize,
        shapes: &[(usize, usize)],
        activation: &Activation,
        head: Head,
    ) -> LayerArray {
        let rechannel = self.conv(inputs, channels, 1, 1, false);
        let layers = shapes.iter().map(|&(taps, dilation)| WaveNetLayer {
            conv: self.conv(channels, channels, taps, dilation, true),
            mixin: self.conv(1, channels, 1, 1, false),
            activation: activation.clone(),
            gating: Gating::None,
            layer1x1: Some(self.conv(channels, channels, 1, 1, true)),
            head1x1: None,
            film: Films::default(),
        });
        let layers = layers.collect();
        LayerArray { rechannel, layers, head: self.conv(channels, head.outputs, head.taps, 1, head.bias) }
    }

    /// Adds the head scale, the file's last weight, and returns it.
    fn head_scale(&mut self, scale: f32) -> f32 {
        self.taken.push(scale);
        scale
    }
}

/// The shape of an array's head.
struct Head {
    outputs: usize,
    taps: usize,
    bias: bool,
}

/// A WaveNet of Neural Amp Modeler's first generation (A1): two arrays with 3 taps, 20 layers in all; 10 and 10, or 7 and 13 if
/// `short`.
fn a1(name: &str, channels: usize, short: bool) -> Model {
    let powers = |from: usize, to: usize| (from..to).map(|p| (3, 1 << p));
    let (first, second): (Vec<_>, Vec<_>) = if short {
        (powers(0, 7).collect(), powers(7, 10).chain(powers(0, 10)).collect())
    } else {
        (powers(0, 10).collect(), powers(0, 10).collect())
    };
    let half = channels / 2;
    let mut weights = Weights::new();
    let arrays = vec![
        weights.array(1, channels, &first, &Activation::Tanh, Head { outputs: half, taps: 1, bias: false }),
        weights.array(channels, half, &second, &Activation::Tanh, Head { outputs: 1, taps: 1, bias: true }),
    ];
    let head_scale = weights.head_scale(0.02);
    let layers: Vec<_> = arrays
        .iter()
        .map(|a| {
            let dilations: Vec<_> = a.layers.iter().map(|l| l.conv.dilation).collect();
            json!({"input_size": a.rechannel.inputs, "condition_size": 1, "channels": a.rechannel.outputs, "kernel_size": 3,
                "dilations": dilations, "activation": "Tanh", "gated": false, "head_size": a.head.outputs,
                "head_bias": a.head.bias.is_some()})
        })
        .collect();
    let config = json!({"layers": layers, "head": null, "head_scale": head_scale});
    nam(name, "0.5.0", "WaveNet", config, weights, wavenet(arrays, head_scale))
}

/// A WaveNet of Neural Amp Modeler's second generation (A2): one array with LeakyReLU and a head of 16 taps.
fn a2(name: &str, channels: usize) -> Model {
    let cycle = [1, 3, 7, 17, 41, 101, 239];
    let dilations = [&cycle[..], &cycle[..], &[1, 13], &cycle[..]].concat();
    let taps: Vec<_> = (0..dilations.len()).map(|i| if i == 14 || i == 15 { 15 } else { 6 }).collect();
    let layers: Vec<_> = taps.iter().copied().zip(dilations.iter().copied()).collect();
    let mut weights = Weights::new();
    let head = Head { outputs: 1, taps: 16, bias: true };
    let arrays = vec![weights.array(1, channels, &layers, &Activation::LeakyRelu(vec![0.01]), head)];
    let head_scale = weights.head_scale(0.01);
    let leaky = json!({"type": "LeakyReLU", "negative_slope": 0.01});
    let mut layer = json!({"input_size": 1, "condition_size": 1, "channels": channels, "bottleneck": channels,
        "kernel_sizes": taps, "dilations": dilations, "activation": vec![leaky; taps.len()],
        "gating_mode": vec!["none"; taps.len()], "secondary_activation": vec![Value::Null; taps.len()],
        "head": {"out_channels": 1, "kernel_size": 16, "bias": true},
        "head1x1": {"active": false, "out_channels": 1, "groups": 1}, "layer1x1": {"active": true, "groups": 1},
        "groups_input": 1, "groups_input_mixin": 1, "slimmable": null});
    let films = "conv_pre conv_post input_mixin_pre input_mixin_post activation_pre activation_post layer1x1_post head1x1_post";
    for film in films.split(' ') {
        layer[format!("{film}_film")] = json!({"active": false, "shift": true, "groups": 1});
    }
    let config = json!({"layers": [layer], "head": null, "head_scale": head_scale});
    nam(name, "0.7.0", "WaveNet", config, weights, wavenet(arrays, head_scale))
}

fn wavenet(arrays: Vec<LayerArray>, head_scale: f32) -> Architecture {
    Architecture::WaveNet(Box::new(WaveNet { condition: None, arrays, post: Vec::new(), head_scale }))
}

/// One LSTM layer and a head.
fn lstm(hidden: usize) -> Model {
    let mut weights = Weights::new();
    let bound = (hidden as f32).sqrt().recip();
    let (mut input_weights, mut hidden_weights) = (Vec::new(), Vec::new());
    for _ in 0..4 * hidden {
        input_weights.extend(weights.take(1, bound));
        hidden_weights.extend(weights.take(hidden, bound));
    }
    let bias = weights.take(4 * hidden, bound);
    let (h0, c0) = (weights.take(hidden, 0.1), weights.take(hidden, 0.1));
    let layer = Layer::Lstm(Lstm { inputs: 1, hidden, input_weights, hidden_weights, bias, h0, c0 });
    let head = weights.conv(hidden, 1, 1, 1, true);
    let config = json!({"num_layers": 1, "input_size": 1, "hidden_size": hidden});
    nam(&format!("lstm-{hidden}"), "0.5.4", "LSTM", config, weights, sequence(layer, head))
}

/// One GRU layer and a head, as an RTNeural file.
fn gru(hidden: usize) -> Model {
    let mut weights = Weights::new();
    let bound = (hidden as f32).sqrt().recip();
    let gru = Gru {
        inputs: 1,
        hidden,
        input_weights: weights.take(3 * hidden, bound),
        hidden_weights: weights.take(3 * hidden * hidden, bound),
        input_bias: weights.take(3 * hidden, bound),
        hidden_bias: weights.take(3 * hidden, bound),
        h0: vec![0.0; hidden],
    };
    let head = weights.conv(hidden, 1, 1, 1, true);
    // Keras, whose layout RTNeural files have, stores matrices as [inputs][outputs] and the gates in the order z, r, n.
    let keras = |matrix: &[f32]| {
        let inputs = matrix.len() / (3 * hidden);
        let column = |i: usize| [1, 0, 2].iter().flat_map(move |gate| (0..hidden).map(move |o| (gate * hidden + o) * inputs + i));
        (0..inputs).map(|i| column(i).map(|at| matrix[at]).collect()).collect::<Vec<Vec<f32>>>()
    };
    let biases = [keras(&gru.input_bias), keras(&gru.hidden_bias)].concat();
    let dense: Vec<_> = head.weights.iter().map(|w| [w]).collect();
    let file = json!({"in_shape": [null, null, 1], "in_skip": 0, "layers": [
        {"type": "gru", "activation": "", "shape": [null, null, hidden],
            "weights": [keras(&gru.input_weights), keras(&gru.hidden_weights), biases]},
        {"type": "dense", "activation": "", "shape": [null, null, 1], "weights": [dense, head.bias]}]});
    Model { name: format!("gru-{hidden}"), architecture: sequence(Layer::Gru(gru), head), ending: "json", file }
}

fn sequence(recurrent: Layer, head: Conv1d) -> Architecture {
    let layers = vec![recurrent, Layer::Conv1d(head, Activation::Identity)];
    Architecture::Sequence(Sequence { layers, input_gain: 1.0, output_gain: 1.0, skip: false })
}

/// A model with a `.nam` file.
fn nam(name: &str, version: &str, kind: &str, config: Value, weights: Weights, architecture: Architecture) -> Model {
    let file =
        json!({"version": version, "architecture": kind, "config": config, "weights": weights.taken, "sample_rate": 48_000});
    Model { name: name.into(), architecture, ending: "nam", file }
}
