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
const PRE_EMPHASIS: f32 = 0.95;
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

/// The highest lobe over the whole sound, and the line on which the lobes of its blocks lie.
#[derive(Debug)]
pub(super) struct Search {
    lobe: Lobe,
    line: Line,
}

impl Search {
    /// Searches all delays up to [`DELAY_SECONDS`], and those by which one sound is longer.
    pub fn of(reference: &Audio, test: &Audio) -> Self {
        let reach = (DELAY_SECONDS * f64::from(reference.sample_rate())) as isize;
        let (left, right) = (reference.frames() as isize, test.frames() as isize);
        let first = (-reach - (left - right).max(0)).max(1 - left);
        let last = (reach + (right - left).max(0)).min(right - 1);
        let (mut lobe, blocks) = correlate(reference, test, first, last, Spectrum::Whitened);
        let mut line = line_of(&blocks, lobe.delay as f64);
        if line.drift == 0.0 {
            if lobe.sharpness < SHARP {
                // Few frequencies, as of a tone: whitening has raised nothing but noise.
                let (plain, _) = correlate(reference, test, first, last, Spectrum::Plain);
                lobe = Lobe { sharpness: lobe.sharpness, ..plain };
                line.delay = lobe.delay as f64;
            }
            return Self { lobe, line };
        }
        // A drift smears the lobes, so the rest is looked for without it.
        let mut straight = Audio::silence(test.sample_rate(), test.channels(), reference.frames());
        let mut interpolator = Interpolator::new();
        for _ in 0..MOST_ROUNDS {
            for (from, to) in test.iter().zip(straight.iter_mut()) {
                interpolator.read(from, line.delay, 1.0 + line.drift, to);
            }
            let blocks;
            (lobe, blocks) = correlate(reference, &straight, -REST_DELAYS, REST_DELAYS, Spectrum::Whitened);
            let rest = line_of(&blocks, lobe.delay as f64);
            line.delay += (1.0 + line.drift) * rest.delay;
            line.drift += (1.0 + line.drift) * rest.drift;
            if rest.delay.abs() + (rest.drift * reference.frames() as f64).abs() <= REST_FRAMES {
                break;
            }
        }
        Self { lobe, line }
    }

    /// The delay and the drift.
    pub fn line(&self) -> Line {
        self.line
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

/// A block of the reference, and the highest lobe of its correlation.
#[derive(Clone, Copy, Debug)]
struct Block {
    /// Middle frame.
    middle: f64,
    frames: f64,
    lobe: Lobe,
}

/// The line on which most blocks' delays lie: a constant delay of `whole` frames, or one with a drift if that has more blocks, and
/// enough of all.
fn line_of(blocks: &[Block], whole: f64) -> Line {
    let sharp: Vec<Block> = blocks.iter().copied().filter(|block| block.lobe.sharpness >= SHARP_BLOCK).collect();
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
    let on: Vec<&Block> = sharp.iter().filter(|block| is_on(best, block)).collect();
    let mean = |of: &dyn Fn(&Block) -> f64| on.iter().map(|block| of(block)).sum::<f64>() / on.len() as f64;
    let (middle, delay) = (mean(&|b| b.middle), mean(&|b| b.lobe.delay as f64));
    let drift = mean(&|b| (b.middle - middle) * (b.lobe.delay as f64 - delay)) / mean(&|b| (b.middle - middle).powi(2));
    Line { delay: delay - drift * middle, drift }
}

/// The cross-spectrum that is transformed into a correlation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Spectrum {
    Whitened,
    Plain,
}

/// The highest lobe of the correlation at the delays from `first` to `last`, and the loudest blocks of the reference, in
/// the order of time.
fn correlate(reference: &Audio, test: &Audio, first: isize, last: isize, spectrum: Spectrum) -> (Lobe, Vec<Block>) {
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
    let mut blocks = Vec::new();
    for start in starts {
        correlator.add_block(reference, test, start, first, spectrum);
        sum.iter_mut().zip(&correlator.cross).for_each(|(sum, x)| *sum += x);
        let lobe = correlator.lobe(first);
        let length = block.min(frames - start) as f64;
        blocks.push(Block { middle: start as f64 + length / 2.0, frames: length, lobe });
    }
    correlator.cross.copy_from_slice(&sum);
    (correlator.lobe(first), blocks)
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

    /// Makes the cross-spectrum of the block of the reference from frame `start` on and the frames of the test that can
    /// be its own at a delay from `first` on.
    pub fn add_block(&mut self, reference: &Audio, test: &Audio, start: usize, first: isize, spectrum: Spectrum) {
        self.cross.fill(Complex::default());
        for (reference, test) in reference.iter().zip(test.iter()) {
            load(reference, start as isize, self.block, self.block / FADE_SHARE, &mut self.input);
            self.forward.process_with_scratch(&mut self.input, &mut self.left, &mut self.scratch).expect("lengths of the plan");
            let count = self.block + self.delays - 1;
            load(test, start as isize + first, count, self.block / FADE_SHARE, &mut self.input);
            self.forward.process_with_scratch(&mut self.input, &mut self.right, &mut self.scratch).expect("lengths of the plan");
            for ((cross, left), right) in self.cross.iter_mut().zip(&self.left).zip(&self.right) {
                *cross += left.conj() * right;
            }
        }
        let strongest = self.cross.iter().map(|x| x.norm_sqr()).fold(0.0, f32::max).sqrt();
        if strongest > 0.0 && spectrum == Spectrum::Whitened {
            for x in &mut self.cross {
                let power = x.norm() / strongest;
                *x /= strongest * (power + NOISE_POWER).powf(WHITENING);
            }
        }
    }

    /// The highest lobe of the correlation with the spectrum in `cross`, which it overwrites.
    pub fn lobe(&mut self, first: isize) -> Lobe {
        // The inverse of a real signal's spectrum: both ends are real.
        let end = self.cross.len() - 1;
        (self.cross[0].im, self.cross[end].im) = (0.0, 0.0);
        self.back.process_with_scratch(&mut self.cross, &mut self.input, &mut self.scratch).expect("lengths of the plan");
        let found = &self.input[..self.delays];
        let peak = (0..found.len()).max_by(|a, b| found[*a].abs().total_cmp(&found[*b].abs())).expect("there is a delay");
        let height = found[peak];
        if height == 0.0 {
            return Lobe::default();
        }
        // The lobe ends where the correlation changes its sign.
        let same = |x: &&f32| (**x > 0.0) == (height > 0.0);
        let low = peak - found[..peak].iter().rev().take_while(same).count();
        let high = peak + found[peak..].iter().take_while(same).count();
        let beside = || found[..low].iter().chain(&found[high..]);
        let second = beside().fold(0.0f32, |most, x| most.max(x.abs()));
        let mean_square = beside().map(|x| f64::from(x * x)).sum::<f64>() / (found.len() - (high - low)).max(1) as f64;
        let height = f64::from(height.abs());
        Lobe {
            delay: first + peak as isize,
            // Without anything beside it, a lobe tells nothing.
            sharpness: if mean_square > 0.0 { height / mean_square.sqrt() } else { 0.0 },
            second: f64::from(second) / height,
        }
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
