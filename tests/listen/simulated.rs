//! Simulated listeners through the real session: what is stated of false positives and power is so, for every rule and habit.

use isotherm::audio::Random;
use isotherm::listen::statistics::{ends, lower_tail, upper_tail};
use isotherm::listen::{
    Answer, Blinding, Button, CONTROL_TRIALS, ControlResult, ControlTrial, Earlier, Entry, Finding, Form, Outcome, PAUSE_AFTER,
    Plan, Protocol, Question, Rule, Session, TestPart, TestStep,
};

/// Sessions of each kind of listener: a rate of .05 has a standard deviation of .01 in so many.
const SESSIONS: u32 = 500;
/// Probability with which a right program fails one of these tests by chance; the seeds are fixed, so it does not.
const CHANCE: f64 = 1e-6;

/// A secret from a stream of random numbers, so that the tests are the same each time.
pub fn blinding(random: &mut Random) -> Blinding {
    let mut digits = |count: usize| (0..count).map(|_| format!("{:02x}", random.within(0.0, 256.0) as u8)).collect::<String>();
    let (seed, nonce) = (digits(32), digits(16));
    Blinding::opened(&seed, &nonce).unwrap()
}

/// A protocol with a fixed number of trials.
pub fn fixed(question: Question, form: Form, trials: u32) -> Protocol {
    Protocol { question, form, rule: Rule::Fixed, trials, margin: 0.7 }
}

/// A plan; with a positive control only where nothing is shown without one.
fn plan(protocol: Protocol) -> Plan {
    let control = if protocol.question == Question::Equivalence { ControlTrial::LowPass } else { ControlTrial::None };
    Plan { protocol, control, is_aa: false, earlier: Earlier::default(), ladder: Vec::new() }
}

/// The answer that somebody who hears everything gives to the present trial; for a preference: who likes side A.
pub fn right_answer(session: &Session) -> Answer {
    let path = |button| session.path(button).unwrap();
    match session.form() {
        Form::Abx if path(Button::X) == path(Button::First) => Answer::First,
        Form::Abx => Answer::Second,
        Form::SameDifferent if path(Button::First) == path(Button::Second) => Answer::Same,
        Form::SameDifferent => Answer::Different,
        Form::Preference if path(Button::First) == 0 => Answer::First,
        Form::Preference => Answer::Second,
    }
}

/// The other answer of the same form.
pub fn other(answer: Answer) -> Answer {
    match answer {
        Answer::First => Answer::Second,
        Answer::Second => Answer::First,
        Answer::Same => Answer::Different,
        Answer::Different => Answer::Same,
    }
}

/// Takes a session to its end; training is left at once.
pub fn take(session: &mut Session, answer: &mut dyn FnMut(&Session) -> Answer) -> Outcome {
    while let Some(step) = session.step() {
        let entry = match step {
            _ if session.part() == TestPart::Training => Entry::EndTraining,
            TestStep::Introduction | TestStep::Pause | TestStep::Feedback { .. } => Entry::Continue,
            TestStep::Answer => {
                let answer = answer(session);
                session.answered(answer, 2.0, Vec::new(), Vec::new())
            }
            TestStep::Confidence => Entry::Confidence { confidence: 2 },
        };
        session.apply(&entry).unwrap();
    }
    session.outcome()
}

/// A listener who is right with a probability that may depend on the trial.
pub fn hearing(random: &mut Random, share: impl Fn(u32) -> f64) -> impl FnMut(&Session) -> Answer {
    move |session| {
        let right = right_answer(session);
        if f64::from(random.within(0.0, 1.0)) < share(session.counted()) { right } else { other(right) }
    }
}

/// Checks that `found` of [`SESSIONS`] is what the probability `expected` gives, up to chance.
fn assert_rate(found: u32, expected: f64, name: &str) {
    assert!(upper_tail(found, SESSIONS, expected) > CHANCE, "{name}: {found} of {SESSIONS}; more than {expected:.4}");
    assert!(lower_tail(found, SESSIONS, expected) > CHANCE, "{name}: {found} of {SESSIONS}; fewer than {expected:.4}");
}

/// Sessions of a protocol, of [`SESSIONS`], in which something is found that should not be, or should be.
fn count(protocol: Protocol, random: &mut Random, mut answer: impl FnMut(&Session) -> Answer, is: fn(&Outcome) -> bool) -> u32 {
    let taken = |_: &u32| {
        let mut session = Session::new(plan(protocol), blinding(random));
        is(&take(&mut session, &mut answer))
    };
    (0..SESSIONS).filter(taken).count() as u32
}

/// The protocols of the question for a difference.
fn difference_protocols() -> Vec<Protocol> {
    let mut protocols = Vec::new();
    for form in [Form::Abx, Form::SameDifferent] {
        for (rule, trials) in [(Rule::Fixed, 16), (Rule::Fixed, 30), (Rule::Sprt, 60), (Rule::EValue, 30)] {
            protocols.push(Protocol { form, rule, trials, ..Protocol::QUICK });
        }
    }
    protocols
}

/// True if the first answer is given to a trial, by the number of those before it.
type Habit = fn(u32) -> bool;

/// Names and keys of listeners who do not listen: the answer of a form's two by the number of the trial.
const HABITS: [(&str, Habit); 5] = [
    ("always the first", |_| true),
    ("always the second", |_| false),
    ("by turns", |n| n % 2 == 0),
    ("in pairs", |n| n / 2 % 2 == 0),
    ("one in five", |n| n % 5 == 0),
];

#[test]
fn nobody_who_does_not_hear_is_called_a_hearer_more_often_than_is_stated() {
    let mut random = Random::new(1);
    for protocol in difference_protocols() {
        let stated = ends(&protocol, 0.5).shown;
        assert!(stated <= 0.05);
        let is = |outcome: &Outcome| outcome.score.finding == Finding::Difference;
        let mut coin = Random::new(2);
        assert_rate(count(protocol, &mut random, hearing(&mut coin, |_| 0.5), is), stated, &format!("guessing, {protocol:?}"));
        for (name, key) in HABITS {
            let press = |session: &Session| {
                let pair =
                    if session.form() == Form::Abx { [Answer::First, Answer::Second] } else { [Answer::Same, Answer::Different] };
                pair[usize::from(!key(session.counted()))]
            };
            assert_rate(count(protocol, &mut random, press, is), stated, &format!("{name}, {protocol:?}"));
        }
    }
}

#[test]
fn who_hears_is_found_as_often_as_is_stated() {
    let mut random = Random::new(3);
    for protocol in difference_protocols() {
        for share in [0.6, 0.75, 0.95] {
            let mut coin = Random::new(4);
            let is = |outcome: &Outcome| outcome.score.finding == Finding::Difference;
            let found = count(protocol, &mut random, hearing(&mut coin, |_| share), is);
            assert_rate(found, ends(&protocol, share).shown, &format!("{share}, {protocol:?}"));
        }
    }
}

#[test]
fn the_sequential_test_rejects_as_often_as_is_stated_and_says_that_it_is_not_the_same() {
    let protocol = Protocol { rule: Rule::Sprt, trials: 60, ..Protocol::QUICK };
    let (mut random, mut coin) = (Random::new(5), Random::new(6));
    let is = |outcome: &Outcome| {
        let rejected = outcome.score.finding == Finding::Rejected;
        assert_eq!(rejected, outcome.sentences[0].contains("This is not 'the same'"), "{:?}", outcome.sentences);
        rejected
    };
    let found = count(protocol, &mut random, hearing(&mut coin, |_| 0.65), is);
    assert_rate(found, ends(&protocol, 0.65).rejected, "65 %");
}

#[test]
fn a_listener_at_the_margin_is_called_the_same_in_no_more_than_five_percent() {
    let protocol = fixed(Question::Equivalence, Form::Abx, 53);
    let (mut random, mut coin) = (Random::new(7), Random::new(8));
    // Everybody hears the control.
    let heard = |session: &Session, share: f64| if session.part() == TestPart::Control { 1.0 } else { share };
    let is = |outcome: &Outcome| outcome.score.finding == Finding::Same;
    let at_margin = ends(&protocol, 0.7).shown;
    assert!(at_margin <= 0.05);
    let mut listener = |share: f64| {
        let answer = |session: &Session| {
            let right = right_answer(session);
            if f64::from(coin.within(0.0, 1.0)) < heard(session, share) { right } else { other(right) }
        };
        count(protocol, &mut random, answer, is)
    };
    assert_rate(listener(0.7), at_margin, "at the margin");
    let guessing = listener(0.5);
    assert_rate(guessing, ends(&protocol, 0.5).shown, "guessing");
    assert!(guessing > SESSIONS * 85 / 100, "{guessing}");
    // A listener who hears it and mixes up the answers is not told that they are the same.
    assert_eq!(listener(0.1), 0);
    assert!(ends(&protocol, 0.1).shown < 1e-4);
}

#[test]
fn no_preference_is_found_where_there_is_none_whatever_the_habit() {
    let protocol = fixed(Question::Preference, Form::Preference, 16);
    let mut random = Random::new(10);
    let is = |outcome: &Outcome| matches!(outcome.score.finding, Finding::PrefersA | Finding::PrefersB);
    let stated = ends(&protocol, 0.5).shown;
    assert!(stated <= 0.05);
    for (name, key) in HABITS {
        let press = |session: &Session| if key(session.counted()) { Answer::First } else { Answer::Second };
        assert_rate(count(protocol, &mut random, press, is), stated, name);
    }
    let mut coin = Random::new(11);
    let found = count(protocol, &mut random, hearing(&mut coin, |_| 0.8), |outcome| outcome.score.finding == Finding::PrefersA);
    assert!(upper_tail(13, 16, 0.8) > 0.59);
    assert_rate(found, upper_tail(13, 16, 0.8), "who prefers A in 80 %");
}

#[test]
fn a_learner_is_found_more_often_than_a_guesser_and_less_often_than_who_hears_at_once() {
    let (mut random, mut coin) = (Random::new(12), Random::new(13));
    let protocol = Protocol { trials: 30, ..Protocol::QUICK };
    let is = |outcome: &Outcome| outcome.score.finding == Finding::Difference;
    let found = count(protocol, &mut random, hearing(&mut coin, |n| (0.5 + f64::from(n) / 60.0).min(0.9)), is);
    let [low, high] = [0.6, 0.9].map(|share| ends(&protocol, share).shown);
    let share = f64::from(found) / f64::from(SESSIONS);
    assert!(low < share && share < high, "{low} {share} {high}");
}

#[test]
fn a_habit_is_seen_and_a_guesser_rarely_accused_of_one() {
    let mut random = Random::new(14);
    let accused = |outcome: &Outcome| outcome.remarks.iter().any(|remark| remark.contains("Such a habit is rare by chance"));
    assert_eq!(count(Protocol::QUICK, &mut random, |_| Answer::First, accused), SESSIONS);
    let mut session = Session::new(plan(Protocol::QUICK), blinding(&mut random));
    let remarks = take(&mut session, &mut |_| Answer::First).remarks;
    assert!(remarks.iter().any(|remark| remark.starts_with("You answered A in 16 of 16 trials.")), "{remarks:?}");
    let mut coin = Random::new(15);
    let guess = |_: &Session| if coin.within(0.0, 1.0) < 0.5 { Answer::First } else { Answer::Second };
    let often = count(Protocol::QUICK, &mut random, guess, accused);
    assert!(upper_tail(often, SESSIONS, 0.01) > CHANCE, "{often}");
}

#[test]
fn the_positive_control_is_passed_as_often_as_is_stated() {
    let with_control = |random: &mut Random, share: f64, seed: u64| {
        let mut coin = Random::new(seed);
        let mut hearing = hearing(&mut coin, |_| share);
        let mut counts = [0u32; 3];
        for _ in 0..SESSIONS {
            let plan = Plan {
                protocol: Protocol::QUICK,
                control: ControlTrial::LowPass,
                is_aa: false,
                earlier: Earlier::default(),
                ladder: Vec::new(),
            };
            let mut session = Session::new(plan, blinding(random));
            let outcome = take(&mut session, &mut hearing);
            let unproven =
                outcome.sentences.iter().chain(&outcome.remarks).any(|text| text.starts_with("Sensitivity was not proven"));
            assert_eq!(unproven, session.control() == ControlResult::Failed);
            match session.control() {
                ControlResult::Passed => counts[0] += 1,
                ControlResult::PassedRetry => counts[1] += 1,
                ControlResult::Failed => counts[2] += 1,
                other => panic!("{other:?}"),
            }
        }
        counts
    };
    let mut random = Random::new(16);
    for (share, seed) in [(0.5f64, 17), (0.9, 18)] {
        let round = share.powi(CONTROL_TRIALS as i32);
        let [first, retry, failed] = with_control(&mut random, share, seed);
        assert_rate(first, round, "first round");
        assert_rate(retry, (1.0 - round) * round, "retry");
        assert_rate(failed, (1.0 - round) * (1.0 - round), "failed");
    }
}

#[test]
fn a_pause_is_offered_after_fifteen_trials_and_a_void_trial_is_repeated_under_a_new_number() {
    let mut random = Random::new(19);
    let protocol = Protocol { trials: 31, ..Protocol::QUICK };
    let mut session = Session::new(plan(protocol), blinding(&mut random));
    session.apply(&Entry::EndTraining).unwrap();
    let mut pauses = Vec::new();
    let mut voids = 0;
    while let Some(step) = session.step() {
        let entry = match step {
            TestStep::Pause => {
                pauses.push(session.counted());
                Entry::Continue
            }
            TestStep::Introduction => Entry::Continue,
            TestStep::Answer if session.trial() == 7 => {
                voids += 1;
                session.void("the device went")
            }
            TestStep::Answer => session.answered(right_answer(&session), 1.0, Vec::new(), Vec::new()),
            TestStep::Confidence => Entry::Confidence { confidence: 4 },
            TestStep::Feedback { .. } => panic!("feedback in the test"),
        };
        session.apply(&entry).unwrap();
    }
    assert_eq!((pauses, voids), (vec![PAUSE_AFTER, 2 * PAUSE_AFTER], 1));
    assert_eq!((session.counted(), session.trial()), (31, 33));
    let outcome = session.outcome();
    assert_eq!((outcome.score.trials, outcome.score.count), (31, 31));
    assert!(outcome.remarks.contains(&"Void and repeated: 1 trial.".into()), "{:?}", outcome.remarks);
}

#[test]
fn an_entry_that_does_not_fit_changes_nothing() {
    let mut random = Random::new(20);
    let mut session = Session::new(plan(Protocol::QUICK), blinding(&mut random));
    let refused = |session: &mut Session, entry: Entry| session.apply(&entry).unwrap_err().to_string();
    assert_eq!(
        refused(&mut session, Entry::Confidence { confidence: 2 }),
        "the confidence 2 while the session waits for the beginning of the training"
    );
    session.apply(&Entry::EndTraining).unwrap();
    session.apply(&Entry::Continue).unwrap();
    // ABX has no such answers; the number must be that of the present trial; a confidence is 1 to 4.
    let same = session.answered(Answer::Same, 1.0, Vec::new(), Vec::new());
    assert_eq!(
        refused(&mut session, same),
        "the answer 'same' to test 1 while the session waits for an answer to test 1 in the form ABX"
    );
    let Entry::Answer(mut record) = session.answered(Answer::First, 1.0, Vec::new(), Vec::new()) else { panic!() };
    record.trial = 2;
    assert!(refused(&mut session, Entry::Answer(record)).starts_with("the answer 'first' to test 2 while"));
    let first = session.answered(Answer::First, 1.0, Vec::new(), Vec::new());
    session.apply(&first).unwrap();
    for confidence in [0, 5] {
        assert!(session.apply(&Entry::Confidence { confidence }).is_err());
    }
    assert_eq!((session.trial(), session.counted(), session.answer()), (1, 0, Some(Answer::First)));
}

#[test]
fn debug_output_of_a_session_does_not_differ_between_mappings() {
    let mut random = Random::new(21);
    let mut texts = std::collections::BTreeSet::new();
    for _ in 0..64 {
        let mut session = Session::new(plan(Protocol::QUICK), blinding(&mut random));
        session.apply(&Entry::EndTraining).unwrap();
        session.apply(&Entry::Continue).unwrap();
        let first = session.answered(Answer::First, 1.0, Vec::new(), Vec::new());
        session.apply(&first).unwrap();
        session.apply(&Entry::Confidence { confidence: 1 }).unwrap();
        texts.insert(format!("{session:?} {}", session.instruction()));
    }
    assert_eq!(texts.len(), 1, "{texts:?}");
}
