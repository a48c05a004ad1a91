//! The result of a test, in words that are true.

use serde::{Deserialize, Serialize};

use super::blinding::Mapping;
use super::protocol::{FEWEST_SOUND_TRIALS, percent};
use super::session::{AnswerRecord, ControlResult, End, Plan};
use super::statistics::{
    ALPHA, CONFIDENCE, Decision, E_SHOWN, GUESSING, SPRT_P1, abx_d_prime, decide, e_value, ends, lower_bound, lower_tail,
    most_right, same_different, sprt_bounds, sprt_ratio, two_sided, upper_bound, upper_tail,
};
use crate::view::{Answer, Form, Question, Rule};

/// Probability below which it is remarked that a listener chose one place so often.
const PLACE_ALPHA: f64 = 0.01;
/// Share of right answers of a listener for whom it is told how often such a test misses him or her.
const TOLD_SHARE: f64 = 0.7;

/// An answered trial of the test with its mapping.
#[derive(Clone, Debug)]
pub struct ScoredTrial {
    /// The form.
    pub form: Form,
    /// The mapping.
    pub mapping: Mapping,
    /// The answer.
    pub record: AnswerRecord,
    /// The confidence in it, from 1 to 4.
    pub confidence: Option<u8>,
}

impl ScoredTrial {
    /// True if the answer is right; None for a preference. [any thread]
    #[must_use]
    pub fn is_right(&self) -> Option<bool> {
        self.mapping.is_right(self.form, self.record.answer)
    }

    /// True if the answer counts: it is right, or it prefers side A.
    fn counts(&self) -> bool {
        self.is_right().unwrap_or_else(|| self.mapping.preferred(self.form, self.record.answer) == Some(0))
    }
}

/// Finding of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// The listener hears a difference.
    Difference,
    /// Wald's test rejects p_c = .75.
    Rejected,
    /// The sides are the same up to the margin.
    Same,
    /// The listener prefers side A.
    PrefersA,
    /// The listener prefers side B.
    PrefersB,
    /// Nothing is shown.
    Undecided,
}

/// The figures of a result, as the log's last line has them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Trials of the test that were answered.
    pub trials: u32,
    /// Right answers; for a preference: choices of side A.
    pub count: u32,
    /// Trials of those that are flagged.
    pub flagged: u32,
    /// Counts among the trials that are not flagged.
    pub count_unflagged: u32,
    /// Difference and fixed number: the one-sided p. Equivalence: the p of a share of right answers at the margin. Preference: the
    /// two-sided p. Wald's test: the log of the likelihood ratio. E-value: e. None after an abort, because a test that is stopped
    /// at will has no p.
    pub statistic: Option<f64>,
    /// Finding of the test.
    pub finding: Finding,
    /// The positive control.
    pub control: ControlResult,
}

/// The result of a test.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Figures.
    pub score: Score,
    /// The result in one sentence or more.
    pub sentences: Vec<String>,
    /// Names and figures.
    pub figures: Vec<(String, String)>,
    /// Remarks that make the result weaker, or help to read it.
    pub remarks: Vec<String>,
}

/// A number below 1 as statistics are printed: `.322`.
pub(super) fn decimals(value: f64, places: usize) -> String {
    let text = format!("{value:.places$}");
    match text.strip_prefix("0.") {
        Some(rest) => format!(".{rest}"),
        None => text.strip_prefix("-0.").map_or(text.clone(), |rest| format!("-.{rest}")),
    }
}

/// A probability with two significant digits: `p = .0021`.
pub(super) fn p_text(p: f64) -> String {
    if p < 1e-4 {
        return "p < .0001".into();
    }
    let places = (1.0 - p.log10().floor()).clamp(2.0, 5.0) as usize;
    format!("p = {}", decimals(p, places))
}

/// A share as a whole percentage that it is certainly below.
fn below(share: f64) -> String {
    format!("{:.0} %", (100.0 * share - 1e-9).ceil().clamp(1.0, 100.0))
}

impl Outcome {
    /// The result of a session's trials.
    pub(super) fn new(plan: &Plan, end: End, trials: &[ScoredTrial], control: ControlResult, voids: u32, resumes: u32) -> Self {
        let n = trials.len() as u32;
        let count = trials.iter().filter(|trial| trial.counts()).count() as u32;
        let unflagged: Vec<&ScoredTrial> = trials.iter().filter(|trial| trial.record.flags.is_empty()).collect();
        let count_unflagged = unflagged.iter().filter(|trial| trial.counts()).count() as u32;
        let statistic = (end == End::Complete && n > 0).then(|| statistic(plan, count, n));
        let finding = if end == End::Complete { finding(plan, count, n) } else { Finding::Undecided };
        let flagged = n - unflagged.len() as u32;
        let score = Score { trials: n, count, flagged, count_unflagged, statistic, finding, control };
        let mut sentences = vec![sentence(plan, end, &score)];
        if end == End::Complete && flagged > 0 {
            sentences.push(without_flagged(plan, &score));
        }
        let mut remarks = Vec::new();
        let sensitivity = match control {
            ControlResult::Passed | ControlResult::PassedRetry => None,
            ControlResult::Failed => Some("Sensitivity was not proven: the positive control was not heard 5 times out of 5."),
            ControlResult::None => Some("Sensitivity was not proven: there was no positive control."),
            ControlResult::Open => Some("Sensitivity was not proven: the positive control was not finished."),
        };
        // Hearing a difference proves sensitivity, too; a result without one means nothing if nothing else proved it.
        match sensitivity {
            Some(text) if finding == Finding::Difference => remarks.push(text.into()),
            Some(text) => sentences.push(text.into()),
            None => {}
        }
        if n < FEWEST_SOUND_TRIALS && end == End::Complete {
            sentences.push(format!("With fewer than {FEWEST_SOUND_TRIALS} trials this is indicative only."));
        }
        if plan.is_aa {
            sentences.push("A and B are the same, bit for bit: this test shows habits and chance, nothing else.".into());
        }
        remarks.extend(self_remarks(plan, end, &score, trials, voids, resumes));
        let figures = figures(plan, &score, trials);
        Self { score, sentences, figures, remarks }
    }
}

/// The statistic of a rule.
fn statistic(plan: &Plan, count: u32, n: u32) -> f64 {
    match (plan.protocol.question, plan.protocol.rule) {
        (Question::Preference, _) => two_sided(count, n),
        (Question::Equivalence, _) => lower_tail(count, n, plan.protocol.margin),
        (Question::Difference, Rule::Fixed) => upper_tail(count, n, GUESSING),
        (Question::Difference, Rule::Sprt) => sprt_ratio(count, n),
        (Question::Difference, Rule::EValue) => e_value(count, n),
    }
}

/// Finding of a complete test.
fn finding(plan: &Plan, count: u32, n: u32) -> Finding {
    let protocol = &plan.protocol;
    match (protocol.question, protocol.rule) {
        (Question::Preference, _) if two_sided(count, n) > ALPHA => Finding::Undecided,
        (Question::Preference, _) if 2 * count > n => Finding::PrefersA,
        (Question::Preference, _) => Finding::PrefersB,
        (Question::Equivalence, _) if most_right(n, protocol.margin).is_some_and(|most| count <= most) => Finding::Same,
        (Question::Equivalence, _) => Finding::Undecided,
        (Question::Difference, Rule::Fixed) if upper_tail(count, n, GUESSING) <= ALPHA => Finding::Difference,
        (Question::Difference, Rule::Fixed) => Finding::Undecided,
        (Question::Difference, _) => match decide(protocol, count, n) {
            Decision::Shown => Finding::Difference,
            Decision::Rejected => Finding::Rejected,
            Decision::LastTrial | Decision::GoOn => Finding::Undecided,
        },
    }
}

/// The bound of what a listener hears after `count` of `n`, in words.
fn bound(count: u32, n: u32) -> String {
    let heard = 2.0 * upper_bound(count, n, ALPHA) - 1.0;
    if heard <= 0.0 {
        return "there were fewer right answers than guessing explains".into();
    }
    format!(
        "with {} confidence you hear it in less than {} of trials (p_d = {})",
        percent(CONFIDENCE),
        below(heard),
        decimals(heard, 3)
    )
}

/// The result in a sentence.
fn sentence(plan: &Plan, end: End, score: &Score) -> String {
    let (n, count) = (score.trials, score.count);
    let protocol = &plan.protocol;
    if end == End::Aborted {
        let what = if protocol.question == Question::Preference { "choices of A" } else { "right" };
        return format!(
            "Aborted after {n} of {} trials, {count} {what}: undecided. A test that is stopped at will has no p; it counts as aborted.",
            protocol.trials
        );
    }
    let p = score.statistic.unwrap_or(1.0);
    match (protocol.question, protocol.rule, score.finding) {
        (Question::Difference, Rule::Fixed, Finding::Difference) => {
            format!("{count} of {n}: you heard a difference ({}).", p_text(p))
        }
        (Question::Difference, Rule::Fixed, _) => format!("{count} of {n}: no difference was shown; {}.", bound(count, n)),
        (Question::Difference, Rule::Sprt, Finding::Difference) => format!(
            "{count} of {n}: you heard a difference (sequential test; of listeners who hear nothing, {} are called so).",
            percent(ends(protocol, GUESSING).shown)
        ),
        (Question::Difference, Rule::Sprt, Finding::Rejected) => format!(
            "{count} of {n}: no difference was shown; the sequential test rejects that you are right in {} of trials. This is not \
             'the same': a listener who is right in 65 % is told so in {} of tests.",
            percent(SPRT_P1),
            percent(ends(protocol, 0.65).rejected)
        ),
        (Question::Difference, Rule::Sprt, _) => format!(
            "{count} of {n}: undecided. The log of the likelihood ratio is {p:.2}; it ends a test at {:.2} or {:.2}.",
            sprt_bounds()[0],
            sprt_bounds()[1]
        ),
        (Question::Difference, Rule::EValue, Finding::Difference) => {
            format!("{count} of {n}: you heard a difference (e = {p:.1}; as strong as {} or less).", p_text(1.0 / p))
        }
        (Question::Difference, Rule::EValue, _) => {
            format!("{count} of {n}: undecided (e = {p:.2}; a difference is shown from {E_SHOWN:.0} on).")
        }
        (Question::Equivalence, _, Finding::Same) => format!(
            "{count} of {n}: the same to you, up to the margin: with {} confidence you are right in less than {} of trials \
             (upper bound of p_c {}, margin {}; {}).",
            percent(CONFIDENCE),
            below(upper_bound(count, n, ALPHA)),
            decimals(upper_bound(count, n, ALPHA), 3),
            decimals(protocol.margin, 3),
            p_text(p)
        ),
        (Question::Equivalence, _, _) => {
            let most = most_right(n, protocol.margin).unwrap_or(0);
            let difference = upper_tail(count, n, GUESSING);
            let also = if difference <= ALPHA {
                format!(" So many right answers are rare for somebody who hears nothing ({}).", p_text(difference))
            } else {
                String::new()
            };
            format!(
                "{count} of {n}: it was not shown that they are the same to you; at most {most} right would have shown it. With {} \
                 confidence you are right in less than {} of trials.{also}",
                percent(CONFIDENCE),
                below(upper_bound(count, n, ALPHA))
            )
        }
        (Question::Preference, _, Finding::PrefersA) => format!("{count} of {n} for A: you prefer A ({}, two-sided).", p_text(p)),
        (Question::Preference, _, Finding::PrefersB) => {
            format!("{} of {n} for B: you prefer B ({}, two-sided).", n - count, p_text(p))
        }
        (Question::Preference, ..) => format!(
            "{count} of {n} for A: no preference was shown; with {} confidence you choose A in {} to {} of trials.",
            percent(CONFIDENCE),
            percent(lower_bound(count, n, ALPHA / 2.0)),
            percent(upper_bound(count, n, ALPHA / 2.0))
        ),
    }
}

/// The result without the flagged trials.
fn without_flagged(plan: &Plan, score: &Score) -> String {
    let (n, count) = (score.trials - score.flagged, score.count_unflagged);
    let trials = if score.flagged == 1 { "the flagged trial".into() } else { format!("the {} flagged trials", score.flagged) };
    if n == 0 {
        return format!("Without {trials}: nothing is left.");
    }
    let value = statistic(plan, count, n);
    let value = match (plan.protocol.question, plan.protocol.rule) {
        (Question::Difference, Rule::Sprt) => format!("log of the likelihood ratio {value:.2}"),
        (Question::Difference, Rule::EValue) => format!("e = {value:.2}"),
        (Question::Equivalence, _) => {
            format!("p_c below {}, {}", decimals(upper_bound(count, n, ALPHA), 3), p_text(value))
        }
        _ => p_text(value),
    };
    let what = if plan.protocol.question == Question::Preference { " for A" } else { "" };
    format!("Without {trials}: {count} of {n}{what} ({value}).")
}

/// Remarks on the answers themselves.
fn self_remarks(plan: &Plan, end: End, score: &Score, trials: &[ScoredTrial], voids: u32, resumes: u32) -> Vec<String> {
    let mut remarks = Vec::new();
    let (n, count) = (score.trials, score.count);
    let (answers, name) = first_answers(plan.protocol.form, trials);
    if n > 0 && two_sided(answers, n) <= PLACE_ALPHA {
        let (often, name) = if 2 * answers > n { (answers, name[0]) } else { (n - answers, name[1]) };
        remarks.push(format!(
            "You answered {name} in {often} of {n} trials. Such a habit is rare by chance ({}): the answers may follow it, and not \
             the sound.",
            p_text(two_sided(often, n))
        ));
    }
    if plan.protocol.question != Question::Preference && n > 0 && lower_tail(count, n, GUESSING) <= ALPHA / 2.0 {
        remarks.push(format!(
            "So few right answers are rare for somebody who guesses ({}): you may have heard something and mixed up the answers.",
            p_text(lower_tail(count, n, GUESSING))
        ));
    }
    let is_open = end == End::Complete && score.finding == Finding::Undecided;
    if is_open && plan.protocol.question == Question::Difference {
        let missed = 1.0 - ends(&plan.protocol, TOLD_SHARE).shown;
        remarks.push(format!("Such a test misses a listener who is right in 70 % of trials in {} of cases.", percent(missed)));
    }
    if score.control == ControlResult::PassedRetry {
        remarks.push("The positive control was heard in the second round only.".into());
    }
    if score.flagged > 0 {
        remarks.push(format!("Flagged for drop-outs or unequal loudness: {} of {n} trials.", score.flagged));
    }
    if voids > 0 {
        remarks.push(format!("Void and repeated: {voids} {}.", if voids == 1 { "trial" } else { "trials" }));
    }
    if resumes > 0 {
        remarks.push(format!("The session was left and resumed {resumes} {}.", if resumes == 1 { "time" } else { "times" }));
    }
    remarks
}

/// The number of answers of the first kind, and the names of both kinds.
fn first_answers(form: Form, trials: &[ScoredTrial]) -> (u32, [&'static str; 2]) {
    let count = |kind: Answer| trials.iter().filter(|trial| trial.record.answer == kind).count() as u32;
    match form {
        Form::Abx => (count(Answer::First), ["A", "B"]),
        Form::Preference => (count(Answer::First), ["1", "2"]),
        Form::SameDifferent => (count(Answer::Same), ["'same'", "'different'"]),
    }
}

/// The median of numbers; None of none.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len() % 2 == 1 { upper } else { 0.5 * (values[middle - 1] + upper) })
}

/// Names and figures of a result.
fn figures(plan: &Plan, score: &Score, trials: &[ScoredTrial]) -> Vec<(String, String)> {
    let (n, count) = (score.trials, score.count);
    let mut figures: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, figure: String| figures.push((name.into(), figure));
    if n == 0 {
        return figures;
    }
    let share = f64::from(count) / f64::from(n);
    let interval =
        format!("{} to {}", decimals(lower_bound(count, n, ALPHA / 2.0), 3), decimals(upper_bound(count, n, ALPHA / 2.0), 3));
    let is_preference = plan.protocol.question == Question::Preference;
    add(if is_preference { "Choices of A" } else { "Right answers" }, format!("{count} of {n}"));
    if let Some(value) = score.statistic {
        match (plan.protocol.question, plan.protocol.rule) {
            (Question::Difference, Rule::Sprt) => add("Log of the likelihood ratio", format!("{value:.3}")),
            (Question::Difference, Rule::EValue) => add("e-value", format!("{value:.3}")),
            (Question::Difference, Rule::Fixed) => add("p, one-sided, exact", decimals(value, 4)),
            (Question::Equivalence, _) => add("p of equivalence, exact", decimals(value, 4)),
            (Question::Preference, _) => add("p, two-sided, exact", decimals(value, 4)),
        }
    }
    if is_preference {
        add("Share of choices of A, 95 % interval", format!("{} ({interval})", decimals(share, 3)));
    } else {
        add("Share of right answers p_c, 95 % interval", format!("{} ({interval})", decimals(share, 3)));
        add("Share heard p_d", decimals((2.0 * share - 1.0).max(0.0), 3));
    }
    match plan.protocol.form {
        Form::Abx => add("d' (differencing model)", d_prime_text(abx_d_prime(share))),
        Form::SameDifferent => {
            let differs = |trial: &&ScoredTrial| trial.mapping.bits()[1] == 1;
            let said = |trial: &&ScoredTrial| trial.record.answer == Answer::Different;
            let differing: Vec<&ScoredTrial> = trials.iter().filter(differs).collect();
            let hits = differing.iter().filter(|trial| said(trial)).count() as u32;
            let all_said = trials.iter().filter(said).count() as u32;
            let found = same_different(hits, differing.len() as u32, all_said - hits, n - differing.len() as u32);
            add("Hits", format!("{hits} of {}", differing.len()));
            add("False alarms", format!("{} of {}", all_said - hits, n - differing.len() as u32));
            add("d' (differencing model, log-linear rates)", d_prime_text(found.d_prime));
            add("Criterion", format!("{:.2}", found.criterion));
        }
        Form::Preference => {}
    }
    let (answers, names) = first_answers(plan.protocol.form, trials);
    add(&format!("Answers {}", names[0]), format!("{answers} of {n}"));
    if let Some(seconds) = median(trials.iter().map(|trial| trial.record.seconds).collect()) {
        add("Response time, median", format!("{seconds:.1} s"));
    }
    let switches = median(trials.iter().map(|trial| trial.record.switches.len() as f64).collect());
    if let Some(switches) = switches {
        add("Presses in a trial, median", format!("{switches:.0}"));
    }
    if !is_preference {
        for (name, kind) in [("Confidence when right, mean", true), ("Confidence when wrong, mean", false)] {
            let of: Vec<f64> = trials
                .iter()
                .filter(|trial| trial.is_right() == Some(kind))
                .filter_map(|trial| trial.confidence.map(f64::from))
                .collect();
            if !of.is_empty() {
                add(name, format!("{:.1}", of.iter().sum::<f64>() / of.len() as f64));
            }
        }
    }
    figures
}

/// A d' in words.
fn d_prime_text(d_prime: f64) -> String {
    if d_prime.is_finite() { format!("{d_prime:.2}") } else { "beyond measure: no answer was wrong".into() }
}
