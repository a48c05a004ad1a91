//! `isotherm listen export`, `import` and `summary`: a test goes to webMUSHRA and comes back as a summary.

use std::ffi::OsStr;
use std::path::Path;

use isotherm::audio::generate;
use isotherm::audio::wav::{WavFormat, write};
use serde_json::Value;

use crate::run::{isotherm, run_failing};

/// Runs the program, checks that it succeeds, and returns its standard output.
fn run_ok(arguments: &[&OsStr]) -> String {
    let done = isotherm(arguments);
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// Arguments of an export of 16 trials.
fn export<'a>(sound: &'a Path, out: &'a Path) -> Vec<&'a OsStr> {
    let words = ["listen", "export", "--webmushra", "--a", "saturator drive=24", "--b", "dry", "--to", "2", "--trials", "16"];
    let mut arguments: Vec<&OsStr> = words.into_iter().map(OsStr::new).collect();
    arguments.extend([OsStr::new("--sound"), sound.as_ref(), OsStr::new("--out"), out.as_ref()]);
    arguments
}

#[test]
fn a_test_goes_to_webmushra_and_comes_back_as_a_summary_with_a_page() {
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name);
    let (sound, lab, panel, page) = (path("riff.wav"), path("lab"), path("panel"), path("page"));
    let mut riff = generate::guitar(48_000, 1, 1).unwrap();
    riff.normalise_peak(-6.0).unwrap();
    write(&sound, &riff.slice(..144_000).unwrap(), WavFormat::Int24).unwrap();
    let said = run_ok(&export(&sound, &lab));
    assert!(
        said.contains("?config=isotherm-") && said.contains("Page and browser hide the order in webMUSHRA, not Isotherm"),
        "{said}"
    );
    let exported: Value = serde_json::from_slice(&std::fs::read(lab.join("export.json")).unwrap()).unwrap();
    let id = exported["test_id"].as_str().unwrap();
    let mut table = String::from(
        "session_test_id,listener,trial_id,choice_reference,choice_non_reference,choice_answer,choice_time,choice_comment\n",
    );
    for (listener, right) in [("Ada", 15), ("Ben", 8)] {
        for (index, trial) in exported["trials"].as_array().unwrap().iter().enumerate() {
            let answer = if index < right { "correct" } else { "incorrect" };
            table += &format!("{id},{listener},{},reference,other,{answer},3000,\n", trial.as_str().unwrap());
        }
    }
    let csv = path("paired_comparison.csv");
    std::fs::write(&csv, &table).unwrap();
    let words = |text: &'static [&'static str]| -> Vec<&'static OsStr> { text.iter().map(|word| OsStr::new(*word)).collect() };
    let import = panel.join("webmushra");
    let mut arguments = words(&["listen", "import"]);
    arguments.extend([csv.as_os_str(), OsStr::new("--export"), lab.as_ref(), OsStr::new("--out"), import.as_ref()]);
    let said = run_ok(&arguments);
    assert!(said.contains("Ada: 15 of 16") && said.contains("cannot be verified"), "{said}");
    let summary = |more: &[&OsStr]| {
        let mut arguments = vec![OsStr::new("listen"), OsStr::new("summary"), panel.as_os_str()];
        arguments.extend(more);
        run_ok(&arguments)
    };
    let said = summary(&[OsStr::new("--out"), page.as_ref()]);
    assert!(said.contains("Somebody hears it: 1 of 2 listeners heard a difference: Ada (adjusted p = .00052)"), "{said}");
    assert!(said.contains("All answers together, 23 of 32 right") && said.contains("nothing of them can be verified"), "{said}");
    assert!(page.join("index.html").is_file() && page.join("shares.png").is_file());
    let json: Value = serde_json::from_str(&summary(&[OsStr::new("--json")])).unwrap();
    assert_eq!((&json["schema"], &json["result"]["pooled"]["count"]), (&"isotherm-listening-summary".into(), &23.into()));
    assert_eq!(summary(&[OsStr::new("--csv")]).lines().count(), 3);
    // What cannot be done is told in one line, and nothing is replaced.
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let refused = |arguments: &[&str], code: i32, words: &str| {
        let line = run_failing(arguments, code);
        assert!(line.contains(words), "{line}");
    };
    refused(&["listen", "summary", &text(&panel), "--out", &text(&page)], 1, "exists already");
    refused(&["listen", "summary", &text(&panel), "--out", &text(&lab), "--force"], 1, "holds no report of this kind");
    refused(&["listen", "summary", &text(&path("none"))], 1, "cannot be listed");
    refused(&["listen", "summary", &text(&lab)], 1, "no sessions in it");
    refused(&["listen", "summary", &text(&panel), "--json", "--csv"], 2, "--csv");
    refused(&["listen", "import", &text(&sound), "--export", &text(&lab), "--out", &text(&path("x"))], 1, "riff.wav");
    refused(&["listen", "import", &text(&csv), "--export", &text(&panel), "--out", &text(&path("x"))], 1, "export.json");
    refused(&["listen", "import", &text(&csv), "--export", &text(&lab), "--out", &text(&import)], 1, "cannot make the folder");
    refused(&["listen", "export", "--webmushra", &text(&panel), "--out", &text(&path("y"))], 1, "no session of a listening test");
    refused(&["listen", "export", "--webmushra", "S", "--trials", "9", "--out", &text(&path("y"))], 2, "cannot be changed");
    let equal = ["listen", "export", "--webmushra", "--a", "dry", "--b", "dry", "--sound"];
    let sound = text(&sound);
    let out = text(&path("y"));
    refused(&[&equal[..], &[sound.as_str(), "--out", &out]].concat(), 1, "nothing to hear");
    assert!(!path("x").exists() && !path("y").exists());
}
