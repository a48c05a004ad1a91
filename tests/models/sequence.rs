//! Networks of layers one after another (sequences) against a simple reference in f64; and the properties that a [`NetworkState`]
//! must have.

use isotherm::neural::activation::Precision;
use isotherm::neural::description::{Activation, Architecture, Conv1d, Gru, Layer, Lstm, Sequence};
use isotherm::neural::engine::{NetworkState, StateSpec, build};
use isotherm::neural::simd::SimdLevel;

use crate::oversampled::play;

/// A source of random layers and signals.
struct Random(isotherm::audio::Random);

impl Random {
    fn new(seed: u64) -> Self {
        Self(isotherm::audio::Random::new(seed))
    }

    /// -1 to 1
    fn float(&mut self) -> f32 {
        (self.0.bits() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    /// Values from -`scale` to `scale`.
    fn floats(&mut self, n: usize, scale: f32) -> Vec<f32> {
        (0..n).map(|_| scale * self.float()).collect()
    }

    /// 0 to n - 1
    fn below(&mut self, n: usize) -> usize {
        (self.0.bits() % n as u64) as usize
    }

    fn lstm(&mut self, inputs: usize, hidden: usize) -> Layer {
        let scale = (hidden as f32).sqrt().recip();
        Layer::Lstm(Lstm {
            inputs,
            hidden,
            input_weights: self.floats(4 * hidden * inputs, 1.0),
            hidden_weights: self.floats(4 * hidden * hidden, scale),
            bias: self.floats(4 * hidden, 0.5),
            h0: self.floats(hidden, 0.5),
            c0: self.floats(hidden, 1.0),
        })
    }

    fn gru(&mut self, inputs: usize, hidden: usize) -> Layer {
        let scale = (hidden as f32).sqrt().recip();
        Layer::Gru(Gru {
            inputs,
            hidden,
            input_weights: self.floats(3 * hidden * inputs, 1.0),
            hidden_weights: self.floats(3 * hidden * hidden, scale),
            input_bias: self.floats(3 * hidden, 0.5),
            hidden_bias: self.floats(3 * hidden, 0.5),
            h0: self.floats(hidden, 0.5),
        })
    }

    fn conv(
        &mut self,
        inputs: usize,
        outputs: usize,
        [taps, dilation, groups]: [usize; 3],
        bias: bool,
        activation: Activation,
    ) -> Layer {
        let fan_in = inputs / groups * taps;
        let conv = Conv1d {
            inputs,
            outputs,
            taps,
            dilation,
            groups,
            weights: self.floats(outputs * fan_in, (fan_in as f32).sqrt().recip()),
            bias: bias.then(|| self.floats(outputs, 0.5)),
        };
        Layer::Conv1d(conv, activation)
    }

    fn dense(&mut self, inputs: usize, outputs: usize, activation: Activation) -> Layer {
        self.conv(inputs, outputs, [1, 1, 1], true, activation)
    }
}

/// A network without gains and skip.
fn sequence(layers: Vec<Layer>) -> Sequence {
    Sequence { layers, input_gain: 1.0, output_gain: 1.0, skip: false }
}

fn to_f64(x: &[f32]) -> Vec<f64> {
    x.iter().copied().map(f64::from).collect()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The activation of one sample of a feature channel.
fn activate(activation: &Activation, channel: usize, x: f64) -> f64 {
    match activation {
        Activation::Identity => x,
        Activation::Tanh => x.tanh(),
        Activation::HardTanh => x.clamp(-1.0, 1.0),
        Activation::Relu => x.max(0.0),
        Activation::LeakyRelu(slopes) if x < 0.0 => x * f64::from(slopes[channel % slopes.len()]),
        Activation::LeakyRelu(_) => x,
        Activation::Sigmoid => sigmoid(x),
        Activation::Silu => x * sigmoid(x),
        Activation::HardSwish => x * (x + 3.0).clamp(0.0, 6.0) / 6.0,
        Activation::LeakyHardTanh { min, max, min_slope, max_slope } => {
            let [min, max, below, above] = [min, max, min_slope, max_slope].map(|x| f64::from(*x));
            if x < min {
                min + below * (x - min)
            } else if x > max {
                max + above * (x - max)
            } else {
                x
            }
        }
        Activation::Softsign => x / (1.0 + x.abs()),
        Activation::Elu { alpha } if x < 0.0 => f64::from(*alpha) * x.exp_m1(),
        Activation::Elu { .. } => x,
    }
}

/// Row `row` of a matrix times `x`.
fn dot(weights: &[f32], row: usize, x: &[f64]) -> f64 {
    weights[row * x.len()..][..x.len()].iter().zip(x).map(|(w, x)| f64::from(*w) * x).sum()
}

/// The output of a layer for a whole signal, `[frames][features]`, at `phases` times the layer's own rate: each phase has a state.
fn layer(layer: &Layer, signal: &[Vec<f64>], phases: usize) -> Vec<Vec<f64>> {
    match layer {
        Layer::Conv1d(c, activation) => {
            let (inputs, outputs) = (c.inputs / c.groups, c.outputs / c.groups);
            let output = |t: usize, o: usize| {
                let mut sum = c.bias.as_ref().map_or(0.0, |b| f64::from(b[o]));
                for i in 0..inputs {
                    for k in 0..c.taps {
                        let back = (c.taps - 1 - k) * c.dilation * phases;
                        if t >= back {
                            sum +=
                                f64::from(c.weights[(o * inputs + i) * c.taps + k]) * signal[t - back][o / outputs * inputs + i];
                        }
                    }
                }
                activate(activation, o, sum)
            };
            (0..signal.len()).map(|t| (0..c.outputs).map(|o| output(t, o)).collect()).collect()
        }
        Layer::Lstm(l) => {
            let mut states = vec![(to_f64(&l.h0), to_f64(&l.c0)); phases];
            let mut all = Vec::new();
            for (t, x) in signal.iter().enumerate() {
                let (h, c) = states[t % phases].clone();
                let sum = |row| f64::from(l.bias[row]) + dot(&l.input_weights, row, x) + dot(&l.hidden_weights, row, &h);
                let next = |u: usize| {
                    let c = sigmoid(sum(l.hidden + u)) * c[u] + sigmoid(sum(u)) * sum(2 * l.hidden + u).tanh();
                    (sigmoid(sum(3 * l.hidden + u)) * c.tanh(), c)
                };
                states[t % phases] = (0..l.hidden).map(next).unzip();
                all.push(states[t % phases].0.clone());
            }
            all
        }
        Layer::Gru(g) => {
            let mut states = vec![to_f64(&g.h0); phases];
            let mut all = Vec::new();
            for (t, x) in signal.iter().enumerate() {
                let h = states[t % phases].clone();
                let input = |row| f64::from(g.input_bias[row]) + dot(&g.input_weights, row, x);
                let state = |row| f64::from(g.hidden_bias[row]) + dot(&g.hidden_weights, row, &h);
                let next = |u: usize| {
                    let r = sigmoid(input(u) + state(u));
                    let z = sigmoid(input(g.hidden + u) + state(g.hidden + u));
                    let n = (input(2 * g.hidden + u) + r * state(2 * g.hidden + u)).tanh();
                    (1.0 - z) * n + z * h[u]
                };
                states[t % phases] = (0..g.hidden).map(next).collect();
                all.push(states[t % phases].clone());
            }
            all
        }
    }
}

/// The output of a network for one channel, after `silent_frames` frames of silence with the knobs in the middle.
fn reference(s: &Sequence, audio: &[f32], knobs: &[Vec<f32>], silent_frames: usize) -> Vec<f64> {
    oversampled_reference(s, audio, knobs, silent_frames, 1)
}

/// [`reference`] for audio and silence at `phases` times the network's rate.
fn oversampled_reference(s: &Sequence, audio: &[f32], knobs: &[Vec<f32>], silent_frames: usize, phases: usize) -> Vec<f64> {
    let scaled = |t: usize| f64::from(s.input_gain) * f64::from(audio[t]);
    let quiet = [0.0].into_iter().chain(vec![0.5; s.inputs() - 1]).collect();
    let silence = std::iter::repeat_n(quiet, silent_frames);
    let frames = (0..audio.len()).map(|t| [scaled(t)].into_iter().chain(knobs.iter().map(|k| f64::from(k[t]))).collect());
    let mut signal: Vec<Vec<f64>> = silence.chain(frames).collect();
    for l in &s.layers {
        signal = layer(l, &signal, phases);
    }
    let skip = if s.skip { 1.0 } else { 0.0 };
    signal[silent_frames..].iter().enumerate().map(|(t, y)| f64::from(s.output_gain) * (y[0] + skip * scaled(t))).collect()
}

/// Sample rate in Hz; low, so that half a second is few frames.
const RATE: f32 = 800.0;
/// Frames of a signal.
const FRAMES: usize = 333;

/// Frames of silence with which a new state is settled, unless it comes to rest earlier.
fn settle_frames(s: &Sequence) -> usize {
    let recurrent = s.layers.iter().any(|l| !matches!(l, Layer::Conv1d(..)));
    let reach: usize = s.layers.iter().map(|l| if let Layer::Conv1d(c, _) = l { c.reach() } else { 0 }).sum();
    reach + if recurrent { (RATE / 2.0) as usize } else { 0 }
}

fn state(s: &Sequence, spec: StateSpec) -> Box<dyn NetworkState> {
    build(&Architecture::Sequence(s.clone()), RATE).state(spec).unwrap()
}

/// The output for `audio` in blocks of the sizes that `size` gives.
fn run(state: &mut dyn NetworkState, audio: &[Vec<f32>], knobs: &[Vec<f32>], mut size: impl FnMut() -> usize) -> Vec<Vec<f32>> {
    let mut out = audio.to_vec();
    let mut at = 0;
    while at < audio[0].len() {
        let to = (at + size()).min(audio[0].len());
        let mut block: Vec<_> = out.iter_mut().map(|c| &mut c[at..to]).collect();
        let knobs: Vec<_> = knobs.iter().map(|k| &k[at..to]).collect();
        state.process(&mut block, &knobs);
        at = to;
    }
    out
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// Networks with every kind of layer and option, each with its name.
fn networks() -> Vec<(String, Sequence)> {
    let r = &mut Random::new(2026);
    let mut all = Vec::new();
    for hidden in [1, 2, 3, 5, 8, 12, 13, 16, 17, 20, 24, 25, 32, 33, 40, 48, 64] {
        let layers = vec![r.lstm(1, hidden), r.dense(hidden, 1, Activation::Identity)];
        all.push((format!("LSTM {hidden}"), sequence(layers)));
        let layers = vec![r.gru(1, hidden), r.dense(hidden, 1, Activation::Identity)];
        all.push((format!("GRU {hidden}"), sequence(layers)));
    }
    let layers = vec![r.lstm(1, 8), r.lstm(8, 12), r.gru(12, 20), r.dense(20, 1, Activation::Tanh)];
    all.push(("four layers".into(), sequence(layers)));
    let layers = vec![r.gru(1, 16), r.gru(16, 40), r.dense(40, 1, Activation::Identity)];
    all.push(("two layers".into(), sequence(layers)));
    let layers = vec![r.lstm(3, 16), r.dense(16, 1, Activation::Identity)];
    all.push(("LSTM with two knobs".into(), Sequence { layers, input_gain: 0.5, output_gain: 2.0, skip: true }));
    let layers = vec![r.gru(4, 9), r.dense(9, 5, Activation::Tanh), r.dense(5, 1, Activation::Identity)];
    all.push(("GRU with three knobs and two dense layers".into(), Sequence { skip: true, ..sequence(layers) }));
    let layers = vec![r.lstm(1, 1)];
    all.push(("LSTM without a head".into(), sequence(layers)));
    let layers = vec![
        r.dense(2, 8, Activation::Relu),
        r.conv(8, 8, [3, 2, 4], true, Activation::Tanh),
        r.gru(8, 10),
        r.dense(10, 1, Activation::Tanh),
        r.lstm(1, 6),
        r.dense(6, 1, Activation::Identity),
    ];
    all.push(("convolutions before GRU, head, LSTM".into(), sequence(layers)));
    let layers = vec![
        r.lstm(1, 6),
        r.conv(6, 3, [4, 3, 3], false, Activation::Sigmoid),
        r.conv(3, 1, [2, 5, 1], true, Activation::Identity),
    ];
    all.push(("convolutions behind LSTM".into(), sequence(layers)));
    let layers = vec![r.conv(1, 1, [600, 1, 1], true, Activation::Identity)];
    all.push(("Linear".into(), sequence(layers)));
    let layers = vec![r.conv(1, 1, [1, 1, 1], false, Activation::Identity)];
    all.push(("a gain".into(), Sequence { input_gain: 3.0, skip: true, ..sequence(layers) }));
    let mut layers = vec![r.conv(1, 16, [2, 1, 1], true, Activation::Tanh)];
    for dilation in [2, 4, 8, 16, 32, 64, 128] {
        layers.push(r.conv(16, 16, [2, dilation, 1], true, Activation::Tanh));
    }
    layers.push(r.dense(16, 1, Activation::Identity));
    all.push(("ConvNet".into(), sequence(layers)));
    for (k, activation) in [
        Activation::HardTanh,
        Activation::Relu,
        Activation::LeakyRelu(vec![0.01]),
        Activation::LeakyRelu(vec![0.5, 0.25, 0.1, 0.3, -0.2, 0.0]),
        Activation::Sigmoid,
        Activation::Silu,
        Activation::HardSwish,
        Activation::LeakyHardTanh { min: -0.5, max: 0.25, min_slope: 0.1, max_slope: 0.2 },
        Activation::Softsign,
        Activation::Elu { alpha: 0.7 },
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("{activation:?}");
        let layers = vec![
            r.conv(2, 6, [3, 1 + k, 1 + k % 2], k % 3 == 0, activation.clone()),
            r.conv(6, 6, [2, 7, 3], true, activation),
            r.dense(6, 1, Activation::Identity),
        ];
        all.push((name, sequence(layers)));
    }
    all
}

fn signals(r: &mut Random, count: usize, scale: f32) -> Vec<Vec<f32>> {
    (0..count).map(|_| r.floats(FRAMES, scale)).collect()
}

#[test]
fn every_network_equals_the_reference_at_every_level_and_precision() {
    let r = &mut Random::new(1);
    for (name, s) in networks() {
        let audio = signals(r, 1, 0.8);
        let knobs = signals(r, s.inputs() - 1, 1.0);
        let expected = reference(&s, &audio[0], &knobs, settle_frames(&s));
        for level in SimdLevel::available() {
            for precision in [Precision::Fast, Precision::Exact] {
                let spec = StateSpec { precision, level, ..StateSpec::new(1) };
                let out = run(&mut *state(&s, spec), &audio, &knobs, || 64);
                let error =
                    out[0].iter().zip(&expected).map(|(y, e)| (f64::from(*y) - e).abs() / e.abs().max(1.0)).fold(0.0, f64::max);
                assert!(error < MAX_ERROR, "{name} {level:?} {precision:?}: {error:e}");
            }
        }
    }
}

#[test]
fn every_oversampled_network_equals_the_reference_with_a_state_for_each_phase() {
    let r = &mut Random::new(7);
    for (name, s) in networks() {
        let architecture = Architecture::Sequence(s.clone());
        if architecture.is_linear() {
            continue;
        }
        let audio = signals(r, 1, 0.8).remove(0);
        let knobs = vec![vec![0.5; FRAMES]; s.inputs() - 1];
        for phases in [2, 4] {
            let expected = oversampled_reference(&s, &audio, &knobs, settle_frames(&s) * phases, phases);
            let out = play(architecture.clone(), RATE, &audio, phases);
            let error = out.iter().zip(&expected).map(|(y, e)| (f64::from(*y) - e).abs() / e.abs().max(1.0)).fold(0.0, f64::max);
            assert!(error < MAX_ERROR, "{name} at {phases}x: {error:e}");
        }
    }
}

/// Largest allowed error, relative to values above 1. Errors come from roundings of 6e-8 each, in sums of up to hundreds of
/// products and in the states.
const MAX_ERROR: f64 = 2e-6;

#[test]
fn blocks_of_any_size_give_the_same_samples() {
    let r = &mut Random::new(2);
    for (name, s) in networks() {
        let audio: Vec<_> = (0..2).map(|_| r.floats(4500, 0.8)).collect();
        let knobs: Vec<_> = (1..s.inputs()).map(|_| r.floats(4500, 1.0)).collect();
        let spec = StateSpec::new(2);
        let expected = run(&mut *state(&s, spec), &audio, &knobs, || 4096);
        for size in [1, 16, 64, 333] {
            let out = run(&mut *state(&s, spec), &audio, &knobs, || size);
            assert!(out.iter().zip(&expected).all(|(a, b)| bits(a) == bits(b)), "{name}, blocks of {size}");
        }
        let mut cuts = Vec::new();
        let mut state = state(&s, spec);
        let out = run(&mut *state, &audio, &knobs, || {
            cuts.push(r.below(200));
            cuts[cuts.len() - 1]
        });
        assert!(out.iter().zip(&expected).all(|(a, b)| bits(a) == bits(b)), "{name}, blocks of {cuts:?}");
    }
}

#[test]
fn a_channel_does_not_depend_on_how_many_others_there_are() {
    let r = &mut Random::new(3);
    for (name, s) in networks() {
        let audio = signals(r, 39, 0.8);
        let knobs = signals(r, s.inputs() - 1, 1.0);
        for level in SimdLevel::available() {
            for precision in [Precision::Fast, Precision::Exact] {
                let spec = |channels| StateSpec { precision, level, ..StateSpec::new(channels) };
                let mut one = state(&s, spec(1));
                let mut alone = |c: usize| {
                    one.reset();
                    bits(&run(&mut *one, &audio[c..=c], &knobs, || 50)[0])
                };
                let alone: Vec<_> = (0..audio.len()).map(&mut alone).collect();
                for channels in [2, 3, 4, 7, 8, 13, 16, 25, 32, 39] {
                    if precision == Precision::Exact && channels != 13 {
                        continue;
                    }
                    let out = run(&mut *state(&s, spec(channels)), &audio[..channels], &knobs, || 50);
                    for (c, out) in out.iter().enumerate() {
                        assert!(bits(out) == alone[c], "{name} {level:?} {precision:?}, channel {c} of {channels}");
                    }
                }
            }
        }
    }
}

#[test]
fn levels_with_fused_arithmetic_give_the_same_bits() {
    let r = &mut Random::new(4);
    if SimdLevel::best_up_to(SimdLevel::Avx512) < SimdLevel::Avx512 {
        eprintln!("skipped: no AVX-512 here");
        return;
    }
    for (name, s) in networks() {
        for channels in [1, 16, 32] {
            let audio = signals(r, channels, 0.8);
            let knobs = signals(r, s.inputs() - 1, 1.0);
            let output_at = |level| run(&mut *state(&s, StateSpec { level, ..StateSpec::new(channels) }), &audio, &knobs, || 64);
            assert_eq!(output_at(SimdLevel::Avx2), output_at(SimdLevel::Avx512), "{name}, {channels} channels");
        }
    }
}

#[test]
fn reset_is_exact() {
    let r = &mut Random::new(5);
    for (name, s) in networks() {
        for channels in [1, 3, 8, 33] {
            let audio = signals(r, channels, 0.8);
            let knobs = signals(r, s.inputs() - 1, 1.0);
            let mut state = state(&s, StateSpec::new(channels));
            let first = run(&mut *state, &audio, &knobs, || 64);
            state.reset();
            let again = run(&mut *state, &audio, &knobs, || 64);
            assert!(first.iter().zip(&again).all(|(a, b)| bits(a) == bits(b)), "{name}, {channels} channels");
        }
    }
}

/// A state that settles at other knobs equals a state that was made with them, bit by bit, whatever it has played; with silence
/// as input it then begins with the output that `settle` returned.
#[test]
fn settling_at_other_knob_values_equals_a_new_state_with_them() {
    let r = &mut Random::new(10);
    let mut differed = 0;
    for (name, s) in networks() {
        for channels in [1, 13] {
            for precision in [Precision::Fast, Precision::Exact] {
                let mut knobs = [0.5; 4];
                let spec = |knobs| StateSpec { precision, knobs, ..StateSpec::new(channels) };
                let (audio, moved) = (signals(r, channels, 0.8), signals(r, s.inputs() - 1, 1.0));
                let middle = run(&mut *state(&s, spec(knobs)), &audio, &moved, || 64);
                let mut one = state(&s, spec(knobs));
                for _ in 0..3 {
                    knobs = std::array::from_fn(|_| r.floats(1, 1.0)[0].abs());
                    let made = run(&mut *state(&s, spec(knobs)), &audio, &moved, || 64);
                    // Sound may have played before, for longer or shorter, with the knobs at these values or others.
                    let knobs_before = if r.floats(1, 1.0)[0] > 0.0 { knobs } else { [0.25; 4] };
                    let frames = (r.floats(1, 1.0)[0].abs() * 30_000.0) as usize;
                    let constant: Vec<_> = knobs_before[..s.inputs() - 1].iter().map(|k| vec![*k; frames]).collect();
                    run(&mut *one, &vec![vec![0.3; frames]; channels], &constant, || 200);
                    let output = one.settle(&knobs[..s.inputs() - 1]);
                    let settled = run(&mut *one, &audio, &moved, || 64);
                    let what = format!("{name} {precision:?}, {channels} channels");
                    assert!(made.iter().zip(&settled).all(|(a, b)| bits(a) == bits(b)), "{what}");
                    differed += usize::from(made != middle);
                    one.reset();
                    let constant: Vec<_> = knobs[..s.inputs() - 1].iter().map(|k| vec![*k; FRAMES]).collect();
                    let silence = run(&mut *one, &vec![vec![0.0; FRAMES]; channels], &constant, || 64);
                    assert!((silence[0][0] - output).abs() <= 1e-6 * output.abs().max(1.0), "{what}: {output}");
                }
            }
        }
    }
    assert!(differed > 0, "some networks have knobs");
}

/// At a rate of 0 a new state is not settled: its first sample comes from h0 and c0.
#[test]
fn at_a_rate_of_0_networks_begin_with_their_initial_state() {
    let r = &mut Random::new(6);
    for (name, s) in networks() {
        let audio = signals(r, 1, 0.8);
        let knobs = signals(r, s.inputs() - 1, 1.0);
        let mut state = build(&Architecture::Sequence(s.clone()), 0.0).state(StateSpec::new(1)).unwrap();
        let out = run(&mut *state, &audio, &knobs, || 64);
        let expected = reference(&s, &audio[0], &knobs, 0);
        let error = out[0].iter().zip(&expected).map(|(y, e)| (f64::from(*y) - e).abs() / e.abs().max(1.0)).fold(0.0, f64::max);
        assert!(error < MAX_ERROR, "{name}: {error:e}");
    }
}

/// While a network says that it rests, more of the same input changes nothing. In silence, convolutional networks come to rest.
#[test]
fn a_network_at_rest_does_not_change() {
    let r = &mut Random::new(7);
    for (name, s) in networks() {
        for channels in [1, 16] {
            let mut state = state(&s, StateSpec::new(channels));
            let knobs = signals(r, s.inputs() - 1, 1.0);
            run(&mut *state, &signals(r, channels, 0.8), &knobs, || 64);
            assert!(!state.rests() || s.receptive_field() == Some(1), "{name} rests while the input moves");
            let silence = vec![vec![0.0; 64]; channels];
            let knobs = vec![vec![0.5; 64]; s.inputs() - 1];
            let mut rested: Option<Vec<u32>> = None;
            for block in 0..400 {
                let out = run(&mut *state, &silence, &knobs, || 64);
                if let Some(value) = &rested {
                    assert!(state.rests(), "{name} rests no more");
                    assert!(
                        out.iter().zip(value).all(|(y, v)| y.iter().all(|y| y.to_bits() == *v)),
                        "{name} moved while it rested"
                    );
                } else if state.rests() {
                    assert!(block > 0 || !name.contains("Linear"), "{name} rests before its receptive field");
                    rested = Some(out.iter().map(|y| y[63].to_bits()).collect());
                }
            }
            let convolutional = s.receptive_field().is_some();
            assert!(rested.is_some() || !convolutional, "{name} never rests");
        }
    }
}

/// A recurrent layer without bias decays in silence; its output must not become denormal.
#[test]
fn a_decaying_network_does_not_become_denormal() {
    let r = &mut Random::new(8);
    for hidden in [8, 32] {
        for mut recurrent in [r.lstm(1, hidden), r.gru(1, hidden)] {
            match &mut recurrent {
                Layer::Lstm(l) => l.bias.fill(0.0),
                Layer::Gru(g) => {
                    g.input_bias.fill(0.0);
                    g.hidden_bias.fill(0.0);
                }
                Layer::Conv1d(..) => {}
            }
            let s = sequence(vec![recurrent, r.conv(hidden, 1, [1, 1, 1], false, Activation::Identity)]);
            for channels in [1, 8] {
                let mut state = state(&s, StateSpec::new(channels));
                run(&mut *state, &signals(r, channels, 0.8), &[], || 64);
                let out = run(&mut *state, &vec![vec![0.0; 20_000]; channels], &[], || 64);
                assert!(out.iter().flatten().all(|y| !y.is_subnormal()), "hidden {hidden}, {channels} channels");
                let last = out[0][19_999].abs();
                assert!(last < 1e-10, "{last:e} is left");
            }
        }
    }
}

#[test]
fn a_diverging_network_stays_finite() {
    let r = &mut Random::new(9);
    for mut recurrent in [r.lstm(1, 8), r.gru(1, 8)] {
        let (Layer::Lstm(Lstm { input_weights, hidden_weights, .. }) | Layer::Gru(Gru { input_weights, hidden_weights, .. })) =
            &mut recurrent
        else {
            continue;
        };
        input_weights.iter_mut().chain(hidden_weights).for_each(|w| *w *= 1e30);
        let s = sequence(vec![recurrent, r.dense(8, 1, Activation::Identity)]);
        for channels in [1, 8] {
            let out = run(&mut *state(&s, StateSpec::new(channels)), &signals(r, channels, 1e6), &[], || 64);
            assert!(out.iter().flatten().all(|y| y.is_finite()));
        }
    }
}

/// NeuralAmpModelerCore's own render of an LSTM. Skipped if the folder with the reference renders is missing.
#[test]
fn an_lstm_reproduces_the_render_of_neural_amp_modeler_core() {
    let shared = std::env::var_os("ISOTHERM_SHARED")
        .map_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/../shared").into(), std::path::PathBuf::from);
    let folder = shared.join("peer-models");
    let Ok(text) = std::fs::read_to_string(folder.join("lstm.nam")) else {
        eprintln!("skipped: no reference renders in {}", folder.display());
        return;
    };
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let config = |key: &str| json["config"][key].as_u64().unwrap() as usize;
    let weights: Vec<f32> = json["weights"].as_array().unwrap().iter().map(|w| w.as_f64().unwrap() as f32).collect();
    let mut rest = &weights[..];
    let mut take = |n: usize| {
        let (first, more) = rest.split_at(n);
        rest = more;
        first.to_vec()
    };
    let hidden = config("hidden_size");
    let mut layers = Vec::new();
    for index in 0..config("num_layers") {
        let inputs = if index == 0 { config("input_size") } else { hidden };
        let rows = take(4 * hidden * (inputs + hidden));
        let (input_weights, hidden_weights) =
            rows.chunks(inputs + hidden).map(|row| row.split_at(inputs)).unzip::<_, _, Vec<_>, Vec<_>>();
        layers.push(Layer::Lstm(Lstm {
            inputs,
            hidden,
            input_weights: input_weights.concat(),
            hidden_weights: hidden_weights.concat(),
            bias: take(4 * hidden),
            h0: take(hidden),
            c0: take(hidden),
        }));
    }
    let head = Conv1d { inputs: hidden, outputs: 1, taps: 1, dilation: 1, groups: 1, weights: take(hidden), bias: Some(take(1)) };
    layers.push(Layer::Conv1d(head, Activation::Identity));
    let read =
        |name: &str| -> Vec<f32> { hound::WavReader::open(folder.join(name)).unwrap().samples().map(Result::unwrap).collect() };
    let (input, expected) = (read("input.wav"), read("lstm_reference.wav"));
    for level in SimdLevel::available() {
        let network = build(&Architecture::Sequence(sequence(layers.clone())), 48_000.0);
        let mut state = network.state(StateSpec { level, ..StateSpec::new(1) }).unwrap();
        let out = run(&mut *state, std::slice::from_ref(&input), &[], || 64);
        let error = out[0].iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(error < 1e-6, "{level:?}: {error:e}");
    }
}
