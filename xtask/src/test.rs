//! The tests that continuous integration runs, a quick choice of them, and the benchmarks.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::bundle::{Build, bundle, native_library};
use crate::process::{cargo, command_line, find, run, run_with_lines, target_dir};
use crate::python::{self, TEST_PACKAGES, environment};
use crate::setup::{Purpose, for_tests};
use crate::{Outcome, unknown, wheel};

/// Python packages, each in one version, that the tests of the VST3 plug-in, of WAV files, of the measures, of
/// the page of a comparison and of the Python package need.
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
const LAYERS: [&str; 13] =
    ["measure", "models", "compare", "listen", "serve", "onnx", "record", "device", "desk", "train", "study", "ui", "instance"];

/// Python packages that export models to ONNX, for the long tests. On Linux they bring CUDA along: 5 GB.
const TORCH_PACKAGES: [&str; 3] = ["torch==2.15.0", "onnx==1.23.2", "onnxscript==0.7.2"];

/// Sums over cargo's `test result:` lines and the last lines of pytest.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Count {
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

    /// Adds tests that are left out here, as one.
    pub fn add_left_out(&mut self) {
        self.ignored += 1;
    }

    /// Adds the numbers of a line such as `3 passed, 1 skipped in 0.52s`, with which pytest ends. Returns false if it is another
    /// line.
    pub fn add_pytest(&mut self, line: &str) -> bool {
        let line = line.trim_matches(|c| c == '=' || c == ' ');
        let Some((numbers, _)) = line.rsplit_once(" in ").filter(|(_, time)| time.contains('s')) else { return false };
        let mut sum = Self::default();
        for part in numbers.split(", ") {
            let Some((number, kind)) = part.split_once(' ') else { return false };
            let Ok(number) = number.parse::<usize>() else { return false };
            match kind {
                "passed" | "xfailed" => sum.passed += number,
                "failed" | "xpassed" | "error" | "errors" => sum.failed += number,
                "skipped" | "deselected" => sum.ignored += number,
                "warning" | "warnings" => {}
                _ => return false,
            }
        }
        self.passed += sum.passed;
        self.failed += sum.failed;
        self.ignored += sum.ignored;
        true
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
        [option] if option == "--python" => only_python(),
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
    run_tests(&mut tests, begin, |_| Ok(true))
}

/// The tests of the Python package alone, with a library of the development profile.
fn only_python() -> Outcome {
    let begin = Instant::now();
    let target = target_dir()?;
    let library = step("native library", || native_library(&target))?;
    let python = step("Python environment", || test_environment(&target))?;
    let mut count = Count::default();
    let passed = step("Python tests", || python::test(&python, &library, &target, &python_variables(&target)?, &mut count))?;
    end(passed, &count, begin)
}

/// Returns the Python of the environment that all tests share.
fn test_environment(target: &Path) -> Outcome<PathBuf> {
    environment(target, "venv", &[&PYTHON_PACKAGES[..], &TEST_PACKAGES].concat())
}

/// Returns the environment variables with which the tests of the Python package find what was built.
fn python_variables(target: &Path) -> Outcome<Vec<(&'static str, PathBuf)>> {
    let mut variables = vec![("ORT_DYLIB_PATH", crate::onnxruntime::get(target)?)];
    let bundle = target.join("bundled").join("Isotherm.vst3");
    if bundle.exists() {
        variables.push(("ISOTHERM_VST3", bundle));
    }
    Ok(variables)
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
    let native = dev.native.as_ref().ok_or("cargo named no library of the Python package")?;
    let python = step("Python environment", || test_environment(&target_dir()?))?;

    let mut tests = cargo(["test", "--workspace", "--no-fail-fast"]);
    tests.env("ISOTHERM_CLAP", &bundles.clap).env("ISOTHERM_VST3", &bundles.vst3);
    tests.env("ISOTHERM_CLAP_DEV", &dev.clap).env("ISOTHERM_PYTHON", &python);
    tests.env("ORT_DYLIB_PATH", crate::onnxruntime::get(&target_dir()?)?);
    if long {
        step("clap-validator", || validate(&bundles.clap))?;
        let torch = step("PyTorch", || environment(&target_dir()?, "venv-torch", &TORCH_PACKAGES))?;
        tests.env("ISOTHERM_LONG", "1").env("ISOTHERM_TORCH", &torch);
        let target = target_dir()?;
        let wheel = step("wheel", || wheel::wheel(false, &target))?;
        step("wheel without Rust", || wheel::try_out(&wheel, &target))?;
    }
    run_tests(&mut tests, begin, |count| {
        let target = target_dir()?;
        let mut variables = python_variables(&target)?;
        // The tests before built it.
        let program = target.join("debug").join(format!("isotherm{}", std::env::consts::EXE_SUFFIX));
        variables.push(("ISOTHERM_PROGRAM", program));
        step("Python tests", || python::test(&python, native, &target, &variables, count))
    })
}

fn documentation() -> Outcome {
    run(cargo(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
}

/// Runs cargo's tests, then `more` tests, which add to the sum and say if all passed. The last line that it writes is the sum.
fn run_tests(tests: &mut Command, begin: Instant, more: impl FnOnce(&mut Count) -> Outcome<bool>) -> Outcome {
    let mut count = Count::default();
    let status = step("tests", || {
        run_with_lines(tests, |text| {
            println!("{text}");
            count.add(text);
        })
    })?;
    // The sum comes in any case: tests that cannot be run are an error like a test that fails.
    let passed = more(&mut count).unwrap_or_else(|error| {
        eprintln!("error: {error}");
        count.failed += 1;
        false
    });
    if !status.success() {
        eprintln!("error: tests: `{}` failed ({status})", command_line(tests));
    }
    end(passed && status.success(), &count, begin)
}

/// Writes the time and, as the last line of the output, the sum: no error message may follow it.
fn end(passed: bool, count: &Count, begin: Instant) -> Outcome {
    println!("all steps: {:.1} s", begin.elapsed().as_secs_f64());
    println!("{} passed, {} failed, {} skipped", count.passed, count.failed, count.ignored);
    if passed { Ok(()) } else { std::process::exit(1) }
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
    let python = || python::bench(&target_dir()?, &PYTHON_PACKAGES);
    match options {
        [] => {}
        [option] if option == "--python" => return step("Python benchmarks", python),
        [option, ..] => return Err(unknown("bench", option).into()),
    }
    step("benchmarks", || run(&mut cargo(["bench", "--package", "isotherm", "--benches"])))?;
    step("isotherm bench", || run(&mut cargo(["run", "--release", "--package", "isotherm", "--", "bench"])))?;
    step("Python benchmarks", python)
}

fn step<T>(name: &str, work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    println!("== {name}");
    let begin = Instant::now();
    let result = work().map_err(|e| format!("{name}: {e}"))?;
    println!("== {name}: {:.1} s", begin.elapsed().as_secs_f64());
    Ok(result)
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
    #[test]
    fn the_sum_has_what_pytest_counts() {
        let mut count = Count::default();
        let lines = ["12 passed, 2 skipped, 1 warning in 0.52s", "===== 1 failed, 3 passed, 1 error in 65.10s (0:01:05) ====="];
        assert!(lines.iter().all(|line| count.add_pytest(line)));
        assert_eq!(count, Count { passed: 15, failed: 2, ignored: 2 });
        for line in ["python/tests/test_audio.py ....", "3 ways in 2 sentences", "no tests ran in 0.01s", ""] {
            assert!(!count.add_pytest(line), "{line}");
        }
        assert_eq!(count, Count { passed: 15, failed: 2, ignored: 2 });
    }
}
