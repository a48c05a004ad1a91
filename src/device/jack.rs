//! The host [`Host::Jack`]: a client of a JACK server (jackd or PipeWire), connected to the outputs of another client.
//!
//! A connection between two ports may exist some cycles before it carries sound. [`Device::open`] waits until all of them do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arrayvec::ArrayVec;
use jack::{
    AsyncClient, AudioIn, AudioOut, ClientOptions, ClientStatus, Control, LoggerType, NotificationHandler, Port, PortFlags,
    PortId, ProcessHandler, ProcessScope,
};

use super::client_slot::ClientSlot;
use super::{
    DeviceError, DeviceInfo, GrantedConfig, Host, InputBlock, MAX_CHANNELS, OpenRequest, STOP_TIMEOUT, SampleFormat,
    StreamStatus, run_with_timeout, whole_frames,
};

/// Name of our client at the server, which adds a number if the name is taken.
const NAME: &str = "isotherm";
/// Name of the client that is the server's sound card.
const SYSTEM: &str = "system";
/// Error text for a server that neither calls clients nor answers requests.
const STANDS_STILL: &str = "the server stands still";
/// Largest relative difference between a sound card's clock and the machine's.
const LARGEST_DRIFT: f64 = 0.0005;

/// A server that does not answer a request within this time has stopped responding.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Number of tries to connect as a client before the server counts as not running.
const CONNECT_TRIES: u32 = 3;
/// Time between two such tries.
const CONNECT_PAUSE: Duration = Duration::from_millis(100);
/// Longest time until all connections carry sound and a requested period runs.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest time to wait for the first cycle, before the ports are connected.
const FIRST_CYCLE_TIMEOUT: Duration = Duration::from_millis(500);
/// Longest time to wait for the last two cycles, in which the outputs are silent, before the client ends.
const LAST_CYCLES_TIMEOUT: Duration = Duration::from_millis(50);
/// Number of cycles in a row in which every connection must carry sound before a capture begins.
const SETTLED_CYCLES: u32 = 2;
/// Time between two checks while waiting for a server.
const POLL_INTERVAL: Duration = Duration::from_millis(2);
/// Frames of the largest period that servers usually have. A longer one is passed on in several blocks.
const LARGEST_PERIOD: usize = 8192;
/// Largest difference in seconds between the beginning of a block by the server's frame times and by the machine's clock. Beyond
/// it the frame times have jumped, as they do when another device becomes the server's clock.
const LARGEST_CLOCK_DIFFERENCE: f64 = 1.0;

/// Our running client with its connections. Ends when it is dropped.
pub(super) struct Device {
    /// `None` after the end.
    active: Option<AsyncClient<NotificationCallback, ProcessCallback>>,
    status: Arc<StreamStatus>,
}

/// Keeps libjack from printing, if it is installed. [control thread]
pub(super) fn silence() {
    if jack::jack_sys::library().is_ok() {
        jack::set_logger(LoggerType::None);
    }
}

/// Returns a client without ports. [control thread]
///
/// # Errors
/// A message of one line, if libjack is missing or no server is running.
fn connect() -> Result<jack::Client, String> {
    let error = |what: &str| {
        let server = std::env::var("JACK_DEFAULT_SERVER").unwrap_or_else(|_| "default".into());
        format!("JACK: {what} (server '{server}')")
    };
    // The errors that the library returns are enough.
    silence();
    for attempt in 1.. {
        match jack::Client::new(NAME, ClientOptions::NO_START_SERVER) {
            Ok((client, _)) => return Ok(client),
            Err(jack::Error::LibraryError(_)) => return Err(error("its library libjack.so.0 is not there")),
            // A busy server sometimes refuses a client.
            Err(_) if attempt < CONNECT_TRIES => std::thread::sleep(CONNECT_PAUSE),
            Err(_) => break,
        }
    }
    Err(error("no server is running"))
}

/// Returns the names of the audio ports of the client `owner` that have these flags, in the order of [`sorted_by_number`].
fn ports(client: &jack::Client, owner: &str, flags: PortFlags) -> Vec<String> {
    let all = client.ports(None, Some(jack::jack_sys::FLOAT_MONO_AUDIO), flags);
    let owned = all.into_iter().filter(|port| port.rsplit_once(':').is_some_and(|(client, _)| client == owner));
    sorted_by_number(owned.collect())
}

/// Sorts ports whose names differ only in a number at the end by that number, and keeps the order of others. A server gives the
/// places of ports that are gone to new ones, so the order in which it lists ports need not be that of their numbers.
fn sorted_by_number(mut ports: Vec<String>) -> Vec<String> {
    let split = |port: &str| {
        let prefix = port.trim_end_matches(|c: char| c.is_ascii_digit());
        (prefix.to_owned(), port[prefix.len()..].parse().unwrap_or(0u64))
    };
    let prefixes: Vec<String> = ports.iter().map(|port| split(port).0).collect();
    let first = |prefix: &String| prefixes.iter().position(|other| other == prefix);
    ports.sort_by_cached_key(|port| {
        let (prefix, number) = split(port);
        (first(&prefix), number)
    });
    ports
}

/// Returns the names of the server's clients that have audio outputs.
fn devices(client: &jack::Client) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for port in client.ports(None, Some(jack::jack_sys::FLOAT_MONO_AUDIO), PortFlags::IS_OUTPUT) {
        if let Some((owner, _)) = port.rsplit_once(':')
            && !names.iter().any(|name| name == owner)
        {
            names.push(owner.into());
        }
    }
    names
}

/// Returns the server's present configuration for a client with this many inputs and outputs.
fn granted(client: &jack::Client, device: &str, channels: usize, outputs: usize) -> GrantedConfig {
    let period_frames = client.buffer_size() as usize;
    GrantedConfig {
        host: Host::Jack,
        device: device.into(),
        sample_rate: client.sample_rate(),
        format: SampleFormat::Float,
        channels,
        period_frames,
        buffer_frames: period_frames,
        outputs,
    }
}

/// Returns the names of the clients that can be recorded; an empty list if the server has stopped responding. [control thread]
pub(super) fn names() -> Vec<String> {
    run_with_timeout(TIMEOUT, || connect().map_or_else(|_| Vec::new(), |client| devices(&client))).unwrap_or_default()
}

/// Returns the clients that can be recorded, with their channels; an empty list if the server has stopped responding. [control
/// thread]
pub(super) fn list() -> Vec<DeviceInfo> {
    run_with_timeout(TIMEOUT, list_blocking).unwrap_or_default()
}

/// Does the work of [`list`]; blocks if the server has stopped responding.
fn list_blocking() -> Vec<DeviceInfo> {
    let Ok(client) = connect() else { return Vec::new() };
    let info = |device: String| {
        let channels = ports(&client, &device, PortFlags::IS_OUTPUT).len();
        DeviceInfo {
            host: Host::Jack,
            description: if device == SYSTEM { "the server's sound card".into() } else { "a client of the server".into() },
            grants: Ok(vec![granted(&client, &device, channels, 0)]),
            outputs: ports(&client, &device, PortFlags::IS_INPUT).len(),
            device,
        }
    };
    devices(&client).into_iter().map(info).collect()
}

impl Device {
    /// Starts a client, connects its ports and waits until every connection carries sound. Before that, the period that the
    /// server reports need not be the one that then runs. [control thread]
    ///
    /// # Errors
    /// If no server answers, the device or an output is missing, or a connection carries no sound.
    pub fn open(
        request: &OpenRequest,
        status: &Arc<StreamStatus>,
        client_slot: &Arc<ClientSlot>,
    ) -> Result<(GrantedConfig, Self), DeviceError> {
        let (device, request) = (request.device.clone(), request.clone());
        let (status, client_slot) = (status.clone(), client_slot.clone());
        let opened = run_with_timeout(TIMEOUT, move || Self::open_blocking(&request, &status, client_slot));
        opened.unwrap_or_else(|| Err(DeviceError::failed(&device, format_args!("JACK: {STANDS_STILL}"))))
    }

    /// Does the work of [`Self::open`]; blocks if the server has stopped responding.
    fn open_blocking(
        request: &OpenRequest,
        status: &Arc<StreamStatus>,
        client_slot: Arc<ClientSlot>,
    ) -> Result<(GrantedConfig, Self), DeviceError> {
        let device = request.device.as_str();
        let failed = |what: jack::Error| DeviceError::failed(device, what);
        let server = connect().map_err(|what| DeviceError::failed(device, what))?;
        let mut sources = ports(&server, device, PortFlags::IS_OUTPUT);
        if sources.is_empty() {
            let expected = devices(&server).join(", ");
            return Err(DeviceError::Unknown { host: Host::Jack, device: device.into(), expected });
        }
        // Not every output of the device needs to be connected.
        let max_sources = request.channels.map_or(MAX_CHANNELS, |n| n.min(MAX_CHANNELS));
        sources.truncate(max_sources);
        let output_device = request.output_device.as_deref().unwrap_or(SYSTEM);
        let output_ports = ports(&server, output_device, PortFlags::IS_INPUT);
        let mut sinks = Vec::new();
        for output in &request.outputs {
            let request_text = || format!("output channel {}", output + 1);
            let port = output_ports.get(*output);
            sinks.push(port.ok_or_else(|| DeviceError::difference(output_device, request_text(), output_ports.len()))?.clone());
        }
        let connections = Arc::<ConnectionStatus>::default();
        let callback =
            ProcessCallback::new(&server, status, client_slot, &connections, sources.len(), sinks.len()).map_err(failed)?;
        let name = |port: Result<String, jack::Error>| port.unwrap_or_default();
        let inputs: Vec<String> = callback.inputs.iter().map(|input| name(input.port.name())).collect();
        let outputs: Vec<String> = callback.outputs.iter().map(|port| name(port.name())).collect();
        let notification = NotificationCallback { status: status.clone() };
        let active = server.activate_async(notification, callback).map_err(failed)?;
        // In a cycle without connections, each input port shows the address of its own silence. A server that does not call
        // unconnected clients shows none.
        wait_until(FIRST_CYCLE_TIMEOUT, || connections.cycles.load(Ordering::Acquire) > 0);
        connections.connecting_has_begun.store(true, Ordering::Release);
        let server = active.as_client();
        for (from, to) in sources.iter().zip(&inputs).chain(outputs.iter().zip(&sinks)) {
            server.connect_ports_by_name(from, to).map_err(failed)?;
        }
        let mut granted = granted(server, device, sources.len(), sinks.len());
        if let Some(frames) = request.period_frames.filter(|frames| *frames != granted.period_frames) {
            // An error is ignored: the period that then runs is compared with the request.
            drop(u32::try_from(frames).map(|frames| server.set_buffer_size(frames)));
        }
        let period = || connections.period_frames.load(Ordering::Acquire) as usize;
        let all_carry = || connections.carrying_cycles.load(Ordering::Acquire) >= SETTLED_CYCLES;
        let has_period = || request.period_frames.is_none_or(|frames| frames == period());
        let settled = wait_until(SETTLE_TIMEOUT, || all_carry() && has_period());
        if !settled && !all_carry() {
            let no_cycle = connections.cycles.load(Ordering::Acquire) == 0;
            let what = if no_cycle { STANDS_STILL.into() } else { connections.silent_channels_text(sources.len()) };
            return Err(DeviceError::failed(device, format_args!("JACK: {what}")));
        }
        (granted.period_frames, granted.buffer_frames) = (period(), period());
        granted.sample_rate = server.sample_rate();
        connections.sample_rate.store(granted.sample_rate, Ordering::Release);
        Ok((granted, Self { active: Some(active), status: status.clone() }))
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        if let Some(active) = self.active.take() {
            // All outputs become silent together before their connections go, one after the other.
            self.status.stop.store(true, Ordering::Release);
            let blocks = || self.status.blocks.load(Ordering::Acquire);
            let before = blocks();
            wait_until(LAST_CYCLES_TIMEOUT, || blocks() >= before + 2);
            // Fails if the server is gone; the client is closed in any case. If the server has stopped responding, the wait ends
            // after a while.
            let _ = run_with_timeout(STOP_TIMEOUT, move || drop(active.deactivate()));
        }
    }
}

/// Waits until `condition` is true, at most for `timeout`. Returns whether it is true.
fn wait_until(timeout: Duration, condition: impl Fn() -> bool) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < timeout {
        if condition() {
            return true;
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    condition()
}

/// State of the connections of our ports, written by the device thread.
#[derive(Default)]
struct ConnectionStatus {
    /// True from the moment before the first port is connected; set by the control thread.
    connecting_has_begun: AtomicBool,
    /// Number of cycles so far.
    cycles: AtomicU64,
    /// Number of the latest cycles in a row that had one period and in which every input carried sound.
    carrying_cycles: AtomicU32,
    /// Frames of the last cycle.
    period_frames: AtomicU32,
    /// A bit for each input that carried no sound in the last cycle.
    silent_inputs: [AtomicU64; MAX_CHANNELS.div_ceil(64)],
    /// Sample rate in hertz of the stream; 0 before the control thread knows it.
    sample_rate: AtomicU32,
}

impl ConnectionStatus {
    /// Returns the error text for connections that carry no sound.
    fn silent_channels_text(&self, channels: usize) -> String {
        let is_silent = |channel: &usize| self.silent_inputs[channel / 64].load(Ordering::Acquire) >> (channel % 64) & 1 == 1;
        let silent: Vec<String> = (0..channels).filter(is_silent).map(|channel| (channel + 1).to_string()).collect();
        format!("no sound comes through the cables of channels {}", silent.join(", "))
    }
}

/// The callbacks that the server calls outside of the device thread.
struct NotificationCallback {
    status: Arc<StreamStatus>,
}

impl NotificationHandler for NotificationCallback {
    // SAFETY: the library may call this from a signal handler; it only stores into an atomic.
    unsafe fn shutdown(&mut self, _: ClientStatus, _: &str) {
        self.status.ended.store(true, Ordering::Release);
    }

    fn xrun(&mut self, _: &jack::Client) -> Control {
        self.status.overruns.fetch_add(1, Ordering::Relaxed);
        Control::Continue
    }

    fn ports_connected(&mut self, client: &jack::Client, _: PortId, input: PortId, connected: bool) {
        if connected {
            return;
        }
        let name = client.port_by_id(input).and_then(|port| port.name().ok()).unwrap_or_default();
        if name.strip_prefix(client.name()).is_some_and(|port| port.starts_with(":in_")) {
            self.status.end("a cable from it was pulled");
        }
    }
}

/// An input port of our client.
struct InputPort {
    port: Port<AudioIn>,
    /// Address of the port's own buffer of silence, which it shows while no connection carries sound. Only compared, never read.
    silence_address: usize,
    /// Copy of the port's samples.
    block: Vec<f32>,
}

/// The callback that the server calls in every cycle. [device thread]
struct ProcessCallback {
    client_slot: Arc<ClientSlot>,
    connections: Arc<ConnectionStatus>,
    inputs: Vec<InputPort>,
    outputs: Vec<Port<AudioOut>>,
    status: Arc<StreamStatus>,
    clock: FrameClock,
    /// Lost frames that the client has not been told of yet.
    unreported_lost: u64,
    /// Frames of the last block if it was late and not passed on. The server may call again for the same cycle.
    withheld_frames: Option<usize>,
}

/// Finds out how many frames are missing before a block, from the server's frame times, its clock and its overruns.
struct FrameClock {
    /// Duration of a frame in microseconds.
    frame_us: f64,
    /// Frame time of the server at which the next block should begin.
    next: Option<u32>,
    /// Time in microseconds at which the last block was processed, and its number of frames.
    last: (u64, usize),
    /// Frames since the start, including missing ones.
    frames: u64,
    /// Shortest time between the beginning of a block and its processing, raised by the largest drift of the clocks with each
    /// block; in microseconds. Its zero is arbitrary.
    delay_us: f64,
    /// Number of overruns that are accounted for.
    overruns: u64,
}

/// Relation of a call of the server to the calls before it.
#[derive(Debug, PartialEq, Eq)]
enum CycleCall {
    /// The call is for the next block, before which the server itself lost this many frames.
    Next(u64),
    /// The server did not call us in time for this many frames. The ports may already be partly overwritten by the next cycle.
    Late(u64),
    /// The call is for the same cycle as the last one.
    Again,
}

impl FrameClock {
    fn new(sample_rate: f64) -> Self {
        Self { frame_us: 1e6 / sample_rate, next: None, last: (0, 0), frames: 0, delay_us: f64::MAX, overruns: 0 }
    }

    /// Classifies a call for `n` frames that begin at the server's frame time `at` and are processed at `now`, in microseconds of
    /// the server's clock. `overruns` is the number of overruns so far. Blocks may be of any length.
    fn classify(&mut self, at: u32, now: u64, n: usize, overruns: u64) -> CycleCall {
        let mut ahead = self.next.map_or(0, |next| i64::from(at.wrapping_sub(next).cast_signed()));
        let (then, last_n) = self.last;
        // Frames that have passed since the end of the last block, by the machine's clock.
        let passed = now.saturating_sub(then) as f64 / self.frame_us - last_n as f64;
        if self.next.is_some() && (ahead as f64 - passed).abs() > LARGEST_CLOCK_DIFFERENCE * 1e6 / self.frame_us {
            // The frame times have jumped, so the machine's clock alone tells how many frames are missing.
            let is_missing = passed > n.max(last_n) as f64 / 2.0;
            ahead = if is_missing { i64::try_from(whole_frames(passed)).unwrap_or(i64::MAX) } else { 0 };
        } else if ahead < 0 && ahead.unsigned_abs() <= last_n as u64 {
            return CycleCall::Again;
        }
        self.next = Some(at.wrapping_add(u32::try_from(n).unwrap_or(u32::MAX)));
        self.last = (now, n);
        let missed = u64::try_from(ahead).unwrap_or(0);
        self.frames += missed;
        let delay_us = now as f64 - self.frames as f64 * self.frame_us;
        self.frames += n as u64;
        if overruns == self.overruns {
            self.delay_us = delay_us.min(self.delay_us + LARGEST_DRIFT * n as f64 * self.frame_us);
        } else {
            self.overruns = overruns;
            // Frame times do not count the frames that the server itself lost. They show as a delay of all that follows.
            let late = ((delay_us - self.delay_us) / self.frame_us).round();
            if missed == 0 && late > n as f64 / 2.0 {
                let late = whole_frames(late);
                self.frames += late;
                return CycleCall::Next(late);
            }
        }
        // A server skips a cycle on purpose when it changes its period. Then this block is complete.
        if missed > 0 && n == last_n { CycleCall::Late(missed) } else { CycleCall::Next(missed) }
    }
}

impl ProcessCallback {
    fn new(
        server: &jack::Client,
        status: &Arc<StreamStatus>,
        client_slot: Arc<ClientSlot>,
        connections: &Arc<ConnectionStatus>,
        inputs: usize,
        outputs: usize,
    ) -> Result<Self, jack::Error> {
        let input = |i: usize| {
            let port = server.register_port(&format!("in_{}", i + 1), AudioIn::default())?;
            Ok(InputPort { port, silence_address: 0, block: vec![0.0; LARGEST_PERIOD] })
        };
        let output = |i: usize| server.register_port(&format!("out_{}", i + 1), AudioOut::default());
        Ok(Self {
            client_slot,
            connections: connections.clone(),
            inputs: (0..inputs).map(input).collect::<Result<_, jack::Error>>()?,
            outputs: (0..outputs).map(output).collect::<Result<_, _>>()?,
            status: status.clone(),
            unreported_lost: 0,
            withheld_frames: None,
            clock: FrameClock::new(f64::from(server.sample_rate())),
        })
    }

    /// Checks whether every connection carries sound. The port of a connection that does not shows its own buffer of silence.
    fn check_connections(&mut self, scope: &ProcessScope) {
        let connections = &*self.connections;
        let connecting_has_begun = connections.connecting_has_begun.load(Ordering::Acquire);
        let mut silent = [0u64; MAX_CHANNELS.div_ceil(64)];
        for (channel, input) in self.inputs.iter_mut().enumerate() {
            let address = input.port.as_slice(scope).as_ptr() as usize;
            if !connecting_has_begun {
                input.silence_address = address;
            } else if input.silence_address == address {
                silent[channel / 64] |= 1 << (channel % 64);
            }
        }
        let n = scope.n_frames();
        let same_period = connections.period_frames.swap(n, Ordering::Release) == n;
        connections.silent_inputs.iter().zip(silent).for_each(|(word, bits)| word.store(bits, Ordering::Release));
        let all_carry = connecting_has_begun && same_period && silent.iter().all(|word| *word == 0);
        let before = connections.carrying_cycles.load(Ordering::Relaxed);
        connections.carrying_cycles.store(if all_carry { before.saturating_add(1) } else { 0 }, Ordering::Release);
        connections.cycles.fetch_add(1, Ordering::Release);
    }
}

impl ProcessHandler for ProcessCallback {
    fn process(&mut self, server: &jack::Client, scope: &ProcessScope) -> Control {
        let n = scope.n_frames() as usize;
        let mut output: ArrayVec<&mut [f32], MAX_CHANNELS> =
            self.outputs.iter_mut().map(|port| port.as_mut_slice(scope)).collect();
        output.iter_mut().for_each(|channel| channel.fill(0.0));
        drop(output);
        self.status.count_block(n);
        if self.status.stop.load(Ordering::Acquire) || self.status.ended.load(Ordering::Acquire) {
            // The ports may already be disconnected.
            return Control::Continue;
        }
        let (opened_rate, rate) = (self.connections.sample_rate.load(Ordering::Acquire), server.sample_rate());
        if opened_rate != 0 && rate != opened_rate {
            self.status.end_by_rate_change(rate);
            return Control::Continue;
        }
        if !self.client_slot.is_occupied() {
            self.check_connections(scope);
            return Control::Continue;
        }
        let overruns = self.status.overruns.load(Ordering::Relaxed);
        let at = scope.last_frame_time();
        let withheld = self.withheld_frames.map_or(0, |frames| frames as u64);
        match self.clock.classify(at, server.time(), n, overruns) {
            CycleCall::Again if self.withheld_frames.is_none() => return Control::Continue,
            CycleCall::Again => {}
            CycleCall::Next(lost) => self.unreported_lost += lost + withheld,
            CycleCall::Late(lost) => {
                self.unreported_lost += lost + withheld;
                self.withheld_frames = Some(n);
                return Control::Continue;
            }
        }
        self.withheld_frames = None;
        // One block for all usual periods, several for one that is longer than LARGEST_PERIOD.
        let mut from = 0;
        while from < n {
            let m = (n - from).min(LARGEST_PERIOD);
            for input in &mut self.inputs {
                input.block[..m].copy_from_slice(&input.port.as_slice(scope)[from..from + m]);
            }
            if scope.last_frame_time() != at {
                // The next cycle has begun meanwhile, so other clients may have overwritten the ports.
                self.unreported_lost += (n - from) as u64;
                return Control::Continue;
            }
            let input: ArrayVec<&[f32], MAX_CHANNELS> = self.inputs.iter().map(|input| &input.block[..m]).collect();
            let mut output: ArrayVec<&mut [f32], MAX_CHANNELS> =
                self.outputs.iter_mut().map(|port| &mut port.as_mut_slice(scope)[from..from + m]).collect();
            self.status.call_client(
                &self.client_slot,
                std::mem::take(&mut self.unreported_lost),
                InputBlock::Floats(&input),
                &mut output,
            );
            from += m;
        }
        Control::Continue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_sorted_by_number_and_keep_their_order_without_one() {
        let ordered = |ports: &[&str]| sorted_by_number(ports.iter().map(|port| format!("card:{port}")).collect());
        let named = |ports: &[&str]| ports.iter().map(|port| format!("card:{port}")).collect::<Vec<_>>();
        assert_eq!(ordered(&["out_6", "out_10", "out_1", "out_2"]), named(&["out_1", "out_2", "out_6", "out_10"]));
        assert_eq!(ordered(&["capture_AUX1", "capture_AUX0"]), named(&["capture_AUX0", "capture_AUX1"]));
        assert_eq!(ordered(&["FL", "FR", "FC", "LFE"]), named(&["FL", "FR", "FC", "LFE"]));
        assert_eq!(ordered(&["b_2", "a_9", "b_1", "mix"]), named(&["b_1", "b_2", "a_9", "mix"]));
    }

    /// Classifies calls at 48 kHz, each given by the server's frame time, the machine's time in frames, and the number of frames.
    fn classify_all(blocks: &[(u32, f64, usize)]) -> Vec<CycleCall> {
        let mut clock = FrameClock::new(48_000.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive number, rounded down")]
        let microseconds = |frames: f64| (1e9 + frames / 0.048) as u64;
        blocks.iter().map(|(at, now, n)| clock.classify(*at, microseconds(*now), *n, 0)).collect()
    }

    #[test]
    fn a_change_of_the_period_loses_no_frame() {
        let blocks = [(1000, 0.0, 1024), (2024, 1024.0, 256), (2280, 1280.0, 256), (2536, 1536.0, 8192), (10_728, 9728.0, 64)];
        assert!(classify_all(&blocks).iter().all(|call| *call == CycleCall::Next(0)), "{:?}", classify_all(&blocks));
    }

    #[test]
    fn a_cycle_skipped_at_a_change_of_the_period_loses_exactly_its_frames() {
        let blocks = [(0, 0.0, 256), (256, 256.0, 256), (1536, 1536.0, 1024), (2560, 2560.0, 1024)];
        assert_eq!(classify_all(&blocks), [CycleCall::Next(0), CycleCall::Next(0), CycleCall::Next(1024), CycleCall::Next(0)]);
    }

    #[test]
    fn missed_cycles_are_counted_and_a_repeated_call_is_not() {
        let blocks = [(0, 0.0, 256), (256, 256.0, 256), (256, 300.0, 256), (1024, 1024.0, 256)];
        assert_eq!(classify_all(&blocks), [CycleCall::Next(0), CycleCall::Next(0), CycleCall::Again, CycleCall::Late(512)]);
    }

    #[test]
    fn after_a_jump_of_the_frame_times_lost_frames_are_counted_by_the_machines_clock() {
        // Another device becomes the server's clock, and its frame numbers are higher or lower.
        for at in [900_000_000u32, 17] {
            let blocks = [(500_000, 0.0, 256), (500_256, 256.0, 256), (at, 512.0, 256), (at + 256, 768.0, 256)];
            assert_eq!(
                classify_all(&blocks),
                [CycleCall::Next(0), CycleCall::Next(0), CycleCall::Next(0), CycleCall::Next(0)],
                "{at}"
            );
            let blocks = [(500_000, 0.0, 256), (500_256, 256.0, 256), (at, 5512.0, 256), (at + 256, 5768.0, 256)];
            assert_eq!(classify_all(&blocks)[2..], [CycleCall::Late(5000), CycleCall::Next(0)], "{at}");
        }
    }
}
