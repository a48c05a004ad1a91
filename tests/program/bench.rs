//! `isotherm bench` with several effects, its files and its errors.

use serde_json::Value;

use crate::run::{isotherm, run_failing};

/// A short run: 100 blocks of each size.
const SHORT: [&str; 8] = ["--block", "64,1-100", "--channels", "1", "--blocks", "100", "--seconds", "1"];

fn run_ok(arguments: &[&str]) -> String {
    let done = isotherm(arguments);
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

#[test]
fn several_effects_are_measured_in_one_run_with_a_figure_for_each_size() {
    let lines = run_ok(&[&["bench", "saturator drive=24", "clipper", "--json"][..], &SHORT].concat());
    let figures: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let keys: Vec<(&str, String)> =
        figures.iter().map(|line| (line["effect"].as_str().unwrap(), line["block"].to_string())).collect();
    let expected = ["64", "\"1-100\""].map(String::from);
    let [fixed, varying] = &expected;
    assert_eq!(
        keys,
        [
            ("saturator drive=24", fixed.clone()),
            ("saturator drive=24", varying.clone()),
            ("clipper", fixed.clone()),
            ("clipper", varying.clone())
        ]
    );
    for line in &figures {
        assert_eq!((&line["blocks"], &line["p99_us"], &line["jitter_us"]), (&100.into(), &Value::Null, &Value::Null));
        assert!(line["ns_per_sample"].as_f64().unwrap() > 0.0 && line["first_us"].as_f64().unwrap() > 0.0, "{line}");
        assert!(line["samples_per_second"].as_f64().unwrap() > 0.0 && line["misses"].is_u64(), "{line}");
    }
    assert_eq!(figures[0]["settings"]["drive"], 24.0);
    let table = run_ok(&[&["bench", "saturator drive=24", "clipper"][..], &SHORT].concat());
    assert_eq!(table.lines().count(), 5, "{table}");
}

#[test]
fn each_block_has_a_row_and_the_plot_is_a_page_or_a_picture() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (csv, html, png) = (path("blocks.csv"), path("cost.html"), path("cost.png"));
    run_ok(&[&["bench", "saturator drive=24", "clipper", "--csv", &csv, "--plot", &html][..], &SHORT].concat());
    let text = std::fs::read_to_string(&csv).unwrap();
    let mut rows = text.lines();
    assert_eq!(rows.next(), Some("effect,sample_rate,channels,block,index,frames,ns,load"));
    let rows: Vec<Vec<&str>> = rows.map(|row| row.split(',').collect()).collect();
    assert_eq!(rows.len(), 4 * 100);
    for row in &rows {
        let frames: usize = row[5].parse().unwrap();
        assert!(if row[3] == "64" { frames == 64 } else { (1..=100).contains(&frames) }, "{row:?}");
        let (ns, load): (f64, f64) = (row[6].parse().unwrap(), row[7].parse().unwrap());
        assert!((load - ns * 48e-6 / frames as f64).abs() < 1e-6, "{row:?}");
    }
    assert_eq!(rows[0][0], "\"saturator drive=24\"");
    let page = std::fs::read_to_string(&html).unwrap();
    assert!(page.contains("<svg") && page.contains("saturator drive=24, 1 ch, 48 kHz") && page.contains("1-100"), "{page}");
    for part in
        ["Times the first effect", "What these names mean", "Blocks of random sizes", "SIMD level", "isotherm bench 'saturator"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    // The first effect takes 1.00 times its own time, and an axis has numbers.
    assert!(page.matches("<td>1.00</td>").count() >= 2, "{page}");
    // Nothing is loaded from elsewhere: the only address is the name of SVG's vocabulary.
    assert_eq!(page.matches("http").count(), page.matches("http://www.w3.org/2000/svg").count());
    assert!(!page.contains("src=") && !page.contains("href="));
    run_ok(&[&["bench", "clipper", "--plot", &png][..], &SHORT].concat());
    assert!(std::fs::read(&png).unwrap().starts_with(b"\x89PNG\r\n\x1a\n"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3, "no part is left");
}

#[test]
fn each_wrong_effect_is_named_and_wrong_arguments_write_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("blocks.csv").to_str().unwrap().to_owned();
    let line = run_failing(&["bench", "saturatr", "clipper drve=1", "clipper", "--csv", &csv], 2);
    assert!(line.contains("'saturatr'") && line.contains("'clipper drve=1'") && !line.contains("'clipper':"), "{line}");
    let line = run_failing(&["bench", "neural model=none.nam", "--csv", &csv], 1);
    assert!(line.contains("none.nam"), "{line}");
    let line = run_failing(&["bench", "clipper", "--plot", "cost.svg", "--csv", &csv], 2);
    assert!(line.contains("--plot cost.svg: expected a name that ends in .html or .png"), "{line}");
    for (blocks, expected) in [("0", "'0' is no number"), ("64-16", "'64-16' is no range"), ("16,x", "'x' is no number")] {
        let line = run_failing(&["bench", "clipper", "--block", blocks, "--csv", &csv], 2);
        assert!(line.contains("--block: ") && line.contains(expected), "{line}");
    }
    let random_only = ["bench", "clipper", "--block", "1-10", "--channels", "1", "--blocks", "100", "--plot", "cost.png"];
    assert!(run_failing(&random_only, 2).contains("blocks of one size are needed"));
    run_failing(&["bench", "clipper", "--algorithm", "clipper"], 2);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_parameter_beside_effects_is_refused_with_the_way_to_write_it_and_so_is_a_list() {
    for (arguments, expected) in [
        (
            &["bench", "saturator", "--oversampling", "1"][..],
            "--oversampling: write it into the effect, as in 'saturator oversampling=1'",
        ),
        (&["bench", "saturator", "clipper", "--drive", "zzz"], "--drive: write it into the effect, as in 'saturator drive=zzz'"),
        (&["bench", "saturator", "--model-rate", "44100"], "--model-rate: write it into the effect"),
        (
            &["bench", "--algorithm", "saturator", "--drive", "24,12"],
            "--drive: '24,12' has a comma; expected one number with a point",
        ),
    ] {
        let line = run_failing(arguments, 2);
        assert!(line.contains(expected), "{line}");
    }
    for (effect, nearest) in [("saturatr", "saturator"), ("saturator drve=1", "drive"), ("bitcrusher dither=tdpf", "tpdf")] {
        let line = run_failing(&["bench", effect], 2);
        assert!(line.trim_end().ends_with(&format!("; did you mean '{nearest}'?")), "{line}");
    }
    assert!(run_failing(&["bench", "amp.nam"], 2).contains("'amp.nam' is the name of a model; expected 'neural model=amp.nam'"));
}

#[test]
fn files_that_cannot_be_written_are_told_before_the_work_and_none_is_overwritten_without_force() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (csv, html, taken) = (path("blocks.csv"), path("cost.html"), path("taken.html"));
    std::fs::write(&taken, "mine").unwrap();
    let fails = |files: &[&str], code: i32, expected: &str| {
        let arguments = [&["bench", "clipper"][..], files, &SHORT].concat();
        let done = isotherm(&arguments);
        // Not even the headings were printed.
        assert!(done.stdout.is_empty(), "{arguments:?}");
        let line = crate::run::failure_line(done, &arguments, code);
        assert!(line.contains(expected), "{line}");
        let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["taken.html"]);
    };
    fails(&["--csv", &path("deep/blocks.csv")], 1, "blocks.csv: cannot be written: ");
    fails(&["--csv", &csv, "--plot", &path("taken.html/cost.html")], 1, "cost.html: cannot be written: ");
    fails(&["--csv", &folder.path().display().to_string(), "--force"], 1, "a folder; expected the name of a file");
    fails(&["--plot", &taken], 1, "taken.html: exists already; expected a new name, or --force to overwrite it");
    fails(&["--csv", &html, "--plot", &html], 2, "named by --csv and by --plot; expected two files");
    fails(&["--csv", &path("./cost.html"), "--plot", &html], 2, "named by --csv and by --plot; expected two files");
    assert_eq!(std::fs::read_to_string(&taken).unwrap(), "mine");
    run_ok(&[&["bench", "clipper", "--csv", &csv, "--plot", &taken, "--force"][..], &SHORT].concat());
    assert!(std::fs::read_to_string(&taken).unwrap().starts_with("<!DOCTYPE html>"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_it_with_one_line_and_leaves_no_file() {
    use std::io::{BufRead, BufReader};

    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;
    let folder = tempfile::tempdir().unwrap();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_isotherm"))
        .current_dir(folder.path())
        .args(["bench", "clipper", "--channels", "1", "--seconds", "3600", "--blocks", "100000000"])
        .args(["--csv", "blocks.csv", "--plot", "cost.html"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // The line with the headings comes after the handler is set.
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    let done = child.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(1));
    // Without a terminal there is no bar.
    assert_eq!(String::from_utf8(done.stderr).unwrap(), "isotherm: interrupted; no file was written\n");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
