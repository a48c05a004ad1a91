//! Adam, with the gradient's length limited, and an average of the weights.

/// Kingma and Ba, ICLR 2015, with its own constants.
const BETA: (f32, f32) = (0.9, 0.999);
const EPSILON: f32 = 1e-8;
/// Longest gradient.
const LONGEST: f32 = 1.0;
/// How much of the average a step leaves; in the first steps less, so that it forgets where training began.
const AVERAGE: f32 = 0.998;

/// Weights on their way.
#[derive(Clone, Debug, PartialEq)]
pub struct Optimiser {
    pub weights: Vec<f32>,
    /// Exponential moving average of the weights: what is measured and shipped.
    pub average: Vec<f32>,
    pub first: Vec<f32>,
    pub second: Vec<f32>,
    /// Gradients that were no numbers count as no step.
    pub steps: u64,
}

impl Optimiser {
    /// [control thread: allocates]
    #[must_use]
    pub fn new(weights: Vec<f32>) -> Self {
        let zero = vec![0.0; weights.len()];
        Self { average: weights.clone(), first: zero.clone(), second: zero, weights, steps: 0 }
    }

    /// One step. Returns whether the gradient was finite; if not, nothing changes.
    pub fn step(&mut self, gradient: &[f32], rate: f32) -> bool {
        let length = gradient.iter().map(|g| f64::from(g * g)).sum::<f64>().sqrt() as f32;
        if !length.is_finite() {
            return false;
        }
        self.steps += 1;
        let scale = if length > LONGEST { LONGEST / length } else { 1.0 };
        let power = |beta: f32| 1.0 - f64::from(beta).powf(self.steps as f64) as f32;
        let (first_so_far, second_so_far) = (power(BETA.0), power(BETA.1));
        let follow = (1.0 - AVERAGE).max(1.0 / self.steps as f32);
        for (i, g) in gradient.iter().enumerate() {
            let g = g * scale;
            self.first[i] += (1.0 - BETA.0) * (g - self.first[i]);
            self.second[i] += (1.0 - BETA.1) * (g * g - self.second[i]);
            self.weights[i] -= rate * (self.first[i] / first_so_far) / ((self.second[i] / second_so_far).sqrt() + EPSILON);
            self.average[i] += follow * (self.weights[i] - self.average[i]);
        }
        true
    }
}

/// From `first` at 0 to `last` at 1 along half a cosine (Loshchilov and Hutter, ICLR 2017).
#[must_use]
pub fn cosine(first: f32, last: f32, progress: f64) -> f32 {
    last + 0.5 * (first - last) * (1.0 + (std::f64::consts::PI * progress.clamp(0.0, 1.0)).cos() as f32)
}
