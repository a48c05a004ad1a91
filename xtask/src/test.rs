//! The tests that continuous integration runs, a quick choice of them, and the benchmarks.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::bundle::{Build, bundle};
use crate::process::{cargo, command_line, find, run, run_with_lines, target_dir};
use crate::setup::{Purpose, for_tests};
use crate::{Outcome, shown, unknown};

/// Python packages, each in one version, that the tests of the VST3 plug-in, of WAV files, of the measures and
/// of the page of a comparison need.
const PYTHON_PACKAGES: [&str; 9] = [
    "pedalboard==0.9.26",
    "numpy==2.4.6; python_version >= '3.11'",
    "numpy==2.2.6; python_version < '3.11'",
    "scipy==1.17.1; python_version >= '3.11'",
    "scipy==1.15.3; python_version < '3.11'",
    "pyloudnorm==0.2.0",
    "soundfile==0.14.0",
    "playwright==1.65.2",
    "jsonschema==4.26.0",
];

/// Features of the library. The code and the tests of each compile with that feature alone.
const LAYERS: [&str; 11] =
    ["measure", "models", "compare", "listen", "onnx", "record", "device", "desk", "train", "ui", "instance"];

/// Python packages that export models to ONNX, for the long tests. On Linux they bring CUDA along: 5 GB.
const TORCH_PACKAGES: [&str; 3] = ["torch==2.15.0", "onnx==1.23.2", "onnxscript==0.7.2"];

/// Sums over cargo's `test result:` lines.
#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    passed: usize,
    failed: usize,
    ignored: usize,
}

impl Count {
    /// Adds the numbers of one line, if it has any.
    fn add(&mut self, line: &str) {
        let Some((_, numbers)) = line.split_once("test result: ").and_then(|(_, rest)| rest.split_once(". ")) else {
            return;
        };
        for part in numbers.split(';') {
            let mut words = part.split_whitespace();
            let Some(number) = words.next().and_then(|word| word.parse::<usize>().ok()) else { continue };
            match words.next() {
                Some("passed") => self.passed += number,
                Some("failed") => self.failed += number,
                Some("ignored") => self.ignored += number,
                _ => {}
            }
        }
    }
}

/// Test programs of the library that `--quick` runs: those that need no bundle, server or window, and take seconds.
const QUICK_PROGRAMS: [&str; 5] = ["ground", "laws", "models", "takes", "panels"];

/// Parts of the names of tests that `--quick` leaves out: each takes ten seconds or more.
const SLOW_TESTS: [&str; 2] = ["twin_tests::", "sequence::settling_at_other_knobs"];

pub fn task(options: &[String]) -> Outcome {
    match options {
        [] => full(false),
        [option] if option == "--long" => full(true),
        [option] if option == "--quick" => quick(),
        [option, ..] => Err(unknown("test", option).into()),
    }
}

/// The inner loop of development: format, clippy, documentation, and the tests that take seconds.
fn quick() -> Outcome {
    let begin = Instant::now();
    step("format", || run(&mut cargo(["fmt", "--all", "--check"])))?;
    step("clippy", || run(&mut cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])))?;
    step("documentation", documentation)?;
    // The whole workspace, as the full run: another choice of packages would build their dependencies with other features.
    let mut tests = cargo(["test", "--workspace", "--no-fail-fast", "--lib", "--bins"]);
    tests.args(QUICK_PROGRAMS.iter().flat_map(|program| ["--test", program]));
    tests.env("ORT_DYLIB_PATH", crate::onnxruntime::get(&target_dir()?)?);
    tests.arg("--").args(SLOW_TESTS.iter().flat_map(|name| ["--skip", name]));
    run_tests(&mut tests, begin)
}

/// Everything; `long` adds the tests that take minutes or gigabytes.
fn full(long: bool) -> Outcome {
    let begin = Instant::now();
    step("setup", || for_tests(if long { Purpose::Long } else { Purpose::Test }))?;
    step("format", || run(&mut cargo(["fmt", "--all", "--check"])))?;
    step("clippy", || run(&mut cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])))?;
    step("core without features", || {
        run(&mut cargo(["clippy", "--package", "isotherm", "--lib", "--no-default-features", "--", "-D", "warnings"]))
    })?;
    step("each layer alone", || {
        for layer in LAYERS {
            let layer = ["--package", "isotherm", "--lib", "--tests", "--no-default-features", "--features", layer];
            run(cargo(["clippy"]).args(layer).args(["--", "-D", "warnings"]))?;
        }
        // Models at other sample rates than their own need the layer `models`; without it the laws skip those rates.
        run(&mut cargo(["test", "--package", "isotherm", "--no-default-features", "--features", "measure", "--test", "laws"]))
    })?;
    step("documentation", documentation)?;
    let bundles = step("bundle", || bundle(Build::Release))?;
    let dev = step("tests and bundle --dev", || bundle(Build::Tests))?;
    let python = step("Python environment", || python_environment(&target_dir()?, "venv", &PYTHON_PACKAGES))?;

    let mut tests = cargo(["test", "--workspace", "--no-fail-fast"]);
    tests.env("ISOTHERM_CLAP", &bundles.clap).env("ISOTHERM_VST3", &bundles.vst3);
    tests.env("ISOTHERM_CLAP_DEV", &dev.clap).env("ISOTHERM_PYTHON", &python);
    tests.env("ORT_DYLIB_PATH", crate::onnxruntime::get(&target_dir()?)?);
    if long {
        step("clap-validator", || validate(&bundles.clap))?;
        let torch = step("PyTorch", || python_environment(&target_dir()?, "venv-torch", &TORCH_PACKAGES))?;
        tests.env("ISOTHERM_LONG", "1").env("ISOTHERM_TORCH", &torch);
    }
    run_tests(&mut tests, begin)
}

fn documentation() -> Outcome {
    run(cargo(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
}

/// Runs cargo's tests; the last line that it writes is their sum.
fn run_tests(tests: &mut Command, begin: Instant) -> Outcome {
    let mut count = Count::default();
    let status = step("tests", || {
        run_with_lines(tests, |text| {
            println!("{text}");
            count.add(text);
        })
    })?;
    println!("all steps: {:.1} s", begin.elapsed().as_secs_f64());
    if !status.success() {
        eprintln!("error: tests: `{}` failed ({status})", command_line(tests));
    }
    println!("{} passed, {} failed, {} skipped", count.passed, count.failed, count.ignored);
    // The last line of the output is the count above: no error message may follow it.
    if status.success() { Ok(()) } else { std::process::exit(1) }
}

/// The environment variable that names a clap-validator outside `PATH`.
const VALIDATOR: &str = "ISOTHERM_CLAP_VALIDATOR";

/// Runs clap-validator and its fuzzer on the CLAP plug-in if it is installed. It is in no package registry.
fn validate(bundle: &Path) -> Outcome {
    let validator = std::env::var_os(VALIDATOR).map(PathBuf::from).or_else(|| find("clap-validator"));
    let Some(validator) = validator else {
        println!(
            "left out: no clap-validator in PATH and none in {VALIDATOR}; its source is github.com/free-audio/clap-validator"
        );
        return Ok(());
    };
    run(Command::new(&validator).arg("validate").arg(bundle))?;
    run(Command::new(&validator).args(["fuzz", "-d", "20s", "-l", "3"]).arg(bundle))
}

pub fn bench(options: &[String]) -> Outcome {
    if let Some(option) = options.first() {
        return Err(unknown("bench", option).into());
    }
    step("benchmarks", || run(&mut cargo(["bench", "--package", "isotherm", "--benches"])))?;
    step("isotherm bench", || run(&mut cargo(["run", "--release", "--package", "isotherm", "--", "bench"])))
}

fn step<T>(name: &str, work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    println!("== {name}");
    let begin = Instant::now();
    let result = work().map_err(|e| format!("{name}: {e}"))?;
    println!("== {name}: {:.1} s", begin.elapsed().as_secs_f64());
    Ok(result)
}

/// Returns the Python of an environment with exactly these packages; makes it if it is not there or has others.
fn python_environment(target: &Path, name: &str, packages: &[&str]) -> Outcome<PathBuf> {
    let folder = target.join(name);
    let python = folder.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    let made_with = folder.join("made-with");
    let wanted = packages.join("\n");
    if python.exists() && fs::read_to_string(&made_with).is_ok_and(|found| found == wanted) {
        return Ok(python);
    }
    println!("making {}", shown(&folder));
    let system = if cfg!(windows) { "python" } else { "python3" };
    run(Command::new(system).args(["-m", "venv", "--clear"]).arg(&folder))
        .map_err(|e| format!("{e}; `cargo xtask setup` installs what it needs"))?;
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(packages))?;
    fs::write(made_with, wanted)?;
    Ok(python)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_of_all_test_programs() {
        let mut count = Count::default();
        for line in [
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.05s",
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test the_result ... ok",
            "99 passed",
        ] {
            count.add(line);
        }
        assert_eq!(count, Count { passed: 15, failed: 2, ignored: 1 });
    }
}
