//! Networks in series against the same networks run one after another, bit for bit.

use isotherm::audio::Random;
use isotherm::neural::description::{
    Activation, Architecture, Conv1d, Films, Gating, Layer, LayerArray, Lstm, Sequence, WaveNet, WaveNetLayer,
};
use isotherm::neural::engine::{self, NetworkState, StateSpec};

const RATE: f32 = 48_000.0;

fn conv(r: &mut Random, inputs: usize, outputs: usize, taps: usize, bias: bool) -> Conv1d {
    let mut weights = |n: usize| (0..n).map(|_| r.within(-0.5, 0.5)).collect::<Vec<f32>>();
    let (weights, bias) = (weights(inputs * outputs * taps), bias.then(|| weights(outputs)));
    Conv1d { inputs, outputs, taps, dilation: 1, groups: 1, weights, bias }
}

fn sequence(layers: Vec<Layer>, skip: bool) -> Architecture {
    Architecture::Sequence(Sequence { layers, input_gain: 0.75, output_gain: 1.5, skip })
}

fn lstm(r: &mut Random) -> Architecture {
    let hidden = 5;
    let mut weights = |n: usize| (0..n).map(|_| r.within(-0.5, 0.5)).collect::<Vec<f32>>();
    let lstm = Lstm {
        inputs: 1,
        hidden,
        input_weights: weights(4 * hidden),
        hidden_weights: weights(4 * hidden * hidden),
        bias: weights(4 * hidden),
        h0: weights(hidden),
        c0: weights(hidden),
    };
    sequence(vec![Layer::Lstm(lstm), Layer::Conv1d(conv(r, hidden, 1, 1, true), Activation::Identity)], true)
}

fn fir(r: &mut Random, bias: bool) -> Architecture {
    sequence(vec![Layer::Conv1d(conv(r, 1, 1, 4, bias), Activation::Tanh)], false)
}

fn wavenet(r: &mut Random) -> Architecture {
    let layer = |r: &mut Random| WaveNetLayer {
        conv: conv(r, 3, 3, 3, true),
        mixin: conv(r, 1, 3, 1, false),
        activation: Activation::Tanh,
        gating: Gating::None,
        layer1x1: Some(conv(r, 3, 3, 1, true)),
        head1x1: None,
        film: Films::default(),
    };
    let layers = vec![layer(r), layer(r)];
    let array = LayerArray { rechannel: conv(r, 1, 3, 1, false), layers, head: conv(r, 3, 1, 1, true) };
    Architecture::WaveNet(Box::new(WaveNet { condition: None, arrays: vec![array], post: Vec::new(), head_scale: 0.5 }))
}

fn chains() -> Vec<Vec<Architecture>> {
    let r = &mut Random::new(3);
    vec![
        vec![lstm(r)],
        vec![wavenet(r), lstm(r)],
        vec![lstm(r), wavenet(r), fir(r, true)],
        vec![fir(r, false), wavenet(r)],
        vec![Architecture::Series(vec![lstm(r), fir(r, false)]), wavenet(r)],
    ]
}

fn state(architecture: &Architecture, spec: StateSpec) -> Box<dyn NetworkState> {
    engine::build(architecture, RATE).state(spec).unwrap()
}

/// The output of two channels for two channels of sound, cut into blocks of these lengths by turns.
fn run(state: &mut dyn NetworkState, sound: &[Vec<f32>; 2], lengths: &[usize]) -> [Vec<f32>; 2] {
    let mut output = sound.clone();
    let (mut from, mut lengths) = (0, lengths.iter().cycle());
    while from < sound[0].len() {
        let to = (from + lengths.next().unwrap()).min(sound[0].len());
        let [left, right] = &mut output;
        state.process(&mut [&mut left[from..to], &mut right[from..to]], &[]);
        from = to;
    }
    output
}

fn bits(x: &[Vec<f32>; 2]) -> [Vec<u32>; 2] {
    x.each_ref().map(|x| x.iter().map(|x| x.to_bits()).collect())
}

fn sound() -> [Vec<f32>; 2] {
    let mut r = Random::new(9);
    [0, 1].map(|_| (0..3000).map(|_| r.within(-0.8, 0.8)).collect())
}

#[test]
fn a_series_equals_its_networks_rendered_one_after_another() {
    for (index, parts) in chains().into_iter().enumerate() {
        let spec = StateSpec::new(2);
        let (mut expected, mut silence) = (sound(), 0.0);
        for part in &parts {
            let mut part = state(part, StateSpec { silence, ..spec });
            silence = part.settle(&[]);
            expected = run(&mut *part, &expected, &[512]);
        }
        let series = Architecture::Series(parts);
        let mut series = state(&series, spec);
        for lengths in [[512, 512, 512], [64, 64, 64], [1, 37, 300]] {
            assert_eq!(bits(&run(&mut *series, &sound(), &lengths)), bits(&expected), "chain {index}");
            series.reset();
        }
        assert_eq!(series.settle(&[]).to_bits(), silence.to_bits());
        assert_eq!(bits(&run(&mut *series, &sound(), &[100])), bits(&expected), "chain {index} after settling");
        let mut copy = series.duplicate().unwrap();
        assert_eq!(bits(&run(&mut *copy, &sound(), &[64])), bits(&run(&mut *series, &sound(), &[99])), "a copy of chain {index}");
    }
}

#[test]
fn a_series_begins_with_what_silence_gives_and_rests_there() {
    for (index, parts) in chains().into_iter().enumerate() {
        let mut series = state(&Architecture::Series(parts), StateSpec::new(2));
        let constant = series.settle(&[]);
        let silence = [vec![0.0; 30_000], vec![0.0; 30_000]];
        let output = run(&mut *series, &silence, &[512]);
        let deviation = output.iter().flatten().map(|y| (y - constant).abs()).fold(0.0, f32::max);
        assert!(deviation < 1e-5, "chain {index}: {deviation} from {constant}");
    }
}

#[test]
fn a_network_settles_to_the_constant_that_comes_in() {
    let r = &mut Random::new(5);
    for (index, architecture) in [lstm(r), wavenet(r), fir(r, true)].into_iter().enumerate() {
        let mut settled = state(&architecture, StateSpec { silence: 0.3, ..StateSpec::new(2) });
        let mut from_zero = state(&architecture, StateSpec::new(2));
        let constant = settled.settle(&[]);
        let mut block = run(&mut *from_zero, &[vec![0.3; 30_000], vec![0.3; 30_000]], &[512]);
        let last = block[0].pop().unwrap();
        assert!((last - constant).abs() < 1e-5, "{index}: {last} {constant}");
        assert!((constant - from_zero.settle(&[])).abs() > 1e-3, "{index}");
    }
}
