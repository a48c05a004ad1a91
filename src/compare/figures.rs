//! The figures of measures by their ids, and limits for them.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::audio::Audio;
use crate::measure::bench::Costs;
use crate::measure::{Comparison, MEASURES, Measure, MeasureFn, Preference};

/// Figures by the id of their measure. `None` where a measure has no figure.
pub type Figures = BTreeMap<&'static str, Option<f64>>;

/// The figure of a measure that is finite.
pub(super) fn finite(figure: f64) -> Option<f64> {
    figure.is_finite().then_some(figure)
}

/// Place of the figures of cost: `blocks of 64`.
pub(super) fn blocks_of(costs: &Costs) -> String {
    format!("blocks of {}", costs.block)
}

/// The measures that compare two sounds.
pub(super) fn comparing() -> impl Iterator<Item = &'static Measure> {
    MEASURES.iter().copied().filter(|row| matches!(row.function, MeasureFn::Comparison(_)))
}

/// The figures of every measure of one sound. [control thread: takes its time]
#[must_use]
pub fn sound_figures(sound: &Audio) -> Figures {
    let figure = |row: &&'static Measure| match row.function {
        MeasureFn::Sound(run) => Some((row.id, finite(run(sound)))),
        _ => None,
    };
    MEASURES.iter().filter_map(figure).collect()
}

/// The figures of every measure of two sounds, on all cores. [control thread: takes its time]
#[must_use]
pub fn comparison_figures(comparison: &Comparison<'_>) -> Figures {
    use rayon::prelude::*;
    let rows: Vec<&'static Measure> = comparing().collect();
    let figures: Vec<Option<f64>> = rows.par_iter().map(|row| row.compare(comparison).and_then(finite)).collect();
    rows.iter().map(|row| row.id).zip(figures).collect()
}

/// The figures of every measure of time and memory.
pub(super) fn cost_figures(costs: &Costs) -> Figures {
    MEASURES.iter().filter_map(|row| Some((row.id, finite(row.cost(costs)?)))).collect()
}

/// A measure as it stands in a report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MeasureFacts {
    /// Key of its figures.
    pub id: &'static str,
    /// Name for users.
    pub name: &'static str,
    /// Heading of a column.
    pub heading: &'static str,
    /// Symbol of the unit; empty for a plain number.
    pub unit: &'static str,
    /// Definition in a sentence.
    pub definition: &'static str,
    /// The better one of two figures: `lower`, `higher`, or `neither`.
    pub better: &'static str,
}

impl MeasureFacts {
    /// The facts of every measure. [control thread: allocates]
    #[must_use]
    pub fn all() -> Vec<Self> {
        let facts = |row: &&'static Measure| Self {
            id: row.id,
            name: row.name,
            heading: row.heading,
            unit: row.unit.symbol(),
            definition: row.definition,
            better: match row.better {
                Preference::Lower => "lower",
                Preference::Higher => "higher",
                Preference::Neither => "neither",
            },
        };
        MEASURES.iter().map(facts).collect()
    }
}

/// A limit for a measure: the last figure that passes.
#[derive(Clone, Debug)]
pub struct Limit {
    /// The measure.
    pub measure: &'static Measure,
    /// The last figure that passes.
    pub worst: f64,
    /// True for a lower limit: higher figures pass, too.
    pub is_lower: bool,
}

/// The reason why a text is no limit.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LimitError {
    /// There is no `=`.
    #[error("'{0}' is no limit; expected MEASURE=NUMBER, as in esr=1e-4, or MEASURE=LOW..HIGH, as in lufs=-16..-14")]
    NoNumber(String),
    /// The number cannot be read.
    #[error("'{0}' is no number; expected one, as in esr=1e-4, or two, as in lufs=-16..-14")]
    NotANumber(String),
    /// The range is empty.
    #[error("'{0}' is no range; expected the lower number first, as in lufs=-16..-14")]
    EmptyRange(String),
    /// No measure has this id.
    #[error("no measure '{found}'; expected one of {}", MEASURES.iter().map(|row| row.id).collect::<Vec<_>>().join(", "))]
    Unknown {
        /// The id.
        found: String,
    },
}

/// Text between the ends of a range.
const RANGE: &str = "..";

impl Limit {
    /// Reads `MEASURE=NUMBER` or `MEASURE=LOW..HIGH`. A number is the highest figure that passes, or the lowest of a measure
    /// whose higher figures are better. A range is a lower and an upper limit. `_db` at the end of the id may be left out.
    /// [control thread: allocates]
    ///
    /// # Errors
    /// Every [`LimitError`].
    pub fn parse(text: &str) -> Result<Vec<Self>, LimitError> {
        let (id, number) = text.split_once('=').ok_or_else(|| LimitError::NoNumber(text.into()))?;
        let name = id.trim().replace('-', "_");
        let find = |id: &str| MEASURES.iter().find(|row| row.id == id);
        let measure = find(&name).or_else(|| find(&format!("{name}_db")));
        let measure = measure.ok_or_else(|| LimitError::Unknown { found: id.trim().into() })?;
        let finite = |text: &str| {
            let number = text.trim().parse().ok().filter(|number: &f64| number.is_finite());
            number.ok_or_else(|| LimitError::NotANumber(text.trim().into()))
        };
        let limit = |worst: f64, is_lower: bool| Self { measure, worst, is_lower };
        let Some((low, high)) = number.split_once(RANGE) else {
            return Ok(vec![limit(finite(number)?, measure.better == Preference::Higher)]);
        };
        let (low, high) = (finite(low)?, finite(high)?);
        if low > high {
            return Err(LimitError::EmptyRange(number.trim().into()));
        }
        Ok(vec![limit(low, true), limit(high, false)])
    }

    /// True if a figure is further out than another.
    fn is_worse(&self, figure: f64, than: f64) -> bool {
        if self.is_lower { figure < than } else { figure > than }
    }
}

/// The result of a limit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LimitResult {
    /// The measure's id.
    pub measure: &'static str,
    /// The last figure that passes.
    pub limit: f64,
    /// The figures that pass besides the limit: `lower` or `higher` ones.
    pub better: &'static str,
    /// The worst figure; `None` if there is none, which does not pass.
    pub found: Option<f64>,
    /// The sound, or the block size, of the worst figure; `None` for a measure of an effect.
    pub place: Option<String>,
    /// The sounds or block sizes without a figure, which do not pass.
    pub missing: Vec<String>,
    /// True if every figure is there and within the limit.
    pub passed: bool,
}

impl LimitResult {
    /// The result for figures, each with the sound or block size that it is of.
    pub(super) fn of(limit: &Limit, figures: Vec<(Option<String>, Option<f64>)>) -> Self {
        let mut is_missing = figures.is_empty();
        let mut missing = Vec::new();
        let (mut found, mut place) = (None::<f64>, None);
        for (name, figure) in figures {
            match figure {
                None => {
                    is_missing = true;
                    missing.extend(name);
                }
                Some(figure) if found.is_none_or(|worst| limit.is_worse(figure, worst)) => (found, place) = (Some(figure), name),
                Some(_) => {}
            }
        }
        let passed = !is_missing && found.is_some_and(|worst| !limit.is_worse(worst, limit.worst));
        let better = if limit.is_lower { "higher" } else { "lower" };
        Self { measure: limit.measure.id, limit: limit.worst, better, found, place, missing, passed }
    }

    /// One line about a limit that was exceeded; figures have four digits. [control thread: allocates]
    #[must_use]
    pub fn line(&self) -> String {
        let of = self.place.as_ref().map_or_else(String::new, |place| format!(" of {place}"));
        let expected = format!("expected {} or {}", self.limit, if self.better == "higher" { "more" } else { "less" });
        let is_over = |found: f64| if self.better == "higher" { found < self.limit } else { found > self.limit };
        let over = self.found.filter(|found| is_over(*found)).map(|found| {
            // A figure that rounds to the limit keeps all its digits, so that the line does not contradict itself.
            let shown = Some(round(found)).filter(|shown| is_over(*shown)).unwrap_or(found);
            format!("{}{of}: {shown}; {expected}", self.measure)
        });
        let none = |of: String| format!("{}{of}: no figure; {expected}", self.measure);
        match (over, self.missing.as_slice()) {
            (Some(line), []) => line,
            (Some(line), missing) => format!("{line}; no figure of {}", missing.join(", ")),
            (None, []) => none(String::new()),
            (None, missing) => none(format!(" of {}", missing.join(", "))),
        }
    }
}

/// A figure with four digits.
fn round(figure: f64) -> f64 {
    format!("{figure:.3e}").parse().unwrap_or(figure)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The only limit of a text.
    fn one(text: &str) -> Limit {
        let mut limits = Limit::parse(text).unwrap();
        assert_eq!(limits.len(), 1, "{text}");
        limits.remove(0)
    }

    #[test]
    fn a_limit_is_read_and_one_that_cannot_be_says_why() {
        let limit = one("esr=1e-4");
        assert_eq!((limit.measure.id, limit.worst, limit.is_lower), ("esr", 1e-4, false));
        // The unit may be left out.
        assert_eq!(one("nmr=-10").measure.id, "nmr_db");
        let error = |text: &str| Limit::parse(text).unwrap_err().to_string();
        assert!(error("esr").contains("expected MEASURE=NUMBER"));
        assert!(error("esr=x").starts_with("'x' is no number"));
        assert!(error("esr=nan").starts_with("'nan' is no number"));
        assert!(error("lufs=-16..").starts_with("'' is no number"));
        assert!(error("lufs=-14..-16").starts_with("'-14..-16' is no range; expected the lower number first"));
        assert!(error("exr=1").starts_with("no measure 'exr'; expected one of esr"));
    }

    #[test]
    fn every_measure_takes_a_limit_that_is_a_lower_one_only_where_higher_is_better() {
        for row in MEASURES {
            let limit = one(&format!("{}=1", row.id));
            assert_eq!((limit.measure.id, limit.is_lower), (row.id, row.better == Preference::Higher));
        }
    }

    #[test]
    fn a_range_is_a_lower_and_an_upper_limit() {
        let limits = Limit::parse("lufs=-16..-14.5").unwrap();
        let results = |lufs: f64| -> Vec<LimitResult> {
            limits.iter().map(|limit| LimitResult::of(limit, vec![(Some("x".into()), Some(lufs))])).collect()
        };
        let passed = |lufs: f64| results(lufs).iter().map(|result| result.passed).collect::<Vec<_>>();
        assert_eq!([passed(-16.0), passed(-14.5)], [vec![true, true], vec![true, true]]);
        assert_eq!([passed(-16.1), passed(-14.4)], [vec![false, true], vec![true, false]]);
        assert_eq!(results(-17.0)[0].line(), "lufs of x: -17; expected -16 or more");
        assert_eq!(results(-14.0)[1].line(), "lufs of x: -14; expected -14.5 or less");
    }

    #[test]
    fn a_figure_beyond_a_limit_has_four_digits_but_all_if_they_would_be_those_of_the_limit() {
        let line = |limit: &str, figure: f64| LimitResult::of(&one(limit), vec![(None, Some(figure))]).line();
        assert_eq!(line("esr=1e-4", 0.013_410_506_305), "esr: 0.01341; expected 0.0001 or less");
        assert_eq!(line("nmr=-10", -9.954_96), "nmr_db: -9.955; expected -10 or less");
        assert_eq!(line("nmr=-10", -9.999_96), "nmr_db: -9.99996; expected -10 or less");
        assert_eq!(line("samples_per_second=1e9", 52_345_678.9), "samples_per_second: 52350000; expected 1000000000 or more");
    }

    #[test]
    fn the_worst_figure_decides_and_a_missing_one_does_not_pass() {
        let limit = one("null_db=-40");
        let of = |figures: &[Option<f64>]| {
            LimitResult::of(&limit, figures.iter().enumerate().map(|(i, figure)| (Some(i.to_string()), *figure)).collect())
        };
        assert!(of(&[Some(-50.0), Some(-40.0)]).passed);
        let failed = of(&[Some(-50.0), Some(-30.0), Some(-45.0)]);
        assert_eq!((failed.passed, failed.line().as_str()), (false, "null_db of 1: -30; expected -40 or less"));
        let missing = of(&[Some(-50.0), None]);
        assert_eq!((missing.passed, missing.line().as_str()), (false, "null_db of 1: no figure; expected -40 or less"));
        assert_eq!(of(&[Some(-30.0), None]).line(), "null_db of 0: -30; expected -40 or less; no figure of 1");
        assert_eq!((of(&[]).passed, of(&[]).line().as_str()), (false, "null_db: no figure; expected -40 or less"));
    }
}
