//! Training: gradients against plain f64 code.
#![cfg(feature = "train")]

use std::sync::Arc;

use isotherm::neural::description::{Activation, Architecture, Conv1d, Gating, Layer, WaveNet};
use isotherm::neural::simd::Level;
use isotherm::train::loss::{Loss, Stretch};
use isotherm::train::random::Random;
use isotherm::train::recurrent::{self, Cell, Recurrent};
use isotherm::train::wavenet::{self, Array, Convolutional};
use isotherm::train::{Design, Limit, Material, Pair, Plan, Trainer};

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// y\[output\]\[t\] of planar f64 sound, silence before it.
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

fn plus(a: &[Vec<f64>], b: &[Vec<f64>]) -> Vec<Vec<f64>> {
    a.iter().zip(b).map(|(a, b)| a.iter().zip(b).map(|(a, b)| a + b).collect()).collect()
}

/// A WaveNet of the kinds that are trained.
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

/// One recurrent layer and its head, from a state of zeros. `input`: `[frames][inputs]`.
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

/// The loss by its formula, over sequences of their own from a frame on. The error before the first frame is 0.
fn loss_f64(loss: &Loss, targets: &[Vec<f64>], outputs: &[Vec<f64>], from: usize) -> f64 {
    let (c, plain, dc) = (f64::from(loss.emphasis), f64::from(loss.plain), f64::from(loss.dc));
    let (mut emphasised, mut energy, mut count) = (0.0, 0.0, 0.0);
    let (mut bent_error, mut error, mut means) = (0.0, 0.0, 0.0);
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
            bent_error += (e[t] - c * before).powi(2);
            error += e[t] * e[t];
            sum += e[t];
        }
        let frames = (e.len() - from) as f64;
        means += frames * (sum / frames).powi(2);
    }
    let least = 1e-8 * count;
    bent_error / (emphasised + least) + (plain * error + dc * means) / (energy + least)
}

/// Central differences of the f64 loss for every weight against the trainer's gradient.
fn check(name: &str, weights: &[f32], gradient: &[f32], loss: impl Fn(&[f32]) -> f64) {
    let mut largest = 0.0f64;
    let mut worst = 0.0f64;
    for i in 0..weights.len() {
        // What f32 makes of the step is what it is.
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

const LOSS: Loss = Loss { emphasis: 0.85, plain: 0.3, dc: 0.7 };

#[test]
fn recurrent_gradients_are_those_of_plain_code() {
    for level in Level::available() {
        for cell in [Cell::Lstm, Cell::Gru] {
            // Sizes that fill blocks, leave some over, and are less than one.
            for (hidden, inputs, frames) in [(8, 1, 20), (5, 2, 37), (1, 1, 5)] {
                let shape = Recurrent { cell, inputs, hidden, chrono: false };
                let lanes = level.lanes();
                let mut random = Random(3);
                let weights = shape.begin(&mut random);
                let mut noise = |n: usize| (0..n).map(|_| random.within(-1.0, 1.0)).collect::<Vec<f32>>();
                let (input, target) = (noise(frames * inputs * lanes), noise(frames * lanes));
                let mut tape = recurrent::Tape::new(shape, level, frames);
                tape.forward(&weights, &input);
                let energy = LOSS.energy([(target.as_slice(), lanes, 0)].into_iter());
                let mut slopes = vec![0.0; frames * lanes];
                let stretch = Stretch { target: &target, output: tape.output(), lanes, from: 0 };
                let found = LOSS.gradient(&energy, &stretch, &mut vec![0.0; lanes], &mut slopes);
                let mut gradient = vec![0.0; weights.len()];
                tape.backward(&weights, &input, &slopes, &mut gradient);
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
fn convolutional_gradients_are_those_of_plain_code() {
    let array = |channels, taps, dilations: &[usize], gated| Array { channels, taps, dilations: dilations.to_vec(), gated };
    let shapes = [
        vec![array(8, 3, &[1, 2], false)],
        vec![array(3, 2, &[5, 1], true)],
        vec![array(5, 3, &[1, 4], false), array(2, 4, &[3], true), array(4, 1, &[1], false)],
    ];
    for level in Level::available() {
        for arrays in &shapes {
            let shape = Convolutional { arrays: arrays.clone() };
            let mut random = Random(7);
            let mut weights = shape.begin(&mut random);
            weights.iter_mut().for_each(|w| *w += random.within(-0.2, 0.2));
            let mut tape = wavenet::Tape::new(&shape, level, 64);
            let frames = tape.frames();
            let mut noise = |n: usize| (0..n).map(|_| random.within(-1.0, 1.0)).collect::<Vec<f32>>();
            let (input, target) = (noise(frames), noise(frames));
            let from = shape.reach();
            tape.forward(&weights, &input);
            let energy = LOSS.energy([(target.as_slice(), 1, from)].into_iter());
            let mut slopes = vec![0.0; frames];
            let stretch = Stretch { target: &target, output: tape.output(), lanes: 1, from };
            let found = LOSS.gradient(&energy, &stretch, &mut [0.0], &mut slopes);
            let mut gradient = vec![0.0; weights.len()];
            tape.backward(&weights, &slopes, &mut gradient);
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

/// tanh of eight times a second of two tones, at 8 kHz.
fn clip() -> Arc<Material> {
    let tone = |t: f64| 0.4 * (0.13 * t).sin() + 0.2 * (0.41 * t).sin();
    let dry: Vec<f32> = (0..8000).map(|t| tone(f64::from(t)) as f32).collect();
    let wet = dry.iter().map(|x| (8.0 * x).tanh()).collect();
    let pair = Pair { name: "clip".into(), dry, wet };
    Arc::new(Material { sample_rate: 8000, held: vec![pair.clone()], train: pair, origin: "a test".into() })
}

fn short(name: &str, steps: u64) -> Plan {
    Plan { sequences: 16, frames: 256, ..Plan::new(Design::parse(name).unwrap(), Limit::Steps(steps)) }
}

fn trained(plan: Plan) -> Trainer {
    let mut trainer = Trainer::new(plan, clip()).unwrap();
    while trainer.progress() < 1.0 {
        trainer.step();
    }
    trainer
}

#[test]
fn a_short_clip_is_learnt_by_heart() {
    for (name, steps) in [("lstm-8", 1500), ("gru-8", 1500), ("tcn-4x2", 1500)] {
        let found = trained(short(name, steps)).evaluate();
        assert!(found.esr < 1e-4, "{name}: {}", found.esr);
    }
}

#[test]
fn the_same_seed_gives_the_same_weights_on_any_number_of_threads() {
    for name in ["lstm-4", "gru-3", "tcn-3x3"] {
        let weights = |threads, seed| trained(Plan { threads, seed, ..short(name, 20) }).weights().to_vec();
        let one = weights(1, 5);
        assert_eq!(one, weights(1, 5), "{name}");
        assert_eq!(one, weights(2, 5), "{name}");
        assert_eq!(one, weights(3, 5), "{name}");
        assert_ne!(one, weights(1, 6), "{name}");
    }
}

#[test]
fn going_on_gives_the_weights_of_no_interruption() {
    for name in ["lstm-4", "gru-3", "tcn-3x3"] {
        let whole = trained(short(name, 40));
        let mut first = Trainer::new(short(name, 40), clip()).unwrap();
        for _ in 0..17 {
            first.step();
        }
        let mut second = Trainer::new(short(name, 40), clip()).unwrap();
        assert!(second.restore(first.state()), "{name}");
        while second.progress() < 1.0 {
            second.step();
        }
        assert_eq!(whole.weights(), second.weights(), "{name}");
        assert!(!Trainer::new(short("lstm-5", 40), clip()).unwrap().restore(first.state()), "{name}");
    }
}

#[test]
#[ignore]
fn explore() {
    let drive = std::env::var("DRIVE").map_or(24.0, |d| d.parse().unwrap());
    let settings = isotherm::dsp::Settings::new(isotherm::algorithm::find("saturator").unwrap()).with("drive", drive);
    let material = Arc::new(Material::of_algorithm(&settings, 48_000, 120.0, 1).unwrap());
    let name = std::env::var("NET").unwrap_or("lstm-16".into());
    let seconds: f64 = std::env::var("SECS").unwrap_or("60".into()).parse().unwrap();
    let mut trainer = Trainer::new(Plan::new(Design::parse(&name).unwrap(), Limit::Seconds(seconds)), material).unwrap();
    let mut next = 5.0;
    while trainer.progress() < 1.0 {
        let loss = trainer.step();
        if trainer.seconds() >= next || trainer.progress() >= 1.0 {
            next *= 2.0;
            let e = trainer.evaluate();
            println!(
                "{:.0} s, {} steps ({:.1} ms), loss {loss:.2e}, esr {:.2e} pre {:.2e}, levels {:?}, {:.0} ns",
                trainer.seconds(),
                trainer.steps(),
                1e3 * trainer.seconds() / trainer.steps() as f64,
                e.esr,
                e.esr_emphasised,
                e.levels,
                e.ns_per_sample
            );
            if trainer.progress() >= 1.0 {
                for (n, a, b) in e.sounds {
                    println!("  {n}: {a:.2e} {b:.2e}");
                }
            }
        }
    }
}
