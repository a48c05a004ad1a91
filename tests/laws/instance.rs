//! Tests of an instance without a host: settings reach the sound, are saved and restored; the audio thread allocates nothing.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use isotherm::algorithm::REGISTRY;
use isotherm::audio::generate::guitar;
use isotherm::dsp::{ProcessSpec, Settings};
use isotherm::instance::{Instance, InstanceState, MonitorInsert};
use isotherm::slots::{Listen, Slots};
use isotherm::view::{Control, Controls, Slot, TakeAction};
use isotherm_support::counting::allocations;

const SPEC: ProcessSpec = ProcessSpec::new(48_000.0, 2, 256);
/// Time in which the builder thread must make slots, also on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Sets a parameter as a user does.
fn set(instance: &Instance, control: Control, value: f32) {
    instance.with_controls(&|_| (), |controls: &dyn Controls| {
        controls.begin(control);
        controls.set(control, value);
        controls.end(control);
    });
}

/// A parameter of slot A's saturator.
fn saturator(id: &str) -> Control {
    let algorithm = REGISTRY.iter().position(|row| row.id == "saturator").unwrap();
    let index = REGISTRY[algorithm].parameters.iter().position(|p| p.id == id).unwrap();
    Control::Parameter { slot: Slot::A, algorithm, index }
}

fn play(insert: &mut MonitorInsert, left: &mut [f32], right: &mut [f32]) {
    for (left, right) in left.chunks_mut(SPEC.max_frames).zip(right.chunks_mut(SPEC.max_frames)) {
        insert.process(&mut [left, right]);
    }
}

#[test]
fn settings_reach_the_sound() {
    let instance = Instance::default();
    set(&instance, saturator("drive"), 18.0);
    set(&instance, saturator("oversampling"), 1.0);
    let mut insert = instance.monitor_insert(SPEC).unwrap();
    let sound = guitar(48_000, 2, 1).unwrap();
    let (mut left, mut right) = (sound.channel(0)[..24_000].to_vec(), sound.channel(1)[..24_000].to_vec());
    play(&mut insert, &mut left, &mut right);

    let row = REGISTRY.iter().find(|row| row.id == "saturator").unwrap();
    let mut settings = Settings::new(row);
    settings.set(settings.index("drive").unwrap(), 18.0);
    settings.set(settings.index("oversampling").unwrap(), 1.0);
    let other = Settings::new(REGISTRY.iter().find(|row| row.id == "bitcrusher").unwrap());
    let mut slots = Slots::compile(SPEC, &[settings.into(), other.into()], Listen::Slot(0), None).unwrap();
    assert_eq!(slots.latency(), instance.latency_frames());
    let (mut a, mut b) = (sound.channel(0)[..24_000].to_vec(), sound.channel(1)[..24_000].to_vec());
    for (a, b) in a.chunks_mut(SPEC.max_frames).zip(b.chunks_mut(SPEC.max_frames)) {
        slots.process(&mut [a, b]);
    }
    assert!(left == a && right == b && left.iter().any(|x| *x != 0.0));
}

#[test]
fn take_actions_go_to_the_owner_of_the_instance() {
    let instance = Instance::default();
    let actions = std::cell::RefCell::new(Vec::new());
    instance.with_controls(&|action| actions.borrow_mut().push(action), |controls| {
        controls.request_take(TakeAction::Standby(true));
        controls.request_take(TakeAction::Mark);
    });
    assert_eq!(actions.into_inner(), [TakeAction::Standby(true), TakeAction::Mark]);
    assert!(!instance.view().take.standby);
}

#[test]
fn a_state_is_restored_and_values_that_it_does_not_have_stay() {
    let (one, two) = (Instance::default(), Instance::default());
    set(&one, saturator("drive"), 31.5);
    set(&one, Control::Listen, 1.0);
    assert_ne!(one.state(), two.state());
    two.restore(&one.state());
    assert_eq!(one.state(), two.state());
    let parameters =
        BTreeMap::from([("a_saturator_bias".into(), 0.25), ("later".into(), 1.0), ("a_saturator_drive".into(), f32::NAN)]);
    two.restore(&InstanceState { parameters, fields: BTreeMap::new() });
    two.with_controls(&|_| (), |controls| {
        assert_eq!((controls.get(saturator("bias")), controls.get(saturator("drive"))), (0.25, 31.5));
    });
}

#[test]
fn values_set_while_new_slots_are_made_reach_them() {
    const BLOCKS: usize = 200;
    let instance = Instance::default();
    // Without DC blocker, a constant gives a constant, from which the drive can be told.
    let row = REGISTRY.iter().find(|row| row.id == "saturator").unwrap();
    let mut settings = Settings::new(row).with("dc_blocker", 0.0).with("compensation", 0.0).with("oversampling", 0.0);
    set(&instance, saturator("dc_blocker"), 0.0);
    set(&instance, saturator("compensation"), 0.0);
    let mut insert = instance.monitor_insert(SPEC).unwrap();
    let mut block = || {
        let mut sound = [[0.1; 256]; 2];
        let [left, right] = &mut sound;
        insert.process(&mut [left, right]);
        sound[0][255]
    };
    let (before, begun) = (instance.latency_frames(), Instant::now());
    set(&instance, saturator("oversampling"), 0.0);
    let mut drive = 6.0;
    while instance.latency_frames() == before {
        assert!(begun.elapsed() < TIMEOUT, "no new slots");
        drive = if drive < 24.0 { drive + 0.25 } else { 6.0 };
        set(&instance, saturator("drive"), drive);
        block();
        std::thread::sleep(Duration::from_millis(1));
    }
    let found = (0..BLOCKS).map(|_| block()).last().unwrap();
    settings = settings.with("drive", drive);
    let mut slots = Slots::compile(SPEC, &[settings.into(), settings.into()], Listen::Slot(0), None).unwrap();
    let mut sound = vec![0.1; BLOCKS * 256];
    let mut other = sound.clone();
    slots.process(&mut [&mut sound, &mut other]);
    let expected = *sound.last().unwrap();
    assert!((found - expected).abs() < 1e-6 && (found - 0.1).abs() > 1e-3, "{found}, expected {expected} at {drive} dB");
}

#[test]
fn a_monitor_insert_allocates_nothing_while_everything_changes() {
    assert_eq!(allocations(|| drop(std::hint::black_box(vec![1_u8; 64]))), 2, "the counter counts");
    let instance = Instance::default();
    instance.open().unwrap();
    let mut insert = instance.monitor_insert(SPEC).unwrap();
    let before = instance.latency_frames();
    let (mut left, mut right) = (vec![0.25f32; 256], vec![-0.25f32; 256]);
    let mut counted = 0;
    let mut run = |frames: usize| {
        counted += allocations(|| insert.process(&mut [&mut left[..frames], &mut right[..frames]]));
    };
    for (round, frames) in [256, 1, 64, 255, 0].into_iter().cycle().take(100).enumerate() {
        set(&instance, saturator("drive"), round as f32 % 40.0);
        instance.with_controls(&|_| (), |controls| controls.press_listen((round % 2) as u8));
        run(frames);
    }
    // New slots, made by the builder thread while audio runs.
    set(&instance, saturator("oversampling"), 0.0);
    let begun = Instant::now();
    while instance.latency_frames() == before {
        assert!(begun.elapsed() < TIMEOUT, "no new slots");
        run(256);
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(counted, 0);
}
