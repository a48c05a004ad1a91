//! What a frontier makes twins of, an effect or a circuit: its text, the training of a twin, and its time.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Instant;

use super::plan::{Budget, Cell, Work};
use crate::audio::{Audio, generate};
use crate::compare::{Side, Sound};
use crate::dsp::parse_number;
use crate::effect::{Effect, EffectError};
use crate::train::triode::{OVERSAMPLING, SolveError, TriodeStage};

/// The name of the circuit.
const TRIODE: &str = "triode";
/// Volts for full scale at the circuit's input, if the text does not tell.
const VOLTS: f64 = 2.0;
/// The volts that the circuit takes.
const VOLTS_RANGE: (f64, f64) = (0.001, 100.0);
/// Noise on which the circuit's time is measured: rate in hertz, RMS level, frames, and runs, of which the median counts.
const CIRCUIT_NOISE: (u32, f64, usize, usize) = (48_000, 0.1, 9600, 5);

/// An effect without a model, or a circuit, of which twins are trained. Its text is that of an effect, or `triode volts=V`.
#[derive(Clone, Debug, PartialEq)]
pub enum Twinned {
    /// An effect.
    Effect(Effect),
    /// The 12AX7 stage.
    Triode(TriodeStage),
}

/// A text of which no twin can be made.
#[derive(Debug, thiserror::Error)]
pub enum TwinnedError {
    /// The text is no effect.
    #[error("{0}, or triode, as in 'triode volts=2'")]
    Effect(EffectError),
    /// The effect plays a model, which needs no twin.
    #[error("'{0}' plays a model; expected an effect of which a twin can be trained, as 'saturator drive=24'")]
    Model(String),
    /// The setting of the circuit is none.
    #[error("'{found}' is no setting of triode; expected volts=V, {} to {}", VOLTS_RANGE.0, VOLTS_RANGE.1)]
    Volts {
        /// The setting.
        found: String,
    },
    /// The circuit has no solution for a sample.
    #[error(transparent)]
    Solve(#[from] SolveError),
}

impl FromStr for Twinned {
    type Err = TwinnedError;

    fn from_str(text: &str) -> Result<Self, TwinnedError> {
        let mut words = text.split_whitespace();
        if words.next() == Some(TRIODE) {
            let mut stage = TriodeStage { volts: VOLTS, oversampling: OVERSAMPLING };
            for word in words {
                let volts = word.strip_prefix("volts=").and_then(parse_number);
                let volts = volts.filter(|volts| (VOLTS_RANGE.0..=VOLTS_RANGE.1).contains(volts));
                stage.volts = volts.ok_or_else(|| TwinnedError::Volts { found: word.into() })?;
            }
            return Ok(Self::Triode(stage));
        }
        let effect: Effect = text.parse().map_err(TwinnedError::Effect)?;
        if effect.algorithm().plays_model {
            return Err(TwinnedError::Model(text.trim().into()));
        }
        Ok(Self::Effect(effect))
    }
}

/// The text that [`Twinned::from_str`] reads.
impl fmt::Display for Twinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Effect(effect) => f.write_str(&effect.to_text().unwrap_or_else(|_| effect.algorithm().id.into())),
            Self::Triode(stage) => write!(f, "{TRIODE} volts={}", stage.volts),
        }
    }
}

impl Twinned {
    /// The side to compare a twin with on one sound. [control thread: takes its time]
    ///
    /// # Errors
    /// [`TwinnedError::Solve`].
    pub(super) fn side(&self, sound: &Sound) -> Result<Side, TwinnedError> {
        let stage = match self {
            Self::Effect(effect) => return Ok(Side::Effect(effect.clone())),
            Self::Triode(stage) => stage,
        };
        let audio = &sound.audio;
        let channels: Result<Vec<_>, _> = audio.iter().map(|channel| stage.render(audio.sample_rate(), channel)).collect();
        let channels = channels?;
        let slices: Vec<&[f32]> = channels.iter().map(Vec::as_slice).collect();
        let wet = Audio::from_channels(audio.sample_rate(), &slices).expect("as many equally long channels as the sound has");
        let wet = Sound { name: self.to_string(), path: None, audio: wet, sha256: String::new() };
        Ok(Side::Sound(wet.into()))
    }

    /// Time of the circuit for a sample in nanoseconds, the median of some runs over noise; `None` for an effect, whose time is
    /// measured beside its twin's. [control thread: takes its time]
    ///
    /// # Errors
    /// [`TwinnedError::Solve`].
    pub(super) fn circuit_ns(&self) -> Result<Option<f64>, TwinnedError> {
        let Self::Triode(stage) = self else { return Ok(None) };
        let (rate, rms, frames, runs) = CIRCUIT_NOISE;
        let noise = generate::pink(rate, rms, frames, 1).expect("the noise has a length and a level");
        let mut times = Vec::with_capacity(runs);
        for _ in 0..runs {
            let start = Instant::now();
            stage.render(rate, noise.channel(0))?;
            times.push(start.elapsed().as_secs_f64() * 1e9 / frames as f64);
        }
        times.sort_by(f64::total_cmp);
        Ok(Some(times[runs / 2]))
    }

    /// The arguments of `isotherm train` that say what is learnt.
    fn target_arguments(&self) -> Vec<String> {
        match self {
            Self::Effect(effect) => {
                let algorithm = effect.algorithm();
                let mut arguments = vec!["--target".into(), algorithm.id.into()];
                let text = effect.to_text().unwrap_or_default();
                for (name, value) in text.split_whitespace().filter_map(|word| word.split_once('=')) {
                    arguments.push(format!("--{}={value}", name.replace('_', "-")));
                }
                arguments
            }
            Self::Triode(stage) => vec!["--target".into(), TRIODE.into(), "--volts".into(), stage.volts.to_string()],
        }
    }
}

/// The arguments of `isotherm train` for the twin of a cell, without the program's name.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingArguments(pub Vec<String>);

impl TrainingArguments {
    /// The arguments for a cell that trains, with the folder for the twin; `None` for another cell. With `resume` the training
    /// goes on at the checkpoint in the folder. [any thread: allocates]
    ///
    /// # Errors
    /// If the effect cannot be read.
    pub fn of(cell: &Cell, folder: &Path, resume: bool) -> Result<Option<Self>, TwinnedError> {
        let Work::Twin { a, network, budget, look_ahead, slow, material_seconds, .. } = &cell.work else { return Ok(None) };
        let mut arguments = vec!["train".to_owned()];
        arguments.extend(a.parse::<Twinned>()?.target_arguments());
        arguments.extend(["--network".into(), network.clone(), "--look-ahead".into(), look_ahead.to_string()]);
        match budget {
            Budget::Minutes(minutes) => arguments.extend(["--minutes".into(), minutes.to_string()]),
            Budget::Steps(steps) => arguments.extend(["--steps".into(), steps.to_string()]),
        }
        arguments.extend(["--material".into(), material_seconds.to_string()]);
        arguments.extend(["--seed".into(), cell.seed.unwrap_or(1).to_string()]);
        arguments.extend(slow.then(|| "--slow".to_owned()));
        arguments.extend(resume.then(|| "--resume".to_owned()));
        arguments.extend(["--out".into(), folder.to_string_lossy().into_owned()]);
        Ok(Some(Self(arguments)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effects_and_the_circuit_are_read_from_the_text_that_they_write_and_models_are_refused() {
        for text in ["saturator drive=24", "bitcrusher bits=6", "triode volts=2", "triode volts=0.5"] {
            assert_eq!(text.parse::<Twinned>().unwrap().to_string(), text);
        }
        let error = |text: &str| text.parse::<Twinned>().unwrap_err().to_string();
        assert!(error("saturatr").ends_with("neural, or triode, as in 'triode volts=2'"), "{}", error("saturatr"));
        assert_eq!(error("triode volts=0"), "'volts=0' is no setting of triode; expected volts=V, 0.001 to 100");
        assert!(error("neural model=none").starts_with("'neural model=none' plays a model; expected an effect"));
    }
}
