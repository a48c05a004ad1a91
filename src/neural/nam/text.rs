//! Places of values in the text of a `.nam` file, and edits of the text that leave every other byte as it is: numbers keep
//! their digits, keys their order, and what a program does not know stays.

use std::borrow::Cow;
use std::ops::Range;

/// A UTF-8 byte order mark, which may precede the text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The place of a value in a text that [`parse`](crate::neural::json::parse) reads.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    text: &'a [u8],
    start: usize,
    end: usize,
}

impl<'a> Place<'a> {
    /// The place of the outermost value.
    pub fn root(text: &'a [u8]) -> Self {
        let start = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        Self::at(text, after_blanks(text, start))
    }

    /// The place of the value that begins at `start`.
    fn at(text: &'a [u8], start: usize) -> Self {
        Self { text, start, end: value_end(text, start) }
    }

    /// The bytes of the value.
    pub fn bytes(self) -> &'a [u8] {
        &self.text[self.start..self.end]
    }

    /// The byte at a position of the text; 0 behind its end.
    fn byte(self, at: usize) -> u8 {
        self.text.get(at).copied().unwrap_or(0)
    }

    /// The key and the value of each member of this object, in the order of the text.
    fn members(self) -> Vec<(Self, Self)> {
        let mut members = Vec::new();
        let mut at = after_blanks(self.text, self.start + 1);
        while at + 1 < self.end {
            let key = Self::at(self.text, at);
            let colon = after_blanks(self.text, key.end);
            let value = Self::at(self.text, after_blanks(self.text, colon + 1));
            members.push((key, value));
            at = after_blanks(self.text, after_blanks(self.text, value.end) + 1);
        }
        members
    }

    /// The value of a key of this object. Of a key that is there twice the last value counts, as for the parser.
    pub fn find(self, key: &str) -> Option<Self> {
        self.members().into_iter().rev().find(|(found, _)| found.key() == key).map(|(_, value)| value)
    }

    /// The text of a key.
    fn key(self) -> Cow<'a, str> {
        let quoted = String::from_utf8_lossy(self.bytes());
        match serde_json::from_str::<String>(&quoted) {
            Ok(key) => key.into(),
            // A word that the parser takes for a text: `NaN`.
            Err(_) => quoted,
        }
    }

    /// The items of this list.
    pub fn items(self) -> Vec<Self> {
        let mut items = Vec::new();
        let mut at = after_blanks(self.text, self.start + 1);
        while at + 1 < self.end {
            let item = Self::at(self.text, at);
            items.push(item);
            at = after_blanks(self.text, after_blanks(self.text, item.end) + 1);
        }
        items
    }
}

/// The position of the first byte from `at` on that is no blank.
fn after_blanks(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|byte| b" \t\n\r".contains(byte)).count()
}

/// The end of the value that begins at `start`.
fn value_end(text: &[u8], start: usize) -> usize {
    let mut at = start;
    let mut depth = 0_usize;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => at = text_end(text, at) - 1,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ if depth == 0 => {
                let word = text[at..].iter().take_while(|byte| !b",:]} \t\n\r".contains(byte)).count();
                return at + word;
            }
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// The end of the text in quotation marks that begins at `start`.
fn text_end(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

/// Changes of a text: what stands in each of these ranges instead.
#[derive(Debug, Default)]
pub struct Edits(Vec<(Range<usize>, String)>);

impl Edits {
    /// Writes other text in place of a value.
    pub fn replace(&mut self, place: Place<'_>, with: impl Into<String>) {
        self.0.push((place.start..place.end, with.into()));
    }

    /// Writes text after a value.
    pub fn insert_after(&mut self, place: Place<'_>, text: impl Into<String>) {
        self.0.push((place.end..place.end, text.into()));
    }

    /// Sets a key of an object to a value, whose JSON is given: in place of its value, or behind the last key, with the blanks
    /// of the last key. Of an object without keys only one may be set.
    pub fn set(&mut self, object: Place<'_>, key: &str, value: &str) {
        if let Some(place) = object.find(key) {
            return self.replace(place, value);
        }
        let members = object.members();
        let Some((last, behind)) = members.last() else {
            return self.0.push((object.start + 1..object.start + 1, format!("\"{key}\": {value}")));
        };
        let mut blanks = last.start;
        while b" \t\n\r".contains(&object.byte(blanks - 1)) {
            blanks -= 1;
        }
        let blanks = String::from_utf8_lossy(&object.text[blanks..last.start]);
        self.insert_after(*behind, format!(",{blanks}\"{key}\": {value}"));
    }

    /// The text with all changes. No two of them may overlap.
    pub fn apply(mut self, text: &[u8]) -> Vec<u8> {
        // A stable sort: of changes at one place the first comes first.
        self.0.sort_by_key(|(range, _)| range.start);
        let mut new = Vec::with_capacity(text.len() + self.0.iter().map(|(_, with)| with.len()).sum::<usize>());
        let mut from = 0;
        for (range, with) in self.0 {
            new.extend(&text[from..range.start]);
            new.extend(with.bytes());
            from = range.end;
        }
        new.extend(&text[from..]);
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(place: Place<'_>) -> &str {
        std::str::from_utf8(place.bytes()).expect("UTF-8")
    }

    #[test]
    fn a_value_is_found_where_it_is() {
        let file = b"\xef\xbb\xbf { \"a\" :[ 1,-2.50e1 ,\"]},\\\"\" , {\"a\":[]},[[],{}] ], \"b\":null,NaN:NaN,\
            \"\\u0062\":{\"c\": tru\xff} } }";
        let root = Place::root(file);
        let list = root.find("a").expect("a");
        let items: Vec<&str> = list.items().into_iter().map(text).collect();
        assert_eq!(items, ["1", "-2.50e1", "\"]},\\\"\"", "{\"a\":[]}", "[[],{}]"]);
        assert_eq!(list.items()[4].items().into_iter().map(text).collect::<Vec<_>>(), ["[]", "{}"]);
        assert!(list.items()[3].find("a").expect("a").items().is_empty() && list.items()[3].find("b").is_none());
        assert_eq!(root.find("b").expect("the last b").bytes(), b"{\"c\": tru\xff}");
        assert_eq!(root.find("NaN").map(text), Some("NaN"));
        assert!(root.find("c").is_none() && root.end == file.len() - 2);
    }

    #[test]
    fn an_edit_changes_nothing_else() {
        let edit = |file: &[u8], edits: &dyn Fn(Place<'_>, &mut Edits)| {
            let mut all = Edits::default();
            edits(Place::root(file), &mut all);
            String::from_utf8(all.apply(file)).expect("UTF-8")
        };
        let both = |root: Place<'_>, edits: &mut Edits| {
            edits.set(root, "new", "5");
            edits.set(root, "b", "[6]");
            edits.set(root, "newer", "7");
        };
        assert_eq!(edit(b"{\"a\":1.50,\"b\":2}\0", &both), "{\"a\":1.50,\"b\":[6],\"new\": 5,\"newer\": 7}\0");
        assert_eq!(
            edit(b"{\n  \"b\": {},\n  \"a\": [1 ,2]\n}", &both),
            "{\n  \"b\": [6],\n  \"a\": [1 ,2],\n  \"new\": 5,\n  \"newer\": 7\n}"
        );
        assert_eq!(edit(b" { } ", &|root, edits| edits.set(root, "a", "1")), " {\"a\": 1 } ");
        let spread =
            |root: Place<'_>, edits: &mut Edits| root.items().into_iter().for_each(|item| edits.insert_after(item, ",0"));
        assert_eq!(edit(b"[1, 2]", &spread), "[1,0, 2,0]");
    }
}
