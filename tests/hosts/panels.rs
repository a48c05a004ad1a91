//! The plug-in's panels in a picture that nobody sees: where a window has its controls, and what clicks on them set.

use std::collections::BTreeMap;

use egui::{Pos2, Rect, UiBuilder, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use isotherm::algorithm::REGISTRY;
use isotherm::plugin::Rack;
use isotherm::ui::{Editor, SIZE};

/// A new instance's panels.
pub struct Panels(Harness<'static, (Editor, Rack)>);

impl Default for Panels {
    fn default() -> Self {
        let size = vec2(SIZE.0 as f32, SIZE.1 as f32);
        let harness = Harness::builder().with_size(size).build_ui_state(
            move |ui, (editor, rack): &mut (Editor, Rack)| {
                // The harness keeps a margin, which a window does not have.
                let whole = Rect::from_min_size(Pos2::ZERO, size);
                let mut ui = ui.new_child(UiBuilder::new().max_rect(whole));
                ui.set_clip_rect(whole);
                let snapshot = rack.snapshot();
                rack.with_controls(&|_| {}, |controls| editor.show(&mut ui, controls, &snapshot));
            },
            (Editor::new(REGISTRY), Rack::default()),
        );
        let mut panels = Self(harness);
        panels.0.run();
        panels
    }
}

impl Panels {
    /// In a window of the editor's size at scale 1.
    pub fn area(&self, label: &str) -> Rect {
        self.0.get_by_label(label).rect()
    }

    pub fn has(&self, label: &str) -> bool {
        self.0.query_by_label(label).is_some()
    }

    pub fn click(&mut self, label: &str) {
        self.0.get_by_label(label).click();
        self.0.run();
    }

    /// Values of all parameters by their ids.
    pub fn values(&self) -> BTreeMap<String, f32> {
        self.0.state().1.state().parameters
    }
}
