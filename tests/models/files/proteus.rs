//! Proteus files.

use super::*;

#[test]
fn proteus_files_are_read_as_they_are_written() {
    for (kind, inputs, hidden, layers) in [("LSTM", 1, 40, 1), ("LSTM", 2, 5, 2), ("GRU", 3, 4, 2)] {
        let (expected, file) = proteus(&mut RandomModels::new(15), kind, inputs, hidden, layers);
        let parsed = read(&file);
        assert_eq!((parsed.info.format, parsed.info.sample_rate, parsed.info.sample_rate_given), ("proteus", 44_100.0, false));
        assert_eq!(parsed.info.knobs.len(), inputs - 1);
        assert_eq!(
            only_architecture(parsed),
            Architecture::Sequence(Sequence { layers: expected, input_gain: 1.0, output_gain: 1.0, skip: true })
        );
    }
    let (_, file) = proteus(&mut RandomModels::new(16), "LSTM", 1, 3, 1);
    for (pointer, value, expected) in [
        ("/model_data/unit_type", json!("RNN"), "model_data.unit_type: 'RNN'; expected LSTM or GRU"),
        ("/model_data/hidden_size", json!(4), "state_dict.rec.weight_ih_l0: 12 values; expected 16"),
        ("/model_data/hidden_size", json!(1e9), "model_data.hidden_size: 1000000000; expected a whole number from 1 to 65536"),
        ("/model_data/num_layers", json!(2), "state_dict.rec.weight_ih_l1 is missing"),
        ("/model_data/input_size", json!(-1), "model_data.input_size: -1; expected a whole number from 1 to 16"),
        ("/model_data/output_size", json!(2), "model_data.output_size: 2; expected a whole number from 1 to 1"),
        ("/state_dict/lin.bias", json!([0, 0]), "state_dict.lin.bias: 2 numbers; expected 1"),
        ("/state_dict/rec.bias_hh_l0/2", json!(null), "state_dict.rec.bias_hh_l0[2]: null; expected a number"),
    ] {
        assert_eq!(error(changed(&file, pointer, value).to_string().as_bytes()), expected);
    }
}

#[test]
fn a_proteus_file_may_have_its_sample_rate_in_either_place() {
    let (_, mut file) = proteus(&mut RandomModels::new(19), "GRU", 1, 3, 1);
    file["sample_rate"] = json!("48 kHz");
    let rate = |file: &Value| (read(file).info.sample_rate, read(file).info.sample_rate_given);
    assert_eq!(rate(&file), (48_000.0, true));
    file["model_data"]["sample_rate"] = json!(96_000.0);
    assert_eq!(rate(&file), (96_000.0, true));
    (file["sample_rate"], file["model_data"]["sample_rate"]) = (json!(0), Value::Null);
    assert_eq!(rate(&file), (44_100.0, false));
    assert_eq!(read(&file).info.ignored, ["sample_rate: 0; expected 1000 to 768000"]);
}
