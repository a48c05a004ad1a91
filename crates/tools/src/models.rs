//! The models that ship with Isotherm: a row for each, with the command that trains it. The page beside the models is made of the
//! rows and of the models' cards.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use isotherm::measure::audible_bands;
use serde_json::Value;

use crate::{TaskResult, display_path, root};

/// Folder of the models, from the root.
const MODELS_FOLDER: &str = "assets/models";
/// Folder in which they are trained, from the root.
const TRAINING_FOLDER: &str = "target/twins";
/// Name of the picture that a card shows, in the folder of a training.
const CURVE: &str = "curve.png";
/// Recordings to evaluate the models with, from the root, if they are all there.
const RECORDINGS: [&str; 3] = ["../shared/audio/guitar.wav", "../shared/audio/drums.wav", "../shared/audio/speech.wav"];

/// A model that ships.
struct ShippedModel {
    /// Name of its files, without extension.
    name: &'static str,
    /// Extension of the model's file.
    extension: &'static str,
    /// The effect or circuit that it is the twin of.
    target: &'static str,
    /// Arguments for `isotherm train`, without recordings and folder. They limit the training in steps, not in seconds, so that
    /// it always gives the same weights.
    arguments: &'static str,
}

const SHIPPED_MODELS: [ShippedModel; 6] = [
    ShippedModel {
        name: "saturator-lstm8",
        extension: "nam",
        target: "the saturator, all at its default",
        arguments: "--target saturator --network lstm-8 --look-ahead 4 --loss emphasis --steps 100000",
    },
    ShippedModel {
        name: "saturator-lstm16",
        extension: "nam",
        target: "the saturator, all at its default",
        arguments: "--target saturator --network lstm-16 --look-ahead 4 --loss emphasis --steps 100000",
    },
    ShippedModel {
        name: "saturator-24db-lstm8",
        extension: "nam",
        target: "the saturator, drive 24 dB, all else at its default",
        arguments: "--target saturator --drive 24 --network lstm-8 --look-ahead 4 --loss emphasis --steps 100000",
    },
    ShippedModel {
        name: "saturator-24db-lstm16",
        extension: "nam",
        target: "the saturator, drive 24 dB, all else at its default",
        arguments: "--target saturator --drive 24 --network lstm-16 --look-ahead 4 --frames 128 --loss octaves --steps 100000",
    },
    ShippedModel {
        name: "saturator-drive-lstm16",
        extension: "json",
        target: "the saturator, knob 1 is its drive from 0 to 36 dB, all else at its default",
        arguments: "--target saturator --condition drive=0..36 --network lstm-16 --slow --look-ahead 6 --loss emphasis --steps 60000",
    },
    ShippedModel {
        name: "triode-lstm16",
        extension: "nam",
        target: "a 12AX7 stage, 2 V for full scale",
        arguments: "--target triode --volts 2 --network lstm-16 --slow --look-ahead 6 --loss emphasis --steps 60000",
    },
];

impl ShippedModel {
    /// The command line that trains it, with or without recordings.
    fn command(&self, recordings: bool) -> String {
        let mut command = format!("isotherm train {}", self.arguments);
        for path in RECORDINGS.iter().filter(|_| recordings) {
            write!(command, " --hold {path}").expect("writing to a string cannot fail");
        }
        command + &format!(" --out {TRAINING_FOLDER}/{}", self.name)
    }

    /// Path of one of its files, with the extension `ending`.
    fn file(&self, ending: &str) -> PathBuf {
        root().join(MODELS_FOLDER).join(format!("{}.{ending}", self.name))
    }

    /// Reads its card.
    fn card(&self) -> TaskResult<Value> {
        let path = self.file("card.json");
        let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", display_path(&path)))?;
        Ok(serde_json::from_str(&text).map_err(|e| format!("{}: {e}", display_path(&path)))?)
    }

    /// Trains it and copies model, card and picture into the folder of the models.
    fn train(&self) -> TaskResult {
        let folder = root().join(TRAINING_FOLDER).join(self.name);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        let command = self.command(RECORDINGS.iter().all(|path| root().join(path).is_file()));
        println!("{command}");
        let options =
            ["run", "--quiet", "--release", "--package", "isotherm", "--no-default-features", "--features", "cli", "--"];
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo).args(options).args(command.split(' ').skip(1)).current_dir(root()).status()?;
        if !status.success() {
            return Err(format!("`{command}` failed ({status})").into());
        }
        let model = format!("twin.{}", self.extension);
        for (from, ending) in [(model.as_str(), self.extension), ("card.json", "card.json"), (CURVE, CURVE)] {
            let to = self.file(ending);
            fs::copy(folder.join(from), &to).map_err(|e| format!("{}: {e}", display_path(&to)))?;
        }
        let text = fs::read_to_string(folder.join("card.md"))?;
        fs::write(self.file("card.md"), text.replace(&format!("({CURVE})"), &format!("({}.{CURVE})", self.name)))?;
        Ok(())
    }
}

/// Trains all models that ship, or those whose names are in `options`, and writes the page about them; `--page` only writes the
/// page.
pub fn task(options: &[&str]) -> TaskResult {
    let only_page = options == ["--page"];
    let names = if only_page { &[] } else { options };
    if let Some(unknown) = names.iter().find(|&&name| SHIPPED_MODELS.iter().all(|row| row.name != name)) {
        let known: Vec<&str> = SHIPPED_MODELS.iter().map(|row| row.name).collect();
        return Err(format!("'{unknown}' is no model that ships; expected {}", known.join(", ")).into());
    }
    for row in SHIPPED_MODELS.iter().filter(|row| !only_page && (names.is_empty() || names.contains(&row.name))) {
        row.train()?;
    }
    let page = root().join(MODELS_FOLDER).join("README.md");
    fs::write(&page, readme()?)?;
    println!("{}", display_path(&page));
    Ok(())
}

/// Reads the card in the folder of a model file, named as for a model that ships or as in the folder of a training; `None` if
/// there is neither.
pub fn card_of(model: &Path) -> Option<Value> {
    let text = [model.with_extension("card.json"), model.with_file_name("card.json")]
        .into_iter()
        .find_map(|p| fs::read_to_string(p).ok())?;
    serde_json::from_str(&text).ok()
}

/// Text of the page about the models.
fn readme() -> TaskResult<String> {
    let mut page = String::from(
        "# Models that the project trained\n\n\
         Each with its card (`.card.md` for people, `.card.json` for programs). \
         `cargo xtask train-models` makes them all again, or those that are\n\
         named, and this page.\n\n\
         | file | twin of | weights | ESR held out | ESR recordings, the worst | ns/sample |\n|---|---|---|---|---|---|\n",
    );
    for row in &SHIPPED_MODELS {
        let card = row.card()?;
        let number = |value: &Value| value.as_f64().map_or_else(|| "none".into(), esr);
        let worst = recordings(&card["esr_by_sound"]).filter_map(|sound| sound["esr"].as_f64()).reduce(f64::max);
        writeln!(
            page,
            "| [`{0}.{1}`]({0}.card.md) | {2} | {3} | {4} | {5} | {6:.0} |",
            row.name,
            row.extension,
            row.target,
            card["parameters"],
            number(&card["esr"]),
            worst.map_or_else(|| "none".into(), esr),
            card["ns_per_sample"].as_f64().unwrap_or(f64::NAN),
        )?;
    }
    page.push_str(
        "\nThe largest error of the recordings in each octave (middle frequency in Hz), in dB of the sound there. An octave that \
         is faint in a recording\ndoes not count; -: faint in all, or not on the card.\n\n| model | 31.5 | 63 | 125 | 250 | 500 | 1000 | 2000 | 4000 | 8000 | 16000 |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for row in &SHIPPED_MODELS {
        let cells = worst_octaves(&row.card()?).map(|db| db.map_or_else(|| "-".into(), |db| format!("{db:.0}")));
        writeln!(page, "| {} | {} |", row.name, cells.join(" | "))?;
    }
    page.push_str(
        "\n48 kHz. Trained on generated sound at -70 to 0 dBFS. Held out: the same kinds of sound from other seeds, \
         a generated guitar and drums at\n\
         several levels, and the recordings, which no training saw. ns/sample: the native engine, one channel, \
         on the machine that trained.\n\n\
         What makes each (the same weights on the same kind of machine):\n\n```sh\n",
    );
    for row in &SHIPPED_MODELS {
        writeln!(page, "{}", row.card()?["command"].as_str().unwrap_or(""))?;
    }
    page.push_str("```\n");
    Ok(page)
}

/// Octaves of a card.
const OCTAVES: usize = 10;

/// The largest error of a card's recordings in each octave in dB; `None` where all recordings are faint.
fn worst_octaves(card: &Value) -> [Option<f64>; OCTAVES] {
    let mut worst = [None; OCTAVES];
    for sound in recordings(&card["octaves_by_sound"]) {
        let number = |octave: &Value, key: &str| octave[key].as_f64().unwrap_or(f64::NAN);
        let octaves: Vec<&Value> = sound["octaves"].as_array().into_iter().flatten().collect();
        let levels: Vec<(f64, f64)> = octaves.iter().map(|octave| (number(octave, "hz"), number(octave, "signal_db"))).collect();
        for ((worst, octave), is_audible) in worst.iter_mut().zip(octaves).zip(audible_bands(&levels)) {
            let error = octave["error_db"].as_f64().filter(|_| is_audible);
            *worst = error.map_or(*worst, |error| Some(worst.unwrap_or(f64::NEG_INFINITY).max(error)));
        }
    }
    worst
}

/// The rows of a card's list of sounds that are of recordings.
fn recordings(sounds: &Value) -> impl Iterator<Item = &Value> {
    let is_recording =
        |sound: &&Value| sound["sound"].as_str().is_some_and(|name| RECORDINGS.iter().any(|path| name.starts_with(path)));
    sounds.as_array().into_iter().flatten().filter(is_recording)
}

/// An error to signal as a ratio and in dB.
fn esr(value: f64) -> String {
    format!("{value:.1e} ({:.0} dB)", 10.0 * value.log10())
}

#[cfg(test)]
mod tests {
    use super::*;
    use isotherm::neural::Model;

    #[test]
    fn page_cards_and_rows_agree() {
        let page = fs::read_to_string(root().join(MODELS_FOLDER).join("README.md")).unwrap();
        assert_eq!(page, readme().unwrap(), "run `cargo xtask train-models`");
        for row in &SHIPPED_MODELS {
            let card = row.card().unwrap();
            let command = card["command"].as_str().unwrap();
            assert!([true, false].map(|recordings| row.command(recordings)).contains(&command.to_owned()), "{command}");
            let text = fs::read_to_string(row.file("card.md")).unwrap();
            assert!(text.contains(command) && text.contains(&format!("({}.{CURVE})", row.name)), "{}", row.name);
            assert!(row.file(CURVE).is_file());
        }
    }

    #[test]
    fn every_model_agrees_with_its_card() {
        for row in &SHIPPED_MODELS {
            let (model, card) = (Model::open(&row.file(row.extension)).unwrap(), row.card().unwrap());
            let info = model.info();
            assert_eq!(info.sample_rate, 48_000.0, "{}", row.name);
            assert!((f64::from(info.esr.unwrap()) / card["esr"].as_f64().unwrap() - 1.0).abs() < 1e-6, "{}", row.name);
            assert_eq!(model.knob_count(0), usize::from(row.arguments.contains("--condition")), "{}", row.name);
        }
    }

    #[test]
    fn an_unknown_model_is_refused_by_name() {
        let error = task(&["triod"]).unwrap_err().to_string();
        assert!(error.starts_with("'triod' is no model that ships; expected saturator-lstm8, "), "{error}");
    }
}
