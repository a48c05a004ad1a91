//! Tests of captures from a 32-channel device: jackd's dummy driver, and ALSA devices that read from it.
//!
//! Every test has a server of its own. A player, which is this test program as another process, plays on each channel the
//! server's frame number and the channel's number.

mod pipewire;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::jack_server::{
    CHANNELS, NUMBER_PERIOD, Process, RATE, Server, TIMEOUT, code, codes, failure, finish, is_client, report,
};
use isotherm::audio::Random;
use isotherm::record::{Manifest, verify};
use nix::sys::signal::Signal;
use serde_json::Value;

/// The ignored test that is the player.
const PLAYER: &str = "capture::player";

/// Returns true if `ISOTHERM_LONG` asks for long tests.
fn is_long() -> bool {
    std::env::var_os("ISOTHERM_LONG").is_some()
}

/// The player of the other tests. Does nothing unless a test starts it as a client.
#[test]
#[ignore = "the player of other tests"]
fn player() {
    if !is_client() {
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
    crate::jack_server::wait_for_end_of_input();
}

/// Starts `isotherm record` of the player into the folder `takes`.
fn record(server: &Server, options: &[&str]) -> Process {
    let base = ["record", "--device", "player", "--host", "jack", "--channels", "1-32", "--out", "takes", "--json"];
    Process(server.isotherm(&[&base[..], options].concat()).spawn().unwrap())
}

/// Waits until the take has at least this number of frames.
fn wait_for_frames(server: &Server, frames: u64) {
    let take = server.take();
    let begun = Instant::now();
    while Manifest::load(&take).map_or(0, |_| length(&take)) < frames {
        assert!(begun.elapsed() < TIMEOUT, "the take does not grow");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Returns the approximate number of frames of the first stem, from the length of its file.
fn length(take: &Path) -> u64 {
    fs::metadata(take.join("01 Channel 1.wav")).map_or(0, |file| file.len().saturating_sub(1000) / 3)
}

/// Continuity of the player's frame numbers in a take.
#[derive(Debug, Default)]
struct FrameAccount {
    /// Number of silent frames before the first connection carried sound.
    early: usize,
    /// For each listed gap, its length and the number of frame numbers that are missing there.
    gaps: Vec<(u64, u64)>,
    /// Positions at which the frame numbers jump without a listed gap, and the jump.
    unexplained: Vec<(usize, i64)>,
    /// Positions at which silence begins that is no listed gap, and its length.
    silent: Vec<(usize, usize)>,
}

/// Checks the frame number of every frame of every stem of a take, in which there is no silence but that of listed gaps.
fn account(take: &Path) -> FrameAccount {
    let account = account_with_silence(take);
    assert_eq!(account.silent, [], "{account:?}");
    account
}

/// Checks the frame number of every frame of every stem of a take.
fn account_with_silence(take: &Path) -> FrameAccount {
    let verified = verify(take).unwrap();
    assert_eq!(verified.problems, Vec::<String>::new());
    let manifest = verified.manifest;
    let mut account = FrameAccount::default();
    for channel in 0..CHANNELS {
        let found = codes(&take.join(format!("{:02} Channel {}.wav", channel + 1, channel + 1)));
        assert_eq!(found.len() as u64, manifest.frames);
        let early = found.iter().take_while(|x| **x == 0).count();
        let mut of_channel = FrameAccount { early, ..FrameAccount::default() };
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
                assert_eq!(*x, 0, "channel {channel}, frame {at} of {:?}", manifest.gaps);
                let silent = found[at..].iter().take_while(|x| **x == 0).count();
                // Silence after a gap is allowed: that of the cycle in which the ports are connected again.
                if missing == 0 {
                    of_channel.silent.push((at, silent));
                }
                at += silent;
                last = None;
                continue;
            }
            if let Some(last) = last {
                let jump = (number - last).rem_euclid(NUMBER_PERIOD.into());
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

/// Threads that keep cores busy until this is dropped.
struct Load(std::sync::Arc<std::sync::atomic::AtomicBool>);

impl Load {
    /// Starts a thread for each of `cores`.
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
    server.start_client(PLAYER);
    let seconds: u64 = if is_long() { 600 } else { 60 };
    let load = Load::new(std::thread::available_parallelism().map_or(2, usize::from));
    let output = finish(record(&server, &["--duration", &format!("{seconds}s"), "--no-hashes"]));
    drop(load);
    let report = report(&output);
    let manifest = Manifest::load(&server.take()).unwrap();
    assert_eq!(manifest.frames, seconds * RATE as u64, "{:?}, {report}", output.status);
    assert_eq!(output.status.code(), Some(if manifest.gaps.is_empty() { 0 } else { 3 }), "{output:?}");
    let account = account(&server.take());
    let share = &report["cpu_share"];
    println!("{seconds} s: {share} of a core, worst callback {} s, {account:?}", report["worst_callback_seconds"]);
    assert!(account.unexplained.is_empty(), "{account:?}, {} overruns", report["overruns"]);
    // A gap may be longer than the missing frames, never shorter: while the server is stopped, its frame numbers do not advance.
    assert!(account.gaps.iter().all(|(listed, jump)| *jump <= *listed), "{account:?}");
    assert_eq!(account.early, 0, "a take begins when every connection carries sound: {account:?}");
}

#[test]
fn frames_missed_while_the_program_is_stopped_are_a_gap_of_exactly_their_number() {
    // If the server's own timer is late meanwhile, the gap is longer than what was played, and the test is tried again.
    const TRIES: usize = 6;
    for attempt in 1..=TRIES {
        let Some(mut server) = Server::start(&format!("held{attempt}"), false) else { return };
        server.start_client(PLAYER);
        let process = record(&server, &["--duration", "4s"]);
        wait_for_frames(&server, RATE as u64 / 2);
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
        assert!(longest.0 >= longest.1 && longest.0 > RATE as u64 / 2, "{account:?}");
        assert_eq!(manifest.frames, 4 * RATE as u64);
        if longest.0 == longest.1 {
            return;
        }
        assert!(attempt < TRIES, "never exact: {account:?}");
    }
}

#[test]
fn a_take_continues_when_its_device_is_connected_again() {
    let Some(mut server) = Server::start("unplug", true) else { return };
    server.start_client(PLAYER);
    let process = record(&server, &[]);
    let begun = Instant::now();
    wait_for_frames(&server, RATE as u64);
    server.process.kill();
    if let Some(client) = &mut server.client {
        client.kill();
    }
    std::thread::sleep(Duration::from_millis(1500));
    let before = Manifest::load(&server.take()).unwrap();
    assert!(!before.gaps.is_empty(), "the gap is in the manifest while the device is disconnected");
    server.process = crate::jack_server::start_jackd(&server.name, true).unwrap();
    server.wait_for("system");
    server.start_client(PLAYER);
    let frames = length(&server.take());
    wait_for_frames(&server, frames + 2 * RATE as u64);
    process.signal(Signal::SIGINT);
    let output = finish(process);
    let elapsed = begun.elapsed().as_secs_f64();
    let line = failure(&output, 3);
    assert!(line.contains("frames were lost in"), "{line}");
    assert!(report(&output)["departures"].as_u64().unwrap() >= 1);
    let takes = fs::read_dir(server.folder.path().join("takes")).unwrap().count();
    assert_eq!(takes, 1, "one take");
    let manifest = Manifest::load(&server.take()).unwrap();
    let away = manifest.gaps.iter().filter(|gap| gap.reason == "the device was away").map(|gap| gap.frames);
    assert!(away.sum::<u64>() > 3 * RATE as u64 / 2, "{:?}", manifest.gaps);
    let account = account(&server.take());
    assert!(account.unexplained.is_empty(), "{account:?}, {:?}", manifest.gaps);
    // The take is as long as the recording, except for the start of the program and the last check.
    let length = manifest.frames as f64 / RATE as f64;
    assert!(length <= elapsed && length > elapsed - 3.0, "{length} s of {elapsed} s");
}

/// Records while the server is stopped, and ends the recording before the server continues. Returns the program's lines of
/// JSON.
fn stop_while_the_server_is_stopped(server: &Server) -> Vec<Value> {
    let process = record(server, &[]);
    wait_for_frames(server, RATE as u64 / 2);
    server.process.signal(Signal::SIGSTOP);
    // Long enough for a status line, which is written every second.
    std::thread::sleep(Duration::from_millis(2500));
    process.signal(Signal::SIGINT);
    // The program ends although the server is still stopped.
    let output = finish(process);
    let line = failure(&output, 3);
    assert!(line.contains("frames were lost in"), "{line}");
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Checks the take and the status lines of [`stop_while_the_server_is_stopped`].
fn check_stop_while_the_server_is_stopped(server: &Server) {
    let lines = stop_while_the_server_is_stopped(server);
    let away = |line: &Value| line["device"].as_str().is_some_and(|text| text.contains("DEVICE AWAY: nothing came from it for "));
    assert!(lines.iter().any(away), "{lines:?}");
    let manifest = Manifest::load(&server.take()).unwrap();
    let gap = manifest.gaps.last().unwrap();
    assert_eq!(gap.reason, "the device was away");
    assert_eq!(gap.position + gap.frames, manifest.frames);
    assert!(gap.frames > 2 * RATE as u64, "{gap:?}");
    let account = account(&server.take());
    assert!(account.unexplained.is_empty() && account.early == 0, "{account:?}");
}

#[test]
fn a_server_that_stops_responding_counts_as_disconnected_and_does_not_block_the_stop() {
    let Some(mut server) = Server::start("still", true) else { return };
    server.start_client(PLAYER);
    check_stop_while_the_server_is_stopped(&server);
    // The server does not block the opening of a device or the list of devices either.
    let begun = Instant::now();
    let line = failure(&finish(record(&server, &[])), 1);
    assert!(line.contains("player: JACK: the server stands still"), "{line}");
    let listed = server.isotherm(&["devices", "--host", "jack", "--json"]).output().unwrap();
    assert!(listed.status.success());
    assert!(begun.elapsed() < 3 * TIMEOUT);
}

#[test]
fn the_requested_period_runs_and_a_change_of_it_loses_no_frame() {
    let Some(mut server) = Server::start("period", true) else { return };
    server.start_client(PLAYER);
    let process = record(&server, &["--device-period", "128", "--duration", "4s"]);
    wait_for_frames(&server, RATE as u64);
    for period in ["512", "64", "1024"] {
        let status = server.command("jack_bufsize").arg(period).status();
        assert!(status.is_ok_and(|status| status.success()), "jack_bufsize {period}");
        std::thread::sleep(Duration::from_millis(400));
    }
    let output = finish(process);
    let report = report(&output);
    assert!(report["granted"].as_str().unwrap().contains("period 128 frames"), "{report}");
    assert_eq!(report["departures"], 0, "{report}");
    let manifest = Manifest::load(&server.take()).unwrap();
    assert_eq!(manifest.frames, 4 * RATE as u64);
    let account = account(&server.take());
    // The server itself pauses while it changes its period, so gaps are not checked.
    assert!(account.unexplained.is_empty() && account.early == 0, "{account:?}");
}

#[test]
fn a_request_that_jack_cannot_grant_is_refused_in_one_line() {
    let Some(server) = Server::start("refused", true) else { return };
    let refused = |device: &str, options: &[&str]| {
        let base = ["record", "--host", "jack", "--out", "takes", "--duration", "1s", "--device", device];
        failure(&server.isotherm(&[&base[..], options].concat()).output().unwrap(), 1)
    };
    assert!(refused("desk", &[]).contains("jack: unknown device 'desk'; expected system"));
    assert!(refused("system", &["--channels", "1-33"]).contains("asked for channel 33, the device gave 32"));
    assert!(refused("system", &["--device-channels", "64"]).contains("asked for 64 channels, the device gave 32"));
    assert!(refused("system", &["--device-rate", "44100"]).contains("asked for 44100 Hz, the device gave 48000"));
    // The largest period of jackd is 8192.
    assert!(refused("system", &["--device-period", "10000"]).contains("asked for a period of 10000 frames, the device gave 256"));
    let output_33 = ["--monitor", "1", "--algorithm", "clipper", "--monitor-to", "33"];
    assert!(refused("system", &output_33).contains("asked for output channel 33, the device gave 32"));
    assert!(!server.folder.path().join("takes").exists());
    let no_server = server
        .isotherm(&["record", "--host", "jack", "--out", "takes", "--device", "system"])
        .env("JACK_DEFAULT_SERVER", "isotherm-nobody")
        .output()
        .unwrap();
    assert!(failure(&no_server, 1).contains("no server is running (server 'isotherm-nobody')"));
}

#[test]
fn a_channel_is_monitored_through_the_saturator_while_all_are_recorded_dry() {
    let Some(mut server) = Server::start("monitored", true) else { return };
    server.start_client(PLAYER);
    let monitor = ["--monitor", "1", "--algorithm", "saturator", "--monitor-to", "1,2", "--monitor-file", "monitored.wav"];
    let output = finish(record(&server, &[&monitor[..], &["--duration", "2s"]].concat()));
    let report = report(&output);
    let account = account(&server.take());
    assert!(account.unexplained.is_empty(), "{account:?}, {report}");
    let monitored = codes(&server.folder.path().join("monitored.wav"));
    let frames = monitored.len();
    assert!(frames + RATE / 2 > 2 * RATE && monitored.iter().any(|x| *x != 0), "{frames} frames, {report}");
}

/// Configures two ALSA devices that are clients of the server: `jack32`, and `x32s32`, which gives 32 channels of S32_LE from a
/// file. Returns the bytes of the file.
fn configure_alsa(server: &Server) -> Vec<u8> {
    let ports: String = (0..CHANNELS).map(|i| format!(" {i} system:capture_{}", i + 1)).collect();
    let jack = format!(
        "pcm.jack32 {{ type jack playback_ports {{ 0 system:playback_1 }} capture_ports {{{ports} }} \
         hint {{ show on description \"jack32\" }} }}\n"
    );
    let x32 = "pcm.x32s32 { type file slave.pcm { type lfloat slave { pcm jack32 format FLOAT_LE } }\n\
               file /dev/null infile s32.raw format raw hint { show on description \"x32\" } }\n";
    fs::write(server.folder.path().join("sim.conf"), jack + x32).unwrap();
    let mut random = Random::new(1);
    let bytes: Vec<u8> = (0..CHANNELS * RATE * 3).flat_map(|_| (random.bits() as u32).to_le_bytes()).collect();
    fs::write(server.folder.path().join("s32.raw"), &bytes).unwrap();
    bytes
}

/// Returns true if `libasound` has its plug-in for JACK; else prints why a test is skipped.
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
fn samples_from_alsa_are_recorded_byte_for_byte() {
    let Some(server) = Server::start("alsa", true) else { return };
    let bytes = configure_alsa(&server);
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
fn a_request_that_alsa_cannot_grant_is_refused_and_never_replaced() {
    let Some(server) = Server::start("strict", true) else { return };
    configure_alsa(&server);
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
    assert!(grants.iter().all(|grant| grant["sample_rate"] == 48_000), "rates that it accepts but does not run at: {found}");
}
