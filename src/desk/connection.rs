//! The UDP connection to a desk, and the search for desks on the local network.
//!
//! Many questions are open at the same time. They are sent in small bursts, and again if no answer arrives.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

use super::osc::{self, Message, Value};
use super::state::{Acceptance, DeskState, INFO, XINFO};
use super::{DeskError, FoundDesk, Timeouts, track};

/// UDP port on which an X32 or M32 listens.
pub const PORT: u16 = 10023;
/// Largest number of questions within [`BURST_INTERVAL`] while no answers arrive. A desk loses packets if it is asked everything
/// at once.
const BURST: usize = 8;
/// Time for which a question counts towards [`BURST`].
const BURST_INTERVAL: Duration = Duration::from_millis(20);
/// Shortest time to wait for a packet.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);
/// Size of the receive buffer. Larger than any UDP packet, so that no packet is cut to a valid length.
const BUFFER_BYTES: usize = 65_536;

/// Returns the network address of `HOST` or `HOST:PORT`. [control thread: may ask a name server]
///
/// # Errors
/// [`DeskError::Address`].
pub fn resolve(address: &str) -> Result<SocketAddr, DeskError> {
    let wrong = |reason: String| DeskError::Address { address: address.escape_debug().take(80).collect(), reason };
    let plain = address.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, PORT));
    if let Ok(found) = plain.or_else(|_| address.parse()) {
        return Ok(found);
    }
    let resolved = if address.contains(':') { address.to_socket_addrs() } else { (address, PORT).to_socket_addrs() };
    let mut found: Vec<SocketAddr> = resolved.map_err(|e| wrong(e.to_string()))?.collect();
    found.sort_by_key(|a| a.is_ipv6());
    found.first().copied().ok_or_else(|| wrong("it has no address".into()))
}

/// A question that has no answer yet.
struct OpenQuestion<'a> {
    question: &'a str,
    /// Number of times that it was sent.
    tries: u32,
    /// Time of the last try; `None` before the first one.
    sent: Option<Instant>,
    /// Time of the next try.
    due: Instant,
}

/// Returns the questions as open ones that are due now.
fn open_questions(questions: &[String]) -> Vec<OpenQuestion<'_>> {
    let due = Instant::now();
    questions.iter().map(|question| OpenQuestion { question, tries: 0, sent: None, due }).collect()
}

/// Reason why [`DeskConnection::exchange`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ExchangeEnd {
    /// Every question has its answer or was sent often enough, or the time is over, or the caller stopped the exchange.
    Done,
    /// The desk has sent no answer for a while. It may be gone.
    Silence,
}

/// A UDP socket that receives packets of one desk only.
pub struct DeskConnection {
    socket: UdpSocket,
    address: SocketAddr,
    timeouts: Timeouts,
    buffer: Vec<u8>,
    /// Number of packets that were not answers.
    pub invalid_packets: u64,
    /// Description of the last of them; empty if there was none.
    pub last_invalid: String,
    /// True if a packet could not be sent or received: nothing listens there, or there is no network.
    was_refused: bool,
    /// True if the desk has answered at least once.
    has_answered: bool,
}

impl DeskConnection {
    /// Opens a socket for the desk at `address`. Sends nothing. [control thread]
    ///
    /// # Errors
    /// [`DeskError::Io`].
    pub fn open(address: SocketAddr, timeouts: Timeouts) -> Result<Self, DeskError> {
        let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, 0)).and_then(|s| s.connect(address).map(|()| s));
        let socket = socket.map_err(|source| DeskError::Io { action: "open a socket to", address, source })?;
        let buffer = vec![0; BUFFER_BYTES];
        let (invalid_packets, last_invalid) = (0, String::new());
        let (was_refused, has_answered) = (false, false);
        Ok(Self { socket, address, timeouts, buffer, invalid_packets, last_invalid, was_refused, has_answered })
    }

    /// Sends an address without values, which sets nothing. An error counts as a lost packet.
    pub fn send(&mut self, question: &str) {
        self.was_refused |= self.socket.send(&osc::question(question)).is_err();
    }

    /// Subscribes to a page of meters for ten seconds. This is the only message with a value, and it sets nothing.
    pub fn send_meters(&mut self, meters: &str) {
        let message = Message { address: "/meters".into(), values: vec![Value::Text(meters.into())] };
        self.was_refused |= self.socket.send(&osc::encode(&message)).is_err();
    }

    /// Returns the next message that arrives until `deadline`. Packets that are not messages are counted.
    pub fn receive(&mut self, deadline: Instant) -> Option<Message> {
        loop {
            let left = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
            // A timeout of zero is an error, and some systems round to milliseconds.
            self.socket.set_read_timeout(Some(left.max(Duration::from_millis(1)))).ok()?;
            match self.socket.recv(&mut self.buffer) {
                Ok(length) => match osc::decode(&self.buffer[..length]) {
                    Ok(message) => return Some(message),
                    Err(error) => self.count_invalid(error.to_string()),
                },
                Err(error) if error.kind() == ErrorKind::WouldBlock || error.kind() == ErrorKind::TimedOut => return None,
                // Nothing listens there, or there is no network. Both may change.
                Err(_) => {
                    self.was_refused = true;
                    std::thread::sleep(left.min(Duration::from_millis(10)));
                }
            }
        }
    }

    /// Counts a packet that is not an answer; `what` describes it.
    fn count_invalid(&mut self, what: String) {
        self.invalid_packets += 1;
        self.last_invalid = what;
    }

    /// Asks for the desk's name, model and firmware.
    ///
    /// # Errors
    /// [`DeskError::NoAnswer`].
    pub fn ask_identity(&mut self, state: &mut DeskState) -> Result<(), DeskError> {
        let questions = [INFO.into(), XINFO.into()];
        let end = Instant::now() + self.timeouts.per_question();
        self.exchange(&mut open_questions(&questions), state, end, &mut |_| true);
        if [INFO, XINFO].iter().any(|question| state.has(question)) { Ok(()) } else { Err(self.silence_error()) }
    }

    /// Asks all questions and adds the answers to `state`. Calls `each` with it after every eighth answer and after the last;
    /// stops when `each` returns false. Questions may stay without an answer.
    ///
    /// # Errors
    /// [`DeskError::NoAnswer`] if the desk stops answering.
    pub fn ask(
        &mut self,
        questions: &[String],
        state: &mut DeskState,
        mut each: impl FnMut(&DeskState) -> bool,
    ) -> Result<(), DeskError> {
        let mut open = open_questions(questions);
        let end = Instant::now() + self.timeouts.reading;
        while self.exchange(&mut open, state, end, &mut each) == ExchangeEnd::Silence {
            // Perhaps the firmware does not know the questions. Every desk that is there answers this one.
            let mut identity = DeskState::default();
            self.ask_identity(&mut identity)?;
            state.extend(identity);
            open.retain(|question| !state.has(question.question));
        }
        Ok(())
    }

    /// Sends open questions, repeatedly until they are answered, and receives answers. On return, `open` has the questions that
    /// may still be answered. For `each` see [`Self::ask`].
    fn exchange(
        &mut self,
        open: &mut Vec<OpenQuestion>,
        state: &mut DeskState,
        end: Instant,
        each: &mut dyn FnMut(&DeskState) -> bool,
    ) -> ExchangeEnd {
        let timeouts = self.timeouts;
        let (mut last_answer, mut answers) = (Instant::now(), 0);
        loop {
            let now = Instant::now();
            let before = open.len();
            open.retain(|question| question.tries < timeouts.tries || question.due > now);
            let has_given_up = open.len() < before;
            if now - last_answer >= if has_given_up { timeouts.first_answer } else { timeouts.per_question() } {
                return ExchangeEnd::Silence;
            }
            if open.is_empty() || now >= end {
                return ExchangeEnd::Done;
            }
            // Questions that were never sent go first.
            open.sort_by_key(|question| question.tries);
            let is_recent = |question: &&OpenQuestion| question.sent.is_some_and(|sent| now - sent < BURST_INTERVAL);
            let mut recent = open.iter().filter(is_recent).count();
            for question in open.iter_mut().filter(|question| question.due <= now) {
                if recent == BURST {
                    break;
                }
                self.send(question.question);
                (question.sent, question.due) = (Some(now), now + timeouts.first_answer * 2_u32.saturating_pow(question.tries));
                (question.tries, recent) = (question.tries + 1, recent + 1);
            }
            let due = open.iter().map(|question| question.due).min().unwrap_or(end);
            let Some(message) = self.receive(due.clamp(now + SHORTEST_WAIT, now + BURST_INTERVAL)) else { continue };
            if state.accept(&message) == Acceptance::Refused {
                self.count_invalid(format!("an answer to {}", message.address.chars().take(40).collect::<String>()));
                continue;
            }
            self.has_answered = true;
            open.retain(|question| question.question != message.address);
            (last_answer, answers) = (Instant::now(), answers + 1);
            if (answers % BURST == 0 || open.is_empty()) && !each(state) {
                return ExchangeEnd::Done;
            }
        }
    }

    /// Returns the error for a desk that does not answer.
    fn silence_error(&self) -> DeskError {
        DeskError::NoAnswer {
            address: self.address,
            event: if self.has_answered { "fell silent: no answer" } else { "gave no answer" },
            seconds: self.timeouts.per_question().as_secs_f32(),
            reason: match (self.invalid_packets, self.was_refused) {
                (0, true) => "; nothing listens there".into(),
                (0, false) => String::new(),
                (n, _) => format!("; {n} packets came that are no answers, the last one {}", self.last_invalid),
            },
        }
    }

    /// Returns the levels of a page of meters, linear, 1.0 at full scale. `None` if the desk sends none.
    pub fn levels(&mut self, meters: &str) -> Option<Vec<f32>> {
        self.send_meters(meters);
        let deadline = Instant::now() + self.timeouts.per_question();
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

/// Returns the desks that answer at these addresses, which may be broadcast addresses, within `duration`.
///
/// # Errors
/// If the operating system gives no socket.
pub fn discover(addresses: &[SocketAddr], duration: Duration) -> io::Result<Vec<FoundDesk>> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.set_broadcast(true)?;
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut found: Vec<FoundDesk> = Vec::new();
    // Asked twice, because a packet may be lost.
    for _ in 0..2 {
        for address in addresses {
            for question in [XINFO, INFO] {
                // Errors are ignored: a network without broadcast is not searched.
                let _ = socket.send_to(&osc::question(question), address);
            }
        }
        let deadline = Instant::now() + duration / 2;
        while let Some(left) = deadline.checked_duration_since(Instant::now()) {
            socket.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
            let Ok((length, address)) = socket.recv_from(&mut buffer) else { continue };
            let Ok(message) = osc::decode(&buffer[..length]) else { continue };
            let Some([name, model, firmware]) = track::identity(&message.values) else { continue };
            let is_new = found.iter().all(|f| f.address != address);
            if is_new && [INFO, XINFO].contains(&message.address.as_str()) {
                found.push(FoundDesk { address, name, model, firmware });
            }
        }
    }
    found.sort_by_key(|f| f.address);
    Ok(found)
}

/// Returns the broadcast addresses of the local networks, with [`PORT`].
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
