//! The editor's window in a VST3 host, from factory and controller to view and frame. Sizes are width and height in the pixels
//! of the window system.

use std::ffi::c_void;
use std::ptr;
use std::sync::Mutex;

use vst3::Steinberg::Linux::{
    FileDescriptor, IEventHandler, IEventHandlerTrait as _, IRunLoop, IRunLoopTrait, ITimerHandler, TimerInterval,
};
use vst3::Steinberg::Vst::{IComponent, IEditController, IEditControllerTrait as _};
use vst3::Steinberg::{
    IPlugFrame, IPlugFrameTrait, IPlugView, IPlugViewContentScaleSupport, IPlugViewContentScaleSupportTrait as _,
    IPlugViewTrait as _, IPluginBaseTrait as _, IPluginFactory, IPluginFactoryTrait as _, PClassInfo, ViewRect, kNotImplemented,
    kPlatformTypeX11EmbedWindowID, kResultOk, tresult,
};
use vst3::{Class, ComPtr, ComRef, ComWrapper, Interface as _};

use crate::HostError;

/// The host's frame around the plug-in's window, and its event loop.
#[derive(Default)]
struct Frame {
    /// Sizes that the plug-in asked for.
    requested_sizes: Mutex<Vec<(u32, u32)>>,
    /// Event handlers of the plug-in, each with the file descriptor that it waits for.
    handlers: Mutex<Vec<(ComPtr<IEventHandler>, FileDescriptor)>>,
}

impl Class for Frame {
    type Interfaces = (IPlugFrame, IRunLoop);
}

impl IPlugFrameTrait for Frame {
    /// Grants every size and tells the view so, as the documentation of `IPlugFrame` wants it.
    unsafe fn resizeView(&self, view: *mut IPlugView, size: *mut ViewRect) -> tresult {
        // SAFETY: the plug-in's arguments are valid for the call.
        let (view, rect) = unsafe { (ComRef::from_raw(view), &mut *size) };
        self.requested_sizes.lock().unwrap().push(((rect.right - rect.left) as u32, (rect.bottom - rect.top) as u32));
        // SAFETY: the view and the rectangle are valid for the call.
        view.map_or(kNotImplemented, |view| unsafe { view.onSize(rect) })
    }
}

impl IRunLoopTrait for Frame {
    unsafe fn registerEventHandler(&self, handler: *mut IEventHandler, file: FileDescriptor) -> tresult {
        // SAFETY: the plug-in's argument is valid for the call, and a reference is counted.
        let Some(handler) = (unsafe { ComRef::from_raw(handler) }) else { return kNotImplemented };
        self.handlers.lock().unwrap().push((handler.to_com_ptr(), file));
        kResultOk
    }

    unsafe fn unregisterEventHandler(&self, handler: *mut IEventHandler) -> tresult {
        self.handlers.lock().unwrap().retain(|(known, _)| known.as_ptr() != handler);
        kResultOk
    }

    unsafe fn registerTimer(&self, _: *mut ITimerHandler, _: TimerInterval) -> tresult {
        kNotImplemented
    }

    unsafe fn unregisterTimer(&self, _: *mut ITimerHandler) -> tresult {
        kNotImplemented
    }
}

/// The view of the first class of a VST3 plug-in. It stays on the thread that made it.
pub struct Vst3View {
    view: ComPtr<IPlugView>,
    frame: ComWrapper<Frame>,
    /// Dropped after the view.
    component: ComPtr<IComponent>,
}

impl Vst3View {
    /// The view from a factory that is linked into this program.
    ///
    /// # Safety
    /// `factory` must come from the plug-in's `GetPluginFactory`. This function takes over its reference.
    ///
    /// # Errors
    /// If there is no plug-in, or it has no view.
    pub unsafe fn linked(factory: *mut c_void) -> Result<Self, HostError> {
        let missing = HostError::Extension;
        // SAFETY: the caller passes a valid factory, and the plug-in's objects keep the rules of VST3.
        unsafe {
            let factory = ComPtr::from_raw(factory.cast::<IPluginFactory>()).ok_or(missing("factory"))?;
            let mut info: PClassInfo = std::mem::zeroed();
            let mut component: *mut c_void = ptr::null_mut();
            let iid = IComponent::IID;
            if factory.getClassInfo(0, &mut info) != kResultOk
                || factory.createInstance(info.cid.as_ptr(), iid.as_ptr().cast(), &mut component) != kResultOk
            {
                return Err(missing("component"));
            }
            let component = ComPtr::from_raw(component.cast::<IComponent>()).ok_or(missing("component"))?;
            component.initialize(ptr::null_mut());
            let controller = component.cast::<IEditController>().ok_or(missing("controller"))?;
            let view = ComPtr::from_raw(controller.createView(c"editor".as_ptr())).ok_or(missing("view"))?;
            let frame = ComWrapper::new(Frame::default());
            view.setFrame(frame.as_com_ref::<IPlugFrame>().map_or(ptr::null_mut(), |frame| frame.as_ptr()));
            Ok(Self { view, frame, component })
        }
    }

    /// Sets the scale (physical pixels per logical pixel). Returns true if the plug-in takes it.
    #[must_use]
    pub fn set_scale(&self, scale: f32) -> bool {
        let support = self.view.cast::<IPlugViewContentScaleSupport>();
        // SAFETY: a call without pointers.
        support.is_some_and(|support| unsafe { support.setContentScaleFactor(scale) } == kResultOk)
    }

    /// Size of the view; None if the plug-in does not give it.
    #[must_use]
    pub fn size(&self) -> Option<(u32, u32)> {
        let mut rect = ViewRect { left: 0, top: 0, right: 0, bottom: 0 };
        // SAFETY: the pointer is valid for the call.
        let result = unsafe { self.view.getSize(&mut rect) };
        (result == kResultOk).then_some(((rect.right - rect.left) as u32, (rect.bottom - rect.top) as u32))
    }

    /// True if the host may resize the view.
    #[must_use]
    pub fn can_resize(&self) -> bool {
        // SAFETY: a call without pointers.
        unsafe { self.view.canResize() == kResultOk }
    }

    /// The size that the plug-in would take if it were asked for this one; None if it does not give it.
    #[must_use]
    pub fn adjusted(&self, (width, height): (u32, u32)) -> Option<(u32, u32)> {
        let mut rect = ViewRect { left: 0, top: 0, right: width as i32, bottom: height as i32 };
        // SAFETY: the pointer is valid for the call.
        let result = unsafe { self.view.checkSizeConstraint(&mut rect) };
        (result == kResultOk).then_some((rect.right as u32, rect.bottom as u32))
    }

    /// Tells the plug-in the new size of its view. Returns true if the plug-in accepts it.
    #[must_use]
    pub fn set_size(&self, (width, height): (u32, u32)) -> bool {
        let mut rect = ViewRect { left: 0, top: 0, right: width as i32, bottom: height as i32 };
        // SAFETY: the pointer is valid for the call.
        unsafe { self.view.onSize(&mut rect) == kResultOk }
    }

    /// Opens the plug-in's window inside `parent`, a window of the X Window System that has to exist until [`Self::remove`].
    /// Returns true if it opens.
    #[must_use]
    pub fn attach(&self, parent: u32) -> bool {
        // SAFETY: VST3 wants the number of the window as the pointer.
        unsafe { self.view.attached(ptr::without_provenance_mut(parent as usize), kPlatformTypeX11EmbedWindowID) == kResultOk }
    }

    /// Closes the window.
    pub fn remove(&self) {
        // SAFETY: a call without pointers.
        unsafe { self.view.removed() };
    }

    /// Calls all event handlers of the plug-in, as a host's event loop does.
    pub fn run_event_loop(&self) {
        let handlers = self.frame.handlers.lock().unwrap().clone();
        // SAFETY: a reference to each handler is held, and a handler may be called without anything to read.
        handlers.iter().for_each(|(handler, file)| unsafe { handler.onFDIsSet(*file) });
    }

    /// The sizes that the plug-in asked for, in their order.
    #[must_use]
    pub fn requested_sizes(&self) -> Vec<(u32, u32)> {
        self.frame.requested_sizes.lock().unwrap().clone()
    }
}

impl Drop for Vst3View {
    fn drop(&mut self) {
        // SAFETY: calls in the order of the standard; the view forgets the frame before both are freed.
        unsafe {
            self.view.setFrame(ptr::null_mut());
            self.component.terminate();
        }
    }
}
