//! An algorithm (one row of the registry) and its settings: a value for each of its parameters.

use std::fmt;

use super::parameter::{ChangeMode, Parameter, ParameterIndex, ValueError};
use super::{PrepareError, ProcessSpec, Processor};

/// Largest number of parameters of an algorithm. The limit lets [`Settings`] be copied on the audio thread without allocation.
pub const MAX_PARAMETERS: usize = 16;

/// An algorithm: one row of the registry ([`REGISTRY`](crate::algorithm::REGISTRY)).
#[derive(Debug)]
pub struct Algorithm {
    /// Identifier, which never changes: part of states, presets and command lines. Lower case, words joined by `_`.
    pub id: &'static str,
    /// Name that a user reads.
    pub name: &'static str,
    /// Effect on a sound, in one sentence.
    pub description: &'static str,
    /// At most [`MAX_PARAMETERS`], in the order of the editor and the reference page. Hosts list parameters in another order,
    /// that of their release.
    pub parameters: &'static [Parameter],
    /// True if the algorithm plays a model. Without a model it can still be prepared.
    pub plays_model: bool,
    /// Makes a processor; called by [`Settings::prepare`] only, which checks the `ProcessSpec`.
    pub prepare: PrepareFn,
}

/// A function that makes a processor from settings. [control thread: allocates]
pub type PrepareFn = fn(ProcessSpec, &Settings) -> Result<Box<dyn Processor>, PrepareError>;

impl Algorithm {
    /// Clamps a value for a ramped parameter; `None` if the parameter is structural or does not exist. [any thread]
    #[must_use]
    pub fn clamp_ramped(&self, index: ParameterIndex, value: f32) -> Option<f32> {
        let parameter = self.parameters.get(index).filter(|parameter| parameter.change == ChangeMode::Ramped)?;
        Some(parameter.clamp(value))
    }
}

/// An error while a parameter is set from a name and a text.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SettingError {
    /// The algorithm has no parameter of this name.
    #[error("'{found}' is no parameter of {algorithm}; expected {expected}")]
    Parameter {
        /// The algorithm's id.
        algorithm: &'static str,
        /// The name.
        found: String,
        /// Names of the algorithm's parameters, for the message.
        expected: String,
    },
    /// The text is not a value of the parameter.
    #[error(transparent)]
    Value(#[from] ValueError),
}

/// An algorithm and a value for each of its parameters. Plain data: copied without allocation.
#[derive(Clone, Copy)]
pub struct Settings {
    algorithm: &'static Algorithm,
    values: [f32; MAX_PARAMETERS],
}

impl Settings {
    /// Settings with every parameter at its default. [any thread]
    #[must_use]
    pub fn new(algorithm: &'static Algorithm) -> Self {
        let mut values = [0.0; MAX_PARAMETERS];
        for (value, parameter) in values.iter_mut().zip(algorithm.parameters) {
            *value = parameter.default();
        }
        Self { algorithm, values }
    }

    /// Makes a processor with these settings, in the state of a `reset`. An algorithm that plays models gets none here;
    /// `Effect::prepare` gives it the effect's. [control thread: allocates]
    ///
    /// # Errors
    /// [`PrepareError`] if `spec` is out of range, or the algorithm cannot run with it.
    pub fn prepare(&self, spec: ProcessSpec) -> Result<Box<dyn Processor>, PrepareError> {
        spec.check()?;
        (self.algorithm.prepare)(spec, self)
    }

    /// The algorithm of these settings. [any thread]
    #[must_use]
    pub fn algorithm(&self) -> &'static Algorithm {
        self.algorithm
    }

    /// The plain value of a parameter. [any thread]
    ///
    /// # Panics
    /// If the algorithm has no parameter at `index`.
    #[must_use]
    pub fn get(&self, index: ParameterIndex) -> f32 {
        assert!(index < self.algorithm.parameters.len(), "{} has no parameter {index}", self.algorithm.id);
        self.values[index]
    }

    /// Sets a parameter to the nearest value that it can have. [any thread]
    ///
    /// # Panics
    /// If the algorithm has no parameter at `index`.
    pub fn set(&mut self, index: ParameterIndex, value: f32) {
        self.values[index] = self.algorithm.parameters[index].clamp(value);
    }

    /// Returns the settings with the parameter `id` at the nearest value that it can have. For an `id` that is written in the
    /// code; [`Self::parse`] is for text from a user. [any thread]
    ///
    /// # Panics
    /// If the algorithm has no parameter `id`.
    #[must_use]
    pub fn with(mut self, id: &str, value: f32) -> Self {
        let index = self.index(id).unwrap_or_else(|| panic!("{} has no parameter '{id}'", self.algorithm.id));
        self.set(index, value);
        self
    }

    /// Sets a parameter from a name and a text that a user wrote; the name may have `-` for `_`. [control thread]
    ///
    /// # Errors
    /// [`SettingError`] if the algorithm has no such parameter, or the text is not a value of it.
    pub fn parse(&mut self, name: &str, text: &str) -> Result<(), SettingError> {
        let index = self.index(&name.replace('-', "_")).ok_or_else(|| {
            let names: Vec<String> = self.algorithm.parameters.iter().map(|p| p.id.replace('_', "-")).collect();
            SettingError::Parameter { algorithm: self.algorithm.id, found: name.into(), expected: names.join(", ") }
        })?;
        self.set(index, self.algorithm.parameters[index].parse(text)?);
        Ok(())
    }

    /// The index of the parameter `id`; `None` if the algorithm has no such parameter. [any thread]
    #[must_use]
    pub fn index(&self, id: &str) -> Option<ParameterIndex> {
        self.algorithm.parameters.iter().position(|p| p.id == id)
    }

    /// Every parameter with its plain value, in the algorithm's order. [any thread]
    pub fn iter(&self) -> impl Iterator<Item = (&'static Parameter, f32)> + '_ {
        self.algorithm.parameters.iter().zip(self.values)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut s = f.debug_struct(self.algorithm.id);
        for (parameter, value) in self.iter() {
            s.field(parameter.id, &value);
        }
        s.finish()
    }
}

impl PartialEq for Settings {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.algorithm, other.algorithm) && self.values == other.values
    }
}
