//! What a card track carries: card block, user routing, input block, channel.

use std::time::Instant;

use super::osc::Value;
use super::state::{self, AUX_CHANNELS, CARD_TYPE, CHANNELS, ROUTE_SWITCH, State, USB_MODE, block, config, user_routing};
use super::values::{self, Colour, Input, Listens, Output, Patch, Signal};
use crate::source::{self, DeskTrack, SourceChange};

/// What arrives on a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carries {
    Nothing,
    /// The input of this channel, before the channel: 1 to 32.
    Channel(u8),
    AuxChannel(u8),
    /// An input that no channel listens to.
    Input(Input),
    /// What one of the desk's outputs carries.
    Output(Signal),
    /// The desk did not say, or said what no table has.
    Unknown,
}

/// A track of the card: what the computer records on this channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Track {
    /// 1 to 32.
    pub number: usize,
    /// The way through the routing, like `User Out 31 > Output 1`.
    pub source: String,
    pub carries: Carries,
    /// As it stands on the desk; empty if it has none.
    pub name: String,
    pub colour: Option<Colour>,
    /// Of the desk's icons, from 1.
    pub icon: Option<i32>,
    /// What a user should know: another channel than the track's number, an output, nothing, something unknown.
    pub flag: Option<String>,
}

/// What a window shows of a track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strip {
    /// [`Track::label`].
    pub name: String,
    /// Red, green, blue; none if the track has no colour.
    pub colour: Option<[u8; 3]>,
    /// [`Colour::is_inverted`].
    pub is_inverted: bool,
    /// [`Track::flag`].
    pub note: Option<String>,
}

impl Track {
    #[must_use]
    pub fn strip(&self) -> Strip {
        Strip {
            name: self.label(),
            colour: self.colour.map(Colour::rgb),
            is_inverted: self.colour.is_some_and(Colour::is_inverted),
            note: self.flag.clone(),
        }
    }

    /// What a take keeps of it.
    #[must_use]
    pub fn entry(&self) -> DeskTrack {
        let colour = self.colour.map(|colour| colour.to_string());
        DeskTrack { source: self.source.clone(), colour, note: self.flag.clone() }
    }

    /// The name, or what the track carries.
    #[must_use]
    pub fn label(&self) -> String {
        match self.carries {
            _ if !self.name.is_empty() => self.name.clone(),
            Carries::Channel(n) => format!("Ch {n:02}"),
            Carries::AuxChannel(n) => format!("Aux {n}"),
            Carries::Input(input) => input.to_string(),
            Carries::Output(signal) if !matches!(signal, Signal::Off | Signal::Unknown(_)) => signal.to_string(),
            _ => format!("Track {:02}", self.number),
        }
    }
}

/// All tracks of the card.
pub fn tracks(state: &State) -> Vec<Track> {
    let listeners = listeners(state);
    (1..=CHANNELS).map(|number| track(state, &listeners, number)).collect()
}

/// What became different between two readings of the same tracks, told `at`, if nobody knew of it `since` then.
pub fn changes(before: &[Track], after: &[Track], at: Instant, since: Option<Instant>) -> Vec<SourceChange> {
    let said = |track: &Track| {
        let DeskTrack { source, colour, note } = track.entry();
        [("source", Some(source)), ("name", Some(track.label())), ("colour", colour), ("note", note)]
    };
    let pairs = before.iter().zip(after).flat_map(|(old, new)| {
        said(old).into_iter().zip(said(new)).map(move |((what, from), (_, to))| (new.number - 1, what, from, to))
    });
    let differ = pairs.filter(|(.., from, to)| from != to);
    differ.map(|(source, what, from, to)| SourceChange { source, what, from, to, at, since }).collect()
}

/// A channel, and the input that it hears.
struct Listener {
    channel: Carries,
    input: Input,
}

fn track(state: &State, listeners: &[Listener], number: u8) -> Track {
    let (address, place) = block("CARD", number);
    let (source, found) = follow(state, &address, |value| values::card_block(value, place));
    let mut flags = Vec::new();
    let mut flag = |text: String| flags.push(text);
    let carries = match found {
        Ok(Patch::Off) => {
            flag("carries nothing".into());
            Carries::Nothing
        }
        Ok(Patch::Input(input)) => {
            let heard: Vec<Carries> = listeners.iter().filter(|l| l.input == input).map(|l| l.channel).collect();
            let own = heard.iter().find(|c| **c == Carries::Channel(number)).copied();
            let carries = own.or(heard.first().copied()).unwrap_or(Carries::Input(input));
            match carries {
                Carries::Channel(n) if n != number => flag(format!("carries channel {n}")),
                Carries::AuxChannel(n) => flag(format!("carries aux channel {n}")),
                Carries::Input(_) => flag(format!("carries {input}, which no channel hears")),
                _ => {}
            }
            match (input, values::local_inputs(&state.model())) {
                (Input::Local(n), Some(has)) if n > has => flag(format!("this {} has {has} local inputs", state.model())),
                (Input::Card(_), _) => flag("is what the computer plays".into()),
                _ => {}
            }
            carries
        }
        Ok(Patch::Output(output)) => {
            let signal = output_signal(state, output);
            match signal {
                Ok(signal) => flag(format!("carries {signal}")),
                Err(ref text) => flag(text.clone()),
            }
            signal.map_or(Carries::Unknown, Carries::Output)
        }
        Ok(Patch::UserIn(_) | Patch::UserOut(_) | Patch::Unknown(_)) => {
            flag("source is unknown".into());
            Carries::Unknown
        }
        Err(text) => {
            flag(text);
            Carries::Unknown
        }
    };
    let card = state.int(CARD_TYPE);
    if let Some((sent, played)) = state.int(USB_MODE).and_then(values::usb_mode)
        && usize::from(number) > sent
        && card.is_none_or(values::is_usb)
    {
        flag(format!("is not sent in USB mode {sent}/{played}"));
    }
    let strip = strip(carries);
    let of = |what: &str| strip.as_ref().and_then(|strip| state.int(&config(strip, what)));
    Track {
        number: number.into(),
        source,
        carries,
        name: strip.as_ref().map_or_else(String::new, |strip| name(state, strip, carries)),
        colour: of("color").and_then(Colour::new),
        icon: of("icon"),
        flag: (!flags.is_empty()).then(|| flags.join("; ")),
    }
}

/// The channel strip that says a name and a colour, as in addresses.
fn strip(carries: Carries) -> Option<String> {
    Some(match carries {
        Carries::Channel(n) | Carries::Output(Signal::Channel(n)) => format!("ch/{n:02}"),
        Carries::AuxChannel(n) | Carries::Output(Signal::AuxChannel(n)) => format!("auxin/{n:02}"),
        Carries::Output(Signal::Bus(n)) => format!("bus/{n:02}"),
        Carries::Output(Signal::Matrix(n)) => format!("mtx/{n:02}"),
        Carries::Output(Signal::MainL | Signal::MainR) => "main/st".into(),
        Carries::Output(Signal::Mono) => "main/m".into(),
        _ => return None,
    })
}

fn name(state: &State, strip: &str, carries: Carries) -> String {
    let name = state.text(&config(strip, "name"), 0);
    match carries {
        Carries::Output(Signal::MainL) if !name.is_empty() => name + " L",
        Carries::Output(Signal::MainR) if !name.is_empty() => name + " R",
        _ => name,
    }
}

/// The channels that hear an input, and which.
fn listeners(state: &State) -> Vec<Listener> {
    let area = if state.int(ROUTE_SWITCH) == Some(1) { "PLAY" } else { "IN" };
    let hears = |strip: String, channel: Carries| {
        let found = match values::listens(state.int(&config(&strip, "source"))?) {
            Listens::In(slot) => {
                let (address, place) = block(area, slot);
                follow(state, &address, |value| values::input_block(value, place)).1
            }
            Listens::AuxIn(slot) => {
                follow(state, &format!("/config/routing/{area}/AUX"), |value| values::aux_block(value, slot)).1
            }
            Listens::Other => return None,
        };
        let Ok(Patch::Input(input)) = found else { return None };
        Some(Listener { channel, input })
    };
    let channels = (1..=CHANNELS).filter_map(|n| hears(format!("ch/{n:02}"), Carries::Channel(n)));
    let aux = (1..=AUX_CHANNELS).filter_map(|n| hears(format!("auxin/{n:02}"), Carries::AuxChannel(n)));
    channels.chain(aux).collect()
}

/// What the value at `address` means, through the user routing, and the way there; an error names what the desk did not say.
fn follow(state: &State, address: &str, meaning: impl Fn(i32) -> Patch) -> (String, Result<Patch, String>) {
    let unanswered = |address: &str| format!("the desk did not answer {address}");
    let Some(value) = state.int(address) else { return ("unknown".into(), Err(unanswered(address))) };
    let (side, row, way) = match meaning(value) {
        Patch::UserIn(row) => ("in", row, format!("User In {row}")),
        Patch::UserOut(row) => ("out", row, format!("User Out {row}")),
        patch => return (words(patch), Ok(patch)),
    };
    let address = user_routing(side, row);
    let Some(value) = state.int(&address) else { return (format!("{way} > unknown"), Err(unanswered(&address))) };
    let patch = if side == "in" { values::user_in(value) } else { values::user_out(value) };
    (format!("{way} > {}", words(patch)), Ok(patch))
}

fn words(patch: Patch) -> String {
    match patch {
        Patch::Off => "off".into(),
        Patch::Input(input) => input.to_string(),
        Patch::Output(output) => output.to_string(),
        Patch::UserIn(row) => format!("User In {row}"),
        Patch::UserOut(row) => format!("User Out {row}"),
        Patch::Unknown(value) => format!("unknown (value {value})"),
    }
}

fn output_signal(state: &State, output: Output) -> Result<Signal, String> {
    let address = match output {
        Output::Main(n) => state::output_source("main", n),
        Output::P16(n) => state::output_source("p16", n),
        Output::Aux(n) => state::output_source("aux", n),
        Output::MonitorL => return Ok(Signal::MonitorL),
        Output::MonitorR => return Ok(Signal::MonitorR),
    };
    let value = state.int(&address).ok_or_else(|| format!("carries {output}; the desk did not answer {address}"))?;
    Ok(values::signal(value))
}

/// Names for the stems of card tracks, counted from 1: as on the desk, made acceptable for files, and each only once.
pub fn stem_names(tracks: &[Track], channels: &[usize]) -> Vec<String> {
    let label = |channel: &usize| tracks.iter().find(|t| t.number == *channel).map_or_else(String::new, Track::label);
    source::stem_names(channels.iter().map(|channel| (label(channel), format!("Track {channel:02}"))))
}

/// Who a desk is, out of an answer to `/info` or `/xinfo`: name, model, firmware.
pub fn identity(values: &[Value]) -> Option<[String; 3]> {
    let [Value::Text(_), Value::Text(name), Value::Text(model), Value::Text(firmware)] = values else { return None };
    Some([name, model, firmware].map(|text| text.chars().filter(|c| !c.is_control()).collect::<String>().trim().into()))
}
