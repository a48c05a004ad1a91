//! The models of the slots: the panels or a state ask for one, the builder thread reads it, the audio thread sees its id.
//!
//! A model plays as soon as it is read. Work that takes longer and changes no sound comes after that
//! ([`ModelSlot::do_deferred_work`]): its measurements for the panels, and its bytes as text for the state. If a state is saved
//! earlier, saving encodes the bytes.

mod facts;
mod folder;
mod state_text;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::neural::{Model, ModelId, formats};
use crate::view::{FolderView, ModelFacts, ModelView};
use state_text::{NO_MODEL, SavedModel, decode, encode};

/// Folder of the model file that was opened last, in any slot of any instance. A file browser begins there.
static LAST_FOLDER: Mutex<Option<PathBuf>> = Mutex::new(None);

/// A request for the model of a slot.
#[derive(Debug)]
pub enum ModelRequest {
    /// Loads a file; lists a folder for the browser.
    Open(PathBuf),
    /// Uses a model that was trained here and has no file.
    Trained(Arc<Model>),
    /// Loads the model file that is this many places after the one that was tried last (before it, if negative), in the order of
    /// their names.
    Step(i32),
    /// Runs the model at this sample rate in Hz, because its file has none.
    SetRate(f32),
    /// Lets the slot run without a model.
    Clear,
    /// Lists the folder that was looked at last, for the browser.
    Browse,
    /// Restores the model from a state's text.
    Restore(String),
}

/// A model that was loaded.
#[derive(Clone)]
struct LoadedModel {
    model: Arc<Model>,
    facts: Arc<ModelFacts>,
    /// True once `facts` hold cost and delay, or their measurement failed.
    measured: bool,
    /// True once `facts` hold the aliasing, or its measurement failed.
    aliasing_measured: bool,
}

/// The text of a slot's model for the state.
#[derive(Clone)]
enum StateText {
    /// The text itself.
    Text(Arc<str>),
    /// The model and its file, which still have to be encoded as a text.
    Model(Arc<Model>, Option<PathBuf>),
}

impl StateText {
    /// The text, encoded now if need be, which takes long for a large model.
    fn text(self) -> Arc<str> {
        match self {
            Self::Text(text) => text,
            Self::Model(model, path) => encode(path.as_deref(), model.bytes(), model.user_rate()).into(),
        }
    }

    /// True if this is `text` already.
    fn has_text(&self, text: &str) -> bool {
        matches!(self, Self::Text(held) if **held == *text)
    }
}

/// The model of one slot, and the requests for it.
#[derive(Default)]
pub struct ModelSlot {
    /// Id of the model that the slot is to run; 0 for none.
    id: AtomicU32,
    /// Locked only to copy and to move values; never by the audio thread.
    status: Mutex<SlotStatus>,
}

/// The state of a slot's model on the side of the control threads.
struct SlotStatus {
    /// Requests that are not begun yet.
    requests: Vec<ModelRequest>,
    /// True while a request is being carried out.
    is_busy: bool,
    /// The model that was loaded last. Slots may have rejected it, for the rate that runs now.
    loaded: Option<LoadedModel>,
    /// The model that ran before the one that was just loaded, and its text for the state, in case slots reject the new one.
    /// None once slots run with what was loaded.
    fallback: Option<(Option<LoadedModel>, StateText)>,
    /// The text for the state.
    state_text: StateText,
    /// The reason why the last request failed, in one line.
    error: Option<String>,
    /// The reason why the model plays without the oversampling that is set, in one line.
    limit: Option<String>,
    /// True if `error` says that slots rejected `loaded`.
    is_rejected: bool,
    /// The file that was tried last; steps start from it.
    last_path: Option<PathBuf>,
    /// The folder that the browser shows.
    folder: Option<Arc<FolderView>>,
}

impl Default for SlotStatus {
    fn default() -> Self {
        Self {
            requests: Vec::new(),
            is_busy: false,
            loaded: None,
            fallback: None,
            state_text: StateText::Text(NO_MODEL.into()),
            error: None,
            limit: None,
            is_rejected: false,
            last_path: None,
            folder: None,
        }
    }
}

impl SlotStatus {
    /// True if all requests are done.
    fn is_idle(&self) -> bool {
        !self.is_busy && self.requests.is_empty()
    }

    /// Sets the text for the state, unless a state is about to be restored, whose text counts.
    fn set_state_text(&mut self, state_text: StateText) {
        if !self.requests.iter().any(|request| matches!(request, ModelRequest::Restore(_))) {
            self.state_text = state_text;
        }
    }
}

impl ModelSlot {
    fn status(&self) -> MutexGuard<'_, SlotStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Id of the model that the slot is to run. [audio thread]
    #[must_use]
    pub fn id(&self) -> Option<ModelId> {
        std::num::NonZeroU32::new(self.id.load(Ordering::Acquire)).map(ModelId)
    }

    /// The model with the id [`Self::id`]. [any thread but the audio thread]
    #[must_use]
    pub fn model(&self) -> Option<Arc<Model>> {
        let status = self.status();
        status.loaded.as_ref().map(|loaded| loaded.model.clone()).filter(|model| Some(model.id()) == self.id())
    }

    /// Queues a request, and drops those that it makes pointless. [any thread but the audio thread]
    pub fn request(&self, request: ModelRequest) {
        let mut status = self.status();
        match &request {
            ModelRequest::Step(_) | ModelRequest::Browse | ModelRequest::SetRate(_) => {}
            ModelRequest::Open(_) | ModelRequest::Trained(_) | ModelRequest::Clear => status.requests.clear(),
            // Some hosts load the whole state again to change one value: the model that is there is not read again.
            ModelRequest::Restore(text) if status.state_text.has_text(text) && status.error.is_none() && status.is_idle() => {
                return;
            }
            ModelRequest::Restore(text) => {
                status.requests.clear();
                // A state that is saved before the text is read, or if it cannot be read, holds the text unchanged.
                status.state_text = StateText::Text(text.as_str().into());
            }
        }
        status.requests.push(request);
    }

    /// The text for the state. Encodes the model, if that is not done yet. [any thread but the audio thread]
    #[must_use]
    pub fn state_text(&self) -> Arc<str> {
        let state_text = self.status().state_text.clone();
        let StateText::Model(model, _) = &state_text else { return state_text.text() };
        let model = model.clone();
        let text = state_text.text();
        let mut status = self.status();
        if matches!(&status.state_text, StateText::Model(now, _) if Arc::ptr_eq(now, &model)) {
            status.state_text = StateText::Text(text.clone());
        }
        text
    }

    /// The model as the panels show it. [control thread]
    #[must_use]
    pub fn view(&self) -> ModelView {
        let status = self.status();
        let playback_error = status.loaded.as_ref().and_then(|l| facts::playback_error(&l.model));
        ModelView {
            model: status.loaded.as_ref().map(|l| l.facts.clone()),
            uses_without_model: facts::uses_without_model(),
            loading: !status.is_idle(),
            error: status.error.clone().or(playback_error).or_else(|| status.limit.clone()),
            can_step: status.last_path.is_some(),
            folder: status.folder.clone(),
            extensions: formats::extensions(),
        }
    }

    /// Runs all requests. Callers hold the lock of the build target, so that no two threads are here at once. [builder thread,
    /// or a control thread before there is sound]
    pub fn run_requests(&self) {
        loop {
            let mut status = self.status();
            if status.requests.is_empty() {
                status.is_busy = false;
                return;
            }
            status.is_busy = true;
            let request = status.requests.remove(0);
            let last_path = status.last_path.clone();
            if !matches!(request, ModelRequest::Browse) {
                (status.error, status.is_rejected) = (None, false);
            }
            drop(status);
            match request {
                ModelRequest::Open(path) if path.is_dir() => self.list_folder(path),
                ModelRequest::Open(path) => self.open(path),
                ModelRequest::Trained(model) => self.set_trained(model),
                ModelRequest::Step(step) => match last_path.map(|path| folder::step_from(&path, step)) {
                    Some(Ok(path)) => self.open(path),
                    Some(Err(error)) => self.fail(error),
                    None => {}
                },
                ModelRequest::SetRate(rate) => self.set_rate(rate),
                ModelRequest::Clear => self.set_model(None, Some(StateText::Text(NO_MODEL.into()))),
                ModelRequest::Browse => self.list_folder(self.folder_to_browse()),
                ModelRequest::Restore(text) => self.restore(&text),
            }
        }
    }

    /// Loads a model file.
    fn open(&self, path: PathBuf) {
        let new = catch_panic(|| prepare_model(Model::open(&path).map_err(|e| e.reason_first())?, Some(path.clone())));
        self.status().last_path = Some(path.clone());
        if let Some(folder) = path.parent() {
            *LAST_FOLDER.lock().unwrap_or_else(PoisonError::into_inner) = Some(folder.to_owned());
        }
        match new {
            Ok(new) => {
                let state_text = StateText::Model(new.model.clone(), Some(path));
                self.set_model(Some(new), Some(state_text));
            }
            Err(error) => self.fail(error),
        }
    }

    /// Uses a model that has no file.
    fn set_trained(&self, model: Arc<Model>) {
        self.status().last_path = None;
        match prepare_model(model, None) {
            Ok(new) => {
                let state_text = StateText::Model(new.model.clone(), None);
                self.set_model(Some(new), Some(state_text));
            }
            Err(error) => self.fail(error),
        }
    }

    /// Runs the model that is loaded at a sample rate that the user gave.
    fn set_rate(&self, rate: f32) {
        let Some(loaded) = self.status().loaded.clone() else { return };
        let new = catch_panic(|| {
            let model = loaded.model.at_rate(rate).map_err(|error| error.to_string())?;
            prepare_model(model, loaded.facts.path.clone())
        });
        match new {
            Ok(new) => {
                let state_text = StateText::Model(new.model.clone(), loaded.facts.path.clone());
                self.set_model(Some(new), Some(state_text));
            }
            Err(error) => self.fail(error),
        }
    }

    /// Restores the model from a state's text. If that fails, the text is kept.
    fn restore(&self, text: &str) {
        let saved = match decode(text) {
            Ok(saved) => saved,
            Err(error) => return self.fail(error),
        };
        let Some(SavedModel { path, bytes, user_rate }) = saved else {
            self.status().last_path = None;
            return self.set_model(None, None);
        };
        self.status().last_path.clone_from(&path);
        let has_bytes = bytes.is_some();
        let new = catch_panic(|| {
            let model = match (bytes, &path) {
                (Some(bytes), _) => Model::read(bytes),
                (None, Some(path)) => Model::open(path),
                (None, None) => return Err("state holds neither a model's bytes nor its path".into()),
            };
            let model = match (model, user_rate) {
                (Ok(model), Some(rate)) => model.at_rate(rate),
                (model, _) => model,
            };
            prepare_model(model.map_err(|e| e.reason_first())?, path.clone())
        });
        match new {
            Ok(new) => {
                let state_text = path.filter(|_| !has_bytes).map(|path| StateText::Model(new.model.clone(), Some(path)));
                self.set_model(Some(new), state_text);
            }
            Err(error) => self.fail(error),
        }
    }

    /// Notes why a request failed.
    fn fail(&self, error: String) {
        self.status().error = Some(error);
    }

    /// Lets the slot run another model, or none. `state_text` is the text for the state; None if the present one is right.
    fn set_model(&self, new: Option<LoadedModel>, state_text: Option<StateText>) {
        let mut status = self.status();
        let id = new.as_ref().map_or(0, |l| l.model.id().0.get());
        let old = std::mem::replace(&mut status.loaded, new);
        // The fallback is the model that slots ran with last. If `new` is the second model since then, the first (`skipped`)
        // never ran, and the fallback stays.
        let (last_playing, skipped, last_playing_text) = match status.fallback.take() {
            Some((last_playing, last_playing_text)) => (last_playing, old, last_playing_text),
            None => (old, None, status.state_text.clone()),
        };
        let last_playing_text = match state_text {
            Some(state_text) => {
                status.set_state_text(state_text);
                last_playing_text
            }
            None => status.state_text.clone(),
        };
        status.fallback = Some((last_playing, last_playing_text));
        self.id.store(id, Ordering::Release);
        drop(status);
        drop(skipped);
    }

    /// Notes that slots run with the model that was loaded; the previous one is freed. `limit` is the reason if they run it
    /// without the oversampling that is set. [builder thread, or a control thread before there is sound]
    pub fn accept(&self, limit: Option<String>) {
        let mut status = self.status();
        status.limit = limit.map(|reason| format!("plays at 1x: {reason}"));
        let id = status.loaded.as_ref().map_or(0, |l| l.model.id().0.get());
        // A model that slots rejected at another rate runs at this one.
        if id != 0 && id == self.id.load(Ordering::Acquire) && std::mem::take(&mut status.is_rejected) {
            status.error = None;
        }
        let fallback = status.fallback.take();
        drop(status);
        drop(fallback);
    }

    /// Notes that slots cannot be made with the model that was loaded: the previous one plays on, or none. [builder thread, or a
    /// control thread before there is sound]
    pub fn reject(&self, error: String) {
        let mut status = self.status();
        status.error = Some(error);
        let rejected = match status.fallback.take() {
            Some((old, state_text)) => {
                status.set_state_text(state_text);
                std::mem::replace(&mut status.loaded, old)
            }
            // Without a fallback, this model ran before, at another rate. It is kept, as it may run at that rate again.
            None => {
                status.is_rejected = true;
                self.id.store(0, Ordering::Release);
                return;
            }
        };
        let id = status.loaded.as_ref().map_or(0, |l| l.model.id().0.get());
        self.id.store(id, Ordering::Release);
        drop(status);
        drop(rejected);
    }

    /// Lets a model that slots rejected be tried again, for another rate. [control thread, before there is sound]
    pub fn retry_rejected(&self) {
        let status = self.status();
        self.id.store(status.loaded.as_ref().map_or(0, |l| l.model.id().0.get()), Ordering::Release);
    }

    /// The folder to list: the one listed last, the last file's, the last one of any slot, or the user's home folder.
    fn folder_to_browse(&self) -> PathBuf {
        let status = self.status();
        let listed = status.folder.as_ref().map(|f| f.path.clone());
        let tried = status.last_path.as_ref().and_then(|p| p.parent()).map(Path::to_owned);
        drop(status);
        let last = || LAST_FOLDER.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // The folder in a state may be one of another machine.
        let exists = |path: &PathBuf| path.is_dir();
        listed
            .filter(exists)
            .or(tried.filter(exists))
            .or_else(|| last().filter(exists))
            .or_else(std::env::home_dir)
            .unwrap_or_default()
    }

    /// Lists a folder for the browser.
    fn list_folder(&self, path: PathBuf) {
        let view = folder::list(path);
        self.status().folder = Some(Arc::new(view));
    }

    /// Does one piece of the work that was left until the model plays: measures its cost and delay, encodes it for the state, or
    /// measures its aliasing, which may take a second and is begun anew later if `go_on` returns false. Returns true if there may be
    /// more. [builder thread]
    pub fn do_deferred_work(&self, go_on: &dyn Fn() -> bool) -> bool {
        let status = self.status();
        let unmeasured = status.loaded.clone().filter(|loaded| !loaded.measured);
        let needs_encoding = matches!(status.state_text, StateText::Model(..));
        drop(status);
        if let Some(LoadedModel { model, facts, .. }) = unmeasured {
            let measured = catch_unwind(AssertUnwindSafe(|| facts::with_measurements(&model, &facts)));
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
        if needs_encoding {
            drop(self.state_text());
            return true;
        }
        let loaded = self.status().loaded.clone();
        let Some(model) = loaded.filter(|loaded| !loaded.aliasing_measured).map(|loaded| loaded.model) else { return false };
        let measured = catch_unwind(AssertUnwindSafe(|| facts::aliasing(&model, go_on)));
        let Some(aliasing) = measured.unwrap_or_else(|_| Some(Vec::new())) else { return true };
        let mut status = self.status();
        if let Some(loaded) = status.loaded.as_mut().filter(|loaded| Arc::ptr_eq(&loaded.model, &model)) {
            loaded.aliasing_measured = true;
            loaded.facts = Arc::new(ModelFacts { aliasing, ..ModelFacts::clone(&loaded.facts) });
        }
        true
    }
}

/// Calls `read` and turns a panic into an error: a fault in reading a file must not end the thread or cross into the host.
fn catch_panic(read: impl FnOnce() -> Result<LoadedModel, String>) -> Result<LoadedModel, String> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err("this file cannot be read: an error in Isotherm".into()))
}

/// Checks that a model can run on this machine, and adds the facts from its file.
///
/// # Errors
/// The reason why it cannot run.
fn prepare_model(model: Arc<Model>, path: Option<PathBuf>) -> Result<LoadedModel, String> {
    facts::check(&model)?;
    let facts = Arc::new(facts::from_file(&model, path));
    Ok(LoadedModel { model, facts, measured: false, aliasing_measured: false })
}

#[cfg(test)]
mod tests;
