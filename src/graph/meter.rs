//! Levels of channels, from the audio thread to those who show them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

/// Magnitudes below this (-360 dB) are shown as silence.
const INAUDIBLE: f32 = 1e-18;
/// Time constant of the mean square.
const RMS_SECONDS: f32 = 0.3;
/// Sound that does not come for so long has stopped: blocks of 8192 frames at 44.1 kHz come faster.
const BLOCK_SECONDS: f32 = 0.2;

/// What a meter shows of one channel; full scale is 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Level {
    /// Largest magnitude since it was last read.
    pub peak: f32,
    /// Root of the mean square over about 300 ms. When no sound comes any more it falls by the clock, as if silence had come.
    pub rms: f32,
    /// Whether a sample reached full scale since it was last read.
    pub clipped: bool,
}

/// The reading side of a meter node.
#[derive(Clone, Debug)]
pub struct Meter {
    channels: Arc<[Cell]>,
    made: Instant,
}

/// Bits of f32, which for magnitudes order as the numbers do.
#[derive(Debug, Default)]
struct Cell {
    peak: AtomicU32,
    rms: AtomicU32,
    clipped: AtomicBool,
    /// Sound came since it was last read.
    fresh: AtomicBool,
    /// When it was last read after sound had come, in microseconds since the meter was made.
    read_us: AtomicU64,
}

impl Meter {
    /// For a meter node to show its channels on. [control thread: allocates]
    #[must_use]
    pub fn new(channels: usize) -> Self {
        Self { channels: (0..channels).map(|_| Cell::default()).collect(), made: Instant::now() }
    }

    /// [any thread]
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels.len()
    }

    /// The level of a channel since the last call; nothing if there is no such channel. [any thread but the audio thread]
    #[must_use]
    pub fn take(&self, channel: usize) -> Option<Level> {
        self.channels.get(channel).map(|cell| Level {
            peak: f32::from_bits(cell.peak.swap(0, Ordering::Relaxed)),
            rms: f32::from_bits(cell.rms.load(Ordering::Relaxed)) * self.fade(cell),
            clipped: cell.clipped.swap(false, Ordering::Relaxed),
        })
    }

    /// What is left of what a channel last told: 1 while sound comes, falling to 0 by the clock when it does not. It is as exact as
    /// it is often asked for; [`Self::take`] asks, too. [any thread but the audio thread]
    #[must_use]
    pub fn freshness(&self, channel: usize) -> f32 {
        self.channels.get(channel).map_or(0.0, |cell| self.fade(cell))
    }

    fn fade(&self, cell: &Cell) -> f32 {
        let now = self.made.elapsed().as_micros() as u64;
        if cell.fresh.swap(false, Ordering::Relaxed) {
            cell.read_us.store(now, Ordering::Relaxed);
            return 1.0;
        }
        let silent = now.saturating_sub(cell.read_us.load(Ordering::Relaxed)) as f32 / 1e6 - BLOCK_SECONDS;
        let fade = (-silent.max(0.0) / (2.0 * RMS_SECONDS)).exp();
        if fade < 1e-6 { 0.0 } else { fade }
    }
}

/// The writing side of a meter.
#[derive(Debug)]
pub struct Metering {
    shared: Arc<[Cell]>,
    mean_squares: Vec<f32>,
    sample_rate: f32,
}

impl Metering {
    /// Shows the first of `channels` channels on `meter`. [control thread: allocates]
    #[must_use]
    pub fn new(meter: &Meter, channels: usize, sample_rate: f32) -> Self {
        Self { shared: meter.channels.clone(), mean_squares: vec![0.0; channels], sample_rate }
    }

    pub(super) fn reset(&mut self) {
        self.mean_squares.fill(0.0);
    }

    /// The next samples of a channel; nothing if there is no such channel. [audio thread]
    pub fn measure(&mut self, channel: usize, samples: &[f32]) {
        let n = samples.len();
        let keep = (-(n as f32) / (RMS_SECONDS * self.sample_rate)).exp();
        let (Some(cell), Some(mean_square)) = (self.shared.get(channel), self.mean_squares.get_mut(channel)) else { return };
        // Eight sums side by side, so that they need not wait for each other.
        let (mut peaks, mut sums) = ([0.0f32; 8], [0.0f32; 8]);
        for part in samples.chunks(8) {
            for ((peak, sum), x) in peaks.iter_mut().zip(&mut sums).zip(part) {
                let x = x.abs();
                // Neither what comes in nor its square is a denormal: they cost a processor a hundred times more.
                let x = if x < INAUDIBLE { 0.0 } else { x };
                *peak = peak.max(x);
                *sum += x * x;
            }
        }
        let peak = peaks.into_iter().fold(0.0, f32::max);
        let square = sums.iter().sum::<f32>() / n as f32;
        *mean_square = if square.is_finite() { square + keep * (*mean_square - square) } else { 0.0 };
        if *mean_square < 1e-20 {
            *mean_square = 0.0;
        }
        if peak > f32::from_bits(cell.peak.load(Ordering::Relaxed)) {
            cell.peak.store(peak.to_bits(), Ordering::Relaxed);
        }
        cell.rms.store(mean_square.sqrt().to_bits(), Ordering::Relaxed);
        cell.fresh.store(true, Ordering::Relaxed);
        if peak >= 1.0 {
            cell.clipped.store(true, Ordering::Relaxed);
        }
    }
}
