//! `isotherm study`: many comparisons from one file, and the frontier of error against cost. Each cell is a process of its own, so
//! that one that crashes is a row, and that a cluster can run them.

use std::io::{IsTerminal, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use indicatif::{ProgressBar, ProgressStyle};

use super::compare::shell_word;
use super::train;
use super::{
    Failure, did_you_mean, effect_tip, examples, parse_integer, parse_integers, parse_number, print_error_line, print_line,
};
use crate::compare::SideError;
use crate::study::{
    Budget, COST_SECONDS, Cell, CellResult, FRONTIER_NETWORKS, Frontier, Plan, PlanError, Status, StudyFolder, Table,
    TrainingArguments, TwinnedError, collect, ratio_text, run_cell,
};

/// The folder of a frontier if none is named.
const FRONTIER_OUT: &str = "frontier";
/// The default of `--minutes`.
const MINUTES: &str = "10";
/// The default of `--look-ahead`: an oversampled curve rings before a sound, see `docs/training.md`.
const LOOK_AHEAD: &str = "4";
/// The default of `--material`, as that of `isotherm train`.
const MATERIAL: &str = "180";
/// Time between two looks at a cell's process and at Ctrl-C.
const LOOK: Duration = Duration::from_millis(20);
/// Most cells that run at once.
const MAX_JOBS: usize = 256;
/// The file of a training that can go on.
const CHECKPOINT: &str = "checkpoint.bin";
/// The file that a training writes last.
const CARD: &str = "card.md";
/// True after Ctrl-C.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

pub fn command() -> Command {
    let option = |name: &'static str, value: &'static str, help: String| {
        Arg::new(name).long(name).value_name(value).allow_hyphen_values(true).help(help)
    };
    let with_plan = |command: Command| {
        command
            .arg(
                Arg::new("file")
                    .value_name("FILE")
                    .value_parser(value_parser!(PathBuf))
                    .required_unless_present("frontier")
                    .help("The study: a TOML file with effects, models and sounds"),
            )
            .arg(
                Arg::new("out")
                    .long("out")
                    .value_name("FOLDER")
                    .value_parser(value_parser!(PathBuf))
                    .help(format!("The study's folder [the file's name without its ending; {FRONTIER_OUT}]")),
            )
            .arg(
                Arg::new("frontier").long("frontier").value_name("EFFECT").conflicts_with("file").help(
                    "Trains twins of an effect, as 'saturator drive=24', or of 'triode volts=2', and compares them with it",
                ),
            )
            .arg(
                option("minutes", "M", format!("Length of all trainings of a frontier together, on an idle machine [{MINUTES}]"))
                    .requires("frontier")
                    .conflicts_with("steps"),
            )
            .arg(option("steps", "N", "Steps of each training of a frontier instead".into()).requires("frontier"))
            .arg(
                option("networks", "LIST", format!("The networks of a frontier [{}]", FRONTIER_NETWORKS.join(",")))
                    .requires("frontier"),
            )
            .arg(option("seeds", "LIST", "Seeds of the trainings of a frontier [1]".into()).requires("frontier"))
            .arg(
                option("look-ahead", "FRAMES", format!("Latency of the twins of a frontier, 0 to 64 [{LOOK_AHEAD}]"))
                    .requires("frontier"),
            )
            .arg(
                option("material", "SECONDS", format!("How much a frontier's twins learn from, 20 to 600 [{MATERIAL}]"))
                    .requires("frontier"),
            )
            .arg(
                Arg::new("slow")
                    .long("slow")
                    .action(ArgAction::SetTrue)
                    .requires("frontier")
                    .help("LSTMs of a frontier that remember long from the first, as for a coupling capacitor"),
            )
            .arg(
                Arg::new("sound")
                    .long("sound")
                    .value_name("FILE.wav")
                    .value_parser(value_parser!(PathBuf))
                    .action(ArgAction::Append)
                    .requires("frontier")
                    .help("A sound to compare a frontier on; repeatable [built-in guitar, drums and speech-like]"),
            )
            .arg(
                option("cost-seconds", "S", format!("Time for measuring time in each cell of a frontier [{COST_SECONDS}]"))
                    .requires("frontier"),
            )
    };
    let folder =
        || Arg::new("folder").required(true).value_name("FOLDER").value_parser(value_parser!(PathBuf)).help("The study's folder");
    let plan = with_plan(Command::new("plan").about("Makes the study's folder and lists the commands of the cells to run"))
        .after_help(examples(&["isotherm study plan twins.toml > cells.txt"]));
    let cell = Command::new("cell")
        .about("Runs one cell, and leaves its result in the study's folder")
        .arg(folder())
        .arg(Arg::new("name").required(true).value_name("NAME").help("The cell's name, as plan lists it"))
        .after_help(examples(&["isotherm study cell twins warm.lstm-8.riff"]));
    let collect = Command::new("collect")
        .about("Makes the table of the cells that are there")
        .arg(folder())
        .after_help(examples(&["isotherm study collect twins"]));
    with_plan(Command::new("study").about("Makes many comparisons from one file, or the frontier of error against cost"))
        .arg(option("jobs", "N", "Cells that run at once; more than 1 makes measured times longer [1]".into()))
        .args_conflicts_with_subcommands(true)
        .subcommand_negates_reqs(true)
        .subcommand(plan)
        .subcommand(cell)
        .subcommand(collect)
        .after_help(examples(&[
            "isotherm study twins.toml",
            "isotherm study --frontier 'saturator drive=24' --minutes 10 --out frontier",
            "isotherm study plan twins.toml",
            "isotherm study collect twins",
        ]))
}

pub fn run(matches: &ArgMatches) -> Result<(), Failure> {
    match matches.subcommand() {
        Some(("plan", m)) => plan(m),
        Some(("cell", m)) => cell(m),
        Some(("collect", m)) => {
            let path = m.get_one::<PathBuf>("folder").cloned().unwrap_or_default();
            let table = collect(&StudyFolder::open(&path).map_err(Failure::failed)?).map_err(Failure::failed)?;
            summarise(&table, &path)
        }
        _ => study(matches),
    }
}

/// Makes the folder and lists the commands of the cells that are not done.
fn plan(matches: &ArgMatches) -> Result<(), Failure> {
    let (folder, shown) = make_folder(matches)?;
    for cell in folder.plan.cells.iter().filter(|cell| !folder.is_done(cell)) {
        print_line(format_args!("isotherm study cell {} {}", shell_word(&shown.to_string_lossy()), shell_word(&cell.name)));
    }
    Ok(())
}

/// Runs a cell in this process.
fn cell(matches: &ArgMatches) -> Result<(), Failure> {
    let path = matches.get_one::<PathBuf>("folder").cloned().unwrap_or_default();
    let folder = StudyFolder::open(&path).map_err(Failure::failed)?;
    let name = matches.get_one::<String>("name").map_or("", String::as_str);
    let cell = folder.cell(name).map_err(Failure::failed)?;
    let _lock = folder.lock_cell(cell).map_err(Failure::failed)?;
    // A process that ran the cell meanwhile may have done it.
    if folder.is_done(cell) {
        return Ok(());
    }
    enter(&folder.plan.base)?;
    let twin = folder.twin_folder(cell);
    let is_over = |twin: &Path| twin.join(CARD).is_file();
    let result = if is_over(&twin) { Ok(()) } else { train_twin(cell, &twin) };
    let result = match result {
        Ok(()) => run_cell(&folder, cell, Some(&twin)).map_err(Failure::failed)?,
        Err(reason) => {
            let result = CellResult::failed(cell, reason);
            folder.keep(&result).map_err(Failure::failed)?;
            result
        }
    };
    result.error.map_or(Ok(()), |error| Err(Failure::Failed(format!("{name}: {error}"))))
}

/// Makes the plan's folder the working folder, from which its relative paths start.
fn enter(base: &Path) -> Result<(), Failure> {
    std::env::set_current_dir(base).map_err(|error| Failure::Failed(format!("{}: {error}", base.display())))
}

/// Trains the twin of a cell, if it has one; goes on where an earlier process ended. The error is one line.
fn train_twin(cell: &Cell, twin: &Path) -> Result<(), String> {
    let is_begun = twin.join(CHECKPOINT).is_file();
    let arguments = TrainingArguments::of(cell, twin, is_begun).map_err(|error: TwinnedError| error.to_string())?;
    let Some(TrainingArguments(arguments)) = arguments else { return Ok(()) };
    if !is_begun {
        // A training that ended before its first checkpoint leaves a folder that is not empty.
        let _ = std::fs::remove_dir_all(twin);
    }
    let matches = train::command().try_get_matches_from(&arguments).map_err(|error| error.to_string().replace('\n', " "))?;
    let words: Vec<String> = arguments.iter().map(|word| shell_word(word)).collect();
    match train::run_as(&matches, &format!("isotherm {}", words.join(" "))) {
        Ok(_) => Ok(()),
        Err(Failure::Usage(line) | Failure::Failed(line) | Failure::Lost(line)) => Err(format!("training: {line}")),
        Err(Failure::Limits(lines)) => Err(format!("training: {}", lines.join("; "))),
    }
}

/// The reason why a process failed: the last line that it wrote, or the way in which it ended.
fn reason(written: &[u8], status: std::process::ExitStatus) -> String {
    let text = String::from_utf8_lossy(written);
    let line = text.lines().rev().find(|line| !line.trim().is_empty());
    match line {
        Some(line) if status.code().is_some() => line.trim().trim_start_matches("isotherm: ").into(),
        _ => format!("the process ended with {status}"),
    }
}

/// Runs all cells that are not done, and makes the table.
fn study(matches: &ArgMatches) -> Result<(), Failure> {
    let jobs = matches.get_one::<String>("jobs").map_or(Ok(1), |text| parse_integer("jobs", text, 1, MAX_JOBS))?;
    let (folder, shown) = make_folder(matches)?;
    // Fails only if the process has a handler already, as in another program that calls this one; then that handler stays.
    let _ = ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::SeqCst));
    let open: Vec<&Cell> = folder.plan.cells.iter().filter(|cell| !folder.is_done(cell)).collect();
    let count = folder.plan.cells.len();
    if open.len() < count {
        print_line(format_args!("{} of {count} cells are done already", count - open.len()));
    }
    let bar = if std::io::stderr().is_terminal() { ProgressBar::new(open.len() as u64) } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos} of {len} cells, {eta} left") {
        bar.set_style(style);
    }
    let next = AtomicUsize::new(0);
    let failure: Mutex<Option<Failure>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..jobs.min(open.len()) {
            scope.spawn(|| {
                while let Some(cell) = open.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(error) = run_process(&folder, cell) {
                        INTERRUPTED.store(true, Ordering::SeqCst);
                        if let Ok(mut first) = failure.lock() {
                            first.get_or_insert(error);
                        }
                    }
                    if INTERRUPTED.load(Ordering::SeqCst) {
                        break;
                    }
                    bar.inc(1);
                }
            });
        }
    });
    bar.finish_and_clear();
    if let Some(failure) = failure.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        return Err(failure);
    }
    if INTERRUPTED.load(Ordering::SeqCst) {
        let done = folder.plan.cells.iter().filter(|cell| folder.is_done(cell)).count();
        return Err(Failure::Failed(format!("interrupted: {done} of {count} cells are done; the same command goes on")));
    }
    let table = collect(&folder).map_err(Failure::failed)?;
    summarise(&table, &shown)
}

/// Runs a cell in a process of its own. What the process does not tell, as when it is killed, is kept as the cell's result.
fn run_process(folder: &StudyFolder, cell: &Cell) -> Result<(), Failure> {
    folder.forget(cell).map_err(Failure::failed)?;
    let program = std::env::current_exe().map_err(Failure::failed)?;
    let mut process = Process::new(program);
    process.args(["study", "cell"]).arg(&folder.path).arg(&cell.name);
    let child = process.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(Failure::failed)?;
    let Some((status, written)) = wait(child)? else { return Ok(()) };
    if folder.result(cell).is_none() {
        folder.keep(&CellResult::failed(cell, reason(&written, status))).map_err(Failure::failed)?;
    }
    Ok(())
}

/// Waits for a process; returns its end and what it wrote to standard error. After Ctrl-C it ends the process and returns nothing.
fn wait(mut child: Child) -> Result<Option<(std::process::ExitStatus, Vec<u8>)>, Failure> {
    let mut pipe = child.stderr.take();
    let reader = std::thread::spawn(move || {
        let mut written = Vec::new();
        // An error of the pipe ends the text, which is then shorter.
        let _ = pipe.as_mut().map(|pipe| pipe.read_to_end(&mut written));
        written
    });
    loop {
        if let Some(status) = child.try_wait().map_err(Failure::failed)? {
            let written = reader.join().unwrap_or_default();
            return Ok((!INTERRUPTED.load(Ordering::SeqCst)).then_some((status, written)));
        }
        if INTERRUPTED.load(Ordering::SeqCst) {
            // It may have ended meanwhile.
            let _ = child.kill();
            let _ = child.wait();
            return Ok(None);
        }
        std::thread::sleep(LOOK);
    }
}

/// Reads the plan and makes the study's folder; returns it with its path as the user wrote it.
fn make_folder(matches: &ArgMatches) -> Result<(StudyFolder, PathBuf), Failure> {
    let out = |default: PathBuf| matches.get_one::<PathBuf>("out").cloned().unwrap_or(default);
    let here = std::env::current_dir().map_err(Failure::failed)?;
    let (plan, out) = match matches.get_one::<PathBuf>("file") {
        Some(file) => {
            let out = out(PathBuf::from(file.file_stem().unwrap_or_default()));
            if out == *file {
                let line = "has no ending, so its folder would have its name; expected --out FOLDER";
                return Err(Failure::Usage(format!("{}: {line}", file.display())));
            }
            let failed = |error: std::io::Error| Failure::Failed(format!("{}: {error}", file.display()));
            let file = file.canonicalize().map_err(failed)?;
            enter(file.parent().unwrap_or(Path::new("/")))?;
            (Plan::read(&file).map_err(plan_failure)?, out)
        }
        None => (Plan::of_frontier(&frontier(matches)?).map_err(plan_failure)?, out(FRONTIER_OUT.into())),
    };
    let folder = StudyFolder::create(&here.join(&out), plan).map_err(Failure::failed)?;
    Ok((folder, out))
}

/// The failure of a plan, with the nearest name where one is misspelt.
fn plan_failure(error: PlanError) -> Failure {
    let tip = match &error {
        PlanError::Side { source, .. } => match &**source {
            SideError::Effect(error) => effect_tip(error),
            SideError::Unknown(unknown) => did_you_mean(&unknown.found, unknown.expected.split(", ").chain(["dry"])),
            _ => String::new(),
        },
        PlanError::Twinned(TwinnedError::Effect(error)) => effect_tip(error),
        _ => String::new(),
    };
    Failure::Failed(format!("{error}{tip}"))
}

/// The frontier that the flags ask for.
fn frontier(matches: &ArgMatches) -> Result<Frontier, Failure> {
    let text = |name: &str| matches.get_one::<String>(name).map(String::as_str);
    let budget = match text("steps") {
        Some(steps) => Budget::Steps(parse_integer("steps", steps, 1, 1 << 40)? as u64),
        None => Budget::Minutes(parse_number("minutes", text("minutes").unwrap_or(MINUTES), 0.1, 100_000.0)?),
    };
    let networks = text("networks").map(|list| list.split(',').map(|name| name.trim().to_owned()).collect());
    let seeds = text("seeds").map_or_else(|| Ok(vec![1]), |list| parse_integers("seeds", list, 0, 1 << 48))?;
    let here = std::env::current_dir().map_err(Failure::failed)?;
    Ok(Frontier {
        effect: text("frontier").unwrap_or("").into(),
        networks: networks.unwrap_or_else(|| FRONTIER_NETWORKS.map(str::to_owned).to_vec()),
        budget,
        seeds: seeds.into_iter().map(|seed| seed as u64).collect(),
        look_ahead: parse_integer("look-ahead", text("look-ahead").unwrap_or(LOOK_AHEAD), 0, 64)?,
        slow: matches.get_flag("slow"),
        material_seconds: parse_number("material", text("material").unwrap_or(MATERIAL), 20.0, 600.0)?,
        sounds: matches.get_many::<PathBuf>("sound").into_iter().flatten().map(|path| here.join(path)).collect(),
        cost_seconds: text("cost-seconds").map_or(Ok(COST_SECONDS), |text| parse_number("cost-seconds", text, 0.0, 3600.0))?,
    })
}

/// Prints what the table says: the frontiers, the rows without figures, and where the page is.
fn summarise(table: &Table, folder: &Path) -> Result<(), Failure> {
    for frontier in &table.frontiers {
        print_line(format_args!("{}:", frontier.effect));
        for point in &frontier.points {
            print_line(format_args!(
                "  {:<20} NMR {:>6.1} dB  error {:>6.1} dB  {:>8.1} ns  {:>6} times the effect{}",
                point.model,
                point.nmr_db,
                point.error_db,
                point.ns,
                ratio_text(point.ratio),
                if point.is_on_frontier { "  frontier" } else { "" }
            ));
        }
        frontier.sentences.iter().for_each(print_line);
    }
    let without: Vec<_> = table.rows.iter().filter(|row| row.status != Status::Done).collect();
    for row in &without {
        let (word, reason) = (row.status.word(), row.reason.as_deref().unwrap_or(""));
        print_error_line(format_args!("{} on {}: {word}: {reason}", row.cell, row.sound));
    }
    print_line(format_args!("The table: {}", folder.join("index.html").display()));
    match without.len() {
        0 => Ok(()),
        lost => Err(Failure::Lost(format!("{lost} of {} rows have no figures", table.rows.len()))),
    }
}
