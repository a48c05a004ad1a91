//! JACK: a client of a server, connected to the outputs of another client.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrayvec::ArrayVec;
use jack::{
    AsyncClient, AudioIn, AudioOut, ClientOptions, ClientStatus, Control, LoggerType, NotificationHandler, Port, PortFlags,
    PortId, ProcessHandler, ProcessScope,
};
use rtrb::Consumer;

use super::chair::{Chair, chair};
use super::{Client, DeviceError, Granted, Host, Input, Listed, MAX_CHANNELS, SampleFormat, Status, Wish};

/// Our name at the server; it adds a number if there is another of us.
const NAME: &str = "isotherm";
/// The sound card behind a server.
const SYSTEM: &str = "system";
/// Sound cards' clocks differ from the machine's by less than this.
const LARGEST_DRIFT: f64 = 0.0005;

pub(super) struct Device {
    client: jack::Client,
    granted: Granted,
    /// Ports that are recorded, and ports that play.
    sources: Vec<String>,
    sinks: Vec<String>,
}

/// A client without ports. [control thread]
fn connect() -> Result<jack::Client, String> {
    let none = |what: &str| {
        let server = std::env::var("JACK_DEFAULT_SERVER").unwrap_or_else(|_| "default".into());
        format!("JACK: {what} (server '{server}')")
    };
    match jack::Client::new(NAME, ClientOptions::NO_START_SERVER) {
        Ok((client, _)) => {
            // What it has to say is in its results.
            jack::set_logger(LoggerType::None);
            Ok(client)
        }
        Err(jack::Error::LibraryError(_)) => Err(none("its library libjack.so.0 is not there")),
        Err(_) => Err(none("no server is running")),
    }
}

/// Ports of one client, in the server's order; `flags` tells which.
fn ports(client: &jack::Client, of: &str, flags: PortFlags) -> Vec<String> {
    let all = client.ports(None, Some(jack::jack_sys::FLOAT_MONO_AUDIO), flags);
    all.into_iter().filter(|port| port.rsplit_once(':').is_some_and(|(owner, _)| owner == of)).collect()
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

/// Clients that can be recorded.
pub(super) fn names() -> Vec<String> {
    connect().map_or_else(|_| Vec::new(), |client| devices(&client))
}

pub(super) fn list() -> Vec<Listed> {
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
    pub fn open(wish: &Wish) -> Result<(Granted, Self), DeviceError> {
        let device = wish.device.as_str();
        let client = connect().map_err(|what| DeviceError::failed(device, what))?;
        let mut sources = ports(&client, device, PortFlags::IS_OUTPUT);
        if sources.is_empty() {
            let expected = devices(&client).join(", ");
            return Err(DeviceError::Unknown { host: Host::Jack, device: device.into(), expected });
        }
        // Of a client's ports any may be left alone.
        let most = wish.channels.map_or(MAX_CHANNELS, |n| n.min(MAX_CHANNELS));
        sources.truncate(most);
        let player = wish.output_device.as_deref().unwrap_or(SYSTEM);
        let playing = ports(&client, player, PortFlags::IS_INPUT);
        let mut sinks = Vec::new();
        for output in &wish.outputs {
            let asked = || format!("output channel {}", output + 1);
            let port = playing.get(*output);
            sinks.push(port.ok_or_else(|| DeviceError::difference(player, asked(), playing.len()))?.clone());
        }
        let granted = granted(&client, device, sources.len(), sinks.len());
        Ok((granted.clone(), Self { client, granted, sources, sinks }))
    }

    pub fn start<C: Client>(self, client: C, status: &Arc<Status>) -> Result<Running<C>, (C, DeviceError)> {
        let Self { client: server, granted, sources, sinks } = self;
        let failed = |what: jack::Error| DeviceError::failed(&granted.device, what);
        let (mut send, chair, back) = chair();
        let seat = match Seat::new(&server, &granted, status, chair) {
            Ok(seat) => seat,
            Err(error) => return Err((client, failed(error))),
        };
        let name = |port: Result<String, jack::Error>| port.unwrap_or_default();
        let inputs: Vec<String> = seat.inputs.iter().map(|port| name(port.name())).collect();
        let outputs: Vec<String> = seat.outputs.iter().map(|port| name(port.name())).collect();
        let notice = Notice { status: status.clone() };
        let active = match server.activate_async(notice, seat) {
            Ok(active) => active,
            Err(error) => return Err((client, failed(error))),
        };
        let cables = sources.iter().zip(&inputs).chain(outputs.iter().zip(&sinks));
        for (from, to) in cables {
            if let Err(error) = active.as_client().connect_ports_by_name(from, to) {
                return Err((client, failed(error)));
            }
        }
        // All cables are in: the next block is whole.
        match send.push(client) {
            Ok(()) => Ok(Running { active, back }),
            Err(rtrb::PushError::Full(client)) => Err((client, DeviceError::failed(&granted.device, "its thread ended"))),
        }
    }
}

pub(super) struct Running<C: Client> {
    active: AsyncClient<Notice, Seat<C>>,
    back: Consumer<C>,
}

impl<C: Client> Running<C> {
    /// Ends our client at the server, whether that still lives or not.
    pub fn stop(mut self) -> Option<C> {
        // It fails if the server is gone; ours is closed in any case, and the chair gives the client back when it is dropped.
        drop(self.active.deactivate());
        self.back.pop().ok()
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

/// What the server calls. [audio thread]
struct Seat<C: Client> {
    chair: Chair<C>,
    inputs: Vec<Port<AudioIn>>,
    outputs: Vec<Port<AudioOut>>,
    status: Arc<Status>,
    period_frames: usize,
    clock: Clock,
    /// A copy of what is in the ports.
    blocks: Vec<Vec<f32>>,
    /// Frames that are lost and not told yet.
    owed: u64,
    /// The last block was not taken: it may come again.
    doubtful: bool,
}

/// Finds out how many frames are missing.
struct Clock {
    /// Microseconds of a frame.
    frame: f64,
    /// The server's frame time at which the next block begins.
    next: Option<u32>,
    /// Frames since the start, and the shortest delay of a block behind them, in microseconds of the server's clock.
    frames: u64,
    delay: f64,
    /// Overruns that are dealt with.
    overruns: u64,
}

/// What a call is.
enum Turn {
    /// The next block; the server itself has lost so many frames before it.
    Next(u64),
    /// We were not called in time for so many frames. What there is now may be half of another cycle.
    Late(u64),
    /// Once more for the cycle of the last call.
    Again,
}

impl Clock {
    /// A block of `n` frames that begins at the frame time `at` and is processed at `now`.
    fn tick(&mut self, at: u32, now: u64, n: usize, overruns: u64) -> Turn {
        let ahead = self.next.map_or(0, |next| at.wrapping_sub(next).cast_signed());
        if (-(n as i32)..0).contains(&ahead) {
            return Turn::Again;
        }
        self.next = Some(at.wrapping_add(n as u32));
        let missed = u64::try_from(ahead).unwrap_or(0);
        self.frames += missed + n as u64;
        let delay = now as f64 - self.frames as f64 * self.frame;
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
        if missed > 0 { Turn::Late(missed) } else { Turn::Next(0) }
    }
}

impl<C: Client> Seat<C> {
    fn new(server: &jack::Client, granted: &Granted, status: &Arc<Status>, chair: Chair<C>) -> Result<Self, jack::Error> {
        let input = |i: usize| server.register_port(&format!("in_{}", i + 1), AudioIn::default());
        let output = |i: usize| server.register_port(&format!("out_{}", i + 1), AudioOut::default());
        Ok(Self {
            chair,
            inputs: (0..granted.channels).map(input).collect::<Result<_, _>>()?,
            outputs: (0..granted.outputs).map(output).collect::<Result<_, _>>()?,
            status: status.clone(),
            period_frames: granted.period_frames,
            blocks: vec![vec![0.0; granted.period_frames]; granted.channels],
            owed: 0,
            doubtful: false,
            clock: Clock { frame: 1e6 / f64::from(granted.sample_rate), next: None, frames: 0, delay: f64::MAX, overruns: 0 },
        })
    }
}

impl<C: Client> ProcessHandler for Seat<C> {
    fn process(&mut self, server: &jack::Client, scope: &ProcessScope) -> Control {
        let n = scope.n_frames() as usize;
        let mut output: ArrayVec<&mut [f32], MAX_CHANNELS> =
            self.outputs.iter_mut().map(|port| port.as_mut_slice(scope)).collect();
        output.iter_mut().for_each(|channel| channel.fill(0.0));
        if self.status.stop.load(Ordering::Acquire) {
            // Its cables may be out already.
            return Control::Continue;
        }
        let Some(client) = self.chair.client() else { return Control::Continue };
        if n != self.period_frames || self.status.ended.load(Ordering::Acquire) {
            // Another period than was granted: the device is opened anew.
            self.status.ended.store(true, Ordering::Release);
            return Control::Continue;
        }
        let overruns = self.status.overruns.load(Ordering::Relaxed);
        let at = scope.last_frame_time();
        match self.clock.tick(at, server.time(), n, overruns) {
            Turn::Again if !self.doubtful => return Control::Continue,
            Turn::Again => {}
            Turn::Next(lost) => self.owed += lost + if self.doubtful { n as u64 } else { 0 },
            Turn::Late(lost) => {
                self.owed += lost + if self.doubtful { n as u64 } else { 0 };
                self.doubtful = true;
                return Control::Continue;
            }
        }
        self.doubtful = false;
        for (block, port) in self.blocks.iter_mut().zip(&self.inputs) {
            block.copy_from_slice(port.as_slice(scope));
        }
        if scope.last_frame_time() != at {
            // The next cycle began meanwhile, so others may have written into the ports.
            self.owed += n as u64;
            return Control::Continue;
        }
        let input: ArrayVec<&[f32], MAX_CHANNELS> = self.blocks.iter().map(Vec::as_slice).collect();
        self.status.run(client, std::mem::take(&mut self.owed), Input::Floats(&input), &mut output);
        Control::Continue
    }
}
