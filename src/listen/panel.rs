//! Panels: one test, prepared once, that several listeners take, each with a link and a session of their own.
//!
//! A panel is a folder: its plan, its links, the loop and both sides, and the folder of a session for each listener who has opened a
//! link. A link has a *token*. The browser that opens it first makes a *secret*, to which the link is bound from then on. Each load
//! of the page is a *visit*, of which the newest counts; it begins with a sound check. What a listener hears and answers goes through
//! the same [`Session`] and [`SessionFolder`] as in a terminal. This module knows no HTTP.

mod error;
mod files;
mod listener;
mod sound;
mod view;

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

pub use error::{PanelError, Refusal};
pub use files::{LINKS, PANEL, PANEL_VERSION, SOUNDS};
pub use sound::PanelSound;
pub use view::{ButtonSound, PanelAction, PanelResult, PanelStage, PanelStep, PanelTest, PanelView};

use super::blinding::{Blinding, sha256};
use super::course::{configuration_of, gate_views, resume_session, with_ladder, write_sounds};
use super::folder::{FolderError, LOG, Reopened, SessionFolder, failed, hashes};
use super::log::Configuration;
use super::matching::Prepared;
use super::player::Stimuli;
use super::preparation::{Job, prepare_sounds};
use super::protocol::validate;
use super::session::{Entry, Session};
use super::side_measures::esr_db;
use super::verify::verify_log;
use crate::audio::Audio;
use crate::dsp::ProcessSpec;
use crate::effect::Effect;
use crate::view::{SideChoice, SoundSource, TestSetup};
use files::{Link, Plan};
use listener::{Check, Listener, Progress, Running, SoundId, Visit, ended, last_step};

/// Most listeners of a panel.
pub const MOST_LISTENERS: usize = 500;
/// Most presses of an answer that is taken.
pub const MOST_PRESSES: usize = 1000;
/// Most channels of a sound that a browser plays without mixing it.
const MOST_CHANNELS: usize = 2;
/// Longest time of a trial that is taken, in seconds: a day.
const MOST_SECONDS: f64 = 86_400.0;
/// Frames that a browser plays at a time (Web Audio API, "render quantum size").
const BROWSER_FRAMES: usize = 128;
/// Characters of a browser's name that the log keeps.
const NAME_CHARS: usize = 200;
/// Words before a browser's name in the log.
const VENUE: &str = "isotherm listen serve";

/// A link and how far its listener is, for whoever runs the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PanelLink {
    /// Number of the listener, from 1.
    pub listener: usize,
    /// The token.
    pub token: String,
    /// True if a browser has opened it.
    pub is_bound: bool,
}

/// A panel that is served. All methods but the first two may be called by many threads at once. [control thread: does I/O]
#[derive(Debug)]
pub struct Panel {
    path: PathBuf,
    configuration: Configuration,
    stimuli: Arc<Stimuli>,
    notes: Vec<String>,
    /// The links, as they are on the disk.
    links: Mutex<Vec<Link>>,
    listeners: Vec<Mutex<Listener>>,
    /// The listener's index by the hash of a token, and by the id of the newest visit.
    tokens: HashMap<String, usize>,
    visits: RwLock<HashMap<String, usize>>,
    /// The lock.
    _lock: File,
}

/// Takes a lock. A thread that panicked left nothing half done that the disk does not have.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Panel {
    /// Makes a panel at `path`, where nothing may be, for a number of listeners. The sides are rendered, matched and must pass the
    /// gates, as for a single listener. `sound` is the one from which the loop is cut.
    ///
    /// # Errors
    /// [`PanelError`]; then nothing is left at `path`.
    pub fn create(path: &Path, setup: TestSetup, sound: Arc<Audio>, listeners: usize) -> Result<Self, PanelError> {
        let failure = |line: &str| PanelError::Preparation(line.into());
        if !(1..=MOST_LISTENERS).contains(&listeners) {
            return Err(PanelError::Listeners { found: listeners });
        }
        if !(1..=MOST_CHANNELS).contains(&sound.channels()) {
            return Err(PanelError::Channels { found: sound.channels() });
        }
        if fs::read_dir(path).map_or(path.exists(), |mut entries| entries.next().is_some()) {
            return Err(PanelError::NotEmpty(path.into()));
        }
        validate(&setup.protocol).map_err(|error| failure(&error.to_string()))?;
        if setup.source == SoundSource::Live
            || setup.sides.iter().chain(&setup.rungs).any(|side| matches!(side, SideChoice::Slot(_)))
        {
            return Err(failure("a panel has neither slots nor live sound; expected effects, files or dry, and a loop"));
        }
        let spec = ProcessSpec::new(sound.sample_rate() as f32, sound.channels(), BROWSER_FRAMES);
        // No side is a slot.
        let slots = Box::new([0, 1].map(|_| Effect::new(crate::algorithm::REGISTRY[0])));
        let (setup, ladder) = with_ladder(setup).map_err(PanelError::Preparation)?;
        let job = Job::New { sound, range: setup.range, choices: setup.sides.clone(), slots, control: setup.control, ladder };
        let prepared = prepare_sounds(job, &|_| (), &AtomicBool::new(false)).map_err(PanelError::Preparation)?;
        let gates = gate_views(&setup, &prepared.matching);
        if gates.iter().any(|gate| !gate.passed) {
            return Err(PanelError::Gates(gates));
        }
        let esr_db = esr_db(&prepared.stimuli);
        let configuration = configuration_of(setup, &prepared.matching, esr_db, VENUE.into(), spec);
        let configuration = configuration.map_err(PanelError::Preparation)?;
        let existed = path.exists();
        fs::create_dir_all(path).map_err(failed(path, "make the folder"))?;
        Self::fill(path, configuration, prepared, listeners).inspect_err(|_| {
            // The folder was empty, so nothing else is in it.
            let _ = fs::remove_dir_all(path);
            if existed {
                let _ = fs::create_dir(path);
            }
        })
    }

    /// Writes the files of a new panel.
    fn fill(path: &Path, mut configuration: Configuration, prepared: Prepared, listeners: usize) -> Result<Self, PanelError> {
        let lock = files::lock(path)?;
        let sounds = path.join(SOUNDS);
        fs::create_dir(&sounds).map_err(failed(&sounds, "make the folder"))?;
        write_sounds(&prepared, &sounds).map_err(failed(&sounds, "write the sound and the sides"))?;
        configuration.files = hashes(&sounds)?;
        let links: Vec<Link> = (0..listeners).map(|_| Link::new()).collect::<Result<_, _>>()?;
        files::write_json(&path.join(LINKS), &links)?;
        let plan = Plan { version: PANEL_VERSION, listeners, configuration };
        // A folder without a plan is no panel, so it is written last.
        files::write_json(&path.join(PANEL), &plan)?;
        Ok(Self::new(path, plan, prepared, links, lock))
    }

    /// Opens a panel that was made before and locks it. Its sounds are rendered and matched again and must be what they were.
    /// Nothing of its sessions is opened before their listeners come back.
    ///
    /// # Errors
    /// [`PanelError`].
    pub fn open(path: &Path) -> Result<Self, PanelError> {
        let plan = files::read_plan(path)?;
        let lock = files::lock(path)?;
        let links: Vec<Link> = files::read_json(&path.join(LINKS))?;
        if links.len() != plan.listeners || links.is_empty() {
            let reason = format!("{} links; expected {}, as {PANEL} has listeners", links.len(), plan.listeners);
            return Err(PanelError::File { path: path.join(LINKS), reason });
        }
        let sounds = path.join(SOUNDS);
        let found = hashes(&sounds)?;
        if found != plan.configuration.files {
            return Err(PanelError::File { path: sounds, reason: "the files are not those that the panel began with".into() });
        }
        let job = Job::Saved(sounds, Box::new(plan.configuration.clone()));
        let prepared = prepare_sounds(job, &|_| (), &AtomicBool::new(false)).map_err(PanelError::Preparation)?;
        Ok(Self::new(path, plan, prepared, links, lock))
    }

    fn new(path: &Path, plan: Plan, prepared: Prepared, links: Vec<Link>, lock: File) -> Self {
        let hash = |link: &Link| sha256(link.token.as_bytes());
        Self {
            path: path.into(),
            configuration: plan.configuration,
            stimuli: prepared.stimuli,
            notes: prepared.matching.notes,
            tokens: links.iter().enumerate().map(|(index, link)| (hash(link), index)).collect(),
            listeners: links
                .iter()
                .map(|_| Mutex::new(Listener { progress: Progress::Closed, visit: None, last: None }))
                .collect(),
            links: Mutex::new(links),
            visits: RwLock::default(),
            _lock: lock,
        }
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The plan of each listener's session, but for the listener.
    #[must_use]
    pub fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// Lines on how the sides were matched, for whoever runs the server.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The links.
    #[must_use]
    pub fn links(&self) -> Vec<PanelLink> {
        let link = |(index, link): (usize, &Link)| PanelLink {
            listener: index + 1,
            token: link.token.clone(),
            is_bound: link.secret_sha256.is_some(),
        };
        locked(&self.links).iter().enumerate().map(link).collect()
    }

    /// Index of the listener whose link has a token, from 0.
    #[must_use]
    pub fn listener_of_token(&self, token: &str) -> Option<usize> {
        // Tokens are looked up by their hash, so the time tells nothing of them.
        self.tokens.get(&sha256(token.as_bytes())).copied()
    }

    /// Index of the listener whose newest visit has an id, from 0.
    #[must_use]
    pub fn listener_of_visit(&self, visit: &str) -> Option<usize> {
        self.visits.read().unwrap_or_else(PoisonError::into_inner).get(visit).copied()
    }

    /// Begins a visit by a link's token and the secret of a browser. The first secret that comes with a token is bound to it. The
    /// session is made, or goes on. `browser` is its name for the log. Returns the visit's id and what the page shows.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn enter(&self, token: &str, secret: &str, browser: &str) -> Result<(String, PanelView), Refusal> {
        if !files::is_secret(secret) {
            return Err(Refusal::Malformed("no secret; expected 64 hexadecimal digits".into()));
        }
        let index = self.listener_of_token(token).ok_or(Refusal::UnknownLink)?;
        let mut listener = locked(&self.listeners[index]);
        let (is_bound, is_own) = {
            let links = locked(&self.links);
            (links[index].secret_sha256.is_some(), links[index].is_bound_to(secret))
        };
        if is_bound && !is_own {
            return Err(Refusal::Bound);
        }
        if matches!(listener.progress, Progress::Closed) {
            (listener.progress, listener.last) = self.open_session(index, browser, is_bound)?;
        }
        // The session is on the disk before the link is bound to it, so no link is bound to nothing.
        if !is_bound {
            let mut links = locked(&self.links);
            let mut changed = links.clone();
            changed[index].secret_sha256 = Some(sha256(secret.as_bytes()));
            files::write_json(&self.path.join(LINKS), &changed).map_err(Refusal::not_written)?;
            *links = changed;
        }
        let id = files::new_id().map_err(Refusal::not_written)?;
        let before = listener.visit.replace(Visit { id: id.clone(), check: Check::new(None)?, sounds: Vec::new() });
        let mut visits = self.visits.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = before {
            visits.remove(&before.id);
        }
        visits.insert(id.clone(), index);
        drop(visits);
        Ok((id, self.view_of(index, &mut listener)?))
    }

    /// Makes the session of a listener, or lets it go on; that of a link that is bound must be there. Returns its progress and the last
    /// step that was taken.
    fn open_session(&self, index: usize, browser: &str, is_bound: bool) -> Result<(Progress, Option<(String, Entry)>), Refusal> {
        let path = files::session_folder(&self.path, index + 1);
        let browser: String = browser.chars().filter(|c| !c.is_control()).take(NAME_CHARS).collect();
        let venue = if browser.is_empty() { VENUE.into() } else { format!("{VENUE}, {browser}") };
        if path.join(LOG).is_file() {
            return self.reopen_session(&path, venue);
        }
        if is_bound {
            return Err(Refusal::Lost { detail: format!("{}: the session is gone", path.display()) });
        }
        // Without a log, nothing was played: the program went while it made the folder.
        if path.exists() {
            fs::remove_dir_all(&path).map_err(failed(&path, "delete it")).map_err(Refusal::not_written)?;
        }
        let mut configuration = Configuration { venue, files: BTreeMap::new(), ..self.configuration.clone() };
        configuration.setup.listener = format!("listener {}", index + 1);
        let blinding = Blinding::new().map_err(Refusal::not_written)?;
        let sounds = self.path.join(SOUNDS);
        let folder = SessionFolder::create_at(&path, configuration, &blinding, |to| files::copy_files(&sounds, to));
        let folder = folder.map_err(Refusal::not_written)?;
        let session = Session::new(folder.configuration().plan(), blinding);
        Ok((Progress::Running(Box::new(Running { folder, session, note: None })), None))
    }

    /// Lets a session go on that was left.
    fn reopen_session(&self, path: &Path, venue: String) -> Result<(Progress, Option<(String, Entry)>), Refusal> {
        let lost = |error: FolderError| match error {
            FolderError::InUse(_) | FolderError::Io { .. } => Refusal::not_written(error),
            error => Refusal::Lost { detail: error.to_string() },
        };
        let last = last_step(path).map_err(lost)?;
        let Reopened { mut folder, mut session, cut_bytes } = match SessionFolder::open(path) {
            Ok(reopened) => reopened,
            Err(FolderError::Ended(_)) => {
                let log = verify_log(path, None).map_err(lost)?;
                let result = PanelResult { sentences: log.sentences, figures: Vec::new(), remarks: log.remarks };
                return Ok((Progress::Ended { result, receipt: log.receipt }, last));
            }
            Err(error) => return Err(lost(error)),
        };
        if folder.is_closed() {
            return Ok((ended(&folder, &session), last));
        }
        let found = folder.configuration();
        if (&found.matching, &found.files) != (&self.configuration.matching, &self.configuration.files) {
            return Err(Refusal::Lost { detail: format!("{}: its sounds are not those of the panel", path.display()) });
        }
        folder.check_files().map_err(lost)?;
        let spec = ProcessSpec::new(self.configuration.sample_rate as f32, self.configuration.channels, BROWSER_FRAMES);
        resume_session(&mut folder, &mut session, cut_bytes, venue, spec).map_err(Refusal::not_written)?;
        if session.step().is_none() {
            folder.close(&session).map_err(Refusal::not_written)?;
            return Ok((ended(&folder, &session), last));
        }
        let note = Some("The session goes on where it was left.".into());
        Ok((Progress::Running(Box::new(Running { folder, session, note })), last))
    }

    /// The listener of a visit.
    fn visitor(&self, visit: &str) -> Result<(usize, MutexGuard<'_, Listener>), Refusal> {
        let index = self.listener_of_visit(visit).ok_or(Refusal::OtherVisit)?;
        let listener = locked(&self.listeners[index]);
        // A newer visit may have begun meanwhile.
        let is_newest = listener.visit.as_ref().is_some_and(|newest| newest.id == visit);
        if is_newest { Ok((index, listener)) } else { Err(Refusal::OtherVisit) }
    }

    /// The view that the page of a visit shows. Each call gives the sounds new ids, and those before can no longer be fetched.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn view(&self, visit: &str) -> Result<PanelView, Refusal> {
        let (index, mut listener) = self.visitor(visit)?;
        self.view_of(index, &mut listener)
    }

    fn view_of(&self, index: usize, listener: &mut Listener) -> Result<PanelView, Refusal> {
        let (receipt, stage) = listener.stage()?;
        let path = &self.stimuli.paths[0];
        Ok(PanelView { listener: index + 1, sample_rate: path.sample_rate(), channels: path.channels(), receipt, stage })
    }

    /// The sound with an id, which can be fetched once.
    ///
    /// # Errors
    /// [`Refusal::OtherVisit`], [`Refusal::NoSound`].
    pub fn sound(&self, visit: &str, id: &str) -> Result<PanelSound, Refusal> {
        let (_, mut listener) = self.visitor(visit)?;
        let sounds = listener.visit.as_mut().map(|visit| &mut visit.sounds).ok_or(Refusal::OtherVisit)?;
        let place = sounds.iter().position(|(known, _)| known == id).ok_or(Refusal::NoSound)?;
        let (_, sound) = sounds.swap_remove(place);
        drop(listener);
        let mut seed = [0; 8];
        files::fill(&mut seed).map_err(Refusal::not_written)?;
        let (stimuli, path) = match sound {
            SoundId::Pulses(count) => {
                (Arc::new(Stimuli { paths: vec![sound::pulses(&self.stimuli.paths[0], count)], rungs: Vec::new() }), 0)
            }
            SoundId::Path(path) => (self.stimuli.clone(), path),
        };
        PanelSound::new(stimuli, path, u64::from_le_bytes(seed)).map_err(Refusal::not_written)
    }

    /// Takes the answer to the sound check: the pulses that were counted, and the sample rate at which the browser plays.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn check_sound(&self, visit: &str, pulses: u8, sample_rate: f64) -> Result<PanelView, Refusal> {
        let (index, mut listener) = self.visitor(visit)?;
        if sample_rate != self.configuration.sample_rate {
            return Err(Refusal::Rate { found: sample_rate, expected: self.configuration.sample_rate });
        }
        if let Some(Visit { check: check @ Check::Asked { .. }, .. }) = &mut listener.visit {
            let is_right = matches!(check, Check::Asked { pulses: asked, .. } if *asked == pulses);
            *check = if is_right {
                Check::Passed
            } else {
                Check::new(Some(
                    "That was not the number. Turn the volume up if you do not hear the pulses, and count again.".into(),
                ))?
            };
        }
        self.view_of(index, &mut listener)
    }

    /// Takes a step of a listener. It is on the disk when this returns. A step that was taken already is not taken again, and the
    /// present state is returned.
    ///
    /// # Errors
    /// [`Refusal`]; then nothing has changed.
    pub fn act(&self, visit: &str, step: &PanelStep) -> Result<PanelView, Refusal> {
        let (index, mut listener) = self.visitor(visit)?;
        listener.act(step)?;
        self.view_of(index, &mut listener)
    }
}
