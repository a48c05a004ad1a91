//! Time that a graph takes besides the work of its effects. `cargo bench --no-default-features --features measure --bench graph`

#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use isotherm::algorithm::REGISTRY;
use isotherm::dsp::ProcessSpec;
use isotherm::effect::Effect;
use isotherm::graph::Builder;
use isotherm::slots::{Listen, Meters, Slots};

const CHANNELS: usize = 32;
const FRAMES: usize = 256;

fn plans(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("32 channels x 256 frames");
    let input = vec![vec![0.1f32; FRAMES]; CHANNELS];
    let mut output = input.clone();

    let mut builder = Builder::new(48_000.0);
    let mut bus = builder.input(CHANNELS);
    for _ in 0..5 {
        bus = builder.gain(bus, 0.0);
    }
    builder.output(bus);
    let mut plan = builder.compile().unwrap();
    let ins: Vec<&[f32]> = input.iter().map(Vec::as_slice).collect();
    group.bench_function("five nodes that do nothing", |b| {
        b.iter(|| {
            let mut outs: Vec<&mut [f32]> = output.iter_mut().map(Vec::as_mut_slice).collect();
            plan.run(&[black_box(&ins)], &mut [&mut outs], FRAMES);
        });
    });

    // The plug-in's plan with a constant input. After the first 1000 blocks (5 s) the processors of both slots sleep.
    let spec = ProcessSpec::new(48_000.0, CHANNELS, FRAMES);
    let effects = [Effect::new(REGISTRY[0]), Effect::new(REGISTRY[1])];
    for (name, meters) in [("both slots at rest", None), ("both slots at rest, with meters", Some(Meters::new(CHANNELS)))] {
        let mut slots = Slots::compile(spec, &effects, Listen::Slot(0), meters.as_ref()).unwrap();
        let mut block = input.clone();
        let mut play = |blocks: usize| {
            for _ in 0..blocks {
                for (to, from) in block.iter_mut().zip(&input) {
                    to.copy_from_slice(from);
                }
                let mut views: Vec<&mut [f32]> = block.iter_mut().map(Vec::as_mut_slice).collect();
                slots.process(black_box(&mut views));
            }
        };
        play(1000);
        group.bench_function(name, |b| b.iter(|| play(1)));
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(1)).warm_up_time(Duration::from_millis(300));
    targets = plans
}
criterion_main!(benches);
