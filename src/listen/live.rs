//! A test on live sound: both sides and the positive control run all the time on what comes in, with the gain and the delay that
//! matching found, and all of them are late by the same number of frames.

use arrayvec::ArrayVec;

use super::gates::PEAK_LIMIT_DBTP;
use super::matching::{CONTROL_GAIN_DB, CONTROL_LOW_PASS_HZ, CONTROL_TRANSITION_HZ, HIGH_PASS_HZ, MatchError, Matching};
use super::player::{MAX_PATHS, Player, PlayerControl, add};
use super::session::Flag;
use super::side::{ResolvedSide, SideSource};
use crate::audio::gain_to_db;
use crate::compare::low_pass_taps;
use crate::dsp::filter::DcBlocker;
use crate::dsp::{Block, Chunk, Delay, MAX_CHANNELS, ProcessSpec, Processor, db_to_gain};
use crate::graph::{QueueReader, QueueWriter, SUB_BLOCK, queue};
use crate::measure::LoudnessMeter;
use crate::measure::sinc::{REACH, convolve, taps};
use crate::render::RenderError;
use crate::view::{Change, ControlTrial};

/// Difference in loudness, in LU, beyond which a trial on live sound is flagged.
pub const LIVE_LIMIT_LU: f64 = 0.3;
/// Peak of a side beyond which a trial on live sound is void, as a device would clip it: full scale.
const CLIPPING_PEAK: f32 = 1.0;
/// Sound in seconds that may wait for the meter.
const METER_SECONDS: f32 = 2.0;
/// Frames that the meter reads at a time.
const METER_FRAMES: usize = 1024;

/// A test on live sound, ready for the audio thread.
pub struct LiveTest {
    /// The control thread's end of the player.
    pub control: PlayerControl,
    /// The audio thread's end of the player.
    pub player: Player,
    /// The meter of both sides.
    pub meter: TrialMeter,
}

/// A filter of one channel that is a sum of products with its last inputs.
struct Fir {
    /// The taps, of the oldest input first.
    taps: Vec<f32>,
    /// The inputs before the block, and the block.
    inputs: Vec<f32>,
}

/// A path: an effect, or nothing, then what makes it as late as the other paths.
struct LivePath {
    channels: Vec<LiveChannel>,
    high_pass: DcBlocker,
    gain: f32,
}

/// A channel of a path after its effect.
struct LiveChannel {
    /// The whole frames of the delay.
    delay: Delay,
    /// The rest of the delay, if there is one, or the low-pass of the control as well.
    filters: Vec<Fir>,
}

/// The paths of a test on live sound.
pub struct LivePaths {
    /// The effects of side A and B; `None` for dry.
    effects: [Option<Box<dyn Processor>>; 2],
    /// Side A, side B, control.
    paths: Vec<LivePath>,
    /// The outputs of all paths: [`MAX_PATHS`] times the channels.
    outputs: Vec<Chunk>,
    channels: usize,
    latency: usize,
    meter: QueueWriter,
}

/// The control thread's meter of the loudness of both sides, trial by trial. All methods: [control thread]
pub struct TrialMeter {
    queue: QueueReader,
    meters: [LoudnessMeter; 2],
    /// Largest magnitude of the trial on each side.
    peaks: [f32; 2],
    /// Gain of the positive control over side A.
    control_gain: f32,
    block: Vec<Vec<f32>>,
    /// Difference in LU, B over A, that the test is about.
    expected: f64,
    /// Frames that had been lost when the trial began.
    lost: u64,
}

/// Prepares a test on live sound with the match that was found on the last seconds of the input. The player's latency is constant
/// and the same for all paths. [control thread: allocates]
///
/// # Errors
/// [`MatchError::LiveFile`], [`MatchError::Render`] if an effect cannot be prepared, [`MatchError::Control`], [`MatchError::NoMeter`].
pub fn prepare_live(sides: &[ResolvedSide; 2], matching: &Matching, spec: ProcessSpec) -> Result<LiveTest, MatchError> {
    let sub_block = ProcessSpec { max_frames: SUB_BLOCK, ..spec };
    let meter = || LoudnessMeter::new(spec.sample_rate as u32, spec.channels);
    let no_meter = MatchError::NoMeter { sample_rate: f64::from(spec.sample_rate), channels: spec.channels };
    let meters: [LoudnessMeter; 2] = meter().zip(meter()).map(|(a, b)| [a, b]).ok_or(no_meter)?;
    let mut effects = [None, None];
    // Frames by which each side is late before anything delays it.
    let mut late = [0.0; 2];
    let mut gains_db = [matching.attenuation_db; 2];
    let mut signs = [1.0, 1.0];
    for (index, side) in sides.iter().enumerate() {
        let name = ["A", "B"][index];
        match &side.source {
            SideSource::Dry => {}
            SideSource::File { .. } => return Err(MatchError::LiveFile { side: name }),
            SideSource::Effect(effect) => {
                let failed = |source| RenderError::Prepare { algorithm: effect.algorithm().id, source };
                let processor = effect.prepare(sub_block).map_err(|e| MatchError::Render { side: name, source: failed(e) })?;
                late[index] += processor.latency() as f64;
                effects[index] = Some(processor);
            }
        }
        if index == matching.matched_side {
            late[index] += matching.delay_frames;
            gains_db[index] += matching.gain_db;
            signs[index] = if matching.inverted { -1.0 } else { 1.0 };
        }
        match &side.change {
            Some(Change::GainDb(gain_db)) => gains_db[index] += f64::from(*gain_db),
            Some(Change::DelayFrames(frames)) => late[index] -= f64::from(*frames),
            Some(Change::Setting(_)) | None => {}
        }
    }
    let low_pass = match matching.control {
        ControlTrial::LowPass => {
            let cutoff = CONTROL_LOW_PASS_HZ + CONTROL_TRANSITION_HZ / 2.0;
            low_pass_taps(spec.sample_rate as u32, cutoff, CONTROL_TRANSITION_HZ).map_err(MatchError::Control)?
        }
        ControlTrial::Louder | ControlTrial::None => Vec::new(),
    };
    let low_pass_latency = low_pass.len() / 2;
    // Without a part of a frame there is nothing to interpolate, and what plays live is heard earlier.
    let reach = if late.iter().any(|frames| frames.fract() != 0.0) { REACH } else { 0 };
    let latency = late[0].max(late[1]).ceil().max(0.0) as usize + low_pass_latency + reach;
    let path = |side: usize, filter: &[f32], more_db: f64| {
        let filter_latency = filter.len() / 2;
        let wait = latency as f64 - late[side] - filter_latency as f64 - reach as f64;
        let whole = wait.ceil();
        let mut filters = Vec::new();
        if reach > 0 {
            filters.push(taps(whole - wait).to_vec());
        }
        if !filter.is_empty() {
            filters.push(filter.to_vec());
        }
        let channel = || LiveChannel {
            delay: Delay::new(whole as usize),
            filters: filters.iter().map(|taps| Fir::new(taps.clone())).collect(),
        };
        LivePath {
            channels: (0..spec.channels).map(|_| channel()).collect(),
            high_pass: DcBlocker::new(spec.sample_rate, spec.channels, HIGH_PASS_HZ, true),
            gain: signs[side] * db_to_gain((gains_db[side] + more_db) as f32),
        }
    };
    let mut paths = vec![path(0, &[], 0.0), path(1, &[], 0.0)];
    match matching.control {
        ControlTrial::None => {}
        ControlTrial::Louder => paths.push(path(0, &[], CONTROL_GAIN_DB.into())),
        ControlTrial::LowPass => paths.push(path(0, &low_pass, 0.0)),
    }
    let (meter, reader) = queue(2 * spec.channels, (METER_SECONDS * spec.sample_rate) as usize);
    let outputs = vec![[0.0; SUB_BLOCK]; MAX_PATHS * spec.channels];
    let live = LivePaths { effects, paths, outputs, channels: spec.channels, latency, meter };
    let (control, player) = Player::of_live(Box::new(live), spec.sample_rate);
    let expected = |side: usize| match &sides[side].change {
        Some(Change::GainDb(gain_db)) => f64::from(*gain_db),
        _ => 0.0,
    };
    let meter = TrialMeter {
        queue: reader,
        peaks: [0.0; 2],
        control_gain: if matching.control == ControlTrial::Louder { db_to_gain(CONTROL_GAIN_DB) } else { 1.0 },
        meters,
        block: vec![vec![0.0; METER_FRAMES]; 2 * spec.channels],
        expected: expected(1) - expected(0),
        lost: 0,
    };
    Ok(LiveTest { control, player, meter })
}

impl Fir {
    /// A filter that has heard silence. [control thread: allocates]
    fn new(taps: Vec<f32>) -> Self {
        let inputs = vec![0.0; taps.len() - 1 + SUB_BLOCK];
        Self { taps, inputs }
    }

    /// Filters at most a sub-block in place. [audio thread]
    fn process(&mut self, samples: &mut [f32]) {
        let (before, n) = (self.taps.len() - 1, samples.len());
        self.inputs[before..before + n].copy_from_slice(samples);
        convolve(&self.inputs[..before + n], &self.taps, samples);
        self.inputs.copy_within(n..n + before, 0);
    }
}

impl LivePaths {
    /// Frames by which all paths lag the input.
    pub(super) fn latency(&self) -> usize {
        self.latency
    }

    /// Runs all paths on `n` frames of a block from frame `at` on, at most a sub-block, and replaces them by the sum of the paths
    /// with their gains. [audio thread]
    pub(super) fn process(&mut self, block: &mut Block<'_>, at: usize, n: usize, gains: &[f32; MAX_PATHS]) {
        let channels = self.channels;
        let mut banks = self.outputs.chunks_exact_mut(channels);
        for effect in &mut self.effects {
            let Some(bank) = banks.next() else { break };
            for (channel, to) in bank.iter_mut().enumerate() {
                match block.get(channel) {
                    // A NaN would be heard on all paths, as long as a filter remembers it.
                    Some(from) => {
                        for (y, x) in to.iter_mut().zip(&from[at..at + n]) {
                            *y = if x.is_finite() { *x } else { 0.0 };
                        }
                    }
                    None => to[..n].fill(0.0),
                }
            }
            if let Some(effect) = effect {
                let mut views: ArrayVec<&mut [f32], MAX_CHANNELS> = bank.iter_mut().map(|channel| &mut channel[..n]).collect();
                effect.process(&mut views);
            }
        }
        // The control is made of side A.
        self.outputs.copy_within(..channels, 2 * channels);
        for (path, bank) in self.paths.iter_mut().zip(self.outputs.chunks_exact_mut(channels)) {
            path.high_pass.process(bank, n);
            for (channel, samples) in path.channels.iter_mut().zip(bank) {
                let samples = &mut samples[..n];
                channel.delay.process(samples);
                channel.filters.iter_mut().for_each(|filter| filter.process(samples));
                samples.iter_mut().for_each(|x| *x *= path.gain);
            }
        }
        let views: ArrayVec<&[f32], { 2 * MAX_CHANNELS }> =
            self.outputs[..2 * channels].iter().map(|channel| &channel[..n]).collect();
        // Frames that do not fit are counted as lost by the queue.
        self.meter.write(&views);
        for (index, to) in block.iter_mut().enumerate() {
            let to = &mut to[at..at + n];
            to.fill(0.0);
            for (bank, gain) in self.outputs.chunks_exact(channels).zip(gains).take(self.paths.len()) {
                if let Some(from) = bank.get(index) {
                    add(&from[..n], *gain, to);
                }
            }
        }
    }
}

impl TrialMeter {
    /// Hears what both sides have played; to be called several times a second.
    pub fn poll(&mut self) {
        loop {
            let n = self.queue.read_available(&mut self.block);
            if n == 0 {
                return;
            }
            for (peak, side) in self.peaks.iter_mut().zip(self.block.chunks_exact(self.block.len() / 2)) {
                *peak = side.iter().flat_map(|channel| &channel[..n]).fold(*peak, |peak, x| peak.max(x.abs()));
            }
            let views: Vec<&[f32]> = self.block.iter().map(|channel| &channel[..n]).collect();
            for (meter, side) in self.meters.iter_mut().zip(views.chunks_exact(views.len() / 2)) {
                meter.add(side);
            }
        }
    }

    /// Begins a trial: forgets what was heard.
    pub fn begin(&mut self) {
        self.poll();
        self.lost = self.queue.overflow();
        self.peaks = [0.0; 2];
        self.meters.iter_mut().for_each(LoudnessMeter::reset);
    }

    /// Difference in loudness of the trial so far in LU, B over A, without a gain that the test is about; `None` if there was no
    /// sound, or less than 400 ms of it.
    #[must_use]
    pub fn difference_lu(&mut self) -> Option<f64> {
        self.poll();
        let [a, b] = &self.meters;
        Some(b.integrated_lufs()? - a.integrated_lufs()? - self.expected)
    }

    /// True if a side went beyond full scale in this trial, as far as it was polled; `with_control`: or the positive control did.
    #[must_use]
    pub fn is_clipping(&self, with_control: bool) -> bool {
        let [a, b] = self.peaks;
        let control = if with_control { a * self.control_gain } else { 0.0 };
        a.max(b).max(control) > CLIPPING_PEAK
    }

    /// Faults of the trial so far, for which it is to be flagged: a loudness that differs by more than [`LIVE_LIMIT_LU`], a true peak
    /// beyond [`PEAK_LIMIT_DBTP`] on either side whatever was played, and frames that were not measured, because
    /// [`Self::poll`] came too late.
    #[must_use]
    pub fn flags(&mut self) -> Vec<Flag> {
        let mut flags = Vec::new();
        // A difference that is no number is none that is small.
        let is_unequal = |difference: &f64| difference.is_nan() || difference.abs() > LIVE_LIMIT_LU;
        if let Some(difference_lu) = self.difference_lu().filter(is_unequal) {
            flags.push(Flag::Loudness { difference_lu });
        }
        let peak = self.meters.iter().map(LoudnessMeter::true_peak).fold(f64::from(self.peaks[0].max(self.peaks[1])), f64::max);
        let true_peak_dbtp = gain_to_db(peak);
        if true_peak_dbtp > PEAK_LIMIT_DBTP {
            flags.push(Flag::Peak { true_peak_dbtp });
        }
        let lost_frames = self.queue.overflow() - self.lost;
        if lost_frames > 0 {
            flags.push(Flag::NotMeasured { lost_frames });
        }
        flags
    }
}
