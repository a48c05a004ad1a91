//! A WaveNet as in NAM files, also called TCN: dilated convolutions, gated or not, residuals, and a head. Time is in the lanes.

use super::optimise::Tensor;
use super::rows::{Convolve, ConvolveBack, Rows, Shape, WeightGradient};
use crate::audio::Random;
use crate::neural::activation::{sigmoid, tanh};
use crate::neural::description::{Activation, Architecture, Conv1d, Films, Gating, LayerArray, WaveNet, WaveNetLayer};
use crate::neural::simd::{Kernel, Level, Simd};

/// Layers of one width.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Array {
    pub channels: usize,
    pub taps: usize,
    /// Of each layer.
    pub dilations: Vec<usize>,
    /// tanh(top) sigmoid(bottom) instead of tanh.
    pub gated: bool,
}

/// Arrays of layers, one after another; the last one's head is the output. Its parameters are in the order of a NAM file: of each array
/// rechannel, the layers (convolution and bias, mixin, 1x1 and bias), head; the last head has a bias.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Convolutional {
    pub arrays: Vec<Array>,
}

/// Where a tensor's parameters are.
#[derive(Clone, Copy)]
struct Place {
    shape: Shape,
    weights: usize,
    bias: Option<usize>,
}

impl Place {
    fn end(&self) -> usize {
        self.weights + self.shape.weights() + if self.bias.is_some() { self.shape.outputs } else { 0 }
    }
}

struct LayerPlaces {
    conv: Place,
    mixin: Place,
    one: Place,
    gated: bool,
}

struct ArrayPlaces {
    rechannel: Place,
    layers: Vec<LayerPlaces>,
    head: Place,
}

impl Convolutional {
    fn places(&self) -> Vec<ArrayPlaces> {
        let mut end = 0;
        let mut place = |shape: Shape, bias: bool| {
            let place = Place { shape, weights: end, bias: bias.then_some(end + shape.weights()) };
            end = place.end();
            place
        };
        let mut inputs = 1;
        let mut made = Vec::new();
        for (i, array) in self.arrays.iter().enumerate() {
            let channels = array.channels;
            let rechannel = place(Shape::dense(inputs, channels), false);
            let z = if array.gated { 2 * channels } else { channels };
            let layers = array.dilations.iter().map(|&dilation| LayerPlaces {
                conv: place(Shape { inputs: channels, outputs: z, taps: array.taps, dilation }, true),
                mixin: place(Shape::dense(1, z), false),
                one: place(Shape::dense(channels, channels), true),
                gated: array.gated,
            });
            let layers = layers.collect();
            let next = self.arrays.get(i + 1);
            let head = place(Shape::dense(channels, next.map_or(1, |a| a.channels)), next.is_none());
            made.push(ArrayPlaces { rechannel, layers, head });
            inputs = channels;
        }
        made
    }

    /// How many numbers are trained. [any thread]
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.places().last().map_or(0, |a| a.head.end())
    }

    /// For each output of a layer its convolution, bias and mixin side by side; the others one by one. [any thread]
    #[must_use]
    pub fn tensors(&self) -> Vec<Tensor> {
        let tensor = |places: &[&Place]| {
            let rows = places[0].shape.outputs;
            let row = |row: usize| {
                places.iter().flat_map(move |place| {
                    let width = place.shape.inputs * place.shape.taps;
                    (0..width).map(move |i| place.weights + row * width + i).chain(place.bias.map(|bias| bias + row))
                })
            };
            let all: Vec<usize> = (0..rows).flat_map(row).collect();
            Tensor { rows, columns: all.len() / rows, places: all }
        };
        let mut made = Vec::new();
        for array in self.places() {
            made.push(tensor(&[&array.rechannel]));
            for layer in &array.layers {
                made.push(tensor(&[&layer.conv, &layer.mixin]));
                made.push(tensor(&[&layer.one]));
            }
            made.push(tensor(&[&array.head]));
        }
        made
    }

    /// Frames before the newest that the output depends on. [any thread]
    #[must_use]
    pub fn reach(&self) -> usize {
        self.arrays.iter().map(|a| (a.taps - 1) * a.dilations.iter().sum::<usize>()).sum()
    }

    /// Where training begins: evenly spread within 1 / sqrt(what is summed), mixins and the first rechannel within 1, a small head.
    /// [any thread]
    #[must_use]
    pub fn begin(&self, random: &mut Random) -> Vec<f32> {
        let mut p = vec![0.0; self.parameters()];
        let mut spread = |place: &Place, bound: f32, bias: bool| {
            let end = if bias { place.end() } else { place.weights + place.shape.weights() };
            p[place.weights..end].iter_mut().for_each(|w| *w = random.within(-bound, bound));
        };
        let fan = |shape: Shape| 1.0 / ((shape.inputs * shape.taps) as f32).sqrt();
        for array in self.places() {
            spread(&array.rechannel, fan(array.rechannel.shape), false);
            for layer in &array.layers {
                spread(&layer.conv, fan(layer.conv.shape), true);
                spread(&layer.mixin, 1.0, false);
                // A little less than what keeps the energy, as the residual adds to it.
                spread(&layer.one, 0.7 * fan(layer.one.shape), false);
            }
            spread(&array.head, 0.3 * fan(array.head.shape), false);
        }
        p
    }

    /// The network with these parameters, for the engine and the exports. [any thread]
    ///
    /// # Panics
    /// If there are not [`Self::parameters`] of them.
    #[must_use]
    pub fn architecture(&self, parameters: &[f32]) -> Architecture {
        assert_eq!(parameters.len(), self.parameters(), "parameters");
        let conv = |place: &Place| Conv1d {
            inputs: place.shape.inputs,
            outputs: place.shape.outputs,
            taps: place.shape.taps,
            dilation: place.shape.dilation,
            groups: 1,
            weights: parameters[place.weights..place.weights + place.shape.weights()].to_vec(),
            bias: place.bias.map(|at| parameters[at..at + place.shape.outputs].to_vec()),
        };
        let layer = |layer: &LayerPlaces| WaveNetLayer {
            conv: conv(&layer.conv),
            mixin: conv(&layer.mixin),
            activation: Activation::Tanh,
            gating: if layer.gated { Gating::Gated(Activation::Sigmoid) } else { Gating::None },
            layer1x1: Some(conv(&layer.one)),
            head1x1: None,
            film: Films::default(),
        };
        let array = |a: &ArrayPlaces| LayerArray {
            rechannel: conv(&a.rechannel),
            layers: a.layers.iter().map(layer).collect(),
            head: conv(&a.head),
        };
        let arrays = self.places().iter().map(array).collect();
        Architecture::WaveNet(Box::new(WaveNet { condition: None, arrays, post: Vec::new(), head_scale: 1.0 }))
    }
}

/// What a layer leaves behind for the way back.
struct LayerTape {
    /// What comes in.
    x: Rows,
    /// The convolution's output behind the activations: of a gated layer tanh and sigmoid.
    bent: Rows,
    /// What goes to the head and the 1x1; without a gate that is `bent`.
    gated: Option<Rows>,
}

impl LayerTape {
    fn z(&self) -> &Rows {
        self.gated.as_ref().unwrap_or(&self.bent)
    }
}

struct ArrayTape {
    layers: Vec<LayerTape>,
    /// What comes out of the last layer.
    last: Rows,
    /// The sum that the head reads.
    sum: Rows,
    head: Rows,
    /// Derivatives for `layers[..].x` and `last`, for z, for the sums in front of the activations, and for `sum`.
    dx: Rows,
    dz: Rows,
    da: Rows,
    dsum: Rows,
}

/// What a run over a stretch of sound leaves behind for the way back. What was before the stretch counts as silence within the network.
pub struct Tape {
    shape: Convolutional,
    places: Vec<ArrayPlaces>,
    level: Level,
    input: Rows,
    arrays: Vec<ArrayTape>,
    output_gradient: Rows,
}

impl Tape {
    /// For stretches of `frames`, rounded up to a multiple of 32, on `level`. [control thread: allocates]
    #[must_use]
    pub fn new(shape: &Convolutional, level: Level, frames: usize) -> Self {
        let arrays = shape.arrays.iter().enumerate().map(|(i, array)| {
            let (channels, next) = (array.channels, shape.arrays.get(i + 1).map_or(1, |a| a.channels));
            let margin = array.dilations.iter().max().map_or(0, |d| (array.taps - 1) * d);
            let z = if array.gated { 2 * channels } else { channels };
            let rows = |channels: usize| Rows::new(channels, frames, margin);
            let layer = |_| LayerTape { x: rows(channels), bent: rows(z), gated: array.gated.then(|| rows(channels)) };
            ArrayTape {
                layers: (0..array.dilations.len()).map(layer).collect(),
                last: rows(channels),
                sum: rows(channels),
                head: rows(next),
                dx: rows(channels),
                dz: rows(channels),
                da: rows(z),
                dsum: rows(channels),
            }
        });
        Self {
            arrays: arrays.collect(),
            places: shape.places(),
            shape: shape.clone(),
            level,
            input: Rows::new(1, frames, 0),
            output_gradient: Rows::new(1, frames, 0),
        }
    }

    /// Of a stretch.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.input.frames()
    }

    /// Of the last [`Self::forward`]: right from the frame [`Convolutional::reach`] on.
    ///
    /// # Panics
    /// If the network has no array.
    #[must_use]
    pub fn output(&self) -> &[f32] {
        self.arrays.last().expect("an array").head.row(0)
    }

    /// Runs a stretch.
    ///
    /// # Panics
    /// If a length is wrong.
    pub fn forward(&mut self, parameters: &[f32], input: &[f32]) {
        assert_eq!(parameters.len(), self.shape.parameters(), "parameters");
        self.input.row_mut(0).copy_from_slice(input);
        let (level, places) = (self.level, &self.places);
        let convolve = |place: &Place, input: &Rows, output: &mut Rows| {
            let weights = &parameters[place.weights..place.weights + place.shape.weights()];
            level.run(Convolve { shape: place.shape, weights, input, output });
        };
        let bias = |place: &Place, output: &mut Rows| {
            for channel in 0..output.channels() {
                output.row_mut(channel).fill(place.bias.map_or(0.0, |at| parameters[at + channel]));
            }
        };
        for (a, places) in places.iter().enumerate() {
            let (before, rest) = self.arrays.split_at_mut(a);
            let before = before.last();
            let array = &mut rest[0];
            let first = array.layers.first_mut().map_or(&mut array.last, |l| &mut l.x);
            first.fill(0.0);
            convolve(&places.rechannel, before.map_or(&self.input, |b| &b.last), first);
            array.sum.fill(0.0);
            if let Some(before) = before {
                array.sum.add(&before.head);
            }
            for (l, places) in places.layers.iter().enumerate() {
                let (done, later) = array.layers.split_at_mut(l + 1);
                let layer = &mut done[l];
                let next = later.first_mut().map_or(&mut array.last, |n| &mut n.x);
                bias(&places.conv, &mut layer.bent);
                convolve(&places.conv, &layer.x, &mut layer.bent);
                convolve(&places.mixin, &self.input, &mut layer.bent);
                level.run(Bend { bent: &mut layer.bent, gated: layer.gated.as_mut() });
                array.sum.add(layer.z());
                bias(&places.one, next);
                next.add(&layer.x);
                convolve(&places.one, layer.z(), next);
            }
            bias(&places.head, &mut array.head);
            convolve(&places.head, &array.sum, &mut array.head);
        }
    }

    /// Behind [`Self::forward`]: adds to `gradient` the derivatives of a loss whose derivatives for the output are `output_gradient`.
    ///
    /// # Panics
    /// If a length is wrong.
    pub fn backward(&mut self, parameters: &[f32], output_gradient: &[f32], gradient: &mut [f32]) {
        assert_eq!((parameters.len(), gradient.len()), (self.shape.parameters(), self.shape.parameters()), "parameters");
        self.output_gradient.row_mut(0).copy_from_slice(output_gradient);
        let level = self.level;
        let back = |place: &Place, output_gradient: &Rows, input_gradient: &mut Rows| {
            let weights = &parameters[place.weights..place.weights + place.shape.weights()];
            level.run(ConvolveBack { shape: place.shape, weights, output_gradient, input_gradient });
        };
        let mut collect = |place: &Place, input: &Rows, output_gradient: &Rows| {
            let own = &mut gradient[place.weights..place.end()];
            let (weights, bias) = own.split_at_mut(place.shape.weights());
            level.run(WeightGradient { shape: place.shape, input, output_gradient, gradient: weights });
            for (channel, sum) in bias.iter_mut().enumerate() {
                *sum += sum_of(output_gradient.row(channel));
            }
        };
        for a in (0..self.arrays.len()).rev() {
            let places = &self.places[a];
            let (until, after) = self.arrays.split_at_mut(a + 1);
            let (before, array) = until.split_at_mut(a);
            let (before, array) = (before.last(), &mut array[0]);
            array.dsum.fill(0.0);
            array.dx.fill(0.0);
            let dhead = match after.first_mut() {
                None => &self.output_gradient,
                Some(next) => {
                    back(&self.places[a + 1].rechannel, &next.dx, &mut array.dx);
                    &next.dsum
                }
            };
            collect(&places.head, &array.sum, dhead);
            back(&places.head, dhead, &mut array.dsum);
            for (layer, places) in array.layers.iter().zip(&places.layers).rev() {
                collect(&places.one, layer.z(), &array.dx);
                array.dz.fill(0.0);
                array.dz.add(&array.dsum);
                back(&places.one, &array.dx, &mut array.dz);
                level.run(Unbend { bent: &layer.bent, dz: &array.dz, da: &mut array.da });
                collect(&places.conv, &layer.x, &array.da);
                collect(&places.mixin, &self.input, &array.da);
                back(&places.conv, &array.da, &mut array.dx);
            }
            collect(&places.rechannel, before.map_or(&self.input, |b| &b.last), &array.dx);
        }
    }
}

/// Eight sums side by side, which lose less and need not wait for each other.
fn sum_of(values: &[f32]) -> f32 {
    let mut sums = [0.0f32; 8];
    for part in values.chunks(8) {
        sums.iter_mut().zip(part).for_each(|(sum, x)| *sum += x);
    }
    sums.iter().sum()
}

/// tanh in place; of a gated layer of the first half, sigmoid of the second, and their product.
struct Bend<'a> {
    bent: &'a mut Rows,
    gated: Option<&'a mut Rows>,
}

impl Kernel for Bend<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { bent, gated } = self;
        let channels = gated.as_ref().map_or(bent.channels(), |g| g.channels());
        for channel in 0..bent.channels() {
            for part in bent.row_mut(channel).chunks_exact_mut(S::LANES) {
                // SAFETY: `part` has that many values.
                unsafe {
                    let x = s.load(part.as_ptr());
                    s.store(part.as_mut_ptr(), if channel < channels { tanh(s, x) } else { sigmoid(s, x) });
                }
            }
        }
        if let Some(gated) = gated {
            for channel in 0..channels {
                let both = bent.row(channel).iter().zip(bent.row(channels + channel));
                gated.row_mut(channel).iter_mut().zip(both).for_each(|(z, (t, g))| *z = t * g);
            }
        }
    }
}

/// The derivatives in front of the activations.
struct Unbend<'a> {
    bent: &'a Rows,
    dz: &'a Rows,
    da: &'a mut Rows,
}

impl Kernel for Unbend<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Self { bent, dz, da } = self;
        let channels = dz.channels();
        for channel in 0..channels {
            let (d, t) = (dz.row(channel), bent.row(channel));
            if bent.channels() == channels {
                da.row_mut(channel).iter_mut().zip(d.iter().zip(t)).for_each(|(a, (d, t))| *a = d * (1.0 - t * t));
            } else {
                let g = bent.row(channels + channel);
                let own = da.row_mut(channel).iter_mut().zip(d.iter().zip(t.iter().zip(g)));
                own.for_each(|(a, (d, (t, g)))| *a = d * g * (1.0 - t * t));
                let gate = da.row_mut(channels + channel).iter_mut().zip(d.iter().zip(t.iter().zip(g)));
                gate.for_each(|(a, (d, (t, g)))| *a = d * t * g * (1.0 - g));
            }
        }
    }
}
