//! The bundled CLAP plug-in: parameters, samples, states, latency, switches. Needs `ISOTHERM_CLAP` and `ISOTHERM_CLAP_DEV`, which
//! `cargo xtask test` sets.

use std::path::{Path, PathBuf};
use std::process::Command;

use isotherm::algorithm::REGISTRY;
use isotherm::audio::wav::{WavFormat, read, write};
use isotherm::audio::{Audio, Random, generate};
use isotherm::dsp::{ChangeMode, ProcessSpec, Settings, choice_id};
use isotherm::effect::Effect;
use isotherm::slots::{Listen, Slots};
use isotherm_host::{ClapInstance, ParameterEvent, nice_state};

fn bundle(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable);
    PathBuf::from(path.unwrap_or_else(|| panic!("{variable} is not set: run `cargo xtask test`, or name a bundle in it")))
}

fn load() -> ClapInstance {
    ClapInstance::load(&bundle("ISOTHERM_CLAP")).unwrap()
}

/// Pink noise, loud enough to be changed by every algorithm and different in each channel.
fn sound(channels: usize, frames: usize) -> Vec<Vec<f32>> {
    (0..channels).map(|c| generate::pink(48_000, 0.2, frames, c as u64 + 1).unwrap().channel(0).to_vec()).collect()
}

/// The settings of a slot's algorithm, from the plug-in's state, as a value that a host sets is rounded on its way.
fn settings(plugin: &ClapInstance, slot: &str) -> Settings {
    let state = nice_state::parameters(&plugin.save().unwrap()).unwrap();
    let row = REGISTRY[state[&format!("{slot}_algorithm")] as usize];
    let mut settings = Settings::new(row);
    for (index, parameter) in row.parameters.iter().enumerate() {
        settings.set(index, state[&format!("{slot}_{}_{}", row.id, parameter.id)]);
    }
    settings
}

fn effects(settings: &[Settings]) -> Vec<Effect> {
    settings.iter().map(|settings| Effect::from(*settings)).collect()
}

/// The output of the library's slots for settings, of which slot `listen` is let through, and their latency.
fn library_output(rate: f32, settings: &[Settings], listen: usize, input: &[Vec<f32>]) -> (Vec<Vec<f32>>, usize) {
    let spec = ProcessSpec::new(rate, input.len(), 4096);
    let mut slots = Slots::compile(spec, &effects(settings), Listen::Slot(listen), None).unwrap();
    let mut output = input.to_vec();
    let mut views: Vec<&mut [f32]> = output.iter_mut().map(Vec::as_mut_slice).collect();
    slots.process(&mut views);
    (output, slots.latency())
}

/// Sets slot A or B to an algorithm with values other than the defaults, at which every parameter changes the sound.
fn set_everything(plugin: &mut ClapInstance, slot: &str, row: &isotherm::dsp::Algorithm) {
    plugin.set_text(&format!("{slot} Algorithm"), row.name).unwrap();
    for parameter in row.parameters {
        let (min, max) = parameter.range();
        let value = match parameter.id {
            "mix" => 80.0,
            "bits" => 5.5,
            "rate" => 17_000.0,
            "oversampling" => 2.0,
            "render_oversampling" => 1.0,
            _ => parameter.clamp(min + 0.6 * (max - min)),
        };
        plugin.set_text(&format!("{slot} {} {}", row.name, parameter.name), &parameter.text(value)).unwrap();
    }
}

#[test]
fn the_host_sees_the_registrys_parameters_grouped_with_units_and_readable_values() {
    let plugin = load();
    let expected: usize = REGISTRY.iter().map(|r| r.parameters.len()).sum();
    assert_eq!(plugin.parameters().len(), 2 * expected + 7);
    assert!(plugin.parameter("Bypass").bypass);
    for slot in ["A", "B"] {
        assert!(!plugin.parameter(&format!("{slot} Algorithm")).automatable);
        for row in REGISTRY {
            for parameter in row.parameters {
                let name = format!("{slot} {} {}", row.name, parameter.name);
                let info = plugin.parameter(&name).clone();
                assert_eq!(info.module, format!("{slot}/{}", row.name));
                assert_eq!(info.automatable, parameter.change == ChangeMode::Ramped, "{name}");
                assert_eq!(plugin.text(&name, info.default), parameter.text_with_unit(parameter.default()), "{name}");
                let again = plugin.value_of_text(&name, &parameter.text_with_unit(parameter.default())).unwrap();
                assert!((again - info.default).abs() < 1e-3, "{name}");
            }
        }
    }
    assert_eq!(plugin.text("A Saturator Tone", plugin.value_of_text("A Saturator Tone", "off").unwrap()), "off");
    assert_eq!(plugin.value_of_text("A Saturator Drive", "loud"), None);
}

#[test]
fn remote_control_pages_reach_every_parameter() {
    let plugin = load();
    let pages = plugin.remote_control_pages();
    assert!(pages.iter().all(|p| p.parameters.len() <= 8));
    for parameter in plugin.parameters() {
        assert!(pages.iter().any(|p| p.parameters.contains(&parameter.id)), "{}", parameter.name);
    }
}

#[test]
fn every_layout_gives_the_samples_of_the_library() {
    let mut layouts = load().layouts();
    layouts.sort_unstable();
    assert_eq!(layouts, [1, 2, 4, 8, 16, 32]);
    for channels in layouts {
        let mut plugin = load();
        plugin.select_layout(channels).unwrap();
        plugin.set_text("A Saturator Drive", "24 dB").unwrap();
        plugin.activate(48_000.0, 512).unwrap();
        let input = sound(channels, 5000);
        let output = plugin.render(&input, [512], &[]).unwrap();
        let (expected, latency) = library_output(48_000.0, &[settings(&plugin, "a"), settings(&plugin, "b")], 0, &input);
        assert_eq!(plugin.latency() as usize, latency);
        assert!(output == expected, "{channels} channels");
    }
}

#[test]
fn the_plugin_gives_the_samples_of_isotherm_render_at_every_rate_and_cut_into_any_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("in.wav"), folder.path().join("out.wav"));
    // `models.rs` has this test with models, without which the neural algorithm has nothing to render.
    for (row, is_bounce) in REGISTRY.iter().filter(|row| !row.plays_model).flat_map(|row| [(row, false), (row, true)]) {
        for (rate, blocks) in [(48_000u32, vec![512]), (44_100, vec![1, 17, 64, 333, 512]), (96_000, vec![4096])] {
            let input = sound(2, 20_000);
            write(&from, &Audio::from_channels(rate, &[&input[0], &input[1]]).unwrap(), WavFormat::Float32).unwrap();
            let mut plugin = load();
            plugin.select_layout(2).unwrap();
            set_everything(&mut plugin, "A", row);
            if is_bounce {
                plugin.set_offline(true).unwrap();
            } else if row.parameters.iter().any(|p| p.id == "render_oversampling") {
                plugin.set_text(&format!("A {} Render oversampling", row.name), "As set").unwrap();
            }
            plugin.activate(f64::from(rate), *blocks.iter().max().unwrap() as u32).unwrap();
            let latency = plugin.latency() as usize;
            let flushed: Vec<Vec<f32>> = input.iter().map(|c| c.iter().copied().chain(vec![0.0; latency]).collect()).collect();
            let output = plugin.render(&flushed, blocks.iter().copied(), &[]).unwrap();

            let mut render = Command::new(env!("CARGO_BIN_EXE_isotherm"));
            render.arg("render").args([&from, &to]).args(["--algorithm", row.id, "--force", "--format", "32f", "--block", "777"]);
            for (parameter, value) in settings(&plugin, "a").iter() {
                // Ten digits are more than a float has.
                let text = match parameter.kind {
                    isotherm::dsp::ParameterKind::Float { .. } => format!("{value:.10}"),
                    _ => choice_id(&parameter.text(value)),
                };
                render.arg(format!("--{}={text}", parameter.id.replace('_', "-")));
            }
            let done = render.output().unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
            let rendered = read(&to).unwrap();
            assert_eq!(rendered.frames(), 20_000);
            for (c, channel) in output.iter().enumerate() {
                assert!(rendered.channel(c) == &channel[latency..], "{} at {rate}, channel {c}", row.id);
            }
        }
    }
}

#[test]
fn an_event_inside_a_block_takes_effect_at_its_frame() {
    let mut plugin = load();
    plugin.select_layout(1).unwrap();
    plugin.activate(48_000.0, 512).unwrap();
    let before = [settings(&plugin, "a"), settings(&plugin, "b")];
    let input = sound(1, 4000);
    let (id, value) = (plugin.parameter("A Saturator Drive").id, plugin.value_of_text("A Saturator Drive", "30 dB").unwrap());
    let output = plugin.render(&input, [512], &[ParameterEvent { frame: 1124, id, value }]).unwrap();
    let drive = settings(&plugin, "a").get(0);
    assert!((drive - 30.0).abs() < 1e-3);

    let spec = ProcessSpec::new(48_000.0, 1, 4096);
    let mut slots = Slots::compile(spec, &effects(&before), Listen::Slot(0), None).unwrap();
    let mut expected = input.clone();
    let (early, late) = expected[0].split_at_mut(1124);
    slots.process(&mut [early]);
    slots.set(0, 0, drive);
    slots.process(&mut [late]);
    assert!(output == expected);
}

#[test]
fn state_restores_bit_for_bit_also_on_another_instance() {
    for row in REGISTRY {
        let mut one = load();
        set_everything(&mut one, "B", row);
        one.set_text("Listen", "B or Y").unwrap();
        let state = one.save().unwrap();
        let mut two = load();
        two.load_state(&state).unwrap();
        assert_eq!(two.save().unwrap(), state);
        let input = sound(2, 3000);
        let play = |plugin: &mut ClapInstance| {
            plugin.activate(48_000.0, 256).unwrap();
            plugin.render(&input, [256], &[]).unwrap()
        };
        assert!(play(&mut one) == play(&mut two), "{}", row.id);
    }
}

#[test]
fn a_structural_change_while_running_dips_and_its_latency_follows_the_formats_rules() {
    let mut plugin = load();
    plugin.select_layout(1).unwrap();
    plugin.activate(48_000.0, 256).unwrap();
    let eight = plugin.latency();
    // A sine of whole periods has no steps, even when it is repeated.
    let input: Vec<f32> = (0..48_000).map(|i| 0.5 * (std::f32::consts::TAU * (i % 480) as f32 / 480.0).sin()).collect();
    let input = vec![input];
    plugin.render(&input, [256], &[]).unwrap();
    let id = plugin.parameter("A Saturator Oversampling").id;
    let mut output = Vec::new();
    let mut events = vec![ParameterEvent { frame: 100, id, value: 0.0 }];
    // The new slots are made on the builder thread: sound runs until they have arrived.
    for _ in 0..200 {
        output.extend(plugin.render(&input, [256], &events).unwrap().remove(0));
        events.clear();
        plugin.run_main_thread_callbacks();
        if plugin.restart_requested() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(plugin.restart_requested(), "the host is asked to restart");
    let step = output.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max);
    assert!(step < 0.02, "a step of {step}");
    assert_eq!(plugin.latency(), eight, "constant while active");
    let calls = plugin.latency_changed_calls();
    plugin.grant_requests().unwrap();
    assert!(plugin.latency_changed_calls() > calls);
    assert!(plugin.latency() < eight, "{} of {eight}", plugin.latency());
    let (expected, latency) = library_output(48_000.0, &[settings(&plugin, "a"), settings(&plugin, "b")], 0, &input);
    assert_eq!(plugin.latency() as usize, latency);
    assert!(plugin.render(&input, [256], &[]).unwrap() == expected);
}

#[test]
fn a_bounce_has_the_oversampling_of_renders_and_the_latency_of_real_time() {
    let input = sound(2, 5000);
    for name in ["Saturator", "Clipper"] {
        let prepared = |set: &str, render: &str, offline: bool| {
            let mut plugin = load();
            plugin.select_layout(2).unwrap();
            plugin.set_text("A Algorithm", name).unwrap();
            plugin.set_text(&format!("A {name} Oversampling"), set).unwrap();
            plugin.set_text(&format!("A {name} Render oversampling"), render).unwrap();
            plugin.set_offline(offline).unwrap();
            plugin.activate(48_000.0, 512).unwrap();
            plugin
        };
        let play = |plugin: &mut ClapInstance| (plugin.latency() as usize, plugin.render(&input, [512], &[]).unwrap());
        let played = |set: &str, render: &str, offline: bool| play(&mut prepared(set, render, offline));
        let [one, two, eight] = ["1x", "2x", "8x"].map(|set| played(set, "As set", false));
        assert!(one.0 < two.0 && two.0 < eight.0 && one.1 != two.1, "{name}");
        for render in ["As set", "2x"] {
            assert!([false, true].iter().all(|offline| played("2x", render, *offline) == two), "{name}: render at {render}");
        }
        // The sound of a lower oversampling with the latency of a higher one.
        let later = |(latency, sound): &(usize, Vec<Vec<f32>>), new: usize| {
            let late = new - latency;
            (new, sound.iter().map(|c| [&vec![0.0; late][..], &c[..c.len() - late]].concat()).collect::<Vec<_>>())
        };
        assert!(played("1x", "8x", true) == eight, "{name}");
        assert!(played("1x", "8x", false) == later(&one, eight.0), "{name}");
        assert!(played("8x", "1x", true) == later(&one, eight.0), "{name}");
        assert!(played("8x", "1x", false) == eight, "{name}");
        // An instance that runs becomes offline, and runs on in real time after the bounce.
        let mut plugin = prepared("1x", "8x", false);
        for (offline, expected) in [(false, later(&one, eight.0)), (true, eight.clone()), (false, later(&one, eight.0))] {
            plugin.set_offline(offline).unwrap();
            plugin.reset();
            assert!(play(&mut plugin) == expected, "{name}, offline: {offline}");
        }
    }
}

#[test]
fn a_state_loaded_while_running_takes_effect() {
    let mut other = load();
    other.set_text("A Algorithm", "Clipper").unwrap();
    let state = other.save().unwrap();
    let mut plugin = load();
    plugin.select_layout(1).unwrap();
    plugin.activate(48_000.0, 256).unwrap();
    let input = sound(1, 4800);
    plugin.render(&input, [256], &[]).unwrap();
    plugin.load_state(&state).unwrap();
    let (clipped, _) = library_output(48_000.0, &[settings(&plugin, "a"), settings(&plugin, "b")], 0, &input);
    for _ in 0..200 {
        plugin.render(&input, [256], &[]).unwrap();
        plugin.grant_requests().unwrap();
        plugin.reset();
        if plugin.render(&input, [256], &[]).unwrap() == clipped {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    panic!("the clipper never came");
}

#[test]
fn bypass_keeps_the_latency_and_every_sample() {
    let mut plugin = load();
    plugin.select_layout(2).unwrap();
    plugin.set_text("Bypass", "On").or_else(|_| plugin.set_text("Bypass", "on")).unwrap();
    plugin.activate(48_000.0, 128).unwrap();
    let latency = plugin.latency() as usize;
    assert!(latency > 0);
    let input = sound(2, 2000);
    let output = plugin.render(&input, [128], &[]).unwrap();
    for (x, y) in input.iter().zip(&output) {
        assert!(y[..latency].iter().all(|v| *v == 0.0));
        assert!(y[latency..] == x[..2000 - latency]);
    }
}

#[test]
fn input_that_is_not_finite_never_reaches_output_or_state() {
    for bypass in ["off", "on"] {
        let mut plugin = load();
        plugin.select_layout(2).unwrap();
        plugin.set(plugin.parameter("Bypass").id, f64::from(u8::from(bypass == "on")));
        plugin.activate(48_000.0, 256).unwrap();
        let mut input = sound(2, 4800);
        for i in (0..1000).step_by(7) {
            input[0][i] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e38][i % 4];
        }
        let output = plugin.render(&input, [256], &[]).unwrap();
        assert!(output.iter().flatten().all(|v| v.is_finite()), "bypass {bypass}");
        plugin.reset();
        let clean = sound(2, 4800);
        let mut fresh = load();
        fresh.select_layout(2).unwrap();
        fresh.set(fresh.parameter("Bypass").id, f64::from(u8::from(bypass == "on")));
        fresh.activate(48_000.0, 256).unwrap();
        assert!(plugin.render(&clean, [256], &[]).unwrap() == fresh.render(&clean, [256], &[]).unwrap());
    }
}

#[test]
fn listen_and_blind_switch_let_exactly_one_slot_through() {
    let input = sound(1, 9600);
    let play = |blind: bool, side: f64| {
        let mut plugin = load();
        plugin.select_layout(1).unwrap();
        plugin.set("Listen", side);
        plugin.set("Blind", f64::from(u8::from(blind)));
        plugin.activate(48_000.0, 480).unwrap();
        let output = plugin.render(&input, [480], &[]).unwrap();
        // The other side of the same instance, which has tossed the same coin.
        let id = plugin.parameter("Listen").id;
        let event = ParameterEvent { frame: 0, id, value: 1.0 - side };
        let dip = plugin.render(&input, [480], &[event]).unwrap();
        assert!(dip[0][239].abs() < 1e-3, "a dip");
        plugin.reset();
        (output, plugin.render(&input, [480], &[]).unwrap())
    };
    let (a, b) = play(false, 0.0);
    assert!(a != b);
    assert!(play(false, 1.0) == (b.clone(), a.clone()));
    let mut tossed = [false; 2];
    for _ in 0..40 {
        let (x, y) = play(true, 0.0);
        let turned = x == b;
        assert!((x == a && y == b) || (turned && y == a));
        tossed[usize::from(turned)] = true;
    }
    assert!(tossed == [true, true], "the coin falls both ways");
}

#[test]
fn instances_are_independent_and_the_library_loads_again_and_again() {
    let input = sound(2, 1000);
    let mut quiet = load();
    let mut loud = load();
    loud.set_text("A Saturator Drive", "48 dB").unwrap();
    quiet.activate(48_000.0, 100).unwrap();
    loud.activate(44_100.0, 1000).unwrap();
    let first = quiet.render(&input, [100], &[]).unwrap();
    assert!(first != loud.render(&input, [1000], &[]).unwrap());
    drop((quiet, loud));
    for _ in 0..5 {
        let mut plugin = load();
        plugin.activate(48_000.0, 100).unwrap();
        assert!(plugin.render(&input, [100], &[]).unwrap() == first);
    }
}

/// The development bundle aborts the process when the audio thread allocates.
#[test]
fn the_audio_thread_allocates_nothing_while_all_parameters_change() {
    let path: &Path = &bundle("ISOTHERM_CLAP_DEV");
    let mut plugin = ClapInstance::load(path).unwrap();
    plugin.select_layout(2).unwrap();
    plugin.activate(48_000.0, 256).unwrap();
    let input = sound(2, 48_000);
    // `takes.rs` tests the recorder.
    let changing = plugin.parameters().iter().filter(|p| p.automatable && p.name != "Record");
    let automatable: Vec<u32> = changing.map(|p| p.id).collect();
    let events: Vec<ParameterEvent> = (0..2000)
        .map(|i| {
            let id = automatable[i * 7 % automatable.len()];
            ParameterEvent { frame: i * 24, id, value: f64::from(u8::from(i % 3 == 0)) }
        })
        .collect();
    plugin.render(&input, [256, 31, 1], &events).unwrap();
    for row in REGISTRY {
        let id = plugin.parameter("A Algorithm").id;
        let value = plugin.value_of_text("A Algorithm", row.name).unwrap();
        for _ in 0..20 {
            plugin.render(&input, [256], &[ParameterEvent { frame: 5, id, value }]).unwrap();
            plugin.run_main_thread_callbacks();
        }
        plugin.grant_requests().unwrap();
    }
}

/// Stretches of frames that are loud, quiet, the smallest normal numbers, subnormal or zero, with some that are not finite.
fn extremes(random: &mut Random, channels: usize, frames: usize) -> Vec<Vec<f32>> {
    const SCALES: [f32; 10] = [1.0, 1.0, 1e30, 1e-10, 1e-20, 1e-36, 2e-38, 1e-39, 1e-44, 0.0];
    let mut sound = vec![vec![0.0; frames]; channels];
    for samples in &mut sound {
        let mut rest = samples.as_mut_slice();
        while !rest.is_empty() {
            let (stretch, later) = rest.split_at_mut((1 + random.below(2000)).min(rest.len()));
            let scale = SCALES[random.below(SCALES.len())];
            stretch.iter_mut().for_each(|x| *x = (2.0 * random.unit() as f32 - 1.0) * scale);
            if random.below(8) == 0 {
                stretch[0] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX][random.below(4)];
            }
            rest = later;
        }
    }
    sound
}

/// Sets parameters at random while the input is extreme, as validators of plug-ins do. A failure prints its seed.
#[test]
fn the_output_is_finite_and_never_subnormal_whatever_is_set_and_comes_in() {
    for seed in 0..12 {
        let random = &mut Random::new(seed);
        let mut plugin = load();
        let channels = [1, 2, 4][random.below(3)];
        plugin.select_layout(channels).unwrap();
        plugin.activate([8000.0, 44_100.0, 48_000.0, 192_000.0][random.below(4)], 512).unwrap();
        // `takes.rs` tests the recorder.
        let all = plugin.parameters().iter().filter(|p| !p.name.contains("Record"));
        let (moving, still): (Vec<_>, Vec<_>) = all.cloned().partition(|p| p.automatable);
        for round in 0..10 {
            for _ in 0..2 {
                let parameter = &still[random.below(still.len())];
                plugin.set(parameter.id, parameter.min + (parameter.max - parameter.min) * random.unit());
            }
            let input = extremes(random, channels, 6000);
            let mut events: Vec<ParameterEvent> = (0..200)
                .map(|_| {
                    let parameter = &moving[random.below(moving.len())];
                    let part = [0.0, 1.0, random.unit()][random.below(3)];
                    let value = parameter.min + (parameter.max - parameter.min) * part;
                    let value = if parameter.stepped { value.round() } else { value };
                    ParameterEvent { frame: random.below(6000), id: parameter.id, value }
                })
                .collect();
            events.sort_by_key(|event| event.frame);
            let output = plugin.render(&input, [1 + random.below(512)], &events).unwrap();
            let found = output.iter().flatten().find(|x| !x.is_finite() || x.is_subnormal());
            assert_eq!(found, None, "seed {seed}, round {round}");
            if random.below(3) == 0 {
                plugin.reset();
            }
            plugin.grant_requests().unwrap();
        }
    }
}

#[test]
fn a_state_that_is_older_than_a_parameter_sets_it_to_its_default() {
    // The parameters that were added after the first release.
    let newer: Vec<&str> =
        include_str!("../../src/instance/parameter_ids.txt").lines().skip_while(|id| *id != "record").skip(1).collect();
    assert!(newer.contains(&"a_neural_dc_blocker"));
    let mut one = load();
    one.set_text("A Neural model Input", "3").unwrap();
    let mut old = nice_state::to_json(&one.save().unwrap()).unwrap();
    let parameters = old["params"].as_object_mut().unwrap();
    parameters.retain(|id, _| !newer.contains(&id.as_str()));
    let old = nice_state::from_json(&old);
    // The default takes effect, whatever values the instance had before.
    let mut two = load();
    two.set_text("A Neural model DC blocker", "on").unwrap();
    assert_eq!(two.value("A Neural model DC blocker"), 1.0);
    two.load_state(&old).unwrap();
    assert_eq!(two.value("A Neural model DC blocker"), 0.0);
    assert_eq!(two.save().unwrap(), one.save().unwrap());
}
