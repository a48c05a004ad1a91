//! The editor's window: the panels of `ui` over this instance.
//!
//! egui-baseview (0.9) does not pass on the files that baseview sees dropped, so the panels get none in a plug-in's window yet.

use std::sync::{Arc, Mutex, PoisonError};

use nice_plug::context::gui::GuiContext;
use nice_plug::prelude::*;
use nice_plug_egui::{Frame, NiceEguiApp, RepaintNotifier, baseview};

#[cfg(target_os = "linux")]
use super::geometry;
use super::params::{HostGestures, HostParameters};
use crate::algorithm::REGISTRY;
use crate::instance::InstanceControls;
use crate::ui::{Editor, Look, Watch};
use crate::view::{Controls, Snapshot};

/// A user's hand on the instance; the host is told of each gesture.
fn with_controls<R>(parameters: &HostParameters, context: &GuiContext, with: impl FnOnce(&dyn Controls) -> R) -> R {
    let gestures = HostGestures { parameters, setter: context.param_setter() };
    with(&InstanceControls { shared: parameters.shared(), gestures: &gestures, takes: None })
}

/// What the panels keep while their window is closed.
pub struct Panels(Editor);

impl Default for Panels {
    fn default() -> Self {
        Self(Editor::new(REGISTRY))
    }
}

impl Panels {
    /// The window is gone: ends a gesture that was begun. [control thread]
    pub fn close(&mut self, parameters: &HostParameters, context: &GuiContext) {
        with_controls(parameters, context, |controls| self.0.close(controls));
    }
}

/// An open window.
pub struct App {
    parameters: Arc<HostParameters>,
    panels: Arc<Mutex<Panels>>,
    notifier: RepaintNotifier,
    open: Option<(GuiContext, Watch<Seen>)>,
}

impl App {
    pub fn new(parameters: Arc<HostParameters>, panels: Arc<Mutex<Panels>>, notifier: RepaintNotifier) -> Self {
        Self { parameters, panels, notifier, open: None }
    }
}

/// What a window shows: the audio side, and the generation of all values.
#[derive(Clone)]
struct Seen {
    snapshot: Snapshot,
    values: u32,
}

impl Look for Seen {
    fn absorb(&mut self, earlier: &Self) {
        self.snapshot.absorb(&earlier.snapshot);
    }

    fn is_shown_by(&self, shown: &Self) -> bool {
        self.values == shown.values && self.snapshot.is_shown_by(&shown.snapshot)
    }
}

impl NiceEguiApp for App {
    fn build(&mut self, _: egui::Context, context: GuiContext, frame: &mut Frame) -> Result<(), baseview::HandlerError> {
        // A model can be opened before there is sound.
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
        let look = move || Seen { snapshot: parameters.shared().snapshot(), values: parameters.shared().parameters.generation() };
        self.open = Some((context, Watch::start(look, move || notifier.request_repaint())?));
        Ok(())
    }

    fn ui(&mut self, ui: &mut egui::Ui, _: &mut Frame) {
        let Some((context, watch)) = &self.open else { return };
        let seen = watch.frame();
        let mut panels = self.panels.lock().unwrap_or_else(PoisonError::into_inner);
        with_controls(&self.parameters, context, |controls| panels.0.show(ui, controls, &seen.snapshot));
    }

    fn resized(&mut self, size: baseview::WindowSize) {
        self.parameters.window.is(size);
    }
}
