//! `take.json`: what a take is.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use chrono::{DateTime, Local, SecondsFormat, Timelike};
use serde::{Deserialize, Serialize};

use super::TakeError;
use super::pcm::Level;
use super::settings::Settings;
use crate::audio::Format;
use crate::source::DeskTrack;

/// The manifest's name in the folder of its take.
pub const FILE: &str = "take.json";
/// Its name while it is being written.
pub const NEW_FILE: &str = "take.json.new";
/// The version that this program writes and reads. A field that an older program may pass over, and a manifest may lack, leaves it as it is.
pub const VERSION: u32 = 1;
/// The program's name and version.
pub(super) const PROGRAM: &str = concat!("isotherm ", env!("CARGO_PKG_VERSION"));
/// What is not known of a take that was cut off.
const UNKNOWN_END: &str = "what came in the last second before the recording was cut off (more if the disk was slow just then) may not have reached the disk";

/// The words for a take in which nothing is.
pub const NO_FRAMES: &str = "the take has no frames: nothing came to be recorded";

/// How far a take is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Being written, or left behind: `frames` and sums are of the last save.
    Recording,
    Finished,
    /// Left behind, and made whole later.
    Recovered,
}

/// Frames that are missing and stand as silence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The first frame, counted from the take's first.
    pub position: u64,
    pub frames: u64,
    /// The one stem that lacks them; none if all do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stem: Option<usize>,
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// Counted from the take's first frame.
    pub position: u64,
    pub name: String,
}

/// Something that became different about a stem's source during the take, as a desk told it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The frame that was recorded when the desk said it, counted from the take's first.
    pub position: u64,
    /// Where the desk was not heard, or read anew, the change came between this frame and `position`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// The stem's number.
    pub stem: usize,
    /// `source`, `name`, `colour` or `note`: see [`DeskTrack`]. The stem keeps its own name.
    pub what: String,
    /// None for nothing.
    pub from: Option<String>,
    pub to: Option<String>,
}

/// Something that nobody can know about the take, because its recording was cut off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unknown {
    /// The first frame that it concerns, counted from the take's first; the take's length for sound behind its end.
    pub position: u64,
    /// How many, as far as the disk kept up.
    pub frames: u64,
    /// In one line.
    pub reason: String,
}

/// A file: the whole sound or, if it was split, a part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub file: String,
    pub frames: u64,
    /// Of the sample data, in hex; none if it was not wanted, or not known yet.
    pub sha256: Option<String>,
}

/// One channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stem {
    /// From 1.
    pub number: usize,
    /// The source's channel, from 1.
    pub channel: usize,
    pub name: String,
    /// None without a desk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desk: Option<DeskTrack>,
    /// Samples beyond full scale.
    pub overs: u64,
    /// Samples that were no number.
    pub nans: u64,
    pub parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub version: u32,
    /// What wrote it, with its version.
    pub program: String,
    /// 32 hex digits.
    pub id: String,
    pub state: State,
    pub name: String,
    /// Where the sound came from.
    pub source: String,
    /// The form that was asked of the source, and the one it gave.
    pub asked: String,
    pub granted: String,
    /// Hertz.
    pub sample_rate: u32,
    #[serde(with = "format_name")]
    pub format: Format,
    /// The conversion that ran.
    pub conversion: String,
    /// Of the first frame: RFC 3339, local time.
    pub started: String,
    /// Frames from midnight, local time, to the first frame.
    pub time_reference: u64,
    pub frames: u64,
    /// Frames before the start.
    pub pre_roll_frames: u64,
    /// Times that the buffer was stretched.
    pub stretched: u64,
    pub gaps: Vec<Gap>,
    pub markers: Vec<Marker>,
    /// What a desk changed meanwhile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// What is not known; nothing unless the take was cut off and recovered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<Unknown>,
    pub stems: Vec<Stem>,
    /// Files with all channels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interleaved: Vec<Part>,
    /// Why it ended; empty while it is being written.
    pub ended: String,
    /// What cut it short.
    pub error: Option<String>,
}

/// Ties the files of a take together: 32 hex digits.
fn id() -> String {
    let mut bytes = [0; 16];
    // Without the system's random numbers it is no more unique than the take's folder.
    let _ = getrandom::fill(&mut bytes);
    hex(&bytes)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// A format as on the command line: 16, 24, 32, 32f.
mod format_name {
    use super::Format;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    const NAMES: [(Format, &str); 4] =
        [(Format::Int16, "16"), (Format::Int24, "24"), (Format::Int32, "32"), (Format::Float32, "32f")];

    pub fn serialize<S: Serializer>(format: &Format, serializer: S) -> Result<S::Ok, S::Error> {
        let name = NAMES.iter().find(|(f, _)| f == format).map_or("", |(_, name)| name);
        serializer.serialize_str(name)
    }

    pub fn deserialize<'a, D: Deserializer<'a>>(deserializer: D) -> Result<Format, D::Error> {
        let found = String::deserialize(deserializer)?;
        let named = NAMES.iter().find(|(_, name)| *name == found).map(|(format, _)| *format);
        named.ok_or_else(|| D::Error::custom(format!("format: found '{found}', expected 16, 24, 32 or 32f")))
    }
}

impl Manifest {
    /// Of a take that begins with these settings. [disk thread]
    pub(super) fn begin(settings: &Settings, conversion: Level, started: DateTime<Local>, pre_roll_frames: u64) -> Self {
        let rate = u64::from(settings.sample_rate);
        let since_midnight = u64::from(started.num_seconds_from_midnight());
        Self {
            version: VERSION,
            program: PROGRAM.into(),
            id: id(),
            state: State::Recording,
            name: settings.name.clone(),
            source: settings.source.clone(),
            asked: settings.asked.clone(),
            granted: settings.granted.clone(),
            sample_rate: settings.sample_rate,
            format: settings.format,
            conversion: conversion.to_string(),
            started: started.to_rfc3339_opts(SecondsFormat::Millis, false),
            time_reference: since_midnight * rate + u64::from(started.nanosecond() % 1_000_000_000) * rate / 1_000_000_000,
            frames: 0,
            pre_roll_frames,
            stretched: 0,
            gaps: Vec::new(),
            markers: Vec::new(),
            changes: Vec::new(),
            unknown: Vec::new(),
            stems: (1..)
                .zip(&settings.channels)
                .map(|(number, channel)| Stem {
                    number,
                    channel: channel.source + 1,
                    name: channel.name.clone(),
                    desk: channel.desk.clone(),
                    overs: 0,
                    nans: 0,
                    parts: Vec::new(),
                })
                .collect(),
            interleaved: Vec::new(),
            ended: String::new(),
            error: None,
        }
    }

    /// Frames that are missing in at least one stem.
    #[must_use]
    pub fn lost_frames(&self) -> u64 {
        self.gaps.iter().fold(0, |sum, gap| sum.saturating_add(gap.frames))
    }

    /// Samples beyond full scale, of all stems.
    #[must_use]
    pub fn overs(&self) -> u64 {
        self.stems.iter().fold(0, |sum, stem| sum.saturating_add(stem.overs))
    }

    /// Samples that were no number, of all stems.
    #[must_use]
    pub fn nans(&self) -> u64 {
        self.stems.iter().fold(0, |sum, stem| sum.saturating_add(stem.nans))
    }

    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.frames as f64 / f64::from(self.sample_rate.max(1))
    }

    /// What the take lacks, in one line; none if it lacks nothing.
    #[must_use]
    pub fn loss(&self) -> Option<String> {
        let (frames, gaps) = (self.lost_frames(), self.gaps.len());
        let lost = (frames > 0).then(|| format!("{frames} frames were lost in {gaps} gaps; take.json says where"));
        let lost = lost.or_else(|| (self.frames == 0).then(|| NO_FRAMES.into()));
        match (self.error.clone(), lost) {
            (Some(error), Some(lost)) => Some(format!("{error}; {lost}")),
            (error, lost) => error.or(lost),
        }
    }

    /// What is not known of the take, in one line; none if all is known.
    #[must_use]
    pub fn not_known(&self) -> Option<String> {
        let reasons: Vec<&str> = self.unknown.iter().map(|unknown| unknown.reason.as_str()).collect();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }

    /// Says that up to a second is not known behind the end.
    pub(super) fn end_is_unknown(&mut self) {
        self.unknown.push(Unknown { position: self.frames, frames: self.sample_rate.into(), reason: UNKNOWN_END.into() });
    }

    /// The take in one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let Self { stems, frames, stretched, gaps, .. } = self;
        let changes =
            if self.changes.is_empty() { String::new() } else { format!(", {} changes on the desk", self.changes.len()) };
        let unknown = self.not_known().map_or(String::new(), |what| format!("; not known: {what}"));
        format!(
            "{} stems, {frames} frames, {:.3} s, {} overs, {} NaNs, {} lost frames in {} gaps, buffer stretched {stretched} times{changes}; ended {}{unknown}",
            stems.len(),
            self.seconds(),
            self.overs(),
            self.nans(),
            self.lost_frames(),
            gaps.len(),
            self.ended
        )
    }

    /// Reads the manifest in `folder`. [control thread]
    ///
    /// # Errors
    /// If there is none, or it is none of this version.
    pub fn load(folder: &Path) -> Result<Self, TakeError> {
        let path = folder.join(FILE);
        let text = fs::read_to_string(&path).map_err(|e| TakeError::io("read", &path, e))?;
        let broken = |what: String| TakeError::Manifest { path: path.clone(), what };
        /// Read first: another version may look different.
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let Version { version } = serde_json::from_str(&text).map_err(|e| broken(e.to_string()))?;
        if version != VERSION {
            return Err(broken(format!("version: found {version}, expected {VERSION}")));
        }
        let mut manifest: Self = serde_json::from_str(&text).map_err(|e| broken(e.to_string()))?;
        // Recovered before manifests said so.
        if manifest.state == State::Recovered && manifest.unknown.is_empty() {
            manifest.end_is_unknown();
        }
        Ok(manifest)
    }

    /// How far the take in `folder` is; none if there is no manifest that says so. [control thread]
    pub(super) fn state_in(folder: &Path) -> Option<State> {
        #[derive(Deserialize)]
        struct Stands {
            version: u32,
            state: State,
        }
        let Stands { version, state } = serde_json::from_slice(&fs::read(folder.join(FILE)).ok()?).ok()?;
        (version == VERSION).then_some(state)
    }

    /// Writes the manifest into `folder`: the old one stays until the new one is whole. [disk thread]
    ///
    /// # Errors
    /// The system's.
    pub fn save(&self, folder: &Path) -> io::Result<()> {
        let new = folder.join(NEW_FILE);
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        let mut file = File::create(&new)?;
        file.write_all(&text)?;
        file.sync_data()?;
        drop(file);
        fs::rename(new, folder.join(FILE))
    }
}
