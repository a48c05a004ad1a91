//! JSON of which every value knows its path, so that an error can name the field: `config.layers[1].dilations[3]`.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::ModelError;

/// Bytes of a text. A list of numbers takes four times as much as `0,0,0`, and that is what this limits.
pub const MOST_BYTES: usize = 64 << 20;
/// Values that are not numbers in a list of numbers: each takes some 32 bytes.
const MOST_VALUES: usize = 1 << 20;
/// Characters of what a file says that get into an error.
const MOST_CHARACTERS: usize = 60;

/// A parsed text.
#[derive(Debug)]
pub enum Value {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    /// A list of nothing but numbers.
    Numbers(Vec<f64>),
    List(Vec<Value>),
    Object(BTreeMap<String, Value>),
}

/// Parses a text. An object that has a key twice is an error.
///
/// # Errors
/// If it is no JSON, too long, or too deep (128 levels).
pub fn parse(text: &[u8]) -> Result<Value, ModelError> {
    if text.len() > MOST_BYTES {
        return Err(ModelError::TooLarge { found: text.len() as u64, most: MOST_BYTES as u64 });
    }
    let left = Cell::new(MOST_VALUES);
    let mut from = serde_json::Deserializer::from_slice(text);
    let value = Seed(&left).deserialize(&mut from).and_then(|value| from.end().map(|()| value));
    value.map_err(|error| ModelError::Invalid(format!("no sound JSON: {}", explained(text, &error))))
}

/// What the parser says, and the word that it fell over where Python writes one that is no JSON.
fn explained(text: &[u8], error: &serde_json::Error) -> String {
    let line = text.split(|b| *b == b'\n').nth(error.line().saturating_sub(1)).unwrap_or_default();
    let at = error.column().saturating_sub(2).min(line.len());
    let near = &line[at..];
    let here = |word: &&&str| (0..2).any(|skip| near.get(skip..).is_some_and(|n| n.starts_with(word.as_bytes())));
    match ["NaN", "Infinity"].iter().find(here) {
        Some(word) => format!("{word} at line {} column {}; expected a finite number", error.line(), error.column()),
        None => one_line(&error.to_string()).into_owned(),
    }
}

/// Without control characters, and not long.
fn one_line(text: &str) -> Cow<'_, str> {
    if text.len() <= 2 * MOST_CHARACTERS && !text.contains(char::is_control) {
        return text.into();
    }
    let mut short: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(2 * MOST_CHARACTERS).collect();
    short.push_str("...");
    short.into()
}

struct Seed<'c>(&'c Cell<usize>);

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl Seed<'_> {
    /// Counts a value.
    fn count<E: serde::de::Error>(&self) -> Result<(), E> {
        let left = self.0.get().checked_sub(1);
        self.0.set(left.ok_or_else(|| E::custom(format!("more than {MOST_VALUES} values")))?);
        Ok(())
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value as f64))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value as f64))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Number(value))
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.into()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut numbers = Vec::new();
        let mut values = loop {
            match from.next_element_seed(Seed(self.0))? {
                None => return Ok(Value::Numbers(numbers)),
                Some(Value::Number(number)) => numbers.push(number),
                Some(other) => {
                    for _ in 0..=numbers.len() {
                        self.count()?;
                    }
                    break numbers.into_iter().map(Value::Number).chain([other]).collect::<Vec<_>>();
                }
            }
        };
        while let Some(value) = from.next_element_seed(Seed(self.0))? {
            self.count()?;
            values.push(value);
        }
        Ok(Value::List(values))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut object = BTreeMap::new();
        while let Some(key) = from.next_key::<String>()? {
            self.count()?;
            let value = from.next_value_seed(Seed(self.0))?;
            let twice = A::Error::custom(format!("the key {} twice", quoted(&key)));
            if object.insert(key, value).is_some() {
                return Err(twice);
            }
        }
        Ok(Value::Object(object))
    }
}

/// A text of a file, short and in one line.
fn quoted(text: &str) -> String {
    let mut short: String = text.chars().take(MOST_CHARACTERS).flat_map(char::escape_debug).collect();
    if text.chars().nth(MOST_CHARACTERS).is_some() {
        short.push_str("...");
    }
    format!("'{short}'")
}

/// Without dozens of zeros.
fn number_text(number: f64) -> String {
    if (1e-6..1e15).contains(&number.abs()) || number == 0.0 { number.to_string() } else { format!("{number:e}") }
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Field<'a> {
    at: At<'a>,
    path: String,
}

#[derive(Clone, Copy, Debug)]
enum At<'a> {
    Value(&'a Value),
    Number(f64),
}

impl<'a> Field<'a> {
    /// The whole text.
    pub fn root(value: &'a Value) -> Self {
        Self { at: At::Value(value), path: String::new() }
    }

    /// As an error shows it.
    pub fn path(&self) -> &str {
        if self.path.is_empty() { "the file" } else { &self.path }
    }

    /// An error about this value.
    pub fn error(&self, found: impl fmt::Display, expected: impl fmt::Display) -> ModelError {
        ModelError::Invalid(format!("{}: {found}; expected {expected}", self.path()))
    }

    /// An error that shows this value.
    pub fn unexpected(&self, expected: impl fmt::Display) -> ModelError {
        self.error(self.shown(), expected)
    }

    fn shown(&self) -> String {
        match self.at {
            At::Number(number) => number_text(number),
            At::Value(Value::Number(number)) => number_text(*number),
            At::Value(Value::Null) => "null".into(),
            At::Value(Value::Bool(value)) => value.to_string(),
            At::Value(Value::Text(text)) => quoted(text),
            At::Value(Value::Numbers(numbers)) => format!("a list of {}", numbers.len()),
            At::Value(Value::List(values)) => format!("a list of {}", values.len()),
            At::Value(Value::Object(object)) => format!("an object of {} keys", object.len()),
        }
    }

    fn value(&self) -> Option<&'a Value> {
        match self.at {
            At::Value(value) => Some(value),
            At::Number(_) => None,
        }
    }

    /// The value of a key of this object, if it is there and not null.
    pub fn find(&self, key: &str) -> Result<Option<Field<'a>>, ModelError> {
        let Some(Value::Object(object)) = self.value() else { return Err(self.unexpected(format!("an object with '{key}'"))) };
        let child = object.get(key).filter(|value| !matches!(value, Value::Null));
        Ok(child.map(|value| Field { at: At::Value(value), path: self.child(key) }))
    }

    /// The value of a key that this object must have.
    pub fn get(&self, key: &str) -> Result<Field<'a>, ModelError> {
        self.find(key)?.ok_or_else(|| ModelError::Invalid(format!("{} is missing", self.child(key))))
    }

    /// Whether this is an object with a key.
    pub fn has(&self, key: &str) -> bool {
        matches!(self.value(), Some(Value::Object(object)) if object.contains_key(key))
    }

    fn child(&self, key: &str) -> String {
        if self.path.is_empty() { key.into() } else { format!("{}.{key}", self.path) }
    }

    fn place(&self, index: usize) -> String {
        format!("{}[{index}]", self.path)
    }

    pub fn is_list(&self) -> bool {
        matches!(self.value(), Some(Value::List(_) | Value::Numbers(_)))
    }

    pub fn is_text(&self) -> bool {
        matches!(self.value(), Some(Value::Text(_)))
    }

    /// Values of a list of `least` to `most`.
    pub fn list(&self, least: usize, most: usize) -> Result<Vec<Field<'a>>, ModelError> {
        let length = match self.value() {
            Some(Value::Numbers(numbers)) => numbers.len(),
            Some(Value::List(values)) => values.len(),
            _ => return Err(self.unexpected("a list")),
        };
        if !(least..=most).contains(&length) {
            let expected = if least == most { most.to_string() } else { format!("{least} to {most}") };
            return Err(self.error(format!("{length} values"), expected));
        }
        Ok(match self.value() {
            Some(Value::Numbers(numbers)) => {
                numbers.iter().enumerate().map(|(i, n)| Field { at: At::Number(*n), path: self.place(i) }).collect()
            }
            Some(Value::List(values)) => {
                values.iter().enumerate().map(|(i, v)| Field { at: At::Value(v), path: self.place(i) }).collect()
            }
            _ => Vec::new(),
        })
    }

    pub fn bool(&self) -> Result<bool, ModelError> {
        match self.value() {
            Some(Value::Bool(value)) => Ok(*value),
            _ => Err(self.unexpected("true or false")),
        }
    }

    pub fn text(&self) -> Result<&'a str, ModelError> {
        match self.value() {
            Some(Value::Text(text)) => Ok(text),
            _ => Err(self.unexpected("a text")),
        }
    }

    pub fn number(&self) -> Result<f64, ModelError> {
        match self.at {
            At::Number(number) => Ok(number),
            At::Value(Value::Number(number)) => Ok(*number),
            At::Value(_) => Err(self.unexpected("a number")),
        }
    }

    /// A number from `least` to `most`.
    pub fn within(&self, least: f64, most: f64) -> Result<f32, ModelError> {
        let number = self.number()?;
        if (least..=most).contains(&number) { Ok(number as f32) } else { Err(self.unexpected(format!("{least} to {most}"))) }
    }

    /// A number that is finite as an f32.
    pub fn float(&self) -> Result<f32, ModelError> {
        let number = self.number()?;
        if (number as f32).is_finite() { Ok(number as f32) } else { Err(self.unexpected("a finite 32-bit number")) }
    }

    /// A whole number from `least` to `most`.
    pub fn whole(&self, least: usize, most: usize) -> Result<usize, ModelError> {
        let wrong = || self.unexpected(format!("a whole number from {least} to {most}"));
        let number = self.number().map_err(|_| wrong())?;
        if number.fract() == 0.0 && (least as f64..=most as f64).contains(&number) { Ok(number as usize) } else { Err(wrong()) }
    }

    /// A list of numbers that are finite as f32, of one length if one is given.
    pub fn floats(&self, length: Option<usize>) -> Result<Vec<f32>, ModelError> {
        let Some(Value::Numbers(numbers)) = self.value() else {
            // Names the first that is no number.
            if self.is_list() {
                self.list(0, usize::MAX)?.iter().try_for_each(|value| value.number().map(|_| ()))?;
            }
            return Err(self.unexpected("a list of numbers"));
        };
        if let Some(length) = length
            && numbers.len() != length
        {
            return Err(self.error(format!("{} numbers", numbers.len()), length));
        }
        if let Some(index) = numbers.iter().position(|n| !(*n as f32).is_finite()) {
            return Err(Field { at: At::Number(numbers[index]), path: self.place(index) }.unexpected("a finite 32-bit number"));
        }
        Ok(numbers.iter().map(|n| *n as f32).collect())
    }

    /// `rows` lists of `columns` numbers, one behind the other.
    pub fn matrix(&self, rows: usize, columns: usize) -> Result<Vec<f32>, ModelError> {
        let mut all = Vec::new();
        for row in self.list(rows, rows)? {
            all.extend(row.floats(Some(columns))?);
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error<T>(result: Result<T, ModelError>) -> String {
        result.err().map(|e| e.to_string()).unwrap_or_default()
    }

    #[test]
    fn an_error_names_the_path_and_both_values() {
        let value = parse(br#"{"a": {"b": [1, {"c": [3, -2.5]}], "d": "x\ny"}}"#).unwrap();
        let b = Field::root(&value).get("a").unwrap().get("b").unwrap();
        let c = b.list(2, 2).unwrap()[1].get("c").unwrap();
        assert_eq!(error(c.list(2, 2).unwrap()[1].whole(1, 9)), "a.b[1].c[1]: -2.5; expected a whole number from 1 to 9");
        assert_eq!(error(b.floats(None)), "a.b[1]: an object of 1 keys; expected a number");
        assert_eq!(error(b.list(3, 9)), "a.b: 2 values; expected 3 to 9");
        let d = Field::root(&value).get("a").unwrap().get("d").unwrap();
        assert_eq!(error(d.number()), "a.d: 'x\\ny'; expected a number");
        assert_eq!(error(d.get("e")), "a.d: 'x\\ny'; expected an object with 'e'");
        assert_eq!(error(b.list(2, 2).unwrap()[1].get("z")), "a.b[1].z is missing");
    }

    #[test]
    fn what_is_no_sound_json_says_so_in_one_line() {
        for (text, part) in [
            ("{\"a\": NaN}", "NaN at line 1 column 7; expected a finite number"),
            ("{\"a\": [1,\n -Infinity]}", "Infinity at line 2"),
            ("{\"a\": 1, \"a\": 2}", "the key 'a' twice"),
            ("{\"a\": 1e999}", "number out of range"),
            ("{\"a\": [1, 2", "EOF"),
            ("{} {}", "trailing characters"),
        ] {
            let found = error(parse(text.as_bytes()));
            assert!(found.contains(part) && !found.contains('\n'), "{text}: {found}");
        }
        assert!(error(parse("[".repeat(100_000).as_bytes())).contains("recursion limit"));
        assert!(error(parse(format!("[{}0]", "{},".repeat(MOST_VALUES)).as_bytes())).contains("more than 1048576 values"));
        assert!(error(parse(&vec![b' '; MOST_BYTES + 1])).contains("expected a model of at most"));
    }
}
