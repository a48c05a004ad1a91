//! Comparisons from sounds to the finished page.
#![cfg(feature = "compare")]
#![allow(clippy::unwrap_used)]

mod golden;
mod input;
mod page;
mod twins;

mod verdicts;

use isotherm::compare::{Finished, Request, SoundSource, compare};
use isotherm::measure::bench::BenchSpec;

/// A comparison without time, of two sides as a user writes them.
pub fn request(a: &str, b: &str, sounds: Vec<SoundSource>) -> Request {
    Request {
        a: a.parse().unwrap(),
        b: b.parse().unwrap(),
        sounds,
        blocks: BenchSpec::default().blocks,
        cost_seconds: 0.0,
        in_detail: true,
        limits: Vec::new(),
        command: String::new(),
    }
}

/// Makes a comparison that succeeds.
pub fn finish(a: &str, b: &str, sounds: Vec<SoundSource>) -> Finished {
    compare(&request(a, b, sounds), &|_| true).unwrap()
}

/// Path of a model that ships.
pub fn model(name: &str) -> String {
    format!("{}/assets/models/{name}", env!("CARGO_MANIFEST_DIR"))
}
