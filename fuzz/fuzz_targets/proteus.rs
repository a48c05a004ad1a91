//! What stands in a Proteus file behind its `model_data` key.
#![no_main]

use libfuzzer_sys::fuzz_target;

mod common;

fuzz_target!(|rest: &[u8]| {
    common::check(&[b"{\"model_data\":", rest].concat());
});
