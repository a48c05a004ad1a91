//! What has been trained, as files that others read.

use serde_json::{Map, Value, json};

use crate::neural::description::{Architecture, Conv1d, Gating, Gru, Layer, Lstm, WaveNet};

/// What a file says of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    pub name: String,
    /// In hertz.
    pub sample_rate: u32,
    /// Error to signal on what was held out.
    pub esr: f64,
    /// See [`Info::late_frames`](crate::neural::Info).
    pub late_frames: usize,
    /// Of the input behind the audio, if there is one.
    pub knob: Option<String>,
}

/// Version of the `.nam` format: the last before the layers of a WaveNet got options that are not used here.
const NAM_VERSION: &str = "0.5.4";

/// A `.nam` file, for LSTM and WaveNet with one input. None for what the format cannot hold. [any thread]
#[must_use]
pub fn nam(architecture: &Architecture, label: &Label) -> Option<String> {
    let (kind, config, weights) = match architecture {
        Architecture::Sequence(s) => match s.layers.as_slice() {
            [Layer::Lstm(lstm), Layer::Conv1d(head, _)] if lstm.inputs == 1 => {
                let config = json!({ "num_layers": 1, "input_size": 1, "hidden_size": lstm.hidden });
                ("LSTM", config, lstm_weights(lstm, head))
            }
            _ => return None,
        },
        Architecture::WaveNet(w) => ("WaveNet", wavenet_config(w), wavenet_weights(w)),
    };
    let file = json!({
        "version": NAM_VERSION, "architecture": kind, "config": config, "weights": weights, "sample_rate": label.sample_rate,
        "metadata": { "name": label.name, "modeled_by": "Isotherm", "late_frames": label.late_frames, "training": { "validation_esr": label.esr } },
    });
    Some(file.to_string())
}

/// Each row input weights, then hidden weights; bias; state of before the first sample; head.
fn lstm_weights(lstm: &Lstm, head: &Conv1d) -> Vec<f32> {
    let rows = lstm.input_weights.chunks(lstm.inputs).zip(lstm.hidden_weights.chunks(lstm.hidden));
    let mut weights: Vec<f32> = rows.flat_map(|(x, h)| [x, h].concat()).collect();
    weights.extend([&lstm.bias[..], &lstm.h0, &lstm.c0].concat());
    push(&mut weights, head);
    weights
}

fn push(weights: &mut Vec<f32>, conv: &Conv1d) {
    weights.extend_from_slice(&conv.weights);
    weights.extend_from_slice(conv.bias.as_deref().unwrap_or(&[]));
}

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

fn wavenet_weights(wavenet: &WaveNet) -> Vec<f32> {
    let mut weights = Vec::new();
    for array in &wavenet.arrays {
        push(&mut weights, &array.rechannel);
        for layer in &array.layers {
            push(&mut weights, &layer.conv);
            push(&mut weights, &layer.mixin);
            layer.layer1x1.iter().for_each(|one| push(&mut weights, one));
        }
        push(&mut weights, &array.head);
    }
    weights.push(wavenet.head_scale);
    weights
}

/// A JSON file of Keras layers as RTNeural reads it, for LSTM and GRU. None for others. [any thread]
#[must_use]
pub fn keras(architecture: &Architecture, label: &Label) -> Option<String> {
    let Architecture::Sequence(s) = architecture else { return None };
    let [cell, Layer::Conv1d(head, _)] = s.layers.as_slice() else { return None };
    let (inputs, hidden) = (cell.inputs(), cell.outputs());
    // [row][column] becomes [column][row].
    let matrix = |weights: &[f32], columns: usize| -> Vec<Vec<f32>> {
        (0..columns).map(|c| weights.iter().skip(c).step_by(columns).copied().collect()).collect()
    };
    let (kind, weights) = match cell {
        Layer::Lstm(l) => ("lstm", json!([matrix(&l.input_weights, inputs), matrix(&l.hidden_weights, hidden), l.bias])),
        Layer::Gru(g) => {
            let own = |w: &[f32], columns: usize| matrix(&update_first(w, hidden * columns), columns);
            let bias = [update_first(&g.input_bias, hidden), update_first(&g.hidden_bias, hidden)];
            ("gru", json!([own(&g.input_weights, inputs), own(&g.hidden_weights, hidden), bias]))
        }
        Layer::Conv1d(..) => return None,
    };
    let mut file = Map::new();
    file.insert("in_shape".into(), json!([null, null, inputs]));
    let cell = json!({ "type": kind, "activation": "tanh", "recurrent_activation": "sigmoid", "shape": [null, null, hidden], "weights": weights });
    let dense = json!({
        "type": "dense", "activation": "", "shape": [null, null, 1],
        "weights": [matrix(&head.weights, hidden), head.bias.clone().unwrap_or_else(|| vec![0.0])],
    });
    file.insert("layers".into(), json!([cell, dense]));
    let mut metadata = json!({
        "name": label.name, "author": "Isotherm", "samplerate": label.sample_rate, "esr": label.esr, "late_frames": label.late_frames,
    });
    if let Some(knob) = &label.knob {
        metadata["knobs"] = json!([knob]);
    }
    file.insert("metadata".into(), metadata);
    Some(Value::Object(file).to_string())
}

/// Keras has a GRU's gates in the order z, r, n; PyTorch r, z, n. `gate`: values of one.
fn update_first(weights: &[f32], gate: usize) -> Vec<f32> {
    [&weights[gate..2 * gate], &weights[..gate], &weights[2 * gate..]].concat()
}

/// A `.onnx` file by the contract of `docs/models.md`, for all that is trained. [any thread]
#[must_use]
pub fn onnx(architecture: &Architecture, label: &Label) -> Option<Vec<u8>> {
    let mut graph = Graph::default();
    match architecture {
        Architecture::Sequence(s) => match s.layers.as_slice() {
            [Layer::Lstm(lstm), Layer::Conv1d(head, _)] => recurrent(&mut graph, Cell::Lstm(lstm), head),
            [Layer::Gru(gru), Layer::Conv1d(head, _)] => recurrent(&mut graph, Cell::Gru(gru), head),
            _ => return None,
        },
        Architecture::WaveNet(w) => wavenet(&mut graph, w),
    }
    let mut metadata = vec![
        ("sample_rate", label.sample_rate.to_string()),
        ("name", label.name.clone()),
        ("author", "Isotherm".into()),
        ("esr", label.esr.to_string()),
        ("late_frames", label.late_frames.to_string()),
    ];
    metadata.extend(label.knob.as_ref().map(|knob| ("knobs", knob.clone())));
    Some(graph.model(&metadata))
}

enum Cell<'a> {
    Lstm(&'a Lstm),
    Gru(&'a Gru),
}

/// Gates of PyTorch's order in that of ONNX.
fn ordered(weights: &[f32], gates: &[usize]) -> Vec<f32> {
    let one = weights.len() / gates.len();
    gates.iter().flat_map(|g| &weights[g * one..(g + 1) * one]).copied().collect()
}

fn recurrent(graph: &mut Graph, cell: Cell<'_>, head: &Conv1d) {
    let hidden = head.inputs as i64;
    let inputs = match &cell {
        Cell::Lstm(l) => l.inputs as i64,
        Cell::Gru(g) => g.inputs as i64,
    };
    // ONNX: i, o, f, c of an LSTM, z, r, h of a GRU.
    let (operator, gates, w, u, b, input_bias): (_, &[usize], _, _, _, _) = match &cell {
        Cell::Lstm(l) => ("LSTM", &[0, 3, 1, 2], &l.input_weights, &l.hidden_weights, None, &l.bias),
        Cell::Gru(g) => ("GRU", &[1, 0, 2], &g.input_weights, &g.hidden_weights, Some(&g.hidden_bias), &g.input_bias),
    };
    let rows = gates.len() as i64 * hidden;
    let hidden_bias = b.map_or_else(|| vec![0.0; input_bias.len()], |b| ordered(b, gates));
    graph.floats("w", &[1, rows, inputs], &ordered(w, gates));
    graph.floats("u", &[1, rows, hidden], &ordered(u, gates));
    graph.floats("b", &[1, 2 * rows], &[ordered(input_bias, gates), hidden_bias].concat());
    graph.floats("head", &[hidden, 1], &head.weights);
    graph.floats("bias", &[1], head.bias.as_deref().unwrap_or(&[0.0]));
    graph.ints("one", &[1]);
    graph.ints("two", &[2]);
    let state = [Dim::Fixed(1), Dim::Free("batch"), Dim::Fixed(hidden)];
    graph.node("Transpose", &["audio"], &["time"], &[("perm", Attribute::Ints(&[1, 0]))]);
    if inputs == 1 {
        graph.node("Unsqueeze", &["time", "two"], &["x"], &[]);
    } else {
        // The same at every frame of a run.
        graph.input("knobs", &[Dim::Free("batch"), Dim::Fixed(inputs - 1)]);
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
        Cell::Lstm(_) => {
            graph.state("state_c", &state);
            let inputs = ["x", "w", "u", "b", "", "state_h", "state_c"];
            graph.node(operator, &inputs, &["y", "state_h_out", "state_c_out"], &[size]);
        }
        Cell::Gru(_) => {
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

/// Convolutions shorten what they read, so everything that is added to their outputs loses as much at its front.
fn wavenet(graph: &mut Graph, wavenet: &WaveNet) {
    let layers = wavenet.arrays.iter().flat_map(|a| &a.layers);
    let reach: usize = layers.map(|l| l.conv.reach()).sum();
    graph.ints("one", &[1]);
    graph.ints("time", &[2]);
    graph.ints("end", &[i64::MAX]);
    graph.state("state_x", &[Dim::Free("batch"), Dim::Fixed(reach.max(1) as i64)]);
    graph.node("Concat", &["state_x", "audio"], &["all"], &[("axis", Attribute::Int(1))]);
    graph.ints("kept", &[-(reach.max(1) as i64)]);
    graph.node("Slice", &["all", "kept", "end", "one"], &["state_x_out"], &[]);
    // A network of reach 0 keeps a frame, and does not look at it.
    let (mut x, mut condition) = ("all_used".to_owned(), "condition".to_owned());
    graph.ints("unused", &[i64::from(reach == 0)]);
    graph.node("Slice", &["all", "unused", "end", "one"], &["all_short"], &[]);
    graph.node("Unsqueeze", &["all_short", "one"], &[&x], &[]);
    graph.node("Identity", &[&x], &[&condition], &[]);
    let mut left = reach;
    let mut sum: Option<String> = None;
    for (a, array) in wavenet.arrays.iter().enumerate() {
        x = graph.conv(&format!("rechannel{a}"), &x, &array.rechannel);
        for (l, layer) in array.layers.iter().enumerate() {
            let name = |part: &str| format!("{part}{a}_{l}");
            let reach = layer.conv.reach();
            left -= reach;
            let conv = graph.conv(&name("conv"), &x, &layer.conv);
            condition = graph.later(&name("condition"), &condition, reach);
            let mixin = graph.conv(&name("mixin"), &condition, &layer.mixin);
            let a_name = graph.two("Add", &name("a"), &conv, &mixin);
            let z = if layer.gating == Gating::None {
                graph.one("Tanh", &name("z"), &a_name)
            } else {
                let (top, gate) = (name("top"), name("gate"));
                graph.node("Split", &[&a_name], &[&top, &gate], &[("axis", Attribute::Int(1))]);
                let (top, gate) = (graph.one("Tanh", &name("t"), &top), graph.one("Sigmoid", &name("g"), &gate));
                graph.two("Mul", &name("z"), &top, &gate)
            };
            let part = graph.later(&name("part"), &z, left);
            sum = Some(match sum {
                None => part,
                Some(sum) => graph.two("Add", &name("sum"), &sum, &part),
            });
            if let Some(one) = &layer.layer1x1 {
                let change = graph.conv(&name("one"), &z, one);
                let rest = graph.later(&name("rest"), &x, reach);
                x = graph.two("Add", &name("x"), &rest, &change);
            }
        }
        sum = sum.map(|sum| graph.conv(&format!("head{a}"), &sum, &array.head));
    }
    graph.floats("scale", &[1], &[wavenet.head_scale]);
    let scaled = graph.two("Mul", "scaled", sum.as_deref().unwrap_or(""), "scale");
    graph.node("Squeeze", &[&scaled, "one"], &["output"], &[]);
}

/// A dimension of a tensor.
#[derive(Clone, Copy)]
enum Dim {
    Fixed(i64),
    Free(&'static str),
}

enum Attribute<'a> {
    Int(i64),
    Ints(&'a [i64]),
}

/// ONNX's `GraphProto`, field by field as `onnx.proto` of ONNX 1.16 numbers them.
#[derive(Default)]
struct Graph {
    nodes: Message,
    initializers: Message,
    inputs: Message,
    outputs: Message,
}

/// Protobuf: fields one after another.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    fn number(&mut self, field: u64, number: i64) {
        self.varint(field << 3);
        self.varint(number.cast_unsigned());
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, field: u64, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    fn message(&mut self, field: u64, message: &Self) {
        self.bytes(field, &message.0);
    }
}

/// `TensorProto.DataType`
const FLOAT: i64 = 1;
const INT64: i64 = 7;
/// `AttributeProto.AttributeType`
const INT: i64 = 2;
const INTS: i64 = 7;
/// Versions of the file format and of the operators: those of ONNX 1.12 (2022), which ONNX Runtime 1.17 knows.
const IR_VERSION: i64 = 8;
const OPSET: i64 = 17;

impl Graph {
    fn node(&mut self, operator: &str, inputs: &[&str], outputs: &[&str], attributes: &[(&str, Attribute<'_>)]) {
        let mut node = Message::default();
        inputs.iter().for_each(|name| node.text(1, name));
        outputs.iter().for_each(|name| node.text(2, name));
        node.text(3, outputs.first().unwrap_or(&""));
        node.text(4, operator);
        for (name, value) in attributes {
            let mut attribute = Message::default();
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

    fn one(&mut self, operator: &str, name: &str, input: &str) -> String {
        self.node(operator, &[input], &[name], &[]);
        name.to_owned()
    }

    fn two(&mut self, operator: &str, name: &str, a: &str, b: &str) -> String {
        self.node(operator, &[a, b], &[name], &[]);
        name.to_owned()
    }

    fn tensor(&mut self, name: &str, dims: &[i64], kind: i64, raw: &[u8]) {
        let mut tensor = Message::default();
        dims.iter().for_each(|n| tensor.number(1, *n));
        tensor.number(2, kind);
        tensor.text(8, name);
        tensor.bytes(9, raw);
        self.initializers.message(5, &tensor);
    }

    fn floats(&mut self, name: &str, dims: &[i64], values: &[f32]) {
        self.tensor(name, dims, FLOAT, &values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>());
    }

    fn ints(&mut self, name: &str, values: &[i64]) {
        self.tensor(name, &[values.len() as i64], INT64, &values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>());
    }

    /// `[batch, inputs, time]` to `[batch, outputs, time - reach]`
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

    /// Without the first frames.
    fn later(&mut self, name: &str, x: &str, frames: usize) -> String {
        let start = format!("{name}_start");
        self.ints(&start, &[frames as i64]);
        self.node("Slice", &[x, &start, "end", "time"], &[name], &[]);
        name.to_owned()
    }

    fn value(name: &str, dims: &[Dim]) -> Message {
        let mut shape = Message::default();
        for dim in dims {
            let mut message = Message::default();
            match dim {
                Dim::Fixed(n) => message.number(1, *n),
                Dim::Free(name) => message.text(2, name),
            }
            shape.message(1, &message);
        }
        let (mut tensor, mut kind, mut value) = (Message::default(), Message::default(), Message::default());
        tensor.number(1, FLOAT);
        tensor.message(2, &shape);
        kind.message(1, &tensor);
        value.text(1, name);
        value.message(2, &kind);
        value
    }

    fn input(&mut self, name: &str, dims: &[Dim]) {
        self.inputs.message(11, &Self::value(name, dims));
    }

    fn state(&mut self, name: &str, dims: &[Dim]) {
        self.input(name, dims);
        self.outputs.message(12, &Self::value(&format!("{name}_out"), dims));
    }

    /// The `ModelProto`, whose graph has the audio beside its states.
    fn model(self, metadata: &[(&str, String)]) -> Vec<u8> {
        let mut graph = self.nodes;
        graph.text(2, "twin");
        graph.0.extend(self.initializers.0);
        let sound = [Dim::Free("batch"), Dim::Free("frames")];
        graph.message(11, &Self::value("audio", &sound));
        graph.0.extend(self.inputs.0);
        graph.message(12, &Self::value("output", &sound));
        graph.0.extend(self.outputs.0);
        let mut operators = Message::default();
        operators.text(1, "");
        operators.number(2, OPSET);
        let mut model = Message::default();
        model.number(1, IR_VERSION);
        model.text(2, "isotherm");
        model.message(7, &graph);
        model.message(8, &operators);
        for (key, value) in metadata {
            let mut entry = Message::default();
            entry.text(1, key);
            entry.text(2, value);
            model.message(14, &entry);
        }
        model.0
    }
}
