//! The training of slot A's twin: a thread of its own beside the sound, of the lowest priority.
//!
//! The thread is ours and joined where the workshop is: when the host removes the instance, and never by itself.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;
use std::{fs, io};

use nice_plug::prelude::nice_error;

use super::Shared;
use super::models::Wish;
use crate::dsp::Settings;
use crate::effect::Effect;
use crate::neural::Model;
use crate::train::{Design, Limit, Plan, Twin, TwinError, twin};
use crate::ui::{TWIN_SIZES, TwinStage, TwinView};

/// A twin is put into slot B by itself up to this error to signal: -20 dB, of which neural-amp-modeler's trainer says "great".
pub const GOOD_ESR: f64 = 0.01;
/// Frames by which a twin is late: an oversampled curve rings before a sound. Found by trial: docs/training.md.
const LOOK_AHEAD: usize = 6;
/// Parameters of A that a twin's name tells.
const TOLD: usize = 3;
/// Parameters whose values bring chance into the sound.
const CHANCE: [&str; 2] = ["dither", "jitter"];

/// Whether an instance of this process trains.
static BUSY: AtomicBool = AtomicBool::new(false);

/// The right to train.
struct Turn;

impl Turn {
    fn take() -> Option<Self> {
        (!BUSY.swap(true, Ordering::AcqRel)).then_some(Self)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        BUSY.store(false, Ordering::Release);
    }
}

/// Of one instance. The audio thread never touches it.
#[derive(Default)]
pub struct Training {
    desk: Mutex<Desk>,
    stop: AtomicBool,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Desk {
    view: TwinView,
    /// What [`TwinStage::Done`] is about.
    model: Option<Arc<Model>>,
}

impl Desk {
    /// Whether an earlier twin still is to be seated does not change.
    fn show(&mut self, stage: TwinStage, model: Option<Arc<Model>>) {
        self.view.stage = stage;
        self.model = model;
    }
}

impl Training {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was asked for; [`Shared::twin_view`] tells what came of it. [control thread]
    #[cfg(test)]
    #[must_use]
    pub fn view(&self) -> TwinView {
        self.desk().view.clone()
    }

    /// Calls the training off; does not wait. [control thread]
    pub fn cancel(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Calls the training off and waits for its thread: for a step of it at most. [control thread]
    pub fn end(&self) {
        self.cancel();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic in there has been reported; nothing is left to do for it.
            let _ = thread.join();
        }
    }

    /// Forgets the result. [control thread]
    pub fn dismiss(&self) {
        let mut desk = self.desk();
        if !matches!(desk.view.stage, TwinStage::Training { .. }) {
            desk.view.stage = TwinStage::Idle;
            desk.model = None;
        }
    }

    /// Slot B plays the twin. [control thread]
    pub fn seated(&self) {
        self.desk().view.arrived = false;
    }

    /// Writes the result to a file of its own in a folder. [control thread]
    pub fn save(&self, folder: &Path) {
        let mut desk = self.desk();
        let Desk { view: TwinView { stage: TwinStage::Done { name, saved, error, .. }, .. }, model: Some(model) } = &mut *desk
        else {
            return;
        };
        match write(folder, name, model.bytes()) {
            Ok(path) => (*saved, *error) = (Some(path), None),
            Err(e) => *error = Some(format!("{}: {e}", folder.display())),
        }
    }

    fn stage(&self, stage: TwinStage) {
        self.desk().view.stage = stage;
    }
}

/// Where a user's twins are saved, as each system has it.
#[must_use]
pub fn folder() -> PathBuf {
    let home = std::env::home_dir().unwrap_or_default();
    let given = |variable: &str| std::env::var_os(variable).map(PathBuf::from).filter(|p| p.is_absolute());
    if cfg!(windows) {
        given("APPDATA").unwrap_or(home).join("Isotherm").join("Twins")
    } else if cfg!(target_os = "macos") {
        home.join("Library/Application Support/Isotherm/Twins")
    } else {
        given("XDG_DATA_HOME").unwrap_or_else(|| home.join(".local/share")).join("isotherm/twins")
    }
}

/// Writes a model file that was not there before.
fn write(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let plain: String = name.chars().map(|c| if r#"<>:"/\|?*"#.contains(c) || c.is_control() { '_' } else { c }).collect();
    let mut count = 1;
    loop {
        let number = if count == 1 { String::new() } else { format!(" {count}") };
        let path = folder.join(format!("{plain}{number}.nam"));
        match fs::File::create_new(&path) {
            Ok(mut file) => return io::Write::write_all(&mut file, bytes).map(|()| path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => count += 1,
            Err(error) => return Err(error),
        }
    }
}

/// What a twin is of: `Saturator (Drive 24 dB) twin, lstm-16`.
fn name(settings: &Settings, design: &Design) -> String {
    let algorithm = settings.algorithm();
    let moved = algorithm.parameters.iter().enumerate().filter(|(i, p)| !p.is_default(settings.get(*i)));
    let told: Vec<String> = moved.map(|(i, p)| format!("{} {}", p.name, p.text_with_unit(settings.get(i)))).collect();
    let more = if told.len() > TOLD { ", \u{2026}" } else { "" };
    let told = told.iter().take(TOLD).map(String::as_str).collect::<Vec<_>>().join(", ");
    let told = if told.is_empty() { told } else { format!(" ({told}{more})") };
    format!("{}{told} twin, {}", algorithm.name, design.name())
}

/// What of these settings no network can learn.
fn note(settings: &Settings) -> String {
    let parameters = settings.algorithm().parameters.iter().enumerate();
    let chance = parameters.filter(|(i, p)| CHANCE.contains(&p.id) && !p.is_same(settings.get(*i), 0.0));
    let names: Vec<&str> = chance.map(|(_, p)| p.name).collect();
    if names.is_empty() { String::new() } else { format!("chance in {}: the twin learns the rest", names.join(" and ")) }
}

/// Everything else goes first. [the thread itself]
fn lower_priority() -> Result<(), thread_priority::Error> {
    #[cfg(target_os = "linux")]
    {
        use thread_priority::{NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy};
        // The threads that it starts inherit this.
        let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
        thread_priority::set_thread_priority_and_policy(thread_priority::thread_native_id(), ThreadPriority::Min, policy)
    }
    #[cfg(not(target_os = "linux"))]
    {
        thread_priority::ThreadPriority::Min.set_for_current()
    }
}

/// One core stays free for the sound; elsewhere than on Linux, threads that a thread starts do not inherit its priority.
fn threads() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    if cfg!(target_os = "linux") { cores.saturating_sub(1).clamp(1, 2) } else { 1 }
}

impl Shared {
    /// Begins to train the twin of slot A as it is set now; the view tells why if it cannot. [control thread]
    pub(super) fn train_twin(self: &Arc<Self>, size: usize) {
        let Some(chosen) = TWIN_SIZES.get(size) else { return };
        let plan = Design::parse(chosen.network).map(|mut design| {
            // DC blockers remember long.
            if let Design::Recurrent(shape) = &mut design {
                shape.chrono = true;
            }
            let plan = Plan::new(design, Limit::Seconds(f64::from(chosen.seconds)));
            Plan { threads: threads(), look_ahead: LOOK_AHEAD, ..plan }
        });
        if let Err(error) = plan.and_then(|plan| self.train_twin_by(plan, size)) {
            self.training.stage(TwinStage::Failed(error));
        }
    }

    /// Nothing happens while this instance trains.
    fn train_twin_by(self: &Arc<Self>, plan: Plan, size: usize) -> Result<(), String> {
        let mut thread = self.training.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if self.gone.load(Ordering::Acquire) || thread.as_ref().is_some_and(|t| !t.is_finished()) {
            return Ok(());
        }
        let settings = self.wanted()[0].settings;
        if settings.algorithm().model {
            return Err("A runs a model already: choose another algorithm for A".into());
        }
        let sample_rate = f32::from_bits(self.sample_rate.load(Ordering::Relaxed)).round() as u32;
        if sample_rate == 0 {
            return Err("the host has told no sample rate yet: let it play first".into());
        }
        let turn = Turn::take().ok_or("another instance trains a twin: one at a time")?;
        let (name, note) = (name(&settings, &plan.design), note(&settings));
        self.training.stop.store(false, Ordering::Release);
        let stage = TwinStage::Training { name: name.clone(), note: note.clone(), done: 0.0, left_seconds: None, esr: None };
        self.training.desk().show(stage, None);
        if let Some(last) = thread.take() {
            let _ = last.join();
        }
        let shared = self.clone();
        let work = move || {
            let _turn = turn;
            if let Err(error) = lower_priority() {
                nice_error!("the training's thread keeps its priority: {error:?}");
            }
            let found =
                catch_unwind(AssertUnwindSafe(|| shared.follow_training(&settings.into(), sample_rate, plan, &name, &note)));
            let stage = match found {
                Ok(Ok(Some(twin))) => return shared.finish_training(twin, name, note, size),
                Ok(Ok(None)) => TwinStage::Idle,
                Ok(Err(error)) => TwinStage::Failed(error.to_string()),
                Err(_) => TwinStage::Failed("the training broke off".into()),
            };
            shared.training.stage(stage);
        };
        let spawned = std::thread::Builder::new().name("isotherm-twin".into()).spawn(work);
        *thread = Some(spawned.map_err(|error| format!("no thread to train on: {error}"))?);
        Ok(())
    }

    /// [training thread]
    fn follow_training(
        &self,
        effect: &Effect,
        sample_rate: u32,
        plan: Plan,
        name: &str,
        note: &str,
    ) -> Result<Option<Twin>, TwinError> {
        let mut begin = None;
        let wanted = || !self.training.stop.load(Ordering::Acquire);
        twin(effect, sample_rate, plan, name.to_owned(), &wanted, &mut |progress| {
            let begin = begin.get_or_insert_with(|| (Instant::now(), progress.done));
            // By the clock on the wall: whatever else runs goes first.
            let gone = progress.done - begin.1;
            let left = (gone > 0.0).then(|| (begin.0.elapsed().as_secs_f64() * (1.0 - progress.done) / gone) as f32);
            self.training.stage(TwinStage::Training {
                name: name.to_owned(),
                note: note.to_owned(),
                done: progress.done as f32,
                left_seconds: left,
                esr: progress.esr,
            });
        })
    }

    /// [training thread]
    fn finish_training(&self, twin: Twin, name: String, note: String, size: usize) {
        let esr = twin.found.esr;
        let stage = TwinStage::Done { name, note, esr, size, placed: false, saved: None, error: None };
        self.training.desk().show(stage, Some(twin.model));
        // A blind comparison is about what both slots had when it began.
        let compares = self.bank.blind.value() && !self.blind.is_revealed();
        if esr <= GOOD_ESR && !compares {
            self.use_twin();
        }
    }

    /// For the editor: in slot B is only what slot B plays, whoever has set it to what. [control thread]
    pub(super) fn twin_view(&self) -> TwinView {
        let desk = self.training.desk();
        let (mut view, id) = (desk.view.clone(), desk.model.as_ref().map(|model| model.id()));
        drop(desk);
        let slot = &self.models[1];
        let is_there = id.is_some() && slot.id() == id;
        view.coming = view.arrived && (is_there || slot.view().loading);
        view.arrived &= is_there;
        if let TwinStage::Done { placed, .. } = &mut view.stage {
            *placed = is_there && self.wanted()[1].model == id;
        }
        view
    }

    /// Slot B gets the result; the editor seats it. [control thread or training thread]
    pub(super) fn use_twin(&self) {
        let mut desk = self.training.desk();
        let Desk { view: TwinView { stage: TwinStage::Done { placed, .. }, arrived, .. }, model: Some(model) } = &mut *desk
        else {
            return;
        };
        (*placed, *arrived) = (true, true);
        let model = model.clone();
        drop(desk);
        self.ask_model(1, Wish::Take(model));
    }
}

/// What slot B plays a twin with: its parameters' neutral values. [any thread]
pub fn neutral() -> Settings {
    Settings::new(&crate::neural::ALGORITHM).with("output_mode", 0.0)
}

#[cfg(test)]
pub mod tests;
