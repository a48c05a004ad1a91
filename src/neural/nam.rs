//! `.nam` files of Neural Amp Modeler, versions 0.5.0 to 0.7, as NeuralAmpModelerCore 0.5.5 reads them. The weights of a
//! network are one list, in the order in which NeuralAmpModelerCore takes them from it.
#![warn(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]

mod activation;
mod array;
mod sequence;
mod slimmable;
mod submodel;
mod wavenet;
mod weights;

use super::budget::Budget;
use super::format::{Content, ModelFormat};
use super::json::Field;
use super::model::{MAX_LATE_FRAMES, ModelError, ModelInfo, ParsedModel, whole_late_frames};

/// The row in the registry of model formats.
pub static FORMAT: ModelFormat = ModelFormat {
    id: "nam",
    name: ".nam",
    written_by: "Neural Amp Modeler",
    extensions: &["nam"],
    content: Content::Json { keys: &["architecture", "weights"], read },
};

fn read(root: &Field<'_>) -> Result<ParsedModel, ModelError> {
    let model = submodel::read(root, 0, &mut Budget::new())?;
    if model.outputs != 1 {
        return Err(root.get("config")?.error(format!("{} outputs", model.outputs), 1));
    }
    let metadata = root.find("metadata")?;
    let number = |key: &str, min: f64, max: f64| -> Result<Option<f32>, ModelError> {
        let field = metadata.as_ref().map(|m| m.find(key)).transpose()?.flatten();
        field.map(|f| f.within(min, max)).transpose()
    };
    // A container may have such texts only in the metadata of its largest model.
    let text = |key: &str| -> Result<Option<String>, ModelError> {
        let own = metadata.as_ref().map(|m| m.find(key)).transpose()?.flatten();
        let inner = model.largest_metadata.as_ref().map(|m| m.find(key)).transpose()?.flatten();
        let words = own.or(inner).map(|f| f.text().map(str::trim)).transpose()?;
        Ok(words.filter(|w| !w.is_empty()).map(str::to_owned))
    };
    let training = metadata.as_ref().map(|m| m.find("training")).transpose()?.flatten();
    let esr = training.map(|t| t.find("validation_esr")).transpose()?.flatten().map(|f| f.float()).transpose()?;
    let loudness_db = match number("loudness", -300.0, 300.0)? {
        None => model.sizes.last().and_then(|s| s.loudness_db),
        given => given,
    };
    let info = ModelInfo {
        version: Some(root.get("version")?.text()?.to_owned()),
        name: text("name")?,
        author: text("modeled_by")?,
        gear_make: text("gear_make")?,
        gear_model: text("gear_model")?,
        gear_type: text("gear_type")?,
        tone_type: text("tone_type")?,
        sample_rate_given: model.sample_rate.is_some(),
        loudness_db,
        input_level_dbu: number("input_level_dbu", -200.0, 200.0)?,
        output_level_dbu: number("output_level_dbu", -200.0, 200.0)?,
        esr,
        late_frames: number("late_frames", 0.0, MAX_LATE_FRAMES as f64)?.map_or(0, whole_late_frames),
        ..ModelInfo::new(FORMAT.id, model.summary, model.weights, model.sample_rate.unwrap_or(submodel::SAMPLE_RATE))
    };
    Ok(ParsedModel { info, sizes: model.sizes, test_vector: None })
}
