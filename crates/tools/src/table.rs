//! The demo's figures as a table for eyes, as Markdown and as JSON.

use isotherm::measure::measures;
use serde_json::{Value, json};

/// The lowest level that is written as a number, in dB.
const SILENCE_DB: f64 = -200.0;

/// One line: a sound through a setting.
pub struct Row {
    pub sound: String,
    pub algorithm: String,
    pub setting: String,
    pub rms_db: f64,
    pub peak_db: f64,
    /// Harmonics over fundamental; of a setting, whatever the sound.
    pub thd: f64,
    pub latency_frames: u32,
    pub impulse_frames: Option<usize>,
    pub nanoseconds_per_sample: f64,
    pub times_real_time: f64,
    pub wav: String,
    pub png: String,
}

const HEADS: [&str; 10] = [
    "Sound",
    "Algorithm",
    "Setting",
    measures::RMS.head,
    measures::PEAK.head,
    measures::THD.head,
    "THD dB",
    "Latency (impulse)",
    "ns/sample/channel",
    "x real time",
];
/// From this column on, numbers: written to the right.
const FIRST_NUMBER: usize = 3;

impl Row {
    fn cells(&self) -> [String; HEADS.len()] {
        [
            self.sound.clone(),
            self.algorithm.clone(),
            self.setting.clone(),
            db(self.rms_db),
            db(self.peak_db),
            measures::THD.text(100.0 * self.thd),
            db(20.0 * self.thd.log10()),
            format!("{} ({})", self.latency_frames, self.impulse_frames.map_or("none".into(), |frames| frames.to_string())),
            format!("{:.2}", self.nanoseconds_per_sample),
            format!("{:.0}", self.times_real_time),
        ]
    }

    fn json(&self) -> Value {
        json!({
            "sound": self.sound,
            "algorithm": self.algorithm,
            "setting": self.setting,
            measures::RMS.id: number(self.rms_db),
            measures::PEAK.id: number(self.peak_db),
            "thd_ratio": number(self.thd),
            "latency_frames": self.latency_frames,
            measures::LATENCY.id: self.impulse_frames,
            "nanoseconds_per_sample_and_channel": number(self.nanoseconds_per_sample),
            "times_real_time": number(self.times_real_time),
            "wav": self.wav,
            "png": self.png,
        })
    }
}

/// As JSON, where what is no number is null.
pub fn json(rows: &[Row]) -> Value {
    rows.iter().map(Row::json).collect()
}

/// Columns of equal width between single spaces.
pub fn text(rows: &[Row]) -> String {
    lines(rows, "  ", "", "-")
}

/// A table of Markdown, with links to the files.
pub fn markdown(rows: &[Row]) -> String {
    let mut text = lines(rows, " | ", "|", "-");
    let rows = rows.iter().map(|row| {
        format!(
            "- {} through {}, {}: [{}]({}), [{}]({})\n",
            row.sound, row.algorithm, row.setting, row.wav, row.wav, row.png, row.png
        )
    });
    text.push('\n');
    text.extend(rows);
    text
}

fn lines(rows: &[Row], between: &str, outside: &str, rule: &str) -> String {
    let cells: Vec<_> = rows.iter().map(Row::cells).collect();
    let widths: Vec<usize> = (0..HEADS.len())
        .map(|column| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0).max(HEADS[column].len()))
        .collect();
    let line = |cells: &[String]| {
        let padded: Vec<String> = cells
            .iter()
            .zip(&widths)
            .enumerate()
            .map(
                |(column, (cell, &width))| {
                    if column < FIRST_NUMBER { format!("{cell:width$}") } else { format!("{cell:>width$}") }
                },
            )
            .collect();
        let joined = padded.join(between);
        if outside.is_empty() { joined.trim_end().to_owned() + "\n" } else { format!("{outside} {joined} {outside}\n") }
    };
    let rules: Vec<String> = widths
        .iter()
        .enumerate()
        .map(|(column, &width)| {
            let right = !outside.is_empty() && column >= FIRST_NUMBER;
            rule.repeat(width - usize::from(right)) + if right { ":" } else { "" }
        })
        .collect();
    let mut text = line(&HEADS.map(String::from)) + &line(&rules);
    text.extend(cells.iter().map(|row| line(row)));
    text
}

fn db(value: f64) -> String {
    if value < SILENCE_DB || value.is_nan() { "silent".into() } else { format!("{value:.2}") }
}

fn number(value: f64) -> Value {
    serde_json::Number::from_f64(value).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        Row {
            sound: "guitar".into(),
            algorithm: "Saturator".into(),
            setting: "default".into(),
            rms_db: -20.0,
            peak_db: f64::NEG_INFINITY,
            thd: 0.01,
            latency_frames: 45,
            impulse_frames: Some(45),
            nanoseconds_per_sample: 12.345,
            times_real_time: 1687.0,
            wav: "a.wav".into(),
            png: "a.png".into(),
        }
    }

    #[test]
    fn columns_stay_under_their_heads() {
        let text = text(&[row()]);
        let ends: Vec<usize> = text.lines().map(str::len).collect();
        assert!(ends.iter().all(|&end| end == ends[0]), "{text}");
        assert!(text.contains("45 (45)") && text.contains("silent") && text.contains("-40.00"), "{text}");
    }

    #[test]
    fn markdown_has_a_cell_per_head_in_every_line() {
        let text = markdown(&[row()]);
        for line in text.lines().take_while(|line| !line.is_empty()) {
            assert_eq!(line.matches('|').count(), HEADS.len() + 1, "{line}");
        }
    }

    #[test]
    fn what_is_no_number_is_null_in_json() {
        assert_eq!(json(&[row()])[0]["peak_dbfs"], Value::Null);
        assert_eq!(json(&[row()])[0]["latency_frames"], 45);
    }
}
