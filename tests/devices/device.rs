//! Laws of devices that need no sound card: a file stands in for one.

#[cfg(feature = "cli")]
mod program;

use isotherm_support::counting::allocations;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use isotherm::algorithm;
use isotherm::device::{self, Capture, Client, Granted, Host, Input, Insert, Monitor, SampleFormat, Session, Sides, Wish};
use isotherm::dsp::{Settings as Parameters, Spec};
use isotherm::graph::{Meter, queue};
use isotherm::record::{Recorder, Settings, Start};
use isotherm::slots::{Heard, Slots};
use tempfile::TempDir;

const CHANNELS: usize = 5;
const RATE: usize = 48_000;

/// A 24-bit code for every channel and frame.
fn code(channel: usize, frame: usize) -> i32 {
    ((frame * 977 + channel * 131_071) % 16_000_001) as i32 - 8_000_000
}

/// A file of `frames` frames with a code for each.
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

fn codes(path: &Path) -> Vec<i32> {
    hound::WavReader::open(path).unwrap().samples::<i32>().map(Result::unwrap).collect()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What a device of five channels gives.
fn granted(format: SampleFormat) -> Granted {
    Granted {
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

fn slots(width: usize) -> Slots {
    let spec = Spec { sample_rate: RATE as f32, channels: width, max_frames: 256 };
    let saturator = Parameters::new(algorithm::find("saturator").unwrap());
    Slots::compile(spec, &[saturator.into()], Heard::Slot(0), None).unwrap()
}

/// Keeps what it is given.
struct Keeper(Arc<Mutex<Vec<Vec<i32>>>>);

impl Client for Keeper {
    fn process(&mut self, lost: u64, input: Input<'_>, output: &mut [&mut [f32]]) {
        assert_eq!((lost, output.len()), (0, 1));
        let Input::Integers(channels) = input else { panic!("integers stay integers") };
        assert!(output[0].len() == channels[0].len() && output[0].iter().all(|x| *x == 0.0));
        for (kept, channel) in self.0.lock().unwrap().iter_mut().zip(channels) {
            kept.extend_from_slice(channel);
        }
    }
}

#[test]
fn a_file_in_place_of_a_device_comes_again_and_again_with_its_codes() {
    let folder = tempfile::tempdir().unwrap();
    // No whole number of periods.
    let frames = 1000;
    let path = input(&folder, frames);
    let wish = Wish { outputs: vec![0], ..Wish::new(Host::File, text(&path)) };
    let opened = device::open(&wish).unwrap();
    assert_eq!((opened.granted().channels, opened.granted().format), (CHANNELS, SampleFormat::S24Packed));
    let kept = Arc::new(Mutex::new(vec![Vec::new(); CHANNELS]));
    let stream = opened.start(Keeper(kept.clone())).map_err(|(_, e)| e).unwrap();
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
fn what_differs_from_what_was_asked_is_an_error_that_names_both() {
    let folder = tempfile::tempdir().unwrap();
    let path = input(&folder, 100);
    let wish = Wish::new(Host::File, text(&path));
    let error = |wish: &Wish| {
        let line = device::open(wish).err().unwrap().to_string();
        assert!(!line.contains('\n'), "{line}");
        line.strip_prefix(text(&path)).unwrap().to_string()
    };
    let rate = Wish { sample_rate: Some(44_100), ..wish.clone() };
    assert_eq!(error(&rate), ": asked for 44100 Hz, the device gave 48000");
    let channels = Wish { channels: Some(16), ..wish.clone() };
    assert_eq!(error(&channels), ": asked for 16 channels, the device gave 5");
    let format = Wish { format: Some(SampleFormat::S32), ..wish };
    assert_eq!(error(&format), ": asked for S32_LE, the device gave S24_3LE");
}

#[test]
fn what_a_source_says_it_lost_is_a_gap_of_that_length_and_reason() {
    for (pre_roll, start) in [(0.0, Start::Now), (1.0, Start::Hand)] {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::new(folder.path().into(), "take", RATE as u32, 1);
        (settings.pre_roll_seconds, settings.start, settings.words) = (pre_roll, start, isotherm::record::pcm::Words::Int32);
        let (recorder, mut writer) = Recorder::open(settings).unwrap();
        writer.wait(true);
        let samples: Vec<i32> = (1..=1000).map(|i| i << 8).collect();
        writer.write(&[&samples[..300]]);
        writer.lose(70, "because");
        // Two in a row for one reason are one.
        writer.lose(30, "because");
        writer.lose(5, "of something else");
        writer.write(&[&samples[405..1000]]);
        if start == Start::Hand {
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
fn a_take_keeps_its_time_line_while_its_device_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let (recorder, writer) = Recorder::open(Settings::new(folder.path().into(), "take", RATE as u32, CHANNELS)).unwrap();
    let meter = Meter::new(CHANNELS);
    let mut capture = Capture::new(writer, &meter, &granted(SampleFormat::Float));
    let block = [0.5f32; 480];
    let channels = [&block[..]; CHANNELS];
    let begun = Instant::now();
    let before = Instant::now();
    capture.process(0, Input::Floats(&channels), &mut []);
    let away = Instant::now();
    for _ in 0..12 {
        std::thread::sleep(Duration::from_millis(100));
        capture.wait();
    }
    let least = away.elapsed().as_secs_f64();
    capture.process(0, Input::Floats(&channels), &mut []);
    let most = before.elapsed().as_secs_f64();
    capture.process(7, Input::Floats(&channels), &mut []);
    capture.wait();
    std::thread::sleep(Duration::from_millis(50));
    capture.give_up();
    let lived = begun.elapsed().as_secs_f64();
    drop(capture);
    let (_, manifest) = recorder.close().remove(0);
    let gaps: Vec<_> = manifest.gaps.iter().map(|gap| (gap.position, gap.reason.as_str())).collect();
    let length = manifest.gaps[0].frames;
    assert_eq!(gaps[..2], [(480, "the device was away"), (480 + length + 480, "the device lost them")]);
    assert_eq!((gaps.len(), gaps[2].1, manifest.gaps[1].frames), (3, "the device was away", 7));
    // The block that came back had begun 10 ms earlier.
    let bounds = [least, most].map(|seconds| (seconds - 0.01) * RATE as f64);
    assert!((bounds[0] - 1.0..=bounds[1] + 1.0).contains(&(length as f64)), "{length}, {bounds:?}");
    let whole = (lived + 0.01) * RATE as f64;
    assert!((manifest.frames as f64 - whole).abs() <= 0.03 * RATE as f64, "{}, {whole}", manifest.frames);
}

#[test]
fn a_capture_that_runs_is_fed_to_one_recorder_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let meter = Meter::new(CHANNELS);
    let (mut capture, mut feed) = Capture::fed(&meter, &granted(SampleFormat::Float));
    let mut next = 0;
    let mut play = |capture: &mut Capture, frames: usize| {
        let block: Vec<f32> = (0..frames).map(|i| (next + i) as f32 / 8_388_608.0).collect();
        next += frames;
        capture.process(0, Input::Floats(&[&block[..]; CHANNELS]), &mut []);
    };
    play(&mut capture, 100);
    let mut takes = Vec::new();
    for (name, channels) in [("one", 2), ("two", CHANNELS)] {
        let (recorder, writer) = Recorder::open(Settings::new(folder.path().into(), name, RATE as u32, channels)).unwrap();
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
fn channels_come_to_a_side_and_go_within_5_ms_and_add_up() {
    /// Nothing.
    struct Through;
    impl Insert for Through {
        fn process(&mut self, _: &mut isotherm::dsp::Block<'_>) {}
        fn reset(&mut self) {}
    }
    let sides = Sides::new(2);
    sides.set(0, 1, true);
    let mut monitor = Monitor::new(Through, sides.clone(), &granted(SampleFormat::Float), None);
    let samples: Vec<Vec<f32>> = (0..CHANNELS).map(|channel| vec![0.1 * channel as f32; 480]).collect();
    let views: Vec<&[f32]> = samples.iter().map(Vec::as_slice).collect();
    let mut play = |sides: &[(usize, usize, bool)], from: &Sides| {
        sides.iter().for_each(|(side, channel, heard)| from.set(*side, *channel, *heard));
        let (mut left, mut right) = (vec![9.0f32; 480], vec![9.0f32; 480]);
        monitor.process(0, Input::Floats(&views), &mut [&mut left, &mut right]);
        (left, right)
    };
    // What is heard from the start is there at once, and exactly.
    let (left, right) = play(&[], &sides);
    assert!(left.iter().all(|x| *x == 0.1) && right.iter().all(|x| *x == 0.0));
    let (left, right) = play(&[(0, 2, true), (1, 4, true), (0, CHANNELS, true), (2, 0, true)], &sides);
    let (fade, largest) = (RATE / 200, |x: &[f32]| x.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max));
    assert!(left[fade..].iter().all(|x| (*x - 0.3).abs() < 1e-6) && right[fade..].iter().all(|x| (*x - 0.4).abs() < 1e-6));
    assert!(left[0] < 0.11 && largest(&left) < 0.0011 && largest(&right) < 0.0021);
    let (left, right) = play(&[(0, 1, false), (0, 2, false), (1, 4, false)], &sides);
    assert!(left[0] > 0.29 && left[fade..].iter().chain(&right[fade..]).all(|x| *x == 0.0));
    assert!(largest(&left) < 0.0021 && !sides.get(0, 1));
}

/// A file of two channels in a device's place, what it is played through, and how long the take and its time were in seconds.
fn through(effect: impl Insert) -> (f64, f64, device::Counts, device::State) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("device.wav");
    let spec =
        hound::WavSpec { channels: 2, sample_rate: RATE as u32, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut writer = hound::WavWriter::create(&path, spec).unwrap();
    (0..9600).for_each(|i| writer.write_sample(i as i16).unwrap());
    writer.finalize().unwrap();
    let prepared = Session::prepare(&Wish::new(Host::File, path.to_str().unwrap()), true).unwrap();
    let granted = prepared.granted().clone();
    let mut settings = Settings::new(folder.path().into(), "take", RATE as u32, 2);
    settings.words = granted.format.words();
    let (recorder, writer) = Recorder::open(settings).unwrap();
    let capture = Capture::new(writer, &Meter::new(2), &granted);
    let monitor = Monitor::new(effect, Sides::each(&[0, 1]), &granted, None);
    let begun = Instant::now();
    let mut session = prepared.start(capture, Some(monitor)).unwrap();
    while begun.elapsed() < Duration::from_secs(2) {
        std::thread::sleep(Duration::from_millis(20));
        session.attend();
    }
    let (state, seconds) = (session.state().clone(), begun.elapsed().as_secs_f64());
    let (counts, _) = session.stop();
    let (_, manifest) = recorder.close().remove(0);
    assert_eq!(manifest.gaps.len(), 0);
    (manifest.seconds(), seconds, counts, state)
}

#[test]
fn an_effect_that_is_too_slow_is_left_out_now_and_then_and_holds_up_no_frame() {
    struct Slow;
    impl Insert for Slow {
        fn process(&mut self, block: &mut isotherm::dsp::Block<'_>) {
            std::thread::sleep(Duration::from_secs_f64(2.0 * block[0].len() as f64 / RATE as f64));
        }
        fn reset(&mut self) {}
    }
    let (take, time, counts, _) = through(Slow);
    // Without that, half of it.
    assert!(take > time - 0.5, "{take} s of {time} s");
    assert!(counts.underruns > 10 && !counts.broken, "{counts:?}");
}

#[test]
fn an_effect_that_panics_is_silent_and_the_take_goes_on() {
    struct Panics(usize);
    impl Insert for Panics {
        fn process(&mut self, _: &mut isotherm::dsp::Block<'_>) {
            self.0 += 1;
            assert!(self.0 < 10, "on purpose");
        }
        fn reset(&mut self) {}
    }
    let (take, time, counts, state) = through(Panics(0));
    assert!(take > time - 0.5 && !counts.broken && state == device::State::Running, "{take} s of {time} s, {counts:?}");
}

#[test]
fn a_client_that_panics_is_said_to_be_broken_and_never_comes_back() {
    struct Panics;
    impl Client for Panics {
        fn process(&mut self, _: u64, _: Input<'_>, _: &mut [&mut [f32]]) {
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
    let opened = device::open(&Wish::new(Host::File, path.to_str().unwrap())).unwrap();
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
fn meters_show_20_log10_of_floats_and_integers_and_light_at_full_scale() {
    for format in [SampleFormat::Float, SampleFormat::S32, SampleFormat::S24, SampleFormat::S24Packed, SampleFormat::S16] {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::new(folder.path().into(), "take", RATE as u32, CHANNELS);
        settings.words = format.words();
        let (recorder, writer) = Recorder::open(settings).unwrap();
        let meter = Meter::new(CHANNELS);
        let mut capture = Capture::new(writer, &meter, &granted(format));
        let highest = if format == SampleFormat::S16 { 0x7FFF_0000 } else { 0x7FFF_FF00 };
        let integers: Vec<Vec<i32>> = [0, 1 << 30, highest, i32::MIN, highest - 0x1_0000].map(|code| vec![code; 480]).into();
        let floats: Vec<Vec<f32>> = [0.0, 0.5, 1.0, -1.0, 0.999].map(|x| vec![x; 480]).into();
        for _ in 0..200 {
            if format == SampleFormat::Float {
                capture.process(0, Input::Floats(&floats.iter().map(Vec::as_slice).collect::<Vec<_>>()), &mut []);
            } else {
                capture.process(0, Input::Integers(&integers.iter().map(Vec::as_slice).collect::<Vec<_>>()), &mut []);
            }
        }
        let levels: Vec<_> = (0..CHANNELS).map(|channel| meter.take(channel).unwrap()).collect();
        assert_eq!((levels[0].peak, levels[1].peak), (0.0, 0.5), "{format:?}");
        // 2 s of a time constant of 0.3 s.
        assert!((levels[1].rms - 0.5).abs() < 0.002, "{format:?}: {}", levels[1].rms);
        let lights: Vec<bool> = levels.iter().map(|level| level.clipped).collect();
        assert_eq!(lights, [false, false, true, true, false], "{format:?}");
        drop(recorder);
    }
}

#[test]
fn what_a_device_calls_allocates_nothing() {
    assert_eq!(allocations(|| drop(std::hint::black_box(vec![1_u8; 64]))), 2, "the counter counts");
    let folder = tempfile::tempdir().unwrap();
    for format in [SampleFormat::Float, SampleFormat::S32] {
        let mut settings = Settings::new(folder.path().into(), format.name(), RATE as u32, CHANNELS);
        (settings.words, settings.buffer_seconds) = (format.words(), 0.05);
        let (recorder, writer) = Recorder::open(settings).unwrap();
        let meter = Meter::new(CHANNELS);
        let mut capture = Capture::new(writer, &meter, &granted(format));
        let (file, _reader) = queue(2, 1024);
        let mut monitor = Monitor::new(slots(2).into_plan(), Sides::each(&[0, 3]), &granted(format), Some(file));
        let sides = Sides::new(2);
        let mut heard = Monitor::new(slots(2).into_plan(), sides.clone(), &granted(format), None);
        let (mut fed, mut feed) = Capture::fed(&meter, &granted(format));
        let (other, writer) = {
            let name = format!("{} fed", format.name());
            let mut settings = Settings::new(folder.path().into(), &name, RATE as u32, CHANNELS);
            settings.words = format.words();
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
                let input = if format == SampleFormat::Float { Input::Floats(&floats) } else { Input::Integers(&integers) };
                let lost = u64::from(round % 50 == 7) * 11;
                capture.process(lost, input, &mut []);
                monitor.process(lost, input, &mut [&mut left[..frames], &mut right[..frames]]);
                fed.process(lost, input, &mut []);
                sides.set(round % 2, round % CHANNELS, round % 3 == 0);
                heard.process(lost, input, &mut []);
            }
        });
        assert_eq!(counted, 0, "{format:?}");
        assert!(left[299] != 0.0 && right[299] != 0.0 && monitor.counts().dropped_frames() > 0);
        drop((recorder, other));
    }
}
