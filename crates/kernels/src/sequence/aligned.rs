//! Floats that begin at a cache line, so that no vector of them lies across two.

use std::ops::{Deref, DerefMut};

/// Floats of a cache line.
pub const LINE: usize = 16;

#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line(#[expect(dead_code, reason = "read through a pointer to all lines' floats")] [f32; LINE]);

/// Zeros at first.
#[derive(Clone)]
pub struct Aligned {
    lines: Vec<Line>,
    length: usize,
}

impl Aligned {
    pub fn new(length: usize) -> Self {
        Self { lines: vec![Line([0.0; LINE]); length.div_ceil(LINE)], length }
    }

    pub fn bytes(&self) -> usize {
        size_of_val(&self.lines[..])
    }
}

impl From<Vec<f32>> for Aligned {
    fn from(values: Vec<f32>) -> Self {
        let mut aligned = Self::new(values.len());
        aligned.copy_from_slice(&values);
        aligned
    }
}

impl Deref for Aligned {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        // SAFETY: the lines are `length` floats or more, without gaps between them.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.length) }
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above, and borrowed alone.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.length) }
    }
}
