//! Fuzzes the list of layers of a Keras file.
#![no_main]

use libfuzzer_sys::fuzz_target;

mod common;

fuzz_target!(|layers: &[u8]| {
    common::check(&[b"{\"in_shape\":[null,null,1],\"layers\":", layers, b"}"].concat());
});
