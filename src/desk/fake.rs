//! A fake desk that answers over UDP, also with faults, for tests and to try things out.

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

/// Longest time that the thread waits for a packet before it sends what is due.
const TICK: Duration = Duration::from_millis(5);
/// Time after which a subscription by `/xremote` or `/meters` ends.
const SUBSCRIPTION: Duration = Duration::from_secs(10);
/// Time between two packets with levels.
const METERS_INTERVAL: Duration = Duration::from_millis(50);
/// OSC address of the page of meters that is sent.
const CHANNEL_METERS: &str = "/meters/0";
/// Number of levels of that page.
const METERS: u8 = 70;
/// Packets that are not valid answers.
const GARBAGE: [&[u8]; 6] = [
    b"",
    b"node /ch/01/config \"Kick\"\n",
    b"#bundle\0\0\0\0\0\0\0\0\x01\0\0\0\x10",
    b"/ch/01/config/name\0\0,s\0\0Kic",
    b"/info\0\0\0,[[[[[[[[[[\0",
    b"/meters/0\0\0\0,b\0\0\xff\xff\xff\xff",
];

/// Names of the channels.
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

/// Fault of a [`FakeDesk`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Every question is answered at once.
    #[default]
    None,
    /// No question is answered.
    Silent,
    /// Every answer is late by this time.
    Late(Duration),
    /// A question gets no answer the first time, half of the packet the second time, and the answer the third time.
    Half,
    /// Every answer is preceded by packets that are not messages, and by answers with values of other types.
    Garbage,
    /// As [`Self::Garbage`], without the answer.
    OnlyGarbage,
    /// Every answer is preceded by a wrong one from another address.
    Stranger,
    /// No question is answered after this number of answers.
    Dies(u64),
}

/// Data that the thread of a fake desk shares with its owner.
struct FakeDeskState {
    /// Values by their addresses.
    values: BTreeMap<String, Vec<Value>>,
    fault: Fault,
    /// Subscribers to changes, and the end of their subscriptions.
    remotes: BTreeMap<SocketAddr, Instant>,
    /// Number of questions that were answered.
    answered: u64,
    /// Number of `/xremote` messages that were received.
    renewals: u64,
}

/// A fake X32 with 32 named channels. Tracks 1 to 30 carry the channels of their numbers, 31 and 32 the outputs 1 and 2: Main L
/// and R. Stops when it is dropped.
pub struct FakeDesk {
    socket: UdpSocket,
    address: SocketAddr,
    shared: Arc<Mutex<FakeDeskState>>,
    writes: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FakeDesk {
    /// Starts a fake desk at a UDP address. Port 0 stands for any free one. [control thread]
    ///
    /// # Errors
    /// If the operating system refuses the address or a thread.
    pub fn start(address: impl ToSocketAddrs, fault: Fault) -> io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        socket.set_read_timeout(Some(TICK))?;
        let mut address = socket.local_addr()?;
        if address.ip().is_unspecified() {
            address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        let shared = FakeDeskState { values: initial_values(), fault, remotes: BTreeMap::new(), answered: 0, renewals: 0 };
        let (shared, stop) = (Arc::new(Mutex::new(shared)), Arc::new(AtomicBool::new(false)));
        let writes = Arc::new(AtomicU64::new(0));
        let server = FakeDeskThread {
            socket: socket.try_clone()?,
            stranger: UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?,
            shared: shared.clone(),
            writes: writes.clone(),
            meter_subscribers: BTreeMap::new(),
            late_packets: Vec::new(),
            question_counts: BTreeMap::new(),
        };
        let stopped = stop.clone();
        let thread = thread::Builder::new().name("fake desk".into()).spawn(move || server.run(&stopped))?;
        Ok(Self { socket, address, shared, writes, stop, thread: Some(thread) })
    }

    /// Returns the address at which the fake desk answers programs on this machine.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets the fault of all later answers.
    pub fn set_fault(&self, fault: Fault) {
        lock(&self.shared).fault = fault;
    }

    /// Sets a value as if someone turned a knob at the desk. Subscribers to `/xremote` are told.
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

    /// Removes an address: questions for it are no longer answered.
    pub fn forget(&self, address: &str) {
        lock(&self.shared).values.remove(address);
    }

    /// Sets the model and the version of the firmware.
    pub fn set_model(&self, model: &str, firmware: &str) {
        lock(&self.shared).values.extend(identity(model, firmware));
    }

    /// Returns the number of messages that tried to set a value.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }

    /// Returns the number of `/xremote` messages that were received.
    #[must_use]
    pub fn renewals(&self) -> u64 {
        lock(&self.shared).renewals
    }
}

impl Drop for FakeDesk {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock(shared: &Mutex<FakeDeskState>) -> MutexGuard<'_, FakeDeskState> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread of a fake desk.
struct FakeDeskThread {
    socket: UdpSocket,
    /// Socket at another address, for [`Fault::Stranger`].
    stranger: UdpSocket,
    shared: Arc<Mutex<FakeDeskState>>,
    writes: Arc<AtomicU64>,
    /// Subscribers to levels, with the end of the subscription and the time of the next packet.
    meter_subscribers: BTreeMap<SocketAddr, (Instant, Instant)>,
    /// Packets to be sent later, with their time and receiver.
    late_packets: Vec<(Instant, SocketAddr, Vec<u8>)>,
    /// Number of times that each question was received.
    question_counts: BTreeMap<String, u64>,
}

impl FakeDeskThread {
    /// Answers until it is told to stop.
    fn run(mut self, stop: &AtomicBool) {
        let mut buffer = [0; 2048];
        while !stop.load(Ordering::Relaxed) {
            if let Ok((length, from)) = self.socket.recv_from(&mut buffer)
                && let Ok(message) = osc::decode(&buffer[..length])
            {
                self.handle(&message, from);
            }
            self.send_due();
        }
    }

    /// Handles a message: a subscription, a value to set, or a question.
    fn handle(&mut self, message: &Message, from: SocketAddr) {
        let now = Instant::now();
        let mut shared = lock(&self.shared);
        if shared.fault == Fault::Silent || matches!(shared.fault, Fault::Dies(after) if shared.answered >= after) {
            return;
        }
        match message.address.as_str() {
            "/xremote" => {
                shared.remotes.insert(from, now + SUBSCRIPTION);
                shared.renewals += 1;
            }
            "/meters" => {
                self.meter_subscribers.insert(from, (now + SUBSCRIPTION, now));
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

    /// Sends an answer, with the fault.
    fn answer(&mut self, message: &Message, to: SocketAddr, fault: Fault) {
        let count = self.question_counts.entry(message.address.clone()).or_default();
        *count += 1;
        let packet = osc::encode(message);
        let wrong_types = || {
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
            Fault::Late(by) => self.late_packets.push((Instant::now() + by, to, packet)),
            Fault::Half => match *count % 3 {
                1 => {}
                2 => send(&packet[..packet.len() / 2]),
                _ => send(&packet),
            },
            Fault::Garbage | Fault::OnlyGarbage => {
                GARBAGE.iter().for_each(|garbage| send(garbage));
                send(&wrong_types());
                send(&packet[..packet.len() / 2]);
                if fault == Fault::Garbage {
                    send(&packet);
                }
            }
            Fault::Stranger => {
                let wrong_values = message.values.iter().map(|value| match value {
                    Value::Text(_) => Value::Text("lie".into()),
                    _ => Value::Int(0),
                });
                let wrong = Message { address: message.address.clone(), values: wrong_values.collect() };
                let _ = self.stranger.send_to(&osc::encode(&wrong), to);
                send(&packet);
            }
        }
    }

    /// Sends late answers and levels that are due.
    fn send_due(&mut self) {
        let now = Instant::now();
        self.late_packets.retain(|(due, to, packet)| {
            if *due <= now {
                let _ = self.socket.send_to(packet, to);
            }
            *due > now
        });
        self.meter_subscribers.retain(|_, (until, _)| *until > now);
        for (to, (_, next)) in &mut self.meter_subscribers {
            if *next <= now {
                *next = now + METERS_INTERVAL;
                let message = Message { address: CHANNEL_METERS.into(), values: vec![Value::Blob(levels())] };
                let _ = self.socket.send_to(&osc::encode(&message), to);
            }
        }
    }
}

/// Returns the blob of a `/meters` message: the first level is 0.5, each of the next 23 is half the previous one, the others are
/// 0.
fn levels() -> Vec<u8> {
    let level = |n: u8| if n < 24 { 0.5_f32.powi(i32::from(n) + 1) } else { 0.0 };
    let mut blob = u32::from(METERS).to_le_bytes().to_vec();
    blob.extend((0..METERS).flat_map(|n| level(n).to_le_bytes()));
    blob
}

/// Returns the answers to [`INFO`] and [`XINFO`].
fn identity(model: &str, firmware: &str) -> [(String, Vec<Value>); 2] {
    let texts = |texts: [&str; 4]| texts.map(|text| Value::Text(text.into())).to_vec();
    [
        (INFO.into(), texts(["V2.07", "osc-server", model, firmware])),
        (XINFO.into(), texts(["127.0.0.1", "Fake desk", model, firmware])),
    ]
}

/// Returns the values of the desk that [`FakeDesk`] describes.
fn initial_values() -> BTreeMap<String, Vec<Value>> {
    let mut values: BTreeMap<String, Vec<Value>> = identity("X32", "4.06").into();
    let mut set = |address: String, value: Value| {
        values.insert(address, vec![value]);
    };
    // Every question has an answer.
    for address in state::questions("") {
        let empty = if address.ends_with("/name") { Value::Text(String::new()) } else { Value::Int(0) };
        set(address, empty);
    }
    for (address, value) in [(CLOCK_RATE, 0), (USB_MODE, 0), (CARD_TYPE, 2), (ROUTE_SWITCH, 0)] {
        set(address.into(), Value::Int(value));
    }
    for (block_index, slot) in (0..).zip([1, 9, 17, 25]) {
        // The card gets the user outputs; the channels get the desk's local inputs or, in playback, the card's channels.
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
        // The values of outputs 1 and 2 are 169 and 170.
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
