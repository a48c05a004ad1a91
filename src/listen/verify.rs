//! The check of a session's folder: everything that can be recomputed is, and the first line that does not fit is named.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use serde::Serialize;

use super::blinding::{Blinding, sha256};
use super::course::program;
use super::folder::{FolderError, LOG, LOOP, SEED, TABLE, closing};
use super::gates::{LIVE_GAIN_LIMIT_DB, gain_gate};
use super::ladder::{Rung, check_ladder};
use super::log::{Body, Closing, Configuration, LOG_VERSION, Line, LogError, NO_HASH, parse, split};
use super::matching::Prepared;
use super::preparation::{prepare_saved, recorded_matching};
use super::protocol::{form_name, question_name, rule_name, validate};
use super::session::{Entry, Session};
use super::side::rung_file;
use super::side_measures::esr_db;
use super::staircase::Threshold;
use super::statistics::ALPHA;
use super::table::table;
use crate::view::{Question, SoundSource};

/// Largest error of a recomputed statistic, as a share of it or of 1, whichever is larger.
const STATISTIC_TOLERANCE: f64 = 1e-9;

/// Largest difference of a recomputed threshold in dB: machines may differ in the last digit of a logarithm.
const THRESHOLD_TOLERANCE_DB: f64 = 0.01;

/// Names of the sides.
const SIDE_NAMES: [&str; 2] = ["A", "B"];
/// Fewest digits of a receipt: 64 bits, which nobody meets by chance or work. A window shows as many.
const RECEIPT_DIGITS: usize = 16;

/// Largest difference of a recomputed error of the sides in dB.
const ESR_TOLERANCE_DB: f64 = 0.01;

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
    /// Both sides and the plan in words; empty if the log has no first line.
    pub subject: String,
    /// The result in words; empty if the log cannot be followed to its end.
    pub sentences: Vec<String>,
    /// Remarks on the result.
    pub remarks: Vec<String>,
    /// The first line of the log.
    #[serde(skip)]
    configuration: Option<Box<Configuration>>,
    /// Time of the first line, and the commitment in the second; empty without them.
    #[serde(skip)]
    begun: [String; 2],
    /// The last line of the log.
    #[serde(skip)]
    closing: Option<Box<Closing>>,
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

    /// The last line of the log; `None` if the test was left. Its result is right if everything [passed](Self::passed). [any thread]
    #[must_use]
    pub fn closing(&self) -> Option<&Closing> {
        self.closing.as_deref()
    }

    /// Time of the log's first line, and the commitment in the second, which tells sessions apart; empty without them. [any thread]
    #[must_use]
    pub fn begun(&self) -> [&str; 2] {
        [&self.begun[0], &self.begun[1]]
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
/// The errors of [`verify_log`].
pub fn verify(folder: &Path, receipt: Option<&str>) -> Result<Verification, FolderError> {
    let mut found = verify_log(folder, receipt)?;
    check_sound(&mut found);
    Ok(found)
}

/// Checks the sound of a session whose log, files and result passed.
pub(super) fn check_sound(found: &mut Verification) {
    // A sound that was changed is named already, and has other gains.
    let Some(configuration) = found.configuration.clone().filter(|_| found.passed()) else { return };
    let again = recorded_matching(&configuration).and_then(|recorded| {
        if let Some(text) = failed_gate(&configuration, &recorded) {
            return Ok(Some(format!("a gate failed, so this test cannot have started ({text})")));
        }
        let prepared = prepare_saved(&found.folder, &configuration, &|_| {}, &AtomicBool::new(false))?;
        // Figures, which are compared as numbers, and words on them may differ in their last digit between machines.
        let words = |matching: &super::matching::Matching| -> Vec<String> {
            let name = |text: &str| text.split_once(':').map_or("", |(name, _)| name).to_owned();
            matching.gates.iter().map(|gate| name(&gate.text)).collect()
        };
        Ok(recorded
            .difference(&prepared.matching)
            .or_else(|| esr_difference(configuration.esr_db, esr_db(&prepared.stimuli)))
            .or_else(|| (words(&recorded) != words(&prepared.matching)).then(|| "the gates have other texts".into()))
            .or_else(|| sound_difference(&configuration, &recorded))
            .or_else(|| side_difference(&configuration, &prepared)))
    });
    match again {
        Ok(None) => found.check(true, "gain, delay, polarity, gates and error follow from the sound and the sides"),
        // Another version may compute another sound.
        Ok(Some(difference)) => {
            let text = format!("the sides are not matched as {} says in the log: {difference}", configuration.program);
            found.check(false, text + &other_version(&configuration))
        }
        Err(error) => found.check(false, format!("the sides cannot be matched again: {error}") + &other_version(&configuration)),
    };
}

/// Everything that [`check_sound`] looks at, in one text: sessions that have the same, and whose files passed, have the same result.
pub(super) fn sound_key(configuration: &Configuration) -> String {
    let Configuration { program, setup, sample_rate, is_aa, esr_db, matching, files, .. } = configuration;
    serde_json::json!([
        program,
        setup.sides,
        setup.rungs,
        setup.source,
        setup.range,
        setup.control,
        sample_rate,
        is_aa,
        esr_db,
        matching,
        files
    ])
    .to_string()
}

/// Words if another version than this one wrote the log, which may be the reason of a difference.
fn other_version(configuration: &Configuration) -> String {
    if configuration.program == program() {
        return String::new();
    }
    format!("; this is {}, which may compute another sound: verify the session with {}", program(), configuration.program)
}

/// The line of a gate that did not let the test start.
fn failed_gate(configuration: &Configuration, recorded: &super::matching::Matching) -> Option<String> {
    let live = (configuration.setup.source == SoundSource::Live).then(|| gain_gate(recorded.gain_db, LIVE_GAIN_LIMIT_DB));
    recorded.gates.iter().chain(&live).find(|gate| !gate.passed()).map(|gate| gate.text.clone())
}

/// A line if a side of the session is not the one that line 1 names.
fn side_difference(configuration: &Configuration, Prepared { sides, rungs, .. }: &Prepared) -> Option<String> {
    let mut chosen = (1..).zip(rungs.iter().zip(&configuration.setup.rungs));
    if let Some((number, (rung, choice))) = chosen.find(|(_, (rung, choice))| !rung.fits(choice, &sides[0], SIDE_NAMES[0])) {
        return Some(format!("rung {number} is '{}', and line 1 names {choice:?}", rung.text));
    }
    let side = (0..2).find(|side| {
        let other = 1 - side;
        !sides[*side].fits(&configuration.setup.sides[*side], &sides[other], SIDE_NAMES[other])
    })?;
    let name = SIDE_NAMES[side];
    Some(format!("side {name} is '{}', and line 1 names {:?}", sides[side].text, configuration.setup.sides[side]))
}

/// A line if two errors of the sides differ by more than [`ESR_TOLERANCE_DB`].
fn esr_difference(recorded: Option<f64>, again: Option<f64>) -> Option<String> {
    let is_same = match (recorded, again) {
        (Some(a), Some(b)) => (a - b).abs() <= ESR_TOLERANCE_DB,
        (a, b) => a == b,
    };
    (!is_same).then(|| format!("the error to signal is {again:?} dB, and {recorded:?} dB in the log"))
}

/// A line if sample rate and range of the first line are not those of the sound.
fn sound_difference(configuration: &Configuration, recorded: &super::matching::Matching) -> Option<String> {
    let rate = f64::from(recorded.sample_rate);
    let seconds = configuration.setup.range[1] - configuration.setup.range[0];
    // Both ends are rounded to frames, and a file may end a little early.
    let is_long = (seconds * rate - recorded.frames as f64).abs() <= 2.0;
    let is_same = configuration.sample_rate == rate && is_long;
    (!is_same).then(|| {
        format!(
            "line 1 has {} Hz and {seconds} s; the loop has {rate} Hz and {} frames",
            configuration.sample_rate, recorded.frames
        )
    })
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
        subject: String::new(),
        sentences: Vec::new(),
        remarks: Vec::new(),
        configuration: None,
        begun: Default::default(),
        closing: None,
    };
    anchor(&mut found, &raw, receipt);
    match read(&raw) {
        Ok(lines) => {
            let text = format!("{} lines, each with the hash of the one before", lines.len());
            found.check(true, text);
            let can_resume = !matches!(lines.last(), Some(Line { body: Body::Close(_), .. })) && folder.join(SEED).exists();
            if found.check(rest.is_empty(), half_written(rest, raw.len(), can_resume)) {
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
fn half_written(rest: &[u8], lines: usize, can_resume: bool) -> String {
    if rest.is_empty() {
        "the last line is whole".into()
    } else if can_resume {
        format!("line {} is only half written: the program or machine stopped; the session can be resumed", lines + 1)
    } else {
        format!(
            "line {} is only half written, or its end was cut off; the session has no seed, so it cannot be resumed",
            lines + 1
        )
    }
}

/// Looks for the receipt among the hashes of the lines.
fn anchor(found: &mut Verification, raw: &[&[u8]], receipt: Option<&str>) {
    let Some(receipt) = receipt else {
        found.anchor = "not anchored: without the receipt, the whole log could be a new one".into();
        return;
    };
    let receipt = receipt.trim().to_lowercase();
    let is_long = (RECEIPT_DIGITS..=NO_HASH.len()).contains(&receipt.len());
    if !is_long || !receipt.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        found.anchor = format!(
            "no receipt: '{receipt}'; expected the first {RECEIPT_DIGITS} to {} hexadecimal digits of one",
            NO_HASH.len()
        );
        let text = found.anchor.clone();
        found.check(false, text);
        return;
    }
    let receipt = receipt.as_str();
    found.anchored_line = (1..).zip(raw).find(|(_, line)| sha256(line).starts_with(receipt)).map(|(number, _)| number);
    // A commitment binds the lines before it, and stands in its own.
    let commitment = |line: &[u8], place: u64| match parse(line, place).ok()?.body {
        Body::Commitment(commitment) => Some(commitment),
        Body::Entry(Entry::Resume(resumption)) => Some(resumption.commitment),
        _ => None,
    };
    let committed =
        (1..).zip(raw).find(|(number, line)| commitment(line, *number).is_some_and(|found| found.starts_with(receipt)));
    if let (None, Some((number, _))) = (found.anchored_line, committed) {
        found.anchored_line = Some(number - 1);
        found.anchor = format!(
            "anchored up to line {} of {} by its commitment, which says nothing of the lines after it; note the receipt, too",
            number - 1,
            raw.len()
        );
        let text = found.anchor.clone();
        found.check(true, text);
        return;
    }
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
    let is_closed = matches!(lines.last(), Some(Line { body: Body::Close(_), .. }));
    check_files(found, folder, configuration, is_closed);
    check_configuration(found, configuration);
    found.subject = subject(folder, configuration);
    found.configuration = Some(configuration.clone());
    found.begun[0].clone_from(&lines[0].time);
    let Some(Line { body: Body::Commitment(commitment), .. }) = lines.get(1) else {
        found.check(false, "line 2 is no commitment: the session was left before it began, or its end was cut off");
        return;
    };
    found.begun[1].clone_from(commitment);
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
    found.closing = Some(closed.clone());
    let opened: Result<Vec<Blinding>, _> =
        closed.seeds.iter().map(|opened| Blinding::opened(&opened.seed, &opened.nonce)).collect();
    let Ok(blindings) = opened else {
        found.check(false, format!("line {}: no seed and nonce", lines.len()));
        return;
    };
    if !check_commitments(found, raw[0], commitment, lines, &blindings) {
        return;
    }
    let mut secrets = blindings.iter();
    let Some(blinding) = secrets.next() else { return };
    let mut session = Session::new(configuration.plan(), blinding.clone());
    let mut entries = Vec::new();
    for line in &lines[2..lines.len() - 1] {
        let Body::Entry(entry) = &line.body else {
            found.check(false, format!("line {} stands in the wrong place", line.number));
            return;
        };
        if matches!(entry, Entry::Resume(_))
            && let Some(blinding) = secrets.next()
        {
            session.draw(blinding.clone());
        }
        if let Err(error) = session.apply(entry) {
            found.check(false, format!("line {}: {error}", line.number));
            return;
        }
        entries.push((line.time.clone(), entry.clone()));
    }
    check_closing(found, closed, &closing(&session));
    let expected = table(&session, &entries);
    let is_same = std::fs::read(folder.join(TABLE)).is_ok_and(|bytes| bytes == expected.as_bytes());
    found.check(
        is_same,
        if is_same { format!("{TABLE} is as the log says") } else { format!("{TABLE} is missing or was changed") },
    );
    let outcome = session.outcome();
    found.sentences = outcome.sentences;
    found.remarks.extend(outcome.remarks);
}

/// Checks the files against their hashes in the first line.
fn check_files(found: &mut Verification, folder: &Path, configuration: &Configuration, is_closed: bool) {
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
    let needed = needed_files(folder, configuration);
    let missing = needed.iter().find(|name| !configuration.files.contains_key(*name));
    if let Some(name) = missing {
        found.check(false, format!("line 1 has no hash of {name}"));
    }
    // The seed is there until the last line opens it.
    let known = |name: &str| configuration.files.contains_key(name) || name == LOG || name == TABLE || name == SEED && !is_closed;
    let entries: Vec<std::fs::DirEntry> =
        std::fs::read_dir(folder).map(|entries| entries.flatten().collect()).unwrap_or_default();
    let names = entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned());
    for name in names.filter(|name| !known(name)) {
        let note = if name == SEED { ": the seed, which should have been deleted" } else { "" };
        found.remarks.push(format!("'{name}' is no part of the record{note}."));
    }
    if count == configuration.files.len() && missing.is_none() {
        found.check(true, format!("{count} files are as they were at the start"));
    }
}

/// Checks the commitment to each secret: that of the start, which binds the first line, and that of each resumption, which binds all
/// lines before it.
fn check_commitments(found: &mut Verification, first: &[u8], commitment: &str, lines: &[Line], blindings: &[Blinding]) -> bool {
    let resumptions = lines.iter().filter_map(|line| match &line.body {
        Body::Entry(Entry::Resume(resumption)) => Some((line.number, resumption.commitment.as_str(), line.previous.as_bytes())),
        _ => None,
    });
    let commitments: Vec<(u64, &str, &[u8])> = std::iter::once((2, commitment, first)).chain(resumptions).collect();
    if commitments.len() != blindings.len() {
        let text = format!("the closing line opens {} seeds; the log has {} commitments", blindings.len(), commitments.len());
        return found.check(false, text);
    }
    let wrong = commitments.iter().zip(blindings).find(|((_, text, bytes), blinding)| blinding.commitment(bytes) != *text);
    match wrong {
        Some(((2, ..), _)) => found
            .check(false, "the commitment is not the one to this seed and configuration: line 1, line 2 or the seed was changed"),
        Some(((line, ..), _)) => {
            found.check(false, format!("line {line}: the commitment is not the one to the seed that the closing line opens"))
        }
        None if blindings.len() == 1 => found.check(true, "the commitment is the one to this seed and configuration"),
        None => found.check(true, "the commitments are those to these seeds, the first to this configuration"),
    }
}

/// Both sides of a session in words; empty where a side cannot be read.
pub(super) fn side_texts(folder: &Path) -> [String; 2] {
    ["a.json", "b.json"].map(|name| {
        let bytes = std::fs::read(folder.join(name)).ok();
        let value: Option<serde_json::Value> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        value.and_then(|value| value["text"].as_str().map(str::to_owned)).unwrap_or_default()
    })
}

/// Both sides and the plan of a session in words.
fn subject(folder: &Path, configuration: &Configuration) -> String {
    let [a, b] = side_texts(folder);
    let setup = &configuration.setup;
    let sound = if setup.source == SoundSource::Live { "live sound, matched on" } else { "a loop of" };
    format!(
        "A: {a}; B: {b}; {} {}, {}, {} trials; {sound} {:.2} s",
        question_name(setup.protocol.question),
        form_name(setup.protocol.form),
        rule_name(setup.protocol.rule),
        setup.protocol.trials,
        setup.range[1] - setup.range[0]
    )
}

/// Checks what the first line says twice, and that such a test can start.
fn check_configuration(found: &mut Verification, configuration: &Configuration) {
    let identical = configuration.matching.get("identical").and_then(serde_json::Value::as_bool);
    let faults = [
        (configuration.version != LOG_VERSION, format!("version {}; expected {LOG_VERSION}", configuration.version)),
        (configuration.alpha != ALPHA, format!("alpha is {}; expected {ALPHA}", configuration.alpha)),
        (
            identical != Some(configuration.is_aa),
            "'is_aa' is not what 'matching' says: whether both sides are the same bit for bit".into(),
        ),
        (configuration.is_aa && configuration.esr_db.is_some(), "sides that are the same have no 'esr_db'".into()),
    ];
    if let Err(error) = validate(&configuration.setup.protocol) {
        found.check(false, format!("line 1: {error}"));
    }
    if let Err(error) = check_rungs(configuration) {
        found.check(false, format!("line 1: {error}"));
    }
    for (_, text) in faults.into_iter().filter(|(is_fault, _)| *is_fault) {
        found.check(false, format!("line 1: {text}"));
    }
}

/// Checks that a threshold has a ladder on a loop, and another question none.
fn check_rungs(configuration: &Configuration) -> Result<(), String> {
    let setup = &configuration.setup;
    let rungs: Vec<Rung> = match configuration.matching.get("rungs") {
        Some(rungs) => serde_json::from_value(rungs.clone()).map_err(|error| format!("'rungs' cannot be read: {error}"))?,
        None => Vec::new(),
    };
    if setup.protocol.question != Question::Threshold {
        return if rungs.is_empty() && setup.rungs.is_empty() { Ok(()) } else { Err("rungs without a staircase".into()) };
    }
    if setup.source != SoundSource::Loop {
        return Err("a threshold is measured on a loop".into());
    }
    check_ladder(&rungs)?;
    let is_measured = !setup.rungs.is_empty();
    let is_whole = !is_measured || rungs.len() == setup.rungs.len() && setup.rungs.last() == Some(&setup.sides[1]);
    if !is_whole || rungs.iter().any(|rung| rung.side.is_some() != is_measured) {
        return Err("'rungs' are not those of 'setup', or side B is not the last of them".into());
    }
    Ok(())
}

/// Names of the files that a session must have: the loop, both sides, the rungs of a measured ladder, and what these name.
fn needed_files(folder: &Path, configuration: &Configuration) -> Vec<String> {
    let mut needed = vec![LOOP.to_owned()];
    let rungs = (1..configuration.setup.rungs.len()).map(|rung| format!("{}.json", rung_file(rung)));
    for side in ["a.json".to_owned(), "b.json".into()].into_iter().chain(rungs) {
        needed.push(side.clone());
        let value = std::fs::read(folder.join(side)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let value: serde_json::Value = value.unwrap_or_default();
        let named = [&value["file"], &value["effect"]["model"]];
        needed.extend(named.into_iter().filter_map(|name| name.as_str().map(str::to_owned)));
    }
    needed
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
    let without = |score: &super::outcome::Score| super::outcome::Score { statistic: None, threshold: None, ..*score };
    if closed.track.is_some() || expected.track.is_some() {
        let reversals = expected.track.as_ref().map_or(0, |track| track.reversals.len());
        check(
            closed.track == expected.track,
            format!("levels and {reversals} reversals of the staircase follow from the answers"),
            track_difference(closed, expected),
        );
    }
    let is_near = is_near && is_near_threshold(closed.result.threshold, expected.result.threshold);
    check(
        is_near && without(&closed.result) == without(&expected.result),
        "the result follows from answers and mappings".into(),
        format!("the closing line has the result {:?}; the answers give {:?}", closed.result, expected.result),
    );
}

/// True if two thresholds are the same, up to the distance of the values among which they are looked for.
fn is_near_threshold(found: Option<Threshold>, expected: Option<Threshold>) -> bool {
    let near = |a: Option<f64>, b: Option<f64>| match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() <= THRESHOLD_TOLERANCE_DB,
        (a, b) => a.is_none() && b.is_none(),
    };
    match (found, expected) {
        (Some(a), Some(b)) => near(a.esr_db, b.esr_db) && near(a.lower_db, b.lower_db) && near(a.upper_db, b.upper_db),
        (a, b) => a.is_none() && b.is_none(),
    }
}

/// A line on the first thing in which the course of a staircase is not the one of the answers.
fn track_difference(closed: &Closing, expected: &Closing) -> String {
    let (Some(found), Some(expected)) = (&closed.track, &expected.track) else {
        return "the closing line has no course of a staircase, or one of no staircase".into();
    };
    let differs = |(_, (found, expected)): &(u32, (&u32, &u32))| found != expected;
    if let Some((trial, (found, expected))) = (1..).zip(found.rungs.iter().zip(&expected.rungs)).find(differs) {
        return format!(
            "trial {trial} of the staircase had rung {}, as the closing line says; its answers give rung {}",
            found + 1,
            expected + 1
        );
    }
    if found.rungs.len() != expected.rungs.len() {
        return format!("the closing line has {} levels; the log has {} answers", found.rungs.len(), expected.rungs.len());
    }
    format!("the closing line has reversals at {:?}; the answers give {:?}", found.reversals, expected.reversals)
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
