//! Laws of captures from a 32-channel device: JACK's dummy driver, and ALSA over it.
//!
//! Every test has a server of its own, under a name of its own. A player, which is this program once more, plays on each channel the
//! server's frame number and the channel's own.
#![cfg(all(feature = "cli", target_os = "linux"))]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use isotherm::record::{Manifest, verify};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

const CHANNELS: usize = 32;
const RATE: usize = 48_000;
const PERIOD: usize = 256;
/// Frame numbers come again after so many frames (5.46 s): with the channel they fill 23 bits, and none is 0.
const TURN: u32 = (1 << 18) - 1;
/// Tells this program that it is the player.
const PLAYER: &str = "ISOTHERM_TEST_PLAYER";
/// A server starts, and a player connects, within this time.
const PATIENCE: Duration = Duration::from_secs(20);

fn long() -> bool {
    std::env::var_os("ISOTHERM_LONG").is_some()
}

/// What is played on a channel at a frame.
fn code(channel: usize, frame: u32) -> i32 {
    ((frame % TURN + 1) << 5) as i32 + channel as i32
}

/// Not a test: the player, when a test starts it.
#[test]
#[ignore = "the player of other tests"]
fn player() {
    if std::env::var_os(PLAYER).is_none() {
        return;
    }
    let (client, _) = jack::Client::new("player", jack::ClientOptions::NO_START_SERVER).unwrap();
    let port = |i: usize| client.register_port(&format!("out_{i}"), jack::AudioOut::default()).unwrap();
    let mut ports: Vec<_> = (1..=CHANNELS).map(port).collect();
    let play = move |_: &jack::Client, scope: &jack::ProcessScope| {
        let first = scope.last_frame_time();
        for (channel, port) in ports.iter_mut().enumerate() {
            for (x, frame) in port.as_mut_slice(scope).iter_mut().zip(first..) {
                *x = code(channel, frame) as f32 / 8_388_608.0;
            }
        }
        jack::Control::Continue
    };
    let _active = client.activate_async((), jack::contrib::ClosureProcessHandler::new(play)).unwrap();
    // Until it is killed, but not for ever.
    std::thread::sleep(Duration::from_secs(1800));
}

/// Ends with its owner.
struct Process(Child);

impl Process {
    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id().cast_signed()), signal).unwrap();
    }

    fn end(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// A JACK server of our own, without sound card.
struct Server {
    name: String,
    folder: TempDir,
    jackd: Process,
    player: Option<Process>,
}

impl Server {
    /// None, said aloud, where there is no jackd.
    fn start(test: &str, waits: bool) -> Option<Self> {
        let name = format!("isotherm-{test}-{}", std::process::id());
        let folder = tempfile::tempdir().unwrap();
        let Some(jackd) = jackd(&name, waits) else {
            println!("skipped: there is no jackd; cargo xtask setup installs it");
            return None;
        };
        let server = Self { name, folder, jackd, player: None };
        server.wait_for("system");
        Some(server)
    }

    fn restart(&mut self) {
        self.jackd = jackd(&self.name, true).unwrap();
        self.wait_for("system");
    }

    fn play(&mut self) {
        let mut player = self.command(std::env::current_exe().unwrap().to_str().unwrap());
        player.args(["player", "--exact", "--ignored"]).env(PLAYER, "1").stdout(Stdio::null()).stderr(Stdio::null());
        self.player = Some(Process(player.spawn().unwrap()));
        self.wait_for("player");
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("JACK_DEFAULT_SERVER", &self.name).current_dir(self.folder.path());
        let own = self.folder.path().join("sim.conf");
        command.env("ALSA_CONFIG_PATH", format!("/usr/share/alsa/alsa.conf:{}", own.display()));
        command
    }

    fn isotherm(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_isotherm"));
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Until the server has a client with 32 outputs of this name.
    fn wait_for(&self, client: &str) {
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

    /// `isotherm record` of the player into `takes`.
    fn record(&self, options: &[&str]) -> Process {
        let base = ["record", "--device", "player", "--host", "jack", "--channels", "1-32", "--out", "takes", "--json"];
        Process(self.isotherm(&[&base[..], options].concat()).spawn().unwrap())
    }

    fn take(&self) -> PathBuf {
        let begun = Instant::now();
        loop {
            let found = fs::read_dir(self.folder.path().join("takes")).into_iter().flatten().flatten().next();
            match found {
                Some(take) => return take.path(),
                None if begun.elapsed() > PATIENCE => panic!("no take after {PATIENCE:?}"),
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    /// Waits until the take is at least so long.
    fn wait_for_frames(&self, frames: u64) {
        let take = self.take();
        let begun = Instant::now();
        while Manifest::load(&take).map_or(0, |_| length(&take)) < frames {
            assert!(begun.elapsed() < PATIENCE, "the take does not grow");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(player) = &mut self.player {
            player.end();
        }
        // Told to end, it takes its traces in /dev/shm along.
        self.jackd.signal(Signal::SIGTERM);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(5) && self.jackd.0.try_wait().is_ok_and(|status| status.is_none()) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// If `waits`, each cycle of the server waits for all clients, so that no number is missing but by our fault.
fn jackd(name: &str, waits: bool) -> Option<Process> {
    let (channels, rate, period) = (CHANNELS.to_string(), RATE.to_string(), PERIOD.to_string());
    let dummy = ["-d", "dummy", "-r", &rate, "-p", &period, "-C", &channels, "-P", &channels];
    let mut command = Command::new("jackd");
    command.args(["-n", name, "-m"]).args(waits.then_some("-S")).args(dummy).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().ok().map(Process)
}

/// Frames of the first stem, by its length.
fn length(take: &Path) -> u64 {
    fs::metadata(take.join("01 Channel 1.wav")).map_or(0, |file| file.len().saturating_sub(1000) / 3)
}

/// What a program says, read while it runs: a full pipe would stop it.
fn finish(mut process: Process) -> Output {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    std::io::Read::read_to_end(process.0.stdout.as_mut().unwrap(), &mut stdout).unwrap();
    std::io::Read::read_to_end(process.0.stderr.as_mut().unwrap(), &mut stderr).unwrap();
    Output { status: process.0.wait().unwrap(), stdout, stderr }
}

/// The last of the lines of JSON.
fn report(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.lines().last().unwrap_or_default())
        .unwrap_or_else(|e| panic!("{e}: {text} {}", String::from_utf8_lossy(&output.stderr)))
}

/// The one line of a failure.
fn failure(output: &Output, code: i32) -> String {
    let line = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{line}");
    assert!(line.starts_with("isotherm: ") && line.ends_with('\n') && line.matches('\n').count() == 1, "{line}");
    line
}

fn codes(path: &Path) -> Vec<i32> {
    hound::WavReader::open(path).unwrap().samples::<i32>().map(Result::unwrap).collect()
}

/// What the player's frame numbers say.
#[derive(Debug, Default)]
struct Account {
    /// Silent frames before the first cable was in.
    early: usize,
    /// Of each listed gap: its length, and frames by which the numbers jump there beyond the next one.
    gaps: Vec<(u64, u64)>,
    /// Places where numbers jump without a gap.
    unexplained: Vec<(usize, i64)>,
}

/// Accounts for every frame of every stem of a take.
fn account(take: &Path) -> Account {
    let verified = verify(take).unwrap();
    assert_eq!(verified.problems, Vec::<String>::new());
    let manifest = verified.manifest;
    let mut account = Account::default();
    for channel in 0..CHANNELS {
        let found = codes(&take.join(format!("{:02} Channel {}.wav", channel + 1, channel + 1)));
        assert_eq!(found.len() as u64, manifest.frames);
        let mut of_channel = Account { early: found.iter().take_while(|x| **x == 0).count(), ..Account::default() };
        let mut gaps = manifest.gaps.iter().filter(|gap| gap.position >= of_channel.early as u64).peekable();
        let (mut at, mut last) = (of_channel.early, None::<i64>);
        while at < found.len() {
            let mut missing = 0;
            while let Some(gap) = gaps.next_if(|gap| gap.position == at as u64) {
                let end = at + gap.frames as usize;
                assert!(found[at..end].iter().all(|x| *x == 0), "channel {channel}: sound in a gap");
                missing += gap.frames;
                at = end;
            }
            let Some(x) = found.get(at) else { break };
            let number = i64::from(*x >> 5) - 1;
            if (*x & 31) as usize != channel || number < 0 {
                // Silence of a cycle in which cables are put in, behind a gap; or something that is none of ours.
                assert!(missing > 0 && *x == 0, "channel {channel}, frame {at}: {x} of {:?}", manifest.gaps);
                let silent = found[at..].iter().take_while(|x| **x == 0).count();
                at += silent;
                last = None;
                continue;
            }
            if let Some(last) = last {
                let jump = (number - last).rem_euclid(TURN.into());
                if missing > 0 {
                    of_channel.gaps.push((missing, (jump as u64).saturating_sub(1)));
                } else if jump != 1 {
                    of_channel.unexplained.push((at, jump));
                }
            }
            last = Some(number);
            at += 1;
        }
        if channel == 0 {
            account = of_channel;
        } else {
            assert_eq!(format!("{of_channel:?}"), format!("{account:?}"), "channel {channel} differs from channel 0");
        }
    }
    account
}

/// Keeps a core busy until it is dropped.
struct Load(std::sync::Arc<std::sync::atomic::AtomicBool>);

impl Load {
    fn new(cores: usize) -> Self {
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        for _ in 0..cores {
            let stop = stop.clone();
            std::thread::spawn(move || {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    std::hint::black_box((0..10_000).fold(0u64, |sum, i| sum ^ std::hint::black_box(i)));
                }
            });
        }
        Self(stop)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

#[test]
fn every_frame_of_32_channels_is_accounted_for_while_all_cores_are_busy() {
    let Some(mut server) = Server::start("frames", true) else { return };
    server.play();
    let seconds: u64 = if long() { 600 } else { 60 };
    let load = Load::new(std::thread::available_parallelism().map_or(2, usize::from));
    let output = finish(server.record(&["--duration", &format!("{seconds}s"), "--no-hashes"]));
    drop(load);
    let report = report(&output);
    let manifest = Manifest::load(&server.take()).unwrap();
    assert_eq!(manifest.frames, seconds * RATE as u64);
    assert_eq!(output.status.code(), Some(if manifest.gaps.is_empty() { 0 } else { 3 }), "{output:?}");
    let account = account(&server.take());
    let share = &report["cpu_share"];
    println!("{seconds} s: {share} of a core, worst callback {} s, {account:?}", report["worst_callback_seconds"]);
    assert!(account.unexplained.is_empty(), "{account:?}, {} overruns", report["overruns"]);
    // What is listed as lost is lost: or the server stood still, whose clock then does not count.
    assert!(account.gaps.iter().all(|(listed, jump)| *jump <= *listed), "{account:?}");
    assert!(account.early <= 8 * PERIOD, "{account:?}");
}

#[test]
fn frames_that_pass_while_the_program_is_held_are_a_gap_of_exactly_their_number() {
    let Some(mut server) = Server::start("held", false) else { return };
    server.play();
    let process = server.record(&["--duration", "4s"]);
    server.wait_for_frames(RATE as u64 / 2);
    process.signal(Signal::SIGSTOP);
    std::thread::sleep(Duration::from_millis(600));
    process.signal(Signal::SIGCONT);
    let output = finish(process);
    let line = failure(&output, 3);
    assert!(line.contains("frames were lost in"), "{line}");
    let manifest = Manifest::load(&server.take()).unwrap();
    assert!(manifest.gaps.iter().all(|gap| gap.reason == "the device lost them"), "{:?}", manifest.gaps);
    let account = account(&server.take());
    assert!(account.unexplained.is_empty(), "{account:?}");
    let longest = account.gaps.iter().max().unwrap();
    assert_eq!(longest.0, longest.1, "{account:?}");
    assert!(longest.0 > RATE as u64 / 2, "{account:?}");
    assert_eq!(manifest.frames, 4 * RATE as u64);
}

#[test]
fn a_take_goes_on_when_its_device_comes_back() {
    let Some(mut server) = Server::start("unplug", true) else { return };
    server.play();
    let process = server.record(&[]);
    let begun = Instant::now();
    server.wait_for_frames(RATE as u64);
    server.jackd.end();
    if let Some(player) = &mut server.player {
        player.end();
    }
    std::thread::sleep(Duration::from_millis(1500));
    let before = Manifest::load(&server.take()).unwrap();
    assert!(!before.gaps.is_empty(), "the gap is in the manifest while the device is away");
    server.restart();
    server.play();
    let frames = length(&server.take());
    server.wait_for_frames(frames + 2 * RATE as u64);
    process.signal(Signal::SIGINT);
    let output = finish(process);
    let lived = begun.elapsed().as_secs_f64();
    let line = failure(&output, 3);
    assert!(line.contains("frames were lost in"), "{line}");
    assert!(report(&output)["departures"].as_u64().unwrap() >= 1);
    let takes = fs::read_dir(server.folder.path().join("takes")).unwrap().count();
    assert_eq!(takes, 1, "one take");
    let manifest = Manifest::load(&server.take()).unwrap();
    let away: Vec<_> = manifest.gaps.iter().filter(|gap| gap.reason == "the device was away").collect();
    assert!(!away.is_empty() && away.iter().map(|gap| gap.frames).sum::<u64>() > 3 * RATE as u64 / 2, "{:?}", manifest.gaps);
    let account = account(&server.take());
    assert!(account.unexplained.is_empty(), "{account:?}, {:?}", manifest.gaps);
    // The take is as long as it took, but for the start of the program and the last look.
    let length = manifest.frames as f64 / RATE as f64;
    assert!(length <= lived && length > lived - 3.0, "{length} s of {lived} s");
}

#[test]
fn what_jack_does_not_give_is_refused_in_one_line() {
    let Some(server) = Server::start("refused", true) else { return };
    let refused = |device: &str, options: &[&str]| {
        let base = ["record", "--host", "jack", "--out", "takes", "--duration", "1s", "--device", device];
        failure(&server.isotherm(&[&base[..], options].concat()).output().unwrap(), 1)
    };
    assert!(refused("desk", &[]).contains("jack: unknown device 'desk'; expected system"));
    assert!(refused("system", &["--channels", "1-33"]).contains("asked for channel 33, the device gave 32"));
    assert!(refused("system", &["--device-channels", "64"]).contains("asked for 64 channels, the device gave 32"));
    assert!(refused("system", &["--device-rate", "44100"]).contains("asked for 44100 Hz, the device gave 48000"));
    assert!(refused("system", &["--device-period", "128"]).contains("asked for a period of 128 frames, the device gave 256"));
    let far = ["--monitor", "1", "--algorithm", "clipper", "--monitor-to", "33"];
    assert!(refused("system", &far).contains("asked for output channel 33, the device gave 32"));
    assert!(!server.folder.path().join("takes").exists());
    let nobody = server
        .isotherm(&["record", "--host", "jack", "--out", "takes", "--device", "system"])
        .env("JACK_DEFAULT_SERVER", "isotherm-nobody")
        .output()
        .unwrap();
    assert!(failure(&nobody, 1).contains("no server is running (server 'isotherm-nobody')"));
}

#[test]
fn a_channel_is_heard_through_the_saturator_while_all_are_recorded_dry() {
    let Some(mut server) = Server::start("heard", true) else { return };
    server.play();
    let monitor = ["--monitor", "1", "--algorithm", "saturator", "--monitor-to", "1,2", "--monitor-file", "heard.wav"];
    let output = finish(server.record(&[&monitor[..], &["--duration", "2s"]].concat()));
    let report = report(&output);
    let account = account(&server.take());
    assert!(account.unexplained.is_empty(), "{account:?}, {report}");
    let heard = codes(&server.folder.path().join("heard.wav"));
    assert!(heard.len() + RATE / 2 > 2 * RATE && heard.iter().any(|x| *x != 0), "{} frames, {report}", heard.len());
}

/// The configuration of an ALSA device over the server: 32 channels of S32_LE from a file.
fn alsa(server: &Server) -> Vec<u8> {
    let ports: String = (0..CHANNELS).map(|i| format!(" {i} system:capture_{}", i + 1)).collect();
    let jack = format!(
        "pcm.jack32 {{ type jack playback_ports {{ 0 system:playback_1 }} capture_ports {{{ports} }} hint {{ show on description \"jack32\" }} }}\n"
    );
    let x32 = "pcm.x32s32 { type file slave.pcm { type lfloat slave { pcm jack32 format FLOAT_LE } }\n\
               file /dev/null infile s32.raw format raw hint { show on description \"x32\" } }\n";
    fs::write(server.folder.path().join("sim.conf"), jack + x32).unwrap();
    // Words of all bits, by Knuth's MMIX generator.
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 32) as u32
    };
    let bytes: Vec<u8> = (0..CHANNELS * RATE * 3).flat_map(|_| next().to_le_bytes()).collect();
    fs::write(server.folder.path().join("s32.raw"), &bytes).unwrap();
    bytes
}

/// Whether `libasound` has its plug-in for JACK; said aloud if not.
fn has_alsa_jack(server: &Server) -> bool {
    let base =
        ["record", "--host", "alsa", "--device", "jack32", "--out", "probe", "--duration", "100ms", "--device-channels", "99"];
    let line = String::from_utf8(server.isotherm(&base).output().unwrap().stderr).unwrap();
    let there = line.contains("asked for 99 channels");
    if !there {
        println!("skipped: libasound has no plug-in for JACK; cargo xtask setup installs it: {line}");
    }
    there
}

#[test]
fn what_alsa_gives_is_kept_byte_for_byte() {
    let Some(server) = Server::start("alsa", true) else { return };
    let bytes = alsa(&server);
    if !has_alsa_jack(&server) {
        return;
    }
    let base = ["record", "--host", "alsa", "--device", "x32s32", "--out", "takes", "--format", "32", "--json"];
    let output = server.isotherm(&[&base[..], &["--duration", "2s", "--channels", "1-32"]].concat()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let report = report(&output);
    assert!(report["granted"].as_str().unwrap().starts_with("32 channels, 48000 Hz, S32_LE, period "), "{report}");
    assert_eq!(verify(&server.take()).unwrap().problems, Vec::<String>::new());
    let words: Vec<i32> = bytes.as_chunks().0.iter().map(|word| i32::from_le_bytes(*word)).collect();
    for channel in 0..CHANNELS {
        let found = codes(&server.take().join(format!("{:02} Channel {}.wav", channel + 1, channel + 1)));
        assert_eq!(found.len(), 2 * RATE);
        let expected = words[channel..].iter().step_by(CHANNELS);
        assert!(found.iter().zip(expected).all(|(a, b)| a == b), "channel {channel}");
    }
}

#[test]
fn what_alsa_does_not_give_is_refused_and_never_something_else_taken() {
    let Some(server) = Server::start("strict", true) else { return };
    alsa(&server);
    if !has_alsa_jack(&server) {
        return;
    }
    let refused = |device: &str, options: &[&str]| {
        let base = ["record", "--host", "alsa", "--out", "takes", "--duration", "1s", "--device", device];
        failure(&server.isotherm(&[&base[..], options].concat()).output().unwrap(), 1)
    };
    let line = refused("x32s32", &["--device-rate", "44100"]);
    assert!(line.contains("x32s32: asked for 44100 Hz, the device gave 48000"), "{line}");
    let line = refused("jack32", &["--device-format", "S24_3LE"]);
    assert!(line.contains("asked for S24_3LE, the device gave FLOAT_LE"), "{line}");
    let line = refused("x32s32", &["--device-channels", "16"]);
    assert!(line.contains("asked for 16 channels, the device gave 32"), "{line}");
    let line = refused("x32s32", &["--channels", "40"]);
    assert!(line.contains("asked for channel 40, the device gave 32"), "{line}");
    for name in ["no such name", "hw:7", "hw:77", "plughw:77,1", "hw:X32"] {
        let line = refused(name, &[]);
        assert!(line.contains(&format!("alsa: unknown device '{name}'; expected ")) && line.contains("jack32"), "{line}");
    }
    assert!(!server.folder.path().join("takes").exists());
    let output = server.isotherm(&["devices", "--host", "alsa", "--json"]).output().unwrap();
    let devices: Value = serde_json::from_slice(&output.stdout).unwrap();
    let found = devices["devices"].as_array().unwrap().iter().find(|d| d["device"] == "x32s32").unwrap();
    let grants = found["grants"].as_array().unwrap();
    assert!(grants.iter().any(|grant| grant["format"] == "S32_LE"), "{found}");
    assert!(grants.iter().all(|grant| grant["sample_rate"] == 48_000), "whatever rate it lets itself be asked for: {found}");
}
