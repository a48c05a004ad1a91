//! [`ThreadedState`]: the state of a network that runs on a thread of its own, the inference thread. In real time the audio
//! thread never waits for it.
//!
//! Sound is sent in *inference blocks*, each of a fixed number of frames, counted from `reset`, and the results are played a
//! fixed time later, the latency. It has two parts: an inference block must have come in completely, and then the inference
//! thread has the time of another inference block to process it. (If the host's longest block is longer than an inference block,
//! it has the time of that block instead, since all inference blocks that end in a block of the host are sent at once.) If a
//! result is late, the dry sound is played instead, and the result is dropped when it comes.
//!
//! Except in an offline render the audio thread does not wait: inference blocks travel through two rings, and waking the
//! inference thread (`unpark`) is an atomic exchange and, if that thread sleeps, a system call that returns at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rtrb::{Consumer, Producer, RingBuffer};

use crate::dsp::{Block, Delay};
use crate::neural::engine::NetworkState;

/// Frames of the fade from one source of the output (network or dry sound) to the other: 2.7 ms at 48 kHz.
const FADE_FRAMES: usize = 128;
/// Late inference blocks that the inference thread still processes after a stall. If more are late, new ones are not sent.
const BACKLOG_BLOCKS: usize = 8;
/// Time that an offline render sleeps before it looks again for a result.
const RENDER_POLL: Duration = Duration::from_micros(50);

/// A network that processes one inference block after the other.
pub trait BlockProcessor {
    /// Processes an inference block in place, one channel after the other. `knobs` has one value for each knob. Returns false if
    /// it failed; then `settle` is called before the next inference block. [inference thread]
    fn run(&mut self, audio: &mut [f32], knobs: &[f32]) -> bool;
    /// Goes to the state settled at these values of the knobs, those of the next inference block. [inference thread]
    fn settle(&mut self, knobs: &[f32]);
}

/// The sizes for which a [`ThreadedState`] is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dimensions {
    pub channels: usize,
    pub knobs: usize,
    /// Frames of an inference block.
    pub block_frames: usize,
    /// Frames of the host's longest block.
    pub max_frames: usize,
}

impl Dimensions {
    /// Frames by which the output lags the input, as the module's documentation explains.
    fn latency(&self) -> usize {
        self.block_frames + self.block_frames.max(self.max_frames)
    }
}

/// Sound on its way to the inference thread and back.
struct InferenceBlock {
    /// Count of resets before the inference block.
    generation: u64,
    /// Count of inference blocks between the last reset and this one.
    index: u64,
    /// Samples, `[channels][block_frames]`: input on the way to the inference thread, output on the way back.
    audio: Vec<f32>,
    /// Values of the knobs at the first frame.
    knobs: Vec<f32>,
    /// True if the network has processed the inference block.
    is_done: bool,
}

/// Values that both threads read.
#[derive(Default)]
struct SharedFlags {
    /// True if the inference thread shall end.
    stop: AtomicBool,
    /// Count of resets. Inference blocks of earlier generations are not processed any more.
    generation: AtomicU64,
    /// Count of inference blocks that were not ready in time.
    underruns: AtomicU64,
}

/// The audio thread's end: sends the input in inference blocks and plays the results, or the dry sound if a result is late.
pub struct ThreadedState {
    dimensions: Dimensions,
    shared: Arc<SharedFlags>,
    /// Ends the network's current run.
    stop_run: Box<dyn Fn() + Send>,
    thread: Option<JoinHandle<()>>,
    /// The ring to the inference thread.
    outgoing: Producer<InferenceBlock>,
    /// The ring from the inference thread.
    incoming: Consumer<InferenceBlock>,
    free_blocks: Vec<InferenceBlock>,
    /// Count of all inference blocks, wherever they are.
    block_count: usize,
    /// True if the audio thread may wait for results.
    offline: bool,
    /// Count of resets.
    generation: u64,
    /// The inference block that is filled with input; `None` if none was free when it began.
    input_block: Option<InferenceBlock>,
    /// Frames of `input_block` that have come in.
    input_frames: usize,
    /// Index of the inference block that is filled.
    next_index: u64,
    /// The inference block that is played; `None` while the dry sound is played instead.
    output_block: Option<InferenceBlock>,
    /// Frames of `output_block` that have been played.
    output_frames: usize,
    /// Index of the inference block that is to be played next.
    due_index: u64,
    /// Silent frames before the first inference block is played.
    lead_frames: usize,
    /// The delay of each channel's dry sound by the latency.
    dry: Vec<Delay>,
    /// True if the last frame of output was the network's, false if it was dry.
    last_was_wet: bool,
    /// The last output sample of each channel.
    last_output: Vec<f32>,
    /// The step of each channel at the last change of the source, which is faded out.
    step: Vec<f32>,
    /// True if the source changes with the next frame, so that `step` must be set.
    step_begins: bool,
    /// Frames of the current fade that are left.
    fade_frames_left: usize,
    /// Bytes on the heap.
    bytes: usize,
}

impl ThreadedState {
    /// Starts the inference thread. `open` is called on that thread and makes the processor; `stop_run` ends a run of it;
    /// `bytes` are the processor's on the heap. [control thread: allocates, waits for `open`]
    ///
    /// # Errors
    /// The error of `open`, or if it takes longer than `timeout`, or if the system gives no thread.
    pub fn open<P: BlockProcessor + 'static>(
        dimensions: Dimensions,
        bytes: usize,
        timeout: Duration,
        stop_run: impl Fn() + Send + 'static,
        open: impl FnOnce() -> Result<P, String> + Send + 'static,
    ) -> Result<Self, String> {
        let Dimensions { channels, knobs, block_frames, .. } = dimensions;
        let latency = dimensions.latency();
        // Inference blocks that wait to be played, one that is filled, one that is played, and those that may be late.
        let block_count = latency.div_ceil(block_frames) + 2 + BACKLOG_BLOCKS;
        let (outgoing, tasks) = RingBuffer::new(block_count);
        let (results, incoming) = RingBuffer::new(block_count);
        let shared = Arc::new(SharedFlags::default());
        let (ready, ready_receiver) = std::sync::mpsc::channel();
        let shared_of_thread = shared.clone();
        let thread = std::thread::Builder::new().name("isotherm-inference".into()).spawn(move || match open() {
            Ok(processor) => {
                let _ = ready.send(Ok(()));
                infer(processor, &shared_of_thread, tasks, results);
            }
            Err(error) => {
                let _ = ready.send(Err(error));
            }
        });
        let thread = thread.map_err(|e| format!("the system gives no thread for inference: {e}"))?;
        // A thread that is not ready is not joined. It ends by itself, since the other ends of its rings are dropped.
        ready_receiver.recv_timeout(timeout).map_err(|_| {
            stop_run();
            format!("the model was not ready after {} s", timeout.as_secs())
        })??;
        let new = || InferenceBlock {
            generation: 0,
            index: 0,
            audio: vec![0.0; channels * block_frames],
            knobs: vec![0.0; knobs],
            is_done: false,
        };
        let buffers = channels * (block_count * block_frames + latency + 2) * size_of::<f32>();
        Ok(Self {
            dimensions,
            shared,
            stop_run: Box::new(stop_run),
            thread: Some(thread),
            outgoing,
            incoming,
            free_blocks: (0..block_count).map(|_| new()).collect(),
            block_count,
            offline: false,
            generation: 0,
            input_block: None,
            input_frames: 0,
            next_index: 0,
            output_block: None,
            output_frames: 0,
            due_index: 0,
            lead_frames: latency,
            dry: (0..channels).map(|_| Delay::new(latency)).collect(),
            last_was_wet: true,
            last_output: vec![0.0; channels],
            step: vec![0.0; channels],
            step_begins: false,
            fade_frames_left: 0,
            bytes: bytes + buffers,
        })
    }

    /// Takes back inference blocks that are late or of an earlier generation. [audio thread]
    fn recycle(&mut self) {
        while self.incoming.peek().is_ok_and(|block| block.generation != self.generation || block.index < self.due_index) {
            self.free_blocks.extend(self.incoming.pop().ok());
        }
    }

    /// True if no inference block can come back any more. [audio thread]
    fn is_idle(&self) -> bool {
        let here = self.free_blocks.len() + usize::from(self.input_block.is_some()) + usize::from(self.output_block.is_some());
        here == self.block_count || self.incoming.is_abandoned()
    }

    /// Takes a free inference block for the input, starting at frame `at` of the host's block. [audio thread]
    fn begin_inference_block(&mut self, knobs: &[&[f32]], at: usize) {
        self.recycle();
        while self.offline && self.free_blocks.is_empty() && !self.is_idle() {
            std::thread::sleep(RENDER_POLL);
            self.recycle();
        }
        self.input_block = self.free_blocks.pop();
        if let Some(inference_block) = &mut self.input_block {
            inference_block.generation = self.generation;
            inference_block.index = self.next_index;
            inference_block.is_done = false;
            for (to, from) in inference_block.knobs.iter_mut().zip(knobs) {
                *to = from[at];
            }
        }
    }

    /// Sends the complete input block to the inference thread. [audio thread]
    fn send_inference_block(&mut self) {
        self.input_frames = 0;
        self.next_index += 1;
        if let Some(inference_block) = self.input_block.take() {
            // The ring has room for every inference block.
            if let Err(rtrb::PushError::Full(inference_block)) = self.outgoing.push(inference_block) {
                self.free_blocks.push(inference_block);
            }
            if let Some(thread) = &self.thread {
                thread.thread().unpark();
            }
        }
    }

    /// Takes the inference block that is due for playing. If it is not there, that is an underrun, and the dry sound is played.
    /// [audio thread]
    fn fetch_inference_block(&mut self) {
        self.free_blocks.extend(self.output_block.take());
        self.recycle();
        while self.offline && self.incoming.is_empty() && !self.is_idle() {
            std::thread::sleep(RENDER_POLL);
            self.recycle();
        }
        if self.incoming.peek().is_ok_and(|block| block.index == self.due_index && block.is_done) {
            self.output_block = self.incoming.pop().ok();
        } else {
            self.shared.underruns.fetch_add(1, Ordering::Relaxed);
        }
        self.due_index += 1;
        if self.last_was_wet != self.output_block.is_some() {
            self.last_was_wet = !self.last_was_wet;
            self.step_begins = true;
        }
    }

    /// Fades the step at the change from one source of the output to the other, in `n` frames that start at `at`. [audio thread]
    fn fade_step(&mut self, block: &mut Block<'_>, at: usize, n: usize) {
        if self.step_begins {
            for ((step, last), channel) in self.step.iter_mut().zip(&self.last_output).zip(&*block) {
                *step = last - channel[at];
            }
            self.step_begins = false;
            self.fade_frames_left = FADE_FRAMES;
        }
        let fading = self.fade_frames_left.min(n);
        for ((step, last), channel) in self.step.iter().zip(&mut self.last_output).zip(&mut *block) {
            for (i, x) in channel[at..at + fading].iter_mut().enumerate() {
                let left = (self.fade_frames_left - i) as f32 / FADE_FRAMES as f32;
                *x += step * left * left * (3.0 - 2.0 * left);
            }
            *last = channel[at + n - 1];
        }
        self.fade_frames_left -= fading;
    }
}

impl NetworkState for ThreadedState {
    fn process(&mut self, block: &mut Block<'_>, knobs: &[&[f32]]) {
        let block_frames = self.dimensions.block_frames;
        let frames = block.first().map_or(0, |c| c.len());
        let mut at = 0;
        while at < frames {
            if self.input_frames == 0 {
                self.begin_inference_block(knobs, at);
            }
            if self.lead_frames == 0 && self.output_frames == 0 {
                self.fetch_inference_block();
            }
            let left = if self.lead_frames > 0 { self.lead_frames } else { block_frames - self.output_frames };
            let n = (frames - at).min(block_frames - self.input_frames).min(left);
            for (c, (channel, dry)) in block.iter_mut().zip(&mut self.dry).enumerate() {
                let samples = &mut channel[at..at + n];
                if let Some(filling) = &mut self.input_block {
                    filling.audio[c * block_frames + self.input_frames..][..n].copy_from_slice(samples);
                }
                dry.process(samples);
                if let Some(playing) = &self.output_block {
                    samples.copy_from_slice(&playing.audio[c * block_frames + self.output_frames..][..n]);
                }
            }
            self.fade_step(block, at, n);
            if self.lead_frames > 0 {
                self.lead_frames -= n;
            } else {
                self.output_frames = (self.output_frames + n) % block_frames;
            }
            self.input_frames += n;
            if self.input_frames == block_frames {
                self.send_inference_block();
            }
            at += n;
        }
    }

    /// The inference thread settles the network when the first inference block comes, which has the knobs. Its output for silence
    /// is not known here.
    fn settle(&mut self, _: &[f32]) -> f32 {
        self.reset();
        0.0
    }

    fn reset(&mut self) {
        self.generation += 1;
        self.shared.generation.store(self.generation, Ordering::Release);
        self.free_blocks.extend(self.input_block.take());
        self.free_blocks.extend(self.output_block.take());
        (self.input_frames, self.next_index, self.output_frames, self.due_index) = (0, 0, 0, 0);
        self.lead_frames = self.dimensions.latency();
        self.dry.iter_mut().for_each(Delay::reset);
        self.last_was_wet = true;
        self.last_output.fill(0.0);
        self.step_begins = false;
        self.fade_frames_left = 0;
    }

    /// Always false: ONNX Runtime does not tell whether a graph rests.
    fn rests(&self) -> bool {
        false
    }

    fn latency(&self) -> usize {
        self.dimensions.latency()
    }

    fn set_offline(&mut self, offline: bool) {
        self.offline = offline;
    }

    fn underruns(&self) -> u64 {
        self.shared.underruns.load(Ordering::Relaxed)
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for ThreadedState {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        (self.stop_run)();
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic of the thread has been reported by the panic hook.
            let _ = thread.join();
        }
    }
}

/// Processes inference block after inference block until the other end is dropped. [inference thread]
fn infer(
    mut processor: impl BlockProcessor,
    shared: &SharedFlags,
    mut tasks: Consumer<InferenceBlock>,
    mut results: Producer<InferenceBlock>,
) {
    let mut generation = None;
    while !shared.stop.load(Ordering::Acquire) && !results.is_abandoned() {
        let Ok(mut inference_block) = tasks.pop() else {
            std::thread::park();
            continue;
        };
        // The output of inference blocks from before a reset is not needed any more.
        if inference_block.generation == shared.generation.load(Ordering::Acquire) {
            if generation != Some(inference_block.generation) {
                generation = Some(inference_block.generation);
                processor.settle(&inference_block.knobs);
            }
            inference_block.is_done = processor.run(&mut inference_block.audio, &inference_block.knobs);
            if !inference_block.is_done {
                processor.settle(&inference_block.knobs);
            }
        }
        // The ring has room for every inference block.
        let _ = results.push(inference_block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Condvar, Mutex};

    /// Lets a number of runs pass; further ones wait.
    #[derive(Default)]
    struct Gate(Mutex<usize>, Condvar);

    impl Gate {
        const OPEN: usize = usize::MAX;

        fn allow(&self, runs: usize) {
            let mut left = self.0.lock().unwrap();
            *left = left.saturating_add(runs);
            self.1.notify_all();
        }

        fn pass(&self) {
            let mut left = self.1.wait_while(self.0.lock().unwrap(), |left| *left == 0).unwrap();
            *left -= usize::from(*left != Self::OPEN);
        }
    }

    /// The filter y(t) = knob x(t) + y(t - 1) / 2, which fails for every inference block that begins with a sample above 100.
    struct Filter {
        gate: Arc<Gate>,
        last: Vec<f32>,
    }

    impl BlockProcessor for Filter {
        fn run(&mut self, audio: &mut [f32], knobs: &[f32]) -> bool {
            self.gate.pass();
            let frames = audio.len() / self.last.len();
            for (channel, last) in audio.chunks_exact_mut(frames).zip(&mut self.last) {
                if channel[0] > 100.0 {
                    return false;
                }
                for x in channel {
                    *x = knobs[0] * *x + 0.5 * *last;
                    *last = *x;
                }
            }
            true
        }

        fn settle(&mut self, _: &[f32]) {
            self.last.fill(0.0);
        }
    }

    const CHANNELS: usize = 2;

    fn state(block_frames: usize, max_frames: usize) -> (ThreadedState, Arc<Gate>) {
        let gate = Arc::new(Gate::default());
        let (gate_of_thread, stop) = (gate.clone(), gate.clone());
        let dimensions = Dimensions { channels: CHANNELS, knobs: 1, block_frames, max_frames };
        let open = || Ok(Filter { gate: gate_of_thread, last: vec![0.0; CHANNELS] });
        (ThreadedState::open(dimensions, 0, Duration::from_secs(10), move || stop.allow(Gate::OPEN), open).unwrap(), gate)
    }

    fn input(frames: usize) -> Vec<Vec<f32>> {
        (0..CHANNELS).map(|c| (0..frames).map(|i| ((i * (c + 3)) as f32 * 0.037).sin()).collect()).collect()
    }

    fn play(state: &mut ThreadedState, sound: &mut [Vec<f32>], from: usize, to: usize, cuts: &[usize]) {
        let mut cuts = cuts.iter().cycle();
        let mut at = from;
        while at < to {
            let n = (*cuts.next().unwrap()).min(to - at);
            let knob = vec![0.7; n];
            let mut block: Vec<&mut [f32]> = sound.iter_mut().map(|c| &mut c[at..at + n]).collect();
            state.process(&mut block, &[&knob]);
            at += n;
        }
    }

    /// Waits until all inference blocks that were sent are back, except for this many.
    fn wait_for_results(state: &ThreadedState, held_back: usize) {
        let here = state.free_blocks.len() + usize::from(state.input_block.is_some()) + usize::from(state.output_block.is_some());
        while state.incoming.slots() + here + held_back != state.block_count {
            std::thread::yield_now();
        }
    }

    fn delayed(sound: &[Vec<f32>], by: usize) -> Vec<Vec<f32>> {
        sound.iter().map(|c| [vec![0.0; by], c[..c.len() - by].to_vec()].concat()).collect()
    }

    fn expected(sound: &[Vec<f32>], latency: usize) -> Vec<Vec<f32>> {
        let filter = |x: &Vec<f32>| {
            let mut y = 0.0;
            x.iter()
                .map(|x| {
                    y = 0.7 * x + 0.5 * y;
                    y
                })
                .collect()
        };
        delayed(&sound.iter().map(filter).collect::<Vec<_>>(), latency)
    }

    #[test]
    fn an_offline_render_is_the_network_delayed_by_the_latency_for_any_block_sizes() {
        for (block_frames, max_frames, latency) in [(64, 1, 128), (64, 64, 128), (64, 333, 397), (100, 64, 200), (1, 5, 6)] {
            for cuts in [&[1][..], &[64], &[333], &[1, 7, 64, 0, 200]] {
                let (mut state, gate) = state(block_frames, max_frames);
                gate.allow(Gate::OPEN);
                state.set_offline(true);
                assert_eq!(state.latency(), latency);
                let mut sound = input(3000);
                let expected = expected(&sound, latency);
                play(&mut state, &mut sound, 0, 3000, cuts);
                assert!(sound == expected, "inference blocks of {block_frames}, blocks of up to {max_frames}, cuts {cuts:?}");
                assert_eq!(state.underruns(), 0);
            }
        }
    }

    #[test]
    fn a_result_may_take_as_long_as_the_longest_block() {
        for (block_frames, host_frames) in [(64, 64), (64, 128), (64, 333), (100, 32)] {
            let (mut state, gate) = state(block_frames, host_frames);
            gate.allow(Gate::OPEN);
            let mut sound = input(host_frames * 40);
            let expected = expected(&sound, state.latency());
            for at in (0..host_frames * 40).step_by(host_frames) {
                play(&mut state, &mut sound, at, at + host_frames, &[host_frames]);
                // The results of all inference blocks that were complete at the end of this block are there when the next one
                // begins.
                wait_for_results(&state, 0);
            }
            assert_eq!(state.underruns(), 0, "inference blocks of {block_frames}, host blocks of {host_frames}");
            assert!(sound == expected, "inference blocks of {block_frames}, host blocks of {host_frames}");
        }
    }

    #[test]
    fn an_underrun_plays_the_dry_sound_and_is_counted_and_the_network_returns() {
        let block_frames = 256;
        let (mut state, gate) = state(block_frames, block_frames);
        let latency = state.latency();
        let (mut sound, frames) = (input(block_frames * 12), block_frames * 12);
        let (dry, wet) = (delayed(&sound, latency), expected(&sound, latency));
        // The third to fifth inference block are held back until the third and fourth have missed their time; then all of them
        // run.
        for k in 0..frames / block_frames {
            play(&mut state, &mut sound, k * block_frames, (k + 1) * block_frames, &[64]);
            let held_back = match k {
                2..=4 => k - 1,
                _ => 0,
            };
            gate.allow(match k {
                2..=4 => 0,
                5 => 4,
                _ => 1,
            });
            wait_for_results(&state, held_back);
        }
        // The third inference block is played `latency` frames after its beginning.
        assert_eq!(state.underruns(), 2);
        let (late, again) = (2 * block_frames + latency, 4 * block_frames + latency);
        for c in 0..CHANNELS {
            assert_eq!(sound[c][..late], wet[c][..late], "before");
            assert_eq!(sound[c][late + FADE_FRAMES..again], dry[c][late + FADE_FRAMES..again], "the gap");
            assert_eq!(sound[c][again + FADE_FRAMES..], wet[c][again + FADE_FRAMES..], "after");
            let steps = |x: &[f32]| x.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max);
            let bound = steps(&wet[c]).max(steps(&dry[c])) + 4.0 * 1.5 / FADE_FRAMES as f32;
            assert!(steps(&sound[c]) < bound, "no click: {} of {bound}", steps(&sound[c]));
        }
    }

    #[test]
    fn a_run_that_fails_is_an_underrun_and_the_network_is_settled_again() {
        let block_frames = 256;
        let (mut state, gate) = state(block_frames, 1);
        gate.allow(Gate::OPEN);
        state.set_offline(true);
        let mut sound = input(block_frames * 8);
        sound[0][block_frames] = 200.0;
        let mut tail: Vec<Vec<f32>> = sound.iter().map(|c| c[2 * block_frames..].to_vec()).collect();
        tail = expected(&tail, 0);
        play(&mut state, &mut sound, 0, block_frames * 8, &[64]);
        assert_eq!(state.underruns(), 1);
        let from = 2 * block_frames + state.latency() + FADE_FRAMES;
        for c in 0..CHANNELS {
            let tail = &tail[c][FADE_FRAMES..];
            assert_eq!(sound[c][from..], tail[..sound[c].len() - from]);
        }
    }

    #[test]
    fn reset_is_exact_with_inference_blocks_on_their_way() {
        let (mut state, gate) = state(64, 64);
        let mut first = input(1000);
        // No run may pass, so all inference blocks are on their way or were late.
        play(&mut state, &mut first, 0, 1000, &[64]);
        let missed = state.underruns();
        assert!(missed > 0);
        state.reset();
        state.set_offline(true);
        gate.allow(Gate::OPEN);
        let mut second = input(1000);
        let expected = expected(&second, state.latency());
        play(&mut state, &mut second, 0, 1000, &[50]);
        assert!(second == expected);
        assert_eq!(state.underruns(), missed);
    }

    #[test]
    fn after_a_long_stall_the_output_is_on_time_again() {
        let block_frames = 64;
        let (mut state, gate) = state(block_frames, block_frames);
        let mut sound = input(block_frames * 100);
        play(&mut state, &mut sound, 0, block_frames * 60, &[block_frames]);
        assert_eq!(state.underruns() as usize, 60 - state.latency() / block_frames);
        gate.allow(Gate::OPEN);
        state.set_offline(true);
        play(&mut state, &mut sound, block_frames * 60, block_frames * 100, &[block_frames]);
        // The filter halves its memory with every sample, so the inference blocks that it did not get make no difference any
        // more.
        let expected = expected(&input(block_frames * 100), state.latency());
        for (sound, expected) in sound.iter().zip(&expected) {
            for (x, y) in sound[block_frames * 70..].iter().zip(&expected[block_frames * 70..]) {
                assert!((x - y).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn dropping_the_state_ends_the_thread_even_inside_a_run() {
        let (mut state, gate) = state(64, 64);
        let mut sound = input(64);
        play(&mut state, &mut sound, 0, 64, &[64]);
        drop(state);
        assert_eq!(Arc::strong_count(&gate), 1, "nobody else holds it: the thread is gone");
    }

    #[test]
    fn a_network_that_cannot_be_opened_in_time_is_an_error() {
        let dimensions = Dimensions { channels: 1, knobs: 0, block_frames: 64, max_frames: 64 };
        let (release, blocked) = std::sync::mpsc::channel::<()>();
        let open = move || {
            let _ = blocked.recv();
            Err::<Filter, _>("no".into())
        };
        let error = ThreadedState::open(dimensions, 0, Duration::from_millis(20), || (), open).err().unwrap();
        assert!(error.contains("not ready"), "{error}");
        drop(release);
        let error = ThreadedState::open(dimensions, 0, Duration::from_secs(10), || (), || Err::<Filter, _>("broken".into()))
            .err()
            .unwrap();
        assert_eq!(error, "broken");
    }
}
