//! `isotherm listen`: blind listening tests in a terminal, their sounds for other tools, the check of their records, and what the
//! tests of several listeners show.

mod deck;
mod keys;
mod serve;
mod summary;
mod terminal;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde_json::{Value, json};

use super::{Failure, examples, parse_integer, parse_number, print_line};
use crate::audio::Audio;
use crate::compare::sha256;
use crate::device::{Host, OpenRequest};
use crate::effect::Effect;
use crate::listen::{
    Change, Configuration, ControlTrial, Examiner, FEWEST_RUNGS, FolderError, Form, LOG, LOOP, MOST_MEASURED_RUNGS, MatchError,
    Matching, Prepared, Protocol, Question, Rule, SideChoice, SoundSource, TestSetup, default_folder, power_lines, prepare_saved,
    prepare_stimuli, resolve_ladder, resolve_sides, usual_trials, validate, verify, verify_log, write_unnamed,
};
use crate::view::ListenAction;
use deck::DeckVenue;

/// The text before the path of a file.
const FILE: &str = "file:";
/// The text before a change of the other side.
const OTHER: &str = "other:";
/// Names of the changes of the other side that are no settings.
const GAIN: &str = "gain_db";
const DELAY: &str = "delay_frames";

pub fn command() -> Command {
    Command::new("listen")
        .about("Blind listening tests: take one, write its sounds for other tools, check its record, summarise several")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("run")
                .about("Takes a test in the terminal, with its keys; or goes on with a session that was left")
                .arg(
                    Arg::new("session")
                        .value_name("SESSION")
                        .value_parser(value_parser!(PathBuf))
                        .help("Folder of a session that was left"),
                )
                .args(setup_arguments())
                .arg(rung_argument())
                .args(protocol_arguments())
                .args(device_arguments())
                .after_help(examples(&[
                    "isotherm listen run --a 'saturator drive=24' --b 'neural model=twin.nam' --sound riff.wav --from 2 --to 8",
                    "isotherm listen run --a 'saturator drive=24' --b other:oversampling=2x --sound riff.wav --trials 30",
                    "isotherm listen run --a file:amp.wav --b file:twin.wav --control louder",
                    "isotherm listen run --question threshold --a 'saturator drive=24' --b clipper --sound riff.wav",
                    "isotherm listen run Sessions/2026-11-28",
                ])),
        )
        .subcommand(serve::command())
        .subcommand(
            Command::new("render")
                .about("Writes the matched sounds of a test, under names that tell nothing, and a key file for other tools")
                .arg(Arg::new("session").value_name("SESSION").value_parser(value_parser!(PathBuf)).help("Folder of a session"))
                .args(setup_arguments())
                .arg(
                    Arg::new("out")
                        .long("out")
                        .value_name("DIR")
                        .required(true)
                        .value_parser(value_parser!(PathBuf))
                        .help("A new folder for the sounds and key.json"),
                )
                .after_help(examples(&["isotherm listen render --a saturator --b dry --sound riff.wav --out stimuli"])),
        )
        .subcommand(
            Command::new("verify")
                .about("Recomputes a session from its record: hashes, mappings, answers, p, gains and gates")
                .arg(Arg::new("session").required(true).value_name("SESSION").value_parser(value_parser!(PathBuf)))
                .arg(
                    Arg::new("receipt")
                        .long("receipt")
                        .value_name("HASH")
                        .help("The receipt that the listener was shown, or its first 16 digits or more"),
                )
                .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("The report as JSON"))
                .after_help(examples(&["isotherm listen verify Sessions/2026-11-28"])),
        )
        .subcommand(
            Command::new("power")
                .about("Tells in words what a test can show, before it is taken")
                .args(protocol_arguments())
                .after_help(examples(&[
                    "isotherm listen power --trials 16",
                    "isotherm listen power --rule sprt --trials 60",
                    "isotherm listen power --question threshold --reversals 24",
                ])),
        )
        .subcommands(summary::commands())
        .after_help(examples(&["isotherm listen power --trials 16", "isotherm help listen run"]))
}

pub fn run(matches: &ArgMatches) -> Result<(), Failure> {
    match matches.subcommand() {
        Some(("run", m)) => run_test(m),
        Some(("serve", m)) => serve::run(m),
        Some(("render", m)) => run_render(m),
        Some(("verify", m)) => run_verify(m),
        Some(("summary", m)) => summary::run_summary(m),
        Some(("export", m)) => summary::run_export(m),
        Some(("import", m)) => summary::run_import(m),
        Some(("power", m)) => {
            power_lines(&parse_protocol(m)?).iter().for_each(print_line);
            Ok(())
        }
        _ => Err(Failure::Usage("no such command".into())),
    }
}

fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

/// The flags of sides and sound.
fn setup_arguments() -> Vec<Arg> {
    vec![
        option("a", "SIDE", "An effect as text, dry, file:PATH, or other:SETTING=VALUE (the other side with one change)")
            .value_parser(value_parser!(OsString)),
        option("b", "SIDE", "As --a; other:gain_db=0.5 and other:delay_frames=1 change the other side after matching")
            .value_parser(value_parser!(OsString)),
        option("sound", "FILE.wav", "The sound; the loop is a part of it. May be left out if both sides are files")
            .value_parser(value_parser!(PathBuf)),
        option("from", "SECONDS", "Start of the loop").default_value("0"),
        option("to", "SECONDS", "End of the loop; without it the end of the sound, at most 30 s later"),
        option("control", "CONTROL", "The positive control, which proves that differences can be heard")
            .value_parser(["low-pass", "louder", "none"])
            .default_value("low-pass"),
    ]
}

/// The flag of the rungs of a measured ladder.
fn rung_argument() -> Arg {
    option(
        "rung",
        "SIDE",
        "Threshold: a rung of a measured ladder, as --a; six or more, the smallest error first, instead of --b",
    )
    .action(ArgAction::Append)
    .value_parser(value_parser!(OsString))
}

/// The flags of a protocol.
fn protocol_arguments() -> Vec<Arg> {
    vec![
        option("question", "QUESTION", "The question")
            .value_parser(["difference", "equivalence", "preference", "threshold"])
            .default_value("difference"),
        option("form", "FORM", "Form of a trial; without it, the one of the question").value_parser([
            "abx",
            "preference",
            "same-different",
        ]),
        option("rule", "RULE", "When the test ends; that of a threshold is staircase, without --rule too")
            .value_parser(["fixed", "sprt", "e-value", "staircase"])
            .default_value("fixed"),
        option("reversals", "COUNT", "Threshold: number of reversals that end the staircase").default_value("16"),
        option(
            "trials",
            "COUNT",
            "Number of trials; the most if the rule is sequential. Without it 16; for equivalence as many as somebody who hears \
             nothing needs in nine of ten tests, which is 53 for a margin of 0.7; for a threshold six for each reversal",
        ),
        option("margin", "SHARE", "Equivalence: share of right answers below which the sides count as the same")
            .default_value("0.7"),
    ]
}

/// The flags of the device, and of the session's place.
fn device_arguments() -> Vec<Arg> {
    let hosts: Vec<&str> = Host::ALL.iter().map(|host| host.id()).collect();
    vec![
        option("host", "HOST", "How the device is reached").value_parser(hosts),
        option("device", "NAME", "The device (`isotherm devices` lists them); with --host file a WAV file, which sets the pace"),
        option("output", "PAIR", "The device's outputs").default_value("1,2"),
        option("output-device", "NAME", "The device that plays; without it, --device"),
        option("sessions", "DIR", "The folder in which the session's folder is made").value_parser(value_parser!(PathBuf)),
        option("listener", "NAME", "Name of the listener for the record").default_value(""),
    ]
}

fn text<'a>(matches: &'a ArgMatches, name: &str) -> &'a str {
    matches.get_one::<String>(name).map_or("", String::as_str)
}

fn parse_protocol(matches: &ArgMatches) -> Result<Protocol, Failure> {
    let question = match text(matches, "question") {
        "equivalence" => Question::Equivalence,
        "preference" => Question::Preference,
        "threshold" => Question::Threshold,
        _ => Question::Difference,
    };
    let is_given = |name: &str| matches.value_source(name) == Some(ValueSource::CommandLine);
    if question != Question::Threshold && is_given("reversals") {
        let text = "--reversals: only a staircase has them; expected --question threshold, or no --reversals";
        return Err(Failure::Usage(text.into()));
    }
    let staircase = Protocol::staircase(parse_integer("reversals", text(matches, "reversals"), 1, 1000)? as u32);
    let form = match text(matches, "form") {
        "preference" => Form::Preference,
        "same-different" => Form::SameDifferent,
        "" if question == Question::Preference => Form::Preference,
        _ => Form::Abx,
    };
    let rule = match text(matches, "rule") {
        "sprt" => Rule::Sprt,
        "e-value" => Rule::EValue,
        "staircase" => staircase.rule,
        _ if question == Question::Threshold && !is_given("rule") => staircase.rule,
        _ => Rule::Fixed,
    };
    let margin = parse_number("margin", text(matches, "margin"), 0.5, 1.0)?;
    let trials = match text(matches, "trials") {
        "" if question == Question::Threshold => staircase.trials,
        "" => usual_trials(question, margin),
        given => parse_integer("trials", given, 1, 10_000)? as u32,
    };
    let protocol = Protocol { question, form, rule, trials, margin };
    validate(&protocol).map_err(|error| Failure::Usage(error.to_string()))?;
    Ok(protocol)
}

/// True if a flag was written.
fn is_given(matches: &ArgMatches, flag: &Arg) -> bool {
    matches.value_source(flag.get_id().as_str()) == Some(ValueSource::CommandLine)
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Refuses flags with a session that has already what they say.
fn refuse_flags(matches: &ArgMatches, flags: &[Arg]) -> Result<(), Failure> {
    match flags.iter().find(|flag| is_given(matches, flag)) {
        Some(flag) => Err(Failure::Usage(format!(
            "--{}: the plan of a saved session cannot be changed; expected SESSION without it, or a new test without SESSION",
            flag.get_id()
        ))),
        None => Ok(()),
    }
}

/// The path after `file:`, whatever bytes it has.
fn file_path(text: &OsStr) -> Option<PathBuf> {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        text.as_bytes().strip_prefix(FILE.as_bytes()).map(|bytes| OsStr::from_bytes(bytes).into())
    }
    #[cfg(not(unix))]
    {
        text.to_str()?.strip_prefix(FILE).map(Into::into)
    }
}

/// Reads a side as a user writes it.
fn parse_side(flag: &str, text: &OsStr) -> Result<SideChoice, Failure> {
    let Some(text) = text.to_str().map(str::trim) else {
        let not_text = || Failure::Usage(format!("--{flag}: '{}' is not UTF-8; only a path may be anything", text.display()));
        return file_path(text).map(SideChoice::File).ok_or_else(not_text);
    };
    if text.is_empty() {
        return Err(Failure::Usage(format!("--{flag}: no side; expected an effect, dry, file:PATH or other:SETTING=VALUE")));
    }
    if text == "dry" {
        return Ok(SideChoice::Dry);
    }
    if let Some(path) = text.strip_prefix(FILE) {
        return Ok(SideChoice::File(path.into()));
    }
    let Some(change) = text.strip_prefix(OTHER) else { return Ok(SideChoice::Effect(text.into())) };
    let (name, value) = change.split_once('=').unwrap_or((change, ""));
    let number = || {
        let found = crate::dsp::parse_number(value);
        found.ok_or_else(|| Failure::Usage(format!("--{flag}: '{value}' is no number; expected one after {name}=")))
    };
    Ok(SideChoice::Changed(match name.replace('-', "_").as_str() {
        GAIN => Change::GainDb(number()? as f32),
        DELAY => Change::DelayFrames(number()? as f32),
        _ => Change::Setting(change.into()),
    }))
}

/// The setup that the flags ask for, and its sound.
struct Request {
    sound: PathBuf,
    audio: Audio,
    sides: [SideChoice; 2],
    /// The rungs of a measured ladder, the last of which is side B.
    rungs: Vec<SideChoice>,
    range: [f64; 2],
    control: ControlTrial,
}

fn parse_request(matches: &ArgMatches) -> Result<Request, Failure> {
    let side = |flag: &str| parse_side(flag, matches.get_one::<OsString>(flag).map_or(OsStr::new(""), OsString::as_os_str));
    // The command that renders has no rungs.
    let rungs = matches.try_get_many::<OsString>("rung").ok().flatten().into_iter().flatten();
    let rungs: Vec<SideChoice> = rungs.map(|text| parse_side("rung", text)).collect::<Result<_, _>>()?;
    let b = match rungs.last() {
        Some(_) if matches.value_source("b").is_some() => {
            let text = "--b: the last --rung is side B; expected --rung without --b, or --b without --rung";
            return Err(Failure::Usage(text.into()));
        }
        Some(largest) => largest.clone(),
        None => side("b")?,
    };
    let sides = [side("a")?, b];
    let sound = match (matches.get_one::<PathBuf>("sound"), &sides) {
        (Some(sound), _) => sound,
        // Nothing is rendered, so the sound before both files is not needed.
        (None, [SideChoice::File(a), SideChoice::File(_)]) => a,
        (None, _) => return Err(Failure::Usage("--sound: no sound; expected FILE.wav".into())),
    };
    let audio = super::input::read_wav(sound).map_err(Failure::failed)?;
    let longest = crate::listen::LOOP_SECONDS[1];
    let from = parse_number("from", text(matches, "from"), 0.0, 1e6)?;
    let to = match text(matches, "to") {
        "" => audio.seconds().min(from + longest),
        text => parse_number("to", text, 0.0, 1e6)?,
    };
    let control = parse_control(text(matches, "control"));
    Ok(Request { sound: sound.clone(), audio, sides, rungs, range: [from, to], control })
}

fn parse_control(name: &str) -> ControlTrial {
    match name {
        "louder" => ControlTrial::Louder,
        "none" => ControlTrial::None,
        _ => ControlTrial::LowPass,
    }
}

/// The effects of the slots, which a terminal does not have.
fn no_slots() -> [Effect; 2] {
    [0, 1].map(|_| Effect::new(crate::algorithm::REGISTRY[0]))
}

/// The request for the device that plays at a sample rate.
fn parse_device(matches: &ArgMatches, sound: &Path, sample_rate: u32) -> Result<OpenRequest, Failure> {
    let host = matches.get_one::<String>("host").and_then(|id| Host::find(id)).unwrap_or(Host::ALL[0]);
    let device = match (matches.get_one::<String>("device"), host) {
        (Some(name), _) => name.clone(),
        // Names of devices are text.
        (None, Host::File) => sound.to_str().map(str::to_owned).ok_or_else(|| {
            let sound = sound.display();
            Failure::Usage(format!(
                "--device: none, and the name of the sound, '{sound}', is not UTF-8; expected another WAV file"
            ))
        })?,
        #[cfg(target_os = "linux")]
        (None, Host::Jack) => "system".into(),
        (None, _) => "default".into(),
    };
    let mut request = OpenRequest::new(host, &device);
    request.sample_rate = Some(sample_rate);
    let outputs = super::record::parse_ranges("output", text(matches, "output"), crate::device::MAX_CHANNELS)?;
    request.outputs = outputs.into_iter().map(|output| output - 1).collect();
    request.output_device = matches.get_one::<String>("output-device").cloned();
    Ok(request)
}

fn run_test(matches: &ArgMatches) -> Result<(), Failure> {
    let (sessions, actions, request) = match matches.get_one::<PathBuf>("session") {
        Some(session) => {
            let kept = [option("sessions", "", ""), option("listener", "", "")];
            refuse_flags(matches, &[setup_arguments(), vec![rung_argument()], protocol_arguments(), kept.into()].concat())?;
            if !session.join(LOG).is_file() {
                return Err(Failure::failed(FolderError::NotASession(session.clone())));
            }
            let path = session.join(LOOP);
            let sound = super::input::read_wav(&path).map_err(Failure::failed)?;
            let parent = session.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let request = parse_device(matches, &path, sound.sample_rate())?;
            (parent.to_path_buf(), vec![ListenAction::Open, ListenAction::Resume(session.clone())], request)
        }
        None => {
            let protocol = parse_protocol(matches)?;
            let Request { sound, audio, sides, rungs, range, control } = parse_request(matches)?;
            // A setup that cannot be a test is refused before a device is opened.
            crate::listen::cut_loop(&audio, range).map_err(Failure::failed)?;
            resolve_sides(&sides, &no_slots(), &audio).map_err(Failure::failed)?;
            check_rungs(&protocol, &rungs)?;
            resolve_ladder(&sides[0], &rungs, &no_slots(), &audio).map_err(Failure::failed)?;
            let listener = text(matches, "listener").to_owned();
            let setup = TestSetup { protocol, sides, source: SoundSource::Loop, range, control, listener, rungs };
            let sessions = matches.get_one::<PathBuf>("sessions").cloned().unwrap_or_else(default_folder);
            let request = parse_device(matches, &sound, audio.sample_rate())?;
            let actions = vec![ListenAction::Open, ListenAction::OpenSound(sound), ListenAction::Set(setup), ListenAction::Start];
            (sessions, actions, request)
        }
    };
    if request.host == Host::File {
        print_line("The host 'file' plays nothing: nobody hears this test.");
    }
    let venue = DeckVenue::open(&request).map_err(Failure::failed)?;
    let mut examiner = Examiner::new(Box::new(venue), sessions);
    for action in actions {
        examiner.act(action);
        if let Some(error) = examiner.view().error {
            return Err(Failure::Failed(error));
        }
    }
    let done = terminal::take(&mut examiner);
    // The test that runs, and no other one that was left.
    let left = examiner.session().or(examiner.left()).map(Path::to_path_buf);
    done.map_err(|failure| match (failure, left) {
        (Failure::Failed(line), Some(left)) => {
            let device = device_arguments().into_iter().filter(|flag| is_given(matches, flag));
            let device = device.map(|flag| flag.get_id().to_string()).filter(|name| name != "sessions" && name != "listener");
            let device = device.map(|name| format!(" --{name} {}", quoted(text(matches, &name))));
            let device: String = device.collect();
            Failure::Failed(format!("{line}; to go on: isotherm listen run {}{device}", quoted(&left.to_string_lossy())))
        }
        (failure, _) => failure,
    })
}

/// Renders and matches the sides of a session again. Returns the first line of its log, too.
fn prepare_session(session: &Path) -> Result<(Prepared, Configuration), Failure> {
    let log = verify_log(session, None).map_err(Failure::failed)?;
    let failed = |line: &str| Failure::Failed(format!("{}: {line}", session.display()));
    let configuration = log.configuration().ok_or_else(|| failed("the log has no first line"))?;
    // The sounds of a test that runs can be written, but only those that it began with.
    for (name, hash) in &configuration.files {
        let bytes = fs::read(session.join(name)).map_err(|error| failed(&format!("{name}: {error}")))?;
        if sha256(&bytes) != *hash {
            return Err(failed(&format!("{name} was changed, so the sounds are not those of the test")));
        }
    }
    let recorded: Matching = serde_json::from_value(configuration.matching.clone())
        .map_err(|error| failed(&format!("line 1 holds no matching: {error}")))?;
    let prepared = prepare_saved(session, configuration, &|_| (), &AtomicBool::new(false)).map_err(|line| failed(&line))?;
    match recorded.difference(&prepared.matching) {
        None => Ok((prepared, configuration.clone())),
        Some(difference) => {
            let program = &configuration.program;
            Err(failed(&format!("the sounds are not those of the test, which {program} prepared: {difference}")))
        }
    }
}

fn run_render(matches: &ArgMatches) -> Result<(), Failure> {
    let prepared = match matches.get_one::<PathBuf>("session") {
        Some(session) => {
            refuse_flags(matches, &setup_arguments())?;
            prepare_session(session)?.0
        }
        None => {
            let Request { audio, sides, range, control, .. } = parse_request(matches)?;
            let sides = resolve_sides(&sides, &no_slots(), &audio).map_err(Failure::failed)?;
            prepare_stimuli(&audio, range, &sides, control, &|_| (), &AtomicBool::new(false)).map_err(Failure::failed)?
        }
    };
    let out = matches.get_one::<PathBuf>("out").cloned().unwrap_or_default();
    if out.exists() {
        return Err(Failure::Failed(format!("{}: exists already; expected a new name", out.display())));
    }
    let failed = |error: std::io::Error| Failure::Failed(format!("{}: {error}", out.display()));
    let paths: Vec<&Audio> = prepared.stimuli.paths.iter().collect();
    let names = write_unnamed(&paths, &out).map_err(Failure::failed)?;
    let path_of = |(path, name): (usize, String)| (name, path_name(path, prepared.matching.control).into());
    let files: serde_json::Map<String, Value> = names.into_iter().enumerate().map(path_of).collect();
    let texts: Vec<&str> = prepared.sides.iter().map(|side| side.text.as_str()).collect();
    let key = json!({ "files": files, "a": texts[0], "b": texts[1], "passed": prepared.passed(), "matching": prepared.matching });
    let key = serde_json::to_string_pretty(&key).map_err(Failure::failed)?;
    fs::write(out.join("key.json"), format!("{key}\n")).map_err(failed)?;
    prepared.matching.gates.iter().for_each(|gate| print_line(format_args!("{} {}", mark(gate.passed()), gate.text)));
    prepared.matching.notes.iter().for_each(print_line);
    print_line(format_args!("{}: {} sounds, and key.json, which tells which is which", out.display(), paths.len()));
    if prepared.matching.identical {
        return Err(Failure::Limits(vec!["both sides are equal bit for bit: there is nothing to hear".into()]));
    }
    let refused: Vec<String> =
        prepared.matching.gates.iter().filter(|gate| !gate.passed()).map(|gate| gate.text.clone()).collect();
    if refused.is_empty() { Ok(()) } else { Err(Failure::Limits(refused)) }
}

/// Name of a path of a test.
fn path_name(path: usize, control: ControlTrial) -> String {
    match (path, control) {
        (0, _) => "A".into(),
        (1, _) => "B".into(),
        (path, ControlTrial::None) => format!("rung {}", path - 1),
        (2, _) => "control".into(),
        (path, _) => format!("rung {}", path - 2),
    }
}

/// Refuses too few rungs of a measured ladder, and rungs for another question.
fn check_rungs(protocol: &Protocol, rungs: &[SideChoice]) -> Result<(), Failure> {
    let found = rungs.len();
    if found == 0 {
        return Ok(());
    }
    if protocol.question != Question::Threshold {
        return Err(Failure::Usage("--rung: a threshold alone has rungs; expected --question threshold, or no --rung".into()));
    }
    if !(FEWEST_RUNGS..=MOST_MEASURED_RUNGS).contains(&found) {
        return Err(Failure::Usage(format!("--rung: {}", MatchError::Rungs { found })));
    }
    Ok(())
}

/// The mark before a line of a gate or a check.
fn mark(passed: bool) -> &'static str {
    if passed { "ok  " } else { "FAIL" }
}

fn run_verify(matches: &ArgMatches) -> Result<(), Failure> {
    let session = matches.get_one::<PathBuf>("session").cloned().unwrap_or_default();
    let found = verify(&session, matches.get_one::<String>("receipt").map(String::as_str)).map_err(Failure::failed)?;
    if matches.get_flag("json") {
        print_line(serde_json::to_string(&found).map_err(Failure::failed)?);
    } else {
        Some(&found.subject).filter(|subject| !subject.is_empty()).into_iter().for_each(print_line);
        found.checks.iter().for_each(|check| print_line(format_args!("{} {}", mark(check.passed), check.text)));
        print_line(&found.anchor);
        found.sentences.iter().for_each(print_line);
        found.remarks.iter().for_each(print_line);
    }
    match found.checks.iter().find(|check| !check.passed) {
        Some(check) => Err(Failure::Failed(format!("{}: {}", session.display(), check.text))),
        None if !found.passed() => Err(Failure::Failed(format!("{}: {}", session.display(), found.anchor))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_is_read_as_a_user_writes_it() {
        let read = |text: &str| parse_side("a", text.as_ref()).unwrap();
        assert_eq!(read("dry"), SideChoice::Dry);
        assert_eq!(read(" saturator drive=24 "), SideChoice::Effect("saturator drive=24".into()));
        assert_eq!(read("file:wet.wav"), SideChoice::File("wet.wav".into()));
        assert_eq!(read("other:oversampling=2x"), SideChoice::Changed(Change::Setting("oversampling=2x".into())));
        assert_eq!(read("other:gain-db=0.5"), SideChoice::Changed(Change::GainDb(0.5)));
        assert_eq!(read("other:delay_frames=1"), SideChoice::Changed(Change::DelayFrames(1.0)));
        for text in ["", "other:gain_db=x"] {
            assert!(matches!(parse_side("a", text.as_ref()), Err(Failure::Usage(line)) if line.starts_with("--a: ")));
        }
    }
}
