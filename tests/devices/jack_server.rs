//! A JACK server for a single test, and programs that are its clients.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

/// Channels of the server's sound card in each direction.
pub const CHANNELS: usize = 32;
/// Sample rate of the server in hertz.
pub const RATE: usize = 48_000;
/// Frames of a cycle.
pub const PERIOD: usize = 256;
/// Number of frames (5.46 s) after which frame numbers repeat: with the channel they fill 23 bits, and none is 0.
pub const NUMBER_PERIOD: u32 = (1 << 18) - 1;
/// Environment variable that tells this test program that it is a client of another test.
pub const CLIENT_VARIABLE: &str = "ISOTHERM_TEST_PLAYER";
/// Longest time in which a server starts and a client connects.
pub const TIMEOUT: Duration = Duration::from_secs(20);

/// Returns true if this process was started as a client of another test.
pub fn is_client() -> bool {
    std::env::var_os(CLIENT_VARIABLE).is_some()
}

/// Waits until the test that started this client closes its standard input.
pub fn wait_for_end_of_input() {
    let _ = std::io::Read::read_to_end(&mut std::io::stdin(), &mut Vec::new());
}

/// Returns the 24-bit sample that is played on a channel at a frame: the frame's number above five bits with the channel.
pub fn code(channel: usize, frame: u32) -> i32 {
    ((frame % NUMBER_PERIOD + 1) << 5) as i32 + channel as i32
}

/// A child process. Killed when it is dropped.
pub struct Process(pub Child);

impl Process {
    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id().cast_signed()), signal).unwrap();
    }

    /// Asks the process to end, and waits for it. Returns true if it ended without an error.
    fn terminate(&mut self) -> bool {
        let ended = |child: &mut Child| child.try_wait().ok().flatten();
        if ended(&mut self.0).is_none() {
            self.signal(Signal::SIGTERM);
        }
        let begun = Instant::now();
        while begun.elapsed() < TIMEOUT && ended(&mut self.0).is_none() {
            std::thread::sleep(Duration::from_millis(20));
        }
        ended(&mut self.0).is_some_and(|status| status.success())
    }

    /// Kills the process.
    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A JACK server without a sound card: jackd with its dummy driver, or PipeWire.
pub struct Server {
    /// Name of the server.
    pub name: String,
    /// Working directory of the clients.
    pub folder: TempDir,
    /// Process of the server.
    pub process: Process,
    /// Program that runs the clients with the right JACK library; `None` if none is needed.
    pub wrapper: Option<&'static str>,
    /// Client that [`Self::start_client`] has started. It is killed before the server ends.
    pub client: Option<Process>,
}

impl Server {
    /// Starts jackd for a test. For `synchronous` see [`start_jackd`]. Returns `None` and prints why if there is no jackd.
    pub fn start(test: &str, synchronous: bool) -> Option<Self> {
        let name = format!("isotherm-{test}-{}", std::process::id());
        let folder = tempfile::tempdir().unwrap();
        let Some(process) = start_jackd(&name, synchronous) else {
            println!("skipped: there is no jackd; cargo xtask setup installs it");
            return None;
        };
        let server = Self { name, folder, process, wrapper: None, client: None };
        server.wait_for("system");
        Some(server)
    }

    /// Starts a client: this test program as another process, which runs only the ignored test `module::client`. Waits until the
    /// server has a client of that name.
    pub fn start_client(&mut self, test: &str) {
        let (_, client) = test.rsplit_once("::").expect("module::client");
        let mut command = self.command(std::env::current_exe().unwrap().to_str().unwrap());
        command.args([test, "--exact", "--ignored"]).env(CLIENT_VARIABLE, "1").stdin(Stdio::piped());
        self.client = Some(Process(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()));
        self.wait_for(client);
    }

    /// Returns the command for a program that is a client of the server. ALSA also has the devices of the file `sim.conf`.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.wrapper.unwrap_or(program));
        command.args(self.wrapper.map(|_| program));
        command.env("JACK_DEFAULT_SERVER", &self.name).current_dir(self.folder.path());
        if self.wrapper.is_some() {
            command.env("XDG_RUNTIME_DIR", self.folder.path());
        }
        let configuration = self.folder.path().join("sim.conf");
        command.env("ALSA_CONFIG_PATH", format!("/usr/share/alsa/alsa.conf:{}", configuration.display()));
        command
    }

    /// Returns the command for `isotherm` as a client of the server.
    pub fn isotherm(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_isotherm"));
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Waits until the server has a client of this name with 32 outputs.
    pub fn wait_for(&self, client: &str) {
        let begun = Instant::now();
        while begun.elapsed() < TIMEOUT {
            let output = self.isotherm(&["devices", "--host", "jack", "--json"]).output().unwrap();
            let report: Value = serde_json::from_slice(&output.stdout).unwrap();
            let is = |d: &Value| d["host"] == "jack" && d["device"] == client && d["grants"][0]["channels"] == CHANNELS;
            if report["devices"].as_array().unwrap().iter().any(is) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("no '{client}' at {} after {TIMEOUT:?}", self.name);
    }

    /// Returns the folder of the first take, as soon as there is one.
    pub fn take(&self) -> PathBuf {
        let begun = Instant::now();
        loop {
            let found = std::fs::read_dir(self.folder.path().join("takes")).into_iter().flatten().flatten().next();
            match found {
                Some(take) => return take.path(),
                None if begun.elapsed() > TIMEOUT => panic!("no take after {TIMEOUT:?}"),
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(client) = &mut self.client {
            client.kill();
        }
        // A server that is asked to end removes its files in /dev/shm. One that a test has stopped must run again for that.
        if self.process.0.try_wait().is_ok_and(|status| status.is_none()) {
            self.process.signal(Signal::SIGCONT);
        }
        if !self.process.terminate() && self.wrapper.is_none() {
            // JACK registers at most eight servers. A killed one stays registered until another of its name ends properly.
            if let Some(mut other) = start_jackd(&self.name, false) {
                std::thread::sleep(Duration::from_secs(1));
                other.terminate();
            }
        }
    }
}

/// Starts jackd with its dummy driver. A `synchronous` server waits in each cycle for all clients, so that frames are missing
/// only if our program loses them. Returns `None` if there is no jackd.
pub fn start_jackd(name: &str, synchronous: bool) -> Option<Process> {
    Command::new("jackd").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().ok()?;
    let (channels, rate, period) = (CHANNELS.to_string(), RATE.to_string(), PERIOD.to_string());
    let dummy = ["-d", "dummy", "-r", &rate, "-p", &period, "-C", &channels, "-P", &channels];
    // SIGPIPE is ignored: a client that ended while the server was stopped must not kill the server, which would leave its files.
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' PIPE; exec \"$0\" \"$@\"", "jackd", "-n", name, "-m"])
        .args(synchronous.then_some("-S"))
        .args(dummy);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok().map(Process)
}

/// Waits for the end of a program and returns its output, read while it runs: a full pipe would stop it.
pub fn finish(mut process: Process) -> Output {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    std::io::Read::read_to_end(process.0.stdout.as_mut().unwrap(), &mut stdout).unwrap();
    std::io::Read::read_to_end(process.0.stderr.as_mut().unwrap(), &mut stderr).unwrap();
    Output { status: process.0.wait().unwrap(), stdout, stderr }
}

/// Returns the last line of the output as JSON.
pub fn report(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.lines().last().unwrap_or_default())
        .unwrap_or_else(|e| panic!("{e}: {}: {text} {}", output.status, String::from_utf8_lossy(&output.stderr)))
}

/// Returns the only line of a failure with this exit code.
pub fn failure(output: &Output, code: i32) -> String {
    let line = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{line}");
    assert!(line.starts_with("isotherm: ") && line.ends_with('\n') && line.matches('\n').count() == 1, "{line}");
    line
}

/// Returns the samples of a WAV file.
pub fn codes(path: &Path) -> Vec<i32> {
    hound::WavReader::open(path).unwrap().samples::<i32>().map(Result::unwrap).collect()
}
