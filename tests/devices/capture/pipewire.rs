//! Tests of captures from PipeWire as the JACK server, as on most Linux desktops. Every test has a PipeWire of its own, with the
//! same player as the tests with jackd.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use isotherm::record::Manifest;
use nix::sys::signal::Signal;

use super::{FrameAccount, PLAYER, account_with_silence, check_stop_while_the_server_is_stopped, record, wait_for_frames};
use crate::jack_server::{Process, RATE, Server, TIMEOUT, failure, finish, report};

/// Program that runs others with PipeWire's JACK library.
const WRAPPER: &str = "pw-jack";

/// Most tries of a capture. For a player that is late, as on a machine that stalls, PipeWire plays silence or the period before, at the
/// frame time of this one: a try in which that happened says nothing of the program.
const TRIES: usize = 8;

/// Tries a capture until the player was in time throughout, and returns that account of the frames.
fn capture_in_time(mut capture: impl FnMut(usize) -> FrameAccount) -> FrameAccount {
    let mut late = Vec::new();
    for attempt in 0..TRIES {
        let account = capture(attempt);
        if account.silent.is_empty() && account.unexplained.is_empty() {
            return account;
        }
        late.push(account);
    }
    panic!("frames without a reason in each of {TRIES} tries: {late:?}");
}

/// Starts a PipeWire for a test, with the player. Returns `None` and prints why if there is no PipeWire.
fn start(test: &str) -> Option<Server> {
    let name = format!("isotherm-{test}-{}", std::process::id());
    let folder = tempfile::tempdir().unwrap();
    let exists =
        |program: &str| Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !["pipewire", "pw-metadata", WRAPPER].into_iter().all(exists) {
        println!("skipped: there is no PipeWire; cargo xtask setup installs it");
        return None;
    }
    let mut command = Command::new("pipewire");
    // Keeps the user's settings and session bus out.
    command.env("XDG_RUNTIME_DIR", folder.path()).env("XDG_CONFIG_HOME", folder.path()).env("HOME", folder.path());
    command.env_remove("DBUS_SESSION_BUS_ADDRESS").env_remove("DISPLAY");
    let pipewire = Process(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let mut server = Server { name, folder, process: pipewire, wrapper: Some(WRAPPER), client: None };
    let begun = Instant::now();
    while fs::metadata(server.folder.path().join("pipewire-0")).is_err() {
        assert!(begun.elapsed() < TIMEOUT, "PipeWire does not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    server.start_client(PLAYER);
    Some(server)
}

/// Changes a setting of the running PipeWire.
fn set(server: &Server, key: &str, value: usize) {
    let mut command = server.command("pw-metadata");
    let status = command.args(["-n", "settings", "0", key, &value.to_string()]).stdout(Stdio::null()).status().unwrap();
    assert!(status.success(), "{key} {value}");
}

#[test]
fn a_take_has_every_frame_at_whatever_period_runs_and_begins_with_all_channels() {
    let Some(server) = start("quantum") else { return };
    // Before a client runs, PipeWire reports its default period, which need not be this one.
    for (round, period) in [256, 64, 1024, 2048, 256, 256, 128, 256, 256, 256].into_iter().enumerate() {
        set(&server, "clock.force-quantum", period);
        let account = capture_in_time(|attempt| {
            let name = format!("take {round} {attempt}");
            let output = finish(record(&server, &["--duration", "500ms", "--name", &name]));
            let report = report(&output);
            let take = server.folder.path().join(report["takes"][0]["folder"].as_str().unwrap());
            let manifest = Manifest::load(&take).unwrap();
            assert_eq!(manifest.frames, RATE as u64 / 2, "{report}");
            assert_eq!(output.status.code(), Some(if manifest.gaps.is_empty() { 0 } else { 3 }), "{output:?}");
            assert!(report["granted"].as_str().unwrap().contains(&format!("period {period} frames")), "{report}");
            assert_eq!(report["departures"], 0, "{report}");
            account_with_silence(&take)
        });
        assert_eq!(account.early, 0, "round {round}: {account:?}");
    }
}

#[test]
fn a_change_of_the_period_in_a_take_loses_no_frame() {
    let Some(server) = start("change") else { return };
    drop(server);
    let account = capture_in_time(|attempt| {
        let server = start(&format!("change{attempt}")).unwrap();
        set(&server, "clock.force-quantum", 256);
        let process = record(&server, &["--duration", "5s"]);
        wait_for_frames(&server, RATE as u64);
        for period in [1024, 64, 512, 128] {
            set(&server, "clock.force-quantum", period);
            std::thread::sleep(Duration::from_millis(500));
        }
        let output = finish(process);
        let report = report(&output);
        assert_eq!(report["departures"], 0, "the device is not opened again: {report}");
        let manifest = Manifest::load(&server.take()).unwrap();
        assert_eq!(manifest.frames, 5 * RATE as u64);
        account_with_silence(&server.take())
    });
    // PipeWire itself calls no client in the cycle in which it changes its period.
    assert_eq!(account.early, 0, "{account:?}");
    assert!(account.gaps.iter().all(|(listed, jump)| *jump <= *listed), "{account:?}");
}

#[test]
fn the_requested_period_runs() {
    let Some(server) = start("asked") else { return };
    for period in ["128", "512"] {
        let output = finish(record(&server, &["--duration", "300ms", "--name", period, "--device-period", period]));
        let report = report(&output);
        assert!(report["granted"].as_str().unwrap().contains(&format!("period {period} frames")), "{report}");
    }
    set(&server, "clock.force-quantum", 256);
    let line = failure(&finish(record(&server, &["--duration", "300ms", "--device-period", "64"])), 1);
    assert!(line.contains("player: asked for a period of 64 frames, the device gave 256"), "{line}");
}

#[test]
fn a_change_of_the_sample_rate_ends_the_take_with_the_reason() {
    let Some(server) = start("rate") else { return };
    drop(server);
    let account = capture_in_time(|attempt| {
        let server = start(&format!("rate{attempt}")).unwrap();
        let process = record(&server, &["--duration", "60s"]);
        wait_for_frames(&server, RATE as u64);
        set(&server, "clock.force-rate", 44_100);
        let output = finish(process);
        let line = failure(&output, 3);
        assert!(line.contains("the sample rate changed from 48000 to 44100 Hz; the take is "), "{line}");
        let manifest = Manifest::load(&server.take()).unwrap();
        assert_eq!((manifest.sample_rate, manifest.ended.as_str()), (48_000, "by its source"));
        assert!(manifest.frames >= RATE as u64);
        let account = account_with_silence(&server.take());
        assert!(line.contains(" s long and whole") || !manifest.gaps.is_empty(), "{line}");
        account
    });
    assert_eq!(account.early, 0, "{account:?}");
}

#[test]
fn a_pipewire_that_stops_responding_or_dies_counts_as_disconnected_and_does_not_block_the_stop() {
    let Some(server) = start("still") else { return };
    check_stop_while_the_server_is_stopped(&server);
    drop(server);
    let account = capture_in_time(|attempt| {
        let mut server = start(&format!("dies{attempt}")).unwrap();
        let process = record(&server, &[]);
        wait_for_frames(&server, RATE as u64 / 2);
        server.process.kill();
        std::thread::sleep(Duration::from_millis(2000));
        process.signal(Signal::SIGINT);
        let output = finish(process);
        failure(&output, 3);
        assert!(report(&output)["departures"].as_u64().unwrap() >= 1);
        let manifest = Manifest::load(&server.take()).unwrap();
        let away: u64 = manifest.gaps.iter().filter(|gap| gap.reason == "the device was away").map(|gap| gap.frames).sum();
        assert!(away > 3 * RATE as u64 / 2, "{:?}", manifest.gaps);
        account_with_silence(&server.take())
    });
    assert_eq!(account.early, 0, "{account:?}");
}
