//! Matrix products for recurrent networks. The lanes of a vector are independent sequences side by side.
//!
//! No vector is passed to or returned from a closure, here or in the other kernels: the compiler would build the closure without
//! the instructions of the SIMD level.

use crate::neural::simd::Simd;

/// Rows that a product computes at once: enough independent sums to hide the latency of an addition.
const BLOCK_ROWS: usize = 8;

/// A matrix in memory: element (row, column) is `weights[row * row_step + column * column_step]`.
#[derive(Clone, Copy)]
pub struct MatrixView {
    /// Pointer to element (0, 0).
    pub weights: *const f32,
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub columns: usize,
    /// Values from one row to the next.
    pub row_step: usize,
    /// Values from one column to the next.
    pub column_step: usize,
}

/// Computes `out[row] += sum over columns of matrix[row][column] x[column]`, where each element of `out` and `x` is a vector.
///
/// # Safety
/// The matrix's elements, `rows` vectors at `out` and `columns` vectors at `x` must be valid; `out` and `x` must not overlap.
#[inline(always)]
pub unsafe fn multiply_add<S: Simd>(s: S, matrix: MatrixView, x: *const f32, out: *mut f32) {
    let mut row = 0;
    // SAFETY: the caller keeps the contract; the rows of a block are below `matrix.rows`.
    unsafe {
        while row + BLOCK_ROWS <= matrix.rows {
            multiply_rows::<S, BLOCK_ROWS>(s, matrix, row, x, out);
            row += BLOCK_ROWS;
        }
        while row < matrix.rows {
            multiply_rows::<S, 1>(s, matrix, row, x, out);
            row += 1;
        }
    }
}

/// [`multiply_add`] for the rows from `row` to `row + R`.
///
/// # Safety
/// The requirements of [`multiply_add`] hold, and `row + R` must be at most the matrix's rows.
#[inline(always)]
unsafe fn multiply_rows<S: Simd, const R: usize>(s: S, matrix: MatrixView, row: usize, x: *const f32, out: *mut f32) {
    // SAFETY: the caller keeps the contract.
    unsafe {
        let out = out.add(row * S::LANES);
        let mut sums = [s.splat(0.0); R];
        for (r, sum) in sums.iter_mut().enumerate() {
            *sum = s.load(out.add(r * S::LANES));
        }
        let first = matrix.weights.add(row * matrix.row_step);
        for column in 0..matrix.columns {
            let x = s.load(x.add(column * S::LANES));
            let weights = first.add(column * matrix.column_step);
            for (r, sum) in sums.iter_mut().enumerate() {
                *sum = s.mul_add(s.splat(*weights.add(r * matrix.row_step)), x, *sum);
            }
        }
        for (r, sum) in sums.into_iter().enumerate() {
            s.store(out.add(r * S::LANES), sum);
        }
    }
}

/// Vectors over time: at each frame `rows` vectors, one after another.
#[derive(Clone, Copy)]
pub struct VectorSeries {
    /// Pointer to the first frame.
    pub values: *const f32,
    /// Vectors of a frame.
    pub rows: usize,
    /// Values (not vectors) from one frame to the next.
    pub step: usize,
}

/// Computes `sums[a][b] += sum over frames of left[a] right[b]`. Each sum is a vector; adding up its lanes is left to the caller.
///
/// # Safety
/// `frames` frames of both series and `left.rows * right.rows` vectors at `sums` must be valid.
#[inline(always)]
pub unsafe fn outer_add<S: Simd>(s: S, left: VectorSeries, right: VectorSeries, frames: usize, sums: *mut f32) {
    // SAFETY: the caller keeps the contract.
    unsafe {
        // The sums must stay in registers, of which there are twice as many at 512 bits.
        if S::LANES == 16 {
            outer_blocks::<S, 4>(s, left, right, frames, sums);
        } else {
            outer_blocks::<S, 2>(s, left, right, frames, sums);
        }
    }
}

/// [`outer_add`] for `B` rows of `right` at a time.
///
/// # Safety
/// The requirements of [`outer_add`] hold.
#[inline(always)]
unsafe fn outer_blocks<S: Simd, const B: usize>(s: S, left: VectorSeries, right: VectorSeries, frames: usize, sums: *mut f32) {
    // SAFETY: the caller keeps the contract; a block's rows are below those of the series.
    unsafe {
        let mut b = 0;
        while b + B <= right.rows {
            outer_column::<S, B>(s, left, right, b, frames, sums);
            b += B;
        }
        while b < right.rows {
            outer_column::<S, 1>(s, left, right, b, frames, sums);
            b += 1;
        }
    }
}

/// [`outer_add`] for all rows of `left` and the rows from `b` to `b + B` of `right`.
///
/// # Safety
/// The requirements of [`outer_add`] hold, and `b + B` must be at most `right.rows`.
#[inline(always)]
unsafe fn outer_column<S: Simd, const B: usize>(
    s: S,
    left: VectorSeries,
    right: VectorSeries,
    b: usize,
    frames: usize,
    sums: *mut f32,
) {
    // SAFETY: the caller keeps the contract; a block's rows are below those of the series.
    unsafe {
        let mut a = 0;
        while a + 4 <= left.rows {
            outer_block::<S, 4, B>(s, left, right, (a, b), frames, sums);
            a += 4;
        }
        while a < left.rows {
            outer_block::<S, 1, B>(s, left, right, (a, b), frames, sums);
            a += 1;
        }
    }
}

/// [`outer_add`] for the rows from `a` to `a + A` of `left` and those from `b` to `b + B` of `right`.
///
/// # Safety
/// The requirements of [`outer_add`] hold, and `a + A` and `b + B` must be at most the rows of the series.
#[inline(always)]
unsafe fn outer_block<S: Simd, const A: usize, const B: usize>(
    s: S,
    left: VectorSeries,
    right: VectorSeries,
    (a, b): (usize, usize),
    frames: usize,
    sums: *mut f32,
) {
    // SAFETY: the caller keeps the contract.
    unsafe {
        let mut block = [[s.splat(0.0); B]; A];
        for (i, row) in block.iter_mut().enumerate() {
            for (k, sum) in row.iter_mut().enumerate() {
                *sum = s.load(sums.add(((a + i) * right.rows + b + k) * S::LANES));
            }
        }
        let (mut x, mut y) = (left.values.add(a * S::LANES), right.values.add(b * S::LANES));
        for _ in 0..frames {
            let mut y_now = [s.splat(0.0); B];
            for (k, y_now) in y_now.iter_mut().enumerate() {
                *y_now = s.load(y.add(k * S::LANES));
            }
            for (i, row) in block.iter_mut().enumerate() {
                let x = s.load(x.add(i * S::LANES));
                for (sum, y) in row.iter_mut().zip(y_now) {
                    *sum = s.mul_add(x, y, *sum);
                }
            }
            (x, y) = (x.wrapping_add(left.step), y.wrapping_add(right.step));
        }
        for (i, row) in block.into_iter().enumerate() {
            for (k, sum) in row.into_iter().enumerate() {
                s.store(sums.add(((a + i) * right.rows + b + k) * S::LANES), sum);
            }
        }
    }
}
