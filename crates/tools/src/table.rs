//! The demo's results as a table of text, as Markdown and as JSON.

use isotherm::measure::measures;
use serde_json::{Value, json};

/// Level in dB below which a table says "silent".
const SILENT_BELOW_DB: f64 = -200.0;

/// A row: the results of a sound through a setting.
pub struct TableRow {
    /// Name of the sound.
    pub sound: String,
    /// Name of the algorithm.
    pub algorithm: String,
    /// Text of the setting.
    pub setting: String,
    /// RMS level of the output in dBFS.
    pub rms_db: f64,
    /// Peak of the output in dBFS.
    pub peak_db: f64,
    /// Total harmonic distortion of a sine as a ratio; the same for all sounds.
    pub thd: f64,
    /// Latency that the plug-in reports, in frames.
    pub latency_frames: u32,
    /// Latency that an impulse shows, in frames; `None` if it leaves no trace.
    pub impulse_frames: Option<usize>,
    /// Time of the whole plug-in for a sample of one channel.
    pub nanoseconds_per_sample: f64,
    /// Duration of the sound divided by the time that processing it takes.
    pub times_real_time: f64,
    /// File of the output.
    pub wav: String,
    /// File of the picture.
    pub png: String,
}

/// Heads of the columns.
const HEADS: [&str; 10] = [
    "Sound",
    "Algorithm",
    "Setting",
    measures::RMS.heading,
    measures::PEAK.heading,
    measures::THD.heading,
    "THD dB",
    "Latency (impulse)",
    "ns/sample/channel",
    "x real time",
];
/// Index of the first column of numbers. This column and all after it are aligned to the right.
const FIRST_NUMBER: usize = 3;

impl TableRow {
    /// Texts of the columns.
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

/// The rows as a JSON array. NaN and infinity are null.
pub fn json(rows: &[TableRow]) -> Value {
    rows.iter().map(TableRow::json).collect()
}

/// The rows as a table of text.
pub fn text(rows: &[TableRow]) -> String {
    lines(rows, "  ", "", "-")
}

/// The rows as a table of Markdown, with a list of links to the files.
pub fn markdown(rows: &[TableRow]) -> String {
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

/// A table with its header. `between` separates columns, `outside` is at both ends of a line, `rule` is what the line under the
/// header consists of.
fn lines(rows: &[TableRow], between: &str, outside: &str, rule: &str) -> String {
    let cells: Vec<_> = rows.iter().map(TableRow::cells).collect();
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

/// Text of a level.
fn db(value: f64) -> String {
    if value < SILENT_BELOW_DB || value.is_nan() { "silent".into() } else { format!("{value:.2}") }
}

/// A JSON number; null for NaN and infinity.
fn number(value: f64) -> Value {
    serde_json::Number::from_f64(value).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> TableRow {
        TableRow {
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
    fn a_level_that_is_not_finite_is_null_in_json() {
        assert_eq!(json(&[row()])[0]["peak_dbfs"], Value::Null);
        assert_eq!(json(&[row()])[0]["latency_frames"], 45);
    }
}
