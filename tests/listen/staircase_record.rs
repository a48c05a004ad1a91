//! The record of a staircase: it is resumed, verified, and no level that does not follow from the answers goes unseen.

use std::path::{Path, PathBuf};

use isotherm::audio::Random;
use isotherm::listen::{
    ControlTrial, Entry, LOG, Protocol, Reopened, Resumption, SEED, Session, SessionFolder, TABLE, TestPart, TestStep, verify_log,
};
use tempfile::TempDir;

use crate::record::{copy, create, faults, next_entry, python, rehashed};
use crate::simulated::{other, right_answer};
use crate::staircase::{heard_rung, ladder};

/// The next entry of a listener who hears errors above -45 dB, and whose third trial is void.
fn next(session: &Session, random: &mut Random) -> Option<Entry> {
    if session.plan().protocol == Protocol::QUICK {
        return next_entry(session, random, 0.8);
    }
    if session.step()? != TestStep::Answer || session.part() != TestPart::Test || session.trial() == 3 {
        return next_entry(session, random, 1.0);
    }
    let hears = ladder()[heard_rung(session)].esr_db > -45.0;
    let right = right_answer(session);
    let answer = if hears || random.unit() < 0.5 { right } else { other(right) };
    Some(session.answered(answer, 2.0, Vec::new(), Vec::new()))
}

/// Takes a session to its end and closes it; returns the receipt.
fn finish(folder: &mut SessionFolder, session: &mut Session, random: &mut Random) -> String {
    while let Some(entry) = next(session, random) {
        folder.enter(session, entry).unwrap();
    }
    folder.close(session).unwrap()
}

/// A whole staircase; returns its folder and receipt.
fn whole(parent: &Path) -> (PathBuf, String) {
    let (mut folder, mut session) = create(parent, Protocol::staircase(16), ControlTrial::None);
    let receipt = finish(&mut folder, &mut session, &mut Random::new(1));
    (folder.path().into(), receipt)
}

/// The lines of a session's log.
fn lines(folder: &Path) -> Vec<String> {
    std::fs::read_to_string(folder.join(LOG)).unwrap().lines().map(String::from).collect()
}

#[test]
fn a_staircase_verifies_here_and_by_the_second_implementation() {
    let parent = TempDir::new().unwrap();
    let (folder, receipt) = whole(parent.path());
    let checked = verify_log(&folder, Some(&receipt)).unwrap();
    assert!(checked.passed(), "{:?}", faults(&checked));
    let words = "levels and 16 reversals of the staircase follow from the answers";
    assert!(checked.checks.iter().any(|check| check.text == words), "{:?}", checked.checks);
    assert!(checked.sentences[0].starts_with("The largest error that you did not hear"), "{:?}", checked.sentences);
    assert!(checked.subject.contains("how small an error is heard? ABX, staircase, 96 trials"), "{}", checked.subject);
    let said = python(&folder, Some(&receipt), false).unwrap();
    assert!(said.contains("threshold") && said.ends_with("; anchored"), "{said}");
    // The table has the rung of each trial, and the error that it had.
    let table = std::fs::read_to_string(folder.join(TABLE)).unwrap();
    let last: serde_json::Value = serde_json::from_str(lines(&folder).last().unwrap()).unwrap();
    let track = last["track"]["rungs"].as_array().unwrap();
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split(',').collect()).collect();
    assert!(rows.iter().all(|row| row.len() == rows[0].len()), "{table}");
    assert_eq!(rows[0][rows[0].len() - 2..], ["rung", "esr_db"]);
    let counted = rows.iter().filter(|row| row[0] == "test" && row[3] == "0");
    for (row, rung) in counted.clone().zip(track) {
        let rung = rung.as_u64().unwrap() as usize;
        assert_eq!(row[16..], [(rung + 1).to_string(), format!("{:.2}", ladder()[rung].esr_db)]);
    }
    assert_eq!(counted.count(), track.len());
}

#[test]
fn while_a_staircase_runs_its_log_tells_no_level() {
    let parent = TempDir::new().unwrap();
    let (mut folder, mut session) = create(parent.path(), Protocol::staircase(16), ControlTrial::LowPass);
    let mut random = Random::new(2);
    while let Some(entry) = next(&session, &mut random) {
        folder.enter(&mut session, entry).unwrap();
        // The rungs of line 1 are the same for all courses.
        let log: String = lines(folder.path()).split_off(1).concat();
        for hidden in ["rung", "level", "track", "reversal", "\"bits\"", "\"right\"", "threshold"] {
            assert!(!log.contains(hidden), "{hidden} in {log}");
        }
    }
    // Right and wrong answers leave lines of the same keys and lengths: only what was answered differs.
    let answers: Vec<serde_json::Value> = lines(folder.path())
        .iter()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|line| line["kind"] == "answer" && line["part"] == "test")
        .collect();
    assert!(answers.len() > 20);
    for answer in &answers {
        let keys: Vec<&String> = answer.as_object().unwrap().keys().collect();
        let expected = ["answer", "flags", "kind", "line", "part", "previous", "seconds", "switches", "time", "trial"];
        assert_eq!(keys, expected.iter().collect::<Vec<_>>());
    }
}

#[test]
fn a_staircase_that_is_left_at_any_line_goes_on_at_its_level_and_verifies() {
    let parent = TempDir::new().unwrap();
    let (mut folder, mut session) = create(parent.path(), Protocol::staircase(16), ControlTrial::None);
    let seed = std::fs::read(folder.path().join(SEED)).unwrap();
    let path = folder.path().to_path_buf();
    // The rung that waits after each line, where one does.
    let mut rungs = Vec::new();
    let mut random = Random::new(3);
    while let Some(entry) = next(&session, &mut random) {
        folder.enter(&mut session, entry).unwrap();
        let is_open = session.part() == TestPart::Test && session.step() == Some(TestStep::Answer);
        rungs.push(is_open.then(|| heard_rung(&session)));
    }
    folder.close(&session).unwrap();
    drop(folder);
    let log = std::fs::read(path.join(LOG)).unwrap();
    let ends: Vec<usize> = log.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect();
    for kept in (3..ends.len() - 1).step_by(7) {
        // The machine stopped within the next line.
        let cut = ends[kept - 1] + 20;
        let left = parent.path().join(format!("left {kept}"));
        copy(&path, &left);
        std::fs::remove_file(left.join(TABLE)).unwrap();
        std::fs::write(left.join(LOG), &log[..cut]).unwrap();
        std::fs::write(left.join(SEED), &seed).unwrap();
        let Reopened { mut folder, mut session, cut_bytes } = SessionFolder::open(&left).unwrap();
        assert_eq!(cut_bytes, 20);
        folder.resume(&mut session, Resumption { cut_bytes, ..Resumption::default() }).unwrap();
        if let Some(rung) = rungs[kept - 3] {
            assert_eq!(heard_rung(&session), rung, "after line {kept}");
        }
        let receipt = finish(&mut folder, &mut session, &mut Random::new(4));
        let checked = verify_log(&left, Some(&receipt)).unwrap();
        assert!(checked.passed(), "{kept}: {:?}", faults(&checked));
        assert!(python(&left, Some(&receipt), false).is_ok());
    }
}

#[test]
fn a_log_whose_levels_do_not_follow_from_its_answers_is_refused_by_both_implementations() {
    let parent = TempDir::new().unwrap();
    let (folder, _) = whole(parent.path());
    let original = lines(&folder);
    let last = original.len() - 1;
    type Change = fn(&mut serde_json::Value, &mut serde_json::Value);
    let changes: [(&str, Change); 12] = [
        ("trial 5 of the staircase had rung", |_, close| {
            close["track"]["rungs"][4] = (close["track"]["rungs"][4].as_u64().unwrap() + 1).into();
        }),
        ("the closing line has reversals at", |_, close| {
            close["track"]["reversals"][2] = (close["track"]["reversals"][2].as_u64().unwrap() + 1).into();
        }),
        ("levels; the log has", |_, close| {
            close["track"]["rungs"].as_array_mut().unwrap().pop();
        }),
        ("no course of a staircase", |_, close| {
            close.as_object_mut().unwrap().remove("track");
        }),
        ("the closing line has the result", |_, close| {
            let esr_db = close["result"]["threshold"]["esr_db"].as_f64().unwrap();
            close["result"]["threshold"]["esr_db"] = (esr_db - 0.5).into();
        }),
        ("the closing line has the result", |_, close| {
            close["result"]["threshold"]["lower_db"] = serde_json::Value::Null;
        }),
        ("the closing line has the result", |_, close| close["result"]["finding"] = "heard".into()),
        // Another ladder, on which the answers give another threshold; or none.
        ("the closing line has the result", |first, _| {
            for rung in first["matching"]["rungs"].as_array_mut().unwrap() {
                rung["esr_db"] = (rung["esr_db"].as_f64().unwrap() + 3.0).into();
            }
        }),
        ("line 1: the errors do not rise", |first, _| first["matching"]["rungs"][9]["esr_db"] = (-90.0).into()),
        ("line 1: 5 rungs; expected 6 or more", |first, _| first["matching"]["rungs"].as_array_mut().unwrap().truncate(5)),
        // Fewer reversals, so that the test would have ended before.
        ("line 1: 15 reversals", |first, _| first["setup"]["protocol"]["rule"]["staircase"]["reversals"] = 15.into()),
        ("line 1: the rule fixed number of trials does not answer", |first, _| {
            first["setup"]["protocol"]["rule"] = "fixed".into();
        }),
    ];
    for (words, change) in changes {
        let mut forged = original.clone();
        let read = |line: &String| -> serde_json::Value { serde_json::from_str(line).unwrap() };
        let (mut first, mut close) = (read(&forged[0]), read(&forged[last]));
        change(&mut first, &mut close);
        (forged[0], forged[last]) = (first.to_string(), close.to_string());
        std::fs::write(folder.join(LOG), rehashed(&forged)).unwrap();
        let checked = verify_log(&folder, None).unwrap();
        let found = faults(&checked).join("; ");
        assert!(found.contains(words), "{words}: {found}");
        assert!(python(&folder, None, false).is_err(), "{words}");
    }
    // An answer that is turned round changes the levels of all trials after it.
    let mut forged = original.clone();
    let place = forged.iter().position(|line| line.contains("\"part\":\"test\",\"trial\":4")).unwrap();
    let first = forged[place].contains("\"answer\":\"first\"");
    let [from, to] = if first { ["first", "second"] } else { ["second", "first"] };
    forged[place] = forged[place].replacen(&format!("\"answer\":\"{from}\""), &format!("\"answer\":\"{to}\""), 1);
    std::fs::write(folder.join(LOG), rehashed(&forged)).unwrap();
    assert!(!verify_log(&folder, None).unwrap().passed() && python(&folder, None, false).is_err());
    // A log that nobody changed passes.
    std::fs::write(folder.join(LOG), rehashed(&original)).unwrap();
    assert!(verify_log(&folder, None).unwrap().passed());
}

#[test]
fn a_test_of_another_question_has_no_rungs_and_no_course() {
    let parent = TempDir::new().unwrap();
    let (mut folder, mut session) = create(parent.path(), Protocol::QUICK, ControlTrial::None);
    finish(&mut folder, &mut session, &mut Random::new(5));
    let original = lines(folder.path());
    assert!(!original.iter().any(|line| line.contains("rungs") || line.contains("track") || line.contains("threshold")));
    let forged = |from: &str, to: &str, line: usize| {
        let mut forged = original.clone();
        forged[line] = forged[line].replacen(from, to, 1);
        std::fs::write(folder.path().join(LOG), rehashed(&forged)).unwrap();
        faults(&verify_log(folder.path(), None).unwrap()).join("; ")
    };
    let last = original.len() - 1;
    let track = "{\"track\":{\"rungs\":[1],\"reversals\":[]},";
    assert!(forged("{", track, last).contains("or one of no staircase"));
    let rung = serde_json::to_string(&ladder()[..1]).unwrap();
    let found = forged("\"identical\":false", &format!("\"identical\":false,\"rungs\":{rung}"), 0);
    assert!(found.contains("line 1: rungs without a staircase"), "{found}");
}
