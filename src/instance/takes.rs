//! Takes of an instance: recordings of input, slot A, slot B and output, each a source with one stem (a file) per channel, all
//! aligned to the sample.
//!
//! The builder thread opens and closes the recorder. The audio thread gets the recorder's writer through a ring, writes the
//! samples of the plan's taps to it, and sends it back to be freed.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rtrb::{Consumer, Producer, RingBuffer};

use super::builder::{BuilderRequests, jobs};
use crate::dsp::{self, ProcessSpec};
use crate::graph::TapReceiver;
use crate::record::{
    self, Channel, Health, Recorder, RecorderPhase, RecorderSettings, RingBlockWriter, StatusLight, StopConditions, Writer,
};
use crate::slots::Slots;
use crate::view::{StemView, TakeLight, TakeSetup, TakeStart, TakeView};

/// Writers that fit in the ring of each direction.
const RING_CAPACITY: usize = 16;
/// Longest time that a block of an offline render waits for its recorder.
const OFFLINE_TIMEOUT: Duration = Duration::from_secs(10);
/// Folder for takes if none is chosen, in the user's home folder.
const DEFAULT_FOLDER: &str = "Isotherm Takes";
/// Name of a take if none is chosen.
const DEFAULT_NAME: &str = "Isotherm";
/// Index of the output in [`TakeSetup::sources`]. The indices before it are those of the taps of [`Slots::process_tapped`]:
/// input, slot A, slot B.
const OUTPUT_SOURCE: usize = 3;

/// The audio thread's end of an open recorder.
struct RecorderInput {
    writer: Writer,
    /// Index of the first stem of each source; None for a source that is not recorded.
    first_stems: [Option<usize>; 4],
    /// Channels of each source.
    channels: usize,
    /// Peak of each stem since the panel read it last, as the bits of an f32.
    peaks: Arc<[AtomicU32]>,
    /// True if the host's transport starts and stops takes.
    follows_transport: bool,
}

/// The audio thread's end of the takes: starts and stops them and writes their samples.
pub struct TakeWriter {
    /// Recorders that the builder thread opened; None once one is closed.
    incoming: Consumer<Option<RecorderInput>>,
    /// Ends of closed recorders, on their way back to be freed.
    to_free: Producer<RecorderInput>,
    input: Option<RecorderInput>,
    /// True if the recorder was told to start and not to stop since.
    running: bool,
    /// The value of `standby` at the last block.
    was_on_standby: bool,
}

/// A host's block while it is written to a take.
pub struct TakeBlock<'a> {
    block: RingBlockWriter<'a>,
    /// Frames of the block that the slots have processed.
    processed: usize,
    /// As in [`RecorderInput`].
    first_stems: [Option<usize>; 4],
    /// As in [`RecorderInput`].
    channels: usize,
    /// As in [`RecorderInput`].
    peaks: &'a [AtomicU32],
}

impl TakeWriter {
    /// Takes over the recorder that the builder thread opened, and starts or stops it before the next frame. An offline render
    /// waits until the recorder is open and, later, until its ring has room, so that it loses no frame.
    ///
    /// `standby`: a recorder has to be open. `record`: the parameter asks for a take. `playing`: the host's transport runs.
    /// [audio thread]
    pub fn follow(
        &mut self,
        takes: &Takes,
        requests: &BuilderRequests,
        standby: bool,
        record: bool,
        playing: bool,
        offline: bool,
    ) {
        self.take_over_recorder(requests);
        if standby != self.was_on_standby {
            self.was_on_standby = standby;
            let request = takes.request_recorder(requests);
            if offline && standby {
                // An offline render has time to wait, so that the recorder gets this frame, too.
                let start = Instant::now();
                while !takes.is_done(request) && start.elapsed() < OFFLINE_TIMEOUT {
                    std::thread::sleep(Duration::from_millis(1));
                }
                self.take_over_recorder(requests);
            }
        }
        let Some(input) = &mut self.input else { return };
        input.writer.set_blocking(offline);
        let run = standby && (record || input.follows_transport && playing);
        if run != self.running {
            self.running = run;
            if run { input.writer.start() } else { input.writer.stop() }
        }
    }

    /// Takes over the newest recorder, and sends the old one back.
    fn take_over_recorder(&mut self, requests: &BuilderRequests) {
        // The old end has to go back; while there is no room for it, the new one waits.
        while self.to_free.slots() > 0
            && let Ok(next) = self.incoming.pop()
        {
            self.running = false;
            if let Some(old) = std::mem::replace(&mut self.input, next)
                && let Err(rtrb::PushError::Full(old)) = self.to_free.push(old)
            {
                // Never reached, as there was room. It is leaked, as the audio thread must not free it.
                std::mem::forget(old);
            }
            // The builder thread frees what was sent back.
            requests.post(jobs::OPEN_OR_CLOSE_RECORDER);
        }
    }

    /// Reserves room in the recorder for a block of `frames` frames. None without a recorder, or if its ring is full. [audio
    /// thread]
    pub fn begin(&mut self, frames: usize) -> Option<TakeBlock<'_>> {
        let RecorderInput { writer, first_stems, channels, peaks, .. } = self.input.as_mut().filter(|_| frames > 0)?;
        let block = writer.begin_block(frames)?;
        Some(TakeBlock { block, processed: 0, first_stems: *first_stems, channels: *channels, peaks })
    }
}

impl TakeBlock<'_> {
    /// Runs the slots in place on the next part of the block, and records input, slot A and slot B as they pass the taps. [audio
    /// thread]
    pub fn run(&mut self, slots: &mut Slots, part: &mut dsp::Block<'_>) {
        slots.process_tapped(part, self);
        self.processed += part.first().map_or(0, |channel| channel.len());
    }

    /// Records the output, which is the block as the host gets it, and ends the block. [audio thread]
    pub fn finish(mut self, output: &[&mut [f32]]) {
        for (channel, samples) in output.iter().enumerate() {
            self.put(OUTPUT_SOURCE, channel, 0, samples);
        }
        self.block.commit();
    }

    /// Writes the samples of a channel of a source to its stem, starting at frame `at` of the block, and notes their peak.
    fn put(&mut self, source: usize, channel: usize, at: usize, samples: &[f32]) {
        let Some(first) = self.first_stems[source].filter(|_| channel < self.channels) else { return };
        self.block.put(first + channel, at, samples);
        // The bits of magnitudes order as the floats do; those of infinity and NaN are above all others.
        let peak = samples.iter().fold(0, |peak, x| peak.max(x.to_bits() & !(1 << 31)));
        self.peaks[first + channel].fetch_max(peak, Ordering::Relaxed);
    }
}

impl TapReceiver for TakeBlock<'_> {
    fn write(&mut self, tap: usize, channel: usize, at: usize, samples: &[f32]) {
        if tap < OUTPUT_SOURCE {
            self.put(tap, channel, self.processed + at, samples);
        }
    }
}

/// The setup that a recorder is opened for: with another one it is closed and opened again.
#[derive(Clone, PartialEq)]
struct RecorderSpec {
    setup: TakeSetup,
    sample_rate: u32,
    channels: usize,
}

impl RecorderSpec {
    /// The recorder's settings, with a channel for each stem.
    fn settings(&self) -> RecorderSettings {
        let Self { setup, sample_rate, channels } = self;
        let mut settings = settings(setup, *sample_rate);
        settings.source = "plug-in".into();
        settings.requested = format!("f32, {sample_rate} Hz, {channels} channels");
        settings.granted.clone_from(&settings.requested);
        for source in setup.chosen() {
            settings.channels.extend(
                (0..*channels)
                    .map(|channel| Channel::new(source * channels + channel, setup.stem_name(source, channel, *channels))),
            );
        }
        settings
    }
}

/// The folder in which takes are made: the chosen one, or `Isotherm Takes` in the user's home folder. [any thread]
#[must_use]
pub fn folder(setup: &TakeSetup) -> PathBuf {
    if setup.folder.as_os_str().is_empty() {
        std::env::home_dir().unwrap_or_default().join(DEFAULT_FOLDER)
    } else {
        setup.folder.clone()
    }
}

/// The recorder's settings for a setup, without the channels. [any thread]
#[must_use]
pub fn settings(setup: &TakeSetup, sample_rate: u32) -> RecorderSettings {
    let name = if setup.name.is_empty() { DEFAULT_NAME } else { &setup.name };
    let mut settings = RecorderSettings::new(folder(setup), name, sample_rate, 0);
    settings.pre_roll_seconds = setup.pre_roll_seconds;
    settings.split_seconds = setup.split_minutes.map(|minutes| 60.0 * minutes);
    settings.start = record::StartTrigger::Manual;
    if setup.start == TakeStart::Level {
        settings.start = record::StartTrigger::Level { db: setup.level_db };
        settings.stop = StopConditions { below: Some((setup.level_db, setup.quiet_seconds)), ..StopConditions::default() };
    }
    settings
}

/// The view of a recorder's health for the panel. Setup, channels and stems are left at their defaults. [any thread]
#[must_use]
pub fn view(health: &Health) -> TakeView {
    TakeView {
        recording: health.phase == RecorderPhase::Recording,
        light: match health.light {
            StatusLight::Green => TakeLight::Green,
            StatusLight::Yellow => TakeLight::Yellow,
            StatusLight::Red => TakeLight::Red,
        },
        seconds: health.seconds,
        lost_frames: health.lost_frames,
        lost_seconds: health.lost_frames as f64 * health.seconds / health.frames.max(1) as f64,
        stretched: health.stretched,
        markers: health.markers,
        disk_seconds_left: health.disk_seconds_left,
        folder: health.folder.clone(),
        error: health.error.clone(),
        ..TakeView::default()
    }
}

/// A recorder that is open.
struct OpenRecorder {
    recorder: Recorder,
    spec: RecorderSpec,
    peaks: Arc<[AtomicU32]>,
}

/// The state of takes on the side of the control threads.
struct TakesStatus {
    setup: TakeSetup,
    /// The setup as text for the state; another text if a state could not be read.
    state_text: Arc<str>,
    to_audio: Producer<Option<RecorderInput>>,
    /// Ends of closed recorders, which the audio thread sent back.
    to_free: Consumer<RecorderInput>,
    open: Option<OpenRecorder>,
    /// Health of the last take of the recorder that was closed last.
    last_health: Health,
    /// The reason why there is no recorder, in one line.
    error: Option<String>,
}

/// The takes of an instance, on the side of the control threads; [`TakeWriter`] is the audio thread's side.
pub struct Takes {
    /// Locked only to copy and to move values; never by the audio thread.
    status: Mutex<TakesStatus>,
    /// Number of the last request to open or close the recorder.
    requested: AtomicU32,
    /// Number of the last request that is done.
    done: AtomicU32,
}

impl Takes {
    /// Both sides of an instance's takes, without a recorder. [control thread]
    pub fn new() -> (Self, TakeWriter) {
        let (to_audio, incoming) = RingBuffer::new(RING_CAPACITY);
        let (to_free, freed) = RingBuffer::new(RING_CAPACITY);
        let setup = TakeSetup::default();
        let state_text = encode(&setup);
        let status =
            TakesStatus { setup, state_text, to_audio, to_free: freed, open: None, last_health: Health::default(), error: None };
        let takes = Self { status: Mutex::new(status), requested: AtomicU32::new(0), done: AtomicU32::new(0) };
        (takes, TakeWriter { incoming, to_free, input: None, running: false, was_on_standby: false })
    }

    fn status(&self) -> MutexGuard<'_, TakesStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the builder thread to open or close the recorder. Returns the request's number. [audio thread]
    fn request_recorder(&self, requests: &BuilderRequests) -> u32 {
        let request = self.requested.fetch_add(1, Ordering::AcqRel) + 1;
        requests.post(jobs::OPEN_OR_CLOSE_RECORDER);
        request
    }

    /// True once the request with a number is done. [audio thread]
    fn is_done(&self, request: u32) -> bool {
        self.done.load(Ordering::Acquire).wrapping_sub(request).cast_signed() >= 0
    }

    /// Opens or closes the recorder as `spec`, `standby` and the setup ask for it, or leaves it. The caller makes sure that no
    /// other thread is here at the same time. [builder thread, or a control thread before there is sound]
    pub fn update_recorder(&self, spec: Option<ProcessSpec>, standby: bool) {
        let request = self.requested.load(Ordering::Acquire);
        let mut status = self.status();
        let to_free: Vec<RecorderInput> = std::iter::from_fn(|| status.to_free.pop().ok()).collect();
        let wanted = spec.filter(|_| standby).map(|spec| RecorderSpec {
            setup: status.setup.clone(),
            sample_rate: spec.sample_rate.round() as u32,
            channels: spec.channels,
        });
        if status.open.as_ref().map(|open| &open.spec) != wanted.as_ref() {
            let old = status.open.take();
            if old.is_some() {
                // The ring is full only while no sound runs; then `open_recorder` fails, too, and says so.
                let _ = status.to_audio.push(None);
            }
            status.error = None;
            drop(status);
            if let Some(OpenRecorder { recorder, .. }) = old {
                self.close_recorder(recorder);
            }
            if let Some(wanted) = wanted {
                self.open_recorder(wanted);
            }
        } else {
            drop(status);
        }
        drop(to_free);
        self.done.store(request, Ordering::Release);
    }

    /// Closes a recorder, which waits for the disk, and keeps the health of its last take.
    fn close_recorder(&self, recorder: Recorder) {
        let health = recorder.health();
        let takes = recorder.close();
        if let Some((folder, manifest)) = takes.last() {
            let last_health = Health {
                phase: RecorderPhase::Standby,
                folder: Some(folder.clone()),
                frames: manifest.frames,
                seconds: manifest.frames as f64 / f64::from(manifest.sample_rate.max(1)),
                error: manifest.error.clone(),
                ..health
            };
            self.status().last_health = last_health;
        }
    }

    /// Opens a recorder and sends its writer to the audio thread. The status says why if that fails.
    fn open_recorder(&self, wanted: RecorderSpec) {
        if wanted.setup.chosen().next().is_none() {
            self.status().error = Some("nothing is chosen to be recorded".into());
            return;
        }
        let settings = wanted.settings();
        let peaks: Arc<[AtomicU32]> = settings.channels.iter().map(|_| AtomicU32::new(0)).collect();
        let (recorder, writer) = match Recorder::open(settings) {
            Ok(ends) => ends,
            Err(error) => {
                self.status().error = Some(error.to_string());
                return;
            }
        };
        let mut first_stems = [None; 4];
        for (place, source) in wanted.setup.chosen().enumerate() {
            first_stems[source] = Some(place * wanted.channels);
        }
        let follows_transport = wanted.setup.start == TakeStart::Transport;
        let input = RecorderInput { writer, first_stems, channels: wanted.channels, peaks: peaks.clone(), follows_transport };
        let mut status = self.status();
        if status.to_audio.push(Some(input)).is_ok() {
            status.open = Some(OpenRecorder { recorder, spec: wanted, peaks });
        } else {
            status.error = Some("the host runs no sound to record".into());
        }
    }

    /// Sets a marker at the current frame in the take that runs. [control thread]
    pub fn mark(&self) {
        if let Some(open) = &self.status().open {
            open.recorder.mark(None);
        }
    }

    /// Starts a take or stops it, whatever the parameter says. The panel needs it where the parameter does not change or is not
    /// seen: takes also begin and end by themselves, and the host may run no sound. [control thread]
    pub fn start_or_stop(&self, record: bool) {
        if let Some(open) = &self.status().open {
            if record { open.recorder.start() } else { open.recorder.stop() }
        }
    }

    /// Sets the setup. The caller then asks the builder thread for [`jobs::OPEN_OR_CLOSE_RECORDER`]. [any thread but the audio
    /// thread]
    pub fn set_setup(&self, setup: TakeSetup) {
        let mut status = self.status();
        status.state_text = encode(&setup);
        status.setup = setup;
    }

    /// The setup as text, for the state. [any thread but the audio thread]
    pub fn state_text(&self) -> String {
        self.status().state_text.to_string()
    }

    /// Restores the setup from a state's text; values that it does not hold get their defaults. A text that cannot be read is
    /// kept, to be saved again unchanged, and the setup stays. [any thread but the audio thread]
    pub fn restore(&self, text: &str) {
        let read = serde_json::from_str(text);
        let mut status = self.status();
        status.state_text = text.into();
        match read {
            Ok(setup) => status.setup = setup,
            Err(error) => status.error = Some(format!("state's takes: {error}")),
        }
    }

    /// The takes as the panel shows them. `channels`: channels of the instance. Reading it restarts the peaks. [control thread]
    pub fn view(&self, standby: bool, channels: usize) -> TakeView {
        let status = self.status();
        let health = status.open.as_ref().map(|open| open.recorder.health());
        let ready = health.is_some();
        let health = match health {
            Some(health) if health.folder.is_some() => health,
            Some(health) => {
                Health { disk_seconds_left: health.disk_seconds_left, error: health.error, ..status.last_health.clone() }
            }
            None => status.last_health.clone(),
        };
        let stem = |open: &OpenRecorder, index: usize, name: String| StemView {
            name,
            peak: f32::from_bits(open.peaks[index].swap(0, Ordering::Relaxed)),
            overs: health.overs.get(index).copied().unwrap_or(0),
        };
        let stems = status.open.as_ref().map_or_else(Vec::new, |open| {
            let names = open.spec.settings().channels.into_iter().map(|channel| channel.name);
            names.enumerate().map(|(index, name)| stem(open, index, name)).collect()
        });
        let view = view(&health);
        TakeView {
            setup: status.setup.clone(),
            channels,
            standby,
            ready,
            disk_seconds_left: view.disk_seconds_left.filter(|_| ready),
            error: status.error.clone().or(view.error),
            stems,
            ..view
        }
    }
}

/// The setup as JSON, for the state.
fn encode(setup: &TakeSetup) -> Arc<str> {
    serde_json::to_string(setup).expect("JSON can hold text, numbers and lists").into()
}
