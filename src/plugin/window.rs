//! The window of the plug-in's editor, as the host handles it: its size and scale, resizing, and cleaning up when it is closed.

use std::error::Error;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

use nice_plug::context::gui::GuiContext;
use nice_plug::editor::dpi::{LogicalSize, NativeSize};
use nice_plug::editor::{EditorHandle, HostMethods, SpawnedEditor};
use nice_plug::prelude::{Editor, Modifiers, ParentWindowHandle, ResizeHint, VirtualKeyCode};
use nice_plug_egui::{EguiEditorHandle, EguiEditorState, EguiNiceSettings, RepaintNotifier, baseview, create_egui_editor};

use super::editor::{EditorApp, EditorPanels};
use super::geometry::GeometryState;
use super::params::HostParameters;
use crate::ui::{MAX_SIZE, MIN_SIZE};

const fn logical((width, height): (u32, u32)) -> LogicalSize<f32> {
    LogicalSize::new(width as f32, height as f32)
}

/// The sizes to which a host may resize the window.
const RESIZE_HINT: ResizeHint = ResizeHint::RESIZABLE.with_min_max_logical_size(Some(logical(MIN_SIZE)), Some(logical(MAX_SIZE)));

/// The scales of a window that are accepted: physical pixels per logical pixel.
const SCALES: RangeInclusive<f64> = 0.25..=8.0;

/// The reason why a request of the host on the window failed.
#[derive(Debug, thiserror::Error)]
pub enum WindowError {
    /// The window system refused it.
    #[error(transparent)]
    Window(#[from] baseview::Error),
    /// A scale is outside of [`SCALES`].
    #[error("a scale of {found}; expected {} to {}", SCALES.start(), SCALES.end())]
    Scale {
        /// The scale that the host asked for.
        found: f64,
    },
}

/// The plug-in's editor for nice-plug: opens the window. It takes the place of nice-plug-egui's own editor (0.6), which does not
/// know the scale of a window before its size has changed, keeps no size in the state, and does not tell when a window is closed.
pub struct PluginEditor {
    parameters: Arc<HostParameters>,
    panels: Arc<Mutex<EditorPanels>>,
}

impl PluginEditor {
    pub(super) fn new(parameters: Arc<HostParameters>) -> Self {
        Self { parameters, panels: Arc::default() }
    }
}

impl Editor for PluginEditor {
    type Handle = WindowHandle;

    fn spawn(
        &self,
        parent: Option<ParentWindowHandle>,
        wait_for_parent: bool,
        fallback_scale_factor: Option<f64>,
        context: GuiContext,
        host: Option<HostMethods>,
    ) -> Result<SpawnedEditor<WindowHandle>, Box<dyn Error>> {
        let (width, height) = self.parameters.window.state().logical;
        let size = LogicalSize::new(f64::from(width), f64::from(height));
        let state = EguiEditorState::from_size(size, 1.0);
        let notifier = RepaintNotifier::default();
        let app = EditorApp::new(self.parameters.clone(), self.panels.clone(), notifier.clone());
        let settings = EguiNiceSettings::default().with_resize_hint(RESIZE_HINT);
        let editor = create_egui_editor(state, notifier, settings, app).ok_or("no editor")?;
        let scale = fallback_scale_factor.filter(|scale| SCALES.contains(scale));
        let spawned = editor.spawn(parent, wait_for_parent, scale, context.clone(), host)?;
        // baseview (0.4) opens at the host's scale in a window that is as large as at scale 1.
        spawned.window.resize(size)?;
        self.parameters.window.update(spawned.window.size());
        let cleanup = WindowCleanup { parameters: self.parameters.clone(), panels: self.panels.clone(), context };
        let window = EditorWindow { window: spawned.window, _cleanup: cleanup };
        Ok(SpawnedEditor { handle: WindowHandle { inner: spawned.handle, parameters: self.parameters.clone() }, window })
    }

    /// The size of the open window; if none is open, the size that one would have at scale 1.
    fn size(&self) -> NativeSize<u32> {
        let GeometryState { logical: (width, height), open } = self.parameters.window.state();
        open.map_or(NativeSize::new(width, height), |(native, _)| native)
    }

    fn resize_hint(&self) -> ResizeHint {
        RESIZE_HINT
    }
}

/// The open window. Dropping it closes it.
pub struct EditorWindow {
    /// Dropped before `_cleanup`, and its drop waits for the window's thread.
    window: baseview::Window,
    _cleanup: WindowCleanup,
}

/// Dropped once the window is closed: ends gestures, notes the closing, and returns free memory.
struct WindowCleanup {
    parameters: Arc<HostParameters>,
    panels: Arc<Mutex<EditorPanels>>,
    context: GuiContext,
}

impl Drop for WindowCleanup {
    fn drop(&mut self) {
        self.panels.lock().unwrap_or_else(PoisonError::into_inner).close(&self.parameters, &self.context);
        self.parameters.window.closed();
        trim_heap();
    }
}

/// Returns free heap memory to the system. The threads of a window and of a software renderer have heaps of their own, which
/// glibc would keep for later threads.
fn trim_heap() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `malloc_trim` takes glibc's own locks and moves no memory that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// The host's handle to the open window.
pub struct WindowHandle {
    inner: EguiEditorHandle,
    parameters: Arc<HostParameters>,
}

impl EditorHandle for WindowHandle {
    type Window = EditorWindow;
    type Error = WindowError;

    fn run_until_closed(window: EditorWindow) -> Result<(), Self::Error> {
        Ok(EguiEditorHandle::run_until_closed(window.window)?)
    }

    fn set_parent(&self, parent: ParentWindowHandle, window: &EditorWindow) -> Result<(), Self::Error> {
        Ok(self.inner.set_parent(parent, &window.window)?)
    }

    fn show(&self, window: &EditorWindow) -> Result<(), Self::Error> {
        Ok(self.inner.show(&window.window)?)
    }

    fn hide(&self, window: &EditorWindow) -> Result<(), Self::Error> {
        Ok(self.inner.hide(&window.window)?)
    }

    fn host_main_thread_callback(&self, window: &EditorWindow) {
        self.inner.host_main_thread_callback(&window.window);
    }

    fn set_size(&self, size: NativeSize<u32>, window: &EditorWindow) -> Result<(), Self::Error> {
        Ok(self.inner.set_size(size, &window.window)?)
    }

    fn set_fallback_scale_factor(&self, scale: f64, window: &EditorWindow) -> Result<(), Self::Error> {
        if !SCALES.contains(&scale) {
            return Err(WindowError::Scale { found: scale });
        }
        Ok(self.inner.set_fallback_scale_factor(scale, &window.window)?)
    }

    /// The nearest size that the window can have, at its current scale: baseview (0.4) itself keeps to the first scale.
    fn adjust_size(&self, size: NativeSize<u32>, _: &EditorWindow) -> Option<NativeSize<u32>> {
        let (now, scale) = self.parameters.window.state().open?;
        Some(RESIZE_HINT.adjust_size(size, now, scale))
    }

    fn on_virtual_key_from_host(&self, key: VirtualKeyCode, is_down: bool, modifiers: Modifiers) -> bool {
        self.inner.on_virtual_key_from_host(key, is_down, modifiers)
    }

    fn state_changed(&self) {
        self.inner.state_changed();
    }

    /// Does nothing, as the window's watch sees changed values.
    fn param_value_changed(&self, _: &str, _: f32) {}

    /// Does nothing, as the panels do not show modulation.
    fn param_modulation_changed(&self, _: &str, _: f32) {}
}
