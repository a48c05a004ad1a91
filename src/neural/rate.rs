//! A model at another rate than the host's: to the model's rate and back, by sincs (rubato), with a whole latency.
//!
//! The host's frames come in turns of [`TURN`], counted from `reset`, so that nothing depends on how the stream is cut. A turn gives as
//! many frames at the model's rate as are due, the network runs over them, and what is needed for the host's next turn is taken from
//! what it gave; the few frames between both wait. The way back starts at a phase that makes the whole delay a whole number of
//! frames.

#[cfg(feature = "models")]
pub(super) use sinc::Rates;
#[cfg(not(feature = "models"))]
pub(super) use without::Rates;

#[cfg(not(feature = "models"))]
mod without {
    use crate::dsp::{Block, Chunk, PrepareError};

    /// Never made: without the feature `models` a model runs at its own rate only.
    pub enum Rates {}

    impl Rates {
        pub fn new(host: f32, model: f32, _: usize, _: usize) -> Result<Self, PrepareError> {
            Err(PrepareError::Rate { model, host, expected: "equal rates, as this is built without the feature `models`".into() })
        }

        pub fn latency(&self) -> usize {
            match *self {}
        }

        pub fn turn(&self) -> usize {
            match *self {}
        }

        pub fn longest_turn(&self) -> usize {
            match *self {}
        }

        pub fn reset(&mut self) {
            match *self {}
        }

        pub fn run(&mut self, _: &mut [Chunk], _: usize, _: usize, _: impl FnMut(&mut Block<'_>)) {
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

    /// Frames of a turn, at the host's rate: short, as it adds to the latency, and long enough that moving the history costs little.
    pub const TURN: usize = 32;
    /// Taps at the lower of both rates. With [`CUTOFF`] and this window the response is within 0.1 dB up to 0.91 of the lower
    /// Nyquist frequency and below -110 dB from 1.064 of it on (by the transform of the taps): 20 kHz at 44.1 kHz, where nothing is
    /// folded below 20.6 kHz.
    const TAPS: f64 = 80.0;
    /// Of the lower Nyquist frequency, where the response is -6 dB.
    const CUTOFF: f32 = 0.97;
    const WINDOW: WindowFunction = WindowFunction::BlackmanHarris;
    /// Rates whose ratio is a fraction of numbers up to this have each phase of the sinc in a table.
    const MOST_PHASES: u64 = 1024;
    /// Phases between which a cubic goes where the ratio is none of small numbers: its error is below -150 dB.
    const CUBIC_PHASES: usize = 256;
    /// 8 kHz and 192 kHz are as far apart.
    const MOST_RATIO: f64 = 24.0;
    /// How far the first turn's ratio may be off to start at another phase.
    const MOST_SKEW: f64 = 2.0;

    /// See the module.
    pub struct Rates {
        inward: Async<f32>,
        outward: Async<f32>,
        /// A turn of each channel at the host's rate: what came, and what goes.
        input: Vec<Vec<f32>>,
        output: Vec<Vec<f32>>,
        /// At the model's rate: what the network gave and the way back has not taken.
        middle: Vec<Vec<f32>>,
        /// Frames in `middle`.
        waiting: usize,
        /// Silent frames that wait in the middle right after `reset`.
        cushion: usize,
        /// Host frames per model frame.
        ratio: f64,
        /// The ratio of the silent turn that `reset` begins with.
        skewed: f64,
        latency: usize,
        table_bytes: usize,
    }

    /// Sinc and phases for a step from one rate to another.
    fn parameters(from: f32, to: f32) -> SincInterpolationParameters {
        let ratio = f64::from(from) / f64::from(to);
        let taps = (TAPS * ratio.max(1.0)).ceil() as usize;
        let parameters = SincInterpolationParameters::new(taps.next_multiple_of(8), WINDOW).f_cutoff(CUTOFF);
        match phases(from, to) {
            Some(phases) => parameters.oversampling_factor(phases).interpolation(SincInterpolationType::Nearest),
            None => parameters.oversampling_factor(CUBIC_PHASES).interpolation(SincInterpolationType::Cubic),
        }
    }

    /// Between two input frames, the number of places where outputs can lie, if both rates are multiples of something.
    fn phases(from: f32, to: f32) -> Option<usize> {
        if from.fract() != 0.0 || to.fract() != 0.0 {
            return None;
        }
        let (mut a, mut b) = (from as u64, to as u64);
        while b > 0 {
            (a, b) = (b, a % b);
        }
        let phases = to as u64 / a;
        (phases <= MOST_PHASES).then_some(phases as usize)
    }

    impl Rates {
        /// `voices_latency` is the network's own, in its frames. [control thread: allocates]
        pub fn new(host: f32, model: f32, channels: usize, voices_latency: usize) -> Result<Self, PrepareError> {
            let ratio = f64::from(host) / f64::from(model);
            if !(1.0 / MOST_RATIO..=MOST_RATIO).contains(&ratio) {
                let expected = format!("rates of which neither is more than {MOST_RATIO} times the other");
                return Err(PrepareError::Rate { model, host, expected });
            }
            let (there, back) = (parameters(host, model), parameters(model, host));
            let make = |ratio: f64, skew: f64, parameters: &SincInterpolationParameters, fixed: FixedAsync| {
                Async::<f32>::new_sinc(ratio, skew, parameters, TURN, channels, fixed)
                    .map_err(|e| PrepareError::Engine(format!("from {host} to {model} Hz: {e}")))
            };
            let inward = make(1.0 / ratio, 1.0, &there, FixedAsync::Input)?;
            let outward = make(ratio, MOST_SKEW, &back, FixedAsync::Output)?;

            // Where an output lies: rubato starts a frame short of its taps, reads from there, and the middle of its sinc lies half
            // the taps less one, and a phase, further. So an output of the way there is `taps/2 - 1/phases - ratio` host frames
            // late, one of the way back `taps/2 - 1/phases + phase` model frames less one host frame, where `phase` (0 to 1) is
            // what `reset` starts it at. `tests` prove it by impulses.
            let centre = |p: &SincInterpolationParameters| p.sinc_len as f64 / 2.0 - 1.0 / p.oversampling_factor as f64;
            // Each way has at most two frames more or less than is due.
            let least = (2.0 / ratio).ceil() + 4.0;
            let late = (TURN - 1) as f64 + centre(&there) + (centre(&back) + voices_latency as f64 + least) * ratio;
            let latency = (late - 1e-9).ceil();
            let cushion = least + ((latency - late) / ratio).max(0.0);
            let (whole, phase) = (cushion.floor(), cushion.fract());
            let step = 1.0 / ratio;
            let plain = TURN as f64 * step + 1.0;
            let taken = (plain + phase - 0.5).ceil();
            let skew = taken - phase - plain;
            let most = inward.output_frames_max() + outward.input_frames_max() + cushion.ceil() as usize + 2;
            let table_bytes = [&there, &back].iter().map(|p| p.sinc_len * p.oversampling_factor * size_of::<f32>()).sum();
            let mut new = Self {
                inward,
                outward,
                input: vec![vec![0.0; TURN]; channels],
                output: vec![vec![0.0; TURN]; channels],
                middle: vec![vec![0.0; most]; channels],
                waiting: 0,
                cushion: 0,
                ratio,
                skewed: 1.0 / (step + skew / TURN as f64),
                latency: latency as usize,
                table_bytes,
            };
            // Rounding may have let the first turn take one frame more or less.
            let more = new.begin() as isize - taken as isize;
            new.cushion = (whole as usize).saturating_add_signed(-more);
            new.reset();
            Ok(new)
        }

        /// [any thread]
        pub fn latency(&self) -> usize {
            self.latency
        }

        /// Frames of a turn at the host's rate. [any thread]
        pub fn turn(&self) -> usize {
            TURN
        }

        /// The most frames that a turn may have at the model's rate. [any thread]
        pub fn longest_turn(&self) -> usize {
            self.inward.output_frames_max()
        }

        /// [audio thread]
        pub fn reset(&mut self) {
            self.inward.reset();
            for channel in [&mut self.input, &mut self.output].into_iter().flatten() {
                channel.fill(0.0);
            }
            self.begin();
            self.waiting = self.cushion;
        }

        /// A silent turn of the way back, which leaves it at its phase. Returns what it took.
        fn begin(&mut self) -> usize {
            self.outward.reset();
            self.middle.iter_mut().for_each(|c| c.fill(0.0));
            let set = self.outward.set_resample_ratio(self.skewed, false);
            debug_assert!(set.is_ok());
            self.waiting = self.middle.first().map_or(0, Vec::len);
            let taken = self.back();
            let set = self.outward.set_resample_ratio(self.ratio, false);
            debug_assert!(set.is_ok());
            taken
        }

        /// A turn from `middle` to `output`. Returns what it took.
        fn back(&mut self) -> usize {
            let channels = self.middle.len();
            let from = SequentialSliceOfVecs::new(self.middle.as_slice(), channels, self.waiting);
            let to = SequentialSliceOfVecs::new_mut(self.output.as_mut_slice(), channels, TURN);
            let (Ok(from), Ok(mut to)) = (from, to) else { return 0 };
            let done = self.outward.process_into_buffer(&from, &mut to, None);
            debug_assert!(done.is_ok(), "{done:?}");
            done.map_or(0, |(taken, _)| taken)
        }

        /// `frames` frames of every channel, from `at` on within a turn. `network` gets a whole turn at the model's rate.
        /// [audio thread]
        pub fn run(&mut self, wet: &mut [Chunk], at: usize, frames: usize, network: impl FnMut(&mut Block<'_>)) {
            for ((wet, input), output) in wet.iter_mut().zip(&mut self.input).zip(&self.output) {
                input[at..at + frames].copy_from_slice(&wet[..frames]);
                wet[..frames].copy_from_slice(&output[at..at + frames]);
            }
            if at + frames == TURN {
                self.go(network);
            }
        }

        fn go(&mut self, mut network: impl FnMut(&mut Block<'_>)) {
            let channels = self.middle.len();
            let start = self.waiting;
            let most = self.middle.first().map_or(0, Vec::len);
            let from = SequentialSliceOfVecs::new(self.input.as_slice(), channels, TURN);
            let to = SequentialSliceOfVecs::new_mut(self.middle.as_mut_slice(), channels, most);
            let (Ok(from), Ok(mut to)) = (from, to) else { return };
            let done = self.inward.process_into_buffer(&from, &mut to, Some(&Indexing::new().output_offset(start)));
            debug_assert!(done.is_ok(), "{done:?}");
            self.waiting += done.map_or(0, |(_, given)| given);
            let end = self.waiting;
            {
                let mut block: ArrayVec<&mut [f32], MAX_CHANNELS> = self.middle.iter_mut().map(|c| &mut c[start..end]).collect();
                network(&mut block);
            }
            let taken = self.back();
            self.middle.iter_mut().for_each(|c| c.copy_within(taken..end, 0));
            self.waiting -= taken;
        }

        /// Bytes on the heap; of rubato's, the tables and histories.
        pub fn bytes(&self) -> usize {
            let ours: usize = [&self.input, &self.output, &self.middle].iter().flat_map(|v| v.iter()).map(Vec::len).sum();
            let histories: usize =
                [&self.inward, &self.outward].map(|r| r.input_frames_max() + 2 * r.output_delay()).iter().sum();
            self.table_bytes + (ours + histories * self.middle.len()) * size_of::<f32>()
        }
    }
}

#[cfg(all(test, feature = "models"))]
mod tests {
    use super::Rates;
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

    /// All of `x` through the rates and back, cut at the turns; `network` runs at the model's rate.
    fn through(rates: &mut Rates, x: &[f32], mut network: impl FnMut(&mut Block<'_>)) -> Vec<f32> {
        let (mut y, mut at) = (Vec::new(), 0);
        for part in x.chunks(rates.turn()) {
            let mut wet: [Chunk; 1] = [[0.0; CHUNK]];
            wet[0][..part.len()].copy_from_slice(part);
            rates.run(&mut wet, 0, part.len(), &mut network);
            y.extend_from_slice(&wet[0][..part.len()]);
            at += part.len();
        }
        assert_eq!(at, x.len());
        y
    }

    #[test]
    fn an_impulse_comes_late_by_the_latency_to_a_thousandth_of_a_frame() {
        for (host, model) in PAIRS {
            for voices_latency in [0, 100] {
                let mut rates = Rates::new(host, model, 1, voices_latency).unwrap();
                let mut x = vec![0.0; 8192];
                x[5] = 1.0;
                let mut line = crate::dsp::Delay::new(voices_latency);
                let y = through(&mut rates, &x, |block| line.process(block[0]));
                // The phase of a low frequency is the delay.
                let w = std::f64::consts::TAU * (0.05 * f64::from(model / host)).min(0.05);
                let (re, im) = y.iter().enumerate().fold((0.0, 0.0), |(re, im), (i, y)| {
                    let angle = w * (i as f64 - 5.0 - rates.latency() as f64);
                    (re + f64::from(*y) * angle.cos(), im + f64::from(*y) * angle.sin())
                });
                let off = im.atan2(re) / w;
                println!("{host} / {model}: latency {}, off by {off:.6}, gain {}", rates.latency(), re.hypot(im));
                assert!(off.abs() < 1e-3, "{host} / {model}: off by {off} of {}", rates.latency());
                assert!((re.hypot(im) - 1.0).abs() < 1e-3, "{host} / {model}: {}", re.hypot(im));
            }
        }
    }

    /// A tone in dB of itself, and what is left beside it, in dB of what went in.
    fn tone(host: f32, model: f32, hz: f64) -> (f64, f64) {
        let mut rates = Rates::new(host, model, 1, 0).unwrap();
        let w = std::f64::consts::TAU * hz / f64::from(host);
        let x: Vec<f32> = (0..16_384).map(|i| (0.5 * (w * i as f64).sin()) as f32).collect();
        let y = through(&mut rates, &x, |_| ());
        let y = &y[8192..];
        // The sine and cosine that are closest to it (least squares).
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
    fn tones_pass_without_images_and_what_the_lower_rate_cannot_hold_does_not_pass() {
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
    fn the_middle_never_runs_dry_nor_over() {
        for (host, model) in PAIRS {
            let mut rates = Rates::new(host, model, 1, 0).unwrap();
            let mut longest = 0;
            for _ in 0..50_000 {
                let mut wet = [[0.5; CHUNK]];
                rates.run(&mut wet, 0, rates.turn(), |block| longest = longest.max(block[0].len()));
            }
            assert!(longest <= rates.longest_turn(), "{host} / {model}");
        }
    }

    #[test]
    fn rates_that_are_too_far_apart_are_an_error_that_says_both() {
        for (host, model) in [(1.0, 48_000.0), (48_000.0, 1.0), (48_000.0, 1e9), (48_000.0, f32::NAN), (48_000.0, 0.0)] {
            let error = Rates::new(host, model, 1, 0).err().unwrap().to_string();
            assert!(error.contains(&host.to_string()) && error.contains(&model.to_string()), "{error}");
        }
    }
}
