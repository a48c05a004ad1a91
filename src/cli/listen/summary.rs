//! `isotherm listen summary`, `export` and `import`: a test that several listeners took, here or in webMUSHRA.

use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::{
    Request, mark, no_slots, parse_protocol, parse_request, prepare_session, protocol_arguments, refuse_flags, setup_arguments,
};
use crate::cli::{Failure, examples, print_line};
use crate::compare::ReportFolder;
use crate::listen::summary::{Origin, SUMMARY_REPORT, Standing, Summary, TestIdentity, collect};
use crate::listen::{CAVEAT, Export, IMPORT, Import, Prepared, WebmushraError, export, prepare_stimuli, resolve_sides};

/// Lines of the table of listeners that a terminal shows; files have all.
const MOST_LINES: usize = 40;

pub fn commands() -> [Command; 3] {
    let path = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).value_name(value).value_parser(value_parser!(PathBuf)).help(help)
    };
    let flag = |name: &'static str, help: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    [
        Command::new("summary")
            .about("Tells what the sessions of several listeners show, of each and together; checks every record first")
            .arg(path("folder", "FOLDER", "The folder that holds the folders of the sessions").required(true))
            .arg(path("out", "PAGE-FOLDER", "A new folder for a page, summary.json, listeners.csv and pictures").long("out"))
            .arg(flag("force", "Replace an earlier summary"))
            .arg(flag("json", "The summary as JSON on standard output"))
            .arg(flag("csv", "A line for each session as CSV on standard output").conflicts_with("json"))
            .after_help(examples(&[
                "isotherm listen summary Sessions",
                "isotherm listen summary Sessions --out summary",
                "isotherm listen summary Sessions --csv",
            ])),
        Command::new("export")
            .about("Writes a test for webMUSHRA: its configuration, and the matched sounds under names that tell nothing")
            .arg(path("session", "SESSION", "Folder of a session with the same test; or name a test by its flags"))
            .arg(flag("webmushra", "The program to export for").required(true))
            .arg(path("out", "DIR", "A new folder; its folder configs is to be copied into webMUSHRA's").long("out").required(true))
            .args(setup_arguments())
            .args(protocol_arguments())
            .after_help(examples(&[
                "isotherm listen export --webmushra Sessions/2026-11-28 --out lab",
                "isotherm listen export --webmushra --a 'saturator drive=24' --b 'neural model=twin.nam' --sound riff.wav --to 8 --out lab",
            ])),
        Command::new("import")
            .about("Reads the answers of webMUSHRA to an exported test, for `isotherm listen summary`")
            .arg(
                path("tables", "RESULTS.csv", "paired_comparison.csv of webMUSHRA, and for a preference mushra.csv")
                    .num_args(1..)
                    .required(true),
            )
            .arg(path("export", "DIR", "The folder that `isotherm listen export` wrote").long("export").required(true))
            .arg(path("out", "DIR", "A new folder for the answers, beside the sessions of the test").long("out").required(true))
            .after_help(examples(&[
                "isotherm listen import results/paired_comparison.csv --export lab --out Sessions/webmushra",
            ])),
    ]
}

/// The path of an argument; empty if it is not there.
fn path_of(matches: &ArgMatches, name: &str) -> PathBuf {
    matches.get_one::<PathBuf>(name).cloned().unwrap_or_default()
}

pub fn run_summary(matches: &ArgMatches) -> Result<(), Failure> {
    let folder = path_of(matches, "folder");
    let (out, force) = (matches.get_one::<PathBuf>("out"), matches.get_flag("force"));
    if let Some(out) = out {
        ReportFolder::check(&SUMMARY_REPORT, out, force).map_err(Failure::failed)?;
    }
    let collected = collect(&folder).map_err(Failure::failed)?;
    let name = folder.display().to_string();
    let summary = Summary::new(collected.test, &name, collected.entries).map_err(Failure::failed)?;
    if let Some(out) = out {
        summary.write(out, force).map_err(Failure::failed)?;
    }
    if matches.get_flag("json") {
        print_line(summary.to_json().map_err(Failure::failed)?.trim_end());
    } else if matches.get_flag("csv") {
        print_line(summary.to_csv().trim_end());
    } else {
        print_summary(&summary);
        out.into_iter().for_each(|out| print_line(format_args!("The page: {}", out.join("index.html").display())));
    }
    Ok(())
}

/// Prints the result, the listeners and what does not count.
fn print_summary(summary: &Summary) {
    print_line(&summary.subject);
    summary.sentences.iter().for_each(print_line);
    let lines: Vec<String> = summary.listener_lines();
    lines.iter().take(MOST_LINES).for_each(|line| print_line(format_args!("  {line}")));
    if lines.len() > MOST_LINES {
        print_line(format_args!("  and {} more listeners (--csv or --out has all)", lines.len() - MOST_LINES));
    }
    let others: Vec<_> = summary.rows.iter().filter(|row| row.standing != Standing::Counted).collect();
    for row in others.iter().take(MOST_LINES) {
        let listener = match row.origin {
            Origin::Session if row.listener == row.session => String::new(),
            _ => format!(" ({})", row.listener),
        };
        print_line(format_args!("Not counted: {}{listener}: {}", row.session, row.reason));
    }
    if others.len() > MOST_LINES {
        print_line(format_args!("Not counted: {} more (--csv or --out has all)", others.len() - MOST_LINES));
    }
    summary.remarks.iter().for_each(print_line);
}

/// The test and the sounds that an export is asked for.
fn requested(matches: &ArgMatches) -> Result<(TestIdentity, Prepared), Failure> {
    if let Some(session) = matches.get_one::<PathBuf>("session") {
        refuse_flags(matches, &[setup_arguments(), protocol_arguments()].concat())?;
        let (prepared, configuration) = prepare_session(session)?;
        return Ok((TestIdentity::of_session(session, &configuration), prepared));
    }
    let protocol = parse_protocol(matches)?;
    let Request { audio, sides, range, control, .. } = parse_request(matches)?;
    let sides = resolve_sides(&sides, &no_slots(), &audio).map_err(Failure::failed)?;
    let is_called_off = std::sync::atomic::AtomicBool::new(false);
    let prepared = prepare_stimuli(&audio, range, &sides, control, &|_| (), &is_called_off).map_err(Failure::failed)?;
    Ok((TestIdentity::of_prepared(protocol, &prepared), prepared))
}

pub fn run_export(matches: &ArgMatches) -> Result<(), Failure> {
    let out = path_of(matches, "out");
    if out.exists() {
        return Err(Failure::Failed(format!("{}: exists already; expected a new name", out.display())));
    }
    let (test, prepared) = requested(matches)?;
    prepared.matching.gates.iter().for_each(|gate| print_line(format_args!("{} {}", mark(gate.passed()), gate.text)));
    let refused: Vec<String> =
        prepared.matching.gates.iter().filter(|gate| !gate.passed()).map(|gate| gate.text.clone()).collect();
    if !refused.is_empty() {
        return Err(Failure::Limits(refused));
    }
    let written = export(&test, &prepared, &out).map_err(Failure::failed)?;
    print_line(format_args!(
        "{}: copy the folder configs in it into webMUSHRA's folder, and open webMUSHRA with ?config={}.yaml; keep export.json for \
         `isotherm listen import`, and off the server",
        out.display(),
        written.test_id
    ));
    print_line(
        "Page and browser hide the order in webMUSHRA, not Isotherm: who opens the browser's tools can see it, and what is sent is not \
         signed.",
    );
    Ok(())
}

pub fn run_import(matches: &ArgMatches) -> Result<(), Failure> {
    let (out, folder) = (path_of(matches, "out"), path_of(matches, "export"));
    let tables: Vec<PathBuf> = matches.get_many::<PathBuf>("tables").into_iter().flatten().cloned().collect();
    let failed = |error: WebmushraError| Failure::failed(error);
    let export = Export::read(&folder).map_err(failed)?;
    let import = Import::new(&export, &tables).map_err(failed)?;
    import.write(&out).map_err(failed)?;
    for listener in &import.listeners {
        let line = match import.score(listener) {
            Ok(score) => format!("{} of {}", score.count, score.trials),
            Err(reason) => format!("not counted: {reason}"),
        };
        print_line(format_args!("{}: {line}", listener.listener));
    }
    print_line(CAVEAT);
    let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    print_line(format_args!("{}: {IMPORT}, which `isotherm listen summary {}` counts", out.display(), parent.display()));
    Ok(())
}
