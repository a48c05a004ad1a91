//! The manifest of a take, `take.json`: what was recorded, and what is missing.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use chrono::{DateTime, Local, SecondsFormat, Timelike};
use serde::{Deserialize, Serialize};

use super::TakeError;
use super::pcm::InstructionSet;
use super::settings::RecorderSettings;
use crate::audio::WavFormat;
use crate::source::DeskChannelInfo;

/// File name of the manifest in the take's folder.
pub const FILE: &str = "take.json";
/// File name of the manifest while it is being written.
pub const NEW_FILE: &str = "take.json.new";
/// Version of the file format that this program writes and reads. It stays the same when a field is added that older programs can
/// ignore and that a manifest may lack.
pub const VERSION: u32 = 1;
/// Name and version of this program.
pub(super) const PROGRAM: &str = concat!("isotherm ", env!("CARGO_PKG_VERSION"));
/// Reason of the [`UnknownSpan`] at the end of a take that was cut off.
const UNKNOWN_END: &str = "what came in the last second before the recording was cut off (more if the disk was slow just then) may not have reached the disk";

/// Message about a take without a frame.
pub const NO_FRAMES: &str = "the take has no frames: nothing came to be recorded";

/// State of a take, in lower case in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TakeState {
    /// Being written, or left behind by a crash: the numbers are those of the last save.
    Recording,
    /// Finished by its recorder.
    Finished,
    /// Left behind by a crash, and completed by [`recover`](super::recover).
    Recovered,
}

/// Frames that were lost; the files have silence in their place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// First lost frame, counted from the take's first.
    pub position: u64,
    /// Number of lost frames.
    pub frames: u64,
    /// Number of the only stem that lacks the frames; `None` if all stems do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stem: Option<usize>,
    /// Cause of the loss, like `the buffer was full`.
    pub reason: String,
}

/// A named frame of the take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// The frame, counted from the take's first.
    pub position: u64,
    /// The name, like `Marker 1`.
    pub name: String,
}

/// A change of a stem's source during the take, as the desk reported it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StemChange {
    /// The frame that was being recorded at the time of the report, counted from the take's first.
    pub position: u64,
    /// Earliest frame of the change, if the desk could not report it at once: it happened between this frame and `position`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// The stem's number.
    pub stem: usize,
    /// The property that changed: `name` (the channel's; the stem keeps its own), or `source`, `colour` or `note` of
    /// [`DeskChannelInfo`].
    pub what: String,
    /// The old value; `None` if the property was not set.
    pub from: Option<String>,
    /// The new value; `None` if the property is no longer set.
    pub to: Option<String>,
}

/// A span of the take about which something is unknown, because the recording was cut off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnknownSpan {
    /// First frame of the span, counted from the take's first; the take's length for sound that may have come after its end.
    pub position: u64,
    /// Number of frames; more if the disk was slow when the recording was cut off.
    pub frames: u64,
    /// The unknown facts and their cause, in one line.
    pub reason: String,
}

/// A file of a stem: all of its sound or, in a split take, a part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePart {
    /// The file's name.
    pub file: String,
    /// Length in frames; 0 while the file is written.
    pub frames: u64,
    /// SHA-256 of the sample data in hex; `None` without [`RecorderSettings::hashes`], and while the file is written.
    pub sha256: Option<String>,
}

/// A recorded channel with its files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stem {
    /// Number of the stem in the take, from 1.
    pub number: usize,
    /// Number of the source's channel, from 1.
    pub channel: usize,
    /// Name of the stem.
    pub name: String,
    /// The desk's metadata at the start of the take; `None` without a desk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desk: Option<DeskChannelInfo>,
    /// Samples beyond full scale, which were limited.
    pub overs: u64,
    /// Samples that were NaN, which were written as 0.
    pub nans: u64,
    /// The stem's files, one unless the take was split.
    pub parts: Vec<FilePart>,
}

/// The content of `take.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the file format: [`VERSION`].
    pub version: u32,
    /// Name and version of the program that wrote the take.
    pub program: String,
    /// Identifier of the take: 32 random hex digits, also in the files' headers.
    pub id: String,
    /// State of the take.
    pub state: TakeState,
    /// Name of the take.
    pub name: String,
    /// Source of the sound, like a device's name.
    pub source: String,
    /// The rate, channels and sample format that were requested from the source, as text.
    pub asked: String,
    /// The rate, channels and sample format that the source delivered, as text.
    pub granted: String,
    /// Sample rate in hertz.
    pub sample_rate: u32,
    /// Sample format of the files.
    #[serde(with = "format_name")]
    pub format: WavFormat,
    /// Instruction set that the samples were converted with, as [`InstructionSet`] displays it.
    pub conversion: String,
    /// Local time of the first frame, RFC 3339.
    pub started: String,
    /// Frames from midnight, local time, to the first frame.
    pub time_reference: u64,
    /// Length of the take in frames, pre-roll and gaps included.
    pub frames: u64,
    /// Frames of the take before its start.
    pub pre_roll_frames: u64,
    /// Number of times that the recorder's ring was stretched: filled to more than a tenth because the disk was slow.
    pub stretched: u64,
    /// The lost frames.
    pub gaps: Vec<Gap>,
    /// The markers, in the order in which they were set.
    pub markers: Vec<Marker>,
    /// Changes on the desk during the take.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<StemChange>,
    /// Unknown facts about the take; empty unless it was cut off and recovered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<UnknownSpan>,
    /// The recorded channels.
    pub stems: Vec<Stem>,
    /// The files with all channels, with [`RecorderSettings::interleaved`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interleaved: Vec<FilePart>,
    /// Cause of the take's end, like `by silence`; empty while it is written.
    pub ended: String,
    /// Error that cut the take short.
    pub error: Option<String>,
}

/// A new identifier of a take: 32 random hex digits.
fn new_id() -> String {
    let mut bytes = [0; 16];
    // If the system has no random numbers, the identifier is all zeros. It only serves to detect files of another take.
    let _ = getrandom::fill(&mut bytes);
    hex(&bytes)
}

/// Lower-case hex digits of bytes.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Serialises a sample format by its name on the command line: 16, 24, 32 or 32f.
mod format_name {
    use super::WavFormat;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    const NAMES: [(WavFormat, &str); 4] =
        [(WavFormat::Int16, "16"), (WavFormat::Int24, "24"), (WavFormat::Int32, "32"), (WavFormat::Float32, "32f")];

    pub fn serialize<S: Serializer>(format: &WavFormat, serializer: S) -> Result<S::Ok, S::Error> {
        let name = NAMES.iter().find(|(f, _)| f == format).map_or("", |(_, name)| name);
        serializer.serialize_str(name)
    }

    pub fn deserialize<'a, D: Deserializer<'a>>(deserializer: D) -> Result<WavFormat, D::Error> {
        let found = String::deserialize(deserializer)?;
        let named = NAMES.iter().find(|(_, name)| *name == found).map(|(format, _)| *format);
        named.ok_or_else(|| D::Error::custom(format!("format: found '{found}', expected 16, 24, 32 or 32f")))
    }
}

impl Manifest {
    /// The manifest of a take that begins with these settings. [disk thread]
    pub(super) fn new(
        settings: &RecorderSettings,
        conversion: InstructionSet,
        started: DateTime<Local>,
        pre_roll_frames: u64,
    ) -> Self {
        let rate = u64::from(settings.sample_rate);
        let since_midnight = u64::from(started.num_seconds_from_midnight());
        Self {
            version: VERSION,
            program: PROGRAM.into(),
            id: new_id(),
            state: TakeState::Recording,
            name: settings.name.clone(),
            source: settings.source.clone(),
            asked: settings.requested.clone(),
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
                    channel: channel.source_channel + 1,
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

    /// Number of lost frames, summed over all gaps.
    #[must_use]
    pub fn lost_frames(&self) -> u64 {
        self.gaps.iter().fold(0, |sum, gap| sum.saturating_add(gap.frames))
    }

    /// Samples beyond full scale in all stems.
    #[must_use]
    pub fn overs(&self) -> u64 {
        self.stems.iter().fold(0, |sum, stem| sum.saturating_add(stem.overs))
    }

    /// Samples that were NaN in all stems.
    #[must_use]
    pub fn nans(&self) -> u64 {
        self.stems.iter().fold(0, |sum, stem| sum.saturating_add(stem.nans))
    }

    /// Length of the take in seconds.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.frames as f64 / f64::from(self.sample_rate.max(1))
    }

    /// The take's error and losses in one line; `None` if the take is complete.
    #[must_use]
    pub fn loss_text(&self) -> Option<String> {
        let (frames, gaps) = (self.lost_frames(), self.gaps.len());
        let lost = (frames > 0).then(|| format!("{frames} frames were lost in {gaps} gaps; take.json says where"));
        let lost = lost.or_else(|| (self.frames == 0).then(|| NO_FRAMES.into()));
        match (self.error.clone(), lost) {
            (Some(error), Some(lost)) => Some(format!("{error}; {lost}")),
            (error, lost) => error.or(lost),
        }
    }

    /// The unknown facts about the take in one line; `None` if all is known.
    #[must_use]
    pub fn unknown_text(&self) -> Option<String> {
        let reasons: Vec<&str> = self.unknown.iter().map(|unknown| unknown.reason.as_str()).collect();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }

    /// Lists the second after the end as unknown: its sound may be missing.
    pub(super) fn add_unknown_end(&mut self) {
        self.unknown.push(UnknownSpan { position: self.frames, frames: self.sample_rate.into(), reason: UNKNOWN_END.into() });
    }

    /// Length, losses and end of the take in one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let Self { stems, frames, stretched, gaps, .. } = self;
        let changes =
            if self.changes.is_empty() { String::new() } else { format!(", {} changes on the desk", self.changes.len()) };
        let unknown = self.unknown_text().map_or(String::new(), |what| format!("; not known: {what}"));
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
    /// If there is no manifest, or it cannot be parsed, or is of another version.
    pub fn load(folder: &Path) -> Result<Self, TakeError> {
        let path = folder.join(FILE);
        let text = fs::read_to_string(&path).map_err(|e| TakeError::io("read", &path, e))?;
        let broken = |what: String| TakeError::Manifest { path: path.clone(), what };
        /// The version alone, parsed first: a manifest of another version may have other fields.
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let Version { version } = serde_json::from_str(&text).map_err(|e| broken(e.to_string()))?;
        if version != VERSION {
            return Err(broken(format!("version: found {version}, expected {VERSION}")));
        }
        let mut manifest: Self = serde_json::from_str(&text).map_err(|e| broken(e.to_string()))?;
        // Programs that did not have `unknown` yet recovered takes without this entry.
        if manifest.state == TakeState::Recovered && manifest.unknown.is_empty() {
            manifest.add_unknown_end();
        }
        Ok(manifest)
    }

    /// State of the take in `folder`; `None` if there is no manifest of this version. [control thread]
    pub(super) fn load_state(folder: &Path) -> Option<TakeState> {
        #[derive(Deserialize)]
        struct VersionAndState {
            version: u32,
            state: TakeState,
        }
        let VersionAndState { version, state } = serde_json::from_slice(&fs::read(folder.join(FILE)).ok()?).ok()?;
        (version == VERSION).then_some(state)
    }

    /// Writes the manifest into `folder`. The old one is replaced only once the new one is complete on the disk. [disk thread]
    ///
    /// # Errors
    /// The system's error.
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
