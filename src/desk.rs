//! An X32 or M32 over OSC: names, colours, routing, rate. It is only read: no message of this room sets anything.
//!
//! [`Desk::open`] asks everything; the result is plain data. [`Desk::tracks`] says what each track of the card carries, through
//! card block, user routing and input block to the channel that hears the same input. [`Watch`] follows the desk while something
//! else runs. [`discover`] finds desks, and [`Fake`] is one.
//!
//! Source of addresses and values: pmaillot/X32-Behringer.

mod fake;
mod link;
pub mod osc;
mod state;
mod track;
pub mod values;
mod watch;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use thiserror::Error;

pub use fake::{Fake, Fault};
pub use link::PORT;
pub use track::{Carries, Strip, Track};
pub use watch::{Status, Watch};

use link::Link;
use state::{CARD_TYPE, CLOCK_RATE, ROUTE_SWITCH, State, USB_MODE, questions};

/// The page of meters whose first 32 levels are the channels'.
const CHANNEL_METERS: &str = "/meters/0";
/// The whole search for desks takes this long.
const SEARCH: Duration = Duration::from_millis(1500);
/// Questions that are named when they have no answer.
const NAMED: usize = 3;

/// Why a desk cannot be read. Every message is one line.
#[derive(Debug, Error)]
pub enum DeskError {
    #[error("desk {address}: no such address: {what}; expected an address like 192.168.1.20")]
    Address { address: String, what: String },
    #[error("cannot {action} the desk at {address}: {source}")]
    Io { action: &'static str, address: SocketAddr, source: io::Error },
    #[error("cannot search the net: {0}")]
    Search(io::Error),
    #[error("the desk at {address} {what} in {seconds:.1} s{why}")]
    Silent { address: SocketAddr, what: &'static str, seconds: f32, why: String },
    #[error("{address} is '{model}'; expected an X32 or M32")]
    Model { address: SocketAddr, model: String },
    #[error("no desk answers on the local net; give its address")]
    None,
    #[error("{count} desks answer: {list}; give an address")]
    Several { count: usize, list: String },
}

/// What differs between desk and device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Mismatch {
    #[error("the desk runs at {desk_hz} Hz, the device at {device_hz} Hz")]
    Rate { desk_hz: u32, device_hz: u32 },
    #[error("the desk sends {desk} channels (USB mode {desk}/{played}), the device has {device}")]
    Channels { desk: usize, played: usize, device: usize },
}

/// How long is waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For the first answer to a question; twice as long after each try.
    pub wait: Duration,
    pub tries: u32,
    /// For a whole reading: what has no answer then is left without one.
    pub whole: Duration,
    /// Between two `/xremote`, which lapses after 10 s.
    pub renew: Duration,
    /// Between two signs of life that are asked of a watched desk.
    pub ask: Duration,
    /// A desk that says nothing for so long is lost.
    pub lost: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            wait: Duration::from_millis(200),
            tries: 3,
            whole: Duration::from_secs(5),
            renew: Duration::from_secs(7),
            ask: Duration::from_secs(1),
            lost: Duration::from_secs(4),
        }
    }
}

impl Patience {
    /// For one question.
    fn longest(&self) -> Duration {
        self.wait * (2_u32.saturating_pow(self.tries) - 1)
    }
}

/// A desk that answered a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub address: SocketAddr,
    pub name: String,
    pub model: String,
    pub firmware: String,
}

impl Found {
    fn is_known(&self) -> bool {
        is_known(&self.model)
    }
}

fn is_known(model: &str) -> bool {
    model.starts_with("X32") || model.starts_with("M32")
}

/// The desks on the local net, other models too. Takes 1.5 s. [control thread]
///
/// # Errors
/// If there is no socket to be had.
pub fn discover() -> Result<Vec<Found>, DeskError> {
    discover_at(&link::broadcasts(), SEARCH)
}

/// The desks that answer at some of these addresses within `wait`. [control thread]
///
/// # Errors
/// If there is no socket to be had.
pub fn discover_at(addresses: &[SocketAddr], wait: Duration) -> Result<Vec<Found>, DeskError> {
    link::discover(addresses, wait).map_err(DeskError::Search)
}

/// The one desk among those found.
///
/// # Errors
/// If there is none, or more than one.
pub fn only(found: &[Found]) -> Result<&Found, DeskError> {
    let desks: Vec<&Found> = found.iter().filter(|f| f.is_known()).collect();
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

/// What a desk said of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Desk {
    address: SocketAddr,
    state: State,
}

impl Desk {
    /// Reads the desk at `HOST` or `HOST:PORT`; it has a second and a half for its first answer. [control thread]
    ///
    /// # Errors
    /// If there is no such address, nothing answers, the desk falls silent, or it is no X32 or M32.
    pub fn open(address: &str) -> Result<Self, DeskError> {
        Self::open_with(link::resolve(address)?, Patience::default())
    }

    /// Reads the only desk of the local net. [control thread]
    ///
    /// # Errors
    /// As [`Desk::open`], and if there is none or more than one.
    pub fn find() -> Result<Self, DeskError> {
        Self::open_with(only(&discover()?)?.address, Patience::default())
    }

    /// Reads the desk at an address. [control thread]
    ///
    /// # Errors
    /// As [`Desk::open`].
    pub fn open_with(address: SocketAddr, patience: Patience) -> Result<Self, DeskError> {
        let mut link = Link::open(address, patience)?;
        let mut state = State::default();
        link.ask_identity(&mut state)?;
        let model = state.model();
        if !is_known(&model) {
            return Err(DeskError::Model { address, model: model.chars().take(40).collect() });
        }
        let all = questions(&state.firmware());
        link.ask(&all, &mut state, |_| true)?;
        Ok(Self { address, state })
    }

    /// A desk that said these messages; those that are no answers are passed over.
    #[must_use]
    pub fn from_messages(address: SocketAddr, messages: &[osc::Message]) -> Self {
        let mut state = State::default();
        for message in messages {
            state.accept(message);
        }
        Self { address, state }
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The desk's own name.
    #[must_use]
    pub fn name(&self) -> String {
        self.state.name()
    }

    #[must_use]
    pub fn model(&self) -> String {
        self.state.model()
    }

    #[must_use]
    pub fn firmware(&self) -> String {
        self.state.firmware()
    }

    /// None if the desk did not say, or said what is not known.
    #[must_use]
    pub fn clock_rate_hz(&self) -> Option<u32> {
        values::clock_rate_hz(self.state.int(CLOCK_RATE)?)
    }

    /// Channels that the computer records and plays; none as for the clock rate, or if the card has no USB.
    #[must_use]
    pub fn usb_channels(&self) -> Option<(usize, usize)> {
        let is_usb = self.state.int(CARD_TYPE).is_none_or(values::is_usb);
        self.state.int(USB_MODE).filter(|_| is_usb).and_then(values::usb_mode)
    }

    /// The card's kind.
    #[must_use]
    pub fn card(&self) -> String {
        let known = |value| values::card(value).map_or_else(|| format!("unknown (value {value})"), String::from);
        self.state.int(CARD_TYPE).map_or_else(|| "unknown".into(), known)
    }

    /// Whether the channels hear what the desk's playback routing says, not its inputs.
    #[must_use]
    pub fn plays(&self) -> bool {
        self.state.int(ROUTE_SWITCH) == Some(1)
    }

    /// What each of the card's 32 tracks carries.
    #[must_use]
    pub fn tracks(&self) -> Vec<Track> {
        track::tracks(&self.state)
    }

    /// What a window shows of each of the card's 32 tracks.
    #[must_use]
    pub fn strips(&self) -> Vec<Strip> {
        self.tracks().iter().map(Track::strip).collect()
    }

    /// Names for the stems of these tracks, counted from 1: as on the desk, acceptable as names of files, each only once.
    #[must_use]
    pub fn names(&self, tracks: &[usize]) -> Vec<String> {
        track::stem_names(&self.tracks(), tracks)
    }

    /// What stands out, a line each: flagged tracks, and what the desk did not say.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let flag = |t: Track| t.flag.map(|flag| format!("track {} {flag}", t.number));
        let mut notes: Vec<String> = self.tracks().into_iter().filter_map(flag).collect();
        if self.plays() {
            notes.push("the desk is switched to playback: channels hear its PLAY routing".into());
        }
        let unread = |what: &str, address: &str, value: Option<i32>| match value {
            Some(value) => format!("the {what} is unknown (value {value} of {address}), so it is not compared"),
            None => format!("the {what} is unknown (no answer to {address}), so it is not compared"),
        };
        if self.clock_rate_hz().is_none() {
            notes.push(unread("clock rate", CLOCK_RATE, self.state.int(CLOCK_RATE)));
        }
        match self.state.int(CARD_TYPE) {
            Some(card) if !values::is_usb(card) => {
                notes.push(format!("the card is {}, so channels are not compared", self.card()));
            }
            _ if self.usb_channels().is_none() => notes.push(unread("USB mode", USB_MODE, self.state.int(USB_MODE))),
            _ => {}
        }
        let missing = self.state.missing();
        if !missing.is_empty() {
            let more = if missing.len() > NAMED { ", ..." } else { "" };
            let named = missing[..missing.len().min(NAMED)].join(", ");
            notes.push(format!("the desk left {} questions without an answer: {named}{more}", missing.len()));
        }
        notes
    }

    /// Whether a device that granted this rate and so many channels is this desk's card; what the desk did not say is not
    /// compared, and is in [`Desk::notes`].
    ///
    /// # Errors
    /// What differs, with both sides.
    pub fn check(&self, granted_rate_hz: u32, granted_channels: usize) -> Result<(), Mismatch> {
        if let Some(desk_hz) = self.clock_rate_hz().filter(|hz| *hz != granted_rate_hz) {
            return Err(Mismatch::Rate { desk_hz, device_hz: granted_rate_hz });
        }
        match self.usb_channels() {
            Some((desk, played)) if desk != granted_channels => {
                Err(Mismatch::Channels { desk, played, device: granted_channels })
            }
            _ => Ok(()),
        }
    }

    /// The levels of the 32 channels now, linear, 1.0 at full scale; none if the desk sends none. [control thread]
    #[must_use]
    pub fn channel_levels(&self, patience: Patience) -> Option<Vec<f32>> {
        let mut levels = Link::open(self.address, patience).ok()?.levels(CHANNEL_METERS)?;
        levels.truncate(state::CHANNELS.into());
        Some(levels)
    }
}
