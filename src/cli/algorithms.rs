//! `isotherm algorithms`: what there is and what can be set.

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::json;

use super::{Failure, flag, say};
use crate::algorithm::REGISTRY;
use crate::dsp::{Change, Kind};

pub fn command() -> Command {
    Command::new("algorithms")
        .about("Lists the algorithms and their parameters")
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("As JSON"))
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
                            Kind::Float { unit, .. } => ("float", Some(unit.suffix().trim()), None),
                            Kind::Choice { names, .. } => ("choice", None, Some(names)),
                            Kind::Toggle { .. } => ("toggle", None, None),
                        };
                        json!({
                            "id": p.id, "flag": format!("--{}", flag(p.id)), "name": p.name, "kind": kind, "unit": unit,
                            "min": min, "max": max, "default": p.default(), "off_at_max": p.is_off(max), "choices": choices,
                            "automatable": p.change == Change::Ramped, "doc": p.doc,
                        })
                    })
                    .collect();
                json!({ "id": row.id, "name": row.name, "description": row.description, "model": row.model, "parameters": parameters })
            })
            .collect();
        say(serde_json::to_string_pretty(&rows).map_err(Failure::failed)?);
        return Ok(());
    }
    for row in REGISTRY {
        say(format_args!("{}: {}", row.id, row.description));
        for p in row.parameters {
            let range = format!("{} [{}]", p.expected(), p.text(p.default()));
            say(format_args!("  --{:<16} {range:<37} {}", flag(p.id), p.doc));
        }
    }
    Ok(())
}
