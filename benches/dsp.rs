//! Time per sample of each algorithm, one channel. `cargo bench --no-default-features --features measure --bench dsp`

#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use isotherm::algorithm;
use isotherm::audio::Random;
use isotherm::dsp::{ProcessSpec, Settings};

const SAMPLE_RATE: f32 = 48_000.0;
const BLOCK: usize = 256;

/// Returns a block of uniform noise whose RMS level is 12 dB below that of a full-scale sine.
fn noise() -> Vec<f32> {
    let mut random = Random::new(1);
    (0..BLOCK).map(|_| random.within(-0.3, 0.3)).collect()
}

/// Returns the settings of the algorithm `id` with these values; its other parameters are at their defaults.
fn settings(id: &str, values: &[(&str, f32)]) -> Settings {
    values.iter().fold(Settings::new(algorithm::find(id).unwrap()), |s, (id, value)| s.with(id, *value))
}

fn algorithms(criterion: &mut Criterion) {
    // A saturator with nothing but curve and tone. A tone of 20 kHz is off, and oversampling is an index: 1x, 2x, 4x, 8x.
    let plain = [("oversampling", 0.0), ("dc_blocker", 0.0), ("compensation", 0.0)];
    let saturator = |more: &[(&'static str, f32)]| settings("saturator", &[&plain[..], more].concat());
    let crusher = |values: &[(&str, f32)]| settings("bitcrusher", values);
    let cases = [
        ("saturator/reference", saturator(&[("tone", 20_000.0)])),
        ("saturator/6 dB tone", saturator(&[])),
        ("saturator/12 dB tone", saturator(&[("slope", 1.0)])),
        ("saturator/6 dB tone, DC blocker", saturator(&[("dc_blocker", 1.0)])),
        ("saturator/default", settings("saturator", &[])),
        ("saturator/2x", saturator(&[("tone", 20_000.0), ("oversampling", 1.0)])),
        ("saturator/4x", saturator(&[("tone", 20_000.0), ("oversampling", 2.0)])),
        ("saturator/8x", saturator(&[("tone", 20_000.0), ("oversampling", 3.0)])),
        ("saturator/antialiasing", saturator(&[("tone", 20_000.0), ("antialiasing", 1.0)])),
        ("saturator/antialiasing 2x", saturator(&[("tone", 20_000.0), ("antialiasing", 1.0), ("oversampling", 1.0)])),
        ("bitcrusher/default", crusher(&[])),
        ("bitcrusher/TPDF dither", crusher(&[("dither", 2.0)])),
        ("bitcrusher/rate", crusher(&[("rate", 11_025.0)])),
        ("bitcrusher/rate, jitter", crusher(&[("rate", 11_025.0), ("jitter", 20.0)])),
        ("bitcrusher/filters", crusher(&[("pre_filter", 8000.0), ("post_filter", 8000.0)])),
        ("clipper/hard 1x", settings("clipper", &[("shape", 0.0), ("oversampling", 0.0)])),
        ("clipper/default", settings("clipper", &[])),
    ];
    let mut group = criterion.benchmark_group("mono");
    group.throughput(Throughput::Elements(BLOCK as u64));
    group.sample_size(20).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    for (name, settings) in cases {
        let mut processor = settings.prepare(ProcessSpec::new(SAMPLE_RATE, 1, BLOCK)).unwrap();
        let input = noise();
        group.bench_function(name, |bencher| {
            bencher.iter_batched_ref(
                || input.clone(),
                |samples| processor.process(black_box(&mut [samples.as_mut_slice()])),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, algorithms);
criterion_main!(benches);
