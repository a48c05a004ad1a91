//! The page of a report: one HTML file with everything in it.

use std::collections::BTreeMap;

use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, context};

use super::excerpt::Player;
use super::figures::{MeasureFacts, cost_figures};
use super::plot::{ALONE_PLOTS, Plot};
use super::report::{Report, Trap};
use super::verdict::{SCALE, VERDICTS, decibels};
use crate::measure::bench::CostTable;
use crate::measure::{MEASURES, Measure, MeasureFn, SILENCE_DB, Unit};

/// The template: the pieces that all pages have, and the page.
const TEMPLATE: &str = concat!(include_str!("page/pieces.html"), include_str!("page/page.html"));
/// Colours, type and focus, which all pages of Isotherm share.
pub const BASE_STYLE: &str = include_str!("page/base.css");
/// Style, with [`BASE_STYLE`], and script of all pages of figures.
pub(crate) const STYLE: &str = concat!(include_str!("page/base.css"), include_str!("page/style.css"));
pub(crate) const SCRIPT: &str = include_str!("page/script.js");

/// The columns of the ruler, those that decide first: on a narrow page the others are out of sight.
const RULER_MEASURES: [&str; 9] = [
    "nmr_db",
    "nmr_worst_band_db",
    "disturbed_frames",
    "third_octave_error_db",
    "null_db",
    "esr_a_weighted_db",
    "esr_pre_emphasis_db",
    "mr_stft_48k",
    "log_spectral_distance_db",
];
/// The columns of the table of all sounds, those that decide first.
pub(crate) const OVERVIEW_MEASURES: [&str; 7] = [
    "nmr_db",
    "nmr_worst_band_db",
    "disturbed_frames",
    "worst_window_db",
    "third_octave_error_db",
    "null_db",
    "esr_a_weighted_db",
];
/// The columns of the tables of cost; the others are folded up.
const COST_MEASURES: [&str; 5] = ["ns_per_sample", "p99_us", "max_us", "misses", "buffer_bytes"];

/// The page cannot be made: a fault of the template.
#[derive(Debug, thiserror::Error)]
#[error("the page cannot be made: {0}")]
pub struct PageError(#[from] minijinja::Error);

/// Ids of the measures whose function is of one kind.
fn ids(is_wanted: fn(&MeasureFn) -> bool) -> Vec<&'static str> {
    MEASURES.iter().filter(|row| is_wanted(&row.function)).map(|row| row.id).collect()
}

/// The row of a measure.
pub(crate) fn row(id: &str) -> Option<&'static Measure> {
    MEASURES.iter().copied().find(|row| row.id == id)
}

/// True if a figure says that two sounds are equal.
fn is_zero(row: &Measure, figure: f64) -> bool {
    let zero = match row.unit {
        Unit::Decibel => f64::from(SILENCE_DB),
        Unit::Ratio | Unit::Percent => 0.0,
        _ => return false,
    };
    matches!(row.function, MeasureFn::Comparison(_)) && figure <= zero
}

/// The name of a measure with the unit of its figures.
fn name_and_unit(id: &str) -> String {
    let name = row(id).map_or(id, |row| row.name);
    match unit(id) {
        symbol if symbol.is_empty() || name.ends_with(symbol) => name.into(),
        symbol => format!("{name}, {symbol}"),
    }
}

/// Text of a figure with its unit; else as [`number`].
fn figure(id: &str, value: &Value) -> String {
    let text = number(id, value);
    match unit(id) {
        "frames" if text == "1" => format!("{text}\u{202f}frame"),
        symbol if symbol.is_empty() || text.is_empty() || text == "zero" => text,
        symbol => format!("{text}\u{202f}{symbol}"),
    }
}

/// The heading of a column, with the unit.
fn heading(id: &str) -> String {
    let heading = row(id).map_or(id, |row| row.heading);
    // A hyphen at which no line breaks.
    heading.strip_suffix(" us").map_or_else(|| heading.into(), |name| format!("{name} µs")).replace('-', "\u{2011}")
}

/// Text of a figure without its unit, which its heading has; `zero` if nothing is left of a difference. An empty text if there is
/// no figure.
fn number(id: &str, value: &Value) -> String {
    match (row(id), f64::try_from(value.clone())) {
        (Some(row), Ok(figure)) if is_zero(row, figure) => "zero".into(),
        (Some(row), Ok(figure)) => {
            let text = row.text(figure);
            // A small negative figure rounds to zero, which has no sign.
            text.strip_prefix('-')
                .filter(|rest| !rest.contains(|c: char| ('1'..='9').contains(&c)))
                .map_or(text.clone(), str::to_owned)
        }
        _ => String::new(),
    }
}

/// The symbol of a measure's unit.
fn unit(id: &str) -> &'static str {
    match row(id).map_or("", |row| row.unit.symbol()) {
        "us" => "µs",
        symbol => symbol,
    }
}

/// The measures of each kind of table, which are explained together.
fn groups(report: &Report) -> BTreeMap<&'static str, Vec<&MeasureFacts>> {
    let groups = [
        ("ruler", RULER_MEASURES.to_vec()),
        ("difference", ids(|function| matches!(function, MeasureFn::Comparison(_)))),
        ("level", ids(|function| matches!(function, MeasureFn::Sound(_)))),
        ("alone", ids(is_of_effect)),
        ("cost", ids(|function| matches!(function, MeasureFn::Cost(_)))),
    ];
    let facts_of = |ids: Vec<&str>| report.measures.iter().filter(|facts| ids.contains(&facts.id)).collect::<Vec<_>>();
    groups.into_iter().map(|(group, ids)| (group, facts_of(ids))).collect()
}

/// True for a measure of an effect alone.
fn is_of_effect(function: &MeasureFn) -> bool {
    matches!(function, MeasureFn::Tone(_) | MeasureFn::Impulse(_) | MeasureFn::Effect(_))
}

/// The figures of the measures of cost, block size by block size.
fn cost_rows(table: Option<&CostTable>) -> Vec<Value> {
    let rows = table.iter().flat_map(|table| &table.rows);
    rows.map(|costs| context! { block => costs.block.to_string(), figures => cost_figures(costs) }).collect()
}

/// Text for a `script` element: no `<`, so that nothing in it ends the element.
pub(crate) fn script_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".into()).replace('<', "\\u003c")
}

/// The environment of a page's template.
pub(crate) fn environment<'a>() -> Environment<'a> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    // A side without figures is none, and so is all that is asked of it.
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment.set_trim_blocks(true);
    environment
}

/// Makes `index.html`. [control thread: allocates]
///
/// # Errors
/// [`PageError`], which only a fault of the template gives.
pub fn page(report: &Report, players: &[Player], plots: &[Plot]) -> Result<String, PageError> {
    let mut environment = environment();
    environment.add_function("figure", |id: String, value: Value| figure(&id, &value));
    environment.add_function("name", |id: String| row(&id).map_or(id, |row| row.name.to_owned()));
    environment.add_function("heading", |id: String| heading(&id));
    environment.add_function("name_and_unit", |id: String| name_and_unit(&id));
    environment.add_function("number", |id: String, value: Value| number(&id, &value));
    environment.add_function("frames", |value: Value| {
        f64::try_from(value).map_or_else(|_| String::new(), |frames| format!("{frames:.2}"))
    });
    environment.add_function("db", |value: f64| decibels(value).replace(' ', "\u{202f}"));
    environment.add_template("page", TEMPLATE)?;
    let plots_by_id: BTreeMap<&str, &Plot> = plots.iter().map(|plot| (plot.id.as_str(), plot)).collect();
    let worst: BTreeMap<&str, Option<f64>> = report.worst.iter().map(|worst| (worst.measure, worst.figure)).collect();
    let alone_plots: Vec<&str> = ALONE_PLOTS.into_iter().filter(|id| plots_by_id.contains_key(id)).collect();
    let with_rows = |ids: &[&'static str]| -> Vec<&'static str> { ids.iter().copied().filter(|id| row(id).is_some()).collect() };
    let cost_rows = BTreeMap::from([("a", cost_rows(report.costs.a.as_ref())), ("b", cost_rows(report.costs.b.as_ref()))]);
    let text = environment.get_template("page")?.render(context! {
        report, worst, alone_plots,
        scale => SCALE,
        correction => report.verdict.correction(),
        trap => report.trap.as_ref().map(Trap::text),
        titles => VERDICTS.iter().map(|row| (row.id, row.title)).collect::<BTreeMap<_, _>>(),
        players => players.iter().enumerate().map(|(index, player)| context! { index, sound => player.sound,
            regions => player.regions,
            tracks => player.tracks.iter().map(|track| context! { id => track.id, name => track.name }).collect::<Vec<_>>() })
            .collect::<Vec<_>>(),
        plots => plots_by_id,
        known => MEASURES.iter().map(|row| row.id).collect::<Vec<_>>(),
        ruler_measures => with_rows(&RULER_MEASURES),
        overview_measures => with_rows(&OVERVIEW_MEASURES),
        comparing => ids(|function| matches!(function, MeasureFn::Comparison(_))),
        levels => ids(|function| matches!(function, MeasureFn::Sound(_))),
        alone_measures => ids(is_of_effect),
        cost_measures => with_rows(&COST_MEASURES),
        more_cost_measures => ids(|function| matches!(function, MeasureFn::Cost(_)))
            .into_iter().filter(|id| !COST_MEASURES.contains(id)).collect::<Vec<_>>(),
        groups => groups(report),
        costs => cost_rows,
        ratio => report.cost_sentence(),
        tally => report.tally(),
        style => Value::from_safe_string(STYLE.into()),
        script => Value::from_safe_string(SCRIPT.into()),
        plots_json => Value::from_safe_string(script_json(&plots_by_id)),
        players_json => Value::from_safe_string(script_json(&players)),
    })?;
    Ok(text)
}
