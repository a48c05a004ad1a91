//! The native WaveNet against a simple reference in f64, which follows NeuralAmpModelerCore's order of operations; and
//! the properties that a [`NetworkState`] must have.

use std::sync::Arc;

use isotherm::neural::activation::Precision;
use isotherm::neural::description::{
    Activation, Architecture, ConditionModel, Conv1d, Films, Gating, Layer, LayerArray, Sequence, WaveNet, WaveNetLayer,
};
use isotherm::neural::engine::{self, Network, NetworkState, StateSpec};
use isotherm::neural::simd::SimdLevel;

use crate::oversampled::play;

const PRECISIONS: [Precision; 2] = [Precision::Fast, Precision::Exact];

// ---- the reference ----

/// `[rows][frames]`
type Signal = Vec<Vec<f64>>;

/// A convolution of a signal that was silent before.
fn convolved(conv: &Conv1d, x: &Signal) -> Signal {
    let frames = x[0].len();
    let (ins, outs) = (conv.inputs / conv.groups, conv.outputs / conv.groups);
    let output = |o: usize| {
        let at = |t: usize| {
            let mut sum = conv.bias.as_ref().map_or(0.0, |bias| f64::from(bias[o]));
            for i in 0..ins {
                for k in 0..conv.taps {
                    let back = (conv.taps - 1 - k) * conv.dilation;
                    if back <= t {
                        sum += f64::from(conv.weights[(o * ins + i) * conv.taps + k]) * x[o / outs * ins + i][t - back];
                    }
                }
            }
            sum
        };
        (0..frames).map(at).collect()
    };
    (0..conv.outputs).map(output).collect()
}

/// The activation of one sample of a row.
fn activated_sample(activation: &Activation, row: usize, x: f64) -> f64 {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    match activation {
        Activation::Identity => x,
        Activation::Tanh => x.tanh(),
        Activation::HardTanh => x.clamp(-1.0, 1.0),
        Activation::Relu => x.max(0.0),
        Activation::LeakyRelu(slopes) if x < 0.0 => x * f64::from(slopes[if slopes.len() == 1 { 0 } else { row }]),
        Activation::LeakyRelu(_) => x,
        Activation::Sigmoid => sigmoid(x),
        Activation::Silu => x * sigmoid(x),
        Activation::HardSwish => x * (x + 3.0).clamp(0.0, 6.0) / 6.0,
        Activation::LeakyHardTanh { min, max, min_slope, max_slope } => {
            let (min, max) = (f64::from(*min), f64::from(*max));
            if x < min {
                min + f64::from(*min_slope) * (x - min)
            } else if x > max {
                max + f64::from(*max_slope) * (x - max)
            } else {
                x
            }
        }
        Activation::Softsign => x / (1.0 + x.abs()),
        Activation::Elu { alpha } if x < 0.0 => f64::from(*alpha) * x.exp_m1(),
        Activation::Elu { .. } => x,
    }
}

fn activated(activation: &Activation, x: &[Vec<f64>]) -> Signal {
    x.iter().enumerate().map(|(row, x)| x.iter().map(|x| activated_sample(activation, row, *x)).collect()).collect()
}

/// `f` of each sample of two signals.
fn zipped(a: &[Vec<f64>], b: &[Vec<f64>], f: impl Fn(f64, f64) -> f64) -> Signal {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a.iter().zip(b).map(|(a, b)| f(*a, *b)).collect()).collect()
}

fn sum(a: &[Vec<f64>], b: &[Vec<f64>]) -> Signal {
    zipped(a, b, |a, b| a + b)
}

fn scaled(x: &[Vec<f64>], factor: f32) -> Signal {
    x.iter().map(|x| x.iter().map(|x| x * f64::from(factor)).collect()).collect()
}

/// A signal modulated by the condition, if there is a FiLM.
fn modulated(film: Option<&Conv1d>, condition: &Signal, x: Signal) -> Signal {
    let Some(film) = film else { return x };
    let scales = convolved(film, condition);
    let y = zipped(&x, &scales[..x.len()], |x, scale| x * scale);
    if scales.len() == x.len() { y } else { sum(&y, &scales[x.len()..]) }
}

/// The layer's output and what it adds to the head accumulator.
fn layer(layer: &WaveNetLayer, x: &Signal, condition: &Signal) -> (Signal, Signal) {
    let film = &layer.film;
    let z = convolved(&layer.conv, &modulated(film.conv_pre.as_ref(), condition, x.clone()));
    let z = modulated(film.conv_post.as_ref(), condition, z);
    let mixed = convolved(&layer.mixin, &modulated(film.mixin_pre.as_ref(), condition, condition.clone()));
    let z = sum(&z, &modulated(film.mixin_post.as_ref(), condition, mixed));
    let z = modulated(film.activation_pre.as_ref(), condition, z);
    let half = z.len() / 2;
    let y = match &layer.gating {
        Gating::None => activated(&layer.activation, &z),
        Gating::Gated(gate) => zipped(&activated(&layer.activation, &z[..half]), &activated(gate, &z[half..]), |a, k| a * k),
        Gating::Blended(gate) => {
            let k = activated(gate, &z[half..]);
            let a = zipped(&activated(&layer.activation, &z[..half]), &k, |a, k| a * k);
            sum(&a, &zipped(&z[..half], &k, |x, k| (1.0 - k) * x))
        }
    };
    let y = modulated(film.activation_post.as_ref(), condition, y);
    let next = match &layer.layer1x1 {
        None => x.clone(),
        Some(conv) => {
            let blended = matches!(layer.gating, Gating::Blended(_));
            let film = film.layer1x1_post.as_ref().filter(|_| blended);
            sum(x, &modulated(film, condition, convolved(conv, &y)))
        }
    };
    let head = match &layer.head1x1 {
        None => y,
        Some(conv) => modulated(film.head1x1_post.as_ref(), condition, convolved(conv, &y)),
    };
    (next, head)
}

fn wavenet(net: &WaveNet, audio: &Signal) -> Signal {
    let condition = match net.condition.as_deref() {
        None => audio.clone(),
        Some(ConditionModel::WaveNet(inner)) => wavenet(inner, audio),
        Some(ConditionModel::Sequence(inner)) => sequence(inner, audio),
    };
    let mut x = audio.clone();
    let mut head: Option<Signal> = None;
    for array in &net.arrays {
        x = convolved(&array.rechannel, &x);
        for described in &array.layers {
            let (next, out) = layer(described, &x, &condition);
            x = next;
            head = Some(head.map_or(out.clone(), |head| sum(&head, &out)));
        }
        head = head.map(|head| convolved(&array.head, &head));
    }
    let mut y = scaled(&head.unwrap(), net.head_scale);
    for (activation, conv) in &net.post {
        y = convolved(conv, &activated(activation, &y));
    }
    y
}

fn sequence(sequence: &Sequence, audio: &Signal) -> Signal {
    let audio = scaled(audio, sequence.input_gain);
    let mut x = audio.clone();
    for layer in &sequence.layers {
        let Layer::Conv1d(conv, activation) = layer else { panic!("a recurrent condition model") };
        x = activated(activation, &convolved(conv, &x));
    }
    if sequence.skip {
        x = x.iter().map(|x| x.iter().zip(&audio[0]).map(|(x, audio)| x + audio).collect()).collect();
    }
    scaled(&x, sequence.output_gain)
}

/// The output of the reference after a receptive field of silence.
fn expected(net: &WaveNet, audio: &[f32]) -> Vec<f64> {
    let silence = net.receptive_field().unwrap();
    let padded = vec![vec![0.0; silence].into_iter().chain(audio.iter().map(|x| f64::from(*x))).collect::<Vec<_>>()];
    let y = wavenet(net, &padded);
    assert_eq!(y.len(), 1);
    y[0][silence..].to_vec()
}

// ---- models of random weights ----

/// A source of random models and signals.
struct Random(isotherm::audio::Random);

impl Random {
    fn new(seed: u64) -> Self {
        Self(isotherm::audio::Random::new(seed))
    }
    /// 0 to n - 1
    fn below(&mut self, n: usize) -> usize {
        self.0.below(n)
    }
    fn choose<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }
    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
    /// -1 to 1
    fn value(&mut self) -> f32 {
        self.0.bipolar() as f32
    }
    /// A common divisor.
    fn divisor(&mut self, a: usize, b: usize) -> usize {
        let common: Vec<usize> = (1..=a.min(b)).filter(|n| a.is_multiple_of(*n) && b.is_multiple_of(*n)).collect();
        self.choose(&common)
    }
    /// Noise, with stretches of a constant.
    fn audio(&mut self, frames: usize) -> Vec<f32> {
        (0..frames).map(|t| if t % 97 < 60 { self.value() } else { 0.3 }).collect()
    }

    fn conv(&mut self, inputs: usize, outputs: usize, taps: usize, dilation: usize, groups: usize, bias: bool) -> Conv1d {
        let fan_in = inputs / groups * taps;
        let scale = 1.0 / (fan_in as f32).sqrt();
        let weights = (0..outputs * fan_in).map(|_| self.value() * scale).collect();
        let bias = bias.then(|| (0..outputs).map(|_| self.value() * 0.3).collect());
        Conv1d { inputs, outputs, taps, dilation, groups, weights, bias }
    }

    fn activation(&mut self, rows: usize) -> Activation {
        let number = self.below(12);
        self.activation_number(number, rows)
    }

    /// The activation with a number, 0 to 11.
    fn activation_number(&mut self, number: usize, rows: usize) -> Activation {
        match number {
            0 => Activation::Identity,
            1 => Activation::HardTanh,
            2 => Activation::Relu,
            3 => Activation::LeakyRelu(vec![0.01 + self.value().abs()]),
            4 => Activation::LeakyRelu((0..rows).map(|_| self.value() * 0.3).collect()),
            5 => Activation::Sigmoid,
            6 => Activation::Silu,
            7 => Activation::HardSwish,
            8 => Activation::LeakyHardTanh { min: -0.4, max: 0.3, min_slope: 0.1, max_slope: -0.2 },
            9 => Activation::Softsign,
            10 => Activation::Elu { alpha: 0.7 },
            _ => Activation::Tanh,
        }
    }

    fn film(&mut self, condition: usize, rows: usize, shift: bool) -> Conv1d {
        let outputs = if shift { 2 * rows } else { rows };
        let groups = self.divisor(condition, outputs);
        self.conv(condition, outputs, 1, 1, groups, true)
    }

    /// A plain layer, the kind that nearly all files have: without gate, FiLM, groups and head1x1.
    fn plain_layer(
        &mut self,
        channels: usize,
        condition: usize,
        taps: usize,
        dilation: usize,
        activation: Activation,
    ) -> WaveNetLayer {
        WaveNetLayer {
            conv: self.conv(channels, channels, taps, dilation, 1, true),
            mixin: self.conv(condition, channels, 1, 1, 1, false),
            activation,
            gating: Gating::None,
            layer1x1: Some(self.conv(channels, channels, 1, 1, 1, true)),
            head1x1: None,
            film: Films::default(),
        }
    }

    /// A WaveNet of plain layers; an array is given by its channels and its layers' dilations.
    fn plain_wavenet(&mut self, arrays: &[(usize, &[usize])], taps: usize, activation: &Activation) -> WaveNet {
        let mut inputs = 1;
        let arrays: Vec<LayerArray> = arrays
            .iter()
            .enumerate()
            .map(|(number, (channels, dilations))| {
                let head_outputs = arrays.get(number + 1).map_or(1, |next| next.0);
                let array = LayerArray {
                    rechannel: self.conv(inputs, *channels, 1, 1, 1, false),
                    layers: dilations.iter().map(|d| self.plain_layer(*channels, 1, taps, *d, activation.clone())).collect(),
                    head: self.conv(*channels, head_outputs, 1, 1, 1, true),
                };
                inputs = *channels;
                array
            })
            .collect();
        WaveNet { condition: None, arrays, post: Vec::new(), head_scale: 0.3 }
    }

    /// A layer of any kind. `heads` is the number of rows of the head accumulator.
    fn any_layer(&mut self, channels: usize, condition: usize, bottleneck: usize, heads: usize) -> WaveNetLayer {
        if channels == bottleneck && heads == bottleneck && self.chance(25) {
            let (taps, dilation) = (1 + self.below(4), 1 + self.below(20));
            let activation = self.activation(channels);
            return self.plain_layer(channels, condition, taps, dilation, activation);
        }
        let gating = match self.below(3) {
            0 => Gating::None,
            1 => Gating::Gated(self.activation(bottleneck)),
            _ => Gating::Blended(self.activation(bottleneck)),
        };
        let wide = if gating == Gating::None { bottleneck } else { 2 * bottleneck };
        let (taps, dilation) = (1 + self.below(5), 1 + self.below(40));
        let head1x1 = (heads != bottleneck || self.chance(30)).then(|| {
            let groups = self.divisor(bottleneck, heads);
            self.conv(bottleneck, heads, 1, 1, groups, true)
        });
        let layer1x1 = self.chance(85).then(|| {
            let groups = self.divisor(bottleneck, channels);
            self.conv(bottleneck, channels, 1, 1, groups, true)
        });
        let mut film = |rows: usize| {
            let shift = self.chance(50);
            self.chance(30).then(|| self.film(condition, rows, shift))
        };
        let film = Films {
            conv_pre: film(channels),
            conv_post: film(wide),
            mixin_pre: film(condition),
            mixin_post: film(wide),
            activation_pre: film(wide),
            activation_post: film(bottleneck),
            layer1x1_post: film(channels).filter(|_| layer1x1.is_some()),
            head1x1_post: film(heads).filter(|_| head1x1.is_some()),
        };
        let groups = (self.divisor(channels, wide), self.divisor(condition, wide));
        WaveNetLayer {
            conv: self.conv(channels, wide, taps, dilation, groups.0, true),
            mixin: self.conv(condition, wide, 1, 1, groups.1, false),
            activation: self.activation(bottleneck),
            gating,
            layer1x1,
            head1x1,
            film,
        }
    }

    /// A random WaveNet of any kind that a description can express, with at most `depth` condition models inside each other.
    fn any_wavenet(&mut self, outputs: usize, depth: usize) -> WaveNet {
        let (condition, rows) = match if depth > 0 { self.below(3) } else { 0 } {
            0 => (None, 1),
            1 => {
                let rows = 1 + self.below(8);
                (Some(Box::new(ConditionModel::Sequence(self.any_sequence(rows)))), rows)
            }
            _ => {
                let rows = 1 + self.below(8);
                (Some(Box::new(ConditionModel::WaveNet(self.any_wavenet(rows, depth - 1)))), rows)
            }
        };
        let count = 1 + self.below(3);
        let sizes = [1, 2, 3, 4, 5, 6, 7, 8, 12, 16];
        // The rows of each array's head accumulator, and of the last array's head output.
        let post = self.below(3);
        let last = if post > 0 { 1 + self.below(5) } else { outputs };
        let heads: Vec<usize> = (0..count).map(|_| self.choose(&sizes)).chain([last]).collect();
        let mut inputs = 1;
        let arrays = (0..count)
            .map(|number| {
                let heads = (heads[number], heads[number + 1]);
                let channels = if self.chance(50) { heads.0 } else { self.choose(&sizes) };
                let bottleneck = if self.chance(50) { heads.0 } else { self.choose(&sizes) };
                let layers = 1 + self.below(4);
                let (taps, dilation) = (1 + self.below(3), 1 + self.below(30));
                let groups = self.divisor(heads.0, heads.1);
                let bias = self.chance(50);
                let array = LayerArray {
                    rechannel: self.conv(inputs, channels, 1, 1, 1, false),
                    layers: (0..layers).map(|_| self.any_layer(channels, rows, bottleneck, heads.0)).collect(),
                    head: self.conv(heads.0, heads.1, taps, dilation, groups, bias),
                };
                inputs = channels;
                array
            })
            .collect();
        let mut inputs = last;
        let post = (0..post)
            .map(|number| {
                let outs = if number + 1 == post { outputs } else { 1 + self.below(6) };
                let activation = self.activation(inputs);
                let taps = 1 + self.below(4);
                let conv = self.conv(inputs, outs, taps, 1, 1, true);
                inputs = outs;
                (activation, conv)
            })
            .collect();
        WaveNet { condition, arrays, post, head_scale: 0.5 + self.value() * 0.2 }
    }

    /// Convolutions one after another.
    fn any_sequence(&mut self, outputs: usize) -> Sequence {
        let count = 1 + self.below(3);
        let mut inputs = 1;
        let layers = (0..count)
            .map(|number| {
                let outs = if number + 1 == count { outputs } else { 1 + self.below(9) };
                let groups = self.divisor(inputs, outs);
                let (taps, dilation, bias) = (1 + self.below(6), 1 + self.below(30), self.chance(50));
                let conv = self.conv(inputs, outs, taps, dilation, groups, bias);
                inputs = outs;
                let activation = self.activation(outs);
                Layer::Conv1d(conv, activation)
            })
            .collect();
        Sequence { layers, input_gain: 0.7, output_gain: 1.2, skip: self.chance(30) }
    }
}

/// The dilations of NAM's standard model.
const POWERS: [usize; 10] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

// ---- running ----

fn network(net: &WaveNet) -> Arc<dyn Network> {
    engine::build(&Architecture::WaveNet(Box::new(net.clone())), 48_000.0)
}

fn state(net: &WaveNet, channels: usize, precision: Precision, level: SimdLevel) -> Box<dyn NetworkState> {
    network(net).state(StateSpec { precision, level, ..StateSpec::new(channels) }).unwrap()
}

/// The output for `audio` in blocks of these lengths, repeated over and over.
fn run(state: &mut dyn NetworkState, audio: &[f32], lengths: &[usize]) -> Vec<f32> {
    let mut y = audio.to_vec();
    let mut rest = y.as_mut_slice();
    for length in lengths.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (block, behind) = rest.split_at_mut((*length).min(rest.len()));
        state.process(&mut [block], &[]);
        rest = behind;
    }
    y
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// The largest difference, relative to the largest sample (or 1e-2).
fn error(found: &[f32], expected: &[f64]) -> f64 {
    let peak = expected.iter().fold(1e-2, |peak: f64, x| peak.max(x.abs()));
    found.iter().zip(expected).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max) / peak
}

/// Asserts that the network agrees with the reference at every level and precision, within `bound`.
#[track_caller]
fn assert_agrees(what: &str, net: &WaveNet, audio: &[f32], bound: f64) {
    let expected = expected(net, audio);
    for level in SimdLevel::available() {
        for precision in PRECISIONS {
            let found = run(&mut *state(net, 1, precision, level), audio, &[audio.len()]);
            let error = error(&found, &expected);
            assert!(error < bound, "{what}, {level:?}, {precision:?}: error {error:e}");
        }
    }
}

// ---- tests ----

#[test]
fn random_descriptions_of_any_kind_equal_the_reference() {
    let mut worst = 0.0_f64;
    for seed in 0..150 {
        let mut random = Random::new(seed);
        let net = random.any_wavenet(1, 2);
        let audio = random.audio(300);
        let expected = expected(&net, &audio);
        for level in SimdLevel::available() {
            for precision in PRECISIONS {
                let found = run(&mut *state(&net, 1, precision, level), &audio, &[131, 1, 64]);
                let error = error(&found, &expected);
                assert!(error < 5e-6, "seed {seed}, {level:?}, {precision:?}: error {error:e}\n{net:?}");
                worst = worst.max(error);
            }
        }
    }
    println!("worst error {worst:e}");
}

/// The network with all dilations multiplied.
fn spread(net: &WaveNet, factor: usize) -> WaveNet {
    let spread_conv = |conv: &mut Conv1d| conv.dilation *= factor;
    let mut net = net.clone();
    net.condition = net.condition.map(|condition| {
        Box::new(match *condition {
            ConditionModel::WaveNet(inner) => ConditionModel::WaveNet(spread(&inner, factor)),
            ConditionModel::Sequence(mut sequence) => {
                for layer in &mut sequence.layers {
                    let Layer::Conv1d(conv, _) = layer else { unreachable!("a condition model is made of convolutions") };
                    spread_conv(conv);
                }
                ConditionModel::Sequence(sequence)
            }
        })
    });
    for array in &mut net.arrays {
        array.layers.iter_mut().for_each(|layer| spread_conv(&mut layer.conv));
        spread_conv(&mut array.head);
    }
    net.post.iter_mut().for_each(|(_, conv)| spread_conv(conv));
    net
}

#[test]
fn oversampled_networks_equal_the_reference_with_longer_dilations() {
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let net = random.any_wavenet(1, 2);
        let audio = random.audio(300);
        for phases in [2, 4] {
            let expected = expected(&spread(&net, phases), &audio);
            let found = play(Architecture::WaveNet(Box::new(net.clone())), 48_000.0, &audio, phases);
            let error = error(&found, &expected);
            assert!(error < 5e-6, "seed {seed} at {phases}x: error {error:e}\n{net:?}");
        }
    }
}

#[test]
fn plain_layers_of_every_width_equal_the_reference() {
    let mut random = Random::new(1);
    for channels in 1..=17 {
        for (taps, activation) in [
            (3, Activation::Tanh),
            (2, Activation::Tanh),
            (1, Activation::Relu),
            (6, Activation::LeakyRelu(vec![0.01])),
            (15, Activation::LeakyRelu(vec![1.5])),
        ] {
            let net = random.plain_wavenet(&[(channels, &[1, 7, 40]), (1 + channels / 2, &[3, 90])], taps, &activation);
            let audio = random.audio(400);
            assert_agrees(&format!("{channels} channels, {taps} taps, {activation:?}"), &net, &audio, 5e-6);
        }
    }
}

#[test]
fn the_standard_model_equals_the_reference() {
    let mut random = Random::new(2);
    let net = random.plain_wavenet(&[(16, &POWERS), (8, &POWERS)], 3, &Activation::Tanh);
    assert_eq!(net.receptive_field(), Some(4093));
    let audio = random.audio(1500);
    assert_agrees("standard", &net, &audio, 5e-6);
}

#[test]
fn every_activation_equals_the_reference_alone_gated_and_blended() {
    for number in 0..12 {
        for gate in 0..12 {
            let mut random = Random::new((number * 12 + gate) as u64);
            let mut net = random.plain_wavenet(&[(4, &[1, 5])], 3, &Activation::Tanh);
            for (place, layer) in net.arrays[0].layers.iter_mut().enumerate() {
                layer.activation = random.activation_number(number, 4);
                let gate = random.activation_number(gate, 4);
                layer.conv = random.conv(4, 8, 3, 2, 1, true);
                layer.mixin = random.conv(1, 8, 1, 1, 1, false);
                layer.gating = if place == 0 { Gating::Gated(gate) } else { Gating::Blended(gate) };
            }
            let alone = random.activation_number(number, 4);
            net.arrays[0].layers.push(random.plain_layer(4, 1, 3, 2, alone));
            let audio: Vec<f32> = random.audio(200).iter().map(|x| x * 3.0).collect();
            assert_agrees(&format!("activation {number}, gate {gate}"), &net, &audio, 3e-6);
        }
    }
}

#[test]
fn every_film_alone_equals_the_reference() {
    for place in 0..8 {
        for shift in [false, true] {
            for gating in 0..3 {
                let mut random = Random::new(100 + place);
                let mut net = random.plain_wavenet(&[(4, &[1, 5, 2])], 3, &Activation::Tanh);
                let inner = random.any_sequence(2);
                net.condition = Some(Box::new(ConditionModel::Sequence(inner)));
                for layer in &mut net.arrays[0].layers {
                    let wide = if gating == 0 { 6 } else { 12 };
                    layer.gating = match gating {
                        0 => Gating::None,
                        1 => Gating::Gated(Activation::Sigmoid),
                        _ => Gating::Blended(Activation::Sigmoid),
                    };
                    layer.conv = random.conv(4, wide, 3, layer.conv.dilation, 2, true);
                    layer.mixin = random.conv(2, wide, 1, 1, 1, false);
                    layer.layer1x1 = Some(random.conv(6, 4, 1, 1, 2, true));
                    layer.head1x1 = Some(random.conv(6, 4, 1, 1, 1, true));
                    let film = &mut layer.film;
                    let (slot, rows) = [
                        (&mut film.conv_pre, 4),
                        (&mut film.conv_post, wide),
                        (&mut film.mixin_pre, 2),
                        (&mut film.mixin_post, wide),
                        (&mut film.activation_pre, wide),
                        (&mut film.activation_post, 6),
                        (&mut film.layer1x1_post, 4),
                        (&mut film.head1x1_post, 4),
                    ]
                    .into_iter()
                    .nth(place as usize)
                    .unwrap();
                    *slot = Some(random.film(2, rows, shift));
                }
                let audio = random.audio(200);
                assert_agrees(&format!("FiLM {place}, shift {shift}, gating {gating}"), &net, &audio, 3e-6);
            }
        }
    }
}

/// A few networks of all kinds.
fn sample_networks() -> Vec<WaveNet> {
    let mut random = Random::new(7);
    let mut nets = vec![
        random.plain_wavenet(&[(16, &POWERS[..6]), (8, &POWERS[..8])], 3, &Activation::Tanh),
        random.plain_wavenet(&[(4, &[128, 256, 1]), (2, &[512, 3])], 3, &Activation::Tanh),
        random.plain_wavenet(&[(3, &[1, 239, 41])], 6, &Activation::LeakyRelu(vec![0.01])),
        random.plain_wavenet(&[(5, &[1, 100])], 2, &Activation::Silu),
    ];
    nets.extend((0..12).map(|seed| Random::new(1000 + seed).any_wavenet(1, 2)));
    nets
}

#[test]
fn blocks_of_any_size_give_the_same_samples() {
    for (number, net) in sample_networks().iter().enumerate() {
        let mut random = Random::new(number as u64);
        let audio = random.audio(5000);
        let cuts: Vec<usize> = (0..500).map(|_| 1 + random.below(200)).collect();
        for level in SimdLevel::available() {
            let whole = run(&mut *state(net, 1, Precision::Fast, level), &audio, &[4096]);
            for lengths in [&[1][..], &[16], &[64], &[333], &[5000], &cuts] {
                let cut = run(&mut *state(net, 1, Precision::Fast, level), &audio, lengths);
                assert!(bits(&whole) == bits(&cut), "net {number}, {level:?}, blocks of {:?}", &lengths[..1]);
            }
        }
    }
}

/// Asserts that each of some channels gives the bits that it gives alone.
#[track_caller]
fn assert_each_equals_one_alone(what: &str, net: &WaveNet, inputs: &[Vec<f32>]) {
    for level in SimdLevel::available() {
        let mut together = inputs.to_vec();
        let mut all = state(net, inputs.len(), Precision::Fast, level);
        for start in (0..inputs[0].len()).step_by(100) {
            let mut block: Vec<&mut [f32]> = together.iter_mut().map(|x| &mut x[start..start + 100]).collect();
            all.process(&mut block, &[]);
        }
        for (input, found) in inputs.iter().zip(&together) {
            let alone = run(&mut *state(net, 1, Precision::Fast, level), input, &[100]);
            assert!(bits(found) == bits(&alone), "{what}, {level:?}");
        }
    }
}

#[test]
fn a_channel_does_not_depend_on_the_others() {
    for (number, net) in sample_networks().iter().enumerate() {
        let mut random = Random::new(number as u64);
        let inputs: Vec<Vec<f32>> = (0..5).map(|_| random.audio(700)).collect();
        assert_each_equals_one_alone(&format!("net {number}"), net, &inputs);
    }
}

#[test]
fn a_channel_does_not_depend_on_the_others_when_the_state_is_larger_than_the_cache() {
    let mut random = Random::new(10);
    let standard = random.plain_wavenet(&[(16, &POWERS), (8, &POWERS)], 3, &Activation::Tanh);
    let odd = random.plain_wavenet(&[(8, &[1, 17, 41, 239])], 6, &Activation::LeakyRelu(vec![0.01]));
    for (what, net, channels) in [("standard", standard, 32), ("odd dilations", odd, 128)] {
        let bytes = state(&net, channels, Precision::Fast, SimdLevel::Avx512).bytes();
        assert!(bytes > 9 << 20, "{what}: {bytes} bytes");
        let inputs: Vec<Vec<f32>> = (0..channels).map(|_| random.audio(700)).collect();
        assert_each_equals_one_alone(what, &net, &inputs);
    }
}

#[test]
fn reset_is_exact() {
    for (number, net) in sample_networks().iter().enumerate() {
        let audio = Random::new(3).audio(1000);
        for precision in PRECISIONS {
            let mut state = state(net, 1, precision, SimdLevel::Avx512);
            let first = run(&mut *state, &audio, &[77]);
            state.reset();
            assert!(bits(&first) == bits(&run(&mut *state, &audio, &[77])), "net {number}, {precision:?}");
        }
    }
}

#[test]
fn a_new_state_is_settled() {
    for (number, net) in sample_networks().iter().enumerate() {
        let audio = Random::new(4).audio(1000);
        for level in SimdLevel::available() {
            let mut fresh = state(net, 1, Precision::Fast, level);
            let mut settled = state(net, 1, Precision::Fast, level);
            let quiet = run(&mut *settled, &vec![0.0; net.receptive_field().unwrap()], &[64]);
            assert!(quiet.iter().all(|y| y.to_bits() == quiet[0].to_bits()), "net {number}, {level:?}: silence moves");
            assert!(
                bits(&run(&mut *fresh, &audio, &[64])) == bits(&run(&mut *settled, &audio, &[64])),
                "net {number}, {level:?}"
            );
        }
    }
}

#[test]
fn avx2_and_avx512_give_the_same_bits() {
    if SimdLevel::best_up_to(SimdLevel::Avx512) != SimdLevel::Avx512 {
        println!("skipped: no AVX-512 here");
        return;
    }
    for (number, net) in sample_networks().iter().enumerate() {
        let audio = Random::new(5).audio(1000);
        for precision in PRECISIONS {
            let narrow = run(&mut *state(net, 1, precision, SimdLevel::Avx2), &audio, &[100]);
            let wide = run(&mut *state(net, 1, precision, SimdLevel::Avx512), &audio, &[100]);
            assert!(bits(&narrow) == bits(&wide), "net {number}, {precision:?}");
        }
    }
}

#[test]
fn a_state_rests_only_when_nothing_would_change() {
    for (number, net) in sample_networks().iter().enumerate() {
        let field = net.receptive_field().unwrap();
        let mut state = state(net, 2, Precision::Fast, SimdLevel::Avx512);
        assert!(state.rests(), "net {number}: fresh");
        let audio = Random::new(6).audio(50);
        state.process(&mut [&mut audio.clone(), &mut audio.clone()], &[]);
        assert!(!state.rests(), "net {number}: after noise");
        let (mut a, mut b) = (vec![0.25; field - 1], vec![-0.5; field - 1]);
        state.process(&mut [&mut a, &mut b], &[]);
        assert!(!state.rests(), "net {number}: a frame too early");
        state.process(&mut [&mut [0.25], &mut [-0.5]], &[]);
        assert!(state.rests(), "net {number}: after a receptive field");
        let (mut a, mut b) = (vec![0.25; 2 * field], vec![-0.5; 2 * field]);
        state.process(&mut [&mut a, &mut b], &[]);
        for y in [a, b] {
            assert!(y.iter().all(|x| x.to_bits() == y[0].to_bits()), "net {number}: rests, but moves");
        }
        state.process(&mut [&mut [0.25], &mut [-0.5001]], &[]);
        assert!(!state.rests(), "net {number}: one channel moved");
    }
}

#[test]
fn the_state_of_a_standard_model_takes_less_than_a_mebibyte_per_channel() {
    let net = Random::new(8).plain_wavenet(&[(16, &POWERS), (8, &POWERS)], 3, &Activation::Tanh);
    let one = state(&net, 1, Precision::Fast, SimdLevel::Avx512).bytes();
    let many = state(&net, 33, Precision::Fast, SimdLevel::Avx512).bytes();
    assert!(one < 1 << 20, "{one} bytes");
    assert!((many - one) / 32 < 1 << 20, "{many} bytes for 33 channels");
    let weights = network(&net).bytes();
    assert!((13_802 * 4..13_802 * 12).contains(&weights), "{weights} bytes of weights");
}

#[test]
#[should_panic(expected = "weights of a convolution")]
fn weights_that_do_not_fit_the_shape_are_refused() {
    let mut net = Random::new(9).plain_wavenet(&[(4, &[1])], 3, &Activation::Tanh);
    net.arrays[0].layers[0].conv.weights.pop();
    network(&net);
}

#[test]
#[should_panic(expected = "inputs and outputs of a convolution")]
fn arrays_that_do_not_fit_each_other_are_refused() {
    let mut net = Random::new(9).plain_wavenet(&[(4, &[1]), (3, &[1])], 3, &Activation::Tanh);
    net.arrays[1].rechannel = Random::new(1).conv(5, 3, 1, 1, 1, false);
    network(&net);
}

#[test]
fn the_renders_of_neural_amp_modeler_core_are_reproduced() {
    let shared = std::env::var_os("ISOTHERM_SHARED")
        .map_or_else(|| std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), Into::into);
    let folder = shared.join("peer-models");
    if !folder.is_dir() {
        println!("skipped: no {}", folder.display());
        return;
    }
    let samples = |name: &str| -> Vec<f32> {
        hound::WavReader::open(folder.join(name)).unwrap().samples::<f32>().map(Result::unwrap).collect()
    };
    let input = samples("input.wav");
    for (name, bound) in [("wavenet", 1e-6), ("wavenet_a1_standard", 5e-6)] {
        let net = read_a1(&std::fs::read_to_string(folder.join(format!("{name}.nam"))).unwrap());
        let reference = samples(&format!("{name}_reference.wav"));
        for level in SimdLevel::available() {
            for precision in PRECISIONS {
                let found = run(&mut *state(&net, 1, precision, level), &input, &[333]);
                let error = found.iter().zip(&reference).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(error < bound, "{name}, {level:?}, {precision:?}: error {error:e}");
            }
        }
    }
}

/// Reads a `.nam` file of the first generation. Separate from the loader, so that the test above does not depend on it.
fn read_a1(json: &str) -> WaveNet {
    let json: serde_json::Value = serde_json::from_str(json).unwrap();
    let mut weights = json["weights"].as_array().unwrap().iter().map(|w| w.as_f64().unwrap() as f32);
    let mut conv = |inputs: usize, outputs: usize, taps: usize, dilation: usize, bias: bool| Conv1d {
        inputs,
        outputs,
        taps,
        dilation,
        groups: 1,
        weights: weights.by_ref().take(inputs * outputs * taps).collect(),
        bias: bias.then(|| weights.by_ref().take(outputs).collect()),
    };
    let mut arrays = Vec::new();
    for array in json["config"]["layers"].as_array().unwrap() {
        let number = |key: &str| array[key].as_u64().unwrap() as usize;
        let channels = number("channels");
        let rechannel = conv(number("input_size"), channels, 1, 1, false);
        let mut layers = Vec::new();
        for dilation in array["dilations"].as_array().unwrap() {
            layers.push(WaveNetLayer {
                conv: conv(channels, channels, number("kernel_size"), dilation.as_u64().unwrap() as usize, true),
                mixin: conv(1, channels, 1, 1, false),
                activation: Activation::Tanh,
                gating: Gating::None,
                layer1x1: Some(conv(channels, channels, 1, 1, true)),
                head1x1: None,
                film: Films::default(),
            });
        }
        let head = conv(channels, number("head_size"), 1, 1, array["head_bias"].as_bool().unwrap());
        arrays.push(LayerArray { rechannel, layers, head });
    }
    WaveNet { condition: None, arrays, post: Vec::new(), head_scale: weights.next().unwrap() }
}
