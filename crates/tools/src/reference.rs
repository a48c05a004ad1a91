//! The reference page of all algorithms, their parameters and the measures, made from the registries.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use isotherm::algorithm::REGISTRY;
use isotherm::dsp::{Algorithm, ChangeMode, Parameter};
use isotherm::measure::{MEASURES, Measure, Preference};

use crate::{TaskResult, display_path};

/// Writes the page to the file `page`.
///
/// # Errors
/// If the file cannot be written.
pub fn write(page: &Path) -> TaskResult {
    fs::write(page, reference(REGISTRY)).map_err(|e| format!("{}: {e}", display_path(page)))?;
    println!("{}", display_path(page));
    Ok(())
}

/// The page as Markdown: a table for each algorithm, and one of the measures.
fn reference(registry: &[&Algorithm]) -> String {
    let mut page = String::from("# Algorithms and their parameters\n");
    for algorithm in registry {
        write!(page, "\n## {} (`{}`)\n\n{}\n\n", algorithm.name, algorithm.id, algorithm.description)
            .expect("writing to a string cannot fail");
        page.push_str("| Parameter | Id | Values | Default | Automatable | When it grows |\n|---|---|---|---|---|---|\n");
        page.extend(algorithm.parameters.iter().map(row));
    }
    page.push_str("\n# Measures\n\n| Measure | Id | Unit | Preference | Needs | Definition |\n|---|---|---|---|---|---|\n");
    page.extend(MEASURES.iter().map(|row| measure(row)));
    page
}

/// Row of a measure.
fn measure(measure: &Measure) -> String {
    let better = match measure.better {
        Preference::Lower => "lower",
        Preference::Higher => "higher",
        Preference::Neither => "neither",
    };
    let Measure { id, name, unit, function, definition, .. } = measure;
    format!("| {name} | `{id}` | {} | {better} | {} | {definition} |\n", unit.symbol(), function.needs())
}

/// Row of a parameter.
fn row(parameter: &Parameter) -> String {
    let cells = [
        parameter.name,
        &format!("`{}`", parameter.id),
        &parameter.expected(),
        &parameter.text_with_unit(parameter.default()),
        if parameter.change == ChangeMode::Ramped { "yes" } else { "no" },
        parameter.doc,
    ];
    format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_has_every_parameter_of_every_algorithm_and_every_measure() {
        let page = reference(REGISTRY);
        for algorithm in REGISTRY {
            assert!(page.contains(&format!("## {} (`{}`)", algorithm.name, algorithm.id)));
            for parameter in algorithm.parameters {
                let line = page.lines().find(|line| line.starts_with(&format!("| {} | `{}` |", parameter.name, parameter.id)));
                assert_eq!(line.unwrap().replace("\\|", "").matches('|').count(), 7);
            }
        }
        for measure in MEASURES {
            let line = page.lines().find(|line| line.starts_with(&format!("| {} | `{}` |", measure.name, measure.id)));
            assert_eq!(line.unwrap().matches('|').count(), 7, "{}", measure.id);
        }
    }
}
