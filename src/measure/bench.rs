//! Time and memory that an effect takes.

use std::time::{Duration, Instant};

use crate::audio::Random;
use crate::dsp::{Block, PrepareError, Spec};
use crate::effect::Effect;

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Length {
    /// A number of blocks.
    Blocks(usize),
    /// Seconds of audio.
    Seconds(f32),
}

impl Default for Length {
    /// 10 000 blocks: as many as a 99th percentile needs.
    fn default() -> Self {
        Self::Blocks(10_000)
    }
}

/// Time and memory of an effect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    /// Nanoseconds per sample of one channel: the median block's time / (frames * channels).
    pub ns_per_sample: f32,
    /// Real-time factor: processing time of all blocks / duration of the audio; below 1 keeps up.
    pub rtf: f32,
    /// Microseconds that half of the blocks stay within.
    pub p50_us: f32,
    /// Microseconds that 99 % of the blocks stay within.
    pub p99_us: f32,
    /// Microseconds of the slowest block.
    pub max_us: f32,
    /// What the processor holds on the heap.
    pub bytes: usize,
}

/// Uniform noise at this level (RMS, relative to a full-scale sine's): loud enough to work, as music is.
const NOISE_DB: f32 = -12.0;
/// Blocks before the first that counts: caches, branch predictors and clock speed settle.
const WARM_UP_BLOCKS: usize = 200;
/// Frames of noise that are played over and over.
const NOISE_FRAMES: usize = 1 << 14;

/// Runs an effect over blocks of noise at -12 dBFS and times each. What reading the clock costs is measured too, and
/// subtracted. Copying the noise into the block does not count. [control thread: allocates, takes its time]
///
/// # Errors
/// If the effect cannot be prepared for this rate, number of channels and block.
pub fn measure(
    effect: &Effect,
    sample_rate: f32,
    channels: usize,
    block: usize,
    length: Length,
) -> Result<Figures, PrepareError> {
    let mut processor = effect.prepare(Spec { sample_rate, channels, max_frames: block })?;
    // What works on another thread is waited for, so that its time counts.
    processor.set_offline(true);
    let blocks = match length {
        Length::Blocks(blocks) => blocks,
        Length::Seconds(seconds) => (seconds * sample_rate / block as f32).ceil() as usize,
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
    // The nearest rank: the smallest time that this part of the blocks stays within.
    let within = |part: f64| times[((part * blocks as f64).ceil() as usize).clamp(1, blocks) - 1];
    let micros = |time: Duration| (time.as_secs_f64() * 1e6) as f32;
    Ok(Figures {
        ns_per_sample: (within(0.5).as_secs_f64() * 1e9 / (block * channels) as f64) as f32,
        rtf: (total.as_secs_f64() * f64::from(sample_rate) / (blocks * block) as f64) as f32,
        p50_us: micros(within(0.5)),
        p99_us: micros(within(0.99)),
        max_us: micros(within(1.0)),
        bytes: processor.bytes(),
    })
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// What [`timed`] says of nothing, in the median.
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
            let figures = measure(&Effect::new(row), 48_000.0, 2, 64, Length::Blocks(100)).unwrap();
            assert!(figures.p50_us <= figures.p99_us && figures.p99_us <= figures.max_us, "{figures:?}");
            assert!((figures.ns_per_sample * 128.0 / 1000.0 - figures.p50_us).abs() <= figures.p50_us * 1e-3, "{figures:?}");
            assert!(figures.rtf > 0.0 && figures.bytes > 0, "{figures:?}");
        }
    }

    #[test]
    fn the_noise_is_12_db_below_a_full_scale_sine() {
        let x = noise(100_000);
        let rms = (x.iter().map(|x| f64::from(x * x)).sum::<f64>() / x.len() as f64).sqrt();
        assert!((20.0 * (rms * 2f64.sqrt()).log10() + 12.0).abs() < 0.1, "{rms}");
    }

    #[test]
    fn what_cannot_be_prepared_is_an_error() {
        assert!(measure(&Effect::new(REGISTRY[0]), f32::NAN, 1, 64, Length::default()).is_err());
        assert!(measure(&Effect::new(REGISTRY[0]), 48_000.0, 1, 0, Length::default()).is_err());
    }
}
