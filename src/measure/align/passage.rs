//! The search for a sound in one that is much longer, such as a whole session, piece by piece.

use std::ops::Range;

use super::search::{Correlator, Lobe, MAX_DRIFT, SHARP};
use crate::audio::Audio;

/// Frames of the loudest part of the sound at most, which is what is looked for: 5.5 s at 48 kHz.
const BLOCK_FRAMES: usize = 1 << 18;
/// Size of the transforms: a piece has one frame less. With them the search takes some 30 MB, and 8 MB more for each channel.
const TRANSFORM_FRAMES: usize = 1 << 20;
/// Parts of a block by which the candidates for the loudest one are apart.
const BLOCK_STEPS: usize = 4;
/// Seconds before and after the sound that belong to its passage.
const MARGIN_SECONDS: f64 = 0.5;
/// Sharpness of another lobe, as a share of the sharpest, from which the sound is there, too. Chance gives a tenth or
/// less; the share of silence in a piece changes the sharpness, too.
const ALIKE: f64 = 0.5;
/// Frames within which two lobes are one, cut at the border of two pieces.
const SAME_FRAMES: isize = 256;

/// The passage of a longer sound in which another sound is.
#[derive(Clone, Debug, PartialEq)]
pub struct Passage {
    /// Frames of the longer sound: those of the sound, and half a second and a thousandth of the sound's length (the largest
    /// drift that [`align`](super::align()) corrects) before and after it, as far as the longer one has them.
    pub frames: Range<usize>,
    /// Sharpness of the next lobe as a share of the sharpest, 0 to 1.
    pub second_lobe: f64,
    /// True if there is another passage that is like the sound, as where the sound occurs twice.
    pub is_ambiguous: bool,
}

/// Finds the passage with `sound` in a longer one of `frames` frames, of the same sample rate and as many channels, that `read`
/// gives piece by piece: it fills its second argument with the frames from its first argument on, all of the longer sound.
/// There is always one; if the longer sound does not contain the sound, it is one of chance, and
/// [`align`](super::align()) finds nothing in common. Memory: some 30 MB, and 8 MB for each channel, however long both are.
/// [control thread: allocates, takes its time]
///
/// # Errors
/// The errors of `read`.
pub fn find_passage<E>(
    sound: &Audio,
    frames: usize,
    mut read: impl FnMut(usize, &mut Audio) -> Result<(), E>,
) -> Result<Passage, E> {
    let block = sound.frames().min(BLOCK_FRAMES);
    let start = loudest(sound, block);
    let delays = TRANSFORM_FRAMES - block;
    let mut correlator = Correlator::new(block, delays);
    let mut lobes: Vec<Lobe> = Vec::new();
    let piece_frames = (block + delays - 1).min(frames);
    for at in (0..frames).step_by(delays) {
        // The last piece is as long as the others, so that their lobes can be compared.
        let at = at.min(frames - piece_frames);
        let mut piece = Audio::silence(sound.sample_rate(), sound.channels(), piece_frames);
        read(at, &mut piece)?;
        // The block of the sound begins at frame 0 of the piece if its delay is the first one.
        let first = -(start as isize);
        correlator.set_block(sound, &piece, start, first);
        correlator.whiten();
        let lobe = Lobe::of(correlator.correlation(), first);
        lobes.push(Lobe { delay: lobe.delay + at as isize, ..lobe });
    }
    let best = lobes.iter().copied().max_by(|a, b| a.sharpness.total_cmp(&b.sharpness)).unwrap_or_default();
    let others = lobes.iter().filter(|lobe| (lobe.delay - best.delay).abs() > SAME_FRAMES);
    let next = others.map(|lobe| lobe.sharpness).fold(0.0, f64::max);
    let margin = MARGIN_SECONDS * f64::from(sound.sample_rate()) + MAX_DRIFT * sound.frames() as f64;
    let within = |frame: isize| usize::try_from(frame).unwrap_or(0).min(frames);
    let (begin, end) = (best.delay - margin as isize, best.delay + sound.frames() as isize + margin as isize);
    let share = if best.sharpness > 0.0 { next / best.sharpness } else { 1.0 };
    let is_ambiguous = next >= SHARP && share >= ALIKE;
    Ok(Passage { frames: within(begin)..within(end), second_lobe: best.second.max(share), is_ambiguous })
}

/// First frame of the loudest block of a sound.
fn loudest(sound: &Audio, block: usize) -> usize {
    let energy =
        |start: usize| -> f64 { sound.iter().flat_map(|channel| &channel[start..start + block]).map(|x| f64::from(x * x)).sum() };
    let starts = (0..=sound.frames() - block).step_by((block / BLOCK_STEPS).max(1));
    starts.map(|start| (energy(start), start)).max_by(|a, b| a.0.total_cmp(&b.0)).map_or(0, |(_, start)| start)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::audio::generate;

    const RATE: u32 = 8_000;

    /// The passage of a sound that lies in memory, and the lengths of the pieces that were read.
    fn find(sound: &Audio, long: &Audio) -> (Passage, Vec<usize>) {
        let mut lengths = Vec::new();
        let read = |at: usize, piece: &mut Audio| -> Result<(), Infallible> {
            lengths.push(piece.frames());
            *piece = long.slice(at..at + piece.frames()).unwrap();
            Ok(())
        };
        let Ok(passage) = find_passage(sound, long.frames(), read);
        (passage, lengths)
    }

    /// Pink noise of some seconds.
    fn noise(seconds: usize, seed: u64) -> Audio {
        generate::pink(RATE, 0.1, seconds * RATE as usize, seed).unwrap()
    }

    #[test]
    fn a_sound_is_found_wherever_it_lies_and_no_piece_is_longer_than_a_transform() {
        let sound = noise(4, 1);
        let delays = TRANSFORM_FRAMES - sound.frames();
        // Also across the border of two pieces, and at both ends.
        let rest = noise(300, 2);
        for at in [0, 1000, delays - 1, delays, delays + 1, 2 * delays - 20_000, rest.frames()] {
            let long = Audio::concatenate(&[&rest.slice(..at).unwrap(), &sound, &rest.slice(at..).unwrap()]);
            let (passage, lengths) = find(&sound, &long.unwrap());
            let frames = at.saturating_sub(4032)..(at + 32_000 + 4032).min(rest.frames() + 32_000);
            assert_eq!(passage.frames, frames, "{at}");
            assert!(!passage.is_ambiguous, "{at}: {passage:?}");
            assert!(lengths.len() == 3 && lengths.iter().all(|length| *length < TRANSFORM_FRAMES), "{lengths:?}");
        }
    }

    #[test]
    fn a_sound_that_occurs_twice_has_an_ambiguous_passage() {
        let sound = noise(4, 1);
        let long = Audio::concatenate(&[&noise(20, 2), &sound, &noise(200, 3), &sound, &noise(9, 4)]).unwrap();
        assert!(find(&sound, &long).0.is_ambiguous);
    }

    #[test]
    fn an_error_of_reading_ends_the_search() {
        assert_eq!(find_passage(&noise(4, 1), 10_000_000, |at, _| if at > 0 { Err("gone") } else { Ok(()) }), Err("gone"));
    }
}
