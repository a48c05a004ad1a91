//! Ladders of errors: sounds from side A to beyond side B, in small steps, on which the threshold of a listener is looked for.
//!
//! A rung of the ladder of B's own error is `g (A + k (B - A))`: k is 1 for B itself, and the gain g makes the rung as loud as A. The
//! player mixes it from both paths. On a measured ladder each rung is an effect of its own, matched to A. Of each rung, what will be
//! played is measured: its error to signal and its noise-to-mask ratio re A.

use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::gates::{Gate, GateId, LOUDNESS_LIMIT_LU, LoudnessMethod, PEAK_LIMIT_DBTP};
use super::player::MAX_PATHS;
use super::side::ResolvedSide;
use crate::audio::{Audio, db_to_gain, gain_to_db};
use crate::measure::measures::{ESR, NMR};
use crate::measure::{Comparison, loudness};

/// Fewest rungs of a ladder.
pub const FEWEST_RUNGS: usize = 6;
/// Most rungs of a measured ladder, each of which is a sound of its own.
pub const MOST_MEASURED_RUNGS: usize = 16;
/// Step of the ladder of B's error in dB.
const STEP_DB: f64 = 1.0;
/// Smallest and largest error of that ladder re B's own, in steps.
const STEPS: [i32; 2] = [-60, 30];
/// Largest error beyond B's own, in dB re side A: a larger one is no error any more.
const LARGEST_DB: f64 = -10.0;
/// Least rise of the error from rung to rung, in dB.
const LEAST_RISE_DB: f64 = 0.1;
/// Level in dB of no error at all, which JSON can hold.
const NO_ERROR_DB: f64 = -300.0;
/// Largest difference of the figures of a rung that are computed again, in dB: of gains and errors, and of noise-to-mask ratios, in
/// which the rounding of spectra is heard first.
const AGREEMENT_DB: [f64; 2] = [0.01, 0.1];
/// Noise-to-mask ratio in dB below which it says no more than that nothing is heard.
const FAINT_DB: f64 = -60.0;

/// The ladder of a test.
#[derive(Clone, Debug, Default)]
pub enum LadderKind {
    /// None: no threshold is looked for.
    #[default]
    None,
    /// The error of side B in steps of 1 dB.
    Error,
    /// Measured rungs, from the smallest error on, without the largest, which is side B.
    Measured(Vec<ResolvedSide>),
}

impl LadderKind {
    /// The rungs of a measured ladder below side B. [any thread]
    #[must_use]
    pub fn measured(&self) -> &[ResolvedSide] {
        match self {
            Self::Measured(rungs) => rungs,
            Self::None | Self::Error => &[],
        }
    }
}

/// The side of a rung of a measured ladder, and how it was matched to side A.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RungSide {
    /// The side in words.
    pub text: String,
    /// Frames by which it was late, and is played earlier.
    pub delay_frames: f64,
    /// True if it was inverted, and is turned.
    pub inverted: bool,
}

/// A rung as it is played.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rung {
    /// On the ladder of B's error: the error re B's own in dB, 20 log10 k.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_db: Option<f64>,
    /// On a measured ladder: its side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub side: Option<RungSide>,
    /// Gain in dB that makes it as loud as side A.
    pub gain_db: f64,
    /// Error to signal re side A in dB.
    pub esr_db: f64,
    /// Noise-to-mask ratio re side A in dB.
    pub nmr_db: f64,
}

impl Rung {
    /// The rung in words. [any thread]
    #[must_use]
    pub fn words(&self) -> String {
        match (&self.side, self.error_db) {
            (Some(side), _) => side.text.clone(),
            (None, Some(error_db)) => error_words(error_db),
            (None, None) => String::new(),
        }
    }
}

/// An error re B's own in words.
#[must_use]
pub(super) fn error_words(error_db: f64) -> String {
    if error_db.abs() < 0.05 {
        "B itself".into()
    } else if error_db < 0.0 {
        format!("the error of B made {:.1} dB smaller", -error_db)
    } else {
        format!("the error of B made {error_db:.1} dB larger")
    }
}

/// The reason why rungs are no ladder. [any thread]
///
/// # Errors
/// A line that names the rungs.
pub fn check_ladder(rungs: &[Rung]) -> Result<(), String> {
    if rungs.len() < FEWEST_RUNGS {
        return Err(format!("{} rungs; expected {FEWEST_RUNGS} or more", rungs.len()));
    }
    for (number, pair) in (1..).zip(rungs.windows(2)) {
        let [before, after] = [pair[0].esr_db, pair[1].esr_db];
        // A NaN rises nowhere.
        let rises = after - before >= LEAST_RISE_DB;
        if !rises {
            return Err(format!(
                "the errors do not rise: rung {number} ({}) has {before:.1} dB, rung {} ({}) {after:.1} dB; expected each at least \
                 {LEAST_RISE_DB} dB larger than the one before",
                pair[0].words(),
                number + 1,
                pair[1].words()
            ));
        }
    }
    Ok(())
}

/// The first thing in which a ladder that was computed again differs from the one in the log; None if gains and errors agree within
/// 0.01 dB, and noise-to-mask ratios that matter within 0.1 dB.
pub(super) fn difference(logged: &[Rung], again: &[Rung]) -> Option<String> {
    if logged.len() != again.len() {
        return Some(format!("rungs: the log has {}, the loop and the sides give {}", logged.len(), again.len()));
    }
    let near = |a: f64, b: f64, most: f64| (a - b).abs() <= most;
    let is_same = |a: &Rung, b: &Rung| {
        let sides = match (&a.side, &b.side) {
            (Some(a), Some(b)) => {
                a.text == b.text && a.inverted == b.inverted && near(a.delay_frames, b.delay_frames, AGREEMENT_DB[0])
            }
            (a, b) => a == b,
        };
        sides
            && a.error_db == b.error_db
            && near(a.gain_db, b.gain_db, AGREEMENT_DB[0])
            && near(a.esr_db, b.esr_db, AGREEMENT_DB[0])
            && (near(a.nmr_db, b.nmr_db, AGREEMENT_DB[1]) || a.nmr_db.max(b.nmr_db) < FAINT_DB)
    };
    let (number, (a, b)) = (1..).zip(logged.iter().zip(again)).find(|(_, (a, b))| !is_same(a, b))?;
    Some(format!("rung {number}: the log has {a:?}, the loop and the sides give {b:?}"))
}

/// The way in which a rung is made of the paths.
#[derive(Clone, Debug)]
pub(super) struct Mix {
    /// The rung without its measured figures.
    pub rung: Rung,
    /// Gains of the paths.
    pub gains: [f32; MAX_PATHS],
}

/// A rung that is not measured yet.
fn unmeasured(error_db: Option<f64>, side: Option<RungSide>, gain_db: f64) -> Rung {
    Rung { error_db, side, gain_db, esr_db: NO_ERROR_DB, nmr_db: NO_ERROR_DB }
}

/// Error to signal of a sound re side A in dB.
fn esr_db(a: &Audio, sound: &Audio) -> f64 {
    let esr = Comparison::new(a, sound).ok().and_then(|comparison| ESR.compare(&comparison));
    esr.map_or(NO_ERROR_DB, |esr| (10.0 * esr.log10()).max(NO_ERROR_DB))
}

/// The rungs of B's error: paths 0 and 1 mixed. With `levels`, each is as loud as A; without, a difference in level is what is
/// tested. Empty if both sides are the same. [control thread: takes its time]
pub(super) fn error_mixes(paths: &[Audio], method: LoudnessMethod, levels: bool, cancel: &AtomicBool) -> Vec<Mix> {
    let [a, b, ..] = paths else { return Vec::new() };
    if a == b {
        return Vec::new();
    }
    let beyond = ((LARGEST_DB - esr_db(a, b)) / STEP_DB).floor().clamp(0.0, STEPS[1].into()) as i32;
    let wanted = method.measure(a);
    let mix = |step: i32| {
        let error_db = STEP_DB * f64::from(step);
        let k = db_to_gain(error_db);
        let pair = |gain: f64| {
            let mut gains = [0.0; MAX_PATHS];
            (gains[0], gains[1]) = ((gain * (1.0 - k)) as f32, (gain * k) as f32);
            gains
        };
        let is = if levels && !cancel.load(Ordering::Relaxed) { method.measure(&mixed(paths, &pair(1.0))) } else { None };
        let gain_db = wanted.zip(is).map_or(0.0, |(wanted, is)| wanted - is);
        Mix { rung: unmeasured(Some(error_db), None, gain_db), gains: pair(db_to_gain(gain_db)) }
    };
    (STEPS[0]..=beyond).into_par_iter().map(mix).collect()
}

/// The rungs of a measured ladder: `sides` with their gains, all but the last of which are the paths from `first` on; the last is
/// path 1, side B.
pub(super) fn measured_mixes(sides: Vec<(RungSide, f64)>, first: usize) -> Vec<Mix> {
    let last = sides.len().saturating_sub(1);
    let mix = |(number, (side, gain_db)): (usize, (RungSide, f64))| {
        let mut gains = [0.0; MAX_PATHS];
        gains[if number == last { 1 } else { first + number }] = 1.0;
        Mix { rung: unmeasured(None, Some(side), gain_db), gains }
    };
    sides.into_iter().enumerate().map(mix).collect()
}

/// The sound of a mix, as a player plays it: the sum of the paths with these gains.
fn mixed(paths: &[Audio], gains: &[f32; MAX_PATHS]) -> Audio {
    let mut sound = Audio::silence(paths[0].sample_rate(), paths[0].channels(), paths[0].frames());
    for (path, gain) in paths.iter().zip(gains).filter(|(_, gain)| **gain != 0.0) {
        for (to, from) in sound.iter_mut().zip(path.iter()) {
            super::player::add(from, *gain, to);
        }
    }
    sound
}

/// A bound of the true peaks of all rungs of B's error, in dBTP; None without such rungs. Peaks of a mix are at most the mix of the
/// peaks: from A to B, and from B to the largest error. [control thread: takes its time]
pub(super) fn peak_bound(paths: &[Audio], mixes: &[Mix]) -> Option<f64> {
    let errors: Vec<(f64, f64)> =
        mixes.iter().filter_map(|mix| Some((db_to_gain(mix.rung.error_db?), db_to_gain(mix.rung.gain_db)))).collect();
    let (largest, _) = *errors.last()?;
    let peak = |k: f64| {
        let mut gains = [0.0; MAX_PATHS];
        (gains[0], gains[1]) = ((1.0 - k) as f32, k as f32);
        db_to_gain(loudness(&mixed(paths, &gains)).true_peak_dbtp)
    };
    let (a, b, top) = (peak(0.0), peak(1.0), peak(largest));
    let bound = |(k, gain): &(f64, f64)| {
        gain * if *k <= 1.0 { (1.0 - k) * a + k * b } else { ((largest - k) * b + (k - 1.0) * top) / (largest - 1.0) }
    };
    errors.iter().map(bound).reduce(f64::max).map(gain_to_db)
}

/// Measures what will be played of each rung, and whether it is a ladder. The rungs that are measured after a `cancel` are not.
/// `levels`: as in [`error_mixes`]. [control thread: takes its time]
pub(super) fn measure(
    paths: &[Audio],
    mixes: &[Mix],
    method: LoudnessMethod,
    levels: bool,
    cancel: &AtomicBool,
) -> (Vec<Rung>, Gate) {
    let Some(a) = paths.first() else { return (Vec::new(), gate(Err("no sound".into()))) };
    let wanted = method.measure(a);
    let measured = |mix: &Mix| {
        let mut rung = mix.rung.clone();
        if cancel.load(Ordering::Relaxed) {
            return (rung, 0.0);
        }
        let sound = mixed(paths, &mix.gains);
        rung.esr_db = esr_db(a, &sound);
        let nmr = Comparison::new(a, &sound).ok().and_then(|comparison| NMR.compare(&comparison));
        rung.nmr_db = nmr.map_or(NO_ERROR_DB, |nmr| nmr.max(NO_ERROR_DB));
        let louder = wanted.zip(method.measure(&sound)).map_or(0.0, |(wanted, is)| is - wanted);
        (rung, louder)
    };
    let (rungs, louder): (Vec<Rung>, Vec<f64>) = mixes.par_iter().map(measured).unzip();
    let furthest = louder.into_iter().fold(0.0f64, |most, louder| if louder.abs() > most.abs() { louder } else { most });
    let peak = peak_bound(paths, mixes).filter(|peak| *peak > PEAK_LIMIT_DBTP);
    let checked = if rungs.is_empty() {
        Err("A and B are the same, bit for bit, so there is no error to make larger or smaller".into())
    } else if levels && furthest.abs() > LOUDNESS_LIMIT_LU {
        Err(format!("a rung is {furthest:+.3} LU louder than A; limit {LOUDNESS_LIMIT_LU} LU"))
    } else if let Some(peak) = peak {
        Err(format!("a rung has a true peak of up to {peak:.1} dBTP; limit {PEAK_LIMIT_DBTP} dBTP"))
    } else {
        check_ladder(&rungs).map(|()| {
            let [first, last] = [&rungs[0], &rungs[rungs.len() - 1]];
            format!(
                "{} rungs, errors of {:.1} to {:.1} dB re A, noise-to-mask ratios of {:.1} to {:.1} dB",
                rungs.len(),
                first.esr_db,
                last.esr_db,
                first.nmr_db,
                last.nmr_db
            )
        })
    };
    (rungs, gate(checked))
}

/// The gate of a ladder.
fn gate(checked: Result<String, String>) -> Gate {
    let (passed, text) = match checked {
        Ok(text) => (true, text),
        Err(text) => (false, text),
    };
    Gate::new(GateId::Ladder, passed, None, None, format!("Ladder: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rungs with these errors.
    fn rungs(levels: &[f64]) -> Vec<Rung> {
        levels.iter().map(|level| Rung { esr_db: *level, ..unmeasured(Some(*level), None, 0.0) }).collect()
    }

    #[test]
    fn fewer_than_six_rungs_and_errors_that_do_not_rise_are_no_ladder() {
        assert_eq!(check_ladder(&rungs(&[-60.0, -50.0, -40.0, -30.0, -20.0, -19.9])), Ok(()));
        assert_eq!(check_ladder(&rungs(&[-60.0, -50.0, -40.0, -30.0, -20.0])), Err("5 rungs; expected 6 or more".into()));
        for levels in [[-60.0, -50.0, -40.0, -40.0, -20.0, -10.0], [-60.0, -50.0, -40.0, -41.0, -20.0, f64::NAN]] {
            let error = check_ladder(&rungs(&levels)).unwrap_err();
            assert!(
                error.starts_with("the errors do not rise: rung 3 (the error of B made 40.0 dB smaller) has -40.0 dB, rung 4")
            );
        }
        assert!(check_ladder(&rungs(&[-60.0, -50.0, -40.0, -30.0, -20.0, f64::NAN])).is_err());
    }

    #[test]
    fn a_ladder_that_differs_names_its_first_such_rung() {
        let logged = rungs(&[-60.0, -50.0, -40.0]);
        let mut again = logged.clone();
        assert_eq!(difference(&logged, &again), None);
        again[1].esr_db += 0.005;
        again[0].nmr_db += 5.0;
        assert_eq!(difference(&logged, &again), None);
        again[1].esr_db += 0.01;
        assert!(difference(&logged, &again).unwrap().starts_with("rung 2: the log has"));
        again[1] = logged[1].clone();
        again[2].nmr_db = -20.0;
        assert!(difference(&logged, &again).unwrap().starts_with("rung 3: the log has"));
        assert!(difference(&logged, &again[..2]).unwrap().starts_with("rungs: the log has 3"));
    }
}
