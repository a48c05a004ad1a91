//! The measures of the difference of two sounds against NumPy, SciPy and pyloudnorm. Needs `ISOTHERM_PYTHON`, which `cargo xtask
//! test` sets.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use isotherm::audio::{Audio, Random, generate};
use isotherm::measure::{Comparison, MEASURES, MeasureFn, align, loudness, noise_to_mask, third_octaves};
use serde_json::{Value, json};

use super::find_python;

/// Runs the script with a list of jobs in JSON, and returns its answers.
fn run_script(python: &OsStr, jobs: &Value) -> Vec<Value> {
    let mut script = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/measures/reference.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    script.stdin.take().unwrap().write_all(jobs.to_string().as_bytes()).unwrap();
    let done = script.wait_with_output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

/// Writes the samples of a sound, channel after channel.
fn write(folder: &Path, name: &str, sound: &Audio) -> PathBuf {
    let path = folder.join(name);
    let bytes: Vec<u8> = sound.as_planar().iter().copied().flat_map(f32::to_le_bytes).collect();
    std::fs::write(&path, bytes).unwrap();
    path
}

/// A sound through an effect of its own: saturated, dulled by a one-pole low-pass, with faint noise.
fn changed(sound: &Audio, coefficient: f32) -> Audio {
    let mut test = sound.clone();
    let mut random = Random::new(7);
    for channel in test.iter_mut() {
        let mut before = 0.0;
        for x in channel {
            before += coefficient * ((3.0 * *x).tanh() / 3.0 - before);
            *x = before + random.within(-1e-4, 1e-4);
        }
    }
    test
}

/// Pairs of reference and test: name, sounds.
fn pairs() -> Vec<(String, Audio, Audio)> {
    let mut pairs = Vec::new();
    for rate in [44_100, 48_000, 96_000] {
        let [guitar, drums] = [generate::guitar(rate, 2, 1).unwrap(), generate::drums(rate, 1, 1).unwrap()];
        let [guitar, drums] = [guitar, drums].map(|sound| sound.slice(..3 * rate as usize).unwrap());
        pairs.push((format!("guitar, saturated, {rate} Hz"), guitar.clone(), changed(&guitar, 0.9)));
        pairs.push((format!("guitar, dull, {rate} Hz"), guitar.clone(), changed(&guitar, 0.3)));
        pairs.push((format!("drums, dull, {rate} Hz"), drums.clone(), changed(&drums, 0.5)));
        pairs.push((format!("drums, louder, {rate} Hz"), drums.clone(), drums.multiply(1.06).unwrap()));
    }
    pairs
}

/// Largest difference of a figure from the independent one, in the unit of its row. A ratio is compared as a share of itself.
fn tolerance(id: &str, rate: u32) -> f64 {
    match id {
        // Ratios and dB of the same sums, in f32 and f64.
        "esr" | "esr_pre_emphasis" => 1e-4,
        "null_db" | "esr_pre_emphasis_db" => 1e-3,
        // One transform of the whole sound in NumPy, many here: the window smears the curve a little.
        "esr_a_weighted" => 2e-2,
        "esr_a_weighted_db" => 0.1,
        // The same bins in f32 and f64.
        "mr_stft" | "mr_stft_48k" | "log_spectral_distance_db" => 1e-3,
        "third_octave_error_db" => 0.01,
        "worst_window_db" => 1e-3,
        // At 48 kHz the same transforms. At other rates NumPy's sound is resampled to 48 kHz.
        "nmr_db" | "nmr_worst_band_db" if rate == 48_000 => 0.01,
        "nmr_db" => 0.2,
        "nmr_worst_band_db" => 0.5,
        // One transform of the 140 in 3 s; resampled ones lie elsewhere, which changes some.
        "disturbed_frames" if rate == 48_000 => 0.8,
        "disturbed_frames" => 3.0,
        // pyloudnorm's filters are a little different ones; SciPy's oversampling is 16 times.
        "lufs" => 0.1,
        "true_peak_dbtp" => 0.3,
        _ => panic!("no tolerance for {id}"),
    }
}

#[test]
fn every_figure_of_the_difference_of_two_sounds_is_that_of_an_independent_implementation() {
    let Some(python) = find_python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let pairs = pairs();
    let jobs: Vec<Value> = pairs
        .iter()
        .enumerate()
        .map(|(index, (_, reference, test))| {
            let reference_path = write(folder.path(), &format!("{index}.reference.f32"), reference);
            let test_path = write(folder.path(), &format!("{index}.test.f32"), test);
            json!({
                "reference": reference_path, "test": test_path, "channels": reference.channels(), "rate": reference.sample_rate(),
            })
        })
        .collect();
    let answers = run_script(&python, &json!(jobs));
    let mut wrong = Vec::new();
    for ((name, reference, test), answer) in pairs.iter().zip(&answers) {
        let rate = reference.sample_rate();
        let comparison = Comparison::new(reference, test).unwrap();
        let mut check = |id: &str, found: f64, expected: f64| {
            let is_ratio = id == "esr" || id == "esr_pre_emphasis" || id == "esr_a_weighted";
            let difference = if is_ratio { found / expected - 1.0 } else { found - expected };
            // NaN is wrong, too.
            let is_right = difference.abs() <= tolerance(id, rate);
            if !is_right {
                wrong.push(format!("{name}: {id} is {found}, NumPy has {expected}"));
            }
        };
        for row in MEASURES {
            if matches!(row.function, MeasureFn::Comparison(_)) {
                check(row.id, row.compare(&comparison).unwrap(), answer[row.id].as_f64().unwrap_or(f64::NAN));
            }
        }
        let found = loudness(test);
        check("lufs", found.integrated_lufs.unwrap(), answer["lufs"].as_f64().unwrap());
        check("true_peak_dbtp", found.true_peak_dbtp, answer["true_peak_dbtp"].as_f64().unwrap());
        let bands = third_octaves(&comparison);
        for (band, expected) in bands.iter().zip(answer["third_octaves"].as_array().unwrap()) {
            let id = "third_octave_error_db";
            check(id, band.signal_db, expected["signal_db"].as_f64().unwrap());
            check(id, band.error_db.unwrap(), expected["error_db"].as_f64().unwrap());
        }
        let mask = noise_to_mask(&comparison);
        if rate == 48_000 {
            for (band, expected) in mask.bands.iter().zip(answer["nmr_bands"].as_array().unwrap()) {
                check("nmr_db", band.nmr_db, expected.as_f64().unwrap());
            }
        }
        assert_eq!(mask.bands.len(), 109);
        let delays = ["delay_frames", "delay_emphasised_frames"].map(|key| answer[key].as_f64());
        if let [Some(plain), Some(emphasised)] = delays {
            let found = align(reference, test).unwrap();
            let allowed = 0.01 + 2.0 * found.delay_uncertainty_frames;
            // A low-pass delays the bass more than the treble. There the delay after pre-emphasis may stand for the plain one.
            let expected = if name.contains("dull") { vec![plain, emphasised] } else { vec![plain] };
            if expected.iter().all(|delay| (found.delay_frames - delay).abs() > allowed) {
                wrong.push(format!("{name}: the delay is {}, SciPy has {expected:?}", found.delay_frames));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
