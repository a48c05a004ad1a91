//! Training of neural twins: a twin is a network that changes a sound as an effect does. It learns from material, which is
//! sound before and after the effect (dry and wet): a recorded pair, or generated passages through an algorithm of this program
//! or a circuit.
//!
//! A [`Trainer`] follows a [`TrainingConfig`] over a [`Material`]; a [`TrainingLoop`] calls and evaluates it; [`train_twin`] goes
//! the whole way from an effect to a model.
//! Backpropagation is written by hand on the engine's SIMD vectors: the lanes of a vector are sequences side by side in recurrent
//! networks ([`recurrent`]), and successive frames in convolutional ones ([`wavenet`]). Everything here allocates and takes its
//! time; nothing is for the audio thread.

pub mod checkpoint;
pub mod clock;
pub mod condition;
mod convolution;
pub mod design;
mod eigenbasis;
pub mod export;
mod lane_products;
pub mod loss;
pub mod material;
pub mod octave_term;
pub mod optimiser;
mod recorded_pair;
pub mod recurrent;
pub mod trainer;
pub mod training_loop;
pub mod triode;
pub mod twin;
pub mod wavenet;

pub use condition::{Condition, ConditionError, KnobDescription};
pub use design::{DESIGN_NAMES, Design, DesignError};
pub use loss::{LOSS_NAMES, Loss, LossError};
pub use material::{Material, MaterialError, SoundPair, Target};
pub use recorded_pair::{MIN_PAIR_SECONDS, PairError, PairReport};
pub use recurrent::CellKind;
pub use trainer::{Evaluation, Trainer, TrainingConfig, TrainingConfigError};
pub use training_loop::{EarlyStopping, TIME_CEILING, TrainedNetwork, TrainingEnd, TrainingLoop, TwinProgress};
pub use twin::{Twin, TwinError, train_twin};
