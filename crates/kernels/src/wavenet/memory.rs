//! Where frames are kept: aligned memory, rings of the past, places to work in.

use crate::CHUNK;
use crate::simd::Simd;

/// Values in a cache line.
const LINE: usize = 16;

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; LINE]);

/// Values from a cache line's start on, all 0 at first.
#[derive(Clone)]
pub struct Arena(Vec<Line>);

impl Arena {
    pub fn new(values: usize) -> Self {
        Self(vec![Line([0.0; LINE]); values.div_ceil(LINE)])
    }

    pub fn of(values: &[f32]) -> Self {
        let mut arena = Self::new(values.len());
        arena.as_mut_slice()[..values.len()].copy_from_slice(values);
        arena
    }

    pub fn as_slice(&self) -> &[f32] {
        self.0.as_flattened_values()
    }

    pub fn as_mut_slice(&mut self) -> &mut [f32] {
        self.0.as_flattened_values_mut()
    }

    pub fn bytes(&self) -> usize {
        size_of_val(self.0.as_slice())
    }
}

/// Lines as their values.
trait Values {
    fn as_flattened_values(&self) -> &[f32];
    fn as_flattened_values_mut(&mut self) -> &mut [f32];
}

impl Values for [Line] {
    fn as_flattened_values(&self) -> &[f32] {
        // SAFETY: a line is its values and nothing else.
        unsafe { std::slice::from_raw_parts(self.as_ptr().cast(), self.len() * LINE) }
    }
    fn as_flattened_values_mut(&mut self) -> &mut [f32] {
        // SAFETY: a line is its values and nothing else.
        unsafe { std::slice::from_raw_parts_mut(self.as_mut_ptr().cast(), self.len() * LINE) }
    }
}

/// The shortest ring, in frames: where a ring ends, frames are copied, and this makes that rare.
const SHORTEST_RING: usize = 256;

/// Values behind a ring's end.
const OVERLAP: usize = 2 * CHUNK;

/// The past of some rows, each a ring of `frames` with its first [`CHUNK`] frames once more behind its end, so that whatever is
/// read is in one piece. It holds what a convolution reaches back to, and a chunk. Vectors that are filled up write a few frames
/// further: where the oldest are, which nobody reads any more.
#[derive(Clone, Copy, Debug)]
pub struct Ring {
    pub rows: usize,
    pub frames: usize,
    /// From a row to the next.
    pub stride: usize,
    /// Of the first row in the state.
    pub at: usize,
}

/// Rows of a chunk in the scratch memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    pub at: usize,
}

/// A place that steps read and write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Scratch(Area),
    /// The newest frames of the ring of this number.
    Ring(usize),
}

/// What a channel's state and the scratch memory consist of.
#[derive(Debug, Default)]
pub struct Layout {
    pub rings: Vec<Ring>,
    /// Values of one channel's state.
    pub state: usize,
    /// Values of the scratch memory.
    pub scratch: usize,
}

impl Layout {
    /// Space for `rows` and `reach` frames before the chunk.
    pub fn ring(&mut self, rows: usize, reach: usize) -> Place {
        let lines = ((reach + CHUNK).max(SHORTEST_RING) + OVERLAP).div_ceil(LINE);
        // Odd: so the rows' frames of one time do not fall on the same few sets of the cache.
        let stride = (lines | 1) * LINE;
        self.rings.push(Ring { rows, frames: stride - OVERLAP, stride, at: self.state });
        self.state += rows * stride;
        Place::Ring(self.rings.len() - 1)
    }

    /// Space for `rows` of a chunk.
    pub fn scratch(&mut self, rows: usize) -> Area {
        let at = self.scratch;
        self.scratch += rows * CHUNK;
        Area { at }
    }

    /// A ring if there is a past to keep, else scratch memory.
    pub fn place(&mut self, rows: usize, reach: usize) -> Place {
        if reach > 0 { self.ring(rows, reach) } else { Place::Scratch(self.scratch(rows)) }
    }
}

impl Place {
    /// From row `row` on; rings have no such part.
    ///
    /// # Panics
    /// If this is a ring.
    pub fn skip(self, row: usize) -> Self {
        match self {
            Self::Scratch(area) => Self::Scratch(Area { at: area.at + row * CHUNK }),
            Self::Ring(_) => panic!("part of a ring"),
        }
    }
}

/// The memory that steps work in: a channel's state, the scratch memory, and where the chunk begins in each ring. All steps of a
/// network were laid out for just such memory, so what they address lies inside it.
#[derive(Clone, Copy)]
pub struct Memory<'a> {
    pub rings: &'a [Ring],
    /// For each ring, in 0..frames.
    pub positions: &'a [usize],
    pub state: *mut f32,
    pub scratch: *mut f32,
}

/// Rows of a chunk.
#[derive(Clone, Copy)]
pub struct Rows {
    pub at: *mut f32,
    pub stride: usize,
}

/// Rows of a chunk and what was before.
#[derive(Clone, Copy)]
pub struct Past {
    /// Of the first row's ring.
    pub ring: *const f32,
    pub stride: usize,
    /// Where the chunk begins, in 0..frames.
    pub position: usize,
    pub frames: usize,
}

impl Memory<'_> {
    /// The chunk's frames.
    pub fn rows(&self, place: Place) -> Rows {
        match place {
            // SAFETY: see `Memory`.
            Place::Scratch(area) => Rows { at: unsafe { self.scratch.add(area.at) }, stride: CHUNK },
            Place::Ring(number) => {
                let ring = &self.rings[number];
                // SAFETY: see `Memory`.
                Rows { at: unsafe { self.state.add(ring.at + self.positions[number]) }, stride: ring.stride }
            }
        }
    }

    /// The chunk's frames and, if it is a ring, what was before.
    pub fn past(&self, place: Place) -> Past {
        match place {
            Place::Scratch(_) => {
                let rows = self.rows(place);
                Past { ring: rows.at, stride: rows.stride, position: 0, frames: CHUNK }
            }
            Place::Ring(number) => {
                let ring = &self.rings[number];
                // SAFETY: see `Memory`.
                let at = unsafe { self.state.add(ring.at) };
                Past { ring: at, stride: ring.stride, position: self.positions[number], frames: ring.frames }
            }
        }
    }

    /// Makes the `frames` that were written at a ring's position readable from everywhere; with `settle`, as if the newest one had
    /// been there for ever. Nothing to do for scratch memory.
    ///
    /// # Safety
    /// `frames` are at most a chunk.
    #[inline(always)]
    pub unsafe fn commit<S: Simd>(&self, s: S, place: Place, frames: usize, settle: bool) {
        let Place::Ring(number) = place else { return };
        let ring = &self.rings[number];
        let from = self.positions[number];
        // SAFETY: the caller's; rows have `frames + OVERLAP` values, so whole vectors of a chunk that begins in the first `CHUNK` fit
        // behind the end, too.
        unsafe {
            let row = |row: usize| self.state.add(ring.at + row * ring.stride);
            if settle {
                for row in (0..ring.rows).map(row) {
                    std::slice::from_raw_parts_mut(row, ring.stride).fill(*row.add(from));
                }
                return;
            }
            if from < CHUNK {
                for row in (0..ring.rows).map(row) {
                    copy(s, row.add(from), row.add(ring.frames + from), frames);
                }
            }
            if from + frames > ring.frames {
                for row in (0..ring.rows).map(row) {
                    copy(s, row.add(ring.frames), row, from + frames - ring.frames);
                }
            }
        }
    }
}

/// Copies frames, rounded up to whole vectors.
///
/// # Safety
/// Both are good for that many.
#[inline(always)]
unsafe fn copy<S: Simd>(s: S, from: *const f32, to: *mut f32, frames: usize) {
    for frame in (0..frames).step_by(S::LANES) {
        // SAFETY: the caller's.
        unsafe { s.store(to.add(frame), s.load(from.add(frame))) };
    }
}
