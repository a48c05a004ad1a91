//! What the numbers of a desk mean. Source: the tables of pmaillot/X32-Behringer, and of firmware 4 for user routing.

use std::fmt;

/// Where sound enters the desk. Numbers count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    Local(u8),
    Aes50A(u8),
    Aes50B(u8),
    /// What the computer plays.
    Card(u8),
    Aux(u8),
    TalkbackInternal,
    TalkbackExternal,
}

/// Where sound leaves the desk. Numbers count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    Main(u8),
    P16(u8),
    Aux(u8),
    MonitorL,
    MonitorR,
}

/// What is routed somewhere. Numbers count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patch {
    Off,
    Input(Input),
    Output(Output),
    /// A row of the user routing, `/config/userrout/in` and `out`.
    UserIn(u8),
    UserOut(u8),
    /// A value that no table has.
    Unknown(i32),
}

/// What an output carries, `/outputs/.../src`. Numbers count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Off,
    MainL,
    MainR,
    Mono,
    Bus(u8),
    Matrix(u8),
    /// Behind a channel strip, where the output's tap says.
    Channel(u8),
    AuxChannel(u8),
    EffectL(u8),
    EffectR(u8),
    MonitorL,
    MonitorR,
    Talkback,
    Unknown(i32),
}

/// What a channel listens to, `/ch/NN/config/source`. Numbers count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listens {
    /// A slot of the input routing, 1 to 32.
    In(u8),
    /// A slot of the aux input routing, 1 to 6.
    AuxIn(u8),
    /// Off, the stick's player, an effect, a bus, or what no table has: no input.
    Other,
}

/// A channel's colour as the desk has it: 0 to 15.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour(u8);

/// `value` counted from `first` if it is below `end`: a number from 1.
fn counted(value: i32, first: i32, end: i32) -> Option<u8> {
    (first..end).contains(&value).then(|| u8::try_from(value - first + 1).ok()).flatten()
}

/// The inputs that come in blocks of 8 everywhere: 0 to 19.
fn block_of_inputs(value: i32, place: u8) -> Option<Input> {
    let number = |block: u8| (block - 1) * 8 + place;
    let of = |first, end| counted(value, first, end).map(number);
    None.or(of(0, 4).map(Input::Local))
        .or(of(4, 10).map(Input::Aes50A))
        .or(of(10, 16).map(Input::Aes50B))
        .or(of(16, 20).map(Input::Card))
}

/// What stands at `place`, 1 to 8, of a `/config/routing/IN` or `PLAY` block.
#[must_use]
pub fn input_block(value: i32, place: u8) -> Patch {
    let user = counted(value, 20, 24).map(|block| Patch::UserIn((block - 1) * 8 + place));
    block_of_inputs(value, place).map(Patch::Input).or(user).unwrap_or(Patch::Unknown(value))
}

/// What stands at `place`, 1 to 8, of a `/config/routing/CARD` block.
#[must_use]
pub fn card_block(value: i32, place: u8) -> Patch {
    if let Some(input) = block_of_inputs(value, place) {
        return Patch::Input(input);
    }
    let of = |first, end| counted(value, first, end).map(|block| (block - 1) * 8 + place);
    match (value, place) {
        (24, 1..=6) => Patch::Output(Output::Aux(place)),
        (24, 7) => Patch::Output(Output::MonitorL),
        (24, _) => Patch::Output(Output::MonitorR),
        (25, 1..=6) => Patch::Input(Input::Aux(place)),
        (25, 7) => Patch::Input(Input::TalkbackInternal),
        (25, _) => Patch::Input(Input::TalkbackExternal),
        _ => None
            .or(of(20, 22).map(|n| Patch::Output(Output::Main(n))))
            .or(of(22, 24).map(|n| Patch::Output(Output::P16(n))))
            .or(of(26, 32).map(Patch::UserOut))
            .or(of(32, 36).map(Patch::UserIn))
            .unwrap_or(Patch::Unknown(value)),
    }
}

/// What stands at `slot`, 1 to 6, of the aux inputs, `/config/routing/IN/AUX`: the first two, four or six can be replaced.
#[must_use]
pub fn aux_block(value: i32, slot: u8) -> Patch {
    let Some(row) = counted(value, 1, 16) else {
        return if value == 0 { Patch::Input(Input::Aux(slot)) } else { Patch::Unknown(value) };
    };
    if slot > [2, 4, 6][usize::from((row - 1) % 3)] {
        return Patch::Input(Input::Aux(slot));
    }
    match (row - 1) / 3 {
        0 => Patch::Input(Input::Local(slot)),
        1 => Patch::Input(Input::Aes50A(slot)),
        2 => Patch::Input(Input::Aes50B(slot)),
        3 => Patch::Input(Input::Card(slot)),
        _ => Patch::UserIn(slot),
    }
}

/// A row of `/config/userrout/in`.
#[must_use]
pub fn user_in(value: i32) -> Patch {
    let of = |first, end| counted(value, first, end);
    let input = None
        .or(of(1, 33).map(Input::Local))
        .or(of(33, 81).map(Input::Aes50A))
        .or(of(81, 129).map(Input::Aes50B))
        .or(of(129, 161).map(Input::Card))
        .or(of(161, 167).map(Input::Aux));
    match value {
        0 => Patch::Off,
        167 => Patch::Input(Input::TalkbackInternal),
        168 => Patch::Input(Input::TalkbackExternal),
        _ => input.map_or(Patch::Unknown(value), Patch::Input),
    }
}

/// A row of `/config/userrout/out`.
#[must_use]
pub fn user_out(value: i32) -> Patch {
    let of = |first, end| counted(value, first, end);
    let output = None.or(of(169, 185).map(Output::Main)).or(of(185, 201).map(Output::P16)).or(of(201, 207).map(Output::Aux));
    match value {
        207 => Patch::Output(Output::MonitorL),
        208 => Patch::Output(Output::MonitorR),
        _ => output.map_or_else(|| user_in(value), Patch::Output),
    }
}

/// A value of `/outputs/.../src`.
#[must_use]
pub fn signal(value: i32) -> Signal {
    let of = |first, end| counted(value, first, end);
    let effect = |n: u8| if n % 2 == 1 { Signal::EffectL(n.div_ceil(2)) } else { Signal::EffectR(n.div_ceil(2)) };
    match value {
        0 => Signal::Off,
        1 => Signal::MainL,
        2 => Signal::MainR,
        3 => Signal::Mono,
        74 => Signal::MonitorL,
        75 => Signal::MonitorR,
        76 => Signal::Talkback,
        _ => None
            .or(of(4, 20).map(Signal::Bus))
            .or(of(20, 26).map(Signal::Matrix))
            .or(of(26, 58).map(Signal::Channel))
            .or(of(58, 66).map(Signal::AuxChannel))
            .or(of(66, 74).map(effect))
            .unwrap_or(Signal::Unknown(value)),
    }
}

/// A value of `/ch/NN/config/source` or `/auxin/NN/config/source`.
#[must_use]
pub fn listens(value: i32) -> Listens {
    let slot = counted(value, 1, 33).map(Listens::In);
    slot.or(counted(value, 33, 39).map(Listens::AuxIn)).unwrap_or(Listens::Other)
}

/// Channels that the computer records and plays in a USB mode, `/-prefs/card/USBmode`.
#[must_use]
pub fn usb_mode(value: i32) -> Option<(usize, usize)> {
    [(32, 32), (16, 16), (32, 8), (8, 32), (8, 8), (2, 2)].get(usize::try_from(value).ok()?).copied()
}

/// Hertz, `/-prefs/clockrate`.
#[must_use]
pub fn clock_rate_hz(value: i32) -> Option<u32> {
    [48_000, 44_100].get(usize::try_from(value).ok()?).copied()
}

/// `/-stat/xcardtype`.
#[must_use]
pub fn card(value: i32) -> Option<&'static str> {
    [(0, "none"), (2, "X-USB"), (7, "Dante"), (10, "X-LIVE")].iter().find(|(v, _)| *v == value).map(|(_, name)| *name)
}

/// Whether a card's channels go to a computer over USB, in a USB mode.
#[must_use]
pub fn is_usb(card: i32) -> bool {
    matches!(card, 2 | 10)
}

/// Microphone inputs of a model; none for one that is not known.
#[must_use]
pub fn local_inputs(model: &str) -> Option<u8> {
    match model {
        "X32" | "M32" => Some(32),
        "X32C" | "X32P" | "X32RACK" | "M32R" => Some(16),
        "X32CORE" | "M32C" => Some(0),
        _ => None,
    }
}

impl Colour {
    /// None if the desk has no such colour.
    #[must_use]
    pub fn new(value: i32) -> Option<Self> {
        u8::try_from(value).ok().filter(|v| *v < 16).map(Self)
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        ["off", "red", "green", "yellow", "blue", "magenta", "cyan", "white"][usize::from(self.0 % 8)]
    }

    /// Red, green, blue: one bit of the value for each of the lights behind a strip's display.
    #[must_use]
    pub fn rgb(self) -> [u8; 3] {
        [1, 2, 4].map(|bit| if self.0 & bit == 0 { 0 } else { u8::MAX })
    }

    /// Whether the name stands dark on the colour.
    #[must_use]
    pub fn is_inverted(self) -> bool {
        self.0 >= 8
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        if self.is_inverted() { f.write_str(" inverted") } else { Ok(()) }
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(n) => write!(f, "Local {n}"),
            Self::Aes50A(n) => write!(f, "AES50-A {n}"),
            Self::Aes50B(n) => write!(f, "AES50-B {n}"),
            Self::Card(n) => write!(f, "Card {n}"),
            Self::Aux(n) => write!(f, "Aux In {n}"),
            Self::TalkbackInternal => f.write_str("Talkback"),
            Self::TalkbackExternal => f.write_str("Talkback External"),
        }
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Main(n) => write!(f, "Output {n}"),
            Self::P16(n) => write!(f, "P16 {n}"),
            Self::Aux(n) => write!(f, "Aux Out {n}"),
            Self::MonitorL => f.write_str("Monitor L"),
            Self::MonitorR => f.write_str("Monitor R"),
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("nothing"),
            Self::MainL => f.write_str("Main L"),
            Self::MainR => f.write_str("Main R"),
            Self::Mono => f.write_str("Main Mono"),
            Self::Bus(n) => write!(f, "Bus {n}"),
            Self::Matrix(n) => write!(f, "Matrix {n}"),
            Self::Channel(n) => write!(f, "Direct Out Ch {n}"),
            Self::AuxChannel(n) => write!(f, "Direct Out Aux {n}"),
            Self::EffectL(n) => write!(f, "FX {n} L"),
            Self::EffectR(n) => write!(f, "FX {n} R"),
            Self::MonitorL => f.write_str("Monitor L"),
            Self::MonitorR => f.write_str("Monitor R"),
            Self::Talkback => f.write_str("Talkback"),
            Self::Unknown(value) => write!(f, "unknown (value {value})"),
        }
    }
}
