//! The check of a session's folder: everything that can be recomputed is, and the first line that does not fit is named.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use serde::Serialize;

use super::blinding::{Blinding, sha256};
use super::folder::{FolderError, LOG, TABLE, closing, table};
use super::log::{Body, Closing, Configuration, Line, LogError, NO_HASH, parse, split};
use super::preparation::{prepare_saved, recorded_matching};
use super::session::Session;

/// Largest error of a recomputed statistic, as a share of it or of 1, whichever is larger.
const STATISTIC_TOLERANCE: f64 = 1e-9;

/// Something that was checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// True if it is as it should be.
    pub passed: bool,
    /// A line on it.
    pub text: String,
}

/// The check of a session.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verification {
    /// The session's folder.
    pub folder: PathBuf,
    /// Everything that was checked, up to the first fault in the log.
    pub checks: Vec<Check>,
    /// Hash of the log's last whole line.
    pub receipt: String,
    /// Number of the line whose hash is the receipt that was given; None if none was given, or no line has it.
    pub anchored_line: Option<u64>,
    /// A line on the receipt: that the log is anchored, up to which line, or that it is not.
    pub anchor: String,
    /// The result in words; empty if the log cannot be followed to its end.
    pub sentences: Vec<String>,
    /// Remarks on the result.
    pub remarks: Vec<String>,
    /// The first line of the log.
    #[serde(skip)]
    configuration: Option<Box<Configuration>>,
}

impl Verification {
    /// True if everything is as it should be. Without a receipt it may be so, and still a new log in the place of the first one.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.checks.iter().all(|check| check.passed)
    }

    /// The first line of the log; `None` if it cannot be read. [any thread]
    #[must_use]
    pub fn configuration(&self) -> Option<&Configuration> {
        self.configuration.as_deref()
    }

    /// Adds a check.
    fn check(&mut self, passed: bool, text: impl Into<String>) -> bool {
        self.checks.push(Check { passed, text: text.into() });
        passed
    }
}

/// Checks a session's folder: as [`verify_log`], and the sound, from which gain, delay, polarity and gates are found anew. `receipt`:
/// the hash of a line, as the listener noted it. [control thread: does I/O and takes its time]
///
/// # Errors
/// As [`verify_log`].
pub fn verify(folder: &Path, receipt: Option<&str>) -> Result<Verification, FolderError> {
    let mut found = verify_log(folder, receipt)?;
    // A sound that was changed is named already, and has other gains.
    let configuration = found.configuration.take().filter(|_| found.passed());
    if let Some(configuration) = configuration {
        let again = recorded_matching(&configuration).and_then(|recorded| {
            let prepared = prepare_saved(folder, &configuration, &|_| {}, &AtomicBool::new(false))?;
            Ok(recorded.difference(&prepared.matching))
        });
        match again {
            Ok(None) => found.check(true, "gain, delay, polarity and gates follow from the sound and the sides"),
            Ok(Some(difference)) => found.check(false, format!("the sides are not matched as the log says: {difference}")),
            Err(error) => found.check(false, format!("the sides cannot be matched again: {error}")),
        };
    }
    Ok(found)
}

/// Checks a session's folder, but for the sound: log, files, commitment, mappings, result and table. `receipt`: the hash of a line, as the listener noted it during the test or at its end. [control
/// thread: does I/O and takes its time]
///
/// # Errors
/// If there is no log, it cannot be read, or a newer version wrote it. All other faults are checks that did not pass.
pub fn verify_log(folder: &Path, receipt: Option<&str>) -> Result<Verification, FolderError> {
    let path = folder.join(LOG);
    let bytes = std::fs::read(&path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => FolderError::NotASession(folder.into()),
        _ => FolderError::Io { path: path.clone(), action: "read it", source },
    })?;
    let (raw, rest) = split(&bytes);
    let mut found = Verification {
        folder: folder.into(),
        checks: Vec::new(),
        receipt: raw.last().map_or_else(|| NO_HASH.into(), |line| sha256(line)),
        anchored_line: None,
        anchor: String::new(),
        sentences: Vec::new(),
        remarks: Vec::new(),
        configuration: None,
    };
    anchor(&mut found, &raw, receipt);
    match read(&raw) {
        Ok(lines) => {
            let text = format!("{} lines, each with the hash of the one before", lines.len());
            found.check(true, text);
            if found.check(rest.is_empty(), half_written(rest, raw.len())) {
                follow(&mut found, folder, &raw, &lines);
            }
        }
        Err(Fault::Newer(version)) => {
            return Err(FolderError::Log { path: folder.into(), source: LogError::Newer { found: version } });
        }
        Err(Fault::Text(text)) => {
            found.check(false, text);
        }
    }
    Ok(found)
}

/// Words on the end of the last line.
fn half_written(rest: &[u8], lines: usize) -> String {
    if rest.is_empty() {
        "the last line is whole".into()
    } else {
        format!("line {} is only half written: the program or machine stopped; the session can be resumed", lines + 1)
    }
}

/// Looks for the receipt among the hashes of the lines.
fn anchor(found: &mut Verification, raw: &[&[u8]], receipt: Option<&str>) {
    let Some(receipt) = receipt else {
        found.anchor = "not anchored: without the receipt, the whole log could be a new one".into();
        return;
    };
    let receipt = receipt.trim().to_lowercase();
    found.anchored_line = (1..).zip(raw).find(|(_, line)| sha256(line) == receipt).map(|(number, _)| number);
    found.anchor = match found.anchored_line {
        Some(number) if number == raw.len() as u64 => "anchored: the receipt is the hash of the last line".into(),
        Some(number) => format!("anchored up to line {number} of {}; the receipt says nothing of the lines after it", raw.len()),
        None => "the receipt is the hash of no line: the log was changed after it was shown, or it is of another session".into(),
    };
    let (passed, text) = (found.anchored_line.is_some(), found.anchor.clone());
    found.check(passed, text);
}

/// A fault in the lines of a log.
enum Fault {
    /// A newer version wrote it.
    Newer(u64),
    /// Any other.
    Text(String),
}

/// Reads all lines, and names the first that was changed, cut out, or put in another place.
fn read(raw: &[&[u8]]) -> Result<Vec<Line>, Fault> {
    let mut lines: Vec<Line> = Vec::new();
    for (place, bytes) in (1u64..).zip(raw) {
        let line = match parse(bytes, place) {
            Ok(line) => line,
            Err(LogError::Newer { found }) => return Err(Fault::Newer(found)),
            Err(error) => return Err(Fault::Text(format!("{error}: the line was changed"))),
        };
        let before = lines.last();
        let hash = before.map_or(NO_HASH, |before| before.hash.as_str());
        let expected = before.map_or(1, |before| before.number + 1);
        if line.number != expected {
            let is_later = raw[place as usize..].iter().any(|bytes| sha256(bytes) == line.previous);
            return Err(Fault::Text(if line.number > expected && !is_later {
                let last = line.number - 1;
                let lines = if last == expected { format!("line {expected}") } else { format!("lines {expected} to {last}") };
                format!("{lines} cut out: line {} stands in their place", line.number)
            } else {
                format!("lines in another order: line {} stands in the place of line {expected}", line.number)
            }));
        }
        if line.previous != hash {
            return Err(Fault::Text(match place {
                1 => "line 1 was changed: it names a line before it".into(),
                _ => format!("line {} was changed: line {place} has another hash of it", place - 1),
            }));
        }
        lines.push(line);
    }
    Ok(lines)
}

/// Checks all that follows from the lines.
fn follow(found: &mut Verification, folder: &Path, raw: &[&[u8]], lines: &[Line]) {
    let Some(Line { body: Body::Configuration(configuration), .. }) = lines.first() else {
        found.check(false, "line 1 is no configuration");
        return;
    };
    check_files(found, folder, configuration);
    found.configuration = Some(configuration.clone());
    let Some(Line { body: Body::Commitment(commitment), .. }) = lines.get(1) else {
        found.check(false, "line 2 is no commitment: the session was left before it began, or its end was cut off");
        return;
    };
    let closed = match lines.last() {
        Some(Line { body: Body::Close(closed), .. }) => closed,
        _ => {
            found.check(
                false,
                format!("line {} is not the closing line: the session was left, or its end was cut off", lines.len()),
            );
            return;
        }
    };
    let Ok(blinding) = Blinding::opened(&closed.seed, &closed.nonce) else {
        found.check(false, format!("line {}: no seed and nonce", lines.len()));
        return;
    };
    let same = blinding.commitment(raw[0]) == *commitment;
    if !found.check(
        same,
        if same {
            "the commitment is the one to this seed and configuration"
        } else {
            "the commitment is not the one to this seed and configuration: line 1, line 2 or the seed was changed"
        },
    ) {
        return;
    }
    let mut session = Session::new(configuration.plan(), blinding.clone());
    let mut entries = Vec::new();
    for line in &lines[2..lines.len() - 1] {
        let Body::Entry(entry) = &line.body else {
            found.check(false, format!("line {} stands in the wrong place", line.number));
            return;
        };
        if let Err(error) = session.apply(entry) {
            found.check(false, format!("line {}: {error}", line.number));
            return;
        }
        entries.push((line.time.clone(), entry.clone()));
    }
    check_closing(found, closed, &closing(&session));
    let expected = table(&configuration.plan(), &blinding, &entries);
    let is_same = std::fs::read(folder.join(TABLE)).is_ok_and(|bytes| bytes == expected.as_bytes());
    found.check(
        is_same,
        if is_same { format!("{TABLE} is as the log says") } else { format!("{TABLE} is missing or was changed") },
    );
    let outcome = session.outcome();
    (found.sentences, found.remarks) = (outcome.sentences, outcome.remarks);
}

/// Checks the files against their hashes in the first line.
fn check_files(found: &mut Verification, folder: &Path, configuration: &Configuration) {
    let mut count = 0;
    for (name, hash) in &configuration.files {
        // A name with a path in it would lead out of the folder.
        let is_name = Path::new(name).file_name().is_some_and(|only| only == name.as_str());
        match std::fs::read(folder.join(name)) {
            Ok(bytes) if is_name && sha256(&bytes) == *hash => count += 1,
            Ok(_) => {
                found.check(false, format!("{name} was changed"));
            }
            Err(error) => {
                found.check(false, format!("{name} cannot be read: {error}"));
            }
        }
    }
    if count == configuration.files.len() {
        found.check(true, format!("{count} files are as they were at the start"));
    }
}

/// Checks the closing line against what follows from the lines before it.
fn check_closing(found: &mut Verification, closed: &Closing, expected: &Closing) {
    let mut check = |passed: bool, good: String, bad: String| {
        found.check(passed, if passed { good } else { bad });
    };
    check(
        closed.trials == expected.trials && closed.end == expected.end,
        format!("{} trials of control and test, as the closing line says", expected.trials),
        format!(
            "the closing line says {} trials, {}; the log has {}, {}",
            closed.trials,
            end_name(closed),
            expected.trials,
            end_name(expected)
        ),
    );
    let first = closed.mappings.iter().zip(&expected.mappings).find(|(found, expected)| found != expected);
    let is_same = first.is_none() && closed.mappings.len() == expected.mappings.len();
    check(
        is_same,
        "every mapping follows from the seed".into(),
        first.map_or_else(
            || "the closing line has mappings of more or fewer trials than the log".into(),
            |(_, expected)| format!("the mapping of {} {} does not follow from the seed", part(expected), expected.trial),
        ),
    );
    let statistic = |score: &super::outcome::Score| score.statistic;
    let (found_statistic, expected_statistic) = (statistic(&closed.result), statistic(&expected.result));
    let is_near = match (found_statistic, expected_statistic) {
        (Some(a), Some(b)) => (a - b).abs() <= STATISTIC_TOLERANCE * b.abs().max(1.0),
        (a, b) => a.is_none() && b.is_none(),
    };
    let without = |score: &super::outcome::Score| super::outcome::Score { statistic: None, ..*score };
    check(
        is_near && without(&closed.result) == without(&expected.result),
        "the result follows from answers and mappings".into(),
        format!("the closing line has the result {:?}; the answers give {:?}", closed.result, expected.result),
    );
}

/// The way in which a test ended, in a word.
fn end_name(closing: &Closing) -> &'static str {
    match closing.end {
        super::session::End::Complete => "complete",
        super::session::End::Aborted => "aborted",
    }
}

/// The part of a mapping.
fn part(mapping: &super::log::MappingRecord) -> &'static str {
    super::blinding::part_name(mapping.part)
}
