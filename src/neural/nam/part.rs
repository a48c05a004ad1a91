//! A model with its version, architecture and weights: the whole file, or one in a container, or one that makes a condition.

use super::slimmable::{MOST_SIZES, slimmed};
use super::weights::Weights;
use super::{sequence, wavenet};
use crate::neural::budget::{Budget, MOST_DEPTH, RATES};
use crate::neural::description::{Architecture, ConditionModel, Layer, Sequence, WaveNet};
use crate::neural::json::Field;
use crate::neural::{ModelError, Size};

/// The rate of a file that gives none, in hertz.
pub const SAMPLE_RATE: f32 = 48_000.0;

/// A model, perhaps one in another.
pub struct Part<'a> {
    /// Smallest first, at least one.
    pub sizes: Vec<Size>,
    pub outputs: usize,
    /// In hertz, if the file says it.
    pub sample_rate: Option<f32>,
    /// Numbers of the largest, with its condition model's.
    pub weights: usize,
    /// In one line, for a user.
    pub summary: String,
    /// Metadata of the largest in a container.
    pub largest: Option<Field<'a>>,
}

/// Reads a model that is `depth` models deep in others.
pub fn part<'a>(at: &Field<'a>, depth: usize, budget: &mut Budget) -> Result<Part<'a>, ModelError> {
    if depth > MOST_DEPTH {
        return Err(at.error(format!("a model {depth} models deep"), format!("at most {MOST_DEPTH}")));
    }
    check_version(&at.get("version")?)?;
    let sample_rate = at.find("sample_rate")?.map(|f| f.within(RATES.0, RATES.1)).transpose()?;
    let metadata = at.find("metadata")?;
    let loudness = metadata.map(|m| m.find("loudness")).transpose()?.flatten();
    let loudness_db = loudness.map(|f| f.within(-300.0, 300.0)).transpose()?;
    let architecture = at.get("architecture")?;
    let config = at.get("config")?;
    let field = at.get("weights")?;
    let mut weights = Weights { numbers: field.floats(None)?, used: 0, at: field };
    budget.weights(&weights.at, weights.numbers.len() as u64)?;
    let mut inner = 0;
    let built = match architecture.text()? {
        "SlimmableContainer" => {
            weights.finish()?;
            return container(&config, sample_rate, depth, budget);
        }
        "Linear" => Built::sequence(sequence::linear(&config, &mut weights)?, "Linear"),
        "ConvNet" => Built::sequence(sequence::conv_net(&config, &mut weights, budget)?, "ConvNet"),
        "LSTM" => Built::sequence(sequence::lstm(&config, &mut weights, budget)?, "LSTM"),
        "WaveNet" => {
            let condition = config.find("condition_dsp")?.map(|c| condition(&c, sample_rate, depth, budget)).transpose()?;
            let outputs = condition.as_ref().map_or(1, |c| c.outputs);
            let condition = condition.map(|c| {
                inner = c.weights;
                Box::new(c.model)
            });
            Built::wavenet(wavenet::wavenet(&config, condition, outputs, &mut weights, budget)?)
        }
        _ => return Err(architecture.unexpected("Linear, ConvNet, LSTM, WaveNet or SlimmableContainer")),
    };
    weights.finish()?;
    budget.run(at, &built.architecture, sample_rate.unwrap_or(SAMPLE_RATE))?;
    let mut sizes = match &built.architecture {
        Architecture::WaveNet(w) => slimmed(&config, w, budget)?,
        Architecture::Sequence(_) => Vec::new(),
    };
    let summary = if sizes.is_empty() { built.summary } else { format!("{}, in {} sizes", built.summary, sizes.len() + 1) };
    let outputs = built.outputs;
    sizes.push(Size { below: 1.0, architecture: Some(built.architecture), loudness_db });
    Ok(Part { sizes, outputs, sample_rate, weights: weights.numbers.len() + inner, summary, largest: None })
}

fn check_version(at: &Field<'_>) -> Result<(), ModelError> {
    let expected = "0.5.0 to 0.7";
    let numbers: Option<Vec<u32>> = at.text()?.split('.').map(number).collect();
    match numbers.as_deref() {
        Some([0, 5..=7, _]) => Ok(()),
        _ => Err(at.unexpected(expected)),
    }
}

/// Digits and nothing else.
fn number(digits: &str) -> Option<u32> {
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// Models of several sizes, each with its own weights.
fn container<'a>(config: &Field<'a>, rate: Option<f32>, depth: usize, budget: &mut Budget) -> Result<Part<'a>, ModelError> {
    let mut sizes: Vec<Size> = Vec::new();
    let mut last = None;
    for at in config.get("submodels")?.list(1, MOST_SIZES)? {
        let max = at.get("max_value")?;
        let below = max.within(0.0, 1e6)?;
        if let Some(before) = sizes.last()
            && below <= before.below
        {
            return Err(max.error(below, format!("more than {}, that of the one before", before.below)));
        }
        let model = at.get("model")?;
        let mut part = part(&model, depth + 1, budget)?;
        check_rate(&model, part.sample_rate, rate)?;
        if part.outputs != 1 {
            return Err(model.error(format!("{} outputs", part.outputs), 1));
        }
        let Some(largest) = part.sizes.pop() else { return Err(model.error("no network", "one")) };
        sizes.push(Size { below, ..largest });
        let metadata = model.find("metadata")?;
        last = Some((part, max, metadata));
    }
    let Some((part, max, metadata)) = last else { return Err(config.error("no submodels", "one or more")) };
    if sizes.last().is_some_and(|s| s.below < 1.0) {
        return Err(max.unexpected("1 or more for the last"));
    }
    let summary = format!("{}, the largest of {}", part.summary, sizes.len());
    let sample_rate = rate.or(part.sample_rate);
    Ok(Part { sizes, outputs: 1, sample_rate, weights: part.weights, summary, largest: metadata.or(part.largest) })
}

fn check_rate(at: &Field<'_>, inner: Option<f32>, outer: Option<f32>) -> Result<(), ModelError> {
    match (inner, outer) {
        (Some(inner), Some(outer)) if inner != outer => {
            Err(at.get("sample_rate")?.error(inner, format!("{outer}, that of the model around it")))
        }
        _ => Ok(()),
    }
}

struct Condition {
    model: ConditionModel,
    outputs: usize,
    weights: usize,
}

/// A model that makes a WaveNet's condition: in its largest size. The engine runs none that is recurrent; the trainer makes only
/// WaveNets.
fn condition(at: &Field<'_>, rate: Option<f32>, depth: usize, budget: &mut Budget) -> Result<Condition, ModelError> {
    let mut part = part(at, depth + 1, budget)?;
    check_rate(at, part.sample_rate, rate)?;
    let architecture = part.sizes.pop().and_then(|s| s.architecture);
    if architecture.as_ref().is_some_and(|a| a.receptive_field().is_none()) {
        return Err(at.error("a recurrent condition model", "WaveNet, ConvNet or Linear"));
    }
    let model = match architecture {
        Some(Architecture::Sequence(s)) => ConditionModel::Sequence(s),
        Some(Architecture::WaveNet(w)) => ConditionModel::WaveNet(*w),
        None => return Err(at.error("no network", "one")),
    };
    Ok(Condition { model, outputs: part.outputs, weights: part.weights })
}

struct Built {
    architecture: Architecture,
    outputs: usize,
    summary: String,
}

impl Built {
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
