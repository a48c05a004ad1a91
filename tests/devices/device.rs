//! Tests of devices that need no sound card: a file stands in for one.

#[cfg(feature = "cli")]
mod program;

use isotherm_support::counting::allocations;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use isotherm::algorithm;
use isotherm::device::{
    self, Capture, Client, GrantedConfig, Host, InputBlock, Insert, Monitor, MonitorRouting, OpenRequest, SampleFormat, Session,
};
use isotherm::dsp::{ProcessSpec, Settings};
use isotherm::graph::{Meter, queue};
use isotherm::record::{Recorder, RecorderSettings, StartTrigger};
use isotherm::slots::{Listen, Slots};
use tempfile::TempDir;

const CHANNELS: usize = 5;
const RATE: usize = 48_000;

/// Returns a 24-bit sample that is different for each channel and frame.
fn code(channel: usize, frame: usize) -> i32 {
    ((frame * 977 + channel * 131_071) % 16_000_001) as i32 - 8_000_000
}

/// Writes a WAV file whose samples are those of [`code`]. Returns its path.
fn input(folder: &TempDir, frames: usize) -> PathBuf {
    let path = folder.path().join("in.wav");
    let spec = hound::WavSpec {
        channels: CHANNELS as u16,
        sample_rate: RATE as u32,
        bits_per_sample: 24,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(&path, spec).unwrap();
    (0..frames).for_each(|i| (0..CHANNELS).for_each(|c| writer.write_sample(code(c, i)).unwrap()));
    writer.finalize().unwrap();
    path
}

/// Returns the samples of a WAV file.
fn codes(path: &Path) -> Vec<i32> {
    hound::WavReader::open(path).unwrap().samples::<i32>().map(Result::unwrap).collect()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Returns the configuration of a device with five channels.
fn granted(format: SampleFormat) -> GrantedConfig {
    GrantedConfig {
        host: Host::File,
        device: "five".into(),
        sample_rate: RATE as u32,
        format,
        channels: CHANNELS,
        period_frames: 256,
        buffer_frames: 256,
        outputs: 2,
    }
}

/// Returns slots with a saturator.
fn slots(width: usize) -> Slots {
    let spec = ProcessSpec::new(RATE as f32, width, 256);
    let saturator = Settings::new(algorithm::find("saturator").unwrap());
    Slots::compile(spec, &[saturator.into()], Listen::Slot(0), None).unwrap()
}

/// A client that keeps the input of each channel.
struct RecordingClient(Arc<Mutex<Vec<Vec<i32>>>>);

impl Client for RecordingClient {
    fn process(&mut self, lost_frames: u64, input: InputBlock<'_>, output: &mut [&mut [f32]]) {
        assert_eq!((lost_frames, output.len()), (0, 1));
        let InputBlock::Integers(channels) = input else { panic!("integers stay integers") };
        assert!(output[0].len() == channels[0].len() && output[0].iter().all(|x| *x == 0.0));
        for (kept, channel) in self.0.lock().unwrap().iter_mut().zip(channels) {
            kept.extend_from_slice(channel);
        }
    }
}

#[test]
fn a_file_in_place_of_a_device_is_repeated_sample_for_sample() {
    let folder = tempfile::tempdir().unwrap();
    // Not a whole number of periods.
    let frames = 1000;
    let path = input(&folder, frames);
    let request = OpenRequest { outputs: vec![0], ..OpenRequest::new(Host::File, text(&path)) };
    let opened = device::open(&request).unwrap();
    assert_eq!((opened.granted().channels, opened.granted().format), (CHANNELS, SampleFormat::S24Packed));
    let kept = Arc::new(Mutex::new(vec![Vec::new(); CHANNELS]));
    let stream = opened.start(RecordingClient(kept.clone())).map_err(|(_, e)| e).unwrap();
    while kept.lock().unwrap()[0].len() < 3 * frames {
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!(stream.ended(), None);
    }
    assert!(stream.stop().is_some());
    for (channel, samples) in kept.lock().unwrap().iter().enumerate() {
        assert!(samples.iter().enumerate().all(|(i, x)| *x == code(channel, i % frames) << 8), "channel {channel}");
    }
}

#[test]
fn a_device_that_differs_from_the_request_is_an_error_that_names_both() {
    let folder = tempfile::tempdir().unwrap();
    let path = input(&folder, 100);
    let request = OpenRequest::new(Host::File, text(&path));
    let error = |request: &OpenRequest| {
        let line = device::open(request).err().unwrap().to_string();
        assert!(!line.contains('\n'), "{line}");
        line.strip_prefix(text(&path)).unwrap().to_string()
    };
    let rate = OpenRequest { sample_rate: Some(44_100), ..request.clone() };
    assert_eq!(error(&rate), ": asked for 44100 Hz, the device gave 48000");
    let channels = OpenRequest { channels: Some(16), ..request.clone() };
    assert_eq!(error(&channels), ": asked for 16 channels, the device gave 5");
    let format = OpenRequest { format: Some(SampleFormat::S32), ..request };
    assert_eq!(error(&format), ": asked for S32_LE, the device gave S24_3LE");
}

#[test]
fn frames_reported_as_lost_are_a_gap_of_that_length_and_reason() {
    for (pre_roll, start) in [(0.0, StartTrigger::Now), (1.0, StartTrigger::Manual)] {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = RecorderSettings::new(folder.path().into(), "take", RATE as u32, 1);
        (settings.pre_roll_seconds, settings.start, settings.word_format) =
            (pre_roll, start, isotherm::record::pcm::WordFormat::Int32);
        let (recorder, mut writer) = Recorder::open(settings).unwrap();
        writer.set_blocking(true);
        let samples: Vec<i32> = (1..=1000).map(|i| i << 8).collect();
        writer.write(&[&samples[..300]]);
        writer.report_loss(70, "because");
        // Two gaps in a row for the same reason become one.
        writer.report_loss(30, "because");
        writer.report_loss(5, "of something else");
        writer.write(&[&samples[405..1000]]);
        if start == StartTrigger::Manual {
            writer.start();
        }
        let takes = recorder.close();
        let (take, manifest) = &takes[0];
        let gaps: Vec<_> = manifest.gaps.iter().map(|gap| (gap.position, gap.frames, gap.reason.as_str())).collect();
        assert_eq!(gaps, [(300, 100, "because"), (400, 5, "of something else")], "pre-roll {pre_roll}");
        let found = codes(&take.join("01 Channel 1.wav"));
        let expected = (0..1000).map(|i| if (300..405).contains(&i) { 0 } else { i + 1 });
        assert!(found.iter().copied().eq(expected), "pre-roll {pre_roll}");
        assert_eq!(isotherm::record::verify(take).unwrap().problems, Vec::<String>::new());
    }
}

#[test]
fn a_take_keeps_its_time_line_while_its_device_is_disconnected() {
    let folder = tempfile::tempdir().unwrap();
    let (recorder, writer) = Recorder::open(RecorderSettings::new(folder.path().into(), "take", RATE as u32, CHANNELS)).unwrap();
    let meter = Meter::new(CHANNELS);
    let mut capture = Capture::new(writer, &meter, &granted(SampleFormat::Float));
    let block = [0.5f32; 480];
    let channels = [&block[..]; CHANNELS];
    let begun = Instant::now();
    let before = Instant::now();
    capture.process(0, InputBlock::Floats(&channels), &mut []);
    let disconnected = Instant::now();
    for _ in 0..12 {
        std::thread::sleep(Duration::from_millis(100));
        capture.extend_gap();
    }
    let shortest = disconnected.elapsed().as_secs_f64();
    capture.process(0, InputBlock::Floats(&channels), &mut []);
    let longest = before.elapsed().as_secs_f64();
    capture.process(7, InputBlock::Floats(&channels), &mut []);
    capture.extend_gap();
    std::thread::sleep(Duration::from_millis(50));
    capture.end_gap();
    let elapsed = begun.elapsed().as_secs_f64();
    drop(capture);
    let (_, manifest) = recorder.close().remove(0);
    let gaps: Vec<_> = manifest.gaps.iter().map(|gap| (gap.position, gap.reason.as_str())).collect();
    let length = manifest.gaps[0].frames;
    assert_eq!(gaps[..2], [(480, "the device was away"), (480 + length + 480, "the device lost them")]);
    assert_eq!((gaps.len(), gaps[2].1, manifest.gaps[1].frames), (3, "the device was away", 7));
    // The first block after the gap had begun 10 ms before it arrived.
    let bounds = [shortest, longest].map(|seconds| (seconds - 0.01) * RATE as f64);
    assert!((bounds[0] - 1.0..=bounds[1] + 1.0).contains(&(length as f64)), "{length}, {bounds:?}");
    let expected = (elapsed + 0.01) * RATE as f64;
    assert!((manifest.frames as f64 - expected).abs() <= 0.03 * RATE as f64, "{}, {expected}", manifest.frames);
}

#[test]
fn a_running_capture_feeds_one_recorder_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let meter = Meter::new(CHANNELS);
    let (mut capture, mut feed) = Capture::with_feed(&meter, &granted(SampleFormat::Float));
    let mut next = 0;
    let mut play = |capture: &mut Capture, frames: usize| {
        let block: Vec<f32> = (0..frames).map(|i| (next + i) as f32 / 8_388_608.0).collect();
        next += frames;
        capture.process(0, InputBlock::Floats(&[&block[..]; CHANNELS]), &mut []);
    };
    play(&mut capture, 100);
    let mut takes = Vec::new();
    for (name, channels) in [("one", 2), ("two", CHANNELS)] {
        let (recorder, writer) =
            Recorder::open(RecorderSettings::new(folder.path().into(), name, RATE as u32, channels)).unwrap();
        feed.replace(Some(writer)).unwrap();
        play(&mut capture, 480);
        play(&mut capture, 10);
        takes.push(recorder);
    }
    feed.replace(None).unwrap();
    play(&mut capture, 100);
    for (recorder, first, stems) in takes.into_iter().zip([100, 590]).zip([2, CHANNELS]).map(|((r, f), s)| (r, f, s)) {
        let (take, manifest) = recorder.close().remove(0);
        assert_eq!((manifest.frames, manifest.stems.len(), manifest.gaps.len()), (490, stems, 0));
        assert!(codes(&take.join("01 Channel 1.wav")).into_iter().eq(first..first + 490));
    }
}

#[test]
fn monitored_channels_fade_in_and_out_within_5_ms_and_add_up() {
    /// An insert that changes nothing.
    struct PassThrough;
    impl Insert for PassThrough {
        fn process(&mut self, _: &mut isotherm::dsp::Block<'_>) {}
        fn reset(&mut self) {}
    }
    let routing = MonitorRouting::new(2);
    routing.set(0, 1, true);
    let mut monitor = Monitor::new(PassThrough, routing.clone(), &granted(SampleFormat::Float), None);
    let samples: Vec<Vec<f32>> = (0..CHANNELS).map(|channel| vec![0.1 * channel as f32; 480]).collect();
    let views: Vec<&[f32]> = samples.iter().map(Vec::as_slice).collect();
    let mut play = |changes: &[(usize, usize, bool)], routing: &MonitorRouting| {
        changes.iter().for_each(|(side, channel, monitored)| routing.set(*side, *channel, *monitored));
        let (mut left, mut right) = (vec![9.0f32; 480], vec![9.0f32; 480]);
        monitor.process(0, InputBlock::Floats(&views), &mut [&mut left, &mut right]);
        (left, right)
    };
    // A channel that is monitored from the start is not faded in.
    let (left, right) = play(&[], &routing);
    assert!(left.iter().all(|x| *x == 0.1) && right.iter().all(|x| *x == 0.0));
    let (left, right) = play(&[(0, 2, true), (1, 4, true), (0, CHANNELS, true), (2, 0, true)], &routing);
    let (fade, largest) = (RATE / 200, |x: &[f32]| x.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max));
    assert!(left[fade..].iter().all(|x| (*x - 0.3).abs() < 1e-6) && right[fade..].iter().all(|x| (*x - 0.4).abs() < 1e-6));
    assert!(left[0] < 0.11 && largest(&left) < 0.0011 && largest(&right) < 0.0021);
    let (left, right) = play(&[(0, 1, false), (0, 2, false), (1, 4, false)], &routing);
    assert!(left[0] > 0.29 && left[fade..].iter().chain(&right[fade..]).all(|x| *x == 0.0));
    assert!(largest(&left) < 0.0021 && !routing.get(0, 1));
}

/// Records two seconds of a file of two channels in place of a device, while it is monitored through an insert. Returns the
/// duration of the take and of the recording in seconds, the counters, and the last state.
fn record_with_insert(insert: impl Insert) -> (f64, f64, device::SessionCounts, device::DeviceState) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("device.wav");
    let spec =
        hound::WavSpec { channels: 2, sample_rate: RATE as u32, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut writer = hound::WavWriter::create(&path, spec).unwrap();
    (0..9600).for_each(|i| writer.write_sample(i as i16).unwrap());
    writer.finalize().unwrap();
    let prepared = Session::prepare(&OpenRequest::new(Host::File, path.to_str().unwrap()), true).unwrap();
    let granted = prepared.granted().clone();
    let mut settings = RecorderSettings::new(folder.path().into(), "take", RATE as u32, 2);
    settings.word_format = granted.format.word_format();
    let (recorder, writer) = Recorder::open(settings).unwrap();
    let capture = Capture::new(writer, &Meter::new(2), &granted);
    let monitor = Monitor::new(insert, MonitorRouting::one_to_one(&[0, 1]), &granted, None);
    let begun = Instant::now();
    let mut session = prepared.start(capture, Some(monitor)).unwrap();
    while begun.elapsed() < Duration::from_secs(2) {
        std::thread::sleep(Duration::from_millis(20));
        session.poll();
    }
    let (state, seconds) = (session.state().clone(), begun.elapsed().as_secs_f64());
    let (counts, _) = session.stop();
    let (_, manifest) = recorder.close().remove(0);
    assert_eq!(manifest.gaps.len(), 0);
    (manifest.seconds(), seconds, counts, state)
}

#[test]
fn an_insert_that_is_too_slow_is_skipped_now_and_then_and_delays_no_frame_of_the_take() {
    struct Slow;
    impl Insert for Slow {
        fn process(&mut self, block: &mut isotherm::dsp::Block<'_>) {
            std::thread::sleep(Duration::from_secs_f64(2.0 * block[0].len() as f64 / RATE as f64));
        }
        fn reset(&mut self) {}
    }
    let (take, time, counts, _) = record_with_insert(Slow);
    // If no block were skipped, the take would be half as long.
    assert!(take > time - 0.5, "{take} s of {time} s");
    assert!(counts.underruns > 10 && !counts.panicked, "{counts:?}");
}

#[test]
fn an_insert_that_panics_is_silent_and_the_take_goes_on() {
    struct Panics(usize);
    impl Insert for Panics {
        fn process(&mut self, _: &mut isotherm::dsp::Block<'_>) {
            self.0 += 1;
            assert!(self.0 < 10, "on purpose");
        }
        fn reset(&mut self) {}
    }
    let (take, time, counts, state) = record_with_insert(Panics(0));
    assert!(take > time - 0.5 && !counts.panicked && state == device::DeviceState::Running, "{take} s of {time} s, {counts:?}");
}

#[test]
fn a_client_that_panics_ends_the_stream_with_a_reason_and_is_not_returned() {
    struct Panics;
    impl Client for Panics {
        fn process(&mut self, _: u64, _: InputBlock<'_>, _: &mut [&mut [f32]]) {
            panic!("on purpose");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("device.wav");
    let spec =
        hound::WavSpec { channels: 1, sample_rate: RATE as u32, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut writer = hound::WavWriter::create(&path, spec).unwrap();
    (0..9600).for_each(|i| writer.write_sample(i as i16).unwrap());
    writer.finalize().unwrap();
    let opened = device::open(&OpenRequest::new(Host::File, path.to_str().unwrap())).unwrap();
    let stream = opened.start(Panics).map_err(|(_, e)| e).unwrap();
    let begun = Instant::now();
    let why = loop {
        if let Some(why) = stream.ended() {
            break why;
        }
        assert!(begun.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(why.to_string().contains("broken") && stream.stop().is_none(), "{why}");
}

#[test]
fn meters_show_levels_of_floats_and_integers_and_clip_at_full_scale() {
    for format in [SampleFormat::Float, SampleFormat::S32, SampleFormat::S24, SampleFormat::S24Packed, SampleFormat::S16] {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = RecorderSettings::new(folder.path().into(), "take", RATE as u32, CHANNELS);
        settings.word_format = format.word_format();
        let (recorder, writer) = Recorder::open(settings).unwrap();
        let meter = Meter::new(CHANNELS);
        let mut capture = Capture::new(writer, &meter, &granted(format));
        let highest = if format == SampleFormat::S16 { 0x7FFF_0000 } else { 0x7FFF_FF00 };
        let integers: Vec<Vec<i32>> = [0, 1 << 30, highest, i32::MIN, highest - 0x1_0000].map(|code| vec![code; 480]).into();
        let floats: Vec<Vec<f32>> = [0.0, 0.5, 1.0, -1.0, 0.999].map(|x| vec![x; 480]).into();
        for _ in 0..200 {
            if format == SampleFormat::Float {
                capture.process(0, InputBlock::Floats(&floats.iter().map(Vec::as_slice).collect::<Vec<_>>()), &mut []);
            } else {
                capture.process(0, InputBlock::Integers(&integers.iter().map(Vec::as_slice).collect::<Vec<_>>()), &mut []);
            }
        }
        let levels: Vec<_> = (0..CHANNELS).map(|channel| meter.take(channel).unwrap()).collect();
        assert_eq!((levels[0].peak, levels[1].peak), (0.0, 0.5), "{format:?}");
        // After 2 s; the meter's time constant is 0.3 s.
        assert!((levels[1].rms - 0.5).abs() < 0.002, "{format:?}: {}", levels[1].rms);
        let clipped: Vec<bool> = levels.iter().map(|level| level.clipped).collect();
        assert_eq!(clipped, [false, false, true, true, false], "{format:?}");
        drop(recorder);
    }
}

#[test]
fn clients_of_a_device_do_not_allocate() {
    assert_eq!(allocations(|| drop(std::hint::black_box(vec![1_u8; 64]))), 2, "the counter counts");
    let folder = tempfile::tempdir().unwrap();
    for format in [SampleFormat::Float, SampleFormat::S32] {
        let mut settings = RecorderSettings::new(folder.path().into(), format.name(), RATE as u32, CHANNELS);
        (settings.word_format, settings.buffer_seconds) = (format.word_format(), 0.05);
        let (recorder, writer) = Recorder::open(settings).unwrap();
        let meter = Meter::new(CHANNELS);
        let mut capture = Capture::new(writer, &meter, &granted(format));
        let (file, _reader) = queue(2, 1024);
        let mut monitor = Monitor::new(slots(2).into_plan(), MonitorRouting::one_to_one(&[0, 3]), &granted(format), Some(file));
        let routing = MonitorRouting::new(2);
        let mut rerouted = Monitor::new(slots(2).into_plan(), routing.clone(), &granted(format), None);
        let (mut fed, mut feed) = Capture::with_feed(&meter, &granted(format));
        let (other, writer) = {
            let name = format!("{} fed", format.name());
            let mut settings = RecorderSettings::new(folder.path().into(), &name, RATE as u32, CHANNELS);
            settings.word_format = format.word_format();
            Recorder::open(settings).unwrap()
        };
        feed.replace(Some(writer)).unwrap();
        feed.replace(None).unwrap();
        let (floats, integers) = (vec![0.25f32; 300], vec![1i32 << 30; 300]);
        let (mut left, mut right) = (vec![0.0f32; 300], vec![0.0f32; 300]);
        let counted = allocations(|| {
            for (round, frames) in [1, 64, 256, 300].into_iter().cycle().take(200).enumerate() {
                let floats = [&floats[..frames]; CHANNELS];
                let integers = [&integers[..frames]; CHANNELS];
                let input =
                    if format == SampleFormat::Float { InputBlock::Floats(&floats) } else { InputBlock::Integers(&integers) };
                let lost = u64::from(round % 50 == 7) * 11;
                capture.process(lost, input, &mut []);
                monitor.process(lost, input, &mut [&mut left[..frames], &mut right[..frames]]);
                fed.process(lost, input, &mut []);
                routing.set(round % 2, round % CHANNELS, round % 3 == 0);
                rerouted.process(lost, input, &mut []);
            }
        });
        assert_eq!(counted, 0, "{format:?}");
        assert!(left[299] != 0.0 && right[299] != 0.0 && monitor.counts().dropped_frames() > 0);
        drop((recorder, other));
    }
}
