//! Exports of trained networks as model files that other programs read: `.nam`, JSON of Keras layers, ONNX.

use serde_json::{Map, Value, json};

use crate::neural::description::{Architecture, Conv1d, Gating, Gru, Layer, Lstm, WaveNet};

/// The metadata of a model file.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelMetadata {
    /// Name of the model.
    pub name: String,
    /// Sample rate in hertz.
    pub sample_rate: u32,
    /// Error to signal on the held-out sounds.
    pub esr: f64,
    /// Frames by which the output is late because the model was trained to look ahead.
    pub late_frames: usize,
    /// Name of the knob, the input after the audio, if there is one.
    pub knob: Option<String>,
}

/// Version of the `.nam` format that is written: the last before WaveNet layers got options that are not used here.
const NAM_VERSION: &str = "0.5.4";

/// Returns a `.nam` file, for an LSTM or WaveNet with one input; `None` for networks that the format cannot hold.
/// [any thread: allocates]
#[must_use]
pub fn nam(architecture: &Architecture, metadata: &ModelMetadata) -> Option<String> {
    let (kind, config, weights) = match architecture {
        Architecture::Sequence(s) => match s.layers.as_slice() {
            [Layer::Lstm(lstm), Layer::Conv1d(head, _)] if lstm.inputs == 1 => {
                let config = json!({ "num_layers": 1, "input_size": 1, "hidden_size": lstm.hidden });
                ("LSTM", config, lstm_weights(lstm, head))
            }
            _ => return None,
        },
        Architecture::WaveNet(w) => ("WaveNet", wavenet_config(w), wavenet_weights(w)),
        Architecture::Series(_) => return None,
    };
    let file = json!({
        "version": NAM_VERSION, "architecture": kind, "config": config, "weights": weights, "sample_rate": metadata.sample_rate,
        "metadata": {
            "name": metadata.name, "modeled_by": "Isotherm", "late_frames": metadata.late_frames,
            "training": { "validation_esr": metadata.esr },
        },
    });
    Some(file.to_string())
}

/// Weights in the order of a NAM LSTM: for each row of gates the input weights, then the hidden weights; bias; initial state;
/// head.
fn lstm_weights(lstm: &Lstm, head: &Conv1d) -> Vec<f32> {
    let rows = lstm.input_weights.chunks(lstm.inputs).zip(lstm.hidden_weights.chunks(lstm.hidden));
    let mut weights: Vec<f32> = rows.flat_map(|(x, h)| [x, h].concat()).collect();
    weights.extend([&lstm.bias[..], &lstm.h0, &lstm.c0].concat());
    push_conv(&mut weights, head);
    weights
}

/// Appends a convolution's weights and bias.
fn push_conv(weights: &mut Vec<f32>, conv: &Conv1d) {
    weights.extend_from_slice(&conv.weights);
    weights.extend_from_slice(conv.bias.as_deref().unwrap_or(&[]));
}

/// The `config` of a NAM WaveNet.
fn wavenet_config(wavenet: &WaveNet) -> Value {
    let array = |a: &crate::neural::description::LayerArray| {
        let first = &a.layers[0];
        json!({
            "input_size": a.rechannel.inputs, "condition_size": 1, "channels": a.rechannel.outputs,
            "head_size": a.head.outputs, "head_bias": a.head.bias.is_some(), "kernel_size": first.conv.taps,
            "dilations": a.layers.iter().map(|l| l.conv.dilation).collect::<Vec<_>>(),
            "activation": "Tanh", "gated": first.gating != Gating::None,
        })
    };
    let layers: Vec<Value> = wavenet.arrays.iter().map(array).collect();
    json!({ "layers": layers, "head": null, "head_scale": wavenet.head_scale })
}

/// Weights in the order of a NAM WaveNet.
fn wavenet_weights(wavenet: &WaveNet) -> Vec<f32> {
    let mut weights = Vec::new();
    for array in &wavenet.arrays {
        push_conv(&mut weights, &array.rechannel);
        for layer in &array.layers {
            push_conv(&mut weights, &layer.conv);
            push_conv(&mut weights, &layer.mixin);
            layer.layer1x1.iter().for_each(|one| push_conv(&mut weights, one));
        }
        push_conv(&mut weights, &array.head);
    }
    weights.push(wavenet.head_scale);
    weights
}

/// Returns a JSON file of Keras layers as RTNeural reads it, for an LSTM or GRU; `None` for other networks.
/// [any thread: allocates]
#[must_use]
pub fn keras(architecture: &Architecture, metadata: &ModelMetadata) -> Option<String> {
    let Architecture::Sequence(s) = architecture else { return None };
    let [cell, Layer::Conv1d(head, _)] = s.layers.as_slice() else { return None };
    let (inputs, hidden) = (cell.inputs(), cell.outputs());
    // Keras has [column][row] where PyTorch and the engine have [row][column].
    let matrix = |weights: &[f32], columns: usize| -> Vec<Vec<f32>> {
        (0..columns).map(|c| weights.iter().skip(c).step_by(columns).copied().collect()).collect()
    };
    let (kind, weights) = match cell {
        Layer::Lstm(l) => ("lstm", json!([matrix(&l.input_weights, inputs), matrix(&l.hidden_weights, hidden), l.bias])),
        Layer::Gru(g) => {
            let reordered = |w: &[f32], columns: usize| matrix(&keras_gate_order(w, hidden * columns), columns);
            let bias = [keras_gate_order(&g.input_bias, hidden), keras_gate_order(&g.hidden_bias, hidden)];
            ("gru", json!([reordered(&g.input_weights, inputs), reordered(&g.hidden_weights, hidden), bias]))
        }
        Layer::Conv1d(..) => return None,
    };
    let mut file = Map::new();
    file.insert("in_shape".into(), json!([null, null, inputs]));
    let cell = json!({
        "type": kind, "activation": "tanh", "recurrent_activation": "sigmoid", "shape": [null, null, hidden],
        "weights": weights,
    });
    let dense = json!({
        "type": "dense", "activation": "", "shape": [null, null, 1],
        "weights": [matrix(&head.weights, hidden), head.bias.clone().unwrap_or_else(|| vec![0.0])],
    });
    file.insert("layers".into(), json!([cell, dense]));
    let mut file_metadata = json!({
        "name": metadata.name, "author": "Isotherm", "samplerate": metadata.sample_rate, "esr": metadata.esr,
        "late_frames": metadata.late_frames,
    });
    if let Some(knob) = &metadata.knob {
        file_metadata["knobs"] = json!([knob]);
    }
    file.insert("metadata".into(), file_metadata);
    Some(Value::Object(file).to_string())
}

/// A GRU's weights or biases in Keras's order of gates: z, r, n instead of r, z, n. `gate` is the number of values of a gate.
fn keras_gate_order(weights: &[f32], gate: usize) -> Vec<f32> {
    [&weights[gate..2 * gate], &weights[..gate], &weights[2 * gate..]].concat()
}

/// Returns an `.onnx` file by the contract of `docs/models.md`, for every network that [`super::Design`] can describe.
/// [any thread: allocates]
#[must_use]
pub fn onnx(architecture: &Architecture, metadata: &ModelMetadata) -> Option<Vec<u8>> {
    let mut graph = OnnxGraph::default();
    match architecture {
        Architecture::Sequence(s) => match s.layers.as_slice() {
            [Layer::Lstm(lstm), Layer::Conv1d(head, _)] => add_recurrent(&mut graph, RecurrentLayer::Lstm(lstm), head),
            [Layer::Gru(gru), Layer::Conv1d(head, _)] => add_recurrent(&mut graph, RecurrentLayer::Gru(gru), head),
            _ => return None,
        },
        Architecture::WaveNet(w) => add_wavenet(&mut graph, w),
        Architecture::Series(_) => return None,
    }
    let mut entries = vec![
        ("sample_rate", metadata.sample_rate.to_string()),
        ("name", metadata.name.clone()),
        ("author", "Isotherm".into()),
        ("esr", metadata.esr.to_string()),
        ("late_frames", metadata.late_frames.to_string()),
    ];
    entries.extend(metadata.knob.as_ref().map(|knob| ("knobs", knob.clone())));
    Some(graph.model(&entries))
}

/// The recurrent layer of a network.
enum RecurrentLayer<'a> {
    Lstm(&'a Lstm),
    Gru(&'a Gru),
}

/// Weights or biases with the gates in another order: `gates` has the positions of the gates in `weights`.
fn reorder_gates(weights: &[f32], gates: &[usize]) -> Vec<f32> {
    let gate_len = weights.len() / gates.len();
    gates.iter().flat_map(|g| &weights[g * gate_len..(g + 1) * gate_len]).copied().collect()
}

/// Adds a recurrent layer and its head to the graph.
fn add_recurrent(graph: &mut OnnxGraph, cell: RecurrentLayer<'_>, head: &Conv1d) {
    let hidden = head.inputs as i64;
    let inputs = match &cell {
        RecurrentLayer::Lstm(l) => l.inputs as i64,
        RecurrentLayer::Gru(g) => g.inputs as i64,
    };
    // ONNX has the gates of an LSTM in the order i, o, f, c (our g), those of a GRU in the order z, r, h (our n).
    let (operator, gates, w, u, b, input_bias): (_, &[usize], _, _, _, _) = match &cell {
        RecurrentLayer::Lstm(l) => ("LSTM", &[0, 3, 1, 2], &l.input_weights, &l.hidden_weights, None, &l.bias),
        RecurrentLayer::Gru(g) => ("GRU", &[1, 0, 2], &g.input_weights, &g.hidden_weights, Some(&g.hidden_bias), &g.input_bias),
    };
    let rows = gates.len() as i64 * hidden;
    let hidden_bias = b.map_or_else(|| vec![0.0; input_bias.len()], |b| reorder_gates(b, gates));
    graph.floats("w", &[1, rows, inputs], &reorder_gates(w, gates));
    graph.floats("u", &[1, rows, hidden], &reorder_gates(u, gates));
    graph.floats("b", &[1, 2 * rows], &[reorder_gates(input_bias, gates), hidden_bias].concat());
    graph.floats("head", &[hidden, 1], &head.weights);
    graph.floats("bias", &[1], head.bias.as_deref().unwrap_or(&[0.0]));
    graph.ints("one", &[1]);
    graph.ints("two", &[2]);
    let state = [Dim::Fixed(1), Dim::Named("batch"), Dim::Fixed(hidden)];
    graph.node("Transpose", &["audio"], &["time"], &[("perm", Attribute::Ints(&[1, 0]))]);
    if inputs == 1 {
        graph.node("Unsqueeze", &["time", "two"], &["x"], &[]);
    } else {
        // A knob has one position for all frames of a call.
        graph.input("knobs", &[Dim::Named("batch"), Dim::Fixed(inputs - 1)]);
        graph.ints("zero", &[0]);
        graph.node("Unsqueeze", &["time", "two"], &["sound"], &[]);
        graph.node("Unsqueeze", &["knobs", "zero"], &["standing"], &[]);
        graph.node("Shape", &["sound"], &["shape"], &[]);
        graph.node("Expand", &["standing", "shape"], &["turned"], &[]);
        graph.node("Concat", &["sound", "turned"], &["x"], &[("axis", Attribute::Int(2))]);
    }
    let size = ("hidden_size", Attribute::Int(hidden));
    graph.state("state_h", &state);
    match cell {
        RecurrentLayer::Lstm(_) => {
            graph.state("state_c", &state);
            let inputs = ["x", "w", "u", "b", "", "state_h", "state_c"];
            graph.node(operator, &inputs, &["y", "state_h_out", "state_c_out"], &[size]);
        }
        RecurrentLayer::Gru(_) => {
            let inputs = ["x", "w", "u", "b", "", "state_h"];
            graph.node(operator, &inputs, &["y", "state_h_out"], &[size, ("linear_before_reset", Attribute::Int(1))]);
        }
    }
    graph.node("Squeeze", &["y", "one"], &["hidden"], &[]);
    graph.node("MatMul", &["hidden", "head"], &["z"], &[]);
    graph.node("Add", &["z", "bias"], &["sum"], &[]);
    graph.node("Squeeze", &["sum", "two"], &["out"], &[]);
    graph.node("Transpose", &["out"], &["output"], &[("perm", Attribute::Ints(&[1, 0]))]);
}

/// Adds a WaveNet to the graph. A convolution's output is shorter than its input by its reach, so each signal that is added to it
/// loses as many frames at its beginning.
fn add_wavenet(graph: &mut OnnxGraph, wavenet: &WaveNet) {
    let layers = wavenet.arrays.iter().flat_map(|a| &a.layers);
    let reach: usize = layers.map(|l| l.conv.reach()).sum();
    graph.ints("one", &[1]);
    graph.ints("time", &[2]);
    graph.ints("end", &[i64::MAX]);
    graph.state("state_x", &[Dim::Named("batch"), Dim::Fixed(reach.max(1) as i64)]);
    graph.node("Concat", &["state_x", "audio"], &["all"], &[("axis", Attribute::Int(1))]);
    graph.ints("kept", &[-(reach.max(1) as i64)]);
    graph.node("Slice", &["all", "kept", "end", "one"], &["state_x_out"], &[]);
    // A network of reach 0 keeps one frame too, as a state cannot be empty, and drops it here.
    let (mut x, mut condition) = ("all_used".to_owned(), "condition".to_owned());
    graph.ints("unused", &[i64::from(reach == 0)]);
    graph.node("Slice", &["all", "unused", "end", "one"], &["all_short"], &[]);
    graph.node("Unsqueeze", &["all_short", "one"], &[&x], &[]);
    graph.node("Identity", &[&x], &[&condition], &[]);
    // Frames by which z is longer than the output: the reach of the layers that follow.
    let mut left = reach;
    let mut sum: Option<String> = None;
    for (a, array) in wavenet.arrays.iter().enumerate() {
        x = graph.conv(&format!("rechannel{a}"), &x, &array.rechannel);
        for (l, layer) in array.layers.iter().enumerate() {
            let name = |part: &str| format!("{part}{a}_{l}");
            let reach = layer.conv.reach();
            left -= reach;
            let conv = graph.conv(&name("conv"), &x, &layer.conv);
            condition = graph.drop_first(&name("condition"), &condition, reach);
            let mixin = graph.conv(&name("mixin"), &condition, &layer.mixin);
            let a_name = graph.binary("Add", &name("a"), &conv, &mixin);
            let z = if layer.gating == Gating::None {
                graph.unary("Tanh", &name("z"), &a_name)
            } else {
                let (top, gate) = (name("top"), name("gate"));
                graph.node("Split", &[&a_name], &[&top, &gate], &[("axis", Attribute::Int(1))]);
                let (top, gate) = (graph.unary("Tanh", &name("t"), &top), graph.unary("Sigmoid", &name("g"), &gate));
                graph.binary("Mul", &name("z"), &top, &gate)
            };
            let part = graph.drop_first(&name("part"), &z, left);
            sum = Some(match sum {
                None => part,
                Some(sum) => graph.binary("Add", &name("sum"), &sum, &part),
            });
            if let Some(one) = &layer.layer1x1 {
                let change = graph.conv(&name("one"), &z, one);
                let rest = graph.drop_first(&name("rest"), &x, reach);
                x = graph.binary("Add", &name("x"), &rest, &change);
            }
        }
        sum = sum.map(|sum| graph.conv(&format!("head{a}"), &sum, &array.head));
    }
    graph.floats("scale", &[1], &[wavenet.head_scale]);
    let scaled = graph.binary("Mul", "scaled", sum.as_deref().unwrap_or(""), "scale");
    graph.node("Squeeze", &[&scaled, "one"], &["output"], &[]);
}

/// A dimension of a tensor: a size, or the name of a size that is only known when the model runs.
#[derive(Clone, Copy)]
enum Dim {
    Fixed(i64),
    Named(&'static str),
}

/// The value of an operator's attribute.
enum Attribute<'a> {
    Int(i64),
    Ints(&'a [i64]),
}

/// An ONNX graph that is being built: the repeated fields of `GraphProto`, encoded. Field numbers here are those of `onnx.proto`
/// of ONNX 1.16.
#[derive(Default)]
struct OnnxGraph {
    nodes: ProtoMessage,
    initializers: ProtoMessage,
    inputs: ProtoMessage,
    outputs: ProtoMessage,
}

/// An encoded protobuf message: its fields one after another.
#[derive(Default)]
struct ProtoMessage(Vec<u8>);

impl ProtoMessage {
    /// Appends a number in base 128, the least significant digit first.
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    /// Appends a field of a number.
    fn number(&mut self, field: u64, number: i64) {
        self.varint(field << 3);
        self.varint(number.cast_unsigned());
    }

    /// Appends a field of bytes.
    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    /// Appends a field of text.
    fn text(&mut self, field: u64, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    /// Appends a field of another message.
    fn message(&mut self, field: u64, message: &Self) {
        self.bytes(field, &message.0);
    }
}

/// `TensorProto.DataType.FLOAT`: 32-bit floats.
const FLOAT: i64 = 1;
/// `TensorProto.DataType.INT64`: 64-bit integers.
const INT64: i64 = 7;
/// `AttributeProto.AttributeType.INT`: one integer.
const INT: i64 = 2;
/// `AttributeProto.AttributeType.INTS`: a list of integers.
const INTS: i64 = 7;
/// Version of the file format: that of ONNX 1.12 (2022), which ONNX Runtime 1.17 knows.
const IR_VERSION: i64 = 8;
/// Version of the operators: that of ONNX 1.12.
const OPSET: i64 = 17;

impl OnnxGraph {
    /// Adds an operator between named values.
    fn node(&mut self, operator: &str, inputs: &[&str], outputs: &[&str], attributes: &[(&str, Attribute<'_>)]) {
        let mut node = ProtoMessage::default();
        inputs.iter().for_each(|name| node.text(1, name));
        outputs.iter().for_each(|name| node.text(2, name));
        node.text(3, outputs.first().unwrap_or(&""));
        node.text(4, operator);
        for (name, value) in attributes {
            let mut attribute = ProtoMessage::default();
            attribute.text(1, name);
            match value {
                Attribute::Int(number) => {
                    attribute.number(3, *number);
                    attribute.number(20, INT);
                }
                Attribute::Ints(numbers) => {
                    numbers.iter().for_each(|n| attribute.number(8, *n));
                    attribute.number(20, INTS);
                }
            }
            node.message(5, &attribute);
        }
        self.nodes.message(1, &node);
    }

    /// Adds an operator of one input. Returns the name of its output.
    fn unary(&mut self, operator: &str, name: &str, input: &str) -> String {
        self.node(operator, &[input], &[name], &[]);
        name.to_owned()
    }

    /// Adds an operator of two inputs. Returns the name of its output.
    fn binary(&mut self, operator: &str, name: &str, a: &str, b: &str) -> String {
        self.node(operator, &[a, b], &[name], &[]);
        name.to_owned()
    }

    /// Adds a constant; `raw` are its elements in little-endian order.
    fn tensor(&mut self, name: &str, dims: &[i64], kind: i64, raw: &[u8]) {
        let mut tensor = ProtoMessage::default();
        dims.iter().for_each(|n| tensor.number(1, *n));
        tensor.number(2, kind);
        tensor.text(8, name);
        tensor.bytes(9, raw);
        self.initializers.message(5, &tensor);
    }

    /// Adds a constant of 32-bit floats.
    fn floats(&mut self, name: &str, dims: &[i64], values: &[f32]) {
        self.tensor(name, dims, FLOAT, &values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>());
    }

    /// Adds a constant vector of 64-bit integers.
    fn ints(&mut self, name: &str, values: &[i64]) {
        self.tensor(name, &[values.len() as i64], INT64, &values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>());
    }

    /// Adds a convolution of `[batch, inputs, time]` to `[batch, outputs, time - reach]`. Returns the name of its output.
    fn conv(&mut self, name: &str, x: &str, conv: &Conv1d) -> String {
        let (weights, bias) = (format!("{name}_w"), format!("{name}_b"));
        self.floats(&weights, &[conv.outputs as i64, conv.inputs as i64, conv.taps as i64], &conv.weights);
        let mut inputs = vec![x, weights.as_str()];
        if let Some(values) = &conv.bias {
            self.floats(&bias, &[conv.outputs as i64], values);
            inputs.push(&bias);
        }
        let taps = [conv.taps as i64];
        let dilation = [conv.dilation as i64];
        let attributes = [("kernel_shape", Attribute::Ints(&taps)), ("dilations", Attribute::Ints(&dilation))];
        self.node("Conv", &inputs, &[name], &attributes);
        name.to_owned()
    }

    /// Adds an operator that drops the first `frames` of `x`. Returns the name of its output.
    fn drop_first(&mut self, name: &str, x: &str, frames: usize) -> String {
        let start = format!("{name}_start");
        self.ints(&start, &[frames as i64]);
        self.node("Slice", &[x, &start, "end", "time"], &[name], &[]);
        name.to_owned()
    }

    /// A `ValueInfoProto`: name and shape of a tensor of floats.
    fn value(name: &str, dims: &[Dim]) -> ProtoMessage {
        let mut shape = ProtoMessage::default();
        for dim in dims {
            let mut message = ProtoMessage::default();
            match dim {
                Dim::Fixed(n) => message.number(1, *n),
                Dim::Named(name) => message.text(2, name),
            }
            shape.message(1, &message);
        }
        let (mut tensor, mut kind, mut value) = (ProtoMessage::default(), ProtoMessage::default(), ProtoMessage::default());
        tensor.number(1, FLOAT);
        tensor.message(2, &shape);
        kind.message(1, &tensor);
        value.text(1, name);
        value.message(2, &kind);
        value
    }

    /// Adds an input to the graph.
    fn input(&mut self, name: &str, dims: &[Dim]) {
        self.inputs.message(11, &Self::value(name, dims));
    }

    /// Adds a state: an input of this name, and an output of the same shape, `<name>_out`.
    fn state(&mut self, name: &str, dims: &[Dim]) {
        self.input(name, dims);
        self.outputs.message(12, &Self::value(&format!("{name}_out"), dims));
    }

    /// The encoded `ModelProto` of the graph, with `audio` as its first input and `output` as its first output, and `entries` as
    /// metadata.
    fn model(self, entries: &[(&str, String)]) -> Vec<u8> {
        let mut graph = self.nodes;
        graph.text(2, "twin");
        graph.0.extend(self.initializers.0);
        let sound = [Dim::Named("batch"), Dim::Named("frames")];
        graph.message(11, &Self::value("audio", &sound));
        graph.0.extend(self.inputs.0);
        graph.message(12, &Self::value("output", &sound));
        graph.0.extend(self.outputs.0);
        let mut operators = ProtoMessage::default();
        operators.text(1, "");
        operators.number(2, OPSET);
        let mut model = ProtoMessage::default();
        model.number(1, IR_VERSION);
        model.text(2, "isotherm");
        model.message(7, &graph);
        model.message(8, &operators);
        for (key, value) in entries {
            let mut entry = ProtoMessage::default();
            entry.text(1, key);
            entry.text(2, value);
            model.message(14, &entry);
        }
        model.0
    }
}
