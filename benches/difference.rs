//! Time of the comparison of two sounds of 60 s, stereo, at 48 kHz: each measure, and the alignment. `cargo bench
//! --no-default-features --features measure --bench difference`

#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use isotherm::audio::{Audio, generate};
use isotherm::measure::{Comparison, MEASURES, MeasureFn, align, find_passage, worst_windows};

const SAMPLE_RATE: u32 = 48_000;
/// Length of the sounds in seconds.
const SECONDS: usize = 60;

/// Music of [`SECONDS`], and the same saturated.
fn sounds() -> (Audio, Audio) {
    let phrase = generate::guitar(SAMPLE_RATE, 2, 1).unwrap();
    let times = (SECONDS as f64 / phrase.seconds()).ceil() as usize;
    let reference = Audio::concatenate(&vec![&phrase; times]).unwrap().slice(..SECONDS * SAMPLE_RATE as usize).unwrap();
    let mut test = reference.clone();
    test.as_planar_mut().iter_mut().for_each(|x| *x = (1.5 * *x).tanh() / 1.5);
    (reference, test)
}

fn difference(criterion: &mut Criterion) {
    let (reference, test) = sounds();
    let mut group = criterion.benchmark_group("60 s stereo");
    group.sample_size(10).warm_up_time(Duration::from_millis(1)).measurement_time(Duration::from_secs(2));
    group.bench_function("align", |bencher| bencher.iter(|| black_box(align(&reference, &test).unwrap())));
    let hour = 3600 * SAMPLE_RATE as usize;
    group.bench_function("find the passage in an hour", |bencher| {
        bencher.iter(|| {
            // The sound again and again.
            let read = |from: usize, piece: &mut Audio| -> Result<(), std::convert::Infallible> {
                for (to, samples) in piece.iter_mut().zip(test.iter()) {
                    to.iter_mut().zip(samples.iter().cycle().skip(from % samples.len())).for_each(|(to, x)| *to = *x);
                }
                Ok(())
            };
            black_box(find_passage(&reference, hour, read).unwrap())
        });
    });
    let mut alignment = align(&reference, &test).unwrap();
    // A delay between frames, so that the sinc runs.
    alignment.delay_frames = 0.5;
    group.bench_function("apply", |bencher| bencher.iter(|| black_box(alignment.apply(&test, test.frames()))));
    for row in MEASURES {
        match row.function {
            // A new comparison each time, which has computed nothing yet.
            MeasureFn::Comparison(run) => group.bench_function(row.id, |bencher| {
                bencher.iter(|| black_box(run(&Comparison::new(&reference, &test).unwrap())));
            }),
            MeasureFn::Sound(run) => group.bench_function(row.id, |bencher| bencher.iter(|| black_box(run(&test)))),
            _ => continue,
        };
    }
    group.bench_function("worst windows", |bencher| {
        bencher.iter(|| black_box(worst_windows(&Comparison::new(&reference, &test).unwrap(), 0.4, 10)));
    });
    // Figures that a report needs of two sounds, each once.
    group.bench_function("all", |bencher| {
        bencher.iter(|| {
            let found = align(&reference, &test).unwrap();
            let aligned = found.apply(&test, reference.frames());
            let comparison = Comparison::new(&reference, &aligned).unwrap();
            let figures: Vec<f64> = MEASURES.iter().filter_map(|row| row.compare(&comparison)).collect();
            black_box((figures, worst_windows(&comparison, 0.4, 10)))
        });
    });
    group.finish();
}

criterion_group!(benches, difference);
criterion_main!(benches);
