//! The plug-in's panels without a window: they give the positions of the controls, and the values that clicks on them set.

use std::collections::BTreeMap;

use egui::{Pos2, Rect, UiBuilder, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use isotherm::algorithm::REGISTRY;
use isotherm::instance::Instance;
use isotherm::ui::{Editor, SIZE};

/// The panels of a new instance.
pub struct Panels(Harness<'static, (Editor, Instance)>);

impl Default for Panels {
    fn default() -> Self {
        let size = vec2(SIZE.0 as f32, SIZE.1 as f32);
        let harness = Harness::builder().with_size(size).build_ui_state(
            move |ui, (editor, instance): &mut (Editor, Instance)| {
                // The whole area is used, as a window has no margin; the harness has one.
                let whole = Rect::from_min_size(Pos2::ZERO, size);
                let mut ui = ui.new_child(UiBuilder::new().max_rect(whole));
                ui.set_clip_rect(whole);
                let snapshot = instance.view();
                instance.with_controls(&|_| {}, |controls| editor.show(&mut ui, controls, &snapshot));
            },
            (Editor::new(REGISTRY), Instance::default()),
        );
        let mut panels = Self(harness);
        panels.0.run();
        panels
    }
}

impl Panels {
    /// The area of the control with a label, in a window of the editor's size at scale 1.
    pub fn area(&self, label: &str) -> Rect {
        self.0.get_by_label(label).rect()
    }

    /// True if there is a control with a label.
    pub fn has(&self, label: &str) -> bool {
        self.0.query_by_label(label).is_some()
    }

    /// Clicks the control with a label.
    pub fn click(&mut self, label: &str) {
        self.0.get_by_label(label).click();
        self.0.run();
    }

    /// The plain values of all parameters, by their ids.
    pub fn values(&self) -> BTreeMap<String, f32> {
        self.0.state().1.state().parameters
    }
}
