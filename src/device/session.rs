//! A capture and a monitor that are kept running: the device is opened again whenever it was disconnected.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::{
    Capture, Client, DeviceError, GrantedConfig, InputBlock, Monitor, OpenDevice, OpenRequest, Stream, StreamEnd, open,
    rate_change_text,
};

/// Time between two tries to open a disconnected device.
const RETRY_INTERVAL: Duration = Duration::from_millis(250);
/// A device that gives no block for this long, and for [`STALL_PERIODS`], counts as disconnected.
const STALL_TIMEOUT: Duration = Duration::from_millis(700);
/// Number of periods without a block after which a device counts as disconnected, if they are longer than [`STALL_TIMEOUT`].
const STALL_PERIODS: f64 = 4.0;
/// Largest time that one check adds to a device's stall. If the program itself was stopped for longer, the device is not to
/// blame.
const LONGEST_CHECK_INTERVAL: Duration = Duration::from_millis(150);

/// Time in seconds that the monitor may use beyond its share before blocks are skipped. Far less than the half second of input
/// that an ALSA device holds.
const LARGEST_OVERTIME: f64 = 0.1;
/// Part of a block's duration that the monitor may use on average. The rest is for the capture.
const MONITOR_TIME_SHARE: f64 = 0.8;

/// The client that a session gives to the device: the capture and, except with JACK, the monitor. The capture is called first, so
/// a slow or faulty monitor cannot harm it.
struct DeviceClient {
    capture: Capture,
    monitor: Option<Monitor>,
    /// Sample rate in hertz.
    sample_rate: f64,
    /// Seconds that the monitor has used beyond its share.
    overtime: f64,
    /// True if the monitor's last block was skipped, so that the next one does not continue it.
    has_skipped: bool,
    /// Number of blocks that the monitor has skipped.
    skipped_blocks: Arc<AtomicU64>,
    /// True if the monitor has panicked; it is not called again.
    monitor_panicked: bool,
}

impl DeviceClient {
    fn new(capture: Capture, monitor: Option<Monitor>, granted: &GrantedConfig, skipped_blocks: &Arc<AtomicU64>) -> Self {
        let (sample_rate, skipped_blocks) = (f64::from(granted.sample_rate), skipped_blocks.clone());
        Self { capture, monitor, sample_rate, overtime: 0.0, has_skipped: false, skipped_blocks, monitor_panicked: false }
    }
}

impl Client for DeviceClient {
    fn process(&mut self, lost_frames: u64, input: InputBlock<'_>, output: &mut [&mut [f32]]) {
        self.capture.process(lost_frames, input, output);
        let Some(monitor) = &mut self.monitor else { return };
        if self.monitor_panicked {
            self.skipped_blocks.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let seconds = input.frames() as f64 / self.sample_rate;
        if self.overtime > LARGEST_OVERTIME {
            self.overtime -= seconds;
            self.has_skipped = true;
            self.skipped_blocks.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let begun = Instant::now();
        // Any number of lost frames above 0 lets the monitor reset its insert. A skipped block must do so, too.
        let lost_frames = lost_frames.max(std::mem::take(&mut self.has_skipped).into());
        let played = catch_unwind(AssertUnwindSafe(|| monitor.process(lost_frames, input, output)));
        if played.is_err() {
            self.monitor_panicked = true;
            output.iter_mut().for_each(|channel| channel.fill(0.0));
        }
        self.overtime = (self.overtime + begun.elapsed().as_secs_f64() - MONITOR_TIME_SHARE * seconds).max(0.0);
    }
}

/// State of a session's device. The texts are reasons, of one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceState {
    /// The device gives blocks.
    Running,
    /// The device is gone, gives no blocks or cannot be opened again. The session goes on trying to open it.
    Disconnected(String),
    /// The device runs at another sample rate, so the capture ends here. The session does not open the device again.
    RateChanged(String),
    /// The client has panicked and is not called again.
    Panicked(String),
}

/// A client and, while the device is connected, the stream that calls it.
enum Connection<C: Client> {
    Running(Stream<C>),
    /// There is no stream: the device is disconnected or has changed its sample rate.
    Stopped(C),
    /// The client has panicked and is gone.
    Panicked,
}

/// Counters of a session, over all the streams that its device had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionCounts {
    /// Number of times that the device reported lost input.
    pub overruns: u64,
    /// Number of times that the output had nothing to play, or that the monitor skipped a block because it was too slow.
    pub underruns: u64,
    /// Number of times that the device was disconnected.
    pub disconnects: u64,
    /// Longest time that the client took for a block.
    pub longest_callback: Duration,
    /// True if the capture has panicked, after which nothing was captured.
    pub panicked: bool,
}

/// Watches whether a device goes on giving blocks.
struct Watchdog {
    /// Number of blocks that had come by the last check.
    blocks: u64,
    /// Time without a block so far.
    stall: Duration,
    last_check: Instant,
}

impl Watchdog {
    fn new() -> Self {
        Self { blocks: 0, stall: Duration::ZERO, last_check: Instant::now() }
    }

    /// Checks whether blocks have come since the last check; `blocks` is their number so far. Returns the time without a block
    /// if it is longer than `timeout`.
    fn check(&mut self, blocks: u64, timeout: Duration) -> Option<Duration> {
        let passed = std::mem::replace(&mut self.last_check, Instant::now()).elapsed().min(LONGEST_CHECK_INTERVAL);
        self.stall = if blocks == self.blocks { self.stall + passed } else { Duration::ZERO };
        self.blocks = blocks;
        (self.stall > timeout).then_some(self.stall)
    }
}

/// A client whose device is opened again after a disconnect.
struct SupervisedStream<C: Client> {
    request: OpenRequest,
    granted: GrantedConfig,
    connection: Connection<C>,
    state: DeviceState,
    watchdog: Watchdog,
    /// Sums over the streams that have ended.
    ended_counts: SessionCounts,
    /// Time at which the last stream ended or the last try to open the device began or ended.
    last_try: Instant,
    /// Result of a try that is under way on a thread of its own, which a server that does not answer may block.
    opening: Option<Receiver<Result<OpenDevice, DeviceError>>>,
}

impl<C: Client> SupervisedStream<C> {
    /// Starts an open device. `request` serves to open it again after a disconnect.
    fn start(request: OpenRequest, opened: OpenDevice, client: C) -> Result<Self, DeviceError> {
        let granted = opened.granted().clone();
        let stream = opened.start(client).map_err(|(_, error)| error)?;
        let (connection, ended_counts) = (Connection::Running(stream), SessionCounts::default());
        let (state, watchdog, last_try) = (DeviceState::Running, Watchdog::new(), Instant::now());
        Ok(Self { request, granted, connection, state, watchdog, ended_counts, last_try, opening: None })
    }

    /// Returns the sums over all streams.
    fn counts(&self) -> SessionCounts {
        let panicked = matches!(self.connection, Connection::Panicked);
        let Connection::Running(stream) = &self.connection else { return SessionCounts { panicked, ..self.ended_counts } };
        SessionCounts {
            panicked,
            overruns: self.ended_counts.overruns + stream.overruns(),
            underruns: self.ended_counts.underruns + stream.underruns(),
            disconnects: self.ended_counts.disconnects,
            longest_callback: self.ended_counts.longest_callback.max(stream.longest_callback()),
        }
    }

    /// Checks whether the device still gives blocks; if not, tries to open it again. While it is disconnected, each call passes
    /// the client to `on_disconnected`.
    fn poll(&mut self, on_disconnected: impl Fn(&mut C)) {
        if let Connection::Running(stream) = &self.connection {
            self.granted.period_frames = stream.period_frames();
            let period = self.granted.period_frames as f64 / f64::from(self.granted.sample_rate);
            let timeout = STALL_TIMEOUT.max(Duration::from_secs_f64(STALL_PERIODS * period));
            let stall = self.watchdog.check(stream.blocks(), timeout);
            let stall_text = |stall: Duration| format!("nothing came from it for {:.1} s", stall.as_secs_f64());
            if let Some(reason) = stream.ended().or_else(|| stall.map(stall_text).map(StreamEnd::Disconnected)) {
                self.end_stream(reason);
            }
        }
        if let Connection::Stopped(client) = &mut self.connection {
            on_disconnected(client);
            self.try_to_open();
        }
    }

    /// Stops the stream, if there is one, and keeps its client and the reason.
    fn end_stream(&mut self, reason: StreamEnd) {
        self.ended_counts = SessionCounts { disconnects: self.ended_counts.disconnects + 1, ..self.counts() };
        self.last_try = Instant::now();
        let stopped = match std::mem::replace(&mut self.connection, Connection::Panicked) {
            Connection::Running(stream) => stream.stop(),
            Connection::Stopped(client) => Some(client),
            Connection::Panicked => None,
        };
        (self.connection, self.state) = match (stopped, reason) {
            (Some(client), StreamEnd::Disconnected(why)) => (Connection::Stopped(client), DeviceState::Disconnected(why)),
            (Some(client), StreamEnd::RateChanged(why)) => (Connection::Stopped(client), DeviceState::RateChanged(why)),
            (None, reason) => (Connection::Panicked, DeviceState::Panicked(reason.to_string())),
        };
    }

    /// Takes the result of a try to open the device, or begins a new try when it is due.
    fn try_to_open(&mut self) {
        if matches!(self.state, DeviceState::RateChanged(_)) {
            return;
        }
        let Some(opening) = &self.opening else {
            if self.last_try.elapsed() >= RETRY_INTERVAL {
                self.last_try = Instant::now();
                let (done, opening) = channel();
                let request = self.request.clone();
                // If the session has ended meanwhile, the opened device is dropped here, which closes it.
                let work = move || drop(done.send(open(&request)));
                if std::thread::Builder::new().name("isotherm-open".into()).spawn(work).is_ok() {
                    self.opening = Some(opening);
                }
            }
            return;
        };
        let Ok(opened) = opening.try_recv() else { return };
        self.opening = None;
        self.last_try = Instant::now();
        match opened {
            Ok(opened) => self.resume(opened),
            Err(error) => self.state = DeviceState::Disconnected(error.to_string()),
        }
    }

    /// Continues with a device that was opened again, if its configuration still fits.
    fn resume(&mut self, opened: OpenDevice) {
        let granted = opened.granted().clone();
        if granted.sample_rate != self.granted.sample_rate {
            return self.end_stream(StreamEnd::RateChanged(rate_change_text(self.granted.sample_rate, granted.sample_rate)));
        }
        // The session goes on trying: a JACK client that has just started may not have all its ports yet.
        if (granted.format, granted.channels) != (self.granted.format, self.granted.channels) {
            self.state = DeviceState::Disconnected(format!("it was {} and came back as {granted}", self.granted));
            return;
        }
        let Connection::Stopped(client) = std::mem::replace(&mut self.connection, Connection::Panicked) else { return };
        // The period may differ.
        self.granted = granted;
        self.watchdog = Watchdog::new();
        (self.connection, self.state) = match opened.start(client) {
            Ok(stream) => (Connection::Running(stream), DeviceState::Running),
            Err((Some(client), error)) => (Connection::Stopped(client), DeviceState::Disconnected(error.to_string())),
            Err((None, error)) => (Connection::Panicked, DeviceState::Panicked(error.to_string())),
        };
    }

    /// Stops the device. Returns the client, unless it has panicked, and the sums over all streams.
    fn stop(self) -> (Option<C>, SessionCounts) {
        let counts = self.counts();
        let client = match self.connection {
            Connection::Running(stream) => stream.stop(),
            Connection::Stopped(client) => Some(client),
            Connection::Panicked => None,
        };
        let panicked = client.is_none();
        (client, SessionCounts { panicked, ..counts })
    }
}

/// A session whose device is open and has no capture yet.
pub struct PreparedSession {
    request: OpenRequest,
    opened: OpenDevice,
    /// A JACK client of its own for the monitor: it can fail without harm to the capture, and plays one period later.
    monitor: Option<(OpenRequest, OpenDevice)>,
}

impl PreparedSession {
    /// Returns the configuration of the device. [control thread]
    #[must_use]
    pub fn granted(&self) -> &GrantedConfig {
        self.opened.granted()
    }

    /// Starts the device with a capture and, if the session was prepared for one, a monitor. [control thread]
    ///
    /// # Errors
    /// The device's error.
    pub fn start(self, capture: Capture, monitor: Option<Monitor>) -> Result<Session, DeviceError> {
        let (monitor_in_client, jack_monitor) = if self.monitor.is_some() { (None, monitor) } else { (monitor, None) };
        let skipped_blocks = Arc::<AtomicU64>::default();
        let client = DeviceClient::new(capture, monitor_in_client, self.opened.granted(), &skipped_blocks);
        let device = SupervisedStream::start(self.request, self.opened, client)?;
        let jack_monitor = match (jack_monitor, self.monitor) {
            (Some(monitor), Some((request, opened))) => Some(SupervisedStream::start(request, opened, monitor)?),
            _ => None,
        };
        Ok(Session { device, jack_monitor, skipped_blocks })
    }
}

/// A running capture with or without a monitor, which opens its device again whenever it was disconnected. All methods:
/// [control thread]
pub struct Session {
    device: SupervisedStream<DeviceClient>,
    /// The monitor's own JACK client.
    jack_monitor: Option<SupervisedStream<Monitor>>,
    /// Number of blocks that a monitor in `device` has skipped; 0 with JACK.
    skipped_blocks: Arc<AtomicU64>,
}

impl Session {
    /// Opens the device for a capture; with `with_monitor` also for a monitor.
    ///
    /// # Errors
    /// The errors of [`open`].
    pub fn prepare(request: &OpenRequest, with_monitor: bool) -> Result<PreparedSession, DeviceError> {
        #[cfg(target_os = "linux")]
        if with_monitor && request.host == super::Host::Jack {
            let capture = OpenRequest { outputs: Vec::new(), ..request.clone() };
            let opened = open(&capture)?;
            return Ok(PreparedSession { request: capture, opened, monitor: Some((request.clone(), open(request)?)) });
        }
        let _ = with_monitor;
        Ok(PreparedSession { request: request.clone(), opened: open(request)?, monitor: None })
    }

    /// Checks the device. While it is disconnected, extends the take's gap and tries to open it again. To be called several times
    /// a second.
    pub fn poll(&mut self) {
        self.device.poll(|client| client.capture.extend_gap());
        if let Some(monitor) = &mut self.jack_monitor {
            monitor.poll(|_| {});
        }
    }

    /// Returns the configuration of the device. The period may change.
    #[must_use]
    pub fn granted(&self) -> &GrantedConfig {
        &self.device.granted
    }

    /// Returns the state of the device.
    #[must_use]
    pub fn state(&self) -> &DeviceState {
        &self.device.state
    }

    /// Returns true if the capture has panicked, after which nothing is captured.
    #[must_use]
    pub fn has_panicked(&self) -> bool {
        matches!(self.device.connection, Connection::Panicked)
    }

    /// Returns the state of the monitor's own JACK client; `None` if there is no such client.
    #[must_use]
    pub fn monitor_state(&self) -> Option<&DeviceState> {
        self.jack_monitor.as_ref().map(|monitor| &monitor.state)
    }

    /// Returns the counters of the capture and the monitor.
    #[must_use]
    pub fn counts(&self) -> SessionCounts {
        let monitor = self.jack_monitor.as_ref().map(SupervisedStream::counts).unwrap_or_default();
        let device = self.device.counts();
        // Input that only the monitor loses is silence at the output, not a loss of the take.
        let underruns = device.underruns + monitor.underruns + monitor.overruns + self.skipped_blocks.load(Ordering::Relaxed);
        SessionCounts { underruns, ..device }
    }

    /// Stops the device. Time in which it was disconnected at the end is listed as a gap. Returns the counters and the monitor.
    #[must_use]
    pub fn stop(self) -> (SessionCounts, Option<Monitor>) {
        let skipped_blocks = self.skipped_blocks.load(Ordering::Relaxed);
        let jack_monitor = self.jack_monitor.map(SupervisedStream::stop);
        let (client, mut counts) = self.device.stop();
        let mut stopped_monitor = None;
        if let Some(mut client) = client {
            client.capture.end_gap();
            stopped_monitor = client.monitor;
        }
        counts.underruns += skipped_blocks;
        if let Some((monitor, monitor_counts)) = jack_monitor {
            counts.underruns += monitor_counts.underruns + monitor_counts.overruns;
            stopped_monitor = monitor;
        }
        (counts, stopped_monitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stalled_device_is_noticed_within_a_second_and_a_stopped_program_does_not_count_as_a_stall() {
        let interval = Duration::from_millis(100);
        assert!(STALL_TIMEOUT + 2 * interval < Duration::from_secs(1));
        let mut watchdog = Watchdog::new();
        // The program was stopped between two checks, for longer than the timeout.
        watchdog.last_check = Instant::now().checked_sub(10 * STALL_TIMEOUT).unwrap();
        assert_eq!(watchdog.check(0, STALL_TIMEOUT), None);
        let mut checks = 0;
        let stall = loop {
            watchdog.last_check = Instant::now().checked_sub(interval).unwrap();
            checks += 1;
            if let Some(stall) = watchdog.check(0, STALL_TIMEOUT) {
                break stall;
            }
        };
        assert!(stall > STALL_TIMEOUT && checks <= 8, "{stall:?} after {checks} checks");
        assert_eq!(watchdog.check(1, STALL_TIMEOUT), None, "the device gives blocks again");
    }
}
