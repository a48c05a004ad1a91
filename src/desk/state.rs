//! What a desk has answered: all that is asked of it, and what kind of answer each question has.

use std::collections::BTreeMap;

use super::osc::{Message, Value};

/// The blocks of 8 of card and inputs.
const BLOCKS: [&str; 4] = ["1-8", "9-16", "17-24", "25-32"];
/// Channels, rows of user routing, and outputs: from 1.
pub const CHANNELS: u8 = 32;
pub const AUX_CHANNELS: u8 = 8;
const BUSES: u8 = 16;
const MATRICES: u8 = 6;
const USER_INS: u8 = 32;
const USER_OUTS: u8 = 48;
const OUTPUTS: [(&str, u8); 3] = [("main", 16), ("aux", 6), ("p16", 16)];
/// User routing came with this firmware; an older one does not answer.
const USER_ROUTING_SINCE: u32 = 4;

/// Who the desk is.
pub const INFO: &str = "/info";
pub const XINFO: &str = "/xinfo";
pub const CLOCK_RATE: &str = "/-prefs/clockrate";
pub const USB_MODE: &str = "/-prefs/card/USBmode";
pub const CARD_TYPE: &str = "/-stat/xcardtype";
pub const ROUTE_SWITCH: &str = "/config/routing/routswitch";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Int,
    Text,
    /// Four texts.
    Info,
}

impl Kind {
    fn of(address: &str) -> Self {
        match address {
            INFO | XINFO => Self::Info,
            _ if address.ends_with("/name") => Self::Text,
            _ => Self::Int,
        }
    }

    fn fits(self, values: &[Value]) -> bool {
        match self {
            Self::Int => matches!(values, [Value::Int(_)]),
            Self::Text => matches!(values, [Value::Text(_)]),
            Self::Info => matches!(values, [Value::Text(_), Value::Text(_), Value::Text(_), Value::Text(_)]),
        }
    }
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It says something new.
    New,
    /// It says what was known.
    Known,
    /// It answers no question, or with other types.
    Refused,
}

/// Answers by their addresses.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    answers: BTreeMap<String, Vec<Value>>,
}

impl State {
    pub fn accept(&mut self, message: &Message) -> Accepted {
        if !Kind::of(&message.address).fits(&message.values) || !is_asked(&message.address) {
            return Accepted::Refused;
        }
        match self.answers.insert(message.address.clone(), message.values.clone()) {
            Some(known) if known == message.values => Accepted::Known,
            _ => Accepted::New,
        }
    }

    /// What another heard goes before what was known.
    pub fn extend(&mut self, other: Self) {
        self.answers.extend(other.answers);
    }

    pub fn has(&self, address: &str) -> bool {
        self.answers.contains_key(address)
    }

    pub fn int(&self, address: &str) -> Option<i32> {
        match self.answers.get(address)?.as_slice() {
            [Value::Int(value)] => Some(*value),
            _ => None,
        }
    }

    /// The text without control characters and spaces at its ends; empty if there is no answer. `index` counts from 0.
    pub fn text(&self, address: &str, index: usize) -> String {
        match self.answers.get(address).and_then(|values| values.get(index)) {
            Some(Value::Text(text)) => text.chars().filter(|c| !c.is_control()).collect::<String>().trim().into(),
            _ => String::new(),
        }
    }

    /// Of those questions, the ones without an answer.
    pub fn missing(&self) -> Vec<String> {
        questions(&self.firmware()).into_iter().filter(|address| !self.has(address)).collect()
    }

    pub fn model(&self) -> String {
        self.identity(2)
    }

    pub fn firmware(&self) -> String {
        self.identity(3)
    }

    /// The desk's own name: `/info` has it, or the server's name.
    pub fn name(&self) -> String {
        let name = self.text(XINFO, 1);
        if name.is_empty() { self.text(INFO, 1) } else { name }
    }

    fn identity(&self, index: usize) -> String {
        let text = self.text(INFO, index);
        if text.is_empty() { self.text(XINFO, index) } else { text }
    }
}

/// `/config/routing/AREA` block of a slot from 1 to 32, and the slot's place in it from 1 to 8.
pub fn block(area: &str, slot: u8) -> (String, u8) {
    let index = slot - 1;
    (format!("/config/routing/{area}/{}", BLOCKS[usize::from(index / 8)]), index % 8 + 1)
}

pub fn user_routing(side: &str, row: u8) -> String {
    format!("/config/userrout/{side}/{row:02}")
}

pub fn output_source(group: &str, number: u8) -> String {
    format!("/outputs/{group}/{number:02}/src")
}

/// `strip` is `ch/01`, `bus/02`, `main/st` and the like.
pub fn config(strip: &str, what: &str) -> String {
    format!("/{strip}/config/{what}")
}

/// All questions after the first two for a desk of this firmware; of an unknown one, all.
pub fn questions(firmware: &str) -> Vec<String> {
    let mut all: Vec<String> = [CLOCK_RATE, USB_MODE, CARD_TYPE, ROUTE_SWITCH].map(String::from).into();
    for area in ["CARD", "IN", "PLAY"] {
        all.extend((1..=CHANNELS).step_by(8).map(|slot| block(area, slot).0));
    }
    all.extend(["IN", "PLAY"].map(|area| format!("/config/routing/{area}/AUX")));
    let of = |strip: &str, whats: &[&str]| whats.iter().map(|what| config(strip, what)).collect::<Vec<_>>();
    for (kind, count) in [("ch", CHANNELS), ("auxin", AUX_CHANNELS)] {
        all.extend((1..=count).flat_map(|n| of(&format!("{kind}/{n:02}"), &["name", "color", "icon", "source"])));
    }
    for (kind, count) in [("bus", BUSES), ("mtx", MATRICES)] {
        all.extend((1..=count).flat_map(|n| of(&format!("{kind}/{n:02}"), &["name", "color", "icon"])));
    }
    for strip in ["main/st", "main/m"] {
        all.extend(of(strip, &["name", "color", "icon"]));
    }
    for (group, count) in OUTPUTS {
        all.extend((1..=count).map(|n| output_source(group, n)));
    }
    let version = firmware.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if version.is_none_or(|major| major >= USER_ROUTING_SINCE) {
        all.extend((1..=USER_INS).map(|row| user_routing("in", row)));
        all.extend((1..=USER_OUTS).map(|row| user_routing("out", row)));
    }
    all
}

fn is_asked(address: &str) -> bool {
    use std::collections::BTreeSet;
    use std::sync::LazyLock;
    static ASKED: LazyLock<BTreeSet<String>> =
        LazyLock::new(|| questions("").into_iter().chain([INFO.into(), XINFO.into()]).collect());
    ASKED.contains(address)
}
