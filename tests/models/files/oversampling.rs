//! Random models of every architecture, played at 2x and 4x.

use std::sync::Arc;

use isotherm::dsp::{ProcessSpec, Processor};
use isotherm::effect::Effect;
use isotherm::neural::ALGORITHM;

use super::oversample::{conv_net, model};
use super::*;

/// Sample rate of the models in Hz: low, since a recurrent model is settled over half a second.
const RATE: f32 = 8000.0;

/// Kinds of [`random_model`].
const KINDS: usize = 9;

/// Magnitudes of output below this may become 0: no more than the smallest normal number.
const TINY: f32 = f32::MIN_POSITIVE;

/// A random model: `seed % KINDS` chooses the architecture.
fn random_model(seed: u64) -> Arc<Model> {
    let mut random = RandomModels::new(seed / KINDS as u64);
    let lstm = |random: &mut RandomModels| {
        let (layers, hidden) = (random.between(1, 2), random.between(1, 9));
        let layers: Vec<Lstm> = (0..layers).map(|i| random_lstm(random, if i == 0 { 1 } else { hidden }, hidden)).collect();
        lstm_file(&layers, &random.conv(hidden, 1, 1, 1, 1, true))
    };
    let linear = |random: &mut RandomModels| {
        let taps = random.between(1, 40);
        nam("Linear", json!({"receptive_field": taps, "bias": true}), &random.weights(taps + 1))
    };
    let file = match seed % KINDS as u64 {
        0 => lstm(&mut random),
        1 => linear(&mut random),
        2 => {
            let batch_norm = random.coin();
            conv_net(&mut random, batch_norm)
        }
        3 => wavenet_of_0_5(&mut random).1,
        4 => random_wavenet(&mut random, 1, 0).1,
        5 => {
            let submodels =
                json!([{"max_value": 0.5, "model": linear(&mut random)}, {"max_value": 1.0, "model": lstm(&mut random)}]);
            nam("SlimmableContainer", json!({ "submodels": submodels }), &[])
        }
        6 => nam("Sequential", json!({"models": [lstm(&mut random), wavenet_of_0_5(&mut random).1, linear(&mut random)]}), &[]),
        7 => {
            let (inputs, hidden) = (random.between(1, 3), random.between(1, 9));
            proteus(&mut random, "GRU", inputs, hidden, 1).1
        }
        _ => {
            let (inputs, hidden, layers) = (random.between(1, 3), random.between(1, 9), random.between(1, 2));
            proteus(&mut random, "LSTM", inputs, hidden, layers).1
        }
    };
    model(&file).at_rate(RATE).unwrap()
}

/// The largest network of a model.
fn architecture(model: &Model) -> &Architecture {
    model.sizes().last().and_then(|size| size.architecture.as_ref()).expect("an architecture")
}

/// A processor for two channels that plays the largest network of a model at `factor` times its rate.
fn processor(model: &Arc<Model>, factor: usize, host_rate: f32) -> Box<dyn Processor> {
    let effect = Effect::new(&ALGORITHM).with_model(model.clone()).with("oversampling", factor.ilog2() as f32);
    effect.prepare(ProcessSpec::new(host_rate, 2, 256)).unwrap()
}

/// Noise with a silence in it, and noise upon a constant.
fn test_sound(random: &mut RandomModels, frames: usize) -> [Vec<f32>; 2] {
    let left = (0..frames).map(|i| if (100..200).contains(&i) { 0.0 } else { random.weight() }).collect();
    [left, (0..frames).map(|_| 0.25 + 0.5 * random.weight()).collect()]
}

/// The output in blocks of these lengths over and over, and the bits of its samples.
fn run(processor: &mut dyn Processor, input: &[Vec<f32>; 2], cuts: &[usize]) -> [Vec<f32>; 2] {
    let mut output = input.clone();
    let mut at = 0;
    for frames in cuts.iter().cycle() {
        let end = (at + frames).min(output[0].len());
        let [left, right] = &mut output;
        processor.process(&mut [&mut left[at..end], &mut right[at..end]]);
        at = end;
        if at == output[0].len() {
            return output;
        }
    }
    output
}

fn bits(sound: &[Vec<f32>; 2]) -> Vec<u32> {
    sound.iter().flatten().map(|y| y.to_bits()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn an_oversampled_model_is_finite_and_neither_blocks_nor_a_reset_change_a_sample(
        seed in 0..900u64,
        factor in prop::sample::select(vec![2, 4]),
        // Half-bands, no filter, and a resampler.
        ratio in prop::sample::select(vec![1.0f32, 2.0, 4.0, 1.5]),
        cuts in prop::collection::vec(1..=256usize, 1..8),
    ) {
        let model = random_model(seed);
        let mut processor = processor(&model, factor, ratio * RATE);
        let input = test_sound(&mut RandomModels::new(seed), 700);
        let whole = run(&mut *processor, &input, &[256]);
        prop_assert!(whole.iter().flatten().all(|y| y.is_finite()));
        for cuts in [&[256][..], &cuts, &[256]] {
            processor.reset();
            prop_assert!(bits(&run(&mut *processor, &input, cuts)) == bits(&whole), "seed {}, blocks {:?}", seed, cuts);
        }
    }
}

#[test]
fn an_oversampled_model_is_late_by_its_latency_and_else_as_many_models_as_the_factor() {
    let mut compared = [0; KINDS];
    for seed in 0..180 {
        let model = random_model(seed);
        let network = model.network(model.sizes().len() - 1);
        if architecture(&model).is_linear() {
            continue;
        }
        for factor in [2, 4] {
            let mut processor = processor(&model, factor, factor as f32 * RATE);
            let input = test_sound(&mut RandomModels::new(seed), 600);
            let output = run(&mut *processor, &input, &[77]);
            let late = processor.latency();
            assert_eq!(late, factor - 1);
            for (input, output) in input.iter().zip(&output) {
                let mut expected = vec![0.0; input.len()];
                for phase in 0..factor {
                    let mut part: Vec<f32> = input.iter().skip(phase).step_by(factor).copied().collect();
                    let knobs = vec![vec![0.5; part.len()]; architecture(&model).inputs() - 1];
                    let knobs: Vec<&[f32]> = knobs.iter().map(Vec::as_slice).collect();
                    network.clone().state(StateSpec::new(1)).unwrap().process(&mut [&mut part], &knobs);
                    expected.iter_mut().skip(phase).step_by(factor).zip(part).for_each(|(to, y)| *to = y);
                }
                // Output that is not finite is silenced, and all states are reset; beyond 80 dB it is limited.
                if expected.iter().any(|y| !y.is_finite() || y.abs() > 1e4) {
                    continue;
                }
                let same = |(y, expected): (&f32, &f32)| y == expected || y.abs().max(expected.abs()) < TINY;
                let first = output[late..].iter().zip(&expected).position(|pair| !same(pair));
                assert_eq!(first, None, "seed {seed} at {factor}x");
                compared[(seed % KINDS as u64) as usize] += 1;
            }
        }
    }
    println!("compared: {compared:?}");
    // The second kind is linear.
    assert!(compared.iter().enumerate().all(|(kind, n)| *n >= if kind == 1 { 0 } else { 40 }), "{compared:?}");
}

#[test]
fn an_oversampled_model_is_aligned_with_itself_at_1x_behind_half_bands_and_resamplers() {
    // A slow sine, which the models distort without much that folds: a lag of one frame is -30 dB.
    let sine: Vec<f32> = (0..4000).map(|i| 0.25 * (std::f32::consts::TAU * i as f32 / 200.0).sin()).collect();
    let input = [sine.clone(), sine.iter().map(|x| -x).collect()];
    let mut compared = 0;
    // Recurrent ones with random weights are often chaotic.
    for seed in (0..180).filter(|seed| [1, 2, 3, 4].contains(&(seed % KINDS as u64))) {
        let model = random_model(seed);
        for ratio in [1.0, 1.5] {
            let [plain, twice, four] = [1, 2, 4].map(|factor| {
                let mut processor = processor(&model, factor, ratio * RATE);
                (run(&mut *processor, &input, &[256]), processor.latency())
            });
            for (oversampled, later) in [twice, four] {
                let latency = plain.1;
                for (plain, oversampled) in plain.0.iter().zip(&oversampled) {
                    let steady = &plain[1500..3500];
                    let (low, high) = steady.iter().fold((f32::MAX, f32::MIN), |(l, h), y| (l.min(*y), h.max(*y)));
                    if high - low < 1e-3 {
                        continue;
                    }
                    let error = |lag: usize| -> f64 {
                        (1500..3500).map(|i| f64::from(plain[i] - oversampled[i - latency + later + lag - 3]).powi(2)).sum()
                    };
                    let best = (0..7).min_by(|a, b| error(*a).total_cmp(&error(*b))).expect("a lag");
                    assert_eq!(best, 3, "seed {seed}: a lag of {} frames", best as i32 - 3);
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 300, "{compared}");
}

#[test]
fn an_oversampled_model_needs_no_more_memory_than_as_many_models_as_the_factor() {
    // The filters and the phases of a block for two channels; with an LSTM of one unit they are 4.7 KiB.
    const FILTERS: usize = 8 * 1024;
    for seed in 0..90 {
        let model = random_model(seed);
        let [plain, twice, four] = [1, 2, 4].map(|factor| processor(&model, factor, RATE).bytes());
        assert!(twice <= 2 * plain + FILTERS && four <= 4 * plain + FILTERS, "seed {seed}: {plain}, {twice} and {four} bytes");
    }
}
