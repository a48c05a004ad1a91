//! The words of a summary: what was shown of several listeners, and what was not.

use super::{Evaluation, Origin, Pooled, Row, Standing, Summary, TestIdentity};
use crate::listen::outcome::{Finding, above, below, decimals, is_proven, p_figure, p_text};
use crate::listen::protocol::{form_name, percent, question_name, rule_name};
use crate::listen::statistics::{ALPHA, CONFIDENCE, E_SHOWN, GUESSING, MIXED_ALPHA, lower_bound, lower_tail, upper_bound};
use crate::view::{Question, Rule};

/// Most names in a sentence; the table has all.
const MOST_NAMES: usize = 12;

/// The test in words.
pub(super) fn subject(test: &TestIdentity) -> String {
    let protocol = &test.protocol;
    let [a, b] = &test.sides;
    format!(
        "A: {a}; B: {b}; {} {}, {}, {} {} trials",
        question_name(protocol.question),
        form_name(protocol.form),
        rule_name(protocol.rule),
        if protocol.rule == Rule::Fixed { "" } else { "at most" },
        protocol.trials
    )
    .replace("  ", " ")
}

/// A number of listeners: `1 listener`, `6 listeners`.
pub(super) fn listeners(count: usize) -> String {
    if count == 1 { "1 listener".into() } else { format!("{count} listeners") }
}

/// The e-value of a logarithm: `e = 34.2`, `e = 1.2e9`.
pub(super) fn e_text(ln_e: f64) -> String {
    match ln_e.exp() {
        e if (0.01..1e5).contains(&e) => format!("e = {e:.2}"),
        e if e.is_normal() => format!("e = {e:.1e}"),
        // Too large or small for a number.
        _ => format!("e = 10^{:.0}", ln_e / std::f64::consts::LN_10),
    }
}

/// Names in a sentence, with something behind each.
fn names(names: impl ExactSizeIterator<Item = String>) -> String {
    let more = names.len().saturating_sub(MOST_NAMES);
    let mut texts: Vec<String> = names.take(MOST_NAMES).collect();
    if more > 0 {
        texts.push(format!("and {more} more, whom the table names"));
    }
    texts.join(", ")
}

/// The rows of the listeners who hear a difference, or have a preference, as a list in words.
fn shown(summary: &Summary, wanted: impl Fn(Finding) -> bool) -> (usize, String) {
    let rows: Vec<String> = summary
        .listeners()
        .filter(|(_, figures)| figures.is_shown && wanted(figures.finding))
        .map(|(row, figures)| format!("{} (adjusted {})", row.listener, p_text(figures.adjusted_p.unwrap_or(1.0))))
        .collect();
    (rows.len(), names(rows.into_iter()))
}

/// The result in sentences.
pub(super) fn sentences(summary: &Summary) -> Vec<String> {
    let (test, pooled) = (&summary.test, &summary.result.pooled);
    if test.is_aa {
        let what = if test.protocol.question == Question::Preference { "choices of A" } else { "right" };
        return vec![format!(
            "A and B are the same, bit for bit: {} of {} {what}, by chance or habit. There was nothing to hear, and nothing follows \
             from it.",
            pooled.count, pooled.trials
        )];
    }
    let mut sentences = Vec::new();
    if 2 * flagged(summary) > pooled.trials {
        sentences.push(format!("This test shows nothing: {} of {} trials had faults.", flagged(summary), pooled.trials));
    }
    sentences.push(somebody(summary));
    sentences.push(together(summary));
    if test.protocol.question == Question::Equivalence {
        sentences.push(nobody(summary));
    }
    if let Some(other) = &summary.without_flagged {
        sentences.extend(without_flagged(summary, other));
    }
    let imported = count(summary, |row| row.origin == Origin::Webmushra);
    if imported > 0 {
        sentences.push(format!(
            "{} of {} come from webMUSHRA: their answers were neither hidden nor logged by Isotherm, and nothing of them can be \
             verified.",
            imported,
            listeners(summary.listeners().count())
        ));
    }
    sentences
}

/// Flagged trials.
fn flagged(summary: &Summary) -> u32 {
    summary.listeners().map(|(_, figures)| figures.flagged).sum()
}

/// Rows that count, of a kind.
fn count(summary: &Summary, is: impl Fn(&Row) -> bool) -> usize {
    summary.listeners().filter(|(row, _)| is(row)).count()
}

/// The sentence on single listeners.
fn somebody(summary: &Summary) -> String {
    let of = summary.listeners().count();
    let begun = summary.begun;
    let how = format!("Holm's method over {begun} {} that began", if begun == 1 { "session" } else { "sessions" });
    let smallest = summary.listeners().filter_map(|(_, figures)| figures.adjusted_p).min_by(f64::total_cmp);
    let smallest = smallest.map_or_else(|| "there is no p".into(), |p| format!("the smallest adjusted {}", p_text(p)));
    if summary.test.protocol.question == Question::Preference {
        let [(a, for_a), (b, for_b)] = [Finding::PrefersA, Finding::PrefersB].map(|side| shown(summary, |found| found == side));
        return match (a, b) {
            (0, 0) => format!("Of no single listener was a preference shown: {smallest}, by {how}."),
            (_, 0) => format!("{a} of {} prefer A: {for_a}; by {how}.", listeners(of)),
            (0, _) => format!("{b} of {} prefer B: {for_b}; by {how}.", listeners(of)),
            _ => format!("Of {}, {a} prefer A: {for_a}; and {b} prefer B: {for_b}; by {how}.", listeners(of)),
        };
    }
    match shown(summary, |_| true) {
        (0, _) => format!("It was not shown that somebody hears it: {smallest}, by {how}."),
        (count, names) => format!("Somebody hears it: {count} of {} heard a difference: {names}; by {how}.", listeners(of)),
    }
}

/// The sentence on all answers together.
fn together(summary: &Summary) -> String {
    let (protocol, pooled) = (&summary.test.protocol, &summary.result.pooled);
    let (n, k) = (pooled.trials, pooled.count);
    let start = format!("All answers together, {k} of {n}");
    let sequential = pooled.ln_e.map(|ln_e| {
        let e = e_text(ln_e);
        if pooled.finding == Finding::Difference {
            format!(
                "{start} right: all e-values multiplied show that somebody hears it, but not who ({e}; it is shown from \
                 {E_SHOWN:.0} on)."
            )
        } else {
            format!("{start} right: all e-values multiplied show no difference ({e}; it is shown from {E_SHOWN:.0} on).")
        }
    });
    if let Some(text) = sequential {
        return text;
    }
    let p = p_text(pooled.p.unwrap_or(1.0));
    match (protocol.question, pooled.finding) {
        (Question::Preference, Finding::PrefersA | Finding::PrefersB) => {
            let is_a = pooled.finding == Finding::PrefersA;
            let (side, low, high) = if is_a {
                ("A", pooled.interval[0], pooled.interval[1])
            } else {
                ("B", 1.0 - pooled.interval[1], 1.0 - pooled.interval[0])
            };
            format!(
                "{start} for A: {side} is preferred ({p}, two-sided), with {} confidence in {} to {} of the choices of these \
                 listeners, in the mean.",
                percent(CONFIDENCE),
                above(low),
                below(high)
            )
        }
        (Question::Preference, _) => format!(
            "{start} for A: no preference was shown ({p}, two-sided); with {} confidence A is chosen in {} to {} of choices, in the \
             mean of these listeners, who may have preferences that cancel each other.",
            percent(CONFIDENCE),
            above(lower_bound(k, n, ALPHA / 2.0)),
            below(upper_bound(k, n, ALPHA / 2.0))
        ),
        (_, Finding::Difference) => format!(
            "{start} right: more than guessing gives ({p}), so somebody hears it; this does not say who, or how many{}.",
            less_than(pooled)
        ),
        (Question::Equivalence, Finding::Same) => {
            let proven = summary.result.proven.as_ref().unwrap_or(pooled);
            let of = if proven.listeners == pooled.listeners {
                "these listeners".into()
            } else {
                format!(
                    "the {} who heard the positive control ({} of {})",
                    listeners(proven.listeners as usize),
                    proven.count,
                    proven.trials
                )
            };
            format!(
                "{start} right: in the mean of {of} the sides were not told apart beyond the margin: with {} confidence less than \
                 {} of answers are right (upper bound {}, margin {}; {}). A single listener may be right more often.",
                percent(CONFIDENCE),
                below(proven.upper_bound),
                decimals(proven.upper_bound, 3),
                decimals(protocol.margin, 3),
                p_text(proven.equivalence_p.unwrap_or(1.0))
            )
        }
        (Question::Equivalence, _) => format!("{start} right ({p}): {}.", no_equivalence(summary)),
        (Question::Difference | Question::Threshold, _) => {
            let bound = if pooled.upper_bound < 1.0 {
                format!(
                    "; with {} confidence less than {} of answers are right, in the mean of these listeners. A single listener may \
                     be right more often",
                    percent(CONFIDENCE),
                    below(pooled.upper_bound)
                )
            } else {
                String::new()
            };
            format!("{start} right: no difference was shown ({p}){bound}.")
        }
    }
}

/// The bound behind a difference, in words.
fn less_than(pooled: &Pooled) -> String {
    if pooled.upper_bound >= 1.0 {
        return String::new();
    }
    format!("; with {} confidence less than {} of answers are right, in the mean", percent(CONFIDENCE), below(pooled.upper_bound))
}

/// The reason why all answers together show no equivalence.
fn no_equivalence(summary: &Summary) -> String {
    let result = &summary.result;
    let Some(proven) = &result.proven else {
        return "nobody heard the positive control, so nothing shows that the sides are the same".into();
    };
    if !result.shown.is_empty() {
        return "they do not show that the sides are the same, as somebody hears the difference".into();
    }
    let p = lower_tail(proven.count, proven.trials, GUESSING);
    if p <= MIXED_ALPHA {
        return format!(
            "so few right answers are rare for listeners who guess ({}): they may have heard something and mixed up the answers",
            p_text(p)
        );
    }
    format!(
        "it was not shown that the sides are not told apart beyond the margin, in the mean (upper bound {}, margin {}{})",
        decimals(proven.upper_bound, 3),
        decimals(summary.test.protocol.margin, 3),
        if proven.listeners == result.pooled.listeners {
            String::new()
        } else {
            format!("; of the {} who heard the positive control", listeners(proven.listeners as usize))
        }
    )
}

/// The sentence on each listener of a test of equivalence.
fn nobody(summary: &Summary) -> String {
    let (same, of) = (summary.result.same, summary.listeners().count());
    if summary.result.everybody_same {
        format!(
            "Nobody of these {} is beyond the margin: each listener's own test shows it. Of other people it says nothing.",
            listeners(of)
        )
    } else {
        format!(
            "That nobody of them is beyond the margin was not shown: the tests of {same} of {} show it, and all would have to.",
            listeners(of)
        )
    }
}

/// The result without the flagged trials.
fn without_flagged(summary: &Summary, other: &Evaluation) -> Option<String> {
    let (all, without) = (&summary.result, &other.pooled);
    let agrees = all.pooled.finding == without.finding
        && all.everybody_same == other.everybody_same
        // A test that its answers ended has no p without some of them.
        && (summary.test.protocol.rule != Rule::Fixed || all.shown == other.shown);
    let what = if summary.test.protocol.question == Question::Preference { "for A" } else { "right" };
    let figure = without.p.map_or_else(|| without.ln_e.map_or_else(String::new, e_text), p_text);
    let flagged = match flagged(summary) {
        0 => return None,
        1 => "the flagged trial".into(),
        count => format!("the {count} flagged trials"),
    };
    let result = format!("without {flagged}, {} of {} {what} ({figure})", without.count, without.trials);
    Some(if agrees {
        format!("The result is the same {result}.")
    } else {
        let shown = if other.shown.is_empty() { "nobody".into() } else { names(other.shown.iter().cloned()) };
        let found = match without.finding {
            Finding::Difference => "all answers together show a difference",
            Finding::Same => "all answers together are not beyond the margin",
            Finding::PrefersA => "all answers together prefer A",
            Finding::PrefersB => "all answers together prefer B",
            Finding::Undecided | Finding::Rejected | Finding::Threshold | Finding::Heard | Finding::Unheard => {
                "all answers together show nothing"
            }
        };
        format!("The result hangs on trials with faults: {result}, {found}; of single listeners it is shown for {shown}.")
    })
}

/// Remarks on what makes the result weaker, or helps to read it.
pub(super) fn remarks(summary: &Summary) -> Vec<String> {
    let mut remarks = Vec::new();
    if !summary.test.is_aa {
        remarks.push(
            "The sentences on single listeners and on all answers together are each wrong in 5 % of panels of people who hear \
             nothing, at most; who takes the one of both that succeeds is wrong in up to 10 %."
                .into(),
        );
    }
    if summary.result.pooled.ln_e.is_some() {
        remarks.push(
            "The number of trials followed from the answers: shares of all answers together are told as if it had been fixed."
                .into(),
        );
    }
    let standing = |wanted: Standing| summary.rows.iter().filter(|row| row.standing == wanted).count();
    let begun = standing(Standing::Begun);
    if begun > 0 {
        remarks.push(format!(
            "{} of this test began and {} not counted; {} in Holm's method. If listeners leave when it goes badly, the shares of the \
             others are too high.",
            sessions(begun),
            if begun == 1 { "is" } else { "are" },
            if begun == 1 { "it is one of the tests" } else { "they are among the tests" }
        ));
    }
    let repeated = standing(Standing::Repeated);
    if repeated > 0 {
        remarks.push(format!("Of a listener with several sessions the first finished one counts; {} not.", later(repeated)));
    }
    let others = standing(Standing::Other) + standing(Standing::Copy);
    if others > 0 {
        remarks.push(format!(
            "Not of this test, copies, or not to be read: {}; each has its reason in the table.",
            sessions(others)
        ));
    }
    let unproven: Vec<String> =
        summary.listeners().filter(|(_, figures)| !is_proven(figures.control)).map(|(row, _)| row.listener.clone()).collect();
    if !unproven.is_empty() && !summary.test.is_aa {
        remarks.push(format!(
            "Sensitivity was not proven of {}, who did not hear the positive control or had none: {}.",
            listeners(unproven.len()),
            names(unproven.into_iter())
        ));
    }
    let unnamed = count(summary, |row| row.listener == row.session);
    if unnamed > 1 {
        remarks.push(format!("{unnamed} sessions have no listener's name: that they are of different people cannot be seen."));
    }
    remarks
}

/// The table of the listeners whose answers count, after all of them together.
pub(super) fn table(summary: &Summary) -> Vec<String> {
    let is_sequential = summary.test.protocol.rule != Rule::Fixed;
    let interval = |[low, high]: [f64; 2]| format!("{} to {}", decimals(low, 3), decimals(high, 3));
    let optional = |p: Option<f64>| p.map_or_else(|| "-".into(), p_figure);
    let mut lines = vec![["listener", "score", "share", "95 % interval", "p", "adjusted p", "e"].map(str::to_owned)];
    let pooled = &summary.result.pooled;
    lines.push([
        "all together".into(),
        format!("{} of {}", pooled.count, pooled.trials),
        decimals(pooled.share, 3),
        interval(pooled.interval),
        optional(pooled.p),
        "-".into(),
        pooled.ln_e.map_or_else(|| "-".into(), |ln_e| e_text(ln_e).trim_start_matches("e = ").to_owned()),
    ]);
    for (row, figures) in summary.listeners() {
        lines.push([
            row.listener.clone(),
            format!("{} of {}", figures.count, figures.trials),
            decimals(figures.share, 3),
            interval(figures.interval),
            optional(figures.p),
            optional(figures.adjusted_p),
            figures.ln_e.map_or_else(|| "-".into(), |ln_e| e_text(ln_e).trim_start_matches("e = ").to_owned()),
        ]);
    }
    let columns = if is_sequential { 7 } else { 6 };
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let pad = |line: &[String; 7]| {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}", width = *width));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    lines.iter().map(pad).collect()
}

/// A number of sessions: `1 session`, `3 sessions`.
fn sessions(count: usize) -> String {
    if count == 1 { "1 session".into() } else { format!("{count} sessions") }
}

/// A number of later sessions.
fn later(count: usize) -> String {
    if count == 1 { "1 later one does".into() } else { format!("{count} later ones do") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_e_value_is_written_at_any_size() {
        assert_eq!(e_text(0.0), "e = 1.00");
        assert_eq!(e_text(34.2f64.ln()), "e = 34.20");
        assert_eq!(e_text(1.3e9f64.ln()), "e = 1.3e9");
        assert_eq!(e_text(-3000.0), "e = 10^-1303");
    }
}
