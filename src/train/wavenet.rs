//! A WaveNet as NAM files have it, also called a TCN (temporal convolutional network): dilated convolutions, gated or not,
//! residual connections and a head. Forward pass and backpropagation, with successive frames in the SIMD lanes.
//!
//! In formulas x is a layer's input, a the sum before its activation, z the activated (and gated) value; dx, da and dz are
//! the derivatives of the loss for them. A "1x1" is a convolution of one tap.

use super::convolution::{ConvShape, Convolve, InputGradient, PlanarBuffer, WeightGradient};
use super::optimiser::ParameterMatrix;
use crate::audio::Random;
use crate::neural::activation::{sigmoid, tanh};
use crate::neural::description::{Activation, Architecture, Conv1d, Films, Gating, LayerArray, WaveNet, WaveNetLayer};
use crate::neural::simd::{Kernel, Simd, SimdLevel};

/// The shape of a layer array, as NAM calls it: successive layers of one width.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Array {
    /// Channels of each layer.
    pub channels: usize,
    /// Taps of each layer's convolution (its kernel size).
    pub taps: usize,
    /// Dilation of each layer's convolution, in frames.
    pub dilations: Vec<usize>,
    /// True if the activation is tanh(a) sigmoid(b) of a convolution with twice the channels, instead of tanh(a).
    pub gated: bool,
}

/// The shape of a WaveNet: layer arrays, one after another; the head of the last is the output. Parameters are in the order of a
/// NAM file: for each array the rechannel (the 1x1 that changes the number of channels), the layers (convolution and bias, mixin,
/// 1x1 and bias) and the head. Only the last head has a bias.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Convolutional {
    /// Layer arrays from input to output.
    pub arrays: Vec<Array>,
}

/// The positions of a convolution's weights and bias among all parameters.
#[derive(Clone, Copy)]
struct ConvLayout {
    shape: ConvShape,
    weights: usize,
    bias: Option<usize>,
}

impl ConvLayout {
    /// Position after its last parameter.
    fn end(&self) -> usize {
        self.weights + self.shape.weight_count() + if self.bias.is_some() { self.shape.outputs } else { 0 }
    }
}

/// The positions of a layer's parameters.
struct LayerLayout {
    conv: ConvLayout,
    /// 1x1 from the network's input to the layer's activation.
    mixin: ConvLayout,
    /// 1x1 from the activated value to the residual connection.
    layer1x1: ConvLayout,
    gated: bool,
}

/// The positions of a layer array's parameters.
struct ArrayLayout {
    rechannel: ConvLayout,
    layers: Vec<LayerLayout>,
    head: ConvLayout,
}

impl Convolutional {
    /// The positions of all parameters.
    fn layout(&self) -> Vec<ArrayLayout> {
        let mut end = 0;
        let mut add = |shape: ConvShape, bias: bool| {
            let conv = ConvLayout { shape, weights: end, bias: bias.then_some(end + shape.weight_count()) };
            end = conv.end();
            conv
        };
        let mut inputs = 1;
        let mut arrays = Vec::new();
        for (i, array) in self.arrays.iter().enumerate() {
            let channels = array.channels;
            let rechannel = add(ConvShape::pointwise(inputs, channels), false);
            let a_channels = if array.gated { 2 * channels } else { channels };
            let layers = array.dilations.iter().map(|&dilation| LayerLayout {
                conv: add(ConvShape { inputs: channels, outputs: a_channels, taps: array.taps, dilation }, true),
                mixin: add(ConvShape::pointwise(1, a_channels), false),
                layer1x1: add(ConvShape::pointwise(channels, channels), true),
                gated: array.gated,
            });
            let layers = layers.collect();
            let next = self.arrays.get(i + 1);
            let head = add(ConvShape::pointwise(channels, next.map_or(1, |a| a.channels)), next.is_none());
            arrays.push(ArrayLayout { rechannel, layers, head });
            inputs = channels;
        }
        arrays
    }

    /// Number of parameters: weights and biases. [any thread]
    #[must_use]
    pub fn parameter_count(&self) -> usize {
        self.layout().last().map_or(0, |a| a.head.end())
    }

    /// The parameters as matrices for the optimiser: convolution, bias and mixin of a layer are one matrix with a row for each
    /// output; each other convolution is one of its own. [any thread]
    #[must_use]
    pub fn matrices(&self) -> Vec<ParameterMatrix> {
        let matrix_of = |convs: &[&ConvLayout]| {
            let rows = convs[0].shape.outputs;
            let row = |row: usize| {
                convs.iter().flat_map(move |conv| {
                    let width = conv.shape.inputs * conv.shape.taps;
                    (0..width).map(move |i| conv.weights + row * width + i).chain(conv.bias.map(|bias| bias + row))
                })
            };
            let indices: Vec<usize> = (0..rows).flat_map(row).collect();
            ParameterMatrix { rows, columns: indices.len() / rows, indices }
        };
        let mut matrices = Vec::new();
        for array in self.layout() {
            matrices.push(matrix_of(&[&array.rechannel]));
            for layer in &array.layers {
                matrices.push(matrix_of(&[&layer.conv, &layer.mixin]));
                matrices.push(matrix_of(&[&layer.layer1x1]));
            }
            matrices.push(matrix_of(&[&array.head]));
        }
        matrices
    }

    /// Reach in frames: the output depends on the newest frame and this many before it. [any thread]
    #[must_use]
    pub fn reach(&self) -> usize {
        self.arrays.iter().map(|a| (a.taps - 1) * a.dilations.iter().sum::<usize>()).sum()
    }

    /// Parameters to begin training with: uniform within 1 / sqrt(fan-in); mixins within 1, and heads and 1x1 with a smaller
    /// range. [any thread: allocates]
    #[must_use]
    pub fn initial_weights(&self, random: &mut Random) -> Vec<f32> {
        let mut p = vec![0.0; self.parameter_count()];
        let mut draw = |conv: &ConvLayout, bound: f32, bias: bool| {
            let end = if bias { conv.end() } else { conv.weights + conv.shape.weight_count() };
            p[conv.weights..end].iter_mut().for_each(|w| *w = random.within(-bound, bound));
        };
        let fan_in_bound = |shape: ConvShape| 1.0 / ((shape.inputs * shape.taps) as f32).sqrt();
        for array in self.layout() {
            draw(&array.rechannel, fan_in_bound(array.rechannel.shape), false);
            for layer in &array.layers {
                draw(&layer.conv, fan_in_bound(layer.conv.shape), true);
                draw(&layer.mixin, 1.0, false);
                // A little less than the range that would keep the energy, as the residual connection adds to it.
                draw(&layer.layer1x1, 0.7 * fan_in_bound(layer.layer1x1.shape), false);
            }
            draw(&array.head, 0.3 * fan_in_bound(array.head.shape), false);
        }
        p
    }

    /// The network with these parameters, for the engine and the exports. [any thread]
    ///
    /// # Panics
    /// If their number is not [`Self::parameter_count`].
    #[must_use]
    pub fn architecture(&self, parameters: &[f32]) -> Architecture {
        assert_eq!(parameters.len(), self.parameter_count(), "parameters");
        let conv = |conv: &ConvLayout| Conv1d {
            inputs: conv.shape.inputs,
            outputs: conv.shape.outputs,
            taps: conv.shape.taps,
            dilation: conv.shape.dilation,
            groups: 1,
            weights: parameters[conv.weights..conv.weights + conv.shape.weight_count()].to_vec(),
            bias: conv.bias.map(|at| parameters[at..at + conv.shape.outputs].to_vec()),
        };
        let layer = |layer: &LayerLayout| WaveNetLayer {
            conv: conv(&layer.conv),
            mixin: conv(&layer.mixin),
            activation: Activation::Tanh,
            gating: if layer.gated { Gating::Gated(Activation::Sigmoid) } else { Gating::None },
            layer1x1: Some(conv(&layer.layer1x1)),
            head1x1: None,
            film: Films::default(),
        };
        let array = |a: &ArrayLayout| LayerArray {
            rechannel: conv(&a.rechannel),
            layers: a.layers.iter().map(layer).collect(),
            head: conv(&a.head),
        };
        let arrays = self.layout().iter().map(array).collect();
        // `post`, the head of the whole network in NAM, is empty.
        Architecture::WaveNet(Box::new(WaveNet { condition: None, arrays, post: Vec::new(), head_scale: 1.0 }))
    }
}

/// The values of a layer's forward pass that the backward pass needs.
struct LayerTape {
    /// The layer's input.
    x: PlanarBuffer,
    /// The activation's output; for a gated layer the tanh half, then the sigmoid half.
    activated: PlanarBuffer,
    /// Product of the two halves of a gated layer; `None` for other layers.
    gated: Option<PlanarBuffer>,
}

impl LayerTape {
    /// The value that goes to the head and to the 1x1.
    fn z(&self) -> &PlanarBuffer {
        self.gated.as_ref().unwrap_or(&self.activated)
    }
}

/// The values of a layer array's forward pass, and the buffers of its backward pass.
struct ArrayTape {
    layers: Vec<LayerTape>,
    /// Output of the last layer.
    last: PlanarBuffer,
    /// Sum of the layers' z and the head output of the previous array: the head's input.
    sum: PlanarBuffer,
    /// Output of the head.
    head: PlanarBuffer,
    /// Derivatives for `last`, then for the `x` of each layer, from the last layer to the first.
    dx: PlanarBuffer,
    /// Derivatives for z.
    dz: PlanarBuffer,
    /// Derivatives with respect to the sums before the activation.
    da: PlanarBuffer,
    /// Derivatives for `sum`.
    dsum: PlanarBuffer,
}

/// The values of a forward pass over a sequence that the backward pass needs (the "tape" of automatic differentiation). Before
/// the sequence, all values within the network count as zero.
pub struct Tape {
    shape: Convolutional,
    layout: Vec<ArrayLayout>,
    level: SimdLevel,
    input: PlanarBuffer,
    arrays: Vec<ArrayTape>,
    output_gradient: PlanarBuffer,
}

impl Tape {
    /// A tape for sequences of `frames`, rounded up to a multiple of 32, with the vectors of `level`. [control thread: allocates]
    #[must_use]
    pub fn new(shape: &Convolutional, level: SimdLevel, frames: usize) -> Self {
        let arrays = shape.arrays.iter().enumerate().map(|(i, array)| {
            let (channels, next) = (array.channels, shape.arrays.get(i + 1).map_or(1, |a| a.channels));
            let margin = array.dilations.iter().max().map_or(0, |d| (array.taps - 1) * d);
            let a_channels = if array.gated { 2 * channels } else { channels };
            let rows = |channels: usize| PlanarBuffer::new(channels, frames, margin);
            let layer =
                |_| LayerTape { x: rows(channels), activated: rows(a_channels), gated: array.gated.then(|| rows(channels)) };
            ArrayTape {
                layers: (0..array.dilations.len()).map(layer).collect(),
                last: rows(channels),
                sum: rows(channels),
                head: rows(next),
                dx: rows(channels),
                dz: rows(channels),
                da: rows(a_channels),
                dsum: rows(channels),
            }
        });
        Self {
            arrays: arrays.collect(),
            layout: shape.layout(),
            shape: shape.clone(),
            level,
            input: PlanarBuffer::new(1, frames, 0),
            output_gradient: PlanarBuffer::new(1, frames, 0),
        }
    }

    /// Frames of a sequence. [any thread]
    #[must_use]
    pub fn frames(&self) -> usize {
        self.input.frames()
    }

    /// Output of the last [`Self::forward`], `[frames]`; only valid at and after the frame [`Convolutional::reach`]. [any thread]
    ///
    /// # Panics
    /// If the network has no array.
    #[must_use]
    pub fn output(&self) -> &[f32] {
        self.arrays.last().expect("an array").head.channel(0)
    }

    /// The forward pass over `input`, `[frames]`. [training thread]
    ///
    /// # Panics
    /// If a length is wrong.
    pub fn forward(&mut self, parameters: &[f32], input: &[f32]) {
        assert_eq!(parameters.len(), self.shape.parameter_count(), "parameters");
        self.input.channel_mut(0).copy_from_slice(input);
        let (level, layout) = (self.level, &self.layout);
        let convolve = |conv: &ConvLayout, input: &PlanarBuffer, output: &mut PlanarBuffer| {
            let weights = &parameters[conv.weights..conv.weights + conv.shape.weight_count()];
            level.run(Convolve { shape: conv.shape, weights, input, output });
        };
        let bias = |conv: &ConvLayout, output: &mut PlanarBuffer| {
            for channel in 0..output.channels() {
                output.channel_mut(channel).fill(conv.bias.map_or(0.0, |at| parameters[at + channel]));
            }
        };
        for (index, array_layout) in layout.iter().enumerate() {
            let (before, rest) = self.arrays.split_at_mut(index);
            let before = before.last();
            let array = &mut rest[0];
            let first = array.layers.first_mut().map_or(&mut array.last, |l| &mut l.x);
            first.fill(0.0);
            convolve(&array_layout.rechannel, before.map_or(&self.input, |b| &b.last), first);
            array.sum.fill(0.0);
            if let Some(before) = before {
                array.sum.add(&before.head);
            }
            for (l, layout) in array_layout.layers.iter().enumerate() {
                let (done, later) = array.layers.split_at_mut(l + 1);
                let layer = &mut done[l];
                let next = later.first_mut().map_or(&mut array.last, |n| &mut n.x);
                bias(&layout.conv, &mut layer.activated);
                convolve(&layout.conv, &layer.x, &mut layer.activated);
                convolve(&layout.mixin, &self.input, &mut layer.activated);
                level.run(Activate { activated: &mut layer.activated, gated: layer.gated.as_mut() });
                array.sum.add(layer.z());
                bias(&layout.layer1x1, next);
                next.add(&layer.x);
                convolve(&layout.layer1x1, layer.z(), next);
            }
            bias(&array_layout.head, &mut array.head);
            convolve(&array_layout.head, &array.sum, &mut array.head);
        }
    }

    /// The backward pass of the last [`Self::forward`] with the same parameters: adds to `gradient` the derivatives for the
    /// parameters of a loss whose derivatives with respect to the output are `output_gradient`, `[frames]`. [training thread]
    ///
    /// # Panics
    /// If a length is wrong.
    pub fn backward(&mut self, parameters: &[f32], output_gradient: &[f32], gradient: &mut [f32]) {
        let count = self.shape.parameter_count();
        assert_eq!((parameters.len(), gradient.len()), (count, count), "parameters");
        self.output_gradient.channel_mut(0).copy_from_slice(output_gradient);
        let level = self.level;
        let back = |conv: &ConvLayout, output_gradient: &PlanarBuffer, input_gradient: &mut PlanarBuffer| {
            let weights = &parameters[conv.weights..conv.weights + conv.shape.weight_count()];
            level.run(InputGradient { shape: conv.shape, weights, output_gradient, input_gradient });
        };
        let mut collect = |conv: &ConvLayout, input: &PlanarBuffer, output_gradient: &PlanarBuffer| {
            let conv_gradient = &mut gradient[conv.weights..conv.end()];
            let (weights, bias) = conv_gradient.split_at_mut(conv.shape.weight_count());
            level.run(WeightGradient { shape: conv.shape, input, output_gradient, gradient: weights });
            for (channel, sum) in bias.iter_mut().enumerate() {
                *sum += sum_of(output_gradient.channel(channel));
            }
        };
        for index in (0..self.arrays.len()).rev() {
            let array_layout = &self.layout[index];
            let (until, after) = self.arrays.split_at_mut(index + 1);
            let (before, array) = until.split_at_mut(index);
            let (before, array) = (before.last(), &mut array[0]);
            array.dsum.fill(0.0);
            array.dx.fill(0.0);
            let dhead = match after.first_mut() {
                None => &self.output_gradient,
                Some(next) => {
                    back(&self.layout[index + 1].rechannel, &next.dx, &mut array.dx);
                    &next.dsum
                }
            };
            collect(&array_layout.head, &array.sum, dhead);
            back(&array_layout.head, dhead, &mut array.dsum);
            for (layer, layout) in array.layers.iter().zip(&array_layout.layers).rev() {
                collect(&layout.layer1x1, layer.z(), &array.dx);
                array.dz.fill(0.0);
                array.dz.add(&array.dsum);
                back(&layout.layer1x1, &array.dx, &mut array.dz);
                level.run(ActivationGradient { activated: &layer.activated, dz: &array.dz, da: &mut array.da });
                collect(&layout.conv, &layer.x, &array.da);
                collect(&layout.mixin, &self.input, &array.da);
                back(&layout.conv, &array.da, &mut array.dx);
            }
            collect(&array_layout.rechannel, before.map_or(&self.input, |b| &b.last), &array.dx);
        }
    }
}

/// Sum of the values, computed as eight partial sums, which round less than a single one and can be computed at the same time.
fn sum_of(values: &[f32]) -> f32 {
    let mut sums = [0.0f32; 8];
    for part in values.chunks(8) {
        sums.iter_mut().zip(part).for_each(|(sum, x)| *sum += x);
    }
    sums.iter().sum()
}

/// The activation in place: tanh; for a gated layer tanh of the first half of the channels, sigmoid of the second, and their
/// product.
struct Activate<'a> {
    activated: &'a mut PlanarBuffer,
    gated: Option<&'a mut PlanarBuffer>,
}

impl Kernel for Activate<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { activated, gated } = self;
        let channels = gated.as_ref().map_or(activated.channels(), |g| g.channels());
        for channel in 0..activated.channels() {
            for part in activated.channel_mut(channel).chunks_exact_mut(S::LANES) {
                // SAFETY: `part` has as many values as a vector has lanes.
                unsafe {
                    let x = s.load(part.as_ptr());
                    s.store(part.as_mut_ptr(), if channel < channels { tanh(s, x) } else { sigmoid(s, x) });
                }
            }
        }
        if let Some(gated) = gated {
            for channel in 0..channels {
                let both = activated.channel(channel).iter().zip(activated.channel(channels + channel));
                gated.channel_mut(channel).iter_mut().zip(both).for_each(|(z, (t, g))| *z = t * g);
            }
        }
    }
}

/// Returns the derivatives `da` before the activation, from `dz`, those after it.
struct ActivationGradient<'a> {
    activated: &'a PlanarBuffer,
    dz: &'a PlanarBuffer,
    da: &'a mut PlanarBuffer,
}

impl Kernel for ActivationGradient<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Self { activated, dz, da } = self;
        let channels = dz.channels();
        for channel in 0..channels {
            let (d, t) = (dz.channel(channel), activated.channel(channel));
            if activated.channels() == channels {
                da.channel_mut(channel).iter_mut().zip(d.iter().zip(t)).for_each(|(a, (d, t))| *a = d * (1.0 - t * t));
            } else {
                let g = activated.channel(channels + channel);
                let tanh_half = da.channel_mut(channel).iter_mut().zip(d.iter().zip(t.iter().zip(g)));
                tanh_half.for_each(|(a, (d, (t, g)))| *a = d * g * (1.0 - t * t));
                let sigmoid_half = da.channel_mut(channels + channel).iter_mut().zip(d.iter().zip(t.iter().zip(g)));
                sigmoid_half.for_each(|(a, (d, (t, g)))| *a = d * t * g * (1.0 - g));
            }
        }
    }
}
