//! A display without a screen, for tests of real windows.

use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use x11rb::connection::Connection as _;
use x11rb::protocol::Event;
use x11rb::protocol::damage::{ConnectionExt as _, ReportLevel};
use x11rb::rust_connection::RustConnection;

use crate::test_name;

/// For a whole test, on a machine that does much else.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks.
pub const PAUSE: Duration = Duration::from_millis(50);

/// A process that ends with its owner.
pub struct Running(pub Child);

impl Running {
    pub fn start(command: &mut Command) -> Self {
        match command.stdin(Stdio::null()).spawn() {
            Ok(child) => Self(child),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                panic!("{} is missing: run `cargo xtask setup`", command.get_program().display())
            }
            Err(error) => panic!("{}: {error}", command.get_program().display()),
        }
    }

    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Waiting leaves no zombie, and nothing outlives SIGKILL.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Looks until there is something to see.
pub fn wait<T>(what: &str, end: Instant, mut look: impl FnMut() -> Option<T>) -> T {
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited too long for {what}");
        thread::sleep(PAUSE);
    }
}

/// What a short program writes, if it succeeds.
pub fn output(command: &mut Command, end: Instant) -> Option<Vec<u8>> {
    let mut running = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::null()));
    let mut pipe = running.0.stdout.take().unwrap();
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).map(|_| bytes)
    });
    let name = command.get_program().display().to_string();
    // A little longer, so that what the program was asked for is what was waited for.
    let status = wait(&name, end + Duration::from_secs(5), || running.ended());
    let bytes = reader.join().unwrap().unwrap();
    status.success().then_some(bytes)
}

/// A display without a screen.
pub struct Display {
    pub name: String,
    pub end: Instant,
    pub server: Running,
}

impl Display {
    pub fn open((width, height): (u32, u32), end: Instant) -> Self {
        let mut command = Command::new("Xvfb");
        let screen = format!("{width}x{height}x24");
        // It stays as it is when its last client goes: one that comes meanwhile would be refused.
        command.args(["-displayfd", "1", "-screen", "0", &screen, "-nolisten", "tcp", "-noreset"]);
        let mut server = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::null()));
        let pipe = server.0.stdout.take().unwrap();
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            let _ = BufReader::new(pipe).read_line(&mut line);
            let _ = sender.send(line);
        });
        let line = receiver.recv_timeout(end - Instant::now()).expect("Xvfb tells the number of its display");
        let number: u32 = line.trim().parse().expect("Xvfb opens a display");
        Self { name: format!(":{number}"), end, server }
    }

    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("DISPLAY", &self.name).env_remove("XAUTHORITY").env_remove("WAYLAND_DISPLAY");
        command
    }

    pub fn xdotool(&self, words: &[&str]) -> Option<String> {
        let bytes = output(self.command("xdotool").args(words), self.end)?;
        Some(String::from_utf8(bytes).unwrap())
    }
}

/// Names the display for the process that a test starts anew: a variable that a plug-in reads must be there before any thread.
const ON_DISPLAY: &str = "ISOTHERM_TEST_ON_DISPLAY";

/// Runs a test of `module`, which is told by `module_path!()`, once more in a process that has a display of its own; true in that
/// process. The display is set up before, by a client that stays.
///
/// # Panics
///
/// Where the test fails, or takes longer than `patience`.
pub fn is_on_display(
    module: &str,
    test: &str,
    screen: (u32, u32),
    patience: Duration,
    set_up: impl FnOnce(&RustConnection),
) -> bool {
    if std::env::var_os(ON_DISPLAY).is_some() {
        return true;
    }
    let end = Instant::now() + patience;
    let display = Display::open(screen, end);
    let (stays, _) = RustConnection::connect(Some(&display.name)).unwrap();
    set_up(&stays);
    let mut command = display.command(std::env::current_exe().unwrap().to_str().unwrap());
    command.args(["--exact", &test_name(module, test), "--nocapture", "--test-threads", "1"]);
    command.env(ON_DISPLAY, "1").env("LIBGL_ALWAYS_SOFTWARE", "1");
    // What it says is this test's to tell: it is no test of its own for those who count.
    let mut said = tempfile::tempfile().unwrap();
    command.stdout(said.try_clone().unwrap()).stderr(said.try_clone().unwrap());
    let mut running = Running::start(&mut command);
    let status = wait("the test", end, || running.ended());
    let mut text = String::new();
    said.seek(SeekFrom::Start(0)).and_then(|_| said.read_to_string(&mut text)).unwrap();
    text.lines().for_each(|line| println!("| {line}"));
    assert!(status.success(), "{test}: {status}; see above");
    assert!(text.contains("1 passed"), "{test}: no such test in {module}");
    false
}

/// Paintings of a window within two seconds, in which something else is done. Without a name, the display is the environment's.
pub fn paintings(display: Option<&str>, window: u32, mut meanwhile: impl FnMut()) -> usize {
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
    let end = Instant::now() + Duration::from_secs(2);
    while Instant::now() < end {
        meanwhile();
        drain();
        thread::sleep(Duration::from_millis(5));
    }
    drain();
    count
}
