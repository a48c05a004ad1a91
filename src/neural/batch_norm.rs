//! Folding of a batch normalisation into the convolution before it, computed in f64.

use super::description::Conv1d;

/// Scales the weights of a convolution so that it does what the convolution and a batch normalisation after it did, and
/// returns the bias that the convolution needs then. The slices and the bias have one number for each output channel.
///
/// # Errors
/// The index of the first output channel whose weights or bias would not be finite.
pub fn fold(conv: &mut Conv1d, mean: &[f32], variance: &[f32], gamma: &[f32], beta: &[f32], eps: f64) -> Result<Vec<f32>, usize> {
    let weights_per_output = conv.weights.len() / conv.outputs;
    let mut bias = vec![0.0; conv.outputs];
    for (output, (row, bias)) in conv.weights.chunks_exact_mut(weights_per_output).zip(&mut bias).enumerate() {
        let scale = f64::from(gamma[output]) / (f64::from(variance[output]) + eps).sqrt();
        for weight in &mut *row {
            *weight = (scale * f64::from(*weight)) as f32;
        }
        let before = conv.bias.as_ref().map_or(0.0, |b| f64::from(b[output]));
        *bias = (f64::from(beta[output]) + scale * (before - f64::from(mean[output]))) as f32;
        if !(bias.is_finite() && row.iter().all(|w| w.is_finite())) {
            return Err(output);
        }
    }
    Ok(bias)
}
