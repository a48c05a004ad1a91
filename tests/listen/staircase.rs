//! Staircases: their track, and simulated listeners of known threshold through the real session.

use isotherm::audio::Random;
use isotherm::listen::staircase::{FINE_RUNGS, FLOOR_TRIALS, Staircase, Threshold, Track, reversal_mean, threshold};
use isotherm::listen::statistics::lower_tail;
use isotherm::listen::{
    Answer, Button, ControlTrial, Earlier, Entry, FIRST_RUNG, Finding, Form, Outcome, Plan, Protocol, Rung, RungSide, Session,
    TestPart, TestStep,
};

use crate::simulated::{blinding, other, right_answer, take};

/// Listeners of each kind: a mean of errors with a deviation of 3 dB is known to 0.15 dB, a coverage of .95 to .01.
/// The variable `ISOTHERM_LISTENERS` makes them more, for the figures in docs/listening.md.
fn listeners() -> u32 {
    std::env::var("ISOTHERM_LISTENERS").ok().and_then(|text| text.parse().ok()).unwrap_or(400)
}

/// The ladder of an error of -20 dB, which begins 60 dB below it and ends 10 dB above.
pub fn ladder() -> Vec<Rung> {
    let rung = |step: i32| {
        let error_db = f64::from(step);
        Rung { error_db: Some(error_db), side: None, gain_db: 0.0, esr_db: error_db - 20.0, nmr_db: error_db + 5.0 }
    };
    (-60..=10).map(rung).collect()
}

/// A measured ladder of so many rungs, a step apart, from -60 dB on.
fn measured(rungs: u32, step_db: f64) -> Vec<Rung> {
    let rung = |number: u32| {
        let esr_db = step_db * f64::from(number) - 60.0;
        let side = RungSide { text: format!("size {number}"), delay_frames: 0.0, inverted: false };
        Rung { error_db: None, side: Some(side), gain_db: 0.1, esr_db, nmr_db: esr_db + 25.0 }
    };
    (0..rungs).map(rung).collect()
}

fn plan(protocol: Protocol, ladder: Vec<Rung>) -> Plan {
    Plan { protocol, control: ControlTrial::None, is_aa: false, earlier: Earlier::default(), ladder }
}

/// The rung, from 0, that the present trial plays.
pub fn heard_rung(session: &Session) -> usize {
    let paths = [Button::First, Button::Second, Button::X].map(|button| session.path(button));
    paths.into_iter().flatten().find_map(|path| path.checked_sub(FIRST_RUNG)).expect("ABX plays both sides")
}

/// A listener: the error in dB at which 75 % of the answers are right, the spread of the logistic function, and the share of slips.
#[derive(Clone, Copy, Debug)]
struct Listener {
    threshold_db: f64,
    spread_db: f64,
    lapses: f64,
}

impl Listener {
    /// Share of right answers to an error.
    fn share(&self, esr_db: f64) -> f64 {
        // From 0.5 to 1 less the slips; the middle of the function lies above or below the threshold by what the slips take.
        let height = 0.5 - self.lapses;
        let middle = self.threshold_db - self.spread_db * (0.25 / (height - 0.25)).ln();
        0.5 + height / (1.0 + (-(esr_db - middle) / self.spread_db).exp())
    }
}

/// Takes a test with a listener.
fn listen(protocol: Protocol, ladder: &[Rung], listener: Listener, random: &mut Random) -> (Session, Outcome) {
    let mut session = Session::new(plan(protocol, ladder.to_vec()), blinding(random));
    let mut coin = Random::new(random.below(1 << 30) as u64);
    let outcome = take(&mut session, &mut |session| {
        let right = right_answer(session);
        // The rung is where the session plays it: what is behind the buttons, not what a staircase says.
        let rung = match session.form() {
            Form::Abx => heard_rung(session),
            // Two buttons may both play A.
            _ => session
                .path(Button::First)
                .into_iter()
                .chain(session.path(Button::Second))
                .find_map(|path| path.checked_sub(FIRST_RUNG))
                .unwrap_or(0),
        };
        if coin.unit() < listener.share(ladder[rung].esr_db) { right } else { other(right) }
    });
    (session, outcome)
}

/// Mean error of the threshold, its deviation, the share of intervals that hold it, the mean number of trials.
#[derive(Debug)]
struct Figures {
    bias: f64,
    deviation: f64,
    covered: u32,
    trials: f64,
    width: f64,
}

/// Tests of listeners with thresholds anywhere in a range.
fn study(protocol: Protocol, ladder: &[Rung], range: [f64; 2], spread_db: f64, lapses: f64, seed: u64) -> Figures {
    let mut random = Random::new(seed);
    let (mut errors, mut covered, mut trials, mut widths) = (Vec::new(), 0, 0, Vec::new());
    for _ in 0..listeners() {
        let threshold_db = range[0] + (range[1] - range[0]) * random.unit();
        let listener = Listener { threshold_db, spread_db, lapses };
        let score = listen(protocol, ladder, listener, &mut random).1.score;
        let found = score.threshold.expect("the test is complete");
        let is_above_lower = found.lower_db.is_none_or(|lower| lower <= threshold_db);
        let is_below_upper = found.upper_db.is_none_or(|upper| threshold_db <= upper);
        covered += u32::from(is_above_lower && is_below_upper);
        // A median beyond the ladder has no number; it is counted as its end, the nearest that it can be.
        let ends = [ladder[0].esr_db, ladder[ladder.len() - 1].esr_db];
        let estimate = found.esr_db.unwrap_or(ends[usize::from(score.finding == Finding::Unheard)]);
        errors.push(estimate - threshold_db);
        widths.push(found.upper_db.unwrap_or(ends[1]) - found.lower_db.unwrap_or(ends[0]));
        trials += score.trials;
    }
    let n = f64::from(listeners());
    let bias = errors.iter().sum::<f64>() / n;
    let deviation = (errors.iter().map(|error| (error - bias).powi(2)).sum::<f64>() / n).sqrt();
    widths.sort_by(f64::total_cmp);
    let figures = Figures { bias, deviation, covered, trials: f64::from(trials) / n, width: widths[widths.len() / 2] };
    println!("{:?} {} rungs, spread {spread_db}, lapses {lapses}: {figures:.2?}", protocol.rule, ladder.len());
    figures
}

/// Checks that the bias is below half a decibel, and that intervals hold the threshold in 95 % of tests or more, up to chance: a
/// coverage of .95 fails one time in a hundred, for other seeds.
fn assert_good(figures: &Figures, what: &str) {
    assert!(figures.bias.abs() < 0.5, "{what}: {figures:?}");
    assert!(lower_tail(figures.covered, listeners(), 0.95) > 0.01, "{what}: {figures:?}");
}

/// Tests listeners of several spreads and lapses with so many reversals.
fn assert_unbiased(reversals: u32, spreads: &[f64], seed: u64) {
    for (number, spread) in (0..).zip(spreads) {
        for (more, lapses) in [(0, 0.0), (1, 0.02), (2, 0.05)] {
            let figures =
                study(Protocol::staircase(reversals), &ladder(), [-65.0, -25.0], *spread, lapses, seed + 10 * number + more);
            assert_good(&figures, &format!("spread {spread}, lapses {lapses}"));
            let per_reversal = figures.trials / f64::from(reversals);
            assert!((2.4..3.3).contains(&per_reversal), "what is told of the number of trials: {per_reversal}");
        }
    }
}

#[test]
fn thresholds_of_listeners_who_hear_suddenly_are_found_without_bias_and_within_the_interval() {
    assert_unbiased(16, &[0.7, 1.4], 100);
}

#[test]
fn thresholds_of_listeners_who_hear_gradually_are_found_without_bias_and_within_the_interval() {
    assert_unbiased(16, &[2.8, 4.0], 200);
}

#[test]
fn more_reversals_find_the_threshold_more_closely() {
    assert_unbiased(24, &[0.7, 2.8], 300);
    let [quick, long] = [16, 32].map(|reversals| {
        let figures = study(Protocol::staircase(reversals), &ladder(), [-60.0, -30.0], 2.0, 0.02, 400);
        assert_good(&figures, "2 dB");
        figures
    });
    assert!(long.deviation < 0.8 * quick.deviation && long.width < 0.8 * quick.width, "{quick:?} {long:?}");
}

#[test]
fn the_other_form_finds_the_threshold_of_right_answers_too() {
    // Who is right with the same probability whatever the buttons play; a listener who hears two equal sounds has no error to hear.
    let protocol = Protocol { form: Form::SameDifferent, ..Protocol::staircase(16) };
    let mut random = Random::new(5);
    let mut session = Session::new(plan(protocol, ladder()), blinding(&mut random));
    let outcome = take(&mut session, &mut |session| {
        let paths = [Button::First, Button::Second].map(|button| session.path(button).unwrap());
        let rung = paths.into_iter().find_map(|path| path.checked_sub(FIRST_RUNG));
        // Everything above -45 dB is heard, nothing below; without a rung nothing differs.
        if rung.is_some_and(|rung| ladder()[rung].esr_db > -45.0) && paths[0] != paths[1] {
            Answer::Different
        } else {
            Answer::Same
        }
    });
    assert_eq!(outcome.score.finding, Finding::Threshold, "{:?}", outcome.sentences);
    let found = outcome.score.threshold.unwrap();
    assert!((found.esr_db.unwrap() + 45.0).abs() < 5.0, "{found:?}");
    assert!(!outcome.figures.iter().any(|(name, _)| name.starts_with("d'")), "{:?}", outcome.figures);
}

#[test]
fn thresholds_on_measured_ladders_are_found_within_the_interval_and_between_their_rungs() {
    for (rungs, step_db, spread, seed) in [(6, 3.0, 2.0, 500), (6, 6.0, 3.0, 501), (8, 4.0, 1.0, 502), (16, 3.0, 3.0, 503)] {
        let ladder = measured(rungs, step_db);
        assert!(ladder.len() < FINE_RUNGS);
        let range = [ladder[1].esr_db, ladder[rungs as usize - 2].esr_db];
        let figures = study(Protocol::staircase(16), &ladder, range, spread, 0.02, seed);
        assert!(lower_tail(figures.covered, listeners(), 0.95) > 0.01, "{figures:?}");
        // A threshold between two rungs is known no better than a tenth of their distance.
        assert!(figures.bias.abs() < 0.5 + 0.1 * step_db, "{figures:?}");
    }
}

#[test]
fn thresholds_at_and_beyond_the_ends_of_the_ladder_are_told_honestly() {
    let protocol = Protocol::staircase(16);
    // At an end, and beyond it.
    for (threshold_db, seed) in [(-10.0, 600), (-12.0, 601), (-6.0, 602), (40.0, 603), (-80.0, 604), (-78.0, 605), (-84.0, 606)] {
        for (spread, more) in [(1.0, 0), (3.0, 10)] {
            let figures = study(protocol, &ladder(), [threshold_db, threshold_db], spread, 0.02, seed + more);
            assert!(lower_tail(figures.covered, listeners(), 0.95) > 0.01, "{threshold_db}, {spread}: {figures:?}");
        }
    }
    let taken = |listener: Listener, seed: u64| {
        let mut random = Random::new(seed);
        let outcomes: Vec<Outcome> = (0..100).map(|_| listen(protocol, &ladder(), listener, &mut random).1).collect();
        outcomes
    };
    // Somebody who hears nothing is hardly ever given a threshold, and never an upper end.
    let guessers = taken(Listener { threshold_db: 1000.0, spread_db: 1.0, lapses: 0.0 }, 607);
    let unheard = guessers.iter().filter(|outcome| outcome.score.finding == Finding::Unheard).count();
    assert!(unheard >= 90, "{unheard}");
    assert!(guessers.iter().all(|outcome| outcome.score.threshold.unwrap().upper_db.is_none()));
    let guesser = guessers.iter().find(|outcome| outcome.score.finding == Finding::Unheard).unwrap();
    assert_eq!(
        guesser.sentences[0],
        "You did not hear even the largest error of this ladder on this loop (-10.0 dB re A (ESR), noise-to-mask ratio 15.0 dB: \
         the error of B made 10.0 dB larger)."
    );
    assert!(guesser.sentences[1].starts_with("Your threshold is above it; the interval of 95 % begins at "));
    // Without a control, who hears nothing may be deaf.
    assert!(guesser.sentences.contains(&"Sensitivity was not proven: there was no positive control.".into()));
    // Somebody who hears everything is at the floor soon, and is told so.
    let perfect = taken(Listener { threshold_db: -1000.0, spread_db: 1.0, lapses: 0.0 }, 608);
    for outcome in &perfect {
        let score = &outcome.score;
        assert_eq!((score.finding, score.threshold.unwrap().lower_db), (Finding::Heard, None));
        assert_eq!(score.trials, 70u32.div_ceil(4) + FLOOR_TRIALS);
        assert!(outcome.sentences[0].starts_with(
            "You heard even the smallest error of this ladder on this loop (-80.0 dB re A (ESR), noise-to-mask ratio -55.0 dB"
        ));
        assert!(outcome.sentences[1].starts_with("Your threshold is below it"), "{:?}", outcome.sentences);
        assert!(!outcome.sentences.iter().any(|text| text.starts_with("Sensitivity")));
    }
}

#[test]
fn a_track_by_hand_has_the_rungs_and_reversals_of_its_answers() {
    // 45 rungs: steps of 4 to the first reversal, of 2 to the third, then of 1; after a wrong answer three times as many.
    let right = [true, true, false, true, true, false, false, false, true, true];
    let mut staircase = Staircase::new(45, 4, 100);
    let mut rungs = Vec::new();
    for (trial, right) in (1..).zip(right) {
        rungs.push(staircase.rung());
        staircase.answer(right);
        assert_eq!(staircase.is_over(), trial >= 9, "{trial}");
    }
    assert_eq!(rungs, [44, 40, 36, 42, 40, 38, 41, 44, 44, 43]);
    let track = Track { rungs: rungs.iter().map(|rung| *rung as u32).collect(), reversals: vec![3, 4, 6, 9] };
    assert_eq!(staircase.track(), &track);
    // A short ladder has steps of one rung from the beginning, and no track leaves it.
    let mut staircase = Staircase::new(6, 3, 100);
    let mut rungs = Vec::new();
    for right in [false, true, true, true, true, true, true, true, false, true, false] {
        rungs.push(staircase.rung());
        staircase.answer(right);
    }
    assert_eq!(rungs, [5, 5, 4, 3, 2, 1, 0, 0, 0, 3, 2]);
    assert_eq!(staircase.track().reversals, [2, 9, 10, 11]);
    // Ten right answers in a row at the smallest error end it, and so does the last trial.
    let mut staircase = Staircase::new(6, 16, 100);
    (0..5 + FLOOR_TRIALS - 1).for_each(|_| staircase.answer(true));
    assert!(!staircase.is_over());
    staircase.answer(true);
    assert!(staircase.is_over());
    let mut staircase = Staircase::new(6, 16, 3);
    (0..3).for_each(|_| staircase.answer(false));
    assert!(staircase.is_over());
}

#[test]
fn the_threshold_of_a_few_answers_is_the_one_of_a_separate_computation() {
    // By docs/verify_session.py: `threshold([-80 + n for n in range(71)], rungs, rights)`.
    let levels: Vec<f64> = (0..71).map(|rung| f64::from(rung) - 80.0).collect();
    let mut staircase = Staircase::new(71, 16, 96);
    let mut answers = Vec::new();
    for trial in 0..30 {
        let (rung, right) = (staircase.rung(), staircase.rung() > 35 || trial % 3 == 0);
        answers.push((rung, right));
        staircase.answer(right);
    }
    let (found, _) = threshold(&levels, answers.iter().copied()).unwrap();
    let Threshold { esr_db: Some(esr_db), lower_db: Some(lower), upper_db: Some(upper) } = found else { panic!("{found:?}") };
    let expected = EXPECTED;
    for (found, expected) in [esr_db, lower, upper].iter().zip(expected) {
        assert!((found - expected).abs() < 1e-6, "{found} {expected} {answers:?}");
    }
    let mean = reversal_mean(&levels, staircase.track()).unwrap();
    assert!((mean - esr_db).abs() < 5.0, "{mean} {esr_db}");
}

/// Threshold and interval by Python.
const EXPECTED: [f64; 3] = [-44.533_785_711_607_09, -49.069_266_074_549_574, -38.972_199_915_529_81];

#[test]
fn the_training_has_the_largest_error_and_nothing_of_levels_is_shown() {
    let mut random = Random::new(7);
    let mut session = Session::new(plan(Protocol::staircase(16), ladder()), blinding(&mut random));
    session.apply(&Entry::Continue).unwrap();
    assert_eq!((session.part(), heard_rung(&session)), (TestPart::Training, 70));
    session.apply(&Entry::EndTraining).unwrap();
    assert!(session.instruction().contains("The difference becomes smaller while you hear it"), "{}", session.instruction());
    session.apply(&Entry::Continue).unwrap();
    let mut texts = std::collections::BTreeSet::new();
    for trial in 1..=10 {
        assert_eq!((session.trial(), session.of()), (trial, Some(96)));
        texts.insert(session.instruction());
        let right = right_answer(&session);
        // A void trial is repeated at its level.
        let rung = heard_rung(&session);
        if trial == 4 {
            session.apply(&session.void("the device went")).unwrap();
            assert_eq!(heard_rung(&session), rung);
            continue;
        }
        let answer = if trial % 3 == 0 { other(right) } else { right };
        session.apply(&session.answered(answer, 1.0, Vec::new(), Vec::new())).unwrap();
        assert_eq!(session.step(), Some(TestStep::Confidence));
        session.apply(&Entry::Confidence { confidence: 1 }).unwrap();
        assert_eq!(heard_rung(&session) > rung, answer != right);
    }
    assert_eq!(texts.len(), 1, "{texts:?}");
    let outcome = session.outcome();
    assert_eq!((outcome.score.finding, outcome.score.threshold), (Finding::Undecided, None));
    assert_eq!(outcome.sentences[0], "Aborted after 9 of at most 96 trials: no threshold. It counts as aborted.");
}

#[test]
fn the_result_names_the_largest_error_that_was_not_heard_in_plain_words() {
    let mut random = Random::new(8);
    let listener = Listener { threshold_db: -42.0, spread_db: 1.0, lapses: 0.0 };
    let (session, outcome) = listen(Protocol::staircase(24), &ladder(), listener, &mut random);
    assert_eq!(session.step(), None);
    let found = outcome.score.threshold.unwrap();
    let [esr_db, lower, upper] = [found.esr_db, found.lower_db, found.upper_db].map(Option::unwrap);
    assert!((esr_db + 42.0).abs() < 3.0, "{esr_db}");
    assert_eq!(
        outcome.sentences,
        [
            format!(
                "The largest error that you did not hear on this loop: {esr_db:.1} dB re A (ESR; 95 % interval {lower:.1} to {upper:.1} \
                 dB), with a noise-to-mask ratio of {:.1} dB.",
                esr_db + 25.0
            ),
            format!("That is the error of B made {:.1} dB smaller; B itself has -20.0 dB.", -20.0 - esr_db),
            "At that error you are right in 75 % of trials, so you hear it in half of them; a larger one more often.".into(),
        ]
    );
    assert_eq!(outcome.remarks, ["Sensitivity was not proven: there was no positive control."]);
    let figure = |name: &str| outcome.figures.iter().find(|(found, _)| found == name).map(|(_, figure)| figure.clone());
    assert_eq!(figure("Reversals").unwrap(), "24 of 24");
    assert_eq!(figure("Threshold re the error of B").unwrap(), format!("{:+.1} dB", esr_db + 20.0));
    assert_eq!(figure("Ladder").unwrap(), "71 rungs, -80.0 to -10.0 dB");
    assert!(figure("Right answers").is_some() && figure("Share heard p_d").is_none(), "{:?}", outcome.figures);
    // A listener who does not hear B itself.
    let listener = Listener { threshold_db: -16.0, spread_db: 0.7, lapses: 0.0 };
    let outcome = listen(Protocol::staircase(24), &ladder(), listener, &mut random).1;
    assert!(
        outcome.sentences[1].ends_with("dB larger: B itself, at -20.0 dB, is too small an error for you to hear in most trials."),
        "{:?}",
        outcome.sentences
    );
    // A measured ladder names the rung.
    let listener = Listener { threshold_db: -46.0, spread_db: 0.7, lapses: 0.0 };
    let outcome = listen(Protocol::staircase(24), &measured(8, 4.0), listener, &mut random).1;
    assert!(
        outcome.sentences[1].starts_with("The largest rung that is not above it: size 3 (-48.0 dB)."),
        "{:?}",
        outcome.sentences
    );
}
