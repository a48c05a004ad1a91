//! Randomly damaged files are read, or are an error in one line.

use super::*;

/// A small file of every kind.
fn seeds() -> Vec<String> {
    let mut random = RandomModels::new(20);
    let (_, dense) = keras_dense(&mut random, 1, 1);
    let lstm = random_lstm(&mut random, 1, 2);
    let head = random.conv(2, 1, 1, 1, 1, true);
    let (_, mut slim) = wavenet_of_0_5(&mut random);
    slim["config"]["layers"][0]["slimmable"] =
        json!({"method": "slice_channels_uniform", "kwargs": {"allowed_channels": [1, 3]}});
    let (_, wavenet) = random_wavenet(&mut RandomModels::new(21), 1, 0);
    let conv_net = json!({"channels": 1, "dilations": [1, 2], "batchnorm": true, "activation": "ReLU"});
    let container = json!({"submodels": [{"max_value": 1, "model": lstm_file(std::slice::from_ref(&lstm), &head)}]});
    [
        nam("Linear", json!({"receptive_field": 3, "bias": true}), &[1.0, 2.0, 3.0, 4.0]),
        nam("ConvNet", conv_net, &[0.5; 2 + 5 + 2 + 5 + 2]),
        lstm_file(std::slice::from_ref(&lstm), &head),
        slim,
        wavenet,
        nam("SlimmableContainer", container, &[]),
        json!({"in_shape": [null, 1], "in_skip": 1, "layers": [dense], "input_batch": [[1]], "output_batch": [1]}),
        proteus(&mut random, "LSTM", 1, 2, 1).1,
        proteus(&mut random, "GRU", 2, 1, 1).1,
    ]
    .map(|file| file.to_string())
    .into()
}

fn apply(text: &mut Vec<u8>, damage: &Damage) {
    let length = text.len().max(1);
    match *damage {
        Damage::Byte(at, byte) => {
            if let Some(b) = text.get_mut(at % length) {
                *b = byte;
            }
        }
        Damage::Cut(at) => text.truncate(at % length),
        Damage::Remove(at, n) => {
            let at = (at % length).min(text.len());
            text.drain(at..(at + n).min(text.len()));
        }
        Damage::Repeat(at, n) => {
            let at = (at % length).min(text.len());
            let part = text[at..(at + n).min(text.len())].to_vec();
            text.splice(at..at, part);
        }
        Damage::Number(n, number) => {
            let part = |b: u8| b.is_ascii_digit() || b"-+.eE".contains(&b);
            let starts: Vec<usize> = (1..text.len())
                .filter(|i| (text[*i].is_ascii_digit() || text[*i] == b'-') && b"[,:".contains(&text[i - 1]))
                .collect();
            let Some(start) = (!starts.is_empty()).then(|| starts[n % starts.len()]) else { return };
            let end = (start..text.len()).find(|i| !part(text[*i])).unwrap_or(text.len());
            text.splice(start..end, number.bytes());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_damaged_file_is_read_or_is_an_error_in_one_line(which in any::<usize>(), changes in prop::collection::vec(damage(), 1..4)) {
        thread_local!(static SEEDS: Vec<String> = seeds());
        let mut text = SEEDS.with(|seeds| seeds[which % seeds.len()].clone()).into_bytes();
        changes.iter().for_each(|c| apply(&mut text, c));
        match ParsedModel::read(&text) {
            Ok(parsed) => prop_assert!(!parsed.sizes.is_empty() && parsed.sizes.iter().all(|s| s.architecture.is_some())),
            Err(e) => {
                let line = e.to_string();
                prop_assert!(!line.is_empty() && !line.contains(['\n', '\r']) && line.len() < 500, "{}", line);
            }
        }
    }

    #[test]
    fn a_damaged_nam_file_that_is_read_is_exported_with_longer_dilations_or_refused_in_one_line(
        which in any::<usize>(),
        changes in prop::collection::vec(damage(), 1..3),
        n in prop::sample::select(vec![2, 4]),
    ) {
        thread_local!(static SEEDS: Vec<String> = seeds());
        let mut text = SEEDS.with(|seeds| seeds[which % 6].clone()).into_bytes();
        changes.iter().for_each(|c| apply(&mut text, c));
        let Ok(parsed) = ParsedModel::read(&text) else { return Ok(()) };
        let architectures: Vec<Architecture> = parsed.sizes.into_iter().filter_map(|s| s.architecture).collect();
        let original = Model::read(text).expect("read once, read again");
        match original.oversampled(n) {
            Ok(exported) => {
                for (old, new) in architectures.iter().zip(exported.sizes()) {
                    prop_assert!(new.architecture == oversample::with_longer_dilations(old, n));
                }
                // Larger ones would take seconds.
                let work = |a: &Architecture| a.receptive_field().unwrap_or(0) * parsed.info.parameters;
                if architectures.iter().all(|a| work(a) < 1_000_000) {
                    prop_assert!(original.check_oversampled(&exported, n).is_ok());
                }
            }
            Err(error) => {
                let line = error.to_string();
                prop_assert!(!line.is_empty() && !line.contains(['\n', '\r']) && line.len() < 500, "{}", line);
            }
        }
    }
}
