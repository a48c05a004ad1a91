//! The memory of a WaveNet: aligned buffers, rings that hold past frames, scratch memory for the current chunk.
//!
//! A *row* is one feature channel: its frames follow each other in memory.

use std::ops::Range;

use crate::CHUNK;
use crate::simd::Simd;

/// Floats in a cache line of 64 bytes.
const LINE_FLOATS: usize = 16;

/// A cache line of floats.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct CacheLine([f32; LINE_FLOATS]);

/// Whole cache lines of floats.
#[derive(Clone)]
pub struct LineBuffer(Vec<CacheLine>);

impl LineBuffer {
    /// Returns zeros: at least `values`, rounded up to whole lines.
    pub fn new(values: usize) -> Self {
        Self(vec![CacheLine([0.0; LINE_FLOATS]); values.div_ceil(LINE_FLOATS)])
    }

    /// Returns a copy of `values`, padded with zeros.
    pub fn of(values: &[f32]) -> Self {
        let mut buffer = Self::new(values.len());
        buffer.as_mut_slice()[..values.len()].copy_from_slice(values);
        buffer
    }

    /// Returns all floats, the padding included.
    pub fn as_slice(&self) -> &[f32] {
        self.0.as_flattened_values()
    }

    /// Returns all floats, the padding included.
    pub fn as_mut_slice(&mut self) -> &mut [f32] {
        self.0.as_flattened_values_mut()
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        size_of_val(self.0.as_slice())
    }
}

/// Cache lines as one slice of floats.
trait FlattenLines {
    fn as_flattened_values(&self) -> &[f32];
    fn as_flattened_values_mut(&mut self) -> &mut [f32];
}

impl FlattenLines for [CacheLine] {
    fn as_flattened_values(&self) -> &[f32] {
        // SAFETY: a `CacheLine` is `LINE_FLOATS` floats and nothing else.
        unsafe { std::slice::from_raw_parts(self.as_ptr().cast(), self.len() * LINE_FLOATS) }
    }
    fn as_flattened_values_mut(&mut self) -> &mut [f32] {
        // SAFETY: a `CacheLine` is `LINE_FLOATS` floats and nothing else.
        unsafe { std::slice::from_raw_parts_mut(self.as_mut_ptr().cast(), self.len() * LINE_FLOATS) }
    }
}

/// Bytes of the rings of all channels from which on rows are fetched ahead, see [`StepMemory::prefetch`]: where it began to pay on
/// an AMD EPYC with 1 MiB of second-level cache. Fetches of lines that are in the cache cost time and save none.
pub const PREFETCH_FROM: usize = 2_000_000;

/// Smallest number of frames that a ring has room for. Frames are copied where a ring wraps around; long rings make that rare.
const MIN_RING_FRAMES: usize = 256;

/// Frames that are stored after a ring's end.
const OVERLAP: usize = 2 * CHUNK;

/// The place of a ring in a channel's state: the newest frames of some rows, as many as a convolution reaches back, and a chunk.
/// Each row is a ring buffer of `frames` frames; its first [`CHUNK`] frames are stored once more after its end, so that every
/// chunk that is read is contiguous. Vectors that reach beyond the chunk overwrite the oldest frames, which are not read any
/// more.
#[derive(Clone, Copy, Debug)]
pub struct Ring {
    pub rows: usize,
    /// Frames after which a row wraps around.
    pub frames: usize,
    /// Floats from a row to the next.
    pub stride: usize,
    /// Position of the first row in the channel's state.
    pub offset: usize,
}

/// The rows that a layer will read and write. They are fetched into the cache while the layer before it runs.
#[derive(Clone, Copy, Debug)]
pub struct Upcoming {
    /// Rows of the input and of the output.
    pub rows: usize,
    /// The input.
    pub from: Operand,
    /// Frames before the chunk that the convolution of the input reaches.
    pub reach: usize,
    /// Frames from one tap of the convolution to the next.
    pub dilation: usize,
    /// The output, if it is read.
    pub to: Option<Operand>,
    /// True if the layer belongs to the next channel's chunk.
    pub next_channel: bool,
}

/// The place of some rows of a chunk in the scratch memory, [`CHUNK`] floats each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScratchArea {
    /// Position of the first row in the scratch memory.
    pub offset: usize,
}

/// The rows of a chunk that a step reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// Rows in the scratch memory, which last for one chunk only.
    Scratch(ScratchArea),
    /// The newest frames of a ring, by its index in [`Layout::rings`].
    Ring(usize),
}

/// The layout of a channel's state and of the scratch memory.
#[derive(Debug, Default)]
pub struct Layout {
    /// The rings of a channel's state.
    pub rings: Vec<Ring>,
    /// Floats of one channel's state.
    pub state_floats: usize,
    /// Floats of the scratch memory, which all channels share.
    pub scratch: usize,
}

impl Layout {
    /// Adds a ring for `rows` rows, a chunk and the `reach` frames before it.
    pub fn ring(&mut self, rows: usize, reach: usize) -> Operand {
        let lines = ((reach + CHUNK).max(MIN_RING_FRAMES) + OVERLAP).div_ceil(LINE_FLOATS);
        // The number of lines is odd, so that the same frame of all rows does not fall on the same few sets of the cache.
        let stride = (lines | 1) * LINE_FLOATS;
        self.rings.push(Ring { rows, frames: stride - OVERLAP, stride, offset: self.state_floats });
        self.state_floats += rows * stride;
        Operand::Ring(self.rings.len() - 1)
    }

    /// Adds `rows` rows of a chunk to the scratch memory.
    pub fn scratch(&mut self, rows: usize) -> ScratchArea {
        let offset = self.scratch;
        self.scratch += rows * CHUNK;
        ScratchArea { offset }
    }

    /// Adds rows for a reader that reaches back `reach` frames: a ring, or scratch memory if `reach` is 0.
    pub fn operand(&mut self, rows: usize, reach: usize) -> Operand {
        if reach > 0 { self.ring(rows, reach) } else { Operand::Scratch(self.scratch(rows)) }
    }
}

impl Ring {
    /// Fetches `frames` frames of some rows, starting at frame `first`, into the cache.
    #[inline(always)]
    fn prefetch(&self, state: *const f32, rows: Range<usize>, first: usize, frames: usize) {
        let lines = (first % LINE_FLOATS + frames.min(self.stride - first)).div_ceil(LINE_FLOATS);
        for row in rows {
            let at = state.wrapping_add(self.offset + row * self.stride + first);
            let mut line = 0;
            while line + 4 <= lines {
                for next in 0..4 {
                    prefetch(at.wrapping_add((line + next) * LINE_FLOATS));
                }
                line += 4;
            }
            while line < lines {
                prefetch(at.wrapping_add(line * LINE_FLOATS));
                line += 1;
            }
        }
    }
}

/// Fetches the line at an address, which need not be valid, into the second-level cache. Does nothing on processors other than x86-64.
#[inline(always)]
fn prefetch(at: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instruction is part of every x86-64, changes nothing but the cache and never faults.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T1 }>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

impl Operand {
    /// Returns the rows of scratch memory, starting at row `row`.
    ///
    /// # Panics
    /// If this is a ring.
    pub fn skip(self, row: usize) -> Self {
        match self {
            Self::Scratch(area) => Self::Scratch(ScratchArea { offset: area.offset + row * CHUNK }),
            Self::Ring(_) => panic!("part of a ring"),
        }
    }
}

/// The memory that steps work in: a channel's state, the scratch memory, and the positions of the chunk in the rings. State and
/// scratch memory must have the sizes of the step list's [`Layout`], so that every [`Operand`] of its steps lies inside.
#[derive(Clone, Copy)]
pub struct StepMemory<'a> {
    pub rings: &'a [Ring],
    /// The frame at which the chunk begins in each ring, 0 to [`Ring::frames`] - 1.
    pub positions: &'a [usize],
    /// The state of one channel.
    pub state: *mut f32,
    /// The state of the channel whose chunk is next, if rows are to be fetched into the cache ahead of time.
    pub next_state: Option<*const f32>,
    pub scratch: *mut f32,
}

/// Pointer to rows of the current chunk.
#[derive(Clone, Copy)]
pub struct ChunkPtr {
    /// The chunk's first frame of the first row.
    pub at: *mut f32,
    /// Floats from a row to the next.
    pub stride: usize,
}

/// Pointer to rows of the current chunk and the frames before it, for reading.
#[derive(Clone, Copy)]
pub struct HistoryPtr {
    /// The start of the first row's ring, or of its chunk in scratch memory.
    pub ring: *const f32,
    /// Floats from a row to the next.
    pub stride: usize,
    /// The frame at which the chunk begins, 0 to `frames` - 1.
    pub position: usize,
    /// Frames after which a row wraps around.
    pub frames: usize,
}

impl StepMemory<'_> {
    /// Returns the chunk's rows of an operand.
    pub fn chunk(&self, operand: Operand) -> ChunkPtr {
        match operand {
            // SAFETY: the operand lies inside the memory; see `StepMemory`.
            Operand::Scratch(area) => ChunkPtr { at: unsafe { self.scratch.add(area.offset) }, stride: CHUNK },
            Operand::Ring(index) => {
                let ring = &self.rings[index];
                // SAFETY: the operand lies inside the memory; see `StepMemory`.
                ChunkPtr { at: unsafe { self.state.add(ring.offset + self.positions[index]) }, stride: ring.stride }
            }
        }
    }

    /// Returns the chunk's rows of an operand and, if it is a ring, the frames before the chunk.
    pub fn history(&self, operand: Operand) -> HistoryPtr {
        match operand {
            Operand::Scratch(_) => {
                let rows = self.chunk(operand);
                HistoryPtr { ring: rows.at, stride: rows.stride, position: 0, frames: CHUNK }
            }
            Operand::Ring(index) => {
                let ring = &self.rings[index];
                // SAFETY: the operand lies inside the memory; see `StepMemory`.
                let at = unsafe { self.state.add(ring.offset) };
                HistoryPtr { ring: at, stride: ring.stride, position: self.positions[index], frames: ring.frames }
            }
        }
    }

    /// Fetches part of the rows of a coming layer into the second-level cache, those of `rows`: the past frames that its taps
    /// read, and the lines of the output, which have to be in the cache, too, before they can be written. Does nothing without
    /// [`Self::next_state`]. It is not inlined, since each kernel calls it twice.
    #[inline(never)]
    pub fn prefetch(&self, upcoming: &Upcoming, rows: Range<usize>, frames: usize) {
        let Some(next_state) = self.next_state else { return };
        let state = if upcoming.next_channel { next_state } else { self.state.cast_const() };
        if let Operand::Ring(index) = upcoming.from {
            let (ring, position, reach) = (&self.rings[index], self.positions[index], upcoming.reach);
            // The frames of the newest tap are those that the layer before is about to write. Taps that overlap are one span.
            // An input that is a ring reaches back, so the step is not 0.
            let (length, step) = if upcoming.dilation < frames { (reach, reach) } else { (frames, upcoming.dilation) };
            for back in (step..=reach).step_by(step) {
                let first = if position >= back { position - back } else { position + ring.frames - back };
                ring.prefetch(state, rows.clone(), first, length);
            }
        }
        if let Some(Operand::Ring(index)) = upcoming.to {
            self.rings[index].prefetch(state, rows, self.positions[index], frames);
        }
    }

    /// Finishes a chunk of `frames` that was written to a ring, see [`HistoryPtr::commit`]. Does nothing for scratch memory.
    ///
    /// # Safety
    /// `frames` is at most [`CHUNK`], and the memory was sized by the layout.
    #[inline(always)]
    pub unsafe fn commit<S: Simd>(&self, s: S, operand: Operand, frames: usize, settle: bool) {
        let Operand::Ring(index) = operand else { return };
        // SAFETY: the caller promises what `# Safety` asks for.
        unsafe { self.history(operand).commit(s, self.rings[index].rows, frames, settle) };
    }
}

impl HistoryPtr {
    /// Finishes a chunk of `frames` that was written to this ring: copies the frames that are stored twice, so that all can be
    /// read. With `settle`, instead fills every row with the chunk's first frame, as if that frame had come in for ever.
    ///
    /// # Safety
    /// This is a ring of `rows` rows that may be written, and `frames` is at most [`CHUNK`].
    #[inline(always)]
    pub unsafe fn commit<S: Simd>(&self, s: S, rows: usize, frames: usize, settle: bool) {
        let from = self.position;
        // SAFETY: the caller promises the memory and at most `CHUNK` frames. Rows have `frames + OVERLAP` floats, so whole
        // vectors of a chunk that begins in the first `CHUNK` frames also fit after the end.
        unsafe {
            let row = |row: usize| self.ring.cast_mut().add(row * self.stride);
            if settle {
                for row in (0..rows).map(row) {
                    std::slice::from_raw_parts_mut(row, self.stride).fill(*row.add(from));
                }
                return;
            }
            if from < CHUNK {
                for row in (0..rows).map(row) {
                    copy(s, row.add(from), row.add(self.frames + from), frames);
                }
            }
            if from + frames > self.frames {
                for row in (0..rows).map(row) {
                    copy(s, row.add(self.frames), row, from + frames - self.frames);
                }
            }
        }
    }
}

/// Copies frames, rounded up to whole vectors.
///
/// # Safety
/// `from` must be valid for reading and `to` for writing that many floats.
#[inline(always)]
unsafe fn copy<S: Simd>(s: S, from: *const f32, to: *mut f32, frames: usize) {
    for frame in (0..frames).step_by(S::LANES) {
        // SAFETY: the caller promises what `# Safety` asks for.
        unsafe { s.store(to.add(frame), s.load(from.add(frame))) };
    }
}
