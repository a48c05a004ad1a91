//! WAV files as the field has them, made and read with libsndfile by `wav_kinds.py`, and the table of them in
//! `docs/compatibility.md`. Needs `ISOTHERM_PYTHON`, which `cargo xtask test` sets; `ISOTHERM_BLESS=1` writes the table.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use isotherm::audio::wav::{self, Reader};
use serde_json::Value;

/// The page with the table.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/compatibility.md");
/// The lines around the table.
const MARKS: (&str, &str) =
    ("<!-- table of WAV files: made by tests/ground/wav_kinds.rs -->\n", "<!-- end of the table of WAV files -->\n");

/// The 64-bit floats in a file.
fn floats(path: &Path) -> Vec<f64> {
    let bytes = fs::read(path).unwrap();
    bytes.as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect()
}

/// A cell of the table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

/// The samples of a file, interleaved, and what is odd about it; or the error without the path.
fn read(path: &Path) -> Result<(Vec<f64>, Vec<String>), String> {
    let read = || {
        let mut reader = Reader::open(path)?;
        Ok((reader.read_to_end::<f64>()?.to_interleaved(), reader.notes().to_vec()))
    };
    read().map_err(|error: isotherm::audio::WavError| error.to_string().replace(&format!("{}: ", path.display()), ""))
}

/// Checks that the mended copy of an odd file has its samples, and nothing odd; that of a file in order is refused. True if there
/// is a copy.
fn check_mended(path: &Path, samples: &[f64], notes: &[String]) -> bool {
    let copy = path.with_extension("mended");
    if notes.is_empty() {
        assert!(wav::mend(path, &copy).unwrap_err().to_string().ends_with("found a whole one"), "{}", path.display());
        return false;
    }
    let report = wav::mend(path, &copy).unwrap();
    assert_eq!(report.notes, notes);
    let (mended, odd) = read(&copy).unwrap();
    assert!(mended == samples && odd.is_empty(), "{}: {odd:?}", path.display());
    assert!(wav::mend(path, &copy).is_err(), "a copy is never overwritten");
    true
}

/// Runs the script with the folder of the files, and returns its output.
fn run_script(python: &OsStr, folder: &Path, mode: &[&str]) -> Vec<u8> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ground/wav_kinds.py");
    let done = Command::new(python).arg(script).arg(folder).args(mode).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    done.stdout
}

#[test]
fn every_kind_of_wav_file_gives_its_sound_and_the_samples_of_libsndfile() {
    let Some(python) = std::env::var_os("ISOTHERM_PYTHON") else {
        println!("skipped: ISOTHERM_PYTHON is not set");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let made: Value = serde_json::from_slice(&run_script(&python, folder.path(), &[])).unwrap();
    let version = made["libsndfile"].as_str().unwrap();
    let mut table = format!("| kind | Isotherm | libsndfile {version} |\n|---|---|---|\n");
    let (mut wrong, mut mended) = (Vec::new(), Vec::new());
    for kind in made["kinds"].as_array().unwrap() {
        let [name, description] = ["name", "description"].map(|key| kind[key].as_str().unwrap());
        let path = folder.path().join(format!("{name}.wav"));
        let reads = kind["reads"].as_bool().unwrap();
        let expected = if reads { floats(&path.with_extension("true")) } else { Vec::new() };
        let channels = kind["channels"].as_u64().unwrap_or(1);
        let frames = expected.len() as u64 / channels;
        let own = match read(&path) {
            Ok((samples, notes)) if reads => {
                if samples != expected {
                    wrong.push(format!("{name}: {} samples that are not its sound", samples.len()));
                } else if check_mended(&path, &samples, &notes) {
                    mended.push(path.clone());
                }
                if notes.is_empty() { "reads it".into() } else { format!("reads it, and says: {}", notes.join("; ")) }
            }
            Err(error) if !reads => format!("refuses: {error}"),
            other => {
                wrong.push(format!("{name}: {:?}", other.map(|(samples, notes)| (samples.len(), notes))));
                continue;
            }
        };
        let peer = match (kind["error"].as_str(), kind["frames"].as_u64()) {
            (Some(error), _) => format!("refuses: {error}"),
            (None, Some(found)) => {
                let samples = floats(&path.with_extension("peer"));
                let same = samples.len().min(expected.len());
                if reads && samples[..same] != expected[..same] {
                    wrong.push(format!("{name}: libsndfile reads other samples"));
                }
                match found {
                    0 => "reads no frame".into(),
                    _ if reads && found != frames => format!("reads {found} frames of {frames}"),
                    _ => "reads it".into(),
                }
            }
            (None, None) => panic!("{name}: neither frames nor an error"),
        };
        table += &format!("| {} | {} | {} |\n", cell(description), cell(&own), cell(&peer));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // The mended copies, read by libsndfile.
    assert!(!mended.is_empty());
    run_script(&python, folder.path(), &["read"]);
    for path in mended {
        assert_eq!(floats(&path.with_extension("peer")), floats(&path.with_extension("true")), "{}", path.display());
    }
    let page = fs::read_to_string(PAGE).unwrap();
    let (before, rest) = page.split_once(MARKS.0).expect("the line before the table");
    let (written, after) = rest.split_once(MARKS.1).expect("the line after the table");
    if std::env::var_os("ISOTHERM_BLESS").is_some() {
        fs::write(PAGE, [before, MARKS.0, &table, MARKS.1, after].concat()).unwrap();
    } else {
        assert_eq!(written, table, "ISOTHERM_BLESS=1 makes the table anew");
    }
}
