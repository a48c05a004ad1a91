//! Reads an X32 or M32 mixing desk over OSC: channel names and colours, routing, sample rate. No message of this module sets
//! anything.
//!
//! [`Desk::open`] reads everything once; the result is plain data. [`Desk::tracks`] says what each track of the desk's USB card
//! carries: the routing of the card leads to an input, perhaps through a row of the user routing, and the input to the channel
//! that takes its signal from the same input. [`DeskWatch`] keeps the data up to date while something else runs. [`discover`]
//! finds desks on the network, and [`FakeDesk`] imitates one.
//!
//! Terms: an *address* is the OSC path of a value, like `/ch/01/config/name`; a *question* is a packet with an address and no
//! value, which the desk *answers* with the value. A *track* is one of the 32 channels that the USB card sends to the computer.
//!
//! Source of addresses and values: <https://github.com/pmaillot/X32-Behringer>.

#![warn(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]

mod connection;
mod fake;
pub mod osc;
mod state;
mod track;
pub mod values;
mod watch;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use thiserror::Error;

pub use connection::PORT;
pub use fake::{FakeDesk, Fault};
pub use track::{Track, TrackContent, TrackStrip};
pub use watch::{DeskWatch, WatchStatus};

use connection::DeskConnection;
use state::{CARD_TYPE, CLOCK_RATE, DeskState, ROUTE_SWITCH, USB_MODE, questions};

/// OSC address of the page of meters whose first 32 levels are those of the channels.
const CHANNEL_METERS: &str = "/meters/0";
/// Duration of the search for desks.
const SEARCH_DURATION: Duration = Duration::from_millis(1500);
/// Largest number of unanswered questions that a note names.
const NAMED_QUESTIONS: usize = 3;

/// Reason why a desk cannot be found or read. Every message is one line.
#[derive(Debug, Error)]
pub enum DeskError {
    /// The text is no network address, or the name is unknown.
    #[error("desk {address}: no such address: {reason}; expected an address like 192.168.1.20")]
    Address {
        /// The text, its first 80 characters, without control characters.
        address: String,
        /// Error of the name server or the parser.
        reason: String,
    },
    /// The operating system refused a socket or a thread.
    #[error("cannot {action} the desk at {address}: {source}")]
    Io {
        /// Action that failed, such as `open a socket to`.
        action: &'static str,
        /// Network address of the desk.
        address: SocketAddr,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The operating system refused a socket for the search.
    #[error("cannot search the net: {0}")]
    Search(io::Error),
    /// The desk did not answer, or stopped answering.
    #[error("the desk at {address} {event} in {seconds:.1} s{reason}")]
    NoAnswer {
        /// Network address of the desk.
        address: SocketAddr,
        /// `gave no answer`, or `fell silent: no answer` after an earlier answer.
        event: &'static str,
        /// Time for which a question was repeated without an answer.
        seconds: f32,
        /// Text about invalid packets or a refused connection, with a semicolon in front; empty if nothing at all came.
        reason: String,
    },
    /// Something else than an X32 or M32 answered.
    #[error("{address} is '{model}'; expected an X32 or M32")]
    Model {
        /// Network address that answered.
        address: SocketAddr,
        /// Name of the model, its first 40 characters.
        model: String,
    },
    /// The search found no desk.
    #[error("no desk answers on the local net; give its address")]
    None,
    /// The search found more than one desk.
    #[error("{count} desks answer: {list}; give an address")]
    Several {
        /// Number of desks.
        count: usize,
        /// Addresses and names of the desks, separated by commas.
        list: String,
    },
}

/// Difference between a desk and the device that should be its USB card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Mismatch {
    /// The sample rates differ.
    #[error("the desk runs at {desk_hz} Hz, the device at {device_hz} Hz")]
    Rate {
        /// Sample rate of the desk in hertz.
        desk_hz: u32,
        /// Sample rate of the device in hertz.
        device_hz: u32,
    },
    /// The numbers of channels from desk to computer differ.
    #[error("the desk sends {desk} channels (USB mode {desk}/{from_computer}), the device has {device}")]
    Channels {
        /// Number of channels that the desk sends to the computer.
        desk: usize,
        /// Number of channels that the computer sends to the desk.
        from_computer: usize,
        /// Number of input channels of the device.
        device: usize,
    },
}

/// Timeouts and intervals of the conversation with a desk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Time to wait for an answer before a question is sent again. Doubles after each try.
    pub first_answer: Duration,
    /// Number of times that a question is sent.
    pub tries: u32,
    /// Longest duration of a complete reading. Questions without an answer by then stay unanswered.
    pub reading: Duration,
    /// Time between two `/xremote` messages, which subscribe to changes for 10 s.
    pub xremote_interval: Duration,
    /// Time between two questions that check whether a watched desk is still there.
    pub ping_interval: Duration,
    /// Time without a message after which a watched desk counts as lost.
    pub lost_after: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            first_answer: Duration::from_millis(200),
            tries: 3,
            reading: Duration::from_secs(5),
            xremote_interval: Duration::from_secs(7),
            ping_interval: Duration::from_secs(1),
            lost_after: Duration::from_secs(4),
        }
    }
}

impl Timeouts {
    /// Returns the time that a single question may take with all its tries.
    fn per_question(&self) -> Duration {
        self.first_answer * (2_u32.saturating_pow(self.tries) - 1)
    }
}

/// A desk that answered a search. It may be of another model than X32 and M32.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundDesk {
    /// Network address of the desk.
    pub address: SocketAddr,
    /// Name that its owner gave it.
    pub name: String,
    /// Name of the model, such as `X32RACK`.
    pub model: String,
    /// Version of the firmware, such as `4.06`.
    pub firmware: String,
}

impl FoundDesk {
    /// Returns true if the desk is an X32 or M32.
    fn is_supported(&self) -> bool {
        is_supported(&self.model)
    }
}

/// Returns true if the model is one of the X32 and M32 series.
fn is_supported(model: &str) -> bool {
    model.starts_with("X32") || model.starts_with("M32")
}

/// Searches the local network for desks, including those of other models. Takes 1.5 s. [control thread]
///
/// # Errors
/// [`DeskError::Search`] if the operating system gives no socket.
pub fn discover() -> Result<Vec<FoundDesk>, DeskError> {
    discover_at(&connection::broadcasts(), SEARCH_DURATION)
}

/// Returns the desks that answer at these addresses, which may be broadcast addresses, within `duration`. [control thread]
///
/// # Errors
/// [`DeskError::Search`] if the operating system gives no socket.
pub fn discover_at(addresses: &[SocketAddr], duration: Duration) -> Result<Vec<FoundDesk>, DeskError> {
    connection::discover(addresses, duration).map_err(DeskError::Search)
}

/// Returns the only X32 or M32 among the desks that were found. [any thread]
///
/// # Errors
/// [`DeskError::None`] or [`DeskError::Model`] if there is none, [`DeskError::Several`] if there is more than one.
pub fn only_desk(found: &[FoundDesk]) -> Result<&FoundDesk, DeskError> {
    let desks: Vec<&FoundDesk> = found.iter().filter(|f| f.is_supported()).collect();
    match desks.as_slice() {
        [one] => Ok(one),
        [] => {
            found.first().map_or(Err(DeskError::None), |f| Err(DeskError::Model { address: f.address, model: f.model.clone() }))
        }
        _ => {
            let list: Vec<String> = desks.iter().map(|f| format!("{} ({})", f.address.ip(), f.name)).collect();
            Err(DeskError::Several { count: desks.len(), list: list.join(", ") })
        }
    }
}

/// Everything that was read from a desk.
#[derive(Clone, Debug, PartialEq)]
pub struct Desk {
    address: SocketAddr,
    state: DeskState,
}

impl Desk {
    /// Reads the desk at `HOST` or `HOST:PORT`. Waits at most 1.4 s for its first answer and 5 s for all. [control thread]
    ///
    /// # Errors
    /// If there is no such address, nothing answers, the desk stops answering, or it is no X32 or M32.
    pub fn open(address: &str) -> Result<Self, DeskError> {
        Self::open_with(connection::resolve(address)?, Timeouts::default())
    }

    /// Reads the only desk of the local network. [control thread]
    ///
    /// # Errors
    /// The errors of [`Desk::open`] and [`only_desk`].
    pub fn find() -> Result<Self, DeskError> {
        Self::open_with(only_desk(&discover()?)?.address, Timeouts::default())
    }

    /// Reads the desk at a network address. [control thread]
    ///
    /// # Errors
    /// If nothing answers, the desk stops answering, or it is no X32 or M32.
    pub fn open_with(address: SocketAddr, timeouts: Timeouts) -> Result<Self, DeskError> {
        let mut connection = DeskConnection::open(address, timeouts)?;
        let mut state = DeskState::default();
        connection.ask_identity(&mut state)?;
        let model = state.model();
        if !is_supported(&model) {
            return Err(DeskError::Model { address, model: model.chars().take(40).collect() });
        }
        let all = questions(&state.firmware());
        let keeps_asking = |_: &DeskState| true;
        connection.ask(&all, &mut state, keeps_asking)?;
        Ok(Self { address, state })
    }

    /// Returns the desk whose answers are these messages. Messages that answer no question are ignored. [any thread]
    #[must_use]
    pub fn from_messages(address: SocketAddr, messages: &[osc::Message]) -> Self {
        let mut state = DeskState::default();
        for message in messages {
            state.accept(message);
        }
        Self { address, state }
    }

    /// Returns the desk's network address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the name that the owner gave the desk; empty if the desk did not answer.
    #[must_use]
    pub fn name(&self) -> String {
        self.state.name()
    }

    /// Returns the name of the model, such as `X32RACK`; empty if the desk did not answer.
    #[must_use]
    pub fn model(&self) -> String {
        self.state.model()
    }

    /// Returns the version of the firmware, such as `4.06`; empty if the desk did not answer.
    #[must_use]
    pub fn firmware(&self) -> String {
        self.state.firmware()
    }

    /// Returns the sample rate in hertz; `None` if the desk did not answer or answered with an unknown value.
    #[must_use]
    pub fn clock_rate_hz(&self) -> Option<u32> {
        values::clock_rate_hz(self.state.int(CLOCK_RATE)?)
    }

    /// Returns the number of channels from desk to computer and from computer to desk. `None` if the desk did not answer,
    /// answered with an unknown value, or has a card without USB.
    #[must_use]
    pub fn usb_channels(&self) -> Option<(usize, usize)> {
        let is_usb = self.state.int(CARD_TYPE).is_none_or(values::is_usb);
        self.state.int(USB_MODE).filter(|_| is_usb).and_then(values::usb_mode)
    }

    /// Returns the type of the desk's expansion card, such as `X-USB`.
    #[must_use]
    pub fn card_type(&self) -> String {
        let name = |value| values::card_type(value).map_or_else(|| format!("unknown (value {value})"), String::from);
        self.state.int(CARD_TYPE).map_or_else(|| "unknown".into(), name)
    }

    /// Returns true if the desk is switched to playback: its channels take their signals from the PLAY routing instead of the
    /// inputs.
    #[must_use]
    pub fn is_in_playback(&self) -> bool {
        self.state.int(ROUTE_SWITCH) == Some(1)
    }

    /// Returns the 32 tracks of the USB card in order.
    #[must_use]
    pub fn tracks(&self) -> Vec<Track> {
        track::tracks(&self.state)
    }

    /// Returns the summary of each of the 32 tracks that a window shows.
    #[must_use]
    pub fn strips(&self) -> Vec<TrackStrip> {
        self.tracks().iter().map(Track::strip).collect()
    }

    /// Returns names for the stems of these tracks, counted from 1: the desk's names, made valid and unique as file names.
    #[must_use]
    pub fn stem_names(&self, tracks: &[usize]) -> Vec<String> {
        track::stem_names(&self.tracks(), tracks)
    }

    /// Returns notes for the user, a line each: on tracks with unexpected content, and on values that the desk did not report.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let note = |t: Track| t.note.map(|note| format!("track {} {note}", t.number));
        let mut notes: Vec<String> = self.tracks().into_iter().filter_map(note).collect();
        if self.is_in_playback() {
            notes.push("the desk is switched to playback: channels hear its PLAY routing".into());
        }
        let unread = |name: &str, address: &str, value: Option<i32>| match value {
            Some(value) => format!("the {name} is unknown (value {value} of {address}), so it is not compared"),
            None => format!("the {name} is unknown (no answer to {address}), so it is not compared"),
        };
        if self.clock_rate_hz().is_none() {
            notes.push(unread("clock rate", CLOCK_RATE, self.state.int(CLOCK_RATE)));
        }
        match self.state.int(CARD_TYPE) {
            Some(card) if !values::is_usb(card) => {
                notes.push(format!("the card is {}, so channels are not compared", self.card_type()));
            }
            _ if self.usb_channels().is_none() => notes.push(unread("USB mode", USB_MODE, self.state.int(USB_MODE))),
            _ => {}
        }
        let missing = self.state.missing();
        if !missing.is_empty() {
            let more = if missing.len() > NAMED_QUESTIONS { ", ..." } else { "" };
            let named = missing[..missing.len().min(NAMED_QUESTIONS)].join(", ");
            notes.push(format!("the desk left {} questions without an answer: {named}{more}", missing.len()));
        }
        notes
    }

    /// Checks whether a device of this sample rate and number of input channels can be this desk's USB card. Values that the desk
    /// did not report are not compared; [`Desk::notes`] names them. [any thread]
    ///
    /// # Errors
    /// The first difference.
    pub fn check_device(&self, granted_rate_hz: u32, granted_channels: usize) -> Result<(), Mismatch> {
        if let Some(desk_hz) = self.clock_rate_hz().filter(|hz| *hz != granted_rate_hz) {
            return Err(Mismatch::Rate { desk_hz, device_hz: granted_rate_hz });
        }
        match self.usb_channels() {
            Some((desk, from_computer)) if desk != granted_channels => {
                Err(Mismatch::Channels { desk, from_computer, device: granted_channels })
            }
            _ => Ok(()),
        }
    }

    /// Reads the present levels of the 32 channels, linear, 1.0 at full scale. `None` if the desk sends none. [control thread]
    #[must_use]
    pub fn channel_levels(&self, timeouts: Timeouts) -> Option<Vec<f32>> {
        let mut levels = DeskConnection::open(self.address, timeouts).ok()?.levels(CHANNEL_METERS)?;
        levels.truncate(state::CHANNELS.into());
        Some(levels)
    }
}
