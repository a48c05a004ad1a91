//! Tests of the graph: alignment, wiring, errors, queues, files, and that auto sleep changes no sample.

use std::time::{Duration, Instant};

use isotherm::algorithm::REGISTRY;
use isotherm::audio::wav::{NonFinitePolicy, WavFormat, read, write};
use isotherm::audio::{Audio, generate};
use isotherm::dsp::{Block, Delay, ParameterIndex, ProcessSpec, Processor, Settings};
use isotherm::graph::{Builder, CompileError, FileSink, FileSource, Plan, TapReceiver, queue, rolling_buffer};

/// A processor that delays by a number of frames, which is its latency.
struct DelayProcessor {
    channels: Vec<Delay>,
    frames: usize,
}

impl DelayProcessor {
    fn boxed(frames: usize, channels: usize) -> Box<dyn Processor> {
        Box::new(Self { channels: vec![Delay::new(frames); channels], frames })
    }
}

impl Processor for DelayProcessor {
    fn duplicate(&self) -> Option<Box<dyn Processor>> {
        None
    }
    fn set(&mut self, _: ParameterIndex, _: f32) {}
    fn reset(&mut self) {
        self.channels.iter_mut().for_each(Delay::reset);
    }
    fn process(&mut self, block: &mut Block<'_>) {
        for (delay, channel) in self.channels.iter_mut().zip(block.iter_mut()) {
            delay.process(channel);
        }
    }
    fn latency(&self) -> usize {
        self.frames
    }
    fn bytes(&self) -> usize {
        0
    }
}

/// The outputs of a plan with one input, run in blocks of `cut` frames: output, channel, frame.
fn play(plan: &mut Plan, x: &[Vec<f32>], outputs: usize, cut: usize) -> Vec<Vec<Vec<f32>>> {
    let frames = x[0].len();
    let mut y = vec![vec![vec![0.0; frames]; x.len()]; outputs];
    let mut at = 0;
    while at < frames {
        let n = cut.min(frames - at);
        let ins: Vec<&[f32]> = x.iter().map(|c| &c[at..at + n]).collect();
        let mut outs: Vec<Vec<&mut [f32]>> = y.iter_mut().map(|o| o.iter_mut().map(|c| &mut c[at..at + n]).collect()).collect();
        let mut outs: Vec<&mut [&mut [f32]]> = outs.iter_mut().map(Vec::as_mut_slice).collect();
        plan.run(&[&ins], &mut outs, n);
        at += n;
    }
    y
}

fn impulse(channels: usize, frames: usize, at: usize) -> Vec<Vec<f32>> {
    let mut x = vec![vec![0.0; frames]; channels];
    x.iter_mut().for_each(|c| c[at] = 1.0);
    x
}

#[test]
fn branches_of_different_latency_are_aligned_and_all_outputs_have_one_latency_at_any_block_size() {
    for cut in [1, 7, 64, 333, 1000] {
        let mut b = Builder::new(48_000.0);
        let input = b.input(32);
        let late = b.process(input, DelayProcessor::boxed(45, 32));
        let later = b.process(input, DelayProcessor::boxed(7, 32));
        let sum = b.mix(&[late, later, input]);
        b.output(sum);
        b.output(input);
        let mut plan = b.compile().unwrap();
        assert_eq!(plan.latency(), 45);
        for out in play(&mut plan, &impulse(32, 1000, 100), 2, cut).iter().zip([3.0, 1.0]) {
            for channel in out.0 {
                assert_eq!(channel[145], out.1, "cut {cut}");
                assert_eq!(channel.iter().filter(|v| **v != 0.0).count(), 1);
            }
        }
    }
}

/// The samples that taps received: tap, channel, frame.
struct RecordedTaps(Vec<Vec<Vec<f32>>>);

impl TapReceiver for RecordedTaps {
    fn write(&mut self, tap: usize, channel: usize, at: usize, samples: &[f32]) {
        self.0[tap][channel][at..at + samples.len()].copy_from_slice(samples);
    }
}

#[test]
fn taps_receive_the_outputs_after_the_first() {
    let mut b = Builder::new(48_000.0);
    let input = b.input(2);
    let loud = b.gain(input, 6.0);
    let late = b.process(input, DelayProcessor::boxed(45, 2));
    b.output(loud);
    b.output(input);
    b.output(late);
    let mut plan = b.compile().unwrap();
    let sound: Vec<Vec<f32>> = (0..2).map(|c| (0..1000).map(|i| (1 + i * 2 + c) as f32).collect()).collect();
    let expected = play(&mut plan, &sound, 3, 1000);
    plan.reset();
    let (mut block, mut taps) = (sound.clone(), RecordedTaps(vec![vec![vec![f32::NAN; 1000]; 2]; 2]));
    plan.run_tapped(&mut block.iter_mut().map(Vec::as_mut_slice).collect::<Vec<_>>(), &mut taps);
    assert_eq!((&block, &taps.0[..]), (&expected[0], &expected[1..]));
}

#[test]
fn nodes_in_a_row_share_one_storage_and_a_bus_that_is_read_twice_is_not_overwritten() {
    let mut b = Builder::new(48_000.0);
    let input = b.input(2);
    let a = b.gain(input, 6.0);
    let (a, _meter) = b.meter(a);
    let a = b.process(a, DelayProcessor::boxed(0, 2));
    b.output(a);
    assert_eq!(b.compile().unwrap().storages(), 1);

    let mut b = Builder::new(48_000.0);
    let input = b.input(1);
    let loud = b.gain(input, 20.0);
    let sum = b.mix(&[input, loud]);
    b.output(sum);
    let y = play(&mut b.compile().unwrap(), &impulse(1, 10, 3), 1, 64);
    assert!((y[0][0][3] - 11.0).abs() < 1e-5);
}

#[test]
fn split_and_join_keep_channels_in_order() {
    let mut b = Builder::new(48_000.0);
    let input = b.input(5);
    let low = b.split(input, 0..2);
    let high = b.split(input, 2..5);
    let reordered = b.join(&[high, low]);
    b.output(reordered);
    let x: Vec<Vec<f32>> = (0..5).map(|c| vec![c as f32; 100]).collect();
    let y = play(&mut b.compile().unwrap(), &x, 1, 33);
    let order: Vec<f32> = y[0].iter().map(|c| c[99]).collect();
    assert_eq!(order, [2.0, 3.0, 4.0, 0.0, 1.0]);
}

#[test]
fn a_switch_fades_out_and_in_for_5_ms_each_also_to_the_input_that_is_selected() {
    let make = || {
        let mut b = Builder::new(48_000.0);
        let input = b.input(1);
        let other = b.gain(input, -6.0);
        let switch = b.switch(&[input, other], 0);
        b.output(switch);
        (b.compile().unwrap(), switch)
    };
    let other = isotherm::dsp::db_to_gain(-6.0);
    for (target, end) in [(1, other), (0, 1.0)] {
        let (mut plan, switch) = make();
        let ones = vec![vec![1.0; 100]];
        assert_eq!(play(&mut plan, &ones, 1, 64)[0][0], ones[0]);
        plan.select(switch, target);
        let y = play(&mut plan, &[vec![1.0; 600]], 1, 77)[0][0].clone();
        assert!(y[239] < 1e-4 && y[240] < 1e-4);
        assert!(y[..239].windows(2).all(|w| w[1] < w[0]) && y[240..480].windows(2).all(|w| w[1] > w[0]));
        assert!(y[480..].iter().all(|v| *v == end));
        // A raised cosine: half the level in the middle.
        assert!((y[120] - 0.5).abs() < 0.01, "{}", y[120]);
    }
    let (mut plan, switch) = make();
    plan.select(switch, 1);
    assert_eq!(play(&mut plan, &[vec![1.0; 10]], 1, 64)[0][0], vec![other; 10], "at once before the first frame");
}

#[test]
fn each_wrong_graph_has_its_own_message() {
    let message = |build: &dyn Fn(&mut Builder)| {
        let mut b = Builder::new(48_000.0);
        build(&mut b);
        b.compile().err().map(|e| e.to_string()).unwrap_or_default()
    };
    assert_eq!(
        message(&|b| {
            let (one, two) = (b.input(1), b.input(2));
            b.mix(&[one, two]);
        }),
        "node 2 (mix) reads 2 channels; expected 1"
    );
    assert_eq!(
        message(&|b| {
            let input = b.input(2);
            b.split(input, 1..3);
        }),
        "node 1 (split) takes channels 1 to 3 of 2"
    );
    assert_eq!(
        message(&|b| {
            let foreign = Builder::new(48_000.0).input(2);
            b.output(foreign);
        }),
        "node 0 (output) reads a bus of another builder"
    );
    assert_eq!(
        message(&|b| {
            b.input(0);
        }),
        "node 0 (input) has 0 channels; expected 1 to 128"
    );
    assert_eq!(
        message(&|b| {
            b.mix(&[]);
        }),
        "node 0 (mix) reads nothing; expected one bus or more"
    );
    assert_eq!(
        message(&|b| {
            let input = b.input(1);
            b.switch(&[input], 1);
        }),
        "node 1 (switch) starts at input 1 of 1"
    );
    assert!(matches!(Builder::new(f32::NAN).compile(), Err(CompileError::SampleRate { .. })));
}

#[test]
fn sources_taps_rolling_taps_and_meters_pass_samples_between_threads() {
    let (mut write, source) = queue(2, 1000);
    let (tap, mut tapped) = queue(2, 1000);
    let (rolling_writer, rolling_reader) = rolling_buffer(2, 100);
    let mut b = Builder::new(48_000.0);
    let bus = b.source(source);
    let bus = b.gain(bus, 0.0);
    let bus = b.tap(bus, tap);
    let bus = b.tap_rolling(bus, rolling_writer);
    let (bus, meter) = b.meter(bus);
    b.output(bus);
    let mut plan = b.compile().unwrap();
    let ramp: Vec<f32> = (0..300).map(|i| i as f32 / 299.0).collect();
    write.write(&[&ramp, &ramp]);
    let mut out = vec![vec![9.0; 350]; 2];
    let mut ends: Vec<&mut [f32]> = out.iter_mut().map(Vec::as_mut_slice).collect();
    plan.run(&[], &mut [&mut ends], 350);
    assert_eq!(out[1][..300], ramp);
    assert_eq!(out[1][300..], [0.0; 50], "missing frames are silent");
    let mut read = vec![vec![0.0; 350]; 2];
    assert_eq!(tapped.read_available(&mut read), 350);
    assert_eq!(read, out);
    let mut last = [0.0; 100];
    assert_eq!(rolling_reader.last(1, &mut last), 350);
    assert_eq!(last, out[1][250..]);
    let level = meter.take(0).unwrap();
    assert_eq!((level.peak, level.clipped), (1.0, true));
    assert_eq!(meter.take(0).unwrap().peak, 0.0, "a reading restarts the peak");
}

#[test]
fn files_are_read_and_written_through_queues() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("in.wav"), folder.path().join("out.wav"));
    let sound = generate::white(44_100, 0.5, 50_000, 3).unwrap();
    let sound = Audio::from_channels(44_100, &[sound.channel(0), sound.channel(0)]).unwrap();
    write(&from, &sound, WavFormat::Float32).unwrap();
    let (source, mut reader) = FileSource::open(&from, NonFinitePolicy::Refuse, 1024).unwrap();
    assert_eq!((source.sample_rate(), source.channels(), source.frames()), (44_100, 2, 50_000));
    assert!(source.is_loading() && source.progress() < 0.5);
    let (sink, mut writer) = FileSink::create(&to, 44_100, 2, WavFormat::Float32, 1024).unwrap();
    let mut block = vec![vec![0.0; 777]; 2];
    loop {
        let n = reader.read(&mut block, Some(Duration::from_secs(10)));
        let part: Vec<&[f32]> = block.iter().map(|c| &c[..n]).collect();
        writer.write_all(&part);
        if n < 777 {
            break;
        }
    }
    assert!(!source.is_loading() && source.error().is_none() && source.progress() == 1.0);
    assert!(!to.exists(), "not before it is complete");
    assert_eq!(sink.finish(writer).unwrap().frames, 50_000);
    assert_eq!(read(&to).unwrap(), sound);

    let (sink, writer) = FileSink::create(&folder.path().join("never.wav"), 44_100, 2, WavFormat::Int24, 64).unwrap();
    sink.discard(writer);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left of a discarded file");

    let mut broken = std::fs::read(&from).unwrap();
    let nan = broken.len() - 4;
    broken[nan..].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(&from, broken).unwrap();
    let (source, mut reader) = FileSource::open(&from, NonFinitePolicy::Refuse, 100_000).unwrap();
    while !reader.is_finished() {
        reader.read(&mut block, Some(Duration::from_secs(10)));
    }
    assert!(source.error().unwrap().to_string().contains("49999"), "{}", source.error().unwrap());
}

/// A processor around another one that counts the frames that the inner one processes, not those that it skips.
struct CountingProcessor {
    inner: Box<dyn Processor>,
    /// Frames that the inner one has processed.
    processed: std::sync::Arc<std::sync::atomic::AtomicUsize>,
}

impl Processor for CountingProcessor {
    fn set(&mut self, parameter: ParameterIndex, value: f32) {
        self.inner.set(parameter, value);
    }
    fn reset(&mut self) {
        self.inner.reset();
    }
    fn process(&mut self, block: &mut Block<'_>) {
        self.processed.fetch_add(block[0].len(), std::sync::atomic::Ordering::Relaxed);
        self.inner.process(block);
    }
    fn latency(&self) -> usize {
        self.inner.latency()
    }
    fn skip(&mut self, frames: usize) -> bool {
        self.inner.skip(frames)
    }
    fn duplicate(&self) -> Option<Box<dyn Processor>> {
        None
    }
    fn bytes(&self) -> usize {
        self.inner.bytes()
    }
}

#[test]
fn auto_sleep_changes_no_sample() {
    let spec = ProcessSpec::new(48_000.0, 2, 64);
    for row in REGISTRY {
        let mut settings = Settings::new(row);
        if row.id == "bitcrusher" {
            settings = settings.with("rate", 7_000.0).with("pre_filter", 3_000.0);
        } else if row.id == "saturator" {
            settings = settings.with("bias", 0.3);
        }
        let processed = std::sync::Arc::default();
        let effect = CountingProcessor { inner: settings.prepare(spec).unwrap(), processed: std::sync::Arc::clone(&processed) };
        let mut always_awake = settings.prepare(spec).unwrap();
        let mut b = Builder::new(48_000.0);
        let input = b.input(2);
        let node = b.process(input, Box::new(effect));
        b.output(node);
        let mut plan = b.compile().unwrap();
        // Sound, three seconds of silence, sound, three seconds of a constant, sound.
        let noise = |n: usize, seed| generate::white(48_000, 0.5, n, seed).unwrap().channel(0).to_vec();
        let mut x = noise(10_000, 1);
        x.extend(vec![0.0; 144_000]);
        x.extend(noise(10_001, 2));
        x.extend(vec![0.25; 144_000]);
        x.extend(noise(10_000, 3));
        let x = vec![x.clone(), x];
        let y = play(&mut plan, &x, 1, 333);
        let mut z = x.clone();
        for at in (0..z[0].len()).step_by(64) {
            let to = (at + 64).min(z[0].len());
            let mut block: Vec<&mut [f32]> = z.iter_mut().map(|c| &mut c[at..to]).collect();
            always_awake.process(&mut block);
        }
        // Six seconds were constant; at most half of them may have been processed.
        let processed = processed.load(std::sync::atomic::Ordering::Relaxed);
        assert!(processed < 30_001 + 144_000, "{}: {processed} frames processed", row.id);
        assert!(y[0] == z, "{}: first difference at {:?}", row.id, (0..z[0].len()).find(|&i| y[0][0][i] != z[0][i]));
    }
}

#[test]
fn a_meter_falls_with_time_after_the_last_block() {
    let mut b = Builder::new(48_000.0);
    let input = b.input(1);
    let (metered, meter) = b.meter(input);
    b.output(metered);
    let mut plan = b.compile().unwrap();
    play(&mut plan, &[vec![0.5; 48_000]], 1, 1000);
    let begun = Instant::now();
    let level = meter.take(0).unwrap();
    assert!((level.rms - 0.5).abs() < 0.02 && meter.freshness(0) <= 1.0, "{level:?}");
    std::thread::sleep(Duration::from_millis(800));
    let (fallen, elapsed) = (meter.take(0).unwrap(), begun.elapsed().as_secs_f32());
    // Bounds of the decay: it begins at once, or only after the time in which a long block could still arrive.
    let lowest = (-elapsed / 0.6).exp();
    let highest = (-(0.8 - 0.2) / 0.6f32).exp();
    assert!(fallen.peak == 0.0 && (lowest * 0.48..=highest * 0.52).contains(&fallen.rms), "{fallen:?} after {elapsed} s");
    // New sound is shown at once.
    play(&mut plan, &[vec![0.5; 48_000]], 1, 1000);
    let level = meter.take(0).unwrap();
    assert!((level.rms - 0.5).abs() < 0.02 && level.peak == 0.5, "{level:?}");
}
