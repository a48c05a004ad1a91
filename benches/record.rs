//! What a take costs. `cargo bench --no-default-features --features record --bench record`

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use isotherm::audio::Format;
use isotherm::record::pcm::{Converter, Level, Words, float_words};

const CHANNELS: usize = 32;
const RATE: usize = 48_000;
const FRAMES: usize = 256;

/// A second of every channel, below full scale.
fn second() -> Vec<Vec<f32>> {
    (0..CHANNELS).map(|c| (0..RATE).map(|i| ((i * (c + 7)) % 1999) as f32 / 1000.0 - 0.9995).collect()).collect()
}

fn conversion(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("32 channels x 48 kHz, a second, to 24-bit");
    let planar = second();
    let interleaved: Vec<f32> = (0..RATE).flat_map(|i| planar.iter().map(move |c| c[i])).collect();
    let mut out = vec![0; RATE * 3];
    for level in [Level::Portable, Level::Avx2] {
        let converter = Converter::at(level, Words::Float, Format::Int24);
        group.bench_function(format!("planar, blocks of 256, {}", converter.level()), |b| {
            b.iter(|| {
                for at in (0..RATE).step_by(FRAMES) {
                    for channel in &planar {
                        let samples = &channel[at..RATE.min(at + FRAMES)];
                        converter.convert(black_box(float_words(samples)), &mut out[..samples.len() * 3]);
                    }
                }
            });
        });
        group.bench_function(format!("interleaved, blocks of 256, {}", converter.level()), |b| {
            b.iter(|| {
                for block in interleaved.chunks(FRAMES * CHANNELS) {
                    for channel in 0..CHANNELS {
                        let out = &mut out[..block.len() / CHANNELS * 3];
                        converter.convert_strided(black_box(&float_words(block)[channel..]), CHANNELS, out);
                    }
                }
            });
        });
    }
    let spec =
        hound::WavSpec { channels: 1, sample_rate: RATE as u32, bits_per_sample: 24, sample_format: hound::SampleFormat::Int };
    group.bench_function("hound in memory", |b| {
        b.iter(|| {
            for channel in &planar {
                let mut writer = hound::WavWriter::new(std::io::Cursor::new(Vec::with_capacity(200_000)), spec).unwrap();
                for x in channel {
                    writer.write_sample((black_box(x) * 8_388_608.0).round_ties_even() as i32).unwrap();
                }
                writer.finalize().unwrap();
            }
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(1)).warm_up_time(Duration::from_millis(300));
    targets = conversion
}
criterion_main!(benches);
