//! A file of a take and the batch of sound that is gathered for it. [disk thread]

use sha2::{Digest, Sha256};

use super::file_system::WritableFile;
use super::pcm::ConversionCounts;
use super::wav::WavWriter;

/// Frames that are gathered before they are written to all files: 96 KiB of a 24-bit stem.
pub const BATCH_FRAMES: usize = 32_768;

/// A growing file of a take: a stem, or the file with all channels.
pub struct OutputFile {
    /// The open file; `None` between two parts of a split take.
    pub writer: Option<WavWriter<Box<dyn WritableFile>>>,
    /// The converted frames that are not in the file yet; as long as [`BATCH_FRAMES`] frames.
    pub batch: Vec<u8>,
    /// Bytes of a frame.
    pub frame_bytes: usize,
    /// Overs and NaNs of the batch.
    pub counts: ConversionCounts,
    /// SHA-256 of the sound in the current part.
    pub hash: Sha256,
}

impl OutputFile {
    /// Allocates the batch of a file that is opened later.
    pub fn new(frame_bytes: usize) -> Self {
        let batch = vec![0; BATCH_FRAMES * frame_bytes];
        Self { writer: None, batch, frame_bytes, counts: ConversionCounts::default(), hash: Sha256::new() }
    }
}

/// Interleaves the first `frames` frames of the stems' batches into `out`.
pub fn interleave(stems: &[OutputFile], frames: usize, out: &mut [u8]) {
    let channels = stems.len();
    for (index, stem) in stems.iter().enumerate() {
        let bytes = stem.frame_bytes;
        let out_frames = out[index * bytes..].chunks_mut(channels * bytes);
        for (out_frame, sample) in out_frames.zip(stem.batch[..frames * bytes].chunks_exact(bytes)) {
            out_frame[..bytes].copy_from_slice(sample);
        }
    }
}
