//! Parsed JSON in which every value knows its path, so that an error can name the field: `config.layers[1].dilations[3]`.
#![warn(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::ModelError;

/// Largest number of bytes of a text. This limits the memory for lists of numbers: `0,0,0` takes four times as much when parsed.
pub const MAX_TEXT_BYTES: usize = 64 << 20;
/// Largest number of values of a text, without those in lists that hold only numbers. Each takes some 32 bytes.
const MAX_VALUES: usize = 1 << 20;
/// Characters of a text in the file that are quoted in an error.
const MAX_QUOTED_CHARACTERS: usize = 60;

/// A parsed JSON value.
#[derive(Debug)]
pub enum Value {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    /// A list that holds only numbers, or an empty list.
    Numbers(Vec<f64>),
    /// Any other list.
    List(Vec<Value>),
    /// An object with its keys in alphabetical order.
    Object(BTreeMap<String, Value>),
}

/// Parses the first value of a text. As in NeuralAmpModelerCore, what follows that value is not read (padding, a second value),
/// and of a key that an object has twice the last value counts. `NaN` and `Infinity`, which Python writes and JSON does not have,
/// become texts, so that they harm only the field that they are in; bytes that are not UTF-8 become U+FFFD.
///
/// # Errors
/// If it is not JSON, too long ([`MAX_TEXT_BYTES`]), or has too many values or more than 128 levels.
pub fn parse(text: &[u8]) -> Result<Value, ModelError> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(ModelError::TooLarge { found: text.len() as u64, limit: MAX_TEXT_BYTES as u64 });
    }
    let value = |text: &[u8]| ValueSeed(&Cell::new(MAX_VALUES)).deserialize(&mut serde_json::Deserializer::from_slice(text));
    let mended = |error| mended(text).map_or(Err(error), |text| value(text.as_bytes()));
    value(text).or_else(mended).map_err(|error| ModelError::Invalid(format!("not valid JSON: {}", one_line(&error.to_string()))))
}

/// The text with `NaN`, `Infinity` and `-Infinity` outside of texts in quotation marks, and in UTF-8; `None` if that is what it was.
fn mended(text: &[u8]) -> Option<String> {
    let (mut new, mut rest) = (Vec::with_capacity(text.len()), text);
    let mut quoted = false;
    while let [first, after @ ..] = rest {
        let word = ["NaN", "Infinity", "-Infinity"].into_iter().find(|word| !quoted && rest.starts_with(word.as_bytes()));
        if let Some(word) = word {
            new.extend(format!("\"{word}\"").bytes());
            rest = &rest[word.len()..];
            continue;
        }
        // A backslash in a text takes the next character with it.
        let length = if quoted && *first == b'\\' && !after.is_empty() { 2 } else { 1 };
        quoted ^= *first == b'"';
        new.extend(&rest[..length]);
        rest = &rest[length..];
    }
    let new = String::from_utf8_lossy(&new).into_owned();
    (new.as_bytes() != text).then_some(new)
}

/// Replaces control characters by blanks and cuts a long text off.
fn one_line(text: &str) -> Cow<'_, str> {
    if text.len() <= 2 * MAX_QUOTED_CHARACTERS && !text.contains(char::is_control) {
        return text.into();
    }
    let mut short: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(2 * MAX_QUOTED_CHARACTERS).collect();
    short.push_str("...");
    short.into()
}

/// Deserializes a [`Value`]. The cell holds the number of values that may still follow.
struct ValueSeed<'c>(&'c Cell<usize>);

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl ValueSeed<'_> {
    /// Counts a value that is not in a list that holds only numbers.
    fn count<E: serde::de::Error>(&self) -> Result<(), E> {
        let left = self.0.get().checked_sub(1);
        self.0.set(left.ok_or_else(|| E::custom(format!("more than {MAX_VALUES} values")))?);
        Ok(())
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
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
    // Like Python and JavaScript: an integer beyond 53 bits becomes the nearest f64.
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
            match from.next_element_seed(ValueSeed(self.0))? {
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
        while let Some(value) = from.next_element_seed(ValueSeed(self.0))? {
            self.count()?;
            values.push(value);
        }
        Ok(Value::List(values))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut object = BTreeMap::new();
        while let Some(key) = from.next_key::<String>()? {
            self.count()?;
            object.insert(key, from.next_value_seed(ValueSeed(self.0))?);
        }
        Ok(Value::Object(object))
    }
}

/// Quotes a text of the file: escaped, in one line, and cut off if it is long.
fn quoted(text: &str) -> String {
    let mut short: String = text.chars().take(MAX_QUOTED_CHARACTERS).flat_map(char::escape_debug).collect();
    if text.chars().nth(MAX_QUOTED_CHARACTERS).is_some() {
        short.push_str("...");
    }
    format!("'{short}'")
}

/// A number as text, with an exponent if it is very large or very small.
fn number_text(number: f64) -> String {
    if (1e-6..1e15).contains(&number.abs()) || number == 0.0 { number.to_string() } else { format!("{number:e}") }
}

/// The nearest f32, the type of weights. Infinite if the number is too large.
pub fn to_f32(number: f64) -> f32 {
    #[expect(clippy::cast_possible_truncation, reason = "rounding is meant, and callers check the range")]
    let rounded = number as f32;
    rounded
}

/// A number as a `usize`, if it is a whole number from `min` to `max`.
fn to_usize(number: f64, min: usize, max: usize) -> Option<usize> {
    if number.fract() != 0.0 || !(min as f64..=max as f64).contains(&number) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the number is from `min` to `max`")]
    let whole = number as usize;
    Some(whole)
}

/// A value with its path in the file.
#[derive(Clone, Debug)]
pub struct Field<'a> {
    target: Target<'a>,
    path: String,
}

/// The value of a [`Field`].
#[derive(Clone, Copy, Debug)]
enum Target<'a> {
    Value(&'a Value),
    Number(f64),
}

impl<'a> Field<'a> {
    /// The outermost value of a file.
    pub fn root(value: &'a Value) -> Self {
        Self { target: Target::Value(value), path: String::new() }
    }

    /// The path as errors show it.
    pub fn path(&self) -> &str {
        if self.path.is_empty() { "the file" } else { &self.path }
    }

    /// An error about this field: `PATH: FOUND; expected EXPECTED`.
    pub fn error(&self, found: impl fmt::Display, expected: impl fmt::Display) -> ModelError {
        ModelError::Invalid(format!("{}: {found}; expected {expected}", self.path()))
    }

    /// An error about this field in which [`Self::description`] is what was found.
    pub fn unexpected(&self, expected: impl fmt::Display) -> ModelError {
        self.error(self.description(), expected)
    }

    /// The value as errors show it, in one line.
    fn description(&self) -> String {
        match self.target {
            Target::Number(number) => number_text(number),
            Target::Value(Value::Number(number)) => number_text(*number),
            Target::Value(Value::Null) => "null".into(),
            Target::Value(Value::Bool(value)) => value.to_string(),
            Target::Value(Value::Text(text)) => quoted(text),
            Target::Value(Value::Numbers(numbers)) => format!("a list of {}", numbers.len()),
            Target::Value(Value::List(values)) => format!("a list of {}", values.len()),
            Target::Value(Value::Object(object)) => format!("an object of {} keys", object.len()),
        }
    }

    /// The value, unless it is a number in a list of numbers.
    fn value(&self) -> Option<&'a Value> {
        match self.target {
            Target::Value(value) => Some(value),
            Target::Number(_) => None,
        }
    }

    /// The value of a key of this object; `None` if the key is missing or its value is null.
    ///
    /// # Errors
    /// If this is not an object.
    pub fn find(&self, key: &str) -> Result<Option<Field<'a>>, ModelError> {
        let Some(Value::Object(object)) = self.value() else { return Err(self.unexpected(format!("an object with '{key}'"))) };
        let child = object.get(key).filter(|value| !matches!(value, Value::Null));
        Ok(child.map(|value| Field { target: Target::Value(value), path: self.child_path(key) }))
    }

    /// The value of a key of this object.
    ///
    /// # Errors
    /// If this is not an object, the key is missing, or its value is null.
    pub fn get(&self, key: &str) -> Result<Field<'a>, ModelError> {
        self.find(key)?.ok_or_else(|| ModelError::Invalid(format!("{} is missing", self.child_path(key))))
    }

    /// True if this is an object with the key.
    pub fn has(&self, key: &str) -> bool {
        matches!(self.value(), Some(Value::Object(object)) if object.contains_key(key))
    }

    /// Path of the value of a key of this object.
    fn child_path(&self, key: &str) -> String {
        if self.path.is_empty() { key.into() } else { format!("{}.{key}", self.path) }
    }

    /// Path of an item of this list.
    fn item_path(&self, index: usize) -> String {
        format!("{}[{index}]", self.path)
    }

    /// True if this is a list.
    pub fn is_list(&self) -> bool {
        matches!(self.value(), Some(Value::List(_) | Value::Numbers(_)))
    }

    /// True if this is an object.
    pub fn is_object(&self) -> bool {
        matches!(self.value(), Some(Value::Object(_)))
    }

    /// True if this is a text.
    pub fn is_text(&self) -> bool {
        matches!(self.value(), Some(Value::Text(_)))
    }

    /// The items of a list of `min` to `max` items.
    ///
    /// # Errors
    /// If this is not a list, or one of another length.
    pub fn list(&self, min: usize, max: usize) -> Result<Vec<Field<'a>>, ModelError> {
        let length = match self.value() {
            Some(Value::Numbers(numbers)) => numbers.len(),
            Some(Value::List(values)) => values.len(),
            _ => return Err(self.unexpected("a list")),
        };
        if !(min..=max).contains(&length) {
            let expected = if min == max { max.to_string() } else { format!("{min} to {max}") };
            return Err(self.error(format!("{length} values"), expected));
        }
        Ok(match self.value() {
            Some(Value::Numbers(numbers)) => {
                numbers.iter().enumerate().map(|(i, n)| Field { target: Target::Number(*n), path: self.item_path(i) }).collect()
            }
            Some(Value::List(values)) => {
                values.iter().enumerate().map(|(i, v)| Field { target: Target::Value(v), path: self.item_path(i) }).collect()
            }
            _ => Vec::new(),
        })
    }

    /// The value, which must be true or false.
    pub fn bool(&self) -> Result<bool, ModelError> {
        match self.value() {
            Some(Value::Bool(value)) => Ok(*value),
            _ => Err(self.unexpected("true or false")),
        }
    }

    /// The value, which must be a text.
    pub fn text(&self) -> Result<&'a str, ModelError> {
        match self.value() {
            Some(Value::Text(text)) => Ok(text),
            _ => Err(self.unexpected("a text")),
        }
    }

    /// The value, which must be a number.
    pub fn number(&self) -> Result<f64, ModelError> {
        match self.target {
            Target::Number(number) => Ok(number),
            Target::Value(Value::Number(number)) => Ok(*number),
            Target::Value(_) => Err(self.unexpected("a number")),
        }
    }

    /// The value, which must be a number, or a text that is one: `-18.0`.
    pub fn number_or_text(&self) -> Result<f64, ModelError> {
        let Ok(text) = self.text() else { return self.number() };
        text.trim().parse().ok().filter(|number: &f64| number.is_finite()).ok_or_else(|| self.unexpected("a number"))
    }

    /// The value, which must be 0 or 1, or false or true.
    pub fn flag(&self) -> Result<bool, ModelError> {
        match self.value() {
            Some(Value::Bool(value)) => Ok(*value),
            _ => self.whole(0, 1).map(|number| number == 1),
        }
    }

    /// The value, which must be a number from `min` to `max`.
    pub fn within(&self, min: f64, max: f64) -> Result<f32, ModelError> {
        let number = self.number()?;
        if (min..=max).contains(&number) { Ok(to_f32(number)) } else { Err(self.unexpected(format!("{min} to {max}"))) }
    }

    /// The value, which must be a number that is finite as an f32.
    pub fn float(&self) -> Result<f32, ModelError> {
        let number = to_f32(self.number()?);
        if number.is_finite() { Ok(number) } else { Err(self.unexpected("a finite 32-bit number")) }
    }

    /// The value, which must be a whole number from `min` to `max`.
    pub fn whole(&self, min: usize, max: usize) -> Result<usize, ModelError> {
        let wrong = || self.unexpected(format!("a whole number from {min} to {max}"));
        let number = self.number().map_err(|_| wrong())?;
        to_usize(number, min, max).ok_or_else(wrong)
    }

    /// The items of a list of numbers that are finite as f32.
    ///
    /// # Errors
    /// If this is not such a list, or has another length than the given one.
    pub fn floats(&self, length: Option<usize>) -> Result<Vec<f32>, ModelError> {
        let Some(Value::Numbers(numbers)) = self.value() else {
            // The error names the first item that is not a number.
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
        if let Some(index) = numbers.iter().position(|n| !to_f32(*n).is_finite()) {
            return Err(Field { target: Target::Number(numbers[index]), path: self.item_path(index) }
                .unexpected("a finite 32-bit number"));
        }
        Ok(numbers.iter().copied().map(to_f32).collect())
    }

    /// The numbers of a list of `rows` lists of `columns` numbers each, row by row.
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
    fn what_follows_the_value_is_not_read_and_the_last_of_equal_keys_counts() {
        let mut odd = [b"{} {}".as_slice(), b"{}\0\0\0", b"{} rubbish", b"{}}", b"{}\xff"].into_iter();
        assert!(odd.all(|text| matches!(parse(text), Ok(Value::Object(object)) if object.is_empty())));
        let twice = parse(br#"{"a": 1, "b": 3, "a": 2}"#).unwrap();
        assert_eq!(Field::root(&twice).get("a").unwrap().number().unwrap(), 2.0);
    }

    #[test]
    fn pythons_words_for_no_number_and_bytes_that_are_not_utf_8_harm_only_their_field() {
        let text = b"{\"a\": NaN, \"b\": [1, -Infinity], \"c \\\" NaN\": \"Caf\xe9 Infinity\", \"d\": 2}";
        let value = parse(text).unwrap();
        let root = Field::root(&value);
        assert_eq!(error(root.get("a").unwrap().number()), "a: 'NaN'; expected a number");
        assert_eq!(error(root.get("b").unwrap().floats(None)), "b[1]: '-Infinity'; expected a number");
        assert_eq!(root.get("c \" NaN").unwrap().text().unwrap(), "Caf\u{fffd} Infinity");
        assert_eq!(root.get("d").unwrap().number().unwrap(), 2.0);
    }

    #[test]
    fn invalid_json_is_an_error_in_one_line() {
        for (text, part) in
            [("{\"a\": NotANumber}", "expected"), ("{\"a\": 1e999}", "number out of range"), ("{\"a\": [1, 2", "EOF")]
        {
            let found = error(parse(text.as_bytes()));
            assert!(found.contains(part) && !found.contains('\n'), "{text}: {found}");
        }
        assert!(error(parse("[".repeat(100_000).as_bytes())).contains("recursion limit"));
        assert!(error(parse(format!("[{}0]", "{},".repeat(MAX_VALUES)).as_bytes())).contains("more than 1048576 values"));
        assert!(error(parse(&vec![b' '; MAX_TEXT_BYTES + 1])).contains("expected a model of at most"));
    }
}
