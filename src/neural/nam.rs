//! `.nam` files of Neural Amp Modeler, versions 0.5.0 to 0.7: what NeuralAmpModelerCore 0.5.5 reads, in its order of weights.

use super::budget::{self, Budget, MOST_CHANNELS, MOST_DEPTH, MOST_DILATION, MOST_TAPS, RATES};
use super::description::{
    Activation, Architecture, ConditionModel, Conv1d, Films, Gating, Layer, LayerArray, Lstm, Sequence, WaveNet, WaveNetLayer,
};
use super::json::Field;
use super::model::{Format, Info, Loaded, MOST_LATE_FRAMES, ModelError, Size};

/// The rate of a file that gives none.
const SAMPLE_RATE: f32 = 48_000.0;
/// Arrays of a WaveNet, and convolutions behind it.
const MOST_ARRAYS: usize = 64;
/// Layers of an array, of a ConvNet, of an LSTM.
const MOST_LAYERS: usize = 1024;
/// Networks of a slimmable model.
const MOST_SIZES: usize = 256;

/// Reads a file.
pub fn read(root: &Field<'_>) -> Result<Loaded, ModelError> {
    let part = part(root, 0, &mut Budget::new())?;
    if part.outputs != 1 {
        return Err(root.get("config")?.error(format!("{} outputs", part.outputs), 1));
    }
    let at = root.find("metadata")?;
    // A container may leave what a model is to its largest.
    let number = |key: &str, least: f64, most: f64| -> Result<Option<f32>, ModelError> {
        let field = at.as_ref().map(|m| m.find(key)).transpose()?.flatten();
        field.map(|f| f.within(least, most)).transpose()
    };
    let text = |key: &str| -> Result<Option<String>, ModelError> {
        let own = at.as_ref().map(|m| m.find(key)).transpose()?.flatten();
        let inner = part.largest.as_ref().map(|m| m.find(key)).transpose()?.flatten();
        let words = own.or(inner).map(|f| f.text().map(str::trim)).transpose()?;
        Ok(words.filter(|w| !w.is_empty()).map(str::to_owned))
    };
    let training = at.as_ref().map(|m| m.find("training")).transpose()?.flatten();
    let esr = training.map(|t| t.find("validation_esr")).transpose()?.flatten().map(|f| f.float()).transpose()?;
    let loudness_db = match number("loudness", -300.0, 300.0)? {
        None => part.sizes.last().and_then(|s| s.loudness_db),
        given => given,
    };
    let info = Info {
        format: Format::Nam,
        version: Some(root.get("version")?.text()?.to_owned()),
        name: text("name")?,
        author: text("modeled_by")?,
        gear_make: text("gear_make")?,
        gear_model: text("gear_model")?,
        gear_type: text("gear_type")?,
        tone_type: text("tone_type")?,
        architecture: part.summary,
        parameters: part.weights,
        sample_rate: part.sample_rate.unwrap_or(SAMPLE_RATE),
        sample_rate_given: part.sample_rate.is_some(),
        loudness_db,
        input_level_dbu: number("input_level_dbu", -200.0, 200.0)?,
        output_level_dbu: number("output_level_dbu", -200.0, 200.0)?,
        esr,
        late_frames: number("late_frames", 0.0, MOST_LATE_FRAMES as f64)?.map_or(0, |n| n as usize),
        knobs: Vec::new(),
    };
    Ok(Loaded { info, sizes: part.sizes, golden: None })
}

/// A model, perhaps one in another.
struct Part<'a> {
    /// Smallest first, at least one.
    sizes: Vec<Size>,
    outputs: usize,
    sample_rate: Option<f32>,
    /// Numbers of the largest, with its condition model's.
    weights: usize,
    summary: String,
    /// Metadata of the largest in a container.
    largest: Option<Field<'a>>,
}

fn part<'a>(at: &Field<'a>, depth: usize, budget: &mut Budget) -> Result<Part<'a>, ModelError> {
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
        "Linear" => Built::sequence(linear(&config, &mut weights)?, "Linear"),
        "ConvNet" => Built::sequence(conv_net(&config, &mut weights, budget)?, "ConvNet"),
        "LSTM" => Built::sequence(lstm(&config, &mut weights, budget)?, "LSTM"),
        "WaveNet" => {
            let condition = config.find("condition_dsp")?.map(|c| condition(&c, sample_rate, depth, budget)).transpose()?;
            let outputs = condition.as_ref().map_or(1, |c| c.outputs);
            let condition = condition.map(|c| {
                inner = c.weights;
                Box::new(c.model)
            });
            wavenet(&config, condition, outputs, &mut weights, budget)?
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
        let outputs = layers.last().map_or(1, Layer::outputs);
        let sequence = Sequence { layers, input_gain: 1.0, output_gain: 1.0, skip: false };
        let plural = |n: usize| if n == 1 { "1 layer".into() } else { format!("{n} layers") };
        // The last of several is the head.
        let n = sequence.layers.len().saturating_sub(1);
        let summary = match sequence.layers.first() {
            Some(Layer::Lstm(l)) => format!("{kind}, {} of {}", plural(n), l.hidden),
            Some(Layer::Conv1d(c, _)) if n > 0 => format!("{kind}, {} of {} channels", plural(n), c.outputs),
            Some(Layer::Conv1d(c, _)) => format!("{kind}, {} taps", c.taps),
            _ => kind.into(),
        };
        Self { architecture: Architecture::Sequence(sequence), outputs, summary }
    }
}

/// The list of weights, taken from the front. Goes on counting behind the end, so that an error can say how many there should be.
struct Weights<'a> {
    at: Field<'a>,
    numbers: Vec<f32>,
    used: u64,
}

impl Weights<'_> {
    /// The next `count`, or none if there are not as many.
    fn take(&mut self, count: usize) -> Vec<f32> {
        let from = self.used;
        self.used = self.used.saturating_add(count as u64);
        if self.short() { Vec::new() } else { self.numbers[from as usize..self.used as usize].to_vec() }
    }

    fn one(&mut self) -> f32 {
        self.take(1).first().copied().unwrap_or(0.0)
    }

    /// Whether there were not enough.
    fn short(&self) -> bool {
        self.used > self.numbers.len() as u64
    }

    fn finish(&self) -> Result<(), ModelError> {
        if self.used == self.numbers.len() as u64 {
            return Ok(());
        }
        Err(self.at.error(format!("{} numbers", self.numbers.len()), self.used))
    }

    /// The next convolution of a shape without weights. `at` and `name` are for errors.
    fn conv(&mut self, at: &Field<'_>, name: &str, shape: Conv1d, bias: bool) -> Result<Conv1d, ModelError> {
        let Conv1d { inputs, outputs, taps, dilation, groups, .. } = shape;
        if inputs % groups != 0 || outputs % groups != 0 {
            let expected = format!("a divisor of its {inputs} inputs and {outputs} outputs");
            return Err(at.error(format!("{name} in {groups} groups"), expected));
        }
        budget::check_reach(at, taps, dilation)?;
        // Within limits that each of the factors has, this cannot overflow 64 bits.
        let weights = self.take((outputs * (inputs / groups)).saturating_mul(taps));
        let bias = bias.then(|| self.take(outputs));
        Ok(Conv1d { weights, bias, ..shape })
    }
}

/// Without weights.
fn shape(inputs: usize, outputs: usize, taps: usize, dilation: usize, groups: usize) -> Conv1d {
    Conv1d { inputs, outputs, taps, dilation, groups, weights: Vec::new(), bias: None }
}

fn dense(inputs: usize, outputs: usize, groups: usize) -> Conv1d {
    shape(inputs, outputs, 1, 1, groups)
}

/// A number of channels that must be one here.
fn mono(config: &Field<'_>, key: &str) -> Result<(), ModelError> {
    match config.find(key)? {
        Some(field) if field.whole(0, usize::MAX >> 12)? != 1 => Err(field.unexpected("1: a mono model")),
        _ => Ok(()),
    }
}

fn channels(at: &Field<'_>) -> Result<usize, ModelError> {
    at.whole(1, MOST_CHANNELS)
}

/// A number of channels, 1 if it is not there.
fn channels_or_one(at: &Field<'_>, key: &str) -> Result<usize, ModelError> {
    at.find(key)?.map_or(Ok(1), |f| channels(&f))
}

fn linear(config: &Field<'_>, weights: &mut Weights<'_>) -> Result<Vec<Layer>, ModelError> {
    mono(config, "in_channels")?;
    mono(config, "out_channels")?;
    let taps = config.get("receptive_field")?.whole(1, MOST_TAPS)?;
    let mut conv = weights.conv(config, "Linear", shape(1, 1, taps, 1, 1), config.get("bias")?.bool()?)?;
    // The first belongs to the newest sample.
    conv.weights.reverse();
    Ok(vec![Layer::Conv1d(conv, Activation::Identity)])
}

fn conv_net(config: &Field<'_>, weights: &mut Weights<'_>, budget: &mut Budget) -> Result<Vec<Layer>, ModelError> {
    mono(config, "in_channels")?;
    let channels = channels(&config.get("channels")?)?;
    let outputs = channels_or_one(config, "out_channels")?;
    let groups = channels_or_one(config, "groups")?;
    let batch_norm = config.get("batchnorm")?.bool()?;
    let activation = activation(&config.get("activation")?, channels)?;
    let mut layers = Vec::new();
    let mut inputs = 1;
    for at in config.get("dilations")?.list(1, MOST_LAYERS)? {
        budget.layer(&at)?;
        let dilation = at.whole(1, MOST_DILATION)?;
        let mut conv = weights.conv(&at, "convolution", shape(inputs, channels, 2, dilation, groups), !batch_norm)?;
        if batch_norm {
            fold(weights, &mut conv)?;
        }
        layers.push(Layer::Conv1d(conv, activation.clone()));
        inputs = channels;
    }
    layers.push(Layer::Conv1d(weights.conv(config, "head", dense(channels, outputs, 1), true)?, Activation::Identity));
    Ok(layers)
}

/// Takes a batch normalisation's numbers and folds them into the convolution before it, in f64.
fn fold(weights: &mut Weights<'_>, conv: &mut Conv1d) -> Result<(), ModelError> {
    let first = weights.used;
    let [mean, variance, gamma, beta] = std::array::from_fn(|_| weights.take(conv.outputs));
    let eps = weights.one();
    if weights.short() {
        return Ok(());
    }
    conv.bias = Some(fold_norm(conv, &mean, &variance, &gamma, &beta, f64::from(eps)).map_err(|output| {
        let at = first as usize + conv.outputs + output;
        let found = format!("[{at}], a variance, is {} with {eps} to be added", variance[output]);
        weights.at.error(found, "a positive sum and a finite result")
    })?);
    Ok(())
}

/// Scales a convolution's weights as a batch normalisation behind it would, and returns its new bias.
///
/// # Errors
/// The first output that does not come out finite.
pub fn fold_norm(
    conv: &mut Conv1d,
    mean: &[f32],
    variance: &[f32],
    gamma: &[f32],
    beta: &[f32],
    eps: f64,
) -> Result<Vec<f32>, usize> {
    let each = conv.weights.len() / conv.outputs;
    let mut bias = vec![0.0; conv.outputs];
    for (output, (row, bias)) in conv.weights.chunks_exact_mut(each).zip(&mut bias).enumerate() {
        let scale = f64::from(gamma[output]) / (f64::from(variance[output]) + eps).sqrt();
        for weight in &mut *row {
            *weight = (scale * f64::from(*weight)) as f32;
        }
        let before = conv.bias.as_ref().map_or(0.0, |b| f64::from(b[output]));
        *bias = (f64::from(beta[output]) + scale * (before - f64::from(mean[output]))) as f32;
        if !(bias.is_finite() && row.iter().all(|w| w.is_finite())) {
            return Err(output);
        }
    }
    Ok(bias)
}

fn lstm(config: &Field<'_>, weights: &mut Weights<'_>, budget: &mut Budget) -> Result<Vec<Layer>, ModelError> {
    mono(config, "in_channels")?;
    mono(config, "input_size")?;
    let outputs = channels_or_one(config, "out_channels")?;
    let hidden = channels(&config.get("hidden_size")?)?;
    let mut layers = Vec::new();
    let mut inputs = config.get("input_size")?.whole(1, 1)?;
    for _ in 0..config.get("num_layers")?.whole(1, MOST_LAYERS)? {
        budget.layer(config)?;
        let both = weights.take(4 * hidden * (inputs + hidden));
        let rows = || both.chunks_exact(inputs + hidden);
        layers.push(Layer::Lstm(Lstm {
            inputs,
            hidden,
            input_weights: rows().flat_map(|row| &row[..inputs]).copied().collect(),
            hidden_weights: rows().flat_map(|row| &row[inputs..]).copied().collect(),
            bias: weights.take(4 * hidden),
            h0: weights.take(hidden),
            c0: weights.take(hidden),
        }));
        inputs = hidden;
    }
    layers.push(Layer::Conv1d(weights.conv(config, "head", dense(hidden, outputs, 1), true)?, Activation::Identity));
    Ok(layers)
}

/// For `channels` channels: as many slopes, or one.
fn activation(at: &Field<'_>, channels: usize) -> Result<Activation, ModelError> {
    let (name, options) = if at.is_text() { (at.clone(), None) } else { (at.get("type")?, Some(at)) };
    let option = |key: &str, default: f32| match options.map(|o| o.find(key)).transpose()?.flatten() {
        Some(field) => field.float(),
        None => Ok(default),
    };
    Ok(match name.text()? {
        // Core's `Fasttanh` is a tanh with an error of 9e-4.
        "Tanh" | "Fasttanh" => Activation::Tanh,
        "Hardtanh" => Activation::HardTanh,
        "ReLU" => Activation::Relu,
        "LeakyReLU" => Activation::LeakyRelu(vec![option("negative_slope", 0.01)?]),
        "PReLU" => {
            let slopes = options.map(|o| o.find("negative_slopes")).transpose()?.flatten();
            match slopes {
                Some(slopes) if !at.has("negative_slope") => {
                    let list = slopes.floats(None)?;
                    if list.len() != channels && list.len() != 1 {
                        return Err(slopes.error(format!("{} slopes", list.len()), format!("1 or {channels}, one a channel")));
                    }
                    Activation::LeakyRelu(list)
                }
                _ => Activation::LeakyRelu(vec![option("negative_slope", 0.01)?]),
            }
        }
        "Sigmoid" => Activation::Sigmoid,
        "SiLU" => Activation::Silu,
        "Hardswish" => Activation::HardSwish,
        "LeakyHardtanh" | "LeakyHardTanh" => Activation::LeakyHardTanh {
            min: option("min_val", -1.0)?,
            max: option("max_val", 1.0)?,
            min_slope: option("min_slope", 0.01)?,
            max_slope: option("max_slope", 0.01)?,
        },
        "Softsign" => Activation::Softsign,
        _ => {
            return Err(name.unexpected(
                "Tanh, Hardtanh, Fasttanh, ReLU, LeakyReLU, PReLU, Sigmoid, SiLU, Hardswish, LeakyHardtanh or Softsign",
            ));
        }
    })
}

/// A value for each of `layers` layers: a list of as many, or one for all.
fn for_each_layer<'a>(at: &Field<'a>, layers: usize) -> Result<Vec<Field<'a>>, ModelError> {
    if at.is_list() { at.list(layers, layers) } else { Ok(vec![at.clone(); layers]) }
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    None,
    Gated,
    Blended,
}

fn modes(at: &Field<'_>, layers: usize) -> Result<Vec<Mode>, ModelError> {
    if let Some(field) = at.find("gating_mode")? {
        let mode = |f: Field<'_>| match f.text()? {
            "none" => Ok(Mode::None),
            "gated" => Ok(Mode::Gated),
            "blended" => Ok(Mode::Blended),
            _ => Err(f.unexpected("none, gated or blended")),
        };
        return for_each_layer(&field, layers)?.into_iter().map(mode).collect();
    }
    let gated = at.find("gated")?.map(|f| f.bool()).transpose()?.unwrap_or(false);
    Ok(vec![if gated { Mode::Gated } else { Mode::None }; layers])
}

/// Outputs and groups of an active 1x1.
fn one_by_one<'a>(at: &Field<'a>, key: &str, otherwise: bool) -> Result<Option<(Option<Field<'a>>, usize)>, ModelError> {
    let Some(field) = at.find(key)? else { return Ok(otherwise.then_some((None, 1))) };
    if !field.get("active")?.bool()? {
        return Ok(None);
    }
    let groups = channels_or_one(&field, "groups")?;
    Ok(Some((Some(field), groups)))
}

/// What a FiLM block says of itself.
#[derive(Clone, Copy)]
struct Film {
    name: &'static str,
    active: bool,
    shift: bool,
    groups: usize,
}

impl Film {
    fn read(at: &Field<'_>, name: &'static str) -> Result<Self, ModelError> {
        let none = Self { name, active: false, shift: true, groups: 1 };
        let Some(field) = at.find(name)? else { return Ok(none) };
        if matches!(field.bool(), Ok(false)) {
            return Ok(none);
        }
        let flag = |key: &str| field.find(key)?.map_or(Ok(true), |f| f.bool());
        Ok(Self { active: flag("active")?, shift: flag("shift")?, groups: channels_or_one(&field, "groups")?, ..none })
    }

    /// The next weights, if it is active, for `size` channels.
    fn take(
        self,
        at: &Field<'_>,
        weights: &mut Weights<'_>,
        condition: usize,
        size: usize,
    ) -> Result<Option<Conv1d>, ModelError> {
        let outputs = if self.shift { 2 * size } else { size };
        self.active.then(|| weights.conv(at, self.name, dense(condition, outputs, self.groups), true)).transpose()
    }
}

/// The array before.
struct Before {
    channels: usize,
    head: usize,
}

fn wavenet(
    config: &Field<'_>,
    condition: Option<Box<ConditionModel>>,
    condition_size: usize,
    weights: &mut Weights<'_>,
    budget: &mut Budget,
) -> Result<Built, ModelError> {
    mono(config, "in_channels")?;
    let mut arrays = Vec::new();
    let mut before = None;
    for at in config.get("layers")?.list(1, MOST_ARRAYS)? {
        let array = layer_array(&at, before.as_ref(), condition_size, weights, budget)?;
        before = Some(Before { channels: array.rechannel.outputs, head: array.head.outputs });
        arrays.push(array);
    }
    let mut outputs = before.map_or(1, |b| b.head);
    let mut post = Vec::new();
    if let Some(head) = config.find("head")? {
        if let Some(field) = head.find("in_channels")?
            && channels(&field)? != outputs
        {
            return Err(field.unexpected(format!("{outputs}, the outputs of the last array's head")));
        }
        let (middle, last) = (channels(&head.get("channels")?)?, channels(&head.get("out_channels")?)?);
        let taps = head.get("kernel_sizes")?.list(1, MOST_ARRAYS)?;
        for (i, at) in taps.iter().enumerate() {
            budget.layer(at)?;
            let activation = activation(&head.get("activation")?, outputs)?;
            let to = if i + 1 == taps.len() { last } else { middle };
            let conv = weights.conv(at, "head", shape(outputs, to, at.whole(1, MOST_TAPS)?, 1, 1), true)?;
            post.push((activation, conv));
            outputs = to;
        }
    }
    let sizes: Vec<String> = arrays.iter().map(|a| a.rechannel.outputs.to_string()).collect();
    let summary = match sizes.as_slice() {
        [one] => format!("WaveNet, 1 array of {one} channels"),
        [first @ .., last] => format!("WaveNet, {} arrays of {} and {last} channels", sizes.len(), first.join(", ")),
        [] => "WaveNet".into(),
    };
    let summary = if condition.is_some() { summary + ", with a condition model" } else { summary };
    let wavenet = WaveNet { condition, arrays, post, head_scale: weights.one() };
    Ok(Built { architecture: Architecture::WaveNet(Box::new(wavenet)), outputs, summary })
}

fn layer_array(
    at: &Field<'_>,
    before: Option<&Before>,
    condition: usize,
    weights: &mut Weights<'_>,
    budget: &mut Budget,
) -> Result<LayerArray, ModelError> {
    let is = |key: &str, expected: usize, what: &str| -> Result<(), ModelError> {
        let field = at.get(key)?;
        if channels(&field)? == expected { Ok(()) } else { Err(field.unexpected(format!("{expected}, {what}"))) }
    };
    let inputs = before.map_or(1, |b| b.channels);
    is("input_size", inputs, if before.is_some() { "the channels of the array before" } else { "the audio" })?;
    is("condition_size", condition, "the channels of the condition")?;
    let channels_at = at.get("channels")?;
    let width = channels(&channels_at)?;
    let bottleneck = at.find("bottleneck")?.map_or(Ok(width), |f| channels(&f))?;

    let dilations = at.get("dilations")?.list(1, MOST_LAYERS)?;
    let layers = dilations.len();
    let taps = match (at.find("kernel_size")?, at.find("kernel_sizes")?) {
        (Some(one), None) => vec![one; layers],
        (None, Some(many)) => many.list(layers, layers)?,
        (Some(_), Some(_)) => return Err(at.error("kernel_size and kernel_sizes", "one of them")),
        (None, None) => return Err(at.error("no kernel_size", "kernel_size or kernel_sizes")),
    };
    let activations = for_each_layer(&at.get("activation")?, layers)?;
    let modes = modes(at, layers)?;
    let secondary = match at.find("secondary_activation")? {
        Some(field) if modes.iter().any(|m| *m != Mode::None) => Some(for_each_layer(&field, layers)?),
        _ => None,
    };
    let groups = channels_or_one(at, "groups_input")?;
    let mixin_groups = channels_or_one(at, "groups_input_mixin")?;
    let layer1x1 = one_by_one(at, "layer1x1", true)?;
    let head1x1 = match one_by_one(at, "head1x1", false)? {
        Some((Some(field), groups)) => Some((channels(&field.get("out_channels")?)?, groups)),
        _ => None,
    };
    if layer1x1.is_none() && bottleneck != width {
        return Err(at.get("bottleneck")?.unexpected(format!("{width}, the channels, as there is no layer1x1")));
    }
    let accumulated = head1x1.map_or(bottleneck, |(outputs, _)| outputs);
    if let Some(before) = before
        && before.head != accumulated
    {
        let expected = format!("{}, as many as the head of the array before has", before.head);
        return Err(at.error(format!("a head that accumulates {accumulated} channels"), expected));
    }
    let film = |name| Film::read(at, name);
    let (conv_pre, conv_post) = (film("conv_pre_film")?, film("conv_post_film")?);
    let (mixin_pre, mixin_post) = (film("input_mixin_pre_film")?, film("input_mixin_post_film")?);
    let (activation_pre, activation_post) = (film("activation_pre_film")?, film("activation_post_film")?);
    let (layer1x1_post, head1x1_post) = (film("layer1x1_post_film")?, film("head1x1_post_film")?);
    for (film, there, of) in [(layer1x1_post, layer1x1.is_some(), "layer1x1"), (head1x1_post, head1x1.is_some(), "head1x1")] {
        if film.active && !there {
            return Err(at.get(film.name)?.error("active", format!("inactive, as {of} is")));
        }
    }
    let head = match (at.find("head")?, at.find("head_size")?) {
        (Some(head), _) => {
            let taps = head.get("kernel_size")?.whole(1, MOST_TAPS)?;
            let dilation = head.find("head_dilation")?.map_or(Ok(1), |f| f.whole(1, MOST_DILATION))?;
            (shape(accumulated, channels(&head.get("out_channels")?)?, taps, dilation, 1), head.get("bias")?.bool()?)
        }
        (None, Some(size)) => (dense(accumulated, channels(&size)?, 1), at.get("head_bias")?.bool()?),
        (None, None) => return Err(at.error("no head", "head, or head_size and head_bias")),
    };

    let rechannel = weights.conv(at, "rechannel", dense(inputs, width, 1), false)?;
    let mut made = Vec::new();
    for layer in 0..layers {
        budget.layer(&dilations[layer])?;
        let mode = modes[layer];
        let gate = match mode {
            Mode::None => Activation::Identity,
            Mode::Gated | Mode::Blended => {
                secondary.as_ref().map_or(Ok(Activation::Sigmoid), |s| activation(&s[layer], bottleneck))?
            }
        };
        let z = if mode == Mode::None { bottleneck } else { 2 * bottleneck };
        let dilation = dilations[layer].whole(1, MOST_DILATION)?;
        let conv = shape(width, z, taps[layer].whole(1, MOST_TAPS)?, dilation, groups);
        made.push(WaveNetLayer {
            activation: activation(&activations[layer], bottleneck)?,
            gating: match mode {
                Mode::None => Gating::None,
                Mode::Gated => Gating::Gated(gate),
                Mode::Blended => Gating::Blended(gate),
            },
            // From here on in the order of the weights.
            conv: weights.conv(at, "the convolution", conv, true)?,
            mixin: weights.conv(at, "the input mixin", dense(condition, z, mixin_groups), false)?,
            layer1x1: match &layer1x1 {
                Some((_, groups)) => Some(weights.conv(at, "layer1x1", dense(bottleneck, width, *groups), true)?),
                None => None,
            },
            head1x1: match head1x1 {
                Some((outputs, groups)) => Some(weights.conv(at, "head1x1", dense(bottleneck, outputs, groups), true)?),
                None => None,
            },
            film: Films {
                conv_pre: conv_pre.take(at, weights, condition, width)?,
                conv_post: conv_post.take(at, weights, condition, z)?,
                mixin_pre: mixin_pre.take(at, weights, condition, condition)?,
                mixin_post: mixin_post.take(at, weights, condition, z)?,
                activation_pre: activation_pre.take(at, weights, condition, z)?,
                activation_post: activation_post.take(at, weights, condition, bottleneck)?,
                layer1x1_post: layer1x1_post.take(at, weights, condition, width)?,
                head1x1_post: head1x1_post.take(at, weights, condition, accumulated)?,
            },
        });
    }
    let head = weights.conv(at, "the head", head.0, head.1)?;
    Ok(LayerArray { rechannel, layers: made, head })
}

/// The smaller networks in a slimmable WaveNet, smallest first, without the full one; none if it is not slimmable.
fn slimmed(config: &Field<'_>, full: &WaveNet, budget: &mut Budget) -> Result<Vec<Size>, ModelError> {
    let mut allowed: Vec<Vec<usize>> = Vec::new();
    for (at, array) in config.get("layers")?.list(1, MOST_ARRAYS)?.iter().zip(&full.arrays) {
        let channels = array.rechannel.outputs;
        let Some(slimmable) = at.find("slimmable")? else {
            allowed.push(vec![channels]);
            continue;
        };
        let method = slimmable.get("method")?;
        if method.text()? != "slice_channels_uniform" {
            return Err(method.unexpected("slice_channels_uniform"));
        }
        if budget::convs(array).any(|c| c.groups != 1) {
            return Err(slimmable.error("an array with groups", "none, as its channels are sliced"));
        }
        if !full.post.is_empty() {
            return Err(config.get("head")?.error("a head behind a slimmable array", "none"));
        }
        let list = slimmable.find("kwargs")?.map(|k| k.find("allowed_channels")).transpose()?.flatten();
        let Some(list) = list else {
            allowed.push((1..=channels).collect());
            continue;
        };
        let fields = list.list(1, MOST_SIZES)?;
        let counts = fields.iter().map(|f| f.whole(1, channels)).collect::<Result<Vec<_>, _>>()?;
        if let Some(i) = counts.windows(2).position(|w| w[0] >= w[1]) {
            return Err(fields[i + 1].unexpected(format!("more than {}", counts[i])));
        }
        if counts.last() != Some(&channels) {
            return Err(fields[fields.len() - 1].unexpected(format!("{channels}, all channels, for the last")));
        }
        allowed.push(counts);
    }
    // Where a size ends and the next begins: i / n for each list of n.
    let mut ends: Vec<f64> = allowed.iter().flat_map(|a| (1..a.len()).map(|i| i as f64 / a.len() as f64)).collect();
    ends.sort_by(f64::total_cmp);
    ends.dedup();
    if ends.len() >= MOST_SIZES {
        return Err(config.error(format!("{} sizes", ends.len() + 1), format!("at most {MOST_SIZES}")));
    }
    let mut sizes = Vec::new();
    let mut start = 0.0;
    for end in ends {
        let middle = (start + end) / 2.0;
        let channels: Vec<usize> = allowed.iter().map(|a| a[((middle * a.len() as f64) as usize).min(a.len() - 1)]).collect();
        let small = slice(full, &channels);
        let architecture = Architecture::WaveNet(Box::new(small));
        budget.weights(config, budget::weights(&architecture))?;
        sizes.push(Size { below: end as f32, architecture: Some(architecture), loudness_db: None });
        start = end;
    }
    Ok(sizes)
}

/// The first channels of everything, as many for each array as `channels` says.
fn slice(full: &WaveNet, channels: &[usize]) -> WaveNet {
    let last = channels.len() - 1;
    let layers: Vec<Vec<_>> = full
        .arrays
        .iter()
        .zip(channels)
        .map(|(array, n)| array.layers.iter().map(|l| slice_layer(l, array.rechannel.outputs, *n)).collect())
        .collect();
    // What the layers of an array add up for its head; the head of the array before begins that sum.
    let accumulated = |i: usize| {
        layers[i].first().map_or(channels[i], |l| match &l.head1x1 {
            Some(conv) => conv.outputs,
            None => bottleneck(l),
        })
    };
    let arrays = full.arrays.iter().enumerate().map(|(i, array)| {
        let inputs = if i == 0 { array.rechannel.inputs } else { channels[i - 1] };
        let head = if i == last { array.head.outputs } else { accumulated(i + 1) };
        LayerArray {
            rechannel: first(&array.rechannel, inputs, channels[i]),
            head: first(&array.head, accumulated(i), head),
            layers: layers[i].clone(),
        }
    });
    WaveNet { condition: full.condition.clone(), arrays: arrays.collect(), post: Vec::new(), head_scale: full.head_scale }
}

fn bottleneck(layer: &WaveNetLayer) -> usize {
    if layer.gating == Gating::None { layer.conv.outputs } else { layer.conv.outputs / 2 }
}

fn slice_layer(l: &WaveNetLayer, full: usize, channels: usize) -> WaveNetLayer {
    let wide = bottleneck(l);
    let narrow = if l.layer1x1.is_some() { (wide * channels / full).max(1) } else { channels };
    // Of a gated layer too the first outputs are taken, as the trainer and Core do.
    let (z, full_z) = (l.conv.outputs / wide * narrow, l.conv.outputs);
    let film = |c: &Option<Conv1d>, from: usize, to: usize| c.as_ref().map(|c| first(c, c.inputs, c.outputs / from * to));
    let slopes = |a: &Activation| match a {
        Activation::LeakyRelu(slopes) if slopes.len() > narrow => Activation::LeakyRelu(slopes[..narrow].to_vec()),
        other => other.clone(),
    };
    WaveNetLayer {
        conv: first(&l.conv, channels, z),
        mixin: first(&l.mixin, l.mixin.inputs, z),
        activation: slopes(&l.activation),
        gating: match &l.gating {
            Gating::None => Gating::None,
            Gating::Gated(a) => Gating::Gated(slopes(a)),
            Gating::Blended(a) => Gating::Blended(slopes(a)),
        },
        layer1x1: l.layer1x1.as_ref().map(|c| first(c, narrow, channels)),
        head1x1: l.head1x1.as_ref().map(|c| first(c, narrow, c.outputs)),
        film: Films {
            conv_pre: film(&l.film.conv_pre, full, channels),
            conv_post: film(&l.film.conv_post, full_z, z),
            mixin_pre: l.film.mixin_pre.clone(),
            mixin_post: film(&l.film.mixin_post, full_z, z),
            activation_pre: film(&l.film.activation_pre, full_z, z),
            activation_post: film(&l.film.activation_post, wide, narrow),
            layer1x1_post: film(&l.film.layer1x1_post, full, channels),
            head1x1_post: l.film.head1x1_post.clone(),
        },
    }
}

/// The first inputs and outputs of an ungrouped convolution.
fn first(conv: &Conv1d, inputs: usize, outputs: usize) -> Conv1d {
    let rows = conv.weights.chunks_exact(conv.inputs * conv.taps).take(outputs);
    Conv1d {
        inputs,
        outputs,
        weights: rows.flat_map(|row| &row[..inputs * conv.taps]).copied().collect(),
        bias: conv.bias.as_ref().map(|b| b[..outputs].to_vec()),
        taps: conv.taps,
        dilation: conv.dilation,
        groups: 1,
    }
}
