use std::fs;

use serde_json::json;

use super::*;

/// An impulse response of one tap.
fn file(folder: &Path, name: &str, gain: f32) -> PathBuf {
    let path = folder.join(name);
    let text = json!({
        "version": "0.5.4", "architecture": "Linear", "config": { "receptive_field": 1, "bias": false }, "weights": [gain],
        "sample_rate": 48_000, "metadata": { "name": format!("gain {gain}") },
    });
    fs::write(&path, text.to_string()).unwrap();
    path
}

fn done(slot: &ModelSlot, request: ModelRequest) -> ModelView {
    slot.ask(request);
    assert!(slot.view().loading);
    slot.work();
    assert!(!slot.view().loading);
    while slot.finish() {}
    slot.view()
}

fn name(view: &ModelView) -> Option<&str> {
    view.model.as_ref().map(|m| m.name.as_str())
}

#[test]
fn a_file_that_is_no_model_leaves_the_one_before_and_steps_go_on_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let first = file(folder.path(), "1.nam", 0.5);
    fs::write(folder.path().join("2.nam"), "{}").unwrap();
    file(folder.path(), "3.nam", 0.25);
    let slot = ModelSlot::default();
    let view = done(&slot, ModelRequest::Open(first.clone()));
    assert_eq!((name(&view), view.error.as_deref(), view.steps), (Some("gain 0.5"), None, true));
    let (id, stored) = (slot.id(), slot.stored());
    assert!(id.is_some());
    let view = done(&slot, ModelRequest::Step(1));
    assert_eq!(name(&view), Some("gain 0.5"));
    assert!(view.error.unwrap().contains("2.nam"));
    assert_eq!((slot.id(), slot.stored()), (id, stored));
    let view = done(&slot, ModelRequest::Step(1));
    assert_eq!((name(&view), view.error.as_deref()), (Some("gain 0.25"), None));
    let facts = view.model.unwrap();
    assert!(facts.cost_ns.unwrap() > 0.0 && facts.path == Some(folder.path().join("3.nam")));
    assert_eq!(name(&done(&slot, ModelRequest::Step(-2))), Some("gain 0.5"));
    let view = done(&slot, ModelRequest::Clear);
    assert_eq!((name(&view), slot.id(), &*slot.stored()), (None, None, NOTHING));
}

#[test]
fn a_restored_field_is_stored_before_it_is_read_and_whatever_comes_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "1.nam", 0.5);
    let field = pack(Some(&path), &fs::read(&path).unwrap());
    folder.close().unwrap();
    let slot = ModelSlot::default();
    slot.ask(ModelRequest::Restore(field.clone()));
    assert_eq!(*slot.stored(), field);
    slot.work();
    assert_eq!((name(&slot.view()), &*slot.stored()), (Some("gain 0.5"), field.as_str()));
    // What is there already is not read again.
    let id = slot.id();
    slot.ask(ModelRequest::Restore(field.clone()));
    assert!(!slot.view().loading);
    slot.work();
    assert_eq!(slot.id(), id);
    for broken in ["", "{}", r#"{"deflate":"AAAA"}"#] {
        let view = done(&slot, ModelRequest::Restore(broken.into()));
        assert_eq!((name(&view), &*slot.stored()), (Some("gain 0.5"), broken));
        assert_eq!(view.error.unwrap().lines().count(), 1);
    }
    done(&slot, ModelRequest::Restore(NOTHING.into()));
    assert_eq!(slot.id(), None);
}

#[test]
fn what_slots_refuse_gives_way_to_what_ran_before() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two] = [0.5, 0.25].map(|gain| file(folder.path(), &format!("{gain}.nam"), gain));
    let slot = ModelSlot::default();
    done(&slot, ModelRequest::Open(one));
    slot.settle();
    let (id, stored) = (slot.id(), slot.stored());
    done(&slot, ModelRequest::Open(two.clone()));
    slot.refuse("not here".into());
    assert_eq!((name(&slot.view()), slot.id(), slot.stored()), (Some("gain 0.5"), id, stored.clone()));
    assert_eq!(slot.view().error.as_deref(), Some("not here"));
    // A state keeps what it brought.
    let field = pack(Some(&two), &fs::read(&two).unwrap());
    done(&slot, ModelRequest::Restore(field.clone()));
    slot.refuse("not here".into());
    assert_eq!((slot.id(), &*slot.stored()), (id, field.as_str()));
    // What ran before may be refused too, at another rate; elsewhere it runs again.
    slot.refuse("not at this rate".into());
    assert_eq!(slot.id(), None);
    slot.retry();
    assert_eq!(slot.id(), id);
}

#[test]
fn a_folder_is_listed_and_not_loaded() {
    let folder = tempfile::tempdir().unwrap();
    file(folder.path(), "b.nam", 1.0);
    fs::create_dir(folder.path().join("a")).unwrap();
    let slot = ModelSlot::default();
    let listed = done(&slot, ModelRequest::Open(folder.path().to_owned())).folder.unwrap();
    assert_eq!((&listed.folders[..], &listed.files[..]), (&["a".to_owned()][..], &["b.nam".to_owned()][..]));
    assert_eq!((slot.id(), &*slot.stored()), (None, NOTHING));
    file(folder.path(), "c.nam", 1.0);
    assert_eq!(done(&slot, ModelRequest::Browse).folder.unwrap().files.len(), 2);
}

#[test]
fn a_model_can_be_heard_and_saved_before_it_is_measured_and_packed() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "1.nam", 0.5);
    let field = pack(Some(&path), &fs::read(&path).unwrap());
    for saved_before in [true, false] {
        let slot = ModelSlot::default();
        slot.ask(ModelRequest::Open(path.clone()));
        slot.work();
        slot.settle();
        assert!(slot.id().is_some() && slot.model().is_some());
        let facts = slot.view().model.unwrap();
        assert!(facts.name == "gain 0.5" && facts.cost_ns.is_none() && facts.delay.is_none());
        assert!(!saved_before || *slot.stored() == *field);
        assert!(matches!(slot.status().stored, Stored::Text(_)) == saved_before);
        let id = slot.id();
        while slot.finish() {}
        let facts = slot.view().model.unwrap();
        assert!(facts.cost_ns.is_some_and(|ns| ns > 0.0) && facts.delay.is_some(), "{facts:?}");
        assert!(matches!(slot.status().stored, Stored::Text(_)));
        assert_eq!((slot.id(), &*slot.stored()), (id, field.as_str()));
    }
}
