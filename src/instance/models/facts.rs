//! Facts about a model for the panels: from its file, and measured here.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::dsp::CHUNK;
use crate::neural::engine::Mode;
use crate::neural::{Info, Model};
use crate::view::ModelFacts;

/// Frames that one measurement of the cost takes at least, and time for all of them: enough for a minimum that is not noise.
const COST_FRAMES: usize = 1024;
const COST_TIME: Duration = Duration::from_millis(5);

/// What the file says of a model; what is measured comes later.
pub fn said(model: &Model, path: Option<PathBuf>) -> ModelFacts {
    let info: &Info = model.info();
    let stem = path.as_deref().and_then(Path::file_stem).map(|s| s.to_string_lossy().into_owned());
    let gear: Vec<&str> =
        [&info.gear_make, &info.gear_model, &info.gear_type, &info.tone_type].into_iter().flatten().map(String::as_str).collect();
    ModelFacts {
        name: info.name.clone().or(stem).unwrap_or_else(|| "Model without a name".into()),
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
    }
}

/// Adds what is measured on this machine: time and delay.
///
/// # Errors
/// If it cannot run here.
pub fn measured(model: &Model, said: &ModelFacts) -> Result<ModelFacts, String> {
    let size = largest(model);
    let cost_ns = cost_ns(model, size)?;
    let alignment = model.alignment(size)?;
    let polarity = if alignment.inverted { ", polarity inverted" } else { "" };
    let doubt = if alignment.ambiguous { " (ambiguous)" } else { "" };
    let delay = format!("{:.2} samples{polarity}{doubt}", alignment.delay_frames);
    Ok(ModelFacts { cost_ns: Some(cost_ns), delay: Some(delay), ..said.clone() })
}

/// Runs a chunk, so that a network that cannot run on this machine is found here and not on the audio thread.
///
/// # Errors
/// If it cannot run.
pub fn check(model: &Model) -> Result<(), String> {
    let size = largest(model);
    let mut voices = model.network(size).clone().voices(Mode::new(1))?;
    voices.set_offline(true);
    let middle = [0.5; CHUNK];
    voices.process(&mut [&mut [0.1; CHUNK]], &vec![&middle[..]; model.knobs(size)]);
    Ok(())
}

/// The size of a model that its facts are of.
fn largest(model: &Model) -> usize {
    model.sizes().len() - 1
}

/// Time that one channel of a size takes, a sample: the least of some measurements.
fn cost_ns(model: &Model, size: usize) -> Result<f32, String> {
    let mut voices = model.network(size).clone().voices(Mode::new(1))?;
    voices.set_offline(true);
    let middle = [0.5; CHUNK];
    let knobs = vec![&middle[..]; model.knobs(size)];
    // A network that works in long chunks gets several.
    let chunks = (2 * voices.latency()).max(COST_FRAMES).div_ceil(CHUNK);
    let mut least = Duration::MAX;
    let begin = Instant::now();
    while least == Duration::MAX || begin.elapsed() < COST_TIME {
        let start = Instant::now();
        for _ in 0..chunks {
            // Never at rest, never denormal.
            let mut block: [f32; CHUNK] = std::array::from_fn(|i| if i % 2 == 0 { 0.1 } else { -0.1 });
            voices.process(&mut [&mut block], &knobs);
        }
        least = least.min(start.elapsed());
    }
    Ok(least.as_nanos() as f32 / (chunks * CHUNK) as f32)
}

/// What went wrong while a model played.
pub fn trouble(model: &Model) -> Option<String> {
    match (model.explosions(), model.misses()) {
        (0, 0) => None,
        (0, misses) => Some(format!("its output was late {misses} times: the dry sound was heard instead")),
        (explosions, _) => Some(format!("its output was no number {explosions} times: silenced and begun anew")),
    }
}
