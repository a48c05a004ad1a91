//! WAV files on the command line: standard input and output, joined pieces, mended copies.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use isotherm::audio::wav::{WavFormat, read, read_exact, write};
use isotherm::audio::{Audio, I24, generate};
use isotherm::record::wav::{WavMetadata, WavWriter};

use crate::run::{failure_line, isotherm, run_failing};

/// Runs the program with these bytes on standard input.
fn isotherm_with_input(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_isotherm"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that refuses its input closes the pipe.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A tenth of a second of two channels, in a 24-bit file at `path`.
fn write_sound(path: &Path) -> Audio<f32> {
    let [left, right] = [440.0, 1000.0].map(|hz| generate::sine(48_000, hz, 0.5, 4800).unwrap());
    let sound = Audio::from_channels(48_000, &[left.channel(0), right.channel(0)]).unwrap();
    write(path, &sound, WavFormat::Int24).unwrap();
    read(path).unwrap()
}

#[test]
fn render_reads_standard_input_and_writes_standard_output_with_the_samples_of_files() {
    let folder = tempfile::tempdir().unwrap();
    let [dry, wet, piped] = ["dry.wav", "wet.wav", "piped.wav"].map(|name| folder.path().join(name));
    write_sound(&dry);
    let rest = ["--algorithm", "clipper", "--json"];
    assert!(isotherm(&[&["render", text(&dry), text(&wet)], &rest[..]].concat()).status.success());
    let done = isotherm_with_input(&[&["render", "-", "-"], &rest[..]].concat(), &fs::read(&dry).unwrap());
    assert!(done.status.success());
    fs::write(&piped, &done.stdout).unwrap();
    assert_eq!(read(&piped).unwrap(), read(&wet).unwrap());
    // Only the sound is on standard output; the report is on standard error.
    assert_eq!(done.stdout[4..8], [0xFF; 4]);
    let report: serde_json::Value =
        serde_json::from_str(String::from_utf8(done.stderr).unwrap().strip_prefix("isotherm: ").unwrap()).unwrap();
    assert_eq!((&report["frames"], &report["notes"]), (&4800.into(), &serde_json::json!([])));
    // A stream that ends too early is rendered as far as it goes, and said.
    let half = &fs::read(&dry).unwrap()[..68 + 6 * 1000];
    let done = isotherm_with_input(&["render", "-", text(&piped), "--algorithm", "clipper", "--force"], half);
    assert!(done.status.success());
    assert_eq!(String::from_utf8(done.stderr).unwrap(), "isotherm: standard input: cut short: 3800 of 4800 frames are missing\n");
    assert_eq!(read(&piped).unwrap().frames(), 1000);
}

#[test]
fn record_takes_a_wav_on_standard_input_for_one_and_no_sound_file_for_raw_samples() {
    let folder = tempfile::tempdir().unwrap();
    let (dry, out) = (folder.path().join("dry.wav"), folder.path().join("takes"));
    write_sound(&dry);
    let codes = read_exact::<I24>(&dry).unwrap();
    for input in [&["--input", "-"][..], &[]] {
        let arguments = [&["record", "--out", text(&out), "--fast", "--json"], input].concat();
        let done = isotherm_with_input(&arguments, &fs::read(&dry).unwrap());
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let report: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
        let take = Path::new(report["takes"][0]["folder"].as_str().unwrap());
        for (channel, stem) in report["takes"][0]["manifest"]["stems"].as_array().unwrap().iter().enumerate() {
            let file = stem["parts"][0]["file"].as_str().unwrap();
            assert_eq!(read_exact::<I24>(take.join(file)).unwrap().channel(0), codes.channel(channel));
        }
        for (start, kind) in [(&b"fLaC"[..], "FLAC"), (b"OggS", "Ogg"), (b"FORM", "AIFF"), (b"riff", "Sony Wave64 (W64)")] {
            let line = failure_line(isotherm_with_input(&arguments, &[start, &[0; 400]].concat()), &arguments, 1);
            assert!(
                line.trim_end().ends_with(&format!("not a WAV file: expected RIFF or RF64 with WAVE, found {kind}")),
                "{line}"
            );
        }
    }
}

#[test]
fn joined_pieces_are_one_sound() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let sound = write_sound(&path("whole.wav"));
    for (name, range) in [("00000001.WAV", 0..2000), ("00000002.WAV", 2000..2001), ("00000003.WAV", 2001..4800)] {
        write(path(name), &sound.slice(range).unwrap(), WavFormat::Int24).unwrap();
    }
    let [whole, first, second, third] = ["whole.wav", "00000001.WAV", "00000002.WAV", "00000003.WAV"].map(path);
    let render = |inputs: &[&Path], name: &str, options: &[&str]| {
        let (inputs, out): (Vec<&str>, _) = (inputs.iter().copied().map(text).collect(), path(name));
        let done = isotherm(&[&["render"], &inputs[..], &[text(&out), "--algorithm", "clipper"], options].concat());
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        read(out).unwrap()
    };
    let expected = render(&[&whole], "expected.wav", &[]);
    assert_eq!(render(&[&first], "numbered.wav", &["--join"]), expected);
    assert_eq!(render(&[&first, &second, &third], "named.wav", &["--join"]), expected);
    let out = path("other.wav");
    let line = run_failing(&["render", text(&first), text(&second), text(&out), "--algorithm", "clipper"], 2);
    assert!(line.contains("found 2 input files; expected one, or --join"), "{line}");
    let line = run_failing(&["render", text(&first), text(&first), "--algorithm", "clipper", "--join"], 2);
    assert!(line.contains("is both input and output"), "{line}");
    // A piece that is found by its number is no output.
    let before = fs::read(&third).unwrap();
    let line = run_failing(&["render", text(&first), text(&third), "--algorithm", "clipper", "--join", "--force"], 2);
    assert!(line.contains("00000003.WAV is both input and output"), "{line}");
    assert_eq!(fs::read(&third).unwrap(), before);
    // A file without a second piece is read alone, and said.
    let done = isotherm(&["render", text(&whole), text(&path("alone.wav")), "--algorithm", "clipper", "--join"]);
    let said = format!("isotherm: --join: no file follows {} by number; only it is read\n", whole.display());
    assert_eq!((done.status.success(), String::from_utf8(done.stderr).unwrap()), (true, said));
    let takes = path("takes");
    let done = isotherm(&["record", "--input", text(&first), "--join", "--fast", "--json", "--out", text(&takes)]);
    let report: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    let take = Path::new(report["takes"][0]["folder"].as_str().unwrap());
    let stem = report["takes"][0]["manifest"]["stems"][1]["parts"][0]["file"].as_str().unwrap();
    assert_eq!(read(take.join(stem)).unwrap().channel(0), sound.channel(1));
}

#[test]
fn recover_copies_a_damaged_wav_file_and_overwrites_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let sound = write_sound(&path("whole.wav"));
    let mut bytes = fs::read(path("whole.wav")).unwrap();
    bytes[4..8].fill(0);
    bytes[64..68].fill(0);
    let (crashed, copy, named) = (path("crashed.wav"), path("crashed-recovered.wav"), path("named.wav"));
    fs::write(&crashed, &bytes).unwrap();
    assert!(isotherm(&["recover", text(&crashed)]).status.success());
    assert_eq!(read(&copy).unwrap(), sound);
    let done = isotherm(&["recover", text(&crashed), "--out", text(&named), "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!((&report["frames"], report["notes"].as_array().unwrap().len()), (&4800.into(), 1));
    assert_eq!(fs::read(&named).unwrap(), fs::read(&copy).unwrap());
    assert_eq!(fs::read(&crashed).unwrap(), bytes);
    assert!(run_failing(&["recover", text(&crashed)], 1).contains("cannot create"));
    assert!(run_failing(&["recover", text(&copy)], 1).contains("found a whole one"));
    assert!(run_failing(&["recover", text(&crashed), text(&copy), "--out", text(&named)], 2).starts_with("isotherm: --out:"));
    // Of several files, a whole one is skipped.
    fs::remove_file(&copy).unwrap();
    assert!(isotherm(&["recover", text(&named), text(&crashed)]).status.success());
    assert_eq!(read(&copy).unwrap(), sound);
}

/// Runs `render` from a pipe that stays open after these bytes, and interrupts it when it has taken nearly all of them; returns
/// its output, or fails if it does not end.
#[cfg(unix)]
fn interrupted_render(out: &Path, input: &[u8]) -> Output {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;
    let mut child = Command::new(env!("CARGO_BIN_EXE_isotherm"))
        .args(["render", "-", text(out), "--algorithm", "clipper", "--format", "24"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    // More than pipe, buffers and queue hold: the program renders when all of it is written.
    pipe.write_all(input).unwrap();
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    for _ in 0..600 {
        if child.try_wait().unwrap().is_some() {
            return child.wait_with_output().unwrap();
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    child.kill().unwrap();
    panic!("the interrupt was not seen; {:?}", child.wait_with_output());
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_a_render_whose_input_stalls() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let sine = generate::sine(48_000, 440.0, 0.5, 400_000).unwrap();
    write(path("dry.wav"), &sine, WavFormat::Int24).unwrap();
    let bytes = fs::read(path("dry.wav")).unwrap();
    // Of a sound of known length, nothing is left.
    let done = interrupted_render(&path("cut.wav"), &bytes[..bytes.len() - 300]);
    assert_eq!((done.status.code(), &*done.stderr), (Some(1), &b"isotherm: interrupted; nothing was written\n"[..]));
    assert!(!path("cut.wav").exists());
    // A stream of unknown length ends with the interrupt.
    let size = bytes.windows(4).position(|name| name == b"data").unwrap() + 4;
    let stream = [&bytes[..size], &[0xFF; 4], &bytes[size + 4..]].concat();
    let done = interrupted_render(&path("live.wav"), &stream);
    let said = String::from_utf8(done.stderr).unwrap();
    assert!(done.status.success() && said.starts_with("isotherm: interrupted: the input ends here, after "), "{said}");
    let live = read(path("live.wav")).unwrap();
    assert!(live.frames() > 100_000, "{} frames", live.frames());
    // The same as of a file that ends there.
    write(path("dry.wav"), &sine.slice(..live.frames()).unwrap(), WavFormat::Int24).unwrap();
    let rest = ["--algorithm", "clipper", "--format", "24"];
    assert!(isotherm(&[&["render", text(&path("dry.wav")), text(&path("wet.wav"))], &rest[..]].concat()).status.success());
    assert_eq!(live, read(path("wet.wav")).unwrap());
}

#[cfg(unix)]
#[test]
fn too_many_channels_are_refused_before_memory_is_taken_for_them() {
    let folder = tempfile::tempdir().unwrap();
    let (wide, out) = (folder.path().join("wide.wav"), folder.path().join("out.wav"));
    // One frame of 65535 channels of 8 bits.
    let mut file = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\xFF\xFF\x80\xBB\0\0\0\0\0\0\xFF\xFF\x08\0data\xFF\xFF\0\0".to_vec();
    file.extend(vec![128; 65_536]);
    fs::write(&wide, file).unwrap();
    // The queue alone would be 8 GiB.
    let limited = "ulimit -v 4000000; exec \"$0\" render \"$1\" \"$2\" --algorithm clipper";
    let arguments = [env!("CARGO_BIN_EXE_isotherm"), text(&wide), text(&out)];
    let done = Command::new("sh").arg("-c").arg(limited).args(arguments).output().unwrap();
    let line = failure_line(done, &arguments, 1);
    assert!(line.contains("65535 channels; expected 1 to "), "{line}");
}

#[test]
fn a_stem_that_is_killed_between_two_refreshes_of_its_header_is_read_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stem.wav");
    let metadata = WavMetadata {
        sample_rate: 48_000,
        channels: 1,
        format: WavFormat::Int24,
        text: "Bass".into(),
        originator: "isotherm".into(),
        reference: "1".into(),
        date: "2026-11-28".into(),
        time: "20:15:03".into(),
        time_reference: 0,
    };
    let mut writer = WavWriter::new(fs::File::create(&path).unwrap(), &metadata).unwrap();
    let codes: Vec<u8> = (1..=3000_u32).flat_map(|code| code.to_le_bytes()[..3].to_vec()).collect();
    writer.append(&codes[..3000]).unwrap();
    writer.refresh().unwrap();
    writer.append(&codes[3000..]).unwrap();
    drop(writer);
    let sound = read_exact::<I24>(&path).unwrap();
    assert!(sound.channel(0).iter().zip(1..=3000).all(|(code, expected)| code.inner() == expected));
    assert_eq!(sound.frames(), 3000);
    let copy = folder.path().join("stem-recovered.wav");
    let done = isotherm(&["recover", text(&path)]);
    assert!(String::from_utf8(done.stdout).unwrap().contains("6000 bytes more follow, and are read"));
    assert_eq!(read_exact::<I24>(&copy).unwrap(), sound);
}
