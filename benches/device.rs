//! Time that a device's callback takes for a block of 5333 us, for recording and for monitoring.
//!
//! `cargo bench --no-default-features --features device --bench device`

#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use isotherm::algorithm;
use isotherm::device::{Capture, Client, GrantedConfig, Host, InputBlock, Monitor, MonitorRouting, SampleFormat};
use isotherm::dsp::{ProcessSpec, Settings};
use isotherm::graph::Meter;
use isotherm::record::{Recorder, RecorderSettings, StartTrigger};
use isotherm::slots::{Listen, Slots};

const CHANNELS: usize = 32;
const RATE: u32 = 48_000;
const FRAMES: usize = 256;
/// Number of blocks that are timed together. The recorder's ring, ten seconds long, holds 1875.
const BATCH: u32 = 1500;
/// Pause between two batches, in which the recorder empties the ring, for which it needs a third of the pause.
const PAUSE: Duration = Duration::from_millis(150);

/// Returns the configuration of the device.
fn granted(format: SampleFormat) -> GrantedConfig {
    GrantedConfig {
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

/// Times `block` in `times` batches. Returns the sum of the mean time of each batch.
fn time_batches(times: u64, mut block: impl FnMut()) -> Duration {
    let batch = |_| {
        std::thread::sleep(PAUSE);
        let begun = Instant::now();
        (0..BATCH).for_each(|_| block());
        begun.elapsed() / BATCH
    };
    (0..times).map(batch).sum()
}

/// Benchmarks recording and monitoring for floats and integers.
fn bench_clients(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("a block of 32 channels x 256 frames");
    let floats = vec![vec![0.1f32; FRAMES]; CHANNELS];
    let integers = vec![vec![1i32 << 28; FRAMES]; CHANNELS];
    let floats: Vec<&[f32]> = floats.iter().map(Vec::as_slice).collect();
    let integers: Vec<&[i32]> = integers.iter().map(Vec::as_slice).collect();
    for (format, input) in
        [(SampleFormat::Float, InputBlock::Floats(&floats)), (SampleFormat::S32, InputBlock::Integers(&integers))]
    {
        let granted = granted(format);
        // The recorder waits for a start and writes nothing, so that no disk is measured.
        let mut settings = RecorderSettings::new(std::env::temp_dir(), "bench", RATE, CHANNELS);
        (settings.word_format, settings.start) = (format.word_format(), StartTrigger::Manual);
        let (recorder, writer) = Recorder::open(settings).expect("a folder for temporary files");
        let meter = Meter::new(CHANNELS);
        let mut capture = Capture::new(writer, &meter, &granted);
        group.bench_function(format!("{}, recorded and metered", format.name()), |b| {
            b.iter_custom(|times| time_batches(times, || capture.process(0, input, &mut [])));
        });
        drop(capture);
        drop(recorder.close());

        let spec = ProcessSpec::new(RATE as f32, 1, FRAMES);
        let saturator = Settings::new(algorithm::find("saturator").expect("it is registered"));
        let slots = Slots::compile(spec, &[saturator.into()], Listen::Slot(0), None).expect("a slot");
        let mut monitor = Monitor::new(slots.into_plan(), MonitorRouting::one_to_one(&[0]), &granted, None);
        let (mut left, mut right) = ([0.0; FRAMES], [0.0; FRAMES]);
        group.bench_function(format!("{}, one channel monitored through the saturator", format.name()), |b| {
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
    targets = bench_clients
}
criterion_main!(benches);
