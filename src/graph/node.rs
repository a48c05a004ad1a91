//! The nodes of a plan.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use arrayvec::ArrayVec;

use super::dip::Dip;
use super::{QueueReader, QueueWriter, RollingWriter, SUB_BLOCK};
use crate::dsp::{Delay, MAX_CHANNELS, Processor, Ramp};

/// The samples of one bus in a sub-block: channel after channel, [`SUB_BLOCK`] frames each.
pub(super) type Storage = Vec<f32>;

/// The channels of a storage, `n` frames each.
pub(super) fn slices(storage: &mut Storage, n: usize) -> ArrayVec<&mut [f32], MAX_CHANNELS> {
    storage.chunks_exact_mut(SUB_BLOCK).map(|c| &mut c[..n]).collect()
}

fn views(storage: &Storage, n: usize) -> ArrayVec<&[f32], MAX_CHANNELS> {
    storage.chunks_exact(SUB_BLOCK).map(|c| &c[..n]).collect()
}

/// What a node does with its bus. Nodes that read one bus of their own width work in place where nobody else reads it.
pub(super) enum Kind {
    /// The end of a plan that the outside writes to.
    Input(usize),
    /// Frames that another thread wrote; silence where there are none.
    Source(QueueReader),
    Process(Box<Running>),
    Gain(Ramp),
    Delay(Vec<Delay>),
    /// The sum of all that it reads.
    Mix,
    /// What is no finite number becomes silence.
    Guard,
    /// Some channels of what it reads.
    Split(Range<usize>),
    /// All channels of all that it reads, in order.
    Join,
    Switch(Switch),
    Meter(Metering),
    Tap(QueueWriter),
    Roll(RollingWriter),
    /// The end of a plan that the outside reads from.
    Output(usize),
}

impl Kind {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Input(_) => "input",
            Self::Source(_) => "source",
            Self::Process(_) => "process",
            Self::Gain(_) => "gain",
            Self::Delay(_) => "delay",
            Self::Mix => "mix",
            Self::Guard => "guard",
            Self::Split(_) => "split",
            Self::Join => "join",
            Self::Switch(_) => "switch",
            Self::Meter(_) => "meter",
            Self::Tap(_) => "tap",
            Self::Roll(_) => "roll",
            Self::Output(_) => "output",
        }
    }

    /// Whether a node of this kind may work in the storage of what it reads.
    pub(super) fn in_place(&self) -> bool {
        matches!(
            self,
            Self::Process(_)
                | Self::Gain(_)
                | Self::Guard
                | Self::Delay(_)
                | Self::Meter(_)
                | Self::Tap(_)
                | Self::Roll(_)
                | Self::Output(_)
        )
    }

    pub(super) fn reset(&mut self) {
        match self {
            Self::Process(running) => running.reset(),
            Self::Gain(ramp) => ramp.finish(),
            Self::Delay(delays) => delays.iter_mut().for_each(Delay::reset),
            Self::Switch(switch) => switch.reset(),
            Self::Meter(meter) => meter.reset(),
            _ => {}
        }
    }

    /// `n` frames in `own`, where the input already is; the kinds that only pass something on.
    pub(super) fn run(&mut self, own: &mut Storage, n: usize) {
        match self {
            Self::Process(running) => running.run(own, n),
            Self::Gain(ramp) => gain(ramp, own, n),
            Self::Delay(delays) => {
                for (delay, channel) in delays.iter_mut().zip(own.chunks_exact_mut(SUB_BLOCK)) {
                    delay.process(&mut channel[..n]);
                }
            }
            Self::Guard => {
                for channel in own.chunks_exact_mut(SUB_BLOCK) {
                    for x in &mut channel[..n] {
                        *x = if x.is_finite() { *x } else { 0.0 };
                    }
                }
            }
            Self::Meter(meter) => meter.run(own, n),
            Self::Tap(writer) => {
                writer.write(&views(own, n));
            }
            Self::Roll(writer) => writer.write(&views(own, n)),
            Self::Source(reader) => {
                let mut block = slices(own, n);
                let got = reader.read_available(&mut block);
                for channel in &mut block {
                    channel[got..].fill(0.0);
                }
            }
            Self::Input(_) | Self::Output(_) | Self::Mix | Self::Split(_) | Self::Join | Self::Switch(_) => {}
        }
    }
}

fn gain(ramp: &mut Ramp, own: &mut Storage, n: usize) {
    match ramp.resting() {
        Some(1.0) => {}
        Some(gain) => {
            for channel in own.chunks_exact_mut(SUB_BLOCK) {
                channel[..n].iter_mut().for_each(|x| *x *= gain);
            }
        }
        None => {
            let mut gains = [0.0; SUB_BLOCK];
            ramp.fill(&mut gains[..n]);
            for channel in own.chunks_exact_mut(SUB_BLOCK) {
                for (x, gain) in channel[..n].iter_mut().zip(&gains) {
                    *x *= gain;
                }
            }
        }
    }
}

/// How long input and output must have been constant until a processor rests, in seconds: longer than any glide and than what a
/// processor holds back.
const REST_SECONDS: f32 = 0.5;

/// A processor that rests while nothing changes.
pub(super) struct Running {
    processor: Box<dyn Processor>,
    rest_after: usize,
    /// The last frame that went in and that came out, and for how many frames they have been so.
    last_in: Vec<f32>,
    last_out: Vec<f32>,
    same_in: usize,
    same_out: usize,
}

impl Running {
    pub(super) fn new(processor: Box<dyn Processor>, channels: usize, sample_rate: f32) -> Self {
        let rest_after = (REST_SECONDS * sample_rate) as usize + 2 * processor.latency();
        Self { processor, rest_after, last_in: vec![0.0; channels], last_out: vec![0.0; channels], same_in: 0, same_out: 0 }
    }

    pub(super) fn latency(&self) -> usize {
        self.processor.latency()
    }

    pub(super) fn bytes(&self) -> usize {
        self.processor.bytes()
    }

    pub(super) fn set(&mut self, index: usize, value: f32) {
        self.processor.set(index, value);
        self.wake();
    }

    pub(super) fn set_offline(&mut self, offline: bool) {
        self.processor.set_offline(offline);
    }

    fn wake(&mut self) {
        (self.same_in, self.same_out) = (0, 0);
    }

    fn reset(&mut self) {
        self.processor.reset();
        self.wake();
    }

    fn run(&mut self, own: &mut Storage, n: usize) {
        self.same_in = unchanged(own, n, &mut self.last_in, self.same_in);
        // Before these frames both had rested for long enough, and these frames go on so.
        let rested = self.same_in >= self.rest_after + n && self.same_out >= self.rest_after;
        if rested && self.processor.skip(n) {
            for (channel, x) in own.chunks_exact_mut(SUB_BLOCK).zip(&self.last_out) {
                channel[..n].fill(*x);
            }
            return;
        }
        self.processor.process(&mut slices(own, n));
        self.same_out = unchanged(own, n, &mut self.last_out, self.same_out);
    }
}

/// For how many frames, these included, all channels have been what `last` is at their end; `before` is the count so far.
fn unchanged(storage: &Storage, n: usize, last: &mut [f32], before: usize) -> usize {
    let mut same = before.saturating_add(n);
    for (channel, last) in storage.chunks_exact(SUB_BLOCK).zip(last) {
        let channel = &channel[..n];
        let newest = channel[n - 1];
        // All frames are compared, not only those up to the first that differs: that vectorises, and rest is what must be cheap.
        let all = channel.iter().fold(true, |all, x| all & (x.to_bits() == newest.to_bits()));
        let run = if all { n } else { channel.iter().rev().take_while(|x| x.to_bits() == newest.to_bits()).count() };
        if run < n || newest.to_bits() != last.to_bits() {
            // The first of the run is the change; the frames after it are unchanged.
            same = same.min(run);
        }
        *last = newest;
    }
    same
}

/// Lets one of several inputs through; changes with a dip.
pub(super) struct Switch {
    current: usize,
    target: usize,
    dip: Dip,
}

impl Switch {
    pub(super) fn new(selected: usize, sample_rate: f32) -> Self {
        Self { current: selected, target: selected, dip: Dip::new(sample_rate) }
    }

    fn reset(&mut self) {
        self.current = self.target;
        self.dip.end();
    }

    /// Goes to `input` through a dip, also when it is there already; `now`: without.
    pub(super) fn press(&mut self, input: usize, now: bool) {
        self.target = input;
        if now {
            self.reset();
        } else {
            self.dip.begin();
        }
    }

    pub(super) fn run(&mut self, inputs: &[usize], storages: &[Storage], own: &mut Storage, n: usize) {
        let mut at = 0;
        while at < n {
            let frames = self.dip.span(n - at);
            let input = &storages[inputs[self.current]];
            for (to, from) in own.chunks_exact_mut(SUB_BLOCK).zip(input.chunks_exact(SUB_BLOCK)) {
                let to = &mut to[at..at + frames];
                to.copy_from_slice(&from[at..at + frames]);
                self.dip.apply(to);
            }
            if self.dip.advance(frames) {
                self.current = self.target;
            }
            at += frames;
        }
    }
}

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

/// Magnitudes below this (-360 dB) are shown as silence.
const INAUDIBLE: f32 = 1e-18;
/// Time constant of the mean square.
const RMS_SECONDS: f32 = 0.3;
/// Sound that does not come for so long has stopped: blocks of 8192 frames at 44.1 kHz come faster.
const BLOCK_SECONDS: f32 = 0.2;

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

    fn reset(&mut self) {
        self.mean_squares.fill(0.0);
    }

    fn run(&mut self, own: &Storage, n: usize) {
        for (channel, samples) in own.chunks_exact(SUB_BLOCK).enumerate().take(self.mean_squares.len()) {
            self.measure(channel, &samples[..n]);
        }
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
