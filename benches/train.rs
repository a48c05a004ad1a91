//! Time of a training step: recurrent networks with 32 sequences of 2048 frames, convolutional ones with 16 of 8192.

#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use isotherm::effect::Effect;
use isotherm::train::{Design, Material, Trainer, TrainingConfig};

fn steps(c: &mut Criterion) {
    let effect = Effect::from_id("saturator").expect("a row").with("drive", 24.0);
    let material = Arc::new(Material::of_effect(&effect, 48_000, 20.0, 1).expect("material"));
    let mut group = c.benchmark_group("train_step");
    group.sample_size(20);
    for name in ["lstm-8", "lstm-16", "gru-16", "tcn-8x4", "tcn-8x16", "wavenet-nano"] {
        for threads in [1, 2] {
            let design = Design::parse(name).expect("a name");
            // The batches for which the figures of other trainers are published, not this trainer's defaults.
            let (sequences, frames) = if matches!(design, Design::Recurrent(_)) { (32, 2048) } else { (16, 8192) };
            let config = TrainingConfig { threads, sequences, frames, ..TrainingConfig::new(design, u64::MAX) };
            let mut trainer = Trainer::new(config, material.clone()).expect("a config");
            group.bench_function(format!("{name}/threads_{threads}"), |b| b.iter(|| black_box(trainer.step())));
        }
    }
    group.finish();
}

criterion_group!(benches, steps);
criterion_main!(benches);
