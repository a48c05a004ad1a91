//! Measurement of the time and memory that an effect takes.

use std::time::{Duration, Instant};

use crate::audio::Random;
use crate::dsp::{Block, PrepareError, ProcessSpec};
use crate::effect::Effect;

/// The length of a measurement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BenchLength {
    /// A number of blocks.
    Blocks(usize),
    /// Seconds of audio.
    Seconds(f32),
}

impl Default for BenchLength {
    /// 10 000 blocks, enough for a 99th percentile.
    fn default() -> Self {
        Self::Blocks(10_000)
    }
}

/// Time and memory that an effect takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Costs {
    /// Nanoseconds per sample of one channel: the median block's time / (frames * channels).
    pub ns_per_sample: f32,
    /// Real-time factor: processing time of all blocks / duration of the audio; below 1 keeps up.
    pub rtf: f32,
    /// Median time of a block, in microseconds.
    pub p50_us: f32,
    /// 99th percentile of the blocks' times, in microseconds.
    pub p99_us: f32,
    /// Time of the slowest block, in microseconds.
    pub max_us: f32,
    /// Memory of the processor on the heap, in bytes, without a model's weights.
    pub bytes: usize,
}

/// RMS level of the noise, in dB of that of a full-scale sine: as loud as music.
const NOISE_DB: f32 = -12.0;
/// Blocks before the first whose time counts, so that caches, branch predictors and clock speed settle.
const WARM_UP_BLOCKS: usize = 200;
/// Frames of noise, from which the blocks are taken again and again.
const NOISE_FRAMES: usize = 1 << 14;

/// Runs an effect over blocks of noise at -12 dBFS and measures the time of each. The cost of reading the clock is measured and
/// subtracted; copying the noise into the block does not count. [control thread: allocates, takes its time]
///
/// # Errors
/// If the effect cannot be prepared for this sample rate, number of channels and block size.
pub fn measure(
    effect: &Effect,
    sample_rate: f32,
    channels: usize,
    block: usize,
    length: BenchLength,
) -> Result<Costs, PrepareError> {
    let mut processor = effect.prepare(ProcessSpec { sample_rate, channels, max_frames: block })?;
    // A processor that works on another thread is waited for, so that its time counts.
    processor.set_offline(true);
    let blocks = match length {
        BenchLength::Blocks(blocks) => blocks,
        BenchLength::Seconds(seconds) => (seconds * sample_rate / block as f32).ceil() as usize,
    }
    .max(1);
    let noise = noise(NOISE_FRAMES.max(block) + block);
    let mut buffers = vec![vec![0.0; block]; channels];
    let mut slices: Vec<&mut [f32]> = buffers.iter_mut().map(Vec::as_mut_slice).collect();
    let mut times = Vec::with_capacity(blocks);
    for index in 0..WARM_UP_BLOCKS + blocks {
        for (channel, samples) in slices.iter_mut().enumerate() {
            let at = (index * block + channel * 997) % (noise.len() - block);
            samples.copy_from_slice(&noise[at..at + block]);
        }
        let time = timed(|| processor.process(&mut slices as &mut Block<'_>));
        if index >= WARM_UP_BLOCKS {
            times.push(time);
        }
    }
    let clock = clock_cost();
    for time in &mut times {
        *time = time.saturating_sub(clock);
    }
    let total: Duration = times.iter().sum();
    times.sort_unstable();
    // The percentile by nearest rank: the smallest time within which this share of the blocks stays.
    let percentile = |share: f64| times[((share * blocks as f64).ceil() as usize).clamp(1, blocks) - 1];
    let micros = |time: Duration| (time.as_secs_f64() * 1e6) as f32;
    Ok(Costs {
        ns_per_sample: (percentile(0.5).as_secs_f64() * 1e9 / (block * channels) as f64) as f32,
        rtf: (total.as_secs_f64() * f64::from(sample_rate) / (blocks * block) as f64) as f32,
        p50_us: micros(percentile(0.5)),
        p99_us: micros(percentile(0.99)),
        max_us: micros(percentile(1.0)),
        bytes: processor.bytes(),
    })
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

    #[test]
    fn the_figures_are_in_order_and_agree() {
        for row in REGISTRY {
            let costs = measure(&Effect::new(row), 48_000.0, 2, 64, BenchLength::Blocks(100)).unwrap();
            assert!(costs.p50_us <= costs.p99_us && costs.p99_us <= costs.max_us, "{costs:?}");
            assert!((costs.ns_per_sample * 128.0 / 1000.0 - costs.p50_us).abs() <= costs.p50_us * 1e-3, "{costs:?}");
            assert!(costs.rtf > 0.0 && costs.bytes > 0, "{costs:?}");
        }
    }

    #[test]
    fn the_noise_is_12_db_below_a_full_scale_sine() {
        let x = noise(100_000);
        let rms = (x.iter().map(|x| f64::from(x * x)).sum::<f64>() / x.len() as f64).sqrt();
        assert!((20.0 * (rms * 2f64.sqrt()).log10() + 12.0).abs() < 0.1, "{rms}");
    }

    #[test]
    fn an_effect_that_cannot_be_prepared_is_an_error() {
        assert!(measure(&Effect::new(REGISTRY[0]), f32::NAN, 1, 64, BenchLength::default()).is_err());
        assert!(measure(&Effect::new(REGISTRY[0]), 48_000.0, 1, 0, BenchLength::default()).is_err());
    }
}
