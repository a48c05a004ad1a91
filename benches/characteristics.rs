//! Time to measure one effect alone, and to analyse a second of sound.
//! `cargo bench --no-default-features --features measure,models --bench characteristics`

#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use isotherm::audio::generate;
use isotherm::effect::Effect;
use isotherm::measure::analyser::{AnalyserSettings, SpectrumStream};
use isotherm::measure::{
    WORKING_LEVEL_DBFS, aliasing_curve, characterise, harmonic_sweep, harmonics_over_level, intermodulation, linear_response,
};
use isotherm::neural::Model;

const RATE: u32 = 48_000;

/// The saturator at 24 dB and its twin, as they ship.
fn effects() -> [(&'static str, Effect); 2] {
    let twin = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/models/saturator-24db-lstm16.nam");
    let twin = Effect::from_id("neural").unwrap().with_model(Model::open(&twin).unwrap());
    [("saturator", Effect::from_id("saturator").unwrap().with("drive", 24.0)), ("LSTM-16", twin)]
}

fn characteristics(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("characteristics");
    group.sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(5));
    for (name, effect) in effects() {
        group.bench_function(format!("{name}/all"), |bencher| {
            bencher.iter(|| characterise(black_box(&effect), RATE).unwrap());
        });
        group.bench_function(format!("{name}/response"), |bencher| {
            bencher.iter(|| linear_response(black_box(&effect), RATE).unwrap());
        });
        group.bench_function(format!("{name}/sweep"), |bencher| {
            bencher.iter(|| harmonic_sweep(black_box(&effect), RATE, WORKING_LEVEL_DBFS).unwrap());
        });
        group.bench_function(format!("{name}/levels"), |bencher| {
            bencher.iter(|| harmonics_over_level(black_box(&effect), RATE, 1000.0).unwrap());
        });
        group.bench_function(format!("{name}/intermodulation"), |bencher| {
            bencher.iter(|| intermodulation(black_box(&effect), RATE).unwrap());
        });
        group.bench_function(format!("{name}/aliasing"), |bencher| {
            bencher.iter(|| aliasing_curve(black_box(&effect), RATE).unwrap());
        });
    }
    group.finish();
}

fn analyser(criterion: &mut Criterion) {
    let sound = generate::guitar(RATE, 2, 1).unwrap().slice(..RATE as usize).unwrap();
    let mut group = criterion.benchmark_group("analyser, a second of stereo");
    group.sample_size(20).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
    let settings = AnalyserSettings { difference: Some((0, 1)), ..AnalyserSettings::default() };
    for (name, settings) in [
        ("spectra", settings),
        ("with smoothing and hold", AnalyserSettings { smoothing_octaves: 1.0 / 6.0, hold: true, ..settings }),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter_batched_ref(
                || SpectrumStream::new(RATE, 2, settings).unwrap(),
                |stream| {
                    for frame in (0..sound.frames() - 512).step_by(512) {
                        stream.push(&[&sound.channel(0)[frame..frame + 512], &sound.channel(1)[frame..frame + 512]]);
                    }
                    black_box(stream.spectra())
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, characteristics, analyser);
criterion_main!(benches);
