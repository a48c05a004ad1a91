//! Making a take whole that a crash left behind.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::TakeError;
use super::describe::{ALL, cues, description, ixml};
use super::manifest::{FILE, Gap, Manifest, NEW_FILE, PROGRAM, Part, State, Stem, Unknown, VERSION, hex};
use super::name::{file_name, parse_file_name};
use super::take::RESERVE_FILE;
use super::wav::{Header, WavWriter, tail};

/// Frames that are read or written at a time.
const CHUNK_FRAMES: u64 = 65_536;
/// Why a stem lacks frames that others have.
const CUT_OFF: &str = "not yet written when the recording was cut off";
/// What only a manifest says.
const NO_MANIFEST: &str = "source, markers, gaps, overs and NaNs, for the manifest was gone";

/// What [`recover`] made.
#[derive(Clone, Debug)]
pub struct Recovered {
    pub manifest: Manifest,
    /// A line for everything that is missing or not known.
    pub notes: Vec<String>,
}

/// Whether a program records the take in `folder`, or recovers it; none if the file system has no locks.
fn is_held(folder: &Path) -> Option<bool> {
    let Ok(file) = File::open(folder.join(RESERVE_FILE)) else { return Some(false) };
    match file.try_lock() {
        Ok(()) => Some(false),
        Err(TryLockError::WouldBlock) => Some(true),
        Err(TryLockError::Error(_)) => None,
    }
}

/// The takes in `folder` that were left unfinished and that no program records or recovers now, by name. [control thread: reads every
/// manifest]
#[must_use]
pub fn unfinished(folder: &Path) -> Vec<PathBuf> {
    let is_unfinished = |take: &Path| Manifest::state_in(take) == Some(State::Recording);
    // Once more behind the lock: a take that ended meanwhile is finished before its lock goes.
    let is_left = |take: &PathBuf| is_unfinished(take) && is_held(take) == Some(false) && is_unfinished(take);
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut takes: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_left).collect();
    takes.sort();
    takes
}

/// What a user is told of a take that [`unfinished`] found, in one line. [any thread]
#[must_use]
pub fn unfinished_text(take: &Path) -> String {
    let name = take.file_name().unwrap_or_default().to_string_lossy();
    // As a shell takes it.
    let path = std::path::absolute(take).unwrap_or_else(|_| take.into()).display().to_string().replace('\'', "'\\''");
    format!("the take '{name}' is unfinished, as a crash left it; `isotherm recover '{path}'` makes it whole")
}

/// Makes the unfinished take in `folder` whole: every stem as long as the longest, by silence that is listed as a gap; headers, sums
/// and manifest as of a finished take, which says what is not known. No sound is cut away. It can be interrupted and called again.
/// [control thread: reads the whole take]
///
/// # Errors
/// If the take is finished, or still being recorded, or nothing is there to recover, or a file can be neither read nor written.
pub fn recover(folder: &Path) -> Result<Recovered, TakeError> {
    recover_while(folder, &mut |_| true)
}

/// As [`recover`], while `go_on` says so: it is told again and again which part is done, 0 to 1. [control thread]
///
/// # Errors
/// Those of [`recover`]; [`TakeError::CalledOff`].
pub fn recover_while(folder: &Path, go_on: &mut dyn FnMut(f64) -> bool) -> Result<Recovered, TakeError> {
    let no_take = |what: &str| TakeError::NoTake { folder: folder.into(), what: what.into() };
    let running = || no_take("it is being recorded; stop that first");
    if is_held(folder) == Some(true) {
        return Err(running());
    }
    let mut notes = Vec::new();
    let has_manifest = folder.join(FILE).exists();
    let mut manifest = if has_manifest {
        Manifest::load(folder)?
    } else {
        rebuild(folder)?.ok_or_else(|| no_take("there is no take.json and no stem to recover"))?
    };
    if manifest.state != State::Recording {
        return Err(TakeError::Finished { folder: folder.into() });
    }
    // From here on it is nobody else's; the room that the lock's file kept is needed now.
    let reserve = folder.join(RESERVE_FILE);
    let failed = |e| TakeError::io("open", &reserve, e);
    let lock = OpenOptions::new().write(true).create(true).truncate(false).open(&reserve).map_err(failed)?;
    if let Err(TryLockError::WouldBlock) = lock.try_lock() {
        return Err(running());
    }
    lock.set_len(0).map_err(failed)?;
    let parts = manifest.stems.iter().map(|stem| stem.parts.len()).max().unwrap_or(0);
    let mut first = 0;
    let mut part = 0;
    for _ in 0..parts {
        let frames = recover_part(folder, &mut manifest, part, first, &mut notes)?;
        first += frames;
        // A later part without a frame goes away.
        part += usize::from(frames > 0 || part == 0);
    }
    manifest.frames = first;
    manifest.gaps.retain_mut(|gap| {
        gap.frames = gap.frames.min(first.saturating_sub(gap.position));
        gap.frames > 0
    });
    manifest.markers.retain(|marker| marker.position <= first);
    manifest.changes.retain(|change| change.position <= first);
    // Once more, now that all gaps are known.
    finish(folder, &mut manifest, go_on)?;
    manifest.state = State::Recovered;
    manifest.ended = "cut off, and recovered".into();
    manifest.unknown.clear();
    if !has_manifest {
        manifest.unknown.push(Unknown { position: 0, frames: first, reason: NO_MANIFEST.into() });
    }
    manifest.end_is_unknown();
    notes.extend(manifest.unknown.iter().map(|unknown| format!("not known: {}", unknown.reason)));
    manifest.save(folder).map_err(|e| TakeError::io("write", &folder.join(FILE), e))?;
    drop(lock);
    for left in [reserve, folder.join(NEW_FILE)] {
        let _ = fs::remove_file(left);
    }
    Ok(Recovered { manifest, notes })
}

/// Brings all files of a part, counted from 0, to one length. Returns its frames.
fn recover_part(
    folder: &Path,
    manifest: &mut Manifest,
    part: usize,
    first: u64,
    notes: &mut Vec<String>,
) -> Result<u64, TakeError> {
    let mut files = Vec::new();
    for index in 0..manifest.stems.len() {
        let stem = &manifest.stems[index];
        let Some(entry) = stem.parts.get(part) else { continue };
        files.push((index, open(folder, manifest, Some(stem), entry, first)?));
    }
    let all = match manifest.interleaved.get(part) {
        Some(entry) => Some(open(folder, manifest, None, entry, first)?),
        None => None,
    };
    let frames = files.iter().map(|(_, left)| left.header.frames_there()).max().unwrap_or(0);
    if frames == 0 && part > 0 {
        let entries = manifest.stems.iter_mut().map(|stem| &mut stem.parts).chain([&mut manifest.interleaved]);
        for parts in entries.filter(|parts| parts.len() > part) {
            let path = folder.join(parts.remove(part).file);
            fs::remove_file(&path).map_err(|e| TakeError::io("remove", &path, e))?;
        }
        return Ok(0);
    }
    for (index, left) in files {
        let there = left.header.frames_there();
        let failed = |e| TakeError::io("write", &left.path, e);
        let mut writer = WavWriter::resume(left.file, &left.header, there).map_err(failed)?;
        silence(&mut writer, frames - there, manifest.format.bytes()).map_err(failed)?;
        writer.refresh().map_err(failed)?;
        let stem = &mut manifest.stems[index];
        if there < frames {
            notes.push(format!(
                "{}: {} frames ({:.3} s) were not yet written; they are silence",
                stem.parts[part].file,
                frames - there,
                (frames - there) as f64 / f64::from(manifest.sample_rate)
            ));
            manifest.gaps.push(Gap {
                position: first + there,
                frames: frames - there,
                stem: Some(stem.number),
                reason: CUT_OFF.into(),
            });
        }
        stem.parts[part].frames = frames;
    }
    if let Some(left) = all {
        let failed = |e| TakeError::io("write", &left.path, e);
        let there = left.header.frames_there().min(frames);
        let mut writer = WavWriter::resume(left.file, &left.header, there).map_err(failed)?;
        interleave(folder, manifest, part, there, frames, &mut writer).map_err(failed)?;
        writer.refresh().map_err(failed)?;
        manifest.interleaved[part].frames = frames;
    }
    Ok(frames)
}

/// A file that was left behind.
struct Left {
    path: PathBuf,
    file: File,
    header: Header,
}

/// Opens a file of the take; one that never got its header gets it now.
fn open(folder: &Path, manifest: &Manifest, stem: Option<&Stem>, part: &Part, first: u64) -> Result<Left, TakeError> {
    let path = folder.join(&part.file);
    if parse_file_name(&part.file).is_none() || part.file.contains(['/', '\\']) {
        return Err(TakeError::NoTake { folder: folder.into(), what: format!("'{}' is no name of a stem", part.file) });
    }
    let failed = |e| TakeError::io("open", &path, e);
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
    let expected = description(manifest, stem, first);
    let mut header = Header::read(&mut file);
    // The header is written at once: a file that is no longer than it holds no sound.
    if header.is_err() && file.metadata().map_err(failed)?.len() <= expected.header_bytes() {
        file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0))).map_err(failed)?;
        file = WavWriter::new(file, &expected).map_err(failed)?.into_medium();
        header = Header::read(&mut file);
    }
    let wrong = |what: String| TakeError::NoTake { folder: folder.into(), what: format!("{}: {what}", part.file) };
    let header = header.map_err(wrong)?;
    let found = &header.description;
    if (found.sample_rate, found.channels, found.format) != (expected.sample_rate, expected.channels, expected.format) {
        return Err(wrong(format!("it is {} x {} at {} Hz", found.channels, found.format, found.sample_rate)));
    }
    Ok(Left { path, file, header })
}

fn silence(writer: &mut WavWriter<File>, frames: u64, frame_bytes: usize) -> io::Result<()> {
    let zeros = vec![0; frames.min(CHUNK_FRAMES) as usize * frame_bytes];
    let mut left = frames;
    while left > 0 {
        let n = left.min(CHUNK_FRAMES);
        writer.append(&zeros[..n as usize * frame_bytes])?;
        left -= n;
    }
    Ok(())
}

/// Appends the frames from `from` to `to` of all stems to the file with all channels.
fn interleave(
    folder: &Path,
    manifest: &Manifest,
    part: usize,
    from: u64,
    to: u64,
    writer: &mut WavWriter<File>,
) -> io::Result<()> {
    let (bytes, width) = (manifest.format.bytes(), manifest.stems.len());
    let mut at = from;
    while at < to {
        let n = (to - at).min(CHUNK_FRAMES) as usize;
        let mut out = vec![0; n * width * bytes];
        let mut samples = vec![0; n * bytes];
        for (index, stem) in manifest.stems.iter().enumerate() {
            // A stem whose part is gone stays silent.
            let Some(part) = stem.parts.get(part) else { continue };
            let mut file = File::open(folder.join(&part.file))?;
            let header = Header::read(&mut file).map_err(io::Error::other)?;
            file.seek(SeekFrom::Start(header.data_start + at * bytes as u64))?;
            file.read_exact(&mut samples)?;
            for (place, sample) in out[index * bytes..].chunks_mut(width * bytes).zip(samples.chunks_exact(bytes)) {
                place[..bytes].copy_from_slice(sample);
            }
        }
        writer.append(&out)?;
        at += n as u64;
    }
    Ok(())
}

/// Completes all files and takes their sums.
fn finish(folder: &Path, manifest: &mut Manifest, go_on: &mut dyn FnMut(f64) -> bool) -> Result<(), TakeError> {
    let stems = manifest.stems.len();
    let stem_bytes = manifest.frames * stems as u64 * manifest.format.bytes() as u64;
    let all = stem_bytes * if manifest.interleaved.is_empty() { 1 } else { 2 };
    let mut done = 0;
    let mut read = |bytes: usize| {
        done += bytes as u64;
        go_on(done as f64 / all.max(1) as f64)
    };
    for index in 0..=stems {
        let parts = if index < stems { &manifest.stems[index].parts } else { &manifest.interleaved };
        let (mut first, mut sums) = (0, Vec::new());
        for part in parts {
            let path = folder.join(&part.file);
            let failed = |e| TakeError::io("finish", &path, e);
            let mut file = OpenOptions::new().read(true).write(true).open(&path).map_err(failed)?;
            let header = Header::read(&mut file).map_err(io::Error::other).map_err(failed)?;
            let sum = sum(&mut file, &header, part.frames, &mut read).map_err(failed)?;
            sums.push(sum.ok_or_else(|| TakeError::CalledOff { folder: folder.into() })?);
            let mut writer = WavWriter::resume(file, &header, part.frames).map_err(failed)?;
            let tail = tail(&ixml(manifest, manifest.stems.get(index)), &cues(manifest, first, part.frames));
            writer.finish(&tail).and_then(|()| writer.sync()).map_err(failed)?;
            first += part.frames;
        }
        let parts = if index < stems { &mut manifest.stems[index].parts } else { &mut manifest.interleaved };
        for (part, sum) in parts.iter_mut().zip(sums) {
            part.sha256 = Some(sum);
        }
    }
    Ok(())
}

/// None if `read`, which is told how many bytes were, says no.
fn sum(file: &mut File, header: &Header, frames: u64, read: &mut dyn FnMut(usize) -> bool) -> io::Result<Option<String>> {
    file.seek(SeekFrom::Start(header.data_start))?;
    let frame_bytes = header.description.frame_bytes();
    let mut hash = Sha256::new();
    let mut bytes = vec![0; frames.min(CHUNK_FRAMES) as usize * frame_bytes];
    let mut left = frames;
    while left > 0 {
        let n = left.min(CHUNK_FRAMES);
        let bytes = &mut bytes[..n as usize * frame_bytes];
        file.read_exact(bytes)?;
        hash.update(&*bytes);
        left -= n;
        if !read(bytes.len()) {
            return Ok(None);
        }
    }
    Ok(Some(hex(&hash.finalize())))
}

/// What the files alone tell; none if there are none.
fn rebuild(folder: &Path) -> Result<Option<Manifest>, TakeError> {
    let entries = fs::read_dir(folder).map_err(|e| TakeError::io("read", folder, e))?;
    let mut names: Vec<String> = entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    let mut found = Vec::new();
    for file in &names {
        let Some((number, name, part)) = parse_file_name(file) else { continue };
        found.push(if part == 1 || names.contains(&file_name(number, name, 1)) {
            (number, name, part, file)
        } else {
            // Without a first part it is the first, of a stem that is called so.
            let name = file.strip_suffix(".wav").and_then(|file| file.split_once(' ')).map_or(name, |(_, name)| name);
            (number, name, 1, file)
        });
    }
    found.sort_by_key(|(number, _, part, _)| (*number, *part));
    let mut headers = found.iter().filter_map(|(.., file)| Header::read(&mut File::open(folder.join(file)).ok()?).ok());
    let Some(Header { description, .. }) = headers.next() else { return Ok(None) };
    let folder_name = folder.file_name().unwrap_or_default().to_string_lossy();
    let mut manifest = Manifest {
        version: VERSION,
        program: PROGRAM.into(),
        id: description.reference,
        state: State::Recording,
        name: folder_name.split_once(' ').map_or(&*folder_name, |(_, name)| name).into(),
        source: String::new(),
        asked: String::new(),
        granted: String::new(),
        sample_rate: description.sample_rate,
        format: description.format,
        conversion: String::new(),
        started: format!("{}T{}", description.date, description.time),
        time_reference: description.time_reference,
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
        let part = Part { file: file.clone(), frames: 0, sha256: None };
        if number == ALL.0 {
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
