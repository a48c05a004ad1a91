//! The sounds of a study as text: a WAV file, or a built-in sound with its level.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::compare::{BuiltIn, SoundSource};
use crate::dsp::parse_number;

/// Peak level in dBFS of a built-in sound whose text has none.
const LEVEL_DB: f64 = -3.0;
/// The peak levels in dBFS that a built-in sound may have.
const LEVELS_DB: (f64, f64) = (-120.0, 0.0);

/// A sound as a study names it: `riff.wav`, `guitar`, `drums -20`.
#[derive(Clone, Debug, PartialEq)]
pub enum SoundText {
    /// A WAV file.
    File(PathBuf),
    /// A built-in sound with its peak level in dBFS.
    BuiltIn(BuiltIn, f64),
}

/// A text that names no sound.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SoundTextError {
    /// The text is neither a WAV file's name nor a built-in sound.
    #[error(
        "'{0}' is no sound; expected the name of a .wav file, or one of {names} with a level in dBFS, as in 'guitar -20'",
        names = BuiltIn::ALL.map(BuiltIn::name).join(", ")
    )]
    Unknown(String),
    /// The level is no number, or out of range.
    #[error("'{0}' is no level; expected a number of dBFS from {min} to {max}", min = LEVELS_DB.0, max = LEVELS_DB.1)]
    Level(String),
}

impl FromStr for SoundText {
    type Err = SoundTextError;

    fn from_str(text: &str) -> Result<Self, SoundTextError> {
        let text = text.trim();
        let path = PathBuf::from(text);
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("wav")) {
            return Ok(Self::File(path));
        }
        let (name, level) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let kind = BuiltIn::ALL.into_iter().find(|kind| kind.name() == name);
        let kind = kind.ok_or_else(|| SoundTextError::Unknown(text.into()))?;
        let level = level.trim().trim_end_matches("dBFS").trim();
        if level.is_empty() {
            return Ok(Self::BuiltIn(kind, LEVEL_DB));
        }
        let number = parse_number(level).filter(|level| (LEVELS_DB.0..=LEVELS_DB.1).contains(level));
        Ok(Self::BuiltIn(kind, number.ok_or_else(|| SoundTextError::Level(level.into()))?))
    }
}

/// The text that [`SoundText::from_str`] reads as this sound.
impl fmt::Display for SoundText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::BuiltIn(kind, level) => write!(f, "{} {level}", kind.name()),
        }
    }
}

impl SoundText {
    /// True if another seed gives another sound. [any thread]
    #[must_use]
    pub const fn is_random(&self) -> bool {
        matches!(self, Self::BuiltIn(kind, _) if kind.is_random())
    }

    /// The sound to compare on, generated from `seed` if it is built in. [control thread: allocates]
    #[must_use]
    pub fn source(&self, seed: u64) -> SoundSource {
        match self {
            Self::File(path) => SoundSource::File(path.clone()),
            Self::BuiltIn(kind, level) => SoundSource::BuiltIn(*kind, *level, seed),
        }
    }
}
