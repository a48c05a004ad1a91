//! The bar of a slot's model, and the browser that opens another one.

use std::path::{Path, PathBuf};

use egui::{Align2, Id, Key, Rect, Role, ScrollArea, Sense, Stroke, StrokeKind, TextEdit, Ui, UiBuilder, WidgetInfo, pos2, vec2};

use super::{Controls, FolderView, ModelFacts, ModelView, Slot, choice, choice::Face, hands::Hands, theme};

/// Two lines and the space below them.
pub(super) const BAR_HEIGHT: f32 = 58.0;
/// The browser's head and some lines of its list.
pub(super) const BROWSER_HEIGHT: f32 = 300.0;
const LINE_HEIGHT: f32 = 26.0;
const FACTS_HEIGHT: f32 = 20.0;
const ROW_HEIGHT: f32 = 22.0;
const GAP: f32 = 4.0;
const NO_MODEL: &str = "No model \u{2013} sound passes through";

/// The browser of one slot. What it lists is the owner's.
pub(super) struct Browser {
    pub slot: Slot,
    text: String,
    /// Not shown yet: takes the keyboard.
    opened: bool,
    /// Whose entries were shown last.
    folder: PathBuf,
}

/// One action at most comes of a frame.
enum Action<'a> {
    Open(&'a Path),
    Step(i32),
    Clear,
    Browse,
}

fn act(hands: &mut Hands, controls: &dyn Controls, slot: Slot, action: &Action<'_>) {
    // An owner may tell its host by a gesture of its own.
    hands.let_go(controls);
    hands.busy = true;
    match action {
        Action::Open(path) => controls.open_model(slot, path),
        Action::Step(step) => controls.step_model(slot, *step),
        Action::Clear => controls.clear_model(slot),
        Action::Browse => controls.browse_models(slot),
    }
}

/// A file that was dropped on a card.
pub(super) fn drop_file(hands: &mut Hands, controls: &dyn Controls, slot: Slot, path: &Path) {
    act(hands, controls, slot, &Action::Open(path));
}

/// What is known of a model, a line for each thing.
fn lines(facts: &ModelFacts) -> Vec<String> {
    let mut lines = vec![facts.name.clone()];
    let mut say = |what: &str, value: Option<String>| lines.extend(value.map(|v| format!("{what}: {v}")));
    say("File", facts.path.as_ref().map(|p| p.display().to_string()));
    say("Author", facts.author.clone());
    say("Gear", facts.gear.clone());
    say("Architecture", Some(facts.architecture.clone()));
    say("Parameters", Some(grouped(facts.parameters)));
    say("Rate", Some(rate(facts)));
    say("Loudness", facts.loudness_db.map(|db| format!("{db:.1} dB")));
    say("Error to signal", facts.esr.map(|esr| format!("{esr:.4}")));
    say("Cost", facts.cost_ns.map(|ns| format!("{ns:.0} ns a sample and channel")));
    say("Delay", facts.delay.clone());
    lines
}

fn rate(facts: &ModelFacts) -> String {
    let given = if facts.sample_rate_given { "" } else { " (not given)" };
    format!("{} kHz{given}", facts.sample_rate / 1000.0)
}

/// A whole number with a thin space between thousands.
fn grouped(number: usize) -> String {
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

/// The most telling facts in one line, the shortest first.
fn short(facts: &ModelFacts) -> String {
    let mut parts = Vec::new();
    parts.extend(facts.cost_ns.map(|ns| format!("{ns:.0} ns")));
    parts.push(rate(facts));
    parts.push(facts.architecture.clone());
    parts.extend(facts.gear.clone());
    parts.extend(facts.author.clone());
    parts.join(" \u{b7} ")
}

/// The bar: name, steps, open, remove; below, what is known or what went wrong.
pub(super) fn bar(
    ui: &Ui,
    hands: &mut Hands,
    controls: &dyn Controls,
    rect: Rect,
    slot: Slot,
    view: &ModelView,
    browser: &mut Option<Browser>,
) {
    let letter = slot.name();
    let line = rect.with_max_y(rect.top() + LINE_HEIGHT);
    hands.busy |= view.loading;

    let browsing = browser.as_ref().is_some_and(|b| b.slot == slot);
    let mut right = line.right();
    let mut place = |width: f32| {
        right -= width + GAP;
        Rect::from_min_size(pos2(right + GAP, line.top()), vec2(width, LINE_HEIGHT))
    };
    let (remove, open, next, previous) = (place(24.0), place(60.0), place(24.0), place(24.0));
    let name = line.with_max_x(right);
    let button = |rect: Rect, what: &str, text: &str, tip: &str, enabled: bool, down: Option<bool>| {
        let label = format!("{letter} {what}");
        let face = Face { label: &label, text, enabled, down, accent: theme::accent(slot), ..Face::default() };
        let response = choice::button(ui, rect, Id::unique(("isotherm model", slot, what)), &face);
        let clicked = response.clicked();
        response.on_hover_text(tip);
        clicked
    };
    if button(previous, "previous model", "\u{2039}", "The model before this one in its folder", view.steps, None) {
        act(hands, controls, slot, &Action::Step(-1));
    }
    if button(next, "next model", "\u{203a}", "The model behind this one in its folder", view.steps, None) {
        act(hands, controls, slot, &Action::Step(1));
    }
    let tip = format!("Look for a model file: {}", view.endings);
    if button(open, "open model", "Open", &tip, true, Some(browsing)) {
        if browsing {
            *browser = None;
        } else {
            *browser = Some(Browser { slot, text: String::new(), opened: true, folder: PathBuf::new() });
            act(hands, controls, slot, &Action::Browse);
        }
        hands.busy = true;
    }
    if button(remove, "remove model", "\u{d7}", "Without a model the sound passes through", view.model.is_some(), None) {
        act(hands, controls, slot, &Action::Clear);
    }

    let facts = view.model.as_deref();
    let (text, color) = facts.map_or((NO_MODEL, theme::MUTED), |m| (m.name.as_str(), theme::TEXT));
    let tip = facts.map_or_else(|| vec![NO_MODEL.to_owned()], lines);
    ui.painter().rect_filled(name, 4, theme::SUNKEN);
    said(ui, name.shrink2(vec2(8.0, 0.0)), (slot, "model"), text, &[13.0, 12.0, 11.0], color, &tip);

    let below = Rect::from_min_size(line.left_bottom() + vec2(0.0, 4.0), vec2(rect.width(), FACTS_HEIGHT));
    let below = below.shrink2(vec2(8.0, 0.0));
    match (&view.error, view.loading, facts) {
        (Some(error), ..) => {
            said(ui, below, (slot, "model error"), error, &[12.0, 11.0, 10.0], theme::ALARM, std::slice::from_ref(error));
        }
        (None, true, _) => said(ui, below, (slot, "model facts"), "Loading \u{2026}", &[12.0], theme::MUTED, &[]),
        (None, false, Some(facts)) => said(ui, below, (slot, "model facts"), &short(facts), &[12.0, 11.0], theme::MUTED, &tip),
        (None, false, None) => {}
    }
}

/// A line of text with a name, cut to its place; all of it is in the tip.
fn said(ui: &Ui, rect: Rect, (slot, what): (Slot, &str), text: &str, sizes: &[f32], color: egui::Color32, tip: &[String]) {
    let galley = theme::line(ui, text, sizes, color, rect.width());
    ui.painter().galley(pos2(rect.left(), rect.center().y - galley.size().y / 2.0), galley, color);
    let response = ui.interact(rect, Id::unique(("isotherm model", slot, what)), Sense::hover());
    response.widget_info(|| {
        // A label has no name beside its text.
        let mut info = WidgetInfo::labeled(Role::Status, true, format!("{} {what}", slot.name()));
        info.current_text_value = Some(text.to_owned());
        info
    });
    if !tip.is_empty() {
        response.on_hover_text(tip.join("\n"));
    }
}

/// The browser in `rect`: a click on a file loads it and leaves the list open, so that a folder can be heard through.
pub(super) fn browse(
    ui: &mut Ui,
    hands: &mut Hands,
    controls: &dyn Controls,
    rect: Rect,
    view: &ModelView,
    open: &mut Option<Browser>,
) {
    let Some(browser) = open else { return };
    let slot = browser.slot;
    let letter = slot.name();
    ui.painter().rect_stroke(rect, theme::RADIUS, Stroke::new(1.0, theme::LINE), StrokeKind::Inside);
    let inside = rect.shrink(6.0);
    let head = inside.with_max_y(inside.top() + LINE_HEIGHT);
    let close = head.with_min_x(head.right() - 60.0);
    let up = head.with_max_x(head.left() + 34.0);
    let title = head.with_min_x(up.right() + 8.0).with_max_x(close.left() - 8.0);

    let folder: Option<&FolderView> = view.folder.as_deref();
    let mut action = None;
    let parent = folder.and_then(|f| f.path.parent());
    let label = format!("{letter} folder up");
    let face = Face { label: &label, text: "Up", enabled: parent.is_some(), size: 12.0, ..Face::default() };
    if choice::button(ui, up, Id::unique(("isotherm browser", slot, "up")), &face).clicked() {
        action = parent.map(Action::Open);
    }
    let label = format!("{letter} close browser");
    let face = Face { label: &label, text: "Close", size: 12.0, ..Face::default() };
    let closed = choice::button(ui, close, Id::unique(("isotherm browser", slot, "close")), &face).clicked();
    let path = folder.map_or_else(String::new, |f| f.path.display().to_string());
    let short = folder.and_then(|f| f.path.file_name()).map_or_else(|| path.clone(), |n| n.to_string_lossy().into_owned());
    said(ui, title, (slot, "folder"), &short, &[12.0, 11.0], theme::TEXT, &[path]);

    if let Some(folder) = folder
        && browser.folder != folder.path
    {
        browser.folder.clone_from(&folder.path);
        browser.text.clear();
    }

    let field = Rect::from_min_size(head.left_bottom() + vec2(0.0, 6.0), vec2(inside.width(), LINE_HEIGHT));
    let id = Id::unique(("isotherm browser", slot, "filter"));
    if browser.opened {
        browser.opened = false;
        ui.memory_mut(|m| m.request_focus(id));
    }
    let mut child = ui.new_child(UiBuilder::new().max_rect(field).id_salt(id));
    let output = TextEdit::singleline(&mut browser.text)
        .id(id)
        .desired_width(field.width())
        .hint_text("Part of a name, or a path")
        .font(theme::font(12.0))
        .show(&mut child);
    let response = output.response.response.accessible_name(format!("{letter} filter"));
    let entered = response.lost_focus() && ui.input(|i| i.key_pressed(Key::Enter));

    let text = browser.text.trim().to_lowercase();
    let entries: Vec<(PathBuf, String, bool)> = folder.map_or_else(Vec::new, |folder| {
        let all = folder.folders.iter().map(|n| (n, true)).chain(folder.files.iter().map(|n| (n, false)));
        let fits = all.filter(|(name, _)| name.to_lowercase().contains(&text));
        fits.map(|(name, is_folder)| (folder.path.join(name), name.clone(), is_folder)).collect()
    });
    let typed = PathBuf::from(browser.text.trim());
    if entered && typed.is_absolute() {
        action = Some(Action::Open(&typed));
    } else if entered && !text.is_empty() {
        // What is meant by a part of a name is a file, if there is one.
        let meant = entries.iter().find(|(_, _, is_folder)| !is_folder).or(entries.first());
        action = meant.map(|(path, ..)| Action::Open(path));
    }

    let list = inside.with_min_y(field.bottom() + 6.0);
    let none = format!("No folder and no model file ({}) here", view.endings);
    let note = match folder {
        None => Some("Reading \u{2026}"),
        Some(FolderView { error: Some(error), .. }) => Some(error.as_str()),
        Some(_) if entries.is_empty() && typed.is_absolute() => Some("Enter opens this path"),
        Some(_) if entries.is_empty() => Some(none.as_str()),
        Some(_) => None,
    };
    if let Some(note) = note {
        let galley = theme::line(ui, note, &[12.0, 11.0, 10.0], theme::MUTED, list.width());
        ui.painter().galley(list.left_top(), galley, theme::MUTED);
    }
    let mut child = ui.new_child(UiBuilder::new().max_rect(list).id_salt(("browser list", slot)));
    let playing = view.model.as_ref().and_then(|m| m.path.as_deref());
    child.spacing_mut().item_spacing.y = 0.0;
    ScrollArea::vertical().id_salt(("browser", slot)).auto_shrink(false).show_rows(
        &mut child,
        ROW_HEIGHT,
        entries.len(),
        |ui, rows| {
            for (path, name, is_folder) in &entries[rows] {
                if row(ui, slot, path, name, *is_folder, playing == Some(path)) {
                    action = Some(Action::Open(path));
                }
            }
        },
    );

    if let Some(action) = action {
        act(hands, controls, slot, &action);
        if entered {
            browser.text.clear();
        }
    }
    if closed || ui.input(|i| i.key_pressed(Key::Escape)) {
        *open = None;
        hands.busy = true;
    }
}

/// A line of the list; whether it was clicked.
fn row(ui: &mut Ui, slot: Slot, path: &Path, name: &str, is_folder: bool, playing: bool) -> bool {
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), ROW_HEIGHT), Sense::hover());
    let response = ui.interact(rect, Id::unique(("isotherm browser", slot, path)), Sense::click());
    let fill = match (playing, response.hovered() || response.has_focus()) {
        (true, _) => theme::accent(slot),
        (false, true) => theme::RAISED_HOVER,
        (false, false) => egui::Color32::TRANSPARENT,
    };
    let ink = match (playing, is_folder) {
        (true, _) => theme::INK,
        (false, true) => theme::MUTED,
        (false, false) => theme::TEXT,
    };
    ui.painter().rect_filled(rect, 4, fill);
    let text = if is_folder { format!("{name}/") } else { name.to_owned() };
    let galley = theme::line(ui, &text, &[13.0, 12.0, 11.0], ink, rect.width() - 12.0);
    ui.painter().galley(pos2(rect.left() + 6.0, rect.center().y - galley.size().y / 2.0), galley, ink);
    let clicked = response.clicked();
    let label = format!("{} {} {name}", slot.name(), if is_folder { "folder" } else { "file" });
    response.widget_info(|| WidgetInfo::selected(Role::ListBoxOption, true, playing, &label));
    response.on_hover_text(name);
    clicked
}

/// Over a card on which a file may be dropped.
pub(super) fn drop_mark(ui: &Ui, rect: Rect, slot: Slot) {
    ui.painter().rect_stroke(rect, theme::RADIUS, Stroke::new(2.0, theme::accent(slot)), StrokeKind::Inside);
    ui.painter().text(
        rect.center_bottom() - vec2(0.0, 12.0),
        Align2::CENTER_BOTTOM,
        "Drop a model",
        theme::font(13.0),
        theme::TEXT,
    );
}
