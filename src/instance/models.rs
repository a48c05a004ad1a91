//! The models of the slots: the interface or a state asks for one, the builder thread reads it, the audio thread sees its id.
//!
//! A model is heard as soon as it is read. What takes longer and changes no sound comes behind that ([`ModelSlot::finish`]): its
//! measurements for the panels, and its bytes as text for the state. A state that is saved before packs them itself.

mod facts;
mod field;
mod folder;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::neural::{Model, ModelId, formats};
use crate::view::{FolderView, ModelFacts, ModelView};
use field::{Kept, NOTHING, pack, unpack};

/// Where the last model of any slot was opened: where the next browser begins.
static LAST_FOLDER: Mutex<Option<PathBuf>> = Mutex::new(None);

/// A request to a slot.
#[derive(Debug)]
pub enum ModelRequest {
    /// A file is loaded, a folder is listed.
    Open(PathBuf),
    /// A model that was made here: it has no file.
    Take(Arc<Model>),
    /// The file so many places behind the one that was tried last.
    Step(i32),
    Clear,
    /// The folder that was looked at last is listed.
    Browse,
    /// A state's field.
    Restore(String),
}

/// A model and what belongs to it.
#[derive(Clone)]
struct Loaded {
    model: Arc<Model>,
    facts: Arc<ModelFacts>,
    /// What is measured is among the facts, or cannot be measured.
    measured: bool,
}

/// A state's field.
#[derive(Clone)]
enum Stored {
    Text(Arc<str>),
    /// Still to be packed.
    Model(Arc<Model>, Option<PathBuf>),
}

impl Stored {
    /// Takes its time for a large model.
    fn text(self) -> Arc<str> {
        match self {
            Self::Text(text) => text,
            Self::Model(model, path) => pack(path.as_deref(), model.bytes()).into(),
        }
    }

    fn is(&self, field: &str) -> bool {
        matches!(self, Self::Text(text) if **text == *field)
    }
}

/// Of one slot.
#[derive(Default)]
pub struct ModelSlot {
    /// The number of the model that the slot shall run with; 0 for none.
    id: AtomicU32,
    /// Held only to copy and to move; the audio thread never touches it.
    status: Mutex<Status>,
}

struct Status {
    requests: Vec<ModelRequest>,
    /// ModelRequestes that were taken are not done yet.
    working: bool,
    /// What the slot shall run; it may have been refused for where it runs now.
    loaded: Option<Loaded>,
    /// What to go back to if slots with what was just loaded cannot be made: what ran and what was stored.
    before: Option<(Option<Loaded>, Stored)>,
    /// The state's field.
    stored: Stored,
    error: Option<String>,
    /// The error is that slots could not be made with what is loaded.
    refused: bool,
    /// The file that was tried last.
    place: Option<PathBuf>,
    folder: Option<Arc<FolderView>>,
}

impl Default for Status {
    fn default() -> Self {
        Self {
            requests: Vec::new(),
            working: false,
            loaded: None,
            before: None,
            stored: Stored::Text(NOTHING.into()),
            error: None,
            refused: false,
            place: None,
            folder: None,
        }
    }
}

impl Status {
    fn is_idle(&self) -> bool {
        !self.working && self.requests.is_empty()
    }

    /// Another field for the state, unless a state that has come meanwhile counts.
    fn store(&mut self, field: Stored) {
        if !self.requests.iter().any(|w| matches!(w, ModelRequest::Restore(_))) {
            self.stored = field;
        }
    }
}

impl ModelSlot {
    fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The model that the slot shall run with. [audio thread]
    #[must_use]
    pub fn id(&self) -> Option<ModelId> {
        std::num::NonZeroU32::new(self.id.load(Ordering::Acquire)).map(ModelId)
    }

    /// That model itself. [any thread but the audio thread]
    #[must_use]
    pub fn model(&self) -> Option<Arc<Model>> {
        let status = self.status();
        status.loaded.as_ref().map(|loaded| loaded.model.clone()).filter(|model| Some(model.id()) == self.id())
    }

    /// Notes a request; what it makes pointless is forgotten. [any thread but the audio thread]
    pub fn ask(&self, request: ModelRequest) {
        let mut status = self.status();
        match &request {
            ModelRequest::Step(_) | ModelRequest::Browse => {}
            ModelRequest::Open(_) | ModelRequest::Take(_) | ModelRequest::Clear => status.requests.clear(),
            // A host may bring back the whole state for the sake of one value.
            ModelRequest::Restore(field) if status.stored.is(field) && status.error.is_none() && status.is_idle() => return,
            ModelRequest::Restore(field) => {
                status.requests.clear();
                // Saved again at once or unread, it stays what it is.
                status.stored = Stored::Text(field.as_str().into());
            }
        }
        status.requests.push(request);
    }

    /// The state's field. [any thread but the audio thread]
    #[must_use]
    pub fn stored(&self) -> Arc<str> {
        let stored = self.status().stored.clone();
        let Stored::Model(model, _) = &stored else { return stored.text() };
        let model = model.clone();
        let text = stored.text();
        let mut status = self.status();
        if matches!(&status.stored, Stored::Model(now, _) if Arc::ptr_eq(now, &model)) {
            status.stored = Stored::Text(text.clone());
        }
        text
    }

    /// For the editor. [control thread]
    #[must_use]
    pub fn view(&self) -> ModelView {
        let status = self.status();
        let trouble = status.loaded.as_ref().and_then(|l| facts::trouble(&l.model));
        ModelView {
            model: status.loaded.as_ref().map(|l| l.facts.clone()),
            loading: !status.is_idle(),
            error: status.error.clone().or(trouble),
            steps: status.place.is_some(),
            folder: status.folder.clone(),
            endings: formats::endings(),
        }
    }

    /// Does what was asked for. One at a time does it. [builder thread, or a control thread before there is sound]
    pub fn work(&self) {
        loop {
            let mut status = self.status();
            if status.requests.is_empty() {
                status.working = false;
                return;
            }
            status.working = true;
            let request = status.requests.remove(0);
            let place = status.place.clone();
            if !matches!(request, ModelRequest::Browse) {
                (status.error, status.refused) = (None, false);
            }
            drop(status);
            match request {
                ModelRequest::Open(path) if path.is_dir() => self.list(path),
                ModelRequest::Open(path) => self.open(path),
                ModelRequest::Take(model) => self.take(model),
                ModelRequest::Step(step) => match place.map(|place| folder::neighbour(&place, step)) {
                    Some(Ok(path)) => self.open(path),
                    Some(Err(error)) => self.fail(error),
                    None => {}
                },
                ModelRequest::Clear => self.put(None, Some(Stored::Text(NOTHING.into()))),
                ModelRequest::Browse => self.list(self.where_to_look()),
                ModelRequest::Restore(field) => self.restore(&field),
            }
        }
    }

    fn open(&self, path: PathBuf) {
        let new = checked(|| loaded(Model::open(&path).map_err(|e| e.to_string())?, Some(path.clone())));
        self.status().place = Some(path.clone());
        if let Some(folder) = path.parent() {
            *LAST_FOLDER.lock().unwrap_or_else(PoisonError::into_inner) = Some(folder.to_owned());
        }
        match new {
            Ok(new) => {
                let stored = Stored::Model(new.model.clone(), Some(path));
                self.put(Some(new), Some(stored));
            }
            Err(error) => self.fail(error),
        }
    }

    fn take(&self, model: Arc<Model>) {
        self.status().place = None;
        match loaded(model, None) {
            Ok(new) => {
                let stored = Stored::Model(new.model.clone(), None);
                self.put(Some(new), Some(stored));
            }
            Err(error) => self.fail(error),
        }
    }

    /// Whatever is wrong with the field, it stays stored.
    fn restore(&self, field: &str) {
        let kept = match unpack(field) {
            Ok(kept) => kept,
            Err(error) => return self.fail(error),
        };
        let Some(Kept { path, bytes }) = kept else {
            self.status().place = None;
            return self.put(None, None);
        };
        self.status().place.clone_from(&path);
        let whole = bytes.is_some();
        let new = checked(|| {
            let model = match (bytes, &path) {
                (Some(bytes), _) => Model::read(bytes),
                (None, Some(path)) => Model::open(path),
                (None, None) => return Err("state holds neither a model's bytes nor its path".into()),
            };
            loaded(model.map_err(|e| e.to_string())?, path.clone())
        });
        match new {
            Ok(new) => {
                let stored = path.filter(|_| !whole).map(|path| Stored::Model(new.model.clone(), Some(path)));
                self.put(Some(new), stored);
            }
            Err(error) => self.fail(error),
        }
    }

    fn fail(&self, error: String) {
        self.status().error = Some(error);
    }

    /// Lets the slot run with something else; without `stored` the state's field is right already.
    fn put(&self, new: Option<Loaded>, stored: Option<Stored>) {
        let mut status = self.status();
        let id = new.as_ref().map_or(0, |l| l.model.id().0.get());
        let old = std::mem::replace(&mut status.loaded, new);
        // What slots ran with, also if this is the second since they were made.
        let (ran, skipped, was) = match status.before.take() {
            Some((ran, was)) => (ran, old, was),
            None => (old, None, status.stored.clone()),
        };
        let was = match stored {
            Some(field) => {
                status.store(field);
                was
            }
            None => status.stored.clone(),
        };
        status.before = Some((ran, was));
        self.id.store(id, Ordering::Release);
        drop(status);
        drop(skipped);
    }

    /// Slots run with what was loaded: what ran before is no longer needed. [builder thread, or a control thread before there is
    /// sound]
    pub fn settle(&self) {
        let mut status = self.status();
        let id = status.loaded.as_ref().map_or(0, |l| l.model.id().0.get());
        // What was refused elsewhere runs here.
        if id != 0 && id == self.id.load(Ordering::Acquire) && std::mem::take(&mut status.refused) {
            status.error = None;
        }
        let before = status.before.take();
        drop(status);
        drop(before);
    }

    /// Slots cannot be made with what was loaded: what ran before goes on, or nothing. [as `settle`]
    pub fn refuse(&self, error: String) {
        let mut status = self.status();
        status.error = Some(error);
        let refused = match status.before.take() {
            Some((old, stored)) => {
                status.store(stored);
                std::mem::replace(&mut status.loaded, old)
            }
            // It was sound elsewhere, at another rate: there it may run again.
            None => {
                status.refused = true;
                self.id.store(0, Ordering::Release);
                return;
            }
        };
        let id = status.loaded.as_ref().map_or(0, |l| l.model.id().0.get());
        self.id.store(id, Ordering::Release);
        drop(status);
        drop(refused);
    }

    /// What was refused elsewhere is tried again. [control thread, before there is sound]
    pub fn retry(&self) {
        let status = self.status();
        self.id.store(status.loaded.as_ref().map_or(0, |l| l.model.id().0.get()), Ordering::Release);
    }

    fn where_to_look(&self) -> PathBuf {
        let status = self.status();
        let seen = status.folder.as_ref().map(|f| f.path.clone());
        let place = status.place.as_ref().and_then(|p| p.parent()).map(Path::to_owned);
        drop(status);
        let last = || LAST_FOLDER.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // A state's folder may be another machine's.
        let there = |path: &PathBuf| path.is_dir();
        seen.filter(there)
            .or(place.filter(there))
            .or_else(|| last().filter(there))
            .or_else(std::env::home_dir)
            .unwrap_or_default()
    }

    fn list(&self, path: PathBuf) {
        let view = folder::list(path);
        self.status().folder = Some(Arc::new(view));
    }

    /// Does one thing that was left when the model began to be heard. Returns whether there may be more. [builder thread]
    pub fn finish(&self) -> bool {
        let status = self.status();
        let unmeasured = status.loaded.clone().filter(|loaded| !loaded.measured);
        let unpacked = matches!(status.stored, Stored::Model(..));
        drop(status);
        if let Some(Loaded { model, facts, .. }) = unmeasured {
            let measured = catch_unwind(AssertUnwindSafe(|| facts::measured(&model, &facts)));
            let measured = measured.unwrap_or_else(|_| Err("its cost cannot be measured: an error in Isotherm".into()));
            let mut status = self.status();
            let Some(loaded) = status.loaded.as_mut().filter(|loaded| Arc::ptr_eq(&loaded.model, &model)) else { return true };
            loaded.measured = true;
            match measured {
                Ok(facts) => loaded.facts = Arc::new(facts),
                Err(error) => status.error = Some(error),
            }
            return true;
        }
        if unpacked {
            drop(self.stored());
        }
        unpacked
    }
}

/// A fault of ours in reading a file must not end the thread, or cross into the host that calls.
fn checked(read: impl FnOnce() -> Result<Loaded, String>) -> Result<Loaded, String> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err("this file cannot be read: an error in Isotherm".into()))
}

/// A model that can run on this machine, with what its file says.
///
/// # Errors
/// If it cannot.
fn loaded(model: Arc<Model>, path: Option<PathBuf>) -> Result<Loaded, String> {
    facts::check(&model)?;
    let facts = Arc::new(facts::said(&model, path));
    Ok(Loaded { model, facts, measured: false })
}

#[cfg(test)]
mod tests;
