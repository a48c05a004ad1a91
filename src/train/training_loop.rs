//! The training loop: steps, with an evaluation on the held-out sounds from time to time, until all steps are done or something
//! ends it early. It keeps the best weights that an evaluation found. When it evaluates depends on the steps alone, so the same
//! configuration gives the same weights on a fast machine and on a slow one, as long as the clock does not end it.

use std::sync::Arc;

use super::clock::busy_remark;
use super::material::{KeepGoing, Material};
use super::trainer::{Evaluation, Trainer, TrainerState, TrainingConfig, evaluate_while};
use crate::neural::description::Architecture;

/// Reasons for which a training ends before its steps are done. The default has none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EarlyStopping {
    /// Ceiling of the time in seconds, with the time for evaluations.
    pub max_seconds: Option<f64>,
    /// Error to signal on the held-out sounds that is good enough.
    pub esr: Option<f64>,
    /// Number of evaluations in a row that found no lower error.
    pub patience: Option<usize>,
}

/// A training may take this many times as long as on an idle machine before the clock ends it, if the user says nothing else:
/// enough for a machine of a fifth of the speed that is half busy.
pub const TIME_CEILING: f64 = 10.0;

/// The reason for which a training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrainingEnd {
    /// All steps are done.
    Steps,
    /// The error is as low as [`EarlyStopping::esr`].
    Esr,
    /// The evaluations of [`EarlyStopping::patience`] found no lower error.
    Patience,
    /// The time of [`EarlyStopping::max_seconds`] is over.
    Time,
}

impl TrainingEnd {
    /// The reason's name on a card. [any thread]
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Steps => "steps",
            Self::Esr => "stop-at",
            Self::Patience => "patience",
            Self::Time => "max-minutes",
        }
    }
}

/// A point of a training's curve: an evaluation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurvePoint {
    /// Seconds of training, without the time for evaluations.
    pub seconds: f64,
    /// Steps done.
    pub steps: u64,
    /// Error to signal on the held-out sounds.
    pub esr: f64,
}

/// The state of a training, which a checkpoint keeps.
#[derive(Clone, Debug, PartialEq)]
pub struct LoopState {
    /// State of the trainer.
    pub trainer: TrainerState,
    /// The evaluations so far.
    pub curve: Vec<CurvePoint>,
    /// The weights with the lowest error of the curve; empty before the first evaluation.
    pub best_weights: Vec<f32>,
}

/// The best weights that an evaluation found.
struct BestWeights {
    weights: Vec<f32>,
    point: CurvePoint,
    /// The errors; `None` if they come from a checkpoint, which does not keep them.
    evaluation: Option<Evaluation>,
}

/// A training that runs.
pub struct TrainingLoop {
    trainer: Trainer,
    early_stopping: EarlyStopping,
    curve: Vec<CurvePoint>,
    best: Option<BestWeights>,
    end: Option<TrainingEnd>,
    /// Steps at which the next evaluation is due.
    next_evaluation: u64,
    /// Seconds of evaluation since this loop began.
    evaluation_seconds: f64,
}

/// The progress of a training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TwinProgress {
    /// Part of the steps that is done: 0 to 1.
    pub done: f64,
    /// Steps done.
    pub steps: u64,
    /// Seconds of training, without the time for evaluations.
    pub seconds: f64,
    /// Error to signal at the last evaluation; `None` before the first.
    pub esr: Option<f64>,
    /// Share of a core that the training had, 0 to 1; `None` if it is not known.
    pub cpu_share: Option<f64>,
}

/// A network that is trained: the best weights that an evaluation found, and how the training went.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainedNetwork {
    /// The configuration of the training.
    pub config: TrainingConfig,
    /// The material, its wet sounds delayed by the configuration's look-ahead.
    pub material: Arc<Material>,
    /// The network with the best weights.
    pub architecture: Architecture,
    /// The errors with these weights.
    pub evaluation: Evaluation,
    /// Steps after which it had these weights.
    pub best_steps: u64,
    /// Steps done.
    pub steps: u64,
    /// Seconds of training, without the time for evaluations.
    pub seconds: f64,
    /// The reason for which the training ended.
    pub end: TrainingEnd,
    /// All evaluations.
    pub curve: Vec<CurvePoint>,
    /// Share of a core that the training had, 0 to 1; `None` if it is not known.
    pub cpu_share: Option<f64>,
}

impl TrainedNetwork {
    /// Lines for the user about what the training lacked: steps that the clock cut, time on a busy machine. Empty if nothing.
    /// [any thread]
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        let percent = 100.0 * self.steps as f64 / self.config.steps.max(1) as f64;
        let cut = format!("cut short: the time was over after {percent:.0} % of the steps");
        (self.end == TrainingEnd::Time).then_some(cut).into_iter().chain(busy_remark(self.cpu_share)).collect()
    }
}

impl TrainingLoop {
    /// A training before its first step. [control thread]
    #[must_use]
    pub fn new(trainer: Trainer, early_stopping: EarlyStopping) -> Self {
        let next_evaluation = next_evaluation(trainer.config().evaluation_steps, 0);
        Self { trainer, early_stopping, curve: Vec::new(), best: None, end: None, next_evaluation, evaluation_seconds: 0.0 }
    }

    /// True once the training has ended: no step may follow. [any thread]
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.end.is_some() || self.trainer.steps() >= self.trainer.config().steps
    }

    /// The trainer. [any thread]
    #[must_use]
    pub fn trainer(&self) -> &Trainer {
        &self.trainer
    }

    /// The progress so far. [any thread]
    #[must_use]
    pub fn progress(&self) -> TwinProgress {
        TwinProgress {
            done: self.trainer.progress(),
            steps: self.trainer.steps(),
            seconds: self.trainer.seconds(),
            esr: self.curve.last().map(|point| point.esr),
            cpu_share: self.trainer.work_time().cpu_share(),
        }
    }

    /// Trains on one batch, and evaluates if that is due. Returns false if `keep_going` did meanwhile.
    /// [control thread: takes its time]
    #[must_use]
    pub fn step(&mut self, keep_going: KeepGoing<'_>) -> bool {
        // An evaluation that was called off before a checkpoint comes first, so that a resumed training is the same.
        if self.trainer.steps() >= self.next_evaluation {
            let Some(esr) = self.evaluate(keep_going) else { return false };
            self.stop_early(esr);
            if self.end.is_some() {
                return true;
            }
        }
        self.trainer.step();
        let seconds = self.trainer.seconds() + self.evaluation_seconds;
        if self.is_over() {
            self.end = Some(TrainingEnd::Steps);
        } else if self.early_stopping.max_seconds.is_some_and(|max_seconds| seconds >= max_seconds) {
            self.end = Some(TrainingEnd::Time);
        }
        if self.end.is_none() && self.trainer.steps() < self.next_evaluation {
            return true;
        }
        let Some(esr) = self.evaluate(keep_going) else { return false };
        self.stop_early(esr);
        true
    }

    /// Ends the training if the error of an evaluation is low enough, or if there was no progress for long.
    fn stop_early(&mut self, esr: f64) {
        let best = self.best.as_ref().map_or(f64::INFINITY, |best| best.point.esr);
        let since_best = self.curve.iter().rev().take_while(|point| point.esr > best).count();
        let EarlyStopping { esr: good_esr, patience, .. } = self.early_stopping;
        if self.end.is_none() {
            if good_esr.is_some_and(|good_esr| esr <= good_esr) {
                self.end = Some(TrainingEnd::Esr);
            } else if patience.is_some_and(|patience| since_best >= patience) {
                self.end = Some(TrainingEnd::Patience);
            }
        }
    }

    /// Evaluates the network as it is, and keeps its weights if they are the best so far. Returns its error to signal; `None` if
    /// `keep_going` returned false.
    fn evaluate(&mut self, keep_going: KeepGoing<'_>) -> Option<f64> {
        let start = self.trainer.read_clock().wall;
        let evaluation = self.trainer.evaluate_while(keep_going)?;
        self.evaluation_seconds += self.trainer.read_clock().wall.saturating_sub(start).as_secs_f64();
        let point = CurvePoint { seconds: self.trainer.seconds(), steps: self.trainer.steps(), esr: evaluation.esr };
        self.curve.push(point);
        self.next_evaluation = next_evaluation(self.trainer.config().evaluation_steps, point.steps);
        // An error that is not a number is never the lowest one, but something has to be kept.
        if self.best.as_ref().is_none_or(|best| point.esr < best.point.esr || !best.point.esr.is_finite()) {
            let weights = self.trainer.averaged_weights().to_vec();
            self.best = Some(BestWeights { weights, point, evaluation: Some(evaluation) });
        }
        Some(point.esr)
    }

    /// The network with the best weights, evaluated. `None` if `keep_going` returned false. To be called when the training is
    /// over. [control thread: takes its time]
    #[must_use]
    pub fn finish(mut self, keep_going: KeepGoing<'_>) -> Option<TrainedNetwork> {
        if self.curve.last().is_none_or(|point| point.steps != self.trainer.steps()) {
            self.evaluate(keep_going)?;
        }
        let BestWeights { weights, point, evaluation } = self.best?;
        let config = self.trainer.config().clone();
        let architecture = config.design.architecture(&weights);
        let evaluation = match evaluation {
            Some(evaluation) => evaluation,
            None => evaluate_while(&architecture, self.trainer.material(), keep_going)?,
        };
        Some(TrainedNetwork {
            architecture,
            evaluation,
            best_steps: point.steps,
            steps: self.trainer.steps(),
            seconds: self.trainer.seconds(),
            end: self.end.unwrap_or(TrainingEnd::Steps),
            curve: self.curve,
            cpu_share: self.trainer.work_time().cpu_share(),
            material: self.trainer.shared_material(),
            config,
        })
    }

    /// The state that [`Self::restore`] takes. [control thread: allocates]
    #[must_use]
    pub fn state(&self) -> LoopState {
        LoopState {
            trainer: self.trainer.state(),
            curve: self.curve.clone(),
            best_weights: self.best.as_ref().map_or_else(Vec::new, |best| best.weights.clone()),
        }
    }

    /// Takes the state of another training of the same configuration and material, to go on from there. Returns false, and
    /// changes nothing, if the sizes differ. [control thread]
    #[must_use]
    pub fn restore(&mut self, state: LoopState) -> bool {
        let LoopState { trainer, curve, best_weights } = state;
        let lowest = curve.iter().copied().reduce(|a, b| if b.esr < a.esr || !a.esr.is_finite() { b } else { a });
        let parameters = self.trainer.averaged_weights().len();
        let expected_weights = if lowest.is_some() { parameters } else { 0 };
        if best_weights.len() != expected_weights || !self.trainer.restore(trainer) {
            return false;
        }
        self.best = lowest.map(|point| BestWeights { weights: best_weights, point, evaluation: None });
        self.next_evaluation =
            next_evaluation(self.trainer.config().evaluation_steps, curve.last().map_or(0, |point| point.steps));
        self.curve = curve;
        true
    }
}

/// Steps of the first evaluation that is due after `steps`. The steps double from one to the next, up to the largest distance.
fn next_evaluation((first, max_distance): (u64, u64), steps: u64) -> u64 {
    let mut next = first.max(1);
    while next <= steps {
        next = next.saturating_add(next.min(max_distance.max(1)));
    }
    next
}
