//! A protocol: which question, form, rule and number of trials go together, and what such a test can show.

use std::ops::RangeInclusive;

use super::statistics::{
    ALPHA, CONFIDENCE, E_SHOWN, SPRT_P1, ends, equivalence_trials, equivalent_right, fewest_preferred, fewest_right,
};
use crate::view::{Form, Protocol, Question, Rule};

/// Most trials of a test.
pub const MOST_TRIALS: u32 = 500;
/// Largest margin of a test of equivalence: a listener who is right more often hears a difference in most trials.
pub const LARGEST_MARGIN: f64 = 0.8;
/// Fewest and most reversals of a staircase: what is stated of its bias and its interval holds from the first number on.
pub const REVERSALS: RangeInclusive<u32> = 16..=60;
/// Fewest trials of a test that is more than indicative.
pub const FEWEST_SOUND_TRIALS: u32 = 10;
/// Shares of right answers for which the power is told.
const TOLD_SHARES: [f64; 4] = [0.6, 0.7, 0.8, 0.9];
/// Points of [`power_curve`], from guessing to always right.
const CURVE_POINTS: u32 = 26;
/// Probability with which a guesser should be able to show that two sides are the same.
const EQUIVALENCE_POWER: f64 = 0.9;
/// Most trials among which [`equivalence_trials`] is searched for.
const EQUIVALENCE_SEARCH: u32 = 2000;

/// The reason why a protocol is none.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ProtocolError {
    /// No trial, or too many.
    #[error("{found} trials; expected 1 to {MOST_TRIALS}")]
    Trials {
        /// The number of trials.
        found: u32,
    },
    /// Not even the best score shows anything.
    #[error("{found} trials: no score of so few shows {shown}; expected {fewest} or more")]
    TooFew {
        /// The number of trials.
        found: u32,
        /// The statement that the test is for.
        shown: &'static str,
        /// The fewest trials that can show it.
        fewest: u32,
    },
    /// The form does not answer the question.
    #[error("the form {found} does not answer the question {question}; expected {expected}")]
    Form {
        /// The question.
        question: &'static str,
        /// The form.
        found: &'static str,
        /// The forms that do.
        expected: &'static str,
    },
    /// A sequential rule for a question that it does not answer.
    #[error("the rule {found} answers only the question 'is there a difference?'; expected a fixed number of trials")]
    Rule {
        /// The rule.
        found: &'static str,
    },
    /// A staircase that does not ask for a threshold, or another rule that does.
    #[error(
        "the rule {found} does not answer the question {question}; expected the rule staircase for a threshold, and no staircase \
         for any other question"
    )]
    Staircase {
        /// The question.
        question: &'static str,
        /// The rule.
        found: &'static str,
    },
    /// Too few reversals of a staircase, or too many.
    #[error("{found} reversals; expected {} to {}", REVERSALS.start(), REVERSALS.end())]
    Reversals {
        /// The number of reversals.
        found: u32,
    },
    /// A staircase that may end before its reversals.
    #[error("at most {found} trials for {reversals} reversals; expected {} or more", Protocol::TRIALS_PER_REVERSAL * reversals)]
    Cap {
        /// The most trials.
        found: u32,
        /// The number of reversals.
        reversals: u32,
    },
    /// The margin is no share between guessing and 1.
    #[error("margin {found}; expected a share of right answers above 0.5 and up to {LARGEST_MARGIN}")]
    Margin {
        /// The margin.
        found: f64,
    },
}

/// Checks that question, form, rule, number of trials and margin go together, and that the test can show what it is for.
/// [any thread]
///
/// # Errors
/// [`ProtocolError`].
pub fn validate(protocol: &Protocol) -> Result<(), ProtocolError> {
    let Protocol { question, form, rule, trials, margin } = *protocol;
    if !(1..=MOST_TRIALS).contains(&trials) {
        return Err(ProtocolError::Trials { found: trials });
    }
    if (question == Question::Preference) != (form == Form::Preference) {
        let expected = if question == Question::Preference { "preference" } else { "ABX or same-different" };
        return Err(ProtocolError::Form { question: question_name(question), found: form_name(form), expected });
    }
    if (question == Question::Threshold) != matches!(rule, Rule::Staircase { .. }) {
        return Err(ProtocolError::Staircase { question: question_name(question), found: rule_name(rule) });
    }
    if let Rule::Staircase { reversals } = rule {
        if !REVERSALS.contains(&reversals) {
            return Err(ProtocolError::Reversals { found: reversals });
        }
        if trials < Protocol::TRIALS_PER_REVERSAL * reversals {
            return Err(ProtocolError::Cap { found: trials, reversals });
        }
    }
    if !matches!(question, Question::Difference | Question::Threshold) && rule != Rule::Fixed {
        return Err(ProtocolError::Rule { found: rule_name(rule) });
    }
    // A record holds the margin of every test, and JSON no NaN.
    if !margin.is_finite() || question == Question::Equivalence && !(margin > 0.5 && margin <= LARGEST_MARGIN) {
        return Err(ProtocolError::Margin { found: margin });
    }
    let can_show = |trials: u32| match question {
        Question::Difference => ends(&Protocol { trials, ..*protocol }, 1.0).shown > 0.0,
        // A score of 0 alone would show a listener who mixes up the answers, not one who hears nothing.
        Question::Equivalence => equivalent_right(trials, margin).is_some_and(|counts| *counts.end() > 0),
        Question::Preference => fewest_preferred(trials).is_some(),
        Question::Threshold => true,
    };
    if !can_show(trials) {
        let shown = match question {
            Question::Difference => "a difference",
            Question::Equivalence => "that the sides are the same up to this margin",
            Question::Preference => "a preference",
            Question::Threshold => "a threshold",
        };
        let fewest = (trials..=MOST_TRIALS).find(|n| can_show(*n)).unwrap_or(MOST_TRIALS);
        return Err(ProtocolError::TooFew { found: trials, shown, fewest });
    }
    Ok(())
}

/// A question's name for users.
#[must_use]
pub fn question_name(question: Question) -> &'static str {
    match question {
        Question::Difference => "is there a difference?",
        Question::Equivalence => "are they the same?",
        Question::Preference => "which do you prefer?",
        Question::Threshold => "how small an error is heard?",
    }
}

/// A form's name for users.
#[must_use]
pub fn form_name(form: Form) -> &'static str {
    match form {
        Form::Abx => "ABX",
        Form::Preference => "preference",
        Form::SameDifferent => "same-different",
    }
}

/// A rule's name for users.
#[must_use]
pub fn rule_name(rule: Rule) -> &'static str {
    match rule {
        Rule::Fixed => "fixed number of trials",
        Rule::Sprt => "sequential probability ratio test",
        Rule::EValue => "e-value",
        Rule::Staircase { .. } => "staircase",
    }
}

/// A share as percent: `45 %`; below 10 with a decimal: `3.8 %`. Never 0 unless it is none, never 100 unless it is all.
pub(super) fn percent(share: f64) -> String {
    let value = 100.0 * share;
    if value > 0.0 && value < 0.05 {
        "less than 0.1 %".into()
    } else if value < 9.95 && value > 0.0 {
        format!("{value:.1} %")
    } else if share < 1.0 && value > 99.4 {
        "more than 99 %".into()
    } else {
        format!("{value:.0} %")
    }
}

/// A share as a number of percent with one decimal, if it needs it: `70`, `50.5`.
fn decimal_percent(share: f64) -> String {
    let text = format!("{:.1}", 100.0 * share);
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// Shares in one line: `17, 45, 80 and 98 %`.
fn percents(shares: impl IntoIterator<Item = f64>) -> String {
    let texts: Vec<String> = shares.into_iter().map(|share| percent(share).trim_end_matches(" %").to_owned()).collect();
    match texts.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last} %", rest.join(", ")),
        _ => texts.concat() + " %",
    }
}

/// Trials of a protocol for which nobody has chosen a number: 16, or for equivalence as many as somebody who hears nothing needs to
/// show it in nine of ten tests. [any thread]
#[must_use]
pub fn usual_trials(question: Question, margin: f64) -> u32 {
    let needed = match question {
        Question::Equivalence => equivalence_trials(margin, EQUIVALENCE_POWER, EQUIVALENCE_SEARCH),
        Question::Threshold => Some(Protocol::staircase(*REVERSALS.start()).trials),
        Question::Difference | Question::Preference => None,
    };
    needed.unwrap_or(Protocol::QUICK.trials)
}

/// Lines on what a test with this protocol can show, told before it: the score that it needs, how often it finds listeners, and
/// what a sequential rule costs; of a staircase, how long it takes. If the protocol is none, the line says why. [control thread: takes its time]
#[must_use]
pub fn power_lines(protocol: &Protocol) -> Vec<String> {
    if let Err(error) = validate(protocol) {
        return vec![error.to_string()];
    }
    let n = protocol.trials;
    let shown = |p_c: f64| ends(protocol, p_c).shown;
    let found = || format!("A listener who is right in {} of trials", percents(TOLD_SHARES));
    let mut lines = Vec::new();
    match (protocol.question, protocol.rule) {
        (Question::Threshold, _) | (_, Rule::Staircase { .. }) => lines.extend(staircase_lines(protocol)),
        (Question::Difference, Rule::Fixed) => {
            let needed = fewest_right(n, ALPHA).unwrap_or(n);
            lines.push(format!(
                "{needed} right of {n} show a difference (p <= .05); somebody who hears nothing gets there in {} of tests.",
                percent(shown(0.5))
            ));
            lines.push(format!("{} is found in {} of tests.", found(), percents(TOLD_SHARES.map(shown))));
        }
        (Question::Difference, Rule::Sprt) => {
            let (guesser, hearing) = (ends(protocol, 0.5), ends(protocol, SPRT_P1));
            lines.push(format!(
                "The test ends as soon as the answers decide between guessing and right in 75 % of trials, after {n} trials at \
                 the latest: {:.0} in the mean for somebody who hears nothing, who is called a hearer in {} of tests; {:.0} for \
                 a listener who is right in 75 %.",
                guesser.mean_trials,
                percent(guesser.shown),
                hearing.mean_trials
            ));
            lines.push(format!("{} is found in {} of tests.", found(), percents(TOLD_SHARES.map(shown))));
            lines.push(price(protocol));
            lines.push(format!(
                "If it ends the other way, 'right in 75 %' is rejected; that is not 'the same': a listener who is right in 65 % \
                 is told so in {} of tests.",
                percent(ends(protocol, 0.65).rejected)
            ));
        }
        (Question::Difference, Rule::EValue) => {
            lines.push(format!(
                "The test ends as soon as the e-value is {E_SHOWN:.0}, after {n} trials at the latest; you may stop at \
                 any time without harm, and e is told. Somebody who hears nothing is called a hearer in {} of tests.",
                percent(shown(0.5))
            ));
            lines.push(format!("{} is found in {} of tests.", found(), percents(TOLD_SHARES.map(shown))));
            lines.push(price(protocol));
        }
        (Question::Equivalence, _) => {
            let (fewest, most) = equivalent_right(n, protocol.margin).map_or((0, 0), RangeInclusive::into_inner);
            lines.push(format!(
                "{fewest} to {most} right of {n} show, with {} confidence, that you are right in less than {} % of trials, if you \
                 heard the control.",
                percent(CONFIDENCE),
                decimal_percent(protocol.margin)
            ));
            lines.push(format!("Somebody who hears nothing shows it in {} of tests.", percent(shown(0.5))));
            lines.push(match equivalence_trials(protocol.margin, EQUIVALENCE_POWER, EQUIVALENCE_SEARCH) {
                Some(needed) => format!("To show it in about 90 % of tests, somebody who hears nothing needs {needed} trials."),
                None => {
                    format!(
                        "To show it in about 90 % of tests, somebody who hears nothing needs over {EQUIVALENCE_SEARCH} trials."
                    )
                }
            });
        }
        (Question::Preference, _) => {
            let needed = fewest_preferred(n).unwrap_or(n);
            lines.push(format!(
                "{needed} of {n} choices of the same side show a preference (p <= .05, two-sided); somebody who has none gets \
                 there in {} of tests.",
                percent(shown(0.5))
            ));
            lines.push(format!(
                "A listener who chooses the same side in {} of trials is found in {} of tests.",
                percents(TOLD_SHARES),
                percents(TOLD_SHARES.map(shown))
            ));
        }
    }
    if n < FEWEST_SOUND_TRIALS {
        lines.push(format!("Fewer than {FEWEST_SOUND_TRIALS} trials: the result is indicative only."));
    }
    lines
}

/// Lines on what a staircase finds.
fn staircase_lines(protocol: &Protocol) -> Vec<String> {
    let Rule::Staircase { reversals } = protocol.rule else { return Vec::new() };
    // Simulated listeners need 2.5 to 3.2 trials for a reversal: tests/listen/staircase.rs.
    vec![
        format!(
            "After a right answer the error of B becomes smaller, after a wrong one larger. The test ends after {reversals} \
             reversals, which takes about {} trials, {} at the most.",
            3 * reversals,
            protocol.trials
        ),
        "It finds the largest error that you do not hear: where you are right in 75 % of trials, so that you hear it in half of \
         them. The result names it with an interval of 95 %."
            .into(),
    ]
}

/// The price of a sequential rule: its power beside that of a fixed number of as many trials.
fn price(protocol: &Protocol) -> String {
    let fixed = Protocol { rule: Rule::Fixed, ..*protocol };
    format!(
        "The price of ending early: right in 75 % of trials is found in {} of tests within {} trials, with a fixed number of \
         as many in {}.",
        percent(ends(protocol, SPRT_P1).shown),
        protocol.trials,
        percent(ends(&fixed, SPRT_P1).shown)
    )
}

/// Probability with which a test with this protocol shows what it is for: pairs of p_c (for a preference: the share of choices of one side),
/// from 0.5 to 1, and probability. Empty if the protocol is none, and for a threshold. [control thread: takes its time]
#[must_use]
pub fn power_curve(protocol: &Protocol) -> Vec<(f64, f64)> {
    if validate(protocol).is_err() || protocol.question == Question::Threshold {
        return Vec::new();
    }
    let share = |point: u32| 0.5 + 0.5 * f64::from(point) / f64::from(CURVE_POINTS - 1);
    (0..CURVE_POINTS).map(share).map(|p_c| (p_c, ends(protocol, p_c).shown)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A protocol with a fixed number of trials and the margin .70.
    fn fixed(question: Question, form: Form, trials: u32) -> Protocol {
        Protocol { question, form, rule: Rule::Fixed, trials, margin: 0.7 }
    }

    #[test]
    fn a_protocol_that_cannot_answer_its_question_is_refused_in_one_line() {
        let error = |protocol: Protocol| validate(&protocol).unwrap_err().to_string();
        assert_eq!(
            error(fixed(Question::Preference, Form::Abx, 16)),
            "the form ABX does not answer the question which do you prefer?; expected preference"
        );
        assert_eq!(
            error(fixed(Question::Difference, Form::Preference, 16)),
            "the form preference does not answer the question is there a difference?; expected ABX or same-different"
        );
        let sequential = Protocol { rule: Rule::EValue, ..fixed(Question::Equivalence, Form::Abx, 50) };
        assert!(error(sequential).starts_with("the rule e-value answers only the question 'is there a difference?'"));
        assert_eq!(error(fixed(Question::Difference, Form::Abx, 0)), "0 trials; expected 1 to 500");
        assert_eq!(
            error(fixed(Question::Difference, Form::Abx, 4)),
            "4 trials: no score of so few shows a difference; expected 5 or more"
        );
        assert!(error(fixed(Question::Preference, Form::Preference, 5)).ends_with("expected 6 or more"));
        assert!(error(fixed(Question::Equivalence, Form::Abx, 3)).ends_with("expected 5 or more"));
        let sprt = Protocol { rule: Rule::Sprt, ..fixed(Question::Difference, Form::Abx, 7) };
        assert!(error(sprt).ends_with("expected 8 or more"), "{}", error(sprt));
        let e_value = Protocol { rule: Rule::EValue, ..fixed(Question::Difference, Form::Abx, 6) };
        assert!(error(e_value).ends_with("expected 7 or more"), "{}", error(e_value));
        for margin in [0.5, 0.81, 1.0, f64::NAN] {
            assert!(error(Protocol { margin, ..fixed(Question::Equivalence, Form::Abx, 50) }).starts_with("margin "));
        }
        for protocol in [Protocol::QUICK, fixed(Question::Preference, Form::Preference, 16)] {
            assert_eq!(validate(&protocol), Ok(()));
        }
    }

    #[test]
    fn a_staircase_answers_the_question_for_a_threshold_alone() {
        let error = |protocol: Protocol| validate(&protocol).unwrap_err().to_string();
        let staircase = |reversals, trials| Protocol { trials, ..Protocol::staircase(reversals) };
        assert_eq!(validate(&Protocol::staircase(16)), Ok(()));
        assert_eq!(validate(&Protocol { form: Form::SameDifferent, ..staircase(24, 144) }), Ok(()));
        assert!(error(Protocol { rule: Rule::Fixed, ..Protocol::staircase(16) }).starts_with(
            "the rule fixed number of trials does not answer the question how small an error is heard?; expected the rule staircase"
        ));
        assert!(
            error(Protocol { question: Question::Difference, ..Protocol::staircase(16) })
                .starts_with("the rule staircase does not")
        );
        assert!(
            error(Protocol { form: Form::Preference, ..Protocol::staircase(16) }).starts_with("the form preference does not")
        );
        assert_eq!(error(staircase(15, 96)), "15 reversals; expected 16 to 60");
        assert_eq!(error(staircase(61, 400)), "61 reversals; expected 16 to 60");
        assert_eq!(error(staircase(16, 95)), "at most 95 trials for 16 reversals; expected 96 or more");
        let lines = power_lines(&staircase(24, 200));
        assert!(lines[0].ends_with("after 24 reversals, which takes about 72 trials, 200 at the most."), "{lines:?}");
        assert!(power_curve(&Protocol::staircase(16)).is_empty());
    }

    #[test]
    fn the_power_is_told_with_the_figures_of_the_tables() {
        let lines = power_lines(&Protocol::QUICK);
        assert_eq!(
            lines,
            [
                "12 right of 16 show a difference (p <= .05); somebody who hears nothing gets there in 3.8 % of tests.",
                "A listener who is right in 60, 70, 80 and 90 % of trials is found in 17, 45, 80 and 98 % of tests.",
            ]
        );
        let e_value = power_lines(&Protocol { rule: Rule::EValue, trials: 30, ..Protocol::QUICK }).join(" ");
        assert!(e_value.contains("found in 65 % of tests within 30 trials, with a fixed number of as many in 89 %"), "{e_value}");
        let sprt = power_lines(&Protocol { rule: Rule::Sprt, trials: 60, ..Protocol::QUICK }).join(" ");
        assert!(sprt.contains("called a hearer in 4.3 % of tests") && sprt.contains("found in 91 %"), "{sprt}");
        assert!(sprt.contains("right in 65 % is told so in 4"), "{sprt}");
        for (margin, needed) in [(0.75, 33), (0.7, 53), (0.65, 96)] {
            let protocol = Protocol { margin, ..fixed(Question::Equivalence, Form::Abx, 50) };
            assert!(power_lines(&protocol)[2].ends_with(&format!("needs {needed} trials.")), "{:?}", power_lines(&protocol));
        }
        assert!(power_lines(&fixed(Question::Preference, Form::Preference, 16))[0].starts_with("13 of 16 choices"));
        let few = power_lines(&Protocol { trials: 8, ..Protocol::QUICK });
        assert_eq!(few.last().unwrap(), "Fewer than 10 trials: the result is indicative only.");
    }

    #[test]
    fn the_curve_rises_from_the_false_positives_to_one() {
        for rule in [Rule::Fixed, Rule::Sprt, Rule::EValue] {
            let curve = power_curve(&Protocol { rule, trials: 30, ..Protocol::QUICK });
            assert!((curve[0].0 - 0.5).abs() < 1e-12 && curve[0].1 <= 0.05, "{curve:?}");
            assert!(curve.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1 + 1e-12), "{curve:?}");
            let last = curve.last().unwrap();
            assert!((last.0 - 1.0).abs() < 1e-12 && (last.1 - 1.0).abs() < 1e-12, "{curve:?}");
        }
    }
}
