//! Tests of monitoring while a device is recorded: with JACK, and with ALSA devices that are clients of a JACK server.

use std::fs;

use crate::jack_server::{
    CHANNELS, NUMBER_PERIOD, PERIOD, Process, RATE, Server, code, codes, failure, finish, is_client, report,
};
use isotherm::device::{Host, OpenRequest};
use isotherm::dsp::ProcessSpec;
use isotherm::effect::Effect;
use isotherm::record::Manifest;
use isotherm::slots::{Listen, Slots};

/// Full scale of 24-bit integers.
const FULL_SCALE: f32 = 8_388_608.0;
/// Largest duration, in seconds, of the input that the simulated sound card keeps.
const MAX_SECONDS: usize = 60;

/// Largest number of tries. A try in which a busy machine loses frames has nothing to compare.
const TRIES: usize = 10;

/// The callback of a simulated sound card, a JACK client: it plays each frame's number, and keeps its input.
struct SoundCard {
    outputs: Vec<jack::Port<jack::AudioOut>>,
    inputs: Vec<jack::Port<jack::AudioIn>>,
    /// Frame time of each cycle.
    starts: Vec<u32>,
    /// Input of each cycle, channel after channel.
    received: Vec<f32>,
}

impl jack::ProcessHandler for SoundCard {
    fn process(&mut self, _: &jack::Client, scope: &jack::ProcessScope) -> jack::Control {
        let first = scope.last_frame_time();
        for (channel, port) in self.outputs.iter_mut().enumerate() {
            for (x, frame) in port.as_mut_slice(scope).iter_mut().zip(first..) {
                *x = code(channel, frame) as f32 / FULL_SCALE;
            }
        }
        if self.starts.len() < self.starts.capacity() {
            self.starts.push(first);
            self.inputs.iter().for_each(|port| self.received.extend_from_slice(port.as_slice(scope)));
        }
        jack::Control::Continue
    }
}

/// The simulated sound card of the other tests. Does nothing unless a test starts it as a client. Writes its input to files at
/// its end.
#[test]
#[ignore = "the sound card of other tests"]
fn sound_card() {
    if !is_client() {
        return;
    }
    let (client, _) = jack::Client::new("sound_card", jack::ClientOptions::NO_START_SERVER).unwrap();
    let output = |i: usize| client.register_port(&format!("out_{i}"), jack::AudioOut::default()).unwrap();
    let input = |i: usize| client.register_port(&format!("in_{i}"), jack::AudioIn::default()).unwrap();
    let card = SoundCard {
        outputs: (1..=CHANNELS).map(output).collect(),
        inputs: (1..=2).map(input).collect(),
        starts: Vec::with_capacity(MAX_SECONDS * RATE / PERIOD),
        received: Vec::with_capacity(MAX_SECONDS * RATE * 2),
    };
    let active = client.activate_async((), card).unwrap();
    crate::jack_server::wait_for_end_of_input();
    let (_, (), card) = active.deactivate().unwrap();
    let starts = card.starts.iter().flat_map(|start| start.to_le_bytes());
    fs::write("starts.raw", starts.collect::<Vec<_>>()).unwrap();
    fs::write("received.raw", card.received.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>()).unwrap();
}

/// Returns the card's input on a channel from the first cycle to the last one with sound, and the frame time of the first one.
/// Returns `None` if the server skipped a cycle.
fn received(server: &Server, channel: usize) -> Option<(u32, Vec<f32>)> {
    let words = |file: &str| fs::read(server.folder.path().join(file)).unwrap().as_chunks().0.to_vec();
    let starts: Vec<u32> = words("starts.raw").into_iter().map(u32::from_le_bytes).collect();
    let samples: Vec<f32> = words("received.raw").into_iter().map(f32::from_le_bytes).collect();
    let cycles: Vec<&[f32]> = samples.chunks(2 * PERIOD).map(|both| &both[channel * PERIOD..][..PERIOD]).collect();
    let has_sound = |cycle: &&[f32]| cycle.iter().any(|x| *x != 0.0);
    let first = cycles.iter().position(has_sound).expect("some sound");
    let last = cycles.iter().rposition(has_sound).unwrap();
    let mut apart = starts[first..=last].windows(2).map(|pair| pair[1].wrapping_sub(pair[0]));
    apart.all(|frames| frames == PERIOD as u32).then(|| (starts[first], cycles[first..=last].concat()))
}

/// Records two seconds of the card while channel 1 is monitored through an algorithm. Returns the result of
/// [`received`]; `None` if this machine was so busy that frames were lost.
fn record_and_monitor(server: &mut Server, algorithm: &str) -> Option<(u32, Vec<f32>)> {
    server.start_client("monitor::sound_card");
    let base = ["record", "--device", "sound_card", "--host", "jack", "--channels", "1-32", "--out", "takes", "--json"];
    let monitor = ["--monitor", "1", "--algorithm", algorithm, "--monitor-to", "1,2", "--monitor-device", "sound_card"];
    let process = server.isotherm(&[&base[..], &monitor, &["--duration", "2s"]].concat()).spawn().unwrap();
    let output = finish(Process(process));
    let report = report(&output);
    // The card ends at the end of its standard input, and writes its files.
    let mut card = server.client.take().unwrap();
    drop(card.0.stdin.take());
    assert!(card.0.wait().unwrap().success());
    if output.status.code() == Some(3) || report["overruns"] != 0 || report["output_underruns"] != 0 {
        println!("frames were lost: {report}");
        return None;
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let left = received(server, 0)?;
    assert_eq!(Some(&left), received(server, 1).as_ref(), "one channel is played on both sides");
    Some(left)
}

/// Returns slots with one algorithm for one channel.
fn slots(algorithm: &str, frames: usize) -> Slots {
    let spec = ProcessSpec::new(RATE as f32, 1, frames);
    Slots::compile(spec, &[Effect::from_id(algorithm).unwrap()], Listen::Slot(0), None).unwrap()
}

/// Returns `frames` frames of channel 1, starting at frame time `first`, and the number of them that the take has. The others are
/// what the card played then.
fn recorded(server: &Server, first: u32, frames: usize) -> (Vec<f32>, usize) {
    let take = server.take();
    assert_eq!(Manifest::load(&take).unwrap().gaps, []);
    let mut played: Vec<f32> = (first..).take(frames).map(|frame| code(0, frame) as f32 / FULL_SCALE).collect();
    let stem = codes(&take.join("01 Channel 1.wav"));
    let early = stem.iter().take_while(|x| **x == 0).count();
    let number = (stem[early] >> 5) - 1;
    let at = (number - (first % NUMBER_PERIOD) as i32).rem_euclid(NUMBER_PERIOD as i32);
    // Negative if the take began before `first`.
    let at = if at > NUMBER_PERIOD as i32 / 2 { at - NUMBER_PERIOD as i32 } else { at };
    let mut taken = 0;
    for (code, place) in stem[early..].iter().zip(at..) {
        if let Some(x) = usize::try_from(place).ok().and_then(|place| played.get_mut(place)) {
            *x = *code as f32 / FULL_SCALE;
            taken += 1;
        }
    }
    (played, taken)
}

#[test]
fn the_output_is_the_recorded_input_through_the_algorithm_one_period_later() {
    for algorithm in ["clipper", "saturator"] {
        let mut tries = 0;
        let (server, (first, left)) = loop {
            let Some(mut server) = Server::start(&format!("round-{algorithm}-{tries}"), true) else { return };
            if let Some(received) = record_and_monitor(&mut server, algorithm) {
                break (server, received);
            }
            tries += 1;
            assert!(tries < TRIES, "never a recording without loss");
        };
        assert!(left.len() >= RATE, "{} frames", left.len());
        let latency = slots(algorithm, PERIOD).latency();
        // With a latency of more than a period the first blocks are silent.
        let silent = latency / PERIOD * PERIOD;
        let expected_after = |periods: usize| {
            let begun = first.wrapping_sub((silent + periods * PERIOD) as u32);
            let (mut block, taken) = recorded(&server, begun, silent + left.len());
            assert!(taken >= RATE, "{taken} frames were recorded and monitored");
            let mut slots = slots(algorithm, PERIOD);
            block.chunks_mut(PERIOD).for_each(|block| slots.process(&mut [block]));
            block.split_off(silent)
        };
        let round_trips: Vec<usize> = (0..5).filter(|periods| expected_after(*periods) == left).collect();
        println!("{algorithm}: played after {round_trips:?} periods of {PERIOD} frames and {latency} frames of the slots");
        assert_eq!(round_trips, [1], "{algorithm}");
    }
}

/// Configures ALSA devices that are clients of the server: `from_file` records a file, `to_file` plays and writes a file,
/// `shared` refuses a second program.
fn configure_alsa(server: &Server) {
    let recorded: String = (0..CHANNELS).map(|i| format!(" {i} system:capture_{}", i + 1)).collect();
    let played: String = (0..2).map(|i| format!(" {i} system:playback_{}", i + 1)).collect();
    let configuration = format!(
        "pcm.jack_capture {{ type jack capture_ports {{{recorded} }} playback_ports {{ 0 system:playback_1 }} }}\n\
         pcm.from_file {{ type file slave.pcm {{ type lfloat slave {{ pcm jack_capture format FLOAT_LE }} }}\n\
         file /dev/null infile in.raw format raw }}\n\
         pcm.jack_playback {{ type jack capture_ports {{ 0 system:capture_1 }} playback_ports {{{played} }} }}\n\
         pcm.to_file {{ type file slave.pcm jack_playback file out.raw format raw }}\n\
         pcm.shared {{ type share slave {{ pcm null format S32_LE rate 48000 channels 2 }} bindings {{ 0 0 1 1 }} }}\n"
    );
    fs::write(server.folder.path().join("sim.conf"), configuration).unwrap();
    let words = (0..3 * RATE as u32).flat_map(|frame| (0..CHANNELS).map(move |channel| code(channel, frame) << 8));
    fs::write(server.folder.path().join("in.raw"), words.flat_map(i32::to_le_bytes).collect::<Vec<_>>()).unwrap();
}

#[test]
fn alsa_plays_two_periods_of_silence_and_then_every_block_through_the_algorithm() {
    let Some(server) = Server::start("duplex", true) else { return };
    configure_alsa(&server);
    let base = ["record", "--device", "from_file", "--host", "alsa", "--channels", "1", "--out", "takes", "--json"];
    let monitor = ["--monitor", "1", "--algorithm", "saturator", "--monitor-to", "2", "--monitor-device", "to_file"];
    let output = server.isotherm(&[&base[..], &monitor, &["--duration", "1s"]].concat()).output().unwrap();
    if String::from_utf8_lossy(&output.stderr).contains("unknown device 'from_file'") {
        println!("skipped: libasound has no plug-in for JACK; cargo xtask setup installs it");
        return;
    }
    assert!(output.status.success(), "{output:?}");
    let report = report(&output);
    assert_eq!(report["output_underruns"], 0, "{report}");
    assert_eq!(
        codes(&server.take().join("01 Channel 1.wav"))[..],
        (0..RATE as u32).map(|frame| code(0, frame)).collect::<Vec<_>>()
    );
    let bytes = fs::read(server.folder.path().join("out.raw")).unwrap();
    let played: Vec<f32> = bytes.as_chunks().0.iter().map(|word| f32::from_le_bytes(*word)).collect();
    let (left, right): (Vec<f32>, Vec<f32>) = played.as_chunks().0.iter().map(|[left, right]| (*left, *right)).unzip();
    assert!(left.iter().all(|x| *x == 0.0), "only the second output was asked for");
    let period = report["period_seconds"].as_f64().unwrap() * RATE as f64;
    let prefill = 2 * period.round() as usize;
    assert!(right.len() >= prefill + RATE, "{} frames", right.len());
    let mut expected: Vec<f32> = (0..RATE as u32).map(|frame| code(0, frame) as f32 / FULL_SCALE).collect();
    let mut slots = slots("saturator", PERIOD);
    expected.chunks_mut(PERIOD).for_each(|block| slots.process(&mut [block]));
    assert!(right[..prefill].iter().all(|x| *x == 0.0), "silence in front");
    assert!(right[prefill..][..RATE] == expected, "then every block");
}

/// A program that opens a device twice. Does nothing unless a test starts it as a client.
#[test]
#[ignore = "a program that holds a device"]
fn opens_a_device_twice() {
    if !is_client() {
        return;
    }
    let request = OpenRequest::new(Host::Alsa, "shared");
    let _open = isotherm::device::open(&request).unwrap_or_else(|e| panic!("{e}"));
    let error = isotherm::device::open(&request).err().expect("it is in use");
    fs::write("error", error.to_string()).unwrap();
    // Ends without closing the devices: closing one after `libasound` has refused to share it is not tested here.
    std::process::exit(0);
}

#[test]
fn a_device_in_use_is_refused_in_one_line() {
    let Some(server) = Server::start("busy", true) else { return };
    configure_alsa(&server);
    let mut program = server.command(std::env::current_exe().unwrap().to_str().unwrap());
    program.args(["monitor::opens_a_device_twice", "--exact", "--ignored"]);
    assert!(program.env(crate::jack_server::CLIENT_VARIABLE, "1").status().unwrap().success());
    let error = fs::read_to_string(server.folder.path().join("error")).unwrap();
    assert_eq!(error, "shared: the device is in use by another program");
    let base =
        ["record", "--device", "from_file", "--host", "alsa", "--out", "takes", "--monitor", "1", "--algorithm", "clipper"];
    let output = server.isotherm(&[&base[..], &["--monitor-to", "3", "--monitor-device", "to_file"]].concat()).output().unwrap();
    assert!(failure(&output, 1).contains("to_file: asked for output channel 3, the device gave 2"));
}
