//! Listening tests: the blind switch, and tests that are scored, matched, and recorded so that a stranger can check them.
//!
//! A test compares two sides on one sound. It is asked first what the question is ([`Protocol`]); then the sides are matched and
//! must pass the fairness gates; then the trials run; every answer goes to a log on disk at once.

mod blind_switch;
mod blinding;
mod capture;
mod course;
mod examiner;
mod folder;
mod gates;
mod ladder;
mod live;
mod log;
mod matching;
mod outcome;
mod panel;
mod player;
mod preparation;
mod protocol;
mod session;
mod side;
mod side_measures;
pub mod staircase;
pub mod statistics;
pub mod summary;
mod table;
mod threshold;
mod venue;
mod verify;
mod webmushra;

pub use blind_switch::BlindSwitch;
pub use blinding::{Blinding, BlindingError, Mapping};
pub use capture::{CAPTURE_SECONDS, Capture, CaptureWriter};
pub use examiner::Examiner;
pub use folder::{FolderError, LOG, LOOP, Reopened, SEED, SessionFolder, TABLE, default_folder, unfinished};
pub use gates::{
    CONTROL_LIMIT_DB, GAIN_LIMIT_DB, Gate, GateFacts, GateId, GateOutcome, LIVE_GAIN_LIMIT_DB, LOUDNESS_LIMIT_LU, LoudnessMethod,
    PEAK_LIMIT_DBTP, TIME_LIMIT_FRAMES, check_gates, control_gate, gain_gate, noise_floor_db,
};
pub use ladder::{FEWEST_RUNGS, LadderKind, MOST_MEASURED_RUNGS, Rung, RungSide, check_ladder};
pub use live::{LIVE_LIMIT_LU, LiveTest, TrialMeter, prepare_live};
pub use log::{Closing, Configuration, LOG_VERSION, LogError, LogFile, MappingRecord, OpenedSeed, line_hash};
pub use matching::{
    CONTROL_GAIN_DB, CONTROL_LOW_PASS_HZ, DelaySource, Extras, LOOP_SECONDS, MatchError, Matching, Prepared, cut_loop,
    prepare_again, prepare_stimuli, samples_sha256,
};
pub use outcome::{Finding, Outcome, Score};
pub use panel::{
    ButtonSound, LINKS, MOST_LISTENERS, MOST_PRESSES, PANEL, Panel, PanelAction, PanelError, PanelLink, PanelResult, PanelSound,
    PanelStage, PanelStep, PanelTest, PanelView, Refusal, SOUNDS,
};
pub use player::{FIRST_RUNG, MAX_PATHS, Player, PlayerControl, Stimuli};
pub use preparation::prepare_saved;
pub use protocol::{ProtocolError, REVERSALS, power_curve, power_lines, usual_trials, validate};
pub use session::{
    AnswerRecord, CONTROL_TRIALS, ControlResult, Earlier, End, Entry, Flag, OutOfPlace, PAUSE_AFTER, Plan, Resumption, Session,
    Switch,
};
pub use side::{ResolvedSide, SideError, SideSource, resolve_ladder, resolve_sides};
pub use venue::{Venue, VenueError};
pub use verify::{Check, Verification, verify, verify_log};
pub use webmushra::{
    CAVEAT, Choice, EXPORT, Export, IMPORT, Import, ImportedAnswer, ImportedListener, SourceFile, WebmushraError, export,
    write_unnamed,
};

pub use crate::view::{
    Answer, Button, Change, ControlTrial, Form, Protocol, Question, Rule, SideChoice, SoundSource, TestPart, TestSetup, TestStep,
};
