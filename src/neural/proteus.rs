//! GuitarML's Proteus files: JSON of one or more recurrent layers of PyTorch and a dense layer after them.
#![warn(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]

use super::budget::{self, Budget, MAX_LAYER_CHANNELS};
use super::description::{Activation, Architecture, Conv1d, Gru, Layer, Lstm, Sequence};
use super::format::{Content, ModelFormat};
use super::json::Field;
use super::metadata::Ignored;
use super::model::{ModelError, ModelInfo, ModelSize, ParsedModel};

/// The row in the registry of model formats.
pub static FORMAT: ModelFormat = ModelFormat {
    id: "proteus",
    name: "Proteus JSON",
    written_by: "GuitarML",
    extensions: &["json"],
    content: Content::Json { keys: &["model_data", "state_dict"], read },
};

/// Sample rate of a file that has none, in Hz: the one at which Proteus trains.
const SAMPLE_RATE: f32 = 44_100.0;
/// Inputs of a model: the audio and the knobs.
const MAX_INPUTS: usize = 16;
/// Recurrent layers of a model.
const MAX_LAYERS: usize = 64;

fn read(root: &Field<'_>) -> Result<ParsedModel, ModelError> {
    let mut budget = Budget::new();
    let (data, state) = (root.get("model_data")?, root.get("state_dict")?);
    let hidden = data.get("hidden_size")?.whole(1, MAX_LAYER_CHANNELS)?;
    let input_size = data.get("input_size")?.whole(1, MAX_INPUTS)?;
    data.get("output_size")?.whole(1, 1)?;
    let kind = data.get("unit_type")?;
    let skip = data.find("skip")?.map_or(Ok(false), |f| f.flag())?;
    let mut layers = Vec::new();
    let mut inputs = input_size;
    for layer in 0..data.find("num_layers")?.map_or(Ok(1), |f| f.whole(1, MAX_LAYERS))? {
        budget.spend_layer(&state)?;
        let get = |name: &str| state.get(&format!("rec.{name}_l{layer}"));
        let gates = match kind.text()? {
            "LSTM" => 4,
            "GRU" => 3,
            _ => return Err(kind.unexpected("LSTM or GRU")),
        };
        let input_weights = get("weight_ih")?.matrix(gates * hidden, inputs)?;
        let hidden_weights = get("weight_hh")?.matrix(gates * hidden, hidden)?;
        let input_bias = get("bias_ih")?.floats(Some(gates * hidden))?;
        let hidden_bias = get("bias_hh")?.floats(Some(gates * hidden))?;
        budget.spend_weights(&state, (input_weights.len() + hidden_weights.len()) as u64)?;
        let h0 = vec![0.0; hidden];
        layers.push(if gates == 4 {
            let bias: Vec<f32> = input_bias.iter().zip(&hidden_bias).map(|(a, b)| a + b).collect();
            if let Some(index) = bias.iter().position(|b| !b.is_finite()) {
                return Err(get("bias_hh")?.error(format!("a sum of {} at {index} with bias_ih", bias[index]), "a finite one"));
            }
            Layer::Lstm(Lstm { inputs, hidden, input_weights, hidden_weights, bias, c0: h0.clone(), h0 })
        } else {
            Layer::Gru(Gru { inputs, hidden, input_weights, hidden_weights, input_bias, hidden_bias, h0 })
        });
        inputs = hidden;
    }
    let weights = state.get("lin.weight")?.matrix(1, hidden)?;
    let bias = state.find("lin.bias")?.map(|f| f.floats(Some(1))).transpose()?;
    let conv = Conv1d { inputs: hidden, outputs: 1, taps: 1, dilation: 1, groups: 1, weights, bias };
    layers.push(Layer::Conv1d(conv, Activation::Identity));
    let sequence = Sequence { layers, input_gain: 1.0, output_gain: 1.0, skip };
    let summary = budget::summary(&sequence);
    let architecture = Architecture::Sequence(sequence);
    let mut ignored = Ignored::default();
    let rate = match ignored.sample_rate(&data, "sample_rate")? {
        None => ignored.sample_rate(root, "sample_rate")?,
        given => given,
    };
    budget.spend_state(root, &architecture, rate.unwrap_or(SAMPLE_RATE))?;
    let info = ModelInfo {
        sample_rate_given: rate.is_some(),
        ignored: ignored.0,
        knobs: (1..input_size).map(|i| format!("Knob {i}")).collect(),
        ..ModelInfo::new(FORMAT.id, summary, budget::parameter_count(&architecture), rate.unwrap_or(SAMPLE_RATE))
    };
    let sizes = vec![ModelSize::new(1.0, Some(architecture))];
    Ok(ParsedModel { info, sizes, test_vector: None })
}
