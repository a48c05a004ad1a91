//! Listening tests: the blind switch, and tests that are scored, matched, and recorded so that a stranger can check them.
//!
//! A test compares two sides on one sound. It is asked first what the question is ([`Protocol`]); then the sides are matched and
//! must pass the fairness gates; then the trials run; every answer goes to a log on disk at once.

mod blind_switch;
#[cfg(feature = "listen")]
mod capture;
#[cfg(feature = "listen")]
mod player;
#[cfg(feature = "listen")]
mod venue;

pub use blind_switch::BlindSwitch;
#[cfg(feature = "listen")]
pub use capture::{CAPTURE_SECONDS, Capture, CaptureWriter};
#[cfg(feature = "listen")]
pub use player::{Player, PlayerControl, Stimuli};
#[cfg(feature = "listen")]
pub use venue::{Venue, VenueError};

pub use crate::view::{Answer, Button, Change, ControlTrial, Form, Protocol, Question, Rule, SideChoice, SoundSource, TestSetup};
