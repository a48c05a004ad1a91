//! Models that are oversampled: what they have in common with the same models at their own rate.

use isotherm::dsp::{MAX_CHANNELS, ProcessSpec, Processor};
use isotherm::effect::Effect;

use crate::test_models::{TEST_MODELS, impulse_response, one_pole};

/// Values of the parameter *Oversampling* with their factors.
const SETTINGS: [(f32, usize); 2] = [(1.0, 2), (2.0, 4)];

/// White noise from -0.8 to 0.8.
fn noise(seed: u64, frames: usize) -> Vec<f32> {
    let mut random = isotherm::audio::Random::new(seed);
    (0..frames).map(|_| random.within(-0.8, 0.8)).collect()
}

fn prepared(effect: &Effect, sample_rate: f32, channels: usize) -> Box<dyn Processor> {
    effect.prepare(ProcessSpec::new(sample_rate, channels, 8192)).unwrap()
}

fn mono(processor: &mut dyn Processor, samples: &[f32]) -> Vec<f32> {
    let mut out = samples.to_vec();
    processor.process(&mut [&mut out]);
    out
}

#[test]
fn an_oversampled_model_equals_plain_models_on_each_phase_bit_for_bit() {
    for test in TEST_MODELS.iter().filter(|test| test.stable) {
        let rate = test.model.info().sample_rate;
        let plain = test.effect().with("output_mode", 0.0);
        for (setting, factor) in SETTINGS {
            let input = noise(1, 3000);
            // The host runs at the network's rate, so no filter is in the way.
            let mut processor = prepared(&plain.with("oversampling", setting), rate * factor as f32, 1);
            let whole = mono(&mut *processor, &input);
            let latency = processor.latency();
            assert_eq!(latency, factor - 1);
            for phase in 0..factor {
                let part: Vec<f32> = input[phase..].iter().step_by(factor).copied().collect();
                let expected = mono(&mut *prepared(&plain, rate, 1), &part);
                let found: Vec<f32> = whole[latency + phase..].iter().step_by(factor).copied().collect();
                let same = expected.iter().zip(&found).position(|(a, b)| a.to_bits() != b.to_bits());
                assert_eq!(same, None, "{:?} at {factor}x, phase {phase}", test.model.info().name);
            }
        }
    }
}

/// Largest difference of a sound that does not fold, in dB of the sound: the ripple of the half-band filters.
const RIPPLE_DB: f64 = -100.0;

/// Largest difference where the host's rate is another one: the resampler's ripple in the pass band.
const RESAMPLER_RIPPLE_DB: f64 = -85.0;

/// The difference in dB of `a`, from `from` on, and `b`, which is `late` frames later.
fn difference_db(a: &[f32], b: &[f32], from: usize, late: usize) -> f64 {
    let power = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>();
    let (a, b) = (&a[from..a.len() - late], &b[from + late..]);
    let signal = power(&mut a.iter().map(|x| f64::from(*x)));
    10.0 * (power(&mut a.iter().zip(b).map(|(a, b)| f64::from(*a) - f64::from(*b))) / signal).log10()
}

#[test]
fn oversampling_changes_no_octave_up_to_18_khz_of_a_sound_that_does_not_fold() {
    let rates = [44_100.0f32, 48_000.0, 96_000.0];
    for (model_rate, host_rate) in rates.iter().flat_map(|model| rates.map(|host| (*model, host))) {
        if !cfg!(feature = "models") && model_rate != host_rate {
            continue;
        }
        let plain = one_pole(model_rate).effect().with("output_mode", 0.0);
        for hz in [31.5, 63.0, 125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0, 16_000.0, 18_000.0] {
            let w = std::f64::consts::TAU * hz / f64::from(host_rate);
            let input: Vec<f32> = (0..8000).map(|i| (w * f64::from(i)).sin() as f32).collect();
            let mut one = prepared(&plain, host_rate, 1);
            let expected = mono(&mut *one, &input);
            for (setting, factor) in SETTINGS {
                let mut other = prepared(&plain.with("oversampling", setting), host_rate, 1);
                let found = mono(&mut *other, &input);
                let what = format!("{hz} Hz at {factor}x, model of {model_rate} Hz, host at {host_rate} Hz");
                let (a, b) = (one.latency(), other.latency());
                let difference = if b >= a {
                    difference_db(&expected, &found, 3000, b - a)
                } else {
                    difference_db(&found, &expected, 3000, a - b)
                };
                // The sinc of a resampler has its own ripple, and another one at another rate.
                let ripple = if model_rate == host_rate { RIPPLE_DB } else { RESAMPLER_RIPPLE_DB };
                assert!(difference < ripple, "{difference:.1} dB: {what}");
            }
        }
    }
}

#[test]
fn the_latency_of_an_oversampled_model_is_that_of_its_impulse() {
    for host_rate in [22_050.0f32, 44_100.0, 48_000.0, 96_000.0, 192_000.0] {
        for gain in TEST_MODELS.iter().filter(|test| test.gain_only && plays_at(test.model.info().sample_rate, host_rate)) {
            for (setting, factor) in SETTINGS {
                let mut processor = prepared(&gain.effect().with("oversampling", setting), host_rate, 1);
                let latency = processor.latency();
                let mut impulse = vec![0.0; 1000 + 2 * latency];
                impulse[100] = 1.0;
                let out = mono(&mut *processor, &impulse);
                // The centre of gravity of the squares: a symmetric response has it at its peak.
                let (mut sum, mut moment) = (0.0, 0.0);
                for (frame, y) in out.iter().enumerate() {
                    let power = f64::from(*y).powi(2);
                    sum += power;
                    moment += power * frame as f64;
                }
                let late = moment / sum - 100.0;
                let what = format!("{:?} at {factor}x, host at {host_rate} Hz", gain.model.info().name);
                assert!((late - latency as f64).abs() < 0.02, "{late} frames, told {latency}: {what}");
            }
        }
    }
}

/// True if a model of one rate plays at a host's.
fn plays_at(model_rate: f32, host_rate: f32) -> bool {
    cfg!(feature = "models") || model_rate == host_rate
}

#[test]
fn a_linear_model_plays_at_its_own_rate_whatever_is_set() {
    let plain = impulse_response(48_000.0).effect();
    let input = noise(3, 2000);
    let expected = mono(&mut *prepared(&plain, 48_000.0, 1), &input);
    for (setting, _) in SETTINGS {
        let mut processor = prepared(&plain.with("oversampling", setting), 48_000.0, 1);
        assert_eq!(processor.latency(), 0);
        assert_eq!(mono(&mut *processor, &input), expected);
    }
}

#[test]
fn oversampling_of_more_channels_than_the_engine_has_states_is_one_line_that_names_both() {
    let effect = TEST_MODELS[4].effect();
    for (setting, factor) in SETTINGS {
        let most = MAX_CHANNELS / factor;
        let oversampled = effect.with("oversampling", setting);
        let spec = |channels: usize| ProcessSpec::new(48_000.0, channels, 64);
        assert!(oversampled.prepare(spec(most)).is_ok());
        let error = oversampled.prepare(spec(MAX_CHANNELS)).err().unwrap().to_string();
        let expected = format!(
            "oversampling {factor}x of 128 channels, {} states of the model; expected at most {most} channels",
            128 * factor
        );
        assert!(error.starts_with(&expected) && !error.contains('\n'), "{error}");
    }
}

#[cfg(feature = "measure")]
mod measured {
    use super::SETTINGS;
    use crate::test_models::shaper;
    use isotherm::measure::ToneFigures;

    #[test]
    fn aliasing_of_tanh_as_a_model_is_that_of_tanh_at_each_oversampling() {
        // Aliasing in dB at 1x, 2x, 4x of tones at full scale between ideal resamplers, for each drive in dB.
        let published = [
            (12.0, 5000.0, [-25.0, -59.0, -119.0]),
            (24.0, 1244.0, [-30.0, -64.0, -129.0]),
            (24.0, 5000.0, [-14.0, -25.0, -41.0]),
            (36.0, 1244.0, [-20.0, -31.0, -48.0]),
            (36.0, 5000.0, [-12.0, -19.0, -27.0]),
        ];
        for (drive_db, hz, expected) in published {
            let plain = shaper(10f32.powf(drive_db / 20.0), 48_000.0).effect().with("output_mode", 0.0);
            let settings = [(0.0, 1)].into_iter().chain(SETTINGS);
            for ((setting, factor), expected) in settings.zip(expected) {
                let found = ToneFigures::measure(&plain.with("oversampling", setting), 48_000, hz, 0.0).unwrap().aliasing_db;
                println!("{drive_db} dB at {hz} Hz, {factor}x: {found:.1} dB");
                // Below -95 dB are the stop band of the half-bands and the rounding of samples.
                let right = if expected > -95.0 { (found - expected).abs() < 1.5 } else { found < -95.0 };
                assert!(right, "{drive_db} dB at {hz} Hz, {factor}x: {found:.1} dB, not {expected}");
            }
        }
    }
}
