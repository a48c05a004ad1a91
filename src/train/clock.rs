//! The clocks of a training: the time that passes, and the time for which its thread has a processor core. On a busy machine the
//! second is much shorter.

use std::time::{Duration, Instant};

/// A reading of both clocks. Only differences of two readings mean something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockReading {
    /// Time that passed.
    pub wall: Duration,
    /// Time for which the calling thread had a core; `None` where the system does not tell.
    pub cpu: Option<Duration>,
}

/// Both clocks. Tests put others in their place, which show a slow or a busy machine.
pub trait Clock: Send {
    /// Reads both clocks. [training thread]
    fn read(&mut self) -> ClockReading;
}

/// The clocks of the system.
pub struct SystemClock(Instant);

impl SystemClock {
    /// Clocks that begin now. [any thread]
    #[must_use]
    pub fn new() -> Self {
        Self(Instant::now())
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn read(&mut self) -> ClockReading {
        ClockReading { wall: self.0.elapsed(), cpu: thread_cpu_time() }
    }
}

/// Time for which the calling thread had a core.
#[cfg(unix)]
fn thread_cpu_time() -> Option<Duration> {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID).ok()?;
    Some(time.into())
}

/// Time for which the calling thread had a core: not known here.
#[cfg(not(unix))]
fn thread_cpu_time() -> Option<Duration> {
    None
}

/// Time in which a training's thread had work to do. It does not count the waiting for the other threads of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WorkTime {
    /// Seconds that passed meanwhile.
    pub wall: f64,
    /// Seconds of them for which the thread had a core.
    pub cpu: f64,
}

impl WorkTime {
    /// Adds the time between two readings, if the system tells the thread's time. [any thread]
    pub fn add(&mut self, from: ClockReading, to: ClockReading) {
        if let (Some(cpu_from), Some(cpu_to)) = (from.cpu, to.cpu) {
            self.wall += to.wall.saturating_sub(from.wall).as_secs_f64();
            self.cpu += cpu_to.saturating_sub(cpu_from).as_secs_f64();
        }
    }

    /// The thread's share of a core, 0 to 1; `None` if it is not known. [any thread]
    #[must_use]
    pub fn cpu_share(&self) -> Option<f64> {
        (self.wall > 0.0).then(|| (self.cpu / self.wall).min(1.0))
    }
}

/// A training that gets less of a core than this share is slowed down by other programs. An idle machine gives more than 0.95.
const BUSY_BELOW: f64 = 0.75;

/// One line for the user if the machine is busy with other things; `None` if it is not, or if that is not known. `cpu_share`: of
/// [`WorkTime::cpu_share`]. [any thread]
#[must_use]
pub fn busy_remark(cpu_share: Option<f64>) -> Option<String> {
    let share = cpu_share.filter(|share| *share < BUSY_BELOW)?;
    Some(format!("the machine was busy: the training had {:.0} % of a processor core", 100.0 * share))
}
