//! The controller: the thread that alone owns the device, the recorder and the desk, and the handle by which other threads use
//! it.

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

use self::desk::DeskFollower;
use self::device::RunningDevice;
use self::log::Log;
use super::ShutdownReport;
use super::recorder::ProgramRecorder;
use super::settings::{SavedSettings, save};
use super::unfinished::UnfinishedTakes;
use crate::desk::Desk;
use crate::device::Host;
use crate::graph::Meter;
use crate::instance::Instance;
use crate::ui::{DeviceSetup, DeviceStage, ProgramAction, ProgramView};
use crate::view::{ChannelLevel, TakeAction, TakeView};

/// Device, takes and desk are polled at least this often.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Changed settings are saved this often.
const SAVE_INTERVAL: Duration = Duration::from_secs(5);

/// A message to the controller thread.
enum Command {
    /// An action of the user.
    Program(ProgramAction),
    /// An action of the user on takes.
    Take(TakeAction),
    /// Starts a take as soon as the device runs and the desk, if one was queried, has answered.
    RecordWhenReady,
    /// Adds an alarm to the log.
    LogAlarm(String),
    /// The names of the devices that a host found.
    DevicesListed(Host, Vec<String>),
    /// The answer to the desk query of the n-th device start.
    DeskAnswered(u64, Result<Desk, String>),
    /// Finishes the take and ends the thread.
    Finish,
}

/// The state that the controller thread publishes for other threads. The lock is held only while the values are copied.
#[derive(Default)]
struct Published {
    view: ProgramView,
    take: TakeView,
    /// The meter of the running device.
    meter: Option<Meter>,
    /// True if the device should run and does not.
    failed: bool,
}

/// The handle by which other threads talk to the controller thread. Dropping it finishes the take and ends the thread. [any
/// thread]
pub struct Controller {
    commands: Sender<Command>,
    published: Arc<Mutex<Published>>,
    thread: Mutex<Option<JoinHandle<ShutdownReport>>>,
    /// The result of the thread, once it has ended.
    report: Mutex<Option<ShutdownReport>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Controller {
    /// Starts the thread with saved settings; changed settings are saved to `path`. `monitor_file`: WAV file that gets what the
    /// monitor plays.
    ///
    /// # Errors
    /// If the system cannot start a thread.
    pub fn start(
        instance: Arc<Instance>,
        settings: SavedSettings,
        path: PathBuf,
        monitor_file: Option<PathBuf>,
    ) -> std::io::Result<Self> {
        let (commands, inbox) = channel();
        let published = Arc::<Mutex<Published>>::default();
        let (self_sender, shared) = (commands.clone(), published.clone());
        instance.restore(&settings.instance);
        let thread = std::thread::Builder::new().name("isotherm-ctrl".into());
        let work = move || {
            let state =
                ControllerThread { monitor_file, ..ControllerThread::new(instance, settings, path, self_sender, shared.clone()) };
            catch_unwind(AssertUnwindSafe(|| state.run(&inbox))).unwrap_or_else(|_| publish_panic(&shared))
        };
        let thread = thread.spawn(work)?;
        Ok(Self { commands, published, thread: Mutex::new(Some(thread)), report: Mutex::new(None) })
    }

    /// Sends an action of the user. Does not wait.
    pub fn send(&self, action: ProgramAction) {
        self.send_command(Command::Program(action));
    }

    /// Sends an action of the user on takes. Does not wait.
    pub fn send_take_action(&self, action: TakeAction) {
        self.send_command(Command::Take(action));
    }

    /// Starts a take as soon as the device runs and the desk, if one was queried, has told its names. Does not wait.
    pub fn record_when_ready(&self) {
        self.send_command(Command::RecordWhenReady);
    }

    /// Adds an alarm to the log. Does not wait.
    pub fn log_alarm(&self, line: String) {
        self.send_command(Command::LogAlarm(line));
    }

    fn send_command(&self, command: Command) {
        // An error means that the thread has ended; nothing is left to do then.
        let _ = self.commands.send(command);
    }

    /// Returns the state of the program without the take's. Reading the levels resets them, so only the window's watch thread may
    /// call this.
    #[must_use]
    pub fn view(&self) -> ProgramView {
        let (mut view, meter) = {
            let published = lock(&self.published);
            (published.view.clone(), published.meter.clone())
        };
        // A device that does not run shows no levels.
        if let Some(meter) = meter.filter(|_| view.device.stage == DeviceStage::Running) {
            for (channel, strip) in view.strips.iter_mut().enumerate() {
                let level = meter.take(channel).unwrap_or_default();
                strip.level = ChannelLevel { peak: level.peak, rms: level.rms, clipped: level.clipped };
            }
        }
        view
    }

    /// Returns the state of the take.
    #[must_use]
    pub fn take_view(&self) -> TakeView {
        lock(&self.published).take.clone()
    }

    /// True if a take runs or is about to start.
    #[must_use]
    pub fn is_recording(&self) -> bool {
        lock(&self.published).view.recording
    }

    /// True if the device should run and does not.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        lock(&self.published).failed
    }

    /// Finishes the take, stops the device and saves the settings. Waits for the disk; a second call returns the same report.
    pub fn finish(&self) -> ShutdownReport {
        let mut report = lock(&self.report);
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread {
            self.send_command(Command::Finish);
            *report = thread.join().ok();
        }
        report.clone().unwrap_or(ShutdownReport { lost: None, error: None })
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Publishes that the controller thread panicked; all that it owned has been closed.
fn publish_panic(published: &Mutex<Published>) -> ShutdownReport {
    let error = "the program broke: close it and start it again".to_string();
    let mut published = lock(published);
    published.view.device.stage = DeviceStage::Stopped;
    published.view.device.error = Some(error.clone());
    (published.failed, published.view.recording, published.take.recording, published.meter) = (true, false, false, None);
    ShutdownReport { lost: Some("the program broke while it ran".into()), error: Some(error) }
}

/// The state of the controller thread.
struct ControllerThread {
    instance: Arc<Instance>,
    settings: SavedSettings,
    /// The settings as they are in the file.
    settings_in_file: SavedSettings,
    settings_path: PathBuf,
    /// WAV file that gets what the monitor plays.
    monitor_file: Option<PathBuf>,
    /// Time of the last save, or of the start.
    last_save: Instant,
    /// Sends commands to this thread, from threads that it started.
    self_sender: Sender<Command>,
    published: Arc<Mutex<Published>>,
    device: Option<RunningDevice>,
    /// True while a device is being opened.
    is_starting: bool,
    /// Number of successful device starts.
    start_count: u64,
    recorder: ProgramRecorder,
    unfinished: UnfinishedTakes,
    /// True if a take is to start when the desk has answered.
    record_when_ready: bool,
    desk: DeskFollower,
    /// Names of the devices of the chosen host.
    device_names: Vec<String>,
    /// The reason why the device failed, or the take that was to begin with it, as the window shows it.
    error: Option<String>,
    log: Log,
    /// Number of low-disk warnings that were given in this take: the index of the next one in `takes::DISK_WARNING_SECONDS`.
    disk_warnings: usize,
    /// The reason why settings could not be saved.
    save_error: Option<String>,
    /// A text for everything that was lost so far, for the shutdown report: frames of a take, a take that did not start, a
    /// capture that broke.
    losses: Vec<String>,
}

impl ControllerThread {
    fn new(
        instance: Arc<Instance>,
        mut settings: SavedSettings,
        settings_path: PathBuf,
        self_sender: Sender<Command>,
        published: Arc<Mutex<Published>>,
    ) -> Self {
        if Host::find(&settings.device.host).is_none() {
            settings.device.host = Host::ALL[0].id().into();
        }
        Self {
            instance,
            settings_in_file: SavedSettings::default(),
            settings,
            settings_path,
            monitor_file: None,
            last_save: Instant::now(),
            self_sender,
            published,
            device: None,
            is_starting: false,
            start_count: 0,
            recorder: ProgramRecorder::new(),
            unfinished: UnfinishedTakes::new(),
            record_when_ready: false,
            desk: DeskFollower::default(),
            device_names: Vec::new(),
            error: None,
            log: Log::new(),
            disk_warnings: 0,
            save_error: None,
            losses: Vec::new(),
        }
    }

    fn run(mut self, inbox: &Receiver<Command>) -> ShutdownReport {
        self.publish();
        loop {
            match inbox.recv_timeout(POLL_INTERVAL) {
                Ok(Command::Finish) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(command) => self.handle(command),
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.poll();
            self.publish();
        }
        // An error counts if it kept the device from running.
        let error = self.error.clone().filter(|_| self.device.is_none());
        self.stop_device();
        if self.recorder.is_closing() {
            self.log.print("finishing the take".into());
        }
        let takes = self.recorder.finish();
        self.report_takes(takes);
        self.save_settings();
        self.publish();
        ShutdownReport { lost: (!self.losses.is_empty()).then(|| self.losses.join("; ")), error }
    }

    fn handle(&mut self, command: Command) {
        match command {
            Command::Program(action) => self.handle_program_action(action),
            Command::Take(action) => self.handle_take_action(action),
            Command::RecordWhenReady => self.record_when_ready = self.device.is_some(),
            Command::LogAlarm(line) => self.log.add_alarm(line),
            Command::DevicesListed(host, names) => {
                if Host::find(&self.settings.device.host) == Some(host) {
                    self.device_names = names;
                    // Selects the only device.
                    if let [only] = &self.device_names[..]
                        && self.settings.device.device.is_empty()
                    {
                        self.settings.device.device.clone_from(only);
                    }
                }
            }
            Command::DeskAnswered(start, desk) if start == self.start_count && self.device.is_some() => self.desk_answered(desk),
            Command::DeskAnswered(..) | Command::Finish => {}
        }
    }

    fn handle_program_action(&mut self, action: ProgramAction) {
        match action {
            ProgramAction::Setup(setup) => {
                if self.device.is_none() {
                    let host_changed = setup.host != self.settings.device.host;
                    self.settings.device = setup;
                    self.error = None;
                    if host_changed {
                        // Device, rate, period and outputs belong to the previous host.
                        let DeviceSetup { host, desk, .. } = std::mem::take(&mut self.settings.device);
                        self.settings.device = DeviceSetup { host, desk, ..DeviceSetup::default() };
                        self.device_names.clear();
                        self.list_devices();
                    }
                }
            }
            ProgramAction::ListDevices => self.list_devices(),
            ProgramAction::Start => self.start_device(),
            ProgramAction::Stop => self.stop_device(),
            ProgramAction::Recover(take) => {
                if let Err(error) = self.unfinished.recover(&take, self.recorder.is_recording()) {
                    self.log.add_alarm(error);
                }
            }
            ProgramAction::Arm { channel, on } => {
                if let Some(strip) = self.settings.strips.get_mut(channel) {
                    strip.armed = on;
                }
            }
            ProgramAction::ArmAll(on) => self.settings.strips.iter_mut().for_each(|strip| strip.armed = on),
            ProgramAction::Rename { channel, name } => {
                if let Some(strip) = self.settings.strips.get_mut(channel) {
                    strip.name = name.trim().into();
                }
            }
            ProgramAction::Monitor { channel, left, right } => {
                if let Some(strip) = self.settings.strips.get_mut(channel) {
                    (strip.left, strip.right) = (left, right);
                }
                if let Some(device) = &self.device {
                    device.routing.set(0, channel, left);
                    device.routing.set(1, channel, right);
                }
            }
        }
    }

    /// Polls device, takes and desk, starts a take that waited for the desk, and saves settings when it is time.
    fn poll(&mut self) {
        let mut lines = Vec::new();
        if let Some(reason) = self.poll_device(&mut lines) {
            self.stop_device();
            self.report_device_failure(reason);
        }
        self.poll_takes(&mut lines);
        self.forward_desk_changes();
        lines.extend(self.desk.poll(self.recorder.is_recording()));
        if self.device.is_some()
            && !self.desk.is_querying()
            && std::mem::take(&mut self.record_when_ready)
            && let Err(error) = self.start_take()
        {
            // The take that was to start with the device cannot start: the device is stopped as well.
            self.stop_device();
            self.error = Some(error);
        }
        lines.into_iter().for_each(|(line, alarm)| self.log.add(line, alarm));
        self.update_recorder();
        if self.last_save.elapsed() >= SAVE_INTERVAL {
            self.save_settings();
        }
    }

    fn save_settings(&mut self) {
        self.last_save = Instant::now();
        self.settings.instance = self.instance.state();
        if self.settings == self.settings_in_file {
            return;
        }
        match save(&self.settings_path, &self.settings) {
            Ok(()) => (self.settings_in_file, self.save_error) = (self.settings.clone(), None),
            Err(error) => {
                let error = format!("settings {}: {error}", self.settings_path.display());
                if self.save_error.as_ref() != Some(&error) {
                    self.log.add_alarm(error.clone());
                    self.save_error = Some(error);
                }
            }
        }
    }
}
