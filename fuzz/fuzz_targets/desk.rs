//! Fuzzes the packets of a desk. The input is a sequence of packets, each after a byte with its length. A packet is decoded,
//! or it is an error in one line; then tracks and names are made from all messages.
#![no_main]

use isotherm::desk::Desk;
use isotherm::desk::osc::{Value, decode, encode, meters};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut rest = bytes;
    let mut messages = Vec::new();
    while let Some((length, after)) = rest.split_first() {
        let (packet, after) = after.split_at(after.len().min(usize::from(*length)));
        match decode(packet) {
            Ok(message) => messages.push(message),
            Err(error) => {
                let line = error.to_string();
                assert!(!line.is_empty() && !line.contains('\n') && line.len() < 200, "{line}");
            }
        }
        rest = after;
    }
    for message in &messages {
        for value in &message.values {
            if let Value::Blob(blob) = value {
                assert!(meters(blob).is_none_or(|levels| levels.len() * 4 < blob.len()));
            }
        }
        let again = decode(&encode(message)).expect("a decoded message can be encoded and decoded");
        assert_eq!(encode(&again), encode(message));
    }
    let desk = Desk::from_messages(([127, 0, 0, 1], 10023).into(), &messages);
    assert_eq!(desk.tracks().len(), 32);
    let names = desk.stem_names(&(1..=33).collect::<Vec<_>>());
    assert!(names.iter().all(|name| !name.is_empty() && name.len() <= 120));
    for note in desk.notes() {
        assert!(!note.contains('\n'), "{note}");
    }
    let _ = desk.check_device(48_000, 32);
});
