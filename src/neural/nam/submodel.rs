//! Reading an object with version, architecture and weights: the whole file, or a model inside it, in a container or as the
//! condition model of a WaveNet.

use super::slimmable::{MAX_SIZES, smaller_sizes};
use super::weights::WeightList;
use super::{LEVEL_DBU, LOUDNESS_DB, sequence, wavenet};
use crate::neural::budget::{Budget, MAX_DEPTH};
use crate::neural::description::{Architecture, ConditionModel, Layer, Sequence, WaveNet};
use crate::neural::json::Field;
use crate::neural::metadata::Ignored;
use crate::neural::{ModelError, ModelSize};

/// Models of a Sequential.
const MAX_PARTS: usize = 64;

/// Sample rate of a file that has none, in Hz.
pub const SAMPLE_RATE: f32 = 48_000.0;

/// A model as it was read: the whole file or a model inside it.
pub struct Submodel<'a> {
    /// The networks, the smallest first; at least one.
    pub sizes: Vec<ModelSize>,
    /// Channels of its output.
    pub outputs: usize,
    /// Sample rate in Hz, if the object has it.
    pub sample_rate: Option<f32>,
    /// Count of the weights of the largest network, with its condition model's.
    pub weights: usize,
    /// Description for users, in one line.
    pub summary: String,
    /// Metadata of the largest model, if this is a container.
    pub largest_metadata: Option<Field<'a>>,
    /// Values that were left out, in the models inside this one and in its own levels and rate. The metadata of the outermost
    /// model are read by the caller.
    pub ignored: Ignored,
}

/// Reads a model. `depth` is the number of models around it.
pub fn read<'a>(at: &Field<'a>, depth: usize, budget: &mut Budget) -> Result<Submodel<'a>, ModelError> {
    if depth > MAX_DEPTH {
        return Err(at.error(format!("a model {depth} models deep"), format!("at most {MAX_DEPTH}")));
    }
    check_version(&at.get("version")?)?;
    let mut ignored = Ignored::default();
    let sample_rate = ignored.sample_rate(at, "sample_rate")?;
    // The metadata of the outermost model are read by the caller.
    let mut of_metadata = Ignored::default();
    let metadata = of_metadata.object(Some(at), "metadata");
    let metadata = metadata.as_ref();
    let loudness_db = of_metadata.number(metadata, "loudness", LOUDNESS_DB.0, LOUDNESS_DB.1);
    let input_level_dbu = of_metadata.number(metadata, "input_level_dbu", LEVEL_DBU.0, LEVEL_DBU.1);
    let output_level_dbu = of_metadata.number(metadata, "output_level_dbu", LEVEL_DBU.0, LEVEL_DBU.1);
    if depth > 0 {
        ignored.0.append(&mut of_metadata.0);
    }
    let architecture = at.get("architecture")?;
    let config = at.get("config")?;
    let weights_field = at.get("weights")?;
    let mut weights = WeightList { numbers: weights_field.floats(None)?, used: 0, at: weights_field };
    budget.spend_weights(&weights.at, weights.numbers.len() as u64)?;
    let mut condition_weights = 0;
    let built = match architecture.text()? {
        "SlimmableContainer" => {
            weights.finish()?;
            let mut container = container(&config, sample_rate, depth, budget, ignored)?;
            for size in &mut container.sizes {
                size.input_level_dbu = input_level_dbu.or(size.input_level_dbu);
                size.output_level_dbu = output_level_dbu.or(size.output_level_dbu);
            }
            return Ok(container);
        }
        "Sequential" => {
            weights.finish()?;
            let mut series = series(&config, sample_rate, depth, budget, ignored)?;
            for size in &mut series.sizes {
                if let Some(architecture) = &size.architecture {
                    budget.spend_state(at, architecture, series.sample_rate.unwrap_or(SAMPLE_RATE))?;
                }
                size.loudness_db = loudness_db;
                size.input_level_dbu = input_level_dbu.or(size.input_level_dbu);
                size.output_level_dbu = output_level_dbu.or(size.output_level_dbu);
            }
            return Ok(series);
        }
        "Linear" => BuiltNetwork::sequence(sequence::linear(&config, &mut weights)?, "Linear"),
        "ConvNet" => BuiltNetwork::sequence(sequence::conv_net(&config, &mut weights, budget)?, "ConvNet"),
        "LSTM" => BuiltNetwork::sequence(sequence::lstm(&config, &mut weights, budget)?, "LSTM"),
        "WaveNet" => {
            let condition = config.find("condition_dsp")?;
            let condition = condition.map(|c| condition_part(&c, sample_rate, depth, budget, &mut ignored)).transpose()?;
            let outputs = condition.as_ref().map_or(1, |c| c.outputs);
            let condition = condition.map(|c| {
                condition_weights = c.weights;
                Box::new(c.model)
            });
            BuiltNetwork::wavenet(wavenet::wavenet(&config, condition, outputs, &mut weights, budget)?)
        }
        _ => return Err(architecture.unexpected("Linear, ConvNet, LSTM, WaveNet, SlimmableContainer or Sequential")),
    };
    weights.finish()?;
    budget.spend_state(at, &built.architecture, sample_rate.unwrap_or(SAMPLE_RATE))?;
    let mut sizes = match &built.architecture {
        Architecture::WaveNet(w) => smaller_sizes(&config, w, budget)?,
        Architecture::Sequence(_) | Architecture::Series(_) => Vec::new(),
    };
    let summary = if sizes.is_empty() { built.summary } else { format!("{}, in {} sizes", built.summary, sizes.len() + 1) };
    let outputs = built.outputs;
    sizes.push(ModelSize { below: 1.0, architecture: Some(built.architecture), loudness_db, input_level_dbu, output_level_dbu });
    Ok(Submodel {
        sizes,
        outputs,
        sample_rate,
        weights: weights.numbers.len() + condition_weights,
        summary,
        largest_metadata: None,
        ignored,
    })
}

/// Checks that the version of the format is known.
fn check_version(at: &Field<'_>) -> Result<(), ModelError> {
    let expected = "0.5.0 to 0.7";
    let numbers: Option<Vec<u32>> = at.text()?.split('.').map(version_number).collect();
    match numbers.as_deref() {
        Some([0, 5..=7, _]) => Ok(()),
        _ => Err(at.unexpected(expected)),
    }
}

/// Reads a part of a version, which has only digits.
fn version_number(digits: &str) -> Option<u32> {
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// Reads a container: models of several sizes, each with its own weights.
fn container<'a>(
    config: &Field<'a>,
    rate: Option<f32>,
    depth: usize,
    budget: &mut Budget,
    mut ignored: Ignored,
) -> Result<Submodel<'a>, ModelError> {
    let mut sizes: Vec<ModelSize> = Vec::new();
    let mut last = None;
    for at in config.get("submodels")?.list(1, MAX_SIZES)? {
        let max = at.get("max_value")?;
        let below = max.within(0.0, 1e6)?;
        if let Some(before) = sizes.last()
            && below <= before.below
        {
            return Err(max.error(below, format!("more than {}, that of the one before", before.below)));
        }
        let model = at.get("model")?;
        let mut submodel = read(&model, depth + 1, budget)?;
        check_rate(&model, submodel.sample_rate, rate)?;
        if submodel.outputs != 1 {
            return Err(model.error(format!("{} outputs", submodel.outputs), 1));
        }
        let Some(largest) = submodel.sizes.pop() else { return Err(model.error("no network", "one")) };
        sizes.push(ModelSize { below, ..largest });
        ignored.0.append(&mut submodel.ignored.0);
        let metadata = model.find("metadata")?.filter(Field::is_object);
        last = Some((submodel, max, metadata));
    }
    let Some((submodel, max, metadata)) = last else { return Err(config.error("no submodels", "one or more")) };
    if sizes.last().is_some_and(|s| s.below < 1.0) {
        return Err(max.unexpected("1 or more for the last"));
    }
    let summary = format!("{}, the largest of {}", submodel.summary, sizes.len());
    let sample_rate = rate.or(submodel.sample_rate);
    Ok(Submodel {
        sizes,
        outputs: 1,
        sample_rate,
        weights: submodel.weights,
        summary,
        largest_metadata: metadata.or(submodel.largest_metadata),
        ignored,
    })
}

/// Reads the models that a Sequential runs one after another. Of a model with several sizes the largest is taken.
fn series<'a>(
    config: &Field<'a>,
    rate: Option<f32>,
    depth: usize,
    budget: &mut Budget,
    mut ignored: Ignored,
) -> Result<Submodel<'a>, ModelError> {
    let (mut parts, mut summaries, mut weights) = (Vec::new(), Vec::new(), 0_usize);
    let mut sample_rate = rate;
    let mut levels = None;
    for at in config.get("models")?.list(1, MAX_PARTS)? {
        let mut part = read(&at, depth + 1, budget)?;
        ignored.0.append(&mut part.ignored.0);
        check_rate(&at, part.sample_rate, sample_rate)?;
        sample_rate = sample_rate.or(part.sample_rate);
        if part.outputs != 1 {
            return Err(at.error(format!("{} outputs", part.outputs), 1));
        }
        let largest = part.sizes.pop().ok_or_else(|| at.error("no network", "one"))?;
        match largest.architecture {
            Some(Architecture::Series(inner)) => parts.extend(inner),
            other => parts.extend(other),
        }
        // The level at the input is the first model's, the level at the output the last one's.
        let input_level_dbu = levels.map_or(largest.input_level_dbu, |(input, _)| input);
        levels = Some((input_level_dbu, largest.output_level_dbu));
        weights = weights.saturating_add(part.weights);
        summaries.push(part.summary);
    }
    let (input_level_dbu, output_level_dbu) = levels.unwrap_or_default();
    let architecture = Some(Architecture::Series(parts));
    Ok(Submodel {
        sizes: vec![ModelSize { input_level_dbu, output_level_dbu, ..ModelSize::new(1.0, architecture) }],
        outputs: 1,
        sample_rate,
        weights,
        summary: summaries.join(", then "),
        largest_metadata: None,
        ignored,
    })
}

/// Checks that a model has the sample rate of the model around it, if both have one.
fn check_rate(at: &Field<'_>, inner: Option<f32>, outer: Option<f32>) -> Result<(), ModelError> {
    match (inner, outer) {
        (Some(inner), Some(outer)) if inner != outer => Err(at
            .find("sample_rate")?
            .as_ref()
            .unwrap_or(at)
            .error(inner, format!("{outer}, that of the model around it or before it"))),
        _ => Ok(()),
    }
}

/// The model that makes a WaveNet's condition.
struct ConditionPart {
    model: ConditionModel,
    /// Channels of the condition.
    outputs: usize,
    /// Count of the weights.
    weights: usize,
}

/// Reads the model that makes a WaveNet's condition, and takes its largest size. The engine does not run a recurrent one; the
/// trainer makes only WaveNets.
fn condition_part(
    at: &Field<'_>,
    rate: Option<f32>,
    depth: usize,
    budget: &mut Budget,
    ignored: &mut Ignored,
) -> Result<ConditionPart, ModelError> {
    let mut submodel = read(at, depth + 1, budget)?;
    ignored.0.append(&mut submodel.ignored.0);
    check_rate(at, submodel.sample_rate, rate)?;
    let architecture = submodel.sizes.pop().and_then(|s| s.architecture);
    if architecture.as_ref().is_some_and(|a| a.receptive_field().is_none()) {
        return Err(at.error("a recurrent condition model", "WaveNet, ConvNet or Linear"));
    }
    let model = match architecture {
        Some(Architecture::Sequence(s)) => ConditionModel::Sequence(s),
        Some(Architecture::WaveNet(w)) => ConditionModel::WaveNet(*w),
        Some(Architecture::Series(_)) => {
            return Err(at.error("a Sequential condition model", "WaveNet, ConvNet or Linear"));
        }
        None => return Err(at.error("no network", "one")),
    };
    Ok(ConditionPart { model, outputs: submodel.outputs, weights: submodel.weights })
}

/// A network as it was read, with its weights.
struct BuiltNetwork {
    architecture: Architecture,
    outputs: usize,
    /// Description for users, in one line.
    summary: String,
}

impl BuiltNetwork {
    fn sequence(layers: Vec<Layer>, kind: &str) -> Self {
        let (outputs, summary) = (layers.last().map_or(1, Layer::outputs), sequence::summary(&layers, kind));
        let sequence = Sequence { layers, input_gain: 1.0, output_gain: 1.0, skip: false };
        Self { architecture: Architecture::Sequence(sequence), outputs, summary }
    }

    fn wavenet((wavenet, outputs): (WaveNet, usize)) -> Self {
        let summary = wavenet::summary(&wavenet);
        Self { architecture: Architecture::WaveNet(Box::new(wavenet)), outputs, summary }
    }
}
