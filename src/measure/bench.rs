//! Measurement of the time and memory that effects take, all of them in one run.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arrayvec::ArrayVec;
use serde::Serialize;

use crate::audio::Random;
use crate::dsp::oversample::exchange_factors;
use crate::dsp::{MAX_CHANNELS, PrepareError, ProcessSpec, Processor};
use crate::effect::Effect;

/// RMS level of the noise, in dB of that of a full-scale sine: as loud as music.
const NOISE_DB: f32 = -12.0;
/// Frames of noise, from which the blocks are taken again and again.
const NOISE_FRAMES: usize = 1 << 14;
/// Frames between the noise of one channel and that of the next; a prime, so that no two channels are alike.
const CHANNEL_OFFSET_FRAMES: usize = 997;
/// Blocks after the first one that do not count, so that caches, branch predictors and clock speed settle.
const WARM_UP_BLOCKS: usize = 200;
/// Seconds after which the blocks of the warm-up end, if there are not yet [`WARM_UP_BLOCKS`] of them.
const WARM_UP_SECONDS: f64 = 0.1;
/// Frames that an effect processes before it is the next effect's turn. At most one block in 64 finds its data gone from the
/// caches if blocks have 256 frames, and a turn takes about a millisecond: what disturbs the machine for longer disturbs all.
const TURN_FRAMES: usize = 1 << 14;
/// Blocks of each effect and size that are measured even if the time is over.
const MIN_BLOCKS: usize = 100;
/// Blocks that must lie above a percentile, so that it does not depend on a few of them: 10 000 blocks for the 99th.
const BLOCKS_ABOVE: f64 = 100.0;

/// The frames of the blocks of a measurement: one size, or random sizes in a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BlockSize {
    /// The fewest frames of a block, 1 or more.
    pub min: usize,
    /// The most frames of a block, `min` or more.
    pub max: usize,
}

impl BlockSize {
    /// Blocks of one size. [any thread]
    #[must_use]
    pub const fn fixed(frames: usize) -> Self {
        Self { min: frames, max: frames }
    }

    /// True if the blocks have several sizes. [any thread]
    #[must_use]
    pub const fn varies(self) -> bool {
        self.min != self.max
    }
}

/// The frames, or the fewest and the most of them: `64`, `16-4096`.
impl fmt::Display for BlockSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.varies() { write!(f, "{}-{}", self.min, self.max) } else { write!(f, "{}", self.min) }
    }
}

/// The extent of a measurement.
#[derive(Clone, Debug, PartialEq)]
pub struct BenchSpec {
    /// In hertz.
    pub sample_rate: f32,
    /// Number of channels, 1 to [`MAX_CHANNELS`].
    pub channels: usize,
    /// The sizes of blocks; each effect is measured with each of them.
    pub blocks: Vec<BlockSize>,
    /// Seconds after which the measurement ends, except that 100 blocks of each effect and size are always measured.
    pub seconds: f64,
    /// Number of blocks of each effect and size after which the measurement ends earlier.
    pub max_blocks: usize,
    /// Number of threads that keep other cores busy meanwhile.
    pub load_threads: usize,
    /// True if [`Costs::times`] is wanted.
    pub keep_times: bool,
}

impl Default for BenchSpec {
    /// One channel at 48 kHz in blocks of 16, 32 ... 4096 frames, 20 s, enough blocks for a 99.9th percentile, no load.
    fn default() -> Self {
        Self {
            sample_rate: 48_000.0,
            channels: 1,
            blocks: (4..=12).map(|power| BlockSize::fixed(1 << power)).collect(),
            seconds: 20.0,
            max_blocks: blocks_for(0.999),
            load_threads: 0,
            keep_times: false,
        }
    }
}

/// The time of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BlockTime {
    /// Frames of the block.
    pub frames: usize,
    /// Nanoseconds that it took.
    pub ns: u64,
}

/// Time and memory that an effect takes with blocks of one size. Times are of whole blocks, of all channels.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Costs {
    /// The size of the blocks.
    pub block: BlockSize,
    /// Number of blocks that count.
    pub blocks: usize,
    /// Nanoseconds per sample of one channel. Of blocks of one size, the median of their times / (frames * channels). Of blocks of
    /// random sizes, the time of all blocks / (all frames * channels): small and large blocks cost so different times for a
    /// sample that a median would be that of a single size.
    pub ns_per_sample: f64,
    /// Real-time factor: processing time of all blocks / duration of the audio; below 1 keeps up.
    pub rtf: f64,
    /// Throughput: samples of all channels that are processed in a second.
    pub samples_per_second: f64,
    /// Time of the first block after preparing, in microseconds, which counts nowhere else.
    pub first_us: f64,
    /// Mean time of a block, in microseconds.
    pub mean_us: f64,
    /// Standard deviation of the blocks' times, in microseconds.
    pub deviation_us: f64,
    /// Median time of a block, in microseconds.
    pub p50_us: f64,
    /// 95th percentile of the blocks' times, in microseconds; `None` for fewer than 2000 blocks.
    pub p95_us: Option<f64>,
    /// 99th percentile of the blocks' times, in microseconds; `None` for fewer than 10 000 blocks.
    pub p99_us: Option<f64>,
    /// 99.9th percentile of the blocks' times, in microseconds; `None` for fewer than 100 000 blocks.
    pub p99_9_us: Option<f64>,
    /// Time of the slowest block, in microseconds.
    pub max_us: f64,
    /// Jitter: 99th percentile less median, in microseconds; `None` for fewer than 10 000 blocks.
    pub jitter_us: Option<f64>,
    /// Number of blocks that took longer than their audio lasts.
    pub misses: usize,
    /// The largest load of a block: its time / the duration of its audio.
    pub max_load: f64,
    /// Memory of the processor on the heap, in bytes, without a model's weights.
    pub bytes: usize,
    /// The time of each block in order, if [`BenchSpec::keep_times`] is set; otherwise empty.
    #[serde(skip)]
    pub times: Vec<BlockTime>,
}

/// Time and memory that an effect takes, with blocks of each size.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CostTable {
    /// Sample rate in hertz.
    pub sample_rate: f32,
    /// Number of channels.
    pub channels: usize,
    /// Memory of the model's weights in bytes, which all processors share; 0 without a model.
    pub weights_bytes: usize,
    /// Latency in frames.
    pub latency_frames: usize,
    /// A row for each of [`BenchSpec::blocks`].
    pub rows: Vec<Costs>,
}

/// A failure to measure the cost of effects.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BenchError {
    /// A size of blocks is 0, or its range is empty.
    #[error("blocks of {found} frames; expected 1 or more, the smaller number first")]
    BlockSize {
        /// The size.
        found: BlockSize,
    },
    /// The number of blocks is 0.
    #[error("no blocks to measure; expected 1 or more")]
    NoBlocks,
    /// An effect cannot be prepared.
    #[error("{algorithm}: {source}")]
    Prepare {
        /// Index of the effect.
        effect: usize,
        /// Id of the effect's algorithm.
        algorithm: &'static str,
        /// The reason.
        source: PrepareError,
    },
    /// The caller's `watch` function cancelled the measurement.
    #[error("called off")]
    Cancelled,
}

/// Runs effects over blocks of noise at -12 dBFS, all of them in one run, and measures the time of each block.
///
/// The effects take turns of a few milliseconds in changing order, so that whatever else the machine does meets all of them and
/// their ratio holds. At first each size gets 10 000 blocks (enough for a 99th percentile), then each gets the rest. The cost of
/// reading the clock is measured and subtracted; copying the noise into the block does not count. Memory: 16 bytes for each
/// block. `watch` gets the share of the time that is over or of the blocks that are done, the larger one, 0 to 1, after each turn
/// and returns false to cancel. [control thread: allocates, takes its time]
///
/// # Errors
/// [`BenchError`] if an effect cannot be prepared, if the extent is empty, or if `watch` cancelled.
pub fn measure_interleaved(
    effects: &[Effect],
    spec: &BenchSpec,
    watch: impl FnMut(f64) -> bool,
) -> Result<Vec<CostTable>, BenchError> {
    if let Some(found) = spec.blocks.iter().find(|size| size.min == 0 || size.max < size.min) {
        return Err(BenchError::BlockSize { found: *found });
    }
    if spec.max_blocks == 0 {
        return Err(BenchError::NoBlocks);
    }
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..spec.load_threads {
            scope.spawn(|| keep_busy(&is_over));
        }
        let tables = run(effects, spec, watch);
        is_over.store(true, Ordering::Relaxed);
        tables
    })
}

/// Measures the effects while the load, if any, is there already.
fn run(effects: &[Effect], spec: &BenchSpec, mut watch: impl FnMut(f64) -> bool) -> Result<Vec<CostTable>, BenchError> {
    let longest = spec.blocks.iter().map(|size| size.max).max().unwrap_or(0);
    let noise = noise(NOISE_FRAMES.max(longest) + longest);
    let start = Instant::now();
    let time_share = || start.elapsed().as_secs_f64() / spec.seconds.max(f64::MIN_POSITIVE);
    let all_blocks = effects.len() * spec.blocks.len() * spec.max_blocks;
    // The measurement ends with the time or with the last block, whichever is earlier.
    let progress = |blocks: usize| time_share().max(blocks as f64 / all_blocks as f64).min(1.0);
    // The cells of a size, one for each effect; size after size.
    let mut sizes: Vec<Vec<Cell>> = Vec::new();
    for size in &spec.blocks {
        let mut cells = Vec::new();
        for (index, effect) in effects.iter().enumerate() {
            let failed = |source| BenchError::Prepare { effect: index, algorithm: effect.algorithm().id, source };
            cells.push(Cell::new(effect, spec, *size, &noise).map_err(failed)?);
            if !watch(progress(0)) {
                return Err(BenchError::Cancelled);
            }
        }
        sizes.push(cells);
    }
    let goals = [blocks_for(0.99).min(spec.max_blocks), spec.max_blocks];
    let mut is_reversed = false;
    for goal in goals {
        loop {
            let mut is_done = true;
            for index in 0..sizes.len() {
                let cells = &mut sizes[index];
                let needed = if time_share() < 1.0 { goal } else { goal.min(MIN_BLOCKS) };
                let turn = |cell: &mut Cell| cell.turn(needed, &noise);
                let went_on = match is_reversed {
                    false => cells.iter_mut().map(turn).fold(false, |any, went_on| any | went_on),
                    true => cells.iter_mut().rev().map(turn).fold(false, |any, went_on| any | went_on),
                };
                let blocks = sizes.iter().flatten().map(|cell| cell.times.len()).sum();
                if went_on && !watch(progress(blocks)) {
                    return Err(BenchError::Cancelled);
                }
                is_done &= !went_on;
            }
            is_reversed = !is_reversed;
            if is_done {
                break;
            }
        }
    }
    let clock_ns = clock_cost().as_nanos() as u64;
    let mut rows: Vec<Vec<Costs>> = effects.iter().map(|_| Vec::new()).collect();
    let mut latencies = vec![0; effects.len()];
    for cells in sizes {
        for (index, cell) in cells.into_iter().enumerate() {
            latencies[index] = cell.processor.latency();
            rows[index].push(cell.costs(spec, clock_ns));
        }
    }
    let table = |((effect, rows), latency_frames): ((&Effect, Vec<Costs>), usize)| CostTable {
        sample_rate: spec.sample_rate,
        channels: spec.channels,
        weights_bytes: weights_bytes(effect),
        latency_frames,
        rows,
    };
    Ok(effects.iter().zip(rows).zip(latencies).map(table).collect())
}

/// Bytes of the weights that the effect's model runs with at the effect's size; 0 without a model.
fn weights_bytes(effect: &Effect) -> usize {
    let settings = &effect.settings;
    let size = settings.index("size").map_or(1.0, |index| settings.get(index));
    effect.active_model().map_or(0, |model| model.network(model.size_index(size)).bytes())
}

/// The number of blocks from which on a percentile is told; `share` is that of the blocks within it.
fn blocks_for(share: f64) -> usize {
    (BLOCKS_ABOVE / (1.0 - share)).round() as usize
}

/// The measurement of one effect with blocks of one size.
struct Cell {
    processor: Box<dyn Processor>,
    size: BlockSize,
    /// The sizes of the blocks if they vary: the same for each effect.
    random: Random,
    buffers: Vec<Vec<f32>>,
    /// Frame of the noise at which the next block begins.
    at: usize,
    first: BlockTime,
    times: Vec<BlockTime>,
}

impl Cell {
    /// Prepares the effect, measures its first block and warms it up.
    fn new(effect: &Effect, spec: &BenchSpec, size: BlockSize, noise: &[f32]) -> Result<Self, PrepareError> {
        // Offline, a processor that works on another thread is waited for, so that its time counts. The quality is that of real
        // time.
        let effect = Effect { settings: exchange_factors(effect.settings), model: effect.model.clone() };
        let processor = effect.prepare(ProcessSpec::new(spec.sample_rate, spec.channels, size.max).offline())?;
        let mut cell = Self {
            processor,
            size,
            random: Random::new(1),
            buffers: vec![vec![0.0; size.max]; spec.channels],
            at: 0,
            first: BlockTime { frames: 0, ns: 0 },
            times: Vec::new(),
        };
        cell.first = cell.block(noise);
        let start = Instant::now();
        for _ in 0..WARM_UP_BLOCKS {
            cell.block(noise);
            if start.elapsed().as_secs_f64() > WARM_UP_SECONDS {
                break;
            }
        }
        Ok(cell)
    }

    /// Processes a block and measures its time.
    fn block(&mut self, noise: &[f32]) -> BlockTime {
        let BlockSize { min, max } = self.size;
        let frames = if min == max { min } else { min + self.random.below(max - min + 1) };
        let mut slices: ArrayVec<&mut [f32], MAX_CHANNELS> = ArrayVec::new();
        for (channel, buffer) in self.buffers.iter_mut().enumerate() {
            let at = (self.at + channel * CHANNEL_OFFSET_FRAMES) % (noise.len() - frames + 1);
            buffer[..frames].copy_from_slice(&noise[at..at + frames]);
            slices.push(&mut buffer[..frames]);
        }
        self.at = (self.at + frames) % noise.len();
        let time = timed(|| self.processor.process(&mut slices));
        BlockTime { frames, ns: time.as_nanos() as u64 }
    }

    /// Measures blocks for a turn, or until there are `needed` of them. Returns false if there were already.
    fn turn(&mut self, needed: usize, noise: &[f32]) -> bool {
        let mut frames = 0;
        while frames < TURN_FRAMES && self.times.len() < needed {
            let block = self.block(noise);
            frames += block.frames;
            self.times.push(block);
        }
        frames > 0
    }

    /// The figures, with the time of reading the clock subtracted.
    fn costs(mut self, spec: &BenchSpec, clock_ns: u64) -> Costs {
        for block in self.times.iter_mut().chain([&mut self.first]) {
            block.ns = block.ns.saturating_sub(clock_ns);
        }
        let mut costs = Costs::of(&self.times, self.size, spec.sample_rate, spec.channels);
        costs.first_us = self.first.ns as f64 * 1e-3;
        costs.bytes = self.processor.bytes();
        if spec.keep_times {
            costs.times = self.times;
        }
        costs
    }
}

impl Costs {
    /// The figures of these times, of which there is at least one; without those of the first block and of memory.
    fn of(times: &[BlockTime], block: BlockSize, sample_rate: f32, channels: usize) -> Self {
        let count = times.len() as f64;
        let mut sorted: Vec<f64> = times.iter().map(|block| block.ns as f64 * 1e-3).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let enough = |share: f64| (times.len() >= blocks_for(share)).then(|| nearest_rank(&sorted, share));
        let total_us: f64 = sorted.iter().sum();
        let mean_us = total_us / count;
        let frames: usize = times.iter().map(|block| block.frames).sum();
        let load = |block: &BlockTime| block.ns as f64 * 1e-9 * f64::from(sample_rate) / block.frames as f64;
        let p50_us = nearest_rank(&sorted, 0.5);
        let us_per_frame = if block.varies() { total_us / frames as f64 } else { p50_us / block.max as f64 };
        Self {
            block,
            blocks: times.len(),
            ns_per_sample: us_per_frame * 1e3 / channels as f64,
            rtf: total_us * 1e-6 * f64::from(sample_rate) / frames as f64,
            samples_per_second: (frames * channels) as f64 / (total_us * 1e-6),
            first_us: 0.0,
            mean_us,
            deviation_us: (sorted.iter().map(|us| (us - mean_us).powi(2)).sum::<f64>() / count).sqrt(),
            p50_us,
            p95_us: enough(0.95),
            p99_us: enough(0.99),
            p99_9_us: enough(0.999),
            max_us: nearest_rank(&sorted, 1.0),
            jitter_us: enough(0.99).map(|p99_us| p99_us - p50_us),
            misses: times.iter().filter(|block| load(block) > 1.0).count(),
            max_load: times.iter().map(load).fold(0.0, f64::max),
            bytes: 0,
            times: Vec::new(),
        }
    }
}

/// The percentile by nearest rank: the smallest of the sorted values within which this share of them stays.
fn nearest_rank(sorted: &[f64], share: f64) -> f64 {
    sorted[((share * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len()) - 1]
}

/// Arithmetic over a buffer that fills the second cache level of common cores, until the measurement is over.
fn keep_busy(is_over: &AtomicBool) {
    /// 1 MiB of numbers.
    const LENGTH: usize = 1 << 17;
    let mut numbers = vec![1.0_f64; LENGTH];
    while !is_over.load(Ordering::Relaxed) {
        for number in &mut numbers {
            *number = (*number * 0.999 + 1e-3).sqrt();
        }
        std::hint::black_box(&mut numbers);
    }
}

/// Duration of `work`.
fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// Median duration that [`timed`] measures for no work.
fn clock_cost() -> Duration {
    let mut times: Vec<Duration> = (0..1001).map(|_| timed(|| ())).collect();
    times.sort_unstable();
    times[times.len() / 2]
}

/// Uniform noise at [`NOISE_DB`], the same in every run.
fn noise(frames: usize) -> Vec<f32> {
    // A sine of amplitude 1 has RMS 1 / sqrt 2, uniform noise of amplitude a has a / sqrt 3.
    let amplitude = crate::dsp::db_to_gain(NOISE_DB) * 1.5f32.sqrt();
    let mut random = Random::new(1);
    (0..frames).map(|_| random.within(-amplitude, amplitude)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithm::REGISTRY;

    /// A measurement that only 100 blocks of each effect and size end.
    fn short(blocks: &[BlockSize]) -> BenchSpec {
        BenchSpec { channels: 2, blocks: blocks.to_vec(), seconds: 0.0, keep_times: true, ..BenchSpec::default() }
    }

    #[test]
    fn the_figures_are_those_of_real_time_also_if_renders_have_an_oversampling_of_their_own() {
        let live = "saturator oversampling=1x render_oversampling=8x".parse::<Effect>().unwrap();
        let table = &measure_interleaved(std::slice::from_ref(&live), &short(&[BlockSize::fixed(64)]), |_| true).unwrap()[0];
        let [live, offline] = [ProcessSpec::new(48_000.0, 2, 64), ProcessSpec::new(48_000.0, 2, 64).offline()]
            .map(|spec| live.prepare(spec).unwrap());
        assert_ne!(live.bytes(), offline.bytes());
        assert_eq!((table.rows[0].bytes, table.latency_frames), (live.bytes(), live.latency()));
    }

    #[test]
    fn every_effect_has_a_row_for_each_size_whose_figures_are_in_order_and_agree() {
        let effects: Vec<Effect> = REGISTRY.iter().map(|row| Effect::new(row)).collect();
        let spec = short(&[BlockSize::fixed(64), BlockSize::fixed(63), BlockSize { min: 1, max: 100 }]);
        let tables = measure_interleaved(&effects, &spec, |_| true).unwrap();
        assert_eq!(tables.len(), effects.len());
        for (table, effect) in tables.iter().zip(&effects) {
            assert_eq!(table.rows.iter().map(|row| row.block).collect::<Vec<_>>(), spec.blocks);
            let processor = effect.prepare(ProcessSpec::new(48_000.0, 2, 64)).unwrap();
            assert_eq!(table.latency_frames, processor.latency());
            for costs in &table.rows {
                assert_eq!((costs.blocks, costs.times.len()), (MIN_BLOCKS, MIN_BLOCKS));
                assert!(costs.p50_us <= costs.max_us && costs.mean_us <= costs.max_us && costs.first_us > 0.0, "{costs:?}");
                let (frames, seconds) = costs.times.iter().fold((0, 0.0), |(f, s), b| (f + b.frames, s + b.ns as f64 * 1e-9));
                let rtf = seconds * 48_000.0 / frames as f64;
                assert!((costs.rtf / rtf - 1.0).abs() < 1e-9 && costs.bytes > 0, "{costs:?}");
                if costs.block.varies() {
                    let ns_per_sample = seconds * 1e9 / (frames * 2) as f64;
                    assert!((costs.ns_per_sample / ns_per_sample - 1.0).abs() < 1e-9, "{costs:?}");
                }
                assert!((costs.samples_per_second * costs.rtf / 96_000.0 - 1.0).abs() < 1e-9, "{costs:?}");
                assert_eq!((costs.p95_us, costs.p99_us, costs.p99_9_us, costs.jitter_us), (None, None, None, None));
            }
            let fixed = &table.rows[0];
            assert!((fixed.ns_per_sample * 128.0 / 1000.0 - fixed.p50_us).abs() <= fixed.p50_us * 1e-9, "{fixed:?}");
        }
        // Blocks of varying sizes have the same sizes for each effect, and all sizes are in the range.
        let sizes = |table: &CostTable| table.rows[2].times.iter().map(|block| block.frames).collect::<Vec<_>>();
        assert!(tables.iter().all(|table| sizes(table) == sizes(&tables[0])));
        assert!(sizes(&tables[0]).iter().all(|frames| (1..=100).contains(frames)));
        assert!(sizes(&tables[0]).iter().any(|frames| *frames != sizes(&tables[0])[0]));
    }

    #[test]
    fn percentiles_are_of_the_nearest_rank_and_blank_if_fewer_than_100_blocks_lie_above() {
        let times = |count: u64| (1..=count).map(|i| BlockTime { frames: 64, ns: 1000 * i }).collect::<Vec<_>>();
        let of = |count: u64| Costs::of(&times(count), BlockSize::fixed(64), 48_000.0, 2);
        let costs = of(100_000);
        assert_eq!((costs.p50_us, costs.p95_us, costs.p99_us), (50_000.0, Some(95_000.0), Some(99_000.0)));
        assert_eq!((costs.p99_9_us, costs.max_us, costs.jitter_us), (Some(99_900.0), 100_000.0, Some(49_000.0)));
        assert_eq!(costs.ns_per_sample, 50_000_000.0 / 128.0);
        // Uniform from 1 to n: mean (n + 1) / 2, variance (n^2 - 1) / 12. 64 frames last 1333.3 us.
        assert!((costs.mean_us - 50_000.5).abs() < 1e-6 && (costs.deviation_us / 28_867.513_457 - 1.0).abs() < 1e-9);
        assert_eq!((costs.misses, costs.max_load), (100_000 - 1333, 75.0));
        let blank = |costs: Costs| [costs.p95_us, costs.p99_us, costs.p99_9_us].map(|figure| figure.is_none());
        assert_eq!(blank(of(1999)), [true; 3]);
        assert_eq!(blank(of(2000)), [false, true, true]);
        assert_eq!(blank(of(9999)), [false, true, true]);
        assert_eq!(blank(of(10_000)), [false, false, true]);
        assert_eq!(blank(of(99_999)), [false, false, true]);
    }

    #[test]
    fn the_noise_is_12_db_below_a_full_scale_sine() {
        let x = noise(100_000);
        let rms = (x.iter().map(|x| f64::from(x * x)).sum::<f64>() / x.len() as f64).sqrt();
        assert!((20.0 * (rms * 2f64.sqrt()).log10() + 12.0).abs() < 0.1, "{rms}");
    }

    #[test]
    fn the_measurement_ends_with_the_blocks_that_were_asked_for_and_when_it_is_called_off() {
        let effects = [Effect::new(REGISTRY[0]), Effect::new(REGISTRY[1])];
        let spec = BenchSpec { seconds: 1e9, max_blocks: 150, load_threads: 1, ..short(&[BlockSize::fixed(16)]) };
        let tables = measure_interleaved(&effects, &spec, |_| true).unwrap();
        assert!(tables.iter().all(|table| table.rows[0].blocks == 150));
        let mut calls = 0;
        let called_off = measure_interleaved(&effects, &spec, |_| {
            calls += 1;
            calls < 3
        });
        assert_eq!((called_off, calls), (Err(BenchError::Cancelled), 3));
    }

    #[test]
    fn an_effect_that_cannot_be_prepared_and_an_empty_extent_are_errors() {
        let effects = [Effect::new(REGISTRY[0])];
        let fails = |spec: BenchSpec| measure_interleaved(&effects, &spec, |_| true).unwrap_err().to_string();
        let text = fails(BenchSpec { sample_rate: f32::NAN, ..short(&[BlockSize::fixed(64)]) });
        assert!(text.contains(REGISTRY[0].id) && text.contains("NaN Hz"), "{text}");
        assert!(fails(short(&[BlockSize::fixed(0)])).contains("blocks of 0 frames"));
        assert!(fails(short(&[BlockSize { min: 5, max: 4 }])).contains("blocks of 5-4 frames"));
        assert!(fails(BenchSpec { max_blocks: 0, ..short(&[BlockSize::fixed(64)]) }).contains("no blocks"));
        assert!(fails(BenchSpec { channels: 129, ..short(&[BlockSize::fixed(64)]) }).contains("129 channels"));
    }
}
