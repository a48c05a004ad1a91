//! Matching: both sides are rendered on the loop and the sound around it, B is moved, turned and scaled to A, the positive control is
//! made, and the gates are measured on what will be played.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use super::gates::{
    AMBIGUOUS, Gate, GateFacts, LoudnessMethod, PEAK_LIMIT_DBTP, SURE_CORRELATION, check_gates, control_gate, correlation,
    is_sure, noise_floor_db,
};
use super::player::Stimuli;
use super::side::{ResolvedSide, SideSource};
use crate::audio::{Audio, AudioError, Fade, gain_to_db};
use crate::compare::{low_pass_at, low_pass_half, sha256};
use crate::dsp::filter::DcBlocker;
use crate::dsp::{CHUNK, Chunk};
use crate::effect::Effect;
use crate::graph::DIP_SECONDS;
use crate::measure::{AlignError, Alignment, align_synchronous, loudness, nearest_lag};
use crate::render::{RenderError, Renderer};
use crate::view::{Change, ControlTrial};

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
/// Sound that an effect hears before what is used of its output, in seconds: its state is that of the sound, not of a start.
const PRE_ROLL_SECONDS: f64 = 5.0;
/// Sound before and after the loop that is rendered, in seconds: room for delays that matching finds. A delay as a change has its
/// own room.
const MARGIN_SECONDS: f64 = 0.5;
/// Frames that a fractional delay reads on each side, with some to spare.
const INTERPOLATION_FRAMES: usize = 256;
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
/// The largest value of a 16-bit file.
const FULL_SCALE: f32 = 32_767.0 / 32_768.0;
/// Samples in a row at full scale that are a clipped peak.
const CLIPPED_RUN: usize = 3;
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
        None
    }
}

/// A side over the loop, with sound around it.
struct Rendered {
    audio: Audio,
    /// Frames before the loop.
    lead: usize,
    noise_floor_db: Option<f64>,
    nan_resets: u64,
    is_file: bool,
    /// Mean over the loop before the high-pass, of the channel with the larger one, and its level in dB re the side.
    dc: (f64, f64),
}

/// Progress and cancelling, by the frames of all renders.
struct Work<'a> {
    progress: &'a dyn Fn(f32),
    cancel: &'a AtomicBool,
    done: Cell<u64>,
    all: u64,
}

/// Share of the preparation that is rendering.
const RENDER_SHARE: f32 = 0.8;

impl Work<'_> {
    /// Tells the share that is done, `more` frames after the renders that are.
    fn rendered(&self, more: u64) -> bool {
        (self.progress)(RENDER_SHARE * (self.done.get() + more) as f32 / self.all.max(1) as f32);
        !self.cancel.load(Ordering::Relaxed)
    }

    /// Tells the share that is done after the renders.
    fn step(&self, share: f32) -> Result<(), MatchError> {
        (self.progress)(RENDER_SHARE + (1.0 - RENDER_SHARE) * share);
        if self.cancel.load(Ordering::Relaxed) { Err(MatchError::Cancelled) } else { Ok(()) }
    }
}

/// Cuts the loop from a sound and checks it. [control thread]
///
/// # Errors
/// [`MatchError::Range`], [`MatchError::Length`], [`MatchError::Silent`], [`MatchError::Clipped`], [`MatchError::NotFinite`].
pub fn cut_loop(sound: &Audio, range: [f64; 2]) -> Result<(usize, Audio), MatchError> {
    let rate = f64::from(sound.sample_rate());
    let [start, end] = range;
    let outside = MatchError::Range { start, end, seconds: sound.seconds() };
    if !(start.is_finite() && end.is_finite() && start >= 0.0 && start < end) {
        return Err(outside);
    }
    let [first, last] = range.map(|seconds| (seconds * rate).round() as usize);
    if last > sound.frames() || first >= last {
        return Err(outside);
    }
    let found = (last - first) as f64 / rate;
    if !(LOOP_SECONDS[0]..=LOOP_SECONDS[1]).contains(&found) {
        return Err(MatchError::Length { found });
    }
    let cut = sound.slice(first..last).map_err(|_| outside)?;
    cut.check_finite().map_err(MatchError::NotFinite)?;
    if cut.peak() == 0.0 {
        return Err(MatchError::Silent);
    }
    let runs: Vec<usize> = cut.iter().flat_map(clipped_runs).collect();
    if let Some(first) = runs.iter().min() {
        return Err(MatchError::Clipped { runs: runs.len(), seconds: *first as f64 / rate });
    }
    Ok((first, cut))
}

/// First frames of the runs of [`CLIPPED_RUN`] or more samples at full scale with one sign.
fn clipped_runs(channel: &[f32]) -> Vec<usize> {
    let side = |x: f32| {
        if x >= FULL_SCALE {
            1
        } else if x <= -FULL_SCALE {
            -1
        } else {
            0
        }
    };
    let mut runs = Vec::new();
    let mut length = 0;
    for (frame, x) in channel.iter().enumerate() {
        let follows = frame > 0 && side(channel[frame - 1]) == side(*x);
        length = if side(*x) == 0 {
            0
        } else if follows {
            length + 1
        } else {
            1
        };
        if length == CLIPPED_RUN {
            runs.push(frame + 1 - CLIPPED_RUN);
        }
    }
    runs
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
    control: ControlTrial,
    progress: &dyn Fn(f32),
    cancel: &AtomicBool,
) -> Result<Prepared, MatchError> {
    let (start, loop_sound) = cut_loop(sound, range)?;
    let frames = loop_sound.frames();
    let [pre_roll, margin] = surroundings(sound.sample_rate(), sides);
    let first = start.saturating_sub(pre_roll + margin);
    let last = (start + frames + margin).min(sound.frames());
    let around = sound.slice(first..last).expect("the positions are limited to the sound");
    let sides = [0, 1].map(|side| sides[side].for_loop(start, frames));
    prepare(around, start - first, loop_sound, sides, control, progress, cancel)
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
    control: ControlTrial,
    progress: &dyn Fn(f32),
    cancel: &AtomicBool,
) -> Result<Prepared, MatchError> {
    let rate = f64::from(around.sample_rate());
    let (_, loop_sound) = cut_loop(around, [lead, lead.saturating_add(frames)].map(|frame| frame as f64 / rate))?;
    prepare(around.clone(), lead, loop_sound, sides.clone(), control, progress, cancel)
}

/// Prepares a test on a loop that begins `lead` frames after the first of the sound `around` it; `sides` are cut to the loop.
fn prepare(
    around: Audio,
    lead: usize,
    loop_sound: Audio,
    sides: [ResolvedSide; 2],
    control: ControlTrial,
    progress: &dyn Fn(f32),
    cancel: &AtomicBool,
) -> Result<Prepared, MatchError> {
    let sound = &loop_sound;
    let frames = loop_sound.frames();
    around.check_finite().map_err(MatchError::NotFinite)?;
    let rendered = render_sides(&around, [lead, frames], &sides, progress, cancel)?;
    let work = Work { progress, cancel, done: Cell::new(0), all: 0 };
    work.step(0.0)?;

    // A file has more sound around the loop than a render: the file is the one that moves.
    let matched = if rendered[0].is_file && !rendered[1].is_file { 0 } else { 1 };
    let mut notes = Vec::new();
    let found = find_delay(&rendered, matched, frames, &mut notes);
    work.step(0.3)?;

    // A change after matching is not part of the match.
    let plain = |side: usize, gain_db: f64| {
        let (delay, inverted) = if side == matched { (found.delay, found.inverted) } else { (0.0, false) };
        faded(rendered[side].place(delay, inverted, gain_db, frames))
    };
    let reference = plain(1 - matched, 0.0);
    let method = LoudnessMethod::of([&reference, &plain(matched, 0.0)]);
    let mut gain_db = 0.0;
    for _ in 0..ROUNDS {
        let (Some(wanted), Some(is)) = (method.measure(&reference), method.measure(&plain(matched, gain_db))) else { break };
        gain_db += wanted - is;
        if (wanted - is).abs() < LOUDNESS_TOLERANCE_LU {
            break;
        }
    }
    work.step(0.5)?;

    let changes = [0, 1].map(|side| sides[side].change.clone());
    let place = |side: usize, around: usize| {
        let (mut delay, inverted, mut gain) =
            if side == matched { (found.delay, found.inverted, gain_db) } else { (0.0, false, 0.0) };
        match &changes[side] {
            Some(Change::GainDb(more)) => gain += f64::from(*more),
            Some(Change::DelayFrames(later)) => delay -= f64::from(*later),
            Some(Change::Setting(_)) | None => {}
        }
        rendered[side].place(delay - around as f64, inverted, gain, frames + 2 * around)
    };
    let mut paths: Vec<Audio> = [0, 1].map(|side| faded(place(side, 0))).into();
    for (side, name) in rendered.iter().zip(["A", "B"]) {
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
    work.step(0.7)?;

    let peak = paths.iter().map(|path| loudness(path).true_peak_dbtp).fold(f64::MIN, f64::max);
    let attenuation_db = if peak > PEAK_LIMIT_DBTP { PEAK_LIMIT_DBTP - PEAK_ROOM_DB - peak } else { 0.0 };
    if attenuation_db < 0.0 {
        paths.iter_mut().for_each(|path| path.gain_db(attenuation_db));
        notes.push(format!(
            "Everything is played {:.1} dB softer, because the loudest path would have a peak of {peak:.1} dBTP.",
            -attenuation_db
        ));
    }
    if let Some(lufs) = method.measure(&paths[0]).filter(|lufs| *lufs < QUIET_LUFS) {
        notes.push(format!("The loop is quiet ({lufs:.0} LUFS): who turns the volume up for it should turn it down again."));
    }
    let facts = GateFacts {
        method,
        changes: changes.clone(),
        has_file: rendered.iter().any(|side| side.is_file),
        noise_floor_db: [0, 1].map(|side| rendered[side].noise_floor_db),
        nan_resets: [0, 1].map(|side| rendered[side].nan_resets),
        sample_rate: sound.sample_rate(),
        gain_db,
    };
    let mut gates = check_gates([&paths[0], &paths[1]], &facts);
    if let Some(control) = paths.get(2) {
        gates.push(control_gate(&paths[0], control));
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
        gain_db,
        delay_frames: found.delay,
        delay_source: found.source,
        inverted: found.inverted,
        changes,
        control,
        attenuation_db,
        dc: [0, 1].map(|side| rendered[side].dc.0),
        identical: paths[0] == paths[1],
        gates,
        notes,
        stimuli_sha256: paths.iter().map(samples_sha256).collect(),
    };
    Ok(Prepared { stimuli: Arc::new(Stimuli { paths }), matching, loop_sound, around, sides })
}

/// SHA-256 of a sound's samples as little-endian floats, channel after channel, in hexadecimal. [control thread]
#[must_use]
pub fn samples_sha256(sound: &Audio) -> String {
    let bytes: Vec<u8> = sound.as_planar().iter().flat_map(|sample| sample.to_le_bytes()).collect();
    sha256(&bytes)
}

/// The mean of a channel.
fn mean(channel: &[f32]) -> f64 {
    channel.iter().map(|x| f64::from(*x)).sum::<f64>() / channel.len().max(1) as f64
}

/// Filters a sound with the high-pass of all paths, as if its first sample had come in for ever.
fn high_pass(sound: &mut Audio) {
    let rate = sound.sample_rate() as f32;
    for channel in sound.iter_mut() {
        let mut filter = DcBlocker::new(rate, 1, HIGH_PASS_HZ, true);
        filter.settle_at(channel.first().copied().unwrap_or(0.0));
        let mut chunk: [Chunk; 1] = [[0.0; CHUNK]];
        for part in channel.chunks_mut(CHUNK) {
            chunk[0][..part.len()].copy_from_slice(part);
            filter.process(&mut chunk, part.len());
            part.copy_from_slice(&chunk[0][..part.len()]);
        }
    }
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

/// Measures how the matched side lies to the other one.
fn find_delay(rendered: &[Rendered; 2], matched: usize, frames: usize, notes: &mut Vec<String>) -> Delay {
    let reference = rendered[1 - matched].place(0.0, false, 0.0, frames);
    let moved = &rendered[matched];
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

impl Rendered {
    /// `frames` frames of the loop, `delay` frames earlier than they were rendered, turned and with a gain.
    fn place(&self, delay: f64, inverted: bool, gain_db: f64, frames: usize) -> Audio {
        let way = Alignment { delay_frames: self.lead as f64 + delay, inverted, gain_db: -gain_db, ..Alignment::NONE };
        way.apply(&self.audio, frames)
    }
}

/// Frames that the effects hear before what is used of their output, and frames around the loop that are used.
fn surroundings(sample_rate: u32, sides: &[ResolvedSide; 2]) -> [usize; 2] {
    let rate = f64::from(sample_rate);
    let later = |side: &ResolvedSide| match side.change {
        Some(Change::DelayFrames(frames)) => f64::from(frames).abs().ceil() as usize,
        _ => 0,
    };
    let margin = (MARGIN_SECONDS * rate) as usize + sides.iter().map(later).max().unwrap_or(0) + INTERPOLATION_FRAMES;
    [(PRE_ROLL_SECONDS * rate) as usize, margin]
}

/// Renders both sides, each twice, on the loop in the sound `around` it, whose silence before its first and after its last frame is
/// heard, too.
fn render_sides(
    around: &Audio,
    [loop_start, frames]: [usize; 2],
    sides: &[ResolvedSide; 2],
    progress: &dyn Fn(f32),
    cancel: &AtomicBool,
) -> Result<[Rendered; 2], MatchError> {
    let [pre_roll, margin] = surroundings(around.sample_rate(), sides);
    let mut input = Audio::silence(around.sample_rate(), around.channels(), pre_roll + margin + frames + margin);
    // Frames of silence before the sound; negative where there is more sound than is heard.
    let before = (pre_roll + margin) as isize - loop_start as isize;
    let [to, from] = [before.max(0) as usize, (-before).max(0) as usize];
    for (to_channel, from_channel) in input.iter_mut().zip(around.iter()) {
        for (y, x) in to_channel[to..].iter_mut().zip(&from_channel[from..]) {
            *y = *x;
        }
    }
    let around = input;
    let effects = sides.iter().filter(|side| matches!(side.source, SideSource::Effect(_))).count() as u64;
    let work = Work { progress, cancel, done: Cell::new(0), all: 2 * effects * around.frames() as u64 };
    let render_side = |index: usize| -> Result<Rendered, MatchError> {
        let side = ["A", "B"][index];
        // The sound, and the frame of it at which the loop begins; what is before the `lead` frames before that is not used.
        let (whole, start, lead, noise_floor_db, nan_resets) = match &sides[index].source {
            SideSource::Dry => (around.clone(), pre_roll + margin, margin, None, 0),
            SideSource::File { audio, lead, .. } => (Audio::clone(audio), *lead, *lead, None, 0),
            SideSource::Effect(effect) => {
                let resets = || effect.active_model().map_or(0, |model| model.nan_resets());
                let before = resets();
                let first = render_once(effect, &around, side, &work)?;
                let second = render_once(effect, &around, side, &work)?;
                let floor = noise_floor_db(&first, &second);
                (first, pre_roll + margin, margin, floor, resets() - before)
            }
        };
        whole.check_finite().map_err(|source| MatchError::SideNotFinite { side, source })?;
        let played = whole.slice(start.min(whole.frames())..(start + frames).min(whole.frames())).expect("the ends are limited");
        let dc = played.iter().map(mean).fold(0.0f64, |largest, mean| if mean.abs() > largest.abs() { mean } else { largest });
        let dc = (dc, gain_to_db(dc.abs() / played.rms()));
        let mut whole = whole;
        high_pass(&mut whole);
        let audio = whole.slice(start - lead..).expect("the lead is a part of the sound");
        if audio.peak() == 0.0 {
            return Err(MatchError::SilentSide { side });
        }
        Ok(Rendered { audio, lead, noise_floor_db, nan_resets, is_file: sides[index].is_file(), dc })
    };
    Ok([render_side(0)?, render_side(1)?])
}

/// One render of a sound through an effect, with its latency taken away.
fn render_once(effect: &Effect, sound: &Audio, side: &'static str, work: &Work<'_>) -> Result<Audio, MatchError> {
    let failed = |source| match source {
        RenderError::Cancelled => MatchError::Cancelled,
        source => MatchError::Render { side, source },
    };
    let out =
        Renderer::for_sound(effect, sound).map_err(failed)?.render(sound, |frames| work.rendered(frames)).map_err(failed)?;
    work.done.set(work.done.get() + sound.frames() as u64);
    Ok(out)
}
