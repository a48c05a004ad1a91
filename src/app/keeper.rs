//! The thread that owns device, recorder and desk.

mod desk;
mod device;
mod log;
mod takes;
mod view;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use self::desk::Console;
use self::device::Live;
use self::log::Log;
use super::Ended;
use super::leftovers::Leftovers;
use super::settings::{Kept, save};
use super::take::Deck;
use crate::desk::Desk;
use crate::device::Host;
use crate::graph::Meter;
use crate::plugin::Rack;
use crate::ui::{DeviceSetup, DeviceStage, Level, ProgramAction, ProgramView, TakeAction, TakeView};

/// The device is looked after at least this often.
const LOOK: Duration = Duration::from_millis(50);
/// What has changed is kept this often.
const KEEP: Duration = Duration::from_secs(5);
enum Command {
    Do(ProgramAction),
    Take(TakeAction),
    /// A take starts as soon as the desk, if there is one, has said its names.
    RecordSoon,
    Report(String),
    /// What a host lists.
    Listed(Host, Vec<String>),
    /// The desk that the start of this number asked for.
    Desk(u64, Result<Desk, String>),
    Finish,
}

/// What the other threads see. The lock is held to copy.
#[derive(Default)]
struct Told {
    view: ProgramView,
    take: TakeView,
    meter: Option<Meter>,
    /// The device was to run and does not.
    failed: bool,
}

/// The other threads' end. [any thread]
pub struct Keeper {
    commands: Sender<Command>,
    told: Arc<Mutex<Told>>,
    thread: Mutex<Option<JoinHandle<Ended>>>,
    ended: Mutex<Option<Ended>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Keeper {
    /// Starts with what was kept; `path` is where it is kept again.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(rack: Arc<Rack>, kept: Kept, path: PathBuf) -> std::io::Result<Self> {
        let (commands, inbox) = channel();
        let told = Arc::<Mutex<Told>>::default();
        let (back, shared) = (commands.clone(), told.clone());
        rack.restore(&kept.rack);
        let thread = std::thread::Builder::new().name("isotherm-keeper".into());
        let work = move || {
            let worker = Worker::new(rack, kept, path, back, shared.clone());
            catch_unwind(AssertUnwindSafe(|| worker.run(&inbox))).unwrap_or_else(|_| broken(&shared))
        };
        let thread = thread.spawn(work)?;
        Ok(Self { commands, told, thread: Mutex::new(Some(thread)), ended: Mutex::new(None) })
    }

    /// Does not wait.
    pub fn tell(&self, action: ProgramAction) {
        self.send(Command::Do(action));
    }

    /// Does not wait.
    pub fn tell_take(&self, action: TakeAction) {
        self.send(Command::Take(action));
    }

    /// A take starts as soon as the device runs and the desk, if one is asked, has said its names. Does not wait.
    pub fn record_soon(&self) {
        self.send(Command::RecordSoon);
    }

    /// A line for the log.
    pub fn report(&self, line: String) {
        self.send(Command::Report(line));
    }

    fn send(&self, command: Command) {
        // Nobody listens after the end, and then nothing is left to do.
        let _ = self.commands.send(command);
    }

    /// All but the take; levels since the last call. Its one reader is the window's watch.
    #[must_use]
    pub fn view(&self) -> ProgramView {
        let (mut view, meter) = {
            let told = lock(&self.told);
            (told.view.clone(), told.meter.clone())
        };
        // What is away has no level.
        if let Some(meter) = meter.filter(|_| view.device.stage == DeviceStage::Running) {
            for (channel, strip) in view.strips.iter_mut().enumerate() {
                let level = meter.take(channel).unwrap_or_default();
                strip.level = Level { peak: level.peak, rms: level.rms, clipped: level.clipped };
            }
        }
        view
    }

    #[must_use]
    pub fn take_view(&self) -> TakeView {
        lock(&self.told).take.clone()
    }

    /// Whether a take runs, or is about to.
    #[must_use]
    pub fn is_recording(&self) -> bool {
        lock(&self.told).view.recording
    }

    /// Whether the device should run and does not.
    #[must_use]
    pub fn failed(&self) -> bool {
        lock(&self.told).failed
    }

    /// Finishes the take, stops the device and keeps the settings. Waits for the disk; a second call gives the same.
    pub fn finish(&self) -> Ended {
        let mut ended = lock(&self.ended);
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread {
            self.send(Command::Finish);
            *ended = thread.join().ok();
        }
        ended.clone().unwrap_or(Ended { lost: None, error: None })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.finish();
    }
}

/// The keeper has panicked: what it owned is closed.
fn broken(told: &Mutex<Told>) -> Ended {
    let error = "the program broke: close it and start it again".to_string();
    let mut told = lock(told);
    told.view.device.stage = DeviceStage::Stopped;
    told.view.device.error = Some(error.clone());
    (told.failed, told.view.recording, told.take.recording, told.meter) = (true, false, false, None);
    Ended { lost: Some("the program broke while it ran".into()), error: Some(error) }
}

/// The thread's own.
struct Worker {
    rack: Arc<Rack>,
    kept: Kept,
    /// As it is in the file.
    saved: Kept,
    path: PathBuf,
    looked: Instant,
    back: Sender<Command>,
    told: Arc<Mutex<Told>>,
    live: Option<Live>,
    starting: bool,
    /// Counts the starts.
    starts: u64,
    deck: Deck,
    leftovers: Leftovers,
    /// A take is to start when the desk has answered.
    record_soon: bool,
    desk: Console,
    listed: Vec<String>,
    error: Option<String>,
    log: Log,
    /// Room on the disk that was warned of, as a place in the seconds of which takes are warned.
    low: usize,
    /// Why settings could not be kept.
    unkept: Option<String>,
    lost: Vec<String>,
}

impl Worker {
    fn new(rack: Arc<Rack>, mut kept: Kept, path: PathBuf, back: Sender<Command>, told: Arc<Mutex<Told>>) -> Self {
        if Host::find(&kept.device.host).is_none() {
            kept.device.host = Host::ALL[0].id().into();
        }
        Self {
            rack,
            saved: Kept::default(),
            kept,
            path,
            looked: Instant::now(),
            back,
            told,
            live: None,
            starting: false,
            starts: 0,
            deck: Deck::new(),
            leftovers: Leftovers::new(),
            record_soon: false,
            desk: Console::default(),
            listed: Vec::new(),
            error: None,
            log: Log::new(),
            low: 0,
            unkept: None,
            lost: Vec::new(),
        }
    }

    fn run(mut self, inbox: &Receiver<Command>) -> Ended {
        self.publish();
        loop {
            match inbox.recv_timeout(LOOK) {
                Ok(Command::Finish) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(command) => self.obey(command),
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.attend();
            self.publish();
        }
        let error = self.error.clone().filter(|_| self.live.is_none());
        self.stop();
        if self.deck.is_closing() {
            self.log.print("finishing the take".into());
        }
        let takes = self.deck.finish();
        self.ended(takes);
        self.keep();
        self.publish();
        Ended { lost: (!self.lost.is_empty()).then(|| self.lost.join("; ")), error }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Do(action) => self.act(action),
            Command::Take(action) => self.take(action),
            Command::RecordSoon => self.record_soon = self.live.is_some(),
            Command::Report(line) => self.log.say(line, true),
            Command::Listed(host, listed) => {
                if Host::find(&self.kept.device.host) == Some(host) {
                    self.listed = listed;
                    // The only one is what is meant.
                    if let [only] = &self.listed[..]
                        && self.kept.device.device.is_empty()
                    {
                        self.kept.device.device.clone_from(only);
                    }
                }
            }
            Command::Desk(start, desk) if start == self.starts && self.live.is_some() => self.desk_is_there(desk),
            Command::Desk(..) | Command::Finish => {}
        }
    }

    fn act(&mut self, action: ProgramAction) {
        match action {
            ProgramAction::Setup(setup) => {
                if self.live.is_none() {
                    let other = setup.host != self.kept.device.host;
                    self.kept.device = setup;
                    self.error = None;
                    if other {
                        // What was said of the other host's device means nothing here.
                        let DeviceSetup { host, desk, .. } = std::mem::take(&mut self.kept.device);
                        self.kept.device = DeviceSetup { host, desk, ..DeviceSetup::default() };
                        self.listed.clear();
                        self.list();
                    }
                }
            }
            ProgramAction::List => self.list(),
            ProgramAction::Start => self.start(),
            ProgramAction::Stop => self.stop(),
            ProgramAction::Recover(take) => {
                if let Err(error) = self.leftovers.recover(&take, self.deck.is_recording()) {
                    self.log.say(error, true);
                }
            }
            ProgramAction::Arm { channel, on } => {
                if let Some(strip) = self.kept.strips.get_mut(channel) {
                    strip.armed = on;
                }
            }
            ProgramAction::ArmAll(on) => self.kept.strips.iter_mut().for_each(|strip| strip.armed = on),
            ProgramAction::Name { channel, name } => {
                if let Some(strip) = self.kept.strips.get_mut(channel) {
                    strip.name = name.trim().into();
                }
            }
            ProgramAction::Hear { channel, left, right } => {
                if let Some(strip) = self.kept.strips.get_mut(channel) {
                    (strip.left, strip.right) = (left, right);
                }
                if let Some(live) = &self.live {
                    live.sides.set(0, channel, left);
                    live.sides.set(1, channel, right);
                }
            }
        }
    }

    /// Looks after all that runs by itself.
    fn attend(&mut self) {
        let mut lines = Vec::new();
        if let Some(why) = self.attend_device(&mut lines) {
            self.stop();
            self.fail(why);
        }
        self.attend_takes(&mut lines);
        self.desk_changed();
        lines.extend(self.desk.attend(self.deck.is_recording()));
        if self.live.is_some()
            && !self.desk.is_asking()
            && std::mem::take(&mut self.record_soon)
            && let Err(error) = self.record()
        {
            // It was to record from its start, and cannot.
            self.stop();
            self.error = Some(error);
        }
        lines.into_iter().for_each(|(line, alarm)| self.log.say(line, alarm));
        self.fit();
        if self.looked.elapsed() >= KEEP {
            self.keep();
        }
    }

    fn keep(&mut self) {
        self.looked = Instant::now();
        self.kept.rack = self.rack.state();
        if self.kept == self.saved {
            return;
        }
        match save(&self.path, &self.kept) {
            Ok(()) => (self.saved, self.unkept) = (self.kept.clone(), None),
            Err(error) => {
                let error = format!("settings {}: {error}", self.path.display());
                if self.unkept.as_ref() != Some(&error) {
                    self.log.say(error.clone(), true);
                    self.unkept = Some(error);
                }
            }
        }
    }
}
