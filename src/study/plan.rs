//! The plan of a study: its cells, read from a TOML file or made for the twins of one effect.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::sound::SoundText;
use super::twin::{Twinned, TwinnedError};
use crate::compare::{Side, SideError, SoundError, sha256_of_file};
use crate::train::{Design, DesignError};

/// Version of `plan.json`. A folder of another version is refused.
pub const PLAN_VERSION: u32 = 1;
/// Sizes of the blocks whose time is measured, in frames, if a plan names none.
pub const BLOCKS: [usize; 1] = [64];
/// Seconds for measuring time in each cell, if a plan says nothing else.
pub const COST_SECONDS: f64 = 2.0;
/// Networks of a frontier if none are named: each kind, from small to large.
pub const FRONTIER_NETWORKS: [&str; 10] =
    ["lstm-4", "lstm-8", "lstm-16", "lstm-24", "gru-8", "gru-16", "tcn-4x8", "tcn-8x8", "wavenet-nano", "wavenet-feather"];
/// Seed of the sounds and trainings of a plan that names none.
const SEED: u64 = 1;
/// Largest seed.
const MAX_SEED: u64 = 1 << 48;
/// Largest size of a block in frames.
const MAX_BLOCK: usize = 1 << 16;
/// Longest time in seconds for measuring time in a cell.
const MAX_COST_SECONDS: f64 = 3600.0;
/// Most cells of a plan.
const MAX_CELLS: usize = 100_000;
/// Most characters of a cell's name, so that the names of its files are not too long for a file system.
const MAX_NAME: usize = 200;

/// A plan: what the cells compare. [any thread]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// [`PLAN_VERSION`].
    pub version: u32,
    /// Title of the table.
    pub title: String,
    /// The folder from which relative paths in the plan start.
    pub base: PathBuf,
    /// The cells, in the order of the table.
    pub cells: Vec<Cell>,
}

/// A cell: the work of one process, with one row of the table for each sound.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Name, which no other cell of the plan has, also in other case: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// Name of the effect.
    pub effect: String,
    /// Name of the model, or of the network that is trained.
    pub model: String,
    /// Seed of the built-in sound or of the training; `None` if neither is random.
    pub seed: Option<u64>,
    /// Seconds for measuring time; 0 measures none.
    pub cost_seconds: f64,
    /// Sizes of the blocks whose time is measured, in frames.
    pub blocks: Vec<usize>,
    /// The files that the cell reads, with their SHA-256 when the plan was made. A result counts for these contents alone.
    pub files: BTreeMap<String, String>,
    /// The work.
    pub work: Work,
}

/// The work of a cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Work {
    /// Compares a model with an effect on a sound.
    Compare {
        /// Text of side A: an effect, `dry` or `file:PATH`.
        a: String,
        /// Text of side B.
        b: String,
        /// Name of the sound.
        sound: String,
        /// Text of the sound.
        source: String,
    },
    /// Trains a twin, and compares it with its original.
    Twin {
        /// Text of the effect or circuit.
        a: String,
        /// Name of the network.
        network: String,
        /// Length of the training.
        budget: Budget,
        /// Frames by which the twin is late.
        look_ahead: usize,
        /// True for an LSTM that remembers long from the first.
        slow: bool,
        /// Seconds of the material that it learns from.
        material_seconds: f64,
        /// Names and texts of the sounds.
        sounds: Vec<(String, String)>,
    },
}

/// Length of a training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Budget {
    /// Minutes on an idle machine, which set the number of steps.
    Minutes(f64),
    /// Steps.
    Steps(u64),
}

/// The frontier of one effect: which twins are trained, how long, and what they are compared on.
#[derive(Clone, Debug, PartialEq)]
pub struct Frontier {
    /// Text of the effect, or `triode volts=V`.
    pub effect: String,
    /// Names of the networks.
    pub networks: Vec<String>,
    /// Length of all trainings together, or the steps of each.
    pub budget: Budget,
    /// Seeds; each network is trained with each of them.
    pub seeds: Vec<u64>,
    /// Frames by which the twins are late.
    pub look_ahead: usize,
    /// True for LSTMs that remember long from the first.
    pub slow: bool,
    /// Seconds of the material that the twins learn from.
    pub material_seconds: f64,
    /// WAV files to compare on; without any, the built-in guitar, drums and speech-like syllables.
    pub sounds: Vec<PathBuf>,
    /// Seconds for measuring time in each cell.
    pub cost_seconds: f64,
}

/// The reason why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// The file is no plan.
    #[error("{}: {reason}", path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// The reason, with the line.
        reason: String,
    },
    /// A table has nothing in it.
    #[error("no {0}; expected one or more")]
    Empty(&'static str),
    /// An entry is no text.
    #[error("{table}.{name}: {found}; expected a text")]
    NotText {
        /// The table.
        table: &'static str,
        /// Name of the entry.
        name: String,
        /// What it is.
        found: String,
    },
    /// A side cannot be read.
    #[error("{table}.{name}: {source}")]
    Side {
        /// The table.
        table: &'static str,
        /// Name of the entry.
        name: String,
        /// The reason.
        source: Box<SideError>,
    },
    /// A sound, or the file of a side, cannot be read.
    #[error("{table}.{name}: {reason}")]
    Unreadable {
        /// The table.
        table: &'static str,
        /// Name of the entry.
        name: String,
        /// The reason.
        reason: String,
    },
    /// A pair names something that is not there.
    #[error("pairs: no {table} entry '{found}'; expected one of {expected}")]
    Pair {
        /// The table.
        table: &'static str,
        /// The name.
        found: String,
        /// The names that are there.
        expected: String,
    },
    /// A number is out of range.
    #[error("{key}: {found}; expected {expected}")]
    Number {
        /// The key.
        key: &'static str,
        /// The number.
        found: String,
        /// The range.
        expected: String,
    },
    /// Two cells have one name.
    #[error("two cells of one name: {first} and {second} are both '{name}'; expected other names")]
    SameName {
        /// The cell's name.
        name: String,
        /// The names of the first cell's effect, model, sound and seed.
        first: String,
        /// Names of the second cell's effect, model, sound and seed.
        second: String,
    },
    /// The name of a cell is too long.
    #[error(
        "{name}: a cell's name of {found} characters; expected {MAX_NAME} or fewer, so shorter names of effects, models or sounds"
    )]
    LongName {
        /// The cell's name.
        name: String,
        /// Its characters.
        found: usize,
    },
    /// The plan has too many cells.
    #[error("{found} cells; expected {MAX_CELLS} or fewer")]
    Cells {
        /// Their number.
        found: usize,
    },
    /// The effect of a frontier cannot be read.
    #[error(transparent)]
    Twinned(#[from] TwinnedError),
    /// A network cannot be read.
    #[error(transparent)]
    Network(#[from] DesignError),
}

/// A plan's file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    title: Option<String>,
    effects: toml::Table,
    models: toml::Table,
    #[serde(default)]
    sounds: toml::Table,
    pairs: Option<Vec<(String, String)>>,
    blocks: Option<Vec<usize>>,
    seeds: Option<Vec<u64>>,
    cost_seconds: Option<f64>,
}

/// Names with their texts.
type Entries = Vec<(String, String)>;

/// The entries of a table, all of which must be texts.
fn entries(table: &'static str, entries: &toml::Table) -> Result<Entries, PlanError> {
    let text = |(name, value): (&String, &toml::Value)| match value {
        toml::Value::String(text) => Ok((name.clone(), text.clone())),
        other => Err(PlanError::NotText { table, name: name.clone(), found: other.type_str().into() }),
    };
    entries.iter().map(text).collect()
}

/// Checks that a number is in a range.
fn check<T: PartialOrd + std::fmt::Display>(key: &'static str, found: T, (min, max): (T, T)) -> Result<(), PlanError> {
    if found >= min && found <= max {
        return Ok(());
    }
    Err(PlanError::Number { key, found: found.to_string(), expected: format!("{min} to {max}") })
}

/// Checks that a list has entries in a range, none of them twice.
fn check_list<T: PartialOrd + std::fmt::Display + Copy>(key: &'static str, found: &[T], range: (T, T)) -> Result<(), PlanError> {
    if found.is_empty() {
        return Err(PlanError::Empty(key));
    }
    for (index, number) in found.iter().enumerate() {
        check(key, *number, range)?;
        if found[..index].contains(number) {
            return Err(PlanError::Number { key, found: format!("{number} twice"), expected: "different numbers".into() });
        }
    }
    Ok(())
}

impl Plan {
    /// Reads a plan from a TOML file. Relative paths in it start from its folder, which must be the process's working folder.
    /// [control thread: opens models and reads files]
    ///
    /// # Errors
    /// Every [`PlanError`] but those of a frontier.
    pub fn read(path: &Path) -> Result<Self, PlanError> {
        let text = std::fs::read_to_string(path).map_err(|source| PlanError::Read { path: path.into(), source })?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let file = toml::from_str(&text).map_err(|error| {
            // The message of the library has the line and a picture of it below; the first line says what and where.
            let line = error.span().map_or(0, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            let message = error.message().replace('\n', " ");
            PlanError::Toml { path: path.into(), reason: if line > 0 { format!("line {line}: {message}") } else { message } }
        })?;
        Self::of_file(file, &stem)
    }

    /// The plan of a file's contents. `stem` is its title if it has none.
    fn of_file(file: File, stem: &str) -> Result<Self, PlanError> {
        let (effects, models) = (entries("effects", &file.effects)?, entries("models", &file.models)?);
        let mut sounds = entries("sounds", &file.sounds)?;
        if effects.is_empty() {
            return Err(PlanError::Empty("effects"));
        }
        if models.is_empty() {
            return Err(PlanError::Empty("models"));
        }
        if sounds.is_empty() {
            sounds = built_in_sounds();
        }
        let blocks = file.blocks.unwrap_or_else(|| BLOCKS.to_vec());
        check_list("blocks", &blocks, (1, MAX_BLOCK))?;
        let seeds = file.seeds.unwrap_or_else(|| vec![SEED]);
        check_list("seeds", &seeds, (0, MAX_SEED))?;
        let cost_seconds = file.cost_seconds.unwrap_or(COST_SECONDS);
        check("cost_seconds", cost_seconds, (0.0, MAX_COST_SECONDS))?;
        let mut hashes = Hashes::default();
        let effects = sides("effects", effects, &mut hashes)?;
        let models = sides("models", models, &mut hashes)?;
        let sounds = checked_sounds(sounds, &mut hashes)?;
        let cells_of = effects.len().saturating_mul(models.len()).saturating_mul(sounds.len()).saturating_mul(seeds.len());
        if file.pairs.is_none() && cells_of > MAX_CELLS {
            return Err(PlanError::Cells { found: cells_of });
        }
        let all = || effects.iter().flat_map(|a| models.iter().map(move |b| (a, b))).collect();
        let pairs = file.pairs.map_or_else(|| Ok(all()), |pairs| named_pairs(&pairs, &effects, &models))?;
        let mut cells = Vec::new();
        for (a, b) in pairs {
            for (sound, text, hash) in &sounds {
                let is_random = text.is_random();
                for seed in if is_random { &seeds[..] } else { &seeds[..1] } {
                    let seed = is_random.then_some(*seed);
                    let files = a.files.iter().chain(&b.files).chain(hash).cloned().collect();
                    let parts = [Some(a.name.as_str()), Some(&b.name), Some(sound)];
                    cells.push(Cell {
                        name: cell_name(&parts.into_iter().flatten().collect::<Vec<_>>(), seed.filter(|_| seeds.len() > 1)),
                        effect: a.name.clone(),
                        model: b.name.clone(),
                        seed,
                        cost_seconds,
                        blocks: blocks.clone(),
                        files,
                        work: Work::Compare {
                            a: a.text.clone(),
                            b: b.text.clone(),
                            sound: sound.clone(),
                            source: text.to_string(),
                        },
                    });
                }
            }
        }
        Self::new(file.title.unwrap_or_else(|| stem.into()), cells)
    }

    /// The plan of a frontier: a cell for each network and seed. Relative paths start from the process's working folder.
    /// [control thread: reads files]
    ///
    /// # Errors
    /// [`PlanError`].
    pub fn of_frontier(frontier: &Frontier) -> Result<Self, PlanError> {
        let twinned: Twinned = frontier.effect.parse()?;
        if frontier.networks.is_empty() {
            return Err(PlanError::Empty("networks"));
        }
        check_list("seeds", &frontier.seeds, (0, MAX_SEED))?;
        check("cost_seconds", frontier.cost_seconds, (0.0, MAX_COST_SECONDS))?;
        let count = frontier.networks.len() * frontier.seeds.len();
        let budget = match frontier.budget {
            Budget::Minutes(minutes) => Budget::Minutes(minutes / count as f64),
            steps @ Budget::Steps(_) => steps,
        };
        let named = |path: &PathBuf| {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            (name, path.to_string_lossy().into_owned())
        };
        let sounds = if frontier.sounds.is_empty() { music() } else { frontier.sounds.iter().map(named).collect() };
        let checked = checked_sounds(sounds, &mut Hashes::default())?;
        let mut cells = Vec::new();
        for network in &frontier.networks {
            Design::parse(network)?;
            for seed in &frontier.seeds {
                let is_one = frontier.seeds.len() == 1;
                let title = if is_one { network.clone() } else { format!("{network} seed {seed}") };
                cells.push(Cell {
                    name: cell_name(&[network], (!is_one).then_some(*seed)),
                    effect: twinned.to_string(),
                    model: title,
                    seed: Some(*seed),
                    cost_seconds: frontier.cost_seconds,
                    blocks: BLOCKS.to_vec(),
                    files: checked.iter().filter_map(|(_, _, hash)| hash.clone()).collect(),
                    work: Work::Twin {
                        a: twinned.to_string(),
                        network: network.clone(),
                        budget,
                        look_ahead: frontier.look_ahead,
                        slow: frontier.slow && network.starts_with("lstm-"),
                        material_seconds: frontier.material_seconds,
                        sounds: checked.iter().map(|(name, text, _)| (name.clone(), text.to_string())).collect(),
                    },
                });
            }
        }
        Self::new(format!("Twins of {twinned}"), cells)
    }

    /// A plan of these cells, whose names must differ.
    fn new(title: String, cells: Vec<Cell>) -> Result<Self, PlanError> {
        if cells.is_empty() {
            return Err(PlanError::Empty("cells"));
        }
        if cells.len() > MAX_CELLS {
            return Err(PlanError::Cells { found: cells.len() });
        }
        let mut known: BTreeMap<String, &Cell> = BTreeMap::new();
        for cell in &cells {
            let found = cell.name.chars().count();
            if found > MAX_NAME {
                return Err(PlanError::LongName { name: cell.name.clone(), found });
            }
            // File systems may hold names equal that differ in case alone.
            if let Some(first) = known.insert(cell.name.to_lowercase(), cell) {
                let (first, second) = (first.title(), cell.title());
                return Err(PlanError::SameName { name: cell.name.clone(), first, second });
            }
        }
        let base = std::env::current_dir().unwrap_or_default();
        Ok(Self { version: PLAN_VERSION, title, base, cells })
    }

    /// The cell of a name. [any thread]
    #[must_use]
    pub fn cell(&self, name: &str) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.name == name)
    }
}

impl Cell {
    /// Effect, model, sound and seed in words. [any thread]
    #[must_use]
    pub fn title(&self) -> String {
        let sound = if let Work::Compare { sound, .. } = &self.work { format!(" on '{sound}'") } else { String::new() };
        let seed = self.seed.map_or_else(String::new, |seed| format!(", seed {seed}"));
        format!("'{}' and '{}'{sound}{seed}", self.effect, self.model)
    }

    /// Names and texts of the sounds: one row of the table each. [any thread]
    #[must_use]
    pub fn sounds(&self) -> Vec<(String, String)> {
        match &self.work {
            Work::Compare { sound, source, .. } => vec![(sound.clone(), source.clone())],
            Work::Twin { sounds, .. } => sounds.clone(),
        }
    }
}

/// A side with its name and the files that it reads, each with its hash.
struct NamedSide {
    name: String,
    text: String,
    files: Vec<(String, String)>,
}

/// Checks sides and finds the files that they read.
fn sides(table: &'static str, entries: Entries, hashes: &mut Hashes) -> Result<Vec<NamedSide>, PlanError> {
    let side = |(name, text): (String, String)| {
        // A model's file alone stands for the effect that plays it.
        let is_model = ["nam", "json", "onnx"].map(|ending| format!(".{ending}"));
        let is_model = !text.contains('=') && is_model.iter().any(|ending| text.to_lowercase().ends_with(ending));
        let text = if is_model { format!("neural model=\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")) } else { text };
        let side: Side = text.parse().map_err(|error| PlanError::Side { table, name: name.clone(), source: Box::new(error) })?;
        let path = match &side {
            Side::File(path) => Some(path.clone()),
            side => side.effect().and_then(|effect| effect.active_model()?.path().map(Path::to_path_buf)),
        };
        // A folder of files has no hash.
        let files = path.filter(|path| !path.is_dir()).map(|path| hashes.of(&path)).transpose();
        let files = files.map_err(|reason| PlanError::Unreadable { table, name: name.clone(), reason })?;
        Ok(NamedSide { name, text, files: files.into_iter().collect() })
    };
    entries.into_iter().map(side).collect()
}

/// A sound with its name, and its file with its hash.
type CheckedSound = (String, SoundText, Option<(String, String)>);

/// Checks that sounds are there and can be read.
fn checked_sounds(entries: Entries, hashes: &mut Hashes) -> Result<Vec<CheckedSound>, PlanError> {
    let sound = |(name, text): (String, String)| {
        let failed = |reason: String| PlanError::Unreadable { table: "sounds", name: name.clone(), reason };
        let sound: SoundText = text.parse().map_err(|error: super::sound::SoundTextError| failed(error.to_string()))?;
        let SoundText::File(path) = &sound else { return Ok((name, sound, None)) };
        crate::audio::wav::Reader::open(path).map_err(|error| failed(SoundError::from(error).to_string()))?;
        let hash = hashes.of(path).map_err(failed)?;
        Ok((name, sound, Some(hash)))
    };
    entries.into_iter().map(sound).collect()
}

/// SHA-256 of files, each read once.
#[derive(Default)]
struct Hashes(BTreeMap<PathBuf, String>);

impl Hashes {
    /// The file's path and its hash in hexadecimal; the error in words.
    fn of(&mut self, path: &Path) -> Result<(String, String), String> {
        let hash = match self.0.get(path) {
            Some(hash) => hash.clone(),
            None => sha256_of_file(path).map_err(|error| format!("{}: {error}", path.display()))?,
        };
        self.0.insert(path.into(), hash.clone());
        Ok((path.to_string_lossy().into_owned(), hash))
    }
}

/// The pairs of a plan that names them.
fn named_pairs<'a>(
    pairs: &[(String, String)],
    effects: &'a [NamedSide],
    models: &'a [NamedSide],
) -> Result<Vec<(&'a NamedSide, &'a NamedSide)>, PlanError> {
    fn find<'a>(table: &'static str, sides: &'a [NamedSide], name: &str) -> Result<&'a NamedSide, PlanError> {
        let expected = || sides.iter().map(|side| side.name.as_str()).collect::<Vec<_>>().join(", ");
        let found = sides.iter().find(|side| side.name == name);
        found.ok_or_else(|| PlanError::Pair { table, found: name.into(), expected: expected() })
    }
    pairs.iter().map(|(a, b)| Ok((find("effects", effects, a)?, find("models", models, b)?))).collect()
}

/// The built-in material of [`crate::compare`], for a plan without sounds.
fn built_in_sounds() -> Entries {
    use crate::compare::SoundSource;
    let entry = |source: SoundSource| match source {
        SoundSource::BuiltIn(kind, level, _) => {
            let text = SoundText::BuiltIn(kind, level).to_string();
            Some((text.clone(), text))
        }
        _ => None,
    };
    SoundSource::built_in().into_iter().filter_map(entry).collect()
}

/// The built-in music and speech at their usual level, for a frontier without sounds.
fn music() -> Entries {
    built_in_sounds()
        .into_iter()
        .filter(|(name, _)| ["guitar -3", "drums -3", "speech-like -3"].contains(&name.as_str()))
        .collect()
}

/// The name of a cell: its parts with `.` between them, other characters than letters, digits, `-` and `_` as `-`.
fn cell_name(parts: &[&str], seed: Option<u64>) -> String {
    let seed = seed.map(|seed| format!("seed{seed}"));
    let parts = parts.iter().copied().chain(seed.as_deref());
    let plain = |c: char| if c.is_alphanumeric() || c == '-' || c == '_' { c } else { '-' };
    parts.map(|part| part.chars().map(plain).collect::<String>()).collect::<Vec<_>>().join(".")
}
