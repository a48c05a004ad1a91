//! Laws of what is heard while a device is recorded: at JACK, and at ALSA over it.

use std::fs;

use crate::jackd::{CHANNELS, PERIOD, Process, RATE, Server, TURN, code, codes, failure, finish, is_player, report};
use isotherm::device::{Host, Wish};
use isotherm::dsp::Spec;
use isotherm::effect::Effect;
use isotherm::record::Manifest;
use isotherm::slots::{Heard, Slots};

const FULL_SCALE: f32 = 8_388_608.0;
/// The card keeps so much of what it hears.
const MOST_SECONDS: usize = 60;

/// A busy machine loses frames: then there is nothing to compare, and it is tried again, so often.
const TRIES: usize = 10;

/// What a sound card does at JACK: it gives each frame's number, and keeps what it is given.
struct Card {
    outputs: Vec<jack::Port<jack::AudioOut>>,
    inputs: Vec<jack::Port<jack::AudioIn>>,
    /// The frame time of each cycle, and what came in it, channel after channel.
    starts: Vec<u32>,
    heard: Vec<f32>,
}

impl jack::ProcessHandler for Card {
    fn process(&mut self, _: &jack::Client, scope: &jack::ProcessScope) -> jack::Control {
        let first = scope.last_frame_time();
        for (channel, port) in self.outputs.iter_mut().enumerate() {
            for (x, frame) in port.as_mut_slice(scope).iter_mut().zip(first..) {
                *x = code(channel, frame) as f32 / FULL_SCALE;
            }
        }
        if self.starts.len() < self.starts.capacity() {
            self.starts.push(first);
            self.inputs.iter().for_each(|port| self.heard.extend_from_slice(port.as_slice(scope)));
        }
        jack::Control::Continue
    }
}

/// Not a test: the sound card, when a test starts it. At its end it writes down what it heard.
#[test]
#[ignore = "the sound card of other tests"]
fn card() {
    if !is_player() {
        return;
    }
    let (client, _) = jack::Client::new("card", jack::ClientOptions::NO_START_SERVER).unwrap();
    let output = |i: usize| client.register_port(&format!("out_{i}"), jack::AudioOut::default()).unwrap();
    let input = |i: usize| client.register_port(&format!("in_{i}"), jack::AudioIn::default()).unwrap();
    let card = Card {
        outputs: (1..=CHANNELS).map(output).collect(),
        inputs: (1..=2).map(input).collect(),
        starts: Vec::with_capacity(MOST_SECONDS * RATE / PERIOD),
        heard: Vec::with_capacity(MOST_SECONDS * RATE * 2),
    };
    let active = client.activate_async((), card).unwrap();
    crate::jackd::wait_for_the_end();
    let (_, (), card) = active.deactivate().unwrap();
    let starts = card.starts.iter().flat_map(|start| start.to_le_bytes());
    fs::write("starts.raw", starts.collect::<Vec<_>>()).unwrap();
    fs::write("heard.raw", card.heard.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>()).unwrap();
}

/// What the card heard on a channel from the cycle on in which sound came, and the frame time of that cycle; none if the server left
/// out a cycle.
fn heard(server: &Server, channel: usize) -> Option<(u32, Vec<f32>)> {
    let words = |file: &str| fs::read(server.folder.path().join(file)).unwrap().as_chunks().0.to_vec();
    let starts: Vec<u32> = words("starts.raw").into_iter().map(u32::from_le_bytes).collect();
    let samples: Vec<f32> = words("heard.raw").into_iter().map(f32::from_le_bytes).collect();
    let cycles: Vec<&[f32]> = samples.chunks(2 * PERIOD).map(|both| &both[channel * PERIOD..][..PERIOD]).collect();
    let sounds = |cycle: &&[f32]| cycle.iter().any(|x| *x != 0.0);
    let first = cycles.iter().position(sounds).expect("something was heard");
    let last = cycles.iter().rposition(sounds).unwrap();
    let mut apart = starts[first..=last].windows(2).map(|pair| pair[1].wrapping_sub(pair[0]));
    apart.all(|frames| frames == PERIOD as u32).then(|| (starts[first], cycles[first..=last].concat()))
}

/// Two seconds of the card, recorded, and channel 1 heard through an algorithm; none if this machine was too busy for every frame.
fn record_and_hear(server: &mut Server, algorithm: &str) -> Option<(u32, Vec<f32>)> {
    server.play("monitor::card");
    let base = ["record", "--device", "card", "--host", "jack", "--channels", "1-32", "--out", "takes", "--json"];
    let monitor = ["--monitor", "1", "--algorithm", algorithm, "--monitor-to", "1,2", "--monitor-device", "card"];
    let process = server.isotherm(&[&base[..], &monitor, &["--duration", "2s"]].concat()).spawn().unwrap();
    let output = finish(Process(process));
    let report = report(&output);
    // It ends when its input does, and writes down what it heard.
    let mut card = server.player.take().unwrap();
    drop(card.0.stdin.take());
    assert!(card.0.wait().unwrap().success());
    if output.status.code() == Some(3) || report["overruns"] != 0 || report["output_underruns"] != 0 {
        println!("frames were lost: {report}");
        return None;
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let left = heard(server, 0)?;
    assert_eq!(Some(&left), heard(server, 1).as_ref(), "one channel is heard on both sides");
    Some(left)
}

fn slots(algorithm: &str, frames: usize) -> Slots {
    let spec = Spec { sample_rate: RATE as f32, channels: 1, max_frames: frames };
    Slots::compile(spec, &[Effect::from_id(algorithm).unwrap()], Heard::Slot(0), None).unwrap()
}

/// What of `frames` frames from `first` on was recorded; what is not in the take is what the card played.
fn recorded(server: &Server, first: u32, frames: usize) -> (Vec<f32>, usize) {
    let take = server.take();
    assert_eq!(Manifest::load(&take).unwrap().gaps, []);
    let mut played: Vec<f32> = (first..).take(frames).map(|frame| code(0, frame) as f32 / FULL_SCALE).collect();
    let stem = codes(&take.join("01 Channel 1.wav"));
    let early = stem.iter().take_while(|x| **x == 0).count();
    let number = (stem[early] >> 5) - 1;
    let at = (number - (first % TURN) as i32).rem_euclid(TURN as i32);
    // The take may have begun before.
    let at = if at > TURN as i32 / 2 { at - TURN as i32 } else { at };
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
fn what_is_heard_is_what_the_algorithm_makes_of_what_is_recorded_one_period_later() {
    for algorithm in ["clipper", "saturator"] {
        let mut tries = 0;
        let (server, (first, left)) = loop {
            let Some(mut server) = Server::start(&format!("round-{algorithm}-{tries}"), true) else { return };
            if let Some(heard) = record_and_hear(&mut server, algorithm) {
                break (server, heard);
            }
            tries += 1;
            assert!(tries < TRIES, "never a recording without loss");
        };
        assert!(left.len() >= RATE, "{} frames", left.len());
        let latency = slots(algorithm, PERIOD).latency();
        // With a latency of more than a period the first blocks are silent.
        let silent = latency / PERIOD * PERIOD;
        let makes = |periods: usize| {
            let begun = first.wrapping_sub((silent + periods * PERIOD) as u32);
            let (mut block, taken) = recorded(&server, begun, silent + left.len());
            assert!(taken >= RATE, "{taken} frames were recorded and heard");
            let mut slots = slots(algorithm, PERIOD);
            block.chunks_mut(PERIOD).for_each(|block| slots.process(&mut [block]));
            block.split_off(silent)
        };
        let round_trips: Vec<usize> = (0..5).filter(|periods| makes(*periods) == left).collect();
        println!("{algorithm}: heard after {round_trips:?} periods of {PERIOD} frames and {latency} frames of the slots");
        assert_eq!(round_trips, [1], "{algorithm}");
    }
}

/// An ALSA device that records from the server's card, and one that plays to it and writes down what it plays.
fn alsa(server: &Server) {
    let recorded: String = (0..CHANNELS).map(|i| format!(" {i} system:capture_{}", i + 1)).collect();
    let played: String = (0..2).map(|i| format!(" {i} system:playback_{}", i + 1)).collect();
    let own = format!(
        "pcm.ears {{ type jack capture_ports {{{recorded} }} playback_ports {{ 0 system:playback_1 }} }}\n\
         pcm.desk {{ type file slave.pcm {{ type lfloat slave {{ pcm ears format FLOAT_LE }} }}\n\
         file /dev/null infile in.raw format raw }}\n\
         pcm.mouth {{ type jack capture_ports {{ 0 system:capture_1 }} playback_ports {{{played} }} }}\n\
         pcm.loud {{ type file slave.pcm mouth file out.raw format raw }}\n\
         pcm.shared {{ type share slave {{ pcm null format S32_LE rate 48000 channels 2 }} bindings {{ 0 0 1 1 }} }}\n"
    );
    fs::write(server.folder.path().join("sim.conf"), own).unwrap();
    let words = (0..3 * RATE as u32).flat_map(|frame| (0..CHANNELS).map(move |channel| code(channel, frame) << 8));
    fs::write(server.folder.path().join("in.raw"), words.flat_map(i32::to_le_bytes).collect::<Vec<_>>()).unwrap();
}

#[test]
fn alsa_plays_two_periods_of_silence_and_then_what_the_algorithm_makes_of_every_block() {
    let Some(server) = Server::start("duplex", true) else { return };
    alsa(&server);
    let base = ["record", "--device", "desk", "--host", "alsa", "--channels", "1", "--out", "takes", "--json"];
    let monitor = ["--monitor", "1", "--algorithm", "saturator", "--monitor-to", "2", "--monitor-device", "loud"];
    let output = server.isotherm(&[&base[..], &monitor, &["--duration", "1s"]].concat()).output().unwrap();
    if String::from_utf8_lossy(&output.stderr).contains("unknown device 'desk'") {
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
    let prefilled = 2 * period.round() as usize;
    assert!(right.len() >= prefilled + RATE, "{} frames", right.len());
    let mut expected: Vec<f32> = (0..RATE as u32).map(|frame| code(0, frame) as f32 / FULL_SCALE).collect();
    let mut slots = slots("saturator", PERIOD);
    expected.chunks_mut(PERIOD).for_each(|block| slots.process(&mut [block]));
    assert!(right[..prefilled].iter().all(|x| *x == 0.0), "silence in front");
    assert!(right[prefilled..][..RATE] == expected, "then every block");
}

/// Not a test: opens a device twice, when a test starts it.
#[test]
#[ignore = "a program that holds a device"]
fn holder() {
    if !is_player() {
        return;
    }
    let wish = Wish::new(Host::Alsa, "shared");
    let _held = isotherm::device::open(&wish).unwrap_or_else(|e| panic!("{e}"));
    let error = isotherm::device::open(&wish).err().expect("it is in use");
    fs::write("error", error.to_string()).unwrap();
    // What `libasound` does at the end of a refused share is not what is tested.
    std::process::exit(0);
}

#[test]
fn a_device_in_use_is_refused_in_one_line() {
    let Some(server) = Server::start("busy", true) else { return };
    alsa(&server);
    let mut holder = server.command(std::env::current_exe().unwrap().to_str().unwrap());
    assert!(holder.args(["monitor::holder", "--exact", "--ignored"]).env(crate::jackd::PLAYER, "1").status().unwrap().success());
    let error = fs::read_to_string(server.folder.path().join("error")).unwrap();
    assert_eq!(error, "shared: the device is in use by another program");
    let far = ["record", "--device", "desk", "--host", "alsa", "--out", "takes", "--monitor", "1", "--algorithm", "clipper"];
    let output = server.isotherm(&[&far[..], &["--monitor-to", "3", "--monitor-device", "loud"]].concat()).output().unwrap();
    assert!(failure(&output, 1).contains("loud: asked for output channel 3, the device gave 2"));
}
