//! A virtual X11 display (Xvfb), for tests of real windows without a screen.

use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use x11rb::connection::Connection as _;
use x11rb::protocol::Event;
use x11rb::protocol::damage::{ConnectionExt as _, ReportLevel};
use x11rb::rust_connection::RustConnection;

use crate::test_name;

/// Time that a whole test may take, on a machine that is busy with other things.
pub const TEST_TIMEOUT: Duration = Duration::from_secs(120);
/// Time between two polls.
pub const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// A child process that is killed when this is dropped.
pub struct ChildProcess(pub Child);

impl ChildProcess {
    /// Starts a program, without an input.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start(command: &mut Command) -> Self {
        match command.stdin(Stdio::null()).spawn() {
            Ok(child) => Self(child),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                panic!("{} is missing: run `cargo xtask setup`", command.get_program().display())
            }
            Err(error) => panic!("{}: {error}", command.get_program().display()),
        }
    }

    /// The exit status if the process has ended; `None` while it runs.
    ///
    /// # Panics
    /// If the system cannot tell.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().unwrap()
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        // Nothing survives SIGKILL, so the wait is short; without it a zombie would be left.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Polls until there is a value. `what` names it for the message.
///
/// # Panics
/// If there is none at the deadline.
pub fn wait_for<T>(what: &str, deadline: Instant, mut poll: impl FnMut() -> Option<T>) -> T {
    loop {
        if let Some(value) = poll() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited too long for {what}");
        thread::sleep(POLL_INTERVAL);
    }
}

/// Runs a short program and returns its standard output; `None` if it fails.
///
/// # Panics
/// If it cannot be started, or still runs 5 s after the deadline.
pub fn output(command: &mut Command, deadline: Instant) -> Option<Vec<u8>> {
    let mut running = ChildProcess::start(command.stdout(Stdio::piped()).stderr(Stdio::null()));
    let mut pipe = running.0.stdout.take().unwrap();
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).map(|_| bytes)
    });
    let name = command.get_program().display().to_string();
    // A little longer, so that a caller who polls with such programs reaches its own deadline first and names what it waits for.
    let status = wait_for(&name, deadline + Duration::from_secs(5), || running.exit_status());
    let bytes = reader.join().unwrap().unwrap();
    status.success().then_some(bytes)
}

/// A virtual display with its server.
pub struct VirtualDisplay {
    /// Name for the variable `DISPLAY`: `:99`.
    pub name: String,
    /// Time by which the test must be done.
    pub deadline: Instant,
    /// The X server, Xvfb.
    pub server: ChildProcess,
}

impl VirtualDisplay {
    /// Starts a server with a screen of this size in pixels.
    ///
    /// # Panics
    /// If Xvfb is missing or does not start.
    pub fn open((width, height): (u32, u32), deadline: Instant) -> Self {
        let mut command = Command::new("Xvfb");
        let screen = format!("{width}x{height}x24");
        // -noreset: otherwise the server resets when its last client disconnects, and refuses one that connects meanwhile.
        command.args(["-displayfd", "1", "-screen", "0", &screen, "-nolisten", "tcp", "-noreset"]);
        let mut server = ChildProcess::start(command.stdout(Stdio::piped()).stderr(Stdio::null()));
        let pipe = server.0.stdout.take().unwrap();
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            let _ = BufReader::new(pipe).read_line(&mut line);
            let _ = sender.send(line);
        });
        let line = receiver.recv_timeout(deadline - Instant::now()).expect("Xvfb tells the number of its display");
        let number: u32 = line.trim().parse().expect("Xvfb opens a display");
        Self { name: format!(":{number}"), deadline, server }
    }

    /// A command whose program opens its windows on this display.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("DISPLAY", &self.name).env_remove("XAUTHORITY").env_remove("WAYLAND_DISPLAY");
        command
    }

    /// Runs `xdotool` with these arguments on this display; `None` if it fails.
    ///
    /// # Panics
    /// If it is missing, or its output is not a text.
    pub fn xdotool(&self, words: &[&str]) -> Option<String> {
        let bytes = output(self.command("xdotool").args(words), self.deadline)?;
        Some(String::from_utf8(bytes).unwrap())
    }
}

/// Environment variable that is set in the process that [`is_on_display`] starts. A process of its own is needed as `DISPLAY`,
/// which a plug-in reads, must be set before the process has threads.
const ON_DISPLAY: &str = "ISOTHERM_TEST_ON_DISPLAY";

/// Runs the test `test` of `module`, given as `module_path!()`, a second time in a process that has a virtual display of its own.
/// Returns true in that process, where the test goes on, and false in the first, where it is done. `screen` is the display's size
/// in pixels; `set_up` prepares the display as a client that stays connected.
///
/// # Panics
/// If the test fails, or takes longer than `timeout`.
pub fn is_on_display(
    module: &str,
    test: &str,
    screen: (u32, u32),
    timeout: Duration,
    set_up: impl FnOnce(&RustConnection),
) -> bool {
    is_on_display_at_home(module, test, screen, timeout, None, set_up)
}

/// Runs a test on a display as [`is_on_display`] does, in a process whose user's home folder is `home`.
///
/// # Panics
/// In the cases of [`is_on_display`].
pub fn is_on_display_at_home(
    module: &str,
    test: &str,
    screen: (u32, u32),
    timeout: Duration,
    home: Option<&Path>,
    set_up: impl FnOnce(&RustConnection),
) -> bool {
    if std::env::var_os(ON_DISPLAY).is_some() {
        return true;
    }
    let deadline = Instant::now() + timeout;
    let display = VirtualDisplay::open(screen, deadline);
    let (client, _) = RustConnection::connect(Some(&display.name)).unwrap();
    set_up(&client);
    let mut command = display.command(std::env::current_exe().unwrap().to_str().unwrap());
    command.args(["--exact", &test_name(module, test), "--nocapture", "--test-threads", "1"]);
    command.env(ON_DISPLAY, "1").env("LIBGL_ALWAYS_SOFTWARE", "1");
    if let Some(home) = home {
        command.env("HOME", home);
    }
    // The child's output goes to a file and is printed with a prefix, so that tools that count tests do not count the child's
    // test.
    let mut log = tempfile::tempfile().unwrap();
    command.stdout(log.try_clone().unwrap()).stderr(log.try_clone().unwrap());
    let mut running = ChildProcess::start(&mut command);
    let status = wait_for("the test", deadline, || running.exit_status());
    let mut text = String::new();
    log.seek(SeekFrom::Start(0)).and_then(|_| log.read_to_string(&mut text)).unwrap();
    text.lines().for_each(|line| println!("| {line}"));
    assert!(status.success(), "{test}: {status}; see above");
    assert!(text.contains("1 passed"), "{test}: no such test in {module}");
    false
}

/// Number of repaints of a window within two seconds, in which `meanwhile` is called every few milliseconds. `display` is the
/// display's name; if none, that of the environment.
///
/// # Panics
/// If the display cannot be reached or has no such window.
pub fn repaints(display: Option<&str>, window: u32, mut meanwhile: impl FnMut()) -> usize {
    let (connection, _) = RustConnection::connect(display).unwrap();
    connection.damage_query_version(1, 1).unwrap().reply().unwrap();
    let damage = connection.generate_id().unwrap();
    connection.damage_create(damage, window, ReportLevel::NON_EMPTY).unwrap().check().unwrap();
    let mut count = 0;
    let mut drain = || {
        while let Some(event) = connection.poll_for_event().unwrap() {
            if matches!(event, Event::DamageNotify(_)) {
                count += 1;
                connection.damage_subtract(damage, x11rb::NONE, x11rb::NONE).unwrap().check().unwrap();
            }
        }
    };
    let deadline = Instant::now() + Duration::from_secs(2);
    while Instant::now() < deadline {
        meanwhile();
        drain();
        thread::sleep(Duration::from_millis(5));
    }
    drain();
    count
}
