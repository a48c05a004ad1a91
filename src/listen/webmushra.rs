//! webMUSHRA, a program with which labs run listening tests in browsers: the configuration and the sounds of a test for it, and its
//! answers as CSV.
//!
//! A `paired_comparison` page of webMUSHRA has a button *Reference* and two buttons A and B in an order that the page draws, one of
//! which is the reference: which one? That is ABX with X named (a duo-trio test): a listener who hears nothing is right in half of
//! the pages. A preference is asked for by a `mushra` page, where each sound is rated from 0 to 100; the better one of a trial is the
//! one that has more. Formats follow webMUSHRA's manual for experimenters and `service/write.php` of its release 1.4.
//!
//! What such a page hides is not hidden by Isotherm: see [`CAVEAT`] and `docs/listening.md`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::blinding::sha256;
use super::course::program;
use super::matching::Prepared;
use super::outcome::{Score, finding_of, statistic};
use super::protocol::{form_name, rule_name};
use super::session::{CONTROL_TRIALS, ControlResult};
use super::summary::TestIdentity;
use crate::audio::wav::{WavFormat, write};
use crate::audio::{Audio, Random, WavError};
use crate::view::{ControlTrial, Form, Question, Rule, SoundSource};

/// Name of the file of an export that an import needs.
pub const EXPORT: &str = "export.json";
/// Name of the file of imported answers, by which a summary knows them.
pub const IMPORT: &str = "import.json";
/// Schemas of both.
const EXPORT_SCHEMA: &str = "isotherm-webmushra-export";
const IMPORT_SCHEMA: &str = "isotherm-webmushra-import";
/// Version of both.
const SCHEMA_VERSION: u32 = 1;
/// The column of the listener's name: a question at the end of the exported test.
const LISTENER: &str = "listener";
/// Names of the paths of stimuli.
const PATHS: [&str; 3] = ["A", "B", "control"];
/// Name of the sound before both sides, the reference of a rating.
const DRY: &str = "dry";
/// What stands beside every result that was imported.
pub const CAVEAT: &str = "Answers of webMUSHRA cannot be verified: the browser drew the hidden order and said what was right, and a CSV \
                          file has no signature.";

/// The reason why there is no export or import.
#[derive(Debug, thiserror::Error)]
pub enum WebmushraError {
    /// The file system refused.
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The action that failed.
        action: &'static str,
        /// The reason.
        source: io::Error,
    },
    /// A sound cannot be written.
    #[error(transparent)]
    Wav(#[from] WavError),
    /// webMUSHRA has no page for the test.
    #[error("{found}; expected {expected}")]
    NoPage {
        /// The part of the test for which there is none.
        found: String,
        /// What it takes.
        expected: &'static str,
    },
    /// A file is not what it should be.
    #[error("{}: {found}; expected {expected}", path.display())]
    Other {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// The system has no random source.
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
}

/// An error of the file system.
fn failed<'a>(path: &'a Path, action: &'static str) -> impl FnOnce(io::Error) -> WebmushraError + 'a {
    move |source| WebmushraError::Io { path: path.into(), action, source }
}

/// Random numbers from a seed of the system's random source.
fn random() -> Result<Random, WebmushraError> {
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).map_err(WebmushraError::Random)?;
    Ok(Random::new(u64::from_le_bytes(seed)))
}

/// Writes sounds as 32-bit WAV files under names that tell nothing, `1.wav` and so on, in an order that is drawn. Returns each
/// sound's name. [control thread: does I/O]
///
/// # Errors
/// [`WebmushraError::Io`], [`WebmushraError::Wav`], [`WebmushraError::Random`].
pub fn write_unnamed(sounds: &[&Audio], folder: &Path) -> Result<Vec<String>, WebmushraError> {
    fs::create_dir_all(folder).map_err(failed(folder, "make the folder"))?;
    let mut random = random()?;
    let mut numbers: Vec<usize> = (1..=sounds.len()).collect();
    for last in (1..numbers.len()).rev() {
        numbers.swap(last, random.below(last + 1));
    }
    let names: Vec<String> = numbers.iter().map(|number| format!("{number}.wav")).collect();
    for (name, sound) in names.iter().zip(sounds) {
        write(folder.join(name), sound, WavFormat::Float32)?;
    }
    Ok(names)
}

/// An export: what an import needs to read the answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Export {
    /// Name of the schema.
    pub schema: String,
    /// Version of the schema.
    pub schema_version: u32,
    /// Name and version of the program.
    pub program: String,
    /// The `testId` of the configuration.
    pub test_id: String,
    /// The test.
    pub test: TestIdentity,
    /// Names of the pages of the positive control.
    pub control: Vec<String>,
    /// Names of the pages of the test.
    pub trials: Vec<String>,
    /// Each sound by the name of its file: `A`, `B`, `control`, and `dry` for the sound before both sides.
    pub sounds: BTreeMap<String, String>,
}

/// Writes a test for webMUSHRA into the new folder `out`: `configs` is to be copied into webMUSHRA's folder, [`EXPORT`] is for the
/// import. [control thread: does I/O]
///
/// # Errors
/// [`WebmushraError::NoPage`] if webMUSHRA has no page for such a test; [`WebmushraError::Io`] and others if it cannot be written, and
/// then there is no folder.
pub fn export(test: &TestIdentity, prepared: &Prepared, out: &Path) -> Result<Export, WebmushraError> {
    check(test, prepared)?;
    if out.exists() {
        return Err(failed(out, "make the folder")(io::ErrorKind::AlreadyExists.into()));
    }
    let identity = serde_json::to_vec(test).map_err(|error| failed(out, "write the test")(error.into()))?;
    let test_id = format!("isotherm-{}", &sha256(&identity)[..12]);
    write_export(test, prepared, out, test_id).inspect_err(|_| {
        // The folder was made here, so nothing else is in it.
        let _ = fs::remove_dir_all(out);
    })
}

/// Writes the files of an export.
fn write_export(test: &TestIdentity, prepared: &Prepared, out: &Path, test_id: String) -> Result<Export, WebmushraError> {
    let resources = format!("configs/resources/{test_id}");
    let is_preference = test.protocol.question == Question::Preference;
    let mut sounds: Vec<(&str, &Audio)> = PATHS.into_iter().zip(&prepared.stimuli.paths).collect();
    if is_preference {
        sounds.push((DRY, &prepared.loop_sound));
    }
    let names = write_unnamed(&sounds.iter().map(|(_, audio)| *audio).collect::<Vec<_>>(), &out.join(&resources))?;
    let pages = |part: &str, count: u32| (1..=count).map(|number| format!("{part}-{number:03}")).collect::<Vec<String>>();
    let export = Export {
        schema: EXPORT_SCHEMA.into(),
        schema_version: SCHEMA_VERSION,
        program: program(),
        control: pages("control", if test.control == ControlTrial::None { 0 } else { CONTROL_TRIALS }),
        trials: pages("trial", test.protocol.trials),
        sounds: names.into_iter().zip(sounds).map(|(file, (name, _))| (file, name.to_owned())).collect(),
        test: test.clone(),
        test_id,
    };
    let mut random = random()?;
    let text = configuration(&export, &resources, &mut || random.below(2) == 1);
    let path = out.join("configs").join(format!("{}.yaml", export.test_id));
    fs::write(&path, text).map_err(failed(&path, "write"))?;
    let path = out.join(EXPORT);
    let json = serde_json::to_string_pretty(&export).map_err(|error| failed(&path, "write")(error.into()))?;
    fs::write(&path, json + "\n").map_err(failed(&path, "write"))?;
    Ok(export)
}

/// Checks that webMUSHRA has pages for a test.
fn check(test: &TestIdentity, prepared: &Prepared) -> Result<(), WebmushraError> {
    let no_page = |found: String, expected| Err(WebmushraError::NoPage { found, expected });
    if test.source == SoundSource::Live {
        return no_page("a test on live sound has no sounds that could be written".into(), "a test with a loop");
    }
    if prepared.matching.identical {
        return no_page("both sides are equal bit for bit: there is nothing to hear".into(), "two different sides");
    }
    if test.protocol.form == Form::SameDifferent {
        return no_page(
            format!("webMUSHRA has no page for the form {}", form_name(test.protocol.form)),
            "a test in ABX, or a preference",
        );
    }
    if test.protocol.rule != Rule::Fixed {
        return no_page(
            format!("the rule {} ends a test by its answers, which webMUSHRA cannot do", rule_name(test.protocol.rule)),
            "a fixed number of trials",
        );
    }
    Ok(())
}

/// The configuration as YAML: only keys and quoted texts, of which none names a side. `draw` tells, for each trial, whether side B is
/// the reference.
fn configuration(export: &Export, resources: &str, draw: &mut dyn FnMut() -> bool) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let path = |wanted: &str| {
        let file = export.sounds.iter().find(|(_, name)| *name == wanted).map_or("", |(file, _)| file.as_str());
        quoted(&format!("{resources}/{file}"))
    };
    let is_preference = export.test.protocol.question == Question::Preference;
    let mut yaml = format!("# A listening test of {} for webMUSHRA. Sides are not named here.\n", export.program);
    let mut add = |line: &str| {
        yaml += line;
        yaml += "\n";
    };
    add("testname: \"Listening test\"");
    add(&format!("testId: {}", quoted(&export.test_id)));
    add("bufferSize: 2048\nstopOnErrors: true\nshowButtonPreviousPage: false\nremoteService: \"service/write.php\"\npages:");
    let introduction = if is_preference {
        "Each page has three sounds in an order of its own. Rate them by how much you like them, and give no two the same points."
    } else {
        "On each page one of the sounds A and B is the same as the reference. Listen to all three as often as you like, and choose the \
         one that is the same. Guess if you are not sure."
    };
    add(&format!(
        "  - type: generic\n    id: introduction\n    name: \"Introduction\"\n    content: {}",
        quoted(&format!("{introduction} You are told no result before the end of the whole test."))
    ));
    let comparison = |id: &str, name: String, [reference, other]: [&str; 2]| {
        format!(
            "  - type: paired_comparison\n    id: {id}\n    name: {}\n    content: {}\n    showWaveform: false\n    \
             enableLooping: true\n    reference: {}\n    stimuli:\n      other: {}",
            quoted(&name),
            quoted("Which one is the same as the reference?"),
            path(reference),
            path(other)
        )
    };
    let name = |part: &str, index: usize, of: usize| format!("{part} {} of {of}", index + 1);
    for (index, id) in export.control.iter().enumerate() {
        let sides = if draw() { [PATHS[2], PATHS[0]] } else { [PATHS[0], PATHS[2]] };
        add(&comparison(id, name("Control", index, export.control.len()), sides));
    }
    for (index, id) in export.trials.iter().enumerate() {
        let name = name("Trial", index, export.trials.len());
        if is_preference {
            add(&format!(
                "  - type: mushra\n    id: {id}\n    name: {}\n    content: {}\n    showWaveform: false\n    enableLooping: true\n    \
                 strict: false\n    randomize: true\n    showConditionNames: false\n    reference: {}\n    createAnchor35: false\n    \
                 createAnchor70: false\n    stimuli:\n      sound-a: {}\n      sound-b: {}",
                quoted(&name),
                quoted(
                    "How much do you like each sound? Give no two the same points. The reference is only the sound before it."
                ),
                path(DRY),
                path(PATHS[0]),
                path(PATHS[1])
            ));
        } else {
            let sides = if draw() { [PATHS[1], PATHS[0]] } else { [PATHS[0], PATHS[1]] };
            add(&comparison(id, name, sides));
        }
    }
    add(&format!(
        "  - type: finish\n    name: \"Thank you\"\n    content: {}\n    popupContent: {}\n    showResults: false\n    \
         writeResults: true\n    questionnaire:\n      - type: text\n        label: {}\n        name: {LISTENER}",
        quoted("Thank you. Give the name or number that you were told, and send your answers."),
        quoted("Your answers were sent."),
        quoted("Name or number (letters and digits)")
    ));
    yaml
}

/// An answer that was imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Choice {
    /// The right sound was chosen.
    Right,
    /// The wrong sound was chosen.
    Wrong,
    /// Side A has more points.
    A,
    /// Side B has more points.
    B,
    /// Both sides have the same points.
    Tie,
    /// Nothing was chosen.
    None,
}

/// An answer to a page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImportedAnswer {
    /// Name of the page.
    pub page: String,
    /// The answer.
    pub choice: Choice,
    /// Seconds that the listener was on the page; None if the file does not tell it.
    pub seconds: Option<f64>,
}

/// A listener whose answers were imported.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImportedListener {
    /// The name that the listener gave.
    pub listener: String,
    /// The answers in the order of the files.
    pub answers: Vec<ImportedAnswer>,
}

/// A file that was imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// Its name.
    pub name: String,
    /// SHA-256 of its bytes.
    pub sha256: String,
}

/// The answers of several listeners from webMUSHRA.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Import {
    /// Name of the schema.
    pub schema: String,
    /// Version of the schema.
    pub schema_version: u32,
    /// Name and version of the program.
    pub program: String,
    /// Date and time (UTC, RFC 3339).
    pub date: String,
    /// [`CAVEAT`].
    pub caveat: String,
    /// The files.
    pub files: Vec<SourceFile>,
    /// The test.
    pub test: TestIdentity,
    /// Names of the pages of the positive control.
    pub control: Vec<String>,
    /// Names of the pages of the test.
    pub trials: Vec<String>,
    /// The listeners, in the order of the files.
    pub listeners: Vec<ImportedListener>,
}

/// Reads a JSON file with a schema.
fn read_json<T: serde::de::DeserializeOwned>(path: &Path, schema: &str) -> Result<T, WebmushraError> {
    let bytes = fs::read(path).map_err(failed(path, "read it"))?;
    let other = |found: String| WebmushraError::Other {
        path: path.into(),
        found,
        expected: format!("{schema} of version {SCHEMA_VERSION} or older"),
    };
    let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(|error| other(format!("no JSON ({error})")))?;
    match (value["schema"].as_str(), value["schema_version"].as_u64()) {
        (Some(found), Some(version)) if found == schema && version <= u64::from(SCHEMA_VERSION) => {}
        (Some(found), Some(version)) => return Err(other(format!("{found} of version {version}"))),
        _ => return Err(other("no 'schema' and 'schema_version'".into())),
    }
    serde_json::from_value(value).map_err(|error| other(format!("it cannot be read: {error}")))
}

impl Export {
    /// Reads the [`EXPORT`] of a folder. [control thread: does I/O]
    ///
    /// # Errors
    /// [`WebmushraError::Io`], [`WebmushraError::Other`].
    pub fn read(folder: &Path) -> Result<Self, WebmushraError> {
        read_json(&folder.join(EXPORT), EXPORT_SCHEMA)
    }
}

/// The kinds of tables that webMUSHRA writes and this module reads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Table {
    /// `paired_comparison.csv`.
    PairedComparison,
    /// `mushra.csv`.
    Mushra,
}

/// Columns of a table of paired comparisons, and of ratings, besides the answers to questions.
const COMPARISON_COLUMNS: [&str; 4] = ["session_test_id", "trial_id", "choice_answer", "choice_time"];
const MUSHRA_COLUMNS: [&str; 5] = ["session_test_id", "trial_id", "rating_stimulus", "rating_score", "rating_time"];

/// An answer of a listener.
type Answer = (String, ImportedAnswer);

impl Import {
    /// Reads tables that webMUSHRA wrote for an export: `paired_comparison.csv`, and `mushra.csv` for a preference. [control thread:
    /// does I/O]
    ///
    /// # Errors
    /// [`WebmushraError::Io`]; [`WebmushraError::Other`] names the table, its line and what is wrong with it.
    pub fn new(export: &Export, tables: &[PathBuf]) -> Result<Self, WebmushraError> {
        let mut files = Vec::new();
        let mut listeners: Vec<ImportedListener> = Vec::new();
        for path in tables {
            let bytes = fs::read(path).map_err(failed(path, "read it"))?;
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let file = SourceFile { name, sha256: sha256(&bytes) };
            if files.iter().any(|other: &SourceFile| other.sha256 == file.sha256) {
                return Err(WebmushraError::Other {
                    path: path.clone(),
                    found: "this table was named twice".into(),
                    expected: "each table once".into(),
                });
            }
            files.push(file);
            for (listener, answer) in read_table(path, &bytes, export)? {
                match listeners.iter_mut().find(|found| found.listener == listener) {
                    // A sheet that was sent twice: nobody is equally long on a page again, to the millisecond.
                    Some(found) if answer.seconds.is_some() && found.answers.contains(&answer) => {}
                    Some(found) => found.answers.push(answer),
                    None => listeners.push(ImportedListener { listener, answers: vec![answer] }),
                }
            }
        }
        Ok(Self {
            schema: IMPORT_SCHEMA.into(),
            schema_version: SCHEMA_VERSION,
            program: program(),
            date: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
            caveat: CAVEAT.into(),
            files,
            test: export.test.clone(),
            control: export.control.clone(),
            trials: export.trials.clone(),
            listeners,
        })
    }

    /// Reads imported answers. [control thread: does I/O]
    ///
    /// # Errors
    /// [`WebmushraError::Io`], [`WebmushraError::Other`].
    pub fn read(path: &Path) -> Result<Self, WebmushraError> {
        read_json(path, IMPORT_SCHEMA)
    }

    /// Writes the answers into the new folder `out`. [control thread: does I/O]
    ///
    /// # Errors
    /// [`WebmushraError::Io`].
    pub fn write(&self, out: &Path) -> Result<(), WebmushraError> {
        let path = out.join(IMPORT);
        let text = serde_json::to_string_pretty(self).map_err(|error| failed(&path, "write")(error.into()))?;
        if let Some(parent) = out.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::create_dir_all(parent).map_err(failed(parent, "make the folder"))?;
        }
        fs::create_dir(out).map_err(failed(out, "make the folder"))?;
        fs::write(&path, text + "\n").map_err(failed(&path, "write"))
    }

    /// The score of a listener.
    ///
    /// # Errors
    /// A few words on why the answers do not count.
    pub fn score(&self, listener: &ImportedListener) -> Result<Score, String> {
        if listener.listener.trim().is_empty() {
            return Err("no name was given, so several listeners cannot be told apart".into());
        }
        let choices = |pages: &[String]| -> Vec<(&str, Choice)> {
            let is_page = |answer: &&ImportedAnswer| pages.contains(&answer.page);
            listener.answers.iter().filter(is_page).map(|answer| (answer.page.as_str(), answer.choice)).collect()
        };
        let mut pages: Vec<&str> = listener.answers.iter().map(|answer| answer.page.as_str()).collect();
        pages.sort_unstable();
        if let Some(pair) = pages.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("several answers to {}: two listeners of one name, or one who took the test twice", pair[0]));
        }
        let answers = choices(&self.trials);
        if answers.len() != self.trials.len() {
            return Err(format!("not finished: answers to {} of {} trials", answers.len(), self.trials.len()));
        }
        if let Some((page, _)) = answers.iter().find(|(_, choice)| *choice == Choice::None) {
            return Err(format!("nothing was chosen in {page}, and a p is of forced choices"));
        }
        let protocol = &self.test.protocol;
        // A rating without a difference chooses nothing: the sign test leaves it out (Dixon and Mood, Journal of the American
        // Statistical Association 41, 1946).
        let trials = answers.iter().filter(|(_, choice)| *choice != Choice::Tie).count() as u32;
        let count = answers.iter().filter(|(_, choice)| matches!(choice, Choice::Right | Choice::A)).count() as u32;
        if trials == 0 {
            return Err("both sides have the same points in each trial".into());
        }
        let heard = choices(&self.control);
        let control = if self.test.control == ControlTrial::None {
            ControlResult::None
        } else if heard.len() < self.control.len() {
            ControlResult::Open
        } else if heard.iter().all(|(_, choice)| *choice == Choice::Right) {
            ControlResult::Passed
        } else {
            ControlResult::Failed
        };
        Ok(Score {
            trials,
            count,
            flagged: 0,
            count_unflagged: count,
            statistic: Some(statistic(protocol, count, trials)),
            finding: finding_of(protocol, self.test.is_aa, control, count, trials),
            control,
            threshold: None,
        })
    }
}

/// Reads a table. A backslash before a quotation mark is no escape in CSV (RFC 4180), but PHP writes it so; a table that cannot be read
/// the first way is read the second.
fn read_table(path: &Path, bytes: &[u8], export: &Export) -> Result<Vec<Answer>, WebmushraError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    read_rows(path, bytes, None, export).or_else(|error| read_rows(path, bytes, Some(b'\\'), export).map_err(|_| error))
}

/// Reads a table with an escape.
fn read_rows(path: &Path, bytes: &[u8], escape: Option<u8>, export: &Export) -> Result<Vec<Answer>, WebmushraError> {
    let other = |found: String, expected: &str| WebmushraError::Other { path: path.into(), found, expected: expected.into() };
    let mut reader = csv::ReaderBuilder::new().escape(escape).from_reader(bytes);
    let wrong = |error: csv::Error| {
        let line = error.position().map_or_else(String::new, |position| format!("line {}: ", position.line()));
        let text = match error.kind() {
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => format!("{len} fields, and {expected_len} in its head"),
            csv::ErrorKind::Utf8 { .. } => "not UTF-8".into(),
            _ => error.to_string(),
        };
        other(format!("{line}{text}"), "a table as webMUSHRA writes it")
    };
    let head = reader.headers().map_err(wrong)?.clone();
    let column = |name: &str| head.iter().position(|found| found == name);
    let has = |columns: &[&str]| columns.iter().all(|name| column(name).is_some());
    let is_preference = export.test.protocol.question == Question::Preference;
    let table = if has(&COMPARISON_COLUMNS) {
        Table::PairedComparison
    } else if has(&MUSHRA_COLUMNS) && is_preference {
        Table::Mushra
    } else {
        let found: Vec<&str> = head.iter().take(12).collect();
        let expected = if is_preference {
            "those of mushra.csv or paired_comparison.csv of webMUSHRA"
        } else {
            "those of paired_comparison.csv of webMUSHRA"
        };
        return Err(other(format!("the columns are '{}'", found.join(", ")), expected));
    };
    let Some(listener) = column(LISTENER) else {
        return Err(other(
            format!("no column '{LISTENER}'"),
            "answers to the exported test, which asks for the listener's name at its end",
        ));
    };
    let place = |name: &str| column(name).unwrap_or_default();
    let mut answers = Vec::new();
    // Ratings of a page, until both sides are there.
    let mut ratings: BTreeMap<(String, String), [Option<f64>; 2]> = BTreeMap::new();
    for record in reader.records() {
        let record = record.map_err(wrong)?;
        let field = |place: usize| record.get(place).unwrap_or_default().trim();
        let line = record.position().map_or(0, csv::Position::line);
        let id = field(place("session_test_id"));
        if id != export.test_id {
            return Err(other(format!("line {line}: answers to the test '{id}'"), &format!("those to '{}'", export.test_id)));
        }
        let page = field(place("trial_id")).to_owned();
        if !export.control.contains(&page) && !export.trials.contains(&page) {
            return Err(other(format!("line {line}: an answer to the page '{page}'"), "pages of the exported test"));
        }
        let name = field(listener).to_owned();
        let seconds = |column: &str| field(place(column)).parse::<f64>().ok().map(|milliseconds| milliseconds / 1000.0);
        match table {
            Table::PairedComparison => {
                let choice = match field(place("choice_answer")) {
                    "correct" => Choice::Right,
                    "incorrect" => Choice::Wrong,
                    "undecided" | "unknown" => Choice::None,
                    found => {
                        let expected = "correct, incorrect, undecided or unknown";
                        return Err(other(format!("line {line}: the answer '{found}'"), expected));
                    }
                };
                answers.push((name, ImportedAnswer { page, choice, seconds: seconds("choice_time") }));
            }
            Table::Mushra => {
                let side = match field(place("rating_stimulus")) {
                    "sound-a" => 0,
                    "sound-b" => 1,
                    "reference" => continue,
                    found => return Err(other(format!("line {line}: a rating of '{found}'"), "sound-a, sound-b or reference")),
                };
                let text = field(place("rating_score"));
                let Some(score) = text.parse::<f64>().ok().filter(|score| (0.0..=100.0).contains(score)) else {
                    return Err(other(format!("line {line}: the rating '{text}'"), "0 to 100"));
                };
                let both = ratings.entry((name.clone(), page.clone())).or_default();
                both[side] = Some(score);
                if let [Some(a), Some(b)] = *both {
                    *both = [None, None];
                    let choice = if a > b {
                        Choice::A
                    } else if b > a {
                        Choice::B
                    } else {
                        Choice::Tie
                    };
                    answers.push((name, ImportedAnswer { page, choice, seconds: seconds("rating_time") }));
                }
            }
        }
    }
    if answers.is_empty() {
        return Err(other("no answers".into(), "a row for each answer"));
    }
    Ok(answers)
}
