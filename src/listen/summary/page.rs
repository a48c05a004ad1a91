//! The page of a summary: one HTML file with everything in it, in the style of the page of a comparison.

use std::collections::BTreeMap;

use minijinja::{Value, context};

use super::{Standing, Summary, words};
use crate::compare::Plot;
use crate::compare::page::{SCRIPT, STYLE, environment, script_json};
use crate::listen::outcome::{Finding, decimals, p_figure};
use crate::listen::session::ControlResult;
use crate::view::{Question, Rule};

/// The template: the pieces that all pages have, and the page. Its style is that of all pages, and some of its own.
const TEMPLATE: &str = concat!(include_str!("../../compare/page/pieces.html"), include_str!("page.html"));
const OWN_STYLE: &str = include_str!("page.css");

/// The page cannot be made: a fault of the template.
#[derive(Debug, thiserror::Error)]
#[error("the page cannot be made: {0}")]
pub struct PageError(#[from] minijinja::Error);

/// The heading of the page: the finding in a few words.
pub(super) fn heading(summary: &Summary) -> &'static str {
    let result = &summary.result;
    match (summary.test.protocol.question, result.pooled.finding) {
        _ if summary.test.is_aa => "There was nothing to hear",
        (Question::Preference, Finding::PrefersA) => "A is preferred",
        (Question::Preference, Finding::PrefersB) => "B is preferred",
        (Question::Preference, _) if !result.shown.is_empty() => "Single listeners have preferences",
        (Question::Preference, _) => "No preference was shown",
        _ if !result.shown.is_empty() => "Somebody hears it",
        (_, Finding::Difference) => "Somebody hears it, but it is not shown who",
        (Question::Equivalence, _) if result.everybody_same => "Nobody told them apart beyond the margin",
        (_, Finding::Same) => "Not told apart beyond the margin, in the mean",
        (Question::Equivalence, _) => "It was not shown that they are the same",
        _ => "It was not shown that somebody hears it",
    }
}

/// A finding of a listener in words.
fn finding(finding: Finding) -> &'static str {
    match finding {
        Finding::Difference => "a difference",
        Finding::Rejected => "75 % rejected",
        Finding::Same => "within the margin",
        Finding::PrefersA => "prefers A",
        Finding::PrefersB => "prefers B",
        Finding::Threshold | Finding::Heard | Finding::Unheard | Finding::Undecided => "undecided",
    }
}

/// The positive control of a listener in words.
fn control(control: ControlResult) -> &'static str {
    match control {
        ControlResult::None => "none",
        ControlResult::Open => "not finished",
        ControlResult::Passed => "heard",
        ControlResult::PassedRetry => "heard, second round",
        ControlResult::Failed => "not heard",
    }
}

/// A share as a number of percent for a style.
fn percent(share: f64) -> String {
    format!("{:.2}", 100.0 * share)
}

/// The place of a share with its interval, for the picture in a row.
fn bar(share: f64, [low, high]: [f64; 2]) -> Value {
    context! { left => percent(low), width => percent(high - low), share => percent(share),
    text => format!("{} ({} to {})", decimals(share, 3), decimals(low, 3), decimals(high, 3)) }
}

/// A p as a figure; empty if there is none.
fn optional_p(p: Option<f64>) -> String {
    p.map(p_figure).unwrap_or_default()
}

/// An e-value as a figure; empty if there is none.
fn optional_e(ln_e: Option<f64>) -> String {
    ln_e.map(|ln_e| words::e_text(ln_e).trim_start_matches("e = ").to_owned()).unwrap_or_default()
}

/// Makes `index.html`.
pub(super) fn page(summary: &Summary, counts: Option<&Plot>) -> Result<String, PageError> {
    let mut environment = environment();
    environment.add_template("page", TEMPLATE)?;
    let listeners: Vec<Value> = summary
        .listeners()
        .map(|(row, figures)| {
            context! {
                name => row.listener, session => row.session, origin => row.origin,
                bar => bar(figures.share, figures.interval),
                right => format!("{} of {}", figures.count, figures.trials),
                p => optional_p(figures.p), adjusted => optional_p(figures.adjusted_p), e => optional_e(figures.ln_e),
                finding => finding(figures.finding), control => control(figures.control),
                flagged => figures.flagged, is_shown => figures.is_shown,
            }
        })
        .collect();
    let pooled = &summary.result.pooled;
    let protocol = &summary.test.protocol;
    let others: Vec<_> = summary.rows.iter().filter(|row| row.standing != Standing::Counted).collect();
    let plots: BTreeMap<&str, &Plot> = counts.iter().map(|plot| (plot.id.as_str(), *plot)).collect();
    let text = environment.get_template("page")?.render(context! {
        summary, listeners, others, plots,
        heading => heading(summary),
        pooled => context! {
            bar => bar(pooled.share, pooled.interval), right => format!("{} of {}", pooled.count, pooled.trials),
            p => optional_p(pooled.p), e => optional_e(pooled.ln_e), finding => finding(pooled.finding), listeners => pooled.listeners,
            equivalence_p => optional_p(pooled.equivalence_p), upper => decimals(pooled.upper_bound, 3),
        },
        has_flagged => summary.listeners().any(|(_, figures)| figures.flagged > 0),
        is_preference => protocol.question == Question::Preference,
        is_equivalence => protocol.question == Question::Equivalence,
        is_sequential => protocol.rule != Rule::Fixed,
        margin => percent(protocol.margin), margin_text => decimals(protocol.margin, 3),
        style => Value::from_safe_string(format!("{STYLE}{OWN_STYLE}")),
        script => Value::from_safe_string(SCRIPT.into()),
        plots_json => Value::from_safe_string(script_json(&plots)),
        players_json => Value::from_safe_string("[]".into()),
    })?;
    Ok(text)
}
