//! A capture that is kept running, whatever happens to the device.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::{Capture, Client, DeviceError, Ending, Granted, Input, Monitor, Opened, Stream, Wish, changed, open};

/// A device that is away is tried again this often.
const RETRY: Duration = Duration::from_millis(250);
/// A device that calls nobody for this long, and for [`QUIET_PERIODS`], gives nothing: it is away.
const QUIET: Duration = Duration::from_millis(700);
const QUIET_PERIODS: f64 = 4.0;
/// The most that one look adds to the time that a device has been quiet: a program that was held itself has not listened.
const LONGEST_LOOK: Duration = Duration::from_millis(150);

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
    /// It has gone, gives nothing or cannot be opened again, for this reason; it is tried again.
    Away(String),
    /// Its sample rate is another one, so that what was captured ends here; it is not tried again.
    Changed(String),
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

/// The calls of a device, watched for silence.
struct Pulse {
    calls: u64,
    quiet: Duration,
    looked: Instant,
}

impl Pulse {
    fn new() -> Self {
        Self { calls: 0, quiet: Duration::ZERO, looked: Instant::now() }
    }

    /// Looks whether calls have come; if none have for `patience`, returns for how long.
    fn quiet_for(&mut self, calls: u64, patience: Duration) -> Option<Duration> {
        let passed = std::mem::replace(&mut self.looked, Instant::now()).elapsed().min(LONGEST_LOOK);
        self.quiet = if calls == self.calls { self.quiet + passed } else { Duration::ZERO };
        self.calls = calls;
        (self.quiet > patience).then_some(self.quiet)
    }
}

struct Watched<C: Client> {
    wish: Wish,
    granted: Granted,
    seat: Seat<C>,
    state: State,
    pulse: Pulse,
    /// Of the streams that have ended.
    before: Counts,
    tried: Instant,
    /// A try that is under way, on a thread of its own: a server that stands still would hold it up.
    opening: Option<Receiver<Result<Opened, DeviceError>>>,
}

impl<C: Client> Watched<C> {
    fn start(wish: Wish, opened: Opened, client: C) -> Result<Self, DeviceError> {
        let granted = opened.granted().clone();
        let stream = opened.start(client).map_err(|(_, error)| error)?;
        let (seat, before) = (Seat::Running(stream), Counts::default());
        let (state, pulse, tried) = (State::Running, Pulse::new(), Instant::now());
        Ok(Self { wish, granted, seat, state, pulse, before, tried, opening: None })
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

    /// Looks whether the device is still there and calls, and tries again if not. Meanwhile the client is told to `wait`.
    fn attend(&mut self, wait: impl Fn(&mut C)) {
        if let Seat::Running(stream) = &self.seat {
            self.granted.period_frames = stream.period_frames();
            let period = self.granted.period_frames as f64 / f64::from(self.granted.sample_rate);
            let patience = QUIET.max(Duration::from_secs_f64(QUIET_PERIODS * period));
            let quiet = self.pulse.quiet_for(stream.calls(), patience);
            let said = |quiet: Duration| Ending::Gone(format!("nothing came from it for {:.1} s", quiet.as_secs_f64()));
            if let Some(ending) = stream.ended().or_else(|| quiet.map(said)) {
                self.end(ending);
            }
        }
        if let Seat::Away(client) = &mut self.seat {
            wait(client);
            self.try_again();
        }
    }

    /// The device runs no more.
    fn end(&mut self, ending: Ending) {
        self.before = Counts { departures: self.before.departures + 1, ..self.counts() };
        self.tried = Instant::now();
        let stopped = match std::mem::replace(&mut self.seat, Seat::Broken) {
            Seat::Running(stream) => stream.stop(),
            Seat::Away(client) => Some(client),
            Seat::Broken => None,
        };
        (self.seat, self.state) = match (stopped, ending) {
            (Some(client), Ending::Gone(why)) => (Seat::Away(client), State::Away(why)),
            (Some(client), Ending::Changed(why)) => (Seat::Away(client), State::Changed(why)),
            (None, ending) => (Seat::Broken, State::Broken(ending.to_string())),
        };
    }

    fn try_again(&mut self) {
        if matches!(self.state, State::Changed(_)) {
            return;
        }
        let Some(opening) = &self.opening else {
            if self.tried.elapsed() >= RETRY {
                self.tried = Instant::now();
                let (done, opening) = channel();
                let wish = self.wish.clone();
                // Nobody may wait for it any more; then what it opens is closed again.
                let work = move || drop(done.send(open(&wish)));
                if std::thread::Builder::new().name("isotherm-open".into()).spawn(work).is_ok() {
                    self.opening = Some(opening);
                }
            }
            return;
        };
        let Ok(opened) = opening.try_recv() else { return };
        self.opening = None;
        self.tried = Instant::now();
        match opened {
            Ok(opened) => self.come_back(opened),
            Err(error) => self.state = State::Away(error.to_string()),
        }
    }

    fn come_back(&mut self, opened: Opened) {
        let granted = opened.granted().clone();
        if granted.sample_rate != self.granted.sample_rate {
            return self.end(Ending::Changed(changed(self.granted.sample_rate, granted.sample_rate)));
        }
        // A server's client may not have all its ports yet.
        if (granted.format, granted.channels) != (self.granted.format, self.granted.channels) {
            self.state = State::Away(format!("it was {} and came back as {granted}", self.granted));
            return;
        }
        let Seat::Away(client) = std::mem::replace(&mut self.seat, Seat::Broken) else { return };
        // Its period may be another one.
        self.granted = granted;
        self.pulse = Pulse::new();
        (self.seat, self.state) = match opened.start(client) {
            Ok(stream) => (Seat::Running(stream), State::Running),
            Err((Some(client), error)) => (Seat::Away(client), State::Away(error.to_string())),
            Err((None, error)) => (Seat::Broken, State::Broken(error.to_string())),
        };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_calls_nobody_is_told_within_a_second_and_a_program_that_was_held_blames_nobody() {
        let look = Duration::from_millis(100);
        assert!(QUIET + 2 * look < Duration::from_secs(1));
        let mut pulse = Pulse::new();
        // The program was held for longer than that, between two looks.
        pulse.looked = Instant::now().checked_sub(10 * QUIET).unwrap();
        assert_eq!(pulse.quiet_for(0, QUIET), None);
        let mut looks = 0;
        let quiet = loop {
            pulse.looked = Instant::now().checked_sub(look).unwrap();
            looks += 1;
            if let Some(quiet) = pulse.quiet_for(0, QUIET) {
                break quiet;
            }
        };
        assert!(quiet > QUIET && looks <= 8, "{quiet:?} after {looks} looks");
        assert_eq!(pulse.quiet_for(1, QUIET), None, "it calls again");
    }
}
