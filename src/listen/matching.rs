//! Matching: both sides are rendered on the loop and the sound around it, B is moved, turned and scaled to A, the positive control is
//! made, and the gates are measured on what will be played.

mod cut;
mod render;

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};

use super::gates::{
    AMBIGUOUS, Gate, GateFacts, LoudnessMethod, PEAK_LIMIT_DBTP, SURE_CORRELATION, check_gates, control_gate, correlation,
    is_sure,
};
use super::ladder::{
    FEWEST_RUNGS, LadderKind, MOST_MEASURED_RUNGS, Rung, RungSide, error_mixes, measure as measure_rungs, measured_mixes,
    peak_bound,
};
use super::player::Stimuli;
use super::side::ResolvedSide;
use crate::audio::{Audio, AudioError, Fade};
use crate::compare::{low_pass_at, low_pass_half, sha256};
use crate::graph::DIP_SECONDS;
use crate::measure::{AlignError, align_synchronous, loudness, nearest_lag};
use crate::render::RenderError;
use crate::view::{Change, ControlTrial};
pub use cut::cut_loop;
use render::{Rendered, SIDE_NAMES, Work, render_sides, surroundings};

/// Shortest and longest loop in seconds.
pub const LOOP_SECONDS: [f64; 2] = [0.5, 30.0];
/// Corner of the low-pass of a positive control in hertz: what is below it stays.
pub const CONTROL_LOW_PASS_HZ: f64 = 3_500.0;
/// Width of its transition in hertz: 4 kHz is 74 dB down (BS.1534-3, 5.1, asks for 25 dB).
pub(super) const CONTROL_TRANSITION_HZ: f64 = 500.0;
/// Gain of a positive control in dB.
pub const CONTROL_GAIN_DB: f32 = 3.0;
/// Corner of the first-order high-pass of all paths in hertz, also on live sound. A dip makes a thump of DC, also of DC that follows
/// the level; behind this filter it lies as far below the sound as that of an effect with a DC blocker of its own.
pub(super) const HIGH_PASS_HZ: f64 = 10.0;
/// Lags to either side in seconds among which the nearest is taken if several fit.
const NEAR_SECONDS: f64 = 0.5;
/// Frames from which a delay is no whole number: a tenth of what the gate allows.
const WHOLE_FRAMES: f64 = 0.01;
/// Lags to either side, in frames, among which the rest of such a lag is measured.
const REST_FRAMES: usize = 512;
/// Rounds in which delay and gain are measured again and mended.
const ROUNDS: usize = 3;
/// Difference in loudness that is not mended, in LU.
const LOUDNESS_TOLERANCE_LU: f64 = 0.001;
/// Room in dB that an attenuation leaves below the limit of the peaks.
const PEAK_ROOM_DB: f64 = 0.1;
/// Loudness in LUFS below which a line warns of the volume.
const QUIET_LUFS: f64 = -45.0;
/// Level of a side's DC, in dB re the side, from which a line says that it is taken away: less is not heard in a fade.
const HEARD_DC_DB: f64 = -50.0;
/// Largest difference of a gain, in dB, and of a delay, in frames, when a match is computed again.
const AGREEMENT: f64 = 0.01;
/// Largest difference of a mean, re full scale, then: that of 24 bits.
const DC_AGREEMENT: f64 = 1e-7;

/// The reason why a test cannot be prepared.
#[derive(Debug, thiserror::Error)]
pub enum MatchError {
    /// The range does not lie in the sound.
    #[error("the loop is {start:.2} s to {end:.2} s; the sound has {seconds:.2} s")]
    Range {
        /// Start of the loop in seconds.
        start: f64,
        /// End of the loop in seconds.
        end: f64,
        /// Seconds of the sound.
        seconds: f64,
    },
    /// The loop is too short or too long.
    #[error("the loop is {found:.4} s long; expected {} to {} s", LOOP_SECONDS[0], LOOP_SECONDS[1])]
    Length {
        /// Seconds that were found.
        found: f64,
    },
    /// The loop is silent.
    #[error("the loop is silent; expected a sound")]
    Silent,
    /// The loop has clipped peaks.
    #[error("the loop is clipped in {runs} places, the first at {seconds:.2} s; expected a sound below full scale")]
    Clipped {
        /// Runs of samples at full scale.
        runs: usize,
        /// Place of the first, in seconds of the loop.
        seconds: f64,
    },
    /// The loop has NaN or infinity.
    #[error("the loop: {0}")]
    NotFinite(AudioError),
    /// A side cannot be rendered.
    #[error("side {side}: {source}")]
    Render {
        /// A or B.
        side: &'static str,
        /// The reason.
        source: RenderError,
    },
    /// The output of a side has NaN or infinity.
    #[error("side {side}: {source}")]
    SideNotFinite {
        /// A or B.
        side: &'static str,
        /// The first such sample.
        source: AudioError,
    },
    /// A side is silent.
    #[error("side {side} is silent for this loop; expected a sound")]
    SilentSide {
        /// A or B.
        side: &'static str,
    },
    /// The low-pass of the control needs a higher sample rate.
    #[error("the positive control: {0}; choose +3 dB")]
    Control(String),
    /// A side is a file, and the test is on live sound.
    #[error("side {side} is a file, which cannot play live; expected an effect or dry")]
    LiveFile {
        /// A or B.
        side: &'static str,
    },
    /// Side A of a measured ladder is a file.
    #[error("side A is a file, to which rungs cannot be matched; expected an effect or dry")]
    LadderFile,
    /// The number of rungs of a measured ladder.
    #[error("{found} rungs; expected {FEWEST_RUNGS} to {MOST_MEASURED_RUNGS}, or none for the error of B itself")]
    Rungs {
        /// The number of rungs.
        found: usize,
    },
    /// A threshold on live sound.
    #[error("a threshold is measured on a loop, whose errors are known; expected a loop, and not live sound")]
    LiveLadder,
    /// The loudness of live sound cannot be measured trial by trial.
    #[error("the loudness of live sound cannot be measured at {sample_rate} Hz and a width of {channels}; take a loop")]
    NoMeter {
        /// Sample rate of the stream in Hz.
        sample_rate: f64,
        /// Channels of the stream.
        channels: usize,
    },
    /// The preparation was cancelled.
    #[error("called off")]
    Cancelled,
}

/// The origin of a delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DelaySource {
    /// The correlation of both sides.
    Measured,
    /// Of several lags of a file that fit equally well, the one that is nearest to none: the sound repeats itself.
    Nearest,
    /// The latency that the effects report, which rendering has taken away: the correlation is ambiguous.
    Reported,
}

/// Everything that was done to the sides before they are played, and the gates. `verify` computes it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Matching {
    /// Sample rate in Hz.
    pub sample_rate: u32,
    /// Channels.
    pub channels: usize,
    /// Frames of the loop.
    pub frames: usize,
    /// Frames of the recorded sound, `loop.wav`, before the loop: the effects hear what is around the loop, too.
    pub lead: usize,
    /// SHA-256 of the loop's samples as little-endian floats, channel after channel.
    pub loop_sha256: String,
    /// The measure of loudness.
    pub loudness: LoudnessMethod,
    /// The side, 0 or 1, that is moved, turned and scaled to the other one: 1, unless A alone is a file.
    pub matched_side: usize,
    /// Gain of the matched side in dB.
    pub gain_db: f64,
    /// Frames by which the matched side was late, and is played earlier.
    pub delay_frames: f64,
    /// The origin of the delay.
    pub delay_source: DelaySource,
    /// True if the matched side was inverted, and is turned.
    pub inverted: bool,
    /// Changes after matching.
    pub changes: [Option<Change>; 2],
    /// The positive control.
    pub control: ControlTrial,
    /// Gain of all paths in dB, so that none clips; 0 or less.
    pub attenuation_db: f64,
    /// Mean of side A and B over the loop before the match, of the channel with the larger one; 1 is full scale. A high-pass takes it
    /// away, and DC that follows the level: each dip and each turn of the loop would make a thump of it that nobody hears in the
    /// sound itself.
    pub dc: [f64; 2],
    /// True if both sides are equal bit for bit as they are played: there is nothing to hear.
    pub identical: bool,
    /// The gates.
    pub gates: Vec<Gate>,
    /// Lines on what was done that a listener should know.
    pub notes: Vec<String>,
    /// SHA-256 of the samples of each path, as of the loop.
    pub stimuli_sha256: Vec<String>,
    /// The rungs of the ladder, from the smallest error to the largest; empty without one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rungs: Vec<Rung>,
}

/// A test that is ready to run, if it [passed](Self::passed).
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The sounds.
    pub stimuli: Arc<Stimuli>,
    /// The record of what was done.
    pub matching: Matching,
    /// The loop as it was cut from the sound.
    pub loop_sound: Audio,
    /// The loop with the sound around it that the effects hear: [`Matching::lead`] frames before it, and some after it. It is what a
    /// session keeps.
    pub around: Audio,
    /// The sides; a file is cut to the loop, with some sound around it.
    pub sides: [ResolvedSide; 2],
    /// The rungs of a measured ladder but for the last, which is side B; cut like the sides.
    pub rungs: Vec<ResolvedSide>,
}

impl Prepared {
    /// True if the test may start: no gate failed, and the sides differ. [any thread]
    #[must_use]
    pub fn passed(&self) -> bool {
        !self.matching.identical && self.matching.gates.iter().all(Gate::passed)
    }
}

impl Matching {
    /// The first thing in which a match that was computed again differs from this one; `None` if gains agree within 0.01 dB, delays
    /// within 0.01 frame, and all else but the hashes of the stimuli, which may differ between machines. [any thread]
    #[must_use]
    pub fn difference(&self, again: &Self) -> Option<String> {
        let differ = |what: &str, logged: &dyn std::fmt::Debug, found: &dyn std::fmt::Debug| {
            Some(format!("{what}: the log has {logged:?}, the loop and the sides give {found:?}"))
        };
        if self.loop_sha256 != again.loop_sha256 {
            return differ("hash of the loop", &self.loop_sha256, &again.loop_sha256);
        }
        let format = |m: &Self| (m.sample_rate, m.channels, m.frames, m.lead);
        if format(self) != format(again) {
            return differ("sample rate, channels, frames, lead", &format(self), &format(again));
        }
        let numbers = [
            ("gain in dB", self.gain_db, again.gain_db),
            ("delay in frames", self.delay_frames, again.delay_frames),
            ("attenuation in dB", self.attenuation_db, again.attenuation_db),
        ];
        for (what, logged, found) in numbers {
            // A NaN differs from everything.
            let agree = (logged - found).abs() <= AGREEMENT;
            if !agree {
                return differ(what, &logged, &found);
            }
        }
        let choices = |m: &Self| (m.loudness, m.matched_side, m.delay_source, m.inverted, m.control, m.identical);
        if choices(self) != choices(again) || self.changes != again.changes {
            return differ("match", &(choices(self), &self.changes), &(choices(again), &again.changes));
        }
        let outcomes = |m: &Self| m.gates.iter().map(|gate| (gate.id, gate.outcome)).collect::<Vec<_>>();
        if outcomes(self) != outcomes(again) {
            return differ("gates", &outcomes(self), &outcomes(again));
        }
        for (logged, found) in self.gates.iter().zip(&again.gates) {
            // A level of what is next to nothing differs between machines.
            let is_level = matches!(logged.id, super::gates::GateId::Deterministic | super::gates::GateId::Control);
            let agree = |a: Option<f64>, b: Option<f64>| match (a, b) {
                (Some(a), Some(b)) => (a - b).abs() <= AGREEMENT || is_level,
                (a, b) => a == b,
            };
            if logged.limit != found.limit || !agree(logged.figure, found.figure) {
                return differ("gate", &(logged.id, logged.figure, logged.limit), &(found.id, found.figure, found.limit));
            }
        }
        let is_near = |(a, b): (&f64, &f64)| (a - b).abs() <= DC_AGREEMENT;
        if !self.dc.iter().zip(&again.dc).all(is_near) {
            return differ("DC", &self.dc, &again.dc);
        }
        super::ladder::difference(&self.rungs, &again.rungs)
    }
}

/// Everything that a test plays besides its two sides.
#[derive(Clone, Debug)]
pub struct Extras {
    /// The positive control.
    pub control: ControlTrial,
    /// The ladder.
    pub ladder: LadderKind,
}

impl From<ControlTrial> for Extras {
    fn from(control: ControlTrial) -> Self {
        Self { control, ladder: LadderKind::None }
    }
}

/// Prepares a test on a loop: the range, in seconds, of a sound. Progress goes from 0 to 1. A test may be prepared and still not
/// start, because of a gate: see [`Prepared::passed`]. [control thread: takes its time]
///
/// # Errors
/// [`MatchError`].
pub fn prepare_stimuli(
    sound: &Audio,
    range: [f64; 2],
    sides: &[ResolvedSide; 2],
    extras: impl Into<Extras>,
    progress: &dyn Fn(f32),
    cancel: &AtomicBool,
) -> Result<Prepared, MatchError> {
    let (start, loop_sound) = cut_loop(sound, range)?;
    let frames = loop_sound.frames();
    let mut extras = extras.into();
    let [pre_roll, margin] = surroundings(sound.sample_rate(), sides.iter().chain(extras.ladder.measured()));
    let first = start.saturating_sub(pre_roll + margin);
    let last = (start + frames + margin).min(sound.frames());
    let around = sound.slice(first..last).expect("the positions are limited to the sound");
    let sides = [0, 1].map(|side| sides[side].for_loop(start, frames));
    if let LadderKind::Measured(rungs) = &mut extras.ladder {
        rungs.iter_mut().for_each(|rung| *rung = rung.for_loop(start, frames));
    }
    prepare(around, start - first, loop_sound, sides, extras, progress, cancel)
}

/// Prepares the test of a session again: `around` is its recorded sound, `lead` and `frames` say where the loop is in it, as in
/// [`Matching`], and `sides` are those that the session keeps. [control thread: takes its time]
///
/// # Errors
/// [`MatchError`].
pub fn prepare_again(
    around: &Audio,
    [lead, frames]: [usize; 2],
    sides: &[ResolvedSide; 2],
    extras: impl Into<Extras>,
    progress: &dyn Fn(f32),
    cancel: &AtomicBool,
) -> Result<Prepared, MatchError> {
    let rate = f64::from(around.sample_rate());
    let (_, loop_sound) = cut_loop(around, [lead, lead.saturating_add(frames)].map(|frame| frame as f64 / rate))?;
    prepare(around.clone(), lead, loop_sound, sides.clone(), extras.into(), progress, cancel)
}

/// The way in which a side is moved, turned and scaled, before a change.
#[derive(Clone, Copy)]
struct Way {
    /// Frames by which it is played earlier.
    delay: f64,
    inverted: bool,
    gain_db: f64,
}

impl Way {
    /// Nothing is done.
    const NONE: Self = Self { delay: 0.0, inverted: false, gain_db: 0.0 };
}

/// A side that is matched to another one.
struct Matched {
    way: Way,
    source: DelaySource,
    method: LoudnessMethod,
}

/// Matches a side to a reference in time, polarity and loudness.
fn match_side(reference: &Rendered, moved: &Rendered, frames: usize, notes: &mut Vec<String>) -> Matched {
    let Delay { delay, source, inverted } = find_delay(reference, moved, frames, notes);
    let plain = |gain_db: f64| faded(moved.place(delay, inverted, gain_db, frames));
    let reference = faded(reference.place(0.0, false, 0.0, frames));
    let method = LoudnessMethod::of([&reference, &plain(0.0)]);
    let mut gain_db = 0.0;
    for _ in 0..ROUNDS {
        let (Some(wanted), Some(is)) = (method.measure(&reference), method.measure(&plain(gain_db))) else { break };
        gain_db += wanted - is;
        if (wanted - is).abs() < LOUDNESS_TOLERANCE_LU {
            break;
        }
    }
    Matched { way: Way { delay, inverted, gain_db }, source, method }
}

/// Prepares a test on a loop that begins `lead` frames after the first of the sound `around` it; `sides` and rungs are cut to the
/// loop.
fn prepare(
    around: Audio,
    lead: usize,
    loop_sound: Audio,
    sides: [ResolvedSide; 2],
    Extras { control, ladder }: Extras,
    progress: &dyn Fn(f32),
    cancel: &AtomicBool,
) -> Result<Prepared, MatchError> {
    let sound = &loop_sound;
    let frames = loop_sound.frames();
    around.check_finite().map_err(MatchError::NotFinite)?;
    if let LadderKind::Measured(rungs) = &ladder {
        // The last rung is side B.
        let found = rungs.len() + 1;
        if !(FEWEST_RUNGS..=MOST_MEASURED_RUNGS).contains(&found) {
            return Err(MatchError::Rungs { found });
        }
        if sides[0].is_file() {
            return Err(MatchError::LadderFile);
        }
    }
    let all: Vec<&ResolvedSide> = sides.iter().chain(ladder.measured()).collect();
    let rendered = render_sides(&around, [lead, frames], &all, progress, cancel)?;
    let work = Work { progress, cancel, done: Cell::new(0), all: 0 };
    work.step(0.0)?;

    // A file has more sound around the loop than a render: the file is the one that moves.
    let matched = if rendered[0].is_file && !rendered[1].is_file { 0 } else { 1 };
    let mut notes = Vec::new();
    let Matched { way, source, method } = match_side(&rendered[1 - matched], &rendered[matched], frames, &mut notes);
    let mut ways = vec![Way::NONE; all.len()];
    ways[matched] = way;
    let mut methods = vec![method; all.len()];
    for rung in 2..all.len() {
        let found = match_side(&rendered[0], &rendered[rung], frames, &mut notes);
        (ways[rung], methods[rung]) = (found.way, found.method);
    }
    work.step(0.4)?;

    // A change after matching is not part of the match.
    let place = |side: usize, around: usize| {
        let Way { mut delay, inverted, mut gain_db } = ways[side];
        match &all[side].change {
            Some(Change::GainDb(more)) => gain_db += f64::from(*more),
            Some(Change::DelayFrames(later)) => delay -= f64::from(*later),
            Some(Change::Setting(_)) | None => {}
        }
        rendered[side].place(delay - around as f64, inverted, gain_db, frames + 2 * around)
    };
    let mut paths: Vec<Audio> = [0, 1].map(|side| faded(place(side, 0))).into();
    for (side, name) in rendered.iter().zip(SIDE_NAMES) {
        let (_, level_db) = side.dc;
        if level_db > HEARD_DC_DB {
            notes.push(format!(
                "The DC of side {name}, {level_db:.0} dB of it, is taken away: each switch would make a thump of it."
            ));
        }
    }
    match control {
        ControlTrial::None => {}
        ControlTrial::Louder => {
            let mut louder = paths[0].clone();
            louder.gain_db(CONTROL_GAIN_DB.into());
            paths.push(louder);
        }
        ControlTrial::LowPass => {
            let around = low_pass_half(sound.sample_rate(), CONTROL_TRANSITION_HZ);
            let cutoff = CONTROL_LOW_PASS_HZ + CONTROL_TRANSITION_HZ / 2.0;
            let wide = low_pass_at(&place(0, around), cutoff, CONTROL_TRANSITION_HZ).map_err(MatchError::Control)?;
            let inner = wide.slice(around..around + frames).expect("the sound is that much wider on both sides");
            paths.push(faded(inner));
        }
    }
    let first_rung = paths.len();
    paths.extend((2..all.len()).map(|rung| faded(place(rung, 0))));
    work.step(0.5)?;

    // A difference in level that is tested is not taken away from the rungs either.
    let levels = !all.iter().any(|side| matches!(side.change, Some(Change::GainDb(_))));
    let mixes = match &ladder {
        LadderKind::None => Vec::new(),
        LadderKind::Error => error_mixes(&paths, method, levels, cancel),
        LadderKind::Measured(_) => {
            let rung_side = |side: usize| {
                let Way { delay, inverted, gain_db } = ways[side];
                (RungSide { text: all[side].text.clone(), delay_frames: delay, inverted }, gain_db)
            };
            measured_mixes((2..all.len()).chain([1]).map(rung_side).collect(), first_rung)
        }
    };
    let peak = paths.iter().map(|path| loudness(path).true_peak_dbtp).chain(peak_bound(&paths, &mixes)).fold(f64::MIN, f64::max);
    let attenuation_db = if peak > PEAK_LIMIT_DBTP { PEAK_LIMIT_DBTP - PEAK_ROOM_DB - peak } else { 0.0 };
    if attenuation_db < 0.0 {
        paths.iter_mut().for_each(|path| path.gain_db(attenuation_db));
        let loudest = if mixes.is_empty() { "path" } else { "path or rung" };
        notes.push(format!(
            "Everything is played {:.1} dB softer, because the loudest {loudest} would have a peak of {peak:.1} dBTP.",
            -attenuation_db
        ));
    }
    if let Some(lufs) = method.measure(&paths[0]).filter(|lufs| *lufs < QUIET_LUFS) {
        notes.push(format!("The loop is quiet ({lufs:.0} LUFS): who turns the volume up for it should turn it down again."));
    }
    let facts = |side: usize, matched: usize| GateFacts {
        method: methods[side],
        changes: [0, side].map(|side| all[side].change.clone()),
        has_file: [0, side].iter().any(|side| rendered[*side].is_file),
        noise_floor_db: [0, side].map(|side| rendered[side].noise_floor_db),
        nan_resets: [0, side].map(|side| rendered[side].nan_resets),
        sample_rate: sound.sample_rate(),
        gain_db: ways[matched].gain_db,
    };
    let mut gates = check_gates([&paths[0], &paths[1]], &facts(1, matched));
    if control != ControlTrial::None {
        gates.push(control_gate(&paths[0], &paths[2]));
    }
    for (rung, path) in (2..all.len()).zip(&paths[first_rung..]) {
        let failed = check_gates([&paths[0], path], &facts(rung, rung)).into_iter().filter(|gate| !gate.passed());
        gates.extend(failed.map(|gate| Gate { text: format!("Rung {}, as B: {}", rung - 1, gate.text), ..gate }));
    }
    work.step(0.6)?;
    let mut rungs = Vec::new();
    if !matches!(ladder, LadderKind::None) && gates.iter().all(Gate::passed) {
        let (measured, gate) = measure_rungs(&paths, &mixes, method, levels, cancel);
        rungs = measured;
        gates.push(gate);
    }
    work.step(1.0)?;
    let matching = Matching {
        sample_rate: sound.sample_rate(),
        channels: sound.channels(),
        frames,
        lead,
        loop_sha256: samples_sha256(&loop_sound),
        loudness: method,
        matched_side: matched,
        gain_db: way.gain_db,
        delay_frames: way.delay,
        delay_source: source,
        inverted: way.inverted,
        changes: [0, 1].map(|side| sides[side].change.clone()),
        control,
        attenuation_db,
        dc: [0, 1].map(|side| rendered[side].dc.0),
        identical: paths[0] == paths[1],
        gates,
        notes,
        stimuli_sha256: paths.iter().map(samples_sha256).collect(),
        rungs,
    };
    let stimuli = Stimuli { paths, rungs: mixes.into_iter().map(|mix| mix.gains).collect() };
    let rungs = ladder.measured().to_vec();
    Ok(Prepared { stimuli: Arc::new(stimuli), matching, loop_sound, around, sides, rungs })
}

/// SHA-256 of a sound's samples as little-endian floats, channel after channel, in hexadecimal. [control thread]
#[must_use]
pub fn samples_sha256(sound: &Audio) -> String {
    let bytes: Vec<u8> = sound.as_planar().iter().flat_map(|sample| sample.to_le_bytes()).collect();
    sha256(&bytes)
}

/// Fades both ends of a sound over the time of a dip's half.
fn faded(mut sound: Audio) -> Audio {
    let frames = fade_frames(&sound);
    let fades = [sound.fade_in(frames, Fade::RaisedCosine), sound.fade_out(frames, Fade::RaisedCosine)];
    debug_assert!(fades.iter().all(Result::is_ok), "a loop is longer than its fades");
    sound
}

fn fade_frames(sound: &Audio) -> usize {
    (f64::from(DIP_SECONDS) * f64::from(sound.sample_rate())).round() as usize
}

/// The delay between both sides.
struct Delay {
    /// Frames by which the matched side is late.
    delay: f64,
    source: DelaySource,
    inverted: bool,
}

/// Measures how a side that is moved lies to its reference.
fn find_delay(reference: &Rendered, moved: &Rendered, frames: usize, notes: &mut Vec<String>) -> Delay {
    let reference = reference.place(0.0, false, 0.0, frames);
    // A file may be late by anything, and is searched with the sound around the loop; a render is late by little.
    let (searched, lead) =
        if moved.is_file { (moved.audio.clone(), moved.lead) } else { (moved.place(0.0, false, 0.0, frames), 0) };
    let by_latency = |reason: String, notes: &mut Vec<String>| {
        let correlation = correlation([&reference, &moved.place(0.0, false, 0.0, frames)]);
        let instead = if moved.is_file { "the file is taken as it lies" } else { "the latency that the effects report is used" };
        notes.push(format!("{}; {instead}.", capital(&reason)));
        // At a lag that was not measured, a weak correlation says nothing of the polarity.
        Delay { delay: 0.0, source: DelaySource::Reported, inverted: correlation <= -SURE_CORRELATION }
    };
    let found = align_synchronous(&reference, &searched);
    let is_clear = found.as_ref().is_ok_and(|found| !found.ambiguous);
    let has_nothing = matches!(found, Err(AlignError::NothingInCommon { .. }));
    if moved.is_file
        && !is_clear
        && !has_nothing
        && let Some(near) = nearest_delay(&reference, moved, frames)
    {
        notes.push(format!("{}; the file is moved by the nearest of them.", capital(AMBIGUOUS)));
        return near;
    }
    match found {
        Err(AlignError::NothingInCommon { correlation }) => by_latency(
            format!("the lag of the sides is not measurable, because they have nothing in common (correlation {correlation:.2})"),
            notes,
        ),
        Err(error) => by_latency(format!("the lag of the sides is not measurable ({error})"), notes),
        Ok(found) if found.ambiguous => by_latency(AMBIGUOUS.into(), notes),
        Ok(found) => {
            let mut delay = found.delay_frames - lead as f64;
            // The rest that a first measure leaves is measured again.
            for _ in 1..ROUNDS {
                let Ok(rest) = align_synchronous(&reference, &moved.place(delay, false, 0.0, frames)) else { break };
                if rest.ambiguous || rest.delay_frames.abs() < WHOLE_FRAMES || rest.delay_frames.abs() > 1.0 {
                    break;
                }
                delay += rest.delay_frames;
            }
            if (delay - delay.round()).abs() < WHOLE_FRAMES {
                delay = delay.round() + 0.0;
            }
            Delay { delay, source: DelaySource::Measured, inverted: found.inverted }
        }
    }
}

/// The lag of a file that is nearest to none, if several fit equally well; `None` if none is sure.
fn nearest_delay(reference: &Audio, moved: &Rendered, frames: usize) -> Option<Delay> {
    let reach = (NEAR_SECONDS * f64::from(reference.sample_rate())) as usize;
    let near = nearest_lag(reference, &moved.audio, moved.lead, reach).filter(is_sure)?;
    let mut delay = near.delay_frames;
    // The rest that a first measure leaves is measured again.
    for _ in 1..ROUNDS {
        let rest = nearest_lag(reference, &moved.place(delay, false, 0.0, frames), 0, REST_FRAMES)?;
        if rest.delay_frames.abs() < WHOLE_FRAMES || rest.delay_frames.abs() > 1.0 {
            break;
        }
        delay += rest.delay_frames;
    }
    if (delay - delay.round()).abs() < WHOLE_FRAMES {
        delay = delay.round() + 0.0;
    }
    Some(Delay { delay, source: DelaySource::Nearest, inverted: near.correlation < 0.0 })
}

/// A sentence with a capital.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
