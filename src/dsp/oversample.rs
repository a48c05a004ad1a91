//! Oversampling by 2, 4 or 8 with linear-phase half-band filters whose stop band is 100 dB down or more.
//!
//! The total delay of upsampling and downsampling is a whole number of frames, also if the function between them delays by half
//! a sample.

use multiversion::multiversion;

use super::{CHUNK, Delay, ProcessSpec, Settings};

/// Stop-band attenuation for which the filters are designed, in dB; tests prove 100.
const ATTENUATION_DB: f64 = 110.0;
/// Stop-band attenuation of [`Oversampler::precise`], in dB. The pass band of a half-band filter ripples as much as its stop band,
/// and the ripples of the four passes of 4x add up to a change of the sound that is below -100 dB.
const PRECISE_ATTENUATION_DB: f64 = 116.0;
/// End of the pass band as a share of the base rate (21 kHz at 48 kHz); only frequencies above it alias.
const PASS_BAND: f64 = 0.4375;
/// Largest oversampling factor.
pub const MAX_FACTOR: usize = 8;

/// The oversampling factors of a processor that may render offline at another one than in real time: that at which it runs, and
/// that of the other time. Its latency is the larger of both, so that a bounce and the live sound have the same.
///
/// # Examples
/// ```
/// use isotherm::dsp::{ProcessSpec, oversample::Factors};
///
/// // Of settings, the values are indices: 1x in real time, and 4x (behind "As set") in a render.
/// let (live, render) = [ProcessSpec::new(48_000.0, 1, 64), ProcessSpec::new(48_000.0, 1, 64).offline()]
///     .map(|spec| Factors::new(0.0, 3.0, &spec))
///     .into();
/// assert_eq!((live.running(), render.running()), (1, 4));
/// // If twice the rate meant ten frames more, the live sound would wait for twenty.
/// let latency = |factor: usize| 10 * factor.ilog2() as usize;
/// assert_eq!((live.padding(latency), render.padding(latency)), (20, 0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Factors {
    running: usize,
    other: usize,
}

impl Factors {
    /// Factors for values of the parameters `oversampling` (0 is 1x, 1 is 2x ...) and
    /// [`render_oversampling`](super::Parameter::render_oversampling) (0 is as set, 1 is 1x ...). [any thread]
    #[must_use]
    pub fn new(oversampling: f32, render_oversampling: f32, spec: &ProcessSpec) -> Self {
        let live = 1 << oversampling as u32;
        let render = if render_oversampling < 1.0 { live } else { 1 << (render_oversampling as u32 - 1) };
        if spec.offline { Self { running: render, other: live } } else { Self { running: live, other: render } }
    }

    /// The factor at which the processor runs. [any thread]
    #[must_use]
    pub fn running(self) -> usize {
        self.running
    }

    /// The factor of the other time: offline if the processor runs in real time, and the reverse. [any thread]
    #[must_use]
    pub fn other(self) -> usize {
        self.other
    }

    /// Frames by which the wet path has to be delayed, if `latency` is that of a factor in frames. [any thread but the audio
    /// thread: calls `latency`]
    #[must_use]
    pub fn padding(self, latency: impl Fn(usize) -> usize) -> usize {
        if self.running == self.other { 0 } else { latency(self.other).saturating_sub(latency(self.running)) }
    }
}

/// The settings that sound offline as these do in real time, with the same latency: `oversampling` and `render_oversampling`
/// exchanged. [any thread]
#[must_use]
pub fn exchange_factors(mut settings: Settings) -> Settings {
    if let (Some(live), Some(render)) = (settings.index("oversampling"), settings.index("render_oversampling")) {
        let values = (settings.get(live), settings.get(render));
        if values.1 >= 1.0 {
            settings.set(live, values.1 - 1.0);
            settings.set(render, values.0 + 1.0);
        }
    }
    settings
}

/// Modified Bessel function of the first kind, order 0, by its power series.
fn bessel_i0(x: f64) -> f64 {
    let (mut term, mut sum, mut k) = (1.0, 1.0, 0.0);
    while term > sum * 1e-17 {
        k += 1.0;
        term *= (x / (2.0 * k)) * (x / (2.0 * k));
        sum += term;
    }
    sum
}

/// The Kaiser window at `t` in -1..1 for an attenuation in dB.
fn kaiser(t: f64, attenuation_db: f64) -> f64 {
    let beta = 0.1102 * (attenuation_db - 8.7);
    bessel_i0(beta * (1.0 - t * t).max(0.0).sqrt()) / bessel_i0(beta)
}

/// The normalised sinc, sin(pi x) / (pi x).
fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (std::f64::consts::PI * x).sin() / (std::f64::consts::PI * x) }
}

/// Number of taps by Kaiser's formula for a transition band of `width`, a share of the filter's sample rate, and an attenuation in
/// dB.
fn kaiser_taps(width: f64, attenuation_db: f64) -> f64 {
    (attenuation_db - 7.95) / (14.36 * width) + 1.0
}

/// The even taps 2j, j = 0..m, of a half-band filter of 4m - 1 taps with unity gain at DC. The other even taps mirror them, the
/// middle tap is ½, all other odd taps are 0. The window is that for an attenuation in dB.
fn half_band(m: usize, attenuation_db: f64) -> Vec<f32> {
    let middle = (2 * m - 1) as f64;
    let raw: Vec<f64> = (0..m)
        .map(|j| {
            let t = 2.0 * j as f64 - middle;
            0.5 * sinc(t / 2.0) * kaiser(t / (middle + 1.0), attenuation_db)
        })
        .collect();
    let sum: f64 = raw.iter().sum();
    raw.iter().map(|h| (h * 0.25 / sum) as f32).collect()
}

/// The half-band filters for upsampling and downsampling between one rate and twice that rate.
#[derive(Clone, Debug)]
struct HalfBandStage {
    /// See [`half_band`].
    taps: Vec<f32>,
    /// History (2m - 1) and input of the upward filter.
    up: Vec<f32>,
    /// History and input of the downward filter: even and odd samples.
    even: Vec<f32>,
    odd: Vec<f32>,
}

impl HalfBandStage {
    /// Delay of one pass through the filter, in frames at the higher rate.
    fn delay(&self) -> usize {
        2 * self.taps.len() - 1
    }
}

/// The oversampler of one channel: upsamples, applies a function at the higher rate, downsamples.
#[derive(Clone, Debug)]
pub struct Oversampler {
    factor: usize,
    stages: Vec<HalfBandStage>,
    /// Rounds the function's delay up to whole samples, if the function delays by half a sample.
    half_sample: Option<HalfSampleDelay>,
    /// Delay at the highest rate that makes the total a whole number of frames at the base rate, and as long as that of the
    /// other one of [`Factors`].
    padding: Delay,
    latency: usize,
    /// Buffers for a chunk at the highest rate: each stage reads one and writes the other.
    work: [Vec<f32>; 2],
}

impl Oversampler {
    /// `factor` is 1, 2, 4 or 8. `delays_half` is true if the function delays by half a sample of the highest rate; the
    /// oversampler then rounds the total delay up to a whole number of frames. [control thread: allocates]
    ///
    /// # Panics
    /// If `factor` is another number.
    #[must_use]
    pub fn new(factor: usize, delays_half: bool) -> Self {
        Self::with_attenuation(factor, delays_half, ATTENUATION_DB)
    }

    /// An oversampler whose filters change the pass band by less than -100 dB in all, for functions that are compared with
    /// themselves at 1x. Else as [`Self::new`], for a function that does not delay by half a sample. [control thread: allocates]
    ///
    /// # Panics
    /// If `factor` is not 1, 2, 4 or 8.
    #[must_use]
    pub fn precise(factor: usize) -> Self {
        Self::with_attenuation(factor, false, PRECISE_ATTENUATION_DB)
    }

    fn with_attenuation(factor: usize, delays_half: bool, attenuation_db: f64) -> Self {
        assert!(matches!(factor, 1 | 2 | 4 | 8), "oversampling by {factor}; expected 1, 2, 4 or 8");
        let stages: Vec<HalfBandStage> = (1..=factor.ilog2())
            .map(|k| {
                // At 2^k times the base rate: pass band up to PASS_BAND, stop band from half this rate minus PASS_BAND.
                let rate = f64::from(1 << k);
                let m =
                    ((kaiser_taps((0.5 * rate - 2.0 * PASS_BAND) / rate, attenuation_db) + 1.0) / 4.0).ceil().max(2.0) as usize;
                let n = CHUNK << (k - 1);
                let [up, even, odd] = [2 * m - 1 + n, 2 * m - 1 + n, m + n].map(|length| vec![0.0; length]);
                HalfBandStage { taps: half_band(m, attenuation_db), up, even, odd }
            })
            .collect();
        let half_sample = delays_half.then(|| HalfSampleDelay::new(factor));
        let mut delay = half_sample.as_ref().map_or(0, HalfSampleDelay::delay);
        for (k, stage) in (1..).zip(&stages) {
            delay += 2 * stage.delay() * (factor >> k);
        }
        let latency = delay.div_ceil(factor);
        let padding = Delay::new(latency * factor - delay);
        let n = CHUNK * factor;
        Self { factor, stages, half_sample, padding, latency, work: [vec![0.0; n], vec![0.0; n]] }
    }

    /// An oversampler of the running one of `factors`, with the larger latency of both. `delays_half` is as in [`Self::new`].
    /// [control thread: allocates]
    #[must_use]
    pub fn of_factors(factors: Factors, delays_half: bool) -> Self {
        let mut new = Self::new(factors.running(), delays_half);
        let frames = factors.padding(|factor| Self::new(factor, delays_half).latency);
        new.padding = Delay::new(new.padding.frames() + frames * new.factor);
        new.latency += frames;
        new
    }

    /// Frames at the base rate by which the output lags the input, the function's half sample included. [any thread]
    #[must_use]
    pub fn latency(&self) -> usize {
        self.latency
    }

    /// Fills all filters with silence. [audio thread]
    pub fn reset(&mut self) {
        for stage in &mut self.stages {
            stage.up.fill(0.0);
            stage.even.fill(0.0);
            stage.odd.fill(0.0);
        }
        if let Some(half_sample) = &mut self.half_sample {
            half_sample.reset();
        }
        self.padding.reset();
    }

    /// Applies `shape` to `samples` (at most [`CHUNK`]) at the higher rate, in place. [audio thread]
    #[inline]
    pub fn process(&mut self, samples: &mut [f32], shape: impl FnOnce(&mut [f32])) {
        if self.factor == 1 {
            shape(samples);
            if let Some(half_sample) = &mut self.half_sample {
                half_sample.process(samples);
            }
            self.padding.process(samples);
            return;
        }
        shape(self.upsample(samples));
        self.downsample(samples);
    }

    /// Upsamples `samples` (at most [`CHUNK`]) and returns them at the higher rate, to be changed in place before
    /// [`Self::downsample`] takes them. For what processes several channels at once; else see [`Self::process`]. [audio thread]
    #[inline]
    pub fn upsample(&mut self, samples: &[f32]) -> &mut [f32] {
        let [a, b] = &mut self.work;
        let mut n = samples.len();
        a[..n].copy_from_slice(samples);
        for stage in &mut self.stages {
            up(&stage.taps, &mut stage.up, &a[..n], &mut b[..2 * n]);
            std::mem::swap(a, b);
            n *= 2;
        }
        &mut a[..n]
    }

    /// Downsamples what [`Self::upsample`] returned into `samples`, which are as many as were upsampled. [audio thread]
    #[inline]
    pub fn downsample(&mut self, samples: &mut [f32]) {
        let [a, b] = &mut self.work;
        let mut n = samples.len() * self.factor;
        if let Some(half_sample) = &mut self.half_sample {
            half_sample.process(&mut a[..n]);
        }
        self.padding.process(&mut a[..n]);
        for stage in self.stages.iter_mut().rev() {
            n /= 2;
            down(&stage.taps, &mut stage.even, &mut stage.odd, &a[..2 * n], &mut b[..n]);
            std::mem::swap(a, b);
        }
        samples.copy_from_slice(&a[..n]);
    }

    /// Bytes on the heap. [any thread]
    #[must_use]
    pub fn bytes(&self) -> usize {
        let floats: usize = self.stages.iter().map(|s| s.taps.len() + s.up.len() + s.even.len() + s.odd.len()).sum();
        let half_sample = self.half_sample.as_ref().map_or(0, |h| h.taps.len() + h.line.len());
        (floats + half_sample + self.work[0].len() + self.work[1].len()) * size_of::<f32>() + self.padding.bytes()
    }
}

/// Outputs that are summed side by side, so that the additions are independent of each other.
const LANES: usize = 32;

/// Convolves with a symmetric filter of 2m taps, of which `taps` holds the first m: `out[i]` = sum over j of
/// `taps[j] * (x[i + j] + x[i + 2m - 1 - j])`. Every output is summed in the same order, whatever its position in the block.
#[inline(always)]
fn symmetric(taps: &[f32], x: &[f32], out: &mut [f32]) {
    let last = 2 * taps.len() - 1;
    assert!(x.len() >= out.len() + last);
    #[inline(always)]
    fn lanes<const N: usize>(taps: &[f32], x: &[f32], last: usize) -> [f32; N] {
        let mut sum = [0.0; N];
        for (j, c) in taps.iter().enumerate() {
            let (a, b) = (&x[j..j + N], &x[last - j..last - j + N]);
            for l in 0..N {
                sum[l] += c * (a[l] + b[l]);
            }
        }
        sum
    }
    let n = out.len();
    let mut i = 0;
    while i + LANES <= n {
        out[i..i + LANES].copy_from_slice(&lanes::<LANES>(taps, &x[i..], last));
        i += LANES;
    }
    while i + 8 <= n {
        out[i..i + 8].copy_from_slice(&lanes::<8>(taps, &x[i..], last));
        i += 8;
    }
    while i < n {
        out[i] = lanes::<1>(taps, &x[i..], last)[0];
        i += 1;
    }
}

/// Doubles the rate. `history` holds 2m - 1 samples, and has room for `x` after them.
#[multiversion(targets("x86_64+avx2"))]
fn up(taps: &[f32], history: &mut [f32], x: &[f32], out: &mut [f32]) {
    let (n, m) = (x.len(), taps.len());
    let past = 2 * m - 1;
    assert!(n <= CHUNK * MAX_FACTOR / 2 && out.len() == 2 * n && history.len() >= past + n);
    history[past..past + n].copy_from_slice(x);
    let mut filtered = [0.0; CHUNK * MAX_FACTOR / 2];
    let filtered = &mut filtered[..n];
    symmetric(taps, &history[..past + n], filtered);
    for ((pair, even), odd) in out.chunks_exact_mut(2).zip(filtered).zip(&history[m..m + n]) {
        pair[0] = 2.0 * *even;
        pair[1] = *odd;
    }
    history.copy_within(n..n + past, 0);
}

/// Halves the rate. `even` holds 2m - 1 samples of history, `odd` m; both have room for half of `x` after them.
#[multiversion(targets("x86_64+avx2"))]
fn down(taps: &[f32], even: &mut [f32], odd: &mut [f32], x: &[f32], out: &mut [f32]) {
    let (n, m) = (out.len(), taps.len());
    let past = 2 * m - 1;
    assert!(x.len() == 2 * n && even.len() >= past + n && odd.len() >= m + n);
    for ((pair, e), o) in x.chunks_exact(2).zip(&mut even[past..past + n]).zip(&mut odd[m..m + n]) {
        *e = pair[0];
        *o = pair[1];
    }
    symmetric(taps, &even[..past + n], out);
    for (y, o) in out.iter_mut().zip(&odd[..n]) {
        *y += 0.5 * *o;
    }
    even.copy_within(n..n + past, 0);
    odd.copy_within(n..n + m, 0);
}

/// A delay by a whole number of samples and a half, flat in the pass band. After a function that delays by half a sample, it
/// makes the sum a whole number.
#[derive(Clone, Debug)]
struct HalfSampleDelay {
    /// The first half of the taps of a symmetric filter of even length.
    taps: Vec<f32>,
    /// History, with room for the input after it.
    line: Vec<f32>,
}

impl HalfSampleDelay {
    fn new(factor: usize) -> Self {
        // Transition band from the end of the pass band to its first image.
        let width = (factor as f64 - 2.0 * PASS_BAND) / factor as f64;
        let m = (kaiser_taps(width, ATTENUATION_DB) / 2.0).ceil().max(2.0) as usize;
        let raw: Vec<f64> = (0..m)
            .map(|j| {
                let t = j as f64 - m as f64 + 0.5;
                sinc(t) * kaiser(t / m as f64, ATTENUATION_DB)
            })
            .collect();
        let sum: f64 = raw.iter().sum();
        Self { taps: raw.iter().map(|h| (h * 0.5 / sum) as f32).collect(), line: vec![0.0; 2 * m - 1 + CHUNK * factor] }
    }

    /// Delay in samples, including the half sample by which the function delays.
    fn delay(&self) -> usize {
        self.taps.len()
    }

    fn reset(&mut self) {
        self.line.fill(0.0);
    }

    fn process(&mut self, samples: &mut [f32]) {
        let past = 2 * self.taps.len() - 1;
        let n = samples.len();
        self.line[past..past + n].copy_from_slice(samples);
        convolve(&self.taps, &self.line[..past + n], samples);
        self.line.copy_within(n..n + past, 0);
    }
}

/// [`symmetric`], compiled for several instruction sets.
#[multiversion(targets("x86_64+avx2"))]
fn convolve(taps: &[f32], x: &[f32], out: &mut [f32]) {
    symmetric(taps, x, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gain in dB of the taps at the frequency `f`, a share of their sample rate.
    fn response(taps: &[f32], f: f64) -> f64 {
        let (mut re, mut im) = (0.0, 0.0);
        for (i, h) in taps.iter().enumerate() {
            let p = 2.0 * std::f64::consts::PI * f * i as f64;
            re += f64::from(*h) * p.cos();
            im += f64::from(*h) * p.sin();
        }
        10.0 * (re * re + im * im).log10()
    }

    #[test]
    fn every_half_band_filter_is_flat_in_its_pass_band_and_100_db_down_in_its_stop_band() {
        for (k, stage) in (1..).zip(&Oversampler::new(8, false).stages) {
            let m = stage.taps.len();
            let mut full = vec![0.0f32; 4 * m - 1];
            for (j, h) in stage.taps.iter().enumerate() {
                full[2 * j] = *h;
                full[4 * m - 2 - 2 * j] = *h;
            }
            full[2 * m - 1] = 0.5;
            let pass = PASS_BAND / f64::from(1 << k);
            for i in 0..=1000 {
                let f = f64::from(i) / 1000.0;
                assert!(response(&full, f * pass).abs() < 1e-4, "stage {k}");
                let stop = 0.5 - f * pass;
                assert!(response(&full, stop) < -100.0, "stage {k}: {} at {stop}", response(&full, stop));
            }
        }
    }

    #[test]
    fn upsampling_and_downsampling_delay_by_the_latency() {
        for factor in [1, 2, 4, 8] {
            let mut os = Oversampler::new(factor, false);
            // A tone well inside the pass band comes out unchanged, late by the latency.
            let x: Vec<f32> = (0..2000).map(|i| (i as f32 * 0.61).sin()).collect();
            let mut y = x.clone();
            for part in y.chunks_mut(CHUNK) {
                os.process(part, |_| ());
            }
            let late = os.latency();
            for i in 500..1500 {
                assert!((y[i + late] - x[i]).abs() < 1e-4, "factor {factor}: {} for {}", y[i + late], x[i]);
            }
        }
    }

    #[test]
    fn an_oversampler_of_two_factors_is_that_of_the_running_one_with_the_larger_latency() {
        let x: Vec<f32> = (0..700).map(|i| (i as f32 * 0.61).sin()).collect();
        let play = |mut os: Oversampler| {
            let mut y = x.clone();
            y.chunks_mut(CHUNK).for_each(|part| os.process(part, |samples| samples.iter_mut().for_each(|x| *x = x.tanh())));
            y
        };
        for delays_half in [false, true] {
            for (running, other) in (0..4).flat_map(|i| (0..4).map(move |k| (1 << i, 1 << k))) {
                let [alone, of_other] = [running, other].map(|factor| Oversampler::new(factor, delays_half));
                let both = Oversampler::of_factors(Factors { running, other }, delays_half);
                assert_eq!(both.latency(), alone.latency().max(of_other.latency()), "{running}x, {other}x");
                let later = both.latency() - alone.latency();
                assert_eq!(play(both)[later..], play(alone)[..700 - later], "{running}x, {other}x");
            }
        }
    }

    #[test]
    fn the_delay_of_a_function_that_delays_half_a_sample_is_rounded_up_to_a_whole_number() {
        for factor in [1, 2, 4, 8] {
            let mut os = Oversampler::new(factor, true);
            let x: Vec<f32> = (0..2000).map(|i| (i as f32 * 0.61).sin()).collect();
            let mut y = x.clone();
            let mut before = 0.0;
            for part in y.chunks_mut(CHUNK) {
                os.process(part, |s| {
                    for v in s {
                        (*v, before) = (0.5 * (*v + before), *v);
                    }
                });
            }
            // The mean of two neighbours also droops by cos(w / 2).
            let (late, droop) = (os.latency(), (0.61 / factor as f32 / 2.0).cos());
            for i in 500..1500 {
                assert!((y[i + late] - droop * x[i]).abs() < 1e-4, "factor {factor}: {} for {}", y[i + late], droop * x[i]);
            }
        }
    }
}
