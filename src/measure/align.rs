//! Alignment of two sounds: delay, polarity, gain, DC, and the drift of two clocks.
//!
//! In a sound that is much longer than the other, the passage with the other is found first (`align/passage.rs`). Then there are
//! three steps, each on what the one before has found. *Search* (`align/search.rs`): the correlation of the sounds over all delays,
//! which says whether they have anything in common, and gives the delays that may be right. *Fit* (`align/fit.rs`): of these the
//! delay, and the drift, with the smallest squared error, and their standard errors from parts of the sound.
//! *Level*: the gain that gives both the same loudness.

mod fit;
mod near;
mod passage;
mod search;

use std::convert::Infallible;
use std::ops::Range;

use super::loudness::integrated_loudness;
use super::sinc::{Interpolator, REACH};
use crate::audio::{Audio, AudioError, db_to_gain, gain_to_db};
use fit::{Fit, Line, ShortFit};
pub use near::{NearLag, nearest_lag};
pub use passage::{Passage, find_passage};
use search::Search;

/// The way from a reference to another sound of the same material: the other sound is the reference, `delay_frames` later,
/// `gain_db` louder, perhaps inverted, plus `dc`, plus what an effect has changed.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Alignment {
    /// Frames by which the test is late; negative if it is early. With a drift, those at the reference's first frame. A delay
    /// that is a whole number within twice its uncertainty, which is below 0.05 frames, is that number.
    pub delay_frames: f64,
    /// Standard error of the delay in frames, from how much parts of the sound disagree about it. It is statistical: where an effect
    /// delays some frequencies more than others, all parts may agree on a delay that is none of theirs.
    pub delay_uncertainty_frames: f64,
    /// True if another delay explains the test nearly as well: its null is within 3 dB, the sounds have too few frequencies to
    /// tell, or one that is more than a minute longer has another passage that is like the other sound.
    pub ambiguous: bool,
    /// Second highest lobe of the whitened correlation as a share of the highest, 0 to 1.
    pub second_lobe: f64,
    /// Magnitude of the correlation coefficient of the sounds, after delay and drift are taken away, 0 to 1.
    pub correlation: f64,
    /// True if the polarity is inverted.
    pub inverted: bool,
    /// Gain of the test over the reference in dB, by integrated loudness (BS.1770), or by RMS level where a sound is too short
    /// for a loudness. The loudness is that of both sounds at one RMS level, so that its gate leaves the same pauses out of both.
    pub gain_db: f64,
    /// DC offset that the test has more than the reference with the test's gain; 1 is full scale.
    pub dc: f64,
    /// Millionths by which the test runs slower than the reference: its sounds come later and later. `None` if the sounds are
    /// shorter than a second, or sound only once, so that a delay is all that they show; also if one clock made both.
    pub drift_ppm: Option<f64>,
    /// Standard error of the drift in millionths.
    pub drift_uncertainty_ppm: Option<f64>,
    /// True if the drift is more than three standard errors, moves the end of the sound by a tenth of a frame or more, and makes the
    /// null 6 dB better than a constant delay does. Only then it is corrected.
    pub is_drifting: bool,
}

/// A failure to align two sounds.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AlignError {
    /// A sound that is silent, or constant.
    #[error("expected sound on both sides, found silence in the {side}")]
    Silent {
        /// `reference` or `test`.
        side: &'static str,
    },
    /// Different sample rates.
    #[error("expected two sounds of one sample rate, found {reference} Hz and {test} Hz")]
    OtherRate {
        /// Sample rate of the reference in Hz.
        reference: u32,
        /// Sample rate of the test in Hz.
        test: u32,
    },
    /// Different numbers of channels.
    #[error("expected two sounds with equally many channels, found {reference} and {test}")]
    OtherChannels {
        /// Channels of the reference.
        reference: usize,
        /// Channels of the test.
        test: usize,
    },
    /// Sounds that do not correlate at any delay.
    #[error(
        "expected the same sound on both sides, found nothing in common: their correlation is {correlation:.3}, as that of noise"
    )]
    NothingInCommon {
        /// Magnitude of the correlation coefficient at the best delay.
        correlation: f64,
    },
    /// A sound, or what both have at the same time, is too short.
    #[error("expected {expected} frames or more to align, found {found}")]
    TooShort {
        /// Frames that were found.
        found: usize,
        /// Frames that are needed.
        expected: usize,
    },
    /// A NaN or an infinity.
    #[error("the {side}: {source}")]
    NotFinite {
        /// `reference` or `test`.
        side: &'static str,
        /// The first such sample.
        source: AudioError,
    },
}

/// Fewest frames that can be aligned.
const FEWEST_FRAMES: usize = 512;
/// Difference of the lengths in seconds above which the passage with the shorter sound is found first: the memory of the search
/// over all delays grows with it, to 0.3 GB at 96 kHz.
const LONG_SECONDS: f64 = 60.0;
/// Largest ratio of the correlations at two delays at which the second is close (TONE3000's survey of captures).
const CLOSE_LOBE: f64 = 1.1;
/// Decibels by which another delay's null is worse at most for the delay to be ambiguous.
const CLOSE_DB: f64 = 3.0;
/// Decibels within which two nulls are equal.
const EQUAL_DB: f64 = 0.1;
/// Neighbouring lobes to either side that are tried as long as they are better.
const MOST_NEIGHBOURS: usize = 32;
/// Frames within which two fits have found the same delay.
const SAME_FRAMES: f64 = 0.5;
/// Correlation coefficient from which sounds have something in common, however few frequencies they have.
const SURE_CORRELATION: f64 = 0.5;
/// Correlation coefficient below which sounds have nothing in common, even if parts of them, such as their beginnings, do.
const FAINT_CORRELATION: f64 = 0.05;
/// Shortest sound in seconds of which a drift is reported.
const DRIFT_SECONDS: f64 = 1.0;
/// Standard errors from which a drift is no chance.
const SURE_DRIFT: f64 = 3.0;
/// Frames that a drift moves the end of the sound at least.
const LEAST_DRIFT_FRAMES: f64 = 0.1;
/// Decibels by which a drift makes the null better at least. An effect whose delay depends on frequency seems to drift, too, while a
/// sweep plays, but a line then fits little better.
const LEAST_DRIFT_DB: f64 = 6.0;
/// Standard errors within which a delay counts as a whole number.
const WHOLE_ERRORS: f64 = 2.0;
/// Standard error of a delay in frames from which it is too uncertain to be called a whole number.
const MOST_WHOLE_ERROR: f64 = 0.05;
/// Frames within which a delay counts as a whole number in any case: the rounding of the fit.
const WHOLE_FRAMES: f64 = 1e-6;
/// RMS level at which the loudness of both sounds is metered: -20 dBFS, 50 dB above the absolute gate.
const METER_RMS: f64 = 0.1;
/// Samples for which [`Alignment::apply`] reads at a time.
const CHUNK_FRAMES: usize = 1 << 14;

/// Measures how `test` lies to `reference`. Both may begin and end with other frames: delays up to 1.5 s, and by the difference
/// of the lengths more, are looked for. In a sound that is more than a minute longer than the other, the other is looked for from its
/// loudest part. Equal sounds give [`Alignment::NONE`] with a correlation of 1, and sounds that only
/// differ by a whole delay come out equal. [control thread: allocates, takes its time]
///
/// # Errors
/// [`AlignError`]: other rate or channels, NaN, silence, too short, or nothing in common.
pub fn align(reference: &Audio, test: &Audio) -> Result<Alignment, AlignError> {
    align_clocks(reference, test, Clocks::Two)
}

/// Measures how `test` lies to `reference` as [`align`] does, if one clock made both, as where effects have processed one sound:
/// no drift is looked for. [control thread: allocates, takes its time]
///
/// # Errors
/// The errors of [`align`].
pub fn align_synchronous(reference: &Audio, test: &Audio) -> Result<Alignment, AlignError> {
    align_clocks(reference, test, Clocks::One)
}

/// The clocks that made two sounds.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Clocks {
    One,
    Two,
}

fn align_clocks(reference: &Audio, test: &Audio, clocks: Clocks) -> Result<Alignment, AlignError> {
    check(reference, test)?;
    if reference == test {
        return Ok(Alignment { correlation: 1.0, ..Alignment::NONE });
    }
    if is_long(test.frames(), reference) {
        let passage = passage_in(reference, test);
        return Ok(align_clocks(reference, &part(test, &passage), clocks)?.of_whole(None, Some(&passage)));
    }
    if is_long(reference.frames(), test) {
        let passage = passage_in(test, reference);
        return Ok(align_clocks(&part(reference, &passage), test, clocks)?.of_whole(Some(&passage), None));
    }
    let search = Search::of(reference, test, clocks == Clocks::Two);
    let mut short = ShortFit::new(reference, test);
    let Choice { line, is_ambiguous } = Choice::of(&search, &mut short);
    let constant = Fit::constant(reference, test, line);
    // The drift of one clock is none.
    let drifting = (clocks == Clocks::Two).then(|| {
        let starts = [Some(constant.line()), search.drifting()].into_iter().flatten();
        let fits = starts.map(|start| short.of(start, true));
        let best = fits.min_by(|a, b| a.null_db.total_cmp(&b.null_db)).expect("the constant delay is a start");
        Fit::of(reference, test, best.line(), true)
    });
    let shared = drifting.as_ref().map_or(constant.overlap(reference, test), |fit| fit.overlap(reference, test));
    let correlation = drifting.as_ref().map_or(0.0, |fit| fit.correlation).max(constant.correlation);
    if correlation < if search.is_sharp() { FAINT_CORRELATION } else { SURE_CORRELATION } {
        return Err(AlignError::NothingInCommon { correlation });
    }
    if shared.len() < FEWEST_FRAMES {
        return Err(AlignError::TooShort { found: shared.len(), expected: FEWEST_FRAMES });
    }
    let is_long = shared.len() as f64 >= DRIFT_SECONDS * f64::from(reference.sample_rate());
    let drifting = drifting.filter(|fit| is_long && fit.drift_error.is_finite());
    let (drift, drift_error) = (drifting.as_ref().map(|fit| fit.drift), drifting.as_ref().map(|fit| fit.drift_error));
    let drifting = drifting.filter(|fit| {
        let is_sure = fit.drift.abs() > SURE_DRIFT * fit.drift_error;
        is_sure && fit.drift.abs() * shared.len() as f64 >= LEAST_DRIFT_FRAMES && fit.null_db <= constant.null_db - LEAST_DRIFT_DB
    });
    let is_drifting = drifting.is_some();
    let fit = drifting.unwrap_or(constant);
    let whole = fit.delay.round();
    let near = if fit.delay_error < MOST_WHOLE_ERROR { f64::max(WHOLE_FRAMES, WHOLE_ERRORS * fit.delay_error) } else { 0.0 };
    let is_whole = (fit.delay - whole).abs() <= near;
    // Adding zero makes -0 a plain 0.
    let delay_frames = if is_whole && !is_drifting { whole + 0.0 } else { fit.delay };
    let shared = fit.overlap(reference, test);
    let levels = Levels::of(reference, test, &shared, delay_frames, fit.gain);
    Ok(Alignment {
        delay_frames,
        delay_uncertainty_frames: fit.delay_error,
        ambiguous: is_ambiguous && !is_drifting || !search.is_sharp(),
        second_lobe: search.second_lobe(),
        correlation: fit.correlation,
        drift_ppm: drift.map(|drift| drift * 1e6),
        drift_uncertainty_ppm: drift_error.map(|error| error * 1e6),
        is_drifting,
        ..levels.alignment(fit.gain < 0.0)
    })
}

/// Polarity, gain and DC of a test that is not moved: an [`Alignment`] without a delay. [control thread: allocates]
///
/// # Errors
/// The errors of [`align`], except that the sounds may have nothing in common.
pub fn align_levels(reference: &Audio, test: &Audio) -> Result<Alignment, AlignError> {
    check(reference, test)?;
    let shared = 0..reference.frames().min(test.frames());
    let (mut count, mut left, mut right, mut both, mut squares) = (0.0, 0.0, 0.0, 0.0, [0.0; 2]);
    for (reference, test) in reference.iter().zip(test.iter()) {
        for (r, y) in reference.iter().zip(test) {
            let (r, y) = (f64::from(*r), f64::from(*y));
            left += r;
            right += y;
            both += r * y;
            squares[0] += r * r;
            squares[1] += y * y;
        }
        count += shared.len() as f64;
    }
    let covariance = both - left * right / count;
    let variances = [squares[0] - left * left / count, squares[1] - right * right / count];
    let gain = if variances[0] > 0.0 { covariance / variances[0] } else { 0.0 };
    let scale = (variances[0] * variances[1]).sqrt();
    let correlation = if scale > 0.0 { (covariance.abs() / scale).min(1.0) } else { 0.0 };
    let levels = Levels::of(reference, test, &shared, 0.0, gain);
    Ok(Alignment { correlation, ..levels.alignment(gain < 0.0) })
}

/// The constant delay of those that the search has found.
struct Choice {
    line: Line,
    /// True if another one's null is nearly as good.
    is_ambiguous: bool,
}

impl Choice {
    /// The delay with the best null. Of equal ones it is one that does not turn the polarity over, then the smallest.
    fn of(search: &Search, short: &mut ShortFit<'_>) -> Self {
        let none = Line { delay: 0.0, drift: 0.0 };
        let mut fits: Vec<Fit> = search.constant().iter().chain([&none]).map(|line| short.of(*line, false)).collect();
        // A periodic sound has more lobes than candidates: from the best one, and from no delay, on to better neighbours.
        if let Some(spacing) = search.spacing() {
            let best = fits.iter().min_by(|a, b| a.null_db.total_cmp(&b.null_db)).cloned();
            let starts: Vec<Fit> = best.into_iter().chain(fits.last().cloned()).collect();
            for (start, side) in starts.iter().flat_map(|start| [(start, -spacing), (start, spacing)]) {
                let mut from = start.clone();
                for _ in 0..MOST_NEIGHBOURS {
                    let next = short.of(Line { delay: from.delay + side, drift: 0.0 }, false);
                    fits.push(next.clone());
                    if next.null_db > from.null_db - EQUAL_DB {
                        break;
                    }
                    from = next;
                }
            }
        }
        let best_db = fits.iter().map(|fit| fit.null_db).fold(f64::INFINITY, f64::min);
        let equal = fits.iter().filter(|fit| fit.null_db <= best_db + EQUAL_DB);
        let order = |a: &&Fit, b: &&Fit| (a.gain < 0.0).cmp(&(b.gain < 0.0)).then(a.delay.abs().total_cmp(&b.delay.abs()));
        let best = equal.min_by(order).expect("no delay is a candidate");
        let is_close = |fit: &Fit| {
            (fit.delay - best.delay).abs() > SAME_FRAMES
                && fit.null_db <= best.null_db + CLOSE_DB
                && fit.correlation * CLOSE_LOBE >= best.correlation
        };
        Self { line: best.line(), is_ambiguous: fits.iter().any(is_close) }
    }
}

/// True if a sound of `frames` frames is so much longer than another that the passage with the other is found first.
pub(crate) fn is_long(frames: usize, other: &Audio) -> bool {
    frames.saturating_sub(other.frames()) as f64 > LONG_SECONDS * f64::from(other.sample_rate())
}

/// The passage with a sound in a longer one that lies in memory.
fn passage_in(sound: &Audio, long: &Audio) -> Passage {
    let read = |at: usize, piece: &mut Audio| -> Result<(), Infallible> {
        *piece = long.slice(at..at + piece.frames()).expect("the piece lies within the sound");
        Ok(())
    };
    let Ok(passage) = find_passage(sound, long.frames(), read);
    passage
}

/// The frames of a passage.
fn part(long: &Audio, passage: &Passage) -> Audio {
    long.slice(passage.frames.clone()).expect("the passage lies within the sound")
}

/// Checks that two sounds can be aligned at all.
fn check(reference: &Audio, test: &Audio) -> Result<(), AlignError> {
    if reference.sample_rate() != test.sample_rate() {
        return Err(AlignError::OtherRate { reference: reference.sample_rate(), test: test.sample_rate() });
    }
    if reference.channels() != test.channels() {
        return Err(AlignError::OtherChannels { reference: reference.channels(), test: test.channels() });
    }
    let found = reference.frames().min(test.frames());
    if found < FEWEST_FRAMES {
        return Err(AlignError::TooShort { found, expected: FEWEST_FRAMES });
    }
    for (side, sound) in [("reference", reference), ("test", test)] {
        sound.check_finite().map_err(|source| AlignError::NotFinite { side, source })?;
        // A constant is silence with a DC offset.
        if sound.iter().all(|channel| channel.iter().all(|x| *x == channel[0])) {
            return Err(AlignError::Silent { side });
        }
    }
    Ok(())
}

/// Levels of two sounds over the frames that both have.
struct Levels {
    /// Gain of the test over the reference in dB.
    gain_db: f64,
    reference_mean: f64,
    test_mean: f64,
}

impl Levels {
    /// The levels when the test is moved by `delay` frames: of its frames at the nearest whole delay, and the mean between those at
    /// two. The gain is that of the loudness, else of the RMS level without
    /// DC, that of the fit if both fail, and 0 dB if that fails, too.
    fn of(reference: &Audio, test: &Audio, shared: &Range<usize>, delay: f64, fitted: f64) -> Self {
        let (whole, rest) = (delay.round(), delay - delay.round());
        let moved = |at: usize| at.saturating_add_signed(whole as isize).min(test.frames());
        // One frame later or earlier, one sample is gained at one end and another lost at the other.
        let (gained, lost) = match (moved(shared.start), moved(shared.end)) {
            (start, end) if rest >= 0.0 => (end, start),
            (start, end) => (start.wrapping_sub(1), end.wrapping_sub(1)),
        };
        let sample = |channel: &[f32], at: usize| channel.get(at).copied().map_or(0.0, f64::from);
        let change: f64 = test.iter().map(|channel| sample(channel, gained) - sample(channel, lost)).sum();
        let change = rest.abs() * change / (shared.len().max(1) * test.channels()) as f64;
        let reference = reference.slice(shared.clone()).expect("the overlap lies within the reference");
        let test = test.slice(moved(shared.start)..moved(shared.end)).expect("the positions are limited to the test");
        let (left, right) = (reference.levels(), test.levels());
        let varying = |levels: &crate::audio::Levels| (levels.rms * levels.rms - levels.dc * levels.dc).max(0.0).sqrt();
        let rms_db = gain_to_db(varying(&right)) - gain_to_db(varying(&left));
        // The absolute gate of the loudness would leave other blocks out of a quiet sound than out of a loud one.
        let loudness = |sound: &Audio, levels: &crate::audio::Levels| {
            integrated_loudness(&sound.multiply(METER_RMS / varying(levels)).ok()?)
        };
        let gains_db = match (loudness(&reference, &left), loudness(&test, &right)) {
            (Some(left), Some(right)) => [rms_db + (right - left), gain_to_db(fitted.abs())],
            _ => [rms_db, gain_to_db(fitted.abs())],
        };
        let gain_db = gains_db.into_iter().find(|gain_db| gain_db.is_finite()).unwrap_or(0.0);
        Self { gain_db, reference_mean: left.dc, test_mean: right.dc + change }
    }

    /// The alignment of these levels alone.
    fn alignment(&self, inverted: bool) -> Alignment {
        let gain = if inverted { -db_to_gain(self.gain_db) } else { db_to_gain(self.gain_db) };
        let dc = self.test_mean - gain * self.reference_mean;
        Alignment { inverted, gain_db: self.gain_db, dc, ..Alignment::NONE }
    }
}

impl Alignment {
    /// The alignment that changes nothing.
    pub const NONE: Self = Self {
        delay_frames: 0.0,
        delay_uncertainty_frames: 0.0,
        ambiguous: false,
        second_lobe: 0.0,
        correlation: 0.0,
        inverted: false,
        gain_db: 0.0,
        dc: 0.0,
        drift_ppm: None,
        drift_uncertainty_ppm: None,
        is_drifting: false,
    };

    /// The first `frames` frames of `test` as the reference would have them: earlier by the delay (with a 256-tap windowed sinc
    /// if it is no whole number), with the same polarity, gain and DC; silence where the test has no sound, see
    /// [`Self::overlap`]; near its ends the sinc reads this silence, too. The drift is only corrected if [`Self::is_drifting`]. An alignment without delay, gain and DC changes
    /// no bit. [control thread: allocates]
    #[must_use]
    pub fn apply(&self, test: &Audio, frames: usize) -> Audio {
        let gain = if self.inverted { -db_to_gain(-self.gain_db) } else { db_to_gain(-self.gain_db) };
        let mut aligned = Audio::silence(test.sample_rate(), test.channels(), frames);
        let inside = overlap(self.position(0), self.step(), frames, test.frames());
        let mut interpolator = Interpolator::new();
        for (test, aligned) in test.iter().zip(aligned.iter_mut()) {
            let mut at = inside.start;
            for chunk in aligned[inside.clone()].chunks_mut(CHUNK_FRAMES) {
                interpolator.read(test, self.position(at), self.step(), chunk);
                at += chunk.len();
            }
            if gain != 1.0 || self.dc != 0.0 {
                for x in &mut aligned[inside.clone()] {
                    *x = ((f64::from(*x) - self.dc) * gain) as f32;
                }
            }
        }
        aligned
    }

    /// The frames of a reference of `reference_frames` frames at whose time a test of `test_frames` frames has sound. Only these
    /// can be compared. If the delay is no whole number, or drifts, these are the frames for which all taps of the sinc lie in the
    /// test, as long as there are 512 of them. [any thread]
    #[must_use]
    pub fn overlap(&self, reference_frames: usize, test_frames: usize) -> Range<usize> {
        let (start, step) = (self.position(0), self.step());
        if step != 1.0 || start.fract() != 0.0 {
            let inner_frames = test_frames.saturating_sub(2 * REACH);
            let inner = overlap(start - REACH as f64, step, reference_frames, inner_frames);
            if inner.len() >= FEWEST_FRAMES {
                return inner;
            }
        }
        overlap(start, step, reference_frames, test_frames)
    }

    /// The alignment of whole sounds, from that of a passage of the reference, or of the test.
    pub(crate) fn of_whole(mut self, reference: Option<&Passage>, test: Option<&Passage>) -> Self {
        let first = |passage: Option<&Passage>| passage.map_or(0.0, |passage| passage.frames.start as f64);
        self.delay_frames += first(test) - first(reference) * self.step();
        for passage in [reference, test].into_iter().flatten() {
            self.ambiguous |= passage.is_ambiguous;
            self.second_lobe = self.second_lobe.max(passage.second_lobe);
        }
        self
    }

    /// Position in the test, in frames, of a frame of the reference.
    fn position(&self, frame: usize) -> f64 {
        self.delay_frames + frame as f64 * self.step()
    }

    /// Frames of the test for one of the reference.
    fn step(&self) -> f64 {
        if self.is_drifting { 1.0 + self.drift_ppm.unwrap_or(0.0) * 1e-6 } else { 1.0 }
    }
}

/// The frames of a reference whose positions lie within a test: from its first frame to its last.
fn overlap(start: f64, step: f64, reference_frames: usize, test_frames: usize) -> Range<usize> {
    // `as` makes a negative number 0.
    let first = (-start / step).ceil() as usize;
    let last = ((test_frames as f64 - 1.0 - start) / step).floor();
    let end = if last < 0.0 { 0 } else { last as usize + 1 };
    let end = end.min(reference_frames);
    first.min(end)..end
}

#[cfg(test)]
mod tests {
    use realfft::RealFftPlanner;

    use super::*;
    use crate::audio::generate;
    use crate::measure::{Comparison, null_db};

    /// A sound later by any number of frames, by the phases of its spectrum; as long as before.
    fn delayed(sound: &Audio, delay: f64) -> Audio {
        delayed_below(sound, delay, 0.5)
    }

    /// A sound, `delay` frames later, without its frequencies above a share of the sample rate.
    fn delayed_below(sound: &Audio, delay: f64, share: f64) -> Audio {
        let frames = sound.frames();
        let size = 2 * frames;
        let mut planner = RealFftPlanner::<f64>::new();
        let (forward, back) = (planner.plan_fft_forward(size), planner.plan_fft_inverse(size));
        let mut late = sound.clone();
        for channel in late.iter_mut() {
            let mut samples: Vec<f64> = channel.iter().map(|x| f64::from(*x)).chain(std::iter::repeat_n(0.0, frames)).collect();
            let mut bins = forward.make_output_vec();
            forward.process(&mut samples, &mut bins).unwrap();
            for (bin, x) in bins.iter_mut().enumerate() {
                let angle = -std::f64::consts::TAU * bin as f64 * delay / size as f64;
                let gain = if bin as f64 <= share * size as f64 { 1.0 } else { 0.0 };
                *x *= realfft::num_complex::Complex::from_polar(gain, angle) / size as f64;
            }
            (bins[0].im, bins[frames].im) = (0.0, 0.0);
            back.process(&mut bins, &mut samples).unwrap();
            channel.iter_mut().zip(&samples).for_each(|(x, y)| *x = *y as f32);
        }
        late
    }

    /// Null depth of the test after alignment, where both have sound.
    fn null(reference: &Audio, test: &Audio, alignment: &Alignment) -> f64 {
        let shared = alignment.overlap(reference.frames(), test.frames());
        let aligned = alignment.apply(test, reference.frames());
        let channels = reference.iter().zip(aligned.iter());
        channels.map(|(r, t)| f64::from(null_db(&r[shared.clone()], &t[shared.clone()]))).fold(f64::NEG_INFINITY, f64::max)
    }

    #[test]
    fn a_copy_that_is_late_louder_inverted_and_offset_comes_back_within_a_hundredth_of_a_frame() {
        for rate in [44_100, 48_000, 96_000] {
            let sound = generate::guitar(rate, 2, 1).unwrap().slice(..3 * rate as usize).unwrap();
            for (delay, gain, dc) in [(0.37, 1.0, 0.0), (123.5, -0.5, 0.01), (-412.25, 2.0, -0.02), (7.01, -1.0, 0.0)] {
                let test = delayed(&sound, delay).multiply(gain).unwrap().add(dc).unwrap();
                let found = align(&sound, &test).unwrap();
                let case = format!("{rate} Hz, {delay}, {gain}, {dc}: {found:?}");
                assert!((found.delay_frames - delay).abs() < 0.002 && found.delay_uncertainty_frames < 0.01, "{case}");
                assert!((found.gain_db - 20.0 * f64::abs(gain).log10()).abs() < 0.01 && found.inverted == (gain < 0.0), "{case}");
                assert!((found.dc - dc).abs() < 1e-4 && !found.ambiguous && !found.is_drifting, "{case}");
                assert!(found.correlation > 0.9999, "{case}");
                assert!(null(&sound, &test, &found) < -60.0, "{} dB, {case}", null(&sound, &test, &found));
            }
        }
    }

    #[test]
    fn a_whole_delay_and_polarity_leave_no_difference_at_all() {
        let sound = generate::drums(48_000, 2, 1).unwrap();
        for delay in [0usize, 1, 480, 70_000] {
            let mut test = Audio::silence(48_000, 2, sound.frames());
            for (from, to) in sound.iter().zip(test.iter_mut()) {
                to[delay..].iter_mut().zip(from).for_each(|(to, from)| *to = -from);
            }
            let found = align(&sound, &test).unwrap();
            assert_eq!(
                (found.delay_frames, found.inverted, found.gain_db, found.dc),
                (delay as f64, true, 0.0, 0.0),
                "{found:?}"
            );
            let shared = found.overlap(sound.frames(), test.frames());
            assert_eq!(shared, 0..sound.frames() - delay);
            let aligned = found.apply(&test, sound.frames());
            assert_eq!(aligned.slice(shared.clone()).unwrap(), sound.slice(shared).unwrap());
            // The other way round: the reference is late.
            let early = align(&test, &sound).unwrap();
            assert_eq!(early.delay_frames, -(delay as f64));
        }
    }

    #[test]
    fn equal_sounds_are_aligned_already_and_nothing_is_changed() {
        let sound = generate::guitar(48_000, 2, 1).unwrap();
        let found = align(&sound, &sound.clone()).unwrap();
        assert_eq!(found, Alignment { correlation: 1.0, ..Alignment::NONE });
        assert_eq!(found.apply(&sound, sound.frames()), sound);
        assert_eq!(Alignment::NONE.apply(&sound, 100), sound.slice(..100).unwrap());
    }

    #[test]
    fn a_longer_or_shorter_test_is_found_wherever_it_lies() {
        let sound = generate::guitar(48_000, 1, 1).unwrap();
        let silence = Audio::silence(48_000, 1, 200_000);
        let longer = Audio::concatenate(&[&silence, &sound, &silence]).unwrap();
        assert_eq!(align(&sound, &longer).unwrap().delay_frames, 200_000.0);
        let part = sound.slice(150_000..250_000).unwrap();
        let found = align(&sound, &part).unwrap();
        assert_eq!((found.delay_frames, found.overlap(sound.frames(), part.frames())), (-150_000.0, 150_000..250_000));
        assert_eq!(null(&sound, &part, &found), -300.0);
    }

    #[test]
    fn distortion_and_noise_do_not_move_the_delay_by_a_hundredth_of_a_frame() {
        for rate in [44_100, 48_000, 96_000] {
            let sound = generate::guitar(rate, 1, 1).unwrap().slice(..3 * rate as usize).unwrap();
            let saturated: Vec<f32> = sound.channel(0).iter().map(|x| (16.0 * x).tanh()).collect();
            let test = delayed(&Audio::from_mono(rate, &saturated).unwrap(), 31.4);
            let found = align(&sound, &test).unwrap();
            assert!((found.delay_frames - 31.4).abs() < 0.01 && !found.inverted && !found.ambiguous, "{found:?}");
            let noise = generate::white(rate, 0.01, sound.frames(), 5).unwrap();
            let test = delayed(&sound, -2.6).add(&noise).unwrap();
            let found = align(&sound, &test).unwrap();
            assert!((found.delay_frames + 2.6).abs() < 0.01, "{found:?}");
            assert!((found.delay_frames + 2.6).abs() < 4.0 * found.delay_uncertainty_frames, "{found:?}");
        }
    }

    #[test]
    fn the_drift_of_two_clocks_is_measured_and_corrected() {
        let guitar = |rate: u32| generate::guitar(rate, 1, 1).unwrap();
        for (reference, ppm) in [(guitar(48_000), 50.0), (guitar(44_100), -120.0), (guitar(96_000), 3.0), (guitar(48_000), 500.0)]
        {
            let mut test = Audio::silence(reference.sample_rate(), 1, reference.frames());
            // Frame n of the reference is at 100.3 + (1 + ppm / 1e6) n of the test.
            let step = 1.0 / (1.0 + ppm * 1e-6);
            Interpolator::new().read(reference.channel(0), -100.3 * step, step, test.channel_mut(0));
            let found = align(&reference, &test).unwrap();
            assert!(found.is_drifting, "{ppm}: {found:?}");
            assert!((found.drift_ppm.unwrap() - ppm).abs() < 0.01, "{ppm}: {found:?}");
            assert!((found.delay_frames - 100.3).abs() < 0.01, "{ppm}: {found:?}");
            assert!(null(&reference, &test, &found) < -60.0, "{ppm}: {}", null(&reference, &test, &found));
        }
    }

    /// A sound as a clock records it that runs off by some millionths, and late.
    fn drifted(sound: &Audio, ppm: f64, delay: f64) -> Audio {
        let mut test = Audio::silence(sound.sample_rate(), sound.channels(), sound.frames());
        let step = 1.0 / (1.0 + ppm * 1e-6);
        for (from, to) in sound.iter().zip(test.iter_mut()) {
            Interpolator::new().read(from, -delay * step, step, to);
        }
        test
    }

    #[test]
    fn the_drift_of_a_short_rhythmic_sound_is_found() {
        let rate = 48_000;
        let drums = delayed_below(&generate::drums(rate, 1, 1).unwrap().slice(..82_000).unwrap(), 0.0, 0.45);
        for ppm in [5.0, 20.0, -20.0, 50.0, -50.0, 100.0, -100.0, 200.0, -200.0] {
            let test = drifted(&drums, ppm, 40.0).multiply(-0.5).unwrap();
            let found = align(&drums, &test).unwrap();
            assert!(found.is_drifting && found.inverted, "{ppm}: {found:?}");
            assert!((found.drift_ppm.unwrap() - ppm).abs() < 0.1, "{ppm}: {found:?}");
            assert!((found.delay_frames - 40.0).abs() < 0.01, "{ppm}: {found:?}");
            assert!(null(&drums, &test, &found) < -50.0, "{ppm}: {} dB", null(&drums, &test, &found));
        }
    }

    /// A sound through a high-pass of the first order.
    fn high_passed(sound: &Audio, hz: f64) -> Audio {
        let pole = (-std::f64::consts::TAU * hz / f64::from(sound.sample_rate())).exp();
        let mut out = sound.clone();
        for channel in out.iter_mut() {
            let (mut last, mut y) = (0.0, 0.0);
            for x in channel.iter_mut() {
                y = pole * y + (1.0 + pole) / 2.0 * (f64::from(*x) - last);
                last = f64::from(*x);
                *x = y as f32;
            }
        }
        out
    }

    #[test]
    fn a_delay_that_depends_on_frequency_is_no_drift() {
        // A delay that goes with frequency goes with time in a sweep.
        let sweep = generate::sweep(48_000, 20.0, 20_000.0, 0.5, 4 * 48_000).unwrap();
        let mut dull = sweep.clone();
        let mut y = 0.0;
        for x in dull.channel_mut(0) {
            y += 0.23 * (f64::from(*x) - y);
            *x = y as f32;
        }
        for test in [dull, high_passed(&sweep, 60.0)] {
            let found = align(&sweep, &test).unwrap();
            assert!(!found.is_drifting, "{found:?}");
            let found = align_synchronous(&sweep, &test).unwrap();
            assert_eq!((found.is_drifting, found.drift_ppm), (false, None), "{found:?}");
        }
    }

    #[test]
    fn a_high_pass_in_the_bass_does_not_move_the_treble() {
        let guitar = generate::guitar(48_000, 1, 1).unwrap();
        // The rest is early by 1 frame at 195 Hz, and by 0.017 frames at 1.5 kHz.
        let found = align_synchronous(&guitar, &high_passed(&guitar, 5.0)).unwrap();
        assert!(found.delay_frames.abs() < 0.05, "{found:?}");
        let late = delayed(&high_passed(&guitar, 5.0), 12.4);
        let found = align(&guitar, &late).unwrap();
        assert!((found.delay_frames - 12.4).abs() < 0.05 && !found.is_drifting, "{found:?}");
    }

    #[test]
    fn of_the_delays_that_fit_a_periodic_sound_equally_well_the_smallest_is_taken_and_flagged() {
        let rate = 48_000;
        let loop_ = generate::white(rate, 0.1, 12_000, 1).unwrap();
        let looped = Audio::concatenate(&[&loop_; 17]).unwrap();
        let square = generate::square(rate, 100.0, 0.3, 17 * 12_000).unwrap();
        for (name, sound, period) in [("loop", &looped, 12_000), ("square", &square, 480)] {
            // The end of the period comes first, so the sound is as if it had gone on for ever.
            for late in [300, period - 100] {
                let reference = sound.slice(period..16 * 12_000).unwrap();
                let test = sound.slice(period - late..16 * 12_000 - late).unwrap();
                let expected = if late <= period / 2 { late as f64 } else { late as f64 - period as f64 };
                // Half a period is the other polarity of the square.
                let found = align(&reference, &test).unwrap();
                let off = (found.delay_frames - expected).rem_euclid(period as f64);
                assert!(off < 1e-3 || off > period as f64 - 1e-3, "{name}, {late}: {found:?}");
                assert!(found.delay_frames.abs() <= period as f64 / 2.0, "{name}, {late}: {found:?}");
                assert!(found.ambiguous && !found.inverted, "{name}, {late}: {found:?}");
                assert!(null(&reference, &test, &found) < -100.0, "{name}, {late}: {found:?}");
            }
        }
    }

    #[test]
    fn the_swell_of_a_tone_tells_its_delay() {
        let mut tone = generate::sine(48_000, 440.0, 0.3, 4 * 48_000).unwrap();
        for (frame, x) in tone.channel_mut(0).iter_mut().enumerate() {
            *x *= 1.0 + 0.3 * (std::f32::consts::TAU * 3.0 * frame as f32 / 48_000.0).sin();
        }
        let (reference, test) = (tone.slice(1000..).unwrap(), tone.slice(700..191_700).unwrap());
        let found = align(&reference, &test).unwrap();
        assert!((found.delay_frames - 300.0).abs() < 1e-3 && !found.inverted, "{found:?}");
        assert!(null(&reference, &test, &found) < -80.0, "{found:?}");
    }

    #[test]
    fn an_uncertain_delay_is_no_whole_number() {
        // Dull noise with as much of another: the delay is not known to a twentieth of a frame.
        let dull = |seed: u64| delayed_below(&generate::pink(48_000, 0.1, 24_000, seed).unwrap(), 0.0, 0.05);
        let (sound, noise) = (dull(1), dull(2));
        let test = delayed(&sound, 7.0).add(&noise).unwrap();
        let found = align(&sound, &test).unwrap();
        assert!(found.delay_uncertainty_frames >= MOST_WHOLE_ERROR && found.delay_frames.fract() != 0.0, "{found:?}");
        assert!((found.delay_frames - 7.0).abs() < 4.0 * found.delay_uncertainty_frames, "{found:?}");
    }

    #[test]
    fn levels_are_found_without_moving_the_sound() {
        let sound = generate::guitar(48_000, 2, 1).unwrap();
        let test = sound.multiply(-0.5).unwrap().add(0.01).unwrap();
        let found = align_levels(&sound, &test).unwrap();
        assert_eq!((found.delay_frames, found.inverted, found.is_drifting), (0.0, true, false));
        assert!(
            (found.gain_db + 6.0206).abs() < 1e-3 && (found.dc - 0.01).abs() < 1e-5 && found.correlation > 0.9999,
            "{found:?}"
        );
    }

    #[test]
    fn sounds_of_one_clock_have_no_drift() {
        let reference = generate::pink(48_000, 0.1, 4 * 48_000, 1).unwrap();
        let found = align(&reference, &delayed(&reference, 55.5)).unwrap();
        assert!(!found.is_drifting && found.drift_ppm.unwrap().abs() < 0.01, "{found:?}");
        let short = reference.slice(..20_000).unwrap();
        let found = align(&short, &delayed(&short, 5.5)).unwrap();
        assert_eq!((found.drift_ppm, found.drift_uncertainty_ppm), (None, None));
        assert!((found.delay_frames - 5.5).abs() < 0.01, "{found:?}");
    }

    #[test]
    fn a_delay_is_ambiguous_if_another_one_would_do_as_well() {
        let sound = generate::white(48_000, 0.3, 96_000, 1).unwrap();
        let with_echo = |gain: f64| sound.add(&delayed(&sound, 960.0).multiply(gain).unwrap()).unwrap();
        let close = align(&sound, &with_echo(0.99)).unwrap();
        assert!(close.ambiguous && close.second_lobe > 0.91 && close.delay_frames == 0.0, "{close:?}");
        let clear = align(&sound, &with_echo(0.5)).unwrap();
        assert!(!clear.ambiguous && clear.second_lobe < 0.7, "{clear:?}");
        // Without its edges, a tone is the same a period later.
        let mut tone = generate::sine(48_000, 1000.0, 0.5, 96_000).unwrap();
        tone.window(crate::audio::Window::Hann);
        let found = align(&tone, &tone.multiply(0.5).unwrap()).unwrap();
        assert!(found.ambiguous, "{found:?}");
    }

    #[test]
    fn sounds_that_have_nothing_in_common_are_refused() {
        let noise = |seed: u64| generate::white(48_000, 0.3, 96_000, seed).unwrap();
        let pink = |seed: u64| generate::pink(48_000, 0.1, 96_000, seed).unwrap();
        let [guitar, drums] = [generate::guitar(48_000, 1, 1).unwrap(), generate::drums(48_000, 1, 1).unwrap()];
        let low = generate::sine(48_000, 440.0, 0.5, 96_000).unwrap();
        let high = generate::sine(48_000, 554.4, 0.5, 96_000).unwrap();
        let pairs = [
            (noise(1), noise(2)),
            (pink(1), pink(2)),
            (guitar.clone(), drums.clone()),
            (guitar, noise(3)),
            (drums, pink(3)),
            (low, high),
        ];
        for (index, (reference, test)) in pairs.iter().enumerate() {
            let found = align(reference, test);
            assert!(matches!(found, Err(AlignError::NothingInCommon { correlation }) if correlation < 0.5), "{index}: {found:?}");
        }
    }

    #[test]
    fn sounds_that_cannot_be_aligned_are_refused_with_the_reason() {
        let sound = generate::white(48_000, 0.3, 9600, 1).unwrap();
        let mut broken = sound.clone();
        broken.channel_mut(0)[77] = f32::NAN;
        let mut constant = sound.clone();
        constant.channel_mut(0).fill(0.25);
        let cases = [
            (align(&sound, &Audio::silence(48_000, 1, 9600)), "silence in the test"),
            (align(&constant, &sound), "silence in the reference"),
            (align(&sound, &Audio::silence(44_100, 1, 9600)), "found 48000 Hz and 44100 Hz"),
            (align(&sound, &sound.repeat_channels(2).unwrap()), "equally many channels, found 1 and 2"),
            (align(&sound, &sound.slice(..100).unwrap()), "expected 512 frames or more to align, found 100"),
            (align(&broken, &sound), "the reference: "),
        ];
        for (found, expected) in cases {
            let message = found.unwrap_err().to_string();
            assert!(message.contains(expected) && !message.contains('\n'), "{message}");
        }
    }

    #[test]
    fn alignment_makes_the_error_of_a_long_saturated_sound_no_larger() {
        let phrase = generate::guitar(48_000, 1, 1).unwrap();
        let sound = Audio::concatenate(&[&phrase, &phrase, &phrase]).unwrap();
        let saturated: Vec<f32> = sound.channel(0).iter().map(|x| (0.3 * x).tanh() / 0.3).collect();
        let test = Audio::from_mono(48_000, &saturated).unwrap();
        let found = align(&sound, &test).unwrap();
        let raw = f64::from(null_db(sound.channel(0), test.channel(0)));
        assert!(found.dc.abs() < 1e-5, "{found:?}");
        assert!(null(&sound, &test, &found) <= raw, "{raw}, {}", null(&sound, &test, &found));
    }

    #[test]
    fn an_alignment_makes_sounds_comparable() {
        let sound = generate::drums(48_000, 1, 1).unwrap();
        let test = delayed(&sound, 10.5).multiply(0.25).unwrap();
        let alignment = align(&sound, &test).unwrap();
        let aligned = alignment.apply(&test, sound.frames());
        assert!(Comparison::new(&sound, &aligned).is_ok());
        // The sinc of frame 0 would need 117 frames before the test, that of the last frame 128 more than there are.
        assert_eq!(alignment.overlap(sound.frames(), test.frames()), 118..sound.frames() - 11 - 128);
        // Beyond the end of the test is silence.
        assert!(aligned.channel(0)[sound.frames() - 11..].iter().all(|x| *x == 0.0));
    }

    #[test]
    fn a_gain_is_found_however_quiet_the_sounds_are() {
        let drums = generate::drums(48_000, 2, 1).unwrap();
        for peak_db in [0.0, -40.0, -60.0, -90.0] {
            let sound = drums.multiply(db_to_gain(peak_db) / drums.peak()).unwrap();
            let test = sound.multiply(db_to_gain(-6.0)).unwrap();
            for (reference, test, expected) in [(&sound, &test, -6.0), (&test, &sound, 6.0)] {
                let found = align(reference, test).unwrap();
                assert!((found.gain_db - expected).abs() < 1e-3, "{peak_db} dBFS: {found:?}");
                assert!(null(reference, test, &found) < -70.0, "{peak_db} dBFS: {}", null(reference, test, &found));
            }
        }
    }

    #[test]
    fn a_hit_in_silence_is_aligned() {
        let noise = generate::white(48_000, 0.5, 4000, 1).unwrap();
        let at = |start: usize, gain: f64| {
            let rest = Audio::silence(48_000, 1, 3 * 48_000 - 4000 - start);
            Audio::concatenate(&[&Audio::silence(48_000, 1, start), &noise.multiply(gain).unwrap(), &rest]).unwrap()
        };
        let (reference, test) = (at(1000, 1.0), at(1010, 0.5));
        let found = align(&reference, &test).unwrap();
        assert_eq!((found.delay_frames, found.drift_ppm, found.is_drifting), (10.0, None, false), "{found:?}");
        assert_eq!(found.overlap(reference.frames(), test.frames()), 0..reference.frames() - 10);
        assert!((found.gain_db + 6.0206).abs() < 1e-3, "{found:?}");
        assert!(null(&reference, &test, &found) < -100.0, "{}", null(&reference, &test, &found));
    }

    #[test]
    fn a_sound_cut_from_the_middle_is_compared_where_the_sinc_has_all_its_taps() {
        let noise = generate::white(48_000, 0.3, 3 * 48_000, 1).unwrap();
        let cut = 30_000..30_000 + 76_800;
        let reference = delayed_below(&noise, 0.0, 0.45).slice(cut.clone()).unwrap();
        let test = delayed_below(&noise, 0.5, 0.45).slice(cut).unwrap();
        let found = align(&reference, &test).unwrap();
        assert!((found.delay_frames - 0.5).abs() < 1e-5, "{found:?}");
        assert!(null(&reference, &test, &found) < -100.0, "{}, {found:?}", null(&reference, &test, &found));
        // Short sounds are compared all the same.
        assert_eq!(found.overlap(600, 600), 0..599);
    }

    #[test]
    fn a_sound_is_aligned_in_one_that_is_minutes_longer_and_the_other_way_round() {
        let sound = generate::pink(8000, 0.1, 5 * 8000, 1).unwrap();
        let noise = |seconds: usize, seed: u64| generate::pink(8000, 0.1, seconds * 8000, seed).unwrap();
        // Without the frequencies that no interpolation keeps.
        let sound = delayed_below(&sound, 0.0, 0.4);
        let quiet = delayed(&sound, 0.25).multiply(-0.5).unwrap();
        let long = Audio::concatenate(&[&noise(100, 2), &quiet, &noise(80, 3)]).unwrap();
        let found = align(&sound, &long).unwrap();
        assert!((found.delay_frames - 800_000.25).abs() < 0.01 && found.inverted && !found.ambiguous, "{found:?}");
        assert!((found.gain_db + 6.02).abs() < 0.01, "{found:?}");
        assert!(null(&sound, &long, &found) < -40.0, "{}, {found:?}", null(&sound, &long, &found));
        let back = align(&long, &sound).unwrap();
        assert!((back.delay_frames + 800_000.25).abs() < 0.01 && back.inverted, "{back:?}");
        assert!(matches!(align(&noise(4, 9), &long), Err(AlignError::NothingInCommon { .. })));
        // The sound twice: both passages are right.
        let twice = Audio::concatenate(&[&sound, &noise(150, 4), &sound]).unwrap();
        assert!(align(&sound, &twice).unwrap().ambiguous);
    }
}
