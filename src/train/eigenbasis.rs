//! The eigenbases of a parameter matrix: the rotations after which the elements of its gradients are most nearly independent of
//! each other. The optimiser works in them.

use std::ops::{AddAssign, Mul};

/// Parameters of a network that form a matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterMatrix {
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub columns: usize,
    /// `[rows][columns]`: the index of each element among the network's parameters.
    pub indices: Vec<usize>,
}

/// The longest side that is rotated: for longer ones that would cost more than it gains.
const MAX_SIDE: usize = 256;
/// An element off the diagonal, relative to those on it, that is small enough to skip its rotation.
const NEGLIGIBLE: f64 = 1e-9;

impl ParameterMatrix {
    /// Lengths of the sides that are rotated, rows first; 0 for one that is not.
    fn sides(&self) -> [usize; 2] {
        [self.rows, self.columns].map(|size| if size > MAX_SIDE { 0 } else { size })
    }

    /// Number of values of its bases: for each rotated side of length n the mean of the gradients' products, `[n][n]`, then its
    /// eigenvectors as rows, `[n][n]`.
    pub fn bases_len(&self) -> usize {
        self.sides().iter().map(|n| 2 * n * n).sum()
    }

    /// Bases to begin with: zero means and no rotation (identity matrices).
    pub fn initial_bases(&self) -> Vec<f32> {
        let mut bases = Vec::with_capacity(self.bases_len());
        for n in self.sides() {
            bases.resize(bases.len() + n * n, 0.0);
            bases.extend((0..n * n).map(|i| if i / n == i % n { 1.0 } else { 0.0 }));
        }
        bases
    }

    /// Moves both means by `share` (0 to 1) towards the products of a gradient G: G Gᵀ for the rows, Gᵀ G for the columns.
    pub fn update_means(&self, bases: &mut [f32], gradient: &[f32], share: f32) {
        let (m, n) = (self.rows, self.columns);
        let gradient_transposed = transposed(gradient, m, n);
        let [rows, columns] = self.sides();
        let (left, right) = bases.split_at_mut(2 * rows * rows);
        if rows > 0 {
            let now = product(gradient, &gradient_transposed, (m, n, m));
            left.iter_mut().zip(now).for_each(|(mean, now)| *mean += share * (now - *mean));
        }
        if columns > 0 {
            let now = product(&gradient_transposed, gradient, (n, m, n));
            right.iter_mut().zip(now).for_each(|(mean, now)| *mean += share * (now - *mean));
        }
    }

    /// Moves both bases towards the eigenvectors of their means, by one sweep of Jacobi's method.
    pub fn refine(&self, bases: &mut [f32]) {
        let mut remaining = bases;
        for n in self.sides() {
            let (side, others) = remaining.split_at_mut(2 * n * n);
            let (mean, basis) = side.split_at_mut(n * n);
            jacobi_sweep(mean, basis, n);
            remaining = others;
        }
    }

    /// Rotates a matrix into the bases.
    pub fn rotate(&self, bases: &[f32], x: Vec<f32>) -> Vec<f32> {
        self.multiply(bases, x, false)
    }

    /// Rotates a matrix back from the bases: the inverse of [`Self::rotate`].
    pub fn rotate_back(&self, bases: &[f32], x: Vec<f32>) -> Vec<f32> {
        self.multiply(bases, x, true)
    }

    fn multiply(&self, bases: &[f32], mut x: Vec<f32>, back: bool) -> Vec<f32> {
        let [rows, columns] = self.sides();
        let (left, right) = bases.split_at(2 * rows * rows);
        if rows > 0 {
            let basis = &left[rows * rows..];
            let size = (rows, rows, self.columns);
            x = if back { product(&transposed(basis, rows, rows), &x, size) } else { product(basis, &x, size) };
        }
        if columns > 0 {
            let basis = &right[columns * columns..];
            let size = (self.rows, columns, columns);
            x = if back { product(&x, basis, size) } else { product(&x, &transposed(basis, columns, columns), size) };
        }
        x
    }
}

/// One sweep of Jacobi's rotations over `mean`, rotated into the basis; `basis` is rotated with it. The rotations are small, so
/// each eigenvector stays in its row.
fn jacobi_sweep(mean: &[f32], basis: &mut [f32], n: usize) {
    let wide = |values: &[f32]| -> Vec<f64> { values.iter().map(|x| f64::from(*x)).collect() };
    let mut q = wide(basis);
    let half = product(&q, &wide(mean), (n, n, n));
    let mut a = product(&half, &transposed(&q, n, n), (n, n, n));
    for i in 0..n {
        for k in i + 1..n {
            let (aii, akk, aik) = (a[i * n + i], a[k * n + k], a[i * n + k]);
            if aik.abs() <= NEGLIGIBLE * (aii * akk).abs().sqrt() {
                continue;
            }
            let cot = (akk - aii) / (2.0 * aik);
            let tan = cot.signum() / (cot.abs() + cot.hypot(1.0));
            let cos = 1.0 / tan.hypot(1.0);
            let sin = tan * cos;
            let rotate = |x: &mut f64, y: &mut f64| (*x, *y) = (cos * *x - sin * *y, sin * *x + cos * *y);
            for values in [&mut a, &mut q] {
                let (before, from) = values.split_at_mut(k * n);
                before[i * n..(i + 1) * n].iter_mut().zip(&mut from[..n]).for_each(|(x, y)| rotate(x, y));
            }
            for row in a.chunks_exact_mut(n) {
                let (before, from) = row.split_at_mut(k);
                rotate(&mut before[i], &mut from[0]);
            }
        }
    }
    // The rows are made orthonormal again (Gram and Schmidt), so that rounding errors do not add up.
    for i in 0..n {
        let (done, rest) = q.split_at_mut(i * n);
        let row = &mut rest[..n];
        for other in done.chunks_exact(n) {
            let along: f64 = row.iter().zip(other).map(|(a, b)| a * b).sum();
            row.iter_mut().zip(other).for_each(|(a, b)| *a -= along * b);
        }
        let length = row.iter().map(|x| x * x).sum::<f64>().sqrt();
        row.iter_mut().for_each(|x| *x /= length);
    }
    basis.iter_mut().zip(q).for_each(|(b, q)| *b = q as f32);
}

/// Matrix product of `a[m][k]` and `b[k][n]`.
fn product<T: Copy + Default + AddAssign + Mul<Output = T>>(a: &[T], b: &[T], (m, k, n): (usize, usize, usize)) -> Vec<T> {
    let mut out = vec![T::default(); m * n];
    for i in 0..m {
        let out = &mut out[i * n..(i + 1) * n];
        for (&x, b) in a[i * k..(i + 1) * k].iter().zip(b.chunks_exact(n)) {
            out.iter_mut().zip(b).for_each(|(out, &b)| *out += x * b);
        }
    }
    out
}

/// `a[rows][columns]` as `[columns][rows]`.
fn transposed<T: Copy>(a: &[T], rows: usize, columns: usize) -> Vec<T> {
    (0..rows * columns).map(|i| a[i % rows * columns + i / rows]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Random;

    fn noise(random: &mut Random, n: usize) -> Vec<f32> {
        (0..n).map(|_| random.within(-1.0, 1.0)).collect()
    }

    #[test]
    fn bases_become_the_eigenvectors_and_stay_orthonormal() {
        let (m, n) = (6, 5);
        let matrix = ParameterMatrix { rows: m, columns: n, indices: (0..m * n).collect() };
        let mut random = Random::new(4);
        let mut bases = matrix.initial_bases();
        for i in 0..8 {
            matrix.update_means(&mut bases, &noise(&mut random, m * n), 1.0 / (i + 1) as f32);
        }
        for _ in 0..12 {
            matrix.refine(&mut bases);
        }
        let (left, right) = bases.split_at(2 * m * m);
        for (side, n) in [(left, m), (right, n)] {
            let (mean, q) = side.split_at(n * n);
            let other = transposed(q, n, n);
            let rotated = product(&product(q, mean, (n, n, n)), &other, (n, n, n));
            let square = product(q, &other, (n, n, n));
            for i in 0..n * n {
                let one = if i / n == i % n { 1.0 } else { 0.0 };
                assert!((square[i] - one).abs() < 1e-6, "{square:?}");
                assert!(one == 1.0 || rotated[i].abs() < 1e-5 * rotated[0].abs(), "{rotated:?}");
            }
        }
    }

    #[test]
    fn rotating_back_undoes_a_rotation() {
        for (rows, columns) in [(7, 3), (1, 4), (300, 2)] {
            let matrix = ParameterMatrix { rows, columns, indices: (0..rows * columns).collect() };
            let mut random = Random::new(9);
            let mut bases = matrix.initial_bases();
            assert_eq!(bases.len(), matrix.bases_len());
            matrix.update_means(&mut bases, &noise(&mut random, rows * columns), 1.0);
            matrix.refine(&mut bases);
            let x = noise(&mut random, rows * columns);
            let rotated = matrix.rotate(&bases, x.clone());
            assert!(rotated.iter().zip(&x).any(|(a, b)| (a - b).abs() > 0.1));
            let back = matrix.rotate_back(&bases, rotated);
            assert!(back.iter().zip(&x).all(|(a, b)| (a - b).abs() < 1e-5), "{rows} {columns}");
        }
    }
}
