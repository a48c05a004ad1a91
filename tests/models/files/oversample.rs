//! Export at a multiple of the sample rate: the file changes where it must, and nowhere else; the model plays as the original
//! with oversampling.

use isotherm::dsp::ProcessSpec;
use isotherm::effect::Effect;
use isotherm::neural::{ALGORITHM, OversampleError};

use super::*;

/// The network that gives at each Nth frame what the given one makes of every Nth frame. `None` for a recurrent one.
pub fn with_longer_dilations(architecture: &Architecture, n: usize) -> Option<Architecture> {
    let sequence = |s: &Sequence| {
        let linear = s.layers.len() == 1;
        let layers = s.layers.iter().map(|layer| match layer {
            // A Linear has no dilation: its taps get zeros between them.
            Layer::Conv1d(c, activation) if linear => {
                let taps = (c.taps - 1) * n + 1;
                let weights = (0..taps).map(|i| if i % n == 0 { c.weights[i / n] } else { 0.0 }).collect();
                Some(Layer::Conv1d(Conv1d { taps, weights, ..c.clone() }, activation.clone()))
            }
            Layer::Conv1d(c, activation) if c.taps > 1 => {
                Some(Layer::Conv1d(Conv1d { dilation: c.dilation * n, ..c.clone() }, activation.clone()))
            }
            Layer::Conv1d(..) => Some(layer.clone()),
            Layer::Lstm(_) | Layer::Gru(_) => None,
        });
        Some(Sequence { layers: layers.collect::<Option<_>>()?, ..s.clone() })
    };
    fn wavenet(w: &WaveNet, n: usize, sequence: &dyn Fn(&Sequence) -> Option<Sequence>) -> Option<WaveNet> {
        let mut new = w.clone();
        for array in &mut new.arrays {
            array.layers.iter_mut().for_each(|layer| layer.conv.dilation *= n);
            array.head.dilation *= if array.head.taps > 1 { n } else { 1 };
        }
        new.condition = match w.condition.as_deref() {
            None => None,
            Some(ConditionModel::Sequence(s)) => Some(Box::new(ConditionModel::Sequence(sequence(s)?))),
            Some(ConditionModel::WaveNet(w)) => Some(Box::new(ConditionModel::WaveNet(wavenet(w, n, sequence)?))),
        };
        w.post.iter().all(|(_, conv)| conv.taps == 1).then_some(new)
    }
    Some(match architecture {
        Architecture::Sequence(s) => Architecture::Sequence(sequence(s)?),
        Architecture::WaveNet(w) => Architecture::WaveNet(Box::new(wavenet(w, n, &sequence)?)),
        Architecture::Series(parts) => {
            Architecture::Series(parts.iter().map(|p| with_longer_dilations(p, n)).collect::<Option<_>>()?)
        }
    })
}

pub fn model(file: &Value) -> std::sync::Arc<Model> {
    Model::read(file.to_string().into_bytes()).unwrap_or_else(|e| panic!("{e}"))
}

/// A ConvNet's file.
pub fn conv_net(random: &mut RandomModels, batch_norm: bool) -> Value {
    let (channels, dilations) = (4, [1, 2, 64]);
    let mut weights = Vec::new();
    for inputs in [1, 4, 4] {
        weights.extend(random.weights(2 * inputs * channels));
        // The mean, a positive variance, the factor and the summand of each channel, and the number that is added to the variance.
        let [mean, variance, gamma, beta] = std::array::from_fn(|_| random.weights(channels));
        if batch_norm {
            weights.extend(mean.into_iter().chain(variance.iter().map(|v| v.abs() + 0.1)).chain(gamma).chain(beta).chain([1e-5]));
        } else {
            weights.extend(mean);
        }
    }
    weights.extend(random.weights(channels + 1));
    nam("ConvNet", json!({"channels": channels, "dilations": dilations, "batchnorm": batch_norm, "activation": "Tanh"}), &weights)
}

/// A file for every architecture that can be exported.
fn files() -> Vec<(&'static str, Value)> {
    let mut random = RandomModels::new(60);
    let linear = nam("Linear", json!({"receptive_field": 7, "bias": true}), &random.weights(8));
    let (_, plain) = wavenet_of_0_5(&mut random);
    let mut slim = plain.clone();
    slim["config"]["layers"][0]["slimmable"] =
        json!({"method": "slice_channels_uniform", "kwargs": {"allowed_channels": [1, 3]}});
    let with_rate = |file: &Value| {
        let mut file = file.clone();
        file["sample_rate"] = json!(44_100);
        file
    };
    let submodels = json!([
        {"max_value": 0.5, "model": with_rate(&linear)},
        {"max_value": 1.0, "model": with_rate(&slim)},
    ]);
    let container = nam("SlimmableContainer", json!({ "submodels": submodels }), &[]);
    // The head of their arrays has several taps, and their condition is a model.
    let wavenets = (0..).map(|seed| random_wavenet(&mut RandomModels::new(seed), 1, 0));
    let exported = wavenets.filter(|(wavenet, _)| wavenet.condition.is_some() && wavenet.post.iter().all(|(_, c)| c.taps == 1));
    let (_, options) = exported.into_iter().find(|(w, _)| w.arrays.iter().any(|a| a.head.taps > 1)).expect("one");
    let conv_net_file = conv_net(&mut random, true);
    let series = nam("Sequential", json!({"models": [with_rate(&plain), linear, container, conv_net_file]}), &[]);
    vec![
        ("Linear", linear),
        ("ConvNet", conv_net(&mut random, false)),
        ("ConvNet with batch normalisation", conv_net_file),
        ("WaveNet", plain),
        ("WaveNet with options", options),
        ("slimmable", slim),
        ("container", container),
        ("Sequential", series),
    ]
}

#[test]
fn every_architecture_without_a_recurrence_is_exported_with_longer_dilations() {
    for (name, file) in files() {
        let original = model(&file);
        for n in [2, 4, 8] {
            let exported = original.oversampled(n).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(exported.info().sample_rate, n as f32 * original.info().sample_rate, "{name}");
            assert!(exported.info().sample_rate_given);
            assert_eq!(exported.sizes().len(), original.sizes().len(), "{name}");
            for (new, old) in exported.sizes().iter().zip(original.sizes()) {
                assert!(
                    new.architecture == old.architecture.as_ref().and_then(|a| with_longer_dilations(a, n)),
                    "{name} at {n}x"
                );
                assert_eq!((new.below, new.loudness_db), (old.below, old.loudness_db));
            }
            let twice = original.oversampled(2).unwrap();
            if n == 4 {
                let again = twice.oversampled(2).unwrap();
                assert!(again.sizes().iter().zip(exported.sizes()).all(|(a, b)| a.architecture == b.architecture), "{name}");
            }
        }
    }
}

#[test]
fn every_wavenet_is_exported_with_longer_dilations_or_refused_for_its_head() {
    let mut refused = 0;
    for seed in 0..300 {
        let (wavenet, file) = random_wavenet(&mut RandomModels::new(seed), 1, 0);
        let old = Architecture::WaveNet(Box::new(wavenet));
        match (model(&file).oversampled(2), with_longer_dilations(&old, 2)) {
            (Ok(exported), Some(new)) => assert!(exported.sizes()[0].architecture == Some(new), "seed {seed}"),
            (Err(error), None) => {
                let line = error.to_string();
                assert!(line.contains("head.kernel_sizes["), "{line}");
                assert!(line.ends_with("expected 1: the format has no dilation for the head behind the arrays"), "{line}");
                refused += 1;
            }
            (found, expected) => panic!("seed {seed}: {found:?}, expected {expected:?}"),
        }
    }
    assert!((10..150).contains(&refused), "{refused} refused");
}

#[test]
fn an_export_changes_only_dilations_rate_and_metadata_and_keeps_every_other_byte() {
    let file = "\u{feff}
{
  \"version\": \"0.7.0\",
  \"weights\": [1.50, -2.5e-1, 0.1, -0, 0.3333333333333333148296, 7e0, 3, 0.5, 1.0, 2],
  \"extra\": {\"dilations\": [1 , 2], \"sample_rate\": 1},
  \"config\": {\"layers\": [{\"dilations\": [ 3 ], \"head\": {\"bias\":false,\"out_channels\":1,  \"kernel_size\": 2},
    \"input_size\": 1, \"condition_size\": 1, \"channels\": 1, \"kernel_size\": 2, \"activation\": \"ReLU\"}], \"head\": null},
  \"architecture\": \"WaveNet\",
  \"metadata\": {
    \"name\": \"Caf\u{e9} \\u00e9\",
    \"late_frames\": 6.0
  }
}
 rubbish";
    let original = Model::read(file.into()).unwrap();
    let by = format!("by Isotherm {}", env!("CARGO_PKG_VERSION"));
    let twice = original.oversampled(2).unwrap();
    let expected = file
        .replace("[ 3 ]", "[ 6 ]")
        .replace("\"kernel_size\": 2}", "\"kernel_size\": 2,  \"head_dilation\": 2}")
        .replace("6.0\n  }\n}", &format!("12,\n    \"oversampled\": \"2x {by}\"\n  }},\n  \"sample_rate\": 96000\n}}"));
    assert_eq!(std::str::from_utf8(twice.bytes()).unwrap(), expected);
    let again = twice.oversampled(2).unwrap();
    let expected = expected
        .replace("[ 6 ]", "[ 12 ]")
        .replace("\"head_dilation\": 2", "\"head_dilation\": 4")
        .replace("\"late_frames\": 12", "\"late_frames\": 24")
        .replace(&format!("2x {by}"), &format!("2x {by}, 2x {by}"))
        .replace("96000", "192000");
    assert_eq!(std::str::from_utf8(again.bytes()).unwrap(), expected);
}

#[test]
fn the_taps_of_a_linear_model_get_zeros_between_them() {
    let file = r#"{"metadata":null,"version":"0.5.4","architecture":"Linear","config":{"receptive_field":3,"bias":true},
        "weights":[1.0,2.50,3,4],"sample_rate":"44.1 kHz"}"#;
    let by = format!("by Isotherm {}", env!("CARGO_PKG_VERSION"));
    let expected = file
        .replace("1.0,2.50,3,4", "1.0, 0, 0, 0,2.50, 0, 0, 0,3,4")
        .replace("\"receptive_field\":3", "\"receptive_field\":9")
        .replace("\"44.1 kHz\"", "176400")
        .replace("null", &format!("{{\"oversampled\": \"4x {by}\"}}"));
    let exported = Model::read(file.into()).unwrap().oversampled(4).unwrap();
    assert_eq!(std::str::from_utf8(exported.bytes()).unwrap(), expected);
}

#[test]
fn the_rate_that_a_user_gives_a_file_without_one_is_the_one_that_is_multiplied() {
    let file = nam("Linear", json!({"receptive_field": 1, "bias": false}), &[0.5]);
    let exported = |file: &Value, rate: f32| model(file).at_rate(rate).unwrap().oversampled(2).unwrap().info().sample_rate;
    assert_eq!((exported(&file, 44_100.0), model(&file).oversampled(2).unwrap().info().sample_rate), (88_200.0, 96_000.0));
    // A rate that is no number counts as none.
    assert_eq!(exported(&changed(&with_key(&file, "sample_rate"), "/sample_rate", json!("NaN")), 32_000.0), 64_000.0);
}

/// A file with one more key, whose value is null.
fn with_key(file: &Value, key: &str) -> Value {
    let mut file = file.clone();
    file[key] = Value::Null;
    file
}

/// The output of a processor for one channel, and its latency. `oversampling` is the index of the choice.
fn play(model: &std::sync::Arc<Model>, oversampling: f32, size: f32, rate: f32, input: &[f32]) -> (Vec<f32>, usize) {
    let effect = Effect::new(&ALGORITHM).with_model(model.clone()).with("size", size).with("output_mode", 0.0);
    let effect = effect.with("oversampling", oversampling);
    let mut processor = effect.prepare(ProcessSpec::new(rate, 1, 512)).unwrap();
    let mut output = input.to_vec();
    output.chunks_mut(77).for_each(|part| processor.process(&mut [part]));
    (output, processor.latency())
}

#[test]
fn an_exported_model_plays_as_the_original_with_oversampling_bit_for_bit() {
    for (name, file) in files() {
        let original = model(&file);
        for (n, oversampling) in [(2, 1.0), (4, 2.0)] {
            let exported = original.oversampled(n).unwrap();
            let compared = original.check_oversampled(&exported, n).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(compared >= 1000 * n, "{name}: {compared} frames");
            let rate = exported.info().sample_rate;
            let mut random = RandomModels::new(61);
            let input: Vec<f32> = (0..3000).map(|_| 0.5 * random.weight()).collect();
            for size in [0.0, 1.0] {
                // A linear network makes no new frequencies and stays at 1x.
                if original.sizes()[original.size_index(size)].architecture.as_ref().is_some_and(Architecture::is_linear) {
                    continue;
                }
                let (plain, latency) = play(&exported, 0.0, size, rate, &input);
                let (oversampled, later) = play(&original, oversampling, size, rate, &input);
                assert_eq!((latency, later), (0, n - 1), "{name}");
                assert!(plain.iter().any(|y| *y != plain[0]), "{name}: a constant");
                let first = (0..3000 - later).find(|i| plain[*i] != oversampled[i + later]);
                assert_eq!(first, None, "{name} at {n}x, size {size}: frame");
            }
        }
    }
}

#[test]
fn the_check_of_an_export_notices_another_sound() {
    for (name, file) in files() {
        let original = model(&file);
        let exported = original.oversampled(4).unwrap();
        assert_eq!(exported.has_head_dilation(), ["WaveNet with options"].contains(&name), "{name}");
        match original.check_oversampled(&exported, 2) {
            Err(OversampleError::Sound { factor: 2, .. }) => {}
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn what_the_format_cannot_say_is_refused_in_one_line_that_names_it() {
    let mut random = RandomModels::new(62);
    let lstm = lstm_file(&[random_lstm(&mut random, 1, 3)], &random.conv(3, 1, 1, 1, 1, true));
    let recurrent = |path: &str| {
        format!(
            "{path}architecture: 'LSTM'; expected WaveNet, ConvNet or Linear: the format has nothing to make a recurrence slower"
        )
    };
    let (_, plain) = wavenet_of_0_5(&mut random);
    let submodels = json!([{"max_value": 0.5, "model": plain}, {"max_value": 1.0, "model": lstm}]);
    let head = json!({"channels": 2, "out_channels": 1, "kernel_sizes": [1, 3], "activation": "Tanh"});
    let mut with_head = changed(&plain, "/config/head", head);
    // The head's weights stand before the last one, the factor.
    let weights = with_head["weights"].as_array_mut().unwrap();
    let at = weights.len() - 1;
    weights.splice(at..at, (0..4 + 7).map(|_| json!(0.5)));
    let mut late = plain.clone();
    late["metadata"] = json!({"late_frames": 200});
    let mut odd = plain.clone();
    odd["metadata"] = json!([1]);
    let mut far =
        nam("ConvNet", json!({"channels": 1, "dilations": [8_388_608], "batchnorm": false, "activation": "Tanh"}), &[0.5; 5]);
    far["sample_rate"] = json!(48_000);
    let long = nam("Linear", json!({"receptive_field": 150_000, "bias": false}), &vec![0.5; 150_000]);
    let condition = nam("Linear", json!({"receptive_field": 1, "bias": false}), &[0.5]);
    let mut two_rates = plain.clone();
    two_rates["config"]["condition_dsp"] = condition;
    two_rates["config"]["condition_dsp"]["sample_rate"] = json!(44_100);
    for (file, n, expected) in [
        (&lstm, 2, recurrent("")),
        (&nam("SlimmableContainer", json!({ "submodels": submodels }), &[]), 2, recurrent("config.submodels[1].model.")),
        (&nam("Sequential", json!({"models": [plain, lstm]}), &[]), 2, recurrent("config.models[1].")),
        (
            &with_head,
            2,
            "config.head.kernel_sizes[1]: 3; expected 1: the format has no dilation for the head behind the arrays".into(),
        ),
        (&late, 4, "metadata.late_frames: 800 at 4x; expected at most 512".into()),
        (&odd, 2, "metadata: a list of 1; expected an object".into()),
        (&far, 4, "at 4x: config.dilations[0]: 33554432; expected a whole number from 1 to 16777216".into()),
        (&long, 8, "config.receptive_field: 1199993 taps at 8x; expected at most 1048576".into()),
        (
            &two_rates,
            2,
            "at 2x: config.condition_dsp.sample_rate: 88200; expected 96000, that of the model around it or before it".into(),
        ),
        (&plain, 32, "a sample rate of 1536000 Hz at 32x; expected at most 768000".into()),
        (&plain, 1, "a factor of 1; expected a power of two: 2, 4 and so on".into()),
        (&plain, 3, "a factor of 3; expected a power of two: 2, 4 and so on".into()),
        (
            &proteus(&mut random, "LSTM", 1, 2, 1).1,
            2,
            "a model in Proteus JSON; expected .nam, the format with dilations and a sample rate that can be raised".into(),
        ),
    ] {
        let error = model(file).oversampled(n).expect_err("an error").to_string();
        assert_eq!(error, expected);
    }
    assert_eq!(model(&plain).oversampled(16).unwrap().info().sample_rate, 768_000.0);
}

#[test]
fn peer_models_are_exported() {
    let Some(folder) = super::peers::peer_folder() else { return };
    for name in ["wavenet", "wavenet_a1_standard"] {
        let original = Model::open(&folder.join(format!("{name}.nam"))).unwrap();
        let exported = original.oversampled(2).unwrap();
        assert!(original.check_oversampled(&exported, 2).unwrap() > 2000, "{name}");
    }
}
