//! Tests of the training of twins in the plug-in, which a CLAP host in this process loads by the entry of this crate. They call
//! the functions that the editor's buttons call.

use std::cell::Cell;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use isotherm_host::{ClapInstance, nice_state};

use crate::audio::generate;
use crate::instance::SharedInstance;
use crate::instance::twin::{GOOD_ESR, IS_TRAINING, training_threads};
use crate::train::{Design, TrainingConfig};
use crate::view::TwinStage;

thread_local! {
    /// The shared part of the instance that this thread made last.
    pub static LAST_INSTANCE: Cell<Weak<SharedInstance>> = const { Cell::new(Weak::new()) };
}

/// Held by each test: only one instance of a process can train at a time.
static ONE_TRAINING: Mutex<()> = Mutex::new(());

const SAMPLE_RATE: u32 = 48_000;
/// Longest time for a training of a few steps. Its thread has the lowest priority, so a busy machine takes long.
const TIMEOUT: Duration = Duration::from_secs(300);

fn lock_training() -> MutexGuard<'static, ()> {
    ONE_TRAINING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An active plug-in, and the shared part of its instance.
fn instance() -> (ClapInstance, Weak<SharedInstance>) {
    // SAFETY: this is the entry of this crate's plug-in, a static.
    let mut plugin = unsafe { ClapInstance::linked((&raw const crate::plugin::clap_entry).cast()) }.unwrap();
    let shared = LAST_INSTANCE.take();
    plugin.activate(f64::from(SAMPLE_RATE), 256).unwrap();
    (plugin, shared)
}

fn config(steps: u64) -> TrainingConfig {
    let mut config = TrainingConfig::new(Design::parse("lstm-4").unwrap(), steps);
    (config.frames, config.threads, config.learning_rates) = (512, 1, (1e-2, 1e-3));
    config
}

fn start(shared: &Weak<SharedInstance>, steps: u64) -> Result<(), String> {
    shared.upgrade().unwrap().train_twin_with(config(steps), 0)
}

fn stage(shared: &Weak<SharedInstance>) -> TwinStage {
    shared.upgrade().unwrap().training.view().stage
}

fn is_training(shared: &Weak<SharedInstance>) -> bool {
    matches!(stage(shared), TwinStage::Training { .. })
}

fn wait_for(what: &str, mut there: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !there() {
        assert!(begin.elapsed() < TIMEOUT, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn sound(frames: usize) -> Vec<Vec<f32>> {
    (0..2).map(|c| generate::pink(SAMPLE_RATE, 0.2, frames, c + 1).unwrap().channel(0).to_vec()).collect()
}

fn listen(plugin: &mut ClapInstance, slot: usize, input: &[Vec<f32>]) -> Vec<Vec<f32>> {
    plugin.set("Listen", slot as f64);
    plugin.render(&sound(4800), [256], &[]).unwrap();
    plugin.grant_requests().unwrap();
    plugin.reset();
    plugin.render(input, [256, 17], &[]).unwrap()
}

/// Error-to-signal ratio of two outputs of the same latency.
fn esr(target: &[Vec<f32>], output: &[Vec<f32>]) -> f64 {
    f64::from(crate::measure::esr(&target.concat(), &output.concat()))
}

#[test]
fn a_twin_plays_in_slot_b_what_slot_a_plays_and_comes_back_with_the_state() {
    let _lock = lock_training();
    let input = sound(48_000);
    let (mut plugin, shared) = instance();
    plugin.set_text("A Saturator Drive", "18 dB").unwrap();
    plugin.set_text("A Saturator DC blocker", "off").unwrap();
    plugin.set_text("B Algorithm", crate::neural::ALGORITHM.name).unwrap();
    plugin.set_text("B Neural model Output mode", "Raw").unwrap();
    let before = listen(&mut plugin, 0, &input);
    start(&shared, 700).unwrap();
    // Sound runs meanwhile.
    wait_for("the training", || {
        plugin.render(&sound(512), [64], &[]).unwrap();
        !is_training(&shared)
    });
    let TwinStage::Done { name, esr: found, plays_in_b, .. } = stage(&shared) else { panic!("{:?}", stage(&shared)) };
    assert_eq!(name, "Saturator (Drive 18.00 dB, DC blocker off) twin, lstm-4");
    assert_eq!(plays_in_b, found <= GOOD_ESR);
    if !plays_in_b {
        let state_text = shared.upgrade().unwrap().models[1].state_text();
        assert_eq!(&*state_text, "null", "what is not good enough is only offered");
        shared.upgrade().unwrap().load_twin_into_b();
    }
    let shared_now = shared.upgrade().unwrap();
    assert!(shared_now.training.view().play_pending);
    wait_for("the model", || !shared_now.models[1].view().loading && shared_now.models[1].id().is_some());
    assert_eq!(shared_now.models[1].view().model.unwrap().name, name);
    // The view follows what slot B plays, whoever sets it.
    let plays_in_b = || matches!(shared_now.twin_view().stage, TwinStage::Done { plays_in_b: true, .. });
    assert!(plays_in_b());
    plugin.set_text("B Algorithm", "Clipper").unwrap();
    assert!(!plays_in_b() && shared_now.twin_view().play_pending && shared_now.twin_view().starting_in_b);
    shared_now.training.mark_playing_in_b();
    assert!(!plays_in_b() && !shared_now.twin_view().starting_in_b, "the host did not follow the editor");
    plugin.set_text("B Algorithm", crate::neural::ALGORITHM.name).unwrap();
    assert!(plays_in_b());
    drop(shared_now);
    let (a, b) = (listen(&mut plugin, 0, &input), listen(&mut plugin, 1, &input));
    assert!(a == before);
    let measured = esr(&a, &b);
    assert!(measured < 0.05 && measured < 5.0 * found, "{measured}, measured in training {found}");
    let state = plugin.save().unwrap();
    drop(plugin);
    assert!(shared.upgrade().is_none(), "all threads have ended");

    // Another project, where nothing was trained.
    let (mut plugin, _) = instance();
    plugin.load_state(&state).unwrap();
    plugin.deactivate();
    plugin.activate(f64::from(SAMPLE_RATE), 256).unwrap();
    assert!(nice_state::field(&plugin.save().unwrap(), "b_model").unwrap() == nice_state::field(&state, "b_model").unwrap());
    assert!(esr(&b, &listen(&mut plugin, 1, &input)) == 0.0);
}

#[test]
fn an_instance_that_is_removed_while_it_trains_is_gone_at_once() {
    let _lock = lock_training();
    for round in 0..20 {
        let (plugin, shared) = instance();
        start(&shared, u64::MAX).unwrap();
        // The instance is removed while the training material is made, and, every tenth time, while steps are done.
        if round % 10 == 9 {
            wait_for("the first step", || matches!(stage(&shared), TwinStage::Training { done, .. } if done > 0.0));
        } else {
            std::thread::sleep(Duration::from_millis(round));
        }
        let begin = Instant::now();
        drop(plugin);
        assert!(shared.upgrade().is_none(), "all threads have ended");
        assert!(!IS_TRAINING.load(Ordering::Acquire));
        println!("removal {round}: {:.0} ms", begin.elapsed().as_secs_f64() * 1e3);
    }
}

#[test]
fn only_one_instance_trains_at_a_time_and_the_other_says_so() {
    let _lock = lock_training();
    let (one, of_one) = instance();
    let (two, of_two) = instance();
    start(&of_one, u64::MAX).unwrap();
    assert!(start(&of_two, 1).unwrap_err().contains("another instance"));
    // A second press does nothing.
    start(&of_one, 1).unwrap();
    assert!(is_training(&of_one) && !is_training(&of_two));
    of_one.upgrade().unwrap().training.cancel();
    wait_for("the end", || !is_training(&of_one) && !IS_TRAINING.load(Ordering::Acquire));
    assert_eq!(stage(&of_one), TwinStage::Idle);
    start(&of_two, u64::MAX).unwrap();
    drop((one, two));
    assert!(!IS_TRAINING.load(Ordering::Acquire));
}

#[test]
fn a_twin_of_a_model_or_without_a_sample_rate_is_refused() {
    let _lock = lock_training();
    let (mut plugin, shared) = instance();
    plugin.set_text("A Algorithm", crate::neural::ALGORITHM.name).unwrap();
    assert!(start(&shared, 1).unwrap_err().contains("A runs a model already"));
    // SAFETY: this is the entry of this crate's plug-in, a static.
    let silent = unsafe { ClapInstance::linked((&raw const crate::plugin::clap_entry).cast()) }.unwrap();
    assert!(start(&LAST_INSTANCE.take(), 1).unwrap_err().contains("no sample rate"));
    drop(silent);
}

/// Measures the time of blocks of 128 frames at the pace of a host, alternately without and with a training at the same time.
#[test]
#[ignore = "a measurement: run it alone, in a release build, with --nocapture"]
fn measures_block_times_during_a_training() {
    const FRAMES: usize = 128;
    const BLOCKS: usize = 600;
    const ROUNDS: usize = 10;
    let _lock = lock_training();
    let (mut plugin, shared) = instance();
    let block = sound(FRAMES);
    let period = Duration::from_secs_f64(FRAMES as f64 / f64::from(SAMPLE_RATE));
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..2 * ROUNDS {
        let trains = round % 2 == 1;
        if trains {
            let config = TrainingConfig::new(Design::parse("lstm-16").unwrap(), u64::MAX);
            let config = TrainingConfig { threads: training_threads(), ..config };
            shared.upgrade().unwrap().train_twin_with(config, 1).unwrap();
            if round == 1 {
                wait_for("the first step", || matches!(stage(&shared), TwinStage::Training { done, .. } if done > 0.0));
            }
        }
        for i in 0..BLOCKS {
            let begin = Instant::now();
            plugin.render(&block, [FRAMES], &[]).unwrap();
            // The first blocks warm the caches up.
            if i >= BLOCKS / 10 {
                times[usize::from(trains)].push(plugin.process_time().as_secs_f64() * 1e6);
            }
            std::thread::sleep(period.saturating_sub(begin.elapsed()));
        }
        shared.upgrade().unwrap().training.cancel();
        wait_for("the end", || !is_training(&shared) && !IS_TRAINING.load(Ordering::Acquire));
    }
    for (name, mut times) in ["no training", "training"].into_iter().zip(times) {
        times.sort_by(f64::total_cmp);
        let at = |share: f64| times[(share * (times.len() - 1) as f64) as usize];
        println!(
            "{name}: p50 {:.1} us, p99 {:.1} us, p99.9 {:.1} us of {:.0} us",
            at(0.5),
            at(0.99),
            at(0.999),
            period.as_secs_f64() * 1e6
        );
    }
}
