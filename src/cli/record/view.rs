//! What `isotherm record --device` shows while it runs: a picture on a terminal, else a line every second.

use std::io::Write;

use serde_json::{Value, json};

use crate::dsp::gain_to_db;
use crate::graph::{Level, Meter};
use crate::record::{Channel, Health, Phase};

/// The lowest level of a bar.
const FLOOR_DB: f64 = -60.0;
/// Characters of a bar.
const BAR: usize = 12;
/// Characters of a name.
const NAME: usize = 10;
/// Below this everything is shown as silence.
const SILENCE_DB: f64 = -144.0;
/// More channels than this are shown in two columns.
const ROWS: usize = 16;

/// One look at a recording.
pub struct Picture<'a> {
    pub health: &'a Health,
    pub light: &'a str,
    /// How the device is.
    pub device: &'a str,
    pub channels: &'a [Channel],
    pub levels: &'a [Shown],
}

/// What a meter shows of a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shown {
    /// The highest since the last look, and the mean of 300 ms.
    pub level: Level,
    /// Whether it has ever reached full scale.
    pub clipped: bool,
}

/// Reads the meters of the recorded channels; a clip light that was lit stays lit.
pub fn look(meter: &Meter, channels: &[Channel], shown: &mut [Shown]) {
    for (shown, channel) in shown.iter_mut().zip(channels) {
        if let Some(level) = meter.take(channel.source) {
            *shown = Shown { level, clipped: shown.clipped || level.clipped };
        }
    }
}

/// Decibels of full scale: 20 log10.
fn db(gain: f32) -> f64 {
    f64::from(gain_to_db(gain)).max(SILENCE_DB)
}

impl Picture<'_> {
    /// The picture's lines, for a terminal of 80 columns.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.headline()];
        let strips: Vec<String> = self.channels.iter().zip(self.levels).map(|(channel, shown)| strip(channel, shown)).collect();
        let rows = if strips.len() > ROWS { strips.len().div_ceil(2) } else { strips.len() };
        let (left, right) = strips.split_at(rows);
        let both = left.iter().enumerate().map(|(i, strip)| match right.get(i) {
            Some(other) => format!("{strip} {other}"),
            None => strip.clone(),
        });
        lines.extend(both);
        lines
    }

    /// Time, health and disk.
    pub fn headline(&self) -> String {
        let Health { phase, seconds, fill, disk_seconds_left, .. } = self.health;
        let phase = if *phase == Phase::Recording { "recording" } else { "waiting" };
        let left = disk_seconds_left.map_or(String::new(), |s| format!(", disk for {:.1} h", s / 3600.0));
        let time = *seconds as u64;
        let (hours, minutes, rest) = (time / 3600, time / 60 % 60, time % 60);
        let (light, device) = (self.light, self.device);
        format!("{phase} {hours}:{minutes:02}:{rest:02}, {light}, buffer {:.0} %{left}, {device}", fill * 100.0)
    }

    /// One line of JSON.
    pub fn json(&self) -> Value {
        let of = |value: fn(&Shown) -> f32| self.levels.iter().map(|shown| db(value(shown))).collect::<Vec<_>>();
        json!({
            "phase": if self.health.phase == Phase::Recording { "recording" } else { "waiting" },
            "seconds": self.health.seconds, "health": self.light, "device": self.device, "lost_frames": self.health.lost_frames,
            "buffer": self.health.fill, "disk_seconds_left": self.health.disk_seconds_left,
            "peak_db": of(|shown| shown.level.peak), "rms_db": of(|shown| shown.level.rms),
            "clipped": self.levels.iter().map(|shown| shown.clipped).collect::<Vec<_>>(),
        })
    }
}

/// A channel: number, name, bar (RMS full, peak as a line), peak, clip light. 39 columns.
fn strip(channel: &Channel, shown: &Shown) -> String {
    let name: String = channel.name.chars().take(NAME).collect();
    let (peak, rms) = (db(shown.level.peak), db(shown.level.rms));
    let place = |db: f64| ((db - FLOOR_DB) / -FLOOR_DB * BAR as f64).ceil().clamp(0.0, BAR as f64) as usize;
    let (full, mark) = (place(rms), place(peak));
    let bar: String = (1..=BAR)
        .map(|i| {
            if i <= full {
                '█'
            } else if i == mark {
                '|'
            } else {
                '·'
            }
        })
        .collect();
    let light = if shown.clipped { "C" } else { " " };
    let number = |db: f64| if db <= SILENCE_DB { "  -inf".into() } else { format!("{db:6.1}") };
    format!("{:2} {name:NAME$}{bar}{}{}{light}", channel.source + 1, number(peak), number(rms))
}

/// A terminal that pictures are drawn on, each over the last.
#[derive(Default)]
pub struct Screen {
    drawn: usize,
}

impl Screen {
    pub fn draw(&mut self, lines: &[String]) {
        let mut out = std::io::stdout().lock();
        if self.drawn > 0 {
            // To the first line of the last picture.
            let _ = write!(out, "\x1b[{}A", self.drawn);
        }
        for line in lines {
            // Each line anew, to its end.
            let _ = writeln!(out, "\r{line}\x1b[K");
        }
        let _ = out.flush();
        self.drawn = lines.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_fits_a_terminal_and_shows_20_log10() {
        let channels: Vec<Channel> = (0..32).map(|source| Channel::new(source, "Overhead left")).collect();
        let mut levels = vec![Shown::default(); 32];
        levels[1] = Shown { level: Level { peak: 0.5, rms: 0.1, clipped: false }, clipped: false };
        levels[31] = Shown { level: Level { peak: 1.0, rms: 0.5, clipped: true }, clipped: true };
        let health = Health { seconds: 3725.9, phase: Phase::Recording, ..Health::default() };
        let picture = Picture { health: &health, light: "ok", device: "running", channels: &channels, levels: &levels };
        let lines = picture.lines();
        assert_eq!(lines.len(), 17);
        assert!(lines.iter().all(|line| line.chars().count() <= 80), "{lines:#?}");
        assert!(lines[0].starts_with("recording 1:02:05, ok, "), "{}", lines[0]);
        assert!(lines[1].contains("  -inf") && lines[2].contains("  -6.0 -20.0 "), "{}", lines[2]);
        assert!(lines[16].ends_with("   0.0  -6.0C"), "{}", lines[16]);
        let json = picture.json();
        assert!((json["peak_db"][1].as_f64().unwrap() + 6.0206).abs() < 1e-3);
        assert_eq!(json["clipped"][31], true);
    }
}
