//! The staircase: a track of answers that finds the threshold of a listener on a ladder of errors, and the estimate of that
//! threshold.
//!
//! Sources: C. Kaernbach, Perception & Psychophysics 49 (1991), for the weighted up-down method; F. A. Wichmann and N. J. Hill,
//! Perception & Psychophysics 63 (2001), for psychometric functions with lapses; B. Treutwein, Vision Research 35 (1995), for
//! estimates from their likelihood. All functions: [any thread], but for those that say otherwise.

use serde::{Deserialize, Serialize};

/// Share of right answers at the threshold: the middle between guessing and always right. The error is then heard in half of the
/// trials.
pub const TARGET: f64 = 0.75;
/// Steps towards a larger error after a wrong answer, for one step towards a smaller one after a right answer. Where [`TARGET`] of
/// the answers are right, `UP * (1 - TARGET) = TARGET`: the track stays (Kaernbach).
const UP: usize = 3;
/// Rungs of a step before the first reversal, up to the third one, and from there on, on a ladder of [`FINE_RUNGS`] or more. On a
/// shorter one a step is a rung.
const STEPS: [usize; 3] = [4, 2, 1];
/// Number of reversals from which on the next of [`STEPS`] counts.
const STEP_REVERSALS: [usize; 2] = [1, 3];
/// Fewest rungs of a ladder on which a track begins with large steps.
pub const FINE_RUNGS: usize = 40;
/// Right answers in a row at the smallest error that end a track: there is nothing smaller to hear.
pub const FLOOR_TRIALS: u32 = 10;

/// Share of wrong answers that are slips, whatever is heard, in the psychometric function.
const LAPSES: f64 = 0.02;
/// Spreads of the psychometric function in dB, all equally likely: from one that rises from 20 to 80 % of its height within 1.4 dB to
/// one that takes 22 dB.
const SPREADS_DB: [f64; 9] = [0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0];
/// Distance of neighbouring thresholds for which the likelihood is computed, in dB.
const GRID_DB: f64 = 0.2;
/// Reach of these thresholds beyond both ends of the ladder, in dB.
const BEYOND_DB: f64 = 6.0;
/// Probability that is left out at each end of the interval. By simulation, an interval of 95 % needs less than .025 where the
/// psychometric function is flat (docs/listening.md).
const TAIL: f64 = 0.0175;

/// The course of a staircase.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Track {
    /// The rung of each answered trial, from 0 for the smallest error.
    pub rungs: Vec<u32>,
    /// The trials at which the track turned, from 1: a right answer after a wrong one, or the other way round.
    pub reversals: Vec<u32>,
}

/// A weighted up-down staircase on the rungs of a ladder.
#[derive(Clone, Debug)]
pub struct Staircase {
    /// Number of rungs.
    rungs: usize,
    /// Reversals that end it.
    reversals: u32,
    /// Most trials.
    most: u32,
    /// The rung of the next trial.
    rung: usize,
    /// The last answer was right.
    last: Option<bool>,
    /// Right answers in a row at the smallest error.
    at_floor: u32,
    track: Track,
}

impl Staircase {
    /// A staircase on a ladder of `rungs` rungs that begins at the largest error, and ends after so many reversals, or trials at the
    /// most. [control thread: allocates]
    #[must_use]
    pub fn new(rungs: usize, reversals: u32, most: u32) -> Self {
        let rung = rungs.saturating_sub(1);
        Self { rungs, reversals, most, rung, last: None, at_floor: 0, track: Track::default() }
    }

    /// The rung of the next trial.
    #[must_use]
    pub fn rung(&self) -> usize {
        self.rung
    }

    /// The course up to now.
    #[must_use]
    pub fn track(&self) -> &Track {
        &self.track
    }

    /// True if it has ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let trials = self.track.rungs.len() as u32;
        self.track.reversals.len() as u32 >= self.reversals || trials >= self.most || self.at_floor >= FLOOR_TRIALS
    }

    /// Takes in an answer. [control thread: allocates]
    pub fn answer(&mut self, right: bool) {
        self.track.rungs.push(self.rung as u32);
        if self.last.is_some_and(|last| last != right) {
            self.track.reversals.push(self.track.rungs.len() as u32);
        }
        self.last = Some(right);
        self.at_floor = if right && self.rung == 0 { self.at_floor + 1 } else { 0 };
        let step = self.step();
        self.rung =
            if right { self.rung.saturating_sub(step) } else { (self.rung + UP * step).min(self.rungs.saturating_sub(1)) };
    }

    /// Rungs of a step now.
    fn step(&self) -> usize {
        if self.rungs < FINE_RUNGS {
            return 1;
        }
        let turned = self.track.reversals.len();
        STEPS[STEP_REVERSALS.iter().filter(|reversals| turned >= **reversals).count()]
    }
}

/// The threshold of a listener: the error at which [`TARGET`] of the answers are right.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// Error to signal in dB; None if it is beyond an end of the ladder.
    pub esr_db: Option<f64>,
    /// Lower end of the interval of 95 % in dB; None if it is below the smallest error of the ladder.
    pub lower_db: Option<f64>,
    /// Upper end of the interval in dB; None if it is above the largest error.
    pub upper_db: Option<f64>,
}

/// The place of a threshold on a ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Below its smallest error, which is heard.
    Below,
    /// On it.
    Within,
    /// Above its largest error, which is not heard.
    Above,
}

/// Share of right answers to an error of `level_db` of a listener of a threshold and a spread, both in dB: logistic, from guessing
/// to 1 less [`LAPSES`], and [`TARGET`] at the threshold.
fn share_right(level_db: f64, threshold_db: f64, spread_db: f64) -> f64 {
    let (height, target) = (0.5 - LAPSES, TARGET - 0.5);
    let shift = (target / (height - target)).ln();
    0.5 + height / (1.0 + (-(level_db - threshold_db) / spread_db - shift).exp())
}

/// The threshold that answers give, and its place: the median of the likelihood of all thresholds from 6 dB below the smallest of
/// the `levels_db` to 6 dB above the largest, averaged over nine spreads from 0.5 to 8 dB, and an interval of 95 %. `levels_db`: the
/// errors of the rungs, rising. `answers`: rung and rightness. None without answers, or without levels. [control thread: takes its
/// time]
#[must_use]
pub fn threshold(levels_db: &[f64], answers: impl IntoIterator<Item = (usize, bool)>) -> Option<(Threshold, Place)> {
    let (lowest, highest) = (*levels_db.first()?, *levels_db.last()?);
    let mut counts = vec![[0.0; 2]; levels_db.len()];
    for (rung, right) in answers {
        counts.get_mut(rung)?[usize::from(right)] += 1.0;
    }
    let heard: Vec<(f64, [f64; 2])> =
        levels_db.iter().copied().zip(counts).filter(|(_, [wrong, right])| wrong + right > 0.0).collect();
    if heard.is_empty() || !levels_db.iter().all(|level| level.is_finite()) {
        return None;
    }
    let points = ((highest - lowest + 2.0 * BEYOND_DB) / GRID_DB).round() as usize + 1;
    let at = |point: usize| lowest - BEYOND_DB + GRID_DB * point as f64;
    let log_likelihood = |threshold_db: f64, spread_db: f64| -> f64 {
        let of_rung = |(level, [wrong, right]): &(f64, [f64; 2])| {
            let share = share_right(*level, threshold_db, spread_db);
            right * share.ln() + wrong * (1.0 - share).ln()
        };
        heard.iter().map(of_rung).sum()
    };
    let logs: Vec<[f64; SPREADS_DB.len()]> =
        (0..points).map(|point| SPREADS_DB.map(|spread| log_likelihood(at(point), spread))).collect();
    let largest = logs.iter().flatten().copied().fold(f64::MIN, f64::max);
    let weights: Vec<f64> = logs.iter().map(|of| of.iter().map(|log| (log - largest).exp()).sum()).collect();
    let total: f64 = weights.iter().sum();
    // The weight of a point is spread evenly from the middle between it and the one before to that between it and the next.
    let quantile = |share: f64| {
        let mut below = 0.0;
        for (point, weight) in weights.iter().enumerate() {
            if below + weight >= share * total {
                return at(point) + GRID_DB * ((share * total - below) / weight - 0.5);
            }
            below += weight;
        }
        at(points)
    };
    let on_ladder = |level: f64| Some(level).filter(|level| (lowest..=highest).contains(level));
    let median = quantile(0.5);
    let place = if median < lowest {
        Place::Below
    } else if median > highest {
        Place::Above
    } else {
        Place::Within
    };
    // An end of the interval on the other side of the ladder says no more than that end of the ladder.
    let threshold = Threshold {
        esr_db: on_ladder(median),
        lower_db: on_ladder(quantile(TAIL).min(highest)),
        upper_db: on_ladder(quantile(1.0 - TAIL).max(lowest)),
    };
    Some((threshold, place))
}

/// Mean of the levels at the reversals of a track, without those before the steps are small, in pairs, in dB: the estimate that
/// staircases are often given with. None if there is no such pair.
#[must_use]
pub fn reversal_mean(levels_db: &[f64], track: &Track) -> Option<f64> {
    let turned: Vec<f64> = track
        .reversals
        .iter()
        .filter_map(|trial| levels_db.get(*track.rungs.get((*trial as usize).checked_sub(1)?)? as usize).copied())
        .collect();
    let used = turned.get(STEP_REVERSALS[1]..)?;
    let used = &used[used.len() % 2..];
    (!used.is_empty()).then(|| used.iter().sum::<f64>() / used.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_is_the_share_at_the_threshold_whatever_the_spread() {
        for spread in SPREADS_DB {
            assert!((share_right(-40.0, -40.0, spread) - TARGET).abs() < 1e-12);
            assert!((share_right(-40.0 - 100.0 * spread, -40.0, spread) - 0.5).abs() < 1e-12);
            assert!((share_right(-40.0 + 100.0 * spread, -40.0, spread) - (1.0 - LAPSES)).abs() < 1e-12);
        }
        // Up and down are as likely there.
        assert!((UP as f64 * (1.0 - TARGET) - TARGET).abs() < 1e-12);
    }

    #[test]
    fn without_answers_or_levels_there_is_no_threshold() {
        assert_eq!(threshold(&[], [(0, true)]), None);
        assert_eq!(threshold(&[-40.0, -39.0], []), None);
        assert_eq!(threshold(&[-40.0, -39.0], [(2, true)]), None);
        assert_eq!(threshold(&[f64::NAN, -39.0], [(1, true)]), None);
    }
}
