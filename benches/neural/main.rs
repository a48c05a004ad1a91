//! Time per sample and channel of neural models, with AVX2 and with the best instruction set of the machine. The models are first
//! written as files into `target/tmp/models`, so that other engines can be measured with them (`benches/peers_onnx.py`).
//!
//! Run it with `cargo bench --no-default-features --bench neural`.

#![allow(clippy::unwrap_used)]

mod models;

use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use arrayvec::ArrayVec;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use isotherm::audio::Random;
use isotherm::dsp::MAX_CHANNELS;
use isotherm::neural::engine::{StateSpec, build};
use isotherm::neural::simd::SimdLevel;

const SAMPLE_RATE: f32 = 48_000.0;

/// White noise from -0.3 to 0.3.
fn noise(frames: usize) -> Vec<f32> {
    let mut random = Random::new(1);
    (0..frames).map(|_| random.within(-0.3, 0.3)).collect()
}

fn all(criterion: &mut Criterion) {
    let models = models::all();
    models::write(&models, &Path::new(env!("CARGO_TARGET_TMPDIR")).join("models")).unwrap();
    for (level, name) in [(SimdLevel::Avx2, "AVX2"), (SimdLevel::Avx512, "default")] {
        for (channels, blocks) in [(1, &[16, 64, 256][..]), (2, &[64]), (4, &[64]), (8, &[64]), (32, &[64])] {
            let mut group = criterion.benchmark_group(format!("neural/{name}, {channels} channels"));
            group.sample_size(20).warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(500));
            for model in &models {
                let network = build(&model.architecture, SAMPLE_RATE);
                for &frames in blocks {
                    let mut state = network.clone().state(StateSpec { level, ..StateSpec::new(channels) }).unwrap();
                    let input = noise(frames);
                    let mut block = vec![input.clone(); channels];
                    group.throughput(Throughput::Elements((frames * channels) as u64));
                    group.bench_function(format!("{}, blocks of {frames}", model.name), |bencher| {
                        bencher.iter(|| {
                            block.iter_mut().for_each(|samples| samples.copy_from_slice(&input));
                            let mut block: ArrayVec<_, MAX_CHANNELS> = block.iter_mut().map(Vec::as_mut_slice).collect();
                            state.process(black_box(&mut block), &[]);
                        });
                    });
                }
            }
            group.finish();
        }
    }
}

criterion_group!(benches, all);
criterion_main!(benches);
