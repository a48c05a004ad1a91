//! Blinding: a secret seed, the mappings that follow from it, and the commitment that is shown before the first trial.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::view::{Answer, Button, Form, TestPart};

/// Bytes of a seed.
pub const SEED_BYTES: usize = 32;
/// Bytes of a nonce.
pub const NONCE_BYTES: usize = 16;

/// The reason why there is no seed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BlindingError {
    /// The system has no random source.
    #[error("the system gives no random numbers ({0}), so nothing can be hidden; expected its random source")]
    NoRandom(String),
    /// A seed is not written as it should be.
    #[error("no seed and nonce; expected {} and {} hexadecimal digits", 2 * SEED_BYTES, 2 * NONCE_BYTES)]
    NotASeed,
}

/// The secret of a test: a seed of 256 bits, from which the mapping of each trial follows, and a nonce. Both are opened when the
/// test ends.
#[derive(Clone)]
pub struct Blinding {
    seed: [u8; SEED_BYTES],
    nonce: [u8; NONCE_BYTES],
}

/// Nothing of the secret.
impl fmt::Debug for Blinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Blinding(hidden)")
    }
}

impl Blinding {
    /// A secret from the operating system's random source. [control thread]
    ///
    /// # Errors
    /// [`BlindingError::NoRandom`]; nothing stands in for that source.
    pub fn new() -> Result<Self, BlindingError> {
        let mut blinding = Self { seed: [0; SEED_BYTES], nonce: [0; NONCE_BYTES] };
        let failed = |error: getrandom::Error| BlindingError::NoRandom(error.to_string());
        getrandom::fill(&mut blinding.seed).map_err(failed)?;
        getrandom::fill(&mut blinding.nonce).map_err(failed)?;
        Ok(blinding)
    }

    /// The secret with this seed and nonce, in hexadecimal digits. [control thread]
    ///
    /// # Errors
    /// [`BlindingError::NotASeed`].
    pub fn opened(seed: &str, nonce: &str) -> Result<Self, BlindingError> {
        let (seed, nonce) = (from_hex(seed), from_hex(nonce));
        seed.zip(nonce).map(|(seed, nonce)| Self { seed, nonce }).ok_or(BlindingError::NotASeed)
    }

    /// Seed and nonce in hexadecimal digits, for the end of a test. [control thread: allocates]
    #[must_use]
    pub fn open(&self) -> [String; 2] {
        [hex(&self.seed), hex(&self.nonce)]
    }

    /// The commitment: SHA-256 of the seed, the nonce and the first line of the log, without its end of line, which holds the
    /// configuration. In hexadecimal digits. [control thread: allocates]
    #[must_use]
    pub fn commitment(&self, configuration: &[u8]) -> String {
        let mut hash = Sha256::new();
        hash.update(self.seed);
        hash.update(self.nonce);
        hash.update(configuration);
        hex(&hash.finalize())
    }

    /// The mapping of a trial, which is counted from 1 within its part: the two lowest bits of the first byte of
    /// `HMAC-SHA256(seed, "PART TRIAL")`, as in `test 7`. [control thread]
    ///
    /// # Panics
    /// Never: HMAC takes keys of any length.
    #[must_use]
    pub fn mapping(&self, part: TestPart, trial: u32) -> Mapping {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.seed).expect("HMAC takes keys of any length");
        mac.update(format!("{} {trial}", part_name(part)).as_bytes());
        let byte = mac.finalize().into_bytes()[0];
        Mapping { swapped: byte & 1 != 0, second: byte & 2 != 0 }
    }
}

/// A part's name in the log and in the messages of [`Blinding::mapping`].
#[must_use]
pub fn part_name(part: TestPart) -> &'static str {
    match part {
        TestPart::Training => "training",
        TestPart::Control => "control",
        TestPart::Test => "test",
    }
}

/// The mapping of a trial: which side is behind which button. Hidden until the test ends, from debug output, too.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Mapping {
    /// Button 1 plays side B.
    swapped: bool,
    /// ABX: X is button 2. Same-different: the buttons play different sides.
    second: bool,
}

/// Nothing of the mapping.
impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mapping(hidden)")
    }
}

impl Mapping {
    /// Both bits, for the log's last line: 1 if button 1 plays side B; 1 if X is button 2, or the buttons play different sides.
    #[must_use]
    pub fn bits(self) -> [u8; 2] {
        [u8::from(self.swapped), u8::from(self.second)]
    }

    /// The side, 0 or 1, that a button plays; None for a button that the form does not have.
    #[must_use]
    pub fn side(self, form: Form, button: Button) -> Option<usize> {
        let first = usize::from(self.swapped);
        match (form, button) {
            (_, Button::First) => Some(first),
            (Form::Abx | Form::Preference, Button::Second) => Some(1 - first),
            (Form::SameDifferent, Button::Second) => Some(first ^ usize::from(self.second)),
            (Form::Abx, Button::X) => Some(first ^ usize::from(self.second)),
            (_, Button::X) => None,
        }
    }

    /// True if an answer is right; None if there is no right answer, as for a preference, or if the form has no such answer.
    #[must_use]
    pub fn is_right(self, form: Form, answer: Answer) -> Option<bool> {
        match (form, answer) {
            (Form::Abx, Answer::First) | (Form::SameDifferent, Answer::Same) => Some(!self.second),
            (Form::Abx, Answer::Second) | (Form::SameDifferent, Answer::Different) => Some(self.second),
            _ => None,
        }
    }

    /// The side, 0 or 1, that an answer prefers; None if the form asks for no preference.
    #[must_use]
    pub fn preferred(self, form: Form, answer: Answer) -> Option<usize> {
        match (form, answer) {
            (Form::Preference, Answer::First) => self.side(form, Button::First),
            (Form::Preference, Answer::Second) => self.side(form, Button::Second),
            _ => None,
        }
    }
}

/// Bytes as lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// SHA-256 in lower-case hexadecimal digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The bytes that hexadecimal digits stand for; None if there are more or fewer, or other characters.
fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mappings_follow_from_the_seed_by_hmac() {
        // `hmac.new(bytes(range(32)), b"test 1", "sha256").digest()[0]` of Python, and so on.
        let seed: Vec<u8> = (0..32).collect();
        let blinding = Blinding::opened(&hex(&seed), &hex(&[7; NONCE_BYTES])).unwrap();
        for (part, trial, byte) in VECTORS {
            assert_eq!(blinding.mapping(part, trial).bits(), [byte & 1, byte >> 1 & 1], "{part:?} {trial}");
        }
        assert_eq!(blinding.commitment(b"{}"), COMMITMENT);
    }

    #[test]
    fn the_mappings_of_fresh_seeds_are_even_and_independent() {
        let mut counts = [0u32; 4];
        for _ in 0..100 {
            let blinding = Blinding::new().unwrap();
            for trial in 1..=40 {
                let [a, b] = blinding.mapping(TestPart::Test, trial).bits();
                counts[usize::from(2 * a + b)] += 1;
            }
        }
        // Six standard deviations around a quarter of 4000.
        assert!(counts.iter().all(|count| (836..=1164).contains(count)), "{counts:?}");
    }

    #[test]
    fn debug_output_tells_nothing() {
        let blinding = Blinding::new().unwrap();
        assert_eq!(format!("{blinding:?} {:?}", blinding.mapping(TestPart::Test, 1)), "Blinding(hidden) Mapping(hidden)");
    }

    #[test]
    fn an_answer_is_right_exactly_if_the_buttons_play_what_it_says() {
        for (swapped, second) in [(false, false), (false, true), (true, false), (true, true)] {
            let mapping = Mapping { swapped, second };
            let abx = |button| mapping.side(Form::Abx, button).unwrap();
            assert_ne!(abx(Button::First), abx(Button::Second));
            assert_eq!(mapping.is_right(Form::Abx, Answer::First), Some(abx(Button::X) == abx(Button::First)));
            assert_eq!(mapping.is_right(Form::Abx, Answer::Second), Some(abx(Button::X) == abx(Button::Second)));
            let pair = |button| mapping.side(Form::SameDifferent, button).unwrap();
            let same = pair(Button::First) == pair(Button::Second);
            assert_eq!(mapping.is_right(Form::SameDifferent, Answer::Same), Some(same));
            assert_eq!(mapping.is_right(Form::SameDifferent, Answer::Different), Some(!same));
            let sides = [Button::First, Button::Second].map(|button| mapping.side(Form::Preference, button));
            assert_eq!([Answer::First, Answer::Second].map(|answer| mapping.preferred(Form::Preference, answer)), sides);
            assert_eq!(mapping.side(Form::Preference, Button::X), None);
            assert_eq!(mapping.is_right(Form::Abx, Answer::Same), None);
        }
    }

    #[test]
    fn a_text_that_is_no_seed_is_refused() {
        let good = hex(&[1; SEED_BYTES]);
        for seed in ["", "12", &good[1..], &good.replace('1', "g"), &good.replace("01", "é")] {
            assert!(Blinding::opened(seed, &hex(&[1; NONCE_BYTES])).is_err(), "{seed}");
        }
    }

    /// Part, trial, and the first byte of the code, by Python's `hmac`.
    const VECTORS: [(TestPart, u32, u8); 12] = [
        (TestPart::Test, 1, 102),
        (TestPart::Test, 2, 120),
        (TestPart::Test, 3, 142),
        (TestPart::Test, 10, 157),
        (TestPart::Control, 1, 32),
        (TestPart::Control, 2, 101),
        (TestPart::Control, 3, 64),
        (TestPart::Control, 10, 15),
        (TestPart::Training, 1, 196),
        (TestPart::Training, 2, 111),
        (TestPart::Training, 3, 14),
        (TestPart::Training, 10, 184),
    ];
    /// SHA-256 of that seed, the nonce and `{}`, by Python's `hashlib`.
    const COMMITMENT: &str = "07ce28ff5947f3479c6752e9ec516dec8556dd374ac4b05349571538a40ae568";
}
