//! Files for plans: a source that reads a WAV file into a queue on a thread of its own, and a sink that writes one from a queue.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use super::{QueueReader, QueueWriter, queue};
use crate::audio::wav::{Reader, WavFormat, WriteSummary, Writer};
use crate::audio::{WavError, wav::NonFinitePolicy};

/// Frames that are read from or written to a file at a time.
const CHUNK_FRAMES: usize = 4096;
/// Frames that are read at a time from a stream of unknown length: it may be live, and its frames should not wait for others.
const LIVE_CHUNK_FRAMES: usize = 64;

/// State that a [`FileSource`] shares with its thread.
#[derive(Default)]
struct ReadProgress {
    /// Frames read so far.
    frames: AtomicU64,
    /// Set by the thread at its end.
    done: AtomicBool,
    /// Tells the thread to end.
    stop: AtomicBool,
    /// The error that ended the reading.
    error: OnceLock<WavError>,
    /// Notes of the reader that its end has added.
    late_notes: OnceLock<Vec<String>>,
}

/// A WAV file that a thread reads as fast as its queue is emptied. Dropping the source stops the thread.
pub struct FileSource {
    progress: Arc<ReadProgress>,
    sample_rate: u32,
    channels: usize,
    frames: u64,
    format: WavFormat,
    notes: Vec<String>,
}

impl FileSource {
    /// Opens a file and starts to read it into a queue of `buffer_frames`. [control thread]
    ///
    /// # Errors
    /// [`WavError`] if the file cannot be opened, its header cannot be read, or no thread can be started. [`Self::error`] has a
    /// later error.
    ///
    /// # Panics
    /// If `buffer_frames` is 0.
    pub fn open(path: &Path, non_finite: NonFinitePolicy, buffer_frames: usize) -> Result<(Self, QueueReader), WavError> {
        Self::from_reader(Reader::open(path)?.with_non_finite(non_finite), buffer_frames)
    }

    /// Starts to read an open file or stream into a queue of `buffer_frames`. [control thread]
    ///
    /// # Errors
    /// [`WavError`] if no thread can be started.
    ///
    /// # Panics
    /// If `buffer_frames` is 0.
    pub fn from_reader(mut reader: Reader, buffer_frames: usize) -> Result<(Self, QueueReader), WavError> {
        let path = reader.path().to_path_buf();
        let (mut writer, queue) = queue(reader.channels(), buffer_frames);
        let progress = Arc::new(ReadProgress::default());
        let source = Self {
            progress: progress.clone(),
            sample_rate: reader.sample_rate(),
            channels: reader.channels(),
            frames: reader.frames(),
            format: reader.format(),
            notes: reader.notes().to_vec(),
        };
        let noted = source.notes.len();
        let load = move || {
            let chunk = if reader.frames() == u64::MAX { LIVE_CHUNK_FRAMES } else { CHUNK_FRAMES };
            let mut buffers = vec![vec![0.0f32; chunk]; writer.channels()];
            while !progress.stop.load(Ordering::Relaxed) {
                let mut block: Vec<&mut [f32]> = buffers.iter_mut().map(Vec::as_mut_slice).collect();
                match reader.read_block(&mut block) {
                    Ok(0) => break,
                    Ok(n) => {
                        let block: Vec<&[f32]> = buffers.iter().map(|c| &c[..n]).collect();
                        let written = writer.write_all(&block);
                        progress.frames.fetch_add(written as u64, Ordering::Relaxed);
                        if written < n {
                            break;
                        }
                    }
                    Err(error) => {
                        let _ = progress.error.set(error);
                        break;
                    }
                }
            }
            let _ = progress.late_notes.set(reader.notes().get(noted..).unwrap_or(&[]).to_vec());
            // Set before the writer is dropped, so that a reader that sees the end of the queue also sees the error.
            progress.done.store(true, Ordering::Release);
            drop(writer);
        };
        let thread = std::thread::Builder::new().name("isotherm-file-source".into()).spawn(load);
        thread.map_err(|e| WavError::io("start a thread to read", &path, e))?;
        Ok((source, queue))
    }

    /// Sample rate of the file in hertz. [any thread]
    #[must_use]
    pub fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// Number of channels of the file. [any thread]
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Frames of the whole file; `u64::MAX` for a stream whose length is not known. [any thread]
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Sample format of the file. [any thread]
    #[must_use]
    pub fn format(&self) -> WavFormat {
        self.format
    }

    /// Oddities of the file; see [`Reader::notes`]. [any thread]
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Oddities that only the end of a stream has shown; empty as long as frames are read. [any thread]
    #[must_use]
    pub fn late_notes(&self) -> &[String] {
        self.progress.late_notes.get().map_or(&[], Vec::as_slice)
    }

    /// True until the last frame has been read, or the reading has failed. [any thread]
    #[must_use]
    pub fn is_loading(&self) -> bool {
        !self.progress.done.load(Ordering::Acquire)
    }

    /// Share of the file that has been read, 0 to 1. [any thread]
    #[must_use]
    pub fn progress(&self) -> f32 {
        if self.frames == 0 { 1.0 } else { (self.progress.frames.load(Ordering::Relaxed) as f64 / self.frames as f64) as f32 }
    }

    /// The error that ended the reading early, if one did. [any thread]
    #[must_use]
    pub fn error(&self) -> Option<&WavError> {
        self.progress.error.get()
    }
}

impl Drop for FileSource {
    fn drop(&mut self) {
        self.progress.stop.store(true, Ordering::Relaxed);
    }
}

/// A WAV file that a thread writes. [`FileSink::finish`] completes it under its name; without that, nothing is left of it.
pub struct FileSink {
    path: PathBuf,
    thread: JoinHandle<Result<WriteSummary, WavError>>,
    /// Tells the thread to keep the file at the end of the queue.
    keep: Arc<AtomicBool>,
}

impl FileSink {
    /// Creates the file and starts to write to it the frames of a queue of `buffer_frames`. [control thread]
    ///
    /// # Errors
    /// [`WavError`] if the file cannot be created, or no thread can be started.
    ///
    /// # Panics
    /// If `channels` or `buffer_frames` is 0.
    pub fn create(
        path: &Path,
        sample_rate: u32,
        channels: usize,
        format: WavFormat,
        buffer_frames: usize,
    ) -> Result<(Self, QueueWriter), WavError> {
        Self::from_writer(Writer::create(path, sample_rate, channels, format)?, buffer_frames)
    }

    /// Starts to write the frames of a queue of `buffer_frames` with a writer that has been made. [control thread]
    ///
    /// # Errors
    /// [`WavError`] if no thread can be started.
    ///
    /// # Panics
    /// If `buffer_frames` is 0.
    pub fn from_writer(mut writer: Writer, buffer_frames: usize) -> Result<(Self, QueueWriter), WavError> {
        let (path, channels) = (writer.path().to_path_buf(), writer.channels());
        let (queue_writer, mut reader) = queue(channels, buffer_frames);
        let keep = Arc::new(AtomicBool::new(false));
        let kept = keep.clone();
        let save = move || {
            let mut buffers = vec![vec![0.0f32; CHUNK_FRAMES]; channels];
            loop {
                let n = reader.read(&mut buffers, None);
                let block: Vec<&[f32]> = buffers.iter().map(|c| &c[..n]).collect();
                writer.write_block(&block)?;
                if n < CHUNK_FRAMES {
                    break;
                }
            }
            // A writer that is dropped unfinished removes its file.
            if kept.load(Ordering::Acquire) { writer.finish() } else { Ok(WriteSummary { frames: 0, clipped: 0, replaced: 0 }) }
        };
        let thread = std::thread::Builder::new().name("isotherm-file-sink".into()).spawn(save);
        let thread = thread.map_err(|e| WavError::io("start a thread to write", &path, e))?;
        Ok((Self { path, thread, keep }, queue_writer))
    }

    /// Waits until everything is written and gives the file its name. `queue` is the writing end of the queue, to which the last
    /// frame has been written. [control thread: blocks]
    ///
    /// # Errors
    /// [`WavError`] if something could not be written; the file is removed then.
    pub fn finish(self, queue: QueueWriter) -> Result<WriteSummary, WavError> {
        self.keep.store(true, Ordering::Release);
        self.end(queue)
    }

    /// Stops writing and waits until the file is removed. [control thread: blocks]
    pub fn discard(self, queue: QueueWriter) {
        // An error does not matter, because the file is removed anyway.
        let _ = self.end(queue);
    }

    /// Ends the queue and waits for the thread.
    fn end(self, queue: QueueWriter) -> Result<WriteSummary, WavError> {
        drop(queue);
        let broken = |_| Err(WavError::io("write", &self.path, std::io::Error::other("the writing thread panicked")));
        self.thread.join().unwrap_or_else(broken)
    }
}
