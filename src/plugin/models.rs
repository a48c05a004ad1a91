//! The models of the slots: the interface or a state asks for one, the workshop thread reads it, the audio thread sees its id.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde_json::{Value, json};

use crate::dsp::CHUNK;
use crate::neural::engine::Mode;
use crate::neural::{Info, Model, ModelId, formats};
use crate::ui::{FolderView, ModelFacts, ModelView};

/// Bytes of a file in a state: as many as the loaders take.
const MOST_BYTES: u64 = 256 << 20;
/// Bytes of a file that a slot puts into the state: in base64 two of them stay below the 256 MiB that the framework reads of a state.
/// A larger model is kept by its path only.
const MOST_KEPT: usize = 64 << 20;
/// A state's field for a slot without a model.
const NOTHING: &str = "null";
/// Frames that one measurement of the cost takes at least, and time for all of them: enough for a minimum that is not noise.
const COST_FRAMES: usize = 1024;
const COST_TIME: Duration = Duration::from_millis(5);

/// Where the last model of any slot was opened: where the next browser begins.
static LAST_FOLDER: Mutex<Option<PathBuf>> = Mutex::new(None);

/// What a slot is asked for.
#[derive(Debug)]
pub enum Wish {
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
}

/// Of one slot.
#[derive(Default)]
pub struct Holder {
    /// The number of the model that the slot shall run with; 0 for none.
    id: AtomicU32,
    /// Held only to copy and to move; the audio thread never touches it.
    desk: Mutex<Desk>,
}

struct Desk {
    wishes: Vec<Wish>,
    /// Wishes that were taken are not done yet.
    working: bool,
    /// What the slot shall run; it may have been refused for where it runs now.
    loaded: Option<Loaded>,
    /// What to go back to if slots with what was just loaded cannot be made: what ran and what was stored.
    before: Option<(Option<Loaded>, Arc<str>)>,
    /// The state's field.
    stored: Arc<str>,
    error: Option<String>,
    /// The error is that slots could not be made with what is loaded.
    refused: bool,
    /// The file that was tried last.
    place: Option<PathBuf>,
    folder: Option<Arc<FolderView>>,
}

impl Default for Desk {
    fn default() -> Self {
        Self {
            wishes: Vec::new(),
            working: false,
            loaded: None,
            before: None,
            stored: NOTHING.into(),
            error: None,
            refused: false,
            place: None,
            folder: None,
        }
    }
}

impl Desk {
    fn is_idle(&self) -> bool {
        !self.working && self.wishes.is_empty()
    }

    /// Another field for the state, unless a state that has come meanwhile counts.
    fn store(&mut self, field: Arc<str>) {
        if !self.wishes.iter().any(|w| matches!(w, Wish::Restore(_))) {
            self.stored = field;
        }
    }
}

impl Holder {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The model that the slot shall run with. [audio thread]
    #[must_use]
    pub fn id(&self) -> Option<ModelId> {
        std::num::NonZeroU32::new(self.id.load(Ordering::Acquire)).map(ModelId)
    }

    /// That model itself. [any thread but the audio thread]
    #[must_use]
    pub fn model(&self) -> Option<Arc<Model>> {
        let desk = self.desk();
        desk.loaded.as_ref().map(|loaded| loaded.model.clone()).filter(|model| Some(model.id()) == self.id())
    }

    /// Notes a wish; what it makes pointless is forgotten. [any thread but the audio thread]
    pub fn ask(&self, wish: Wish) {
        let mut desk = self.desk();
        match &wish {
            Wish::Step(_) | Wish::Browse => {}
            Wish::Open(_) | Wish::Take(_) | Wish::Clear => desk.wishes.clear(),
            // A host may bring back the whole state for the sake of one value.
            Wish::Restore(field) if *field == *desk.stored && desk.error.is_none() && desk.is_idle() => return,
            Wish::Restore(field) => {
                desk.wishes.clear();
                // Saved again at once or unread, it stays what it is.
                desk.stored = field.as_str().into();
            }
        }
        desk.wishes.push(wish);
    }

    /// The state's field. [any thread but the audio thread]
    #[must_use]
    pub fn stored(&self) -> Arc<str> {
        self.desk().stored.clone()
    }

    /// For the editor. [control thread]
    #[must_use]
    pub fn view(&self) -> ModelView {
        let desk = self.desk();
        let trouble = desk.loaded.as_ref().and_then(|l| trouble(&l.model));
        ModelView {
            model: desk.loaded.as_ref().map(|l| l.facts.clone()),
            loading: !desk.is_idle(),
            error: desk.error.clone().or(trouble),
            steps: desk.place.is_some(),
            folder: desk.folder.clone(),
            endings: formats::endings(),
        }
    }

    /// Does what was asked for. One at a time does it. [workshop thread, or a control thread before there is sound]
    pub fn work(&self) {
        loop {
            let mut desk = self.desk();
            if desk.wishes.is_empty() {
                desk.working = false;
                return;
            }
            desk.working = true;
            let wish = desk.wishes.remove(0);
            let place = desk.place.clone();
            if !matches!(wish, Wish::Browse) {
                (desk.error, desk.refused) = (None, false);
            }
            drop(desk);
            match wish {
                Wish::Open(path) if path.is_dir() => self.list(path),
                Wish::Open(path) => self.open(path),
                Wish::Take(model) => self.take(model),
                Wish::Step(step) => match place.map(|place| neighbour(&place, step)) {
                    Some(Ok(path)) => self.open(path),
                    Some(Err(error)) => self.fail(error),
                    None => {}
                },
                Wish::Clear => self.put(None, Some(NOTHING.into())),
                Wish::Browse => self.list(self.where_to_look()),
                Wish::Restore(field) => self.restore(&field),
            }
        }
    }

    fn open(&self, path: PathBuf) {
        let new = checked(|| loaded(Model::open(&path).map_err(|e| e.to_string())?, Some(path.clone())));
        self.desk().place = Some(path.clone());
        if let Some(folder) = path.parent() {
            *LAST_FOLDER.lock().unwrap_or_else(PoisonError::into_inner) = Some(folder.to_owned());
        }
        match new {
            Ok(new) => {
                let stored = pack(Some(&path), new.model.bytes());
                self.put(Some(new), Some(stored.into()));
            }
            Err(error) => self.fail(error),
        }
    }

    fn take(&self, model: Arc<Model>) {
        self.desk().place = None;
        match loaded(model, None) {
            Ok(new) => {
                let stored = pack(None, new.model.bytes());
                self.put(Some(new), Some(stored.into()));
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
            self.desk().place = None;
            return self.put(None, None);
        };
        self.desk().place.clone_from(&path);
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
                let stored = path.filter(|_| !whole).map(|path| pack(Some(&path), new.model.bytes()).into());
                self.put(Some(new), stored);
            }
            Err(error) => self.fail(error),
        }
    }

    fn fail(&self, error: String) {
        self.desk().error = Some(error);
    }

    /// Lets the slot run with something else; without `stored` the state's field is right already.
    fn put(&self, new: Option<Loaded>, stored: Option<Arc<str>>) {
        let mut desk = self.desk();
        let id = new.as_ref().map_or(0, |l| l.model.id().0.get());
        let old = std::mem::replace(&mut desk.loaded, new);
        // What slots ran with, also if this is the second since they were made.
        let (ran, skipped, was) = match desk.before.take() {
            Some((ran, was)) => (ran, old, was),
            None => (old, None, desk.stored.clone()),
        };
        let was = match stored {
            Some(field) => {
                desk.store(field);
                was
            }
            None => desk.stored.clone(),
        };
        desk.before = Some((ran, was));
        self.id.store(id, Ordering::Release);
        drop(desk);
        drop(skipped);
    }

    /// Slots run with what was loaded: what ran before is no longer needed. [workshop thread, or a control thread before there is
    /// sound]
    pub fn settle(&self) {
        let mut desk = self.desk();
        let id = desk.loaded.as_ref().map_or(0, |l| l.model.id().0.get());
        // What was refused elsewhere runs here.
        if id != 0 && id == self.id.load(Ordering::Acquire) && std::mem::take(&mut desk.refused) {
            desk.error = None;
        }
        let before = desk.before.take();
        drop(desk);
        drop(before);
    }

    /// Slots cannot be made with what was loaded: what ran before goes on, or nothing. [as `settle`]
    pub fn refuse(&self, error: String) {
        let mut desk = self.desk();
        desk.error = Some(error);
        let refused = match desk.before.take() {
            Some((old, stored)) => {
                desk.store(stored);
                std::mem::replace(&mut desk.loaded, old)
            }
            // It was sound elsewhere, at another rate: there it may run again.
            None => {
                desk.refused = true;
                self.id.store(0, Ordering::Release);
                return;
            }
        };
        let id = desk.loaded.as_ref().map_or(0, |l| l.model.id().0.get());
        self.id.store(id, Ordering::Release);
        drop(desk);
        drop(refused);
    }

    /// What was refused elsewhere is tried again. [control thread, before there is sound]
    pub fn retry(&self) {
        let desk = self.desk();
        self.id.store(desk.loaded.as_ref().map_or(0, |l| l.model.id().0.get()), Ordering::Release);
    }

    fn where_to_look(&self) -> PathBuf {
        let desk = self.desk();
        let seen = desk.folder.as_ref().map(|f| f.path.clone());
        let place = desk.place.as_ref().and_then(|p| p.parent()).map(Path::to_owned);
        drop(desk);
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
        let path = path.canonicalize().unwrap_or(path);
        let view = match entries(&path) {
            Ok((folders, files)) => FolderView { path, folders, files, error: None },
            Err(error) => FolderView { error: Some(format!("{}: {error}", path.display())), path, ..FolderView::default() },
        };
        self.desk().folder = Some(Arc::new(view));
    }
}

/// What went wrong while a model played.
fn trouble(model: &Model) -> Option<String> {
    match (model.explosions(), model.misses()) {
        (0, 0) => None,
        (0, misses) => Some(format!("its output was late {misses} times: the dry sound was heard instead")),
        (explosions, _) => Some(format!("its output was no number {explosions} times: silenced and begun anew")),
    }
}

/// Names of the folders and of the model files in a folder, sorted as a user reads them; nothing that hides.
fn entries(folder: &Path) -> std::io::Result<(Vec<String>, Vec<String>)> {
    let (mut folders, mut files) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // A name that is no text cannot be shown, and a link may lead nowhere.
        let (Ok(name), Ok(about)) = (entry.file_name().into_string(), fs::metadata(entry.path())) else { continue };
        if name.starts_with('.') {
            continue;
        }
        if about.is_dir() {
            folders.push(name);
        } else if formats::is_model_file(name.as_ref()) {
            files.push(name);
        }
    }
    folders.sort_by_cached_key(|name| order(name));
    files.sort_by_cached_key(|name| order(name));
    Ok((folders, files))
}

/// Small and capital letters side by side.
fn order(name: &str) -> (String, String) {
    (name.to_lowercase(), name.to_owned())
}

/// The model file so many places behind (or before) a file that may be gone, round and round.
fn neighbour(place: &Path, step: i32) -> Result<PathBuf, String> {
    let folder = place.parent().unwrap_or(Path::new(""));
    let (_, files) = entries(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let here = order(&place.file_name().unwrap_or_default().to_string_lossy());
    let at = match files.binary_search_by_key(&here, |name| order(name)) {
        Ok(at) => at as i64 + i64::from(step),
        // Between two: the one behind is one step away.
        Err(behind) => behind as i64 + i64::from(step) - i64::from(step > 0),
    };
    let count = i64::try_from(files.len()).unwrap_or(i64::MAX);
    if count == 0 {
        return Err(format!("{}: no model file; expected {}", folder.display(), formats::endings()));
    }
    Ok(folder.join(&files[at.rem_euclid(count) as usize]))
}

/// A fault of ours in reading a file must not end the thread, or cross into the host that calls.
fn checked(read: impl FnOnce() -> Result<Loaded, String>) -> Result<Loaded, String> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err("this file cannot be read: an error in Isotherm".into()))
}

/// What is known of a model, with what is measured here.
///
/// # Errors
/// If it cannot run on this machine.
fn loaded(model: Arc<Model>, path: Option<PathBuf>) -> Result<Loaded, String> {
    let size = model.sizes().len() - 1;
    let cost_ns = cost_ns(&model, size)?;
    let alignment = model.alignment(size)?;
    let info: &Info = model.info();
    let stem = path.as_deref().and_then(Path::file_stem).map(|s| s.to_string_lossy().into_owned());
    let gear: Vec<&str> =
        [&info.gear_make, &info.gear_model, &info.gear_type, &info.tone_type].into_iter().flatten().map(String::as_str).collect();
    let polarity = if alignment.inverted { ", polarity inverted" } else { "" };
    let doubt = if alignment.ambiguous { " (ambiguous)" } else { "" };
    let facts = ModelFacts {
        name: info.name.clone().or(stem).unwrap_or_else(|| "Model without a name".into()),
        path,
        author: info.author.clone(),
        gear: (!gear.is_empty()).then(|| gear.join(" ")),
        architecture: info.architecture.clone(),
        parameters: info.parameters,
        sample_rate: info.sample_rate,
        sample_rate_given: info.sample_rate_given,
        loudness_db: model.sizes()[size].loudness_db.or(info.loudness_db),
        esr: info.esr,
        cost_ns: Some(cost_ns),
        delay: Some(format!("{:.2} samples{polarity}{doubt}", alignment.delay_frames)),
    };
    Ok(Loaded { model, facts: Arc::new(facts) })
}

/// Time that one channel of a size takes, a sample: the least of some measurements.
fn cost_ns(model: &Model, size: usize) -> Result<f32, String> {
    let mut voices = model.network(size).clone().voices(Mode::new(1))?;
    voices.set_offline(true);
    let middle = [0.5; CHUNK];
    let knobs = vec![&middle[..]; model.knobs(size)];
    // A network that works in long chunks gets several.
    let chunks = (2 * voices.latency()).max(COST_FRAMES).div_ceil(CHUNK);
    let mut least = Duration::MAX;
    let begin = Instant::now();
    while least == Duration::MAX || begin.elapsed() < COST_TIME {
        let start = Instant::now();
        for _ in 0..chunks {
            // Never at rest, never denormal.
            let mut block: [f32; CHUNK] = std::array::from_fn(|i| if i % 2 == 0 { 0.1 } else { -0.1 });
            voices.process(&mut [&mut block], &knobs);
        }
        least = least.min(start.elapsed());
    }
    Ok(least.as_nanos() as f32 / (chunks * CHUNK) as f32)
}

/// The state's field for a model: its file's name and folder, if it has one, and its bytes, compressed.
fn pack(path: Option<&Path>, bytes: &[u8]) -> String {
    let text = |part: Option<&OsStr>| part.and_then(OsStr::to_str).map(str::to_owned);
    let deflate = || {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).and_then(|()| encoder.finish()).ok().map(|deflated| BASE64.encode(deflated))
    };
    json!({
        "name": text(path.and_then(Path::file_name)),
        "folder": text(path.and_then(Path::parent).map(Path::as_os_str)),
        "deflate": if bytes.len() <= MOST_KEPT { deflate() } else { None },
    })
    .to_string()
}

/// What a state keeps of a model.
#[derive(Debug, PartialEq)]
struct Kept {
    path: Option<PathBuf>,
    bytes: Option<Vec<u8>>,
}

fn unpack(field: &str) -> Result<Option<Kept>, String> {
    let error = |what: &str| format!("state's model: {what}");
    let value: Value = serde_json::from_str(field).map_err(|e| error(&e.to_string()))?;
    if value.is_null() {
        return Ok(None);
    }
    let text = |key: &str| match &value[key] {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.as_str())),
        _ => Err(error(&format!("'{key}' is no text; expected text or null"))),
    };
    let (name, folder, deflate) = (text("name")?, text("folder")?, text("deflate")?);
    let bytes = match deflate {
        None => None,
        Some(encoded) => {
            let deflated = BASE64.decode(encoded).map_err(|e| error(&e.to_string()))?;
            let mut bytes = Vec::new();
            DeflateDecoder::new(&deflated[..]).take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(|e| error(&e.to_string()))?;
            if bytes.len() as u64 > MOST_BYTES {
                return Err(error(&format!("more than {MOST_BYTES} bytes; expected at most that")));
            }
            Some(bytes)
        }
    };
    Ok(Some(Kept { path: name.map(|name| Path::new(folder.unwrap_or("")).join(name)), bytes }))
}

#[cfg(test)]
mod tests {
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

    fn done(holder: &Holder, wish: Wish) -> ModelView {
        holder.ask(wish);
        assert!(holder.view().loading);
        holder.work();
        assert!(!holder.view().loading);
        holder.view()
    }

    fn name(view: &ModelView) -> Option<&str> {
        view.model.as_ref().map(|m| m.name.as_str())
    }

    #[test]
    fn what_is_packed_comes_back() {
        let bytes: Vec<u8> = (0..10_000u32).map(|i| (i * i % 251) as u8).collect();
        let path = Path::new("/a folder/b \"c\".nam");
        let kept = unpack(&pack(Some(path), &bytes)).unwrap().unwrap();
        assert_eq!(kept, Kept { path: Some(path.to_owned()), bytes: Some(bytes) });
        let kept = unpack(&pack(None, b"abc")).unwrap().unwrap();
        assert_eq!(kept, Kept { path: None, bytes: Some(b"abc".to_vec()) });
        assert_eq!(unpack(NOTHING), Ok(None));
    }

    #[test]
    fn a_field_that_is_none_is_refused_in_one_line() {
        for (field, words) in [
            ("", "EOF"),
            (r#"{"name": 5}"#, "'name' is no text"),
            (r#"{"deflate": "%"}"#, "state's model: "),
            (r#"{"deflate": "AAAA"}"#, "state's model: "),
        ] {
            let error = unpack(field).unwrap_err();
            assert!(error.contains(words) && error.lines().count() == 1, "{field}: {error}");
        }
    }

    #[test]
    fn a_step_goes_round_the_folders_model_files_in_the_order_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.nam", "A.NAM", "c.json", "d.onnx", "notes.txt", ".hidden.nam"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        fs::create_dir(folder.path().join("e.nam")).unwrap();
        let step = |name: &str, by| {
            let path = neighbour(&folder.path().join(name), by).unwrap();
            path.file_name().unwrap().to_str().unwrap().to_owned()
        };
        assert_eq!(["A.NAM", "b.nam", "c.json", "d.onnx"].map(|n| step(n, 1)), ["b.nam", "c.json", "d.onnx", "A.NAM"]);
        assert_eq!(["A.NAM", "b.nam", "c.json", "d.onnx"].map(|n| step(n, -1)), ["d.onnx", "A.NAM", "b.nam", "c.json"]);
        // From where a file was.
        assert_eq!((step("bb.nam", 1), step("bb.nam", -1)), ("c.json".into(), "b.nam".into()));
        assert_eq!((step("z.nam", 1), step("a", -1)), ("A.NAM".into(), "d.onnx".into()));
        let empty = tempfile::tempdir().unwrap();
        assert!(neighbour(&empty.path().join("x.nam"), 1).unwrap_err().contains("no model file"));
        assert!(neighbour(Path::new("/nowhere/x.nam"), 1).unwrap_err().contains("/nowhere"));
    }

    #[test]
    fn a_file_that_is_no_model_leaves_the_one_before_and_steps_go_on_behind_it() {
        let folder = tempfile::tempdir().unwrap();
        let first = file(folder.path(), "1.nam", 0.5);
        fs::write(folder.path().join("2.nam"), "{}").unwrap();
        file(folder.path(), "3.nam", 0.25);
        let holder = Holder::default();
        let view = done(&holder, Wish::Open(first.clone()));
        assert_eq!((name(&view), view.error.as_deref(), view.steps), (Some("gain 0.5"), None, true));
        let (id, stored) = (holder.id(), holder.stored());
        assert!(id.is_some());
        let view = done(&holder, Wish::Step(1));
        assert_eq!(name(&view), Some("gain 0.5"));
        assert!(view.error.unwrap().contains("2.nam"));
        assert_eq!((holder.id(), holder.stored()), (id, stored));
        let view = done(&holder, Wish::Step(1));
        assert_eq!((name(&view), view.error.as_deref()), (Some("gain 0.25"), None));
        let facts = view.model.unwrap();
        assert!(facts.cost_ns.unwrap() > 0.0 && facts.path == Some(folder.path().join("3.nam")));
        assert_eq!(name(&done(&holder, Wish::Step(-2))), Some("gain 0.5"));
        let view = done(&holder, Wish::Clear);
        assert_eq!((name(&view), holder.id(), &*holder.stored()), (None, None, NOTHING));
    }

    #[test]
    fn a_restored_field_is_stored_before_it_is_read_and_whatever_comes_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path(), "1.nam", 0.5);
        let field = pack(Some(&path), &fs::read(&path).unwrap());
        folder.close().unwrap();
        let holder = Holder::default();
        holder.ask(Wish::Restore(field.clone()));
        assert_eq!(*holder.stored(), field);
        holder.work();
        assert_eq!((name(&holder.view()), &*holder.stored()), (Some("gain 0.5"), field.as_str()));
        // What is there already is not read again.
        let id = holder.id();
        holder.ask(Wish::Restore(field.clone()));
        assert!(!holder.view().loading);
        holder.work();
        assert_eq!(holder.id(), id);
        for broken in ["", "{}", r#"{"deflate":"AAAA"}"#] {
            let view = done(&holder, Wish::Restore(broken.into()));
            assert_eq!((name(&view), &*holder.stored()), (Some("gain 0.5"), broken));
            assert_eq!(view.error.unwrap().lines().count(), 1);
        }
        done(&holder, Wish::Restore(NOTHING.into()));
        assert_eq!(holder.id(), None);
    }

    #[test]
    fn what_slots_refuse_gives_way_to_what_ran_before() {
        let folder = tempfile::tempdir().unwrap();
        let [one, two] = [0.5, 0.25].map(|gain| file(folder.path(), &format!("{gain}.nam"), gain));
        let holder = Holder::default();
        done(&holder, Wish::Open(one));
        holder.settle();
        let (id, stored) = (holder.id(), holder.stored());
        done(&holder, Wish::Open(two.clone()));
        holder.refuse("not here".into());
        assert_eq!((name(&holder.view()), holder.id(), holder.stored()), (Some("gain 0.5"), id, stored.clone()));
        assert_eq!(holder.view().error.as_deref(), Some("not here"));
        // A state keeps what it brought.
        let field = pack(Some(&two), &fs::read(&two).unwrap());
        done(&holder, Wish::Restore(field.clone()));
        holder.refuse("not here".into());
        assert_eq!((holder.id(), &*holder.stored()), (id, field.as_str()));
        // What ran before may be refused too, at another rate; elsewhere it runs again.
        holder.refuse("not at this rate".into());
        assert_eq!(holder.id(), None);
        holder.retry();
        assert_eq!(holder.id(), id);
    }

    #[test]
    fn a_folder_is_listed_and_not_loaded() {
        let folder = tempfile::tempdir().unwrap();
        file(folder.path(), "b.nam", 1.0);
        fs::create_dir(folder.path().join("a")).unwrap();
        let holder = Holder::default();
        let listed = done(&holder, Wish::Open(folder.path().to_owned())).folder.unwrap();
        assert_eq!((&listed.folders[..], &listed.files[..]), (&["a".to_owned()][..], &["b.nam".to_owned()][..]));
        assert_eq!((holder.id(), &*holder.stored()), (None, NOTHING));
        file(folder.path(), "c.nam", 1.0);
        assert_eq!(done(&holder, Wish::Browse).folder.unwrap().files.len(), 2);
    }
}
