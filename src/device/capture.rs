//! The client that records.

use std::time::{Duration, Instant};

use rtrb::{Consumer, Producer, RingBuffer};

use super::{Client, Granted, Input, MAX_CHANNELS};
use crate::graph::{Meter, Metering};
use crate::record::Writer;

/// Why frames are missing.
const OVERRUN: &str = "the device lost them";
const AWAY: &str = "the device was away";
/// While a device is away, the take stays so far behind the clock: when it comes back, the rest is known exactly.
const BEHIND: Duration = Duration::from_millis(500);
/// Samples that are metered at a time.
const PART: usize = 64;
/// Writers that can be under way in each direction.
const UNDER_WAY: usize = 8;

/// Gives a [`Capture`] that runs another recorder to feed. All of it: [control thread]
pub struct Feed {
    coming: Producer<Option<Writer>>,
    spent: Consumer<Writer>,
}

impl Feed {
    /// From a block on that comes soon, this writer is fed, or none.
    ///
    /// # Errors
    /// The writer, if the capture has not taken several that came before: its device does not run.
    pub fn replace(&mut self, writer: Option<Writer>) -> Result<(), Option<Writer>> {
        self.free();
        self.coming.push(writer).map_err(|rtrb::PushError::Full(writer)| writer)
    }

    /// Frees what the capture is done with.
    pub fn free(&mut self) {
        while self.spent.pop().is_ok() {}
    }
}

/// Feeds a recorder and meters, and keeps the time line. Everything else is behind them, so that nothing can hold them up.
pub struct Capture {
    writer: Option<Writer>,
    coming: Consumer<Option<Writer>>,
    spent: Producer<Writer>,
    /// Frames that have passed, lost ones included.
    position: u64,
    metering: Metering,
    /// Hertz.
    sample_rate: f64,
    /// The lowest integer that is full scale.
    full_scale: i32,
    /// When which frame was the next one.
    anchor: Option<(Instant, u64)>,
    /// The device was away before the next block.
    away: bool,
}

impl Capture {
    /// Records what a device gives that granted this; `meter` has all its channels. [control thread: allocates]
    #[must_use]
    pub fn new(writer: Writer, meter: &Meter, granted: &Granted) -> Self {
        Self { writer: Some(writer), ..Self::fed(meter, granted).0 }
    }

    /// As [`Self::new`], with nothing to record to until it is fed. [control thread: allocates]
    #[must_use]
    pub fn fed(meter: &Meter, granted: &Granted) -> (Self, Feed) {
        let (to, coming) = RingBuffer::new(UNDER_WAY);
        let (spent, back) = RingBuffer::new(UNDER_WAY);
        let channels = granted.channels.min(MAX_CHANNELS);
        let bits = (granted.format.bytes().min(3) * 8) as u32;
        let capture = Self {
            writer: None,
            coming,
            spent,
            position: 0,
            metering: Metering::new(meter, channels, granted.sample_rate as f32),
            sample_rate: f64::from(granted.sample_rate),
            full_scale: i32::MAX >> (32 - bits) << (32 - bits),
            anchor: None,
            away: false,
        };
        (capture, Feed { coming: to, spent: back })
    }

    /// Takes the writer that came last. [device thread, or control thread while the device is away]
    fn take_over(&mut self) {
        // What was used goes back; without room for it nothing new is taken.
        while self.spent.slots() > 0
            && let Ok(next) = self.coming.pop()
        {
            if let Some(old) = std::mem::replace(&mut self.writer, next)
                && let Err(rtrb::PushError::Full(old)) = self.spent.push(old)
            {
                // Not reached: there was room.
                std::mem::forget(old);
            }
        }
    }

    fn lose(&mut self, frames: u64, reason: &'static str) {
        if frames > 0 {
            self.position += frames;
            if let Some(writer) = &mut self.writer {
                writer.lose(frames, reason);
            }
        }
    }

    /// The frame that it is at a moment, by the clock.
    fn frame_at(&self, moment: Instant) -> Option<u64> {
        let (time, frame) = self.anchor?;
        let passed = moment.saturating_duration_since(time).as_secs_f64() * self.sample_rate;
        Some(frame + passed.round() as u64)
    }

    /// The device has gone: the take goes on in silence that is listed, half a second behind the clock. To be called again and
    /// again until there is another device. [control thread]
    pub fn wait(&mut self) {
        self.take_over();
        self.away = true;
        self.lose_until(Instant::now().checked_sub(BEHIND));
    }

    /// There will be no other device: all time up to now is lost. [control thread]
    pub fn give_up(&mut self) {
        if self.away {
            self.lose_until(Some(Instant::now()));
        }
    }

    fn lose_until(&mut self, moment: Option<Instant>) {
        let now = moment.and_then(|moment| self.frame_at(moment)).unwrap_or(0);
        self.lose(now.saturating_sub(self.position), AWAY);
    }

    fn meter(&mut self, input: Input<'_>) {
        match input {
            Input::Floats(channels) => channels.iter().enumerate().for_each(|(i, samples)| self.metering.measure(i, samples)),
            Input::Integers(channels) => {
                // 2^-31: integers stand at the top of 32 bits.
                const CODE: f32 = 1.0 / 2_147_483_648.0;
                let full_scale = self.full_scale;
                for (channel, samples) in channels.iter().enumerate() {
                    for part in samples.chunks(PART) {
                        let mut floats = [0.0f32; PART];
                        for (to, code) in floats.iter_mut().zip(part) {
                            // The highest code is full scale, as the lowest one is.
                            *to = if *code >= full_scale { 1.0 } else { *code as f32 * CODE };
                        }
                        self.metering.measure(channel, &floats[..part.len()]);
                    }
                }
            }
        }
    }
}

impl Client for Capture {
    fn process(&mut self, lost: u64, input: Input<'_>, _: &mut [&mut [f32]]) {
        let now = Instant::now();
        self.take_over();
        let n = input.frames() as u64;
        if std::mem::take(&mut self.away) {
            // A block is there when its last frame is.
            let first = self.frame_at(now).unwrap_or(0).saturating_sub(n);
            self.lose(first.saturating_sub(self.position), AWAY);
        }
        self.lose(lost, OVERRUN);
        if let Some(writer) = &mut self.writer {
            match input {
                Input::Floats(channels) => writer.write(channels),
                Input::Integers(channels) => writer.write(channels),
            };
        }
        self.position += n;
        self.anchor = Some((now, self.position));
        self.meter(input);
    }
}
