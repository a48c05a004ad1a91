//! One row of the registry, and a value for each of its parameters.

use std::fmt;

use super::parameter::{Change, Index, Parameter, ValueError};
use super::{PrepareError, Processor, Spec};

/// The most parameters that a row may list; lets [`Settings`] live on the stack and be copied on the audio thread.
pub const MAX_PARAMETERS: usize = 16;

/// One row of the registry: an algorithm.
#[derive(Debug)]
pub struct Algorithm {
    /// Stable for ever: part of states, presets and command lines. Lower case, words joined by `_`.
    pub id: &'static str,
    /// What a user reads.
    pub name: &'static str,
    /// One sentence: what it does to a sound.
    pub description: &'static str,
    /// At most [`MAX_PARAMETERS`], in the order of the editor and the reference page. Hosts have them in the order in which they were
    /// released, wherever the row lists them.
    pub parameters: &'static [Parameter],
    /// Whether it plays a model; without one it still is a processor.
    pub model: bool,
    /// A processor with these settings, which are this row's, for a `spec` that was checked: [`Settings::prepare`].
    pub prepare: fn(Spec, &Settings) -> Result<Box<dyn Processor>, PrepareError>,
}

impl Algorithm {
    /// The nearest value that a ramped parameter can have; nothing for a structural one, or where the row has none. [any thread]
    #[must_use]
    pub fn ramped(&self, index: Index, value: f32) -> Option<f32> {
        self.parameters.get(index).filter(|parameter| parameter.change == Change::Ramped).map(|parameter| parameter.clamp(value))
    }
}

/// Why a name and a text set no parameter.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SettingError {
    #[error("'{found}' is no parameter of {algorithm}; expected {expected}")]
    Parameter { algorithm: &'static str, found: String, expected: String },
    #[error(transparent)]
    Value(#[from] ValueError),
}

/// An algorithm and a value for each of its parameters: plain data that is copied freely.
#[derive(Clone, Copy)]
pub struct Settings {
    algorithm: &'static Algorithm,
    values: [f32; MAX_PARAMETERS],
}

impl Settings {
    /// Every parameter at its default. [any thread]
    #[must_use]
    pub fn new(algorithm: &'static Algorithm) -> Self {
        let mut values = [0.0; MAX_PARAMETERS];
        for (value, parameter) in values.iter_mut().zip(algorithm.parameters) {
            *value = parameter.default();
        }
        Self { algorithm, values }
    }

    /// A processor with these settings, which is as if `reset`: without a model, where the algorithm plays one. [control thread:
    /// allocates]
    ///
    /// # Errors
    /// If `spec` is out of range, or the algorithm cannot run for it.
    pub fn prepare(&self, spec: Spec) -> Result<Box<dyn Processor>, PrepareError> {
        spec.check()?;
        (self.algorithm.prepare)(spec, self)
    }

    /// [any thread]
    #[must_use]
    pub fn algorithm(&self) -> &'static Algorithm {
        self.algorithm
    }

    /// The plain value of a parameter. [any thread]
    ///
    /// # Panics
    /// If the row has no parameter at `index`.
    #[must_use]
    pub fn get(&self, index: Index) -> f32 {
        assert!(index < self.algorithm.parameters.len(), "{} has no parameter {index}", self.algorithm.id);
        self.values[index]
    }

    /// Sets a parameter to the nearest value that it can have. [any thread]
    ///
    /// # Panics
    /// If the row has no parameter at `index`.
    pub fn set(&mut self, index: Index, value: f32) {
        self.values[index] = self.algorithm.parameters[index].clamp(value);
    }

    /// This with `id` set to the nearest value that it can have: for code that names a parameter. [any thread]
    ///
    /// # Panics
    /// If the row has no parameter `id`.
    #[must_use]
    pub fn with(mut self, id: &str, value: f32) -> Self {
        let index = self.index(id).unwrap_or_else(|| panic!("{} has no parameter '{id}'", self.algorithm.id));
        self.set(index, value);
        self
    }

    /// Sets a parameter as a user names it, `-` for `_`, to the value that a text means. [control thread]
    ///
    /// # Errors
    /// If the row has no such parameter, or the text is no value of it.
    pub fn parse(&mut self, name: &str, text: &str) -> Result<(), SettingError> {
        let index = self.index(&name.replace('-', "_")).ok_or_else(|| {
            let own: Vec<String> = self.algorithm.parameters.iter().map(|p| p.id.replace('_', "-")).collect();
            SettingError::Parameter { algorithm: self.algorithm.id, found: name.into(), expected: own.join(", ") }
        })?;
        self.set(index, self.algorithm.parameters[index].parse(text)?);
        Ok(())
    }

    /// Where the row lists `id`. [any thread]
    #[must_use]
    pub fn index(&self, id: &str) -> Option<Index> {
        self.algorithm.parameters.iter().position(|p| p.id == id)
    }

    /// Every parameter with its value, in the row's order. [any thread]
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
