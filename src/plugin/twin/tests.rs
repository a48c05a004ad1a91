//! In a host in this process, over the plug-in's own entry: the editor's button is pressed where its window would.

use std::cell::Cell;
use std::sync::Weak;
use std::time::Duration;

use isotherm_host::{Plugin, nice_state};

use super::*;
use crate::algorithm::find;
use crate::audio::generate;

thread_local! {
    /// What the instance that this thread made last shares.
    pub static LAST: Cell<Weak<Shared>> = const { Cell::new(Weak::new()) };
}

/// One training at a time in this process, so one test.
static ALONE: Mutex<()> = Mutex::new(());

const RATE: u32 = 48_000;
/// For a training of a few steps on a machine that does much else: whatever else runs goes first.
const PATIENCE: Duration = Duration::from_secs(300);

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An instance that plays, and what its threads share.
fn instance() -> (Plugin, Weak<Shared>) {
    // SAFETY: the plug-in's own entry, a static.
    let mut plugin = unsafe { Plugin::linked((&raw const crate::plugin::clap_entry).cast()) }.unwrap();
    let shared = LAST.take();
    plugin.activate(f64::from(RATE), 256).unwrap();
    (plugin, shared)
}

fn plan(steps: u64) -> Plan {
    let mut plan = Plan::new(Design::parse("lstm-4").unwrap(), Limit::Steps(steps));
    (plan.frames, plan.threads, plan.learning_rates) = (512, 1, (1e-2, 1e-3));
    plan
}

fn start(shared: &Weak<Shared>, steps: u64) -> Result<(), String> {
    shared.upgrade().unwrap().train_twin_by(plan(steps), 0)
}

fn stage(shared: &Weak<Shared>) -> TwinStage {
    shared.upgrade().unwrap().training.view().stage
}

fn is_training(shared: &Weak<Shared>) -> bool {
    matches!(stage(shared), TwinStage::Training { .. })
}

fn until(what: &str, mut there: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !there() {
        assert!(begin.elapsed() < PATIENCE, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn sound(frames: usize) -> Vec<Vec<f32>> {
    (0..2).map(|c| generate::pink(RATE, 0.2, frames, c + 1).unwrap().channel(0).to_vec()).collect()
}

fn listen(plugin: &mut Plugin, slot: usize, input: &[Vec<f32>]) -> Vec<Vec<f32>> {
    plugin.set("Listen", slot as f64);
    plugin.render(&sound(4800), [256], &[]).unwrap();
    plugin.serve().unwrap();
    plugin.reset();
    plugin.render(input, [256, 17], &[]).unwrap()
}

/// Of two outputs, behind the latency.
fn esr(target: &[Vec<f32>], output: &[Vec<f32>]) -> f64 {
    f64::from(crate::measure::esr(&target.concat(), &output.concat()))
}

#[test]
fn a_twin_plays_in_slot_b_what_slot_a_plays_and_comes_back_with_the_state() {
    let _alone = alone();
    let input = sound(48_000);
    let (mut plugin, shared) = instance();
    plugin.set_text("A Saturator Drive", "18 dB").unwrap();
    plugin.set_text("A Saturator DC blocker", "off").unwrap();
    plugin.set_text("B Algorithm", crate::neural::ALGORITHM.name).unwrap();
    plugin.set_text("B Neural model Output mode", "Raw").unwrap();
    let before = listen(&mut plugin, 0, &input);
    start(&shared, 700).unwrap();
    // Sound goes on meanwhile, and what A plays is A's.
    until("the training", || {
        plugin.render(&sound(512), [64], &[]).unwrap();
        !is_training(&shared)
    });
    let TwinStage::Done { name, esr: found, placed, .. } = stage(&shared) else { panic!("{:?}", stage(&shared)) };
    assert_eq!(name, "Saturator (Drive 18.00 dB, DC blocker off) twin, lstm-4");
    assert_eq!(placed, found <= GOOD_ESR);
    if !placed {
        let stored = shared.upgrade().unwrap().models[1].stored();
        assert_eq!(&*stored, "null", "what is not good enough is only offered");
        shared.upgrade().unwrap().use_twin();
    }
    let shared_now = shared.upgrade().unwrap();
    assert!(shared_now.training.view().arrived);
    until("the model", || !shared_now.models[1].view().loading && shared_now.models[1].id().is_some());
    assert_eq!(shared_now.models[1].view().model.unwrap().name, name);
    // In slot B is what slot B plays, whoever sets it to what.
    let is_placed = || matches!(shared_now.twin_view().stage, TwinStage::Done { placed: true, .. });
    assert!(is_placed());
    plugin.set_text("B Algorithm", "Clipper").unwrap();
    assert!(!is_placed() && shared_now.twin_view().arrived && shared_now.twin_view().coming);
    shared_now.training.seated();
    assert!(!is_placed() && !shared_now.twin_view().coming, "the host did not follow the editor");
    plugin.set_text("B Algorithm", crate::neural::ALGORITHM.name).unwrap();
    assert!(is_placed());
    drop(shared_now);
    let (a, b) = (listen(&mut plugin, 0, &input), listen(&mut plugin, 1, &input));
    assert!(a == before);
    let heard = esr(&a, &b);
    assert!(heard < 0.05 && heard < 5.0 * found, "{heard}, measured in training {found}");
    let state = plugin.save().unwrap();
    drop(plugin);
    assert!(shared.upgrade().is_none(), "all threads have ended");

    // Another project, where nothing was trained.
    let (mut plugin, _) = instance();
    plugin.load_state(&state).unwrap();
    plugin.deactivate();
    plugin.activate(f64::from(RATE), 256).unwrap();
    assert!(nice_state::field(&plugin.save().unwrap(), "b_model").unwrap() == nice_state::field(&state, "b_model").unwrap());
    assert!(esr(&b, &listen(&mut plugin, 1, &input)) == 0.0);
}

#[test]
fn an_instance_that_is_removed_while_it_trains_is_gone_at_once() {
    let _alone = alone();
    for round in 0..20 {
        let (plugin, shared) = instance();
        start(&shared, u64::MAX).unwrap();
        // While sound to learn from is made, and while steps are done.
        if round % 10 == 9 {
            until("the first step", || matches!(stage(&shared), TwinStage::Training { done, .. } if done > 0.0));
        } else {
            std::thread::sleep(Duration::from_millis(round));
        }
        let begin = Instant::now();
        drop(plugin);
        assert!(shared.upgrade().is_none(), "all threads have ended");
        assert!(!BUSY.load(Ordering::Acquire));
        println!("removal {round}: {:.0} ms", begin.elapsed().as_secs_f64() * 1e3);
    }
}

#[test]
fn one_instance_trains_at_a_time_and_the_other_is_told_so() {
    let _alone = alone();
    let (one, of_one) = instance();
    let (two, of_two) = instance();
    start(&of_one, u64::MAX).unwrap();
    assert!(start(&of_two, 1).unwrap_err().contains("another instance"));
    // A second press does nothing.
    start(&of_one, 1).unwrap();
    assert!(is_training(&of_one) && !is_training(&of_two));
    of_one.upgrade().unwrap().training.cancel();
    until("the end", || !is_training(&of_one) && !BUSY.load(Ordering::Acquire));
    assert_eq!(stage(&of_one), TwinStage::Idle);
    start(&of_two, u64::MAX).unwrap();
    drop((one, two));
    assert!(!BUSY.load(Ordering::Acquire));
}

#[test]
fn no_twin_is_trained_of_a_model_or_without_a_rate() {
    let _alone = alone();
    let (mut plugin, shared) = instance();
    plugin.set_text("A Algorithm", crate::neural::ALGORITHM.name).unwrap();
    assert!(start(&shared, 1).unwrap_err().contains("A runs a model already"));
    // SAFETY: the plug-in's own entry, a static.
    let silent = unsafe { Plugin::linked((&raw const crate::plugin::clap_entry).cast()) }.unwrap();
    assert!(start(&LAST.take(), 1).unwrap_err().contains("no sample rate"));
    drop(silent);
}

#[test]
fn a_name_tells_what_a_was_set_to_and_a_note_what_is_chance() {
    let design = Design::parse("lstm-16").unwrap();
    let saturator = Settings::new(find("saturator").unwrap());
    assert_eq!(name(&saturator, &design), "Saturator twin, lstm-16");
    assert_eq!(name(&saturator.with("drive", 24.0), &design), "Saturator (Drive 24.00 dB) twin, lstm-16");
    assert_eq!(note(&saturator), "");
    // A host gives values back as the nearest of 24 bits along the travel.
    for row in crate::algorithm::REGISTRY.iter().filter(|row| !row.model) {
        let mut settings = Settings::new(row);
        for (index, parameter) in row.parameters.iter().enumerate() {
            if let crate::dsp::Kind::Float { default, .. } = parameter.kind {
                let back = default * (1.0 - 4.0 * f32::EPSILON);
                assert!(default == 0.0 || back != default);
                settings.set(index, back);
            }
        }
        assert_eq!(name(&settings, &design), format!("{} twin, lstm-16", row.name));
        assert_eq!(note(&settings), "");
    }
    let crusher = Settings::new(find("bitcrusher").unwrap()).with("dither", 1.0).with("jitter", 10.0);
    assert_eq!(note(&crusher), "chance in Dither and Jitter: the twin learns the rest");
}

#[test]
fn a_saved_twin_replaces_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("new");
    let paths = [1u8, 2].map(|byte| write(&place, "a/b twin", &[byte]).unwrap());
    assert_eq!(paths.clone().map(|p| p.file_name().unwrap().to_owned()), ["a_b twin.nam", "a_b twin 2.nam"]);
    assert_eq!(paths.map(|p| fs::read(p).unwrap()), [[1], [2]]);
}

/// Blocks of 128 frames as a host plays them, with and without a training beside, in turn.
#[test]
#[ignore = "a measurement: run it alone, in a release build, with --nocapture"]
fn time_of_the_audio_thread() {
    const FRAMES: usize = 128;
    const BLOCKS: usize = 600;
    const ROUNDS: usize = 10;
    let _alone = alone();
    let (mut plugin, shared) = instance();
    let block = sound(FRAMES);
    let period = Duration::from_secs_f64(FRAMES as f64 / f64::from(RATE));
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..2 * ROUNDS {
        let trains = round % 2 == 1;
        if trains {
            let plan = Plan { threads: threads(), ..Plan::new(Design::parse("lstm-16").unwrap(), Limit::Steps(u64::MAX)) };
            shared.upgrade().unwrap().train_twin_by(plan, 1).unwrap();
            if round == 1 {
                until("the first step", || matches!(stage(&shared), TwinStage::Training { done, .. } if done > 0.0));
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
        until("the end", || !is_training(&shared) && !BUSY.load(Ordering::Acquire));
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
