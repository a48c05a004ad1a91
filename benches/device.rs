//! What a block of a device costs in its callback, of the 5333 us that it lasts.
//! `cargo bench --no-default-features --features device --bench device`

use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use isotherm::algorithm;
use isotherm::device::{Capture, Client, Granted, Host, Input, Monitor, SampleFormat, Sides};
use isotherm::dsp::{Settings as Parameters, Spec};
use isotherm::graph::Meter;
use isotherm::record::{Recorder, Settings, Start};
use isotherm::slots::{Heard, Slots};

const CHANNELS: usize = 32;
const RATE: u32 = 48_000;
const FRAMES: usize = 256;
/// Blocks that are given in a row; the ring of ten seconds holds 1875.
const ROW: u32 = 1500;
/// Meanwhile the ring is emptied, three times over.
const REST: Duration = Duration::from_millis(150);

fn granted(format: SampleFormat) -> Granted {
    Granted {
        host: Host::File,
        device: "none".into(),
        sample_rate: RATE,
        format,
        channels: CHANNELS,
        period_frames: FRAMES,
        buffer_frames: FRAMES,
        outputs: 2,
    }
}

/// So many times the mean time of a block in a row.
fn rows(times: u64, mut block: impl FnMut()) -> Duration {
    let row = |_| {
        std::thread::sleep(REST);
        let begun = Instant::now();
        (0..ROW).for_each(|_| block());
        begun.elapsed() / ROW
    };
    (0..times).map(row).sum()
}

fn all(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("a block of 32 channels x 256 frames");
    let floats = vec![vec![0.1f32; FRAMES]; CHANNELS];
    let integers = vec![vec![1i32 << 28; FRAMES]; CHANNELS];
    let floats: Vec<&[f32]> = floats.iter().map(Vec::as_slice).collect();
    let integers: Vec<&[i32]> = integers.iter().map(Vec::as_slice).collect();
    for (format, input) in [(SampleFormat::Float, Input::Floats(&floats)), (SampleFormat::S32, Input::Integers(&integers))] {
        let granted = granted(format);
        // A recorder that waits: what it gets is not written, so that no disk is measured.
        let mut settings = Settings::new(std::env::temp_dir(), "bench", RATE, CHANNELS);
        (settings.words, settings.start) = (format.words(), Start::Hand);
        let (recorder, writer) = Recorder::open(settings).expect("a folder for temporary files");
        let meter = Meter::new(CHANNELS);
        let mut capture = Capture::new(writer, &meter, &granted);
        group.bench_function(format!("{}, recorded and metered", format.name()), |b| {
            b.iter_custom(|times| rows(times, || capture.process(0, input, &mut [])));
        });
        drop(capture);
        drop(recorder.close());

        let spec = Spec { sample_rate: RATE as f32, channels: 1, max_frames: FRAMES };
        let saturator = Parameters::new(algorithm::find("saturator").expect("it is registered"));
        let slots = Slots::compile(spec, &[saturator.into()], Heard::Slot(0), None).expect("a slot");
        let mut monitor = Monitor::new(slots.into_plan(), Sides::each(&[0]), &granted, None);
        let (mut left, mut right) = ([0.0; FRAMES], [0.0; FRAMES]);
        group.bench_function(format!("{}, one channel heard through the saturator", format.name()), |b| {
            b.iter(|| monitor.process(0, input, &mut [&mut left, &mut right]));
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_secs(5));
    targets = all
}
criterion_main!(benches);
