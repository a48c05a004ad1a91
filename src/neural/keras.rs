//! Files with a JSON list of Keras layers, as RTNeural's exporter and AIDA-X's trainer write them.
#![warn(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]

use super::batch_norm;
use super::budget::{self, Budget, MAX_DILATION, MAX_LAYER_CHANNELS, MAX_TAPS};
use super::description::{Activation, Architecture, Conv1d, Gru, Layer, Lstm, Sequence};
use super::format::{Content, ModelFormat};
use super::json::{self, Field};
use super::metadata::Ignored;
use super::model::{MAX_LATE_FRAMES, ModelError, ModelInfo, ModelSize, ParsedModel, TestVector, whole_late_frames};
use crate::dsp::db_to_gain;

/// The row in the registry of model formats.
pub static FORMAT: ModelFormat = ModelFormat {
    id: "keras",
    name: "Keras JSON",
    written_by: "RTNeural, AIDA-X",
    extensions: &["json", "aidax"],
    content: Content::Json { keys: &["layers"], read },
};

/// Sample rate, in Hz, of a file that has none, as in AIDA-X.
const SAMPLE_RATE: f32 = 48_000.0;
/// Layers of a model.
const MAX_LAYERS: usize = 256;
/// Inputs of a model: the audio and the knobs.
const MAX_INPUTS: usize = 16;

fn read(root: &Field<'_>) -> Result<ParsedModel, ModelError> {
    let mut budget = Budget::new();
    let shape = root.find("in_shape")?.map(|s| last_or_self(&s)).transpose()?;
    let inputs = shape.map_or(Ok(1), |f| f.whole(1, MAX_INPUTS))?;
    let mut layers = Vec::new();
    let fields = root.get("layers")?.list(1, MAX_LAYERS)?;
    for at in &fields {
        budget.spend_layer(at)?;
        let inputs = layers.last().map_or(inputs, Layer::outputs);
        add_layer(at, inputs, &mut layers, &mut budget)?;
    }
    let outputs = layers.last().map_or(inputs, Layer::outputs);
    if outputs != 1 || layers.is_empty() {
        return Err(fields[fields.len() - 1].error(format!("{outputs} outputs of the last layer"), 1));
    }
    let gain = |key: &str| -> Result<f32, ModelError> {
        let Some(field) = root.find(key)? else { return Ok(1.0) };
        let db = field.number_or_text()?;
        if (-200.0..=200.0).contains(&db) { Ok(db_to_gain(json::to_f32(db))) } else { Err(field.unexpected("-200 to 200")) }
    };
    let skip = root.find("in_skip")?.map_or(Ok(false), |f| f.flag())?;
    let sequence = Sequence { layers, input_gain: gain("in_gain")?, output_gain: gain("out_gain")?, skip };
    let mut ignored = Ignored::default();
    let test_vector = ignored.keep(test_vector(root, &sequence)).flatten();
    let summary = budget::summary(&sequence);
    let architecture = Architecture::Sequence(sequence);

    let metadata = ignored.object(Some(root), "metadata");
    let metadata = metadata.as_ref();
    let rate = match metadata.map(|m| ignored.sample_rate(m, "samplerate")).transpose()?.flatten() {
        None => ignored.sample_rate(root, "samplerate")?,
        given => given,
    };
    budget.spend_state(root, &architecture, rate.unwrap_or(SAMPLE_RATE))?;
    let knob_fields = metadata.and_then(|m| m.find("knobs").ok()?).map(|f| f.list(inputs - 1, inputs - 1));
    let knob_fields = knob_fields.and_then(|fields| ignored.keep(fields)).unwrap_or_default();
    let knob_names: Vec<Option<&str>> = knob_fields.iter().map(|field| ignored.keep(field.text())).collect();
    let knob = |i: usize| knob_names.get(i - 1).copied().flatten().map_or_else(|| format!("Param {i}"), str::to_owned);
    let late_frames = ignored.number(metadata, "late_frames", 0.0, MAX_LATE_FRAMES as f64);
    let info = ModelInfo {
        name: ignored.text(metadata, "name"),
        author: ignored.text(metadata, "author"),
        gear_model: ignored.text(metadata, "based"),
        tone_type: ignored.text(metadata, "style"),
        sample_rate_given: rate.is_some(),
        esr: ignored.number(metadata, "esr", 0.0, f64::from(f32::MAX)),
        late_frames: late_frames.map_or(0, whole_late_frames),
        knobs: (1..inputs).map(knob).collect(),
        ignored: ignored.0,
        ..ModelInfo::new(FORMAT.id, summary, budget::parameter_count(&architecture), rate.unwrap_or(SAMPLE_RATE))
    };
    Ok(ParsedModel { info, sizes: vec![ModelSize::new(1.0, Some(architecture))], test_vector })
}

/// The last item of a list, or a value that is not a list itself.
fn last_or_self<'a>(at: &Field<'a>) -> Result<Field<'a>, ModelError> {
    if at.is_list() { Ok(at.list(1, 8)?.pop().unwrap_or_else(|| at.clone())) } else { Ok(at.clone()) }
}

/// The test vector of the whole model. AIDA-X's trainer records it without the gains, with all knobs at 0.
fn test_vector(root: &Field<'_>, sequence: &Sequence) -> Result<Option<TestVector>, ModelError> {
    let (Some(input), Some(output)) = (root.find("input_batch")?, root.find("output_batch")?) else { return Ok(None) };
    let (input, output_batch) = (flat_floats(&input)?, flat_floats(&output)?);
    if input.len() != output_batch.len() {
        return Err(
            output.error(format!("{} values", output_batch.len()), format!("{}, as many as input_batch has", input.len()))
        );
    }
    Ok(Some(TestVector {
        input: input.iter().map(|x| x / sequence.input_gain).collect(),
        output: output_batch.iter().map(|y| y * sequence.output_gain).collect(),
    }))
}

/// The numbers of a list `[x, ...]` or `[[x], ...]`.
fn flat_floats(at: &Field<'_>) -> Result<Vec<f32>, ModelError> {
    let nested = at.list(1, MAX_TAPS)?;
    if nested.first().is_some_and(Field::is_list) { at.matrix(nested.len(), 1) } else { at.floats(None) }
}

/// Reads a layer with this many inputs, and adds it to `layers` or folds it into the last of them.
fn add_layer(at: &Field<'_>, inputs: usize, layers: &mut Vec<Layer>, budget: &mut Budget) -> Result<(), ModelError> {
    let kind = at.get("type")?;
    let shape = last_or_self(&at.get("shape")?)?;
    let outputs = shape.whole(1, MAX_LAYER_CHANNELS)?;
    let weights = |min: usize, max: usize| at.get("weights")?.list(min, max);
    let check_same_width =
        || if inputs == outputs { Ok(()) } else { Err(shape.unexpected(format!("{inputs}, as many as come in"))) };
    match kind.text()? {
        "dense" | "time-distributed-dense" => {
            let fields = weights(1, 2)?;
            let numbers = transposed(&fields[0].matrix(inputs, outputs)?, outputs);
            let bias = fields.get(1).map(|b| b.floats(Some(outputs))).transpose()?;
            let conv = Conv1d { inputs, outputs, taps: 1, dilation: 1, groups: 1, weights: numbers, bias };
            layers.push(Layer::Conv1d(conv, activation(at, outputs)?));
        }
        "conv1d" => {
            let taps = last_or_self(&at.get("kernel_size")?)?.whole(1, MAX_TAPS)?;
            let dilation = at.find("dilation")?.map_or(Ok(1), |d| last_or_self(&d)?.whole(1, MAX_DILATION))?;
            let groups = at.find("groups")?;
            let group_count = groups.as_ref().map_or(Ok(1), |g| g.whole(1, MAX_LAYER_CHANNELS))?;
            if let Some(groups) = groups
                && !(inputs.is_multiple_of(group_count) && outputs.is_multiple_of(group_count))
            {
                return Err(groups.unexpected(format!("a divisor of {inputs} inputs and {outputs} outputs")));
            }
            budget::check_reach(at, taps, dilation)?;
            let fields = weights(1, 2)?;
            let group_inputs = inputs / group_count;
            let mut numbers = Vec::new();
            for tap in fields[0].list(taps, taps)? {
                numbers.extend(tap.matrix(group_inputs, outputs)?);
            }
            // From [tap][input][output] to [output][input][tap]. In both, the last tap is for the newest sample.
            let place = |tap: usize, input: usize, output: usize| (tap * group_inputs + input) * outputs + output;
            let order = (0..outputs).flat_map(|o| (0..group_inputs).flat_map(move |i| (0..taps).map(move |t| place(t, i, o))));
            let numbers = order.map(|i| numbers[i]).collect();
            let bias = fields.get(1).map(|b| b.floats(Some(outputs))).transpose()?;
            let conv = Conv1d { inputs, outputs, taps, dilation, groups: group_count, weights: numbers, bias };
            layers.push(Layer::Conv1d(conv, activation(at, outputs)?));
        }
        "lstm" => {
            let fields = weights(3, 3)?;
            layers.push(Layer::Lstm(Lstm {
                inputs,
                hidden: outputs,
                input_weights: transposed(&fields[0].matrix(inputs, 4 * outputs)?, 4 * outputs),
                hidden_weights: transposed(&fields[1].matrix(outputs, 4 * outputs)?, 4 * outputs),
                bias: fields[2].floats(Some(4 * outputs))?,
                h0: vec![0.0; outputs],
                c0: vec![0.0; outputs],
            }));
            check_recurrent_activation(at)?;
        }
        "gru" => {
            let fields = weights(3, 3)?;
            let bias = fields[2].matrix(2, 3 * outputs)?;
            let matrix = |field: &Field<'_>, rows: usize| -> Result<Vec<f32>, ModelError> {
                Ok(reset_gate_first(&transposed(&field.matrix(rows, 3 * outputs)?, 3 * outputs)))
            };
            layers.push(Layer::Gru(Gru {
                inputs,
                hidden: outputs,
                input_weights: matrix(&fields[0], inputs)?,
                hidden_weights: matrix(&fields[1], outputs)?,
                input_bias: reset_gate_first(&bias[..3 * outputs]),
                hidden_bias: reset_gate_first(&bias[3 * outputs..]),
                h0: vec![0.0; outputs],
            }));
            check_recurrent_activation(at)?;
        }
        "activation" => {
            check_same_width()?;
            let activation = activation(at, outputs)?;
            apply_activation(layers, outputs, activation);
        }
        "prelu" => {
            check_same_width()?;
            let fields = weights(1, 1)?;
            let slopes = last_or_self(&fields[0])?;
            let list = slopes.floats(None)?;
            if list.len() != outputs && list.len() != 1 {
                return Err(slopes.error(format!("{} slopes", list.len()), format!("1 or {outputs}, one a channel")));
            }
            apply_activation(layers, outputs, Activation::LeakyRelu(list));
        }
        "batchnorm" => {
            check_same_width()?;
            let fields = weights(2, 4)?;
            if fields.len() == 3 {
                return Err(at.get("weights")?.error("3 lists", "2 or 4"));
            }
            let list = |i: usize| fields[i].floats(Some(outputs));
            let (gamma, beta) = if fields.len() == 4 { (list(0)?, list(1)?) } else { (vec![1.0; outputs], vec![0.0; outputs]) };
            let (mean, variance) = (list(fields.len() - 2)?, list(fields.len() - 1)?);
            let epsilon = at.get("epsilon")?;
            let eps = f64::from(epsilon.float()?);
            if !matches!(layers.last(), Some(Layer::Conv1d(_, Activation::Identity))) {
                layers.push(Layer::Conv1d(identity(outputs), Activation::Identity));
            }
            if let Some(Layer::Conv1d(conv, _)) = layers.last_mut() {
                let bias = batch_norm::fold(conv, &mean, &variance, &gamma, &beta, eps);
                conv.bias = Some(bias.map_err(|i| {
                    let found = format!("epsilon {eps} with a variance of {}", variance[i]);
                    at.error(found, "a positive sum and a finite result")
                })?);
            }
        }
        _ => {
            let known = "dense, time-distributed-dense, conv1d, lstm, gru, prelu, batchnorm or activation";
            return Err(kind.unexpected(known));
        }
    }
    let count = match layers.last() {
        Some(Layer::Conv1d(c, _)) => c.weights.len(),
        Some(Layer::Lstm(l)) => l.input_weights.len() + l.hidden_weights.len(),
        Some(Layer::Gru(g)) => g.input_weights.len() + g.hidden_weights.len(),
        None => 0,
    };
    budget.spend_weights(at, count as u64)
}

/// A convolution that passes each channel on unchanged.
fn identity(channels: usize) -> Conv1d {
    let weights = vec![1.0; channels];
    Conv1d { inputs: channels, outputs: channels, taps: 1, dilation: 1, groups: channels, weights, bias: None }
}

/// Applies an activation after the last layer: in it, if it is a convolution without an activation, or in a layer of its own.
fn apply_activation(layers: &mut Vec<Layer>, channels: usize, new: Activation) {
    match layers.last_mut() {
        Some(Layer::Conv1d(_, activation @ Activation::Identity)) => *activation = new,
        _ => layers.push(Layer::Conv1d(identity(channels), new)),
    }
}

/// Transposes a matrix: `[rows][columns]` becomes `[columns][rows]`.
fn transposed(matrix: &[f32], columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|c| matrix.iter().skip(c).step_by(columns)).copied().collect()
}

/// Reorders the gates of a GRU from Keras' order z, r, h to r, z, n.
fn reset_gate_first(gates: &[f32]) -> Vec<f32> {
    let (z, rest) = gates.split_at(gates.len() / 3);
    let (r, n) = rest.split_at(z.len());
    [r, z, n].concat()
}

/// The activation of a layer with this many outputs; identity if the layer has none.
fn activation(at: &Field<'_>, channels: usize) -> Result<Activation, ModelError> {
    let Some(field) = at.find("activation")? else { return Ok(Activation::Identity) };
    match field.text()? {
        "" | "linear" => Ok(Activation::Identity),
        "tanh" => Ok(Activation::Tanh),
        "relu" => Ok(Activation::Relu),
        "sigmoid" => Ok(Activation::Sigmoid),
        "elu" => Ok(Activation::Elu { alpha: 1.0 }),
        "softmax" => {
            let reason = if channels == 1 { "of one channel is always 1" } else { "makes every channel depend on all" };
            Err(field.error(format!("softmax, which {reason}"), "tanh, relu, sigmoid, elu or none"))
        }
        _ => Err(field.unexpected("tanh, relu, sigmoid, elu or none")),
    }
}

/// Checks the activation of a recurrent layer. RTNeural always runs these layers with tanh; a model with another activation
/// would sound different from its training.
fn check_recurrent_activation(at: &Field<'_>) -> Result<(), ModelError> {
    match at.find("activation")? {
        Some(field) if !["", "tanh"].contains(&field.text()?) => Err(field.unexpected("tanh or none")),
        _ => Ok(()),
    }
}
