//! The fairness gates: what must be equal about two sounds before anybody listens for what is not.

use serde::{Deserialize, Serialize};

use crate::audio::{Audio, gain_to_db};
use crate::measure::{
    AlignError, Alignment, NearLag, align_synchronous, integrated_loudness, loudness, nearest_lag, ungated_loudness,
};
use crate::view::{Change, GateView};

/// Largest difference in loudness, in LU.
pub const LOUDNESS_LIMIT_LU: f64 = 0.1;
/// Largest difference in time, in frames.
pub const TIME_LIMIT_FRAMES: f64 = 0.1;
/// Largest gain of a match, in dB, on a loop.
pub const GAIN_LIMIT_DB: f64 = 24.0;
/// Largest gain of a match, in dB, on live sound, which may become louder than what was matched.
pub const LIVE_GAIN_LIMIT_DB: f64 = 12.0;
/// Highest true peak in dBTP.
pub const PEAK_LIMIT_DBTP: f64 = -1.0;
/// Least level in dB, re side A, of what a positive control changes: less might be masked.
pub const CONTROL_LIMIT_DB: f64 = -40.0;
/// Shortest loop in seconds whose loudness is gated as in BS.1770: blocks of 400 ms need some company.
pub const GATED_SECONDS: f64 = 3.0;
/// Magnitude of the correlation coefficient from which two sounds have a polarity to compare.
const POLAR_CORRELATION: f64 = 0.1;
/// Length of the parts of a loop, in seconds, whose lags are compared, and the most of them.
const PART_SECONDS: f64 = 0.5;
const MOST_PARTS: usize = 8;
/// Frames by which the lag of parts may differ because the phase of an effect changes with level, if lags of their own fit no better.
const PHASE_FRAMES: f64 = 2.0;
/// Magnitude of the correlation coefficient from which a lag among several is sure, and the lag of a part, the polarity of a
/// channel, and a polarity at a lag that was not measured.
pub(super) const SURE_CORRELATION: f64 = 0.5;
/// Lags to either side, in frames, among which the one is gated that a file has, if several fit.
const NEAR_FRAMES: usize = 1000;
/// The words for a lag that is one of several.
pub(super) const AMBIGUOUS: &str =
    "the lag is ambiguous: others fit nearly as well, or the sound has too few frequencies to tell";
/// Decibels by which parts fit better with lags of their own if B moves in time.
const MOVED_DB: f64 = 6.0;
/// Frames at the ends of a part that a fractional delay does not fill.
const EDGE_FRAMES: usize = 256;

/// A thing that is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GateId {
    /// Sample rate, channels and length of both sides.
    Format,
    /// All samples finite, and no model that gave NaN.
    Finite,
    /// A gain of the match that cannot hurt.
    Gain,
    /// Both sides equally loud.
    Loudness,
    /// Both sides at the same time.
    Time,
    /// Both sides of the same polarity.
    Polarity,
    /// No true peak beyond [`PEAK_LIMIT_DBTP`].
    Peak,
    /// Both sides the same when they are rendered again.
    Deterministic,
    /// A positive control that can be heard.
    Control,
    /// A ladder of errors on which a threshold can be looked for.
    Ladder,
}

/// The outcome of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GateOutcome {
    /// Within the limit.
    Passed,
    /// Not within the limit: there is no test.
    Failed,
    /// The test is about a change of this very thing.
    Exempt,
}

/// One gate, measured on what will be played.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    /// The thing that is checked.
    pub id: GateId,
    /// The outcome.
    pub outcome: GateOutcome,
    /// The figure that was measured.
    pub figure: Option<f64>,
    /// The limit for the figure.
    pub limit: Option<f64>,
    /// A line with figure and limit.
    pub text: String,
}

/// The measure of loudness of a test, the same for both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoudnessMethod {
    /// Integrated loudness with both gates of BS.1770.
    Integrated,
    /// K-weighted energy without gating: the loop is shorter than 3 s, or nothing is above -70 LUFS.
    Ungated,
}

/// Facts about the sides that two sounds alone do not show.
#[derive(Clone, Debug, PartialEq)]
pub struct GateFacts {
    /// The measure of loudness.
    pub method: LoudnessMethod,
    /// Changes after matching, which are exempt from their gates.
    pub changes: [Option<Change>; 2],
    /// True if a side is a file, which reports no latency.
    pub has_file: bool,
    /// Level of the difference of two renders of each side, in dB re the side; `None` if they were equal bit for bit.
    pub noise_floor_db: [Option<f64>; 2],
    /// Times that the model of each side gave NaN or infinity and was reset.
    pub nan_resets: [u64; 2],
    /// Sample rate of the loop in Hz.
    pub sample_rate: u32,
    /// Gain of the match in dB.
    pub gain_db: f64,
}

impl Gate {
    /// A gate that passes if `passed`.
    pub(super) fn new(
        id: GateId,
        passed: bool,
        figure: impl Into<Option<f64>>,
        limit: impl Into<Option<f64>>,
        text: String,
    ) -> Self {
        let outcome = if passed { GateOutcome::Passed } else { GateOutcome::Failed };
        Self { id, outcome, figure: figure.into(), limit: limit.into(), text }
    }

    /// The gate, exempt.
    fn exempt(self) -> Self {
        Self { outcome: GateOutcome::Exempt, text: format!("{}; exempt: this is the change that is tested", self.text), ..self }
    }

    /// True unless the gate stops the test. [any thread]
    #[must_use]
    pub fn passed(&self) -> bool {
        self.outcome != GateOutcome::Failed
    }
}

impl From<&Gate> for GateView {
    fn from(gate: &Gate) -> Self {
        Self { passed: gate.passed(), text: gate.text.clone() }
    }
}

impl LoudnessMethod {
    /// The measure for two sounds. [control thread]
    #[must_use]
    pub fn of(sides: [&Audio; 2]) -> Self {
        let is_long = sides.iter().all(|side| side.seconds() >= GATED_SECONDS);
        if is_long && sides.iter().all(|side| integrated_loudness(side).is_some()) { Self::Integrated } else { Self::Ungated }
    }

    /// Loudness of a sound in LUFS; `None` for silence. [control thread]
    #[must_use]
    pub fn measure(self, sound: &Audio) -> Option<f64> {
        match self {
            Self::Integrated => integrated_loudness(sound),
            Self::Ungated => ungated_loudness(sound),
        }
    }

    /// The measure in words.
    fn words(self) -> &'static str {
        match self {
            Self::Integrated => "BS.1770",
            Self::Ungated => "K-weighted energy without gating, because the loop is shorter than 3 s or below -70 LUFS",
        }
    }
}

impl GateFacts {
    /// The facts of two effects without a fault. [any thread]
    #[must_use]
    pub fn plain(method: LoudnessMethod, sample_rate: u32) -> Self {
        Self {
            method,
            changes: [None, None],
            has_file: false,
            noise_floor_db: [None; 2],
            nan_resets: [0; 2],
            sample_rate,
            gain_db: 0.0,
        }
    }
}

/// Checks side A and side B as they will be played. If their formats differ, or a sample is not finite, no further gate is
/// measured. [control thread: takes its time]
#[must_use]
pub fn check_gates(sides: [&Audio; 2], facts: &GateFacts) -> Vec<Gate> {
    let mut gates = vec![format_gate(sides, facts), finite_gate(sides, facts)];
    if sides.iter().any(|side| side.check_finite().is_err()) || !gates[0].passed() {
        return gates;
    }
    gates.push(gain_gate(facts.gain_db, GAIN_LIMIT_DB));
    gates.push(loudness_gate(sides, facts));
    gates.extend(time_gates(sides, facts));
    gates.push(peak_gate(sides));
    gates.push(deterministic_gate(facts));
    gates
}

fn format_gate(sides: [&Audio; 2], facts: &GateFacts) -> Gate {
    let rates = sides.map(Audio::sample_rate);
    let rate = facts.sample_rate;
    if rates != [rate; 2] {
        let text = format!("Sample rate: A has {} Hz, B {} Hz; expected the loop's {rate} Hz", rates[0], rates[1]);
        return Gate::new(GateId::Format, false, None, None, text);
    }
    let shape = |side: &Audio| {
        let channels = if side.channels() == 1 { "channel" } else { "channels" };
        format!("{} {channels}, {} frames", side.channels(), side.frames())
    };
    let passed = sides[0].shape() == sides[1].shape();
    let text = if passed {
        format!("Sample rate: {rate} Hz on both sides; {}", shape(sides[0]))
    } else {
        format!("Format: A has {}, B has {}; expected the same", shape(sides[0]), shape(sides[1]))
    };
    Gate::new(GateId::Format, passed, None, None, text)
}

fn finite_gate(sides: [&Audio; 2], facts: &GateFacts) -> Gate {
    for ((side, name), resets) in sides.iter().zip(["A", "B"]).zip(facts.nan_resets) {
        if let Err(error) = side.check_finite() {
            return Gate::new(GateId::Finite, false, None, None, format!("Finite: side {name}: {error}"));
        }
        if resets > 0 {
            let text = format!("Finite: the model of side {name} gave NaN or infinity {resets} times; expected none");
            return Gate::new(GateId::Finite, false, resets as f64, 0.0, text);
        }
    }
    Gate::new(GateId::Finite, true, None, None, "Finite: no NaN and no infinity on either side".into())
}

/// The side with the larger figure in words, and by how much: "B is 0.3 dB louder".
fn more(difference: f64, amount: &str, adjective: &str) -> String {
    if amount.trim_start_matches("0.").trim_start_matches('0').starts_with(|c: char| c.is_ascii_digit()) {
        format!("{} is {amount} {adjective}", if difference > 0.0 { "B" } else { "A" })
    } else {
        format!("A and B differ by {amount}")
    }
}

/// Checks the gain that makes both sides equally loud: what one side plays much louder than it was is a danger to ears, and its noise
/// tells it. [any thread]
#[must_use]
pub fn gain_gate(gain_db: f64, limit_db: f64) -> Gate {
    // Adding 0 makes -0 a plain 0.
    let shown = (10.0 * gain_db).round() / 10.0 + 0.0;
    let text = format!("Gain: the match needs {shown:+.1} dB; limit {limit_db} dB");
    Gate::new(GateId::Gain, gain_db.abs() <= limit_db, gain_db, limit_db, text)
}

fn loudness_gate(sides: [&Audio; 2], facts: &GateFacts) -> Gate {
    let [a, b] = sides.map(|side| facts.method.measure(side));
    let (Some(a), Some(b)) = (a, b) else {
        let name = if a.is_none() { "A" } else { "B" };
        let text = format!("Loudness: side {name} has none ({}); expected a sound", facts.method.words());
        return Gate::new(GateId::Loudness, false, None, LOUDNESS_LIMIT_LU, text);
    };
    let difference = b - a;
    let words = more(difference, &format!("{:.2} LU", difference.abs()), "louder");
    let text = format!("Loudness: {words} ({}); limit {LOUDNESS_LIMIT_LU} LU", facts.method.words());
    let gate = Gate::new(GateId::Loudness, difference.abs() <= LOUDNESS_LIMIT_LU, difference, LOUDNESS_LIMIT_LU, text);
    let is_exempt = facts.changes.iter().flatten().any(|change| matches!(change, Change::GainDb(_)));
    if is_exempt { gate.exempt() } else { gate }
}

/// The gates of time and polarity.
fn time_gates(sides: [&Audio; 2], facts: &GateFacts) -> [Gate; 2] {
    let is_exempt = facts.changes.iter().flatten().any(|change| matches!(change, Change::DelayFrames(_)));
    let found = align_synchronous(sides[0], sides[1]);
    let moving = if facts.has_file { moving_lag(sides) } else { None };
    // A file reports no latency, so the lag that is next to none is gated where several fit.
    let near = match &found {
        Ok(found) if !found.ambiguous => None,
        Err(AlignError::NothingInCommon { .. }) => None,
        _ if facts.has_file => nearest_lag(sides[0], sides[1], 0, NEAR_FRAMES).filter(is_sure),
        _ => None,
    };
    let lag_gate = |delay: f64, more_words: &str| {
        let words = more(delay, &format!("{:.2} samples", delay.abs()), "later");
        let text = format!("Time: {words} ({more_words}); limit {TIME_LIMIT_FRAMES} sample");
        Gate::new(GateId::Time, delay.abs() <= TIME_LIMIT_FRAMES, delay, TIME_LIMIT_FRAMES, text)
    };
    let without_lag = |reason: &str| {
        let instead = match (facts.has_file, &found) {
            (true, Err(AlignError::NothingInCommon { .. })) => "expected the same sound on both sides",
            (true, _) => "a file reports no latency; expected one that can be aligned",
            (false, _) => "the latency that the effects report is used",
        };
        Gate::new(GateId::Time, !facts.has_file, None, TIME_LIMIT_FRAMES, format!("Time: {reason}; {instead}"))
    };
    let time = match (&found, near) {
        (_, Some(near)) => lag_gate(near.delay_frames, "the nearest of several lags that fit"),
        (Err(error), None) => without_lag(&format!("the lag cannot be measured ({error})")),
        (Ok(found), None) if found.ambiguous => without_lag(AMBIGUOUS),
        (Ok(found), None) => {
            lag_gate(found.delay_frames, &format!("known to {:.2} samples", found.delay_uncertainty_frames.max(0.01)))
        }
    };
    let time = if is_exempt { time.exempt() } else { time };
    // A change of the delay is one number: what moves within the loop is never exempt.
    let time = moving.map_or(time, |[least, most]| {
        let text = format!(
            "Time: B is {least:.2} to {most:.2} samples later in parts of the loop, as if another clock recorded it or sound were \
             lost; expected one lag within {TIME_LIMIT_FRAMES} sample"
        );
        Gate::new(GateId::Time, false, most - least, TIME_LIMIT_FRAMES, text)
    });
    // At a lag that was not measured, a weak correlation says nothing of the polarity.
    let (inverted, correlation, least) = match (&found, near) {
        (_, Some(near)) => (near.correlation < 0.0, near.correlation.abs(), SURE_CORRELATION),
        (Ok(found), None) if !found.ambiguous => (found.inverted, found.correlation, POLAR_CORRELATION),
        _ => {
            let correlation = correlation(sides);
            (correlation < 0.0, correlation.abs(), SURE_CORRELATION)
        }
    };
    // A channel of its own may be turned: then both sounds are neither equal nor inverted.
    let turned = (0..sides[0].channels()).filter(|_| !inverted && sides[0].channels() > 1).find_map(|channel| {
        let [a, b] = sides.map(|side| side.extract(channel));
        let correlation = self::correlation([&a.ok()?, &b.ok()?]);
        (correlation < -SURE_CORRELATION).then_some((channel + 1, correlation))
    });
    let polarity = if let Some((channel, correlation)) = turned {
        let text = format!("Polarity: B is inverted in channel {channel} alone (correlation {correlation:.2}); expected equal");
        Gate::new(GateId::Polarity, false, correlation, None, text)
    } else if correlation < least {
        let text = format!("Polarity: none to compare: the correlation of A and B is {correlation:.2}");
        Gate::new(GateId::Polarity, true, correlation, least, text)
    } else {
        let words = if inverted { "B is inverted" } else { "equal" };
        Gate::new(GateId::Polarity, !inverted, correlation, None, format!("Polarity: {words} (correlation {correlation:.2})"))
    };
    [time, polarity]
}

/// True if a lag among several is one at which both sounds are alike.
pub(super) fn is_sure(lag: &NearLag) -> bool {
    lag.correlation.abs() >= SURE_CORRELATION
}

/// The smallest and the largest lag of B in parts of the loop, if B moves in time: by more than an effect's phase does, or so that
/// the parts fit better by [`MOVED_DB`] where each is moved by its own lag. `None` if it stays where it is.
fn moving_lag(sides: [&Audio; 2]) -> Option<[f64; 2]> {
    let frames = sides[0].frames();
    let parts = (frames / ((PART_SECONDS * f64::from(sides[0].sample_rate())) as usize).max(1)).clamp(2, MOST_PARTS);
    let mut lags: Vec<f64> = Vec::new();
    // Energies that no lag, and each part's own lag, leave of the parts, in shares of each part.
    let (mut without, mut with) = (0.0, 0.0);
    for part in 0..parts {
        let range = part * frames / parts..(part + 1) * frames / parts;
        let [a, b] = sides.map(|side| side.slice(range.clone()).expect("the parts lie in the loop"));
        let Ok(found) = align_synchronous(&a, &b) else { continue };
        if found.ambiguous
            || found.correlation < SURE_CORRELATION
            || found.delay_frames.abs() > frames as f64 / parts as f64 / 4.0
        {
            continue;
        }
        let moved = Alignment { delay_frames: found.delay_frames, ..Alignment::NONE }.apply(&b, b.frames());
        // The ends of what was moved are not there.
        let inner = |sound: &Audio| {
            let edge = (found.delay_frames.abs().ceil() as usize + EDGE_FRAMES).min(sound.frames() / 4);
            sound.slice(edge..sound.frames() - edge).expect("the edges are half of the part at most")
        };
        let rest = |b: &Audio| 1.0 - correlation([&inner(&a), &inner(b)]).powi(2);
        without += rest(&b);
        with += rest(&moved);
        lags.push(found.delay_frames);
    }
    let [least, most] = [lags.iter().copied().reduce(f64::min)?, lags.iter().copied().reduce(f64::max)?];
    let spread = most - least;
    let fits_better = 10.0 * (without / with.max(f64::MIN_POSITIVE)).log10() > MOVED_DB;
    let moves = spread > PHASE_FRAMES || (spread > 2.0 * TIME_LIMIT_FRAMES && fits_better);
    moves.then_some([least, most])
}

/// The correlation coefficient of two sounds of one shape as they lie, without their DC; 0 if one is constant.
pub(super) fn correlation(sides: [&Audio; 2]) -> f64 {
    let means = sides.map(|side| side.dc());
    let (mut cross, mut energies) = (0.0, [0.0; 2]);
    for (a, b) in sides[0].as_planar().iter().zip(sides[1].as_planar()) {
        let (a, b) = (f64::from(*a) - means[0], f64::from(*b) - means[1]);
        cross += a * b;
        energies[0] += a * a;
        energies[1] += b * b;
    }
    let norm: f64 = (energies[0] * energies[1]).sqrt();
    if norm > 0.0 { cross / norm } else { 0.0 }
}

fn peak_gate(sides: [&Audio; 2]) -> Gate {
    let [a, b] = sides.map(|side| loudness(side).true_peak_dbtp);
    let text = format!("Peak: A {a:.1} dBTP, B {b:.1} dBTP; limit {PEAK_LIMIT_DBTP} dBTP");
    Gate::new(GateId::Peak, a.max(b) <= PEAK_LIMIT_DBTP, a.max(b), PEAK_LIMIT_DBTP, text)
}

/// A noise floor does not stop a test, but stands in its record: what differs from render to render is heard as a difference of
/// the sides.
fn deterministic_gate(facts: &GateFacts) -> Gate {
    let floors: Vec<String> = facts
        .noise_floor_db
        .iter()
        .zip(["A", "B"])
        .filter_map(|(floor, name)| Some(format!("two renders of side {name} differ by {:.1} dB", (*floor)?)))
        .collect();
    let worst = facts.noise_floor_db.iter().flatten().copied().reduce(f64::max);
    let text = if floors.is_empty() {
        "Deterministic: two renders of each side are equal bit for bit".into()
    } else {
        format!("Deterministic: no; noise floor: {}", floors.join(", "))
    };
    Gate::new(GateId::Deterministic, true, worst, None, text)
}

/// Checks that a positive control differs from side A enough to be heard. [control thread]
#[must_use]
pub fn control_gate(a: &Audio, control: &Audio) -> Gate {
    let level = control.subtract(a).map_or(f64::NEG_INFINITY, |difference| gain_to_db(difference.rms() / a.rms()));
    let text = format!("Control: changes {level:.1} dB of side A; at least {CONTROL_LIMIT_DB} dB are needed to be heard");
    Gate::new(GateId::Control, level >= CONTROL_LIMIT_DB, level.max(-300.0), CONTROL_LIMIT_DB, text)
}

/// Level in dB of the difference of two renders re the first; `None` if they are equal bit for bit. [control thread]
#[must_use]
pub fn noise_floor_db(first: &Audio, second: &Audio) -> Option<f64> {
    if first == second {
        return None;
    }
    let level = first.subtract(second).map_or(0.0, |difference| gain_to_db(difference.rms() / first.rms()));
    Some(level.clamp(-300.0, 300.0))
}
