//! Fuzzes a Proteus file from the value of its key `model_data` on.
#![no_main]

use libfuzzer_sys::fuzz_target;

mod common;

fuzz_target!(|rest: &[u8]| {
    common::check(&[b"{\"model_data\":", rest].concat());
});
