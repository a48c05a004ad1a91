//! The CLAP host: loads a plug-in and runs one instance of it.

use std::cell::RefCell;
use std::ffi::CString;
use std::io::Cursor;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use clack_extensions::audio_ports::{AudioPortInfoBuffer, PluginAudioPorts};
use clack_extensions::audio_ports_config::{AudioPortsConfigBuffer, PluginAudioPortsConfig};
use clack_extensions::latency::PluginLatency;
use clack_extensions::params::{ParamInfoBuffer, ParamInfoFlags, PluginParams};
use clack_extensions::remote_controls::{PluginRemoteControls, RemoteControlsPageBuffer};
use clack_extensions::render::{PluginRender, RenderMode};
use clack_extensions::state::PluginState;
use clack_host::entry::EntryDescriptor;
use clack_host::events::event_types::{ParamValueEvent, TransportEvent, TransportFlags};
use clack_host::events::{EventFlags, EventHeader};
use clack_host::prelude::*;
use clack_host::process::PluginAudioProcessor;

use crate::HostError;
use crate::handlers::{Host, MainThread, PluginRequests, Shared, on_audio_thread};

/// Size in bytes of the buffer for the text of a value.
const TEXT_BYTES: usize = 256;

/// Rounds of requests that [`ClapInstance::grant_requests`] grants before it gives up with [`HostError::Restless`].
const MAX_GRANT_ROUNDS: usize = 16;

/// A parameter as the plug-in describes it to a host.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterInfo {
    /// The id of CLAP.
    pub id: u32,
    /// The name without its group.
    pub name: String,
    /// The group: names joined by `/`; empty for none.
    pub module: String,
    /// Lowest CLAP value.
    pub min: f64,
    /// Highest CLAP value.
    pub max: f64,
    /// CLAP value of a new instance.
    pub default: f64,
    /// True if the host may automate it.
    pub automatable: bool,
    /// True if only whole numbers are values.
    pub stepped: bool,
    /// True if it is the plug-in's bypass.
    pub bypass: bool,
}

impl ParameterInfo {
    /// Group and name, joined by `/`.
    #[must_use]
    pub fn path(&self) -> String {
        if self.module.is_empty() { self.name.clone() } else { format!("{}/{}", self.module, self.name) }
    }
}

/// The key by which a test names a parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ParameterKey<'a> {
    /// The id of CLAP.
    Id(u32),
    /// The name, if no other parameter has it; or group and name, joined by `/`.
    Name(&'a str),
}

impl From<u32> for ParameterKey<'_> {
    fn from(id: u32) -> Self {
        Self::Id(id)
    }
}

impl<'a> From<&'a str> for ParameterKey<'a> {
    fn from(name: &'a str) -> Self {
        Self::Name(name)
    }
}

impl<'a> From<&'a String> for ParameterKey<'a> {
    fn from(name: &'a String) -> Self {
        Self::Name(name)
    }
}

/// A change of a parameter at a frame of a rendering.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ParameterEvent {
    /// Frame of the rendering.
    pub frame: usize,
    /// Id of the parameter.
    pub id: u32,
    /// The new CLAP value.
    pub value: f64,
}

/// A page of a hardware controller, with a parameter for each of up to 8 knobs.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteControlPage {
    /// Name of the section that the page belongs to.
    pub section: String,
    /// Name of the page.
    pub name: String,
    /// Ids of the parameters.
    pub parameters: Vec<u32>,
}

/// One instance of a loaded plug-in. Several may exist at once, of one file or of several. It stays on the thread that loaded it,
/// which is the main thread of its host.
pub struct ClapInstance {
    instance: RefCell<PluginInstance<Host>>,
    /// The audio side; None while the plug-in is inactive.
    audio: Option<ActiveProcessor>,
    requests: Arc<PluginRequests>,
    restarts: usize,
    parameters: Vec<ParameterInfo>,
    process_time: Duration,
    playing: bool,
}

/// The audio side of an active plug-in.
struct ActiveProcessor {
    processor: PluginAudioProcessor<Host>,
    configuration: PluginAudioConfiguration,
    /// Frames since activation.
    steady_time: u64,
    /// The plug-in's answer to the last block.
    status: ProcessStatus,
}

impl ClapInstance {
    /// Loads the first plug-in of a `.clap` file (on macOS a folder).
    ///
    /// # Errors
    /// If there is no such file, or it is not a CLAP plug-in.
    pub fn load(bundle: &Path) -> Result<Self, HostError> {
        let error = |reason: String| HostError::Load { path: bundle.to_owned(), reason };
        if !bundle.exists() {
            return Err(error("no such file".into()));
        }
        // The path is made absolute, as the system would look for a bare name among its own libraries.
        let path = bundle.canonicalize().map_err(|e| error(e.to_string()))?;
        // SAFETY: the caller names a CLAP plug-in that it built, whose entry keeps the rules of the CLAP specification.
        let entry = unsafe { PluginEntry::load(&path) }.map_err(|e| error(e.to_string()))?;
        Self::from_entry(&entry, bundle)
    }

    /// Loads the first plug-in of an entry that is linked into this program.
    ///
    /// # Safety
    /// `entry` must point to a `clap_plugin_entry` that lives as long as the program and keeps the rules of the CLAP
    /// specification.
    ///
    /// # Errors
    /// If there is no plug-in.
    pub unsafe fn linked(entry: *const std::ffi::c_void) -> Result<Self, HostError> {
        let name = Path::new("this program");
        // SAFETY: the caller makes sure that the entry is valid and lives as long as the program.
        let loaded = unsafe { PluginEntry::load_from_raw(&*entry.cast::<EntryDescriptor>(), c"") };
        let entry = loaded.map_err(|e| HostError::Load { path: name.to_owned(), reason: e.to_string() })?;
        Self::from_entry(&entry, name)
    }

    /// Makes an instance of the first plug-in of an entry; `bundle` names it in errors.
    fn from_entry(entry: &PluginEntry, bundle: &Path) -> Result<Self, HostError> {
        let error = |reason: String| HostError::Load { path: bundle.to_owned(), reason };
        let factory = entry.get_plugin_factory().ok_or_else(|| error("it has no plug-in factory".into()))?;
        let descriptor = factory.plugin_descriptor(0).ok_or_else(|| error("its factory is empty".into()))?;
        let id = descriptor.id().ok_or_else(|| error("its first plug-in has no id".into()))?;
        let host =
            HostInfo::new("Isotherm test host", "Isotherm", "", env!("CARGO_PKG_VERSION")).map_err(|e| error(e.to_string()))?;
        let requests = Arc::<PluginRequests>::default();
        let instance =
            PluginInstance::new(|()| Shared::new(requests.clone()), |_| MainThread::new(requests.clone()), entry, id, &host)
                .map_err(|e| error(e.to_string()))?;
        let mut plugin = Self {
            instance: RefCell::new(instance),
            audio: None,
            requests,
            restarts: 0,
            parameters: Vec::new(),
            process_time: Duration::ZERO,
            playing: false,
        };
        plugin.parameters = plugin.read_parameters();
        Ok(plugin)
    }

    /// Calls the plug-in on the main thread.
    pub(crate) fn with_handle<R>(&self, ask: impl FnOnce(PluginMainThreadHandle<'_>) -> R) -> R {
        ask(self.instance.borrow_mut().plugin_handle())
    }

    fn read_parameters(&self) -> Vec<ParameterInfo> {
        self.with_handle(|handle| {
            let Some(parameters) = handle.get_extension::<PluginParams>() else { return Vec::new() };
            let mut buffer = ParamInfoBuffer::new();
            (0..parameters.count(&handle))
                .filter_map(|index| {
                    let info = parameters.get_info(&handle, index, &mut buffer)?;
                    Some(ParameterInfo {
                        id: info.id.get(),
                        name: text_of(info.name),
                        module: text_of(info.module),
                        min: info.min_value,
                        max: info.max_value,
                        default: info.default_value,
                        automatable: info.flags.contains(ParamInfoFlags::IS_AUTOMATABLE),
                        stepped: info.flags.contains(ParamInfoFlags::IS_STEPPED),
                        bypass: info.flags.contains(ParamInfoFlags::IS_BYPASS),
                    })
                })
                .collect()
        })
    }

    /// All parameters, in the plug-in's order.
    #[must_use]
    pub fn parameters(&self) -> &[ParameterInfo] {
        &self.parameters
    }

    /// True if the plug-in describes a parameter after its last one, which it must not.
    #[must_use]
    pub fn has_parameter_past_the_end(&self) -> bool {
        self.with_handle(|handle| {
            let parameters = handle.get_extension::<PluginParams>()?;
            parameters.get_info(&handle, parameters.count(&handle), &mut ParamInfoBuffer::new()).map(drop)
        })
        .is_some()
    }

    /// The parameter that `key` names; None if there is no such parameter, or several have that name.
    #[must_use]
    pub fn find<'a>(&self, key: impl Into<ParameterKey<'a>>) -> Option<&ParameterInfo> {
        let key = key.into();
        let mut found = self.parameters.iter().filter(|p| match key {
            ParameterKey::Id(id) => p.id == id,
            ParameterKey::Name(name) => p.name == name || p.path() == name,
        });
        let first = found.next()?;
        found.next().is_none().then_some(first)
    }

    /// The parameter that `key` names.
    ///
    /// # Panics
    /// If there is no such parameter, or several have that name.
    #[must_use]
    pub fn parameter<'a>(&self, key: impl Into<ParameterKey<'a>>) -> &ParameterInfo {
        let key = key.into();
        self.find(key).unwrap_or_else(|| {
            let paths: Vec<String> = self.parameters.iter().map(ParameterInfo::path).collect();
            panic!("{key:?} names no single parameter of {paths:?}")
        })
    }

    /// The CLAP value of a parameter.
    ///
    /// # Panics
    /// As [`Self::parameter`], or if the plug-in does not give it.
    #[must_use]
    pub fn value<'a>(&self, key: impl Into<ParameterKey<'a>>) -> f64 {
        let id = ClapId::new(self.parameter(key).id);
        self.with_handle(|handle| handle.get_extension::<PluginParams>()?.get_value(&handle, id))
            .expect("a parameter that the plug-in lists has a value")
    }

    /// The text that the plug-in gives for a CLAP value of a parameter.
    ///
    /// # Panics
    /// As [`Self::parameter`], or if the plug-in gives none.
    #[must_use]
    pub fn text<'a>(&self, key: impl Into<ParameterKey<'a>>, value: f64) -> String {
        let id = ClapId::new(self.parameter(key).id);
        let mut buffer = [0; TEXT_BYTES];
        self.with_handle(|handle| {
            let parameters = handle.get_extension::<PluginParams>()?;
            parameters.value_to_text(&handle, id, value, &mut buffer).ok().map(|text| text_of(text))
        })
        .expect("every value of a parameter has a text")
    }

    /// The CLAP value that the plug-in reads from a text that a user types; None if it reads none.
    ///
    /// # Panics
    /// As [`Self::parameter`].
    #[must_use]
    pub fn value_of_text<'a>(&self, key: impl Into<ParameterKey<'a>>, text: &str) -> Option<f64> {
        let id = ClapId::new(self.parameter(key).id);
        let text = CString::new(text).ok()?;
        self.with_handle(|handle| handle.get_extension::<PluginParams>()?.text_to_value(&handle, id, &text))
    }

    /// Sets a parameter to a CLAP value while no block runs: by a flush on the main thread while inactive, on the audio thread
    /// while active. The value is sent unchanged: a plug-in must withstand one that is out of range.
    ///
    /// # Panics
    /// As [`Self::parameter`].
    pub fn set<'a>(&mut self, key: impl Into<ParameterKey<'a>>, value: f64) {
        let id = ClapId::new(self.parameter(key).id);
        self.flush(&[ParamValueEvent::new(0, id, Pckn::match_all(), value)]);
    }

    /// Sets a parameter to the value that the plug-in reads from a text that a user would type.
    ///
    /// # Errors
    /// If the plug-in reads no value from the text.
    ///
    /// # Panics
    /// As [`Self::parameter`].
    pub fn set_text<'a>(&mut self, key: impl Into<ParameterKey<'a>>, text: &str) -> Result<(), HostError> {
        let parameter = self.parameter(key).clone();
        let value = self
            .value_of_text(parameter.id, text)
            .ok_or_else(|| HostError::Text { parameter: parameter.path(), text: text.into() })?;
        self.set(parameter.id, value);
        Ok(())
    }

    /// Sends events while no block runs.
    fn flush(&mut self, events: &[ParamValueEvent]) {
        self.requests.flush.store(false, Ordering::SeqCst);
        if let Some(audio) = &mut self.audio {
            let processor = &mut audio.processor;
            on_audio_thread(|| {
                let mut handle = processor.plugin_handle();
                let Some(parameters) = handle.get_extension::<PluginParams>() else { return };
                parameters.flush_active(&mut handle, &InputEvents::from_buffer(&events), &mut OutputEvents::void());
            });
            return;
        }
        let Some(mut handle) = self.instance.get_mut().inactive_plugin_handle() else { return };
        let Some(parameters) = handle.get_extension::<PluginParams>() else { return };
        parameters.flush(&mut handle, &InputEvents::from_buffer(&events), &mut OutputEvents::void());
    }

    /// Number of channels of each layout that the plug-in offers, in its order; only that of the selected one, if it lacks the
    /// extension for layouts.
    #[must_use]
    pub fn layouts(&self) -> Vec<usize> {
        let configs = self.with_handle(|handle| {
            let extension = handle.get_extension::<PluginAudioPortsConfig>()?;
            let mut buffer = AudioPortsConfigBuffer::new();
            let layouts = (0..extension.count(&handle)).map(|index| {
                let config = extension.get(&handle, index, &mut buffer)?;
                Some(config.main_input.or(config.main_output)?.channel_count as usize)
            });
            Some(layouts.map(Option::unwrap_or_default).collect())
        });
        configs.unwrap_or_else(|| vec![self.channels()])
    }

    /// Selects the layout with this number of channels, while inactive.
    ///
    /// # Errors
    /// If the plug-in offers no layout with this number of channels.
    ///
    /// # Panics
    /// While active.
    pub fn select_layout(&mut self, channels: usize) -> Result<(), HostError> {
        assert!(self.audio.is_none(), "a layout is chosen while the plug-in is inactive");
        let offered = self.layouts();
        let selected = offered.iter().position(|&c| c == channels).is_some_and(|index| {
            self.with_handle(|handle| {
                let Some(extension) = handle.get_extension::<PluginAudioPortsConfig>() else { return true };
                let mut buffer = AudioPortsConfigBuffer::new();
                let id = extension.get(&handle, index as u32, &mut buffer).map(|config| config.id);
                id.is_some_and(|id| extension.select(&handle, id).is_ok())
            })
        });
        if selected { Ok(()) } else { Err(HostError::Layout { asked: channels, offered }) }
    }

    /// Number of channels of the main input in the selected layout.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.with_handle(|handle| {
            let ports = handle.get_extension::<PluginAudioPorts>()?;
            Some(ports.get(&handle, 0, true, &mut AudioPortInfoBuffer::new())?.channel_count as usize)
        })
        .unwrap_or_default()
    }

    /// The plug-in's saved state.
    ///
    /// # Errors
    /// If the plug-in does not save.
    pub fn save(&self) -> Result<Vec<u8>, HostError> {
        let mut state = Vec::new();
        self.with_handle(|handle| {
            let extension = handle.get_extension::<PluginState>().ok_or(HostError::Extension("state"))?;
            extension.save(&handle, &mut state).map_err(|_| HostError::Save)
        })?;
        Ok(state)
    }

    /// Loads a saved state.
    ///
    /// # Errors
    /// If the plug-in refuses the state.
    pub fn load_state(&mut self, state: &[u8]) -> Result<(), HostError> {
        self.with_handle(|handle| {
            let extension = handle.get_extension::<PluginState>().ok_or(HostError::Extension("state"))?;
            extension.load(&handle, &mut Cursor::new(state)).map_err(|_| HostError::LoadState { bytes: state.len() })
        })
    }

    /// The pages for hardware controllers, in the plug-in's order.
    #[must_use]
    pub fn remote_control_pages(&self) -> Vec<RemoteControlPage> {
        self.with_handle(|handle| {
            let Some(extension) = handle.get_extension::<PluginRemoteControls>() else { return Vec::new() };
            let mut buffer = RemoteControlsPageBuffer::new();
            (0..extension.count(&handle))
                .filter_map(|index| {
                    let page = extension.get(&handle, index, &mut buffer)?;
                    Some(RemoteControlPage {
                        section: text_of(page.section_name),
                        name: text_of(page.page_name),
                        parameters: page.param_ids.iter().flatten().map(|id| id.get()).collect(),
                    })
                })
                .collect()
        })
    }

    /// Latency of the plug-in, in frames.
    #[must_use]
    pub fn latency(&self) -> u32 {
        self.with_handle(|handle| Some(handle.get_extension::<PluginLatency>()?.get(&handle))).unwrap_or(0)
    }

    /// Activates the plug-in: blocks of up to `max_frames` frames may follow. Its requests wait for [`Self::grant_requests`].
    ///
    /// # Errors
    /// If the plug-in refuses.
    ///
    /// # Panics
    /// While active.
    pub fn activate(&mut self, sample_rate: f64, max_frames: u32) -> Result<(), HostError> {
        assert!(self.audio.is_none(), "the plug-in is active already");
        let configuration = PluginAudioConfiguration { sample_rate, min_frames_count: 1, max_frames_count: max_frames };
        let processor = self.instance.get_mut().activate(|_, _| (), configuration).map_err(|e| HostError::Activate {
            sample_rate,
            max_frames,
            reason: e.to_string(),
        })?;
        self.audio =
            Some(ActiveProcessor { processor: processor.into(), configuration, steady_time: 0, status: ProcessStatus::Continue });
        Ok(())
    }

    /// Deactivates the plug-in; does nothing while inactive.
    pub fn deactivate(&mut self) {
        if let Some(ActiveProcessor { processor, .. }) = self.audio.take() {
            let stopped = on_audio_thread(move || processor.into_stopped());
            self.instance.get_mut().deactivate(stopped);
        }
    }

    /// True while the plug-in is active.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.audio.is_some()
    }

    /// True if the plug-in asked for a restart that [`Self::grant_requests`] has not granted yet.
    #[must_use]
    pub fn restart_requested(&self) -> bool {
        self.requests.restart.load(Ordering::SeqCst)
    }

    /// Number of times that the plug-in said that its latency changed.
    #[must_use]
    pub fn latency_changed_calls(&self) -> usize {
        self.requests.latency_changed.load(Ordering::SeqCst)
    }

    /// Number of times that the plug-in asked for its parameters to be read again.
    #[must_use]
    pub fn rescans(&self) -> usize {
        self.requests.rescans.load(Ordering::SeqCst)
    }

    /// Number of times that the plug-in said that its state is no longer the saved one.
    #[must_use]
    pub fn dirty_calls(&self) -> usize {
        self.requests.dirty.load(Ordering::SeqCst)
    }

    /// Sizes (width, height) that the plug-in asked for its window, in their order.
    #[must_use]
    pub fn window_requests(&self) -> Vec<(u32, u32)> {
        self.requests.sizes.lock().expect("nobody panics with it").clone()
    }

    /// Number of restarts that [`Self::grant_requests`] granted.
    #[must_use]
    pub fn restarts(&self) -> usize {
        self.restarts
    }

    /// Calls the plug-in on the main thread, if it asked for that.
    pub fn run_main_thread_callbacks(&mut self) {
        if self.requests.callback.swap(false, Ordering::SeqCst) {
            self.instance.get_mut().call_on_main_thread_callback();
        }
    }

    /// Grants the plug-in's requests, as a host's main thread does between two renderings: calls, flushes and restarts
    /// (deactivate and activate), until the plug-in asks for nothing more.
    ///
    /// # Errors
    /// If the plug-in cannot be activated again, or never stops asking.
    pub fn grant_requests(&mut self) -> Result<(), HostError> {
        for _ in 0..MAX_GRANT_ROUNDS {
            let asked = [&self.requests.callback, &self.requests.flush, &self.requests.restart];
            if !asked.iter().any(|request| request.load(Ordering::SeqCst)) {
                return Ok(());
            }
            self.run_main_thread_callbacks();
            if self.requests.flush.load(Ordering::SeqCst) {
                self.flush(&[]);
            }
            if self.requests.restart.swap(false, Ordering::SeqCst)
                && let Some(PluginAudioConfiguration { sample_rate, max_frames_count, .. }) =
                    self.audio.as_ref().map(|audio| audio.configuration)
            {
                self.deactivate();
                self.activate(sample_rate, max_frames_count)?;
                self.restarts += 1;
            }
        }
        Err(HostError::Restless { rounds: MAX_GRANT_ROUNDS })
    }

    /// Tells the plug-in whether it renders offline, where it may take its time, and grants its requests.
    ///
    /// # Errors
    /// If the plug-in refuses, or as [`Self::grant_requests`].
    pub fn set_offline(&mut self, offline: bool) -> Result<(), HostError> {
        let mode = if offline { RenderMode::Offline } else { RenderMode::Realtime };
        self.with_handle(|handle| {
            let extension = handle.get_extension::<PluginRender>().ok_or(HostError::Extension("render"))?;
            extension.set(&handle, mode).map_err(|_| HostError::Extension("render"))
        })?;
        self.grant_requests()
    }

    /// Starts or stops the host's transport for the next renderings.
    pub fn set_playing(&mut self, playing: bool) {
        self.playing = playing;
    }

    /// Clears the plug-in's memory of past sound, on the audio thread.
    ///
    /// # Panics
    /// While inactive.
    pub fn reset(&mut self) {
        let audio = self.audio.as_mut().expect("the plug-in is active");
        on_audio_thread(|| audio.processor.reset());
    }

    /// Runs `input` (a vector per channel) through the plug-in and returns as many frames. It is cut into blocks of the sizes in
    /// `blocks`, over and over. Each of `events` is sent with the block of its frame.
    ///
    /// # Errors
    /// If processing fails.
    ///
    /// # Panics
    /// While inactive; if `input` does not have the channels of the selected layout, all of one length; if there is no block
    /// size, or one is 0 or longer than the plug-in was activated for; if an event is past the end.
    pub fn render(
        &mut self,
        input: &[Vec<f32>],
        blocks: impl IntoIterator<Item = usize, IntoIter: Clone>,
        events: &[ParameterEvent],
    ) -> Result<Vec<Vec<f32>>, HostError> {
        let channels = self.channels();
        let frames = input.first().map_or(0, Vec::len);
        let audio = self.audio.as_mut().expect("the plug-in is active");
        assert_eq!(input.len(), channels, "channels of the input and of the layout");
        assert!(input.iter().all(|channel| channel.len() == frames), "all channels have one length");
        assert!(events.iter().all(|event| event.frame < frames), "every event is inside the {frames} frames");
        let blocks = cut(frames, blocks, audio.configuration.max_frames_count as usize);
        let mut events = events.to_vec();
        events.sort_by_key(|event| event.frame);
        let playing = self.playing;
        let (output, process_time) = on_audio_thread(|| play(audio, input, &blocks, &events, playing))?;
        self.process_time = process_time;
        Ok(output)
    }

    /// True if a host may let the plug-in sleep after the last block, as soon as its output is silent.
    ///
    /// # Panics
    /// While inactive.
    #[must_use]
    pub fn may_sleep(&self) -> bool {
        let audio = self.audio.as_ref().expect("the plug-in is active");
        audio.status != ProcessStatus::Continue
    }

    /// True if the plug-in asked for blocks since it was loaded.
    #[must_use]
    pub fn process_requested(&self) -> bool {
        self.requests.process.load(Ordering::SeqCst)
    }

    /// Time that the plug-in took for the last rendering, without the host's own work.
    #[must_use]
    pub fn process_time(&self) -> Duration {
        self.process_time
    }
}

impl Drop for ClapInstance {
    /// Deactivates the instance, as it can only be destroyed after its audio side.
    fn drop(&mut self) {
        self.deactivate();
    }
}

/// The audio thread's part of [`ClapInstance::render`]. `events` are in the order of their frames.
fn play(
    audio: &mut ActiveProcessor,
    input: &[Vec<f32>],
    blocks: &[Range<usize>],
    events: &[ParameterEvent],
    playing: bool,
) -> Result<(Vec<Vec<f32>>, Duration), HostError> {
    let error = |block: &Range<usize>, reason: String| HostError::Process { first: block.start, end: block.end, reason };
    let channels = input.len();
    let frames = input.first().map_or(0, Vec::len);
    let mut output = vec![vec![0.0; frames]; channels];
    let mut copy = input.to_vec();
    let mut input_ports = AudioPorts::with_capacity(channels, 1);
    let mut output_ports = AudioPorts::with_capacity(channels, 1);
    let mut time = Duration::ZERO;
    let mut rest = events;
    let transport = transport(playing);
    for block in blocks {
        let now;
        (now, rest) = rest.split_at(rest.partition_point(|event| event.frame < block.end));
        let now: Vec<ParamValueEvent> = now
            .iter()
            .map(|e| {
                let offset = (e.frame - block.start) as u32;
                ParamValueEvent::new(offset, ClapId::new(e.id), Pckn::match_all(), e.value)
            })
            .collect();
        let inputs = input_ports.with_input_buffers([AudioPortBuffer {
            latency: 0,
            channels: AudioPortBufferType::f32_input_only(
                copy.iter_mut().map(|channel| InputChannel::variable(&mut channel[block.clone()])),
            ),
        }]);
        let mut outputs = output_ports.with_output_buffers([AudioPortBuffer {
            latency: 0,
            channels: AudioPortBufferType::f32_output_only(output.iter_mut().map(|channel| &mut channel[block.clone()])),
        }]);
        let started = audio.processor.ensure_processing_started().map_err(|e| error(block, e.to_string()))?;
        let steady_time = Some(audio.steady_time);
        let begin = Instant::now();
        let result = started.process(
            &inputs,
            &mut outputs,
            &InputEvents::from_buffer(&now),
            &mut OutputEvents::void(),
            steady_time,
            Some(&transport),
        );
        time += begin.elapsed();
        audio.status = result.map_err(|e| error(block, e.to_string()))?;
        audio.steady_time += block.len() as u64;
    }
    Ok((output, time))
}

/// A transport that tells only whether it plays.
fn transport(playing: bool) -> TransportEvent {
    TransportEvent {
        header: EventHeader::new_core(0, EventFlags::empty()),
        flags: if playing { TransportFlags::IS_PLAYING } else { TransportFlags::empty() },
        song_pos_beats: Default::default(),
        song_pos_seconds: Default::default(),
        tempo: 0.0,
        tempo_inc: 0.0,
        loop_start_beats: Default::default(),
        loop_end_beats: Default::default(),
        loop_start_seconds: Default::default(),
        loop_end_seconds: Default::default(),
        bar_start: Default::default(),
        bar_number: 0,
        time_signature_numerator: 0,
        time_signature_denominator: 0,
    }
}

/// Cuts `frames` frames into blocks of the lengths in `sizes`, over and over; the last block may be shorter.
fn cut(frames: usize, sizes: impl IntoIterator<Item = usize, IntoIter: Clone>, longest: usize) -> Vec<Range<usize>> {
    let mut sizes = sizes.into_iter().cycle();
    let mut blocks = Vec::new();
    let mut start = 0;
    while start < frames {
        let size = sizes.next().expect("there is a block size");
        assert!((1..=longest).contains(&size), "a block of {size} frames; expected 1 to {longest}");
        let end = frames.min(start + size);
        blocks.push(start..end);
        start = end;
    }
    blocks
}

/// The text of bytes from the plug-in.
fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_cover_every_frame_once_and_repeat_their_sizes() {
        assert_eq!(cut(10, [4, 1], 4), [0..4, 4..5, 5..9, 9..10]);
        assert_eq!(cut(10, std::iter::repeat(3), 4), [0..3, 3..6, 6..9, 9..10]);
        assert_eq!(cut(0, [4], 4), []);
    }

    #[test]
    #[should_panic(expected = "a block of 5 frames; expected 1 to 4")]
    fn a_block_longer_than_the_limit_is_a_panic() {
        let _ = cut(10, [5], 4);
    }

    #[test]
    fn the_error_of_a_file_that_is_not_a_plug_in_names_it() {
        let error = |path: &str| ClapInstance::load(path.as_ref()).map(drop).unwrap_err().to_string();
        assert_eq!(error("missing.clap"), "missing.clap: no CLAP plug-in: no such file");
        assert!(error("Cargo.toml").starts_with("Cargo.toml: no CLAP plug-in: Failed to load"));
    }
}
