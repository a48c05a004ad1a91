//! The status of a running `isotherm record --device`: meters of all channels on a terminal, or single lines elsewhere.

use std::io::Write;

use serde_json::{Value, json};

use crate::dsp::gain_to_db;
use crate::graph::{Meter, MeterReading};
use crate::record::{Channel, Health, RecorderPhase};

/// Columns of a terminal; a longer line would wrap, and be drawn over in part only.
pub const COLUMNS: usize = 80;
/// The level at the left end of a bar, in dBFS.
const FLOOR_DB: f64 = -60.0;
/// Characters of a bar.
const BAR_WIDTH: usize = 12;
/// Characters of a channel's name.
const NAME_WIDTH: usize = 10;
/// Levels below this, in dBFS, are shown as silence.
const SILENCE_DB: f64 = -144.0;
/// More channels than this are shown in two columns.
const MAX_ROWS: usize = 16;

/// The state of a recording at a moment.
pub struct StatusView<'a> {
    pub health: &'a Health,
    /// The health as a word or two.
    pub health_text: &'a str,
    /// The state of the device and the desk as text.
    pub device: &'a str,
    pub channels: &'a [Channel],
    /// A reading for each channel.
    pub readings: &'a [ChannelReading],
}

/// The reading of a channel's meter.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ChannelReading {
    /// The peak since the last reading, and the RMS over 300 ms.
    pub level: MeterReading,
    /// True if the channel has reached full scale since the start of the recording.
    pub clipped: bool,
}

/// Reads the meters of the recorded channels into `readings`.
pub fn read_meters(meter: &Meter, channels: &[Channel], readings: &mut [ChannelReading]) {
    for (reading, channel) in readings.iter_mut().zip(channels) {
        if let Some(level) = meter.take(channel.source_channel) {
            *reading = ChannelReading { level, clipped: reading.clipped || level.clipped };
        }
    }
}

/// Returns a linear level in dBFS: 20 log10, at least [`SILENCE_DB`].
fn db(gain: f32) -> f64 {
    f64::from(gain_to_db(gain)).max(SILENCE_DB)
}

impl StatusView<'_> {
    /// Returns the headline and the channels' lines, for a terminal of 80 columns.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.terminal_headline()];
        let texts = self.channels.iter().zip(self.readings).map(|(channel, reading)| channel_text(channel, reading));
        let texts: Vec<String> = texts.collect();
        let rows = if texts.len() > MAX_ROWS { texts.len().div_ceil(2) } else { texts.len() };
        let (left, right) = texts.split_at(rows);
        let rows = left.iter().enumerate().map(|(i, text)| match right.get(i) {
            Some(other) => format!("{text} {other}"),
            None => text.clone(),
        });
        lines.extend(rows);
        lines
    }

    /// Returns [`Self::headline`], cut to the terminal's columns.
    fn terminal_headline(&self) -> String {
        fit(&self.headline())
    }

    /// Returns phase, time, health, buffer, disk and device in one line.
    pub fn headline(&self) -> String {
        let Health { phase, seconds, fill, disk_seconds_left, .. } = self.health;
        let phase = if *phase == RecorderPhase::Recording { "recording" } else { "waiting" };
        let left = disk_seconds_left.map_or(String::new(), |s| format!(", {:.1} h left", s / 3600.0));
        let time = *seconds as u64;
        let (hours, minutes, rest) = (time / 3600, time / 60 % 60, time % 60);
        let (health, device) = (self.health_text, self.device);
        format!("{phase} {hours}:{minutes:02}:{rest:02}, {health}, buffer {:.0} %{left}, {device}", fill * 100.0)
    }

    /// Returns the status as a JSON object.
    pub fn json(&self) -> Value {
        let all_db = |level: fn(&ChannelReading) -> f32| self.readings.iter().map(|r| db(level(r))).collect::<Vec<_>>();
        json!({
            "phase": if self.health.phase == RecorderPhase::Recording { "recording" } else { "waiting" },
            "seconds": self.health.seconds, "health": self.health_text, "device": self.device,
            "lost_frames": self.health.lost_frames,
            "buffer": self.health.fill, "disk_seconds_left": self.health.disk_seconds_left,
            "peak_db": all_db(|reading| reading.level.peak), "rms_db": all_db(|reading| reading.level.rms),
            "clipped": self.readings.iter().map(|reading| reading.clipped).collect::<Vec<_>>(),
        })
    }
}

/// Cuts a line to [`COLUMNS`] characters; a cut line ends in an ellipsis.
pub fn fit(line: &str) -> String {
    if line.chars().count() <= COLUMNS {
        return line.into();
    }
    line.chars().take(COLUMNS - 1).chain(['…']).collect()
}

/// Returns a channel as text of 39 columns: number, name, bar (RMS as a block, peak as a line), peak and RMS in dBFS, clip light.
fn channel_text(channel: &Channel, reading: &ChannelReading) -> String {
    let name: String = channel.name.chars().take(NAME_WIDTH).collect();
    let (peak, rms) = (db(reading.level.peak), db(reading.level.rms));
    let position = |db: f64| ((db - FLOOR_DB) / -FLOOR_DB * BAR_WIDTH as f64).ceil().clamp(0.0, BAR_WIDTH as f64) as usize;
    let (rms_position, peak_position) = (position(rms), position(peak));
    let bar: String = (1..=BAR_WIDTH)
        .map(|i| {
            if i <= rms_position {
                '█'
            } else if i == peak_position {
                '|'
            } else {
                '·'
            }
        })
        .collect();
    let clip_light = if reading.clipped { "C" } else { " " };
    let number = |db: f64| if db <= SILENCE_DB { "  -inf".into() } else { format!("{db:6.1}") };
    format!("{:2} {name:NAME_WIDTH$}{bar}{}{}{clip_light}", channel.source_channel + 1, number(peak), number(rms))
}

/// A terminal on which texts of several lines are drawn, each over the last.
#[derive(Default)]
pub struct Terminal {
    /// Number of lines that were drawn last.
    drawn_lines: usize,
}

impl Terminal {
    /// Writes the lines over those that were drawn last.
    pub fn draw(&mut self, lines: &[String]) {
        let mut out = std::io::stdout().lock();
        if self.drawn_lines > 0 {
            // Moves the cursor up to the first of the lines that were drawn last.
            let _ = write!(out, "\x1b[{}A", self.drawn_lines);
        }
        for line in lines {
            // Writes the line and clears the rest of the old one.
            let _ = writeln!(out, "\r{line}\x1b[K");
        }
        let _ = out.flush();
        self.drawn_lines = lines.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_fits_a_terminal_and_levels_are_20_log10() {
        let channels: Vec<Channel> = (0..32).map(|source| Channel::new(source, "Overhead left")).collect();
        let mut readings = vec![ChannelReading::default(); 32];
        readings[1] = ChannelReading { level: MeterReading { peak: 0.5, rms: 0.1, clipped: false }, clipped: false };
        readings[31] = ChannelReading { level: MeterReading { peak: 1.0, rms: 0.5, clipped: true }, clipped: true };
        let health = Health { seconds: 3725.9, phase: RecorderPhase::Recording, ..Health::default() };
        let (channels, readings) = (&channels[..], &readings[..]);
        let view = StatusView { health: &health, health_text: "ok", device: "running", channels, readings };
        let lines = view.lines();
        assert_eq!(lines.len(), 17);
        assert!(lines.iter().all(|line| line.chars().count() <= 80), "{lines:#?}");
        assert!(lines[0].starts_with("recording 1:02:05, ok, "), "{}", lines[0]);
        assert!(lines[1].contains("  -inf") && lines[2].contains("  -6.0 -20.0 "), "{}", lines[2]);
        assert!(lines[16].ends_with("   0.0  -6.0C"), "{}", lines[16]);
        let reason = "the device has left: no such device, it was pulled out while the take ran".repeat(2);
        let disk_seconds_left = Some(3.6e6);
        let health = Health { disk_seconds_left, ..health.clone() };
        let view = StatusView { health: &health, device: &reason, ..view };
        assert_eq!((view.lines()[0].chars().count(), view.lines()[0].ends_with('…')), (80, true));
        let json = view.json();
        assert!((json["peak_db"][1].as_f64().unwrap() + 6.0206).abs() < 1e-3);
        assert_eq!(json["clipped"][31], true);
    }
}
