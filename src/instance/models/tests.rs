use std::fs;

use serde_json::{Value, json};

use super::*;
use crate::neural::{CALIBRATE_INPUT, INTERFACE_LEVEL};
use crate::view::ParameterUse;

/// Writes a NAM file with an impulse response of one tap, `gain`.
fn write_model(folder: &Path, name: &str, gain: f32) -> PathBuf {
    let path = folder.join(name);
    let text = json!({
        "version": "0.5.4", "architecture": "Linear", "config": { "receptive_field": 1, "bias": false }, "weights": [gain],
        "sample_rate": 48_000, "metadata": { "name": format!("gain {gain}") },
    });
    fs::write(&path, text.to_string()).unwrap();
    path
}

/// Runs one request, and all work that follows from it.
fn run_request(slot: &ModelSlot, request: ModelRequest) -> ModelView {
    slot.request(request);
    assert!(slot.view().loading);
    slot.run_requests();
    assert!(!slot.view().loading);
    while slot.do_deferred_work(&|| true) {}
    slot.view()
}

fn name(view: &ModelView) -> Option<&str> {
    view.model.as_ref().map(|m| m.name.as_str())
}

#[test]
fn a_file_that_is_not_a_model_keeps_the_old_model_and_the_next_step_skips_it() {
    let folder = tempfile::tempdir().unwrap();
    let first = write_model(folder.path(), "1.nam", 0.5);
    fs::write(folder.path().join("2.nam"), "{}").unwrap();
    write_model(folder.path(), "3.nam", 0.25);
    let slot = ModelSlot::default();
    let view = run_request(&slot, ModelRequest::Open(first.clone()));
    assert_eq!((name(&view), view.error.as_deref(), view.can_step), (Some("gain 0.5"), None, true));
    let (id, state_text) = (slot.id(), slot.state_text());
    assert!(id.is_some());
    let view = run_request(&slot, ModelRequest::Step(1));
    assert_eq!(name(&view), Some("gain 0.5"));
    assert!(view.error.unwrap().contains("2.nam"));
    assert_eq!((slot.id(), slot.state_text()), (id, state_text));
    let view = run_request(&slot, ModelRequest::Step(1));
    assert_eq!((name(&view), view.error.as_deref()), (Some("gain 0.25"), None));
    let facts = view.model.unwrap();
    assert!(facts.cost_ns.unwrap() > 0.0 && facts.path == Some(folder.path().join("3.nam")));
    assert_eq!(name(&run_request(&slot, ModelRequest::Step(-2))), Some("gain 0.5"));
    let view = run_request(&slot, ModelRequest::Clear);
    assert_eq!((name(&view), slot.id(), &*slot.state_text()), (None, None, NO_MODEL));
}

#[test]
fn a_restored_text_is_stored_before_it_is_read_and_also_if_it_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = write_model(folder.path(), "1.nam", 0.5);
    let text = encode(Some(&path), &fs::read(&path).unwrap(), None);
    folder.close().unwrap();
    let slot = ModelSlot::default();
    slot.request(ModelRequest::Restore(text.clone()));
    assert_eq!(*slot.state_text(), text);
    slot.run_requests();
    assert_eq!((name(&slot.view()), &*slot.state_text()), (Some("gain 0.5"), text.as_str()));
    // The same text again is not read again.
    let id = slot.id();
    slot.request(ModelRequest::Restore(text.clone()));
    assert!(!slot.view().loading);
    slot.run_requests();
    assert_eq!(slot.id(), id);
    for broken in ["", "{}", r#"{"deflate":"AAAA"}"#] {
        let view = run_request(&slot, ModelRequest::Restore(broken.into()));
        assert_eq!((name(&view), &*slot.state_text()), (Some("gain 0.5"), broken));
        assert_eq!(view.error.unwrap().lines().count(), 1);
    }
    run_request(&slot, ModelRequest::Restore(NO_MODEL.into()));
    assert_eq!(slot.id(), None);
}

#[test]
fn a_model_that_slots_reject_gives_way_to_the_one_that_ran_before() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two] = [0.5, 0.25].map(|gain| write_model(folder.path(), &format!("{gain}.nam"), gain));
    let slot = ModelSlot::default();
    run_request(&slot, ModelRequest::Open(one));
    slot.accept(None);
    let (id, state_text) = (slot.id(), slot.state_text());
    run_request(&slot, ModelRequest::Open(two.clone()));
    slot.reject("not here".into());
    assert_eq!((name(&slot.view()), slot.id(), slot.state_text()), (Some("gain 0.5"), id, state_text.clone()));
    assert_eq!(slot.view().error.as_deref(), Some("not here"));
    // A restored text is kept although slots reject its model.
    let text = encode(Some(&two), &fs::read(&two).unwrap(), None);
    run_request(&slot, ModelRequest::Restore(text.clone()));
    slot.reject("not here".into());
    assert_eq!((slot.id(), &*slot.state_text()), (id, text.as_str()));
    // The model that ran before may be rejected, too, at another rate; at its own rate it runs again.
    slot.reject("not at this rate".into());
    assert_eq!(slot.id(), None);
    slot.retry_rejected();
    assert_eq!(slot.id(), id);
}

#[test]
fn a_folder_is_listed_and_not_loaded() {
    let folder = tempfile::tempdir().unwrap();
    write_model(folder.path(), "b.nam", 1.0);
    fs::create_dir(folder.path().join("a")).unwrap();
    let slot = ModelSlot::default();
    let listed = run_request(&slot, ModelRequest::Open(folder.path().to_owned())).folder.unwrap();
    assert_eq!((&listed.folders[..], &listed.files[..]), (&["a".to_owned()][..], &["b.nam".to_owned()][..]));
    assert_eq!((slot.id(), &*slot.state_text()), (None, NO_MODEL));
    write_model(folder.path(), "c.nam", 1.0);
    assert_eq!(run_request(&slot, ModelRequest::Browse).folder.unwrap().files.len(), 2);
}

#[test]
fn a_model_plays_and_is_saved_before_it_is_measured_and_encoded() {
    let folder = tempfile::tempdir().unwrap();
    let path = write_model(folder.path(), "1.nam", 0.5);
    let text = encode(Some(&path), &fs::read(&path).unwrap(), None);
    for saved_before in [true, false] {
        let slot = ModelSlot::default();
        slot.request(ModelRequest::Open(path.clone()));
        slot.run_requests();
        slot.accept(None);
        assert!(slot.id().is_some() && slot.model().is_some());
        let facts = slot.view().model.unwrap();
        assert!(facts.name == "gain 0.5" && facts.cost_ns.is_none() && facts.delay.is_none());
        assert!(!saved_before || *slot.state_text() == *text);
        assert!(matches!(slot.status().state_text, StateText::Text(_)) == saved_before);
        let id = slot.id();
        while slot.do_deferred_work(&|| true) {}
        let facts = slot.view().model.unwrap();
        assert!(facts.cost_ns.is_some_and(|ns| ns > 0.0) && facts.delay.is_some(), "{facts:?}");
        assert!(matches!(slot.status().state_text, StateText::Text(_)));
        assert_eq!((slot.id(), &*slot.state_text()), (id, text.as_str()));
    }
}

#[test]
fn aliasing_is_measured_last_and_again_if_other_work_came_first() {
    let folder = tempfile::tempdir().unwrap();
    let slot = ModelSlot::default();
    slot.request(ModelRequest::Open(write_model(folder.path(), "1.nam", 0.5)));
    slot.run_requests();
    slot.accept(None);
    let facts = || slot.view().model.unwrap();
    // Cost and delay, the text for the state, then the aliasing, which gives way.
    for _ in 0..4 {
        assert!(slot.do_deferred_work(&|| false), "the aliasing is still to be measured");
    }
    assert!(facts().cost_ns.is_some() && facts().aliasing.is_empty());
    assert!(matches!(slot.status().state_text, StateText::Text(_)));
    assert!(slot.do_deferred_work(&|| true));
    assert!(!slot.do_deferred_work(&|| true));
    let [low, high] = facts().aliasing[..] else { panic!("{:?}", facts().aliasing) };
    assert_eq!((low.hz, high.hz), (1245.0, 5000.0));
    // An impulse response makes no new frequencies, so there is nothing to oversample.
    for found in [low, high] {
        assert!(found.aliasing_db[0].unwrap() < -100.0 && found.aliasing_db[1..] == [None; 2], "{found:?}");
    }
}

#[test]
fn a_rate_that_the_user_gives_for_a_file_without_one_is_played_and_saved() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("1.nam");
    let text = json!({
        "version": "0.5.4", "architecture": "Linear", "config": { "receptive_field": 1, "bias": false }, "weights": [0.5],
    });
    fs::write(&path, text.to_string()).unwrap();
    let slot = ModelSlot::default();
    let rate = |view: &ModelView| view.model.as_ref().map(|facts| (facts.sample_rate, facts.sample_rate_given));
    assert_eq!(rate(&run_request(&slot, ModelRequest::Open(path))), Some((48_000.0, false)));
    assert_eq!(rate(&run_request(&slot, ModelRequest::SetRate(44_100.0))), Some((44_100.0, false)));
    assert_eq!(slot.model().unwrap().user_rate(), Some(44_100.0));
    let other = ModelSlot::default();
    let restored = run_request(&other, ModelRequest::Restore(slot.state_text().to_string()));
    assert_eq!((rate(&restored), restored.error), (Some((44_100.0, false)), None));
    assert_eq!(other.state_text(), slot.state_text());
    // A rate out of range, or another than the file's own, changes nothing.
    let view = run_request(&slot, ModelRequest::SetRate(1.0));
    assert!(view.error.as_deref().unwrap().contains("expected 1000 to 768000"), "{view:?}");
    assert_eq!(rate(&view), Some((44_100.0, false)));
    let view = run_request(&slot, ModelRequest::Open(write_model(folder.path(), "2.nam", 0.5)));
    assert_eq!(rate(&view), Some((48_000.0, true)));
    let view = run_request(&slot, ModelRequest::SetRate(44_100.0));
    assert!(view.error.unwrap().contains("expected no other rate than the file's"));
}

#[test]
fn calibration_is_shown_for_models_that_know_their_levels_only() {
    let folder = tempfile::tempdir().unwrap();
    let uses = |metadata: Value| {
        let path = write_model(folder.path(), "1.nam", 0.5);
        let mut file: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        file["metadata"] = metadata;
        fs::write(&path, file.to_string()).unwrap();
        let uses = run_request(&ModelSlot::default(), ModelRequest::Open(path)).model.unwrap().parameter_uses.clone();
        [CALIBRATE_INPUT, INTERFACE_LEVEL].map(|parameter| uses[parameter].clone())
    };
    let [used, unused] = [ParameterUse::Used, ParameterUse::Unused];
    assert_eq!(uses(json!({})), [unused.clone(), unused.clone()]);
    assert_eq!(uses(json!({"input_level_dbu": 12.0})), [used.clone(), used.clone()]);
    assert_eq!(uses(json!({"output_level_dbu": 12.0})), [unused, used]);
}
