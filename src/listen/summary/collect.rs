//! The sessions of a folder: found, checked, and sorted by whether they count.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::{Entry, Origin, Standing, TestIdentity};
use crate::listen::folder::{FolderError, LOG};
use crate::listen::log::LogError;
use crate::listen::outcome::Score;
use crate::listen::session::End;
use crate::listen::verify::{Verification, check_sound, side_texts, sound_key, verify_log};
use crate::listen::webmushra::{IMPORT, Import, ImportedListener};
use crate::view::{Question, Rule, SoundSource};

/// Reasons that an error names, if nothing counts.
const MOST_REASONS: usize = 3;

/// The reason why there is nothing to summarise.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The folder cannot be listed.
    #[error("{}: cannot be listed: {source}", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// The folder is a session itself.
    #[error(
        "{}: a session itself; expected the folder that holds sessions (for one session: isotherm listen verify)", .0.display()
    )]
    Session(PathBuf),
    /// The folder has no sessions.
    #[error("{}: no sessions in it or in its folders; expected folders with {LOG} or {IMPORT}", .0.display())]
    Empty(PathBuf),
    /// No session counts.
    #[error("{folder}: none of its {sessions} counts: {reasons}")]
    NoneCounts {
        /// The folder.
        folder: String,
        /// Number of sessions, in words.
        sessions: String,
        /// The reasons, with the number of sessions of each.
        reasons: String,
    },
    /// There are several tests.
    #[error(
        "{}: sessions of several tests, of which none has most listeners ({found}); expected those of one test in a folder of \
         their own", path.display()
    )]
    SeveralTests {
        /// The folder.
        path: PathBuf,
        /// The tests with most listeners, in words.
        found: String,
    },
}

impl CollectError {
    /// No session of these counts.
    pub(super) fn none_counts(folder: &str, entries: &[Entry]) -> Self {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for entry in entries {
            *counts.entry(entry.reason.as_str()).or_default() += 1;
        }
        let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let more = counts.len().saturating_sub(MOST_REASONS);
        let mut reasons: Vec<String> =
            counts.iter().take(MOST_REASONS).map(|(reason, count)| format!("{reason} ({count})")).collect();
        if more > 0 {
            reasons.push(format!("and {more} other reasons"));
        }
        let sessions = if entries.len() == 1 { "1 session".into() } else { format!("{} sessions", entries.len()) };
        Self::NoneCounts { folder: folder.into(), sessions, reasons: reasons.join("; ") }
    }
}

/// The sessions of a folder.
#[derive(Clone, Debug, PartialEq)]
pub struct Collected {
    /// The test that most of them are of.
    pub test: TestIdentity,
    /// All of them.
    pub entries: Vec<Entry>,
}

/// A session or an imported listener before it is known which test is the one of the summary.
struct Found {
    entry: Entry,
    /// The test; None if the log does not tell it.
    test: Option<TestIdentity>,
    /// Time of the log's first line, and the commitment in the second.
    begun: [String; 2],
}

/// Finds the sessions in a folder and in the folders in it, checks the record of each as `isotherm listen verify` does, and sorts out
/// those that do not count. Sessions with equal files share the check of their sound. Entries come in the order of their paths.
/// [control thread: does I/O, takes its time]
///
/// # Errors
/// [`CollectError`], if there is nothing to summarise.
pub fn collect(folder: &Path) -> Result<Collected, CollectError> {
    if folder.join(LOG).is_file() {
        return Err(CollectError::Session(folder.into()));
    }
    let mut places = Vec::new();
    for path in folders(folder)? {
        if is_record(&path) {
            places.push(path);
        } else {
            // What cannot be listed below holds nothing that could be read.
            places.extend(folders(&path).unwrap_or_default().into_iter().filter(|path| is_record(path)));
        }
    }
    if is_import(folder) {
        places.push(folder.into());
    }
    places.sort();
    let mut found: Vec<Found> = check_all(folder, &places);
    found.extend(places.iter().filter(|path| is_import(path)).flat_map(|path| read_import(folder, path)));
    if found.is_empty() {
        return Err(CollectError::Empty(folder.into()));
    }
    let Some(test) = most(folder, &found)? else {
        let entries: Vec<Entry> = found.into_iter().map(|found| found.entry).collect();
        return Err(CollectError::none_counts(&folder.display().to_string(), &entries));
    };
    sort_out(&test, &mut found);
    Ok(Collected { test, entries: found.into_iter().map(|found| found.entry).collect() })
}

/// True if a folder is a session, or holds imported answers.
fn is_record(path: &Path) -> bool {
    path.join(LOG).is_file() || is_import(path)
}

/// True if a folder holds imported answers.
fn is_import(path: &Path) -> bool {
    path.join(IMPORT).is_file()
}

/// The folders in a folder.
fn folders(path: &Path) -> Result<Vec<PathBuf>, CollectError> {
    let failed = |source| CollectError::Io { path: path.into(), source };
    let entries = fs::read_dir(path).map_err(failed)?;
    Ok(entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect())
}

/// The name of a session: its path below the folder of the summary, with U+FFFD for what is not UTF-8.
fn name(folder: &Path, path: &Path) -> String {
    let below = path.strip_prefix(folder).unwrap_or(path);
    if below.as_os_str().is_empty() { ".".into() } else { below.to_string_lossy().into_owned() }
}

/// Verifies all sessions.
fn check_all(folder: &Path, places: &[PathBuf]) -> Vec<Found> {
    let logs: Vec<&PathBuf> = places.iter().filter(|path| path.join(LOG).is_file()).collect();
    let mut checked: Vec<(Result<Verification, FolderError>, [String; 2])> =
        logs.par_iter().map(|path| (verify_log(path, None), side_texts(path))).collect();
    // The first session of each sound is rendered and matched again; what that shows holds for all with the same bytes.
    let mut firsts: BTreeMap<String, usize> = BTreeMap::new();
    for (index, (checked, _)) in checked.iter().enumerate() {
        if let Some(configuration) = checked.as_ref().ok().filter(|found| found.passed()).and_then(Verification::configuration) {
            firsts.entry(sound_key(configuration)).or_insert(index);
        }
    }
    let faults: BTreeMap<String, Option<String>> = firsts
        .into_par_iter()
        .map(|(key, index)| {
            let mut again = checked[index].0.as_ref().ok().cloned();
            again.iter_mut().for_each(check_sound);
            let fault = again.as_ref().and_then(fault);
            (key, fault)
        })
        .collect();
    logs.iter()
        .zip(checked.drain(..))
        .map(|(path, (checked, sides))| found(name(folder, path), checked, sides, &faults))
        .collect()
}

/// The first check of a session that did not pass.
fn fault(verification: &Verification) -> Option<String> {
    verification.checks.iter().find(|check| !check.passed).map(|check| check.text.clone())
}

/// A verified session.
fn found(
    session: String,
    checked: Result<Verification, FolderError>,
    sides: [String; 2],
    faults: &BTreeMap<String, Option<String>>,
) -> Found {
    let mut entry = Entry {
        session,
        listener: String::new(),
        origin: Origin::Session,
        receipt: String::new(),
        standing: Standing::Other,
        reason: String::new(),
        result: None,
    };
    let checked = match checked {
        Ok(checked) => checked,
        Err(error) => {
            entry.reason = match error {
                FolderError::Log { source: LogError::Newer { .. }, .. } => "a newer version wrote its log".into(),
                FolderError::Io { source, .. } => format!("its log cannot be read: {source}"),
                other => other.to_string(),
            };
            return Found { entry, test: None, begun: Default::default() };
        }
    };
    entry.receipt.clone_from(&checked.receipt);
    let begun = checked.begun().map(str::to_owned);
    let Some(configuration) = checked.configuration() else {
        entry.reason = format!("not verified: {}", fault(&checked).unwrap_or_else(|| "its log has no first line".into()));
        return Found { entry, test: None, begun };
    };
    entry.listener.clone_from(&configuration.setup.listener);
    let test = TestIdentity::new(configuration, sides);
    let fault = fault(&checked).or_else(|| faults.get(&sound_key(configuration)).cloned().flatten());
    entry.standing = Standing::Begun;
    match (fault, checked.closing()) {
        // The log itself may be whole; then it was left.
        (Some(_), None) => entry.reason = "not finished: the session was left, or its end was cut off".into(),
        (Some(fault), _) => entry.reason = format!("not verified: {fault}"),
        (None, None) => entry.reason = "not finished: the session was left".into(),
        // An e-value holds whenever the test ends.
        (None, Some(closing))
            if closing.end == End::Complete || test.protocol.rule == Rule::EValue && closing.result.trials > 0 =>
        {
            entry.standing = Standing::Counted;
            entry.result = Some((closing.end, closing.result));
        }
        (None, Some(closing)) => {
            entry.reason = format!("aborted after {} trials; a test that is stopped at will has no p", closing.result.trials);
        }
    }
    if test.source == SoundSource::Live {
        entry.standing = Standing::Other;
        entry.reason = "a test on live sound: each listener heard another sound".into();
        entry.result = None;
    }
    if test.protocol.question == Question::Threshold {
        entry.standing = Standing::Other;
        let found = entry.result.take().map_or_else(String::new, |(_, score)| threshold_text(&score));
        entry.reason = format!("a threshold, which is a listener's own and is not counted with others{found}");
    }
    Found { entry, test: Some(test), begun }
}

/// The threshold of a staircase in words; empty if its place is beyond the ladder.
fn threshold_text(score: &Score) -> String {
    let Some(threshold) = &score.threshold else { return String::new() };
    let end = |db: Option<f64>, beyond: &str| db.map_or_else(|| beyond.to_owned(), |db| format!("{db:.1}"));
    let (low, high) = (end(threshold.lower_db, "below the ladder"), end(threshold.upper_db, "above the ladder"));
    threshold.esr_db.map_or_else(String::new, |db| format!("; {db:.1} dB of error to signal ({low} to {high})"))
}

/// The listeners of an import.
fn read_import(folder: &Path, path: &Path) -> Vec<Found> {
    let session = name(folder, path);
    let entry = |listener: &str| Entry {
        session: session.clone(),
        listener: listener.into(),
        origin: Origin::Webmushra,
        receipt: String::new(),
        standing: Standing::Begun,
        reason: String::new(),
        result: None,
    };
    let import = match Import::read(&path.join(IMPORT)) {
        Ok(import) => import,
        Err(error) => {
            let entry = Entry { standing: Standing::Other, reason: error.to_string(), ..entry("") };
            return vec![Found { entry, test: None, begun: Default::default() }];
        }
    };
    let imported = |listener: &ImportedListener| {
        let mut entry = entry(&listener.listener);
        match import.score(listener) {
            Ok(score) => {
                entry.standing = Standing::Counted;
                entry.result = Some((End::Complete, score));
            }
            Err(reason) => entry.reason = reason,
        }
        Found { entry, test: Some(import.test.clone()), begun: [import.date.clone(), String::new()] }
    };
    import.listeners.iter().map(imported).collect()
}

/// The test that most sessions that count are of, or, if none counts, most that began; None if no log tells its test.
fn most(folder: &Path, found: &[Found]) -> Result<Option<TestIdentity>, CollectError> {
    for wanted in [Standing::Counted, Standing::Begun] {
        let mut tests: Vec<(&TestIdentity, usize)> = Vec::new();
        for test in found.iter().filter(|found| found.entry.standing == wanted).filter_map(|found| found.test.as_ref()) {
            match tests.iter_mut().find(|(other, _)| test.difference(other).is_none()) {
                Some((_, count)) => *count += 1,
                None => tests.push((test, 1)),
            }
        }
        tests.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        match tests[..] {
            [] => {}
            [(_, count), (_, other), ..] if count == other => {
                let same: Vec<String> = tests
                    .iter()
                    .take_while(|(_, other)| *other == count)
                    .map(|(test, count)| format!("{count} of '{}' against '{}'", test.sides[0], test.sides[1]))
                    .collect();
                return Err(CollectError::SeveralTests { path: folder.into(), found: same.join(", ") });
            }
            [(first, _), ..] => return Ok(Some(first.clone())),
        }
    }
    Ok(None)
}

/// Marks what is of another test, copies, and later sessions of a listener.
fn sort_out(test: &TestIdentity, found: &mut [Found]) {
    let dismiss = |entry: &mut Entry, standing: Standing, reason: String| {
        entry.standing = standing;
        entry.reason = reason;
        entry.result = None;
    };
    for found in found.iter_mut().filter(|found| found.entry.standing != Standing::Other) {
        if let Some(difference) = found.test.as_ref().and_then(|other| other.difference(test)) {
            dismiss(&mut found.entry, Standing::Other, format!("another test: {difference}"));
        }
    }
    // Sessions by their commitment.
    let mut sessions: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, found) in found.iter().enumerate() {
        let is_of_test = matches!(found.entry.standing, Standing::Counted | Standing::Begun);
        if is_of_test && !found.begun[1].is_empty() {
            sessions.entry(found.begun[1].clone()).or_default().push(index);
        }
    }
    for copies in sessions.into_values().filter(|copies| copies.len() > 1) {
        let finished: Vec<usize> = copies.iter().copied().filter(|i| found[*i].entry.standing == Standing::Counted).collect();
        let kept = finished.first().or(copies.first()).copied().unwrap_or_default();
        let is_forked = finished.iter().any(|index| found[*index].entry.receipt != found[kept].entry.receipt);
        let original = found[kept].entry.session.clone();
        for index in copies {
            if is_forked && found[index].entry.standing == Standing::Counted {
                // A session that began counts in Holm's number, though nobody knows what it would have shown.
                let reason =
                    format!("one of several ends of one session, as '{original}': answers were taken back, so none counts");
                let standing = if index == kept { Standing::Begun } else { Standing::Copy };
                dismiss(&mut found[index].entry, standing, reason);
            } else if index != kept {
                dismiss(&mut found[index].entry, Standing::Copy, format!("a copy of '{original}'"));
            }
        }
    }
    // The first finished session of each name; imports come after all sessions of Isotherm.
    let mut order: Vec<usize> = (0..found.len()).filter(|index| found[*index].entry.standing == Standing::Counted).collect();
    order.sort_by_key(|index| (found[*index].entry.origin == Origin::Webmushra, found[*index].begun[0].clone()));
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    for index in order {
        let entry = &mut found[index].entry;
        let name = entry.listener.trim().to_lowercase();
        if name.is_empty() {
            continue;
        }
        match names.get(&name) {
            Some(first) => {
                let reason = format!("{} took this test before, in '{first}', which counts", entry.listener.trim());
                dismiss(entry, Standing::Repeated, reason);
            }
            None => drop(names.insert(name, entry.session.clone())),
        }
    }
}
