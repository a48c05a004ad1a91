//! A JACK server of a test's own, and the program at it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

pub const CHANNELS: usize = 32;
pub const RATE: usize = 48_000;
pub const PERIOD: usize = 256;
/// Frame numbers come again after so many frames (5.46 s): with the channel they fill 23 bits, and none is 0.
pub const TURN: u32 = (1 << 18) - 1;
/// Tells this program that it is a client of a test.
pub const PLAYER: &str = "ISOTHERM_TEST_PLAYER";
/// A server starts, and a client connects, within this time.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Whether a test runs as a client of another.
pub fn is_player() -> bool {
    std::env::var_os(PLAYER).is_some()
}

/// A client waits for the test that started it.
pub fn wait_for_the_end() {
    let _ = std::io::Read::read_to_end(&mut std::io::stdin(), &mut Vec::new());
}

/// What is played on a channel at a frame.
pub fn code(channel: usize, frame: u32) -> i32 {
    ((frame % TURN + 1) << 5) as i32 + channel as i32
}

/// Ends with its owner.
pub struct Process(pub Child);

impl Process {
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id().cast_signed()), signal).unwrap();
    }

    /// Whether it ended as it should when it was told to.
    fn end_in_peace(&mut self) -> bool {
        let ended = |child: &mut Child| child.try_wait().ok().flatten();
        if ended(&mut self.0).is_none() {
            self.signal(Signal::SIGTERM);
        }
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE && ended(&mut self.0).is_none() {
            std::thread::sleep(Duration::from_millis(20));
        }
        ended(&mut self.0).is_some_and(|status| status.success())
    }

    pub fn end(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// A JACK server of our own, without sound card: jackd, or PipeWire.
pub struct Server {
    pub name: String,
    pub folder: TempDir,
    pub jackd: Process,
    /// Programs are run by this one.
    pub through: Option<&'static str>,
    /// A client of it, which is ended first.
    pub player: Option<Process>,
}

impl Server {
    /// None, said aloud, where there is no jackd.
    pub fn start(test: &str, waits: bool) -> Option<Self> {
        let name = format!("isotherm-{test}-{}", std::process::id());
        let folder = tempfile::tempdir().unwrap();
        let Some(jackd) = jackd(&name, waits) else {
            println!("skipped: there is no jackd; cargo xtask setup installs it");
            return None;
        };
        let server = Self { name, folder, jackd, through: None, player: None };
        server.wait_for("system");
        Some(server)
    }

    /// Starts a client: this program once more, as the test `module::client`.
    pub fn play(&mut self, test: &str) {
        let (_, client) = test.rsplit_once("::").expect("module::client");
        let mut player = self.command(std::env::current_exe().unwrap().to_str().unwrap());
        player.args([test, "--exact", "--ignored"]).env(PLAYER, "1").stdin(Stdio::piped());
        self.player = Some(Process(player.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()));
        self.wait_for(client);
    }

    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.through.unwrap_or(program));
        command.args(self.through.map(|_| program));
        command.env("JACK_DEFAULT_SERVER", &self.name).current_dir(self.folder.path());
        if self.through.is_some() {
            command.env("XDG_RUNTIME_DIR", self.folder.path());
        }
        let own = self.folder.path().join("sim.conf");
        command.env("ALSA_CONFIG_PATH", format!("/usr/share/alsa/alsa.conf:{}", own.display()));
        command
    }

    pub fn isotherm(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_isotherm"));
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Until the server has a client with 32 outputs of this name.
    pub fn wait_for(&self, client: &str) {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let output = self.isotherm(&["devices", "--host", "jack", "--json"]).output().unwrap();
            let report: Value = serde_json::from_slice(&output.stdout).unwrap();
            let is = |d: &Value| d["host"] == "jack" && d["device"] == client && d["grants"][0]["channels"] == CHANNELS;
            if report["devices"].as_array().unwrap().iter().any(is) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("no '{client}' at {} after {PATIENCE:?}", self.name);
    }

    pub fn take(&self) -> PathBuf {
        let begun = Instant::now();
        loop {
            let found = std::fs::read_dir(self.folder.path().join("takes")).into_iter().flatten().flatten().next();
            match found {
                Some(take) => return take.path(),
                None if begun.elapsed() > PATIENCE => panic!("no take after {PATIENCE:?}"),
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(player) = &mut self.player {
            player.end();
        }
        // Told to end, it takes its traces in /dev/shm along.
        if self.jackd.0.try_wait().is_ok_and(|status| status.is_none()) {
            self.jackd.signal(Signal::SIGCONT);
        }
        if !self.jackd.end_in_peace() && self.through.is_none() {
            // JACK has eight places for servers. One that was killed keeps its own, until another of its name gives it back.
            if let Some(mut other) = jackd(&self.name, false) {
                std::thread::sleep(Duration::from_secs(1));
                other.end_in_peace();
            }
        }
    }
}

/// If `waits`, each cycle of the server waits for all clients, so that no number is missing but by our fault.
pub fn jackd(name: &str, waits: bool) -> Option<Process> {
    let there = Command::new("jackd").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    there.ok()?;
    let (channels, rate, period) = (CHANNELS.to_string(), RATE.to_string(), PERIOD.to_string());
    let dummy = ["-d", "dummy", "-r", &rate, "-p", &period, "-C", &channels, "-P", &channels];
    // A client that has gone while the server stood still must not end it: it dies of a broken pipe, uncleanly.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' PIPE; exec \"$0\" \"$@\"", "jackd", "-n", name, "-m"]).args(waits.then_some("-S")).args(dummy);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok().map(Process)
}

/// What a program says, read while it runs: a full pipe would stop it.
pub fn finish(mut process: Process) -> Output {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    std::io::Read::read_to_end(process.0.stdout.as_mut().unwrap(), &mut stdout).unwrap();
    std::io::Read::read_to_end(process.0.stderr.as_mut().unwrap(), &mut stderr).unwrap();
    Output { status: process.0.wait().unwrap(), stdout, stderr }
}

/// The last of the lines of JSON.
pub fn report(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.lines().last().unwrap_or_default())
        .unwrap_or_else(|e| panic!("{e}: {}: {text} {}", output.status, String::from_utf8_lossy(&output.stderr)))
}

/// The one line of a failure.
pub fn failure(output: &Output, code: i32) -> String {
    let line = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{line}");
    assert!(line.starts_with("isotherm: ") && line.ends_with('\n') && line.matches('\n').count() == 1, "{line}");
    line
}

pub fn codes(path: &Path) -> Vec<i32> {
    hound::WavReader::open(path).unwrap().samples::<i32>().map(Result::unwrap).collect()
}
