//! Training: gradients compared with plain f64 code, reproducible weights, exports, recorded pairs, and the complete way from an
//! effect to its twin.

use std::sync::Arc;

use isotherm::audio::{Audio, Random};
use isotherm::effect::Effect;
use isotherm::neural::Model;
use isotherm::neural::description::{Activation, Architecture, Conv1d, Gating, Layer, WaveNet};
#[cfg(feature = "onnx")]
use isotherm::neural::engine::StateSpec;
use isotherm::neural::simd::SimdLevel;
use isotherm::render::render;
use isotherm::train::export::{self, ModelMetadata};
use isotherm::train::loss::{Loss, Segment};
use isotherm::train::recurrent::{self, CellKind, Recurrent};
use isotherm::train::trainer::{octave_errors, play};
use isotherm::train::wavenet::{self, Convolutional};
use isotherm::train::{
    Design, EarlyStopping, Material, PairError, PairReport, SoundPair, Target, Trainer, TrainingConfig, train_twin,
};

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// A convolution of `[inputs][frames]` to `[outputs][frames]`, with silence before the first frame.
fn conv(c: &Conv1d, x: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let frames = x[0].len();
    let weight = |o: usize, i: usize, k: usize| f64::from(c.weights[(o * c.inputs + i) * c.taps + k]);
    (0..c.outputs)
        .map(|o| {
            (0..frames)
                .map(|t| {
                    let mut sum = c.bias.as_ref().map_or(0.0, |b| f64::from(b[o]));
                    for (i, x) in x.iter().enumerate() {
                        for k in 0..c.taps {
                            let back = (c.taps - 1 - k) * c.dilation;
                            sum += if t >= back { weight(o, i, k) * x[t - back] } else { 0.0 };
                        }
                    }
                    sum
                })
                .collect()
        })
        .collect()
}

/// Sum of two planar sounds.
fn plus(a: &[Vec<f64>], b: &[Vec<f64>]) -> Vec<Vec<f64>> {
    a.iter().zip(b).map(|(a, b)| a.iter().zip(b).map(|(a, b)| a + b).collect()).collect()
}

/// Output of a WaveNet of the kinds that can be trained.
fn wavenet_f64(w: &WaveNet, input: &[f64]) -> Vec<f64> {
    let input = vec![input.to_vec()];
    let (mut x, mut head): (Vec<Vec<f64>>, Option<Vec<Vec<f64>>>) = (input.clone(), None);
    for array in &w.arrays {
        x = conv(&array.rechannel, &x);
        for layer in &array.layers {
            let a = plus(&conv(&layer.conv, &x), &conv(&layer.mixin, &input));
            assert_eq!(layer.activation, Activation::Tanh);
            let tanh = |row: &Vec<f64>| row.iter().map(|x| x.tanh()).collect::<Vec<_>>();
            let z: Vec<Vec<f64>> = match layer.gating {
                Gating::Gated(_) => {
                    let (top, gate) = a.split_at(a.len() / 2);
                    let product = |(t, g): (&Vec<f64>, &Vec<f64>)| t.iter().zip(g).map(|(t, g)| t.tanh() * sigmoid(*g)).collect();
                    top.iter().zip(gate).map(product).collect()
                }
                _ => a.iter().map(tanh).collect(),
            };
            head = Some(head.map_or(z.clone(), |h| plus(&h, &z)));
            x = plus(&x, &conv(layer.layer1x1.as_ref().unwrap(), &z));
        }
        head = head.map(|h| conv(&array.head, &h));
    }
    let scale = f64::from(w.head_scale);
    head.unwrap()[0].iter().map(|y| y * scale).collect()
}

/// Output of a recurrent layer with its head, from a state of zeros. `input` is `[frames][inputs]`.
fn recurrent_f64(layers: &[Layer], input: &[Vec<f64>]) -> Vec<f64> {
    let [cell, Layer::Conv1d(head, _)] = layers else { panic!() };
    let row = |w: &[f32], row: usize, x: &[f64]| -> f64 {
        w[row * x.len()..(row + 1) * x.len()].iter().zip(x).map(|(w, x)| f64::from(*w) * x).sum()
    };
    let hidden = head.inputs;
    let (mut h, mut c) = (vec![0.0; hidden], vec![0.0; hidden]);
    let mut out = Vec::new();
    for x in input {
        let before = h.clone();
        for j in 0..hidden {
            match cell {
                Layer::Lstm(l) => {
                    let gate = |g: usize| {
                        let r = g * hidden + j;
                        row(&l.input_weights, r, x) + row(&l.hidden_weights, r, &before) + f64::from(l.bias[r])
                    };
                    c[j] = sigmoid(gate(1)) * c[j] + sigmoid(gate(0)) * gate(2).tanh();
                    h[j] = sigmoid(gate(3)) * c[j].tanh();
                }
                Layer::Gru(l) => {
                    let of_x = |g: usize| row(&l.input_weights, g * hidden + j, x) + f64::from(l.input_bias[g * hidden + j]);
                    let of_h =
                        |g: usize| row(&l.hidden_weights, g * hidden + j, &before) + f64::from(l.hidden_bias[g * hidden + j]);
                    let (r, z) = (sigmoid(of_x(0) + of_h(0)), sigmoid(of_x(1) + of_h(1)));
                    let n = (of_x(2) + r * of_h(2)).tanh();
                    h[j] = (1.0 - z) * n + z * before[j];
                }
                Layer::Conv1d(..) => panic!(),
            }
        }
        out.push(row(&head.weights, 0, &h) + f64::from(head.bias.as_ref().unwrap()[0]));
    }
    out
}

/// The loss by its formula, over some sequences, starting at the frame `from`. The error before the first frame is 0.
fn loss_f64(loss: &Loss, targets: &[Vec<f64>], outputs: &[Vec<f64>], from: usize) -> f64 {
    let (c, plain, dc) = (f64::from(loss.emphasis), f64::from(loss.plain), f64::from(loss.dc));
    let (mut emphasised, mut energy, mut count) = (0.0, 0.0, 0.0);
    let (mut emphasised_error, mut error, mut means) = (0.0, 0.0, 0.0);
    for (target, output) in targets.iter().zip(outputs) {
        let e: Vec<f64> = target.iter().zip(output).map(|(t, y)| t - y).collect();
        let mut sum = 0.0;
        for t in from..e.len() {
            if t > 0 {
                emphasised += (target[t] - c * target[t - 1]).powi(2);
                energy += target[t].powi(2);
                count += 1.0;
            }
            let before = if t > 0 { e[t - 1] } else { 0.0 };
            emphasised_error += (e[t] - c * before).powi(2);
            error += e[t] * e[t];
            sum += e[t];
        }
        let frames = (e.len() - from) as f64;
        means += frames * (sum / frames).powi(2);
    }
    let offset = 1e-8 * count;
    emphasised_error / (emphasised + offset) + (plain * error + dc * means) / (energy + offset)
}

/// Compares the trainer's gradient with central differences of the f64 loss, for every weight.
fn check(name: &str, weights: &[f32], gradient: &[f32], loss: impl Fn(&[f32]) -> f64) {
    let mut largest = 0.0f64;
    let mut worst = 0.0f64;
    for i in 0..weights.len() {
        // The divisor is the difference of the rounded weights, not 2e-3.
        let (mut up, mut down) = (weights.to_vec(), weights.to_vec());
        up[i] += 1e-3;
        down[i] -= 1e-3;
        let slope = (loss(&up) - loss(&down)) / f64::from(up[i] - down[i]);
        largest = largest.max(slope.abs());
        worst = worst.max((slope - f64::from(gradient[i])).abs());
    }
    assert!(largest > 1e-2, "{name}: no gradient");
    assert!(worst < 2e-5 * largest.max(1.0), "{name}: {worst:e} of {largest:e}");
}

const LOSS: Loss = Loss { emphasis: 0.85, plain: 0.3, dc: 0.7, octaves: 0.0 };

#[test]
fn recurrent_gradients_agree_with_plain_code() {
    for level in SimdLevel::available() {
        for cell in [CellKind::Lstm, CellKind::Gru] {
            // Numbers of cells that fill the kernels' blocks, leave a remainder, and are less than a block.
            for (hidden, inputs, frames) in [(8, 1, 20), (5, 2, 37), (1, 1, 5)] {
                let shape = Recurrent { cell, inputs, hidden, chrono: false };
                let lanes = level.lanes();
                let mut random = Random::new(3);
                let weights = shape.initial_weights(&mut random);
                let mut noise = |n: usize| (0..n).map(|_| random.within(-1.0, 1.0)).collect::<Vec<f32>>();
                let (input, target) = (noise(frames * inputs * lanes), noise(frames * lanes));
                let mut tape = recurrent::Tape::new(shape, level, frames);
                tape.forward(&weights, &input);
                let energy = LOSS.energy([(target.as_slice(), lanes, 0)].into_iter());
                let mut output_gradient = vec![0.0; frames * lanes];
                let segment = Segment { target: &target, output: tape.output(), lanes, first_frame: 0 };
                let found = LOSS.gradient(&energy, &segment, &mut vec![0.0; lanes], &mut output_gradient);
                let mut gradient = vec![0.0; weights.len()];
                tape.backward(&weights, &input, &output_gradient, &mut gradient);
                let lane = |values: &[f32], lane: usize| -> Vec<f64> {
                    values.iter().skip(lane).step_by(lanes).map(|x| f64::from(*x)).collect()
                };
                let targets: Vec<_> = (0..lanes).map(|l| lane(&target, l)).collect();
                let loss = |weights: &[f32]| {
                    let Architecture::Sequence(s) = shape.architecture(weights) else { panic!() };
                    let run = |l| {
                        let flat = lane(&input, l);
                        recurrent_f64(&s.layers, &flat.chunks(inputs).map(<[f64]>::to_vec).collect::<Vec<_>>())
                    };
                    loss_f64(&LOSS, &targets, &(0..lanes).map(run).collect::<Vec<_>>(), 0)
                };
                let name = format!("{level:?} {cell:?} {hidden} {inputs}");
                assert!((loss(&weights) - found).abs() < 1e-5 * found, "{name}: {found}");
                check(&name, &weights, &gradient, loss);
            }
        }
    }
}

#[test]
fn convolutional_gradients_agree_with_plain_code() {
    let array =
        |channels, taps, dilations: &[usize], gated| wavenet::Array { channels, taps, dilations: dilations.to_vec(), gated };
    let shapes = [
        vec![array(8, 3, &[1, 2], false)],
        vec![array(3, 2, &[5, 1], true)],
        vec![array(5, 3, &[1, 4], false), array(2, 4, &[3], true), array(4, 1, &[1], false)],
    ];
    for level in SimdLevel::available() {
        for arrays in &shapes {
            let shape = Convolutional { arrays: arrays.clone() };
            let mut random = Random::new(7);
            let mut weights = shape.initial_weights(&mut random);
            weights.iter_mut().for_each(|w| *w += random.within(-0.2, 0.2));
            let mut tape = wavenet::Tape::new(&shape, level, 64);
            let frames = tape.frames();
            let mut noise = |n: usize| (0..n).map(|_| random.within(-1.0, 1.0)).collect::<Vec<f32>>();
            let (input, target) = (noise(frames), noise(frames));
            let from = shape.reach();
            tape.forward(&weights, &input);
            let energy = LOSS.energy([(target.as_slice(), 1, from)].into_iter());
            let mut output_gradient = vec![0.0; frames];
            let segment = Segment { target: &target, output: tape.output(), lanes: 1, first_frame: from };
            let found = LOSS.gradient(&energy, &segment, &mut [0.0], &mut output_gradient);
            let mut gradient = vec![0.0; weights.len()];
            tape.backward(&weights, &output_gradient, &mut gradient);
            let double = |values: &[f32]| values.iter().map(|x| f64::from(*x)).collect::<Vec<_>>();
            let targets = [double(&target)];
            let loss = |weights: &[f32]| {
                let Architecture::WaveNet(w) = shape.architecture(weights) else { panic!() };
                loss_f64(&LOSS, &targets, &[wavenet_f64(&w, &double(&input))], from)
            };
            let name = format!("{level:?} {arrays:?}");
            assert!((loss(&weights) - found).abs() < 1e-5 * found, "{name}: {found} {}", loss(&weights));
            check(&name, &weights, &gradient, loss);
        }
    }
}

/// A second of two tones at 8 kHz; the effect is y = tanh(3 x).
fn short_material() -> Arc<Material> {
    let tone = |t: f64| 0.4 * (0.13 * t).sin() + 0.2 * (0.41 * t).sin();
    let dry: Vec<f32> = (0..8000).map(|t| tone(f64::from(t)) as f32).collect();
    let wet = dry.iter().map(|x| (3.0 * x).tanh()).collect();
    let pair = SoundPair { name: "clip".into(), dry, wet, knob: Vec::new() };
    Arc::new(Material { sample_rate: 8000, held_out: vec![pair.clone()], train: pair, knob: None, origin: "a test".into() })
}

/// A configuration of small batches for short trainings.
fn short_config(name: &str, steps: u64) -> TrainingConfig {
    TrainingConfig { sequences: 16, frames: 256, ..TrainingConfig::new(Design::parse(name).unwrap(), steps) }
}

/// A trainer that has done all its steps.
fn trained(config: TrainingConfig) -> Trainer {
    let mut trainer = Trainer::new(config, short_material()).unwrap();
    while trainer.progress() < 1.0 {
        trainer.step();
    }
    trainer
}

#[test]
fn networks_can_learn_a_short_clip_by_heart() {
    for (name, steps) in [("lstm-8", 8000), ("gru-8", 4000), ("tcn-4x2", 2000)] {
        let found = trained(short_config(name, steps)).evaluate();
        assert!(found.esr < 1e-4, "{name}: {}", found.esr);
    }
}

#[test]
fn the_same_seed_gives_the_same_weights_on_any_number_of_threads() {
    for name in ["lstm-4", "gru-3", "tcn-3x3"] {
        let weights = |threads, seed| {
            trained(TrainingConfig { threads, seed, loss: Loss::OCTAVES, ..short_config(name, 20) }).averaged_weights().to_vec()
        };
        let one = weights(1, 5);
        assert_eq!(one, weights(1, 5), "{name}");
        assert_eq!(one, weights(2, 5), "{name}");
        assert_eq!(one, weights(3, 5), "{name}");
        assert_ne!(one, weights(1, 6), "{name}");
    }
}

/// Two seconds at 8 kHz of a loud low tone and faint noise; the effect is y = tanh(3 x), low-passed.
fn faint_treble() -> Arc<Material> {
    let mut random = Random::new(2);
    let dry: Vec<f32> = (0..16_000).map(|t| 0.4 * (0.07 * t as f32).sin() + random.within(-0.02, 0.02)).collect();
    let mut low_passed = 0.0;
    let low_pass = |x: &f32| {
        low_passed += 0.4 * ((3.0 * x).tanh() - low_passed);
        low_passed
    };
    let wet = dry.iter().map(low_pass).collect();
    let pair = SoundPair { name: "faint".into(), dry, wet, knob: Vec::new() };
    Arc::new(Material { sample_rate: 8000, held_out: vec![pair.clone()], train: pair, knob: None, origin: "a test".into() })
}

#[test]
fn a_twin_that_learns_by_octaves_is_better_in_the_treble() {
    for seed in [1, 2, 3] {
        let treble = |loss| {
            let config = TrainingConfig { loss, seed, frames: 128, ..short_config("lstm-4", 400) };
            let mut trainer = Trainer::new(config, faint_treble()).unwrap();
            while trainer.progress() < 1.0 {
                trainer.step();
            }
            let octaves = octave_errors(&trainer.architecture(), trainer.material()).remove(0).1;
            let top = octaves.last().unwrap();
            assert!((top.hz / 1995.3 - 1.0).abs() < 1e-4, "{top:?}");
            top.error_db.unwrap()
        };
        let (octaves, emphasis) = (treble(Loss::OCTAVES), treble(Loss::EMPHASIS));
        assert!(octaves < emphasis - 2.0, "seed {seed}: {octaves} and {emphasis} dB");
    }
}

#[test]
fn a_loss_has_a_name() {
    assert_eq!(Loss::parse("octaves"), Ok(Loss::OCTAVES));
    assert_eq!(Loss::parse("emphasis"), Ok(Loss::EMPHASIS));
    assert_eq!(Loss::parse("loud").unwrap_err().to_string(), "'loud' is no loss; expected emphasis or octaves");
}

#[test]
fn a_resumed_training_gives_the_same_weights_as_an_uninterrupted_one() {
    for name in ["lstm-4", "gru-3", "tcn-3x3"] {
        let whole = trained(short_config(name, 40));
        let mut first = Trainer::new(short_config(name, 40), short_material()).unwrap();
        for _ in 0..17 {
            first.step();
        }
        let mut second = Trainer::new(short_config(name, 40), short_material()).unwrap();
        assert!(second.restore(first.state()), "{name}");
        while second.progress() < 1.0 {
            second.step();
        }
        assert_eq!(whole.averaged_weights(), second.averaged_weights(), "{name}");
        assert!(!Trainer::new(short_config("lstm-5", 40), short_material()).unwrap().restore(first.state()), "{name}");
    }
}

/// Output of the trainer's own forward pass over a sound, from the state that half a second of silence leaves.
fn forward(config: &TrainingConfig, weights: &[f32], input: &[f32], sample_rate: usize) -> Vec<f32> {
    let level = SimdLevel::best_up_to(SimdLevel::Avx512);
    match &config.design {
        Design::Recurrent(shape) => {
            let (lanes, silence) = (level.lanes(), sample_rate / 2);
            let frames = silence + input.len();
            let mut tape = recurrent::Tape::new(*shape, level, frames);
            let mut wide = vec![0.0; frames * lanes];
            for (t, x) in input.iter().enumerate() {
                wide[(silence + t) * lanes..(silence + t + 1) * lanes].fill(*x);
            }
            tape.forward(weights, &wide);
            tape.output().iter().step_by(lanes).skip(silence).copied().collect()
        }
        Design::Convolutional(shape) => {
            let mut wide = vec![0.0; shape.reach()];
            wide.extend_from_slice(input);
            let mut tape = wavenet::Tape::new(shape, level, wide.len());
            wide.resize(tape.frames(), 0.0);
            tape.forward(weights, &wide);
            tape.output()[shape.reach()..shape.reach() + input.len()].to_vec()
        }
    }
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn metadata() -> ModelMetadata {
    ModelMetadata { name: "A twin".into(), sample_rate: 8000, esr: 0.25, late_frames: 0, knob: None }
}

/// Trained networks of every kind, among them a gated WaveNet and one of two layer arrays.
fn trained_networks() -> Vec<Trainer> {
    let gated = |channels, dilations: &[usize]| wavenet::Array { channels, taps: 2, dilations: dilations.to_vec(), gated: true };
    let gated = Design::Convolutional(Convolutional { arrays: vec![gated(3, &[1, 4]), gated(2, &[8])] });
    let names = ["lstm-5", "gru-3", "tcn-3x3", "wavenet-nano"];
    let mut configs: Vec<TrainingConfig> = names.iter().map(|name| short_config(name, 30)).collect();
    configs[3].frames = 4096;
    configs[3].steps = 2;
    configs.push(TrainingConfig { design: gated, ..short_config("tcn-1x1", 30) });
    configs.into_iter().map(trained).collect()
}

#[test]
fn exported_files_play_as_the_trainer_does() {
    let input = &short_material().train.dry[..2000];
    for trainer in trained_networks() {
        let (name, architecture) = (trainer.config().design.name(), trainer.architecture());
        let expected = forward(trainer.config(), trainer.averaged_weights(), input, 8000);
        assert!(largest_difference(&expected, &play(&architecture, 8000, input)) < 1e-5, "{name}");
        let files = [export::nam(&architecture, &metadata()), export::keras(&architecture, &metadata())];
        assert_eq!(
            files.each_ref().map(Option::is_some),
            match &trainer.config().design {
                Design::Recurrent(r) if r.cell == CellKind::Gru => [false, true],
                Design::Recurrent(_) => [true, true],
                Design::Convolutional(_) => [true, false],
            }
        );
        for file in files.into_iter().flatten() {
            let model = Model::read(file.into_bytes()).unwrap();
            assert_eq!((model.info().sample_rate, model.info().esr), (8000.0, Some(0.25)), "{name}");
            assert_eq!(model.info().name.as_deref(), Some("A twin"));
            let read = model.sizes()[0].architecture.as_ref().unwrap();
            assert!(largest_difference(&expected, &play(read, 8000, input)) < 1e-5, "{name}: {:?}", model.info().format);
        }
    }
}

#[cfg(feature = "onnx")]
#[test]
fn an_exported_onnx_file_plays_as_the_trainer_does() {
    assert!(std::env::var_os("ORT_DYLIB_PATH").is_some(), "ORT_DYLIB_PATH is not set: run `cargo xtask test`");
    let input = &short_material().train.dry[..2000];
    for trainer in trained_networks() {
        let name = trainer.config().design.name();
        let expected = forward(trainer.config(), trainer.averaged_weights(), input, 8000);
        let model = Model::read(export::onnx(&trainer.architecture(), &metadata()).unwrap()).unwrap();
        assert_eq!((model.info().sample_rate, model.info().name.as_deref()), (8000.0, Some("A twin")));
        let mut state = model.network(0).clone().state(StateSpec::new(1)).unwrap();
        state.set_offline(true);
        let latency = state.latency();
        let mut out = input.to_vec();
        out.resize(input.len() + latency, 0.0);
        for block in out.chunks_mut(64) {
            state.process(&mut [block], &[]);
        }
        let difference = largest_difference(&expected, &out[latency..]);
        assert!(difference < 1e-5, "{name}: {difference:e}");
    }
}

/// White noise through an effect whose output depends on the input two frames later.
fn look_ahead_material() -> Arc<Material> {
    let mut random = Random::new(2);
    let dry: Vec<f32> = (0..8000).map(|_| random.within(-0.5, 0.5)).collect();
    let at = |t: usize| dry.get(t).copied().unwrap_or(0.0);
    let wet = (0..dry.len()).map(|t| (2.0 * at(t) + at(t + 2)).tanh()).collect();
    let pair = SoundPair { name: "foreseen".into(), dry, wet, knob: Vec::new() };
    Arc::new(Material { sample_rate: 8000, held_out: vec![pair.clone()], train: pair, knob: None, origin: "a test".into() })
}

#[test]
fn a_twin_with_look_ahead_learns_more_and_its_file_says_how_late_it_is() {
    let train = |look_ahead| {
        let mut trainer =
            Trainer::new(TrainingConfig { look_ahead, ..short_config("tcn-4x2", 600) }, look_ahead_material()).unwrap();
        while trainer.progress() < 1.0 {
            trainer.step();
        }
        trainer
    };
    let (blind, ahead) = (train(0).evaluate().esr, train(2));
    // The later input is white, so without look-ahead a fifth of the energy cannot be known.
    assert!(blind > 0.1, "{blind}");
    let esr = ahead.evaluate().esr;
    assert!(esr < 1e-2, "{esr}");
    let late_metadata = ModelMetadata { late_frames: 2, ..metadata() };
    let architecture = ahead.architecture();
    let model = Model::read(export::nam(&architecture, &late_metadata).unwrap().into_bytes()).unwrap();
    assert_eq!(model.info().late_frames, 2);
    // The model file says that it is late, and the measured delay is added to that.
    assert!(model.alignment(0).unwrap().delay_frames.abs() < 1.0, "{:?}", model.alignment(0));
    let neural = Effect::from_id("neural").unwrap().with_model(model.clone());
    let wet = render(&neural, &Audio::from_mono(8000, &look_ahead_material().train.dry).unwrap()).unwrap().channel(0).to_vec();
    let found = isotherm::measure::esr(&look_ahead_material().train.wet[100..7900], &wet[100..7900]);
    assert!(found < 2e-2, "{found}");
    let keras = trained(short_config("gru-3", 1)).architecture();
    let read = |bytes| Model::read(bytes).unwrap().info().late_frames;
    assert_eq!(read(export::keras(&keras, &late_metadata).unwrap().into_bytes()), 2);
    #[cfg(feature = "onnx")]
    assert_eq!(read(export::onnx(&keras, &late_metadata).unwrap()), 2);
}

/// Needs the Python package `onnx`, so it only runs in the long test run.
#[test]
fn exported_files_pass_the_onnx_checker() {
    if std::env::var_os("ISOTHERM_LONG").is_none() {
        eprintln!("skipped: onnx.checker; `cargo xtask test --long` runs it");
        return;
    }
    let python = std::env::var_os("ISOTHERM_TORCH").expect("ISOTHERM_TORCH is not set: run `cargo xtask test --long`");
    let home = tempfile::tempdir().unwrap();
    for (i, trainer) in trained_networks().iter().enumerate() {
        let path = home.path().join(format!("{i}.onnx"));
        std::fs::write(&path, export::onnx(&trainer.architecture(), &metadata()).unwrap()).unwrap();
        let script = "import onnx, sys; onnx.checker.check_model(sys.argv[1], full_check=True)";
        let done = std::process::Command::new(&python).args(["-c", script]).arg(&path).output().unwrap();
        assert!(done.status.success(), "{}: {}", trainer.config().design.name(), String::from_utf8_lossy(&done.stderr));
    }
}

/// Takes minutes, so it only runs in the long test run.
#[test]
fn trainings_that_take_minutes_reach_the_documented_errors() {
    if std::env::var_os("ISOTHERM_LONG").is_none() {
        eprintln!("skipped: trainings of minutes; `cargo xtask test --long` runs them");
        return;
    }
    for (dc_blocker, network, max_esr) in [(0.0, "lstm-16", 1e-3), (0.0, "tcn-8x4", 1e-3), (1.0, "lstm-16", 1e-3)] {
        let effect = Effect::from_id("saturator").unwrap().with("drive", 24.0).with("dc_blocker", dc_blocker);
        let material = Material::of_effect(&effect, 48_000, 120.0, 1).unwrap();
        let mut config = TrainingConfig { look_ahead: 6, ..TrainingConfig::new(Design::parse(network).unwrap(), 12_000) };
        if dc_blocker > 0.0 {
            config.frames = 512;
        }
        let mut trainer = Trainer::new(config, Arc::new(material)).unwrap();
        while trainer.progress() < 1.0 {
            trainer.step();
        }
        let found = trainer.evaluate();
        assert!(found.esr < max_esr, "{network}, DC blocker {dc_blocker}: {found:?}");
    }
}

/// Low-passed noise with pauses, as a stand-in for speech: `frames` at 8 kHz.
fn speech(frames: usize) -> Vec<f32> {
    let mut random = Random::new(9);
    let mut low = 0.0;
    let sample = |t: usize| {
        low += 0.3 * (random.within(-1.0, 1.0) - low);
        low * if t / 3000 % 4 == 3 { 0.0 } else { 0.5 }
    };
    (0..frames).map(sample).collect()
}

/// Material of a recorded pair at 8 kHz.
fn pair(dry: &[f32], wet: &[f32]) -> Result<(Material, PairReport), PairError> {
    Material::of_pair(&Audio::from_mono(8000, dry).unwrap(), &Audio::from_mono(8000, wet).unwrap())
}

#[test]
fn delay_and_polarity_of_a_pair_are_found_and_undone() {
    let dry = speech(160_000);
    let effect = |x: f32| (3.0 * x).tanh();
    for delay in [0isize, 1, 37, 1200, -5] {
        for sign in [1.0, -1.0] {
            let at = |t: isize| usize::try_from(t - delay).ok().and_then(|t| dry.get(t)).map_or(0.0, |x| sign * effect(*x));
            let wet: Vec<f32> = (0..160_000).map(at).collect();
            let (material, found) = pair(&dry, &wet).unwrap();
            assert_eq!((found.delay, found.inverted), (delay, sign < 0.0));
            assert_eq!(found.replicate_esr, None);
            for part in material.held_out.iter().chain([&material.train]) {
                assert!(part.dry.iter().zip(&part.wet).all(|(x, y)| effect(*x) == *y), "{delay} {sign}");
            }
            let frames = material.train.dry.len() + material.held_out[0].dry.len();
            assert_eq!(frames, 160_000 - delay.unsigned_abs());
        }
    }
}

#[test]
fn pairs_that_no_network_can_learn_from_are_refused() {
    let dry = speech(160_000);
    let wet: Vec<f32> = dry.iter().map(|x| (3.0 * x).tanh()).collect();
    let refused = |dry: &[f32], wet: &[f32]| pair(dry, wet).unwrap_err();
    let at_rate = |rate| Audio::from_mono(rate, &wet).unwrap();
    let refused_wet = |wet: &Audio<f32>| Material::of_pair(&Audio::from_mono(8000, &dry).unwrap(), wet).unwrap_err();
    assert_eq!(refused_wet(&at_rate(44_100)), PairError::Rate { dry: 8000, wet: 44_100 });
    assert_eq!(refused_wet(&at_rate(8000).repeat_channels(3).unwrap()), PairError::Channels { which: "wet", found: 3 });
    let mut stereo = at_rate(8000).repeat_channels(2).unwrap();
    stereo.channel_mut(1)[159_999] += 1e-3;
    assert_eq!(refused_wet(&stereo), PairError::Channels { which: "wet", found: 2 });
    let longer = [wet.as_slice(), &[0.0; 8001]].concat();
    assert_eq!(refused(&dry, &longer), PairError::Length { dry: 160_000, wet: 168_001 });
    assert_eq!(refused(&dry, &wet[1..]), PairError::Length { dry: 160_000, wet: 159_999 });
    assert!(matches!(refused(&dry[..8000], &wet[..8000]), PairError::Short { .. }));
    assert!(matches!(refused(&dry, &vec![0.0; 160_000]), PairError::Silent { which: "wet", .. }));
    let clipped: Vec<f32> = wet.iter().map(|x| (9.0 * x).clamp(-1.0, 1.0)).collect();
    assert!(matches!(refused(&dry, &clipped), PairError::Clipped { which: "wet", .. }));
    let mut random = Random::new(77);
    let other: Vec<f32> = (0..160_000).map(|_| random.within(-0.5, 0.5)).collect();
    assert!(matches!(refused(&dry, &other), PairError::Unrelated { .. }));
    // The second half is 100 frames late.
    let moved: Vec<f32> = (0..160_000).map(|t| if t < 80_000 { wet[t] } else { wet[t - 100] }).collect();
    assert!(matches!(refused(&dry, &moved), PairError::Misaligned { .. }));
    // Parts in another order.
    let shuffled = [&wet[40_000..80_000], &wet[..40_000], &wet[120_000..], &wet[80_000..120_000]].concat();
    assert!(matches!(refused(&dry, &shuffled), PairError::Misaligned { .. } | PairError::Unrelated { .. }));
}

#[test]
fn a_wet_sound_that_is_up_to_a_second_longer_is_cut_and_two_equal_channels_are_mono() {
    let dry = speech(160_000);
    let wet: Vec<f32> = dry.iter().map(|x| (3.0 * x).tanh()).collect();
    let (expected, plain) = pair(&dry, &wet).unwrap();
    assert_eq!((plain.trimmed_frames, plain.dual_mono, plain.remarks()), (0, (false, false), Vec::new()));
    // The part that is left out may be clipped, or anything.
    let (material, found) = pair(&dry, &[wet.as_slice(), &[1.0; 8000]].concat()).unwrap();
    assert_eq!((found.trimmed_frames, &material), (8000, &expected));
    assert_eq!(found.remarks(), ["wet is 8000 frames longer than dry: they are left out at its end"]);
    let audio = |sound: &[f32]| Audio::from_mono(8000, sound).unwrap();
    let double = |sound: &[f32]| audio(sound).repeat_channels(2).unwrap();
    let (material, found) = Material::of_pair(&double(&dry), &audio(&wet)).unwrap();
    assert_eq!((found.dual_mono, &material), ((true, false), &expected));
    let (material, found) = Material::of_pair(&double(&dry), &double(&wet)).unwrap();
    assert_eq!((found.dual_mono, &material), ((true, true), &expected));
    assert_eq!(found.remarks(), ["dry", "wet"].map(|which| format!("{which} has two equal channels: it is taken as mono")));
}

#[test]
fn a_repeated_dry_passage_must_give_the_same_wet_sound() {
    let mut dry = speech(160_000);
    dry.copy_within(4000..14_000, 140_000);
    let wet: Vec<f32> = dry.iter().map(|x| (3.0 * x).tanh()).collect();
    let (_, found) = pair(&dry, &wet).unwrap();
    assert!(found.replicate_esr.is_some_and(|esr| esr < 1e-6), "{found:?}");
    let louder: Vec<f32> = wet.iter().enumerate().map(|(t, y)| if t < 130_000 { *y } else { 0.7 * y }).collect();
    assert!(matches!(pair(&dry, &louder), Err(PairError::Replicate { .. })), "{:?}", pair(&dry, &louder).map(|p| p.1));
}

#[test]
fn a_twin_of_an_algorithm_is_a_playable_model_unless_the_training_is_cancelled() {
    let effect = Effect::from_id("saturator").unwrap().with("drive", 24.0).with("dc_blocker", 0.0);
    let mut calls = 0;
    let no_stop = EarlyStopping::default();
    let twin = train_twin(&effect, 8000, short_config("lstm-4", 200), no_stop, "A twin".into(), &|| true, &mut |progress| {
        calls += 1;
        assert_eq!(progress.steps, calls);
    });
    let twin = twin.unwrap().unwrap();
    assert_eq!(calls, 200);
    assert!(twin.evaluation.esr < 0.9, "{}", twin.evaluation.esr);
    assert_eq!(twin.model.info().esr.map(f64::from), Some(f64::from(twin.evaluation.esr as f32)));
    assert_eq!(twin.model.info().name.as_deref(), Some("A twin"));
    let neural = Effect::from_id("neural").unwrap().with_model(twin.model);
    assert_eq!(Material::of_effect(&neural, 8000, 20.0, 1).unwrap().sample_rate, 8000);
    let ends_at = |allowed_calls: u64| {
        let (asked, mut steps) = (std::cell::Cell::new(0u64), 0);
        let keep_going = || asked.replace(asked.get() + 1) < allowed_calls;
        let config = short_config("lstm-4", 200);
        let cancelled = train_twin(&effect, 8000, config, no_stop, "A twin".into(), &keep_going, &mut |_| steps += 1);
        assert!(cancelled.unwrap().is_none());
        (asked.get(), steps)
    };
    // A training stops as soon as `keep_going` returns false: while passages are generated, while they are rendered, between
    // steps.
    for allowed_calls in [0, 3, 100, 2000] {
        assert_eq!(ends_at(allowed_calls), (allowed_calls + 1, 0));
    }
    let material_calls = {
        let count = std::cell::Cell::new(0u64);
        let target = Target::Effect(effect.clone());
        let keep_going = || count.replace(count.get() + 1) < u64::MAX;
        Material::of_target(&target, None, 8000, (120.0, short_config("lstm-4", 1).seed), &keep_going).unwrap();
        count.get()
    };
    assert_eq!(ends_at(material_calls + 2), (material_calls + 3, 3));
}
