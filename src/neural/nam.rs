//! `.nam` files of Neural Amp Modeler, versions 0.5.0 to 0.7, as NeuralAmpModelerCore 0.5.5 reads them. The weights of a
//! network are one list, in the order in which NeuralAmpModelerCore takes them from it.
#![warn(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_possible_wrap)]

mod activation;
mod array;
mod oversample;
mod sequence;
mod slimmable;
mod submodel;
mod text;
mod wavenet;
mod weights;

pub use oversample::OversampleError;

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

/// The range of a loudness, in dB.
const LOUDNESS_DB: (f64, f64) = (-300.0, 300.0);
/// The range of a level at full scale, in dBu.
const LEVEL_DBU: (f64, f64) = (-200.0, 200.0);

fn read(root: &Field<'_>) -> Result<ParsedModel, ModelError> {
    let model = submodel::read(root, 0, &mut Budget::new())?;
    if model.outputs != 1 {
        return Err(root.get("config")?.error(format!("{} outputs", model.outputs), 1));
    }
    let mut ignored = model.ignored;
    let metadata = ignored.object(Some(root), "metadata");
    let metadata = metadata.as_ref();
    let inner = model.largest_metadata.as_ref();
    // A container may have such texts only in the metadata of its largest model.
    let mut text = |key: &str| ignored.text(metadata, key).or_else(|| ignored.text(inner, key));
    let (name, author) = (text("name"), text("modeled_by"));
    let (gear_make, gear_model) = (text("gear_make"), text("gear_model"));
    let (gear_type, tone_type) = (text("gear_type"), text("tone_type"));
    let training = ignored.object(metadata, "training");
    let loudness_db = ignored.number(metadata, "loudness", LOUDNESS_DB.0, LOUDNESS_DB.1);
    for key in ["input_level_dbu", "output_level_dbu"] {
        // The values are in the sizes; this names those that cannot be used.
        ignored.number(metadata, key, LEVEL_DBU.0, LEVEL_DBU.1);
    }
    let late_frames = ignored.number(metadata, "late_frames", 0.0, MAX_LATE_FRAMES as f64);
    let info = ModelInfo {
        version: Some(root.get("version")?.text()?.to_owned()),
        name,
        author,
        gear_make,
        gear_model,
        gear_type,
        tone_type,
        sample_rate_given: model.sample_rate.is_some(),
        loudness_db: loudness_db.or_else(|| model.sizes.last().and_then(|s| s.loudness_db)),
        input_level_dbu: model.sizes.last().and_then(|s| s.input_level_dbu),
        output_level_dbu: model.sizes.last().and_then(|s| s.output_level_dbu),
        esr: ignored.number(training.as_ref(), "validation_esr", 0.0, f64::from(f32::MAX)),
        late_frames: late_frames.map_or(0, whole_late_frames),
        ignored: ignored.0,
        ..ModelInfo::new(FORMAT.id, model.summary, model.weights, model.sample_rate.unwrap_or(submodel::SAMPLE_RATE))
    };
    Ok(ParsedModel { info, sizes: model.sizes, test_vector: None })
}
