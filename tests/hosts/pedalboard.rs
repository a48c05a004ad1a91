//! The bundled VST3 plug-in in pedalboard, a Python package with the VST3 host of JUCE. Needs `ISOTHERM_VST3`, `ISOTHERM_CLAP`
//! and `ISOTHERM_PYTHON`, which `cargo xtask test` sets.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use isotherm::algorithm::REGISTRY;
use isotherm::audio::wav::{WavFormat, read, write};
use isotherm::audio::{Audio, generate};
use isotherm::dsp::{Algorithm, Parameter, ParameterKind, choice_id};
use isotherm_host::{ClapInstance, nice_state};
use serde_json::{Value, json};

fn path(variable: &str) -> PathBuf {
    PathBuf::from(std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} is not set: run `cargo xtask test`")))
}

/// Frames of silence after the sound: pedalboard compensates the latency and needs as many frames more.
const TAIL: usize = 4096;

/// A rendering in pedalboard.
struct Job<'a> {
    /// Folder for the files that are exchanged with the script.
    folder: &'a Path,
    sound: &'a [Vec<f32>],
    rate: u32,
    block: usize,
    /// Normalised values of parameters, by pedalboard's names.
    values: BTreeMap<String, f32>,
    /// State to load first, in hexadecimal.
    state: Option<String>,
    /// Model for slot A.
    model: Option<&'a Path>,
}

/// Runs the script with a job in JSON, and returns its answer.
fn run_script(job: &Value) -> Value {
    let mut python = Command::new(path("ISOTHERM_PYTHON"))
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hosts/pedalboard_host.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(job.to_string().as_bytes()).unwrap();
    let done = python.wait_with_output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

/// Writes the sound of a job to a file, and returns the job as JSON for the script, whose output goes to `to`.
fn job_json(job: &Job, to: &Path) -> Value {
    let from = job.folder.join("in.f32");
    let bytes: Vec<u8> = job.sound.iter().flat_map(|c| c.iter().copied().chain([0.0; TAIL])).flat_map(f32::to_le_bytes).collect();
    std::fs::write(&from, bytes).unwrap();
    json!({
        "plugin": path("ISOTHERM_VST3"), "sound": from, "output": to, "channels": job.sound.len(), "rate": job.rate,
        "block": job.block, "values": job.values, "state": job.state, "model": job.model,
    })
}

/// The normalised values in an answer, by pedalboard's names.
fn raw(answer: &Value, key: &str) -> BTreeMap<String, f32> {
    answer[key].as_object().unwrap().iter().map(|(k, v)| (k.clone(), v.as_f64().unwrap() as f32)).collect()
}

/// Runs a job; returns output, normalised values of the parameters, and state.
fn play(job: &Job) -> (Vec<Vec<f32>>, BTreeMap<String, f32>, String) {
    let to = job.folder.join("out.f32");
    let answer = run_script(&job_json(job, &to));
    let samples: Vec<f32> =
        std::fs::read(&to).unwrap().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    let frames = job.sound[0].len() + TAIL;
    let output = samples.chunks_exact(frames).map(|c| c[..frames - TAIL].to_vec()).collect();
    (output, raw(&answer, "raw"), answer["state"].as_str().unwrap().to_string())
}

/// Pedalboard's name of a parameter, made of its title and its unit.
fn name(slot: &str, algorithm: &Algorithm, parameter: &Parameter) -> String {
    let unit = parameter.unit().suffix().replace('%', "");
    format!("{slot} {} {}{}", algorithm.name, parameter.name, unit.trim_end()).to_lowercase().replace(' ', "_")
}

/// Normalised values (0 to 1) other than the defaults for the algorithm with index `row`, by pedalboard's names.
fn values(slot: &str, row: usize) -> BTreeMap<String, f32> {
    let algorithm = REGISTRY[row];
    let mut values = BTreeMap::from([(format!("{slot}_algorithm"), row as f32 / (REGISTRY.len() - 1) as f32)]);
    for parameter in algorithm.parameters {
        let name = name(slot, algorithm, parameter);
        let value = match parameter.kind {
            ParameterKind::Choice { names, .. } => (names.len() / 2) as f32 / (names.len() - 1) as f32,
            ParameterKind::Toggle { .. } => 1.0,
            ParameterKind::Float { .. } => 0.71,
        };
        values.insert(name, value);
    }
    values
}

/// The output of `isotherm render` for the values of a job. A CLAP instance of the same build turns them into plain ones.
fn rendered(job: &Job, raw: &BTreeMap<String, f32>, row: usize) -> Vec<Vec<f32>> {
    let algorithm = REGISTRY[row];
    let mut clap = ClapInstance::load(&path("ISOTHERM_CLAP")).unwrap();
    for parameter in algorithm.parameters {
        let value = f64::from(raw[&name("a", algorithm, parameter)]);
        let steps = if let ParameterKind::Choice { names, .. } = parameter.kind { (names.len() - 1) as f64 } else { 1.0 };
        clap.set(&format!("A {} {}", algorithm.name, parameter.name), value * steps);
    }
    let state = nice_state::parameters(&clap.save().unwrap()).unwrap();
    let (from, to) = (job.folder.join("in.wav"), job.folder.join("out.wav"));
    let channels: Vec<&[f32]> = job.sound.iter().map(Vec::as_slice).collect();
    write(&from, &Audio::from_channels(job.rate, &channels).unwrap(), WavFormat::Float32).unwrap();
    let mut render = Command::new(env!("CARGO_BIN_EXE_isotherm"));
    render.arg("render").args([&from, &to]).args(["--algorithm", algorithm.id, "--force", "--format", "32f"]);
    if let Some(model) = job.model {
        render.arg("--model").arg(model);
    }
    for parameter in algorithm.parameters {
        let value = state[&format!("a_{}_{}", algorithm.id, parameter.id)];
        let text = match parameter.kind {
            ParameterKind::Float { .. } => format!("{value:.10}"),
            _ => choice_id(&parameter.text(value)),
        };
        render.arg(format!("--{}={text}", parameter.id.replace('_', "-")));
    }
    let done = render.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let output = read(&to).unwrap();
    (0..job.sound.len()).map(|c| output.channel(c).to_vec()).collect()
}

fn sound(channels: usize) -> Vec<Vec<f32>> {
    (0..channels).map(|c| generate::pink(48_000, 0.2, 20_000, c as u64 + 5).unwrap().channel(0).to_vec()).collect()
}

#[test]
fn the_vst3_gives_the_samples_of_isotherm_render_in_mono_and_stereo_at_any_block_and_rate() {
    // The neural algorithm has nothing to render without a model; other tests play it.
    for (row, algorithm) in REGISTRY.iter().enumerate().filter(|(_, algorithm)| !algorithm.plays_model) {
        for (channels, rate, block) in [(2, 48_000, 512), (1, 44_100, 333)] {
            let folder = tempfile::tempdir().unwrap();
            let sound = sound(channels);
            let job =
                Job { folder: folder.path(), sound: &sound, rate, block, values: values("a", row), state: None, model: None };
            let (output, raw, _) = play(&job);
            let expected = rendered(&job, &raw, row);
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
    let job =
        Job { folder: folder.path(), sound: &sound, rate: 48_000, block: 512, values: values("a", 1), state: None, model: None };
    let (output, raw, state) = play(&job);
    let (again, raw_again, state_again) = play(&Job { values: BTreeMap::new(), state: Some(state.clone()), ..job });
    assert_eq!(raw, raw_again);
    assert_eq!(state, state_again);
    assert!(output == again);
}

#[test]
fn values_set_while_no_block_is_processed_are_quantised_shown_and_saved() {
    for when in ["before blocks", "after blocks"] {
        let folder = tempfile::tempdir().unwrap();
        let sound = sound(2);
        let values = BTreeMap::new();
        let job = Job { folder: folder.path(), sound: &sound, rate: 48_000, block: 512, values, state: None, model: None };
        let mut script_job = job_json(&job, &folder.path().join("out.f32"));
        script_job["set_without_blocks"] = when.into();
        let answer = run_script(&script_job);
        let (shown, restored) = (raw(&answer, "raw"), raw(&answer, "restored"));
        assert_eq!(answer["shown"]["a_algorithm"], "Clipper", "{when}");
        for (name, value) in &shown {
            let back = restored[name];
            assert!((back - value).abs() < 1e-6, "{when}: {name} was {value} and comes back as {back}");
        }
        let clipper = REGISTRY.iter().position(|r| r.id == "clipper").unwrap();
        assert!((restored["a_algorithm"] - clipper as f32 / (REGISTRY.len() - 1) as f32).abs() < 1e-6, "{when}");
        assert!((restored["a_saturator_drive_db"] - 36.0 / 60.0).abs() < 1e-5, "{when}");
        assert_eq!((restored["a_bitcrusher_quantiser"], restored["listen"]), (1.0, 0.0), "{when}");
        for (row, p) in REGISTRY.iter().flat_map(|row| row.parameters.iter().map(move |p| (row, p))) {
            let texts = &answer["texts"][name("b", row, p)];
            let unit = p.unit().suffix().trim();
            // Pedalboard guesses a unit from the texts of a parameter that has none.
            assert!(unit.is_empty() || texts[1] == unit, "{} {}: {}, expected {unit}", row.id, p.id, texts[1]);
            let text = texts[0].as_str().unwrap();
            assert!(unit.is_empty() || !text.ends_with(unit), "{} {}: '{text}' and '{unit}'", row.id, p.id);
        }
    }
}

/// Index in the registry of the algorithm that runs models.
fn neural_row() -> usize {
    REGISTRY.iter().position(|r| r.plays_model).unwrap()
}

#[test]
fn the_vst3_plays_a_model_with_the_samples_of_isotherm_render() {
    let model = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/models/saturator-24db-lstm16.nam"));
    for (channels, rate, block) in [(2, 48_000, 512), (1, 44_100, 333)] {
        let folder = tempfile::tempdir().unwrap();
        let sound = sound(channels);
        let values = BTreeMap::from([("a_algorithm".to_string(), neural_row() as f32 / (REGISTRY.len() - 1) as f32)]);
        let job = Job { folder: folder.path(), sound: &sound, rate, block, values, state: None, model: Some(model) };
        let (output, raw, _) = play(&job);
        assert!(output == rendered(&job, &raw, neural_row()), "{channels} channels at {rate} Hz");
        assert!(output != sound, "no model was loaded");
    }
}

/// Folder with models and their renders by another implementation; None if it is not there.
fn peer_models() -> Option<PathBuf> {
    let shared = std::env::var_os("ISOTHERM_SHARED").map(PathBuf::from);
    let shared = shared.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"));
    Some(shared.join("peer-models")).filter(|f| f.is_dir())
}

#[test]
fn models_sound_as_in_another_implementation_on_the_command_line_and_in_both_hosts() {
    let Some(folder) = peer_models() else {
        println!("skipped: there is no folder of reference renders");
        return;
    };
    let input = read(folder.join("input.wav")).unwrap();
    let sound = [input.channel(0).to_vec()];
    for name in ["lstm", "wavenet", "wavenet_a1_standard"] {
        let model = folder.join(format!("{name}.nam"));
        let reference = read(folder.join(format!("{name}_reference.wav"))).unwrap();
        let reference = reference.channel(0);
        let assert_close = |player: &str, output: &[f32]| {
            let worst = output.iter().zip(reference).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            println!("{name}, {player}: {worst:e}");
            assert!(output.len() == reference.len() && worst < 1e-5, "{name}, {player}: off by {worst}");
        };
        let work = tempfile::tempdir().unwrap();
        let rate = input.sample_rate();
        // Output mode Raw, which leaves the model's own level.
        let values = BTreeMap::from([
            ("a_algorithm".to_string(), neural_row() as f32 / (REGISTRY.len() - 1) as f32),
            ("a_neural_model_output_mode".to_string(), 0.0),
        ]);
        let job = Job { folder: work.path(), sound: &sound, rate, block: 256, values, state: None, model: Some(&model) };
        let (output, raw, _) = play(&job);
        assert_close("VST3", &output[0]);
        assert_close("command line", &rendered(&job, &raw, neural_row())[0]);

        let mut clap = ClapInstance::load(&path("ISOTHERM_CLAP")).unwrap();
        clap.set_text("A Algorithm", REGISTRY[neural_row()].name).unwrap();
        clap.set_text("A Neural model Output mode", "Raw").unwrap();
        let field = json!({ "name": model.file_name().unwrap().to_str(), "folder": folder.to_str() }).to_string();
        let state = nice_state::with_field(&clap.save().unwrap(), "a_model", &field).unwrap();
        clap.load_state(&state).unwrap();
        clap.select_layout(1).unwrap();
        clap.activate(f64::from(rate), 256).unwrap();
        assert_close("CLAP", &clap.render(&sound, [256], &[]).unwrap()[0]);
    }
}
