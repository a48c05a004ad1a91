//! The models that ship: one row each says how it is made. The page beside them is made of the rows and of the cards.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::{Outcome, root, shown};

/// Where the models are, from the root.
const FOLDER: &str = "assets/models";
/// Where they are trained, from the root.
const TRAINED: &str = "target/twins";
/// The picture that a card shows, in the training's folder.
const CURVE: &str = "curve.png";
/// Real recordings that they are measured with where they are there, from the root.
const RECORDINGS: [&str; 3] = ["../shared/audio/guitar.wav", "../shared/audio/drums.wav", "../shared/audio/speech.wav"];

/// A model that ships.
struct Row {
    /// Of its files.
    name: &'static str,
    /// How the model's file ends.
    extension: &'static str,
    /// What it is the twin of.
    of: &'static str,
    /// For `isotherm train`, apart from recordings and the folder. By steps, so that it can be made again.
    arguments: &'static str,
}

const ROWS: [Row; 6] = [
    Row {
        name: "saturator-lstm8",
        extension: "nam",
        of: "the saturator, all at its default",
        arguments: "--target saturator --network lstm-8 --slow --look-ahead 6 --steps 40000",
    },
    Row {
        name: "saturator-lstm16",
        extension: "nam",
        of: "the saturator, all at its default",
        arguments: "--target saturator --network lstm-16 --slow --look-ahead 6 --steps 60000",
    },
    Row {
        name: "saturator-24db-lstm8",
        extension: "nam",
        of: "the saturator, drive 24 dB, all else at its default",
        arguments: "--target saturator --drive 24 --network lstm-8 --slow --look-ahead 6 --steps 40000",
    },
    Row {
        name: "saturator-24db-lstm16",
        extension: "nam",
        of: "the saturator, drive 24 dB, all else at its default",
        arguments: "--target saturator --drive 24 --network lstm-16 --slow --look-ahead 6 --steps 60000",
    },
    Row {
        name: "saturator-drive-lstm16",
        extension: "json",
        of: "the saturator, knob 1 is its drive from 0 to 36 dB, all else at its default",
        arguments: "--target saturator --condition drive=0..36 --network lstm-16 --slow --look-ahead 6 --steps 60000",
    },
    Row {
        name: "triode-lstm16",
        extension: "nam",
        of: "a 12AX7 stage, 2 V for full scale",
        arguments: "--target triode --volts 2 --network lstm-16 --slow --look-ahead 6 --steps 60000",
    },
];

impl Row {
    /// `isotherm` and its words, with or without recordings.
    fn command(&self, recordings: bool) -> String {
        let mut command = format!("isotherm train {}", self.arguments);
        for path in RECORDINGS.iter().filter(|_| recordings) {
            write!(command, " --hold {path}").expect("a string takes all");
        }
        command + &format!(" --out {TRAINED}/{}", self.name)
    }

    fn file(&self, ending: &str) -> PathBuf {
        root().join(FOLDER).join(format!("{}.{ending}", self.name))
    }

    fn card(&self) -> Outcome<Value> {
        let path = self.file("card.json");
        let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", shown(&path)))?;
        Ok(serde_json::from_str(&text).map_err(|e| format!("{}: {e}", shown(&path)))?)
    }

    fn train(&self) -> Outcome {
        let folder = root().join(TRAINED).join(self.name);
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
            fs::copy(folder.join(from), &to).map_err(|e| format!("{}: {e}", shown(&to)))?;
        }
        let text = fs::read_to_string(folder.join("card.md"))?;
        fs::write(self.file("card.md"), text.replace(&format!("({CURVE})"), &format!("({}.{CURVE})", self.name)))?;
        Ok(())
    }
}

/// Trains all models that ship, or those that are named, and writes the page about them; or only writes the page.
pub fn task(options: &[&str]) -> Outcome {
    let only_page = options == ["--page"];
    let names = if only_page { &[] } else { options };
    if let Some(unknown) = names.iter().find(|&&name| ROWS.iter().all(|row| row.name != name)) {
        let known: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
        return Err(format!("'{unknown}' is no model that ships; expected {}", known.join(", ")).into());
    }
    for row in ROWS.iter().filter(|row| !only_page && (names.is_empty() || names.contains(&row.name))) {
        row.train()?;
    }
    let page = root().join(FOLDER).join("README.md");
    fs::write(&page, readme()?)?;
    println!("{}", shown(&page));
    Ok(())
}

/// The card beside a model: that of a model that ships, or of a training's folder.
pub fn card_of(model: &Path) -> Option<Value> {
    let text = [model.with_extension("card.json"), model.with_file_name("card.json")]
        .into_iter()
        .find_map(|p| fs::read_to_string(p).ok())?;
    serde_json::from_str(&text).ok()
}

fn readme() -> Outcome<String> {
    let mut page = String::from(
        "# Models that the project trained\n\n\
         Each with its card (`.card.md` for people, `.card.json` for programs). `cargo xtask train-models` makes them all again, or those that are\n\
         named, and this page.\n\n\
         | file | twin of | weights | ESR held out | ESR recordings, the worst | ns/sample |\n|---|---|---|---|---|---|\n",
    );
    for row in &ROWS {
        let card = row.card()?;
        let number = |value: &Value| value.as_f64().map_or_else(|| "none".into(), esr);
        let recorded = card["esr_by_sound"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|sound| sound["sound"].as_str().is_some_and(|name| RECORDINGS.iter().any(|path| name.starts_with(path))));
        let worst = recorded.filter_map(|sound| sound["esr"].as_f64()).reduce(f64::max);
        writeln!(
            page,
            "| [`{0}.{1}`]({0}.card.md) | {2} | {3} | {4} | {5} | {6:.0} |",
            row.name,
            row.extension,
            row.of,
            card["parameters"],
            number(&card["esr"]),
            worst.map_or_else(|| "none".into(), esr),
            card["ns_per_sample"].as_f64().unwrap_or(f64::NAN),
        )?;
    }
    page.push_str(
        "\n48 kHz. Trained on generated sound at -70 to 0 dBFS. Held out: the same kinds of sound from other seeds, a generated guitar and drums at\n\
         several levels, and the recordings, which no training saw. ns/sample: the native engine, one channel, on the machine that trained.\n\n\
         What makes each (the same weights on the same kind of machine):\n\n```sh\n",
    );
    for row in &ROWS {
        writeln!(page, "{}", row.card()?["command"].as_str().unwrap_or(""))?;
    }
    page.push_str("```\n");
    Ok(page)
}

/// With the decibels that it is.
fn esr(value: f64) -> String {
    format!("{value:.1e} ({:.0} dB)", 10.0 * value.log10())
}

#[cfg(test)]
mod tests {
    use super::*;
    use isotherm::neural::Model;

    #[test]
    fn page_cards_and_rows_agree() {
        let page = fs::read_to_string(root().join(FOLDER).join("README.md")).unwrap();
        assert_eq!(page, readme().unwrap(), "run `cargo xtask train-models`");
        for row in &ROWS {
            let card = row.card().unwrap();
            let command = card["command"].as_str().unwrap();
            assert!([true, false].map(|recordings| row.command(recordings)).contains(&command.to_owned()), "{command}");
            let text = fs::read_to_string(row.file("card.md")).unwrap();
            assert!(text.contains(command) && text.contains(&format!("({}.{CURVE})", row.name)), "{}", row.name);
            assert!(row.file(CURVE).is_file());
        }
    }

    #[test]
    fn every_model_is_what_its_card_says() {
        for row in &ROWS {
            let (model, card) = (Model::open(&row.file(row.extension)).unwrap(), row.card().unwrap());
            let info = model.info();
            assert_eq!(info.sample_rate, 48_000.0, "{}", row.name);
            assert!((f64::from(info.esr.unwrap()) / card["esr"].as_f64().unwrap() - 1.0).abs() < 1e-6, "{}", row.name);
            assert_eq!(model.knobs(0), usize::from(row.arguments.contains("--condition")), "{}", row.name);
        }
    }

    #[test]
    fn a_model_that_does_not_ship_is_named() {
        let error = task(&["triod"]).unwrap_err().to_string();
        assert!(error.starts_with("'triod' is no model that ships; expected saturator-lstm8, "), "{error}");
    }
}
