//! Metadata of a source's channels: names that files can have, routing and colour on the desk, and changes of them.
//!
//! A desk reports the metadata and a take stores it; `desk` and `record` both use this module, so that neither depends on the
//! other.

use std::time::Instant;

#[cfg(feature = "record")]
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A desk's metadata of a channel at the start of a take. Part of `take.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "record", derive(Serialize, Deserialize))]
pub struct DeskChannelInfo {
    /// The path through the desk's routing, like `User Out 31 > Output 1`.
    pub source: String,
    /// Colour of the channel's strip, like `red`; `None` if the desk reports none.
    #[cfg_attr(feature = "record", serde(default, skip_serializing_if = "Option::is_none"))]
    pub colour: Option<String>,
    /// Hint for the user, like `carries Main L`.
    #[cfg_attr(feature = "record", serde(default, skip_serializing_if = "Option::is_none"))]
    pub note: Option<String>,
}

/// A change of one channel's metadata, as a desk reported it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceChange {
    /// Index of the channel in the blocks that the recorder's writer is given, from 0.
    pub source_channel: usize,
    /// The property that changed: `source`, `name`, `colour` or `note`.
    pub what: &'static str,
    /// The old value; `None` if the property was not set.
    pub from: Option<String>,
    /// The new value; `None` if the property is no longer set.
    pub to: Option<String>,
    /// Time of the report.
    pub at: Instant,
    /// Earliest time of the change, if the desk could not report it at once, as while it was disconnected.
    pub since: Option<Instant>,
}

/// Error of a name that a file cannot have.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{field}: found '{found}'; expected {expected}")]
pub struct NameError {
    /// The thing to be named, like `channel name`.
    pub field: &'static str,
    /// The first 40 characters of the refused name, escaped.
    pub found: String,
    /// The rule that the name breaks.
    pub expected: String,
}

/// Maximal bytes of a name: with number, part and file extension it stays below the 255 bytes that file systems allow.
const MAX_NAME_BYTES: usize = 120;
/// Bytes that [`stem_names`] leaves free at the end of a name, for a number.
const NUMBER_BYTES: usize = 20;
/// Characters that some file systems refuse.
const FORBIDDEN: &str = "/\\:*?\"<>|";

/// Checks that a take or a channel can have this name; `field` names the checked thing in the error. [any thread]
///
/// # Errors
/// If the name is empty or longer than 120 bytes, has a character that file systems refuse, or begins or ends with a space or a
/// dot.
pub fn check_name(field: &'static str, name: &str) -> Result<(), NameError> {
    let refused = |expected: String| {
        let short: String = name.chars().take(40).flat_map(char::escape_debug).collect();
        let dots = if name.chars().count() > 40 { "..." } else { "" };
        Err(NameError { field, found: format!("{short}{dots}"), expected })
    };
    if name.is_empty() || name.len() > MAX_NAME_BYTES {
        return refused(format!("1 to {MAX_NAME_BYTES} bytes, these are {}", name.len()));
    }
    if let Some(c) = name.chars().find(|c| FORBIDDEN.contains(*c) || c.is_control()) {
        return refused(format!("a name without {}", c.escape_debug()));
    }
    if name.starts_with([' ', '.']) || name.ends_with([' ', '.']) {
        return refused("no space or dot at its ends".into());
    }
    Ok(())
}

/// Returns a stem's name for each pair of wanted name and fallback. Characters that file names cannot have are replaced; the
/// fallback is used where nothing is left; a name that an earlier stem has, in upper or lower case, gets a number, like
/// `Kick (2)`. [control thread]
#[must_use]
pub fn stem_names(wanted: impl IntoIterator<Item = (String, String)>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (text, fallback) in wanted {
        let name = Some(stem_name_from(&text)).filter(|name| !name.is_empty()).unwrap_or(fallback);
        let is_taken = |name: &str| names.iter().any(|other| other.to_lowercase() == name.to_lowercase());
        let numbered = (2..).map(|n| format!("{name} ({n})"));
        let free = std::iter::once(name.clone()).chain(numbered).find(|name| !is_taken(name));
        names.push(free.unwrap_or(name));
    }
    names
}

/// Makes a text a name that [`check_name`] accepts, with room for a number; empty if nothing is left.
fn stem_name_from(text: &str) -> String {
    let mut clean: String = text.chars().map(|c| if FORBIDDEN.contains(c) || c.is_control() { '-' } else { c }).collect();
    // A split stem's later files are named `... part 2`, so a name must not look like one.
    if let Some(at) = clean.rfind(" part ")
        && clean[at + 6..].starts_with(|c: char| c == '+' || c.is_ascii_digit())
    {
        clean.replace_range(at + 5..at + 6, "-");
    }
    let refused_at_ends = [' ', '.'];
    let clean = clean.trim_matches(refused_at_ends);
    let longest = MAX_NAME_BYTES - NUMBER_BYTES;
    let end = (0..=clean.len().min(longest)).rev().find(|n| clean.is_char_boundary(*n)).unwrap_or(0);
    clean[..end].trim_matches(refused_at_ends).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_a_disk_may_refuse_is_refused() {
        for name in ["Kick", "Snare (top)", "ドラム", "a.b", "x".repeat(120).as_str()] {
            assert!(check_name("name", name).is_ok(), "{name}");
        }
        for name in ["", "a/b", "a\\b", "..", ".hidden", "end ", "a\nb", "c:", "x".repeat(300).as_str()] {
            let text = check_name("name", name).unwrap_err().to_string();
            assert!(text.starts_with("name: found '") && !text.contains('\n') && text.len() < 150, "{text}");
        }
    }
}
