//! The tracks of a desk's USB card, traced through the routing to their sources and channels.
//!
//! The value of a card block, perhaps through a row of the user routing, gives the input or output that a track carries. If it is
//! an input, the track gets its name and colour from the channel that takes its signal from the same input.

use std::time::Instant;

use super::osc::Value;
use super::state::{self, AUX_CHANNELS, CARD_TYPE, CHANNELS, DeskState, ROUTE_SWITCH, USB_MODE, block, config, user_routing};
use super::values::{self, ChannelSource, Colour, Input, Output, Patch, Signal};
use crate::source::{self, DeskChannelInfo, SourceChange};

/// The signal that a track carries, in terms of the desk's channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrackContent {
    /// The track is not routed.
    Nothing,
    /// The input of this channel, 1 to 32, before the channel's processing.
    Channel(u8),
    /// The input of this aux channel, 1 to 8, before the channel's processing.
    AuxChannel(u8),
    /// An input that no channel uses.
    Input(Input),
    /// The signal of one of the desk's outputs.
    Output(Signal),
    /// The desk did not answer, or answered with an unknown value.
    Unknown,
}

/// A track of the USB card: one channel from the desk to the computer.
#[derive(Clone, Debug, PartialEq)]
pub struct Track {
    /// Number of the track, 1 to 32.
    pub number: usize,
    /// Path through the routing, like `User Out 31 > Output 1`.
    pub source: String,
    /// The signal that the track carries.
    pub content: TrackContent,
    /// Name of the channel or bus on the desk; empty if it has none.
    pub name: String,
    /// Colour of the channel or bus; `None` if there is none, or the desk did not answer.
    pub colour: Option<Colour>,
    /// Number of the desk's icon, from 1.
    pub icon: Option<i32>,
    /// Note for the user, if the track carries another channel than that of its number, an output, nothing, or something unknown.
    pub note: Option<String>,
}

/// Summary of a track for a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackStrip {
    /// Name of the channel or bus or, without one, the content as a text: [`Track::label`].
    pub name: String,
    /// Colour as red, green, blue; `None` if the track has none.
    pub colour: Option<[u8; 3]>,
    /// True if the desk's display shows dark text on a lit background.
    pub is_inverted: bool,
    /// Note for the user: [`Track::note`].
    pub note: Option<String>,
}

impl Track {
    /// Returns the summary for a window. [any thread]
    #[must_use]
    pub fn strip(&self) -> TrackStrip {
        TrackStrip {
            name: self.label(),
            colour: self.colour.map(Colour::rgb),
            is_inverted: self.colour.is_some_and(Colour::is_inverted),
            note: self.note.clone(),
        }
    }

    /// Returns the description that a take's manifest keeps. [any thread]
    #[must_use]
    pub fn to_channel_info(&self) -> DeskChannelInfo {
        let colour = self.colour.map(|colour| colour.to_string());
        DeskChannelInfo { source: self.source.clone(), colour, note: self.note.clone() }
    }

    /// Returns the name, or if there is none, the content as a text. [any thread]
    #[must_use]
    pub fn label(&self) -> String {
        match self.content {
            _ if !self.name.is_empty() => self.name.clone(),
            TrackContent::Channel(n) => format!("Ch {n:02}"),
            TrackContent::AuxChannel(n) => format!("Aux {n}"),
            TrackContent::Input(input) => input.to_string(),
            TrackContent::Output(signal) if !matches!(signal, Signal::Off | Signal::Unknown(_)) => signal.to_string(),
            _ => format!("Track {:02}", self.number),
        }
    }
}

/// Number of tracks of the card.
const TRACKS: u8 = 32;

/// Returns the 32 tracks of the card.
pub fn tracks(state: &DeskState) -> Vec<Track> {
    let channel_inputs = channel_inputs(state);
    (1..=TRACKS).map(|number| track(state, &channel_inputs, number)).collect()
}

/// Returns the differences between two readings of the tracks. `at` is the time at which the desk reported them, `since` the
/// earliest time at which they may have happened, if the exact time is unknown.
pub fn changes(before: &[Track], after: &[Track], at: Instant, since: Option<Instant>) -> Vec<SourceChange> {
    let properties = |track: &Track| {
        let DeskChannelInfo { source, colour, note } = track.to_channel_info();
        [("source", Some(source)), ("name", Some(track.label())), ("colour", colour), ("note", note)]
    };
    let pairs = before.iter().zip(after).flat_map(|(old, new)| {
        properties(old).into_iter().zip(properties(new)).map(move |((what, from), (_, to))| (new.number - 1, what, from, to))
    });
    let differ = pairs.filter(|(.., from, to)| from != to);
    differ.map(|(index, what, from, to)| SourceChange { source_channel: index, what, from, to, at, since }).collect()
}

/// A channel and the input that it takes its signal from.
struct ChannelInput {
    channel: TrackContent,
    input: Input,
}

/// Returns one track. `channel_inputs` are those of all channels.
fn track(state: &DeskState, channel_inputs: &[ChannelInput], number: u8) -> Track {
    let (address, place) = block("CARD", number);
    let (source, found) = trace(state, &address, |value| values::card_block(value, place));
    let mut notes = Vec::new();
    let mut note = |text: String| notes.push(text);
    let content = match found {
        Ok(Patch::Off) => {
            note("carries nothing".into());
            TrackContent::Nothing
        }
        Ok(Patch::Input(input)) => {
            let channels: Vec<TrackContent> = channel_inputs.iter().filter(|c| c.input == input).map(|c| c.channel).collect();
            let same_number = channels.iter().find(|c| **c == TrackContent::Channel(number)).copied();
            let content = same_number.or(channels.first().copied()).unwrap_or(TrackContent::Input(input));
            match content {
                TrackContent::Channel(n) if n != number => note(format!("carries channel {n}")),
                TrackContent::AuxChannel(n) => note(format!("carries aux channel {n}")),
                TrackContent::Input(_) => note(format!("carries {input}, which no channel hears")),
                _ => {}
            }
            match (input, values::local_inputs(&state.model())) {
                (Input::Local(n), Some(has)) if n > has => note(format!("this {} has {has} local inputs", state.model())),
                (Input::Card(_), _) => note("is what the computer plays".into()),
                _ => {}
            }
            content
        }
        Ok(Patch::Output(output)) => {
            let signal = output_signal(state, output);
            match signal {
                Ok(signal) => note(format!("carries {signal}")),
                Err(ref text) => note(text.clone()),
            }
            signal.map_or(TrackContent::Unknown, TrackContent::Output)
        }
        Ok(Patch::UserIn(_) | Patch::UserOut(_) | Patch::Unknown(_)) => {
            note("source is unknown".into());
            TrackContent::Unknown
        }
        Err(text) => {
            note(text);
            TrackContent::Unknown
        }
    };
    let card = state.int(CARD_TYPE);
    if let Some((sent, played)) = state.int(USB_MODE).and_then(values::usb_mode)
        && usize::from(number) > sent
        && card.is_none_or(values::is_usb)
    {
        note(format!("is not sent in USB mode {sent}/{played}"));
    }
    let strip_path = strip_path(content);
    let setting = |what: &str| strip_path.as_ref().and_then(|path| state.int(&config(path, what)));
    Track {
        number: number.into(),
        source,
        content,
        name: strip_path.as_ref().map_or_else(String::new, |path| name(state, path, content)),
        colour: setting("color").and_then(Colour::new),
        icon: setting("icon"),
        note: (!notes.is_empty()).then(|| notes.join("; ")),
    }
}

/// Returns the part of addresses that names the channel strip from which a track has its name and colour; `None` for content
/// without one.
fn strip_path(content: TrackContent) -> Option<String> {
    Some(match content {
        TrackContent::Channel(n) | TrackContent::Output(Signal::Channel(n)) => format!("ch/{n:02}"),
        TrackContent::AuxChannel(n) | TrackContent::Output(Signal::AuxChannel(n)) => format!("auxin/{n:02}"),
        TrackContent::Output(Signal::Bus(n)) => format!("bus/{n:02}"),
        TrackContent::Output(Signal::Matrix(n)) => format!("mtx/{n:02}"),
        TrackContent::Output(Signal::MainL | Signal::MainR) => "main/st".into(),
        TrackContent::Output(Signal::Mono) => "main/m".into(),
        _ => return None,
    })
}

/// Returns the name of a channel strip; for the left and right main outputs ` L` or ` R` is appended.
fn name(state: &DeskState, strip_path: &str, content: TrackContent) -> String {
    let name = state.text(&config(strip_path, "name"), 0);
    match content {
        TrackContent::Output(Signal::MainL) if !name.is_empty() => name + " L",
        TrackContent::Output(Signal::MainR) if !name.is_empty() => name + " R",
        _ => name,
    }
}

/// Returns the channels and aux channels that take their signal from an input, with their inputs.
fn channel_inputs(state: &DeskState) -> Vec<ChannelInput> {
    let area = if state.int(ROUTE_SWITCH) == Some(1) { "PLAY" } else { "IN" };
    let channel_input = |strip_path: String, channel: TrackContent| {
        let found = match values::channel_source(state.int(&config(&strip_path, "source"))?) {
            ChannelSource::In(slot) => {
                let (address, place) = block(area, slot);
                trace(state, &address, |value| values::input_block(value, place)).1
            }
            ChannelSource::AuxIn(slot) => {
                trace(state, &format!("/config/routing/{area}/AUX"), |value| values::aux_block(value, slot)).1
            }
            ChannelSource::Other => return None,
        };
        let Ok(Patch::Input(input)) = found else { return None };
        Some(ChannelInput { channel, input })
    };
    let channels = (1..=CHANNELS).filter_map(|n| channel_input(format!("ch/{n:02}"), TrackContent::Channel(n)));
    let aux = (1..=AUX_CHANNELS).filter_map(|n| channel_input(format!("auxin/{n:02}"), TrackContent::AuxChannel(n)));
    channels.chain(aux).collect()
}

/// Returns the input or output that the routing value at `address` stands for, through the user routing, and the path to it as a
/// text. `meaning` decodes the value. The error names the question that has no answer.
fn trace(state: &DeskState, address: &str, meaning: impl Fn(i32) -> Patch) -> (String, Result<Patch, String>) {
    let unanswered = |address: &str| format!("the desk did not answer {address}");
    let Some(value) = state.int(address) else { return ("unknown".into(), Err(unanswered(address))) };
    let (side, row, hop) = match meaning(value) {
        Patch::UserIn(row) => ("in", row, format!("User In {row}")),
        Patch::UserOut(row) => ("out", row, format!("User Out {row}")),
        patch => return (patch_text(patch), Ok(patch)),
    };
    let address = user_routing(side, row);
    let Some(value) = state.int(&address) else { return (format!("{hop} > unknown"), Err(unanswered(&address))) };
    let patch = if side == "in" { values::user_in(value) } else { values::user_out(value) };
    (format!("{hop} > {}", patch_text(patch)), Ok(patch))
}

/// Returns a routing value as a text, such as `Local 1`.
fn patch_text(patch: Patch) -> String {
    match patch {
        Patch::Off => "off".into(),
        Patch::Input(input) => input.to_string(),
        Patch::Output(output) => output.to_string(),
        Patch::UserIn(row) => format!("User In {row}"),
        Patch::UserOut(row) => format!("User Out {row}"),
        Patch::Unknown(value) => format!("unknown (value {value})"),
    }
}

/// Returns the signal that an output carries. The error is a note for the track.
fn output_signal(state: &DeskState, output: Output) -> Result<Signal, String> {
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

/// Returns names for the stems of the tracks with these numbers, counted from 1: the desk's names, made valid and unique as
/// file names.
pub fn stem_names(tracks: &[Track], numbers: &[usize]) -> Vec<String> {
    let label = |number: &usize| tracks.iter().find(|t| t.number == *number).map_or_else(String::new, Track::label);
    source::stem_names(numbers.iter().map(|number| (label(number), format!("Track {number:02}"))))
}

/// Returns name, model and firmware from the values of an answer to `/info` or `/xinfo`. `None` if they are not four texts.
pub fn identity(values: &[Value]) -> Option<[String; 3]> {
    let [Value::Text(_address), Value::Text(name), Value::Text(model), Value::Text(firmware)] = values else { return None };
    Some([name, model, firmware].map(|text| text.chars().filter(|c| !c.is_control()).collect::<String>().trim().into()))
}
