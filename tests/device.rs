//! Laws of devices that need no sound card: a file stands in for one.
#![cfg(feature = "cli")]

mod counting;

use counting::allocations;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use isotherm::algorithm;
use isotherm::device::{self, Capture, Client, Granted, Host, Input, Insert, Monitor, SampleFormat, Session, Sides, Wish};
use isotherm::dsp::{Settings as Parameters, Spec};
use isotherm::graph::{Meter, queue};
use isotherm::record::{Manifest, Recorder, Settings, Start};
use isotherm::slots::{Heard, Slots};
use serde_json::Value;
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

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_isotherm")).args(arguments).output().unwrap()
}

/// The one line of a failure.
fn failure(output: &Output, code: i32) -> String {
    let line = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{line}");
    assert!(line.starts_with("isotherm: ") && line.ends_with('\n') && line.matches('\n').count() == 1, "{line}");
    line
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
    Slots::compile(spec, &[saturator], Heard::Slot(0), None).unwrap()
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
fn stems_are_dry_while_one_channel_is_heard_through_the_saturator() {
    let folder = tempfile::tempdir().unwrap();
    let path = input(&folder, RATE);
    let (out, heard) = (folder.path().join("takes"), folder.path().join("heard.wav"));
    let base =
        ["record", "--device", text(&path), "--host", "file", "--channels", "1-2,5", "--out", text(&out), "--duration", "600ms"];
    let monitor = ["--monitor", "2", "--algorithm", "saturator", "--set", "drive=18", "--monitor-file", text(&heard), "--json"];
    let output = run(&[&base[..], &monitor].concat());
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_str(String::from_utf8(output.stdout).unwrap().lines().last().unwrap()).unwrap();
    assert!(report["cpu_share"].as_f64().unwrap() > 0.0 && report["worst_callback_seconds"].as_f64().unwrap() > 0.0);
    let take = PathBuf::from(report["takes"][0]["folder"].as_str().unwrap());
    let manifest = Manifest::load(&take).unwrap();
    assert_eq!((manifest.frames, manifest.gaps.len()), (28_800, 0));
    assert!(manifest.asked.contains("any rate") && manifest.granted.contains("5 channels, 48000 Hz, S24_3LE"), "{manifest:?}");
    for (stem, channel) in [(1, 0), (2, 1), (3, 4)] {
        let found = codes(&take.join(format!("{stem:02} Channel {}.wav", channel + 1)));
        assert!(found.iter().enumerate().all(|(i, x)| *x == code(channel, i)), "stem {stem}");
    }
    // The same by hand: the file's channel 2 through the same slots, offline.
    let spec = Spec { sample_rate: RATE as f32, channels: 1, max_frames: 512 };
    let mut saturator = Parameters::new(algorithm::find("saturator").unwrap());
    saturator.set(saturator.index("drive").unwrap(), 18.0);
    let mut slots = Slots::compile(spec, &[saturator], Heard::Slot(0), None).unwrap();
    let mut expected: Vec<f32> = (0..28_000).map(|i| code(1, i) as f32 / 8_388_608.0).collect();
    expected.chunks_mut(512).for_each(|block| slots.process(&mut [block]));
    let found = codes(&heard);
    assert!(found.len() >= 28_800, "{}", found.len());
    let code = |x: &f32| (f64::from(*x) * 8_388_608.0).round_ties_even().clamp(-8_388_608.0, 8_388_607.0) as i32;
    assert!(expected.iter().map(code).eq(found[..28_000].iter().copied()));
    assert!(found[..28_000].iter().zip(0..).any(|(x, i)| *x != self::code(1, i)));
}

#[cfg(unix)]
#[test]
fn a_take_that_a_level_starts_has_its_pre_roll_and_is_split_to_the_frame() {
    use isotherm::record::manifest::State;
    use nix::sys::signal::{Signal, kill};

    let folder = tempfile::tempdir().unwrap();
    let (path, out) = (folder.path().join("in.wav"), folder.path().join("takes"));
    let spec =
        hound::WavSpec { channels: 1, sample_rate: RATE as u32, bits_per_sample: 24, sample_format: hound::SampleFormat::Int };
    // Half a second below -60 dBFS, then half a second at -6 dBFS.
    let sample = |frame: i32| if frame < 24_000 { frame % 8000 + 1 } else { 4_194_304 + frame };
    let mut writer = hound::WavWriter::create(&path, spec).unwrap();
    (0..RATE as i32).for_each(|frame| writer.write_sample(sample(frame)).unwrap());
    writer.finalize().unwrap();
    let base = ["record", "--device", text(&path), "--host", "file", "--out", text(&out), "--name", "take"];
    let options = ["--start-level", "-20", "--pre-roll", "100ms", "--duration", "300ms", "--split", "200ms", "--json"];
    let mut program = Command::new(env!("CARGO_BIN_EXE_isotherm"));
    let mut program = program.args([&base[..], &options].concat()).stdout(std::process::Stdio::null()).spawn().unwrap();
    let finished = || {
        let mut takes: Vec<PathBuf> = std::fs::read_dir(&out).into_iter().flatten().flatten().map(|e| e.path()).collect();
        takes.sort();
        let first = takes.into_iter().next()?;
        Manifest::load(&first).ok().filter(|manifest| manifest.state == State::Finished).map(|manifest| (first, manifest))
    };
    let begun = Instant::now();
    let (take, manifest) = loop {
        if let Some(found) = finished() {
            break found;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "no take");
        std::thread::sleep(Duration::from_millis(20));
    };
    // It waits for the level again, until it is told to end.
    kill(nix::unistd::Pid::from_raw(program.id().cast_signed()), Signal::SIGINT).unwrap();
    assert!(program.wait().unwrap().success());
    assert_eq!((manifest.frames, manifest.pre_roll_frames, manifest.gaps.len()), (4800 + 14_400, 4800, 0));
    let parts = &manifest.stems[0].parts;
    assert_eq!(parts.iter().map(|part| part.frames).collect::<Vec<_>>(), [9600, 9600]);
    let found: Vec<i32> = parts.iter().flat_map(|part| codes(&take.join(&part.file))).collect();
    assert_eq!(found, (24_000 - 4800..24_000 + 14_400).map(sample).collect::<Vec<_>>());
    assert_eq!(isotherm::record::verify(&take).unwrap().problems, Vec::<String>::new());
}

#[test]
fn a_wrong_call_is_refused_in_one_line_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = input(&folder, 100);
    let (out, heard) = (folder.path().join("takes"), folder.path().join("heard.wav"));
    let base = ["record", "--device", text(&path), "--host", "file", "--out", text(&out), "--duration", "100ms"];
    for (options, code, expected) in [
        (&["--channels", "1-6"][..], 1, "asked for channel 6, the device gave 5"),
        (&["--channels", "3-1"], 2, "--channels: '3-1' runs backwards"),
        (&["--channels", "1-3,2"], 2, "--channels: found 2 twice"),
        (&["--channels", "0"], 2, "--channels: '0' is no number from 1 to 128"),
        (&["--device-rate", "44100"], 1, "asked for 44100 Hz, the device gave 48000"),
        (&["--device-format", "U8"], 2, "--device-format: 'U8' is no format; expected S32_LE"),
        (&["--device-channels", "32"], 1, "asked for 32 channels, the device gave 5"),
        (
            &["--monitor", "9", "--algorithm", "clipper", "--monitor-file", text(&heard)],
            1,
            "asked for channel 9, the device gave 5",
        ),
        (&["--monitor", "1", "--algorithm", "clipper"], 2, "--monitor: nowhere to hear it"),
        (&["--monitor", "1,2,3", "--algorithm", "clipper"], 2, "--monitor: found 3 channels"),
        (
            &["--monitor", "1", "--algorithm", "clipper", "--set", "drive=3"],
            2,
            "--set: 'drive' is no parameter of clipper; expected threshold",
        ),
        (&["--monitor", "1", "--algorithm", "clipper", "--set", "threshold=loud"], 2, "--threshold: "),
        (&["--monitor", "1", "--algorithm", "tape"], 2, "unknown algorithm 'tape'"),
        (&["--host", "coreaudio"], 2, "invalid value 'coreaudio'"),
        (&["--fast"], 2, "cannot be used with"),
    ] {
        let base = if options[0] == "--host" { [&base[..3], &base[5..]].concat() } else { base.to_vec() };
        let line = failure(&run(&[&base[..], options].concat()), code);
        assert!(line.contains(expected), "{line}");
        assert!(!out.exists() || std::fs::read_dir(&out).unwrap().count() == 0);
    }
    let line = failure(&run(&["record", "--device", "nothing.wav", "--host", "file", "--out", text(&out)]), 1);
    assert!(line.contains("nothing.wav"), "{line}");
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
