//! Verification: checks a take's files against its manifest.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::file_name::file_name;
use super::manifest::{FilePart, Gap, Manifest, NO_FRAMES, Stem, StemChange, TakeState, hex};
use super::metadata::{ALL_CHANNELS, wav_metadata};
use super::pcm::is_full_scale;
use super::wav::{WavHeader, WavMetadata};
use super::{TakeError, to_usize};

/// Frames that are read at a time.
const CHUNK_FRAMES: usize = 65_536;

/// Result of [`verify`].
#[derive(Clone, Debug)]
pub struct VerifyReport {
    /// The take's manifest.
    pub manifest: Manifest,
    /// A line for each difference between the files and the manifest; empty for a good take.
    pub problems: Vec<String>,
    /// Bytes of sound that were read.
    pub bytes: u64,
    /// Number of files whose checksum the manifest does not have.
    pub files_without_checksum: usize,
}

/// Checks the take in `folder` against its manifest: files, headers, lengths, checksums, gaps, markers, changes, and the counts
/// of overs and NaNs. [control thread: reads the whole take]
///
/// # Errors
/// If there is no manifest, or it cannot be read.
pub fn verify(folder: &Path) -> Result<VerifyReport, TakeError> {
    verify_with_progress(folder, &mut |_| true)
}

/// Like [`verify`]. `progress` is called repeatedly with the fraction that is done, 0 to 1; the check is cancelled when it
/// returns false. [control thread]
///
/// # Errors
/// The errors of [`verify`]; [`TakeError::Cancelled`].
pub fn verify_with_progress(folder: &Path, progress: &mut dyn FnMut(f64) -> bool) -> Result<VerifyReport, TakeError> {
    let manifest = Manifest::load(folder)?;
    let (problems, is_cancelled) = (Vec::new(), false);
    let mut verifier =
        Verifier { folder, manifest: &manifest, problems, bytes: 0, files_without_checksum: 0, progress, is_cancelled };
    verifier.check_take();
    let Verifier { problems, bytes, files_without_checksum, is_cancelled, .. } = verifier;
    if is_cancelled {
        return Err(TakeError::Cancelled { folder: folder.into() });
    }
    Ok(VerifyReport { problems, bytes, files_without_checksum, manifest })
}

/// State of a verification; the fields that a [`VerifyReport`] has are filled in as the check proceeds.
struct Verifier<'a> {
    folder: &'a Path,
    manifest: &'a Manifest,
    problems: Vec<String>,
    bytes: u64,
    files_without_checksum: usize,
    progress: &'a mut dyn FnMut(f64) -> bool,
    /// True once `progress` has returned false.
    is_cancelled: bool,
}

impl<'a> Verifier<'a> {
    /// Checks the whole take.
    fn check_take(&mut self) {
        let m = self.manifest;
        if m.state == TakeState::Recording {
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
        // Saturates, because the numbers of a damaged manifest may be of any size.
        let sum = lengths.iter().fold(0, |sum: u64, frames| sum.saturating_add(*frames));
        if sum != m.frames {
            self.problems.push(format!("the manifest has {} frames, its parts have {sum}", m.frames));
        }
        for (number, stem) in (1..).zip(&m.stems) {
            if stem.number != number {
                self.problems.push(format!("the manifest has stem {} in place of stem {number}", stem.number));
            }
            self.check_parts(Some(stem), &stem.parts, &lengths);
        }
        if !m.interleaved.is_empty() {
            self.check_parts(None, &m.interleaved, &lengths);
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
                let StemChange { position, stem, .. } = change;
                self.problems.push(format!(
                    "a change of stem {stem} at frame {position} is not within {} stems of {} frames",
                    m.stems.len(),
                    m.frames
                ));
            }
        }
        self.check_unlisted_files();
    }

    /// Finds WAV files in the folder that the manifest does not name.
    fn check_unlisted_files(&mut self) {
        let m = self.manifest;
        let listed: Vec<&str> = m.stems.iter().flat_map(|s| &s.parts).chain(&m.interleaved).map(|p| p.file.as_str()).collect();
        let entries = fs::read_dir(self.folder).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        for name in names.iter().filter(|name| name.to_lowercase().ends_with(".wav") && !listed.contains(&name.as_str())) {
            self.problems.push(format!("{name}: it is not in the manifest"));
        }
    }

    /// Checks the parts of a stem or, without a stem, of the file with all channels; `lengths` are the frames of each part.
    fn check_parts(&mut self, stem: Option<&'a Stem>, parts: &'a [FilePart], lengths: &[u64]) {
        let (number, name) = stem.map_or(ALL_CHANNELS, |stem| (stem.number, stem.name.as_str()));
        if parts.len() != lengths.len() {
            self.problems.push(format!("stem {number} has {} parts; expected {}", parts.len(), lengths.len()));
        }
        let mut first_frame = 0;
        let mut counts = SampleCounts::default();
        for (index, (part, frames)) in parts.iter().zip(lengths).enumerate() {
            let expected = file_name(number, name, index + 1);
            if part.file != expected {
                self.problems.push(format!("the manifest calls a file '{}'; expected '{expected}'", part.file));
            } else if part.frames != *frames {
                self.problems.push(format!("{expected}: the manifest has {} frames; expected {frames}", part.frames));
            } else if let Err(what) = self.check_file(stem, part, first_frame, &mut counts) {
                self.problems.push(format!("{expected}: {what}"));
            }
            first_frame = first_frame.saturating_add(*frames);
        }
        // Each over was written as full scale and each NaN as 0, so the files have at least as many such samples.
        let Some(stem) = stem else { return };
        if stem.overs > counts.full_scale || stem.nans > counts.zero {
            self.problems.push(format!(
                "stem {number}: the manifest has {} overs and {} NaNs, its files have {} samples at full scale and {} of silence",
                stem.overs, stem.nans, counts.full_scale, counts.zero
            ));
        }
    }

    /// Checks one file, which begins at frame `first_frame` of the take. Returns the problem as the error.
    fn check_file(
        &mut self,
        stem: Option<&Stem>,
        part: &FilePart,
        first_frame: u64,
        counts: &mut SampleCounts,
    ) -> Result<(), String> {
        let mut file = File::open(self.folder.join(&part.file)).map_err(|e| format!("cannot open it: {e}"))?;
        let header = WavHeader::read(&mut file).map_err(|e| e.to_string())?;
        let (found, expected) = (&header.metadata, wav_metadata(self.manifest, stem, first_frame));
        let format_of = |m: &WavMetadata| format!("{} x {} at {} Hz", m.channels, m.format, m.sample_rate);
        if format_of(found) != format_of(&expected) {
            return Err(format!("it is {}; expected {}", format_of(found), format_of(&expected)));
        }
        if (&found.reference, found.time_reference) != (&expected.reference, expected.time_reference) {
            return Err(format!(
                "it is of take {}, frame {} of its day; expected {}, {}",
                found.reference, found.time_reference, expected.reference, expected.time_reference
            ));
        }
        let present = header.file_bytes.saturating_sub(header.data_start) / found.frame_bytes() as u64;
        if header.frames() != part.frames || present < part.frames {
            let frames = header.frames().min(present);
            return Err(format!("it has {frames} frames; expected {}", part.frames));
        }
        if header.riff_bytes != header.file_bytes {
            return Err(format!("it is {} bytes long; its header says {}", header.file_bytes, header.riff_bytes));
        }
        file.seek(SeekFrom::Start(header.data_start)).map_err(|e| format!("cannot read it: {e}"))?;
        let checksum = self.check_sound(&mut file, stem, part.frames, first_frame, counts)?;
        match &part.sha256 {
            None => self.files_without_checksum += 1,
            Some(expected) if *expected != checksum => {
                let all = self.manifest.stems.iter().flat_map(|stem| &stem.parts);
                let other = all.filter(|p| p.sha256.as_ref() == Some(&checksum)).map(|p| p.file.as_str()).next();
                return Err(match other {
                    Some(other) => format!("its sound is that of '{other}'"),
                    None => format!("its sound has SHA-256 {checksum}; expected {expected}"),
                });
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// Reads the sound of a file, checks that gaps are silent, and counts the samples that overs and NaNs can have become.
    /// Returns the SHA-256.
    fn check_sound(
        &mut self,
        file: &mut File,
        stem: Option<&Stem>,
        frames: u64,
        first_frame: u64,
        counts: &mut SampleCounts,
    ) -> Result<String, String> {
        let m = self.manifest;
        let sample_bytes = m.format.bytes();
        let frame_bytes = sample_bytes * if stem.is_some() { 1 } else { m.stems.len() };
        let gaps: Vec<&Gap> = m
            .gaps
            .iter()
            .filter(|gap| gap.stem.is_none() || (stem.is_some() && gap.stem == stem.map(|stem| stem.number)))
            .collect();
        let must_count = stem.is_some_and(|stem| stem.overs > 0 || stem.nans > 0);
        let mut hash = Sha256::new();
        let mut bytes = vec![0; CHUNK_FRAMES * frame_bytes];
        if first_frame.checked_add(frames).is_none() {
            return Err(format!("{frames} frames after {first_frame} are too many"));
        }
        let mut at = 0;
        while at < frames {
            let n = (frames - at).min(CHUNK_FRAMES as u64);
            let bytes = &mut bytes[..to_usize(n) * frame_bytes];
            file.read_exact(bytes).map_err(|e| format!("cannot read it: {e}"))?;
            hash.update(&*bytes);
            if must_count {
                for sample in bytes.chunks_exact(sample_bytes) {
                    counts.full_scale += u64::from(is_full_scale(m.format, sample));
                    counts.zero += u64::from(sample.iter().all(|b| *b == 0));
                }
            }
            for gap in &gaps {
                let from = gap.position.max(first_frame + at);
                let to = gap.position.saturating_add(gap.frames).min(first_frame + at + n);
                let offset = |frame: u64| to_usize(frame - first_frame - at) * frame_bytes;
                if from < to && bytes[offset(from)..offset(to)].iter().any(|b| *b != 0) {
                    return Err(format!("there is sound in the gap at frame {}", gap.position));
                }
            }
            self.bytes += bytes.len() as u64;
            at += n;
            let files = m.stems.len() as u64 * if m.interleaved.is_empty() { 1 } else { 2 };
            let total_bytes = (m.frames as f64 * files as f64 * sample_bytes as f64).max(1.0);
            self.is_cancelled |= !(self.progress)((self.bytes as f64 / total_bytes).min(1.0));
            if self.is_cancelled {
                return Err("it was called off".into());
            }
        }
        Ok(hex(&hash.finalize()))
    }
}

/// Numbers of a stem's samples that overs and NaNs can have become.
#[derive(Default)]
struct SampleCounts {
    /// Samples with the highest or the lowest code.
    full_scale: u64,
    /// Samples that are 0.
    zero: u64,
}
