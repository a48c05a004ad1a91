//! Fuzzes a Proteus file, starting at the value of its key `model_data`.
#![no_main]

use libfuzzer_sys::fuzz_target;

mod common;

fuzz_target!(|rest: &[u8]| {
    common::check(&[b"{\"model_data\":", rest].concat());
});
