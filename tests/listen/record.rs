//! The record of a session: it survives every crash, and no change of it goes unseen.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use isotherm::audio::Random;
use isotherm::listen::{
    Blinding, Button, Configuration, ControlTrial, Earlier, Entry, Flag, FolderError, Form, LOG, LOG_VERSION, LogFile, Protocol,
    Question, Reopened, Resumption, Rule, SEED, Session, SessionFolder, Switch, TABLE, TestPart, TestSetup, TestStep,
    Verification, line_hash, unfinished, verify_log,
};
use tempfile::TempDir;

use crate::simulated::{fixed, other, right_answer};

/// A configuration of a test whose sound is not looked at.
fn configuration(protocol: Protocol, control: ControlTrial) -> Configuration {
    Configuration {
        version: LOG_VERSION,
        program: "isotherm 0.1.0".into(),
        venue: "a test".into(),
        setup: TestSetup { protocol, control, listener: "Zoë".into(), ..TestSetup::default() },
        alpha: 0.05,
        sample_rate: 48_000.0,
        channels: 2,
        max_frames: 512,
        is_aa: false,
        esr_db: Some(-41.25),
        earlier: Earlier::default(),
        matching: match protocol.question {
            Question::Threshold => serde_json::json!({ "identical": false, "rungs": crate::staircase::ladder() }),
            _ => serde_json::json!({ "identical": false }),
        },
        files: std::collections::BTreeMap::new(),
    }
}

/// A new session in a folder of its own.
pub fn create(parent: &Path, protocol: Protocol, control: ControlTrial) -> (SessionFolder, Session) {
    let blinding = Blinding::new().unwrap();
    let configuration = configuration(protocol, control);
    let folder = SessionFolder::create(parent, configuration.clone(), &blinding, |folder| {
        std::fs::write(folder.join("a.json"), "{}")?;
        std::fs::write(folder.join("b.json"), "{}")?;
        std::fs::write(folder.join("loop.wav"), "sound")
    });
    let folder = folder.unwrap();
    let session = Session::new(folder.configuration().plan(), blinding);
    (folder, session)
}

/// The next entry of a listener who is right with a probability.
pub fn next_entry(session: &Session, random: &mut Random, share: f64) -> Option<Entry> {
    let entry = match session.step()? {
        TestStep::Introduction | TestStep::Pause => Entry::Continue,
        TestStep::Feedback { .. } if session.trial() == 2 => Entry::EndTraining,
        TestStep::Feedback { .. } => Entry::Continue,
        TestStep::Confidence => Entry::Confidence { confidence: 1 + random.below(4) as u8 },
        TestStep::Answer if session.trial() == 3 && session.part() == TestPart::Test => session.void("the device went"),
        TestStep::Answer => {
            let right = right_answer(session);
            let answer = if random.unit() < share { right } else { other(right) };
            let switches = vec![Switch { button: Button::First, at: 0.5 }, Switch { button: Button::Second, at: 1.25 }];
            let flags = if session.trial() == 5 { vec![Flag::DropOuts { blocks: 2 }] } else { Vec::new() };
            session.answered(answer, 3.5, switches, flags)
        }
    };
    Some(entry)
}

/// Takes a session to its end and closes it; returns the receipt.
pub fn finish(folder: &mut SessionFolder, session: &mut Session, random: &mut Random) -> String {
    while let Some(entry) = next_entry(session, random, 0.8) {
        folder.enter(session, entry).unwrap();
    }
    folder.close(session).unwrap()
}

/// A whole session; returns its folder and receipt.
fn whole(parent: &Path, protocol: Protocol) -> (PathBuf, String) {
    let (mut folder, mut session) = create(parent, protocol, ControlTrial::LowPass);
    let receipt = finish(&mut folder, &mut session, &mut Random::new(1));
    (folder.path().into(), receipt)
}

/// Copies the files of a session.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

/// The faults that a check found.
pub fn faults(verification: &Verification) -> Vec<&str> {
    verification.checks.iter().filter(|check| !check.passed).map(|check| check.text.as_str()).collect()
}

/// The protocols of all questions and rules.
fn protocols() -> [Protocol; 7] {
    [
        Protocol::QUICK,
        fixed(Question::Difference, Form::SameDifferent, 12),
        fixed(Question::Equivalence, Form::Abx, 20),
        fixed(Question::Preference, Form::Preference, 16),
        Protocol { rule: Rule::Sprt, trials: 40, ..Protocol::QUICK },
        Protocol { rule: Rule::EValue, trials: 18, ..Protocol::QUICK },
        Protocol::staircase(16),
    ]
}

#[test]
fn a_whole_session_verifies_here_and_by_the_second_implementation() {
    let parent = TempDir::new().unwrap();
    for protocol in protocols() {
        let (folder, receipt) = whole(parent.path(), protocol);
        let checked = verify_log(&folder, Some(&receipt)).unwrap();
        assert!(checked.passed(), "{:?}", faults(&checked));
        assert_eq!(checked.anchor, "anchored: the receipt is the hash of the last line");
        assert!(!folder.join(SEED).exists());
        let python = std::env::var_os("ISOTHERM_PYTHON").expect("ISOTHERM_PYTHON is not set: run `cargo xtask test`");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/verify_session.py");
        let run = |folder: &Path| Command::new(&python).arg(script).arg(folder).arg(&receipt).output().unwrap();
        let done = run(&folder);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        assert!(String::from_utf8_lossy(&done.stdout).ends_with("anchored\n"), "{done:?}");
        // It finds a changed answer, too.
        let log = std::fs::read_to_string(folder.join(LOG)).unwrap();
        let changed = parent.path().join("changed");
        copy(&folder, &changed);
        std::fs::write(changed.join(LOG), log.replacen("\"confidence\":1", "\"confidence\":4", 1)).unwrap();
        assert!(!run(&changed).status.success());
        std::fs::remove_dir_all(changed).unwrap();
    }
}

#[test]
fn the_table_has_a_row_for_each_trial_and_agrees_with_the_result() {
    let parent = TempDir::new().unwrap();
    let (folder, _) = whole(parent.path(), Protocol::QUICK);
    let table = std::fs::read_to_string(folder.join(TABLE)).unwrap();
    let rows: Vec<Vec<&str>> = table.lines().skip(1).map(|line| line.split(',').collect()).collect();
    let columns = table.lines().next().unwrap().split(',').count();
    assert!(rows.iter().all(|row| row.len() == columns), "{table}");
    let test: Vec<&Vec<&str>> = rows.iter().filter(|row| row[0] == "test").collect();
    // 16 that count and the one that was void.
    assert_eq!(test.len(), 17);
    assert_eq!(test.iter().filter(|row| row[3] == "1").count(), 1);
    let right = test.iter().filter(|row| row[7] == "1").count();
    let checked = verify_log(&folder, None).unwrap();
    assert!(checked.sentences[0].starts_with(&format!("{right} of 16")), "{:?}", checked.sentences);
    assert!(test.iter().filter(|row| row[3] == "0").all(|row| ["1", "2", "3", "4"].contains(&row[9])), "{table}");
    assert_eq!(test.iter().filter(|row| row[12] == "2").count(), 1, "{table}");
}

#[test]
fn while_a_test_runs_its_log_has_answers_and_never_mappings_or_the_seed() {
    let parent = TempDir::new().unwrap();
    let (mut folder, mut session) = create(parent.path(), Protocol::QUICK, ControlTrial::None);
    let secret = std::fs::read_to_string(folder.path().join(SEED)).unwrap();
    let seed = secret.split_whitespace().next().unwrap();
    let mut random = Random::new(2);
    while let Some(entry) = next_entry(&session, &mut random, 0.8) {
        folder.enter(&mut session, entry).unwrap();
        let log = std::fs::read_to_string(folder.path().join(LOG)).unwrap();
        for hidden in [seed, "mapping", "\"bits\"", "\"right\"", "\"result\""] {
            assert!(!log.contains(hidden), "{hidden} in {log}");
        }
    }
    let log = std::fs::read_to_string(folder.path().join(LOG)).unwrap();
    assert_eq!(log.matches("\"kind\":\"answer\"").count(), 2 + 16, "{log}");
    folder.close(&session).unwrap();
    let log = std::fs::read_to_string(folder.path().join(LOG)).unwrap();
    assert!(log.lines().last().unwrap().contains(seed));
}

#[cfg(unix)]
#[test]
fn the_seed_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let parent = TempDir::new().unwrap();
    let (folder, _) = create(parent.path(), Protocol::QUICK, ControlTrial::None);
    let mode = std::fs::metadata(folder.path().join(SEED)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_session_that_is_left_at_any_byte_of_its_log_is_resumed_and_verifies() {
    let parent = TempDir::new().unwrap();
    let (mut folder, mut session) = create(parent.path(), fixed(Question::Difference, Form::Abx, 6), ControlTrial::LowPass);
    let seed = std::fs::read(folder.path().join(SEED)).unwrap();
    finish(&mut folder, &mut session, &mut Random::new(3));
    let path = folder.path().to_path_buf();
    drop(folder);
    let log = std::fs::read(path.join(LOG)).unwrap();
    let ends: Vec<usize> = log.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect();
    // The ends of all lines, the places beside them, and one within each line.
    let cuts = ends.iter().flat_map(|end| [end - 40, end - 1, *end]).filter(|cut| *cut >= ends[0]);
    for (number, cut) in cuts.enumerate() {
        let left = parent.path().join(format!("left {number}"));
        copy(&path, &left);
        std::fs::remove_file(left.join(TABLE)).unwrap();
        std::fs::write(left.join(LOG), &log[..cut]).unwrap();
        std::fs::write(left.join(SEED), &seed).unwrap();
        let whole_lines = ends.iter().rev().find(|end| **end <= cut).unwrap();
        match SessionFolder::open(&left) {
            Ok(Reopened { mut folder, mut session, cut_bytes }) => {
                assert_eq!(cut_bytes, (cut - whole_lines) as u64);
                // Only if the last line was there; then the table is written and the seed deleted, and the result can be shown.
                if folder.is_closed() {
                    assert_eq!(cut, log.len());
                    assert!(verify_log(&left, None).unwrap().passed() && !left.join(SEED).exists());
                    assert_eq!((session.step(), session.outcome().score.trials), (None, 6));
                    assert!(matches!(SessionFolder::open(&left), Err(FolderError::Ended(_))));
                    continue;
                }
                folder.resume(&mut session, Resumption { cut_bytes, ..Resumption::default() }).unwrap();
                let receipt = finish(&mut folder, &mut session, &mut Random::new(4));
                let checked = verify_log(&left, Some(&receipt)).unwrap();
                assert!(checked.passed(), "{cut}: {:?}", faults(&checked));
                assert!(checked.sentences.iter().any(|text| text.contains("left and resumed 1 time")), "{:?}", checked.sentences);
                // Nothing that was on the disk is lost.
                assert!(std::fs::read(left.join(LOG)).unwrap().starts_with(&log[..*whole_lines]));
            }
            Err(error) => panic!("{cut}: {error}"),
        }
    }
    // Before the end of the first line there was no test yet.
    let left = parent.path().join("left early");
    copy(&path, &left);
    std::fs::write(left.join(LOG), &log[..ends[0] - 1]).unwrap();
    std::fs::write(left.join(SEED), &seed).unwrap();
    let error = SessionFolder::open(&left).unwrap_err().to_string();
    assert!(error.contains("left before it began"), "{error}");
}

/// Name of the variable that makes [`a_program_that_is_killed_loses_nothing`] the program that is killed.
const KILLED: &str = "ISOTHERM_TEST_KILLED_SESSION";

#[cfg(unix)]
#[test]
fn a_program_that_is_killed_loses_nothing() {
    if let Some(parent) = std::env::var_os(KILLED) {
        let (mut folder, mut session) = create(Path::new(&parent), Protocol::QUICK, ControlTrial::LowPass);
        let mut random = Random::new(5);
        while let Some(entry) = next_entry(&session, &mut random, 1.0) {
            folder.enter(&mut session, entry).unwrap();
            println!("line");
            io::stdout().flush().unwrap();
            std::io::stdin().read_line(&mut String::new()).unwrap();
        }
        folder.close(&session).unwrap();
        println!("closed");
        return;
    }
    use std::io::{BufRead, BufReader};
    // After each kind of entry: going on, an answer of the training, its end, an answer of the control, an answer of the test, a
    // confidence, a void trial.
    for lines in [1, 4, 5, 9, 13, 14, 17] {
        let parent = TempDir::new().unwrap();
        let name = isotherm_support::test_name(module_path!(), "a_program_that_is_killed_loses_nothing");
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &name, "--nocapture"])
            .env(KILLED, parent.path())
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = 0;
        while seen < lines {
            // The first line of the test's own output may stand before it.
            if out.next().unwrap().unwrap().ends_with("line") {
                seen += 1;
                if seen < lines {
                    writeln!(child.stdin.as_mut().unwrap()).unwrap();
                }
            }
        }
        assert_eq!(unfinished(parent.path()), Vec::<PathBuf>::new(), "the child still has the session");
        child.kill().unwrap();
        child.wait().unwrap();
        let left = unfinished(parent.path());
        assert_eq!(left.len(), 1);
        let Reopened { mut folder, mut session, cut_bytes } = SessionFolder::open(&left[0]).unwrap();
        let log = std::fs::read_to_string(left[0].join(LOG)).unwrap();
        assert_eq!(log.lines().count(), 2 + lines);
        folder.resume(&mut session, Resumption { cut_bytes, ..Resumption::default() }).unwrap();
        // Left once more, right after it went on.
        drop((folder, session));
        let Reopened { mut folder, mut session, cut_bytes } = SessionFolder::open(&left[0]).unwrap();
        folder.resume(&mut session, Resumption { cut_bytes, ..Resumption::default() }).unwrap();
        let receipt = finish(&mut folder, &mut session, &mut Random::new(6));
        let checked = verify_log(&left[0], Some(&receipt)).unwrap();
        assert!(checked.passed(), "{:?}", faults(&checked));
        assert!(checked.sentences.iter().any(|text| text.contains("left and resumed 2 times")), "{:?}", checked.sentences);
        assert_eq!(unfinished(parent.path()), Vec::<PathBuf>::new());
    }
}

#[test]
fn a_session_that_is_left_can_be_closed_as_aborted_and_then_has_no_p() {
    let parent = TempDir::new().unwrap();
    let (mut folder, mut session) = create(parent.path(), Protocol::QUICK, ControlTrial::None);
    let mut random = Random::new(7);
    for _ in 0..20 {
        let entry = next_entry(&session, &mut random, 1.0).unwrap();
        folder.enter(&mut session, entry).unwrap();
    }
    let path = folder.path().to_path_buf();
    drop(folder);
    let remarks = verify_log(&path, None).unwrap().remarks;
    assert!(remarks.is_empty(), "its seed is where it belongs: {remarks:?}");
    let Reopened { mut folder, session, .. } = SessionFolder::open(&path).unwrap();
    folder.close(&session).unwrap();
    let checked = verify_log(&path, None).unwrap();
    assert!(checked.passed(), "{:?}", faults(&checked));
    assert!(checked.sentences[0].starts_with("Aborted after 7 of 16 trials, 7 right: undecided."), "{:?}", checked.sentences);
    assert!(!checked.sentences.iter().chain(&checked.remarks).any(|text| text.contains("p =")));
    assert!(matches!(SessionFolder::open(&path), Err(FolderError::Ended(_))));
}

#[test]
fn two_programs_cannot_run_one_session_and_two_sessions_do_not_share_a_folder() {
    let parent = TempDir::new().unwrap();
    let (first, _) = create(parent.path(), Protocol::QUICK, ControlTrial::None);
    let (second, _) = create(parent.path(), Protocol::QUICK, ControlTrial::None);
    assert_ne!(first.path(), second.path());
    let error = SessionFolder::open(first.path()).unwrap_err();
    assert!(matches!(error, FolderError::InUse(_)), "{error}");
    assert_eq!(unfinished(parent.path()), Vec::<PathBuf>::new());
    let path = first.path().to_path_buf();
    drop(first);
    assert_eq!(unfinished(parent.path()), vec![path.clone()]);
    assert!(SessionFolder::open(&path).is_ok());
}

/// A file on a disk with room for some bytes.
struct FullDisk {
    file: File,
    room: Arc<AtomicU64>,
}

impl Write for FullDisk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.room.load(Ordering::Relaxed).min(bytes.len() as u64) as usize;
        if room == 0 {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        let written = self.file.write(&bytes[..room])?;
        self.room.fetch_sub(written as u64, Ordering::Relaxed);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl LogFile for FullDisk {
    fn sync(&mut self) -> io::Result<()> {
        self.file.sync()
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.file.cut(length)
    }
}

#[test]
fn an_answer_that_finds_the_disk_full_is_refused_aloud_and_can_be_given_again() {
    let parent = TempDir::new().unwrap();
    let (mut folder, mut session) = create(parent.path(), Protocol::QUICK, ControlTrial::None);
    let room = Arc::new(AtomicU64::new(u64::MAX));
    let shared = room.clone();
    folder.replace_log_file(|file| Box::new(FullDisk { file, room: shared })).unwrap();
    let mut random = Random::new(8);
    let mut refused = 0;
    while let Some(entry) = next_entry(&session, &mut random, 0.8) {
        if matches!(entry, Entry::Answer(_)) {
            let before = (session.trial(), session.step(), std::fs::read(folder.path().join(LOG)).unwrap());
            // Room for a part of the line.
            room.store(40 * (refused % 5), Ordering::Relaxed);
            let error = folder.enter(&mut session, entry.clone()).unwrap_err().to_string();
            assert!(error.contains("cannot be written") && error.contains("do it again, or resume later"), "{error}");
            assert_eq!(before, (session.trial(), session.step(), std::fs::read(folder.path().join(LOG)).unwrap()));
            room.store(u64::MAX, Ordering::Relaxed);
            refused += 1;
        }
        folder.enter(&mut session, entry).unwrap();
    }
    assert!(refused >= 16);
    room.store(100, Ordering::Relaxed);
    assert!(folder.close(&session).is_err());
    assert!(folder.path().join(SEED).exists());
    // It can be resumed, and is complete.
    let path = folder.path().to_path_buf();
    drop(folder);
    let Reopened { mut folder, session, .. } = SessionFolder::open(&path).unwrap();
    assert_eq!(session.step(), None);
    let receipt = folder.close(&session).unwrap();
    let checked = verify_log(&path, Some(&receipt)).unwrap();
    assert!(checked.passed(), "{:?}", faults(&checked));
}

#[test]
fn a_log_that_another_program_takes_away_or_changes_ends_the_test_aloud_and_gets_no_hole() {
    let change = |folder: &Path, length: fn(u64) -> u64| {
        let file = std::fs::OpenOptions::new().write(true).open(folder.join(LOG)).unwrap();
        file.set_len(length(file.metadata().unwrap().len())).unwrap();
    };
    type Fault<'a> = (&'a str, &'a dyn Fn(&Path));
    let faults: [Fault; 5] = [
        ("the log was deleted or moved", &|folder| std::fs::remove_dir_all(folder).unwrap()),
        ("the log was deleted or moved", &|folder| std::fs::rename(folder, folder.with_extension("moved")).unwrap()),
        ("the log was shortened from", &|folder| change(folder, |length| length - 100)),
        ("the log was lengthened from", &|folder| change(folder, |length| length + 1)),
        ("another file was put in the place of the log", &|folder| {
            std::fs::copy(folder.join(LOG), folder.join("other")).unwrap();
            std::fs::rename(folder.join("other"), folder.join(LOG)).unwrap();
        }),
    ];
    for (words, fault) in faults {
        let parent = TempDir::new().unwrap();
        let (mut folder, mut session) = create(parent.path(), Protocol::QUICK, ControlTrial::None);
        let mut random = Random::new(14);
        for _ in 0..6 {
            let entry = next_entry(&session, &mut random, 0.8).unwrap();
            folder.enter(&mut session, entry).unwrap();
        }
        fault(folder.path());
        let log = std::fs::read(folder.path().join(LOG)).ok();
        let before = (session.trial(), session.step());
        let entry = next_entry(&session, &mut random, 0.8).unwrap();
        let error = folder.enter(&mut session, entry).unwrap_err().to_string();
        assert!(error.contains(words) && error.ends_with("this test cannot go on"), "{error}");
        assert!(folder.is_lost() && folder.close(&session).is_err());
        assert_eq!((session.trial(), session.step()), before);
        assert_eq!(std::fs::read(folder.path().join(LOG)).ok(), log, "{words}");
    }
}

#[test]
fn a_flag_whose_figure_is_no_number_is_read_again() {
    let parent = TempDir::new().unwrap();
    let (mut folder, mut session) = create(parent.path(), Protocol::QUICK, ControlTrial::None);
    for entry in [Entry::EndTraining, Entry::Continue] {
        folder.enter(&mut session, entry).unwrap();
    }
    let flags = vec![Flag::Loudness { difference_lu: f64::NAN }, Flag::DropOuts { blocks: 1 }];
    let entry = session.answered(right_answer(&session), 1.0, Vec::new(), flags);
    folder.enter(&mut session, entry).unwrap();
    let path = folder.path().to_path_buf();
    drop(folder);
    let Reopened { mut folder, session, .. } = SessionFolder::open(&path).unwrap();
    assert_eq!(session.step(), Some(TestStep::Confidence));
    folder.close(&session).unwrap();
    assert!(verify_log(&path, None).unwrap().passed());
}

#[test]
fn a_table_that_could_not_be_written_is_written_later_and_the_last_line_once() {
    let parent = TempDir::new().unwrap();
    let (mut folder, mut session) = create(parent.path(), Protocol::QUICK, ControlTrial::None);
    // A folder of that name is in the way.
    let path = folder.path().to_path_buf();
    std::fs::create_dir(path.join(TABLE)).unwrap();
    let mut random = Random::new(10);
    while let Some(entry) = next_entry(&session, &mut random, 0.8) {
        folder.enter(&mut session, entry).unwrap();
    }
    assert!(folder.close(&session).is_err() && path.join(SEED).exists());
    // The seed is open in the last line, so nothing follows it.
    assert!(folder.is_closed());
    assert!(matches!(folder.enter(&mut session, Entry::Continue), Err(FolderError::Closed(_))));
    std::fs::remove_dir(path.join(TABLE)).unwrap();
    let receipt = folder.close(&session).unwrap();
    let checked = verify_log(&path, Some(&receipt)).unwrap();
    assert!(checked.passed(), "{:?}", faults(&checked));
    assert!(!path.join(SEED).exists());
}

#[test]
fn a_log_of_a_newer_version_is_refused_in_clear_words() {
    let parent = TempDir::new().unwrap();
    let (folder, _) = whole(parent.path(), Protocol::QUICK);
    let log = std::fs::read_to_string(folder.join(LOG)).unwrap();
    std::fs::write(folder.join(LOG), log.replacen("\"version\":1", "\"version\":2", 1)).unwrap();
    let expected = "the log has version 2, which a newer version of Isotherm wrote; expected 1 or older";
    for error in [verify_log(&folder, None).unwrap_err(), SessionFolder::open(&folder).unwrap_err()] {
        assert!(error.to_string().ends_with(expected), "{error}");
    }
    let error = verify_log(parent.path(), None).unwrap_err().to_string();
    assert!(error.ends_with("no session of a listening test; expected a folder with log.jsonl"), "{error}");
}

#[test]
fn the_first_line_that_was_changed_cut_or_put_elsewhere_is_named() {
    let parent = TempDir::new().unwrap();
    let (folder, receipt) = whole(parent.path(), Protocol::QUICK);
    let log = std::fs::read_to_string(folder.join(LOG)).unwrap();
    let lines: Vec<&str> = log.lines().collect();
    let count = lines.len();
    let check = |lines: &[String], receipt: Option<&str>| {
        let text: String = lines.iter().map(|line| line.clone() + "\n").collect();
        std::fs::write(folder.join(LOG), text).unwrap();
        let checked = verify_log(&folder, receipt).unwrap();
        assert!(!checked.passed());
        faults(&checked).join("; ")
    };
    let owned: Vec<String> = lines.iter().map(|line| (*line).to_string()).collect();
    for place in 1..count - 1 {
        // Changed.
        let mut changed = owned.clone();
        changed[place] = changed[place].replacen("\"time\":\"2", "\"time\":\"3", 1);
        assert_eq!(check(&changed, None), format!("line {} was changed: line {} has another hash of it", place + 1, place + 2));
        // Cut.
        let mut cut = owned.clone();
        cut.remove(place);
        assert_eq!(check(&cut, None), format!("line {} cut out: line {} stands in their place", place + 1, place + 2));
        // In another order.
        if place + 2 < count {
            let mut moved = owned.clone();
            moved.swap(place, place + 1);
            let expected = format!("lines in another order: line {} stands in the place of line {}", place + 2, place + 1);
            assert_eq!(check(&moved, None), expected);
        }
    }
    let mut end_cut = owned.clone();
    end_cut.truncate(count - 1);
    let found = check(&end_cut, None);
    assert!(found.contains("is not the closing line: the session was left, or its end was cut off"), "{found}");
    // The closing line, which no line follows: by what it says, and by the receipt.
    let mut closing = owned.clone();
    closing[count - 1] = closing[count - 1].replacen("\"trials\":", "\"trials\":1", 1);
    assert!(check(&closing, None).contains("the closing line says"), "{}", check(&closing, None));
    let mut seed = owned.clone();
    let at = seed[count - 1].find("\"seed\":\"").unwrap() + 8;
    let digit = if &seed[count - 1][at..=at] == "0" { "1" } else { "0" };
    seed[count - 1].replace_range(at..=at, digit);
    assert!(check(&seed, None).contains("the commitment is not the one to this seed"), "{}", check(&seed, None));
    let mut time = owned.clone();
    time[count - 1] = time[count - 1].replacen("\"time\":\"2", "\"time\":\"3", 1);
    let found = check(&time, Some(&receipt));
    assert!(found.contains("the receipt is the hash of no line"), "{found}");
    // A whole line that is no JSON, and the files beside the log.
    let mut broken = owned.clone();
    broken[5] = broken[5].replacen('{', "[", 1);
    assert!(check(&broken, None).starts_with("line 6: no JSON"), "{}", check(&broken, None));
    std::fs::write(folder.join(LOG), &log).unwrap();
    assert!(verify_log(&folder, Some(&receipt)).unwrap().passed());
    for (file, words) in [("loop.wav", "loop.wav was changed"), (TABLE, "trials.csv is missing or was changed")] {
        let bytes = std::fs::read(folder.join(file)).unwrap();
        std::fs::write(folder.join(file), [&bytes[..], b"x"].concat()).unwrap();
        assert_eq!(faults(&verify_log(&folder, None).unwrap()), [words]);
        std::fs::write(folder.join(file), bytes).unwrap();
    }
}

#[test]
fn a_forged_log_with_right_hashes_is_betrayed_by_the_commitment_or_the_receipt() {
    let parent = TempDir::new().unwrap();
    let (folder, receipt) = whole(parent.path(), Protocol::QUICK);
    let log = std::fs::read_to_string(folder.join(LOG)).unwrap();
    let rehash = |lines: Vec<String>| {
        let mut previous = "0".repeat(64);
        let mut text = String::new();
        for line in lines {
            let at = line.find("\"previous\":\"").unwrap() + 12;
            let line = format!("{}{previous}{}", &line[..at], &line[at + 64..]);
            previous = line_hash(line.as_bytes());
            text += &(line + "\n");
        }
        text
    };
    // Answers that are turned round: the mappings of the seed give another score.
    let turn = |line: &str| {
        if line.contains("\"part\":\"test\"") {
            line.replace("\"answer\":\"first\"", "\"answer\":\"second\"")
        } else {
            line.into()
        }
    };
    std::fs::write(folder.join(LOG), rehash(log.lines().map(turn).collect())).unwrap();
    let checked = verify_log(&folder, Some(&receipt)).unwrap();
    let found = faults(&checked).join("; ");
    assert!(found.contains("the closing line has the result") && found.contains("the receipt is the hash of no line"), "{found}");
    // Another configuration.
    let other = log.replacen("Zoë", "Zoe", 1);
    std::fs::write(folder.join(LOG), rehash(other.lines().map(String::from).collect())).unwrap();
    let found = verify_log(&folder, None).unwrap();
    assert!(faults(&found).join("; ").contains("the commitment is not the one"), "{:?}", faults(&found));
    assert_eq!(found.anchor, "not anchored: without the receipt, the whole log could be a new one");
}

#[test]
fn a_receipt_from_within_the_test_anchors_the_lines_up_to_it() {
    let parent = TempDir::new().unwrap();
    let (mut folder, mut session) = create(parent.path(), Protocol::QUICK, ControlTrial::None);
    let mut random = Random::new(9);
    for _ in 0..10 {
        let entry = next_entry(&session, &mut random, 0.8).unwrap();
        folder.enter(&mut session, entry).unwrap();
    }
    let early = folder.receipt().to_string();
    finish(&mut folder, &mut session, &mut random);
    let checked = verify_log(folder.path(), Some(&early.to_uppercase())).unwrap();
    assert!(checked.passed());
    assert_eq!(checked.anchored_line, Some(12));
    assert!(checked.anchor.starts_with("anchored up to line 12 of "), "{}", checked.anchor);
    // The first digits do, as a window shows them; fewer would be met by chance.
    let checked = verify_log(folder.path(), Some(&early[..16])).unwrap();
    assert!(checked.passed() && checked.anchored_line == Some(12), "{}", checked.anchor);
    assert!(python(folder.path(), Some(&early[..16]), false).unwrap().contains("; anchored up to line 12 of "));
    for wrong in ["12ab", &early[..15], "no hexadecimal digits", ""] {
        let found = verify_log(folder.path(), Some(wrong)).unwrap();
        assert!(!found.passed() && found.anchor.starts_with("no receipt: "), "{}", found.anchor);
        assert!(python(folder.path(), Some(wrong), false).unwrap_err().contains("no receipt"));
    }
    let other = format!("{}{}", if early.starts_with('0') { "1" } else { "0" }, &early[1..]);
    let found = verify_log(folder.path(), Some(&other)).unwrap();
    assert!(!found.passed() && found.anchor.starts_with("the receipt is the hash of no line"), "{}", found.anchor);
}

#[test]
fn a_seed_of_another_session_or_none_is_refused() {
    let parent = TempDir::new().unwrap();
    let (first, _) = create(parent.path(), Protocol::QUICK, ControlTrial::None);
    let (second, _) = create(parent.path(), Protocol::QUICK, ControlTrial::None);
    let [first, second] = [first, second].map(|folder| folder.path().to_path_buf());
    std::fs::copy(first.join(SEED), second.join(SEED)).unwrap();
    assert!(matches!(SessionFolder::open(&second), Err(FolderError::OtherSeed(_))));
    std::fs::write(second.join(SEED), "no seed").unwrap();
    assert!(matches!(SessionFolder::open(&second), Err(FolderError::Seed { .. })));
    std::fs::remove_file(second.join(SEED)).unwrap();
    assert!(matches!(SessionFolder::open(&second), Err(FolderError::NoSeed(_))));
}

/// Runs the second implementation on a session.
pub fn python(folder: &Path, receipt: Option<&str>, optimized: bool) -> Result<String, String> {
    let python = std::env::var_os("ISOTHERM_PYTHON").expect("ISOTHERM_PYTHON is not set: run `cargo xtask test`");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/verify_session.py");
    let options: &[&str] = if optimized { &["-O"] } else { &[] };
    let done = Command::new(&python).args(options).arg(script).arg(folder).args(receipt).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if done.status.success() { Ok(text(&done.stdout)) } else { Err(text(&done.stderr)) }
}

/// The lines of a log with right hashes and commitment, as somebody writes them who has the seed and forges a log.
pub fn rehashed(lines: &[String]) -> String {
    let read = |line: &String| -> serde_json::Value { serde_json::from_str(line).unwrap() };
    let opened = &read(lines.last().unwrap())["seeds"][0];
    let blinding = Blinding::opened(opened["seed"].as_str().unwrap(), opened["nonce"].as_str().unwrap()).unwrap();
    let (mut previous, mut commitment) = ("0".repeat(64), String::new());
    let mut text = String::new();
    for (number, line) in (1..).zip(lines) {
        let mut value = read(line);
        value["previous"] = previous.into();
        value["line"] = number.into();
        if number == 2 {
            value["commitment"] = commitment.clone().into();
        }
        let line = value.to_string();
        if number == 1 {
            commitment = blinding.commitment(line.as_bytes());
        }
        previous = line_hash(line.as_bytes());
        text += &(line + "\n");
    }
    text
}

#[test]
fn a_copy_of_a_session_that_was_left_has_other_mappings_than_the_original() {
    let parent = TempDir::new().unwrap();
    let protocol = fixed(Question::Difference, Form::Abx, 64);
    let (mut folder, mut session) = create(parent.path(), protocol, ControlTrial::None);
    for entry in [Entry::EndTraining, Entry::Continue] {
        folder.enter(&mut session, entry).unwrap();
    }
    let path = folder.path().to_path_buf();
    drop((folder, session));
    let other = parent.path().join("a copy");
    copy(&path, &other);
    let mappings = |path: &Path| {
        let Reopened { mut folder, mut session, cut_bytes } = SessionFolder::open(path).unwrap();
        let first = folder.commitment().to_owned();
        folder.resume(&mut session, Resumption { cut_bytes, ..Resumption::default() }).unwrap();
        assert_ne!(folder.commitment(), first);
        let receipt = finish(&mut folder, &mut session, &mut Random::new(11));
        assert!(verify_log(path, Some(&receipt)).unwrap().passed());
        assert!(python(path, Some(&receipt), false).unwrap().ends_with("; anchored"));
        let log = std::fs::read_to_string(path.join(LOG)).unwrap();
        let last: serde_json::Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
        assert_eq!(last["seeds"].as_array().unwrap().len(), 2);
        last["mappings"].as_array().unwrap().iter().map(|mapping| mapping["bits"].clone()).collect::<Vec<_>>()
    };
    let (copied, original) = (mappings(&other), mappings(&path));
    let same = copied.iter().zip(&original).filter(|(a, b)| a == b).count();
    // A quarter of 64 are the same by chance: 40 or more in one of 1e10 runs.
    assert!(copied.len() == 64 && same < 40, "{same} of {}", copied.len());
}

#[test]
fn what_a_void_trial_played_is_told_nowhere() {
    let parent = TempDir::new().unwrap();
    let (folder, _) = whole(parent.path(), Protocol::QUICK);
    let log = std::fs::read_to_string(folder.join(LOG)).unwrap();
    let last: serde_json::Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    let test = |mapping: &&serde_json::Value| mapping["part"] == "test" && mapping["trial"] == 3;
    assert_eq!(last["mappings"].as_array().unwrap().iter().filter(test).count(), 0);
    assert_eq!(last["trials"].as_u64().unwrap(), last["mappings"].as_array().unwrap().len() as u64 + 1);
    let table = std::fs::read_to_string(folder.join(TABLE)).unwrap();
    assert!(table.lines().any(|row| row.starts_with("test,3,") && row.ends_with(",1,,,,,,,,,,,,")), "{table}");
}

#[test]
fn a_session_whose_files_are_others_is_not_resumed() {
    let parent = TempDir::new().unwrap();
    let (folder, _) = create(parent.path(), Protocol::QUICK, ControlTrial::None);
    let path = folder.path().to_path_buf();
    drop(folder);
    for name in ["a.json", "b.json", "loop.wav"] {
        let bytes = std::fs::read(path.join(name)).unwrap();
        std::fs::write(path.join(name), "other").unwrap();
        let error = SessionFolder::open(&path).unwrap().folder.check_files().unwrap_err().to_string();
        assert!(error.contains(&format!("'{name}' is not the file that the test began with")), "{error}");
        std::fs::write(path.join(name), bytes).unwrap();
    }
    assert!(SessionFolder::open(&path).unwrap().folder.check_files().is_ok());
}

#[test]
fn a_session_that_is_broken_is_not_offered_and_hides_no_other() {
    let parent = TempDir::new().unwrap();
    let left: Vec<PathBuf> =
        (0..4).map(|_| create(parent.path(), Protocol::QUICK, ControlTrial::None).0.path().to_path_buf()).collect();
    assert_eq!(unfinished(parent.path()).len(), 4);
    std::fs::write(left[1].join(LOG), "").unwrap();
    let log = std::fs::read_to_string(left[2].join(LOG)).unwrap();
    std::fs::write(left[2].join(LOG), log.replacen("\"version\":1", "\"version\":2", 1)).unwrap();
    let log = std::fs::read_to_string(left[3].join(LOG)).unwrap();
    std::fs::write(left[3].join(LOG), log.replacen("Zoë", "Zoe", 1)).unwrap();
    assert_eq!(unfinished(parent.path()), vec![left[0].clone()]);
}

#[test]
fn a_forged_record_is_refused_by_both_implementations() {
    let parent = TempDir::new().unwrap();
    let (folder, receipt) = whole(parent.path(), Protocol { trials: 10, ..Protocol::QUICK });
    let log = std::fs::read_to_string(folder.join(LOG)).unwrap();
    let lines: Vec<String> = log.lines().map(String::from).collect();
    let last = lines.len() - 1;
    let place = |words: &str| lines.iter().position(|line| line.contains(words)).unwrap();
    let (fifth, tenth) = (place("\"part\":\"test\",\"trial\":5"), place("\"part\":\"test\",\"trial\":11"));
    let changed = |place: usize, from: &str, to: &str| {
        let mut forged = lines.clone();
        assert!(forged[place].contains(from), "{from} in {}", forged[place]);
        forged[place] = forged[place].replacen(from, to, 1);
        forged
    };
    let mut forgeries: Vec<(&str, Vec<String>)> = vec![
        ("an answer given twice", [&lines[..=fifth + 1], &lines[fifth..]].concat()),
        ("nine answers called complete", [&lines[..tenth], &lines[tenth + 2..]].concat()),
        ("an aborted test", changed(last, "\"end\":\"complete\"", "\"end\":\"aborted\"")),
        ("a control", changed(last, "\"control\":\"", "\"control\":\"no-")),
        ("flagged", changed(last, "\"flagged\":1", "\"flagged\":0")),
        ("alpha", changed(0, "\"alpha\":0.05", "\"alpha\":0.5")),
        ("is_aa", changed(0, "\"is_aa\":false", "\"is_aa\":true")),
        ("version", changed(0, "\"version\":1", "\"version\":0")),
    ];
    let finding =
        if log.contains("\"finding\":\"difference\"") { ["difference", "undecided"] } else { ["undecided", "difference"] };
    let finding = finding.map(|word| format!("\"finding\":\"{word}\""));
    forgeries.push(("finding", changed(last, &finding[0], &finding[1])));
    let mut copied = lines.clone();
    copied[fifth] = copied[fifth - 2].clone();
    forgeries.push(("trial 5 as a copy of 4", copied));
    std::fs::write(folder.join(LOG), rehashed(&lines)).unwrap();
    assert!(verify_log(&folder, None).unwrap().passed() && python(&folder, None, true).is_ok());
    for (name, forged) in forgeries {
        std::fs::write(folder.join(LOG), rehashed(&forged)).unwrap();
        assert!(!verify_log(&folder, None).is_ok_and(|checked| checked.passed()), "{name}");
        for optimized in [false, true] {
            assert!(python(&folder, None, optimized).is_err(), "{name}");
        }
    }
    // A carriage return is a change, too.
    std::fs::write(folder.join(LOG), log.replacen('\n', "\r\n", 1)).unwrap();
    assert!(!verify_log(&folder, None).unwrap().passed() && python(&folder, None, false).is_err());
    std::fs::write(folder.join(LOG), &log).unwrap();
    // Receipts in capitals, and of an earlier line, are taken as they are here.
    assert!(python(&folder, Some(&receipt.to_uppercase()), false).unwrap().ends_with("; anchored"));
    let early = line_hash(lines[5].as_bytes());
    assert!(python(&folder, Some(&early), false).unwrap().ends_with(&format!("anchored up to line 6 of {}", lines.len())));
    let table = std::fs::read_to_string(folder.join(TABLE)).unwrap();
    std::fs::write(folder.join(TABLE), table.replacen(",A,", ",B,", 1)).unwrap();
    assert!(python(&folder, None, false).unwrap_err().contains("trials.csv was changed"));
}

#[test]
fn a_record_whose_end_is_cut_off_or_whose_seed_is_left_is_called_what_it_is() {
    let parent = TempDir::new().unwrap();
    let (folder, _) = whole(parent.path(), Protocol::QUICK);
    let log = std::fs::read(folder.join(LOG)).unwrap();
    std::fs::write(folder.join(LOG), &log[..log.len() - 1]).unwrap();
    let found = faults(&verify_log(&folder, None).unwrap()).join("; ");
    assert!(found.contains("or its end was cut off; the session has no seed, so it cannot be resumed"), "{found}");
    std::fs::write(folder.join(LOG), &log).unwrap();
    std::fs::write(folder.join(SEED), "left").unwrap();
    let checked = verify_log(&folder, None).unwrap();
    let remark = "'seed' is no part of the record: the seed, which should have been deleted.";
    assert!(checked.passed() && checked.remarks.iter().any(|text| text == remark), "{:?}", checked.remarks);
}

#[test]
fn a_test_that_could_not_have_started_does_not_verify() {
    let parent = TempDir::new().unwrap();
    let protocol = fixed(Question::Equivalence, Form::Abx, 20);
    assert!(verify_log(&whole(parent.path(), protocol).0, None).unwrap().passed());
    for protocol in [Protocol { margin: 0.99, ..protocol }, Protocol { rule: Rule::Sprt, trials: 501, ..Protocol::QUICK }] {
        let (folder, _) = whole(parent.path(), protocol);
        let checked = verify_log(&folder, None).unwrap();
        assert!(faults(&checked).iter().any(|text| text.starts_with("line 1: ") && text.contains("; expected ")), "{checked:?}");
        assert!(python(&folder, None, false).unwrap_err().contains("no such test"));
    }
}

#[test]
fn the_commitment_anchors_the_first_line() {
    let parent = TempDir::new().unwrap();
    let (mut folder, mut session) = create(parent.path(), Protocol::QUICK, ControlTrial::None);
    let commitment = folder.commitment().to_owned();
    finish(&mut folder, &mut session, &mut Random::new(12));
    let checked = verify_log(folder.path(), Some(&commitment)).unwrap();
    assert!(checked.passed(), "{:?}", faults(&checked));
    assert_eq!(checked.anchored_line, Some(1));
    assert!(python(folder.path(), Some(&commitment), false).unwrap().contains("; anchored up to line 1 of "));
    assert!(checked.anchor.starts_with("anchored up to line 1 of "), "{}", checked.anchor);
}

#[test]
fn a_test_counts_for_the_next_one_whichever_side_was_a_and_whatever_it_was_called() {
    let parent = TempDir::new().unwrap();
    let take = |names: [&str; 2], text: &str, model: &str| {
        let configuration = configuration(Protocol::QUICK, ControlTrial::None);
        let folder = SessionFolder::create(parent.path(), configuration, &Blinding::new().unwrap(), |folder| {
            let [dry, neural] = names;
            std::fs::write(folder.join(format!("{dry}.json")), r#"{"text":"dry","change":null,"kind":"dry"}"#)?;
            let file = format!("{neural}-model.nam");
            std::fs::write(folder.join(&file), model)?;
            let side = serde_json::json!({
                "text": text, "change": null, "kind": "effect", "effect": { "algorithm": "neural", "model": file },
            });
            std::fs::write(folder.join(format!("{neural}.json")), side.to_string())?;
            std::fs::write(folder.join("loop.wav"), text)
        });
        folder.unwrap().configuration().earlier.count()
    };
    assert_eq!(take(["a", "b"], "neural model=amp.nam", "bytes"), 0);
    assert_eq!(take(["b", "a"], "slot A: neural model=/home/amp.nam", "bytes"), 1);
    assert_eq!(take(["a", "b"], "neural model=amp.nam", "other bytes"), 0);
    assert_eq!(take(["a", "b"], "neural model=amp.nam", "bytes"), 2);
}

#[test]
fn a_test_that_is_repeated_says_how_many_came_before() {
    let parent = TempDir::new().unwrap();
    let protocol = fixed(Question::Difference, Form::Abx, 10);
    let (_, first) = whole(parent.path(), protocol);
    // One that was left, one that was aborted, and one of other sides.
    drop(create(parent.path(), protocol, ControlTrial::None));
    let (mut aborted, session) = create(parent.path(), protocol, ControlTrial::None);
    let newest = aborted.close(&session).unwrap();
    assert_ne!(first, newest);
    let blinding = Blinding::new().unwrap();
    let elsewhere = SessionFolder::create(parent.path(), configuration(protocol, ControlTrial::None), &blinding, |folder| {
        ["a.json", "b.json", "loop.wav"].iter().try_for_each(|name| std::fs::write(folder.join(name), "[]"))
    });
    assert_eq!(elsewhere.unwrap().configuration().earlier, Earlier::default());
    let (mut folder, mut session) = create(parent.path(), protocol, ControlTrial::None);
    let expected = Earlier { complete: 1, aborted: 1, left: 1, newest: Some(newest) };
    assert_eq!(folder.configuration().earlier, expected);
    let mut random = Random::new(13);
    while let Some(entry) = next_entry(&session, &mut random, 1.0) {
        folder.enter(&mut session, entry).unwrap();
    }
    folder.close(&session).unwrap();
    let checked = verify_log(folder.path(), None).unwrap();
    assert!(checked.passed());
    // 1 - (1 - 2^-10)^4.
    let words = "Tests of the same sides before this one in its folder: 3 (1 complete, 1 aborted, 1 left); by chance the best of 4 is \
                 as good with p = .0039.";
    assert!(checked.sentences.iter().any(|text| text == words), "{:?}", checked.sentences);
}
