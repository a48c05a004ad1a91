//! A take that is being written. All of it: [disk thread]

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Local};
use sha2::{Digest, Sha256};

use super::TakeError;
use super::describe::{ALL, cues, description, ixml};
use super::disk::Disk;
use super::manifest::{Change, FILE, Gap, Manifest, Marker, Part, State, hex};
use super::name::file_name;
use super::pcm::{Converter, Counts};
use super::settings::Settings;
use super::track::{BATCH_FRAMES, Track, interleave};
use super::view::View;
use super::wav::{WavWriter, tail};
use crate::source::SourceChange;

/// The file that keeps room for what a take still needs to write when the disk is full.
pub const RESERVE_FILE: &str = ".reserve";
/// Its size: a manifest, and for each file what stands behind the sound.
const RESERVE_BYTES: usize = 64 * 1024;
const RESERVE_BYTES_PER_FILE: usize = 4096;

/// See the module.
pub struct Take {
    folder: PathBuf,
    manifest: Manifest,
    converter: Converter,
    /// The stems and, if it is wanted, the file with all channels.
    tracks: Vec<Track>,
    /// Frames in the batches.
    waiting: usize,
    /// From 1.
    part: usize,
    /// Frames in the files of this part.
    part_frames: u64,
    split_frames: Option<u64>,
    hashes: bool,
    /// The manifest on disk lacks something.
    dirty: bool,
    /// [`RESERVE_FILE`], locked for as long as the take is written.
    reserve: Option<fs::File>,
}

impl Take {
    /// Makes the folder, the manifest and the first files. A folder that exists is evaded by a number.
    ///
    /// # Errors
    /// The system's; then nothing is left.
    pub fn create(
        settings: &Settings,
        disk: &dyn Disk,
        started: DateTime<Local>,
        pre_roll_frames: u64,
    ) -> Result<Self, TakeError> {
        fs::create_dir_all(&settings.folder).map_err(|e| TakeError::io("create", &settings.folder, e))?;
        let base = format!("{} {}", started.format("%Y-%m-%dT%H-%M-%S"), settings.name);
        let mut number = 1;
        let folder = loop {
            let name = if number == 1 { base.clone() } else { format!("{base} {number}") };
            let folder = settings.folder.join(name);
            match fs::create_dir(&folder) {
                Ok(()) => break folder,
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => number += 1,
                Err(e) => return Err(TakeError::io("create", &folder, e)),
            }
        };
        let mut take = Self::new(settings, folder, started, pre_roll_frames);
        let begun = take.reserve().and_then(|()| take.open_part(disk));
        if let Err(error) = begun {
            take.tracks.clear();
            take.reserve = None;
            // Made a moment ago, by `create_dir`, which takes no folder that was there.
            let _ = fs::remove_dir_all(&take.folder);
            return Err(error);
        }
        Ok(take)
    }

    fn new(settings: &Settings, folder: PathBuf, started: DateTime<Local>, pre_roll_frames: u64) -> Self {
        let converter = Converter::new(settings.words, settings.format);
        let manifest = Manifest::begin(settings, converter.level(), started, pre_roll_frames);
        let track = |channels: usize| Track::new(channels * settings.format.bytes());
        let mut tracks: Vec<Track> = settings.channels.iter().map(|_| track(1)).collect();
        if settings.interleaved {
            tracks.push(track(settings.channels.len()));
        }
        let split_frames = settings.split_seconds.map(|s| ((s * f64::from(settings.sample_rate)).round() as u64).max(1));
        let hashes = settings.hashes;
        Self {
            folder,
            manifest,
            converter,
            tracks,
            waiting: 0,
            part: 1,
            part_frames: 0,
            split_frames,
            hashes,
            dirty: false,
            reserve: None,
        }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Frames so far, those in the batches included.
    pub fn frames(&self) -> u64 {
        self.manifest.frames + self.waiting as u64
    }

    /// Appends `n` frames of `view`, from frame `from` on.
    ///
    /// # Errors
    /// The system's; the take then holds what [`Self::finish`] makes of it.
    pub fn append(&mut self, disk: &dyn Disk, view: &View<'_>, from: usize, n: usize) -> Result<(), TakeError> {
        let stems = self.manifest.stems.len();
        let mut done = 0;
        while done < n {
            if self.tracks.iter().any(|track| track.writer.is_none()) {
                self.open_part(disk)?;
            }
            let mut m = (n - done).min(BATCH_FRAMES - self.waiting);
            if let Some(split) = self.split_frames {
                let left = split - (self.part_frames + self.waiting as u64);
                m = m.min(usize::try_from(left).unwrap_or(usize::MAX));
            }
            for (channel, track) in self.tracks[..stems].iter_mut().enumerate() {
                let bytes = track.frame_bytes;
                let out = &mut track.batch[self.waiting * bytes..(self.waiting + m) * bytes];
                track.counts += view.convert(&self.converter, channel, from + done, out);
            }
            self.waiting += m;
            done += m;
            if self.waiting == BATCH_FRAMES {
                self.flush()?;
            }
            if self.split_frames == Some(self.part_frames + self.waiting as u64) {
                self.flush()?;
                self.close_part(false)?;
                self.part += 1;
                self.part_frames = 0;
            }
        }
        Ok(())
    }

    /// Lists a gap and writes its silence.
    ///
    /// # Errors
    /// Those of [`Self::append`].
    pub fn lose(&mut self, disk: &dyn Disk, frames: u64, reason: &str) -> Result<(), TakeError> {
        self.note_gap(self.frames(), frames, reason);
        // First: silence that nobody lists would pass for sound.
        self.save()?;
        let silence = vec![0; self.manifest.stems.len() * BATCH_FRAMES];
        let view = View::planar(&silence, self.manifest.stems.len(), BATCH_FRAMES);
        let mut left = frames;
        while left > 0 {
            let n = left.min(BATCH_FRAMES as u64);
            self.append(disk, &view, 0, n as usize)?;
            left -= n;
        }
        Ok(())
    }

    /// Lists a gap whose silence is written by others; it may go on the last one.
    pub fn note_gap(&mut self, position: u64, frames: u64, reason: &str) {
        self.dirty = true;
        if let Some(last) = self.manifest.gaps.last_mut()
            && (last.position + last.frames, last.stem, last.reason.as_str()) == (position, None, reason)
        {
            last.frames += frames;
            return;
        }
        self.manifest.gaps.push(Gap { position, frames, stem: None, reason: reason.into() });
    }

    /// A marker; without a name it gets a number.
    pub fn mark(&mut self, position: u64, name: Option<String>) {
        let name = name.unwrap_or_else(|| format!("Marker {}", self.manifest.markers.len() + 1));
        self.manifest.markers.push(Marker { position, name });
        self.dirty = true;
    }

    /// What became different about a channel of the source: for each stem of it.
    pub fn change(&mut self, position: u64, since: Option<u64>, change: &SourceChange) {
        let stems = self.manifest.stems.iter().filter(|stem| stem.channel == change.source + 1).map(|stem| stem.number);
        self.manifest.changes.extend(stems.map(|stem| Change {
            position,
            since: since.filter(|since| *since < position),
            stem,
            what: change.what.into(),
            from: change.from.clone(),
            to: change.to.clone(),
        }));
        self.dirty = true;
    }

    /// Sets how often the buffer was stretched during this take.
    pub fn stretched(&mut self, times: u64) {
        self.dirty |= self.manifest.stretched != times;
        self.manifest.stretched = times;
    }

    /// Brings everything into the files and makes their headers say so; `sync` brings it to the disk before that.
    ///
    /// # Errors
    /// Those of [`Self::append`].
    pub fn refresh(&mut self, sync: bool) -> Result<(), TakeError> {
        self.flush()?;
        let folder = &self.folder;
        for writer in self.tracks.iter_mut().filter_map(|track| track.writer.as_mut()) {
            if sync {
                writer.sync().map_err(|e| TakeError::io("write", folder, e))?;
            }
            writer.refresh().map_err(|e| TakeError::io("write", folder, e))?;
        }
        if self.dirty {
            self.save()?;
        }
        Ok(())
    }

    /// Ends the take: with `error`, or if the last frames cannot be written, all files end with the last batch that all have.
    pub fn finish(mut self, ended: &str, error: Option<TakeError>) -> (PathBuf, Manifest) {
        let mut error = error.or_else(|| self.flush().err());
        let cut = error.is_some();
        // Its room is free at once; its lock holds until the manifest says that the take is finished.
        if let Some(reserve) = &self.reserve {
            let _ = reserve.set_len(0);
        }
        if cut {
            self.waiting = 0;
            let end = self.manifest.frames;
            self.manifest.gaps.retain_mut(|gap| {
                gap.frames = gap.frames.min(end.saturating_sub(gap.position));
                gap.frames > 0
            });
            self.manifest.markers.retain(|marker| marker.position <= end);
            self.manifest.changes.retain(|change| change.position <= end);
        }
        let closed = self.close_part(cut);
        error = error.or(closed.err());
        self.manifest.state = State::Finished;
        self.manifest.ended = ended.into();
        let seconds = self.manifest.seconds();
        let told = |e: &TakeError| format!("{e}; the take is {seconds:.3} s long and whole up to there");
        self.manifest.error = error.as_ref().map(told);
        if let Err(unsaved) = self.save() {
            self.manifest.error.get_or_insert_with(|| told(&unsaved));
        }
        self.reserve = None;
        let _ = fs::remove_file(self.folder.join(RESERVE_FILE));
        (self.folder, self.manifest)
    }

    /// Writes the batches into the files.
    fn flush(&mut self) -> Result<(), TakeError> {
        let n = self.waiting;
        if n == 0 {
            return Ok(());
        }
        let stems = self.manifest.stems.len();
        let (channels, all) = self.tracks.split_at_mut(stems);
        for track in all {
            interleave(channels, n, &mut track.batch);
        }
        for track in &mut self.tracks {
            let bytes = &track.batch[..n * track.frame_bytes];
            if let Some(writer) = &mut track.writer {
                writer.append(bytes).map_err(|e| TakeError::io("write", &self.folder, e))?;
            }
        }
        // Now all have it.
        for track in self.tracks.iter_mut().filter(|_| self.hashes) {
            track.hash.update(&track.batch[..n * track.frame_bytes]);
        }
        for (stem, track) in self.manifest.stems.iter_mut().zip(&mut self.tracks) {
            let counts = std::mem::take(&mut track.counts);
            stem.overs += counts.overs;
            stem.nans += counts.nans;
            self.dirty |= counts != Counts::default();
        }
        self.manifest.frames += n as u64;
        self.part_frames += n as u64;
        self.waiting = 0;
        Ok(())
    }

    fn open_part(&mut self, disk: &dyn Disk) -> Result<(), TakeError> {
        let manifest = &mut self.manifest;
        let named = manifest.stems.iter().map(|stem| (stem.number, stem.name.as_str())).chain([ALL]);
        let files: Vec<String> = named.map(|(number, name)| file_name(number, name, self.part)).collect();
        let part = |file: &String| Part { file: file.clone(), frames: 0, sha256: None };
        for (stem, file) in manifest.stems.iter_mut().zip(&files) {
            stem.parts.push(part(file));
        }
        if self.tracks.len() > manifest.stems.len() {
            manifest.interleaved.extend(files.last().map(part));
        }
        // First: whatever happens then, the manifest names every file.
        self.save()?;
        for (index, (track, file)) in self.tracks.iter_mut().zip(&files).enumerate() {
            let path = self.folder.join(file);
            let failed = |e| TakeError::io("create", &path, e);
            let medium = disk.create(&path).map_err(failed)?;
            let description = description(&self.manifest, self.manifest.stems.get(index), self.manifest.frames);
            track.writer = Some(WavWriter::new(medium, &description).map_err(failed)?);
            track.hash = Sha256::new();
        }
        Ok(())
    }

    /// Completes the files of this part. If `cut`, they may hold more than all of them do, and their disk may be full.
    fn close_part(&mut self, cut: bool) -> Result<(), TakeError> {
        let (part, frames, stems) = (self.part, self.part_frames, self.manifest.stems.len());
        let first = self.manifest.frames - frames;
        let cues = cues(&self.manifest, first, frames);
        let mut problem = None;
        if cut {
            // First: every file sound, whatever the room that this frees is enough for then.
            for writer in self.tracks.iter_mut().filter_map(|track| track.writer.as_mut()) {
                if let Err(e) = writer.cut(frames).and_then(|()| writer.refresh()) {
                    problem.get_or_insert(TakeError::io("finish", &self.folder, e));
                }
            }
        }
        for (index, track) in self.tracks.iter_mut().enumerate() {
            let Some(mut writer) = track.writer.take() else { continue };
            let hash = std::mem::take(&mut track.hash);
            let tail = tail(&ixml(&self.manifest, self.manifest.stems.get(index)), &cues);
            if let Err(e) = writer.finish(&tail) {
                problem.get_or_insert(TakeError::io("finish", &self.folder, e));
                // Without what stands behind the sound.
                let _ = writer.cut(frames).and_then(|()| writer.refresh());
            }
            let _ = writer.sync();
            let parts = if index < stems { &mut self.manifest.stems[index].parts } else { &mut self.manifest.interleaved };
            if let Some(entry) = parts.last_mut() {
                entry.frames = frames;
                entry.sha256 = self.hashes.then(|| hex(&hash.finalize()));
            }
        }
        if frames == 0 && part > 1 {
            // It never got a frame. A file of it that could not be made is listed, too.
            for parts in self.manifest.stems.iter_mut().map(|s| &mut s.parts).chain([&mut self.manifest.interleaved]) {
                if parts.len() == part {
                    let _ = parts.pop().map(|part| fs::remove_file(self.folder.join(part.file)));
                }
            }
        }
        self.dirty = true;
        problem.map_or(Ok(()), Err)
    }

    fn save(&mut self) -> Result<(), TakeError> {
        self.dirty = false;
        self.manifest.save(&self.folder).map_err(|e| TakeError::io("write", &self.folder.join(FILE), e))
    }

    fn reserve(&mut self) -> Result<(), TakeError> {
        let path = self.folder.join(RESERVE_FILE);
        let bytes = vec![0; RESERVE_BYTES + RESERVE_BYTES_PER_FILE * self.tracks.len()];
        let made = fs::File::create_new(&path).and_then(|mut file| file.write_all(&bytes).map(|()| file));
        let file = made.map_err(|e| TakeError::io("create", &path, e))?;
        // A file system without locks only lacks the warning.
        let _ = file.try_lock();
        self.reserve = Some(file);
        Ok(())
    }
}
