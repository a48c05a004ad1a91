//! One parameter of an algorithm: its descriptor.
//!
//! The plug-in's parameters, the command line's flags, the tests of the laws, the benchmark table and the reference page are
//! all made from these descriptors, so a parameter is written down exactly once.

/// Position of a parameter in its algorithm's row.
pub type Index = usize;

/// Two values that are no farther apart are one to a user: a share of the range, or of the value itself where the scale is
/// logarithmic. A host keeps a value as a position of 32 bits along the knob's travel, so 8 bit come back as 7.9999995 bit: off by
/// some 1e-7 of that. What a user reads is rounded to 1e-4 of it at the finest.
const SAME: f32 = 1e-5;

/// One parameter of an algorithm.
#[derive(Debug)]
pub struct Parameter {
    /// Stable for ever. Lower case and digits, words joined by `_`; on the command line `_` is written `-`.
    pub id: &'static str,
    /// What a user reads.
    pub name: &'static str,
    /// Range, default and meaning of the value.
    pub kind: Kind,
    /// How a change takes effect.
    pub change: Change,
    /// What a user hears when it grows.
    pub doc: &'static str,
}

/// How a parameter's change takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Glides from the next frame on; may be automated at any speed without a click.
    Ramped,
    /// Changes latency, memory or kind: a new processor is prepared off the audio thread and swapped in with a dip. Not
    /// automatable.
    Structural,
}

/// Range, default and meaning of a parameter's value. Values are plain (in their unit), never normalised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A number.
    Float {
        min: f32,
        max: f32,
        default: f32,
        unit: Unit,
        /// How positions map to values.
        scale: Scale,
        /// Whether the largest value means "off" (a low-pass at the top of its range is none).
        off_at_max: bool,
    },
    /// One of some names, as its position in `names`. On the command line the names are written in lower case.
    Choice { names: &'static [&'static str], default: usize },
    /// 0 or 1.
    Toggle { default: bool },
}

/// How a position (a knob's travel, a host's lane) maps to values: [`Parameter::value_at`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    Linear,
    /// Equal travel for equal ratios, `min * (max / min)^position`; `min` must be positive.
    Logarithmic,
}

/// The unit of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Decibel,
    /// A voltage: 0 dBu is 0.775 V RMS.
    Dbu,
    Hertz,
    Percent,
    Bit,
    /// A plain number, as full scale is 1.
    None,
}

impl Unit {
    /// As written behind a value, with the space before it.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Decibel => " dB",
            Self::Dbu => " dBu",
            Self::Hertz => " Hz",
            Self::Percent => " %",
            Self::Bit => " bit",
            Self::None => "",
        }
    }
}

const fn is_same_text(a: &[u8], b: &[u8]) -> bool {
    let mut index = 0;
    while index < a.len() && index < b.len() && a[index] == b[index] {
        index += 1;
    }
    index == a.len() && index == b.len()
}

/// Why a text is no value of a parameter.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ValueError {
    #[error("{id}: '{found}' is not a number; expected {expected}")]
    NotANumber { id: &'static str, found: String, expected: String },
    #[error("{id}: {found} is out of range; expected {expected}")]
    OutOfRange { id: &'static str, found: f32, expected: String },
    #[error("{id}: '{found}' is none of its values; expected {expected}")]
    NoSuchChoice { id: &'static str, found: String, expected: String },
}

impl Parameter {
    /// A number from `min` to `max` that glides, on a linear scale. [any thread]
    #[must_use]
    pub const fn number(
        id: &'static str,
        name: &'static str,
        (min, max): (f32, f32),
        default: f32,
        unit: Unit,
        doc: &'static str,
    ) -> Self {
        let kind = Kind::Float { min, max, default, unit, scale: Scale::Linear, off_at_max: false };
        Self { id, name, kind, change: Change::Ramped, doc }
    }

    /// One of some names, structural. [any thread]
    #[must_use]
    pub const fn choice(
        id: &'static str,
        name: &'static str,
        names: &'static [&'static str],
        default: usize,
        doc: &'static str,
    ) -> Self {
        Self { id, name, kind: Kind::Choice { names, default }, change: Change::Structural, doc }
    }

    /// A switch that glides. [any thread]
    #[must_use]
    pub const fn toggle(id: &'static str, name: &'static str, default: bool, doc: &'static str) -> Self {
        Self { id, name, kind: Kind::Toggle { default }, change: Change::Ramped, doc }
    }

    /// The level behind an effect, which all of them have. [any thread]
    #[must_use]
    pub const fn output() -> Self {
        Self::number("output", "Output", (-48.0, 24.0), 0.0, Unit::Decibel, "Level of the result")
    }

    /// The share of the effect in what is heard, which all of them have. [any thread]
    #[must_use]
    pub const fn mix(doc: &'static str) -> Self {
        Self::number("mix", "Mix", (0.0, 100.0), 100.0, Unit::Percent, doc)
    }

    /// This with equal travel for equal ratios; for a number above 0. [any thread]
    #[must_use]
    pub const fn logarithmic(mut self) -> Self {
        if let Kind::Float { ref mut scale, .. } = self.kind {
            *scale = Scale::Logarithmic;
        }
        self
    }

    /// This number with its largest value as "off". [any thread]
    #[must_use]
    pub const fn off_at_max(mut self) -> Self {
        if let Kind::Float { ref mut off_at_max, .. } = self.kind {
            *off_at_max = true;
        }
        self
    }

    /// This as one that glides. [any thread]
    #[must_use]
    pub const fn ramped(mut self) -> Self {
        self.change = Change::Ramped;
        self
    }

    /// This as one that needs another processor. [any thread]
    #[must_use]
    pub const fn structural(mut self) -> Self {
        self.change = Change::Structural;
        self
    }

    /// Where a row lists an id, for constants. [any thread]
    ///
    /// # Panics
    /// If it does not: then the program does not compile.
    #[must_use]
    pub const fn place(row: &[Self], id: &str) -> Index {
        let mut index = 0;
        while index < row.len() {
            if is_same_text(row[index].id.as_bytes(), id.as_bytes()) {
                return index;
            }
            index += 1;
        }
        panic!("the row has no such parameter")
    }

    /// The default, plain. [any thread]
    #[must_use]
    pub const fn default(&self) -> f32 {
        match self.kind {
            Kind::Float { default, .. } => default,
            Kind::Choice { default, .. } => default as f32,
            Kind::Toggle { default } => default as u8 as f32,
        }
    }

    /// Smallest and largest plain value. [any thread]
    #[must_use]
    pub const fn range(&self) -> (f32, f32) {
        match self.kind {
            Kind::Float { min, max, .. } => (min, max),
            Kind::Choice { names, .. } => (0.0, (names.len() - 1) as f32),
            Kind::Toggle { .. } => (0.0, 1.0),
        }
    }

    /// The nearest value that the parameter can have; NaN becomes the default. [any thread]
    #[must_use]
    pub fn clamp(&self, value: f32) -> f32 {
        let (min, max) = self.range();
        let value = if value.is_nan() { self.default() } else { value.clamp(min, max) };
        match self.kind {
            Kind::Float { .. } => value,
            Kind::Choice { .. } | Kind::Toggle { .. } => value.round(),
        }
    }

    /// Where a value stands in the range, 0 to 1: along a knob's travel, in a host's lane. Ends and [`Self::default`] come back from
    /// [`Self::value_at`] exactly, other values as [`Self::is_same`] says. [any thread]
    #[must_use]
    pub fn position(&self, value: f32) -> f32 {
        let (min, max) = self.range();
        let value = self.clamp(value);
        match self.kind {
            Kind::Float { scale: Scale::Logarithmic, .. } => {
                ((f64::from(value) / f64::from(min)).ln() / (f64::from(max) / f64::from(min)).ln()) as f32
            }
            _ => (value - min) / (max - min),
        }
    }

    /// The value at a position: the inverse of [`Self::position`]. What is outside 0 to 1 becomes the nearer end. [any thread]
    #[must_use]
    pub fn value_at(&self, position: f32) -> f32 {
        let (min, max) = self.range();
        let value = match self.kind {
            _ if position <= 0.0 => min,
            _ if position >= 1.0 => max,
            Kind::Float { default, .. } if position == self.position(default) => default,
            Kind::Float { scale: Scale::Logarithmic, .. } => {
                (f64::from(min) * (f64::from(max) / f64::from(min)).powf(f64::from(position))) as f32
            }
            // Not yet in the middle, as hosts have it.
            Kind::Toggle { .. } => f32::from(u8::from(position > 0.5)),
            _ => min + (max - min) * position,
        };
        self.clamp(value)
    }

    /// Whether two values are one but for what a host's way of keeping them costs. [any thread]
    #[must_use]
    pub fn is_same(&self, a: f32, b: f32) -> bool {
        let span = match self.kind {
            Kind::Float { scale: Scale::Logarithmic, .. } => a.abs().max(b.abs()),
            Kind::Float { min, max, .. } => max - min,
            Kind::Choice { .. } | Kind::Toggle { .. } => return self.clamp(a) == self.clamp(b),
        };
        (a - b).abs() <= SAME * span
    }

    /// Whether `value` is the default, as [`Self::is_same`] says. [any thread]
    #[must_use]
    pub fn is_default(&self, value: f32) -> bool {
        self.is_same(value, self.default())
    }

    /// Whether `value` means "off" (see [`Kind::Float`]), also a largest value that went through a host. [any thread]
    #[must_use]
    pub fn is_off(&self, value: f32) -> bool {
        matches!(self.kind, Kind::Float { max, off_at_max: true, .. } if value >= max || self.is_same(value, max))
    }

    /// What stands behind a number: nothing behind a choice or a toggle. [any thread]
    #[must_use]
    pub const fn unit(&self) -> Unit {
        match self.kind {
            Kind::Float { unit, .. } => unit,
            Kind::Choice { .. } | Kind::Toggle { .. } => Unit::None,
        }
    }

    /// What a user may write for a value: `-12 to 48 dB`, `200 to 20000 Hz or off`, `1, 2, 4 or 8`, `on or off`. [any thread]
    #[must_use]
    pub fn expected(&self) -> String {
        match self.kind {
            Kind::Float { min, max, unit, off_at_max, .. } => {
                format!("{min} to {max}{}{}", unit.suffix(), if off_at_max { " or off" } else { "" })
            }
            Kind::Choice { names, .. } => {
                let names: Vec<String> = names.iter().map(|n| choice_id(n)).collect();
                match names.split_last() {
                    Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
                    _ => names.concat(),
                }
            }
            Kind::Toggle { .. } => "on or off".into(),
        }
    }

    /// The value that a text means, as [`Self::expected`] says; a unit may follow a number. [control thread]
    ///
    /// # Errors
    /// Not a number, out of range, or no such choice; each says what was found and what was expected.
    pub fn parse(&self, text: &str) -> Result<f32, ValueError> {
        let word = text.trim();
        match self.kind {
            Kind::Float { min, max, unit, off_at_max, .. } => {
                if off_at_max && word.eq_ignore_ascii_case("off") {
                    return Ok(max);
                }
                let lower = word.to_ascii_lowercase();
                let unit = unit.suffix().trim().to_ascii_lowercase();
                let (number, factor) = match (lower.strip_suffix("khz"), lower.strip_suffix(&unit)) {
                    (Some(kilo), _) if unit == "hz" => (kilo.trim(), 1000.0),
                    (_, Some(rest)) => (rest.trim(), 1.0),
                    _ => (lower.as_str(), 1.0),
                };
                let value = number.parse::<f32>().ok().filter(|v| !v.is_nan()).ok_or_else(|| ValueError::NotANumber {
                    id: self.id,
                    found: word.into(),
                    expected: self.expected(),
                })? * factor;
                if (min..=max).contains(&value) {
                    Ok(value)
                } else {
                    Err(ValueError::OutOfRange { id: self.id, found: value, expected: self.expected() })
                }
            }
            Kind::Choice { names, .. } => {
                let wanted = choice_id(word);
                names.iter().position(|n| choice_id(n) == wanted).map(|i| i as f32)
            }
            .ok_or_else(|| self.no_such_choice(word)),
            Kind::Toggle { .. } => match word.to_ascii_lowercase().as_str() {
                "on" | "true" | "yes" | "1" => Ok(1.0),
                "off" | "false" | "no" | "0" => Ok(0.0),
                _ => Err(self.no_such_choice(word)),
            },
        }
    }

    fn no_such_choice(&self, word: &str) -> ValueError {
        ValueError::NoSuchChoice { id: self.id, found: word.into(), expected: self.expected() }
    }

    /// The value as a user reads it, without its unit. [any thread but the audio thread: allocates]
    #[must_use]
    pub fn text(&self, value: f32) -> String {
        match self.kind {
            _ if self.is_off(value) => "off".into(),
            Kind::Float { unit: Unit::Hertz, .. } => format!("{value:.0}"),
            Kind::Float { unit: Unit::None, .. } => format!("{value:.3}"),
            Kind::Float { unit: Unit::Bit | Unit::Decibel | Unit::Dbu, .. } => format!("{value:.2}"),
            Kind::Float { .. } => format!("{value:.1}"),
            Kind::Choice { names, .. } => names[(self.clamp(value) as usize).min(names.len() - 1)].into(),
            Kind::Toggle { .. } => if value >= 0.5 { "on" } else { "off" }.into(),
        }
    }

    /// [`Self::text`] with the unit behind it. [any thread but the audio thread: allocates]
    #[must_use]
    pub fn text_with_unit(&self, value: f32) -> String {
        self.text(value) + if self.is_off(value) { "" } else { self.unit().suffix() }
    }
}

/// A choice's name as it is written on a command line: `Mid-tread` is `mid-tread`, `First order` is `first-order`, and a name that
/// begins with a number is that number: `8x` is `8`, `12 dB/oct` is `12`.
#[must_use]
pub fn choice_id(name: &str) -> String {
    let name = name.trim();
    let digits: String = name.chars().take_while(char::is_ascii_digit).collect();
    if digits.is_empty() { name.to_ascii_lowercase().replace([' ', '_'], "-") } else { digits }
}
