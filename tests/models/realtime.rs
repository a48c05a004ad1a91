//! The state of a network neither allocates nor frees memory on the audio thread.

use isotherm::neural::activation::Precision;
use isotherm::neural::description::{Activation, Architecture, Conv1d, Gru, Layer, Lstm, Sequence};
use isotherm::neural::engine::{StateSpec, build};
use isotherm::neural::simd::SimdLevel;
use isotherm_support::counting::allocations;

fn conv(inputs: usize, outputs: usize, taps: usize) -> Layer {
    let weights = vec![0.1; inputs * outputs * taps];
    Layer::Conv1d(Conv1d { inputs, outputs, taps, dilation: 3, groups: 1, weights, bias: None }, Activation::Silu)
}

fn lstm(inputs: usize, hidden: usize) -> Layer {
    Layer::Lstm(Lstm {
        inputs,
        hidden,
        input_weights: vec![0.1; 4 * hidden * inputs],
        hidden_weights: vec![0.01; 4 * hidden * hidden],
        bias: vec![0.1; 4 * hidden],
        h0: vec![0.0; hidden],
        c0: vec![0.0; hidden],
    })
}

fn gru(inputs: usize, hidden: usize) -> Layer {
    Layer::Gru(Gru {
        inputs,
        hidden,
        input_weights: vec![0.1; 3 * hidden * inputs],
        hidden_weights: vec![0.01; 3 * hidden * hidden],
        input_bias: vec![0.1; 3 * hidden],
        hidden_bias: vec![0.1; 3 * hidden],
        h0: vec![0.0; hidden],
    })
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| ()), 0);
    assert_eq!(allocations(|| drop(std::hint::black_box(vec![1_u8; 64]))), 2);
    let layers = vec![lstm(1, 8), conv(8, 1, 1)];
    let network = build(&Architecture::Sequence(Sequence { layers, input_gain: 1.0, output_gain: 1.0, skip: false }), 800.0);
    assert!(allocations(|| drop(network.state(StateSpec::new(1)))) > 2, "making a state allocates");
}

#[test]
fn states_of_layers_allocate_and_free_nothing() {
    for layers in [
        vec![lstm(2, 8), conv(8, 1, 1)],
        vec![gru(2, 21), lstm(21, 40), conv(40, 4, 2), conv(4, 1, 1)],
        vec![conv(2, 6, 70), conv(6, 1, 5)],
        vec![conv(2, 3, 4), gru(3, 5), conv(5, 1, 1), lstm(1, 1)],
    ] {
        let network = build(&Architecture::Sequence(Sequence { layers, input_gain: 0.5, output_gain: 2.0, skip: true }), 800.0);
        for channels in [1, 2, 7, 13, 32] {
            for level in SimdLevel::available() {
                for precision in [Precision::Fast, Precision::Exact] {
                    let mut state = network.clone().state(StateSpec { precision, level, ..StateSpec::new(channels) }).unwrap();
                    let mut audio = vec![vec![0.25; 4096]; channels];
                    let knob = vec![0.5; 4096];
                    for frames in [0, 1, 7, 63, 64, 65, 512, if precision == Precision::Exact { 1 } else { 4096 }] {
                        let mut block: Vec<_> = audio.iter_mut().map(|c| &mut c[..frames]).collect();
                        assert_eq!(
                            allocations(|| state.process(&mut block, &[&knob[..frames]])),
                            0,
                            "process, {channels} at {level:?}"
                        );
                        assert_eq!(allocations(|| _ = std::hint::black_box(state.rests())), 0, "rests");
                        assert_eq!(allocations(|| state.reset()), 0, "reset");
                        let knob_values = [frames as f32 / 4096.0];
                        assert_eq!(allocations(|| _ = std::hint::black_box(state.settle(&knob_values))), 0, "settle");
                    }
                }
            }
        }
    }
}
