//! What only describes a model never refuses it: what cannot be used is left out and named.

use super::*;

/// The info of a file, whose network must be the one of the file without the odd values.
fn info_with(file: &Value, key: &str, value: Value) -> isotherm::neural::ModelInfo {
    let mut odd = file.clone();
    odd[key] = value;
    let (parsed, plain) = (read(&odd), read(file));
    assert_eq!(parsed.sizes[0].architecture, plain.sizes[0].architecture, "{key}");
    parsed.info
}

#[test]
fn odd_metadata_of_a_nam_file_are_left_out_and_named() {
    let (_, file) = wavenet_of_0_5(&mut RandomModels::new(31));
    assert!(read(&file).info.ignored.is_empty());
    for (metadata, expected) in [
        (json!([]), "metadata: a list of 0; expected an object"),
        (json!("none"), "metadata: 'none'; expected an object"),
        (json!({"name": 5}), "metadata.name: 5; expected a text"),
        (json!({"name": ["a"]}), "metadata.name: a list of 1; expected a text"),
        (json!({"modeled_by": {}}), "metadata.modeled_by: an object of 0 keys; expected a text"),
        (json!({"gear_make": {"brand": "x"}}), "metadata.gear_make: an object of 1 keys; expected a text"),
        (json!({"gear_model": 1.5}), "metadata.gear_model: 1.5; expected a text"),
        (json!({"gear_type": true}), "metadata.gear_type: true; expected a text"),
        (json!({"tone_type": []}), "metadata.tone_type: a list of 0; expected a text"),
        (json!({"training": []}), "metadata.training: a list of 0; expected an object"),
        (json!({"training": "none"}), "metadata.training: 'none'; expected an object"),
        (json!({"training": {"validation_esr": "low"}}), "metadata.training.validation_esr: 'low'; expected a number"),
        (json!({"loudness": "loud"}), "metadata.loudness: 'loud'; expected a number"),
        (json!({"loudness": 1e9}), "metadata.loudness: 1000000000; expected -300 to 300"),
        (json!({"input_level_dbu": ""}), "metadata.input_level_dbu: ''; expected a number"),
        (json!({"output_level_dbu": [1.0]}), "metadata.output_level_dbu: a list of 1; expected a number"),
        (json!({"loudness": "NaN"}), "metadata.loudness: 'NaN'; expected a number"),
        (json!({"late_frames": "x"}), "metadata.late_frames: 'x'; expected a number"),
        (json!({"late_frames": -1}), "metadata.late_frames: -1; expected 0 to 512"),
    ] {
        let info = info_with(&file, "metadata", metadata);
        assert_eq!(info.ignored, [expected]);
        assert_eq!((info.loudness_db, info.input_level_dbu, info.name, info.late_frames), (None, None, None, 0));
    }
    let numbers = json!({
        "loudness": "-18.5", "input_level_dbu": " 12.5", "output_level_dbu": "9", "late_frames": "16", "name": "An amp",
        "gear_make": 1, "training": {"validation_esr": "0.01"},
    });
    let info = info_with(&file, "metadata", numbers);
    assert_eq!((info.loudness_db, info.input_level_dbu, info.output_level_dbu), (Some(-18.5), Some(12.5), Some(9.0)));
    assert_eq!((info.esr, info.late_frames, info.name.as_deref()), (Some(0.01), 16, Some("An amp")));
    assert_eq!(info.ignored, ["metadata.gear_make: 1; expected a text"]);
}

#[test]
fn odd_metadata_inside_a_container_are_left_out_and_named() {
    let (_, mut inner) = wavenet_of_0_5(&mut RandomModels::new(32));
    inner["metadata"] = json!({"loudness": "loud", "name": 7});
    let file = nam("SlimmableContainer", json!({"submodels": [{"max_value": 1.0, "model": inner}]}), &[]);
    assert_eq!(
        read(&file).info.ignored,
        [
            "config.submodels[0].model.metadata.loudness: 'loud'; expected a number",
            "config.submodels[0].model.metadata.name: 7; expected a text",
        ]
    );
}

#[test]
fn an_unusable_sample_rate_is_the_formats_own_and_one_in_words_is_read() {
    let (_, nam) = wavenet_of_0_5(&mut RandomModels::new(33));
    let dense = keras_dense(&mut RandomModels::new(34), 1, 1).1;
    let keras = json!({"in_shape": [null, null, 1], "layers": [dense]});
    for (value, rate) in [
        (json!("48k"), Some(48_000.0)),
        (json!("44100 Hz"), Some(44_100.0)),
        (json!("96000"), Some(96_000.0)),
        (json!(88_200), Some(88_200.0)),
        (json!(""), None),
        (json!("fast"), None),
        (json!(0), None),
        (json!(-1), None),
        (json!([44_100]), None),
        (json!(false), None),
    ] {
        let in_metadata = json!({ "samplerate": value });
        for info in [info_with(&nam, "sample_rate", value.clone()), info_with(&keras, "metadata", in_metadata)] {
            assert_eq!((info.sample_rate, info.sample_rate_given), (rate.unwrap_or(48_000.0), rate.is_some()), "{value}");
            assert_eq!(info.ignored.len(), usize::from(rate.is_none()), "{value}");
            assert!(info.ignored.iter().all(|line| line.ends_with("expected 1000 to 768000")), "{:?}", info.ignored);
        }
    }
}

#[test]
fn odd_values_around_a_keras_network_are_left_out_and_named() {
    let dense = keras_dense(&mut RandomModels::new(35), 2, 1).1;
    let file = json!({"in_shape": [null, null, 2], "layers": [dense]});
    for (key, value, expected) in [
        ("metadata", json!("x"), "metadata: 'x'; expected an object"),
        ("metadata", json!({"name": 7}), "metadata.name: 7; expected a text"),
        ("metadata", json!({"esr": "low"}), "metadata.esr: 'low'; expected a number"),
        ("metadata", json!({"late_frames": []}), "metadata.late_frames: a list of 0; expected a number"),
        ("metadata", json!({"knobs": "a,b"}), "metadata.knobs: 'a,b'; expected a list"),
        ("metadata", json!({"knobs": [1]}), "metadata.knobs[0]: 1; expected a text"),
    ] {
        let info = info_with(&file, key, value);
        assert_eq!(
            (info.ignored.as_slice(), info.knobs.as_slice()),
            ([expected.to_owned()].as_slice(), ["Param 1".to_owned()].as_slice())
        );
    }
    for (input, output, expected) in [
        (json!("x"), json!("y"), "input_batch: 'x'; expected a list"),
        (json!([0.1, 0.2]), json!([0.1]), "output_batch: 1 values; expected 2, as many as input_batch has"),
        (json!([[[0.1]]]), json!([[[0.1]]]), "input_batch[0][0]: a list of 1; expected a number"),
    ] {
        let mut odd = file.clone();
        (odd["input_batch"], odd["output_batch"]) = (input, output);
        let parsed = read(&odd);
        assert_eq!((parsed.test_vector, parsed.info.ignored), (None, vec![expected.to_owned()]));
    }
}

#[test]
fn a_skip_is_written_as_a_number_or_as_true_and_false() {
    let dense = keras_dense(&mut RandomModels::new(36), 1, 1).1;
    let keras = json!({"in_shape": [null, null, 1], "layers": [dense]});
    let (_, proteus) = proteus(&mut RandomModels::new(37), "LSTM", 1, 4, 1);
    for (value, skip) in [(json!(true), true), (json!(false), false), (json!(1), true), (json!(0), false)] {
        let mut files = [keras.clone(), proteus.clone()];
        files[0]["in_skip"] = value.clone();
        files[1]["model_data"]["skip"] = value.clone();
        for file in &files {
            let Architecture::Sequence(sequence) = only_architecture(read(file)) else { panic!("no sequence") };
            assert_eq!(sequence.skip, skip, "{value}");
        }
    }
    let found = error(changed(&proteus, "/model_data/skip", json!(2)).to_string().as_bytes());
    assert_eq!(found, "model_data.skip: 2; expected a whole number from 0 to 1");
}

#[test]
fn gains_that_are_numbers_in_a_text_are_read() {
    let dense = keras_dense(&mut RandomModels::new(38), 1, 1).1;
    let mut file = json!({"in_shape": [null, null, 1], "layers": [dense], "out_gain": "6.0"});
    let Architecture::Sequence(sequence) = only_architecture(read(&file)) else { panic!("no sequence") };
    assert!((sequence.output_gain - 1.9953).abs() < 1e-3);
    file["out_gain"] = json!("loud");
    assert_eq!(error(file.to_string().as_bytes()), "out_gain: 'loud'; expected a number");
}
