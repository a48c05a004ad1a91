//! The header at the top of the editor: listen buttons, blind comparison, bypass, latency and load.

use egui::{Align, Color32, Id, Rect, Role, Sense, Ui, WidgetInfo, pos2, text::LayoutJob, text::TextFormat, vec2};

use super::{Editor, theme, widgets, widgets::ButtonSpec};
use crate::view::{BlindView, Control, Controls, InstanceView, ListenAction, Slot};

/// Height of the header.
pub(super) const HEIGHT: f32 = 44.0;
/// Width of the header from which the listen buttons are wide and show the names of the algorithms.
const WIDE: f32 = 780.0;
/// Load above which dropouts are likely, as a host needs the rest of the time for itself and for other plug-ins.
const HIGH_LOAD: f32 = 0.8;

impl Editor {
    /// Draws the header. `hidden` is true in a blind comparison: nothing in the header then depends on the slot that is heard.
    pub(super) fn draw_header(&mut self, ui: &mut Ui, rect: Rect, controls: &dyn Controls, view: &InstanceView, hidden: bool) {
        if view.listen.is_blind() {
            draw_test_header(ui, rect);
            return;
        }
        let is_wide = rect.width() >= WIDE;
        let mut x = rect.left();
        let mut next_rect = |width: f32, height: f32, gap: f32| {
            let rect = Rect::from_min_size(pos2(x, rect.center().y - height / 2.0), vec2(width, height));
            x += width + gap;
            rect
        };

        draw_wordmark(ui, next_rect(104.0, 32.0, 8.0));

        let button_size = if is_wide { vec2(104.0, 42.0) } else { vec2(52.0, 42.0) };
        let audible = if hidden { None } else { Some(self.gestures.shown_value(controls, Control::Listen) >= 0.5) };
        let audible = audible.map(|b| if b { Slot::B } else { Slot::A });
        for side in [0_u8, 1] {
            let letter = ["X", "Y"][usize::from(side)];
            let slot = match view.blind {
                BlindView::Revealed { left } if side == 0 => left,
                BlindView::Revealed { left } => left.other(),
                _ => Slot::ALL[usize::from(side)],
            };
            let algorithm = if is_wide && !hidden { self.algorithm_index(controls, slot) } else { None };
            let second_line = algorithm.map_or("", |a| self.registry[a].name);
            let (text, label) = match view.blind {
                _ if hidden => (letter.into(), format!("Listen {letter}")),
                BlindView::Revealed { .. } => {
                    (format!("{letter} = {}", slot.name()), format!("Listen {letter}, {}", slot.name()))
                }
                _ => (slot.name().into(), format!("Listen {}", slot.name())),
            };
            // In a blind comparison the button that was pressed last is down, whichever slot is heard.
            let down = if hidden { self.pressed_side == Some(side) } else { audible == Some(slot) };
            let spec = ButtonSpec {
                label: &label,
                text: &text,
                second_line,
                font_size: if second_line.is_empty() { 18.0 } else { 16.0 },
                down: Some(down),
                accent: if hidden { theme::NEUTRAL } else { theme::accent(slot) },
                ..ButtonSpec::default()
            };
            let gap = if side == 0 { 4.0 } else { 14.0 };
            let button_rect = next_rect(button_size.x, button_size.y, gap);
            let response = widgets::button(ui, button_rect, Id::unique(("isotherm listen", side)), &spec);
            if response.clicked() {
                self.gestures.end_drag(controls);
                self.pressed_side = hidden.then_some(side);
                controls.press_listen(side);
                self.gestures.needs_frame = true;
            }
        }

        let blind = widgets::toggle_button(ui, &mut self.gestures, controls, next_rect(56.0, 28.0, 4.0), Control::Blind, "Blind");
        blind.on_hover_text("Hides which slot is heard: X and Y are A and B in an order that you do not know");
        let spec = ButtonSpec { label: "Reveal", text: "Reveal", enabled: hidden, ..ButtonSpec::default() };
        let reveal = widgets::button(ui, next_rect(60.0, 28.0, 14.0), Id::unique("isotherm reveal"), &spec);
        if reveal.clicked() {
            controls.reveal();
            self.gestures.needs_frame = true;
        }
        reveal.on_hover_text("Shows which slot was X and which was Y");
        let bypass_rect = next_rect(66.0, 28.0, 14.0);
        let bypass = widgets::toggle_button(ui, &mut self.gestures, controls, bypass_rect, Control::Bypass, "Bypass");
        bypass.on_hover_text("The input, delayed like the effect");
        let (text, width) = if is_wide { ("Listening test", 104.0) } else { ("Test", 44.0) };
        self.draw_test_button(ui, next_rect(width, 28.0, 8.0), controls, view, hidden, text);

        let facts = Rect::from_min_max(pos2(x, rect.top()), rect.max);
        let (upper, lower) = facts.split_top_bottom_at_y(facts.center().y);
        draw_fact(
            ui,
            upper.translate(vec2(0.0, 3.0)),
            "latency",
            &latency_text(view),
            theme::MUTED,
            "Samples by which the output lags the input",
        );
        if !hidden {
            let color = if view.load > HIGH_LOAD { theme::ALARM } else { theme::MUTED };
            let tip = "Share of real time that both slots need";
            draw_fact(ui, lower.translate(vec2(0.0, -3.0)), "load", &load_text(view.load), color, tip);
        }
    }

    /// Draws the button that opens and closes the panel of listening tests.
    fn draw_test_button(&mut self, ui: &Ui, rect: Rect, controls: &dyn Controls, view: &InstanceView, hidden: bool, text: &str) {
        let is_shown = self.shows_listen_panel(view, hidden);
        let spec = ButtonSpec {
            label: "Listening tests",
            text,
            down: Some(is_shown),
            enabled: !hidden,
            role: Role::CheckBox,
            ..ButtonSpec::default()
        };
        let button = widgets::button(ui, rect, Id::unique("isotherm listening tests"), &spec);
        if button.clicked() {
            self.take_panel.fold();
            // An open panel that the setup of takes had covered is shown again.
            if is_shown || !view.listen.is_open {
                let action = if is_shown { ListenAction::Close } else { ListenAction::Open };
                self.send_listen_actions(controls, vec![action]);
            }
            self.gestures.needs_frame = true;
        }
        button.on_hover_text("Blind listening tests that are scored and recorded");
    }
}

/// Draws the header during a listening test, which shows nothing of the instance.
fn draw_test_header(ui: &Ui, rect: Rect) {
    draw_wordmark(ui, Rect::from_min_size(pos2(rect.left(), rect.center().y - 16.0), vec2(104.0, 32.0)));
    let text = "A listening test runs. Everything else is hidden and goes on.";
    draw_fact(ui, rect, "test", text, theme::MUTED, "Do not change settings meanwhile: the trial would be void");
}

/// Returns the latency in samples, and in milliseconds if the sample rate is known.
fn latency_text(view: &InstanceView) -> String {
    let frames = view.latency_frames;
    let unit = if frames == 1 { "sample" } else { "samples" };
    if view.sample_rate.is_finite() && view.sample_rate > 0.0 {
        format!("Latency {frames} {unit}, {:.2} ms", 1000.0 * frames as f32 / view.sample_rate)
    } else {
        format!("Latency {frames} {unit}")
    }
}

/// Returns the load in percent.
pub(super) fn load_text(load: f32) -> String {
    if load.is_finite() { format!("Load {:.0} %", 100.0 * load.clamp(0.0, 9.99)) } else { "Load unknown".into() }
}

/// Draws a line of text at the right of `rect`. `id` distinguishes the lines for egui.
fn draw_fact(ui: &Ui, rect: Rect, id: &str, text: &str, color: Color32, tip: &str) {
    let galley = theme::fit_text(ui, text, &[12.0, 11.0, 10.0], color, rect.width());
    let at = pos2(rect.right() - galley.size().x, rect.center().y - galley.size().y / 2.0);
    let rect = Rect::from_min_size(at, galley.size());
    ui.painter().galley(at, galley, color);
    let response = ui.interact(rect, Id::unique(("isotherm fact", id)), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, text));
    response.on_hover_text(format!("{text}\n{tip}"));
}

/// Draws the program's name, whose colour goes from blue to orange.
fn draw_wordmark(ui: &Ui, rect: Rect) {
    const NAME: &str = "Isotherm";
    let mut job = LayoutJob::default();
    for (i, letter) in NAME.chars().enumerate() {
        let t = i as f32 / (NAME.len() - 1) as f32;
        // The colour passes through that of the text, because a direct mix of blue and orange is a dull grey.
        let color = if t < 0.5 {
            theme::mix(theme::COOL, theme::TEXT, 2.0 * t)
        } else {
            theme::mix(theme::TEXT, theme::WARM, 2.0 * t - 1.0)
        };
        let format = TextFormat { font_id: theme::font(22.0), color, valign: Align::Center, ..TextFormat::default() };
        job.append(letter.encode_utf8(&mut [0; 4]), 0.0, format);
    }
    let galley = ui.painter().layout_job(job);
    ui.painter().galley(pos2(rect.left(), rect.center().y - galley.size().y / 2.0), galley, theme::TEXT);
    let response = ui.interact(rect, Id::unique("isotherm name"), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, NAME));
}
