//! Several listeners: the figures of a summary against SciPy and published examples, and simulated panels through the real code.

use isotherm::audio::Random;
use isotherm::listen::statistics::{binomial, fewest_right, holm, ln_e, lower_tail, most_right, stagewise_p, upper_tail};
use isotherm::listen::summary::{Entry as Row, Origin, Standing, Summary, TestIdentity};
use isotherm::listen::{
    ControlResult, ControlTrial, Earlier, End, Finding, Form, Outcome, Plan, Protocol, Question, Rule, Score, Session,
    SoundSource, TestPart,
};
use serde_json::json;

use crate::simulated::{blinding, fixed, hearing, other, right_answer, take};
use crate::statistics::{abx, run_script};

/// Panels of each kind: a rate of .05 has a standard deviation of .005 in so many.
const PANELS: u32 = 2000;
/// Probability with which a right program fails one of these tests by chance; the seeds are fixed, so it does not.
const CHANCE: f64 = 1e-6;

/// The test of a protocol.
pub fn test(protocol: Protocol) -> TestIdentity {
    TestIdentity {
        protocol,
        control: if protocol.question == Question::Equivalence { ControlTrial::LowPass } else { ControlTrial::None },
        is_aa: false,
        source: SoundSource::Loop,
        sides: ["saturator".into(), "dry".into()],
        stimuli_sha256: vec!["1".into(), "2".into()],
        files: std::collections::BTreeMap::new(),
    }
}

/// A session that counts.
pub fn entry(number: usize, end: End, score: Score) -> Row {
    Row {
        session: format!("session {number}"),
        listener: format!("listener {number}"),
        origin: Origin::Session,
        receipt: format!("{number:064x}"),
        standing: Standing::Counted,
        reason: String::new(),
        result: Some((end, score)),
    }
}

/// A score as a session has it.
pub fn score(protocol: Protocol, count: u32, trials: u32, flagged: [u32; 2], control: ControlResult) -> Score {
    let is_shown = upper_tail(count, trials, 0.5) <= 0.05;
    let finding = match protocol.question {
        Question::Difference if is_shown => Finding::Difference,
        Question::Preference if upper_tail(count, trials, 0.5) <= 0.025 => Finding::PrefersA,
        Question::Preference if lower_tail(count, trials, 0.5) <= 0.025 => Finding::PrefersB,
        _ => Finding::Undecided,
    };
    let [flagged, count_flagged] = flagged;
    Score { trials, count, flagged, count_unflagged: count - count_flagged, statistic: None, finding, control, threshold: None }
}

/// A summary of listeners with a fixed number of trials who have these counts.
pub fn summary(protocol: Protocol, counts: &[u32]) -> Summary {
    let one = |(number, count): (usize, &u32)| {
        entry(number, End::Complete, score(protocol, *count, protocol.trials, [0, 0], ControlResult::None))
    };
    Summary::new(test(protocol), "panel", counts.iter().enumerate().map(one).collect()).unwrap()
}

#[test]
fn holms_method_agrees_with_closed_testing_and_with_a_published_example() {
    // The example of four hypotheses in Wikipedia, "Holm–Bonferroni method".
    let found = holm(&[0.01, 0.04, 0.03, 0.005], 4);
    for (found, expected) in found.iter().zip([0.03, 0.06, 0.06, 0.02]) {
        assert!((found - expected).abs() < 1e-12, "{found}");
    }
    let mut random = Random::new(1);
    let mut sets = vec![(vec![0.01; 3], 3), (vec![0.0, 1.0, 0.5, 0.5], 4), (Vec::new(), 2), (vec![0.02], 6)];
    for size in 1..=7 {
        let p: Vec<f64> = (0..size).map(|_| f64::from(random.within(0.0, 0.3)).powi(2)).collect();
        sets.extend([(p.clone(), size), (p, size + 2)]);
    }
    let jobs: Vec<_> = sets.iter().map(|(p, tests)| json!(["holm", p, tests])).collect();
    for ((p, tests), expected) in sets.iter().zip(run_script(&jobs)) {
        let found = holm(p, *tests);
        assert_eq!(found.len(), p.len());
        for (found, expected) in found.iter().zip(expected.as_array().unwrap()) {
            assert!((found - expected.as_f64().unwrap()).abs() < 1e-12, "{p:?} of {tests}: {found} {expected}");
        }
    }
}

#[test]
fn the_p_of_a_sequential_test_is_that_of_all_sequences_of_answers() {
    let mut jobs = Vec::new();
    let mut found = Vec::new();
    for (rule, name) in [(Rule::Sprt, "sprt"), (Rule::EValue, "e-value")] {
        let protocol = abx(rule, 14);
        // Ends with a difference, at the cap, and rejections of Wald's test, which some of these are.
        let ends: &[(u32, u32)] = match rule {
            Rule::Sprt => &[(8, 8), (10, 12), (9, 14), (7, 14), (0, 4), (1, 5), (2, 7)],
            _ => &[(7, 7), (9, 10), (10, 11), (11, 14), (7, 14), (0, 14)],
        };
        for (right, n) in ends {
            if *n < protocol.trials && stagewise_p(&protocol, *right, *n) == 1.0 && *right > 0 {
                continue;
            }
            jobs.push(json!(["stagewise", name, protocol.trials, right, n]));
            found.push(stagewise_p(&protocol, *right, *n));
        }
    }
    assert!(jobs.len() >= 10, "{jobs:?}");
    for ((job, found), expected) in jobs.iter().zip(&found).zip(run_script(&jobs)) {
        assert!((found - expected.as_f64().unwrap()).abs() < 1e-12, "{job}: {found}; by all sequences {expected}");
    }
    // A fixed number of trials: the tail. A test that goes on has no p.
    assert!((stagewise_p(&abx(Rule::Fixed, 16), 12, 16) / upper_tail(12, 16, 0.5) - 1.0).abs() < 1e-12);
    assert_eq!(stagewise_p(&abx(Rule::Sprt, 60), 3, 5), 1.0);
    // The earliest end with a difference is the farthest: its p is its own probability.
    let sprt = abx(Rule::Sprt, 60);
    assert!(stagewise_p(&sprt, 8, 8) <= 0.5f64.powi(8) + 1e-15);
    // The likelihood ratio of Wald's test is its e-value.
    assert!((ln_e(Rule::Sprt, 12, 16).unwrap() - (12.0 * 1.5f64.ln() + 4.0 * 0.5f64.ln())).abs() < 1e-12);
    assert_eq!(ln_e(Rule::Fixed, 12, 16), None);
}

#[test]
fn all_answers_together_agree_with_scipy() {
    let panels: [&[u32]; 5] = [&[12, 9, 7, 8, 14, 10], &[16], &[0, 0, 1], &[8; 40], &[5, 11, 9, 16, 13, 3, 8, 8]];
    let mut jobs = Vec::new();
    for counts in panels {
        jobs.push(json!(["pooled", counts.iter().map(|count| [*count, 16]).collect::<Vec<_>>(), 0.7]));
    }
    for (counts, expected) in panels.into_iter().zip(run_script(&jobs)) {
        let [more, two, less, low, high, upper, e] = [0, 1, 2, 3, 4, 5, 6].map(|place| expected[place].as_f64().unwrap());
        let near = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-9, "{counts:?}: {found}; SciPy {expected}");
        let pooled = summary(abx(Rule::Fixed, 16), counts).result.pooled;
        near(pooled.p.unwrap(), more);
        near(pooled.interval[0], low);
        near(pooled.interval[1], high);
        near(pooled.upper_bound, upper);
        assert_eq!(pooled.ln_e, None);
        let pooled = summary(fixed(Question::Preference, Form::Preference, 16), counts).result.pooled;
        near(pooled.p.unwrap(), two);
        let pooled = summary(fixed(Question::Equivalence, Form::Abx, 16), counts).result.pooled;
        near(pooled.equivalence_p.unwrap(), less);
        let pooled = summary(abx(Rule::EValue, 16), counts).result.pooled;
        near(pooled.ln_e.unwrap(), e);
        assert_eq!((pooled.p, pooled.listeners as usize), (None, counts.len()));
    }
}

/// The share of right answers of a listener in a trial of the test, by the trials before it.
type Share<'a> = &'a dyn Fn(usize, u32) -> f64;

/// A panel that takes a test through real sessions; None if nobody stays to the end. `share` of a listener; `leaves` tells after each trial, by right answers and trials,
/// whether the listener aborts.
fn panel(
    protocol: Protocol,
    listeners: usize,
    share: Share,
    leaves: &dyn Fn(u32, u32) -> bool,
    random: &mut Random,
) -> Option<Summary> {
    let test = test(protocol);
    let mut coin = Random::new(u64::from(random.within(0.0, 1e9) as u32));
    let mut rows = Vec::new();
    for number in 0..listeners {
        let plan = Plan { protocol, control: test.control, is_aa: false, earlier: Earlier::default(), ladder: Vec::new() };
        let mut session = Session::new(plan, blinding(random));
        let (mut right, mut left) = (0, false);
        let outcome: Outcome = {
            let mut answer = |session: &Session| {
                let is_test = session.part() == TestPart::Test;
                let wanted = right_answer(session);
                let is_right = !is_test || f64::from(coin.within(0.0, 1.0)) < share(number, session.counted());
                right += u32::from(is_test && is_right);
                left |= is_test && leaves(right, session.counted() + 1);
                if is_right { wanted } else { other(wanted) }
            };
            take(&mut session, &mut answer)
        };
        let mut row = entry(number, End::Complete, outcome.score);
        if left {
            (row.standing, row.result) = (Standing::Begun, None);
        }
        rows.push(row);
    }
    Summary::new(test, "panel", rows).ok()
}

/// Panels of [`PANELS`] for which something is true.
fn count(protocol: Protocol, listeners: usize, share: Share, seed: u64, is: &dyn Fn(&Summary) -> bool) -> u32 {
    let mut random = Random::new(seed);
    (0..PANELS).filter(|_| is(&panel(protocol, listeners, share, &|_, _| false, &mut random).unwrap())).count() as u32
}

/// Checks that `found` of [`PANELS`] is what the probability `expected` gives, up to chance.
fn assert_rate(found: u32, expected: f64, name: &str) {
    assert_at_most(found, expected, name);
    assert!(lower_tail(found, PANELS, expected) > CHANCE, "{name}: {found} of {PANELS}; fewer than {expected:.4}");
}

/// Checks that `found` of [`PANELS`] is no more than the probability `most` gives, up to chance.
fn assert_at_most(found: u32, most: f64, name: &str) {
    assert!(upper_tail(found, PANELS, most) > CHANCE, "{name}: {found} of {PANELS}; more than {most:.4}");
}

/// True if the summary says that somebody hears it, and says so in its sentences.
fn somebody(summary: &Summary) -> bool {
    let is_said = summary.sentences.iter().any(|text| text.starts_with("Somebody hears it:"));
    assert_eq!(is_said, !summary.result.shown.is_empty(), "{:?}", summary.sentences);
    is_said
}

#[test]
fn panels_who_hear_nothing_are_called_hearers_exactly_as_often_as_is_stated() {
    let protocol = abx(Rule::Fixed, 16);
    let guess: Share = &|_, _| 0.5;
    // Holm's first step: any of 6 with a p of .05 / 6 or less.
    let one = upper_tail(fewest_right(16, 0.05 / 6.0).unwrap(), 16, 0.5);
    let stated = 1.0 - (1.0 - one).powi(6);
    assert!(stated <= 0.05 && one > 0.001);
    assert_rate(count(protocol, 6, guess, 101, &somebody), stated, "somebody hears it");
    let pooled = upper_tail(fewest_right(96, 0.05).unwrap(), 96, 0.5);
    assert!(pooled <= 0.05);
    let is_pooled = |summary: &Summary| summary.result.pooled.finding == Finding::Difference;
    assert_rate(count(protocol, 6, guess, 102, &is_pooled), pooled, "all answers together");
    // Who takes the one of both that succeeds is wrong more often than 5 %, as the remark says, and not more than 10 %.
    let either = count(protocol, 6, guess, 103, &|summary| is_pooled(summary) || somebody(summary));
    assert_at_most(either, 0.1, "either");
}

#[test]
fn listeners_who_hear_are_found_as_often_as_is_stated_and_named() {
    let protocol = abx(Rule::Fixed, 16);
    // Two of six are right in 90 % of trials.
    let share: Share = &|listener, _| if listener < 2 { 0.9 } else { 0.5 };
    let right = fewest_right(16, 0.05 / 6.0).unwrap();
    let found = 1.0 - (1.0 - upper_tail(right, 16, 0.9)).powi(2) * (1.0 - upper_tail(right, 16, 0.5)).powi(4);
    assert!(found > 0.9, "{found}");
    let mut wrong = 0;
    let mut random = Random::new(111);
    let hits = (0..PANELS).filter(|_| {
        let summary = panel(protocol, 6, share, &|_, _| false, &mut random).unwrap();
        wrong += u32::from(summary.result.shown.iter().any(|name| !matches!(name.as_str(), "listener 0" | "listener 1")));
        somebody(&summary)
    });
    let hits = hits.count() as u32;
    assert_rate(hits, found, "two of six hear");
    // Naming even one who does not hear is as rare as stated, whoever else hears.
    assert_at_most(wrong, 0.05, "a guesser is named");
}

#[test]
fn sequential_panels_keep_their_errors_and_find_hearers() {
    for (rule, trials, seed) in [(Rule::Sprt, 60, 121), (Rule::EValue, 30, 122)] {
        let protocol = abx(rule, trials);
        let mut random = Random::new(seed);
        let (mut shown, mut product, mut hits) = (0, 0, 0);
        for _ in 0..PANELS / 2 {
            let summary = panel(protocol, 4, &|_, _| 0.5, &|_, _| false, &mut random).unwrap();
            shown += u32::from(somebody(&summary));
            product += u32::from(summary.result.pooled.finding == Finding::Difference);
            let summary = panel(protocol, 4, &|_, _| 0.75, &|_, _| false, &mut random).unwrap();
            hits += u32::from(summary.result.pooled.finding == Finding::Difference);
        }
        // Guessers are found in 5 % of panels at most, by either way.
        for (found, name) in [(shown, "Holm"), (product, "product of e-values")] {
            assert!(upper_tail(found, PANELS / 2, 0.05) > CHANCE, "{rule:?}, {name}: {found}");
        }
        assert!(hits > PANELS / 2 * 9 / 10, "{rule:?}: {hits}");
    }
}

#[test]
fn listeners_who_leave_when_it_goes_badly_do_not_raise_the_errors_of_single_listeners() {
    let protocol = abx(Rule::Fixed, 16);
    let mut random = Random::new(131);
    let leaves = |right: u32, trials: u32| trials == 8 && right < 6;
    let mut found = 0;
    let mut begun = 0;
    for _ in 0..PANELS {
        if let Some(summary) = panel(protocol, 12, &|_, _| 0.5, &leaves, &mut random) {
            found += u32::from(somebody(&summary));
            begun += summary.begun;
            assert_eq!(summary.begun, 12);
        }
    }
    assert!(begun > 0);
    assert_at_most(found, 0.05, "with listeners who leave");
}

#[test]
fn equivalence_is_rarely_shown_at_the_margin_whether_listeners_are_alike_or_not() {
    let protocol = Protocol { margin: 0.6, ..fixed(Question::Equivalence, Form::Abx, 10) };
    let most = most_right(120, 0.6).unwrap();
    let stated = lower_tail(most, 120, 0.6);
    assert!(stated <= 0.05 && stated > 0.02, "{stated}");
    let is_same = |summary: &Summary| {
        let same = summary.result.pooled.finding == Finding::Same;
        assert_eq!(same, summary.sentences.iter().any(|text| text.contains("not told apart beyond the margin: with 95 %")));
        same
    };
    let alike = count(protocol, 12, &|_, _| 0.6, 141, &is_same);
    assert_at_most(alike, stated, "all at the margin");
    assert!(alike > 0, "the test is not empty");
    let unlike = count(protocol, 12, &|listener, _| if listener % 2 == 0 { 0.5 } else { 0.7 }, 142, &is_same);
    assert_at_most(unlike, stated, "the mean at the margin");
    // A guessing panel shows it as often as its answers are few enough, and not so few that they are rare, and nobody is named.
    let guessing = count(protocol, 12, &|_, _| 0.5, 143, &is_same);
    let range: f64 = binomial(120, 0.5)
        .iter()
        .enumerate()
        .filter(|(k, _)| *k as u32 <= most && lower_tail(*k as u32, 120, 0.5) > 0.01)
        .map(|(_, weight)| weight)
        .sum();
    assert_at_most(guessing, range, "guessing");
    assert!(f64::from(guessing) > 0.9 * range * f64::from(PANELS), "{guessing} {range}");
}

#[test]
fn that_nobody_is_beyond_the_margin_is_rarely_shown_if_one_listener_is_at_it() {
    let protocol = fixed(Question::Equivalence, Form::Abx, 53);
    let mut random = Random::new(151);
    let (mut wrong, mut right) = (0, 0);
    for _ in 0..PANELS / 4 {
        let at_margin: Share = &|listener, _| if listener == 0 { 0.7 } else { 0.5 };
        wrong += u32::from(panel(protocol, 3, at_margin, &|_, _| false, &mut random).unwrap().result.everybody_same);
        right += u32::from(panel(protocol, 3, &|_, _| 0.5, &|_, _| false, &mut random).unwrap().result.everybody_same);
    }
    assert!(upper_tail(wrong, PANELS / 4, 0.05) > CHANCE, "{wrong}");
    assert!(right > PANELS / 4 / 2, "{right}");
}

#[test]
fn preferences_that_cancel_each_other_are_found_in_single_listeners_only() {
    let protocol = fixed(Question::Preference, Form::Preference, 16);
    let none = count(protocol, 6, &|_, _| 0.5, 161, &|summary| summary.result.pooled.finding != Finding::Undecided);
    let two_sided = 2.0 * upper_tail((49..=96).find(|k| 2.0 * upper_tail(*k, 96, 0.5) <= 0.05).unwrap(), 96, 0.5);
    assert_rate(none, two_sided, "no preference");
    let any = count(protocol, 6, &|_, _| 0.5, 162, &|summary| !summary.result.shown.is_empty());
    let one = 2.0 * upper_tail((9..=16).find(|k| 2.0 * upper_tail(*k, 16, 0.5) <= 0.05 / 6.0).unwrap(), 16, 0.5);
    assert_rate(any, 1.0 - (1.0 - one).powi(6), "a single preference by chance");
    let torn = summary(protocol, &[16, 15, 16, 0, 1, 0]);
    assert_eq!((torn.result.pooled.finding, torn.result.shown.len()), (Finding::Undecided, 6));
    assert!(torn.sentences[0].starts_with("Of 6 listeners, 3 prefer A:") && torn.sentences[0].contains("and 3 prefer B:"));
    assert!(torn.sentences[1].contains("who may have preferences that cancel each other"), "{:?}", torn.sentences);
}

#[test]
fn the_words_say_what_was_shown_and_what_was_not() {
    let protocol = abx(Rule::Fixed, 16);
    let found = summary(protocol, &[15, 8, 9, 7, 8, 8]);
    assert!(
        found.sentences[0].starts_with("Somebody hears it: 1 of 6 listeners heard a difference: listener 0 (adjusted p = .0016)")
    );
    assert!(
        found.sentences[1].starts_with("All answers together, 55 of 96 right: no difference was shown"),
        "{:?}",
        found.sentences
    );
    let nobody = summary(protocol, &[8, 9, 7, 8, 8, 9]);
    assert!(nobody.sentences[0].starts_with("It was not shown that somebody hears it"), "{:?}", nobody.sentences);
    let spread = summary(protocol, &[11, 11, 11, 11, 11, 11]);
    assert!(spread.result.shown.is_empty());
    assert!(spread.sentences[1].contains("so somebody hears it; this does not say who"), "{:?}", spread.sentences);
    assert!(spread.remarks[0].contains("up to 10 %"), "{:?}", spread.remarks);
    // Flagged trials count, and a result that hangs on them says so.
    let all = |flagged: [u32; 2], count: u32| {
        let rows = (0..4).map(|n| entry(n, End::Complete, score(protocol, count, 16, flagged, ControlResult::Passed))).collect();
        Summary::new(test(protocol), "panel", rows).unwrap()
    };
    let hangs = all([6, 6], 13);
    assert!(
        hangs.sentences.iter().any(|text| text.starts_with("The result hangs on trials with faults")),
        "{:?}",
        hangs.sentences
    );
    let holds = all([1, 1], 16);
    assert!(holds.sentences.iter().any(|text| text.starts_with("The result is the same without the 4 flagged trials, 60 of 60")));
    // Sides that are the same show nothing.
    let aa = TestIdentity { is_aa: true, ..test(protocol) };
    let rows = vec![entry(
        0,
        End::Complete,
        Score { finding: Finding::Undecided, ..score(protocol, 16, 16, [0, 0], ControlResult::None) },
    )];
    let aa = Summary::new(aa, "panel", rows).unwrap();
    assert!(aa.sentences[0].contains("There was nothing to hear") && aa.sentences.len() == 1 && aa.result.shown.is_empty());
}

#[test]
fn equivalence_counts_the_listeners_who_heard_the_control() {
    let protocol = fixed(Question::Equivalence, Form::Abx, 53);
    let with = |controls: &[ControlResult]| {
        let rows = controls.iter().enumerate().map(|(number, control)| {
            let found = score(protocol, 27, 53, [0, 0], *control);
            let finding = if *control == ControlResult::Passed { Finding::Same } else { Finding::Undecided };
            entry(number, End::Complete, Score { finding, ..found })
        });
        Summary::new(test(protocol), "panel", rows.collect()).unwrap()
    };
    let all = with(&[ControlResult::Passed; 3]);
    assert!(all.result.everybody_same && all.result.pooled.finding == Finding::Same, "{:?}", all.sentences);
    assert!(all.sentences[2].starts_with("Nobody of these 3 listeners is beyond the margin"), "{:?}", all.sentences);
    let some = with(&[ControlResult::Passed, ControlResult::Passed, ControlResult::Failed]);
    assert!(!some.result.everybody_same && some.result.pooled.finding == Finding::Same);
    assert!(some.sentences[1].contains("the 2 listeners who heard the positive control (54 of 106)"), "{:?}", some.sentences);
    let none = with(&[ControlResult::Failed; 3]);
    assert_eq!(none.result.pooled.finding, Finding::Undecided);
    assert!(none.sentences[1].contains("nobody heard the positive control"), "{:?}", none.sentences);
}

#[test]
fn a_simulated_listener_has_the_share_that_is_asked_for() {
    // The simulation itself: 90 % in 400 sessions of 16 trials.
    let mut coin = Random::new(171);
    let mut listener = hearing(&mut coin, |_| 0.9);
    let mut random = Random::new(172);
    let right: u32 = (0..400)
        .map(|_| {
            let plan = Plan {
                protocol: abx(Rule::Fixed, 16),
                control: ControlTrial::None,
                is_aa: false,
                earlier: Earlier::default(),
                ladder: Vec::new(),
            };
            take(&mut Session::new(plan, blinding(&mut random)), &mut listener).score.count
        })
        .sum();
    assert!(upper_tail(right, 6400, 0.9) > CHANCE && lower_tail(right, 6400, 0.9) > CHANCE, "{right}");
}
