//! Meaning of the numbers that a desk sends.
//!
//! Source: the tables of <https://github.com/pmaillot/X32-Behringer>, and for user routing those of firmware 4.

use std::fmt;

/// An input of the desk. Numbers count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Microphone input at the desk, 1 to 32.
    Local(u8),
    /// Channel of stage boxes at the AES50 port A, 1 to 48.
    Aes50A(u8),
    /// Channel of stage boxes at the AES50 port B, 1 to 48.
    Aes50B(u8),
    /// Channel that the computer plays through the expansion card, 1 to 32.
    Card(u8),
    /// Aux input, 1 to 6.
    Aux(u8),
    /// Built-in talkback microphone.
    TalkbackInternal,
    /// Microphone at the talkback connector.
    TalkbackExternal,
}

/// An output of the desk. Numbers count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Main output, 1 to 16.
    Main(u8),
    /// Channel of the P16 personal monitor system, 1 to 16.
    P16(u8),
    /// Aux output, 1 to 6.
    Aux(u8),
    /// Control room monitor, left.
    MonitorL,
    /// Control room monitor, right.
    MonitorR,
}

/// The point that a routing value selects as the source. Numbers count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patch {
    /// Nothing.
    Off,
    /// An input of the desk.
    Input(Input),
    /// The signal of an output of the desk.
    Output(Output),
    /// A row of the user routing of inputs, `/config/userrout/in`: 1 to 32.
    UserIn(u8),
    /// A row of the user routing of outputs, `/config/userrout/out`: 1 to 48.
    UserOut(u8),
    /// A value that the tables do not have.
    Unknown(i32),
}

/// The signal that an output carries, `/outputs/.../src`. Numbers count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Nothing.
    Off,
    /// Main bus, left.
    MainL,
    /// Main bus, right.
    MainR,
    /// Mono main bus.
    Mono,
    /// Mix bus, 1 to 16.
    Bus(u8),
    /// Matrix bus, 1 to 6.
    Matrix(u8),
    /// Direct output of a channel, 1 to 32, at the point of the channel strip that the output selects.
    Channel(u8),
    /// Direct output of an aux channel, 1 to 8.
    AuxChannel(u8),
    /// Return of an effect, 1 to 4, left.
    EffectL(u8),
    /// Return of an effect, 1 to 4, right.
    EffectR(u8),
    /// Control room monitor, left.
    MonitorL,
    /// Control room monitor, right.
    MonitorR,
    /// Talkback.
    Talkback,
    /// A value that the tables do not have.
    Unknown(i32),
}

/// The source that a channel takes its signal from, `/ch/NN/config/source`. Numbers count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelSource {
    /// A slot of the input routing, 1 to 32.
    In(u8),
    /// A slot of the aux input routing, 1 to 6.
    AuxIn(u8),
    /// No input: off, the player of the USB stick, an effect, a bus, or an unknown value.
    Other,
}

/// Colour of a channel strip, as the desk's number 0 to 15. Colours 8 to 15 are inverted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour(u8);

/// Returns the number, from 1, of a value in the range from `first` to below `end`.
fn counted(value: i32, first: i32, end: i32) -> Option<u8> {
    (first..end).contains(&value).then(|| u8::try_from(value - first + 1).ok()).flatten()
}

/// Returns the input at `place`, 1 to 8, of a block whose value is 0 to 19. These values mean the same in all areas of the
/// routing.
fn block_of_inputs(value: i32, place: u8) -> Option<Input> {
    let number = |block: u8| (block - 1) * 8 + place;
    let within = |first, end| counted(value, first, end).map(number);
    None.or(within(0, 4).map(Input::Local))
        .or(within(4, 10).map(Input::Aes50A))
        .or(within(10, 16).map(Input::Aes50B))
        .or(within(16, 20).map(Input::Card))
}

/// Decodes a value of a `/config/routing/IN` or `PLAY` block for its `place`, 1 to 8.
#[must_use]
pub fn input_block(value: i32, place: u8) -> Patch {
    let user = counted(value, 20, 24).map(|block| Patch::UserIn((block - 1) * 8 + place));
    block_of_inputs(value, place).map(Patch::Input).or(user).unwrap_or(Patch::Unknown(value))
}

/// Decodes a value of a `/config/routing/CARD` block for its `place`, 1 to 8.
#[must_use]
pub fn card_block(value: i32, place: u8) -> Patch {
    if let Some(input) = block_of_inputs(value, place) {
        return Patch::Input(input);
    }
    let within = |first, end| counted(value, first, end).map(|block| (block - 1) * 8 + place);
    match (value, place) {
        (24, 1..=6) => Patch::Output(Output::Aux(place)),
        (24, 7) => Patch::Output(Output::MonitorL),
        (24, _) => Patch::Output(Output::MonitorR),
        (25, 1..=6) => Patch::Input(Input::Aux(place)),
        (25, 7) => Patch::Input(Input::TalkbackInternal),
        (25, _) => Patch::Input(Input::TalkbackExternal),
        _ => None
            .or(within(20, 22).map(|n| Patch::Output(Output::Main(n))))
            .or(within(22, 24).map(|n| Patch::Output(Output::P16(n))))
            .or(within(26, 32).map(Patch::UserOut))
            .or(within(32, 36).map(Patch::UserIn))
            .unwrap_or(Patch::Unknown(value)),
    }
}

/// Decodes the value of `/config/routing/IN/AUX` or `PLAY/AUX` for one of its slots, 1 to 6. The value replaces the first two,
/// four or six aux inputs.
#[must_use]
pub fn aux_block(value: i32, slot: u8) -> Patch {
    let Some(entry) = counted(value, 1, 16) else {
        return if value == 0 { Patch::Input(Input::Aux(slot)) } else { Patch::Unknown(value) };
    };
    if slot > [2, 4, 6][usize::from((entry - 1) % 3)] {
        return Patch::Input(Input::Aux(slot));
    }
    match (entry - 1) / 3 {
        0 => Patch::Input(Input::Local(slot)),
        1 => Patch::Input(Input::Aes50A(slot)),
        2 => Patch::Input(Input::Aes50B(slot)),
        3 => Patch::Input(Input::Card(slot)),
        _ => Patch::UserIn(slot),
    }
}

/// Decodes the value of a row of `/config/userrout/in`.
#[must_use]
pub fn user_in(value: i32) -> Patch {
    let within = |first, end| counted(value, first, end);
    let input = None
        .or(within(1, 33).map(Input::Local))
        .or(within(33, 81).map(Input::Aes50A))
        .or(within(81, 129).map(Input::Aes50B))
        .or(within(129, 161).map(Input::Card))
        .or(within(161, 167).map(Input::Aux));
    match value {
        0 => Patch::Off,
        167 => Patch::Input(Input::TalkbackInternal),
        168 => Patch::Input(Input::TalkbackExternal),
        _ => input.map_or(Patch::Unknown(value), Patch::Input),
    }
}

/// Decodes the value of a row of `/config/userrout/out`.
#[must_use]
pub fn user_out(value: i32) -> Patch {
    let within = |first, end| counted(value, first, end);
    let output =
        None.or(within(169, 185).map(Output::Main)).or(within(185, 201).map(Output::P16)).or(within(201, 207).map(Output::Aux));
    match value {
        207 => Patch::Output(Output::MonitorL),
        208 => Patch::Output(Output::MonitorR),
        _ => output.map_or_else(|| user_in(value), Patch::Output),
    }
}

/// Decodes a value of `/outputs/.../src`.
#[must_use]
pub fn signal(value: i32) -> Signal {
    let within = |first, end| counted(value, first, end);
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
            .or(within(4, 20).map(Signal::Bus))
            .or(within(20, 26).map(Signal::Matrix))
            .or(within(26, 58).map(Signal::Channel))
            .or(within(58, 66).map(Signal::AuxChannel))
            .or(within(66, 74).map(effect))
            .unwrap_or(Signal::Unknown(value)),
    }
}

/// Decodes a value of `/ch/NN/config/source` or `/auxin/NN/config/source`.
#[must_use]
pub fn channel_source(value: i32) -> ChannelSource {
    let slot = counted(value, 1, 33).map(ChannelSource::In);
    slot.or(counted(value, 33, 39).map(ChannelSource::AuxIn)).unwrap_or(ChannelSource::Other)
}

/// Decodes a value of `/-prefs/card/USBmode`: the number of channels from desk to computer and from computer to desk. `None` if
/// unknown.
#[must_use]
pub fn usb_mode(value: i32) -> Option<(usize, usize)> {
    [(32, 32), (16, 16), (32, 8), (8, 32), (8, 8), (2, 2)].get(usize::try_from(value).ok()?).copied()
}

/// Decodes a value of `/-prefs/clockrate`: the sample rate in hertz. `None` if unknown.
#[must_use]
pub fn clock_rate_hz(value: i32) -> Option<u32> {
    [48_000, 44_100].get(usize::try_from(value).ok()?).copied()
}

/// Decodes a value of `/-stat/xcardtype`: the name of the expansion card. `None` if unknown.
#[must_use]
pub fn card_type(value: i32) -> Option<&'static str> {
    [(0, "none"), (2, "X-USB"), (7, "Dante"), (10, "X-LIVE")].iter().find(|(v, _)| *v == value).map(|(_, name)| *name)
}

/// Returns true if a value of `/-stat/xcardtype` is a card with USB, which has a USB mode.
#[must_use]
pub fn is_usb(card_type: i32) -> bool {
    matches!(card_type, 2 | 10)
}

/// Returns the number of microphone inputs at the desk itself. `None` for an unknown model.
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
    /// Returns the colour of the desk's number; `None` if it is not 0 to 15.
    #[must_use]
    pub fn new(value: i32) -> Option<Self> {
        u8::try_from(value).ok().filter(|v| *v < 16).map(Self)
    }

    /// Returns the name, such as `red`, the same for the inverted colour.
    #[must_use]
    pub fn name(self) -> &'static str {
        ["off", "red", "green", "yellow", "blue", "magenta", "cyan", "white"][usize::from(self.0 % 8)]
    }

    /// Returns the colour as red, green, blue, each 0 or 255: the number has one bit for each light behind a strip's display.
    #[must_use]
    pub fn rgb(self) -> [u8; 3] {
        [1, 2, 4].map(|bit| if self.0 & bit == 0 { 0 } else { u8::MAX })
    }

    /// Returns true if the display shows dark text on a lit background.
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
