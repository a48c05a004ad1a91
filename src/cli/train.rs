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

use super::{
    Failure, algorithm_argument, circuit, examples, flag_name, parse_integer, parse_number, parse_settings, path_text,
    print_line, with_parameter_flags,
};
use crate::algorithm::REGISTRY;
use crate::audio::wav::read;
use crate::train::checkpoint::CheckpointError;
use crate::train::export::{self, ModelMetadata};
use crate::train::{
    CellKind, Condition, DESIGN_NAMES, Design, Evaluation, Limit, Material, PairReport, Target, Trainer, TrainingConfig,
    checkpoint,
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
/// The heading of the flags that say what is learnt, in the help text.
const SOURCE_HEADING: &str = "What to learn (--target, or --dry with --wet)";
/// Seconds of training between two checkpoints.
const CHECKPOINT_SECONDS: f64 = 10.0;
/// Seconds of training before the first evaluation on the held-out material. The time of training doubles until the next one.
const FIRST_EVALUATION_SECONDS: f64 = 5.0;
/// Longest time in seconds of training between two evaluations.
const MAX_EVALUATION_SECONDS: f64 = 30.0;

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
        .arg(option("minutes", "minutes", "M", "How long; the learning rate follows the clock [1]").conflicts_with("steps"))
        .arg(option("steps", "steps", "N", "How many steps instead: the same seed then gives the same weights"))
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
    let (target, condition) = target(matches)?.unzip();
    let condition = condition.flatten();
    let config = config(matches, condition.is_some())?;
    let stop = matches.get_one::<String>("stop").map(|text| parse_number("stop-at", text, 1e-12, 1.0)).transpose()?;
    let patience = matches.get_one::<String>("patience").map(|text| parse_integer("patience", text, 1, 1 << 20)).transpose()?;
    let folder = OutputFolder::open(matches)?;
    let (material, source) = material(matches, target.as_ref().zip(Some(condition)), config.seed)?;
    let training_id = format!("{source} {config:?}");
    let mut trainer = Trainer::new(config, Arc::new(material)).map_err(Failure::failed)?;
    if matches.get_flag("resume") {
        let state = checkpoint::read(&folder.file(CHECKPOINT), &training_id).map_err(|error| match error {
            CheckpointError::OtherTraining { path, found, expected } => {
                let (found, expected) = difference(&found, &expected);
                Failure::Failed(format!("{path}: of another training: {found}; expected {expected}"))
            }
            other => Failure::failed(other),
        })?;
        if !trainer.restore(state) {
            return Err(Failure::Failed(format!("{}: does not fit this training", folder.file(CHECKPOINT).display())));
        }
    }
    let (evaluation, curve) = train(&mut trainer, &folder, &training_id, (stop, patience))?;
    let card = card_json(&trainer, &evaluation, &source, &curve);
    write_files(&trainer, &folder, (&evaluation, &curve), &card)?;
    if matches.get_flag("json") {
        print_line(&card);
    } else {
        for line in summary_lines(&card) {
            print_line(line);
        }
    }
    Ok(())
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
    let limit = match (text("steps"), text("minutes")) {
        (Some(steps), _) => Limit::Steps(parse_integer("steps", steps, 1, 1 << 40)? as u64),
        (None, minutes) => Limit::Seconds(60.0 * parse_number("minutes", minutes.unwrap_or("1"), 0.01, 10_000.0)?),
    };
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
    let mut config = TrainingConfig::new(design, limit);
    config.seed = parse_integer("seed", text("seed").unwrap_or("1"), 0, 1 << 48)? as u64;
    config.look_ahead = parse_integer("look-ahead", text("look_ahead").unwrap_or("0"), 0, MAX_LOOK_AHEAD)?;
    if let Some(threads) = text("threads") {
        config.threads = parse_integer("threads", threads, 1, 16)?;
    }
    Ok(config)
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
        let (material, report) = Material::of_pair(&read(dry).map_err(Failure::failed)?, &read(wet).map_err(Failure::failed)?)
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
        let sound = read(path).map_err(Failure::failed)?;
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

/// A point of the curve: seconds of training, steps, and the error to signal (ESR) on the held-out material.
type CurvePoint = (f64, u64, f64);

/// Trains until the configuration's limit, until the error is at most `stop`, or until `patience` evaluations in a row found no
/// lower error. Writes checkpoints meanwhile. Returns the last evaluation and the curve.
///
/// # Errors
/// If the training is interrupted (a checkpoint of this moment is written first), a checkpoint cannot be written, or the error is
/// not finite.
fn train(
    trainer: &mut Trainer,
    folder: &OutputFolder,
    training_id: &str,
    (stop, patience): (Option<f64>, Option<usize>),
) -> Result<(Evaluation, Vec<CurvePoint>), Failure> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = interrupted.clone();
    // Fails only if the process has a handler already, as in another program that calls this one; then that handler stays.
    let _ = ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed));
    let bar = if std::io::stderr().is_terminal() { ProgressBar::new(1000) } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {percent} % {eta} {msg}") {
        bar.set_style(style);
    }
    let save =
        |trainer: &Trainer| checkpoint::write(&folder.file(CHECKPOINT), training_id, &trainer.state()).map_err(Failure::failed);
    // A first checkpoint shows before the training that one can be written.
    save(trainer)?;
    let mut curve: Vec<CurvePoint> = Vec::new();
    let mut next_evaluation = trainer.seconds() + FIRST_EVALUATION_SECONDS;
    let mut next_save = trainer.seconds() + CHECKPOINT_SECONDS;
    while trainer.progress() < 1.0 {
        trainer.step();
        bar.set_position((1000.0 * trainer.progress()) as u64);
        if interrupted.load(Ordering::Relaxed) {
            save(trainer)?;
            return Err(Failure::Failed(format!("interrupted; --resume goes on at step {}", trainer.steps())));
        }
        if trainer.seconds() >= next_save {
            save(trainer)?;
            next_save = trainer.seconds() + CHECKPOINT_SECONDS;
        }
        if trainer.seconds() >= next_evaluation && trainer.progress() < 1.0 {
            let evaluation = trainer.evaluate();
            bar.set_message(format!("ESR {:.2e}", evaluation.esr));
            curve.push((trainer.seconds(), trainer.steps(), evaluation.esr));
            let best = curve.iter().map(|point| point.2).fold(f64::INFINITY, f64::min);
            let since_best = curve.iter().rev().take_while(|point| point.2 > best).count();
            if stop.is_some_and(|stop| evaluation.esr <= stop) || patience.is_some_and(|patience| since_best >= patience) {
                break;
            }
            next_evaluation = trainer.seconds() + trainer.seconds().min(MAX_EVALUATION_SECONDS);
        }
    }
    bar.finish_and_clear();
    save(trainer)?;
    let evaluation = trainer.evaluate();
    if !evaluation.esr.is_finite() {
        return Err(Failure::Failed(format!("the error came out as {}; expected a finite number", evaluation.esr)));
    }
    curve.push((trainer.seconds(), trainer.steps(), evaluation.esr));
    Ok((evaluation, curve))
}

/// Returns the card: network, material, training, errors, cost and curve. `card.json` contains it unchanged; `card.md` is made of
/// it.
fn card_json(trainer: &Trainer, evaluation: &Evaluation, source: &Value, curve: &[CurvePoint]) -> Value {
    let (config, material) = (trainer.config(), trainer.material());
    let seconds = |frames: usize| frames as f64 / f64::from(material.sample_rate);
    json!({
        "network": config.design.name(), "parameters": config.design.parameter_count(), "sample_rate": material.sample_rate,
        "data": {
            "origin": material.origin, "source": source, "train_seconds": seconds(material.train.dry.len()),
            "held_seconds": seconds(material.held_out.iter().map(|p| p.dry.len()).sum()),
        },
        "training": {
            "steps": trainer.steps(), "seconds": trainer.seconds(), "seed": config.seed, "threads": config.threads,
            "look_ahead_frames": config.look_ahead, "sequences": config.sequences, "frames": config.frames,
            "learning_rates": [config.learning_rates.0, config.learning_rates.1],
            "loss": { "emphasis": config.loss.emphasis, "plain": config.loss.plain, "dc": config.loss.dc },
        },
        "esr": evaluation.esr, "esr_pre_emphasis_0.85": evaluation.esr_emphasised,
        "mr_stft": trainer.mr_stft(),
        "esr_by_level": evaluation.levels.iter().map(|(top, esr)| json!({ "up_to_dbfs": top, "esr": esr })).collect::<Vec<_>>(),
        "esr_by_sound": evaluation.sounds.iter().map(|(name, raw, emphasised)| {
            json!({ "sound": name, "esr": raw, "esr_pre_emphasis_0.85": emphasised })
        }).collect::<Vec<_>>(),
        "esr_by_place": evaluation.knob_positions.iter().map(|(place, esr)| json!({
            "value": material.knob.as_ref().map(|knob| knob.from + place * (knob.to - knob.from)), "knob": place, "esr": esr,
        })).collect::<Vec<_>>(),
        "command": command_line(),
        "ns_per_sample": evaluation.ns_per_sample,
        "curve": curve.iter().map(|(seconds, steps, esr)| {
            json!({ "seconds": seconds, "steps": steps, "esr": esr })
        }).collect::<Vec<_>>(),
    })
}

/// Returns the command that trains the same twin again.
fn command_line() -> String {
    let arguments = std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned());
    std::iter::once("isotherm".to_owned()).chain(arguments).collect::<Vec<_>>().join(" ")
}

/// Writes the models in all formats that can hold them, the picture of the curve and the card.
fn write_files(
    trainer: &Trainer,
    folder: &OutputFolder,
    (evaluation, curve): (&Evaluation, &[CurvePoint]),
    card: &Value,
) -> Result<(), Failure> {
    let architecture = trainer.architecture();
    let name = format!("Twin, {}", trainer.config().design.name());
    let metadata = ModelMetadata {
        name,
        sample_rate: trainer.material().sample_rate,
        esr: evaluation.esr,
        late_frames: trainer.config().look_ahead,
        knob: trainer.material().knob.as_ref().map(|knob| knob.name.clone()),
    };
    if let Some(text) = export::nam(&architecture, &metadata) {
        folder.write(&format!("{TWIN}.nam"), text.as_bytes())?;
    }
    if let Some(text) = export::keras(&architecture, &metadata) {
        folder.write(&format!("{TWIN}.json"), text.as_bytes())?;
    }
    if let Some(bytes) = export::onnx(&architecture, &metadata) {
        folder.write(&format!("{TWIN}.onnx"), &bytes)?;
    }
    let points: Vec<(f64, f64)> = curve.iter().map(|(seconds, _, esr)| (*seconds, *esr)).collect();
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
    vec![
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
    ]
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
    let _ = writeln!(out, "\n![ESR over seconds]({CURVE})\n\n| seconds | steps | ESR |\n|---|---|---|");
    for point in card["curve"].as_array().into_iter().flatten() {
        let _ =
            writeln!(out, "| {:.1} | {} | {} |", point["seconds"].as_f64().unwrap_or(0.0), point["steps"], figure(&point["esr"]));
    }
    out
}
