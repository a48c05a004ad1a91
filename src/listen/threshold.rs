//! The result of a staircase in words and figures.

use super::ladder::{Rung, error_words};
use super::outcome::{Finding, Score, ScoredTrial};
use super::session::{End, Plan};
use super::staircase::{Place, Threshold, Track, reversal_mean, threshold};
use crate::view::Rule;

/// The threshold that trials give, and what is found.
pub(super) fn find<'a>(plan: &Plan, trials: impl IntoIterator<Item = &'a ScoredTrial>) -> Option<(Threshold, Finding)> {
    let answers: Option<Vec<(usize, bool)>> = trials.into_iter().map(|trial| Some((trial.rung?, trial.is_right()?))).collect();
    let (threshold, place) = threshold(&levels(plan), answers?)?;
    let finding = match place {
        Place::Below => Finding::Heard,
        Place::Within => Finding::Threshold,
        Place::Above => Finding::Unheard,
    };
    Some((threshold, finding))
}

/// Errors of the rungs in dB.
fn levels(plan: &Plan) -> Vec<f64> {
    plan.ladder.iter().map(|rung| rung.esr_db).collect()
}

/// The figure of a ladder at an error in dB, on a straight line between the rungs on both sides of it.
fn figure_at(ladder: &[Rung], esr_db: f64, figure: impl Fn(&Rung) -> Option<f64>) -> Option<f64> {
    let above = ladder.iter().position(|rung| rung.esr_db >= esr_db)?.max(1);
    let (a, b) = (&ladder[above - 1], ladder.get(above)?);
    let share = ((esr_db - a.esr_db) / (b.esr_db - a.esr_db)).clamp(0.0, 1.0);
    Some((1.0 - share) * figure(a)? + share * figure(b)?)
}

/// The noise-to-mask ratio at an error in words.
fn nmr_words(ladder: &[Rung], esr_db: f64) -> String {
    figure_at(ladder, esr_db, |rung| Some(rung.nmr_db)).map_or("-".into(), |nmr| format!("{nmr:.1}"))
}

/// An interval in words; an end beyond the ladder is none.
fn interval_words(threshold: &Threshold) -> String {
    match (threshold.lower_db, threshold.upper_db) {
        (Some(lower), Some(upper)) => format!("{lower:.1} to {upper:.1}"),
        (None, Some(upper)) => format!("below the ladder to {upper:.1}"),
        (Some(lower), None) => format!("{lower:.1} to above the ladder"),
        (None, None) => "from below the ladder to above it".into(),
    }
}

/// The result in sentences.
pub(super) fn sentences(plan: &Plan, end: End, score: &Score) -> Vec<String> {
    let n = score.trials;
    let ladder = &plan.ladder;
    let (Some(threshold), Some(first), Some(last)) = (score.threshold, ladder.first(), ladder.last()) else {
        let ended = if end == End::Aborted { "Aborted after" } else { "Ended after" };
        let most = plan.protocol.trials;
        return vec![format!("{ended} {n} of at most {most} trials: no threshold. It counts as aborted.")];
    };
    let rung_words =
        |rung: &Rung| format!("{:.1} dB re A (ESR), noise-to-mask ratio {:.1} dB: {}", rung.esr_db, rung.nmr_db, rung.words());
    match (score.finding, threshold.esr_db) {
        (Finding::Heard, _) => {
            let mut sentences =
                vec![format!("You heard even the smallest error of this ladder on this loop ({}).", rung_words(first))];
            sentences.push(match threshold.upper_db {
                Some(upper) => format!("Your threshold is below it; the interval of 95 % ends at {upper:.1} dB."),
                None => "How far your threshold lies from it these trials do not tell.".into(),
            });
            sentences
        }
        (Finding::Threshold, Some(esr_db)) => {
            let mut sentences = vec![format!(
                "The largest error that you did not hear on this loop: {esr_db:.1} dB re A (ESR; 95 % interval {} dB), with a \
                 noise-to-mask ratio of {} dB.",
                interval_words(&threshold),
                nmr_words(ladder, esr_db)
            )];
            if let Some(error_db) = figure_at(ladder, esr_db, |rung| rung.error_db) {
                let own = ladder.iter().find(|rung| rung.error_db == Some(0.0)).map_or(f64::NAN, |rung| rung.esr_db);
                let words = error_words(error_db);
                let which = if error_db > 0.05 {
                    format!("{words}: B itself, at {own:.1} dB, is too small an error for you to hear in most trials")
                } else if error_db < -0.05 {
                    format!("{words}; B itself has {own:.1} dB")
                } else {
                    words
                };
                sentences.push(format!("That is {which}."));
            } else if let Some(below) = ladder.iter().rev().find(|rung| rung.esr_db <= esr_db) {
                sentences.push(format!("The largest rung that is not above it: {} ({:.1} dB).", below.words(), below.esr_db));
            }
            sentences.push(
                "At that error you are right in 75 % of trials, so you hear it in half of them; a larger one more often.".into(),
            );
            sentences
        }
        (Finding::Unheard, _) => {
            let mut sentences =
                vec![format!("You did not hear even the largest error of this ladder on this loop ({}).", rung_words(last))];
            sentences.push(match threshold.lower_db {
                Some(lower) => format!("Your threshold is above it; the interval of 95 % begins at {lower:.1} dB."),
                None => "How far your threshold lies from it these trials do not tell.".into(),
            });
            sentences
        }
        _ => vec![format!("{n} trials: no threshold was found.")],
    }
}

/// The result without flagged trials; true if it agrees with the one with them.
pub(super) fn without_flagged<'a>(
    plan: &Plan,
    score: &Score,
    unflagged: impl IntoIterator<Item = &'a ScoredTrial>,
) -> Option<(String, bool)> {
    let (threshold, finding) = find(plan, unflagged)?;
    let words = match (finding, threshold.esr_db) {
        (Finding::Heard, _) => "even the smallest error was heard".into(),
        (Finding::Unheard, _) => "even the largest error was not heard".into(),
        (_, esr_db) => format!("{:.1} dB ({} dB)", esr_db.unwrap_or(f64::NAN), interval_words(&threshold)),
    };
    let is_inside = |esr_db: f64| {
        let before = score.threshold;
        before.is_some_and(|before| {
            before.lower_db.is_none_or(|lower| esr_db >= lower) && before.upper_db.is_none_or(|upper| esr_db <= upper)
        })
    };
    let agrees = finding == score.finding && threshold.esr_db.is_none_or(is_inside);
    Some((words, agrees))
}

/// Names and figures of a result.
pub(super) fn figures(plan: &Plan, score: &Score, track: Option<&Track>) -> Vec<(String, String)> {
    let mut figures: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, figure: String| figures.push((name.into(), figure));
    let ladder = &plan.ladder;
    if let Some(threshold) = &score.threshold {
        let at = |esr_db: Option<f64>| esr_db.map_or("beyond the ladder".into(), |db| format!("{db:.1} dB"));
        add("Threshold, error to signal, 95 % interval", format!("{} ({})", at(threshold.esr_db), interval_words(threshold)));
        if let Some(esr_db) = threshold.esr_db {
            add("Threshold, noise-to-mask ratio", format!("{} dB", nmr_words(ladder, esr_db)));
            if let Some(error_db) = figure_at(ladder, esr_db, |rung| rung.error_db) {
                add("Threshold re the error of B", format!("{error_db:+.1} dB"));
            }
        }
    }
    if let Some(track) = track {
        if let Some(mean) = reversal_mean(&levels(plan), track) {
            add("Mean of the reversals", format!("{mean:.1} dB"));
        }
        let Rule::Staircase { reversals } = plan.protocol.rule else { return figures };
        add("Reversals", format!("{} of {reversals}", track.reversals.len()));
    }
    if let [first, .., last] = ladder.as_slice() {
        add("Ladder", format!("{} rungs, {:.1} to {:.1} dB", ladder.len(), first.esr_db, last.esr_db));
    }
    figures
}
