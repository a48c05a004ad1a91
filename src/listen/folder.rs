//! The folder of a session: the loop, both sides, the log, the seed while the test runs, and the table of trials after it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::blinding::{Blinding, BlindingError, part_name, sha256};
use super::log::{Body, Closing, Configuration, Line, LogError, LogFile, LogWriter, MappingRecord, NO_HASH, parse, split};
use super::session::{End, Entry, Flag, OutOfPlace, Plan, Session};
use crate::view::{Answer, Form, TestPart};

/// Name of the log.
pub const LOG: &str = "log.jsonl";
/// Name of the file with the loop, as it came in.
pub const LOOP: &str = "loop.wav";
/// Name of the file that holds seed and nonce while the test runs, readable by its owner only. It is locked by the program that
/// runs the test, and deleted when the seed is opened.
pub const SEED: &str = "seed";
/// Name of the table of trials.
pub const TABLE: &str = "trials.csv";
/// Name of the folder in the user's home folder in which sessions are made.
const DEFAULT_FOLDER: &str = "Isotherm Listening";

/// The reason why a session's folder cannot be made, opened or written.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
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
    /// The log.
    #[error("{}: {source}", path.display())]
    Log {
        /// The folder.
        path: PathBuf,
        /// The reason.
        source: LogError,
    },
    /// There is no log.
    #[error("{}: no session of a listening test; expected a folder with {LOG}", .0.display())]
    NotASession(PathBuf),
    /// Another program runs it.
    #[error("{}: another window or program runs this session; expected one that is left", .0.display())]
    InUse(PathBuf),
    /// The test has ended.
    #[error("{}: this test has ended, so it cannot be resumed", .0.display())]
    Ended(PathBuf),
    /// The seed is gone.
    #[error("{}: the file '{SEED}' is missing, so the hidden mappings are lost and the test cannot be resumed or closed", .0.display())]
    NoSeed(PathBuf),
    /// The seed is another one.
    #[error("{}: the file '{SEED}' is not the one of this log, or its first line was changed", .0.display())]
    OtherSeed(PathBuf),
    /// The seed cannot be read.
    #[error("{}: {source}", path.display())]
    Seed {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: BlindingError,
    },
    /// A line was changed.
    #[error("{}: line {line} does not follow the line before it: the log was changed", path.display())]
    Changed {
        /// The folder.
        path: PathBuf,
        /// Number of the line.
        line: u64,
    },
    /// An entry does not fit.
    #[error("{}: line {line}: {source}", path.display())]
    OutOfPlace {
        /// The folder.
        path: PathBuf,
        /// Number of the line.
        line: u64,
        /// The reason.
        source: OutOfPlace,
    },
}

/// An error of the file system.
fn failed<'a>(path: &'a Path, action: &'static str) -> impl FnOnce(io::Error) -> FolderError + 'a {
    move |source| FolderError::Io { path: path.into(), action, source }
}

/// The folder in which sessions are made: `Isotherm Listening` in the user's home folder. [any thread]
#[must_use]
pub fn default_folder() -> PathBuf {
    std::env::home_dir().unwrap_or_default().join(DEFAULT_FOLDER)
}

/// The folder of a session that runs, with its lock. [control thread: does I/O]
#[derive(Debug)]
pub struct SessionFolder {
    path: PathBuf,
    configuration: Configuration,
    commitment: String,
    log: LogWriter,
    /// Everything that has happened, with its time.
    entries: Vec<(String, Entry)>,
    /// The last line is written.
    is_closed: bool,
    /// The locked seed.
    _lock: File,
}

/// A session that was left, with its state.
#[derive(Debug)]
pub struct Reopened {
    /// Its folder, locked.
    pub folder: SessionFolder,
    /// Its state before it goes on.
    pub session: Session,
    /// Bytes of a half-written last line that was cut off.
    pub cut_bytes: u64,
}

impl SessionFolder {
    /// Makes the folder of a new session in `parent`, which is made too. `write` writes the loop and the sides into it; the hashes
    /// of these files replace [`Configuration::files`]. When this returns, everything is on the disk. [control thread: does I/O]
    ///
    /// # Errors
    /// [`FolderError`]; then there is no folder.
    pub fn create(
        parent: &Path,
        mut configuration: Configuration,
        blinding: &Blinding,
        write: impl FnOnce(&Path) -> io::Result<()>,
    ) -> Result<Self, FolderError> {
        fs::create_dir_all(parent).map_err(failed(parent, "make the folder"))?;
        let path = new_folder(parent)?;
        let fill = || {
            write(&path).map_err(failed(&path, "write the sound and the sides"))?;
            configuration.files = hashes(&path)?;
            let lock = create_seed(&path.join(SEED), blinding)?;
            let file = OpenOptions::new().write(true).create_new(true).open(path.join(LOG));
            let file = file.map_err(failed(&path, "make the log"))?;
            let mut log = LogWriter::new(&path.join(LOG), Box::new(file), 0, 0, NO_HASH.into());
            let log_failed = |source| FolderError::Log { path: path.clone(), source };
            let first = log.append(&Body::Configuration(Box::new(configuration.clone()))).map_err(log_failed)?.0;
            let commitment = blinding.commitment(&first);
            log.append(&Body::Commitment(commitment.clone())).map_err(log_failed)?;
            for folder in [path.as_path(), parent] {
                sync_folder(folder).map_err(failed(folder, "write the folder"))?;
            }
            Ok(Self { path: path.clone(), configuration, commitment, log, entries: Vec::new(), is_closed: false, _lock: lock })
        };
        fill().inspect_err(|_| {
            // The folder was made here, so nothing else is in it.
            let _ = fs::remove_dir_all(&path);
        })
    }

    /// Opens a session that was left, locks it, cuts a half-written last line off, and finds its state. A session whose last line is
    /// written, but whose table or seed is not, is finished first. [control thread: does I/O]
    ///
    /// # Errors
    /// [`FolderError`]; [`FolderError::Ended`] if there is nothing to resume.
    pub fn open(path: &Path) -> Result<Reopened, FolderError> {
        let log_path = path.join(LOG);
        let seed_path = path.join(SEED);
        let bytes = match fs::read(&log_path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(FolderError::NotASession(path.into())),
            Err(error) => return Err(failed(&log_path, "read it")(error)),
        };
        let log_failed = |source| FolderError::Log { path: path.into(), source };
        // A newer version may keep its seed elsewhere, so its log comes first.
        let is_closed = |lines: &[Line]| matches!(lines.last(), Some(Line { body: Body::Close(_), .. }));
        let lines = read_lines(&bytes).map_err(log_failed)?;
        if lines.is_empty() {
            return Err(log_failed(LogError::Empty));
        }
        let mut lock = match OpenOptions::new().read(true).write(true).open(&seed_path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(if is_closed(&lines) { FolderError::Ended(path.into()) } else { FolderError::NoSeed(path.into()) });
            }
            Err(error) => return Err(failed(&seed_path, "open it")(error)),
        };
        if let Err(TryLockError::WouldBlock) = lock.try_lock() {
            return Err(FolderError::InUse(path.into()));
        }
        // Read again under the lock.
        let bytes = fs::read(&log_path).map_err(failed(&log_path, "read it"))?;
        let (raw, rest) = split(&bytes);
        let lines = read_lines(&bytes).map_err(log_failed)?;
        check_chain(path, &lines)?;
        let blinding = read_seed(&seed_path, &mut lock)?;
        let first = raw.first().copied().unwrap_or_default();
        let Some(Line { body: Body::Configuration(configuration), .. }) = lines.first() else {
            return Err(log_failed(LogError::Line { line: 1, reason: "no configuration".into() }));
        };
        let commitment = blinding.commitment(first);
        match lines.get(1).map(|line| &line.body) {
            Some(Body::Commitment(found)) if *found != commitment => return Err(FolderError::OtherSeed(path.into())),
            Some(Body::Commitment(_)) | None => {}
            Some(_) => return Err(log_failed(LogError::Line { line: 2, reason: "no commitment".into() })),
        }
        let mut session = Session::new(configuration.plan(), blinding.clone());
        let mut entries = Vec::new();
        for (place, line) in (1..).zip(&lines).skip(2) {
            match &line.body {
                Body::Entry(entry) => {
                    let out = |source| FolderError::OutOfPlace { path: path.into(), line: place, source };
                    session.apply(entry).map_err(out)?;
                    entries.push((line.time.clone(), entry.clone()));
                }
                Body::Close(_) if place == lines.len() as u64 => {}
                _ => return Err(log_failed(LogError::Line { line: place, reason: "it stands in the wrong place".into() })),
            }
        }
        if is_closed(&lines) {
            write_table(path, &configuration.plan(), &blinding, &entries)?;
            fs::remove_file(&seed_path).map_err(failed(&seed_path, "delete it"))?;
            return Err(FolderError::Ended(path.into()));
        }
        let file = OpenOptions::new().read(true).write(true).open(&log_path).map_err(failed(&log_path, "open it"))?;
        let (count, hash) = (lines.len() as u64, lines.last().map_or(NO_HASH.into(), |line| line.hash.clone()));
        let mut log = LogWriter::new(&log_path, Box::new(file), (bytes.len() - rest.len()) as u64, count, hash);
        if lines.len() == 1 {
            log.append(&Body::Commitment(commitment.clone())).map_err(log_failed)?;
        }
        let configuration = (**configuration).clone();
        let folder = Self { path: path.into(), configuration, commitment, log, entries, is_closed: false, _lock: lock };
        Ok(Reopened { folder, session, cut_bytes: rest.len() as u64 })
    }

    /// The folder. [any thread]
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The first line of the log. [any thread]
    #[must_use]
    pub fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// The commitment in hexadecimal digits. [any thread]
    #[must_use]
    pub fn commitment(&self) -> &str {
        &self.commitment
    }

    /// Hash of the log's last line in hexadecimal digits. [any thread]
    #[must_use]
    pub fn receipt(&self) -> &str {
        self.log.receipt()
    }

    /// Replaces the file that the log is written to, as a test does that lets the disk be full. [control thread]
    pub fn replace_log_file(&mut self, replace: impl FnOnce(File) -> Box<dyn LogFile>) -> Result<(), FolderError> {
        let path = self.path.join(LOG);
        let bytes = fs::read(&path).map_err(failed(&path, "read it"))?;
        let lines = split(&bytes).0.len() as u64;
        let file = OpenOptions::new().write(true).open(&path).map_err(failed(&path, "open it"))?;
        self.log = LogWriter::new(&path, replace(file), bytes.len() as u64, lines, self.log.receipt().into());
        Ok(())
    }

    /// Writes an entry to the disk and lets the session take it in. [control thread: does I/O]
    ///
    /// # Errors
    /// [`FolderError::Log`] if it cannot be written, [`FolderError::OutOfPlace`] if it does not fit; then log and session are as
    /// before.
    pub fn enter(&mut self, session: &mut Session, entry: Entry) -> Result<(), FolderError> {
        let line = self.entries.len() as u64 + 3;
        let out = |source| FolderError::OutOfPlace { path: self.path.clone(), line, source };
        session.check(&entry).map_err(out)?;
        let (_, time) = self
            .log
            .append(&Body::Entry(entry.clone()))
            .map_err(|source| FolderError::Log { path: self.path.clone(), source })?;
        let applied = session.apply(&entry);
        debug_assert!(applied.is_ok(), "the entry was checked");
        self.entries.push((time, entry));
        Ok(())
    }

    /// Ends the session: opens the seed in the last line, writes the table of trials and deletes the file with the seed. Returns the
    /// receipt. [control thread: does I/O]
    ///
    /// # Errors
    /// [`FolderError`]; if the last line was not written, the session can still go on or be resumed.
    pub fn close(&mut self, session: &Session) -> Result<String, FolderError> {
        // The steps after the last line are tried again if one failed; the line is not written again.
        if !self.is_closed {
            let body = Body::Close(Box::new(closing(session)));
            self.log.append(&body).map_err(|source| FolderError::Log { path: self.path.clone(), source })?;
            self.is_closed = true;
        }
        write_table(&self.path, session.plan(), session.blinding(), &self.entries)?;
        let seed = self.path.join(SEED);
        fs::remove_file(&seed).map_err(failed(&seed, "delete it"))?;
        Ok(self.log.receipt().into())
    }
}

/// The last line of a session's log.
pub(super) fn closing(session: &Session) -> Closing {
    let [seed, nonce] = session.blinding().open();
    let mappings: Vec<MappingRecord> =
        session.mappings().into_iter().map(|(part, trial, bits)| MappingRecord { part, trial, bits }).collect();
    let end = if session.step().is_none() { End::Complete } else { End::Aborted };
    Closing { end, seed, nonce, trials: mappings.len() as u32, mappings, result: session.outcome().score }
}

/// The sessions in a folder that were left and are not run by another program, the newest first. [control thread: does I/O]
#[must_use]
pub fn unfinished(parent: &Path) -> Vec<PathBuf> {
    let is_left = |path: &PathBuf| {
        let seed = OpenOptions::new().read(true).write(true).open(path.join(SEED));
        path.join(LOG).is_file() && seed.is_ok_and(|seed| !matches!(seed.try_lock(), Err(TryLockError::WouldBlock)))
    };
    let mut found: Vec<PathBuf> = fs::read_dir(parent)
        .map(|entries| entries.flatten().map(|entry| entry.path()).filter(is_left).collect())
        .unwrap_or_default();
    found.sort();
    found.reverse();
    found
}

/// Makes a folder that is named by the time.
fn new_folder(parent: &Path) -> Result<PathBuf, FolderError> {
    let name = chrono::Local::now().format("%Y-%m-%d %H.%M.%S").to_string();
    for number in 1.. {
        let path = parent.join(if number == 1 { name.clone() } else { format!("{name} {number}") });
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(&path, "make the folder")(error)),
        }
    }
    unreachable!("one of the names is free")
}

/// The hashes of all files of a folder, by name, which are waited for until they are on the disk.
fn hashes(folder: &Path) -> Result<BTreeMap<String, String>, FolderError> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(failed(folder, "read it"))? {
        let path = entry.map_err(failed(folder, "read it"))?.path();
        let bytes = fs::read(&path).map_err(failed(&path, "read it"))?;
        File::open(&path).and_then(|file| file.sync_all()).map_err(failed(&path, "write it"))?;
        found.insert(path.file_name().unwrap_or_default().to_string_lossy().into_owned(), sha256(&bytes));
    }
    Ok(found)
}

/// Waits until a folder's entries are on the disk, where the system can.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Writes seed and nonce into a file of the owner's, and locks it.
fn create_seed(path: &Path, blinding: &Blinding) -> Result<File, FolderError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let write = || {
        let mut file = options.open(path)?;
        let [seed, nonce] = blinding.open();
        writeln!(file, "{seed}\n{nonce}")?;
        file.sync_all()?;
        // A file system without locks has none here either.
        let _ = file.try_lock();
        Ok(file)
    };
    write().map_err(failed(path, "write the seed"))
}

/// Reads seed and nonce from the locked file, as some systems let nobody else read it.
fn read_seed(path: &Path, file: &mut File) -> Result<Blinding, FolderError> {
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(failed(path, "read it"))?;
    let mut lines = text.lines();
    let (seed, nonce) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    Blinding::opened(seed, nonce).map_err(|source| FolderError::Seed { path: path.into(), source })
}

/// Reads the whole lines of a log.
fn read_lines(bytes: &[u8]) -> Result<Vec<Line>, LogError> {
    (1..).zip(split(bytes).0).map(|(place, line)| parse(line, place)).collect()
}

/// Checks that each line follows the one before.
fn check_chain(path: &Path, lines: &[Line]) -> Result<(), FolderError> {
    let mut hash = NO_HASH;
    for (place, line) in (1..).zip(lines) {
        if line.previous != hash || line.number != place {
            return Err(FolderError::Changed { path: path.into(), line: place });
        }
        hash = &line.hash;
    }
    Ok(())
}

/// Writes the table of trials under another name, and renames it.
fn write_table(folder: &Path, plan: &Plan, blinding: &Blinding, entries: &[(String, Entry)]) -> Result<(), FolderError> {
    let path = folder.join(TABLE);
    let part = folder.join(format!(".{TABLE}.part"));
    let write = || {
        let mut file = File::create(&part)?;
        file.write_all(table(plan, blinding, entries).as_bytes())?;
        file.sync_all()?;
        fs::rename(&part, &path)
    };
    write().map_err(failed(&path, "write it"))
}

/// The table of trials as CSV: a row for each trial of control and test that was answered or void.
pub(super) fn table(plan: &Plan, blinding: &Blinding, entries: &[(String, Entry)]) -> String {
    let mut csv = String::from(
        "part,trial,time,void,button_1,second_bit,answer,right,preferred,confidence,seconds,presses,drop_outs,loudness_difference_lu\n",
    );
    let side = |side: usize| if side == 0 { "A" } else { "B" };
    for (index, (time, entry)) in entries.iter().enumerate() {
        match entry {
            Entry::Answer(record) if record.part != TestPart::Training => {
                let form = if record.part == TestPart::Control { Form::Abx } else { plan.protocol.form };
                let mapping = blinding.mapping(record.part, record.trial);
                let [swapped, second] = mapping.bits();
                let answer = match record.answer {
                    Answer::First => "first",
                    Answer::Second => "second",
                    Answer::Same => "same",
                    Answer::Different => "different",
                };
                let right = mapping.is_right(form, record.answer).map_or("", |right| if right { "1" } else { "0" });
                let preferred = mapping.preferred(form, record.answer).map_or("", side);
                let confidence = entries[index + 1..]
                    .iter()
                    .find_map(|(_, later)| match later {
                        Entry::Confidence { confidence } => Some(Some(*confidence)),
                        Entry::Answer(_) | Entry::Void { .. } => Some(None),
                        _ => None,
                    })
                    .flatten()
                    .filter(|_| record.part == TestPart::Test)
                    .map_or(String::new(), |confidence| confidence.to_string());
                let (mut drop_outs, mut loudness) = (0, String::new());
                for flag in &record.flags {
                    match flag {
                        Flag::DropOuts { blocks } => drop_outs = *blocks,
                        Flag::Loudness { difference_lu } => loudness = format!("{difference_lu:.2}"),
                    }
                }
                let _ = writeln!(
                    csv,
                    "{},{},{time},0,{},{second},{answer},{right},{preferred},{confidence},{:.3},{},{drop_outs},{loudness}",
                    part_name(record.part),
                    record.trial,
                    side(usize::from(swapped)),
                    record.seconds,
                    record.switches.len()
                );
            }
            Entry::Void { part, trial, .. } if *part != TestPart::Training => {
                let [swapped, second] = blinding.mapping(*part, *trial).bits();
                let _ = writeln!(csv, "{},{trial},{time},1,{},{second},,,,,,,,", part_name(*part), side(usize::from(swapped)));
            }
            _ => {}
        }
    }
    csv
}
