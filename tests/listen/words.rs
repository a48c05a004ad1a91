//! The words of results: true, and never a bare p.

use isotherm::audio::Random;
use isotherm::listen::{
    ControlTrial, Earlier, Entry, Finding, Flag, Form, Outcome, Plan, Protocol, Question, Rule, Session, TestPart, TestStep,
    power_lines,
};

use crate::simulated::{blinding, fixed, other, right_answer};

/// The outcome of a test whose trials are right (prefer A) or not, as told; the control is heard.
fn outcome(protocol: Protocol, rights: &[bool], flagged: &[usize]) -> Outcome {
    let plan = Plan { protocol, control: ControlTrial::LowPass, is_aa: false, earlier: Earlier::default(), ladder: Vec::new() };
    outcome_of(plan, rights, flagged, true, 0)
}

/// The outcome of a plan; the control is heard or not, and some trials are void.
fn outcome_of(plan: Plan, rights: &[bool], flagged: &[usize], hears_control: bool, mut voids: u32) -> Outcome {
    let mut session = Session::new(plan, blinding(&mut Random::new(1)));
    while let Some(step) = session.step() {
        let index = session.counted() as usize;
        let entry = match step {
            _ if session.part() == TestPart::Training => Entry::EndTraining,
            TestStep::Introduction | TestStep::Pause | TestStep::Feedback { .. } => Entry::Continue,
            TestStep::Confidence => Entry::Confidence { confidence: 2 },
            TestStep::Answer if voids > 0 => {
                voids -= 1;
                session.void("a setting was changed from outside")
            }
            TestStep::Answer => {
                let is_test = session.part() == TestPart::Test;
                // A test that has more trials than it is told ends as aborted.
                if is_test && index == rights.len() {
                    return session.outcome();
                }
                let right = right_answer(&session);
                let is_right = if is_test { rights[index] } else { hears_control };
                let answer = if is_right { right } else { other(right) };
                let flags = if is_test && flagged.contains(&index) { vec![Flag::DropOuts { blocks: 1 }] } else { Vec::new() };
                session.answered(answer, 2.0, Vec::new(), flags)
            }
        };
        session.apply(&entry).unwrap();
    }
    session.outcome()
}

/// `right` right answers of `n`, the wrong ones first.
fn score(right: usize, n: usize) -> Vec<bool> {
    (0..n).map(|index| index >= n - right).collect()
}

/// The outcome of a test with a fixed number of trials.
fn of(question: Question, form: Form, right: usize, n: usize) -> Outcome {
    outcome(fixed(question, form, n as u32), &score(right, n), &[])
}

#[test]
fn a_difference_that_was_heard_is_told_with_its_p() {
    let found = of(Question::Difference, Form::Abx, 14, 16);
    assert_eq!(found.sentences, ["14 of 16: you heard a difference (p = .0021)."]);
    assert_eq!(found.score.finding, Finding::Difference);
    let figure = |name: &str| found.figures.iter().find(|(found, _)| found.starts_with(name)).map(|(_, figure)| figure.as_str());
    assert_eq!(figure("Right answers"), Some("14 of 16"));
    assert_eq!(figure("p, one-sided"), Some(".0021"));
    assert_eq!(figure("Share of right answers p_c"), Some(".875 (.617 to .984)"));
    assert_eq!(figure("Share heard p_d"), Some(".750"));
    assert_eq!(figure("Response time"), Some("2.0 s"));
    assert!(figure("d' (differencing model)").is_some());
}

#[test]
fn a_difference_that_was_not_shown_is_told_with_its_bound() {
    let found = of(Question::Difference, Form::Abx, 15, 30);
    assert_eq!(
        found.sentences,
        ["15 of 30: no difference was shown; with 95 % confidence you hear it in less than 33 % of trials (p_d = .322)."]
    );
    assert_eq!(found.remarks, ["Such a test misses a listener who is right in 70 % of trials in 27 % of cases."]);
    // Just below the criterion there is no word of significance either.
    let found = of(Question::Difference, Form::Abx, 11, 16);
    assert!(found.sentences[0].starts_with("11 of 16: no difference was shown; with 95 % confidence"), "{:?}", found.sentences);
    let found = of(Question::Difference, Form::Abx, 2, 16);
    assert_eq!(
        found.sentences[0],
        "2 of 16: no difference was shown; with 95 % confidence you are right in less than 35 % of trials, which is no more than \
         guessing gives."
    );
    assert!(found.remarks.iter().any(|text| text.contains("mixed up the answers")), "{:?}", found.remarks);
}

#[test]
fn same_different_has_hits_false_alarms_and_a_criterion() {
    let found = of(Question::Difference, Form::SameDifferent, 16, 16);
    assert_eq!(found.sentences, ["16 of 16: you heard a difference (p < .0001)."]);
    let names: Vec<&str> = found.figures.iter().map(|(name, _)| name.as_str()).collect();
    for name in ["Hits", "False alarms", "d' (differencing model, log-linear rates)", "Criterion"] {
        assert!(names.contains(&name), "{names:?}");
    }
}

#[test]
fn equivalence_is_a_statement_with_a_margin() {
    let found = of(Question::Equivalence, Form::Abx, 29, 50);
    assert_eq!(found.score.finding, Finding::Same);
    assert_eq!(
        found.sentences,
        [
            "29 of 50: you did not tell them apart beyond the margin: with 95 % confidence you are right in less than 70 % of trials \
          (upper bound of p_c .699, margin .700; p = .048)."
        ]
    );
    let found = of(Question::Equivalence, Form::Abx, 30, 50);
    assert_eq!(found.score.finding, Finding::Undecided);
    assert_eq!(
        found.sentences[0],
        "30 of 50: it was not shown that you do not tell them apart beyond the margin; 17 to 29 right would have shown it. With 95 % \
         confidence you are right in less than 72 % of trials."
    );
    let found = of(Question::Equivalence, Form::Abx, 45, 50);
    assert_eq!(found.score.finding, Finding::Difference);
    assert!(
        found.sentences[0].starts_with("45 of 50: you heard a difference (p < .0001); with 95 % confidence"),
        "{:?}",
        found.sentences
    );
    // A bound of 1 is none.
    let found = of(Question::Equivalence, Form::Abx, 16, 16);
    assert_eq!(found.sentences[0], "16 of 16: you heard a difference (p < .0001).");
}

#[test]
fn who_mixes_up_the_answers_or_hears_a_difference_is_not_told_that_they_are_the_same() {
    let margin = |margin: f64, right: usize, n: u32| {
        outcome(Protocol { margin, ..fixed(Question::Equivalence, Form::Abx, n) }, &score(right, n as usize), &[])
    };
    for (right, n) in [(0, 16), (1, 16), (0, 33), (9, 33)] {
        let found = margin(0.75, right, n);
        assert_eq!(found.score.finding, Finding::Undecided);
        assert!(found.sentences[0].contains("mixed up the answers"), "{:?}", found.sentences);
    }
    assert_eq!(margin(0.75, 10, 33).score.finding, Finding::Same);
    let found = margin(0.75, 66, 100);
    assert_eq!(found.score.finding, Finding::Difference);
    assert_eq!(
        found.sentences[0],
        "66 of 100: you heard a difference (p = .00089); with 95 % confidence you are right in less than 74 % of trials."
    );
}

#[test]
fn nothing_is_the_same_without_a_control_that_was_heard() {
    let protocol = Protocol { margin: 0.75, ..fixed(Question::Equivalence, Form::Abx, 33) };
    let plan = |control| Plan { protocol, control, is_aa: false, earlier: Earlier::default(), ladder: Vec::new() };
    for (control, hears) in [(ControlTrial::None, true), (ControlTrial::LowPass, false)] {
        let found = outcome_of(plan(control), &score(16, 33), &[], hears, 0);
        assert_eq!(found.score.finding, Finding::Undecided);
        assert!(found.sentences[0].ends_with("this does not show that they are the same."), "{:?}", found.sentences);
    }
    assert_eq!(outcome_of(plan(ControlTrial::LowPass), &score(16, 33), &[], true, 0).score.finding, Finding::Same);
}

#[test]
fn a_test_of_equal_sides_shows_no_difference_and_no_preference() {
    let forms = [
        (Question::Difference, Form::Abx, 14, " right"),
        (Question::Preference, Form::Preference, 15, " for A"),
        (Question::Equivalence, Form::SameDifferent, 8, " right"),
    ];
    for (question, form, right, words) in forms {
        let plan = Plan {
            protocol: fixed(question, form, 16),
            control: ControlTrial::None,
            is_aa: true,
            earlier: Earlier::default(),
            ladder: Vec::new(),
        };
        let found = outcome_of(plan, &score(right, 16), &[], true, 0);
        assert_eq!(found.score.finding, Finding::Undecided);
        assert_eq!(found.sentences[0], format!("{right} of 16{words}, by chance or habit: there was nothing to hear."));
        let text = [found.sentences, found.remarks].concat().join(" ");
        assert!(!text.contains("p =") && !text.contains("p_d") && !text.contains("Sensitivity"), "{text}");
        assert!(!found.figures.iter().any(|(name, _)| name.contains("d'") || name.contains("p_d") || name.starts_with("p,")));
    }
}

#[test]
fn many_void_trials_stand_beside_the_result() {
    let plan =
        |control| Plan { protocol: Protocol::QUICK, control, is_aa: false, earlier: Earlier::default(), ladder: Vec::new() };
    let found = outcome_of(plan(ControlTrial::None), &score(14, 16), &[], true, 9);
    assert_eq!(
        found.sentences[1],
        "9 of 25 trials of control and test were void or left, and repeated: all shares are of the trials that were not."
    );
    assert_eq!(outcome_of(plan(ControlTrial::None), &score(14, 16), &[], true, 3).sentences.len(), 1);
}

#[test]
fn a_preference_names_the_side_or_the_interval() {
    let preference = |right| of(Question::Preference, Form::Preference, right, 16).sentences[0].clone();
    assert_eq!(preference(13), "13 of 16 for A: you prefer A (p = .021, two-sided).");
    assert_eq!(preference(3), "13 of 16 for B: you prefer B (p = .021, two-sided).");
    assert_eq!(
        preference(9),
        "9 of 16 for A: no preference was shown; with 95 % confidence you choose A in 29 % to 81 % of trials."
    );
}

#[test]
fn sequential_rules_end_in_three_ways() {
    let sprt = Protocol { rule: Rule::Sprt, trials: 12, ..Protocol::QUICK };
    let ends = |rights: &[bool]| outcome(sprt, rights, &[]);
    let heard = ends(&[true; 8]);
    assert_eq!(heard.score.finding, Finding::Difference);
    assert!(heard.sentences[0].starts_with("8 of 8: you heard a difference (sequential test; of listeners who hear nothing,"));
    let rejected = ends(&[false; 4]);
    assert_eq!(rejected.score.finding, Finding::Rejected);
    assert!(rejected.sentences[0].contains("rejects that you are right in 75 % of trials. This is not 'the same'"));
    let turns: Vec<bool> = (0..12).map(|index| index % 3 != 0).collect();
    let open = ends(&turns);
    assert_eq!(open.score.finding, Finding::Undecided);
    assert!(
        open.sentences[0].starts_with("8 of 12: undecided. The log of the likelihood ratio is 0.47;"),
        "{:?}",
        open.sentences
    );
    let e_value = Protocol { rule: Rule::EValue, trials: 12, ..Protocol::QUICK };
    let heard = outcome(e_value, &[true; 7], &[]);
    assert_eq!(heard.sentences[0], "7 of 7: you heard a difference (e = 31.9; as strong as p = .031 or less).");
    let open = outcome(e_value, &turns, &[]);
    assert!(open.sentences[0].starts_with("8 of 12: undecided (e = "), "{:?}", open.sentences);
}

#[test]
fn few_trials_flagged_trials_and_an_abort_are_named() {
    // A rule that ends early is no small test.
    let early = outcome(Protocol { rule: Rule::Sprt, trials: 60, ..Protocol::QUICK }, &[true; 8], &[]);
    assert!(early.score.trials == 8 && !early.sentences.concat().contains("indicative"), "{:?}", early.sentences);
    let few = of(Question::Difference, Form::Abx, 8, 8);
    assert!(few.sentences.contains(&"With fewer than 10 trials this is indicative only.".into()), "{:?}", few.sentences);
    let flagged = outcome(Protocol::QUICK, &score(14, 16), &[0, 15]);
    assert_eq!(flagged.sentences[1], "Without the 2 flagged trials: 13 of 14, you heard a difference (p = .00092).");
    // A result that hangs on them says so first.
    let hangs = outcome(Protocol::QUICK, &score(12, 16), &[13, 14, 15]);
    assert_eq!(
        hangs.sentences[0],
        "The result hangs on trials with faults. Without the 3 flagged trials: 9 of 13, no difference is shown (p = .13)."
    );
    let aborted = outcome(Protocol::QUICK, &score(6, 7), &[]);
    assert_eq!(
        aborted.sentences[0],
        "Aborted after 7 of 16 trials, 6 right: undecided. A test that is stopped at will has no p; it counts as aborted."
    );
    assert_eq!(aborted.score.statistic, None);
    // An e-value holds at any time.
    let e_value = outcome(Protocol { rule: Rule::EValue, trials: 30, ..Protocol::QUICK }, &[true; 5], &[]);
    assert_eq!(
        e_value.sentences[0],
        "Aborted after 5 of at most 30 trials, 5 right: undecided (e = 10.50, which holds at any time). It counts as aborted."
    );
    let texts = [few, flagged, aborted].map(|outcome| [outcome.sentences, outcome.remarks].concat().join(" "));
    assert!(texts.iter().all(|text| !text.contains("p > ")), "{texts:?}");
}

#[test]
fn a_power_that_is_not_certain_and_an_interval_of_a_sequential_test_are_not_called_more_than_they_are() {
    let lines = power_lines(&Protocol { trials: 100, ..Protocol::QUICK });
    assert!(lines[1].contains("more than 99") && !lines[1].contains("100 %"), "{}", lines[1]);
    for (rule, is_told) in [(Rule::Fixed, false), (Rule::Sprt, true), (Rule::EValue, true)] {
        let found = outcome(Protocol { rule, trials: 16, ..Protocol::QUICK }, &[true; 16], &[]);
        let (name, _) = found.figures.iter().find(|(name, _)| name.starts_with("Share of right answers p_c")).unwrap();
        assert_eq!(name.ends_with(", as if the number of trials had been fixed"), is_told, "{name}");
    }
}

#[test]
fn a_test_most_of_whose_trials_had_faults_shows_nothing_and_says_so_first() {
    for (flagged, is_told) in [(8, false), (9, true), (16, true)] {
        let found = outcome(Protocol::QUICK, &score(14, 16), &(0..flagged).collect::<Vec<_>>());
        let told = format!("This test shows nothing: {flagged} of 16 trials had faults.");
        assert_eq!(found.sentences[0] == told, is_told, "{:?}", found.sentences);
    }
    let all = outcome(Protocol::QUICK, &score(14, 16), &(0..16).collect::<Vec<_>>());
    assert!(all.sentences[1].starts_with("The result hangs on trials with faults. Without"), "{:?}", all.sentences);
}

#[test]
fn an_e_value_holds_after_an_abort_too() {
    let protocol = Protocol { rule: Rule::EValue, trials: 30, ..Protocol::QUICK };
    let mut session = Session::new(
        Plan { protocol, control: ControlTrial::None, is_aa: false, earlier: Earlier::default(), ladder: Vec::new() },
        blinding(&mut Random::new(1)),
    );
    session.apply(&Entry::EndTraining).unwrap();
    session.apply(&Entry::Continue).unwrap();
    // The rule ends the test after the confidence; it is aborted before.
    loop {
        let answer = session.answered(right_answer(&session), 1.0, Vec::new(), Vec::new());
        session.apply(&answer).unwrap();
        let outcome = session.outcome();
        if outcome.score.statistic.unwrap() >= 20.0 {
            assert_eq!(outcome.score.finding, Finding::Difference);
            assert!(outcome.sentences[0].contains("7 right: you heard a difference (e = "), "{:?}", outcome.sentences);
            break;
        }
        assert_eq!(outcome.score.finding, Finding::Undecided);
        session.apply(&Entry::Confidence { confidence: 3 }).unwrap();
    }
}
