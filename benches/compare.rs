//! Time of a whole comparison without time, on all cores.
//! `cargo bench --no-default-features --features compare --bench compare`

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use isotherm::audio::wav::{WavFormat, write};
use isotherm::audio::{Audio, generate};
use isotherm::compare::{Request, SoundSource, compare, write as write_report};
use isotherm::measure::bench::BenchSpec;

/// Seconds of the long sound, and of each sound of the folder.
const LONG_SECONDS: usize = 60;
const SHORT_SECONDS: usize = 30;
/// Number of sounds in the folder.
const SOUNDS: usize = 10;

/// A stereo sound of guitar and drums, repeated.
fn music(seconds: usize) -> Audio {
    let (guitar, drums) = (generate::guitar(48_000, 2, 1).unwrap(), generate::drums(48_000, 2, 1).unwrap());
    let parts: Vec<&Audio> = [&guitar, &drums].into_iter().cycle().take(seconds.div_ceil(8)).collect();
    Audio::concatenate(&parts).unwrap().slice(..seconds * 48_000).unwrap()
}

fn comparisons(criterion: &mut Criterion) {
    let home = tempfile::tempdir().unwrap();
    let file = |name: &str, audio: &Audio| {
        let path = home.path().join(name);
        write(&path, audio, WavFormat::Float32).unwrap();
        SoundSource::File(path)
    };
    let long = vec![file("long.wav", &music(LONG_SECONDS))];
    let short = music(SHORT_SECONDS);
    let folder: Vec<SoundSource> = (0..SOUNDS).map(|i| file(&format!("{i}.wav"), &short)).collect();
    let twin = concat!("neural model=", env!("CARGO_MANIFEST_DIR"), "/assets/models/saturator-24db-lstm16.nam");
    let mut group = criterion.benchmark_group("compare");
    group.sample_size(10).measurement_time(Duration::from_secs(30));
    for (name, sounds) in [("60 s of stereo, with the report", long), ("10 files of 30 s of stereo", folder)] {
        let request = Request {
            a: "saturator drive=24".parse().unwrap(),
            b: twin.parse().unwrap(),
            sounds,
            blocks: BenchSpec::default().blocks,
            cost_seconds: 0.0,
            in_detail: true,
            limits: Vec::new(),
            command: String::new(),
        };
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                write_report(&compare(&request, &|_| true).unwrap(), &home.path().join("report"), true, &|| true).unwrap()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, comparisons);
criterion_main!(benches);
