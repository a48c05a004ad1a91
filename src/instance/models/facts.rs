//! Facts about a model for the panels: from its file, and measured on this machine.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::dsp::CHUNK;
use crate::measure::{MODEL_TONES_HZ, MeasureError, ModelAliasing, ToneAliasing};
use crate::neural::engine::StateSpec;
use crate::neural::{
    ALGORITHM, CALIBRATE_INPUT, INTERFACE_LEVEL, Model, ModelInfo, OVERSAMPLING, RENDER_OVERSAMPLING, SIZE, knob_parameters,
    uses_oversampling,
};
use crate::render::RenderError;
use crate::view::{ModelAliasingFacts, ModelDelay, ModelFacts, ParameterUse};

/// Smallest number of frames in one measurement of the cost.
const COST_FRAMES: usize = 1024;
/// Time for all measurements of the cost: enough for many, so that their minimum is reliable.
const COST_TIME: Duration = Duration::from_millis(5);

/// The facts from a model's file, without measurements. `path`: its file, whose name stands in for a missing one.
pub(crate) fn from_file(model: &Model, path: Option<PathBuf>) -> ModelFacts {
    let info: &ModelInfo = model.info();
    let file_stem = path.as_deref().and_then(Path::file_stem).map(|s| s.to_string_lossy().into_owned());
    let gear: Vec<&str> =
        [&info.gear_make, &info.gear_model, &info.gear_type, &info.tone_type].into_iter().flatten().map(String::as_str).collect();
    ModelFacts {
        name: info.name.clone().or(file_stem).unwrap_or_else(|| "Model without a name".into()),
        path,
        author: info.author.clone(),
        gear: (!gear.is_empty()).then(|| gear.join(" ")),
        architecture: info.architecture.clone(),
        parameters: info.parameters,
        sample_rate: info.sample_rate,
        sample_rate_given: info.sample_rate_given,
        loudness_db: model.sizes()[largest(model)].loudness_db.or(info.loudness_db),
        esr: info.esr,
        cost_ns: None,
        delay: None,
        aliasing: Vec::new(),
        parameter_uses: parameter_uses(model),
    }
}

/// `facts` with what is measured on this machine: processing time and delay.
///
/// # Errors
/// The reason why the model cannot run here.
pub(crate) fn with_measurements(model: &Model, facts: &ModelFacts) -> Result<ModelFacts, String> {
    let size = largest(model);
    let cost_ns = cost_ns(model, size)?;
    let alignment = model.alignment(size)?;
    let delay = ModelDelay { frames: alignment.delay_frames, inverted: alignment.inverted, ambiguous: alignment.ambiguous };
    Ok(ModelFacts { cost_ns: Some(cost_ns), delay: Some(delay), ..facts.clone() })
}

/// The aliasing of a model at each oversampling; empty if it cannot be measured, as at an unusual sample rate. None if `go_on`,
/// which is asked every few milliseconds, returned false.
pub(crate) fn aliasing(model: &Arc<Model>, go_on: &dyn Fn() -> bool) -> Option<Vec<ModelAliasingFacts>> {
    let aliasing = match ModelAliasing::of_model(model, largest(model), go_on) {
        Err(MeasureError::Render(RenderError::Cancelled)) => return None,
        aliasing => aliasing.ok(),
    };
    let tones = aliasing.iter().flat_map(|aliasing| aliasing.tones.iter().zip(MODEL_TONES_HZ));
    let facts = |(tone, hz): (&ToneAliasing, f64)| ModelAliasingFacts {
        hz: hz as f32,
        aliasing_db: tone.figures().map(|figure| figure.map(|db| db as f32)),
    };
    Some(tones.map(facts).collect())
}

/// The use of each parameter of the algorithm that plays models: a knob for each of the model's knobs, a size if it has several,
/// calibration if it has levels in dBu, oversampling if it can alias and ONNX Runtime does not run it.
fn parameter_uses(model: &Model) -> Vec<ParameterUse> {
    let knobs = (0..model.sizes().len()).map(|size| model.knob_count(size)).max().unwrap_or(0);
    let mut uses = uses_without_model();
    for (knob, parameter) in knob_parameters().enumerate() {
        uses[parameter] = match model.info().knobs.get(knob).filter(|name| !name.trim().is_empty()) {
            _ if knob >= knobs => break,
            Some(name) => ParameterUse::Named(name.trim().to_owned()),
            None => ParameterUse::Used,
        };
    }
    if model.sizes().len() > 1 {
        uses[SIZE] = ParameterUse::Used;
    }
    if (0..model.sizes().len()).any(|size| uses_oversampling(model, size)) {
        uses[OVERSAMPLING] = ParameterUse::Used;
        uses[RENDER_OVERSAMPLING] = ParameterUse::Used;
    }
    // The levels of a device that the model does not know cannot be calibrated to.
    let (info, sizes) = (model.info(), model.sizes());
    let knows_input = info.input_level_dbu.is_some() || sizes.iter().any(|size| size.input_level_dbu.is_some());
    let knows_output = info.output_level_dbu.is_some() || sizes.iter().any(|size| size.output_level_dbu.is_some());
    if knows_input {
        uses[CALIBRATE_INPUT] = ParameterUse::Used;
    }
    if knows_input || knows_output {
        uses[INTERFACE_LEVEL] = ParameterUse::Used;
    }
    uses
}

/// The use of each parameter of that algorithm while there is no model, which has no knobs, sizes, levels and rate.
pub(crate) fn uses_without_model() -> Vec<ParameterUse> {
    let mut uses = vec![ParameterUse::Used; ALGORITHM.parameters.len()];
    knob_parameters()
        .chain([SIZE, CALIBRATE_INPUT, INTERFACE_LEVEL, OVERSAMPLING, RENDER_OVERSAMPLING])
        .for_each(|parameter| uses[parameter] = ParameterUse::Unused);
    uses
}

/// Runs one chunk of frames, so that a network that cannot run on this machine is found here and not on the audio thread.
///
/// # Errors
/// The reason why it cannot run.
pub(crate) fn check(model: &Model) -> Result<(), String> {
    let size = largest(model);
    let mut state = model.network(size).clone().state(StateSpec::new(1))?;
    state.set_offline(true);
    let knob_middle = [0.5; CHUNK];
    state.process(&mut [&mut [0.1; CHUNK]], &vec![&knob_middle[..]; model.knob_count(size)]);
    Ok(())
}

/// Index of the model's largest size, which the facts are about. (A file may hold several sizes of one network.)
fn largest(model: &Model) -> usize {
    model.sizes().len() - 1
}

/// Processing time of a size in nanoseconds per sample and channel: the smallest of several measurements.
fn cost_ns(model: &Model, size: usize) -> Result<f32, String> {
    let mut state = model.network(size).clone().state(StateSpec::new(1))?;
    state.set_offline(true);
    let knob_middle = [0.5; CHUNK];
    let knobs = vec![&knob_middle[..]; model.knob_count(size)];
    // A network that collects long chunks (its latency) is timed over more than one.
    let chunks = (2 * state.latency()).max(COST_FRAMES).div_ceil(CHUNK);
    let mut fastest = Duration::MAX;
    let begin = Instant::now();
    while fastest == Duration::MAX || begin.elapsed() < COST_TIME {
        let start = Instant::now();
        for _ in 0..chunks {
            // With this signal no network rests and no number is denormal.
            let mut block: [f32; CHUNK] = std::array::from_fn(|i| if i % 2 == 0 { 0.1 } else { -0.1 });
            state.process(&mut [&mut block], &knobs);
        }
        fastest = fastest.min(start.elapsed());
    }
    Ok(fastest.as_nanos() as f32 / (chunks * CHUNK) as f32)
}

/// The faults of a model while it played, as one line for the user; None if there were none.
pub(crate) fn playback_error(model: &Model) -> Option<String> {
    match (model.nan_resets(), model.underruns()) {
        (0, 0) => None,
        (0, underruns) => Some(format!("its output was late {underruns} times: the dry sound was heard instead")),
        (resets, _) => Some(format!("its output was NaN or infinite {resets} times: silenced and begun anew")),
    }
}
