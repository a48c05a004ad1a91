//! The sides of a test, resolved: effects as values, files as samples, and what a side changes after matching. A session's folder
//! keeps them.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use super::ladder::LadderKind;
use crate::audio::wav::{WavFormat, read_with, write};
use crate::audio::{Audio, NonFinitePolicy, WavError};
use crate::compare::{Side, SideError as FileSideError, Sound, SoundError};
use crate::effect::{Effect, EffectError};
use crate::neural::{Model, ModelError};
use crate::view::{Change, SideChoice, Slot};

/// Sound of a file before and after the loop that is kept, in seconds: the delays that an alignment looks for.
pub(super) const FILE_MARGIN_SECONDS: f64 = 1.5;
/// Text before that of an effect in a slot.
const SLOT_NAMES: [&str; 2] = ["slot A: ", "slot B: "];
/// Largest gain of a [`Change`] in dB.
const MOST_GAIN_DB: f32 = 24.0;
/// Largest delay of a [`Change`] in frames.
const MOST_DELAY_FRAMES: f32 = 10_000.0;

/// The thing that a side plays.
#[derive(Clone, Debug, PartialEq)]
pub enum SideSource {
    /// An effect, through which the loop is rendered.
    Effect(Effect),
    /// A sound that was processed elsewhere.
    File {
        /// Name of the file.
        name: String,
        /// The samples.
        audio: Arc<Audio>,
        /// Frames of `audio` before the first frame of the test's sound.
        lead: usize,
    },
    /// The sound itself.
    Dry,
}

/// A side of a test that needs nothing else: effects hold their model, files their samples.
#[derive(Clone, Debug, PartialEq)]
pub struct ResolvedSide {
    /// The thing that the side plays.
    pub source: SideSource,
    /// A gain or a delay after matching; never [`Change::Setting`], which is in the effect.
    pub change: Option<Change>,
    /// The side in words for the record.
    pub text: String,
}

/// The reason why a side cannot be resolved, saved or loaded.
#[derive(Debug, thiserror::Error)]
pub enum SideError {
    /// Both sides are the other one with a change.
    #[error("both sides are the other side with a change; expected one side that stands alone")]
    BothChanged,
    /// There is no such slot.
    #[error("slot {found}; expected 0 (A) or 1 (B)")]
    Slot {
        /// The slot's number.
        found: usize,
    },
    /// A setting is changed of a side that is no effect.
    #[error("'{setting}': the other side is {other}, which has no settings; expected an effect there")]
    NoSettings {
        /// The setting.
        setting: String,
        /// The other side.
        other: &'static str,
    },
    /// A gain or delay that is out of range.
    #[error("{what} of {found}; expected {least} to {most} {unit}")]
    Range {
        /// The changed thing.
        what: &'static str,
        /// The value that was found.
        found: f32,
        /// Lowest value.
        least: f32,
        /// Highest value.
        most: f32,
        /// Unit of the values.
        unit: &'static str,
    },
    /// The text is no effect, or has no such setting.
    #[error(transparent)]
    Effect(#[from] EffectError),
    /// The file does not fit the sound.
    #[error(transparent)]
    File(#[from] FileSideError),
    /// The sound is none.
    #[error(transparent)]
    Sound(#[from] SoundError),
    /// The effect's model was made in memory, so that a session cannot keep it.
    #[error("{side}: its model is in no file, so a session cannot keep it; expected a model that was opened")]
    ModelWithoutBytes {
        /// The side in words.
        side: String,
    },
    /// The model of a session cannot be read.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A sound of a session cannot be read or written.
    #[error(transparent)]
    Wav(#[from] WavError),
    /// A file of a session cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A file of a session holds no side.
    #[error("{}: {found}; expected {expected}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The thing that was found.
        found: String,
        /// The thing that was expected.
        expected: &'static str,
    },
}

/// The sides of a test. `slots` are the effects in slot A and B, `sound` the sound from which the loop is cut, to which a file must
/// fit. [control thread: reads files]
///
/// # Errors
/// [`SideError`].
pub fn resolve_sides(choices: &[SideChoice; 2], slots: &[Effect; 2], sound: &Audio) -> Result<[ResolvedSide; 2], SideError> {
    let resolve = |choice: &SideChoice| -> Result<Option<ResolvedSide>, SideError> {
        let (source, text) = match choice {
            SideChoice::Changed(_) => return Ok(None),
            SideChoice::Slot(slot) => {
                let effect = slots.get(*slot).ok_or(SideError::Slot { found: *slot })?;
                let name = SLOT_NAMES[usize::from(*slot != Slot::A as usize)];
                (SideSource::Effect(effect.clone()), format!("{name}{}", effect_text(effect)))
            }
            SideChoice::Dry => (SideSource::Dry, "dry".into()),
            SideChoice::Effect(text) => {
                let effect: Effect = text.parse()?;
                let text = effect_text(&effect);
                (SideSource::Effect(effect), text)
            }
            SideChoice::File(path) => {
                let sound = Sound::new("the sound of the test".into(), sound.clone())?;
                let audio = Arc::new(Side::File(path.clone()).output(&sound, 1)?.audio);
                let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
                let text = format!("file:{}", path.display());
                (SideSource::File { name, audio, lead: 0 }, text)
            }
        };
        Ok(Some(ResolvedSide { source, change: None, text }))
    };
    match (resolve(&choices[0])?, resolve(&choices[1])?, choices) {
        (Some(a), Some(b), _) => Ok([a, b]),
        (Some(a), None, [_, SideChoice::Changed(change)]) => {
            let b = a.changed(change, "A")?;
            Ok([a, b])
        }
        (None, Some(b), [SideChoice::Changed(change), _]) => {
            let a = b.changed(change, "B")?;
            Ok([a, b])
        }
        _ => Err(SideError::BothChanged),
    }
}

/// The ladder for side A, `a`: that of B's own error if there are no `rungs`, else those below the last one, which is side B. The rest
/// is as for [`resolve_sides`]. [control thread: reads files]
///
/// # Errors
/// [`SideError`].
pub fn resolve_ladder(a: &SideChoice, rungs: &[SideChoice], slots: &[Effect; 2], sound: &Audio) -> Result<LadderKind, SideError> {
    let Some((_, below)) = rungs.split_last() else { return Ok(LadderKind::Error) };
    let resolve = |rung: &SideChoice| resolve_sides(&[a.clone(), rung.clone()], slots, sound).map(|[_, rung]| rung);
    below.iter().map(resolve).collect::<Result<_, _>>().map(LadderKind::Measured)
}

/// Name of the files that keep a rung of a measured ladder below side B, from 1.
pub(super) fn rung_file(rung: usize) -> String {
    format!("rung-{rung}")
}

/// An effect as text; its algorithm if its model is in no file.
fn effect_text(effect: &Effect) -> String {
    effect.to_text().unwrap_or_else(|_| effect.algorithm().id.into())
}

impl ResolvedSide {
    /// This side with one thing changed; `name` is this side's name.
    fn changed(&self, change: &Change, name: &str) -> Result<Self, SideError> {
        let range = |what, found: f32, most: f32, unit| {
            if found.abs() <= most { Ok(()) } else { Err(SideError::Range { what, found, least: -most, most, unit }) }
        };
        let mut side = self.clone();
        match change {
            Change::Setting(setting) => {
                let effect = match &mut side.source {
                    SideSource::Effect(effect) => effect,
                    SideSource::Dry => return Err(SideError::NoSettings { setting: setting.clone(), other: "dry" }),
                    SideSource::File { .. } => return Err(SideError::NoSettings { setting: setting.clone(), other: "a file" }),
                };
                *effect = effect.with_setting(setting)?;
                side.text = format!("{name} with {setting}: {}", effect_text(effect));
            }
            Change::GainDb(gain_db) => {
                range("gain", *gain_db, MOST_GAIN_DB, "dB")?;
                side.change = Some(change.clone());
                side.text = format!("{name} {gain_db:+} dB");
            }
            Change::DelayFrames(frames) => {
                range("delay", *frames, MOST_DELAY_FRAMES, "frames")?;
                side.change = Some(change.clone());
                side.text = format!("{name} {frames} frames later");
            }
        }
        Ok(side)
    }

    /// The side for a loop that is cut from its sound: a file keeps only the loop's part, with [`FILE_MARGIN_SECONDS`] around it.
    pub(super) fn for_loop(&self, start: usize, frames: usize) -> Self {
        let mut side = self.clone();
        if let SideSource::File { audio, lead, .. } = &mut side.source {
            let margin = (FILE_MARGIN_SECONDS * f64::from(audio.sample_rate())) as usize;
            let from = (*lead + start).min(audio.frames());
            let first = from.saturating_sub(margin);
            let last = (from + frames + margin).min(audio.frames());
            *audio = Arc::new(audio.slice(first..last).expect("the positions are limited to the file"));
            *lead = from - first;
        }
        side
    }

    /// Writes the side to `folder` as `name.json`, with the bytes of its model as `name-model.*`, or its samples as `name.wav`
    /// (32-bit float). All files are on the disk when this returns. [control thread: does I/O]
    ///
    /// # Errors
    /// [`SideError::ModelWithoutBytes`], [`SideError::Io`], [`SideError::Wav`].
    pub fn save(&self, folder: &Path, name: &str) -> Result<(), SideError> {
        let mut value = json!({ "text": self.text, "change": self.change });
        match &self.source {
            SideSource::Dry => value["kind"] = json!("dry"),
            SideSource::File { name: file, audio, lead } => {
                let path = folder.join(format!("{name}.wav"));
                write(&path, audio, WavFormat::Float32)?;
                sync(&path)?;
                value["kind"] = json!("file");
                value["file"] = json!(format!("{name}.wav"));
                value["name"] = json!(file);
                value["lead"] = json!(lead);
            }
            SideSource::Effect(effect) => {
                let mut object = json!({ "algorithm": effect.algorithm().id, "settings": effect.settings.to_json() });
                if effect.algorithm().plays_model {
                    object["model"] = match &effect.model {
                        None => Value::Null,
                        Some(model) if model.bytes().is_empty() => {
                            return Err(SideError::ModelWithoutBytes { side: self.text.clone() });
                        }
                        Some(model) => {
                            let extension = model.path().and_then(Path::extension).and_then(|text| text.to_str());
                            let file = format!("{name}-model.{}", extension.unwrap_or(model.info().format));
                            store(&folder.join(&file), model.bytes())?;
                            json!(file)
                        }
                    };
                    if let Some(rate) = effect.model.as_ref().and_then(|model| model.user_rate()) {
                        object["model_rate"] = json!(rate);
                    }
                }
                value["kind"] = json!("effect");
                value["effect"] = object;
            }
        }
        let text = serde_json::to_string_pretty(&value)
            .map_err(|error| SideError::Io { path: folder.join(format!("{name}.json")), source: io::Error::other(error) })?;
        store(&folder.join(format!("{name}.json")), format!("{text}\n").as_bytes())
    }

    /// Reads a side that [`Self::save`] wrote. [control thread: does I/O, reads models]
    ///
    /// # Errors
    /// [`SideError::Io`], [`SideError::Json`], [`SideError::Effect`], [`SideError::Model`], [`SideError::Wav`].
    pub fn load(folder: &Path, name: &str) -> Result<Self, SideError> {
        let path = folder.join(format!("{name}.json"));
        let bytes = fs::read(&path).map_err(|source| SideError::Io { path: path.clone(), source })?;
        let wrong = |found: String, expected| SideError::Json { path: path.clone(), found, expected };
        let value: Value =
            serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string(), "a side of a test as JSON"))?;
        let text = |key: &str, expected| {
            value[key].as_str().map(str::to_owned).ok_or_else(|| wrong(format!("{key} {}", value[key]), expected))
        };
        let change = serde_json::from_value(value["change"].clone())
            .map_err(|error| wrong(error.to_string(), "a gain, a delay or null"))?;
        let source = match text("kind", "a kind of side")?.as_str() {
            "dry" => SideSource::Dry,
            "file" => {
                let audio = read_with(inside(folder, &text("file", "the name of a file")?), NonFinitePolicy::Refuse)?;
                let lead = value["lead"].as_u64().and_then(|lead| usize::try_from(lead).ok());
                let lead = lead.ok_or_else(|| wrong(format!("lead {}", value["lead"]), "a number of frames"))?;
                SideSource::File { name: text("name", "the name of a file")?, audio: Arc::new(audio), lead }
            }
            "effect" => {
                let mut object = value["effect"].clone();
                let model = object["model"].as_str().map(str::to_owned);
                let rate = object["model_rate"].as_f64();
                if let Some(object) = object.as_object_mut() {
                    object.remove("model_rate");
                    if let Some(model) = object.get_mut("model") {
                        *model = Value::Null;
                    }
                }
                let mut effect = Effect::from_json(&object)?;
                if let Some(model) = model {
                    let model = Model::open(&inside(folder, &model))?;
                    effect.model = Some(rate.map_or_else(|| Ok(model.clone()), |rate| model.at_rate(rate as f32))?);
                }
                SideSource::Effect(effect)
            }
            other => return Err(wrong(format!("kind '{other}'"), "effect, file or dry")),
        };
        Ok(Self { source, change, text: text("text", "the side in words")? })
    }

    /// True if this side of a session, with its text, can be the one that was chosen; `other` is the other side. A model's file is not
    /// looked for: its bytes are in the session.
    pub(super) fn fits(&self, choice: &SideChoice, other: &Self, other_name: &str) -> bool {
        let is_text = |before: &str, effect: &Effect| {
            let text = self.text.strip_prefix(before);
            text.is_some_and(|text| {
                text == effect_text(effect) || effect.model.is_some() && text.split(' ').next() == Some(effect.algorithm().id)
            })
        };
        if let SideChoice::Changed(change) = choice {
            let is_model = other.has_model() || matches!(change, Change::Setting(text) if text.starts_with("model="));
            return is_model || other.changed(change, other_name).is_ok_and(|side| side == *self);
        }
        if self.change.is_some() {
            return false;
        }
        match (choice, &self.source) {
            (SideChoice::Slot(0), SideSource::Effect(effect)) => is_text(SLOT_NAMES[0], effect),
            (SideChoice::Slot(1), SideSource::Effect(effect)) => is_text(SLOT_NAMES[1], effect),
            (SideChoice::Dry, SideSource::Dry) => self.text == "dry",
            (SideChoice::Effect(text), SideSource::Effect(effect)) if effect.model.is_some() => {
                is_text("", effect) && text.trim().split(' ').next() == Some(effect.algorithm().id)
            }
            (SideChoice::Effect(text), SideSource::Effect(effect)) => {
                is_text("", effect) && text.parse::<Effect>().is_ok_and(|wanted| wanted == *effect)
            }
            (SideChoice::File(path), SideSource::File { name, .. }) => {
                self.text == format!("file:{}", path.display())
                    && path.file_name().is_some_and(|found| found.to_string_lossy() == name.as_str())
            }
            _ => false,
        }
    }

    /// True if the side is an effect with a model.
    fn has_model(&self) -> bool {
        matches!(&self.source, SideSource::Effect(effect) if effect.model.is_some())
    }

    /// The reported latency of the side has been taken away when it is rendered; a file reports none.
    pub(super) fn is_file(&self) -> bool {
        matches!(self.source, SideSource::File { .. })
    }
}

/// Path of a file in a folder, whatever folders a name may have: a session reads nothing outside of its folder.
fn inside(folder: &Path, name: &str) -> PathBuf {
    folder.join(Path::new(name).file_name().unwrap_or_default())
}

/// Writes a file, to the disk.
fn store(path: &Path, bytes: &[u8]) -> Result<(), SideError> {
    fs::write(path, bytes).map_err(|source| SideError::Io { path: path.into(), source })?;
    sync(path)
}

/// Waits until a file is on the disk.
fn sync(path: &Path) -> Result<(), SideError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(|source| SideError::Io { path: path.into(), source })
}
