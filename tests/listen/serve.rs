//! A panel that is served to browsers, seen from the network: nothing tells what is hidden, nothing is lost, nobody sees another's data.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use isotherm::audio::generate;
use isotherm::listen::{
    ControlTrial, LINKS, LOG, PANEL, Panel, PanelError, Protocol, SEED, SOUNDS, SideChoice, SoundSource, TestSetup, verify,
};
use isotherm::serve::Server;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Sample rate of the sound.
pub const RATE: u32 = 48_000;
/// Trials of the test.
pub const TRIALS: u32 = 10;
/// The plan: the saturator against the dry sound.
pub fn setup() -> TestSetup {
    TestSetup {
        protocol: Protocol { trials: TRIALS, ..Protocol::QUICK },
        sides: [SideChoice::Effect("saturator drive=24".into()), SideChoice::Dry],
        source: SoundSource::Loop,
        range: [0.5, 1.25],
        control: ControlTrial::LowPass,
        ..TestSetup::default()
    }
}

/// A new panel.
pub fn create(path: &Path, listeners: usize) -> Panel {
    let sound = generate::guitar(RATE, 2, 1).unwrap().slice(..2 * RATE as usize).unwrap();
    Panel::create(path, setup(), Arc::new(sound), listeners).unwrap()
}

/// A server that runs until it is dropped.
pub struct Running {
    pub address: SocketAddr,
    pub tokens: Vec<String>,
    pub path: PathBuf,
    /// Faults that the server reported.
    pub faults: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    pub fn start(panel: Panel) -> Self {
        let faults = Arc::<Mutex<Vec<String>>>::default();
        let told = faults.clone();
        let report = move |line: &str| told.lock().unwrap().push(line.into());
        let server = Server::bind(panel, "127.0.0.1:0".parse().unwrap(), Vec::new(), report).unwrap();
        let (address, path) = (server.address(), server.panel().path().to_path_buf());
        let tokens = server.panel().links().into_iter().map(|link| link.token).collect();
        let stop = Arc::<AtomicBool>::default();
        let flag = stop.clone();
        let thread = Some(std::thread::spawn(move || server.run(&flag).unwrap()));
        Self { address, tokens, path, faults, stop, thread }
    }

    /// The folder of a listener's session, from 0.
    pub fn session(&self, listener: usize) -> PathBuf {
        self.path.join(format!("listener-{:02}", listener + 1))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

/// An answer of the server.
pub struct Reply {
    pub status: u16,
    head: String,
    body: Vec<u8>,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{} {}", self.status, String::from_utf8_lossy(&self.body)))
    }

    fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    pub fn line(&self) -> String {
        self.json()["error"].as_str().unwrap_or_default().to_owned()
    }
}

/// Sends bytes and reads all that comes.
fn exchange(address: SocketAddr, bytes: &[u8]) -> Reply {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    // A server may refuse a request before it has read all of it.
    let _ = stream.write_all(bytes);
    let mut reply = Vec::new();
    let _ = stream.read_to_end(&mut reply);
    let end = reply.windows(4).position(|window| window == b"\r\n\r\n").map_or(reply.len(), |at| at + 4);
    let head = String::from_utf8_lossy(&reply[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Reply { status, head, body: reply.split_off(end) }
}

/// A request by a method, with more lines in its head.
fn request(address: SocketAddr, method: &str, path: &str, more: &str, body: &[u8]) -> Reply {
    let mut bytes = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{more}").into_bytes();
    if method == "POST" {
        bytes.extend(format!("Content-Length: {}\r\n", body.len()).bytes());
    }
    bytes.extend(b"\r\n");
    bytes.extend(body);
    exchange(address, &bytes)
}

/// A listener at a browser.
pub struct Listener {
    address: SocketAddr,
    token: String,
    secret: String,
    visit: String,
    pub view: Value,
    /// Everything that came before the end: heads and texts.
    pub seen: Vec<String>,
    /// Hashes of the bytes of all sounds.
    sounds: HashSet<Vec<u8>>,
}

impl Listener {
    pub fn new(address: SocketAddr, token: &str, secret: u8) -> Self {
        let secret = format!("{secret:02x}").repeat(32);
        let (token, seen, sounds) = (token.to_owned(), Vec::new(), HashSet::new());
        Self { address, token, secret, visit: String::new(), view: Value::Null, seen, sounds }
    }

    /// A request as the page makes it. One that comes too early is made again.
    fn ask(&mut self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        loop {
            let mut more = format!("Authorization: Bearer {}\r\nUser-Agent: a test\r\n", self.visit);
            if body.is_some() {
                more += &format!("Origin: http://{}\r\nContent-Type: application/json\r\n", self.address);
            }
            let bytes = body.map_or(Vec::new(), |body| body.to_string().into_bytes());
            let reply = request(self.address, method, &format!("/api/{path}"), &more, &bytes);
            if reply.status == 429 {
                assert!(reply.head.contains("retry-after: 1"), "{}", reply.head);
                std::thread::sleep(Duration::from_millis(300));
                continue;
            }
            return reply;
        }
    }

    /// A request whose answer is the new state.
    fn go(&mut self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        let reply = self.ask(method, path, body);
        if reply.status == 200 {
            self.view = reply.json();
            if self.view["stage"] != "ended" {
                self.seen.push(reply.head.clone() + &String::from_utf8_lossy(&reply.body));
            }
        }
        reply
    }

    pub fn enter(&mut self) -> Reply {
        let body = json!({ "token": self.token, "secret": self.secret });
        let reply = self.go("POST", "enter", Some(&body));
        if reply.status == 200 {
            self.visit = self.view["visit"].as_str().unwrap().to_owned();
        }
        reply
    }

    fn sound(&mut self, id: &Value) -> Vec<f64> {
        let reply = self.ask("GET", &format!("sounds/{}", id.as_str().unwrap()), None);
        assert_eq!(reply.status, 200, "{}", reply.head);
        let has = |line: &str| reply.head.to_lowercase().contains(line);
        assert!(has("cache-control: no-store") && !has("etag") && !has("last-modified"), "{}", reply.head);
        self.seen.push(reply.head.clone());
        let samples = samples(&reply.body);
        assert!(self.sounds.insert(reply.body), "two sounds are equal");
        samples
    }

    /// Counts the pulses and tells their number.
    pub fn check(&mut self) {
        assert_eq!(self.view["stage"], "sound-check");
        let sound = self.sound(&self.view["sound"].clone());
        let pulses =
            sound.chunks((0.6 * f64::from(RATE)) as usize * 2).filter(|part| part.iter().any(|x| x.abs() > 0.005)).count();
        let reply = self.go("POST", "sound-check", Some(&json!({ "pulses": pulses, "sample_rate": RATE })));
        assert_eq!(reply.status, 200, "{}", reply.line());
        assert_eq!(self.view["stage"], "test", "{pulses} pulses: {}", self.view);
    }

    pub fn act(&mut self, action: &Value) -> Reply {
        let step = json!({ "after": self.view["receipt"], "action": action });
        self.go("POST", "step", Some(&step))
    }

    /// The answer of somebody who hears everything: which of both buttons is nearer to X.
    pub fn heard(&mut self) -> &'static str {
        let buttons = self.view["sounds"].as_array().unwrap().clone();
        assert_eq!(buttons.iter().map(|sound| sound["button"].as_str().unwrap()).collect::<Vec<_>>(), ["first", "second", "x"]);
        let sounds: Vec<Vec<f64>> = buttons.iter().map(|button| self.sound(&button["sound"])).collect();
        assert!(sounds.iter().all(|sound| sound.len() == sounds[0].len()));
        let distance = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
        if distance(&sounds[2], &sounds[0]) < distance(&sounds[2], &sounds[1]) { "first" } else { "second" }
    }

    /// The next action of a listener.
    pub fn action(&mut self, hears: bool) -> Value {
        match self.view["step"].as_str().unwrap() {
            "introduction" | "pause" => json!({ "kind": "continue" }),
            "feedback" => {
                assert_eq!(self.view["instruction"], if hears { "That was right." } else { "" });
                json!({ "kind": "end-training" })
            }
            "confidence" => json!({ "kind": "confidence", "confidence": 3 }),
            "answer" => {
                let answer = if hears { self.heard() } else { "first" };
                answer_of(answer, 2.5)
            }
            step => panic!("{step}"),
        }
    }

    /// Takes the test to its end. Returns the receipt.
    fn take(&mut self) -> String {
        while self.view["stage"] != "ended" {
            let action = self.action(true);
            let reply = self.act(&action);
            assert_eq!(reply.status, 200, "{}", reply.line());
        }
        self.view["receipt"].as_str().unwrap().to_owned()
    }
}

/// An answer after two presses.
pub fn answer_of(answer: &str, seconds: f64) -> Value {
    let switches = json!([{ "button": "first", "at": 0.25 }, { "button": "x", "at": 1.5 }]);
    json!({ "kind": "answer", "answer": answer, "seconds": seconds, "switches": switches, "drop_outs": 0 })
}

/// The samples of a WAV file of 24 bits with an extensible header, interleaved.
fn samples(file: &[u8]) -> Vec<f64> {
    let data = file.windows(4).position(|window| window == b"data").unwrap() + 8;
    let sample = |bytes: &[u8]| f64::from(i32::from_le_bytes([0, bytes[0], bytes[1], bytes[2]])) / 2f64.powi(31);
    file[data..].as_chunks::<3>().0.iter().map(|bytes| sample(bytes)).collect()
}

/// The lines of a log.
fn lines(session: &Path) -> usize {
    std::fs::read_to_string(session.join(LOG)).unwrap().lines().count()
}

/// Copies a folder with all that is in it, but for locks.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

#[test]
fn two_listeners_at_once_get_to_the_end_and_nothing_told_them_what_was_hidden() {
    let home = TempDir::new().unwrap();
    let server = Running::start(create(&home.path().join("panel"), 2));
    let taken: Vec<(Listener, String, Vec<String>)> = std::thread::scope(|scope| {
        let take = |index: usize| {
            let (address, token, session) = (server.address, server.tokens[index].clone(), server.session(index));
            move || {
                let mut listener = Listener::new(address, &token, index as u8);
                assert_eq!(listener.enter().status, 200);
                // What must not leave before the end: the seed and the nonce, which lie in the session's folder.
                let secret = std::fs::read_to_string(session.join(SEED)).unwrap();
                let secrets: Vec<String> = secret.split_whitespace().map(str::to_owned).collect();
                assert_eq!(secrets.len(), 2);
                listener.check();
                let receipt = listener.take();
                (listener, receipt, secrets)
            }
        };
        let threads: Vec<_> = (0..2).map(|index| scope.spawn(take(index))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (index, (listener, receipt, secrets)) in taken.iter().enumerate() {
        let log = std::fs::read_to_string(server.session(index).join(LOG)).unwrap();
        let first: Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
        let last: Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
        let hashes = first["matching"]["stimuli_sha256"].as_array().unwrap().iter().map(|hash| hash.as_str().unwrap());
        let files = first["files"].as_object().unwrap().values().map(|hash| hash.as_str().unwrap());
        let words =
            ["saturator", "\"dry\"", "Dry", "mapping", "seed", "nonce", "swapped", "bits", "side", "right\"", "path", "drive"];
        let other = &taken[1 - index];
        let others = [other.0.token.as_str(), other.0.secret.as_str(), other.1.as_str()];
        let hidden: Vec<&str> =
            hashes.chain(files).chain(words).chain(secrets.iter().map(String::as_str)).chain(others).collect();
        assert!(listener.seen.len() > 40);
        for text in &listener.seen {
            for word in &hidden {
                assert!(!text.contains(word), "'{word}' in: {text}");
            }
        }
        // The training's feedback is the one thing that tells, and it is for that trial alone.
        let told = listener.seen.iter().filter(|text| text.contains("That was right.")).count();
        assert_eq!(told, 1);
        // Two of training and control each, five of the control, and those of the test, three sounds each; and the pulses.
        assert_eq!(listener.sounds.len(), 1 + 3 * (1 + 5 + TRIALS as usize));
        assert_eq!(last["result"]["count"], TRIALS);
        let checked = verify(&server.session(index), Some(receipt)).unwrap();
        assert!(checked.passed(), "{:?}", checked.checks.iter().filter(|check| !check.passed).collect::<Vec<_>>());
        assert_eq!(
            checked.sentences,
            listener.view["sentences"].as_array().unwrap().iter().map(|s| s.as_str().unwrap()).collect::<Vec<_>>()
        );
        assert_eq!(first["setup"]["listener"], format!("listener {}", index + 1));
        assert_eq!((&first["venue"], &first["earlier"]["complete"]), (&json!("isotherm listen serve, a test"), &json!(0)));
    }
    assert_eq!(*server.faults.lock().unwrap(), Vec::<String>::new());
}

#[test]
fn a_link_is_for_the_browser_that_opened_it_first_and_goes_on_with_its_secret_anywhere() {
    let home = TempDir::new().unwrap();
    let server = Running::start(create(&home.path().join("panel"), 2));
    let other_panel = create(&home.path().join("other"), 1);
    let foreign = other_panel.links()[0].token.clone();
    for (index, token) in server.tokens.iter().enumerate() {
        assert!(token.len() == 32 && token.bytes().all(|byte| byte.is_ascii_hexdigit()) && *token != server.tokens[1 - index]);
    }
    for token in ["", "0", &"0".repeat(32), &foreign, "../panel.json", &server.tokens[0].to_uppercase()] {
        let reply = Listener::new(server.address, token, 1).enter();
        assert_eq!((reply.status, reply.code().as_str()), (403, "unknown-link"), "{token}");
    }
    assert!(!server.session(0).exists(), "a session begins when its link is opened");
    let mut own = Listener::new(server.address, &server.tokens[0], 1);
    own.secret = "12".into();
    assert_eq!(own.enter().code(), "malformed");
    let mut own = Listener::new(server.address, &server.tokens[0], 1);
    assert_eq!(own.enter().status, 200);
    let reply = Listener::new(server.address, &server.tokens[0], 2).enter();
    assert_eq!((reply.status, reply.code().as_str()), (403, "bound"));
    assert!(reply.line().starts_with("this link was opened in another browser already"), "{}", reply.line());
    own.check();
    assert_eq!(own.act(&json!({ "kind": "continue" })).status, 200);
    assert_eq!((&own.view["step"], &own.view["number"]), (&json!("answer"), &json!(1)));
    let before = lines(&server.session(0));

    // Another device, in the middle of a trial: the trial is the same, the sound check comes again, the old page is told.
    let mut device = Listener::new(server.address, &server.tokens[0], 1);
    assert_eq!(device.enter().status, 200);
    let stale = own.act(&answer_of("first", 2.0));
    assert_eq!((stale.status, stale.code().as_str()), (401, "other-visit"));
    let refused = device.act(&answer_of("first", 2.0));
    assert_eq!((refused.status, refused.code().as_str()), (409, "sound-check"));
    device.check();
    assert_eq!((&device.view["step"], &device.view["number"], lines(&server.session(0))), (&json!("answer"), &json!(1), before));
    assert_eq!(device.act(&answer_of("second", 2.0)).status, 200);
    assert_eq!(lines(&server.session(0)), before + 1);
    // A visit of one listener is none of another.
    let mut second = Listener::new(server.address, &server.tokens[1], 7);
    assert_eq!(second.enter().status, 200);
    assert_ne!(second.view["receipt"], device.view["receipt"]);
    second.visit = "0".repeat(32);
    assert_eq!(second.ask("GET", "state", None).status, 401);
}

#[test]
fn a_step_is_taken_once_and_in_its_turn() {
    let home = TempDir::new().unwrap();
    let server = Running::start(create(&home.path().join("panel"), 1));
    let mut listener = Listener::new(server.address, &server.tokens[0], 1);
    listener.enter();
    let session = server.session(0);
    // The rate of a browser that converts, and a number that is not that of the pulses.
    let rate = listener.go("POST", "sound-check", Some(&json!({ "pulses": 2, "sample_rate": 44100 })));
    assert_eq!((rate.status, rate.code().as_str()), (409, "rate"));
    assert!(rate.line().contains("plays at 44100 Hz and the sound has 48000 Hz"), "{}", rate.line());
    listener.go("POST", "sound-check", Some(&json!({ "pulses": 1, "sample_rate": RATE })));
    assert_eq!(listener.view["stage"], "sound-check");
    assert!(listener.view["note"].as_str().unwrap().starts_with("That was not the number."));
    listener.check();
    let first = listener.view["receipt"].clone();
    listener.act(&json!({ "kind": "continue" }));
    let receipt = listener.view["receipt"].clone();
    assert_eq!(lines(&session), 3);

    // Sounds can be fetched once, and not after the state was asked for again.
    let id = listener.view["sounds"][0]["sound"].clone();
    listener.sound(&id);
    assert_eq!(listener.ask("GET", &format!("sounds/{}", id.as_str().unwrap()), None).code(), "no-sound");
    let id = listener.view["sounds"][1]["sound"].clone();
    listener.go("GET", "state", None);
    assert_eq!(listener.ask("GET", &format!("sounds/{}", id.as_str().unwrap()), None).code(), "no-sound");

    let malformed = [
        json!({ "kind": "answer", "answer": "first", "seconds": 2.0, "switches": [], "drop_outs": 0 }),
        json!({ "kind": "answer", "answer": "first", "seconds": 1.0, "switches": [{ "button": "x", "at": 1.5 }], "drop_outs": 0 }),
        json!({ "kind": "answer", "answer": "first", "seconds": -1.0, "switches": [{ "button": "x", "at": 0.5 }], "drop_outs": 0 }),
        json!({ "kind": "answer", "answer": "third", "seconds": 1.0, "switches": [{ "button": "x", "at": 0.5 }], "drop_outs": 0 }),
        json!({ "kind": "answer", "answer": "first", "seconds": 1.0, "switches": [{ "button": "x", "at": 0.5 }], "drop_outs": -1 }),
        json!({ "kind": "answer", "answer": "first", "seconds": 1.0, "switches": vec![json!({ "button": "x", "at": 0.5 }); 1001], "drop_outs": 0 }),
        json!({ "kind": "void" }),
        json!(null),
    ];
    for action in malformed {
        let reply = listener.act(&action);
        assert_eq!((reply.status, reply.code().as_str()), (400, "malformed"), "{action}");
    }
    for action in [json!({ "kind": "continue" }), json!({ "kind": "confidence", "confidence": 2 }), answer_of("same", 2.0)] {
        assert_eq!(listener.act(&action).code(), "out-of-turn", "{action}");
    }
    assert_eq!(lines(&session), 3);

    // A post that comes again, as after an acknowledgement that was lost, makes one entry.
    let answer = answer_of("first", 2.0);
    let step = json!({ "after": receipt, "action": answer });
    for _ in 0..3 {
        let reply = listener.go("POST", "step", Some(&step));
        assert_eq!((reply.status, &listener.view["step"]), (200, &json!("feedback")));
    }
    assert_eq!(lines(&session), 4);
    // Another answer to it, and an answer to an earlier step.
    for step in [json!({ "after": receipt, "action": answer_of("second", 2.0) }), json!({ "after": first, "action": answer })] {
        assert_eq!(listener.go("POST", "step", Some(&step)).code(), "out-of-turn");
    }
    assert_eq!(lines(&session), 4);
    // An early end: nothing can follow.
    assert_eq!(listener.act(&json!({ "kind": "abort" })).status, 200);
    assert_eq!(listener.view["stage"], "ended");
    assert_eq!(listener.act(&json!({ "kind": "continue" })).code(), "out-of-turn");
    assert!(verify(&session, listener.view["receipt"].as_str()).unwrap().passed());
}

#[test]
fn bad_requests_get_a_line_and_change_nothing() {
    let home = TempDir::new().unwrap();
    let server = Running::start(create(&home.path().join("panel"), 1));
    let address = server.address;
    let mut listener = Listener::new(address, &server.tokens[0], 1);
    listener.enter();
    listener.check();
    let session = server.session(0);
    let before = lines(&session);
    for path in [
        "/../panel.json",
        "/%2e%2e/panel.json",
        "/api/sounds/../../panel.json",
        "/api/sounds/..%2f..%2fpanel.json",
        "/panel.json",
        "/listener-01/seed",
        "//etc/passwd",
        "/page.js/../../links.json",
    ] {
        let reply = request(address, "GET", path, &format!("Authorization: Bearer {}\r\n", listener.visit), b"");
        assert_eq!(reply.status, 404, "{path}");
        assert!(!String::from_utf8_lossy(&reply.body).contains(&server.tokens[0]), "{path}");
    }
    let own = format!("Origin: http://{address}\r\n");
    let kind = "Content-Type: application/json\r\n";
    let visit = format!("Authorization: Bearer {}\r\n", listener.visit);
    let post = |head: &str, body: &[u8]| request(address, "POST", "/api/step", head, body);
    let good = json!({ "after": listener.view["receipt"], "action": { "kind": "continue" } }).to_string();
    assert_eq!(post(&format!("{visit}{kind}"), good.as_bytes()).status, 403, "no origin");
    for origin in ["http://evil.example", "null", "http://127.0.0.1:1"] {
        assert_eq!(post(&format!("{visit}{kind}Origin: {origin}\r\n"), good.as_bytes()).code(), "other-origin", "{origin}");
    }
    assert_eq!(post(&format!("{visit}{kind}{own}Sec-Fetch-Site: cross-site\r\n"), good.as_bytes()).status, 403);
    assert_eq!(post(&format!("{visit}{own}Content-Type: text/plain\r\n"), good.as_bytes()).status, 415);
    assert_eq!(post(&format!("{kind}{own}"), good.as_bytes()).status, 401, "no visit");
    for body in [
        "",
        "{",
        "[]",
        "\u{0}",
        "{\"after\":1}",
        "nul",
        "\"\\ud800\"",
        "{\"after\":\"\",\"action\":{\"kind\":\"continue\"},\"more\":1}",
    ] {
        assert_eq!(post(&format!("{visit}{kind}{own}"), body.as_bytes()).code(), "malformed", "{body}");
    }
    assert_eq!(post(&format!("{visit}{kind}{own}"), &[0xff; 100]).status, 400);
    assert_eq!(post(&format!("{visit}{kind}{own}"), "[".repeat(60_000).as_bytes()).status, 400, "deeply nested");
    assert_eq!(post(&format!("{visit}{kind}{own}"), &vec![b' '; 70_000]).status, 413);
    for method in ["PUT", "DELETE", "OPTIONS", "TRACE"] {
        assert_eq!(request(address, method, "/api/step", "", b"").status, 405, "{method}");
    }
    // Names that are turned to this machine, none, and two.
    for host in ["Host: evil.example\r\n", "Host: evil.example\r\nHost: 127.0.0.1\r\n", ""] {
        let reply = exchange(address, format!("GET / HTTP/1.1\r\n{host}Connection: close\r\n\r\n").as_bytes());
        assert!([400, 421].contains(&reply.status), "{host}: {}", reply.status);
    }
    for bytes in [&b"\x16\x03\x01\x02\x00\x01\x00"[..], b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", &[b'a'; 100_000]] {
        let status = exchange(address, bytes).status;
        assert!(status == 0 || (400..=505).contains(&status), "{status}");
    }
    assert_eq!(lines(&session), before);
    let page = request(address, "GET", "/", "", b"");
    assert_eq!(page.status, 200);
    for header in [
        "content-security-policy: default-src 'none'; script-src 'self'",
        "referrer-policy: no-referrer",
        "x-frame-options: DENY",
    ] {
        assert!(page.head.contains(header), "{}", page.head);
    }
    assert_eq!(*server.faults.lock().unwrap(), Vec::<String>::new());
    // All the same, the test goes on.
    assert_eq!(listener.act(&json!({ "kind": "continue" })).status, 200);
}

#[test]
fn a_flood_of_one_listener_is_stopped_and_troubles_no_other() {
    let home = TempDir::new().unwrap();
    let server = Running::start(create(&home.path().join("panel"), 2));
    let address = server.address;
    let mut listener = Listener::new(address, &server.tokens[0], 1);
    listener.enter();
    listener.check();
    let mut other = Listener::new(address, &server.tokens[1], 2);
    other.enter();
    let head =
        format!("Authorization: Bearer {}\r\nOrigin: http://{address}\r\nContent-Type: application/json\r\n", listener.visit);
    let step = json!({ "after": "0", "action": { "kind": "continue" } }).to_string();
    let begun = std::time::Instant::now();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let flood = || (0..125).map(|_| request(address, "POST", "/api/step", &head, step.as_bytes()).status).collect::<Vec<_>>();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(flood)).collect();
        // Strangers have a limit of their own.
        let guess = |n: u32| Listener::new(address, &format!("{n:032}"), 1).token;
        for n in 0..60 {
            let body = json!({ "token": guess(n), "secret": "0".repeat(64) }).to_string();
            let head = format!("Origin: http://{address}\r\nContent-Type: application/json\r\n");
            assert!([403, 429].contains(&request(address, "POST", "/api/enter", &head, body.as_bytes()).status));
        }
        let seconds = std::time::Instant::now();
        other.check();
        assert!(seconds.elapsed() < Duration::from_secs(20));
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses.len(), 1000);
    let taken = statuses.iter().filter(|status| **status == 409).count();
    let most = 40 + 10 * (begun.elapsed().as_secs() as usize + 1);
    assert!(taken > 0 && taken <= most, "{taken} of at most {most}");
    assert!(statuses.iter().all(|status| [409, 429].contains(status)), "{statuses:?}");
    assert_eq!(lines(&server.session(0)), 2);
    assert_eq!(listener.act(&json!({ "kind": "continue" })).status, 200, "afterwards it goes on");
}

#[test]
fn a_server_that_is_killed_after_any_step_has_lost_nothing() {
    let home = TempDir::new().unwrap();
    let server = Running::start(create(&home.path().join("panel"), 1));
    let mut listener = Listener::new(server.address, &server.tokens[0], 1);
    listener.enter();
    listener.check();
    let mut copies = 0;
    for step in 0.. {
        let after = listener.view["receipt"].clone();
        let action = listener.action(true);
        assert_eq!(listener.act(&action).status, 200);
        let has_ended = listener.view["stage"] == "ended";
        // The disk as a kill leaves it after this step was acknowledged; a third of the steps, and the last.
        if step % 3 != 0 && !has_ended {
            continue;
        }
        copies += 1;
        let copied = home.path().join(format!("killed-{step}"));
        copy(&server.path, &copied);
        let session = copied.join("listener-01");
        // A line that was half written is cut off.
        if !has_ended {
            let mut log = std::fs::OpenOptions::new().append(true).open(session.join(LOG)).unwrap();
            log.write_all(b"{\"line\":99,\"prev").unwrap();
        }
        let kept = std::fs::read_to_string(server.session(0).join(LOG)).unwrap();
        let again = Running::start(Panel::open(&copied).unwrap());
        assert_eq!(again.tokens, server.tokens, "the links are the same");
        let mut returned = Listener::new(again.address, &again.tokens[0], 1);
        assert_eq!(Listener::new(again.address, &again.tokens[0], 9).enter().code(), "bound");
        assert_eq!(returned.enter().status, 200);
        assert!(std::fs::read_to_string(session.join(LOG)).unwrap().starts_with(&kept), "a line was lost");
        let now = lines(&session);
        // The page posts what was not acknowledged, as far as it knows.
        let repeated = returned.go("POST", "step", Some(&json!({ "after": after, "action": action })));
        assert_eq!((repeated.status, lines(&session)), (200, now), "{}", String::from_utf8_lossy(&repeated.body));
        if has_ended {
            assert_eq!(returned.view["sentences"], listener.view["sentences"]);
            assert_eq!(returned.view["receipt"], listener.view["receipt"]);
            break;
        }
        returned.check();
        let receipt = returned.take();
        let checked = verify(&session, Some(&receipt)).unwrap();
        assert!(checked.passed(), "{:?}", checked.checks.iter().filter(|check| !check.passed).collect::<Vec<_>>());
        let closed: Value =
            serde_json::from_str(std::fs::read_to_string(session.join(LOG)).unwrap().lines().last().unwrap()).unwrap();
        assert_eq!((&closed["result"]["trials"], &closed["result"]["count"]), (&json!(TRIALS), &json!(TRIALS)));
    }
    assert!(copies > 8, "{copies}");
}

#[test]
fn a_panel_that_cannot_be_made_or_opened_is_refused_in_one_line() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("panel");
    let panel = create(&path, 2);
    let in_use = Panel::open(&path).unwrap_err();
    assert!(in_use.to_string().contains("another program serves this panel"), "{in_use}");
    drop(panel);
    assert!(Panel::open(&path).is_ok());
    let error = |path: &Path| Panel::open(path).unwrap_err().to_string();
    assert!(error(home.path()).contains("no panel; expected a new folder, or one with panel.json"));
    let changed = |name: &str, change: &dyn Fn(String) -> String| {
        let copied = home.path().join(name.replace('/', "-"));
        copy(&path, &copied);
        let file = copied.join(name);
        std::fs::write(&file, change(std::fs::read_to_string(&file).unwrap())).unwrap();
        let line = error(&copied);
        std::fs::remove_dir_all(&copied).unwrap();
        assert_eq!(line.lines().count(), 1, "{line}");
        line
    };
    assert!(
        changed(PANEL, &|text| text.replace("\"version\": 1,\n  \"listeners", "\"version\": 2,\n  \"listeners"))
            .contains("a newer version")
    );
    assert!(changed(PANEL, &|text| text[..text.len() / 2].into()).contains("panel.json: EOF"));
    assert!(changed(PANEL, &|text| text.replace("\"listeners\": 2", "\"listeners\": 3")).contains("2 links; expected 3"));
    assert!(changed(LINKS, &|_| "[]".into()).contains("0 links; expected 2"));
    assert!(
        changed(&format!("{SOUNDS}/a.json"), &|text| text + " ").contains("the files are not those that the panel began with")
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(path.join(LINKS)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "links are for their owner alone");
    }

    let sound = Arc::new(generate::guitar(RATE, 2, 1).unwrap().slice(..2 * RATE as usize).unwrap());
    let make = |name: &str, setup: TestSetup, listeners| {
        let path = home.path().join(name);
        let error = Panel::create(&path, setup, sound.clone(), listeners).unwrap_err();
        assert!(name == "panel" || !path.exists(), "nothing is left");
        error
    };
    assert!(matches!(make("panel", setup(), 1), PanelError::NotEmpty(_)));
    assert!(matches!(make("new", setup(), 0), PanelError::Listeners { found: 0 }));
    assert!(matches!(make("new", setup(), 501), PanelError::Listeners { found: 501 }));
    let equal = TestSetup { sides: [SideChoice::Dry, SideChoice::Effect("saturator drive=0 mix=0".into())], ..setup() };
    assert!(matches!(make("new", equal, 1), PanelError::Gates(_)));
    let slot = TestSetup { sides: [SideChoice::Slot(0), SideChoice::Dry], ..setup() };
    assert!(make("new", slot, 1).to_string().contains("neither slots nor live sound"));
    let few = TestSetup { protocol: Protocol { trials: 3, ..Protocol::QUICK }, ..setup() };
    assert!(make("new", few, 1).to_string().starts_with("3 trials"));
    let wide = Arc::new(isotherm::audio::Audio::silence(RATE, 4, RATE as usize));
    let error = Panel::create(&home.path().join("new"), setup(), wide, 1).unwrap_err();
    assert!(error.to_string().starts_with("the sound has 4 channels"), "{error}");
}

#[test]
fn a_folder_that_was_half_made_and_a_log_that_is_lost_trouble_one_listener_alone() {
    let home = TempDir::new().unwrap();
    let server = Running::start(create(&home.path().join("panel"), 2));
    // The program went while it made the folder: there was no log, so nothing was played.
    std::fs::create_dir(server.session(0)).unwrap();
    std::fs::write(server.session(0).join("loop.wav"), "half").unwrap();
    let mut first = Listener::new(server.address, &server.tokens[0], 1);
    assert_eq!(first.enter().status, 200);
    first.check();
    // Another program deletes the log.
    std::fs::remove_file(server.session(0).join(LOG)).unwrap();
    let lost = first.act(&json!({ "kind": "continue" }));
    assert_eq!((lost.status, lost.code().as_str()), (410, "lost"));
    assert!(!lost.line().contains('/'), "no path leaves the server: {}", lost.line());
    assert!(server.faults.lock().unwrap()[0].contains("the log was deleted or moved"));
    let mut second = Listener::new(server.address, &server.tokens[1], 2);
    assert_eq!(second.enter().status, 200);
    second.check();
    assert_eq!(second.act(&json!({ "kind": "continue" })).status, 200);
    // A session that is gone is not begun anew.
    let path = server.path.clone();
    drop(server);
    std::fs::remove_dir_all(path.join("listener-01")).unwrap();
    let server = Running::start(Panel::open(&path).unwrap());
    let gone = Listener::new(server.address, &server.tokens[0], 1).enter();
    assert_eq!((gone.status, gone.code().as_str()), (410, "lost"));
    assert!(server.faults.lock().unwrap()[0].ends_with("listener-01: the session is gone"));
}
