//! Effects that are plain functions, for tests against closed forms.

use std::sync::Arc;

use crate::dsp::Block;
use crate::effect::Effect;
use crate::neural::engine::{EngineError, Network, NetworkState, StateSpec};
use crate::neural::{Model, ModelInfo};

/// The sample rate of the tests.
pub const RATE: u32 = 48_000;

/// A function from one sample to the next, with its state.
type Function = Box<dyn FnMut(f64) -> f64 + Send>;

/// A network made of a function, with the latency that it reports.
struct FunctionNetwork<F> {
    make: F,
    latency: usize,
}

struct FunctionState<F> {
    network: Arc<FunctionNetwork<F>>,
    function: Function,
}

impl<F: Fn() -> Function + Send + Sync + 'static> Network for FunctionNetwork<F> {
    fn state(self: Arc<Self>, _: StateSpec) -> Result<Box<dyn NetworkState>, EngineError> {
        Ok(Box::new(FunctionState { function: (self.make)(), network: self }))
    }

    fn bytes(&self) -> usize {
        12
    }
}

impl<F: Fn() -> Function + Send + Sync + 'static> NetworkState for FunctionState<F> {
    fn process(&mut self, block: &mut Block<'_>, _: &[&[f32]]) {
        assert_eq!(block.len(), 1, "one channel");
        for x in block[0].iter_mut() {
            *x = (self.function)((*x).into()) as f32;
        }
    }

    fn settle(&mut self, _: &[f32]) -> f32 {
        self.reset();
        (self.network.make)()(0.0) as f32
    }

    fn reset(&mut self) {
        self.function = (self.network.make)();
    }

    fn rests(&self) -> bool {
        false
    }

    fn latency(&self) -> usize {
        self.network.latency
    }

    fn bytes(&self) -> usize {
        0
    }
}

/// An effect for one channel at [`RATE`] that is a function with a state, which `make` makes.
pub fn effect<G: FnMut(f64) -> f64 + Send + 'static>(latency: usize, make: impl Fn() -> G + Send + Sync + 'static) -> Effect {
    let network = FunctionNetwork { make: move || Box::new(make()) as Function, latency };
    let model = Model::from_network(ModelInfo::new("test", "test", 0, RATE as f32), Arc::new(network), Vec::new());
    Effect::from_id("neural").unwrap().with_model(model)
}

/// An effect without memory.
pub fn shaper(function: fn(f64) -> f64) -> Effect {
    effect(0, move || function)
}

/// A delay line of `frames` frames.
pub fn delay(frames: usize) -> impl FnMut(f64) -> f64 + Send + 'static {
    let mut line = std::collections::VecDeque::from(vec![0.0; frames]);
    move |x| {
        line.push_back(x);
        line.pop_front().unwrap()
    }
}

/// Amplitude of harmonic `order` of a function without memory for a cosine of this amplitude, by quadrature: its Fourier
/// coefficient.
pub fn harmonic(function: impl Fn(f64) -> f64, amplitude: f64, order: usize) -> f64 {
    const STEPS: usize = 4096;
    let sum: f64 = (0..STEPS)
        .map(|step| {
            let angle = std::f64::consts::TAU * step as f64 / STEPS as f64;
            function(amplitude * angle.cos()) * (order as f64 * angle).cos()
        })
        .sum();
    (2.0 * sum / STEPS as f64).abs()
}
