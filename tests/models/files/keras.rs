//! Keras JSON files, as RTNeural and AIDA-X write them.

use super::*;

#[test]
fn a_keras_lstm_is_read_as_it_is_written_with_gains_skip_and_batch() {
    let mut random = RandomModels::new(11);
    let lstm = Lstm { h0: vec![0.0; 5], c0: vec![0.0; 5], ..random_lstm(&mut random, 1, 5) };
    let (dense, dense_json) = keras_dense(&mut random, 5, 1);
    let layer = json!({
        "type": "lstm", "activation": "", "shape": [null, null, 5],
        "weights": [matrix(1, 20, |i, g| lstm.input_weights[g + i]), matrix(5, 20, |i, g| lstm.hidden_weights[g * 5 + i]), lstm.bias],
    });
    let file = json!({
        "in_shape": [null, null, 1], "in_skip": 1, "in_gain": -6.0, "out_gain": 3, "layers": [layer, dense_json],
        "input_batch": [1.0, 0.5, -0.25], "output_batch": [0.5, 0.25, 0.125],
        "metadata": {"name": "Amp", "samplerate": "44100", "author": "A", "based": "B", "style": "clean", "esr": 0.02},
    });
    let parsed = read(&file);
    let info = parsed.info.clone();
    assert_eq!((info.format, info.sample_rate, info.sample_rate_given), ("keras", 44_100.0, true));
    assert_eq!((info.name.as_deref(), info.author.as_deref(), info.gear_model.as_deref()), (Some("Amp"), Some("A"), Some("B")));
    assert_eq!((info.esr, info.parameters, info.knobs.len()), (Some(0.02), 20 + 100 + 20 + 6, 0));
    // The batch in the file was recorded without the gains.
    let vector = parsed.test_vector.clone().unwrap();
    let (a, b) = (10f32.powf(-6.0 / 20.0), 10f32.powf(3.0 / 20.0));
    assert!(vector.input.iter().zip([1.0, 0.5, -0.25]).all(|(x, y)| (x * a - y).abs() < 1e-6));
    assert!(vector.output.iter().zip([0.5, 0.25, 0.125]).all(|(x, y)| (x - b * y).abs() < 1e-6));
    let layers = vec![Layer::Lstm(lstm), Layer::Conv1d(dense, Activation::Identity)];
    assert_eq!(only_architecture(parsed), Architecture::Sequence(Sequence { layers, input_gain: a, output_gain: b, skip: true }));
    assert_eq!(read(&changed(&file, "/metadata/samplerate", json!(96000))).info.sample_rate, 96_000.0);
    assert_eq!(
        error(changed(&file, "/in_skip", json!(2)).to_string().as_bytes()),
        "in_skip: 2; expected a whole number from 0 to 1"
    );
}

#[test]
fn the_gates_z_r_h_of_a_keras_gru_are_read_as_r_z_n() {
    let mut random = RandomModels::new(12);
    let gru = Gru {
        inputs: 2,
        hidden: 3,
        input_weights: random.weights(18),
        hidden_weights: random.weights(27),
        input_bias: random.weights(9),
        hidden_bias: random.weights(9),
        h0: vec![0.0; 3],
    };
    // Index in the description of the row with index `g` in Keras' order: a row is a unit of a gate.
    let place = |g: usize| [1, 0, 2][g / 3] * 3 + g % 3;
    let (dense, dense_json) = keras_dense(&mut random, 3, 1);
    let layer = json!({"type": "gru", "activation": "tanh", "shape": [null, null, 3], "weights": [
        matrix(2, 9, |i, g| gru.input_weights[place(g) * 2 + i]),
        matrix(3, 9, |i, g| gru.hidden_weights[place(g) * 3 + i]),
        matrix(2, 9, |b, g| if b == 0 { gru.input_bias[place(g)] } else { gru.hidden_bias[place(g)] }),
    ]});
    let file = json!({"in_shape": [null, null, 2], "layers": [layer, dense_json]});
    let parsed = read(&file);
    assert_eq!(parsed.info.knobs, ["Param 1"]);
    assert_eq!((parsed.info.sample_rate, parsed.info.sample_rate_given), (48_000.0, false));
    assert_eq!(only_architecture(parsed), sequence(vec![Layer::Gru(gru), Layer::Conv1d(dense, Activation::Identity)]));
    let other = changed(&file, "/layers/0/activation", json!("relu"));
    assert_eq!(error(other.to_string().as_bytes()), "layers[0].activation: 'relu'; expected tanh or none");
}

#[test]
fn keras_convolutions_activations_and_normalisations_are_folded_into_few_layers() {
    let mut random = RandomModels::new(13);
    let conv = random.conv(4, 6, 3, 2, 2, true);
    let (dense, mut first) = keras_dense(&mut random, 1, 4);
    first["activation"] = json!("tanh");
    let kernel: Value = (0..3).map(|k| matrix(2, 6, |i, o| conv.weights[(o * 2 + i) * 3 + k])).collect();
    let second = json!({
        "type": "conv1d", "activation": "", "shape": [null, null, 6], "kernel_size": [3], "dilation": [2], "groups": 2,
        "weights": [kernel, conv.bias],
    });
    let [gamma, beta, mean] = std::array::from_fn(|_| random.weights(6));
    let variance: Vec<f32> = random.weights(6).iter().map(|w| w.abs() + 0.5).collect();
    let shape = json!([null, null, 6]);
    let norm =
        json!({"type": "batchnorm", "activation": "", "shape": shape, "epsilon": 0.01, "weights": [gamma, beta, mean, variance]});
    let slopes = random.weights(6);
    let prelu = json!({"type": "prelu", "activation": "", "shape": shape, "weights": [[slopes]]});
    let plain = json!({"type": "batchnorm", "activation": "", "shape": shape, "epsilon": 0.01, "weights": [mean, variance]});
    let (_, mut last) = keras_dense(&mut random, 6, 1);
    last["type"] = json!("time-distributed-dense");
    let elu = json!({"type": "activation", "activation": "elu", "shape": [null, null, 1], "weights": []});
    let file = json!({"in_shape": [null, 100, 1], "layers": [first, second, norm, prelu, plain, last, elu]});
    let Architecture::Sequence(read) = only_architecture(read(&file)) else { panic!("no sequence") };
    let [
        Layer::Conv1d(a, Activation::Tanh),
        Layer::Conv1d(b, prelu),
        Layer::Conv1d(c, Activation::Identity),
        Layer::Conv1d(_, d),
    ] = &read.layers[..]
    else {
        panic!("{:?}", read.layers)
    };
    assert_eq!((a, prelu, d), (&dense, &Activation::LeakyRelu(slopes), &Activation::Elu { alpha: 1.0 }));
    let x: Vec<Vec<f64>> = (0..30).map(|_| random.weights(4).into_iter().map(f64::from).collect()).collect();
    let norm = |y: f64, o: usize, gamma: f32, beta: f32| {
        (y - f64::from(mean[o])) * f64::from(gamma) / (f64::from(variance[o]) + 0.01).sqrt() + f64::from(beta)
    };
    for (plain, folded) in convolve(&conv, &x).iter().zip(convolve(b, &x)) {
        assert!((0..6).all(|o| (norm(plain[o], o, gamma[o], beta[o]) - folded[o]).abs() < 1e-6));
        let again = convolve(c, std::slice::from_ref(&folded));
        assert!((0..6).all(|o| (norm(folded[o], o, 1.0, 0.0) - again[0][o]).abs() < 1e-6));
    }
}

#[test]
fn keras_layers_that_the_engine_cannot_run_are_refused_with_the_field() {
    let (_, dense) = keras_dense(&mut RandomModels::new(14), 1, 1);
    let file = json!({"in_shape": [null, null, 1], "layers": [dense]});
    for (pointer, value, expected) in [
        (
            "/layers/0/activation",
            json!("softmax"),
            "layers[0].activation: softmax, which of one channel is always 1; expected tanh",
        ),
        ("/layers/0/activation", json!("gelu"), "layers[0].activation: 'gelu'; expected tanh, relu"),
        ("/layers/0/type", json!("conv2d"), "layers[0].type: 'conv2d'; expected dense"),
        ("/layers/0/shape", json!([null, null, 2]), "layers[0].weights[0][0]: 1 numbers; expected 2"),
        ("/layers/0/shape", json!([]), "layers[0].shape: 0 values; expected 1 to 8"),
        ("/layers/0/weights", json!([[[1.0], [2.0]], [0.0]]), "layers[0].weights[0]: 2 values; expected 1"),
        ("/layers/0/weights", json!([[[1e39]], [0.0]]), "layers[0].weights[0][0][0]: 1e39; expected a finite 32-bit number"),
        ("/in_shape", json!([null, null, 2]), "layers[0].weights[0]: 1 values; expected 2"),
        ("/in_shape", json!([0]), "in_shape[0]: 0; expected a whole number from 1 to 16"),
        ("/layers", json!([]), "layers: 0 values; expected 1 to 256"),
        ("/layers", json!({}), "layers: an object of 0 keys; expected a list"),
    ] {
        let found = error(changed(&file, pointer, value).to_string().as_bytes());
        assert!(found.starts_with(expected), "{found}\n{expected}");
    }
    let two = keras_dense(&mut RandomModels::new(14), 1, 2).1;
    let found = error(json!({"in_shape": [1], "layers": [two]}).to_string().as_bytes());
    assert_eq!(found, "layers[0]: 2 outputs of the last layer; expected 1");
}
