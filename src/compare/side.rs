//! The sides of a comparison: an effect, a file that was processed elsewhere, or the dry input.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::sound::{Sound, sha256, sha256_of_file};
use crate::algorithm::UnknownAlgorithm;
use crate::audio::wav::Reader;
use crate::audio::{Audio, WavError};
use crate::effect::{Effect, EffectError};
use crate::measure::{Passage, find_passage, is_long};
use crate::render::{RenderError, render};

/// The text before the path of a side that is a file.
const FILE_PREFIX: &str = "file:";
/// The text of a side that is the input itself.
const DRY: &str = "dry";
/// Shortest file of a side, as a share of the sound's length.
const MIN_LENGTH: f64 = 0.9;

/// One of the two things that are compared.
#[derive(Clone, Debug, PartialEq)]
pub enum Side {
    /// An effect, through which each sound is rendered. Its latency is removed.
    Effect(Effect),
    /// A WAV file: the sound after processing elsewhere, of the same length or longer, with any delay. For several sounds it is a
    /// folder that has a file of the same name for each of them.
    File(PathBuf),
    /// A sound in memory, which was processed elsewhere as a file was.
    Sound(Arc<Sound>),
    /// The sound itself.
    Dry,
}

/// The output of a side for a sound.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// The output: whole, or of a file that is more than a minute longer than the sound, only the part with the sound
    /// ([`find_passage`]).
    pub audio: Audio,
    /// Length of the whole output in frames.
    pub frames: usize,
    /// The beginning of the whole output, as long as the sound, if `audio` is only a part.
    pub beginning: Option<Audio>,
    /// The frames of the file that `audio` has, if it is only a part.
    pub passage: Option<Passage>,
}

impl Output {
    /// A whole output.
    fn whole(audio: Audio) -> Self {
        Self { frames: audio.frames(), beginning: None, passage: None, audio }
    }

    /// Frame of the whole output at which `audio` begins. [any thread]
    #[must_use]
    pub fn first_frame(&self) -> usize {
        self.passage.as_ref().map_or(0, |passage| passage.frames.start)
    }

    /// The output from its first frame on; as long as the sound, or longer. [any thread]
    #[must_use]
    pub fn unaligned(&self) -> &Audio {
        self.beginning.as_ref().unwrap_or(&self.audio)
    }
}

/// The reason why a side has no output for a sound.
#[derive(Debug, thiserror::Error)]
pub enum SideError {
    /// The text is no effect.
    #[error(transparent)]
    Effect(#[from] EffectError),
    /// The text's first word is neither `dry` nor an algorithm.
    #[error("{0}, dry or file:PATH")]
    Unknown(UnknownAlgorithm),
    /// The text is the name of a sound, without `file:`.
    #[error("'{found}' is the name of a sound; expected 'file:{found}'")]
    BareFile {
        /// The text.
        found: String,
    },
    /// The text is not UTF-8.
    #[error("'{found}' is not UTF-8; expected it, except in the path after file:")]
    NotUtf8 {
        /// The text, with replacement characters.
        found: String,
    },
    /// Nothing stands after `file:`.
    #[error("'file:' names no file; expected a path after it")]
    NoPath,
    /// The side's file cannot be read.
    #[error(transparent)]
    Wav(#[from] WavError),
    /// The effect cannot be prepared for the sound.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// The side is one sound in memory, and there are several sounds.
    #[error("{name}: one sound of a side for {sounds} sounds; expected one sound to compare on")]
    OneSound {
        /// Name of the side's sound.
        name: String,
        /// Number of sounds.
        sounds: usize,
    },
    /// The side is one file, and there are several sounds.
    #[error("{}: one file for {sounds} sounds; expected a folder with a file of the same name for each sound", path.display())]
    OneFile {
        /// The file.
        path: PathBuf,
        /// Number of sounds.
        sounds: usize,
    },
    /// The file has another sample rate than the sound.
    #[error("{}: {found} Hz; expected {expected} Hz, the sample rate of {sound}", path.display())]
    OtherRate {
        /// The file, or the name of a sound in memory.
        path: PathBuf,
        /// Name of the sound.
        sound: String,
        /// Sample rate of the file.
        found: u32,
        /// Sample rate of the sound.
        expected: u32,
    },
    /// The file has another number of channels than the sound.
    #[error("{}: {}; expected {}, as {sound} has", path.display(), channels_text(*found), channels_text(*expected))]
    OtherChannels {
        /// The file, or the name of a sound in memory.
        path: PathBuf,
        /// Name of the sound.
        sound: String,
        /// Channels of the file.
        found: usize,
        /// Channels of the sound.
        expected: usize,
    },
    /// The file is much shorter than the sound.
    #[error("{}: {found:.2} s long; expected {expected:.2} s or more, {:.0} % of {sound}", path.display(), 100.0 * MIN_LENGTH)]
    TooShort {
        /// The file, or the name of a sound in memory.
        path: PathBuf,
        /// Name of the sound.
        sound: String,
        /// Seconds of the file.
        found: f64,
        /// Fewest seconds of the file.
        expected: f64,
    },
    /// The output has NaN or infinity.
    #[error("{side}: {value} at frame {frame} of {sound}; expected finite samples")]
    NotFinite {
        /// The side as text.
        side: String,
        /// Name of the sound.
        sound: String,
        /// The first such frame.
        frame: usize,
        /// Its value.
        value: f64,
    },
    /// The output is silent.
    #[error("{side}: silent for {sound}; expected a sound")]
    Silent {
        /// The side as text.
        side: String,
        /// Name of the sound.
        sound: String,
    },
}

/// The number of channels in words.
fn channels_text(count: usize) -> String {
    if count == 1 { "1 channel".into() } else { format!("{count} channels") }
}

/// Reads `dry`, `file:PATH`, or an effect as [`Effect`] reads it. [control thread: opens models]
impl FromStr for Side {
    type Err = SideError;

    fn from_str(text: &str) -> Result<Self, SideError> {
        match (text.trim(), text.strip_prefix(FILE_PREFIX)) {
            (DRY, _) => Ok(Self::Dry),
            (_, Some("")) => Err(SideError::NoPath),
            (_, Some(path)) => Ok(Self::File(path.into())),
            (text, None) if is_sound_name(text) => Err(SideError::BareFile { found: text.into() }),
            (text, None) => match text.parse() {
                Ok(effect) => Ok(Self::Effect(effect)),
                Err(EffectError::Algorithm(unknown)) => Err(SideError::Unknown(unknown)),
                Err(error) => Err(error.into()),
            },
        }
    }
}

/// True if a text is the name of a WAV file, and no effect with settings.
fn is_sound_name(text: &str) -> bool {
    let extension = Path::new(text).extension();
    extension.is_some_and(|extension| extension.eq_ignore_ascii_case("wav")) && !text.contains('=')
}

/// The text that [`Side::from_str`] reads; for an effect whose model is in no file, its algorithm; for a sound in memory, its name.
impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Effect(effect) => f.write_str(&effect.to_text().unwrap_or_else(|_| effect.algorithm().id.into())),
            Self::File(path) => write!(f, "{FILE_PREFIX}{}", path.display()),
            Self::Sound(sound) => f.write_str(&sound.name),
            Self::Dry => f.write_str(DRY),
        }
    }
}

impl Side {
    /// Reads a side as [`Self::from_str`] does; the path after `file:` may be one that is not UTF-8. [control thread: opens models]
    ///
    /// # Errors
    /// The errors of [`Self::from_str`], and [`SideError::NotUtf8`].
    pub fn from_os_text(text: &OsStr) -> Result<Self, SideError> {
        if let Some(text) = text.to_str() {
            return text.parse();
        }
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStrExt;
            if let Some(path) = text.as_bytes().strip_prefix(FILE_PREFIX.as_bytes()) {
                return Ok(Self::File(OsStr::from_bytes(path).into()));
            }
        }
        Err(SideError::NotUtf8 { found: text.to_string_lossy().into_owned() })
    }

    /// The effect, if the side is one. [any thread]
    #[must_use]
    pub fn effect(&self) -> Option<&Effect> {
        if let Self::Effect(effect) = self { Some(effect) } else { None }
    }

    /// The output of the side for a sound, with the sound's rate and channels; finite and not silent. It has the sound's length,
    /// except for a file, which may be longer or a little shorter. Of a file that is more than a minute longer, only the part with
    /// the sound is in memory. `sounds`: the number of sounds that are compared. [control thread: takes its time]
    ///
    /// # Errors
    /// Every [`SideError`] but those of the text.
    pub fn output(&self, sound: &Sound, sounds: usize) -> Result<Output, SideError> {
        let output = match self {
            Self::Effect(effect) => Output::whole(render(effect, &sound.audio)?),
            Self::File(path) => read_file(&self.file_for(path, sound, sounds)?, sound)?,
            Self::Sound(side) if sounds > 1 => return Err(SideError::OneSound { name: side.name.clone(), sounds }),
            Self::Sound(side) => whole(side.audio.clone(), Path::new(&side.name), sound)?,
            Self::Dry => Output::whole(sound.audio.clone()),
        };
        self.check(&output.audio, &sound.name)?;
        Ok(output)
    }

    /// Checks that an output is finite and not silent.
    pub(super) fn check(&self, audio: &Audio, sound: &str) -> Result<(), SideError> {
        let (side, sound) = (self.to_string(), sound.to_owned());
        if let Err(crate::audio::AudioError::NotFinite { frame, value, .. }) = audio.check_finite() {
            return Err(SideError::NotFinite { side, sound, frame, value });
        }
        if audio.peak() == 0.0 {
            return Err(SideError::Silent { side, sound });
        }
        Ok(())
    }

    /// The file of a sound: `path` itself, or the file in the folder `path` that is called as the sound's file.
    fn file_for(&self, path: &Path, sound: &Sound, sounds: usize) -> Result<PathBuf, SideError> {
        if path.is_dir() {
            let name = sound
                .path
                .as_deref()
                .and_then(Path::file_name)
                .map_or_else(|| format!("{}.wav", sound.name).into(), PathBuf::from);
            return Ok(path.join(name));
        }
        if sounds > 1 { Err(SideError::OneFile { path: path.into(), sounds }) } else { Ok(path.into()) }
    }

    /// The side's file for a sound, with its hash; `None` if the side is no file. [control thread: reads the file]
    #[must_use]
    pub fn file_facts(&self, sound: &Sound, sounds: usize) -> Option<FileFacts> {
        let Self::File(path) = self else { return None };
        self.file_for(path, sound, sounds).ok().map(|path| FileFacts::of(&path))
    }

    /// The side's facts for a report. [control thread: reads the file]
    #[must_use]
    pub fn facts(&self) -> SideFacts {
        let (kind, settings, model, file) = match self {
            Self::Effect(effect) => {
                let model = effect.active_model().map(|model| ModelFacts {
                    path: model.path().map(|path| path.display().to_string()),
                    sha256: sha256(model.bytes()),
                    architecture: model.info().architecture.clone(),
                });
                (SideKind::Effect, Some(effect.settings.to_json()), model, None)
            }
            Self::File(path) => (SideKind::File, None, None, Some(FileFacts::of(path))),
            Self::Sound(_) => (SideKind::Sound, None, None, None),
            Self::Dry => (SideKind::Dry, None, None, None),
        };
        SideFacts { kind, text: self.to_string(), settings, model, file }
    }
}

/// Reads the file of a side, or the part of a long one in which the sound is, and checks that it fits the sound.
fn read_file(path: &Path, sound: &Sound) -> Result<Output, SideError> {
    let mut reader = Reader::open(path)?;
    check_format((reader.sample_rate(), reader.channels()), path, sound)?;
    let expected = &sound.audio;
    // The length of a stream is not known, and its place cannot be changed.
    let frames = usize::try_from(reader.frames()).unwrap_or(usize::MAX);
    if frames < usize::MAX && is_long(frames, expected) {
        return read_part(&mut reader, frames, expected);
    }
    whole(reader.read_to_end()?, path, sound)
}

/// Checks that a side's sample rate and channels are those of the sound.
fn check_format((rate, channels): (u32, usize), path: &Path, sound: &Sound) -> Result<(), SideError> {
    let (path, name) = (path.to_path_buf(), sound.name.clone());
    let expected = &sound.audio;
    if rate != expected.sample_rate() {
        return Err(SideError::OtherRate { path, sound: name, found: rate, expected: expected.sample_rate() });
    }
    if channels != expected.channels() {
        return Err(SideError::OtherChannels { path, sound: name, found: channels, expected: expected.channels() });
    }
    Ok(())
}

/// The whole of a side's sound, which must fit the sound that is compared on. `path`: its file, or its name.
fn whole(audio: Audio, path: &Path, sound: &Sound) -> Result<Output, SideError> {
    check_format((audio.sample_rate(), audio.channels()), path, sound)?;
    if (audio.frames() as f64) < MIN_LENGTH * sound.audio.frames() as f64 {
        let expected = MIN_LENGTH * sound.audio.seconds();
        return Err(SideError::TooShort { path: path.into(), sound: sound.name.clone(), found: audio.seconds(), expected });
    }
    Ok(Output::whole(audio))
}

/// Reads the part of a long file in which the sound is.
fn read_part(reader: &mut Reader, frames: usize, sound: &Audio) -> Result<Output, SideError> {
    let passage = find_passage(sound, frames, |at, piece| fill(reader, at, piece))?;
    let mut audio = Audio::silence(sound.sample_rate(), sound.channels(), passage.frames.len());
    fill(reader, passage.frames.start, &mut audio)?;
    let mut beginning = Audio::silence(sound.sample_rate(), sound.channels(), sound.frames());
    fill(reader, 0, &mut beginning)?;
    Ok(Output { audio, frames, beginning: Some(beginning), passage: Some(passage) })
}

/// Fills a sound with the frames of a file from one on.
fn fill(reader: &mut Reader, from: usize, sound: &mut Audio) -> Result<(), WavError> {
    reader.seek(from as u64)?;
    reader.read_block(&mut sound.slices_mut())?;
    Ok(())
}

/// The kind of a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SideKind {
    /// [`Side::Effect`].
    Effect,
    /// [`Side::File`].
    File,
    /// [`Side::Sound`].
    Sound,
    /// [`Side::Dry`].
    Dry,
}

/// A side as it stands in a report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SideFacts {
    /// The kind.
    pub kind: SideKind,
    /// The text from which the side can be made again.
    pub text: String,
    /// Every setting of the effect.
    pub settings: Option<Value>,
    /// The effect's model.
    pub model: Option<ModelFacts>,
    /// The file.
    pub file: Option<FileFacts>,
}

/// A model as it stands in a report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelFacts {
    /// The model's file.
    pub path: Option<String>,
    /// SHA-256 of the file's bytes, in hexadecimal.
    pub sha256: String,
    /// The architecture, as the model's file names it.
    pub architecture: String,
}

/// A file as it stands in a report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FileFacts {
    /// The path.
    pub path: String,
    /// SHA-256 of the bytes, in hexadecimal; `None` for a folder.
    pub sha256: Option<String>,
}

impl FileFacts {
    /// The facts of a file or folder.
    fn of(path: &Path) -> Self {
        Self { path: path.display().to_string(), sha256: sha256_of_file(path).ok() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_is_read_from_the_text_that_it_writes() {
        for text in ["dry", "file:wet.wav", "saturator drive=24 tone=off"] {
            assert_eq!(text.parse::<Side>().unwrap().to_string(), text);
        }
        assert!(matches!("file:".parse::<Side>(), Err(SideError::NoPath)));
    }

    #[test]
    fn a_text_that_is_no_side_is_answered_with_the_way_to_write_one() {
        let error = |text: &str| text.parse::<Side>().unwrap_err().to_string();
        assert!(error("saturatr").ends_with("neural, dry or file:PATH"));
        assert_eq!(error("my wet.WAV"), "'my wet.WAV' is the name of a sound; expected 'file:my wet.WAV'");
        assert_eq!(error("amp.nam"), "'amp.nam' is the name of a model; expected 'neural model=amp.nam'");
        assert_eq!(error("my amp.nam"), "'my amp.nam' is the name of a model; expected 'neural model=\"my amp.nam\"'");
        assert!(error("saturator drve=3").starts_with("'drve' is no parameter of saturator; expected drive"));
    }

    #[cfg(unix)]
    #[test]
    fn the_path_of_a_file_may_be_other_than_utf8_and_no_other_text() {
        use std::os::unix::ffi::OsStrExt;
        let side = |bytes: &[u8]| Side::from_os_text(OsStr::from_bytes(bytes));
        assert!(matches!(side(b"file:m\xe9.wav"), Ok(Side::File(path)) if path.as_os_str().as_bytes() == b"m\xe9.wav"));
        assert!(matches!(side(b"dry"), Ok(Side::Dry)));
        assert!(
            side(b"neural model=m\xe9.nam").unwrap_err().to_string().starts_with("'neural model=m\u{FFFD}.nam' is not UTF-8")
        );
    }

    #[test]
    fn a_file_that_does_not_fit_the_sound_is_named_with_both_sides() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wet.wav");
        let sound = Sound::new("dry".into(), Audio::from_mono(48_000, &[0.5; 1000]).unwrap()).unwrap();
        let error = |audio: &Audio, sounds: usize| {
            crate::audio::wav::write(&path, audio, crate::audio::WavFormat::Float32).unwrap();
            Side::File(path.clone()).output(&sound, sounds).unwrap_err().to_string()
        };
        let tone = |rate, frames| Audio::from_mono(rate, &vec![0.5; frames]).unwrap();
        assert!(error(&tone(44_100, 1000), 1).ends_with("44100 Hz; expected 48000 Hz, the sample rate of dry"));
        assert!(
            error(&tone(48_000, 1000).repeat_channels(2).unwrap(), 1).ends_with("2 channels; expected 1 channel, as dry has")
        );
        assert!(error(&tone(48_000, 500), 1).ends_with("0.01 s long; expected 0.02 s or more, 90 % of dry"));
        assert!(error(&tone(48_000, 1000), 3).contains("one file for 3 sounds"));
        assert!(error(&Audio::silence(48_000, 1, 1000), 1).contains("silent for dry"));
    }
}
