//! A view of a block's samples as they lie in memory. [disk thread]

use super::pcm::{ConversionCounts, Converter, WordFormat};

/// The samples of a block of several channels, as 32-bit words.
#[derive(Clone, Copy)]
pub struct BlockView<'a> {
    /// All words in order; a block that wraps around in the ring lies in two slices.
    pub slices: [&'a [u32]; 2],
    /// Number of channels.
    pub channels: usize,
    /// Samples per channel.
    pub frames: usize,
    /// True if the words are frame after frame; otherwise they are channel after channel.
    pub interleaved: bool,
}

impl<'a> BlockView<'a> {
    /// A view of planar samples: channel after channel.
    pub fn planar(words: &'a [u32], channels: usize, frames: usize) -> Self {
        Self { slices: [words, &[]], channels, frames, interleaved: false }
    }

    /// Finds `n` samples of a channel, starting at frame `from`. Returns, for each of the two slices, the words from the
    /// channel's first sample on and the number of samples in them; and the stride, the words from one sample to the next.
    fn pieces(&self, channel: usize, from: usize, n: usize) -> ([(&'a [u32], usize); 2], usize) {
        let (at, stride) =
            if self.interleaved { (from * self.channels + channel, self.channels) } else { (channel * self.frames + from, 1) };
        let [first, second] = self.slices;
        let in_first = first.len().saturating_sub(at).div_ceil(stride).min(n);
        let at_second = (at + in_first * stride).saturating_sub(first.len());
        ([(first.get(at..).unwrap_or(&[]), in_first), (second.get(at_second..).unwrap_or(&[]), n - in_first)], stride)
    }

    /// Converts samples of one channel, starting at frame `from`, as many as `out` holds.
    pub fn convert(&self, converter: &Converter, channel: usize, from: usize, out: &mut [u8]) -> ConversionCounts {
        let bytes = converter.format().bytes();
        let ([(first, a), (second, b)], stride) = self.pieces(channel, from, out.len() / bytes);
        let (out_first, out_second) = out.split_at_mut(a * bytes);
        let mut counts = ConversionCounts::default();
        for (words, n, out) in [(first, a, out_first), (second, b, out_second)] {
            counts +=
                if stride == 1 { converter.convert(&words[..n], out) } else { converter.convert_strided(words, stride, out) };
        }
        counts
    }

    /// Copies samples of one channel, starting at frame `from`, as many as `out` holds.
    pub fn copy(&self, channel: usize, from: usize, out: &mut [u32]) {
        let ([(first, a), (second, _)], stride) = self.pieces(channel, from, out.len());
        let both = first.iter().step_by(stride).take(a).chain(second.iter().step_by(stride));
        for (to, word) in out.iter_mut().zip(both) {
            *to = *word;
        }
    }

    /// Searches the `n` frames that start at `from` for samples of at least `level` (full scale is 1) on any channel. Returns the
    /// indices of the first and of the last such frame in the block.
    pub fn loud_range(&self, word_format: WordFormat, level: f32, from: usize, n: usize) -> Option<(usize, usize)> {
        let mut found: Option<(usize, usize)> = None;
        for channel in 0..self.channels {
            let ([(first, a), (second, _)], stride) = self.pieces(channel, from, n);
            let both = first.iter().step_by(stride).take(a).chain(second.iter().step_by(stride));
            for (at, word) in (from..).zip(both.take(n)) {
                if word_format.value(*word).abs() >= level {
                    let (earliest, latest) = found.unwrap_or((at, at));
                    found = Some((earliest.min(at), latest.max(at)));
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::ring::ring;

    #[test]
    fn loud_frames_are_found_wherever_the_block_lies_in_the_ring() {
        let (mut writer, mut reader, _) = ring(vec![0, 1], 128);
        for frame in 0..200 {
            let mut block = [[0.1f32; 20], [-0.1; 20]];
            block[frame % 2][frame % 20] = -0.5;
            assert_eq!(writer.write(&block), 0);
            let ring_block = reader.next().unwrap();
            assert_eq!(ring_block.view().loud_range(WordFormat::Float, 0.5, 0, 20), Some((frame % 20, frame % 20)));
            assert_eq!(ring_block.view().loud_range(WordFormat::Float, 0.51, 0, 20), None);
            assert_eq!(ring_block.view().loud_range(WordFormat::Float, 0.1, 3, 10), Some((3, 12)));
        }
    }
}
