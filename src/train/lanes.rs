//! Products of matrices and vectors, each lane of a vector a sequence of its own.
//!
//! No vector goes through a closure here or in the other kernels: a closure is compiled without the level's instructions.

use crate::neural::simd::Simd;

/// Rows that a product works on at once: as many sums as hide the latency of their additions.
const ROWS: usize = 8;

/// A matrix: `weights[row * row_step + column * column_step]`.
#[derive(Clone, Copy)]
pub struct Matrix {
    pub weights: *const f32,
    pub rows: usize,
    pub columns: usize,
    pub row_step: usize,
    pub column_step: usize,
}

/// `out[row] += sum over columns of matrix[row][column] x[column]`, each element of `out` and `x` a vector.
///
/// # Safety
/// The matrix's elements, `rows` vectors at `out` and `columns` vectors at `x` must be there; `out` and `x` must not overlap.
#[inline(always)]
pub unsafe fn multiply_add<S: Simd>(s: S, matrix: Matrix, x: *const f32, out: *mut f32) {
    let mut row = 0;
    // SAFETY: the caller's; the rows of a block are below `matrix.rows`.
    unsafe {
        while row + ROWS <= matrix.rows {
            multiply_rows::<S, ROWS>(s, matrix, row, x, out);
            row += ROWS;
        }
        while row < matrix.rows {
            multiply_rows::<S, 1>(s, matrix, row, x, out);
            row += 1;
        }
    }
}

/// # Safety
/// As [`multiply_add`], and `row + R` must be at most the matrix's rows.
#[inline(always)]
unsafe fn multiply_rows<S: Simd, const R: usize>(s: S, matrix: Matrix, row: usize, x: *const f32, out: *mut f32) {
    // SAFETY: the caller's.
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

/// Vectors over time: `rows` at each of some frames, `step` values from one frame to the next.
#[derive(Clone, Copy)]
pub struct Series {
    pub values: *const f32,
    pub rows: usize,
    pub step: usize,
}

/// `sums[a][b] += sum over frames of left[a] right[b]`, each sum a vector whose lanes are still to be added up.
///
/// # Safety
/// `frames` of both series and `left.rows * right.rows` vectors at `sums` must be there.
#[inline(always)]
pub unsafe fn outer_add<S: Simd>(s: S, left: Series, right: Series, frames: usize, sums: *mut f32) {
    // SAFETY: the caller's.
    unsafe {
        // Sums must stay in registers: there are twice as many at 512 bits.
        if S::LANES == 16 {
            outer_blocks::<S, 4>(s, left, right, frames, sums);
        } else {
            outer_blocks::<S, 2>(s, left, right, frames, sums);
        }
    }
}

/// # Safety
/// As [`outer_add`].
#[inline(always)]
unsafe fn outer_blocks<S: Simd, const B: usize>(s: S, left: Series, right: Series, frames: usize, sums: *mut f32) {
    // SAFETY: the caller's; a block's rows are below those of the series.
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

/// # Safety
/// As [`outer_add`], and `b + B` must be at most `right.rows`.
#[inline(always)]
unsafe fn outer_column<S: Simd, const B: usize>(s: S, left: Series, right: Series, b: usize, frames: usize, sums: *mut f32) {
    // SAFETY: the caller's; a block's rows are below those of the series.
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

/// # Safety
/// As [`outer_add`], and `a + A` and `b + B` must be at most the rows of the series.
#[inline(always)]
unsafe fn outer_block<S: Simd, const A: usize, const B: usize>(
    s: S,
    left: Series,
    right: Series,
    (a, b): (usize, usize),
    frames: usize,
    sums: *mut f32,
) {
    // SAFETY: the caller's.
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
