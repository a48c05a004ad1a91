//! The registry of measures for Python: figures of two sounds, of one, and of an effect; alignment; time and memory.

use isotherm::audio::{Audio, generate};
use isotherm::compare::{IMPULSE_FRAMES, TONE};
use isotherm::dsp::MAX_CHANNELS;
use isotherm::effect::Effect;
use isotherm::measure::bench::{BenchSpec, BlockSize, CostTable, measure_interleaved};
use isotherm::measure::{
    Alignment, Comparison, MEASURES, Measure, MeasureError, MeasureFn, Preference, SAMPLE_RATES, align, align_synchronous,
    characterise, highest_tone_hz, tone_response,
};
use isotherm::render::render;
use numpy::{PyArray2, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::exceptions::{PyKeyError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::effect::{NativeEffect, effects_of};
use crate::work;

/// A sound of the core with the samples of a (channels, frames) array.
///
/// # Errors
/// `ValueError` without channels, or with more than effects take, or at 0 Hz.
pub fn audio_of(samples: &PyReadonlyArray2<'_, f32>, sample_rate: u32) -> PyResult<Audio> {
    let (channels, highest) = (samples.shape()[0], *SAMPLE_RATES.end());
    if sample_rate > highest {
        return Err(PyValueError::new_err(format!("sample rate is {sample_rate} Hz; expected at most {highest}")));
    }
    if !(1..=MAX_CHANNELS).contains(&channels) {
        return Err(PyValueError::new_err(format!("{channels} channels; expected 1 to {MAX_CHANNELS}")));
    }
    let frames = samples.shape()[1];
    let audio = match samples.as_slice() {
        // Much faster than sample after sample, and other threads go on.
        Ok(planar) if samples.is_c_contiguous() && frames > 0 => {
            samples.py().detach(|| Audio::from_channels(sample_rate, &planar.chunks(frames).collect::<Vec<_>>()))
        }
        _ => Audio::from_channels_by_frames(sample_rate, samples.as_array()),
    };
    audio.map_err(|error| PyValueError::new_err(error.to_string()))
}

/// The exception for an error of the core that comes from the values of a call.
fn value_error(error: impl ToString) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// The row with an id.
fn measure(id: &str) -> PyResult<&'static Measure> {
    MEASURES.iter().copied().find(|row| row.id == id).ok_or_else(|| PyKeyError::new_err(id.to_owned()))
}

/// The error for a row that needs another input.
fn other_input(row: &Measure) -> PyErr {
    PyTypeError::new_err(format!("{}: it needs {}", row.id, row.function.needs()))
}

/// The rows of the registry of measures as dicts, in its order.
#[pyfunction]
pub fn measures(py: Python<'_>) -> PyResult<Bound<'_, PyList>> {
    let rows = PyList::empty(py);
    for measure in MEASURES {
        let row = PyDict::new(py);
        row.set_item("id", measure.id)?;
        row.set_item("name", measure.name)?;
        row.set_item("heading", measure.heading)?;
        row.set_item("unit", measure.unit.symbol())?;
        row.set_item("definition", measure.definition)?;
        let better = match measure.better {
            Preference::Lower => "lower",
            Preference::Higher => "higher",
            Preference::Neither => "neither",
        };
        row.set_item("better", better)?;
        let kind = match measure.function {
            MeasureFn::Comparison(_) => "comparison",
            MeasureFn::Sound(_) => "sound",
            MeasureFn::Tone(_) => "tone",
            MeasureFn::Impulse(_) => "impulse",
            MeasureFn::Effect(_) => "effect",
            MeasureFn::Cost(_) => "cost",
        };
        row.set_item("kind", kind)?;
        row.set_item("needs", measure.function.needs())?;
        rows.append(row)?;
    }
    Ok(rows)
}

/// The figure of a measure of two sounds in step: `test` against `reference`.
#[pyfunction]
pub fn comparison_figure(
    py: Python<'_>,
    id: &str,
    reference: PyReadonlyArray2<'_, f32>,
    test: PyReadonlyArray2<'_, f32>,
    sample_rate: u32,
) -> PyResult<f64> {
    let row = measure(id)?;
    let MeasureFn::Comparison(function) = row.function else { return Err(other_input(row)) };
    let (reference, test) = (audio_of(&reference, sample_rate)?, audio_of(&test, sample_rate)?);
    // Checked here, so that the error has no thread to cross.
    Comparison::new(&reference, &test).map_err(value_error)?;
    work::run(py, None, move |_| Comparison::new(&reference, &test).map_or(f64::NAN, |both| function(&both)))
}

/// The figure of a measure of a sound.
#[pyfunction]
pub fn sound_figure(py: Python<'_>, id: &str, sound: PyReadonlyArray2<'_, f32>, sample_rate: u32) -> PyResult<f64> {
    let row = measure(id)?;
    let MeasureFn::Sound(function) = row.function else { return Err(other_input(row)) };
    let sound = audio_of(&sound, sample_rate)?;
    work::run(py, None, move |_| function(&sound))
}

/// The default tone of measures of a tone: frequency in hertz and amplitude.
#[pyfunction]
pub fn default_tone() -> (f32, f32) {
    TONE
}

/// The figure of a measure of an effect: one that takes its output for a sine near `hz` with this amplitude, its output for an
/// impulse, or all of its characteristics. `hz` and `amplitude` are for the first kind.
#[pyfunction]
pub fn effect_figure(
    py: Python<'_>,
    id: &str,
    effect: PyRef<'_, NativeEffect>,
    sample_rate: u32,
    hz: f32,
    amplitude: f32,
) -> PyResult<f64> {
    let row = measure(id)?;
    let effect = effect.effect().clone();
    if !SAMPLE_RATES.contains(&sample_rate) {
        return Err(value_error(MeasureError::SampleRate { found: sample_rate }));
    }
    if let MeasureFn::Tone(_) = row.function {
        check_tone(sample_rate, hz, amplitude)?;
    }
    let function = row.function;
    if !matches!(function, MeasureFn::Tone(_) | MeasureFn::Impulse(_) | MeasureFn::Effect(_)) {
        return Err(other_input(row));
    }
    let figure = move |_: &work::Progress| -> Result<f64, MeasureError> {
        Ok(match function {
            MeasureFn::Tone(run) => run(&tone_response(&effect, sample_rate, hz, amplitude)?),
            MeasureFn::Impulse(run) => run(render(&effect, &generate::impulse(sample_rate, 1.0, 0, IMPULSE_FRAMES)?)?.channel(0)),
            MeasureFn::Effect(run) => run(&characterise(&effect, sample_rate)?),
            _ => f64::NAN,
        })
    };
    work::run(py, None, figure)?.map_err(value_error)
}

/// Checks a tone, as the core does for figures over frequency.
fn check_tone(sample_rate: u32, hz: f32, amplitude: f32) -> PyResult<()> {
    let (found_hz, highest_hz) = (f64::from(hz), highest_tone_hz(sample_rate));
    if !(found_hz > 0.0 && found_hz <= highest_hz) {
        return Err(value_error(MeasureError::Frequency { found_hz, highest_hz }));
    }
    if !(amplitude.is_finite() && amplitude > 0.0) {
        return Err(PyValueError::new_err(format!("a sine of amplitude {amplitude}; expected a number above 0")));
    }
    Ok(())
}

/// All characteristics of an effect as JSON text, as `report.json` has them.
#[pyfunction]
pub fn characteristics(py: Python<'_>, effect: PyRef<'_, NativeEffect>, sample_rate: u32) -> PyResult<String> {
    let effect = effect.effect().clone();
    let found = work::run(py, None, move |_| characterise(&effect, sample_rate))?.map_err(value_error)?;
    serde_json::to_string(&found).map_err(value_error)
}

/// Aligns `test` with `reference`: a dict of the alignment, and `test` as the reference would have it, in `reference`'s length.
#[pyfunction]
pub fn align_sounds<'py>(
    py: Python<'py>,
    reference: PyReadonlyArray2<'py, f32>,
    test: PyReadonlyArray2<'py, f32>,
    sample_rate: u32,
    synchronous: bool,
) -> PyResult<(Bound<'py, PyDict>, Bound<'py, PyArray2<f32>>)> {
    let (reference, test) = (audio_of(&reference, sample_rate)?, audio_of(&test, sample_rate)?);
    let found = work::run(py, None, move |_| {
        let alignment = if synchronous { align_synchronous(&reference, &test) } else { align(&reference, &test) }?;
        let aligned = alignment.apply(&test, reference.frames());
        let overlap = alignment.overlap(reference.frames(), test.frames());
        Ok::<_, isotherm::measure::AlignError>((alignment, aligned, overlap))
    })?;
    let (alignment, aligned, overlap) = found.map_err(value_error)?;
    let facts = alignment_dict(py, &alignment)?;
    facts.set_item("overlap", (overlap.start, overlap.end))?;
    Ok((facts, PyArray2::from_owned_array(py, aligned.to_array())))
}

/// An alignment as a dict.
fn alignment_dict<'py>(py: Python<'py>, found: &Alignment) -> PyResult<Bound<'py, PyDict>> {
    let facts = PyDict::new(py);
    facts.set_item("delay_frames", found.delay_frames)?;
    facts.set_item("delay_uncertainty_frames", found.delay_uncertainty_frames)?;
    facts.set_item("ambiguous", found.ambiguous)?;
    facts.set_item("second_lobe", found.second_lobe)?;
    facts.set_item("correlation", found.correlation)?;
    facts.set_item("inverted", found.inverted)?;
    facts.set_item("gain_db", found.gain_db)?;
    facts.set_item("dc", found.dc)?;
    facts.set_item("drift_ppm", found.drift_ppm)?;
    facts.set_item("drift_uncertainty_ppm", found.drift_uncertainty_ppm)?;
    facts.set_item("is_drifting", found.is_drifting)?;
    Ok(facts)
}

/// Measures time and memory of effects in one run: for each effect and size of blocks a dict of every measure of cost, with the
/// effect's index. `blocks`: the fewest and the most frames of each size.
#[pyfunction]
#[pyo3(signature = (effects, sample_rate, channels, blocks, seconds, max_blocks, load_threads, tell=None))]
#[expect(clippy::too_many_arguments, reason = "the extent of a measurement, named in Python")]
pub fn bench<'py>(
    py: Python<'py>,
    effects: Vec<PyRef<'py, NativeEffect>>,
    sample_rate: f32,
    channels: usize,
    blocks: Vec<(usize, usize)>,
    seconds: f64,
    max_blocks: usize,
    load_threads: usize,
    tell: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyList>> {
    let effects: Vec<Effect> = effects_of(&effects);
    let blocks = blocks.into_iter().map(|(min, max)| BlockSize { min, max }).collect();
    let spec = BenchSpec { sample_rate, channels, blocks, seconds, max_blocks, load_threads, keep_times: false };
    let tables = work::run(py, tell, move |progress| measure_interleaved(&effects, &spec, |share| progress.tell(share)))?;
    let rows = PyList::empty(py);
    for (effect, table) in tables.map_err(value_error)?.iter().enumerate() {
        append_costs(py, &rows, effect, table)?;
    }
    Ok(rows)
}

/// Appends a row for each size of blocks.
fn append_costs(py: Python<'_>, rows: &Bound<'_, PyList>, effect: usize, table: &CostTable) -> PyResult<()> {
    for costs in &table.rows {
        let row = PyDict::new(py);
        row.set_item("effect", effect)?;
        row.set_item("sample_rate", table.sample_rate)?;
        row.set_item("channels", table.channels)?;
        // One size is a number, a range a text.
        if costs.block.varies() {
            row.set_item("block", costs.block.to_string())?;
        } else {
            row.set_item("block", costs.block.max)?;
        }
        row.set_item("blocks", costs.blocks)?;
        row.set_item("latency_frames", table.latency_frames)?;
        row.set_item("weights_bytes", table.weights_bytes)?;
        for measure in MEASURES {
            if let Some(figure) = measure.cost(costs) {
                row.set_item(measure.id, figure)?;
            }
        }
        rows.append(row)?;
    }
    Ok(())
}
