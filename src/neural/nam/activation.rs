//! Reading activations by the names that they have in `.nam` files.

use crate::neural::ModelError;
use crate::neural::description::Activation;
use crate::neural::json::Field;

/// Reads an activation for this many channels: its name, or an object with the name and options.
pub fn activation(at: &Field<'_>, channels: usize) -> Result<Activation, ModelError> {
    let (name, options) = if at.is_text() { (at.clone(), None) } else { (at.get("type")?, Some(at)) };
    let option = |key: &str, default: f32| match options.map(|o| o.find(key)).transpose()?.flatten() {
        Some(field) => field.float(),
        None => Ok(default),
    };
    Ok(match name.text()? {
        // `Fasttanh` is NeuralAmpModelerCore's approximation of tanh, with an error of 9e-4.
        "Tanh" | "Fasttanh" => Activation::Tanh,
        "Hardtanh" => Activation::HardTanh,
        "ReLU" => Activation::Relu,
        "LeakyReLU" => Activation::LeakyRelu(vec![option("negative_slope", 0.01)?]),
        "PReLU" => {
            let slopes = options.map(|o| o.find("negative_slopes")).transpose()?.flatten();
            match slopes {
                Some(slopes) if !at.has("negative_slope") => {
                    let list = slopes.floats(None)?;
                    if list.len() != channels && list.len() != 1 {
                        return Err(slopes.error(format!("{} slopes", list.len()), format!("1 or {channels}, one a channel")));
                    }
                    Activation::LeakyRelu(list)
                }
                _ => Activation::LeakyRelu(vec![option("negative_slope", 0.01)?]),
            }
        }
        "Sigmoid" => Activation::Sigmoid,
        "SiLU" => Activation::Silu,
        "Hardswish" => Activation::HardSwish,
        "LeakyHardtanh" | "LeakyHardTanh" => Activation::LeakyHardTanh {
            min: option("min_val", -1.0)?,
            max: option("max_val", 1.0)?,
            min_slope: option("min_slope", 0.01)?,
            max_slope: option("max_slope", 0.01)?,
        },
        "Softsign" => Activation::Softsign,
        _ => {
            return Err(name.unexpected(
                "Tanh, Hardtanh, Fasttanh, ReLU, LeakyReLU, PReLU, Sigmoid, SiLU, Hardswish, LeakyHardtanh or Softsign",
            ));
        }
    })
}
