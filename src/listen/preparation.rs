//! The preparation of a test: sides are rendered, matched and measured on a thread of their own.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread::JoinHandle;

use super::folder::LOOP;
use super::ladder::LadderKind;
use super::log::Configuration;
use super::matching::{Extras, Matching, Prepared, prepare_again, prepare_stimuli};
use super::side::{ResolvedSide, resolve_ladder, resolve_sides, rung_file};
use super::side_measures::{esr_db, side_measures};
use crate::audio::Audio;
use crate::audio::wav::read;
use crate::effect::Effect;
use crate::view::{ControlTrial, Question, SideChoice};

/// Share of the work that rendering and matching is; the rest is measuring both sides.
const MATCHING_SHARE: f32 = 0.8;

/// Work to be done.
#[derive(Debug)]
pub(super) enum Job {
    /// A new test.
    New {
        /// The sound from which the loop is cut.
        sound: Arc<Audio>,
        /// The loop in seconds.
        range: [f64; 2],
        /// The sides.
        choices: [SideChoice; 2],
        /// The effects in the slots.
        slots: Box<[Effect; 2]>,
        /// The positive control.
        control: ControlTrial,
        /// The ladder on which a threshold is looked for; None for another question.
        ladder: Option<LadderChoice>,
    },
    /// A session that was left.
    Saved(PathBuf, Box<Configuration>),
}

/// The rungs of a ladder as they are chosen, from the smallest error to the largest; none for the error of side B.
pub(super) type LadderChoice = Vec<SideChoice>;

/// Everything that a test needs.
#[derive(Debug)]
pub(super) struct Ready {
    /// Stimuli, sides and how they were matched.
    pub prepared: Prepared,
    /// Error to signal of the sides in dB; None if they are the same.
    pub esr_db: Option<f64>,
    /// Names and figures of measures of the sides.
    pub measures: Vec<(String, String)>,
}

/// A preparation that runs. Dropped, it is cancelled and waited for.
#[derive(Debug)]
pub(super) struct Preparation {
    shared: Arc<Shared>,
    result: Receiver<Result<Box<Ready>, String>>,
    thread: Option<JoinHandle<()>>,
}

/// State that the thread of a preparation shares with its owner.
#[derive(Debug, Default)]
struct Shared {
    /// Bits of the share that is done.
    share: AtomicU32,
    cancel: AtomicBool,
}

impl Preparation {
    /// Starts a preparation. [control thread]
    ///
    /// # Errors
    /// If the system has no thread for it.
    pub fn start(job: Job) -> io::Result<Self> {
        let shared: Arc<Shared> = Arc::default();
        let (sender, result) = channel();
        let inner = shared.clone();
        let work = move || {
            // The owner may have gone.
            let _ = sender.send(prepare(job, &inner));
        };
        let thread = std::thread::Builder::new().name("isotherm-match".into()).spawn(work)?;
        Ok(Self { shared, result, thread: Some(thread) })
    }

    /// Share of the work that is done, 0 to 1. [any thread]
    pub fn share(&self) -> f32 {
        f32::from_bits(self.shared.share.load(Ordering::Relaxed))
    }

    /// The result, once; None while the preparation runs. [control thread]
    pub fn poll(&self) -> Option<Result<Box<Ready>, String>> {
        match self.result.try_recv() {
            Ok(result) => Some(result),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err("the preparation broke off".into())),
        }
    }
}

impl Drop for Preparation {
    fn drop(&mut self) {
        self.shared.cancel.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has sent nothing, which `poll` tells.
            let _ = thread.join();
        }
    }
}

/// Prepares a test.
fn prepare(job: Job, shared: &Shared) -> Result<Box<Ready>, String> {
    let progress = |share: f32| shared.share.store((share * MATCHING_SHARE).to_bits(), Ordering::Relaxed);
    let prepared = prepare_sounds(job, &progress, &shared.cancel)?;
    let esr_db = esr_db(&prepared.stimuli);
    // A test that does not start needs no figures.
    let measures = if prepared.passed() { side_measures(&prepared.stimuli, &prepared.sides, &shared.cancel) } else { Vec::new() };
    shared.share.store(1f32.to_bits(), Ordering::Relaxed);
    Ok(Box::new(Ready { prepared, esr_db, measures }))
}

/// Renders and matches the sides of a new test; those of a saved one must match as they did. [control thread: takes its time]
///
/// # Errors
/// A line on what is missing or wrong.
pub(super) fn prepare_sounds(job: Job, progress: &dyn Fn(f32), cancel: &AtomicBool) -> Result<Prepared, String> {
    match job {
        Job::New { sound, range, choices, slots, control, ladder } => {
            let sides = resolve_sides(&choices, &slots, &sound).map_err(|error| error.to_string())?;
            let ladder = match &ladder {
                None => LadderKind::None,
                Some(rungs) => resolve_ladder(&choices[0], rungs, &slots, &sound).map_err(|error| error.to_string())?,
            };
            let extras = Extras { control, ladder };
            prepare_stimuli(&sound, range, &sides, extras, progress, cancel).map_err(|error| error.to_string())
        }
        Job::Saved(folder, configuration) => {
            let prepared = prepare_saved(&folder, &configuration, progress, cancel)?;
            let recorded = recorded_matching(&configuration)?;
            match recorded.difference(&prepared.matching) {
                Some(difference) => Err(format!("the sides are no longer what they were: {difference}")),
                None => Ok(prepared),
            }
        }
    }
}

/// Prepares the stimuli of a session from its folder. [control thread: does I/O and takes its time]
///
/// # Errors
/// A line on what is missing or wrong.
pub fn prepare_saved(
    folder: &std::path::Path,
    configuration: &Configuration,
    progress: &dyn Fn(f32),
    cancel: &AtomicBool,
) -> Result<Prepared, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let sound = read(folder.join(LOOP)).map_err(|error| text(&error))?;
    let load = |name: &str| ResolvedSide::load(folder, name).map_err(|error| text(&error));
    let sides = [load("a")?, load("b")?];
    let setup = &configuration.setup;
    let ladder = match (setup.protocol.question, setup.rungs.len()) {
        (Question::Threshold, 0) => LadderKind::Error,
        // The last rung is side B.
        (Question::Threshold, rungs) => {
            let rungs: Result<_, String> = (1..rungs).map(|rung| load(&rung_file(rung))).collect();
            LadderKind::Measured(rungs?)
        }
        _ => LadderKind::None,
    };
    let recorded = recorded_matching(configuration)?;
    let place = [recorded.lead, recorded.frames];
    let extras = Extras { control: setup.control, ladder };
    prepare_again(&sound, place, &sides, extras, progress, cancel).map_err(|error| text(&error))
}

/// The matching of a session's first line.
///
/// # Errors
/// A line if there is none.
pub(super) fn recorded_matching(configuration: &Configuration) -> Result<Matching, String> {
    serde_json::from_value(configuration.matching.clone()).map_err(|error| format!("line 1 holds no matching: {error}"))
}
