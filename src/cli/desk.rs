//! `isotherm desk`: shows an X32 or M32 and the tracks of its USB card, read over OSC; or plays a fake desk.

use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::json;

use super::{Failure, did_you_mean, examples, parse_integer, parse_number, print_line};
use crate::desk::{Desk, FakeDesk, Fault, FoundDesk, Timeouts, Track, TrackContent, discover, only_desk};

/// The values of `--fault`.
const FAULTS: &str = "silent, late, half, garbage, stranger, dies or xair";
/// Delay of each answer of a fake desk with the fault `late`.
const LATE: Duration = Duration::from_millis(250);
/// Number of answers that a fake desk with the fault `dies` gives before it falls silent.
const DIES_AFTER: u64 = 100;
/// Lower levels, in dBFS, are shown as this one.
const MIN_LEVEL_DB: f32 = -120.0;

pub fn command() -> Command {
    Command::new("desk")
        .about("Shows what each card track of an X32 or M32 carries; reads only, sets nothing")
        .arg(Arg::new("address").value_name("ADDRESS").help("HOST or HOST:PORT; without it the local net is searched"))
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("As JSON"))
        .arg(
            Arg::new("fake")
                .long("fake")
                .value_name("PORT")
                .conflicts_with("address")
                .help("Be a desk, to try this; 0: any port"),
        )
        .arg(
            Arg::new("card")
                .long("card")
                .action(ArgAction::SetTrue)
                .requires("fake")
                .help("The fake desk has a card, too: the client X-USB of a JACK server, which plays a band on 32 channels"),
        )
        .arg(
            Arg::new("fault")
                .long("fault")
                .value_name("FAULT")
                .requires("fake")
                .help(format!("Fault of the fake desk: {FAULTS}")),
        )
        .arg(Arg::new("seconds").long("seconds").value_name("TIME").requires("fake").help("The fake desk ends after this time"))
        .after_help(examples(&["isotherm desk", "isotherm desk 192.168.1.20 --json", "isotherm desk --fake 10023 --card"]))
}

pub fn run(matches: &ArgMatches) -> Result<(), Failure> {
    if let Some(port) = matches.get_one::<String>("fake") {
        return run_fake(matches, port);
    }
    let desk = match matches.get_one::<String>("address") {
        Some(address) => Desk::open(address).map_err(Failure::failed)?,
        None => search(matches.get_flag("json"))?,
    };
    let levels = desk.channel_levels(Timeouts::default()).unwrap_or_default();
    if matches.get_flag("json") {
        return print_json(&desk, &levels);
    }
    let usb = desk.usb_channels().map_or_else(|| "unknown".into(), |(sent, played)| format!("{sent}/{played}"));
    let rate = desk.clock_rate_hz().map_or_else(|| "unknown rate".into(), |hz| format!("{hz} Hz"));
    print_line(format_args!(
        "{}: {} '{}', firmware {}; {rate}; card {}, USB mode {usb}",
        desk.address(),
        desk.model(),
        desk.name(),
        desk.firmware(),
        desk.card_type()
    ));
    print_line(format_args!(
        "{:>5}  {:<26} {:<8} {:<14} {:<16} {:>8}  note",
        "track", "source", "channel", "name", "colour", "level"
    ));
    for track in desk.tracks() {
        let level = level_db(&track, &levels).map_or_else(String::new, |db| format!("{db:.1} dB"));
        let line = format!(
            "{:>5}  {:<26} {:<8} {:<14} {:<16} {level:>8}  {}",
            track.number,
            track.source,
            channel_name(track.content),
            track.label(),
            track.colour.map_or_else(String::new, |c| c.to_string()),
            track.note.as_deref().unwrap_or_default()
        );
        print_line(line.trim_end());
    }
    // The notes on tracks are in the table already.
    desk.notes().iter().filter(|note| !note.starts_with("track ")).for_each(print_line);
    Ok(())
}

/// Returns the only desk on the local network, and lists all that answer unless `is_quiet`.
fn search(is_quiet: bool) -> Result<Desk, Failure> {
    let found = discover().map_err(Failure::failed)?;
    let line = |f: &FoundDesk| format!("found {} '{}', firmware {}, at {}", f.model, f.name, f.firmware, f.address);
    if !is_quiet {
        found.iter().map(line).for_each(print_line);
    }
    let address = only_desk(&found).map_err(Failure::failed)?.address;
    Desk::open_with(address, Timeouts::default()).map_err(Failure::failed)
}

fn print_json(desk: &Desk, levels: &[f32]) -> Result<(), Failure> {
    let numbers: Vec<usize> = desk.tracks().iter().map(|t| t.number).collect();
    let names = desk.stem_names(&numbers);
    let track = |(track, stem): (&Track, &String)| {
        json!({
            "track": track.number, "source": track.source, "channel": channel_name(track.content), "name": track.name,
            "stem": stem, "colour": track.colour.map(|c| c.to_string()), "icon": track.icon,
            "level_db": level_db(track, levels), "flag": track.note,
        })
    };
    let (sent, played) = desk.usb_channels().unzip();
    let report = json!({
        "address": desk.address().to_string(), "name": desk.name(), "model": desk.model(), "firmware": desk.firmware(),
        "clock_rate_hz": desk.clock_rate_hz(), "card": desk.card_type(), "usb_sent": sent, "usb_played": played,
        "plays": desk.is_in_playback(),
        "tracks": desk.tracks().iter().zip(&names).map(track).collect::<Vec<_>>(), "notes": desk.notes(),
    });
    print_line(serde_json::to_string_pretty(&report).map_err(Failure::failed)?);
    Ok(())
}

/// Returns the desk channel or output that a track carries, such as `5`, `aux 2` or `Main L`; an empty text for others.
fn channel_name(content: TrackContent) -> String {
    match content {
        TrackContent::Channel(n) => n.to_string(),
        TrackContent::AuxChannel(n) => format!("aux {n}"),
        TrackContent::Output(signal) => signal.to_string(),
        TrackContent::Nothing | TrackContent::Input(_) | TrackContent::Unknown => String::new(),
    }
}

/// Returns the level in dBFS of the channel that a track carries, if it carries one.
fn level_db(track: &Track, levels: &[f32]) -> Option<f32> {
    let TrackContent::Channel(n) = track.content else { return None };
    let level = levels.get(usize::from(n) - 1)?;
    Some((20.0 * level.log10()).max(MIN_LEVEL_DB))
}

/// Returns the end of the error line of an unknown fault.
fn fault_tip(found: &str) -> String {
    did_you_mean(found, FAULTS.split(", ").flat_map(|names| names.split(" or ")))
}

/// Runs a fake desk until its time is over or the program is interrupted.
fn run_fake(matches: &ArgMatches, port: &str) -> Result<(), Failure> {
    let port = u16::try_from(parse_integer("fake", port, 0, usize::from(u16::MAX))?).map_err(Failure::failed)?;
    let mut model = None;
    let fault = match matches.get_one::<String>("fault").map(String::as_str) {
        None => Fault::None,
        Some("silent") => Fault::Silent,
        Some("late") => Fault::Late(LATE),
        Some("half") => Fault::Half,
        Some("garbage") => Fault::Garbage,
        Some("stranger") => Fault::Stranger,
        Some("dies") => Fault::Dies(DIES_AFTER),
        Some("xair") => {
            model = Some(("XR18", "1.17"));
            Fault::None
        }
        Some(other) => {
            return Err(Failure::Usage(format!("--fault: '{other}' is no fault; expected {FAULTS}{}", fault_tip(other))));
        }
    };
    let seconds = matches.get_one::<String>("seconds").map(|text| parse_number("seconds", text, 0.0, 1e6)).transpose()?;
    let desk = FakeDesk::start((Ipv4Addr::UNSPECIFIED, port), fault)
        .map_err(|error| Failure::Failed(format!("cannot be a desk at port {port}: {error}")))?;
    if let Some((model, firmware)) = model {
        desk.set_model(model, firmware);
    }
    let _card = matches.get_flag("card").then(start_usb_card).transpose()?;
    print_line(format_args!("a fake desk at {}; Ctrl-C ends it", desk.address()));
    let _ = io::stdout().flush();
    match seconds {
        Some(seconds) => thread::sleep(Duration::from_secs_f64(seconds)),
        None => loop {
            thread::park();
        },
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn start_usb_card() -> Result<crate::device::FakeUsbCard, Failure> {
    crate::device::FakeUsbCard::start().map_err(Failure::failed)
}

#[cfg(not(target_os = "linux"))]
fn start_usb_card() -> Result<(), Failure> {
    Err(Failure::Usage("--card: there is no JACK here; expected Linux".into()))
}
