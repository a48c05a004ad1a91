//! Who sets a parameter, and when. VST3 brings a value to a plugin in two ways: within a block (`IAudioProcessor::process()`)
//! and beside the blocks (`IEditController::setParamNormalized()`). A host that plays does both for the same change, in any
//! order and not at the same time; a host that does not call `process()` only does the latter. The plugin's own editor is a
//! third source.
//!
//! Every value counts at once, whichever way it came, except that a late echo of automation must not fight the automation
//! itself. So a parameter that got a value within a block belongs to the blocks for [`OWNED_BY_BLOCKS`]: what the host says of
//! it beside them holds until the next block begins.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Hosts update their controllers from a timer, and some process ahead of what is heard. A second is longer than both.
const OWNED_BY_BLOCKS: Duration = Duration::from_secs(1);

/// The audio thread looks this often for a parameter to be free before it takes it. Setting one takes some nanoseconds, so only
/// a thread that was interrupted in between takes longer.
const AUDIO_THREAD_TRIES: usize = 256;

/// Where a parameter's value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// `IAudioProcessor::process()`, on the audio thread.
    Block,
    /// What an earlier block brought, again. [`ParamValues::begin_block()`] asks for it.
    EarlierBlock,
    /// `IEditController::setParamNormalized()`, on the host's main thread.
    Host,
    /// The plugin's editor, on the thread of its window.
    Editor,
}

#[derive(Default)]
struct ParamValue {
    /// Held while the parameter's fields are written: several threads may set it.
    is_held: AtomicBool,
    /// The audio thread set the parameter while another thread held it.
    overtaken: AtomicBool,
    /// The bits of the last normalized value that came within a block.
    from_block: AtomicU32,
    /// When that was, in milliseconds since `ParamValues::epoch`, plus one. Zero if the parameter does not belong to the blocks.
    from_block_at: AtomicU64,
    /// The host has set the parameter beside the blocks since then.
    echoed: AtomicBool,
}

pub(crate) struct ParamValues {
    by_hash: HashMap<u32, ParamValue>,
    epoch: Instant,
    is_in_block: AtomicBool,
    /// Any parameter is `echoed`.
    any_echoed: AtomicBool,
}

impl ParamValues {
    pub fn new(hashes: &[u32]) -> Self {
        Self {
            by_hash: hashes.iter().map(|hash| (*hash, ParamValue::default())).collect(),
            epoch: Instant::now(),
            is_in_block: AtomicBool::new(false),
            any_echoed: AtomicBool::new(false),
        }
    }

    /// Lets `set` set a parameter, unless the value is an echo that a running block already knows of. On the audio thread this
    /// neither waits nor allocates.
    pub fn set(&self, hash: u32, normalized: f32, source: Source, set: impl FnMut()) {
        let Some(param) = self.by_hash.get(&hash) else {
            return;
        };

        match source {
            Source::Block => {
                let bits = normalized.to_bits();
                param.from_block.store(bits, Ordering::Relaxed);
                param.from_block_at.store(self.now(), Ordering::Relaxed);
                param.echoed.store(false, Ordering::Relaxed);
                Self::set_in_block(param, set);
            }
            Source::EarlierBlock => Self::set_in_block(param, set),
            Source::Host if self.belongs_to_blocks(param) => {
                if self.is_in_block.load(Ordering::Acquire) {
                    return;
                }

                Self::set_beside_blocks(param, set);
                param.echoed.store(true, Ordering::Relaxed);
                self.any_echoed.store(true, Ordering::Release);
            }
            Source::Host => Self::set_beside_blocks(param, set),
            Source::Editor => {
                param.from_block_at.store(0, Ordering::Relaxed);
                param.echoed.store(false, Ordering::Relaxed);
                Self::set_beside_blocks(param, set);
            }
        }
    }

    fn set_in_block(param: &ParamValue, mut set: impl FnMut()) {
        let mut tries = 0;
        while param.is_held.swap(true, Ordering::Acquire) {
            tries += 1;
            if tries == AUDIO_THREAD_TRIES {
                // The holder was interrupted. It will set its value once more when it comes back,
                // so the fields agree.
                param.overtaken.store(true, Ordering::Release);
                return set();
            }
            std::hint::spin_loop();
        }
        set();
        param.is_held.store(false, Ordering::Release);
    }

    fn set_beside_blocks(param: &ParamValue, mut set: impl FnMut()) {
        loop {
            while param.is_held.swap(true, Ordering::Acquire) {
                std::thread::yield_now();
            }
            set();
            param.is_held.store(false, Ordering::Release);

            if !param.overtaken.swap(false, Ordering::Acquire) {
                break;
            }
        }
    }

    /// A block begins, and ends when what is returned is dropped. `restore` is called with the value that the blocks brought last,
    /// for each parameter that the host has set beside them since. `is_set_at_once` tells whether this block begins with a value
    /// for the parameter anyway.
    pub fn begin_block(&self, is_set_at_once: impl Fn(u32) -> bool, mut restore: impl FnMut(u32, f32)) -> RunningBlock<'_> {
        self.is_in_block.store(true, Ordering::Release);

        if self.any_echoed.swap(false, Ordering::Acquire) {
            for (hash, param) in &self.by_hash {
                if param.echoed.swap(false, Ordering::Relaxed) && !is_set_at_once(*hash) {
                    restore(*hash, f32::from_bits(param.from_block.load(Ordering::Relaxed)));
                }
            }
        }

        RunningBlock(&self.is_in_block)
    }

    fn now(&self) -> u64 {
        self.epoch.elapsed().as_millis() as u64 + 1
    }

    fn belongs_to_blocks(&self, param: &ParamValue) -> bool {
        match param.from_block_at.load(Ordering::Relaxed) {
            0 => false,
            at => self.now().saturating_sub(at) < OWNED_BY_BLOCKS.as_millis() as u64,
        }
    }
}

/// See [`ParamValues::begin_block()`].
#[must_use]
pub(crate) struct RunningBlock<'a>(&'a AtomicBool);

impl Drop for RunningBlock<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
