//! Tests of `isotherm record` from files and standard input, and of `isotherm verify` and `recover`.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use isotherm::audio::Random;
use serde_json::Value;
use tempfile::TempDir;

const CHANNELS: usize = 4;
const RATE: usize = 48_000;

fn isotherm() -> Command {
    Command::new(env!("CARGO_BIN_EXE_isotherm"))
}

fn run(arguments: &[&str]) -> Output {
    isotherm().args(arguments).output().unwrap()
}

/// Checks that a call failed with this exit code and one line on standard error, and returns the line.
fn failure_line(output: &Output, code: i32) -> String {
    let line = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{line}");
    assert!(line.starts_with("isotherm: ") && line.ends_with('\n') && line.matches('\n').count() == 1, "{line}");
    line
}

/// Checks that a call succeeded, and returns its JSON report.
fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Returns the 24-bit sample of a channel's frame in the input file.
fn sample(channel: usize, frame: usize) -> i32 {
    ((frame * 977 + channel * 131_071) % 16_000_001) as i32 - 8_000_000
}

/// Writes an input file of [`CHANNELS`] channels and returns its path.
fn write_input(folder: &TempDir, seconds: usize) -> PathBuf {
    let path = folder.path().join("in.wav");
    let spec = hound::WavSpec {
        channels: CHANNELS as u16,
        sample_rate: RATE as u32,
        bits_per_sample: 24,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(&path, spec).unwrap();
    (0..seconds * RATE).for_each(|i| (0..CHANNELS).for_each(|c| writer.write_sample(sample(c, i)).unwrap()));
    writer.finalize().unwrap();
    path
}

/// Reads a file's samples.
fn read_samples(path: &Path) -> Vec<i32> {
    hound::WavReader::open(path).unwrap().samples::<i32>().map(Result::unwrap).collect()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_file_becomes_stems_with_the_same_samples() {
    let folder = tempfile::tempdir().unwrap();
    let (input, out) = (write_input(&folder, 2), folder.path().join("takes"));
    let base = ["record", "--input", text(&input), "--out", text(&out), "--fast", "--json", "--channels", "4,1"];
    let options = ["--names", "Kick,Über", "--name", "My take", "--split", "700ms"];
    let report = json(&run(&[&base[..], &options].concat()));
    assert_eq!((report["lost"].as_bool(), report["takes"].as_array().unwrap().len()), (Some(false), 1));
    let conversion = report["conversion"].as_str().unwrap();
    assert!(["AVX2", "portable"].contains(&conversion));
    let take = PathBuf::from(report["takes"][0]["folder"].as_str().unwrap());
    assert!(text(&take).ends_with(" My take"));
    for (channel, name) in [(3, "01 Kick"), (0, "02 Über")] {
        let parts = ["", " part 2", " part 3"].map(|part| read_samples(&take.join(format!("{name}{part}.wav"))));
        assert_eq!(parts.each_ref().map(Vec::len), [33_600, 33_600, 28_800]);
        assert!(parts.concat().iter().enumerate().all(|(i, x)| *x == sample(channel, i)), "{name}");
    }
    let verified = json(&run(&["verify", text(&take), "--json"]));
    assert_eq!((verified["good"].as_bool(), verified["frames"].as_u64()), (Some(true), Some(96_000)));
    let verified = run(&["verify", text(&take)]);
    assert_eq!(String::from_utf8_lossy(&verified.stdout), "good: 2 stems of 96000 frames (2.000 s), 0.6 MB; nothing was lost\n");
    failure_line(&run(&["recover", text(&take)]), 1);
    fs::write(take.join("02 Über.wav"), b"").unwrap();
    assert!(failure_line(&run(&["verify", text(&take)]), 1).contains("02 Über.wav: it is no WAV file"));
}

#[test]
fn standard_input_becomes_stems_at_real_time_pace() {
    for (format, shift) in [("f32", 0), ("s32", 8), ("s24", 0)] {
        let folder = tempfile::tempdir().unwrap();
        let mut child = isotherm()
            .args(["record", "--out", text(folder.path()), "--stdin-format", format, "--stdin-channels", "4", "--json"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut bytes = Vec::new();
        for (i, c) in (0..12_000).flat_map(|i| (0..CHANNELS).map(move |c| (i, c))) {
            bytes.extend(match format {
                "f32" => (sample(c, i) as f32 / 8_388_608.0).to_le_bytes(),
                _ => (sample(c, i) << shift).to_le_bytes(),
            });
        }
        // An incomplete frame at the end is ignored.
        bytes.extend([1, 2, 3]);
        child.stdin.take().unwrap().write_all(&bytes).unwrap();
        let report = json(&child.wait_with_output().unwrap());
        assert!(report["seconds"].as_f64().unwrap() >= 0.25);
        let take = PathBuf::from(report["takes"][0]["folder"].as_str().unwrap());
        for c in 0..CHANNELS {
            let found = read_samples(&take.join(format!("{:02} Channel {}.wav", c + 1, c + 1)));
            assert_eq!(found.len(), 12_000);
            assert!(found.iter().enumerate().all(|(i, x)| *x == sample(c, i)), "{format}");
        }
    }
}

#[test]
fn start_level_pre_roll_and_duration_decide_the_takes_length() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in.wav");
    let spec = hound::WavSpec { channels: 1, sample_rate: 48_000, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut writer = hound::WavWriter::create(&input, spec).unwrap();
    (0..96_000).for_each(|i| writer.write_sample(if i == 50_000 { 16_384i16 } else { 3 }).unwrap());
    writer.finalize().unwrap();
    let base = ["record", "--input", text(&input), "--out", text(folder.path()), "--fast", "--json", "--start-level", "-12"];
    let report = json(&run(&[&base[..], &["--pre-roll", "500ms", "--duration", "0.25"]].concat()));
    let manifest = &report["takes"][0]["manifest"];
    assert_eq!((manifest["frames"].as_u64(), manifest["pre_roll_frames"].as_u64()), (Some(36_000), Some(24_000)));
    let never = run(&[&base[..7], &["--start-level", "0"]].concat());
    assert_eq!(json(&never)["takes"].as_array().unwrap().len(), 0);
}

#[test]
fn wrong_arguments_are_refused_in_one_line_and_leave_no_files() {
    let folder = tempfile::tempdir().unwrap();
    let input = write_input(&folder, 1);
    let out = folder.path().join("takes");
    let long = "x".repeat(300);
    for (options, code, expected) in [
        (&["--name", "a/b"][..], 1, "name: found 'a/b'"),
        (&["--name", &long], 1, "expected 1 to 120 bytes, these are 300"),
        (&["--channels", "1,2", "--names", "Kick,Kick"], 1, "channel name: found 'Kick' for stems 1 and 2"),
        (&["--names", "Kick"], 2, "--names: found 1 names; expected 4"),
        (&["--channels", "5"], 2, "--channels: '5' is no number from 1 to 4"),
        (&["--channels", "2,2"], 2, "--channels: found 2 twice"),
        (&["--split", "soon"], 2, "--split: 'soon' is no time"),
        (&["--pre-roll", "2m"], 1, "pre-roll: found 120 s; expected 0 to 60 s"),
        (&["--format", "12"], 2, "--format: '12'"),
        (&["--start-level", "loud"], 2, "--start-level: 'loud'"),
    ] {
        let base = ["record", "--input", text(&input), "--out", text(&out), "--fast"];
        let line = failure_line(&run(&[&base[..], options].concat()), code);
        assert!(line.contains(expected), "{line}");
        assert!(!out.exists() || fs::read_dir(&out).unwrap().count() == 0);
    }
    let missing = folder.path().join("missing.wav");
    failure_line(&run(&["record", "--input", text(&missing), "--out", text(&out)]), 1);
    failure_line(&run(&["record", "--input", text(&input), "--out", text(&input)]), 1);
    failure_line(&run(&["record", "--out", text(&out), "--stdin-format", "u8"]), 2);
    for command in ["verify", "recover"] {
        failure_line(&run(&[command, text(&missing)]), 1);
        failure_line(&run(&[command, text(folder.path())]), 1);
    }
}

/// Writes an input file and returns arguments of a recording that reads a block of it every 8 s only, so that it reacts to a
/// signal that late.
#[cfg(unix)]
fn slow_recording(folder: &TempDir) -> Vec<String> {
    let path = folder.path().join("slow.wav");
    let spec = hound::WavSpec { channels: 1, sample_rate: 8000, bits_per_sample: 24, sample_format: hound::SampleFormat::Int };
    let mut writer = hound::WavWriter::create(&path, spec).unwrap();
    (0..60 * 8000).for_each(|i| writer.write_sample(sample(0, i)).unwrap());
    writer.finalize().unwrap();
    let out = folder.path().join("takes");
    ["record", "--input", text(&path), "--block", "64000", "--out", text(&out)].map(Into::into).into()
}

/// Waits until the only take has a manifest, and returns its folder.
#[cfg(unix)]
fn wait_for_take(folder: &TempDir) -> PathBuf {
    let started = Instant::now();
    loop {
        let found = fs::read_dir(folder.path().join("takes")).into_iter().flatten().flatten().next().map(|entry| entry.path());
        match found {
            Some(take) if take.join("take.json").exists() => return take,
            _ => assert!(started.elapsed() < Duration::from_secs(60), "no take"),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Starts a slow recording and sends it signals, each after a pause in milliseconds. Returns its output and the take's folder.
#[cfg(unix)]
fn record_with_signals(folder: &TempDir, signals: &[(u64, nix::sys::signal::Signal)]) -> (Output, PathBuf) {
    let mut command = isotherm();
    let child = command.args(slow_recording(folder)).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let take = wait_for_take(folder);
    // By then the signal handler is set and the recording waits for the time of its first block.
    std::thread::sleep(Duration::from_millis(500));
    for (pause, signal) in signals {
        std::thread::sleep(Duration::from_millis(*pause));
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id().cast_signed()), *signal).unwrap();
    }
    (child.wait_with_output().unwrap(), take)
}

#[cfg(unix)]
#[test]
fn signals_in_quick_succession_finish_the_take() {
    use nix::sys::signal::Signal::{SIGHUP, SIGINT, SIGTERM};
    for signals in [&[(0, SIGINT), (300, SIGINT)][..], &[(0, SIGTERM), (0, SIGINT), (0, SIGHUP)]] {
        let folder = tempfile::tempdir().unwrap();
        let (output, take) = record_with_signals(&folder, signals);
        assert_eq!(output.status.code(), Some(0), "{signals:?}: {output:?}");
        let verified = run(&["verify", text(&take)]);
        let stdout = String::from_utf8_lossy(&verified.stdout).into_owned();
        assert!(verified.status.success() && stdout.contains("nothing was lost"), "{signals:?}: {stdout}");
    }
    // `timeout` signals the program, and then its process group.
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("timeout");
    let options = ["-s", "INT", "4", env!("CARGO_BIN_EXE_isotherm")];
    let output = command.args(options).args(slow_recording(&folder)).output().expect("coreutils");
    assert_eq!(output.status.code(), Some(124), "{output:?}");
    let verified = run(&["verify", text(&wait_for_take(&folder))]);
    assert!(verified.status.success(), "{output:?} {verified:?}");
}

#[cfg(unix)]
#[test]
fn a_later_second_or_a_third_signal_exits_at_once_and_leaves_a_recoverable_take() {
    use nix::sys::signal::Signal::{SIGINT, SIGTERM};
    for signals in [&[(0, SIGINT), (2500, SIGTERM)][..], &[(0, SIGINT), (500, SIGINT), (500, SIGINT)]] {
        let folder = tempfile::tempdir().unwrap();
        let (output, take) = record_with_signals(&folder, signals);
        let line = failure_line(&output, 3);
        assert!(line.contains("interrupted again") && line.contains("`isotherm recover`"), "{line}");
        failure_line(&run(&["verify", text(&take)]), 1);
        // No block was written yet: the take becomes valid, and its lack of frames is a failure.
        for command in ["recover", "verify"] {
            assert!(failure_line(&run(&[command, text(&take)]), 1).contains("the take has no frames"), "{command}");
        }
        let manifest: Value = serde_json::from_slice(&fs::read(take.join("take.json")).unwrap()).unwrap();
        assert_eq!(manifest["state"], "recovered");
    }
}

#[test]
fn takes_with_the_same_name_and_second_are_all_made() {
    let folder = tempfile::tempdir().unwrap();
    let input = write_input(&folder, 1);
    for round in 0.. {
        let out = folder.path().join(format!("takes {round}"));
        let arguments = ["record", "--input", text(&input), "--out", text(&out), "--fast"];
        let start = || isotherm().args(arguments).stdout(Stdio::null()).spawn().unwrap();
        for mut child in [start(), start(), start()] {
            assert!(child.wait().unwrap().success());
        }
        let mut takes: Vec<PathBuf> = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().path()).collect();
        takes.sort();
        assert_eq!(takes.len(), 3);
        let all: Vec<&str> = takes.iter().map(|take| text(take)).collect();
        assert!(run(&[&["verify"], &all[..]].concat()).status.success());
        if text(&takes[2]).ends_with(" take 3") {
            break;
        }
    }
}

#[test]
fn many_takes_are_verified_and_recovered_in_one_call() {
    let folder = tempfile::tempdir().unwrap();
    let input = write_input(&folder, 1);
    let out = folder.path().join("takes");
    for name in ["a", "b", "c"] {
        json(&run(&["record", "--input", text(&input), "--out", text(&out), "--fast", "--json", "--name", name]));
    }
    let mut takes: Vec<PathBuf> = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().path()).collect();
    takes.sort();
    let [a, b, c] = [0, 1, 2].map(|index| text(&takes[index]));
    let good = run(&["verify", a, b, c]);
    let stdout = String::from_utf8_lossy(&good.stdout).into_owned();
    let lines: Vec<&str> = stdout.lines().collect();
    assert_eq!((good.status.code(), lines.len()), (Some(0), 3), "{stdout}");
    for (line, take) in lines.iter().zip([a, b, c]) {
        assert_eq!(*line, format!("{take}: good: 4 stems of 48000 frames (1.000 s), 0.6 MB; nothing was lost"));
    }
    // One folder is not a take and one take is damaged; the takes after them are still verified.
    let none = folder.path().join("none");
    fs::create_dir(&none).unwrap();
    fs::write(takes[1].join("02 Channel 2.wav"), b"").unwrap();
    let bad = run(&["verify", a, text(&none), b, c]);
    let line = failure_line(&bad, 1);
    assert!(line.contains("2 of 4 takes failed; the first: ") && line.contains("none"), "{line}");
    let stdout = String::from_utf8_lossy(&bad.stdout).into_owned();
    let lines: Vec<&str> = stdout.lines().collect();
    assert!(lines[0].starts_with(&format!("{a}: good: ")), "{stdout}");
    assert!(lines[1].starts_with(&format!("{}: ", text(&none))) && lines[1].contains("take.json"), "{stdout}");
    assert_eq!(lines[2], format!("{b}: 02 Channel 2.wav: it is no WAV file"));
    assert!(lines[3].starts_with(&format!("{c}: good: ")), "{stdout}");
    let bad = run(&["verify", "--json", a, text(&none), b, c]);
    let report: Value = serde_json::from_slice(&bad.stdout).unwrap();
    let is_good: Vec<bool> = report.as_array().unwrap().iter().map(|take| take["good"].as_bool().unwrap()).collect();
    assert_eq!((bad.status.code(), is_good), (Some(1), vec![true, false, false, true]));
    assert!(report[1]["problems"][0].as_str().unwrap().contains("take.json"), "{report}");
    // The report on a single take is an object, not a list.
    assert_eq!(json(&run(&["verify", "--json", a]))["good"], true);

    // Unfinished takes among finished ones.
    for take in [&takes[0], &takes[2]] {
        let file = take.join("take.json");
        let left = fs::read_to_string(&file).unwrap().replace("\"state\": \"finished\"", "\"state\": \"recording\"");
        fs::write(&file, left).unwrap();
    }
    fs::remove_dir_all(b).unwrap();
    json(&run(&["record", "--input", text(&input), "--out", text(&out), "--fast", "--json", "--name", "d"]));
    let all: Vec<PathBuf> = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().path()).collect();
    let all: Vec<&str> = all.iter().map(|take| text(take)).collect();
    assert_eq!(all.len(), 3);
    let recovered = run(&[&["recover"], &all[..]].concat());
    let stdout = String::from_utf8_lossy(&recovered.stdout).into_owned();
    assert_eq!(recovered.status.code(), Some(0), "{stdout}");
    assert_eq!((stdout.matches(", and verified").count(), stdout.matches("nothing to recover").count()), (2, 1), "{stdout}");
    assert!(run(&[&["verify"], &all[..]].concat()).status.success());
    // All takes are finished now; that is a failure only for a single take.
    assert!(run(&[&["recover"], &all[..]].concat()).status.success());
    failure_line(&run(&["recover", a]), 1);
    let none = run(&["recover", a, text(&none)]);
    assert!(failure_line(&none, 1).contains("1 of 2 takes failed"), "{none:?}");
}

#[test]
fn a_recording_reports_unfinished_takes_at_its_start() {
    let folder = tempfile::tempdir().unwrap();
    let input = write_input(&folder, 1);
    let out = folder.path().join("it's here");
    let record = |more: &[&str]| run(&[&["record", "--input", text(&input), "--out", text(&out), "--fast"], more].concat());
    let first = record(&["--json"]);
    assert_eq!(json(&first)["unfinished"], serde_json::json!([]));
    let take = PathBuf::from(json(&first)["takes"][0]["folder"].as_str().unwrap());
    let file = take.join("take.json");
    let left = fs::read_to_string(&file).unwrap().replace("\"state\": \"finished\"", "\"state\": \"recording\"");
    fs::write(&file, left).unwrap();
    assert_eq!(json(&record(&["--json"]))["unfinished"], serde_json::json!([take]));
    let stdout = String::from_utf8(record(&[]).stdout).unwrap();
    let line = stdout.lines().next().unwrap();
    assert!(line.contains("is unfinished, as a crash left it; `isotherm recover '"), "{stdout}");
    #[cfg(unix)]
    {
        // A shell runs the command as it is printed.
        let command = line.split('`').nth(1).unwrap().replace("isotherm ", &format!("{} ", env!("CARGO_BIN_EXE_isotherm")));
        assert!(Command::new("sh").arg("-c").arg(command).output().unwrap().status.success(), "{stdout}");
        assert_eq!(json(&record(&["--json"]))["unfinished"], serde_json::json!([]));
        let stdout = String::from_utf8(run(&["verify", text(&take)]).stdout).unwrap();
        assert!(stdout.contains("not known: ") && !stdout.contains("nothing was lost"), "{stdout}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_loss_gives_exit_code_3() {
    let folder = tempfile::tempdir().unwrap();
    let input = write_input(&folder, 5);
    let small = folder.path().join("small");
    fs::create_dir(&small).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "none"]).arg(&small).output();
    if !mounted.as_ref().is_ok_and(|o| o.status.success()) {
        println!("skipped: only root may mount a small disk: {mounted:?}");
        return;
    }
    let output = run(&["record", "--input", text(&input), "--out", text(&small), "--fast"]);
    let take = fs::read_dir(&small).unwrap().next().unwrap().unwrap().path();
    let verified = run(&["verify", text(&take)]);
    assert!(Command::new("umount").arg(&small).status().unwrap().success());
    let line = failure_line(&output, 3);
    assert!(line.contains("the take is ") && line.contains(" s long and whole up to there"), "{line}");
    assert!(verified.status.success(), "{verified:?}");
}

/// Returns random numbers with a new seed for each run, which is printed.
fn randomly_seeded() -> Random {
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).unwrap();
    println!("seed {:?}", u64::from_le_bytes(seed));
    Random::new(u64::from_le_bytes(seed))
}

#[cfg(unix)]
#[test]
fn a_take_that_is_killed_at_any_moment_is_playable_and_can_be_recovered() {
    let long = std::env::var_os("ISOTHERM_LONG").is_some();
    let folder = tempfile::tempdir().unwrap();
    let input = write_input(&folder, 6);
    let mut random = randomly_seeded();
    for round in 0..if long { 50 } else { 5 } {
        let out = folder.path().join(format!("takes {round}"));
        let mut child = isotherm()
            .args(["record", "--input", text(&input), "--out", text(&out), "--split", "1500ms", "--interleaved", "--json"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let take = loop {
            let found = fs::read_dir(&out).into_iter().flatten().flatten().map(|e| e.path()).find(|path| path.is_dir());
            match found {
                Some(take) if take.join("take.json").exists() => break take,
                _ => std::thread::sleep(Duration::from_millis(1)),
            }
        };
        let started = Instant::now();
        std::thread::sleep(Duration::from_millis(random.below(4000) as u64));
        let run_time = started.elapsed();
        // SIGKILL.
        child.kill().unwrap();
        child.wait().unwrap();
        let playable: usize = (1..)
            .map(|part| take.join(if part == 1 { "01 Channel 1.wav".into() } else { format!("01 Channel 1 part {part}.wav") }))
            .map_while(|file| hound::WavReader::open(file).ok().map(|reader| reader.len() as usize))
            .sum();
        let recovered = run(&["recover", text(&take), "--json"]);
        let report: Value = serde_json::from_slice(&recovered.stdout).unwrap();
        let frames = report["manifest"]["frames"].as_u64().unwrap() as usize;
        assert!(playable <= frames, "round {round}: {playable} of {frames} frames were playable");
        // A take without frames, killed before the first was on the disk, is a failure.
        assert_eq!(recovered.status.success(), frames > 0, "round {round}: {recovered:?}");
        let verified = run(&["verify", text(&take)]);
        assert_eq!(verified.status.success(), frames > 0, "round {round}: {verified:?}");
        let gaps = report["manifest"]["gaps"].as_array().unwrap();
        for c in 0..CHANNELS {
            let lost = |i: usize| {
                gaps.iter().any(|gap| {
                    let position = gap["position"].as_u64().unwrap() as usize;
                    let of = gap["stem"].as_u64().is_none_or(|stem| stem as usize == c + 1);
                    of && (position..position + gap["frames"].as_u64().unwrap() as usize).contains(&i)
                })
            };
            let parts = report["manifest"]["stems"][c]["parts"].as_array().unwrap();
            let found: Vec<i32> =
                parts.iter().flat_map(|part| read_samples(&take.join(part["file"].as_str().unwrap()))).collect();
            assert_eq!(found.len(), frames);
            let is_right = found.iter().enumerate().all(|(i, x)| *x == if lost(i) { 0 } else { sample(c, i) });
            assert!(is_right, "round {round}, stem {}", c + 1);
        }
        // At most the last second is lost. Measured by the clock, so only in the long tests, where the machine is idle.
        if long {
            let expected = (run_time.as_secs_f64() - 1.0) * RATE as f64;
            assert!(frames as f64 >= expected && playable as f64 >= expected, "{playable}, {frames} frames after {run_time:?}");
        }
    }
}
