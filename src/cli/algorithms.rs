//! `isotherm algorithms`: lists the algorithms and their parameters.

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::json;

use super::{Failure, examples, flag_name, print_line};
use crate::algorithm::REGISTRY;
use crate::dsp::{ChangeMode, ParameterKind};

pub fn command() -> Command {
    Command::new("algorithms")
        .about("Lists the algorithms and their parameters")
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("As JSON"))
        .after_help(examples(&["isotherm algorithms", "isotherm algorithms --json"]))
}

pub fn run(matches: &ArgMatches) -> Result<(), Failure> {
    if matches.get_flag("json") {
        let rows: Vec<_> = REGISTRY
            .iter()
            .map(|row| {
                let parameters: Vec<_> = row
                    .parameters
                    .iter()
                    .map(|p| {
                        let (min, max) = p.range();
                        let (kind, unit, choices) = match p.kind {
                            ParameterKind::Float { unit, .. } => ("float", Some(unit.suffix().trim()), None),
                            ParameterKind::Choice { names, .. } => ("choice", None, Some(names)),
                            ParameterKind::Toggle { .. } => ("toggle", None, None),
                        };
                        json!({
                            "id": p.id, "flag": format!("--{}", flag_name(p.id)), "name": p.name, "kind": kind, "unit": unit,
                            "min": min, "max": max, "default": p.default(), "off_at_max": p.is_off(max), "choices": choices,
                            "automatable": p.change == ChangeMode::Ramped, "doc": p.doc,
                        })
                    })
                    .collect();
                json!({
                    "id": row.id, "name": row.name, "description": row.description, "model": row.plays_model,
                    "parameters": parameters,
                })
            })
            .collect();
        print_line(serde_json::to_string_pretty(&rows).map_err(Failure::failed)?);
        return Ok(());
    }
    for row in REGISTRY {
        print_line(format_args!("{}: {}", row.id, row.description));
        for p in row.parameters {
            let range = format!("{} [{}]", p.expected(), p.text(p.default()));
            print_line(format_args!("  --{:<16} {range:<37} {}", flag_name(p.id), p.doc));
        }
    }
    Ok(())
}
