//! Comparisons for Python: `isotherm::compare`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use isotherm::compare::{
    CompareError, Finished, FolderError, Limit, Request, Side, Sound, SoundError, SoundSource, WriteError, compare, write,
};
use isotherm::measure::MeasureFn;
use isotherm::measure::bench::BenchSpec;
use numpy::PyReadonlyArray2;
use pyo3::exceptions::{PyFileExistsError, PyOSError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::effect::NativeEffect;
use crate::measure::audio_of;
use crate::work;

/// The process in which the threads of comparisons were started; 0 before. After a fork they are missing.
static PROCESS: AtomicU32 = AtomicU32::new(0);

/// A finished comparison.
#[pyclass(frozen, module = "isotherm._native")]
pub struct FinishedComparison {
    finished: Arc<Finished>,
}

/// A sound in memory, given as (name, samples, sample rate).
type GivenSound<'py> = (String, PyReadonlyArray2<'py, f32>, u32);

/// A sound of the core from a given one.
fn sound_of((name, samples, sample_rate): &GivenSound<'_>) -> PyResult<Arc<Sound>> {
    let audio = audio_of(samples, *sample_rate)?;
    Sound::new(name.clone(), audio).map(Arc::new).map_err(|error| PyValueError::new_err(error.to_string()))
}

/// A side: an effect, a text as on the command line, a path, or a sound in memory.
fn side_of(py: Python<'_>, name: &str, side: &Bound<'_, PyAny>) -> PyResult<Side> {
    if let Ok(effect) = side.cast::<NativeEffect>() {
        return Ok(Side::Effect(effect.get().effect().clone()));
    }
    if let Ok(text) = side.cast::<PyString>() {
        let text = text.to_str()?.to_owned();
        let side = py.detach(|| text.parse::<Side>()).map_err(|error| PyValueError::new_err(format!("{name}: {error}")));
        return there(side?);
    }
    if let Ok(given) = side.extract::<GivenSound<'_>>() {
        return sound_of(&given).map(Side::Sound);
    }
    let path: PathBuf = side.extract().map_err(|_| {
        PyTypeError::new_err(format!("{name}: expected an effect, a text such as 'dry', a path, AudioSamples or (array, rate)"))
    })?;
    there(Side::File(path))
}

/// The side, if it is no file that is missing.
fn there(side: Side) -> PyResult<Side> {
    match &side {
        Side::File(path) if !path.exists() => Err(missing(path)),
        _ => Ok(side),
    }
}

/// The `FileNotFoundError` for a path.
fn missing(path: &Path) -> PyErr {
    /// Number of this error in C (`ENOENT`), from which Python makes the exception of its kind.
    const NOT_FOUND: i32 = 2;
    PyOSError::new_err((NOT_FOUND, "no such file or folder", path.display().to_string()))
}

/// The sources of sounds, each a path or a sound in memory, in their order.
fn sources_of(sounds: &[Bound<'_, PyAny>]) -> PyResult<Vec<SoundSource>> {
    let sound_error = |error: SoundError| match error {
        SoundError::Missing(path) => missing(&path),
        SoundError::Folder { .. } => PyOSError::new_err(error.to_string()),
        error => PyValueError::new_err(error.to_string()),
    };
    let mut sources = Vec::new();
    for sound in sounds {
        if let Ok(given) = sound.extract::<GivenSound<'_>>() {
            sources.push(SoundSource::Given(sound_of(&given)?));
        } else {
            let path: PathBuf = sound.extract()?;
            sources.extend(SoundSource::of_paths(&[path]).map_err(sound_error)?);
        }
    }
    let mut names: Vec<String> = sources.iter().map(SoundSource::name).collect();
    names.sort();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(sound_error(SoundError::SameName(pair[0].clone()))),
        None => Ok(sources),
    }
}

/// Compares two sides on sounds, or on the built-in material if there are none.
#[pyfunction]
#[pyo3(signature = (a, b, sounds, cost_seconds, limits, tell=None))]
pub fn compare_sides<'py>(
    py: Python<'py>,
    a: &Bound<'py, PyAny>,
    b: &Bound<'py, PyAny>,
    sounds: Vec<Bound<'py, PyAny>>,
    cost_seconds: f64,
    limits: Vec<String>,
    tell: Option<&Bound<'py, PyAny>>,
) -> PyResult<FinishedComparison> {
    let value_error = |error: String| PyValueError::new_err(error);
    let this = std::process::id();
    if PROCESS.compare_exchange(0, this, Ordering::Relaxed, Ordering::Relaxed).is_err_and(|first| first != this) {
        return Err(PyRuntimeError::new_err(
            "this process was forked from one that has compared, whose threads it does not have; expected one that was spawned: \
             multiprocessing.set_start_method('spawn')",
        ));
    }
    let (a, b) = (side_of(py, "a", a)?, side_of(py, "b", b)?);
    let mut parsed: Vec<Limit> = Vec::new();
    for limit in &limits {
        parsed.extend(Limit::parse(limit).map_err(|error| value_error(format!("limits: {error}")))?);
    }
    if !(cost_seconds.is_finite() && cost_seconds >= 0.0) {
        return Err(value_error(format!("cost_seconds: {cost_seconds}; expected 0 or more")));
    }
    let of_cost = parsed.iter().find(|limit| matches!(limit.measure.function, MeasureFn::Cost(_)));
    if let Some(limit) = of_cost.filter(|_| cost_seconds == 0.0) {
        let id = limit.measure.id;
        return Err(value_error(format!("limits: {id}: no time is measured with cost_seconds=0; expected more seconds")));
    }
    let mut sounds = sources_of(&sounds)?;
    if sounds.is_empty() {
        if let Some(place) = [&a, &b].into_iter().find(|side| is_one_sound(side)) {
            return Err(value_error(format!(
                "no sound was named; expected the dry sound that {place} was made from: sounds=..."
            )));
        }
        sounds = SoundSource::built_in();
    }
    let request = Request {
        a,
        b,
        sounds,
        blocks: BenchSpec::default().blocks,
        cost_seconds,
        in_detail: true,
        limits: parsed,
        command: String::new(),
    };
    let finished = work::run(py, tell, move |progress| compare(&request, &|share| progress.tell(share)))?;
    let finished = finished.map_err(|error| match error {
        CompareError::Cancelled => PyRuntimeError::new_err(error.to_string()),
        error => value_error(error.to_string()),
    })?;
    Ok(FinishedComparison { finished: Arc::new(finished) })
}

/// True if a side is one sound, which can only be compared on the sound that it was made from.
fn is_one_sound(side: &Side) -> bool {
    match side {
        Side::Sound(_) => true,
        Side::File(path) => !path.is_dir(),
        Side::Effect(_) | Side::Dry => false,
    }
}

#[pymethods]
impl FinishedComparison {
    /// `report.json` as text.
    fn json(&self) -> PyResult<String> {
        self.finished.report.to_json().map_err(|error| PyValueError::new_err(error.to_string()))
    }

    /// `measures.csv` as text.
    fn csv(&self) -> String {
        self.finished.report.to_csv()
    }

    /// The sentence on the ratio of the times, if both sides have times.
    fn cost_sentence(&self) -> Option<String> {
        self.finished.report.cost_sentence()
    }

    /// The verdict in words.
    fn verdict_text(&self) -> String {
        let verdict = &self.finished.report.verdict;
        format!("{}. {}", verdict.title, verdict.text())
    }

    /// Writes the report's folder; with `force` in the place of an earlier report.
    fn write(&self, py: Python<'_>, folder: PathBuf, force: bool) -> PyResult<()> {
        let finished = self.finished.clone();
        let written = work::run(py, None, move |progress| write(&finished, &folder, force, &|| progress.goes_on()))?;
        written.map_err(|error| match &error {
            WriteError::Folder(FolderError::Io { .. }) => PyOSError::new_err(error.to_string()),
            WriteError::Folder(FolderError::NoName(_)) => PyValueError::new_err(error.to_string()),
            // The command line's flag is the keyword here.
            WriteError::Folder(_) => PyFileExistsError::new_err(error.to_string().replace("--force", "force=True")),
            _ => PyRuntimeError::new_err(error.to_string()),
        })
    }
}
