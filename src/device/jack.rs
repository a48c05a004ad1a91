//! JACK: a client of a server, connected to the outputs of another client.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arrayvec::ArrayVec;
use jack::{
    AsyncClient, AudioIn, AudioOut, ClientOptions, ClientStatus, Control, LoggerType, NotificationHandler, Port, PortFlags,
    PortId, ProcessHandler, ProcessScope,
};

use super::chair::Chair;
use super::{DeviceError, Granted, Host, Input, Listed, MAX_CHANNELS, STOP_PATIENCE, SampleFormat, Status, Wish, within};

/// Our name at the server; it adds a number if there is another of us.
const NAME: &str = "isotherm";
/// The sound card behind a server.
const SYSTEM: &str = "system";
/// The words for a server that calls nobody and answers nobody.
const STANDS_STILL: &str = "the server stands still";
/// Sound cards' clocks differ from the machine's by less than this.
const LARGEST_DRIFT: f64 = 0.0005;

/// A server that does not answer within this time stands still.
const PATIENCE: Duration = Duration::from_secs(5);
/// A server is asked so often whether it takes us, with such pauses, before it counts as not running.
const CONNECT_TRIES: u32 = 3;
const CONNECT_PAUSE: Duration = Duration::from_millis(100);
/// Cables carry, and a period that is asked for runs, within this time after they are in.
const SETTLING: Duration = Duration::from_secs(3);
/// The first cycle comes within this time, even before there are cables.
const FIRST_CYCLE: Duration = Duration::from_millis(500);
/// The server calls us twice more within this time before we end, unless it stands still.
const LAST_CYCLES: Duration = Duration::from_millis(50);
/// So many cycles in a row must carry before a capture begins.
const WHOLE_CYCLES: u32 = 2;
/// Servers are looked at this often while they settle.
const LOOK: Duration = Duration::from_millis(2);
/// Frames of the largest period that servers have; a longer one comes in parts.
const LARGEST_PERIOD: usize = 8192;
/// A block may begin so many seconds earlier or later, by the machine's clock, than the server's frame times say; beyond that they have
/// jumped, as they do when another device becomes the server's clock.
const LARGEST_JITTER: f64 = 1.0;

/// A client of ours that runs, with its cables in. Dropped, it ends.
pub(super) struct Device {
    active: Option<AsyncClient<Notice, Seat>>,
    status: Arc<Status>,
}

/// A client without ports. [control thread]
fn connect() -> Result<jack::Client, String> {
    let none = |what: &str| {
        let server = std::env::var("JACK_DEFAULT_SERVER").unwrap_or_else(|_| "default".into());
        format!("JACK: {what} (server '{server}')")
    };
    for attempt in 1.. {
        match jack::Client::new(NAME, ClientOptions::NO_START_SERVER) {
            Ok((client, _)) => {
                // What it has to say is in its results.
                jack::set_logger(LoggerType::None);
                return Ok(client);
            }
            Err(jack::Error::LibraryError(_)) => return Err(none("its library libjack.so.0 is not there")),
            // A server that has much to do refuses a client now and then.
            Err(_) if attempt < CONNECT_TRIES => std::thread::sleep(CONNECT_PAUSE),
            Err(_) => break,
        }
    }
    Err(none("no server is running"))
}

/// Ports of one client, in the order of their numbers; `flags` tells which.
fn ports(client: &jack::Client, of: &str, flags: PortFlags) -> Vec<String> {
    let all = client.ports(None, Some(jack::jack_sys::FLOAT_MONO_AUDIO), flags);
    let own = all.into_iter().filter(|port| port.rsplit_once(':').is_some_and(|(owner, _)| owner == of));
    in_order(own.collect())
}

/// Ports that differ only in the number at their end by that number, and else as they come: a server gives the places of ports that
/// are gone to new ones, so its own order is not always theirs.
fn in_order(mut ports: Vec<String>) -> Vec<String> {
    let split = |port: &str| {
        let stem = port.trim_end_matches(|c: char| c.is_ascii_digit());
        (stem.to_owned(), port[stem.len()..].parse().unwrap_or(0u64))
    };
    let stems: Vec<String> = ports.iter().map(|port| split(port).0).collect();
    let first = |stem: &String| stems.iter().position(|other| other == stem);
    ports.sort_by_cached_key(|port| {
        let (stem, number) = split(port);
        (first(&stem), number)
    });
    ports
}

/// Clients with outputs, other than our own.
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

fn granted(client: &jack::Client, device: &str, channels: usize, outputs: usize) -> Granted {
    let period_frames = client.buffer_size() as usize;
    Granted {
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

/// Clients that can be recorded; none of a server that stands still.
pub(super) fn names() -> Vec<String> {
    within(PATIENCE, || connect().map_or_else(|_| Vec::new(), |client| devices(&client))).unwrap_or_default()
}

/// Clients that can be recorded, with their channels and ports; none of a server that stands still.
pub(super) fn list() -> Vec<Listed> {
    within(PATIENCE, list_here).unwrap_or_default()
}

fn list_here() -> Vec<Listed> {
    let Ok(client) = connect() else { return Vec::new() };
    let listed = |device: String| {
        let channels = ports(&client, &device, PortFlags::IS_OUTPUT).len();
        Listed {
            host: Host::Jack,
            description: if device == SYSTEM { "the server's sound card".into() } else { "a client of the server".into() },
            grants: Ok(vec![granted(&client, &device, channels, 0)]),
            outputs: ports(&client, &device, PortFlags::IS_INPUT).len(),
            device,
        }
    };
    devices(&client).into_iter().map(listed).collect()
}

impl Device {
    /// Opens it, with its cables in, and waits until all of them carry: what the server says of its period before that need not be what
    /// then runs.
    pub fn open(wish: &Wish, status: &Arc<Status>, chair: &Arc<Chair>) -> Result<(Granted, Self), DeviceError> {
        let (asked, status, chair) = (wish.clone(), status.clone(), chair.clone());
        let opened = within(PATIENCE, move || Self::open_here(&asked, &status, chair));
        opened.unwrap_or_else(|| Err(DeviceError::failed(&wish.device, format_args!("JACK: {STANDS_STILL}"))))
    }

    fn open_here(wish: &Wish, status: &Arc<Status>, chair: Arc<Chair>) -> Result<(Granted, Self), DeviceError> {
        let device = wish.device.as_str();
        let failed = |what: jack::Error| DeviceError::failed(device, what);
        let server = connect().map_err(|what| DeviceError::failed(device, what))?;
        let mut sources = ports(&server, device, PortFlags::IS_OUTPUT);
        if sources.is_empty() {
            let expected = devices(&server).join(", ");
            return Err(DeviceError::Unknown { host: Host::Jack, device: device.into(), expected });
        }
        // Of a client's ports any may be left alone.
        let most = wish.channels.map_or(MAX_CHANNELS, |n| n.min(MAX_CHANNELS));
        sources.truncate(most);
        let player = wish.output_device.as_deref().unwrap_or(SYSTEM);
        let playing = ports(&server, player, PortFlags::IS_INPUT);
        let mut sinks = Vec::new();
        for output in &wish.outputs {
            let asked = || format!("output channel {}", output + 1);
            let port = playing.get(*output);
            sinks.push(port.ok_or_else(|| DeviceError::difference(player, asked(), playing.len()))?.clone());
        }
        let links = Arc::<Links>::default();
        let seat = Seat::new(&server, status, chair, &links, sources.len(), sinks.len()).map_err(failed)?;
        let name = |port: Result<String, jack::Error>| port.unwrap_or_default();
        let inputs: Vec<String> = seat.inputs.iter().map(|input| name(input.port.name())).collect();
        let outputs: Vec<String> = seat.outputs.iter().map(|port| name(port.name())).collect();
        let notice = Notice { status: status.clone() };
        let active = server.activate_async(notice, seat).map_err(failed)?;
        // Each port shows in a cycle without cable where its own silence is; a server that calls nobody without cables shows nothing.
        wait(FIRST_CYCLE, || links.cycles.load(Ordering::Acquire) > 0);
        links.plugged.store(true, Ordering::Release);
        let server = active.as_client();
        for (from, to) in sources.iter().zip(&inputs).chain(outputs.iter().zip(&sinks)) {
            server.connect_ports_by_name(from, to).map_err(failed)?;
        }
        let mut granted = granted(server, device, sources.len(), sinks.len());
        if let Some(frames) = wish.period_frames.filter(|frames| *frames != granted.period_frames) {
            // A server that cannot is told apart by what runs.
            drop(u32::try_from(frames).map(|frames| server.set_buffer_size(frames)));
        }
        let period = || links.period_frames.load(Ordering::Acquire) as usize;
        let settled = wait(SETTLING, || {
            links.whole.load(Ordering::Acquire) >= WHOLE_CYCLES && wish.period_frames.is_none_or(|frames| frames == period())
        });
        if !settled && links.whole.load(Ordering::Acquire) < WHOLE_CYCLES {
            let what = if links.cycles.load(Ordering::Acquire) == 0 { STANDS_STILL.into() } else { links.dead(sources.len()) };
            return Err(DeviceError::failed(device, format_args!("JACK: {what}")));
        }
        (granted.period_frames, granted.buffer_frames) = (period(), period());
        granted.sample_rate = server.sample_rate();
        links.sample_rate.store(granted.sample_rate, Ordering::Release);
        Ok((granted, Self { active: Some(active), status: status.clone() }))
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        if let Some(active) = self.active.take() {
            // Silence on all outputs comes before cables are pulled, one after the other.
            self.status.stop.store(true, Ordering::Release);
            let calls = || self.status.calls.load(Ordering::Acquire);
            let before = calls();
            wait(LAST_CYCLES, || calls() >= before + 2);
            // It fails if the server is gone; ours is closed in any case. A server that stands still is not waited for.
            let _ = within(STOP_PATIENCE, move || drop(active.deactivate()));
        }
    }
}

/// Waits until something is true, for a time at the most. Returns whether it is.
fn wait(patience: Duration, is: impl Fn() -> bool) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < patience {
        if is() {
            return true;
        }
        std::thread::sleep(LOOK);
    }
    is()
}

/// The state of the cables, told by the audio thread.
#[derive(Default)]
struct Links {
    /// Cables are being put in, or are.
    plugged: AtomicBool,
    cycles: AtomicU64,
    /// Cycles in a row, up to the last one, in which every input carried, by one period.
    whole: AtomicU32,
    period_frames: AtomicU32,
    /// Inputs that did not carry in the last cycle, a bit each.
    dead: [AtomicU64; MAX_CHANNELS.div_ceil(64)],
    /// The rate that is recorded; 0 before that is known.
    sample_rate: AtomicU32,
}

impl Links {
    /// The words for cables that do not carry.
    fn dead(&self, channels: usize) -> String {
        let is_dead = |channel: &usize| self.dead[channel / 64].load(Ordering::Acquire) >> (channel % 64) & 1 == 1;
        let dead: Vec<String> = (0..channels).filter(is_dead).map(|channel| (channel + 1).to_string()).collect();
        format!("no sound comes through the cables of channels {}", dead.join(", "))
    }
}

/// What is told beside the audio thread.
struct Notice {
    status: Arc<Status>,
}

impl NotificationHandler for Notice {
    // SAFETY: as asked of a signal handler, it does nothing but store into an atomic.
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

/// A port that records.
struct InputPort {
    port: Port<AudioIn>,
    /// Address of its own silence, which it shows while no cable carries: for comparison only.
    own: usize,
    /// A copy of what is in the port.
    block: Vec<f32>,
}

/// What the server calls. [audio thread]
struct Seat {
    chair: Arc<Chair>,
    links: Arc<Links>,
    inputs: Vec<InputPort>,
    outputs: Vec<Port<AudioOut>>,
    status: Arc<Status>,
    clock: Clock,
    /// Frames that are lost and not told yet.
    owed: u64,
    /// The last block was not taken: it may come again, and has so many frames.
    doubtful: Option<usize>,
}

/// Finds out how many frames are missing.
struct Clock {
    /// Microseconds of a frame.
    frame: f64,
    /// The server's frame time at which the next block begins.
    next: Option<u32>,
    /// When the last block was processed, and its frames.
    last: (u64, usize),
    /// Frames since the start, and the shortest delay of a block behind its beginning, in microseconds of the server's clock.
    frames: u64,
    delay: f64,
    /// Overruns that are dealt with.
    overruns: u64,
}

/// What a call is.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    /// The next block; the server itself has lost so many frames before it.
    Next(u64),
    /// We were not called in time for so many frames. What there is now may be half of another cycle.
    Late(u64),
    /// Once more for the cycle of the last call.
    Again,
}

impl Clock {
    fn new(sample_rate: f64) -> Self {
        Self { frame: 1e6 / sample_rate, next: None, last: (0, 0), frames: 0, delay: f64::MAX, overruns: 0 }
    }

    /// A block of `n` frames that begins at the frame time `at` and is processed at `now`. Blocks may be of any length.
    fn tick(&mut self, at: u32, now: u64, n: usize, overruns: u64) -> Turn {
        let mut ahead = self.next.map_or(0, |next| i64::from(at.wrapping_sub(next).cast_signed()));
        let (then, before) = self.last;
        let passed = now.saturating_sub(then) as f64 / self.frame - before as f64;
        if self.next.is_some() && (ahead as f64 - passed).abs() > LARGEST_JITTER * 1e6 / self.frame {
            // The frame times have jumped: what is missing is told by the machine's clock alone.
            ahead = if passed > n.max(before) as f64 / 2.0 { passed.round() as i64 } else { 0 };
        } else if (-(before as i64)..0).contains(&ahead) {
            return Turn::Again;
        }
        self.next = Some(at.wrapping_add(n as u32));
        self.last = (now, n);
        let missed = u64::try_from(ahead).unwrap_or(0);
        self.frames += missed;
        let delay = now as f64 - self.frames as f64 * self.frame;
        self.frames += n as u64;
        if overruns == self.overruns {
            self.delay = delay.min(self.delay + LARGEST_DRIFT * n as f64 * self.frame);
        } else {
            self.overruns = overruns;
            // Frames that the server itself lost are not counted by it: they make all that follows late.
            let late = ((delay - self.delay) / self.frame).round();
            if missed == 0 && late > n as f64 / 2.0 {
                self.frames += late as u64;
                return Turn::Next(late as u64);
            }
        }
        // A server whose period changed has skipped a cycle on purpose, and this one is whole.
        if missed > 0 && n == before { Turn::Late(missed) } else { Turn::Next(missed) }
    }
}

impl Seat {
    fn new(
        server: &jack::Client,
        status: &Arc<Status>,
        chair: Arc<Chair>,
        links: &Arc<Links>,
        inputs: usize,
        outputs: usize,
    ) -> Result<Self, jack::Error> {
        let input = |i: usize| {
            let port = server.register_port(&format!("in_{}", i + 1), AudioIn::default())?;
            Ok(InputPort { port, own: 0, block: vec![0.0; LARGEST_PERIOD] })
        };
        let output = |i: usize| server.register_port(&format!("out_{}", i + 1), AudioOut::default());
        Ok(Self {
            chair,
            links: links.clone(),
            inputs: (0..inputs).map(input).collect::<Result<_, jack::Error>>()?,
            outputs: (0..outputs).map(output).collect::<Result<_, _>>()?,
            status: status.clone(),
            owed: 0,
            doubtful: None,
            clock: Clock::new(f64::from(server.sample_rate())),
        })
    }

    /// Looks whether every cable carries: a port whose cable does not shows its own silence.
    fn look(&mut self, scope: &ProcessScope) {
        let links = &*self.links;
        let plugged = links.plugged.load(Ordering::Acquire);
        let mut dead = [0u64; MAX_CHANNELS.div_ceil(64)];
        for (channel, input) in self.inputs.iter_mut().enumerate() {
            let shown = input.port.as_slice(scope).as_ptr() as usize;
            if !plugged {
                input.own = shown;
            } else if input.own == shown {
                dead[channel / 64] |= 1 << (channel % 64);
            }
        }
        let n = scope.n_frames();
        let steady = links.period_frames.swap(n, Ordering::Release) == n;
        links.dead.iter().zip(dead).for_each(|(word, dead)| word.store(dead, Ordering::Release));
        let whole = plugged && steady && dead.iter().all(|word| *word == 0);
        let before = links.whole.load(Ordering::Relaxed);
        links.whole.store(if whole { before.saturating_add(1) } else { 0 }, Ordering::Release);
        links.cycles.fetch_add(1, Ordering::Release);
    }
}

impl ProcessHandler for Seat {
    fn process(&mut self, server: &jack::Client, scope: &ProcessScope) -> Control {
        let n = scope.n_frames() as usize;
        let mut output: ArrayVec<&mut [f32], MAX_CHANNELS> =
            self.outputs.iter_mut().map(|port| port.as_mut_slice(scope)).collect();
        output.iter_mut().for_each(|channel| channel.fill(0.0));
        drop(output);
        self.status.called(n);
        if self.status.stop.load(Ordering::Acquire) || self.status.ended.load(Ordering::Acquire) {
            // Its cables may be out already.
            return Control::Continue;
        }
        let (rate, now) = (self.links.sample_rate.load(Ordering::Acquire), server.sample_rate());
        if rate != 0 && now != rate {
            self.status.change(now);
            return Control::Continue;
        }
        if !self.chair.is_taken() {
            self.look(scope);
            return Control::Continue;
        }
        let overruns = self.status.overruns.load(Ordering::Relaxed);
        let at = scope.last_frame_time();
        let doubtful = self.doubtful.map_or(0, |frames| frames as u64);
        match self.clock.tick(at, server.time(), n, overruns) {
            Turn::Again if self.doubtful.is_none() => return Control::Continue,
            Turn::Again => {}
            Turn::Next(lost) => self.owed += lost + doubtful,
            Turn::Late(lost) => {
                self.owed += lost + doubtful;
                self.doubtful = Some(n);
                return Control::Continue;
            }
        }
        self.doubtful = None;
        // In one go for all periods that there are; a longer one is taken in parts.
        let mut from = 0;
        while from < n {
            let m = (n - from).min(LARGEST_PERIOD);
            for input in &mut self.inputs {
                input.block[..m].copy_from_slice(&input.port.as_slice(scope)[from..from + m]);
            }
            if scope.last_frame_time() != at {
                // The next cycle began meanwhile, so others may have written into the ports.
                self.owed += (n - from) as u64;
                return Control::Continue;
            }
            let input: ArrayVec<&[f32], MAX_CHANNELS> = self.inputs.iter().map(|input| &input.block[..m]).collect();
            let mut output: ArrayVec<&mut [f32], MAX_CHANNELS> =
                self.outputs.iter_mut().map(|port| &mut port.as_mut_slice(scope)[from..from + m]).collect();
            self.status.run(&self.chair, std::mem::take(&mut self.owed), Input::Floats(&input), &mut output);
            from += m;
        }
        Control::Continue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_come_by_their_numbers_and_names_without_numbers_as_they_are() {
        let ordered = |ports: &[&str]| in_order(ports.iter().map(|port| format!("card:{port}")).collect());
        let named = |ports: &[&str]| ports.iter().map(|port| format!("card:{port}")).collect::<Vec<_>>();
        assert_eq!(ordered(&["out_6", "out_10", "out_1", "out_2"]), named(&["out_1", "out_2", "out_6", "out_10"]));
        assert_eq!(ordered(&["capture_AUX1", "capture_AUX0"]), named(&["capture_AUX0", "capture_AUX1"]));
        assert_eq!(ordered(&["FL", "FR", "FC", "LFE"]), named(&["FL", "FR", "FC", "LFE"]));
        assert_eq!(ordered(&["b_2", "a_9", "b_1", "mix"]), named(&["b_1", "b_2", "a_9", "mix"]));
    }

    /// Every turn of a clock at 48 kHz whose blocks begin at these frame times and are processed at these frames of the machine's time.
    fn turns(blocks: &[(u32, f64, usize)]) -> Vec<Turn> {
        let mut clock = Clock::new(48_000.0);
        let microseconds = |frames: f64| (1e9 + frames / 0.048) as u64;
        blocks.iter().map(|(at, now, n)| clock.tick(*at, microseconds(*now), *n, 0)).collect()
    }

    #[test]
    fn a_period_that_changes_loses_nothing() {
        let blocks = [(1000, 0.0, 1024), (2024, 1024.0, 256), (2280, 1280.0, 256), (2536, 1536.0, 8192), (10_728, 9728.0, 64)];
        assert!(turns(&blocks).iter().all(|turn| *turn == Turn::Next(0)), "{:?}", turns(&blocks));
    }

    #[test]
    fn a_cycle_that_is_skipped_while_the_period_changes_costs_its_frames_and_no_more() {
        let blocks = [(0, 0.0, 256), (256, 256.0, 256), (1536, 1536.0, 1024), (2560, 2560.0, 1024)];
        assert_eq!(turns(&blocks), [Turn::Next(0), Turn::Next(0), Turn::Next(1024), Turn::Next(0)]);
    }

    #[test]
    fn cycles_that_did_not_call_us_are_counted_and_the_same_one_twice_is_not() {
        let blocks = [(0, 0.0, 256), (256, 256.0, 256), (256, 300.0, 256), (1024, 1024.0, 256)];
        assert_eq!(turns(&blocks), [Turn::Next(0), Turn::Next(0), Turn::Again, Turn::Late(512)]);
    }

    #[test]
    fn frame_times_that_jump_are_sized_by_the_machines_clock() {
        // Another device becomes the server's clock: its frames have other numbers, forwards or backwards.
        for at in [900_000_000u32, 17] {
            let blocks = [(500_000, 0.0, 256), (500_256, 256.0, 256), (at, 512.0, 256), (at + 256, 768.0, 256)];
            assert_eq!(turns(&blocks), [Turn::Next(0), Turn::Next(0), Turn::Next(0), Turn::Next(0)], "{at}");
            let blocks = [(500_000, 0.0, 256), (500_256, 256.0, 256), (at, 5512.0, 256), (at + 256, 5768.0, 256)];
            assert_eq!(turns(&blocks)[2..], [Turn::Late(5000), Turn::Next(0)], "{at}");
        }
    }
}
