//! Whole panels over the network: six listeners with their summary, and a staircase.

use std::sync::Arc;

use isotherm::audio::generate;
use isotherm::listen::summary::{Summary, collect};
use isotherm::listen::{Finding, Panel, Protocol, TestSetup, verify};
use serde_json::Value;
use tempfile::TempDir;

use super::serve::{Listener, RATE, Running, TRIALS, answer_of, create, setup};

/// Listeners of the panel, of whom the first ones hear the difference and the others always press one button.
const LISTENERS: usize = 6;
const HEARING: usize = 4;

/// Takes a test to its end. Who does not hear the difference hears the training and the control all the same.
fn take(listener: &mut Listener, hears: bool) -> String {
    while listener.view["stage"] != "ended" {
        let is_test = listener.view["part"] == "test" && listener.view["step"] == "answer";
        let action = if is_test && !hears { answer_of("first", 1.5) } else { listener.action(true) };
        let reply = listener.act(&action);
        assert_eq!(reply.status, 200, "{}", reply.line());
    }
    listener.view["receipt"].as_str().unwrap().to_owned()
}

#[test]
fn a_panel_of_six_is_taken_verified_and_summarised() {
    let home = TempDir::new().unwrap();
    let server = Running::start(create(&home.path().join("panel"), LISTENERS));
    let receipts: Vec<String> = std::thread::scope(|scope| {
        let take_at = |index: usize| {
            let (address, token) = (server.address, server.tokens[index].clone());
            move || {
                let mut listener = Listener::new(address, &token, index as u8);
                assert_eq!(listener.enter().status, 200);
                listener.check();
                take(&mut listener, index < HEARING)
            }
        };
        let threads: Vec<_> = (0..LISTENERS).map(|index| scope.spawn(take_at(index))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (index, receipt) in receipts.iter().enumerate() {
        let checked = verify(&server.session(index), Some(receipt)).unwrap();
        assert!(checked.passed(), "{:?}", checked.checks.iter().filter(|check| !check.passed).collect::<Vec<_>>());
    }
    let collected = collect(&server.path).unwrap();
    let summary = Summary::new(collected.test, "panel", collected.entries).unwrap();
    let counts: Vec<(u32, u32)> = summary.listeners().map(|(_, figures)| (figures.count, figures.trials)).collect();
    assert_eq!(counts.len(), LISTENERS);
    assert!(counts[..HEARING].iter().all(|counted| *counted == (TRIALS, TRIALS)), "{counts:?}");
    // Ten right of ten have p = 1/1024, times six listeners .006; of those who always press one button few have as much.
    let shown = &summary.result.shown;
    assert!((1..=HEARING).all(|listener| shown.contains(&format!("listener {listener}"))), "{shown:?}");
    let pooled = &summary.result.pooled;
    let right: u32 = counts.iter().map(|(count, _)| count).sum();
    assert_eq!((pooled.listeners, pooled.trials, pooled.count), (LISTENERS as u32, TRIALS * LISTENERS as u32, right));
    assert_eq!(pooled.finding, Finding::Difference);
    let out = home.path().join("summary");
    summary.write(&out, false).unwrap();
    let json: Value = serde_json::from_slice(&std::fs::read(out.join("summary.json")).unwrap()).unwrap();
    assert_eq!(json["rows"].as_array().unwrap().len(), LISTENERS);
    assert!(std::fs::read_to_string(out.join("index.html")).unwrap().contains("listener 6"));
}

#[test]
fn a_threshold_is_taken_on_a_staircase_whose_level_is_told_in_the_end_alone() {
    let home = TempDir::new().unwrap();
    let sound = generate::guitar(RATE, 2, 1).unwrap().slice(..2 * RATE as usize).unwrap();
    let setup = TestSetup { protocol: Protocol::staircase(16), ..setup() };
    let server = Running::start(Panel::create(&home.path().join("panel"), setup, Arc::new(sound), 1).unwrap());
    let mut listener = Listener::new(server.address, &server.tokens[0], 1);
    listener.enter();
    listener.check();
    // Right and wrong by turns in the test: each answer turns the staircase.
    let mut answers = 0;
    while listener.view["stage"] != "ended" {
        let mut action = listener.action(true);
        if listener.view["part"] == "test" && listener.view["step"] == "answer" {
            answers += 1;
            if answers % 2 == 0 {
                action["answer"] = if action["answer"] == "first" { "second" } else { "first" }.into();
            }
        }
        let reply = listener.act(&action);
        assert_eq!(reply.status, 200, "{}", reply.line());
    }
    assert!((16..30).contains(&answers), "{answers}");
    let receipt = listener.view["receipt"].as_str().unwrap().to_owned();
    for text in &listener.seen {
        for word in ["rung", "reversal", "level", "threshold", "staircase"] {
            assert!(!text.contains(word), "'{word}' in: {text}");
        }
    }
    let checked = verify(&server.session(0), Some(&receipt)).unwrap();
    assert!(checked.passed(), "{:?}", checked.checks.iter().filter(|check| !check.passed).collect::<Vec<_>>());
    assert!(!listener.view["sentences"].as_array().unwrap().is_empty());
}
