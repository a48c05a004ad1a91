//! Whether a take is what its manifest says.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::TakeError;
use super::describe::{ALL, description};
use super::manifest::{Change, Gap, Manifest, NO_FRAMES, Part, State, Stem, hex};
use super::name::file_name;
use super::pcm::is_full_scale;
use super::wav::Header;

/// Frames that are read at a time.
const CHUNK_FRAMES: usize = 65_536;

/// What [`verify`] found.
#[derive(Clone, Debug)]
pub struct Verified {
    pub manifest: Manifest,
    /// A line for everything that is not as the manifest says; empty for a good take.
    pub problems: Vec<String>,
    /// Bytes of sound that were read.
    pub bytes: u64,
    /// Files whose sum the manifest does not have.
    pub without_sum: usize,
}

/// Checks everything that the manifest of the take in `folder` says: files, headers, lengths, sums, gaps, markers, counts. [control
/// thread: reads the whole take]
///
/// # Errors
/// If there is no manifest that can be read.
pub fn verify(folder: &Path) -> Result<Verified, TakeError> {
    verify_while(folder, &mut |_| true)
}

/// As [`verify`], while `go_on` says so: it is told again and again which part is done, 0 to 1. [control thread]
///
/// # Errors
/// Those of [`verify`]; [`TakeError::CalledOff`].
pub fn verify_while(folder: &Path, go_on: &mut dyn FnMut(f64) -> bool) -> Result<Verified, TakeError> {
    let manifest = Manifest::load(folder)?;
    let (problems, is_off) = (Vec::new(), false);
    let mut check = Check { folder, manifest: &manifest, problems, bytes: 0, without_sum: 0, go_on, is_off };
    check.take();
    let Check { problems, bytes, without_sum, is_off, .. } = check;
    if is_off {
        return Err(TakeError::CalledOff { folder: folder.into() });
    }
    Ok(Verified { problems, bytes, without_sum, manifest })
}

struct Check<'a> {
    folder: &'a Path,
    manifest: &'a Manifest,
    problems: Vec<String>,
    bytes: u64,
    without_sum: usize,
    go_on: &'a mut dyn FnMut(f64) -> bool,
    /// It said no.
    is_off: bool,
}

impl<'a> Check<'a> {
    fn take(&mut self) {
        let m = self.manifest;
        if m.state == State::Recording {
            self.problems.push("it was left unfinished; `isotherm recover` makes it whole".into());
            return;
        }
        if m.stems.is_empty() || m.sample_rate == 0 {
            self.problems.push(format!("the manifest has {} stems at {} Hz; expected 1 or more", m.stems.len(), m.sample_rate));
            return;
        }
        if m.frames == 0 {
            self.problems.push(NO_FRAMES.into());
        }
        let lengths: Vec<u64> = m.stems[0].parts.iter().map(|part| part.frames).collect();
        // What lies may be of any size.
        let sum = lengths.iter().fold(0, |sum: u64, frames| sum.saturating_add(*frames));
        if sum != m.frames {
            self.problems.push(format!("the manifest has {} frames, its parts have {sum}", m.frames));
        }
        for (number, stem) in (1..).zip(&m.stems) {
            if stem.number != number {
                self.problems.push(format!("the manifest has stem {} in place of stem {number}", stem.number));
            }
            self.parts(Some(stem), &stem.parts, &lengths);
        }
        if !m.interleaved.is_empty() {
            self.parts(None, &m.interleaved, &lengths);
        }
        for gap in &m.gaps {
            if gap.frames == 0 || gap.position.checked_add(gap.frames).is_none_or(|end| end > m.frames) {
                let Gap { position, frames, .. } = gap;
                self.problems.push(format!("a gap of {frames} frames at frame {position} is not within {} frames", m.frames));
            }
        }
        for marker in m.markers.iter().filter(|marker| marker.position > m.frames) {
            self.problems
                .push(format!("marker '{}' at frame {} is not within {} frames", marker.name, marker.position, m.frames));
        }
        for change in &m.changes {
            let since = change.since.unwrap_or(change.position);
            if change.position > m.frames || since > change.position || !(1..=m.stems.len()).contains(&change.stem) {
                let Change { position, stem, .. } = change;
                self.problems.push(format!(
                    "a change of stem {stem} at frame {position} is not within {} stems of {} frames",
                    m.stems.len(),
                    m.frames
                ));
            }
        }
        self.strangers();
    }

    /// Files that the manifest does not name.
    fn strangers(&mut self) {
        let m = self.manifest;
        let known: Vec<&str> = m.stems.iter().flat_map(|s| &s.parts).chain(&m.interleaved).map(|p| p.file.as_str()).collect();
        let entries = fs::read_dir(self.folder).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        for name in names.iter().filter(|name| name.to_lowercase().ends_with(".wav") && !known.contains(&name.as_str())) {
            self.problems.push(format!("{name}: it is not in the manifest"));
        }
    }

    /// The parts of one stem, or of the file with all channels.
    fn parts(&mut self, stem: Option<&'a Stem>, parts: &'a [Part], lengths: &[u64]) {
        let (number, name) = stem.map_or(ALL, |stem| (stem.number, stem.name.as_str()));
        if parts.len() != lengths.len() {
            self.problems.push(format!("stem {number} has {} parts; expected {}", parts.len(), lengths.len()));
        }
        let mut first = 0;
        let mut counted = Counted::default();
        for (index, (part, frames)) in parts.iter().zip(lengths).enumerate() {
            let expected = file_name(number, name, index + 1);
            if part.file != expected {
                self.problems.push(format!("the manifest calls a file '{}'; expected '{expected}'", part.file));
            } else if part.frames != *frames {
                self.problems.push(format!("{expected}: the manifest has {} frames; expected {frames}", part.frames));
            } else if let Err(what) = self.file(stem, part, first, &mut counted) {
                self.problems.push(format!("{expected}: {what}"));
            }
            first = first.saturating_add(*frames);
        }
        // Every over is a sample at full scale, every NaN is one of silence.
        let Some(stem) = stem else { return };
        if stem.overs > counted.full_scale || stem.nans > counted.silent {
            self.problems.push(format!(
                "stem {number}: the manifest has {} overs and {} NaNs, its files have {} samples at full scale and {} of silence",
                stem.overs, stem.nans, counted.full_scale, counted.silent
            ));
        }
    }

    /// One file, whose first frame is the take's frame `first`.
    fn file(&mut self, stem: Option<&Stem>, part: &Part, first: u64, counted: &mut Counted) -> Result<(), String> {
        let mut file = File::open(self.folder.join(&part.file)).map_err(|e| format!("cannot open it: {e}"))?;
        let header = Header::read(&mut file)?;
        let (found, expected) = (&header.description, description(self.manifest, stem, first));
        let form = |d: &super::wav::Description| format!("{} x {} at {} Hz", d.channels, d.format, d.sample_rate);
        if form(found) != form(&expected) {
            return Err(format!("it is {}; expected {}", form(found), form(&expected)));
        }
        if (&found.reference, found.time_reference) != (&expected.reference, expected.time_reference) {
            return Err(format!(
                "it is of take {}, frame {} of its day; expected {}, {}",
                found.reference, found.time_reference, expected.reference, expected.time_reference
            ));
        }
        let there = header.file_bytes.saturating_sub(header.data_start) / found.frame_bytes() as u64;
        if header.frames() != part.frames || there < part.frames {
            let frames = header.frames().min(there);
            return Err(format!("it has {frames} frames; expected {}", part.frames));
        }
        if header.riff_bytes != header.file_bytes {
            return Err(format!("it is {} bytes long; its header says {}", header.file_bytes, header.riff_bytes));
        }
        file.seek(SeekFrom::Start(header.data_start)).map_err(|e| format!("cannot read it: {e}"))?;
        let sum = self.sound(&mut file, stem, part.frames, first, counted)?;
        match &part.sha256 {
            None => self.without_sum += 1,
            Some(expected) if *expected != sum => {
                let all = self.manifest.stems.iter().flat_map(|stem| &stem.parts);
                let other = all.filter(|p| p.sha256.as_ref() == Some(&sum)).map(|p| p.file.as_str()).next();
                return Err(match other {
                    Some(other) => format!("its sound is that of '{other}'"),
                    None => format!("its sound has SHA-256 {sum}; expected {expected}"),
                });
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// Reads the sound: its sum, and whether gaps are silent.
    fn sound(
        &mut self,
        file: &mut File,
        stem: Option<&Stem>,
        frames: u64,
        first: u64,
        counted: &mut Counted,
    ) -> Result<String, String> {
        let m = self.manifest;
        let sample_bytes = m.format.bytes();
        let frame_bytes = sample_bytes * if stem.is_some() { 1 } else { m.stems.len() };
        let gaps: Vec<&Gap> = m
            .gaps
            .iter()
            .filter(|gap| gap.stem.is_none() || (stem.is_some() && gap.stem == stem.map(|stem| stem.number)))
            .collect();
        let count = stem.is_some_and(|stem| stem.overs > 0 || stem.nans > 0);
        let mut hash = Sha256::new();
        let mut bytes = vec![0; CHUNK_FRAMES * frame_bytes];
        if first.checked_add(frames).is_none() {
            return Err(format!("{frames} frames after {first} are too many"));
        }
        let mut at = 0;
        while at < frames {
            let n = (frames - at).min(CHUNK_FRAMES as u64);
            let bytes = &mut bytes[..n as usize * frame_bytes];
            file.read_exact(bytes).map_err(|e| format!("cannot read it: {e}"))?;
            hash.update(&*bytes);
            if count {
                for sample in bytes.chunks_exact(sample_bytes) {
                    counted.full_scale += u64::from(is_full_scale(m.format, sample));
                    counted.silent += u64::from(sample.iter().all(|b| *b == 0));
                }
            }
            for gap in &gaps {
                let from = gap.position.max(first + at);
                let to = gap.position.saturating_add(gap.frames).min(first + at + n);
                let range = |frame: u64| (frame - first - at) as usize * frame_bytes;
                if from < to && bytes[range(from)..range(to)].iter().any(|b| *b != 0) {
                    return Err(format!("there is sound in the gap at frame {}", gap.position));
                }
            }
            self.bytes += bytes.len() as u64;
            at += n;
            let files = m.stems.len() as u64 * if m.interleaved.is_empty() { 1 } else { 2 };
            let all = (m.frames as f64 * files as f64 * sample_bytes as f64).max(1.0);
            self.is_off |= !(self.go_on)((self.bytes as f64 / all).min(1.0));
            if self.is_off {
                return Err("it was called off".into());
            }
        }
        Ok(hex(&hash.finalize()))
    }
}

/// Samples of a stem that overs and NaNs can have become.
#[derive(Default)]
struct Counted {
    full_scale: u64,
    silent: u64,
}
