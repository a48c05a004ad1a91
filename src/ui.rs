//! The editor: panels over plain data. They know neither a plug-in framework nor a device.
//!
//! Whoever owns a window implements [`Controls`] over the values, fills a [`Snapshot`] once a frame and calls
//! [`Editor::show`]. Everything here runs on the interface thread. [control thread]

mod card;
mod choice;
mod hands;
mod header;
mod knob;
mod meter;
mod model;
mod program;
mod record;
mod theme;
mod twin;
mod watch;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use egui::{Rect, ScrollArea, Sense, Ui, UiBuilder, pos2, vec2};

use crate::dsp::{Algorithm, Index};
use hands::Hands;
use meter::Bank;
pub use program::{
    DeviceSetup, DeviceStage, DeviceView, LeftView, LogLine, PROGRAM_SIZE, Program, ProgramAction, ProgramView, StripView,
};
pub use record::{StemView, TakeAction, TakeLight, TakePanel, TakeSetup, TakeStart, TakeView};
pub use twin::{TWIN_SIZES, TwinSize, TwinStage, TwinView, TwinWish};
pub use watch::{Look, Watch};

/// Width and height in logical pixels that the layout is made for: two cards with four columns of knobs each, and all of a model's
/// card without scrolling, between the recorder's bar and the strip that trains.
pub const SIZE: (u32, u32) = (900, 690);
/// Width and height below which the whole window scrolls instead of only the cards.
pub const MIN_SIZE: (u32, u32) = (640, 462);
/// Width and height that more room is of no use to.
pub const MAX_SIZE: (u32, u32) = (2 * SIZE.0, 2 * SIZE.1);

/// One of the two places for an algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Slot {
    A,
    B,
}

impl Slot {
    /// Both, in the order of the screen.
    pub const ALL: [Self; 2] = [Self::A, Self::B];

    /// What a user reads.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
        }
    }

    const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// What can be turned or pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Control {
    /// Which slot is heard: 0 is A, 1 is B.
    Listen,
    /// 0 or 1.
    Bypass,
    /// 0 or 1.
    Blind,
    /// The slot's algorithm as its position in the registry.
    Algorithm(Slot),
    /// A parameter of one of the slot's algorithms; each algorithm keeps its values while another is chosen.
    Parameter {
        slot: Slot,
        /// Position in the registry.
        algorithm: usize,
        index: Index,
    },
}

/// Where values live. Values are plain (in the parameter's unit). One gesture is `begin`, `set`..., `end`: hosts record
/// automation by it. The editor never nests two gestures. [control thread]
pub trait Controls {
    /// The value now. Anything that is no value of the parameter is shown as the nearest one.
    fn get(&self, control: Control) -> f32;
    fn begin(&self, control: Control);
    fn set(&self, control: Control, value: f32);
    fn end(&self, control: Control);
    /// The left (0) or right (1) listen button was pressed, also if it was pressed already. Sets [`Control::Listen`]: to the
    /// slot of that name, or in a blind comparison to the slot that hides behind the button.
    fn press_listen(&self, side: u8);
    /// Show which slot was which in a blind comparison.
    fn reveal(&self);
    /// A file is to become the slot's model; a folder is to be listed in [`ModelView::folder`].
    fn open_model(&self, slot: Slot, path: &Path);
    /// The folder that was looked at last is to be listed anew.
    fn browse_models(&self, slot: Slot);
    /// The model so many places behind (or before, if negative) the one that was tried last in its folder, round and round.
    fn step_model(&self, slot: Slot, step: i32);
    /// The slot is to run without a model.
    fn clear_model(&self, slot: Slot);
    /// The training of slot A's twin.
    fn twin(&self, wish: TwinWish);
    /// Something is to be done with the recorder.
    fn take(&self, action: TakeAction);
}

/// What the audio side tells, once a frame of the window.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Channels that run; the first 32 have meters.
    pub channels: usize,
    /// One per channel.
    pub input: Vec<Level>,
    /// One per channel.
    pub output: Vec<Level>,
    /// In hertz; what is not finite and positive is "not known yet".
    pub sample_rate: f32,
    pub latency_frames: usize,
    /// Processing time as a share of real time, 0 to 1.
    pub load: f32,
    pub blind: BlindView,
    /// Of slot A and of slot B; shown where the slot's algorithm runs a model.
    pub models: [ModelView; 2],
    pub twin: TwinView,
    pub take: TakeView,
}

/// How a slot stands with its model.
#[derive(Clone, Debug, Default)]
pub struct ModelView {
    /// Nothing without a model.
    pub model: Option<Arc<ModelFacts>>,
    /// Something that was asked for is not done yet.
    pub loading: bool,
    /// Why the last thing that was asked for was not done, in one line.
    pub error: Option<String>,
    /// Whether a folder is known to step through.
    pub steps: bool,
    /// What the browser shows.
    pub folder: Option<Arc<FolderView>>,
    /// What names of model files end with, as a user reads it: `.nam or .json`.
    pub endings: &'static str,
}

impl ModelView {
    fn is_same(&self, other: &Self) -> bool {
        fn same<T>(a: Option<&Arc<T>>, b: Option<&Arc<T>>) -> bool {
            a.map(Arc::as_ptr) == b.map(Arc::as_ptr)
        }
        same(self.model.as_ref(), other.model.as_ref())
            && same(self.folder.as_ref(), other.folder.as_ref())
            && (self.loading, &self.error, self.steps) == (other.loading, &other.error, other.steps)
    }
}

/// What is known of a model. What its file does not say is absent.
#[derive(Clone, Debug, Default)]
pub struct ModelFacts {
    pub name: String,
    /// Where the file was; it may be gone.
    pub path: Option<PathBuf>,
    pub author: Option<String>,
    pub gear: Option<String>,
    pub architecture: String,
    /// Numbers that training found.
    pub parameters: usize,
    /// In hertz.
    pub sample_rate: f32,
    pub sample_rate_given: bool,
    pub loudness_db: Option<f32>,
    /// Error to signal ratio that the trainer measured.
    pub esr: Option<f32>,
    /// Measured on this machine: nanoseconds a sample and channel.
    pub cost_ns: Option<f32>,
    /// Delay and polarity as they were measured.
    pub delay: Option<String>,
}

/// A folder on the machine.
#[derive(Clone, Debug, Default)]
pub struct FolderView {
    pub path: PathBuf,
    /// Names of the folders in it, sorted.
    pub folders: Vec<String>,
    /// Names of the model files in it, sorted.
    pub files: Vec<String>,
    /// Why it cannot be listed.
    pub error: Option<String>,
}

impl Look for Snapshot {
    fn absorb(&mut self, earlier: &Self) {
        for (levels, earlier) in [(&mut self.input, &earlier.input), (&mut self.output, &earlier.output)] {
            levels.iter_mut().zip(earlier).for_each(|(level, earlier)| level.absorb(earlier));
        }
        self.take.absorb(&earlier.take);
    }

    fn is_shown_by(&self, shown: &Self) -> bool {
        let same = self.channels == shown.channels
            && self.sample_rate.to_bits() == shown.sample_rate.to_bits()
            && self.latency_frames == shown.latency_frames
            && self.blind == shown.blind
            && self.take.is_shown_by(&shown.take);
        // All else is hidden, so nothing of it may be told by when the window is painted.
        let hidden = self.blind == BlindView::Hidden;
        let models = || self.models.iter().zip(&shown.models).all(|(model, shown)| model.is_same(shown));
        let meters = || meter::is_at_rest(&self.input, &shown.input) && meter::is_at_rest(&self.output, &shown.output);
        same && (hidden || self.twin == shown.twin && header::load(self.load) == header::load(shown.load) && models() && meters())
    }
}

/// Level of one channel since the last snapshot. Linear, full scale is 1.
#[derive(Clone, Copy, Debug, Default)]
pub struct Level {
    pub peak: f32,
    pub rms: f32,
    /// Whether a sample left full scale since the last snapshot; the editor keeps it lit.
    pub clipped: bool,
}

impl Level {
    /// Takes in what was seen earlier and not shown.
    fn absorb(&mut self, earlier: &Self) {
        self.peak = self.peak.max(earlier.peak);
        self.clipped |= earlier.clipped;
    }

    /// Whether a meter that rests at `shown` does not move: by less than `visible_db` above `floor_db`. A peak that is lower is no
    /// news as long as the RMS level stays.
    fn is_at_rest(&self, shown: &Self, floor_db: f32, visible_db: f32) -> bool {
        let db = |level: f32| if level > 0.0 { (20.0 * level.log10()).clamp(floor_db, 99.9) } else { floor_db };
        (db(self.rms) - db(shown.rms)).abs() <= visible_db
            && db(self.peak) <= db(shown.peak) + visible_db
            && (shown.clipped || !self.clipped)
    }
}

/// How far a blind comparison is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlindView {
    Off,
    /// The listen buttons read X and Y; slots, parameters, meters and load are hidden.
    Hidden,
    Revealed {
        /// The slot that was X, on the left.
        left: Slot,
    },
}

/// State of the view only: where the meters' needles are, which card is folded, what is being dragged or typed.
pub struct Editor {
    registry: &'static [&'static Algorithm],
    hands: Hands,
    input: Bank,
    output: Bank,
    /// The only card that is open, if one is folded.
    folded: Option<Slot>,
    /// The listen button that was pressed last in the running blind comparison.
    pressed: Option<u8>,
    /// The slot that a model is looked for.
    browser: Option<model::Browser>,
    /// Of the next twin: position in [`TWIN_SIZES`].
    twin_size: usize,
    takes: TakePanel,
    /// Of the last frame, in seconds of the window.
    time: f64,
    /// Nothing moved in the last frame, and no other was asked for.
    rests: bool,
}

/// A frame while something moves: about 30 a second, as fast as an eye follows a level meter.
const MOVING: Duration = Duration::from_millis(33);
/// Space around and between panels.
const GAP: f32 = 10.0;

impl Editor {
    #[must_use]
    pub fn new(registry: &'static [&'static Algorithm]) -> Self {
        Self {
            registry,
            hands: Hands::default(),
            input: Bank::default(),
            output: Bank::default(),
            folded: None,
            pressed: None,
            browser: None,
            twin_size: 0,
            takes: TakePanel::default(),
            time: 0.0,
            rests: false,
        }
    }

    /// Draws one frame into all of `ui`'s space and hands what the user did to `controls`. While something moves it asks for the next
    /// frame; when nothing does, a [`Watch`] tells the owner that there is something new to show.
    pub fn show(&mut self, ui: &mut Ui, controls: &dyn Controls, snapshot: &Snapshot) {
        theme::apply(ui);
        let now = ui.input(|i| i.time);
        let seconds = moving_seconds(now - self.time, self.rests);
        self.time = now;
        self.hands.begin_frame(ui);

        // A comparison that was switched on but is not hidden yet by the audio side is hidden all the same.
        let hidden = match snapshot.blind {
            BlindView::Hidden => true,
            BlindView::Off => controls.get(Control::Blind) >= 0.5,
            BlindView::Revealed { .. } => false,
        };
        if hidden {
            self.input.rest();
            self.output.rest();
        } else {
            self.pressed = None;
            // Not during a blind comparison, which it would end.
            if snapshot.twin.arrived {
                twin::act(&mut self.hands, controls, TwinWish::Seat);
            }
            self.hands.busy |= self.input.update(&snapshot.input, seconds);
            self.hands.busy |= self.output.update(&snapshot.output, seconds);
        }

        self.hands.busy |= self.takes.is_busy(&snapshot.take);

        let window = ui.available_rect_before_wrap();
        ui.painter().rect_filled(window, 0, theme::BACKGROUND);
        let least = vec2(MIN_SIZE.0 as f32, MIN_SIZE.1 as f32);
        if window.width() >= least.x && window.height() >= least.y {
            self.panels(ui, window, controls, snapshot, hidden, true);
        } else {
            ScrollArea::both().id_salt("window").auto_shrink(false).show(ui, |ui| {
                // Not a scroll area in another one: the inner would keep what the outer needs to bring a focused knob into view.
                let above = header::HEIGHT + record::BAR_HEIGHT + twin::HEIGHT + 5.0 * GAP;
                let cards = if hidden { 0.0 } else { self.cards_height(least.x - 2.0 * GAP - self.meters_width(), controls) };
                let size = window.size().max(vec2(least.x, least.y.max(above + cards)));
                let (rect, _) = ui.allocate_exact_size(size, Sense::hover());
                self.panels(ui, rect, controls, snapshot, hidden, false);
            });
        }

        self.hands.end_frame(ui, controls);
        self.rests = !self.hands.busy;
        if !self.rests {
            ui.ctx().request_repaint_after(MOVING);
        }
    }

    /// Ends a gesture that is still under way. For an owner whose window closes; it may open again, in another context.
    pub fn close(&mut self, controls: &dyn Controls) {
        self.hands.let_go(controls);
        self.hands = Hands::default();
        self.browser = None;
        self.takes.close();
        self.time = 0.0;
    }

    /// Position in the registry of a slot's algorithm; `None` if the registry is empty.
    fn algorithm(&self, controls: &dyn Controls, slot: Slot) -> Option<usize> {
        let last = self.registry.len().checked_sub(1)?;
        // `as` makes NaN and negative values 0 and what is too large the largest.
        Some((controls.get(Control::Algorithm(slot)).round() as usize).min(last))
    }

    /// Header, cards and meters in `rect`; cards that are higher than their place scroll if `scrolls`.
    fn panels(&mut self, ui: &mut Ui, rect: Rect, controls: &dyn Controls, snapshot: &Snapshot, hidden: bool, scrolls: bool) {
        let rect = rect.shrink(GAP);
        let (head, body) = rect.split_top_bottom_at_y(rect.top() + header::HEIGHT);
        let (bar, body) = body.with_min_y(body.top() + GAP).split_top_bottom_at_y(body.top() + GAP + record::BAR_HEIGHT);
        let body = body.with_min_y(body.top() + GAP);
        self.header(ui, head, controls, snapshot, hidden);
        let action = self.takes.bar(ui, bar, &snapshot.take);
        self.take(controls, action);
        if hidden {
            hidden_notice(ui, body);
            return;
        }
        let (body, strip) = body.split_top_bottom_at_y(body.bottom() - twin::HEIGHT - GAP);
        let strip = strip.with_min_y(strip.top() + GAP);
        let a_runs_model = self.algorithm(controls, Slot::A).is_some_and(|a| self.registry[a].model);
        twin::show(ui, &mut self.hands, controls, strip, &snapshot.twin, a_runs_model, &mut self.twin_size);
        let (cards, meters) = body.split_left_right_at_x(body.right() - self.meters_width());
        meter::show(ui, &mut self.hands, meters, &mut self.input, &mut self.output, snapshot.channels);
        if self.takes.is_open() {
            let action = self.takes.panel(ui, cards.with_max_x(cards.right() - GAP), &snapshot.take);
            self.take(controls, action);
            return;
        }
        if scrolls {
            let mut ui = ui.new_child(UiBuilder::new().max_rect(cards).id_salt("cards"));
            ScrollArea::vertical().auto_shrink(false).show(&mut ui, |ui| {
                let height = self.cards_height(cards.width(), controls).max(cards.height());
                let (rect, _) = ui.allocate_exact_size(vec2(cards.width(), height), Sense::hover());
                self.cards(ui, rect, controls, &snapshot.models);
            });
        } else {
            self.cards(ui, cards, controls, &snapshot.models);
        }
    }

    fn take(&mut self, controls: &dyn Controls, action: Option<TakeAction>) {
        if let Some(action) = action {
            // An owner may tell its host by a gesture of its own.
            self.hands.let_go(controls);
            self.hands.busy = true;
            controls.take(action);
        }
    }

    fn meters_width(&self) -> f32 {
        meter::width(self.input.len().max(self.output.len()))
    }

    /// Widths of both cards in a place that is `width` wide; a gap on the right is left to the scroll bar.
    fn card_widths(&self, width: f32) -> [f32; 2] {
        let both = width - 2.0 * GAP;
        match self.folded {
            None => [both / 2.0; 2],
            Some(Slot::A) => [card::FOLDED_WIDTH, both - card::FOLDED_WIDTH],
            Some(Slot::B) => [both - card::FOLDED_WIDTH, card::FOLDED_WIDTH],
        }
    }

    /// Height that the cards need in a place that is `width` wide.
    fn cards_height(&self, width: f32, controls: &dyn Controls) -> f32 {
        let open = Slot::ALL.into_iter().zip(self.card_widths(width)).filter(|(slot, _)| self.folded != Some(*slot));
        let heights = open.filter_map(|(slot, width)| {
            let algorithm = self.registry[self.algorithm(controls, slot)?];
            Some(card::height(algorithm, width, self.browses(slot)))
        });
        heights.fold(0.0, f32::max)
    }

    fn browses(&self, slot: Slot) -> bool {
        self.browser.as_ref().is_some_and(|b| b.slot == slot)
    }

    /// Both cards side by side.
    fn cards(&mut self, ui: &mut Ui, area: Rect, controls: &dyn Controls, models: &[ModelView; 2]) {
        let widths = self.card_widths(area.width());
        let lefts = [area.left(), area.left() + widths[0] + GAP];
        let heard = if controls.get(Control::Listen) >= 0.5 { Slot::B } else { Slot::A };
        let folded = self.folded;
        let mut takers = Vec::new();
        for (((slot, left), width), model) in Slot::ALL.into_iter().zip(lefts).zip(widths).zip(models) {
            let view = card::View {
                slot,
                registry: self.registry,
                chosen: self.algorithm(controls, slot),
                folded: folded == Some(slot),
                heard: heard == slot,
                model,
            };
            let rect = Rect::from_min_size(pos2(left, area.top()), vec2(width, area.height()));
            if view.chosen.is_some_and(|c| self.registry[c].model) {
                takers.push((slot, rect));
            } else if self.browses(slot) {
                self.browser = None;
            }
            if card::show(ui, &mut self.hands, controls, rect, &view, &mut self.browser) {
                // One card at most is folded: folding the second opens the first.
                self.folded = if view.folded { None } else { Some(slot) };
                self.hands.busy = true;
            }
        }
        self.drops(ui, controls, &takers);
    }

    /// A file that is dragged over the window belongs to the card under the pointer if that runs a model, else to the first that
    /// does.
    fn drops(&mut self, ui: &Ui, controls: &dyn Controls, takers: &[(Slot, Rect)]) {
        let (hovers, dropped, at) = ui.input(|i| {
            let dropped = i.raw.dropped_files.first().map(|f| f.path().to_owned());
            (!i.raw.hovered_files.is_empty(), dropped, i.pointer.latest_pos())
        });
        if !hovers && dropped.is_none() {
            return;
        }
        let under = takers.iter().find(|(_, rect)| at.is_some_and(|at| rect.contains(at)));
        let Some((slot, rect)) = under.or(takers.first()) else { return };
        self.hands.busy = true;
        match dropped {
            Some(path) => model::drop_file(&mut self.hands, controls, *slot, &path),
            None => model::drop_mark(ui, *rect, *slot),
        }
    }
}

/// Time that needles have moved since a frame before which `elapsed` seconds passed. A second at most: after a pause the needles need
/// not be exact, only at rest. Needles that rested begin to move now.
fn moving_seconds(elapsed: f64, rested: bool) -> f32 {
    let most = if rested { MOVING.as_secs_f64() } else { 1.0 };
    elapsed.clamp(0.0, most) as f32
}

fn hidden_notice(ui: &mut Ui, rect: Rect) {
    ui.painter().rect_filled(rect, theme::RADIUS, theme::CARD);
    let text = "Blind comparison: X and Y are A and B in an order that you do not know.\nListen, decide, then reveal.";
    let rect = Rect::from_center_size(rect.center(), vec2(rect.width() - 40.0, 60.0));
    ui.put(rect, egui::Label::new(egui::RichText::new(text).color(theme::MUTED)).halign(egui::Align::Center));
}
