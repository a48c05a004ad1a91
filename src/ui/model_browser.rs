//! The bar of a slot's model, and the browser of a folder's models.

use std::path::{Path, PathBuf};

use egui::{Align2, Id, Key, Rect, Role, ScrollArea, Sense, Stroke, StrokeKind, TextEdit, Ui, UiBuilder, WidgetInfo, pos2, vec2};

use super::{gestures::Gestures, slot_card::CardView, theme, widgets, widgets::ButtonSpec};
use crate::view::{Controls, FolderView, ModelAliasingFacts, ModelDelay, ModelFacts, ModelView, Slot};

/// Height of the bar without a model: two lines and the space below them.
const BAR_HEIGHT: f32 = 58.0;
/// Height of the line with a model's aliasing.
const ALIASING_HEIGHT: f32 = 16.0;
/// Smallest height of the browser: its head and some rows of its list.
pub(super) const BROWSER_HEIGHT: f32 = 300.0;
/// Height of the bar's first line, the browser's head and its text field.
const LINE_HEIGHT: f32 = 26.0;
/// Height of the bar's second line.
const FACTS_HEIGHT: f32 = 20.0;
/// Height of a row of the browser's list.
const ROW_HEIGHT: f32 = 22.0;
const GAP: f32 = 4.0;
/// Width of the button with the sample rate of a model whose file has none.
const RATE_WIDTH: f32 = 72.0;
/// Text in place of a model's name while there is no model.
const NO_MODEL: &str = "No model \u{2013} sound passes through";

/// The open browser of one slot. The folder's content is in [`ModelView::folder`]; the owner of the window reads it.
pub(super) struct ModelBrowser {
    pub slot: Slot,
    /// The typed text: part of a name, which filters the list, or an absolute path.
    filter: String,
    /// True until the text field has taken the keyboard focus.
    needs_focus: bool,
    /// Path of the folder that was shown last.
    folder: PathBuf,
}

/// An action of the user on the model of a slot. There is at most one in a frame.
enum ModelAction<'a> {
    /// Loads a model file, or lists a folder.
    Open(&'a Path),
    /// Loads the model this many places after the current one in its folder; negative: before it.
    Step(i32),
    /// Plays the model at another sample rate in Hz.
    SetRate(f32),
    /// Removes the model.
    Clear,
    /// Lists the folder that the browser showed last.
    Browse,
}

/// Passes an action on to the owner of the window.
fn send_action(gestures: &mut Gestures, controls: &dyn Controls, slot: Slot, action: &ModelAction<'_>) {
    // The owner may answer with a gesture of its own, and gestures must not nest.
    gestures.end_drag(controls);
    gestures.needs_frame = true;
    match action {
        ModelAction::Open(path) => controls.open_model(slot, path),
        ModelAction::Step(step) => controls.step_model(slot, *step),
        ModelAction::SetRate(rate) => controls.set_model_rate(slot, *rate),
        ModelAction::Clear => controls.clear_model(slot),
        ModelAction::Browse => controls.browse_models(slot),
    }
}

/// Loads a file that was dropped on a slot's card.
pub(super) fn load_dropped_file(gestures: &mut Gestures, controls: &dyn Controls, slot: Slot, path: &Path) {
    send_action(gestures, controls, slot, &ModelAction::Open(path));
}

/// Returns the height of the bar: with a model it has a line more.
pub(super) fn bar_height(view: &ModelView) -> f32 {
    if view.model.is_some() { BAR_HEIGHT + ALIASING_HEIGHT } else { BAR_HEIGHT }
}

/// Returns all known facts about a model, a line for each.
fn fact_lines(facts: &ModelFacts) -> Vec<String> {
    let mut lines = vec![facts.name.clone()];
    let mut add = |what: &str, value: Option<String>| lines.extend(value.map(|v| format!("{what}: {v}")));
    add("File", facts.path.as_ref().map(|p| p.display().to_string()));
    add("Author", facts.author.clone());
    add("Gear", facts.gear.clone());
    add("Architecture", Some(facts.architecture.clone()));
    add("Parameters", Some(group_digits(facts.parameters)));
    add("Rate", Some(sample_rate_text(facts)));
    add("Loudness", facts.loudness_db.map(|db| format!("{db:.1} dB")));
    add("Error to signal", facts.esr.map(|esr| format!("{esr:.4}")));
    add("Cost", facts.cost_ns.map(|ns| format!("{ns:.0} ns a sample and channel")));
    add("Delay", facts.delay.map(delay_text));
    lines.extend(facts.aliasing.iter().filter_map(|tone| aliasing_text("Aliasing", tone, &["", "at 2x ", "at 4x "])));
    lines
}

/// Returns the aliasing of a model for a sine, after `word`, with a prefix for each oversampling that is told; nothing if it is not
/// known at 1x.
fn aliasing_text(word: &str, tone: &ModelAliasingFacts, prefixes: &[&str]) -> Option<String> {
    /// The level in dB of the half-band filters' stop band, below which a figure tells nothing of the model.
    const FLOOR_DB: f32 = -100.0;
    tone.aliasing_db[0]?;
    let hz = if tone.hz >= 2000.0 { format!("{} kHz", tone.hz / 1000.0) } else { format!("{} Hz", tone.hz) };
    let figures = prefixes.iter().zip(tone.aliasing_db).filter_map(|(prefix, db)| {
        let db = db?;
        Some(if db < FLOOR_DB { format!("{prefix}below {FLOOR_DB:.0} dB") } else { format!("{prefix}{db:.0} dB") })
    });
    Some(format!("{word} at {hz}: {}", figures.collect::<Vec<_>>().join("; ")))
}

/// Returns a model's delay and polarity with all figures.
fn delay_text(ModelDelay { frames, inverted, ambiguous }: ModelDelay) -> String {
    let polarity = if inverted { ", polarity inverted" } else { "" };
    let doubt = if ambiguous { " (not certain)" } else { "" };
    format!("{frames:.2} samples{polarity}{doubt}")
}

/// Returns the share of a processor core that a model needs for `channels` channels, as text; nothing if it is not known.
fn cpu_text(facts: &ModelFacts, channels: usize) -> Option<String> {
    let percent = 100.0 * 1e-9 * facts.cost_ns? * facts.sample_rate * channels.max(1) as f32;
    Some(match percent {
        percent if !percent.is_finite() => return None,
        percent if percent < 1.0 => "under 1 % CPU".into(),
        percent => format!("{percent:.0} % CPU"),
    })
}

/// Returns the delay of a model in milliseconds, as text; nothing if it is not known or not heard as one.
fn late_text(facts: &ModelFacts) -> Option<String> {
    /// Milliseconds from which a delay is told.
    const LEAST: f32 = 0.05;
    let delay = facts.delay?;
    let milliseconds = 1e3 * delay.frames / facts.sample_rate;
    let about = if delay.ambiguous { "about " } else { "" };
    (milliseconds.is_finite() && milliseconds.abs() >= LEAST).then(|| {
        let side = if milliseconds < 0.0 { "early" } else { "late" };
        format!("{side} by {about}{:.1} ms", milliseconds.abs())
    })
}

/// Returns the sample rate at which a model was trained, in kHz.
fn sample_rate_text(facts: &ModelFacts) -> String {
    let given = if facts.sample_rate_given { "" } else { " (not given)" };
    format!("{} kHz{given}", facts.sample_rate / 1000.0)
}

/// Returns the rate in Hz after `rate` that a model without one may have been trained at.
fn next_rate(rate: f32) -> f32 {
    /// Usual sample rates in Hz.
    const RATES: [f32; 4] = [44_100.0, 48_000.0, 88_200.0, 96_000.0];
    RATES.into_iter().find(|next| *next > rate).unwrap_or(RATES[0])
}

/// Returns a whole number with thin spaces between the thousands.
fn group_digits(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push('\u{2009}');
        }
        text.push(digit);
    }
    text
}

/// Returns the most important facts in one line, the shortest first. `channels` is the number of channels that run.
fn summary(facts: &ModelFacts, channels: usize) -> String {
    let mut parts = Vec::new();
    parts.extend(cpu_text(facts, channels));
    parts.extend(late_text(facts));
    parts.push(sample_rate_text(facts));
    parts.push(facts.architecture.clone());
    parts.extend(facts.gear.clone());
    parts.extend(facts.author.clone());
    parts.join(" \u{b7} ")
}

/// Draws the bar: the model's name, buttons to step, open and remove; below them facts about the model, or its error.
pub(super) fn draw_bar(
    ui: &Ui,
    gestures: &mut Gestures,
    controls: &dyn Controls,
    rect: Rect,
    card: &CardView<'_>,
    browser: &mut Option<ModelBrowser>,
) {
    let &CardView { slot, model: view, channels, .. } = card;
    let letter = slot.name();
    let line = rect.with_max_y(rect.top() + LINE_HEIGHT);
    gestures.needs_frame |= view.loading;

    let is_browsing = browser.as_ref().is_some_and(|b| b.slot == slot);
    let mut right = line.right();
    let mut next_rect = |width: f32| {
        right -= width + GAP;
        Rect::from_min_size(pos2(right + GAP, line.top()), vec2(width, LINE_HEIGHT))
    };
    let (remove, open, next, previous) = (next_rect(24.0), next_rect(60.0), next_rect(24.0), next_rect(24.0));
    let name = line.with_max_x(right);
    let button = |rect: Rect, what: &str, text: &str, tip: &str, enabled: bool, down: Option<bool>| {
        let label = format!("{letter} {what}");
        let spec = ButtonSpec { label: &label, text, enabled, down, accent: theme::accent(slot), ..ButtonSpec::default() };
        let response = widgets::button(ui, rect, Id::unique(("isotherm model", slot, what)), &spec);
        let clicked = response.clicked();
        response.on_hover_text(tip);
        clicked
    };
    if button(previous, "previous model", "\u{2039}", "The model before this one in its folder", view.can_step, None) {
        send_action(gestures, controls, slot, &ModelAction::Step(-1));
    }
    if button(next, "next model", "\u{203a}", "The model after this one in its folder", view.can_step, None) {
        send_action(gestures, controls, slot, &ModelAction::Step(1));
    }
    let tip = format!("Look for a model file: {}", view.extensions);
    if button(open, "open model", "Open", &tip, true, Some(is_browsing)) {
        if is_browsing {
            *browser = None;
        } else {
            *browser = Some(ModelBrowser { slot, filter: String::new(), needs_focus: true, folder: PathBuf::new() });
            send_action(gestures, controls, slot, &ModelAction::Browse);
        }
        gestures.needs_frame = true;
    }
    if button(remove, "remove model", "\u{d7}", "Without a model the sound passes through", view.model.is_some(), None) {
        send_action(gestures, controls, slot, &ModelAction::Clear);
    }

    let facts = view.model.as_deref();
    let (text, color) = facts.map_or((NO_MODEL, theme::MUTED), |m| (m.name.as_str(), theme::TEXT));
    let tip = facts.map_or_else(|| vec![NO_MODEL.to_owned()], fact_lines);
    ui.painter().rect_filled(name, 4, theme::SUNKEN);
    draw_status(ui, name.shrink2(vec2(8.0, 0.0)), (slot, "model"), text, &[13.0, 12.0, 11.0], color, &tip);

    let below = Rect::from_min_size(line.left_bottom() + vec2(0.0, 4.0), vec2(rect.width(), FACTS_HEIGHT));
    let below = below.shrink2(vec2(8.0, 0.0));
    // An error has the space below, too: room for two lines.
    let error_rect = below.with_min_y(line.bottom() + 2.0).with_max_y(rect.top() + BAR_HEIGHT);
    match (&view.error, view.loading, facts) {
        (Some(error), ..) => {
            draw_status(
                ui,
                error_rect,
                (slot, "model error"),
                error,
                &[12.0, 11.0, 10.0],
                theme::ALARM,
                std::slice::from_ref(error),
            );
        }
        (None, true, _) => draw_status(ui, below, (slot, "model facts"), "Loading \u{2026}", &[12.0], theme::MUTED, &[]),
        (None, false, Some(facts)) => {
            let mut below = below;
            if !facts.sample_rate_given {
                let rate = below.with_min_x(below.right() - RATE_WIDTH);
                below.set_right(rate.left() - GAP);
                let rate = rate.expand2(vec2(8.0, 0.0)).with_min_x(rate.left());
                let text = format!("{} kHz?", facts.sample_rate / 1000.0);
                let tip = "The file does not say the sample rate of its model. Click for the next: 44.1, 48, 88.2, 96 kHz";
                if button(rate, "model rate", &text, tip, true, None) {
                    send_action(gestures, controls, slot, &ModelAction::SetRate(next_rate(facts.sample_rate)));
                }
            }
            draw_status(ui, below, (slot, "model facts"), &summary(facts, channels), &[12.0, 11.0], theme::MUTED, &tip);
            // The highest sine: the one that aliases most, and that the ear hears first.
            let text = facts.aliasing.last().and_then(|tone| aliasing_text("aliasing", tone, &["", "at 2x "]));
            let left = line.left_top() + vec2(8.0, LINE_HEIGHT + 4.0 + FACTS_HEIGHT);
            let rect = Rect::from_min_size(left, vec2(line.width() - 16.0, ALIASING_HEIGHT));
            if let Some(text) = text {
                draw_status(ui, rect, (slot, "model aliasing"), &text, &[12.0, 11.0, 10.0], theme::MUTED, &tip);
            }
        }
        (None, false, None) => {}
    }
}

/// Draws a text at the left of `rect`, in two lines if there is room. Screen readers find it as the value of a status whose name is
/// the slot's letter and `what`. The lines of `tip` are its tooltip.
fn draw_status(ui: &Ui, rect: Rect, (slot, what): (Slot, &str), text: &str, sizes: &[f32], color: egui::Color32, tip: &[String]) {
    let galley = theme::fit_lines(ui, text, sizes, color, rect.size());
    ui.painter().galley(pos2(rect.left(), rect.center().y - galley.size().y / 2.0), galley, color);
    let response = ui.interact(rect, Id::unique(("isotherm model", slot, what)), Sense::hover());
    response.widget_info(|| {
        // The role is not that of a label, because a label has no accessible name besides its text.
        let mut info = WidgetInfo::labeled(Role::Status, true, format!("{} {what}", slot.name()));
        info.current_text_value = Some(text.to_owned());
        info
    });
    if !tip.is_empty() {
        response.on_hover_text(tip.join("\n"));
    }
}

/// Draws the browser into `rect`. A click on a file loads it and leaves the list open, so that a user can listen to all models of
/// a folder.
pub(super) fn draw_browser(
    ui: &mut Ui,
    gestures: &mut Gestures,
    controls: &dyn Controls,
    rect: Rect,
    view: &ModelView,
    open_browser: &mut Option<ModelBrowser>,
) {
    let Some(browser) = open_browser else { return };
    let slot = browser.slot;
    let letter = slot.name();
    ui.painter().rect_stroke(rect, theme::RADIUS, Stroke::new(1.0, theme::OUTLINE), StrokeKind::Inside);
    let inside = rect.shrink(6.0);
    let head = inside.with_max_y(inside.top() + LINE_HEIGHT);
    let close = head.with_min_x(head.right() - 60.0);
    let up = head.with_max_x(head.left() + 34.0);
    let title = head.with_min_x(up.right() + 8.0).with_max_x(close.left() - 8.0);

    let folder: Option<&FolderView> = view.folder.as_deref();
    let mut action = None;
    let parent = folder.and_then(|f| f.path.parent());
    let label = format!("{letter} folder up");
    let spec = ButtonSpec { label: &label, text: "Up", enabled: parent.is_some(), font_size: 12.0, ..ButtonSpec::default() };
    if widgets::button(ui, up, Id::unique(("isotherm browser", slot, "up")), &spec).clicked() {
        action = parent.map(ModelAction::Open);
    }
    let label = format!("{letter} close browser");
    let spec = ButtonSpec { label: &label, text: "Close", font_size: 12.0, ..ButtonSpec::default() };
    let closed = widgets::button(ui, close, Id::unique(("isotherm browser", slot, "close")), &spec).clicked();
    let path = folder.map_or_else(String::new, |f| f.path.display().to_string());
    let name = folder.and_then(|f| f.path.file_name()).map_or_else(|| path.clone(), |n| n.to_string_lossy().into_owned());
    draw_status(ui, title, (slot, "folder"), &name, &[12.0, 11.0], theme::TEXT, &[path]);

    if let Some(folder) = folder
        && browser.folder != folder.path
    {
        browser.folder.clone_from(&folder.path);
        browser.filter.clear();
    }

    let field = Rect::from_min_size(head.left_bottom() + vec2(0.0, 6.0), vec2(inside.width(), LINE_HEIGHT));
    let id = Id::unique(("isotherm browser", slot, "filter"));
    if browser.needs_focus {
        browser.needs_focus = false;
        ui.memory_mut(|m| m.request_focus(id));
    }
    let mut child = ui.new_child(UiBuilder::new().max_rect(field).id_salt(id));
    let output = TextEdit::singleline(&mut browser.filter)
        .id(id)
        .desired_width(field.width())
        .hint_text("Part of a name, or a path")
        .font(theme::font(12.0))
        .show(&mut child);
    let response = output.response.response.accessible_name(format!("{letter} filter"));
    let entered = response.lost_focus() && ui.input(|i| i.key_pressed(Key::Enter));

    let filter = browser.filter.trim().to_lowercase();
    let entries: Vec<(PathBuf, String, bool)> = folder.map_or_else(Vec::new, |folder| {
        let all = folder.folders.iter().map(|n| (n, true)).chain(folder.files.iter().map(|n| (n, false)));
        let matching = all.filter(|(name, _)| name.to_lowercase().contains(&filter));
        matching.map(|(name, is_folder)| (folder.path.join(name), name.clone(), is_folder)).collect()
    });
    let typed_path = PathBuf::from(browser.filter.trim());
    if entered && typed_path.is_absolute() {
        action = Some(ModelAction::Open(&typed_path));
    } else if entered && !filter.is_empty() {
        // Enter opens the first file that matches, or the first folder if no file does.
        let first_match = entries.iter().find(|(_, _, is_folder)| !is_folder).or(entries.first());
        action = first_match.map(|(path, ..)| ModelAction::Open(path));
    }

    let list = inside.with_min_y(field.bottom() + 6.0);
    let none = format!("No folder and no model file ({}) here", view.extensions);
    let note = match folder {
        None => Some("Reading \u{2026}"),
        Some(FolderView { error: Some(error), .. }) => Some(error.as_str()),
        Some(_) if entries.is_empty() && typed_path.is_absolute() => Some("Enter opens this path"),
        Some(_) if entries.is_empty() => Some(none.as_str()),
        Some(_) => None,
    };
    if let Some(note) = note {
        let galley = theme::fit_text(ui, note, &[12.0, 11.0, 10.0], theme::MUTED, list.width());
        ui.painter().galley(list.left_top(), galley, theme::MUTED);
    }
    let mut child = ui.new_child(UiBuilder::new().max_rect(list).id_salt(("browser list", slot)));
    let playing_path = view.model.as_ref().and_then(|m| m.path.as_deref());
    child.spacing_mut().item_spacing.y = 0.0;
    ScrollArea::vertical().id_salt(("browser", slot)).auto_shrink(false).show_rows(
        &mut child,
        ROW_HEIGHT,
        entries.len(),
        |ui, rows| {
            for (path, name, is_folder) in &entries[rows] {
                if draw_row(ui, slot, path, name, *is_folder, playing_path == Some(path)) {
                    action = Some(ModelAction::Open(path));
                }
            }
        },
    );

    if let Some(action) = action {
        send_action(gestures, controls, slot, &action);
        if entered {
            browser.filter.clear();
        }
    }
    if closed || ui.input(|i| i.key_pressed(Key::Escape)) {
        *open_browser = None;
        gestures.needs_frame = true;
    }
}

/// Draws a row of the list. Returns true if it is clicked.
fn draw_row(ui: &mut Ui, slot: Slot, path: &Path, name: &str, is_folder: bool, is_playing: bool) -> bool {
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), ROW_HEIGHT), Sense::hover());
    let response = ui.interact(rect, Id::unique(("isotherm browser", slot, path)), Sense::click());
    let fill = match (is_playing, response.hovered() || response.has_focus()) {
        (true, _) => theme::accent(slot),
        (false, true) => theme::RAISED_HOVER,
        (false, false) => egui::Color32::TRANSPARENT,
    };
    let text_color = match (is_playing, is_folder) {
        (true, _) => theme::TEXT_ON_ACCENT,
        (false, true) => theme::MUTED,
        (false, false) => theme::TEXT,
    };
    ui.painter().rect_filled(rect, 4, fill);
    let text = if is_folder { format!("{name}/") } else { name.to_owned() };
    let galley = theme::fit_text(ui, &text, &[13.0, 12.0, 11.0], text_color, rect.width() - 12.0);
    ui.painter().galley(pos2(rect.left() + 6.0, rect.center().y - galley.size().y / 2.0), galley, text_color);
    let clicked = response.clicked();
    let label = format!("{} {} {name}", slot.name(), if is_folder { "folder" } else { "file" });
    response.widget_info(|| WidgetInfo::selected(Role::ListBoxOption, true, is_playing, &label));
    response.on_hover_text(name);
    clicked
}

/// Draws the mark of the card that would load a file that is being dragged.
pub(super) fn draw_drop_mark(ui: &Ui, rect: Rect, slot: Slot) {
    ui.painter().rect_stroke(rect, theme::RADIUS, Stroke::new(2.0, theme::accent(slot)), StrokeKind::Inside);
    ui.painter().text(
        rect.center_bottom() - vec2(0.0, 12.0),
        Align2::CENTER_BOTTOM,
        "Drop a model",
        theme::font(13.0),
        theme::TEXT,
    );
}
