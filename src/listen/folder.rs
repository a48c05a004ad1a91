//! The folder of a session: the loop, both sides, the log, the seed while the test runs, and the table of trials after it.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::blinding::{Blinding, BlindingError, sha256};
use super::log::{
    Body, Closing, Configuration, Line, LogError, LogFile, LogWriter, MappingRecord, NO_HASH, OpenedSeed, parse, split,
};
use super::session::{Earlier, End, Entry, OutOfPlace, Resumption, Session};
use super::table::table;

/// Name of the log.
pub const LOG: &str = "log.jsonl";
/// Name of the file with the loop, as it came in.
pub const LOOP: &str = "loop.wav";
/// Name of the file that holds seeds and nonces while the test runs, readable by its owner only. It is locked by the program that
/// runs the test, and deleted when the seeds are opened.
pub const SEED: &str = "seed";
/// Name of the table of trials.
pub const TABLE: &str = "trials.csv";
/// Name of the folder in the user's home folder in which sessions are made.
const DEFAULT_FOLDER: &str = "Isotherm Listening";
/// Time for which the lock of a session is waited for that is to go on. [`unfinished`] holds it while it reads a log.
const PATIENCE: Duration = Duration::from_millis(500);
/// Time between two tries.
const RETRY: Duration = Duration::from_millis(5);

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
    /// The file system has no locks.
    #[error(
        "{}: cannot be locked ({source}), so two programs could run one session; expected a folder on a disk with locks, as a \
         local one", path.display()
    )]
    NoLock {
        /// The file that is locked.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
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
    /// The system has no random source.
    #[error("{0}")]
    Random(BlindingError),
    /// A file of the session is not the one that it began with.
    #[error("{}: '{name}' is not the file that the test began with, so it cannot be resumed; put that file back", path.display())]
    FileChanged {
        /// The folder.
        path: PathBuf,
        /// Name of the file.
        name: String,
    },
    /// The last line is written.
    #[error("{}: the test has ended and its seed is open; nothing can follow", .0.display())]
    Closed(PathBuf),
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
pub(super) fn failed<'a>(path: &'a Path, action: &'static str) -> impl FnOnce(io::Error) -> FolderError + 'a {
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
    /// The log is gone.
    is_lost: bool,
    /// The locked seed.
    lock: File,
}

/// A session that was left, with its state. If [`SessionFolder::is_closed`], its last line was written and its table and seed are
/// dealt with, so that only the result is left to show.
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
        configuration: Configuration,
        blinding: &Blinding,
        write: impl FnOnce(&Path) -> io::Result<()>,
    ) -> Result<Self, FolderError> {
        fs::create_dir_all(parent).map_err(failed(parent, "make the folder"))?;
        let path = new_folder(parent)?;
        let count_earlier = |files: &BTreeMap<String, String>| earlier(parent, &path, files);
        Self::fill(&path, configuration, blinding, write, count_earlier)
    }

    /// Makes a new session's folder at `path`, where nothing may be, as [`Self::create`] does. Other sessions beside it are those of
    /// other listeners and do not count as earlier tests. [control thread: does I/O]
    ///
    /// # Errors
    /// [`FolderError`]; then there is no folder, unless it was there before.
    pub(super) fn create_at(
        path: &Path,
        configuration: Configuration,
        blinding: &Blinding,
        write: impl FnOnce(&Path) -> io::Result<()>,
    ) -> Result<Self, FolderError> {
        fs::create_dir(path).map_err(failed(path, "make the folder"))?;
        Self::fill(path, configuration, blinding, write, |_| Earlier::default())
    }

    /// Fills the new folder of a session; if that fails, the folder is removed.
    fn fill(
        path: &Path,
        mut configuration: Configuration,
        blinding: &Blinding,
        write: impl FnOnce(&Path) -> io::Result<()>,
        count_earlier: impl FnOnce(&BTreeMap<String, String>) -> Earlier,
    ) -> Result<Self, FolderError> {
        let fill = || {
            write(path).map_err(failed(path, "write the sound and the sides"))?;
            configuration.files = hashes(path)?;
            let lock = create_seed(&path.join(SEED), blinding)?;
            // A session without its first two lines is none, so they are written under another name.
            let part = path.join(format!(".{LOG}.part"));
            let file = OpenOptions::new().write(true).create_new(true).open(&part);
            let file = file.map_err(failed(path, "make the log"))?;
            configuration.earlier = count_earlier(&configuration.files);
            let mut log = LogWriter::new(&part, Box::new(file), 0, 0, NO_HASH.into());
            let log_failed = |source| FolderError::Log { path: path.into(), source };
            let first = log.append(&Body::Configuration(Box::new(configuration.clone()))).map_err(log_failed)?.0;
            let commitment = blinding.commitment(&first);
            log.append(&Body::Commitment(commitment.clone())).map_err(log_failed)?;
            log.rename(&path.join(LOG)).map_err(failed(path, "name the log"))?;
            for folder in std::iter::once(path).chain(path.parent()) {
                sync_folder(folder).map_err(failed(folder, "write the folder"))?;
            }
            Ok(Self {
                path: path.into(),
                configuration,
                commitment,
                log,
                entries: Vec::new(),
                is_closed: false,
                is_lost: false,
                lock,
            })
        };
        fill().inspect_err(|_| {
            // The folder was made here, so nothing else is in it.
            let _ = fs::remove_dir_all(path);
        })
    }

    /// Opens a session that was left, locks it, cuts a half-written last line off, and finds its state. A session whose last line is
    /// written, but whose table or seed is not, is finished first. [control thread: does I/O]
    ///
    /// # Errors
    /// [`FolderError`]; [`FolderError::Ended`] if there is nothing to resume or finish.
    pub fn open(path: &Path) -> Result<Reopened, FolderError> {
        let log_path = path.join(LOG);
        let seed_path = path.join(SEED);
        let Left { lock, lines, first, secrets, length, cut_bytes } = read_left(path, PATIENCE)?;
        let log_failed = |source| FolderError::Log { path: path.into(), source };
        let Some(Line { body: Body::Configuration(configuration), .. }) = lines.first() else {
            return Err(log_failed(LogError::Line { line: 1, reason: "no configuration".into() }));
        };
        let mut secrets = secrets.into_iter();
        let blinding = secrets.next().ok_or_else(|| FolderError::OtherSeed(path.into()))?;
        let mut commitment = blinding.commitment(&first);
        let mut session = Session::new(configuration.plan(), blinding);
        let mut entries = Vec::new();
        for (place, line) in (1..).zip(&lines).skip(2) {
            match &line.body {
                Body::Entry(entry) => {
                    if let Entry::Resume(resumption) = entry {
                        session.draw(secrets.next().ok_or_else(|| FolderError::OtherSeed(path.into()))?);
                        commitment.clone_from(&resumption.commitment);
                    }
                    let out = |source| FolderError::OutOfPlace { path: path.into(), line: place, source };
                    session.apply(entry).map_err(out)?;
                    entries.push((line.time.clone(), entry.clone()));
                }
                Body::Close(_) if place == lines.len() as u64 => {}
                _ => return Err(log_failed(LogError::Line { line: place, reason: "it stands in the wrong place".into() })),
            }
        }
        let is_closed = is_closed(&lines);
        let file = OpenOptions::new().read(true).write(true).open(&log_path).map_err(failed(&log_path, "open it"))?;
        let (count, hash) = (lines.len() as u64, lines.last().map_or(NO_HASH.into(), |line| line.hash.clone()));
        let mut log = LogWriter::new(&log_path, Box::new(file), length, count, hash);
        if lines.len() == 1 {
            log.append(&Body::Commitment(commitment.clone())).map_err(log_failed)?;
        }
        let configuration = (**configuration).clone();
        if is_closed {
            write_table(path, &session, &entries)?;
            fs::remove_file(&seed_path).map_err(failed(&seed_path, "delete it"))?;
        }
        let folder = Self { path: path.into(), configuration, commitment, log, entries, is_closed, is_lost: false, lock };
        Ok(Reopened { folder, session, cut_bytes })
    }

    /// Checks that each file of the folder is the one that the test began with. [control thread: does I/O]
    ///
    /// # Errors
    /// [`FolderError::FileChanged`] names the first that is not.
    pub fn check_files(&self) -> Result<(), FolderError> {
        let is_same =
            |(name, hash): &(&String, &String)| fs::read(self.path.join(name)).is_ok_and(|bytes| sha256(&bytes) == **hash);
        match self.configuration.files.iter().find(|file| !is_same(file)) {
            Some((name, _)) => Err(FolderError::FileChanged { path: self.path.clone(), name: name.clone() }),
            None => Ok(()),
        }
    }

    /// True if the last line is written, so that the seed is open and nothing can follow. [any thread]
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.is_closed
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

    /// The commitment to the secret that is in use, in hexadecimal digits. [any thread]
    #[must_use]
    pub fn commitment(&self) -> &str {
        &self.commitment
    }

    /// True if the log was deleted, moved or changed by another program, so that nothing can follow. [any thread]
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.is_lost
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
    /// [`FolderError::Log`] if it cannot be written, [`FolderError::OutOfPlace`] if it does not fit, [`FolderError::Closed`] after
    /// the last line; then log and session are as before.
    pub fn enter(&mut self, session: &mut Session, entry: Entry) -> Result<(), FolderError> {
        if self.is_closed {
            return Err(FolderError::Closed(self.path.clone()));
        }
        let line = self.entries.len() as u64 + 3;
        let out = |source| FolderError::OutOfPlace { path: self.path.clone(), line, source };
        session.check(&entry).map_err(out)?;
        let time = self.append(&Body::Entry(entry.clone()))?;
        let applied = session.apply(&entry);
        debug_assert!(applied.is_ok(), "the entry was checked");
        self.entries.push((time, entry));
        Ok(())
    }

    /// Writes a line; returns its time.
    fn append(&mut self, body: &Body) -> Result<String, FolderError> {
        match self.log.append(body) {
            Ok((_, time)) => Ok(time),
            Err(source) => {
                self.is_lost = matches!(source, LogError::Lost { .. });
                Err(FolderError::Log { path: self.path.clone(), source })
            }
        }
    }

    /// Lets a session that was left go on: draws a new secret, so that a copy of the folder tells nothing of what comes, and writes
    /// the commitment to it. `resumption` has the circumstances; its commitment is replaced. [control thread: does I/O]
    ///
    /// # Errors
    /// The errors of [`Self::enter`]; [`FolderError::Random`].
    pub fn resume(&mut self, session: &mut Session, resumption: Resumption) -> Result<(), FolderError> {
        let blinding = Blinding::new().map_err(FolderError::Random)?;
        let commitment = blinding.commitment(self.log.receipt().as_bytes());
        let path = self.path.join(SEED);
        // The secret is on the disk before the line that names it; one that no line names is passed over.
        let mut write = || {
            self.lock.seek(SeekFrom::End(0))?;
            write_secret(&mut self.lock, &blinding)
        };
        write().map_err(failed(&path, "write the seed"))?;
        session.draw(blinding);
        self.enter(session, Entry::Resume(Resumption { commitment: commitment.clone(), ..resumption }))?;
        self.commitment = commitment;
        Ok(())
    }

    /// Ends the session: opens the seeds in the last line, writes the table of trials and deletes the file with the seed. Returns the
    /// receipt. [control thread: does I/O]
    ///
    /// # Errors
    /// [`FolderError`]; if the last line was not written, the session can still go on or be resumed.
    pub fn close(&mut self, session: &Session) -> Result<String, FolderError> {
        // The steps after the last line are tried again if one failed; the line is not written again.
        if !self.is_closed {
            let body = Body::Close(Box::new(closing(session)));
            self.append(&body)?;
            self.is_closed = true;
        }
        write_table(&self.path, session, &self.entries)?;
        let seed = self.path.join(SEED);
        fs::remove_file(&seed).map_err(failed(&seed, "delete it"))?;
        Ok(self.log.receipt().into())
    }
}

/// The last line of a session's log.
pub(super) fn closing(session: &Session) -> Closing {
    let opened = |blinding: &Blinding| {
        let [seed, nonce] = blinding.open();
        OpenedSeed { seed, nonce }
    };
    let seeds = session.blindings().iter().map(opened).collect();
    let mappings: Vec<MappingRecord> =
        session.mappings().into_iter().map(|(part, trial, bits)| MappingRecord { part, trial, bits }).collect();
    let end = if session.step().is_none() { End::Complete } else { End::Aborted };
    let track = session.track().cloned();
    Closing { end, seeds, trials: session.trials(), mappings, result: session.outcome().score, track }
}

/// The sessions in a folder that were left and are not run by another program, the newest first. [control thread: does I/O]
#[must_use]
pub fn unfinished(parent: &Path) -> Vec<PathBuf> {
    // One that is broken can neither go on nor be closed.
    let is_left = |path: &PathBuf| path.join(SEED).is_file() && read_left(path, Duration::ZERO).is_ok();
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
pub(super) fn hashes(folder: &Path) -> Result<BTreeMap<String, String>, FolderError> {
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
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Writes seed and nonce into a file of the owner's, and locks it.
fn create_seed(path: &Path, blinding: &Blinding) -> Result<File, FolderError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(failed(path, "write the seed"))?;
    lock(path, Duration::ZERO, || file.try_lock())?;
    write_secret(&mut file, blinding).map_err(failed(path, "write the seed"))?;
    Ok(file)
}

/// Locks the file with the seed at `path`. Another program that looks for sessions that were left has its lock for a moment, so it is
/// tried for the time `patience`.
fn lock(path: &Path, patience: Duration, mut try_lock: impl FnMut() -> Result<(), TryLockError>) -> Result<(), FolderError> {
    let begun = Instant::now();
    loop {
        match try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if begun.elapsed() < patience => std::thread::sleep(RETRY),
            Err(TryLockError::WouldBlock) => return Err(FolderError::InUse(path.parent().unwrap_or(path).into())),
            // Without a lock, two programs could write one log.
            Err(TryLockError::Error(source)) => return Err(FolderError::NoLock { path: path.into(), source }),
        }
    }
}

/// Writes seed and nonce, and waits until they are on the disk.
fn write_secret(file: &mut File, blinding: &Blinding) -> io::Result<()> {
    let [seed, nonce] = blinding.open();
    // It begins with an end of line, as the line before may be half written.
    file.write_all(format!("\n{seed} {nonce}\n").as_bytes())?;
    file.sync_all()
}

/// Reads seeds and nonces from the locked file, as some systems let nobody else read it. A last line that is only half written
/// belongs to no line of the log.
fn read_seeds(path: &Path, file: &mut File) -> Result<Vec<Blinding>, FolderError> {
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(failed(path, "read it"))?;
    let read =
        |line: &str| line.split_once(' ').map_or(Err(BlindingError::NotASeed), |(seed, nonce)| Blinding::opened(seed, nonce));
    let found: Vec<Blinding> = text.lines().filter_map(|line| read(line).ok()).collect();
    if found.is_empty() { Err(FolderError::Seed { path: path.into(), source: BlindingError::NotASeed }) } else { Ok(found) }
}

/// A session as it was left.
struct Left {
    /// The locked seed.
    lock: File,
    lines: Vec<Line>,
    /// Bytes of the first line.
    first: Vec<u8>,
    /// The secret of the start and of each resumption.
    secrets: Vec<Blinding>,
    /// Bytes of all whole lines.
    length: u64,
    /// Bytes after them.
    cut_bytes: u64,
}

/// True if the last line of a log is there.
fn is_closed(lines: &[Line]) -> bool {
    matches!(lines.last(), Some(Line { body: Body::Close(_), .. }))
}

/// Reads and locks a session that was left, and changes nothing.
fn read_left(path: &Path, patience: Duration) -> Result<Left, FolderError> {
    let log_path = path.join(LOG);
    let seed_path = path.join(SEED);
    let bytes = match fs::read(&log_path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(FolderError::NotASession(path.into())),
        Err(error) => return Err(failed(&log_path, "read it")(error)),
    };
    let log_failed = |source| FolderError::Log { path: path.into(), source };
    // A newer version may keep its seed elsewhere, so its log comes first.
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
    self::lock(&seed_path, patience, || lock.try_lock())?;
    // Read again under the lock.
    let bytes = fs::read(&log_path).map_err(failed(&log_path, "read it"))?;
    let (raw, rest) = split(&bytes);
    let lines = read_lines(&bytes).map_err(log_failed)?;
    check_chain(path, &lines)?;
    let first = raw.first().copied().unwrap_or_default();
    let found = read_seeds(&seed_path, &mut lock)?;
    let mut commitments: Vec<(&str, &[u8])> = match lines.get(1).map(|line| &line.body) {
        Some(Body::Commitment(commitment)) => vec![(commitment, first)],
        None => Vec::new(),
        Some(_) => return Err(log_failed(LogError::Line { line: 2, reason: "no commitment".into() })),
    };
    commitments.extend(lines.iter().filter_map(|line| match &line.body {
        Body::Entry(Entry::Resume(resumption)) => Some((resumption.commitment.as_str(), line.previous.as_bytes())),
        _ => None,
    }));
    let secret = |(commitment, bytes): (&str, &[u8])| found.iter().find(|secret| secret.commitment(bytes) == commitment).cloned();
    let secrets: Option<Vec<Blinding>> = commitments.into_iter().map(secret).collect();
    let mut secrets = secrets.ok_or_else(|| FolderError::OtherSeed(path.into()))?;
    if lines.len() == 1 {
        secrets.extend(found.into_iter().take(1));
    }
    let (first, cut_bytes) = (first.to_vec(), rest.len() as u64);
    Ok(Left { lock, lines, first, secrets, length: bytes.len() as u64 - cut_bytes, cut_bytes })
}

/// Both sides of a session, in no order: all that is played, whatever it is called. `files` has the hashes of the folder's files.
fn sides(folder: &Path, files: &BTreeMap<String, String>) -> Vec<String> {
    let side = |name: &str| {
        let bytes = fs::read(folder.join(name)).ok()?;
        let mut value: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
        for key in ["text", "name", "lead"] {
            value.as_object_mut()?.remove(key);
        }
        for pointer in ["/file", "/effect/model"] {
            if let Some(named) = value.pointer_mut(pointer)
                && let Some(hash) = named.as_str().and_then(|name| files.get(name))
            {
                *named = hash.clone().into();
            }
        }
        Some(value.to_string())
    };
    let hash = |name: &str| files.get(name).cloned().unwrap_or_default();
    let mut sides = ["a.json", "b.json"].map(|name| side(name).unwrap_or_else(|| hash(name)));
    sides.sort();
    sides.into()
}

/// The tests of the same sides in a folder of sessions, but for the one in `own`, whichever is A.
fn earlier(parent: &Path, own: &Path, files: &BTreeMap<String, String>) -> Earlier {
    let wanted = sides(own, files);
    let mut found = Earlier::default();
    let mut newest = String::new();
    let others: Vec<PathBuf> =
        fs::read_dir(parent).map(|entries| entries.flatten().map(|entry| entry.path()).collect()).unwrap_or_default();
    for path in others.iter().filter(|path| *path != own) {
        let Ok(bytes) = fs::read(path.join(LOG)) else { continue };
        let raw = split(&bytes).0;
        let (Some(first), Some(last)) = (raw.first(), raw.last()) else { continue };
        let Ok(Line { body: Body::Configuration(configuration), time, .. }) = parse(first, 1) else { continue };
        if sides(path, &configuration.files) != wanted {
            continue;
        }
        match parse(last, raw.len() as u64).map(|line| line.body) {
            Ok(Body::Close(closing)) if closing.end == End::Complete => found.complete += 1,
            Ok(Body::Close(_)) => found.aborted += 1,
            _ => found.left += 1,
        }
        if time > newest {
            (newest, found.newest) = (time, Some(sha256(last)));
        }
    }
    found
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
fn write_table(folder: &Path, session: &Session, entries: &[(String, Entry)]) -> Result<(), FolderError> {
    let path = folder.join(TABLE);
    let part = folder.join(format!(".{TABLE}.part"));
    let write = || {
        let mut file = File::create(&part)?;
        file.write_all(table(session, entries).as_bytes())?;
        file.sync_all()?;
        fs::rename(&part, &path)
    };
    write().map_err(failed(&path, "write it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_run_by_nobody_where_nothing_can_be_locked() {
        let path = Path::new("session").join(SEED);
        let unsupported = || Err(TryLockError::Error(io::ErrorKind::Unsupported.into()));
        let error = lock(&path, Duration::ZERO, unsupported).unwrap_err();
        assert!(matches!(error, FolderError::NoLock { .. }));
        assert!(error.to_string().contains("cannot be locked (unsupported), so two programs could run one session"), "{error}");
        // A lock that is held for a moment is waited for.
        let mut tries = 0;
        let for_a_moment = || {
            tries += 1;
            if tries < 3 { Err(TryLockError::WouldBlock) } else { Ok(()) }
        };
        assert!(lock(&path, Duration::MAX, for_a_moment).is_ok());
        let held = lock(&path, Duration::ZERO, || Err(TryLockError::WouldBlock)).unwrap_err();
        assert!(matches!(held, FolderError::InUse(folder) if folder == Path::new("session")));
    }
}
