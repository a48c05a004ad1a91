//! A display without a screen, for tests of real windows.

use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use x11rb::connection::Connection as _;
use x11rb::protocol::Event;
use x11rb::protocol::damage::{ConnectionExt as _, ReportLevel};
use x11rb::rust_connection::RustConnection;

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
