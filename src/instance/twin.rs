//! The training of a twin: a neural network that learns to sound as the effect in slot A does. It runs on a thread of its own, of
//! the lowest priority.
//!
//! The thread is joined where the builder thread is: when the host removes the instance.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;
use std::{fs, io};

use super::SharedInstance;
use super::models::ModelRequest;
use super::parameters::BLIND;
use crate::dsp::Settings;
use crate::effect::Effect;
use crate::neural::Model;
use crate::train::clock::busy_remark;
use crate::train::{Design, EarlyStopping, TIME_CEILING, TrainingConfig, Twin, TwinError, train_twin};
use crate::view::{TWIN_SIZES, TwinStage, TwinView};

/// Highest error-to-signal ratio (a power ratio) at which a twin is put into slot B without asking the user: -20 dB, which the
/// trainer of neural-amp-modeler calls "great".
pub const GOOD_ESR: f64 = 0.01;
/// Frames by which a twin is later than its effect. It needs them because the filters of an oversampled effect ring before a
/// sound. Found by trial: docs/training.md.
const LOOK_AHEAD: usize = 6;
/// Largest number of parameters of slot A in a twin's name.
const NAMED_PARAMETERS: usize = 3;
/// Ids of the parameters that add randomness to the sound, which a network cannot learn.
const RANDOM_PARAMETERS: [&str; 2] = ["dither", "jitter"];

/// True while an instance of this process trains: one at a time.
pub(crate) static IS_TRAINING: AtomicBool = AtomicBool::new(false);

/// The permit to train, of which a process has one. Dropping it gives it back.
struct TrainingPermit;

impl TrainingPermit {
    fn take() -> Option<Self> {
        (!IS_TRAINING.swap(true, Ordering::AcqRel)).then_some(Self)
    }
}

impl Drop for TrainingPermit {
    fn drop(&mut self) {
        IS_TRAINING.store(false, Ordering::Release);
    }
}

/// The training of one instance: its thread and its result. The audio thread never touches it.
#[derive(Default)]
pub struct Training {
    status: Mutex<TrainingStatus>,
    /// True when the training has to end early.
    stop: AtomicBool,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// The state of the training for the panels, and its result.
#[derive(Default)]
struct TrainingStatus {
    view: TwinView,
    /// The trained model, at [`TwinStage::Done`].
    model: Option<Arc<Model>>,
}

impl TrainingStatus {
    /// Sets stage and model. [`TwinView::play_pending`] stays, as it may be about an earlier twin.
    fn show(&mut self, stage: TwinStage, model: Option<Arc<Model>>) {
        self.view.stage = stage;
        self.model = model;
    }
}

impl Training {
    fn status(&self) -> MutexGuard<'_, TrainingStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The view without a look at slot B, which [`SharedInstance::twin_view`] adds. [control thread]
    #[cfg(test)]
    #[must_use]
    pub fn view(&self) -> TwinView {
        self.status().view.clone()
    }

    /// Cancels the training, without waiting for its thread. [control thread]
    pub fn cancel(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Cancels the training and waits for its thread, for one training step at most. [control thread]
    pub fn cancel_and_join(&self) {
        self.cancel();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic of the thread has been reported already.
            let _ = thread.join();
        }
    }

    /// Drops the result or the error. Does nothing while a training runs. [control thread]
    pub fn dismiss(&self) {
        let mut status = self.status();
        if !matches!(status.view.stage, TwinStage::Training { .. }) {
            status.view.stage = TwinStage::Idle;
            status.model = None;
        }
    }

    /// Notes that slot B was set to play the twin. [control thread]
    pub fn mark_playing_in_b(&self) {
        self.status().view.play_pending = false;
    }

    /// Saves the twin as a new file in a folder; the view tells where, or why not. [control thread]
    pub fn save(&self, folder: &Path) {
        let mut status = self.status();
        let TrainingStatus { view: TwinView { stage: TwinStage::Done { name, saved, error, .. }, .. }, model: Some(model) } =
            &mut *status
        else {
            return;
        };
        match write(folder, name, model.bytes()) {
            Ok(path) => (*saved, *error) = (Some(path), None),
            Err(e) => *error = Some(format!("{}: {e}", folder.display())),
        }
    }

    fn set_stage(&self, stage: TwinStage) {
        self.status().view.stage = stage;
    }
}

/// The folder for saved twins: a folder of the user's, by the rules of the operating system.
#[must_use]
pub fn folder() -> PathBuf {
    let home = std::env::home_dir().unwrap_or_default();
    let absolute_path = |variable: &str| std::env::var_os(variable).map(PathBuf::from).filter(|p| p.is_absolute());
    if cfg!(windows) {
        absolute_path("APPDATA").unwrap_or(home).join("Isotherm").join("Twins")
    } else if cfg!(target_os = "macos") {
        home.join("Library/Application Support/Isotherm/Twins")
    } else {
        absolute_path("XDG_DATA_HOME").unwrap_or_else(|| home.join(".local/share")).join("isotherm/twins")
    }
}

/// Writes a new file `name.nam`, with a number in its name if there is one already. Returns its path.
fn write(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let file_stem: String = name.chars().map(|c| if r#"<>:"/\|?*"#.contains(c) || c.is_control() { '_' } else { c }).collect();
    let mut count = 1;
    loop {
        let number = if count == 1 { String::new() } else { format!(" {count}") };
        let path = folder.join(format!("{file_stem}{number}.nam"));
        match fs::File::create_new(&path) {
            Ok(mut file) => return io::Write::write_all(&mut file, bytes).map(|()| path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => count += 1,
            Err(error) => return Err(error),
        }
    }
}

/// The name of a twin: the effect that it is trained on and its network, such as `Saturator (Drive 24 dB) twin, lstm-16`.
fn name(settings: &Settings, design: &Design) -> String {
    let algorithm = settings.algorithm();
    let moved = algorithm.parameters.iter().enumerate().filter(|(i, p)| !p.is_default(settings.get(*i)));
    let texts: Vec<String> = moved.map(|(i, p)| format!("{} {}", p.name, p.text_with_unit(settings.get(i)))).collect();
    let more = if texts.len() > NAMED_PARAMETERS { ", \u{2026}" } else { "" };
    let list = texts.iter().take(NAMED_PARAMETERS).map(String::as_str).collect::<Vec<_>>().join(", ");
    let list = if list.is_empty() { list } else { format!(" ({list}{more})") };
    format!("{}{list} twin, {}", algorithm.name, design.name())
}

/// A note for the user about the settings that no network can learn; empty if there are none.
fn note(settings: &Settings) -> String {
    let parameters = settings.algorithm().parameters.iter().enumerate();
    let random = parameters.filter(|(i, p)| RANDOM_PARAMETERS.contains(&p.id) && !p.is_same(settings.get(*i), 0.0));
    let names: Vec<&str> = random.map(|(_, p)| p.name).collect();
    if names.is_empty() { String::new() } else { format!("random: {}; the twin learns the rest", names.join(" and ")) }
}

/// Joins a note and remarks on the training to one line; empty parts are left out.
fn join_notes(note: &str, remarks: impl IntoIterator<Item = String>) -> String {
    std::iter::once(note.to_owned()).chain(remarks).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
}

/// Lowers the priority of the calling thread, so that all others go first. [training thread]
fn lower_priority() -> Result<(), thread_priority::Error> {
    #[cfg(target_os = "linux")]
    {
        use thread_priority::{NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy};
        // Threads that this one starts inherit the policy.
        let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
        thread_priority::set_thread_priority_and_policy(thread_priority::thread_native_id(), ThreadPriority::Min, policy)
    }
    #[cfg(not(target_os = "linux"))]
    {
        thread_priority::ThreadPriority::Min.set_for_current()
    }
}

/// Number of threads to train with. On Linux it leaves one core to the sound; elsewhere it is one, as other threads would not
/// inherit the low priority.
pub(crate) fn training_threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    if cfg!(target_os = "linux") { cores.saturating_sub(1).clamp(1, 2) } else { 1 }
}

impl SharedInstance {
    /// Starts to train a twin of slot A as it is set now. `size`: index in [`TWIN_SIZES`]. If it cannot start, the view says
    /// why. [control thread]
    pub(crate) fn train_twin(self: &Arc<Self>, size: usize) {
        let Some(chosen) = TWIN_SIZES.get(size) else { return };
        let config = Design::parse(chosen.network).map_err(|error| error.to_string()).map(|mut design| {
            // A DC blocker has a long memory: the network's gates begin with long ones (chrono initialisation).
            if let Design::Recurrent(shape) = &mut design {
                shape.chrono = true;
            }
            let config = TrainingConfig::new(design, chosen.steps);
            TrainingConfig { threads: training_threads(), look_ahead: LOOK_AHEAD, ..config }
        });
        if let Err(error) = config.and_then(|config| self.train_twin_with(config, size)) {
            self.training.set_stage(TwinStage::Failed(error));
        }
    }

    /// Starts a training by a configuration; does nothing while this instance trains. `size`: index in [`TWIN_SIZES`], whose
    /// seconds set a ceiling of the time. [control thread]
    ///
    /// # Errors
    /// The reason why it cannot start, as one line for the user.
    pub(crate) fn train_twin_with(self: &Arc<Self>, config: TrainingConfig, size: usize) -> Result<(), String> {
        let mut thread = self.training.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_closed.load(Ordering::Acquire) || thread.as_ref().is_some_and(|t| !t.is_finished()) {
            return Ok(());
        }
        let settings = self.requested_snapshots()[0].settings;
        if settings.algorithm().plays_model {
            return Err("A runs a model already: choose another algorithm for A".into());
        }
        let sample_rate = f32::from_bits(self.sample_rate.load(Ordering::Relaxed)).round() as u32;
        if sample_rate == 0 {
            return Err("the host has told no sample rate yet: let it play first".into());
        }
        let permit = TrainingPermit::take().ok_or("another instance trains a twin: one at a time")?;
        let (name, note) = (name(&settings, &config.design), note(&settings));
        self.training.stop.store(false, Ordering::Release);
        let stage = TwinStage::Training { name: name.clone(), note: note.clone(), done: 0.0, left_seconds: None, esr: None };
        self.training.status().show(stage, None);
        if let Some(previous) = thread.take() {
            let _ = previous.join();
        }
        let shared = self.clone();
        let max_seconds = TWIN_SIZES.get(size).map(|size| TIME_CEILING * f64::from(size.seconds));
        let early_stopping = EarlyStopping { max_seconds, ..EarlyStopping::default() };
        let work = move || {
            let _permit = permit;
            if let Err(error) = lower_priority() {
                tracing::error!("the training's thread keeps its priority: {error:?}");
            }
            let plan = (config, early_stopping);
            let result =
                catch_unwind(AssertUnwindSafe(|| shared.run_training(&settings.into(), sample_rate, plan, &name, &note)));
            let stage = match result {
                Ok(Ok(Some(twin))) => return shared.finish_training(twin, name, note, size),
                Ok(Ok(None)) => TwinStage::Idle,
                Ok(Err(error)) => TwinStage::Failed(error.to_string()),
                Err(_) => TwinStage::Failed("the training broke off".into()),
            };
            shared.training.set_stage(stage);
        };
        let spawned = std::thread::Builder::new().name("isotherm-twin".into()).spawn(work);
        *thread = Some(spawned.map_err(|error| format!("no thread to train on: {error}"))?);
        Ok(())
    }

    /// Trains, and shows the progress in the view. None if it was cancelled. [training thread]
    fn run_training(
        &self,
        effect: &Effect,
        sample_rate: u32,
        (config, early_stopping): (TrainingConfig, EarlyStopping),
        name: &str,
        note: &str,
    ) -> Result<Option<Twin>, TwinError> {
        let mut begin = None;
        let go_on = || !self.training.stop.load(Ordering::Acquire);
        train_twin(effect, sample_rate, config, early_stopping, name.to_owned(), &go_on, &mut |progress| {
            let begin = begin.get_or_insert_with(|| (Instant::now(), progress.done));
            // The time left is estimated by the clock, as other threads take time from the training.
            let advance = progress.done - begin.1;
            let left = (advance > 0.0).then(|| (begin.0.elapsed().as_secs_f64() * (1.0 - progress.done) / advance) as f32);
            self.training.set_stage(TwinStage::Training {
                name: name.to_owned(),
                note: join_notes(note, busy_remark(progress.cpu_share)),
                done: progress.done as f32,
                left_seconds: left,
                esr: progress.esr,
            });
        })
    }

    /// Shows the result, and puts it into slot B if it is good enough. [training thread]
    fn finish_training(&self, twin: Twin, name: String, note: String, size: usize) {
        let esr = twin.evaluation.esr;
        let note = join_notes(&note, twin.remarks);
        let stage = TwinStage::Done { name, note, esr, size, plays_in_b: false, saved: None, error: None };
        self.training.status().show(stage, Some(twin.model));
        // A blind comparison is about the sound that both slots had when it began, so B must not change.
        let is_comparing = self.parameters.is_on(BLIND) && !self.blind.is_revealed();
        if esr <= GOOD_ESR && !is_comparing {
            self.load_twin_into_b();
        }
    }

    /// The training as the panels show it. `plays_in_b` is read from the slot, which others may set,
    /// too. [control thread]
    pub(crate) fn twin_view(&self) -> TwinView {
        let status = self.training.status();
        let (mut view, id) = (status.view.clone(), status.model.as_ref().map(|model| model.id()));
        drop(status);
        let slot = &self.models[1];
        let is_there = id.is_some() && slot.id() == id;
        view.starting_in_b = view.play_pending && (is_there || slot.view().loading);
        view.play_pending &= is_there;
        if let TwinStage::Done { plays_in_b, .. } = &mut view.stage {
            *plays_in_b = is_there && self.requested_snapshots()[1].model == id;
        }
        view
    }

    /// Loads the twin into slot B. The panels then set the slot to play it
    /// ([`TwinRequest::PlayInB`](crate::view::TwinRequest::PlayInB)), as they set parameters through the host. [control thread
    /// or training thread]
    pub(crate) fn load_twin_into_b(&self) {
        let mut status = self.training.status();
        let TrainingStatus { view, model: Some(model) } = &mut *status else { return };
        let TwinView { stage: TwinStage::Done { plays_in_b, .. }, play_pending, .. } = view else { return };
        (*plays_in_b, *play_pending) = (true, true);
        let model = model.clone();
        drop(status);
        self.request_model(1, ModelRequest::Trained(model));
    }
}

/// The settings with which slot B plays a twin: the neural algorithm at its defaults, but without a change of the output level.
/// [any thread]
pub fn neutral_settings() -> Settings {
    Settings::new(&crate::neural::ALGORITHM).with("output_mode", 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithm::{REGISTRY, find};

    #[test]
    fn a_twins_name_lists_the_settings_and_a_note_the_random_ones() {
        let design = Design::parse("lstm-16").unwrap();
        let saturator = Settings::new(find("saturator").unwrap());
        assert_eq!(name(&saturator, &design), "Saturator twin, lstm-16");
        assert_eq!(name(&saturator.with("drive", 24.0), &design), "Saturator (Drive 24.00 dB) twin, lstm-16");
        assert_eq!(note(&saturator), "");
        // A host returns values rounded to 24 bits of the knob's travel: these still count as defaults.
        for row in REGISTRY.iter().filter(|row| !row.plays_model) {
            let mut settings = Settings::new(row);
            for (index, parameter) in row.parameters.iter().enumerate() {
                if let crate::dsp::ParameterKind::Float { default, .. } = parameter.kind {
                    let back = default * (1.0 - 4.0 * f32::EPSILON);
                    assert!(default == 0.0 || back != default);
                    settings.set(index, back);
                }
            }
            assert_eq!(name(&settings, &design), format!("{} twin, lstm-16", row.name));
            assert_eq!(note(&settings), "");
        }
        let crusher = Settings::new(find("bitcrusher").unwrap()).with("dither", 1.0).with("jitter", 10.0);
        assert_eq!(note(&crusher), "random: Dither and Jitter; the twin learns the rest");
    }

    #[test]
    fn a_saved_twin_replaces_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let new_folder = folder.path().join("new");
        let paths = [1u8, 2].map(|byte| write(&new_folder, "a/b twin", &[byte]).unwrap());
        assert_eq!(paths.clone().map(|p| p.file_name().unwrap().to_owned()), ["a_b twin.nam", "a_b twin 2.nam"]);
        assert_eq!(paths.map(|p| fs::read(p).unwrap()), [[1], [2]]);
    }
}
