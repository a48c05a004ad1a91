//! Files behind queues: a source that loads in the background and a sink that writes there.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use super::{QueueReader, QueueWriter, queue};
use crate::audio::wav::{Format, Reader, Writer, Written};
use crate::audio::{WavError, wav::NonFinite};

/// Frames that are read from or written to a file at a time.
const CHUNK_FRAMES: usize = 4096;

#[derive(Default)]
struct Progress {
    frames: AtomicU64,
    done: AtomicBool,
    stop: AtomicBool,
    error: OnceLock<WavError>,
}

/// A WAV file that is read in the background, as fast as its queue is emptied. Dropping it stops the reading.
pub struct FileSource {
    progress: Arc<Progress>,
    sample_rate: u32,
    channels: usize,
    frames: u64,
    format: Format,
}

impl FileSource {
    /// Opens a file and starts to read it into a queue of `buffer_frames`. [control thread]
    ///
    /// # Errors
    /// If it is no WAV file that can be read; what goes wrong later is in [`Self::error`].
    ///
    /// # Panics
    /// If `buffer_frames` is 0.
    pub fn open(path: &Path, non_finite: NonFinite, buffer_frames: usize) -> Result<(Self, QueueReader), WavError> {
        let mut reader = Reader::open(path)?.with_non_finite(non_finite);
        let (mut writer, queue) = queue(reader.channels(), buffer_frames);
        let progress = Arc::new(Progress::default());
        let source = Self {
            progress: progress.clone(),
            sample_rate: reader.sample_rate(),
            channels: reader.channels(),
            frames: reader.frames(),
            format: reader.format(),
        };
        let load = move || {
            let mut buffers = vec![vec![0.0f32; CHUNK_FRAMES]; writer.channels()];
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
            // Before the writer goes: who sees the end also sees the error.
            progress.done.store(true, Ordering::Release);
            drop(writer);
        };
        let thread = std::thread::Builder::new().name("isotherm-file-source".into()).spawn(load);
        thread.map_err(|e| WavError::io("start a thread to read", path, e))?;
        Ok((source, queue))
    }

    /// In hertz. [any thread]
    #[must_use]
    pub fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// [any thread]
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Frames of the whole file. [any thread]
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Form of the samples in the file. [any thread]
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// Whether frames are still being read. [any thread]
    #[must_use]
    pub fn is_loading(&self) -> bool {
        !self.progress.done.load(Ordering::Acquire)
    }

    /// The part that has been read, 0 to 1. [any thread]
    #[must_use]
    pub fn progress(&self) -> f32 {
        if self.frames == 0 { 1.0 } else { (self.progress.frames.load(Ordering::Relaxed) as f64 / self.frames as f64) as f32 }
    }

    /// What ended the reading early. [any thread]
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

/// A WAV file that is written in the background. It appears under its name when it is whole; without [`FileSink::finish`] it never does.
pub struct FileSink {
    path: PathBuf,
    thread: JoinHandle<Result<Written, WavError>>,
    keep: Arc<AtomicBool>,
}

impl FileSink {
    /// Creates the file and starts to write to it what comes through a queue of `buffer_frames`. [control thread]
    ///
    /// # Errors
    /// If the file cannot be created.
    ///
    /// # Panics
    /// If `channels` or `buffer_frames` is 0.
    pub fn create(
        path: &Path,
        sample_rate: u32,
        channels: usize,
        format: Format,
        buffer_frames: usize,
    ) -> Result<(Self, QueueWriter), WavError> {
        let mut writer = Writer::create(path, sample_rate, channels, format)?;
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
            // Dropped unfinished, the writer removes what it wrote.
            if kept.load(Ordering::Acquire) { writer.finish() } else { Ok(Written { frames: 0, clipped: 0, replaced: 0 }) }
        };
        let thread = std::thread::Builder::new().name("isotherm-file-sink".into()).spawn(save);
        let thread = thread.map_err(|e| WavError::io("start a thread to write", path, e))?;
        Ok((Self { path: path.into(), thread, keep }, queue_writer))
    }

    /// Waits until everything is written and gives the file its name. `queue` is the other end: all has been written to it. [control
    /// thread]
    ///
    /// # Errors
    /// If something could not be written; nothing is left of the file then.
    pub fn finish(self, queue: QueueWriter) -> Result<Written, WavError> {
        self.keep.store(true, Ordering::Release);
        self.end(queue)
    }

    /// Waits until nothing is left of what was written. [control thread]
    pub fn discard(self, queue: QueueWriter) {
        // What could not be written shall not be kept anyway.
        let _ = self.end(queue);
    }

    fn end(self, queue: QueueWriter) -> Result<Written, WavError> {
        drop(queue);
        let broken = |_| Err(WavError::io("write", &self.path, std::io::Error::other("the writing thread panicked")));
        self.thread.join().unwrap_or_else(broken)
    }
}
