//! The VST3 host: loads the first effect of a `.vst3` bundle and can leave out the steps that hosts may leave out: it need not
//! call `process`, and may pass on only some of the edits in the plug-in's window ([`ForwardedEdits`]).

use std::cell::Cell;
use std::ffi::c_void;
use std::path::{Path, PathBuf};
use std::ptr::null_mut;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use libloading::Library;
use vst3::Steinberg::Vst::{
    AudioBusBuffers, AudioBusBuffers__type0, BusDirections_, IAudioProcessor, IAudioProcessorTrait, IComponent,
    IComponentHandler, IComponentHandlerTrait, IComponentTrait, IEditController, IEditControllerTrait, IParamValueQueue,
    IParamValueQueueTrait, IParameterChanges, IParameterChangesTrait, MediaTypes_, ParameterInfo,
    ParameterInfo_::ParameterFlags_, ProcessData, ProcessModes_, ProcessSetup, SpeakerArrangement, String128,
    SymbolicSampleSizes_,
};
use vst3::Steinberg::{
    IBStream, IBStream_::IStreamSeekMode_, IBStreamTrait, IPlugFrame, IPlugFrameTrait, IPlugView, IPlugViewTrait,
    IPluginBaseTrait, IPluginFactory, IPluginFactoryTrait, PClassInfo, ViewRect, kInvalidArgument, kNotImplemented,
    kPlatformTypeX11EmbedWindowID, kResultFalse, kResultOk, tresult,
};
use vst3::{Class, ComPtr, ComRef, ComWrapper, Interface};

use crate::HostError;
use crate::handlers::beside_audio_thread;

/// The edits in the plug-in's window that the host sends back to the plug-in, at the first frame of the next block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardedEdits {
    /// All edits, as the VST3 standard wants it.
    All,
    /// Only those of parameters that can be automated. Ardour is such a host: parameters that it does not list do not exist for
    /// it.
    Automatable,
}

/// A parameter as the plug-in describes it to a host.
#[derive(Clone, Debug)]
pub struct Vst3Parameter {
    /// The id of VST3.
    pub id: u32,
    /// The name with its group.
    pub title: String,
    /// The unit; empty for none.
    pub units: String,
    /// 0 for a continuous number; otherwise the number of values less one.
    pub steps: i32,
    /// Normalised value of a new instance, 0 to 1.
    pub default: f64,
    /// True if the host may automate it.
    pub automatable: bool,
}

/// A change of a parameter at a frame of a block.
#[derive(Clone, Copy, Debug)]
pub struct AutomationPoint {
    /// Frame of the block.
    pub frame: usize,
    /// Id of the parameter.
    pub id: u32,
    /// The new normalised value, 0 to 1.
    pub value: f64,
}

/// Locks a mutex, also after a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The text of UTF-16 units up to the first zero.
fn text(units: &[u16]) -> String {
    let end = units.iter().position(|u| *u == 0).unwrap_or(units.len());
    String::from_utf16_lossy(&units[..end])
}

/// Notifications from the plug-in to its host.
#[derive(Default)]
struct HostNotifications {
    /// Edits in the window: id and normalised value.
    edits: Mutex<Vec<(u32, f64)>>,
    /// Edits that the next block sends back.
    due: Mutex<Vec<(u32, f64)>>,
    /// Flags of each restart that was asked for.
    restarts: Mutex<Vec<i32>>,
    /// Ids of the parameters whose edits are sent back.
    forwarded: Vec<u32>,
}

/// The host's handler for the plug-in's notifications.
struct Handler(Arc<HostNotifications>);

impl Class for Handler {
    type Interfaces = (IComponentHandler,);
}

impl IComponentHandlerTrait for Handler {
    unsafe fn beginEdit(&self, _: u32) -> tresult {
        kResultOk
    }

    unsafe fn performEdit(&self, id: u32, value: f64) -> tresult {
        lock(&self.0.edits).push((id, value));
        if !self.0.forwarded.contains(&id) {
            return kResultFalse;
        }
        lock(&self.0.due).push((id, value));
        kResultOk
    }

    unsafe fn endEdit(&self, _: u32) -> tresult {
        kResultOk
    }

    unsafe fn restartComponent(&self, flags: i32) -> tresult {
        lock(&self.0.restarts).push(flags);
        kResultOk
    }
}

/// A stream in memory, for states.
#[derive(Default)]
struct Stream {
    bytes: Mutex<Vec<u8>>,
    at: Cell<usize>,
}

impl Class for Stream {
    type Interfaces = (IBStream,);
}

impl IBStreamTrait for Stream {
    unsafe fn read(&self, buffer: *mut c_void, count: i32, read: *mut i32) -> tresult {
        let bytes = lock(&self.bytes);
        let from = self.at.get().min(bytes.len());
        let count = usize::try_from(count).unwrap_or(0).min(bytes.len() - from);
        // SAFETY: the plug-in gives a buffer of at least the bytes that it asks for.
        unsafe { std::ptr::copy_nonoverlapping(bytes[from..].as_ptr(), buffer.cast(), count) };
        self.at.set(from + count);
        if !read.is_null() {
            // SAFETY: the plug-in passes a valid pointer to a number, as it is not null.
            unsafe { *read = count as i32 };
        }
        kResultOk
    }

    unsafe fn write(&self, buffer: *mut c_void, count: i32, written: *mut i32) -> tresult {
        let Ok(length) = usize::try_from(count) else { return kInvalidArgument };
        // SAFETY: the plug-in gives a buffer of as many bytes.
        lock(&self.bytes).extend_from_slice(unsafe { std::slice::from_raw_parts(buffer.cast(), length) });
        if !written.is_null() {
            // SAFETY: the plug-in passes a valid pointer to a number, as it is not null.
            unsafe { *written = count };
        }
        kResultOk
    }

    unsafe fn seek(&self, place: i64, mode: i32, result: *mut i64) -> tresult {
        let from = match mode {
            m if m == IStreamSeekMode_::kIBSeekCur as i32 => self.at.get() as i64,
            m if m == IStreamSeekMode_::kIBSeekEnd as i32 => lock(&self.bytes).len() as i64,
            _ => 0,
        };
        let Ok(at) = usize::try_from(from + place) else { return kInvalidArgument };
        self.at.set(at);
        if !result.is_null() {
            // SAFETY: the plug-in passes a valid pointer to a number, as it is not null.
            unsafe { *result = at as i64 };
        }
        kResultOk
    }

    unsafe fn tell(&self, place: *mut i64) -> tresult {
        // SAFETY: the plug-in passes a valid pointer to a number.
        unsafe { *place = self.at.get() as i64 };
        kResultOk
    }
}

/// The automation points of one parameter in a block.
struct PointQueue {
    /// The parameter's id.
    id: u32,
    /// Frames and normalised values.
    points: Vec<(i32, f64)>,
}

impl Class for PointQueue {
    type Interfaces = (IParamValueQueue,);
}

impl IParamValueQueueTrait for PointQueue {
    unsafe fn getParameterId(&self) -> u32 {
        self.id
    }

    unsafe fn getPointCount(&self) -> i32 {
        self.points.len() as i32
    }

    unsafe fn getPoint(&self, index: i32, frame: *mut i32, value: *mut f64) -> tresult {
        let Some(point) = usize::try_from(index).ok().and_then(|i| self.points.get(i)) else { return kInvalidArgument };
        // SAFETY: the plug-in passes valid pointers to two numbers.
        unsafe { (*frame, *value) = *point };
        kResultOk
    }

    unsafe fn addPoint(&self, _: i32, _: f64, _: *mut i32) -> tresult {
        kNotImplemented
    }
}

/// The points of all parameters in a block.
struct ParameterChanges(Vec<ComWrapper<PointQueue>>);

impl Class for ParameterChanges {
    type Interfaces = (IParameterChanges,);
}

impl IParameterChangesTrait for ParameterChanges {
    unsafe fn getParameterCount(&self) -> i32 {
        self.0.len() as i32
    }

    unsafe fn getParameterData(&self, index: i32) -> *mut IParamValueQueue {
        let queue = usize::try_from(index).ok().and_then(|i| self.0.get(i)).and_then(ComWrapper::as_com_ref);
        queue.map_or(null_mut(), |queue| queue.as_ptr())
    }

    unsafe fn addParameterData(&self, _: *const u32, _: *mut i32) -> *mut IParamValueQueue {
        null_mut()
    }
}

impl ParameterChanges {
    fn new(points: &[AutomationPoint]) -> Self {
        let mut queues: Vec<PointQueue> = Vec::new();
        for point in points {
            let at_frame = (point.frame as i32, point.value);
            match queues.iter_mut().find(|q| q.id == point.id) {
                Some(queue) => queue.points.push(at_frame),
                None => queues.push(PointQueue { id: point.id, points: vec![at_frame] }),
            }
        }
        Self(queues.into_iter().map(ComWrapper::new).collect())
    }
}

/// The host's frame around the plug-in's window, and its event loop.
#[derive(Default)]
struct Frame {
    /// Event handlers of the plug-in, each with the file descriptor that it waits for.
    #[cfg(target_os = "linux")]
    handlers: Mutex<Vec<(ComPtr<vst3::Steinberg::Linux::IEventHandler>, i32)>>,
}

#[cfg(target_os = "linux")]
impl Class for Frame {
    type Interfaces = (IPlugFrame, vst3::Steinberg::Linux::IRunLoop);
}

#[cfg(not(target_os = "linux"))]
impl Class for Frame {
    type Interfaces = (IPlugFrame,);
}

impl IPlugFrameTrait for Frame {
    unsafe fn resizeView(&self, view: *mut IPlugView, size: *mut ViewRect) -> tresult {
        // SAFETY: the plug-in passes its own view and a valid rectangle.
        unsafe { ComRef::from_raw(view) }.map_or(kInvalidArgument, |view| unsafe { view.onSize(size) })
    }
}

#[cfg(target_os = "linux")]
impl vst3::Steinberg::Linux::IRunLoopTrait for Frame {
    unsafe fn registerEventHandler(&self, handler: *mut vst3::Steinberg::Linux::IEventHandler, fd: i32) -> tresult {
        // SAFETY: the plug-in passes its own handler, which it unregisters before it frees it.
        let Some(handler) = (unsafe { ComRef::from_raw(handler) }) else { return kInvalidArgument };
        lock(&self.handlers).push((handler.to_com_ptr(), fd));
        kResultOk
    }

    unsafe fn unregisterEventHandler(&self, handler: *mut vst3::Steinberg::Linux::IEventHandler) -> tresult {
        let mut handlers = lock(&self.handlers);
        let Some(index) = handlers.iter().position(|(h, _)| h.as_ptr() == handler) else { return kInvalidArgument };
        // The reference is leaked: releasing the last one here would free the handler within its own call.
        std::mem::forget(handlers.remove(index));
        kResultOk
    }

    unsafe fn registerTimer(&self, _: *mut vst3::Steinberg::Linux::ITimerHandler, _: u64) -> tresult {
        kNotImplemented
    }

    unsafe fn unregisterTimer(&self, _: *mut vst3::Steinberg::Linux::ITimerHandler) -> tresult {
        kNotImplemented
    }
}

/// The calls that a host may make on its main thread while a block runs.
pub struct ControllerAccess<'a>(&'a ComPtr<IEditController>);

impl ControllerAccess<'_> {
    /// Sets a parameter to a normalised value, as [`Vst3Instance::set_normalized`] does.
    pub fn set_normalized(&self, id: u32, value: f64) {
        // SAFETY: a call without pointers; any id and value are allowed.
        unsafe { self.0.setParamNormalized(id, value) };
    }
}

/// One instance of a loaded VST3 plug-in. All calls but those for blocks happen on the thread that loaded it.
pub struct Vst3Instance {
    view: Option<ComPtr<IPlugView>>,
    frame: ComWrapper<Frame>,
    processor: ComPtr<IAudioProcessor>,
    controller: ComPtr<IEditController>,
    component: ComPtr<IComponent>,
    _handler: ComWrapper<Handler>,
    notifications: Arc<HostNotifications>,
    parameters: Vec<Vst3Parameter>,
    channels: usize,
    is_active: bool,
    /// The standard's mode of the next activation: real time or offline.
    process_mode: i32,
}

/// Path of the library in a bundle, by the rules of VST3 for this system.
fn library(bundle: &Path) -> PathBuf {
    if bundle.is_file() {
        return bundle.to_owned();
    }
    let name = bundle.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let arch = std::env::consts::ARCH;
    let path = match std::env::consts::OS {
        "macos" => format!("MacOS/{name}"),
        "windows" => format!("{arch}-win/{name}.vst3"),
        _ => format!("{arch}-linux/{name}.so"),
    };
    bundle.join("Contents").join(path)
}

impl Vst3Instance {
    /// Loads the first class of a `.vst3` bundle. Its library stays for as long as the process.
    ///
    /// # Errors
    /// If there is no such file, or it is not a VST3 plug-in whose component is also its controller.
    pub fn load(bundle: &Path, forwarded: ForwardedEdits) -> Result<Self, HostError> {
        let error = |reason: String| HostError::Load { path: bundle.to_owned(), reason };
        // SAFETY: the caller names a VST3 plug-in that it built.
        let library = unsafe { Library::new(library(bundle)) }.map_err(|e| error(e.to_string()))?;
        let library: &'static Library = Box::leak(Box::new(library));
        // SAFETY: the functions are called as the standard declares them; `ModuleEntry` is for Linux alone.
        let factory = unsafe {
            if let Ok(enter) = library.get::<unsafe extern "system" fn(*mut c_void) -> bool>(b"ModuleEntry\0") {
                enter(null_mut());
            }
            let get = library
                .get::<unsafe extern "system" fn() -> *mut IPluginFactory>(b"GetPluginFactory\0")
                .map_err(|e| error(e.to_string()))?;
            ComPtr::from_raw(get())
        };
        let factory = factory.ok_or_else(|| error("it has no factory".into()))?;
        // SAFETY: calls as the standard declares them, with pointers to locals of this function.
        let component = unsafe {
            let mut info: PClassInfo = std::mem::zeroed();
            let mut object: *mut c_void = null_mut();
            if factory.getClassInfo(0, &mut info) != kResultOk
                || factory.createInstance(info.cid.as_ptr(), IComponent::IID.as_ptr().cast(), &mut object) != kResultOk
            {
                return Err(error("its factory makes nothing".into()));
            }
            ComPtr::from_raw(object.cast::<IComponent>())
        };
        let component = component.ok_or_else(|| error("its factory made nothing".into()))?;
        // SAFETY: it is the first call on the component, as the standard wants it.
        unsafe { component.initialize(null_mut()) };
        let controller = component.cast::<IEditController>().ok_or_else(|| error("its controller is apart".into()))?;
        let processor = component.cast::<IAudioProcessor>().ok_or_else(|| error("it processes no audio".into()))?;
        let parameters = read_parameters(&controller);
        let is_forwarded = |p: &&Vst3Parameter| forwarded == ForwardedEdits::All || p.automatable;
        let forwarded = parameters.iter().filter(is_forwarded).map(|p| p.id).collect();
        let notifications = Arc::new(HostNotifications { forwarded, ..HostNotifications::default() });
        let handler = ComWrapper::new(Handler(notifications.clone()));
        let frame = ComWrapper::new(Frame::default());
        if let Some(handler) = handler.as_com_ref::<IComponentHandler>() {
            // SAFETY: the plug-in counts a reference of its own.
            unsafe { controller.setComponentHandler(handler.as_ptr()) };
        }
        let (view, _handler) = (None, handler);
        Ok(Self {
            view,
            frame,
            processor,
            controller,
            component,
            _handler,
            notifications,
            parameters,
            channels: 2,
            is_active: false,
            process_mode: ProcessModes_::kRealtime as i32,
        })
    }

    /// All parameters, in the plug-in's order.
    #[must_use]
    pub fn parameters(&self) -> &[Vst3Parameter] {
        &self.parameters
    }

    /// The parameter after the last one, if the plug-in describes one; it must not.
    #[must_use]
    pub fn parameter_past_the_end(&self) -> Option<Vst3Parameter> {
        read_parameter(&self.controller, self.parameters.len() as i32)
    }

    /// The id of the parameter with this title.
    ///
    /// # Panics
    /// If there is no such parameter.
    #[must_use]
    pub fn id(&self, title: &str) -> u32 {
        self.parameters.iter().find(|p| p.title == title).unwrap_or_else(|| panic!("no parameter '{title}'")).id
    }

    /// The normalised value of a parameter, 0 to 1.
    #[must_use]
    pub fn normalized(&self, id: u32) -> f64 {
        // SAFETY: a call without pointers to keep; any id is allowed.
        unsafe { self.controller.getParamNormalized(id) }
    }

    /// Sets a parameter to a normalised value through the controller alone; no block sends it as well.
    pub fn set_normalized(&mut self, id: u32, value: f64) {
        ControllerAccess(&self.controller).set_normalized(id, value);
    }

    /// The text that the plug-in gives for a normalised value of a parameter.
    ///
    /// # Panics
    /// If the plug-in gives none.
    #[must_use]
    pub fn text(&self, id: u32, value: f64) -> String {
        let mut buffer: String128 = [0; 128];
        // SAFETY: the buffer has the standard's size.
        let result = unsafe { self.controller.getParamStringByValue(id, value, &mut buffer) };
        assert_eq!(result, kResultOk, "every value of a parameter has a text");
        text(&buffer)
    }

    /// The normalised value that the plug-in reads from a text that a user types; None if it reads none.
    #[must_use]
    pub fn value_of_text(&self, id: u32, text: &str) -> Option<f64> {
        let mut units: Vec<u16> = text.encode_utf16().chain([0]).collect();
        let mut value = 0.0;
        // SAFETY: the text ends with a zero.
        let result = unsafe { self.controller.getParamValueByString(id, units.as_mut_ptr(), &mut value) };
        (result == kResultOk).then_some(value)
    }

    /// The plug-in's saved state.
    ///
    /// # Errors
    /// If the plug-in does not save.
    pub fn save(&self) -> Result<Vec<u8>, HostError> {
        let stream = ComWrapper::new(Stream::default());
        let to = stream.as_com_ref::<IBStream>().ok_or(HostError::Save)?;
        // SAFETY: the stream lives longer than the call.
        let result = unsafe { self.component.getState(to.as_ptr()) };
        if result == kResultOk { Ok(lock(&stream.bytes).clone()) } else { Err(HostError::Save) }
    }

    /// Loads a state that [`Self::save`] returned.
    ///
    /// # Errors
    /// If the plug-in refuses it.
    pub fn load_state(&mut self, state: &[u8]) -> Result<(), HostError> {
        let stream = ComWrapper::new(Stream { bytes: Mutex::new(state.to_vec()), at: Cell::new(0) });
        let error = HostError::LoadState { bytes: state.len() };
        let Some(from) = stream.as_com_ref::<IBStream>() else { return Err(error) };
        // SAFETY: the stream lives longer than the call.
        let result = unsafe { self.component.setState(from.as_ptr()) };
        if result == kResultOk { Ok(()) } else { Err(error) }
    }

    /// Chooses if blocks are for an offline render, where the plug-in may take its time, from the next activation on.
    ///
    /// # Panics
    /// While active.
    pub fn set_offline(&mut self, offline: bool) {
        assert!(!self.is_active, "the standard lets the mode change only while the plug-in is inactive");
        self.process_mode = (if offline { ProcessModes_::kOffline } else { ProcessModes_::kRealtime }) as i32;
    }

    /// Latency of the plug-in in frames.
    #[must_use]
    pub fn latency(&self) -> usize {
        // SAFETY: a call without pointers.
        unsafe { self.processor.getLatencySamples() as usize }
    }

    /// Activates the plug-in: afterwards blocks of up to `max_frames` frames may be processed, but need not.
    ///
    /// # Errors
    /// If the plug-in refuses.
    ///
    /// # Panics
    /// With neither one channel nor two.
    pub fn activate(&mut self, sample_rate: f64, max_frames: usize, channels: usize) -> Result<(), HostError> {
        let mut speakers: SpeakerArrangement = match channels {
            1 => vst3::Steinberg::Vst::SpeakerArr::kMono,
            2 => vst3::Steinberg::Vst::SpeakerArr::kStereo,
            _ => panic!("{channels} channels"),
        };
        let error = |reason: &str| HostError::Activate { sample_rate, max_frames: max_frames as u32, reason: reason.into() };
        let mut setup = ProcessSetup {
            processMode: self.process_mode,
            symbolicSampleSize: SymbolicSampleSizes_::kSample32 as i32,
            maxSamplesPerBlock: max_frames as i32,
            sampleRate: sample_rate,
        };
        let mut out = speakers;
        // SAFETY: calls in the order of the standard, on the thread that made the instance.
        unsafe {
            if self.processor.setBusArrangements(&mut speakers, 1, &mut out, 1) != kResultOk {
                return Err(error("it refuses the layout"));
            }
            if self.processor.setupProcessing(&mut setup) != kResultOk {
                return Err(error("it refuses the setup"));
            }
            for direction in [BusDirections_::kInput, BusDirections_::kOutput] {
                self.component.activateBus(MediaTypes_::kAudio as i32, direction as i32, 0, 1);
            }
            if self.component.setActive(1) != kResultOk {
                return Err(error("it does not become active"));
            }
            self.processor.setProcessing(1);
        }
        (self.channels, self.is_active) = (channels, true);
        Ok(())
    }

    /// Deactivates the plug-in: no block may follow. Does nothing while inactive.
    pub fn deactivate(&mut self) {
        if std::mem::take(&mut self.is_active) {
            // SAFETY: calls in the order of the standard, on the thread that made the instance.
            unsafe {
                self.processor.setProcessing(0);
                self.component.setActive(0);
            }
        }
    }

    /// Processes one block on a thread of its own. The edits of the window that are forwarded take effect at its first frame,
    /// then `points`.
    ///
    /// # Panics
    /// If the plug-in fails, or while inactive.
    pub fn process(&mut self, input: &[Vec<f32>], points: &[AutomationPoint]) -> Vec<Vec<f32>> {
        self.process_while(input, points, |_| {})
    }

    /// Processes one block as [`Self::process`] does, while the calling thread runs `meanwhile`.
    ///
    /// # Panics
    /// As [`Self::process`].
    pub fn process_while(
        &mut self,
        input: &[Vec<f32>],
        points: &[AutomationPoint],
        meanwhile: impl FnOnce(&ControllerAccess<'_>),
    ) -> Vec<Vec<f32>> {
        assert!(self.is_active && input.len() == self.channels, "an active plug-in and its number of channels");
        let frames = input.first().map_or(0, Vec::len);
        let due = std::mem::take(&mut *lock(&self.notifications.due));
        let due = due.into_iter().map(|(id, value)| AutomationPoint { frame: 0, id, value });
        let points: Vec<AutomationPoint> = due.chain(points.iter().copied()).collect();
        let changes = ComWrapper::new(ParameterChanges::new(&points));
        let changes = changes.to_com_ptr::<IParameterChanges>();
        let mut input = input.to_vec();
        let mut output = vec![vec![0.0; frames]; self.channels];
        let (processor, process_mode) = (&self.processor, self.process_mode);
        let controller = ControllerAccess(&self.controller);
        let block = || {
            let mut from: Vec<*mut f32> = input.iter_mut().map(|c| c.as_mut_ptr()).collect();
            let mut to: Vec<*mut f32> = output.iter_mut().map(|c| c.as_mut_ptr()).collect();
            let bus = |channels: &mut Vec<*mut f32>| AudioBusBuffers {
                numChannels: channels.len() as i32,
                silenceFlags: 0,
                __field0: AudioBusBuffers__type0 { channelBuffers32: channels.as_mut_ptr() },
            };
            let (mut inputs, mut outputs) = (bus(&mut from), bus(&mut to));
            let mut data = ProcessData {
                processMode: process_mode,
                symbolicSampleSize: SymbolicSampleSizes_::kSample32 as i32,
                numSamples: frames as i32,
                numInputs: 1,
                numOutputs: 1,
                inputs: &mut inputs,
                outputs: &mut outputs,
                inputParameterChanges: changes.as_ref().map_or(null_mut(), |c| c.as_ptr()),
                outputParameterChanges: null_mut(),
                inputEvents: null_mut(),
                outputEvents: null_mut(),
                processContext: null_mut(),
            };
            // SAFETY: all pointers are to locals that outlive the call.
            unsafe { processor.process(&mut data) }
        };
        let result = beside_audio_thread(block, || meanwhile(&controller));
        assert_eq!(result, kResultOk, "a block is processed");
        output
    }

    /// The edits in the window since the last call: ids and normalised values.
    pub fn take_edits(&mut self) -> Vec<(u32, f64)> {
        std::mem::take(&mut *lock(&self.notifications.edits))
    }

    /// The flags of each restart that the plug-in asked for since the last call.
    pub fn take_restarts(&mut self) -> Vec<i32> {
        std::mem::take(&mut *lock(&self.notifications.restarts))
    }

    /// Opens the plug-in's window inside `parent`, a window of the X Window System.
    ///
    /// # Errors
    /// If the plug-in has no window, or it does not open.
    pub fn open_window(&mut self, parent: u32) -> Result<(), HostError> {
        // SAFETY: calls as the standard declares them; the frame lives for as long as the view.
        unsafe {
            let view = ComPtr::from_raw(self.controller.createView(c"editor".as_ptr()));
            let view = view.ok_or(HostError::Extension("window"))?;
            if let Some(frame) = self.frame.as_com_ref::<IPlugFrame>() {
                view.setFrame(frame.as_ptr());
            }
            if view.attached(parent as usize as *mut c_void, kPlatformTypeX11EmbedWindowID) != kResultOk {
                return Err(HostError::Extension("window that opens"));
            }
            self.view = Some(view);
        }
        Ok(())
    }

    /// Closes the plug-in's window, if it is open.
    pub fn close_window(&mut self) {
        if let Some(view) = self.view.take() {
            // SAFETY: calls in the order of the standard.
            unsafe {
                view.removed();
                view.setFrame(null_mut());
            }
        }
    }

    /// Calls the plug-in's event handlers that have something to read, as a host's event loop does all the time.
    #[cfg(target_os = "linux")]
    pub fn run_event_loop(&mut self) {
        use std::os::fd::BorrowedFd;
        use vst3::Steinberg::Linux::IEventHandlerTrait;
        let handlers = lock(&self.frame.handlers).clone();
        for (handler, fd) in handlers {
            // SAFETY: the plug-in keeps the file open while its handler is registered.
            let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
            let mut polled = [nix::poll::PollFd::new(borrowed, nix::poll::PollFlags::POLLIN)];
            if nix::poll::poll(&mut polled, nix::poll::PollTimeout::ZERO).is_ok_and(|ready| ready > 0) {
                // SAFETY: the plug-in registered the handler for this file.
                unsafe { handler.onFDIsSet(fd) };
            }
        }
    }
}

/// The description of the parameter with an index. (The cast is for Windows, where flags are of another type.)
#[allow(clippy::unnecessary_cast)]
fn read_parameter(controller: &ComPtr<IEditController>, index: i32) -> Option<Vst3Parameter> {
    // SAFETY: `ParameterInfo` consists of numbers, for which zero is a value.
    let mut info: ParameterInfo = unsafe { std::mem::zeroed() };
    // SAFETY: `info` is valid for the call; any index is allowed.
    let result = unsafe { controller.getParameterInfo(index, &mut info) };
    (result == kResultOk).then(|| Vst3Parameter {
        id: info.id,
        title: text(&info.title),
        units: text(&info.units),
        steps: info.stepCount,
        default: info.defaultNormalizedValue,
        automatable: info.flags & ParameterFlags_::kCanAutomate as i32 != 0,
    })
}

fn read_parameters(controller: &ComPtr<IEditController>) -> Vec<Vst3Parameter> {
    // SAFETY: a call without pointers.
    let count = unsafe { controller.getParameterCount() };
    (0..count).filter_map(|index| read_parameter(controller, index)).collect()
}

impl Drop for Vst3Instance {
    fn drop(&mut self) {
        self.close_window();
        self.deactivate();
        // SAFETY: these are the last calls on the component, as the standard wants it.
        unsafe {
            self.controller.setComponentHandler(null_mut());
            self.component.terminate();
        }
    }
}
