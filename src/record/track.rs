//! A file of a take between two batches. [disk thread]

use sha2::{Digest, Sha256};

use super::disk::Medium;
use super::pcm::Counts;
use super::wav::WavWriter;

/// Frames that are gathered before they go to the files at once: 96 KiB of a 24-bit stem.
pub const BATCH_FRAMES: usize = 32_768;

/// A file that grows.
pub struct Track {
    /// None between two parts.
    pub writer: Option<WavWriter<Box<dyn Medium>>>,
    /// Bytes of [`BATCH_FRAMES`] frames.
    pub batch: Vec<u8>,
    pub frame_bytes: usize,
    /// What the conversion of the batch could not keep.
    pub counts: Counts,
    /// Of the part's sound.
    pub hash: Sha256,
}

impl Track {
    pub fn new(frame_bytes: usize) -> Self {
        let batch = vec![0; BATCH_FRAMES * frame_bytes];
        Self { writer: None, batch, frame_bytes, counts: Counts::default(), hash: Sha256::new() }
    }
}

/// Samples of all `channels`, frame after frame.
pub fn interleave(channels: &[Track], frames: usize, out: &mut [u8]) {
    let width = channels.len();
    for (index, track) in channels.iter().enumerate() {
        let bytes = track.frame_bytes;
        let places = out[index * bytes..].chunks_mut(width * bytes);
        for (place, sample) in places.zip(track.batch[..frames * bytes].chunks_exact(bytes)) {
            place[..bytes].copy_from_slice(sample);
        }
    }
}
