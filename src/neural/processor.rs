//! [`NeuralProcessor`]: the algorithm that plays a neural model.
//!
//! Without a model only the input gain, the mix and the output gain act. With a model the sound goes through the input gain,
//! the filter or resampler to the network's rate (the model's, times the oversampling), the network, the filter or resampler back
//! to the host's rate, the aligner and the DC blocker if they are on, and the gain of the output mode. Output of the network that is NaN or infinite becomes silence, and the network is
//! reset.
//!
//! Before the first frame everything is settled, as if silence had come in for ever: the network at the values of the knobs at
//! that time, and everything after it at the network's output for silence.

use std::sync::Arc;

use multiversion::multiversion;

use super::activation::Precision;
use super::alignment::Aligner;
use super::chain::{GuardedNetwork, ModelChain, RateChange};
use super::description::Architecture;
use super::engine::{KNOB_MIDDLE, KNOBS, StateSpec};
use super::interleave::Interleaver;
use super::model::{Model, ModelSize};
use super::resampler_pair::ResamplerPair;
use crate::dsp::dry_wet::DryWet;
use crate::dsp::filter::DcBlocker;
use crate::dsp::oversample::{Factors, Oversampler};
use crate::dsp::{
    Algorithm, Block, CHUNK, ChangeMode, Chunk, Delay, MAX_CHANNELS, Parameter, ParameterIndex, PrepareError, ProcessSpec,
    Processor, Ramp, Settings, Unit, db_to_gain,
};

/// The row in the registry of algorithms.
pub static ALGORITHM: Algorithm = Algorithm {
    id: "neural",
    name: "Neural model",
    description: "Plays a neural model of an amplifier or another device; without one, the sound passes",
    parameters: &PARAMETERS,
    plays_model: true,
    prepare: |spec, settings| Ok(Box::new(NeuralProcessor::new(spec, settings, None)?)),
};

// The indices of the parameters in `PARAMETERS`.
const INPUT: ParameterIndex = Parameter::index_of(&PARAMETERS, "input");
const OUTPUT: ParameterIndex = Parameter::index_of(&PARAMETERS, "output");
const MIX: ParameterIndex = Parameter::index_of(&PARAMETERS, "mix");
const OUTPUT_MODE: ParameterIndex = Parameter::index_of(&PARAMETERS, "output_mode");
/// Index of the parameter *Calibrate input*.
pub const CALIBRATE_INPUT: ParameterIndex = Parameter::index_of(&PARAMETERS, "calibrate_input");
/// Index of the parameter *Interface level*.
pub const INTERFACE_LEVEL: ParameterIndex = Parameter::index_of(&PARAMETERS, "interface_level");
/// Index of the parameter that chooses one of the sizes of a model.
pub const SIZE: ParameterIndex = Parameter::index_of(&PARAMETERS, "size");
const PRECISION: ParameterIndex = Parameter::index_of(&PARAMETERS, "precision");
const ALIGN: ParameterIndex = Parameter::index_of(&PARAMETERS, "align");
const KNOB_1: ParameterIndex = Parameter::index_of(&PARAMETERS, "knob_1");
const DC_BLOCKER: ParameterIndex = Parameter::index_of(&PARAMETERS, "dc_blocker");
/// Index of the parameter *Oversampling*.
pub const OVERSAMPLING: ParameterIndex = Parameter::index_of(&PARAMETERS, "oversampling");
/// Index of the parameter *Render oversampling*.
pub const RENDER_OVERSAMPLING: ParameterIndex = Parameter::index_of(&PARAMETERS, "render_oversampling");

/// The indices of the parameters that are knobs of a model, in the order of its knobs. [any thread]
pub fn knob_parameters() -> impl Iterator<Item = ParameterIndex> {
    KNOB_1..KNOB_1 + KNOBS
}

/// Cutoff of the DC blocker, in Hz: more than two octaves below the lowest note of a bass (B0, 31 Hz).
const DC_BLOCKER_HZ: f64 = 5.0;

/// The parameter for one of the four knobs: inputs of a model after the audio.
const fn knob(id: &'static str, name: &'static str) -> Parameter {
    let doc = "A control that the model was trained with; nothing where it has none";
    Parameter::number(id, name, (0.0, 1.0), KNOB_MIDDLE, Unit::None, doc)
}

static PARAMETERS: [Parameter; 16] = [
    Parameter::number("input", "Input", (-24.0, 24.0), 0.0, Unit::Decibel, "Gain into the model: more drive"),
    Parameter::output(),
    Parameter::mix("Dry at 0, the model at 100"),
    Parameter::choice(
        "output_mode",
        "Output mode",
        &["Raw", "Normalised", "Calibrated"],
        1,
        "Level of the model: its own, -18 dB loudness for all, or that of the device; its own if it does not say",
    )
    .ramped(),
    Parameter::toggle(
        "calibrate_input",
        "Calibrate input",
        false,
        "Drives the model as the device was driven, where it says its level",
    ),
    Parameter::number(
        "interface_level",
        "Interface level",
        (-10.0, 30.0),
        12.0,
        Unit::Dbu,
        "Level of the audio interface's full scale, for both calibrations",
    ),
    Parameter::number(
        "size",
        "Size",
        (0.0, 1.0),
        1.0,
        Unit::None,
        "Which of a slimmable model's networks: closer to the device, more work",
    )
    .structural(),
    Parameter::choice(
        "precision",
        "Precision",
        &["Fast", "Exact"],
        0,
        "Exact computes tanh and its like by the standard library: for comparisons, many times slower",
    ),
    Parameter::toggle(
        "align",
        "Align",
        false,
        "Undoes the model's measured delay and polarity: in phase with what it is compared with",
    )
    .structural(),
    knob("knob_1", "Knob 1"),
    knob("knob_2", "Knob 2"),
    knob("knob_3", "Knob 3"),
    knob("knob_4", "Knob 4"),
    Parameter::toggle(
        "dc_blocker",
        "DC blocker",
        false,
        "High-pass (5 Hz behind a model, 10 Hz in the saturator) against a constant offset",
    ),
    Parameter::choice(
        "oversampling",
        "Oversampling",
        &["1x", "2x", "4x"],
        0,
        "Runs the model at a multiple of its rate: less aliasing, more latency and work",
    ),
    Parameter::render_oversampling(&["As set", "1x", "2x", "4x"]),
];

/// The rule for the gain after a model; the values of the parameter `output_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputMode {
    /// No gain.
    Raw,
    /// The gain from the loudness in the file to -18 dB, the same loudness for all models.
    Normalised,
    /// The gain that gives the modelled device's output level at the audio interface.
    Calibrated,
}

/// Loudness of normalised models, in dB, as in NeuralAmpModelerCore.
const NORMALISED_LOUDNESS_DB: f32 = -18.0;

/// Largest change of a gain by a level in a file, in dB, up or down.
const MAX_CALIBRATION_DB: f32 = 60.0;

/// The output modes for which the file of a model has the levels. In any other mode the size with this index plays raw.
/// [any thread]
///
/// # Panics
/// If there is no such size.
pub fn output_modes(model: &Model, size: usize) -> impl Iterator<Item = OutputMode> {
    let levels = ModelLevels::new(model, &model.sizes()[size]);
    [
        (OutputMode::Raw, true),
        (OutputMode::Normalised, levels.loudness_db.is_some()),
        (OutputMode::Calibrated, levels.output_dbu.is_some()),
    ]
    .into_iter()
    .filter_map(|(mode, available)| available.then_some(mode))
}

/// The levels in the file of a model, and the gains that follow from them, as in NeuralAmpModelerPlugin.
#[derive(Clone, Copy, Default)]
struct ModelLevels {
    loudness_db: Option<f32>,
    input_dbu: Option<f32>,
    output_dbu: Option<f32>,
}

impl ModelLevels {
    fn new(model: &Model, size: &ModelSize) -> Self {
        let info = model.info();
        Self {
            loudness_db: size.loudness_db.or(info.loudness_db),
            input_dbu: size.input_level_dbu.or(info.input_level_dbu),
            output_dbu: size.output_level_dbu.or(info.output_level_dbu),
        }
    }

    /// Gain before the model, in dB.
    fn input_db(&self, settings: &Settings) -> f32 {
        let calibration = match self.input_dbu {
            Some(level) if settings.get(CALIBRATE_INPUT) >= 0.5 => settings.get(INTERFACE_LEVEL) - level,
            _ => 0.0,
        };
        settings.get(INPUT) + limited_db(calibration)
    }

    /// Gain after the model, in dB, without the parameter `output`.
    fn output_db(&self, settings: &Settings) -> f32 {
        let db = match settings.get(OUTPUT_MODE) as usize {
            1 => self.loudness_db.map(|loudness| NORMALISED_LOUDNESS_DB - loudness),
            2 => self.output_dbu.map(|level| level - settings.get(INTERFACE_LEVEL)),
            _ => None,
        };
        limited_db(db.unwrap_or(0.0))
    }
}

/// Limits a gain to [`MAX_CALIBRATION_DB`]; NaN becomes 0 dB.
fn limited_db(db: f32) -> f32 {
    if db.is_nan() { 0.0 } else { db.clamp(-MAX_CALIBRATION_DB, MAX_CALIBRATION_DB) }
}

/// The processor of [`ALGORITHM`].
pub struct NeuralProcessor {
    /// Parameter values as they were set. The targets of the ramps follow from them.
    settings: Settings,
    /// True until the first frame after `reset`: values take effect without a glide.
    at_start: bool,
    levels: ModelLevels,
    /// Gain before the model. A ramp in dB has no audible step at its quiet end.
    input_db: Ramp,
    /// The target of `input_db` as a factor.
    input_gain: f32,
    /// Factor after the model; negative if an inverted polarity is undone.
    model_gain: Ramp,
    /// -1 if an inverted polarity is undone, otherwise 1.
    polarity: f32,
    /// The model's part of the wet path; `None` without a model.
    chain: Option<ModelChain>,
    dry_wet: DryWet,
    /// The wet sound of each channel in the part of a block that is being processed.
    wet: Vec<Chunk>,
    /// The values of a gliding gain in that part.
    gains: Chunk,
    /// Frames by which the output lags the input.
    latency: usize,
}

impl NeuralProcessor {
    /// Makes a processor with these settings, which must be of [`ALGORITHM`], and perhaps a model. [control thread: allocates]
    ///
    /// # Errors
    /// If `spec` is out of range, or the model cannot run at its sample rate or on this machine.
    pub fn new(spec: ProcessSpec, settings: &Settings, model: Option<Arc<Model>>) -> Result<Self, PrepareError> {
        spec.check()?;
        let (rate, channels) = (spec.sample_rate, spec.channels);
        let mut new = Self {
            settings: *settings,
            at_start: true,
            levels: ModelLevels::default(),
            input_db: Ramp::new(0.0, rate),
            input_gain: 1.0,
            model_gain: Ramp::new(1.0, rate),
            polarity: 1.0,
            chain: None,
            dry_wet: DryWet::new(rate, channels, 0, 100.0, 0.0),
            wet: vec![[0.0; CHUNK]; channels],
            gains: [0.0; CHUNK],
            latency: 0,
        };
        if let Some(model) = model {
            new.load(spec, model)?;
            new.dry_wet = DryWet::new(rate, channels, new.latency, 100.0, 0.0);
        }
        for (index, parameter) in ALGORITHM.parameters.iter().enumerate() {
            if parameter.change == ChangeMode::Ramped {
                new.set(index, settings.get(index));
            }
        }
        new.reset();
        Ok(new)
    }

    /// Makes the chain for a model, and sets levels, polarity and latency.
    fn load(&mut self, spec: ProcessSpec, model: Arc<Model>) -> Result<(), PrepareError> {
        check_oversampling(&self.settings, &model, spec.channels)?;
        let size = model.size_index(self.settings.get(SIZE));
        let (host_rate, model_rate, channels) = (spec.sample_rate, model.info().sample_rate, spec.channels);
        self.levels = ModelLevels::new(&model, &model.sizes()[size]);
        let precision = if self.settings.get(PRECISION) >= 1.0 { Precision::Exact } else { Precision::Fast };
        let factors = if is_linear(&model, size) {
            Factors::new(0.0, 0.0, &spec)
        } else {
            Factors::new(self.settings.get(OVERSAMPLING), self.settings.get(RENDER_OVERSAMPLING), &spec)
        };
        let factor = factors.running();
        // An internal block of the resamplers may end in any block of the host.
        let ratio = f64::from(model_rate) / f64::from(host_rate);
        let max_frames = if ratio == 1.0 { spec.max_frames } else { ((spec.max_frames + CHUNK) as f64 * ratio).ceil() as usize };
        let knobs = std::array::from_fn(|k| self.settings.get(KNOB_1 + k));
        let state_spec = StateSpec { precision, max_frames, knobs, ..StateSpec::new(channels * factor) };
        let mut state = model.network(size).clone().state(state_spec).map_err(|error| PrepareError::Other(error.to_string()))?;
        state.set_offline(spec.offline);
        let knobs = model.knob_count(size);
        if knobs > KNOBS {
            return Err(PrepareError::Other(format!("the model has {knobs} controls; expected at most {KNOBS}")));
        }
        let late_frames = state.latency() + model.info().late_frames;
        let network_path = NetworkPath::new(spec, model_rate, factor, late_frames)?;
        self.latency = network_path.latency;
        let mut padding = Vec::new();
        if factors.other() != factor {
            let other_latency = NetworkPath::new(spec, model_rate, factors.other(), late_frames)?.latency;
            if other_latency > self.latency {
                padding = vec![Delay::new(other_latency - self.latency); channels];
                self.latency = other_latency;
            }
        }
        let mut aligner = None;
        if self.settings.get(ALIGN) >= 0.5 {
            let alignment = model.alignment(size).map_err(|error| PrepareError::Other(error.to_string()))?;
            self.polarity = if alignment.inverted { -1.0 } else { 1.0 };
            let (new, latency) = Aligner::new(alignment.delay_frames * host_rate / model_rate, channels);
            self.latency += latency;
            aligner = new;
        }
        let NetworkPath { rate_change, block_frames, any_length, .. } = network_path;
        self.chain = Some(ModelChain {
            network: GuardedNetwork::new(model, state, knobs, model_rate, (channels, factor), block_frames.div_ceil(factor)),
            rate_change,
            interleaver: (factor > 1).then(|| Interleaver::new(factor, channels, block_frames, any_length)),
            padding,
            aligner,
            dc_blocker: DcBlocker::new(host_rate, channels, DC_BLOCKER_HZ, false),
            block_position: 0,
            silence_output: 0.0,
        });
        Ok(())
    }
}

/// The way to a network's rate and back.
struct NetworkPath {
    rate_change: RateChange,
    /// Largest number of frames of a block at the network's rate.
    block_frames: usize,
    /// True if such a block may be of any length, and not of whole groups only.
    any_length: bool,
    /// Frames of delay at the host's rate, with those of the network.
    latency: usize,
}

impl NetworkPath {
    /// Makes the way to `factor` times a model's rate. `late_frames` is the latency of the network, in frames at the model's rate.
    fn new(spec: ProcessSpec, model_rate: f32, factor: usize, late_frames: usize) -> Result<Self, PrepareError> {
        let (host_rate, network_rate) = (spec.sample_rate, model_rate * factor as f32);
        // An interleaver whose blocks may end within a group is late by a group less one frame.
        let network_latency = late_frames * factor + Interleaver::latency(factor, true);
        Ok(if host_rate == network_rate {
            Self { rate_change: RateChange::None, block_frames: CHUNK, any_length: true, latency: network_latency }
        } else if host_rate == model_rate {
            let oversamplers = vec![Oversampler::precise(factor); spec.channels];
            let latency = late_frames + oversamplers[0].latency();
            let rate_change = RateChange::HalfBands(oversamplers);
            Self { rate_change, block_frames: CHUNK * factor, any_length: false, latency }
        } else {
            let resamplers = ResamplerPair::new(host_rate, network_rate, spec.channels, network_latency)?;
            let (block_frames, latency) = (resamplers.max_network_frames(), resamplers.latency());
            Self { rate_change: RateChange::Resamplers(resamplers), block_frames, any_length: true, latency }
        })
    }
}

/// True if a size of a model is linear, so that it has no aliasing and is never oversampled.
fn is_linear(model: &Model, size: usize) -> bool {
    model.sizes()[size].architecture.as_ref().is_some_and(Architecture::is_linear)
}

/// True if *Oversampling* changes what a size of a model plays. [any thread]
///
/// # Panics
/// If there is no such size.
#[must_use]
pub fn uses_oversampling(model: &Model, size: usize) -> bool {
    model.network(size).can_oversample() && !is_linear(model, size)
}

/// Checks that a model can be oversampled as `settings`, of [`ALGORITHM`], ask for, in real time and in renders. [any thread]
///
/// # Errors
/// If ONNX Runtime runs the model, or there would be more than [`MAX_CHANNELS`] states of it.
pub fn check_oversampling(settings: &Settings, model: &Model, channels: usize) -> Result<(), PrepareError> {
    let live = Factors::new(settings.get(OVERSAMPLING), settings.get(RENDER_OVERSAMPLING), &ProcessSpec::new(1.0, 1, 1));
    let factor = live.running().max(live.other());
    let size = model.size_index(settings.get(SIZE));
    if factor == 1 || is_linear(model, size) {
        return Ok(());
    }
    if !model.network(size).can_oversample() {
        return Err(PrepareError::Other(format!("oversampling {factor}x of a model that ONNX Runtime runs; expected 1x")));
    }
    let states = channels * factor;
    if states > MAX_CHANNELS {
        let limit = MAX_CHANNELS / factor;
        let found = format!("oversampling {factor}x of {channels} channels, {states} states of the model");
        return Err(PrepareError::Other(format!("{found}; expected at most {limit} channels")));
    }
    Ok(())
}

/// Multiplies the first `frames` samples of all channels by a gain.
fn amplify_all(wet: &mut [Chunk], frames: usize, gain: f32) {
    if gain != 1.0 {
        wet.iter_mut().for_each(|wet| wet[..frames].iter_mut().for_each(|x| *x *= gain));
    }
}

/// Multiplies each sample by its gain.
#[multiversion(targets("x86_64+avx2"))]
fn amplify(samples: &mut [f32], gains: &Chunk) {
    for (x, gain) in samples.iter_mut().zip(gains) {
        *x *= gain;
    }
}

impl Processor for NeuralProcessor {
    fn set(&mut self, index: ParameterIndex, value: f32) {
        let Some(value) = ALGORITHM.clamp_ramped(index, value) else { return };
        self.settings.set(index, value);
        let at_once = self.at_start;
        match index {
            INPUT | CALIBRATE_INPUT | INTERFACE_LEVEL | OUTPUT_MODE => {
                self.input_db.set(self.levels.input_db(&self.settings), at_once);
                self.input_gain = db_to_gain(self.input_db.target());
                self.model_gain.set(self.polarity * db_to_gain(self.levels.output_db(&self.settings)), at_once);
            }
            OUTPUT => self.dry_wet.set_output(value, at_once),
            MIX => self.dry_wet.set_mix(value, at_once),
            DC_BLOCKER => {
                if let Some(chain) = &mut self.chain {
                    chain.dc_blocker.set(value >= 0.5, at_once);
                }
            }
            _ => {
                if let Some(chain) = &mut self.chain
                    && let Some(ramp) = chain.network.knobs.get_mut(index - KNOB_1)
                {
                    ramp.set(value, at_once);
                }
            }
        }
    }

    fn reset(&mut self) {
        self.at_start = true;
        self.input_db.finish();
        self.model_gain.finish();
        self.dry_wet.reset();
        if let Some(chain) = &mut self.chain {
            chain.reset();
        }
    }

    fn process(&mut self, block: &mut Block<'_>) {
        let frames = block.first().map_or(0, |c| c.len());
        if frames > 0
            && std::mem::take(&mut self.at_start)
            && let Some(chain) = &mut self.chain
        {
            chain.settle();
        }
        let mut at = 0;
        while at < frames {
            let room = self.chain.as_ref().map_or(CHUNK, ModelChain::frames_left);
            let n = room.min(frames - at);
            self.dry_wet.split(block, at, n, &mut self.wet);
            if let Some(gain) = self.input_db.steady().map(|_| self.input_gain) {
                amplify_all(&mut self.wet, n, gain);
            } else {
                self.input_db.fill(&mut self.gains[..n]);
                self.gains[..n].iter_mut().for_each(|g| *g = db_to_gain(*g));
                self.wet.iter_mut().for_each(|wet| amplify(&mut wet[..n], &self.gains));
            }
            if let Some(chain) = &mut self.chain {
                chain.process(&mut self.wet, n);
            }
            if let Some(gain) = self.model_gain.steady() {
                amplify_all(&mut self.wet, n, gain);
            } else {
                self.model_gain.fill(&mut self.gains[..n]);
                self.wet.iter_mut().for_each(|wet| amplify(&mut wet[..n], &self.gains));
            }
            self.dry_wet.join(&self.wet, block, at, n);
            at += n;
        }
    }

    fn latency(&self) -> usize {
        self.latency
    }

    fn skip(&mut self, frames: usize) -> bool {
        if let Some(chain) = &mut self.chain {
            let glides = self.input_db.steady().is_none() || self.model_gain.steady().is_none();
            if self.at_start || glides || !chain.rests() {
                return false;
            }
            chain.skip(frames);
        }
        self.input_db.advance(frames);
        self.model_gain.advance(frames);
        self.dry_wet.skip(frames);
        true
    }

    fn duplicate(&self) -> Option<Box<dyn Processor>> {
        let chain = match &self.chain {
            Some(chain) => Some(chain.duplicate()?),
            None => None,
        };
        Some(Box::new(Self {
            settings: self.settings,
            at_start: self.at_start,
            levels: self.levels,
            input_db: self.input_db.clone(),
            input_gain: self.input_gain,
            model_gain: self.model_gain.clone(),
            polarity: self.polarity,
            chain,
            dry_wet: self.dry_wet.clone(),
            wet: self.wet.clone(),
            gains: self.gains,
            latency: self.latency,
        }))
    }

    fn bytes(&self) -> usize {
        self.dry_wet.bytes() + size_of_val(self.wet.as_slice()) + self.chain.as_ref().map_or(0, ModelChain::bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::Effect;
    use crate::neural::ModelInfo;
    use crate::neural::engine::{EngineError, Network, NetworkState};

    /// A function of a sample, with a state.
    type Function = Box<dyn FnMut(f32) -> f32 + Send>;
    /// A network that applies a function to every channel. The field makes the function in its initial state.
    struct TestNetwork(Box<dyn Fn() -> Function + Send + Sync>);
    /// The state of a [`TestNetwork`].
    struct TestState {
        network: Arc<TestNetwork>,
        /// The function of each channel.
        channels: Vec<Function>,
    }

    impl Network for TestNetwork {
        fn state(self: Arc<Self>, spec: StateSpec) -> Result<Box<dyn NetworkState>, EngineError> {
            let channels = (0..spec.channels).map(|_| (self.0)()).collect();
            Ok(Box::new(TestState { network: self, channels }))
        }
        fn bytes(&self) -> usize {
            0
        }
    }

    impl NetworkState for TestState {
        fn process(&mut self, block: &mut Block<'_>, _: &[&[f32]]) {
            for (samples, f) in block.iter_mut().zip(&mut self.channels) {
                samples.iter_mut().for_each(|x| *x = f(*x));
            }
        }
        fn settle(&mut self, _: &[f32]) -> f32 {
            self.reset();
            (self.network.0)()(0.0)
        }
        fn reset(&mut self) {
            for f in &mut self.channels {
                *f = (self.network.0)();
            }
        }
        fn rests(&self) -> bool {
            false
        }
        fn bytes(&self) -> usize {
            0
        }
    }

    fn info() -> ModelInfo {
        ModelInfo {
            sample_rate_given: true,
            loudness_db: Some(-30.0),
            input_level_dbu: Some(18.0),
            output_level_dbu: Some(9.0),
            ..ModelInfo::new("double", "double", 0, 48_000.0)
        }
    }

    fn model(info: ModelInfo, make: impl Fn() -> Function + Send + Sync + 'static) -> Arc<Model> {
        Model::from_network(info, Arc::new(TestNetwork(Box::new(make))), Vec::new())
    }

    fn effect(model: &Arc<Model>) -> Effect {
        Effect { settings: Settings::new(&ALGORITHM), model: Some(model.clone()) }
    }

    fn prepared(effect: &Effect, rate: f32) -> Box<dyn Processor> {
        effect.prepare(ProcessSpec::new(rate, 1, 4096)).unwrap()
    }

    #[test]
    fn each_output_mode_has_its_gain_and_is_raw_without_the_level_in_the_file() {
        let play = |effect: Effect| {
            let mut x = [0.125f32];
            prepared(&effect, 48_000.0).process(&mut [&mut x]);
            crate::dsp::gain_to_db(x[0] / 0.125)
        };
        let all = model(info(), || Box::new(|x| x));
        let none =
            model(ModelInfo { loudness_db: None, input_level_dbu: None, output_level_dbu: None, ..info() }, || Box::new(|x| x));
        // Output mode, calibrated input, interface level, and the gain of a model with all levels: -18 - loudness, and
        // differences of levels in dBu.
        for (mode, calibrate, interface, expected) in
            [(0.0, 0.0, 12.0, 0.0), (1.0, 0.0, 12.0, 12.0), (2.0, 0.0, 12.0, -3.0), (2.0, 0.0, 4.0, 5.0), (0.0, 1.0, 12.0, -6.0)]
        {
            let with = |model: &Arc<Model>| {
                let effect = effect(model).with("output_mode", mode);
                play(effect.with("calibrate_input", calibrate).with("interface_level", interface))
            };
            assert!((with(&all) - expected).abs() < 1e-3, "mode {mode}: {} dB", with(&all));
            assert!(with(&none).abs() < 1e-6, "mode {mode}: {} dB", with(&none));
        }
        assert_eq!(output_modes(&all, 0).count(), 3);
        assert_eq!(output_modes(&none, 0).collect::<Vec<_>>(), [OutputMode::Raw]);
    }

    #[test]
    fn every_size_is_as_loud_by_its_own_loudness() {
        use crate::neural::description::{Activation, Architecture, Conv1d, Layer, Sequence};
        use crate::neural::{ModelSize, ParsedModel};
        let size = |below: f32, gain: f32, loudness_db: f32| {
            let weights = vec![gain];
            let conv = Conv1d { inputs: 1, outputs: 1, taps: 1, dilation: 1, groups: 1, weights, bias: None };
            let layers = vec![Layer::Conv1d(conv, Activation::Identity)];
            let architecture = Architecture::Sequence(Sequence { layers, input_gain: 1.0, output_gain: 1.0, skip: false });
            ModelSize { loudness_db: Some(loudness_db), ..ModelSize::new(below, Some(architecture)) }
        };
        // One is 6.02 dB louder than the other, and has that as its loudness.
        let sizes = vec![size(0.5, 0.5, -24.0206), size(1.0, 1.0, -18.0)];
        let model = Model::new(ParsedModel { info: info(), sizes, test_vector: None }, Vec::new());
        let [small, large] = [0.0, 1.0].map(|wish| {
            let mut x = [0.25f32; 8];
            prepared(&effect(&model).with("size", wish), 48_000.0).process(&mut [&mut x]);
            x[7]
        });
        assert!((small / large - 1.0).abs() < 1e-4 && (large - 0.25).abs() < 1e-4, "{small} and {large}");
    }

    #[test]
    fn an_offline_render_reaches_the_network_state() {
        use std::sync::atomic::{AtomicBool, Ordering};
        struct OfflineFlag(Arc<AtomicBool>);
        impl Network for OfflineFlag {
            fn state(self: Arc<Self>, _: StateSpec) -> Result<Box<dyn NetworkState>, EngineError> {
                Ok(Box::new(OfflineFlag(self.0.clone())))
            }
            fn bytes(&self) -> usize {
                0
            }
        }
        impl NetworkState for OfflineFlag {
            fn process(&mut self, _: &mut Block<'_>, _: &[&[f32]]) {}
            fn settle(&mut self, _: &[f32]) -> f32 {
                0.0
            }
            fn reset(&mut self) {}
            fn rests(&self) -> bool {
                false
            }
            fn set_offline(&mut self, offline: bool) {
                self.0.store(offline, Ordering::Relaxed);
            }
            fn bytes(&self) -> usize {
                0
            }
        }
        let is_offline = Arc::new(AtomicBool::new(false));
        let model = Model::from_network(info(), Arc::new(OfflineFlag(is_offline.clone())), Vec::new());
        let spec = ProcessSpec::new(48_000.0, 1, 64);
        for spec in [spec.offline(), spec] {
            effect(&model).prepare(spec).unwrap();
            assert_eq!(is_offline.load(Ordering::Relaxed), spec.offline);
        }
    }

    #[test]
    fn an_underrun_is_counted_once() {
        struct LateNetwork(u64);
        impl Network for LateNetwork {
            fn state(self: Arc<Self>, _: StateSpec) -> Result<Box<dyn NetworkState>, EngineError> {
                Ok(Box::new(Self(0)))
            }
            fn bytes(&self) -> usize {
                0
            }
        }
        impl NetworkState for LateNetwork {
            /// Has an underrun in every block.
            fn process(&mut self, _: &mut Block<'_>, _: &[&[f32]]) {
                self.0 += 1;
            }
            fn settle(&mut self, _: &[f32]) -> f32 {
                0.0
            }
            fn reset(&mut self) {}
            fn rests(&self) -> bool {
                false
            }
            fn underruns(&self) -> u64 {
                self.0
            }
            fn bytes(&self) -> usize {
                0
            }
        }
        let model = Model::from_network(info(), Arc::new(LateNetwork(0)), Vec::new());
        for so_far in [1, 2] {
            let mut neural = prepared(&effect(&model), 48_000.0);
            neural.process(&mut [&mut [0.0; CHUNK]]);
            assert_eq!(model.underruns(), 2 * so_far - 1);
            neural.process(&mut [&mut [0.0; CHUNK]]);
            assert_eq!(model.underruns(), 2 * so_far);
        }
    }

    #[test]
    fn without_a_model_the_sound_passes() {
        let x: Vec<f32> = (0..1000).map(|i| (i as f32 * 0.37).sin()).collect();
        let mut y = x.clone();
        prepared(&Effect::new(&ALGORITHM), 44_100.0).process(&mut [&mut y]);
        assert_eq!(x, y);
    }

    #[test]
    fn a_model_that_gives_nan_is_silenced_and_reset_by_the_next_internal_block() {
        // After a sample of full scale the network gives NaN until it is reset.
        let model = model(info(), || {
            let mut failed = false;
            Box::new(move |x| {
                failed |= x >= 1.0;
                if failed { f32::NAN } else { 0.5 * x }
            })
        });
        let mut x = vec![0.25f32; 300];
        x[70] = 1.0;
        let mut neural = prepared(&effect(&model).with("output_mode", 0.0), 48_000.0);
        neural.process(&mut [&mut x]);
        let expected: Vec<f32> = (0..300).map(|i| if (70..128).contains(&i) { 0.0 } else { 0.125 }).collect();
        assert_eq!(x, expected);
        assert_eq!(model.nan_resets(), 1);
    }

    #[test]
    fn an_aligned_model_cancels_the_dry_sound() {
        use crate::slots::{Listen, Slots};
        use std::f64::consts::{PI, TAU};
        for frames in [8.0, 45.25, 45.6] {
            // A model that delays and inverts: a sinc under a Hann window.
            let taps: Vec<f64> = (0..128)
                .map(|k| f64::from(k) - frames)
                .map(|t| {
                    if t == 0.0 {
                        -1.0
                    } else if t.abs() < 45.0 {
                        -(PI * t).sin() / (PI * t) * (0.5 + 0.5 * (PI * t / 45.0).cos())
                    } else {
                        0.0
                    }
                })
                .collect();
            let other = model(ModelInfo { loudness_db: None, ..info() }, move || {
                let (taps, mut line) = (taps.clone(), vec![0.0; 128]);
                Box::new(move |x| {
                    line.rotate_right(1);
                    line[0] = f64::from(x);
                    line.iter().zip(&taps).map(|(x, h)| x * h).sum::<f64>() as f32
                })
            });
            for rate in if cfg!(feature = "models") { vec![48_000.0, 44_100.0] } else { vec![48_000.0] } {
                // Tones up to 15 kHz.
                let tones = [200.0, 1000.0, 5000.0, 15_000.0].map(|hz| TAU * hz / f64::from(rate));
                let x: Vec<f32> =
                    (0..8192).map(|i| tones.map(|w| 0.1 * (w * f64::from(i)).sin()).iter().sum::<f64>() as f32).collect();
                let residue = |align: f32| {
                    let both = [Effect::new(&ALGORITHM), effect(&other).with("align", align)];
                    let [a, b] = [0, 1].map(|slot| {
                        let spec = ProcessSpec::new(rate, 1, 8192);
                        let mut slots = Slots::compile(spec, &both, Listen::Slot(slot), None).unwrap();
                        let mut y = x.clone();
                        slots.process(&mut [&mut y]);
                        y
                    });
                    let power = |y: &[f32]| y[4096..].iter().map(|y| f64::from(*y).powi(2)).sum::<f64>();
                    let difference: Vec<f32> = a.iter().zip(&b).map(|(a, b)| a - b).collect();
                    10.0 * (power(&difference) / power(&a)).log10()
                };
                let (off, on) = (residue(0.0), residue(1.0));
                println!("{frames} frames at {rate} Hz: {off:.1} dB, aligned {on:.1} dB");
                assert!(off > -10.0 && on < -80.0, "{frames} frames at {rate} Hz: {off} dB, aligned {on} dB");
            }
        }
    }
}
