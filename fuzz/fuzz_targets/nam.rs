//! Fuzzes the `config` of a `.nam` file. The first byte of the input chooses the architecture. The file gets as many weights as
//! the reader expects, so that the fuzzer searches among the shapes.
#![no_main]

use libfuzzer_sys::fuzz_target;

mod common;

const ARCHITECTURES: [&str; 5] = ["WaveNet", "LSTM", "ConvNet", "Linear", "SlimmableContainer"];
const MAX_WEIGHTS: usize = 20_000;

fuzz_target!(|bytes: &[u8]| {
    let Some((first, config)) = bytes.split_first() else { return };
    let architecture = ARCHITECTURES[usize::from(*first) % ARCHITECTURES.len()];
    let file = |weights: usize| {
        let mut text = format!("{{\"version\":\"0.6.0\",\"architecture\":\"{architecture}\",\"weights\":[").into_bytes();
        text.extend((0..weights).map(|i| ["0.25", "-0.5", "1"][i % 3]).collect::<Vec<_>>().join(",").bytes());
        text.extend(b"],\"config\":");
        text.extend(config);
        text.push(b'}');
        text
    };
    let Some(error) = common::check(&file(0)) else { return };
    let Some(count) = error.strip_prefix("weights: 0 numbers; expected ").and_then(|n| n.parse().ok()) else { return };
    if count <= MAX_WEIGHTS {
        let error = common::check(&file(count));
        assert!(!error.as_ref().is_some_and(|e| e.starts_with("weights: ") && e.contains("numbers")), "{count}: {error:?}");
    }
});
