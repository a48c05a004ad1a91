//! Buffers of floats that begin at a cache line, so that no vector of them lies across two cache lines.

use std::ops::{Deref, DerefMut};

/// Floats in a cache line of 64 bytes.
pub const LINE_FLOATS: usize = 16;

/// A cache line of floats.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct CacheLine(#[expect(dead_code, reason = "read through a pointer to all lines' floats")] [f32; LINE_FLOATS]);

/// A slice of floats that begins at a cache line.
#[derive(Clone)]
pub struct AlignedBuffer {
    lines: Vec<CacheLine>,
    /// Floats of the slice; those after it in the last line are not used.
    length: usize,
}

impl AlignedBuffer {
    /// Returns `length` zeros.
    pub fn new(length: usize) -> Self {
        Self { lines: vec![CacheLine([0.0; LINE_FLOATS]); length.div_ceil(LINE_FLOATS)], length }
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        size_of_val(&self.lines[..])
    }
}

impl From<Vec<f32>> for AlignedBuffer {
    fn from(values: Vec<f32>) -> Self {
        let mut aligned = Self::new(values.len());
        aligned.copy_from_slice(&values);
        aligned
    }
}

impl Deref for AlignedBuffer {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        // SAFETY: the lines hold at least `length` floats, without gaps between them.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.length) }
    }
}

impl DerefMut for AlignedBuffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: the lines hold at least `length` floats, without gaps, and `self` is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.length) }
    }
}
