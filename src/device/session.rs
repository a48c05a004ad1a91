//! A capture that is kept running, whatever happens to the device.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::{Capture, Client, DeviceError, Granted, Input, Monitor, Opened, Stream, Wish, open};

/// A device that is away is tried again this often.
const RETRY: Duration = Duration::from_millis(250);

/// What is heard may take so much longer than the time that it plays, in all, before some of it is left out: far less than the half
/// second that a device holds.
const DEBT_SECONDS: f64 = 0.1;
/// The share of the time that what is heard may take for ever, beside the capture.
const SHARE: f64 = 0.8;

/// Capture first, so that nothing that is heard can come before it, and what is heard cannot hold it up.
struct Line {
    capture: Capture,
    monitor: Option<Monitor>,
    /// Hertz.
    sample_rate: f64,
    /// Seconds that what is heard has taken beyond its share.
    debt: f64,
    /// Something was left out: what comes next does not follow it.
    skipped: bool,
    /// Blocks of what is heard that were left out.
    left_out: Arc<AtomicU64>,
    /// What is heard has panicked, and is heard no more.
    silent: bool,
}

impl Line {
    fn new(capture: Capture, monitor: Option<Monitor>, granted: &Granted, left_out: &Arc<AtomicU64>) -> Self {
        let (sample_rate, left_out) = (f64::from(granted.sample_rate), left_out.clone());
        Self { capture, monitor, sample_rate, debt: 0.0, skipped: false, left_out, silent: false }
    }
}

impl Client for Line {
    fn process(&mut self, lost: u64, input: Input<'_>, output: &mut [&mut [f32]]) {
        self.capture.process(lost, input, output);
        let Some(monitor) = &mut self.monitor else { return };
        if self.silent {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let seconds = input.frames() as f64 / self.sample_rate;
        if self.debt > DEBT_SECONDS {
            self.debt -= seconds;
            self.skipped = true;
            self.left_out.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let begun = Instant::now();
        let lost = lost.max(std::mem::take(&mut self.skipped).into());
        let played = catch_unwind(AssertUnwindSafe(|| monitor.process(lost, input, output)));
        if played.is_err() {
            self.silent = true;
            output.iter_mut().for_each(|channel| channel.fill(0.0));
        }
        self.debt = (self.debt + begun.elapsed().as_secs_f64() - SHARE * seconds).max(0.0);
    }
}

/// How the device is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    Running,
    /// It has gone, or cannot be opened again, for this reason; it is tried again.
    Away(String),
    /// What it calls has panicked, and is not called again.
    Broken(String),
}

/// A client and the device that calls it, if there is one.
enum Seat<C: Client> {
    Running(Stream<C>),
    Away(C),
    /// The client has panicked.
    Broken,
}

/// What a seat counts over all the streams it had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Times that the device said it had lost frames.
    pub overruns: u64,
    /// Times that the output had nothing to play, or was too late.
    pub underruns: u64,
    /// Times that the device went away.
    pub departures: u64,
    /// The longest time that a block took.
    pub worst: Duration,
    /// It has panicked, and nothing came any more.
    pub broken: bool,
}

struct Watched<C: Client> {
    wish: Wish,
    granted: Granted,
    seat: Seat<C>,
    state: State,
    /// Of the streams that have ended.
    before: Counts,
    tried: Instant,
}

impl<C: Client> Watched<C> {
    fn start(wish: Wish, opened: Opened, client: C) -> Result<Self, DeviceError> {
        let granted = opened.granted().clone();
        let stream = opened.start(client).map_err(|(_, error)| error)?;
        let (seat, before) = (Seat::Running(stream), Counts::default());
        Ok(Self { wish, granted, seat, state: State::Running, before, tried: Instant::now() })
    }

    fn counts(&self) -> Counts {
        let broken = matches!(self.seat, Seat::Broken);
        let Seat::Running(stream) = &self.seat else { return Counts { broken, ..self.before } };
        Counts {
            broken,
            overruns: self.before.overruns + stream.overruns(),
            underruns: self.before.underruns + stream.underruns(),
            departures: self.before.departures,
            worst: self.before.worst.max(stream.worst()),
        }
    }

    /// Looks whether the device is still there, and tries again if not. Meanwhile the client is told to `wait`.
    fn attend(&mut self, wait: impl Fn(&mut C)) {
        if let Seat::Running(stream) = &self.seat
            && let Some(why) = stream.ended()
        {
            self.before = Counts { departures: self.before.departures + 1, ..self.counts() };
            self.state = State::Away(why);
            if let Seat::Running(stream) = std::mem::replace(&mut self.seat, Seat::Broken) {
                self.seat = stream.stop().map_or(Seat::Broken, Seat::Away);
            }
            if let (Seat::Broken, State::Away(why)) = (&self.seat, &self.state) {
                self.state = State::Broken(why.clone());
            }
        }
        if let Seat::Away(client) = &mut self.seat {
            wait(client);
            if self.tried.elapsed() >= RETRY {
                self.try_again();
                self.tried = Instant::now();
            }
        }
    }

    fn try_again(&mut self) {
        let form = |granted: &Granted| (granted.sample_rate, granted.format, granted.channels);
        let opened = match open(&self.wish) {
            Ok(opened) if form(opened.granted()) == form(&self.granted) => opened,
            Ok(opened) => {
                self.state = State::Away(format!("it was {} and came back as {}", self.granted, opened.granted()));
                return;
            }
            Err(error) => {
                self.state = State::Away(error.to_string());
                return;
            }
        };
        if let Seat::Away(client) = std::mem::replace(&mut self.seat, Seat::Broken) {
            // Its period may be another one.
            self.granted = opened.granted().clone();
            match opened.start(client) {
                Ok(stream) => {
                    self.seat = Seat::Running(stream);
                    self.state = State::Running;
                }
                Err((client, error)) => {
                    self.seat = Seat::Away(client);
                    self.state = State::Away(error.to_string());
                }
            }
        }
    }

    fn stop(self) -> (Option<C>, Counts) {
        let counts = self.counts();
        let client = match self.seat {
            Seat::Running(stream) => stream.stop(),
            Seat::Away(client) => Some(client),
            Seat::Broken => None,
        };
        let broken = client.is_none();
        (client, Counts { broken, ..counts })
    }
}

/// A device that is open and waits for what it shall feed.
pub struct Prepared {
    wish: Wish,
    opened: Opened,
    /// At JACK what is heard has a client of its own: it may fail without harm to the capture, and is one period late.
    monitor: Option<(Wish, Opened)>,
}

impl Prepared {
    /// [control thread]
    #[must_use]
    pub fn granted(&self) -> &Granted {
        self.opened.granted()
    }

    /// Lets it run. [control thread]
    ///
    /// # Errors
    /// The device's.
    pub fn start(self, capture: Capture, monitor: Option<Monitor>) -> Result<Session, DeviceError> {
        let (inner, outer) = if self.monitor.is_some() { (None, monitor) } else { (monitor, None) };
        let left_out = Arc::<AtomicU64>::default();
        let line = Line::new(capture, inner, self.opened.granted(), &left_out);
        let line = Watched::start(self.wish, self.opened, line)?;
        let monitor = match (outer, self.monitor) {
            (Some(monitor), Some((wish, opened))) => Some(Watched::start(wish, opened, monitor)?),
            _ => None,
        };
        Ok(Session { line, monitor, left_out })
    }
}

/// See the module. All of it: [control thread]
pub struct Session {
    line: Watched<Line>,
    monitor: Option<Watched<Monitor>>,
    left_out: Arc<AtomicU64>,
}

impl Session {
    /// Opens the device for a capture and, with `monitors`, for something to be heard.
    ///
    /// # Errors
    /// Those of [`open`].
    pub fn prepare(wish: &Wish, monitors: bool) -> Result<Prepared, DeviceError> {
        #[cfg(target_os = "linux")]
        if monitors && wish.host == super::Host::Jack {
            let capture = Wish { outputs: Vec::new(), ..wish.clone() };
            let opened = open(&capture)?;
            return Ok(Prepared { wish: capture, opened, monitor: Some((wish.clone(), open(wish)?)) });
        }
        let _ = monitors;
        Ok(Prepared { wish: wish.clone(), opened: open(wish)?, monitor: None })
    }

    /// To be called several times a second: sees that the device has gone, keeps the time line, and tries again.
    pub fn attend(&mut self) {
        self.line.attend(|line| line.capture.wait());
        if let Some(monitor) = &mut self.monitor {
            monitor.attend(|_| {});
        }
    }

    #[must_use]
    pub fn granted(&self) -> &Granted {
        &self.line.granted
    }

    #[must_use]
    pub fn state(&self) -> &State {
        &self.line.state
    }

    /// Whether the capture has panicked and nothing more will come.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        matches!(self.line.seat, Seat::Broken)
    }

    /// How what is heard is, where it has a client of its own.
    #[must_use]
    pub fn monitor_state(&self) -> Option<&State> {
        self.monitor.as_ref().map(|monitor| &monitor.state)
    }

    #[must_use]
    pub fn counts(&self) -> Counts {
        let heard = self.monitor.as_ref().map(Watched::counts).unwrap_or_default();
        let line = self.line.counts();
        // What the monitor loses is nothing to hear, and no more.
        let underruns = line.underruns + heard.underruns + heard.overruns + self.left_out.load(Ordering::Relaxed);
        Counts { underruns, ..line }
    }

    /// Stops the device. The time that it was away at the end is listed as lost. Gives back what was heard.
    #[must_use]
    pub fn stop(self) -> (Counts, Option<Monitor>) {
        let left_out = self.left_out.load(Ordering::Relaxed);
        let outer = self.monitor.map(Watched::stop);
        let (line, mut counts) = self.line.stop();
        let mut heard = None;
        if let Some(mut line) = line {
            line.capture.give_up();
            heard = line.monitor;
        }
        counts.underruns += left_out;
        if let Some((monitor, of_monitor)) = outer {
            counts.underruns += of_monitor.underruns + of_monitor.overruns;
            heard = monitor;
        }
        (counts, heard)
    }
}
