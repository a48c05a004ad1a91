//! Models in `.onnx` files: the output compared with a plain implementation, latency and underruns, and refused files. Needs
//! `ORT_DYLIB_PATH`, which `cargo xtask test` sets to the ONNX Runtime that `cargo xtask setup` got. `tests/onnx/make.py` makes
//! the files.

use isotherm_support::counting::allocations;
use isotherm_support::test_name;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use isotherm::audio::Random;
use isotherm::dsp::{MAX_CHANNELS, ProcessSpec};
use isotherm::effect::Effect;
use isotherm::neural::description::{Activation, Architecture, Conv1d, Layer, Lstm, Sequence};
use isotherm::neural::engine::{Network, NetworkState, StateSpec, build};
use isotherm::neural::{ALGORITHM, Model, ModelError, ModelInfo, onnx};
use serde_json::Value;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/onnx");
/// Environment variable that is set when a test runs this program a second time.
const CHILD: &str = "ISOTHERM_TEST_CHILD";

fn library() -> PathBuf {
    std::env::var_os("ORT_DYLIB_PATH").expect("ORT_DYLIB_PATH is not set: run `cargo xtask test`").into()
}

fn file(name: &str) -> Vec<u8> {
    std::fs::read(format!("{FOLDER}/{name}.onnx")).unwrap()
}

fn load(name: &str) -> (ModelInfo, Arc<dyn Network>) {
    library();
    onnx::load(&file(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn state(name: &str, channels: usize) -> Box<dyn NetworkState> {
    load(name).1.state(StateSpec::new(channels)).unwrap()
}

fn refused(bytes: &[u8]) -> String {
    match onnx::load(bytes) {
        Ok(_) => panic!("it was not refused"),
        Err(ModelError::Invalid(error)) => {
            assert_eq!(error.lines().count(), 1, "{error}");
            error
        }
        Err(error) => panic!("{error}"),
    }
}

/// A sum of two sines, different for each channel.
fn sound(channels: usize, frames: usize) -> Vec<Vec<f32>> {
    let sample =
        |c: usize, i: usize| (0.5 * (0.021 * ((c + 1) * i) as f64).sin() + 0.3 * (0.37 * i as f64 + c as f64).sin()) as f32;
    (0..channels).map(|c| (0..frames).map(|i| sample(c, i)).collect()).collect()
}

/// The output for a sound, without the latency: the sound is followed by as much silence, and the first frames are dropped.
fn play(state: &mut dyn NetworkState, sound: &[Vec<f32>], cuts: &[usize], knobs: &[f32]) -> Vec<Vec<f32>> {
    let latency = state.latency();
    let mut all: Vec<Vec<f32>> = sound.iter().map(|c| [&c[..], &vec![0.0; latency]].concat()).collect();
    let frames = all[0].len();
    let mut cuts = cuts.iter().cycle();
    let mut at = 0;
    while at < frames {
        let n = (*cuts.next().unwrap()).min(frames - at);
        let knobs: Vec<Vec<f32>> = knobs.iter().map(|k| vec![*k; n]).collect();
        let knobs: Vec<&[f32]> = knobs.iter().map(Vec::as_slice).collect();
        let mut block: Vec<&mut [f32]> = all.iter_mut().map(|c| &mut c[at..at + n]).collect();
        state.process(&mut block, &knobs);
        at += n;
    }
    assert!(all.iter().all(|c| c[..latency].iter().all(|x| *x == 0.0)), "nothing comes before its time");
    all.into_iter().map(|c| c[latency..].to_vec()).collect()
}

fn offline(name: &str, sound: &[Vec<f32>], cuts: &[usize], knobs: &[f32]) -> Vec<Vec<f32>> {
    let mut state = state(name, sound.len());
    state.set_offline(true);
    let output = play(&mut *state, sound, cuts, knobs);
    assert_eq!(state.underruns(), 0);
    output
}

fn weights(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(format!("{FOLDER}/{name}.json")).unwrap()).unwrap()
}

/// The numbers of nested arrays, row by row.
fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(numbers).collect(),
        value => vec![value.as_f64().unwrap()],
    }
}

/// Frames of silence that settle the plain implementations: at least half a second at the highest sample rate of the files.
const SETTLE_FRAMES: usize = 30_000;

/// The output of the LSTM of `lstm8.json`, settled, computed in f64. The gates are in PyTorch's order, i f g o.
fn plain_lstm(x: &[f32]) -> Vec<f64> {
    let weights = weights("lstm8");
    let [w, u, b, head, bias] = ["w", "u", "b", "head", "bias"].map(|key| numbers(&weights[key]));
    let n = head.len();
    let (mut h, mut c) = (vec![0.0; n], vec![0.0; n]);
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let silence = std::iter::repeat_n(0.0, SETTLE_FRAMES);
    let output = silence.chain(x.iter().map(|x| f64::from(*x))).map(|x| {
        let gate = |row: usize, h: &[f64]| w[row] * x + b[row] + (0..n).map(|k| u[row * n + k] * h[k]).sum::<f64>();
        let gates: Vec<f64> = (0..4 * n).map(|row| gate(row, &h)).collect();
        for k in 0..n {
            c[k] = sigmoid(gates[n + k]) * c[k] + sigmoid(gates[k]) * gates[2 * n + k].tanh();
            h[k] = sigmoid(gates[3 * n + k]) * c[k].tanh();
        }
        (0..n).map(|k| head[k] * h[k]).sum::<f64>() + bias[0]
    });
    output.skip(SETTLE_FRAMES).collect()
}

/// The output of the convolutions of `tcn.json`, settled, computed in f64.
fn plain_tcn(x: &[f32]) -> Vec<f64> {
    let weights = weights("tcn");
    let silence = std::iter::repeat_n(0.0, SETTLE_FRAMES);
    let mut signals: Vec<Vec<f64>> = vec![silence.chain(x.iter().map(|x| f64::from(*x))).collect()];
    for (layer, dilation) in [1, 4].into_iter().enumerate() {
        let (w, b) = (numbers(&weights[format!("w{layer}")]), numbers(&weights[format!("b{layer}")]));
        let (inputs, taps) = (signals.len(), 3);
        signals = (0..b.len())
            .map(|o| {
                let at = |t: usize| {
                    let mut sum = b[o];
                    for (i, signal) in signals.iter().enumerate() {
                        for k in 0..taps {
                            let back = (taps - 1 - k) * dilation;
                            sum += w[(o * inputs + i) * taps + k] * if back <= t { signal[t - back] } else { 0.0 };
                        }
                    }
                    sum.tanh()
                };
                (0..signals[0].len()).map(at).collect()
            })
            .collect();
    }
    let head = numbers(&weights["head"]);
    (SETTLE_FRAMES..signals[0].len()).map(|t| head.iter().zip(&signals).map(|(w, s)| w * s[t]).sum()).collect()
}

fn assert_near(found: &[f32], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let worst = found.iter().zip(expected).map(|(x, y)| (f64::from(*x) - y).abs()).fold(0.0, f64::max);
    let peak = expected.iter().fold(0.0_f64, |peak, y| peak.max(y.abs()));
    assert!(worst < 1e-5 && peak > 0.05, "{what}: {worst:e} of {peak}");
}

#[test]
fn an_lstm_gives_the_output_of_the_plain_implementation_in_every_channel() {
    let sound = sound(3, 5000);
    for (c, output) in offline("lstm8", &sound, &[512], &[]).iter().enumerate() {
        assert_near(output, &plain_lstm(&sound[c]), &format!("channel {c}"));
    }
}

#[test]
fn convolutions_give_the_output_of_the_plain_implementation_in_every_channel() {
    let sound = sound(3, 5000);
    for (c, output) in offline("tcn", &sound, &[512], &[]).iter().enumerate() {
        assert_near(output, &plain_tcn(&sound[c]), &format!("channel {c}"));
    }
}

fn f32_numbers(value: &Value) -> Vec<f32> {
    numbers(value).into_iter().map(|x| x as f32).collect()
}

fn conv(weights: &Value, bias: Option<&Value>, [outputs, inputs, taps, dilation]: [usize; 4]) -> Conv1d {
    Conv1d { inputs, outputs, taps, dilation, groups: 1, weights: f32_numbers(weights), bias: bias.map(f32_numbers) }
}

/// The description of a file's network for the native engine.
fn native(name: &str) -> Architecture {
    let w = weights(name);
    let layers = if name == "lstm8" {
        let lstm = Lstm {
            inputs: 1,
            hidden: 8,
            input_weights: f32_numbers(&w["w"]),
            hidden_weights: f32_numbers(&w["u"]),
            bias: f32_numbers(&w["b"]),
            h0: vec![0.0; 8],
            c0: vec![0.0; 8],
        };
        vec![Layer::Lstm(lstm), Layer::Conv1d(conv(&w["head"], Some(&w["bias"]), [1, 8, 1, 1]), Activation::Identity)]
    } else {
        vec![
            Layer::Conv1d(conv(&w["w0"], Some(&w["b0"]), [4, 1, 3, 1]), Activation::Tanh),
            Layer::Conv1d(conv(&w["w1"], Some(&w["b1"]), [4, 4, 3, 4]), Activation::Tanh),
            Layer::Conv1d(conv(&w["head"], None, [1, 4, 1, 1]), Activation::Identity),
        ]
    };
    Architecture::Sequence(Sequence { layers, input_gain: 1.0, output_gain: 1.0, skip: false })
}

#[test]
fn the_native_engine_gives_the_output_of_onnx_runtime_for_the_same_weights() {
    let sound = sound(4, 10_000);
    for name in ["lstm8", "tcn"] {
        let onnx = offline(name, &sound, &[512], &[]);
        let rate = load(name).0.sample_rate;
        let mut state = build(&native(name), rate).state(StateSpec::new(4)).unwrap();
        assert_eq!(state.latency(), 0);
        let native = play(&mut *state, &sound, &[512], &[]);
        for (native, onnx) in native.iter().zip(&onnx) {
            assert_near(native, &onnx.iter().map(|x| f64::from(*x)).collect::<Vec<_>>(), name);
        }
    }
}

#[test]
fn a_graph_of_one_channel_and_a_fixed_length_plays_any_number_of_channels() {
    let sound = sound(5, 1000);
    let mut state = state("fixed", 5);
    assert_eq!(state.latency(), 64 + 512, "its own inference block, and the time of the longest block");
    state.set_offline(true);
    for (c, output) in play(&mut *state, &sound, &[333], &[]).iter().enumerate() {
        assert_eq!(output[0], 0.0);
        assert_eq!(output[1..], sound[c][..999], "it delays by one frame");
    }
}

#[test]
fn knobs_reach_the_graph() {
    let sound = sound(2, 1000);
    let output = offline("knobs", &sound, &[100], &[0.5, 0.25]);
    for (x, y) in sound.concat().iter().zip(output.concat()) {
        assert_eq!(y, x * 0.5 + 0.25);
    }
}

#[test]
fn blocks_of_any_size_give_the_same_samples() {
    let sound = sound(2, 9000);
    for name in ["lstm8", "tcn", "fixed"] {
        let whole = offline(name, &sound, &[9000], &[]);
        for cuts in [&[1][..], &[16], &[64], &[333], &[4096], &[1, 700, 3, 0, 255]] {
            assert!(offline(name, &sound, cuts, &[]) == whole, "{name}, {cuts:?}");
        }
    }
}

#[test]
fn the_longest_block_changes_the_latency_and_no_sample() {
    let sound = sound(1, 3000);
    let whole = offline("lstm8", &sound, &[512], &[]);
    for (max_frames, latency) in [(1, 512), (256, 512), (257, 513), (4096, 4352)] {
        let mut state = load("lstm8").1.state(StateSpec { max_frames, ..StateSpec::new(1) }).unwrap();
        state.set_offline(true);
        assert_eq!(state.latency(), latency);
        assert!(play(&mut *state, &sound, &[max_frames], &[]) == whole, "{max_frames}");
    }
}

#[test]
fn an_impulse_proves_the_latency() {
    let mut state = state("fixed", 1);
    state.set_offline(true);
    let mut block = vec![0.0; 4000];
    block[777] = 1.0;
    state.process(&mut [&mut block], &[]);
    // The graph itself delays by one frame more.
    assert_eq!(block.iter().position(|x| *x != 0.0), Some(777 + state.latency() + 1));
}

#[test]
fn in_real_time_the_output_is_that_of_an_offline_render() {
    let sound = sound(2, 20_000);
    let whole = offline("lstm8", &sound, &[512], &[]);
    let mut state = state("lstm8", 2);
    let latency = state.latency();
    // Try slower and slower paces until there is no underrun, since the machine may be busy.
    for nap in [1, 4, 16, 64, 256] {
        let before = state.underruns();
        state.reset();
        let mut all: Vec<Vec<f32>> = sound.iter().map(|c| [&c[..], &vec![0.0; latency]].concat()).collect();
        for at in (0..20_000 + latency).step_by(256) {
            let end = (at + 256).min(20_000 + latency);
            let mut block: Vec<&mut [f32]> = all.iter_mut().map(|c| &mut c[at..end]).collect();
            state.process(&mut block, &[]);
            std::thread::sleep(std::time::Duration::from_millis(nap));
        }
        if state.underruns() == before {
            assert!(all.iter().zip(&whole).all(|(c, whole)| c[latency..] == *whole));
            return;
        }
    }
    panic!("results were late at every pace");
}

#[test]
fn underruns_are_counted_and_the_inference_thread_catches_up() {
    let frames = 60_000;
    let sound = sound(1, frames);
    let mut state = state("tcn", 1);
    let latency = state.latency();
    let mut all = [&sound[0][..], &vec![0.0; latency]].concat();
    // Too fast for any machine: 30000 frames in one call, without time for the inference thread.
    state.process(&mut [&mut all[..30_000]], &[]);
    let underruns = state.underruns();
    assert!(underruns > 0 && underruns <= 30_000 / 256, "{underruns}");
    let dry = all[latency..30_000].iter().zip(&sound[0]).filter(|(x, y)| x == y).count();
    assert!(dry > 256 / 2 * underruns as usize / 2, "{dry} dry frames of {underruns} inference blocks");
    state.set_offline(true);
    // There are more underruns for the inference blocks that were never sent. Those inference blocks are beyond the receptive
    // field at `from`.
    let from = 40_000;
    state.process(&mut [&mut all[30_000..from]], &[]);
    let underruns = state.underruns();
    state.process(&mut [&mut all[from..]], &[]);
    assert_eq!(state.underruns(), underruns);
    assert_near(&all[latency + from..], &plain_tcn(&sound[0])[from..], "afterwards");
    let step = |x: &[f32]| x.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max);
    let bound = step(&sound[0]).max(step(&all[latency + from..])) + 4.0 * 1.5 / 128.0;
    assert!(step(&all) < bound, "no click: {} of {bound}", step(&all));
}

#[test]
fn reset_is_exact() {
    for name in ["lstm8", "tcn", "fixed"] {
        let sound = sound(2, 3000);
        let mut state = state(name, 2);
        // First in real time, so that inference blocks are on their way at the reset.
        state.process(&mut sound.clone().iter_mut().map(|c| &mut c[..]).collect::<Vec<_>>(), &[]);
        state.reset();
        state.set_offline(true);
        assert!(play(&mut *state, &sound, &[64], &[]) == offline(name, &sound, &[64], &[]), "{name}");
    }
}

#[test]
fn reset_goes_to_the_settled_state() {
    let silence = vec![vec![0.0; 2000]];
    let output = &offline("lstm8", &silence, &[500], &[])[0];
    assert!(output[0].abs() > 1e-3, "the test needs a model whose output for silence is not 0");
    assert!(output.iter().all(|y| (y - output[0]).abs() < 1e-6));
}

/// The state of `slow_knob` moves slowly to the value of the knob. If it was settled at another value, the output for silence
/// would slide.
#[test]
fn a_state_is_settled_at_the_values_of_the_knobs_before_the_first_frame() {
    let silence = vec![vec![0.0; 3000]; 2];
    let slide = |output: &[Vec<f32>], knob: f32| output.iter().flatten().map(|y| (y - knob).abs()).fold(0.0, f32::max);
    for knob in [0.5, 0.0, 0.3, 1.0] {
        let spec = StateSpec { knobs: [knob; 4], ..StateSpec::new(2) };
        let mut state = load("slow_knob").1.state(spec).unwrap();
        state.set_offline(true);
        let output = play(&mut *state, &silence, &[64], &[knob]);
        assert!(slide(&output, knob) < 1e-6, "made with {knob}: {:?}", &output[0][..3]);
        for other in [1.0 - knob, knob] {
            state.settle(&[other]);
            let output = play(&mut *state, &silence, &[64], &[other]);
            assert!(slide(&output, other) < 1e-6, "settled at {other}: {:?}", &output[0][..3]);
        }
    }
}

#[test]
fn channels_do_not_leak() {
    let mut sound = sound(4, 2000);
    let before = offline("lstm8", &sound, &[256], &[]);
    sound[2].iter_mut().for_each(|x| *x = -*x);
    let after = offline("lstm8", &sound, &[256], &[]);
    for c in [0, 1, 3] {
        assert!(before[c] == after[c], "channel {c}");
    }
    assert!(before[2] != after[2]);
}

#[test]
fn the_audio_thread_allocates_and_frees_nothing() {
    assert_eq!(allocations(|| drop(std::hint::black_box(vec![1_u8; 64]))), 2, "the counter counts");
    for name in ["lstm8", "tcn", "knobs"] {
        let mut state = state(name, 2);
        let mut sound = sound(2, 4096);
        let knob = vec![0.5; 4096];
        let mut work = |n: usize| {
            let [a, b] = &mut sound[..] else { unreachable!() };
            allocations(|| state.process(&mut [&mut a[..n], &mut b[..n]], &[&knob[..n], &knob[..n]]))
                + allocations(|| state.set_offline(n.is_multiple_of(2)))
                + allocations(|| state.reset())
                + allocations(|| state.process(&mut [&mut a[..n], &mut b[..n]], &[&knob[..n], &knob[..n]]))
        };
        for n in [0, 1, 63, 64, 255, 256, 257, 1000, 4096] {
            assert_eq!(work(n), 0, "{name}, {n} frames");
        }
    }
}

#[test]
fn a_state_can_be_dropped_at_any_time() {
    let (_, network) = load("lstm8");
    for round in 0..20 {
        let mut state = network.clone().state(StateSpec::new(2)).unwrap();
        let mut sound = sound(2, 256 * round);
        state.process(&mut sound.iter_mut().map(|c| &mut c[..]).collect::<Vec<_>>(), &[]);
    }
}

#[test]
fn the_largest_number_of_channels_plays() {
    let mut sound = sound(2, 600);
    sound = sound.into_iter().cycle().take(MAX_CHANNELS).collect();
    let output = offline("lstm8", &sound, &[600], &[]);
    assert_near(&output[126], &plain_lstm(&sound[0]), "channel 126");
    assert_near(&output[127], &plain_lstm(&sound[1]), "channel 127");
}

#[test]
fn metadata_are_read() {
    let (info, network) = load("lstm8");
    assert_eq!(info.format, "onnx");
    assert_eq!((info.name.as_deref(), info.author.as_deref()), (Some("Small LSTM"), Some("Isotherm")));
    assert_eq!((info.sample_rate, info.sample_rate_given, info.loudness_db), (44_100.0, true, Some(-18.5)));
    // The LSTM has 32 (1 + 8 + 2) parameters, as ONNX has two biases; the dense layer has 9.
    assert_eq!(info.parameters, 361);
    assert!(info.architecture.contains("LSTM") && info.knobs.is_empty(), "{info:?}");
    assert!(network.bytes() > 2000);
    let (info, _) = load("knobs");
    assert_eq!(info.knobs, ["gain", "offset"]);
    assert_eq!((info.sample_rate, info.sample_rate_given), (48_000.0, false));
}

#[test]
fn a_sample_rate_may_be_written_in_words() {
    library();
    let bytes = std::fs::read("tests/onnx/lstm8.onnx").unwrap();
    let with_rate = |text: &[u8; 5]| {
        let at = bytes.windows(5).position(|window| window == b"44100").unwrap();
        let mut bytes = bytes.clone();
        bytes[at..at + 5].copy_from_slice(text);
        onnx::load(&bytes).map(|(info, _)| (info.sample_rate, info.sample_rate_given))
    };
    assert_eq!(with_rate(b"48k  ").unwrap(), (48_000.0, true));
    assert_eq!(with_rate(b"96kHz").unwrap(), (96_000.0, true));
    assert_eq!(with_rate(b"00000").unwrap(), (48_000.0, false));
    assert!(with_rate(b"00010").err().unwrap().to_string().contains("expected 1000 to 768000"));
}

#[test]
fn a_sample_rate_that_is_no_number_is_left_out_and_named() {
    let (info, _) = load("bad_rate");
    assert_eq!((info.sample_rate, info.sample_rate_given), (48_000.0, false));
    assert_eq!(info.ignored, ["metadata 'sample_rate' is 'fast'; expected 1000 to 768000"]);
}

#[test]
fn a_file_that_breaks_the_contract_is_an_error_that_says_where() {
    library();
    for (name, found, expected) in [
        ("bad_input", "side_chain", "state_"),
        ("bad_state", "1 x ?", "no free dimension"),
        ("bad_state_out", "1 x 2", "1 x 1"),
        ("bad_state_name", "new_x", "state_x_out"),
        ("bad_rank", "1 x 64 x 1", "batch x frames"),
        ("bad_batch", "3 x 64", "batch x frames"),
        ("bad_frames", "1000000", "8192"),
        ("bad_type", "float64", "float32"),
        ("bad_weight", "NaN", "finite"),
        ("bad_size", "50000 x 50000", "bytes"),
        ("bad_external", "external data", "inside the .onnx file"),
        ("bad_operator", "Warm", "ONNX Runtime"),
        ("bad_loop", "Loop", "graph of its own"),
        ("bad_explosion", "inf", "finite"),
    ] {
        let error = refused(&file(name));
        assert!(error.contains(found) && error.contains(expected), "{name}: {error}");
    }
}

#[test]
fn an_error_is_one_line_whatever_names_the_file_has() {
    let mut bytes = file("bad_input");
    let at = bytes.windows(10).position(|w| w == b"side_chain").unwrap();
    bytes[at + 4] = b'\n';
    assert!(refused(&bytes).contains("'side chain'"));
}

/// The runtime itself refuses to allocate more than 1 GiB; nothing in these files shows that they need it.
#[test]
fn a_graph_that_needs_too_much_memory_is_refused_and_others_keep_playing() {
    let mut running = state("lstm8", 1);
    for name in ["bad_memory", "bad_growth"] {
        let error = refused(&file(name));
        assert!(error.to_lowercase().contains("memory"), "{name}: {error}");
    }
    running.set_offline(true);
    let sound = sound(1, 2000);
    assert_near(&play(&mut *running, &sound, &[256], &[])[0], &plain_lstm(&sound[0]), "the old one goes on");
}

#[test]
fn a_file_truncated_anywhere_is_refused() {
    library();
    let whole = file("lstm8");
    for length in 0..whole.len() {
        // Fields after the last one that is needed may be missing.
        match onnx::load(&whole[..length]) {
            Err(ModelError::Invalid(error)) => assert_eq!(error.lines().count(), 1, "{error}"),
            Err(error) => panic!("{error}"),
            Ok(_) => assert!(length > 2000, "cut at {length}"),
        }
    }
    assert!(refused(b"{\"architecture\": \"LSTM\"}").contains("ONNX"));
    assert!(refused(b"").contains("0 ONNX graphs"));
}

#[test]
fn a_file_with_any_byte_changed_is_a_model_or_an_error() {
    library();
    let whole = file("lstm8");
    let mut random = Random::new(1);
    for _ in 0..300 {
        let mut bytes = whole.clone();
        for _ in 0..1 + random.below(3) {
            let at = random.below(bytes.len());
            bytes[at] = random.below(256) as u8;
        }
        match onnx::load(&bytes) {
            Err(ModelError::Invalid(error)) => assert_eq!(error.lines().count(), 1, "{error}"),
            Err(error) => panic!("{error}"),
            Ok((_, network)) => drop(network.state(StateSpec::new(2))),
        }
    }
}

/// Runs one test of this program in a process of its own.
fn child(program: &Path, test: &str, library: Option<&Path>) {
    let mut command = Command::new(program);
    command
        .args(["--exact", &test_name(module_path!(), test), "--nocapture"])
        .env(CHILD, "1")
        .env_remove("ORT_DYLIB_PATH")
        .env_remove("LD_LIBRARY_PATH");
    if let Some(library) = library {
        command.env("ORT_DYLIB_PATH", library);
    }
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success() && !text.contains("panicked") && text.contains("1 passed"), "{text}");
}

#[test]
fn without_onnx_runtime_loading_is_an_error() {
    let test = "without_onnx_runtime_loading_is_an_error";
    if std::env::var_os(CHILD).is_none() {
        let program = std::env::current_exe().unwrap();
        child(&program, test, Some(Path::new("/nowhere/libonnxruntime.so")));
        // Another library than ONNX Runtime.
        child(&program, test, Some(Path::new("libc.so.6")));
        // No library is given; the system may have one.
        child(&program, test, None);
        return child(&program, test, Some(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))));
    }
    let named = std::env::var("ORT_DYLIB_PATH").ok();
    if named.is_none() && onnx::load(&file("lstm8")).is_ok() {
        return;
    }
    for _ in 0..2 {
        let error = refused(&file("lstm8"));
        let library = named.as_deref().unwrap_or("onnxruntime");
        assert!(error.contains("no ONNX Runtime was found") && error.contains(library), "{error}");
        // An error in the file is reported before the missing library.
        assert!(refused(&file("bad_input")).contains("side_chain"));
    }
}

#[test]
fn the_library_is_found_beside_the_program() {
    if std::env::var_os(CHILD).is_some() {
        onnx::load(&file("lstm8")).unwrap();
        return;
    }
    let library = library();
    let name = match std::env::consts::OS {
        "windows" => "onnxruntime.dll",
        "macos" => "libonnxruntime.dylib",
        _ => "libonnxruntime.so.1",
    };
    for folder in ["Isotherm", "."] {
        let home = tempfile::tempdir().unwrap();
        let program = home.path().join("program").with_extension(std::env::consts::EXE_EXTENSION);
        std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        std::fs::create_dir_all(home.path().join(folder)).unwrap();
        std::fs::copy(&library, home.path().join(folder).join(name)).unwrap();
        child(&program, "the_library_is_found_beside_the_program", None);
    }
}

/// The output of the neural algorithm for a model, without the latency, in blocks of `max_frames`.
fn through_the_algorithm(name: &str, sample_rate: f32, max_frames: usize, x: &[f32]) -> Vec<f32> {
    let model = Model::read(file(name)).unwrap();
    // Output mode 0 is Raw.
    let effect = Effect::new(&ALGORITHM).with("output_mode", 0.0).with("align", 0.0).with_model(model);
    let mut processor = effect.prepare(ProcessSpec::new(sample_rate, 1, max_frames).offline()).unwrap();
    let latency = processor.latency();
    assert!(latency >= max_frames, "{latency}");
    let mut y = [x, &vec![0.0; latency]].concat();
    y.chunks_mut(max_frames).for_each(|block| processor.process(&mut [block]));
    y.split_off(latency)
}

#[test]
fn the_algorithm_plays_the_graph_with_the_latency_that_it_reports() {
    library();
    let sound = &sound(1, 9000)[0];
    for max_frames in [64, 1000] {
        assert_near(&through_the_algorithm("tcn", 48_000.0, max_frames, sound), &plain_tcn(sound), "at the model's rate");
    }
    // The output at twice the rate is the same, within the error of the resampler for a low frequency.
    let slow: Vec<f32> = (0..9000).map(|i| 0.5 * (i as f32 * 0.021).sin()).collect();
    let fast: Vec<f32> = (0..18_000).map(|i| 0.5 * (i as f32 * 0.0105).sin()).collect();
    let (slow, fast) = (plain_tcn(&slow), through_the_algorithm("tcn", 96_000.0, 1000, &fast));
    let worst = (1000..8000).map(|i| (slow[i] - f64::from(fast[2 * i])).abs()).fold(0.0, f64::max);
    assert!(worst < 1e-3, "{worst:e}");
}

/// The documentation has the example that is tested.
#[test]
fn the_export_example_is_in_the_documentation() {
    let read = |path: &str| std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let code = format!("```python\n{}```", read("tests/onnx/export_example.py"));
    assert!(read("docs/models.md").contains(&code));
}

/// Needs PyTorch, so it runs only with `cargo xtask test --long`.
#[test]
fn a_graph_that_pytorch_exported_plays_as_in_pytorch() {
    if std::env::var_os("ISOTHERM_LONG").is_none() {
        eprintln!("skipped: PyTorch's export; `cargo xtask test --long` runs it");
        return;
    }
    library();
    let python = std::env::var_os("ISOTHERM_TORCH").expect("ISOTHERM_TORCH is not set: run `cargo xtask test --long`");
    let home = tempfile::tempdir().unwrap();
    let sound = sound(1, 20_000);
    let bytes: Vec<u8> = sound[0].iter().flat_map(|x| x.to_le_bytes()).collect();
    std::fs::write(home.path().join("input.f32"), bytes).unwrap();
    let script = format!("{FOLDER}/export_check.py");
    let done = Command::new(python).arg(script).arg(home.path()).env("PYTHONDONTWRITEBYTECODE", "1").output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    for name in ["lstm", "tcn"] {
        let read = |kind: &str| std::fs::read(home.path().join(format!("{name}.{kind}"))).unwrap();
        let expected = read("f32");
        let expected = expected.chunks_exact(4).map(|b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]])));
        let (info, network) = onnx::load(&read("onnx")).unwrap();
        assert_eq!((info.name.as_deref(), info.sample_rate_given), (Some(name), true));
        let mut state = network.state(StateSpec::new(1)).unwrap();
        state.set_offline(true);
        assert_near(&play(&mut *state, &sound, &[333], &[])[0], &expected.collect::<Vec<_>>(), name);
    }
}
