//! `cargo xtask stage`: a simulated X32 that answers over OSC, and its USB card as a JACK device with a band on 32 channels.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::process::{cargo, run, target_dir};
use crate::setup::{Purpose, ensure};
use crate::{Outcome, shown, unknown};

/// The JACK server's name. It must not be a client's: JACK would mix up their sockets.
const SERVER: &str = "stage";
/// The UDP port on which a real desk answers.
const PORT: &str = "10023";
/// The longest wait for the server and the card.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A process that is killed when its owner drops it.
struct ChildProcess(Child);

impl Drop for ChildProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn task(options: &[String]) -> Outcome {
    if let Some(option) = options.first() {
        return Err(unknown("stage", option).into());
    }
    ensure(Purpose::Test)?;
    println!("Building the program ...");
    run(&mut cargo(["build", "--release", "--package", "isotherm"]))?;
    let program = target_dir()?.join("release/isotherm");

    // `-S`: the server waits for its clients. A period of 21 ms: the dummy driver is a timer and calls each late period an
    // overrun, which shorter periods soon cause on a busy machine.
    let driver = ["-d", "dummy", "-r", "48000", "-p", "1024", "-C", "32", "-P", "32"];
    let mut jackd = Command::new("jackd");
    jackd.args(["-n", SERVER, "-m", "-S"]).args(driver).stdout(Stdio::null()).stderr(Stdio::null());
    let mut jackd = ChildProcess(jackd.spawn().map_err(|e| format!("jackd: {e}"))?);
    wait_for(&program, "system", &mut [&mut jackd])?;
    let mut desk = Command::new(&program);
    desk.args(["desk", "--fake", PORT, "--card"]).env("JACK_DEFAULT_SERVER", SERVER).stdout(Stdio::null());
    let mut desk = ChildProcess(desk.spawn().map_err(|e| format!("{}: {e}", shown(&program)))?);
    wait_for(&program, "X-USB", &mut [&mut jackd, &mut desk])?;

    let call = format!("JACK_DEFAULT_SERVER={SERVER} {}", shown(&program));
    println!(
        "\nA desk at 127.0.0.1, its card at the JACK server '{SERVER}': a band on 32 channels, until Ctrl-C. \
         In another terminal:\n"
    );
    println!(
        "{call} record --host jack --device X-USB --channels 1-32 --out takes --duration 10s --desk 127.0.0.1 --monitor 1 \
         --algorithm saturator --set drive=18 --monitor-file heard.wav --force"
    );
    println!("{call} app --host jack --device X-USB --outputs 1,2 --desk 127.0.0.1 --start");
    loop {
        for (name, process) in [("jackd", &mut jackd), ("the desk", &mut desk)] {
            if let Some(status) = process.0.try_wait()? {
                return Err(format!("{name} ended: {status}").into());
            }
        }
        sleep(Duration::from_millis(200));
    }
}

/// Waits until the server lists this device.
fn wait_for(program: &Path, device: &str, processes: &mut [&mut ChildProcess]) -> Outcome {
    let begun = Instant::now();
    while begun.elapsed() < TIMEOUT {
        for process in &mut *processes {
            if let Some(status) = process.0.try_wait()? {
                return Err(format!("no device '{device}': its process ended: {status}; is another one running?").into());
            }
        }
        let listed = Command::new(program).args(["devices", "--host", "jack"]).env("JACK_DEFAULT_SERVER", SERVER).output()?;
        if String::from_utf8_lossy(&listed.stdout).contains(&format!(" {device}: ")) {
            return Ok(());
        }
        sleep(Duration::from_millis(100));
    }
    Err(format!("no device '{device}' at the JACK server '{SERVER}' after {TIMEOUT:?}").into())
}
