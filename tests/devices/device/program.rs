//! Tests of the command line with a file that stands in for a device.

use std::process::{Command, Output};

use isotherm::record::Manifest;
use serde_json::Value;

use super::*;

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_isotherm")).args(arguments).output().unwrap()
}

/// Returns the only line of a failure with this exit code.
fn failure(output: &Output, code: i32) -> String {
    let line = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{line}");
    assert!(line.starts_with("isotherm: ") && line.ends_with('\n') && line.matches('\n').count() == 1, "{line}");
    line
}

#[test]
fn stems_are_dry_while_one_channel_is_monitored_through_the_saturator() {
    let folder = tempfile::tempdir().unwrap();
    let path = input(&folder, RATE);
    let (out, monitored) = (folder.path().join("takes"), folder.path().join("monitored.wav"));
    let base =
        ["record", "--device", text(&path), "--host", "file", "--channels", "1-2,5", "--out", text(&out), "--duration", "600ms"];
    let monitor =
        ["--monitor", "2", "--algorithm", "saturator", "--set", "drive=18", "--monitor-file", text(&monitored), "--json"];
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
    // The expected output: the file's channel 2 through the same slots, offline.
    let spec = ProcessSpec::new(RATE as f32, 1, 512);
    let mut saturator = Settings::new(algorithm::find("saturator").unwrap());
    saturator.set(saturator.index("drive").unwrap(), 18.0);
    let mut slots = Slots::compile(spec, &[saturator.into()], Listen::Slot(0), None).unwrap();
    let mut expected: Vec<f32> = (0..28_000).map(|i| code(1, i) as f32 / 8_388_608.0).collect();
    expected.chunks_mut(512).for_each(|block| slots.process(&mut [block]));
    let found = codes(&monitored);
    assert!(found.len() >= 28_800, "{}", found.len());
    let code = |x: &f32| (f64::from(*x) * 8_388_608.0).round_ties_even().clamp(-8_388_608.0, 8_388_607.0) as i32;
    assert!(expected.iter().map(code).eq(found[..28_000].iter().copied()));
    assert!(found[..28_000].iter().zip(0..).any(|(x, i)| *x != self::code(1, i)));
}

#[cfg(unix)]
#[test]
fn a_take_started_by_a_level_has_its_pre_roll_and_is_split_at_the_exact_frame() {
    use isotherm::record::manifest::TakeState;
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
        Manifest::load(&first).ok().filter(|manifest| manifest.state == TakeState::Finished).map(|manifest| (first, manifest))
    };
    let begun = Instant::now();
    let (take, manifest) = loop {
        if let Some(found) = finished() {
            break found;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "no take");
        std::thread::sleep(Duration::from_millis(20));
    };
    // The program waits for the level again until it is interrupted.
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
fn a_wrong_command_line_is_refused_in_one_line_and_creates_no_take() {
    let folder = tempfile::tempdir().unwrap();
    let path = input(&folder, 100);
    let (out, monitored) = (folder.path().join("takes"), folder.path().join("monitored.wav"));
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
            &["--monitor", "9", "--algorithm", "clipper", "--monitor-file", text(&monitored)],
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
        (&["--monitor", "1", "--algorithm", "tape"], 2, "invalid value 'tape' for '--algorithm <ID>'"),
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
