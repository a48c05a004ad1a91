//! Takes of the bundled CLAP plug-in. Needs `ISOTHERM_CLAP` and `ISOTHERM_CLAP_DEV`, which `cargo xtask test` sets.

use std::fs;
use std::path::{Path, PathBuf};

use isotherm::audio::generate;
use isotherm::record::{Manifest, verify};
use isotherm_host::{ClapInstance, ParameterEvent, nice_state};
use serde_json::{Value, json};

fn load_from(variable: &str) -> ClapInstance {
    let path = std::env::var_os(variable);
    let path = path.unwrap_or_else(|| panic!("{variable} is not set: run `cargo xtask test`, or name a bundle in it"));
    ClapInstance::load(&PathBuf::from(path)).unwrap()
}

fn load() -> ClapInstance {
    load_from("ISOTHERM_CLAP")
}

/// Sets the plug-in's setup of takes to `setup`, with takes in `folder`.
fn set_up(plugin: &mut ClapInstance, folder: &Path, mut setup: Value) {
    setup["folder"] = json!(folder);
    let state = nice_state::with_field(&plugin.save().unwrap(), "takes", &setup.to_string()).unwrap();
    plugin.load_state(&state).unwrap();
}

/// A plug-in with a setup of takes and a recorder on standby.
fn on_standby(channels: usize, folder: &Path, setup: Value) -> ClapInstance {
    let mut plugin = load();
    plugin.select_layout(channels).unwrap();
    set_up(&mut plugin, folder, setup);
    plugin.set("Recorder Standby", 1.0);
    plugin
}

fn sound(channels: usize, frames: usize) -> Vec<Vec<f32>> {
    (0..channels).map(|c| generate::pink(48_000, 0.2, frames, c as u64 + 1).unwrap().channel(0).to_vec()).collect()
}

/// The takes in a folder, the oldest first, each verified.
fn takes(folder: &Path) -> Vec<(PathBuf, Manifest)> {
    let mut takes: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    takes.sort();
    let checked = takes.into_iter().map(|take| {
        let verified = verify(&take).unwrap();
        assert_eq!(verified.problems, [""; 0], "{}", take.display());
        assert_eq!((verified.manifest.lost_frames(), &verified.manifest.error), (0, &None));
        (take, verified.manifest)
    });
    checked.collect()
}

/// A stem's 24-bit codes, as hound reads them.
fn stem(take: &(PathBuf, Manifest), index: usize) -> Vec<i32> {
    let file = take.0.join(&take.1.stems[index].parts[0].file);
    hound::WavReader::open(file).unwrap().samples::<i32>().map(Result::unwrap).collect()
}

/// The 24-bit codes nearest to samples.
fn codes(samples: &[f32]) -> Vec<i32> {
    let code = |x: &f32| (f64::from(*x) * 8_388_608.0).round_ties_even().clamp(-8_388_608.0, 8_388_607.0) as i32;
    samples.iter().map(code).collect()
}

/// `samples` delayed by `frames`, of the same length.
fn delayed(samples: &[f32], frames: usize) -> Vec<f32> {
    let silence = std::iter::repeat_n(0.0, frames);
    silence.chain(samples.iter().copied()).take(samples.len()).collect()
}

fn event(plugin: &ClapInstance, frame: usize, name: &str, value: f64) -> ParameterEvent {
    ParameterEvent { frame, id: plugin.parameter(name).id, value }
}

#[test]
fn stems_of_32_channels_are_what_the_host_sent_and_got_and_what_each_slot_alone_gives_while_parameters_move() {
    const FIRST: usize = 1234;
    const END: usize = 15_001;
    let folder = tempfile::tempdir().unwrap();
    let input = sound(32, 16_000);
    let moves = |plugin: &ClapInstance| {
        let mut events = Vec::new();
        for i in 0..100 {
            let value = f64::from(i * 37 % 100) / 100.0;
            events.push(event(plugin, 150 * i as usize, "A Saturator Drive", value));
            events.push(event(plugin, 150 * i as usize + 70, "B Bitcrusher Bits", value));
        }
        events
    };
    let play = |plugin: &mut ClapInstance, side: f64, events: &[ParameterEvent]| {
        plugin.set_text("B Algorithm", "Bitcrusher").unwrap();
        plugin.set("Listen", side);
        plugin.activate(48_000.0, 512).unwrap();
        let latency = plugin.latency() as usize;
        (plugin.render(&input, [512, 17, 64, 1], events).unwrap(), latency)
    };
    let alone = [0.0, 1.0].map(|side| {
        let mut plugin = load();
        plugin.select_layout(32).unwrap();
        let events = moves(&plugin);
        play(&mut plugin, side, &events).0
    });
    let mut plugin = on_standby(32, folder.path(), json!({ "sources": [true, true, true, true] }));
    let mut events = moves(&plugin);
    events.push(event(&plugin, FIRST, "Record", 1.0));
    events.push(event(&plugin, END, "Record", 0.0));
    let (output, latency) = play(&mut plugin, 1.0, &events);
    drop(plugin);
    assert!(latency > 0 && output == alone[1], "a recorder changes nothing");

    let takes = takes(folder.path());
    assert_eq!((takes.len(), takes[0].1.frames, takes[0].1.stems.len()), (1, (END - FIRST) as u64, 4 * 32));
    for channel in 0..32 {
        let dry = delayed(&input[channel], latency);
        let expected = [&dry, &alone[0][channel], &alone[1][channel], &output[channel]];
        for (source, (expected, name)) in expected.into_iter().zip(["Dry", "A", "B", "Out"]).enumerate() {
            let index = 32 * source + channel;
            assert_eq!(takes[0].1.stems[index].name, format!("{name} {}", channel + 1));
            assert!(stem(&takes[0], index) == codes(&expected[FIRST..END]), "{name} {channel}");
        }
    }
    assert!(alone[0][0] != alone[1][0]);
}

#[test]
fn every_switch_of_the_parameter_makes_a_take_of_exactly_its_frames() {
    let folder = tempfile::tempdir().unwrap();
    let mut plugin = on_standby(1, folder.path(), json!({ "sources": [false, false, false, true] }));
    plugin.activate(48_000.0, 512).unwrap();
    let input = sound(1, 10_000);
    let switches = [(0, 1.0), (1, 0.0), (700, 1.0), (5003, 0.0), (5004, 1.0)];
    let events: Vec<ParameterEvent> = switches.iter().map(|(frame, on)| event(&plugin, *frame, "Record", *on)).collect();
    let output = plugin.render(&input, [512, 33], &events).unwrap();
    plugin.set("Record", 0.0);
    plugin.render(&sound(1, 512), [512], &[]).unwrap();
    drop(plugin);
    let takes = takes(folder.path());
    let lengths: Vec<u64> = takes.iter().map(|take| take.1.frames).collect();
    assert_eq!(lengths.iter().sum::<u64>(), 1 + 4303 + 4996);
    for (first, end) in [(0, 1), (700, 5003), (5004, 10_000)] {
        assert!(takes.iter().any(|take| stem(take, 0) == codes(&output[0][first..end])), "{first} to {end}");
    }
}

#[test]
fn a_take_by_transport_lasts_while_the_host_plays() {
    let folder = tempfile::tempdir().unwrap();
    let mut plugin = on_standby(2, folder.path(), json!({ "sources": [false, false, false, true], "start": "transport" }));
    plugin.activate(48_000.0, 256).unwrap();
    let input = sound(2, 3000);
    plugin.render(&input, [256], &[]).unwrap();
    plugin.set_playing(true);
    let output = plugin.render(&input, [256], &[]).unwrap();
    plugin.set_playing(false);
    plugin.render(&input, [256], &[]).unwrap();
    drop(plugin);
    let takes = takes(folder.path());
    assert_eq!(takes.len(), 1);
    for channel in 0..2 {
        assert!(stem(&takes[0], channel) == codes(&output[channel]));
        assert_eq!(takes[0].1.stems[channel].name, ["Out L", "Out R"][channel]);
    }
}

#[test]
fn a_take_by_level_begins_with_its_pre_roll_and_then_the_first_loud_frame() {
    let folder = tempfile::tempdir().unwrap();
    let setup = json!({ "sources": [true, false, false, false], "start": "level", "level_db": -20.0, "quiet_seconds": 0.1,
        "pre_roll_seconds": 0.01 });
    let mut plugin = on_standby(1, folder.path(), setup);
    plugin.activate(48_000.0, 256).unwrap();
    let latency = plugin.latency() as usize;
    let mut input = vec![vec![0.01; 20_000]];
    input[0][5000..7000].fill(0.5);
    plugin.render(&input, [256], &[]).unwrap();
    drop(plugin);
    let takes = takes(folder.path());
    let expected = delayed(&input[0], latency);
    let loud = latency + 5000;
    assert_eq!(takes.len(), 1);
    assert!(stem(&takes[0], 0) == codes(&expected[loud - 480..loud + 2000 + 4800]), "{} frames", takes[0].1.frames);
}

#[test]
fn an_offline_bounce_records_from_its_first_frame_without_a_gap_also_if_nothing_was_on_standby() {
    // More than the recorder's buffer holds.
    const FRAMES: usize = 12 * 48_000;
    let folder = tempfile::tempdir().unwrap();
    let mut plugin = load();
    plugin.select_layout(1).unwrap();
    set_up(&mut plugin, folder.path(), json!({ "sources": [true, false, false, true], "name": "Bounce" }));
    plugin.set_text("A Algorithm", "Clipper").unwrap();
    plugin.set_offline(true).unwrap();
    plugin.activate(48_000.0, 4096).unwrap();
    let latency = plugin.latency() as usize;
    let input = sound(1, FRAMES);
    let on = event(&plugin, 0, "Record", 1.0);
    let output = plugin.render(&input, [4096], &[on]).unwrap();
    drop(plugin);
    let takes = takes(folder.path());
    assert_eq!(takes.len(), 1);
    assert!(takes[0].0.to_str().unwrap().ends_with(" Bounce"));
    assert!(stem(&takes[0], 0) == codes(&delayed(&input[0], latency)));
    assert!(stem(&takes[0], 1) == codes(&output[0]));
}

#[test]
fn a_restart_of_the_host_loses_no_frame_of_a_take() {
    let folder = tempfile::tempdir().unwrap();
    let mut plugin = on_standby(1, folder.path(), json!({ "sources": [false, false, false, true] }));
    plugin.set("Record", 1.0);
    let input = sound(1, 5000);
    let mut expected = Vec::new();
    for _ in 0..3 {
        plugin.activate(48_000.0, 256).unwrap();
        expected.extend(codes(&plugin.render(&input, [256], &[]).unwrap()[0]));
        plugin.deactivate();
    }
    drop(plugin);
    let takes = takes(folder.path());
    assert!(takes.len() == 1 && stem(&takes[0], 0) == expected);
}

#[test]
fn a_channels_name_is_its_stems_name() {
    for (sources, names) in [
        (json!([true, true, false, false]), vec!["01 Dry Kick.wav", "02 Dry R.wav", "03 A Kick.wav", "04 A R.wav"]),
        (json!([false, false, true, false]), vec!["01 Kick.wav", "02 B R.wav"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut plugin = on_standby(2, folder.path(), json!({ "sources": sources, "channels": ["Kick", ""] }));
        plugin.set("Record", 1.0);
        plugin.activate(48_000.0, 256).unwrap();
        plugin.render(&sound(2, 1000), [256], &[]).unwrap();
        drop(plugin);
        let takes = takes(folder.path());
        let files: Vec<&str> = takes[0].1.stems.iter().map(|stem| stem.parts[0].file.as_str()).collect();
        assert_eq!(files, names);
    }
}

#[test]
fn the_setup_of_takes_is_part_of_the_state_and_a_state_without_it_keeps_it() {
    let setup = |plugin: &ClapInstance| -> Value {
        let state = nice_state::to_json(&plugin.save().unwrap()).unwrap();
        serde_json::from_str(state["fields"]["takes"].as_str().unwrap()).unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let mut one = load();
    let default = setup(&one);
    let wanted = json!({ "sources": [false, true, true, true], "name": "Show", "channels": ["Kick"], "start": "level",
        "level_db": -30.0, "quiet_seconds": 2.0, "pre_roll_seconds": 10.0, "split_minutes": 30.0 });
    set_up(&mut one, folder.path(), wanted.clone());
    assert_ne!(setup(&one), default);
    let state = one.save().unwrap();
    let mut two = load();
    two.load_state(&state).unwrap();
    assert_eq!(two.save().unwrap(), state);
    for (key, value) in wanted.as_object().unwrap() {
        assert_eq!(setup(&two)[key], *value, "{key}");
    }
    // A state of a version without the recorder.
    let mut old = nice_state::to_json(&load().save().unwrap()).unwrap();
    old["fields"].as_object_mut().unwrap().remove("takes");
    for id in ["record", "record_arm"] {
        assert!(old["params"].as_object_mut().unwrap().remove(id).is_some());
    }
    two.load_state(&nice_state::from_json(&old)).unwrap();
    assert_eq!(two.save().unwrap(), state);
    // A setup that cannot be read is saved again unchanged.
    let broken = nice_state::with_field(&state, "takes", "{").unwrap();
    two.load_state(&broken).unwrap();
    assert_eq!(nice_state::to_json(&two.save().unwrap()).unwrap(), nice_state::to_json(&broken).unwrap());
}

#[test]
fn a_folder_that_cannot_be_written_leaves_the_sound_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let input = sound(2, 5000);
    let play = |plugin: &mut ClapInstance| {
        plugin.set("Record", 1.0);
        plugin.activate(48_000.0, 256).unwrap();
        plugin.render(&input, [256], &[]).unwrap()
    };
    let good = tempfile::tempdir().unwrap();
    let expected = play(&mut on_standby(2, good.path(), json!({})));
    assert!(play(&mut on_standby(2, &file, json!({}))) == expected);
    assert_eq!(fs::read(&file).unwrap(), b"");
}

/// The development bundle aborts the process when the audio thread allocates or frees.
#[test]
fn the_audio_thread_allocates_nothing_while_takes_begin_and_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut plugin = load_from("ISOTHERM_CLAP_DEV");
    plugin.select_layout(8).unwrap();
    set_up(&mut plugin, folder.path(), json!({ "sources": [true, true, true, true] }));
    plugin.activate(48_000.0, 256).unwrap();
    let input = sound(8, 4800);
    for round in 0..20 {
        // The recorder is opened and closed while sound runs.
        plugin.set("Recorder Standby", f64::from(round % 3).min(1.0));
        let switch = |i: usize| event(&plugin, 1000 * i + 7, "Record", f64::from(i as u8 % 2));
        let events: Vec<ParameterEvent> = (0..4).map(switch).collect();
        plugin.render(&input, [256, 31, 1], &events).unwrap();
        plugin.run_main_thread_callbacks();
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    drop(plugin);
    assert!(!takes(folder.path()).is_empty());
}
