//! SOAP: Adam in the eigenbases of each matrix's gradients. With the gradient's length limited, and an average of the weights.

pub use super::basis::Tensor;

/// How fast the means follow: of the gradient, of its square, and of what the bases are of (Vyas et al., "SOAP", ICLR 2025; the
/// second one slower, found by trial).
const BETA: (f32, f32, f32) = (0.95, 0.99, 0.95);
const EPSILON: f32 = 1e-8;
/// Steps from one refinement of the bases to the next.
const REFINEMENT: u64 = 10;
/// Longest gradient.
const LONGEST: f32 = 1.0;
/// How much of the average a step leaves; in the first steps less, so that it forgets where training began.
const AVERAGE: f32 = 0.998;

/// Weights on their way: all that the next step depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    pub weights: Vec<f32>,
    /// Exponential moving average of the weights: what is measured and shipped.
    pub average: Vec<f32>,
    /// Mean gradient, by parameter.
    pub first: Vec<f32>,
    /// Mean square of the gradient in the bases, each at a parameter's place.
    pub second: Vec<f32>,
    /// Of each tensor in turn.
    pub bases: Vec<f32>,
    /// Gradients that were no numbers count as no step.
    pub steps: u64,
}

pub struct Optimiser {
    tensors: Vec<Tensor>,
    pub now: Progress,
}

impl Optimiser {
    /// Every parameter belongs to one of the tensors. [control thread: allocates]
    ///
    /// # Panics
    /// If one does not.
    #[must_use]
    pub fn new(weights: Vec<f32>, tensors: Vec<Tensor>) -> Self {
        let mut places: Vec<usize> = tensors.iter().flat_map(|t| t.places.iter().copied()).collect();
        places.sort_unstable();
        assert!(places.into_iter().eq(0..weights.len()), "tensors that hold every parameter once");
        let zero = vec![0.0; weights.len()];
        let bases = tensors.iter().flat_map(Tensor::begin).collect();
        let now = Progress { average: weights.clone(), first: zero.clone(), second: zero, bases, weights, steps: 0 };
        Self { tensors, now }
    }

    /// Goes on somewhere else. Returns whether it is of the same tensors; if not, nothing changes.
    pub fn restore(&mut self, progress: Progress) -> bool {
        let sizes = |p: &Progress| [&p.weights, &p.average, &p.first, &p.second, &p.bases].map(Vec::len);
        let fits = sizes(&progress) == sizes(&self.now);
        if fits {
            self.now = progress;
        }
        fits
    }

    /// One step. Returns whether the gradient was finite; if not, nothing changes.
    pub fn step(&mut self, gradient: &[f32], rate: f32) -> bool {
        let length = gradient.iter().map(|g| f64::from(g * g)).sum::<f64>().sqrt() as f32;
        if !length.is_finite() {
            return false;
        }
        let Progress { weights, average, first, second, bases, steps } = &mut self.now;
        *steps += 1;
        let scale = if length > LONGEST { LONGEST / length } else { 1.0 };
        let power = |beta: f32| 1.0 - f64::from(beta).powf(*steps as f64) as f32;
        let (first_so_far, second_so_far) = (power(BETA.0), power(BETA.1));
        // In the first steps plain means.
        let follow = |beta: f32| (1.0 - beta).max(1.0 / *steps as f32);
        let mut rest = bases.as_mut_slice();
        for tensor in &self.tensors {
            let (own, others) = rest.split_at_mut(tensor.bases_len());
            rest = others;
            let g: Vec<f32> = tensor.places.iter().map(|&i| scale * gradient[i]).collect();
            let mean: Vec<f32> = tensor.places.iter().zip(&g).map(|(&i, g)| first[i] + (1.0 - BETA.0) * (g - first[i])).collect();
            tensor.places.iter().zip(&mean).for_each(|(&i, mean)| first[i] = *mean);
            tensor.follow(own, &g, follow(BETA.2));
            if *steps % REFINEMENT == 1 {
                tensor.refine(own);
            }
            let g = tensor.turn(own, g);
            let mut change = tensor.turn(own, mean);
            for ((change, g), &i) in change.iter_mut().zip(g).zip(&tensor.places) {
                second[i] += (1.0 - BETA.1) * (g * g - second[i]);
                *change = (*change / first_so_far) / ((second[i] / second_so_far).sqrt() + EPSILON);
            }
            for (change, &i) in tensor.turn_back(own, change).into_iter().zip(&tensor.places) {
                weights[i] -= rate * change;
            }
        }
        let follow = follow(AVERAGE);
        average.iter_mut().zip(&*weights).for_each(|(average, weight)| *average += follow * (weight - *average));
        true
    }
}

/// From `first` at 0 to `last` at 1 along half a cosine (Loshchilov and Hutter, ICLR 2017).
#[must_use]
pub fn cosine(first: f32, last: f32, progress: f64) -> f32 {
    last + 0.5 * (first - last) * (1.0 + (std::f64::consts::PI * progress.clamp(0.0, 1.0)).cos() as f32)
}
