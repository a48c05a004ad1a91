//! Training: the neural twin of an effect, from a recording before and after it or from an algorithm that is here.
//!
//! Backpropagation is written by hand on the engine's vectors: recurrent layers have as many sequences side by side as a vector has
//! lanes ([`recurrent`]), convolutions time ([`wavenet`]). Everything here allocates and takes its time: nothing is for the audio
//! thread.

mod basis;
pub mod checkpoint;
pub mod condition;
pub mod design;
pub mod export;
mod lanes;
pub mod loss;
pub mod material;
pub mod optimise;
mod pair;
pub mod recurrent;
mod rows;
pub mod trainer;
pub mod triode;
pub mod twin;
pub mod wavenet;

pub use condition::{Condition, Knob};
pub use design::{DESIGNS, Design};
pub use material::{Material, MaterialError, Pair, Target};
pub use pair::{Found, LEAST_SECONDS, PairError};
pub use recurrent::Cell;
pub use trainer::{Evaluation, Limit, Plan, PlanError, Trainer};
pub use twin::{Progress, Twin, TwinError, twin};
