//! Plays a sound through every algorithm of the bundled plug-in and shows what each does to it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::bundle::{Build, bundle};
use crate::setup::{Purpose, ensure};
use crate::sound::{self, Sound};
use crate::table::{self, Row};
use crate::tone::{self, Measured, Setting};
use crate::twin::Twin;
use crate::{Outcome, picture, root, shown, unknown};

/// The model that is played where none is named.
const MODEL: &str = "assets/models/saturator-24db-lstm16.nam";

struct Options {
    input: Option<PathBuf>,
    model: PathBuf,
    out: PathBuf,
}

pub fn task(options: &[String]) -> Outcome {
    let options = parse(options)?;
    // A mistake in the options shows before anything is built.
    let sounds = match &options.input {
        Some(path) => vec![sound::read(path)?],
        None => sound::generated()?,
    };
    let out = &options.out;
    fs::create_dir_all(out).map_err(|e| format!("--out: cannot make the folder {}: {e}", out.display()))?;

    ensure(Purpose::Bundle)?;
    println!("Building the plug-in ...");
    let plugin = bundle(Build::Release)?.clap;
    println!("Playing through {} ...", shown(&plugin));
    let mut settings = tone::settings(&plugin, &options.model)?;
    let twin = Twin::of(&options.model)?;
    if let Some(own) = twin.as_ref().map(Twin::setting)
        && settings.iter().all(|setting| setting.file_stem() != own.file_stem())
    {
        settings.push(own);
    }
    let measured = settings.iter().map(|setting| setting.measure(&plugin)).collect::<Outcome<Vec<_>>>()?;
    let (mut rows, mut compared) = (Vec::new(), Vec::new());
    for sound in &sounds {
        if options.input.is_none() {
            let path = out.join(format!("{}.wav", sound.name));
            sound::write(&path, sound.audio.sample_rate(), &sound::channels(&sound.audio))?;
        }
        let mut outputs = Vec::new();
        for (setting, measured) in settings.iter().zip(&measured) {
            let (row, output) = play(&plugin, out, sound, setting, measured)?;
            rows.push(row);
            outputs.push(output);
        }
        if let Some(twin) = &twin {
            let place = |stem: &str| settings.iter().position(|setting| setting.file_stem() == stem);
            let model = settings.iter().position(|setting| setting.model.is_some());
            if let (Some(reference), Some(model)) = (place(&twin.setting().file_stem()), model) {
                compared.push(twin.compare(out, sound, &outputs[reference], &outputs[model])?);
            }
        }
    }
    let comparison = twin.as_ref().map_or(String::new(), |twin| twin.markdown(&compared));
    fs::write(out.join("table.md"), table::markdown(&rows) + &comparison)?;
    fs::write(out.join("table.json"), format!("{:#}\n", table::json(&rows)))?;
    print!("\n{}", table::text(&rows));
    if let Some(twin) = &twin {
        print!("\n{}", twin.text(&compared));
        fs::write(out.join("twin.json"), format!("{:#}\n", twin.json(&compared)))?;
    }
    println!(
        "\nTHD: a tone near 1 kHz at -6 dBFS. Time: the whole plug-in, that is both slots, in blocks of {} frames.",
        tone::BLOCK
    );
    if rows.iter().any(|row| row.peak_db > 0.0) {
        println!("Peaks above 0 dBFS are clipped in the 24-bit files, not in the plug-in.");
    }
    println!("Sounds, pictures, table.md and table.json: {}", shown(out));
    Ok(())
}

fn parse(options: &[String]) -> Outcome<Options> {
    let mut parsed = Options { input: None, model: root().join(MODEL), out: root().join("demo") };
    let mut options = options.iter();
    while let Some(option) = options.next() {
        let (name, inside) = option.split_once('=').map_or((option.as_str(), None), |(name, value)| (name, Some(value)));
        if !matches!(name, "--input" | "--model" | "--out") {
            return Err(unknown("demo", option).into());
        }
        let value = inside.or_else(|| options.next().map(String::as_str)).filter(|value| !value.is_empty());
        let value = std::path::absolute(value.ok_or_else(|| format!("{name} needs a value"))?)?;
        match name {
            "--input" => parsed.input = Some(value),
            "--model" => parsed.model = value,
            _ => parsed.out = value,
        }
    }
    Ok(parsed)
}

/// Returns the sound too, a vector per channel.
fn play(plugin: &Path, out: &Path, sound: &Sound, setting: &Setting, measured: &Measured) -> Outcome<(Row, Vec<Vec<f32>>)> {
    let sample_rate = sound.audio.sample_rate();
    let input = sound::channels(&sound.audio);
    let mut ready = setting.ready(plugin, sample_rate, input.len(), false).map_err(|e| format!("{}: {e}", sound.name))?;
    let output = ready.play(&input)?;
    let time = ready.time(&input)?.as_secs_f64();
    let (rms_db, peak_db) = sound::levels_db(&output);

    let stem = format!("{}-{}", sound.name, setting.file_stem());
    let (wav, png) = (format!("{stem}.wav"), format!("{stem}.png"));
    sound::write(&out.join(&wav), sample_rate, &output)?;
    let title = format!("{} through {}, {}", sound.name, setting.algorithm.name, setting.text);
    picture::draw(&out.join(&png), &title, sample_rate, &input[0], &output[0])?;

    let frames = input[0].len() as f64;
    let row = Row {
        sound: sound.name.clone(),
        algorithm: setting.algorithm.name.into(),
        setting: setting.text.clone(),
        rms_db,
        peak_db,
        thd: measured.thd,
        latency_frames: measured.latency,
        impulse_frames: measured.impulse,
        nanoseconds_per_sample: 1e9 * time / (frames * input.len() as f64),
        times_real_time: frames / f64::from(sample_rate) / time,
        wav,
        png,
    };
    Ok((row, output))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(options: &[&str]) -> Outcome<Options> {
        super::parse(&options.iter().map(|&option| option.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_taken_in_both_forms() {
        let options = parse(&["--input", "/a.wav", "--out=/b", "--model", "/c.nam"]).unwrap();
        assert_eq!((options.input, options.out, options.model), (Some("/a.wav".into()), "/b".into(), "/c.nam".into()));
        let options = parse(&[]).unwrap();
        assert_eq!(options.out, root().join("demo"));
        assert!(options.model.is_file(), "{}", options.model.display());
    }

    #[test]
    fn a_wrong_option_is_named() {
        let error = |options: &[&str]| parse(options).map(drop).unwrap_err().to_string();
        assert_eq!(error(&["--input"]), "--input needs a value");
        assert!(error(&["--inptu", "x"]).starts_with("'--inptu' is no option of demo"));
    }
}
