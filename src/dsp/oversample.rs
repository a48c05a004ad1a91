//! Oversampling by 2, 4 or 8 with linear-phase half-band filters whose stop band is 100 dB down or more.
//!
//! The whole delay, up and down, is a whole number of frames; so is that of a method inside it that lags by half a sample.

use multiversion::multiversion;

use super::CHUNK;

/// Stop-band attenuation that the filters are designed for, in dB; tests prove 100.
const ATTENUATION_DB: f64 = 110.0;
/// The pass band ends here as a part of the base rate (21 kHz at 48 kHz); what folds lies above it.
const PASS: f64 = 0.4375;
/// The largest factor.
pub const MAX_FACTOR: usize = 8;

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

/// Kaiser's window at `t` in -1..1 for [`ATTENUATION_DB`].
fn kaiser(t: f64) -> f64 {
    let beta = 0.1102 * (ATTENUATION_DB - 8.7);
    bessel_i0(beta * (1.0 - t * t).max(0.0).sqrt()) / bessel_i0(beta)
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (std::f64::consts::PI * x).sin() / (std::f64::consts::PI * x) }
}

/// Kaiser's length for a transition band that is `width` of the filter's sample rate wide.
fn kaiser_taps(width: f64) -> f64 {
    (ATTENUATION_DB - 7.95) / (14.36 * width) + 1.0
}

/// Taps 2j of a half-band filter of 4m - 1 taps, j = 0..m (the others mirror them; the middle one is ½): unity gain at DC.
fn half_band(m: usize) -> Vec<f32> {
    let middle = (2 * m - 1) as f64;
    let raw: Vec<f64> = (0..m)
        .map(|j| {
            let t = 2.0 * j as f64 - middle;
            0.5 * sinc(t / 2.0) * kaiser(t / (middle + 1.0))
        })
        .collect();
    let sum: f64 = raw.iter().sum();
    raw.iter().map(|h| (h * 0.25 / sum) as f32).collect()
}

/// The half-band filter between two rates.
#[derive(Clone, Debug)]
struct Stage {
    /// See [`half_band`].
    taps: Vec<f32>,
    /// History (2m - 1) and input of the upward filter.
    up: Vec<f32>,
    /// History and input of the downward filter: even and odd samples.
    even: Vec<f32>,
    odd: Vec<f32>,
}

impl Stage {
    /// Frames at the higher rate that one pass through the filter lags.
    fn lag(&self) -> usize {
        2 * self.taps.len() - 1
    }
}

/// One channel's way up to the higher rate, through a function, and down.
#[derive(Clone, Debug)]
pub struct Oversampler {
    factor: usize,
    stages: Vec<Stage>,
    half: Option<HalfSample>,
    /// Makes the delay whole: frames at the highest rate.
    pad: super::Delay,
    latency: usize,
    work: [Vec<f32>; 2],
}

impl Oversampler {
    /// `factor` is 1, 2, 4 or 8. `lags_half`: the function lags by half a sample of the highest rate, which is made whole here.
    /// [control thread: allocates]
    ///
    /// # Panics
    /// If `factor` is another number.
    #[must_use]
    pub fn new(factor: usize, lags_half: bool) -> Self {
        assert!(matches!(factor, 1 | 2 | 4 | 8), "oversampling by {factor}; expected 1, 2, 4 or 8");
        let stages: Vec<Stage> = (1..=factor.ilog2())
            .map(|k| {
                // At 2^k times the base rate: pass band to PASS, stop band from half this rate less PASS.
                let rate = f64::from(1 << k);
                let m = ((kaiser_taps((0.5 * rate - 2.0 * PASS) / rate) + 1.0) / 4.0).ceil().max(2.0) as usize;
                let n = CHUNK << (k - 1);
                Stage { taps: half_band(m), up: vec![0.0; 2 * m - 1 + n], even: vec![0.0; 2 * m - 1 + n], odd: vec![0.0; m + n] }
            })
            .collect();
        let half = lags_half.then(|| HalfSample::new(factor));
        let mut lag = half.as_ref().map_or(0, HalfSample::lag);
        for (k, stage) in (1..).zip(&stages) {
            lag += 2 * stage.lag() * (factor >> k);
        }
        let latency = lag.div_ceil(factor);
        let pad = super::Delay::new(latency * factor - lag);
        let n = CHUNK * factor;
        Self { factor, stages, half, pad, latency, work: [vec![0.0; n], vec![0.0; n]] }
    }

    /// Frames at the base rate that the output lags the input, the function's half sample included. [any thread]
    #[must_use]
    pub fn latency(&self) -> usize {
        self.latency
    }

    /// [audio thread]
    pub fn reset(&mut self) {
        for stage in &mut self.stages {
            stage.up.fill(0.0);
            stage.even.fill(0.0);
            stage.odd.fill(0.0);
        }
        if let Some(half) = &mut self.half {
            half.reset();
        }
        self.pad.reset();
    }

    /// Applies `shape` to `samples` (at most [`CHUNK`]) at the higher rate, in place. [audio thread]
    #[inline]
    pub fn process(&mut self, samples: &mut [f32], shape: impl FnOnce(&mut [f32])) {
        if self.factor == 1 {
            shape(samples);
            if let Some(half) = &mut self.half {
                half.process(samples);
            }
            return;
        }
        let [a, b] = &mut self.work;
        let mut n = samples.len();
        a[..n].copy_from_slice(samples);
        for stage in &mut self.stages {
            up(&stage.taps, &mut stage.up, &a[..n], &mut b[..2 * n]);
            std::mem::swap(a, b);
            n *= 2;
        }
        shape(&mut a[..n]);
        if let Some(half) = &mut self.half {
            half.process(&mut a[..n]);
        }
        self.pad.process(&mut a[..n]);
        for stage in self.stages.iter_mut().rev() {
            n /= 2;
            down(&stage.taps, &mut stage.even, &mut stage.odd, &a[..2 * n], &mut b[..n]);
            std::mem::swap(a, b);
        }
        samples.copy_from_slice(&a[..n]);
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let floats: usize = self.stages.iter().map(|s| s.taps.len() + s.up.len() + s.even.len() + s.odd.len()).sum();
        let half = self.half.as_ref().map_or(0, |h| h.taps.len() + h.line.len());
        (floats + half + self.work[0].len() + self.work[1].len()) * size_of::<f32>() + self.pad.bytes()
    }
}

/// Outputs that are summed side by side, so that additions do not wait for each other.
const LANES: usize = 32;

/// `out[i]` = sum over j of `taps[j] * (x[i + j] + x[i + 2m - 1 - j])`: the symmetric half of a filter of 2m taps. Every output is
/// summed in the same order, whatever its place in the block.
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

/// Doubles the rate: `history` is 2m - 1 samples and room for `x`.
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

/// Halves the rate: `even` holds 2m - 1 samples of history, `odd` m, both with room for half of `x`.
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

/// Delays by a half sample more than a whole number, flat in the pass band: completes a method that lags by half a sample.
#[derive(Clone, Debug)]
struct HalfSample {
    /// Half of an even, symmetric filter.
    taps: Vec<f32>,
    line: Vec<f32>,
}

impl HalfSample {
    fn new(factor: usize) -> Self {
        // Everything up to PASS of the base rate passes; images of it are the first that may not.
        let width = (factor as f64 - 2.0 * PASS) / factor as f64;
        let m = (kaiser_taps(width) / 2.0).ceil().max(2.0) as usize;
        let raw: Vec<f64> = (0..m)
            .map(|j| {
                let t = j as f64 - m as f64 + 0.5;
                sinc(t) * kaiser(t / m as f64)
            })
            .collect();
        let sum: f64 = raw.iter().sum();
        Self { taps: raw.iter().map(|h| (h * 0.5 / sum) as f32).collect(), line: vec![0.0; 2 * m - 1 + CHUNK * factor] }
    }

    /// Samples that it lags together with the half sample that it completes.
    fn lag(&self) -> usize {
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

#[multiversion(targets("x86_64+avx2"))]
fn convolve(taps: &[f32], x: &[f32], out: &mut [f32]) {
    symmetric(taps, x, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gain in dB of the taps at `f`, a part of their sample rate.
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
            let pass = PASS / f64::from(1 << k);
            for i in 0..=1000 {
                let f = f64::from(i) / 1000.0;
                assert!(response(&full, f * pass).abs() < 1e-4, "stage {k}");
                let stop = 0.5 - f * pass;
                assert!(response(&full, stop) < -100.0, "stage {k}: {} at {stop}", response(&full, stop));
            }
        }
    }

    #[test]
    fn up_and_down_is_a_whole_delay() {
        for factor in [1, 2, 4, 8] {
            let mut os = Oversampler::new(factor, false);
            // A tone well inside the pass band comes out unchanged, `latency` frames late.
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
    fn a_method_that_lags_half_a_sample_is_made_whole() {
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
