//! Channels as their source describes them: names that files can have, the way of each, and changes meanwhile.
//!
//! A desk tells it, takes keep it; neither needs the other.

use std::time::Instant;

#[cfg(feature = "record")]
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What a desk said of a channel when a take began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "record", derive(Serialize, Deserialize))]
pub struct DeskTrack {
    /// The way through the desk's routing, like `User Out 31 > Output 1`.
    pub source: String,
    /// Of the channel, like `red`.
    #[cfg_attr(feature = "record", serde(default, skip_serializing_if = "Option::is_none"))]
    pub colour: Option<String>,
    /// What a user should know, like `carries Main L`.
    #[cfg_attr(feature = "record", serde(default, skip_serializing_if = "Option::is_none"))]
    pub note: Option<String>,
}

/// Something that became different about a channel of the source, as a desk told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceChange {
    /// The channel of the blocks that the writer is given, from 0.
    pub source: usize,
    /// `source`, `name`, `colour` or `note`.
    pub what: &'static str,
    /// None for nothing.
    pub from: Option<String>,
    pub to: Option<String>,
    /// When it was told.
    pub at: Instant,
    /// Since when it may have been so, if nobody could tell it earlier.
    pub since: Option<Instant>,
}

/// Why a take or a channel cannot be called so.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{field}: found '{found}'; expected {expected}")]
pub struct NameError {
    /// What was to get the name.
    pub field: &'static str,
    /// Its first characters.
    pub found: String,
    pub expected: String,
}

/// Bytes of a name: with number, part and ending it stays below the 255 of file systems.
const LONGEST_BYTES: usize = 120;
/// Of them, room for a number behind it.
const NUMBER_BYTES: usize = 20;
/// What some file system does not take.
const FORBIDDEN: &str = "/\\:*?\"<>|";

/// Whether a take or a channel can be called `name`; `field` is for the message. [any thread]
///
/// # Errors
/// If it is empty or longer than 120 bytes, has a character that file systems refuse, or begins or ends with a space or a dot.
pub fn check_name(field: &'static str, name: &str) -> Result<(), NameError> {
    let wrong = |expected: String| {
        let short: String = name.chars().take(40).flat_map(char::escape_debug).collect();
        let dots = if name.chars().count() > 40 { "..." } else { "" };
        Err(NameError { field, found: format!("{short}{dots}"), expected })
    };
    if name.is_empty() || name.len() > LONGEST_BYTES {
        return wrong(format!("1 to {LONGEST_BYTES} bytes, these are {}", name.len()));
    }
    if let Some(c) = name.chars().find(|c| FORBIDDEN.contains(*c) || c.is_control()) {
        return wrong(format!("a name without {}", c.escape_debug()));
    }
    if name.starts_with([' ', '.']) || name.ends_with([' ', '.']) {
        return wrong("no space or dot at its ends".into());
    }
    Ok(())
}

/// Names of stems: what is wanted, made acceptable for files; where nothing is left of it, the second of each pair; numbered where
/// another one has it already, whatever the case. [control thread]
#[must_use]
pub fn stem_names(wanted: impl IntoIterator<Item = (String, String)>) -> Vec<String> {
    let mut given: Vec<String> = Vec::new();
    for (text, plain) in wanted {
        let name = Some(acceptable(&text)).filter(|name| !name.is_empty()).unwrap_or(plain);
        let is_given = |name: &str| given.iter().any(|g| g.to_lowercase() == name.to_lowercase());
        let numbered = (2..).map(|n| format!("{name} ({n})"));
        let first = std::iter::once(name.clone()).chain(numbered).find(|name| !is_given(name));
        given.push(first.unwrap_or(name));
    }
    given
}

/// A text as [`check_name`] takes it, with room for a number; empty if nothing is left.
fn acceptable(text: &str) -> String {
    let mut clean: String = text.chars().map(|c| if FORBIDDEN.contains(c) || c.is_control() { '-' } else { c }).collect();
    // A file's later parts are called so.
    if let Some(at) = clean.rfind(" part ")
        && clean[at + 6..].starts_with(|c: char| c == '+' || c.is_ascii_digit())
    {
        clean.replace_range(at + 5..at + 6, "-");
    }
    let at_ends = [' ', '.'];
    let clean = clean.trim_matches(at_ends);
    let most = LONGEST_BYTES - NUMBER_BYTES;
    let short = (0..=clean.len().min(most)).rev().find(|n| clean.is_char_boundary(*n)).unwrap_or(0);
    clean[..short].trim_matches(at_ends).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_a_disk_may_refuse_is_refused() {
        for name in ["Kick", "Snare (oben)", "ドラム", "a.b", "x".repeat(120).as_str()] {
            assert!(check_name("name", name).is_ok(), "{name}");
        }
        for name in ["", "a/b", "a\\b", "..", ".hidden", "end ", "a\nb", "c:", "x".repeat(300).as_str()] {
            let text = check_name("name", name).unwrap_err().to_string();
            assert!(text.starts_with("name: found '") && !text.contains('\n') && text.len() < 150, "{text}");
        }
    }
}
