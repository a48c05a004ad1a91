//! The audio thread's end of listening tests: keeps the input while the panel is open, and plays a test's sound in place of the
//! output. The slots run on as ever, so load and latency stay the same.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arrayvec::ArrayVec;
use rtrb::{Consumer, Producer, RingBuffer};

use crate::dsp::{Block, MAX_CHANNELS, ProcessSpec};
use crate::graph::{Dip, Swap, SwapSender};
use crate::listen::{CaptureWriter, Player, VenueError};

/// Captures that fit in the ring of each direction.
const RING_CAPACITY: usize = 4;
/// Time without a block after which a stream counts as stopped.
const STOPPED_AFTER: Duration = Duration::from_secs(1);
/// Time between the beginnings of two blocks, beyond the sound of the first, from which blocks count as lost: longer than any host
/// gathers blocks.
const LATE_AFTER: Duration = Duration::from_millis(250);

/// Least sound over which the time of blocks is added up before it is compared with their sound: hosts cut blocks to a few frames,
/// and networks work in chunks of their own, so that one short block pays for several.
const LOAD_WINDOW: Duration = Duration::from_millis(10);

/// The player that a test has put in place of the output; None for the output itself.
pub struct Guest {
    /// Guests are numbered in the order in which they are sent.
    number: u64,
    player: Option<Box<Player>>,
}

/// The audio thread's end.
pub struct TestInsert {
    link: Arc<TestLink>,
    /// The number of this end, by which [`TestLink`] knows it.
    number: u64,
    spec: ProcessSpec,
    swap: Swap<Guest>,
    /// Captures that the control thread has made; None to stop keeping the input.
    incoming_captures: Consumer<Option<CaptureWriter>>,
    /// Captures on their way back to be freed.
    old_captures: Producer<CaptureWriter>,
    capture: Option<CaptureWriter>,
    /// True if a capture was sent back that nobody was told of yet.
    has_old_capture: bool,
    /// The input of the block that runs, for players of live sound: a buffer of the longest block for each channel.
    input: Vec<Vec<f32>>,
    /// The time at which the last block began, and the duration of its sound.
    last_block: Option<(Instant, Duration)>,
    /// Time that blocks took, and their sound, since both were compared last.
    load: [Duration; 2],
    /// The dip with which the bypass takes the output from a guest and gives it back.
    bypass_dip: Dip,
    /// True while the bypass has taken the output.
    is_bypassed: bool,
}

/// The control threads' end of the [`TestInsert`] that runs.
struct ControlEnd {
    number: u64,
    spec: ProcessSpec,
    players: SwapSender<Guest>,
    captures: Producer<Option<CaptureWriter>>,
    old_captures: Consumer<CaptureWriter>,
}

/// The part that the threads share: counts of blocks, and the way to the end that runs.
pub struct TestLink {
    /// Locked by control threads only.
    end: Mutex<LinkEnd>,
    /// Time of the first use, from which times are counted.
    epoch: Instant,
    /// Time of the last block in milliseconds since `epoch`, plus 1; 0 before the first block.
    last_block: AtomicU64,
    /// True while the panel is open, so that the host must not let the plug-in sleep.
    is_open: AtomicBool,
    /// True if the owner of the instance sends its output nowhere.
    is_unheard: AtomicBool,
    /// True if the last block was bypassed.
    is_bypassed: AtomicBool,
    /// Number of the last guest that must not be heard, since it could not be replaced.
    disowned: AtomicU64,
    /// Blocks that came too late, or whose processing took longer than their sound.
    drop_outs: AtomicU64,
    /// Drop-outs that the owner of the instance has counted on all of its devices so far, and on the present one.
    device_drop_outs: AtomicU64,
    present_drop_outs: AtomicU64,
}

/// The control threads' end, and the player of a stream that has ended.
#[derive(Default)]
struct LinkEnd {
    end: Option<ControlEnd>,
    /// Count of ends so far.
    count: u64,
    /// Count of guests so far.
    guests: u64,
    /// The player that was installed when its stream ended, with that stream's rate and width. The next stream like it goes on
    /// with it.
    parked: Option<(ProcessSpec, Box<Player>)>,
}

impl Default for TestLink {
    fn default() -> Self {
        Self {
            end: Mutex::default(),
            epoch: Instant::now(),
            last_block: AtomicU64::new(0),
            is_open: AtomicBool::new(false),
            is_unheard: AtomicBool::new(false),
            is_bypassed: AtomicBool::new(false),
            disowned: AtomicU64::new(0),
            drop_outs: AtomicU64::new(0),
            device_drop_outs: AtomicU64::new(0),
            present_drop_outs: AtomicU64::new(0),
        }
    }
}

/// True if two streams have the same rate and width.
fn is_alike(a: ProcessSpec, b: ProcessSpec) -> bool {
    a.sample_rate.to_bits() == b.sample_rate.to_bits() && a.channels == b.channels
}

impl TestLink {
    fn lock(&self) -> MutexGuard<'_, LinkEnd> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rate, width and longest block of the stream that runs. [control thread]
    ///
    /// # Errors
    /// [`VenueError::NoStream`] if no block came lately, [`VenueError::Unheard`], [`VenueError::Bypassed`].
    pub fn spec(&self) -> Result<ProcessSpec, VenueError> {
        let last = self.last_block.load(Ordering::Relaxed);
        let now = self.epoch.elapsed().as_millis() as u64 + 1;
        let is_running = last > 0 && now.saturating_sub(last) < STOPPED_AFTER.as_millis() as u64;
        let spec = self.lock().end.as_ref().map(|end| end.spec);
        match spec.filter(|_| is_running) {
            None => Err(VenueError::NoStream),
            Some(_) if self.is_unheard.load(Ordering::Relaxed) => Err(VenueError::Unheard),
            Some(_) if self.is_bypassed.load(Ordering::Relaxed) => Err(VenueError::Bypassed),
            Some(spec) => Ok(spec),
        }
    }

    /// Rate, width and longest block of the stream, also while it stands still. [control thread]
    pub fn prepared_spec(&self) -> Option<ProcessSpec> {
        self.lock().end.as_ref().map(|end| end.spec)
    }

    /// Tells that the panel of listening tests is open or closed. [control thread]
    pub fn set_open(&self, is_open: bool) {
        self.is_open.store(is_open, Ordering::Relaxed);
    }

    /// True while the panel of listening tests is open: a test may begin to play in silence, so blocks have to come. [any thread]
    pub fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Relaxed)
    }

    /// Blocks that were lost so far, on whichever side. [any thread]
    pub fn drop_outs(&self) -> u64 {
        self.drop_outs.load(Ordering::Relaxed) + self.device_drop_outs.load(Ordering::Relaxed)
    }

    /// Takes over the drop-outs that the owner of the instance has counted on its device. A count that falls is that of a device that
    /// was opened anew, whose drop-outs add to those before. [control thread: the owner's]
    pub fn set_device_drop_outs(&self, count: u64) {
        let before = self.present_drop_outs.swap(count, Ordering::Relaxed);
        let more = count.checked_sub(before).unwrap_or(count);
        self.device_drop_outs.fetch_add(more, Ordering::Relaxed);
    }

    /// Tells that the output goes somewhere, or nowhere, such as to a device without outputs. A plug-in's goes to its host. [any thread]
    pub fn set_heard(&self, is_heard: bool) {
        self.is_unheard.store(!is_heard, Ordering::Relaxed);
    }

    /// Sends a player to the audio thread, or None to give the output back. [control thread]
    ///
    /// # Errors
    /// [`VenueError`].
    pub fn install(&self, player: Option<Box<Player>>) -> Result<(), VenueError> {
        let mut link = self.lock();
        link.parked = None;
        link.guests += 1;
        let number = link.guests;
        let gives_back = player.is_none();
        match (&mut link.end, player) {
            (Some(end), player) => {
                let sent = end.players.send(Box::new(Guest { number, player }));
                if sent.is_err() && gives_back {
                    // Whichever guest is there when blocks come again is not heard.
                    self.disowned.store(number, Ordering::Relaxed);
                }
                sent.map_err(|_| VenueError::Stopped)
            }
            // Without a stream there is no output to give back.
            (None, None) => Ok(()),
            (None, Some(_)) => Err(VenueError::NoStream),
        }
    }

    /// Lets the audio thread keep the input in a capture; None to stop that. Does nothing without a stream. [control thread]
    pub fn keep_input(&self, capture: Option<CaptureWriter>) {
        if let Some(end) = &mut self.lock().end {
            // The ring is full only while no block runs. Then there is nothing to keep.
            let _ = end.captures.push(capture);
        }
    }

    /// True if [`Self::keep_input`] would reach the audio thread. [control thread]
    pub fn has_room_for_capture(&self) -> bool {
        self.lock().end.as_ref().is_some_and(|end| end.captures.slots() > 1)
    }

    /// Frees what the audio thread has sent back, and gives a parked player to a stream like its own. [control thread]
    pub fn maintain(&self) {
        let mut link = self.lock();
        let LinkEnd { end, parked, guests, .. } = &mut *link;
        let Some(end) = end else { return };
        end.players.free();
        while end.old_captures.pop().is_ok() {}
        if let Some((_, player)) = parked.take_if(|(spec, _)| is_alike(*spec, end.spec)) {
            // The ring of a new stream has room.
            *guests += 1;
            let _ = end.players.send(Box::new(Guest { number: *guests, player: Some(player) }));
        }
    }
}

impl TestInsert {
    /// The end for a stream. A player that was parked when an equal stream ended goes on. [control thread]
    pub fn new(link: &Arc<TestLink>, spec: ProcessSpec) -> Self {
        let (captures, incoming_captures) = RingBuffer::new(RING_CAPACITY);
        // Has room for every capture that can be under way.
        let (to_free, old_captures) = RingBuffer::new(2 * RING_CAPACITY + 2);
        let mut locked = link.lock();
        let parked = locked.parked.take_if(|(of, _)| is_alike(*of, spec)).map(|(_, player)| player);
        locked.guests += 1;
        let guest = Guest { number: locked.guests, player: parked };
        let (swap, players) = Swap::new(Box::new(guest), spec.sample_rate);
        locked.count += 1;
        let number = locked.count;
        locked.end = Some(ControlEnd { number, spec, players, captures, old_captures });
        drop(locked);
        Self {
            link: link.clone(),
            number,
            spec,
            swap,
            incoming_captures,
            old_captures: to_free,
            capture: None,
            has_old_capture: false,
            input: vec![vec![0.0; spec.max_frames]; spec.channels],
            last_block: None,
            load: [Duration::ZERO; 2],
            bypass_dip: Dip::new(spec.sample_rate),
            is_bypassed: false,
        }
    }

    /// True if this end can go on for a stream: it has the same rate and width. Takes over the longest block. [control thread]
    pub fn fits(&mut self, spec: ProcessSpec) -> bool {
        let fits = is_alike(self.spec, spec);
        let mut link = self.link.lock();
        if let Some(end) = link.end.as_mut().filter(|end| fits && end.number == self.number) {
            end.spec = spec;
            self.spec = spec;
            self.input.iter_mut().for_each(|channel| channel.resize(spec.max_frames, 0.0));
        }
        // An end that another stream has replaced is of no use.
        fits && link.end.as_ref().is_some_and(|end| end.number == self.number)
    }

    /// Keeps a block of input for players of live sound, and in the capture if there is one. It is called before the slots run.
    /// [audio thread]
    pub fn keep(&mut self, block: &Block<'_>) {
        for (kept, channel) in self.input.iter_mut().zip(block) {
            let frames = channel.len().min(kept.len());
            kept[..frames].copy_from_slice(&channel[..frames]);
        }
        // The old one has to go back; while there is no room for it, the new one waits.
        while self.old_captures.slots() > 0
            && let Ok(next) = self.incoming_captures.pop()
        {
            let old = std::mem::replace(&mut self.capture, next);
            self.has_old_capture |= old.is_some();
            if let Some(old) = old
                && let Err(rtrb::PushError::Full(old)) = self.old_captures.push(old)
            {
                // Never reached, as there was room. It is leaked, as the audio thread must not free it.
                std::mem::forget(old);
            }
        }
        if let Some(capture) = &mut self.capture {
            capture.write(block);
        }
    }

    /// Plays the test's sound in place of the output, if a player is there, and watches the time. `started`: the time at which the
    /// block began. While the plug-in is `bypassed`, the output is what it is without a test. It is called after the slots ran and
    /// takes were written. Returns true if something is on its way back to be freed. [audio thread]
    pub fn play(&mut self, block: &mut Block<'_>, started: Instant, bypassed: bool) -> bool {
        let frames = block.first().map_or(0, |channel| channel.len());
        if frames == 0 {
            return false;
        }
        self.link.is_bypassed.store(bypassed, Ordering::Relaxed);
        let mut replaced = false;
        let mut at = 0;
        while at < frames {
            if bypassed != self.is_bypassed && !self.bypass_dip.is_under_way() {
                // Without a guest, the slots' own bypass is all that is heard.
                if self.swap.current().player.is_some() {
                    self.bypass_dip.begin();
                } else {
                    self.is_bypassed = bypassed;
                }
            }
            let n = self.bypass_dip.span(frames - at);
            let mut part: ArrayVec<&mut [f32], MAX_CHANNELS> = block.iter_mut().map(|channel| &mut channel[at..at + n]).collect();
            replaced |= self.play_part(&mut part, at);
            for channel in &mut part {
                self.bypass_dip.apply(channel);
            }
            if self.bypass_dip.advance(n) {
                self.is_bypassed = bypassed;
            }
            at += n;
        }
        self.watch_time(frames, started);
        let is_returning = replaced || self.has_old_capture;
        self.has_old_capture = false;
        is_returning
    }

    /// Plays the guest in place of a part of a block that begins at frame `start` of it. Returns true if the guest was replaced.
    fn play_part(&mut self, block: &mut Block<'_>, start: usize) -> bool {
        let (input, mut at) = (&self.input, start);
        let disowned = self.link.disowned.load(Ordering::Relaxed);
        let is_bypassed = self.is_bypassed;
        self.swap.run(
            block,
            |_| 0,
            |guest, part| {
                let part_frames = part.first().map_or(0, |channel| channel.len());
                if let Some(player) = guest.player.as_mut().filter(|_| !is_bypassed && guest.number > disowned) {
                    // A player of live sound plays the input, not what the slots made of it.
                    for (channel, kept) in part.iter_mut().zip(input) {
                        match kept.get(at..at + part_frames) {
                            Some(kept) => channel.copy_from_slice(kept),
                            None => channel.fill(0.0),
                        }
                    }
                    player.process(part);
                }
                at += part_frames;
            },
        )
    }

    /// Counts a block that came too late, and blocks that took longer than their sound.
    fn watch_time(&mut self, frames: usize, started: Instant) {
        let rate = self.spec.sample_rate.max(1.0);
        let duration = Duration::from_secs_f32(frames as f32 / rate);
        let before = self.last_block.replace((started, duration));
        let is_late = before.is_some_and(|(at, sound)| started.saturating_duration_since(at) > sound + LATE_AFTER);
        self.load[0] += started.elapsed();
        self.load[1] += duration;
        let window = LOAD_WINDOW.max(Duration::from_secs_f32(self.spec.max_frames as f32 / rate));
        let is_full = self.load[1] >= window;
        if is_late || is_full && self.load[0] > self.load[1] {
            self.link.drop_outs.fetch_add(1, Ordering::Relaxed);
        }
        if is_full {
            self.load = [Duration::ZERO; 2];
        }
        let now = started.saturating_duration_since(self.link.epoch).as_millis() as u64 + 1;
        self.link.last_block.store(now, Ordering::Relaxed);
    }
}

impl Drop for TestInsert {
    /// Parks the player for the next stream. The stream has ended, so this is no audio thread.
    fn drop(&mut self) {
        self.swap.replace_now();
        let guest = self.swap.current();
        let is_owned = guest.number > self.link.disowned.load(Ordering::Relaxed);
        let player = guest.player.take().filter(|_| is_owned);
        let mut link = self.link.lock();
        // An end that another one has replaced has nothing to say.
        if link.end.as_ref().is_some_and(|end| end.number == self.number) {
            link.end = None;
            link.parked = player.map(|player| (self.spec, player));
        }
    }
}
