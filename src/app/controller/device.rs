//! The controller's device: listed, started, polled, stopped.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::desk::DeskFollower;
use super::log::spawn_detached;
use super::{Command, ControllerThread, lock};
use crate::app::settings::StripSettings;
use crate::audio::WavFormat;
use crate::device::{
    self, Capture, DeviceState, GrantedConfig, Host, Insert, Monitor, MonitorRouting, OpenRequest, Session, WriterFeed,
};
use crate::dsp::{Block, ProcessSpec};
use crate::graph::{FileSink, Meter};
use crate::instance::MonitorInsert;
use crate::ui::DeviceSetup;

/// Sides of the monitor: left and right.
const MONITOR_SIDES: usize = 2;
/// Overruns are logged at most this often.
const OVERRUN_REPORT_INTERVAL: Duration = Duration::from_secs(5);

/// The instance's slots as the insert of a device's monitor.
struct MonitorSlots(MonitorInsert);

impl Insert for MonitorSlots {
    fn process(&mut self, block: &mut Block<'_>) {
        self.0.process(block);
    }

    fn reset(&mut self) {
        self.0.reset();
    }
}

/// A device that runs, with its capture and monitor.
pub struct RunningDevice {
    pub session: Session,
    /// The configuration that the device granted.
    pub granted: GrantedConfig,
    /// Gives the writer of a recorder to the capture and takes it away again.
    pub feed: WriterFeed,
    /// The channels that the monitor plays on the left (side 0) and on the right (side 1).
    pub routing: MonitorRouting,
    /// The request that opened it, as text.
    pub requested: String,
    /// The state that was logged last.
    pub state: DeviceState,
    /// Time at which the device was found disconnected; `None` while it is there.
    pub gone_since: Option<Instant>,
    /// The monitor's state that was logged last; `None` if the monitor is not a client of its own.
    monitor_state: Option<DeviceState>,
    /// The file that gets what the monitor plays.
    monitor_sink: Option<FileSink>,
    /// Overruns that were logged so far.
    logged_overruns: u64,
    /// Time of the last log line on overruns.
    last_overrun_report: Option<Instant>,
}

impl ControllerThread {
    /// Lists the devices of the chosen host on a thread of its own, as this may take seconds; the thread sends the names back.
    pub(super) fn list_devices(&self) {
        let Some(host) = Host::find(&self.settings.device.host) else { return };
        let sender = self.self_sender.clone();
        spawn_detached(move || {
            let _ = sender.send(Command::DevicesListed(host, device::names(host)));
        });
    }

    /// Opens and starts the device that is set, unless one runs, and queries its desk. Failures are reported, not returned.
    pub(super) fn start_device(&mut self) {
        if self.device.is_some() {
            return;
        }
        self.error = None;
        self.is_starting = true;
        self.publish();
        let opened = self.open_device();
        self.is_starting = false;
        match opened {
            Ok(device) => {
                let line = format!("{}: asked for {}; granted {}", device.granted.device, device.requested, device.granted);
                self.log.add_line(line);
                self.device = Some(device);
                self.start_count += 1;
                self.query_desk();
                self.update_recorder();
            }
            Err(error) => self.report_device_failure(error),
        }
    }

    /// Opens and starts the device that is set, and switches the strips to those of the device.
    fn open_device(&mut self) -> Result<RunningDevice, String> {
        let DeviceSetup { host, device, sample_rate, period_frames, outputs, .. } = &self.settings.device;
        let host = Host::find(host).ok_or_else(|| format!("unknown host '{host}'"))?;
        if device.is_empty() {
            return Err("no device is chosen".into());
        }
        let request = OpenRequest {
            sample_rate: *sample_rate,
            period_frames: *period_frames,
            outputs: outputs.map_or_else(Vec::new, |pair| pair.to_vec()),
            ..OpenRequest::new(host, device)
        };
        let prepared = Session::prepare(&request, true).map_err(|e| e.to_string())?;
        let granted = prepared.granted().clone();
        let channels = granted.channels;
        let meter = Meter::new(channels);
        let (capture, feed) = Capture::with_feed(&meter, &granted);
        let spec = ProcessSpec::new(granted.sample_rate as f32, MONITOR_SIDES, granted.period_frames);
        let insert = self.instance.monitor_insert(spec).ok_or_else(|| format!("no slots for {granted}"))?;
        // Each device has strip settings of its own.
        let device = format!("{} {}", host.id(), device);
        if self.settings.strips_of != device {
            let strips = self.settings.strips_of_others.remove(&device);
            let previous_device = std::mem::replace(&mut self.settings.strips_of, device);
            // Strips that belong to no device yet become this device's.
            if !previous_device.is_empty() {
                let previous_strips = std::mem::replace(&mut self.settings.strips, strips.unwrap_or_default());
                self.settings.strips_of_others.insert(previous_device, previous_strips);
            }
        }
        self.settings.strips.resize_with(channels.max(self.settings.strips.len()), StripSettings::default);
        let routing = MonitorRouting::new(MONITOR_SIDES);
        for (channel, strip) in self.settings.strips.iter().enumerate().take(channels) {
            routing.set(0, channel, strip.left);
            routing.set(1, channel, strip.right);
        }
        let rate = granted.sample_rate;
        let create = |path: &PathBuf| FileSink::create(path, rate, MONITOR_SIDES, WavFormat::Float32, rate as usize);
        let sink = self.monitor_file.as_ref().map(create).transpose().map_err(|e| e.to_string())?;
        let (monitor_sink, queue) = sink.unzip();
        let monitor = Monitor::new(MonitorSlots(insert), routing.clone(), &granted, queue);
        self.instance.listening_tests().set_venue(&format!("isotherm app {}, {granted}", env!("CARGO_PKG_VERSION")));
        // The counts of this device begin at 0.
        let link = self.instance.listening_tests().link();
        link.set_device_drop_outs(0);
        link.set_heard(self.settings.device.outputs.is_some() || self.monitor_file.is_some());
        let session = prepared.start(capture, Some(monitor)).map_err(|e| e.to_string())?;
        lock(&self.published).meter = Some(meter);
        Ok(RunningDevice {
            session,
            granted,
            feed,
            routing,
            requested: request.to_string(),
            state: DeviceState::Running,
            gone_since: None,
            monitor_state: None,
            monitor_sink,
            logged_overruns: 0,
            last_overrun_report: None,
        })
    }

    /// Stops the device, if one runs, and finishes the take.
    pub(super) fn stop_device(&mut self) {
        self.forward_desk_changes();
        (self.desk, self.record_when_ready) = (DeskFollower::default(), false);
        let Some(device) = self.device.take() else { return };
        let name = device.granted.device.clone();
        let (counts, monitor) = device.session.stop();
        if counts.panicked {
            self.losses.push("the capture broke".into());
        }
        // Frees the slots on this thread.
        if let (Some(sink), Some(queue)) = (device.monitor_sink, monitor.and_then(Monitor::into_file))
            && let Err(error) = sink.finish(queue)
        {
            self.log.add_alarm(error.to_string());
        }
        self.recorder.close_for_stopped_device();
        lock(&self.published).meter = None;
        let overruns = if counts.overruns > 0 { format!(", {} overruns", counts.overruns) } else { String::new() };
        self.log.add_line(format!("{name}: stopped{overruns}"));
    }

    /// Logs and shows why the device does not run; a take that waited for it does not start.
    pub(super) fn report_device_failure(&mut self, error: String) {
        self.record_when_ready = false;
        self.log.add_alarm(error.clone());
        self.error = Some(error);
    }

    /// Polls the running device and adds lines for the log, each with true if it is an alarm. Returns the reason if the device
    /// must be stopped.
    pub(super) fn poll_device(&mut self, lines: &mut Vec<(String, bool)>) -> Option<String> {
        let device = self.device.as_mut()?;
        let mut stop_reason = None;
        device.session.poll();
        device.feed.free();
        let has_panicked = device.session.has_panicked();
        device.granted = device.session.granted().clone();
        let monitor_state = device.session.monitor_state().cloned();
        if monitor_state != device.monitor_state {
            match &monitor_state {
                // The line for the device's own state, below, reports this.
                Some(DeviceState::RateChanged(_)) => {}
                Some(DeviceState::Disconnected(reason) | DeviceState::Panicked(reason)) => {
                    lines.push((format!("nothing is heard: {reason}; the recording goes on"), true));
                }
                Some(DeviceState::Running) if device.monitor_state.is_some() => lines.push(("heard again".into(), false)),
                _ => {}
            }
            device.monitor_state = monitor_state;
        }
        if *device.session.state() != device.state {
            device.state = device.session.state().clone();
            device.gone_since = match device.state {
                DeviceState::Running => None,
                _ => device.gone_since.or(Some(Instant::now())),
            };
            let name = &device.granted.device;
            match &device.state {
                DeviceState::Running => lines.push((format!("{name}: back"), false)),
                DeviceState::Disconnected(reason) => lines.push((format!("{name}: away: {reason}; trying again"), true)),
                DeviceState::RateChanged(reason) => {
                    self.recorder.device_failed(reason);
                    stop_reason = Some(format!("{name}: {reason}; start it again"));
                }
                DeviceState::Panicked(reason) => lines.push((format!("{name}: {reason}"), true)),
            }
        }
        let counts = device.session.counts();
        self.instance.listening_tests().link().set_device_drop_outs(counts.overruns + counts.underruns);
        let overruns = counts.overruns;
        let is_due = device.last_overrun_report.is_none_or(|time| time.elapsed() >= OVERRUN_REPORT_INTERVAL);
        if overruns > device.logged_overruns && is_due {
            lines.push((format!("{}: {} overruns", device.granted.device, overruns - device.logged_overruns), true));
            (device.logged_overruns, device.last_overrun_report) = (overruns, Some(Instant::now()));
        }
        if has_panicked { Some("the capture broke".into()) } else { stop_reason }
    }
}
