//! The client of a device that records takes.

use std::time::{Duration, Instant};

use rtrb::{Consumer, Producer, RingBuffer};

use super::{Client, GrantedConfig, INTEGER_SCALE, InputBlock, MAX_CHANNELS, whole_frames};
use crate::graph::{Meter, MeterWriter};
use crate::record::Writer;

/// Reason of a gap in a take, for frames that the device itself reported as lost.
const OVERRUN_REASON: &str = "the device lost them";
/// Reason of a gap in a take, for the time in which the device was disconnected.
const DISCONNECTED_REASON: &str = "the device was away";
/// Time by which a take lags behind the clock while its device is disconnected. The rest of the gap is added when the device is
/// back, because only then its end is known.
const DISCONNECTED_LAG: Duration = Duration::from_millis(500);
/// Frames that are converted to floats and metered at a time.
const METER_CHUNK: usize = 64;
/// Writers that can be on their way in each direction between the control thread and the device's thread.
const WRITER_QUEUE_LENGTH: usize = 8;

/// The control thread's end of a running [`Capture`]: it sends the capture the writer of another recorder. All methods:
/// [control thread]
pub struct WriterFeed {
    to_capture: Producer<Option<Writer>>,
    returned: Consumer<Writer>,
}

impl WriterFeed {
    /// Sends a writer, which the capture begins to feed in one of the next blocks; after `None` it feeds no recorder.
    ///
    /// # Errors
    /// The writer, if the capture has not taken eight earlier ones because its device does not run.
    pub fn replace(&mut self, writer: Option<Writer>) -> Result<(), Option<Writer>> {
        self.free();
        self.to_capture.push(writer).map_err(|rtrb::PushError::Full(writer)| writer)
    }

    /// Frees the writers that the capture has returned.
    pub fn free(&mut self) {
        while self.returned.pop().is_ok() {}
    }
}

/// The client that feeds a recorder and the meters, and keeps the take's time line when frames are lost. The device's
/// thread calls it before the monitor, which therefore cannot delay it.
pub struct Capture {
    writer: Option<Writer>,
    incoming: Consumer<Option<Writer>>,
    returned: Producer<Writer>,
    /// Frames since the start, including lost ones.
    position: u64,
    metering: MeterWriter,
    /// Sample rate in hertz.
    sample_rate: f64,
    /// Integers of this value or more count as full scale: the highest code of 16 or 24 bits, in the high bits of 32.
    full_scale: i32,
    /// Time of the end of the last block, and the position there.
    anchor: Option<(Instant, u64)>,
    /// True if the device was disconnected before the next block.
    disconnected: bool,
}

impl Capture {
    /// Returns a capture for a device in this configuration. `meter` has a channel for each of the device's channels.
    /// [control thread: allocates]
    #[must_use]
    pub fn new(writer: Writer, meter: &Meter, granted: &GrantedConfig) -> Self {
        Self { writer: Some(writer), ..Self::with_feed(meter, granted).0 }
    }

    /// Returns a capture as [`Self::new`] does, which feeds no recorder until the [`WriterFeed`] sends it a writer.
    /// [control thread: allocates]
    #[must_use]
    pub fn with_feed(meter: &Meter, granted: &GrantedConfig) -> (Self, WriterFeed) {
        let (to_capture, incoming) = RingBuffer::new(WRITER_QUEUE_LENGTH);
        let (to_feed, returned) = RingBuffer::new(WRITER_QUEUE_LENGTH);
        let channels = granted.channels.min(MAX_CHANNELS);
        // Low bits that the device does not have. The upper 24 of 32 bits decide: a float holds no more.
        let unused_bits = 32 - 8 * granted.format.bytes().min(3);
        let capture = Self {
            writer: None,
            incoming,
            returned: to_feed,
            position: 0,
            metering: MeterWriter::new(meter, channels, granted.sample_rate as f32),
            sample_rate: f64::from(granted.sample_rate),
            full_scale: i32::MAX >> unused_bits << unused_bits,
            anchor: None,
            disconnected: false,
        };
        (capture, WriterFeed { to_capture, returned })
    }

    /// Switches to the writer that was sent last. [device thread, or control thread while the device is disconnected]
    fn switch_writer(&mut self) {
        // The old writer is returned to be freed. Without room for it no new one is taken.
        while self.returned.slots() > 0
            && let Ok(next) = self.incoming.pop()
        {
            if let Some(old) = std::mem::replace(&mut self.writer, next)
                && let Err(rtrb::PushError::Full(old)) = self.returned.push(old)
            {
                // Never reached, because there was room. Forgotten rather than freed, which the device's thread must not do.
                std::mem::forget(old);
            }
        }
    }

    /// Adds a gap of `frames` lost frames.
    fn lose(&mut self, frames: u64, reason: &'static str) {
        if frames > 0 {
            self.position += frames;
            if let Some(writer) = &mut self.writer {
                writer.report_loss(frames, reason);
            }
        }
    }

    /// Returns the position at a moment, by the machine's clock; `None` before the first block.
    fn frame_at(&self, moment: Instant) -> Option<u64> {
        let (time, frame) = self.anchor?;
        let passed = moment.saturating_duration_since(time).as_secs_f64() * self.sample_rate;
        Some(frame + whole_frames(passed))
    }

    /// Extends the gap of a disconnected device, up to half a second before now. To be called several times a second until the
    /// device is back. [control thread]
    pub fn extend_gap(&mut self) {
        self.switch_writer();
        self.disconnected = true;
        self.lose_until(Instant::now().checked_sub(DISCONNECTED_LAG));
    }

    /// Extends the gap up to now if the device is disconnected. To be called at the end of the capture. [control thread]
    pub fn end_gap(&mut self) {
        if self.disconnected {
            self.lose_until(Some(Instant::now()));
        }
    }

    /// Adds a gap from the current position to a moment of the clock.
    fn lose_until(&mut self, moment: Option<Instant>) {
        let now = moment.and_then(|moment| self.frame_at(moment)).unwrap_or(0);
        self.lose(now.saturating_sub(self.position), DISCONNECTED_REASON);
    }

    /// Meters a block.
    fn meter(&mut self, input: InputBlock<'_>) {
        match input {
            InputBlock::Floats(channels) => {
                channels.iter().enumerate().for_each(|(i, samples)| self.metering.measure(i, samples))
            }
            InputBlock::Integers(channels) => {
                let full_scale = self.full_scale;
                for (channel, samples) in channels.iter().enumerate() {
                    for part in samples.chunks(METER_CHUNK) {
                        let mut floats = [0.0f32; METER_CHUNK];
                        for (to, code) in floats.iter_mut().zip(part) {
                            // The highest integer counts as full scale, as the lowest one does.
                            *to = if *code >= full_scale { 1.0 } else { *code as f32 * INTEGER_SCALE };
                        }
                        self.metering.measure(channel, &floats[..part.len()]);
                    }
                }
            }
        }
    }
}

impl Client for Capture {
    fn process(&mut self, lost_frames: u64, input: InputBlock<'_>, _: &mut [&mut [f32]]) {
        let now = Instant::now();
        self.switch_writer();
        let n = input.frames() as u64;
        if std::mem::take(&mut self.disconnected) {
            // A block arrives at the time of its last frame.
            let first = self.frame_at(now).unwrap_or(0).saturating_sub(n);
            self.lose(first.saturating_sub(self.position), DISCONNECTED_REASON);
        }
        self.lose(lost_frames, OVERRUN_REASON);
        if let Some(writer) = &mut self.writer {
            match input {
                InputBlock::Floats(channels) => writer.write(channels),
                InputBlock::Integers(channels) => writer.write(channels),
            };
        }
        self.position += n;
        self.anchor = Some((now, self.position));
        self.meter(input);
    }
}
