//! A network on a thread of its own, heard without a wait.
//!
//! Sound goes there in chunks, on a grid that is counted from the reset, and comes back a fixed time later: the chunk itself must
//! have come in whole, and then there is the time of another chunk, or of the host's longest block if that is longer, since all
//! chunks that end inside one block are sent while nothing of it is heard yet. So every result has as long as the sound that is its
//! own takes to play. What is late then is heard dry, and dropped when it comes.
//!
//! The audio thread waits for nobody: chunks travel through two rings, and waking the other thread (`unpark`) is an atomic
//! exchange and, if it sleeps, a call to the system that returns at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rtrb::{Consumer, Producer, RingBuffer};

use crate::dsp::{Block, Delay};
use crate::neural::engine::Voices;

/// Frames over which the step between two sources of sound goes to nothing: 2.7 ms at 48 kHz.
const FADE: usize = 128;
/// Chunks that the thread may be behind before the next ones are not sent: after a stall of that length it catches up.
const BACKLOG: usize = 8;
/// How long a render sleeps before it looks for a result again.
const NAP: Duration = Duration::from_micros(50);

/// What is done to a chunk.
pub trait Work {
    /// In place, one channel behind the other. `false` if it failed: the next chunk comes after a `settle`. [inference thread]
    fn run(&mut self, audio: &mut [f32], knobs: &[f32]) -> bool;
    /// Back to the state at the start, prewarmed with the knobs where the next chunk has them. [inference thread]
    fn settle(&mut self, knobs: &[f32]);
}

/// Lengths of what runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lengths {
    pub channels: usize,
    pub knobs: usize,
    /// Frames that are run at a time.
    pub chunk: usize,
    /// The longest stretch that the host hands over, in frames.
    pub max_frames: usize,
}

impl Lengths {
    /// Frames by which the output lags the input; the module says why.
    fn latency(&self) -> usize {
        self.chunk + self.chunk.max(self.max_frames)
    }
}

/// A chunk on its way.
struct Chunk {
    /// Resets before it.
    generation: u64,
    /// Chunks since the reset before it.
    index: u64,
    /// `[channels][chunk]`
    audio: Vec<f32>,
    knobs: Vec<f32>,
    /// Whether it was run.
    done: bool,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    generation: AtomicU64,
    misses: AtomicU64,
}

/// The side of the audio thread.
pub struct Threaded {
    lengths: Lengths,
    shared: Arc<Shared>,
    /// Ends the run at hand.
    stop: Box<dyn Fn() + Send>,
    thread: Option<JoinHandle<()>>,
    outgoing: Producer<Chunk>,
    incoming: Consumer<Chunk>,
    free: Vec<Chunk>,
    /// All chunks that there are.
    chunks: usize,
    offline: bool,
    generation: u64,
    /// The chunk that comes in, if one was free when it began.
    filling: Option<Chunk>,
    filled: usize,
    next: u64,
    /// The chunk that goes out; without one it is the dry sound.
    playing: Option<Chunk>,
    played: usize,
    due: u64,
    /// Frames until the first chunk goes out.
    lead: usize,
    dry: Vec<Delay>,
    /// Whether the last frame was the network's.
    wet: bool,
    /// Of each channel: the last frame that went out, and the step to be faded.
    last: Vec<f32>,
    step: Vec<f32>,
    step_begins: bool,
    fading: usize,
    bytes: usize,
}

impl Threaded {
    /// `work` is called on the new thread and makes what runs there; `stop` ends a run of it from outside; `bytes` are on the heap
    /// beyond what this allocates itself. [control thread: allocates, waits for `work`]
    ///
    /// # Errors
    /// Those of `work`, or if it takes longer than `patience`, or if the system gives no thread.
    pub fn open<W: Work + 'static>(
        lengths: Lengths,
        bytes: usize,
        patience: Duration,
        stop: impl Fn() + Send + 'static,
        work: impl FnOnce() -> Result<W, String> + Send + 'static,
    ) -> Result<Self, String> {
        let Lengths { channels, knobs, chunk, .. } = lengths;
        let latency = lengths.latency();
        // What waits to be heard, one on each side, and what may be late.
        let chunks = latency.div_ceil(chunk) + 2 + BACKLOG;
        let (outgoing, tasks) = RingBuffer::new(chunks);
        let (results, incoming) = RingBuffer::new(chunks);
        let shared = Arc::new(Shared::default());
        let (ready, is_ready) = std::sync::mpsc::channel();
        let theirs = shared.clone();
        let thread = std::thread::Builder::new().name("isotherm-inference".into()).spawn(move || match work() {
            Ok(work) => {
                let _ = ready.send(Ok(()));
                infer(work, &theirs, tasks, results);
            }
            Err(error) => {
                let _ = ready.send(Err(error));
            }
        });
        let thread = thread.map_err(|e| format!("the system gives no thread for inference: {e}"))?;
        // A thread that is not ready is left to itself: it ends when it finds nobody at the other end.
        is_ready.recv_timeout(patience).map_err(|_| {
            stop();
            format!("the model was not ready after {} s", patience.as_secs())
        })??;
        let new = || Chunk { generation: 0, index: 0, audio: vec![0.0; channels * chunk], knobs: vec![0.0; knobs], done: false };
        let buffers = channels * (chunks * chunk + latency + 2) * size_of::<f32>();
        Ok(Self {
            lengths,
            shared,
            stop: Box::new(stop),
            thread: Some(thread),
            outgoing,
            incoming,
            free: (0..chunks).map(|_| new()).collect(),
            chunks,
            offline: false,
            generation: 0,
            filling: None,
            filled: 0,
            next: 0,
            playing: None,
            played: 0,
            due: 0,
            lead: latency,
            dry: (0..channels).map(|_| Delay::new(latency)).collect(),
            wet: true,
            last: vec![0.0; channels],
            step: vec![0.0; channels],
            step_begins: false,
            fading: 0,
            bytes: bytes + buffers,
        })
    }

    /// Frees what came back of an older time or too late. [audio thread]
    fn recycle(&mut self) {
        while self.incoming.peek().is_ok_and(|chunk| chunk.generation != self.generation || chunk.index < self.due) {
            self.free.extend(self.incoming.pop().ok());
        }
    }

    /// Whether nothing more can come back. [audio thread]
    fn is_idle(&self) -> bool {
        let here = self.free.len() + usize::from(self.filling.is_some()) + usize::from(self.playing.is_some());
        here == self.chunks || self.incoming.is_abandoned()
    }

    /// Takes a free chunk for what comes in. [audio thread]
    fn begin(&mut self, knobs: &[&[f32]], at: usize) {
        self.recycle();
        while self.offline && self.free.is_empty() && !self.is_idle() {
            std::thread::sleep(NAP);
            self.recycle();
        }
        self.filling = self.free.pop();
        if let Some(chunk) = &mut self.filling {
            chunk.generation = self.generation;
            chunk.index = self.next;
            chunk.done = false;
            for (to, from) in chunk.knobs.iter_mut().zip(knobs) {
                *to = from[at];
            }
        }
    }

    /// Sends what has come in. [audio thread]
    fn send(&mut self) {
        self.filled = 0;
        self.next += 1;
        if let Some(chunk) = self.filling.take() {
            // The ring has room for every chunk.
            if let Err(rtrb::PushError::Full(chunk)) = self.outgoing.push(chunk) {
                self.free.push(chunk);
            }
            if let Some(thread) = &self.thread {
                thread.thread().unpark();
            }
        }
    }

    /// Takes the chunk that is due, if it is there. [audio thread]
    fn fetch(&mut self) {
        self.free.extend(self.playing.take());
        self.recycle();
        while self.offline && self.incoming.is_empty() && !self.is_idle() {
            std::thread::sleep(NAP);
            self.recycle();
        }
        if self.incoming.peek().is_ok_and(|chunk| chunk.index == self.due && chunk.done) {
            self.playing = self.incoming.pop().ok();
        } else {
            self.shared.misses.fetch_add(1, Ordering::Relaxed);
        }
        self.due += 1;
        if self.wet != self.playing.is_some() {
            self.wet = !self.wet;
            self.step_begins = true;
        }
    }

    /// Takes the step out of the first frames of another source. [audio thread]
    fn smooth(&mut self, block: &mut Block<'_>, at: usize, n: usize) {
        if self.step_begins {
            for ((step, last), channel) in self.step.iter_mut().zip(&self.last).zip(&*block) {
                *step = last - channel[at];
            }
            self.step_begins = false;
            self.fading = FADE;
        }
        let fading = self.fading.min(n);
        for ((step, last), channel) in self.step.iter().zip(&mut self.last).zip(&mut *block) {
            for (i, x) in channel[at..at + fading].iter_mut().enumerate() {
                let left = (self.fading - i) as f32 / FADE as f32;
                *x += step * left * left * (3.0 - 2.0 * left);
            }
            *last = channel[at + n - 1];
        }
        self.fading -= fading;
    }
}

impl Voices for Threaded {
    fn process(&mut self, block: &mut Block<'_>, knobs: &[&[f32]]) {
        let chunk = self.lengths.chunk;
        let frames = block.first().map_or(0, |c| c.len());
        let mut at = 0;
        while at < frames {
            if self.filled == 0 {
                self.begin(knobs, at);
            }
            if self.lead == 0 && self.played == 0 {
                self.fetch();
            }
            let left = if self.lead > 0 { self.lead } else { chunk - self.played };
            let n = (frames - at).min(chunk - self.filled).min(left);
            for (c, (channel, dry)) in block.iter_mut().zip(&mut self.dry).enumerate() {
                let samples = &mut channel[at..at + n];
                if let Some(filling) = &mut self.filling {
                    filling.audio[c * chunk + self.filled..][..n].copy_from_slice(samples);
                }
                dry.process(samples);
                if let Some(playing) = &self.playing {
                    samples.copy_from_slice(&playing.audio[c * chunk + self.played..][..n]);
                }
            }
            self.smooth(block, at, n);
            if self.lead > 0 {
                self.lead -= n;
            } else {
                self.played = (self.played + n) % chunk;
            }
            self.filled += n;
            if self.filled == chunk {
                self.send();
            }
            at += n;
        }
    }

    /// Done on the other thread when the first chunk comes, which has the knobs: what it then gives for silence is not known here.
    fn settle(&mut self, _: &[f32]) -> f32 {
        self.reset();
        0.0
    }

    fn reset(&mut self) {
        self.generation += 1;
        self.shared.generation.store(self.generation, Ordering::Release);
        self.free.extend(self.filling.take());
        self.free.extend(self.playing.take());
        (self.filled, self.next, self.played, self.due) = (0, 0, 0, 0);
        self.lead = self.lengths.latency();
        self.dry.iter_mut().for_each(Delay::reset);
        self.wet = true;
        self.last.fill(0.0);
        self.step_begins = false;
        self.fading = 0;
    }

    /// Not known of a graph.
    fn rests(&self) -> bool {
        false
    }

    fn latency(&self) -> usize {
        self.lengths.latency()
    }

    fn set_offline(&mut self, offline: bool) {
        self.offline = offline;
    }

    fn misses(&self) -> u64 {
        self.shared.misses.load(Ordering::Relaxed)
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Threaded {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        (self.stop)();
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic in there has been reported; nothing is left to do for it.
            let _ = thread.join();
        }
    }
}

/// Runs chunk after chunk until there is nobody at the other end. [inference thread]
fn infer(mut work: impl Work, shared: &Shared, mut tasks: Consumer<Chunk>, mut results: Producer<Chunk>) {
    let mut generation = None;
    while !shared.stop.load(Ordering::Acquire) && !results.is_abandoned() {
        let Ok(mut chunk) = tasks.pop() else {
            std::thread::park();
            continue;
        };
        // What was sent before a reset is not needed any more.
        if chunk.generation == shared.generation.load(Ordering::Acquire) {
            if generation != Some(chunk.generation) {
                generation = Some(chunk.generation);
                work.settle(&chunk.knobs);
            }
            chunk.done = work.run(&mut chunk.audio, &chunk.knobs);
            if !chunk.done {
                work.settle(&chunk.knobs);
            }
        }
        // The ring has room for every chunk.
        let _ = results.push(chunk);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Condvar, Mutex};

    /// Lets a number of runs through.
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

    /// y(t) = knob x(t) + y(t - 1) / 2, and a failure for every chunk that begins with a sample above 100.
    struct Filter {
        gate: Arc<Gate>,
        last: Vec<f32>,
    }

    impl Work for Filter {
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

    fn voices(chunk: usize, max_frames: usize) -> (Threaded, Arc<Gate>) {
        let gate = Arc::new(Gate::default());
        let (theirs, stop) = (gate.clone(), gate.clone());
        let lengths = Lengths { channels: CHANNELS, knobs: 1, chunk, max_frames };
        let work = || Ok(Filter { gate: theirs, last: vec![0.0; CHANNELS] });
        (Threaded::open(lengths, 0, Duration::from_secs(10), move || stop.allow(Gate::OPEN), work).unwrap(), gate)
    }

    fn input(frames: usize) -> Vec<Vec<f32>> {
        (0..CHANNELS).map(|c| (0..frames).map(|i| ((i * (c + 3)) as f32 * 0.037).sin()).collect()).collect()
    }

    fn play(voices: &mut Threaded, sound: &mut [Vec<f32>], from: usize, to: usize, cuts: &[usize]) {
        let mut cuts = cuts.iter().cycle();
        let mut at = from;
        while at < to {
            let n = (*cuts.next().unwrap()).min(to - at);
            let knob = vec![0.7; n];
            let mut block: Vec<&mut [f32]> = sound.iter_mut().map(|c| &mut c[at..at + n]).collect();
            voices.process(&mut block, &[&knob]);
            at += n;
        }
    }

    /// Waits until all that was sent is back, but for this many chunks.
    fn settle(voices: &Threaded, held_back: usize) {
        let here = voices.free.len() + usize::from(voices.filling.is_some()) + usize::from(voices.playing.is_some());
        while voices.incoming.slots() + here + held_back != voices.chunks {
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
    fn a_render_is_the_network_as_late_as_reported_however_it_is_cut() {
        for (chunk, max_frames, latency) in [(64, 1, 128), (64, 64, 128), (64, 333, 397), (100, 64, 200), (1, 5, 6)] {
            for cuts in [&[1][..], &[64], &[333], &[1, 7, 64, 0, 200]] {
                let (mut voices, gate) = voices(chunk, max_frames);
                gate.allow(Gate::OPEN);
                voices.set_offline(true);
                assert_eq!(voices.latency(), latency);
                let mut sound = input(3000);
                let expected = expected(&sound, latency);
                play(&mut voices, &mut sound, 0, 3000, cuts);
                assert!(sound == expected, "chunk {chunk}, blocks of up to {max_frames}, cuts {cuts:?}");
                assert_eq!(voices.misses(), 0);
            }
        }
    }

    #[test]
    fn a_result_has_the_time_of_the_longest_block() {
        for (chunk, block) in [(64, 64), (64, 128), (64, 333), (100, 32)] {
            let (mut voices, gate) = voices(chunk, block);
            gate.allow(Gate::OPEN);
            let mut sound = input(block * 40);
            let expected = expected(&sound, voices.latency());
            for at in (0..block * 40).step_by(block) {
                play(&mut voices, &mut sound, at, at + block, &[block]);
                // All that was whole at the end of this block is there when the next one begins.
                settle(&voices, 0);
            }
            assert_eq!(voices.misses(), 0, "chunk {chunk}, blocks of {block}");
            assert!(sound == expected, "chunk {chunk}, blocks of {block}");
        }
    }

    #[test]
    fn what_is_late_is_heard_dry_and_counted_and_the_next_is_the_network_again() {
        let chunk = 256;
        let (mut voices, gate) = voices(chunk, chunk);
        let latency = voices.latency();
        let (mut sound, frames) = (input(chunk * 12), chunk * 12);
        let (dry, wet) = (delayed(&sound, latency), expected(&sound, latency));
        // One chunk after the other, but the third to fifth are only run when two of them are due.
        for k in 0..frames / chunk {
            play(&mut voices, &mut sound, k * chunk, (k + 1) * chunk, &[64]);
            let held_back = match k {
                2..=4 => k - 1,
                _ => 0,
            };
            gate.allow(match k {
                2..=4 => 0,
                5 => 4,
                _ => 1,
            });
            settle(&voices, held_back);
        }
        // The third chunk is heard from `latency` behind its beginning on.
        assert_eq!(voices.misses(), 2);
        let (late, again) = (2 * chunk + latency, 4 * chunk + latency);
        for c in 0..CHANNELS {
            assert_eq!(sound[c][..late], wet[c][..late], "before");
            assert_eq!(sound[c][late + FADE..again], dry[c][late + FADE..again], "the gap");
            assert_eq!(sound[c][again + FADE..], wet[c][again + FADE..], "after");
            let steps = |x: &[f32]| x.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max);
            let bound = steps(&wet[c]).max(steps(&dry[c])) + 4.0 * 1.5 / FADE as f32;
            assert!(steps(&sound[c]) < bound, "no click: {} of {bound}", steps(&sound[c]));
        }
    }

    #[test]
    fn a_run_that_fails_is_a_miss_and_the_network_begins_anew() {
        let chunk = 256;
        let (mut voices, gate) = voices(chunk, 1);
        gate.allow(Gate::OPEN);
        voices.set_offline(true);
        let mut sound = input(chunk * 8);
        sound[0][chunk] = 200.0;
        let mut tail: Vec<Vec<f32>> = sound.iter().map(|c| c[2 * chunk..].to_vec()).collect();
        tail = expected(&tail, 0);
        play(&mut voices, &mut sound, 0, chunk * 8, &[64]);
        assert_eq!(voices.misses(), 1);
        let from = 2 * chunk + voices.latency() + FADE;
        for c in 0..CHANNELS {
            let tail = &tail[c][FADE..];
            assert_eq!(sound[c][from..], tail[..sound[c].len() - from]);
        }
    }

    #[test]
    fn reset_is_exact_whatever_is_under_way() {
        let (mut voices, gate) = voices(64, 64);
        let mut first = input(1000);
        // Nothing is let through: everything is under way or was given up.
        play(&mut voices, &mut first, 0, 1000, &[64]);
        let missed = voices.misses();
        assert!(missed > 0);
        voices.reset();
        voices.set_offline(true);
        gate.allow(Gate::OPEN);
        let mut second = input(1000);
        let expected = expected(&second, voices.latency());
        play(&mut voices, &mut second, 0, 1000, &[50]);
        assert!(second == expected);
        assert_eq!(voices.misses(), missed);
    }

    #[test]
    fn a_long_stall_ends_and_time_is_right_again() {
        let chunk = 64;
        let (mut voices, gate) = voices(chunk, chunk);
        let mut sound = input(chunk * 100);
        play(&mut voices, &mut sound, 0, chunk * 60, &[chunk]);
        assert_eq!(voices.misses() as usize, 60 - voices.latency() / chunk);
        gate.allow(Gate::OPEN);
        voices.set_offline(true);
        play(&mut voices, &mut sound, chunk * 60, chunk * 100, &[chunk]);
        // The filter forgets half with every sample, so the chunks that it never saw are forgotten.
        let expected = expected(&input(chunk * 100), voices.latency());
        for (sound, expected) in sound.iter().zip(&expected) {
            for (x, y) in sound[chunk * 70..].iter().zip(&expected[chunk * 70..]) {
                assert!((x - y).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn leaving_ends_the_thread_even_inside_a_run() {
        let (mut voices, gate) = voices(64, 64);
        let mut sound = input(64);
        play(&mut voices, &mut sound, 0, 64, &[64]);
        drop(voices);
        assert_eq!(Arc::strong_count(&gate), 1, "nobody else holds it: the thread is gone");
    }

    #[test]
    fn what_cannot_be_opened_in_time_is_an_error() {
        let lengths = Lengths { channels: 1, knobs: 0, chunk: 64, max_frames: 64 };
        let (wait, forever) = std::sync::mpsc::channel::<()>();
        let work = move || {
            let _ = forever.recv();
            Err::<Filter, _>("no".into())
        };
        let error = Threaded::open(lengths, 0, Duration::from_millis(20), || (), work).err().unwrap();
        assert!(error.contains("not ready"), "{error}");
        drop(wait);
        let error =
            Threaded::open(lengths, 0, Duration::from_secs(10), || (), || Err::<Filter, _>("broken".into())).err().unwrap();
        assert_eq!(error, "broken");
    }
}
