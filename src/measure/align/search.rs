//! The search for the delay: where two whitened sounds correlate.

use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

use super::super::sinc::Interpolator;
use super::fit::Line;
use crate::audio::Audio;

/// Delays to either side that are looked for, in seconds.
const DELAY_SECONDS: f64 = 1.5;
/// Blocks into which a sound is cut at least, so that the delays of its parts show a drift.
const BLOCKS: usize = 12;
/// Blocks that are searched at most: the loudest.
const MOST_BLOCKS: usize = 12;
/// Frames of a block, at least and at most.
const BLOCK_FRAMES: (usize, usize) = (1 << 13, 1 << 18);
/// Share of a block that fades at each of its ends.
const FADE_SHARE: usize = 16;
/// Coefficient of the pre-emphasis that takes the weight from the bass, and from the edges of a sound.
pub(super) const PRE_EMPHASIS: f32 = 0.95;
/// Exponent of the whitening: 0 leaves a spectrum, 1 makes it flat (PHAT-beta: Knapp and Carter, IEEE Trans. ASSP 1976; Donohue
/// et al., ICASSP 2007). With 0.75 saturated and filtered sounds have a [`Lobe::sharpness`] of 150 or more, unrelated ones of 4
/// to 15.
const WHITENING: f32 = 0.75;
/// Power, as a ratio to the strongest bin, below which a bin is noise and is not raised: -90 dB.
const NOISE_POWER: f32 = 1e-9;
/// Sharpness from which sounds have something in common.
pub(super) const SHARP: f64 = 20.0;
/// Sharpness from which a block counts for a drift. That of noise is below 6.
const SHARP_BLOCK: f64 = 6.0;
/// Largest drift that is looked for: 0.1 %.
pub(super) const MAX_DRIFT: f64 = 1e-3;
/// Frames by which a block's delay may miss a line, besides half of what the line moves within a block.
const TOLERANCE_FRAMES: f64 = 3.0;
/// Share of the blocks that must be on the line of a drift.
const DRIFT_SHARE: f64 = 0.6;
/// Delays to either side that are looked for after a drift is taken away, in frames.
const REST_DELAYS: isize = 512;
/// Searches without the drift at most: each one sees sharper lobes than the one before.
const MOST_ROUNDS: usize = 5;
/// Frames at the end of the sound by which a search without the drift may still change it.
const REST_FRAMES: f64 = 1.0;
/// Height of a lobe as a share of the highest from which it may be the delay, for the whitened correlation, and for the plain one,
/// whose lobes are wider.
const CANDIDATE_SHARE: f32 = 0.7;
const PLAIN_SHARE: f32 = 0.9;
/// Candidates of one correlation at most: the highest.
const MOST_CANDIDATES: usize = 8;
/// Height and number of the lobes around which a drift is looked for, which has made them flat.
const SMEARED_SHARE: f32 = 0.3;
const MOST_SMEARED: usize = 32;
/// Frames by which the ends of the sound lie off the middle on the lines that are tried around a lobe. The blocks of a larger drift
/// have delays that are clearly apart.
const SLANT_FRAMES: isize = 64;
/// Ratio by which a line with a drift is higher than a flat one at least: the delay may lie between two frames.
const LEAST_RISE: f32 = 1.05;
/// Delays of which the correlations of all blocks are kept: 48 MB.
const MOST_KEPT: usize = 1 << 20;

/// The highest lobe of a correlation.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lobe {
    /// Frames of delay.
    pub delay: isize,
    /// Height as a multiple of the RMS of the correlation beside the lobe.
    pub sharpness: f64,
    /// Height of the next lobe as a share of this one.
    pub second: f64,
}

impl Lobe {
    /// The highest lobe of a correlation at the delays from `first` on.
    pub fn of(found: &[f32], first: isize) -> Self {
        let peak = (0..found.len()).max_by(|a, b| found[*a].abs().total_cmp(&found[*b].abs())).expect("there is a delay");
        let height = found[peak];
        if height == 0.0 {
            return Self::default();
        }
        // The lobe ends where the correlation changes its sign.
        let same = |x: &&f32| (**x > 0.0) == (height > 0.0);
        let low = peak - found[..peak].iter().rev().take_while(same).count();
        let high = peak + found[peak..].iter().take_while(same).count();
        let beside = || found[..low].iter().chain(&found[high..]);
        let second = beside().fold(0.0f32, |most, x| most.max(x.abs()));
        let mean_square = beside().map(|x| f64::from(x * x)).sum::<f64>() / (found.len() - (high - low)).max(1) as f64;
        let height = f64::from(height.abs());
        Self {
            delay: first + peak as isize,
            // Without anything beside it, a lobe tells nothing.
            sharpness: if mean_square > 0.0 { height / mean_square.sqrt() } else { 0.0 },
            second: f64::from(second) / height,
        }
    }
}

/// The indices of the lobes of a correlation that have `share` of the highest or more, in their order.
fn peaks(found: &[f32], share: f32) -> Vec<usize> {
    let least = share * found.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    let is_peak = |i: usize| {
        let height = found[i].abs();
        let below = |other: Option<&f32>, or_equal: bool| {
            // A neighbour of the other sign is another lobe.
            other.is_none_or(|x| x * found[i] <= 0.0 || x.abs() < height || or_equal && x.abs() == height)
        };
        height > 0.0
            && height >= least
            && below(i.checked_sub(1).and_then(|i| found.get(i)), false)
            && below(found.get(i + 1), true)
    };
    (0..found.len()).filter(|i| is_peak(*i)).collect()
}

/// The delays of the highest of the `peaks` of a correlation, and of those of each sign that are nearest to no delay. At most
/// `most` and 2.
fn candidates(found: &[f32], first: isize, peaks: &[usize], most: usize) -> Vec<isize> {
    let delay = |i: usize| first + i as isize;
    let nearest = |sign: f32| peaks.iter().copied().filter(|i| found[*i] * sign > 0.0).min_by_key(|i| delay(*i).abs());
    let mut highest = peaks.to_vec();
    highest.sort_by(|a, b| found[*b].abs().total_cmp(&found[*a].abs()));
    highest.truncate(most);
    highest.extend([nearest(1.0), nearest(-1.0)].into_iter().flatten());
    let mut delays: Vec<isize> = highest.into_iter().map(delay).collect();
    delays.sort_unstable();
    delays.dedup();
    delays
}

/// The usual distance of neighbouring peaks in frames; `None` if there is but one.
fn spacing(peaks: &[usize]) -> Option<f64> {
    let mut distances: Vec<usize> = peaks.windows(2).map(|pair| pair[1] - pair[0]).collect();
    distances.sort_unstable();
    distances.get(distances.len() / 2).map(|distance| *distance as f64)
}

/// The highest lobe over the whole sound, and the lines that may be the delay and the drift.
#[derive(Debug)]
pub(super) struct Search {
    lobe: Lobe,
    constant: Vec<Line>,
    spacing: Option<f64>,
    drifting: Option<Line>,
}

impl Search {
    /// Searches all delays up to [`DELAY_SECONDS`], and those by which one sound is longer. `with_drift`: also for a drift.
    pub fn of(reference: &Audio, test: &Audio, with_drift: bool) -> Self {
        let reach = (DELAY_SECONDS * f64::from(reference.sample_rate())) as isize;
        let (left, right) = (reference.frames() as isize, test.frames() as isize);
        let first = (-reach - (left - right).max(0)).max(1 - left);
        let last = (reach + (right - left).max(0)).min(right - 1);
        let Correlations { mut lobe, delays, spacing, smeared, blocks, plain_lobe } =
            Correlations::of(reference, test, first, last);
        let mut constant: Vec<Line> = delays.iter().map(|delay| Line { delay: *delay as f64, drift: 0.0 }).collect();
        let mut line = Line { delay: lobe.delay as f64, drift: 0.0 };
        if with_drift {
            line = line_of(&blocks, line.delay, &smeared);
        }
        if line.drift == 0.0 && (!with_drift || blocks.iter().all(|block| !block.correlation.is_empty())) {
            if lobe.sharpness < SHARP {
                // Few frequencies, as of a tone: whitening has raised nothing but noise.
                lobe = Lobe { sharpness: lobe.sharpness, ..plain_lobe };
            }
            return Self { lobe, constant, spacing, drifting: None };
        }
        // A drift smears the lobes, so the rest is looked for without it.
        let mut straight = Audio::silence(test.sample_rate(), test.channels(), reference.frames());
        let mut interpolator = Interpolator::new();
        for _ in 0..MOST_ROUNDS {
            for (from, to) in test.iter().zip(straight.iter_mut()) {
                interpolator.read(from, line.delay, 1.0 + line.drift, to);
            }
            let found = Correlations::of(reference, &straight, -REST_DELAYS, REST_DELAYS);
            if found.lobe.sharpness > lobe.sharpness {
                lobe = found.lobe;
            }
            let rest = line_of(&found.blocks, found.lobe.delay as f64, &found.smeared);
            line.delay += (1.0 + line.drift) * rest.delay;
            line.drift += (1.0 + line.drift) * rest.drift;
            if rest.delay.abs() + (rest.drift * reference.frames() as f64).abs() <= REST_FRAMES {
                break;
            }
        }
        // Without the drift, the delay of the middle of the sound is nearest.
        constant.push(Line { delay: line.delay + line.drift * reference.frames() as f64 / 2.0, drift: 0.0 });
        Self { lobe, constant, spacing, drifting: Some(line) }
    }

    /// The constant delays that may be right.
    pub fn constant(&self) -> &[Line] {
        &self.constant
    }

    /// The distance in frames of the delays that a periodic sound gives, as far as it is one.
    pub fn spacing(&self) -> Option<f64> {
        self.spacing
    }

    /// The line with a drift that may be right.
    pub fn drifting(&self) -> Option<Line> {
        self.drifting
    }

    /// True if the sounds surely have something in common.
    pub fn is_sharp(&self) -> bool {
        self.lobe.sharpness >= SHARP
    }

    /// Height of the second lobe as a share of the highest.
    pub fn second_lobe(&self) -> f64 {
        self.lobe.second
    }
}

/// A block of the reference, and its correlation.
#[derive(Clone, Debug)]
struct Block {
    /// Middle frame.
    middle: f64,
    frames: f64,
    lobe: Lobe,
    /// The first delay of the correlation.
    first: isize,
    /// Empty if there are more than [`MOST_KEPT`] delays.
    correlation: Vec<f32>,
}

/// The sum of the blocks' correlations at a line's delays: its height.
fn height(blocks: &[Block], line: Line) -> f32 {
    let at = |block: &Block| {
        let delay = (line.delay + line.drift * block.middle).round() as isize;
        usize::try_from(delay - block.first).ok().and_then(|index| block.correlation.get(index)).copied().unwrap_or(0.0)
    };
    blocks.iter().map(at).sum::<f32>().abs()
}

/// The highest line of those that lie some frames off one of the `delays`, at both ends of the sound, and its height: that of a line
/// with a drift is divided by [`LEAST_RISE`].
fn slanted(blocks: &[Block], delays: &[isize]) -> Option<(f32, Line)> {
    let (first, last) = (blocks.first()?.middle, blocks.last()?.middle);
    let (middle, span) = ((first + last) / 2.0, last - first);
    if span <= 0.0 {
        return None;
    }
    let mut best: Option<(f32, Line)> = None;
    for delay in delays {
        // The flat line first: of equals, it stays.
        for slant in (0..=2 * SLANT_FRAMES).map(|i| if i % 2 == 0 { -i / 2 } else { i / 2 + 1 }) {
            let drift = slant as f64 / span;
            if drift.abs() > MAX_DRIFT {
                continue;
            }
            for off in -SLANT_FRAMES..=SLANT_FRAMES {
                let line = Line { delay: (delay + off) as f64 - drift * middle, drift };
                let height = height(blocks, line) / if slant == 0 { 1.0 } else { LEAST_RISE };
                if best.is_none_or(|(highest, _)| height > highest) {
                    best = Some((height, line));
                }
            }
        }
    }
    best
}

/// The higher of two lines: that on which most blocks' highest lobes lie, and the highest one around the `smeared` delays.
fn line_of(blocks: &[Block], whole: f64, smeared: &[isize]) -> Line {
    let line = line_of_lobes(blocks, whole);
    match slanted(blocks, smeared) {
        Some((highest, slanted)) if highest > height(blocks, line) => slanted,
        _ => line,
    }
}

/// The line on which most blocks' delays lie: a constant delay of `whole` frames, or one with a drift if that has more blocks, and
/// enough of all.
fn line_of_lobes(blocks: &[Block], whole: f64) -> Line {
    let sharp: Vec<&Block> = blocks.iter().filter(|block| block.lobe.sharpness >= SHARP_BLOCK).collect();
    let is_on = |line: Line, block: &Block| {
        let tolerance = TOLERANCE_FRAMES + line.drift.abs() * block.frames / 2.0;
        (line.delay + line.drift * block.middle - block.lobe.delay as f64).abs() <= tolerance
    };
    let count = |line: Line| sharp.iter().filter(|block| is_on(line, block)).count();
    let constant = Line { delay: whole, drift: 0.0 };
    let (mut best, mut most) = (constant, count(constant));
    for (index, left) in sharp.iter().enumerate() {
        for right in &sharp[index + 1..] {
            let (from, to) = (left.lobe.delay as f64, right.lobe.delay as f64);
            let drift = (to - from) / (right.middle - left.middle);
            let line = Line { delay: from - drift * left.middle, drift };
            if drift.abs() <= MAX_DRIFT && count(line) > most {
                (best, most) = (line, count(line));
            }
        }
    }
    if best.drift == 0.0 || most < 3 || (most as f64) < DRIFT_SHARE * blocks.len() as f64 {
        return constant;
    }
    // The least squares of the blocks on it.
    let on: Vec<&Block> = sharp.iter().copied().filter(|block| is_on(best, block)).collect();
    let mean = |of: &dyn Fn(&Block) -> f64| on.iter().map(|block| of(block)).sum::<f64>() / on.len() as f64;
    let (middle, delay) = (mean(&|b| b.middle), mean(&|b| b.lobe.delay as f64));
    let drift = mean(&|b| (b.middle - middle) * (b.lobe.delay as f64 - delay)) / mean(&|b| (b.middle - middle).powi(2));
    Line { delay: delay - drift * middle, drift }
}

/// The delays that the correlations of two sounds show.
struct Correlations {
    /// The highest lobe of the whitened sounds, and of the sounds as they are.
    lobe: Lobe,
    plain_lobe: Lobe,
    /// Delays that may be right.
    delays: Vec<isize>,
    /// The usual distance in frames of the high lobes of the sounds as they are, if there are several.
    spacing: Option<f64>,
    /// Delays of lower lobes, too, that may be those of a drift.
    smeared: Vec<isize>,
    /// The loudest blocks of the reference, in the order of time.
    blocks: Vec<Block>,
}

impl Correlations {
    /// Correlates at the delays from `first` to `last`.
    fn of(reference: &Audio, test: &Audio, first: isize, last: isize) -> Self {
        let frames = reference.frames();
        let delays = (last - first + 1) as usize;
        let block = frames.div_ceil(BLOCKS).clamp(BLOCK_FRAMES.0.min(frames), BLOCK_FRAMES.1);
        let mut correlator = Correlator::new(block, delays);
        let energy = |start: usize| -> f64 {
            let end = (start + block).min(frames);
            reference.iter().flat_map(|channel| &channel[start..end]).map(|x| f64::from(x * x)).sum()
        };
        let mut starts: Vec<usize> = (0..frames).step_by(block).collect();
        if starts.len() > MOST_BLOCKS {
            let mut by_energy: Vec<(usize, f64)> = starts.iter().map(|start| (*start, energy(*start))).collect();
            by_energy.sort_by(|a, b| b.1.total_cmp(&a.1));
            by_energy.truncate(MOST_BLOCKS);
            starts = by_energy.into_iter().map(|(start, _)| start).collect();
            starts.sort_unstable();
        }
        let mut sum = vec![Complex::default(); correlator.cross.len()];
        let mut plain = sum.clone();
        let add = |sum: &mut [Complex<f32>], cross: &[Complex<f32>]| sum.iter_mut().zip(cross).for_each(|(sum, x)| *sum += x);
        let mut blocks = Vec::new();
        for start in starts {
            correlator.set_block(reference, test, start, first);
            add(&mut plain, &correlator.cross);
            correlator.whiten();
            add(&mut sum, &correlator.cross);
            let found = correlator.correlation();
            let length = block.min(frames - start) as f64;
            let correlation = if delays <= MOST_KEPT { found.to_vec() } else { Vec::new() };
            let lobe = Lobe::of(found, first);
            blocks.push(Block { middle: start as f64 + length / 2.0, frames: length, lobe, first, correlation });
        }
        correlator.cross.copy_from_slice(&sum);
        let found = correlator.correlation();
        let lobe = Lobe::of(found, first);
        let mut delays = candidates(found, first, &peaks(found, CANDIDATE_SHARE), MOST_CANDIDATES);
        let smeared = candidates(found, first, &peaks(found, SMEARED_SHARE), MOST_SMEARED);
        correlator.cross.copy_from_slice(&plain);
        let found = correlator.correlation();
        let plain_lobe = Lobe::of(found, first);
        let plain_peaks = peaks(found, PLAIN_SHARE);
        delays.extend(candidates(found, first, &plain_peaks, MOST_CANDIDATES));
        delays.sort_unstable();
        delays.dedup();
        Self { lobe, plain_lobe, delays, spacing: spacing(&plain_peaks), smeared, blocks }
    }
}

/// Correlates blocks of two sounds by their spectra.
pub(super) struct Correlator {
    block: usize,
    delays: usize,
    forward: Arc<dyn RealToComplex<f32>>,
    back: Arc<dyn ComplexToReal<f32>>,
    input: Vec<f32>,
    left: Vec<Complex<f32>>,
    right: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
    /// The cross-spectrum of the last block.
    cross: Vec<Complex<f32>>,
}

impl Correlator {
    pub fn new(block: usize, delays: usize) -> Self {
        let size = (block + delays).next_power_of_two();
        let mut planner = RealFftPlanner::new();
        let (forward, back) = (planner.plan_fft_forward(size), planner.plan_fft_inverse(size));
        let scratch = vec![Complex::default(); forward.get_scratch_len().max(back.get_scratch_len())];
        let bins = forward.make_output_vec();
        Self {
            block,
            delays,
            input: forward.make_input_vec(),
            forward,
            back,
            left: bins.clone(),
            right: bins.clone(),
            scratch,
            cross: bins,
        }
    }

    /// Frames of the spectra: by this factor a correlation is higher than the sum of products.
    pub fn size(&self) -> usize {
        self.input.len()
    }

    /// Makes the cross-spectrum of the block of the reference from frame `start` on and the frames of the test that can
    /// be its own at a delay from `first` on. Both fade where they are cut.
    pub fn set_block(&mut self, reference: &Audio, test: &Audio, start: usize, first: isize) {
        self.set_faded(reference, test, start, first, self.block / FADE_SHARE);
    }

    /// Makes the cross-spectrum of a whole reference, which is a block, and the frames of the test that can be its own at a delay
    /// from `first` on. Nothing fades.
    pub fn set_whole(&mut self, reference: &Audio, test: &Audio, first: isize) {
        self.set_faded(reference, test, 0, first, 0);
    }

    fn set_faded(&mut self, reference: &Audio, test: &Audio, start: usize, first: isize, fade: usize) {
        self.cross.fill(Complex::default());
        for (reference, test) in reference.iter().zip(test.iter()) {
            load(reference, start as isize, self.block, fade, &mut self.input);
            self.forward.process_with_scratch(&mut self.input, &mut self.left, &mut self.scratch).expect("lengths of the plan");
            let count = self.block + self.delays - 1;
            load(test, start as isize + first, count, fade, &mut self.input);
            self.forward.process_with_scratch(&mut self.input, &mut self.right, &mut self.scratch).expect("lengths of the plan");
            for ((cross, left), right) in self.cross.iter_mut().zip(&self.left).zip(&self.right) {
                *cross += left.conj() * right;
            }
        }
    }

    /// Whitens the cross-spectrum.
    pub fn whiten(&mut self) {
        let strongest = self.cross.iter().map(|x| x.norm_sqr()).fold(0.0, f32::max).sqrt();
        if strongest > 0.0 {
            for x in &mut self.cross {
                let power = x.norm() / strongest;
                *x /= strongest * (power + NOISE_POWER).powf(WHITENING);
            }
        }
    }

    /// The correlation with the spectrum in `cross`, which it overwrites, at all delays.
    pub fn correlation(&mut self) -> &[f32] {
        // The inverse of a real signal's spectrum: both ends are real.
        let end = self.cross.len() - 1;
        (self.cross[0].im, self.cross[end].im) = (0.0, 0.0);
        self.back.process_with_scratch(&mut self.cross, &mut self.input, &mut self.scratch).expect("lengths of the plan");
        &self.input[..self.delays]
    }
}

/// Loads `count` frames of a sound from frame `start` on with pre-emphasis, then zeros. They fade at both ends, except at the
/// sound's own.
fn load(sound: &[f32], start: isize, count: usize, fade: usize, into: &mut [f32]) {
    into.fill(0.0);
    let end = start + count as isize;
    // The first frame has no frame before it, whose difference would be an edge.
    let (from, to) = (start.max(1), end.min(sound.len() as isize));
    if from >= to {
        return;
    }
    let at = (from - start) as usize;
    let sound = &sound[from as usize - 1..to as usize];
    let into = &mut into[at..at + sound.len() - 1];
    for (x, pair) in into.iter_mut().zip(sound.windows(2)) {
        *x = pair[1] - PRE_EMPHASIS * pair[0];
    }
    let gain = |i: usize| 0.5 - 0.5 * (std::f32::consts::PI * (i as f32 + 0.5) / fade as f32).cos();
    let fade = fade.min(into.len());
    if start > 0 {
        into[..fade].iter_mut().enumerate().for_each(|(i, x)| *x *= gain(i));
    }
    if to == end {
        into.iter_mut().rev().take(fade).enumerate().for_each(|(i, x)| *x *= gain(i));
    }
}
