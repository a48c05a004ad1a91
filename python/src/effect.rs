//! Effects, their states, and rendering: `isotherm::effect` and `isotherm::render` for Python. `python/isotherm/_effect.py` makes
//! the classes that users see from them.

use std::cell::RefCell;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::thread::ThreadId;
use std::time::Duration;

use isotherm::algorithm::REGISTRY;
use isotherm::dsp::{ChangeMode, MAX_CHANNELS, Parameter, ParameterKind, ProcessSpec, Scale, choice_id};
use isotherm::effect::{Effect, EffectError, EffectState};
use isotherm::neural::Model;
use isotherm::render::{AutomationPoint, BLOCK_FRAMES, Renderer};
use numpy::{
    PyArray2, PyArrayDyn, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2, PyReadonlyArrayDyn, PyUntypedArrayMethods,
};
use pyo3::exceptions::{PyKeyError, PyOSError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString};

use crate::work::{SignalWatch, of_panic};

/// An effect as a value: algorithm, settings and perhaps a model.
#[pyclass(name = "Effect", frozen, module = "isotherm._native")]
pub struct NativeEffect {
    effect: Effect,
    /// Hash of the model's bytes, once it was asked for.
    model_hash: OnceLock<u64>,
}

impl NativeEffect {
    fn new(effect: Effect) -> Self {
        Self { effect, model_hash: OnceLock::new() }
    }

    /// The effect of the core.
    pub fn effect(&self) -> &Effect {
        &self.effect
    }

    fn check_index(&self, index: usize) -> PyResult<&'static Parameter> {
        self.effect.algorithm().parameters.get(index).ok_or_else(|| PyKeyError::new_err(index))
    }
}

/// The exception for an effect that cannot be read: a file that cannot be read is an `OSError`.
fn effect_error(error: &EffectError) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// The text of a value for [`Parameter::parse`]: a number, a bool for a toggle, or the text that a user wrote.
fn value_text(parameter: &Parameter, value: &Bound<'_, PyAny>) -> PyResult<String> {
    let wrong = || {
        let found = value.get_type().name().map_or_else(|_| "?".to_owned(), |name| name.to_string());
        PyTypeError::new_err(format!("{}: found a value of type {found}; expected {}", parameter.id, parameter.expected()))
    };
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(text.to_str()?.to_owned());
    }
    if value.is_instance_of::<PyBool>() || value.get_type().name()? == "bool" {
        return match parameter.kind {
            ParameterKind::Toggle { .. } => Ok(if value.is_truthy()? { "on" } else { "off" }.into()),
            _ => Err(wrong()),
        };
    }
    let number: f64 = value.extract().map_err(|_| wrong())?;
    // The whole number at the beginning of a text counts as a choice: '8x' is 8. A number is a choice as a whole.
    if matches!(parameter.kind, ParameterKind::Choice { .. }) && number.fract() != 0.0 {
        let (id, expected) = (parameter.id, parameter.expected());
        return Err(PyValueError::new_err(format!("{id}: '{number}' is none of its values; expected {expected}")));
    }
    Ok(number.to_string())
}

/// Opens a model: a path is a file, bytes are the content of one, `None` is no model.
fn open_model(py: Python<'_>, model: &Bound<'_, PyAny>) -> PyResult<Option<Arc<Model>>> {
    if model.is_none() {
        return Ok(None);
    }
    if let Ok(bytes) = model.cast::<PyBytes>() {
        let bytes = bytes.as_bytes().to_vec();
        return py.detach(|| Model::read(bytes)).map(Some).map_err(|error| PyValueError::new_err(error.to_string()));
    }
    let path: PathBuf = model.extract().map_err(|_| {
        let found = model.get_type().name().map_or_else(|_| "?".to_owned(), |name| name.to_string());
        PyTypeError::new_err(format!("model: found a value of type {found}; expected a path, bytes of a model's file, or None"))
    })?;
    py.detach(|| Model::open(&path)).map(Some).map_err(|error| match error {
        isotherm::neural::ModelError::Read { path, source } => match source.raw_os_error() {
            // With the number, Python makes the exception of its kind: FileNotFoundError and so on.
            Some(number) => PyOSError::new_err((number, plain_text(&source), path)),
            None => PyOSError::new_err(format!("{path}: {source}")),
        },
        error => PyValueError::new_err(error.to_string()),
    })
}

/// The text of an error of the system without its number.
fn plain_text(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split_once(" (os error").map_or(text.clone(), |(text, _)| text.to_owned())
}

/// A parameter's value as Python has it: a float, a bool for a toggle, and of a choice its id, as a number where it is one.
fn python_value<'py>(py: Python<'py>, parameter: &Parameter, value: f32) -> PyResult<Bound<'py, PyAny>> {
    match parameter.kind {
        // The decimal number that a user would write for it: 0.1, not 0.10000000149.
        ParameterKind::Float { .. } => Ok(PyFloat::new(py, value.to_string().parse().unwrap_or(f64::from(value))).into_any()),
        ParameterKind::Toggle { .. } => Ok(PyBool::new(py, value >= 0.5).to_owned().into_any()),
        ParameterKind::Choice { .. } => {
            let id = choice_id(&parameter.text(value));
            match id.parse::<i64>() {
                Ok(number) => Ok(PyInt::new(py, number).into_any()),
                Err(_) => Ok(PyString::new(py, &id).into_any()),
            }
        }
    }
}

#[pymethods]
impl NativeEffect {
    /// An effect of the algorithm `id`. `settings`: values by the parameters' ids; others must be knobs of the model. `model`: a path,
    /// bytes, or None.
    #[staticmethod]
    #[pyo3(signature = (id, settings, model=None, model_rate=None))]
    fn make(
        py: Python<'_>,
        id: &str,
        settings: &Bound<'_, PyDict>,
        model: Option<&Bound<'_, PyAny>>,
        model_rate: Option<f32>,
    ) -> PyResult<Self> {
        let mut effect = Effect::from_id(id).map_err(|error| PyValueError::new_err(error.to_string()))?;
        if let Some(model) = model {
            effect.model = open_model(py, model)?;
        }
        if let Some(rate) = model_rate {
            let Some(model) = &effect.model else {
                return Err(PyValueError::new_err("model_rate: no model; expected model=FILE before it"));
            };
            let model = model.at_rate(rate).map_err(|error| PyValueError::new_err(format!("model_rate: {error}")))?;
            effect.model = Some(model);
        }
        Self::new(effect).with_settings(settings)
    }

    /// This effect with other settings.
    fn with_settings(&self, settings: &Bound<'_, PyDict>) -> PyResult<Self> {
        let mut effect = self.effect.clone();
        for (name, value) in settings.iter() {
            let name: String = name.extract()?;
            match effect.settings.index(&name) {
                Some(index) => {
                    let parameter = &effect.algorithm().parameters[index];
                    let value = parameter
                        .parse(&value_text(parameter, &value)?)
                        .map_err(|error| PyValueError::new_err(error.to_string()))?;
                    effect.settings.set(index, value);
                }
                // A knob of the model by its own name.
                None => {
                    let value = value.str()?;
                    let text = format!("{name}=\"{}\"", value.to_str()?.replace('\\', "\\\\").replace('"', "\\\""));
                    effect = effect.with_setting(&text).map_err(|error| match &error {
                        EffectError::Setting(isotherm::dsp::SettingError::Parameter { .. }) => {
                            PyTypeError::new_err(error.to_string())
                        }
                        _ => effect_error(&error),
                    })?;
                }
            }
        }
        Ok(Self::new(effect))
    }

    /// Reads an effect as it is written on the command line.
    #[staticmethod]
    fn parse(py: Python<'_>, text: &str) -> PyResult<Self> {
        py.detach(|| text.parse::<Effect>()).map(Self::new).map_err(|error| effect_error(&error))
    }

    /// The effect as it is written on the command line.
    fn to_text(&self) -> PyResult<String> {
        self.effect.to_text().map_err(|error| effect_error(&error))
    }

    /// Reads the JSON text that `to_json` writes.
    #[staticmethod]
    fn from_json(py: Python<'_>, text: &str) -> PyResult<Self> {
        let value = serde_json::from_str(text).map_err(|error| PyValueError::new_err(format!("no JSON: {error}")))?;
        py.detach(|| Effect::from_json(&value)).map(Self::new).map_err(|error| effect_error(&error))
    }

    /// The effect as JSON text; a model is named by its file's path.
    fn to_json(&self) -> PyResult<String> {
        self.effect.to_json().map(|value| value.to_string()).map_err(|error| effect_error(&error))
    }

    /// Id of the algorithm.
    #[getter]
    fn algorithm(&self) -> &'static str {
        self.effect.algorithm().id
    }

    /// The value of the parameter with an index.
    fn value<'py>(&self, py: Python<'py>, index: usize) -> PyResult<Bound<'py, PyAny>> {
        python_value(py, self.check_index(index)?, self.effect.settings.get(index))
    }

    /// The indices of the parameters that are not at their default.
    fn changed(&self) -> Vec<usize> {
        let parameters = self.effect.settings.iter().enumerate();
        parameters.filter(|(_, (parameter, value))| *value != parameter.default()).map(|(index, _)| index).collect()
    }

    /// The model's file, its facts and its rate: a dict, or None without a model.
    fn model<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let Some(model) = self.effect.active_model() else { return Ok(None) };
        let facts = PyDict::new(py);
        let info = model.info();
        facts.set_item("path", model.path().map(|path| path.to_path_buf()))?;
        facts.set_item("name", &info.name)?;
        facts.set_item("format", info.format)?;
        facts.set_item("architecture", &info.architecture)?;
        facts.set_item("parameters", info.parameters)?;
        facts.set_item("sample_rate", info.sample_rate)?;
        facts.set_item("knobs", &info.knobs)?;
        Ok(Some(facts))
    }

    /// Everything that makes the effect again on another machine: algorithm, values, model's bytes, path and rate.
    #[expect(clippy::type_complexity, reason = "the tuple that pickle stores")]
    fn state<'py>(
        &self,
        py: Python<'py>,
    ) -> (&'static str, Vec<(&'static str, f32)>, Option<Bound<'py, PyBytes>>, Option<PathBuf>, Option<f32>) {
        let values = self.effect.settings.iter().map(|(parameter, value)| (parameter.id, value)).collect();
        let model = self.effect.active_model();
        let bytes = model.map(|model| PyBytes::new(py, model.bytes()));
        let path = model.and_then(|model| model.path()).map(|path| path.to_path_buf());
        (self.effect.algorithm().id, values, bytes, path, model.and_then(|model| model.user_rate()))
    }

    /// Makes an effect of a `state`. The model keeps its path if the file there has the same bytes.
    #[staticmethod]
    #[pyo3(signature = (id, values, bytes, path, rate))]
    fn restore(
        py: Python<'_>,
        id: &str,
        values: Vec<(String, f32)>,
        bytes: Option<Vec<u8>>,
        path: Option<PathBuf>,
        rate: Option<f32>,
    ) -> PyResult<Self> {
        let wrong = |error: String| PyValueError::new_err(error);
        let mut effect = Effect::from_id(id).map_err(|error| wrong(error.to_string()))?;
        // A parameter of a later release is left out, one that is missing keeps its default.
        for (name, value) in values {
            if let Some(index) = effect.settings.index(&name) {
                effect.settings.set(index, value);
            }
        }
        if let Some(bytes) = bytes {
            let model = py.detach(|| {
                let there = path.and_then(|path| Model::open(&path).ok()).filter(|model| model.bytes() == bytes);
                there.map_or_else(|| Model::read(bytes), Ok)
            });
            let mut model = model.map_err(|error| wrong(error.to_string()))?;
            if let Some(rate) = rate {
                model = model.at_rate(rate).map_err(|error| wrong(error.to_string()))?;
            }
            effect.model = Some(model);
        }
        Ok(Self::new(effect))
    }

    fn __eq__(&self, other: &Self) -> bool {
        self.effect == other.effect
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.effect.algorithm().id.hash(&mut hasher);
        for (_, value) in self.effect.settings.iter() {
            // Adding zero makes -0 a plain 0, which is equal to it.
            (value + 0.0).to_bits().hash(&mut hasher);
        }
        if let Some(model) = self.effect.active_model() {
            let of_bytes = self.model_hash.get_or_init(|| {
                let mut hasher = DefaultHasher::new();
                model.bytes().hash(&mut hasher);
                hasher.finish()
            });
            of_bytes.hash(&mut hasher);
        }
        hasher.finish()
    }
}

/// The effects of a list of Python objects.
pub fn effects_of(effects: &[PyRef<'_, NativeEffect>]) -> Vec<Effect> {
    effects.iter().map(|effect| effect.effect.clone()).collect()
}

/// The sound's extent as a processor takes it.
fn spec(sample_rate: f32, channels: usize) -> ProcessSpec {
    ProcessSpec::new(sample_rate, channels, BLOCK_FRAMES)
}

/// Runs work without Python's lock; a panic is a `RuntimeError`.
fn detached<T: Send>(py: Python<'_>, work: impl FnOnce() -> PyResult<T> + Send) -> PyResult<T> {
    py.detach(|| catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(of_panic(panic.as_ref()))))
}

/// Frames of a curve between two looks at the clock.
const LOOK_FRAMES: usize = 1 << 16;

/// Changes of one parameter, by its values at each frame.
fn points(
    effect: &Effect,
    index: usize,
    values: &[f64],
    frames: usize,
    signals: &mut SignalWatch,
) -> PyResult<Vec<AutomationPoint>> {
    let Some(parameter) = effect.algorithm().parameters.get(index) else { return Err(PyKeyError::new_err(index)) };
    let id = parameter.id;
    if parameter.change == ChangeMode::Structural {
        return Err(PyTypeError::new_err(format!(
            "{id}: found an array; expected one value, because a change of it makes a new processor, which would click"
        )));
    }
    if values.len() != frames {
        return Err(PyValueError::new_err(format!("{id}: found {} values; expected {frames}, one for each frame", values.len())));
    }
    let (min, max) = parameter.range();
    let mut points = Vec::new();
    let mut last = None;
    for (frame, value) in values.iter().enumerate() {
        if frame.is_multiple_of(LOOK_FRAMES) {
            signals.look()?;
        }
        #[expect(clippy::cast_possible_truncation, reason = "settings are of 32 bits")]
        let value = *value as f32;
        if !(min..=max).contains(&value) {
            let expected = parameter.expected();
            return Err(PyValueError::new_err(format!("{id}: {value} at frame {frame} is out of range; expected {expected}")));
        }
        if last != Some(value) {
            points.push(AutomationPoint { frame: frame as u64, parameter: index, value });
            last = Some(value);
        }
    }
    Ok(points)
}

/// Renders a whole sound, (channels, frames), through effects in a row, with their latency removed. `automation`: for the first
/// effect, parameters by their index with a value for each frame.
#[pyfunction]
#[pyo3(signature = (effects, sound, sample_rate, automation=None))]
pub fn render<'py>(
    py: Python<'py>,
    effects: Vec<PyRef<'py, NativeEffect>>,
    sound: PyReadonlyArray2<'py, f32>,
    sample_rate: f32,
    automation: Option<Vec<(usize, PyReadonlyArray1<'py, f64>)>>,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let (channels, frames) = (sound.shape()[0], sound.shape()[1]);
    if !sound.is_c_contiguous() {
        return Err(PyValueError::new_err("found samples in another order; expected a C-contiguous (channels, frames) array"));
    }
    let effects = effects_of(&effects);
    let automation = automation.unwrap_or_default();
    let curves = automation.iter().map(|(index, values)| Ok((*index, values.as_slice()?)));
    let curves: Vec<(usize, &[f64])> = curves.collect::<PyResult<_>>()?;
    let changes = detached(py, || {
        let (mut signals, mut changes) = (SignalWatch::new(), Vec::new());
        for (index, values) in curves {
            let first = effects.first().ok_or_else(|| PyValueError::new_err("no effect to automate"))?;
            changes.extend(points(first, index, values, frames, &mut signals)?);
        }
        Ok(changes)
    })?;
    let wet = PyArray2::<f32>::zeros(py, [channels, frames], false);
    let from = sound.as_slice()?;
    // SAFETY: the array was made here, and nobody else has it yet.
    let to = unsafe { wet.as_slice_mut()? };
    render_samples(py, &effects, (from, to), (channels, frames), sample_rate, changes)?;
    Ok(wet)
}

/// Renders an array of one or two dimensions as [`render`] does, without any conversion; `None` if it is not of 32-bit floats in
/// C order, so that it must be converted first.
#[pyfunction]
pub fn render_as_it_is<'py>(
    py: Python<'py>,
    effects: Vec<PyRef<'py, NativeEffect>>,
    sound: &Bound<'py, PyAny>,
    sample_rate: f32,
) -> PyResult<Option<Bound<'py, PyArrayDyn<f32>>>> {
    let Some((sound, channels, frames)) = as_it_is(sound) else { return Ok(None) };
    let from = sound.as_slice()?;
    let wet = PyArrayDyn::<f32>::zeros(py, sound.shape(), false);
    // SAFETY: the array was made here, and nobody else has it yet.
    let to = unsafe { wet.as_slice_mut()? };
    render_samples(py, &effects_of(&effects), (from, to), (channels, frames), sample_rate, Vec::new())?;
    Ok(Some(wet))
}

/// An array that needs no conversion, (frames,) or (channels, frames) of 32-bit floats in C order, with channels and frames.
fn as_it_is<'py>(sound: &Bound<'py, PyAny>) -> Option<(PyReadonlyArrayDyn<'py, f32>, usize, usize)> {
    let sound = sound.extract::<PyReadonlyArrayDyn<'py, f32>>().ok()?;
    let (channels, frames) = match *sound.shape() {
        [frames] => (1, frames),
        [channels, frames] if (1..=MAX_CHANNELS).contains(&channels) => (channels, frames),
        _ => return None,
    };
    // A slice is also given of samples in Fortran order, and none of misaligned ones.
    (sound.is_c_contiguous() && sound.as_slice().is_ok()).then_some((sound, channels, frames))
}

/// Renders samples, channel after channel, into as many others.
fn render_samples(
    py: Python<'_>,
    effects: &[Effect],
    (from, to): (&[f32], &mut [f32]),
    (channels, frames): (usize, usize),
    sample_rate: f32,
    changes: Vec<AutomationPoint>,
) -> PyResult<()> {
    detached(py, || {
        let renderer = Renderer::chain(effects, spec(sample_rate, channels))
            .map_err(|error| PyValueError::new_err(error.to_string()))?
            .with_automation(changes);
        let signals = RefCell::new(SignalWatch::new());
        let (mut read, mut written) = (0, 0);
        let source = |buffers: &mut [Vec<f32>]| {
            signals.borrow_mut().look()?;
            let n = buffers.first().map_or(0, Vec::len).min(frames - read);
            for (channel, buffer) in buffers.iter_mut().enumerate() {
                let start = channel * frames + read;
                buffer[..n].copy_from_slice(&from[start..start + n]);
            }
            read += n;
            Ok::<usize, PyErr>(n)
        };
        let sink = |blocks: &[&[f32]]| {
            signals.borrow_mut().look()?;
            let n = blocks.first().map_or(0, |block| block.len());
            for (channel, block) in blocks.iter().enumerate() {
                let start = channel * frames + written;
                to[start..start + n].copy_from_slice(block);
            }
            written += n;
            Ok::<(), PyErr>(())
        };
        renderer.run(source, sink).map(|_| ())
    })
}

/// Latency of effects in a row in frames.
#[pyfunction]
pub fn latency(py: Python<'_>, effects: Vec<PyRef<'_, NativeEffect>>, sample_rate: f32, channels: usize) -> PyResult<usize> {
    let effects = effects_of(&effects);
    detached(py, || {
        let renderer = Renderer::chain(&effects, spec(sample_rate, channels));
        renderer.map(|renderer| renderer.latency()).map_err(|error| PyValueError::new_err(error.to_string()))
    })
}

/// Time between two tries for a state with which another thread works.
const RETRY: Duration = Duration::from_millis(1);

/// The state of effects in a row between two blocks of a stream.
#[pyclass(frozen, module = "isotherm._native")]
pub struct StreamState {
    /// A state for each effect. One thread at a time works with it.
    states: Mutex<Vec<EffectState>>,
    worker: Mutex<Option<ThreadId>>,
    channels: usize,
}

/// The state of an effect for a stream.
fn start_one(effect: &Effect, sample_rate: f32, channels: usize) -> PyResult<EffectState> {
    let spec = spec(sample_rate, channels);
    let failed = |error| PyValueError::new_err(format!("{}: {error}", effect.algorithm().id));
    spec.check().map_err(failed)?;
    effect.state(spec).map_err(failed)
}

#[pymethods]
impl StreamState {
    /// The state before the first frame.
    #[new]
    fn new(py: Python<'_>, effects: Vec<PyRef<'_, NativeEffect>>, sample_rate: f32, channels: usize) -> PyResult<Self> {
        let effects = effects_of(&effects);
        let states =
            detached(py, || effects.iter().map(|effect| start_one(effect, sample_rate, channels)).collect::<PyResult<Vec<_>>>())?;
        Ok(Self { states: Mutex::new(states), worker: Mutex::default(), channels })
    }

    /// Processes the next block, (frames,) or (channels, frames), and moves the state on; `None`, and nothing done, if it is not of
    /// 32-bit floats in C order, so that it must be converted first.
    fn process<'py>(
        &self,
        py: Python<'py>,
        effects: Vec<PyRef<'py, NativeEffect>>,
        block: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyArrayDyn<f32>>>> {
        let Some((block, channels, frames)) = as_it_is(block) else { return Ok(None) };
        if channels != self.channels {
            let expected = self.channels;
            return Err(PyValueError::new_err(format!(
                "found a block of {channels} channels; expected {expected}, as the state has"
            )));
        }
        let effects = effects_of(&effects);
        let dry = block.as_slice()?;
        let wet = PyArrayDyn::<f32>::zeros(py, block.shape(), false);
        // SAFETY: the array was made here, and nobody else has it yet.
        let samples = unsafe { wet.as_slice_mut()? };
        let mut states = self.lock(py)?;
        if states.len() != effects.len() {
            let (found, expected) = (effects.len(), states.len());
            return Err(PyValueError::new_err(format!("found {found} effects; expected {expected}, as the state has")));
        }
        let states = &mut *states;
        // Ctrl-C is looked for between parts, and what is left of the block is then not processed: the state is of no use any more.
        *self.worker() = Some(std::thread::current().id());
        let done = detached(py, || {
            let mut signals = SignalWatch::new();
            for from in (0..frames).step_by(BLOCK_FRAMES) {
                signals.look()?;
                let to = frames.min(from + BLOCK_FRAMES);
                for (wet, dry) in samples.chunks_mut(frames).zip(dry.chunks(frames)) {
                    wet[from..to].copy_from_slice(&dry[from..to]);
                }
                let mut part: Vec<&mut [f32]> = samples.chunks_mut(frames).map(|channel| &mut channel[from..to]).collect();
                for (effect, state) in effects.iter().zip(states.iter_mut()) {
                    let failed = |error| PyValueError::new_err(format!("{}: {error}", effect.algorithm().id));
                    effect.process(&mut part, state).map_err(failed)?;
                }
            }
            Ok(())
        });
        *self.worker() = None;
        done?;
        Ok(Some(wet))
    }

    /// A copy that goes on from the same position.
    fn duplicate(&self, py: Python<'_>) -> PyResult<Self> {
        let states = self.lock(py)?;
        let copies: Option<Vec<EffectState>> = states.iter().map(EffectState::duplicate).collect();
        let copies = copies.ok_or_else(|| {
            PyRuntimeError::new_err(
                "the state of this effect cannot be copied: its model runs at another sample rate than the sound's, or in ONNX \
                 Runtime; expected state.process(block), which moves the state on in place",
            )
        })?;
        Ok(Self { states: Mutex::new(copies), worker: Mutex::default(), channels: self.channels })
    }

    /// Goes back to the state before the first frame.
    fn reset(&self, py: Python<'_>) -> PyResult<()> {
        self.lock(py)?.iter_mut().for_each(EffectState::reset);
        Ok(())
    }

    /// Frames by which the output lags the input.
    fn latency(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.lock(py)?.iter().map(EffectState::latency).sum())
    }
}

impl StreamState {
    /// The states, once no other thread works with them; Python runs on meanwhile.
    ///
    /// # Errors
    /// The exception of a signal's handler, and `RuntimeError` in a handler that runs while its own thread works with the states.
    fn lock(&self, py: Python<'_>) -> PyResult<MutexGuard<'_, Vec<EffectState>>> {
        loop {
            match self.states.try_lock() {
                Ok(states) => return Ok(states),
                Err(TryLockError::Poisoned(poisoned)) => return Ok(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => {}
            }
            if *self.worker() == Some(std::thread::current().id()) {
                return Err(PyRuntimeError::new_err("the state is in use: a signal's handler has interrupted its process"));
            }
            py.check_signals()?;
            py.detach(|| std::thread::sleep(RETRY));
        }
    }

    /// The thread that processes with the states, during which handlers of signals may run on it.
    fn worker(&self) -> MutexGuard<'_, Option<ThreadId>> {
        self.worker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The rows of the registry of algorithms, with their parameters, as dicts.
#[pyfunction]
pub fn registry(py: Python<'_>) -> PyResult<Bound<'_, PyList>> {
    let rows = PyList::empty(py);
    for algorithm in REGISTRY {
        let row = PyDict::new(py);
        row.set_item("id", algorithm.id)?;
        row.set_item("name", algorithm.name)?;
        row.set_item("description", algorithm.description)?;
        row.set_item("plays_model", algorithm.plays_model)?;
        let parameters = PyList::empty(py);
        for parameter in algorithm.parameters {
            parameters.append(parameter_dict(py, parameter)?)?;
        }
        row.set_item("parameters", parameters)?;
        rows.append(row)?;
    }
    Ok(rows)
}

/// A parameter as a dict.
fn parameter_dict<'py>(py: Python<'py>, parameter: &Parameter) -> PyResult<Bound<'py, PyDict>> {
    let row = PyDict::new(py);
    let kind = match parameter.kind {
        ParameterKind::Float { .. } => "number",
        ParameterKind::Choice { .. } => "choice",
        ParameterKind::Toggle { .. } => "toggle",
    };
    row.set_item("id", parameter.id)?;
    row.set_item("name", parameter.name)?;
    row.set_item("kind", kind)?;
    row.set_item("default", python_value(py, parameter, parameter.default())?)?;
    row.set_item("expected", parameter.expected())?;
    row.set_item("unit", parameter.unit().suffix().trim())?;
    row.set_item("ramped", parameter.change == ChangeMode::Ramped)?;
    row.set_item("doc", parameter.doc)?;
    match parameter.kind {
        ParameterKind::Float { min, max, scale, off_at_max, .. } => {
            row.set_item("min", min)?;
            row.set_item("max", max)?;
            row.set_item("logarithmic", scale == Scale::Logarithmic)?;
            row.set_item("off_at_max", off_at_max)?;
        }
        ParameterKind::Choice { names, .. } => {
            #[expect(clippy::cast_precision_loss, reason = "there are few choices")]
            let choices: PyResult<Vec<_>> = (0..names.len()).map(|index| python_value(py, parameter, index as f32)).collect();
            row.set_item("choices", choices?)?;
        }
        ParameterKind::Toggle { .. } => {}
    }
    Ok(row)
}

/// Most channels of a sound that effects take.
#[pyfunction]
pub fn max_channels() -> usize {
    MAX_CHANNELS
}
