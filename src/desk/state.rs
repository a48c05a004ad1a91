//! The questions that a desk is asked, and its answers.

use std::collections::BTreeMap;

use super::osc::{Message, Value};

/// Names in addresses of the blocks of 8 in which the card and the inputs are routed.
const BLOCKS: [&str; 4] = ["1-8", "9-16", "17-24", "25-32"];
/// Number of input channels. Desks count them, as everything else, from 1.
pub const CHANNELS: u8 = 32;
/// Number of aux input channels.
pub const AUX_CHANNELS: u8 = 8;
/// Number of mix buses.
const BUSES: u8 = 16;
/// Number of matrix buses.
const MATRICES: u8 = 6;
/// Number of rows of the user routing of inputs.
const USER_INS: u8 = 32;
/// Number of rows of the user routing of outputs.
const USER_OUTS: u8 = 48;
/// Groups of outputs, as in addresses, and the number of outputs of each. P16 is the personal monitor system.
const OUTPUTS: [(&str, u8); 3] = [("main", 16), ("aux", 6), ("p16", 16)];
/// First major version of the firmware that has user routing. Older versions do not answer questions about it.
const USER_ROUTING_SINCE: u32 = 4;

/// Address of the answer with server version, server name, model and firmware.
pub const INFO: &str = "/info";
/// Address of the answer with network address, desk name, model and firmware.
pub const XINFO: &str = "/xinfo";
/// Address of the sample rate: [`clock_rate_hz`](super::values::clock_rate_hz).
pub const CLOCK_RATE: &str = "/-prefs/clockrate";
/// Address of the card's USB mode: [`usb_mode`](super::values::usb_mode).
pub const USB_MODE: &str = "/-prefs/card/USBmode";
/// Address of the type of the expansion card: [`card_type`](super::values::card_type).
pub const CARD_TYPE: &str = "/-stat/xcardtype";
/// Address of the switch between record routing (0) and playback routing (1) of the inputs.
pub const ROUTE_SWITCH: &str = "/config/routing/routswitch";

/// Types of the values in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AnswerKind {
    /// One integer.
    Int,
    /// One text.
    Text,
    /// Four texts.
    Info,
}

impl AnswerKind {
    /// Returns the kind of the answer from an address.
    fn of(address: &str) -> Self {
        match address {
            INFO | XINFO => Self::Info,
            _ if address.ends_with("/name") => Self::Text,
            _ => Self::Int,
        }
    }

    /// Returns true if the values are of this kind.
    fn fits(self, values: &[Value]) -> bool {
        match self {
            Self::Int => matches!(values, [Value::Int(_)]),
            Self::Text => matches!(values, [Value::Text(_)]),
            Self::Info => matches!(values, [Value::Text(_), Value::Text(_), Value::Text(_), Value::Text(_)]),
        }
    }
}

/// Result of [`DeskState::accept`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// The answer is new, or differs from the previous one.
    New,
    /// The answer is the same as before.
    Known,
    /// The message answers no question, or has values of the wrong types.
    Refused,
}

/// The answers of a desk, by their addresses.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeskState {
    answers: BTreeMap<String, Vec<Value>>,
}

impl DeskState {
    /// Adds an answer.
    pub fn accept(&mut self, message: &Message) -> Acceptance {
        if !AnswerKind::of(&message.address).fits(&message.values) || !is_question(&message.address) {
            return Acceptance::Refused;
        }
        match self.answers.insert(message.address.clone(), message.values.clone()) {
            Some(known) if known == message.values => Acceptance::Known,
            _ => Acceptance::New,
        }
    }

    /// Adds all answers of `other`, which replace earlier ones.
    pub fn extend(&mut self, other: Self) {
        self.answers.extend(other.answers);
    }

    /// Returns true if there is an answer from this address.
    pub fn has(&self, address: &str) -> bool {
        self.answers.contains_key(address)
    }

    /// Returns the answer if it is an integer.
    pub fn int(&self, address: &str) -> Option<i32> {
        match self.answers.get(address)?.as_slice() {
            [Value::Int(value)] => Some(*value),
            _ => None,
        }
    }

    /// Returns a text of an answer, counted from 0, without control characters and without spaces at its ends. Empty if there is
    /// no answer.
    pub fn text(&self, address: &str, index: usize) -> String {
        match self.answers.get(address).and_then(|values| values.get(index)) {
            Some(Value::Text(text)) => text.chars().filter(|c| !c.is_control()).collect::<String>().trim().into(),
            _ => String::new(),
        }
    }

    /// Returns the questions that have no answer.
    pub fn missing(&self) -> Vec<String> {
        questions(&self.firmware()).into_iter().filter(|address| !self.has(address)).collect()
    }

    /// Returns the name of the model; empty if there is no answer.
    pub fn model(&self) -> String {
        self.identity(2)
    }

    /// Returns the version of the firmware; empty if there is no answer.
    pub fn firmware(&self) -> String {
        self.identity(3)
    }

    /// Returns the desk's name; without an answer to [`XINFO`], the name of the server in [`INFO`].
    pub fn name(&self) -> String {
        let name = self.text(XINFO, 1);
        if name.is_empty() { self.text(INFO, 1) } else { name }
    }

    /// Returns a text, counted from 0, that [`INFO`] and [`XINFO`] have in common.
    fn identity(&self, index: usize) -> String {
        let text = self.text(INFO, index);
        if text.is_empty() { self.text(XINFO, index) } else { text }
    }
}

/// Returns the address of the `/config/routing/AREA` block that has a slot from 1 to 32, and the slot's place in the block from 1
/// to 8.
pub fn block(area: &str, slot: u8) -> (String, u8) {
    let index = slot - 1;
    (format!("/config/routing/{area}/{}", BLOCKS[usize::from(index / 8)]), index % 8 + 1)
}

/// Returns the address of a row, from 1, of the user routing. `side` is `in` or `out`.
pub fn user_routing(side: &str, row: u8) -> String {
    format!("/config/userrout/{side}/{row:02}")
}

/// Returns the address of the source of an output, from 1. `group` is one of [`OUTPUTS`].
pub fn output_source(group: &str, number: u8) -> String {
    format!("/outputs/{group}/{number:02}/src")
}

/// Returns the address of a setting of a channel strip. `strip` is `ch/01`, `bus/02`, `main/st` or the like, `what` is `name` or
/// the like.
pub fn config(strip: &str, what: &str) -> String {
    format!("/{strip}/config/{what}")
}

/// Returns the questions for a desk of this firmware, except [`INFO`] and [`XINFO`]. For an unknown firmware, all questions.
pub fn questions(firmware: &str) -> Vec<String> {
    let mut all: Vec<String> = [CLOCK_RATE, USB_MODE, CARD_TYPE, ROUTE_SWITCH].map(String::from).into();
    for area in ["CARD", "IN", "PLAY"] {
        all.extend((1..=CHANNELS).step_by(8).map(|slot| block(area, slot).0));
    }
    all.extend(["IN", "PLAY"].map(|area| format!("/config/routing/{area}/AUX")));
    let settings = |strip: &str, names: &[&str]| names.iter().map(|name| config(strip, name)).collect::<Vec<_>>();
    for (kind, count) in [("ch", CHANNELS), ("auxin", AUX_CHANNELS)] {
        all.extend((1..=count).flat_map(|n| settings(&format!("{kind}/{n:02}"), &["name", "color", "icon", "source"])));
    }
    for (kind, count) in [("bus", BUSES), ("mtx", MATRICES)] {
        all.extend((1..=count).flat_map(|n| settings(&format!("{kind}/{n:02}"), &["name", "color", "icon"])));
    }
    for strip in ["main/st", "main/m"] {
        all.extend(settings(strip, &["name", "color", "icon"]));
    }
    for (group, count) in OUTPUTS {
        all.extend((1..=count).map(|n| output_source(group, n)));
    }
    let major = firmware.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major >= USER_ROUTING_SINCE) {
        all.extend((1..=USER_INS).map(|row| user_routing("in", row)));
        all.extend((1..=USER_OUTS).map(|row| user_routing("out", row)));
    }
    all
}

/// Returns true if a desk of some firmware is asked for this address.
fn is_question(address: &str) -> bool {
    use std::collections::BTreeSet;
    use std::sync::LazyLock;
    static QUESTIONS: LazyLock<BTreeSet<String>> =
        LazyLock::new(|| questions("").into_iter().chain([INFO.into(), XINFO.into()]).collect());
    QUESTIONS.contains(address)
}
