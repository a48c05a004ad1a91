//! Any bytes as a model of any kind.
#![no_main]

use isotherm::neural::Model;
use libfuzzer_sys::fuzz_target;

mod common;

fuzz_target!(|bytes: &[u8]| {
    common::check(bytes);
    // Bytes that are no JSON: the recognition of ONNX.
    if !bytes.trim_ascii_start().starts_with(b"{") {
        assert!(Model::read(bytes.to_vec()).is_err());
    }
});
