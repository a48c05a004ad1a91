//! `isotherm train`: trains the neural twin of an algorithm, of a circuit, or of a recording before and after an effect.

mod curve;

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::input::read_wav;
use super::{
    Failure, algorithm_argument, circuit, examples, flag_name, parse_integer, parse_number, parse_settings, path_text,
    print_line, with_parameter_flags,
};
use crate::algorithm::REGISTRY;
use crate::measure::audible_bands;
use crate::train::checkpoint::CheckpointError;
use crate::train::clock::busy_remark;
use crate::train::export::{self, ModelMetadata};
use crate::train::trainer::{mr_stft, octave_errors};
use crate::train::{
    CellKind, Condition, DESIGN_NAMES, Design, EarlyStopping, Loss, Material, PairReport, TIME_CEILING, Target, TrainedNetwork,
    Trainer, TrainingConfig, TrainingEnd, TrainingLoop, checkpoint,
};

/// File name of the checkpoint in the output folder.
const CHECKPOINT: &str = "checkpoint.bin";
/// File name of the card (the report on the twin), without its ending.
const CARD: &str = "card";
/// File name of the picture of the error over time.
const CURVE: &str = "curve.png";
/// File name of the exported models, without their endings.
const TWIN: &str = "twin";
/// Largest number of frames for `--look-ahead`: about as long as the filters of an oversampler ring.
const MAX_LOOK_AHEAD: usize = 64;
/// Smallest and largest number for `--frames`.
const SEQUENCE_FRAMES: (usize, usize) = (16, 16_384);
/// Smallest and largest number for `--sequences`.
const SEQUENCES: (usize, usize) = (1, 1024);
/// The heading of the flags that say what is learnt, in the help text.
const SOURCE_HEADING: &str = "What to learn (--target, or --dry with --wet)";
/// Seconds of training between two checkpoints.
const CHECKPOINT_SECONDS: f64 = 10.0;
/// Minutes of a training on an idle machine, if the user says nothing else.
const DEFAULT_MINUTES: &str = "1";
/// The longest training in minutes that `--minutes` and `--max-minutes` take.
const MAX_MINUTES: f64 = 10_000.0;

/// Help of `--loss`.
const LOSS_HELP: &str =
    "What training minimises: emphasis (of the treble, by 0.85) or octaves (also each by the signal's own level)";

pub fn command() -> Command {
    let option = |name: &'static str, long: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(long).value_name(value).allow_hyphen_values(true).help(help)
    };
    let file = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("FILE.wav").value_parser(value_parser!(PathBuf)).help(help)
    };
    let command = Command::new("train")
        .about(
            "Trains the neural twin of an algorithm (--target saturator), of a circuit (--target triode), \
             or of a recording before and after an effect (--dry, --wet)",
        )
        .arg(
            Arg::new("out")
                .long("out")
                .required(true)
                .value_name("FOLDER")
                .value_parser(value_parser!(PathBuf))
                .help("New or empty; with --resume that of before"),
        )
        .arg(
            file("dry", "Before the effect: mono or two equal channels, 10 s or more")
                .requires("wet")
                .help_heading(SOURCE_HEADING),
        )
        .arg(
            file("wet", "Behind the effect: as long, or up to 1 s longer")
                .requires("dry")
                .conflicts_with("algorithm")
                .help_heading(SOURCE_HEADING),
        )
        .arg(
            file("hold", "Another sound to measure the twin of an algorithm with; may be given more than once")
                .action(ArgAction::Append)
                .conflicts_with("wet"),
        )
        .arg(Arg::new("network").long("network").value_name("NAME").default_value("lstm-16").help(DESIGN_NAMES))
        .arg(
            option("minutes", "minutes", "M", "How long on an idle machine, about: it sets the number of steps [1]")
                .conflicts_with("steps"),
        )
        .arg(option("steps", "steps", "N", "How many steps instead"))
        .arg(option(
            "max_minutes",
            "max-minutes",
            "M",
            "Ends after this time even if steps are left [10 times --minutes; with --steps no limit]",
        ))
        .arg(option("stop", "stop-at", "ESR", "Ends when the error on the held-out sound is this low"))
        .arg(option("patience", "patience", "N", "Ends when N evaluations in a row on the held-out sound found no lower error"))
        .arg(
            option(
                "look_ahead",
                "look-ahead",
                "FRAMES",
                "Latency of the twin, 0 to 64, which lets it look ahead; hosts are told",
            )
            .default_value("0"),
        )
        .arg(option("loss", "loss", "NAME", LOSS_HELP).default_value("emphasis"))
        .arg(option(
            "frames",
            "frames",
            "N",
            "Frames of each sequence of a batch, 16 to 16384 [256, with --slow 512; tcn and wavenet by their reach]",
        ))
        .arg(option(
            "sequences",
            "sequences",
            "N",
            "Sequences of a batch, 1 to 1024; for lstm and gru a multiple of 16 [32; tcn and wavenet 16]",
        ))
        .arg(option("seed", "seed", "N", "Seed of weights and material").default_value("1"))
        .arg(option("material", "material", "SECONDS", "How much is generated for --target, 20 to 600").default_value("180"))
        .arg(
            option("sample_rate", "sample-rate", "HZ", "Sample rate of the twin of an algorithm, 8000 to 192000")
                .default_value("48000"),
        )
        .arg(option("threads", "threads", "N", "1 to 16; changes no weight [2]"))
        .arg(
            option(
                "condition",
                "condition",
                "PARAMETER=FROM..TO",
                "A parameter of the algorithm as a knob of its twin: drive=0..36",
            )
            .conflicts_with("dry"),
        )
        .arg(circuit::volts_argument().conflicts_with("dry").help_heading(SOURCE_HEADING))
        .arg(
            Arg::new("slow")
                .long("slow")
                .action(ArgAction::SetTrue)
                .help("For an effect with a slow memory: an LSTM that remembers long from the first"),
        )
        .arg(Arg::new("resume").long("resume").action(ArgAction::SetTrue).help("Goes on at the checkpoint in the folder"))
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("The card as JSON"));
    let rows = REGISTRY.iter().copied().filter(|row| !row.plays_model);
    let target = algorithm_argument("target", rows, &[circuit::TRIODE])
        .required_unless_present("dry")
        .help("What to learn: an algorithm, whose parameters --help lists, or the circuit triode (--volts)")
        .help_heading(SOURCE_HEADING);
    with_parameter_flags(command.arg(target)).after_help(examples(&[
        "isotherm train --target saturator --drive 24 --minutes 5 --out twin",
        "isotherm train --target triode --volts 2 --slow --minutes 5 --out warm",
        "isotherm train --dry before.wav --wet after.wav --minutes 5 --out amp",
        "isotherm train --target saturator --condition drive=0..36 --out knob",
    ]))
}

pub fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let card = run_as(matches, &command_line())?;
    if matches.get_flag("json") {
        print_line(&card);
    } else {
        for line in summary_lines(&card) {
            print_line(line);
        }
    }
    Ok(())
}

/// Trains, writes the twin's files, and returns its card. `command` is the command line that trains the same twin again.
pub(super) fn run_as(matches: &ArgMatches, command: &str) -> Result<Value, Failure> {
    let (target, condition) = target(matches)?.unzip();
    let condition = condition.flatten();
    let config = config(matches, condition.is_some())?;
    let early_stopping = early_stopping(matches)?;
    let folder = OutputFolder::open(matches)?;
    let (material, source) = material(matches, target.as_ref().zip(Some(condition)), config.seed)?;
    let training_id = format!("{source} {config:?}");
    let trainer = Trainer::new(config, Arc::new(material)).map_err(Failure::failed)?;
    let mut training = TrainingLoop::new(trainer, early_stopping);
    if matches.get_flag("resume") {
        let state = checkpoint::read(&folder.file(CHECKPOINT), &training_id).map_err(|error| match error {
            CheckpointError::OtherTraining { path, found, expected } => {
                let (found, expected) = difference(&found, &expected);
                Failure::Failed(format!("{path}: of another training: {found}; expected {expected}"))
            }
            other => Failure::failed(other),
        })?;
        if !training.restore(state) {
            return Err(Failure::Failed(format!("{}: does not fit this training", folder.file(CHECKPOINT).display())));
        }
    }
    let trained = train(training, &folder, &training_id)?;
    let card = card_json(&trained, &source, command);
    write_files(&trained, &folder, &card)?;
    Ok(card)
}

/// Returns the first parts of both texts that differ, each up to the next comma or bracket.
fn difference<'a>(a: &'a str, b: &'a str) -> (&'a str, &'a str) {
    let same = a.char_indices().zip(b.chars()).find(|((_, a), b)| a != b).map_or(a.len().min(b.len()), |((at, _), _)| at);
    let start = a[..same].rfind([',', '{', '(']).map_or(0, |at| at + 1);
    let part = |text: &'a str| text[start..].split([',', '}', ')']).next().unwrap_or("").trim();
    (part(a), part(b))
}

/// Returns the training configuration that the flags ask for. `conditioned` is true if a parameter of the target becomes a knob
/// of the twin.
fn config(matches: &ArgMatches, conditioned: bool) -> Result<TrainingConfig, Failure> {
    let text = |name: &str| matches.get_one::<String>(name).map(String::as_str);
    let mut design = Design::parse(text("network").unwrap_or("")).map_err(|e| Failure::Usage(format!("--network: {e}")))?;
    if matches.get_flag("slow") {
        match &mut design {
            Design::Recurrent(shape) if shape.cell == CellKind::Lstm => shape.chrono = true,
            _ => return Err(Failure::Usage("--slow is for networks lstm-N".into())),
        }
    }
    if conditioned {
        match &mut design {
            Design::Recurrent(shape) => shape.inputs = 2,
            Design::Convolutional(_) => return Err(Failure::Usage("--condition is for networks lstm-N and gru-N".into())),
        }
    }
    let mut config = TrainingConfig::new(design, 1);
    config.loss = Loss::parse(text("loss").unwrap_or("")).map_err(|e| Failure::Usage(format!("--loss: {e}")))?;
    let number =
        |name: &str, (fewest, most), default| text(name).map_or(Ok(default), |value| parse_integer(name, value, fewest, most));
    let sequences = number("sequences", SEQUENCES, config.sequences)?;
    let frames = number("frames", SEQUENCE_FRAMES, config.frames)?;
    config = config.with_batch(sequences, frames);
    config.steps = match text("steps") {
        Some(steps) => parse_integer("steps", steps, 1, 1 << 40)? as u64,
        None => config.steps_in(60.0 * minutes(matches)?),
    };
    config.seed = parse_integer("seed", text("seed").unwrap_or("1"), 0, 1 << 48)? as u64;
    config.look_ahead = parse_integer("look-ahead", text("look_ahead").unwrap_or("0"), 0, MAX_LOOK_AHEAD)?;
    if let Some(threads) = text("threads") {
        config.threads = parse_integer("threads", threads, 1, 16)?;
    }
    Ok(config)
}

/// Returns the minutes of `--minutes`.
fn minutes(matches: &ArgMatches) -> Result<f64, Failure> {
    let text = matches.get_one::<String>("minutes").map_or(DEFAULT_MINUTES, String::as_str);
    parse_number("minutes", text, 0.01, MAX_MINUTES)
}

/// Returns the reasons to end before all steps are done.
fn early_stopping(matches: &ArgMatches) -> Result<EarlyStopping, Failure> {
    let text = |name: &str| matches.get_one::<String>(name).map(String::as_str);
    let max_minutes = match text("max_minutes") {
        Some(text) => Some(parse_number("max-minutes", text, 0.01, TIME_CEILING * MAX_MINUTES)?),
        None if matches.contains_id("steps") => None,
        None => Some(TIME_CEILING * minutes(matches)?),
    };
    Ok(EarlyStopping {
        max_seconds: max_minutes.map(|minutes| 60.0 * minutes),
        esr: text("stop").map(|text| parse_number("stop-at", text, 1e-12, 1.0)).transpose()?,
        patience: text("patience").map(|text| parse_integer("patience", text, 1, 1 << 20)).transpose()?,
    })
}

/// Returns the target of `--target` and the parameter of it that becomes a knob; `None` if a recorded pair is learnt.
fn target(matches: &ArgMatches) -> Result<Option<(Target, Option<Condition>)>, Failure> {
    let Some(id) = matches.get_one::<String>("algorithm") else { return Ok(None) };
    if id == circuit::TRIODE {
        let parameters = REGISTRY.iter().flat_map(|row| row.parameters).map(|p| p.id);
        if let Some(other) = parameters.chain(["condition"]).find(|id| matches.contains_id(id)) {
            return Err(Failure::Usage(format!("--{} is none of {id}'s; expected --volts", flag_name(other))));
        }
        return Ok(Some((Target::Triode(circuit::parse_stage(matches)?), None)));
    }
    if matches.contains_id("volts") {
        return Err(Failure::Usage(format!("--volts is for --target {}", circuit::TRIODE)));
    }
    let settings = parse_settings(matches, id)?;
    let condition = matches.get_one::<String>("condition").map(|text| Condition::parse(text, &settings)).transpose();
    let condition = condition.map_err(|error| Failure::Usage(format!("--condition: {error}")))?;
    Ok(Some((Target::Effect(settings.into()), condition)))
}

/// Returns the material to learn from, and its source for the card.
fn material(matches: &ArgMatches, target: Option<(&Target, Option<Condition>)>, seed: u64) -> Result<(Material, Value), Failure> {
    let path = |name: &str| matches.get_one::<PathBuf>(name).ok_or_else(|| Failure::Usage(format!("no --{name} file")));
    let Some((target, condition)) = target else {
        let (dry, wet) = (path("dry")?, path("wet")?);
        let (material, report) =
            Material::of_pair(&read_wav(dry).map_err(Failure::failed)?, &read_wav(wet).map_err(Failure::failed)?)
                .map_err(|error| Failure::Failed(format!("{} and {}: {error}", dry.display(), wet.display())))?;
        let remarks = report.remarks();
        for remark in &remarks {
            let _ = writeln!(std::io::stderr(), "isotherm: warning: {remark}");
        }
        let PairReport { delay, inverted, correlation, replicate_esr, .. } = report;
        let source = json!({
            "dry": path_text(dry), "wet": path_text(wet), "delay_frames": delay, "inverted": inverted, "correlation": correlation,
            "replicate_esr": replicate_esr, "remarks": remarks,
        });
        return Ok((material, source));
    };
    let text = |name: &str| matches.get_one::<String>(name).map_or("", String::as_str);
    let seconds = parse_number("material", text("material"), 20.0, 600.0)?;
    let rate = parse_integer("sample-rate", text("sample_rate"), 8000, 192_000)? as u32;
    let mut sounds = Vec::new();
    for path in matches.get_many::<PathBuf>("hold").into_iter().flatten() {
        let sound = read_wav(path).map_err(Failure::failed)?;
        if sound.sample_rate() != rate {
            let found = sound.sample_rate();
            return Err(Failure::Failed(format!("{}: {found} Hz; expected {rate} Hz", path.display())));
        }
        sounds.push((path, sound.mix_down()));
    }
    let mut material = Material::of_target(target, condition, rate, (seconds, seed), &|| true).map_err(Failure::failed)?;
    for (path, sound) in &sounds {
        material.hold_out(target, condition, &path.display().to_string(), sound.channel(0)).map_err(Failure::failed)?;
    }
    let mut source = match target {
        Target::Effect(effect) => json!({ "algorithm": effect.algorithm().id, "settings": effect.settings.to_json() }),
        Target::Triode(stage) => {
            json!({ "circuit": circuit::TRIODE, "volts": stage.volts, "oversampling": stage.oversampling })
        }
    };
    source["sample_rate"] = json!(rate);
    source["material_seconds"] = json!(seconds);
    source["held_files"] = json!(sounds.iter().map(|(path, _)| path_text(path)).collect::<Vec<_>>());
    if let Some(knob) = &material.knob {
        source["condition"] = json!({ "parameter": knob.parameter, "from": knob.from, "to": knob.to });
    }
    Ok((material, source))
}

/// The folder to which checkpoint, models and card are written.
struct OutputFolder(PathBuf);

impl OutputFolder {
    /// Makes the folder if it does not exist, and checks that it has room, so that no training runs in vain.
    fn open(matches: &ArgMatches) -> Result<Self, Failure> {
        let path = matches.get_one::<PathBuf>("out").ok_or_else(|| Failure::Usage("no --out folder".into()))?;
        let failed = |error: std::io::Error| Failure::Failed(format!("{}: {error}", path.display()));
        if matches.get_flag("resume") {
            if !path.join(CHECKPOINT).is_file() {
                return Err(Failure::Failed(format!(
                    "{}: no {CHECKPOINT} in it; expected the folder of a training",
                    path.display()
                )));
            }
        } else if path.exists() {
            if !path.is_dir() {
                return Err(Failure::Failed(format!("{}: no folder; expected a new or empty one", path.display())));
            }
            if path.read_dir().map_err(failed)?.next().is_some() {
                return Err(Failure::Failed(format!(
                    "{}: not empty; expected a new or empty folder, or --resume",
                    path.display()
                )));
            }
        } else {
            std::fs::create_dir_all(path).map_err(failed)?;
        }
        let folder = Self(path.clone());
        let test_file = folder.file("room.part");
        let result = std::fs::write(&test_file, vec![0u8; REQUIRED_BYTES]);
        let _ = std::fs::remove_file(&test_file);
        result.map_err(failed)?;
        Ok(folder)
    }

    /// Returns the path of a file in the folder.
    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file completely or not at all.
    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let (path, part) = (self.file(name), self.file(&format!("{name}.part")));
        let result = std::fs::write(&part, bytes).and_then(|()| std::fs::rename(&part, &path));
        result.map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))
    }
}

/// Room that the folder must have: more than a checkpoint and the exports of the largest network need.
const REQUIRED_BYTES: usize = 8 << 20;

/// Trains until all steps are done or something ends it early. Writes checkpoints meanwhile.
///
/// # Errors
/// If the training is interrupted (a checkpoint of this moment is written first), a checkpoint cannot be written, or the error is
/// not finite.
fn train(mut training: TrainingLoop, folder: &OutputFolder, training_id: &str) -> Result<TrainedNetwork, Failure> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = interrupted.clone();
    // Fails only if the process has a handler already, as in another program that calls this one; then that handler stays.
    let _ = ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed));
    let bar = if std::io::stderr().is_terminal() { ProgressBar::new(1000) } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {percent} % {eta} {msg}") {
        bar.set_style(style);
    }
    let save = |training: &TrainingLoop| {
        checkpoint::write(&folder.file(CHECKPOINT), training_id, &training.state()).map_err(Failure::failed)
    };
    // A first checkpoint shows before the training that one can be written.
    save(&training)?;
    let mut next_save = training.progress().seconds + CHECKPOINT_SECONDS;
    let mut shown = None;
    while !training.is_over() {
        let keeps_going = training.step(&|| !interrupted.load(Ordering::Relaxed));
        let progress = training.progress();
        bar.set_position((1000.0 * progress.done) as u64);
        if !keeps_going || interrupted.load(Ordering::Relaxed) {
            save(&training)?;
            return Err(Failure::Failed(format!("interrupted; --resume goes on at step {}", progress.steps)));
        }
        if progress.esr != shown {
            shown = progress.esr;
            let esr = shown.map(|esr| format!("ESR {esr:.2e}"));
            let message = esr.into_iter().chain(busy_remark(progress.cpu_share)).collect::<Vec<_>>().join(", ");
            bar.set_message(message);
        }
        if progress.seconds >= next_save {
            save(&training)?;
            next_save = progress.seconds + CHECKPOINT_SECONDS;
        }
    }
    bar.finish_and_clear();
    save(&training)?;
    let interruption = || Failure::Failed("interrupted; --resume goes on".into());
    let trained = training.finish(&|| !interrupted.load(Ordering::Relaxed)).ok_or_else(interruption)?;
    let esr = trained.evaluation.esr;
    if esr.is_finite() {
        Ok(trained)
    } else {
        Err(Failure::Failed(format!("the error came out as {esr}; expected a finite number")))
    }
}

/// Returns the card: network, material, training, errors, cost and curve. `card.json` contains it unchanged; `card.md` is made of
/// it.
fn card_json(trained: &TrainedNetwork, source: &Value, command: &str) -> Value {
    let TrainedNetwork { config, material, evaluation, .. } = trained;
    let seconds = |frames: usize| frames as f64 / f64::from(material.sample_rate);
    json!({
        "network": config.design.name(), "parameters": config.design.parameter_count(), "sample_rate": material.sample_rate,
        "data": {
            "origin": material.origin, "source": source, "train_seconds": seconds(material.train.dry.len()),
            "held_seconds": seconds(material.held_out.iter().map(|p| p.dry.len()).sum()),
        },
        "training": {
            "steps": trained.steps, "planned_steps": config.steps, "best_steps": trained.best_steps, "ended_by": trained.end.id(),
            "seconds": trained.seconds, "cpu_share": trained.cpu_share, "remarks": trained.remarks(),
            "seed": config.seed, "threads": config.threads,
            "look_ahead_frames": config.look_ahead, "sequences": config.sequences, "frames": config.frames,
            "learning_rates": [config.learning_rates.0, config.learning_rates.1],
            "loss": {
                "emphasis": config.loss.emphasis, "plain": config.loss.plain, "dc": config.loss.dc, "octaves": config.loss.octaves,
            },
        },
        "esr": evaluation.esr, "esr_pre_emphasis_0.85": evaluation.esr_emphasised,
        "mr_stft": mr_stft(&trained.architecture, material),
        "esr_by_level": evaluation.levels.iter().map(|(top, esr)| json!({ "up_to_dbfs": top, "esr": esr })).collect::<Vec<_>>(),
        "esr_by_sound": evaluation.sounds.iter().map(|(name, raw, emphasised)| {
            json!({ "sound": name, "esr": raw, "esr_pre_emphasis_0.85": emphasised })
        }).collect::<Vec<_>>(),
        "octaves_by_sound": octave_errors(&trained.architecture, material).iter().map(|(name, octaves)| {
            json!({ "sound": name, "octaves": octaves })
        }).collect::<Vec<_>>(),
        "esr_by_place": evaluation.knob_positions.iter().map(|(place, esr)| json!({
            "value": material.knob.as_ref().map(|knob| knob.from + place * (knob.to - knob.from)), "knob": place, "esr": esr,
        })).collect::<Vec<_>>(),
        "command": command,
        "ns_per_sample": evaluation.ns_per_sample,
        "curve": trained.curve.iter().map(|point| {
            json!({ "seconds": point.seconds, "steps": point.steps, "esr": point.esr })
        }).collect::<Vec<_>>(),
    })
}

/// Returns the nominal middle frequency (IEC 61260-1) of the octave whose exact middle is `hz`.
fn octave_name(hz: f64) -> &'static str {
    const NAMES: [&str; 10] = ["31.5", "63", "125", "250", "500", "1000", "2000", "4000", "8000", "16000"];
    let index = (hz / 1000.0).log2().round() as i64 + 5;
    usize::try_from(index).ok().and_then(|index| NAMES.get(index).copied()).unwrap_or("")
}

/// Returns the card's table of the error in each octave as Markdown: in dB of the signal there, or `faint`.
fn octave_table(card: &Value) -> String {
    let mut out = String::new();
    for sound in card["octaves_by_sound"].as_array().into_iter().flatten() {
        let octaves: Vec<&Value> = sound["octaves"].as_array().into_iter().flatten().collect();
        let number = |octave: &Value, key: &str| octave[key].as_f64();
        if out.is_empty() {
            let names: Vec<&str> = octaves.iter().map(|o| octave_name(number(o, "hz").unwrap_or(0.0))).collect();
            let _ =
                writeln!(out, "\n| error in dB, by octave (Hz) | {} |\n|---|{}", names.join(" | "), "---|".repeat(names.len()));
        }
        let levels: Vec<(f64, f64)> =
            octaves.iter().map(|o| (number(o, "hz").unwrap_or(0.0), number(o, "signal_db").unwrap_or(0.0))).collect();
        let cells = octaves.iter().zip(audible_bands(&levels)).map(|(octave, is_audible)| match number(octave, "error_db") {
            Some(db) if is_audible => format!("{db:.0}"),
            _ => "faint".into(),
        });
        let _ = writeln!(out, "| {} | {} |", sound["sound"].as_str().unwrap_or(""), cells.collect::<Vec<_>>().join(" | "));
    }
    out
}

/// Returns the command that trains the same twin again.
fn command_line() -> String {
    let arguments = std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned());
    std::iter::once("isotherm".to_owned()).chain(arguments).collect::<Vec<_>>().join(" ")
}

/// Writes the models in all formats that can hold them, the picture of the curve and the card.
fn write_files(trained: &TrainedNetwork, folder: &OutputFolder, card: &Value) -> Result<(), Failure> {
    let TrainedNetwork { config, material, architecture, evaluation, curve, .. } = trained;
    let metadata = ModelMetadata {
        name: format!("Twin, {}", config.design.name()),
        sample_rate: material.sample_rate,
        esr: evaluation.esr,
        late_frames: config.look_ahead,
        knob: material.knob.as_ref().map(|knob| knob.name.clone()),
    };
    if let Some(text) = export::nam(architecture, &metadata) {
        folder.write(&format!("{TWIN}.nam"), text.as_bytes())?;
    }
    if let Some(text) = export::keras(architecture, &metadata) {
        folder.write(&format!("{TWIN}.json"), text.as_bytes())?;
    }
    if let Some(bytes) = export::onnx(architecture, &metadata) {
        folder.write(&format!("{TWIN}.onnx"), &bytes)?;
    }
    let points: Vec<(f64, f64)> = curve.iter().map(|point| (point.seconds, point.esr)).collect();
    folder.write(CURVE, &curve::plot_png(&points))?;
    folder.write(&format!("{CARD}.json"), serde_json::to_string_pretty(card).map_err(Failure::failed)?.as_bytes())?;
    folder.write(&format!("{CARD}.md"), markdown(card).as_bytes())
}

/// Returns a number with three digits, as in `1.23e-4`.
fn figure(value: &Value) -> String {
    value.as_f64().map_or_else(|| "none".into(), |x| format!("{x:.2e}"))
}

/// Returns the card's most important figures as text.
fn summary_lines(card: &Value) -> Vec<String> {
    let levels = card["esr_by_level"].as_array().into_iter().flatten();
    let levels: Vec<String> =
        levels.map(|l| format!("up to {} dBFS {}", l["up_to_dbfs"].as_f64().unwrap_or(0.0), figure(&l["esr"]))).collect();
    let mut lines = vec![
        format!(
            "{}: {} parameters, {} steps in {:.1} s, {:.0} ns per sample",
            card["network"].as_str().unwrap_or(""),
            card["parameters"],
            card["training"]["steps"],
            card["training"]["seconds"].as_f64().unwrap_or(0.0),
            card["ns_per_sample"].as_f64().unwrap_or(0.0)
        ),
        format!(
            "ESR on what was held out {}, with pre-emphasis 0.85 {}, MR-STFT {}",
            figure(&card["esr"]),
            figure(&card["esr_pre_emphasis_0.85"]),
            figure(&card["mr_stft"])
        ),
        format!("by level: {}", levels.join(", ")),
    ];
    let training = &card["training"];
    if training["best_steps"] != training["steps"] {
        lines.push(format!("the twin is that of step {}, which had the lowest error", training["best_steps"]));
    }
    if training["ended_by"] == TrainingEnd::Time.id() {
        let planned = &training["planned_steps"];
        lines.push(format!("{} of {planned} steps are done: --resume goes on, with a larger --max-minutes", training["steps"]));
    }
    lines.extend(training["remarks"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
    lines
}

/// Returns the card as a page in Markdown.
fn markdown(card: &Value) -> String {
    let mut out = format!("# Twin: {}\n\n", card["network"].as_str().unwrap_or(""));
    for line in summary_lines(card) {
        let _ = writeln!(out, "- {line}");
    }
    if let Some(frames @ 1..) = card["training"]["look_ahead_frames"].as_u64() {
        let _ = writeln!(out, "- looks {frames} frames ahead: it is so late, and says so to its host");
    }
    let _ = writeln!(out, "- trained on {}", card["data"]["origin"].as_str().unwrap_or(""));
    for remark in card["data"]["source"]["remarks"].as_array().into_iter().flatten() {
        let _ = writeln!(out, "- {}", remark.as_str().unwrap_or(""));
    }
    let _ = writeln!(out, "- made by `{}`", card["command"].as_str().unwrap_or(""));
    if let (Some(knob), Some(places)) =
        (card["data"]["source"]["condition"]["parameter"].as_str(), card["esr_by_place"].as_array())
    {
        let _ = writeln!(out, "\n| {knob} | knob | ESR |\n|---|---|---|");
        for place in places {
            let _ = writeln!(out, "| {} | {} | {} |", place["value"], place["knob"], figure(&place["esr"]));
        }
    }
    let _ = writeln!(out, "\n| held out | ESR | with pre-emphasis 0.85 |\n|---|---|---|");
    for sound in card["esr_by_sound"].as_array().into_iter().flatten() {
        let (raw, emphasised) = (figure(&sound["esr"]), figure(&sound["esr_pre_emphasis_0.85"]));
        let _ = writeln!(out, "| {} | {raw} | {emphasised} |", sound["sound"].as_str().unwrap_or(""));
    }
    out += &octave_table(card);
    let _ = writeln!(out, "\n![ESR over seconds]({CURVE})\n\n| seconds | steps | ESR |\n|---|---|---|");
    for point in card["curve"].as_array().into_iter().flatten() {
        let _ =
            writeln!(out, "| {:.1} | {} | {} |", point["seconds"].as_f64().unwrap_or(0.0), point["steps"], figure(&point["esr"]));
    }
    out
}
