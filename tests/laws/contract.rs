//! The laws that every algorithm of the registry obeys, and some of single algorithms. A failure prints the seed, the effect, the
//! rate and the number of channels: enough to play it again.
//!
//! The algorithm that plays models is tested without a model and with those of `test_models`.

#[cfg(feature = "measure")]
mod measured;

use crate::test_models::{TEST_MODELS, plays, test_model};
use isotherm::algorithm::REGISTRY;
use isotherm::dsp::oversample::exchange_factors;
use isotherm::dsp::{Algorithm, ChangeMode, MAX_CHANNELS, ParameterKind, ProcessSpec, Processor, Unit, db_to_gain};
use isotherm::effect::Effect;
use isotherm::graph::{Swap, TapReceiver};
use isotherm::slots::{Listen, Slots};

const RATES: [f32; 5] = [8_000.0, 44_100.0, 48_000.0, 96_000.0, 192_000.0];
const CHANNELS: [usize; 3] = [1, 2, 32];

/// A generator of random sounds and values, all determined by a seed.
struct Random(isotherm::audio::Random);

impl Random {
    fn new(seed: u64) -> Self {
        Self(isotherm::audio::Random::new(seed))
    }

    /// A whole number from 0 to below `n`.
    fn below(&mut self, n: usize) -> usize {
        (self.0.bits() % n as u64) as usize
    }

    /// A number from 0 to below 1.
    fn unit(&mut self) -> f32 {
        (self.0.bits() >> 40) as f32 / (1 << 24) as f32
    }

    /// White noise from -`amplitude` to `amplitude`.
    fn noise(&mut self, channels: usize, frames: usize, amplitude: f32) -> Sound {
        (0..channels).map(|_| (0..frames).map(|_| amplitude * (2.0 * self.unit() - 1.0)).collect()).collect()
    }

    /// A value of a parameter: in half of the cases an end of its range or the default.
    fn value(&mut self, row: &Algorithm, index: usize) -> f32 {
        let p = &row.parameters[index];
        let (min, max) = p.range();
        match self.below(6) {
            0 => min,
            1 => max,
            2 => p.default(),
            _ => match p.kind {
                ParameterKind::Float { unit: Unit::Hertz, .. } => min * (max / min).powf(self.unit()),
                _ => p.clamp(min + (max - min) * self.unit()),
            },
        }
    }

    /// The effect `base` with random values.
    fn effect(&mut self, base: &Effect) -> Effect {
        let mut effect = base.clone();
        let row = effect.algorithm();
        for index in 0..row.parameters.len() {
            effect.settings.set(index, self.value(row, index));
        }
        effect
    }

    /// The index of a ramped parameter.
    fn random_ramped(&mut self, row: &'static Algorithm) -> usize {
        let all = ramped_indices(row);
        all[self.below(all.len())]
    }
}

/// Samples: a vector per channel.
type Sound = Vec<Vec<f32>>;

/// The indices of the ramped parameters.
fn ramped_indices(row: &'static Algorithm) -> Vec<usize> {
    (0..row.parameters.len()).filter(|i| row.parameters[*i].change == ChangeMode::Ramped).collect()
}

/// Every algorithm at its defaults, and the neural algorithm with every test model.
fn bases() -> impl Iterator<Item = Effect> {
    REGISTRY.iter().map(|row| Effect::new(row)).chain(TEST_MODELS.iter().map(|model| model.effect()))
}

/// The sample rates at which an effect plays.
fn rates(base: &Effect) -> impl Iterator<Item = f32> {
    RATES.into_iter().filter(|rate| plays(base, *rate))
}

/// The [`bases`] that play at 48 kHz.
fn bases_at_48_khz() -> impl Iterator<Item = Effect> {
    bases().filter(|base| plays(base, 48_000.0))
}

/// The [`bases`] that are linear for quiet sounds at [`linear`] settings: for measuring latency and phase.
fn linear_bases() -> impl Iterator<Item = Effect> {
    bases().filter(|base| test_model(base).is_none_or(|model| model.gain_only))
}

/// False for a model whose network is unstable, which breaks some laws.
fn is_stable(effect: &Effect) -> bool {
    test_model(effect).is_none_or(|model| model.stable)
}

/// True if the effect plays a model for which the sound is resampled to another rate. Oversampled models need no resampler at
/// their own rate, nor at the multiple of it at which they run.
fn is_resampled(effect: &Effect, rate: f32) -> bool {
    let oversampling = effect.settings.iter().find(|(p, _)| p.id == "oversampling").map_or(1.0, |(_, value)| value.exp2());
    test_model(effect).is_some_and(|test| {
        let own = test.model.info().sample_rate;
        rate != own && rate != own * oversampling
    })
}

/// Largest allowed difference of samples at the end of a sound that should be constant there. A recurrent network may end in a
/// cycle of the last bits of its state, whose size is proportional to the loudest sample. The phases of a resampler's sinc filter
/// differ in gain, within -90 dB, so a constant has a ripple, also if its offset is removed afterwards.
fn allowed_ripple(effect: &Effect, rate: f32, sound: &[f32]) -> f32 {
    let is_recurrent = test_model(effect).is_some_and(|test| {
        test.model.sizes().iter().filter_map(|s| s.architecture.as_ref()).any(|a| a.receptive_field().is_none())
    });
    let blocks_dc = effect.settings.iter().any(|(p, v)| p.id == "dc_blocker" && v > 0.0);
    let (all, end) = (peak(sound), peak(&sound[sound.len() - 1000..]));
    match (is_resampled(effect, rate), is_recurrent) {
        (true, _) => 3e-5 * if blocks_dc { all } else { end },
        (false, true) => 4.0 * f32::EPSILON * all,
        (false, false) => 0.0,
    }
}

/// The algorithm and the model of an effect, for messages.
fn name(effect: &Effect) -> String {
    format!("{} {:?}", effect.algorithm().id, test_model(effect).and_then(|test| test.model.info().name.as_deref()))
}

/// A processor for blocks of at most 4096 frames.
fn prepared(effect: &Effect, sample_rate: f32, channels: usize) -> Box<dyn Processor> {
    effect.prepare(ProcessSpec::new(sample_rate, channels, 4096)).unwrap()
}

/// Processes frames `from..to` of a sound in one block, in place.
fn run(processor: &mut dyn Processor, sound: &mut Sound, from: usize, to: usize) {
    let mut block: Vec<&mut [f32]> = sound.iter_mut().map(|c| &mut c[from..to]).collect();
    processor.process(&mut block);
}

/// The output for a sound that is processed in one block.
fn rendered(processor: &mut dyn Processor, sound: &Sound) -> Sound {
    let mut out = sound.clone();
    let frames = out[0].len();
    run(processor, &mut out, 0, frames);
    out
}

/// The output for samples of one channel that are processed in one block.
fn mono(processor: &mut dyn Processor, samples: &[f32]) -> Vec<f32> {
    rendered(processor, &vec![samples.to_vec()]).remove(0)
}

/// Asserts that all bits are the same.
#[track_caller]
fn assert_same(a: &Sound, b: &Sound, what: &str) {
    for (channel, (a, b)) in a.iter().zip(b).enumerate() {
        assert_eq!(a.len(), b.len());
        if let Some(frame) = (0..a.len()).find(|i| a[*i].to_bits() != b[*i].to_bits()) {
            let (x, y) = (a[frame], b[frame]);
            panic!("channel {channel}, frame {frame}: {x:e} and {y:e}; {what}");
        }
    }
}

#[track_caller]
fn assert_finite(sound: &Sound, what: &str) {
    assert!(sound.iter().flatten().all(|x| x.is_finite()), "{what}");
}

/// A sine of any frequency.
fn sine(hz: f64, sample_rate: f32, amplitude: f32, frames: usize) -> Vec<f32> {
    let w = std::f64::consts::TAU * hz / f64::from(sample_rate);
    (0..frames).map(|i| amplitude * (w * i as f64).sin() as f32).collect()
}

/// Calls `law` for each of the [`bases`] at its defaults and with `each` random settings, at every sample rate, with 1, 2 and 32
/// channels in turn. `law` gets effect, sample rate, number of channels, a random generator and a description for messages.
/// `ISOTHERM_SEED=n` selects other random settings.
fn cases(seed: u64, each: usize, mut law: impl FnMut(&Effect, f32, usize, &mut Random, &str)) {
    let user_seed: u64 = std::env::var("ISOTHERM_SEED").map_or(0, |n| n.parse().expect("ISOTHERM_SEED is a number"));
    let mut random = Random::new(seed ^ (user_seed << 32));
    for base in bases() {
        // Fewer cases for each model, because all are played by one algorithm.
        let each = if test_model(&base).is_some() { each.div_ceil(3) } else { each };
        for (r, rate) in RATES.into_iter().enumerate() {
            for k in 0..=each {
                let channels = CHANNELS[(r + k) % 3];
                let effect = if k == 0 { base.clone() } else { random.effect(&base) };
                let seed = random.0.bits();
                let what = format!("{}, seed {seed:#x}, {channels} channels at {rate} Hz, {effect:?}", name(&base));
                // The random numbers above are drawn in any case, so that a rate has the same seeds with any features.
                if plays(&base, rate) {
                    law(&effect, rate, channels, &mut Random::new(seed), &what);
                }
            }
        }
    }
}

/// The output for a sound with parameters changed on the way. `changes` has frame, parameter and value, in the order of the
/// frames. `cut` gets the number of frames to the next change and returns the length of the next block.
fn with_changes(
    processor: &mut dyn Processor,
    input: &Sound,
    changes: &[(usize, usize, f32)],
    mut cut: impl FnMut(usize) -> usize,
) -> Sound {
    let mut out = input.clone();
    let frames = out[0].len();
    let (mut at, mut pending) = (0, changes.iter().peekable());
    while at < frames {
        while let Some((_, index, value)) = pending.next_if(|c| c.0 == at) {
            processor.set(*index, *value);
        }
        let end = pending.peek().map_or(frames, |c| c.0.min(frames));
        let n = cut(end - at).clamp(1, end - at);
        run(processor, &mut out, at, at + n);
        at += n;
    }
    out
}

/// Random changes of ramped parameters: frame, parameter, value. At any frame, and often close to the end of an earlier glide
/// (20 ms).
fn random_changes(random: &mut Random, row: &'static Algorithm, rate: f32, frames: usize) -> Vec<(usize, usize, f32)> {
    let glide = (0.02 * rate) as usize;
    let mut at = 0;
    let mut changes = Vec::new();
    loop {
        at += match random.below(3) {
            0 => random.below(64),
            1 => random.below(2 * glide),
            _ => (glide + random.below(80)).saturating_sub(16),
        };
        if at >= frames {
            return changes;
        }
        let index = random.random_ramped(row);
        // In half of the cases the same parameter again.
        let index = if random.below(2) == 0 { changes.last().map_or(index, |c: &(usize, usize, f32)| c.1) } else { index };
        changes.push((at, index, random.value(row, index)));
    }
}

#[test]
fn block_sizes_change_no_sample() {
    cases(0xb10c, 5, |effect, rate, channels, random, what| {
        let input = random.noise(channels, 6000, 1.0);
        let whole = rendered(&mut *prepared(effect, rate, channels), &input);
        for max_block in [1, 7, 100, 1500] {
            let cut = with_changes(&mut *prepared(effect, rate, channels), &input, &[], |_| 1 + random.below(max_block));
            assert_same(&whole, &cut, what);
            if channels > 2 {
                break;
            }
        }
    });
}

#[test]
fn block_sizes_change_no_sample_while_parameters_change() {
    cases(0x5e7, 24, |effect, rate, channels, random, what| {
        let channels = channels.min(2);
        let frames = 6000 + random.below(2000);
        let input = random.noise(channels, frames, 1.0);
        let changes = random_changes(random, effect.algorithm(), rate, frames);
        let whole = with_changes(&mut *prepared(effect, rate, channels), &input, &changes, |n| n);
        for max_block in [1, 70, 700] {
            let cut = with_changes(&mut *prepared(effect, rate, channels), &input, &changes, |_| 1 + random.below(max_block));
            assert_same(&whole, &cut, &format!("{what}, {changes:?}"));
        }
        assert_finite(&whole, what);
    });
}

#[test]
fn reset_is_exact() {
    cases(0x4e5e7, 4, |effect, rate, channels, random, what| {
        let input = random.noise(channels, 1500, 1.0);
        let mut processor = prepared(effect, rate, channels);
        let first = rendered(&mut *processor, &input);
        processor.reset();
        assert_same(&first, &rendered(&mut *processor, &input), what);
        // Values that were set stay: the result is that of a processor prepared with them.
        let mut later = effect.clone();
        for index in ramped_indices(effect.algorithm()) {
            let value = random.value(effect.algorithm(), index);
            later.settings.set(index, value);
            processor.set(index, value);
            run(&mut *processor, &mut input.clone(), 0, random.below(300));
        }
        processor.reset();
        let fresh = rendered(&mut *prepared(&later, rate, channels), &input);
        assert_same(&fresh, &rendered(&mut *processor, &input), &format!("{what}, later {later:?}"));
    });
}

#[test]
fn values_set_right_after_reset_do_not_glide() {
    cases(0xf2e5, 4, |effect, rate, channels, random, what| {
        let input = random.noise(channels, 1500, 1.0);
        let mut processor = prepared(effect, rate, channels);
        run(&mut *processor, &mut input.clone(), 0, random.below(1500));
        processor.reset();
        let mut later = effect.clone();
        for index in ramped_indices(effect.algorithm()) {
            // Set twice: the last value counts.
            processor.set(index, random.value(effect.algorithm(), index));
            let value = random.value(effect.algorithm(), index);
            later.settings.set(index, value);
            processor.set(index, value);
        }
        let fresh = rendered(&mut *prepared(&later, rate, channels), &input);
        assert_same(&fresh, &rendered(&mut *processor, &input), &format!("{what}, later {later:?}"));
    });
}

#[test]
fn values_out_of_range_are_clamped_and_structural_parameters_do_not_change() {
    cases(0xc1a, 3, |effect, rate, channels, random, what| {
        let row = effect.algorithm();
        let input = random.noise(channels, 2500, 1.0);
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30, -1e30] {
            let (mut one, mut two) = (prepared(effect, rate, channels), prepared(effect, rate, channels));
            let (mut a, mut b) = (input.clone(), input.clone());
            run(&mut *one, &mut a, 0, 100);
            run(&mut *two, &mut b, 0, 100);
            for (index, parameter) in row.parameters.iter().enumerate() {
                one.set(index, bad);
                if parameter.change == ChangeMode::Ramped {
                    two.set(index, parameter.clamp(bad));
                }
            }
            one.set(row.parameters.len(), 1.0);
            one.set(usize::MAX, 1.0);
            assert_eq!(one.latency(), two.latency());
            run(&mut *one, &mut a, 100, 2500);
            run(&mut *two, &mut b, 100, 2500);
            assert_same(&a, &b, &format!("{bad}, {what}"));
            assert_finite(&a, what);
        }
    });
}

#[test]
fn empty_blocks_do_not_panic_and_specs_out_of_range_are_refused() {
    for base in bases_at_48_khz() {
        let mut processor = prepared(&base, 48_000.0, 2);
        processor.process(&mut [&mut [], &mut []]);
        processor.process(&mut []);
        let good = ProcessSpec::new(48_000.0, 2, 64);
        let bad = [
            ProcessSpec { channels: 0, ..good },
            ProcessSpec { channels: MAX_CHANNELS + 1, ..good },
            ProcessSpec { sample_rate: 0.0, ..good },
            ProcessSpec { sample_rate: f32::NAN, ..good },
            ProcessSpec { max_frames: 0, ..good },
        ];
        for spec in bad {
            assert!(base.prepare(spec).is_err(), "{}: {spec:?}", name(&base));
        }
    }
}

#[test]
fn a_duplicate_continues_like_the_original() {
    let mut copied = 0;
    cases(0xd0b1, 3, |effect, rate, channels, random, what| {
        let mut processor = prepared(effect, rate, channels);
        let mut sound = random.noise(channels, 3000, 1.0);
        run(&mut *processor, &mut sound, 0, 1000);
        let index = random.random_ramped(effect.algorithm());
        processor.set(index, random.value(effect.algorithm(), index));
        run(&mut *processor, &mut sound, 1000, 1100);
        let Some(mut duplicate) = processor.duplicate() else {
            // A resampler cannot be copied, nor can a test model that is a Rust function.
            assert!(test_model(effect).is_some(), "{what}");
            return;
        };
        copied += usize::from(test_model(effect).is_some());
        let mut copy = sound.clone();
        run(&mut *processor, &mut sound, 1100, 3000);
        run(&mut *duplicate, &mut copy, 1100, 3000);
        assert_same(&sound, &copy, what);
    });
    assert!(copied > 0, "networks of the engine can be copied");
}

#[test]
fn two_processors_with_the_same_settings_give_the_same_samples() {
    cases(0x2_2, 3, |effect, rate, channels, random, what| {
        let input = random.noise(channels, 3000, 1.0);
        let mut one = prepared(effect, rate, channels);
        run(&mut *prepared(effect, rate, channels), &mut input.clone(), 0, 1000);
        let mut two = prepared(effect, rate, channels);
        assert_same(&rendered(&mut *one, &input), &rendered(&mut *two, &input), what);
    });
}

#[test]
fn channels_do_not_leak() {
    cases(0x1ea4, 3, |effect, rate, channels, random, what| {
        // An unstable network is reset in all channels.
        if !is_stable(effect) {
            return;
        }
        let channels = channels.max(2);
        let input = random.noise(channels, 2000, 1.0);
        let changed = random.below(channels);
        let mut other = input.clone();
        other[changed] = random.noise(1, 2000, 1.0).remove(0);
        other[changed][500..600].fill(f32::NAN);
        let a = rendered(&mut *prepared(effect, rate, channels), &input);
        let b = rendered(&mut *prepared(effect, rate, channels), &other);
        for channel in (0..channels).filter(|c| *c != changed) {
            assert_same(&vec![a[channel].clone()], &vec![b[channel].clone()], what);
        }
    });
}

#[test]
fn nan_infinities_and_extreme_samples_come_out_finite_and_reset_removes_all_traces() {
    cases(0xbad, 4, |effect, rate, channels, random, what| {
        let mut bad = random.noise(channels, 2000, 1.0);
        for (channel, samples) in bad.iter_mut().enumerate() {
            for (i, x) in samples.iter_mut().enumerate() {
                let extremes =
                    [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30, -1e30, f32::MAX, f32::MIN_POSITIVE / 2.0, -f32::NAN];
                if (i / 100 + channel) % 3 == 0 {
                    *x = extremes[random.below(extremes.len())];
                }
            }
        }
        let mut processor = prepared(effect, rate, channels);
        assert_finite(&rendered(&mut *processor, &bad), what);
        processor.reset();
        let input = random.noise(channels, 1000, 1.0);
        let fresh = rendered(&mut *prepared(effect, rate, channels), &input);
        assert_same(&fresh, &rendered(&mut *processor, &input), what);
    });
}

/// True if the output contains random numbers: dither or jitter is on.
fn is_random(effect: &Effect) -> bool {
    effect.settings.iter().any(|(p, v)| matches!(p.id, "dither" | "jitter") && v > 0.0)
}

#[test]
fn silence_gives_silence_at_default_settings() {
    // A network's output for silence can be anything.
    for base in bases().filter(|base| test_model(base).is_none_or(|model| model.silent)) {
        for rate in rates(&base) {
            let out = rendered(&mut *prepared(&base, rate, 2), &vec![vec![0.0; 20_000]; 2]);
            assert!(out.iter().flatten().all(|x| *x == 0.0), "{} at {rate}", name(&base));
        }
    }
}

/// Largest allowed difference from a constant, as a share of the sound's peak or of its peak before its offset was removed:
/// rounding, and the cycle of last bits in which a recurrent network may end.
const CONSTANT_TOLERANCE: f32 = 2e-6;

/// Channel, frame and value of the first sample that differs from the first frame by more than [`CONSTANT_TOLERANCE`].
/// `peak_before_dc_blocker` is the peak of the sound before its offset was removed.
fn first_change(sound: &Sound, peak_before_dc_blocker: f32) -> Option<(usize, usize, f32)> {
    let bound = CONSTANT_TOLERANCE * peak(&sound[0]).max(peak_before_dc_blocker);
    let change = |c: usize| (0..sound[c].len()).find(|i| (sound[c][*i] - sound[0][0]).abs() > bound || !sound[c][*i].is_finite());
    (0..sound.len()).find_map(|c| change(c).map(|frame| (c, frame, sound[c][frame])))
}

#[test]
fn silence_gives_a_constant_from_the_first_frame_on_at_any_settings() {
    let mut random = Random::new(0x51e7ce);
    let mut turn = 0;
    for base in bases() {
        let row = base.algorithm();
        let rates: Vec<f32> = rates(&base).collect();
        let mut all = vec![base.clone(), random.effect(&base), random.effect(&base), random.effect(&base)];
        for (index, p) in row.parameters.iter().enumerate() {
            for part in [0.0, 0.3, 1.0] {
                let mut effect = base.clone();
                effect.settings.set(index, p.clamp(value_in_range(row, index, part)));
                all.push(effect);
                // The same with random values of the other parameters, which may give an offset.
                let mut effect = random.effect(&base);
                effect.settings.set(index, p.clamp(value_in_range(row, index, part)));
                all.push(effect);
            }
        }
        for effect in all.into_iter().filter(|effect| !is_random(effect)) {
            let rate = rates[turn % rates.len()];
            turn += 1;
            let mut processor = prepared(&effect, rate, 2);
            let silence = vec![vec![0.0; (0.1 * rate) as usize + 4 * processor.latency()]; 2];
            // The peak without the DC blocker, to which rounding errors are proportional.
            let raw = |effect: &Effect| {
                let mut raw = effect.clone();
                if let Some(index) = raw.settings.index("dc_blocker") {
                    raw.settings.set(index, 0.0);
                }
                peak(&rendered(&mut *prepared(&raw, rate, 1), &vec![vec![0.0; 500]])[0])
            };
            let out = rendered(&mut *processor, &silence);
            let what = format!("{} at {rate} Hz, {effect:?}", name(&effect));
            assert_eq!(first_change(&out, raw(&effect)), None, "begins with {}; prepared: {what}", out[0][0]);
            // Other values, set after a reset.
            let mut later = effect.clone();
            for index in ramped_indices(row) {
                later.settings.set(index, random.value(row, index));
            }
            if is_random(&later) {
                continue;
            }
            run(&mut *processor, &mut random.noise(2, 700, 1.0), 0, 700);
            processor.reset();
            for index in ramped_indices(row) {
                processor.set(index, later.settings.get(index));
            }
            let out = rendered(&mut *processor, &silence);
            let what = format!("{what}, later {later:?}");
            assert_eq!(first_change(&out, raw(&later)), None, "begins with {}; set after reset: {what}", out[0][0]);
        }
    }
}

#[test]
fn with_the_dc_blocker_on_silence_gives_silence_at_any_settings() {
    let mut random = Random::new(0xdcb);
    let mut offsets = 0;
    for base in bases().filter(|b| b.settings.index("dc_blocker").is_some()) {
        for effect in [base.clone(), random.effect(&base), random.effect(&base)] {
            for rate in rates(&base) {
                let [on, off] = [1.0, 0.0].map(|on| {
                    let effect = effect.with("dc_blocker", on).with("mix", 100.0);
                    rendered(&mut *prepared(&effect, rate, 1), &vec![vec![0.0; 3000]]).remove(0)
                });
                offsets += usize::from(peak(&off) > 1e-3);
                let limit = CONSTANT_TOLERANCE * peak(&off);
                assert!(peak(&on) <= limit, "{} of {}: {} at {rate} Hz, {effect:?}", peak(&on), peak(&off), name(&base));
            }
        }
    }
    assert!(offsets > 20, "only {offsets} had an offset");
}

#[cfg(feature = "models")]
#[test]
fn the_shipped_model_with_a_knob_begins_without_a_burst_at_any_value() {
    let model = isotherm::neural::Model::open("assets/models/saturator-drive-lstm16.json".as_ref()).unwrap();
    let effect = Effect::from_id("neural").unwrap().with("output_mode", 0.0).with_model(model);
    let mut processor = prepared(&effect, 48_000.0, 1);
    for knob in [0.5, 0.0, 0.03, 0.7, 1.0, 0.5] {
        for fresh in [true, false] {
            let effect = effect.with("knob_1", knob);
            if fresh {
                processor = prepared(&effect, 48_000.0, 1);
            } else {
                run(&mut *processor, &mut Random::new(5).noise(1, 3000, 1.0), 0, 3000);
                processor.reset();
                processor.set(effect.settings.index("knob_1").unwrap(), knob);
            }
            let out = mono(&mut *processor, &[0.0; 24_000]);
            let moves = out.iter().map(|y| (y - out[0]).abs()).fold(0.0, f32::max);
            println!("knob {knob}: {} and {moves:e} of movement", out[0]);
            // -108 dBFS: the LSTM ends in a cycle of the last bits of its state, which its output layer amplifies.
            assert!(moves < 4e-6, "knob {knob}, fresh {fresh}: {moves:e} from {}", out[0]);
        }
    }
}

#[test]
fn no_denormal_number_comes_out_at_any_level_while_parameters_change() {
    cases(0x5ab4, 12, |effect, rate, channels, random, what| {
        let channels = channels.min(2);
        let frames = 9000;
        let mut input = random.noise(channels, frames, 1.0);
        // Parts that are loud, silent, just above and below the smallest normal number, and very quiet.
        for samples in &mut input {
            for part in samples.chunks_mut(700) {
                let scale = [1.0, 0.0, 1e-37, 1e-38, 1e-40, 1e-20][random.below(6)];
                part.iter_mut().for_each(|x| *x *= scale);
            }
            samples[7000..].fill(0.0);
        }
        let changes = random_changes(random, effect.algorithm(), rate, frames);
        let out = with_changes(&mut *prepared(effect, rate, channels), &input, &changes, |_| 1 + random.below(300));
        let found = out.iter().flatten().find(|x| x.is_subnormal() || !x.is_finite());
        assert_eq!(found, None, "{what}, {changes:?}");
    });
}

/// The first denormal number that taps receive, with the number of its tap.
#[derive(Default)]
struct Denormal(Option<(usize, f32)>);

impl TapReceiver for Denormal {
    fn write(&mut self, tap: usize, _: usize, _: usize, samples: &[f32]) {
        let found = samples.iter().find(|x| x.is_subnormal());
        self.0 = self.0.or(found.map(|x| (tap, *x)));
    }
}

#[test]
fn no_denormal_number_comes_out_of_slots_in_bypass_in_a_dip_or_at_a_tap() {
    let mut random = Random::new(0xf1a5);
    let all: Vec<Effect> = bases_at_48_khz().collect();
    for _ in 0..60 {
        let effect = [(); 2].map(|()| {
            let base = all[random.below(all.len())].clone();
            random.effect(&base)
        });
        let spec = ProcessSpec::new(48_000.0, 2, 512);
        let slots = Slots::compile(spec, &effect, Listen::Bypass, None).unwrap();
        let (mut swap, mut sender) = Swap::new(Box::new(slots), spec.sample_rate);
        for block in 0..40 {
            let scale = [1.0, 1e-36, 2e-38, 1e-38, 1e-41, 0.0][random.below(6)];
            let mut sound = random.noise(2, 512, scale);
            if random.below(3) == 0 {
                let listen = [Listen::Slot(0), Listen::Slot(1), Listen::Bypass][random.below(3)];
                swap.current().set_listen(listen);
            }
            if block % 10 == 9 {
                let next = Slots::compile(spec, &effect, Listen::Bypass, None).unwrap();
                let _ = sender.send(Box::new(next));
            }
            let mut views: Vec<&mut [f32]> = sound.iter_mut().map(Vec::as_mut_slice).collect();
            let mut tapped = Denormal::default();
            swap.run(&mut views, Slots::latency, |slots, block| slots.process_tapped(block, &mut tapped));
            assert_eq!(tapped.0, None, "block {block}, scale {scale:e}, {effect:?}");
            let found = sound.iter().flatten().find(|x| x.is_subnormal());
            assert_eq!(found, None, "block {block}, scale {scale:e}, {effect:?}");
        }
    }
}

#[test]
fn a_constant_gives_a_constant_in_the_end() {
    cases(0xdc, 4, |effect, rate, _, random, what| {
        let x = [1.0, -1.0, 0.3, 0.0, 1e-3][random.below(5)];
        let mut processor = prepared(effect, rate, 1);
        // 3 s: 94 time constants of the 5 Hz high-pass.
        let out = mono(&mut *processor, &vec![x; (3.0 * rate) as usize]);
        assert!(out.iter().all(|y| y.is_finite()), "{what}");
        if !is_random(effect) && is_stable(effect) {
            let end = &out[out.len() - 1000..];
            let allowed_ripple = allowed_ripple(effect, rate, &out);
            assert!(end.iter().all(|y| (*y - end[0]).abs() <= allowed_ripple), "{x}: {:?}; {what}", &end[990..]);
        }
    });
}

#[test]
fn no_denormal_number_comes_out_when_sound_stops() {
    cases(0x5b, 5, |effect, rate, _, random, what| {
        let mut sound = random.noise(1, (3.0 * rate) as usize, 1.0);
        let stop = sound[0].len() / 6;
        // Half of the sounds stop at once, half fade down to denormal numbers.
        let factor = if random.below(2) == 0 { 0.0 } else { 1e-43f64.powf(2.0 / rate as f64) as f32 };
        let mut gain = 1.0;
        for x in &mut sound[0][stop..] {
            gain *= factor;
            *x *= gain;
        }
        let out = rendered(&mut *prepared(effect, rate, 1), &sound);
        let found = out[0].iter().filter(|x| x.is_subnormal()).count();
        assert_eq!(found, 0, "{what}");
        // The end is constant, too: a state that decays slowly would show here.
        let tail = &out[0][out[0].len() - 100..];
        let resampled_offset = is_resampled(effect, rate) && test_model(effect).is_some_and(|model| !model.silent);
        if !is_random(effect) && is_stable(effect) && !resampled_offset {
            let allowed_ripple = if is_resampled(effect, rate) { 0.0 } else { allowed_ripple(effect, rate, &out[0]) };
            assert!(tail.iter().all(|x| (x - tail[0]).abs() <= allowed_ripple), "{:?}; {what}", tail);
        }
    });
}

#[test]
fn skipping_a_constant_leaves_the_same_state_as_processing_it() {
    let mut skipped = 0;
    cases(0x5c1b, 8, |effect, rate, _, random, what| {
        if is_resampled(effect, rate) {
            // A resampler's state never repeats, so it cannot skip.
            assert!(!prepared(effect, rate, 1).skip(64), "{what}");
            return;
        }
        let x = [0.0, 0.0, 0.5, -0.3][random.below(4)];
        let (mut one, mut two) = (prepared(effect, rate, 2), prepared(effect, rate, 2));
        let n = 1 + random.below(3000);
        let mut before = random.noise(2, 500, 1.0);
        for channel in &mut before {
            channel.resize(500 + (2.0 * rate) as usize, x);
        }
        let a = rendered(&mut *one, &before);
        let b = rendered(&mut *two, &before);
        assert_same(&a, &b, what);
        // In silence, parameters may also change just before.
        let mut changes = Vec::new();
        if x == 0.0 && a.iter().all(|c| c[c.len() - 1] == 0.0) && random.below(2) == 0 {
            for _ in 0..3 {
                let index = random.random_ramped(effect.algorithm());
                changes.push((index, random.value(effect.algorithm(), index)));
            }
        }
        for (index, value) in &changes {
            one.set(*index, *value);
            two.set(*index, *value);
        }
        let mut quiet = vec![vec![x; n]; 2];
        run(&mut *two, &mut quiet, 0, n);
        // If the change made a sound (an offset), nothing may be skipped.
        if quiet.iter().flatten().any(|y| *y != a[0][a[0].len() - 1]) {
            return;
        }
        if !one.skip(n) {
            run(&mut *one, &mut vec![vec![x; n]; 2], 0, n);
        } else {
            skipped += 1;
        }
        let after = random.noise(2, 2000, 1.0);
        let later = random_changes(random, effect.algorithm(), rate, 2000);
        let a = with_changes(&mut *one, &after, &later, |n| n);
        let b = with_changes(&mut *two, &after, &later, |n| n);
        assert_same(&a, &b, &format!("{what}; {x} for {n} frames, {changes:?}, later {later:?}"));
    });
    assert!(skipped > 50, "only {skipped} were skipped");
}

#[test]
fn skipping_silence_leaves_each_glide_at_the_same_position_as_processing_it() {
    let rate = 48_000.0;
    let after = Random::new(7).noise(1, 2000, 1.0);
    for base in bases_at_48_khz().flat_map(|base| [structures(&base), vec![linear(&base)]].concat()) {
        let row = base.algorithm();
        for index in ramped_indices(row) {
            let (min, max) = row.parameters[index].range();
            for ((from, to), n) in [(min, max), (max, min)].into_iter().flat_map(|ends| [1, 10, 500, 2000].map(|n| (ends, n))) {
                let mut effect = base.clone();
                effect.settings.set(index, from);
                let [mut one, mut two, mut long] = [(); 3].map(|()| prepared(&effect, rate, 1));
                for processor in [&mut one, &mut two, &mut long] {
                    rendered(&mut **processor, &vec![vec![0.0; 3000]]);
                    processor.set(index, to);
                }
                let silence = vec![vec![0.0; n]];
                rendered(&mut *two, &silence);
                // If the bias glides, the curve's input is not silent, although the output may still be: nothing may be skipped
                // then.
                if rendered(&mut *long, &vec![vec![0.0; 2000]])[0].iter().any(|y| *y != 0.0) {
                    continue;
                }
                if !one.skip(n) {
                    rendered(&mut *one, &silence);
                }
                let what = format!("{} {from} -> {to}, {n} frames; {base:?}", row.parameters[index].id);
                assert_same(&rendered(&mut *one, &after), &rendered(&mut *two, &after), &what);
            }
        }
    }
}

/// The effect as linear as possible: all filters off, all nonlinear parameters at their weakest.
fn linear(base: &Effect) -> Effect {
    let mut effect = base.clone();
    for (index, p) in base.algorithm().parameters.iter().enumerate() {
        let (min, max) = p.range();
        match p.kind {
            ParameterKind::Float { off_at_max: true, .. } => effect.settings.set(index, max),
            ParameterKind::Toggle { .. } => effect.settings.set(index, 0.0),
            _ => match p.id {
                "drive" | "jitter" => effect.settings.set(index, min),
                "threshold" | "bits" => effect.settings.set(index, max),
                _ => {}
            },
        }
    }
    effect
}

/// The effect with every combination of structural values.
fn structures(effect: &Effect) -> Vec<Effect> {
    let row = effect.algorithm();
    let mut all = vec![effect.clone()];
    for (index, p) in row.parameters.iter().enumerate() {
        // Left out: dither (noise) and the quantiser (mid-rise has no zero), with which latency cannot be measured, and size and
        // precision, because the test models have one size and compute exactly. `renderings` has the oversampling of renders.
        let left_out = ["dither", "quantiser", "size", "precision", "render_oversampling"].contains(&p.id);
        if p.change == ChangeMode::Structural && !left_out {
            all = all
                .iter()
                .flat_map(|s| {
                    (0..=p.range().1 as usize).map(|v| {
                        let mut s = s.clone();
                        s.settings.set(index, v as f32);
                        s
                    })
                })
                .collect();
        }
    }
    all
}

/// The effect with each oversampling of offline renders, in real time and offline; an effect without it as it is.
fn renderings(effect: &Effect) -> Vec<(Effect, bool)> {
    let Some(index) = effect.settings.index("render_oversampling") else { return vec![(effect.clone(), false)] };
    let count = effect.algorithm().parameters[index].range().1 as usize + 1;
    let with = |value: usize| effect.with("render_oversampling", value as f32);
    (0..count).map(with).flat_map(|effect| [(effect.clone(), false), (effect, true)]).collect()
}

/// A processor for one channel at 48 kHz, in real time or offline.
fn prepared_for(effect: &Effect, offline: bool) -> Box<dyn Processor> {
    effect.prepare(ProcessSpec { offline, ..ProcessSpec::new(48_000.0, 1, 4096) }).unwrap()
}

/// Amplitude and phase of one frequency (`w`, in radians per frame) in the samples, measured with a Hann window.
fn component(samples: &[f32], w: f64) -> (f64, f64) {
    let n = samples.len() as f64;
    let (mut re, mut im, mut sum) = (0.0, 0.0, 0.0);
    for (i, x) in samples.iter().enumerate() {
        let window = 0.5 - 0.5 * (std::f64::consts::TAU * i as f64 / n).cos();
        re += window * f64::from(*x) * (w * i as f64).cos();
        im -= window * f64::from(*x) * (w * i as f64).sin();
        sum += window;
    }
    (2.0 * re.hypot(im) / sum, im.atan2(re))
}

#[test]
fn wet_and_dry_stay_in_phase_for_every_structure() {
    let rate = 48_000.0;
    let effects = linear_bases().filter(|base| plays(base, rate)).flat_map(|base| structures(&linear(&base)));
    for (effect, offline) in effects.flat_map(|effect| renderings(&effect)) {
        for hz in [100.0, 1000.0, 5000.0, 12_000.0, 18_000.0] {
            let x = sine(hz, rate, 0.02, 6000);
            let w = std::f64::consts::TAU * hz / f64::from(rate);
            let part = |mix: f32| {
                let mut processor = prepared_for(&effect.with("mix", mix), offline);
                let y = mono(&mut *processor, &x);
                (component(&y[2000..], w), processor.latency())
            };
            let (((dry, dry_phase), latency), ((wet, wet_phase), _), ((half, half_phase), _)) =
                (part(0.0), part(100.0), part(50.0));
            // Difference of two phases, 0 to pi.
            let apart = |a: f64, b: f64| {
                let d = (a - b).rem_euclid(std::f64::consts::TAU);
                d.min(std::f64::consts::TAU - d)
            };
            let (level, x_phase) = component(&x[2000 - latency..6000 - latency], w);
            assert!((dry - level).abs() < 1e-6 && apart(dry_phase, x_phase) < 1e-4, "{hz} Hz, {effect:?}: dry {dry}");
            assert!(apart(dry_phase, wet_phase) < 1e-3, "{hz} Hz, {effect:?}: {} rad apart", apart(dry_phase, wet_phase));
            assert!((half - 0.5 * (dry + wet)).abs() < 1e-5, "{hz} Hz, {effect:?}: {half} of {dry} and {wet}");
            assert!(apart(dry_phase, half_phase) < 1e-3);
        }
    }
}

#[test]
fn the_dry_path_is_the_input_late_by_the_latency() {
    let effects = bases_at_48_khz().flat_map(|base| structures(&base));
    for (effect, offline) in effects.flat_map(|effect| renderings(&effect)) {
        let mut processor = prepared_for(&effect.with("mix", 0.0), offline);
        let input = Random::new(3).noise(1, 1000, 1.0).remove(0);
        let out = mono(&mut *processor, &input);
        let late = processor.latency();
        assert_eq!(out[late..], input[..1000 - late], "{effect:?}");
    }
}

/// The effect with the oversampling that an offline render uses as the only one.
fn at_render_oversampling(effect: &Effect) -> Effect {
    let render = effect.settings.get(effect.settings.index("render_oversampling").unwrap());
    let alone = effect.with("render_oversampling", 0.0);
    if render < 1.0 { alone } else { alone.with("oversampling", render - 1.0) }
}

#[test]
fn a_render_at_its_own_oversampling_has_the_latency_of_real_time_which_is_the_larger_of_both() {
    cases(0x4e4d, 20, |effect, rate, channels, random, what| {
        if effect.settings.index("render_oversampling").is_none() {
            return;
        }
        let spec = ProcessSpec::new(rate, channels, 4096);
        let alone = [effect.with("render_oversampling", 0.0), at_render_oversampling(effect)];
        let larger = alone.each_ref().map(|effect| prepared(effect, rate, channels).latency()).into_iter().max().unwrap();
        let input = random.noise(channels, 1500, 1.0);
        for (spec, alone) in [spec, spec.offline()].into_iter().zip(&alone) {
            let mut processor = effect.prepare(spec).unwrap();
            assert_eq!(processor.latency(), larger, "{what}");
            // The sound of the oversampling that runs, for the same input later.
            let mut alone = prepared(alone, rate, channels);
            let late = larger - alone.latency();
            let later: Sound = input.iter().map(|samples| [&vec![0.0; late][..], &samples[..1500 - late]].concat()).collect();
            assert_same(&rendered(&mut *alone, &later), &rendered(&mut *processor, &input), what);
        }
    });
}

#[test]
fn an_offline_render_as_set_or_at_the_oversampling_of_real_time_changes_no_sample() {
    cases(0x0ff1, 6, |effect, rate, channels, random, what| {
        let input = random.noise(channels, 3000, 1.0);
        let offline = |effect: &Effect| {
            let mut processor = effect.prepare(ProcessSpec::new(rate, channels, 4096).offline()).unwrap();
            (processor.latency(), rendered(&mut *processor, &input))
        };
        let live = |effect: &Effect| {
            let mut processor = prepared(effect, rate, channels);
            (processor.latency(), rendered(&mut *processor, &input))
        };
        let mut same = vec![effect.clone()];
        if let Some(set) = effect.settings.index("oversampling").map(|index| effect.settings.get(index)) {
            same = [0.0, set + 1.0].map(|render| effect.with("render_oversampling", render)).to_vec();
            assert_eq!(live(&same[0]).0, live(&same[1]).0, "{what}");
            // Benchmarks run offline what is heard in real time.
            let exchanged = Effect { settings: exchange_factors(effect.settings), model: effect.model.clone() };
            assert!(offline(&exchanged) == live(effect), "{what}");
        }
        for effect in &same {
            let (latency, expected) = live(effect);
            let (found_latency, found) = offline(effect);
            assert_eq!(found_latency, latency, "{what}");
            assert_same(&expected, &found, what);
        }
    });
}

/// The largest magnitude.
fn peak(samples: &[f32]) -> f32 {
    samples.iter().fold(0.0f32, |m, x| m.max(x.abs()))
}

/// The largest step between neighbouring samples.
fn step(samples: &[f32]) -> f32 {
    samples.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max)
}

/// Largest allowed additional step between neighbouring samples while a parameter glides through its whole range, compared with
/// steady values. As a share of the peak, at 48 kHz: -40 dB.
const CLICK_LIMIT: f32 = 0.01;

/// The value of a parameter at `part` of its range, 0 to 1; frequencies on a logarithmic scale, word lengths with more values at
/// the coarse end.
fn value_in_range(row: &'static Algorithm, index: usize, part: f32) -> f32 {
    let p = &row.parameters[index];
    let (min, max) = p.range();
    match p.kind {
        ParameterKind::Float { unit: Unit::Hertz, .. } => min * (max / min).powf(part),
        ParameterKind::Float { unit: Unit::Bit, .. } => min + (max - min) * part.powi(3),
        _ => min + (max - min) * part,
    }
}

#[test]
fn no_ramped_parameter_clicks_when_it_glides_from_end_to_end() {
    let (rate, hz, amplitude) = (48_000.0, 110.0, 0.5);
    let mut random = Random::new(0xc11c);
    let (mut found, mut worst) = (Vec::new(), 0.0f32);
    for base in bases_at_48_khz().filter(is_stable) {
        let row = base.algorithm();
        // A model's structural values change only its delay, which cannot click.
        let mut bases =
            if test_model(&base).is_some() { vec![base.clone()] } else { [structures(&base), vec![linear(&base)]].concat() };
        if row.id == "saturator" {
            bases.push(Effect::new(row).with("bias", 0.5));
            bases.push(Effect::new(row).with("bias", 0.5).with("dc_blocker", 0.0).with("tone", 20_000.0));
        }
        for (base, index) in bases.iter().flat_map(|b| ramped_indices(row).into_iter().map(move |i| (b, i))) {
            let (min, max) = row.parameters[index].range();
            for (from, to) in [(min, max), (max, min)] {
                let start = 2400 + random.below(480);
                let x = sine(hz, rate, amplitude, start + 1600);
                let steady = |value: f32| {
                    let mut effect = base.clone();
                    effect.settings.set(index, value);
                    mono(&mut *prepared(&effect, rate, 1), &x)
                };
                let (a, b) = (steady(from), steady(to));
                let level = peak(&a[start..]).max(peak(&b[start..]));
                // The peak during the glide may reach that of both ends without the DC blocker, which follows an offset slowly,
                // plus 6 dB, because the drive reaches the curve half a latency before its compensation reaches the output.
                let with_offset = |value: f32| {
                    let mut effect = base.clone();
                    effect.settings.set(index, value);
                    let effect =
                        if effect.settings.index("dc_blocker").is_some() { effect.with("dc_blocker", 0.0) } else { effect };
                    peak(&mono(&mut *prepared(&effect, rate, 1), &x))
                };
                let peak_limit = 2.0 * with_offset(from).max(with_offset(to));
                // Values between the ends may have larger steps than both (bits, drive), which is not a click.
                let mut steps = step(&a[start..]).max(step(&b[start..]));
                for k in 1..32 {
                    let value = row.parameters[index].clamp(value_in_range(row, index, k as f32 / 32.0));
                    steps = steps.max(step(&steady(value)[start..]));
                }
                let mut effect = base.clone();
                effect.settings.set(index, from);
                let mut processor = prepared(&effect, rate, 1);
                let swept = with_changes(&mut *processor, &vec![x.clone()], &[(start, index, to)], |n| n);
                let (excess, loudest) = (step(&swept[0][start - 1..]) - steps, peak(&swept[0][start..]));
                worst = worst.max(excess / level);
                if excess > CLICK_LIMIT * level || loudest > peak_limit {
                    let id = row.parameters[index].id;
                    found.push(format!("{id} {from} -> {to}: step {excess}, peak {loudest} of {level}; {base:?}"));
                }
            }
        }
    }
    println!("largest step above steady: {worst} of the level");
    assert!(found.is_empty(), "{} of them:\n{}", found.len(), found.join("\n"));
}

fn saturator() -> Effect {
    Effect::new(isotherm::algorithm::find("saturator").unwrap())
}

#[test]
fn the_saturator_without_filters_is_tanh() {
    let x: Vec<f32> = (0..4001).map(|i| (i - 2000) as f32 / 2000.0).collect();
    let plain = saturator().with("oversampling", 0.0).with("dc_blocker", 0.0).with("compensation", 0.0).with("tone", 20_000.0);
    let mut worst = 0.0f64;
    for drive in [-12.0, -6.0, 0.0, 3.0, 6.0, 12.0, 18.0, 24.0, 30.0, 36.0, 48.0] {
        for bias in [-1.0, -0.7, -0.25, 0.0, 0.1, 0.5, 1.0] {
            let k = f64::from(10f32.powf(drive / 20.0));
            let y = mono(&mut *prepared(&plain.with("drive", drive).with("bias", bias), 48_000.0, 1), &x);
            for (x, y) in x.iter().zip(&y) {
                worst = worst.max((f64::from(*y) - (k * f64::from(*x) + f64::from(bias)).tanh()).abs());
            }
        }
    }
    assert!(worst < 1e-6, "{worst:e}");
}

#[test]
fn the_tone_filter_stays_under_nyquist_at_a_low_rate() {
    for slope in [0.0, 1.0] {
        for tone in [3000.0, 3999.0, 4000.0, 8000.0, 19_999.0] {
            let effect = saturator().with("tone", tone).with("slope", slope).with("oversampling", 0.0);
            let out = mono(&mut *prepared(&effect, 8000.0, 1), &Random::new(9).noise(1, 8000, 1.0)[0]);
            assert!(out.iter().all(|y| y.abs() < 2.0), "{tone} Hz, slope {slope}");
            // Frequencies well below the cut-off pass.
            let effect = effect.with("compensation", 0.0).with("drive", 0.0);
            let out = mono(&mut *prepared(&effect, 8000.0, 1), &sine(200.0, 8000.0, 0.01, 8000));
            let (level, _) = component(&out[4000..], std::f64::consts::TAU * 200.0 / 8000.0);
            assert!((level / 0.01 - 1.0).abs() < 0.02, "{tone} Hz, slope {slope}: {level}");
        }
    }
}

#[test]
fn compensation_keeps_the_level_with_any_oversampling_and_antialiasing() {
    let rate = 48_000.0;
    for drive in [-12.0, 12.0, 36.0, 48.0] {
        for effect in structures(&saturator().with("drive", drive).with("tone", 20_000.0)) {
            let x = sine(1000.0, rate, db_to_gain(-18.0) * std::f32::consts::SQRT_2, 24_000);
            let y = mono(&mut *prepared(&effect, rate, 1), &x);
            let rms = |x: &[f32]| (x.iter().map(|v| f64::from(v * v)).sum::<f64>() / x.len() as f64).sqrt();
            let change = 20.0 * (rms(&y[12_000..]) / rms(&x[12_000..])).log10();
            assert!(change.abs() < 0.25, "{drive} dB: {change} dB; {effect:?}");
        }
    }
}
