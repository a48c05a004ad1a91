//! The content of the editor's window: the panels of `ui` over the plug-in's instance.
//!
//! Files that are dropped on the window do not reach the panels yet, as egui-baseview (0.9) does not pass them on.

use std::sync::{Arc, Mutex, PoisonError};

use nice_plug::context::gui::GuiContext;
use nice_plug::prelude::*;
use nice_plug_egui::{Frame, NiceEguiApp, RepaintNotifier, baseview};

#[cfg(target_os = "linux")]
use super::geometry;
use super::params::{HostGestures, HostParameters};
use crate::algorithm::REGISTRY;
use crate::instance::InstanceControls;
use crate::ui::{Editor, ViewWatch, WatchedView};
use crate::view::{Controls, InstanceView};

/// Calls `with` with the controls over the instance, which tell the host of each gesture. [control thread]
fn with_controls<R>(parameters: &HostParameters, context: &GuiContext, with: impl FnOnce(&dyn Controls) -> R) -> R {
    let gestures = HostGestures { parameters, setter: context.param_setter() };
    with(&InstanceControls { shared: parameters.shared(), gestures: &gestures, on_take: None })
}

/// The panels with the state that they keep while their window is closed.
pub struct EditorPanels(Editor);

impl Default for EditorPanels {
    fn default() -> Self {
        Self(Editor::new(REGISTRY))
    }
}

impl EditorPanels {
    /// Ends a gesture that was going on when the window was closed. [control thread]
    pub fn close(&mut self, parameters: &HostParameters, context: &GuiContext) {
        with_controls(parameters, context, |controls| self.0.close(controls));
    }
}

/// The app that egui runs in the open window.
pub struct EditorApp {
    parameters: Arc<HostParameters>,
    panels: Arc<Mutex<EditorPanels>>,
    notifier: RepaintNotifier,
    /// The host's side and the watch for changes; None before the window is built.
    open: Option<(GuiContext, ViewWatch<WindowContents>)>,
    /// True if the panel of listening tests was open in the last frame.
    listens: bool,
}

impl EditorApp {
    /// An app for a window that is not built yet. [control thread]
    pub fn new(parameters: Arc<HostParameters>, panels: Arc<Mutex<EditorPanels>>, notifier: RepaintNotifier) -> Self {
        Self { parameters, panels, notifier, open: None, listens: false }
    }
}

/// The contents of the window: two that are equal look the same.
#[derive(Clone)]
struct WindowContents {
    view: InstanceView,
    /// The generation of the parameters' values.
    generation: u32,
}

impl WatchedView for WindowContents {
    fn absorb(&mut self, earlier: &Self) {
        self.view.absorb(&earlier.view);
    }

    fn is_shown_by(&self, shown: &Self) -> bool {
        // During a listening test no value of a parameter is shown.
        let is_test = self.view.listen.is_blind() && shown.view.listen.is_blind();
        (is_test || self.generation == shown.generation) && self.view.is_shown_by(&shown.view)
    }
}

impl NiceEguiApp for EditorApp {
    fn build(&mut self, _: egui::Context, context: GuiContext, frame: &mut Frame) -> Result<(), baseview::HandlerError> {
        // The builder thread is started here, too, so that models can be opened before sound runs.
        if let Err(error) = self.parameters.shared().open_builder() {
            nice_error!("no thread to read models on: {error}");
        }
        #[cfg(target_os = "linux")]
        if let Err(error) = geometry::mark_embeddable(frame.baseview_window()) {
            nice_error!("the window is not marked as one to be embedded: {error}");
        }
        #[cfg(not(target_os = "linux"))]
        let _ = frame;
        let (parameters, notifier) = (self.parameters.clone(), self.notifier.clone());
        let read_view = move || {
            let shared = parameters.shared();
            WindowContents { view: shared.view(), generation: shared.parameters.generation() }
        };
        self.open = Some((context, ViewWatch::start(read_view, move || notifier.request_repaint())?));
        Ok(())
    }

    fn ui(&mut self, ui: &mut egui::Ui, _: &mut Frame) {
        let Some((context, watch)) = &self.open else { return };
        let contents = watch.frame();
        let listens = contents.view.listen.is_open;
        if listens && !std::mem::replace(&mut self.listens, listens) {
            // The host may let the plug-in sleep, as it does in silence; a test plays in silence.
            context.request_process();
        }
        self.listens = listens;
        let mut panels = self.panels.lock().unwrap_or_else(PoisonError::into_inner);
        with_controls(&self.parameters, context, |controls| panels.0.show(ui, controls, &contents.view));
    }

    fn resized(&mut self, size: baseview::WindowSize) {
        self.parameters.window.update(size);
    }
}
