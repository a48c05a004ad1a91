//! Where a key in plain settings finds its model. The shelf holds no model alive: who loaded it does.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::Model;
use crate::dsp::ModelKey;

static NEXT: AtomicU32 = AtomicU32::new(1);
static SHELF: Mutex<Vec<(ModelKey, Weak<Model>)>> = Mutex::new(Vec::new());

/// A key that no model had before. [any thread]
pub(super) fn new_key() -> ModelKey {
    loop {
        if let Some(number) = NonZeroU32::new(NEXT.fetch_add(1, Ordering::Relaxed)) {
            return ModelKey(number);
        }
    }
}

/// Lets a model be found. [control thread]
pub(super) fn put(model: &Arc<Model>) {
    let mut shelf = SHELF.lock().unwrap_or_else(PoisonError::into_inner);
    shelf.retain(|(_, model)| model.strong_count() > 0);
    shelf.push((model.key(), Arc::downgrade(model)));
}

/// The model of a key, as long as somebody holds it. [control thread]
#[must_use]
pub fn find(key: ModelKey) -> Option<Arc<Model>> {
    let shelf = SHELF.lock().unwrap_or_else(PoisonError::into_inner);
    shelf.iter().find(|(k, _)| *k == key).and_then(|(_, model)| model.upgrade())
}
