//! What moving samples costs. `cargo bench --no-default-features --features measure --bench graph`

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use isotherm::algorithm::REGISTRY;
use isotherm::dsp::Spec;
use isotherm::effect::Effect;
use isotherm::graph::Builder;
use isotherm::slots::{Heard, Meters, Slots};

const CHANNELS: usize = 32;
const FRAMES: usize = 256;

fn all(criterion: &mut Criterion) {
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

    // The plug-in's plan in constant sound: after the first half second everything rests.
    let spec = Spec { sample_rate: 48_000.0, channels: CHANNELS, max_frames: FRAMES };
    let effects = [Effect::new(REGISTRY[0]), Effect::new(REGISTRY[1])];
    for (name, meters) in [("both slots at rest", None), ("both slots at rest, with meters", Some(Meters::new(CHANNELS)))] {
        let mut slots = Slots::compile(spec, &effects, Heard::Slot(0), meters.as_ref()).unwrap();
        let mut block = input.clone();
        let mut play = |n: usize| {
            for _ in 0..n {
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
    targets = all
}
criterion_main!(benches);
