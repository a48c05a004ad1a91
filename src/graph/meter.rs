//! Level meters: measured on the audio thread, read on other threads. Lock-free.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

/// Magnitude (-360 dB) below which a sample counts as silence.
const INAUDIBLE: f32 = 1e-18;
/// Time constant in seconds of the mean square.
const RMS_SECONDS: f32 = 0.3;
/// Time in seconds without a block after which sound counts as stopped: a little more than a block of 8192 frames at 44.1 kHz.
const MAX_BLOCK_SECONDS: f32 = 0.2;

/// The reading of a meter for one channel; linear, full scale is 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MeterReading {
    /// Largest magnitude since the last reading.
    pub peak: f32,
    /// Root mean square with a time constant of 300 ms. Without blocks it decays as if the input were silence.
    pub rms: f32,
    /// True if a sample reached full scale since the last reading.
    pub clipped: bool,
}

/// The reading side of a meter; can be cloned. The writing side is a [`MeterWriter`].
#[derive(Clone, Debug)]
pub struct Meter {
    channels: Arc<[ChannelMeter]>,
    created: Instant,
}

/// The state of one channel, shared by both sides. Levels are the bits of non-negative f32.
#[derive(Debug, Default)]
struct ChannelMeter {
    peak: AtomicU32,
    rms: AtomicU32,
    clipped: AtomicBool,
    /// True if samples were measured since the last reading.
    fresh: AtomicBool,
    /// Time of the last reading that found new samples, in microseconds since the meter was created.
    read_us: AtomicU64,
}

impl Meter {
    /// A meter of `channels` channels, for a meter node to write to. [control thread: allocates]
    #[must_use]
    pub fn new(channels: usize) -> Self {
        Self { channels: (0..channels).map(|_| ChannelMeter::default()).collect(), created: Instant::now() }
    }

    /// Number of channels. [any thread]
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels.len()
    }

    /// Reads the level of a channel, counted from 0, since the last call; `None` if there is no such channel. Restarts peak and
    /// clip detection. [any thread but the audio thread]
    #[must_use]
    pub fn take(&self, channel: usize) -> Option<MeterReading> {
        self.channels.get(channel).map(|state| MeterReading {
            peak: f32::from_bits(state.peak.swap(0, Ordering::Relaxed)),
            rms: f32::from_bits(state.rms.load(Ordering::Relaxed)) * self.decay(state),
            clipped: state.clipped.swap(false, Ordering::Relaxed),
        })
    }

    /// Weight of a channel's last values: 1 while blocks are measured, decaying to 0 after they stop. A call of this method or of
    /// [`Self::take`] detects new blocks, so frequent calls make it accurate. [any thread but the audio thread]
    #[must_use]
    pub fn freshness(&self, channel: usize) -> f32 {
        self.channels.get(channel).map_or(0.0, |state| self.decay(state))
    }

    /// The weight that [`Self::freshness`] returns.
    fn decay(&self, state: &ChannelMeter) -> f32 {
        let now = self.created.elapsed().as_micros() as u64;
        if state.fresh.swap(false, Ordering::Relaxed) {
            state.read_us.store(now, Ordering::Relaxed);
            return 1.0;
        }
        let silent = now.saturating_sub(state.read_us.load(Ordering::Relaxed)) as f32 / 1e6 - MAX_BLOCK_SECONDS;
        let decay = (-silent.max(0.0) / (2.0 * RMS_SECONDS)).exp();
        if decay < 1e-6 { 0.0 } else { decay }
    }
}

/// The writing side of a [`Meter`].
#[derive(Debug)]
pub struct MeterWriter {
    shared: Arc<[ChannelMeter]>,
    mean_squares: Vec<f32>,
    sample_rate: f32,
}

impl MeterWriter {
    /// The writing side of `meter` for a stream of `channels` channels; channels that the meter does not have are not measured.
    /// `sample_rate` in hertz. [control thread: allocates]
    #[must_use]
    pub fn new(meter: &Meter, channels: usize, sample_rate: f32) -> Self {
        Self { shared: meter.channels.clone(), mean_squares: vec![0.0; channels], sample_rate }
    }

    pub(super) fn reset(&mut self) {
        self.mean_squares.fill(0.0);
    }

    /// Measures the next samples of a channel, counted from 0. Does nothing if there is no such channel. [audio thread]
    pub fn measure(&mut self, channel: usize, samples: &[f32]) {
        let n = samples.len();
        let keep = (-(n as f32) / (RMS_SECONDS * self.sample_rate)).exp();
        let (Some(state), Some(mean_square)) = (self.shared.get(channel), self.mean_squares.get_mut(channel)) else { return };
        // Eight sums side by side, so that the additions are independent of each other.
        let (mut peaks, mut sums) = ([0.0f32; 8], [0.0f32; 8]);
        for part in samples.chunks(8) {
            for ((peak, sum), x) in peaks.iter_mut().zip(&mut sums).zip(part) {
                let x = x.abs();
                // Avoids denormal samples and squares, with which a CPU is up to a hundred times slower.
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
        if peak > f32::from_bits(state.peak.load(Ordering::Relaxed)) {
            state.peak.store(peak.to_bits(), Ordering::Relaxed);
        }
        state.rms.store(mean_square.sqrt().to_bits(), Ordering::Relaxed);
        state.fresh.store(true, Ordering::Relaxed);
        if peak >= 1.0 {
            state.clipped.store(true, Ordering::Relaxed);
        }
    }
}
