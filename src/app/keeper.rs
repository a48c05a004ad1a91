//! The thread that owns device, recorder and desk.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use chrono::Local;

use super::Ended;
use super::leftovers::Leftovers;
use super::settings::{Kept, Strip, save};
use super::take::{Deck, Finished, Given};
use crate::desk::{Desk, Patience, Track, Watch};
use crate::device::{self, Capture, Effect, Feed, Granted, Host, Monitor, Session, Sides, State, Wish};
use crate::dsp::{Block, Spec};
use crate::graph::Meter;
use crate::instance::{Instance, Voice, takes};
use crate::record::{Channel, DeskTrack, stem_names};
use crate::ui::{
    DeviceSetup, DeviceStage, DeviceView, Level, LogLine, ProgramAction, ProgramView, StripView, TakeAction, TakeView,
};

/// The device is looked after at least this often.
const LOOK: Duration = Duration::from_millis(50);
/// What has changed is kept this often.
const KEEP: Duration = Duration::from_secs(5);
/// A take is warned of the disk when there is room for so many seconds.
const LOW_SECONDS: [f64; 3] = [1800.0, 600.0, 120.0];
/// What happens again and again is told this often.
const AGAIN: Duration = Duration::from_secs(5);
/// Lines of the log.
const LOG_LINES: usize = 300;
/// What can be chosen; a device may have others, which are typed on the command line.
const RATES: [u32; 4] = [44_100, 48_000, 88_200, 96_000];
const PERIODS: [usize; 7] = [32, 64, 128, 256, 512, 1024, 2048];
/// A desk on the local net is looked for.
const FIND: &str = "find";

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
    pub fn start(instance: Arc<Instance>, kept: Kept, path: PathBuf) -> std::io::Result<Self> {
        let (commands, inbox) = channel();
        let told = Arc::<Mutex<Told>>::default();
        let (back, shared) = (commands.clone(), told.clone());
        instance.restore(&kept.instance);
        let thread = std::thread::Builder::new().name("isotherm-keeper".into());
        let work = move || {
            let worker = Worker::new(instance, kept, path, back, shared.clone());
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

/// The slots behind a monitor.
struct Heard(Voice);

impl Effect for Heard {
    fn process(&mut self, block: &mut Block<'_>) {
        self.0.process(block);
    }

    fn reset(&mut self) {
        self.0.reset();
    }
}

/// A device that runs.
struct Live {
    session: Session,
    granted: Granted,
    feed: Feed,
    sides: Sides,
    asked: String,
    /// As they were told last.
    state: State,
    monitor_state: Option<State>,
    overruns: u64,
    /// When overruns were told.
    told: Option<Instant>,
}

/// The thread's own.
struct Worker {
    instance: Arc<Instance>,
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
    /// A desk was asked and has not answered yet.
    asking: bool,
    watch: Option<Watch>,
    /// What was known of the desk when it was told last, and how it is now.
    desk: Option<(String, bool)>,
    changes: u64,
    /// The desk's model, name and firmware.
    whose: String,
    strips: Vec<FromDesk>,
    listed: Vec<String>,
    error: Option<String>,
    log: Vec<LogLine>,
    printer: Printer,
    /// Room on the disk that was warned of, as a place in [`LOW_SECONDS`].
    low: usize,
    /// Why settings could not be kept.
    unkept: Option<String>,
    lost: Vec<String>,
}

/// Does something that takes its time. Without a thread to be had it is not done.
fn aside(work: impl FnOnce() + Send + 'static) {
    drop(std::thread::Builder::new().name("isotherm-aside".into()).spawn(work));
}

/// Writes lines to standard output, which may stand still: then they are left out, and nobody waits.
struct Printer {
    lines: Option<SyncSender<String>>,
    done: Receiver<()>,
}

impl Printer {
    fn new() -> Self {
        let (lines, waiting) = sync_channel::<String>(LOG_LINES);
        let (ended, done) = channel();
        aside(move || {
            use std::io::Write as _;
            // A closed pipe is nobody's loss.
            waiting.iter().for_each(|line| drop(writeln!(std::io::stdout(), "{line}")));
            let _ = ended.send(());
        });
        Self { lines: Some(lines), done }
    }

    fn say(&self, line: String) {
        if let Some(lines) = &self.lines {
            let _ = lines.try_send(line);
        }
    }
}

impl Drop for Printer {
    fn drop(&mut self) {
        self.lines = None;
        let _ = self.done.recv_timeout(Duration::from_secs(1));
    }
}

/// What a desk says of a channel.
#[derive(Clone, Debug, Default)]
struct FromDesk {
    name: String,
    colour: Option<[u8; 3]>,
    /// For the manifest.
    track: DeskTrack,
}

impl Worker {
    fn new(instance: Arc<Instance>, mut kept: Kept, path: PathBuf, back: Sender<Command>, told: Arc<Mutex<Told>>) -> Self {
        if Host::find(&kept.device.host).is_none() {
            kept.device.host = Host::ALL[0].id().into();
        }
        Self {
            instance,
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
            asking: false,
            watch: None,
            desk: None,
            changes: 0,
            whose: String::new(),
            strips: Vec::new(),
            listed: Vec::new(),
            error: None,
            log: Vec::new(),
            printer: Printer::new(),
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
            self.printer.say("finishing the take".into());
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
            Command::Report(line) => self.say(line, true),
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
                    self.say(error, true);
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

    fn take(&mut self, action: TakeAction) {
        match action {
            TakeAction::Arm(on) => self.deck.armed = on,
            // The panel says why not.
            TakeAction::Record(true) if self.live.is_some() => drop(self.record()),
            TakeAction::Record(true) => {
                self.start();
                self.record_soon = self.live.is_some();
            }
            TakeAction::Record(false) => {
                self.desk_changed();
                self.deck.stop();
            }
            TakeAction::Mark => self.deck.mark(),
            TakeAction::Setup(setup) => self.kept.takes = setup,
        }
    }

    /// Starts a take.
    ///
    /// # Errors
    /// Why there is no recorder for it.
    fn record(&mut self) -> Result<(), String> {
        if self.asking {
            self.say("desk: no answer yet; the take has numbers for names".into(), true);
        }
        self.deck.want();
        match self.fit() {
            Some(error) => Err(error),
            None => {
                self.deck.record();
                Ok(())
            }
        }
    }

    /// Lists the devices of the chosen host, which may take its time.
    fn list(&self) {
        let Some(host) = Host::find(&self.kept.device.host) else { return };
        let back = self.back.clone();
        aside(move || {
            let _ = back.send(Command::Listed(host, device::names(host)));
        });
    }

    fn start(&mut self) {
        if self.live.is_some() {
            return;
        }
        self.error = None;
        self.starting = true;
        self.publish();
        let opened = self.open();
        self.starting = false;
        match opened {
            Ok(live) => {
                self.say(format!("{}: asked for {}; granted {}", live.granted.device, live.asked, live.granted), false);
                self.live = Some(live);
                self.starts += 1;
                self.ask_desk();
                self.fit();
            }
            Err(error) => self.fail(error),
        }
    }

    fn open(&mut self) -> Result<Live, String> {
        let DeviceSetup { host, device, sample_rate, period_frames, outputs, .. } = &self.kept.device;
        let host = Host::find(host).ok_or_else(|| format!("unknown host '{host}'"))?;
        if device.is_empty() {
            return Err("no device is chosen".into());
        }
        let wish = Wish {
            sample_rate: *sample_rate,
            period_frames: *period_frames,
            outputs: outputs.map_or_else(Vec::new, |pair| pair.to_vec()),
            ..Wish::new(host, device)
        };
        let prepared = Session::prepare(&wish, true).map_err(|e| e.to_string())?;
        let granted = prepared.granted().clone();
        let channels = granted.channels;
        let meter = Meter::new(channels);
        let (capture, feed) = Capture::fed(&meter, &granted);
        let spec = Spec { sample_rate: granted.sample_rate as f32, channels: 2, max_frames: granted.period_frames };
        let voice = self.instance.voice(spec).ok_or_else(|| format!("no slots for {granted}"))?;
        // Names and arms are a device's.
        let device = format!("{} {}", host.id(), device);
        if self.kept.strips_of != device {
            let strips = self.kept.shelf.remove(&device);
            let of = std::mem::replace(&mut self.kept.strips_of, device);
            // What nobody said whose it is is this one's.
            if !of.is_empty() {
                let old = std::mem::replace(&mut self.kept.strips, strips.unwrap_or_default());
                self.kept.shelf.insert(of, old);
            }
        }
        self.kept.strips.resize_with(channels.max(self.kept.strips.len()), Strip::default);
        let sides = Sides::new(2);
        for (channel, strip) in self.kept.strips.iter().enumerate().take(channels) {
            sides.set(0, channel, strip.left);
            sides.set(1, channel, strip.right);
        }
        let monitor = Monitor::new(Heard(voice), sides.clone(), &granted, None);
        let session = prepared.start(capture, Some(monitor)).map_err(|e| e.to_string())?;
        lock(&self.told).meter = Some(meter);
        Ok(Live {
            session,
            granted,
            feed,
            sides,
            asked: wish.to_string(),
            state: State::Running,
            monitor_state: None,
            overruns: 0,
            told: None,
        })
    }

    /// Stops the device and finishes the take.
    fn stop(&mut self) {
        self.desk_changed();
        (self.watch, self.desk, self.asking, self.record_soon) = (None, None, false, false);
        self.strips.clear();
        let Some(live) = self.live.take() else { return };
        let device = live.granted.device.clone();
        let (counts, heard) = live.session.stop();
        if counts.broken {
            self.lost.push("the capture broke".into());
        }
        // The slots are freed here.
        drop(heard);
        self.deck.end();
        lock(&self.told).meter = None;
        let overruns = if counts.overruns > 0 { format!(", {} overruns", counts.overruns) } else { String::new() };
        self.say(format!("{device}: stopped{overruns}"), false);
    }

    fn fail(&mut self, error: String) {
        self.record_soon = false;
        self.say(error.clone(), true);
        self.error = Some(error);
    }

    /// Looks after all that runs by itself.
    fn attend(&mut self) {
        let mut lines = Vec::new();
        let mut broken = false;
        let mut ended = None;
        if let Some(live) = &mut self.live {
            live.session.attend();
            live.feed.free();
            broken = live.session.is_broken();
            live.granted = live.session.granted().clone();
            let heard = live.session.monitor_state().cloned();
            if heard != live.monitor_state {
                match &heard {
                    // The device's own line says it.
                    Some(State::Changed(_)) => {}
                    Some(State::Away(why) | State::Broken(why)) => {
                        lines.push((format!("nothing is heard: {why}; the recording goes on"), true));
                    }
                    Some(State::Running) if live.monitor_state.is_some() => lines.push(("heard again".into(), false)),
                    _ => {}
                }
                live.monitor_state = heard;
            }
            if *live.session.state() != live.state {
                live.state = live.session.state().clone();
                let device = &live.granted.device;
                match &live.state {
                    State::Running => lines.push((format!("{device}: back"), false)),
                    State::Away(why) => lines.push((format!("{device}: away: {why}; trying again"), true)),
                    State::Changed(why) => {
                        self.deck.source_ended(why);
                        ended = Some(format!("{device}: {why}; start it again"));
                    }
                    State::Broken(why) => lines.push((format!("{device}: {why}"), true)),
                }
            }
            let overruns = live.session.counts().overruns;
            if overruns > live.overruns && live.told.is_none_or(|told| told.elapsed() >= AGAIN) {
                lines.push((format!("{}: {} overruns", live.granted.device, overruns - live.overruns), true));
                (live.overruns, live.told) = (overruns, Some(Instant::now()));
            }
        }
        if broken {
            ended = Some("the capture broke".into());
        }
        if let Some(why) = ended {
            self.stop();
            self.fail(why);
        }
        let seen = self.deck.attend();
        if let Some((folder, channels)) = seen.began {
            lines.push((format!("take: {channels} channels to {}", folder.display()), false));
            self.low = 0;
        }
        if let Some(error) = seen.failed {
            lines.push((format!("no take: {error}"), true));
            self.lost.push(format!("no take: {error}"));
        }
        self.ended(seen.ended);
        lines.extend(self.leftovers.attend(&takes::folder(&self.kept.takes), self.deck.is_recording()));
        let left = self.deck.seconds_left().filter(|_| self.deck.is_recording());
        while let Some(seconds) = left.filter(|left| LOW_SECONDS.get(self.low).is_some_and(|low| left < low)) {
            lines.retain(|(line, _)| !line.starts_with("the disk"));
            lines.push((format!("the disk has room for {:.0} minutes", (seconds / 60.0).floor()), true));
            self.low += 1;
        }
        self.attend_desk(&mut lines);
        if self.live.is_some()
            && !self.asking
            && std::mem::take(&mut self.record_soon)
            && let Err(error) = self.record()
        {
            // It was to record from its start, and cannot.
            self.stop();
            self.error = Some(error);
        }
        lines.into_iter().for_each(|(line, alarm)| self.say(line, alarm));
        self.fit();
        if self.looked.elapsed() >= KEEP {
            self.keep();
        }
    }

    /// Brings the recorder to what is wanted. Returns why there is none, once.
    fn fit(&mut self) -> Option<String> {
        let count = self.live.as_ref().map_or(0, |live| live.granted.channels);
        let armed = (0..count).filter(|channel| self.kept.strips.get(*channel).is_some_and(|strip| strip.armed));
        let armed = self.channels(armed);
        let live = self.live.as_mut()?;
        let device = &live.granted.device;
        let source = if self.watch.is_some() { format!("{device}; desk {}", self.whose) } else { device.clone() };
        let given = Given { granted: &live.granted, asked: &live.asked, source, channels: armed };
        let error = self.deck.fit(&self.kept.takes, given, &mut live.feed);
        if let Some(error) = &error {
            self.say(error.clone(), true);
        }
        error
    }

    /// Stems, named as was typed, or by the desk, or by their numbers.
    fn channels(&self, sources: impl Iterator<Item = usize>) -> Vec<Channel> {
        let sources: Vec<usize> = sources.collect();
        let wanted = sources.iter().map(|source| {
            let typed = self.kept.strips.get(*source).map_or("", |strip| strip.name.as_str());
            let desk = self.strips.get(*source).map_or("", |strip| strip.name.as_str());
            (if typed.is_empty() { desk } else { typed }.into(), format!("Channel {}", source + 1))
        });
        let names = stem_names(wanted);
        let desk = |source: usize| self.strips.get(source).map(|strip| strip.track.clone());
        sources
            .into_iter()
            .zip(names)
            .map(|(source, name)| Channel { desk: desk(source), ..Channel::new(source, name) })
            .collect()
    }

    /// Tells what became of takes.
    fn ended(&mut self, takes: Vec<Finished>) {
        for (folder, manifest) in takes {
            let loss = manifest.loss();
            self.say(format!("{}: {}", folder.display(), manifest.summary()), loss.is_some());
            self.lost.extend(loss);
        }
    }

    /// Asks the desk who it is and what it carries, which may take its time.
    fn ask_desk(&mut self) {
        let address = self.kept.device.desk.trim().to_owned();
        self.asking = !address.is_empty();
        if !self.asking {
            return;
        }
        let (back, start) = (self.back.clone(), self.starts);
        aside(move || {
            let desk = if address == FIND { Desk::find() } else { Desk::open(&address) };
            let _ = back.send(Command::Desk(start, desk.map_err(|e| e.to_string())));
        });
    }

    fn desk_is_there(&mut self, desk: Result<Desk, String>) {
        self.asking = false;
        let Some(live) = &self.live else { return };
        let watch = desk.and_then(|desk| {
            desk.check(live.granted.sample_rate, live.granted.channels).map_err(|e| e.to_string())?;
            Watch::start(desk, Patience::default()).map_err(|e| e.to_string())
        });
        match watch {
            Ok(watch) => {
                let desk = watch.desk();
                self.read_desk(&desk);
                self.say(format!("desk {}: {}", desk.address(), self.whose), false);
                desk.notes().into_iter().for_each(|note| self.say(format!("desk: {note}"), false));
                self.changes = watch.status().changes;
                self.watch = Some(watch);
            }
            // A recording that runs is never stopped by the desk.
            Err(error) if self.deck.is_recording() => {
                self.say(format!("desk: {error}"), true);
                self.desk = Some((error, false));
            }
            Err(error) => {
                self.stop();
                self.fail(format!("desk: {error}"));
            }
        }
    }

    fn read_desk(&mut self, desk: &Desk) {
        self.whose = format!("{} '{}', firmware {}", desk.model(), desk.name(), desk.firmware());
        let tracks = desk.tracks();
        let numbers: Vec<usize> = (1..=tracks.len()).collect();
        let strip = |(name, track): (String, Track)| FromDesk { name, colour: track.strip().colour, track: track.entry() };
        self.strips = desk.names(&numbers).into_iter().zip(tracks).map(strip).collect();
    }

    /// What the desk changed goes to the take, and into the log.
    fn desk_changed(&mut self) {
        let changes = self.watch.as_ref().map(Watch::changes).unwrap_or_default();
        let Some(first) = changes.first() else { return };
        let said = |text: &Option<String>| text.as_ref().map_or("nothing".into(), |text| format!("'{text}'"));
        let more = if changes.len() > 1 { format!(" (and {} more changes)", changes.len() - 1) } else { String::new() };
        let (channel, what, from, to) = (first.source + 1, first.what, said(&first.from), said(&first.to));
        let line = format!("desk: channel {channel}: the {what} was {from} and is {to}{more}");
        let alarm = self.deck.is_recording() && changes.iter().any(|change| change.what == "source");
        self.deck.change(changes);
        self.say(line, alarm);
    }

    fn attend_desk(&mut self, lines: &mut Vec<(String, bool)>) {
        self.desk_changed();
        let Some(watch) = &self.watch else {
            if self.asking {
                self.desk = Some(("asking".into(), true));
            }
            return;
        };
        let status = watch.status();
        let well = status.connected;
        let text =
            if well { format!("{} connected", self.whose) } else { format!("lost for {:.0} s", status.last_seen.as_secs_f64()) };
        if self.desk.as_ref().is_some_and(|(_, was)| *was != well) {
            lines.push((if well { "desk: back".into() } else { "desk: lost; the recording goes on".into() }, !well));
        }
        self.desk = Some((text, well));
        // A take keeps the names that it began with.
        if status.changes != self.changes && !self.deck.is_recording() {
            self.changes = status.changes;
            let desk = watch.desk();
            self.read_desk(&desk);
        }
    }

    fn say(&mut self, text: String, alarm: bool) {
        let time = Local::now().format("%H:%M:%S").to_string();
        self.printer.say(format!("{time} {text}"));
        if self.log.len() >= LOG_LINES {
            self.log.remove(0);
        }
        self.log.push(LogLine { time, text, alarm });
    }

    fn keep(&mut self) {
        self.looked = Instant::now();
        self.kept.instance = self.instance.state();
        if self.kept == self.saved {
            return;
        }
        match save(&self.path, &self.kept) {
            Ok(()) => (self.saved, self.unkept) = (self.kept.clone(), None),
            Err(error) => {
                let error = format!("settings {}: {error}", self.path.display());
                if self.unkept.as_ref() != Some(&error) {
                    self.say(error.clone(), true);
                    self.unkept = Some(error);
                }
            }
        }
    }

    fn publish(&mut self) {
        let live = self.live.as_ref();
        let stage = match live.map(|live| &live.state) {
            None if self.starting => DeviceStage::Starting,
            None => DeviceStage::Stopped,
            Some(State::Running) => DeviceStage::Running,
            Some(State::Away(why) | State::Changed(why) | State::Broken(why)) => DeviceStage::Away(why.clone()),
        };
        let counts = live.map(|live| live.session.counts()).unwrap_or_default();
        let monitor_seconds = live.filter(|live| live.granted.outputs > 0 || self.kept.device.outputs.is_some()).map(|live| {
            let frames = live.granted.heard_after_frames() + self.instance.latency_frames();
            frames as f64 / f64::from(live.granted.sample_rate)
        });
        let device = DeviceView {
            setup: self.kept.device.clone(),
            stage,
            hosts: Host::ALL.iter().map(|host| host.id().into()).collect(),
            devices: self.listed.clone(),
            rates: RATES.to_vec(),
            periods: PERIODS.to_vec(),
            granted: live.map(|live| live.granted.to_string()),
            monitor_seconds,
            overruns: counts.overruns,
            underruns: counts.underruns,
            error: self.error.clone(),
            desk: self.desk.clone(),
        };
        let channels = live.map_or(self.kept.strips.len(), |live| live.granted.channels);
        let strips = self.kept.strips.iter().enumerate().take(channels).map(|(channel, strip)| {
            let desk = self.strips.get(channel).cloned().unwrap_or_default();
            StripView {
                name: if strip.name.is_empty() { desk.name } else { strip.name.clone() },
                armed: strip.armed,
                left: strip.left,
                right: strip.right,
                level: Level::default(),
                colour: desk.colour,
                note: desk.track.note,
            }
        });
        let strips: Vec<StripView> = strips.collect();
        let take = self.deck.view(&self.kept.takes, strips.iter().filter(|strip| strip.armed).count());
        let view = ProgramView { device, recording: take.recording, strips, left: self.leftovers.view(), log: self.log.clone() };
        let mut told = lock(&self.told);
        told.failed = self.error.is_some() && live.is_none();
        told.view = view;
        told.take = take;
    }
}
