//! Laws of the slots without a host: what is set is heard, kept and restored; the audio thread allocates nothing.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use isotherm::algorithm::REGISTRY;
use isotherm::audio::generate::guitar;
use isotherm::dsp::{Settings, Spec};
use isotherm::plugin::{Rack, RackState, Voice};
use isotherm::slots::{Heard, Slots};
use isotherm::ui::{Control, Controls, Slot, TakeAction};
use isotherm_support::counting::allocations;

const SPEC: Spec = Spec { sample_rate: 48_000.0, channels: 2, max_frames: 256 };
/// For the workshop's thread, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(30);

fn set(rack: &Rack, control: Control, value: f32) {
    rack.with_controls(&|_| (), |controls: &dyn Controls| {
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

fn play(voice: &mut Voice, left: &mut [f32], right: &mut [f32]) {
    for (left, right) in left.chunks_mut(SPEC.max_frames).zip(right.chunks_mut(SPEC.max_frames)) {
        voice.process(&mut [left, right]);
    }
}

#[test]
fn what_is_set_is_what_is_heard() {
    let rack = Rack::default();
    set(&rack, saturator("drive"), 18.0);
    set(&rack, saturator("oversampling"), 1.0);
    let mut voice = rack.voice(SPEC).unwrap();
    let sound = guitar(48_000, 2, 1).unwrap();
    let (mut left, mut right) = (sound.channel(0)[..24_000].to_vec(), sound.channel(1)[..24_000].to_vec());
    play(&mut voice, &mut left, &mut right);

    let row = REGISTRY.iter().find(|row| row.id == "saturator").unwrap();
    let mut settings = Settings::new(row);
    settings.set(settings.index("drive").unwrap(), 18.0);
    settings.set(settings.index("oversampling").unwrap(), 1.0);
    let other = Settings::new(REGISTRY.iter().find(|row| row.id == "bitcrusher").unwrap());
    let mut slots = Slots::compile(SPEC, &[settings.into(), other.into()], Heard::Slot(0), None).unwrap();
    assert_eq!(slots.latency(), rack.latency_frames());
    let (mut a, mut b) = (sound.channel(0)[..24_000].to_vec(), sound.channel(1)[..24_000].to_vec());
    for (a, b) in a.chunks_mut(SPEC.max_frames).zip(b.chunks_mut(SPEC.max_frames)) {
        slots.process(&mut [a, b]);
    }
    assert!(left == a && right == b && left.iter().any(|x| *x != 0.0));
}

#[test]
fn what_is_asked_of_takes_goes_to_the_owner() {
    let rack = Rack::default();
    let asked = std::cell::RefCell::new(Vec::new());
    rack.with_controls(&|action| asked.borrow_mut().push(action), |controls| {
        controls.take(TakeAction::Arm(true));
        controls.take(TakeAction::Mark);
    });
    assert_eq!(asked.into_inner(), [TakeAction::Arm(true), TakeAction::Mark]);
    assert!(!rack.snapshot().take.armed);
}

#[test]
fn a_state_that_is_kept_comes_back_and_what_it_does_not_say_stays() {
    let (one, two) = (Rack::default(), Rack::default());
    set(&one, saturator("drive"), 31.5);
    set(&one, Control::Listen, 1.0);
    assert_ne!(one.state(), two.state());
    two.restore(&one.state());
    assert_eq!(one.state(), two.state());
    let parameters =
        BTreeMap::from([("a_saturator_bias".into(), 0.25), ("later".into(), 1.0), ("a_saturator_drive".into(), f32::NAN)]);
    two.restore(&RackState { parameters, fields: BTreeMap::new() });
    two.with_controls(&|_| (), |controls| {
        assert_eq!((controls.get(saturator("bias")), controls.get(saturator("drive"))), (0.25, 31.5));
    });
}

#[test]
fn the_voice_allocates_nothing_while_everything_changes() {
    assert_eq!(allocations(|| drop(std::hint::black_box(vec![1_u8; 64]))), 2, "the counter counts");
    let rack = Rack::default();
    rack.open().unwrap();
    let mut voice = rack.voice(SPEC).unwrap();
    let before = rack.latency_frames();
    let (mut left, mut right) = (vec![0.25f32; 256], vec![-0.25f32; 256]);
    let mut counted = 0;
    let mut run = |frames: usize| {
        counted += allocations(|| voice.process(&mut [&mut left[..frames], &mut right[..frames]]));
    };
    for (round, frames) in [256, 1, 64, 255, 0].into_iter().cycle().take(100).enumerate() {
        set(&rack, saturator("drive"), round as f32 % 40.0);
        rack.with_controls(&|_| (), |controls| controls.press_listen((round % 2) as u8));
        run(frames);
    }
    // Other slots, made by the workshop while sound runs.
    set(&rack, saturator("oversampling"), 0.0);
    let begun = Instant::now();
    while rack.latency_frames() == before {
        assert!(begun.elapsed() < PATIENCE, "no other slots");
        run(256);
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(counted, 0);
}
