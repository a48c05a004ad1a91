//! Asking over UDP: many questions at a time, in small bursts, each again if its answer does not come; and finding desks on the local net.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

use super::osc::{self, Message, Value};
use super::state::{Accepted, INFO, State, XINFO};
use super::{DeskError, Found, Patience, track};

/// An X32 or M32 listens here.
pub const PORT: u16 = 10023;
/// Questions that are sent within [`PACE`] if no answers come: a desk loses packets if it is asked everything at once.
const BURST: usize = 8;
const PACE: Duration = Duration::from_millis(20);
/// A look at what has come takes at least this long.
const LOOK: Duration = Duration::from_millis(1);
/// Larger than any packet, so that a longer one is seen to be too long.
const BUFFER_BYTES: usize = 65_536;

/// `HOST` or `HOST:PORT`. [control thread: may ask a name server]
pub fn resolve(address: &str) -> Result<SocketAddr, DeskError> {
    let wrong = |source: String| DeskError::Address { address: address.escape_debug().take(80).collect(), what: source };
    let plain = address.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, PORT));
    if let Ok(found) = plain.or_else(|_| address.parse()) {
        return Ok(found);
    }
    let looked = if address.contains(':') { address.to_socket_addrs() } else { (address, PORT).to_socket_addrs() };
    let mut found: Vec<SocketAddr> = looked.map_err(|e| wrong(e.to_string()))?.collect();
    found.sort_by_key(|a| a.is_ipv6());
    found.first().copied().ok_or_else(|| wrong("it has no address".into()))
}

/// A question without an answer.
struct Asked<'a> {
    question: &'a str,
    tries: u32,
    /// Of the last try, if there was one, and of the next.
    sent: Option<Instant>,
    due: Instant,
}

fn open(questions: &[String]) -> Vec<Asked<'_>> {
    let due = Instant::now();
    questions.iter().map(|question| Asked { question, tries: 0, sent: None, due }).collect()
}

/// Why a conversation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Every question has its answer or had its tries; or the time is over, or it was told to stop.
    All,
    /// The desk has said nothing for long: is it there?
    Silence,
}

/// A socket that only hears the desk.
pub struct Link {
    socket: UdpSocket,
    address: SocketAddr,
    patience: Patience,
    buffer: Vec<u8>,
    /// What came and was no answer, and the last of it.
    pub strange: u64,
    pub last_strange: String,
    refused: bool,
    /// Whether the desk has ever answered.
    is_known: bool,
}

impl Link {
    pub fn open(address: SocketAddr, patience: Patience) -> Result<Self, DeskError> {
        let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, 0)).and_then(|s| s.connect(address).map(|()| s));
        let socket = socket.map_err(|source| DeskError::Io { action: "open a socket to", address, source })?;
        let buffer = vec![0; BUFFER_BYTES];
        Ok(Self { socket, address, patience, buffer, strange: 0, last_strange: String::new(), refused: false, is_known: false })
    }

    /// Sends an address without values, which sets nothing; a packet that cannot be sent is one that is lost.
    pub fn send(&mut self, question: &str) {
        self.refused |= self.socket.send(&osc::question(question)).is_err();
    }

    /// Subscribes to levels for ten seconds: the one message with a value, and it sets nothing.
    pub fn send_meters(&mut self, meters: &str) {
        let message = Message { address: "/meters".into(), values: vec![Value::Text(meters.into())] };
        self.refused |= self.socket.send(&osc::encode(&message)).is_err();
    }

    /// The next message until `deadline`; what is none is counted.
    pub fn receive(&mut self, deadline: Instant) -> Option<Message> {
        loop {
            let left = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
            // Zero would mean to wait for ever.
            self.socket.set_read_timeout(Some(left.max(Duration::from_millis(1)))).ok()?;
            match self.socket.recv(&mut self.buffer) {
                Ok(length) => match osc::decode(&self.buffer[..length]) {
                    Ok(message) => return Some(message),
                    Err(error) => self.count_strange(error.to_string()),
                },
                Err(error) if error.kind() == ErrorKind::WouldBlock || error.kind() == ErrorKind::TimedOut => return None,
                // Nothing listens there, or the net is away: both may pass.
                Err(_) => {
                    self.refused = true;
                    std::thread::sleep(left.min(Duration::from_millis(10)));
                }
            }
        }
    }

    pub fn count_strange(&mut self, what: String) {
        self.strange += 1;
        self.last_strange = what;
    }

    /// Who the desk is.
    pub fn ask_identity(&mut self, state: &mut State) -> Result<(), DeskError> {
        let questions = [INFO.into(), XINFO.into()];
        self.converse(&mut open(&questions), state, Instant::now() + self.patience.longest(), &mut |_| true);
        if [INFO, XINFO].iter().any(|question| state.has(question)) { Ok(()) } else { Err(self.silent()) }
    }

    /// Asks all questions, and gives `each` the state as answers come until it says false. A question may stay without an answer.
    ///
    /// # Errors
    /// If the desk falls silent.
    pub fn ask(
        &mut self,
        questions: &[String],
        state: &mut State,
        mut each: impl FnMut(&State) -> bool,
    ) -> Result<(), DeskError> {
        let mut open = open(questions);
        let end = Instant::now() + self.patience.whole;
        while self.converse(&mut open, state, end, &mut each) == End::Silence {
            // Some firmware does not know these; a desk that lives answers this.
            let mut alive = State::default();
            self.ask_identity(&mut alive)?;
            state.extend(alive);
            open.retain(|asked| !state.has(asked.question));
        }
        Ok(())
    }

    /// Asks what is open, each question again while its answer lacks; leaves open what still may be answered.
    fn converse(&mut self, open: &mut Vec<Asked>, state: &mut State, end: Instant, each: &mut dyn FnMut(&State) -> bool) -> End {
        let patience = self.patience;
        let (mut heard, mut answers) = (Instant::now(), 0);
        loop {
            let now = Instant::now();
            let tried = open.len();
            open.retain(|asked| asked.tries < patience.tries || asked.due > now);
            let given_up = open.len() < tried;
            if now - heard >= if given_up { patience.wait } else { patience.longest() } {
                return End::Silence;
            }
            if open.is_empty() || now >= end {
                return End::All;
            }
            // What was never asked goes first.
            open.sort_by_key(|asked| asked.tries);
            let mut fresh = open.iter().filter(|asked| asked.sent.is_some_and(|sent| now - sent < PACE)).count();
            for asked in open.iter_mut().filter(|asked| asked.due <= now) {
                if fresh == BURST {
                    break;
                }
                self.send(asked.question);
                (asked.sent, asked.due) = (Some(now), now + patience.wait * 2_u32.saturating_pow(asked.tries));
                (asked.tries, fresh) = (asked.tries + 1, fresh + 1);
            }
            let due = open.iter().map(|asked| asked.due).min().unwrap_or(end);
            let Some(message) = self.receive(due.clamp(now + LOOK, now + PACE)) else { continue };
            if state.accept(&message) == Accepted::Refused {
                self.count_strange(format!("an answer to {}", message.address.chars().take(40).collect::<String>()));
                continue;
            }
            self.is_known = true;
            open.retain(|asked| asked.question != message.address);
            (heard, answers) = (Instant::now(), answers + 1);
            if (answers % BURST == 0 || open.is_empty()) && !each(state) {
                return End::All;
            }
        }
    }

    fn silent(&self) -> DeskError {
        DeskError::Silent {
            address: self.address,
            what: if self.is_known { "fell silent: no answer" } else { "gave no answer" },
            seconds: self.patience.longest().as_secs_f32(),
            why: match (self.strange, self.refused) {
                (0, true) => "; nothing listens there".into(),
                (0, false) => String::new(),
                (n, _) => format!("; {n} packets came that are no answers, the last one {}", self.last_strange),
            },
        }
    }

    /// The levels of a page of meters, linear.
    pub fn levels(&mut self, meters: &str) -> Option<Vec<f32>> {
        self.send_meters(meters);
        let deadline = Instant::now() + self.patience.longest();
        loop {
            let message = self.receive(deadline)?;
            if message.address == meters
                && let [Value::Blob(blob)] = message.values.as_slice()
                && let Some(levels) = osc::meters(blob)
            {
                return Some(levels);
            }
        }
    }
}

/// The desks that answer at these addresses, broadcasts among them, within `wait`.
pub fn discover(addresses: &[SocketAddr], wait: Duration) -> io::Result<Vec<Found>> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.set_broadcast(true)?;
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut found: Vec<Found> = Vec::new();
    // Asked twice, for a packet may be lost.
    for _ in 0..2 {
        for address in addresses {
            for question in [XINFO, INFO] {
                // A net without broadcasts is not searched.
                let _ = socket.send_to(&osc::question(question), address);
            }
        }
        let deadline = Instant::now() + wait / 2;
        while let Some(left) = deadline.checked_duration_since(Instant::now()) {
            socket.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
            let Ok((length, address)) = socket.recv_from(&mut buffer) else { continue };
            let Ok(message) = osc::decode(&buffer[..length]) else { continue };
            let Some([name, model, firmware]) = track::identity(&message.values) else { continue };
            let is_new = found.iter().all(|f| f.address != address);
            if is_new && [INFO, XINFO].contains(&message.address.as_str()) {
                found.push(Found { address, name, model, firmware });
            }
        }
    }
    found.sort_by_key(|f| f.address);
    Ok(found)
}

/// The broadcast addresses of the local nets.
pub fn broadcasts() -> Vec<SocketAddr> {
    let mut all = vec![Ipv4Addr::BROADCAST];
    for interface in if_addrs::get_if_addrs().unwrap_or_default() {
        if let if_addrs::IfAddr::V4(v4) = interface.addr
            && let Some(broadcast) = v4.broadcast.filter(|b| !v4.is_loopback() && !all.contains(b))
        {
            all.push(broadcast);
        }
    }
    all.into_iter().map(|ip| SocketAddr::new(ip.into(), PORT)).collect()
}
