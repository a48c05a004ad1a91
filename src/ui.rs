//! The panels of the windows, drawn with egui from plain data. They know neither a plug-in framework nor a device.
//!
//! The owner of a window implements [`Controls`] over its values, fills an [`InstanceView`] for each frame and calls
//! [`Editor::show`]. Everything here runs on the thread that draws the window. [control thread]

mod gestures;
mod header;
mod hold_button;
mod knob;
mod listen_panel;
mod meter;
mod model_browser;
mod program;
mod slot_card;
mod take_panel;
mod theme;
mod twin_bar;
mod view_watch;
mod widgets;

use std::sync::Arc;
use std::time::Duration;

use egui::{Rect, ScrollArea, Sense, Ui, UiBuilder, pos2, vec2};

use crate::dsp::Algorithm;
use crate::view::{
    BlindView, ChannelLevel, Control, Controls, InstanceView, ListenAction, ModelView, Slot, TakeAction, TwinRequest,
};
use gestures::Gestures;
use listen_panel::ListenPanel;
use meter::MeterBank;
pub use program::{
    DeviceSetup, DeviceStage, DeviceView, LogLine, PROGRAM_SIZE, Program, ProgramAction, ProgramView, StripView,
    UnfinishedTakeView,
};
use slot_card::CardView;
pub use take_panel::TakePanel;
pub use view_watch::{ViewWatch, WatchedView};

/// Width and height in logical pixels that the editor's layout is made for: two slot cards with four columns of knobs each, and
/// the whole card of a model without scrolling, between the recorder's bar and the twin's bar.
pub const SIZE: (u32, u32) = (900, 726);
/// Width and height in logical pixels below which the whole window scrolls instead of only the slot cards.
pub const MIN_SIZE: (u32, u32) = (640, 462);
/// Largest useful width and height in logical pixels.
pub const MAX_SIZE: (u32, u32) = (2 * SIZE.0, 2 * SIZE.1);

impl ModelView {
    /// True if `other` looks the same. Models and folders are compared by their addresses.
    fn is_same(&self, other: &Self) -> bool {
        fn same<T>(a: Option<&Arc<T>>, b: Option<&Arc<T>>) -> bool {
            a.map(Arc::as_ptr) == b.map(Arc::as_ptr)
        }
        same(self.model.as_ref(), other.model.as_ref())
            && same(self.folder.as_ref(), other.folder.as_ref())
            && (self.loading, &self.error, self.can_step) == (other.loading, &other.error, other.can_step)
            && self.uses_without_model == other.uses_without_model
    }
}

impl WatchedView for InstanceView {
    fn absorb(&mut self, earlier: &Self) {
        for (levels, earlier) in [(&mut self.input, &earlier.input), (&mut self.output, &earlier.output)] {
            levels.iter_mut().zip(earlier).for_each(|(level, earlier)| level.absorb(earlier));
        }
        self.take.absorb(&earlier.take);
    }

    fn is_shown_by(&self, shown: &Self) -> bool {
        // Without `..`, so that a new field cannot be forgotten here.
        let Self { channels, input, output, sample_rate, latency_frames, load, blind, models, twin, take, listen } = self;
        // During a listening test nothing else is shown, but for the bar of a take that is being recorded.
        if listen.is_blind() && shown.listen.is_blind() {
            let take_same = take.recording == shown.take.recording && (!take.recording || take.is_shown_by(&shown.take));
            return take_same && listen.is_shown_by(&shown.listen);
        }
        let same = *channels == shown.channels
            && sample_rate.to_bits() == shown.sample_rate.to_bits()
            && *latency_frames == shown.latency_frames
            && *blind == shown.blind
            && take.is_shown_by(&shown.take)
            && listen.is_shown_by(&shown.listen);
        // In a blind comparison everything else is hidden; the times at which the window is painted must not give it away either.
        let hidden = *blind == BlindView::Hidden;
        let models_same = || models.iter().zip(&shown.models).all(|(model, shown)| model.is_same(shown));
        let meters_rest = || meter::is_at_rest(input, &shown.input) && meter::is_at_rest(output, &shown.output);
        let load_same = || header::load_text(*load) == header::load_text(shown.load);
        same && (hidden || *twin == shown.twin && load_same() && models_same() && meters_rest())
    }
}

impl ChannelLevel {
    /// Merges in an earlier level that was read and not shown.
    fn absorb(&mut self, earlier: &Self) {
        self.peak = self.peak.max(earlier.peak);
        self.clipped |= earlier.clipped;
    }

    /// True if a meter that has reached the level `shown` would not move visibly for this level. Levels below `floor_db` count as
    /// equal, and so do levels that differ by at most `visible_db`. A lower peak counts as no movement if the RMS level stays.
    fn is_at_rest(&self, shown: &Self, floor_db: f32, visible_db: f32) -> bool {
        let db = |level: f32| if level > 0.0 { (20.0 * level.log10()).clamp(floor_db, 99.9) } else { floor_db };
        (db(self.rms) - db(shown.rms)).abs() <= visible_db
            && db(self.peak) <= db(shown.peak) + visible_db
            && (shown.clipped || !self.clipped)
    }
}

/// The editor: its panels, and the state that only they have, such as meter positions, the folded card and gestures under way.
pub struct Editor {
    registry: &'static [&'static Algorithm],
    gestures: Gestures,
    input_meters: MeterBank,
    output_meters: MeterBank,
    /// The slot whose card is folded; None if both are open.
    folded: Option<Slot>,
    /// The listen button, 0 (X) or 1 (Y), that was pressed last in the running blind comparison.
    pressed_side: Option<u8>,
    /// The model browser of one slot, if it is open.
    browser: Option<model_browser::ModelBrowser>,
    /// Size of the next twin: index in [`TWIN_SIZES`](crate::view::TWIN_SIZES).
    twin_size: usize,
    take_panel: TakePanel,
    listen_panel: ListenPanel,
    /// True if the panel of listening tests was open in the last frame, perhaps behind another panel.
    listens: bool,
    /// Time of the last frame, in seconds of the window.
    last_frame: f64,
    /// True if nothing moved in the last frame, which therefore requested no further frame.
    is_at_rest: bool,
}

/// Time between two frames while something moves: about 30 a second, as fast as an eye follows a level meter.
const FRAME_INTERVAL: Duration = Duration::from_millis(33);
/// Space around and between panels.
const GAP: f32 = 10.0;

impl Editor {
    /// Makes the panels. A slot's algorithm is an index in `registry`. [control thread]
    #[must_use]
    pub fn new(registry: &'static [&'static Algorithm]) -> Self {
        Self {
            registry,
            gestures: Gestures::default(),
            input_meters: MeterBank::default(),
            output_meters: MeterBank::default(),
            folded: None,
            pressed_side: None,
            browser: None,
            twin_size: 0,
            take_panel: TakePanel::default(),
            listen_panel: ListenPanel::default(),
            listens: false,
            last_frame: 0.0,
            is_at_rest: false,
        }
    }

    /// The panels of a program of its own, which has no host that keeps keys. [control thread]
    fn without_host(mut self) -> Self {
        self.listen_panel.has_no_host = true;
        self
    }

    /// Draws one frame into all of `ui`'s space and passes the user's actions on to `controls`. While something moves it requests
    /// the next frame; when nothing does, the owner's [`ViewWatch`] tells when there is something new to show. [control thread]
    pub fn show(&mut self, ui: &mut Ui, controls: &dyn Controls, view: &InstanceView) {
        self.draw_frame(ui, controls, view, |editor, ui, hidden| editor.draw_window(ui, controls, view, hidden, true));
    }

    /// Draws one frame as [`Self::show`] does, but the recorder's bar and its panel apart from the other panels: into the first and
    /// the second of `rects`. The third has the other panels, unless the recorder's panel is open. [control thread]
    fn show_apart(&mut self, ui: &mut Ui, controls: &dyn Controls, view: &InstanceView, rects: [Rect; 3]) {
        let [bar, panel, others] = rects;
        let shows_panel = self.shows_take_panel(controls, view);
        self.draw_frame(ui, controls, view, |editor, ui, hidden| {
            let action = editor.take_panel.draw_bar(ui, bar, &view.take);
            editor.send_take_action(controls, action);
            if shows_panel {
                let action = editor.take_panel.draw_panel(ui, panel, &view.take);
                editor.send_take_action(controls, action);
                return;
            }
            let mut ui = ui.new_child(UiBuilder::new().max_rect(others).id_salt("editor"));
            ui.set_clip_rect(others.intersect(ui.clip_rect()));
            editor.draw_window(&mut ui, controls, view, hidden, false);
        });
    }

    /// True if the panel with the setup of takes is shown: it is open, and neither a blind comparison nor a listening test hides it.
    fn shows_take_panel(&self, controls: &dyn Controls, view: &InstanceView) -> bool {
        self.take_panel.is_open() && !view.listen.is_blind() && !is_hidden(controls, view)
    }

    /// True if the panel of listening tests is shown. A test that runs hides everything else, and can be hidden by nothing.
    fn shows_listen_panel(&self, view: &InstanceView, hidden: bool) -> bool {
        view.listen.is_blind() || view.listen.is_open && !hidden && !self.take_panel.is_open()
    }

    /// Draws one frame with `draw`, which gets true in a blind comparison: before it the meters follow the levels, after it the
    /// gestures end that have no control any more.
    fn draw_frame(
        &mut self,
        ui: &mut Ui,
        controls: &dyn Controls,
        view: &InstanceView,
        draw: impl FnOnce(&mut Self, &mut Ui, bool),
    ) {
        theme::apply(ui);
        let now = ui.input(|i| i.time);
        let seconds = meter_seconds(now - self.last_frame, self.is_at_rest);
        self.last_frame = now;
        self.gestures.begin_frame(ui);

        self.listens = view.listen.is_open;
        let is_test = view.listen.is_blind();
        let hidden = !is_test && is_hidden(controls, view);
        if hidden || is_test {
            self.input_meters.reset();
            self.output_meters.reset();
        } else {
            self.pressed_side = None;
            // Playing a trained twin changes slot B, which would end a blind comparison. So it is requested only outside of one.
            if view.twin.play_pending {
                twin_bar::send_request(&mut self.gestures, controls, TwinRequest::PlayInB);
            }
            self.gestures.needs_frame |= self.input_meters.update(&view.input, seconds);
            self.gestures.needs_frame |= self.output_meters.update(&view.output, seconds);
        }

        // During a listening test the frames must not come with the levels of stems.
        self.gestures.needs_frame |= if is_test { view.take.recording } else { self.take_panel.needs_frames(&view.take) };
        if !self.shows_listen_panel(view, hidden) {
            self.listen_panel.hide();
        }
        draw(self, ui, hidden);
        self.gestures.end_frame(ui, controls);
        self.is_at_rest = !self.gestures.needs_frame;
        if !self.is_at_rest {
            ui.ctx().request_repaint_after(FRAME_INTERVAL);
        }
    }

    /// Draws the panels into all of `ui`'s space, which scrolls if it is small. `hidden` is true in a blind comparison, `has_bar` if
    /// the recorder's bar and its panel are among them.
    fn draw_window(&mut self, ui: &mut Ui, controls: &dyn Controls, view: &InstanceView, hidden: bool, has_bar: bool) {
        let window = ui.available_rect_before_wrap();
        ui.painter().rect_filled(window, 0, theme::BACKGROUND);
        let min_size = vec2(MIN_SIZE.0 as f32, MIN_SIZE.1 as f32);
        if window.width() >= min_size.x && window.height() >= min_size.y {
            self.draw_panels(ui, window, controls, view, [hidden, has_bar, true]);
        } else {
            ScrollArea::both().id_salt("window").auto_shrink(false).show(ui, |ui| {
                // The cards are not in a scroll area of their own here: an inner one would use up the request to scroll a focused
                // knob into view, which the outer one needs.
                let bar = if has_bar { take_panel::BAR_HEIGHT + GAP } else { 0.0 };
                let above = header::HEIGHT + bar + twin_bar::HEIGHT + 4.0 * GAP;
                let cards = if hidden || self.shows_listen_panel(view, hidden) {
                    0.0
                } else {
                    self.cards_height(min_size.x - 2.0 * GAP - self.meters_width(), controls, &view.models)
                };
                let size = window.size().max(vec2(min_size.x, min_size.y.max(above + cards)));
                let (rect, _) = ui.allocate_exact_size(size, Sense::hover());
                self.draw_panels(ui, rect, controls, view, [hidden, has_bar, false]);
            });
        }
    }

    /// Ends a gesture that is still under way. The owner calls it when its window closes; the editor may then be shown again in
    /// another window and egui context. [control thread]
    pub fn close(&mut self, controls: &dyn Controls) {
        self.gestures.end_drag(controls);
        self.gestures = Gestures::default();
        self.browser = None;
        self.take_panel.close();
        // The panel's memory is kept only while it is in use. A test that runs is left, and can be resumed.
        if self.listens {
            controls.listen(ListenAction::Close);
        }
        self.listens = false;
        self.listen_panel.hide();
        self.last_frame = 0.0;
    }

    /// Returns the index of a slot's algorithm in the registry; None if the registry is empty.
    fn algorithm_index(&self, controls: &dyn Controls, slot: Slot) -> Option<usize> {
        let last = self.registry.len().checked_sub(1)?;
        // `as` saturates: NaN and negative values become 0, and large values `usize::MAX`.
        Some((controls.get(Control::Algorithm(slot)).round() as usize).min(last))
    }

    /// Draws all panels into `rect`: header, recorder's bar if `has_bar`, slot cards or take panel, meters, twin's bar. `hidden` is
    /// true in a blind comparison, which hides all but the header and the recorder's bar. If `scrolls`, cards that are too high
    /// for their area scroll.
    fn draw_panels(
        &mut self,
        ui: &mut Ui,
        rect: Rect,
        controls: &dyn Controls,
        view: &InstanceView,
        [hidden, has_bar, scrolls]: [bool; 3],
    ) {
        let rect = rect.shrink(GAP);
        let (header, body) = rect.split_top_bottom_at_y(rect.top() + header::HEIGHT);
        let mut body = body.with_min_y(body.top() + GAP);
        self.draw_header(ui, header, controls, view, hidden);
        let is_test = view.listen.is_blind();
        if has_bar && (!is_test || view.take.recording) {
            let (bar, below) = body.split_top_bottom_at_y(body.top() + take_panel::BAR_HEIGHT);
            let action = self.take_panel.draw_bar(ui, bar, &view.take);
            self.send_take_action(controls, action);
            body = below.with_min_y(below.top() + GAP);
        }
        if hidden {
            draw_hidden_notice(ui, body);
            return;
        }
        if self.shows_listen_panel(view, hidden) {
            let mut panel = body;
            if !is_test {
                let (left, meters) = body.split_left_right_at_x(body.right() - self.meters_width());
                meter::show(ui, &mut self.gestures, meters, &mut self.input_meters, &mut self.output_meters, view.channels);
                panel = left.with_max_x(left.right() - GAP);
            }
            let actions = self.listen_panel.show(ui, panel, &view.listen);
            self.send_listen_actions(controls, actions);
            return;
        }
        let (body, twin_bar) = body.split_top_bottom_at_y(body.bottom() - twin_bar::HEIGHT - GAP);
        let twin_bar = twin_bar.with_min_y(twin_bar.top() + GAP);
        let a_plays_model = self.algorithm_index(controls, Slot::A).is_some_and(|a| self.registry[a].plays_model);
        twin_bar::show(ui, &mut self.gestures, controls, twin_bar, &view.twin, a_plays_model, &mut self.twin_size);
        let (cards, meters) = body.split_left_right_at_x(body.right() - self.meters_width());
        meter::show(ui, &mut self.gestures, meters, &mut self.input_meters, &mut self.output_meters, view.channels);
        if has_bar && self.take_panel.is_open() {
            let action = self.take_panel.draw_panel(ui, cards.with_max_x(cards.right() - GAP), &view.take);
            self.send_take_action(controls, action);
            return;
        }
        if scrolls {
            let mut ui = ui.new_child(UiBuilder::new().max_rect(cards).id_salt("cards"));
            ScrollArea::vertical().auto_shrink(false).show(&mut ui, |ui| {
                let height = self.cards_height(cards.width(), controls, &view.models).max(cards.height());
                let (rect, _) = ui.allocate_exact_size(vec2(cards.width(), height), Sense::hover());
                self.draw_cards(ui, rect, controls, view);
            });
        } else {
            self.draw_cards(ui, cards, controls, view);
        }
    }

    /// Passes an action of the take panel on to the owner of the window.
    fn send_take_action(&mut self, controls: &dyn Controls, action: Option<TakeAction>) {
        if let Some(action) = action {
            // The owner may answer with a gesture of its own, and gestures must not nest.
            self.gestures.end_drag(controls);
            self.gestures.needs_frame = true;
            controls.request_take(action);
        }
    }

    /// Passes actions of the panel of listening tests on to the owner of the window.
    fn send_listen_actions(&mut self, controls: &dyn Controls, actions: Vec<ListenAction>) {
        if !actions.is_empty() {
            self.gestures.end_drag(controls);
            self.gestures.needs_frame = true;
        }
        actions.into_iter().for_each(|action| controls.listen(action));
    }

    fn meters_width(&self) -> f32 {
        meter::width(self.input_meters.len().max(self.output_meters.len()))
    }

    /// Returns the widths of both cards in an area that is `width` wide. There is one gap between them, and one on the right for
    /// the scroll bar.
    fn card_widths(&self, width: f32) -> [f32; 2] {
        let both = width - 2.0 * GAP;
        match self.folded {
            None => [both / 2.0; 2],
            Some(Slot::A) => [slot_card::FOLDED_WIDTH, both - slot_card::FOLDED_WIDTH],
            Some(Slot::B) => [both - slot_card::FOLDED_WIDTH, slot_card::FOLDED_WIDTH],
        }
    }

    /// Returns the height that the cards need in an area that is `width` wide.
    fn cards_height(&self, width: f32, controls: &dyn Controls, models: &[ModelView; 2]) -> f32 {
        let open = Slot::ALL.into_iter().zip(self.card_widths(width)).filter(|(slot, _)| self.folded != Some(*slot));
        let heights = open.filter_map(|(slot, width)| {
            let algorithm = self.registry[self.algorithm_index(controls, slot)?];
            let model = &models[usize::from(slot == Slot::B)];
            Some(slot_card::height(algorithm, model, width, self.is_browsing(slot)))
        });
        heights.fold(0.0, f32::max)
    }

    /// True if the model browser of a slot is open.
    fn is_browsing(&self, slot: Slot) -> bool {
        self.browser.as_ref().is_some_and(|b| b.slot == slot)
    }

    /// Draws both cards side by side.
    fn draw_cards(&mut self, ui: &mut Ui, area: Rect, controls: &dyn Controls, view: &InstanceView) {
        let widths = self.card_widths(area.width());
        let lefts = [area.left(), area.left() + widths[0] + GAP];
        let audible = if controls.get(Control::Listen) >= 0.5 { Slot::B } else { Slot::A };
        let folded = self.folded;
        let mut model_cards = Vec::new();
        for (((slot, left), width), model) in Slot::ALL.into_iter().zip(lefts).zip(widths).zip(&view.models) {
            let card = CardView {
                slot,
                registry: self.registry,
                algorithm: self.algorithm_index(controls, slot),
                folded: folded == Some(slot),
                audible: audible == slot,
                model,
                channels: view.channels,
            };
            let rect = Rect::from_min_size(pos2(left, area.top()), vec2(width, area.height()));
            if card.algorithm.is_some_and(|a| self.registry[a].plays_model) {
                model_cards.push((slot, rect));
            } else if self.is_browsing(slot) {
                self.browser = None;
            }
            if slot_card::show(ui, &mut self.gestures, controls, rect, &card, &mut self.browser) {
                // At most one card is folded: folding the second opens the first.
                self.folded = if card.folded { None } else { Some(slot) };
                self.gestures.needs_frame = true;
            }
        }
        self.handle_dropped_files(ui, controls, &model_cards);
    }

    /// Loads a model file that is dropped on the window. While the file is dragged, marks the card that would get it: the card
    /// under the pointer if its algorithm plays a model, otherwise the first card whose algorithm does.
    fn handle_dropped_files(&mut self, ui: &Ui, controls: &dyn Controls, model_cards: &[(Slot, Rect)]) {
        let (is_dragged, dropped, pointer) = ui.input(|i| {
            let dropped = i.raw.dropped_files.first().map(|f| f.path().to_owned());
            (!i.raw.hovered_files.is_empty(), dropped, i.pointer.latest_pos())
        });
        if !is_dragged && dropped.is_none() {
            return;
        }
        let under_pointer = model_cards.iter().find(|(_, rect)| pointer.is_some_and(|at| rect.contains(at)));
        let Some((slot, rect)) = under_pointer.or(model_cards.first()) else { return };
        self.gestures.needs_frame = true;
        match dropped {
            Some(path) => model_browser::load_dropped_file(&mut self.gestures, controls, *slot, &path),
            None => model_browser::draw_drop_mark(ui, *rect, *slot),
        }
    }
}

/// True in a blind comparison. One that has just been switched on hides the slots even if the audio thread has not started it yet.
fn is_hidden(controls: &dyn Controls, view: &InstanceView) -> bool {
    match view.blind {
        BlindView::Hidden => true,
        BlindView::Off => controls.get(Control::Blind) >= 0.5,
        BlindView::Revealed { .. } => false,
    }
}

/// Returns the seconds for which meters move in a frame `elapsed` seconds after the previous one: at most one second, as
/// meters need not be exact after a longer pause. Meters that were at rest begin to move only now, so they move for at most one
/// frame interval.
fn meter_seconds(elapsed: f64, was_at_rest: bool) -> f32 {
    let longest = if was_at_rest { FRAME_INTERVAL.as_secs_f64() } else { 1.0 };
    elapsed.clamp(0.0, longest) as f32
}

/// Draws the notice that replaces the panels during a blind comparison.
fn draw_hidden_notice(ui: &mut Ui, rect: Rect) {
    ui.painter().rect_filled(rect, theme::RADIUS, theme::CARD);
    let text = "Blind comparison: X and Y are A and B in an order that you do not know.\nListen, decide, then reveal.";
    let rect = Rect::from_center_size(rect.center(), vec2(rect.width() - 40.0, 60.0));
    ui.put(rect, egui::Label::new(egui::RichText::new(text).color(theme::MUTED)).halign(egui::Align::Center));
}
