//! Recovery: completes a take that a crash left behind.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::file_name::{file_name, parse_file_name};
use super::manifest::{FILE, FilePart, Gap, Manifest, NEW_FILE, PROGRAM, Stem, TakeState, UnknownSpan, VERSION, hex};
use super::metadata::{ALL_CHANNELS, cue_points, ixml, wav_metadata};
use super::take::RESERVE_FILE;
use super::wav::{WavHeader, WavWriter, trailing_chunks};
use super::{TakeError, to_usize};

/// Frames that are read or written at a time.
const CHUNK_FRAMES: u64 = 65_536;
/// Reason of a gap at the end of a stem that is shorter than others.
const CUT_OFF: &str = "not yet written when the recording was cut off";
/// Reason of the [`UnknownSpan`] of a take whose manifest is missing: the facts that only a manifest records.
const NO_MANIFEST: &str = "source, markers, gaps, overs and NaNs, for the manifest was gone";

/// Result of [`recover`].
#[derive(Clone, Debug)]
pub struct RecoverReport {
    /// Manifest of the recovered take.
    pub manifest: Manifest,
    /// A line for each loss and each unknown fact.
    pub notes: Vec<String>,
}

/// Returns true if a program is recording or recovering the take in `folder`; `None` if the file system has no locks.
fn is_locked(folder: &Path) -> Option<bool> {
    let Ok(file) = File::open(folder.join(RESERVE_FILE)) else { return Some(false) };
    match file.try_lock() {
        Ok(()) => Some(false),
        Err(TryLockError::WouldBlock) => Some(true),
        Err(TryLockError::Error(_)) => None,
    }
}

/// Lists the takes in `folder` that a crash left unfinished and that no program is recording or recovering now, sorted by name.
/// [control thread: reads every manifest]
#[must_use]
pub fn unfinished_takes(folder: &Path) -> Vec<PathBuf> {
    let is_unfinished = |take: &Path| Manifest::load_state(take) == Some(TakeState::Recording);
    // The state is checked again after the lock: a take that has just ended says so before its lock is released.
    let is_abandoned = |take: &PathBuf| is_unfinished(take) && is_locked(take) == Some(false) && is_unfinished(take);
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut takes: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_abandoned).collect();
    takes.sort();
    takes
}

/// Message for the user about a take that [`unfinished_takes`] found, in one line. [any thread]
#[must_use]
pub fn unfinished_message(take: &Path) -> String {
    let name = take.file_name().unwrap_or_default().to_string_lossy();
    // Quotes are escaped so that the command can be pasted into a shell.
    let path = std::path::absolute(take).unwrap_or_else(|_| take.into()).display().to_string().replace('\'', "'\\''");
    format!("the take '{name}' is unfinished, as a crash left it; `isotherm recover '{path}'` makes it whole")
}

/// Completes the unfinished take in `folder`. Stems are extended to the length of the longest with silence, which is listed as a
/// gap; headers, checksums and manifest are written as for a finished take, and the manifest lists what is unknown. No sound is
/// cut off. A recovery that is interrupted can be repeated. [control thread: reads the whole take]
///
/// # Errors
/// If the take is finished or still being recorded, if there is nothing to recover, or if a file cannot be read or written.
pub fn recover(folder: &Path) -> Result<RecoverReport, TakeError> {
    recover_with_progress(folder, &mut |_| true)
}

/// Like [`recover`]. `progress` is called repeatedly with the fraction that is done, 0 to 1; the recovery is cancelled when it
/// returns false. [control thread]
///
/// # Errors
/// The errors of [`recover`]; [`TakeError::Cancelled`].
pub fn recover_with_progress(folder: &Path, progress: &mut dyn FnMut(f64) -> bool) -> Result<RecoverReport, TakeError> {
    let cannot_recover = |what: &str| TakeError::CannotRecover { folder: folder.into(), what: what.into() };
    let still_recorded = || cannot_recover("it is being recorded; stop that first");
    if is_locked(folder) == Some(true) {
        return Err(still_recorded());
    }
    let mut notes = Vec::new();
    let has_manifest = folder.join(FILE).exists();
    let mut manifest = if has_manifest {
        Manifest::load(folder)?
    } else {
        rebuild_manifest(folder)?.ok_or_else(|| cannot_recover("there is no take.json and no stem to recover"))?
    };
    if manifest.state != TakeState::Recording {
        return Err(TakeError::Finished { folder: folder.into() });
    }
    // Until it is dropped, the lock keeps other programs away. The room that its file reserved is needed now, so the file is
    // emptied.
    let reserve = folder.join(RESERVE_FILE);
    let failed = |e| TakeError::io("open", &reserve, e);
    let lock = OpenOptions::new().write(true).create(true).truncate(false).open(&reserve).map_err(failed)?;
    if let Err(TryLockError::WouldBlock) = lock.try_lock() {
        return Err(still_recorded());
    }
    lock.set_len(0).map_err(failed)?;
    let parts = manifest.stems.iter().map(|stem| stem.parts.len()).max().unwrap_or(0);
    let mut total_frames = 0;
    let mut part = 0;
    for _ in 0..parts {
        let frames = recover_part(folder, &mut manifest, part, total_frames, &mut notes)?;
        total_frames += frames;
        // A part without frames, unless it is the first, has been removed: the next part has its index now.
        part += usize::from(frames > 0 || part == 0);
    }
    manifest.frames = total_frames;
    manifest.gaps.retain_mut(|gap| {
        gap.frames = gap.frames.min(total_frames.saturating_sub(gap.position));
        gap.frames > 0
    });
    manifest.markers.retain(|marker| marker.position <= total_frames);
    manifest.changes.retain(|change| change.position <= total_frames);
    // The cue points of all files need the final gaps.
    finish_files(folder, &mut manifest, progress)?;
    manifest.state = TakeState::Recovered;
    manifest.ended = "cut off, and recovered".into();
    manifest.unknown.clear();
    if !has_manifest {
        manifest.unknown.push(UnknownSpan { position: 0, frames: total_frames, reason: NO_MANIFEST.into() });
    }
    manifest.add_unknown_end();
    notes.extend(manifest.unknown.iter().map(|unknown| format!("not known: {}", unknown.reason)));
    manifest.save(folder).map_err(|e| TakeError::io("write", &folder.join(FILE), e))?;
    drop(lock);
    for file in [reserve, folder.join(NEW_FILE)] {
        let _ = fs::remove_file(file);
    }
    Ok(RecoverReport { manifest, notes })
}

/// Brings all files of a part, counted from 0, to one length. The part begins at frame `first_frame` of the take. Returns its
/// length.
fn recover_part(
    folder: &Path,
    manifest: &mut Manifest,
    part: usize,
    first_frame: u64,
    notes: &mut Vec<String>,
) -> Result<u64, TakeError> {
    let mut files = Vec::new();
    for index in 0..manifest.stems.len() {
        let stem = &manifest.stems[index];
        let Some(entry) = stem.parts.get(part) else { continue };
        files.push((index, open_file(folder, manifest, Some(stem), entry, first_frame)?));
    }
    let all_channels = match manifest.interleaved.get(part) {
        Some(entry) => Some(open_file(folder, manifest, None, entry, first_frame)?),
        None => None,
    };
    let frames = files.iter().map(|(_, file)| file.header.frames_present()).max().unwrap_or(0);
    if frames == 0 && part > 0 {
        let entries = manifest.stems.iter_mut().map(|stem| &mut stem.parts).chain([&mut manifest.interleaved]);
        for parts in entries.filter(|parts| parts.len() > part) {
            let path = folder.join(parts.remove(part).file);
            fs::remove_file(&path).map_err(|e| TakeError::io("remove", &path, e))?;
        }
        return Ok(0);
    }
    for (index, file) in files {
        let present = file.header.frames_present();
        let failed = |e| TakeError::io("write", &file.path, e);
        let mut writer = WavWriter::resume(file.file, &file.header, present).map_err(failed)?;
        append_silence(&mut writer, frames - present, manifest.format.bytes()).map_err(failed)?;
        writer.refresh().map_err(failed)?;
        let stem = &mut manifest.stems[index];
        if present < frames {
            notes.push(format!(
                "{}: {} frames ({:.3} s) were not yet written; they are silence",
                stem.parts[part].file,
                frames - present,
                (frames - present) as f64 / f64::from(manifest.sample_rate)
            ));
            manifest.gaps.push(Gap {
                position: first_frame + present,
                frames: frames - present,
                stem: Some(stem.number),
                reason: CUT_OFF.into(),
            });
        }
        stem.parts[part].frames = frames;
    }
    if let Some(file) = all_channels {
        let failed = |e| TakeError::io("write", &file.path, e);
        let present = file.header.frames_present().min(frames);
        let mut writer = WavWriter::resume(file.file, &file.header, present).map_err(failed)?;
        append_interleaved(folder, manifest, part, present, frames, &mut writer).map_err(failed)?;
        writer.refresh().map_err(failed)?;
        manifest.interleaved[part].frames = frames;
    }
    Ok(frames)
}

/// An open file of an unfinished take.
struct UnfinishedFile {
    path: PathBuf,
    file: File,
    header: WavHeader,
}

/// Opens a part of a stem or, without a stem, of the file with all channels; a file without a header gets one. The part begins at
/// frame `first_frame` of the take.
fn open_file(
    folder: &Path,
    manifest: &Manifest,
    stem: Option<&Stem>,
    part: &FilePart,
    first_frame: u64,
) -> Result<UnfinishedFile, TakeError> {
    let path = folder.join(&part.file);
    if parse_file_name(&part.file).is_none() || part.file.contains(['/', '\\']) {
        return Err(TakeError::CannotRecover { folder: folder.into(), what: format!("'{}' is no name of a stem", part.file) });
    }
    let failed = |e| TakeError::io("open", &path, e);
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
    let expected = wav_metadata(manifest, stem, first_frame);
    let mut header = WavHeader::read(&mut file);
    // The header is written before any sound: a file that is not longer than the header holds none.
    if header.is_err() && file.metadata().map_err(failed)?.len() <= expected.header_bytes() {
        file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0))).map_err(failed)?;
        file = WavWriter::new(file, &expected).map_err(failed)?.into_file();
        header = WavHeader::read(&mut file);
    }
    let unusable = |what: String| TakeError::CannotRecover { folder: folder.into(), what: format!("{}: {what}", part.file) };
    let header = header.map_err(|e| unusable(e.to_string()))?;
    let found = &header.metadata;
    if (found.sample_rate, found.channels, found.format) != (expected.sample_rate, expected.channels, expected.format) {
        return Err(unusable(format!("it is {} x {} at {} Hz", found.channels, found.format, found.sample_rate)));
    }
    Ok(UnfinishedFile { path, file, header })
}

/// Appends `frames` frames of silence.
fn append_silence(writer: &mut WavWriter<File>, frames: u64, frame_bytes: usize) -> io::Result<()> {
    let zeros = vec![0; to_usize(frames.min(CHUNK_FRAMES)) * frame_bytes];
    let mut left = frames;
    while left > 0 {
        let n = left.min(CHUNK_FRAMES);
        writer.append(&zeros[..to_usize(n) * frame_bytes])?;
        left -= n;
    }
    Ok(())
}

/// Appends the frames `from` to `to` of a part of all stems to the file with all channels.
fn append_interleaved(
    folder: &Path,
    manifest: &Manifest,
    part: usize,
    from: u64,
    to: u64,
    writer: &mut WavWriter<File>,
) -> io::Result<()> {
    let (bytes, channels) = (manifest.format.bytes(), manifest.stems.len());
    let mut at = from;
    while at < to {
        let n = to_usize((to - at).min(CHUNK_FRAMES));
        let mut out = vec![0; n * channels * bytes];
        let mut samples = vec![0; n * bytes];
        for (index, stem) in manifest.stems.iter().enumerate() {
            // A stem without this part stays silent.
            let Some(part) = stem.parts.get(part) else { continue };
            let mut file = File::open(folder.join(&part.file))?;
            let header = WavHeader::read(&mut file).map_err(io::Error::other)?;
            file.seek(SeekFrom::Start(header.data_start + at * bytes as u64))?;
            file.read_exact(&mut samples)?;
            for (frame, sample) in out[index * bytes..].chunks_mut(channels * bytes).zip(samples.chunks_exact(bytes)) {
                frame[..bytes].copy_from_slice(sample);
            }
        }
        writer.append(&out)?;
        at += n as u64;
    }
    Ok(())
}

/// Writes the final headers and trailing chunks of all files, and their checksums into the manifest.
fn finish_files(folder: &Path, manifest: &mut Manifest, progress: &mut dyn FnMut(f64) -> bool) -> Result<(), TakeError> {
    let stems = manifest.stems.len();
    let stem_bytes = manifest.frames * stems as u64 * manifest.format.bytes() as u64;
    let total_bytes = stem_bytes * if manifest.interleaved.is_empty() { 1 } else { 2 };
    let mut done = 0;
    let mut on_read = |bytes: usize| {
        done += bytes as u64;
        progress(done as f64 / total_bytes.max(1) as f64)
    };
    for index in 0..=stems {
        let parts = if index < stems { &manifest.stems[index].parts } else { &manifest.interleaved };
        let (mut first_frame, mut checksums) = (0, Vec::new());
        for part in parts {
            let path = folder.join(&part.file);
            let failed = |e| TakeError::io("finish", &path, e);
            let mut file = OpenOptions::new().read(true).write(true).open(&path).map_err(failed)?;
            let header = WavHeader::read(&mut file).map_err(io::Error::other).map_err(failed)?;
            let checksum = checksum(&mut file, &header, part.frames, &mut on_read).map_err(failed)?;
            checksums.push(checksum.ok_or_else(|| TakeError::Cancelled { folder: folder.into() })?);
            let mut writer = WavWriter::resume(file, &header, part.frames).map_err(failed)?;
            let cues = cue_points(manifest, first_frame, part.frames);
            let trailing = trailing_chunks(&ixml(manifest, manifest.stems.get(index)), &cues);
            writer.finish(&trailing).and_then(|()| writer.sync()).map_err(failed)?;
            first_frame += part.frames;
        }
        let parts = if index < stems { &mut manifest.stems[index].parts } else { &mut manifest.interleaved };
        for (part, checksum) in parts.iter_mut().zip(checksums) {
            part.sha256 = Some(checksum);
        }
    }
    Ok(())
}

/// SHA-256 of a file's first `frames` frames. `on_read` is called with the number of bytes of each chunk; `None` if it returns
/// false.
fn checksum(
    file: &mut File,
    header: &WavHeader,
    frames: u64,
    on_read: &mut dyn FnMut(usize) -> bool,
) -> io::Result<Option<String>> {
    file.seek(SeekFrom::Start(header.data_start))?;
    let frame_bytes = header.metadata.frame_bytes();
    let mut hash = Sha256::new();
    let mut bytes = vec![0; to_usize(frames.min(CHUNK_FRAMES)) * frame_bytes];
    let mut left = frames;
    while left > 0 {
        let n = left.min(CHUNK_FRAMES);
        let bytes = &mut bytes[..to_usize(n) * frame_bytes];
        file.read_exact(bytes)?;
        hash.update(&*bytes);
        left -= n;
        if !on_read(bytes.len()) {
            return Ok(None);
        }
    }
    Ok(Some(hex(&hash.finalize())))
}

/// Makes a manifest from the files' names and headers alone; `None` if there is no stem.
fn rebuild_manifest(folder: &Path) -> Result<Option<Manifest>, TakeError> {
    let entries = fs::read_dir(folder).map_err(|e| TakeError::io("read", folder, e))?;
    let mut names: Vec<String> = entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    let mut found = Vec::new();
    for file in &names {
        let Some((number, name, part)) = parse_file_name(file) else { continue };
        found.push(if part == 1 || names.contains(&file_name(number, name, 1)) {
            (number, name, part, file)
        } else {
            // Without a first part, ` part 2` belongs to the stem's name.
            let name = file.strip_suffix(".wav").and_then(|file| file.split_once(' ')).map_or(name, |(_, name)| name);
            (number, name, 1, file)
        });
    }
    found.sort_by_key(|(number, _, part, _)| (*number, *part));
    let mut headers = found.iter().filter_map(|(.., file)| WavHeader::read(&mut File::open(folder.join(file)).ok()?).ok());
    let Some(WavHeader { metadata, .. }) = headers.next() else { return Ok(None) };
    let folder_name = folder.file_name().unwrap_or_default().to_string_lossy();
    let mut manifest = Manifest {
        version: VERSION,
        program: PROGRAM.into(),
        id: metadata.reference,
        state: TakeState::Recording,
        name: folder_name.split_once(' ').map_or(&*folder_name, |(_, name)| name).into(),
        source: String::new(),
        asked: String::new(),
        granted: String::new(),
        sample_rate: metadata.sample_rate,
        format: metadata.format,
        conversion: String::new(),
        started: format!("{}T{}", metadata.date, metadata.time),
        time_reference: metadata.time_reference,
        frames: 0,
        pre_roll_frames: 0,
        stretched: 0,
        gaps: Vec::new(),
        markers: Vec::new(),
        changes: Vec::new(),
        unknown: Vec::new(),
        stems: Vec::new(),
        interleaved: Vec::new(),
        ended: String::new(),
        error: None,
    };
    for (number, name, _, file) in found {
        let part = FilePart { file: file.clone(), frames: 0, sha256: None };
        if number == ALL_CHANNELS.0 {
            manifest.interleaved.push(part);
        } else if let Some(stem) = manifest.stems.iter_mut().find(|stem| stem.number == number) {
            stem.parts.push(part);
        } else {
            let parts = vec![part];
            manifest.stems.push(Stem { number, channel: number, name: name.into(), desk: None, overs: 0, nans: 0, parts });
        }
    }
    Ok((!manifest.stems.is_empty()).then_some(manifest))
}
