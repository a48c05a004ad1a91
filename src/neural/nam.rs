//! `.nam` files of Neural Amp Modeler, versions 0.5.0 to 0.7: what NeuralAmpModelerCore 0.5.5 reads, in its order of weights.

mod activation;
mod array;
mod part;
mod sequence;
mod slimmable;
mod wavenet;
mod weights;

use super::budget::Budget;
use super::format::{Content, Format};
use super::json::Field;
use super::model::{Info, Loaded, MOST_LATE_FRAMES, ModelError};

pub static FORMAT: Format = Format {
    id: "nam",
    name: ".nam",
    from: "Neural Amp Modeler",
    endings: &["nam"],
    content: Content::Json { keys: &["architecture", "weights"], read },
};

fn read(root: &Field<'_>) -> Result<Loaded, ModelError> {
    let part = part::part(root, 0, &mut Budget::new())?;
    if part.outputs != 1 {
        return Err(root.get("config")?.error(format!("{} outputs", part.outputs), 1));
    }
    let at = root.find("metadata")?;
    let number = |key: &str, least: f64, most: f64| -> Result<Option<f32>, ModelError> {
        let field = at.as_ref().map(|m| m.find(key)).transpose()?.flatten();
        field.map(|f| f.within(least, most)).transpose()
    };
    // A container may leave what a model is to its largest.
    let text = |key: &str| -> Result<Option<String>, ModelError> {
        let own = at.as_ref().map(|m| m.find(key)).transpose()?.flatten();
        let inner = part.largest.as_ref().map(|m| m.find(key)).transpose()?.flatten();
        let words = own.or(inner).map(|f| f.text().map(str::trim)).transpose()?;
        Ok(words.filter(|w| !w.is_empty()).map(str::to_owned))
    };
    let training = at.as_ref().map(|m| m.find("training")).transpose()?.flatten();
    let esr = training.map(|t| t.find("validation_esr")).transpose()?.flatten().map(|f| f.float()).transpose()?;
    let loudness_db = match number("loudness", -300.0, 300.0)? {
        None => part.sizes.last().and_then(|s| s.loudness_db),
        given => given,
    };
    let info = Info {
        version: Some(root.get("version")?.text()?.to_owned()),
        name: text("name")?,
        author: text("modeled_by")?,
        gear_make: text("gear_make")?,
        gear_model: text("gear_model")?,
        gear_type: text("gear_type")?,
        tone_type: text("tone_type")?,
        sample_rate_given: part.sample_rate.is_some(),
        loudness_db,
        input_level_dbu: number("input_level_dbu", -200.0, 200.0)?,
        output_level_dbu: number("output_level_dbu", -200.0, 200.0)?,
        esr,
        late_frames: number("late_frames", 0.0, MOST_LATE_FRAMES as f64)?.map_or(0, |n| n as usize),
        ..Info::new(FORMAT.id, part.summary, part.weights, part.sample_rate.unwrap_or(part::SAMPLE_RATE))
    };
    Ok(Loaded { info, sizes: part.sizes, golden: None })
}
