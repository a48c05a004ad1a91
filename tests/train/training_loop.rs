//! The training loop: the same steps give the same twin on any machine, the best weights are kept, and what the clock cuts is
//! said.

use std::sync::Arc;
use std::time::Duration;

use isotherm::train::checkpoint;
use isotherm::train::clock::{Clock, ClockReading};
use isotherm::train::training_loop::LoopState;
use isotherm::train::{
    Design, EarlyStopping, Material, SoundPair, TrainedNetwork, Trainer, TrainingConfig, TrainingEnd, TrainingLoop,
};

/// Clocks of a machine that takes `wall` from one reading to the next, of which a thread has a core for `cpu`.
struct FakeClock {
    now: ClockReading,
    wall: Duration,
    cpu: Option<Duration>,
}

impl FakeClock {
    fn new(wall: f64, cpu: Option<f64>) -> Box<Self> {
        let cpu = cpu.map(Duration::from_secs_f64);
        let now = ClockReading { wall: Duration::ZERO, cpu: cpu.map(|_| Duration::ZERO) };
        Box::new(Self { now, wall: Duration::from_secs_f64(wall), cpu })
    }
}

impl Clock for FakeClock {
    fn read(&mut self) -> ClockReading {
        self.now.wall += self.wall;
        self.now.cpu = self.now.cpu.zip(self.cpu).map(|(now, more)| now + more);
        self.now
    }
}

/// A second of two tones at 8 kHz to train on and as much of others to evaluate with; the effect is y = tanh(3 x).
fn material() -> Arc<Material> {
    let pair = |name: &str, a: f64, b: f64| {
        let tone = |t: f64| (0.4 * (a * t).sin() + 0.2 * (b * t).sin()) as f32;
        let dry: Vec<f32> = (0..8000).map(|t| tone(f64::from(t))).collect();
        let wet = dry.iter().map(|x| (3.0 * x).tanh()).collect();
        SoundPair { name: name.into(), dry, wet, knob: Vec::new() }
    };
    let (train, held_out) = (pair("clip", 0.13, 0.41), vec![pair("other", 0.11, 0.47)]);
    Arc::new(Material { sample_rate: 8000, held_out, train, knob: None, origin: "a test".into() })
}

/// A configuration of small batches with an evaluation after 2, 4, 8, 16, 24 ... steps.
fn config(name: &str, steps: u64) -> TrainingConfig {
    let config = TrainingConfig::new(Design::parse(name).unwrap(), steps);
    TrainingConfig { sequences: 16, frames: 128, evaluation_steps: (2, 8), threads: 1, ..config }
}

fn training(config: TrainingConfig, early_stopping: EarlyStopping, clock: Box<FakeClock>) -> TrainingLoop {
    TrainingLoop::new(Trainer::with_clock(config, material(), clock).unwrap(), early_stopping)
}

fn run(mut training: TrainingLoop) -> TrainedNetwork {
    while !training.is_over() {
        assert!(training.step(&|| true));
    }
    training.finish(&|| true).unwrap()
}

fn trained(config: TrainingConfig, early_stopping: EarlyStopping) -> TrainedNetwork {
    run(training(config, early_stopping, FakeClock::new(1e-3, Some(1e-3))))
}

/// Steps and errors of all evaluations: the curve without its times.
fn errors(trained: &TrainedNetwork) -> Vec<(u64, f64)> {
    trained.curve.iter().map(|point| (point.steps, point.esr)).collect()
}

#[test]
fn the_same_seed_and_steps_give_the_same_twin_on_a_fast_a_slow_and_a_busy_machine() {
    for name in ["lstm-4", "gru-3", "tcn-3x3"] {
        let on = |wall: f64, cpu: f64, threads: usize| {
            let config = TrainingConfig { threads, ..config(name, 50) };
            run(training(config, EarlyStopping::default(), FakeClock::new(wall, Some(cpu))))
        };
        let fast = on(1e-5, 1e-5, 1);
        let steps: Vec<u64> = fast.curve.iter().map(|point| point.steps).collect();
        assert_eq!(steps, [2, 4, 8, 16, 24, 32, 40, 48, 50], "{name}");
        for (wall, cpu, threads) in [(3.0, 3.0, 1), (900.0, 1.0, 2)] {
            let other = on(wall, cpu, threads);
            assert_eq!(other.architecture, fast.architecture, "{name}");
            assert_eq!((errors(&other), other.best_steps), (errors(&fast), fast.best_steps), "{name}");
            assert_eq!(other.end, TrainingEnd::Steps, "{name}");
        }
    }
}

/// True if one error is lower than another; false if one is NaN, as of a network that diverged.
fn is_lower(one: f64, other: f64) -> bool {
    one < other
}

#[test]
fn the_best_weights_that_an_evaluation_found_are_kept() {
    // The learning rate rises until the network is worse again.
    let config = TrainingConfig { learning_rates: (1e-2, 5.0), ..config("lstm-4", 120) };
    let trained = trained(config, EarlyStopping::default());
    let lowest = trained.curve.iter().map(|point| point.esr).fold(f64::INFINITY, f64::min);
    let last = trained.curve.last().unwrap();
    assert!(last.steps == 120 && !is_lower(last.esr, 2.0 * lowest), "the last network is no worse: {:?}", trained.curve);
    assert_eq!(trained.evaluation.esr, lowest);
    let found = isotherm::train::trainer::evaluate(&trained.architecture, &trained.material);
    assert_eq!((found.esr, found.sounds), (lowest, trained.evaluation.sounds.clone()));
    assert!(trained.curve.iter().any(|point| point.steps == trained.best_steps && point.esr == lowest));
}

#[test]
fn the_clock_ends_a_training_and_says_how_much_of_it_was_cut() {
    // Four readings in a step are three quarters of a second from the first to the last, and an evaluation takes a quarter.
    let early_stopping = EarlyStopping { max_seconds: Some(8.5), ..EarlyStopping::default() };
    let cut = run(training(config("lstm-4", 40), early_stopping, FakeClock::new(0.25, Some(0.25))));
    assert_eq!((cut.end, cut.steps), (TrainingEnd::Time, 11), "{:?}", cut.curve);
    assert_eq!(cut.remarks(), ["cut short: the time was over after 28 % of the steps"]);
    assert_eq!(cut.curve.last().map(|point| point.steps), Some(11), "what the clock ends is evaluated, too");
    let whole = run(training(config("lstm-4", 40), EarlyStopping::default(), FakeClock::new(0.25, Some(0.25))));
    assert_eq!((whole.end, whole.steps, whole.remarks()), (TrainingEnd::Steps, 40, Vec::new()));
}

#[test]
fn a_busy_machine_is_named_and_an_idle_or_unknown_one_is_not() {
    let remarks = |cpu| run(training(config("lstm-4", 5), EarlyStopping::default(), FakeClock::new(1.0, cpu))).remarks();
    assert_eq!(remarks(Some(0.12)), ["the machine was busy: the training had 12 % of a processor core"]);
    assert_eq!(remarks(Some(0.97)), Vec::<String>::new());
    assert_eq!(remarks(None), Vec::<String>::new());
}

#[cfg(unix)]
#[test]
fn the_systems_clock_counts_the_time_of_the_thread_and_not_its_sleep() {
    let mut clock = isotherm::train::clock::SystemClock::new();
    let before = clock.read();
    std::thread::sleep(Duration::from_millis(50));
    let after_sleep = clock.read();
    let mut x = 1u64;
    while clock.read().cpu.unwrap() - after_sleep.cpu.unwrap() < Duration::from_millis(20) {
        x = std::hint::black_box(x.wrapping_mul(3));
    }
    let after_work = clock.read();
    assert!(after_sleep.wall - before.wall >= Duration::from_millis(50));
    assert!(after_sleep.cpu.unwrap() - before.cpu.unwrap() < Duration::from_millis(25));
    // A thread has no core for longer than time passes; the two clocks may differ by their steps.
    assert!(after_work.wall - after_sleep.wall + Duration::from_millis(5) >= Duration::from_millis(20));
}

#[test]
fn a_training_ends_at_an_error_that_is_low_enough_or_without_progress() {
    let whole = trained(config("lstm-4", 100), EarlyStopping::default());
    let wanted = whole.curve[4].esr;
    let first = whole.curve.iter().find(|point| point.esr <= wanted).unwrap();
    let stopped = trained(config("lstm-4", 100), EarlyStopping { esr: Some(wanted), ..EarlyStopping::default() });
    assert_eq!((stopped.end, stopped.steps), (TrainingEnd::Esr, first.steps));
    let rising = TrainingConfig { learning_rates: (1e-2, 5.0), ..config("lstm-4", 120) };
    let patient = trained(rising, EarlyStopping { patience: Some(2), ..EarlyStopping::default() });
    assert_eq!(patient.end, TrainingEnd::Patience);
    let [.., a, b] = patient.curve.as_slice() else { panic!("{:?}", patient.curve) };
    assert!(![a, b].iter().any(|point| is_lower(point.esr, patient.evaluation.esr)) && patient.steps < 120);
}

#[test]
fn a_training_that_is_resumed_from_a_checkpoint_ends_with_the_same_twin() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.bin");
    for name in ["lstm-4", "gru-3", "tcn-3x3"] {
        let whole = trained(config(name, 40), EarlyStopping::default());
        let begin = || training(config(name, 40), EarlyStopping::default(), FakeClock::new(1e-3, Some(1e-3)));
        // Before the first evaluation, at one, after one, and at one that is called off.
        for (steps, calls_off) in [(1, false), (8, false), (13, false), (16, true), (40, true)] {
            let mut first = begin();
            for _ in 1..steps {
                assert!(first.step(&|| true));
            }
            assert_eq!(first.step(&|| !calls_off), !calls_off, "{name} {steps}");
            checkpoint::write(&path, "a test", &first.state()).unwrap();
            let read = checkpoint::read(&path, "a test").unwrap();
            assert_eq!(read, first.state(), "{name} {steps}");
            let mut second = begin();
            assert!(second.restore(read));
            let resumed = run(second);
            assert_eq!(resumed.architecture, whole.architecture, "{name} {steps}");
            assert_eq!((errors(&resumed), resumed.best_steps), (errors(&whole), whole.best_steps), "{name} {steps}");
            assert_eq!(resumed.evaluation.sounds, whole.evaluation.sounds, "{name} {steps}");
        }
    }
}

#[test]
fn a_checkpoint_that_is_cut_or_does_not_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.bin");
    let mut first = training(config("lstm-4", 40), EarlyStopping::default(), FakeClock::new(1e-3, None));
    for _ in 0..5 {
        assert!(first.step(&|| true));
    }
    checkpoint::write(&path, "a test", &first.state()).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    for length in (0..300).chain([bytes.len() / 2, bytes.len() - 1]) {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let error = checkpoint::read(&path, "a test").unwrap_err().to_string();
        assert!(error.contains(&format!("{length} bytes; expected a whole checkpoint")), "{error}");
    }
    std::fs::write(&path, [b"isotherm training 2\n", &bytes[20..]].concat()).unwrap();
    let error = checkpoint::read(&path, "a test").unwrap_err().to_string();
    assert!(error.contains("a checkpoint of another version of Isotherm"), "{error}");
    let mut other = training(config("lstm-4", 40), EarlyStopping::default(), FakeClock::new(1e-3, None));
    assert!(!other.restore(LoopState { best_weights: vec![0.0], ..first.state() }));
    assert!(!other.restore(LoopState { curve: Vec::new(), ..first.state() }));
    assert!(other.restore(first.state()));
}

#[test]
fn a_time_stands_for_the_same_steps_on_any_machine() {
    for name in ["lstm-8", "gru-16", "tcn-8x4", "wavenet-standard"] {
        let config = TrainingConfig::new(Design::parse(name).unwrap(), 1);
        let steps = config.steps_in(60.0);
        for threads in [1, 2, 16] {
            assert_eq!(TrainingConfig { threads, ..config.clone() }.steps_in(60.0), steps, "{name}");
        }
        assert!(config.steps_in(120.0).abs_diff(2 * steps) <= 1 && steps > 60, "{name}: {steps}");
        assert_eq!(config.steps_in(0.0), 1);
    }
}
