//! The measures of one effect, and the analyser, against NumPy and SciPy. Needs `ISOTHERM_PYTHON`, which `cargo xtask test` sets.

use std::ffi::OsStr;
use std::io::Write;
use std::process::{Command, Stdio};

use isotherm::audio::{Audio, Window, db_to_gain, generate};
use isotherm::effect::Effect;
use isotherm::measure::analyser::{AnalyserSettings, SpectrumStream};
use isotherm::measure::{ToneFigures, harmonic_sweep, linear_response, tone_response};
use isotherm::render::render;
use serde_json::{Value, json};

use super::find_python;

const RATE: u32 = 48_000;

/// Runs the script with a job in JSON, and returns its answer.
fn run_script(python: &OsStr, job: &Value) -> Value {
    let mut script = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/measures/effects.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = script.stdin.take().unwrap();
    let text = job.to_string();
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let done = script.wait_with_output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    writer.join().unwrap().unwrap();
    serde_json::from_slice(&done.stdout).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn saturator() -> Effect {
    Effect::from_id("saturator").unwrap().with("drive", 18.0).with("bias", 0.2)
}

#[test]
fn distortion_and_aliasing_of_a_tone_are_those_of_numpys_transform() {
    let Some(python) = find_python() else { return };
    for (hz, level_db) in [(997.0, -6.0), (5000.0, 0.0), (120.0, -20.0)] {
        let effect = saturator().with("oversampling", 0.0);
        let found = ToneFigures::measure(&effect, RATE, hz, level_db).unwrap();
        let tone = tone_response(&effect, RATE, hz as f32, db_to_gain(level_db) as f32).unwrap();
        let answer = run_script(&python, &json!({ "kind": "tone", "samples": tone.samples, "rate": RATE, "hz": found.hz }));
        let close = |found: f64, key: &str| {
            let expected = answer[key].as_f64().unwrap();
            assert!((found - expected).abs() < 1e-4 * expected.abs().max(0.01), "{key} at {hz} Hz: {found}; expected {expected}");
        };
        close(found.thd_percent, "thd_percent");
        close(found.thd_noise_percent, "thd_noise_percent");
        close(found.aliasing_db, "aliasing_db");
        for (order, (found, expected)) in found.orders_db.iter().zip(numbers(&answer["orders_db"])).enumerate() {
            assert!((found.unwrap() - expected).abs() < 1e-3, "order {}: {found:?}; expected {expected}", order + 1);
        }
    }
}

#[test]
fn the_response_is_that_of_scipys_estimate_from_noise() {
    let Some(python) = find_python() else { return };
    let effect = saturator().with("tone", 3000.0);
    let found = linear_response(&effect, RATE).unwrap();
    let dry = generate::white(RATE, db_to_gain(-60.0), 20 * RATE as usize, 5).unwrap();
    let wet = render(&effect, &dry).unwrap();
    let job = json!({ "kind": "response", "rate": RATE, "dry": dry.channel(0), "wet": wet.channel(0), "hz": found.hz });
    let answer = run_script(&python, &job);
    let (magnitudes, delays) = (numbers(&answer["magnitude_db"]), numbers(&answer["group_delay_frames"]));
    for (point, hz) in found.hz.iter().enumerate().filter(|(_, hz)| (100.0..18_000.0).contains(*hz)) {
        let (magnitude, delay) = (found.magnitude_db[point], found.group_delay_frames[point]);
        assert!((magnitude - magnitudes[point]).abs() < 0.05, "{hz} Hz: {magnitude} dB; expected {}", magnitudes[point]);
        // Below 300 Hz the DC blocker's delay bends within the lines over which the script takes the slope.
        assert!((delay - delays[point]).abs() < 0.2 || *hz < 300.0, "{hz} Hz: {delay} frames; expected {}", delays[point]);
    }
}

#[test]
fn the_sweep_finds_the_harmonics_that_scipy_integrates() {
    let Some(python) = find_python() else { return };
    // Without memory: the curve of the clipper alone, on a sine that it rounds.
    let effect = Effect::from_id("clipper").unwrap().with("threshold", -12.0).with("oversampling", 3.0);
    let found = harmonic_sweep(&effect, RATE, -6.0).unwrap();
    let inputs: Vec<f64> = (0..4001).map(|i| db_to_gain(-6.0) * (i as f64 / 2000.0 - 1.0)).collect();
    // The curve is read off with constants, which are what oversampling passes unchanged.
    let held: Vec<f32> = inputs.iter().flat_map(|x| [*x as f32; 256]).collect();
    let wet = render(&effect, &Audio::from_mono(RATE, &held).unwrap()).unwrap();
    let outputs: Vec<f32> = wet.channel(0).iter().skip(192).step_by(256).copied().collect();
    let answer = run_script(&python, &json!({ "kind": "curve", "inputs": inputs, "outputs": outputs }));
    let exact = numbers(&answer["orders_db"]);
    let at_500 = found.hz.iter().position(|hz| *hz >= 500.0).unwrap();
    for order in [1, 3, 5, 7] {
        let (db, expected) = (found.orders[order - 1][at_500].unwrap(), exact[order - 1]);
        assert!((db - expected).abs() < 0.2, "order {order}: {db} dB; expected {expected}");
    }
}

#[test]
fn averaged_spectra_are_those_of_scipys_welch() {
    let Some(python) = find_python() else { return };
    let sound = generate::guitar(RATE, 1, 1).unwrap();
    let frames = 4096;
    for (name, window) in [("hann", Window::Hann), ("blackmanharris", Window::BlackmanHarris), ("boxcar", Window::Rectangle)] {
        // A time constant without end gives the first spectrum, so the mean is taken here.
        let settings = AnalyserSettings { window, overlap: 2, ..AnalyserSettings::default() };
        let mut stream = SpectrumStream::new(RATE, 1, settings).unwrap();
        let mut sum = vec![0.0; frames / 2 + 1];
        let mut count = 0;
        for part in sound.channel(0).chunks(frames / 2) {
            stream.push(&[part]);
            let spectra = stream.spectra();
            if spectra.count > count {
                count = spectra.count;
                let levels = &spectra.traces[0].level_db;
                sum.iter_mut().zip(levels).for_each(|(sum, db)| *sum += 10f64.powf(f64::from(*db) / 10.0));
            }
        }
        let job = json!({ "kind": "welch", "rate": RATE, "samples": sound.channel(0), "window": name, "frames": frames });
        let expected = numbers(&run_script(&python, &job)["level_db"]);
        for bin in (1..frames / 2).filter(|bin| expected[*bin] > -110.0) {
            let db = 10.0 * (sum[bin] / count as f64).log10();
            assert!((db - expected[bin]).abs() < 0.02, "{name}, bin {bin}: {db} dB; expected {}", expected[bin]);
        }
    }
}
