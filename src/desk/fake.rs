//! A desk that is none, for tests and for trying: over UDP, with faults.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::osc::{self, Message, Value};
use super::state::{
    self, CARD_TYPE, CLOCK_RATE, INFO, ROUTE_SWITCH, USB_MODE, XINFO, block, config, output_source, user_routing,
};

/// The thread looks at the time this often.
const TICK: Duration = Duration::from_millis(5);
/// `/xremote` and `/meters` lapse after this time.
const LAPSE: Duration = Duration::from_secs(10);
const METERS_EVERY: Duration = Duration::from_millis(50);
const CHANNEL_METERS: &str = "/meters/0";
/// Levels of that page.
const METERS: u8 = 70;
/// Packets that are no answers.
const GARBAGE: [&[u8]; 6] = [
    b"",
    b"node /ch/01/config \"Kick\"\n",
    b"#bundle\0\0\0\0\0\0\0\0\x01\0\0\0\x10",
    b"/ch/01/config/name\0\0,s\0\0Kic",
    b"/info\0\0\0,[[[[[[[[[[\0",
    b"/meters/0\0\0\0,b\0\0\xff\xff\xff\xff",
];

const NAMES: [&str; 32] = [
    "Kick",
    "Snare",
    "Snare Bot",
    "Hat",
    "Tom 1",
    "Tom 2",
    "Floor",
    "OH",
    "OH",
    "Ride",
    "Bass DI",
    "Bass Amp",
    "Gtr/DI",
    "Gtr L",
    "Gtr R",
    "Keys L",
    "Keys R",
    "Vox",
    "Vox",
    "Vox: Bea",
    "Horn 1",
    "Horn 2",
    "Sax",
    "Perc",
    "",
    "Click",
    "Track L",
    "Track R",
    "Amb L",
    "Amb R",
    "Talk",
    "FOH",
];

/// What goes wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    #[default]
    None,
    /// No answer at all.
    Silent,
    /// Every answer comes so much later.
    Late(Duration),
    /// Of three times that a question comes, it gets no answer, half of one, and one.
    Half,
    /// Packets that are no answers, and answers of other types, before every answer.
    Garbage,
    /// Nothing but garbage.
    OnlyGarbage,
    /// Another sender answers first, and wrongly.
    Stranger,
    /// No answer after so many.
    Dies(u64),
}

struct Shared {
    values: BTreeMap<String, Vec<Value>>,
    fault: Fault,
    /// Who hears of changes, and until when.
    remotes: BTreeMap<SocketAddr, Instant>,
    answered: u64,
    renewals: u64,
}

/// An X32 with 32 named channels, all on the tracks of their numbers but for 31 and 32, which carry outputs 1 and 2: Main L and R.
/// Stops when dropped.
pub struct Fake {
    socket: UdpSocket,
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    writes: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Fake {
    /// A fake desk at an address; port 0 is any free one. [control thread]
    ///
    /// # Errors
    /// If the address cannot be had.
    pub fn start(address: impl ToSocketAddrs, fault: Fault) -> io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        socket.set_read_timeout(Some(TICK))?;
        let mut address = socket.local_addr()?;
        if address.ip().is_unspecified() {
            address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        let shared = Shared { values: plausible(), fault, remotes: BTreeMap::new(), answered: 0, renewals: 0 };
        let (shared, stop) = (Arc::new(Mutex::new(shared)), Arc::new(AtomicBool::new(false)));
        let writes = Arc::new(AtomicU64::new(0));
        let server = Server {
            socket: socket.try_clone()?,
            stranger: UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?,
            shared: shared.clone(),
            writes: writes.clone(),
            meters: BTreeMap::new(),
            late: Vec::new(),
            asked: BTreeMap::new(),
        };
        let stopped = stop.clone();
        let thread = thread::Builder::new().name("fake desk".into()).spawn(move || server.run(&stopped))?;
        Ok(Self { socket, address, shared, writes, stop, thread: Some(thread) })
    }

    /// Where it answers on this machine.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn set_fault(&self, fault: Fault) {
        lock(&self.shared).fault = fault;
    }

    /// As if someone turned a knob: who renewed `/xremote` hears of it.
    pub fn set(&self, address: &str, value: Value) {
        let message = Message { address: address.into(), values: vec![value] };
        let mut shared = lock(&self.shared);
        shared.values.insert(message.address.clone(), message.values.clone());
        if shared.fault == Fault::Silent {
            return;
        }
        let now = Instant::now();
        for remote in shared.remotes.iter().filter(|(_, until)| **until > now).map(|(remote, _)| remote) {
            let _ = self.socket.send_to(&osc::encode(&message), remote);
        }
    }

    /// From now on the desk does not know an address.
    pub fn forget(&self, address: &str) {
        lock(&self.shared).values.remove(address);
    }

    /// As another model with another firmware.
    pub fn set_model(&self, model: &str, firmware: &str) {
        lock(&self.shared).values.extend(identity(model, firmware));
    }

    /// Values that someone tried to set.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }

    /// Times that `/xremote` came.
    #[must_use]
    pub fn renewals(&self) -> u64 {
        lock(&self.shared).renewals
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Server {
    socket: UdpSocket,
    stranger: UdpSocket,
    shared: Arc<Mutex<Shared>>,
    writes: Arc<AtomicU64>,
    /// Who hears levels: until when, and when next.
    meters: BTreeMap<SocketAddr, (Instant, Instant)>,
    late: Vec<(Instant, SocketAddr, Vec<u8>)>,
    /// Times that each question came.
    asked: BTreeMap<String, u64>,
}

impl Server {
    fn run(mut self, stop: &AtomicBool) {
        let mut buffer = [0; 2048];
        while !stop.load(Ordering::Relaxed) {
            if let Ok((length, from)) = self.socket.recv_from(&mut buffer)
                && let Ok(message) = osc::decode(&buffer[..length])
            {
                self.hear(&message, from);
            }
            self.send_due();
        }
    }

    fn hear(&mut self, message: &Message, from: SocketAddr) {
        let now = Instant::now();
        let mut shared = lock(&self.shared);
        if shared.fault == Fault::Silent || matches!(shared.fault, Fault::Dies(after) if shared.answered >= after) {
            return;
        }
        match message.address.as_str() {
            "/xremote" => {
                shared.remotes.insert(from, now + LAPSE);
                shared.renewals += 1;
            }
            "/meters" => {
                self.meters.insert(from, (now + LAPSE, now));
            }
            _ if !message.values.is_empty() => {
                self.writes.fetch_add(1, Ordering::Relaxed);
                shared.values.insert(message.address.clone(), message.values.clone());
            }
            address => {
                let Some(values) = shared.values.get(address).cloned() else { return };
                shared.answered += 1;
                let fault = shared.fault;
                drop(shared);
                self.answer(&Message { address: address.into(), values }, from, fault);
            }
        }
    }

    fn answer(&mut self, message: &Message, to: SocketAddr, fault: Fault) {
        let asked = self.asked.entry(message.address.clone()).or_default();
        *asked += 1;
        let packet = osc::encode(message);
        let wrong = || {
            let other = |value: &Value| match value {
                Value::Text(_) => Value::Int(7),
                _ => Value::Text("7".into()),
            };
            osc::encode(&Message { address: message.address.clone(), values: message.values.iter().map(other).collect() })
        };
        let send = |packet: &[u8]| {
            let _ = self.socket.send_to(packet, to);
        };
        match fault {
            Fault::None | Fault::Dies(_) => send(&packet),
            Fault::Silent => {}
            Fault::Late(by) => self.late.push((Instant::now() + by, to, packet)),
            Fault::Half => match *asked % 3 {
                1 => {}
                2 => send(&packet[..packet.len() / 2]),
                _ => send(&packet),
            },
            Fault::Garbage | Fault::OnlyGarbage => {
                GARBAGE.iter().for_each(|garbage| send(garbage));
                send(&wrong());
                send(&packet[..packet.len() / 2]);
                if fault == Fault::Garbage {
                    send(&packet);
                }
            }
            Fault::Stranger => {
                let lie = message.values.iter().map(|value| match value {
                    Value::Text(_) => Value::Text("lie".into()),
                    _ => Value::Int(0),
                });
                let lie = Message { address: message.address.clone(), values: lie.collect() };
                let _ = self.stranger.send_to(&osc::encode(&lie), to);
                send(&packet);
            }
        }
    }

    fn send_due(&mut self) {
        let now = Instant::now();
        self.late.retain(|(due, to, packet)| {
            if *due <= now {
                let _ = self.socket.send_to(packet, to);
            }
            *due > now
        });
        self.meters.retain(|_, (until, _)| *until > now);
        for (to, (_, next)) in &mut self.meters {
            if *next <= now {
                *next = now + METERS_EVERY;
                let message = Message { address: CHANNEL_METERS.into(), values: vec![Value::Blob(levels())] };
                let _ = self.socket.send_to(&osc::encode(&message), to);
            }
        }
    }
}

/// The first level is 0.5, each further one half of that before; channels from 25 on are silent.
fn levels() -> Vec<u8> {
    let level = |n: u8| if n < 24 { 0.5_f32.powi(i32::from(n) + 1) } else { 0.0 };
    let mut blob = u32::from(METERS).to_le_bytes().to_vec();
    blob.extend((0..METERS).flat_map(|n| level(n).to_le_bytes()));
    blob
}

fn identity(model: &str, firmware: &str) -> [(String, Vec<Value>); 2] {
    let texts = |texts: [&str; 4]| texts.map(|text| Value::Text(text.into())).to_vec();
    [
        (INFO.into(), texts(["V2.07", "osc-server", model, firmware])),
        (XINFO.into(), texts(["127.0.0.1", "Fake desk", model, firmware])),
    ]
}

fn plausible() -> BTreeMap<String, Vec<Value>> {
    let mut values: BTreeMap<String, Vec<Value>> = identity("X32", "4.06").into();
    let mut set = |address: String, value: Value| {
        values.insert(address, vec![value]);
    };
    // Whatever is asked has an answer.
    for address in state::questions("") {
        let empty = if address.ends_with("/name") { Value::Text(String::new()) } else { Value::Int(0) };
        set(address, empty);
    }
    for (address, value) in [(CLOCK_RATE, 0), (USB_MODE, 0), (CARD_TYPE, 2), (ROUTE_SWITCH, 0)] {
        set(address.into(), Value::Int(value));
    }
    for (block_index, slot) in (0..).zip([1, 9, 17, 25]) {
        // User Out, local, card.
        set(block("CARD", slot).0, Value::Int(26 + block_index));
        set(block("IN", slot).0, Value::Int(block_index));
        set(block("PLAY", slot).0, Value::Int(16 + block_index));
    }
    for (channel, name) in (1_u8..).zip(NAMES) {
        let strip = format!("ch/{channel:02}");
        set(config(&strip, "name"), Value::Text(name.into()));
        set(config(&strip, "color"), Value::Int(i32::from(channel % 16)));
        set(config(&strip, "icon"), Value::Int(i32::from(channel)));
        set(config(&strip, "source"), Value::Int(i32::from(channel)));
        set(user_routing("in", channel), Value::Int(i32::from(channel)));
        // Outputs 1 and 2 are 169 and 170.
        let from = if channel > 30 { 169 + channel - 31 } else { channel };
        set(user_routing("out", channel), Value::Int(i32::from(from)));
    }
    for (aux, source) in (1_u8..=6).zip(33..) {
        set(config(&format!("auxin/{aux:02}"), "source"), Value::Int(source));
    }
    for (output, signal) in (1_u8..=16).zip(1..) {
        set(output_source("main", output), Value::Int(if output < 3 { signal } else { signal + 1 }));
    }
    set(config("bus/01", "name"), Value::Text("Mon Bea".into()));
    values
}
