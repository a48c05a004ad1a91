//! The page of a study: one HTML file with the frontiers and the table, which its columns sort.

use minijinja::{Value, context};

use super::frontier::ratio_text;
use super::picture;
use super::table::{BlockCost, Row, Status, Table};
use crate::compare::VERDICTS;
use crate::compare::page::{OVERVIEW_MEASURES, STYLE, environment, row as measure};

/// The template, its own style and its script.
const TEMPLATE: &str = include_str!("page/page.html");
const OWN_STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/script.js");

/// A cell of the table: its text, and what it is sorted by.
fn figure(text: String, sorted_by: Option<f64>) -> Value {
    context! { text, sorted_by => sorted_by.filter(|figure| figure.is_finite()) }
}

/// A row for the template.
fn row(row: &Row, blocks: &[usize]) -> Value {
    let mut figures: Vec<Value> = Vec::new();
    for id in OVERVIEW_MEASURES {
        let found = row.figure(id);
        let text = found.zip(measure(id)).map_or_else(String::new, |(found, measure)| measure.text(found));
        figures.push(figure(text, found));
    }
    for block in blocks {
        let cost = row.costs.iter().find(|cost| cost.block == *block);
        let ns = |found: Option<f64>| figure(found.map_or_else(String::new, |ns| format!("{ns:.1}")), found);
        figures.push(ns(cost.and_then(|cost| cost.a_ns)));
        figures.push(ns(cost.and_then(|cost| cost.b_ns)));
        let ratio = cost.and_then(BlockCost::ratio);
        figures.push(figure(ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}")), ratio));
    }
    let verdict = row.verdict.as_deref().and_then(|id| VERDICTS.iter().find(|row| row.id == id)).map(|row| row.title);
    context! {
        effect => row.effect, model => row.model, sound => row.sound, seed => row.seed, status => row.status.word(),
        reason => row.reason, is_done => row.status == Status::Done, verdict, figures,
    }
}

/// Makes `index.html`. [control thread: allocates]
///
/// # Errors
/// Only a fault of the template, or of a picture.
pub fn page(table: &Table) -> Result<String, minijinja::Error> {
    let mut environment = environment();
    environment.add_function("ratio", ratio_text);
    environment.add_template("page", TEMPLATE)?;
    let blocks = table.blocks();
    let pictures: Result<Vec<Value>, minijinja::Error> = table
        .frontiers
        .iter()
        .map(|frontier| {
            let svg = picture::svg(frontier)
                .map_err(|error| minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, error.to_string()))?;
            Ok(context! { frontier, svg => Value::from_safe_string(svg) })
        })
        .collect();
    let has_seeds = table.rows.iter().any(|row| row.seed.is_some());
    environment.get_template("page")?.render(context! {
        table, blocks, has_seeds,
        frontiers => pictures?,
        rows => table.rows.iter().map(|one| row(one, &blocks)).collect::<Vec<_>>(),
        headings => OVERVIEW_MEASURES.iter().filter_map(|id| measure(id)).map(|row| context! { id => row.id, heading => row.heading })
            .collect::<Vec<_>>(),
        done => table.count(Status::Done), failed => table.count(Status::Failed), missing => table.count(Status::Missing),
        style => Value::from_safe_string(STYLE.into()),
        own_style => Value::from_safe_string(OWN_STYLE.into()),
        script => Value::from_safe_string(SCRIPT.into()),
    })
}
