//! Fuzzes the reader of models with any bytes.
#![no_main]

use isotherm::neural::Model;
use libfuzzer_sys::fuzz_target;

mod common;

fuzz_target!(|bytes: &[u8]| {
    common::check(bytes);
    // Bytes that are not JSON get to the recognition of ONNX, which this build only refuses.
    if !bytes.trim_ascii_start().starts_with(b"{") {
        assert!(Model::read(bytes.to_vec()).is_err());
    }
});
