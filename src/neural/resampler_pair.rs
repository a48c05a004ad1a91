//! [`ResamplerPair`]: runs a network at another rate than the host's. Two sinc resamplers (rubato) go to the network's rate and
//! back, with a latency that is a whole number of frames.
//!
//! The host's frames are collected in internal blocks of a fixed length, counted from `reset`, so that the output does not
//! depend on the host's blocks. An internal block is resampled to the frames at the model's rate that are due, and the network
//! processes them. Its output goes into a queue, from which the other resampler takes the frames that it needs for one internal
//! block at the host's rate. That resampler starts at a fractional phase that makes the sum of all delays a whole number of
//! frames.

#[cfg(feature = "models")]
pub(super) use sinc::ResamplerPair;
#[cfg(not(feature = "models"))]
pub(super) use without::ResamplerPair;

#[cfg(not(feature = "models"))]
mod without {
    use crate::dsp::{Block, Chunk, PrepareError};

    /// Stands in for the resamplers in a build without the feature `models`, in which models run at their own rate only. It has
    /// no values.
    pub enum ResamplerPair {}

    impl ResamplerPair {
        pub fn new(host: f32, model: f32, _: usize, _: usize) -> Result<Self, PrepareError> {
            Err(PrepareError::Rate { model, host, expected: "equal rates, as this is built without the feature `models`".into() })
        }

        pub fn latency(&self) -> usize {
            match *self {}
        }

        pub fn block_frames(&self) -> usize {
            match *self {}
        }

        pub fn max_network_frames(&self) -> usize {
            match *self {}
        }

        pub fn reset(&mut self) {
            match *self {}
        }

        pub fn process(&mut self, _: &mut [Chunk], _: usize, _: usize, _: impl FnMut(&mut Block<'_>)) {
            match *self {}
        }

        pub fn bytes(&self) -> usize {
            match *self {}
        }
    }
}

#[cfg(feature = "models")]
mod sinc {
    use arrayvec::ArrayVec;
    use rubato::audioadapter_buffers::direct::SequentialSliceOfVecs;
    use rubato::{
        Adjustable, Async, FixedAsync, Indexing, Resampler, SincInterpolationParameters, SincInterpolationType, WindowFunction,
    };

    use crate::dsp::{Block, Chunk, MAX_CHANNELS, PrepareError};

    /// Frames of an internal block, at the host's rate. They add to the latency; with fewer, moving the history would cost more
    /// time.
    pub const BLOCK_FRAMES: usize = 32;
    /// Taps of the sinc, at the lower of both rates. With [`CUTOFF`] and this window the response is within 0.1 dB up to 0.91
    /// of the lower Nyquist frequency and below -110 dB above 1.064 of it (by the transform of the taps): 20 kHz at 44.1 kHz,
    /// where nothing is folded below 20.6 kHz.
    const TAPS: f64 = 80.0;
    /// Cutoff, where the response is -6 dB, as a ratio of the lower Nyquist frequency.
    const CUTOFF: f32 = 0.97;
    const WINDOW: WindowFunction = WindowFunction::BlackmanHarris;
    /// Resamplers whose ratio is a fraction of numbers up to this one have each phase of the sinc in a table.
    const MAX_PHASES: u64 = 1024;
    /// Phases in the table for all other ratios. A cubic interpolates between them, with an error below -150 dB.
    const CUBIC_PHASES: usize = 256;
    /// The largest ratio between both rates: that of a model of 192 kHz, oversampled four times, and 8 kHz.
    const MAX_RATIO: f64 = 96.0;
    /// Factor by which the resampling ratio of [`ResamplerPair::prime`] may differ from the usual one.
    const MAX_SKEW: f64 = 2.0;

    /// The resamplers from the host's rate to the model's and back, with their buffers.
    pub struct ResamplerPair {
        to_model: Async<f32>,
        to_host: Async<f32>,
        /// The internal block that is collected, for each channel, at the host's rate.
        input: Vec<Vec<f32>>,
        /// The processed internal block that is handed out, for each channel, at the host's rate.
        output: Vec<Vec<f32>>,
        /// Output of the network that `to_host` has not taken yet, for each channel, at the model's rate.
        queue: Vec<Vec<f32>>,
        /// Frames in `queue`.
        queued: usize,
        /// Silent frames in `queue` after `reset`.
        initial_silence: usize,
        /// Host frames per model frame.
        ratio: f64,
        /// The ratio with which [`Self::prime`] resamples.
        start_ratio: f64,
        latency: usize,
        /// Bytes of rubato's tables.
        table_bytes: usize,
    }

    /// Length and phases of the sinc for resampling from one rate to another.
    fn parameters(from: f32, to: f32) -> SincInterpolationParameters {
        let ratio = f64::from(from) / f64::from(to);
        let taps = (TAPS * ratio.max(1.0)).ceil() as usize;
        let parameters = SincInterpolationParameters::new(taps.next_multiple_of(8), WINDOW).f_cutoff(CUTOFF);
        match phases(from, to) {
            Some(phases) => parameters.oversampling_factor(phases).interpolation(SincInterpolationType::Nearest),
            None => parameters.oversampling_factor(CUBIC_PHASES).interpolation(SincInterpolationType::Cubic),
        }
    }

    /// Count of the positions between two input frames at which output frames can be: the denominator of the reduced fraction
    /// of both rates. `None` if a rate is not a whole number of Hz or the count is above [`MAX_PHASES`].
    fn phases(from: f32, to: f32) -> Option<usize> {
        if from.fract() != 0.0 || to.fract() != 0.0 {
            return None;
        }
        let (mut a, mut b) = (from as u64, to as u64);
        while b > 0 {
            (a, b) = (b, a % b);
        }
        let phases = to as u64 / a;
        (phases <= MAX_PHASES).then_some(phases as usize)
    }

    impl ResamplerPair {
        /// Makes resamplers between both rates. `network_latency` is that of the network between them, in its frames; it is
        /// part of [`Self::latency`]. [control thread: allocates]
        ///
        /// # Errors
        /// If the ratio of the rates is above [`MAX_RATIO`].
        pub fn new(host: f32, model: f32, channels: usize, network_latency: usize) -> Result<Self, PrepareError> {
            let ratio = f64::from(host) / f64::from(model);
            if !(1.0 / MAX_RATIO..=MAX_RATIO).contains(&ratio) {
                let expected = format!("rates of which neither is more than {MAX_RATIO} times the other");
                return Err(PrepareError::Rate { model, host, expected });
            }
            let (host_to_model, model_to_host) = (parameters(host, model), parameters(model, host));
            let make = |ratio: f64, skew: f64, parameters: &SincInterpolationParameters, fixed: FixedAsync| {
                Async::<f32>::new_sinc(ratio, skew, parameters, BLOCK_FRAMES, channels, fixed)
                    .map_err(|e| PrepareError::Other(format!("from {host} to {model} Hz: {e}")))
            };
            let to_model = make(1.0 / ratio, 1.0, &host_to_model, FixedAsync::Input)?;
            let to_host = make(ratio, MAX_SKEW, &model_to_host, FixedAsync::Output)?;

            // The delay of the resamplers: rubato starts one frame before its taps, reads from there, and the centre of its
            // sinc is half the taps less one, and a phase, further. So the output of `to_model` is `taps/2 - 1/phases - ratio`
            // host frames late, and that of `to_host` `taps/2 - 1/phases + phase` model frames less one host frame, where
            // `phase` (0 to 1) is the one at which `reset` starts it. The `tests` verify it with impulses.
            let centre = |p: &SincInterpolationParameters| p.sinc_len as f64 / 2.0 - 1.0 / p.oversampling_factor as f64;
            // Each resampler gives at most two frames more or fewer than are due.
            let min_queued = (2.0 / ratio).ceil() + 4.0;
            let delay = (BLOCK_FRAMES - 1) as f64
                + centre(&host_to_model)
                + (centre(&model_to_host) + network_latency as f64 + min_queued) * ratio;
            let latency = (delay - 1e-9).ceil();
            let initial_silence = min_queued + ((latency - delay) / ratio).max(0.0);
            let (whole, phase) = (initial_silence.floor(), initial_silence.fract());
            let step = 1.0 / ratio;
            let usual_taken = BLOCK_FRAMES as f64 * step + 1.0;
            let taken = (usual_taken + phase - 0.5).ceil();
            let skew = taken - phase - usual_taken;
            let queue_frames = to_model.output_frames_max() + to_host.input_frames_max() + initial_silence.ceil() as usize + 2;
            let table_bytes =
                [&host_to_model, &model_to_host].iter().map(|p| p.sinc_len * p.oversampling_factor * size_of::<f32>()).sum();
            let mut new = Self {
                to_model,
                to_host,
                input: vec![vec![0.0; BLOCK_FRAMES]; channels],
                output: vec![vec![0.0; BLOCK_FRAMES]; channels],
                queue: vec![vec![0.0; queue_frames]; channels],
                queued: 0,
                initial_silence: 0,
                ratio,
                start_ratio: 1.0 / (step + skew / BLOCK_FRAMES as f64),
                latency: latency as usize,
                table_bytes,
            };
            // Rounding may have let `prime` take one frame more or fewer.
            let more = new.prime() as isize - taken as isize;
            new.initial_silence = (whole as usize).saturating_add_signed(-more);
            new.reset();
            Ok(new)
        }

        /// Frames of delay at the host's rate, with the network's latency. [any thread]
        pub fn latency(&self) -> usize {
            self.latency
        }

        /// Frames of an internal block at the host's rate. [any thread]
        pub fn block_frames(&self) -> usize {
            BLOCK_FRAMES
        }

        /// Largest number of frames that an internal block can have at the model's rate. [any thread]
        pub fn max_network_frames(&self) -> usize {
            self.to_model.output_frames_max()
        }

        /// Goes back to the state before the first frame. [audio thread]
        pub fn reset(&mut self) {
            self.to_model.reset();
            for channel in [&mut self.input, &mut self.output].into_iter().flatten() {
                channel.fill(0.0);
            }
            self.prime();
            self.queued = self.initial_silence;
        }

        /// Resamples one internal block of silence to the host's rate, at a ratio that leaves `to_host` at its start phase.
        /// Returns the frames that it took from the queue.
        fn prime(&mut self) -> usize {
            self.to_host.reset();
            self.queue.iter_mut().for_each(|c| c.fill(0.0));
            let set = self.to_host.set_resample_ratio(self.start_ratio, false);
            debug_assert!(set.is_ok());
            self.queued = self.queue.first().map_or(0, Vec::len);
            let taken = self.resample_to_host();
            let set = self.to_host.set_resample_ratio(self.ratio, false);
            debug_assert!(set.is_ok());
            taken
        }

        /// Resamples one internal block from `queue` to `output`. Returns the frames that it took from the queue.
        fn resample_to_host(&mut self) -> usize {
            let channels = self.queue.len();
            let from = SequentialSliceOfVecs::new(self.queue.as_slice(), channels, self.queued);
            let to = SequentialSliceOfVecs::new_mut(self.output.as_mut_slice(), channels, BLOCK_FRAMES);
            let (Ok(from), Ok(mut to)) = (from, to) else { return 0 };
            let done = self.to_host.process_into_buffer(&from, &mut to, None);
            debug_assert!(done.is_ok(), "{done:?}");
            done.map_or(0, |(taken, _)| taken)
        }

        /// Processes `frames` frames of every channel in place. `at` is the position of the first of them in the internal
        /// block, which they do not exceed. At its end `network` gets the whole internal block at the model's rate.
        /// [audio thread]
        pub fn process(&mut self, wet: &mut [Chunk], at: usize, frames: usize, network: impl FnMut(&mut Block<'_>)) {
            for ((wet, input), output) in wet.iter_mut().zip(&mut self.input).zip(&self.output) {
                input[at..at + frames].copy_from_slice(&wet[..frames]);
                wet[..frames].copy_from_slice(&output[at..at + frames]);
            }
            if at + frames == BLOCK_FRAMES {
                self.process_internal_block(network);
            }
        }

        /// Resamples the internal block in `input` to the model's rate, runs the network, and resamples the next one to
        /// `output`.
        fn process_internal_block(&mut self, mut network: impl FnMut(&mut Block<'_>)) {
            let channels = self.queue.len();
            let start = self.queued;
            let queue_frames = self.queue.first().map_or(0, Vec::len);
            let from = SequentialSliceOfVecs::new(self.input.as_slice(), channels, BLOCK_FRAMES);
            let to = SequentialSliceOfVecs::new_mut(self.queue.as_mut_slice(), channels, queue_frames);
            let (Ok(from), Ok(mut to)) = (from, to) else { return };
            let done = self.to_model.process_into_buffer(&from, &mut to, Some(&Indexing::new().output_offset(start)));
            debug_assert!(done.is_ok(), "{done:?}");
            self.queued += done.map_or(0, |(_, given)| given);
            let end = self.queued;
            {
                let mut block: ArrayVec<&mut [f32], MAX_CHANNELS> = self.queue.iter_mut().map(|c| &mut c[start..end]).collect();
                network(&mut block);
            }
            let taken = self.resample_to_host();
            self.queue.iter_mut().for_each(|c| c.copy_within(taken..end, 0));
            self.queued -= taken;
        }

        /// Bytes on the heap, with rubato's tables and histories.
        pub fn bytes(&self) -> usize {
            let ours: usize = [&self.input, &self.output, &self.queue].iter().flat_map(|v| v.iter()).map(Vec::len).sum();
            let histories: usize =
                [&self.to_model, &self.to_host].map(|r| r.input_frames_max() + 2 * r.output_delay()).iter().sum();
            self.table_bytes + (ours + histories * self.queue.len()) * size_of::<f32>()
        }
    }
}

#[cfg(test)]
#[cfg(feature = "models")]
mod tests {
    use super::ResamplerPair;
    use crate::dsp::{Block, CHUNK, Chunk};

    const PAIRS: [(f32, f32); 12] = [
        (8000.0, 48_000.0),
        (44_100.0, 48_000.0),
        (96_000.0, 48_000.0),
        (192_000.0, 48_000.0),
        (48_000.0, 44_100.0),
        (192_000.0, 44_100.0),
        (22_050.0, 96_000.0),
        (8000.0, 192_000.0),
        (192_000.0, 8000.0),
        (47_999.0, 48_000.0),
        (44_100.5, 48_000.0),
        (48_000.0, 32_000.0),
    ];

    /// The output for all of `x`, in internal blocks. `network` runs at the model's rate.
    fn through(resamplers: &mut ResamplerPair, x: &[f32], mut network: impl FnMut(&mut Block<'_>)) -> Vec<f32> {
        let (mut y, mut at) = (Vec::new(), 0);
        for part in x.chunks(resamplers.block_frames()) {
            let mut wet: [Chunk; 1] = [[0.0; CHUNK]];
            wet[0][..part.len()].copy_from_slice(part);
            resamplers.process(&mut wet, 0, part.len(), &mut network);
            y.extend_from_slice(&wet[0][..part.len()]);
            at += part.len();
        }
        assert_eq!(at, x.len());
        y
    }

    #[test]
    fn an_impulse_is_late_by_the_latency_within_a_thousandth_of_a_frame() {
        for (host, model) in PAIRS {
            for network_latency in [0, 100] {
                let mut resamplers = ResamplerPair::new(host, model, 1, network_latency).unwrap();
                let mut x = vec![0.0; 8192];
                x[5] = 1.0;
                let mut line = crate::dsp::Delay::new(network_latency);
                let y = through(&mut resamplers, &x, |block| line.process(block[0]));
                // The phase of a low frequency is the delay.
                let w = std::f64::consts::TAU * (0.05 * f64::from(model / host)).min(0.05);
                let (re, im) = y.iter().enumerate().fold((0.0, 0.0), |(re, im), (i, y)| {
                    let angle = w * (i as f64 - 5.0 - resamplers.latency() as f64);
                    (re + f64::from(*y) * angle.cos(), im + f64::from(*y) * angle.sin())
                });
                let off = im.atan2(re) / w;
                println!("{host} / {model}: latency {}, off by {off:.6}, gain {}", resamplers.latency(), re.hypot(im));
                assert!(off.abs() < 1e-3, "{host} / {model}: off by {off} of {}", resamplers.latency());
                assert!((re.hypot(im) - 1.0).abs() < 1e-3, "{host} / {model}: {}", re.hypot(im));
            }
        }
    }

    /// Levels of a tone and of everything beside it in the output, in dB of the tone in the input.
    fn tone(host: f32, model: f32, hz: f64) -> (f64, f64) {
        let mut resamplers = ResamplerPair::new(host, model, 1, 0).unwrap();
        let w = std::f64::consts::TAU * hz / f64::from(host);
        let x: Vec<f32> = (0..16_384).map(|i| (0.5 * (w * i as f64).sin()) as f32).collect();
        let y = through(&mut resamplers, &x, |_| ());
        let y = &y[8192..];
        // Least-squares fit of a sine and a cosine to the output.
        let [mut ss, mut cc, mut sc, mut sy, mut cy] = [0.0f64; 5];
        for (i, y) in y.iter().enumerate() {
            let (s, c) = (w * i as f64).sin_cos();
            (ss, cc, sc) = (ss + s * s, cc + c * c, sc + s * c);
            (sy, cy) = (sy + s * f64::from(*y), cy + c * f64::from(*y));
        }
        let d = ss * cc - sc * sc;
        let (a, b) = ((sy * cc - cy * sc) / d, (cy * ss - sy * sc) / d);
        let rest = y.iter().enumerate().map(|(i, y)| {
            let (s, c) = (w * i as f64).sin_cos();
            (f64::from(*y) - a * s - b * c).powi(2)
        });
        let db = |power: f64| 10.0 * (power / 0.125).max(1e-30).log10();
        (db((a * a + b * b) / 2.0), db(rest.sum::<f64>() / y.len() as f64))
    }

    #[test]
    fn tones_pass_without_images_and_those_above_the_lower_nyquist_frequency_do_not_pass() {
        for (host, model) in PAIRS {
            let lower = f64::from(host.min(model)) / 2.0;
            for part in [0.01, 0.11, 0.3, 0.5, 0.7, 0.85, 0.905] {
                let (level, rest) = tone(host, model, part * lower);
                assert!(level.abs() < 0.2 && rest < -90.0, "{host} / {model}, {part}: {level} dB, beside it {rest} dB");
            }
            for part in [1.065, 1.2, 1.31, 1.7, 2.3] {
                if part * lower < f64::from(host) / 2.0 {
                    let (level, rest) = tone(host, model, part * lower);
                    assert!(level < -90.0 && rest < -90.0, "{host} / {model}, {part}: {level} dB, beside it {rest} dB");
                }
            }
        }
    }

    #[test]
    fn the_queue_never_underruns_or_overruns() {
        for (host, model) in PAIRS {
            let mut resamplers = ResamplerPair::new(host, model, 1, 0).unwrap();
            let mut longest = 0;
            for _ in 0..50_000 {
                let mut wet = [[0.5; CHUNK]];
                resamplers.process(&mut wet, 0, resamplers.block_frames(), |block| longest = longest.max(block[0].len()));
            }
            assert!(longest <= resamplers.max_network_frames(), "{host} / {model}");
        }
    }

    #[test]
    fn rates_that_are_too_far_apart_are_an_error_that_names_both() {
        for (host, model) in [(1.0, 48_000.0), (48_000.0, 1.0), (48_000.0, 1e9), (48_000.0, f32::NAN), (48_000.0, 0.0)] {
            let error = ResamplerPair::new(host, model, 1, 0).err().unwrap().to_string();
            assert!(error.contains(&host.to_string()) && error.contains(&model.to_string()), "{error}");
        }
    }
}
