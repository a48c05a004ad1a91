//! `.nam` files of one size.

use super::*;

#[test]
fn every_option_of_a_nam_wavenet_is_read_as_it_is_written() {
    for seed in 0..400 {
        let (wavenet, file) = random_wavenet(&mut RandomModels::new(seed), 1, 0);
        let parsed = read(&file);
        assert_eq!(parsed.info.format, "nam");
        let count = |file: &Value| file["weights"].as_array().expect("weights").len();
        let inner = &file["config"]["condition_dsp"];
        assert_eq!(parsed.info.parameters, count(&file) + if inner.is_null() { 0 } else { count(inner) });
        assert_eq!(only_architecture(parsed), Architecture::WaveNet(Box::new(wavenet)), "seed {seed}");
    }
}

#[test]
fn a_wavenet_in_the_form_of_0_5_is_read_and_its_last_weight_is_the_scale() {
    let (wavenet, file) = wavenet_of_0_5(&mut RandomModels::new(1));
    assert_eq!(only_architecture(read(&file)), Architecture::WaveNet(Box::new(wavenet)));
}

#[test]
fn the_first_weight_of_a_linear_model_is_for_the_newest_sample() {
    let file = nam("Linear", json!({"receptive_field": 3, "bias": true}), &[1.0, 2.0, 3.0, 4.0]);
    let weights = vec![3.0, 2.0, 1.0];
    let conv = Conv1d { inputs: 1, outputs: 1, taps: 3, dilation: 1, groups: 1, weights, bias: Some(vec![4.0]) };
    assert_eq!(only_architecture(read(&file)), sequence(vec![Layer::Conv1d(conv, Activation::Identity)]));
}

#[test]
fn a_nam_lstm_is_read_as_it_is_written() {
    let mut random = RandomModels::new(3);
    for layers in 1..4 {
        let hidden = random.between(1, 9);
        let lstms: Vec<Lstm> = (0..layers).map(|i| random_lstm(&mut random, if i == 0 { 1 } else { hidden }, hidden)).collect();
        let head = random.conv(hidden, 1, 1, 1, 1, true);
        let file = lstm_file(&lstms, &head);
        let all = lstms.into_iter().map(Layer::Lstm).chain([Layer::Conv1d(head, Activation::Identity)]).collect();
        assert_eq!(only_architecture(read(&file)), sequence(all));
    }
}

#[test]
fn a_conv_net_without_batch_normalisation_is_read_as_it_is_written() {
    let mut random = RandomModels::new(4);
    let mut weights = Vec::new();
    let mut layers = Vec::new();
    for (inputs, dilation) in [(1, 1), (4, 2), (4, 64)] {
        let conv = random.conv(inputs, 4, 2, dilation, 1, true);
        append(&mut weights, &conv);
        layers.push(Layer::Conv1d(conv, Activation::Relu));
    }
    let head = random.conv(4, 1, 1, 1, 1, true);
    append(&mut weights, &head);
    layers.push(Layer::Conv1d(head, Activation::Identity));
    let config = json!({"channels": 4, "dilations": [1, 2, 64], "batchnorm": false, "activation": "ReLU"});
    assert_eq!(only_architecture(read(&nam("ConvNet", config, &weights))), sequence(layers));
}

#[test]
fn a_folded_batch_normalisation_gives_the_same_output_as_a_separate_one() {
    let mut random = RandomModels::new(5);
    let conv = random.conv(1, 4, 2, 3, 1, false);
    let [mean, gamma, beta] = std::array::from_fn(|_| random.weights(4));
    let variance: Vec<f32> = random.weights(4).iter().map(|w| w.abs() + 0.1).collect();
    let eps = 1e-5f32;
    let head = random.conv(4, 1, 1, 1, 1, true);
    let mut weights = Vec::new();
    append(&mut weights, &conv);
    weights.extend(mean.iter().chain(&variance).chain(&gamma).chain(&beta).chain([&eps]));
    append(&mut weights, &head);
    let config = json!({"channels": 4, "dilations": [3], "batchnorm": true, "activation": "Tanh"});
    let Architecture::Sequence(read) = only_architecture(read(&nam("ConvNet", config, &weights))) else { panic!("no sequence") };
    let Layer::Conv1d(folded, Activation::Tanh) = &read.layers[0] else { panic!("{read:?}") };
    let x: Vec<Vec<f64>> = (0..50).map(|_| vec![f64::from(random.weight())]).collect();
    for (plain, folded) in convolve(&conv, &x).iter().zip(convolve(folded, &x)) {
        for o in 0..4 {
            let scale = f64::from(gamma[o]) / (f64::from(variance[o]) + f64::from(eps)).sqrt();
            let expected = (plain[o] - f64::from(mean[o])) * scale + f64::from(beta[o]);
            assert!((expected - folded[o]).abs() < 1e-6, "{expected} {}", folded[o]);
        }
    }
}

#[test]
fn metadata_are_read_and_missing_fields_are_absent() {
    let mut file = wavenet_of_0_5(&mut RandomModels::new(6)).1;
    let bare = read(&file).info;
    assert_eq!((bare.sample_rate, bare.sample_rate_given, bare.loudness_db, bare.name), (48_000.0, false, None, None));
    file["sample_rate"] = json!(44100);
    file["metadata"] = json!({
        "loudness": -20.5, "gain": 0.2, "name": " An amp ", "modeled_by": "Somebody", "gear_make": "Maker", "gear_model": "A 1",
        "gear_type": "amp", "tone_type": "", "input_level_dbu": 18.25, "output_level_dbu": null,
        "training": {"validation_esr": 0.0125, "settings": {}},
    });
    let info = read(&file).info;
    assert_eq!((info.sample_rate, info.sample_rate_given), (44_100.0, true));
    assert_eq!((info.loudness_db, info.input_level_dbu, info.output_level_dbu), (Some(-20.5), Some(18.25), None));
    assert_eq!(
        (info.name.as_deref(), info.author.as_deref(), info.tone_type.as_deref()),
        (Some("An amp"), Some("Somebody"), None)
    );
    assert_eq!(
        (info.gear_make.as_deref(), info.gear_model.as_deref(), info.gear_type.as_deref()),
        (Some("Maker"), Some("A 1"), Some("amp"))
    );
    assert_eq!((info.esr, info.version.as_deref()), (Some(0.0125), Some("0.5.4")));
    assert_eq!(info.architecture, "WaveNet, 2 arrays of 3 and 2 channels");
}

#[test]
fn versions_from_0_5_0_to_0_7_are_read_and_others_refused() {
    let file = |version: Value| {
        let mut file = wavenet_of_0_5(&mut RandomModels::new(6)).1;
        file["version"] = version;
        file.to_string()
    };
    for version in ["0.5.0", "0.5.4", "0.6.12", "0.7.0", "0.7.99"] {
        ParsedModel::read(file(json!(version)).as_bytes()).unwrap();
    }
    for version in ["0.4.9", "0.8.0", "1.5.0", "0.5", "0.5.0.1", "0.5.x", "v0.5.0", "", "0.5.-1", "0.5.+1", "0.99999999999.0"] {
        assert_eq!(error(file(json!(version)).as_bytes()), format!("version: '{version}'; expected 0.5.0 to 0.7"));
    }
    assert!(error(file(json!(0.5)).as_bytes()).starts_with("version: 0.5; expected a text"));
    assert_eq!(error(file(Value::Null).as_bytes()), "version is missing");
}

#[test]
fn padding_and_rubbish_after_the_model_are_not_read() {
    let file = wavenet_of_0_5(&mut RandomModels::new(41)).1;
    let plain = read(&file);
    for more in ["\0\0\0\0", "\n{}", " rubbish", "]"] {
        assert_eq!(ParsedModel::read(format!("{file}{more}").as_bytes()).unwrap(), plain, "{more:?}");
    }
    let twice = file.to_string().replacen('{', "{\"architecture\": \"Linear\",", 1);
    assert_eq!(ParsedModel::read(twice.as_bytes()).unwrap(), plain);
}

#[test]
fn levels_of_a_containers_models_count_unless_the_container_has_its_own() {
    let model = |seed: u64, metadata: Value| {
        let mut file = wavenet_of_0_5(&mut RandomModels::new(seed)).1;
        file["metadata"] = metadata;
        file
    };
    let submodels = json!([
        {"max_value": 0.5, "model": model(42, json!({"input_level_dbu": 10.0, "output_level_dbu": 3.0}))},
        {"max_value": 1.0, "model": model(43, json!({"input_level_dbu": 12.0}))},
    ]);
    let mut file = nam("SlimmableContainer", json!({ "submodels": submodels }), &[]);
    let levels = |file: &Value| {
        let parsed = read(file);
        let sizes: Vec<_> = parsed.sizes.iter().map(|s| (s.input_level_dbu, s.output_level_dbu)).collect();
        (parsed.info.input_level_dbu, parsed.info.output_level_dbu, sizes)
    };
    assert_eq!(levels(&file), (Some(12.0), None, vec![(Some(10.0), Some(3.0)), (Some(12.0), None)]));
    file["metadata"] = json!({"input_level_dbu": 18.0, "output_level_dbu": null});
    assert_eq!(levels(&file), (Some(18.0), None, vec![(Some(18.0), Some(3.0)), (Some(18.0), None)]));
}

#[test]
fn a_sequential_holds_its_models_in_order() {
    let (first, mut a) = wavenet_of_0_5(&mut RandomModels::new(44));
    let (second, mut b) = wavenet_of_0_5(&mut RandomModels::new(45));
    a["metadata"] = json!({"input_level_dbu": 10.0, "output_level_dbu": 1.0, "loudness": -9.0});
    b["metadata"] = json!({"input_level_dbu": 11.0, "output_level_dbu": 2.0});
    let linear = nam("Linear", json!({"receptive_field": 2, "bias": false}), &[0.5, 0.25]);
    let inner = nam("Sequential", json!({"models": [b, linear]}), &[]);
    let mut file = nam("Sequential", json!({"models": [a, inner]}), &[]);
    file["metadata"] = json!({"loudness": -20.0});
    let parsed = read(&file);
    let conv = Conv1d { inputs: 1, outputs: 1, taps: 2, dilation: 1, groups: 1, weights: vec![0.25, 0.5], bias: None };
    let parts = vec![
        Architecture::WaveNet(Box::new(first)),
        Architecture::WaveNet(Box::new(second)),
        sequence(vec![Layer::Conv1d(conv, Activation::Identity)]),
    ];
    let receptive_field: usize = parts.iter().map(|part| part.receptive_field().unwrap() - 1).sum::<usize>() + 1;
    let info = parsed.info.clone();
    assert_eq!((info.loudness_db, info.input_level_dbu, info.output_level_dbu), (Some(-20.0), Some(10.0), None));
    let wavenet = "WaveNet, 2 arrays of 3 and 2 channels";
    assert_eq!(info.architecture, format!("{wavenet}, then {wavenet}, then Linear, 2 taps"));
    let architecture = only_architecture(parsed);
    assert_eq!((architecture.receptive_field(), architecture), (Some(receptive_field), Architecture::Series(parts)));

    let rate = |first: Value, second: Value| {
        let mut file = file.clone();
        file["config"]["models"][0]["sample_rate"] = first;
        file["config"]["models"][1]["sample_rate"] = second;
        file
    };
    assert_eq!(read(&rate(json!(44_100), Value::Null)).info.sample_rate, 44_100.0);
    assert_eq!(
        error(rate(json!(44_100), json!(48_000)).to_string().as_bytes()),
        "config.models[1].sample_rate: 48000; expected 44100, that of the model around it or before it"
    );
    assert_eq!(error(changed(&file, "/weights", json!([1.0])).to_string().as_bytes()), "weights: 1 numbers; expected 0");
    assert_eq!(
        error(changed(&file, "/config/models", json!([])).to_string().as_bytes()),
        "config.models: 0 values; expected 1 to 64"
    );
    assert_eq!(
        error(changed(&file, "/config/models/0/architecture", json!("X")).to_string().as_bytes()),
        "config.models[0].architecture: 'X'; expected Linear, ConvNet, LSTM, WaveNet, SlimmableContainer or Sequential"
    );
}

#[test]
fn a_container_holds_its_submodels_smallest_first() {
    let small = random_lstm(&mut RandomModels::new(7), 1, 2);
    let mut first = lstm_file(&[small], &RandomModels::new(8).conv(2, 1, 1, 1, 1, true));
    first["metadata"] = json!({"loudness": -24.0});
    let (wavenet, mut second) = wavenet_of_0_5(&mut RandomModels::new(9));
    second["metadata"] = json!({"loudness": -26.5, "name": "Large"});
    let submodels = json!([{"max_value": 0.5, "model": first}, {"max_value": 1.0, "model": second}]);
    let file = nam("SlimmableContainer", json!({"submodels": submodels}), &[]);
    let parsed = read(&file);
    let sizes: Vec<_> = parsed.sizes.iter().map(|s| (s.below, s.loudness_db)).collect();
    assert_eq!(sizes, [(0.5, Some(-24.0)), (1.0, Some(-26.5))]);
    assert_eq!(parsed.sizes[1].architecture, Some(Architecture::WaveNet(Box::new(wavenet))));
    assert_eq!((parsed.info.loudness_db, parsed.info.name.as_deref()), (Some(-26.5), Some("Large")));
    let parameters = second["weights"].as_array().map(Vec::len);
    assert_eq!(Some(parsed.info.parameters), parameters);

    for (change, expected) in [
        (
            ("/config/submodels/0/max_value", json!(1.0)),
            "config.submodels[1].max_value: 1; expected more than 1, that of the one before",
        ),
        (("/config/submodels/1/max_value", json!(0.9)), "config.submodels[1].max_value: 0.9; expected 1 or more for the last"),
        (("/config/submodels/0/model/weights/3", json!("x")), "config.submodels[0].model.weights[3]: 'x'; expected a number"),
        (("/config/submodels", json!([])), "config.submodels: 0 values; expected 1 to 256"),
        (("/weights", json!([1.0])), "weights: 1 numbers; expected 0"),
    ] {
        assert_eq!(error(changed(&file, change.0, change.1).to_string().as_bytes()), expected);
    }
    let mut other = file.clone();
    other["sample_rate"] = json!(48000);
    other["config"]["submodels"][1]["model"]["sample_rate"] = json!(44100);
    assert!(error(other.to_string().as_bytes()).starts_with("config.submodels[1].model.sample_rate: 44100; expected 48000"));
}
