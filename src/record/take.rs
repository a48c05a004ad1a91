//! [`Take`]: a take that is being written. All functions: [disk thread]; [`Take::create`] also: [control thread]

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Local};
use sha2::{Digest, Sha256};

use super::block_view::BlockView;
use super::file_name::file_name;
use super::file_system::FileSystem;
use super::manifest::{FILE, FilePart, Gap, Manifest, Marker, StemChange, TakeState, hex};
use super::metadata::{ALL_CHANNELS, cue_points, ixml, wav_metadata};
use super::output_file::{BATCH_FRAMES, OutputFile, interleave};
use super::pcm::{ConversionCounts, Converter};
use super::settings::RecorderSettings;
use super::wav::{WavWriter, trailing_chunks};
use super::{TakeError, to_usize};
use crate::source::SourceChange;

/// Name of the file that reserves room on the disk for the headers and the manifest, which must be written even when the disk is
/// full.
pub const RESERVE_FILE: &str = ".reserve";
/// Reserved bytes for the manifest.
const RESERVE_BYTES: usize = 64 * 1024;
/// Reserved bytes for the chunks after the sound of each file.
const RESERVE_BYTES_PER_FILE: usize = 4096;

/// A take that is being written: its folder, its open files, the frames that are gathered for them, and its manifest.
pub struct Take {
    folder: PathBuf,
    manifest: Manifest,
    converter: Converter,
    /// The stems' files, then the file with all channels if there is one.
    files: Vec<OutputFile>,
    /// Frames in the batches, which are in no file yet.
    batch_frames: usize,
    /// Number of the current part, from 1.
    part: usize,
    /// Frames in the files of the current part.
    part_frames: u64,
    /// Length of a part in frames, if the files are split.
    split_frames: Option<u64>,
    hashes: bool,
    /// True if the manifest has changed since it was saved.
    dirty: bool,
    /// [`RESERVE_FILE`], locked for as long as the take is written.
    reserve: Option<fs::File>,
}

impl Take {
    /// Creates the folder, the manifest and the first files. If a folder of this name exists, the name gets a number.
    ///
    /// # Errors
    /// The system's error; the folder is removed then.
    pub fn create(
        settings: &RecorderSettings,
        file_system: &dyn FileSystem,
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
        let begun = take.reserve().and_then(|()| take.open_part(file_system));
        if let Err(error) = begun {
            take.files.clear();
            take.reserve = None;
            // The folder holds nothing else: `create_dir` above has created it.
            let _ = fs::remove_dir_all(&take.folder);
            return Err(error);
        }
        Ok(take)
    }

    fn new(settings: &RecorderSettings, folder: PathBuf, started: DateTime<Local>, pre_roll_frames: u64) -> Self {
        let converter = Converter::new(settings.word_format, settings.format);
        let manifest = Manifest::new(settings, converter.instruction_set(), started, pre_roll_frames);
        let file = |channels: usize| OutputFile::new(channels * settings.format.bytes());
        let mut files: Vec<OutputFile> = settings.channels.iter().map(|_| file(1)).collect();
        if settings.interleaved {
            files.push(file(settings.channels.len()));
        }
        let split_frames = settings.split_seconds.map(|seconds| settings.frames(seconds).max(1));
        let hashes = settings.hashes;
        Self {
            folder,
            manifest,
            converter,
            files,
            batch_frames: 0,
            part: 1,
            part_frames: 0,
            split_frames,
            hashes,
            dirty: false,
            reserve: None,
        }
    }

    /// The take's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The manifest so far; its `frames` are those in the files.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Length so far in frames, those in the batches included.
    pub fn frames(&self) -> u64 {
        self.manifest.frames + self.batch_frames as u64
    }

    /// Appends `n` frames of `view`, starting at frame `from`.
    ///
    /// # Errors
    /// The system's error. The take must be finished then: [`Self::finish`] makes all files of one length.
    pub fn append(&mut self, file_system: &dyn FileSystem, view: &BlockView<'_>, from: usize, n: usize) -> Result<(), TakeError> {
        let stems = self.manifest.stems.len();
        let mut done = 0;
        while done < n {
            if self.files.iter().any(|file| file.writer.is_none()) {
                self.open_part(file_system)?;
            }
            let mut m = (n - done).min(BATCH_FRAMES - self.batch_frames);
            if let Some(split) = self.split_frames {
                let left = split - (self.part_frames + self.batch_frames as u64);
                m = m.min(to_usize(left));
            }
            for (channel, file) in self.files[..stems].iter_mut().enumerate() {
                let bytes = file.frame_bytes;
                let out = &mut file.batch[self.batch_frames * bytes..(self.batch_frames + m) * bytes];
                file.counts += view.convert(&self.converter, channel, from + done, out);
            }
            self.batch_frames += m;
            done += m;
            if self.batch_frames == BATCH_FRAMES {
                self.flush()?;
            }
            if self.split_frames == Some(self.part_frames + self.batch_frames as u64) {
                self.flush()?;
                self.close_part(false)?;
                self.part += 1;
                self.part_frames = 0;
            }
        }
        Ok(())
    }

    /// Lists a gap of `frames` frames in the manifest and appends its silence.
    ///
    /// # Errors
    /// The errors of [`Self::append`].
    pub fn append_gap(&mut self, file_system: &dyn FileSystem, frames: u64, reason: &str) -> Result<(), TakeError> {
        self.list_gap(self.frames(), frames, reason);
        // Saved before the silence is written: after a crash in between, unlisted silence would pass for sound.
        self.save()?;
        let silence = vec![0; self.manifest.stems.len() * BATCH_FRAMES];
        let view = BlockView::planar(&silence, self.manifest.stems.len(), BATCH_FRAMES);
        let mut left = frames;
        while left > 0 {
            let n = left.min(BATCH_FRAMES as u64);
            self.append(file_system, &view, 0, to_usize(n))?;
            left -= n;
        }
        Ok(())
    }

    /// Lists a gap whose silence the caller appends. A gap that continues the last one with the same reason extends it.
    pub fn list_gap(&mut self, position: u64, frames: u64, reason: &str) {
        self.dirty = true;
        if let Some(last) = self.manifest.gaps.last_mut()
            && (last.position + last.frames, last.stem, last.reason.as_str()) == (position, None, reason)
        {
            last.frames += frames;
            return;
        }
        self.manifest.gaps.push(Gap { position, frames, stem: None, reason: reason.into() });
    }

    /// Adds a marker at frame `position` of the take; without a name it gets a number.
    pub fn mark(&mut self, position: u64, name: Option<String>) {
        let name = name.unwrap_or_else(|| format!("Marker {}", self.manifest.markers.len() + 1));
        self.manifest.markers.push(Marker { position, name });
        self.dirty = true;
    }

    /// Lists a change of a source channel at frame `position` of the take, for each stem of the channel. The list is in the order
    /// of the frames.
    pub fn add_change(&mut self, position: u64, since: Option<u64>, change: &SourceChange) {
        let stems = self.manifest.stems.iter().filter(|stem| stem.channel == change.source_channel + 1).map(|stem| stem.number);
        let listed = stems.map(|stem| StemChange {
            position,
            since: since.filter(|since| *since < position),
            stem,
            what: change.what.into(),
            from: change.from.clone(),
            to: change.to.clone(),
        });
        // A late report can be of an earlier frame than those that are listed.
        let place = self.manifest.changes.partition_point(|earlier| earlier.position <= position);
        self.manifest.changes.splice(place..place, listed.collect::<Vec<_>>());
        self.dirty = true;
    }

    /// Sets the number of times that the ring was stretched during this take.
    pub fn set_stretched(&mut self, times: u64) {
        self.dirty |= self.manifest.stretched != times;
        self.manifest.stretched = times;
    }

    /// Writes the batches and the files' headers, and the manifest if it has changed. With `sync` the sound is flushed to the
    /// disk before the headers are written.
    ///
    /// # Errors
    /// The errors of [`Self::append`].
    pub fn refresh(&mut self, sync: bool) -> Result<(), TakeError> {
        self.flush()?;
        let folder = &self.folder;
        for writer in self.files.iter_mut().filter_map(|file| file.writer.as_mut()) {
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

    /// Finishes the take and returns folder and manifest; `ended` becomes [`Manifest::ended`]. With an `error`, or if the last
    /// frames cannot be written, all files are cut to the last batch that all of them have.
    pub fn finish(mut self, ended: &str, error: Option<TakeError>) -> (PathBuf, Manifest) {
        let mut error = error.or_else(|| self.flush().err());
        let cut = error.is_some();
        // Emptying the file frees its room; its lock is held until the manifest says that the take is finished.
        if let Some(reserve) = &self.reserve {
            let _ = reserve.set_len(0);
        }
        if cut {
            self.batch_frames = 0;
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
        self.manifest.state = TakeState::Finished;
        self.manifest.ended = ended.into();
        let seconds = self.manifest.seconds();
        let text = |e: &TakeError| format!("{e}; the take is {seconds:.3} s long and whole up to there");
        self.manifest.error = error.as_ref().map(text);
        if let Err(unsaved) = self.save() {
            self.manifest.error.get_or_insert_with(|| text(&unsaved));
        }
        self.reserve = None;
        let _ = fs::remove_file(self.folder.join(RESERVE_FILE));
        (self.folder, self.manifest)
    }

    /// Writes the batches into the files.
    fn flush(&mut self) -> Result<(), TakeError> {
        let n = self.batch_frames;
        if n == 0 {
            return Ok(());
        }
        let stems = self.manifest.stems.len();
        let (stem_files, all_channels) = self.files.split_at_mut(stems);
        for file in all_channels {
            interleave(stem_files, n, &mut file.batch);
        }
        for file in &mut self.files {
            let bytes = &file.batch[..n * file.frame_bytes];
            if let Some(writer) = &mut file.writer {
                writer.append(bytes).map_err(|e| TakeError::io("write", &self.folder, e))?;
            }
        }
        // The batch counts only now that all files have it.
        for file in self.files.iter_mut().filter(|_| self.hashes) {
            file.hash.update(&file.batch[..n * file.frame_bytes]);
        }
        for (stem, file) in self.manifest.stems.iter_mut().zip(&mut self.files) {
            let counts = std::mem::take(&mut file.counts);
            stem.overs += counts.overs;
            stem.nans += counts.nans;
            self.dirty |= counts != ConversionCounts::default();
        }
        self.manifest.frames += n as u64;
        self.part_frames += n as u64;
        self.batch_frames = 0;
        Ok(())
    }

    /// Opens the files of the current part and lists them in the manifest.
    fn open_part(&mut self, file_system: &dyn FileSystem) -> Result<(), TakeError> {
        let manifest = &mut self.manifest;
        let numbers_and_names = manifest.stems.iter().map(|stem| (stem.number, stem.name.as_str())).chain([ALL_CHANNELS]);
        let names: Vec<String> = numbers_and_names.map(|(number, name)| file_name(number, name, self.part)).collect();
        let part = |name: &String| FilePart { file: name.clone(), frames: 0, sha256: None };
        for (stem, name) in manifest.stems.iter_mut().zip(&names) {
            stem.parts.push(part(name));
        }
        if self.files.len() > manifest.stems.len() {
            manifest.interleaved.extend(names.last().map(part));
        }
        // Saved before the files are created, so that the manifest names every file that a crash leaves.
        self.save()?;
        for (index, (file, name)) in self.files.iter_mut().zip(&names).enumerate() {
            let path = self.folder.join(name);
            let failed = |e| TakeError::io("create", &path, e);
            let new_file = file_system.create(&path).map_err(failed)?;
            let metadata = wav_metadata(&self.manifest, self.manifest.stems.get(index), self.manifest.frames);
            file.writer = Some(WavWriter::new(new_file, &metadata).map_err(failed)?);
            file.hash = Sha256::new();
        }
        Ok(())
    }

    /// Completes the files of the current part. If `cut` is true, some may be longer than others, and the disk may be full.
    fn close_part(&mut self, cut: bool) -> Result<(), TakeError> {
        let (part, frames, stems) = (self.part, self.part_frames, self.manifest.stems.len());
        let first_frame = self.manifest.frames - frames;
        let cues = cue_points(&self.manifest, first_frame, frames);
        let mut first_error = None;
        if cut {
            // All files are cut first: that makes each of them playable, and frees room for the chunks after the sound.
            for writer in self.files.iter_mut().filter_map(|file| file.writer.as_mut()) {
                if let Err(e) = writer.truncate(frames).and_then(|()| writer.refresh()) {
                    first_error.get_or_insert(TakeError::io("finish", &self.folder, e));
                }
            }
        }
        for (index, file) in self.files.iter_mut().enumerate() {
            let Some(mut writer) = file.writer.take() else { continue };
            let hash = std::mem::take(&mut file.hash);
            let trailing = trailing_chunks(&ixml(&self.manifest, self.manifest.stems.get(index)), &cues);
            if let Err(e) = writer.finish(&trailing) {
                first_error.get_or_insert(TakeError::io("finish", &self.folder, e));
                // The file is left without the chunks after the sound.
                let _ = writer.truncate(frames).and_then(|()| writer.refresh());
            }
            let _ = writer.sync();
            let parts = if index < stems { &mut self.manifest.stems[index].parts } else { &mut self.manifest.interleaved };
            if let Some(entry) = parts.last_mut() {
                entry.frames = frames;
                entry.sha256 = self.hashes.then(|| hex(&hash.finalize()));
            }
        }
        if frames == 0 && part > 1 {
            // The part never got a frame, so its files go. Files that could not be created are listed as well.
            for parts in self.manifest.stems.iter_mut().map(|s| &mut s.parts).chain([&mut self.manifest.interleaved]) {
                if parts.len() == part {
                    let _ = parts.pop().map(|part| fs::remove_file(self.folder.join(part.file)));
                }
            }
        }
        self.dirty = true;
        first_error.map_or(Ok(()), Err)
    }

    /// Saves the manifest.
    fn save(&mut self) -> Result<(), TakeError> {
        self.dirty = false;
        self.manifest.save(&self.folder).map_err(|e| TakeError::io("write", &self.folder.join(FILE), e))
    }

    /// Creates and locks [`RESERVE_FILE`].
    fn reserve(&mut self) -> Result<(), TakeError> {
        let path = self.folder.join(RESERVE_FILE);
        let bytes = vec![0; RESERVE_BYTES + RESERVE_BYTES_PER_FILE * self.files.len()];
        let made = fs::File::create_new(&path).and_then(|mut file| file.write_all(&bytes).map(|()| file));
        let file = made.map_err(|e| TakeError::io("create", &path, e))?;
        // On a file system without locks, `recover` cannot refuse a take that is still being recorded.
        let _ = file.try_lock();
        self.reserve = Some(file);
        Ok(())
    }
}
