//! SOAP: Adam in the eigenbases of each matrix's gradients (Vyas et al., "SOAP: Improving and Stabilizing Shampoo using Adam",
//! ICLR 2025), with the gradient's norm limited, and a moving average of the weights.

pub use super::eigenbasis::ParameterMatrix;

/// Decay at each step of three means: of the gradient, of its square, and of the products that the bases are made of. As in the
/// paper, but the second is slower: found by trial.
const BETAS: (f32, f32, f32) = (0.95, 0.99, 0.95);
/// Added to the root of the mean square, so that no step divides by 0.
const EPSILON: f32 = 1e-8;
/// Steps from one refinement of the bases to the next.
const REFINEMENT_STEPS: u64 = 10;
/// The largest norm of a gradient; a longer one is scaled down to it.
const MAX_GRADIENT_NORM: f32 = 1.0;
/// Decay of the weights' average at each step. It is smaller in the first steps, so that the average forgets the initial weights.
const AVERAGE_DECAY: f32 = 0.998;

/// The state of the optimiser: all that the next step depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct OptimiserState {
    /// The parameters that are trained.
    pub weights: Vec<f32>,
    /// Exponential moving average of the weights: it is evaluated and exported, as it is less noisy than the weights of any step.
    pub average: Vec<f32>,
    /// Mean gradient of each parameter.
    pub first: Vec<f32>,
    /// Mean square of the gradient in the bases: element (i, k) of a rotated matrix is at the index of parameter (i, k).
    pub second: Vec<f32>,
    /// The bases of each matrix in turn, as [`ParameterMatrix::initial_bases`] lays them out.
    pub bases: Vec<f32>,
    /// Steps done; gradients that were not finite do not count.
    pub steps: u64,
}

/// The SOAP optimiser over some matrices of parameters.
pub struct Optimiser {
    matrices: Vec<ParameterMatrix>,
    /// Weights and means.
    pub state: OptimiserState,
}

impl Optimiser {
    /// An optimiser before its first step. [control thread: allocates]
    ///
    /// # Panics
    /// If there is a parameter that does not belong to exactly one of the matrices.
    #[must_use]
    pub fn new(weights: Vec<f32>, matrices: Vec<ParameterMatrix>) -> Self {
        let mut indices: Vec<usize> = matrices.iter().flat_map(|matrix| matrix.indices.iter().copied()).collect();
        indices.sort_unstable();
        assert!(indices.into_iter().eq(0..weights.len()), "matrices that hold every parameter once");
        let zero = vec![0.0; weights.len()];
        let bases = matrices.iter().flat_map(ParameterMatrix::initial_bases).collect();
        let state = OptimiserState { average: weights.clone(), first: zero.clone(), second: zero, bases, weights, steps: 0 };
        Self { matrices, state }
    }

    /// Takes a state. Returns false, and changes nothing, if its sizes are not those of the matrices. [control thread]
    pub fn restore(&mut self, state: OptimiserState) -> bool {
        let sizes = |s: &OptimiserState| [&s.weights, &s.average, &s.first, &s.second, &s.bases].map(Vec::len);
        let fits = sizes(&state) == sizes(&self.state);
        if fits {
            self.state = state;
        }
        fits
    }

    /// One step along `gradient`. Returns false, and changes nothing, if the gradient is not finite. [training thread: allocates]
    pub fn step(&mut self, gradient: &[f32], learning_rate: f32) -> bool {
        let norm = gradient.iter().map(|g| f64::from(g * g)).sum::<f64>().sqrt() as f32;
        if !norm.is_finite() {
            return false;
        }
        let OptimiserState { weights, average, first, second, bases, steps } = &mut self.state;
        *steps += 1;
        let scale = if norm > MAX_GRADIENT_NORM { MAX_GRADIENT_NORM / norm } else { 1.0 };
        let bias_correction = |beta: f32| 1.0 - f64::from(beta).powf(*steps as f64) as f32;
        let (first_correction, second_correction) = (bias_correction(BETAS.0), bias_correction(BETAS.1));
        // In the first steps all means are plain means of the steps so far.
        let blend = |beta: f32| (1.0 - beta).max(1.0 / *steps as f32);
        let mut remaining_bases = bases.as_mut_slice();
        for matrix in &self.matrices {
            let (own_bases, others) = remaining_bases.split_at_mut(matrix.bases_len());
            remaining_bases = others;
            let g: Vec<f32> = matrix.indices.iter().map(|&i| scale * gradient[i]).collect();
            let mean = matrix.indices.iter().zip(&g).map(|(&i, g)| first[i] + (1.0 - BETAS.0) * (g - first[i]));
            let mean: Vec<f32> = mean.collect();
            matrix.indices.iter().zip(&mean).for_each(|(&i, mean)| first[i] = *mean);
            matrix.update_means(own_bases, &g, blend(BETAS.2));
            if *steps % REFINEMENT_STEPS == 1 {
                matrix.refine(own_bases);
            }
            let g = matrix.rotate(own_bases, g);
            let mut change = matrix.rotate(own_bases, mean);
            for ((change, g), &i) in change.iter_mut().zip(g).zip(&matrix.indices) {
                second[i] += (1.0 - BETAS.1) * (g * g - second[i]);
                *change = (*change / first_correction) / ((second[i] / second_correction).sqrt() + EPSILON);
            }
            for (change, &i) in matrix.rotate_back(own_bases, change).into_iter().zip(&matrix.indices) {
                weights[i] -= learning_rate * change;
            }
        }
        let share = blend(AVERAGE_DECAY);
        average.iter_mut().zip(&*weights).for_each(|(average, weight)| *average += share * (weight - *average));
        true
    }
}

/// The learning rate at a part of the training (`progress`, 0 to 1): from `first` to `last` along half a cosine (Loshchilov and
/// Hutter, "SGDR", ICLR 2017). [any thread]
#[must_use]
pub fn cosine(first: f32, last: f32, progress: f64) -> f32 {
    last + 0.5 * (first - last) * (1.0 + (std::f64::consts::PI * progress.clamp(0.0, 1.0)).cos() as f32)
}
