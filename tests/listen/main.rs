//! Listening tests, from statistics to whole sessions.
#![cfg(feature = "listen")]
#![allow(clippy::unwrap_used)]

mod examiner;
mod live;
mod matching;
mod panels;
mod player;
mod record;
#[cfg(feature = "serve")]
mod serve;
#[cfg(feature = "serve")]
mod serve_page;
#[cfg(feature = "serve")]
mod served;
mod sides;
mod simulated;
mod staircase;
mod staircase_ladder;
mod staircase_record;
mod statistics;
mod summary;
mod webmushra;
mod words;

use isotherm_support::counting::CountingAllocator;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// A first-order high-pass at 10 Hz by the bilinear transform, as all paths have it, at 48 kHz.
fn high_pass(samples: &mut [f32]) {
    let w = (std::f64::consts::PI * 10.0 / 48_000.0).tan();
    let (gain, pole) = (1.0 / (1.0 + w), (1.0 - w) / (1.0 + w));
    let (mut before, mut y) = (0.0, 0.0);
    for x in samples {
        let now = f64::from(*x);
        y = gain * (now - before) + pole * y;
        before = now;
        *x = y as f32;
    }
}
