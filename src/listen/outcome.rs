//! The result of a test, in words that are true.

use serde::{Deserialize, Serialize};

use super::blinding::Mapping;
use super::protocol::{FEWEST_SOUND_TRIALS, percent};
use super::session::{AnswerRecord, CONTROL_ROUNDS, CONTROL_TRIALS, ControlResult, End, Flag, Plan};
use super::staircase::{Threshold, Track};
use super::statistics::{
    ALPHA, CONFIDENCE, Decision, E_SHOWN, GUESSING, MIXED_ALPHA, SPRT_P1, abx_d_prime, decide, e_value, ends, equivalent_right,
    lower_bound, lower_tail, most_right, same_different, sprt_bounds, sprt_ratio, two_sided, upper_bound, upper_tail,
};
use super::threshold;
use crate::view::{Answer, Form, Protocol, Question, Rule};

/// Probability below which it is remarked that a listener chose one place so often.
const PLACE_ALPHA: f64 = 0.01;
/// Share of void trials beyond which it is said beside the result.
const VOID_SHARE: f64 = 0.2;
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
    /// The rung of a staircase, from 0.
    pub rung: Option<usize>,
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
    /// The threshold lies on the ladder.
    Threshold,
    /// Even the smallest error of the ladder is heard.
    Heard,
    /// Even the largest error of the ladder is not heard.
    Unheard,
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
    /// two-sided p. Wald's test: the log of the likelihood ratio. E-value: e, which holds at any time. None of a staircase. After an
    /// abort None but for e, because a test that is stopped at will has no p.
    pub statistic: Option<f64>,
    /// Finding of the test.
    pub finding: Finding,
    /// The positive control.
    pub control: ControlResult,
    /// The threshold; of a staircase that has ended by its rule only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<Threshold>,
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
pub(super) fn below(share: f64) -> String {
    format!("{:.0} %", (100.0 * share - 1e-9).ceil().clamp(1.0, 100.0))
}

/// A p as a figure with four decimals; a smaller one as a bound, as none is 0.
pub(super) fn p_figure(p: f64) -> String {
    if p < 1e-4 { "below .0001".into() } else { decimals(p, 4) }
}

impl Outcome {
    /// The result of a session's trials.
    pub(super) fn new(
        plan: &Plan,
        end: End,
        trials: &[ScoredTrial],
        track: Option<&Track>,
        control: ControlResult,
        voids: u32,
        resumes: u32,
    ) -> Self {
        let is_threshold = plan.protocol.question == Question::Threshold;
        let n = trials.len() as u32;
        let count = trials.iter().filter(|trial| trial.counts()).count() as u32;
        let unflagged: Vec<&ScoredTrial> = trials.iter().filter(|trial| trial.record.flags.is_empty()).collect();
        let count_unflagged = unflagged.iter().filter(|trial| trial.counts()).count() as u32;
        let has_statistic = n > 0 && !is_threshold && (end == End::Complete || plan.protocol.rule == Rule::EValue);
        let statistic = has_statistic.then(|| statistic(&plan.protocol, count, n));
        // An e-value holds at any time.
        let counts = end == End::Complete || plan.protocol.rule == Rule::EValue && n > 0;
        let found = if is_threshold && counts { threshold::find(plan, trials) } else { None };
        let finding = match found {
            Some((_, finding)) => finding,
            None if counts && !is_threshold => finding(plan, control, count, n),
            None => Finding::Undecided,
        };
        let flagged = n - unflagged.len() as u32;
        let threshold = found.map(|(threshold, _)| threshold);
        let score = Score { trials: n, count, flagged, count_unflagged, statistic, finding, control, threshold };
        let mut sentences =
            if is_threshold { threshold::sentences(plan, end, &score) } else { vec![sentence(plan, end, &score)] };
        if end == End::Complete && flagged > 0 {
            let (sentence, agrees) = without_flagged(plan, &score, &unflagged);
            // A result that does not hold without them comes first.
            sentences.insert(if agrees { sentences.len() } else { 0 }, sentence);
        }
        if 2 * flagged > n {
            sentences.insert(0, format!("This test shows nothing: {flagged} of {n} trials had faults."));
        }
        if resumes > 0 {
            let times = if resumes == 1 { "time" } else { "times" };
            sentences.push(format!(
                "The session was left and resumed {resumes} {times}: only a receipt from before shows that no answer was taken back."
            ));
        }
        let trials_begun = n + voids + control_trials(control);
        if f64::from(voids) > VOID_SHARE * f64::from(trials_begun) {
            sentences.push(format!(
                "{voids} of {trials_begun} trials of control and test were void or left, and repeated: all shares are of the trials \
                 that were not."
            ));
        }
        if let Some(text) = earlier_sentence(plan, &score) {
            sentences.push(text);
        }
        let mut remarks = Vec::new();
        let sensitivity = match control {
            ControlResult::Passed | ControlResult::PassedRetry => None,
            ControlResult::Failed => Some("Sensitivity was not proven: the positive control was not heard 5 times out of 5."),
            ControlResult::None => Some("Sensitivity was not proven: there was no positive control."),
            ControlResult::Open => Some("Sensitivity was not proven: the positive control was not finished."),
        };
        // Hearing a difference proves sensitivity, too; a result without one means nothing if nothing else proved it.
        let proves = match finding {
            Finding::Difference | Finding::PrefersA | Finding::PrefersB | Finding::Heard => true,
            // Larger errors than those of the interval were heard.
            Finding::Threshold => threshold.is_some_and(|threshold| threshold.upper_db.is_some()),
            _ => false,
        };
        match sensitivity {
            // There is nothing to hear.
            _ if plan.is_aa => {}
            Some(text) if proves => remarks.push(text.into()),
            Some(text) => sentences.push(text.into()),
            None => {}
        }
        if plan.protocol.trials < FEWEST_SOUND_TRIALS && end == End::Complete {
            sentences.push(format!("With fewer than {FEWEST_SOUND_TRIALS} trials this is indicative only."));
        }
        if plan.is_aa {
            sentences.push("A and B are the same, bit for bit: this test shows habits and chance, nothing else.".into());
        }
        remarks.extend(self_remarks(plan, end, &score, trials, voids));
        let figures = figures(plan, &score, trials, track);
        Self { score, sentences, figures, remarks }
    }
}

/// The statistic of a rule.
pub(super) fn statistic(protocol: &Protocol, count: u32, n: u32) -> f64 {
    match (protocol.question, protocol.rule) {
        (Question::Preference, _) => two_sided(count, n),
        (Question::Equivalence, _) => lower_tail(count, n, protocol.margin),
        (Question::Difference, Rule::Fixed) | (Question::Threshold, _) | (_, Rule::Staircase { .. }) => {
            upper_tail(count, n, GUESSING)
        }
        (Question::Difference, Rule::Sprt) => sprt_ratio(count, n),
        (Question::Difference, Rule::EValue) => e_value(count, n),
    }
}

/// True if the listener heard the positive control.
pub(super) fn is_proven(control: ControlResult) -> bool {
    matches!(control, ControlResult::Passed | ControlResult::PassedRetry)
}

/// Finding of a complete test.
fn finding(plan: &Plan, control: ControlResult, count: u32, n: u32) -> Finding {
    finding_of(&plan.protocol, plan.is_aa, control, count, n)
}

/// Finding of a complete test with `count` of `n`; `is_aa`: both sides are bit for bit the same.
pub(super) fn finding_of(protocol: &Protocol, is_aa: bool, control: ControlResult, count: u32, n: u32) -> Finding {
    match (protocol.question, protocol.rule) {
        // There is nothing to find.
        _ if is_aa => Finding::Undecided,
        // A share of right answers does not tell a threshold.
        (Question::Threshold, _) => Finding::Undecided,
        (Question::Preference, _) if two_sided(count, n) > ALPHA => Finding::Undecided,
        (Question::Preference, _) if 2 * count > n => Finding::PrefersA,
        (Question::Preference, _) => Finding::PrefersB,
        (Question::Equivalence, _) if upper_tail(count, n, GUESSING) <= ALPHA => Finding::Difference,
        (Question::Equivalence, _)
            if is_proven(control) && equivalent_right(n, protocol.margin).is_some_and(|range| range.contains(&count)) =>
        {
            Finding::Same
        }
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
        return format!(
            "with {} confidence you are right in less than {} of trials, which is no more than guessing gives",
            percent(CONFIDENCE),
            below(upper_bound(count, n, ALPHA))
        );
    }
    if heard >= 1.0 {
        return "so few trials bound nothing".into();
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
    if plan.is_aa && end == End::Complete {
        let what = if protocol.question == Question::Preference { " for A" } else { " right" };
        return format!("{count} of {n}{what}, by chance or habit: there was nothing to hear.");
    }
    if end == End::Aborted {
        let what = if protocol.question == Question::Preference { "choices of A" } else { "right" };
        let of = protocol.trials;
        return match score.statistic.filter(|_| !plan.is_aa) {
            Some(e) => {
                let found = if score.finding == Finding::Difference { "you heard a difference" } else { "undecided" };
                format!(
                    "Aborted after {n} of at most {of} trials, {count} {what}: {found} (e = {e:.2}, which holds at any time). It \
                     counts as aborted."
                )
            }
            None => format!(
                "Aborted after {n} of {of} trials, {count} {what}: undecided. A test that is stopped at will has no p; it counts as \
                 aborted."
            ),
        };
    }
    let p = score.statistic.unwrap_or(1.0);
    match (protocol.question, protocol.rule, score.finding) {
        (Question::Threshold, ..) | (_, Rule::Staircase { .. }, _) => format!("{count} of {n} right."),
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
            "{count} of {n}: you did not tell them apart beyond the margin: with {} confidence you are right in less than {} of \
             trials (upper bound of p_c {}, margin {}; {}).",
            percent(CONFIDENCE),
            below(upper_bound(count, n, ALPHA)),
            decimals(upper_bound(count, n, ALPHA), 3),
            decimals(protocol.margin, 3),
            p_text(p)
        ),
        (Question::Equivalence, _, Finding::Difference) => {
            let also = less_than(count, n).map_or(String::new(), |text| format!("; {text}"));
            format!("{count} of {n}: you heard a difference ({}){also}.", p_text(upper_tail(count, n, GUESSING)))
        }
        (Question::Equivalence, ..) if lower_tail(count, n, GUESSING) <= MIXED_ALPHA => format!(
            "{count} of {n}: undecided. So few right answers are rare for somebody who guesses ({}): you may have heard something \
             and mixed up the answers.",
            p_text(lower_tail(count, n, GUESSING))
        ),
        (Question::Equivalence, ..) if most_right(n, protocol.margin).is_some_and(|most| count <= most) => format!(
            "{count} of {n}: no more right answers than somebody gives who does not tell them apart beyond the margin; but \
             sensitivity was not proven, so this does not show that they are the same."
        ),
        (Question::Equivalence, ..) => {
            let range = equivalent_right(n, protocol.margin);
            let range =
                range.map_or(String::new(), |range| format!("; {} to {} right would have shown it", range.start(), range.end()));
            let also = less_than(count, n).map_or(String::new(), |text| format!(" {}.", capital(&text)));
            format!("{count} of {n}: it was not shown that you do not tell them apart beyond the margin{range}.{also}")
        }
        (Question::Preference, _, Finding::PrefersA) => format!("{count} of {n} for A: you prefer A ({}, two-sided).", p_text(p)),
        (Question::Preference, _, Finding::PrefersB) => {
            format!("{} of {n} for B: you prefer B ({}, two-sided).", n - count, p_text(p))
        }
        (Question::Preference, ..) => format!(
            "{count} of {n} for A: no preference was shown; with {} confidence you choose A in {} to {} of trials.",
            percent(CONFIDENCE),
            above(lower_bound(count, n, ALPHA / 2.0)),
            below(upper_bound(count, n, ALPHA / 2.0))
        ),
    }
}

/// A share as a whole percentage that it is certainly above.
pub(super) fn above(share: f64) -> String {
    format!("{:.0} %", (100.0 * share + 1e-9).floor().clamp(0.0, 99.0))
}

/// The upper bound of right answers in words; None if it bounds nothing.
fn less_than(count: u32, n: u32) -> Option<String> {
    let bound = upper_bound(count, n, ALPHA);
    let text = || format!("with {} confidence you are right in less than {} of trials", percent(CONFIDENCE), below(bound));
    (bound < 1.0).then(text)
}

/// A sentence that begins with a capital.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// Trials of the control that were answered, at the least.
fn control_trials(control: ControlResult) -> u32 {
    match control {
        ControlResult::None | ControlResult::Open => 0,
        ControlResult::Passed => CONTROL_TRIALS,
        ControlResult::PassedRetry | ControlResult::Failed => CONTROL_ROUNDS * CONTROL_TRIALS,
    }
}

/// A sentence on tests of the same sides that were taken before: the best of several is better than each.
fn earlier_sentence(plan: &Plan, score: &Score) -> Option<String> {
    let earlier = &plan.earlier;
    let tests = earlier.count() + 1;
    if tests == 1 {
        return None;
    }
    let shown = matches!(score.finding, Finding::Difference | Finding::PrefersA | Finding::PrefersB);
    let p = score.statistic.filter(|_| shown && plan.protocol.rule == Rule::Fixed).map(|p| match plan.protocol.question {
        Question::Equivalence => upper_tail(score.count, score.trials, GUESSING),
        _ => p,
    });
    let best = p.map_or(String::new(), |p| {
        let best = 1.0 - (1.0 - p).powi(tests as i32);
        format!("; by chance the best of {tests} is as good with {}", p_text(best))
    });
    Some(format!(
        "Tests of the same sides before this one in its folder: {} ({} complete, {} aborted, {} left){best}.",
        earlier.count(),
        earlier.complete,
        earlier.aborted,
        earlier.left
    ))
}

/// The result without the flagged trials; true if it is the same.
fn without_flagged(plan: &Plan, score: &Score, unflagged: &[&ScoredTrial]) -> (String, bool) {
    let (n, count) = (score.trials - score.flagged, score.count_unflagged);
    let trials = if score.flagged == 1 { "the flagged trial".into() } else { format!("the {} flagged trials", score.flagged) };
    if n == 0 {
        return (format!("The result hangs on trials with faults. Without {trials} nothing is left."), false);
    }
    if plan.protocol.question == Question::Threshold {
        let (words, agrees) = threshold::without_flagged(plan, score, unflagged.iter().copied())
            .unwrap_or_else(|| ("no threshold was found".into(), false));
        let but = if agrees { "" } else { "The result hangs on trials with faults. " };
        return (format!("{but}Without {trials}: {words}."), agrees);
    }
    let value = statistic(&plan.protocol, count, n);
    let value = match (plan.protocol.question, plan.protocol.rule) {
        (Question::Difference, Rule::Sprt) => format!("log of the likelihood ratio {value:.2}"),
        (Question::Difference, Rule::EValue) => format!("e = {value:.2}"),
        (Question::Equivalence, _) => {
            format!("p_c below {}, {}", decimals(upper_bound(count, n, ALPHA), 3), p_text(value))
        }
        _ => p_text(value),
    };
    let what = if plan.protocol.question == Question::Preference { " for A" } else { "" };
    // A test with fewer trials, by the same rule.
    let mut plan = plan.clone();
    plan.protocol.trials = n;
    let found = finding(&plan, score.control, count, n);
    let words = match found {
        _ if plan.is_aa => "there was nothing to hear either",
        Finding::Difference => "you heard a difference",
        Finding::Rejected => "that you are right in 75 % is rejected",
        Finding::Same => "not told apart beyond the margin",
        Finding::PrefersA => "you prefer A",
        Finding::PrefersB => "you prefer B",
        Finding::Threshold | Finding::Heard | Finding::Unheard => "a threshold",
        Finding::Undecided if plan.protocol.question == Question::Preference => "no preference is shown",
        Finding::Undecided if plan.protocol.question == Question::Equivalence => "nothing is shown",
        Finding::Undecided => "no difference is shown",
    };
    let agrees = found == score.finding;
    let but = if agrees { "" } else { "The result hangs on trials with faults. " };
    (format!("{but}Without {trials}: {count} of {n}{what}, {words} ({value})."), agrees)
}

/// Remarks on the answers themselves.
fn self_remarks(plan: &Plan, end: End, score: &Score, trials: &[ScoredTrial], voids: u32) -> Vec<String> {
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
    // It stands in the sentence of such a test of equivalence.
    let is_told = plan.protocol.question == Question::Equivalence && end == End::Complete && !plan.is_aa;
    let is_told = is_told && (lower_tail(count, n, GUESSING) <= MIXED_ALPHA || score.finding == Finding::Same);
    if plan.protocol.question != Question::Preference
        && !plan.is_aa
        && !is_told
        && n > 0
        && lower_tail(count, n, GUESSING) <= ALPHA / 2.0
    {
        remarks.push(format!(
            "So few right answers are rare for somebody who guesses ({}): you may have heard something and mixed up the answers.",
            p_text(lower_tail(count, n, GUESSING))
        ));
    }
    let is_open = end == End::Complete && score.finding == Finding::Undecided && !plan.is_aa;
    if is_open && plan.protocol.question == Question::Difference {
        let missed = 1.0 - ends(&plan.protocol, TOLD_SHARE).shown;
        remarks.push(format!("Such a test misses a listener who is right in 70 % of trials in {} of cases.", percent(missed)));
    }
    if score.control == ControlResult::PassedRetry {
        remarks.push("The positive control was heard in the second round only.".into());
    }
    if score.flagged > 0 {
        remarks.push(flagged_remark(trials));
    }
    if voids > 0 {
        remarks.push(format!("Void and repeated: {voids} {}.", if voids == 1 { "trial" } else { "trials" }));
    }
    remarks
}

/// The faults of flagged trials, and the number of trials of each.
fn flagged_remark(trials: &[ScoredTrial]) -> String {
    let count = |is_it: &dyn Fn(&Flag) -> bool| trials.iter().filter(|trial| trial.record.flags.iter().any(is_it)).count();
    let faults = [
        ("drop-outs", count(&|flag| matches!(flag, Flag::DropOuts { .. }))),
        ("unequal loudness", count(&|flag| matches!(flag, Flag::Loudness { .. }))),
        ("peaks beyond -1 dBTP", count(&|flag| matches!(flag, Flag::Peak { .. }))),
        ("sound that was not measured", count(&|flag| matches!(flag, Flag::NotMeasured { .. }))),
    ];
    let faults: Vec<String> =
        faults.into_iter().filter(|(_, trials)| *trials > 0).map(|(name, trials)| format!("{name} ({trials})")).collect();
    let flagged = trials.iter().filter(|trial| !trial.record.flags.is_empty()).count();
    format!("Flagged trials: {flagged} of {}, for {}.", trials.len(), faults.join(", "))
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
fn figures(plan: &Plan, score: &Score, trials: &[ScoredTrial], track: Option<&Track>) -> Vec<(String, String)> {
    let (n, count) = (score.trials, score.count);
    let is_threshold = plan.protocol.question == Question::Threshold;
    let mut figures = if is_threshold && n > 0 { threshold::figures(plan, score, track) } else { Vec::new() };
    let mut add = |name: &str, figure: String| figures.push((name.into(), figure));
    if n == 0 {
        return figures;
    }
    let share = f64::from(count) / f64::from(n);
    let interval =
        format!("{} to {}", decimals(lower_bound(count, n, ALPHA / 2.0), 3), decimals(upper_bound(count, n, ALPHA / 2.0), 3));
    let is_preference = plan.protocol.question == Question::Preference;
    add(if is_preference { "Choices of A" } else { "Right answers" }, format!("{count} of {n}"));
    if let Some(value) = score.statistic.filter(|_| !plan.is_aa) {
        match (plan.protocol.question, plan.protocol.rule) {
            (Question::Difference, Rule::Sprt) => add("Log of the likelihood ratio", format!("{value:.3}")),
            (Question::Difference, Rule::EValue) => add("e-value", format!("{value:.3}")),
            (Question::Threshold, _) | (_, Rule::Staircase { .. }) => {}
            (Question::Difference, Rule::Fixed) => add("p, one-sided, exact", p_figure(value)),
            (Question::Equivalence, _) => add("p of equivalence, exact", p_figure(value)),
            (Question::Preference, _) => add("p, two-sided, exact", p_figure(value)),
        }
    }
    if is_preference {
        add("Share of choices of A, 95 % interval", format!("{} ({interval})", decimals(share, 3)));
    } else if !is_threshold {
        // A stop by the answers bends the coverage of an interval a little.
        let as_if = if plan.protocol.rule == Rule::Fixed { "" } else { ", as if the number of trials had been fixed" };
        add(&format!("Share of right answers p_c, 95 % interval{as_if}"), format!("{} ({interval})", decimals(share, 3)));
        if !plan.is_aa {
            add("Share heard p_d", decimals((2.0 * share - 1.0).max(0.0), 3));
        }
    }
    match plan.protocol.form {
        // On a staircase, the share is of many errors.
        _ if plan.is_aa || is_threshold => {}
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
