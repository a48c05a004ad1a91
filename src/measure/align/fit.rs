//! The fit of delay and drift: the smallest squared error between a reference and the moved test. A second fit after pre-emphasis
//! tells if only the bass has that delay, as where one side has a high-pass: then the delay of the rest counts.

use std::ops::Range;

use super::super::sinc::{Interpolator, SLOPE_REACH, slope};
use super::super::spectrum::decibels;
use super::search::{MAX_DRIFT, PRE_EMPHASIS};
use crate::audio::Audio;

/// Frames of a segment at most.
const SEGMENT_FRAMES: usize = 8192;
/// Segments into which a sound is cut at least, for the standard errors.
const FEWEST_SEGMENTS: usize = 16;
/// Frames of a segment at least.
const SEGMENT_MIN_FRAMES: usize = 32;
/// Slots of time from each of which the loudest segment counts. Their number bounds the time that a fit takes.
const SLOTS: usize = 48;
/// Slots and frames of a segment of a short fit, which tells candidates apart.
const SHORT_SLOTS: usize = 12;
const SHORT_SEGMENT_FRAMES: usize = 2048;
/// Null in dB below which no two fits differ: the error of the interpolation.
const NULL_FLOOR_DB: f64 = -90.0;
/// Standard errors from which the delay after pre-emphasis is another one.
const OTHER_ERRORS: f64 = 3.0;
/// Frames by which it lies off the plain one at most: further off is another lobe.
const MOST_OFF: f64 = 1.0;
/// Decibels by which it makes the null after pre-emphasis better at least.
const LEAST_GAIN_DB: f64 = 0.1;
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
    /// Error at the best gain and offset, against the reference, in dB, -90 or more.
    pub null_db: f64,
    /// Error in dB, as in `null_db`, at the line from which the fit began.
    start_null_db: f64,
}

/// Sums over a segment and all channels.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    /// Middle frame.
    middle: f64,
    moments: Moments,
    /// Of the reference r, the moved test y, and their slopes s and d: sums, and sums of products.
    rd: f64,
    yd: f64,
    d: f64,
    sd: f64,
}

/// Sums of a reference r and a moved test y, and of their products.
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    count: f64,
    r: f64,
    y: f64,
    rr: f64,
    ry: f64,
    yy: f64,
}

impl Moments {
    fn add(&mut self, r: f64, y: f64) {
        self.r += r;
        self.y += y;
        self.rr += r * r;
        self.ry += r * y;
        self.yy += y * y;
    }
}

impl Fit {
    /// The fit from a line that is right within a lobe of the correlation, with or without a drift.
    pub fn of(reference: &Audio, test: &Audio, start: Line, with_drift: bool) -> Self {
        let overlap = super::overlap(start.delay, 1.0 + start.drift, reference.frames(), test.frames());
        let segments = segments(reference, overlap, SLOTS, SEGMENT_FRAMES);
        Work::new(reference, test, Weight::Plain).iterate(&segments, start, with_drift)
    }

    /// The fit of a constant delay: that of the sound after pre-emphasis, if it is surely another one, and makes the null after
    /// pre-emphasis better by more than the plain null gets worse; else the plain one.
    pub fn constant(reference: &Audio, test: &Audio, start: Line) -> Self {
        let plain = Self::of(reference, test, start, false);
        let segments = segments(reference, plain.overlap(reference, test), SLOTS, SEGMENT_FRAMES);
        let treble = Work::new(reference, test, Weight::Emphasised).iterate(&segments, plain.line(), false);
        let off = (treble.delay - plain.delay).abs();
        if off <= OTHER_ERRORS * treble.delay_error.max(plain.delay_error) || off > MOST_OFF {
            return plain;
        }
        let loss_db = Work::new(reference, test, Weight::Plain).null_db(&segments, treble.line()) - plain.null_db;
        if treble.start_null_db - treble.null_db < loss_db.max(LEAST_GAIN_DB) {
            return plain;
        }
        Self { delay: treble.delay, delay_error: treble.delay_error, ..plain }
    }

    /// The line of the fit.
    pub fn line(&self) -> Line {
        Line { delay: self.delay, drift: self.drift }
    }

    /// The frames of the reference at whose time the test has sound.
    pub fn overlap(&self, reference: &Audio, test: &Audio) -> Range<usize> {
        super::overlap(self.delay, 1.0 + self.drift, reference.frames(), test.frames())
    }
}

/// Fits on a few short segments of the reference, which tell candidates apart.
pub(super) struct ShortFit<'a> {
    work: Work<'a>,
    segments: Vec<Range<usize>>,
}

impl<'a> ShortFit<'a> {
    pub fn new(reference: &'a Audio, test: &'a Audio) -> Self {
        let segments = segments(reference, 0..reference.frames(), SHORT_SLOTS, SHORT_SEGMENT_FRAMES);
        Self { work: Work::new(reference, test, Weight::Plain), segments }
    }

    /// The fit from a line, on the segments at whose time the test has sound.
    pub fn of(&mut self, start: Line, with_drift: bool) -> Fit {
        let (reference, test) = (self.work.reference, self.work.test);
        let overlap = super::overlap(start.delay, 1.0 + start.drift, reference.frames(), test.frames());
        let is_inside = |segment: &&Range<usize>| overlap.start <= segment.start && segment.end <= overlap.end;
        let mut inside: Vec<Range<usize>> = self.segments.iter().filter(is_inside).cloned().collect();
        if 2 * inside.len() < self.segments.len() {
            inside = segments(reference, overlap, SHORT_SLOTS, SHORT_SEGMENT_FRAMES);
        }
        self.work.iterate(&inside, start, with_drift)
    }
}

/// The loudest segment of each of at most `most_slots` slots of time within `overlap`.
fn segments(reference: &Audio, overlap: Range<usize>, most_slots: usize, most_frames: usize) -> Vec<Range<usize>> {
    let frames = overlap.len();
    let length = (frames / FEWEST_SEGMENTS).clamp(SEGMENT_MIN_FRAMES, most_frames);
    let count = frames / length;
    let energy = |segment: &Range<usize>| -> f64 {
        reference.iter().flat_map(|channel| &channel[segment.clone()]).map(|x| f64::from(x * x)).sum()
    };
    let slots = count.min(most_slots);
    (0..slots)
        .filter_map(|slot| {
            let candidates = (slot * count / slots..(slot + 1) * count / slots)
                .map(|i| overlap.start + i * length..overlap.start + (i + 1) * length);
            candidates.map(|s| (energy(&s), s)).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, segment)| segment)
        })
        .collect()
}

/// Makes each sample but the last the next one less [`PRE_EMPHASIS`] of its own.
fn emphasise(x: &mut [f32]) {
    for i in 1..x.len() {
        x[i - 1] = x[i] - PRE_EMPHASIS * x[i - 1];
    }
}

/// The sounds that a fit compares: as they are, or after pre-emphasis.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Weight {
    Plain,
    Emphasised,
}

/// The sounds, and the memory of the iteration.
struct Work<'a> {
    reference: &'a Audio,
    test: &'a Audio,
    weight: Weight,
    interpolator: Interpolator,
    /// The moved test with the frames around the segment, and its slopes.
    moved: Vec<f32>,
    slopes: Vec<f32>,
    /// Samples of the reference likewise.
    still: Vec<f32>,
    reference_slopes: Vec<f32>,
}

impl<'a> Work<'a> {
    fn new(reference: &'a Audio, test: &'a Audio, weight: Weight) -> Self {
        let [moved, slopes, still, reference_slopes] = [const { Vec::new() }; 4];
        Self { reference, test, weight, interpolator: Interpolator::new(), moved, slopes, still, reference_slopes }
    }

    /// The sums of a segment at a line.
    fn sums(&mut self, segment: &Range<usize>, line: Line) -> Sums {
        let frames = segment.len();
        let mut sums = Sums { middle: (segment.start + segment.end) as f64 / 2.0, ..Sums::default() };
        // One frame more for the pre-emphasis, which leaves the last one free.
        self.moved.resize(frames + 2 * SLOPE_REACH, 0.0);
        self.still.resize(frames + 2 * SLOPE_REACH, 0.0);
        self.slopes.resize(frames, 0.0);
        self.reference_slopes.resize(frames, 0.0);
        let step = 1.0 + line.drift;
        let earlier = SLOPE_REACH + usize::from(self.weight == Weight::Emphasised);
        let first = segment.start as f64 - earlier as f64;
        for (reference, test) in self.reference.iter().zip(self.test.iter()) {
            self.interpolator.read(test, line.delay + first * step, step, &mut self.moved);
            self.interpolator.read(reference, first, 1.0, &mut self.still);
            if self.weight == Weight::Emphasised {
                emphasise(&mut self.moved);
                emphasise(&mut self.still);
            }
            let length = frames + 2 * SLOPE_REACH - 1;
            slope(&self.moved[..length], &mut self.slopes);
            slope(&self.still[..length], &mut self.reference_slopes);
            let slopes = self.reference_slopes.iter().zip(&self.slopes);
            for ((r, y), (s, d)) in self.still[SLOPE_REACH..].iter().zip(&self.moved[SLOPE_REACH..]).zip(slopes) {
                let (r, y, s, d) = (f64::from(*r), f64::from(*y), f64::from(*s), f64::from(*d));
                sums.moments.add(r, y);
                sums.d += d;
                sums.rd += r * d;
                sums.yd += y * d;
                sums.sd += s * d;
            }
            sums.moments.count += frames as f64;
        }
        sums
    }

    /// The null of a line in dB.
    fn null_db(&mut self, segments: &[Range<usize>], line: Line) -> f64 {
        Level::of(segments.iter().map(|segment| self.sums(segment, line).moments)).null_db()
    }

    /// Gauss and Newton's iteration for the line with the smallest sum of (r - g y - c)^2, where gain g and offset c are the
    /// best for each line.
    fn iterate(&mut self, segments: &[Range<usize>], mut line: Line, with_drift: bool) -> Fit {
        let mut parts: Vec<Sums> = Vec::with_capacity(segments.len());
        let mut start_null_db = 0.0;
        for step in 1.. {
            parts.clear();
            for segment in segments {
                let sums = self.sums(segment, line);
                parts.push(sums);
            }
            let level = Level::of(parts.iter().map(|part| part.moments));
            if step == 1 {
                start_null_db = level.null_db();
            }
            let change = Change::of(&parts, level, with_drift);
            if change.at_middle.is_finite() {
                let drift = (line.drift + change.drift).clamp(-MAX_DRIFT, MAX_DRIFT);
                line.delay += change.at_middle.clamp(-MAX_STEP, MAX_STEP) - (drift - line.drift) * change.middle;
                line.drift = drift;
            }
            // The ends of the sound are no further from the middle than twice the middle from the first frame.
            let largest = change.at_middle.abs() + 2.0 * change.drift.abs() * change.middle;
            if step == MOST_STEPS || largest <= SMALL_STEP || !largest.is_finite() {
                let null_db = level.null_db();
                let Level { inverse_gain, correlation, .. } = level;
                let gain = if inverse_gain == 0.0 { 0.0 } else { 1.0 / inverse_gain };
                let (delay_error, drift_error) = (change.delay_error, change.drift_error);
                let Line { delay, drift } = line;
                return Fit { delay, delay_error, drift, drift_error, gain, correlation, null_db, start_null_db };
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
    fn of(parts: impl Iterator<Item = Moments>) -> Self {
        let sum = parts.fold(Moments::default(), |a, b| Moments {
            count: a.count + b.count,
            r: a.r + b.r,
            y: a.y + b.y,
            rr: a.rr + b.rr,
            ry: a.ry + b.ry,
            yy: a.yy + b.yy,
        });
        let count = sum.count.max(1.0);
        let (r, y) = (sum.r / count, sum.y / count);
        let both = sum.ry / count - r * y;
        let (left, right) = (sum.rr / count - r * r, sum.yy / count - y * y);
        let inverse_gain = if right > 0.0 { both / right } else { 0.0 };
        // A side that is silent in all segments correlates with nothing.
        let correlation = if left * right > 0.0 { (both.abs() / (left * right).sqrt()).min(1.0) } else { 0.0 };
        Self { inverse_gain, offset: r - inverse_gain * y, correlation }
    }

    /// The share of the reference that the test does not explain, in dB.
    fn null_db(&self) -> f64 {
        f64::from(decibels(1.0 - self.correlation * self.correlation)).max(NULL_FLOOR_DB)
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
        let level = |moments: Moments| Level::of(std::iter::once(moments));
        let sums = Moments { count: 100.0, rr: 1.0, ..Moments::default() };
        assert_eq!(level(sums).correlation, 0.0);
        assert_eq!(level(Moments { rr: 0.0, yy: 1.0, ..sums }).correlation, 0.0);
        assert_eq!(level(Moments { yy: 1.0, ry: -1.0, ..sums }).correlation, 1.0);
    }

    #[test]
    fn a_drift_stays_within_what_is_looked_for() {
        // Sounds that have nothing in common send the iteration anywhere.
        for seed in 0..10 {
            let [left, right] = [2 * seed, 2 * seed + 1].map(|seed| generate::white(48_000, 0.3, 20_000, seed).unwrap());
            let fit = Fit::of(&left, &right, Line { delay: 0.0, drift: 0.0 }, true);
            assert!(fit.drift.abs() <= MAX_DRIFT, "{fit:?}");
        }
    }
}
