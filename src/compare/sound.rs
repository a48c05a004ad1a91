//! The sounds of a comparison: files, folders of files, and the built-in material.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::audio::wav::read;
use crate::audio::{Audio, AudioError, WavError, generate};
use crate::dsp::MAX_CHANNELS;

/// Sample rate of the built-in material in hertz.
const RATE: u32 = 48_000;
/// Peak levels of the built-in material in dBFS: hot, usual, quiet.
const LEVELS_DB: [f64; 3] = [-3.0, -20.0, -40.0];
/// Seconds of the built-in sweep and noise.
const TEST_SECONDS: f64 = 5.0;
/// The sweep's range in hertz: the band of hearing.
const SWEEP_HZ: (f64, f64) = (20.0, 20_000.0);
/// Seed of the built-in material, and of sounds whose names have none.
const SEED: u64 = 1;
/// RMS level of the noise before its peak is set.
const NOISE_RMS: f64 = 0.1;

/// A kind of built-in sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltIn {
    /// [`generate::guitar`].
    Guitar,
    /// [`generate::drums`].
    Drums,
    /// [`generate::speech`].
    Speech,
    /// [`generate::sweep`] over the band of hearing.
    Sweep,
    /// [`generate::pink`].
    Noise,
}

/// The place that a sound comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum SoundSource {
    /// A WAV file.
    File(PathBuf),
    /// A generated sound with its peak level in dBFS and the seed that it is generated from.
    BuiltIn(BuiltIn, f64, u64),
    /// A sound in memory.
    Given(Arc<Sound>),
}

/// A sound to compare on.
#[derive(Clone, Debug, PartialEq)]
pub struct Sound {
    /// Name for tables: that of the file without its extension, or that of the built-in sound with its level.
    pub name: String,
    /// The file.
    pub path: Option<PathBuf>,
    /// The samples; finite, not silent.
    pub audio: Audio,
    /// SHA-256 of the samples as little-endian floats, channel after channel, in hexadecimal.
    pub sha256: String,
}

/// The reason why there is no sound to compare on.
#[derive(Debug, thiserror::Error)]
pub enum SoundError {
    /// The file cannot be read.
    #[error(transparent)]
    Wav(#[from] WavError),
    /// The built-in sound cannot be made.
    #[error(transparent)]
    Audio(#[from] AudioError),
    /// The file or folder is not there.
    #[error("{}: no such file or folder", .0.display())]
    Missing(PathBuf),
    /// The folder cannot be listed.
    #[error("{}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// The folder has no WAV file.
    #[error("{}: no sound in this folder; expected files that end in .wav", .0.display())]
    EmptyFolder(PathBuf),
    /// The sound has no sample that is not 0.
    #[error("{0}: silent; expected a sound")]
    Silent(String),
    /// The sound has more channels than effects take.
    #[error("{name}: {found} channels; expected 1 to {MAX_CHANNELS}")]
    Channels {
        /// Name of the sound.
        name: String,
        /// Its channels.
        found: usize,
    },
    /// Two sounds have the same name.
    #[error("{0}: two sounds of this name; expected different file names")]
    SameName(String),
}

impl BuiltIn {
    /// Every kind, in the order in which they are compared.
    pub const ALL: [Self; 5] = [Self::Guitar, Self::Drums, Self::Speech, Self::Sweep, Self::Noise];

    /// Name for tables. [any thread]
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Guitar => "guitar",
            Self::Drums => "drums",
            Self::Speech => "speech-like",
            Self::Sweep => "sweep",
            Self::Noise => "noise",
        }
    }

    /// True if another seed gives another sound: all but the sweep. [any thread]
    #[must_use]
    pub const fn is_random(self) -> bool {
        !matches!(self, Self::Sweep)
    }

    /// The sound at its generator's own level, mono.
    fn generate(self, seed: u64) -> Result<Audio, AudioError> {
        let frames = (TEST_SECONDS * f64::from(RATE)) as usize;
        match self {
            Self::Guitar => generate::guitar(RATE, 1, seed),
            Self::Drums => generate::drums(RATE, 1, seed),
            Self::Speech => generate::speech(RATE, seed),
            Self::Sweep => generate::sweep(RATE, SWEEP_HZ.0, SWEEP_HZ.1, 1.0, frames),
            Self::Noise => generate::pink(RATE, NOISE_RMS, frames, seed),
        }
    }
}

impl SoundSource {
    /// The built-in material: each kind at -3, -20 and -40 dBFS, mono, at 48 kHz. [control thread: allocates]
    #[must_use]
    pub fn built_in() -> Vec<Self> {
        LEVELS_DB.iter().flat_map(|level| BuiltIn::ALL.map(|kind| Self::BuiltIn(kind, *level, SEED))).collect()
    }

    /// True for a built-in sweep or noise: a test signal shows what music masks. [any thread]
    #[must_use]
    pub const fn is_test_signal(&self) -> bool {
        matches!(self, Self::BuiltIn(BuiltIn::Sweep | BuiltIn::Noise, ..))
    }

    /// The sources that paths name: each file, and the `.wav` files of each folder in the order of their names.
    /// [control thread: lists folders]
    ///
    /// # Errors
    /// [`SoundError::Missing`], [`SoundError::Folder`], [`SoundError::EmptyFolder`], [`SoundError::SameName`].
    pub fn of_paths(paths: &[PathBuf]) -> Result<Vec<Self>, SoundError> {
        let mut sources = Vec::new();
        for path in paths {
            if path.is_dir() {
                sources.extend(files_of(path)?.into_iter().map(Self::File));
            } else if path.exists() {
                sources.push(Self::File(path.clone()));
            } else {
                return Err(SoundError::Missing(path.clone()));
            }
        }
        let mut names: Vec<String> = sources.iter().map(Self::name).collect();
        names.sort();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(SoundError::SameName(pair[0].clone()));
        }
        Ok(sources)
    }

    /// Name for tables. [control thread: allocates]
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned()),
            Self::BuiltIn(kind, level, SEED) => format!("{} {level} dBFS", kind.name()),
            Self::BuiltIn(kind, level, seed) => format!("{} {level} dBFS, seed {seed}", kind.name()),
            Self::Given(sound) => sound.name.clone(),
        }
    }

    /// Reads or generates the sound. [control thread: takes its time]
    ///
    /// # Errors
    /// [`SoundError::Wav`], [`SoundError::Audio`], [`SoundError::Silent`], [`SoundError::Channels`].
    pub fn load(&self) -> Result<Sound, SoundError> {
        let audio = match self {
            Self::File(path) => read(path)?,
            Self::BuiltIn(kind, level, seed) => {
                let mut audio = kind.generate(*seed)?;
                audio.normalise_peak(*level)?;
                audio
            }
            Self::Given(sound) => return Ok(Sound::clone(sound)),
        };
        let path = if let Self::File(path) = self { Some(path.clone()) } else { None };
        Ok(Sound { path, ..Sound::new(self.name(), audio)? })
    }
}

impl Sound {
    /// A sound in memory. [control thread: allocates]
    ///
    /// # Errors
    /// [`SoundError::Audio`] if a sample is not finite, [`SoundError::Silent`], [`SoundError::Channels`].
    pub fn new(name: String, audio: Audio) -> Result<Self, SoundError> {
        audio.check_finite()?;
        if audio.peak() == 0.0 {
            return Err(SoundError::Silent(name));
        }
        if audio.channels() > MAX_CHANNELS {
            return Err(SoundError::Channels { name, found: audio.channels() });
        }
        let bytes: Vec<u8> = audio.as_planar().iter().flat_map(|sample| sample.to_le_bytes()).collect();
        Ok(Self { name, path: None, audio, sha256: sha256(&bytes) })
    }

    /// Samples at full scale or above, which a converter or a file has probably clipped. [any thread]
    #[must_use]
    pub fn full_scale_samples(&self) -> usize {
        /// The largest value of a 16-bit file.
        const FULL_SCALE: f32 = 32_767.0 / 32_768.0;
        self.audio.as_planar().iter().filter(|sample| sample.abs() >= FULL_SCALE).count()
    }
}

/// The `.wav` files of a folder, by name.
fn files_of(folder: &Path) -> Result<Vec<PathBuf>, SoundError> {
    let failed = |source| SoundError::Folder { path: folder.into(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        let is_wav = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("wav"));
        if is_wav && !hidden && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() { Err(SoundError::EmptyFolder(folder.into())) } else { Ok(files) }
}

/// SHA-256 in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// SHA-256 of a file in hexadecimal. No more than [`HASH_BYTES`] of it are in memory.
pub(crate) fn sha256_of_file(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut bytes = vec![0; HASH_BYTES];
    loop {
        match file.read(&mut bytes)? {
            0 => return Ok(hexadecimal(&hash.finalize())),
            count => hash.update(&bytes[..count]),
        }
    }
}

/// Bytes of a file that are read at a time for its hash.
const HASH_BYTES: usize = 1 << 20;

/// Bytes as two hexadecimal digits each.
fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_material_has_every_kind_at_every_level_and_these_peaks() {
        let sources = SoundSource::built_in();
        assert_eq!(sources.len(), BuiltIn::ALL.len() * LEVELS_DB.len());
        for source in &sources {
            let SoundSource::BuiltIn(_, level, _) = source else { panic!("{source:?}") };
            let sound = source.load().unwrap();
            assert!((sound.audio.levels().peak_db() - level).abs() < 0.01, "{}", sound.name);
        }
    }

    #[test]
    fn a_folder_is_a_batch_in_the_order_of_names_and_an_empty_one_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let of = |paths: &[PathBuf]| SoundSource::of_paths(paths);
        assert!(matches!(of(&[folder.path().into()]), Err(SoundError::EmptyFolder(_))));
        assert!(matches!(of(&[folder.path().join("none.wav")]), Err(SoundError::Missing(_))));
        for name in ["b.wav", "a.WAV", ".hidden.wav", "notes.txt"] {
            std::fs::write(folder.path().join(name), "x").unwrap();
        }
        let names: Vec<String> = of(&[folder.path().into()]).unwrap().iter().map(SoundSource::name).collect();
        assert_eq!(names, ["a", "b"]);
        assert!(
            matches!(of(&[folder.path().join("b.wav"), folder.path().into()]), Err(SoundError::SameName(name)) if name == "b")
        );
    }

    #[test]
    fn silence_and_nan_are_no_sounds() {
        let sound = |samples: &[f32]| Sound::new("x".into(), Audio::from_mono(48_000, samples).unwrap());
        assert!(matches!(sound(&[0.0; 10]), Err(SoundError::Silent(_))));
        assert!(matches!(sound(&[0.1, f32::NAN]), Err(SoundError::Audio(AudioError::NotFinite { frame: 1, .. }))));
        assert_eq!(sound(&[0.5, 1.0, -1.0, 0.9]).unwrap().full_scale_samples(), 2);
    }
}
