//! A spectrum analyser: streaming spectra of several channels, and the harmonics of the strongest tone.
//!
//! [`SpectrumStream`] analyses frames as they come, on the caller's thread. [`Analyser`] runs one on a thread of its own; the
//! audio thread passes it frames through a queue and never waits.
//!
//! ```
//! use isotherm::measure::analyser::{AnalyserSettings, SpectrumStream};
//!
//! let mut stream = SpectrumStream::new(48_000, 1, AnalyserSettings::default())?;
//! let sine: Vec<f32> = (0..8192).map(|i| 0.5 * (std::f32::consts::TAU * 1000.0 / 48_000.0 * i as f32).sin()).collect();
//! stream.push(&[&sine]);
//! let tone = stream.spectra().traces[0].tone.clone().expect("a tone");
//! assert!((tone.hz - 1000.0).abs() < 12.0 && (tone.level_db + 6.02).abs() < 0.1);
//! # Ok::<(), isotherm::measure::analyser::AnalyserError>(())
//! ```

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};
use serde::Serialize;

use super::SILENCE_DB;
use super::harmonics::ORDERS;
use super::spectrum::decibels;
use super::tone::AUDIBLE_HZ;
use crate::audio::Window;
use crate::dsp::MAX_CHANNELS;
use crate::graph::{QueueReader, QueueWriter, queue};

/// The shortest and the longest block, in frames.
const BLOCK_FRAMES: (usize, usize) = (64, 1 << 17);
/// The most blocks that overlap at a frame.
const MAX_OVERLAP: usize = 16;
/// The steepest slope in dB per octave, up or down.
const MAX_SLOPE_DB: f32 = 24.0;
/// The frequency in hertz at which a slope changes no level.
const SLOPE_HZ: f64 = 1000.0;
/// Below this level in dB of a full-scale sine there is no tone.
const LOWEST_TONE_DB: f32 = -150.0;
/// Largest magnitude of a sample that counts, 120 dB above full scale: a wild one would hold an average up for ever.
const LARGEST_SAMPLE: f32 = 1e6;
/// Seconds of sound that the queue holds: the analysis may be late by that much.
const QUEUE_SECONDS: f64 = 0.5;
/// Frames that the thread takes from the queue at a time.
const READ_FRAMES: usize = 4096;
/// Time between two looks of the thread at its queue.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Settings of an analyser, which may change at any time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AnalyserSettings {
    /// Frames of a transform: a power of two, 64 to 131072.
    pub block_frames: usize,
    /// Number of blocks that overlap at a frame, 1 to 16: a transform comes every `block_frames / overlap` frames.
    pub overlap: usize,
    /// Window of a transform.
    pub window: Window,
    /// Slope that is added to the spectra, in dB per octave, 0 at 1 kHz; pink noise is level at 3. -24 to 24.
    pub slope_db_per_octave: f32,
    /// Width in octaves over which the power of the spectra is averaged; 0 for none.
    pub smoothing_octaves: f32,
    /// Time constant in seconds of the exponential average of successive spectra's power; 0 for none.
    pub averaging_seconds: f32,
    /// True to keep the largest level of each bin in [`Trace::held_db`], from when this is set.
    pub hold: bool,
    /// True to leave the spectra as they are, whatever comes.
    pub freeze: bool,
    /// Two channels, whose difference is one more trace: the first less the second.
    pub difference: Option<(usize, usize)>,
}

impl Default for AnalyserSettings {
    /// Blocks of 4096 frames, four at a frame, Hann window, nothing else.
    fn default() -> Self {
        Self {
            block_frames: 4096,
            overlap: 4,
            window: Window::Hann,
            slope_db_per_octave: 0.0,
            smoothing_octaves: 0.0,
            averaging_seconds: 0.0,
            hold: false,
            freeze: false,
            difference: None,
        }
    }
}

/// The reason why an analyser cannot be made or set.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AnalyserError {
    /// The sample rate is 0.
    #[error("sample rate is 0 Hz; expected 1 or more")]
    SampleRate,
    /// No channel, or too many.
    #[error("{found} channels; expected 1 to {MAX_CHANNELS}")]
    Channels {
        /// The number of channels.
        found: usize,
    },
    /// The size of a block is no power of two, or out of range.
    #[error("blocks of {found} frames; expected a power of two from {} to {}", BLOCK_FRAMES.0, BLOCK_FRAMES.1)]
    BlockFrames {
        /// The frames.
        found: usize,
    },
    /// The overlap is out of range.
    #[error("an overlap of {found}; expected 1 to {MAX_OVERLAP} blocks")]
    Overlap {
        /// The number of blocks.
        found: usize,
    },
    /// A slope, a smoothing or an averaging is out of range.
    #[error("{name} is {found}; expected {expected}")]
    Value {
        /// The name of the field.
        name: &'static str,
        /// Its value.
        found: f32,
        /// The range, as text.
        expected: &'static str,
    },
    /// The difference names a channel that is not there.
    #[error("channel {found} in the difference; expected one below {channels}")]
    Channel {
        /// The channel, from 0.
        found: usize,
        /// The number of channels.
        channels: usize,
    },
    /// The system gives no thread.
    #[error("no thread for the analyser: {0}")]
    Thread(String),
}

impl AnalyserSettings {
    /// Checks that all values are in range for this number of channels. [any thread]
    ///
    /// # Errors
    /// [`AnalyserError`] for the first value that is not.
    pub fn check(&self, channels: usize) -> Result<(), AnalyserError> {
        let (shortest, longest) = BLOCK_FRAMES;
        if !self.block_frames.is_power_of_two() || !(shortest..=longest).contains(&self.block_frames) {
            return Err(AnalyserError::BlockFrames { found: self.block_frames });
        }
        if !(1..=MAX_OVERLAP).contains(&self.overlap) {
            return Err(AnalyserError::Overlap { found: self.overlap });
        }
        let value = |name, found: f32, low: f32, high: f32, expected| {
            if (low..=high).contains(&found) { Ok(()) } else { Err(AnalyserError::Value { name, found, expected }) }
        };
        value("slope_db_per_octave", self.slope_db_per_octave, -MAX_SLOPE_DB, MAX_SLOPE_DB, "-24 to 24")?;
        value("smoothing_octaves", self.smoothing_octaves, 0.0, 10.0, "0 to 10")?;
        value("averaging_seconds", self.averaging_seconds, 0.0, 1000.0, "0 to 1000")?;
        let (a, b) = self.difference.unwrap_or((0, 0));
        match [a, b].into_iter().find(|channel| *channel >= channels) {
            Some(found) => Err(AnalyserError::Channel { found, channels }),
            None => Ok(()),
        }
    }

    /// Frames from one transform to the next.
    fn hop(&self) -> usize {
        self.block_frames / self.overlap.min(self.block_frames)
    }

    /// Number of traces for this number of channels.
    fn traces(&self, channels: usize) -> usize {
        channels + usize::from(self.difference.is_some())
    }
}

/// The spectra of a moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spectra {
    /// Sample rate in hertz.
    pub sample_rate: u32,
    /// Frames of a transform; bin `k` of a trace is at `k * sample_rate / block_frames` hertz.
    pub block_frames: usize,
    /// Number of transforms so far; 0 if there is no spectrum yet.
    pub count: u64,
    /// A trace for each channel, then that of the difference if it is set.
    pub traces: Vec<Trace>,
}

/// The spectrum of a channel, or of the difference of two.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trace {
    /// Level of each bin from DC to Nyquist, in dB of a sine of amplitude 1, with slope, smoothing and averaging.
    pub level_db: Vec<f32>,
    /// The largest level of each bin since hold was set; empty without hold.
    pub held_db: Vec<f32>,
    /// The strongest tone; `None` if there is none, or if it is so low that DC or its mirror image is among its bins: below 7 to
    /// 11 bins by window, 41 without one.
    pub tone: Option<ToneReading>,
}

/// The strongest tone of a spectrum, with its harmonics. Slope and smoothing change nothing here.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ToneReading {
    /// Frequency in hertz, to a fraction of a bin.
    pub hz: f32,
    /// Level in dB of a sine of amplitude 1, from all bins of the tone: the frequency's place between two bins plays no part.
    pub level_db: f32,
    /// Levels of the harmonics 2 to 7 below 20 kHz, in dB of a sine of amplitude 1. Without a harmonic it is that of the noise
    /// there.
    pub harmonics_db: Vec<f32>,
    /// Distortion by these harmonics, in percent of the tone; `None` if there is no room for any.
    pub thd_percent: Option<f32>,
}

/// Spectra of a stream of frames, on the caller's thread. [any thread but the audio thread: allocates]
pub struct SpectrumStream {
    sample_rate: u32,
    channels: usize,
    settings: AnalyserSettings,
    plan: Arc<dyn RealToComplex<f32>>,
    window: Vec<f32>,
    /// The last frames of each channel, a block at most.
    history: Vec<Vec<f32>>,
    /// Frames until the next transform.
    to_next: usize,
    /// Averaged power of each bin of each trace; a sine of amplitude 1 on the centre of a bin has 1.
    power: Vec<Vec<f64>>,
    held_db: Vec<Vec<f32>>,
    count: u64,
    /// Input and output of the transform.
    input: Vec<f32>,
    bins: Vec<Complex<f32>>,
}

impl SpectrumStream {
    /// An analysis that has seen nothing yet.
    ///
    /// # Errors
    /// [`AnalyserError`] if a value is out of range.
    pub fn new(sample_rate: u32, channels: usize, settings: AnalyserSettings) -> Result<Self, AnalyserError> {
        if sample_rate == 0 {
            return Err(AnalyserError::SampleRate);
        }
        if !(1..=MAX_CHANNELS).contains(&channels) {
            return Err(AnalyserError::Channels { found: channels });
        }
        settings.check(channels)?;
        let frames = settings.block_frames;
        let plan = RealFftPlanner::new().plan_fft_forward(frames);
        Ok(Self {
            sample_rate,
            channels,
            settings,
            window: (0..frames).map(|i| settings.window.value(i as f64 / frames as f64) as f32).collect(),
            history: vec![Vec::with_capacity(frames); channels],
            to_next: frames,
            power: vec![Vec::new(); settings.traces(channels)],
            held_db: vec![Vec::new(); settings.traces(channels)],
            count: 0,
            input: plan.make_input_vec(),
            bins: plan.make_output_vec(),
            plan,
        })
    }

    /// Takes other settings. If block size, window or the difference change, the analysis begins again; else the spectra go
    /// on.
    ///
    /// # Errors
    /// [`AnalyserError`] if a value is out of range; the settings stay as they were.
    pub fn set(&mut self, settings: AnalyserSettings) -> Result<(), AnalyserError> {
        settings.check(self.channels)?;
        let old = std::mem::replace(&mut self.settings, settings);
        let is_same = |a: &AnalyserSettings| (a.block_frames, a.window, a.difference);
        if is_same(&old) != is_same(&settings) {
            *self = Self::new(self.sample_rate, self.channels, settings)?;
        }
        if !settings.hold {
            self.held_db.iter_mut().for_each(Vec::clear);
        }
        Ok(())
    }

    /// Forgets the frames that wait for a transform, as after a gap; the spectra stay.
    pub fn interrupt(&mut self) {
        self.history.iter_mut().for_each(Vec::clear);
        self.to_next = self.settings.block_frames;
    }

    /// Takes frames, a slice per channel, and makes a transform whenever there are enough. NaN and infinity count as
    /// silence, and magnitudes above 1e6 as 1e6.
    ///
    /// # Panics
    /// If the number of slices is not that of the channels, or if they differ in length.
    pub fn push(&mut self, block: &[&[f32]]) {
        assert_eq!(block.len(), self.channels, "channels of the block and of the analysis");
        let frames = block[0].len();
        assert!(block.iter().all(|channel| channel.len() == frames), "lengths of the channels");
        let mut at = 0;
        while at < frames {
            let taken = self.to_next.min(frames - at);
            for (history, channel) in self.history.iter_mut().zip(block) {
                let surplus = (history.len() + taken).saturating_sub(self.settings.block_frames);
                history.drain(..surplus.min(history.len()));
                let limited = |x: &f32| if x.is_finite() { x.clamp(-LARGEST_SAMPLE, LARGEST_SAMPLE) } else { 0.0 };
                history.extend(channel[at..at + taken].iter().map(limited));
            }
            at += taken;
            self.to_next -= taken;
            if self.to_next == 0 {
                self.to_next = self.settings.hop();
                if !self.settings.freeze {
                    self.transform();
                }
            }
        }
    }

    /// Transforms the history of each trace and adds its power to the average.
    fn transform(&mut self) {
        let seconds = self.settings.hop() as f64 / f64::from(self.sample_rate);
        let averaging = f64::from(self.settings.averaging_seconds);
        let weight = if averaging > 0.0 { 1.0 - (-seconds / averaging).exp() } else { 1.0 };
        // A sine of amplitude 1 on a bin's centre has half the window's sum there.
        let sum: f64 = self.window.iter().map(|w| f64::from(*w)).sum();
        let scale = 4.0 / (sum * sum);
        for trace in 0..self.power.len() {
            match self.settings.difference {
                Some((a, b)) if trace == self.channels => {
                    let both = self.history[a].iter().zip(&self.history[b]);
                    self.input.iter_mut().zip(both).zip(&self.window).for_each(|((x, (a, b)), w)| *x = (a - b) * w);
                }
                _ => {
                    let history = &self.history[trace];
                    self.input.iter_mut().zip(history).zip(&self.window).for_each(|((x, y), w)| *x = y * w);
                }
            }
            self.plan.process(&mut self.input, &mut self.bins).expect("both vectors are of the plan's length");
            let square = |x: f32| f64::from(x) * f64::from(x);
            let powers = self.bins.iter().map(|bin| (square(bin.re) + square(bin.im)) * scale);
            let power = &mut self.power[trace];
            if power.is_empty() {
                power.extend(powers);
            } else {
                power.iter_mut().zip(powers).for_each(|(average, new)| *average += weight * (new - *average));
            }
            if self.settings.hold {
                let level_db = self.level_db(trace);
                let held = &mut self.held_db[trace];
                if held.is_empty() {
                    *held = level_db;
                } else {
                    held.iter_mut().zip(level_db).for_each(|(held, level)| *held = held.max(level));
                }
            }
        }
        self.count += 1;
    }

    /// The spectra up to the last transform.
    #[must_use]
    pub fn spectra(&self) -> Spectra {
        let traces = (0..self.power.len())
            .map(|trace| Trace {
                level_db: self.level_db(trace),
                held_db: self.held_db[trace].clone(),
                tone: self.tone(&self.power[trace]),
            })
            .collect();
        Spectra { sample_rate: self.sample_rate, block_frames: self.settings.block_frames, count: self.count, traces }
    }

    /// Hertz from one bin to the next.
    fn spacing_hz(&self) -> f64 {
        f64::from(self.sample_rate) / self.settings.block_frames as f64
    }

    /// Levels of a trace with smoothing and slope.
    fn level_db(&self, trace: usize) -> Vec<f32> {
        let power = &self.power[trace];
        let AnalyserSettings { smoothing_octaves, slope_db_per_octave, .. } = self.settings;
        let level = |power: f64, bin: usize| {
            let octaves = (bin.max(1) as f64 * self.spacing_hz() / SLOPE_HZ).log2();
            decibels(power).max(SILENCE_DB) + slope_db_per_octave * octaves as f32
        };
        if smoothing_octaves == 0.0 {
            return power.iter().enumerate().map(|(bin, power)| level(*power, bin)).collect();
        }
        // Sums of all bins below each one, so that a mean costs a subtraction.
        let mut below = vec![0.0];
        for power in power {
            below.push(below[below.len() - 1] + power);
        }
        let ratio = (0.5 * f64::from(smoothing_octaves)).exp2();
        let mean = |bin: usize| {
            let first = (bin as f64 / ratio).ceil() as usize;
            let last = ((bin as f64 * ratio) as usize).clamp(bin, power.len() - 1);
            (below[last + 1] - below[first]) / (last + 1 - first) as f64
        };
        (0..power.len()).map(|bin| level(mean(bin), bin)).collect()
    }

    /// The strongest tone of a spectrum.
    fn tone(&self, power: &[f64]) -> Option<ToneReading> {
        let frames = self.window.len() as f64;
        let reach = main_lobe_bins(self.settings.window);
        let (sum, squares) = self.window.iter().map(|w| f64::from(*w)).fold((0.0, 0.0), |(s, q), w| (s + w, q + w * w));
        // The bins of a tone have together the power at its centre times the window's noise bandwidth (Harris, 1978).
        let bandwidth = frames * squares / (sum * sum);
        // The mirror image of a lower tone, and DC, would be among its bins.
        let lowest = 2 * reach + 1;
        let highest = power.len().checked_sub(reach + 1)?;
        // Bins where the spectrum is higher than beside them: neither the flank of a tone nor that of DC counts. The side lobes of
        // a tone that is too low do not count, either, since it is higher itself.
        let is_peak = |bin: &usize| power[*bin] >= power[*bin - 1] && power[*bin] >= power[*bin + 1];
        let peak = (1..highest).filter(is_peak).max_by(|a, b| power[*a].total_cmp(&power[*b]))?;
        if peak < lowest {
            return None;
        }
        let bins = |centre: usize| centre - reach..=centre + reach;
        let energy = |centre: usize| bins(centre).map(|bin| power[bin]).sum::<f64>() / bandwidth;
        let centroid = |centre: usize| {
            let near = centre - 1..=centre + 1;
            near.clone().map(|bin| bin as f64 * power[bin].sqrt()).sum::<f64>() / near.map(|bin| power[bin].sqrt()).sum::<f64>()
        };
        let tone = energy(peak);
        if decibels(tone) < LOWEST_TONE_DB {
            return None;
        }
        let place = centroid(peak);
        let harmonics: Vec<f64> = (2..=ORDERS)
            .map(|order| (place * order as f64).round() as usize)
            .take_while(|bin| *bin < highest && *bin as f64 * self.spacing_hz() <= AUDIBLE_HZ.1)
            .map(energy)
            .collect();
        Some(ToneReading {
            hz: (place * self.spacing_hz()) as f32,
            level_db: decibels(tone),
            thd_percent: (!harmonics.is_empty()).then(|| (100.0 * (harmonics.iter().sum::<f64>() / tone).sqrt()) as f32),
            harmonics_db: harmonics.into_iter().map(decibels).collect(),
        })
    }
}

/// Bins on each side of a tone that have nearly all of its power, by window.
const fn main_lobe_bins(window: Window) -> usize {
    match window {
        // Its side lobes fall slowly: 1 % of the power is outside of 20 bins.
        Window::Rectangle => 20,
        Window::Hann | Window::Hamming => 3,
        Window::Blackman => 4,
        Window::BlackmanHarris => 5,
    }
}

/// What the threads of an analyser share.
struct Shared {
    /// New settings for the thread; taken by it.
    settings: Mutex<Option<AnalyserSettings>>,
    spectra: Mutex<Arc<Spectra>>,
    /// Frames that found the queue full, as far as the thread has seen.
    lost_frames: AtomicU64,
    is_over: AtomicBool,
}

/// Locks a mutex of [`Shared`]: what it guards is whole even if a thread ended while it held the lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An analyser on a thread of its own, which ends when this is dropped. [control thread]
pub struct Analyser {
    shared: Arc<Shared>,
    channels: usize,
    thread: Option<JoinHandle<()>>,
}

impl Analyser {
    /// Starts an analyser for this sample rate in hertz and number of channels. The audio thread passes it blocks with
    /// [`QueueWriter::write`], which neither waits nor allocates. [control thread: allocates]
    ///
    /// # Errors
    /// [`AnalyserError`] if a value is out of range, or there is no thread.
    pub fn start(sample_rate: u32, channels: usize, settings: AnalyserSettings) -> Result<(Self, QueueWriter), AnalyserError> {
        let stream = SpectrumStream::new(sample_rate, channels, settings)?;
        let (writer, reader) = queue(channels, ((QUEUE_SECONDS * f64::from(sample_rate)) as usize).max(READ_FRAMES));
        let shared = Arc::new(Shared {
            settings: Mutex::new(None),
            spectra: Mutex::new(Arc::new(stream.spectra())),
            lost_frames: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        });
        let worker = shared.clone();
        let thread = std::thread::Builder::new()
            .name("analyser".into())
            .spawn(move || analyse(&worker, reader, stream))
            .map_err(|error| AnalyserError::Thread(error.to_string()))?;
        Ok((Self { shared, channels, thread: Some(thread) }, writer))
    }

    /// Gives the thread other settings, which it takes within milliseconds.
    ///
    /// # Errors
    /// [`AnalyserError`] if a value is out of range.
    pub fn set(&self, settings: AnalyserSettings) -> Result<(), AnalyserError> {
        settings.check(self.channels)?;
        *lock(&self.shared.settings) = Some(settings);
        Ok(())
    }

    /// The newest spectra.
    #[must_use]
    pub fn spectra(&self) -> Arc<Spectra> {
        lock(&self.shared.spectra).clone()
    }

    /// Number of frames that found the queue full so far: the analysis was late.
    #[must_use]
    pub fn lost_frames(&self) -> u64 {
        self.shared.lost_frames.load(Ordering::Relaxed)
    }
}

impl Drop for Analyser {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic of the thread has been told already.
            let _ = thread.join();
        }
    }
}

/// Passes what is in the queue to the analysis, a block at most, and returns its frames. If frames were lost, the queue holds
/// those before the gap and perhaps some after it: none of them count.
fn take(shared: &Shared, reader: &mut QueueReader, stream: &mut SpectrumStream, block: &mut [Vec<f32>]) -> usize {
    let frames = reader.read_available(block);
    // Read before the queue is emptied: a gap that comes meanwhile is seen the next time.
    let lost_frames = reader.overflow();
    if lost_frames != shared.lost_frames.load(Ordering::Relaxed) {
        while reader.read_available(block) > 0 {}
        stream.interrupt();
        shared.lost_frames.store(lost_frames, Ordering::Relaxed);
        return 0;
    }
    let slices: Vec<&[f32]> = block.iter().map(|channel| &channel[..frames]).collect();
    stream.push(&slices);
    frames
}

/// The thread of an analyser: takes what is in the queue, and publishes the spectra after each transform.
fn analyse(shared: &Shared, mut reader: QueueReader, mut stream: SpectrumStream) {
    let mut block = vec![vec![0.0; READ_FRAMES]; stream.channels];
    let mut published = stream.count;
    while !shared.is_over.load(Ordering::Relaxed) {
        let settings = lock(&shared.settings).take();
        let is_set = settings.is_some();
        if let Some(settings) = settings {
            // They were checked when they were given.
            let set = stream.set(settings);
            debug_assert!(set.is_ok(), "{set:?}");
        }
        let frames = take(shared, &mut reader, &mut stream, &mut block);
        if stream.count != published || is_set {
            published = stream.count;
            *lock(&shared.spectra) = Arc::new(stream.spectra());
        }
        if frames < READ_FRAMES {
            std::thread::park_timeout(POLL_INTERVAL);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::audio::{Random, generate};

    const RATE: u32 = 48_000;

    fn sine(hz: f64, amplitude: f64, frames: usize) -> Vec<f32> {
        let at = |i: usize| (std::f64::consts::TAU * (hz * i as f64 / f64::from(RATE)).fract()).sin();
        (0..frames).map(|i| (amplitude * at(i)) as f32).collect()
    }

    fn mono(settings: AnalyserSettings, sound: &[f32]) -> Trace {
        let mut stream = SpectrumStream::new(RATE, 1, settings).unwrap();
        stream.push(&[sound]);
        stream.spectra().traces.remove(0)
    }

    #[test]
    fn a_tones_level_is_within_a_tenth_of_a_db_and_its_frequency_within_a_bin_wherever_it_lies() {
        let windows = [Window::Rectangle, Window::Hann, Window::Hamming, Window::Blackman, Window::BlackmanHarris];
        for window in windows {
            for block_frames in [1024, 4096, 16_384] {
                let spacing = f64::from(RATE) / block_frames as f64;
                for step in 0..10 {
                    let hz = 3000.0 + 0.1 * f64::from(step) * spacing;
                    for level_db in [0.0, -20.0, -80.0] {
                        let settings = AnalyserSettings { window, block_frames, ..AnalyserSettings::default() };
                        let sound = sine(hz, 10f64.powf(level_db / 20.0), 2 * block_frames);
                        let tone = mono(settings, &sound).tone.unwrap();
                        let (level, place) = (f64::from(tone.level_db), f64::from(tone.hz));
                        assert!((level - level_db).abs() < 0.1, "{window:?}, {block_frames}, {hz} Hz: {level} dB");
                        assert!((place - hz).abs() < spacing, "{window:?}, {block_frames}, {hz} Hz: {place} Hz");
                    }
                }
            }
        }
    }

    #[test]
    fn a_sine_on_a_bins_centre_has_its_level_in_the_spectrum() {
        let trace = mono(AnalyserSettings::default(), &sine(750.0, 0.5, 8192));
        assert_eq!(trace.level_db.len(), 2049);
        let (bin, level) = trace.level_db.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap();
        assert!(bin == 64 && (level + 6.02).abs() < 0.01, "{bin}: {level}");
        assert!(trace.held_db.is_empty());
    }

    #[test]
    fn the_harmonics_of_a_tone_have_their_levels_and_give_the_thd() {
        let hz = 441.7;
        let parts = [(1.0, 0.5), (2.0, 0.015), (3.0, 0.02), (7.0, 0.005)];
        let mut sound = vec![0.0f32; 32_768];
        for (order, amplitude) in parts {
            sound.iter_mut().zip(sine(order * hz, amplitude, 32_768)).for_each(|(sum, x)| *sum += x);
        }
        let settings = AnalyserSettings { window: Window::BlackmanHarris, block_frames: 16_384, ..AnalyserSettings::default() };
        let tone = mono(settings, &sound).tone.unwrap();
        assert_eq!(tone.harmonics_db.len(), ORDERS - 1);
        for (order, amplitude) in &parts[1..] {
            let (found, expected) = (tone.harmonics_db[*order as usize - 2], 20.0 * amplitude.log10());
            assert!((f64::from(found) - expected).abs() < 0.1, "{order}: {found} dB; expected {expected}");
        }
        assert!(tone.harmonics_db[2] < -90.0, "there is no fourth harmonic: {:?}", tone.harmonics_db);
        let thd = 100.0 * (0.015f64.powi(2) + 0.02f64.powi(2) + 0.005f64.powi(2)).sqrt() / 0.5;
        assert!((f64::from(tone.thd_percent.unwrap()) / thd - 1.0).abs() < 0.01, "{:?}; expected {thd}", tone.thd_percent);
        let high = mono(AnalyserSettings::default(), &sine(12_000.0, 0.5, 8192)).tone.unwrap();
        assert_eq!((high.harmonics_db.len(), high.thd_percent), (0, None));
    }

    #[test]
    fn pink_noise_is_level_with_a_slope_of_3_db_and_falls_by_3_db_without() {
        let pink = generate::pink(RATE, 0.1, 40 * RATE as usize, 1).unwrap();
        for (slope, expected) in [(0.0f32, -3.01f64), (3.0, 0.0)] {
            let settings = AnalyserSettings {
                slope_db_per_octave: slope,
                smoothing_octaves: 1.0,
                averaging_seconds: 20.0,
                ..AnalyserSettings::default()
            };
            let levels = mono(settings, pink.channel(0)).level_db;
            let at = |hz: f64| f64::from(levels[(hz * 4096.0 / f64::from(RATE)).round() as usize]);
            for hz in [200.0, 800.0, 3200.0] {
                let slope = (at(4.0 * hz) - at(hz)) / 2.0;
                assert!((slope - expected).abs() < 0.3, "{hz} Hz: {slope} dB per octave; expected {expected}");
            }
        }
    }

    #[test]
    fn smoothing_keeps_the_level_of_white_noise_and_lowers_its_spread() {
        let mut random = Random::new(1);
        let noise: Vec<f32> = (0..1 << 17).map(|_| random.within(-0.5, 0.5)).collect();
        let spread = |smoothing_octaves: f32| {
            let settings = AnalyserSettings { smoothing_octaves, averaging_seconds: 1.0, ..AnalyserSettings::default() };
            let levels = mono(settings, &noise).level_db;
            let powers: Vec<f64> = levels[200..1500].iter().map(|db| 10f64.powf(f64::from(*db) / 10.0)).collect();
            let mean = powers.iter().sum::<f64>() / powers.len() as f64;
            let variance = powers.iter().map(|p| (p - mean).powi(2)).sum::<f64>() / powers.len() as f64;
            (10.0 * mean.log10(), variance.sqrt() / mean)
        };
        let ((plain_db, plain), (smooth_db, smooth)) = (spread(0.0), spread(1.0 / 3.0));
        assert!((plain_db - smooth_db).abs() < 0.1 && smooth < 0.3 * plain, "{plain_db} {smooth_db} dB, {plain} {smooth}");
    }

    #[test]
    fn averaging_falls_by_its_time_constant_and_hold_keeps_the_largest() {
        let second = RATE as usize;
        let settings = AnalyserSettings { averaging_seconds: 0.5, hold: true, ..AnalyserSettings::default() };
        let mut stream = SpectrumStream::new(RATE, 1, settings).unwrap();
        stream.push(&[&sine(750.0, 1.0, 4 * second)]);
        let level = |stream: &SpectrumStream| stream.spectra().traces[0].level_db[64];
        let before = level(&stream);
        // After a block of silence nothing of the sine is in the transforms, which are 1024 frames apart.
        stream.push(&[&vec![0.0; 4096]]);
        let start = level(&stream);
        stream.push(&[&vec![0.0; 46 * 1024]]);
        let fall = 10.0 * std::f32::consts::LOG10_E * 46.0 * 1024.0 / (0.5 * RATE as f32);
        assert!((start - level(&stream) - fall).abs() < 0.01, "{} and {fall}", start - level(&stream));
        assert_eq!(stream.spectra().traces[0].held_db[64], before);
        stream.set(AnalyserSettings { hold: false, ..settings }).unwrap();
        assert!(stream.spectra().traces[0].held_db.is_empty());
    }

    #[test]
    fn a_frozen_analysis_keeps_its_spectra() {
        let mut stream = SpectrumStream::new(RATE, 1, AnalyserSettings::default()).unwrap();
        stream.push(&[&sine(750.0, 1.0, 8192)]);
        let before = stream.spectra();
        stream.set(AnalyserSettings { freeze: true, ..AnalyserSettings::default() }).unwrap();
        stream.push(&[&sine(3000.0, 1.0, 8192)]);
        assert_eq!(stream.spectra(), before);
        stream.set(AnalyserSettings::default()).unwrap();
        stream.push(&[&sine(3000.0, 1.0, 8192)]);
        assert!((stream.spectra().traces[0].tone.clone().unwrap().hz - 3000.0).abs() < 12.0);
    }

    #[test]
    fn the_difference_of_two_channels_is_a_trace_of_its_own() {
        let settings = AnalyserSettings { difference: Some((0, 1)), ..AnalyserSettings::default() };
        let mut stream = SpectrumStream::new(RATE, 2, settings).unwrap();
        let (left, right) = (sine(1000.0, 0.5, 8192), sine(1000.0, 0.45, 8192));
        stream.push(&[&left, &right]);
        let levels: Vec<f32> = stream.spectra().traces.iter().map(|trace| trace.tone.clone().unwrap().level_db).collect();
        let expected = [0.5f32, 0.45, 0.05].map(|amplitude| 20.0 * amplitude.log10());
        assert!(levels.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 0.1), "{levels:?}");
        stream.push(&[&left, &left]);
        assert_eq!(stream.spectra().traces[2].tone, None, "equal channels leave nothing");
    }

    #[test]
    fn spectra_do_not_depend_on_how_the_stream_is_cut() {
        let mut random = Random::new(3);
        let sound: Vec<f32> = (0..30_000).map(|_| random.within(-1.0, 1.0)).collect();
        let settings = AnalyserSettings { averaging_seconds: 0.1, overlap: 3, ..AnalyserSettings::default() };
        let whole = mono(settings, &sound);
        let mut stream = SpectrumStream::new(RATE, 1, settings).unwrap();
        let mut rest = &sound[..];
        while !rest.is_empty() {
            let (part, after) = rest.split_at((1 + random.below(9000)).min(rest.len()));
            stream.push(&[part]);
            rest = after;
        }
        assert_eq!(stream.spectra().traces[0], whole);
    }

    #[test]
    fn nan_and_silence_give_a_spectrum_without_a_tone() {
        let trace = mono(AnalyserSettings::default(), &[f32::NAN; 8192]);
        assert!(trace.level_db.iter().all(|db| *db == SILENCE_DB) && trace.tone.is_none());
    }

    #[test]
    fn values_out_of_range_are_named() {
        let of = |settings: AnalyserSettings| SpectrumStream::new(RATE, 2, settings).err().unwrap().to_string();
        let base = AnalyserSettings::default();
        assert!(of(AnalyserSettings { block_frames: 1000, ..base }).contains("blocks of 1000 frames; expected a power of two"));
        assert!(of(AnalyserSettings { overlap: 0, ..base }).contains("overlap of 0; expected 1 to 16"));
        assert!(of(AnalyserSettings { slope_db_per_octave: f32::NAN, ..base }).contains("slope_db_per_octave is NaN"));
        assert!(of(AnalyserSettings { difference: Some((0, 2)), ..base }).contains("channel 2 in the difference"));
        assert_eq!(SpectrumStream::new(RATE, 0, base).err(), Some(AnalyserError::Channels { found: 0 }));
        assert_eq!(SpectrumStream::new(0, 1, base).err(), Some(AnalyserError::SampleRate));
    }

    #[test]
    fn the_thread_shows_what_the_audio_thread_feeds_and_takes_new_settings() {
        let (analyser, mut feed) = Analyser::start(RATE, 2, AnalyserSettings::default()).unwrap();
        let sound = sine(1000.0, 0.5, 1 << 16);
        // Blocks are fed again until the thread has shown them, however slow the machine is.
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut wait_for = |is_there: &dyn Fn(&Spectra) -> bool| {
            for block in sound.chunks(480).cycle() {
                feed.write(&[block, block]);
                if is_there(&analyser.spectra()) {
                    return;
                }
                assert!(Instant::now() < deadline, "{:?}", analyser.spectra().traces[0].tone);
                std::thread::sleep(Duration::from_millis(1));
            }
        };
        wait_for(&|spectra| {
            spectra.traces.len() == 2
                && spectra.traces.iter().all(|trace| trace.tone.as_ref().is_some_and(|tone| (tone.hz - 1000.0).abs() < 12.0))
        });
        analyser.set(AnalyserSettings { block_frames: 1024, ..AnalyserSettings::default() }).unwrap();
        wait_for(&|spectra| spectra.block_frames == 1024 && spectra.count > 0 && spectra.traces[1].level_db.len() == 513);
        assert!(analyser.set(AnalyserSettings { overlap: 99, ..AnalyserSettings::default() }).is_err());
    }

    #[test]
    fn frames_that_find_the_queue_full_are_counted_and_the_analysis_goes_on_after_the_gap() {
        let (analyser, mut feed) = Analyser::start(RATE, 1, AnalyserSettings::default()).unwrap();
        let sound = sine(1000.0, 0.5, 4 * RATE as usize);
        // Two seconds at once do not fit in half a second.
        let taken = feed.write(&[&sound[..2 * RATE as usize]]);
        assert!(taken < RATE as usize, "{taken}");
        let deadline = Instant::now() + Duration::from_secs(60);
        while analyser.lost_frames() == 0 {
            assert!(Instant::now() < deadline);
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(analyser.lost_frames(), 2 * u64::from(RATE) - taken as u64);
        let before = analyser.spectra().count;
        while analyser.spectra().count == before {
            feed.write(&[&sound[..480]]);
            assert!(Instant::now() < deadline);
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_tone_that_is_too_low_is_no_tone_and_never_another_one() {
        let windows = [Window::Rectangle, Window::Hann, Window::Hamming, Window::Blackman, Window::BlackmanHarris];
        for window in windows {
            let settings = AnalyserSettings { window, ..AnalyserSettings::default() };
            let mut found = 0;
            for hz in (2..=60).map(|step| 10.0 * f64::from(step)) {
                let Some(tone) = mono(settings, &sine(hz, 0.5, 8192)).tone else { continue };
                found += 1;
                assert!((f64::from(tone.hz) - hz).abs() < 12.0, "{window:?}, {hz} Hz: {tone:?}");
            }
            assert!((5..58).contains(&found), "{window:?}: {found}");
        }
        assert_eq!(mono(AnalyserSettings::default(), &sine(50.0, 0.5, 8192)).tone, None);
    }

    #[test]
    fn one_huge_sample_leaves_the_average_again() {
        let settings = AnalyserSettings { averaging_seconds: 0.05, ..AnalyserSettings::default() };
        let mut stream = SpectrumStream::new(RATE, 1, settings).unwrap();
        let mut sound = sine(750.0, 0.5, 4 * RATE as usize);
        sound[10_000] = 1e18;
        stream.push(&[&sound]);
        let tone = stream.spectra().traces[0].tone.clone().unwrap();
        assert!((tone.level_db + 6.02).abs() < 0.1, "{tone:?}");
        assert!(stream.spectra().traces[0].level_db.iter().all(|db| db.is_finite()));
    }

    #[test]
    fn a_transform_has_no_frames_from_both_sides_of_a_gap() {
        let settings = AnalyserSettings::default();
        let mut stream = SpectrumStream::new(RATE, 1, settings).unwrap();
        let shared = Shared {
            settings: Mutex::new(None),
            spectra: Mutex::new(Arc::new(stream.spectra())),
            lost_frames: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        };
        let (mut writer, mut reader) = queue(1, 2 * READ_FRAMES);
        let mut block = vec![vec![0.0; READ_FRAMES]];
        let mut take = |stream: &mut SpectrumStream| take(&shared, &mut reader, stream, &mut block);
        // The queue is full of frames before the gap when frames are lost.
        assert_eq!(writer.write(&[sine(3000.0, 1.0, 2 * READ_FRAMES + 100)]), 2 * READ_FRAMES);
        assert_eq!((take(&mut stream), shared.lost_frames.load(Ordering::Relaxed)), (0, 100));
        writer.write(&[sine(750.0, 1.0, 2048)]);
        assert_eq!((take(&mut stream), take(&mut stream), stream.count), (2048, 0, 0));
        writer.write(&[sine(750.0, 1.0, 2048)]);
        assert_eq!((take(&mut stream), stream.count), (2048, 1));
    }
}
