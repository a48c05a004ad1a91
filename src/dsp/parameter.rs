//! Parameter descriptors: id, name, range, default, unit and scale of each parameter of an algorithm.
//!
//! The plug-in's parameters, the command line's flags, the tests of the laws, the benchmark table and the reference page are
//! all made from these descriptors, so a parameter is written down exactly once.

/// Position of a parameter in its algorithm's list, [`Algorithm::parameters`](super::Algorithm::parameters).
pub type ParameterIndex = usize;

/// Largest difference of two values that count as the same: a share of the range, or of the value itself where the scale is
/// logarithmic. A host stores a value as a normalised 32-bit float, so 8 bit come back as 7.9999995 bit: off by about 1e-7 of the
/// range. The text that a user reads is rounded to 1e-4 of the range or coarser.
const SAME_TOLERANCE: f32 = 1e-5;

/// One parameter of an algorithm.
#[derive(Debug)]
pub struct Parameter {
    /// Identifier, which never changes: hosts have stored it. Lower case and digits, words joined by `_`; on the command line `_`
    /// is written `-`.
    pub id: &'static str,
    /// Name that a user reads.
    pub name: &'static str,
    /// Range, default and meaning of the value.
    pub kind: ParameterKind,
    /// The way in which a change takes effect.
    pub change: ChangeMode,
    /// Description of the audible effect, for tooltips and help.
    pub doc: &'static str,
}

/// The way in which a change of a parameter takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeMode {
    /// The running processor glides to the new value, starting with the next frame. Can be automated at any speed without a
    /// click.
    Ramped,
    /// The change affects latency, memory or the choice of code: a new processor is prepared off the audio thread and swapped in
    /// with a dip (a short fade-out and fade-in). Not automatable.
    Structural,
}

/// Range, default and meaning of a parameter's value. Values are plain (in their unit), never normalised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ParameterKind {
    /// A continuous number.
    Float {
        /// Smallest value.
        min: f32,
        /// Largest value.
        max: f32,
        /// Default value.
        default: f32,
        /// Unit of the values.
        unit: Unit,
        /// Mapping from positions (a knob's travel, a host's normalised value) to values.
        scale: Scale,
        /// True if the largest value means "off", as for a low-pass at the top of its range.
        off_at_max: bool,
    },
    /// One of several names; the value is the name's index in `names`. On the command line the names are written in lower case.
    Choice {
        /// Names that a user reads, in order.
        names: &'static [&'static str],
        /// Index of the default.
        default: usize,
    },
    /// A switch; the value is 0 (off) or 1 (on).
    Toggle {
        /// Default state.
        default: bool,
    },
}

/// The mapping from a position, 0 to 1 (a knob's travel, a host's normalised value), to a value: [`Parameter::value_at`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Equal travel for equal differences, `min + (max - min) * position`.
    Linear,
    /// Equal travel for equal ratios, `min * (max / min)^position`; `min` must be positive.
    Logarithmic,
}

/// The unit of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Decibels: a gain, or a level relative to full scale.
    Decibel,
    /// Decibels relative to 0.775 V RMS, the voltage of an analogue signal.
    Dbu,
    /// Hertz.
    Hertz,
    /// Per cent.
    Percent,
    /// Bits of a word length.
    Bit,
    /// No unit, as for a sample value, where 1 is full scale.
    None,
}

impl Unit {
    /// The unit as it is written after a value, with a space before it. [any thread]
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

/// Equality of two strings, for constants. (`==` is not a `const fn`.)
const fn is_same_text(a: &[u8], b: &[u8]) -> bool {
    let mut index = 0;
    while index < a.len() && index < b.len() && a[index] == b[index] {
        index += 1;
    }
    index == a.len() && index == b.len()
}

/// An error while a text is parsed as a parameter's value.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ValueError {
    /// The text is not a number.
    #[error("{id}: '{found}' is not a number; expected {expected}")]
    NotANumber {
        /// The parameter's id.
        id: &'static str,
        /// The text.
        found: String,
        /// The accepted values: [`Parameter::expected`].
        expected: String,
    },
    /// The number is outside the parameter's range.
    #[error("{id}: {found} is out of range; expected {expected}")]
    OutOfRange {
        /// The parameter's id.
        id: &'static str,
        /// The number, in the parameter's unit.
        found: f32,
        /// The accepted values: [`Parameter::expected`].
        expected: String,
    },
    /// The text is neither one of a choice's names nor one of a toggle's words for on and off.
    #[error("{id}: '{found}' is none of its values; expected {expected}")]
    NoSuchChoice {
        /// The parameter's id.
        id: &'static str,
        /// The text.
        found: String,
        /// The accepted values: [`Parameter::expected`].
        expected: String,
    },
}

impl Parameter {
    /// Describes a ramped number from `min` to `max` on a linear scale. [any thread]
    #[must_use]
    pub const fn number(
        id: &'static str,
        name: &'static str,
        (min, max): (f32, f32),
        default: f32,
        unit: Unit,
        doc: &'static str,
    ) -> Self {
        let kind = ParameterKind::Float { min, max, default, unit, scale: Scale::Linear, off_at_max: false };
        Self { id, name, kind, change: ChangeMode::Ramped, doc }
    }

    /// Describes a structural choice of one of `names`; `default` is an index. [any thread]
    #[must_use]
    pub const fn choice(
        id: &'static str,
        name: &'static str,
        names: &'static [&'static str],
        default: usize,
        doc: &'static str,
    ) -> Self {
        Self { id, name, kind: ParameterKind::Choice { names, default }, change: ChangeMode::Structural, doc }
    }

    /// Describes a ramped switch: its effect fades in and out. [any thread]
    #[must_use]
    pub const fn toggle(id: &'static str, name: &'static str, default: bool, doc: &'static str) -> Self {
        Self { id, name, kind: ParameterKind::Toggle { default }, change: ChangeMode::Ramped, doc }
    }

    /// The output level, a parameter that every algorithm has. [any thread]
    #[must_use]
    pub const fn output() -> Self {
        Self::number("output", "Output", (-48.0, 24.0), 0.0, Unit::Decibel, "Level of the result")
    }

    /// The dry/wet mix, a parameter that every algorithm has. [any thread]
    #[must_use]
    pub const fn mix(doc: &'static str) -> Self {
        Self::number("mix", "Mix", (0.0, 100.0), 100.0, Unit::Percent, doc)
    }

    /// The oversampling of offline renders, a parameter of every algorithm with `oversampling`. `names` are "As set" and the names
    /// of that one; [`Factors`](super::oversample::Factors) reads both. [any thread]
    #[must_use]
    pub const fn render_oversampling(names: &'static [&'static str]) -> Self {
        let doc = "Oversampling of a bounce or a render; the latency is always the larger of both";
        Self::choice("render_oversampling", "Render oversampling", names, 0, doc)
    }

    /// Returns this parameter, a number, with a logarithmic scale; its range must be above 0. [any thread]
    #[must_use]
    pub const fn logarithmic(mut self) -> Self {
        if let ParameterKind::Float { ref mut scale, .. } = self.kind {
            *scale = Scale::Logarithmic;
        }
        self
    }

    /// Returns this parameter, a number, with "off" as the meaning of its largest value. [any thread]
    #[must_use]
    pub const fn off_at_max(mut self) -> Self {
        if let ParameterKind::Float { ref mut off_at_max, .. } = self.kind {
            *off_at_max = true;
        }
        self
    }

    /// Returns this parameter as a ramped one. [any thread]
    #[must_use]
    pub const fn ramped(mut self) -> Self {
        self.change = ChangeMode::Ramped;
        self
    }

    /// Returns this parameter as a structural one. [any thread]
    #[must_use]
    pub const fn structural(mut self) -> Self {
        self.change = ChangeMode::Structural;
        self
    }

    /// The index of the parameter `id` in a list, for constants. [any thread]
    ///
    /// # Panics
    /// If the list has no such parameter; for a constant, this is a compile error.
    #[must_use]
    pub const fn index_of(parameters: &[Self], id: &str) -> ParameterIndex {
        let mut index = 0;
        while index < parameters.len() {
            if is_same_text(parameters[index].id.as_bytes(), id.as_bytes()) {
                return index;
            }
            index += 1;
        }
        panic!("the row has no such parameter")
    }

    /// The default value, plain (in the parameter's unit). [any thread]
    #[must_use]
    pub const fn default(&self) -> f32 {
        match self.kind {
            ParameterKind::Float { default, .. } => default,
            ParameterKind::Choice { default, .. } => default as f32,
            ParameterKind::Toggle { default } => default as u8 as f32,
        }
    }

    /// Smallest and largest plain value. [any thread]
    #[must_use]
    pub const fn range(&self) -> (f32, f32) {
        match self.kind {
            ParameterKind::Float { min, max, .. } => (min, max),
            ParameterKind::Choice { names, .. } => (0.0, (names.len() - 1) as f32),
            ParameterKind::Toggle { .. } => (0.0, 1.0),
        }
    }

    /// The nearest value that the parameter can have: within the range, and a whole number for choices and toggles. NaN becomes
    /// the default. [any thread]
    #[must_use]
    pub fn clamp(&self, value: f32) -> f32 {
        let (min, max) = self.range();
        let value = if value.is_nan() { self.default() } else { value.clamp(min, max) };
        match self.kind {
            ParameterKind::Float { .. } => value,
            ParameterKind::Choice { .. } | ParameterKind::Toggle { .. } => value.round(),
        }
    }

    /// The position of a value in the range, 0 to 1: a knob's travel, a host's normalised value. [`Self::value_at`] turns it back
    /// into the value: exactly for the ends and the default, else within the tolerance of [`Self::is_same`]. [any thread]
    #[must_use]
    pub fn position(&self, value: f32) -> f32 {
        let (min, max) = self.range();
        let value = self.clamp(value);
        match self.kind {
            ParameterKind::Float { scale: Scale::Logarithmic, .. } => {
                ((f64::from(value) / f64::from(min)).ln() / (f64::from(max) / f64::from(min)).ln()) as f32
            }
            _ => (value - min) / (max - min),
        }
    }

    /// The value at a position, 0 to 1: the inverse of [`Self::position`]. A position outside 0 to 1 gives the nearer end.
    /// [any thread]
    #[must_use]
    pub fn value_at(&self, position: f32) -> f32 {
        let (min, max) = self.range();
        let value = match self.kind {
            _ if position <= 0.0 => min,
            _ if position >= 1.0 => max,
            ParameterKind::Float { default, .. } if position == self.position(default) => default,
            ParameterKind::Float { scale: Scale::Logarithmic, .. } => {
                (f64::from(min) * (f64::from(max) / f64::from(min)).powf(f64::from(position))) as f32
            }
            // Exactly 0.5 is off, as in hosts.
            ParameterKind::Toggle { .. } => f32::from(u8::from(position > 0.5)),
            _ => min + (max - min) * position,
        };
        self.clamp(value)
    }

    /// True if two values are the same within the precision with which hosts store them. [any thread]
    #[must_use]
    pub fn is_same(&self, a: f32, b: f32) -> bool {
        let span = match self.kind {
            ParameterKind::Float { scale: Scale::Logarithmic, .. } => a.abs().max(b.abs()),
            ParameterKind::Float { min, max, .. } => max - min,
            ParameterKind::Choice { .. } | ParameterKind::Toggle { .. } => return self.clamp(a) == self.clamp(b),
        };
        (a - b).abs() <= SAME_TOLERANCE * span
    }

    /// True if `value` is the default, within the tolerance of [`Self::is_same`]. [any thread]
    #[must_use]
    pub fn is_default(&self, value: f32) -> bool {
        self.is_same(value, self.default())
    }

    /// True if `value` means "off" (see [`ParameterKind::Float`]), within the tolerance of [`Self::is_same`]. [any thread]
    #[must_use]
    pub fn is_off(&self, value: f32) -> bool {
        matches!(self.kind, ParameterKind::Float { max, off_at_max: true, .. } if value >= max || self.is_same(value, max))
    }

    /// The unit of a number; [`Unit::None`] for a choice or a toggle. [any thread]
    #[must_use]
    pub const fn unit(&self) -> Unit {
        match self.kind {
            ParameterKind::Float { unit, .. } => unit,
            ParameterKind::Choice { .. } | ParameterKind::Toggle { .. } => Unit::None,
        }
    }

    /// The texts that [`Self::parse`] accepts, for messages and help: `-12 to 48 dB`, `200 to 20000 Hz or off`, `1, 2, 4 or 8`,
    /// `on or off`. [any thread but the audio thread: allocates]
    #[must_use]
    pub fn expected(&self) -> String {
        match self.kind {
            ParameterKind::Float { min, max, unit, off_at_max, .. } => {
                format!("{min} to {max}{}{}", unit.suffix(), if off_at_max { " or off" } else { "" })
            }
            ParameterKind::Choice { names, .. } => {
                let names: Vec<String> = names.iter().map(|n| choice_id(n)).collect();
                match names.split_last() {
                    Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
                    _ => names.concat(),
                }
            }
            ParameterKind::Toggle { .. } => "on or off".into(),
        }
    }

    /// Parses a value that a user wrote, one of those in [`Self::expected`]; a unit may follow a number. [control thread]
    ///
    /// # Errors
    /// [`ValueError`] if the text is not a number, out of range, or no such choice.
    pub fn parse(&self, text: &str) -> Result<f32, ValueError> {
        let word = text.trim();
        match self.kind {
            ParameterKind::Float { min, max, unit, off_at_max, .. } => {
                if off_at_max && word.eq_ignore_ascii_case("off") {
                    return Ok(max);
                }
                let lower = word.to_ascii_lowercase();
                let unit = unit.suffix().trim().to_ascii_lowercase();
                let number = lower.strip_suffix(&unit).unwrap_or(&lower);
                let value = parse_number(number).ok_or_else(|| ValueError::NotANumber {
                    id: self.id,
                    found: word.into(),
                    expected: self.expected(),
                })? as f32;
                if (min..=max).contains(&value) {
                    Ok(value)
                } else {
                    Err(ValueError::OutOfRange { id: self.id, found: value, expected: self.expected() })
                }
            }
            ParameterKind::Choice { names, .. } => {
                let id = choice_id(word);
                names.iter().position(|n| choice_id(n) == id).map(|i| i as f32)
            }
            .ok_or_else(|| self.no_such_choice(word)),
            ParameterKind::Toggle { .. } => match word.to_ascii_lowercase().as_str() {
                "on" | "true" | "yes" | "1" => Ok(1.0),
                "off" | "false" | "no" | "0" => Ok(0.0),
                _ => Err(self.no_such_choice(word)),
            },
        }
    }

    /// Value of a text as [`Self::parse`] reads it, but a number out of range becomes the nearest one in it; a line then says so.
    /// [control thread]
    ///
    /// # Errors
    /// [`ValueError`] if the text is not a number, or no such choice.
    pub fn parse_clamped(&self, text: &str) -> Result<(f32, Option<String>), ValueError> {
        match self.parse(text) {
            Ok(value) => Ok((value, None)),
            Err(ValueError::OutOfRange { found, expected, .. }) => {
                let value = self.clamp(found);
                let note = format!("{found} is out of range: set to {}; {expected}", self.text_with_unit(value));
                Ok((value, Some(note)))
            }
            Err(error) => Err(error),
        }
    }

    fn no_such_choice(&self, word: &str) -> ValueError {
        ValueError::NoSuchChoice { id: self.id, found: word.into(), expected: self.expected() }
    }

    /// The value as a user reads it, rounded, without its unit. [any thread but the audio thread: allocates]
    #[must_use]
    pub fn text(&self, value: f32) -> String {
        match self.kind {
            _ if self.is_off(value) => "off".into(),
            ParameterKind::Float { unit: Unit::Hertz, .. } => format!("{value:.0}"),
            ParameterKind::Float { unit: Unit::None, .. } => format!("{value:.3}"),
            ParameterKind::Float { unit: Unit::Bit | Unit::Decibel | Unit::Dbu, .. } => format!("{value:.2}"),
            ParameterKind::Float { .. } => format!("{value:.1}"),
            ParameterKind::Choice { names, .. } => names[(self.clamp(value) as usize).min(names.len() - 1)].into(),
            ParameterKind::Toggle { .. } => if value >= 0.5 { "on" } else { "off" }.into(),
        }
    }

    /// [`Self::text`] with the unit after it. [any thread but the audio thread: allocates]
    #[must_use]
    pub fn text_with_unit(&self, value: f32) -> String {
        self.text(value) + if self.is_off(value) { "" } else { self.unit().suffix() }
    }
}

/// Parses a decimal number as people write it: with a point or a comma (`7.5`, `7,5`), with `k` for thousands (`2.5k`), with a
/// hyphen or a minus sign. `None` for another text and for NaN. [any thread but the audio thread: allocates]
#[must_use]
pub fn parse_number(text: &str) -> Option<f64> {
    let text = text.trim().replace('\u{2212}', "-");
    let (digits, exponent) = match text.strip_suffix(['k', 'K']) {
        Some(digits) => (digits.trim_end(), "e3"),
        None => (text.as_str(), ""),
    };
    // A comma is only a decimal one if there is no point: `1,234.5` is not guessed at.
    let digits = if digits.contains('.') { digits.to_owned() } else { digits.replacen(',', ".", 1) };
    format!("{digits}{exponent}").parse::<f64>().ok().filter(|number| !number.is_nan())
}

/// The name of a choice as it is written on a command line: `Mid-tread` becomes `mid-tread`, `First order` becomes
/// `first-order`, and a name that begins with a number becomes that number: `8x` becomes `8`, `12 dB/oct` becomes `12`.
/// [any thread but the audio thread: allocates]
#[must_use]
pub fn choice_id(name: &str) -> String {
    let name = name.trim();
    let digits: String = name.chars().take_while(char::is_ascii_digit).collect();
    if digits.is_empty() { name.to_ascii_lowercase().replace([' ', '_'], "-") } else { digits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_people_write_them() {
        for (text, number) in [
            ("7.5", 7.5),
            ("7,5", 7.5),
            (" -12 ", -12.0),
            ("\u{2212}12", -12.0),
            ("2.5k", 2500.0),
            ("44,1 K", 44_100.0),
            ("1e3", 1000.0),
        ] {
            assert_eq!(parse_number(text), Some(number), "{text}");
        }
        for text in ["", "k", "loud", "nan", "1,234.5", "1,2,3", "1.2.3", "2kk"] {
            assert_eq!(parse_number(text), None, "{text}");
        }
    }

    #[test]
    fn a_value_out_of_range_is_an_error_or_is_clamped_with_a_note() {
        let tone = Parameter::number("tone", "Tone", (200.0, 20_000.0), 20_000.0, Unit::Hertz, "").off_at_max();
        for (text, value) in [("2.5k", 2500.0), ("2,5 kHz", 2500.0), ("2500hz", 2500.0), ("off", 20_000.0)] {
            assert_eq!(tone.parse(text), Ok(value), "{text}");
            assert_eq!(tone.parse_clamped(text), Ok((value, None)), "{text}");
        }
        assert!(matches!(tone.parse("100"), Err(ValueError::OutOfRange { found: 100.0, .. })));
        let note = "100 is out of range: set to 200 Hz; 200 to 20000 Hz or off";
        assert_eq!(tone.parse_clamped("100"), Ok((200.0, Some(note.into()))));
        assert_eq!(tone.parse_clamped("90k").unwrap().0, 20_000.0);
        assert!(matches!(tone.parse_clamped("loud"), Err(ValueError::NotANumber { .. })));
    }
}
