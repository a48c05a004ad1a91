//! The demo: plays sounds through every algorithm of the bundled plug-in, and writes sounds, pictures and tables of the results,
//! a page that compares a twin with its reference, and one that compares a model with itself oversampled.

use std::fs;
use std::path::Path;

use crate::setting::{self, Measurement, Setting};
use crate::sound::{self, Sound};
use crate::table::{self, TableRow};
use crate::twin_comparison::TwinComparison;
use crate::{TaskResult, display_path, oversampling_comparison, picture};

/// Plays `input`, or generated sounds, through the CLAP plug-in `plugin`, and writes sounds, pictures and tables to the folder
/// `out`. `model` is the model file for the algorithm that runs one.
///
/// # Errors
/// If a file is not valid, the plug-in fails, or `out` cannot be written to.
pub fn play(plugin: &Path, model: &Path, out: &Path, input: Option<&Path>) -> TaskResult {
    let sounds = match input {
        Some(path) => vec![sound::read(path)?],
        None => sound::generated()?,
    };
    println!("Measuring every algorithm ...");
    let mut settings = setting::settings(plugin, model)?;
    let twin = TwinComparison::open(model)?;
    if let Some(reference) = twin.as_ref().map(TwinComparison::setting)
        && settings.iter().all(|setting| setting.file_stem() != reference.file_stem())
    {
        settings.push(reference);
    }
    let measured = settings.iter().map(|setting| setting.measure(plugin)).collect::<TaskResult<Vec<_>>>()?;
    let (mut rows, mut compared) = (Vec::new(), Vec::new());
    for sound in &sounds {
        println!("Playing {} through {} settings ...", sound.name, settings.len());
        if input.is_none() {
            let path = out.join(format!("{}.wav", sound.name));
            sound::write(&path, sound.audio.sample_rate(), &sound::channels(&sound.audio))?;
        }
        let mut outputs = Vec::new();
        for (setting, measured) in settings.iter().zip(&measured) {
            let (row, output) = play_setting(plugin, out, sound, setting, measured)?;
            rows.push(row);
            outputs.push(output);
        }
        if let Some(twin) = &twin {
            let position = |file_stem: &str| settings.iter().position(|setting| setting.file_stem() == file_stem);
            let model = settings.iter().position(|setting| setting.model.is_some());
            if let (Some(reference), Some(model)) = (position(&twin.setting().file_stem()), model) {
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
        setting::BLOCK
    );
    if rows.iter().any(|row| row.peak_db > 0.0) {
        println!("Peaks above 0 dBFS are clipped in the 24-bit files, not in the plug-in.");
    }
    println!("Sounds, pictures, table.md and table.json: {}", display_path(out));
    if let Some(twin) = &twin {
        println!("\nComparing the twin with its reference on {} ...", input.map_or("the built-in material".into(), display_path));
        let page = twin.write_page(out, input)?;
        println!("The page of this comparison: {}", display_path(&page));
    }
    println!("\nComparing the model with itself at four times its rate ...");
    let first = sounds.first().map(|sound| out.join(format!("{}.wav", sound.name)));
    let played = input.map(Path::to_owned).or(first).ok_or("no sound")?;
    if let Some(page) = oversampling_comparison::write_page(model, out, &played)? {
        println!("{}", oversampling_comparison::LISTEN_FOR);
        println!("The page of this comparison: {}", display_path(&page));
    }
    Ok(())
}

/// Plays a sound through a setting, and writes the output and a picture of it. Returns the row of the table, and the output, a
/// vector for each channel.
fn play_setting(
    plugin: &Path,
    out: &Path,
    sound: &Sound,
    setting: &Setting,
    measured: &Measurement,
) -> TaskResult<(TableRow, Vec<Vec<f32>>)> {
    let sample_rate = sound.audio.sample_rate();
    let input = sound::channels(&sound.audio);
    let mut ready = setting.ready(plugin, sample_rate, input.len(), false).map_err(|e| format!("{}: {e}", sound.name))?;
    let output = ready.play(&input)?;
    let time = ready.time(&input)?.as_secs_f64();
    let (rms_db, peak_db) = sound::levels_db(&output);

    let file_stem = format!("{}-{}", sound.name, setting.file_stem());
    let (wav, png) = (format!("{file_stem}.wav"), format!("{file_stem}.png"));
    sound::write(&out.join(&wav), sample_rate, &output)?;
    let title = format!("{} through {}, {}", sound.name, setting.algorithm.name, setting.text);
    picture::draw(&out.join(&png), &title, sample_rate, &input[0], &output[0])?;

    let frames = input[0].len() as f64;
    let row = TableRow {
        sound: sound.name.clone(),
        algorithm: setting.algorithm.name.into(),
        setting: setting.text.clone(),
        rms_db,
        peak_db,
        thd: measured.thd,
        latency_frames: measured.latency_frames,
        impulse_frames: measured.impulse_frames,
        nanoseconds_per_sample: 1e9 * time / (frames * input.len() as f64),
        times_real_time: frames / f64::from(sample_rate) / time,
        wav,
        png,
    };
    Ok((row, output))
}
