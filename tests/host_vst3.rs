//! The bundled VST3 plug-in in a real host: pedalboard, which is JUCE. Needs `ISOTHERM_VST3`, `ISOTHERM_CLAP` and `ISOTHERM_PYTHON`,
//! which `cargo xtask test` sets.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use isotherm::algorithm::REGISTRY;
use isotherm::audio::wav::{Format, read, write};
use isotherm::audio::{Audio, generate};
use isotherm::dsp::{Kind, choice_id};
use isotherm_host::{Plugin, nice_state};
use serde_json::{Value, json};

fn path(variable: &str) -> PathBuf {
    PathBuf::from(std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} is not set: run `cargo xtask test`")))
}

/// Silence behind the sound, so that a host that takes the latency off has something to take.
const TAIL: usize = 4096;

struct Job<'a> {
    folder: &'a Path,
    sound: &'a [Vec<f32>],
    rate: u32,
    block: usize,
    values: BTreeMap<String, f32>,
    state: Option<String>,
}

/// The output, the parameters' raw values and the state.
fn play(job: &Job) -> (Vec<Vec<f32>>, BTreeMap<String, f32>, String) {
    let (from, to) = (job.folder.join("in.f32"), job.folder.join("out.f32"));
    let bytes: Vec<u8> = job.sound.iter().flat_map(|c| c.iter().copied().chain([0.0; TAIL])).flat_map(f32::to_le_bytes).collect();
    std::fs::write(&from, bytes).unwrap();
    let order = json!({
        "plugin": path("ISOTHERM_VST3"), "sound": from, "output": to, "channels": job.sound.len(), "rate": job.rate, "block": job.block,
        "values": job.values, "state": job.state,
    });
    let mut python = Command::new(path("ISOTHERM_PYTHON"))
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/host_vst3.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(order.to_string().as_bytes()).unwrap();
    let done = python.wait_with_output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let answer: Value = serde_json::from_slice(&done.stdout).unwrap();
    let raw = answer["raw"].as_object().unwrap().iter().map(|(k, v)| (k.clone(), v.as_f64().unwrap() as f32)).collect();
    let samples: Vec<f32> =
        std::fs::read(&to).unwrap().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    let frames = job.sound[0].len() + TAIL;
    let output = samples.chunks_exact(frames).map(|c| c[..frames - TAIL].to_vec()).collect();
    (output, raw, answer["state"].as_str().unwrap().to_string())
}

/// Values somewhere in the range, as a host holds them (0 to 1).
fn values(slot: &str, row: usize) -> BTreeMap<String, f32> {
    let algorithm = REGISTRY[row];
    let mut values = BTreeMap::from([(format!("{slot}_algorithm"), row as f32 / (REGISTRY.len() - 1) as f32)]);
    for parameter in algorithm.parameters {
        let name = format!("{slot}_{}_{}", algorithm.id, parameter.name.to_lowercase().replace(' ', "_"));
        let value = match parameter.kind {
            Kind::Choice { names, .. } => (names.len() / 2) as f32 / (names.len() - 1) as f32,
            Kind::Toggle { .. } => 1.0,
            Kind::Float { .. } => 0.71,
        };
        values.insert(name, value);
    }
    values
}

/// What `isotherm render` makes of the values: a CLAP instance of the same build turns them into plain ones.
fn rendered(folder: &Path, raw: &BTreeMap<String, f32>, row: usize, sound: &[Vec<f32>], rate: u32) -> Vec<Vec<f32>> {
    let algorithm = REGISTRY[row];
    let mut clap = Plugin::load(&path("ISOTHERM_CLAP")).unwrap();
    for parameter in algorithm.parameters {
        let value = f64::from(raw[&format!("a_{}_{}", algorithm.id, parameter.name.to_lowercase().replace(' ', "_"))]);
        let steps = if let Kind::Choice { names, .. } = parameter.kind { (names.len() - 1) as f64 } else { 1.0 };
        clap.set(&format!("A {} {}", algorithm.name, parameter.name), value * steps);
    }
    let state = nice_state::parameters(&clap.save().unwrap()).unwrap();
    let (from, to) = (folder.join("in.wav"), folder.join("out.wav"));
    let channels: Vec<&[f32]> = sound.iter().map(Vec::as_slice).collect();
    write(&from, &Audio::from_channels(rate, &channels).unwrap(), Format::Float32).unwrap();
    let mut render = Command::new(env!("CARGO_BIN_EXE_isotherm"));
    render.arg("render").args([&from, &to]).args(["--algorithm", algorithm.id, "--format", "32f"]);
    for parameter in algorithm.parameters {
        let value = state[&format!("a_{}_{}", algorithm.id, parameter.id)];
        let text = match parameter.kind {
            Kind::Float { .. } => format!("{value:.10}"),
            _ => choice_id(&parameter.text(value)),
        };
        render.arg(format!("--{}={text}", parameter.id.replace('_', "-")));
    }
    let done = render.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let output = read(&to).unwrap();
    (0..sound.len()).map(|c| output.channel(c).to_vec()).collect()
}

fn sound(channels: usize) -> Vec<Vec<f32>> {
    (0..channels).map(|c| generate::pink(48_000, 0.2, 20_000, c as u64 + 5).unwrap().channel(0).to_vec()).collect()
}

#[test]
fn the_vst3_gives_the_samples_of_isotherm_render_in_mono_and_stereo_at_any_block_and_rate() {
    for (row, algorithm) in REGISTRY.iter().enumerate() {
        for (channels, rate, block) in [(2, 48_000, 512), (1, 44_100, 333)] {
            let folder = tempfile::tempdir().unwrap();
            let sound = sound(channels);
            let job = Job { folder: folder.path(), sound: &sound, rate, block, values: values("a", row), state: None };
            let (output, raw, _) = play(&job);
            let expected = rendered(folder.path(), &raw, row, &sound, rate);
            for c in 0..channels {
                let differs = (0..expected[c].len()).find(|&i| expected[c][i] != output[c][i]);
                assert!(differs.is_none(), "{}, {channels} channels, from frame {differs:?}", algorithm.id);
            }
        }
    }
}

#[test]
fn the_vst3s_state_restores_the_sound_in_another_process() {
    let folder = tempfile::tempdir().unwrap();
    let sound = sound(2);
    let job = Job { folder: folder.path(), sound: &sound, rate: 48_000, block: 512, values: values("a", 1), state: None };
    let (output, raw, state) = play(&job);
    let (again, raw_again, state_again) = play(&Job { values: BTreeMap::new(), state: Some(state.clone()), ..job });
    assert_eq!(raw, raw_again);
    assert_eq!(state, state_again);
    assert!(output == again);
}
