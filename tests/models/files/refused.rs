//! Files that are not models, and invalid models.

use super::*;

#[test]
fn a_nam_file_with_one_wrong_field_is_an_error_that_names_it() {
    let (_, file) = wavenet_of_0_5(&mut RandomModels::new(17));
    let count = file["weights"].as_array().unwrap().len();
    let mut more = file["weights"].clone();
    more.as_array_mut().unwrap().push(json!(0.5));
    let fewer: Vec<Value> = file["weights"].as_array().unwrap()[1..].to_vec();
    let object = json!({});
    for (pointer, value, expected) in [
        ("/weights", more, format!("weights: {} numbers; expected {count}", count + 1)),
        ("/weights", json!(fewer), format!("weights: {} numbers; expected {count}", count - 1)),
        ("/weights", json!([]), format!("weights: 0 numbers; expected {count}")),
        ("/weights/5", json!("0.5"), "weights[5]: '0.5'; expected a number".into()),
        ("/weights/5", json!(1e300), "weights[5]: 1e300; expected a finite 32-bit number".into()),
        ("/weights/5", json!([1.0]), "weights[5]: a list of 1; expected a number".into()),
        ("/weights", object.clone(), "weights: an object of 0 keys; expected a list of numbers".into()),
        (
            "/architecture",
            json!("CatLSTM"),
            "architecture: 'CatLSTM'; expected Linear, ConvNet, LSTM, WaveNet, SlimmableContainer or Sequential".into(),
        ),
        ("/architecture", json!(["WaveNet"]), "architecture: a list of 1; expected a text".into()),
        ("/config", json!(null), "config is missing".into()),
        ("/config", json!("x"), "config: 'x'; expected an object with 'condition_dsp'".into()),
        ("/config/layers", json!([]), "config.layers: 0 values; expected 1 to 64".into()),
        (
            "/config/layers/1/dilations/1",
            json!(0),
            "config.layers[1].dilations[1]: 0; expected a whole number from 1 to 16777216".into(),
        ),
        ("/config/layers/1/dilations/1", json!(1_000_000_000), "config.layers[1].dilations[1]: 1000000000; expected".into()),
        ("/config/layers/1/dilations/1", json!(-1), "config.layers[1].dilations[1]: -1; expected".into()),
        ("/config/layers/1/dilations/1", json!(1.5), "config.layers[1].dilations[1]: 1.5; expected".into()),
        ("/config/layers/1/dilations/1", json!("1"), "config.layers[1].dilations[1]: '1'; expected".into()),
        ("/config/layers/0/dilations", json!([]), "config.layers[0].dilations: 0 values; expected 1 to 1024".into()),
        (
            "/config/layers/0/dilations",
            json!(vec![1; 5000]),
            "config.layers[0].dilations: 5000 values; expected 1 to 1024".into(),
        ),
        ("/config/layers/0/channels", json!(0), "config.layers[0].channels: 0; expected a whole number from 1 to 65536".into()),
        ("/config/layers/0/channels", json!(1_000_000_000), "config.layers[0].channels: 1000000000; expected".into()),
        ("/config/layers/0/channels", json!(true), "config.layers[0].channels: true; expected a whole number".into()),
        (
            "/config/layers/0/kernel_size",
            json!(0),
            "config.layers[0].kernel_size: 0; expected a whole number from 1 to 1048576".into(),
        ),
        ("/config/layers/0/kernel_size", json!(1e18), "config.layers[0].kernel_size: 1e18; expected".into()),
        ("/config/layers/0/input_size", json!(2), "config.layers[0].input_size: 2; expected 1, the audio".into()),
        (
            "/config/layers/1/input_size",
            json!(2),
            "config.layers[1].input_size: 2; expected 3, the channels of the array before".into(),
        ),
        ("/config/layers/1/condition_size", json!(2), "config.layers[1].condition_size: 2; expected 1, the channels of".into()),
        (
            "/config/layers/0/head_size",
            json!(3),
            "config.layers[1]: a head that accumulates 2 channels; expected 3, as many".into(),
        ),
        ("/config/layers/1/head_size", json!(2), "weights".into()),
        ("/config/layers/0/activation", json!("GELU"), "config.layers[0].activation: 'GELU'; expected Tanh, Hardtanh".into()),
        ("/config/layers/0/activation", json!(["Tanh"]), "config.layers[0].activation: 1 values; expected 2".into()),
        ("/config/layers/0/activation", json!(5), "config.layers[0].activation: 5; expected an object with 'type'".into()),
        ("/config/layers/0/gated", json!("yes"), "config.layers[0].gated: 'yes'; expected true or false".into()),
        ("/config/head", json!(5), "config.head: 5; expected an object with 'in_channels'".into()),
        ("/config/layers/0/head_bias", json!(null), "config.layers[0].head_bias is missing".into()),
    ] {
        let found = error(changed(&file, pointer, value).to_string().as_bytes());
        assert!(found.starts_with(&expected), "{pointer}: {found}\nexpected {expected}");
    }
    for (value, expected) in [
        (json!(1e6), "sample_rate: 1000000; expected 1000 to 768000"),
        (json!("44.1"), "sample_rate: '44.1'; expected 1000 to 768000"),
    ] {
        let mut file = file.clone();
        file["sample_rate"] = value;
        assert_eq!(error(file.to_string().as_bytes()), expected);
    }
    let array = |key: &str, value: Value| {
        let mut file = file.clone();
        file["config"]["layers"][0][key] = value;
        error(file.to_string().as_bytes())
    };
    for (key, value, expected) in [
        ("kernel_sizes", json!([3, 3]), "config.layers[0]: kernel_size and kernel_sizes; expected one of them"),
        ("gating_mode", json!("sometimes"), "config.layers[0].gating_mode: 'sometimes'; expected none, gated or blended"),
        ("gating_mode", json!(["none"]), "config.layers[0].gating_mode: 1 values; expected 2"),
        (
            "secondary_activation",
            json!(["Tanh", "Nothing"]),
            "config.layers[0].secondary_activation[1]: 'Nothing'; expected Tanh",
        ),
        (
            "groups_input",
            json!(2),
            "config.layers[0]: the convolution in 2 groups; expected a divisor of its 3 inputs and 6 outputs",
        ),
        ("layer1x1", json!({"active": false, "groups": 1}), "weights"),
        ("layer1x1", json!({"active": 1}), "config.layers[0].layer1x1.active: 1; expected true or false"),
        ("head1x1_post_film", json!({}), "config.layers[0].head1x1_post_film: active; expected inactive, as head1x1 is"),
        ("conv_pre_film", json!(true), "config.layers[0].conv_pre_film: true; expected an object with 'active'"),
        ("bottleneck", json!(1e10), "config.layers[0].bottleneck: 10000000000; expected"),
        ("head", json!({"out_channels": 2, "kernel_size": 0, "bias": false}), "config.layers[0].head.kernel_size: 0; expected"),
    ] {
        let found = array(key, value);
        assert!(found.starts_with(expected), "{key}: {found}\nexpected {expected}");
    }
    let stereo = random_wavenet(&mut RandomModels::new(2), 2, 1).1;
    assert_eq!(error(stereo.to_string().as_bytes()), "config: 2 outputs; expected 1");
    for (key, value) in [("in_channels", json!(2)), ("in_channels", json!(0))] {
        let mut file = file.clone();
        file["config"][key] = value.clone();
        assert_eq!(error(file.to_string().as_bytes()), format!("config.in_channels: {value}; expected 1: a mono model"));
    }
}

#[test]
fn shapes_that_would_need_terabytes_are_refused_before_anything_is_allocated() {
    let huge = 65_536;
    let wavenet = |array: Value| nam("WaveNet", json!({"layers": [array], "head_scale": 1.0}), &[0.0; 10]);
    let base = json!({
        "input_size": 1, "condition_size": 1, "head_size": 1, "channels": huge, "kernel_size": 1_048_576, "dilations": vec![1; 1024],
        "activation": "Tanh", "head_bias": true,
    });
    for (file, part) in [
        (wavenet(base.clone()), "weights: 10 numbers; expected 46"),
        (wavenet(changed(&base, "/dilations/3", json!(17))), "look back 17825775 frames; expected at most 16777216"),
        (
            nam("LSTM", json!({"num_layers": 1024, "input_size": 1, "hidden_size": huge}), &[0.0]),
            "weights: 1 numbers; expected 351",
        ),
        (
            nam("ConvNet", json!({"channels": huge, "dilations": vec![1; 1024], "batchnorm": true, "activation": "ReLU"}), &[]),
            "weights: 0",
        ),
        (nam("Linear", json!({"receptive_field": 1_048_577, "bias": false}), &[]), "config.receptive_field: 1048577; expected"),
    ] {
        let found = error(file.to_string().as_bytes());
        assert!(found.contains(part), "{found}");
    }
    // All weights are there, but the state would be too large: 16 layers of 16 channels look back 16 million frames each.
    let channels = 16;
    let layers = 16;
    let weights =
        channels + layers * (channels * channels * 2 + channels + channels + channels * channels + channels) + channels + 1;
    let array = json!({
        "input_size": 1, "condition_size": 1, "head_size": 1, "channels": channels, "kernel_size": 2,
        "dilations": vec![16_777_216; layers], "activation": "Tanh", "head_bias": false,
    });
    let file = nam("WaveNet", json!({"layers": [array], "head_scale": 1.0}), &vec![0.0; weights]);
    assert_eq!(error(file.to_string().as_bytes()), "the file: a model of 32773 MiB or more; expected at most 1024 MiB");
    // Few weights, but wide layers without weights: their state would be 51 GB for every channel.
    let wide = 65_536;
    let mut layers = vec![keras_dense(&mut RandomModels::new(1), 1, wide).1];
    layers.extend(
        (0..254).map(|_| json!({"type": "activation", "activation": "tanh", "shape": [null, null, wide], "weights": []})),
    );
    layers.push(keras_dense(&mut RandomModels::new(2), wide, 1).1);
    let found = error(json!({"in_shape": [null, null, 1], "layers": layers}).to_string().as_bytes());
    assert!(found.ends_with("MiB or more; expected at most 1024 MiB"), "{found}");
    // The state fits, but settling the network would take too long.
    let array = json!({
        "input_size": 1, "condition_size": 1, "head_size": 1, "channels": 1, "kernel_size": 2, "dilations": vec![1_000_000; 110],
        "activation": "Tanh", "head_bias": false,
    });
    let file = nam("WaveNet", json!({"layers": [array], "head_scale": 1.0}), &vec![0.0; 1 + 110 * 6 + 2]);
    assert_eq!(
        error(file.to_string().as_bytes()),
        "the file: 663 weights over 110000001 frames, 72930000663 multiply-adds before the first sound; expected at most 68719476736"
    );
}

#[test]
fn the_nesting_depth_of_models_is_limited() {
    let (_, plain) = wavenet_of_0_5(&mut RandomModels::new(18));
    let mut nested = plain.clone();
    for _ in 0..20 {
        let mut outer = plain.clone();
        outer["config"]["condition_dsp"] = nested;
        nested = outer;
    }
    let found = error(nested.to_string().as_bytes());
    assert!(found.contains("a model 5 models deep; expected at most 4"), "{found}");
    let mut nested = plain;
    for _ in 0..20 {
        nested = nam("SlimmableContainer", json!({"submodels": [{"max_value": 1.0, "model": nested}]}), &[]);
    }
    let found = error(nested.to_string().as_bytes());
    assert!(found.contains("a model 5 models deep; expected at most 4"), "{found}");
}

#[test]
fn a_recurrent_condition_model_is_refused() {
    let mut random = RandomModels::new(22);
    let (_, mut file) = wavenet_of_0_5(&mut random);
    let lstm = random_lstm(&mut random, 1, 2);
    file["config"]["condition_dsp"] = lstm_file(&[lstm], &random.conv(2, 1, 1, 1, 1, true));
    let expected = "config.condition_dsp: a recurrent condition model; expected WaveNet, ConvNet or Linear";
    assert_eq!(error(file.to_string().as_bytes()), expected);
}

#[test]
fn a_rate_that_a_user_gives_cannot_make_a_network_work_for_minutes_before_the_first_sound() {
    let mut random = RandomModels::new(23);
    let mut file = lstm_file(&[random_lstm(&mut random, 1, 256)], &random.conv(256, 1, 1, 1, 1, true));
    file.as_object_mut().unwrap().remove("sample_rate");
    let model = Model::read(file.to_string().into_bytes()).unwrap();
    let error = model.at_rate(768_000.0).expect_err("an error").to_string();
    assert!(error.contains("multiply-adds before the first sound at 768000 Hz; expected at most"), "{error}");
}

#[test]
fn hostile_json_is_an_error() {
    let (_, file) = wavenet_of_0_5(&mut RandomModels::new(19));
    let text = file.to_string();
    for (bytes, part) in [
        (text.replacen("\"weights\":[", "\"weights\":[NaN,", 1).into_bytes(), "weights[0]: 'NaN'; expected a number"),
        (text.replacen("\"head_scale\":0.02", "\"head_scale\":1e999", 1).into_bytes(), "number out of range"),
        (format!("{}1{}", "[".repeat(5000), "]".repeat(5000)).into_bytes(), "recursion limit"),
        (format!("{}1", "{\"a\":".repeat(5000)).into_bytes(), "recursion limit"),
        (b"{\"layers\": \"\xff\xfe\"}".to_vec(), "layers: '\u{fffd}\u{fffd}'; expected a list"),
        (b"[1, 2, 3]".to_vec(), "the file: a list of 3; expected architecture and weights (.nam)"),
        (b"{\"a\": 1}".to_vec(), "the file: an object of 1 keys; expected architecture and weights (.nam)"),
        (b"{".to_vec(), "EOF"),
        (format!("{{\"layers\": [{}0]}}", "[],".repeat(2_000_000)).into_bytes(), "more than 1048576 values"),
    ] {
        let found = error(&bytes);
        assert!(found.contains(part), "{found}");
    }
    for end in 0..text.len() {
        error(&text.as_bytes()[..end]);
    }
}

#[test]
fn the_error_for_a_file_that_is_not_a_model_says_what_was_found_and_expected() {
    let fails = |bytes: &[u8]| Model::read(bytes.to_vec()).expect_err("an error").to_string();
    let names = isotherm::neural::formats::names();
    assert_eq!(fails(b""), format!("an empty file; expected a model: {names}"));
    assert_eq!(fails(b"RIFF\x10\0\0\0WAVE"), format!("a WAV file, a sound or an impulse response; expected a model: {names}"));
    assert!(fails(b"\xef\xbb\xbf {\"a\": 1}").starts_with("the file: an object of 1 keys; expected architecture"));
    // The start of an ONNX file: ir_version 8, producer_name, an empty graph.
    let onnx = b"\x08\x08\x12\x07pytorch\x3a\x00";
    assert_ne!(fails(onnx), fails(b"RIFF"));
    assert!(fails(&onnx[..8]).starts_with("a file that starts with"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("no.nam");
    let text = Model::open(&path).expect_err("an error").to_string();
    assert!(text.starts_with(&path.display().to_string()), "{text}");
    let in_folder = |text: &str| Model::open(folder.path()).expect_err("an error").to_string().contains(text);
    assert!(in_folder(": a folder; expected a model: .nam"));
    std::fs::write(folder.path().join("config.json"), "{}").unwrap();
    std::fs::write(folder.path().join("weights.npy"), "").unwrap();
    assert!(in_folder(": a folder with a model of Neural Amp Modeler before 0.5: export"));
    for (keys, text) in [
        (json!({"version": "0.2.1", "architecture": "WaveNet", "config": {}}), "a Neural Amp Modeler file without weights"),
        (json!({"class_name": "Sequential", "config": {}}), "the description of a Keras network without its weights"),
        (
            json!({"residual_channels": 4, "filter_width": 3, "dilations": [1], "variables": []}),
            "a WaveNet of GuitarML's PedalNet",
        ),
        (json!({"conv1d": {}, "conv1d_stride": 12, "lstm": {}}), "a model of GuitarML's SmartAmpPro"),
    ] {
        let found = fails(keys.to_string().as_bytes());
        assert!(found.starts_with(text) && found.ends_with(&format!("expected a model: {names}")), "{found}");
    }
    std::fs::write(&path, b"{\"layers\": []}").unwrap();
    assert_eq!(
        Model::open(&path).expect_err("an error").to_string(),
        format!("{}: layers: 0 values; expected 1 to 256", path.display())
    );
    let large = std::fs::File::create(folder.path().join("large.onnx")).unwrap();
    large.set_len(10 << 30).unwrap();
    let text = Model::open(&folder.path().join("large.onnx")).expect_err("an error").to_string();
    assert!(text.ends_with("10737418240 bytes; expected a model of at most 268435456"), "{text}");
}
