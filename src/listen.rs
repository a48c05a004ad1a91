//! Listening tests: the blind switch, and tests that are scored, matched, and recorded so that a stranger can check them.
//!
//! A test compares two sides on one sound. It is asked first what the question is ([`Protocol`]); then the sides are matched and
//! must pass the fairness gates; then the trials run; every answer goes to a log on disk at once.

mod blind_switch;
#[cfg(feature = "listen")]
mod blinding;
#[cfg(feature = "listen")]
mod capture;
#[cfg(feature = "listen")]
mod examiner;
#[cfg(feature = "listen")]
mod folder;
#[cfg(feature = "listen")]
mod gates;
#[cfg(feature = "listen")]
mod live;
#[cfg(feature = "listen")]
mod log;
#[cfg(feature = "listen")]
mod matching;
#[cfg(feature = "listen")]
mod outcome;
#[cfg(feature = "listen")]
mod player;
#[cfg(feature = "listen")]
mod preparation;
#[cfg(feature = "listen")]
mod protocol;
#[cfg(feature = "listen")]
mod session;
#[cfg(feature = "listen")]
mod side;
#[cfg(feature = "listen")]
mod side_measures;
#[cfg(feature = "listen")]
pub mod statistics;
#[cfg(feature = "listen")]
mod venue;
#[cfg(feature = "listen")]
mod verify;

pub use blind_switch::BlindSwitch;
#[cfg(feature = "listen")]
pub use blinding::{Blinding, BlindingError, Mapping};
#[cfg(feature = "listen")]
pub use capture::{CAPTURE_SECONDS, Capture, CaptureWriter};
#[cfg(feature = "listen")]
pub use examiner::Examiner;
#[cfg(feature = "listen")]
pub use folder::{FolderError, LOG, LOOP, Reopened, SEED, SessionFolder, TABLE, default_folder, unfinished};
#[cfg(feature = "listen")]
pub use gates::{
    CONTROL_LIMIT_DB, GAIN_LIMIT_DB, Gate, GateFacts, GateId, GateOutcome, LIVE_GAIN_LIMIT_DB, LOBE_LIMIT, LOUDNESS_LIMIT_LU,
    LoudnessMethod, PEAK_LIMIT_DBTP, TIME_LIMIT_FRAMES, check_gates, control_gate, gain_gate, noise_floor_db,
};
#[cfg(feature = "listen")]
pub use live::{LIVE_LIMIT_LU, LiveTest, TrialMeter, prepare_live};
#[cfg(feature = "listen")]
pub use log::{Closing, Configuration, LOG_VERSION, LogError, LogFile, MappingRecord, OpenedSeed, line_hash};
#[cfg(feature = "listen")]
pub use matching::{
    CONTROL_GAIN_DB, CONTROL_LOW_PASS_HZ, DelaySource, LOOP_SECONDS, MatchError, Matching, Prepared, cut_loop, prepare_again,
    prepare_stimuli, samples_sha256,
};
#[cfg(feature = "listen")]
pub use outcome::{Finding, Outcome, Score};
#[cfg(feature = "listen")]
pub use player::{MAX_PATHS, Player, PlayerControl, Stimuli};
#[cfg(feature = "listen")]
pub use protocol::{ProtocolError, power_curve, power_lines, validate};
#[cfg(feature = "listen")]
pub use session::{
    AnswerRecord, CONTROL_TRIALS, ControlResult, Earlier, End, Entry, Flag, OutOfPlace, PAUSE_AFTER, Plan, Resumption, Session,
    Switch,
};
#[cfg(feature = "listen")]
pub use side::{ResolvedSide, SideError, SideSource, resolve_sides};
#[cfg(feature = "listen")]
pub use venue::{Venue, VenueError};
#[cfg(feature = "listen")]
pub use verify::{Check, Verification, verify, verify_log};

pub use crate::view::{
    Answer, Button, Change, ControlTrial, Form, Protocol, Question, Rule, SideChoice, SoundSource, TestPart, TestSetup, TestStep,
};
