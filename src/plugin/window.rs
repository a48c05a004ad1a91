//! The editor's window as a host has it: how large it is, how it is resized, and what is left when it is closed.

use std::error::Error;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

use nice_plug::context::gui::GuiContext;
use nice_plug::editor::dpi::{LogicalSize, NativeSize};
use nice_plug::editor::{EditorHandle, HostMethods, SpawnedEditor};
use nice_plug::prelude::{Editor, Modifiers, ParentWindowHandle, ResizeHint, VirtualKeyCode};
use nice_plug_egui::{EguiEditorHandle, EguiEditorState, EguiNiceSettings, RepaintNotifier, baseview, create_egui_editor};

use super::editor::{App, Panels};
use super::geometry::State;
use super::params::HostParameters;
use crate::ui::{MAX_SIZE, MIN_SIZE};

const fn logical((width, height): (u32, u32)) -> LogicalSize<f32> {
    LogicalSize::new(width as f32, height as f32)
}

/// How a host may resize the window.
const HINT: ResizeHint = ResizeHint::RESIZABLE.with_min_max_logical_size(Some(logical(MIN_SIZE)), Some(logical(MAX_SIZE)));

/// The system's own pixels that a logical one may have.
const SCALES: RangeInclusive<f64> = 0.25..=8.0;

/// Why a host's wish was not fulfilled.
#[derive(Debug, thiserror::Error)]
pub enum WindowError {
    #[error(transparent)]
    Window(#[from] baseview::Error),
    #[error("a scale of {found}; expected {} to {}", SCALES.start(), SCALES.end())]
    Scale { found: f64 },
}

/// Opens the window. nice-plug-egui's own editor (0.6) does not know the scale of a window before its size has changed, keeps no
/// size in the state, and does not tell when a window is closed.
pub struct Opener {
    parameters: Arc<HostParameters>,
    panels: Arc<Mutex<Panels>>,
}

impl Opener {
    pub(super) fn new(parameters: Arc<HostParameters>) -> Self {
        Self { parameters, panels: Arc::default() }
    }
}

impl Editor for Opener {
    type Handle = Handle;

    fn spawn(
        &self,
        parent: Option<ParentWindowHandle>,
        wait_for_parent: bool,
        fallback_scale_factor: Option<f64>,
        context: GuiContext,
        host: Option<HostMethods>,
    ) -> Result<SpawnedEditor<Handle>, Box<dyn Error>> {
        let (width, height) = self.parameters.window.state().logical;
        let size = LogicalSize::new(f64::from(width), f64::from(height));
        let state = EguiEditorState::from_size(size, 1.0);
        let notifier = RepaintNotifier::default();
        let app = App::new(self.parameters.clone(), self.panels.clone(), notifier.clone());
        let settings = EguiNiceSettings::default().with_resize_hint(HINT);
        let editor = create_egui_editor(state, notifier, settings, app).ok_or("no editor")?;
        let scale = fallback_scale_factor.filter(|scale| SCALES.contains(scale));
        let spawned = editor.spawn(parent, wait_for_parent, scale, context.clone(), host)?;
        // baseview (0.4) opens at the host's scale in a window that is as large as at scale 1.
        spawned.window.resize(size)?;
        self.parameters.window.is(spawned.window.size());
        let end = End { parameters: self.parameters.clone(), panels: self.panels.clone(), context };
        let window = Window { window: spawned.window, _end: end };
        Ok(SpawnedEditor { handle: Handle { inner: spawned.handle, parameters: self.parameters.clone() }, window })
    }

    /// Of the open window; of one that is not open, as it would be where a logical pixel is one of the screen's.
    fn size(&self) -> NativeSize<u32> {
        let State { logical: (width, height), open } = self.parameters.window.state();
        open.map_or(NativeSize::new(width, height), |(native, _)| native)
    }

    fn resize_hint(&self) -> ResizeHint {
        HINT
    }
}

/// The window; dropped, it closes.
pub struct Window {
    /// Dropped first, which waits for its thread.
    window: baseview::Window,
    _end: End,
}

/// Puts away what the window leaves.
struct End {
    parameters: Arc<HostParameters>,
    panels: Arc<Mutex<Panels>>,
    context: GuiContext,
}

impl Drop for End {
    fn drop(&mut self) {
        self.panels.lock().unwrap_or_else(PoisonError::into_inner).close(&self.parameters, &self.context);
        self.parameters.window.closed();
        give_back();
    }
}

/// Gives the system the memory that is free. A window's thread and those of a software renderer have heaps of their own, which glibc
/// keeps for threads to come.
fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it takes glibc's own locks and moves nothing that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// The host's hand on the open window.
pub struct Handle {
    inner: EguiEditorHandle,
    parameters: Arc<HostParameters>,
}

impl EditorHandle for Handle {
    type Window = Window;
    type Error = WindowError;

    fn run_until_closed(window: Window) -> Result<(), Self::Error> {
        Ok(EguiEditorHandle::run_until_closed(window.window)?)
    }

    fn set_parent(&self, parent: ParentWindowHandle, window: &Window) -> Result<(), Self::Error> {
        Ok(self.inner.set_parent(parent, &window.window)?)
    }

    fn show(&self, window: &Window) -> Result<(), Self::Error> {
        Ok(self.inner.show(&window.window)?)
    }

    fn hide(&self, window: &Window) -> Result<(), Self::Error> {
        Ok(self.inner.hide(&window.window)?)
    }

    fn host_main_thread_callback(&self, window: &Window) {
        self.inner.host_main_thread_callback(&window.window);
    }

    fn set_size(&self, size: NativeSize<u32>, window: &Window) -> Result<(), Self::Error> {
        Ok(self.inner.set_size(size, &window.window)?)
    }

    fn set_fallback_scale_factor(&self, scale: f64, window: &Window) -> Result<(), Self::Error> {
        if !SCALES.contains(&scale) {
            return Err(WindowError::Scale { found: scale });
        }
        Ok(self.inner.set_fallback_scale_factor(scale, &window.window)?)
    }

    /// By the scale that the window has; baseview's own account of it (0.4) stays at the first one.
    fn adjust_size(&self, size: NativeSize<u32>, _: &Window) -> Option<NativeSize<u32>> {
        let (now, scale) = self.parameters.window.state().open?;
        Some(HINT.adjust_size(size, now, scale))
    }

    fn on_virtual_key_from_host(&self, key: VirtualKeyCode, is_down: bool, modifiers: Modifiers) -> bool {
        self.inner.on_virtual_key_from_host(key, is_down, modifiers)
    }

    fn state_changed(&self) {
        self.inner.state_changed();
    }

    /// Seen by the window's watch.
    fn param_value_changed(&self, _: &str, _: f32) {}

    /// Not shown.
    fn param_modulation_changed(&self, _: &str, _: f32) {}
}
