//! Takes: the stems of input, slot A, slot B and output of one performance, aligned to the sample.
//!
//! The workshop thread opens and closes a recorder as it is set; the audio thread gets the recorder's writer through a ring, gives it
//! what passes the taps, and sends it back to be freed.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rtrb::{Consumer, Producer, RingBuffer};

use super::workshop::{Orders, RECORD};
use crate::dsp::{self, Spec};
use crate::graph::Taps;
use crate::record::{self, Block, Channel, Health, Light, Phase, Recorder, Settings, Stop, Writer};
use crate::slots::Slots;
use crate::ui::{StemView, TakeLight, TakeSetup, TakeStart, TakeView};

/// Writers that can be under way in each direction.
const UNDER_WAY: usize = 16;
/// How long an offline render waits for its recorder.
const OFFLINE_PATIENCE: Duration = Duration::from_secs(10);
/// Where takes go if nothing is chosen, in the user's folder.
const FOLDER: &str = "Isotherm Takes";
/// The name of a take, if it has none.
const NAME: &str = "Isotherm";
/// The output's position in [`TakeSetup::sources`]; before it stand the taps of [`Slots::process_tapped`], input, A and B.
const OUTPUT: usize = 3;

/// What the audio thread records with.
struct Input {
    writer: Writer,
    /// The first stem of each source that is recorded.
    first: [Option<usize>; 4],
    channels: usize,
    /// Bits of the largest magnitude of each stem since somebody looked.
    peaks: Arc<[AtomicU32]>,
    /// Whether the host's transport starts and stops.
    transport: bool,
}

/// The audio thread's end.
pub struct Deck {
    /// None for "nothing to record with".
    incoming: Consumer<Option<Input>>,
    spent: Producer<Input>,
    input: Option<Input>,
    /// Whether the recorder was told to start.
    running: bool,
    /// What was asked for last.
    asked: bool,
}

/// A block that is being recorded.
pub struct Rolling<'a> {
    block: Block<'a>,
    /// Frames of the block that have passed the taps.
    passed: usize,
    first: [Option<usize>; 4],
    channels: usize,
    peaks: &'a [AtomicU32],
}

impl Deck {
    /// Takes what the workshop sent; starts or stops before the next frame. A host that waits (`offline`) gets a recorder before it, and
    /// loses nothing. [audio thread]
    pub fn follow(&mut self, takes: &Takes, orders: &Orders, armed: bool, record: bool, playing: bool, offline: bool) {
        self.take_over(orders);
        if armed != self.asked {
            self.asked = armed;
            let ticket = takes.ask(orders);
            if offline && armed {
                // Nobody listens: the recorder is there from this frame on.
                let start = Instant::now();
                while !takes.is_done(ticket) && start.elapsed() < OFFLINE_PATIENCE {
                    std::thread::sleep(Duration::from_millis(1));
                }
                self.take_over(orders);
            }
        }
        let Some(input) = &mut self.input else { return };
        input.writer.wait(offline);
        let wanted = armed && (record || input.transport && playing);
        if wanted != self.running {
            self.running = wanted;
            if wanted { input.writer.start() } else { input.writer.stop() }
        }
    }

    fn take_over(&mut self, orders: &Orders) {
        // What was used goes back; without room for it nothing new is taken.
        while self.spent.slots() > 0
            && let Ok(next) = self.incoming.pop()
        {
            self.running = false;
            if let Some(old) = std::mem::replace(&mut self.input, next)
                && let Err(rtrb::PushError::Full(old)) = self.spent.push(old)
            {
                // Not reached: there was room.
                std::mem::forget(old);
            }
            // What was sent back is freed there.
            orders.ask(RECORD);
        }
    }

    /// Room for a block of `frames` frames, if there is something to record with. [audio thread]
    pub fn begin(&mut self, frames: usize) -> Option<Rolling<'_>> {
        let Input { writer, first, channels, peaks, .. } = self.input.as_mut().filter(|_| frames > 0)?;
        Some(Rolling { block: writer.begin(frames)?, passed: 0, first: *first, channels: *channels, peaks })
    }
}

impl Rolling<'_> {
    /// Runs the slots on the next part of the block and records what passes their taps. [audio thread]
    pub fn run(&mut self, slots: &mut Slots, part: &mut dsp::Block<'_>) {
        slots.process_tapped(part, self);
        self.passed += part.first().map_or(0, |channel| channel.len());
    }

    /// What the host gets; ends the block. [audio thread]
    pub fn finish(mut self, output: &[&mut [f32]]) {
        for (channel, samples) in output.iter().enumerate() {
            self.put(OUTPUT, channel, 0, samples);
        }
        self.block.commit();
    }

    fn put(&mut self, source: usize, channel: usize, at: usize, samples: &[f32]) {
        let Some(first) = self.first[source].filter(|_| channel < self.channels) else { return };
        self.block.put(first + channel, at, samples);
        // Magnitudes of floats have the order of their bits; what is no number is above all.
        let peak = samples.iter().fold(0, |peak, x| peak.max(x.to_bits() & !(1 << 31)));
        self.peaks[first + channel].fetch_max(peak, Ordering::Relaxed);
    }
}

impl Taps for Rolling<'_> {
    fn write(&mut self, tap: usize, channel: usize, at: usize, samples: &[f32]) {
        if tap < OUTPUT {
            self.put(tap, channel, self.passed + at, samples);
        }
    }
}

/// What a recorder is opened for.
#[derive(Clone, PartialEq)]
struct Wanted {
    setup: TakeSetup,
    sample_rate: u32,
    channels: usize,
}

impl Wanted {
    fn settings(&self) -> Settings {
        let Self { setup, sample_rate, channels } = self;
        let mut settings = settings(setup, *sample_rate);
        settings.source = "plug-in".into();
        settings.asked = format!("f32, {sample_rate} Hz, {channels} channels");
        settings.granted.clone_from(&settings.asked);
        for source in setup.chosen() {
            settings.channels.extend(
                (0..*channels)
                    .map(|channel| Channel::new(source * channels + channel, setup.stem_name(source, channel, *channels))),
            );
        }
        settings
    }
}

/// The folder in which takes are made. [any thread]
#[must_use]
pub fn folder(setup: &TakeSetup) -> PathBuf {
    if setup.folder.as_os_str().is_empty() { std::env::home_dir().unwrap_or_default().join(FOLDER) } else { setup.folder.clone() }
}

/// A recorder's settings as the panel says, without a channel. [any thread]
#[must_use]
pub fn settings(setup: &TakeSetup, sample_rate: u32) -> Settings {
    let name = if setup.name.is_empty() { NAME } else { &setup.name };
    let mut settings = Settings::new(folder(setup), name, sample_rate, 0);
    settings.pre_roll_seconds = setup.pre_roll_seconds;
    settings.split_seconds = setup.split_minutes.map(|minutes| 60.0 * minutes);
    settings.start = record::Start::Hand;
    if setup.start == TakeStart::Level {
        settings.start = record::Start::Level { db: setup.level_db };
        settings.stop = Stop { below: Some((setup.level_db, setup.quiet_seconds)), ..Stop::default() };
    }
    settings
}

/// How a recorder stands, for the panel: without setup, channels and stems. [any thread]
#[must_use]
pub fn view(health: &Health) -> TakeView {
    TakeView {
        recording: health.phase == Phase::Recording,
        light: match health.light {
            Light::Green => TakeLight::Green,
            Light::Yellow => TakeLight::Yellow,
            Light::Red => TakeLight::Red,
        },
        seconds: health.seconds,
        lost_frames: health.lost_frames,
        stretched: health.stretched,
        markers: health.markers,
        disk_seconds_left: health.disk_seconds_left,
        folder: health.folder.clone(),
        error: health.error.clone(),
        ..TakeView::default()
    }
}

struct Open {
    recorder: Recorder,
    wanted: Wanted,
    peaks: Arc<[AtomicU32]>,
}

struct Desk {
    setup: TakeSetup,
    /// The state's field.
    stored: Arc<str>,
    to_audio: Producer<Option<Input>>,
    spent: Consumer<Input>,
    open: Option<Open>,
    /// Of the recorder before.
    last: Health,
    error: Option<String>,
}

/// What the other threads know of takes.
pub struct Takes {
    /// Held only to copy and to move; the audio thread never touches it.
    desk: Mutex<Desk>,
    /// Numbers of the requests: the last one, and the last one that is done.
    asked: AtomicU32,
    done: AtomicU32,
}

impl Takes {
    /// [control thread]
    pub fn new() -> (Self, Deck) {
        let (to_audio, incoming) = RingBuffer::new(UNDER_WAY);
        let (spent, back) = RingBuffer::new(UNDER_WAY);
        let setup = TakeSetup::default();
        let stored = pack(&setup);
        let desk = Desk { setup, stored, to_audio, spent: back, open: None, last: Health::default(), error: None };
        let takes = Self { desk: Mutex::new(desk), asked: AtomicU32::new(0), done: AtomicU32::new(0) };
        (takes, Deck { incoming, spent, input: None, running: false, asked: false })
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the workshop for what is set now. [audio thread]
    fn ask(&self, orders: &Orders) -> u32 {
        let ticket = self.asked.fetch_add(1, Ordering::AcqRel) + 1;
        orders.ask(RECORD);
        ticket
    }

    fn is_done(&self, ticket: u32) -> bool {
        self.done.load(Ordering::Acquire).wrapping_sub(ticket).cast_signed() >= 0
    }

    /// Opens, closes or leaves the recorder. One at a time does it. [workshop thread, or a control thread before there is sound]
    pub fn work(&self, spec: Option<Spec>, armed: bool) {
        let ticket = self.asked.load(Ordering::Acquire);
        let mut desk = self.desk();
        let spent: Vec<Input> = std::iter::from_fn(|| desk.spent.pop().ok()).collect();
        let wanted = spec.filter(|_| armed).map(|spec| Wanted {
            setup: desk.setup.clone(),
            sample_rate: spec.sample_rate.round() as u32,
            channels: spec.channels,
        });
        if desk.open.as_ref().map(|open| &open.wanted) != wanted.as_ref() {
            let old = desk.open.take();
            if old.is_some() {
                // Full only while no sound runs; then what follows it is not there either.
                let _ = desk.to_audio.push(None);
            }
            desk.error = None;
            drop(desk);
            if let Some(Open { recorder, .. }) = old {
                self.close(recorder);
            }
            if let Some(wanted) = wanted {
                self.open(wanted);
            }
        } else {
            drop(desk);
        }
        drop(spent);
        self.done.store(ticket, Ordering::Release);
    }

    /// Waits for the disk.
    fn close(&self, recorder: Recorder) {
        let health = recorder.health();
        let takes = recorder.close();
        if let Some((folder, manifest)) = takes.last() {
            let last = Health {
                phase: Phase::Armed,
                folder: Some(folder.clone()),
                frames: manifest.frames,
                seconds: manifest.frames as f64 / f64::from(manifest.sample_rate.max(1)),
                error: manifest.error.clone(),
                ..health
            };
            self.desk().last = last;
        }
    }

    fn open(&self, wanted: Wanted) {
        if wanted.setup.chosen().next().is_none() {
            self.desk().error = Some("nothing is chosen to be recorded".into());
            return;
        }
        let settings = wanted.settings();
        let peaks: Arc<[AtomicU32]> = settings.channels.iter().map(|_| AtomicU32::new(0)).collect();
        let (recorder, writer) = match Recorder::open(settings) {
            Ok(ends) => ends,
            Err(error) => {
                self.desk().error = Some(error.to_string());
                return;
            }
        };
        let mut first = [None; 4];
        for (nth, source) in wanted.setup.chosen().enumerate() {
            first[source] = Some(nth * wanted.channels);
        }
        let transport = wanted.setup.start == TakeStart::Transport;
        let input = Input { writer, first, channels: wanted.channels, peaks: peaks.clone(), transport };
        let mut desk = self.desk();
        if desk.to_audio.push(Some(input)).is_ok() {
            desk.open = Some(Open { recorder, wanted, peaks });
        } else {
            desk.error = Some("the host runs no sound to record".into());
        }
    }

    /// A marker, now. [control thread]
    pub fn mark(&self) {
        if let Some(open) = &self.desk().open {
            open.recorder.mark(None);
        }
    }

    /// Starts a take, or ends it, whatever the parameter says: the host may run no sound, and takes begin and end by themselves too.
    /// [control thread]
    pub fn tell(&self, record: bool) {
        if let Some(open) = &self.desk().open {
            if record { open.recorder.start() } else { open.recorder.stop() }
        }
    }

    /// What is set from now on; ask the workshop afterwards. [any thread but the audio thread]
    pub fn set(&self, setup: TakeSetup) {
        let mut desk = self.desk();
        desk.stored = pack(&setup);
        desk.setup = setup;
    }

    /// The state's field. [any thread but the audio thread]
    pub fn stored(&self) -> String {
        self.desk().stored.to_string()
    }

    /// Takes over a state's field; what it does not say is as it is by default. One that cannot be read is kept as it is.
    /// [any thread but the audio thread]
    pub fn restore(&self, field: &str) {
        let read = serde_json::from_str(field);
        let mut desk = self.desk();
        desk.stored = field.into();
        match read {
            Ok(setup) => desk.setup = setup,
            Err(error) => desk.error = Some(format!("state's takes: {error}")),
        }
    }

    /// For the panel. [control thread]
    pub fn view(&self, armed: bool, channels: usize) -> TakeView {
        let desk = self.desk();
        let health = desk.open.as_ref().map(|open| open.recorder.health());
        let ready = health.is_some();
        let health = match health {
            Some(health) if health.folder.is_some() => health,
            Some(health) => Health { disk_seconds_left: health.disk_seconds_left, error: health.error, ..desk.last.clone() },
            None => desk.last.clone(),
        };
        let stem = |open: &Open, index: usize, name: String| StemView {
            name,
            peak: f32::from_bits(open.peaks[index].swap(0, Ordering::Relaxed)),
            overs: health.overs.get(index).copied().unwrap_or(0),
        };
        let stems = desk.open.as_ref().map_or_else(Vec::new, |open| {
            let names = open.wanted.settings().channels.into_iter().map(|channel| channel.name);
            names.enumerate().map(|(index, name)| stem(open, index, name)).collect()
        });
        let told = view(&health);
        TakeView {
            setup: desk.setup.clone(),
            channels,
            armed,
            ready,
            disk_seconds_left: told.disk_seconds_left.filter(|_| ready),
            error: desk.error.clone().or(told.error),
            stems,
            ..told
        }
    }
}

fn pack(setup: &TakeSetup) -> Arc<str> {
    // A path that is no Unicode cannot be written down; the default folder is used then.
    serde_json::to_string(setup).unwrap_or_else(|_| "{}".into()).into()
}
