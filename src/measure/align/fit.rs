//! The fit of delay and drift: the smallest squared error between a reference and the moved test.

use std::ops::Range;

use super::super::sinc::{Interpolator, SLOPE_REACH, slope};
use super::search::MAX_DRIFT;
use crate::audio::Audio;

/// Frames of a segment at most.
const SEGMENT_FRAMES: usize = 8192;
/// Segments into which a sound is cut at least, for the standard errors.
const FEWEST_SEGMENTS: usize = 16;
/// Frames of a segment at least.
const SEGMENT_MIN_FRAMES: usize = 32;
/// Slots of time from each of which the loudest segment counts. Their number bounds the time that a fit takes.
const SLOTS: usize = 48;
/// Steps of the iteration at most; three are usual.
const MOST_STEPS: usize = 16;
/// Change of the delay at any frame, in frames, that ends the iteration. What is left is its square, or a hundredth of it where the
/// sounds differ much.
const SMALL_STEP: f64 = 1e-4;
/// Largest change of the delay in one step, in frames.
const MAX_STEP: f64 = 2.0;
/// Variance in squared frames of where a sound has its curvature, from which it shows a drift.
const LEAST_SPREAD: f64 = 1.0;

/// Position in the test of a frame of the reference: `delay + (1 + drift) frame`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Line {
    pub delay: f64,
    pub drift: f64,
}

/// The best line, its standard errors, and the level at it.
#[derive(Clone, Debug)]
pub(super) struct Fit {
    pub delay: f64,
    pub delay_error: f64,
    pub drift: f64,
    /// Infinite if the sound shows no drift, as a single hit.
    pub drift_error: f64,
    /// Factor from the reference to the test; negative if the polarity is inverted.
    pub gain: f64,
    /// Magnitude of the correlation coefficient.
    pub correlation: f64,
}

/// Sums over a segment and all channels.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    /// Middle frame.
    middle: f64,
    count: f64,
    /// Of the reference r, the moved test y, and their slopes s and d: sums, and sums of products.
    r: f64,
    y: f64,
    rr: f64,
    ry: f64,
    yy: f64,
    rd: f64,
    yd: f64,
    d: f64,
    sd: f64,
}

impl Fit {
    /// The fit with a drift and the fit without one, from a line that is right within a lobe of the correlation.
    pub fn of(reference: &Audio, test: &Audio, start: Line) -> (Self, Self) {
        let segments = segments(reference, super::overlap(start.delay, 1.0 + start.drift, reference.frames(), test.frames()));
        let mut work = Work::new(reference, test, &segments);
        let drifting = work.iterate(start, true);
        // Without a drift, the delay of the middle of the sound is nearest.
        let middle = segments.iter().map(|s| (s.start + s.end) as f64 / 2.0).sum::<f64>() / segments.len().max(1) as f64;
        let constant = work.iterate(Line { delay: start.delay + start.drift * middle, drift: 0.0 }, false);
        (drifting, constant)
    }

    /// The frames of the reference at whose time the test has sound.
    pub fn overlap(&self, reference: &Audio, test: &Audio) -> Range<usize> {
        super::overlap(self.delay, 1.0 + self.drift, reference.frames(), test.frames())
    }
}

/// The loudest segment of each slot of time within `overlap`.
fn segments(reference: &Audio, overlap: Range<usize>) -> Vec<Range<usize>> {
    let frames = overlap.len();
    let length = (frames / FEWEST_SEGMENTS).clamp(SEGMENT_MIN_FRAMES, SEGMENT_FRAMES);
    let count = frames / length;
    let energy = |segment: &Range<usize>| -> f64 {
        reference.iter().flat_map(|channel| &channel[segment.clone()]).map(|x| f64::from(x * x)).sum()
    };
    let slots = count.min(SLOTS);
    (0..slots)
        .filter_map(|slot| {
            let candidates = (slot * count / slots..(slot + 1) * count / slots)
                .map(|i| overlap.start + i * length..overlap.start + (i + 1) * length);
            candidates.map(|s| (energy(&s), s)).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, segment)| segment)
        })
        .collect()
}

/// The sounds, and the memory of the iteration.
struct Work<'a> {
    reference: &'a Audio,
    test: &'a Audio,
    segments: &'a [Range<usize>],
    interpolator: Interpolator,
    moved: Vec<f32>,
    slopes: Vec<f32>,
    /// The reference with the frames around the segment, and its slopes.
    still: Vec<f32>,
    reference_slopes: Vec<f32>,
}

impl<'a> Work<'a> {
    fn new(reference: &'a Audio, test: &'a Audio, segments: &'a [Range<usize>]) -> Self {
        let [moved, slopes, still, reference_slopes] = [const { Vec::new() }; 4];
        Self { reference, test, segments, interpolator: Interpolator::new(), moved, slopes, still, reference_slopes }
    }

    /// The sums of a segment at a line.
    fn sums(&mut self, segment: &Range<usize>, line: Line) -> Sums {
        let frames = segment.len();
        let mut sums = Sums { middle: (segment.start + segment.end) as f64 / 2.0, ..Sums::default() };
        self.moved.resize(frames + 2 * SLOPE_REACH - 1, 0.0);
        self.still.resize(frames + 2 * SLOPE_REACH - 1, 0.0);
        self.slopes.resize(frames, 0.0);
        self.reference_slopes.resize(frames, 0.0);
        let step = 1.0 + line.drift;
        let start = line.delay + (segment.start as f64 - SLOPE_REACH as f64) * step;
        for (reference, test) in self.reference.iter().zip(self.test.iter()) {
            self.interpolator.read(test, start, step, &mut self.moved);
            slope(&self.moved, &mut self.slopes);
            self.interpolator.read(reference, segment.start as f64 - SLOPE_REACH as f64, 1.0, &mut self.still);
            slope(&self.still, &mut self.reference_slopes);
            let slopes = self.reference_slopes.iter().zip(&self.slopes);
            for ((r, y), (s, d)) in reference[segment.clone()].iter().zip(&self.moved[SLOPE_REACH..]).zip(slopes) {
                let (r, y, s, d) = (f64::from(*r), f64::from(*y), f64::from(*s), f64::from(*d));
                sums.r += r;
                sums.y += y;
                sums.d += d;
                sums.rr += r * r;
                sums.ry += r * y;
                sums.yy += y * y;
                sums.rd += r * d;
                sums.yd += y * d;
                sums.sd += s * d;
            }
            sums.count += frames as f64;
        }
        sums
    }

    /// Gauss and Newton's iteration for the line with the smallest sum of (r - g y - c)^2, where gain g and offset c are the
    /// best for each line.
    fn iterate(&mut self, mut line: Line, with_drift: bool) -> Fit {
        let segments = self.segments;
        let mut parts: Vec<Sums> = Vec::with_capacity(segments.len());
        for step in 1.. {
            parts.clear();
            for segment in segments {
                let sums = self.sums(segment, line);
                parts.push(sums);
            }
            let level = Level::of(&parts);
            let change = Change::of(&parts, level, with_drift);
            if change.at_middle.is_finite() {
                let drift = (line.drift + change.drift).clamp(-MAX_DRIFT, MAX_DRIFT);
                line.delay += change.at_middle.clamp(-MAX_STEP, MAX_STEP) - (drift - line.drift) * change.middle;
                line.drift = drift;
            }
            // The ends of the sound are no further from the middle than twice the middle from the first frame.
            let largest = change.at_middle.abs() + 2.0 * change.drift.abs() * change.middle;
            if step == MOST_STEPS || largest <= SMALL_STEP || !largest.is_finite() {
                let Level { inverse_gain, correlation, .. } = level;
                let gain = if inverse_gain == 0.0 { 0.0 } else { 1.0 / inverse_gain };
                let (delay_error, drift_error) = (change.delay_error, change.drift_error);
                let Line { delay, drift } = line;
                return Fit { delay, delay_error, drift, drift_error, gain, correlation };
            }
        }
        unreachable!("the iteration ends after MOST_STEPS")
    }
}

/// Gain and offset from the moved test to the reference.
#[derive(Clone, Copy, Debug)]
struct Level {
    inverse_gain: f64,
    offset: f64,
    correlation: f64,
}

impl Level {
    fn of(parts: &[Sums]) -> Self {
        let sum = |of: fn(&Sums) -> f64| parts.iter().map(of).sum::<f64>();
        let count = sum(|s| s.count).max(1.0);
        let (r, y) = (sum(|s| s.r) / count, sum(|s| s.y) / count);
        let both = sum(|s| s.ry) / count - r * y;
        let (left, right) = (sum(|s| s.rr) / count - r * r, sum(|s| s.yy) / count - y * y);
        let inverse_gain = if right > 0.0 { both / right } else { 0.0 };
        // A side that is silent in all segments correlates with nothing.
        let correlation = if left * right > 0.0 { (both.abs() / (left * right).sqrt()).min(1.0) } else { 0.0 };
        Self { inverse_gain, offset: r - inverse_gain * y, correlation }
    }
}

/// The change of a line towards the best one.
#[derive(Clone, Copy, Debug)]
struct Change {
    /// The weighted middle frame, where delay and drift are independent.
    middle: f64,
    at_middle: f64,
    drift: f64,
    /// Standard error of the delay: at the first frame with a drift, at all frames without one.
    delay_error: f64,
    drift_error: f64,
}

impl Change {
    /// Newton's step. With e = r - g y - c, a segment has the slope sum e g d and the curvature sum s g d, where s is the
    /// reference's slope and d the test's: unlike sum (g d)^2, their product has no noise of the test in it. The change of all
    /// is the line of the segments' own changes, slope / curvature, weighted by curvature. Its standard errors come from how the
    /// segments lie around it (White, Econometrica 1980), whatever the error of the sounds is like.
    fn of(parts: &[Sums], level: Level, with_drift: bool) -> Self {
        let Level { inverse_gain: g, offset: c, .. } = level;
        let each: Vec<(f64, f64, f64)> = parts.iter().map(|s| (s.middle, g * s.sd, g * (s.rd - g * s.yd - c * s.d))).collect();
        let curvature: f64 = each.iter().map(|(_, curvature, _)| curvature).sum();
        let mean = |of: &dyn Fn(f64, f64, f64) -> f64| {
            each.iter().map(|(at, curvature, slope)| of(*at, *curvature, *slope)).sum::<f64>() / curvature
        };
        let middle = mean(&|at, curvature, _| at * curvature);
        let at_middle = mean(&|_, _, slope| slope);
        let spread = mean(&|at, curvature, _| curvature * (at - middle) * (at - middle));
        let shows_drift = spread >= LEAST_SPREAD;
        let drift = if with_drift && shows_drift { mean(&|at, _, slope| (at - middle) * slope) / spread } else { 0.0 };
        let unknowns = if with_drift { 2.0 } else { 1.0 };
        let count = each.len() as f64;
        let correction = if count > unknowns { count / (count - unknowns) } else { f64::INFINITY };
        let squares = |of: &dyn Fn(f64) -> f64| {
            let sum = |(at, curvature, slope): &(f64, f64, f64)| {
                (of(*at) * (slope - curvature * (at_middle + drift * (at - middle)))).powi(2)
            };
            (each.iter().map(sum).sum::<f64>() * correction).sqrt() / curvature
        };
        let middle_error = squares(&|_| 1.0);
        let drift_error = if shows_drift { squares(&|at| (at - middle) / spread) } else { f64::INFINITY };
        let delay_error = if with_drift { middle_error.hypot(drift_error * middle) } else { middle_error };
        Self { middle, at_middle, drift, delay_error, drift_error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::generate;

    #[test]
    fn a_side_that_is_silent_in_all_segments_correlates_with_nothing() {
        let sums = Sums { count: 100.0, rr: 1.0, ..Sums::default() };
        assert_eq!(Level::of(&[sums]).correlation, 0.0);
        assert_eq!(Level::of(&[Sums { rr: 0.0, yy: 1.0, ..sums }]).correlation, 0.0);
        assert_eq!(Level::of(&[Sums { yy: 1.0, ry: -1.0, ..sums }]).correlation, 1.0);
    }

    #[test]
    fn a_drift_stays_within_what_is_looked_for() {
        // Sounds that have nothing in common send the iteration anywhere.
        for seed in 0..10 {
            let [left, right] = [2 * seed, 2 * seed + 1].map(|seed| generate::white(48_000, 0.3, 20_000, seed).unwrap());
            let (fit, _) = Fit::of(&left, &right, Line { delay: 0.0, drift: 0.0 });
            assert!(fit.drift.abs() <= MAX_DRIFT, "{fit:?}");
        }
    }
}
